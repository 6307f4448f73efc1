-- posterior/reweigh: posteriors whose draws get weights: where a property has a given value (Gaussian
-- kernels), and under another prior than the training galaxies' (importance sampling). Weights that can't be
-- trusted are refused: those of fewer than an effective 100 draws, and of a heavy tail (Pareto k).
local core = require "gal.tensor"
local draws = require "gal.posterior.draws"
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local names = require "gal.posterior.names"
local pareto = require "gal.stats.pareto"
local target = require "gal.posterior.target"
local raise = errors.raise

local reweigh = {}

local MOST, LEAST = 20000, 100 -- draws that are weighted at most, and how many they have to be worth
local WIDTH = 0.2              -- of condition's kernels, in posterior deviations

local function object() return require "gal.posterior.object" end

-- Weights from their logarithms, a list {n}: an array from 0 whose largest is 1, and the effective sample
-- size (Kish 1965).
local function weights_of(log_w)
  local n, most = #log_w, -math.huge
  for r = 1, n do most = math.max(most, log_w[r]) end
  local w, sum, squares = host.new(n), 0, 0
  for r = 1, n do
    local v = most > -math.huge and math.exp(log_w[r] - most) or 0
    w[r - 1], sum, squares = v, sum + v, squares + v * v
  end
  return w, squares > 0 and sum * sum / squares or 0, sum
end

-- The n draws {n, d} of a posterior and the logarithms of the weights that they have already, or nil. One
-- with weights has its own draws and no more.
local function base_of(p, n)
  local samples = draws.of(p, p.effective and p.n or n)
  local w = p.effective and draws.column(p, 1, 1).weights
  local log_w = w and {}
  for r = 1, w and p.n or 0 do log_w[r] = math.log(w[r - 1]) end
  return samples:select(1, 1):contiguous(), log_w
end

-- Raises where draws of the posterior are no numbers.
local function refuse_lost(where, p)
  if draws.column(p, 1, 1).lost then
    raise("%s: the draws of %s are no numbers, so that they can't be weighted", where, p.id)
  end
end

-- ---- where a property has a value ----

-- The kernels: a list of {place, value, width}, in the property's units; and what they are called.
local function kernels_of(p, given)
  errors.list("condition", "values", given, "values of properties by name, as {a_v = .3}")
  local values, list, words = {}, {}, {}
  for name, value in pairs(given) do values[name] = value end
  local width = errors.number("condition", "width", values.width or WIDTH, 1e-3, 10)
  values.width = nil
  if next(values) == nil then raise "condition: values is empty, expected values, as {a_v = .3}" end
  for i, value in pairs(names.by_place("condition", p.names, values)) do
    errors.number("condition", p.names[i], value)
    local _, deviation = draws.moments(draws.column(p, i, 1))
    list[#list + 1] = { place = i, value = value, width = width * deviation }
  end
  table.sort(list, function(a, b) return a.place < b.place end)
  for k, kernel in ipairs(list) do
    words[k] = ("%s = %.4g ± %.2g"):format(p.names[kernel.place], kernel.value, kernel.width)
  end
  return list, table.concat(words, ", "), width
end

-- The logarithms of the weights of draws {n, d} under the kernels, and of those that they have.
local function kernel_weights(samples, kernels, log_w)
  local values, d, list = host.read(samples), samples:size(2), {}
  for r = 1, samples:size(1) do
    local sum = log_w and log_w[r] or 0
    for _, kernel in ipairs(kernels) do
      local off = (values[(r - 1) * d + kernel.place - 1] - kernel.value) / kernel.width
      sum = sum - off * off / 2
    end
    list[r] = sum
  end
  return list
end

-- How far the values lie from the posterior's means, in its deviations: words.
local function distance(p, kernels)
  local most, name = 0, nil
  for _, kernel in ipairs(kernels) do
    local mean, deviation = draws.moments(draws.column(p, kernel.place, 1))
    local off = math.abs(kernel.value - mean) / deviation
    if off >= most then most, name = off, p.names[kernel.place] end
  end
  return ("%s lies %.2g σ from its mean"):format(name, most)
end

--- reweigh.condition(p, given): see Posterior:condition.
function reweigh.condition(p, given)
  refuse_lost("condition", p)
  local kernels, words, width = kernels_of(p, given)
  local n = math.max(1000, p.n)
  while true do
    errors.poll()
    local samples, before = base_of(p, n)
    n = samples:size(1)
    local w, effective = weights_of(kernel_weights(samples, kernels, before))
    if effective >= LEAST then
      local told = ("Where %s: Gaussian kernels of %.2g posterior deviations leave an effective %.0f of %d "
        .. "draws."):format(words, width, effective, n)
      return object().weighted(p, samples, w, effective, words, { told, unpack(p.told or {}) })
    elseif n >= MOST or p.effective then
      raise("condition: kernels %s leave an effective %.0f of %d draws, expected %d: %s; a larger width than "
        .. "%.2g, or p:slice, which takes no draws", words, effective, n, LEAST, distance(p, kernels), width)
    end
    n = math.min(MOST, math.max(2 * n, math.ceil(1.2 * n * LEAST / math.max(effective, 1))))
  end
end

-- ---- under another prior ----

-- The share of the weights of draws {n, d} that lie where no training galaxies are: beyond their ranges, or
-- at a density below that of each of them (empty {n}).
local function share_beyond(samples, w, sum, ranges, empty)
  local values, d, beyond = host.read(samples), samples:size(2), 0
  for r = 0, samples:size(1) - 1 do
    local outside = empty[r + 1]
    for i = 1, d do
      local v = values[r * d + i - 1]
      outside = outside or v < ranges[i][1] or v > ranges[i][2]
    end
    if outside then beyond = beyond + w[r] end
  end
  return beyond / sum
end

-- By how much another estimate of the training galaxies' prior moves the means at the most, in posterior
-- deviations, and of which property.
local function moved(p, samples, w, other)
  local values, d, n, most, name = host.read(samples), samples:size(2), samples:size(1), -1, nil
  for i = 1, d do
    local sums = { { 0, 0, 0 }, { 0, 0, 0 } }
    for k, list in ipairs{ w, other } do
      for r = 0, n - 1 do
        local v, weight = values[r * d + i - 1], list[r]
        sums[k][1], sums[k][2] = sums[k][1] + weight, sums[k][2] + weight * v
        sums[k][3] = sums[k][3] + weight * v * v
      end
    end
    local a, b = sums[1][2] / sums[1][1], sums[2][2] / sums[2][1]
    local deviation = math.sqrt(math.max(sums[1][3] / sums[1][1] - a * a, 1e-300))
    if math.abs(a - b) / deviation > most then most, name = math.abs(a - b) / deviation, p.names[i] end
  end
  return most, name
end

--- reweigh.importance(p, prior): see Posterior:importance.
function reweigh.importance(p, prior)
  refuse_lost("importance", p)
  local wanted = target.of(p.run, prior)
  local samples, before = base_of(p, MOST)
  local n = samples:size(1)
  local log_w, other_w, empty = wanted.ratio(samples, before)
  local w, effective, sum = weights_of(log_w)
  local k, limit = effective > 0 and pareto.shape(log_w) or math.huge, pareto.limit(n)
  local beyond = effective > 0 and share_beyond(samples, w, sum, wanted.ranges, empty) or 0
  local outside = wanted.outside and (", and %.3g %% of the prior itself out of their range"):format(
    100 * wanted.outside) or ""
  local lie = ("%.3g %% of the weight lies where there are no training galaxies%s"):format(100 * beyond,
    outside)
  if effective < LEAST or not (k < limit) then
    raise("importance: %d draws are worth %.0f under this prior (expected at least %d), and Pareto k of "
      .. "their weights is %.3g (expected below %.3g): the posterior is too far from this prior; %s", n,
      effective, LEAST, k, limit, lie)
  end
  local shift, name = moved(p, samples, w, (weights_of(other_w)))
  local told = {
    ("Under another prior, %s: %d draws weighted by it over the training galaxies' (%s), an effective "
      .. "%.0f; Pareto k %.3g, below %.3g. %s."):format(wanted.words, n, wanted.estimate, effective, k, limit,
      lie:sub(1, 1):upper() .. lie:sub(2)),
    ("By the other estimate of the training galaxies' prior (%s) the mean of %s moves by %.2g σ, no other "
      .. "by more. It takes for granted that the inputs of a galaxy with given properties are as in the "
      .. "training, and that galaxies were chosen by their inputs alone."):format(wanted.other, name, shift),
  }
  local found = object().weighted(p, samples, w, effective, wanted.words, told)
  found.pareto_k = k
  return found
end

-- ---- draws without weights ----

--- reweigh.sample(p, n): n draws {n, d} without weights of a posterior with weights: each draw is taken with
-- its weight over the largest, once at most, so that the first are the same for every larger n. Raises where
-- fewer are left.
function reweigh.sample(p, n)
  local w, list = draws.column(p, 1, 1).weights, {}
  local u = core.read(gal.rand({ p.n }, { rng = gal.rng(p.seed + 1), device = "cpu" }))
  for r = 0, p.n - 1 do
    if u[r] < w[r] then list[#list + 1] = r + 1 end
  end
  if #list < n then
    raise("sample: n is %d, but the weights leave %d of %d draws, each taken once at most; p:save keeps all "
      .. "with their weights", n, #list, p.n)
  end
  for i = #list, n + 1, -1 do list[i] = nil end
  return draws.of(p):select(1, 1):rows(list)
end

return reweigh
