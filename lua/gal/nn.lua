-- nn: networks. nn/module.lua says what a module is, nn/layers.lua and nn/conv.lua have the layers; here
-- they are put together, described as tables and built again. Gradients are the tape's business
-- (tensor/tape.lua), updates gal.optim's.
local activations = require "gal.base.activations"
local errors = require "gal.base.errors"
local core = require "gal.tensor"
local module = require "gal.nn.module"
local layers = require "gal.nn.layers"
local image = require "gal.nn.conv"
local raise, kind = errors.raise, errors.kind
local is_module, call = module.is_module, module.call

local nn = {
  is_module = is_module, call = call, module = module.new,
  linear = layers.linear, activations = layers.activations, gains = layers.gains,
  layer_norm = layers.layer_norm, dropout = layers.dropout,
  conv2d = image.conv2d, avg_pool2d = image.avg_pool2d, max_pool2d = image.max_pool2d,
  global_avg_pool = image.global_avg_pool, flatten = image.flatten,
  evaluate = core.evaluate,
}
for name, make in pairs(layers.activations) do nn[name] = make end

-- ---- one after the other ----

local Sequential = {}

local function field(v, name) return type(v) == "table" and v[name] end

-- The activation that layer i takes along, the mean pool behind it, and where the next layer is.
local function fused(list, i)
  local layer, activation, pool = list[i], nil, nil
  i = i + 1
  if not field(layer, "activate") then return nil, nil, i end
  if field(list[i], "activation") then activation, i = list[i].activation, i + 1 end
  if layer.pools and field(list[i], "tiles") then pool, i = list[i].tiles, i + 1 end
  return activation, pool, i
end

-- Layers that support it are fused with the activation and the mean pool that follow them: one op, and the
-- values in between are never stored.
function Sequential:forward(x, precision)
  local i = 1
  while i <= #self do
    local layer = self[i]
    local activation, pool, after = fused(self, i)
    if activation or pool then
      x = layer:activate(x, activation, pool, precision)
    else
      x = call(layer, x, precision)
    end
    i = after
  end
  return x
end

-- The specs of a list of modules, or nil where one has none.
local function specs(list)
  local result = {}
  for i, m in ipairs(list) do
    result[i] = nn.spec(m)
    if not result[i] then return nil end
  end
  return result
end

function Sequential:spec()
  local list = specs(self)
  return list and { type = "sequential", layers = list }
end

--- nn.sequential{m1, m2, ...}: one module after the other. A linear layer or a convolution runs as one op
-- with the activation that follows it, a convolution also with the mean pool after that.
function nn.sequential(modules)
  if type(modules) ~= "table" or core.is_tensor(modules) then
    raise("sequential: modules is %s, expected a list of modules", kind(modules))
  end
  -- sequential: its layers one after the other are all that it does, which flow/velocity.lua goes by.
  local m = { forward = Sequential.forward, spec = Sequential.spec, sequential = true }
  for i = 1, #modules do
    if not is_module(modules[i]) then
      raise("sequential: entry %d is %s, expected a module", i, kind(modules[i]))
    end
    m[i] = modules[i]
  end
  return module.new(m)
end

-- ---- around one ----

local Residual = {}

function Residual:forward(x, precision)
  local y = call(self[1], x, precision)
  if not core.is_tensor(y) or not core.same_shape(x, y) then
    raise("residual: the module makes %s of x %s, expected x's shape", kind(y), core.shape_text(x))
  end
  return x + y
end

function Residual:spec()
  local list = specs(self)
  return list and { type = "residual", layers = list }
end

--- nn.residual(m): x + m(x), for a module m whose results have its arguments' shape (He et al. 2016). State
-- keys are m's under "1".
function nn.residual(m)
  if not is_module(m) then raise("residual: the argument is %s, expected a module", kind(m)) end
  return module.new { m, forward = Residual.forward, spec = Residual.spec }
end

-- ---- ready-made ----

--- nn.mlp{inputs, hidden..., outputs, activation = "silu", rng = r, device = d}: linear layers of these
-- widths with the activation between them.
function nn.mlp(widths)
  errors.list("mlp", "widths", widths, "a list of widths")
  local make = nn.activations[activations.nonlinear("mlp", widths.activation or "silu")]
  local list = {}
  for i = 1, #widths - 1 do
    list[#list + 1] = nn.linear(widths[i], widths[i + 1], { rng = widths.rng, device = widths.device })
    if i < #widths - 1 then list[#list + 1] = make() end
  end
  return nn.sequential(list)
end

--- nn.galaxy_cnn{channels = {32, 64, 128, 256}, inputs = 3, activation = "silu", rng = r, device = d}: the
-- encoder of galaxy images (nn/galaxy_cnn.lua).
function nn.galaxy_cnn(...) return require "gal.nn.galaxy_cnn"(...) end

-- ---- described and built again ----

--- nn.spec(m) --> the module without its weights, for nn.build to make it again: a table that JSON can
-- hold, or nil where the user wrote a part of it.
function nn.spec(m) return type(m) == "table" and type(m.spec) == "function" and m:spec() or nil end

local function built(list, device)
  local result = {}
  for i, spec in ipairs(list) do result[i] = nn.build(spec, device) end
  return result
end

local builders = {
  linear = function(s, device) return nn.linear(s.inputs, s.outputs, { bias = s.bias, device = device }) end,
  conv2d = function(s, device)
    local options = { stride = s.stride, padding = s.padding, bias = s.bias, device = device }
    return nn.conv2d(s.inputs, s.outputs, s.window, options)
  end,
  avg_pool2d = function(s) return nn.avg_pool2d(s.k, { stride = s.stride }) end,
  max_pool2d = function(s) return nn.max_pool2d(s.k, { stride = s.stride }) end,
  global_avg_pool = function() return nn.global_avg_pool() end,
  flatten = function() return nn.flatten() end,
  layer_norm = function(s, device) return nn.layer_norm(s.n, { eps = s.eps, device = device }) end,
  dropout = function(s, device) return nn.dropout(s.p, { device = device }) end,
  sequential = function(s, device) return nn.sequential(built(s.layers, device)) end,
  residual = function(s, device) return nn.residual(built(s.layers, device)[1]) end,
}
for name, make in pairs(nn.activations) do builders[name] = function() return make() end end

--- nn.build(spec[, device]): the module that nn.spec described, with fresh weights, on the device or the
-- default one.
function nn.build(spec, device)
  if type(spec) ~= "table" then raise("nn.build: spec is %s, expected a table of nn.spec", kind(spec)) end
  local build = builders[spec.type]
  if not build then raise("nn.build: the layer type '%s' is unknown to this version", tostring(spec.type)) end
  return build(spec, device)
end

return nn
