-- Acceptance: a flow trained on 20,000 pairs of a linear-Gaussian problem against its exact posterior. theta
-- in R^5 ~ N(0, I), x = A theta + .5 eps, for A with N(0, 1) entries from gal.rng(1) and for A = .9923 I;
-- three seeds each (data, weights and training). Asked for: over 1,000 fresh pairs a mean of log p_exact -
-- log q of at most .05 nats, its median over the seeds at most .035; the rms error of posterior means at most
-- .1 posterior deviations; the mean ratio of deviations within 5 %; each training within 180 s on two cores.
--
-- usage: galrun tests/acceptance/linear_gaussian.lua [--out runs/acceptance/linear_gaussian]
-- Goes on where it was stopped.
local gal = require "gal"
local cli = require "gal.cli"
local linalg = require "gal.stats.linalg"
local metrics = require "gal.metrics"
local here = arg[0]:match "^(.*)/" or "."
local problems = dofile(here .. "/problems.lua")
local report = dofile(here .. "/report.lua")

local o = cli.options {
  out = "runs/acceptance/linear_gaussian", epochs = 80, batch = 256, lr = 1e-3, decay = 0.999, patience = 80,
  schedule = "cosine", seeds = 3, matrix = { "both", "random, scaled or both" }, weight_decay = 0.01,
  record = { true, "append the result to RESULTS.md" },
}

local D, PAIRS, FRESH, SIGMA = 5, 20000, 1000, 0.05

-- What the path's width costs a perfect velocity: sum of (r - 1 - ln r) / 2, r = l (1 + s^2) / (l + s^2) over
-- the covariance's eigenvalues l.
local function floor_of(p)
  local widened = {}
  for i = 1, D do
    widened[i] = {}
    for j = 1, D do widened[i][j] = p.covariance[i][j] + (i == j and SIGMA ^ 2 or 0) end
  end
  local ratio, trace = linalg.product(p.covariance, linalg.invert(widened)), 0
  for i = 1, D do trace = trace + (1 + SIGMA ^ 2) * ratio[i][i] end
  local volumes = linalg.log_determinant(linalg.cholesky(widened))
    - linalg.log_determinant(linalg.cholesky(p.covariance))
  return 0.5 * (trace - D - D * math.log(1 + SIGMA ^ 2) + volumes)
end

local function one(name, a, seed)
  local p = problems.linear_gaussian(a)
  local theta, x, fresh, seen = problems.seeded(p, seed, PAIRS, FRESH)
  local flow = require("gal.flow").new { theta = D, context = D, sigma = SIGMA, rng = gal.rng(seed) }
  local run = require("gal.train").fit {
    preset = "paper",
    flow = flow, theta = theta, context = x, epochs = o.epochs, batch = o.batch, lr = o.lr, decay = o.decay,
    patience = o.patience, schedule = o.schedule, weight_decay = o.weight_decay, seed = seed,
    out = ("%s/%s-%d"):format(o.out, name, seed), resume = true,
  }
  local seconds = report.seconds(run.out)

  local losses = problems.excess(p, fresh, seen, flow:log_prob(fresh, seen):totable())
  local mean, _, error_of_mean = metrics.moments(losses)

  -- 1,000 draws know a mean to .032 deviations; 20 steps are exact to less than that.
  local some, n = 200, 1000
  local contexts = seen:narrow(1, 1, some):totable()
  local draws = flow:sample(seen:narrow(1, 1, some), { n = n, steps = 20, rng = gal.rng(seed) })
  local means, deviations = draws:mean(2):totable(), draws:std(2):totable()
  local off, ratio = 0, 0
  for i = 1, some do
    local expected = linalg.apply(p.gain, contexts[i])
    for j = 1, D do
      local width = math.sqrt(p.covariance[j][j])
      off, ratio = off + ((means[i][j] - expected[j]) / width) ^ 2, ratio + deviations[i][j] / width
    end
  end
  return {
    kl = mean, error = error_of_mean, floor = floor_of(p), off = math.sqrt(off / some / D),
    ratio = ratio / some / D, seconds = seconds, best_epoch = run.best_epoch, epochs = #run.history,
    loss = run.best_loss,
  }
end

local scaled = {}
for i = 1, D do
  scaled[i] = {}
  for j = 1, D do scaled[i][j] = i == j and 0.9923 or 0 end
end
local matrices = { scaled = scaled, random = problems.matrix }
local verdict = report.new("linear_gaussian", o.record)
for _, name in ipairs { "random", "scaled" } do
  if o.matrix == "both" or o.matrix == name then
    local kls, worst = {}, { kl = -math.huge, off = 0, ratio = 1, seconds = 0 }
    for seed = 1, o.seeds do
      local r = one(name, matrices[name], seed)
      print(("%s A, seed %d: log p - log q %.4f +- %.4f nats (floor of the path %.4f), means off by %.3f "
        .. "deviations rms, deviations %.3f of the exact"):format(name, seed, r.kl, r.error, r.floor, r.off,
        r.ratio))
      print(("  %.0f s, best of %d epochs the %dth, loss %.5f"):format(r.seconds, r.epochs, r.best_epoch,
        r.loss))
      kls[seed] = r.kl
      for _, name_ in ipairs { "kl", "off", "seconds" } do worst[name_] = math.max(worst[name_], r[name_]) end
      if math.abs(r.ratio - 1) > math.abs(worst.ratio - 1) then worst.ratio = r.ratio end
    end
    table.sort(kls)
    verdict:bar(name .. " A: largest mean log p - log q", worst.kl, 0.05)
    verdict:bar(name .. " A: median over the seeds", kls[math.ceil(#kls / 2)], 0.035)
    verdict:bar(name .. " A: rms error of means / deviation", worst.off, 0.1)
    verdict:bar(name .. " A: |ratio of deviations - 1|", math.abs(worst.ratio - 1), 0.05)
    verdict:bar(name .. " A: seconds of a training", worst.seconds, 180)
  end
end
verdict:finish()
