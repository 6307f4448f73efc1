-- rarity: how rare a point is among known ones: a Gaussian mixture of their principal components (Bishop
-- 1994, novelty by density), and the share of held-out points that have a lower density than it. The mixture
-- is fitted to training rows, the shares are counted among validation rows, which it never saw: a share is
-- then uniform over points like them. All that it holds are float32 tensors, so that what was saved and
-- loaded gives the same shares as what was fitted.
local components = require "gal.stats.components"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local linalg = require "gal.stats.linalg"
local mixture = require "gal.stats.mixture"
local options_of = require "gal.base.options"
local raise = errors.raise

local rarity = {}
rarity.__index = rarity

-- How far a point may lie from the space of all components, where none was left out for their number: ten
-- times the deviation of the widest flat direction, in units of about the widest one's.
local OFF = 10 * math.sqrt(components.FLAT)
-- Rows whose deviations are below this share of their mean's size differ by float32's rounding alone.
local SAME = 1e-6
-- How many components the mixture may have: those that held-out rows prefer among these.
local CANDIDATES = { 1, 2, 4, 8, 16 }
-- Steps of the fit, and rows that the number is chosen by: with more of either the share of galaxies found
-- with one magnitude off by .3 changed by less than .01, and a fit took four times as long.
local ITERATIONS, TO_CHOOSE = 60, 5000
--- rarity.ROWS: rows that a mixture is fitted to, at most: its shares change by less than their own error
-- with more.
rarity.ROWS = 10000

local function on_host(list, shape) return gal.tensor(list, shape, { device = "cpu" }) end

-- The mixture as tensors in the coordinates of its components' points.
local function tensors_of(found)
  local w, d, constant, means, inverses = found.whitening, found.d, {}, {}, {}
  for c, one in ipairs(found.components) do
    local rows = {}
    for i = 1, d do rows[i] = host.list(one.inverse, d, (i - 1) * d) end
    inverses[c] = linalg.product(rows, w.inverse)
    means[c] = linalg.apply(w.lower, host.list(one.mean, d))
    for i = 1, d do means[c][i] = means[c][i] + w.mean[i] end
    constant[c] = one.constant - w.log_jacobian
  end
  return on_host(constant), on_host(means), on_host(inverses)
end

-- ln density of each point of y {M, k}, nats, a list.
local function densities(self, y)
  local points, m, k = host.read(y), y:size(1), self.k
  local out, count = {}, self.count
  for row = 0, m - 1 do
    local largest, terms = -math.huge, {}
    for c = 0, count - 1 do
      local squares, at = 0, c * k * k
      for i = 0, k - 1 do
        local sum = 0
        for j = 0, i do
          sum = sum + self.inverse[at + i * k + j] * (points[row * k + j] - self.centre[c * k + j])
        end
        squares = squares + sum * sum
      end
      local value = self.constant[c] - squares / 2
      terms[c + 1] = value
      if value > largest then largest = value end
    end
    local sum = 0
    for c = 1, count do sum = sum + math.exp(terms[c] - largest) end
    out[row + 1] = largest + math.log(sum)
  end
  return out
end

-- The object that these tensors make.
local function built(tensors)
  local self = { tensors = tensors, k = tensors.directions:size(2), count = tensors.constant:size(1) }
  self.constant, self.centre = host.read(tensors.constant), host.read(tensors.centres)
  self.inverse = host.read(tensors.inverses)
  self.whole = tensors.whole:get(1) ~= 0
  if tensors.scores then self.scores, self.known = host.read(tensors.scores) end
  return setmetatable(self, rarity)
end

--- rarity.fit(train {N, d}, valid {V, d}[, {components = most, seed = 1}]): from training and validation
-- rows, tensors. components: principal components that are looked at, at most; nil: all. Of more than
-- rarity.ROWS training rows, evenly chosen ones are taken. Returns an object with `shares` and `tensors`, a
-- table of float32 tensors by name; nil where the training rows are all the same.
function rarity.fit(train, valid, options)
  local o = options_of.known("rarity", options, { "components", "seed" })
  local n, d = host.matrix("rarity", "train", train)
  local v = host.matrix("rarity", "valid", valid, d)
  if d == 0 or n < 4 * (d + 1) or v == 0 then
    raise("rarity: train is {%d, %d} and valid has %d rows, expected at least {%d, d} and 1", n, d, v,
      4 * (d + 1))
  end
  local most = options_of.integer("rarity", o, "components", nil, 1, 2 ^ 20)
  train, valid = rarity.thin(train:to "cpu"), valid:to "cpu"
  local mean, directions, flat, variances = components.of(train, most)
  if not (variances[1] > SAME ^ 2 * mean:pow(2):mean():item()) then return nil end
  local whole = flat or directions:size(2) == d
  local tensors = { mean = mean, directions = directions, whole = on_host({ whole and 1 or 0 }, { 1 }) }
  local projected = (train - mean):matmul(directions)
  local found = mixture.choose(projected, {
    candidates = CANDIDATES, seed = o.seed or 1, iterations = ITERATIONS, rows = TO_CHOOSE,
  })
  tensors.constant, tensors.centres, tensors.inverses = tensors_of(found)
  local scores = built(tensors):log_density(valid)
  table.sort(scores)
  tensors.scores = on_host(scores, { v })
  return built(tensors)
end

--- rarity.thin(x {N, d}[, most]): at most `most` (rarity.ROWS) of the rows, evenly chosen.
function rarity.thin(x, most)
  local n = x:size(1)
  most = most or rarity.ROWS
  return n <= most and x or x:rows(host.evenly(n, most))
end

--- r:log_density(x {M, d}): ln density of each point, nats, up to a constant, a list {M}; -inf for points
-- outside of the space that the training rows span.
function rarity:log_density(x)
  host.matrix("log_density", "x", x, self.tensors.mean:size(1))
  local off = x:to "cpu" - self.tensors.mean
  local y = off:matmul(self.tensors.directions)
  local list = densities(self, y)
  if not self.whole or self.k == off:size(2) then return list end
  local rest = (off - y:matmul(self.tensors.directions:t())):pow(2):sum(2):totable()
  for m, square in ipairs(rest) do
    if not (square <= OFF ^ 2) then list[m] = -math.huge end
  end
  return list
end

--- r:shares(x {M, d}): of each point the share of validation rows that are rarer, 0 to 1, a list {M}.
function rarity:shares(x)
  local list = self:log_density(x)
  for m, value in ipairs(list) do
    local low, high = 0, self.known -- scores[0 … low - 1] < value
    while low < high do
      local middle = math.floor((low + high) / 2)
      if self.scores[middle] < value then low = middle + 1 else high = middle end
    end
    list[m] = low / self.known
  end
  return list
end

-- The shapes that the tensors have, by the sizes d, k, K and V that stand in them.
local function shapes_of(tensors)
  local directions, constant, scores = tensors.directions, tensors.constant, tensors.scores
  local d, k = directions:size(1), directions:size(2)
  local count = constant:size(1)
  return {
    mean = { d }, directions = { d, k }, whole = { 1 }, constant = { count }, centres = { count, k },
    inverses = { count, k, k }, scores = { scores:size(1) },
  }
end

--- rarity.of(tensors, d): the object that was saved as these tensors, of points {M, d}; nil and a sentence
-- where they are no such object.
function rarity.of(tensors, d)
  local sizes = { directions = 2, constant = 1, scores = 1 }
  for name, dimensions in pairs(sizes) do
    local x = tensors[name]
    if not x or #x.shape ~= dimensions or x:count() == 0 then
      return nil, ("has no tensor '%s' of %d dimensions"):format(name, dimensions)
    end
  end
  local shapes = shapes_of(tensors)
  for name, shape in pairs(shapes) do
    local x = tensors[name]
    if not x or core.shape_text(x) ~= core.shape_text(shape) or x.dtype ~= "float32" then
      return nil, ("has no tensor '%s' of shape %s (float32)"):format(name, core.shape_text(shape))
    end
  end
  if d and shapes.mean[1] ~= d then
    return nil, ("has a 'mean' of %d values, expected %d"):format(shapes.mean[1], d)
  end
  local scores, n = host.read(tensors.scores)
  for i = 1, n - 1 do
    if not (scores[i] >= scores[i - 1]) then return nil, "has 'scores' that do not ascend" end
  end
  return built(tensors)
end

return rarity
