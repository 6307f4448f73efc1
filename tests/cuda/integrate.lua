-- The integrator in fewer bits: draws and densities of a trained flow against the CPU's and against double
-- precision, every kind of net, a row's own bits. Run with --device cuda, a card or its double.
local check = dofile "lua/lib/check.lua"
local scratch = dofile "lua/lib/scratch.lua"
local ffi = require "ffi"
local gal = require "gal"
local flows = require "gal.flow"
local integrate = require "gal.flow.integrate"
local velocity = require "gal.flow.velocity"
local fit = require("gal.train").fit
local case, equal, raises, that = check.case, check.equal, check.raises, check.that
local bits = check.bits

-- The largest difference, in units of the largest expected.
local function off(found, expected)
  return (found:to "cpu" - expected):abs():max():item() / expected:abs():max():item()
end

local function within(value, most, what)
  that(value <= most, ("%s: %.3g, expected at most %.3g"):format(what, value, most))
end

-- ---- a trained flow: five properties, x = theta + eps / 2, so that theta | x ~ N(0.8 x, 0.2) ----

local D = 5
local function problem(n, seed)
  local r = gal.rng(seed)
  local theta = gal.randn({ n, D }, { rng = r, device = "cpu" })
  return theta, theta + gal.randn({ n, D }, { rng = r, device = "cpu" }) * 0.5
end

local trained = {}
do
  local theta, x = problem(4000, 4)
  local flow = flows.new { theta = D, context = D, hidden = { 64, 48 }, rng = gal.rng(1) }:to "cpu"
  trained.cpu = fit { flow = flow, theta = theta, context = x, batch = 64, lr = 2e-3, epochs = 15, seed = 3,
    floor = "off", progress = false }.flow
  local path = scratch.path "flow.safetensors"
  trained.cpu:save(path)
  trained.cuda = flows.load(path, { device = "cuda" })
end

-- The net's layers in double precision: {weight = rows of lists, bias = a list, inputs, outputs}.
local function layers_of(flow)
  local layers = {}
  for i, l in ipairs(velocity.layers(flow.head)) do
    layers[i] = {
      weight = l.weight:totable(), bias = l.bias:totable(), inputs = l.inputs, outputs = l.outputs,
    }
  end
  return layers
end

-- The velocity at y = {t, theta, features} and its divergence, in double precision; hidden layers are silu.
local function velocity_of(layers, y)
  local tangents = {}
  for j = 1, D do
    tangents[j] = {}
    for i = 1, #y do tangents[j][i] = i == 1 + j and 1 or 0 end
  end
  for number, l in ipairs(layers) do
    local z, t = {}, {}
    for j = 1, D do t[j] = {} end
    for o = 1, l.outputs do
      local w, sum = l.weight[o], l.bias[o]
      for i = 1, l.inputs do sum = sum + w[i] * y[i] end
      local s = 1 / (1 + math.exp(-sum))
      local slope = number < #layers and s * (1 + sum * (1 - s)) or 1
      z[o] = number < #layers and sum * s or sum
      for j = 1, D do
        local from, product = tangents[j], 0
        for i = 1, l.inputs do product = product + w[i] * from[i] end
        t[j][o] = product * slope
      end
    end
    y, tangents = z, t
  end
  local trace = 0
  for j = 1, D do trace = trace + tangents[j][j] end
  return y, trace
end

-- log p of one standardised point, by `steps` steps of the classical method from t = 1 to 0.
local function log_density(layers, theta, features, steps)
  local integral, h = 0, -1 / steps
  local C, B = { 0, 0.5, 0.5, 1 }, { 1 / 6, 1 / 3, 1 / 3, 1 / 6 }
  for step = 1, steps do
    local k, sums, trace_sum = nil, {}, 0
    for j = 1, D do sums[j] = 0 end
    for stage = 1, 4 do
      local y, trace = { 1 + (step - 1 + C[stage]) * h }, nil
      for j = 1, D do y[1 + j] = theta[j] + (k and h * C[stage] * k[j] or 0) end
      for j = 1, D do y[1 + D + j] = features[j] end
      k, trace = velocity_of(layers, y)
      for j = 1, D do sums[j] = sums[j] + B[stage] * k[j] end
      trace_sum = trace_sum + B[stage] * trace
    end
    for j = 1, D do theta[j] = theta[j] + h * sums[j] end
    integral = integral + h * trace_sum
  end
  local square = 0
  for j = 1, D do square = square + theta[j] ^ 2 end
  return -0.5 * square - 0.5 * D * math.log(2 * math.pi) + integral
end

case("log densities of a trained flow are double precision's, to 5e-3 nats (rms) in f16 and TF32", function()
  local theta, x = problem(80, 5)
  local scale = trained.cpu.scale
  local z, seen = (theta - scale.theta_mean) / scale.theta_std, trained.cpu:standard(x)
  z, seen = z:totable(), seen:totable()
  local layers, exact, log_scale = layers_of(trained.cpu), {}, 0
  for _, v in ipairs(scale.theta_std:totable()) do log_scale = log_scale + math.log(v) end
  for i = 1, #z do exact[i] = log_density(layers, z[i], seen[i], 5) - log_scale end
  for precision, most in pairs { f32 = 2e-5, tf32 = 5e-3, f16 = 5e-3 } do
    local found, sum = trained.cuda:log_prob(theta, x, { steps = 5, precision = precision }):totable(), 0
    for i, v in ipairs(found) do sum = sum + (v - exact[i]) ^ 2 end
    local rms = (sum / #exact) ^ 0.5
    within(rms, most, precision .. ": rms error, nats")
    that(precision == "f32" or rms > 1e-5, precision .. ": nothing was rounded")
    if os.getenv "GAL_SHOW" then print(precision, rms) end
  end
end)

case("draws of a trained flow are the CPU's, and so are their means and deviations", function()
  local _, x = problem(16, 6)
  local function draws(device, precision, steps)
    return trained[device]:sample(x, { n = 96, steps = steps, precision = precision, rng = gal.rng(7) })
  end
  for _, steps in ipairs { 5, "auto" } do
    local expected = draws("cpu", "f32", steps)
    local mean, deviation = expected:mean(2), expected:std(2)
    for precision, most in pairs { f32 = 1e-5, tf32 = 2e-3, f16 = 2e-3, bf16 = 1.5e-2 } do
      local found = draws("cuda", precision, steps):to "cpu"
      local what = ("%s, steps = %s"):format(precision, steps)
      within(off(found, expected), most, what .. ": draws")
      if precision ~= "bf16" then
        within(((found:mean(2) - mean) / deviation):abs():max():item(), 0.01, what .. ": means, deviations")
        within((found:std(2) / deviation - 1):abs():max():item(), 0.01, what .. ": deviations, less 1")
      end
      local moved = ((found - expected) / deviation:reshape { 16, 1, D }):pow(2):mean():sqrt():item()
      that(precision == "f32" or moved > 1e-6, what .. ": nothing was rounded")
      if os.getenv "GAL_SHOW" then print(what, off(found, expected), moved) end
    end
  end
end)

case("steps = \"auto\" chooses the CPU's steps, and both name the same error", function()
  local theta, x = problem(12, 8)
  for _, name in ipairs { "sample", "log_prob" } do
    local found = {}
    for i, device in ipairs { "cpu", "cuda" } do
      local flow, tight = trained[device], 2e-5
      if name == "sample" then
        found[i] = select(2, flow:sample(x, { n = 40, steps = "auto", tolerance = tight, rng = gal.rng(9) }))
      else
        found[i] = select(2, flow:log_prob(theta, x, { steps = "auto", tolerance = tight }))
      end
    end
    local a, b = unpack(found)
    equal(b.steps:totable(), a.steps:totable())
    -- Beside the error there is what float32 leaves of a difference.
    local apart = ((a.error - b.error):abs() - a.error * 0.05):max():item()
    within(apart, 2e-6, name .. ": errors apart")
    that(a.error:max():item() > 1e-6 and a.steps:max():item() > 3, "nothing to choose")
  end
end)

-- ---- any net ----

-- theta and, with density, the divergence of 101 rows of three a galaxy, from row `first` on.
local function run(net, device, o)
  local flow = flows.new { theta = net.d, context = net.c, hidden = net.hidden, activation = net.activation,
    rng = gal.rng(7) }:to(device)
  local first, rows = o.first or 0, o.rows or 101
  local function given(n, columns, seed)
    return gal.randn({ n, columns }, { rng = gal.rng(seed), device = "cpu" }):to(device)
  end
  local theta = given(101, net.d, 8):narrow(1, first + 1, rows):clone()
  local features = net.c > 0 and given(34, net.c, 9):narrow(1, math.floor(first / 3) + 1,
    math.ceil(rows / 3)):clone() or nil
  local integral = integrate.run(flow, theta, features, 3, { times = o.times or { 0, 0.4, 1 },
    density = o.density, precision = o.precision })
  return theta, integral
end

local MOST = { tf32 = 2e-3, f16 = 2e-3, bf16 = 1.5e-2 }
local NETS = {
  { d = 1, c = 0, hidden = { 5 } },
  { d = 3, c = 4, hidden = { 40, 72 }, activation = "gelu" },
  { d = 7, c = 2, hidden = { 24, 136, 16 }, activation = "tanh" },
  { d = 12, c = 1, hidden = { 48 }, activation = "silu" },
  { d = 2, c = 1, hidden = { 256, 24 }, activation = "silu" },
}

case("nets of any width, depth and activation are integrated to the precision's rounding", function()
  for number, net in ipairs(NETS) do
    for _, density in ipairs { false, true } do
      local expected, sums = run(net, "cpu", { density = density })
      for precision, most in pairs(MOST) do
        if not (density and precision == "bf16") then
          local found, found_sums = run(net, "cuda", { density = density, precision = precision })
          local what = ("net %d in %s"):format(number, precision)
          within(off(found, expected), most, what)
          if density then within(off(found_sums, sums), most, what .. ": divergence") end
        end
      end
    end
  end
end)

case("a row has its own bits, alone, in any place of any call, and in many launches", function()
  local net = { d = 3, c = 2, hidden = { 24, 40 } }
  for precision in pairs(MOST) do
    for _, density in ipairs { false, true } do
      if not (density and precision == "bf16") then
        local all, sums = run(net, "cuda", { precision = precision, density = density })
        for _, part in ipairs { { 0, 1 }, { 3, 50 }, { 99, 2 } } do
          local own, own_sums = run(net, "cuda",
            { precision = precision, density = density, first = part[1], rows = part[2] })
          that(bits(own) == bits(all:narrow(1, part[1] + 1, part[2]):clone()), precision .. ": other bits")
          that(not density or bits(own_sums) == bits(sums:narrow(1, part[1] + 1, part[2]):clone()),
            precision .. ": other bits of the divergence")
        end
      end
    end
  end
  -- 100 steps of four stages are one launch, of the same row 250 steps three.
  local times = {}
  for i = 0, 250 do times[i + 1] = i / 250 end
  local small = { d = 2, c = 1, hidden = { 8 } }
  local o = { precision = "f16", density = true, times = times, rows = 9 }
  local found, sums = run(small, "cuda", o)
  o.precision = "f32"
  local expected, expected_sums = run(small, "cpu", o)
  within(off(found, expected), 2e-3, "250 steps")
  within(off(sums, expected_sums), 2e-3, "250 steps: divergence")
end)

case("a net that is too wide is integrated in float32, and a notice says so", function()
  local wide = { d = 2, c = 1, hidden = { 300 } }
  local found = run(wide, "cuda", { precision = "f16", rows = 9 })
  local notice = ffi.C.gal_notice()
  that(notice ~= nil and ffi.string(notice):find("more than 256 outputs", 1, true), "there is no notice")
  that(bits(found) == bits(run(wide, "cuda", { rows = 9 })), "it is not float32")
end)

case("bf16 is refused for densities, and with \"auto\" log_prob takes no rounding but float32's", function()
  local theta, x = problem(3, 10)
  raises(function() trained.cuda:log_prob(theta, x, { precision = "bf16" }) end,
    'log_prob: precision is "bf16", too coarse for densities', true)
  raises(function() trained.cuda:log_prob(theta, x, { precision = "f16", steps = "auto" }) end,
    'log_prob: precision is "f16" with steps = "auto"', true)
end)

scratch.remove()
check.finish()
