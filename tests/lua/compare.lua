-- gal.stats.compare: paired differences and their intervals, and how Wasserstein distances differ between two
-- models.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local compare = require "gal.stats.compare"
local metrics = require "gal.metrics"

local N, DRAWS = 400, 8
local options = { rng = gal.rng(3) }
local truth = gal.randn({ N, 2 }, options)
local a = truth:reshape{ N, 1, 2 } + gal.randn({ N, DRAWS, 2 }, options) * 0.3
local b = truth:reshape{ N, 1, 2 } + gal.randn({ N, DRAWS, 2 }, options) * 0.3 + 0.5

local function scores(shift, seed)
  local noise = gal.randn({ N }, { rng = gal.rng(seed) }):totable()
  local galaxy = gal.randn({ N }, { rng = gal.rng(9) }):totable()
  local list = { delta_log_p = {}, d_kl = {} }
  for k = 1, N do
    list.delta_log_p[k] = 5 * galaxy[k] + 0.1 * noise[k] + shift
    list.d_kl[k] = list.delta_log_p[k] + 1
  end
  return list
end

check.case("what two models' galaxies share does not widen the interval of a difference", function()
  local found = compare.scores(scores(0.2, 1), scores(0, 2)).delta_log_p
  -- Differences are N(.2, .02): a standard error of .007, where unpaired ones would have .35.
  check.near(found.mean, 0.2, 0.03)
  check.near(found.a - found.b, found.mean, 1e-9)
  check.that(found.high - found.low < 0.04 and found.low < 0.2 and found.high > 0.2,
    ("the interval is %.3f to %.3f"):format(found.low, found.high))
  -- P(N(.2, .02) > 0) = .921, its deviation over 400 galaxies .0135.
  check.near(found.higher, 0.921, 0.054)
end)

check.case("excess is D_KL less Delta log p", function()
  local found = compare.scores(scores(0, 1), scores(3, 2)).excess
  check.near(found.a, 1, 1e-9)
  check.near(found.mean, 0, 1e-9)
end)

check.case("distances are those of metrics.wasserstein, and a shift is seen with its size", function()
  local found = compare.wasserstein(truth, a, b, { draws = DRAWS })
  for i = 1, 2 do
    local own = truth:select(2, i)
    check.near(found[i].means.a, metrics.wasserstein(own, a:mean(2):select(2, i)), 1e-6)
    check.near(found[i].pooled.b, metrics.wasserstein(own, b:select(3, i):reshape{ -1 }), 1e-6)
    -- b is a moved by .5, and its distances by about as much.
    check.near(found[i].means.difference, -0.45, 0.07)
    check.that(found[i].means.low < found[i].means.difference
      and found[i].means.difference < found[i].means.high and found[i].means.high < -0.3,
      ("the interval is %.3f to %.3f"):format(found[i].means.low, found[i].means.high))
  end
end)

check.case("a model does not differ from itself", function()
  local found = compare.wasserstein(truth, a, a, { draws = DRAWS, resamples = 20 })[1]
  check.equal({ found.means.difference, found.means.low, found.means.high, found.pooled.high },
    { 0, 0, 0, 0 })
end)

check.finish()
