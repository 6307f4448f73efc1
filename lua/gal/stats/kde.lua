-- The Gaussian kernel estimate of the density that a sample comes from: p(theta) of the training set, against
-- which posteriors are measured. Its kernel has the covariance h^2 Cov(theta), and h is the one under which
-- the rows, each left out of its own density, are most likely.

local gal = require "gal"
local host = require "gal.stats.host"
local errors = require "gal.base.errors"
local options_of = require "gal.base.options"
local raise = errors.raise

local kde = {}
kde.__index = kde

-- points {M, d}, a tensor, in the units in which the estimate's own rows have mean 0 and covariance 1.
local function whiten(self, points)
  local white, n = host.whiten(self.whitening, points)
  return gal.tensor(host.list(white, n * self.d), { n, self.d }, { device = "cpu" })
end

-- What is taken off ln density in units of kernels of width h for that in theta's own units.
local function log_unit(self, h) return self.d * math.log(h) + self.whitening.log_jacobian end

-- ln density in theta's units at points {M, d} (a tensor, whitened) under kernels of width h: {M}. skip: the
-- points are the first M rows of the estimate's own data, and each is left out of its own density.
local function log_density(self, points, h, skip)
  local data = h == self.h and self.scaled or self.data * (1 / h)
  return gal.kde_log_density(points * (1 / h), data, skip) - log_unit(self, h)
end

-- The h that maximises the mean leave-one-out ln density of at most `rows` rows, and whether that is the
-- smallest that is tried: where values repeat, the likelihood rises without end as h falls, and the rows have
-- no density. Not always unimodal: a coarse scan first, golden section (Kiefer 1953) around its best.
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
  return math.exp((a + b) / 2), (a + b) / 2 < first - width + 0.01
end

--- The estimate from theta {N, d}, a tensor, N > d. options: h (in units of theta's own deviations; else
-- chosen), rows (at most 20,000 are scored to choose h), seed (1, of their choice). Its field `repeated` is
-- whether the rows repeat so often that no h is the best: they have no density.
function kde.fit(theta, options)
  options = options_of.known("kde", options, { "h", "rows", "seed" })
  local n, d = host.matrix("kde", "theta", theta)
  if n < d + 2 then
    raise("kde: theta has %d rows, expected at least %d for %d properties", n, d + 2, d)
  end
  local self = setmetatable({ n = n, d = d, whitening = host.whitening("kde", theta) }, kde)
  self.own = whiten(self, theta)
  self.data = self.own
  local h = options_of.number("kde", options, "h", nil, 1e-6, 1e6)
  local scored = options_of.integer("kde", options, "rows", 20000, d + 2)
  local seed = options_of.integer("kde", options, "seed", 1, -2 ^ 53, 2 ^ 53)
  if h then
    self.h = h
  else
    -- Scored rows come first, and at random: the first rows of a sorted table would be from one end of it.
    if n > scored then self.data = self.own:rows(host.shuffled(n, gal.rng(seed))) end
    self.h, self.repeated = choose(self, scored)
  end
  self.scaled = self.data * (1 / self.h)
  return errors.seal(self)
end

--- ln density of points {M, d}, a tensor, in nats per product of theta's units: a Lua table {M}.
function kde:log_density(points)
  host.matrix("log_density", "points", points, self.d)
  return log_density(self, whiten(self, points), self.h, false):totable()
end

--- ln density of each row that the estimate was made from, under the other rows: a Lua table {N}.
function kde:leave_one_out()
  local rows = self.own * (1 / self.h)
  return (gal.kde_log_density(rows, rows, true) - log_unit(self, self.h)):totable()
end

return errors.methods(kde, "an estimate", kde, { "log_density", "leave_one_out" })
