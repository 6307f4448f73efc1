-- metrics/c2st: the classifier two-sample test (Lopez-Paz & Oquab 2017): how often a classifier tells which
-- of two samples a row is of. The classifier is a logistic regression on all values and their products, by
-- which samples that differ in means, widths or correlations are told apart.
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local linalg = require "gal.stats.linalg"
local options_of = require "gal.base.options"
local raise = errors.raise

local c2st = {}

-- Rows of `a` and then of `b`, arrays {n, d} and {m, d}, as features {n + m, p}: 1, each value, each product
-- of two, all but the first in deviations from their mean over both. Returns them and p. A constant is left
-- at 0.
local function features_of(values, rows, d)
  local p = 1 + d + d * (d + 1) / 2
  local x = host.new(rows * p)
  local function standardise(first, last)
    for j = first, last do
      local sum, squares = 0, 0
      for k = 0, rows - 1 do sum = sum + x[k * p + j] end
      for k = 0, rows - 1 do squares = squares + (x[k * p + j] - sum / rows) ^ 2 end
      local deviation = math.sqrt(squares / rows)
      for k = 0, rows - 1 do
        x[k * p + j] = deviation > 0 and (x[k * p + j] - sum / rows) / deviation or 0
      end
    end
  end
  for k = 0, rows - 1 do
    x[k * p] = 1
    for j = 0, d - 1 do x[k * p + 1 + j] = values[k * d + j] end
  end
  standardise(1, d)
  for k = 0, rows - 1 do
    local place = k * p + 1 + d
    for i = 1, d do
      for j = i, d do
        x[place] = x[k * p + i] * x[k * p + j]
        place = place + 1
      end
    end
  end
  standardise(d + 1, p - 1)
  return x, p
end

local function score(x, k, p, weights)
  local sum = 0
  for j = 0, p - 1 do sum = sum + x[k * p + j] * weights[j] end
  return sum
end

-- The penalised log likelihood of weights over the rows listed. label[k]: 1 or -1; ridge of all but the
-- constant.
local function likelihood(x, p, label, rows, weights, ridge)
  local sum = 0
  for _, k in ipairs(rows) do
    local m = label[k] * score(x, k, p, weights)
    sum = sum - (m > 0 and math.log(1 + math.exp(-m)) or math.log(1 + math.exp(m)) - m)
  end
  for j = 1, p - 1 do sum = sum - 0.5 * ridge * weights[j] ^ 2 end
  return sum
end

-- One step of Newton's from the weights: {p}.
local function newton(x, p, label, rows, weights, ridge)
  local gradient, flat = host.new(p), host.new(p * p)
  for _, k in ipairs(rows) do
    local base = k * p
    local probability = 1 / (1 + math.exp(-score(x, k, p, weights)))
    local off, curvature = (label[k] + 1) / 2 - probability, probability * (1 - probability)
    for i = 0, p - 1 do
      gradient[i] = gradient[i] + off * x[base + i]
      local weighted = curvature * x[base + i]
      for j = 0, i do flat[i * p + j] = flat[i * p + j] + weighted * x[base + j] end
    end
  end
  local hessian = {}
  for i = 1, p do
    hessian[i] = {}
    for j = 1, i do
      hessian[i][j] = flat[(i - 1) * p + j - 1]
      hessian[j][i] = hessian[i][j]
    end
    -- The constant's own share is tiny: it only keeps the matrix positive definite.
    local own = i == 1 and 1e-6 or ridge
    hessian[i][i] = hessian[i][i] + own
    if i > 1 then gradient[i - 1] = gradient[i - 1] - ridge * weights[i - 1] end
  end
  return linalg.apply(assert(linalg.invert(hessian)), host.list(gradient, p))
end

-- The weights {p} that are most likely over the rows, by Newton's method with halved steps.
local function fitted(x, p, label, rows, ridge)
  local weights, next_, best = host.new(p), host.new(p), -math.huge
  best = likelihood(x, p, label, rows, weights, ridge)
  for _ = 1, 25 do
    errors.poll()
    local step, size, value = newton(x, p, label, rows, weights, ridge), 1, nil
    repeat
      for j = 0, p - 1 do next_[j] = weights[j] + size * step[j + 1] end
      value = likelihood(x, p, label, rows, next_, ridge)
      size = size / 2
    until value >= best or size < 1e-4
    if not (value > best + 1e-6 * #rows) then break end
    weights, next_, best = next_, weights, value
  end
  return weights
end

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
  local x, p = features_of(values, n + m, d)
  local fold = folds_of(n, m, folds, options.paired,
    gal.rng(options_of.integer("c2st", options, "seed", 1, -2 ^ 53, 2 ^ 53)))
  local label, right_a, right_b = {}, 0, 0
  for k = 0, n + m - 1 do label[k] = k < n and 1 or -1 end
  for f = 0, folds - 1 do
    local training = {}
    for k = 0, n + m - 1 do
      if fold[k] ~= f then training[#training + 1] = k end
    end
    local weights = fitted(x, p, label, training, ridge)
    -- Samples of different sizes: the constant is the one that equal sizes would have.
    weights[0] = weights[0] - math.log(n / m)
    for k = 0, n + m - 1 do
      if fold[k] == f and label[k] * score(x, k, p, weights) > 0 then
        if k < n then right_a = right_a + 1 else right_b = right_b + 1 end
      end
    end
  end
  return {
    accuracy = (right_a / n + right_b / m) / 2, deviation = 0.25 * math.sqrt(1 / n + 1 / m), folds = folds,
  }
end

return c2st
