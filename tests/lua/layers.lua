-- Layers of images, layer normalisation and dropout: every op against double precision and central
-- differences (lib/harness.lua), then the modules of gal.nn around them: fusing, initialisation, states,
-- description, dropout's stream, and what they refuse.
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local nn = require "gal.nn"
local json = require "gal.base.json"
local harness = dofile "lua/lib/harness.lua"
local check, case = harness.check, harness.case
ffi.cdef "double erf(double);"

-- ---- references, from their definitions: arrays {shape = {N, H, W, C}, ...} ----

local function sigmoid(x) return 1 / (1 + math.exp(-x)) end
local FUNCTIONS = {
  identity = function(v) return v end, relu = function(v) return math.max(v, 0) end,
  silu = function(v) return v * sigmoid(v) end,
  gelu = function(v) return v * 0.5 * (1 + ffi.C.erf(v / math.sqrt(2))) end, tanh = math.tanh,
}

-- Element {n, y, x, c} of an image array, 0 outside: the padding.
local function pixel(a, n, y, x, c)
  local s = a.shape
  if y < 0 or x < 0 or y >= s[2] or x >= s[3] then return 0 end
  return a[((n * s[2] + y) * s[3] + x) * s[4] + c + 1]
end

local function filled(shape, f)
  local y = { shape = shape }
  for n = 0, shape[1] - 1 do
    for i = 0, shape[2] - 1 do
      for j = 0, shape[3] - 1 do
        for c = 0, shape[4] - 1 do y[#y + 1] = f(n, i, j, c) end
      end
    end
  end
  return y
end

-- The values of a window x window patch of channel c whose first pixel is (y, x).
local function patch(a, n, y, x, c, window)
  local list = {}
  for i = 0, window - 1 do
    for j = 0, window - 1 do list[#list + 1] = pixel(a, n, y + i, x + j, c) end
  end
  return list
end
local function mean(list)
  local s = 0
  for i = 1, #list do s = s + list[i] end
  return s / #list
end

local function pooled(reduce, window, stride)
  return function(a)
    local s = a.shape
    local shape = { s[1], math.floor((s[2] - window) / stride) + 1,
      math.floor((s[3] - window) / stride) + 1, s[4] }
    return filled(
      shape, function(n, i, j, c) return reduce(patch(a, n, i * stride, j * stride, c, window)) end)
  end
end

local function convolved(o)
  local f, pool = FUNCTIONS[o.activation or "identity"], o.pool or 1
  return function(x, w, b)
    local out, kh, kw, inputs = unpack(w.shape)
    -- "same": as many zeros as keep the size; of an odd number the larger half comes after, as in PyTorch.
    local same = o.padding == "same"
    local top = same and math.floor((kh - 1) / 2) or o.padding
    local left = same and math.floor((kw - 1) / 2) or o.padding
    local height = same and x.shape[2] or math.floor((x.shape[2] + 2 * top - kh) / o.stride) + 1
    local width = same and x.shape[3] or math.floor((x.shape[3] + 2 * left - kw) / o.stride) + 1
    local z = filled({ x.shape[1], height, width, out }, function(n, i, j, c)
      local s = b and b[c + 1] or 0
      for p = 0, kh - 1 do
        for q = 0, kw - 1 do
          for k = 0, inputs - 1 do
            s = s + pixel(x, n, i * o.stride + p - top, j * o.stride + q - left,
              k) * w[((c * kh + p) * kw + q) * inputs + k + 1]
          end
        end
      end
      return f(s)
    end)
    return pool == 1 and z or pooled(mean, pool, pool)(z)
  end
end

-- ---- convolution ----

-- shape of x, outputs, window, options
local GEOMETRIES = {
  { { 1, 1, 1, 1 }, 1, { 1, 1 }, { stride = 1, padding = "same" } },
  { { 1, 1, 1, 1 }, 2, { 3, 3 }, { stride = 1, padding = "same" } },
  { { 2, 5, 7, 3 }, 4, { 3, 3 }, { stride = 1, padding = "same" } },
  { { 1, 4, 3, 1 }, 3, { 2, 2 }, { stride = 1, padding = "same" } },
  { { 2, 6, 5, 2 }, 3, { 4, 3 }, { stride = 1, padding = "same" } },
  { { 2, 7, 5, 2 }, 3, { 3, 3 }, { stride = 2, padding = 1 } },
  { { 1, 8, 7, 3 }, 2, { 2, 2 }, { stride = 3, padding = 0 } },
  { { 1, 5, 5, 2 }, 2, { 5, 5 }, { stride = 1, padding = 0 } },
  { { 3, 2, 1, 5 }, 7, { 1, 3 }, { stride = 1, padding = 2 } },
  { { 2, 6, 9, 16 }, 17, { 3, 3 }, { stride = 1, padding = "same" } },
}
local function conv_case(shape, out, k, o)
  local name = ("conv2d, stride %d, padding %s, %s, pool %d,"):format(o.stride, o.padding,
    o.activation or "identity", o.pool or 1)
  local x, w = shape, { out, k[1], k[2], shape[4] }
  for _, bias in ipairs { true, false } do
    case{ name .. (bias and "" or " without bias,"),
      shapes = { bias and { x, w, { out } } or { x, w } }, range = { -1, 1 }, sums = true, terms = 0.1,
      call = function(a, b, c) return core.conv2d(a, b, c, o) end, ref = convolved(o) }
  end
end
for _, geometry in ipairs(GEOMETRIES) do conv_case(unpack(geometry)) end
for activation in pairs(FUNCTIONS) do
  for pool = 1, 3 do
    conv_case({ 2, 5, 7, 3 }, 4, { 3, 3 },
      { stride = 1, padding = "same", activation = activation, pool = pool })
  end
end
-- More than 32 multiply-adds a value: the slope is stored there, and worked out again above.
conv_case({ 1, 4, 6, 8 }, 16, { 3, 3 }, { stride = 1, padding = "same", activation = "silu", pool = 2 })
conv_case({ 1, 6, 6, 8 }, 5, { 3, 3 }, { stride = 2, padding = 1, activation = "gelu", pool = 2 })

-- ---- pools, normalisation, shape ----

for _, o in ipairs {
  { { 1, 1, 1, 1 }, 1, 1 }, { { 2, 4, 6, 3 }, 2, 2 }, { { 2, 5, 7, 1 }, 2, 2 }, { { 1, 5, 5, 2 }, 3, 1 },
  { { 1, 7, 6, 2 }, 2, 3 }, { { 2, 3, 3, 5 }, 3, 3 },
} do
  local shape, k, stride = unpack(o)
  local title = (" of %d pixels, stride %d,"):format(k, stride)
  case{ "avg_pool2d" .. title, shapes = { { shape } },
    call = function(x) return core.avg_pool2d(x, k, stride) end, ref = pooled(mean, k, stride), sums = true }
  case{ "max_pool2d" .. title, shapes = { { shape } },
    call = function(x) return core.max_pool2d(x, k, stride) end,
    ref = pooled(function(list) return math.max(unpack(list)) end, k, stride) }
end

case{ "global_avg_pool", shapes = { { { 1, 1, 1, 1 } }, { { 2, 3, 5, 4 } }, { { 1, 16, 16, 1 } } },
  call = core.global_avg_pool, sums = true,
  ref = function(a)
    local s, y = a.shape, { shape = { a.shape[1], a.shape[4] } }
    for n = 0, s[1] - 1 do
      for c = 0, s[4] - 1 do
        local sum = 0
        for i = 0, s[2] - 1 do for j = 0, s[3] - 1 do sum = sum + pixel(a, n, i, j, c) end end
        y[#y + 1] = sum / (s[2] * s[3])
      end
    end
    return y
  end }

case{ "layer_norm", shapes = { { { 1 }, { 1 }, { 1 } }, { { 7 }, { 7 }, { 7 } }, { { 5, 3 }, { 3 }, { 3 } },
  { { 2, 3, 4, 6 }, { 6 }, { 6 } }, { { 4, 256 }, { 256 }, { 256 } } }, tolerance = 3e-6, terms = 1,
  call = function(x, scale, shift) return core.layer_norm(x, scale, shift, 1e-5) end,
  ref = function(x, scale, shift)
    local n, y = #scale, { shape = x.shape }
    for first = 0, #x - 1, n do
      local m, v = 0, 0
      for i = 1, n do m = m + x[first + i] / n end
      for i = 1, n do v = v + (x[first + i] - m) ^ 2 / n end
      for i = 1, n do y[first + i] = (x[first + i] - m) / math.sqrt(v + 1e-5) * scale[i] + shift[i] end
    end
    return y
  end }

case{ "flatten", shapes = { { { 2, 3, 4, 5 } }, { { 1, 1, 1, 1 } }, { { 3 } }, { { 2, 6 } } },
  call = function(x) return nn.flatten()(x) end,
  ref = function(a)
    local y = { shape = { a.shape[1], #a / a.shape[1] } }
    for i = 1, #a do y[i] = a[i] end
    return y
  end }

check.case("the maximum with a NaN is NaN, and the first of equal pixels gets the gradient", function()
  local x = gal.tensor({ 1, 0 / 0, 3, 4 }, { 1, 2, 2, 1 })
  check.that(core.max_pool2d(x, 2, 2):item() ~= core.max_pool2d(x, 2, 2):item(), "the NaN is lost")
  local ties = gal.full({ 1, 2, 2, 1 }, 5):requires_grad()
  core.max_pool2d(ties, 2, 2):sum():backward()
  check.equal(ties.grad:reshape { -1 }, { 1, 0, 0, 0 })
end)

-- ---- modules ----

local bits = check.bits

check.case("a convolution starts uniform within one over the root of its inputs, as PyTorch's", function()
  local layer = nn.conv2d(16, 200, 3, { rng = gal.rng(3) })
  check.equal({ layer.weight.shape, layer.bias.shape }, { { 200, 3, 3, 16 }, { 200 } })
  local bound = 1 / 12 -- 1 / sqrt(3 * 3 * 16)
  for _, p in ipairs { layer.weight, layer.bias } do
    check.that(p:max():item() <= bound and p:min():item() >= -bound, "a weight lies outside the bound")
    check.that(p:max():item() > 0.97 * bound and p:min():item() < -0.97 * bound,
      "the weights do not fill the range")
  end
  check.near(layer.weight:std():item(), bound / math.sqrt(3), 0.01 * bound)
  check.equal(nn.conv2d(16, 200, 3, { rng = gal.rng(3) }).weight, layer.weight)
  check.that(nn.conv2d(1, 1, 1, { bias = false }).bias == nil, "bias = false leaves a bias")
end)

-- Every layer once. The images are 12 x 12 x 3.
local function everything()
  return nn.sequential {
    nn.conv2d(3, 8, 3), nn.silu(), nn.avg_pool2d(2), nn.layer_norm(8),
    nn.conv2d(8, 8, { 1, 3 }, { padding = 1, stride = 1, bias = false }), nn.relu(),
    nn.max_pool2d(2, { stride = 1 }),
    nn.residual(nn.sequential { nn.conv2d(8, 8, 3), nn.tanh(), nn.dropout(0.25) }),
    nn.avg_pool2d(3, { stride = 2 }),
    nn.residual(nn.sequential { nn.layer_norm(8), nn.conv2d(8, 8, 1), nn.gelu() }), nn.flatten(),
    nn.linear(48, 5), nn.dropout(0.1),
  }
end

check.case("sequential gives what its layers give one after the other, results and gradients", function()
  for name in pairs(nn.activations) do
    local net = nn.sequential { nn.conv2d(3, 8, 3), nn[name](), nn.avg_pool2d(2), nn.conv2d(8, 5, 3),
      nn.avg_pool2d(2), nn.conv2d(5, 5, 3), nn[name](), nn.avg_pool2d(2, { stride = 1 }), nn.conv2d(5, 5, 1),
      nn.global_avg_pool() }
    local x = gal.randn { 2, 13, 9, 3 }
    net(x):pow(2):sum():backward()
    local fused, y = {}, net(x)
    for i, p in ipairs(net:parameters()) do fused[i], p.grad = p.grad, nil end
    local single = x
    for i = 1, #net do single = net[i](single) end
    check.near(y, single, 1e-6, name)
    single:pow(2):sum():backward()
    for i, p in ipairs(net:parameters()) do
      check.near(fused[i]:reshape { -1 }, p.grad:reshape { -1 },
        2e-6 * math.max(1, p.grad:abs():max():item()), name .. ", parameter " .. i)
    end
  end
end)

check.case("a residual adds its argument", function()
  local inner, x = nn.conv2d(3, 3, 3), gal.randn { 1, 4, 5, 3 }
  check.equal(nn.residual(inner)(x), x + inner(x))
  check.equal(nn.residual(function(v) return v * 2 end)(x), x * 3)
end)

check.case("a second backward adds to the gradients", function()
  for _, net in ipairs { nn.conv2d(2, 3, 3), nn.layer_norm(2) } do
    local x = gal.randn { 1, 4, 4, 2 }
    net(x):pow(2):sum():backward()
    local once = {}
    for i, p in ipairs(net:parameters()) do once[i] = p.grad:clone() end
    net(x):pow(2):sum():backward()
    for i, p in ipairs(net:parameters()) do
      check.near(p.grad:reshape { -1 }, (once[i] * 2):reshape { -1 }, 1e-5, "parameter " .. i)
    end
    net.bias.grad = nil -- one of the two starts anew
    net(x):pow(2):sum():backward()
    check.near(net.weight.grad:reshape { -1 }, (once[1] * 3):reshape { -1 }, 1e-5, "the weight")
    check.near(net.bias.grad, once[2], 1e-5, "the bias")
  end
end)

check.case("an image's result is the same to the last bit alone and in a batch", function()
  local net, x = nn.galaxy_cnn { channels = { 32, 64 } }, gal.rand { 5, 32, 32, 3 }
  gal.no_grad(function()
    local all = net(x)
    for i = 1, 5 do check.that(bits(net(x:narrow(1, i, 1))) == bits(all[i]), "image " .. i .. " differs") end
  end)
end)

check.case("galaxy_cnn is the encoder of the paper", function()
  local net = nn.galaxy_cnn()
  local count, shapes = 0, {}
  for i, p in ipairs(net:parameters()) do count, shapes[i] = count + p:count(), p.shape end
  check.equal(shapes, { { 32, 3, 3, 3 }, { 32 }, { 64, 3, 3, 32 }, { 64 }, { 128, 3, 3, 64 }, { 128 },
    { 256, 3, 3, 128 }, { 256 } })
  check.equal(count, 388416)
  check.equal(gal.no_grad(function() return net(gal.zeros { 2, 128, 128, 3 }) end).shape, { 2, 256 })
  check.equal(require("gal.nn.galaxy_cnn")(
    { channels = { 4 }, inputs = 1, activation = "relu" })(gal.zeros { 1, 6, 5, 1 }).shape, { 1, 4 })
end)

-- The mean of f(z)^2 over z ~ N(0, 1), by the trapezium rule.
local function mean_square(f)
  local sum, step = 0, 1e-3
  for i = -12000, 12000 do
    sum = sum + f(i * step) ^ 2 * math.exp(-(i * step) ^ 2 / 2) * step / math.sqrt(2 * math.pi)
  end
  return sum
end

check.case("gains keep the variance of activations' inputs, and galaxy_cnn starts with them", function()
  local rng = gal.rng(3)
  local function variance(x) return (x * x):mean():item() end
  for _, name in ipairs { "silu", "relu", "gelu", "tanh" } do
    check.near(nn.gains[name] ^ 2 * mean_square(FUNCTIONS[name]), 1, 1e-5, name)
    local x = gal.randn({ 500, 1, 1, 400 }, { rng = rng })
    -- The activation's mean, a third of relu's mean square, gives each of the 300 outputs one draw: a
    -- standard error of .32 sqrt(2 / 300) = 2.6 %.
    check.near(
      variance(nn.conv2d(400, 300, 1, { gain = nn.gains[name], bias = false, rng = rng })(x[name](x))), 1,
      0.1, "conv2d after " .. name)
    check.near(variance(nn.linear(400,
      300, { gain = nn.gains[name], bias = false, rng = rng })(x[name](x):reshape { 500, 400 })), 1, 0.1,
      "linear after " .. name)
  end
  local wide = nn.galaxy_cnn { channels = { 200, 300 }, activation = "gelu", rng = rng }
  check.near(variance(wide[4].weight) * 9 * 200, nn.gains.gelu ^ 2, 0.01, "galaxy_cnn")
  check.near(variance(nn.galaxy_cnn({ channels = { 200, 300 }, rng = rng })[4].weight) * 9 * 200,
    nn.gains.silu ^ 2, 0.012, "galaxy_cnn of silu")
  check.near(variance(nn.conv2d(200, 300, 3, { rng = rng }).weight) * 9 * 200, 1 / 3, 0.003,
    "PyTorch's start")
  check.raises(function() nn.conv2d(3, 4, 3, { gain = "silu" }) end,
    "conv2d: gain is the string \"silu\", expected a number from 0 to 100", true)
  check.raises(function() nn.linear(3, 4, { gain = math.huge }) end,
    "linear: gain is inf, expected a number from 0 to 100", true)
end)

check.case("spec and build make every layer again, and load_state its weights", function()
  local net = everything()
  local again = nn.build(json.decode(json.encode(nn.spec(net))))
  again:load_state(net:state())
  local x = gal.randn { 2, 12, 12, 3 }
  check.equal(again(x), net(x)) -- dropout too: its stream is a part of the state
  check.equal(json.encode(nn.spec(again)), json.encode(nn.spec(net)))
  check.that(nn.spec(nn.residual(function(v) return v end)) == nil, "a residual of a function has a spec")
end)

check.case("state keys follow positions, and a weight comes before its bias", function()
  local names = {}
  for name in pairs(everything():state()) do names[#names + 1] = name end
  table.sort(names)
  check.equal(names, { "1.bias", "1.weight", "10.1.1.bias", "10.1.1.weight", "10.1.2.bias", "10.1.2.weight",
    "12.bias", "12.weight", "13.stream", "4.bias", "4.weight", "5.weight", "8.1.1.bias", "8.1.1.weight",
    "8.1.3.stream" })
  local own = nn.module { bias = gal.zeros { 1 }:requires_grad(), weight = gal.zeros { 2 }:requires_grad(),
    a = gal.zeros { 3 }:requires_grad(), forward = function() end }
  local shapes = {}
  for i, p in ipairs(own:parameters()) do shapes[i] = p.shape end
  check.equal(shapes, { { 2 }, { 3 }, { 1 } })
end)

-- ---- dropout ----

check.case("dropout keeps what its uniforms say, scaled so that the mean stays", function()
  local layer, x = nn.dropout(0.3, { rng = gal.rng(5) }), gal.full({ 100, 101 }, 2)
  local r = gal.rng(0)
  core.assign(r:tensor(), layer.stream)
  local y = layer(x):reshape { -1 }
  local u, values = gal.rand({ 10100 }, { rng = r }):totable(), y:totable()
  local kept, p, one = 0, ffi.new("float[1]", 0.3)[0], ffi.new "float[1]"
  for i = 1, #u do
    one[0] = u[i] >= p and 2 / (1 - 0.3) or 0
    check.near(values[i], one[0], 1e-6, "element " .. i)
    kept = kept + (values[i] > 0 and 1 or 0)
  end
  -- Four deviations of a binomial.
  check.near(kept / 10100, 0.7, 4 * math.sqrt(0.21 / 10100))
  check.that(bits(layer(x)) ~= bits(y), "two calls have the same mask")
  check.equal(core.read(layer.stream)[1], core.read(r:tensor())[1] * 2, "how far the stream moved")
end)

check.case("dropout's gradient goes through the mask of its own forward", function()
  local layer = nn.dropout(0.5, { rng = gal.rng(1) })
  local x = gal.ones { 1000 }:requires_grad()
  local first, second = layer(x), layer(x)
  local expected = first:detach() * 3 + second:detach()
  first:backward(gal.full({ 1000 }, 3))
  second:backward(gal.ones { 1000 })
  check.equal(x.grad, expected)
end)

check.case("dropout is the identity and draws nothing in gal.no_grad and in nn.evaluate", function()
  local layer, x = nn.dropout(0.5), gal.rand({ 50 }):requires_grad()
  local before = core.read(layer.stream)[1]
  check.equal(gal.no_grad(function() return layer(x) end), x)
  local y = nn.evaluate(function() return layer(x) * 2 end)
  check.equal(y, x * 2)
  y:sum():backward()
  check.equal(x.grad, gal.full({ 50 }, 2))
  check.equal(core.read(layer.stream)[1], before)
  check.raises(function() nn.evaluate(function() error "oops" end) end, "oops")
  check.that(bits(layer(x)) ~= bits(x), "dropout is off after nn.evaluate")
end)

check.case("two dropout layers of one generator have different masks, the same ones for its seed", function()
  local x = gal.ones { 200 }
  local function pair(r)
    return bits(nn.dropout(0.5, { rng = r })(x)), bits(nn.dropout(0.5, { rng = r })(x))
  end
  local a, b = pair(gal.rng(8))
  check.that(a ~= b, "both drop the same elements")
  check.equal({ pair(gal.rng(8)) }, { a, b })
end)

check.case("a recorded step of every layer is the eager step to the last bit, dropout included", function()
  local x = gal.randn { 3, 12, 12, 3 }
  local recorded, eager = everything(), everything()
  eager:load_state(recorded:state())
  local function step(net, opt)
    opt:zero_grad()
    local loss = net(x):pow(2):mean()
    loss:backward()
    opt:apply()
    return loss
  end
  local adamw = require("gal.optim").adamw
  local a, b = adamw(recorded:parameters(), { lr = 1e-2 }), adamw(eager:parameters(), { lr = 1e-2 })
  a:set_rate(1e-2)
  b:set_rate(1e-2)
  local p, loss = core.program(function() return step(recorded, a) end)
  for i = 1, 5 do
    check.equal(gal.scope(function() return step(eager, b):item() end), loss:item(), "the loss of step " .. i)
    p:replay()
  end
  gal.scope(function() step(eager, b) end)
  for i, q in ipairs(recorded:parameters()) do
    check.that(bits(q) == bits(eager:parameters()[i]), "parameter " .. i .. " differs")
  end
  check.equal(recorded:state()["13.stream"], eager:state()["13.stream"])
end)

-- ---- what is refused ----

check.case("wrong arguments are named at the caller's line", function()
  local x = gal.zeros { 2, 6, 6, 3 }
  check.raises(function() nn.conv2d(3, 4, 3)(gal.zeros { 2, 6, 6, 4 }) end,
    "conv2d: x is {2, 6, 6, 4}, expected images {N, H, W, 3}", true)
  check.raises(function() nn.conv2d(3, 4, 3)(gal.zeros { 6, 6, 3 }) end,
    "conv2d: x is {6, 6, 3}, expected images {N, H, W, 3}", true)
  check.raises(function() nn.conv2d(3, 4, 3)(5) end, "conv2d: x is the number 5, expected a tensor", true)
  check.raises(function() nn.conv2d(3, 4, 7, { padding = 0 })(x) end,
    "conv2d: a window of 7 x 7 does not fit into x {2, 6, 6, 3}", true)
  check.raises(function() nn.conv2d(3, 0, 3) end, "conv2d: outputs is 0, expected an integer", true)
  check.raises(function() nn.conv2d(3, 4) end, "conv2d: k is nil, expected an integer", true)
  check.raises(function() nn.conv2d(3, 4, { 3, 3, 3 }) end,
    "conv2d: k is a table, expected an integer or {height, width}", true)
  check.raises(function() nn.conv2d(3, 4, 3, { stride = 2 }) end,
    'conv2d: padding is "same" with stride 2, expected a number of pixels such as padding = 1', true)
  check.raises(function() nn.conv2d(3, 4, 3, { padding = "valid" }) end,
    'conv2d: padding is the string "valid", expected "same" or an integer', true)
  check.raises(function() nn.conv2d(3, 4, 3, { strides = 2 }) end,
    "conv2d: unknown option 'strides', expected 'stride'", true)
  check.raises(function() nn.avg_pool2d(2.5) end, "avg_pool2d: k is 2.5, expected an integer", true)
  check.raises(function() nn.max_pool2d(7)(x) end,
    "max_pool2d: a window of 7 x 7 does not fit into x {2, 6, 6, 3}", true)
  check.raises(function() nn.max_pool2d(2)(gal.zeros { 6, 6 }) end,
    "max_pool2d: x is {6, 6}, expected images {N, H, W, C}", true)
  check.raises(function() nn.sequential { nn.conv2d(3, 4, 3), nn.avg_pool2d(9) }(x) end,
    "conv2d: pool is 9, expected 1 to 6 for an image of 6 x 6", true)
  check.raises(function() nn.global_avg_pool()(gal.zeros { 3 }) end,
    "global_avg_pool: x is {3}, expected images", true)
  check.raises(function() nn.layer_norm(4)(x) end,
    "layer_norm: x is {2, 6, 6, 3}, expected 4 values in the last dimension", true)
  check.raises(function() nn.dropout(1) end, "dropout: p is 1, expected a number from 0 to less than 1", true)
  check.raises(function() nn.residual(3) end,
    "residual: the argument is the number 3, expected a module", true)
  check.raises(function() nn.residual(nn.conv2d(3, 4, 3))(x) end,
    "residual: the module makes a tensor {2, 6, 6, 4} of x {2, 6, 6, 3}, expected x's shape", true)
  check.raises(function() nn.flatten()(gal.tensor(1)) end,
    "flatten: x is a tensor {}, expected {N, ...}", true)
  check.raises(function() nn.galaxy_cnn { channels = 3 } end,
    "galaxy_cnn: channels is the number 3, expected a list", true)
  check.raises(function() nn.build { type = "conv3d" } end,
    "nn.build: the layer type 'conv3d' is unknown", true)
  local bytes = core.new({ 1, 6, 6, 3 }, "uint8")
  check.raises(function() nn.conv2d(3, 4, 3)(bytes) end, "conv2d: x is uint8, expected float32", true)
end)

check.finish()
