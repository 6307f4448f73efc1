-- gal.ode against closed forms, in double precision for numbers and tables.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local ode = require "gal.ode"

-- dy/dt = y cos t, y(0) = 1: y(1) = exp(sin 1).
local function field(t, y) return y * math.cos(t) end
local exact = math.exp(math.sin(1))
local function fall(method, steps)
  local function err(n) return math.abs(ode[method](field, 1, { steps = n }) - exact) end
  return err(steps) / err(2 * steps)
end

check.case("RK4's error falls 14- to 18-fold from 4 to 8 steps", function()
  local ratio = fall("rk4", 4)
  check.that(ratio > 14 and ratio < 18, "the error fell " .. ratio .. "-fold")
  -- A rotation, as a table: y'' = -y in the plane, once around a radian.
  local function err(steps)
    local y = ode.rk4(function(_, y) return { -y[2], y[1] } end, { 1, 0 }, { steps = steps })
    return math.sqrt((y[1] - math.cos(1)) ^ 2 + (y[2] - math.sin(1)) ^ 2)
  end
  ratio = err(4) / err(8)
  check.that(ratio > 14 and ratio < 18, "the rotation's error fell " .. ratio .. "-fold")
end)

check.case("the midpoint rule is of second order and Euler's of first", function()
  check.near(fall("midpoint", 100), 4, 0.1)
  check.near(fall("euler", 100), 2, 0.05)
end)

check.case("backwards it returns to where it came from", function()
  local y = ode.rk4(field, exact, { t0 = 1, t1 = 0, steps = 100 })
  check.near(y, 1, 1e-9)
end)

check.case("a tensor gives what numbers give", function()
  local start = { 1, -0.5, 2 }
  local y = ode.rk4(function(t, y) return y * math.cos(t) end, gal.tensor(start), { steps = 20 })
  for i, v in ipairs(start) do check.near(y:get(i), v * exact, 1e-5) end
end)

check.case("a table may be nested", function()
  local y = ode.midpoint(function() return { { 1, 2 }, { 3, 4 } } end, { { 0, 0 }, { 0, 0 } }, { t1 = 2 })
  check.near(y, { { 2, 4 }, { 6, 8 } }, 1e-12)
end)

check.case("gradients flow through the steps", function()
  -- dy/dt = a y: dy(1)/da = exp(a).
  local a = gal.tensor(0.5):requires_grad()
  ode.rk4(function(_, y) return y * a end, gal.tensor(1), { steps = 20 }):backward()
  check.near(a.grad:item(), math.exp(0.5), 1e-5)
end)

check.case("bad arguments are named at the caller's line", function()
  check.raises(function() ode.rk4(3, 1) end, "rk4: velocity is the number 3, expected a function", true)
  check.raises(function() ode.euler(field, nil) end, "euler: y is nil", true)
  check.raises(function() ode.rk4(field, 1, { steps = 2.5 }) end,
    "rk4: steps is 2.5, expected an integer of at least 1", true)
  check.raises(function() ode.rk4(field, 1, { step = 2 }) end,
    "rk4: unknown option 'step', expected 'steps'?", true)
end)

check.finish()
