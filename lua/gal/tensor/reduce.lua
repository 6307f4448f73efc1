-- Reductions with their gradients: sum, mean, max, min, std, var, prod; those that have none: any, all,
-- argmax, argmin; running sums; sorting, quantiles and the median.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local copy = require "gal.tensor.copy"
local map = require "gal.tensor.map"
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

-- Raises unless keep is nil, true or false.
local function keep_or_not(name, keep)
  if type(keep) ~= "nil" and type(keep) ~= "boolean" then
    raise("%s: keep is %s, expected true or false", name, kind(keep))
  end
end

-- x:name(dim, keep): an op (x, first, last, keep) on the range of dimensions as C counts them; its result is
-- float32, or int64 where `places`.
local function reduction(name, kernel, backward, places)
  local run = tape.native(name, {
    forward = function(x, first, last, keep)
      local d = dense(x)
      local sizes, rank = reduced(d, first, last, keep)
      local dtype = places and C.GAL_I64 or C.GAL_F32
      local y = memory.create(dtype, rank, sizes, memory.device_of(d))
      check(kernel(y.h, d.h, first, last))
      return y
    end,
    backward = backward,
  })
  return function(x, dim, keep)
    memory.live(x, name, "x")
    keep_or_not(name, keep)
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

--- x:var([dim[, keep]]) --> the variance, the square of std, of all elements, or along dim, as in sum.
function reduce.var(x, dim, keep)
  local deviation = reduce.std(memory.live(x, "var", "x"), dim, keep)
  return map.mul(deviation, deviation)
end

--- x:argmax([dim[, keep]]) --> where the largest element is: int64, its place along dim, or without dim among
-- all elements in row-major order, from 1: x[x:argmax():item()] is the largest of a vector. Of equal ones the
-- first; the first NaN where there is one. No gradient.
reduce.argmax = reduction("argmax", C.gal_argmax, nil, true)

--- x:argmin([dim[, keep]]) --> where the smallest element is, as argmax. No gradient.
reduce.argmin = reduction("argmin", C.gal_argmin, nil, true)

-- x, with the product of its halves' elements in pairs along dim until one is left: gradients come from the
-- products themselves, and are right where elements are 0.
local function paired(x, dim)
  local n = x:size(dim)
  while n > 1 do
    local half = math.floor(n / 2)
    local y = map.mul(views.narrow(x, dim, 1, half), views.narrow(x, dim, half + 1, half))
    if n % 2 == 1 then y = copy.cat({ y, views.narrow(x, dim, n, 1) }, dim) end
    x, n = y, n - half
  end
  return x
end

--- x:prod([dim[, keep]]) --> the product of all elements, or along dim, as in sum; 1 of none.
function reduce.prod(x, dim, keep)
  memory.live(x, "prod", "x")
  keep_or_not("prod", keep)
  local at = dim ~= nil and shapes.dimension(x, "prod", dim)
  local flat = not at and views.reshape(x, { -1 })
  local rest = paired(flat or x, at and at + 1 or 1)
  if shapes.count(rest) == 0 then return map.add(reduce.sum(x, dim, keep), 1) end
  if at then return keep and rest or views.select(rest, at + 1, 1) end
  local sizes = {}
  for i = 1, keep and x.h.rank or 0 do sizes[i] = 1 end
  return views.reshape(rest, sizes)
end

--- x:any([dim[, keep]]) --> 1 where an element is not 0 (NaN is not), else 0; of all, or along dim, as sum.
function reduce.any(x, dim, keep)
  memory.live(x, "any", "x")
  return map.gt(reduce.sum(map.eq(map.eq(x, 0), 0), dim, keep), 0)
end

--- x:all([dim[, keep]]) --> 1 where no element is 0, else 0; of all, or along dim, as in sum.
function reduce.all(x, dim, keep)
  memory.live(x, "all", "x")
  return map.eq(reduce.sum(map.eq(x, 0), dim, keep), 0)
end

-- ---- along one dimension ----

-- x's elements with dimension `at` (from 0) last, and back: views.
local function moved(x, at, back)
  local last = x.h.rank - 1
  if at == last then return x end
  local from, to = back and last or at, back and at or last
  local sizes, strides, order = shapes.new(), shapes.new(), {}
  for i = 0, last do order[i + 1] = i end
  table.insert(order, to + 1, table.remove(order, from + 1))
  for i = 0, last do sizes[i], strides[i] = x.h.shape[order[i + 1]], x.h.stride[order[i + 1]] end
  return memory.view(x, last + 1, sizes, strides, 0)
end

-- dim as C counts it, the last one where it is nil; of a tensor {} 0.
local function along(x, name, dim)
  if dim == nil then return math.max(x.h.rank - 1, 0) end
  return shapes.dimension(x, name, dim)
end

-- The rows of x along dimension `at`, dense: {…, n}.
local function rows_along(x, at) return dense(x.h.rank < 2 and x or moved(x, at)) end

-- Row results y {…, n} with their dimension put back to `at`.
local function put_back(y, at) return y.h.rank < 2 and y or dense(moved(y, at, true)) end

-- x, its elements along dimension `at` in the opposite order.
local function reversed(x, at)
  local strides = shapes.strides(x)
  local first = strides[at] * (x.h.shape[at] - 1)
  strides[at] = -strides[at]
  return dense(memory.view(x, x.h.rank, x.h.shape, strides, x.h.shape[at] > 0 and first or 0))
end

local cumsum = tape.native("cumsum", {
  forward = function(x, at)
    local y = memory.real_like(x)
    check(C.gal_cumsum(y.h, dense(x).h, at))
    return y
  end,
  backward = function(dy, _, at)
    local back = reversed(dy, at)
    check(C.gal_cumsum(back.h, back.h, at))
    return reversed(back, at)
  end,
})

--- x:cumsum([dim]) --> the sums of x's elements along dim up to each place, of x's shape. dim may be left out
-- where x has one dimension. Sums run in double precision.
function reduce.cumsum(x, dim)
  memory.live(x, "cumsum", "x")
  if dim == nil and x.h.rank == 1 then dim = 1 end
  return cumsum(x, shapes.dimension(x, "cumsum", dim))
end

local sort = tape.native("sort", {
  forward = function(x, at)
    local rows = rows_along(x, at)
    local y = memory.real_like(rows)
    check(C.gal_sort(y.h, rows.h))
    return put_back(y, at)
  end,
})

--- x:sort([dim]) --> x sorted in ascending order along dim, by default its last dimension, NaN last. No
-- gradient.
function reduce.sort(x, dim) return sort(memory.live(x, "sort", "x"), along(x, "sort", dim)) end

local argsort = tape.native("argsort", {
  forward = function(x, at)
    local rows = rows_along(x, at)
    local y = memory.create(C.GAL_I64, rows.h.rank, rows.h.shape, memory.device_of(x))
    check(C.gal_argsort(y.h, rows.h))
    return put_back(y, at)
  end,
})

--- x:argsort([dim]) --> the order of x's elements along dim, by default its last dimension, from the smallest
-- to the largest: int64, counting from 0 as rng:permutation does, so that x:rows(x:argsort()) is a vector x
-- sorted, and y:rows(x:argsort()) another's rows in that order. Equal elements stay in their order, NaN are
-- last. (-x):argsort() begins with the largest. No gradient.
function reduce.argsort(x, dim) return argsort(memory.live(x, "argsort", "x"), along(x, "argsort", dim)) end

-- ---- quantiles ----

-- Of the rows of a dense x {…, n}: float64 {…, #levels}.
local function levels_of(x, levels)
  local sizes, rank = shapes.sizes(x), math.max(x.h.rank, 1)
  sizes[rank - 1] = #levels
  local at = values.float64({ #levels }, memory.device_of(x))
  check(C.gal_tensor_write(at.h, ffi.new("double[?]", #levels + 1, levels), #levels))
  local y = memory.create(C.GAL_F64, rank, sizes, memory.device_of(x))
  check(C.gal_quantiles(y.h, x.h, at.h))
  return y
end

local quantiles = tape.native("quantiles", { forward = function(x, levels)
  return levels_of(dense(x), levels)
end })

-- Raises unless `levels` is a list of numbers from 0 to 1; `argument` names it.
local function level_list(name, argument, levels, expected)
  if type(levels) ~= "table" or memory.is_tensor(levels) then
    raise("%s: %s is %s, expected %s", name, argument, kind(levels), expected)
  end
  for i = 1, #levels do errors.number(name, ("%s[%d]"):format(argument, i), levels[i], 0, 1) end
end

--- x:quantiles(levels) --> the quantiles of each row of x {…, n}, float64 {…, #levels}, at levels from 0 to
-- 1, a list: linear between the order statistics at position level (n - 1), Hyndman & Fan's (1996) type 7.
-- NaN where the row holds one. No gradient.
function reduce.quantiles(x, levels)
  memory.live(x, "quantiles", "x")
  level_list("quantiles", "levels", levels, "a list")
  return quantiles(x, levels)
end

-- first, last, keep: as in the reductions; several: levels come first, as numpy has them.
local quantile = tape.native("quantile", {
  forward = function(x, levels, span, keep, several)
    local first, last = span[1], span[2]
    local rows = first == last and rows_along(x, first) or dense(x)
    if first ~= last then rows = views.reshape(rows, { -1 }) end
    local found = levels_of(rows, levels)
    found = dense(moved(found, 0, true)) -- {#levels, …}
    local sizes, rank = reduced(x, first, last, keep)
    local y = shaped(x, rank, sizes)
    if several then
      local all = shapes.new(#levels)
      for i = 0, rank - 1 do all[i + 1] = sizes[i] end
      y = shaped(x, rank + 1, all)
    end
    check(C.gal_copy(views.reshape(y, { -1 }).h, views.reshape(found, { -1 }).h))
    return y
  end,
})

--- x:quantile(q[, dim[, keep]]) --> the q-quantile of all elements, or along dim, as in sum; numpy.quantile's
-- definition: linear between the order statistics at position q (n - 1). q is from 0 to 1, or a list of such
-- numbers: then the result's first dimension runs over them, as numpy's. NaN where an element is. No
-- gradient.
function reduce.quantile(x, q, dim, keep)
  memory.live(x, "quantile", "x")
  keep_or_not("quantile", keep)
  local several = type(q) == "table"
  if not several then errors.number("quantile", "q", q, 0, 1) end
  level_list("quantile", "q", several and q or { q }, "a number from 0 to 1, or a list of them")
  local at = dim ~= nil and shapes.dimension(x, "quantile", dim)
  if x.h.rank == 0 then x, at = views.reshape(x, { 1 }), at or 0 end
  local span = { at or 0, at or x.h.rank - 1 }
  return quantile(x, several and q or { q }, span, keep, several)
end

--- x:median([dim[, keep]]) --> the median, the mean of the two in the middle of an even number, of all
-- elements, or along dim, as in sum; NaN where an element is. No gradient.
function reduce.median(x, dim, keep)
  return reduce.quantile(memory.live(x, "median", "x"), 0.5, dim, keep)
end

return reduce
