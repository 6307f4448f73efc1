-- ode: explicit Runge-Kutta steps for any velocity written in Lua. A state is a tensor, a number or a
-- (nested) table of numbers; the last two are integrated in double precision. A flow's velocity net has
-- faster ways (flow/integrate.lua); the methods are the same tables (base/runge_kutta.lua).
local errors = require "gal.base.errors"
local core = require "gal.tensor"
local options_of = require "gal.base.options"
local runge_kutta = require "gal.base.runge_kutta"

local ode = {}

-- What a state is made of, for the sentence on a velocity that is not of its kind.
local function kind_of(y)
  if core.is_tensor(y) then return "a tensor" end
  return type(y) == "table" and "a table" or type(y)
end

-- y + h * k for any kind of state.
local function advance(y, h, k)
  local kind = kind_of(y)
  if kind ~= "a tensor" and kind ~= "a table" and kind ~= "number" then
    errors.raise("ode: y holds %s, expected numbers", errors.kind(y))
  end
  if kind ~= kind_of(k) then
    errors.raise("ode: velocity returned %s where y has %s", errors.kind(k), errors.kind(y))
  end
  if kind == "a table" then
    local out = {}
    if #k ~= #y then
      errors.raise("ode: velocity returned a table of %d where y has one of %d", #k, #y)
    end
    for i = 1, #y do out[i] = advance(y[i], h, k[i]) end
    return out
  end
  return y + k * h
end

local function solve(method, velocity, y, options)
  local where = "ode." .. method
  options = options_of.known(where, options, { "t0", "t1", "steps" })
  local steps = options_of.integer(where, options, "steps", 100, 1)
  local t0 = options_of.number(where, options, "t0", 0)
  local t1 = options_of.number(where, options, "t1", 1)
  errors.callable(where, "velocity", velocity, "a function (t, y) -> dy/dt")
  if type(y) ~= "number" and type(y) ~= "table" then
    errors.raise("%s: y is %s, expected a tensor, a number or a table of numbers", where, errors.kind(y))
  end
  local h = (t1 - t0) / steps
  for i = 0, steps - 1 do
    errors.poll()
    y = runge_kutta.step(runge_kutta[method], velocity, t0 + i * h, y, h, advance)
  end
  return y
end

--- ode.euler(velocity, y[, {t0 = 0, t1 = 1, steps = 100}]): y at t1, from y at t0, by steps of first order.
-- velocity(t, y) returns dy/dt of y's kind and shape; t is a number. t1 < t0 integrates backwards. One
-- evaluation a step.
function ode.euler(velocity, y, options) return solve("euler", velocity, y, options) end

--- ode.midpoint(velocity, y[, {t0 = 0, t1 = 1, steps = 100}]): the same with the midpoint rule, of second
-- order. Two evaluations a step.
function ode.midpoint(velocity, y, options) return solve("midpoint", velocity, y, options) end

--- ode.rk4(velocity, y[, {t0 = 0, t1 = 1, steps = 100}]): the same with the classical Runge-Kutta rule, of
-- fourth order. Four evaluations a step.
function ode.rk4(velocity, y, options) return solve("rk4", velocity, y, options) end

return ode
