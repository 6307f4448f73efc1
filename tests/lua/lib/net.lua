-- The server that misbehaves (net/server.c) as a process of a test's, what it has written down, and commands
-- that fetch from it while they are killed. tests/lua/fetch.lua and fetch_cutouts.lua do it with some
-- galaxies, tests/acceptance/fetch.lua with 2,000.
local ffi = require "ffi"
local C = ffi.C
local host = require "gal.host"
local path = require "gal.base.path"
local process = require "gal.sweep.process"

local net = {}

--- net.start(folder, seconds) --> {base =, record =, stop()}: the server, which writes into the folder.
function net.start(folder, seconds)
  local pid, record = ffi.new "int64_t[1]", folder .. "/record"
  local program = host.executable:match "^.*/" .. "tests/net_server"
  local words = ffi.new("const char *[4]", { program, record, tostring(seconds) })
  local status = C.gal_process_start(pid, words, nil, nil, folder .. "/port")
  if status ~= 0 then error(ffi.string(C.gal_error()), 0) end
  local number = tonumber(pid[0])
  for _ = 1, 1000 do
    local port = (path.read(folder .. "/port") or ""):match "port (%d+)\n"
    if port then
      return {
        base = "http://127.0.0.1:" .. port, record = record,
        stop = function() C.gal_process_signal(number, "KILL") end,
      }
    end
    C.gal_sleep(0.02)
  end
  error("the server does not begin", 0)
end

--- net.requests(server) --> each request that the server had, in order: {asking, time (s), fault, method,
-- address, ra (text, or nil)}.
function net.requests(server)
  local list = {}
  for line in (path.read(server.record) or ""):gmatch "([^\n]*)\n" do
    local asking, time, fault, method, address = line:match "^(%d+) (%S+) (%S+) (%S+) (%S+) "
    list[#list + 1] = {
      asking = tonumber(asking), time = tonumber(time), fault = fault, method = method, address = address,
      ra = address:match "[?&]ra=([%d.]+)",
    }
  end
  return list
end

--- net.earliest(requests, pause): by how many pauses the most forward of the requests came too early, over
-- all stretches of them: k requests take at least k - 1 pauses. Up to 3 are the machine's: two that were sent
-- in time and noticed late, and one that was sent late.
function net.earliest(requests, pause)
  local latest, worst = -math.huge, 0
  for k, r in ipairs(requests) do
    local place = r.time - k * pause
    latest = math.max(latest, place)
    worst = math.max(worst, (latest - place) / pause)
  end
  return worst
end

-- {id = line} of what the folder's manifest has recorded, dates left out.
local function recorded(folder)
  local found = {}
  for _, name in ipairs{ "manifest.csv", "manifest.csv.part" } do
    for line in (path.read(("%s/cutouts/%s"):format(folder, name)) or ""):gmatch "([^\n]*)\n" do
      local id, ra = line:match "^([^,]*),([^,]*),"
      if line:find '"whole"' then found[id] = ra end
    end
  end
  return found
end

--- net.disturbed(server, words, folder, out, kills): runs galrun with these words in the folder, kills it by
-- SIGKILL whenever the server has had as many requests more as the list `kills` says, and gives the command
-- again until it ends. Returns how often it was killed, and sentences on cutouts of folder/out that were
-- asked for after they were recorded.
function net.disturbed(server, words, folder, out, kills)
  local killed, again, marks = 0, {}, {}
  local options = { threads = 1, device = host.device, output = folder .. "/output.txt", folder = folder }
  local p, before = process.start(words, options), #net.requests(server)
  while not p:wait(0.005) do
    if killed < #kills and #net.requests(server) - before >= kills[killed + 1] then
      C.gal_process_signal(p.pid, "KILL")
      while not p:wait(1) do end
      if p.ended ~= "signal" then break end
      killed = killed + 1
      C.gal_sleep(0.1) -- the server notices
      before = #net.requests(server)
      marks[killed] = { at = before, ras = {} }
      for _, ra in pairs(recorded(folder .. "/" .. out)) do marks[killed].ras[ra] = true end
      p = process.start(words, options)
    end
  end
  if p.ended ~= "exit" or p.code ~= 0 then error(path.read(folder .. "/output.txt"), 0) end
  local requests = net.requests(server)
  for k, mark in ipairs(marks) do
    for i = mark.at + 1, #requests do
      if requests[i].ra and mark.ras[requests[i].ra] then
        again[#again + 1] = ("%s, recorded before kill %d, was asked for again"):format(requests[i].ra, k)
      end
    end
  end
  return killed, again
end

-- A folder's file, without what may differ: the server's address, and dates in the manifest.
local function content(file, base)
  local text = path.read(file)
  if file:find "manifest%.csv$" then text = text:gsub(",[^,\n]*\n", "\n") end
  local at, last = text:find(base, 1, true)
  return file:find "%.json$" and at and text:sub(1, at - 1) .. text:sub(last + 1) or text
end

--- net.compare(a, b, base_a, base_b): what differs between two folders that were fetched from servers of
-- these addresses, but for these and for dates in manifests: a list of sentences, and how many files there
-- are.
function net.compare(a, b, base_a, base_b)
  local wrong, files = {}, 0
  local function both(place)
    local names = {}
    for _, home in ipairs{ a, b } do
      for _, name in ipairs(path.entries(home .. place)) do names[name] = (names[name] or 0) + 1 end
    end
    for name, n in pairs(names) do
      local file = place .. "/" .. name
      files = files + 1
      if name == "lock" then -- a killed process leaves its number in it
        files = files - 1
      elseif n < 2 then
        wrong[#wrong + 1] = file .. " is in one of them only"
      elseif name:find "/$" then
        both(file:sub(1, -2))
      elseif content(a .. file, base_a) ~= content(b .. file, base_b) then
        wrong[#wrong + 1] = file .. " is another"
      end
    end
  end
  both ""
  return wrong, files
end

--- net.random(seed) --> a function that gives numbers from 0 to 1.
function net.random(seed)
  return function()
    seed = seed * 16807 % 2147483647
    return seed / 2147483647
  end
end

return net
