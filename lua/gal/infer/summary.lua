-- infer/summary: makes a catalogue's rows from draws: percentiles, mean, deviation, covariance, how rare the
-- galaxy is, and flags. infer/catalogue.lua draws and writes.
local bit = require "bit"
local core = require "gal.tensor"
local gal = require "gal"
local galaxies = require "gal.infer.galaxies"
local host = require "gal.stats.host"
local labels = require "gal.infer.labels"
local units = require "gal.data.units"

local summary = {}

local LEVELS = { 0.025, 0.16, 0.5, 0.84, 0.975 }
local NAMES = { "p2p5", "p16", "p50", "p84", "p97p5" }
local WORDS = { "2.5 %", "16 %", "median", "84 %", "97.5 %" }

--- summary.FLAGS: the bits of a row's flags.
summary.FLAGS = {
  filled = 1, context = 2, image = 4, tolerance = 8, range = 16, members = 32, failed = 64, labels = 128,
}
local FLAGS = summary.FLAGS
local RARE = 1 / 1000 -- share of validation galaxies below which a galaxy is flagged
local BEYOND = 0.01   -- share of draws outside of the training range above which it is
local apart = require("gal.flow.ensemble").apart

-- Whether every id is a whole number that int64 holds, written as one.
local function are_whole(ids)
  for _, id in ipairs(ids) do
    local sign, digits = id:match "^(%-?)([1-9]%d*)$"
    if not (digits and #digits <= 18) and id ~= "0" then
      -- 19 digits: SDSS's objID; compared as text, since doubles don't hold them.
      if not digits or #digits > 19 or digits > "9223372036854775807" or sign == nil then return false end
    end
  end
  return true
end

local function longest_of(ids)
  local longest = 1
  for _, id in ipairs(ids) do longest = math.max(longest, #id) end
  return longest
end

--- summary.layout(flow, part, ids, {samples =, deconvolve =, missing_value =, tolerance =}): a catalogue's
-- columns, and what its rows need, as a table for the other functions.
function summary.layout(flow, part, ids, o)
  local self = {
    flow = flow, theta = flow.theta, d = #flow.theta, samples = o.samples, deconvolve = o.deconvolve,
    missing_value = o.missing_value, tolerance = o.tolerance, counts = {}, stems = {}, units = {},
    id_column = part.id_column or "row", whole = are_whole(ids), letters = longest_of(ids),
    known = flow.familiar or {}, filled = {},
  }
  local noted = flow.notes and flow.notes.units or {}
  for i, name in ipairs(flow.theta) do
    self.stems[i], self.units[i] = name:gsub("_p50$", ""), units.of(name, noted[name])
  end
  for i, name in ipairs(flow.context) do
    if name:find "_missing$" then self.filled[#self.filled + 1] = i end
  end
  for _, set in pairs(FLAGS) do self.counts[set] = 0 end
  local low, high = self.known.low, self.known.high
  self.low, self.high = low and low:totable(), high and high:totable()
  return self
end

--- summary.rows(n): n empty rows: flagged as failed, all values missing.
function summary.rows(n)
  local rows = {}
  for k = 1, n do rows[k] = { flags = FLAGS.failed, values = {} } end
  return rows
end

-- ---- what draws say ----

-- The covariances {k}{d * d} of draws {k, n, d}, divided by n as the deviations are.
local function covariances(samples)
  local k, d, list = samples:size(1), samples:size(3), {}
  local off = samples - samples:mean(2, true)
  for g = 1, k do list[g] = {} end
  for i = 1, d do
    for j = i, d do
      local values = (off:select(3, i) * off:select(3, j)):mean(2):totable()
      for g = 1, k do
        list[g][(i - 1) * d + j], list[g][(j - 1) * d + i] = values[g], values[g]
      end
    end
  end
  return list
end

-- The share of each galaxy's draws {k, n, d} outside of the training range, a list {k}; nil where that is not
-- known.
local function beyond(self, samples)
  if not self.low then return nil end
  local on_host = samples:to "cpu"
  local low, high = gal.tensor(self.low, { device = "cpu" }), gal.tensor(self.high, { device = "cpu" })
  local off = on_host:lt(low) + on_host:gt(high)
  return off:max(3):mean(2):totable()
end

-- The flags of galaxy g of a block, without those of failure.
local function flags_of(self, block, g)
  local flags = 0
  local function flag(bit, set) flags = flags + (set and bit or 0) end
  local filled = false
  for _, i in ipairs(self.filled) do filled = filled or block.context[g][i] == 1 end
  flag(FLAGS.filled, filled)
  flag(FLAGS.context, block.ood.context and block.ood.context[g] < RARE)
  flag(FLAGS.image, block.ood.image and block.ood.image[g] < RARE)
  flag(FLAGS.tolerance, block.error and not (block.error[g] <= self.tolerance))
  flag(FLAGS.range, block.beyond and block.beyond[g] > BEYOND)
  flag(FLAGS.members, block.spread and block.spread[g] > block.apart)
  flag(FLAGS.labels, block.left and block.left[g])
  return flags
end

-- The draws of a block without the labels' errors.
local function deconvolved(self, block, samples)
  local notes = self.flow.notes
  local variances = labels.variances(notes.label_errors, samples:size(1), block.piece.context)
  local factors
  samples, block.left, factors = labels.deconvolve(samples, variances)
  self.shrunk = self.shrunk or { n = 0, factors = {} }
  for _, row in ipairs(factors) do
    self.shrunk.n = self.shrunk.n + 1
    for i, f in ipairs(row) do self.shrunk.factors[i] = (self.shrunk.factors[i] or 0) + f end
  end
  return samples
end

--- summary.shrunk(self): the factors by which taking off the labels' errors narrowed the draws, on average:
-- {names {d}, factors {d}}; nil where it was not asked for.
function summary.shrunk(self)
  if not self.shrunk then return nil end
  local found = { names = self.theta, factors = {} }
  for i, sum in ipairs(self.shrunk.factors) do found.factors[i] = sum / self.shrunk.n end
  return found
end

--- summary.fill(self, rows, places, {x =, piece =, samples =, report =, spread =}): fills rows[places[g]] for
-- the g-th galaxy of the survey `piece`. x: the flow's inputs; samples {k, n, d}: the draws; report: of
-- "auto"; spread: how far apart an ensemble's members are, {k}, or nil. Galaxies whose draws are not finite
-- stay failed.
function summary.fill(self, rows, places, block)
  local samples, d = block.samples, self.d
  block.apart = block.spread and apart(#self.flow.members, samples:size(2))
  local lost = {}
  for _, g in ipairs(host.lost(samples:mean(2), self.flow.scale)) do lost[g] = true end
  block.error = block.report and block.report.error:totable()
  block.context = #self.filled > 0 and block.piece.context:totable()
  block.ood = self.flow.ood and self.flow:ood(block.x) or {}
  if self.deconvolve then samples = deconvolved(self, block, samples) end
  block.beyond = beyond(self, samples)
  local k, n = samples:size(1), samples:size(2)
  local own = core.view(core.dense(samples), { k, d, n }, { n * d, 1, d })
  local quantiles, means = own:quantiles(LEVELS):totable(), samples:mean(2):totable()
  local deviations, covariance = samples:std(2):totable(), covariances(samples)
  local draws = self.samples > 0 and samples:narrow(2, 1, self.samples):to "cpu":totable()
  for g, place in ipairs(places) do
    local row, values = rows[place], {}
    row.ood = block.ood.context and block.ood.context[g]
    row.ood_image = block.ood.image and block.ood.image[g]
    row.spread = block.spread and block.spread[g]
    row.flags = flags_of(self, block, g) + (lost[g] and FLAGS.failed or 0)
    if not lost[g] then
      for i = 1, d do
        values[i] = { unpack(quantiles[g][i]) }
        values[i][#LEVELS + 1], values[i][#LEVELS + 2] = means[g][i], deviations[g][i]
      end
      row.values, row.covariance, row.draws = values, covariance[g], draws and draws[g]
    end
  end
end

--- summary.count(self, rows): adds the galaxies of the rows to self.counts {[bit] = galaxies}.
function summary.count(self, rows)
  for _, row in ipairs(rows) do
    for _, set in pairs(FLAGS) do
      if bit.band(row.flags, set) ~= 0 then self.counts[set] = self.counts[set] + 1 end
    end
  end
end

-- ---- as a table ----

-- A column {k} or {k, width} of float32 from value(row[, element]); missing values are NaN or the mark.
local function column(self, rows, width, value)
  local flat, missing = {}, self.missing_value or 0 / 0
  for _, row in ipairs(rows) do
    for e = 1, width do
      local v = value(row, e)
      flat[#flat + 1] = v and v - v == 0 and v or missing
    end
  end
  return gal.tensor(flat, width == 1 and { #rows } or { #rows, width }, { device = "cpu" })
end

-- The columns of property i.
local function set_property(self, t, rows, i)
  local stem, unit, about = self.stems[i], self.units[i].unit, self.units[i].about
  local what = about ~= "" and about or self.theta[i]
  local function set(name, words, e)
    local told = ("%s of %s"):format(words, what)
    local values = column(self, rows, 1, function(row) return row.values[i] and row.values[i][e] end)
    t:set(stem .. "_" .. name, values, { unit = unit, about = told:sub(1, 60) })
  end
  for e, name in ipairs(NAMES) do set(name, WORDS[e], e) end
  set("mean", "mean", #NAMES + 1)
  set("std", "deviation", #NAMES + 2)
end

--- summary.table(self, rows, ids): the rows as a table with the ids in front.
function summary.table(self, rows, ids)
  local t, d = nil, self.d
  if self.whole then
    t = gal.table{ [self.id_column] = core.int64({ #ids }, galaxies.whole(ids), "cpu") }
  else
    t = gal.table{ [self.id_column] = ids }
    t:set(self.id_column, ids, { letters = self.letters })
  end
  for i = 1, d do set_property(self, t, rows, i) end
  local covariance = column(self, rows, d * d, function(row, e)
    return row.covariance and row.covariance[e]
  end)
  t:set("covariance", covariance, { about = ("of the %d properties in this order, row by row"):format(d) })
  for i = 1, self.samples > 0 and d or 0 do
    t:set(self.stems[i] .. "_samples", column(self, rows, self.samples, function(row, e)
      return row.draws and row.draws[e][i]
    end), { unit = self.units[i].unit, about = "draws; those of one place belong together" })
  end
  if self.flow.c > 0 then
    t:set("ood", column(self, rows, 1, function(row) return row.ood end),
      { about = "share of validation galaxies whose context is rarer" })
  end
  if self.flow.encoder then
    t:set("ood_image", column(self, rows, 1, function(row) return row.ood_image end),
      { about = "share of validation galaxies whose image is rarer" })
  end
  if self.flow.spread then
    t:set("spread", column(self, rows, 1, function(row) return row.spread end),
      { about = "scatter of the members' means, in posterior deviations" })
  end
  local flags = {}
  for k, row in ipairs(rows) do flags[k] = row.flags end
  return t:set("flags", core.int64({ #rows }, flags, "cpu"), { type = "int32",
    about = self.flow.spread and "1 filled 2 4 rare 8 solver 16 range 32 spread 64 failed 128 labels"
      or "1 filled 2 4 rare (context, image) 8 solver 16 range 64 failed 128" })
end

return summary
