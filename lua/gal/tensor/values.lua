-- Tensors as values: constructors, reading and writing elements, int64 and uint8, printing; and the names by
-- which the rest of the library reaches handles (core.create, core.assign, …). Arithmetic and gradients are
-- in grad.lua, views in views.lua.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local known = require("gal.base.options").known
local handle = require "gal.tensor.memory"
local C = ffi.C
local raise, check, kind, integer = errors.raise, errors.check, errors.kind, errors.integer
local methods, Tensor, live, dims = handle.methods, handle.Tensor, handle.live, handle.dims

local tensor = {
  raise = raise, check = check, poll = errors.poll, kind = kind, integer = integer,
  is_tensor = handle.is_tensor, live = live, like = handle.like, dense = handle.dense, alias = handle.alias,
  scope_open = handle.scope_open, scope_close = handle.scope_close,
}

local NAMES = { [0] = "float32", "uint8", "int64", "float64" }
local DTYPES = { float32 = 0, uint8 = 1, int64 = 2, float64 = 3 }
local ARRAYS = { [0] = ffi.typeof "float[?]", ffi.typeof "uint8_t[?]", ffi.typeof "int64_t[?]", ffi.typeof "double[?]" }
local POINTERS = { [0] = ffi.typeof "float *", ffi.typeof "uint8_t *", ffi.typeof "int64_t *", ffi.typeof "double *" }

-- ---- shapes ----

--- count(x): the number of elements.
function tensor.count(x) return tonumber(C.gal_tensor_count(x.h)) end

local function shape_text(shape) return "{" .. table.concat(shape, ", ") .. "}" end

--- shape_text(x): the shape of a tensor, or a shape, as an error shows it: "{64, 256}".
function tensor.shape_text(x) return shape_text(x.h and x.shape or x) end
function methods.shape_text(x)
  if x.scope and x.scope.closed then return "(stale)" end -- its handle is gone
  return shape_text(x.shape)
end

function tensor.same_shape(a, b)
  a, b = a.h, b.h
  if a.rank ~= b.rank then return false end
  for i = 0, a.rank - 1 do if a.shape[i] ~= b.shape[i] then return false end end
  return true
end

--- set_shape(op, shape): fills handle.dims from a Lua table of sizes; returns the rank and the count.
local function set_shape(op, shape)
  if type(shape) ~= "table" or handle.is_tensor(shape) then raise("%s: shape is %s, expected a table such as {2, 3}", op, kind(shape)) end
  local rank, count = #shape, 1
  if rank > 8 then raise("%s: shape has %d dimensions, expected at most 8", op, rank) end
  for i = 1, rank do
    local n = shape[i]
    if type(n) ~= "number" or n % 1 ~= 0 or n < 0 or n > 2 ^ 48 then
      integer(op, ("dimension %d of shape"):format(i), n, 0, 2 ^ 48)
    end
    dims[i - 1], count = n, count * n
  end
  return rank, count
end
tensor.set_shape = set_shape

-- ---- making ----

--- new(shape[, dtype[, device]]): a tensor with undefined contents; dtype "float32", "uint8", "int64" or
-- "float64".
function tensor.new(shape, dtype, device)
  local rank = set_shape("new", shape)
  return handle.create(dtype and DTYPES[dtype] or dtype and raise("new: dtype is %s, expected float32, uint8, int64 or float64", kind(dtype)) or 0, rank,
    dims, device or handle.device())
end

local DEVICE_ONLY = { "device" }
local function filled(op, shape, value, options)
  options = known(op, options, DEVICE_ONLY)
  local rank = set_shape(op, shape)
  local y = handle.create(0, rank, dims, options.device or handle.device())
  check(C.gal_fill(y.h, value))
  return y
end

--- gal.zeros(shape[, {device = name}]) --> a float32 tensor of zeros.
function tensor.zeros(shape, options) return filled("zeros", shape, 0, options) end

--- gal.ones(shape[, {device = name}]) --> a float32 tensor of ones.
function tensor.ones(shape, options) return filled("ones", shape, 1, options) end

--- gal.full(shape, value[, {device = name}]) --> a float32 tensor with every element value.
function tensor.full(shape, value, options)
  if type(value) ~= "number" then raise("full: value is %s, expected a number", kind(value)) end
  return filled("full", shape, value, options)
end

--- gal.arange(n) --> 1 .. n; gal.arange(first, last[, step]) --> first, first + step, … up to last, which is
-- included. Shape {count}; options {device = name} last.
function tensor.arange(first, last, step, options)
  if type(last) == "table" then first, last, step, options = first, nil, nil, last end
  if type(step) == "table" then step, options = nil, step end
  if last == nil then first, last = 1, first end
  step = step or 1
  for name, value in pairs { first = first, last = last or false, step = step } do
    if type(value) ~= "number" then raise("arange: %s is %s, expected a number", name, kind(value or nil)) end
  end
  if step == 0 then raise("arange: step is 0, expected another number") end
  options = known("arange", options, DEVICE_ONLY)
  -- (1 - 0) / 0.1 falls short of 10 by rounding alone; a billionth of a step is forgiven.
  local count = math.max(0, math.floor((last - first) / step + 1e-9) + 1)
  dims[0] = count
  local y = handle.create(0, 1, dims, options.device or handle.device())
  check(C.gal_arange(y.h, first, step))
  return y
end

-- Where in a nested table an error lies: "[2][1]".
local function place(path) return "[" .. table.concat(path, "][") .. "]" end

-- Appends the numbers of a nested table to flat; shape is that of the first branch, which all others have to
-- match.
local function flatten(op, value, shape, depth, path, flat)
  if depth > #shape then
    if type(value) ~= "number" then raise("%s: element %s is %s, expected a number", op, place(path), kind(value)) end
    flat[#flat + 1] = value
    return
  end
  if type(value) ~= "table" then
    raise("%s: element %s is %s, expected a table of %d: the rows are ragged", op, place(path), kind(value), shape[depth])
  end
  if #value ~= shape[depth] then
    raise("%s: %s has %d elements, expected %d as in the first row: the rows are ragged", op, depth == 1 and "data" or "element " .. place(path), #value,
      shape[depth])
  end
  for i = 1, #value do
    path[depth] = i
    flatten(op, value[i], shape, depth + 1, path, flat)
  end
  path[depth] = nil
end

-- data (nested tables, a number, or a flat table with its shape) --> flat list, shape.
local function parse(op, data, shape)
  if type(data) == "number" and shape == nil then return { data }, {} end
  if type(data) ~= "table" or handle.is_tensor(data) then
    raise("%s: data is %s, expected a number or a table of numbers%s", op, kind(data), handle.is_tensor(data) and "; x:clone() copies a tensor" or "")
  end
  if shape then
    local _, count = set_shape(op, shape)
    if #data ~= count then raise("%s: data has %d elements, expected %d for shape %s", op, #data, count, shape_text(shape)) end
    for i = 1, count do
      if type(data[i]) ~= "number" then raise("%s: element %d is %s, expected a number", op, i, kind(data[i])) end
    end
    return data, shape
  end
  local found, first = {}, data
  while type(first) == "table" and not handle.is_tensor(first) do
    found[#found + 1] = #first
    first = first[1]
  end
  local flat = {}
  flatten(op, data, found, 1, {}, flat)
  return flat, found
end

-- A tensor of dtype from a flat list; `shift` is added to each (indices count from 0 in C).
local function from_list(op, flat, shape, dtype, device, shift, outside)
  local rank, count = set_shape(op, shape)
  local y = handle.create(dtype, rank, dims, device, outside)
  if type(flat) == "cdata" then
    check(C.gal_tensor_write(y.h, flat, count))
    return y
  end
  local host = ARRAYS[dtype](math.max(count, 1))
  for i = 1, count do host[i - 1] = flat[i] + shift end
  check(C.gal_tensor_write(y.h, host, count))
  return y
end

--- gal.tensor(data[, shape][, {device = name}]) --> a float32 tensor. data: a number (shape {}), nested
-- tables of numbers
--- all of one shape, or a flat table with its shape: gal.tensor({1, 2, 3, 4}, {2, 2}).
function tensor.tensor(data, shape, options)
  if options == nil and type(shape) == "table" and shape[1] == nil and next(shape) ~= nil then shape, options = nil, shape end
  options = known("tensor", options, DEVICE_ONLY)
  local flat, found = parse("tensor", data, shape)
  return from_list("tensor", flat, found, 0, options.device or handle.device(), 0)
end

--- int64(shape, values[, device[, outside]]): an int64 tensor from a flat list of whole numbers or int64
-- cdata, or from an int64_t array that
--- counts from 0; undefined contents where values is nil. outside: it outlives every open scope.
function tensor.int64(shape, values, device, outside)
  if values == nil then return tensor.new(shape, "int64", device) end
  return from_list("int64", values, shape, DTYPES.int64, device or handle.device(), 0, outside)
end

--- index(list[, device[, rows]]): an int64 tensor {n} of rows that count from 0, from a Lua list that counts
-- from 1. With rows, each is checked.
function tensor.index(list, device, rows)
  if type(list) ~= "table" then raise("index: list is %s, expected a table of row numbers", kind(list)) end
  for i = 1, #list do integer("index", "element " .. i, list[i], 1, rows or math.huge) end
  return from_list("index", list, { #list }, DTYPES.int64, device or handle.device(), -1)
end

--- view(x, shape, stride[, offset]): any view of x's storage, not taped; strides and offset in elements, Lua
-- lists. C checks that it stays inside.
function tensor.view(x, shape, stride, offset)
  live(x, "view", "x")
  local rank = set_shape("view", shape)
  for i = 1, rank do handle.strides[i - 1] = stride[i] end
  return handle.view(x, rank, dims, handle.strides, offset or 0)
end

--- float64(shape[, device]): float64 zeros, for sums that run through many steps.
function tensor.float64(shape, device)
  local y = tensor.new(shape, "float64", device)
  check(C.gal_fill(y.h, 0))
  return y
end

-- ---- values ----

--- read(x): the elements in row-major order as a cdata array of x's type, counting from 0, and their number.
function tensor.read(x)
  live(x, "read", "x")
  local count = tensor.count(x)
  local host = ARRAYS[x.h.dtype](math.max(count, 1))
  check(C.gal_tensor_read(x.h, host, count))
  return host, count
end

-- An int64 beyond 2^53 has no exact number: it comes as decimal text, like every id.
local function number(value, dtype)
  if dtype ~= 2 then return tonumber(value) end
  if value > 9007199254740992LL or value < -9007199254740992LL then return (tostring(value):gsub("LL$", "")) end
  return tonumber(value)
end

local function nest(host, dtype, shape, depth, at)
  if depth > #shape then return number(host[at], dtype), at + 1 end
  local list = {}
  for i = 1, shape[depth] do list[i], at = nest(host, dtype, shape, depth + 1, at) end
  return list, at
end

--- x:totable() --> the elements as nested Lua tables; a number for shape {}. int64 beyond 2^53 come as
-- decimal strings.
function methods.totable(x)
  live(x, "totable", "x")
  local host = tensor.read(x)
  return (nest(host, x.h.dtype, x.shape, 1, 0))
end

--- x:item() --> the one element as a number.
function methods.item(x)
  live(x, "item", "x")
  if tensor.count(x) ~= 1 then raise("item: x is %s, expected one element", x:shape_text()) end
  local host = tensor.read(x)
  return number(host[0], x.h.dtype)
end

-- A view of one element that is no tensor: get and set make no garbage that needs a finaliser.
local one = ffi.new "gal_tensor"
local function point(x, op, ...)
  local h = x.h
  local given = select("#", ...)
  if given ~= h.rank then raise("%s: %d indices for a tensor %s, expected %d", op, given, x:shape_text(), h.rank) end
  local offset = 0
  for i = 1, given do
    local index = integer(op, "index " .. i, select(i, ...), 1, tonumber(h.shape[i - 1]))
    offset = offset + (index - 1) * tonumber(h.stride[i - 1])
  end
  one.storage, one.dtype, one.rank = h.storage, h.dtype, 0
  one.data = ffi.cast(POINTERS[h.dtype], h.data) + offset
  return one
end

--- x:get(i, j, …) --> one element as a number, indices from 1.
function methods.get(x, ...)
  live(x, "get", "x")
  local at = point(x, "get", ...)
  local host = ARRAYS[at.dtype](1)
  check(C.gal_tensor_read(at, host, 1))
  return number(host[0], at.dtype)
end

--- writable(x, op): raises where an in-place change would falsify a gradient, and counts the change for
-- backward() to notice.
function tensor.writable(x, op)
  local root = x.base or x
  -- With the tape off a leaf may be set (initialisation); backward() still raises if a recorded op has seen
  -- the old values.
  if tensor.tape_enabled() and (x.requires or root.requires or (x.node and not x.node.freed) or (root.node and not root.node.freed)) then
    raise("%s: x %s is on the tape, and changing it in place would falsify its gradient; use gal.no_grad or x:detach():clone()", op, x:shape_text())
  end
  root.version = root.version + 1
end

-- Raises unless value is a number that x's type holds exactly enough: any for float32, whole ones in range
-- for the others.
local function storable(op, x, value)
  if type(value) ~= "number" then raise("%s: value is %s, expected a number", op, kind(value)) end
  if x.h.dtype == 1 then integer(op, "value", value, 0, 255) end
  if x.h.dtype == 2 then integer(op, "value", value, -2 ^ 53, 2 ^ 53) end
end

--- x:set(value, i, j, …): writes one element, through views too. Returns x. A tensor on the tape raises.
function methods.set(x, value, ...)
  live(x, "set", "x")
  storable("set", x, value)
  local at = point(x, "set", ...)
  if C.gal_recording() ~= 0 then raise("set: a value written from Lua while a program is recorded would not be written again by a replay") end
  tensor.writable(x, "set")
  local host = ARRAYS[at.dtype](1, value)
  check(C.gal_tensor_write(at, host, 1))
  return x
end

--- assign(y, x): y's elements become x's, broadcast and converted; for the library's own state, so nothing is
-- asked of the tape but told to it.
function tensor.assign(y, x)
  local root = y.base or y
  root.version = root.version + 1
  check(C.gal_copy(y.h, x.h))
  return y
end

--- x:copy_(y): writes y's elements, broadcast to x's shape, into x. Returns x. A tensor on the tape raises.
function methods.copy_(x, y)
  live(x, "copy_", "x")
  live(y, "copy_", "y")
  tensor.writable(x, "copy_")
  check(C.gal_copy(x.h, y.h))
  return x
end

--- x:fill_(value): writes value into every element. Returns x. A tensor on the tape raises.
function methods.fill_(x, value)
  live(x, "fill_", "x")
  storable("fill_", x, value)
  tensor.writable(x, "fill_")
  check(C.gal_fill(x.h, value))
  return x
end

--- x:add_(y): adds y, broadcast to x's shape, to x in place. Returns x. A tensor on the tape raises.
function methods.add_(x, y)
  live(x, "add_", "x")
  live(y, "add_", "y")
  tensor.writable(x, "add_")
  check(C.gal_add(x.h, x.h, y.h))
  return x
end

--- rehome(x, view): x becomes another object over view's storage and keeps its place in lists and on the
-- tape; for optimisers' blocks.
function tensor.rehome(x, view)
  x.h, x.base, x.scope = view.h, view.base or view, view.scope
end

--- move(x, device): x's elements move to the device, in place: the same object for every list that holds it.
function tensor.move(x, device)
  if x:device() == device then return x end
  local y = handle.create(x.h.dtype, x.h.rank, x.h.shape, device, true)
  check(C.gal_copy(y.h, handle.dense(x).h))
  x.h, x.base, x.scope, x.grad, x.grad_slot = y.h, false, false, nil, nil
  return x
end

-- ---- what a tensor says of itself ----

--- x:size(dim) --> the size of one dimension, from 1; −1 is the last.
function methods.size(x, dim)
  live(x, "size", "x")
  return tonumber(x.h.shape[tensor.dimension(x, "size", dim)])
end

--- dimension(x, op, dim): dim as C counts it, from 0; negative ones count from the end.
function tensor.dimension(x, op, dim)
  local rank = x.h.rank
  if type(dim) ~= "number" or dim ~= math.floor(dim) or dim == 0 or math.abs(dim) > rank then
    raise("%s: dim is %s, expected an integer from 1 to %d (or -1 for the last) for a tensor %s", op, type(dim) == "number" and tostring(dim) or kind(dim),
      rank, x:shape_text())
  end
  return dim > 0 and dim - 1 or rank + dim
end

--- x:count() --> the number of elements.
function methods.count(x) return tensor.count(live(x, "count", "x")) end

--- x:device() --> the name of the device that holds x.
function methods.device(x) return ffi.string(C.gal_tensor_device(live(x, "device", "x").h)) end

--- recording(): whether a program is being recorded.
function tensor.recording() return C.gal_recording() ~= 0 end

function Tensor.__index(x, key)
  local method = methods[key]
  if method ~= nil then return method end
  if type(key) == "number" then return methods.select(x, 1, key) end
  if key == "shape" then
    live(x, "shape", "x")
    local h, shape = x.h, {}
    for i = 1, h.rank do shape[i] = tonumber(h.shape[i - 1]) end
    return shape
  end
  if key == "dtype" then return NAMES[x.h.dtype] end
  return nil
end

function Tensor.__newindex(x, key, value)
  if type(key) == "number" then raise("x[%s] = …: a tensor's elements are set by x:set(value, i, j, …) or x[i]:copy_(y)", tostring(key)) end
  rawset(x, key, value)
end

local show -- loaded at the first printing
function Tensor.__tostring(x)
  show = show or require "gal.tensor.show"
  return show(x)
end

tensor.tape_enabled = function() return true end -- tape.lua says when

return tensor
