-- metrics/properties: one property at a time, from its draws: how far the posterior means are off, how good
-- its whole distribution is (CRPS), how often the truth lies beyond all draws, and how much is told of it
-- (mutual information); and the loss of the joint densities.
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local kde = require "gal.stats.kde"
local options_of = require "gal.base.options"
local sample = require "gal.metrics.sample"
local text = require "gal.base.text"
local raise = errors.raise

local properties = {}

-- Checks the truth {N}, a list or a tensor, and draws {N, n} of it, a tensor. Returns the truth as an array,
-- each row of draws ascending in an array {N * n}, N and n.
local function of_one(where, truth, draws)
  local values, count = host.numbers(where, "truth", truth)
  local rows, n = host.matrix(where, "draws", draws)
  if rows ~= count then raise("%s: draws has %d rows, expected %d as truth", where, rows, count) end
  if count == 0 or n == 0 then raise("%s: there are no draws", where) end
  return values, host.read(draws:to("cpu"):sort()), count, n
end

--- metrics.crps(truth {N}, draws {N, n}): the continuous ranked probability score of each galaxy, a list {N}
-- in the property's unit: the integral of (F - [the truth is below])^2 over the property, F the posterior's
-- distribution function. Less is better; of a posterior that is one value it is the absolute error. By E|X -
-- t| - E|X - X'| / 2 with pairs of different draws (Gneiting & Raftery 2007, eq. 21; Ferro 2014), so that
-- few draws don't raise it. truth: a list or a tensor; draws: a tensor, n at least 2.
function properties.crps(truth, draws)
  local values, x, count, n = of_one("crps", truth, draws)
  if n < 2 then raise("crps: draws has 1 column, expected at least 2") end
  local list = {}
  for k = 0, count - 1 do
    local off, spread = 0, 0
    for i = 0, n - 1 do
      local v = x[k * n + i]
      off = off + math.abs(v - values[k])
      spread = spread + (2 * i + 1 - n) * v
    end
    list[k + 1] = off / n - spread / (n * (n - 1))
  end
  return list
end

--- metrics.cde_loss(log_q {N, n}, log_q_true {N}[, unit = 1]): the loss of the joint densities of each
-- galaxy, a list {N}: the integral of q^2 over theta less 2 q at the truth (Izbicki & Lee 2017, eq. 6), the
-- former as the mean of q over the draws. Less is better. Densities are in units of 1 / unit: the product of
-- the properties' deviations makes it one of standardised properties.
function properties.cde_loss(log_q, log_q_true, unit)
  local truth, count = host.numbers("cde_loss", "log_q_true", log_q_true)
  local rows, n = host.matrix("cde_loss", "log_q", log_q)
  if rows ~= count then raise("cde_loss: log_q has %d rows, expected %d as log_q_true", rows, count) end
  unit = errors.number("cde_loss", "unit", unit or 1, 0)
  local q, list = host.read(log_q), {}
  for k = 0, count - 1 do
    local sum = 0
    for i = k * n, (k + 1) * n - 1 do sum = sum + math.exp(q[i]) end
    list[k + 1] = unit * (sum / n - 2 * math.exp(truth[k]))
  end
  return list
end

-- Silverman's width of Gaussian kernels (1986, eq. 3.31) for n ascending values from `first` on, array from
-- 0; and their deviation.
local function silverman(x, n, first)
  local sum, squares = 0, 0
  for i = first, first + n - 1 do sum = sum + x[i] end
  for i = first, first + n - 1 do squares = squares + (x[i] - sum / n) ^ 2 end
  local deviation = math.sqrt(squares / n)
  local range = (host.quantile(x, n, 0.75, first) - host.quantile(x, n, 0.25, first)) / 1.349
  return 0.9 * math.min(deviation, range > 0 and range or deviation) * n ^ -0.2, deviation
end

--- metrics.mutual_information(truth {N}, draws {N, n}, training): how much more probable each galaxy's
-- posterior of one property makes its truth than the training rows do, a list {N} of nats. Its mean is a
-- lower bound on the mutual information between the property and what the posteriors were shown (Barber &
-- Agakov 2003), and equal to it for exact posteriors and many draws. training: the property's values in the
-- training rows, a list or a tensor {M}. Both densities are of Gaussian kernels (Silverman 1986, eq. 3.31),
-- and one draw in n + 1 is taken as one of the training rows, so that a truth beyond all draws costs at most
-- ln(n + 1).
function properties.mutual_information(truth, draws, training)
  local values, x, count, n = of_one("mutual_information", truth, draws)
  local known, rows = host.numbers("mutual_information", "training", training)
  if rows < 3 then raise("mutual_information: training has %d values, expected at least 3", rows) end
  local column = gal.tensor(host.list(known, rows), { rows, 1 }, { device = "cpu" })
  local width, deviation = silverman(host.sorted(column), rows, 0)
  if not (deviation > 0) then raise "mutual_information: all values of training are the same" end
  local points = gal.tensor(host.list(values, count), { count, 1 }, { device = "cpu" })
  local log_p = kde.fit(column, { h = math.max(width / deviation, 1e-5) }):log_density(points)
  local list, constant = {}, math.sqrt(2 * math.pi)
  for k = 0, count - 1 do
    local h = math.max((silverman(x, n, k * n)), 1e-6 * deviation)
    local sum, p = 0, math.exp(log_p[k + 1])
    for i = k * n, (k + 1) * n - 1 do sum = sum + math.exp(-0.5 * ((x[i] - values[k]) / h) ^ 2) end
    -- Where the truth lies so far from the training rows that p is 0, nothing can be said of it.
    list[k + 1] = p > 0 and math.log((sum / (h * constant) + p) / (n + 1)) - log_p[k + 1] or 0
  end
  return list
end

-- The share of galaxies whose truth is so far in a tail of its draws that less than `tail` of the posterior,
-- a rank of n + 1 at the least, lies beyond; and the share that calibrated posteriors have there.
local function outliers(values, x, count, n, tail)
  local ranks, out = math.max(1, math.floor(tail * (n + 1) + 1e-9)), 0
  for k = 0, count - 1 do
    local low, high = x[k * n + ranks - 1], x[(k + 1) * n - ranks]
    if values[k] < low or values[k] > high then out = out + 1 end
  end
  return out / count, 2 * ranks / (n + 1)
end

-- The root of a mean of squares with its interval: it rises with the mean, and so do its bounds.
local function root(squares, options)
  local found = sample.bootstrap(squares, options)
  return {
    value = math.sqrt(found.mean), low = math.sqrt(found.low), high = math.sqrt(found.high), n = found.n,
  }
end

local OPTIONS = { "training", "left_out", "resamples", "level", "seed" }

--- metrics.properties(truth {N, d}, samples {N, n, d}[, options]): the scores of each property, a list {d} of
-- {bias, rmse, crps, outliers, outliers_expected, information}: bias, the mean of posterior mean less truth,
-- and crps as metrics.bootstrap; rmse {value, low, high} of the posterior means; outliers, the share of
-- galaxies whose truth has less than 1e-4 of its posterior beyond it, or, with fewer than 10,000 draws, lies
-- beyond all draws, and outliers_expected that of calibrated posteriors; information,
-- metrics.mutual_information as metrics.bootstrap, where options has training {M, d}, the properties of the
-- training rows. Other options: left_out, a list of galaxies that do not count; resamples, level and seed of
-- the intervals.
function properties.properties(truth, samples, options)
  options = options_of.known("properties", options, OPTIONS)
  local count, d = host.matrix("properties", "truth", truth)
  local n = host.draws("properties", "samples", samples, count, d)
  if n < 2 then raise("properties: samples has 1 draw of each galaxy, expected at least 2") end
  if options.training then host.matrix("properties", "training", options.training, d) end
  local others = host.others("properties", count, options.left_out)
  truth, samples = host.pick(truth:to "cpu", others), host.pick(samples:to "cpu", others)
  local how = { resamples = options.resamples, level = options.level, seed = options.seed }
  local means, result = samples:mean(2), {}
  for i = 1, d do
    local own, draws = truth:select(2, i), samples:select(3, i)
    local values, x, rows = of_one("properties", own, draws)
    local off, squares = (means:select(2, i) - own):totable(), {}
    for k = 1, rows do squares[k] = off[k] ^ 2 end
    local entry = {
      bias = sample.bootstrap(off, how), rmse = root(squares, how),
      crps = sample.bootstrap(properties.crps(own, draws), how),
    }
    entry.outliers, entry.outliers_expected = outliers(values, x, rows, n, 1e-4)
    if options.training then
      local training = core.dense(options.training:to("cpu"):select(2, i))
      entry.information = sample.bootstrap(properties.mutual_information(own, draws, training), how)
    end
    result[i] = entry
  end
  return result
end

--- properties.rows(names, found): the rows and the headers of metrics.properties_table.
function properties.rows(names, found)
  local rows, where = {}, "properties_table"
  errors.list(where, "names", names, "a list of names")
  errors.list(where, "found", found, "what metrics.properties returns")
  for i, name in ipairs(names) do
    local entry = errors.list(where, ("found[%d]"):format(i), found[i], "what metrics.properties returns")
    local function number(v, field) return errors.number(where, ("found[%d].%s"):format(i, field), v) end
    local function part(field) return errors.list(where, ("found[%d].%s"):format(i, field), entry[field]) end
    local bias, told = part "bias", entry.information and part "information"
    local half = (number(bias.high, "bias.high") - number(bias.low, "bias.low")) / 2
    rows[i] = {
      tostring(name), ("%+.4g ± %.2g"):format(number(bias.mean, "bias.mean"), half),
      ("%.4g"):format(number(part("rmse").value, "rmse.value")),
      ("%.4g"):format(number(part("crps").mean, "crps.mean")),
      ("%.2f %%"):format(100 * number(entry.outliers, "outliers")),
      told and ("%.3f"):format(number(told.mean, "information.mean")) or "",
    }
  end
  return rows, { "property", "bias", "RMSE", "CRPS", "beyond draws", "nats told" }
end

--- metrics.properties_table(names {d}, found): what metrics.properties found, as the text of a table, in the
-- properties' units and nats; an error is half of a 95 % interval, as wide as 1.96 standard errors.
function properties.properties_table(names, found) return text.table(properties.rows(names, found)) end

return properties
