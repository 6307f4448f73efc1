-- data/open: opens a table file or a survey's folder as a survey: takes the columns and rows, and adds the
-- images. The meaning of a column's values is in data/columns.lua.
local columns = require "gal.data.columns"
local cutouts = require "gal.data.cutouts"
local describe = require "gal.data.describe"
local gal = require "gal"
local path = require "gal.base.path"
local errors = require "gal.base.errors"
local raise = errors.raise
local survey = require "gal.data.survey"

local open = {}

open.theta = { "lgm_tot_p50", "sfr_tot_p50", "oh_p50", "d4000_n", "a_v" }
open.context = { "modelMag_u", "modelMag_g", "modelMag_r", "modelMag_i", "modelMag_z" }

-- The first of these that the table has is the column of the galaxies' ids.
local ID_COLUMNS = { "objID", "specObjID", "name" }

-- The ids of a table's rows, and the column that has them; without one they are the rows' numbers.
local function ids_of(source, asked)
  local id = asked and (columns.spelling(source, asked) or asked)
  for _, name in ipairs(ID_COLUMNS) do id = id or columns.spelling(source, name) end
  if id then return source:ids(id), id end
  local numbers = {}
  for k = 1, source.rows do numbers[k] = ("%d"):format(k) end
  return numbers
end

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

-- Raises where an id names two of the rows: one of them could be trained on, and the other asked about.
local function refuse_duplicate_ids(file, id_column, ids, rows)
  local row, first, again = {}, nil, 0
  for _, k in ipairs(rows) do
    if row[ids[k]] then
      first, again = first or k, again + 1
    else
      row[ids[k]] = k
    end
  end
  if not first then return end
  local more = again > 1 and (" (%s rows repeat an id)"):format(describe.thousands(again)) or ""
  raise("%s: %s %s is in row %d and in row %d%s; expected each galaxy once", file, id_column, ids[first],
    row[ids[first]], first, more)
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

--- open.attach_images(self, ids, found, options): gives a survey the images of its galaxies. ids: of all rows
-- of its table; found: gal.data.cutouts' answer for them; options: data.open's images.
function open.attach_images(self, ids, found, options)
  local places = {}
  for r, id in ipairs(self.ids) do places[r] = found.row[id] end
  self.images, self.damaged = found.images:rows(places), {}
  self.prepared = {
    crop = options.crop or 0, bin = options.bin or 1, resize = options.resize or 0,
    packed = options.packed and path.absolute(options.packed),
  }
  for _, id in ipairs(ids) do
    local problem = found.problem[id]
    if problem then self.damaged[#self.damaged + 1] = { id = id, problem = problem } end
  end
end

-- The columns of a table that were asked for, as gal.data.columns has them.
local function requested(source, names, dereddened)
  local list = {}
  for i, name in ipairs(names) do list[i] = columns.requested(source, name, dereddened) end
  return list
end

-- Appends what is worth saying of these columns to the survey: extinction that was taken off, suspicious
-- values.
local function remark(self, list)
  for _, column in ipairs(list) do
    if column.extinction then table.insert(self.corrected, column.name) end
    self.suspects[#self.suspects + 1] = columns.suspect(column, self.rows)
  end
end

-- Where data.open's images are wanted, gal.data.cutouts' answer for all rows of the table in this file.
local function images_of(file, ids, options)
  return options and cutouts.open(file:match "^(.*)/[^/]*$" or ".", ids, options)
end

--- data.open(path[, options]): opens a survey; path is a table file or a folder with catalog.fits or
-- catalog.csv. options:
--   theta, context  lists of columns (the five properties; ugriz model magnitudes). Any column will do;
--                   "a_v" is 1.086 tauv_cont where it is absent.
--   dereddened      true: every magnitude …Mag_b less extinction_b, where the table has that column
--   sample          "none", or "paper": the cuts of Yunus, Wu & Holwerda (2025)
--   missing         "drop": rows without all values fall out (-9999, NaN, infinite); "mask": a missing
--                   context value is filled, and a column `…_missing`, 1 or 0, added
--   fill            with "mask": {column = value} of the columns to mask, as an earlier survey's `fill`
--   images          nil: none; or {crop = 0, bin = 1, resize = 0, packed = folder, progress = true}, as
--                   gal.data.cutouts has them: the galaxies' cutouts/<id>.jpg
--   id              the column of ids; else the first of objID, specObjID and name; else rows are numbered
-- Returns a survey (its fields stand at the head of data/survey.lua). Raises where the file or a column is
-- missing, where no row is left, and where two have the same id.
function open.open(place, options)
  options = errors.list("open", "options", options or {}, "a table of options")
  for _, name in ipairs{ "theta", "context" } do
    for i, column in ipairs(errors.list("open", name, options[name] or {}, "a list of columns")) do
      errors.text("open", ("%s[%d]"):format(name, i), column, "the name of a column")
    end
  end
  local dereddened, missing = options.dereddened ~= false, options.missing or "drop"
  if missing ~= "drop" and missing ~= "mask" then
    raise('missing is "%s", expected "drop" or "mask"', tostring(missing))
  end
  local asked = { theta = options.theta or open.theta, context = options.context or open.context }
  local file = columns.find(place)
  local source = gal.table(file)
  local theta, context = requested(source, asked.theta, false), requested(source, asked.context, dereddened)
  local fill = columns.masks(context, { missing = missing, fill = options.fill })
  local cuts = columns.sample_cuts(source, options.sample or "none")
  local function add(more) for _, cut in ipairs(more) do cuts[#cuts + 1] = cut end end
  add(columns.missing_cuts(theta, context, fill))
  local all, id_column = ids_of(source, options.id)
  local found = images_of(file, all, options.images)
  if found then add(columns.image_cuts(all, found)) end

  local rows, dropped = open.rows_of(source.rows, cuts)
  local self = survey.new{
    path = file, total = source.rows, rows = rows, dropped = dropped, dereddened = dereddened,
    sample = options.sample or "none", missing = missing, fill = missing == "mask" and fill or nil,
    id_column = id_column, ids = {}, names = {}, asked = asked,
  }
  if #rows == 0 then raise("%s: no galaxy is left: %s", file, self:losses()) end
  refuse_duplicate_ids(file, id_column, all, rows)
  remark(self, theta)
  remark(self, context)
  self.theta, self.names.theta = open.matrix_of(theta, rows, {})
  self.context, self.names.context = open.matrix_of(context, rows, fill)
  for r, k in ipairs(rows) do self.ids[r] = all[k] end
  if found then open.attach_images(self, all, found, options.images) end
  return self
end

-- Raises where the images are asked for in another form than the flow was trained on.
local function refuse_other_images(images, options)
  if images then errors.list("reopen", "choices.images", images, "a table") end
  for _, name in ipairs{ "crop", "bin", "resize" } do
    local chosen = images and images[name]
    if options[name] ~= nil and options[name] ~= chosen then
      local trained = images and ("images with %s = %d"):format(name, chosen) or "no images"
      raise("%s is %s, but the flow was trained on %s", name, tostring(options[name]), trained)
    end
  end
end

-- Raises where a magnitude that extinction was taken off in training was not corrected here.
local function refuse_uncorrected(opened, corrected)
  local here = {}
  for _, name in ipairs(opened.corrected) do here[name] = true end
  for _, name in ipairs(corrected) do
    if not here[name] then
      raise("%s has no extinction_%s, which came off %s where the flow was trained; --dereddened says that "
        .. "its magnitudes are corrected already", opened.path, name:match "%a$", name)
    end
  end
end

--- data.reopen(choices[, options]): opens a survey as `choices` (survey:choices(), which flows carry as their
-- notes) say. options: survey, another table; dereddened, crop and bin, which must be what was chosen;
-- packed, as data.open's images have it; images = false: without them; theta = false: every row with the
-- context, whether or not its properties are known, so that the survey has no theta, and cuts on properties
-- are left out. A flow that learned from magnitudes or images of one kind gives wrong answers, and no
-- warning, for those of another: that is refused.
function open.reopen(choices, options)
  options = errors.list("reopen", "options", options or {}, "a table of options")
  errors.list("reopen", "choices", choices or {}, "what survey:choices() returned")
  if not choices then
    raise "the flow does not say which survey it learned from: it was not trained by an experiment"
  end
  if options.dereddened ~= nil and options.dereddened ~= choices.dereddened then
    local kinds = {
      [true] = "dereddened magnitudes", [false] = "magnitudes as they are, without dereddening",
    }
    raise("dereddened is %s, but the flow was trained on %s", tostring(options.dereddened),
      kinds[choices.dereddened])
  end
  local asked, images = {}, choices.images
  for key, value in pairs(choices) do asked[key] = value end
  refuse_other_images(images, options)
  if options.theta == false then asked.theta, asked.sample = {}, "none" end
  if options.images == false then
    asked.images = nil
  elseif images then
    local packed = options.packed or not options.survey and images.packed or nil
    asked.images = { crop = images.crop, bin = images.bin, resize = images.resize, packed = packed }
  end
  local opened = open.open(options.survey or choices.survey, asked)
  if options.dereddened == nil then refuse_uncorrected(opened, choices.corrected or {}) end
  return opened
end

return open
