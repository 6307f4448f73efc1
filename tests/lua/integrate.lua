-- flow/integrate, beneath the flow's methods: Runge-Kutta methods of any tableau at any instants, against closed forms.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local core = require "gal.tensor"
local nn = require "gal.nn"
local flows = require "gal.flow"
local integrate = require "gal.flow.integrate"

local EULER = { a = { {} }, b = { 1 }, c = { 0 } }
-- The midpoint rule; and its order-4 companion with a stage of its own for every entry: Kutta's 3/8 rule.
local MIDPOINT = { a = { {}, { 1 / 2 } }, b = { 0, 1 }, c = { 0, 1 / 2 } }
local THREE_EIGHTHS = { a = { {}, { 1 / 3 }, { -1 / 3, 1 }, { 1, -1, 1 } }, b = { 1 / 8, 3 / 8, 3 / 8, 1 / 8 }, c = { 0, 1 / 3, 2 / 3, 1 } }

-- dm/dt = A m + 2 t + 0.5 c, of one dimension and one context; m(0) = 0 at c = 0.4 gives m(1) = 2 (e^A - 1 - A) / A^2 + 0.2 (e^A - 1) / A. The divergence is A.
local A = 0.9
local EXACT = 2 * (math.exp(A) - 1 - A) / A ^ 2 + 0.2 * (math.exp(A) - 1) / A
local function layer()
  local l = nn.linear(3, 1)
  core.assign(l.weight, gal.tensor { { 2, A, 0.5 } })
  core.assign(l.bias, gal.tensor { 0 })
  return l
end
-- By its layers, and by a forward function that is not looked into.
local heads = { layers = nn.sequential { layer() }, opaque = nn.sequential { layer(), function(v) return v * 1 end } }

local function solve(head, options, start)
  local theta = gal.full({ 3, 1 }, start or 0)
  local integral = integrate.run(flows.new { theta = 1, context = 1, head = head }, theta, gal.full({ 1, 1 }, 0.4), 1, options)
  return theta:get(3, 1), integral
end

for name, head in pairs(heads) do
  check.case("each method has the order of its tableau, " .. name, function()
    for _, case in ipairs { { EULER, 1 }, { MIDPOINT, 2 }, { integrate.RK4, 4 }, { THREE_EIGHTHS, 4 } } do
      local method, order = case[1], case[2]
      local function off(steps) return math.abs(solve(head, { steps = steps, tableau = method }) - EXACT) end
      local n = order == 4 and 2 or 16
      local ratio = off(n) / off(2 * n)
      check.that(ratio > 0.8 * 2 ^ order and ratio < 1.25 * 2 ^ order, ("order %d: the error fell %.3g-fold from %d to %d steps"):format(order, ratio, n, 2 * n))
    end
  end)

  check.case("unequal instants lead to the same end, and back, " .. name, function()
    local times = { 0, 0.1, 0.15, 0.3, 0.41, 0.6, 0.7, 0.85, 1 }
    check.near(solve(head, { times = times }), EXACT, 2e-5)
    check.near(solve(head, { times = times, backward = true }, EXACT), 0, 2e-5)
    -- Not merely as good as equal steps: one step of Euler from .25 and one to it.
    local first = 0.25 * 0.2
    check.near(solve(head, { times = { 0, 0.25, 1 }, tableau = EULER }), first + 0.75 * (A * first + 2 * 0.25 + 0.2), 1e-6)
  end)

  check.case("the divergence's integral is that of dt, negative backwards, " .. name, function()
    local options = { times = { 0, 0.3, 1 }, density = true, tableau = THREE_EIGHTHS }
    local _, integral = solve(head, options)
    check.near(integral, { { A }, { A }, { A } }, 1e-6)
    options.backward = true
    _, integral = solve(head, options)
    check.near(integral, { { -A }, { -A }, { -A } }, 1e-6)
  end)
end

check.finish()
