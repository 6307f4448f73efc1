-- data/survey: the object that gal.data opens: galaxies with their properties, and other surveys made of some
-- of them. Its fields, for N galaxies:
--   ids {N}         their ids, strings
--   rows {N}        their rows in the table, from 1
--   deciding        {position = id}: the ids that say which part galaxies close to others are in
--                   (data/split.lua); nil where each has its own
--   theta {N, d}    properties, a tensor; nil where the survey was opened without
--   context {N, c}  what they are inferred from, a tensor; nil where there is none
--   images {N}      a set of images (gal.images); nil where they were not asked for
--   names           {theta = {d names}, context = {c names}}
--   path            the table's file; nil for arrays, as are the next six
--   id_column       the column of the ids; nil: rows are numbered
--   hdu             the HDU that was asked for, a number or a name; nil: the file's first table
--   asked           {theta =, context =}: the columns that were asked for
--   dereddened, ab_offsets, sample, missing, missing_value   as data.open was told
--   close           arcsec within which galaxies share a part; nil where none are so close
--   fill            {column = value} of masked columns; nil where missing is "drop"
--   prepared        of the images, nil without: {crop, bin, resize, packed, side (in pixels, before the
--                   crop), pixel_scale (arcsec, before bin; nil where unknown), source ({source, release,
--                   layer}, as fetching wrote it), scaling (of float32 images: gal.data.scaling)}
--   damaged         of the images: a list of {id, problem}, those that could not be decoded
--   header          {KEYWORD = value}: what the table's header says of it; nil where it says nothing
--   units           {column = unit} of its properties, as the table says; nil where it says none
--   corrected       the columns that extinction was taken off
--   shifted         the columns that offsets to AB were added to; nil where none were given
--   derived         the columns that were made of others: a_v of tauv_cont
--   total           rows read
--   dropped         a list of {reason, count}: the rows that fell out, each under the first reason that holds
--   suspects        sentences on values that may stand for missing ones, or are odd otherwise
local colours = require "gal.data.colours"
local describe = require "gal.data.describe"
local host = require "gal.stats.host"
local identity = require "gal.data.ids"
local path = require "gal.base.path"
local errors = require "gal.base.errors"
local raise = errors.raise
local split = require "gal.data.split"

local survey = { losses = describe.losses, describe = describe.describe }
survey.__index = survey

--- new(fields): a survey with these fields; corrected, derived, dropped and suspects are empty lists where
-- they are not given.
local function new(fields)
  for _, name in ipairs{ "corrected", "derived", "dropped", "suspects" } do
    fields[name] = fields[name] or {}
  end
  return setmetatable(fields, survey)
end

--- survey:choices(): what data.reopen needs to open another survey as this one was: a table that JSON can
-- hold.
function survey:choices()
  if not self.path then raise "choices: the survey is of arrays, expected one of a table's file" end
  local list = require("gal.base.json").list
  return {
    survey = path.absolute(self.path), hdu = self.hdu or false, id = self.id_column or identity.NUMBERS,
    theta = self.asked.theta, context = self.asked.context, dereddened = self.dereddened,
    sample = self.sample, missing = self.missing, missing_value = self.missing_value, fill = self.fill,
    images = self.prepared, header = self.header, units = self.units, close = self.close,
    ab_offsets = self.ab_offsets, shifted = self.shifted,
    corrected = setmetatable(self.corrected, list), derived = setmetatable(self.derived, list),
  }
end

--- survey:select(positions): the galaxies of this survey at the positions listed, from 1, as a survey.
function survey:select(positions)
  errors.list("select", "positions", positions, "a list of numbers from 1")
  for i = 1, #positions do
    errors.integer("select", ("positions[%d]"):format(i), positions[i], 1, #self.ids)
  end
  local part = {}
  for key, value in pairs(self) do part[key] = value end
  part.ids, part.rows, part.deciding = {}, {}, self.deciding and {}
  for i, k in ipairs(positions) do
    part.ids[i], part.rows[i] = self.ids[k], self.rows[k]
    if self.deciding then part.deciding[i] = self.deciding[k] end
  end
  part.theta = self.theta and self.theta:rows(positions)
  part.context = self.context and self.context:rows(positions)
  part.images = self.images and self.images:rows(positions)
  return new(part)
end

--- survey:thin(n): at most n galaxies, spread evenly over the survey, as a survey.
function survey:thin(n)
  errors.integer("thin", "n", n, 1)
  return self:select(host.evenly(#self.ids, n))
end

--- survey:part(k): the part, "train", "valid" or "test", of galaxy k: by its id, or by the smallest of those
-- of galaxies that are close to it.
function survey:part(k)
  errors.integer("part", "k", k, 1, #self.ids)
  return split.part(self.deciding and self.deciding[k] or self.ids[k])
end

--- survey:positions(part): the positions of the galaxies in a part, "train", "valid" or "test".
function survey:positions(part)
  if part ~= "train" and part ~= "valid" and part ~= "test" then
    raise('the part is "%s", expected "train", "valid" or "test"', tostring(part))
  end
  local positions = {}
  for k = 1, #self.ids do
    if self:part(k) == part then positions[#positions + 1] = k end
  end
  return positions
end

--- survey:split(part): the galaxies of a part, "train", "valid" or "test", as a survey. Raises where the part
-- is empty.
function survey:split(part)
  local positions = self:positions(part)
  if #positions == 0 then
    raise("the %s part is empty: the survey has %d galaxies, too few for a split of 80/10/10 by id", part,
      #self.ids)
  end
  return self:select(positions)
end

--- survey:fold(i, n): fold i of n: the galaxies outside it and those in it, two surveys. Galaxy k, in file
-- order from 0, is in fold k mod n; one that is close to an earlier galaxy is in that one's fold.
function survey:fold(i, n)
  local rest, held, first = {}, {}, {}
  errors.integer("fold", "n", n, 1)
  errors.integer("fold", "i", i, 0, n)
  for k = 1, #self.ids do
    local group = self.deciding and self.deciding[k]
    local of = group and first[group] or k
    if group then first[group] = of end
    local list = (of - 1) % n == i and held or rest
    list[#list + 1] = k
  end
  return self:select(rest), self:select(held)
end

--- survey:of(ids): the galaxies that have one of these ids, in the order of the ids, as a survey. Raises
-- where none has.
function survey:of(ids)
  local where, positions = {}, {}
  errors.list("of", "ids", ids, "a list of ids")
  for k, id in ipairs(self.ids) do where[id] = k end
  for _, id in ipairs(ids) do positions[#positions + 1] = where[id] end
  if #positions == 0 then raise("%s has none of the %d galaxies", self.path or "the survey", #ids) end
  return self:select(positions)
end

--- survey:at(rows): the galaxies at these rows of the table, in their order, as a survey; rows without one
-- are left out. Raises where none has one.
function survey:at(rows)
  local where, positions = {}, {}
  errors.list("at", "rows", rows, "a list of rows")
  for k, row in ipairs(self.rows) do where[row] = k end
  for _, row in ipairs(rows) do positions[#positions + 1] = where[row] end
  if #positions == 0 then raise("%s has none of the %d galaxies", self.path or "the survey", #rows) end
  return self:select(positions)
end

--- survey:source(): the survey's table, opened again as it was: with its ids, its marks of missing values and
-- its offsets to AB, as gal.data.columns reads it.
function survey:source()
  if not self.path then raise "source: the survey is of arrays, expected one of a table's file" end
  local source = require("gal.table").open(self.path, { hdu = self.hdu, id = self.id_column })
  source.marks, source.offsets = self.missing_value, self.ab_offsets
  return source
end

--- survey:blind(): the same galaxies without their images, as a survey.
function survey:blind()
  local part = self:thin(#self.ids)
  part.images, part.damaged, part.prepared = nil, nil, nil
  return part
end

--- survey:pictures(positions): the images of the galaxies at these positions, from 1, to look at: {n, H, W,
-- 3} of uint8. Images of bands are shown in colours (gal.data.colours).
function survey:pictures(positions)
  if not self.images then raise "pictures: the survey has no images" end
  local images = self.images:read(positions)
  return colours.shown(images, self.prepared and self.prepared.scaling)
end

--- survey:seen(): what a flow is given of the galaxies: context {N, c}, or {context or nil, images} where the
-- survey has images.
function survey:seen()
  if not self.images then return self.context end
  return { self.context, self.images }
end

errors.methods(survey, "a survey")

return { new = new }
