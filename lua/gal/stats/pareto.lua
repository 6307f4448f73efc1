-- How far importance weights can be trusted: the shape k of the generalised Pareto distribution that fits
-- the largest of them. Weights have 1/k moments, so that averages under them converge slowly above .5 and
-- can't be told from their noise above .7, whatever the effective sample size says.
local errors = require "gal.base.errors"
local host = require "gal.stats.host"
local raise = errors.raise

local pareto = {}

-- The prior of Zhang & Stephens (2009, sec. 4), and that of Vehtari et al. (2024, app. C): k as if of 10 more
-- values whose k is .5.
local SCALE, VALUES, MIDDLE = 3, 10, 0.5

-- The shape k of a generalised Pareto distribution, from n values above 0, ascending, an
-- array from 0: the posterior mean of Zhang & Stephens (2009, eqs. 4 to 7), drawn to .5 as if by 10 more
-- values (Vehtari et al. 2024).
local function fit(x, n)
  local points = 30 + math.floor(math.sqrt(n))
  local b, k, likelihood, best = {}, {}, {}, -math.huge
  for j = 1, points do
    b[j] = (1 - math.sqrt(points / (j - 0.5))) / (SCALE * x[math.floor(n / 4 + 0.5) - 1]) + 1 / x[n - 1]
    local sum = 0
    for i = 0, n - 1 do sum = sum + math.log(1 - b[j] * x[i]) end
    k[j] = sum / n
    likelihood[j] = n * (math.log(-b[j] / k[j]) - k[j] - 1)
    best = math.max(best, likelihood[j])
  end
  local sum, mean = 0, 0
  for j = 1, points do
    local weight = math.exp(likelihood[j] - best)
    sum, mean = sum + weight, mean + weight * b[j]
  end
  mean = mean / sum
  local shape = 0
  for i = 0, n - 1 do shape = shape + math.log(1 - mean * x[i]) / n end
  return (n * shape + VALUES * MIDDLE) / (n + VALUES)
end

--- pareto.shape(log_weights): k of importance weights by their logarithms, a list or a tensor {S}: of the
-- largest min(S/5, 3 sqrt(S)) weights' distances from the next smaller one (Vehtari et al. 2024, sec. 2.4).
-- Minus infinity where the largest weights are all the same, infinity where fewer than five are above it.
function pareto.shape(log_weights)
  local w, n = host.numbers("shape", "log_weights", log_weights)
  if n < 5 then raise("shape: log_weights has %d values, expected at least 5", n) end
  local most = -math.huge
  for i = 0, n - 1 do
    if w[i] ~= w[i] or w[i] == math.huge then
      raise("shape: log_weights[%d] is %.14g, expected a number", i + 1, w[i])
    end
    most = math.max(most, w[i])
  end
  if most == -math.huge then raise "shape: all weights are 0" end
  local list = {}
  for i = 0, n - 1 do list[i + 1] = math.exp(w[i] - most) end
  table.sort(list)
  local tail = math.ceil(math.min(n / 5, 3 * math.sqrt(n)))
  local base, x, count = list[n - tail], host.new(tail), 0
  if base == list[n] then return -math.huge end
  for i = n - tail + 1, n do
    if list[i] > base then x[count], count = list[i] - base, count + 1 end
  end
  if count < 5 then return math.huge end
  return fit(x, count)
end

--- pareto.limit(S): the largest k at which S weighted draws can be trusted: min(1 - 1/log10(S), .7) (Vehtari
-- et al. 2024, sec. 3.2.4).
function pareto.limit(S)
  errors.integer("limit", "S", S, 2)
  return math.min(1 - 1 / (math.log(S) / math.log(10)), 0.7)
end

return pareto
