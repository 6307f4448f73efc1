-- How closely pairs lie along a relation: a parabola through them, and the scatter about it.
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local raise = errors.raise

local relation = {}

-- The pairs of x and y that are finite: two arrays from 0, and how many they are.
local function finite(x, y)
  local a, b, n = host.pairs("relation", x, y)
  local good = host.finite_pairs(a, b, n)
  for i, k in ipairs(good) do a[i - 1], b[i - 1] = a[k - 1], b[k - 1] end
  return a, b, #good
end

--- relation.parabola(x, y): the parabola through pairs by least squares, as a function of x, and the y less
-- it, an array from 0, and how many pairs were finite. The basis is orthogonal on the x, so that there is no
-- system of equations. With two x it is a line, with one the mean.
function relation.parabola(x, y)
  local a, b, n = finite(x, y)
  if n == 0 then raise "relation: there is no pair of finite numbers" end
  local mean, s2, s3 = 0, 0, 0
  for k = 0, n - 1 do mean = mean + a[k] / n end
  for k = 0, n - 1 do
    local u = a[k] - mean
    s2, s3 = s2 + u * u / n, s3 + u * u * u / n
  end
  local skew = s2 > 0 and s3 / s2 or 0
  local function second(u) return u * u - skew * u - s2 end
  local c0, c1, c2, norm = 0, 0, 0, 0
  for k = 0, n - 1 do
    local u = a[k] - mean
    local p = second(u)
    c0, c1, c2, norm = c0 + b[k] / n, c1 + b[k] * u / n, c2 + b[k] * p / n, norm + p * p / n
  end
  c1, c2 = s2 > 0 and c1 / s2 or 0, norm > 1e-24 * s2 * s2 and norm > 0 and c2 / norm or 0
  local function at(v)
    local u = v - mean
    return c0 + c1 * u + c2 * second(u)
  end
  local rest = host.new(n)
  for k = 0, n - 1 do rest[k] = b[k] - at(a[k]) end
  return at, rest, n
end

-- The value of rank r (from 0) and the next, of a sample that has each of n ascending values counts[k] times.
local function ranked(ascending, counts, n, r)
  local seen, low = 0, nil
  for k = 0, n - 1 do
    seen = seen + counts[k]
    if not low and seen > r then low = ascending[k] end
    if seen > r + 1 then return low, ascending[k] end
  end
  return low, low
end

-- Half the width of the central 68 % of such a sample of n: quantiles of Hyndman & Fan's (1996) type 7.
local function half_width(ascending, counts, n)
  local ends = {}
  for i, p in ipairs{ 0.16, 0.84 } do
    local below = math.floor(p * (n - 1))
    local low, high = ranked(ascending, counts, n, below)
    ends[i] = low + (p * (n - 1) - below) * (high - low)
  end
  return (ends[2] - ends[1]) / 2
end

local RESAMPLES = 100

--- relation.scatter(x, y[, seed]): {scatter, error, n, curve}: half the width of the central 68 % of y about
-- its parabola in x (relation.parabola), in y's units, which outliers hardly move and which is the deviation
-- where it is Gaussian; its bootstrap error, the deviation over 100 resamples of the n pairs (Efron 1979);
-- and that parabola, a function. seed (1): of the resamples.
function relation.scatter(x, y, seed)
  local curve, rest, n = relation.parabola(x, y)
  local list, counts = host.list(rest, n), host.new(n)
  table.sort(list)
  local ascending = host.read(list)
  local rng = gal.rng(seed == nil and 1 or errors.integer("scatter", "seed", seed, -2 ^ 53, 2 ^ 53))
  for k = 0, n - 1 do counts[k] = 1 end
  local sum, squares, scatter = 0, 0, half_width(ascending, counts, n)
  for _ = 1, RESAMPLES do
    errors.poll()
    local u = host.read(gal.rand({ n }, { rng = rng, device = "cpu" }))
    for k = 0, n - 1 do counts[k] = 0 end
    for k = 0, n - 1 do
      local pick = math.floor(u[k] * n)
      counts[pick] = counts[pick] + 1
    end
    local apart = half_width(ascending, counts, n) - scatter
    sum, squares = sum + apart, squares + apart * apart
  end
  local variance = (squares - sum * sum / RESAMPLES) / (RESAMPLES - 1)
  return { scatter = scatter, error = math.sqrt(math.max(variance, 0)), n = n, curve = curve }
end

return relation
