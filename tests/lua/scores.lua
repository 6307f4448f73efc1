-- gal.metrics' scores of posteriors against closed forms and numerical integration: D_KL and Delta log p, the
-- parts of their difference, CRPS, CDE loss, mutual information, errors of means, outliers, C2ST.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local metrics = require "gal.metrics"

-- theta ~ N(0, I2), x = theta + S eps: the posterior is N(x / (1 + S^2), V I), V = S^2 / (1 + S^2).
local S, D = 0.5, 2
local V = S * S / (1 + S * S)
local INFORMATION = D / 2 * math.log(1 + 1 / S ^ 2) -- nats
local LOG_TWO_PI = math.log(2 * math.pi)

-- The prior in closed form, twice.
local exact = {}
function exact:log_density(points)
  local list = ((points * points):sum(2) * -0.5 - D / 2 * LOG_TWO_PI):totable()
  return list, list
end

-- N galaxies, and n draws of posteriors whose deviation is `width` times the true one, and whose mean is off
-- by `shift` true deviations.
local function drawn(count, n, width, shift, seed)
  local r, v = gal.rng(seed), width ^ 2 * V
  local theta = gal.randn({ count, D }, { rng = r })
  local x = theta + gal.randn({ count, D }, { rng = r }) * S
  local mean = x * (1 / (1 + S * S)) + shift * math.sqrt(V)
  local constant = -D / 2 * (LOG_TWO_PI + math.log(v))
  local z = gal.randn({ count, n, D }, { rng = r })
  local off = theta - mean
  return theta, {
    samples = mean:reshape{ count, 1, D } + z * math.sqrt(v), log_q = (z * z):sum(3) * -0.5 + constant,
    log_q_true = (off * off):sum(2) * (-0.5 / v) + constant,
  }, mean
end

local function mean_of(list) return (metrics.moments(list)) end

check.case("Delta log p and D_KL of exact posteriors are the mutual information, within 1 %", function()
  local theta, draws = drawn(60000, 4, 1, 0, 3)
  local found = metrics.scores(theta, draws, exact)
  check.near(mean_of(found.delta_log_p) / INFORMATION, 1, 0.01)
  check.near(mean_of(found.d_kl) / INFORMATION, 1, 0.01)
end)

check.case("D_KL of each galaxy is that of two Gaussians, within 1 %", function()
  local theta, draws, mean = drawn(5, 100000, 1, 0, 4)
  local found, means = metrics.scores(theta, draws, exact), mean:totable()
  for k = 1, 5 do
    local kl = 0
    for i = 1, D do kl = kl + 0.5 * (V + means[k][i] ^ 2 - 1 - math.log(V)) end
    check.near(found.d_kl[k] / kl, 1, 0.01, "galaxy " .. k)
  end
end)

check.case("the excess is the sum of what the densities and what the population make of it", function()
  for _, fault in ipairs{ { 1, 0 }, { 0.7, 0 }, { 1.4, 0 }, { 1, 0.8 }, { math.sqrt(1.64), 0.8 } } do
    local width, shift = unpack(fault)
    local theta, draws = drawn(20000, 8, width, shift, 5)
    local s = metrics.summary(metrics.scores(theta, draws, exact), { resamples = 10 })
    check.near(s.sharpness.mean + s.population.mean, s.excess.mean, 1e-9)
    -- E ln q over q is -D/2 less a constant, over the truth -D/2 (1 + shift^2) / width^2; E ln p moves by
    -- what the mean square of theta moves.
    local name = ("width %g, shift %g"):format(width, shift)
    check.near(s.sharpness.mean, D / 2 * ((1 + shift ^ 2) / width ^ 2 - 1), 0.05, "densities, " .. name)
    check.near(s.population.mean, D / 2 * V * (width ^ 2 - 1 + shift ^ 2), 0.05, "population, " .. name)
  end
end)

check.case("what the excess can't see is 0: a bias in wide posteriors, the prior returned", function()
  local theta, draws = drawn(20000, 8, math.sqrt(1.64), 0.8, 6)
  local s = metrics.summary(metrics.scores(theta, draws, exact), { resamples = 10 })
  check.near(s.sharpness.mean, 0, 0.04)
  check.that(s.delta_log_p.mean < INFORMATION - 0.3, "the bias costs nothing")
  local r = gal.rng(7)
  local prior = gal.randn({ 20000, 8, D }, { rng = r })
  local function density(z) return (z * z):sum(-1) * -0.5 - D / 2 * LOG_TWO_PI end
  s = metrics.summary(metrics.scores(theta, {
    samples = prior, log_q = density(prior), log_q_true = density(theta),
  }, exact), { resamples = 10 })
  check.near(s.excess.mean, 0, 1e-3)
  check.that(metrics.blind:find("ignore an input", 1, true), metrics.blind)
end)

check.case("the share of draws below the lowest training row is that of draws put there", function()
  local theta, draws = drawn(50, 20, 1, 0, 8)
  local prior = require("gal.stats.prior").fit(gal.randn({ 1000, D }, { rng = gal.rng(9) }), { h = 0.5 })
  local own = metrics.scores(theta, draws, prior)
  check.that(own.beyond < 0.01, ("%g of the draws are beyond, expected none"):format(own.beyond))
  draws.samples:narrow(1, 1, 5):narrow(2, 1, 10):fill_(40)
  check.near(metrics.scores(theta, draws, prior).beyond - own.beyond, 0.05, 2e-3)
  check.near(own.lowest, gal.tensor(prior.kde:leave_one_out()):min():item(), 1e-6)
end)

-- The integral of f from -40 to 40, which is 0 outside: the trapezoidal rule.
local function integral(f)
  local sum = 0
  for i = -40000, 40000 do sum = sum + f(i / 1000) / 1000 end
  return sum
end

check.case("CRPS is the integral of the squared difference of distribution functions", function()
  local n, quantiles = 20000, {}
  local function logistic(t) return 1 / (1 + math.exp(-t)) end
  for i = 1, n do quantiles[i] = math.log((i - 0.5) / (n - i + 0.5)) end
  local truth = { -3, 0, 0.7, 6 }
  local draws = gal.tensor(quantiles, { 1, n })
  local found = metrics.crps(truth, gal.cat({ draws, draws, draws, draws }, 1))
  for k, value in ipairs(truth) do
    local expected = integral(function(t) return (logistic(t) - (t >= value and 1 or 0)) ^ 2 end)
    check.near(found[k], expected, 2e-3, "truth " .. value)
  end
  -- Two draws are no worse than many: the mean over pairs of draws of a uniform, truth 1/2, is 1/12.
  local pair = gal.rand({ 20000, 2 }, { rng = gal.rng(2) })
  check.near(mean_of(metrics.crps(gal.full({ 20000 }, 0.5), pair)), 1 / 12, 4e-3)
end)

check.case("CDE loss is the integral of the squared density less twice that at the truth", function()
  local function density(t) return math.exp(-0.5 * t * t) / math.sqrt(2 * math.pi) end
  local z = gal.randn({ 1, 200000 }, { rng = gal.rng(3) })
  local found = metrics.cde_loss((z * z) * -0.5 - 0.5 * LOG_TWO_PI, { math.log(density(0.6)) }, 2)[1]
  check.near(found / 2, integral(function(t) return density(t) ^ 2 end) - 2 * density(0.6), 2e-3)
end)

check.case("mutual information is that of correlated normals, and 0 of those who know nothing", function()
  local r, rho, count = gal.rng(4), 0.8, 8000
  local x, z = gal.randn({ count, 1 }, { rng = r }), gal.randn({ count, 120 }, { rng = r })
  local wide = math.sqrt(1 - rho * rho)
  local truth = (x * rho + gal.randn({ count, 1 }, { rng = r }) * wide):reshape{ count }
  local training = gal.randn({ 20000 }, { rng = r })
  check.near(mean_of(metrics.mutual_information(truth, x * rho + z * wide, training)),
    -0.5 * math.log(1 - rho * rho), 0.025)
  local many = gal.randn({ 2000, 999 }, { rng = r })
  check.near(mean_of(metrics.mutual_information(truth:narrow(1, 1, 2000), many, training)), 0, 0.01)
  -- One truth that no draw is near costs the logarithm of the number of draws.
  local lost = metrics.mutual_information({ 0.1 }, gal.randn({ 1, 99 }, { rng = r }) * 1e-3 + 2, training)[1]
  check.near(lost, -math.log(100), 1e-3)
end)

check.case("bias, RMSE, outliers and information of each property are what was planted", function()
  local theta, draws = drawn(6000, 99, 1, 0.5, 5)
  local found = metrics.properties(theta, draws.samples + gal.tensor{ 0, -0.5 * math.sqrt(V) }, {
    training = gal.randn({ 5000, D }, { rng = gal.rng(1) }), resamples = 200,
  })
  local s = math.sqrt(V)
  for i, shift in ipairs{ 0.5, 0 } do
    local own = found[i]
    check.near(own.bias.mean, shift * s, 0.015, "bias " .. i)
    check.that(own.bias.low < shift * s and shift * s < own.bias.high, "the interval holds the bias")
    check.near(own.rmse.value, s * math.sqrt(1 + shift ^ 2 + 1 / 99), 0.015, "RMSE " .. i)
    check.that(own.rmse.low < own.rmse.value and own.rmse.value < own.rmse.high, "the interval holds it")
    check.equal(own.outliers_expected, 0.02)
  end
  check.near(found[2].outliers, 0.02, 0.006)
  check.that(found[1].outliers > 0.03, "a shift leaves more galaxies beyond all draws")
  check.near(found[2].information.mean, INFORMATION / D, 0.03)
  -- The CRPS of a normal about its mean's error of one deviation: s / sqrt(pi).
  check.near(found[2].crps.mean, s / math.sqrt(math.pi), 0.01)
  local text = metrics.properties_table({ "one", "two" }, found)
  for line in text:gmatch "[^\n]+" do check.that(#line <= 80, line) end
end)

check.case("C2ST of equal sets of 1,000 is .50 in the mean of 20, of disjoint ones at least .99", function()
  local r, sum = gal.rng(6), 0
  for _ = 1, 20 do
    local a, b = gal.randn({ 1000, 3 }, { rng = r }), gal.randn({ 1000, 3 }, { rng = r })
    sum = sum + metrics.c2st(a, b).accuracy / 20
  end
  check.near(sum, 0.5, 0.01)
  local a = gal.randn({ 1000, 3 }, { rng = r })
  check.that(metrics.c2st(a, a + 8).accuracy >= 0.99, "disjoint sets are told apart")
  -- Within a shell of another: no line parts them.
  local length = (a * a):sum(2, true):pow(-0.5)
  check.that(metrics.c2st(a * length * 4, a * length * 0.5).accuracy >= 0.99, "a shell and what is in it")
end)

check.case("C2ST of shifted normals is the best classifier's accuracy, whatever the sizes", function()
  -- Phi(1/2) = .6915.
  local r = gal.rng(8)
  local a, b = gal.randn({ 3000, 2 }, { rng = r }), gal.randn({ 1500, 2 }, { rng = r })
  b = b + gal.tensor{ 1, 0 }
  check.near(metrics.c2st(a, b).accuracy, 0.6915, 0.02)
  check.equal(metrics.c2st(a, b), metrics.c2st(a, b, { seed = 1 }))
  check.raises(function() metrics.c2st(a, b, { paired = true }) end,
    "c2st: a has 3000 rows and b 1500, expected as many in pairs")
  check.raises(function() metrics.c2st(a, gal.zeros{ 9, 3 }) end, "b is float32 {9, 3}, expected {N, 2}")
end)

check.case("the figure of gains says moments, the median, what is outside, and the share above", function()
  local gain = require "gal.infer.gain"
  local values = {}
  for k = 1, 1000 do values[k] = k end
  values[1000] = 1e6 -- alone it would set the frame
  local range = gain.frame{ values }
  local fits = range[1] < 6 and range[2] > 995 and range[2] < 1100
  check.that(fits, ("the frame is %g to %g"):format(unpack(range)))
  check.equal(gain.told({ 1, 2, 3, 10 }, { 0, 5 }), "4.00 ± 3.54, median 2.50, 1 outside")
  check.equal(gain.told({ 1, 3 }, { 0, 5 }), "2.00 ± 1.00, median 2.00")
  local x, y, share = gain.pairs_of({ 1, 2, 0 / 0, 4 }, { 2, 1, 5, 9 })
  check.equal({ x, y, share }, { { 1, 2, 4 }, { 2, 1, 9 }, 2 / 3 })
  local set = { title = "a", delta_log_p = values, d_kl = values }
  check.equal({ #gain.figure{ set }.panels, #gain.figure({ set, set }).panels }, { 2, 4 })
  check.raises(function() gain.figure{ { title = "a", delta_log_p = { 0 / 0 }, d_kl = { 1 } } } end,
    "gain: sets%[1%] has no finite delta_log_p", true)
end)

check.finish()
