-- posterior/target: another prior of the properties, as a user gives it, over that of the training galaxies:
-- the logarithms of the weights of draws. p(theta) of the training galaxies is estimated twice, by kernels
-- and by a mixture; the one under which they are more probable counts, the other says how far that matters.
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local metrics = require "gal.metrics"
local names = require "gal.posterior.names"
local prior_of = require("gal.stats.prior").fit
local raise = errors.raise

local target = {}

-- ---- the training galaxies' prior ----

local fitted = setmetatable({}, { __mode = "k" }) -- run -> {[places] = estimates}

-- These columns of x {N, d}, a list of places.
local function columns_of(x, places)
  if #places == x:size(2) then return x end
  local list = {}
  for k, i in ipairs(places) do list[k] = x:select(2, i):reshape{ -1, 1 } end
  return gal.cat(list, 2)
end

-- Both estimates of the density of rows {N, d}, the better one first, each {log_density(points), words,
-- lowest: ln density of the row where it is lowest}.
local function estimates(theta)
  local p = prior_of(theta)
  local kernels, mixture = p:at_training_rows(theta)
  local list = {
    { of = p.kde, words = "kernels", at = kernels },
    { of = p.mixture, words = "a mixture of Gaussians", at = mixture },
  }
  for _, e in ipairs(list) do
    local density = e.of
    function e.log_density(points) return density:log_density(points) end
    e.lowest, e.mean = math.huge, metrics.moments(e.at)
    for _, v in ipairs(e.at) do e.lowest = math.min(e.lowest, v) end
  end
  if not p.kde.repeated and list[1].mean >= list[2].mean then return list end
  return { list[2], list[1] }
end

local function training_prior(run, places)
  local key = table.concat(places, ",")
  fitted[run] = fitted[run] or {}
  if not fitted[run][key] then
    fitted[run][key] = estimates(columns_of(run:training().theta, places))
  end
  return fitted[run][key]
end

-- The ranges {low, high} of the training galaxies' properties.
local function ranges_of(theta)
  local low, high, list = theta:min(1):totable(), theta:max(1):totable(), {}
  for i = 1, #low do list[i] = { low[i], high[i] } end
  return list
end

-- ---- the prior that is asked for ----

-- The standard normal distribution function, to 7e-8 (Abramowitz & Stegun 1964, 26.2.17).
local function normal(z)
  local t = 1 / (1 + 0.2316419 * math.abs(z))
  local polynomial = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978
    + t * 1.330274429))))
  local upper = math.exp(-z * z / 2) / math.sqrt(2 * math.pi) * polynomial
  return z >= 0 and 1 - upper or upper
end

-- The share of a flat or normal prior {low =, high =} or {mean =, std =} outside of a range.
local function share_outside(one, range)
  if one.mean then
    return 1 - normal((range[2] - one.mean) / one.std) + normal((range[1] - one.mean) / one.std)
  end
  local inside = math.max(0, math.min(one.high, range[2]) - math.max(one.low, range[1]))
  return 1 - inside / (one.high - one.low)
end

-- A property's own prior: {low, high} or {mean =, std =}, checked.
local function single(name, given)
  errors.list("importance", name, given, "{low, high}, or {mean =, std =}")
  if given.mean ~= nil or given.std ~= nil then
    return {
      mean = errors.number("importance", name .. ".mean", given.mean),
      std = errors.number("importance", name .. ".std", given.std, 1e-12, 1e12),
    }
  end
  local low = errors.number("importance", name .. "[1]", given[1])
  local high = errors.number("importance", name .. "[2]", given[2])
  if not (low < high) then raise("importance: %s is {%g, %g}, expected low < high", name, low, high) end
  return { low = low, high = high }
end

-- Of a table by name: ln of the prior of the properties that are named, all others as in the training given
-- these.
local function by_name(run, given)
  local found, places, words, outside = {}, {}, {}, 0
  local ranges = ranges_of(run:training().theta)
  for i, value in pairs(names.by_place("importance", run.flow.theta, given)) do
    found[i] = single(run.flow.theta[i], value)
    places[#places + 1] = i
  end
  table.sort(places)
  for k, i in ipairs(places) do
    local one, name = found[i], run.flow.theta[i]
    words[k] = one.mean and ("%s %.4g ± %.4g"):format(name, one.mean, one.std)
      or ("%s flat from %.4g to %.4g"):format(name, one.low, one.high)
    outside = math.max(outside, share_outside(one, ranges[i]))
  end
  local function log_density(points)
    local values, d, list = host.read(points), points:size(2), {}
    for r = 1, points:size(1) do
      local sum = 0
      for _, i in ipairs(places) do
        local v, one = values[(r - 1) * d + i - 1], found[i]
        if one.mean then
          sum = sum - ((v - one.mean) / one.std) ^ 2 / 2
        elseif v < one.low or v > one.high then
          sum = -math.huge
        end
      end
      list[r] = sum
    end
    return list
  end
  return { log_density = log_density, places = places, words = table.concat(words, ", "), outside = outside }
end

-- Of a function of {name = value}: the log densities at points.
local function by_function(run, given)
  local theta = run.flow.theta
  return {
    words = "a function of yours",
    log_density = function(points)
      local values, d, list = host.read(points), points:size(2), {}
      for r = 1, points:size(1) do
        local at = {}
        for i, name in ipairs(theta) do at[name] = values[(r - 1) * d + i - 1] end
        local v = given(at)
        if type(v) ~= "number" or v ~= v or v == math.huge then
          raise("importance: the function gave %s, expected a log density, or -math.huge", errors.kind(v))
        end
        list[r] = v
      end
      return list
    end,
  }
end

-- Of other galaxies' properties {M, d}: estimates of the kinds of the training galaxies'.
local function by_rows(run, theta)
  local _, d = host.matrix("importance", "prior", theta, #run.flow.theta)
  local ranges, beyond, values = ranges_of(run:training().theta), 0, host.read(theta)
  for r = 0, theta:size(1) - 1 do
    for i = 1, d do
      local v = values[r * d + i - 1]
      if v < ranges[i][1] or v > ranges[i][2] then
        beyond = beyond + 1
        break
      end
    end
  end
  return {
    words = ("that of %d galaxies"):format(theta:size(1)), both = estimates(theta:to "cpu"),
    outside = beyond / theta:size(1),
  }
end

-- ---- both ----

-- What is asked for, by its form.
local function asked(run, given)
  if type(given) == "function" then return by_function(run, given) end
  if core.is_tensor(given) then return by_rows(run, given) end
  errors.list("importance", "prior", given, "a function, a table by name, or properties {M, d}")
  if core.is_tensor(given.theta) and given.ids then return by_rows(run, given.theta) end
  if next(given) == nil then raise "importance: prior is empty, expected {a_v = {low, high}, …}" end
  return by_name(run, given)
end

-- The estimate of a list that has these words.
local function called(list, words) return list[1].words == words and list[1] or list[2] end

--- target.of(run, given): the prior that Posterior:importance was given: {ratio(samples {n, d}, before),
-- ranges {d} {low, high} of the training galaxies, words, estimate and other: what they are called,
-- outside: the share of the prior beyond the ranges, or nil}. ratio: the logarithms of its density over the
-- training galaxies' at draws, plus those of `before` where that is not nil: lists {n} by the better and by
-- the other estimate of the latter; third, by the better one, for each draw whether it lies where no
-- training galaxy does: its density there is below that at each of them, and taken to be the lowest of
-- these.
function target.of(run, given)
  local wanted, places = asked(run, given), {}
  for i = 1, #run.flow.theta do places[i] = i end
  places = wanted.places or places
  local training = training_prior(run, places)
  local function ratio(samples, before)
    local points, lists, empty = columns_of(samples, places), {}, {}
    local above = not wanted.both and wanted.log_density(samples)
    for which, estimate in ipairs(training) do
      local below, list = estimate.log_density(points), {}
      local own = above or called(wanted.both, estimate.words).log_density(points)
      for r = 1, #below do
        list[r] = own[r] - math.max(below[r], estimate.lowest) + (before and before[r] or 0)
        if which == 1 then empty[r] = below[r] < estimate.lowest end
      end
      lists[which] = list
    end
    return lists[1], lists[2], empty
  end
  return {
    ratio = ratio, ranges = ranges_of(run:training().theta), words = wanted.words, outside = wanted.outside,
    estimate = training[1].words, other = training[2].words,
  }
end

return target
