-- Five posteriors that are known or hard, for the acceptance runs: pairs of parameters and observations from
-- a seed, the same on every machine, and the logarithm of the posterior density where it can be written down.
-- Not a run itself; pairs.lua writes the pairs for other programs.
local gal = require "gal"
local linalg = require "gal.stats.linalg"

local problems = {}

local LOG_2PI = math.log(2 * math.pi)

local function log_normal(z) return -0.5 * (z * z + LOG_2PI) end

-- erfc(x) to 1.2e-7 of its value (Press et al. 1992, Numerical Recipes, section 6.2, erfcc).
local ERFC = {
  -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
  -0.82215223, 0.17087277,
}
local function erfc(x)
  local t = 1 / (1 + 0.5 * math.abs(x))
  local sum = 0
  for i = #ERFC, 1, -1 do sum = sum * t + ERFC[i] end
  local value = t * math.exp(-x * x + sum)
  return x >= 0 and value or 2 - value
end

--- problems.normal_share(a, b): the standard normal's probability between a and b.
function problems.normal_share(a, b)
  if b <= a then return 0 end
  if a > 0 then a, b = -b, -a end   -- differences of small tails keep their digits
  return 0.5 * (erfc(-b / math.sqrt(2)) - erfc(-a / math.sqrt(2)))
end

-- {n, d} uniform between low and high.
local function uniform(n, d, low, high, rng) return gal.rand({ n, d }, { rng = rng }) * (high - low) + low end

-- A tensor {n, #columns} from f(parameters of a row, noise of a row) = a list of numbers.
local function rows_of(theta, noise, f)
  local out, parameters, numbers = {}, theta:totable(), noise:totable()
  for i = 1, #parameters do out[i] = f(parameters[i], numbers[i]) end
  return gal.tensor(out)
end

-- ---- two moons (Greenberg, Nonnenmacher & Macke 2019, appendix A.1, as in Lueckmann et al. 2021) ----

-- theta in [-1, 1]^2 flat; x = (r cos a + .25 - |t1 + t2| / sqrt 2, r sin a + (t2 - t1) / sqrt 2) with a flat
-- in (-pi/2, pi/2) and r ~ N(.1, .01^2).
local two_moons = { name = "two_moons", d = 2, c = 2 }
local RADIUS, THICKNESS, PLACE = 0.1, 0.01, 0.25

function two_moons.pairs(n, rng)
  local theta, angle = uniform(n, 2, -1, 1, rng), uniform(n, 1, -math.pi / 2, math.pi / 2, rng)
  local noise = gal.cat({ angle, gal.randn({ n, 1 }, { rng = rng }) * THICKNESS + RADIUS }, 2)
  return theta, rows_of(theta, noise, function(t, e)
    local along, across = math.abs(t[1] + t[2]) / math.sqrt(2), (t[2] - t[1]) / math.sqrt(2)
    return { e[2] * math.cos(e[1]) + PLACE - along, e[2] * math.sin(e[1]) + across }
  end)
end

-- The share of the moon (a, r) whose parameters lie in the prior: u = .25 + r cos a - x1 = |t1 + t2| / sqrt 2
-- at least 0, u + |x2 - r sin a| at most sqrt 2. For an angle that is an interval of r.
local function share_inside(x)
  local sum, n = 0, 4000
  for k = 1, n do
    local a = (k - 0.5) / n * math.pi - math.pi / 2
    local cos, sin = math.cos(a), math.sin(a)
    local low, high = (x[1] - PLACE) / cos, math.huge
    for _, sign in ipairs{ 1, -1 } do   -- r (cos a - sign sin a) <= sqrt 2 - .25 + x1 - sign x2
      local slope, rest = cos - sign * sin, math.sqrt(2) - PLACE + x[1] - sign * x[2]
      if slope > 0 then
        high = math.min(high, rest / slope)
      elseif slope < 0 then
        low = math.max(low, rest / slope)
      end
    end
    sum = sum + problems.normal_share((low - RADIUS) / THICKNESS, (high - RADIUS) / THICKNESS)
  end
  return sum / n
end

-- theta -> (|t1 + t2|, t2 - t1) / sqrt 2 keeps areas and is two to one: half the moon's density at each.
function two_moons.posterior(x)
  local log_volume = math.log(2 * math.pi * THICKNESS * share_inside(x))
  return function(theta)
    local along, across = math.abs(theta[1] + theta[2]) / math.sqrt(2), (theta[2] - theta[1]) / math.sqrt(2)
    local a, b = x[1] - PLACE + along, x[2] - across
    if a <= 0 or math.max(math.abs(theta[1]), math.abs(theta[2])) > 1 then return -math.huge end
    local r = math.sqrt(a * a + b * b)
    return log_normal((r - RADIUS) / THICKNESS) - math.log(r) - log_volume
  end
end

-- ---- SLCP: a simple likelihood, a complex posterior (Papamakarios, Sterratt & Murray 2019, A.1) ----

-- theta in [-3, 3]^5 flat; x = four points of N((t1, t2), S), S's deviations t3^2 and t4^2, its correlation
-- tanh t5. Four modes: the signs of t3 and t4 leave no trace. No closed form of the posterior.
local slcp = { name = "slcp", d = 5, c = 8 }

function slcp.pairs(n, rng)
  local theta = uniform(n, 5, -3, 3, rng)
  return theta, rows_of(theta, gal.randn({ n, 8 }, { rng = rng }), function(t, e)
    local s1, s2, correlation, x = t[3] ^ 2, t[4] ^ 2, math.tanh(t[5]), {}
    for k = 1, 8, 2 do
      x[k] = t[1] + s1 * e[k]
      x[k + 1] = t[2] + s2 * (correlation * e[k] + math.sqrt(1 - correlation ^ 2) * e[k + 1])
    end
    return x
  end)
end

-- ---- a ring ----

-- theta ~ N(0, I) in the plane, x = |theta| + .05 e: a ring, thin where x is large against .05.
local ring = { name = "ring", d = 2, c = 1 }
local RING = 0.05

function ring.pairs(n, rng)
  local theta = gal.randn({ n, 2 }, { rng = rng })
  return theta, rows_of(theta, gal.randn({ n, 1 }, { rng = rng }), function(t, e)
    return { math.sqrt(t[1] ^ 2 + t[2] ^ 2) + RING * e[1] }
  end)
end

-- The evidence is the integral over r > 0 of r exp(-r^2/2) N(x; r, s^2): a Gaussian in r of variance
-- v = s^2 / (1 + s^2) about m = x / (1 + s^2), weighed by r.
function ring.posterior(x)
  local variance = RING ^ 2 / (1 + RING ^ 2)
  local mean, width = x[1] / (1 + RING ^ 2), math.sqrt(variance)
  local weighed = mean * problems.normal_share(-mean / width, math.huge)
    + width * math.exp(log_normal(mean / width))
  local log_evidence = math.log(weighed) - 0.5 * x[1] ^ 2 / (1 + RING ^ 2) - 0.5 * math.log(1 + RING ^ 2)
  return function(theta)
    local squares = theta[1] ^ 2 + theta[2] ^ 2
    local log_likelihood = log_normal((x[1] - math.sqrt(squares)) / RING) - math.log(RING)
    return -0.5 * squares - LOG_2PI + log_likelihood - log_evidence
  end
end

-- ---- a funnel (after Neal 2003, section 8), seen through noise ----

-- v ~ N(0, 1.5^2), w ~ N(0, exp v), x = w + .1 e; theta = (v, w): for an x near 0 w's width is exp(v / 2)
-- until the noise's .1 takes over.
local funnel = { name = "funnel", d = 2, c = 1 }
local SPREAD, FUNNEL = 1.5, 0.1

function funnel.pairs(n, rng)
  local normal = gal.randn({ n, 2 }, { rng = rng })
  local theta = rows_of(normal, normal, function(e)
    local v = SPREAD * e[1]
    return { v, math.exp(v / 2) * e[2] }
  end)
  return theta, theta:narrow(2, 2, 1) + gal.randn({ n, 1 }, { rng = rng }) * FUNNEL
end

-- w falls out in closed form, x | v ~ N(0, exp v + .1^2); v is summed over 12 deviations to each side.
function funnel.posterior(x)
  local n, sum = 1200, 0
  for k = 0, n do
    local z = (k / n - 0.5) * 24
    local variance = math.exp(SPREAD * z) + FUNNEL ^ 2
    sum = sum + math.exp(log_normal(z) + log_normal(x[1] / math.sqrt(variance)) - 0.5 * math.log(variance))
  end
  local log_evidence = math.log(sum * 24 / n)
  return function(theta)
    local v, w = theta[1], theta[2]
    return log_normal(v / SPREAD) - math.log(SPREAD) + log_normal(w / math.exp(v / 2)) - v / 2
      + log_normal((x[1] - w) / FUNNEL) - math.log(FUNNEL) - log_evidence
  end
end

-- ---- linear-Gaussian ----

local NOISE = 0.5

local function scaled(m, factor, diagonal)
  local out = {}
  for i = 1, #m do
    out[i] = {}
    for j = 1, #m do out[i][j] = m[i][j] * factor + (i == j and diagonal or 0) end
  end
  return out
end

--- problems.linear_gaussian(a): theta in R^d ~ N(0, I), x = A theta + .5 e, a: A's rows, d x d. Beside what
-- every problem has: covariance and gain of the posterior N(gain x, covariance).
function problems.linear_gaussian(a)
  local at = linalg.transpose(a)
  local covariance = linalg.invert(scaled(linalg.product(at, a), 1 / NOISE ^ 2, 1))
  local gain = linalg.product(covariance, scaled(at, 1 / NOISE ^ 2, 0))
  local lower = linalg.cholesky(covariance)
  local inverse, log_volume = linalg.invert_lower(lower), 0.5 * linalg.log_determinant(lower)
  local p = { name = "linear_gaussian", d = #a, c = #a, covariance = covariance, gain = gain }

  function p.pairs(n, rng)
    local theta = gal.randn({ n, #a }, { rng = rng })
    return theta, theta:matmul(gal.tensor(a):t()) + gal.randn({ n, #a }, { rng = rng }) * NOISE
  end

  function p.posterior(x)
    local mean = linalg.apply(gain, x)
    return function(theta)
      local difference, squares = {}, 0
      for i = 1, #a do difference[i] = theta[i] - mean[i] end
      for _, v in ipairs(linalg.apply(inverse, difference)) do squares = squares + v * v end
      return -0.5 * squares - 0.5 * #a * LOG_2PI - log_volume
    end
  end
  return p
end

--- problems.matrix: A with N(0, 1) entries in five dimensions.
problems.matrix = gal.randn({ 5, 5 }, { rng = gal.rng(1) }):totable()

--- problems.by_name: {name, d, c, pairs(n, rng) = theta {n, d}, x {n, c}; posterior(x) = the function of
-- theta that gives ln p(theta | x), nats, where that is known}. x, theta: lists of numbers.
problems.by_name = {
  two_moons = two_moons, slcp = slcp, ring = ring, funnel = funnel,
  linear_gaussian = problems.linear_gaussian(problems.matrix),
}

--- problems.seeded(problem, seed, n, fresh): training pairs {n} from gal.rng(100 + seed), then fresh ones
-- from gal.rng(1000 + seed): theta, x, theta, x.
function problems.seeded(problem, seed, n, fresh)
  local theta, x = problem.pairs(n, gal.rng(100 + seed))
  return theta, x, problem.pairs(fresh, gal.rng(1000 + seed))
end

--- problems.excess(problem, theta {n, d}, x {n, c}, log_q): ln p - ln q of each row, nats, a list. log_q: a
-- list.
function problems.excess(problem, theta, x, log_q)
  local truths, contexts, list = theta:totable(), x:totable(), {}
  for i = 1, #truths do list[i] = problem.posterior(contexts[i])(truths[i]) - log_q[i] end
  return list
end

return problems
