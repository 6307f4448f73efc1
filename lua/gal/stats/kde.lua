-- The Gaussian kernel estimate of the density that a sample comes from: p(theta) of the training set, against
-- which posteriors are measured. Its kernel has the covariance h^2 Cov(theta), and h is the one under which
-- the rows, each left out of its own density, are most likely.

local array = require "gal.stats.host"
local gal = require "gal"
local linalg = require "gal.stats.linalg"
local raise = require("gal.base.errors").raise

local kde = {}
kde.__index = kde

--- theta {N, d} in whitened units (mean 0, covariance 1), as a tensor; points may be other rows than those
-- that the estimate was made from.
local function whiten(self, points)
  local values, n = array.read(points), points:size(1)
  local d, white = self.d, {}
  for k = 0, n - 1 do
    for i = 1, d do
      local sum, row = 0, self.inverse[i]
      for j = 1, i do sum = sum + row[j] * (values[k * d + j - 1] - self.mean[j]) end
      white[k * d + i] = sum
    end
  end
  return gal.tensor(white, { n, d })
end

--- ln density in whitened units at points {M, d} (a tensor, whitened) under kernels of width h: {M}. skip:
-- the points are the first M rows of the estimate's own data, and each is left out of its own density.
local function log_density(self, points, h, skip)
  local rows = points * (1 / h)
  local data = h == self.h and self.scaled or self.data * (1 / h)
  return gal.kde_log_density(rows, data, skip) - (self.d * math.log(h) + self.log_jacobian)
end

--- The h that maximises the mean leave-one-out ln density of at most `rows` rows. Not always unimodal: a
-- coarse scan first, golden section (Kiefer 1953) around its best.
local function choose(self, rows)
  local points = self.data:narrow(1, 1, math.min(rows, self.n))
  local function mean(log_h) return log_density(self, points, math.exp(log_h), true):mean():item() end
  local first, last, steps = math.log(0.02), math.log(2), 8
  local width, best, best_value = (last - first) / steps, nil, -math.huge
  for i = 0, steps do
    local value = mean(first + i * width)
    if value > best_value then best, best_value = first + i * width, value end
  end
  local ratio = (math.sqrt(5) - 1) / 2
  local a, b = best - width, best + width
  local c, e = b - ratio * (b - a), a + ratio * (b - a)
  local at_c, at_e = mean(c), mean(e)
  -- 1 % of h: the likelihood is flat there, and its own standard error wider.
  while b - a > 0.01 do
    if at_c > at_e then
      b, e, at_e = e, c, at_c
      c = b - ratio * (b - a)
      at_c = mean(c)
    else
      a, c, at_c = c, e, at_e
      e = a + ratio * (b - a)
      at_e = mean(e)
    end
  end
  return math.exp((a + b) / 2)
end

--- 1 … n in random order.
local function shuffled(n, seed)
  local order, u = {}, array.read(gal.rand({ n }, { rng = gal.rng(seed) }))
  for k = 1, n do order[k] = k end
  for k = n, 2, -1 do
    local other = math.floor(u[k - 1] * k) + 1
    order[k], order[other] = order[other], order[k]
  end
  return order
end

--- The estimate from theta {N, d}, a tensor, N > d. options: h (in units of theta's own deviations; else
-- chosen), rows (at most 20,000 are scored to choose h), seed (1).
function kde.fit(theta, options)
  options = options or {}
  local n, d = theta:size(1), theta:size(2)
  if n < d + 2 then raise("kde: theta has %d rows, expected at least %d for %d properties", n, d + 2, d) end
  local mean, covariance = linalg.covariance(array.rows(theta))
  local lower, row = linalg.cholesky(covariance)
  if not lower then raise("kde: property %d of theta is constant or a combination of those before it", row) end
  local self = setmetatable({ n = n, d = d, mean = mean, inverse = linalg.invert_lower(lower), log_jacobian = linalg.log_determinant(lower) / 2 }, kde)
  self.own = whiten(self, theta)
  self.data = self.own
  if options.h then
    self.h = options.h
  else
    local scored = options.rows or 20000
    -- Scored rows come first, and at random: a table that is sorted by something would show them from one end
    -- only.
    if n > scored then self.data = self.own:rows(shuffled(n, options.seed or 1)) end
    self.h = choose(self, scored)
  end
  self.scaled = self.data * (1 / self.h)
  return self
end

--- ln density of points {M, d}, a tensor, in nats per product of theta's units: a Lua table {M}.
function kde:log_density(points)
  return log_density(self, whiten(self, points), self.h, false):totable()
end

--- ln density of each row that the estimate was made from, under the other rows: a Lua table {N}.
function kde:leave_one_out()
  local rows = self.own * (1 / self.h)
  return (gal.kde_log_density(rows, rows, true) - (self.d * math.log(self.h) + self.log_jacobian)):totable()
end

return kde
