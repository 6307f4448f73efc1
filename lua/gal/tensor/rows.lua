-- Rows of a tensor chosen by number, with their gradient.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local memory = require "gal.tensor.memory"
local shapes = require "gal.tensor.shapes"
local tape = require "gal.tensor.tape"
local values = require "gal.tensor.values"
local C = ffi.C
local raise, check = errors.raise, errors.check
local dense = memory.dense

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

--- x:rows{1, 5, 2} --> those rows of x, a copy; also takes an int64 tensor as x:gather does.
function rows.rows(x, list)
  memory.live(x, "rows", "x")
  if memory.is_tensor(list) then return rows.gather(x, list) end
  if x.h.rank < 1 then raise("rows: x is %s, expected rows", shapes.text(x)) end
  return rows.gather(x, values.index(list, memory.device_of(x), tonumber(x.h.shape[0])))
end

return rows
