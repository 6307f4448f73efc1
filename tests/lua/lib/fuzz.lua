-- Calls the public functions of lua/gal with arguments of all kinds, by a seed: tests/lua/fuzz.lua runs a few
-- rounds, tests/acceptance/fuzz.lua hours of them. As a program,
--   galrun tests/lua/lib/fuzz.lua FIRST LAST LOG
-- runs rounds FIRST to LAST in the folder that it is started in, writing each call to LOG before it is made:
-- after a crash the last line names it, and `galrun … ROUND ROUND LOG` makes it again. A round is CALLS calls
-- on fresh objects. LOG.report has two lines a fault, and the number of calls. A fault is an error that is
-- not the library's own: a raw one of Lua's, or one that is not at the caller's line; and a scope or a tape
-- that a call has left open.
local ffi = require "ffi"
local here = debug.getinfo(1, "S").source:match "^@(.*)/[^/]*$"
local HOME = require("gal.base.path").absolute(here)
local values = dofile(here .. "/fuzz_values.lua")
local gal = require "gal"
local core = require "gal.tensor"
local errors = require "gal.base.errors"

local CALLS = 60
local PATIENCE = 1    -- seconds until a call gets Ctrl-C
local DEADLINE = 60   -- seconds of processor time until one that goes on all the same ends the process

ffi.cdef [[
typedef void (*fuzz_handler)(int);
fuzz_handler signal(int number, fuzz_handler handler);
struct fuzz_timer { long every_s, every_us, after_s, after_us; };
int setitimer(int which, const struct fuzz_timer *timer, struct fuzz_timer *before);
]]
local SIGALRM, REAL, PROCESSOR = 14, 0, 2

-- ---- what is called ----

local MODULES = {
  "gal", "gal.nn", "gal.optim", "gal.flow", "gal.train", "gal.data", "gal.table", "gal.images", "gal.metrics",
  "gal.stats.linalg", "gal.stats.kde", "gal.stats.mixture", "gal.stats.prior", "gal.stats.compare",
  "gal.stats.exchange", "gal.stats.relation", "gal.stats.selection", "gal.infer.nearest",
  "gal.infer.occlusion", "gal.plot.map", "gal.plot.history", "gal.plot.corners", "gal.calibration",
  "gal.plot", "gal.run", "gal.stats.pareto", "gal.sweep",
  "gal.ode", "gal.mock", "gal.mock.posterior", "gal.infer", "gal.base.path", "gal.base.json",
}
-- Not called: what hands out handles, and what ends or waits for something outside.
local NOT = {
  ["gal.table.adopt"] = true, ["gal.mock.catalogue"] = true, ["gal.mock.search"] = true,
  ["gal.sweep.run"] = true, ["gal.sweep.work"] = true, ["gal.run.of_fit"] = true,
  ["gal.train.continued"] = true,
}

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

-- The names of options in the help of a function: `name =` in the comment above it.
local function options_in(name)
  local names, help = {}, tostring(require("gal.repl").help(name))
  for option in help:gmatch "([%l_][%w_]*) =[^=]" do names[#names + 1] = option end
  for option in help:gmatch "[{,] ?([%l_][%w_]*)[,}]" do names[#names + 1] = option end
  return names
end

-- The functions of modules, found once: {name, call, takes, options}.
local function of_modules()
  local list = {}
  for _, module in ipairs(MODULES) do
    local m = require(module)
    for _, key in ipairs(sorted_keys(m)) do
      local name, f = module .. "." .. key, m[key]
      local callable = type(f) == "function" or type(f) == "table" and (getmetatable(f) or {}).__call
      if callable and not key:find "^_" and not NOT[name] then
        list[#list + 1] = { name = name, call = f, takes = values.takes(name), options = options_in(name) }
      end
    end
  end
  return list
end

-- The methods of the objects of a pool: {name, kind of the object, method's name}.
local function of_objects(pool)
  local list = {}
  for _, kind in ipairs(sorted_keys(pool)) do
    local object = pool[kind][1]
    local methods = kind == "tensor" and core.methods or (getmetatable(object) or {}).__index
    if kind == "set" then methods = getmetatable(object).methods end -- its __index is a function
    for _, key in ipairs(type(methods) == "table" and sorted_keys(methods) or {}) do
      if type(methods[key]) == "function" and not key:find "^_" then
        local name = (kind == "tensor" and "x" or kind) .. ":" .. key
        local flows = kind == "flow" or kind == "ensemble"
        local options = flows and options_in("gal.flow.Flow." .. key) or {}
        list[#list + 1] = { name = name, kind = kind, method = key, call = methods[key],
          takes = values.takes(name), options = options }
      end
    end
  end
  for operator in ("__add __sub __mul __div __pow __unm __index __tostring"):gmatch "%S+" do
    list[#list + 1] = { name = "x " .. operator, kind = "tensor", method = operator, operator = operator,
      call = getmetatable(pool.tensor[1])[operator], options = {} }
  end
  list[#list + 1] = { name = "module()", kind = "module", call = function(m, ...) return m(...) end,
    takes = values.takes "module()", options = {} }
  return list
end

-- ---- one call ----

-- The arguments of a call, how many they are, and the call as the log has it.
local function arguments_of(target, r, pool)
  local list, words, n = {}, {}, 0
  local function add(value, word)
    n = n + 1
    list[n], words[n] = value, word
  end
  if target.kind then
    local other = r:chance(0.04) and target.name ~= "module()"
    if other then add(values.any(r, pool)) else add(values.of(target.kind, r, pool)) end
  end
  local own = n
  for i, kind in ipairs(target.takes or {}) do
    if r:chance(0.06) then break end
    if i > 1 and r:chance(0.04) then
      add(list[n], words[n])
    elseif r:chance(0.15) then
      add(values.any(r, pool))
    elseif kind == "options" then
      add(values.options(r, pool, target.options))
    else
      add(values.of(kind, r, pool))
    end
  end
  if not target.takes then
    for _ = 1, r:below(4) do
      if r:chance(0.2) then add(values.options(r, pool, target.options)) else add(values.any(r, pool)) end
    end
  end
  if own == 1 and n > 1 and r:chance(0.05) then list[2], words[2] = list[1], words[1] end -- itself
  return list, n, ("%s(%s)"):format(target.name, table.concat(words, ", "))
end

local RAW = {
  "attempt to ", "bad argument #", "cannot convert", "invalid order function", "table index is",
  "not enough memory", "stack overflow", "assertion failed", "table overflow", "size of C type",
  "too many results", "invalid option", "string length overflow",
}

-- Why an error is not one that the library may raise; nil where it may.
local function fault_of(err)
  if type(err) ~= "string" then return nil end -- gal.interrupted, a failure by its status
  if err:find "^own" or err:find("fuzz_values.lua", 1, true) then return nil end -- a callback's
  if err:find "^[^:]*lua/gal/[%w_/]*%.lua:%d+: " then return "a raw error, or one at the library's line" end
  for _, raw in ipairs(RAW) do
    if err:find(raw, 1, true) then return "a raw error" end
  end
end

local memory = require "gal.tensor.memory"
local tape = require "gal.tensor.tape"
local leaf = gal.ones{ 1 }:requires_grad()

-- What the call has left open, or nil.
local function left_open()
  if memory.current_scope() then return "a scope is left open" end
  if ffi.C.gal_recording() ~= 0 then return "a recording is left open" end
  if not tape.recording(leaf) then return "the tape is left off" end
end

local function timer(which, seconds)
  local whole = math.floor(seconds)
  local t = ffi.new("struct fuzz_timer", 0, 0, whole, (seconds - whole) * 1e6)
  ffi.C.setitimer(which, t, nil)
end

local function attempt(target, list, n)
  timer(PROCESSOR, DEADLINE)
  timer(REAL, PATIENCE)
  local ok, err = pcall(target.call, unpack(list, 1, n))
  timer(REAL, 0)
  ffi.C.gal_interrupt_set(0)
  return ok, err
end

-- ---- rounds ----

-- In every fourth round fields of objects are overwritten, as a script may: t.rows = 1. A raw error is no
-- fault there, the end of the process is.
local SPOILED = 4

-- Overwrites a field of an object but for its handle; returns what the log says of it.
local function spoil(r, pool)
  local kind = r:pick(sorted_keys(pool))
  local object = r:pick(pool[kind])
  local fields = sorted_keys(object)
  if kind == "tensor" or #fields == 0 then return nil end
  local field, value, word = r:pick(fields), values.any(r, pool)
  if field == "h" then return nil end
  rawset(object, field, value)
  return ("%s.%s = %s; "):format(kind, field, word)
end

local fuzz = { CALLS = CALLS, fault_of = fault_of, left_open = left_open }

--- rounds(first, last, log): runs them; returns a list of faults, {round, call, text, err}, and how many
-- calls were made, and how many of them succeeded and were stopped.
function fuzz.rounds(first, last, log)
  local modules, faults, made = of_modules(), {}, { calls = 0, fine = 0, stopped = 0 }
  for round = first, last do
    local r, pool = values.random(round), values.pool()
    local objects = of_objects(pool)
    for call = 1, CALLS do
      local target = r:pick(r:chance(0.5) and modules or objects)
      local spoiled = round % SPOILED == 0
      local before = spoiled and r:chance(0.2) and spoil(r, pool) or ""
      local list, n, text = arguments_of(target, r, pool)
      text = before .. text
      log:write(("%d %d %s\n"):format(round, call, (text:gsub("%c", "?"))))
      log:flush()
      local ok, err = attempt(target, list, n)
      made.calls, made.fine = made.calls + 1, made.fine + (ok and 1 or 0)
      if err == gal.interrupted then made.stopped = made.stopped + 1 end
      local fault = not ok and not spoiled and fault_of(err) or left_open()
      if fault then
        faults[#faults + 1] = { round = round, call = call, text = text, err = ok and "" or tostring(err),
          fault = fault }
        if left_open() then
          memory.close_until(false)
          return faults, made
        end
      end
    end
    log:write(("%d ended\n"):format(round))
    pool = nil
    collectgarbage()
  end
  return faults, made
end

--- processes(folder, parts): runs parts, a list of {first, last}, each in a process and a folder of its own,
-- all at once. Returns for each {ended, whether it came to its end; status, its exit code; last, the last
-- line of its log; calls, how many it made; faults, a list of texts}.
function fuzz.processes(folder, parts)
  local host, lines = require "gal.host", {}
  for i, part in ipairs(parts) do
    -- Without a PATH there is no gnuplot.
    local home = ("%s/%d"):format(folder, i)
    local form = "PATH=/none ASAN_OPTIONS=allocator_may_return_null=1 '%s' --threads 1 '%s/fuzz.lua' "
      .. "%d %d log"
    local call = form:format(host.executable, HOME, part[1], part[2])
    lines[i] = ("mkdir -p %s && cd %s && { %s >out 2>&1; echo $? >status; } &"):format(home, home, call)
  end
  os.execute(table.concat(lines, "\n") .. "\nwait")
  local found = {}
  for i = 1, #parts do found[i] = fuzz.result(("%s/%d"):format(folder, i)) end
  return found
end

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read "*a" or ""
  if file then file:close() end
  return text
end

--- result(folder): of one process, by the files that it left in its folder: as processes has it.
function fuzz.result(folder)
  local log, report = read(folder .. "/log"), read(folder .. "/log.report")
  local status, calls, faults = read(folder .. "/status"):match "%d+", report:match "(%d+) calls, ", {}
  for fault in report:gmatch "([^\n]+\n    [^\n]*)\n" do faults[#faults + 1] = fault end
  return {
    ended = status == "0" and calls ~= nil, status = status or "none", calls = tonumber(calls or 0),
    faults = faults, last = log:match "([^\n]*)\n$" or "none",
  }
end

--- watch(): from here on SIGALRM sets the flag that Ctrl-C sets, and that loops of the library ask for: the
-- host's own Ctrl-C raises between any two steps, where a handle may not have its owner yet.
function fuzz.watch()
  ffi.C.signal(SIGALRM, ffi.cast("fuzz_handler", ffi.C.gal_interrupt_set))
  assert(ffi.C.gal_memory_set_limit("cpu", 2 ^ 28) == 0)
end

-- As a program.
local first, last, path = (arg and arg[1] or ""):match "^%d+$", arg and tonumber(arg[2]), arg and arg[3]
if first and last and path then
  local log = assert(io.open(path, "w"))
  fuzz.watch()
  local faults, made = fuzz.rounds(tonumber(first), last, log)
  log:close()
  local report = assert(io.open(path .. ".report", "w"))
  for _, f in ipairs(faults) do
    local text, err = f.text:gsub("%c", "?"), f.err:gsub("%c", "?")
    report:write(("%s: round %d, call %d: %s\n    %s\n"):format(f.fault, f.round, f.call, text, err))
  end
  local form = "%d calls, %d of them without an error, %d stopped\n"
  report:write(form:format(made.calls, made.fine, made.stopped))
  report:close()
end

return fuzz
