-- metrics/information: what posteriors gain over the prior at the truth (Delta log p), how far they move from
-- it (D_KL), and the difference of the two, split by what it comes from. Formulas: Yunus, Wu & Holwerda 2025,
-- section 3.
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local linalg = require "gal.stats.linalg"
local options_of = require "gal.base.options"
local sample = require "gal.metrics.sample"
local sets = require "gal.images"
local text = require "gal.base.text"
local raise, integer = errors.raise, options_of.integer

local information = {}

-- Raises unless the context is one of count galaxies: {count, c}, or {that or nil, images}.
local function check_context(context, count)
  local seen = context
  if not core.is_tensor(context) then
    seen = errors.list("information", "context", context, "a tensor {N, c}, or {it or nil, images}")[1]
    if type(context[2]) == "nil" or type(seen) ~= "nil" and not core.is_tensor(seen) then
      raise("information: context is a list that begins with %s, expected {a tensor {N, c} or nil, images}",
        errors.kind(seen))
    end
  end
  if core.is_tensor(seen) and core.live(seen, "information", "context"):size(1) ~= count then
    raise("information: context has %d rows, expected %d as theta", seen:size(1), count)
  end
end

-- The context of galaxies first … first + size - 1.
local function narrowed(x, first, size)
  if core.is_tensor(x) then return x:narrow(1, first, size) end
  return { x[1] and x[1]:narrow(1, first, size), sets.batch(x[2], first, size) }
end

-- Adds what the draws {k, n, d} of galaxies first, first + 1, … tell, log_q {k, n} their densities: D_KL, the
-- mean over them of log_q less ln of the prior; sharpness, the mean of log_q less that at the truth; and how
-- many lie below `lowest` of the prior.
local function add_draws(result, first, draws, log_q, prior)
  local k, n, d = draws:size(1), draws:size(2), draws:size(3)
  local log_p, log_p_mixture = prior:log_density(draws:reshape{ k * n, d })
  local q, lowest = host.read(log_q), result.lowest or -math.huge
  for galaxy = 0, k - 1 do
    local kernel, mixed, sum = 0, 0, 0
    for i = galaxy * n, (galaxy + 1) * n - 1 do
      sum = sum + q[i]
      kernel = kernel + q[i] - log_p[i + 1]
      mixed = mixed + q[i] - log_p_mixture[i + 1]
      if log_p[i + 1] < lowest then result.beyond = result.beyond + 1 / n end
    end
    local at = first + galaxy
    result.d_kl[at], result.d_kl_mixture[at] = kernel / n, mixed / n
    result.sharpness[at] = sum / n - result.log_q[at]
  end
end

-- The scores at the truth theta {N, d} of posteriors whose ln densities there are log_q {N}.
local function at_truth(log_q, theta, prior)
  local result = {
    log_q = log_q:totable(), delta_log_p = {}, d_kl = {}, delta_log_p_mixture = {}, d_kl_mixture = {},
    sharpness = {}, beyond = 0, lowest = prior.lowest and prior:lowest() or nil,
  }
  result.log_p, result.log_p_mixture = prior:log_density(theta)
  for k, q in ipairs(result.log_q) do
    result.delta_log_p[k] = q - result.log_p[k]
    result.delta_log_p_mixture[k] = q - result.log_p_mixture[k]
  end
  return result
end

local INFORMATION = { "n", "steps", "tolerance", "seed", "rows", "progress" }

local ALL = {
  "log_q", "log_p", "log_p_mixture", "delta_log_p", "d_kl", "delta_log_p_mixture", "d_kl_mixture",
  "sharpness",
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

-- The galaxies' scores are complete, their draws are `samples` with these densities: leaves out those
-- without.
local function finish(result, samples, densities, scale)
  result.samples, result.log_q_draws = samples, densities
  result.beyond = result.beyond / #result.log_q
  leave_out(result, scale)
  return result
end

-- A galaxy's share of the draws that are worked on at once.
local function together(rows, n) return math.max(1, math.floor((rows or 5000) / n)) end

--- metrics.scores(theta, drawn, prior[, options]): the scores of posteriors that are drawn: theta {N, d}, the
-- truth; drawn {samples {N, n, d}, log_q {N, n}, the ln densities of the draws, log_q_true {N}, those of the
-- truth}, tensors; prior as in gal.stats.prior. options: scale (the flow's, to tell draws that are lost),
-- rows (5,000 draws are worked on at once), progress (a function of the galaxies done and N). Returns lists
-- {N}: log_q, log_p and log_p_mixture at the truth; delta_log_p and d_kl by the kernel estimate of the
-- prior, delta_log_p_mixture and d_kl_mixture by the mixture; sharpness, the mean of ln q over the draws
-- less ln q at the truth, in which there is no prior; samples and log_q_draws, what was drawn; left_out, a
-- list of the galaxies that have no scores, because a density or a draw is no number or too far away for
-- single precision: theirs are NaN; and where the prior has it, `lowest`, the lowest ln p of a training row,
-- and beyond, the share of draws below it.
function information.scores(theta, drawn, prior, options)
  options = options_of.known("scores", options, { "scale", "rows", "progress" })
  local count, d = host.matrix("scores", "theta", theta)
  errors.object("scores", "prior", prior, { "log_density" }, "a prior (gal.stats.prior)")
  errors.list("scores", "drawn", drawn, "{samples =, log_q =, log_q_true =}")
  local n = host.draws("scores", "drawn.samples", drawn.samples, count, d)
  host.matrix("scores", "drawn.log_q", drawn.log_q, n)
  local _, found = host.numbers("scores", "drawn.log_q_true", drawn.log_q_true)
  if found ~= count or drawn.log_q:size(1) ~= count then
    raise("scores: drawn.log_q_true has %d values and drawn.log_q %d rows, expected %d as theta", found,
      drawn.log_q:size(1), count)
  end
  local progress, each = options.progress, together(integer("scores", options, "rows", nil, 1), n)
  if progress then
    errors.callable("scores", "progress", progress, "a function of the galaxies done and N")
  end
  local truth = drawn.log_q_true
  local result = at_truth(core.is_tensor(truth) and truth or gal.tensor(truth, { count }), theta, prior)
  for first = 1, count, each do
    local size = math.min(each, count - first + 1)
    errors.poll()
    add_draws(result, first, drawn.samples:narrow(1, first, size), drawn.log_q:narrow(1, first, size), prior)
    if progress then progress(first + size - 1, count) end
  end
  return finish(result, drawn.samples:to "cpu", drawn.log_q:to "cpu", options.scale)
end

--- metrics.information(flow, theta, context, prior, options): draws from posteriors and gives metrics.scores
-- of them. flow: anything with log_prob and sample_and_log_prob as in gal.flow; with streams, as flows have,
-- galaxies that are shown alike have draws of their own. theta {N, d}; context {N, c}, or {context or nil,
-- images} for a flow with an encoder; prior as in gal.stats.prior. options: n (200 draws a galaxy), steps
-- (100, or "auto"), tolerance (of "auto"), seed (0), rows (5,000 draws are in memory at once), progress (a
-- function of the galaxies done and N). Beside metrics.scores' fields, with steps = "auto", evaluations (of
-- the net, a draw), tolerance, and flagged, a list of the galaxies whose density or draws are not within the
-- tolerance. A galaxy's draws are the same whatever its neighbours.
function information.information(flow, theta, context, prior, options)
  options = options_of.known("information", options, INFORMATION)
  errors.object("information", "flow", flow, { "log_prob", "sample_and_log_prob" }, "a flow (gal.flow)")
  errors.object("information", "prior", prior, { "log_density" }, "a prior (gal.stats.prior)")
  local n, count = integer("information", options, "n", 200, 1), host.matrix("information", "theta", theta)
  check_context(context, count)
  integer("information", options, "rows", nil, 1)
  integer("information", options, "seed", nil, -2 ^ 53, 2 ^ 53)
  if options.progress then
    errors.callable("information", "progress", options.progress, "a function of the galaxies done and N")
  end
  local log_q, report = flow:log_prob(theta, context, {
    steps = options.steps, tolerance = options.tolerance, progress = false, told = false,
  })
  local result = at_truth(log_q, theta, prior)
  local beyond, evaluations, each, parts, known = {}, 0, together(options.rows, n), {}, {}
  for _, k in ipairs(report and report.flagged or {}) do beyond[k] = true end
  -- The same generator for every part and the streams of all galaxies, so that the parts' sizes don't show in
  -- the draws, and galaxies that are shown alike have draws of their own in whatever part.
  local streams = flow.streams and flow:streams(context) or nil
  for first = 1, count, each do
    local size = math.min(each, count - first + 1)
    local draws, densities, own = flow:sample_and_log_prob(narrowed(context, first, size), {
      n = n, steps = options.steps, tolerance = options.tolerance, rng = gal.rng(options.seed or 0),
      streams = streams and streams:narrow(1, first, size), progress = false, told = false,
    })
    for _, k in ipairs(own and own.flagged or {}) do beyond[first + k - 1] = true end
    evaluations = evaluations + (own and own.evaluations or 0) * size / count
    draws, densities = draws:to "cpu", densities:to "cpu"
    add_draws(result, first, draws, densities, prior)
    parts[#parts + 1], known[#known + 1] = draws, densities
    if options.progress then options.progress(first + size - 1, count) end
  end
  local function joined(list) return #list == 1 and list[1] or gal.cat(list, 1) end
  finish(result, joined(parts), joined(known), flow.scale)
  if report then
    result.evaluations, result.tolerance, result.flagged = evaluations, report.tolerance, {}
    for k = 1, count do
      if beyond[k] then table.insert(result.flagged, k) end
    end
  end
  return result
end

local SCORES = { "delta_log_p", "d_kl", "delta_log_p_mixture", "d_kl_mixture", "log_q" }

--- metrics.blind: what D_KL - Delta log p can't see, in a sentence.
information.blind = "D_KL - Delta log p is no verdict on calibration: it is 0 as well for posteriors that "
  .. "are off but wide enough for it, for the prior given back as posterior, and for posteriors that ignore "
  .. "an input."

-- a - b of two lists.
local function less(a, b)
  local list = {}
  for k = 1, #a do list[k] = a[k] - b[k] end
  return list
end

--- metrics.summary(scores, options): means over galaxies of what metrics.scores or metrics.information found,
-- with bootstrap intervals: delta_log_p, d_kl, log_q, and excess = D_KL - Delta log p, which is 0 when
-- calibrated, positive for posteriors that are too narrow, off, or wider than the prior, negative for
-- somewhat too wide ones, and 0 too in the cases that metrics.blind names. It is the sum of sharpness, the
-- mean of ln q over the draws less ln q at the truth, which the posteriors alone make, and of population, ln
-- p of the truth less its mean over the draws: whether the pooled draws lie where the galaxies do. Those
-- with a prior in them have `systematic`, the mean under the mixture less that under the kernels. options as
-- in metrics.bootstrap. Galaxies that are left out do not count: n says over how many a mean is.
function information.summary(scores, options)
  host.scores("summary", "scores", scores, SCORES)
  local others = host.others("summary", #scores.log_q, scores.left_out)
  local function of(name) return host.pick(scores[name], others) end
  local gain, gain_mixture = of "delta_log_p", of "delta_log_p_mixture"
  local excess, excess_mixture = less(of "d_kl", gain), less(of "d_kl_mixture", gain_mixture)
  local function entry(kernel, mixture)
    local result = sample.bootstrap(kernel, options)
    result.systematic = sample.moments(mixture) - result.mean
    return result
  end
  local summary = {
    delta_log_p = entry(gain, gain_mixture), d_kl = entry(of "d_kl", of "d_kl_mixture"),
    excess = entry(excess, excess_mixture), log_q = sample.bootstrap(of "log_q", options),
  }
  if scores.sharpness then
    host.scores("summary", "scores", scores, { "log_q", "sharpness" })
    local sharpness = of "sharpness"
    summary.sharpness = sample.bootstrap(sharpness, options)
    summary.population = entry(less(excess, sharpness), less(excess_mixture, sharpness))
  end
  return summary
end

local ROWS = {
  { "Delta log p", "delta_log_p" }, { "D_KL", "d_kl" }, { "D_KL - Delta log p", "excess" },
  { "  of densities", "sharpness", optional = true }, { "  of population", "population", optional = true },
  { "log q", "log_q" },
}

--- information.rows(summary): the rows and the headers of metrics.table.
function information.rows(summary)
  errors.list("table", "summary", summary, "what metrics.summary returns")
  local rows = {}
  local function add(label, field, s)
    for _, name in ipairs{ "mean", "low", "high", "deviation" } do
      errors.number("table", field .. "." .. name, s[name])
    end
    rows[#rows + 1] = {
      label, ("%.3f"):format(s.mean), ("%.3f to %.3f"):format(s.low, s.high), ("%.3f"):format(s.deviation),
      s.systematic and ("%+.3f"):format(s.systematic) or "",
    }
  end
  for _, entry in ipairs(ROWS) do
    local field, found = "summary." .. entry[2], summary[entry[2]]
    if found ~= nil or not entry.optional then
      add(entry[1], field, errors.list("table", field, found, "what metrics.bootstrap returns"))
    end
  end
  return rows, { "nats", "mean", "95 % interval", "scatter", "systematic" }
end

--- metrics.table(summary): what metrics.summary found, as the text of a table, in nats.
function information.table(summary) return text.table(information.rows(summary)) end

--- metrics.path_excess(c {d, d}, p {d, d}, sigma): what a path of width sigma makes of D_KL - Delta log p,
-- nats, for normal posteriors of covariance c under a normal prior of covariance p, both of standardised
-- theta, as lists of rows: the flow's covariance is c' = (c + sigma^2) / (1 + sigma^2), and the mean of ln q
-- - ln p over c' less that over c is -tr(1 - c c'^-1) / 2 + tr((c' - c) p^-1) / 2.
function information.path_excess(c, p, sigma)
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

return information
