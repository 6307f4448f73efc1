-- data/columns: the columns of a survey's table: SDSS's names, the extinction that is subtracted from a
-- magnitude, the values that count as missing, and the reasons for which a row falls out. A column here is
-- {name, values {rows}, as single precision holds them, exact {rows}, as the table has them, extinction
-- {rows} or nil, extinction_name, offset: mag to AB (gal.data.offsets) or nil, derived: whether it was made
-- of another, corrected and shifted: the names of the columns that extinction comes off and that offsets are
-- added to, told: a sentence on where it comes from, or nil}. What a survey was told of its table goes with
-- the table: source.marks, further marks of missing values, and source.offsets.
local ffi = require "ffi"
local folder = require "gal.base.path"
local errors = require "gal.base.errors"
local raise = errors.raise
local related = require "gal.stats.related"
local suspects = require "gal.stats.suspects"
local terms = require "gal.data.terms"

local columns = {}

--- columns.MISSING: SDSS's mark of a missing value.
columns.MISSING = -9999

--- columns.missing(value): whether a number stands for a missing one: NaN, -9999, infinite.
function columns.missing(value)
  return value ~= value or value == columns.MISSING or value == math.huge or value == -math.huge
end
local missing = columns.missing

--- data.find(path): the table file at path: path itself, or the catalogue in the folder of that name. Raises
-- where there is none.
function columns.find(path)
  errors.text("find", "path", path, "a table file or a survey's folder")
  local kind = folder.kind(path)
  if kind == "file" then return path end
  if not kind then
    raise("no survey at %s: expected a table (%s) or a folder with catalog.fits or catalog.csv",
      errors.shown(path), ffi.string(ffi.C.gal_table_reads()))
  end
  for _, name in ipairs{ "catalog.fits", "catalog.fits.gz", "catalog.csv", "catalog.csv.gz" } do
    local candidate = path:gsub("/+$", "") .. "/" .. name
    if folder.kind(candidate) == "file" then return candidate end
  end
  raise("no catalogue in the folder %s: expected catalog.fits or catalog.csv", path)
end

--- columns.image_cuts(ids, found): the cuts, as gal.data.sample has them, of rows without an image. ids
-- {rows}; found: gal.data.cutouts' answer for them.
function columns.image_cuts(ids, found)
  return {
    { "without a cutout", function(k) return found.row[ids[k]] ~= nil or found.problem[ids[k]] ~= nil end },
    { "with a damaged cutout", function(k) return found.row[ids[k]] ~= nil end },
  }
end

--- columns.spelling(table_, name): the name of that column as the table spells it, case ignored; nil where it
-- has none.
function columns.spelling(table_, name)
  local wanted = name:lower()
  for _, candidate in ipairs(table_.names) do
    if candidate:lower() == wanted then return candidate end
  end
end

-- Whether the table has no column a_v, of that name, but tauv_cont.
local function is_derived(source, name)
  return name:lower() == "a_v" and not columns.spelling(source, name)
    and columns.spelling(source, "tauv_cont") ~= nil
end

-- What the text asks the table `source` for (gal.data.terms), or nil.
local function term_of(source, text)
  return terms.parse(text, function(name) return columns.spelling(source, name) end)
end

--- columns.respelled(source, list): the texts of a list as the table `source` spells its columns.
function columns.respelled(source, list)
  local respelled = {}
  for i, text in ipairs(list) do
    respelled[i] = terms.respelled(text, function(name) return columns.spelling(source, name) end)
  end
  return respelled
end

--- columns.has(source, text): whether the table `source` has that column, or it can be made of others.
function columns.has(source, text) return is_derived(source, text) or term_of(source, text) ~= nil end

--- columns.refuse_vector(source, name): raises where a row of that column of the table `source` has several
-- values, or none.
function columns.refuse_vector(source, name)
  local width = source:width(name)
  if width == 1 then return end
  local why = source.rows == 1 and width > 1 and ": the table has one row, as IDL's mwrfits writes a "
    .. "structure of arrays; expected a row for each galaxy" or ""
  local spelled = columns.spelling(source, name) or name
  if why == "" and width > 1 then why = ("; %s[1] to %s[%d] are they"):format(spelled, spelled, width) end
  raise('%s: column "%s" holds %d numbers a row, expected one%s', source.path or "the table", spelled, width,
    why)
end

-- The numbers of one element of a column of vectors {rows}.
local function element_of(source, name, element)
  local width, rows, list = source:width(name), source:doubles(name), {}
  errors.integer(source.path or "the table", ("the element of %s"):format(name), element, 1, width)
  for k, row in ipairs(rows) do list[k] = width == 1 and row or row[element] end
  return list
end

-- A list of numbers as single precision holds them.
local function singles(exact)
  local values = {}
  for k = 1, #exact do values[k] = suspects.single(exact[k]) end
  return values
end

-- The numbers of a column {rows}, or of one of its elements, as single precision holds them and as they are;
-- NaN for those that source.marks, a list, says stand for missing ones.
local function numbers(source, name, element)
  if not element then columns.refuse_vector(source, name) end
  local exact = element and element_of(source, name, element) or source:doubles(name)
  for _, mark in ipairs(source.marks or {}) do
    for k = 1, #exact do
      if exact[k] == mark then exact[k] = 0 / 0 end
    end
  end
  return singles(exact), exact
end

--- columns.values(source, name): a column's values {rows} as single precision holds them, and as they are.
-- Where the table lacks it, a_v comes from tauv_cont: A_V = 1.086 tau_V.
function columns.values(source, name)
  if is_derived(source, name) then
    local values = numbers(source, "tauv_cont")
    for k = 1, #values do
      if not missing(values[k]) then values[k] = 1.086 * values[k] end
    end
    return values, values
  end
  return numbers(source, name)
end

-- SDSS's apparent magnitudes, in lower case: extinction is subtracted from these only.
local APPARENT = {
  modelmag = true, cmodelmag = true, petromag = true, psfmag = true, fibermag = true, fiber2mag = true,
  devmag = true, expmag = true,
}

-- Pairs a column with the offset and the extinction of the band that `name`, its own or the one that it is
-- given, says. how: {dereddened: whether extinction comes off, offsets: {band = mag} or nil}.
local function to_band(source, column, name, how)
  local kind, band = name:lower():match "^(%w+)_([ugriz])$"
  if not (kind and APPARENT[kind]) then return end
  column.offset = how.offsets and how.offsets[band]
  column.shifted = column.offset and { column.name }
  local extinction = how.dereddened and columns.spelling(source, "extinction_" .. band)
  if not extinction then return end
  column.extinction_name, column.extinction = extinction, numbers(source, extinction)
  column.corrected = { column.name }
end

-- Appends what is in the list `more`, or nil, to a list.
local function extend(list, more)
  for _, name in ipairs(more or {}) do list[#list + 1] = name end
end

-- The values of a term's operand as a function of the row, in double precision, dereddened and in AB: NaN
-- where they are missing. The names of magnitudes that extinction came off, and that were shifted, are
-- appended to those of the column `whole`.
local function operand_of(source, operand, how, whole)
  if operand.number then return function() return operand.number end end
  local column = { name = operand.column }
  column.values, column.exact = numbers(source, operand.column, operand.element)
  if not operand.element then to_band(source, column, operand.column, how) end
  extend(whole.corrected, column.corrected)
  extend(whole.shifted, column.shifted)
  local offset = column.offset or 0
  return function(k)
    local value, extinction = column.exact[k], column.extinction and column.extinction[k] or 0
    return (missing(value) or missing(extinction)) and 0 / 0 or value - extinction + offset
  end
end

-- The column of a term with an operator or a function. What is not finite is missing.
local function composed(source, term, how)
  local column, exact = { name = term.label, corrected = {}, shifted = {} }, {}
  local a = operand_of(source, term[1], how, column)
  local b = term[2] and operand_of(source, term[2], how, column)
  for k = 1, source.rows do
    local value = term.apply(a(k), b and b(k))
    exact[k] = value - value == 0 and value or 0 / 0
  end
  column.values, column.exact = singles(exact), exact
  return column
end

-- Raises: the table lacks what the text asks for. option: the one that asked, "theta", "context" or nil.
local function refuse_absent(source, text, option)
  local ok, err = pcall(source.column, source, terms.wanted(text)) -- names those that are near
  if ok then
    raise("%s has no column %s, and it is no term: expected one of + - * / between two columns or numbers, "
      .. "or one of %s of a column", source.path or "the table", text, terms.FUNCTIONS)
  end
  local sentence = tostring(err):gsub("^.*column: ", "")
  if not option then raise("%s", sentence) end
  local rename = errors.option "rename"
  if rename:find "^%-%-" then
    raise("%s; %s NAME=COLUMN takes it from another", sentence, rename)
  end
  raise("%s; %s names what to %s", sentence, errors.option(option),
    option == "theta" and "infer" or "infer it from")
end

--- columns.requested(source, text, dereddened, option): the column that the text asks the table `source` for:
-- one of that name, or a term of gal.data.terms. Where dereddened is true, modelMag_u and its like are paired
-- with extinction_u; a column that is renamed to such a name, too; and with their offsets to AB, unless it is
-- a property. Raises where the table has nothing such; option: "theta" or "context", which asked, or nil.
function columns.requested(source, text, dereddened, option)
  local derived = is_derived(source, text)
  local term = not derived and term_of(source, text)
  if not derived and not term then refuse_absent(source, text, option) end
  local how = { dereddened = dereddened, offsets = option ~= "theta" and source.offsets or nil }
  if term and term.apply then
    local column = composed(source, term, how)
    if term.renamed then column.told = ("%s is %s"):format(term.label, text:match "=%s*(.*)$") end
    return column
  end
  local column = { name = derived and text or term.label, derived = derived }
  if derived then
    column.values, column.exact = columns.values(source, text)
  else
    column.values, column.exact = numbers(source, term.column, term.element)
  end
  to_band(source, column, column.name, how)
  if term and term.renamed then
    column.told = ("%s is %s%s"):format(term.label, text:match "=%s*(.*)$",
      column.extinction and ", less " .. column.extinction_name or "")
  end
  return column
end

--- columns.beyond_cuts(theta, context): the cuts, as gal.data.sample has them, of rows with a value that is
-- there and is more than single precision holds.
function columns.beyond_cuts(theta, context)
  local cuts = {}
  for _, list in ipairs{ theta, context } do
    for _, column in ipairs(list) do
      local reason = "with %s beyond what single precision holds (3.4e38; take its logarithm, or other units)"
      cuts[#cuts + 1] = {
        reason:format(column.name), function(k) return not suspects.beyond(column.exact[k]) end,
      }
    end
  end
  return cuts
end

--- columns.missing_cuts(theta, context, masked): the cuts, as gal.data.sample has them, of rows with a
-- missing value, in the order of the columns of theta, then of context; masked {name = value}: context
-- columns whose gaps are filled.
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

--- columns.value_at(column, k): the value of a column in row k, dereddened and in AB where that was asked
-- for; NaN where it is missing.
function columns.value_at(column, k)
  local value, extinction = column.values[k], column.extinction and column.extinction[k] or 0
  if missing(value) or missing(extinction) then return 0 / 0 end
  return value - extinction + (column.offset or 0)
end

--- columns.refuse_own_predictors(theta, context): raises where a name of the list theta stands in context
-- too, or one stands twice in its list, whatever the case of its letters.
function columns.refuse_own_predictors(theta, context)
  local inferred = {}
  for _, list in ipairs{ theta, context } do
    local seen = {}
    for _, text in ipairs(list) do
      local name = terms.label(text)
      local key = name:lower()
      if seen[key] then
        raise("%s names %s twice", list == theta and "theta" or "context", name)
      end
      if inferred[key] and list == context then
        raise("%s is among its own predictors: it stands in theta and in context", name)
      end
      seen[key] = true
      if list == theta then inferred[key] = true end
    end
  end
end

-- How many different integers a column has in these rows where they are too long for doubles; else nil.
local function different(source, column, rows)
  local long = false
  for _, k in ipairs(rows) do long = long or math.abs(column.exact[k]) >= 2 ^ 53 end
  if not long or not columns.spelling(source, column.name) then return nil end
  local texts, seen, count = source:strings(column.name), {}, 0
  for _, k in ipairs(rows) do
    if not seen[texts[k]] then seen[texts[k]], count = true, count + 1 end
  end
  return count
end

--- columns.suspects(source, column, rows, inferred): sentences (gal.stats.suspects) on a column's values in
-- the rows listed; inferred: whether it is a property, of which single precision has to leave something, or
-- this raises.
function columns.suspects(source, column, rows, inferred)
  local values = {}
  for _, k in ipairs(rows) do
    if not missing(column.values[k]) then values[#values + 1] = column.exact[k] end
  end
  local list, lost = suspects.of(column.name, values, {
    one = "galaxy", many = "galaxies", inferred = inferred, different = different(source, column, rows),
    remedy = "it has to be -9999 or empty",
  })
  if lost and inferred then raise("%s: %s", source.path or "the table", lost) end
  return list
end

--- columns.related(theta, context, rows): sentences (gal.stats.related) on properties that other columns
-- give, in the rows listed.
function columns.related(theta, context, rows)
  local lists, whole = { {}, {} }, {}
  for _, k in ipairs(rows) do
    local sum = 0
    for _, column in ipairs(context) do sum = sum + columns.value_at(column, k) end
    if sum == sum then whole[#whole + 1] = k end
  end
  for i, list in ipairs{ theta, context } do
    for j, column in ipairs(list) do
      local values = {}
      for r, k in ipairs(whole) do values[r] = columns.value_at(column, k) end
      lists[i][j] = { name = column.name, values = values }
    end
  end
  return related.of(lists[1], lists[2])
end

--- columns.masks(context, {missing =, fill =}): the context columns that are masked, as {name = the value
-- that fills their gaps}: `fill` where it is given, by a flow that was trained so; else every column with
-- gaps, with its mean; none unless missing is "mask".
function columns.masks(context, options)
  if options.missing ~= "mask" then return {} end
  if options.fill then return options.fill end
  local fill = {}
  for _, column in ipairs(context) do
    local sum, count, gaps = 0, 0, 0
    for k = 1, #column.values do
      local value = columns.value_at(column, k)
      if value == value then
        sum, count = sum + value, count + 1
      elseif not suspects.beyond(column.exact[k]) then
        gaps = gaps + 1
      end
    end
    if gaps > 0 and count > 0 then fill[column.name] = sum / count end
  end
  return fill
end

return columns
