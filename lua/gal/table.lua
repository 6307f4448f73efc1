-- Tables of named columns: catalogues from .csv and .fits files, and tables made from Lua lists and tensors.
-- Columns keep their own type in C (float64, int64, text); they are read as float32 tensors, as doubles or as
-- strings. What a table is and how a column is found is in data/lookup.lua, joins are in data/joins.lua.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local options_of = require "gal.base.options"
local cells = require "gal.data.cells"
local joins = require "gal.data.joins"
local lookup = require "gal.data.lookup"
local tensor = require "gal.tensor"
local C = ffi.C
local raise, check, kind, made = errors.raise, errors.check, errors.kind, require("gal.base.collect").made
local column, find, live, refresh, wrap = lookup.column, lookup.find, lookup.live, lookup.refresh, lookup.wrap
local handle_of = lookup.handle

local module = {}
local Table = lookup.Table
local methods = Table.methods

local text = ffi.new "const char *[1]"

-- t.name and t[i], where numpy and pandas have a column and a row.
function Table.__index(t, key)
  local method = methods[key]
  if method ~= nil then return method end
  local names = rawget(t, "names")
  if not names or key == "path" then return nil end
  if type(key) == "number" then
    raise("t[%s]: a table's row %s is t:select{%s}, a table of its own, and its column t:column(name)", key,
      key, key)
  end
  for _, name in ipairs(names) do
    if name == key then
      raise("t.%s: %q is a column: t:column(%q) is its tensor, t:doubles, t:strings or t:ids(%q) a list", key,
        key, key, key)
    end
  end
  return nil
end

local function width(t, i) return tonumber(C.gal_table_width(t.h, i)) end

--- t:width(name): how many values a row has in that column: 1, but for a column of vectors.
function methods.width(t, name) return width(t, column(t, "width", name)) end

--- t:has(name): whether there is a column of that name, case ignored.
function methods.has(t, name)
  live(t, "has", "has(name)")
  if type(name) ~= "string" then raise("has: name is %s, expected the name of a column", kind(name)) end
  local _, matches = find(t, name)
  return matches > 0
end

--- t:column(name) --> a float32 tensor {rows}, or {rows, width} for a column of vectors; missing values are
-- NaN, -9999 is left as it is. Text that is no number raises, naming row and column. Names ignore case.
function methods.column(t, name)
  local i = column(t, "column", name)
  local n = width(t, i)
  local y = tensor.to_fill(n == 1 and { t.rows } or { t.rows, n }, "float32")
  made(C.gal_table_floats, ffi.cast("float *", y.h.data), t.h, i)
  return y
end

-- values {rows * width}, from 0, as a list, or a list of lists for vectors.
local function rows_of(t, n, values)
  local list = {}
  for row = 1, t.rows do
    if n == 1 then
      list[row] = values(row - 1)
    else
      local vector = {}
      for k = 1, n do vector[k] = values((row - 1) * n + k - 1) end
      list[row] = vector
    end
  end
  return list
end

--- t:doubles(name) --> a list of numbers in double precision (of lists, for vectors); missing values are NaN.
function methods.doubles(t, name)
  local i = column(t, "doubles", name)
  local n = width(t, i)
  local values = ffi.new("double[?]", math.max(1, t.rows * n))
  made(C.gal_table_numbers, values, t.h, i)
  return rows_of(t, n, function(k) return values[k] end)
end

--- t:ids(name) --> a list of decimal strings, every digit kept; ids that are text come as they are, without
-- outer blanks. A missing id raises, and a float that can't be an id.
function methods.ids(t, name)
  local i = column(t, "ids", name)
  return rows_of(t, width(t, i), function(k)
    check(C.gal_table_id(text, t.h, i, k))
    return (ffi.string(text[0]):gsub("[ \t]+$", ""))
  end)
end

--- t:strings(name) --> a list of strings, "" where missing; numbers as they would be written.
function methods.strings(t, name)
  local i = column(t, "strings", name)
  return rows_of(t, width(t, i), function(k)
    check(C.gal_table_text(text, t.h, i, k))
    return ffi.string(text[0])
  end)
end

--- t:unit(name) --> the column's unit as the file has it, "" where it has none.
function methods.unit(t, name)
  local i = column(t, "unit", name)
  return ffi.string(C.gal_table_unit(t.h, i))
end

--- t:about(name) --> what the column is, in words, as the file says (FITS: TCOMM), "" where it does not.
function methods.about(t, name)
  local i = column(t, "about", name)
  return ffi.string(C.gal_table_about(t.h, i))
end

-- Sets what `words` {unit =, about =} say of column i.
local function set_words(op, t, i, words)
  if words.unit ~= nil then check(C.gal_table_set_unit(t.h, i, errors.text(op, "unit", words.unit))) end
  if words.about ~= nil then check(C.gal_table_set_about(t.h, i, errors.text(op, "about", words.about))) end
end

--- t:describe(name, {unit = "mag", about = "what it is"}): sets the unit of a column, "" for none, and what
-- it is in words; a FITS file holds them as TUNIT and TCOMM, at most 68 characters of plain ASCII each.
-- Returns t.
function methods.describe(t, name, words)
  local i = column(t, "describe", name)
  set_words("describe", t, i, options_of.known("describe", words, { "unit", "about" }))
  return t
end

-- The keywords of the table's header: {NAME = text or number}.
local function keywords(t)
  local keys = {}
  local number = ffi.new "double[1]"
  for k = 0, C.gal_table_keys(t.h) - 1 do
    local name = ffi.string(C.gal_table_key(text, number, t.h, k))
    keys[name] = text[0] ~= nil and ffi.string(text[0]) or number[0]
  end
  return keys
end

--- t:header() --> the keywords of a FITS file's header that do not say how it is stored, {TELESCOP = text or
-- number, …}; of other tables those that were set. t:header{NAME = text or number, …} sets these: names of at
-- most 8 characters A-Z, 0-9, - and _, in any case; text of plain ASCII. A FITS file holds them; t:select
-- keeps them. Returns t then.
function methods.header(t, given)
  live(t, "header", "header()")
  if given == nil then return keywords(t) end
  local names = {}
  for name in pairs(errors.list("header", "keywords", given, "a table {NAME = text or number}")) do
    names[#names + 1] = errors.text("header", "a keyword", name)
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = given[name]
    if type(value) ~= "string" and type(value) ~= "number" then
      raise("header: %s is %s, expected text or a number", name, kind(value))
    end
    local words = type(value) == "string" and value or nil
    if words and words:find "%z" then raise("header: %s has a zero byte", name) end
    check(C.gal_table_set_key(t.h, name:upper(), words, words and 0 or value))
  end
  return t
end

--- t:save(path): writes a .csv or .fits file, complete or not at all. Numbers read back exactly, missing ones
-- are empty (CSV), NaN or TNULL (FITS); columns of a FITS file keep their types and units. Returns t.
function methods.save(t, path)
  live(t, "save", "save(path)")
  if type(path) ~= "string" then raise("save: path is %s, expected a string", kind(path)) end
  made(C.gal_table_write, path, t.h)
  return t
end

function Table.__tostring(t)
  local place, names = t.path or "in memory", table.concat(t.names, ", ")
  return ("table %s: %d rows, %d columns: %s"):format(place, t.rows, #t.names, names)
end

-- ---- columns made here ----

local function check_name(op, name)
  if type(name) ~= "string" or name == "" or name:find("%z") then
    raise("%s: a column is named by %s, expected a string", op, kind(name))
  end
end

-- Appends a column to the C table h.
local function add(h, name, column_type, letter, n, values)
  local pointer = type(values) == "string" and ffi.cast("const char *", values) or values
  made(C.gal_table_add, h, name, column_type, letter, n, pointer)
end

--- t:set(name, values[, {unit =, about =, type =, letters =}]): puts a column in place of the one of that
-- name (case ignored), or behind the last. values: a list of numbers or strings, or of lists of them, or a
-- tensor {rows} or {rows, width}; NaN is missing. unit and about: as t:describe has them; where they are not
-- given a column that was there keeps its own. type: what a FITS file stores, of integers (an int64 or uint8
-- tensor) "uint8", "int16", "int32" or "int64", of other numbers "float32" or "float64". letters: of text,
-- the least width. Returns t.
function methods.set(t, name, values, options)
  live(t, "set", "set(name, values)")
  local o = options_of.known("set", options, { "unit", "about", "type", "letters" })
  check_name("set", name)
  local i, matches = find(t, name)
  if matches > 1 and not i then
    raise("set: %s has %d columns named %q", t.path or "the table", matches, name)
  end
  local column_type, letter, n, c_values, rows = cells.of("set", name, values)
  if rows ~= t.rows then raise("set: column %q has %d rows, the table has %d", name, rows, t.rows) end
  letter = cells.letter(name, o.type, column_type, letter, c_values, rows * n)
  add(t.h, name, column_type, letter, n, c_values)
  local last = C.gal_table_columns(t.h) - 1
  local letters = options_of.integer("set", o, "letters", 0, 0, 2 ^ 20)
  if letters > 0 then check(C.gal_table_set_letters(t.h, last, letters)) end
  local fine, failure = pcall(set_words, "set", t, last, o)
  if not fine then
    check(C.gal_table_remove(t.h, last))
    error(failure, 0)
  end
  if i then check(C.gal_table_replace(t.h, i)) end
  return refresh(t)
end

--- t:drop(name): removes a column. Returns t.
function methods.drop(t, name)
  local i = column(t, "drop", name)
  check(C.gal_table_remove(t.h, i))
  return refresh(t)
end

-- Row numbers from 0, as C takes them, and how many: from a list of numbers or of booleans (one for each
-- row), or from a tensor {n} of numbers.
local function row_numbers(t, rows)
  if tensor.is_tensor(rows) then
    if #rows.shape ~= 1 then raise("select: rows is a tensor %s, expected shape {n}", rows:shape_text()) end
    rows = rows:totable()
  end
  if type(rows) ~= "table" then
    raise("select: rows is %s, expected a list or a tensor of row numbers, or a list of booleans", kind(rows))
  end
  local numbers, n = ffi.new("int64_t[?]", #rows + 1), 0
  local masked = type(rows[1]) == "boolean"
  if masked and #rows ~= t.rows then
    raise("select: rows has %d booleans, the table has %d rows", #rows, t.rows)
  end
  for k = 1, #rows do
    local row = rows[k]
    if type(row) ~= (masked and "boolean" or "number") then
      local wanted = masked and "boolean as rows[1]" or "row number"
      raise("select: rows[%d] is %s, expected a %s", k, kind(row), wanted)
    end
    if masked then
      numbers[n], n = k - 1, row and n + 1 or n
    else
      numbers[n], n = errors.integer("select", ("rows[%d]"):format(k), row, 1, t.rows) - 1, n + 1
    end
  end
  return numbers, n
end

--- t:select(rows) --> a new table of those rows, in that order: rows is a list or a tensor {n} of row numbers
-- from 1, or a list of booleans, one for each row.
function methods.select(t, rows)
  live(t, "select", "select(rows)")
  local numbers, n = row_numbers(t, rows)
  local chosen = wrap(handle_of(C.gal_table_select, t.h, numbers, n))
  chosen.path = t.path
  return chosen
end

methods.join, methods.near = joins.join, joins.near

local FIRST = { objid = 1, specobjid = 2, name = 3, id = 4 }
local function by_name(a, b)
  local x, y = FIRST[a:lower()] or 5, FIRST[b:lower()] or 5
  if x ~= y then return x < y end
  return a < b
end

local function make(columns)
  local names = {}
  for name in pairs(columns) do
    check_name("table", name)
    names[#names + 1] = name
  end
  table.sort(names, by_name)
  if #names == 0 then raise("table: no columns given, expected {name = values, …}") end
  local h, rows
  for _, name in ipairs(names) do
    local column_type, letter, width_, values, n = cells.of("table", name, columns[name])
    if not h then
      h, rows = handle_of(C.gal_table_new, n), n
    end
    if n ~= rows then raise("table: column %q has %d rows, column %q has %d", name, n, names[1], rows) end
    add(h, name, column_type, letter, width_, values)
  end
  return wrap(h)
end

--- adopt(make, ...): the table of the C table that make(out, ...) makes.
function module.adopt(make, ...) return wrap(handle_of(make, ...)) end

-- Which table of the file the options of gal.table choose, as C takes it; it points to their strings.
local function chosen(options)
  local choice, hdu = ffi.new("gal_table_choice", { hdu = -1 }), options.hdu
  if type(hdu) == "string" and hdu ~= "" then
    choice.name = hdu
  elseif type(hdu) ~= "nil" and type(hdu) ~= "number" then
    raise("table: hdu is %s, expected the number or the name of an HDU", kind(hdu))
  elseif hdu then
    choice.hdu = options_of.integer("table", options, "hdu", -1, 0, 1e6)
  end
  if type(options.id) ~= "nil" and type(options.id) ~= "string" then
    raise("table: id is %s, expected the name of a column", kind(options.id))
  end
  choice.id = options.id
  return choice
end

--- gal.table(path[, {hdu = n, id = column}]) --> the table in a .csv or .fits file, plain or gzipped: the
-- first table of a FITS file, or the table in HDU n (0 is the primary, 1 the first extension) or of that
-- name. id: a column of ids beside objID, specObjID, name and id: in a CSV file they stay the text that they
-- are (1E5, 0.25). gal.table{z = values, objID = {"12", …}} --> a table of these columns, values as t:set
-- takes them; ids first, then by name. A table has t.names, t.rows, t:has(name), t:column(name),
-- t:doubles(name), t:ids(name), t:strings(name), t:unit(name), t:about(name), t:header(), t:set(name,
-- values), t:describe(name, words), t:drop(name), t:select(rows), t:save(path).
function module.open(source, options)
  if type(source) == "table" and not tensor.is_tensor(source) then
    if options ~= nil then raise("table: options are for files, expected none beside columns") end
    return make(source)
  end
  if type(source) ~= "string" then
    raise("table: path is %s, expected a string or a table of columns", kind(source))
  end
  options = options_of.known("table", options, { "hdu", "id" })
  local t = wrap(handle_of(C.gal_table_open, source, chosen(options)))
  t.path, t.hdu = source, options.hdu
  return t
end

return module
