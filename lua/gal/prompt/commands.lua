-- What the prompt can do beside Lua: who(), time(f), trace(), !command. Nothing here prints.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local host = require "gal.base.host"
local text = require "gal.base.text"
local values = require "gal.prompt.values"
local C = ffi.C

local commands = {}

-- ---- the terminal's echo ----

-- f, during which the terminal echoes, for what reads the keyboard; while a chunk runs it does not echo.
local function heard(f)
  return function(...)
    local before = host.echo(true)
    local function done(ok, ...)
      if not before then host.echo(false) end
      if not ok then error((...), 0) end
      return ...
    end
    return done(pcall(f, ...))
  end
end

--- commands.listen(): from now on io.read, io.lines(), io.stdin:read, os.execute and debug.debug, which read
-- the keyboard, have the terminal's echo.
function commands.listen()
  io.read, os.execute, debug.debug = heard(io.read), heard(os.execute), heard(debug.debug)
  local lines = io.lines
  io.lines = function(path, ...)
    if path then return lines(path, ...) end
    return heard(lines())
  end
  local methods = getmetatable(io.stdin).__index
  local read, read_heard = methods.read, heard(methods.read)
  methods.read = function(file, ...)
    if file == io.stdin then return read_heard(file, ...) end
    return read(file, ...)
  end
end

--- commands.run(command): runs a command of the shell; its output goes where galrun's goes.
function commands.run(command)
  io.stdout:flush()
  os.execute(command)
end

-- ---- names of the session ----

local before = {} -- the globals that were there when the session began

--- commands.begin(): names that exist now do not count as the session's.
function commands.begin()
  for name in pairs(_G) do before[name] = true end
end

--- who() --> the names of this session and what they are, a line each.
function commands.who()
  local names, rows = {}, {}
  for name in pairs(_G) do
    if type(name) == "string" and not before[name] and name ~= "_" then names[#names + 1] = name end
  end
  table.sort(names)
  local widest = 0
  for _, name in ipairs(names) do widest = math.max(widest, #name) end
  for i, name in ipairs(names) do
    local line = values.line(_G[name])
    local room = values.width() - widest - 2
    if text.length(line) > room then
      line = line:sub(1, room - 4):gsub("[\192-\255]?[\128-\191]*$", "") .. " ..."
    end
    rows[i] = name .. (" "):rep(widest - #name + 2) .. line
  end
  return values.text(#rows > 0 and table.concat(rows, "\n") or "No names of this session yet.", true)
end

-- ---- how long ----

local LONG = 0.2     -- seconds: what takes so long is run once,
local ENOUGH = 0.5   -- what is faster again, for so long altogether

local function duration(seconds)
  for _, unit in ipairs{ { 1, "s" }, { 1e-3, "ms" }, { 1e-6, "µs" } } do
    if seconds >= unit[1] then return ("%.3g %s"):format(seconds / unit[1], unit[2]) end
  end
  return ("%.3g ns"):format(seconds * 1e9)
end

--- time(f, ...) --> how long f(...) takes: one call where that takes more than 0.2 s, else the median of as
-- many calls as fit into half a second.
function commands.time(f, ...)
  errors.callable("time", "f", f, "a function, such as function() return flow:sample(x) end")
  local list, started = {}, C.gal_now()
  repeat
    local from = C.gal_now()
    f(...)
    list[#list + 1] = C.gal_now() - from
  until list[1] > LONG or C.gal_now() - started > ENOUGH
  table.sort(list)
  local middle = duration(list[math.ceil(#list / 2)])
  return values.text(#list == 1 and middle or ("%s, the middle of %d calls"):format(middle, #list))
end

-- ---- errors ----

--- trace() --> the last error, with all the calls that led to it.
function commands.trace() return values.text(host.trace() or "No error so far.", true) end

return commands
