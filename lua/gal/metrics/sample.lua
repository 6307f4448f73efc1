-- metrics/sample: statistics of one sample or two: quantiles, moments, bootstrap intervals, the Wasserstein-1
-- distance. They take lists of numbers or tensors, and give numbers.
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local options_of = require "gal.base.options"
local raise, integer, number = errors.raise, options_of.integer, options_of.number

local sample = {}

--- sample.pooled(x, where): the elements of x, a tensor of any shape, ascending in an array that counts from
-- 0, and their number. where: the function whose argument they are; no values, or a NaN among them, is an
-- error.
function sample.pooled(x, where)
  local result, n = host.sorted(x)
  if n == 0 then raise("%s: there are no values", where) end
  if result[n - 1] ~= result[n - 1] then raise("%s: a value is NaN, expected numbers", where) end
  return result, n
end

-- The same of one sample, a list or a tensor {n}. name: of the argument.
local function sorted(values, where, name)
  local found, n = host.numbers(where, name, values)
  if n == 0 then raise("%s: there are no values", where) end
  if core.is_tensor(values) then return sample.pooled(values, where) end
  local copy = {}
  for i = 1, n do
    if found[i - 1] ~= found[i - 1] then raise("%s: value %d is NaN, expected numbers", where, i) end
    copy[i] = found[i - 1]
  end
  table.sort(copy)
  return host.read(copy)
end

--- metrics.quantile(values, q): the q-quantile of values, a list of numbers or a tensor {n}, or a table of
-- them for a table q: linear between order statistics at position q (n - 1), Hyndman & Fan's (1996) type 7.
-- Of draws {n, d} there are d: draws:t():quantiles(levels) has them.
function sample.quantile(values, q)
  local levels, result = type(q) == "number" and { q } or q, {}
  errors.list("quantile", "q", levels, "a number from 0 to 1, or a list of them")
  for i = 1, #levels do errors.number("quantile", "q", levels[i], 0, 1) end
  if core.is_tensor(values) and values:count() > 0 then
    local hint = "; x:quantile(q, dim) is along a dimension of x"
    if #values.shape ~= 1 then host.numbers("quantile", "values", values, hint) end
    result = values:quantiles(levels):totable()
    if result[1] ~= result[1] then raise "quantile: a value is NaN, expected numbers" end
  else
    local s, n = sorted(values, "quantile", "values")
    for i = 1, #levels do result[i] = host.quantile(s, n, levels[i]) end
  end
  return type(q) == "number" and result[1] or result
end

--- sample.distance(x, n, y, m): the integral of |F_x - F_y| for ascending x {n} and y {m}, arrays from 0.
function sample.distance(x, n, y, m)
  local i, j, sum, last = 0, 0, 0, math.min(x[0], y[0])
  while i < n or j < m do
    local value = j >= m and x[i] or i >= n and y[j] or math.min(x[i], y[j])
    sum = sum + math.abs(i / n - j / m) * (value - last)
    last = value
    while i < n and x[i] == value do i = i + 1 end
    while j < m and y[j] == value do j = j + 1 end
  end
  return sum
end

--- metrics.wasserstein(a, b): the Wasserstein-1 distance between two samples of any lengths, lists of numbers
-- or tensors {n}, in the values' unit.
function sample.wasserstein(a, b)
  local x, n = sorted(a, "wasserstein", "a")
  local y, m = sorted(b, "wasserstein", "b")
  return sample.distance(x, n, y, m)
end

--- metrics.moments(values): mean, standard deviation (divided by N) and standard error of the mean of a list
-- of numbers or a tensor {N}.
function sample.moments(values)
  local hint = "; x:mean(dim) and x:std(dim) are those along a dimension"
  local v, n = host.numbers("moments", "values", values, hint)
  if n == 0 then raise("moments: there are no values") end
  local sum, squares = 0, 0
  for i = 0, n - 1 do sum = sum + v[i] end
  for i = 0, n - 1 do squares = squares + (v[i] - sum / n) ^ 2 end
  return sum / n, math.sqrt(squares / n), n > 1 and math.sqrt(squares / (n - 1) / n) or math.huge
end

--- metrics.bootstrap(values[, {resamples = 2000, level = .95, seed = 1, left_out = a list of places that
-- don't count}]): the mean with a bootstrap interval (Efron 1979, percentiles): galaxies are drawn anew with
-- replacement `resamples` times. Returns {mean, low, high, deviation, n}.
function sample.bootstrap(values, options)
  options = options_of.known("bootstrap", options, { "resamples", "level", "seed", "left_out" })
  local v, n = host.numbers("bootstrap", "values", values)
  if n == 0 then raise "bootstrap: there are no values" end
  local kept = host.others("bootstrap", n, options.left_out)
  if kept then
    values = host.pick(host.list(v, n), kept)
    v, n = host.read(values)
  end
  local mean, deviation = sample.moments(values)
  local level, means = number("bootstrap", options, "level", 0.95, 0, 1), {}
  local rng = gal.rng(integer("bootstrap", options, "seed", 1, -2 ^ 53, 2 ^ 53))
  for r = 1, integer("bootstrap", options, "resamples", 2000, 1, 1e6) do
    errors.poll()
    local u, sum = host.read(gal.rand({ n }, { rng = rng, device = "cpu" })), 0
    for i = 0, n - 1 do sum = sum + v[math.floor(u[i] * n)] end
    means[r] = sum / n
  end
  local interval = sample.quantile(means, { (1 - level) / 2, (1 + level) / 2 })
  return { mean = mean, low = interval[1], high = interval[2], deviation = deviation, n = n }
end

return sample
