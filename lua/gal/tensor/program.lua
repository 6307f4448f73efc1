-- A step as a program: the ops of a function are recorded while they run once, and from then on replayed
-- by one C call, without Lua, allocation or garbage.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local default_device = require("gal.base.device").default
local known = require("gal.base.options").known
local memory = require "gal.tensor.memory"
local random = require "gal.tensor.random"
local C = ffi.C
local raise, check, kind = errors.raise, errors.check, errors.kind

require("gal.base.host").shelter()
local program = {}
local Program = {}
Program.__index = Program

function Program.__tostring(p) return string.format("program of %d calls", p.length) end

local out = ffi.new "gal_program *[1]"

local function finish(p, ok, ...)
  local scope = p.scope
  memory.close_until(scope)
  memory.leave(scope)
  if not ok then
    scope.closed = true
    check(C.gal_program_abandon(p.h))
    error((...), 0)
  end
  ffi.gc(p.h, C.gal_program_free)
  check(C.gal_program_end(p.h))
  p.length = tonumber(C.gal_program_length(p.h))
  p.results = { ... } -- read after each replay, so they live as long as the program
  return p, ...
end

--- gal.program(fn[, device]) --> p, fn's results. Calls fn() once, which is the first step, and records its
-- ops; p:replay(n) does n more steps. Tensors made in fn live as long as p and are overwritten by each
-- replay. Values that change from step to step are read through tensors made before; a number in fn stays
-- the same. Draws go on from replay to replay: the default generator's state moves to the program's device.
-- Reading a tensor's values in fn raises. p.length: how many calls a step is.
function program.record(fn, device)
  if type(device) == "table" then device = known("program", device, { "device" }).device end
  if type(fn) ~= "function" then raise("program: fn is %s, expected a function", kind(fn)) end
  device = errors.device("program", device) or default_device()
  -- Made and moved now: its state must not be a constant of the program.
  if C.gal_recording() == 0 then random.default():tensor(device) end
  check(C.gal_program_begin(out, device))
  -- held: programs whose tensors this one reads. Its own tensors hold the scope, and the scope the
  -- program, in whose arena they are.
  local p = setmetatable({ h = out[0], length = 0, held = {} }, Program)
  p.scope = { closed = false, program = p }
  memory.enter(p.scope)
  return finish(p, pcall(fn))
end

--- try(fn[, device]) --> the program, or nil where fn does what can't be recorded, such as reading a value;
-- a notice then names what it did. Raises any other error.
function program.try(fn, device)
  local ok, p = pcall(program.record, fn, device)
  if ok then return p end
  if type(p) ~= "table" or p.status ~= C.GAL_RECORDING then error(p, 0) end
  C.gal_leave_notice("steps run op by op, several times slower, as they can't be recorded: " .. p.text)
end

--- p:replay([n]): n more steps (one by default). Ctrl-C raises gal.interrupted between two of them. Returns
-- p.
function Program.replay(p, n)
  errors.integer("replay", "n", n or 1, 0, math.huge)
  check(C.gal_program_replay(p.h, n or 1))
  return p
end

errors.methods(Program, "a program")

return program
