-- Acceptance: a posterior with two modes. theta in R^5 from .3 N(+1, .25 I) + .7 N(-1, .25 I), x in R^2 its
-- first two components with noise 2, 20,000 pairs: what x says of the component varies from galaxy to galaxy,
-- and in the other three dimensions both modes stay. The exact posterior is a mixture of two normals, too.
-- Asked for: the modes' weights within .03 (mean over 200 fresh x of |share of the draws - weight|) and a
-- mean of log p_exact - log q over 1,000 fresh pairs of at most .08 nats.
--
-- usage: galrun tests/acceptance/two_gaussians.lua [--out runs/acceptance/two_gaussians]
-- Goes on where it was stopped.
local gal = require "gal"
local cli = require "gal.cli"
local report = dofile(arg[0]:match "^(.*)/" .. "/report.lua")

local o = cli.options {
  out = "runs/acceptance/two_gaussians", epochs = 80, batch = 256, lr = 1e-3, decay = 0.999,
  schedule = "cosine", seeds = 1, record = { true, "append the result to RESULTS.md" },
}

local D, SEEN, PAIRS, FRESH = 5, 2, 20000, 1000
-- WEIGHT and MEAN are the first component's; the second's mean is -MEAN.
local WEIGHT, MEAN, VARIANCE, NOISE = 0.3, 1, 0.25, 2

local function pairs_of(n, rng)
  local first = gal.rand({ n, 1 }, { rng = rng }):lt(WEIGHT)
  local theta = (first * 2 - 1) * MEAN + gal.randn({ n, D }, { rng = rng }) * math.sqrt(VARIANCE)
  return theta, theta:narrow(2, 1, SEEN) + gal.randn({ n, SEEN }, { rng = rng }) * NOISE
end

local function log_normal(x, mean, variance)
  return -0.5 * (x - mean) ^ 2 / variance - 0.5 * math.log(2 * math.pi * variance)
end

-- Given component k the dimensions are independent: the first SEEN are N(mean + gain (x - mean), (1 - gain)
-- VARIANCE), the others as in the prior.
local GAIN = VARIANCE / (VARIANCE + NOISE ^ 2)

-- ln of the weights of both components given x, and of theta's density under each.
local function components(theta, x)
  local weights, densities = {}, {}
  for k, prior in ipairs { WEIGHT, 1 - WEIGHT } do
    local mean = k == 1 and MEAN or -MEAN
    weights[k], densities[k] = math.log(prior), 0
    for j = 1, D do
      if j <= SEEN then weights[k] = weights[k] + log_normal(x[j], mean, VARIANCE + NOISE ^ 2) end
      local centre, variance = mean, VARIANCE
      if j <= SEEN then centre, variance = mean + GAIN * (x[j] - mean), (1 - GAIN) * VARIANCE end
      densities[k] = densities[k] + log_normal(theta[j], centre, variance)
    end
  end
  local total = math.log(math.exp(weights[1]) + math.exp(weights[2]))
  return weights[1] - total, weights[2] - total, densities[1], densities[2]
end

local function log_exact(theta, x)
  local w1, w2, p1, p2 = components(theta, x)
  local a, b = w1 + p1, w2 + p2
  local high = math.max(a, b)
  return high + math.log(math.exp(a - high) + math.exp(b - high))
end

local function one(seed)
  local theta, x = pairs_of(PAIRS, gal.rng(100 + seed))
  local flow = require("gal.flow").new { theta = D, context = SEEN, rng = gal.rng(seed) }
  local run = require("gal.train").fit {
    preset = "paper",
    flow = flow, theta = theta, context = x, epochs = o.epochs, batch = o.batch, lr = o.lr, decay = o.decay,
    patience = o.epochs, schedule = o.schedule, seed = seed,
    out = ("%s/%d"):format(o.out, seed), resume = true,
  }
  local seconds = report.seconds(run.out)
  local fresh, seen = pairs_of(FRESH, gal.rng(1000 + seed))
  local log_q, truths, contexts = flow:log_prob(fresh, seen):totable(), fresh:totable(), seen:totable()
  local total, squares = 0, 0
  for i = 1, FRESH do
    local loss = log_exact(truths[i], contexts[i]) - log_q[i]
    total, squares = total + loss, squares + loss * loss
  end
  local some, n, off = 200, 1000, 0
  local draws = flow:sample(seen:narrow(1, 1, some), { n = n, steps = 20, rng = gal.rng(seed) })
  for i = 1, some do
    local share, weight = 0, nil
    for _, point in ipairs(draws[i]:totable()) do
      local w1, w2, p1, p2 = components(point, contexts[i])
      weight = math.exp(w1)
      share = share + 1 / (1 + math.exp(w2 + p2 - w1 - p1)) / n
    end
    off = off + math.abs(share - weight) / some
  end
  local mean = total / FRESH
  return { kl = mean, error = math.sqrt((squares / FRESH - mean ^ 2) / FRESH), off = off, seconds = seconds }
end

local verdict = report.new("two_gaussians", o.record)
for seed = 1, o.seeds do
  local r = one(seed)
  print(("seed %d: log p - log q %.4f +- %.4f nats, weights off by %.4f, %.0f s"):format(seed, r.kl, r.error,
    r.off, r.seconds))
  verdict:bar(("seed %d: mean error of the weights"):format(seed), r.off, 0.03)
  verdict:bar(("seed %d: mean log p - log q"):format(seed), r.kl, 0.08)
end
verdict:finish()
