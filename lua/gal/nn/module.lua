-- nn/module: the protocol of modules, and the methods of tables that hold tensors and other modules.
--
-- A module is any table with
--   m(x[, precision]) or m:forward(x[, precision])
--                           the result for the input tensor x. precision "bf16" asks for faster, coarser
--                           products (an option of gal.train): of convolutions, and of linear layers where
--                           the device has it for them; a module hands it on to those it calls
--   m:parameters()          a list of its trainable tensors (requires_grad), always in the same order
--   m:state()               {name = tensor}: everything to be saved, the tensors themselves and not copies
--   m:load_state(s)         copies such a table into the module; raises where a name or a shape doesn't fit
--   m:to(device)            moves its tensors, returns m
-- module.new makes one from a forward function and its tensors. Where nothing is trained or saved a plain
-- function x -> y is a module too.
local errors = require "gal.base.errors"
local core = require "gal.tensor"
local raise = errors.raise

local module = {}

local Module = {}
Module.__index = Module
function Module:__call(...) return self:forward(...) end

local function callable(v)
  return type(v) == "function" or type(v) == "table" and (getmetatable(v) or {}).__call ~= nil
end

--- is_module(v): whether v can be called as one.
local function is_module(v)
  if type(v) == "function" then return true end
  if type(v) ~= "table" or core.is_tensor(v) then return false end
  return (callable(v) or type(v.forward) == "function") and type(v.parameters) == "function"
end
module.is_module = is_module

--- call(m, x[, precision]): the result of module m, of any kind that the protocol allows, for x.
function module.call(m, x, precision)
  if callable(m) then return m(x, precision) end
  if not is_module(m) then raise("nn.call: m is %s, expected a module", errors.kind(m)) end
  return m:forward(x, precision)
end

-- A layer's weight comes before its bias, as in PyTorch.
local function before(a, b)
  if a == "weight" or b == "weight" then return a == "weight" and b ~= "weight" end
  return a < b
end

-- The contents of a module of this library as {name, tensor or module}, in a fixed order: positions first,
-- then names.
local function entries(m)
  local list, names = {}, {}
  for i, child in ipairs(m) do list[i] = { tostring(i), child } end
  for name, value in pairs(m) do
    local part = type(value) == "table" and (core.is_tensor(value) or is_module(value))
    if type(name) == "string" and part then names[#names + 1] = name end
  end
  table.sort(names, before)
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

--- m:state(): {name = tensor} of all tensors, trainable or not; a module inside adds its name or position:
-- "1.weight".
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

--- m:load_state(state): copies the tensors of a table as m:state() gives it into m. Every name must be there,
-- with its shape, and no other.
function Module:load_state(state)
  if type(state) ~= "table" then
    raise("load_state: state is %s, expected a table of tensors by name", errors.kind(state))
  end
  local used = {}
  load(self, state, "", used)
  for name in pairs(state) do
    if not used[name] then raise("load_state: the state has '%s', which this module has not", name) end
  end
end

-- Whether an optimiser that somebody holds has the tensor: one that nobody does may be there until Lua
-- collects it.
local function trained(x)
  if core.slot(x) then collectgarbage() end
  return core.slot(x) ~= nil
end

--- m:to(device): moves every tensor of the module to "cpu" or "cuda" in place; returns m. Raises where an
-- optimiser was made over one: it would go on training the block that the weights were in.
function Module:to(device)
  device = errors.device("to", errors.text("to", "device", device, 'a string such as "cpu"'))
  for _, entry in ipairs(entries(self)) do
    local value = entry[2]
    if core.is_tensor(value) then
      if value:device() ~= device and trained(value) then
        raise("to: '%s' %s is a parameter of an optimiser, which keeps it on %s; move the module before the "
          .. "optimiser is made, or after opt:release()", entry[1], core.shape_text(value), value:device())
      end
      core.move(value, device)
    elseif type(value) == "table" and value.to then
      value:to(device)
    end
  end
  return self
end

errors.methods(Module, "a module")

--- nn.module{forward = function(self, x) ... end, name = tensor or module, ...}: a module with the other four
-- methods made for it. Tensors with requires_grad are its parameters, other tensors are saved but not
-- trained, modules inside bring their own.
--   local scale = nn.module{
--     s = gal.ones{5}:requires_grad(),
--     forward = function(self, x) return x * self.s end,
--   }
function module.new(fields)
  if type(fields) ~= "table" or not callable(fields.forward) then
    raise("nn.module: forward is missing, expected a function (self, x) -> y")
  end
  return setmetatable(fields, Module)
end

return module
