-- data/cutout_files: which files are a survey's cutouts, and what they are: pictures of 8 bits (JPEG, PNG)
-- in three colours, or images in single precision of any number of bands (FITS, PNG of 16 bits), in one file
-- a galaxy, cutouts/<id>.fits, or one a band, cutouts/<band>/<id>.fits. All of a survey are of one kind,
-- size and source.
local ffi = require "ffi"
local bands_of = require "gal.data.bands"
local errors = require "gal.base.errors"
local json = require "gal.base.json"
local decimal, field = require("gal.base.text").decimal, require("gal.base.text").field
local path = require "gal.base.path"
local C = ffi.C
local raise = errors.raise

local files = {}

local PICTURES = { ".jpg", ".jpeg", ".png" }
local FLOATS = { ".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fits.fz" }
local ENDINGS = {}
for _, list in ipairs{ PICTURES, FLOATS } do
  for _, ending in ipairs(list) do ENDINGS[#ENDINGS + 1] = ending end
end
local IS_FITS = {}
for _, ending in ipairs(FLOATS) do IS_FITS[ending] = true end

--- files.entry(path): the file at that path as an entry of files.listed's list, without a galaxy.
function files.entry(file)
  local low, fits = file:lower(), false
  for _, ending in ipairs(FLOATS) do fits = fits or low:sub(-#ending) == ending end
  return { path = file, fits = fits }
end

--- files.id_of(file): the id of a cutout's file, its name without folder and ending.
function files.id_of(file)
  for _, ending in ipairs(ENDINGS) do
    if #file > #ending and file:sub(-#ending) == ending then return file:sub(1, -#ending - 1) end
  end
  return (file:gsub("%.%w+$", ""))
end

local bytes, modified = ffi.new "int64_t[1]", ffi.new "int64_t[1]"

-- The stamp of a file, "bytes,modified"; nil where there is no file. One that can't be looked at, such as a
-- link that leads nowhere, counts as a file of 0 bytes: packing says what is wrong with it.
local function stamp(file)
  bytes[0], modified[0] = 0, 0
  if C.gal_file_stamp(file, bytes, modified) == 0 then return nil end
  return decimal(bytes[0]) .. "," .. decimal(modified[0])
end

-- The stamp of several files, of which some may be missing.
local function stamp_of(list)
  local text, total, any = "", 0, false
  for _, file in ipairs(list) do
    local one = stamp(file)
    any, total, text = any or one, total + tonumber(bytes[0]), text .. (one or "-") .. " "
  end
  return any and ("%.0f,%s"):format(total, decimal(C.gal_hash(text, #text, 0) % 2ULL ^ 53)) or nil
end

-- The one file of the id in a folder: {id, path, key, fits}, or nil; the index's line of the file begins with
-- key as long as the file is unchanged.
local function single(folder, id)
  for _, ending in ipairs(ENDINGS) do
    local file = folder .. "/" .. id .. ending
    local known = stamp(file)
    if known then
      local key = field(id .. ending) .. "," .. known
      return { id = id, path = file, key = key, fits = IS_FITS[ending] or false }
    end
  end
end

-- The files of the id in the folders of all bands, as an entry like `single`'s, with their paths.
local function by_band(folder, id, bands)
  for _, ending in ipairs(FLOATS) do
    local list = {}
    for k, band in ipairs(bands) do list[k] = ("%s/%s/%s%s"):format(folder, band, id, ending) end
    local known = stamp_of(list)
    if known then
      return {
        id = id, path = list[1], paths = list, bands = bands, fits = true,
        key = field(id .. ending) .. "," .. known,
      }
    end
  end
end

-- The bands that have a folder in cutouts/, by wavelength; an empty list where there is none.
local function folders(home)
  local names, sorted = {}, {}
  for _, name in ipairs(path.entries(home .. "/cutouts")) do
    local band = name:match "^([%w%-_]+)/$"
    if band and #band <= C.GAL_BAND_LETTERS then names[#names + 1] = band end
  end
  for i, k in ipairs(bands_of.sorted(names)) do sorted[i] = names[k] end
  return sorted
end

-- Raises where a galaxy has files of both kinds, or two galaxies of different ones.
local function refuse_mixed(home, list)
  for _, ending in ipairs(list[1].fits and {} or FLOATS) do
    local other = home .. "/cutouts/" .. list[1].id .. ending
    if stamp(other) then
      raise("%s and %s are of one galaxy, expected pictures or FITS: move one kind to another folder",
        list[1].path, other)
    end
  end
  for _, entry in ipairs(list) do
    if entry.fits ~= list[1].fits then
      raise("%s and %s are cutouts of two kinds, expected pictures or FITS: they are from two sources, which "
        .. "one flow can't learn from; give each a folder of its own", list[1].path, entry.path)
    end
  end
end

--- files.listed(home, ids, bands): the cutouts of these ids that exist, each id once: a list of {id, path,
-- paths and bands (with one file a band), key, fits}; and the bands that have folders, or nil. bands: the
-- list that is asked for, or nil.
function files.listed(home, ids, bands)
  local list, seen, folder = {}, {}, home .. "/cutouts"
  local function look(of)
    for _, id in ipairs(ids) do
      local entry = not seen[id] and not id:find "[/%z\n]" and of(id)
      if entry then list[#list + 1], seen[id] = entry, true end
    end
  end
  look(function(id) return single(folder, id) end)
  local own
  if #list == 0 then
    own = folders(home)
    local there = {}
    for _, name in ipairs(own) do there[name] = true end
    for _, name in ipairs(#own > 0 and bands or {}) do
      if not there[name] then
        raise("there is no folder %s/%s of the band %s, the bands are %s", folder, name, name,
          table.concat(own, ", "))
      end
    end
    if #own > 0 then
      own = bands or own
      look(function(id) return by_band(folder, id, own) end)
    end
  end
  if #list > 0 then refuse_mixed(home, list) end
  return list, own and #own > 0 and own or nil
end

-- ---- what they are ----

local form = ffi.new "gal_image_form"

--- files.names(text): the names in a text with commas, a list.
function files.names(text)
  local names = {}
  for name in text:gmatch "[^,]+" do names[#names + 1] = name end
  return names
end

-- Reads the form of the first file that can be read into `form`; returns its path.
local function first_readable(list)
  local problem
  for _, entry in ipairs(list) do
    if C.gal_image_read_form(form, entry.path) == 0 then return entry.path end
    problem = problem or entry.path .. " " .. ffi.string(C.gal_error())
  end
  raise("none of %d cutouts can be read: %s", #list, problem)
end

--- files.refuse_wish(file, deep, o): raises where cutouts are of another kind than a run's were, or a form of
-- scaling, or bands, are asked for that such cutouts can't have. o: files.form's.
function files.refuse_wish(file, deep, o)
  if o.of_run and not deep and o.scaling ~= "none" then
    raise("%s is a picture of 8 bits, but the flow was trained on images of the bands %s: it needs such FITS "
      .. "files", file, table.concat(o.bands, ", "))
  elseif o.of_run and deep and o.scaling == "none" and not file:lower():find "%.png$" then
    raise("%s is no picture of 8 bits, but the flow was trained on such: it needs JPEG or PNG files", file)
  elseif not deep and (o.scaling == "asinh" or o.scaling == "linear") then
    raise("scaling is %s, but %s is a picture of 8 bits, whose values are scaled already", o.scaling, file)
  elseif not deep and o.bands then
    local bands = table.concat(o.bands, ",")
    raise("bands is %s, but %s is a picture in three colours, expected FITS", bands, file)
  elseif deep and o.scaling == "none" and not file:lower():find "%.png$" then
    raise("scaling is none, but %s is no picture: expected asinh or linear", file)
  end
end

-- The bands to use of a file with those of `form`: those that are asked for, else all. Raises where it lacks
-- one.
local function bands_in(file, o)
  local own, has = files.names(ffi.string(form.names)), {}
  for _, name in ipairs(own) do has[name] = true end
  for _, name in ipairs(o.bands or {}) do
    if not has[name] then
      raise("%s %s, but %s has the bands %s", o.of_run and "the flow was trained on the band" or "bands has",
        name, file, table.concat(own, ", "))
    end
  end
  return o.bands or own
end

--- files.form(list, folders, o): the form of the cutouts in the list: {deep, size (pixels a side), like (the
-- file that has it), bands (names), resize}. o: {resize, scaling, bands, of_run (these are a run's)}. Raises
-- where none can be read, the first is not square, or they can't be what o asks for.
function files.form(list, own_folders, o)
  local resize, largest = o.resize or 0, tonumber(C.GAL_LARGEST_SIDE)
  if resize < 0 or resize > largest or resize % 1 ~= 0 then
    raise("resize is %g, expected a whole number of pixels from 1 to %d, or 0: as they are", resize, largest)
  end
  local file = first_readable(list)
  local deep = form.deep ~= 0 and o.scaling ~= "none" or list[1].fits
  files.refuse_wish(file, form.deep ~= 0, o)
  if resize == 0 and form.width ~= form.height then
    raise("%s is %d x %d pixels, expected a square; --resize N scales every cutout to N x N", file,
      tonumber(form.width), tonumber(form.height))
  end
  local self = {
    deep = deep, size = resize > 0 and resize or tonumber(form.width), like = file, resize = resize,
    side = tonumber(form.width),
  }
  if deep then self.bands = own_folders or bands_in(file, o) end
  if deep and #self.bands > C.GAL_LARGEST_BANDS then
    raise("there are %d bands, expected at most %d", #self.bands, tonumber(C.GAL_LARGEST_BANDS))
  end
  return self
end

-- ---- where they are from ----

--- files.source(home): the cutouts' source by cutouts/source.json, which fetching writes: {source, release,
-- layer, scale (arcsec a pixel), size (pixels)}; nil where there is none. Raises where that file holds
-- something else.
function files.source(home)
  local file = home .. "/cutouts/source.json"
  local text = path.kind(file) and path.read(file)
  if not text then return nil end
  local known, told = pcall(json.decode, text)
  if not known or type(told) ~= "table" then
    raise("%s is no JSON object: remove it, or write it anew", file)
  end
  local kinds = { source = "string", release = "string", layer = "string", scale = "number", size = "number" }
  for name, kind in pairs(kinds) do
    if told[name] ~= nil and type(told[name]) ~= kind then
      raise("%s: its %s is %s, expected a %s", file, name, errors.kind(told[name]), kind)
    end
  end
  if not told.source or (told.scale and not (told.scale > 0 and told.scale < math.huge)) then
    raise("%s: its source is %s and its scale %s, expected a name and arcsec a pixel", file,
      errors.kind(told.source), errors.kind(told.scale))
  end
  local function word(name) return told[name] ~= "" and told[name] or nil end
  return {
    source = told.source, release = word "release", layer = word "layer", scale = told.scale,
    size = told.size, file = file,
  }
end

return files
