-- logistic: logistic regression on values and their products, by which samples that differ in means, widths
-- or correlations are told apart.
local errors = require "gal.base.errors"
local host = require "gal.stats.host"
local linalg = require "gal.stats.linalg"

local logistic = {}

--- logistic.features(values {rows, d}, rows, d): an array of values as features {rows, p}: 1, each value,
-- each product of two, all but the first in deviations from their mean over the rows. Returns them and p. A
-- constant is left at 0.
function logistic.features(values, rows, d)
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

--- logistic.score(x, k, p, weights): the log odds that row k of features x {rows, p} has the label 1.
function logistic.score(x, k, p, weights)
  local sum = 0
  for j = 0, p - 1 do sum = sum + x[k * p + j] * weights[j] end
  return sum
end

-- The penalised log likelihood of weights over the rows listed. label[k]: 1 or -1; ridge of all but the
-- constant.
local function likelihood(x, p, label, rows, weights, ridge)
  local sum = 0
  for _, k in ipairs(rows) do
    local m = label[k] * logistic.score(x, k, p, weights)
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
    local probability = 1 / (1 + math.exp(-logistic.score(x, k, p, weights)))
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

--- logistic.fit(x {rows, p}, p, label, rows, ridge): the weights {p} that are most likely over the rows
-- listed, from 0, by Newton's method with halved steps. label[k]: 1 or -1; ridge: the penalty on all weights
-- but the constant's.
function logistic.fit(x, p, label, rows, ridge)
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

return logistic
