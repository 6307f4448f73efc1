-- Flows on the CUDA device: a training step is few nodes and, captured, the eager one; a run goes on from
-- cuda to cpu and back; samples and densities are the CPU's to rounding, and a row has its own bits. Small
-- twins of tests/lua/train.lua, flow.lua and integrate.lua. Run with --device cuda, a card or its double.
local check = dofile "lua/lib/check.lua"
local card = dofile "lua/lib/card.lua"
local scratch = dofile "lua/lib/scratch.lua"
local ffi = require "ffi"
local gal = require "gal"
local flows = require "gal.flow"
local integrate = require "gal.flow.integrate"
local optim = require "gal.optim"
local step = require "gal.train.step"
local fit = require("gal.train").fit
local case, equal, that = check.case, check.equal, check.that
local bits, weights = check.bits, check.weights

-- theta ~ N(0, 1) in each of two dimensions, x = theta + eps / 2.
local function problem(n, seed)
  local r = gal.rng(seed)
  local theta = gal.randn({ n, 2 }, { rng = r, device = "cpu" })
  return theta, theta + gal.randn({ n, 2 }, { rng = r, device = "cpu" }) * 0.5
end

local function small(device)
  local flow = flows.new { theta = { "a", "b" }, context = { "x", "y" }, hidden = { 24, 24 },
    rng = gal.rng(1) }
  return device and flow:to(device) or flow
end

local function options(given)
  local theta, x = problem(240, 4)
  local o = { flow = small(), theta = theta, context = x, batch = 40, epochs = 3, seed = 3,
    schedule = "constant", progress = false }
  for key, value in pairs(given) do o[key] = value end
  return o
end

-- The photometry model's stepper over random rows.
local function stepper(recorded)
  local flow = flows.new { theta = 5, context = 5, rng = gal.rng(3) }
  local n = 256
  local function rows(seed) return gal.randn({ n, 5 }, { rng = gal.rng(seed), device = "cuda" }) end
  local theta, x = rows(1), rows(2)
  flow:standardise(theta, x)
  local opt = optim.adamw(flow:parameters(), { average = 0.999 })
  local s = step.stepper(flow, opt, { theta = theta, seen = x, n = n },
    { batch = 64, draws = 1, seed = 1, recorded = recorded })
  s:start_epoch()
  return s, flow
end

case("the photometry step is a graph of at most 20 nodes, and has the eager step's bits", function()
  local captured, flow = stepper(true)
  local eager, other = stepper(false)
  captured:run(1)
  local count, names = card.nodes()
  that(not count or (count > 0 and count <= 20), ("%s nodes: %s"):format(count, names))
  captured:run(3)
  eager:run(4)
  that(weights(flow) == weights(other), "captured and eager steps differ")
end)

case("a run is the same twice, and a resumed one is the undisturbed one, bit for bit", function()
  local whole = fit(options { out = scratch.path "whole" })
  fit(options { out = scratch.path "parts", epochs = 1 })
  local parts = fit(options { out = scratch.path "parts", resume = true })
  equal(parts.history, whole.history)
  that(weights(parts.flow) == weights(whole.flow), "the weights differ")
end)

case("a run that begins on one device goes on on the other", function()
  local whole = fit(options { flow = small "cpu" })
  for _, devices in ipairs { { "cpu", "cuda", "cpu" }, { "cuda", "cpu", "cuda" } } do
    local out, run = scratch.path(table.concat(devices, "_")), nil
    for epoch, device in ipairs(devices) do
      run = fit(options { flow = small(device), out = out, epochs = epoch, resume = epoch > 1 })
      equal(run.flow:parameters()[1]:device(), device)
    end
    for epoch, row in ipairs(whole.history) do
      check.near(run.history[epoch].train_loss, row.train_loss, 1e-5 * row.train_loss)
      check.near(run.history[epoch].valid_loss, row.valid_loss, 1e-5 * row.valid_loss)
    end
  end
end)

case("linear layers train in every precision that a card has, and a run goes on in none other", function()
  local exact = fit(options {})
  for precision, tolerance in pairs { tf32 = 2e-3, f16 = 2e-3, bf16 = 1.5e-2 } do
    local out = scratch.path(precision)
    local run = fit(options { precision = precision, out = out })
    for epoch, row in ipairs(exact.history) do
      check.near(run.history[epoch].train_loss, row.train_loss, tolerance * row.train_loss, precision)
    end
    -- Products as small as these are in float32 whatever was asked for; kernels.lua has larger ones.
    that(weights(run.flow) == weights(exact.flow), precision .. ": a small product was rounded")
    check.raises(function() fit(options { out = out, resume = true }) end, "precision was \"?" .. precision)
    check.raises(function() fit(options { flow = small "cpu", precision = precision }) end,
      "which cpu does not have for linear layers, and the flow has no encoder with convolutions")
  end
end)

case("samples and densities are the CPU's to rounding, and a galaxy's don't depend on the others", function()
  local flow, other = small "cuda", small "cpu"
  local theta, x = problem(9, 6)
  flow:standardise(theta:to "cuda", x:to "cuda")
  other:standardise(theta, x)
  local asked = { n = 7, steps = 4 }
  local function sample(f, rows, o)
    return f:sample(rows, { n = o.n, steps = o.steps, rng = gal.rng(5) })
  end
  local draws = sample(flow, x, asked)
  card.close(draws, sample(other, x, asked), 1e-5, "samples")
  local log_prob = flow:log_prob(theta, x, { steps = 4 })
  card.close(log_prob, other:log_prob(theta, x, { steps = 4 }), 1e-5, "densities")
  that(bits(sample(flow, x:narrow(1, 3, 1), asked)) == bits(draws:to("cpu"):narrow(1, 3, 1):clone()),
    "a galaxy alone has other samples")
  that(bits(flow:log_prob(theta:narrow(1, 3, 1), x:narrow(1, 3, 1), { steps = 4 }))
    == bits(log_prob:to("cpu"):narrow(1, 3, 1):clone()), "a galaxy alone has another density")
end)

case("the integrator takes nets of any width and many dimensions, with and without the divergence", function()
  local nets = { { 1, 0, { 5 } }, { 3, 4, { 40, 300 } }, { 40, 2, { 50 } }, { 4, 3, { 1100, 9 } } }
  for _, net in ipairs(nets) do
    local d, c, hidden = unpack(net)
    local results = {}
    for i, device in ipairs { "cpu", "cuda" } do
      local flow = flows.new { theta = d, context = c, hidden = hidden, rng = gal.rng(7) }:to(device)
      local function given(rows, columns, seed)
        return gal.randn({ rows, columns }, { rng = gal.rng(seed), device = "cpu" }):to(device)
      end
      local theta, features = given(35, d, 8), c > 0 and given(12, c, 9) or nil
      local again = theta:clone()
      integrate.run(flow, theta, features, 3, { times = { 0, 0.4, 1 } })
      local integral = integrate.run(flow, again, features, 3, { times = { 0, 0.4, 1 }, density = true })
      results[i] = { theta, again, integral }
    end
    for k, name in ipairs { "theta", "theta with the divergence", "the divergence" } do
      card.close(results[2][k], results[1][k], 2e-5, ("%s, d = %d, context %d"):format(name, d, c))
    end
  end
end)

case("a replayed permutation is the CPU's next one, to the bit, and its program is a graph", function()
  local words = gal.rng(6):tensor "cuda"
  local core = require "gal.tensor"
  local y = core.new({ 50 }, "int64", "cuda")
  local p = gal.program(function() equal(ffi.C.gal_permutation(y.h, words.h), 0) end, "cuda")
  p:replay(2)
  local r = gal.rng(6)
  local order
  for _ = 1, 3 do order = r:permutation(50) end
  that(bits(y) == bits(order), "the third permutation differs")
  local count, names = card.nodes()
  that(not count or count == 4, ("%s nodes: %s"):format(count, names))
end)

case("Ctrl-C ends a replay and the integrator, and the device goes on", function()
  local x = gal.zeros({ 3 }, { device = "cuda" })
  local p = gal.program(function() ffi.C.gal_affine(x.h, x.h, 1, 1) end, "cuda")
  local flow = flows.new { theta = 2, context = 0, hidden = { 4 }, rng = gal.rng(7) }
  local theta = gal.zeros({ 5, 2 }, { device = "cuda" })
  for _, work in ipairs { function() p:replay(5) end,
    function() integrate.run(flow, theta, nil, 1, { times = { 0, 1 } }) end } do
    ffi.C.gal_interrupt_set(1)
    local ok, why = pcall(work)
    ffi.C.gal_interrupt_set(0)
    that(not ok and why == gal.interrupted, "it raised " .. tostring(why))
  end
  p:replay(2)
  equal(x:totable(), { 3, 3, 3 })
end)

scratch.remove()
check.finish()
