-- The analytic survey: its galaxies are spread around its posteriors as the posteriors say.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local analytic = dofile "lua/lib/analytic.lua"
local data = require "gal.data"
local linalg = require "gal.stats.linalg"

local N = check.sized(20000, 6000)
local catalogue = analytic.table(N, 5)

local function columns(names, less)
  local list = {}
  for i, name in ipairs(names) do
    local values = catalogue:column(name)
    if less then values = values - catalogue:column((name:gsub("modelMag", less))) end
    list[i] = values:reshape{ N, 1 }
  end
  return gal.cat(list, 2)
end

local theta, x = columns(data.theta), columns(data.context, "extinction")
local means, posterior = analytic.posterior(x)

check.case("the truth's squared distance from the exact mean averages to 5, a property's to 1", function()
  local offsets, inverse = theta - means, linalg.invert_lower(linalg.cholesky(posterior))
  local sum = 0
  for _, row in ipairs(offsets:totable()) do
    for _, value in ipairs(linalg.apply(inverse, row)) do sum = sum + value * value end
  end
  check.near(sum / N, 5, 4 * math.sqrt(10 / N))
  for i = 1, 5 do
    check.near((offsets:select(2, i) ^ 2):mean():item() / posterior[i][i], 1, 4 * math.sqrt(2 / N),
      data.theta[i])
  end
end)

check.case("the posterior of a pair of properties correlates as its draws' errors do", function()
  local offsets = theta - means
  for _, pair in ipairs{ { 1, 2 }, { 4, 5 }, { 3, 4 } } do
    local i, j = pair[1], pair[2]
    local product = (offsets:select(2, i) * offsets:select(2, j)):mean():item()
    local scale = math.sqrt(posterior[i][i] * posterior[j][j])
    check.near(product / scale, posterior[i][j] / scale, 4 / math.sqrt(N))
  end
end)

check.case("the mean of ln p at the truth is less than the prior's by the mutual information", function()
  local found = analytic.log_posterior(theta, x)
  local sum = 0
  for k = 1, N do sum = sum + found[k] end
  local _, prior = linalg.covariance(theta:totable())
  local gain = sum / N + 2.5 * (1 + math.log(2 * math.pi))
    + linalg.log_determinant(linalg.cholesky(prior)) / 2
  check.near(gain, (linalg.log_determinant(linalg.cholesky(prior))
    - linalg.log_determinant(linalg.cholesky(posterior))) / 2, 0.06)
  check.that(gain > 1.5 and gain < 3,
    ("the magnitudes tell %.2f nats, expected about 2.2 as for real galaxies"):format(gain))
end)

check.case("the exact posteriors are calibrated, and their pooled draws are the population", function()
  local metrics = require "gal.metrics"
  local few = 1500
  local found = metrics.information(analytic.flow, theta:narrow(1, 1, few), x:narrow(1, 1, few),
    require("gal.stats.prior").fit(theta:narrow(1, few + 1, 3000)), { n = 20 })
  local summary = metrics.summary(found)
  check.near(summary.excess.mean, 0, 0.1, "mean D_KL - mean Delta log p")
  -- Of the 21 ranks among 20 draws the middle 15 are inside.
  local inside = 15 / 21
  check.near(metrics.coverage(theta:narrow(1, 1, few), found.samples, 0.68),
    { inside, inside, inside, inside, inside }, 4 * math.sqrt(inside * (1 - inside) / few), "coverage")
  local distances = metrics.wasserstein_table(theta:narrow(1, 1, few), found.samples, { 1, 1, 1, 1, 1 })
  for i, entry in ipairs(distances) do
    check.that(entry.pooled < 2 * entry.chance_high, data.theta[i])
  end
end)

-- The twin of acceptance/eco_resolve.lua: as few galaxies, and the same bar.
check.case("a flow trained on 1,200 galaxies gains information on others, beyond its interval", function()
  local metrics = require "gal.metrics"
  local flow = require("gal.flow").new{ theta = 5, context = 5, hidden = check.sized({ 64, 64 }, { 32, 32 }),
    rng = gal.rng(1) }
  require("gal.train").fit{ flow = flow, theta = theta:narrow(1, 1, 1200), context = x:narrow(1, 1, 1200),
    lr = 4e-3, epochs = check.sized(60, 20), seed = 1, progress = false }
  local few, at = theta:narrow(1, 1201, 150), x:narrow(1, 1201, 150)
  local found = metrics.information(flow, few, at, require("gal.stats.prior").fit(theta:narrow(1, 1, 1200)),
    { n = 20, steps = 15 })
  local gained = metrics.summary(found).delta_log_p
  check.that(gained.low > 0,
    ("mean Delta log p is %.3f, from %.3f, expected above 0"):format(gained.mean, gained.low))
  check.that(gained.mean < 3,
    ("mean Delta log p is %.3f, and the exact posteriors' is 2.2"):format(gained.mean))
  -- Galaxies with each other's magnitudes: nothing may be left of the gain.
  local strangers = flow:log_prob(few, at:rows((function()
    local list = {}
    for k = 1, 150 do list[k] = k % 150 + 1 end
    return list
  end)()), { steps = 15 })
  check.that(strangers:mean():item() - metrics.moments(found.log_p) < 0,
    "magnitudes of other galaxies must not help")
end)

check.case("the same seed makes the same table", function()
  local a, b = analytic.table(50, 9), analytic.table(50, 9)
  check.equal(a:column "a_v", b:column "a_v")
  check.that(analytic.table(50, 10):column("a_v"):get(1) ~= a:column("a_v"):get(1),
    "another seed makes another")
end)

check.finish()
