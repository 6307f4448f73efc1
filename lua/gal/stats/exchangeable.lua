-- exchangeable: sums over galaxies for the exchange test. If posteriors are calibrated, a galaxy's truth and
-- its draws are exchangeable, so each of the L + 1 values can play the truth: number j of every galaxy
-- together are pseudo-truth j, the real truth is number 0. Every sum here is kept for all pseudo-truths at
-- once, {L + 1}, and treats all values of a galaxy alike; so under calibration the L + 1 entries of all sums
-- together are exchangeable, whatever the posteriors' shape. Memory does not grow with the galaxies, but for
-- the truth's own ranks. What the sums say is effects'.
local ffi = require "ffi"
local host = require "gal.stats.host"
local ranks = require "gal.stats.ranks"

local exchangeable = {}

local Sums = {}
Sums.__index = Sums

local LEAST = 20 -- values of a galaxy that are not at an atom, at the least, for it to count

--- exchangeable.new{d =, m = L + 1, c = (contexts), ranked = (names of all that is ranked: the properties
-- first), points = (of the curves), uniform =, atoms = (stats.atoms, or nil)}: empty sums.
function exchangeable.new(o)
  local d, m, c, q = o.d, o.m, o.c, #o.ranked
  local pairs_of = d * (d - 1) / 2
  return setmetatable({
    d = d, m = m, c = c, ranked = o.ranked, points = o.points, uniform = o.uniform, atoms = o.atoms,
    n = 0, counted = host.new(q), joint = 0, truth_ranks = {},
    -- sums, {…, L + 1}
    legendre = host.new(q * 4 * m), histogram = ffi.new("int32_t[?]", q * m * o.points),
    first = host.new(d * m), second = host.new(d * m), pairs = host.new(pairs_of * m),
    first_by = host.new(d * c * m), second_by = host.new(d * c * m),
    -- sums over galaxies alone
    pair_weight = host.new(pairs_of), x = host.new(c), xx = host.new(c * c),
    -- the galaxy at work: who[t] is the number of value t among those that are not at an atom
    order = ranks.order(m, o.uniform), rank = ffi.new("int32_t[?]", m), who = ffi.new("int32_t[?]", m),
    packed = host.new(m), residual = host.new(d * m), table_of = 0, table = host.new(4 * m),
  }, Sums)
end

-- The numbers of the values that are not at an atom in property p (from 0), in self.who; how many. p nil: in
-- no property.
local function choose(self, values, p)
  local who, m = self.who, self.m
  if not self.atoms or p and not self.atoms:has(p) then
    for j = 0, m - 1 do who[j] = j end
    return m
  end
  local count = 0
  for j = 0, m - 1 do
    if not self.atoms:at(values, m, j, p) then
      who[count] = j
      count = count + 1
    end
  end
  return count
end

local function add_legendre(sums, base, m, table_of, count, who, rank)
  local s1, s2, s3, s4 = base, base + m, base + 2 * m, base + 3 * m
  for t = 0, count - 1 do
    local j, k = who[t], rank[t]
    sums[s1 + j] = sums[s1 + j] + table_of[k]
    sums[s2 + j] = sums[s2 + j] + table_of[count + k]
    sums[s3 + j] = sums[s3 + j] + table_of[2 * count + k]
    sums[s4 + j] = sums[s4 + j] + table_of[3 * count + k]
  end
end

-- Counts each rank in its bin of [0, 1]. Where the bins divide the ranks this needs no chance.
local function add_histogram(self, q, count)
  local histogram, points, who, rank = self.histogram, self.points, self.who, self.rank
  local base, whole, uniform = q * self.m * points, count % points == 0, self.uniform
  for t = 0, count - 1 do
    local within = whole and 0.5 or uniform()
    local at = base + who[t] * points + math.floor((rank[t] + within) * points / count)
    histogram[at] = histogram[at] + 1
  end
end

-- Adds the ranks of quantity q (from 0), values[first …], among the `count` values of self.who.
local function add_ranks(self, q, values, first, count)
  local own = self.truth_ranks
  if count < LEAST then
    own[q] = 0 / 0
    return
  end
  local packed, who, rank = self.packed, self.who, self.rank
  for t = 0, count - 1 do packed[t] = values[first + who[t]] end
  self.order:of(packed, 0, count, rank)
  if self.table_of ~= count then
    ranks.legendre(count, self.table)
    self.table_of = count
  end
  add_legendre(self.legendre, q * 4 * self.m, self.m, self.table, count, who, rank)
  add_histogram(self, q, count)
  self.counted[q] = self.counted[q] + count / self.m
  own[q] = who[0] == 0 and (rank[0] + self.uniform()) / count or 0 / 0
end

-- The residuals of property p: less the mean of the chosen values, in units of their deviation; 0 for the
-- others, and for all where the values are one.
local function residuals(self, values, p, count)
  local r, who, base = self.residual, self.who, p * self.m
  for j = 0, self.m - 1 do r[base + j] = 0 end
  if count < LEAST then return end
  local sum, squares = 0, 0
  for t = 0, count - 1 do sum = sum + values[base + who[t]] end
  local mean = sum / count
  for t = 0, count - 1 do
    local difference = values[base + who[t]] - mean
    squares = squares + difference * difference
  end
  local deviation = math.sqrt(squares / count)
  if not (deviation > 1e-7 * math.abs(mean)) then return end
  for t = 0, count - 1 do
    local j = base + who[t]
    r[j] = (values[j] - mean) / deviation
    self.first[j] = self.first[j] + r[j]
    self.second[j] = self.second[j] + r[j] * r[j] - 1
  end
end

-- Adds residuals, and what is left of their squares, times each context x[first …]. r is 0 where a value does
-- not count, so the squares less 1 are those of the others.
local function add_contexts(self, p, x, first)
  local r, m, base = self.residual, self.m, p * self.m
  for f = 0, self.c - 1 do
    local by, by2, value = self.first_by, self.second_by, x[first + f]
    local at = (p * self.c + f) * m
    for j = 0, m - 1 do
      local residual = r[base + j]
      local square = residual * residual
      by[at + j] = by[at + j] + residual * value
      if residual ~= 0 then by2[at + j] = by2[at + j] + (square - 1) * value end
    end
  end
end

-- The derivative of the log-likelihood of two residuals a and b by their correlation, at that of all values
-- of the galaxy; ab and their mean squares are 1 (Rao's score): it is blind to widths.
local function add_pair(self, pair, a, b, count)
  local r, who, m, sums = self.residual, self.who, self.m, self.pairs
  local product, squares_a, squares_b = 0, 0, 0
  for t = 0, count - 1 do
    local x, y = r[a * m + who[t]], r[b * m + who[t]]
    product, squares_a, squares_b = product + x * y, squares_a + x * x, squares_b + y * y
  end
  if squares_a == 0 or squares_b == 0 then return end
  local scale_a, scale_b = math.sqrt(count / squares_a), math.sqrt(count / squares_b)
  local rho = product / math.sqrt(squares_a * squares_b)
  rho = math.max(-0.999, math.min(0.999, rho))
  local plus, minus, base = 0.25 / (1 + rho), 0.25 / (1 - rho), pair * m
  for t = 0, count - 1 do
    local x, y = r[a * m + who[t]] * scale_a, r[b * m + who[t]] * scale_b
    sums[base + who[t]] = sums[base + who[t]] + plus * (x + y) * (x + y) - minus * (x - y) * (x - y)
  end
  self.pair_weight[pair] = self.pair_weight[pair] + (1 - rho * rho) * count / m
end

--- sums:add(values, x, first): one galaxy. values {ranked, L + 1}, a double array: the properties, then what
-- else is ranked, the truth's number first; x[first …] its contexts {c}. Returns the truth's own ranks, an
-- array from 0 that the next call overwrites: (k + u)/(L + 1), NaN where the truth is at an atom.
function Sums:add(values, x, first)
  local d, m = self.d, self.m
  self.n = self.n + 1
  for p = 0, d - 1 do
    local count = choose(self, values, p)
    add_ranks(self, p, values, p * m, count)
    residuals(self, values, p, count)
    add_contexts(self, p, x, first)
  end
  local count = choose(self, values)
  for q = d, #self.ranked - 1 do add_ranks(self, q, values, q * m, count) end
  if count >= LEAST then
    local pair = 0
    for a = 0, d - 2 do
      for b = a + 1, d - 1 do
        add_pair(self, pair, a, b, count)
        pair = pair + 1
      end
    end
    self.joint = self.joint + count / m
  end
  for f = 0, self.c - 1 do
    self.x[f] = self.x[f] + x[first + f]
    for g = 0, self.c - 1 do
      local at = f * self.c + g
      self.xx[at] = self.xx[at] + x[first + f] * x[first + g]
    end
  end
  return self.truth_ranks
end

return exchangeable
