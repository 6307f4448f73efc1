-- nn/layers: layers of vectors: linear, activations, layer normalisation, dropout. Layers of images are in
-- nn/conv.lua; nn.lua puts them together.
local ffi = require "ffi"
local gal = require "gal"
local activations = require "gal.base.activations"
local errors = require "gal.base.errors"
local core = require "gal.tensor"
local options_of = require "gal.base.options"
local precisions = require "gal.base.precision"
local module = require "gal.nn.module"
local integer = errors.integer

local layers = {}

--- nn.gains[activation] = 1 / sqrt(E f(z)^2), z ~ N(0, 1): weights of variance gain^2 / inputs make of f(z)
-- sums of variance 1 again, so that the arguments of the activations neither fade nor grow from layer to
-- layer (He et al. 2015, eq. 10, there for relu).
layers.gains = { relu = math.sqrt(2), silu = 1.676532, gelu = 1.533530, tanh = 1.592537 }

--- uniform(shape, n, options[, gain]): weights, or biases, of a layer whose outputs have n inputs each:
-- U(-1/sqrt(n), 1/sqrt(n)), as PyTorch fills both (kaiming_uniform with a = sqrt 5 comes to the same), or
-- with the variance gain^2 / n. options: {rng, device}.
function layers.uniform(shape, n, options, gain)
  local bound = (gain and math.sqrt(3) * gain or 1) / math.sqrt(n)
  local unit = gal.rand(shape, { rng = options.rng, device = options.device })
  return (unit * (2 * bound) - bound):requires_grad()
end
local uniform = layers.uniform

-- ---- linear ----

local Linear = {}

function Linear:forward(x, precision) return self:activate(x, nil, nil, precision) end

-- The layer and the activation after it in one op. x {..., in}. Where the device has not the precision for
-- linear layers (the CPU has float32 alone) they multiply in float32.
function Linear:activate(x, activation, _, precision)
  local has = precision and precisions.has(precision, self.weight:device(), "linear")
  return core.linear(x, self.weight, self.bias, activation, has and precision or nil)
end

function Linear:spec()
  return { type = "linear", inputs = self.inputs, outputs = self.outputs, bias = self.bias ~= nil }
end

--- nn.linear(inputs, outputs[, {bias = true, gain = g, rng = r, device = d}]): y = x W' + b for
-- x {..., inputs}; weight {outputs, inputs}, bias {outputs}. Both start uniform in +-1/sqrt(inputs), as
-- PyTorch's, drawn from rng or the default generator; with gain (nn.gains has one for each activation) the
-- weights start with the variance gain^2 / inputs instead.
function layers.linear(inputs, outputs, options)
  options = options_of.known("linear", options, { "bias", "gain", "rng", "device" })
  options_of.not_in_braces("linear", "inputs", inputs, "nn.linear(5, 64) or nn.linear(5, 64, {bias = false})")
  integer("linear", "inputs", inputs, 1)
  integer("linear", "outputs", outputs, 1)
  local gain = options_of.number("linear", options, "gain", nil, 0, 100)
  local m = {
    inputs = inputs, outputs = outputs,
    forward = Linear.forward, activate = Linear.activate, spec = Linear.spec,
  }
  m.weight = uniform({ outputs, inputs }, inputs, options, gain)
  if options.bias ~= false then m.bias = uniform({ outputs }, inputs, options) end
  return module.new(m)
end

-- ---- activations ----

--- nn.activations[name](): the layer of an activation by its name, nn.silu and so on.
layers.activations = {}
for _, name in ipairs(activations.names) do
  --- nn.silu(), nn.relu() and so on, one for each activation: a layer of the tensor op of that name,
  -- elementwise. It carries its name, by which sequential hands it to the layer before.
  layers.activations[name] = function()
    return module.new {
      activation = name,
      forward = function(_, x) return x[name](x) end,
      spec = function() return { type = name } end,
    }
  end
end

-- ---- normalisation and dropout ----

local Norm = {}

function Norm:forward(x) return core.layer_norm(x, self.weight, self.bias, self.eps) end
function Norm:spec() return { type = "layer_norm", n = self.n, eps = self.eps } end

--- nn.layer_norm(n[, {eps = 1e-5, device = d}]): every row of x {..., n} with mean 0 and variance 1, times
-- weight {n} (1 at first), plus bias {n} (0 at first). For images {N, H, W, n} a row is the channels of one
-- pixel.
function layers.layer_norm(n, options)
  options = options_of.known("layer_norm", options, { "eps", "device" })
  integer("layer_norm", "n", n, 1)
  local place = { device = options.device }
  return module.new {
    n = n, eps = options_of.number("layer_norm", options, "eps", 1e-5, 0),
    forward = Norm.forward, spec = Norm.spec,
    weight = gal.ones({ n }, place):requires_grad(), bias = gal.zeros({ n }, place):requires_grad(),
  }
end

local Dropout = {}

function Dropout:forward(x)
  if self.p == 0 or not core.training() then return x end
  return core.dropout(x, self.stream, self.p)
end
function Dropout:spec() return { type = "dropout", p = self.p } end

--- nn.dropout(p[, {rng = r, device = d}]): while training each element is 0 with probability p, else
-- divided by 1 - p. It acts where gradients are recorded and is the identity inside gal.no_grad and
-- nn.evaluate: so in sampling, densities and validation. Its random stream is its own, `stream` int64 {2},
-- a part of the module's state, so that a resumed run goes on with the numbers that come next; its key is
-- drawn from rng or the default generator.
function layers.dropout(p, options)
  options = options_of.known("dropout", options, { "rng", "device" })
  if errors.number("dropout", "p", p, 0, 1) == 1 then
    errors.raise "dropout: p is 1, expected a number from 0 to less than 1"
  end
  -- Two uniforms are 48 random bits: no two layers share a stream.
  local words = core.read(gal.rand({ 2 }, { rng = options.rng, device = options.device }))
  local key = ffi.cast("int64_t", words[0] * 2 ^ 48) + ffi.cast("int64_t", words[1] * 2 ^ 24)
  return module.new {
    p = p, stream = core.int64({ 2 }, ffi.new("int64_t[2]", key, 0), options.device, true),
    forward = Dropout.forward, spec = Dropout.spec, identity_at_evaluation = true,
  }
end

return layers
