-- Acceptance: the photometry flow, trained on 500,000 mock galaxies, against the exact posteriors of mock
-- galaxies that it has not seen (gal.mock.posterior: importance sampling of the model, no network). Asked
-- for, over 200 galaxies: median accuracy of a classifier that tells 1,000 draws of the flow from 1,000 of
-- the reference at most .58; mean Wasserstein-1 of the marginals, less that between two halves of the
-- reference, at most .06 posterior deviations; correlation of A_V and Dn4000 within .1 of the reference's;
-- the same whitened kernel density of 2,000 draws of each, at the truth, within .1 nats in the mean;
-- I(theta; ugriz) within .15 nats. Over 5,000 galaxies: mean D_KL - Delta log p, less what the width of
-- the path makes of it, within .1 + 2 standard errors of 0. Classifiers: logistic regression on all
-- products of two properties, and the majority of the 25 nearest neighbours; whitened draws, accuracy on
-- the held-out fifth, five folds.
--
-- usage: galrun tests/acceptance/mock_photometry.lua [--out runs/acceptance/mock_photometry]
-- Goes on where it was stopped.
local gal = require "gal"
local cli = require "gal.cli"
local data = require "gal.data"
local host = require "gal.stats.host"
local linalg = require "gal.stats.linalg"
local metrics = require "gal.metrics"
local mock = require "gal.mock"
local report = dofile(arg[0]:match "^(.*)/" .. "/report.lua")

local o = cli.options {
  out = "runs/acceptance/mock_photometry", rows = 500000, epochs = 50, batch = 256, lr = 1e-3, decay = 0.999,
  sigma = 0.02, galaxies = 200, many = 5000, draws = { 20, "draws of each of the many galaxies" },
  steps = { 25, "Runge-Kutta steps" }, record = { true, "append the result to RESULTS.md" },
}

local TRAINING, VALIDATION, TEST, REFERENCE, MANY, POPULATION = 101, 102, 103, 104, 105, 106 -- seeds
local D, HALF = 5, 1000
local LABEL_ERROR = gal.tensor { .07, .15, .03, .03, .10 }
local TRUE = { "true_log_mass", "true_log_sfr", "true_oh", "true_dn4000", "true_a_v" }

-- theta {n, 5} and context {n, 5} of n galaxies of the survey `seed`.
local function galaxies(n, seed)
  local t = mock.galaxies { n = n, seed = seed }
  return { theta = report.columns(t, data.theta), context = report.columns(t, data.context), n = n }
end

local function trained()
  local train, valid = galaxies(o.rows, TRAINING), galaxies(10000, VALIDATION)
  local flow = require("gal.flow").new {
    theta = data.theta, context = data.context, sigma = o.sigma, rng = gal.rng(1),
  }
  local run = require("gal.train").fit {
    preset = "paper",
    flow = flow, theta = train.theta, context = train.context, valid = valid, epochs = o.epochs,
    batch = o.batch, lr = o.lr, decay = o.decay, patience = o.epochs, schedule = "cosine", seed = 1,
    out = o.out .. "/train", resume = true,
  }
  return run.flow
end

-- p(theta) without any choice: the labels' errors, which are normal, around the true values of galaxies. As
-- gal.metrics wants a prior.
local function population(n)
  local truths = report.columns(mock.galaxies { n = n, seed = POPULATION }, TRUE) / LABEL_ERROR
  local unit = LABEL_ERROR:log():sum():item()
  return { log_density = function(_, points)
    local values = (gal.kde_log_density(points / LABEL_ERROR, truths, false) - unit):totable()
    return values, values
  end }
end

-- ---- telling two samples apart ----

-- Rows {n} of a sample {n, 5} as lists, whitened: L^-1 (theta - mean); w as of gal.stats.host.
local function whitened(sample, w)
  local white, n = host.whiten(w, sample)
  local rows = {}
  for i = 1, n do rows[i] = host.list(white, D, (i - 1) * D) end
  return rows
end

local function features(x)
  local f = { 1 }
  for a = 1, D do
    f[#f + 1] = x[a]
    for b = a, D do f[#f + 1] = x[a] * x[b] end
  end
  return f
end

-- Logistic regression by Newton's method (ridge 1e-3): weights for rows of features and labels 0, 1.
local function logistic(f, y)
  local n, w = #f[1], {}
  for a = 1, n do w[a] = 0 end
  for _ = 1, 6 do
    local g, h = {}, {}
    for a = 1, n do
      g[a], h[a] = -1e-3 * w[a], {}
      for b = 1, n do h[a][b] = a == b and 1e-3 or 0 end
    end
    for i = 1, #f do
      local s, row = 0, f[i]
      for a = 1, n do s = s + w[a] * row[a] end
      local p = 1 / (1 + math.exp(-s))
      local v, e = math.max(p * (1 - p), 1e-6), y[i] - p
      for a = 1, n do
        g[a] = g[a] + e * row[a]
        local ha, va = h[a], v * row[a]
        for b = 1, a do ha[b] = ha[b] + va * row[b] end
      end
    end
    for a = 1, n do for b = a + 1, n do h[a][b] = h[b][a] end end
    local step = linalg.apply(linalg.invert(h), g)
    for a = 1, n do w[a] = w[a] + step[a] end
  end
  return w
end

local function fold(i) return math.floor((i - 1) / 2) % 5 end

-- How many rows x {n} with labels y the logistic regression on the other folds tells.
local function told_by_logistic(x, y)
  local f, right = {}, 0
  for i = 1, #x do f[i] = features(x[i]) end
  for k = 0, 4 do
    local fk, yk = {}, {}
    for i = 1, #x do
      if fold(i) ~= k then fk[#fk + 1], yk[#yk + 1] = f[i], y[i] end
    end
    local w = logistic(fk, yk)
    for i = 1, #x do
      if fold(i) == k then
        local s = 0
        for j = 1, #w do s = s + w[j] * f[i][j] end
        if (s > 0) == (y[i] == 1) then right = right + 1 end
      end
    end
  end
  return right
end

local NEIGHBOURS = 25

-- How many labels y of the nearest neighbours of row i in the other folds are 1.
local function votes_of(x, y, i)
  local nearest, labels, worst = {}, {}, math.huge -- ascending
  local p1, p2, p3, p4, p5 = unpack(x[i])
  for j = 1, #x do
    if fold(j) ~= fold(i) then
      local q = x[j]
      local d = (q[1] - p1) ^ 2 + (q[2] - p2) ^ 2 + (q[3] - p3) ^ 2 + (q[4] - p4) ^ 2 + (q[5] - p5) ^ 2
      if d < worst then
        local at = math.min(#nearest + 1, NEIGHBOURS)
        while at > 1 and nearest[at - 1] > d do
          nearest[at], labels[at] = nearest[at - 1], labels[at - 1]
          at = at - 1
        end
        nearest[at], labels[at] = d, y[j]
        if #nearest == NEIGHBOURS then worst = nearest[NEIGHBOURS] end
      end
    end
  end
  local votes = 0
  for _, label in ipairs(labels) do votes = votes + label end
  return votes
end

-- Mean accuracy over five folds of both classifiers on rows a {n} and b {n}, alternating, so that folds are
-- balanced.
local function told_apart(a, b)
  local x, y = {}, {}
  for i = 1, #a do
    x[2 * i - 1], y[2 * i - 1], x[2 * i], y[2 * i] = a[i], 0, b[i], 1
  end
  local near_right = 0
  for i = 1, #x do
    if (votes_of(x, y, i) > NEIGHBOURS / 2) == (y[i] == 1) then near_right = near_right + 1 end
  end
  return told_by_logistic(x, y) / #x, near_right / #x
end

local function correlation(c, i, j) return c[i][j] / math.sqrt(c[i][i] * c[j][j]) end

-- ---- the run ----

local flow = trained()
local test = galaxies(o.galaxies, TEST)
local reference = require("gal.mock.posterior").run {
  magnitudes = test.context, theta = test.theta, out = o.out .. "/reference", ess = 3000,
  samples = 2 * HALF, seed = REFERENCE,
}
local prior = population(100000)
local ess = metrics.quantile(reference.ess, { 0, 0.5 })
print(("reference: effective sample sizes from %.0f, median %.0f, of %.3g galaxies drawn; samples lack "
  .. "%.2f %% of the weight in the median"):format(ess[1], ess[2], reference.draws:sum():item(),
  100 * metrics.quantile(reference.cut, .5)))

local drawn = flow:sample(test.context, { n = 2 * HALF, steps = o.steps, rng = gal.rng(1) })
local log_q = flow:log_prob(test.theta, test.context, { steps = 2 * o.steps }):totable()
local log_p = reference.log_prob:totable()
local population_log_p = prior:log_density(test.theta)
local covariances, means = reference.covariance:totable(), reference.mean:totable()
local scale = flow.scale
local std = scale.theta_std:totable()
local standard_theta = (galaxies(20000, VALIDATION).theta - scale.theta_mean) / scale.theta_std
local prior_covariance = select(2, linalg.covariance(standard_theta:totable()))
local accuracy, halves, near, near_halves = {}, {}, {}, {}
local distances, correlations, kernels, informed, exact_informed, path = {}, {}, {}, {}, {}, {}
local line = require "gal.base.progress" { total = o.galaxies, label = "comparing", unit = "galaxies" }
for k = 1, o.galaxies do
  local c, ours, theirs = covariances[k], drawn[k], reference.samples[k]
  local inverse = linalg.invert_lower((linalg.cholesky(c)))
  local first, second = theirs:narrow(1, 1, HALF), theirs:narrow(1, HALF + 1, HALF)
  local some = ours:narrow(1, 1, HALF)
  local w = { d = D, mean = means[k], inverse = inverse }
  local x, a, b = whitened(some, w), whitened(first, w), whitened(second, w)
  accuracy[k], near[k] = told_apart(x, a)
  halves[k], near_halves[k] = told_apart(a, b)
  distances[k] = 0
  for i = 1, D do
    local from = first:select(2, i)
    local own = metrics.wasserstein(some:select(2, i), from)
    local chance = metrics.wasserstein(second:select(2, i), from)
    distances[k] = distances[k] + (own - chance) / math.sqrt(c[i][i]) / D
  end
  local _, covariance = linalg.covariance(ours:totable())
  correlations[k] = correlation(covariance, 4, 5) - correlation(c, 4, 5)
  -- Both by the reference's covariance and Scott's (1992) width for 2,000 draws in five dimensions.
  local narrow = gal.tensor(linalg.transpose(inverse)) * (2 * HALF) ^ (1 / (D + 4))
  local truth = test.theta:narrow(1, k, 1):matmul(narrow)
  local function kernel_density(draws) return gal.kde_log_density(truth, draws:matmul(narrow), false) end
  kernels[k] = (kernel_density(ours) - kernel_density(theirs)):item()
  informed[k], exact_informed[k] = log_q[k] - population_log_p[k], log_p[k] - population_log_p[k]
  local standard = {}
  for i = 1, D do
    standard[i] = {}
    for j = 1, D do standard[i][j] = c[i][j] / std[i] / std[j] end
  end
  path[k] = metrics.path_excess(standard, prior_covariance, o.sigma)
  line:update { done = k }
end
line:finish()

local many = galaxies(o.many, MANY)
local line_many = require "gal.base.progress" { total = o.many, label = "D_KL", unit = "galaxies" }
local information = metrics.information(flow, many.theta, many.context, prior, {
  n = o.draws, steps = o.steps, progress = function(done) line_many:update { done = done } end,
})
line_many:finish()
local excess = {}
for k = 1, o.many do excess[k] = information.d_kl[k] - information.delta_log_p[k] end
local excess_mean, _, excess_error = metrics.moments(excess)

local function mean(list) return (metrics.moments(list)) end
local function median(list) return metrics.quantile(list, 0.5) end
local absolute = {}
for k = 1, o.galaxies do absolute[k] = math.abs(correlations[k]) end
local term = mean(path)
print(("classifiers between two halves of the reference: %.3f logistic, %.3f neighbours"):format(
  median(halves), median(near_halves)))
print(("I(theta; ugriz) on %d galaxies: flow %.3f, reference %.3f nats; on %d: flow %.3f"):format(o.galaxies,
  mean(informed), mean(exact_informed), o.many, mean(information.delta_log_p)))
print(("D_KL - Delta log p on %d galaxies: %.4f +- %.4f nats, of which the path's width %.4f; correlations "
  .. "of A_V and Dn4000 differ by %.3f in the mean; kernel densities by %.3f"):format(o.many, excess_mean,
  excess_error, term, mean(correlations), mean(kernels)))
local verdict = report.new("mock_photometry", o.record)
verdict:bar("least effective sample size, short of 3,000 by", math.max(0, 3000 - ess[1]), 0)
verdict:bar("median accuracy, logistic on products", median(accuracy), 0.58)
verdict:bar("median accuracy, 25 neighbours", median(near), 0.58)
verdict:bar("mean W1 less the halves', deviations", mean(distances), 0.06)
verdict:bar("mean |difference of the correlation of A_V and Dn4000|", mean(absolute), 0.1)
verdict:bar("|difference of kernel densities at the truth|, nats", math.abs(mean(kernels)), 0.1)
verdict:bar("|difference of I|, nats", math.abs(mean(informed) - mean(exact_informed)), 0.15)
verdict:bar("|D_KL - Delta log p - path|, nats", math.abs(excess_mean - term), 0.1 + 2 * excess_error)
verdict:finish()
