-- posterior/galaxies: the galaxies that a user means by an id, a row number, values typed by hand, or a list
-- of these, as a part of a survey (gal.data), as the run was trained to see it.
local core = require "gal.tensor"
local files = require "gal.data.cutout_files"
local ffi = require "ffi"
local errors = require "gal.base.errors"
local gal = require "gal"
local images = require "gal.images"
local named = require "gal.flow.named"
local path = require "gal.base.path"
local picture = require "gal.data.picture"
local survey_of = require "gal.data.survey"
local raise = errors.raise

local galaxies = {}

local EXACT = 2 ^ 53 -- from here on plain numbers lose digits

-- ---- by id and row ----

-- Where the ids and the rows of a survey stand in it: {id = k}, {row = k}; found once.
local places = setmetatable({}, { __mode = "k" })
local function index_of(survey)
  local index = places[survey]
  if not index then
    index = { id = {}, row = {} }
    for k, id in ipairs(survey.ids) do index.id[id], index.row[survey.rows[k]] = k, k end
    places[survey] = index
  end
  return index
end

-- An id as text: of a string without outer blanks, of a 64-bit integer (LL) its digits.
local function id_of(what)
  if type(what) == "string" then return what:match "^%s*(.-)%s*$" end
  local integer = ffi.istype("int64_t", what) or ffi.istype("uint64_t", what)
  return integer and tostring(what):gsub("U?LL$", "") or nil
end

-- The row that a plain number means. Raises where it is none.
local function row_of(n, survey)
  local total = survey.total or #survey.ids
  if n ~= n or math.abs(n) > EXACT then
    raise("posterior: %.17g is beyond 2^53, where plain numbers lose digits: write the id in quotes or "
      .. "with LL", n)
  end
  if n % 1 ~= 0 or n < 1 or n > total then
    raise("posterior: %.15g is no row of %s, which has %d; an id is written in quotes (\"%.15g\") or with LL",
      n, survey.path or "the run's rows", total, n)
  end
  return n
end

-- What stands in the table of a survey and not in the survey: the sentence about an id, or a row.
local function missing_words(survey, id, row)
  local where = survey.path or "the rows that the run was given"
  if row then
    return ("row %d of %s lacks something that the run infers from, or its cutout"):format(row, where)
  end
  local known, found = pcall(function()
    for k, own in ipairs(gal.table(survey.path, { hdu = survey.hdu }):ids(survey.id_column)) do
      if own == id then return k end
    end
  end)
  if known and found then
    return ("%s, row %d of %s, lacks something that the run infers from, or its cutout"):format(id, found,
      where)
  end
  local like = #survey.ids > 0 and (", whose ids are such as \"%s\""):format(survey.ids[1]) or ""
  return ("there is no galaxy \"%s\" among the %d of %s%s"):format(id, #survey.ids, where, like)
end

-- The survey that has a galaxy, and its place in it: the run's, else the same with the galaxies whose
-- properties are not known.
local function found_in(run, key, value)
  local survey = run:survey()
  local k = index_of(survey)[key][value]
  if k then return survey, k end
  local every = run:every()
  k = every and index_of(every)[key][value]
  if k then return every, k end
  local words = missing_words(survey, key == "id" and value, key == "row" and value)
  raise("posterior: %s", words)
end

-- ---- typed by hand ----

-- The images in these files, or a tensor of them, as the run's were prepared.
local function images_of(run, given)
  local flow, prepared = run.flow, run.flow.notes and run.flow.notes.images or {}
  if core.is_tensor(given) then
    if #given.shape == #flow.image then given = given:reshape{ 1, unpack(given.shape) } end
    return images.of(given)
  end
  local list = type(given) == "table" and given or { given }
  for i, file in ipairs(list) do
    errors.text("posterior", ("image[%d]"):format(i), file, "the path of a file")
  end
  local pixels = picture.decoded("posterior", list, prepared)
  local set = images.cropped(pixels, prepared.crop or 0, prepared.bin or 1)
  return prepared.scaling and set:scaled(prepared.scaling) or set
end

-- The galaxies whose inputs are given by name, with their images under the name "image".
local function typed(run, given)
  local flow, values, set = run.flow, {}, nil
  for name, value in pairs(given) do values[name] = value end
  if flow.encoder and values.image == nil then
    raise("posterior: the run sees images, expected image = \"FILE.jpg\", or a tensor, beside the magnitudes")
  elseif not flow.encoder and values.image ~= nil then
    raise("posterior: image is given, but the run sees no images")
  end
  if values.image ~= nil then set, values.image = images_of(run, values.image), nil end
  local context
  if flow.c > 0 then
    context = named.context("posterior", flow, values)
  elseif next(values) ~= nil then
    raise("posterior: %s is given, but the run infers from images alone", (next(values)))
  end
  local n = context and context:size(1) or set:size(1)
  if set and set:size(1) ~= n then
    raise("posterior: there are %d images of %d galaxies, expected as many", set:size(1), n)
  end
  local ids, rows = {}, {}
  for k = 1, n do ids[k], rows[k] = n == 1 and "typed by hand" or ("typed by hand %d"):format(k), k end
  return survey_of.new{
    ids = ids, rows = rows, total = n, context = context, images = set,
    names = { theta = flow.theta, context = flow.context },
  }
end

-- Galaxies by their context as the flow takes it, {c} or {N, c}, a tensor.
local function of_tensor(run, x)
  local flow = run.flow
  if flow.encoder then raise "posterior: x is a tensor, expected names with image, as the run sees images" end
  local shape = x.shape
  if #shape == 1 then x = x:reshape{ 1, -1 } end
  if #x.shape ~= 2 or x:size(2) ~= flow.c or x:size(1) == 0 then
    raise("posterior: x is %s, expected {%d} or {N, %d}: %s", core.shape_text(shape), flow.c, flow.c,
      table.concat(flow.context, ", "))
  end
  local ids, rows = {}, {}
  local n = x:size(1)
  for k = 1, n do ids[k], rows[k] = n == 1 and "of these inputs" or ("of inputs %d"):format(k), k end
  return survey_of.new{
    ids = ids, rows = rows, total = #ids, context = x:to "cpu",
    names = { theta = flow.theta, context = flow.context },
  }
end

-- ---- what is meant ----

-- The galaxy of an id or a row number, as a part of one galaxy.
local function one(run, what)
  local id = id_of(what)
  if not id and type(what) ~= "number" then
    raise("posterior: the galaxy is %s, expected an id as text or with LL, a row number, or values by name",
      errors.kind(what))
  end
  if id then
    local survey, k = found_in(run, "id", id)
    return survey, k
  end
  return found_in(run, "row", row_of(what, run:survey()))
end

-- The galaxies of a list of ids and row numbers, in its order.
local function listed(run, list)
  local known, wide, every = {}, false, nil
  for i, what in ipairs(list) do
    local survey, k = one(run, what)
    known[i] = { survey = survey, id = survey.ids[k] }
    if survey ~= run:survey() then wide, every = true, survey end
  end
  local positions, survey = {}, wide and every or run:survey()
  for i, entry in ipairs(known) do positions[i] = index_of(survey).id[entry.id] end
  return survey:select(positions)
end

--- galaxies.of(run, what): the galaxies that are meant, as a part of a survey, and whether it is one alone.
-- what: an id (text, or an integer with LL), a row number of the run's table, a list of these, inputs by name
-- as a catalogue has them (one value, or lists of N; image = FILE or a tensor where the run sees images), a
-- tensor {c} or {N, c} of inputs as the flow takes them, or a part of a survey, as the run sees it. Third:
-- how the values came: "table", "typed" or "given".
function galaxies.of(run, what)
  if core.is_tensor(what) then
    local part = of_tensor(run, what)
    return part, #what.shape == 1, "given"
  elseif type(what) ~= "table" then
    local survey, k = one(run, what)
    return survey:select{ k }, true, "table"
  elseif type(what.ids) == "table" and type(what.select) == "function" then
    if run.flow.c > 0 and not what.context or run.flow.encoder and not what.images then
      raise "posterior: the survey is seen without what the run infers from, expected run:survey()'s galaxies"
    end
    return what, false, "table"
  elseif named.is(what) then
    local part = typed(run, what)
    return part, #part.ids == 1, "typed"
  elseif #what == 0 then
    raise "posterior: the list is empty, expected ids, row numbers, or values by name"
  end
  return listed(run, what), false, "table"
end

--- galaxies.place(survey, id): the place of an id in a survey, or nil.
function galaxies.place(survey, id) return index_of(survey).id[id] end

--- galaxies.cutout(part): the images {N, H, W, 3}, uint8, of the galaxies of a part, to look at: those that
-- it has, else those in the folder cutouts beside its table, of one size. nil where there are none.
function galaxies.cutout(part)
  local every = {}
  for k in ipairs(part.ids) do every[k] = k end
  if part.images then return part:pictures(every) end
  local home = part.path and path.absolute(part.path):match "^(.*)/[^/]*$"
  local there = home and path.kind(home .. "/cutouts") == "folder"
  local list = there and files.listed(home, part.ids) or {}
  if #list < #part.ids then return nil end
  local read, problems = picture.read(list)
  if #problems > 0 then errors.raise("cutout: %s", problems[1]) end
  return read
end

return galaxies
