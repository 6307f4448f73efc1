-- data/sample: which galaxies are in a sample: cuts on the columns of a table. A cut is {reason, test(row)}:
-- a row is counted under the reason of the first cut that it fails.
local bit = require "bit"
local columns = require "gal.data.columns"
local errors = require "gal.base.errors"
local options_of = require "gal.base.options"
local raise, missing = errors.raise, columns.missing

local sample = {}

--- sample.LIMIT: mag in r, of SDSS's main galaxy sample (Strauss et al. 2002) and of the paper.
sample.LIMIT = 17.78
--- sample.PAPER: how many galaxies the sample of Yunus, Wu & Holwerda (2025) has.
sample.PAPER = 106800

local MAIN = 64 -- the bit TARGET_GALAXY of SDSS's primTarget
local OPTIONS = { "petro", "classes", "primary", "redshift", "reliable", "main" }

-- The table's columns by name, each read once.
local function reader(source)
  local known = {}
  return function(name)
    known[name] = known[name] or (columns.values(source, name))
    return known[name]
  end
end

-- The cuts, as far as they are asked for, to one spectrum a galaxy, good redshifts, good measurements, and
-- the main sample.
local function quality_cuts(source, o)
  local cuts = {}
  local function flag(asked, names, reason, test)
    local name = names[1]
    for _, candidate in ipairs(names) do name = columns.spelling(source, candidate) or name end
    if not asked then return end
    if not columns.has(source, name) then
      raise("%s has no column %s, expected it for the cut on %s", source.path or "the table", name, name)
    end
    -- In double precision: single precision can't hold all bits of a flag.
    local _, values = columns.values(source, name)
    cuts[#cuts + 1] = { reason, function(k) return not missing(values[k]) and test(values[k]) end }
  end
  flag(o.primary, { "sciencePrimary", "specPrimary" }, "that repeat a galaxy (not sciencePrimary)",
    function(v) return v > 0 end)
  flag(o.redshift, { "zWarning", "z_warning" }, "with zWarning other than 0", function(v) return v == 0 end)
  flag(o.reliable, { "reliable" }, "with reliable other than 1", function(v) return v == 1 end)
  flag(o.main, { "primTarget" }, "without the bit 64 of primTarget, main galaxies",
    function(v) return bit.band(v, MAIN) ~= 0 end)
  return cuts
end

-- The main sample's limit on the Petrosian magnitude, raw or less its extinction.
local function limit_cut(source, column, petro)
  local values = column "petroMag_r"
  local name = petro ~= "raw" and columns.spelling(source, "extinction_r")
  local extinction = name and column(name)
  local reason = "not brighter than petroMag_r%s = %g"
  return { reason:format(petro == "raw" and "" or " - extinction_r", sample.LIMIT), function(k)
    local dimmed = extinction and extinction[k] or 0
    return not missing(values[k]) and not missing(dimmed) and values[k] - dimmed < sample.LIMIT
  end }
end

--- sample.cuts(source, name[, options]): the cuts of a sample, "none" or "paper" (Yunus, Wu & Holwerda 2025),
-- on the rows of the table `source`: a list of {reason, test(row)}, in the order in which reasons are
-- counted. options: petro, "dereddened" or "raw": whether extinction_r is subtracted from petroMag_r, which
-- the paper does not say; classes = {1}: the values of bptclass; and whether further cuts are made: primary
-- (sciencePrimary above 0), redshift (zWarning = 0), reliable (= 1), main (primTarget & 64).
function sample.cuts(source, name, options)
  local o = options_of.known("cuts", options, OPTIONS)
  if name == "none" then return {} end
  if name ~= "paper" then raise('sample is "%s", expected "none" or "paper"', tostring(name)) end
  local column = reader(source)
  -- A missing value is counted under the cut that needs it: NaN and -9999 must not slip through a "greater
  -- than".
  local function within(of, low, high)
    local values = column(of)
    return function(k) return not missing(values[k]) and values[k] > low and values[k] < high end
  end
  local cuts, class, a_v, classes = quality_cuts(source, o), column "bptclass", column "a_v", {}
  for _, v in ipairs(o.classes or { 1 }) do classes[v] = true end
  for _, cut in ipairs{
    { "with bptclass other than " .. table.concat(o.classes or { 1 }, ", "),
      function(k) return classes[class[k]] end },
    { "not fainter than modelMag_r = 16", within("modelMag_r", 16, math.huge) },
    limit_cut(source, column, o.petro),
    { "with lgm_tot_p50 not above 0", within("lgm_tot_p50", 0, math.huge) },
    { "with sfr_tot_p50 not above -10", within("sfr_tot_p50", -10, math.huge) },
    { "with oh_p50 not above 0", within("oh_p50", 0, math.huge) },
    { "with d4000_n outside 0.8 to 3", within("d4000_n", 0.8, 3) },
    { "with a_v below 0", function(k) return not missing(a_v[k]) and a_v[k] >= 0 end },
  } do cuts[#cuts + 1] = cut end
  for _, band in ipairs{ "u", "g", "r", "i", "z" } do
    local magnitude = "modelMag_" .. band
    cuts[#cuts + 1] = { ("with %s outside 10 to 25"):format(magnitude), within(magnitude, 10, 25) }
  end
  return cuts
end

return sample
