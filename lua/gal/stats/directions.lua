-- directions: along which inputs residuals are tested: combinations of the columns of a context less their
-- means, {name, weights {c}}, of deviation 1 over the galaxies. sums: {n, c, x {c}, xx {c, c}}, arrays: sums
-- of the columns and their products, as stats.exchangeable has them.
local host = require "gal.stats.host"
local linalg = require "gal.stats.linalg"

local directions = {}

-- Shares of a column's variance that the others don't give: below BEYOND it is tried beyond them, too; below
-- NOTHING it is their combination, but for rounding.
local BEYOND, NOTHING = 0.5, 1e-6

-- The columns that vary, their deviations, and their correlation matrix.
local function varying(sums)
  local c, n, list, deviation, own = sums.c, sums.n, {}, {}, {}
  local function covariance(f, g)
    return sums.xx[(f - 1) * c + g - 1] / n - sums.x[f - 1] * sums.x[g - 1] / n ^ 2
  end
  for f = 1, c do
    if covariance(f, f) > 1e-12 * sums.xx[(f - 1) * c + f - 1] / n then
      list[#list + 1], deviation[f] = f, math.sqrt(covariance(f, f))
    end
  end
  for a, f in ipairs(list) do
    own[a] = {}
    for b, g in ipairs(list) do own[a][b] = a == b and 1 or covariance(f, g) / deviation[f] / deviation[g] end
  end
  return list, deviation, own
end

-- Weights of all columns: those of the columns that vary, {#list}, in units of their deviations.
local function spread(sums, list, deviation, weights)
  local all = {}
  for f = 1, sums.c do all[f] = 0 end
  for a, f in ipairs(list) do all[f] = weights[a] / deviation[f] end
  return all
end

--- directions.of(sums, names): each column that varies, and where the others give more than half of its
-- variance (a magnitude by other bands'), what is left of it. names {c}.
function directions.of(sums, names)
  local list, deviation, own = varying(sums)
  local found, inverse = {}, #list > 1 and linalg.invert(own)
  for a, f in ipairs(list) do
    local weights = {}
    for b = 1, #list do weights[b] = a == b and 1 or 0 end
    found[a] = { name = names[f], weights = spread(sums, list, deviation, weights) }
  end
  for a, f in ipairs(inverse and list or {}) do
    local left, weights = 1 / inverse[a][a], {}
    for b = 1, #list do weights[b] = inverse[a][b] * math.sqrt(left) end
    if left < BEYOND and left > NOTHING then
      local name = names[f] .. " at given others"
      found[#found + 1] = { name = name, weights = spread(sums, list, deviation, weights) }
    end
  end
  return found
end

--- directions.white(sums): combinations of the columns that vary such that none correlates with another.
function directions.white(sums)
  local list, deviation, own = varying(sums)
  if #list == 0 then return {} end
  for a = 1, #list do own[a][a] = 1 + NOTHING end
  local inverse, found = linalg.invert_lower((linalg.cholesky(own))), {}
  for a = 1, #list do found[a] = { weights = spread(sums, list, deviation, inverse[a]) } end
  return found
end

--- directions.distances(x, values, n, c): squared distances of n rows of values {n, c}, an array, from x {c},
-- a list, along white directions: in deviations; a list.
function directions.distances(x, values, n, c)
  local sums = { n = n, c = c, x = host.new(c), xx = host.new(c * c) }
  for k = 0, n - 1 do
    for f = 0, c - 1 do
      local v = values[k * c + f]
      sums.x[f] = sums.x[f] + v
      for g = 0, c - 1 do sums.xx[f * c + g] = sums.xx[f * c + g] + v * values[k * c + g] end
    end
  end
  local white, list = directions.white(sums), {}
  for k = 0, n - 1 do
    local sum = 0
    for _, direction in ipairs(white) do
      local along = 0
      for f = 1, c do along = along + direction.weights[f] * (values[k * c + f - 1] - x[f]) end
      sum = sum + along * along
    end
    list[k + 1] = sum
  end
  return list
end

--- directions.along(sums, p, direction, alone, by): sums of something of property p (from 0) times a
-- direction, an array {L + 1}; alone, by: the sums of it as it is and times each column: sums.first and
-- sums.first_by, or second.
function directions.along(sums, p, direction, alone, by)
  local m, c, n, values = sums.m, sums.c, sums.n, host.new(sums.m)
  for f = 0, c - 1 do
    local weight = direction.weights[f + 1]
    if weight ~= 0 then
      local mean, at = sums.x[f] / n, (p * c + f) * m
      for j = 0, m - 1 do values[j] = values[j] + weight * (by[at + j] - mean * alone[p * m + j]) end
    end
  end
  return values
end

return directions
