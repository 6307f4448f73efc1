-- Views with their gradients: reshape, t, narrow, select. A view shares its elements with the tensor that it
-- came from, and set writes through; its gradient is the same view of that tensor's gradient.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local memory = require "gal.tensor.memory"
local shapes = require "gal.tensor.shapes"
local tape = require "gal.tensor.tape"
local C = ffi.C
local raise, check, kind, integer = errors.raise, errors.check, errors.kind, errors.integer
local live, dense = memory.live, memory.dense

local views = {}

-- Zeros like x with g written where `part` says: the gradient of a view.
local function zeros_with(x, g, part)
  local dx = memory.like(x)
  check(C.gal_fill(dx.h, 0))
  check(C.gal_copy(part(dx).h, g.h))
  return dx
end

--- view(x, sizes, strides[, offset]) --> any view of x's storage, not taped; strides and offset in elements,
-- Lua lists. C checks that it stays inside.
function views.view(x, sizes, strides, offset)
  live(x, "view", "x")
  local wanted, rank = shapes.from("view", sizes)
  local steps = shapes.new()
  for i = 1, rank do steps[i - 1] = strides[i] end
  return memory.view(x, rank, wanted, steps, offset or 0)
end

-- ---- another shape ----

-- x, contiguous, as a view of these sizes; the counts agree.
local function shaped_view(x, sizes, rank)
  return memory.view(x, rank, sizes, shapes.dense_strides(sizes, rank), 0)
end

-- The sizes of a list with its one −1 worked out, checked against x's count, and their number.
local function resolve(x, list)
  if type(list) ~= "table" then
    raise("reshape: shape is %s, expected a table such as {8, -1}", kind(list))
  end
  local count, known, sizes, open = shapes.count(x), 1, shapes.new(), nil
  for i = 1, math.min(#list, shapes.MOST) do
    local n = list[i]
    if n == -1 and not open then
      open = i
    else
      if type(n) ~= "number" or n % 1 ~= 0 or n < 0 then
        integer("reshape", ("dimension %d of shape"):format(i), n, 0)
      end
      known, sizes[i - 1] = known * n, n
    end
  end
  local missing = not open and 1 or known > 0 and count / known or 0
  if open then sizes[open - 1] = math.floor(missing) end
  if #list > shapes.MOST or known * missing ~= count or missing % 1 ~= 0 then
    raise("reshape: shape is %s, expected %d elements in all as x %s has",
      shapes.text(list), count, shapes.text(x))
  end
  return sizes, #list
end

--- x:reshape(shape) --> the same elements in row-major order under another shape; one dimension may be −1. A
-- view where x is contiguous.
views.reshape = tape.native("reshape", {
  forward = function(x, list) return shaped_view(dense(x), resolve(x, list)) end,
  backward = function(dy, x) return shaped_view(dense(dy), x.h.shape, x.h.rank) end,
})

local function transposed(x)
  local h = x.h
  return memory.view(x, 2, shapes.new(h.shape[1], h.shape[0]), shapes.new(h.stride[1], h.stride[0]), 0)
end

--- x:t() --> the transpose of a matrix, a view.
views.t = tape.native("t", {
  forward = function(x)
    if x.h.rank ~= 2 then raise("t: x is %s, expected a matrix", shapes.text(x)) end
    return transposed(x)
  end,
  backward = function(dy) return transposed(dy) end,
})

-- ---- parts ----

--- narrowed(x, at, first, length) --> elements first … first + length - 1 of x along dimension `at`, which
-- counts from 0; a view, not taped, nothing is checked.
local function narrowed(x, at, first, length)
  local h, sizes = x.h, shapes.sizes(x)
  sizes[at] = length
  return memory.view(x, h.rank, sizes, h.stride, (first - 1) * tonumber(h.stride[at]))
end
views.narrowed = narrowed

local narrow = tape.native("narrow", {
  forward = function(x, at, first, length) return narrowed(x, at, first, length) end,
  backward = function(dy, x, at, first, length)
    return zeros_with(x, dy, function(dx) return narrowed(dx, at, first, length) end)
  end,
})

--- x:narrow(dim, first, length) --> elements first … first + length - 1 along dim, a view.
function views.narrow(x, dim, first, length)
  live(x, "narrow", "x")
  local at = shapes.dimension(x, "narrow", dim)
  local size = tonumber(x.h.shape[at])
  integer("narrow", "first", first, 1, size + 1)
  integer("narrow", "length", length, 0, size - first + 1)
  return narrow(x, at, first, length)
end

local function selected(x, at, index)
  local h, sizes, strides = x.h, shapes.sizes(x), shapes.strides(x)
  for i = at, h.rank - 2 do sizes[i], strides[i] = sizes[i + 1], strides[i + 1] end
  return memory.view(x, h.rank - 1, sizes, strides, (index - 1) * tonumber(h.stride[at]))
end

local select_op = tape.native("select", {
  forward = function(x, at, index) return selected(x, at, index) end,
  backward = function(dy, x, at, index)
    return zeros_with(x, dy, function(dx) return selected(dx, at, index) end)
  end,
})

--- x:select(dim, index) --> the slice at index along dim, without that dimension: a view. x[i] is
-- x:select(1, i).
function views.select(x, dim, index)
  live(x, "select", "x")
  local at = shapes.dimension(x, "select", dim)
  integer("select", "index", index, 1, tonumber(x.h.shape[at]))
  return select_op(x, at, index)
end

return views
