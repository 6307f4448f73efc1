-- How good a set of posteriors is: what they gain over the prior at the truth (Delta log p), how far they
-- move from it (D_KL), whether the two agree, as they must for calibrated posteriors, and whether the
-- population comes out right (Wasserstein-1, coverage). Formulas: Yunus, Wu & Holwerda 2025, section 3.
--
-- One-dimensional statistics take Lua tables of numbers or tensors, and give numbers. N galaxies, n draws of
-- each, d properties.

local core = require "gal.tensor"
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local linalg = require "gal.stats.linalg"
local options_of = require "gal.base.options"
local sets = require "gal.images"
local text = require "gal.base.text"

local raise, integer, number = errors.raise, options_of.integer, options_of.number

local metrics = {}

-- The elements of x, a tensor of any shape, ascending in an array that counts from 0, and their number.
-- where: the function whose argument they are; no values, or a NaN among them, is an error.
local function pooled_sorted(x, where)
  local result, n = host.sorted(x)
  if n == 0 then raise("%s: there are no values", where) end
  if result[n - 1] ~= result[n - 1] then raise("%s: a value is NaN, expected numbers", where) end
  return result, n
end

-- The same of one sample, a list or a tensor {n}. name: of the argument.
local function sorted(values, where, name)
  local found, n = host.numbers(where, name, values)
  if n == 0 then raise("%s: there are no values", where) end
  if core.is_tensor(values) then return pooled_sorted(values, where) end
  local copy = {}
  for i = 1, n do
    if found[i - 1] ~= found[i - 1] then raise("%s: value %d is NaN, expected numbers", where, i) end
    copy[i] = found[i - 1]
  end
  table.sort(copy)
  return host.read(copy)
end

--- metrics.quantile(values, q): the q-quantile of values, a list of numbers or a tensor {n}, or a table of
-- them for a table q: linear between order statistics at position q (n - 1), Hyndman & Fan's (1996) type 7.
-- Of draws {n, d} there are d: draws:t():quantiles(levels) has them.
function metrics.quantile(values, q)
  local levels, result = type(q) == "number" and { q } or q, {}
  errors.list("quantile", "q", levels, "a number from 0 to 1, or a list of them")
  for i = 1, #levels do errors.number("quantile", "q", levels[i], 0, 1) end
  if core.is_tensor(values) and values:count() > 0 then
    local hint = "; x:quantiles(levels) are those of each row"
    if #values.shape ~= 1 then host.numbers("quantile", "values", values, hint) end
    result = values:quantiles(levels):totable()
    if result[1] ~= result[1] then raise "quantile: a value is NaN, expected numbers" end
  else
    local s, n = sorted(values, "quantile", "values")
    for i = 1, #levels do result[i] = host.quantile(s, n, levels[i]) end
  end
  return type(q) == "number" and result[1] or result
end

-- The integral of |F_x - F_y| for ascending x {n} and y {m}, arrays from 0.
local function distance(x, n, y, m)
  local i, j, sum, last = 0, 0, 0, math.min(x[0], y[0])
  while i < n or j < m do
    local value = j >= m and x[i] or i >= n and y[j] or math.min(x[i], y[j])
    sum = sum + math.abs(i / n - j / m) * (value - last)
    last = value
    while i < n and x[i] == value do i = i + 1 end
    while j < m and y[j] == value do j = j + 1 end
  end
  return sum
end

--- metrics.wasserstein(a, b): the Wasserstein-1 distance between two samples of any lengths, lists of numbers
-- or tensors {n}, in the values' unit.
function metrics.wasserstein(a, b)
  local x, n = sorted(a, "wasserstein", "a")
  local y, m = sorted(b, "wasserstein", "b")
  return distance(x, n, y, m)
end

--- metrics.moments(values): mean, standard deviation (divided by N) and standard error of the mean of a list
-- of numbers or a tensor {N}.
function metrics.moments(values)
  local hint = "; x:mean(dim) and x:std(dim) are those along a dimension"
  local v, n = host.numbers("moments", "values", values, hint)
  if n == 0 then raise("moments: there are no values") end
  local sum, squares = 0, 0
  for i = 0, n - 1 do sum = sum + v[i] end
  for i = 0, n - 1 do squares = squares + (v[i] - sum / n) ^ 2 end
  return sum / n, math.sqrt(squares / n), n > 1 and math.sqrt(squares / (n - 1) / n) or math.huge
end

--- metrics.bootstrap(values[, {resamples = 2000, level = .95, seed = 1}]): the mean with a bootstrap interval
-- (Efron 1979, percentiles): galaxies are drawn anew with replacement `resamples` times. Returns {mean, low,
-- high, deviation, n}.
function metrics.bootstrap(values, options)
  options = options_of.known("bootstrap", options, { "resamples", "level", "seed" })
  local v, n = host.numbers("bootstrap", "values", values)
  if n == 0 then raise "bootstrap: there are no values" end
  local mean, deviation = metrics.moments(values)
  local level, means = number("bootstrap", options, "level", 0.95, 0, 1), {}
  local rng = gal.rng(integer("bootstrap", options, "seed", 1, -2 ^ 53, 2 ^ 53))
  for r = 1, integer("bootstrap", options, "resamples", 2000, 1, 1e6) do
    errors.poll()
    local u, sum = host.read(gal.rand({ n }, { rng = rng, device = "cpu" })), 0
    for i = 0, n - 1 do sum = sum + v[math.floor(u[i] * n)] end
    means[r] = sum / n
  end
  local interval = metrics.quantile(means, { (1 - level) / 2, (1 + level) / 2 })
  return { mean = mean, low = interval[1], high = interval[2], deviation = deviation, n = n }
end

-- The context of galaxies first … first + size - 1.
local function narrowed(x, first, size)
  if core.is_tensor(x) then return x:narrow(1, first, size) end
  return { x[1] and x[1]:narrow(1, first, size), sets.batch(x[2], first, size) }
end

-- Adds the D_KL of galaxies first, first + 1, … to the result: the means over their draws {k, n, d} of log_q
-- {k, n} less ln of the prior.
local function add_divergences(result, first, draws, log_q, prior)
  local k, n, d = draws:size(1), draws:size(2), draws:size(3)
  local log_p, log_p_mixture = prior:log_density(draws:reshape{ k * n, d })
  local q = host.read(log_q)
  for galaxy = 0, k - 1 do
    local kernel, mixed = 0, 0
    for i = galaxy * n, (galaxy + 1) * n - 1 do
      kernel = kernel + q[i] - log_p[i + 1]
      mixed = mixed + q[i] - log_p_mixture[i + 1]
    end
    result.d_kl[first + galaxy], result.d_kl_mixture[first + galaxy] = kernel / n, mixed / n
  end
end

-- The scores of `information` at the truth theta, and the report of steps = "auto", or nil.
local function at_truth(flow, theta, context, prior, options)
  local log_q, report = flow:log_prob(theta, context, {
    steps = options.steps, tolerance = options.tolerance, progress = false, told = false,
  })
  local result = {
    log_q = log_q:totable(), delta_log_p = {}, d_kl = {}, delta_log_p_mixture = {}, d_kl_mixture = {},
  }
  result.log_p, result.log_p_mixture = prior:log_density(theta)
  for k, q in ipairs(result.log_q) do
    result.delta_log_p[k] = q - result.log_p[k]
    result.delta_log_p_mixture[k] = q - result.log_p_mixture[k]
  end
  return result, report
end

local INFORMATION = { "n", "steps", "tolerance", "seed", "rows", "progress" }

local ALL = {
  "log_q", "log_p", "log_p_mixture", "delta_log_p", "d_kl", "delta_log_p_mixture", "d_kl_mixture",
}

-- Lists in `left_out` the galaxies of which a score is no finite number, or whose draws are lost (host.lost);
-- their scores become NaN.
local function leave_out(result, scale)
  local lost = {}
  for _, k in ipairs(host.lost(result.samples:mean(2), scale)) do lost[k] = true end
  result.left_out = {}
  for k = 1, #result.log_q do
    for _, name in ipairs(ALL) do lost[k] = lost[k] or result[name][k] - result[name][k] ~= 0 end
    if lost[k] or host.improbable(result.log_q[k]) then
      table.insert(result.left_out, k)
      for _, name in ipairs(ALL) do result[name][k] = 0 / 0 end
    end
  end
end

--- metrics.information(flow, theta, context, prior, options): scores posteriors at the truth and over their
-- own draws, galaxy by galaxy. flow: anything with log_prob and sample_and_log_prob as in gal.flow. theta
-- {N, d}; context {N, c}, or {context or nil, images} for a flow with an encoder; prior as in
-- gal.stats.prior. options: n (200 draws a galaxy), steps (100, or "auto"), tolerance (of "auto"), seed
-- (0), rows (5,000 draws are in memory at once), progress (a function of the galaxies done and N). Returns
-- lists {N}: log_q, log_p and log_p_mixture at the truth; delta_log_p and d_kl by the kernel estimate of
-- the prior, delta_log_p_mixture and d_kl_mixture by the mixture; the draws, samples {N, n, d}, on the CPU;
-- left_out, a list of the galaxies that have no scores, because a density or a draw is no number or too far
-- away for single precision: theirs are NaN; with steps = "auto" evaluations (of the net, a draw), tolerance,
-- and flagged, a list of the galaxies whose density or draws are not within the tolerance. A galaxy's draws
-- are the same whatever its neighbours.
function metrics.information(flow, theta, context, prior, options)
  options = options_of.known("information", options, INFORMATION)
  errors.object("information", "flow", flow, { "log_prob", "sample_and_log_prob" }, "a flow (gal.flow)")
  errors.object("information", "prior", prior, { "log_density" }, "a prior (gal.stats.prior)")
  local n, count = integer("information", options, "n", 200, 1), host.matrix("information", "theta", theta)
  integer("information", options, "rows", nil, 1)
  integer("information", options, "seed", nil, -2 ^ 53, 2 ^ 53)
  if options.progress then
    errors.callable("information", "progress", options.progress, "a function of the galaxies done and N")
  end
  local result, report = at_truth(flow, theta, context, prior, options)
  local beyond, evaluations = {}, 0
  for _, k in ipairs(report and report.flagged or {}) do beyond[k] = true end
  local together, parts = math.max(1, math.floor((options.rows or 5000) / n)), {}
  for first = 1, count, together do
    local size = math.min(together, count - first + 1)
    -- The same generator for every part: the streams are the galaxies', so that the parts' sizes don't show
    -- in the draws.
    local draws, log_q, own = flow:sample_and_log_prob(narrowed(context, first, size), {
      n = n, steps = options.steps, tolerance = options.tolerance, rng = gal.rng(options.seed or 0),
      progress = false, told = false,
    })
    for _, k in ipairs(own and own.flagged or {}) do beyond[first + k - 1] = true end
    evaluations = evaluations + (own and own.evaluations or 0) * size / count
    draws = draws:to "cpu"
    add_divergences(result, first, draws, log_q, prior)
    parts[#parts + 1] = draws
    if options.progress then options.progress(first + size - 1, count) end
  end
  result.samples = #parts == 1 and parts[1] or gal.cat(parts, 1)
  leave_out(result, flow.scale)
  if report then
    result.evaluations, result.tolerance, result.flagged = evaluations, report.tolerance, {}
    for k = 1, count do
      if beyond[k] then table.insert(result.flagged, k) end
    end
  end
  return result
end

local SCORES = { "delta_log_p", "d_kl", "delta_log_p_mixture", "d_kl_mixture", "log_q" }

--- metrics.summary(information, options): means over galaxies of what metrics.information found, with
-- bootstrap intervals: delta_log_p, d_kl, log_q, and excess = D_KL - Delta log p, which is 0 when
-- calibrated, positive for posteriors that are too narrow, off, or wider than the prior, negative for
-- somewhat too wide ones, and 0 too for a flow that only knows the prior. All but log_q have `systematic`,
-- the mean under the mixture less that under the kernels. options as in metrics.bootstrap. Galaxies that
-- are left out do not count: n says over how many a mean is.
function metrics.summary(information, options)
  host.scores("summary", "information", information, SCORES)
  local others = host.others("summary", #information.log_q, information.left_out)
  local function scores(name) return host.pick(information[name], others) end
  local d_kl, d_kl_mixture = scores "d_kl", scores "d_kl_mixture"
  local gain, gain_mixture = scores "delta_log_p", scores "delta_log_p_mixture"
  local excess, excess_mixture = {}, {}
  for k = 1, #d_kl do
    excess[k], excess_mixture[k] = d_kl[k] - gain[k], d_kl_mixture[k] - gain_mixture[k]
  end
  local function entry(kernel, mixture)
    local result = metrics.bootstrap(kernel, options)
    result.systematic = metrics.moments(mixture) - result.mean
    return result
  end
  return {
    delta_log_p = entry(gain, gain_mixture), d_kl = entry(d_kl, d_kl_mixture),
    excess = entry(excess, excess_mixture), log_q = metrics.bootstrap(scores "log_q", options),
  }
end

--- metrics.table(summary): what metrics.summary found, as the text of a table, in nats.
function metrics.table(summary)
  errors.list("table", "summary", summary, "what metrics.summary returns")
  local rows = {}
  for i, entry in ipairs{
    { "Delta log p", "delta_log_p" }, { "D_KL", "d_kl" }, { "D_KL - Delta log p", "excess" },
    { "log q", "log_q" },
  } do
    local field = "summary." .. entry[2]
    local s = errors.list("table", field, summary[entry[2]], "what metrics.bootstrap returns")
    for _, name in ipairs{ "mean", "low", "high", "deviation" } do
      errors.number("table", field .. "." .. name, s[name])
    end
    rows[i] = {
      entry[1], ("%.3f"):format(s.mean), ("%.3f to %.3f"):format(s.low, s.high), ("%.3f"):format(s.deviation),
      s.systematic and ("%+.3f"):format(s.systematic) or "",
    }
  end
  return text.table(rows, { "", "mean", "interval", "scatter", "systematic" })
end

--- metrics.wasserstein_table(truth, samples, scale[, left_out]): Wasserstein-1 of each property between the
-- truth {N, d} and (a) the posterior means, (b) all draws {N, n, d} pooled. Even perfect posteriors have (a)
-- > 0, as means shrink; (b) is 0 for calibrated ones but for the finite N: `chance` is what (b) would be,
-- median and 95th percentile, were the truth one of each galaxy's own draws. scale {d}: the deviations that
-- standardised values are in units of. left_out: a list of galaxies that do not count. Returns a list {d} of
-- {means, pooled, chance, chance_high, means_standardised, pooled_standardised}.
function metrics.wasserstein_table(truth, samples, scale, left_out)
  local count, d = host.matrix("wasserstein_table", "truth", truth)
  local n = host.draws("wasserstein_table", "samples", samples, count, d)
  local _, scales = host.numbers("wasserstein_table", "scale", scale)
  if scales ~= d then raise("wasserstein_table: scale has %d numbers, expected %d", scales, d) end
  local others = host.others("wasserstein_table", count, left_out)
  truth, samples = host.pick(truth:to "cpu", others), host.pick(samples:to "cpu", others)
  count = others and #others or count
  scale = core.is_tensor(scale) and scale:totable() or scale
  local means, result = samples:mean(2), {}
  for i = 1, d do
    local draws = samples:select(3, i)
    local own = pooled_sorted(truth:select(2, i), "wasserstein_table")
    local pooled, all = pooled_sorted(draws, "wasserstein_table")
    local chance = {}
    for r = 1, math.min(n, 100) do
      local one = pooled_sorted(draws:select(2, r), "wasserstein_table")
      chance[r] = distance(one, count, pooled, all)
    end
    local entry = {
      means = metrics.wasserstein(truth:select(2, i), means:select(2, i)),
      pooled = distance(own, count, pooled, all),
    }
    entry.chance, entry.chance_high = unpack(metrics.quantile(chance, { 0.5, 0.95 }))
    entry.means_standardised, entry.pooled_standardised = entry.means / scale[i], entry.pooled / scale[i]
    result[i] = entry
  end
  return result
end

--- metrics.coverage(truth, samples, level[, left_out]): the fraction of galaxies whose true value lies in
-- the central interval of `level` of its draws: a list {d}. truth {N, d}, samples {N, n, d}; raises where n
-- is so small that not even the two outermost of the n + 1 ranks are outside it. left_out: a list of
-- galaxies that do not count.
function metrics.coverage(truth, samples, level, left_out)
  local n, d, count = host.draws("coverage", "samples", samples)
  core.live(truth, "coverage", "truth")
  errors.number("coverage", "level", level, 0, 1)
  local least = math.ceil(2 / (1 - level) - 1e-9) - 1
  if n < least then
    raise("coverage: samples has %d draws of each galaxy, expected at least %d for the central %g %%", n,
      least, 100 * level)
  end
  if not core.same_shape(truth, samples:select(2, 1)) then
    raise("coverage: truth is %s, expected {%d, %d} like samples {N, n, d}", core.shape_text(truth), count, d)
  end
  local others = host.others("coverage", count, left_out)
  truth, samples, count = host.pick(truth, others), host.pick(samples, others), others and #others or count
  local true_values, result = host.read(truth), {}
  for i = 1, d do
    local draws, inside = host.read(samples:select(3, i)), 0
    for k = 0, count - 1 do
      local below, value = 0, true_values[k * d + i - 1]
      for r = k * n, (k + 1) * n - 1 do
        if draws[r] < value then below = below + 1 end
      end
      -- Of n + 1 equally probable ranks 0 … n the middle ones: position (below + 1/2) / (n + 1) has the same
      -- distribution for any calibrated posterior.
      if math.abs((below + 0.5) / (n + 1) - 0.5) <= level / 2 then inside = inside + 1 end
    end
    result[i] = inside / count
  end
  return result
end

local DISTANCES = { "means", "means_standardised", "pooled", "pooled_standardised", "chance", "chance_high" }

--- metrics.population_table(names, distances, coverage): one row a property: what metrics.wasserstein_table
-- found, and the list `coverage` of metrics.coverage at the levels .68 and .95, as the text of a table.
function metrics.population_table(names, distances, coverage)
  local rows, where = {}, "population_table"
  errors.list(where, "names", names, "a list of names")
  errors.list(where, "distances", distances, "what metrics.wasserstein_table returns")
  errors.list(where, "coverage", coverage, "two lists of metrics.coverage's")
  for i, name in ipairs(names) do
    local d = errors.list(where, ("distances[%d]"):format(i), distances[i], "what wasserstein_table returns")
    for _, field in ipairs(DISTANCES) do
      errors.number(where, ("distances[%d].%s"):format(i, field), d[field])
    end
    for level = 1, 2 do
      local inside = errors.list(where, ("coverage[%d]"):format(level), coverage[level])
      errors.number(where, ("coverage[%d][%d]"):format(level, i), inside[i])
    end
    rows[i] = {
      tostring(name), ("%.4f"):format(d.means), ("%.4f"):format(d.means_standardised),
      ("%.4f"):format(d.pooled), ("%.4f"):format(d.pooled_standardised),
      ("%.4f (%.4f)"):format(d.chance, d.chance_high), ("%.1f %%"):format(100 * coverage[1][i]),
      ("%.1f %%"):format(100 * coverage[2][i]),
    }
  end
  return text.table(rows, {
    "Wasserstein-1", "means", "in deviations", "pooled", "in deviations", "by chance (95 %)", "in 68 %",
    "in 95 %",
  })
end

--- metrics.path_excess(c {d, d}, p {d, d}, sigma): what a path of width sigma makes of D_KL - Delta log p,
-- nats, for normal posteriors of covariance c under a normal prior of covariance p, both of standardised
-- theta, as lists of rows: the flow's covariance is c' = (c + sigma^2) / (1 + sigma^2), and the mean of ln q
-- - ln p over c' less that over c is -tr(1 - c c'^-1) / 2 + tr((c' - c) p^-1) / 2.
function metrics.path_excess(c, p, sigma)
  local wide, change = {}, {}
  errors.number("path_excess", "sigma", sigma, 0)
  if not linalg.cholesky(c) then raise "path_excess: c is not positive definite" end
  if not linalg.cholesky(p) then raise "path_excess: p is not positive definite" end
  if #p ~= #c then raise("path_excess: p is %d x %d, expected %d x %d as c is", #p, #p, #c, #c) end
  for i = 1, #c do
    wide[i], change[i] = {}, {}
    for j = 1, #c do
      wide[i][j] = (c[i][j] + (i == j and sigma ^ 2 or 0)) / (1 + sigma ^ 2)
      change[i][j] = wide[i][j] - c[i][j]
    end
  end
  local shrunk, moved = linalg.product(c, linalg.invert(wide)), linalg.product(change, linalg.invert(p))
  local sum = 0
  for i = 1, #c do sum = sum - 0.5 * (1 - shrunk[i][i]) + 0.5 * moved[i][i] end
  return sum
end

return metrics
