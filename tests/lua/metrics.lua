-- gal.metrics, the statistics that evaluate posteriors, against closed forms, SciPy's values, and posteriors
-- with planted faults.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local metrics = require "gal.metrics"

local golden = require("gal.base.json").decode(require("gal.base.path").read "golden/statistics.json")

check.case("Wasserstein-1 equals SciPy's", function()
  for _, pair in ipairs(golden.wasserstein) do
    check.near(metrics.wasserstein(pair.a, pair.b), pair.distance, 1e-12, pair.name)
    check.near(metrics.wasserstein(pair.b, pair.a), pair.distance, 1e-12, pair.name .. ", swapped")
  end
end)

check.case("a tensor of more than one dimension is not taken for one list", function()
  local draws, list = gal.randn({ 6, 5 }, { rng = gal.rng(4) }), { 0, 1 }
  check.raises(function() metrics.quantile(draws, 0.5) end,
    "lua/metrics.lua:%d+: quantile: values is a tensor {6, 5}, expected a list of numbers or a tensor {n}")
  check.raises(function() metrics.wasserstein(draws, list) end, "wasserstein: a is a tensor {6, 5}, expected")
  check.raises(function() metrics.wasserstein(list, draws) end, "wasserstein: b is a tensor {6, 5}, expected")
  check.raises(function() metrics.moments(draws) end, "moments: values is a tensor {6, 5}, expected")
  check.raises(function() metrics.bootstrap(draws) end, "bootstrap: values is a tensor {6, 5}, expected")
  local column = draws:select(2, 3)
  check.equal(metrics.wasserstein(column, list), metrics.wasserstein(column:totable(), list))
end)

check.case("draws and points of other shapes than the truth's are refused", function()
  local truth, draws = gal.zeros{ 6, 2 }, gal.randn({ 6, 60, 3 }, { rng = gal.rng(4) })
  check.raises(function() metrics.wasserstein_table(truth, draws, { 1, 1 }) end,
    "samples is float32 {6, 60, 3}, expected draws {6, n, 2} float32")
  check.raises(function() metrics.coverage(truth, draws, 0.68) end, "truth is {6, 2}, expected {6, 3}")
  check.raises(function() metrics.wasserstein_table(truth, draws:narrow(3, 1, 2), { 1 }) end,
    "scale has 1 numbers, expected 2")
end)

check.case("Wasserstein-1 of a shifted sample is the shift, and takes tensors", function()
  local a = gal.randn({ 1000 }, { rng = gal.rng(3) })
  check.near(metrics.wasserstein(a, a + 0.5), 0.5, 1e-6)
  check.equal(metrics.wasserstein(a, a), 0)
  check.near(metrics.wasserstein(a:reshape{ 10, 100 }:select(2, 1),
    a:reshape{ 10, 100 }:select(2, 1) * 1 - 2), 2, 1e-6, "views")
end)

check.case("quantiles equal NumPy's", function()
  for _, entry in ipairs(golden.quantiles) do
    check.near(metrics.quantile(entry.a, entry.q), entry.values, 1e-12, entry.name)
  end
end)

check.case("a NaN, an empty list and a q outside 0 to 1 are refused", function()
  check.raises(function() metrics.quantile({ 1, 0 / 0 }, 0.5) end, "value 2 is NaN")
  check.raises(function() metrics.wasserstein({}, { 1 }) end, "no values")
  check.raises(function() metrics.quantile({ 1 }, 1.5) end, "q is 1.5, expected a number from 0 to 1")
  check.raises(function() metrics.wasserstein(gal.tensor{ 1, 0 / 0 }, { 1 }) end, "NaN")
end)

check.case("a mean's bootstrap interval is the central limit theorem's, and the same every time", function()
  local values = gal.randn({ 2000 }, { rng = gal.rng(5) })
  local mean, deviation, error_ = metrics.moments(values)
  local found = metrics.bootstrap(values)
  check.near(found.mean, mean, 1e-12)
  check.near(found.deviation, deviation, 1e-12)
  check.near((found.high - found.low) / (2 * 1.96 * error_), 1, 0.08, "width")
  check.equal(metrics.bootstrap(values), found)
  check.that(metrics.bootstrap(values, { seed = 2 }).low ~= found.low, "another seed gives other resamples")
end)

-- theta ~ N(0, I2), x = theta + s eps: the posterior is N(x / (1 + s^2), s^2 / (1 + s^2) I). The faults: its
-- deviation times `width`, its mean off by `shift` deviations.
local S, D = 0.5, 2
local function posterior(width, shift)
  local deviation = S / math.sqrt(1 + S * S)
  local wide = deviation * width
  local function mean(x) return x * (1 / (1 + S * S)) + shift * deviation end
  local function density(theta, m) -- theta {..., D}
    local z = (theta - m) / wide
    return (z * z):sum(-1) * -0.5 - D * (math.log(wide) + 0.5 * math.log(2 * math.pi))
  end
  return {
    log_prob = function(_, theta, x) return density(theta, mean(x)) end,
    sample_and_log_prob = function(_, x, options)
      local m = mean(x):reshape{ x:size(1), 1, D }
      local draws = m + gal.randn({ x:size(1), options.n, D }, { rng = options.rng }) * wide
      return draws, density(draws, m)
    end,
    draws = function(self, x, n) return (self:sample_and_log_prob(x, { n = n, rng = gal.rng(9) })) end,
  }
end

local r = gal.rng(11)
local training = gal.randn({ 4000, D }, { rng = r })
local theta = gal.randn({ 1500, D }, { rng = r })
local x = theta + gal.randn({ 1500, D }, { rng = r }) * S
local prior = require("gal.stats.prior").fit(training, { rows = 2000 })
local INFORMATION = D / 2 * math.log(1 + 1 / S ^ 2) -- nats

local function score(width, shift)
  return metrics.summary(metrics.information(posterior(width, shift), theta, x, prior, { n = 25 }))
end

check.case("Delta log p and D_KL of the exact posterior both average to the mutual information", function()
  local s = score(1, 0)
  check.near(s.delta_log_p.mean, INFORMATION, 0.08, "mean Delta log p")
  check.near(s.d_kl.mean, INFORMATION, 0.08, "mean D_KL")
  check.that(s.excess.low < 0.02 and s.excess.high > -0.02,
    "mean D_KL - mean Delta log p is 0 within its interval")
  check.that(math.abs(s.d_kl.systematic) < 0.05, "kernels and mixture agree on a Gaussian prior")
end)

check.case("information asks for the context of as many galaxies, in one of two forms", function()
  local function refused(context, sentence)
    check.raises(function() metrics.information(posterior(1, 0), theta, context, prior) end, sentence, true)
  end
  refused({ 0, 1, 0 }, "information: context is a list that begins with the number 0, expected {a tensor")
  refused({ x }, "information: context is a list that begins with a tensor {1500, 2}, expected {a tensor")
  refused(x:narrow(1, 1, 2), "information: context has 2 rows, expected 1500 as theta")
  refused(nil, "information: context is nil, expected a tensor {N, c}, or {it or nil, images}")
end)

check.case("D_KL of each posterior is that of two Gaussians", function()
  local few = x:narrow(1, 1, 20)
  local found = metrics.information(posterior(1, 0), theta:narrow(1, 1, 20), few, prior, { n = 1500 })
  local means, v = (few * (1 / (1 + S * S))):totable(), S * S / (1 + S * S)
  for k = 1, 20 do
    local exact = 0
    for i = 1, D do exact = exact + 0.5 * (v + means[k][i] ^ 2 - 1 - math.log(v)) end
    check.near(found.d_kl_mixture[k], exact, 0.2, "galaxy " .. k)
  end
end)

check.case("a posterior that is too narrow, too wide or off shows in D_KL - Delta log p", function()
  -- With q's deviation w and shift b (both in units of the true one): E[ln q] over q is -D/2 less a constant,
  -- over the truth -D/2 (1 + b^2) / w^2.
  local narrow, wide, off = score(0.5, 0), score(1.5, 0), score(1, 1)
  check.that(narrow.excess.low > 2,
    ("too narrow: the excess is %.3f, expected about 3"):format(narrow.excess.mean))
  check.that(wide.excess.high < -0.2,
    ("too wide: the excess is %.3f, expected below -0.2"):format(wide.excess.mean))
  check.that(off.excess.low > 0.5,
    ("off by one deviation: the excess is %.3f, expected about 1"):format(off.excess.mean))
end)

check.case("the draws are the same for parts of any size, if the flow's own are", function()
  local flow = posterior(1, 0)
  local calls = 0
  local inner = flow.sample_and_log_prob
  flow.sample_and_log_prob = function(...) calls = calls + 1 return inner(...) end
  local found = metrics.information(flow, theta:narrow(1, 1, 10), x:narrow(1, 1, 10), prior,
    { n = 20, rows = 60 })
  check.equal(calls, 4)
  check.equal(found.samples.shape, { 10, 20, 2 })
  check.equal(#found.d_kl, 10)
end)

check.case("pooled draws of exact posteriors are the population, their means narrower as computed", function()
  local table_ = metrics.wasserstein_table(theta, posterior(1, 0):draws(x, 100), { 1, 2 })
  -- W1 of N(0, 1) and N(0, 1 / (1 + S^2))
  local shrunk = (1 - 1 / math.sqrt(1 + S * S)) * math.sqrt(2 / math.pi)
  for i = 1, D do
    check.that(table_[i].pooled < table_[i].chance_high * 1.5, "the pooled distance is what chance gives")
    check.that(table_[i].pooled > 0 and table_[i].chance > 0 and table_[i].chance < table_[i].chance_high,
      "distances are positive")
    check.near(table_[i].means, shrunk, 0.03)
  end
  check.near(table_[2].pooled_standardised, table_[2].pooled / 2, 1e-12)
end)

check.case("pooled draws of shifted posteriors are off by the shift, far beyond chance", function()
  local shift = S / math.sqrt(1 + S * S)
  local table_ = metrics.wasserstein_table(theta, posterior(1, 1):draws(x, 100), { 1, 1 })
  check.near(table_[1].pooled, shift, 0.06)
  check.that(table_[1].pooled > 5 * table_[1].chance_high, "chance does not explain it")
end)

check.case("coverage is the level for the exact posterior and falls short for a narrow one", function()
  check.near(metrics.coverage(theta, posterior(1, 0):draws(x, 100), 0.68), { 0.68, 0.68 }, 0.045)
  -- P(|z| < .99 * .5) of a normal z is .38
  check.near(metrics.coverage(theta, posterior(0.5, 0):draws(x, 100), 0.68), { 0.38, 0.38 }, 0.045)
end)

check.case("coverage wants as many draws as its level needs, and with those is the level", function()
  local draws = posterior(1, 0):draws(x, 39)
  check.near(metrics.coverage(theta, draws, 0.95), { 0.95, 0.95 }, 0.02)
  check.raises(function() metrics.coverage(theta, draws:narrow(2, 1, 38), 0.95) end,
    "coverage: samples has 38 draws of each galaxy, expected at least 39 for the central 95 %%", true)
end)

check.case("path_excess is that of posteriors widened by the path, and 0 for a path of no width", function()
  local l, s = S * S / (1 + S * S), 0.2 -- the exact posterior's variance; prior 1
  local wide = (l + s * s) / (1 + s * s)
  check.near(metrics.path_excess({ { l, 0 }, { 0, l } }, { { 1, 0 }, { 0, 1 } }, 0), 0, 1e-12)
  check.near(metrics.path_excess({ { l, 0 }, { 0, l } }, { { 1, 0 }, { 0, 1 } }, s),
    D * 0.5 * ((l / wide - 1) + (wide - l)), 1e-12)
  -- Turned axes change nothing.
  local a, b = 0.5 * (l + 1), 0.5 * (l - 1)
  check.near(metrics.path_excess({ { a, b }, { b, a } }, { { 1, 0 }, { 0, 1 } }, s),
    0.5 * ((l / wide - 1) + (wide - l)), 1e-9)
end)

check.finish()
