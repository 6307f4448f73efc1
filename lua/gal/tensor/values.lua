-- Tensors as values: constructors, sizes, and reading and writing single elements.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local made = require("gal.base.collect").made
local default_device = require("gal.base.device").default
local known = require("gal.base.options").known
local copy = require "gal.tensor.copy"
local memory = require "gal.tensor.memory"
local shapes = require "gal.tensor.shapes"
local tape = require "gal.tensor.tape"
local decimal = require("gal.base.text").decimal
local C = ffi.C
local raise, check, kind = errors.raise, errors.check, errors.kind
local number, integer = errors.number, errors.integer
local live, is_tensor = memory.live, memory.is_tensor

local values = {}

local DTYPES = { float32 = 0, uint8 = 1, int64 = 2, float64 = 3 }
local ARRAYS = {
  [0] = ffi.typeof "float[?]", ffi.typeof "uint8_t[?]", ffi.typeof "int64_t[?]", ffi.typeof "double[?]",
}
local POINTERS = {
  [0] = ffi.typeof "float *", ffi.typeof "uint8_t *", ffi.typeof "int64_t *", ffi.typeof "double *",
}

-- ---- making ----

--- new(shape[, dtype[, device]]): a tensor with undefined contents; dtype "float32", "uint8", "int64" or
-- "float64".
function values.new(shape, dtype, device)
  local code = DTYPES[dtype or "float32"]
  if not code then raise("new: dtype is %s, expected float32, uint8, int64 or float64", kind(dtype)) end
  local sizes, rank = shapes.from("new", shape)
  return memory.create(code, rank, sizes, device or default_device())
end

--- to_fill(shape, dtype): the same on the CPU, to be filled through its pointer (memory.filled).
function values.to_fill(shape, dtype)
  local sizes, rank = shapes.from("to_fill", shape)
  return memory.filled(DTYPES[dtype], rank, sizes)
end

local DEVICE_ONLY = { "device" }
-- The device that options name, else the default.
local function device_for(op, options)
  return options ~= nil and known(op, options, DEVICE_ONLY).device or default_device()
end

local function filled(op, shape, value, options)
  local device = device_for(op, options)
  local sizes, rank = shapes.from(op, shape)
  local y = memory.create(0, rank, sizes, device)
  check(C.gal_fill(y.h, value))
  return y
end

--- gal.zeros(shape[, {device = name}]) --> a float32 tensor of zeros.
function values.zeros(shape, options) return filled("zeros", shape, 0, options) end

--- gal.ones(shape[, {device = name}]) --> a float32 tensor of ones.
function values.ones(shape, options) return filled("ones", shape, 1, options) end

--- gal.full(shape, value[, {device = name}]) --> a float32 tensor with every element value.
function values.full(shape, value, options)
  number("full", "value", value)
  return filled("full", shape, value, options)
end

--- gal.arange(n) --> 1 .. n; gal.arange(first, last[, step]) --> first, first + step, … up to last, which is
-- included. Shape {count}; options {device = name} last.
function values.arange(first, last, step, options)
  if type(last) == "table" then first, last, step, options = first, nil, nil, last end
  if type(step) == "table" then step, options = nil, step end
  if last == nil then first, last = 1, first end
  step = step or 1
  number("arange", "first", first)
  number("arange", "last", last)
  number("arange", "step", step)
  if step == 0 then raise("arange: step is 0, expected another number") end
  local device = device_for("arange", options)
  -- (1 - 0) / 0.1 falls short of 10 by rounding alone; a billionth of a step is forgiven.
  local count = math.max(0, math.floor((last - first) / step + 1e-9) + 1)
  local y = memory.create(0, 1, shapes.new(count), device)
  check(C.gal_arange(y.h, first, step))
  return y
end

--- gal.linspace(first, last, n[, {device = name}]) --> n numbers from first to last, both included, at equal
-- distances; of n = 1 first alone.
function values.linspace(first, last, n, options)
  number("linspace", "first", first)
  number("linspace", "last", last)
  integer("linspace", "n", n, 1, 2 ^ 48)
  local y = memory.create(0, 1, shapes.new(n), device_for("linspace", options))
  check(C.gal_arange(y.h, first, n > 1 and (last - first) / (n - 1) or 0))
  return y
end

-- Where in a nested table an error lies: "[2][1]".
local function place(path) return "[" .. table.concat(path, "][") .. "]" end

-- Appends the numbers of a nested table to flat; shape is that of the first branch, which all others have to
-- match.
local function flatten(op, value, shape, depth, path, flat)
  if depth > #shape then
    if type(value) ~= "number" then
      raise("%s: element %s is %s, expected a number", op, place(path), kind(value))
    end
    flat[#flat + 1] = value
    return
  end
  if type(value) ~= "table" then
    raise("%s: element %s is %s, expected a table of %d: the rows are ragged",
      op, place(path), kind(value), shape[depth])
  end
  if #value ~= shape[depth] then
    local where = depth == 1 and "data" or "element " .. place(path)
    raise("%s: %s has %d elements, expected %d as in the first row: the rows are ragged",
      op, where, #value, shape[depth])
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
  if type(data) ~= "table" or is_tensor(data) then
    raise("%s: data is %s, expected a number or a table of numbers%s",
      op, kind(data), is_tensor(data) and "; x:clone() copies a tensor" or "")
  end
  if shape then
    local _, _, count = shapes.from(op, shape)
    if #data ~= count then
      raise("%s: data has %d elements, expected %d for shape %s", op, #data, count, shapes.text(shape))
    end
    for i = 1, count do
      if type(data[i]) ~= "number" then
        raise("%s: element %d is %s, expected a number", op, i, kind(data[i]))
      end
    end
    return data, shape
  end
  local found, first = {}, data
  while type(first) == "table" and not is_tensor(first) do
    found[#found + 1] = #first
    first = first[1]
  end
  local flat = {}
  flatten(op, data, found, 1, {}, flat)
  return flat, found
end

-- A tensor of dtype from a flat list; `shift` is added to each (indices count from 0 in C).
local function from_list(op, flat, shape, dtype, device, shift, outside)
  local sizes, rank, count = shapes.from(op, shape)
  local y = memory.create(dtype, rank, sizes, device, outside)
  if type(flat) == "cdata" then
    made(C.gal_tensor_write, y.h, flat, count)
    return y
  end
  local host = ARRAYS[dtype](math.max(count, 1))
  for i = 1, count do host[i - 1] = flat[i] + shift end
  made(C.gal_tensor_write, y.h, host, count)
  return y
end

--- gal.tensor(data[, shape][, {device = name}]) --> a float32 tensor. data: a number (shape {}), nested
-- tables of numbers all of one shape, or a flat table with its shape: gal.tensor({1, 2, 3, 4}, {2, 2}).
function values.tensor(data, shape, options)
  local named = type(shape) == "table" and shape[1] == nil and next(shape) ~= nil
  if options == nil and named then shape, options = nil, shape end
  local device = device_for("tensor", options)
  local flat, found = parse("tensor", data, shape)
  return from_list("tensor", flat, found, 0, device, 0)
end

--- int64(shape, list[, device[, outside]]) --> an int64 tensor from a flat list of integers or int64 cdata,
-- or from an int64_t array that counts from 0; undefined contents where list is nil. outside: it outlives
-- every open scope.
function values.int64(shape, list, device, outside)
  if list == nil then return values.new(shape, "int64", device) end
  return from_list("int64", list, shape, DTYPES.int64, device or default_device(), 0, outside)
end

--- index(list[, device[, rows]]) --> an int64 tensor {n} of row numbers from 0, from a Lua list of row
-- numbers from 1; raises where one is beyond `rows`.
function values.index(list, device, rows)
  if type(list) ~= "table" then raise("index: list is %s, expected a table of row numbers", kind(list)) end
  for i = 1, #list do integer("index", "element " .. i, list[i], 1, rows) end
  return from_list("index", list, { #list }, DTYPES.int64, device or default_device(), -1)
end

--- float64(shape[, device]): float64 zeros, for sums that run through many steps.
function values.float64(shape, device)
  local y = values.new(shape, "float64", device)
  check(C.gal_fill(y.h, 0))
  return y
end

-- ---- sizes ----

--- x:size(dim) --> the size of one dimension, from 1; −1 is the last.
function values.size(x, dim)
  live(x, "size", "x")
  return tonumber(x.h.shape[shapes.dimension(x, "size", dim)])
end

--- x:count() --> the number of elements.
function values.count(x) return shapes.count(live(x, "count", "x")) end

--- x:device() --> the name of the device that holds x.
function values.device(x) return memory.device_of(live(x, "device", "x")) end

-- ---- elements ----

--- read(x) --> the elements in row-major order as a cdata array of x's type, counting from 0, and their
-- number.
function values.read(x)
  live(x, "read", "x")
  local count = shapes.count(x)
  local host = ARRAYS[x.h.dtype](math.max(count, 1))
  made(C.gal_tensor_read, x.h, host, count)
  return host, count
end

-- An int64 beyond 2^53 has no exact number: it comes as decimal text, like every id.
local function to_number(value, dtype)
  if dtype ~= 2 then return tonumber(value) end
  local exact = value <= 9007199254740992LL and value >= -9007199254740992LL
  return exact and tonumber(value) or decimal(value)
end

local function nest(host, dtype, shape, depth, at)
  if depth > #shape then return to_number(host[at], dtype), at + 1 end
  local list = {}
  for i = 1, shape[depth] do list[i], at = nest(host, dtype, shape, depth + 1, at) end
  return list, at
end

--- x:totable() --> the elements as nested Lua tables; a number for shape {}. int64 beyond 2^53 come as
-- decimal strings.
function values.totable(x)
  live(x, "totable", "x")
  local host = values.read(x)
  return (nest(host, x.h.dtype, shapes.list(x), 1, 0))
end

--- x:item() --> the one element as a number.
function values.item(x)
  live(x, "item", "x")
  if shapes.count(x) ~= 1 then raise("item: x is %s, expected one element", shapes.text(x)) end
  local host = values.read(x)
  return to_number(host[0], x.h.dtype)
end

-- A view of one element that is no tensor: get and set make no garbage that needs a finaliser.
local one = ffi.new "gal_tensor"
local function point(x, op, ...)
  local h = x.h
  local given = select("#", ...)
  if given ~= h.rank then
    raise("%s: %d indices for a tensor %s, expected %d", op, given, shapes.text(x), h.rank)
  end
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
function values.get(x, ...)
  live(x, "get", "x")
  local at = point(x, "get", ...)
  local host = ARRAYS[at.dtype](1)
  made(C.gal_tensor_read, at, host, 1)
  return to_number(host[0], at.dtype)
end

--- x:set(value, i, j, …): writes one element, through views too. Returns x. A tensor on the tape raises.
-- While a program is recorded every replay writes the same value.
function values.set(x, value, ...)
  live(x, "set", "x")
  copy.storable("set", x, value)
  local at = point(x, "set", ...)
  tape.writable(x, "set")
  local host = ARRAYS[at.dtype](1, value)
  made(C.gal_tensor_write, at, host, 1)
  return x
end

return values
