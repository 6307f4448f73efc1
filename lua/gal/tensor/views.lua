-- Views and moves with their gradients: reshape, t, narrow, select, cat, rows, contiguous, clone, to, float,
-- sort. A view shares its elements with the tensor it came from, and set writes through; its gradient is the
-- same view of the tensor's.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local handle = require "gal.tensor.memory"
local core = require "gal.tensor.values"
local tape = require "gal.tensor.tape"
local grad = require "gal.tensor.map"
local C = ffi.C
local raise, check, kind, integer = errors.raise, errors.check, errors.kind, errors.integer
local methods, dims, strides = handle.methods, handle.dims, handle.strides
local like, live, dense, view = handle.like, handle.live, handle.dense, handle.view

-- A view of x with x's own shape but for what the caller then changes in dims and strides.
local function copy_layout(x)
  local h = x.h
  for i = 0, h.rank - 1 do dims[i], strides[i] = h.shape[i], h.stride[i] end
  return h
end

-- Zeros like x with g written where `part` says: the gradient of a view.
local function zeros_with(x, g, part)
  local dx = like(x)
  check(C.gal_fill(dx.h, 0))
  check(C.gal_copy(part(dx).h, g.h))
  return dx
end

-- ---- shape ----

-- x as a view {shape}; x contiguous, the counts agree.
local function shaped_view(x, shape)
  local rank, step = #shape, 1
  for i = rank, 1, -1 do
    dims[i - 1], strides[i - 1] = shape[i], step
    step = step * shape[i]
  end
  return view(x, rank, dims, strides, 0)
end

-- shape with its one −1 worked out, checked against x's count.
local function resolve(x, shape)
  if type(shape) ~= "table" then raise("reshape: shape is %s, expected a table such as {8, -1}", kind(shape)) end
  local count, known, open, result = core.count(x), 1, nil, {}
  for i = 1, #shape do
    local n = shape[i]
    if n == -1 and not open then
      open = i
    else
      known = known * integer("reshape", "dimension " .. i .. " of shape", n, 0, math.huge)
    end
    result[i] = n
  end
  if open then result[open] = known > 0 and count / known or 0 end
  if #shape > 8 or known * (open and result[open] or 1) ~= count or (open and result[open] % 1 ~= 0) then
    raise("reshape: shape is %s, expected %d elements in all as x %s has", core.shape_text(shape), count, x:shape_text())
  end
  return result
end

--- x:reshape(shape) --> the same elements in row-major order under another shape; one dimension may be −1. A
-- view where x is contiguous.
grad.method("reshape", {
  forward = function(x, shape)
    return shaped_view(dense(x), resolve(x, shape))
  end,
  backward = function(dy, x)
    return shaped_view(dense(dy), x.shape)
  end,
})

local function transpose(x)
  copy_layout(x)
  dims[0], dims[1], strides[0], strides[1] = dims[1], dims[0], strides[1], strides[0]
  return view(x, 2, dims, strides, 0)
end

--- x:t() --> the transpose of a matrix, a view.
grad.method("t", {
  forward = function(x)
    if x.h.rank ~= 2 then raise("t: x is %s, expected a matrix", x:shape_text()) end
    return transpose(x)
  end,
  backward = function(dy) return transpose(dy) end,
})

-- ---- parts ----

local function narrowed(x, at, first, length)
  local h = copy_layout(x)
  dims[at] = length
  return view(x, h.rank, dims, strides, (first - 1) * tonumber(h.stride[at]))
end

local narrow = tape.op("narrow", {
  native = true, tensors = 1,
  forward = function(x, at, first, length) return narrowed(x, at, first, length) end,
  backward = function(dy, x, at, first, length)
    return zeros_with(x, dy, function(dx) return narrowed(dx, at, first, length) end)
  end,
})

--- x:narrow(dim, first, length) --> elements first … first + length - 1 along dim, a view.
function methods.narrow(x, dim, first, length)
  live(x, "narrow", "x")
  local at = core.dimension(x, "narrow", dim)
  local size = tonumber(x.h.shape[at])
  integer("narrow", "first", first, 1, size + 1)
  integer("narrow", "length", length, 0, size - first + 1)
  return narrow(x, at, first, length)
end

local function selected(x, at, index)
  local h = copy_layout(x)
  for i = at, h.rank - 2 do dims[i], strides[i] = dims[i + 1], strides[i + 1] end
  return view(x, h.rank - 1, dims, strides, (index - 1) * tonumber(h.stride[at]))
end

local select_op = tape.op("select", {
  native = true, tensors = 1,
  forward = function(x, at, index) return selected(x, at, index) end,
  backward = function(dy, x, at, index)
    return zeros_with(x, dy, function(dx) return selected(dx, at, index) end)
  end,
})

--- x:select(dim, index) --> the slice at index along dim, without that dimension: a view. x[i] is x:select(1,
-- i).
function methods.select(x, dim, index)
  live(x, "select", "x")
  local at = core.dimension(x, "select", dim)
  integer("select", "index", index, 1, tonumber(x.h.shape[at]))
  return select_op(x, at, index)
end

local cat = tape.op("cat", {
  native = true,
  forward = function(list, at)
    local first, total = list[1], 0
    for i = 1, #list do total = total + tonumber(list[i].h.shape[at]) end
    copy_layout(first)
    dims[at] = total
    local y = handle.shaped(first, first.h.rank, dims)
    local from = 1
    for i = 1, #list do
      local length = tonumber(list[i].h.shape[at])
      check(C.gal_copy(narrowed(y, at, from, length).h, list[i].h))
      from = from + length
    end
    return y
  end,
  backward = function(dy, list, at)
    local parts, from = {}, 1
    for i = 1, #list do
      local length = tonumber(list[i].h.shape[at])
      parts[i] = grad.tracked(list[i]) and narrowed(dy, at, from, length)
      from = from + length
    end
    return parts
  end,
})

--- gal.cat({x, y, …}[, dim]) --> the tensors side by side along dim (1 by default); their other dimensions,
-- dtypes and devices agree.
function grad.cat(list, dim)
  if type(list) ~= "table" or handle.is_tensor(list) or #list == 0 then raise("cat: list is %s, expected a table of tensors", kind(list)) end
  for i = 1, #list do live(list[i], "cat", "element " .. i) end
  local first = list[1]
  local at = core.dimension(first, "cat", dim or 1)
  for i = 2, #list do
    local x = list[i]
    local fits = x.h.rank == first.h.rank and x.h.dtype == first.h.dtype
    for k = 0, fits and first.h.rank - 1 or -1 do fits = fits and (k == at or x.h.shape[k] == first.h.shape[k]) end
    if not fits then
      raise("cat: element %d is %s %s, expected %s %s like element 1 but for dimension %d", i, x.dtype, x:shape_text(), first.dtype, first:shape_text(), at + 1)
    end
    if x:device() ~= first:device() then raise("cat: element 1 is on %s but element %d is on %s", first:device(), i, x:device()) end
  end
  local copy = {} -- the caller may change his list before backward()
  for i = 1, #list do copy[i] = list[i] end
  return cat(copy, at)
end

--- x:gather(index) --> rows {n, …} of x {N, …}; index int64 {n}, counting from 0 (core.index,
-- rng:permutation). A row may be named twice.
grad.method("gather", {
  tensors = 2,
  forward = function(x, index)
    if x.h.rank < 1 then raise("gather: x is %s, expected rows", x:shape_text()) end
    if index.h.dtype ~= C.GAL_I64 or index.h.rank ~= 1 then raise("gather: index is %s %s, expected int64 {n}", index.dtype, index:shape_text()) end
    copy_layout(x)
    dims[0] = index.h.shape[0]
    local y = handle.shaped(x, x.h.rank, dims)
    check(C.gal_gather_rows(y.h, dense(x).h, dense(index).h))
    return y
  end,
  backward = function(dy, x, index)
    local dx = like(x)
    check(C.gal_fill(dx.h, 0))
    check(C.gal_scatter_add_rows(dx.h, dense(dy).h, dense(index).h))
    return dx
  end,
})

--- x:rows{1, 5, 2} --> those rows of x, a copy; also takes an int64 tensor as x:gather does.
function methods.rows(x, list)
  live(x, "rows", "x")
  if handle.is_tensor(list) then return methods.gather(x, list) end
  if x.h.rank < 1 then raise("rows: x is %s, expected rows", x:shape_text()) end
  return methods.gather(x, core.index(list, x:device(), x:size(1)))
end

-- ---- copies ----

local copied = tape.op("clone", {
  native = true, tensors = 1,
  forward = function(x)
    local y = like(x)
    check(C.gal_copy(y.h, x.h))
    return y
  end,
  backward = function(dy) return dy end,
})

--- x:clone() --> a contiguous copy; gradients flow back through it.
function methods.clone(x) return copied(live(x, "clone", "x")) end

--- x:contiguous() --> x where its elements lie in row-major order, else a copy that does.
function methods.contiguous(x)
  live(x, "contiguous", "x")
  return C.gal_tensor_contiguous(x.h) ~= 0 and x or copied(x)
end

local function on(x, device)
  local y = handle.create(x.h.dtype, x.h.rank, x.h.shape, device)
  check(C.gal_copy(y.h, dense(x).h))
  return y
end

local moved = tape.op("to", {
  native = true, tensors = 1,
  forward = function(x, device) return on(x, device) end,
  backward = function(dy, x) return on(dy, x:device()) end,
})

--- x:to(device) --> x on the named device, "cpu" or "cuda": x itself where it is there already, else a copy.
function methods.to(x, device)
  live(x, "to", "x")
  if type(device) ~= "string" then raise("to: device is %s, expected a string such as \"cpu\"", kind(device)) end
  if device == x:device() then return x end
  return moved(x, device)
end

--- x:float() --> a float32 copy of a uint8 or int64 tensor; x itself where it is float32.
function methods.float(x)
  live(x, "float", "x")
  if x.h.dtype == C.GAL_F32 then return x end
  local y = handle.create(C.GAL_F32, x.h.rank, x.h.shape, C.gal_tensor_device(x.h))
  check(C.gal_copy(y.h, x.h))
  return y
end

--- x:sort() --> x sorted in ascending order along its last dimension, NaN last. No gradient.
grad.method("sort", {
  forward = function(x)
    local y = handle.real_like(x)
    check(C.gal_sort(y.h, dense(x).h))
    return y
  end,
})

core.gather = methods.gather

return grad
