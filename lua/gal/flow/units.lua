-- flow/units: the units in which a flow's net works. A column is taken in deviations from the training rows'
-- mean; one whose tails reach far is bent: in robust deviations u from its median it is knee asinh(u / knee),
-- which is straight in the middle and a logarithm far out. So a few far values neither squeeze the others
-- together nor reach the net as hundreds of deviations. Bending is smooth and invertible, and densities have
-- its slope in them. A flow's `scale`:
--   theta_mean, theta_std {d}, context_mean, context_std {c}   middle and deviation, physical: of columns
--               that are bent the median and half of the distance from the 16th to the 84th percentile
--   theta_bend {d}, context_bend {c}   the knee of each column, 0 where it is straight; absent where none is
--               bent
--   image_mean, image_std {channels}
local C = require("ffi").C
local errors = require "gal.base.errors"
local gal = require "gal"
local spelling = require "gal.base.spelling"
local raise = errors.raise

local units = {}

-- Robust deviations within which a bent column is about straight: 3 becomes 2.64, 20 becomes 7.8.
local KNEE = 3
-- "auto" bends a column that reaches further from its median than this, in robust deviations. A normal column
-- of a million rows reaches 5. Two of ten columns of a real table reach 10.5 and 11.7: bending these two
-- makes held-out truths more probable by .046 +- .017 nats, bending all ten by .062 +- .014. On the mock
-- survey, where none reaches so far, bending all costs .016 +- .003 nats (1,000 rows).
local REACH = 10
-- asinh(x) is taken as asinh(LARGEST) beyond this: the square would overflow.
local LARGEST = 1e18

-- ---- bending ----

local function asinh(x)
  local a = x:abs():minimum(LARGEST)
  a = (a + (a * a + 1):sqrt()):log()
  return gal.where(x:lt(0), -a, a)
end

-- The knee of each column {n}, 1 where it is straight; and 1 for each that is bent, else 0. nil where none
-- is.
local function knees_of(scale, what)
  local bend = scale[what .. "_bend"]
  if not bend then return nil end
  local bent = bend:gt(0)
  return gal.where(bent, bend, 1), bent
end

--- units.standard(scale, what, x {M, n}): x, "theta" or "context", in the units of the net.
function units.standard(scale, what, x)
  local u = (x - scale[what .. "_mean"]) / scale[what .. "_std"]
  local knee, bent = knees_of(scale, what)
  return knee and gal.where(bent, asinh(u / knee) * knee, u) or u
end

--- units.physical(scale, z {M, d}): properties in their own units.
function units.physical(scale, z)
  local knee, bent = knees_of(scale, "theta")
  if knee then
    local v = z / knee
    z = gal.where(bent, (v:exp() - (-v):exp()) * knee / 2, z)
  end
  return z * scale.theta_std + scale.theta_mean
end

--- units.log_volume(scale): ln of the product of the properties' deviations, robust ones where they are bent.
function units.log_volume(scale)
  local sum = 0
  for _, v in ipairs(scale.theta_std:totable()) do sum = sum + math.log(v) end
  return sum
end

--- units.log_stretch(scale, z {M, d}): ln of the volume of properties that a unit volume around z stands for,
-- which is subtracted from the ln density of z: a number where no property is bent, else {M}.
function units.log_stretch(scale, z)
  local sum = units.log_volume(scale)
  local knee, bent = knees_of(scale, "theta")
  if not knee then return sum end
  -- ln cosh v, the slope of sinh.
  local v = (z / knee):abs()
  return gal.where(bent, v + ((v * -2):exp() + 1):log() - math.log(2), 0):sum(2) + sum
end

--- units.bent(flow): the names of the flow's columns that are bent, properties first.
function units.bent(flow)
  local names, scale = {}, flow.scale or {}
  for _, what in ipairs{ "theta", "context" } do
    local bend = scale[what .. "_bend"]
    for i, knee in ipairs(bend and bend:totable() or {}) do
      if knee > 0 then names[#names + 1] = flow[what][i] end
    end
  end
  return names
end

-- ---- choosing ----

local MODES = { auto = true, standard = true, robust = true }

--- units.asked(where, text, flow): reads how the columns are to be taken: "standard", "robust" or "auto",
-- followed, after commas, by exceptions, NAME=standard. Returns a function from a column's name to its mode,
-- and whether that was said of this column.
function units.asked(where, text, flow)
  local general, own, names = nil, {}, {}
  for _, list in ipairs{ flow.theta, flow.context } do
    for _, name in ipairs(list) do names[#names + 1] = name end
  end
  errors.text(where, "scale", text, '"standard", "robust" or "auto"')
  for word in (text .. ","):gmatch "%s*([^,]-)%s*," do
    local name, mode = word:match "^(.-)%s*=%s*(%a+)$"
    mode = mode or word
    if not MODES[mode] then
      raise('%s: scale has "%s", expected "standard", "robust" or "auto", and NAME=one of them', where, word)
    end
    local known, before = not name, not name and general
    for _, column in ipairs(names) do
      if name and column:lower() == name:lower() then
        known, before, own[column] = true, own[column] or before, mode
      end
    end
    if not known then
      raise("%s: scale names '%s'%s, which is not a column of the flow", where, name,
        spelling.suggest(name, names))
    end
    if before and before ~= mode then
      raise("%s: scale says %s and %s of %s, expected one of them", where, before, mode,
        name and ("'%s'"):format(name) or "all columns")
    end
    if not name then general = mode end
  end
  return function(column) return own[column] or general or "auto", own[column] ~= nil end
end

-- Median and robust deviation of values, a list, and how far they reach in the latter. Where more than a
-- tenth lie further than REACH of these from the median, as beside a heap of equal values, the deviation is
-- the one that leaves a tenth there: the net would else see them tens of deviations away. Of a lognormal
-- column whose logarithms scatter by 5 fewer lie so far.
local function spread(values)
  table.sort(values)
  local n = #values
  local function at(share) return values[math.min(n, math.floor(share * n) + 1)] end
  local middle, deviation = at(0.5), (at(0.84) - at(0.16)) / 2
  local farthest = math.max(values[n] - middle, middle - values[1])
  if deviation > 0 and farthest > REACH * deviation then
    for i, v in ipairs(values) do values[i] = math.abs(v - middle) end
    table.sort(values)
    deviation = math.max(deviation, at(0.9) / REACH)
  end
  return middle, deviation, farthest / deviation
end

--- units.bend(scale, what, names, x {N, n}, mode): bends the columns of the training rows x, "theta" or
-- "context", that mode, a function of the name, asks for, in `scale`, which has their means and deviations.
-- Marks of missing values (NAME_missing) and columns most of whose values are the same stay.
function units.bend(scale, what, names, x, mode)
  local middles, deviations = scale[what .. "_mean"]:totable(), scale[what .. "_std"]:totable()
  local knees, any = {}, false
  for i, name in ipairs(names) do
    local middle, deviation, reach
    local wanted, by_name = mode(name)
    if wanted ~= "standard" and not name:find "_missing$" then
      middle, deviation, reach = spread(x:select(2, i):totable())
    end
    knees[i] = 0
    if deviation and deviation > 0 and (wanted == "robust" or reach > REACH) then
      knees[i], middles[i], deviations[i], any = KNEE, middle, deviation, true
    elseif wanted == "robust" and by_name then
      C.gal_leave_notice(("scale: %s stays in standard units: most of its values are the same"):format(name))
    end
  end
  if not any then return end
  local on, n = { device = x:device() }, #names
  scale[what .. "_mean"] = gal.tensor(middles, { n }, on)
  scale[what .. "_std"] = gal.tensor(deviations, { n }, on)
  scale[what .. "_bend"] = gal.tensor(knees, { n }, on)
end

--- units.check(scale, refuse): raises by refuse(sentence) where a file's scale has a knee below 0.
function units.check(scale, refuse)
  for _, what in ipairs{ "theta", "context" } do
    local bend = scale[what .. "_bend"]
    for _, knee in ipairs(bend and bend:totable() or {}) do
      if not (knee >= 0) then
        refuse(("its 'scale.%s_bend' holds %g, expected knees of at least 0"):format(what, knee))
      end
    end
  end
end

return units
