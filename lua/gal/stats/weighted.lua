-- Statistics of weighted samples. A weight is any number that is not negative; only their ratios count.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local host = require "gal.stats.host"
local raise = errors.raise

local weighted = {}

--- weights(where, given, n): the weights, a list or a tensor {n}, as a double array from 0, their sum, and
-- the effective sample size (Σw)² / Σw² (Kish 1965). given nil: all are 1. Raises where one is negative or
-- no number, or all are 0.
function weighted.weights(where, given, n)
  local w
  if given == nil then
    w = host.new(n)
    for i = 0, n - 1 do w[i] = 1 end
    return w, n, n
  end
  local count
  w, count = host.numbers(where, "weights", given)
  if count ~= n then raise("%s: weights has %d values, expected %d", where, count, n) end
  local sum, squares = 0, 0
  for i = 0, n - 1 do
    local v = w[i]
    if not (v >= 0 and v < math.huge) then
      raise("%s: weights[%d] is %.14g, expected a number of at least 0", where, i + 1, v)
    end
    sum, squares = sum + v, squares + v * v
  end
  if not (sum > 0) then raise("%s: all weights are 0", where) end
  return w, sum, sum * sum / squares
end

--- order(values, n): the numbers 0 … n - 1 in the order of their values, an array of int32 from 0; equal
-- values in their own order. values: an array from 0, without NaN. Merges longer and longer runs: Lua's own
-- sort calls back for each comparison, which is ten times as slow.
function weighted.order(values, n)
  local from, to = ffi.new("int32_t[?]", n), ffi.new("int32_t[?]", n)
  for i = 0, n - 1 do from[i] = i end
  local run = 1
  while run < n do
    for first = 0, n - 1, 2 * run do
      local middle, last = math.min(first + run, n), math.min(first + 2 * run, n)
      local a, b = first, middle
      for k = first, last - 1 do
        if b >= last or a < middle and values[from[a]] <= values[from[b]] then
          to[k], a = from[a], a + 1
        else
          to[k], b = from[b], b + 1
        end
      end
    end
    from, to, run = to, from, 2 * run
  end
  return from
end

--- at(values, weights, order, n, levels): the quantiles at the levels, numbers from 0 to 1, a list: the
-- weight of what is before a value and half its own, over the sum of all, is that value's level; linear
-- between values. Values of weight 0 count for nothing. values, weights: arrays from 0; order: of the
-- values, as order has it.
function weighted.at(values, weights, order, n, levels)
  local place, value, count, sum = host.new(n), host.new(n), 0, 0
  for k = 0, n - 1 do
    local i = order[k]
    if weights[i] > 0 then
      place[count], value[count], count = sum + weights[i] / 2, values[i], count + 1
      sum = sum + weights[i]
    end
  end
  local found = {}
  for k, level in ipairs(levels) do
    local target, low, high = level * sum, 0, count - 1
    while high - low > 1 do
      local middle = math.floor((low + high) / 2)
      if place[middle] <= target then low = middle else high = middle end
    end
    local t = high > low and (target - place[low]) / (place[high] - place[low]) or 0
    t = math.max(0, math.min(1, t))
    found[k] = t == 1 and value[high] or value[low] + t * (value[high] - value[low])
  end
  return found
end

--- quantile(values, q[, weights]): the q-quantile of values, a list of numbers or a tensor {n}, under
-- weights of the same form, or a table of them for a list q: at mid-weights, as `at` has it. Of 1, 2, 3
-- with the weights .1, .1, .8 the median is 2.78.
function weighted.quantile(values, q, weights)
  local levels = type(q) == "number" and { q } or q
  errors.list("quantile", "q", levels, "a number from 0 to 1, or a list of them")
  for i = 1, #levels do errors.number("quantile", ("q[%d]"):format(i), levels[i], 0, 1) end
  local v, n = host.numbers("quantile", "values", values)
  if n == 0 then raise "quantile: there are no values" end
  for i = 0, n - 1 do
    if v[i] ~= v[i] then raise("quantile: value %d is NaN, expected numbers", i + 1) end
  end
  local w = weighted.weights("quantile", weights, n)
  local found = weighted.at(v, w, weighted.order(v, n), n, levels)
  return type(q) == "number" and found[1] or found
end

return weighted
