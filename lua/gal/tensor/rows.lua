-- Rows of a tensor chosen by number, or repeated beside others, with their gradients.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local memory = require "gal.tensor.memory"
local shapes = require "gal.tensor.shapes"
local tape = require "gal.tensor.tape"
local values = require "gal.tensor.values"
local views = require "gal.tensor.views"
local C = ffi.C
local raise, check = errors.raise, errors.check
local dense, view = memory.dense, memory.view

local rows = {}

--- x:gather(index) --> rows {n, …} of x {N, …}; index int64 {n}, counting from 0 (tensor.index,
-- rng:permutation). A row may be named twice.
rows.gather = tape.native("gather", {
  forward = function(x, index)
    if x.h.rank < 1 then raise("gather: x is %s, expected rows", shapes.text(x)) end
    if index.h.dtype ~= C.GAL_I64 or index.h.rank ~= 1 then
      raise("gather: index is %s %s, expected int64 {n}", memory.dtype(index), shapes.text(index))
    end
    local sizes = shapes.sizes(x)
    sizes[0] = index.h.shape[0]
    local y = memory.shaped(x, x.h.rank, sizes)
    check(C.gal_gather_rows(y.h, dense(x).h, dense(index).h))
    return y
  end,
  backward = function(dy, x, index)
    local dx = memory.like(x)
    check(C.gal_fill(dx.h, 0))
    check(C.gal_scatter_add_rows(dx.h, dense(dy).h, dense(index).h))
    return dx
  end,
}, 2)

-- The gradient of x {N, E} from dy {M, W}: the sums over each row's repetitions.
local function sums_of(dy, x, first, repeats)
  local sizes = shapes.sizes(x)
  if repeats then
    local sums = memory.real_shaped(dy, 2, shapes.new(sizes[0], dy.h.shape[1]))
    check(C.gal_fill(sums.h, 0))
    check(C.gal_scatter_add_rows(sums.h, dense(dy).h, repeats.h))
    dy = sums
  end
  return views.narrowed(dy, 1, first, tonumber(sizes[1]))
end

--- into_columns(x {N, E}, y {M, W}, first[, repeats]) --> y, fresh and not taped, with x in its columns
-- first … first + E - 1: each row of x M / N times, one after the other; then gradients flow back to x.
-- repeats int64 {M}: the row of x of each row of y, from 0; nil where M is N.
rows.into_columns = tape.native("into_columns", {
  forward = function(x, y, first, repeats)
    local hx, hy = x.h, y.h
    local last = first + tonumber(hx.shape[1]) - 1
    if hx.rank ~= 2 or hy.rank ~= 2 or last > hy.shape[1] or hy.shape[0] ~= (repeats or x).h.shape[0] then
      raise("into_columns: x is %s, expected columns %d to at most %d of y %s",
        shapes.text(x), first, tonumber(hy.shape[1]), shapes.text(y))
    end
    local n, e, width = hx.shape[0], hx.shape[1], hy.shape[1]
    local each = hy.shape[0] / n
    local to = view(y, 3, shapes.new(n, each, e), shapes.new(each * width, width, 1), first - 1)
    local from = view(x, 3, shapes.new(n, 1, e), shapes.new(hx.stride[0], 0, hx.stride[1]), 0)
    check(C.gal_copy(to.h, from.h))
    return y
  end,
  backward = function(dy, x, _, first, repeats) return sums_of(dy, x, first, repeats) end,
}, 2)

--- x:rows{1, 5, 2} --> those rows of x, a copy; also takes an int64 tensor as x:gather does.
function rows.rows(x, list)
  memory.live(x, "rows", "x")
  if memory.is_tensor(list) then return rows.gather(x, list) end
  if x.h.rank < 1 then raise("rows: x is %s, expected rows", shapes.text(x)) end
  return rows.gather(x, values.index(list, memory.device_of(x), tonumber(x.h.shape[0])))
end

return rows
