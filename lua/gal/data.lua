-- A survey as the models see it: properties theta {N, d} and context {N, c} of the galaxies of a table that
-- have them all, under SDSS column names, with the rows that fell out counted by reason, and a split that
-- never moves between models because it hangs on each galaxy's id. Reading files is gal.table's;
-- standardising is the flow's.

local ffi = require "ffi"
local columns = require "gal.data.columns"
local core = require "gal.tensor"
local folder = require "gal.base.path"
local gal = require "gal"
local raise = require("gal.base.errors").raise

local data = {}
local survey = {}
survey.__index = survey

--- The five properties of Yunus, Wu & Holwerda (2025): log M*, log SFR, 12 + log(O/H), Dn4000, A_V.
data.theta = { "lgm_tot_p50", "sfr_tot_p50", "oh_p50", "d4000_n", "a_v" }
data.context = { "modelMag_u", "modelMag_g", "modelMag_r", "modelMag_i", "modelMag_z" }

--- data.find(path): the table file at path: path itself, or the catalogue in the folder of that name; raises
-- where there is none.
data.find = columns.find

-- The first of them that the table has names its galaxies.
local ID_COLUMNS = { "objID", "specObjID", "name" }
local PARTS = { "train", "valid", "test" }

--- 2215 as "2,215".
local function thousands(n)
  local text = ("%d"):format(n)
  while true do
    local replaced, count = text:gsub("^(%d+)(%d%d%d)", "%1,%2")
    if count == 0 then return text end
    text = replaced
  end
end

-- The ids of a table's rows, and the column that has them; without one they are the rows' numbers.
local function ids_of(source, asked)
  local id = asked and (columns.spelling(source, asked) or asked)
  for _, name in ipairs(ID_COLUMNS) do id = id or columns.spelling(source, name) end
  if id then return source:ids(id), id end
  local numbers = {}
  for k = 1, source.rows do numbers[k] = ("%d"):format(k) end
  return numbers
end

-- Raises where an id names two of the rows: what a model learns from one of them it would be asked about the
-- other.
local function refuse_twins(file, id_column, ids, rows)
  local row, first, again = {}, nil, 0
  for _, k in ipairs(rows) do
    if row[ids[k]] then
      first, again = first or k, again + 1
    else
      row[ids[k]] = k
    end
  end
  if not first then return end
  raise("%s: %s %s is in row %d and in row %d%s; expected each galaxy once", file, id_column, ids[first], row[ids[first]], first,
    again > 1 and (" (%s rows repeat an id)"):format(thousands(again)) or "")
end

--- Opens a survey: path is a table file or a folder with catalog.fits or catalog.csv. options:
--   theta, context  lists of columns (the five properties; ugriz model magnitudes). Any column will do; "a_v"
--   is 1.086 tauv_cont where it is absent.
--   dereddened      true: every magnitude …Mag_b less extinction_b, where the table has that column
--   sample          "none", or "paper": the cuts of Yunus, Wu & Holwerda (2025), with `unphysical` as design
--   notes have it
--   missing         "drop": rows without all values fall out (-9999, NaN, infinite);  "mask": a missing
--   context value is filled, and a column `…_missing`, 1 or 0, added
--   fill            with "mask": {column = value} of the columns to mask, as an earlier survey's `fill` has
--   it
--   images          nil: none; or {crop = 0, bin = 1, resize = 0, packed = folder, progress = true}, as
--   gal.data.cutouts has them: the galaxies' cutouts/<id>.jpg
--   id              the column of ids; else objID, specObjID or name, whichever comes first, else the row's
--   number
-- Returns a survey: theta {N, d}, context {N, c} (tensors), images {N} (a set, gal.images), names.theta and
-- names.context, ids {N} (strings), rows {N} (in the file, from 1), damaged (a list of {id, problem}, of the
-- images that could not be decoded), total (rows read), dropped (a list of {reason, count}; a row counts
-- under the first that holds), suspects (sentences on values that may stand for missing ones), dereddened,
-- sample, missing, fill, path. Raises where the file or a column is missing, where no row is left, and where
-- two have the same id.
function data.open(path, options)
  options = options or {}
  local dereddened = options.dereddened ~= false
  local how = options.missing or "drop"
  if how ~= "drop" and how ~= "mask" then raise('missing is "%s", expected "drop" or "mask"', tostring(how)) end
  local file = columns.find(path)
  local source = gal.table(file)
  local theta, context = {}, {}
  for i, name in ipairs(options.theta or data.theta) do theta[i] = columns.requested(source, name, false) end
  for i, name in ipairs(options.context or data.context) do context[i] = columns.requested(source, name, dereddened) end
  local fill = columns.masks(context, { missing = how, fill = options.fill })
  local cuts = columns.sample_cuts(source, options.sample or "none")
  for _, cut in ipairs(columns.missing_cuts(theta, context, fill)) do cuts[#cuts + 1] = cut end
  local all, id_column = ids_of(source, options.id)
  local images = options.images
  local found = images and require("gal.data.cutouts").open(file:match "^(.*)/[^/]*$" or ".", all, images)
  for _, cut in ipairs(found and columns.image_cuts(all, found) or {}) do cuts[#cuts + 1] = cut end

  local rows, counts = {}, {}
  for k = 1, source.rows do
    local reason
    for i = 1, #cuts do
      if not cuts[i][2](k) then reason = i break end
    end
    if reason then counts[reason] = (counts[reason] or 0) + 1 else rows[#rows + 1] = k end
  end
  local self = setmetatable({ path = file, total = source.rows, rows = rows, dropped = {}, dereddened = dereddened, sample = options.sample or "none",
    missing = how, fill = how == "mask" and fill or nil, id_column = id_column, ids = {}, corrected = {}, suspects = {}, names = { theta = {}, context = {} },
    asked = { theta = options.theta or data.theta, context = options.context or data.context } }, survey)
  for i = 1, #cuts do
    if counts[i] then self.dropped[#self.dropped + 1] = { reason = cuts[i][1], count = counts[i] } end
  end
  if #rows == 0 then raise("%s: no galaxy is left: %s", file, self:losses()) end
  refuse_twins(file, id_column, all, rows)
  for _, list in ipairs { theta, context } do
    for _, column in ipairs(list) do self.suspects[#self.suspects + 1] = columns.suspect(column, rows) end
  end

  local function gather(list, names)
    local width, flat = 0, {}
    for _, column in ipairs(list) do
      names[#names + 1] = column.name
      if column.extinction then self.corrected[#self.corrected + 1] = column.name end
    end
    width = #names
    for _, column in ipairs(list) do
      if list == context and fill[column.name] then
        names[#names + 1] = column.name .. "_missing"
        width = width + 1
      end
    end
    for r, k in ipairs(rows) do
      local base, extra = (r - 1) * width, #list
      for i, column in ipairs(list) do
        local value, filled = columns.value_at(column, k), list == context and fill[column.name]
        if filled then
          extra = extra + 1
          flat[base + extra] = value ~= value and 1 or 0
          if value ~= value then value = filled end
        end
        flat[base + i] = value
      end
    end
    return gal.tensor(flat, { #rows, width })
  end
  if #theta > 0 then self.theta = gather(theta, self.names.theta) end
  if #context > 0 then self.context = gather(context, self.names.context) end

  for r, k in ipairs(rows) do self.ids[r] = all[k] end
  if found then
    local places = {}
    for r, id in ipairs(self.ids) do places[r] = found.row[id] end
    self.images, self.damaged = found.images:rows(places), {}
    self.prepared = { crop = images.crop or 0, bin = images.bin or 1, resize = images.resize or 0, packed = images.packed and folder.absolute(images.packed) }
    for _, id in ipairs(all) do
      if found.problem[id] then self.damaged[#self.damaged + 1] = { id = id, problem = found.problem[id] } end
    end
  end
  return self
end

--- Opens a survey as `choices` (survey:choices(), which flows carry as their notes) say. options: survey,
-- another table; dereddened, crop and bin, which must be what was chosen; packed, as data.open's images have
-- it; images = false: without them; theta = false: every row with the context, whose properties nobody needs
-- to know, so that it has no theta, and cuts on properties are left out. A flow that learned from magnitudes
-- or images of one kind gives wrong answers, and no warning, for those of another: that is refused.
function data.reopen(choices, options)
  options = options or {}
  if not choices then raise "the flow does not say which survey it learned from: it was not trained by an experiment" end
  if options.dereddened ~= nil and options.dereddened ~= choices.dereddened then
    local kinds = { [true] = "dereddened magnitudes", [false] = "magnitudes as they are, without dereddening" }
    raise("dereddened is %s, but the flow was trained on %s", tostring(options.dereddened), kinds[choices.dereddened])
  end
  local asked, images = {}, choices.images
  for key, value in pairs(choices) do asked[key] = value end
  for _, name in ipairs{ "crop", "bin", "resize" } do
    local chosen = images and images[name]
    if options[name] ~= nil and options[name] ~= chosen then
      raise("%s is %s, but the flow was trained on %s", name, tostring(options[name]), images and ("images with %s = %d"):format(name, chosen) or "no images")
    end
  end
  if options.theta == false then asked.theta, asked.sample = {}, "none" end
  if options.images == false then
    asked.images = nil
  elseif images then
    asked.images = { crop = images.crop, bin = images.bin, resize = images.resize, packed = options.packed or not options.survey and images.packed or nil }
  end
  local opened = data.open(options.survey or choices.survey, asked)
  local here = {}
  for _, name in ipairs(opened.corrected) do here[name] = true end
  for _, name in ipairs(options.dereddened == nil and choices.corrected or {}) do
    if not here[name] then
      raise("%s has no extinction_%s, which came off %s where the flow was trained; --dereddened says that its magnitudes are corrected already", opened.path, name:match "%a$", name)
    end
  end
  return opened
end

-- The seed of the mock survey that a catalogue is, by its FITS header; nil for any other.
local function mock_seed(path)
  local file = io.open(path, "rb")
  local head = file and file:read(2 ^ 16) or ""
  if file then file:close() end
  return head:match "^SIMPLE .*MOCKSEED= *(%d+)"
end

--- Whether equal ids in two catalogues (files) mean the same galaxy. Yes, but for mock surveys of different
-- seeds, each of which numbers its own from 1.
function data.same_ids(a, b)
  local first, second = mock_seed(a), mock_seed(b)
  return first == second or not first or not second
end

--- The part of each galaxy that a run's split.csv lists: {id = "train" | "valid" | "test"}.
function data.read_split(path)
  local table_ = gal.table(path)
  local ids, parts, split = table_:ids "id", table_:strings "part", {}
  for k = 1, #ids do split[ids[k]] = parts[k] end
  return split
end

-- A .npy file as {rows, columns}, float32; {rows} counts as one column. Raises where a value is not finite.
local function matrix(path)
  local x = gal.load(path)
  if not core.is_tensor(x) then raise("%s holds several arrays, expected one (.npy)", path) end
  local shape = x.shape
  if #shape == 1 then x, shape = x:reshape{ shape[1], 1 }, { shape[1], 1 } end
  if #shape ~= 2 or shape[1] == 0 or shape[2] == 0 then raise("%s is %s, expected {rows, columns}", path, core.shape_text(x)) end
  x = x:float()
  local values, n = core.read(x)
  for i = 0, n - 1 do
    if values[i] - values[i] ~= 0 then
      raise("%s: row %d, column %d is %s, expected a finite number", path, math.floor(i / shape[2]) + 1, i % shape[2] + 1, tostring(values[i]))
    end
  end
  return x
end

--- A survey from two .npy files: theta {N, d} and x, the context {N, c}; theta may be nil. like: an earlier
-- one, whose numbers of columns these must have.
function data.open_arrays(files)
  local like, context = files.like, matrix(files.x)
  local theta = files.theta and matrix(files.theta)
  if theta and theta:size(1) ~= context:size(1) then
    raise("%s has %d rows and %s %d, expected as many", files.theta, theta:size(1), files.x, context:size(1))
  end
  if like and like.context:size(2) ~= context:size(2) then
    raise("%s has %d columns, expected %d as the training observations have", files.x, context:size(2), like.context:size(2))
  end
  if like and theta and like.theta:size(2) ~= theta:size(2) then
    raise("%s has %d columns, expected %d as the training parameters have", files.theta, theta:size(2), like.theta:size(2))
  end
  return theta and data.arrays(theta, context) or { context = context }
end

--- A survey of tensors: theta {N, d} and context {N, c} (or nil); ids are row numbers. names: {theta = {…},
-- context = {…}}, optional.
function data.arrays(theta, context, names)
  local n = theta:size(1)
  local self = setmetatable({ total = n, rows = {}, ids = {}, dropped = {}, theta = theta, context = context, names = names or {}, corrected = {}, suspects = {} }, survey)
  for k = 1, n do self.rows[k], self.ids[k] = k, ("%d"):format(k) end
  return self
end

--- "train", "valid" or "test" from an id, 80/10/10 by its hash: the same galaxy is in the same part for every
-- model, whatever else the table holds.
function data.part(id)
  local tenth = tonumber(ffi.C.gal_hash(id, #id, 0) % 10ULL)
  return tenth < 8 and "train" or tenth == 8 and "valid" or "test"
end

--- What has to be known to open another survey as this one was: a table that JSON can hold.
function survey:choices()
  return { survey = folder.absolute(self.path), theta = self.asked.theta, context = self.asked.context, dereddened = self.dereddened, sample = self.sample, missing = self.missing,
    fill = self.fill, images = self.prepared, corrected = setmetatable(self.corrected, require("gal.base.json").list) }
end

--- At most n galaxies, spread evenly over the survey, as a survey.
function survey:thin(n)
  if type(n) ~= "number" or n < 1 or n % 1 ~= 0 then raise("the number of galaxies is %s, expected a whole number of at least 1", tostring(n)) end
  local positions, all = {}, #self.ids
  for i = 1, math.min(n, all) do positions[i] = math.floor((i - 1) * all / math.min(n, all)) + 1 end
  return self:select(positions)
end

--- The galaxies of this survey at the positions listed, as a survey.
function survey:select(positions)
  local part = {}
  for key, value in pairs(self) do part[key] = value end
  setmetatable(part, survey)
  part.ids, part.rows = {}, {}
  for i, k in ipairs(positions) do part.ids[i], part.rows[i] = self.ids[k], self.rows[k] end
  part.theta = self.theta and self.theta:rows(positions)
  part.context = self.context and self.context:rows(positions)
  part.images = self.images and self.images:rows(positions)
  return part
end

--- The positions of a part's galaxies: "train", "valid" or "test".
function survey:positions(name)
  local known = false
  for _, part in ipairs(PARTS) do known = known or part == name end
  if not known then raise('the part is "%s", expected "train", "valid" or "test"', tostring(name)) end
  local positions = {}
  for k, id in ipairs(self.ids) do
    if data.part(id) == name then positions[#positions + 1] = k end
  end
  return positions
end

--- The galaxies whose ids `split` (data.read_split) does not have in one of the parts listed, as a survey.
function survey:without(split, parts)
  local positions = {}
  for k, id in ipairs(self.ids) do
    local inside = false
    for _, part in ipairs(parts) do inside = inside or split[id] == part end
    if not inside then positions[#positions + 1] = k end
  end
  if #positions == 0 then raise("all %d galaxies are in the run's %s part", #self.ids, table.concat(parts, " or ")) end
  return self:select(positions)
end

--- Raises where `split` (data.read_split) has one of this survey's galaxies in one of the parts listed; run:
-- whose split it is.
function survey:refuse(split, parts, run)
  local known = {}
  for _, id in ipairs(self.ids) do
    for _, part in ipairs(parts) do
      if split[id] == part then known[#known + 1] = id end
    end
  end
  if #known > 0 then
    raise("%d of the %d galaxies are in the %s part of %s (%s%s), expected none", #known, #self.ids, table.concat(parts, " or "), run, known[1],
      known[2] and ", " .. known[2] .. (known[3] and ", ..." or "") or "")
  end
end

--- The galaxies that have one of these ids, in the order of the ids, as a survey.
function survey:of(ids)
  local where, positions = {}, {}
  for k, id in ipairs(self.ids) do where[id] = k end
  for _, id in ipairs(ids) do positions[#positions + 1] = where[id] end
  if #positions == 0 then raise("%s has none of the %d galaxies", self.path or "the survey", #ids) end
  return self:select(positions)
end

--- The same galaxies without their images, as a survey.
function survey:blind()
  local part = self:thin(#self.ids)
  part.images, part.damaged, part.prepared = nil, nil, nil
  return part
end

--- What a flow is told of the galaxies: context {N, c}, or {context or nil, images} where the survey has
-- images.
function survey:seen()
  if not self.images then return self.context end
  return { self.context, self.images }
end

--- The galaxies of a part, "train", "valid" or "test", as a survey. Raises where the part is empty.
function survey:split(name)
  local positions = self:positions(name)
  if #positions == 0 then raise("the %s part is empty: the survey has %d galaxies, too few for a split of 80/10/10 by id", name, #self.ids) end
  return self:select(positions)
end

--- Fold i of n: the galaxies outside it and those in it, two surveys. Galaxy k, in file order from 0, is in
-- fold k mod n.
function survey:fold(i, n)
  local rest, held = {}, {}
  for k = 1, #self.ids do
    local list = (k - 1) % n == i and held or rest
    list[#list + 1] = k
  end
  return self:select(rest), self:select(held)
end

--- The losses in words: "760 of 2,215 rows dropped: 760 without d4000_n".
function survey:losses()
  local sum, parts = 0, {}
  for _, entry in ipairs(self.dropped) do
    sum = sum + entry.count
    parts[#parts + 1] = thousands(entry.count) .. " " .. entry.reason
  end
  if sum == 0 then return ("no row of %s dropped"):format(thousands(self.total)) end
  local first = #parts > 1 and " (a row counts once, under the first that holds)" or ""
  return ("%s of %s rows dropped: %s%s"):format(thousands(sum), thousands(self.total), table.concat(parts, ", "), first)
end

--- What was read, dropped and kept, how magnitudes were treated, and the split, in lines.
function survey:describe()
  local counts = { train = 0, valid = 0, test = 0 }
  for _, id in ipairs(self.ids) do
    local part = data.part(id)
    counts[part] = counts[part] + 1
  end
  local lines = {
    ("%s: %s rows"):format(self.path or "arrays", thousands(self.total)),
    self:losses(),
    ("%s galaxies kept: %s train, %s valid, %s test (80/10/10 by a hash of %s)"):format(thousands(#self.ids), thousands(counts.train),
      thousands(counts.valid), thousands(counts.test), self.id_column or "the row number"),
  }
  for _, what in ipairs { "theta", "context" } do
    if self[what] then lines[#lines + 1] = ("%-8s %s"):format(what .. ":", table.concat(self.names[what] or {}, ", ")) end
  end
  if not self.context then lines[#lines + 1] = "context: none" end
  for _, line in ipairs(self.images and columns.describe_images(self) or {}) do lines[#lines + 1] = line end
  if #self.corrected > 0 then
    lines[#lines + 1] = "corrected for Galactic extinction: " .. table.concat(self.corrected, ", ")
  elseif self.context and table.concat(self.names.context, " "):lower():find "mag_" then
    lines[#lines + 1] = self.dereddened and "no extinction column in the table: magnitudes as they are"
      or "magnitudes as they are, not corrected for Galactic extinction"
  end
  for _, sentence in ipairs(self.suspects) do lines[#lines + 1] = sentence end
  return table.concat(lines, "\n")
end

return data
