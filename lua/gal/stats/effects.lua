-- effects: the statistics of the exchange test, made of the sums over galaxies (stats.exchangeable): each
-- one's effect in words that astronomers use, with an interval, its z, and its p, alone and among all.
local bands = require "gal.stats.bands"
local directions = require "gal.stats.directions"
local host = require "gal.stats.host"

local effects = {}

-- What the Legendre components 1 to 4 of ranks are called. An amplitude of 1 is the component's deviation.
local COMPONENTS = { "shift", "width", "skew", "tails" }

-- The Legendre polynomials' deviations, inverted.
local NORM = { shift = math.sqrt(3), width = math.sqrt(5), skew = math.sqrt(7), tails = 3 }

-- E P_2(2u - 1) is .551 ln s where the truth's spread is s posterior widths: the slope at s = 1 of normal
-- posteriors; it gives s = 1.25 as 1.257 and .8 as .80.
local WIDTH = 0.551

-- From the mean of a component over galaxies to its effect.
local SCALES = {
  shift = function(mean) return math.sqrt(math.pi / 3) * mean end,
  width = function(mean) return math.exp(mean / math.sqrt(5) / WIDTH) end,
  ["width with"] = function(mean) return math.exp(mean / 2) end,
}

-- ---- the statistics ----

local Statistics = {}
Statistics.__index = Statistics

-- Adds a statistic: m sums values[first …], over n galaxies. entry: {name, kind, of, with}, completed here.
function Statistics:add(entry, values, first, n, factor)
  local m = self.m
  local sum, squares = 0, 0
  for j = 0, m - 1 do sum = sum + values[first + j] end
  local mean = sum / m
  for j = 0, m - 1 do squares = squares + (values[first + j] - mean) ^ 2 end
  local deviation = math.sqrt(squares / m)
  if not (deviation > 1e-9 * math.abs(mean)) or n == 0 then return end
  local z = host.new(m)
  for j = 0, m - 1 do
    z[j] = (values[first + j] - mean) / deviation
    self.largest[j] = math.max(self.largest[j], math.abs(z[j]))
  end
  local scale = SCALES[entry.kind] or function(v) return v * (factor or 1) end
  local found, error = (values[first] - mean) / n, deviation / n
  entry.z, entry.effect, entry.error = z[0], scale(found), error
  entry.interval = { scale(found - 1.96 * error), scale(found + 1.96 * error) }
  entry.amplitude = math.abs(z[0]) / math.sqrt(n)
  self.list[#self.list + 1] = entry
  self.z[#self.list] = z
end

local function add_ranks(statistics, sums)
  local m = sums.m
  for q, name in ipairs(sums.ranked) do
    for l, component in ipairs(COMPONENTS) do
      local kind = q <= sums.d and component or "rank"
      local entry = { name = component .. " of " .. name, kind = kind, of = name, component = component }
      statistics:add(entry, sums.legendre, ((q - 1) * 4 + l - 1) * m, sums.counted[q - 1])
    end
  end
end

local function add_pairs(statistics, sums)
  local pair = 0
  for a = 1, sums.d - 1 do
    for b = a + 1, sums.d do
      local one, other = sums.ranked[a], sums.ranked[b]
      local entry = {
        name = ("correlation of %s and %s"):format(one, other), kind = "correlation", of = one, with = other,
      }
      statistics:add(entry, sums.pairs, pair * sums.m, sums.joint, sums.pair_weight[pair] / sums.joint)
      pair = pair + 1
    end
  end
end

local function add_contexts(statistics, sums, names)
  local list = directions.of(sums, names)
  for p = 0, sums.d - 1 do
    local name, n = sums.ranked[p + 1], sums.counted[p]
    for _, direction in ipairs(list) do
      local with = direction.name
      local bias = { name = ("bias of %s with %s"):format(name, with), kind = "bias with" }
      local width = { name = ("width of %s with %s"):format(name, with), kind = "width with" }
      bias.of, bias.with, width.of, width.with = name, with, name, with
      statistics:add(bias, directions.along(sums, p, direction, sums.first, sums.first_by), 0, n)
      statistics:add(width, directions.along(sums, p, direction, sums.second, sums.second_by), 0, n)
    end
  end
end

-- How many of m values are at least v.
local function at_least(values, m, v)
  local count = 0
  for j = 0, m - 1 do
    if values[j] >= v then count = count + 1 end
  end
  return count
end

-- Whether a statistic tells that something is wrong, and not what: ranks by anything but a property, apart
-- from the shift of densities, which is the width of all.
local function is_omnibus(e) return e.kind == "rank" and not (e.of == "HPD" and e.component == "shift") end

-- The entry to name: of the largest |z|, an omnibus one only where no other has p of at most `level`.
local function worst_of(list, level)
  local worst, other
  for _, e in ipairs(list) do
    if not worst or math.abs(e.z) > math.abs(worst.z) then worst = e end
    if not is_omnibus(e) and (not other or math.abs(e.z) > math.abs(other.z)) then other = e end
  end
  return other and (other.p <= level or worst.p > level) and other or worst
end

-- Of the ranks that an entry is of, the component to name: the largest of the mean Legendre polynomials as
-- they are, not in deviations: where all ranks are near 1 all are 1, and that is a shift.
local function plainest(list, worst)
  local best = worst
  for _, e in ipairs(worst.component and list or {}) do
    local own = e.component and e.of == worst.of
    if own and math.abs(e.z) / NORM[e.component] > math.abs(best.z) / NORM[best.component] then best = e end
  end
  return best
end

--- effects.of(sums, names, level): the test. names: of the contexts. Returns {list, p, worst, largest, m}:
-- list has an entry {name, kind, of, with, effect, interval, z, p_alone, p, amplitude} for each statistic
-- that varies; p_alone is that of the statistic by itself, p that of the largest |z| among all (Westfall &
-- Young 1993, single step); worst the entry to name; largest {L + 1} the largest |z| of each pseudo-truth.
function effects.of(sums, names, level)
  local m = sums.m
  local s = setmetatable({ m = m, list = {}, z = {}, largest = host.new(m) }, Statistics)
  add_ranks(s, sums)
  add_pairs(s, sums)
  add_contexts(s, sums, names)
  for i, entry in ipairs(s.list) do
    local size, alone = math.abs(entry.z), 0
    for j = 0, m - 1 do
      if math.abs(s.z[i][j]) >= size then alone = alone + 1 end
    end
    entry.p_alone, entry.p = alone / m, at_least(s.largest, m, size) / m
  end
  local p = at_least(s.largest, m, s.largest[0]) / m
  local worst = #s.list > 0 and plainest(s.list, worst_of(s.list, level)) or nil
  return { list = s.list, worst = worst, p = p, largest = s.largest, m = m }
end

--- effects.least(found, n, level): the least effects that n galaxies show with probability .9 at this level:
-- {shift, in posterior deviations; width, in %}, of one property, normal posteriors.
function effects.least(found, n, level)
  local z = bands.quantile(found.largest, found.m, 1 - level) + 1.2816
  return {
    shift = SCALES.shift(z / math.sqrt(n)), width = 100 * (SCALES.width(z / math.sqrt(n)) - 1),
  }
end

return effects
