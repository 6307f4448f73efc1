-- data/scaling: how images in single precision are shown to a network: the numbers that bring their values to
-- about 0 to 1, chosen by the training galaxies alone and saved with the flow (notes.images.scaling):
--   kind     "asinh" (Lupton, Gunn & Szalay 1999) or "linear"
--   bands    their names, in the order of the channels
--   offset, softening   of each band: the median over images of their medians, and of their deviations
--            (1.4826 times the median of |x - median|), in the unit of the files: the sky and its noise
--   low, high   of each band: shown as 0 and as 1; a value for "linear", asinh((x - offset) / softening) for
--            "asinh". 99 of 100 images have their smallest value above low, 99 of 100 their largest
--            below high
--   fill     of each band: how a pixel without a value (NaN, BLANK) is shown: as the mean of the others,
--            which is 0 once a flow has standardised it
--   mask     whether a further channel is shown, the share of a pixel's values that are missing: true where
--            the training galaxies have such pixels
local errors = require "gal.base.errors"
local progress = require "gal.base.progress"
local raise = errors.raise

local scaling = {}

-- Images that are read between two checks for Ctrl-C.
local TOGETHER = 64
-- The share of the images' smallest and largest values that lies beyond low and high.
local BEYOND = 0.01

-- Calls fn(level, band) with the levels of each band of each image (images:levels).
local function each_level(set, report, fn)
  local n = set:size(1)
  for first = 1, n, TOGETHER do
    errors.poll()
    local count = math.min(TOGETHER, n - first + 1)
    local levels, bands = set:levels(first, count)
    for i = 0, count * bands - 1 do fn(levels[i], i % bands + 1) end
    if report then report(first + count - 1) end
  end
end

-- The value of a sorted list that a share q of it is below.
local function at(list, q) return list[1 + math.floor(q * (#list - 1) + 0.5)] end

local function sorted(list)
  table.sort(list)
  return list
end

--- scaling.asinh(x): of a number of either sign, in double precision.
function scaling.asinh(x)
  local a = math.abs(x)
  return (x < 0 and -1 or 1) * math.log(a + math.sqrt(a * a + 1))
end

-- The levels of all images, lists by band: medians, deviations, smallest and largest values; and whether any
-- pixel has no value.
local function looked_at(set, count, report)
  local found, gaps = {}, false
  for k = 1, count do found[k] = { median = {}, deviation = {}, least = {}, most = {} } end
  each_level(set, report, function(level, k)
    gaps = gaps or level.missing > 0
    if level.count > 0 then
      for name, list in pairs(found[k]) do list[#list + 1] = level[name] end
    end
  end)
  return found, gaps
end

-- offset, softening, low and high of one band.
local function numbers(kind, band, name)
  if #band.median == 0 then
    raise("scaling: band %s has no value in any image that a flow learns from", name)
  end
  for _, list in pairs(band) do sorted(list) end
  local offset, softening = at(band.median, 0.5), at(band.deviation, 0.5)
  local low, high = at(band.least, BEYOND), at(band.most, 1 - BEYOND)
  -- Half of the pixels or more are equal, as where a survey sets the sky to 0: the noise is taken from the
  -- range.
  if softening == 0 then softening = (high - low) / 1000 end
  if high <= low then
    raise("scaling: band %s has the same value, %.6g, in all images that a flow learns from", name, low)
  end
  local function f(x) return kind == "asinh" and scaling.asinh((x - offset) / softening) or x end
  return offset, softening, f(low), f(high)
end

local function reporter(n, shown)
  if not shown then return nil end
  local line = progress{ total = 2 * n, label = "choosing the images' scaling", unit = "images" }
  return function(done)
    line:update{ done = done }
    if done == 2 * n then line:finish() end
  end
end

--- scaling.choose(set, kind, bands[, {gaps = false, progress = true}]): the numbers for a set of unscaled
-- float32 images of the galaxies that a flow learns from. kind: "asinh" or "linear"; bands: their names.
-- gaps: whether pixels as they are stored lack values.
function scaling.choose(set, kind, bands, o)
  if kind ~= "asinh" and kind ~= "linear" then
    raise('scaling is %s, expected "asinh" or "linear"', errors.kind(kind))
  end
  o = o or {}
  local n, report = set:size(1), reporter(set:size(1), o.progress ~= false)
  local found, gaps = looked_at(set, #bands, report)
  local self = {
    kind = kind, bands = bands, offset = {}, softening = {}, low = {}, high = {}, fill = {},
    mask = gaps or o.gaps or false,
  }
  local sum, count = {}, {}
  for k, name in ipairs(bands) do
    self.offset[k], self.softening[k], self.low[k], self.high[k] = numbers(kind, found[k], name)
    self.fill[k], sum[k], count[k] = 0, 0, 0
  end
  each_level(set:scaled(self), report and function(done) report(n + done) end, function(level, k)
    sum[k], count[k] = sum[k] + level.sum, count[k] + tonumber(level.count)
  end)
  for k in ipairs(bands) do self.fill[k] = sum[k] / count[k] end
  return self
end

--- scaling.words(s): the scaling in words.
function scaling.words(s)
  local words = ("%s, scaled (%s) by the training galaxies"):format(table.concat(s.bands, ", "), s.kind)
  return s.mask and words .. "; a channel says where values are missing" or words
end

return scaling
