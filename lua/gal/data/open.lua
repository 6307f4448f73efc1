-- data/open: opens a table file or a survey's folder as a survey: takes the columns and rows, and adds the
-- images. The meaning of a column's values is in data/columns.lua.
local columns = require "gal.data.columns"
local cutouts = require "gal.data.cutouts"
local gal = require "gal"
local is_utf8 = require("gal.base.text").is_utf8
local known = require("gal.base.options").known
local identity = require "gal.data.ids"
local offsets = require "gal.data.offsets"
local path = require "gal.base.path"
local errors = require "gal.base.errors"
local raise = errors.raise
local sample = require "gal.data.sample"
local scaling = require "gal.data.scaling"
local split = require "gal.data.split"
local survey = require "gal.data.survey"
local terms = require "gal.data.terms"

local open = {}

open.theta = { "lgm_tot_p50", "sfr_tot_p50", "oh_p50", "d4000_n", "a_v" }
open.context = { "modelMag_u", "modelMag_g", "modelMag_r", "modelMag_i", "modelMag_z" }

--- open.rows_of(total, cuts): the rows from 1 to total that pass every cut, in order, and a list of {reason,
-- count} of the others, each counted under the first cut that it fails. cuts: a list of {reason, test(row)}.
function open.rows_of(total, cuts)
  local rows, counts, dropped = {}, {}, {}
  for k = 1, total do
    local failed
    for i = 1, #cuts do
      if not cuts[i][2](k) then
        failed = i
        break
      end
    end
    if failed then counts[failed] = (counts[failed] or 0) + 1 else rows[#rows + 1] = k end
  end
  for i = 1, #cuts do
    if counts[i] then dropped[#dropped + 1] = { reason = cuts[i][1], count = counts[i] } end
  end
  return rows, dropped
end

--- open.matrix_of(list, rows, fill): the values of these columns (gal.data.columns) at these rows as a tensor
-- {#rows, width} on the host, and the names of its columns. A column with a value in `fill` has its gaps
-- filled with it, and another column, `…_missing`, 1 or 0, behind all of the list's. nil where the list is
-- empty.
function open.matrix_of(list, rows, fill)
  local names, flat = {}, {}
  for i, column in ipairs(list) do names[i] = column.name end
  for _, column in ipairs(list) do
    if fill[column.name] then names[#names + 1] = column.name .. "_missing" end
  end
  if #list == 0 then return nil, names end
  for r, k in ipairs(rows) do
    local base, extra = (r - 1) * #names, #list
    for i, column in ipairs(list) do
      local value, filled = columns.value_at(column, k), fill[column.name]
      local gap = value ~= value
      if filled then
        extra = extra + 1
        flat[base + extra] = gap and 1 or 0
      end
      flat[base + i] = gap and filled or value
    end
  end
  return gal.tensor(flat, { #rows, #names }, { device = "cpu" }), names
end

-- The set of a survey's images as a network is shown them, and the numbers of that; wanted: those of a run,
-- or "asinh" (nil, too) or "linear", by which they are chosen by the survey's training galaxies.
local function scaled(self, found, wanted, progress)
  local set, numbers = self.images, wanted
  if type(wanted) ~= "table" then
    local train = self:positions "train"
    local learned, gaps = #train > 0 and set:rows(train) or set, false
    for _, k in ipairs(train) do gaps = gaps or found.gaps[self.ids[k]] ~= nil end
    numbers = scaling.choose(learned, wanted or "asinh", found.bands, { gaps = gaps, progress = progress })
  end
  return set:scaled(numbers), numbers
end

-- What is worth saying of the images of these galaxies: pixels without a value that no channel tells of,
-- cutouts that don't say their scale.
local function image_remarks(self, found)
  local sentences, gaps = {}, 0
  for _, id in ipairs(self.ids) do
    if found.gaps and found.gaps[id] then gaps = gaps + 1 end
  end
  local numbers = self.prepared.scaling
  if gaps > 0 and numbers and not numbers.mask then
    local form = "suspicious: %d of %d cutouts have pixels without a value, those that were learned from had "
      .. "none: the mean stands in their place"
    sentences[1] = form:format(gaps, #self.ids)
  end
  if found.unscaled and found.unscaled > 0 and found.scale then
    local form = "suspicious: %d cutouts do not say their pixels' scale (WCS): %.4g arcsec is taken"
    sentences[#sentences + 1] = form:format(found.unscaled, found.scale)
  end
  return sentences
end

--- open.attach_images(self, ids, found, options): gives a survey the images of its galaxies. ids: of all rows
-- of its table; found: gal.data.cutouts' answer for them; options: data.open's images. Returns sentences on
-- what is odd about them.
function open.attach_images(self, ids, found, options)
  local places = {}
  for r, id in ipairs(self.ids) do places[r] = found.row[id] end
  self.images, self.damaged = found.images:rows(places), {}
  self.prepared = {
    crop = options.crop or 0, bin = options.bin or 1, resize = options.resize or 0, side = found.side,
    packed = found.packed, pixel_scale = found.scale, source = found.source,
  }
  if found.bands then
    self.images, self.prepared.scaling = scaled(self, found, options.scaling, options.progress)
  end
  for _, id in ipairs(ids) do
    local problem = found.problem[id]
    if problem then self.damaged[#self.damaged + 1] = { id = id, problem = problem } end
  end
  return image_remarks(self, found)
end

-- The texts of a list as the table `source` spells its columns; SDSS's names, by which runs on different
-- tables meet, stay as they are.
local function spelled(source, list)
  local standard, texts = {}, columns.respelled(source, list)
  for _, names in ipairs{ open.theta, open.context } do
    for _, name in ipairs(names) do standard[name] = true end
  end
  for i, text in ipairs(list) do
    if standard[text] then texts[i] = text end
  end
  return texts
end

-- HDUs that are looked through for a column, at most.
local HDUS = 50

-- The columns of a table that were asked for, as gal.data.columns has them.
local function requested(source, names, dereddened, option)
  local list = {}
  for i, name in ipairs(names) do list[i] = columns.requested(source, name, dereddened, option) end
  return list
end

-- Raises where a table of a FITS file lacks a column and another one has it.
local function refuse_other_hdu(source, file, names, hdu)
  if hdu then return end
  for _, name in ipairs(names) do
    for k = 1, columns.has(source, name) and 0 or HDUS do
      local ok, other = pcall(gal.table, file, { hdu = k })
      if ok and columns.has(other, name) then
        raise("%s: its first table has no column %s, the one in HDU %d has: see --hdu %d", file, name, k, k)
      end
      local past = tostring(other):find "there is no HDU" or tostring(other):find "is one table"
      if not ok and past then break end
    end
  end
end

-- Appends these sentences to the survey's suspects.
local function suspect(self, sentences)
  for _, sentence in ipairs(sentences) do table.insert(self.suspects, sentence) end
end

-- Appends the names of a list, or nil, to `list` that it lacks.
local function add_new(list, names)
  for _, name in ipairs(names or {}) do
    local known = false
    for _, other in ipairs(list) do known = known or other == name end
    if not known then list[#list + 1] = name end
  end
end

-- Appends what is worth saying of these columns to the survey: extinction that was taken off, what was made
-- of other columns, odd values.
local function remark(self, source, list, inferred)
  for _, column in ipairs(list) do
    add_new(self.corrected, column.corrected)
    add_new(self.shifted or {}, column.shifted)
    if column.derived then table.insert(self.derived, column.name) end
    suspect(self, { column.told })
    suspect(self, columns.suspects(source, column, self.rows, inferred))
  end
end

-- Raises where an offset is given of a band in which the context has no magnitude.
local function refuse_unused(self)
  local used = {}
  for _, name in ipairs(self.shifted or {}) do used[name:match "%a$":lower()] = true end
  for band in pairs(self.ab_offsets or {}) do
    if not used[band] then
      raise("ab_offsets has the band %s, but the context has no magnitude such as modelMag_%s", band, band)
    end
  end
end

-- Galaxies that are close to others get the part of the smallest of their ids. all: the ids of the table.
local function take_close(self, source, all)
  local found, told = split.close(source, all)
  suspect(self, { told })
  if not found then return end
  self.close, self.deciding = split.CLOSE, {}
  for r, k in ipairs(self.rows) do self.deciding[r] = found[k] end
end

-- Where data.open's images are wanted, gal.data.cutouts' answer for all rows of the table in this file.
local function images_of(file, ids, options)
  return options and cutouts.open(file:match "^(.*)/[^/]*$" or ".", ids, options)
end

-- Keywords that say who wrote a file and when, and not what is in it.
local WRITERS = { "^DATE", "^CREATOR$", "^STIL", "^EXTNAME$", "^EXTVER$" }

-- What the table's header says of it, {KEYWORD = value}, and the units of these columns, {name = unit}; nil
-- where it says none.
local function words_of(source, names)
  local header, units = source:header(), {}
  for name in pairs(header) do
    for _, pattern in ipairs(WRITERS) do
      if name:find(pattern) then header[name] = nil end
    end
  end
  for _, name in ipairs(names) do
    local column = name:match "=(.*)$" or name
    local unit = columns.has(source, column) and source:has(column) and source:unit(column) or ""
    if unit ~= "" and is_utf8(unit) then units[terms.label(name)] = unit end
  end
  return next(header) and header or nil, next(units) and units or nil
end

-- The options of data.open, and those of its images. without_id: what gal.data.ids' `of` takes; as_named:
-- columns keep the names that they are asked for by, and not the table's spelling: a run's are its own; like:
-- the choices of an earlier survey, whose split this one has: earlier versions knew nothing of close
-- galaxies.
local NAMES = {
  "theta", "context", "dereddened", "sample", "missing", "missing_value", "fill", "images", "id", "hdu",
  "without_id", "as_named", "ab_offsets", "like",
}
local IMAGES = { "crop", "bin", "resize", "packed", "beside", "progress", "scaling", "bands", "of_run" }

-- Raises where one of the images' options can't be what it is.
local function check_images(o)
  known("open", errors.list("open", "images", o, "a table of options"), IMAGES)
  for i, name in ipairs(errors.list("open", "images.bands", o.bands or {}, "a list of names")) do
    errors.text("open", ("images.bands[%d]"):format(i), name, "the name of a band")
  end
  if o.bands and #o.bands == 0 then raise "open: images.bands is empty, expected names of bands" end
  if type(o.scaling) == "table" then return end
  for _, kind in ipairs{ "asinh", "linear", "none" } do
    if o.scaling == nil or o.scaling == kind then return end
  end
  raise('open: images.scaling is %s, expected "asinh", "linear", "none", or what an earlier survey chose',
    errors.kind(o.scaling))
end

-- The options as a table, all of them known; raises where one of them can't be what it is.
local function checked(options)
  options = known("open", options, NAMES)
  for _, name in ipairs{ "theta", "context" } do
    for i, column in ipairs(errors.list("open", name, options[name] or {}, "a list of columns")) do
      errors.text("open", ("%s[%d]"):format(name, i), column, "the name of a column")
      if not is_utf8(column) then
        raise("open: %s[%d] is %q, which is not UTF-8, as a run has to keep it: rename the column", name, i,
          column)
      end
    end
  end
  if options.missing ~= nil and options.missing ~= "drop" and options.missing ~= "mask" then
    raise('missing is "%s", expected "drop" or "mask"', tostring(options.missing))
  end
  if options.dereddened ~= nil and type(options.dereddened) ~= "boolean" then
    raise("open: dereddened is %s, expected true or false", errors.kind(options.dereddened))
  end
  local marks = errors.list("open", "missing_value", options.missing_value or {}, "a list of numbers")
  for i, mark in ipairs(marks) do
    errors.number("open", ("missing_value[%d]"):format(i), mark)
  end
  if options.images then check_images(options.images) end
  return options
end

--- data.open(path[, options]): opens a survey; path is a table file or a folder with catalog.fits or
-- catalog.csv. options:
--   theta, context  lists of columns (the five properties; ugriz model magnitudes). Any column will do, in
--                   any case: it gets the table's spelling.
--                   "a_v" is 1.086 tauv_cont where it is absent. Also "MODELMAG[2]", an element of a column
--                   of vectors; "g-r", one of + - * / between two columns or numbers; "log10(flux)", one of
--                   log10 ln exp sqrt abs asinh; each after dereddening; "modelMag_u=MAG_U", any of these
--                   under a name, by which it is dereddened
--   dereddened      true: every magnitude …Mag_b less extinction_b, where the table has that column
--   ab_offsets      {u = -0.04, z = 0.02}: mag to add to each magnitude …Mag_u and …Mag_z of the context, to
--                   bring them to AB; nil: none
--   sample          "none", or "paper": the cuts of Yunus, Wu & Holwerda (2025)
--   missing         "drop": rows without all values fall out (-9999, NaN, infinite); "mask": a missing
--                   context value is filled, and a column `…_missing`, 1 or 0, added
--   missing_value   a list of numbers that stand for missing values, too: {99, -99}
--   fill            with "mask": {column = value} of the columns to mask, as an earlier survey's `fill`
--   images          nil: none; or {crop = 0, bin = 1, resize = 0, packed = folder, beside = a run's folder,
--                   progress = true}, as gal.data.cutouts has them: the galaxies' cutouts/<id>.jpg; of FITS,
--                   bands = {"g", "r"}: those to use; scaling = "asinh", or "linear" (lua/IMAGES.md)
--   id              the column of ids, or "none": rows are numbered; nil: the first of objID, specObjID and
--                   name; else rows are numbered, and the description says so
--   hdu             of a FITS file: the number or the name of the table's HDU; nil: its first table
-- Galaxies within 3 arcsec of one another, where the table has ra and dec in degrees, are in one part: that
-- of the smallest of their ids. Returns a survey (its fields stand at the head of data/survey.lua). Raises
-- where the file or a column is missing, where no row is left, and where two have the same id.
function open.open(place, options)
  options = checked(options)
  local dereddened, missing = options.dereddened ~= false, options.missing or "drop"
  local asked = { theta = options.theta or open.theta, context = options.context or open.context }
  columns.refuse_own_predictors(asked.theta, asked.context)
  local file = columns.find(place)
  if not is_utf8(file) then
    raise("%s: the file's name is not UTF-8, as a run has to keep it: rename it", file)
  end
  local hdu = tonumber(options.hdu) or options.hdu or nil
  local source = gal.table(file, { hdu = hdu, id = options.id })
  source.marks, source.offsets = options.missing_value, offsets.of("open", options.ab_offsets)
  refuse_other_hdu(source, file, asked.theta, hdu)
  refuse_other_hdu(source, file, asked.context, hdu)
  if not options.as_named then
    asked = { theta = spelled(source, asked.theta), context = spelled(source, asked.context) }
  end
  local theta = requested(source, asked.theta, false, "theta")
  local context = requested(source, asked.context, dereddened, "context")
  local fill = columns.masks(context, { missing = missing, fill = options.fill })
  local cuts = sample.cuts(source, options.sample or "none")
  local function add(more) for _, cut in ipairs(more) do cuts[#cuts + 1] = cut end end
  add(columns.beyond_cuts(theta, context))
  add(columns.missing_cuts(theta, context, fill))
  local all, id_column, told = identity.of(source, file, options.id, options.without_id)
  local found = images_of(file, all, options.images)
  if found then add(columns.image_cuts(all, found)) end

  local rows, dropped = open.rows_of(source.rows, cuts)
  local self = survey.new{
    path = file, total = source.rows, rows = rows, dropped = dropped, dereddened = dereddened,
    sample = options.sample or "none", missing = missing, fill = missing == "mask" and fill or nil,
    missing_value = options.missing_value, id_column = id_column, hdu = hdu, ids = {}, names = {},
    asked = asked, ab_offsets = source.offsets, shifted = source.offsets and {},
  }
  if #rows == 0 then raise("%s: no galaxy is left: %s", file, self:losses()) end
  identity.refuse_duplicates(source, file, id_column, all, rows)
  if not (id_column or options.id) then told = identity.told(source) end
  self.header, self.units = words_of(source, asked.theta)
  suspect(self, { told })
  suspect(self, { id_column and identity.rounded(id_column, all, rows) or nil })
  remark(self, source, theta, true)
  remark(self, source, context, false)
  refuse_unused(self)
  suspect(self, columns.related(theta, context, rows))
  self.theta, self.names.theta = open.matrix_of(theta, rows, {})
  self.context, self.names.context = open.matrix_of(context, rows, fill)
  for r, k in ipairs(rows) do self.ids[r] = all[k] end
  if not options.like or options.like.close then take_close(self, source, all) end
  if found then
    suspect(self, open.attach_images(self, all, found, options.images))
    suspect(self, cutouts.same(self.ids, self.images.hashes))
  end
  return self
end

return open
