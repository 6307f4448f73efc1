-- nn/conv: layers of images {N, H, W, C}: convolution, pools, and the layers that make vectors of images.
-- Their ops are in tensor/conv.lua and tensor/pool.lua.
local errors = require "gal.base.errors"
local core = require "gal.tensor"
local options_of = require "gal.base.options"
local module = require "gal.nn.module"
local layers = require "gal.nn.layers"
local raise, kind, integer = errors.raise, errors.kind, errors.integer

local image = {}

-- A window: an integer k for k x k, or {height, width}.
local function window_of(where, k)
  if type(k) ~= "table" then return { integer(where, "k", k, 1), k } end
  if core.is_tensor(k) or #k ~= 2 then
    raise("%s: k is %s, expected an integer or {height, width}", where, kind(k))
  end
  return { integer(where, "k[1]", k[1], 1), integer(where, "k[2]", k[2], 1) }
end

-- ---- convolution ----

local Conv = {}

function Conv:forward(x, precision) return self:activate(x, nil, 1, precision) end

-- The layer, the activation after it and the mean pool after that in one op. x {N, H, W, in}.
function Conv:activate(x, activation, pool, precision)
  return core.conv2d(x, self.weight, self.bias, {
    stride = self.stride, padding = self.padding, activation = activation, pool = pool, precision = precision,
  })
end

function Conv:spec()
  return {
    type = "conv2d", inputs = self.inputs, outputs = self.outputs, window = self.window,
    stride = self.stride, padding = self.padding, bias = self.bias ~= nil,
  }
end

-- The padding, "same" or a number of pixels; raises where it is neither, or where "same" can't keep the size.
local function padding_of(options, window, stride)
  local padding = options.padding == nil and "same" or options.padding
  if padding ~= "same" and (type(padding) ~= "number" or padding < 0 or padding % 1 ~= 0) then
    raise("conv2d: padding is %s, expected \"same\" or an integer of at least 0", kind(padding))
  end
  if padding == "same" and stride ~= 1 then
    local pixels = math.floor((window[1] - 1) / 2)
    raise("conv2d: padding is \"same\" with stride %d, "
      .. "expected a number of pixels such as padding = %d, or stride 1", stride, pixels)
  end
  return padding
end

--- nn.conv2d(inputs, outputs, k[, {stride = 1, padding = "same", bias = true, gain = g, rng = r, device =
-- d}]): convolves images {N, H, W, inputs} to {N, h, w, outputs} with a window of k x k pixels, or k =
-- {height, width}. padding: "same" keeps the size (stride 1 only), a number adds that many zeros on each
-- side. weight {outputs, kh, kw, inputs}, bias {outputs}; both start uniform in +-1/sqrt(kh kw inputs), as
-- PyTorch's, drawn from rng or the default generator; with gain (nn.gains has one for each activation) the
-- weights start with the variance gain^2 / (kh kw inputs) instead.
function image.conv2d(inputs, outputs, k, options)
  options = options_of.known("conv2d", options, { "stride", "padding", "bias", "gain", "rng", "device" })
  options_of.not_in_braces("conv2d", "inputs", inputs,
    "nn.conv2d(3, 32, 3) or nn.conv2d(3, 32, 3, {stride = 2})")
  integer("conv2d", "inputs", inputs, 1)
  integer("conv2d", "outputs", outputs, 1)
  local window = window_of("conv2d", k)
  local stride = options_of.integer("conv2d", options, "stride", 1, 1)
  local gain = options_of.number("conv2d", options, "gain", nil, 0, 100)
  local fan = window[1] * window[2] * inputs
  local m = {
    inputs = inputs, outputs = outputs, window = window, stride = stride,
    padding = padding_of(options, window, stride), pools = true,
    forward = Conv.forward, activate = Conv.activate, spec = Conv.spec,
  }
  m.weight = layers.uniform({ outputs, window[1], window[2], inputs }, fan, options, gain)
  if options.bias ~= false then m.bias = layers.uniform({ outputs }, fan, options) end
  return module.new(m)
end

-- ---- pools ----

local function pool(name, k, options)
  options = options_of.known(name, options, { "stride" })
  integer(name, "k", k, 1)
  local op, stride = core[name], options_of.integer(name, options, "stride", k, 1)
  return module.new {
    forward = function(_, x) return op(x, k, stride) end,
    spec = function() return { type = name, k = k, stride = stride } end,
    -- A convolution takes the mean over windows that tile the image along (Conv:activate).
    tiles = name == "avg_pool2d" and stride == k and k or nil,
  }
end

--- nn.avg_pool2d(k[, {stride = k}]): the mean of each k x k pixels of images {N, H, W, C}; pixels left over
-- at the edge are dropped.
function image.avg_pool2d(k, options) return pool("avg_pool2d", k, options) end

--- nn.max_pool2d(k[, {stride = k}]): the largest of each k x k pixels of images {N, H, W, C}; pixels left
-- over at the edge are dropped.
function image.max_pool2d(k, options) return pool("max_pool2d", k, options) end

--- nn.global_avg_pool(): the mean over all pixels: images {N, H, W, C} to {N, C}.
function image.global_avg_pool()
  return module.new {
    forward = function(_, x) return core.global_avg_pool(x) end,
    spec = function() return { type = "global_avg_pool" } end,
  }
end

--- nn.flatten(): {N, ...} to {N, the product of the others}, in row-major order: channels change fastest, in
-- PyTorch's images slowest.
function image.flatten()
  return module.new {
    forward = function(_, x)
      if not core.is_tensor(x) or x.h.rank < 1 then
        raise("flatten: x is %s, expected {N, ...}", kind(x))
      end
      local n = x:size(1)
      return x:reshape { n, n > 0 and core.count(x) / n or 0 }
    end,
    spec = function() return { type = "flatten" } end,
  }
end

return image
