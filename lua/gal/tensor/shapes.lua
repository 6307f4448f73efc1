-- Shapes: sizes and strides as int64_t[8], which C takes, and as lists, which users and errors have. Every
-- caller gets an array of its own. Dimensions count from 0 in C and from 1 in Lua.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local C = ffi.C
local raise, kind, integer = errors.raise, errors.kind, errors.integer

local shapes = {}

local MOST = 8
local BYTES = 8 * MOST
local Sizes, Handle = ffi.typeof "int64_t[8]", ffi.typeof "gal_tensor *"

--- MOST: dimensions that a tensor has at most (GAL_RANK).
shapes.MOST = MOST

--- new(a, b, …) --> a fresh int64_t[8] of these sizes or strides; without arguments all 0.
shapes.new = Sizes

--- sizes(x) --> x's sizes, a fresh int64_t[8].
function shapes.sizes(x)
  local sizes = Sizes()
  ffi.copy(sizes, x.h.shape, BYTES)
  return sizes
end

--- strides(x) --> x's strides in elements, a fresh int64_t[8].
function shapes.strides(x)
  local strides = Sizes()
  ffi.copy(strides, x.h.stride, BYTES)
  return strides
end

--- dense_strides(sizes, rank) --> the strides of a row-major tensor of these sizes.
function shapes.dense_strides(sizes, rank)
  local strides, step = Sizes(), 1
  for i = rank - 1, 0, -1 do
    strides[i] = step
    step = step * tonumber(sizes[i])
  end
  return strides
end

--- from(op, list) --> the sizes of a Lua list as int64_t[8], their number and their product; raises where one
-- is no size. op begins the sentence.
function shapes.from(op, list)
  if type(list) ~= "table" or list.h then
    raise("%s: shape is %s, expected a table such as {2, 3}", op, kind(list))
  end
  local sizes, rank, count = Sizes(), #list, 1
  if rank > MOST then raise("%s: shape has %d dimensions, expected at most %d", op, rank, MOST) end
  for i = 1, rank do
    local n = list[i]
    if type(n) ~= "number" or n % 1 ~= 0 or n < 0 or n > 2 ^ 48 then
      integer(op, ("dimension %d of shape"):format(i), n, 0, 2 ^ 48)
    end
    sizes[i - 1], count = n, count * n
  end
  return sizes, rank, count
end

-- ---- of a tensor ----

--- count(x) --> the number of elements.
function shapes.count(x) return tonumber(C.gal_tensor_count(x.h)) end

--- list(x) --> the sizes as a fresh Lua list.
function shapes.list(x)
  local h, list = x.h, {}
  for i = 1, h.rank do list[i] = tonumber(h.shape[i - 1]) end
  return list
end

--- x:shape_text() --> the sizes of a tensor, a list or a set of images (gal.images) as errors show them:
-- "{64, 256}".
function shapes.text(x)
  if type(x) ~= "table" then raise("shape_text: x is %s, expected a tensor", kind(x)) end
  local h = x.h
  if not h then
    local words = {}
    for i = 1, #x do words[i] = tostring(x[i]) end
    return "{" .. table.concat(words, ", ") .. "}"
  end
  if not ffi.istype(Handle, h) then return shapes.text(x.shape) end
  if x.scope and x.scope.closed then return "(stale)" end -- the handle is gone
  return shapes.text(shapes.list(x))
end

--- same(a, b) --> whether two tensors have the same sizes.
function shapes.same(a, b)
  a, b = a.h, b.h
  if a.rank ~= b.rank then return false end
  for i = 0, a.rank - 1 do
    if a.shape[i] ~= b.shape[i] then return false end
  end
  return true
end

--- dimension(x, op, dim) --> dim as C counts it, from 0; negative ones count from the end. Raises where x has
-- no such dimension.
function shapes.dimension(x, op, dim)
  local rank = x.h.rank
  if type(dim) ~= "number" or dim % 1 ~= 0 or dim == 0 or math.abs(dim) > rank then
    local found = type(dim) == "number" and ("%.14g"):format(dim) or kind(dim)
    raise("%s: dim is %s, expected an integer from 1 to %d (or -1 for the last) for a tensor %s",
      op, found, rank, shapes.text(x))
  end
  return dim > 0 and dim - 1 or rank + dim
end

-- ---- of images {N, H, W, C} ----

--- images(op, x) --> x's handle; raises unless x has four dimensions.
function shapes.images(op, x)
  if x.h.rank ~= 4 then raise("%s: x is %s, expected images {N, H, W, C}", op, shapes.text(x)) end
  return x.h
end

return shapes
