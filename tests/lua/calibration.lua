-- gal.calibration: the exchange test and the tests by name, against planted faults, closed forms, counting,
-- and SciPy's values. The whole table of power is tests/acceptance/calibration.lua.
local check = dofile "lua/lib/check.lua"
local planted = dofile "lua/lib/planted.lua"
local calibration = require "gal.calibration"
local effects = require "gal.stats.effects"
local gal = require "gal"
local text = require "gal.base.text"

local N, DRAWS = 500, 199
local validation = planted.validation(300, gal.rng(77))

-- A test of planted posteriors, n galaxies.
local function tested(fault, seed, level, n)
  return gal.scope(function()
    local truth, samples, o = planted.make(fault, n or N, DRAWS, gal.rng(seed))
    o.references, o.level = validation, level
    return calibration.test(truth, samples, o)
  end)
end

local function entry_of(c, name)
  for _, e in ipairs(c.table) do
    if e.name == name then return e end
  end
  check.that(false, "there is no statistic " .. name)
end

-- ---- exactness ----

check.case("every statistic treats the truth and the draws alike", function()
  -- Number 7 of every galaxy and the truth change places, and so must their statistics.
  local truth, samples, o = planted.make("tails", 120, 39, gal.rng(3))
  local function largest_of(theta, draws, log_q_true, log_q)
    local acc = calibration.accumulator{ seed = 5, references = validation }
    acc:add{
      truth = theta, samples = draws, log_q = log_q, log_q_true = log_q_true, context = o.context,
      against = { log_q = draws:select(3, 1):pow(2):contiguous(), log_q_true = theta:select(2, 1):pow(2) },
    }
    local found = effects.of(acc:close(), acc.context_names, 0.05)
    return found.largest, #found.list
  end
  local function exchanged(one, many)
    many = many:clone()
    local seventh = many:select(2, 7):clone()
    many:select(2, 7):copy_(one)
    return seventh, many
  end
  local own_theta, own_draws = exchanged(truth, samples)
  local own_true, own_log = exchanged(o.log_q_true, o.log_q)
  local a, count = largest_of(truth, samples, o.log_q_true, o.log_q)
  local b = largest_of(own_theta, own_draws, own_true, own_log)
  check.equal(count, 20 + 4 * 4 + 10 + 50)
  for j = 0, 39 do
    local other = j == 0 and 7 or j == 7 and 0 or j
    -- Roundings of the distances' units exchange neighbours now and then.
    check.near(b[j], a[other], 1e-3 * (1 + a[other]), "the largest |z| of number " .. j)
  end
  check.that(math.abs(a[0] - a[7]) > 0.01, "numbers 0 and 7 can't be told apart")
end)

check.case("of calibrated posteriors p is at most .05 in .05 of 90 repetitions", function()
  local below, outside, score = 0, 0, 0
  for seed = 1, 90 do
    gal.scope(function()
      local truth, samples, o = planted.make("exact", 100, 99, gal.rng(9000 + seed))
      local c = calibration.test(truth, samples, o)
      if c.p <= 0.05 then below = below + 1 end
      if c.curves_leave then outside = outside + 1 end
      if calibration.lc2st(truth, samples, { context = o.context }).p <= 0.05 then score = score + 1 end
    end)
  end
  -- Binomial (90, .05): 11 or more with probability .006.
  check.that(below <= 10, below .. " of 90 rejected")
  check.that(outside <= 10, outside .. " of 90 leave the band")
  check.that(score <= 10, score .. " of 90 rejected by lc2st")
end)

check.case("p counts in steps of 1/(L + 1), and that of all is no less than that of one alone", function()
  local c = tested("exact", 4)
  check.near(c.p * 200, math.floor(c.p * 200 + 0.5), 1e-9)
  for _, e in ipairs(c.table) do check.that(e.p >= e.p_alone, e.name) end
  check.equal(#c.table, 84 + 8)
end)

-- ---- power ----

check.case("each planted fault is found, and named", function()
  for _, fault in ipairs(planted.FAULTS) do
    local found, named = 0, 0
    for seed = 1, 2 do
      local c = tested(fault[1], 100 + seed, 0.01, 800)
      found = found + (c.p <= 0.01 and 1 or 0)
      for k = 2, #fault do
        if c.worst.name:find(fault[k]) then
          named = named + 1
          break
        end
      end
    end
    check.that(found == 2, ("%s: found in %d of 2"):format(fault[1], found))
    check.that(named >= 1, ("%s: named in %d of 2"):format(fault[1], named))
  end
end)

check.case("an input that is ignored is seen by another run's densities or that input alone", function()
  local truth, samples, o, exact = planted.make("ignored", N, DRAWS, gal.rng(8))
  o.context, o.context_names = o.context:narrow(2, 1, 4):contiguous(), nil
  local blind = calibration.test(truth, samples, o)
  check.that(blind.p > 0.05, "p without either is " .. blind.p)
  check.that(table.concat(blind.blind, " "):find "An input that the flow ignores", "it does not say so")
  o.against = exact
  local c = calibration.test(truth, samples, o)
  check.equal(c.p, 1 / 200)
  check.equal(c.worst.of, "other run")
  check.that(c.verdict:find "the other run knows what this one doesn't", c.verdict)
  check.that(not table.concat(c.blind, " "):find "An input that the flow ignores", "it says so all the same")
  check.equal(tested("ignored", 8).worst.name, "bias of a_v with x5")
end)

check.case("a run is not found wrong by its own densities, nor by roundings of them", function()
  local truth, samples, o, exact = planted.make("exact", N, DRAWS, gal.rng(12))
  o.against = exact -- the same numbers, along another way
  local c = calibration.test(truth, samples, o)
  check.that(c.p > 0.05, "p is " .. c.p)
end)

check.case("effects have the size that was planted, within their intervals", function()
  local function holds(fault, name, value, tolerance)
    local e = entry_of(tested(fault, 21), name)
    check.near(e.effect, value, tolerance, name)
    check.that(e.interval[1] < value and value < e.interval[2],
      ("%s: %.3f to %.3f does not hold %.3f"):format(name, e.interval[1], e.interval[2], value))
  end
  holds("shift", "shift of log_mass", -0.3, 0.1)
  holds("one_wide", "width of a_v", 1 / 1.2, 0.08)
  holds("one_narrow", "width of a_v", 1 / 0.8, 0.15)
  holds("sign", "correlation of dn4000 and a_v", -1.26, 0.15)
  holds("local_bias", "bias of log_mass with x1", 0.3 * math.sqrt(2 / math.pi) * -1, 0.1)
end)

check.case("the least effects are those of the asymptotic formula", function()
  -- 4.6/(.98 sqrt N) at level .01 and power .9 over five properties; over all statistics somewhat more.
  local least = tested("exact", 5, 0.01).least
  check.that(least.shift > 0.20 and least.shift < 0.26, "shift " .. least.shift)
  check.that(least.width > 15 and least.width < 25, "width " .. least.width)
end)

-- ---- words ----

check.case("the verdict has three grades, and the text fits 80 columns", function()
  for _, case in ipairs{
    { "exact", "^no deviation found; at this N nothing below" },
    { "shift", "^not calibrated: log_mass is too" },
    { "one_narrow", "^not calibrated: the width of a_v is %d+ %% too small" },
    { "one_wide", "^not calibrated: the width of a_v is %d+ %% too large" },
    { "ignored", "^not calibrated: a_v is too low where x5 is high" },
    { "sign", "^not calibrated: the correlation of dn" },
  } do
    local c = tested(case[1], 31)
    check.that(c.verdict:find(case[2]), ("%s: %s"):format(case[1], c.verdict))
    for line in (tostring(c) .. "\n"):gmatch "(.-)\n" do
      check.that(text.length(line) <= 80, ("%d columns: %s"):format(text.length(line), line))
    end
  end
  -- 20,000 galaxies see .07 deviations, which is small.
  local rng = gal.rng(6)
  local c = calibration.test(gal.randn({ 20000, 1 }, { rng = rng }) + 0.07,
    gal.randn({ 20000, 39, 1 }, { rng = rng }), { names = { "oh" } })
  check.equal(c.grade, "calibrated to within")
  local sentence = "^calibrated to within 0.0%d+ σ and .* %%: oh is too low by 0.0%d+ σ$"
  check.that(c.verdict:find(sentence), c.verdict)
end)

-- ---- curves ----

check.case("bands are as wide as simultaneous ones must be", function()
  -- Half widths at 1/2 of one curve and of six (five properties and TARP), by the adjusted quantiles of
  -- Saeilynoja, Buerkner & Vehtari (2022); a band that holds each point by itself is .044 and .031 wide.
  local function half_width(n, d)
    local rng, sum = gal.rng(40 + d), 0
    for _ = 1, 4 do
      local truth, samples = gal.randn({ n, d }, { rng = rng }), gal.randn({ n, DRAWS, d }, { rng = rng })
      local c = calibration.test(truth, samples)
      sum = sum + (c.curves[1].high[50] - c.curves[1].low[50]) / 2
    end
    return sum / 4
  end
  check.near({ half_width(500, 1), half_width(500, 5) }, { 0.066, 0.080 }, 0.006)
  check.near({ half_width(1000, 1), half_width(1000, 5) }, { 0.048, 0.056 }, 0.004)
end)

check.case("curves are the ranks' distributions", function()
  local c = tested("shift", 2)
  check.equal({ #c.curves, c.curves[1].name, c.curves[6].name }, { 8, "log_mass", "HPD" })
  local curve, ranks = c.curves[1], c.ranks[1]
  check.equal(#curve.x, 100)
  for _, k in ipairs{ 1, 50, 99, 100 } do
    local below = 0
    for i = 1, N do below = below + (ranks[i] < curve.x[k] and 1 or 0) end
    check.near(curve.y[k], below / N - k / 100, 1e-12, "point " .. k)
  end
  check.that(c.curves_leave and curve.y[50] > curve.high[50], "a shift of .3 stays in the band")
end)

-- ---- ranks and the tests by name ----

check.case("ranks count the draws below the truth", function()
  local truth, samples = planted.make("exact", 100, 39, gal.rng(1))
  local below = samples:lt(truth:reshape{ 100, 1, 5 }):sum(2):totable()
  local ranks = calibration.ranks(truth, samples):totable()
  for i = 1, 100 do
    for p = 1, 5 do check.equal(math.floor(ranks[i][p] * 40), below[i][p]) end
  end
end)

check.case("values that are equal are ranked at random", function()
  local ranks = calibration.ranks(gal.zeros{ 4000, 1 }, gal.zeros{ 4000, 39, 1 }):reshape{ -1 }
  check.near(ranks:mean():item(), 0.5, 0.02)
  check.near(ranks:std():item(), math.sqrt(1 / 12), 0.01)
end)

check.case("KS, chi squared and AD are SciPy's, and their p within simulation", function()
  local golden = require("gal.base.json").decode(require("gal.base.path").read "golden/uniformity.json")
  local many = { resamples = 4000 }
  for _, e in ipairs(golden.entries) do
    local ks, chi2, ad = calibration.ks(e.u, many), calibration.chi2(e.u, many), calibration.ad(e.u, many)
    local found = { ks.statistic, chi2.statistic, ad.statistic }
    check.near(found, { e.ks, e.chi2, e.ad }, 1e-9 * (1 + e.chi2), e.name)
    local allowed = 4 * math.sqrt(e.ks_p * (1 - e.ks_p) / 4000) + 1 / 4000
    check.near(ks.p, e.ks_p, allowed, e.name .. ": p of KS")
    -- SciPy's p of chi squared is asymptotic: of 10 a bin it is off by up to .01.
    if #e.u >= 200 then check.near(chi2.p, e.chi2_p, 0.03, e.name .. ": p of chi squared") end
  end
  -- Stephens' (1974) points of A^2: simulated values exceed them as often as they should.
  local above, u = { 0, 0 }, gal.rand({ 3000, 100 }, { rng = gal.rng(3) }):totable()
  for i = 1, 3000 do
    local statistic = calibration.ad(u[i], { resamples = 1 }).statistic
    for k = 1, 2 do above[k] = above[k] + (statistic > golden.ad_points[k][1] and 1 or 0) end
  end
  check.near(above[1] / 3000, 0.05, 0.012)
  check.near(above[2] / 3000, 0.01, 0.006)
end)

check.case("no p is 0", function()
  local u = {}
  for i = 1, 300 do u[i] = i / 1e4 end
  for _, name in ipairs{ "ks", "chi2", "ad" } do
    check.equal(calibration[name](u, { resamples = 99 }).p, 0.01)
  end
end)

check.case("TARP ranks the distances from its points", function()
  local truth, samples = planted.make("exact", 150, 39, gal.rng(2))
  local points = gal.randn({ 150, 5 }, { rng = gal.rng(4) })
  local unit = gal.cat({ truth:narrow(1, 1, 100):reshape{ 100, 1, 5 }, samples:narrow(1, 1, 100) }, 2)
    :reshape({ 4000, 5 }):std(1)
  local function distance(x, centre) return ((x - centre) / unit):pow(2):sum(-1) end
  local own = distance(truth, points):reshape{ 150, 1 }
  local nearer = distance(samples, points:reshape{ 150, 1, 5 }):lt(own):sum(2):totable()
  local found = calibration.tarp(truth, samples, { references = points })
  -- Roundings exchange neighbours.
  for i = 1, 150 do check.near(math.floor(found.ranks[i] * 40), nearer[i], 1) end
end)

check.case("TARP finds the prior by a regression's points, and posteriors that are too narrow", function()
  local truth, samples, o = planted.make("prior", N, DRAWS, gal.rng(3))
  local options = { references = "regression", context = o.context }
  check.equal(calibration.tarp(truth, samples, options).p, 0.001)
  truth, samples = planted.make("narrow", N, DRAWS, gal.rng(3))
  check.that(calibration.tarp(truth, samples).p <= 0.01, "narrow posteriors pass by random points")
  truth, samples, o = planted.make("exact", N, DRAWS, gal.rng(3))
  options.context = o.context
  check.that(calibration.tarp(truth, samples, options).p > 0.05, "exact posteriors don't pass")
end)

check.case("LC2ST finds wrong correlations and an ignored input", function()
  for _, fault in ipairs{ "sign", "ignored", "one_narrow" } do
    local truth, samples, o = planted.make(fault, N, DRAWS, gal.rng(3))
    check.equal(calibration.lc2st(truth, samples, { context = o.context }).p, 1 / 200, fault)
  end
end)

check.finish()
