-- A Gaussian mixture with full covariances, fitted by expectation-maximisation (Dempster, Laird & Rubin
-- 1977): the second estimate of a prior density, beside the kernel estimate of kde.lua, so that a statistic
-- which leans on the prior can state how much the choice of estimator moves it.

local host = require "gal.stats.host"
local linalg = require "gal.stats.linalg"
local errors = require "gal.base.errors"
local options_of = require "gal.base.options"
local raise, integer = errors.raise, options_of.integer

local mixture = {}
mixture.__index = mixture

-- Components never get narrower than this in units of the data's own deviations: the likelihood of a
-- component on a single repeated value is unbounded.
local NARROWEST = 0.01

-- ln of each component's weighted density at row k of white {N, d} into out {K}; returns the ln of their
-- sum.
local function score(components, white, k, d, out)
  local largest = -math.huge
  for c = 1, #components do
    local component = components[c]
    local inverse, mean = component.inverse, component.mean
    local squares = 0
    for i = 0, d - 1 do
      local sum = 0
      for j = 0, i do sum = sum + inverse[i * d + j] * (white[k * d + j] - mean[j]) end
      squares = squares + sum * sum
    end
    local value = component.constant - squares / 2
    out[c - 1] = value
    if value > largest then largest = value end
  end
  local sum = 0
  for c = 0, #components - 1 do sum = sum + math.exp(out[c] - largest) end
  return largest + math.log(sum)
end

-- A component from its weight, mean (array {d}) and covariance {d}{d}: with the inverse Cholesky factor and
-- the constant of its ln density.
local function component(weight, mean, covariance)
  local d = #covariance
  for i = 1, d do covariance[i][i] = covariance[i][i] + NARROWEST ^ 2 end
  local lower = assert(linalg.cholesky(covariance))
  local inverse, flat = linalg.invert_lower(lower), host.new(d * d)
  for i = 1, d do
    for j = 1, d do flat[(i - 1) * d + j - 1] = inverse[i][j] end
  end
  local constant = math.log(weight) - d / 2 * math.log(2 * math.pi) - linalg.log_determinant(lower) / 2
  return { weight = weight, mean = mean, covariance = covariance, inverse = flat, constant = constant }
end

-- Maximisation: components from responsibilities {N, K} of rows white {N, d}. A component that has lost its
-- rows is left out.
local function maximise(white, n, d, responsibilities, count)
  local components = {}
  for c = 0, count - 1 do
    local total, mean = 0, host.new(d)
    for k = 0, n - 1 do
      local r = responsibilities[k * count + c]
      total = total + r
      for i = 0, d - 1 do mean[i] = mean[i] + r * white[k * d + i] end
    end
    if total > d + 1 then
      for i = 0, d - 1 do mean[i] = mean[i] / total end
      local flat = host.new(d * d)
      for k = 0, n - 1 do
        local r = responsibilities[k * count + c]
        if r > 1e-9 then
          for i = 0, d - 1 do
            local delta = r * (white[k * d + i] - mean[i])
            for j = 0, i do flat[i * d + j] = flat[i * d + j] + delta * (white[k * d + j] - mean[j]) end
          end
        end
      end
      local covariance = {}
      for i = 1, d do
        covariance[i] = {}
        for j = 1, i do
          covariance[i][j] = flat[(i - 1) * d + j - 1] / total
          covariance[j][i] = covariance[i][j]
        end
      end
      components[#components + 1] = component(total / n, mean, covariance)
    end
  end
  return components
end

-- Starting responsibilities {N, K}: each row wholly with the nearest of K centres, which are chosen far
-- apart (k-means++, Arthur & Vassilvitskii 2007).
local function start(white, n, d, count, uniform)
  local nearest, owner = host.new(n), host.new(n)
  local function distance(k, centre)
    local sum = 0
    for i = 0, d - 1 do sum = sum + (white[k * d + i] - white[centre * d + i]) ^ 2 end
    return sum
  end
  local centre = math.floor(uniform() * n)
  for k = 0, n - 1 do nearest[k] = math.huge end
  for c = 0, count - 1 do
    local total = 0
    for k = 0, n - 1 do
      local value = distance(k, centre)
      if value < nearest[k] then nearest[k], owner[k] = value, c end
      total = total + nearest[k]
    end
    local left = uniform() * total
    for k = 0, n - 1 do
      left = left - nearest[k]
      if left <= 0 then centre = k break end
    end
  end
  local responsibilities = host.new(n * count)
  for k = 0, n - 1 do responsibilities[k * count + owner[k]] = 1 end
  return responsibilities
end

-- Expectation-maximisation on white {N, d}: components, their mean ln density over the rows.
local function fit_white(white, n, d, count, uniform, iterations)
  local responsibilities = start(white, n, d, count, uniform)
  local components, last = nil, -math.huge
  for _ = 1, iterations do
    components = maximise(white, n, d, responsibilities, count)
    if #components < count then
      count = #components
      responsibilities = host.new(n * count)
    end
    local out, total = host.new(count), 0
    for k = 0, n - 1 do
      local value = score(components, white, k, d, out)
      total = total + value
      for c = 0, count - 1 do responsibilities[k * count + c] = math.exp(out[c] - value) end
    end
    -- 1e-5 nats per row: a hundredth of what any use of the density can tell.
    if total / n - last < 1e-5 then break end
    last = total / n
  end
  return components, last
end

-- theta {N, d} whitened, a double array {N, d}; N, d and the whitening.
local function prepare(theta)
  local n, d = host.matrix("mixture", "theta", theta)
  if n < 2 * (d + 1) then
    raise("mixture: theta has %d rows, expected at least %d for %d properties", n, 2 * (d + 1), d)
  end
  local whitening = host.whitening("mixture", theta)
  return host.whiten(whitening, theta), n, d, whitening
end

local function finish(components, whitening)
  local fields = { components = components, d = whitening.d, whitening = whitening }
  return errors.seal(setmetatable(fields, mixture))
end

-- The options iterations and seed, with their defaults.
local function effort(options)
  return integer("mixture", options, "iterations", 200, 1), integer("mixture", options, "seed", 1, 0, 2 ^ 53)
end

--- Fits `components` Gaussians, at most as many as there are rows, to theta {N, d}, a tensor. options:
-- iterations (at most, 200), seed (1).
function mixture.fit(theta, components, options)
  options = options_of.known("mixture", options, { "iterations", "seed" })
  local white, n, d, whitening = prepare(theta)
  errors.integer("mixture", "components", components, 1, n)
  local iterations, seed = effort(options)
  return finish((fit_white(white, n, d, components, host.uniforms(seed), iterations)), whitening)
end

-- Whether b exceeds a, lists {n} of paired values, by more than the standard error of the mean difference.
local function rises(a, b)
  local n, sum, squares = #a, 0, 0
  for i = 1, n do sum = sum + b[i] - a[i] end
  for i = 1, n do squares = squares + (b[i] - a[i] - sum / n) ^ 2 end
  return sum / n > math.sqrt(squares / n / n)
end

-- `used` rows of white {N, d}, chosen at random and in random order: a double array {used, d}.
local function some_rows(white, n, d, used, uniform)
  local rows = host.new(used * d)
  for k, row in ipairs(host.some(n, used, uniform)) do
    for i = 0, d - 1 do rows[(k - 1) * d + i] = white[(row - 1) * d + i] end
  end
  return rows
end

-- ln densities of rows first … last - 1 (from 0) of white: a list, and its sum.
local function scores(components, white, first, last, d)
  local out, values, total = host.new(#components), {}, 0
  for k = first, last - 1 do
    local value = score(components, white, k, d, out)
    values[#values + 1] = value
    total = total + value
  end
  return values, total
end

--- Fits with the number of components that held-out rows prefer, then once more on all rows with that number.
-- A larger number must raise the mean ln density of the held-out rows by more than the standard error of the
-- rise. options: candidates ({1, 2, 3, 4, 6, 8, 12, 16}; two failures in a row end the search), held_out (0.2
-- of the rows), rows (at most 10,000 are used to choose), iterations (at most, 200), seed (1). The result's
-- `held_out` lists {components, log_density}, nats per held-out row.
function mixture.choose(theta, options)
  options = options_of.known("mixture", options, { "candidates", "held_out", "rows", "iterations", "seed" })
  local iterations, seed = effort(options)
  local white, n, d, whitening = prepare(theta)
  local used = math.min(n, integer("mixture", options, "rows", 10000, 2 * (d + 1)))
  local rows = some_rows(white, n, d, used, host.uniforms(seed))
  local held = math.max(1, math.floor(used * options_of.number("mixture", options, "held_out", 0.2, 0, 0.5)))
  local training = used - held
  local candidates = errors.list("mixture", "candidates", options.candidates or { 1, 2, 3, 4, 6, 8, 12, 16 })
  if #candidates == 0 then raise "mixture: candidates is empty, expected a list of integers" end
  local best, best_count, tried, failures = nil, nil, {}, 0
  for i, count in ipairs(candidates) do
    errors.integer("mixture", ("candidates[%d]"):format(i), count, 1, n)
    if best and count * 2 * (d + 1) > training then break end
    local components = fit_white(rows, training, d, count, host.uniforms(seed), iterations)
    local values, total = scores(components, rows, training, used, d)
    tried[#tried + 1] = { components = count, log_density = total / held - whitening.log_jacobian }
    if not best or rises(best, values) then
      best, best_count, failures = values, count, 0
    else
      failures = failures + 1
      if failures == 2 then break end
    end
  end
  local result = finish((fit_white(white, n, d, best_count, host.uniforms(seed), iterations)), whitening)
  result.held_out = tried
  return errors.seal(result)
end

--- ln density of points {M, d}, a tensor, in nats per product of theta's units: a Lua table {M}.
function mixture:log_density(points)
  host.matrix("log_density", "points", points, self.d)
  local white, m = host.whiten(self.whitening, points)
  local values = scores(self.components, white, 0, m, self.d)
  for k = 1, m do values[k] = values[k] - self.whitening.log_jacobian end
  return values
end

--- Weight, mean {d} and covariance {d}{d} of each component in theta's own units, the heaviest first.
function mixture:describe()
  local list, lower, centre = {}, self.whitening.lower, self.whitening.mean
  for _, c in ipairs(self.components) do
    local mean = linalg.apply(lower, host.list(c.mean, self.d))
    for i = 1, self.d do mean[i] = mean[i] + centre[i] end
    local covariance = linalg.product(linalg.product(lower, c.covariance), linalg.transpose(lower))
    list[#list + 1] = { weight = c.weight, mean = mean, covariance = covariance }
  end
  table.sort(list, function(a, b) return a.weight > b.weight end)
  return list
end

return errors.methods(mixture, "a mixture", mixture, { "log_density", "describe" })
