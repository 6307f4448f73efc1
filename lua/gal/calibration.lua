-- calibration: whether posteriors can be believed. One exact test with one p over many statistics
-- (calibration.test), the same near a given galaxy (calibration.near), and the tests that go by names of
-- their own. N galaxies, L draws of each, d properties, c contexts.
--
-- Under calibration a galaxy's truth and its draws are exchangeable: each draw in turn plays the truth, which
-- gives the joint distribution of any statistics under calibration, with ties and dependence, by counting:
-- a Monte Carlo test (Barnard 1963) on simulation-based calibration (Talts et al. 2018).
local accumulator = require "gal.stats.accumulator"
local bands = require "gal.stats.bands"
local blocks = require "gal.stats.blocks"
local core = require "gal.tensor"
local directions = require "gal.stats.directions"
local effects = require "gal.stats.effects"
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local lc2st = require "gal.stats.lc2st"
local options_of = require "gal.base.options"
local tarp = require "gal.stats.tarp"
local uniformity = require "gal.stats.uniformity"
local verdict = require "gal.stats.verdict"
local raise, integer, number = errors.raise, options_of.integer, options_of.number

local calibration = {}

local MANY = 500      -- galaxies; fewer come with a warning
local TOGETHER = 64   -- galaxies that are read at once

-- ---- the test ----

local Test = {}
Test.__index = Test

local OPTIONS = { "names", "context_names", "training", "references", "level", "seed" }

--- calibration.accumulator([options]): calibration.test for galaxies that come in blocks. Memory does not
-- grow with their number but for the truths' ranks. options: names {d}, context_names {c}, training,
-- references ({theta =, context =} of validation rows), level, seed, as calibration.test's. acc:add(block)
-- adds galaxies, acc:finish() gives the test. What it gives does not depend on how galaxies were cut into
-- blocks.
function calibration.accumulator(options)
  local o = options_of.known("accumulator", options, OPTIONS)
  return accumulator.new("accumulator", {
    names = o.names, context_names = o.context_names, training = o.training, references = o.references,
    level = number("accumulator", o, "level", 0.05, 1e-6, 0.5),
    seed = integer("accumulator", o, "seed", 1, -2 ^ 53, 2 ^ 53),
  })
end

-- The properties, of these names, that no statistic is of.
local function untested(names, list)
  local tested, none = {}, {}
  for _, e in ipairs(list) do tested[e.of] = true end
  for _, name in ipairs(names) do
    if not tested[name] then none[#none + 1] = name end
  end
  return none
end

-- What the sums of an accumulator say.
local function test_of(acc)
  local sums = acc:close()
  local found = effects.of(sums, acc.context_names, acc.level)
  if not found.worst then
    raise("%s: truth and draws are at values that many training rows share, expected others", acc.where)
  end
  local c = {
    p = found.p, worst = found.worst, table = found.list, n = sums.n, draws = acc.draws, level = acc.level,
    least = effects.least(found, sums.n, acc.level), left_out = acc.left_out, ranks = acc.ranks,
    atoms = acc.atoms and acc.atoms:table(acc.draws) or {},
  }
  c.curves, c.curves_leave = bands.curves(sums, 1 - acc.level)
  c.grade, c.verdict = verdict.of(found, c.least, acc.level)
  c.blind = verdict.blind{
    log_q = acc.at.density, context = acc.c > 0, against = acc.at.other, n = sums.n,
    untested = untested(acc.names, found.list),
  }
  if sums.n < MANY then
    local sentence = "Only %d galaxies: nothing below %.2g σ or %.2g %% of a width would be found."
    c.warning = sentence:format(sums.n, c.least.shift, c.least.width)
  end
  return setmetatable(c, Test)
end

local TEST = {
  "log_q", "log_q_true", "context", "context_names", "names", "against", "training", "left_out", "level",
  "seed", "references",
}

-- The accumulator of all the galaxies that a test was given; o: its options, `level` checked.
local function gathered(where, truth, samples, o)
  local whole = {
    truth = truth, samples = samples, log_q = o.log_q, log_q_true = o.log_q_true, context = o.context,
    against = o.against, left_out = o.left_out,
    references = core.is_tensor(o.references) and o.references or nil,
  }
  local n = blocks.check(where, whole)
  local few = "%s: truth has %d galaxies, expected at least %d"
  if n < blocks.LEAST then raise(few, where, n, blocks.LEAST) end
  local acc = accumulator.new(where, {
    names = o.names, context_names = o.context_names, training = o.training,
    references = not core.is_tensor(o.references) and o.references or nil,
    level = number(where, o, "level", 0.05, 1e-6, 0.5),
    seed = integer(where, o, "seed", 1, -2 ^ 53, 2 ^ 53),
  })
  for first = 1, n, TOGETHER do acc:add(blocks.cut(whole, first, math.min(TOGETHER, n - first + 1))) end
  return acc
end

--- calibration.test(truth, samples[, options]): one exact test of posteriors. truth {N, d}; samples {N, L,
-- d}, L = 199 or 999 draws of each galaxy (L + 1 a multiple of 20); N at least 100. options: log_q {N, L}
-- and log_q_true {N}, the densities at draws and truth, nats; context {N, c}, inputs that biases are looked
-- for along, with context_names {c}; names {d}; against = {log_q =, log_q_true =}, another run's densities
-- at these draws and truths; references, the points of TARP by regression: a tensor {N, d} that has not seen
-- these truths, or {theta = {M, d}, context = {M, c}} of validation rows to fit it on; training, theta of
-- the training rows {M, d}: values that more than 1 % of them share are reported apart (c.atoms) and left
-- out; left_out, a list of galaxies that do not count, as those whose draws are no numbers; level (.05);
-- seed (1), of ties and random points. Returns c: c.p, exact, over all statistics, in steps of 1/(L + 1);
-- c.table, a list of {name, kind, effect, interval {2}, z, p_alone, p}; c.worst, the one of the largest |z|;
-- those that don't say what is wrong (TARP's, the other run's, HPD's but its shift) only where no other is
-- significant; c.curves, a list of {name, x, y, low, high}: ranks' distributions less the uniform one, with
-- a band that holds all of them at once with probability 1 - level; c.least, {shift, in posterior
-- deviations, width, in %}: the least effects that would be found with probability .9; c.blind, sentences on
-- what can't be seen; c.grade and c.verdict, a sentence; c.ranks, a list of {name, …} with the rank of each
-- galaxy's truth, uniform in [0, 1] if calibrated; c.atoms, c.left_out, c.warning. tostring(c) is all of it
-- as text; c:near(x, k) the test near context x. Effects: a shift is in posterior deviations, positive where
-- truths lie above the posteriors; a width is the truth's spread over the posterior's; a bias with a context
-- is in posterior deviations for each of its deviations.
function calibration.test(truth, samples, options)
  local o = options_of.known("test", options, TEST)
  local c = test_of(gathered("test", truth, samples, o))
  c.given = { truth = truth, samples = samples, options = o }
  return c
end

-- ---- tests by name ----

--- calibration.ranks(truth, samples[, {left_out, seed = 1}]): the rank of each truth among its draws, {N, d}:
-- (k + u)/(L + 1), k of the L draws below it, ties at random, u uniform in [0, 1): uniform in [0, 1] if
-- calibrated. truth, samples, left_out as calibration.test's; NaN for galaxies that are left out.
function calibration.ranks(truth, samples, options)
  local acc = gathered("ranks", truth, samples, options_of.known("ranks", options, { "left_out", "seed" }))
  acc:close()
  local columns = {}
  for i = 1, acc.d do columns[i] = gal.tensor(acc.ranks[i], { acc.n, 1 }, { device = "cpu" }) end
  return gal.cat(columns, 2)
end

local UNIFORM = { "resamples", "seed" }

local function uniform(where, ranks, options, statistic)
  local resamples = integer(where, options, "resamples", 999, 1, 1e6)
  local seed = integer(where, options, "seed", 1, -2 ^ 53, 2 ^ 53)
  return uniformity.test(where, ranks, statistic, resamples, seed)
end

--- calibration.ks(ranks[, {resamples = 999, seed = 1}]): Kolmogorov & Smirnov's test that ranks, a list or a
-- tensor {N} as a column of calibration.ranks, are uniform. Returns {statistic, p, n}, p = (1 + #)/(1 +
-- resamples) by simulation. It finds shifts and is weak for widths; calibration.test has one p for all.
function calibration.ks(ranks, options)
  return uniform("ks", ranks, options_of.known("ks", options, UNIFORM), uniformity.ks)
end

--- calibration.ad(ranks[, options]): Anderson & Darling's test, as calibration.ks.
function calibration.ad(ranks, options)
  return uniform("ad", ranks, options_of.known("ad", options, UNIFORM), uniformity.ad)
end

--- calibration.chi2(ranks[, {bins = 20, resamples = 999, seed = 1}]): Pearson's chi squared of the histogram
-- of ranks, as calibration.ks.
function calibration.chi2(ranks, options)
  local o = options_of.known("chi2", options, { "bins", "resamples", "seed" })
  return uniform("chi2", ranks, o, uniformity.chi2(integer("chi2", o, "bins", 20, 2, 1e4)))
end

local TARP = { "references", "context", "left_out", "resamples", "seed" }

-- Reference points {N, d} by a regression of the truth on the context, of each half of the galaxies by the
-- other half; left-out galaxies count in neither.
local function halves(truth, context, left_out)
  local n, out, list = truth:size(1), blocks.left_out("tarp", left_out, truth:size(1)), { {}, {} }
  local points, x, place = {}, host.read(context), context:size(2)
  for k = 1, n do
    if not out[k] then table.insert(list[k % 2 + 1], k) end
  end
  local count = #list[1] + #list[2]
  if count < blocks.LEAST then raise("tarp: %d galaxies count, expected at least %d", count, blocks.LEAST) end
  for half = 1, 2 do
    local others = list[3 - half]
    local point = tarp.regression(truth:rows(others), context:rows(others))
    for _, k in ipairs(list[half]) do points[k] = point(x, (k - 1) * place) end
  end
  for k = 1, n do points[k] = points[k] or points[list[1][1]] end
  return gal.tensor(points, nil, { device = "cpu" })
end

--- calibration.tarp(truth, samples[, options]): Lemos et al.'s (2023) test by distances from reference
-- points: {ranks {N}, statistic, p, n}, Kolmogorov & Smirnov's of the ranks of the truths' distances among
-- the draws'. options: references ("random"; "regression" of the truth on context {N, c}, each half of the
-- galaxies by the other; or a tensor {N, d}), left_out, resamples, seed, as elsewhere.
function calibration.tarp(truth, samples, options)
  local o = options_of.known("tarp", options, TARP)
  local n, d = host.matrix("tarp", "truth", truth)
  local points, name = o.references, "TARP by regression"
  if points == "regression" then
    if host.matrix("tarp", "context", o.context) ~= n then
      raise("tarp: context is %s, expected {%d, c}", core.shape_text(o.context), n)
    end
    points = halves(truth, o.context, o.left_out)
  elseif points == nil or points == "random" then
    if d < 2 then raise "tarp: truth has 1 property, expected at least 2, or references" end
    points, name = nil, "TARP"
  else
    host.matrix("tarp", "references", points, d)
  end
  local acc = gathered("tarp", truth, samples, { left_out = o.left_out, seed = o.seed, references = points })
  acc:close()
  for _, ranks in ipairs(acc.ranks) do
    if ranks.name == name then
      local found = uniform("tarp", ranks, o, uniformity.ks)
      found.ranks = ranks
      return found
    end
  end
end

--- calibration.lc2st(truth, samples[, {context, left_out, seed}]): a classifier two-sample test of truths
-- against draws: the score test of a logistic classifier of residuals, their products, and products with the
-- context {N, c}; no training, and all draws are used. Returns {statistic, p, scores}, p exact, in steps of
-- 1/(L + 1) (Linhart, Gramfort & Rodrigues 2023 train one).
function calibration.lc2st(truth, samples, options)
  local o = options_of.known("lc2st", options, { "context", "left_out", "seed" })
  local acc = gathered("lc2st", truth, samples, o)
  return lc2st.test(acc:close()) or raise "lc2st: truth and draws are the same in every galaxy"
end

-- ---- near a galaxy ----

-- The k galaxies, numbers in order, nearest to x {c} by whitened contexts {n, c}; none of the set `out`.
local function nearest(x, k, context, out)
  local values, list = host.read(context), {}
  local distance = directions.distances(x, values, context:size(1), context:size(2))
  for i = 1, #distance do
    if not out[i] then list[#list + 1] = i end
  end
  table.sort(list, function(a, b)
    if distance[a] ~= distance[b] then return distance[a] < distance[b] end
    return a < b
  end)
  for i = #list, k + 1, -1 do list[i] = nil end
  table.sort(list)
  return list
end

--- calibration.near(x, k, truth, samples, options): calibration.test on the k galaxies (500) whose contexts,
-- options.context, are nearest to x {c}, a list or a tensor, once whitened: whether a galaxy's posterior can
-- be believed is told by those like it. The rest is as calibration.test's; c.nearest are the galaxies'
-- numbers.
function calibration.near(x, k, truth, samples, options)
  local o = options_of.known("near", options, TEST)
  k = errors.integer("near", "k", k == nil and 500 or k, blocks.LEAST)
  local whole = { truth = truth, samples = samples }
  for _, name in ipairs{ "log_q", "log_q_true", "context", "against" } do whole[name] = o[name] end
  if core.is_tensor(o.references) then whole.references = o.references end
  local n = blocks.check("near", whole)
  local _, c = host.matrix("near", "context", o.context)
  local own, given = host.numbers("near", "x", x)
  if given ~= c then raise("near: x has %d numbers, expected %d as context has", given, c) end
  local out, chosen = blocks.left_out("near", o.left_out, n), {}
  local list = nearest(host.list(own, c), k, o.context:to "cpu", out)
  for name, value in pairs(o) do chosen[name] = value end
  local block = blocks.pick(whole, list)
  for name in pairs(whole) do chosen[name] = block[name] end
  chosen.truth, chosen.samples, chosen.left_out = nil, nil, nil
  local found = calibration.test(block.truth, block.samples, chosen)
  found.nearest = list
  return found
end

--- c:near(x[, k = 500]): the same test on the k galaxies nearest to the inputs x {c}, as calibration.near's.
function Test:near(x, k)
  if not self.given then
    raise "near: the test was made of blocks, which are gone, expected calibration.test's or calibration.near"
  end
  return calibration.near(x, k, self.given.truth, self.given.samples, self.given.options)
end

--- c:describe(): the test in words, within 80 columns.
function Test:describe() return verdict.describe(self) end

Test.__tostring = Test.describe
errors.methods(Test, "a test")

--- acc:finish(): the test of all galaxies that were added, as calibration.test's.
accumulator.methods.finish = test_of
errors.methods(accumulator.methods, "an accumulator", nil, { "add", "close", "finish" })

return calibration
