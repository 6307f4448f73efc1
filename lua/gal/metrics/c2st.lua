-- metrics/c2st: the classifier two-sample test (Lopez-Paz & Oquab 2017): how often a classifier tells which
-- of two samples a row is of. The classifier is a logistic regression on all values and their products, by
-- which samples that differ in means, widths or correlations are told apart.
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local logistic = require "gal.stats.logistic"
local options_of = require "gal.base.options"
local raise = errors.raise

local c2st = {}

-- The fold, from 0, of each row of both samples {n + m}: folds of equal sizes of each, at random. paired:
-- rows k of both are in the same fold.
local function folds_of(n, m, folds, paired, rng)
  local fold, of_a = {}, host.shuffled(n, rng)
  local of_b = paired and of_a or host.shuffled(m, rng)
  for place, k in ipairs(of_a) do fold[k - 1] = place % folds end
  for place, k in ipairs(of_b) do fold[n + k - 1] = place % folds end
  return fold
end

--- metrics.c2st(a {n, d}, b {m, d}[, options]): how often a classifier tells which of two samples a row is
-- of, by cross-validation: {accuracy, deviation, folds}: the mean over both samples of the share of their
-- rows that are told right, 0.5 where they can't be told apart and 1 where they always can; deviation: that
-- of the accuracy of 0.5 by chance. a, b: tensors, such as true properties and one draw a galaxy, each
-- beside its context. options: folds (5), paired (false; true: rows k of both belong together, such as a
-- galaxy's truth and draw, and are never on two sides of a fold), ridge (1: the penalty on the standardised
-- weights), seed (1).
function c2st.c2st(a, b, options)
  options = options_of.known("c2st", options, { "folds", "paired", "ridge", "seed" })
  local n, d = host.matrix("c2st", "a", a)
  local m = host.matrix("c2st", "b", b, d)
  local folds = options_of.integer("c2st", options, "folds", 5, 2, 1000)
  if math.min(n, m) < 2 * folds then
    raise("c2st: a has %d rows and b %d, expected at least %d for %d folds", n, m, 2 * folds, folds)
  end
  if d == 0 then raise "c2st: a has no columns" end
  if options.paired and n ~= m then raise("c2st: a has %d rows and b %d, expected as many in pairs", n, m) end
  local values = host.read(gal.cat({ a:to "cpu", b:to "cpu" }, 1))
  for i = 0, (n + m) * d - 1 do
    if values[i] - values[i] ~= 0 then
      raise("c2st: row %d is no finite number", math.floor(i / d) % n + 1)
    end
  end
  local ridge = options_of.number("c2st", options, "ridge", 1, 1e-9)
  local x, p = logistic.features(values, n + m, d)
  local fold = folds_of(n, m, folds, options.paired,
    gal.rng(options_of.integer("c2st", options, "seed", 1, -2 ^ 53, 2 ^ 53)))
  local label, right_a, right_b = {}, 0, 0
  for k = 0, n + m - 1 do label[k] = k < n and 1 or -1 end
  for f = 0, folds - 1 do
    local training = {}
    for k = 0, n + m - 1 do
      if fold[k] ~= f then training[#training + 1] = k end
    end
    local weights = logistic.fit(x, p, label, training, ridge)
    -- Samples of different sizes: the constant is the one that equal sizes would have.
    weights[0] = weights[0] - math.log(n / m)
    for k = 0, n + m - 1 do
      if fold[k] == f and label[k] * logistic.score(x, k, p, weights) > 0 then
        if k < n then right_a = right_a + 1 else right_b = right_b + 1 end
      end
    end
  end
  return {
    accuracy = (right_a / n + right_b / m) / 2, deviation = 0.25 * math.sqrt(1 / n + 1 / m), folds = folds,
  }
end

return c2st
