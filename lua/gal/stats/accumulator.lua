-- accumulator: galaxies, block by block, into the sums of the exchange test (stats.exchangeable): which
-- quantities are ranked, their values galaxy by galaxy, the units of distances, the truth's own ranks.
local atoms = require "gal.stats.atoms"
local blocks = require "gal.stats.blocks"
local errors = require "gal.base.errors"
local exchangeable = require "gal.stats.exchangeable"
local gal = require "gal"
local host = require "gal.stats.host"
local tarp = require "gal.stats.tarp"
local raise = errors.raise

local accumulator = {}

local Accumulator = {}
Accumulator.__index = Accumulator
accumulator.methods = Accumulator

-- The regression behind references = {theta, context}, and its sizes.
local function regression_of(where, given)
  local m, d = host.matrix(where, "references.theta", given.theta)
  local k, c = host.matrix(where, "references.context", given.context)
  if m ~= k or m < 2 then
    raise("%s: references has %d rows of theta and %d of context, expected as many, at least 2", where, m, k)
  end
  return { point = tarp.regression(given.theta, given.context), d = d, c = c }
end

--- accumulator.new(where, o): an empty one. o: names, context_names, training, references ({theta, context},
-- or nil), level, seed (checked numbers).
function accumulator.new(where, o)
  if o.training ~= nil then host.matrix(where, "training", o.training) end
  local regression
  if o.references ~= nil then
    regression = regression_of(where, errors.list(where, "references", o.references, "{theta, context}"))
  end
  return setmetatable({
    where = where, names = o.names, context_names = o.context_names, training = o.training, level = o.level,
    regression = regression, rng = gal.rng(o.seed), uniform = host.uniforms(o.seed), n = 0, left_out = {},
    pending = {}, waiting = 0,
  }, Accumulator)
end

-- What is ranked beside the properties, by the first block: its place among the ranked, from 0.
local function add_ranked(self, b, ranked)
  local at = {}
  local function add(condition, key, name)
    if not condition then return end
    ranked[#ranked + 1] = name
    at[key] = #ranked - 1
  end
  add(b.log_q, "density", "HPD")
  add(b.d > 1, "random", "TARP")
  add(b.references or self.regression, "regression", "TARP by regression")
  add(b.other, "other", "other run")
  return at
end

-- Makes the sums, by the first block.
local function begin(self, b)
  local where = self.where
  self.kind, self.d, self.c, self.draws, self.m = blocks.kind(b), b.d, b.c, b.draws, b.draws + 1
  if self.level * self.m < 1 then
    local sentence = "%s: level is %g, expected at least 1/%d with %d draws a galaxy"
    raise(sentence, where, self.level, self.m, b.draws)
  end
  self.names = blocks.names(where, "names", self.names, b.d, "theta")
  self.context_names = blocks.names(where, "context_names", self.context_names, b.c, "context")
  local r, ranked = self.regression, {}
  if r and (r.d ~= b.d or r.c ~= b.c) then
    raise("%s: references has %d properties and %d contexts, expected %d and %d", where, r.d, r.c, b.d, b.c)
  end
  if self.training then
    host.matrix(where, "training", self.training, b.d)
    self.atoms = atoms.of(self.training, self.names)
  end
  for i = 1, b.d do ranked[i] = self.names[i] end
  self.at, self.ranks = add_ranked(self, b, ranked), {}
  local points = self.m % blocks.POINTS[1] == 0 and blocks.POINTS[1] or blocks.POINTS[2]
  self.sums = exchangeable.new{
    d = b.d, m = self.m, c = b.c, ranked = ranked, points = points, uniform = self.uniform,
    atoms = self.atoms,
  }
  self.values = host.new(#ranked * self.m)
  for i, name in ipairs(ranked) do self.ranks[i] = { name = name } end
end

-- Calls fn with each value of property i (from 0), of the waiting galaxies that count.
local function each_value(self, i, fn)
  local d = self.d
  for _, b in ipairs(self.pending) do
    for k = 0, b.n - 1 do
      if not b.skip[k + 1] then
        fn(b.truth[k * d + i])
        for j = 0, b.draws - 1 do fn(b.samples[(k * b.draws + j) * d + i]) end
      end
    end
  end
end

-- Mean and deviations of all values of the waiting galaxies, truth and draws alike: the distances' units.
local function measure(self)
  self.mean, self.deviation = {}, {}
  for i = 1, self.d do
    local sum, squares, n = 0, 0, 0
    each_value(self, i - 1, function(v) sum, n = sum + v, n + 1 end)
    local mean = sum / math.max(n, 1)
    each_value(self, i - 1, function(v) squares = squares + (v - mean) ^ 2 end)
    self.mean[i], self.deviation[i] = mean, squares > 0 and math.sqrt(squares / n) or 1
  end
end

local function check_finite(self, what, zero)
  if zero ~= 0 then
    local sentence = "%s: %s of galaxy %d has a value that is no finite number, expected it in left_out"
    raise(sentence, self.where, what, self.n)
  end
end

-- values[first …] = the truth's number and the draws', draws[from …].
local function fill(self, what, first, truth, draws, from)
  local values, sum = self.values, 0
  values[first] = truth
  for j = 0, self.draws - 1 do values[first + j + 1] = draws[from + j] end
  for j = first, first + self.draws do sum = sum + (values[j] - values[j]) end
  check_finite(self, what, sum)
end

-- Differences of log densities below this are errors of the solver's, which the truth's density, told along
-- its own path, has otherwise than the draws' have: ten times the default tolerance, nats.
local STEP = 0.01

-- values[other …] less values[own …], m of each, in whole steps; equal ones are ties.
local function differ(values, other, own, m)
  for j = 0, m - 1 do
    values[other + j] = STEP * math.floor((values[other + j] - values[own + j]) / STEP + 0.5)
  end
end

-- The properties of galaxy k (from 0) of block b, and its densities.
local function fill_galaxy(self, b, k)
  local d, m, at, values, from = self.d, self.m, self.at, self.values, k * b.draws
  local sum = 0
  for p = 0, d - 1 do
    values[p * m] = b.truth[k * d + p]
    for j = 0, b.draws - 1 do values[p * m + j + 1] = b.samples[(from + j) * d + p] end
    for j = p * m, p * m + b.draws do sum = sum + (values[j] - values[j]) end
  end
  check_finite(self, "truth or samples", sum)
  if at.density then fill(self, "log_q", at.density * m, b.log_q_true[k], b.log_q, from) end
  if at.other then
    fill(self, "against.log_q", at.other * m, b.other_true[k], b.other, from)
    differ(values, at.other * m, at.density * m, m)
  end
  sum = 0
  for f = k * b.c, (k + 1) * b.c - 1 do sum = sum + (b.context[f] - b.context[f]) end
  check_finite(self, "context", sum)
end

-- The distances of galaxy k's values from reference points.
local function fill_distances(self, b, k)
  local m, at = self.m, self.at
  local function put(place, point)
    tarp.distances(self.values, m, point, self.deviation, self.values, place * m)
  end
  if at.random then put(at.random, tarp.random(self.rng, self.mean, self.deviation)) end
  if not at.regression then return end
  if not b.references then return put(at.regression, self.regression.point(b.context, k * b.c)) end
  local point, sum = host.list(b.references, self.d, k * self.d), 0
  for i = 1, self.d do sum = sum + (point[i] - point[i]) end
  check_finite(self, "references", sum)
  put(at.regression, point)
end

local NO_CONTEXT = host.new(1)

local function add_galaxies(self, b)
  for k = 0, b.n - 1 do
    local own
    self.n = self.n + 1
    if b.skip[k + 1] then
      self.left_out[#self.left_out + 1] = self.n
    else
      fill_galaxy(self, b, k)
      fill_distances(self, b, k)
      if self.atoms then
        self.atoms:count(self.values, self.m)
        self.atoms:round(self.values, self.m)
      end
      own = self.sums:add(self.values, b.context or NO_CONTEXT, k * b.c)
    end
    for q, list in ipairs(self.ranks) do list[self.n] = own and own[q - 1] or 0 / 0 end
  end
  errors.poll()
end

local function add_waiting(self)
  measure(self)
  for _, b in ipairs(self.pending) do add_galaxies(self, b) end
  self.pending = nil
end

-- The first so many galaxies of block b, and the others, or nil.
local function split(block, count)
  local n = block.truth:size(1)
  if n <= count then return block, nil end
  return blocks.cut(block, 1, count), blocks.cut(block, count + 1, n - count)
end

--- acc:add(block): adds galaxies: {truth {B, d}, samples {B, L, d}, log_q {B, L}, log_q_true {B}, context {B,
-- c}, against = {log_q, log_q_true}, references {B, d}, left_out = numbers in the block}. Returns acc.
function Accumulator:add(block)
  local options = require "gal.base.options"
  if block == nil then raise("add: block is nil, expected a table of truth and samples") end
  options.known("add", block, blocks.OPTIONS)
  if self.closed then raise "add: the accumulator is finished" end
  blocks.check(self.where, block)
  local rest = block
  -- The first LEAST galaxies are read together, whatever the blocks: they set the units.
  while rest do
    local now = rest
    if self.pending then now, rest = split(rest, blocks.LEAST - self.waiting) else rest = nil end
    local b = blocks.read(self.where, now)
    if not self.sums then begin(self, b) end
    if blocks.kind(b) ~= self.kind then
      raise("add: the block has %s, expected %s as the first", blocks.kind(b), self.kind)
    end
    if self.pending then
      self.pending[#self.pending + 1] = b
      self.waiting = self.waiting + b.n
      if self.waiting >= blocks.LEAST then add_waiting(self) end
    else
      add_galaxies(self, b)
    end
  end
  return self
end

--- acc:close(): no galaxy comes any more: the sums. Raises where too few count.
function Accumulator:close()
  if not self.sums then raise "finish: no galaxies were added" end
  if self.pending then add_waiting(self) end
  self.closed = true
  if self.sums.n < blocks.LEAST then
    raise("%s: %d galaxies count, expected at least %d", self.where, self.sums.n, blocks.LEAST)
  end
  return self.sums
end

return accumulator
