-- Layers of images on the CUDA device against the CPU: convolutions of every precision, shape and way, pools
-- whose windows overlap; and the image model's training step: how many nodes it is, captured as it is eager,
-- resident as streamed, and a run that goes from cuda to cpu. Run with --device cuda, a card or its double.
local check = dofile "lua/lib/check.lua"
local card = dofile "lua/lib/card.lua"
local scratch = dofile "lua/lib/scratch.lua"
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local flows = require "gal.flow"
local nn = require "gal.nn"
local optim = require "gal.optim"
local step = require "gal.train.step"
local fit = require("gal.train").fit
local case, equal, that = check.case, check.equal, check.that
local bits, close, weights = check.bits, card.close, check.weights
local C = ffi.C

local function normal(shape, seed, device, scale)
  return (gal.randn(shape, { rng = gal.rng(seed), device = "cpu" }) * (scale or 1)):to(device)
end

local function zeros_like(x) return gal.zeros(x.shape, { device = x:device() }) end

-- ---- convolutions ----

-- n, h, w, in, out, kh, kw, and the options: odd and even channels, as first layers and later ones have them,
-- windows of every kind, strides, pixels that no mean takes, pools of 1 to 3. first: nobody asks for dx, as
-- of an encoder's first layer.
local LAYERS = {
  { 2, 12, 16, 3, 32, 3, 3, { activation = "silu", pool = 2 } },
  { 3, 10, 9, 2, 16, 3, 3, { activation = "gelu", pool = 2 } },
  { 2, 8, 8, 32, 64, 3, 3, { activation = "silu", pool = 2 } },
  { 2, 9, 11, 5, 7, 3, 3, { activation = "tanh", pool = 3 } },
  { 2, 9, 11, 4, 6, 2, 4, { activation = "silu" } },
  { 3, 13, 10, 3, 5, 5, 5, { stride = 2, padding = 2, activation = "relu" } },
  { 1, 7, 7, 8, 12, 1, 1, { activation = "identity", pool = 2 } },
  { 2, 6, 5, 8, 4, 3, 3, { activation = "identity", padding = 0 } },
  { 1, 5, 5, 1, 1, 5, 5, { activation = "silu", padding = 0 } },
  { 2, 20, 8, 4, 300, 3, 3, { activation = "silu", pool = 2 } },
  { 1, 21, 38, 3, 32, 3, 3, { activation = "silu", pool = 2, first = true } },
  { 3, 10, 9, 2, 16, 2, 3, { activation = "tanh", pool = 2, first = true } },
}
-- The float32 of a card is compared with the CPU's, which is off by as much itself.
local TOLERANCE = { f32 = 2e-6, tf32 = 2e-3, bf16 = 1.5e-2 }

-- y, dx, dw and db of a layer on a device; dw and db twice over, so that the second backward adds.
local function layer(size, device, precision, bias)
  local n, h, w, inputs, outputs, kh, kw, given = unpack(size)
  local fan = 1 / math.sqrt(kh * kw * inputs)
  local x = normal({ n, h, w, inputs }, 1, device)
  local weight = normal({ outputs, kh, kw, inputs }, 2, device, fan)
  local b = bias and normal({ outputs }, 3, device) or nil
  for _, t in ipairs { weight, b } do t:requires_grad() end
  if not given.first then x:requires_grad() end
  local o = { precision = precision, stride = given.stride, padding = given.padding, pool = given.pool,
    activation = given.activation }
  local y
  for _ = 1, 2 do
    y = core.conv2d(x, weight, b, o)
    y:backward(normal(y.shape, 4, device))
  end
  return { y = y:detach(), dx = x.grad, dw = weight.grad, db = b and b.grad }
end

for precision, tolerance in pairs(TOLERANCE) do
  case("convolutions in " .. precision .. " agree with the CPU's: y, dx, dw, db", function()
    for i, size in ipairs(LAYERS) do
      local bias = i ~= 3
      local expected, found = layer(size, "cpu", nil, bias), layer(size, "cuda", precision, bias)
      for name, value in pairs(expected) do
        -- A slope jumps where rounding changes the sign of z.
        local jumps = size[8].activation == "relu" and precision ~= "f32" and name ~= "y"
        if not jumps then close(found[name], value, tolerance, ("%s of layer %d"):format(name, i)) end
      end
      local again = layer(size, "cuda", precision, bias)
      for name, value in pairs(found) do that(bits(again[name]) == bits(value), name .. ": other bits") end
    end
  end)
end

case("a precision that is asked for is the one that multiplies", function()
  local exact = layer(LAYERS[3], "cpu").y
  local function off(precision)
    return (layer(LAYERS[3], "cuda", precision).y:to "cpu" - exact):abs():max():item()
  end
  that(off "f32" < 1e-5, "f32 rounds its factors")
  that(off "tf32" > 1e-5, "tf32 rounds nothing")
  that(off "bf16" > 2 * off "tf32", "bf16 is as exact as tf32")
  check.raises(function() layer(LAYERS[3], "cuda", "f16") end, "precision is f16")
end)

case("the backward without a slope works z out again, and finds the same", function()
  for _, precision in ipairs { 0, 3 } do
    local x, w = normal({ 2, 8, 9, 4 }, 5, "cuda"), normal({ 8, 3, 3, 4 }, 6, "cuda", 0.2)
    local b = normal({ 8 }, 7, "cuda")
    local y, slope = core.new({ 2, 4, 4, 8 }, nil, "cuda"), core.new({ 2, 8, 9, 8 }, nil, "cuda")
    local dy, results = normal({ 2, 4, 4, 8 }, 8, "cuda"), {}
    equal(C.gal_conv2d(y.h, slope.h, x.h, w.h, b.h, 1, C.GAL_SAME, C.GAL_SILU, 2, precision), 0)
    for i, kept in ipairs { slope, false } do
      local dx, dw, db = zeros_like(x), zeros_like(w), zeros_like(b)
      local left = kept and kept.h or nil
      equal(C.gal_conv2d_backward(dx.h, dw.h, db.h, dy.h, left, x.h, w.h, b.h, 1, C.GAL_SAME, C.GAL_SILU, 2,
        precision, 0), 0)
      results[i] = bits(dx) .. bits(dw) .. bits(db)
    end
    that(results[1] == results[2], "other gradients")
  end
end)

case("a NaN among the pixels is one in all that it takes part in", function()
  local x, w = gal.zeros({ 1, 6, 6, 4 }), normal({ 8, 3, 3, 4 }, 9, "cuda")
  x:set(0 / 0, 1, 1, 1, 1)
  for _, precision in ipairs { "f32", "bf16" } do
    local y = core.conv2d(x, w, nil, { activation = "silu", pool = 2, precision = precision })
    local same = y:eq(y)
    equal({ same:get(1, 1, 1, 1), same:get(1, 3, 3, 1), y:get(1, 3, 3, 1) }, { 0, 1, 0 })
  end
end)

case("more images than fit into a round, and a card of little memory, give the same", function()
  if not card.is_double then return end
  local code, text = card.run(scratch, "GAL_DOUBLE_MEMORY=67108864", [[
    local gal, core = require "gal", require "gal.tensor"
    require("ffi").C.gal_memory_set_limit("cuda", 1e12)
    for precision, tolerance in pairs{ f32 = 2e-6, bf16 = 1.5e-2 } do
      local all = {}
      for i, device in ipairs{ "cpu", "cuda" } do
        local function given(shape, seed)
          return gal.randn(shape, { rng = gal.rng(seed), device = "cpu" }):to(device):requires_grad()
        end
        local x, w, b = given({ 20, 16, 16, 4 }, 1), given({ 32, 3, 3, 4 }, 2), given({ 32 }, 3)
        local o = { activation = "silu", pool = 2, precision = i == 2 and precision or nil }
        local y = core.conv2d(x, w, b, o)
        y:backward(y:detach())
        all[i] = { y:detach(), x.grad, w.grad, b.grad }
      end
      for k, expected in ipairs(all[1]) do
        local off = (all[2][k]:to "cpu" - expected):abs():max():item() / expected:abs():max():item()
        if off > tolerance then error(("result %d in %s is off by %g"):format(k, precision, off)) end
      end
    end]])
  equal({ code, text }, { 0, "" })
end)

case("a cuDNN that is missing or fails is a sentence", function()
  if not card.is_double then return end
  for settings, sentence in pairs {
    ["dlsym:1"] = "(conv2d, conv2d_backward) need cuDNN 9.11 or later: libcudnn.so.9 has no function",
    ["cudnnBackendFinalize:3"] = "cuDNN: a tensor failed: CUDNN_STATUS_INTERNAL_ERROR",
    ["cudnnBackendExecute:1"] = "cuDNN: a convolution failed: CUDNN_STATUS_EXECUTION_FAILED",
  } do
    local code, text = card.run(scratch, "GAL_DOUBLE_FAIL=" .. settings, [[local gal = require "gal"
      print(require("gal.tensor").conv2d(gal.ones{1, 4, 4, 1}, gal.ones{1, 3, 3, 1}):sum():item())]])
    that(code == 1 and text:find(sentence, 1, true), ("%s: exit %d: %s"):format(settings, code, text))
  end
end)

-- ---- pools ----

case("pools are the CPU's, windows that overlap and ties too", function()
  for _, window in ipairs { { 2, 2 }, { 3, 1 }, { 3, 2 }, { 2, 3 } } do
    for _, name in ipairs { "avg_pool2d", "max_pool2d" } do
      local results = {}
      for i, device in ipairs { "cpu", "cuda" } do
        -- Whole numbers, so that many are the same.
        local x = core.new({ 2, 7, 8, 5 }, "int64", "cpu")
        core.assign(x, normal({ 2, 7, 8, 5 }, 10, "cpu") * 2)
        x = x:float():to(device):requires_grad()
        local y = core[name](x, window[1], window[2])
        y:backward(normal(y.shape, 11, device))
        results[i] = { y:detach():to "cpu", x.grad:to "cpu" }
      end
      that(bits(results[1][1]) == bits(results[2][1]), name .. " has other bits")
      close(results[2][2], results[1][2], 1e-6, name .. "'s dx")
    end
  end
end)

-- ---- the image step ----

-- The paper's image model over random uint8 images of 16 x 16 pixels, turned.
local function stepper(precision, resident, recorded, draws)
  local encoder = nn.galaxy_cnn { channels = precision and { 32, 64, 128, 256 } or { 8, 8, 8, 8 },
    rng = gal.rng(2) }
  local flow = flows.new { theta = 5, context = 5, encoder = encoder, image = { 16, 16, 3 },
    rng = gal.rng(3) }
  local n = 24
  local images = core.new({ n, 16, 16, 3 }, "uint8", "cpu")
  core.assign(images, gal.rand({ n, 16, 16, 3 }, { rng = gal.rng(4), device = "cpu" }) * 256)
  local theta, x = normal({ n, 5 }, 5, "cuda"), normal({ n, 5 }, 6, "cuda")
  flow:standardise(theta, x, images)
  local opt = optim.adamw(flow:parameters(), { average = 0.999 })
  local s = step.stepper(flow, opt, { theta = theta, seen = x, images = images, n = n },
    { batch = 8, draws = draws or 1, seed = 1, augment = true, resident = resident, precision = precision,
      recorded = recorded })
  s:start_epoch()
  return s, flow
end

for precision, most in pairs { f32 = 50, tf32 = 50, bf16 = 60 } do
  case(("the image step in %s is one graph of at most %d nodes"):format(precision, most), function()
    local s = stepper(precision, true, true)
    s:run(1)
    local count, names = card.nodes()
    that(not count or count <= most, ("%s nodes: %s"):format(count, names))
    if count then print(("image step, %s: %d nodes"):format(precision, count)) end
  end)
end

case("with 64 draws an image, so that the library multiplies, it has at most 63", function()
  local s = stepper("bf16", true, true, 64)
  s:run(1)
  local count, names = card.nodes()
  that(not count or count <= 63, ("%s nodes: %s"):format(count, names))
  if count then print(("image step of 64 draws: %d nodes"):format(count)) end
end)

case("the captured image step has the eager one's bits, resident and streamed", function()
  local reference
  for _, way in ipairs { { true, true }, { true, false }, { false, true } } do
    local s, flow = stepper(nil, way[1], way[2])
    s:run(3)
    reference = reference or weights(flow)
    local differ = way[2] and "streamed images give other weights" or "captured steps differ"
    that(weights(flow) == reference, differ)
  end
end)

scratch.remove()
check.finish()
