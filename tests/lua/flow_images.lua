-- Flows with an encoder of images, uint8 or float32: trained, resumed, saved, loaded and sampled as flows
-- without one, with dropout in both nets.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local core = require "gal.tensor"
local nn = require "gal.nn"
local flows = require "gal.flow"
local fit = require("gal.train").fit
local sets = require "gal.images"
local tiles = require "gal.flow.tiles"

local scratch = dofile "lua/lib/scratch.lua"
local folder, text_of = scratch.path, scratch.read

local bits = check.bits
local function state_bits(flow)
  local names, parts = {}, {}
  for name in pairs(flow:state()) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    local t = flow:state()[name]
    parts[i] = name .. (t.dtype == "float32" and bits(t) or tostring(core.read(t)[1]))
  end
  return table.concat(parts)
end

local SIZE = 8
local function bytes_of(images)
  local y = core.new(images.shape, "uint8")
  core.assign(y, images * 255 + 0.5)
  return y
end

-- A blob on the left or on the right, of red or blue light: theta = (where, colour) with some scatter; the
-- context knows the colour, badly.
local function problem(n, seed)
  local options = { rng = gal.rng(seed) }
  local where, colour = gal.rand({ n, 1, 1, 1 }, options), gal.rand({ n, 1, 1, 1 }, options)
  local x = gal.arange(0.5, SIZE - 0.5):reshape { 1, 1, SIZE, 1 } / SIZE
  local blob = 1 / (1 + ((x - where) * 6) ^ 2)
  local channels = gal.cat({ blob * colour, blob * 0.5, blob * (1 - colour) }, 4)
  local images = channels + gal.zeros { 1, SIZE, 1, 1 } + gal.rand({ n, SIZE, SIZE, 3 }, options) * 0.02
  local theta = gal.cat({ where:reshape { n, 1 }, colour:reshape { n, 1 } }, 2)
    + gal.randn({ n, 2 }, options) * 0.02
  local context = colour:reshape { n, 1 } + gal.randn({ n, 1 }, options)
  return theta, context, bytes_of(images:minimum(1))
end

local function small(seed, options)
  local r = gal.rng(seed or 1)
  -- The place in the image survives the flattening, where a mean over all pixels would lose it.
  local o = {
    theta = { "where", "colour" }, context = { "c" }, image = { SIZE, SIZE, 3 }, hidden = { 32, 32 }, rng = r,
    encoder = nn.sequential {
      nn.conv2d(3, 8, 3, { rng = r }), nn.silu(), nn.avg_pool2d(2), nn.conv2d(8, 8, 3, { rng = r }),
      nn.silu(), nn.avg_pool2d(2), nn.dropout(0.1, { rng = r }), nn.flatten(),
      nn.linear(32, 8, { rng = r }),
    },
  }
  for key, value in pairs(options or {}) do o[key] = value end
  return flows.new(o)
end

local function options(given)
  local theta, context, images = problem(given.rows or 200, 4)
  given.rows = nil
  local o = { flow = small(), theta = theta, context = context, images = images, batch = 40, epochs = 3,
    preset = "paper",
    seed = 3, progress = false }
  for key, value in pairs(given) do o[key] = value end
  return o
end

-- Where a device is slow, a short training that has to come less far.
check.case("what the image shows is learned, and the context does not know it", function()
  local quick = gal.device() ~= "cpu"
  local theta, context, images = problem(quick and 600 or 1500, 1)
  local flow = small(1, { sigma = 0.02 })
  local run = fit { flow = flow, theta = theta, context = context, images = images, batch = 50, lr = 3e-3,
    schedule = "cosine", decay = 0.99, epochs = quick and 8 or 15, patience = 15, draws = 4, seed = 1,
    progress = false }
  check.equal({ run.stopped, run.recorded }, { "epochs", true })
  local truth, seen, pictures = problem(60, 2)
  local draws = flow:sample({ seen, pictures }, { n = 100, steps = 10, rng = gal.rng(5) })
  check.equal(draws.shape, { 60, 100, 2 })
  local off = ((draws:mean(2) - truth):pow(2):mean(1) ^ 0.5):totable()
  -- Both are uniform in [0, 1]: knowing nothing is off by .29.
  for i, name in ipairs(flow.theta) do
    check.that(off[i] < (quick and 0.2 or 0.12), ("%s is off by %.3f"):format(name, off[i]))
  end
  check.that(flow:log_prob(truth, { seen, pictures }, { steps = 10 }):mean():item() > 0.5,
    "log_prob is that of a flow that has learned nothing (0)")
end)

check.case("replayed steps are the eager steps bit for bit, with dropout and with several draws", function()
  for _, draws in ipairs { 1, 3 } do
    local one, two = options { draws = draws }, options { draws = draws }
    two.recorded = false
    local a, b = fit(one), fit(two)
    check.equal({ a.recorded, b.recorded }, { true, false })
    check.equal(a.history, b.history)
    check.that(state_bits(a.flow) == state_bits(b.flow), "the states differ")
  end
end)

check.case("a resumed run is the undisturbed one, bit for bit, dropout's stream included", function()
  local whole = fit(options { out = folder "whole", epochs = 4, draws = 2 })
  fit(options { out = folder "parts", epochs = 1, draws = 2 })
  for _, epochs in ipairs { 2, 4 } do
    local o = options { out = folder "parts", epochs = epochs, draws = 2, resume = true }
    o.flow = small(99) -- other first weights and another stream, which the checkpoint's replace
    local run = fit(o)
    if epochs == 4 then
      check.equal(run.history, whole.history)
      check.that(state_bits(run.flow) == state_bits(whole.flow), "the states differ")
    end
  end
  for _, name in ipairs { "history.csv", "flow.safetensors", "checkpoint.safetensors" } do
    check.that(text_of(folder "parts/" .. name) == text_of(folder "whole/" .. name), name .. " differs")
  end
end)

check.case("precision = bf16 rounds the convolutions of the training and nothing else", function()
  local layer = nn.conv2d(3, 8, 3, { rng = gal.rng(1) })
  local image = gal.rand({ 1, 4, 4, 3 }, { rng = gal.rng(2) })
  local before = bits(layer(image))
  -- With a rate of 0 the weights stay what they were: the training's loss shows the rounding, the
  -- validation's, of the same weights, must not.
  local exact = fit(options { lr = 0, weight_decay = 0, epochs = 1 })
  local rounded = fit(options { lr = 0, weight_decay = 0, epochs = 1, precision = "bf16" })
  check.equal(rounded.history[1].valid_loss, exact.history[1].valid_loss)
  local off = math.abs(rounded.history[1].train_loss / exact.history[1].train_loss - 1)
  check.that(off < 1.5e-2, ("the training's loss is off by %.3g, relative"):format(off))
  check.that(off > 1e-8 or C.gal_notice() ~= nil, "nothing was rounded, and no notice says so")
  check.that(bits(layer(image)) == before, "float32 is not back after the training")
end)

check.case("replayed steps of bf16 are the eager steps to the last bit, and are resumed so", function()
  local one, two = options { precision = "bf16", out = folder "half" }, options { precision = "bf16" }
  two.recorded = false
  local a, b = fit(one), fit(two)
  check.equal({ a.recorded, b.recorded }, { true, false })
  check.that(state_bits(a.flow) == state_bits(b.flow), "the states differ")
  local whole = fit(options { precision = "bf16", epochs = 4 })
  local on = fit(options { precision = "bf16", epochs = 4, out = folder "half", resume = true })
  check.that(state_bits(whole.flow) == state_bits(on.flow), "the resumed state differs")
  check.raises(function() fit(options { epochs = 5, out = folder "half", resume = true }) end,
    "other settings: precision was \"?bf16", true)
end)

check.case("a precision is one that the device has, and needs an encoder", function()
  check.raises(function() fit(options { precision = "f16" }) end,
    "fit: precision is f16, which .* does not have for it, expected f32 or bf16")
  check.raises(function() fit(options { precision = "f8" }) end, "fit: precision is the string \"f8\"")
  check.raises(function()
    fit { flow = flows.new { theta = 1, context = 0, hidden = { 4 } }, theta = gal.zeros { 20, 1 },
      precision = "bf16" }
  end, "fit: precision is \"bf16\", which .* does not have for linear layers, and the flow has no encoder")
end)

check.case("a run is not resumed on other images", function()
  local o = options { out = folder "other" }
  fit(o)
  o = options { out = folder "other", resume = true, epochs = 5 }
  local changed = o.images:clone()
  changed:set(changed:get(1, 1, 1, 1) > 100 and 0 or 255, 1, 1, 1, 1)
  o.images = changed
  check.raises(function() fit(o) end,
    "fit: the run in .* began with other settings: the training rows have other images", true)
end)

check.case("a flow is loaded with its encoder, and takes uint8 images for float32 ones / 255", function()
  local theta, context, images = problem(30, 7)
  local flow = small()
  flow:standardise(theta, context, images)
  local path = folder "flow.safetensors"
  flow:save(path)
  local again = flows.load(path, { device = gal.device() })
  check.equal({ again.e, again.c, again.d, again.image }, { 8, 1, 2, { SIZE, SIZE, 3 } })
  local x = { context:narrow(1, 1, 6), images:narrow(1, 1, 6) }
  local draws = flow:sample(x, { n = 5, steps = 4, rng = gal.rng(1) })
  check.equal(again:sample(x, { n = 5, steps = 4, rng = gal.rng(1) }), draws)
  check.equal(again:log_prob(draws, x, { steps = 4 }), flow:log_prob(draws, x, { steps = 4 }))
  -- The random stream is made of the image's bytes, so that draws are others; the density is the same.
  check.near(flow:log_prob(draws, { x[1], x[2]:float() / 255 }, { steps = 4 }),
    flow:log_prob(draws, x, { steps = 4 }), 1e-5)
end)

check.case("means and deviations are those of all pixels of a channel", function()
  local theta, context, images = problem(300, 8)
  local flow = small()
  flow:standardise(theta, context, images)
  local all = (images:float() / 255):reshape { -1, 3 }
  check.near(flow.scale.image_mean, all:mean(1), 1e-6)
  check.near(flow.scale.image_std, all:std(1), 1e-6)
end)

check.case("draws and densities of a galaxy are the same to the last bit alone and in any batch", function()
  for _, head in ipairs { false, true } do
    local own = head and nn.sequential { nn.linear(12, 16), nn.layer_norm(16), nn.silu(), nn.dropout(0.5),
      nn.residual(nn.linear(16, 16)), nn.linear(16, 2) } or nil
    local flow = small(1, { head = own })
    local theta, context, images = problem(70, 9) -- more than one piece of 64
    flow:standardise(theta, context, images)
    local x, o = { context, images }, { n = 3, steps = 3, rng = gal.rng(2) }
    local draws, density = flow:sample_and_log_prob(x, o)
    local log_prob = flow:log_prob(theta, x, { steps = 3 })
    for _, i in ipairs { 1, 64, 65, 70 } do
      local alone = { context:narrow(1, i, 1), images:narrow(1, i, 1) }
      o.rng = gal.rng(2)
      local one, own_density = flow:sample_and_log_prob(alone, o)
      check.that(bits(one[1]) == bits(draws[i]), "draws of galaxy " .. i)
      check.that(bits(own_density[1]) == bits(density[i]), "their densities, galaxy " .. i)
      check.that(
        bits(flow:log_prob(theta:narrow(1, i, 1), alone, { steps = 3 })) == bits(log_prob:narrow(1, i, 1)),
        "log_prob of galaxy " .. i)
    end
    -- One galaxy with all of theta, and images without the first dimension.
    check.equal(flow:log_prob(theta, { context[1], images[1] }, { steps = 3 }).shape, { 70 })
  end
end)

check.case("an image is encoded once for all draws, steps and points, and dropout is off", function()
  local calls, images_seen, noisy = 0, 0, 0
  local inner = nn.sequential { nn.flatten(), nn.dropout(0.9), nn.linear(SIZE * SIZE * 3, 4) }
  local encoder = nn.module { inner = inner, forward = function(self, x)
    calls, images_seen = calls + 1, images_seen + x:size(1)
    if core.training() then noisy = noisy + 1 end
    return self.inner(x)
  end }
  local flow = small(1, { encoder = encoder })
  check.equal({ calls, flow.e }, { 1, 4 })
  local theta, context, images = problem(10, 3)
  flow:standardise(theta, context, images)
  calls, images_seen = 0, 0
  flow:sample({ context, images }, { n = 50, steps = 20 })
  flow:log_prob(gal.zeros { 10, 30, 2 }, { context, images }, { steps = 20 })
  local pieces = math.ceil(10 / gal.device_info().images)
  check.equal({ calls, images_seen, noisy }, { 2 * pieces, 20, 0 })
  calls, images_seen = 0, 0
  fit { flow = flow, theta = theta, context = context, images = images, valid = { 1, 2 }, batch = 8,
    epochs = 3, draws = 5, recorded = false, progress = false }
  -- Three epochs of one step on 8 images and a validation of 2.
  check.equal({ calls, images_seen, noisy }, { 6, 30, 3 })
end)

check.case("turned images are those that a set reads with the same turns, of views too", function()
  local x = bytes_of(gal.rand({ 2, 5, 5, 3 }, { rng = gal.rng(1) }))
  local set = sets.of(x)
  for turn = 0, 7 do
    local expected = set:read({ 1, 2 }, { turn, turn })
    check.equal(core.turned(x, turn), expected)
    check.equal(core.turned(x:float(), turn), expected:float())
    check.equal(core.turned(x:narrow(4, 2, 2), turn), expected:narrow(4, 2, 2):contiguous())
  end
  check.raises(function() core.turned(x:narrow(2, 1, 3), 1) end,
    "turned: x is {2, 3, 5, 3}, expected square images {N, H, H, C}", true)
end)

check.case("a symmetric flow says the same of an image in all eight orientations, loaded too", function()
  local theta, context, images = problem(6, 3)
  local lying, symmetric = small(), small(1, { symmetric = true })
  for _, flow in ipairs { lying, symmetric } do flow:standardise(theta, context, images) end
  local path = folder "symmetric.safetensors"
  symmetric:save(path)
  local again = flows.load(path, { device = gal.device() })
  local said, off, mean = symmetric:log_prob(theta, { context, images }, { steps = 4 }), 0, 0
  check.equal(again:log_prob(theta, { context, images }, { steps = 4 }), said)
  gal.no_grad(function()
    for turn = 0, 7 do
      local turned = core.turned(images, turn)
      mean = mean + lying:encode(lying:standard(context), turned) / 8
      check.near(symmetric:log_prob(theta, { context, turned }, { steps = 4 }), said, 1e-5)
      off = math.max(off,
        (lying:log_prob(theta, { context, turned }, { steps = 4 }) - said):abs():max():item())
    end
    check.near(tiles.features(symmetric, { context = context, images = images }, 1, 6), mean, 1e-6)
  end)
  check.that(off > 1e-3, ("a flow that is not symmetric turns with the image too, by %.3g"):format(off))
  check.raises(function() small(1, { symmetric = true, image = { 8, 6, 3 }, encoder = nn.flatten() }) end,
    "flow: symmetric is true, but image is {8, 6, 3}; expected a square one", true)
  check.raises(function() flows.new { theta = 1, context = 1, symmetric = true } end,
    "flow: symmetric is true, but there is no encoder of images", true)
end)

check.case("a flow of images alone has no context", function()
  local theta, _, images = problem(60, 5)
  local flow = small(1, { context = 0 })
  fit { flow = flow, theta = theta, images = images, batch = 20, epochs = 1, progress = false }
  check.equal(flow:sample(images:narrow(1, 1, 3), { n = 4, steps = 2 }).shape, { 3, 4, 2 })
  check.equal(flow:sample({ nil, images:narrow(1, 1, 3) }, { n = 4, steps = 2 }).shape, { 3, 4, 2 })
end)

check.case("wrong images are named at the caller's line", function()
  local theta, context, images = problem(10, 3)
  local flow = small()
  flow:standardise(theta, context, images)
  check.raises(function() flow:sample(context) end,
    "sample: x is a tensor {10, 1}, expected {x, images}", true)
  check.raises(function() flow:sample { context, gal.zeros { 10, 4, 4, 3 } } end,
    "sample: images is {10, 4, 4, 3}, expected {N, 8, 8, 3}", true)
  check.raises(function() flow:sample { context, images:narrow(1, 1, 4) } end,
    "sample: x has 10 rows and images 4, expected as many", true)
  check.raises(function() flow:sample { context, core.int64 { 10, 8, 8, 3 } } end,
    "sample: images is int64, expected uint8 or float32", true)
  local broken = images:float() / 255
  broken:set(0 / 0, 3, 2, 2, 1)
  check.raises(function() flow:sample { context, broken } end,
    "sample: image 3 holds a NaN or an infinity", true)
  check.raises(function() flow:sample { context, images:float() } end,
    "sample: images reach 2%d+, expected float32 from 0 to 1, or uint8", true)
  check.raises(function() fit { flow = small(), theta = theta, context = context } end,
    "fit: images is nil, expected a tensor", true)
  check.raises(function()
    flows.new { theta = 2, context = 1, encoder = nn.conv2d(3, 4, 3), image = { 8, 8, 3 } }
  end, "flow: the encoder makes a tensor {1, 8, 8, 4} of one image {1, 8, 8, 3}, expected {1, E}", true)
  check.raises(function()
    flows.new { theta = 2, context = 1, encoder = function() end, image = { 8, 8, 3 } }
  end, "flow: the encoder makes nil of one image {1, 8, 8, 3}, expected {1, E}", true)
end)

scratch.remove()
check.finish()
