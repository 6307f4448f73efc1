-- uniformity: the classical tests of whether ranks are uniform: Kolmogorov & Smirnov, chi squared, Anderson &
-- Darling. Each p is told by simulation, (1 + #)/(1 + R) (Davison & Hinkley 1997, 4.11), never 0.
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local raise = errors.raise

local uniformity = {}

local NEAR = 2 ^ -26 -- of 0 and 1 in Anderson & Darling's logarithms: half of single precision's step

-- Each takes n ascending values u[first …] from 0 to 1.

--- uniformity.ks(u, n[, first]): the largest distance of the empirical distribution from the uniform one.
function uniformity.ks(u, n, first)
  local most = 0
  first = first or 0
  for i = 0, n - 1 do
    local v = u[first + i]
    most = math.max(most, (i + 1) / n - v, v - i / n)
  end
  return most
end

--- uniformity.ad(u, n[, first]): Anderson & Darling's (1954) A^2.
function uniformity.ad(u, n, first)
  local sum = 0
  first = first or 0
  for i = 0, n - 1 do
    local low, high = u[first + i], u[first + n - 1 - i]
    low, high = math.max(low, NEAR), math.min(high, 1 - NEAR)
    sum = sum + (2 * i + 1) * (math.log(low) + math.log(1 - high))
  end
  return -n - sum / n
end

--- uniformity.chi2(bins): the function that gives Pearson's chi squared of values in so many equal bins.
function uniformity.chi2(bins)
  local count = host.new(bins)
  return function(u, n, first)
    first = first or 0
    for b = 0, bins - 1 do count[b] = 0 end
    for i = first, first + n - 1 do
      local b = math.min(math.floor(u[i] * bins), bins - 1)
      count[b] = count[b] + 1
    end
    local sum, expected = 0, n / bins
    for b = 0, bins - 1 do sum = sum + (count[b] - expected) ^ 2 / expected end
    return sum
  end
end

local TOGETHER = 2 ^ 20 -- uniforms that are drawn at once

--- uniformity.test(where, ranks, statistic, resamples, seed): {statistic, p, n} of ranks, a list or a tensor
-- {n} of numbers from 0 to 1, NaN of galaxies without one; statistic as above.
function uniformity.test(where, ranks, statistic, resamples, seed)
  local given, all = host.numbers(where, "ranks", ranks)
  local list = {}
  for i = 0, all - 1 do
    local v = given[i]
    if v == v then list[#list + 1] = errors.number(where, ("ranks[%d]"):format(i + 1), v, 0, 1) end
  end
  local n = #list
  if n < 2 then raise("%s: ranks has %d numbers, expected at least 2", where, n) end
  table.sort(list)
  local found, rng, more, done = statistic(host.read(list), n), gal.rng(seed), 0, 0
  while done < resamples do
    errors.poll()
    local now = math.min(resamples - done, math.max(1, math.floor(TOGETHER / n)))
    local u = host.read(gal.rand({ now, n }, { rng = rng, device = "cpu" }):sort())
    for r = 0, now - 1 do
      if statistic(u, n, r * n) >= found then more = more + 1 end
    end
    done = done + now
  end
  return { statistic = found, p = (1 + more) / (1 + resamples), n = n }
end

return uniformity
