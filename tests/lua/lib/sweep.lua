-- A sweep that is disturbed: run once in peace and once with its workers and its master killed by SIGKILL at
-- random moments, on the same small mock survey. tests/lua/sweep.lua does it a few times,
-- tests/acceptance/sweep_kill.lua ten times with 24 trials.
local ffi = require "ffi"
local C = ffi.C
local claims = require "gal.sweep.claims"
local host = require "gal.host"
local path = require "gal.base.path"
local process = require "gal.sweep.process"
local records = require "gal.sweep.records"
local sweep = require "gal.sweep"

local lib = {}

--- lib.master(folder, words): the process of experiments/sweep.lua with these words, in the folder.
function lib.master(folder, words)
  return process.start({ host.root .. "/experiments/sweep.lua", unpack(words) }, {
    threads = 2, device = host.device, output = folder .. "/master.txt", folder = folder,
  })
end

--- lib.wait(p): waits for the process; raises with its output where it does not end with 0.
function lib.wait(p, folder)
  while not p:wait(1) do end
  if p.ended == "exit" and p.code == 0 then return end
  error(("%s %s: %s"):format(p.ended, p.code, path.read(folder .. "/master.txt")), 0)
end

--- lib.untimed(text): results.csv without its column of seconds.
function lib.untimed(text)
  local lines, place = {}, nil
  for line in text:gmatch "([^\n]*)\n" do
    local cells, k = {}, 0
    for cell in (line:gsub('"[^"]*"', function(q) return (q:gsub(",", ";")) end) .. ","):gmatch "([^,]*)," do
      k = k + 1
      if cell == "seconds" then place = k end
      if k ~= place then cells[#cells + 1] = cell end
    end
    lines[#lines + 1] = table.concat(cells, ",")
  end
  return table.concat(lines, "\n")
end

-- The stamps and sizes of all that a finished trial left: nobody may touch it again.
local function stamps(s, number)
  local list, stamp = {}, ffi.new "int64_t[2]"
  for _, file in ipairs{
    records.file(s, number, 1, "json"), records.file(s, number, 1, "txt"),
    s.trials[number].out .. "/checkpoint.safetensors", s.trials[number].out .. "/flow.safetensors",
  } do
    local there = C.gal_file_stamp(file, stamp, stamp + 1)
    local size, time = tostring(stamp[0]), tostring(stamp[1])
    list[#list + 1] = ("%s %d %s %s"):format(file:match "[^/]*$", there, size, time)
  end
  return table.concat(list, "; ")
end

-- The worker that is at work on some trial; nil where none is.
local function a_worker(s)
  for number = 1, #s.trials do
    local busy, _, content = claims.holder(records.folder(s), records.job(number, 1))
    if busy and content.pid and not path.kind(records.file(s, number, 1, "json")) then return content.pid end
  end
end

--- lib.disturbed(folder, words, kills, seed, pause): runs the sweep of these words in folder/disturbed, kills
-- its master and a worker in turn, `kills` times, at random moments up to `pause` seconds apart, and gives
-- the command again whenever its master is gone. Returns how many were killed, and the finished trials that
-- were touched again, a list of sentences.
function lib.disturbed(folder, words, kills, seed, pause)
  local out, rng, killed, touched, over = folder .. "/disturbed", seed, 0, {}, {}
  local function random()
    rng = (rng * 16807) % 2147483647
    return rng / 2147483647
  end
  local all = { unpack(words) }
  all[#all + 1], all[#all + 2] = "--out", out
  local p = lib.master(folder, all)
  local function look(s)
    for number = 1, #s.trials do
      if path.kind(records.file(s, number, 1, "json")) then
        local now = stamps(s, number)
        if over[number] and over[number] ~= now then
          touched[#touched + 1] = over[number] .. " -> " .. now
        end
        over[number] = over[number] or now
      end
    end
  end
  while not p:wait(0) do
    C.gal_sleep(random() * pause)
    local s = path.kind(out .. "/sweep.json") and sweep.open(out)
    if s then look(s) end
    if s and killed < kills then
      local pid = a_worker(s)
      if killed % 2 == 1 then pid = p.pid end
      if pid and C.gal_process_begun(pid) > 0 then
        C.gal_process_signal(pid, "KILL")
        killed = killed + 1
      end
      if p:wait(0.05) == "signal" then p = lib.master(folder, all) end
    end
  end
  lib.wait(p, folder)
  look(sweep.open(out))
  return killed, touched
end

--- lib.compare(folder, epochs): what differs between the sweeps in folder/peace and folder/disturbed: a list
-- of sentences. An epoch that was over when its process was killed may stand twice in timing.csv, once a
-- claim.
function lib.compare(folder, epochs)
  local wrong = {}
  local function differ(...) wrong[#wrong + 1] = (...):format(select(2, ...)) end
  local a, b = sweep.open(folder .. "/peace"), sweep.open(folder .. "/disturbed")
  local first, second = path.read(a.out .. "/results.csv"), path.read(b.out .. "/results.csv")
  if lib.untimed(first) ~= lib.untimed(second) then differ("results.csv:\n%s\n%s", first, second) end
  local again = 0
  for number, trial in ipairs(b.trials) do
    for _, name in ipairs{ "flow.safetensors", "history.csv" } do
      if path.read(trial.out .. "/" .. name) ~= path.read(a.trials[number].out .. "/" .. name) then
        differ("%s/%s is another", trial.name, name)
      end
    end
    local _, lines = path.read(trial.out .. "/timing.csv"):gsub("\n", "")
    local had = claims.highest(records.folder(b), records.job(number, 1))
    if lines - 1 - epochs > had - 1 then
      differ("%s was trained for %d epochs in %d goes, expected %d", trial.name, lines - 1, had, epochs)
    end
    again = again + had - 1
  end
  return wrong, again
end

return lib
