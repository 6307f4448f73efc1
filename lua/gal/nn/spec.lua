-- nn/spec: what the table of nn.spec stands for, found without building it: the tensors that its module has,
-- and the shape that it makes of an argument's. A file's table may say anything; memory is taken for the
-- layers only once this agrees with the tensors in the file.
local activations = require "gal.base.activations"

local spec = {}

-- The largest number of pixels a side that a layer may make of an image: runtime/galrun_io.h's.
local LARGEST_SIDE = require("ffi").C.GAL_LARGEST_SIDE

local Wrong = {} -- the metatable of the error that carries a sentence: {why}

local function wrong(format, ...) error(setmetatable({ why = format:format(...) }, Wrong), 0) end

local function shown(v) return type(v) == "table" and "a table" or tostring(v) end

-- s[name], an integer of at least `least`.
local function whole(s, name, least)
  local v = s[name]
  if type(v) == "number" and v % 1 == 0 and v >= least and v <= 2 ^ 31 then return v end
  wrong("a %s has %s = %s, expected an integer of at least %d", s.type, name, shown(v), least)
end

local function text(shape) return "{" .. table.concat(shape, ", ") .. "}" end

-- The shape {height, width, channels} of images; raises where the layer is given something else.
local function image(s, shape)
  if #shape ~= 3 then wrong("a %s is given %s, expected {height, width, channels}", s.type, text(shape)) end
  return shape[1], shape[2], shape[3]
end

-- How many positions a window has along a side.
local function positions(s, side, window, stride, padding)
  local n = math.floor((side + 2 * padding - window) / stride) + 1
  if n < 1 then wrong("a window of %d of a %s does not fit into %d pixels", window, s.type, side) end
  if n > LARGEST_SIDE then wrong("a %s makes %d pixels a side", s.type, n) end
  return n
end

local function list_of(s)
  local list = s.layers
  if type(list) ~= "table" then wrong("a %s has layers = %s, expected a list", s.type, shown(list)) end
  return list
end

local walk

-- Of each type of layer: add(name, shape, dtype) is called for its tensors; returns the shape it makes of
-- `shape`, without the dimension of the rows.
local layers = {}

function layers.linear(s, shape, add)
  local inputs, outputs = whole(s, "inputs", 1), whole(s, "outputs", 1)
  if #shape ~= 1 or shape[1] ~= inputs then
    wrong("a linear layer of %d inputs is given %s", inputs, text(shape))
  end
  add("weight", { outputs, inputs })
  if s.bias ~= false then add("bias", { outputs }) end
  return { outputs }
end

function layers.conv2d(s, shape, add)
  local inputs, outputs, stride = whole(s, "inputs", 1), whole(s, "outputs", 1), whole(s, "stride", 1)
  local window = type(s.window) == "table" and s.window or {}
  local k = { type = s.type, ["window[1]"] = window[1], ["window[2]"] = window[2] }
  local kh, kw = whole(k, "window[1]", 1), whole(k, "window[2]", 1)
  local h, w, channels = image(s, shape)
  if channels ~= inputs then wrong("a conv2d of %d inputs is given %s", inputs, text(shape)) end
  add("weight", { outputs, kh, kw, inputs })
  if s.bias ~= false then add("bias", { outputs }) end
  if s.padding == "same" and stride == 1 then return { h, w, outputs } end
  local padding = whole(s, "padding", 0)
  return { positions(s, h, kh, stride, padding), positions(s, w, kw, stride, padding), outputs }
end

local function pool(s, shape)
  local k, stride = whole(s, "k", 1), whole(s, "stride", 1)
  local h, w, channels = image(s, shape)
  return { positions(s, h, k, stride, 0), positions(s, w, k, stride, 0), channels }
end
layers.avg_pool2d, layers.max_pool2d = pool, pool

function layers.global_avg_pool(s, shape)
  local _, _, channels = image(s, shape)
  return { channels }
end

function layers.flatten(_, shape)
  local n = 1
  for _, size in ipairs(shape) do n = n * size end
  return { n }
end

function layers.layer_norm(s, shape, add)
  local n = whole(s, "n", 1)
  if type(s.eps) ~= "number" or not (s.eps >= 0) then wrong("a layer_norm has eps = %s", shown(s.eps)) end
  if shape[#shape] ~= n then wrong("a layer_norm of %d is given %s", n, text(shape)) end
  add("weight", { n })
  add("bias", { n })
  return shape
end

function layers.dropout(s, shape, add)
  if type(s.p) ~= "number" or not (s.p >= 0 and s.p < 1) then wrong("a dropout has p = %s", shown(s.p)) end
  add("stream", { 2 }, "int64")
  return shape
end

function layers.sequential(s, shape, add)
  for i, layer in ipairs(list_of(s)) do
    shape = walk(layer, shape, function(name, ...) add(i .. "." .. name, ...) end)
  end
  return shape
end

function layers.residual(s, shape, add)
  local list = list_of(s)
  if #list ~= 1 then wrong("a residual has %d layers, expected one", #list) end
  local made = walk(list[1], shape, function(name, ...) add("1." .. name, ...) end)
  if text(made) ~= text(shape) then
    wrong("a residual's module makes %s of %s, expected the same", text(made), text(shape))
  end
  return shape
end

for _, name in ipairs(activations.names) do
  layers[name] = function(_, shape) return shape end
end

function walk(s, shape, add)
  local layer = type(s) == "table" and type(s.type) == "string" and layers[s.type]
  if not layer then
    wrong("the layer type %s is unknown to this version", shown(type(s) == "table" and s.type or s))
  end
  return layer(s, shape, add)
end

--- spec.tensors(s, shape) --> {name = {shape, dtype}} of the state of nn.build(s), and the shape that it
-- makes of arguments {N, unpack(shape)}, without N. Where s describes no module that takes such: nil, and a
-- sentence.
function spec.tensors(s, shape)
  local found = {}
  local function add(name, size, dtype) found[name] = { shape = size, dtype = dtype or "float32" } end
  local ok, made = pcall(walk, s, shape, add)
  if ok then return found, made end
  if getmetatable(made) == Wrong then return nil, made.why end
  return nil, "its layers lie too deep in one another"
end

return spec
