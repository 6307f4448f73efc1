-- data/columns: from a table's columns to what each galaxy has of them: SDSS's names, the extinction that
-- comes off a magnitude, what counts as missing, and the reasons for which a row falls out. A column here is
-- {name, values {rows}, extinction {rows} or nil, extinction_name}.
local folder = require "gal.base.path"
local raise = require("gal.base.errors").raise

local columns = {}

local MISSING = -9999 -- SDSS's mark

local function missing(value)
  return value ~= value or value == MISSING or value == math.huge or value == -math.huge
end

--- The table file at path: path itself, or the catalogue in the folder of that name.
function columns.find(path)
  local kind = folder.kind(path)
  if kind == "file" then return path end
  if not kind then raise("no survey at %s: expected a table (.fits, .csv, either also as .gz) or a folder with catalog.fits or catalog.csv", path) end
  for _, name in ipairs{ "catalog.fits", "catalog.fits.gz", "catalog.csv", "catalog.csv.gz" } do
    local candidate = path:gsub("/+$", "") .. "/" .. name
    if folder.kind(candidate) == "file" then return candidate end
  end
  raise("no catalogue in the folder %s: expected catalog.fits or catalog.csv", path)
end

--- Reasons to drop a galaxy for want of its image: ids {rows}, found as gal.data.cutouts has it.
function columns.image_cuts(ids, found)
  return {
    { "without a cutout", function(k) return found.row[ids[k]] ~= nil or found.problem[ids[k]] ~= nil end },
    { "with a damaged cutout", function(k) return found.row[ids[k]] ~= nil end },
  }
end

--- How a survey's images were prepared, and which could not be decoded, in lines.
function columns.describe_images(survey)
  local p, image = survey.prepared, survey.images.image
  local how = { ("images:  %d x %d pixels"):format(image[1], image[2]) }
  if p.resize > 0 then how[#how + 1] = ("cutouts scaled to %d x %d"):format(p.resize, p.resize) end
  if p.crop > 0 then how[#how + 1] = ("the central %d x %d"):format(p.crop, p.crop) end
  if p.bin > 1 then how[#how + 1] = ("means over %d x %d"):format(p.bin, p.bin) end
  local lines = { table.concat(how, ", ") }
  for i = 1, math.min(#survey.damaged, 5) do lines[#lines + 1] = "damaged: " .. survey.damaged[i].problem end
  if #survey.damaged > 5 then lines[#lines + 1] = ("damaged: %d more, listed in cutouts.csv"):format(#survey.damaged - 5) end
  return lines
end

--- Whether the table has a column of that name, case ignored; returns the name as the table spells it.
function columns.spelling(table_, name)
  local wanted = name:lower()
  for _, candidate in ipairs(table_.names) do
    if candidate:lower() == wanted then return candidate end
  end
end

--- A column's values {rows} as numbers. Where the table lacks it, a_v comes from tauv_cont: A_V = 1.086
-- tau_V.
local function values_of(source, name)
  if not columns.spelling(source, name) and name:lower() == "a_v" and columns.spelling(source, "tauv_cont") then
    local values = source:column("tauv_cont"):totable()
    for k = 1, #values do
      if not missing(values[k]) then values[k] = 1.086 * values[k] end
    end
    return values
  end
  return source:column(name):totable()
end

-- SDSS's apparent magnitudes, in lower case: these and no others does Galactic extinction come off.
local APPARENT = { modelmag = true, cmodelmag = true, petromag = true, psfmag = true, fibermag = true, fiber2mag = true, devmag = true, expmag = true }

--- A requested column: {name, values {rows}, extinction {rows} or nil}. modelMag_u and its like are paired
-- with extinction_u where they are to be dereddened.
function columns.requested(source, name, dereddened)
  local column = { name = name, values = values_of(source, name) }
  local kind, band = name:lower():match "^(%w+)_([ugriz])$"
  local extinction = kind and APPARENT[kind] and "extinction_" .. band
  if dereddened and extinction and columns.spelling(source, extinction) then
    column.extinction_name = columns.spelling(source, extinction)
    column.extinction = source:column(extinction):totable()
  end
  return column
end

--- What a row must pass besides having its values: a list of {reason, test(row)}, in the order in which
-- reasons are counted.
function columns.sample_cuts(source, sample)
  if sample == "none" then return {} end
  if sample ~= "paper" then raise('sample is "%s", expected "none" or "paper"', tostring(sample)) end
  local known = {}
  local function column(name)
    known[name] = known[name] or values_of(source, name)
    return known[name]
  end
  -- A missing value is counted under the cut that needs it: NaN and -9999 must not slip through a "greater
  -- than".
  local function within(name, low, high)
    local values = column(name)
    return function(k) return not missing(values[k]) and values[k] > low and values[k] < high end
  end
  local class, petro = column("bptclass"), column("petroMag_r")
  local extinction = columns.spelling(source, "extinction_r") and column("extinction_r")
  local a_v = column("a_v")
  local cuts = {
    { "with bptclass other than 1", function(k) return class[k] == 1 end },
    { "not fainter than modelMag_r = 16", within("modelMag_r", 16, math.huge) },
    { "not brighter than petroMag_r - extinction_r = 17.78", function(k)
      local dimmed = extinction and extinction[k] or 0
      return not missing(petro[k]) and not missing(dimmed) and petro[k] - dimmed < 17.78
    end },
    { "with lgm_tot_p50 not above 0", within("lgm_tot_p50", 0, math.huge) },
    { "with sfr_tot_p50 not above -10", within("sfr_tot_p50", -10, math.huge) },
    { "with oh_p50 not above 0", within("oh_p50", 0, math.huge) },
    { "with d4000_n outside 0.8 to 3", within("d4000_n", 0.8, 3) },
    { "with a_v below 0", function(k) return not missing(a_v[k]) and a_v[k] >= 0 end },
  }
  for _, band in ipairs{ "u", "g", "r", "i", "z" } do
    cuts[#cuts + 1] = { ("with modelMag_%s outside 10 to 25"):format(band), within("modelMag_" .. band, 10, 25) }
  end
  return cuts
end

--- Reasons to drop a row because a value is missing, in the order theta, context.
function columns.missing_cuts(theta, context, masked)
  local cuts = {}
  local function need(name, values)
    cuts[#cuts + 1] = { "without " .. name, function(k) return not missing(values[k]) end }
  end
  for _, list in ipairs{ theta, context } do
    for _, column in ipairs(list) do
      if not (list == context and masked[column.name]) then
        need(column.name, column.values)
        if column.extinction then need(column.extinction_name, column.extinction) end
      end
    end
  end
  return cuts
end

--- The value of a column in row k, dereddened where that was asked for; NaN where it is missing.
function columns.value_at(column, k)
  local value, extinction = column.values[k], column.extinction and column.extinction[k] or 0
  if missing(value) or missing(extinction) then return 0 / 0 end
  return value - extinction
end

-- So many deviations off, and so often: a galaxy or two may be that odd, and a survey's faintest are within
-- it (a magnitude deviates by .3 to 2 mag), where 99 and -999 are not.
local FAR, OFTEN, SAMPLED = 20, 3, 10000

--- A sentence on a column whose largest or smallest value, of the rows listed, stands OFTEN and far from all
-- others, as a mark for "missing" that nobody told us of does; else nil. Far: in units of the deviation that
-- a normal distribution with the others' quartiles has.
function columns.suspect(column, rows)
  local values = {}
  for _, k in ipairs(rows) do
    if not missing(column.values[k]) then values[#values + 1] = column.values[k] end
  end
  local ends = {} -- {value, how often}: the smallest and the largest
  for i, beyond in ipairs{ function(x, y) return x < y end, function(x, y) return x > y end } do
    local value, count = values[1], 0
    for k = 1, #values do
      if values[k] == value then count = count + 1 end
      if beyond(values[k], value) then value, count = values[k], 1 end
    end
    ends[i] = { value, count }
  end
  local others, step = {}, math.ceil(#values / SAMPLED) -- quartiles of so many are good enough
  for k = 1, #values, step do
    if values[k] ~= ends[1][1] and values[k] ~= ends[2][1] then others[#others + 1] = values[k] end
  end
  if #others < 4 then return nil end
  table.sort(others)
  local low, high = others[math.ceil(#others / 4)], others[math.ceil(#others * 3 / 4)]
  for _, found in ipairs(ends) do
    local value, count = found[1], found[2]
    local off = math.max(value - high, low - value)
    if count >= OFTEN and high > low and off > FAR * (high - low) / 1.349 then
      return ("suspicious: %s is %.6g in %d galaxies, half of the others are within %.4g to %.4g; if that stands for a missing value, it has to be -9999 or empty"):format(column.name, value, count, low,
        high)
    end
  end
end

--- Which context columns are masked, and with what their gaps are filled: given by a flow that was trained
-- so, else every column with gaps in a kept row and its mean.
function columns.masks(context, options)
  if options.missing ~= "mask" then return {} end
  if options.fill then return options.fill end
  local fill = {}
  for _, column in ipairs(context) do
    local sum, count, gaps = 0, 0, 0
    for k = 1, #column.values do
      local value = columns.value_at(column, k)
      if value == value then sum, count = sum + value, count + 1 else gaps = gaps + 1 end
    end
    if gaps > 0 and count > 0 then fill[column.name] = sum / count end
  end
  return fill
end

return columns
