-- Reductions with their gradients: sum, mean, max, min, std; sort and quantiles.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local memory = require "gal.tensor.memory"
local shapes = require "gal.tensor.shapes"
local tape = require "gal.tensor.tape"
local untaped = require "gal.tensor.untaped"
local values = require "gal.tensor.values"
local views = require "gal.tensor.views"
local C = ffi.C
local raise, check, kind = errors.raise, errors.check, errors.kind
local dense, shaped = memory.dense, memory.real_shaped
local expand, affine, product, map2 = untaped.expand, untaped.affine, untaped.product, untaped.map2

local reduce = {}

-- x's sizes without the dimensions first to last, or with 1 for them, and how many they are.
local function reduced(x, first, last, keep)
  local h, sizes, rank = x.h, shapes.new(), 0
  for i = 0, h.rank - 1 do
    if i < first or i > last then
      sizes[rank], rank = h.shape[i], rank + 1
    elseif keep then
      sizes[rank], rank = 1, rank + 1
    end
  end
  return sizes, rank
end

-- A new tensor of x's shape with 1 for the dimensions first to last.
local function kept_shape(x, first, last)
  local sizes, rank = reduced(x, first, last, true)
  return shaped(x, rank, sizes)
end

-- t {outer…, inner…} as a view with 1 for the reduced dimensions of x, so that it broadcasts to x.
local function kept(t, x, first, last)
  local sizes, rank = reduced(x, first, last, true)
  return memory.view(dense(t), rank, sizes, shapes.dense_strides(sizes, rank), 0)
end

-- How many elements of x go into one of the result.
local function share(x, first, last)
  local n = 1
  for i = first, last do n = n * tonumber(x.h.shape[i]) end
  return n
end

-- x:name(dim, keep): an op (x, first, last, keep) on the range of dimensions as C counts them.
local function reduction(name, kernel, backward)
  local run = tape.native(name, {
    forward = function(x, first, last, keep)
      local d = dense(x)
      local sizes, rank = reduced(d, first, last, keep)
      local y = shaped(d, rank, sizes)
      check(kernel(y.h, d.h, first, last))
      return y
    end,
    backward = backward,
  })
  return function(x, dim, keep)
    memory.live(x, name, "x")
    if type(keep) ~= "nil" and type(keep) ~= "boolean" then
      raise("%s: keep is %s, expected true or false", name, kind(keep))
    end
    if dim ~= nil then
      local at = shapes.dimension(x, name, dim)
      return run(x, at, at, keep)
    end
    if x.h.rank > 0 then return run(x, 0, x.h.rank - 1, keep) end
    return run(views.reshape(x, { 1 }), 0, 0, false)
  end
end

--- x:sum([dim[, keep]]) --> the sum of all elements, shape {}; or along dim, which is dropped, or kept as 1
-- where keep is true. Dimension −1 is the last.
reduce.sum = reduction("sum", C.gal_sum, function(dy, x, first, last)
  return expand(kept(dy, x, first, last), x)
end)

--- x:mean([dim[, keep]]) --> the mean of all elements, or along dim, as in sum.
reduce.mean = reduction("mean", C.gal_mean, function(dy, x, first, last)
  return expand(kept(affine(dy, 1 / share(x, first, last)), x, first, last), x)
end)

-- Equal extremes share the gradient.
local function extreme(dy, x, first, last, _, y)
  local mask = map2(C.gal_eq, x, kept(y, x, first, last))
  local ties = kept_shape(x, first, last)
  check(C.gal_sum(ties.h, mask.h, first, last))
  return product(mask, map2(C.gal_div, kept(dy, x, first, last), ties))
end

--- x:max([dim[, keep]]) --> the largest element, or along dim, as in sum; NaN where any is.
reduce.max = reduction("max", C.gal_max, extreme)

--- x:min([dim[, keep]]) --> the smallest element, or along dim, as in sum; NaN where any is.
reduce.min = reduction("min", C.gal_min, extreme)

--- x:std([dim[, keep]]) --> the standard deviation (divided by n, not n - 1) of all elements, or along dim,
-- as in sum.
reduce.std = reduction("std", C.gal_std, function(dy, x, first, last, _, y)
  local mean = kept_shape(x, first, last)
  check(C.gal_mean(mean.h, dense(x).h, first, last))
  -- Where the deviation is 0 so is every x - mean: dividing by 1 there makes the gradient 0 and not NaN.
  local deviation = kept(y, x, first, last)
  local divisor = map2(C.gal_add, deviation, map2(C.gal_eq, deviation, untaped.scalar(0, y)))
  local each = affine(kept(dy, x, first, last), 1 / share(x, first, last))
  return product(map2(C.gal_sub, x, mean), map2(C.gal_div, each, divisor))
end)

--- x:sort() --> x sorted in ascending order along its last dimension, NaN last. No gradient.
reduce.sort = tape.native("sort", {
  forward = function(x)
    local y = memory.real_like(x)
    check(C.gal_sort(y.h, dense(x).h))
    return y
  end,
})

local quantiles = tape.native("quantiles", {
  forward = function(x, levels)
    local sizes, rank = shapes.sizes(x), math.max(x.h.rank, 1)
    sizes[rank - 1] = #levels
    local at = values.float64({ #levels }, memory.device_of(x))
    check(C.gal_tensor_write(at.h, ffi.new("double[?]", #levels + 1, levels), #levels))
    local y = memory.create(C.GAL_F64, rank, sizes, memory.device_of(x))
    check(C.gal_quantiles(y.h, dense(x).h, at.h))
    return y
  end,
})

--- x:quantiles(levels) --> the quantiles of each row of x {…, n}, float64 {…, #levels}, at levels from 0 to
-- 1, a list: linear between the order statistics at position level (n - 1), Hyndman & Fan's (1996) type 7.
-- NaN where the row holds one. No gradient.
function reduce.quantiles(x, levels)
  memory.live(x, "quantiles", "x")
  if type(levels) ~= "table" then raise("quantiles: levels is %s, expected a list", kind(levels)) end
  for i = 1, #levels do errors.number("quantiles", ("levels[%d]"):format(i), levels[i], 0, 1) end
  return quantiles(x, levels)
end

return reduce
