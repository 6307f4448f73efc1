-- nn: layers, and the protocol by which a network is trained, saved and moved. A layer holds parameters and says what it computes; gradients are the
-- tape's business (gal.grad), updates gal.optim's.
--
-- A module is any table with
--   m(x) or m:forward(x)    the result for the input tensor x
--   m:parameters()          a list of its trainable tensors (requires_grad), always in the same order
--   m:state()               {name = tensor}: everything to be saved, the tensors themselves and not copies
--   m:load_state(s)         copies such a table into the module; raises where a name or a shape doesn't fit
--   m:to(device)            moves its tensors, returns m
-- nn.module makes one from a forward function and its tensors. Where nothing is trained or saved a plain function x -> y is a module too.
local gal = require "gal"
local core = require "gal.tensor"
local linear = require("gal.grad").linear
local raise = core.raise

local nn = {}

local Module = {}
Module.__index = Module
function Module:__call(...) return self:forward(...) end

local function callable(v) return type(v) == "function" or type(v) == "table" and (getmetatable(v) or {}).__call ~= nil end

local function is_module(v)
  if type(v) == "function" then return true end
  return type(v) == "table" and not core.is_tensor(v) and (callable(v) or type(v.forward) == "function") and type(v.parameters) == "function"
end
nn.is_module = is_module

local function call(m, x)
  if callable(m) then return m(x) end
  return m:forward(x)
end
--- The result of module m, of any kind that the protocol allows, for x.
nn.call = call

-- What a module of this file holds, as {name, tensor or module} in a fixed order: positions first, then names.
local function entries(m)
  local list, names = {}, {}
  for i, child in ipairs(m) do list[i] = { tostring(i), child } end
  for name, value in pairs(m) do
    if type(name) == "string" and type(value) == "table" and (core.is_tensor(value) or is_module(value)) then names[#names + 1] = name end
  end
  table.sort(names)
  -- A layer's weight comes before its bias, as in PyTorch.
  if m.weight and m.bias then names = { "weight", "bias" } end
  for _, name in ipairs(names) do list[#list + 1] = { name, m[name] } end
  return list
end

local function collect(m, list)
  for _, entry in ipairs(entries(m)) do
    local value = entry[2]
    if core.is_tensor(value) then
      if value:requires_grad_set() then list[#list + 1] = value end
    elseif type(value) == "table" then
      for _, p in ipairs(value:parameters()) do list[#list + 1] = p end
    end
  end
  return list
end

--- m:parameters(): the trainable tensors of the module and of the modules in it, in a fixed order.
function Module:parameters() return collect(self, {}) end

--- m:state(): {name = tensor} of all tensors, trainable or not; a module inside adds its name or position: "1.weight".
function Module:state()
  local state = {}
  for _, entry in ipairs(entries(self)) do
    local name, value = entry[1], entry[2]
    if core.is_tensor(value) then
      state[name] = value
    elseif type(value) == "table" and value.state then
      for inner, tensor in pairs(value:state()) do state[name .. "." .. inner] = tensor end
    end
  end
  return state
end

local function load(m, state, prefix, used)
  for _, entry in ipairs(entries(m)) do
    local name, value = prefix .. entry[1], entry[2]
    if core.is_tensor(value) then
      local from = state[name]
      if not core.is_tensor(from) then raise("load_state: '%s' is missing in the state", name) end
      if not core.same_shape(from, value) then
        raise("load_state: '%s' is %s, expected %s", name, core.shape_text(from), core.shape_text(value))
      end
      core.assign(value, from)
      used[name] = true
    elseif type(value) == "table" and getmetatable(value) == Module then
      load(value, state, name .. ".", used)
    elseif type(value) == "table" and value.load_state then
      local part = {}
      for key, tensor in pairs(state) do
        if key:sub(1, #name + 1) == name .. "." then
          part[key:sub(#name + 2)] = tensor
          used[key] = true
        end
      end
      value:load_state(part)
    end
  end
end

--- m:load_state(state): copies the tensors of a table as m:state() gives it into m. Every name must be there, with its shape, and no other.
function Module:load_state(state)
  if type(state) ~= "table" then raise("load_state: state is %s, expected a table of tensors by name", core.kind(state)) end
  local used = {}
  load(self, state, "", used)
  for name in pairs(state) do
    if not used[name] then raise("load_state: the state has '%s', which this module has not", name) end
  end
end

--- m:to(device): moves every tensor of the module to "cpu" or "cuda" in place; returns m.
function Module:to(device)
  for _, entry in ipairs(entries(self)) do
    local value = entry[2]
    if core.is_tensor(value) then
      core.move(value, device)
    elseif type(value) == "table" and value.to then
      value:to(device)
    end
  end
  return self
end

--- nn.module{forward = function(self, x) ... end, name = tensor or module, ...}: a module with the other four methods made for it.
-- Tensors with requires_grad are its parameters, other tensors are saved but not trained, modules inside bring their own.
--   local scale = nn.module{ s = gal.ones{5}:requires_grad(), forward = function(self, x) return x * self.s end }
function nn.module(fields)
  if type(fields) ~= "table" or not callable(fields.forward) then raise("nn.module: forward is missing, expected a function (self, x) -> y") end
  return setmetatable(fields, Module)
end

-- U(-1/sqrt(n), 1/sqrt(n)), as PyTorch fills a layer with n inputs (kaiming_uniform with a = sqrt 5 comes to the same).
local function uniform(shape, n, options)
  local bound = 1 / math.sqrt(n)
  return (gal.rand(shape, options) * (2 * bound) - bound):requires_grad()
end

local function whole(where, name, v)
  if type(v) ~= "number" or v < 1 or v % 1 ~= 0 then raise("%s: %s is %s, expected a whole number of at least 1", where, name, tostring(v)) end
end

local Linear = {}

function Linear:forward(x) return self:activate(x, nil) end

-- The layer and the activation after it in one op. x {..., in}.
function Linear:activate(x, activation) return linear(x, self.weight, self.bias, activation) end

function Linear:spec() return { type = "linear", inputs = self.inputs, outputs = self.outputs, bias = self.bias ~= nil } end

--- nn.linear(inputs, outputs[, {bias = true, rng = r, device = d}]): y = x W' + b for x {..., inputs}; weight {outputs, inputs}, bias {outputs}.
-- Both start uniform in +-1/sqrt(inputs), drawn from rng or the default generator.
function nn.linear(inputs, outputs, options)
  options = options or {}
  whole("linear", "inputs", inputs)
  whole("linear", "outputs", outputs)
  local m = { inputs = inputs, outputs = outputs, forward = Linear.forward, activate = Linear.activate, spec = Linear.spec }
  m.weight = uniform({ outputs, inputs }, inputs, { rng = options.rng, device = options.device })
  if options.bias ~= false then m.bias = uniform({ outputs }, inputs, { rng = options.rng, device = options.device }) end
  return setmetatable(m, Module)
end

-- Activations carry their name, by which sequential hands them to the layer before.
local function activation(name)
  return function()
    return setmetatable({
      activation = name,
      forward = function(_, x) return x[name](x) end,
      spec = function() return { type = name } end,
    }, Module)
  end
end

--- nn.silu(): x sigmoid(x), elementwise.
nn.silu = activation "silu"
--- nn.relu(): max(x, 0), elementwise.
nn.relu = activation "relu"
--- nn.gelu(): x Phi(x), Phi the normal distribution function, elementwise.
nn.gelu = activation "gelu"
--- nn.tanh(): the hyperbolic tangent, elementwise.
nn.tanh = activation "tanh"
nn.activations = { silu = nn.silu, relu = nn.relu, gelu = nn.gelu, tanh = nn.tanh }

local Sequential = {}

function Sequential:forward(x)
  local i, n = 1, #self
  while i <= n do
    local layer, after = self[i], self[i + 1]
    if type(layer) == "table" and layer.activate and type(after) == "table" and after.activation then
      x = layer:activate(x, after.activation)
      i = i + 2
    else
      x = call(layer, x)
      i = i + 1
    end
  end
  return x
end

function Sequential:spec()
  local layers = {}
  for i, layer in ipairs(self) do
    local spec = type(layer) == "table" and layer.spec and layer:spec()
    if not spec then return nil end
    layers[i] = spec
  end
  return { type = "sequential", layers = layers }
end

--- nn.sequential{m1, m2, ...}: one module after the other; a linear layer and the activation that follows it run as one op.
function nn.sequential(modules)
  if type(modules) ~= "table" then raise("sequential: modules is %s, expected a list of modules", core.kind(modules)) end
  local m = { forward = Sequential.forward, spec = Sequential.spec }
  for i = 1, #modules do
    if not is_module(modules[i]) then raise("sequential: entry %d is %s, expected a module", i, core.kind(modules[i])) end
    m[i] = modules[i]
  end
  return setmetatable(m, Module)
end

--- nn.mlp{inputs, hidden..., outputs, activation = "silu", rng = r, device = d}: linear layers of these widths with the activation between them.
function nn.mlp(widths)
  local make = nn.activations[widths.activation or "silu"]
  if not make then raise("mlp: activation is '%s', expected silu, relu, gelu or tanh", tostring(widths.activation)) end
  local layers = {}
  for i = 1, #widths - 1 do
    layers[#layers + 1] = nn.linear(widths[i], widths[i + 1], { rng = widths.rng, device = widths.device })
    if i < #widths - 1 then layers[#layers + 1] = make() end
  end
  return nn.sequential(layers)
end

--- What nn.build needs to make the module again without its weights: a table that JSON can hold, or nil where the user wrote a part of it.
function nn.spec(m) return type(m) == "table" and m.spec and m:spec() or nil end

--- nn.build(spec): the module that nn.spec described, with fresh weights.
function nn.build(spec)
  if spec.type == "linear" then return nn.linear(spec.inputs, spec.outputs, { bias = spec.bias }) end
  if nn.activations[spec.type] then return nn.activations[spec.type]() end
  if spec.type ~= "sequential" then raise("nn.build: the layer type '%s' is unknown to this version", tostring(spec.type)) end
  local layers = {}
  for i, layer in ipairs(spec.layers) do layers[i] = nn.build(layer) end
  return nn.sequential(layers)
end

return nn
