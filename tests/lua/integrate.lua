-- flow/integrate, beneath the flow's methods: Runge-Kutta methods of any tableau at any instants, against
-- closed forms.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local core = require "gal.tensor"
local nn = require "gal.nn"
local flows = require "gal.flow"
local integrate = require "gal.flow.integrate"

local EULER = { a = { {} }, b = { 1 }, c = { 0 } }
-- The midpoint rule; and its order-4 companion with a stage of its own for every entry: Kutta's 3/8 rule.
local MIDPOINT = { a = { {}, { 1 / 2 } }, b = { 0, 1 }, c = { 0, 1 / 2 } }
local THREE_EIGHTHS = { a = { {}, { 1 / 3 }, { -1 / 3, 1 }, { 1, -1, 1 } },
  b = { 1 / 8, 3 / 8, 3 / 8, 1 / 8 }, c = { 0, 1 / 3, 2 / 3, 1 } }

-- dm/dt = A m + 2 t + 0.5 c, of one dimension and one context; m(0) = 0 at c = 0.4 gives m(1) = 2 (e^A - 1 -
-- A) / A^2 + 0.2 (e^A - 1) / A. The divergence is A.
local A = 0.9
local EXACT = 2 * (math.exp(A) - 1 - A) / A ^ 2 + 0.2 * (math.exp(A) - 1) / A
local function layer()
  local l = nn.linear(3, 1)
  core.assign(l.weight, gal.tensor { { 2, A, 0.5 } })
  core.assign(l.bias, gal.tensor { 0 })
  return l
end
-- By its layers, and by a forward function that is not looked into.
local heads = { layers = nn.sequential { layer() },
  opaque = nn.sequential { layer(), function(v) return v * 1 end } }

local function solve(head, options, start)
  local theta = gal.full({ 3, 1 }, start or 0)
  local integral = integrate.run(flows.new { theta = 1, context = 1, head = head }, theta,
    gal.full({ 1, 1 }, 0.4), 1, options)
  return theta:get(3, 1), integral
end

for name, head in pairs(heads) do
  check.case("each method has the order of its tableau, " .. name, function()
    for _, case in ipairs { { EULER, 1 }, { MIDPOINT, 2 }, { integrate.RK4, 4 }, { THREE_EIGHTHS, 4 } } do
      local method, order = case[1], case[2]
      local function off(steps) return math.abs(solve(head, { steps = steps, tableau = method }) - EXACT) end
      local n = order == 4 and 2 or 16
      local ratio = off(n) / off(2 * n)
      check.that(ratio > 0.8 * 2 ^ order and ratio < 1.25 * 2 ^ order,
        ("order %d: the error fell %.3g-fold from %d to %d steps"):format(order, ratio, n, 2 * n))
    end
  end)

  check.case("unequal instants lead to the same end, and back, " .. name, function()
    local times = { 0, 0.1, 0.15, 0.3, 0.41, 0.6, 0.7, 0.85, 1 }
    check.near(solve(head, { times = times }), EXACT, 2e-5)
    check.near(solve(head, { times = times, backward = true }, EXACT), 0, 2e-5)
    -- Not merely as good as equal steps: one step of Euler from .25 and one to it.
    local first = 0.25 * 0.2
    check.near(solve(head, { times = { 0, 0.25, 1 }, tableau = EULER }),
      first + 0.75 * (A * first + 2 * 0.25 + 0.2), 1e-6)
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

-- ---- the fused op against single ops ----

local composed = require "gal.flow.composed"
local ffi = require "ffi"
local C = ffi.C

-- How far two tensors are apart at most, relative to the largest of the second.
local function apart(a, b) return (a - b):abs():max():item() / math.max(1e-30, b:abs():max():item()) end

check.case("fused and composed agree to 1e-5 in samples and 1e-4 nats in densities, at any size", function()
  local r = gal.rng(17)
  local function pick(low, high)
    return low + math.floor(gal.rand({ 1 }, { rng = r }):item() * (high - low + 1))
  end
  local names = {}
  for name in pairs(nn.activations) do names[#names + 1] = name end
  table.sort(names)
  for trial = 1, check.sized(12, 4) do
    local hidden, d, c, name = {}, pick(1, 20), trial == 1 and 0 or pick(0, 300), names[trial % #names + 1]
    for i = 1, pick(1, 5) do hidden[i] = pick(16, trial % 3 == 0 and 512 or 150) end
    local flow = flows.new { theta = d, context = c, hidden = hidden, activation = name, rng = r }
    local rows, share = pick(1, 70), pick(1, 9)
    local features = c > 0 and gal.randn({ math.ceil(rows / share), c }, { rng = r }) or nil
    local start = gal.randn({ rows, d }, { rng = r })
    local what = ("trial %d, seed 17: %s {%s}, d = %d, context %d, rows %d"):format(trial, name,
      table.concat(hidden, ", "), d, c, rows)
    local times = { 0, 0.2, 0.5, 1 }
    local a, b = start:clone(), start:clone()
    integrate.run(flow, a, features, share, { times = times })
    composed.run(flow, b, features, share, times, integrate.RK4, false)
    check.that(apart(a, b) < 1e-5,
      ("%s: samples are apart by %.3g of the largest, tolerance 1e-5"):format(what, apart(a, b)))
    a, b = start:clone(), start:clone()
    local x = integrate.run(flow, a, features, share, { times = times, density = true, backward = true })
    local y = composed.run(flow, b, features, share, { 1, 0.5, 0.2, 0 }, integrate.RK4, true)
    local off = (x - y):abs():max():item()
    check.that(off < 1e-4 and apart(a, b) < 1e-5,
      ("%s: the integrals are apart by %.3g nats, tolerance 1e-4"):format(what, off))
  end
end)

check.case("progress reports rows in ascending order, and changes no bit", function()
  local flow = flows.new { theta = 3, context = 2, hidden = { 64, 64, 64 }, rng = gal.rng(2) }
  local n = check.sized(20000, 2000)
  local start = gal.randn({ n, 3 }, { rng = gal.rng(3) })
  local features, told = gal.randn({ n, 2 }, { rng = gal.rng(4) }), {}
  local once, pieces = start:clone(), start:clone()
  integrate.run(flow, once, features, 1, { steps = 6 })
  integrate.run(flow, pieces, features, 1,
    { steps = 6, progress = function(rows) told[#told + 1] = rows end })
  check.equal((once - pieces):abs():max():item(), 0)
  check.that(#told > 0 and told[#told] <= n, "progress was not called")
  for i = 2, #told do
    check.that(told[i] > told[i - 1], "rows done went from " .. told[i - 1] .. " to " .. told[i])
  end
end)

check.case("a head of other layers runs as single ops, and one notice says so", function()
  local said = {}
  for _ = 1, 3 do
    integrate.run(flows.new { theta = 1, context = 1, head = heads.opaque }, gal.zeros { 2, 1 },
      gal.zeros { 1, 1 }, 1, { steps = 1 })
    local notice = ffi.C.gal_notice()
    while notice ~= nil do
      said[#said + 1] = ffi.string(notice)
      notice = ffi.C.gal_notice()
    end
  end
  check.equal(#said, 1)
  check.that(said[1]:find "single ops", said[1])
end)

check.case("bfloat16 keeps a trained posterior's means within .01 and deviations within 1 %", function()
  -- theta ~ N(0, I), x = theta + .5 eps: the posterior is N(.8 x, .2 I).
  local r = gal.rng(21)
  local theta, noise = gal.randn({ 4000, 2 }, { rng = r }), gal.randn({ 4000, 2 }, { rng = r })
  local x = theta + noise * 0.5
  local width = check.sized(64, 16)
  local flow = flows.new { theta = 2, context = 2, hidden = { width, width, width }, rng = r }:to "cpu"
  require("gal.train").fit { flow = flow, theta = theta, context = x, epochs = 15, batch = 100, lr = 2e-3,
    decay = 0.99, seed = 1, progress = false }
  flow:to(gal.device())
  local seen, n = flow:standard(gal.tensor { { 0, 0 }, { 1, -1 }, { -2, 0.5 } }), check.sized(20000, 1000)
  local start = gal.randn({ 3 * n, 2 }, { rng = gal.rng(22) })
  local function moments(precision)
    local z = start:clone()
    integrate.run(flow, z, seen, n, { steps = check.sized(50, 10), precision = precision })
    z = z:reshape { 3, n, 2 }
    return z:mean(2), z:std(2), z
  end
  local mean, deviation, exact = moments "f32"
  check.near(mean * flow.scale.theta_std + flow.scale.theta_mean, { { 0, 0 }, { 0.8, -0.8 }, { -1.6, 0.4 } },
    0.15, "the training did not come near the posterior")
  local float32_only = false
  ffi.cdef "int setenv(const char *name, const char *value, int replace);"
  for _, way in ipairs { "amx", "dot" } do
    C.setenv("GALRUN_BF16", way, 1)
    local half_mean, half_deviation, rounded = moments "bf16"
    check.near(half_mean, mean, 0.01, way .. ": means")
    check.near(half_deviation / deviation, { { 1, 1 }, { 1, 1 }, { 1, 1 } }, 0.01, way .. ": deviations")
    float32_only = float32_only or C.gal_notice() ~= nil
    if not float32_only then
      check.that((rounded - exact):abs():max():item() > 1e-4, way .. ": nothing was rounded")
    end
  end
end)

check.case("bfloat16 is refused for densities, and a precision that the device lacks by its name", function()
  local flow = flows.new { theta = 1, context = 0, hidden = { 8 } }
  check.raises(function()
    integrate.run(flow, gal.zeros { 1, 1 }, nil, 1, { steps = 1, precision = "bf16", density = true })
  end, "too coarse for densities")
  local function in_f16()
    return integrate.run(flow, gal.zeros { 1, 1 }, nil, 1, { steps = 1, precision = "f16" })
  end
  if C.gal_device_precision(gal.device(), "flow_integrate", C.GAL_IN_F16) == C.GAL_OK then
    in_f16()
  else
    check.raises(in_f16, "precision is f16, which .* does not have")
  end
end)

check.finish()
