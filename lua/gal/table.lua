-- Tables of named columns: catalogues from .csv and .fits files, and tables made from Lua lists and tensors. Columns keep their own type in C (float64, int64,
-- text); what comes out is a float32 tensor, doubles, or strings, as asked.
local ffi = require "ffi"
local errors = require "gal.raise"
local handle = require "gal.handle"
local tensor = require "gal.tensor"
local near = require "gal.near"
local C = ffi.C
local raise, check, kind = errors.raise, errors.check, errors.kind

local module = {}
local methods = {}
local Table = { __index = methods }

local out = ffi.new "gal_table *[1]"
local text = ffi.new "const char *[1]"

-- The C table behind t, with what a user sees of it: t.names, t.rows.
local function wrap(h)
  local t = setmetatable({ h = ffi.gc(h, C.gal_table_free), rows = tonumber(C.gal_table_rows(h)), names = {} }, Table)
  for i = 0, C.gal_table_columns(h) - 1 do t.names[i + 1] = ffi.string(C.gal_table_name(h, i)) end
  return t
end

-- The column of that name, from 0, or nil and how many names match. The exact spelling wins; else case is ignored.
local function find(t, name)
  local exact, loose, exacts, looses = nil, nil, 0, 0
  for i, candidate in ipairs(t.names) do
    if candidate == name then exact, exacts = i - 1, exacts + 1 end
    if candidate:lower() == name:lower() then loose, looses = i - 1, looses + 1 end
  end
  if exacts > 0 then return exacts == 1 and exact or nil, exacts end
  return looses == 1 and loose or nil, looses
end

local function column(t, op, name)
  if getmetatable(t) ~= Table then raise("%s: called with %s, expected a table: t:%s(name)", op, kind(t), op) end
  if type(name) ~= "string" then raise("%s: name is %s, expected the name of a column", op, kind(name)) end
  local i, matches = find(t, name)
  if i then return i end
  local where = t.path or "the table"
  if matches > 1 then raise("%s: %s has %d columns named %q", op, where, matches, name) end
  local hint = near.suggest(name, t.names)
  if hint == "" then
    local listed = {}
    for k = 1, math.min(20, #t.names) do listed[k] = t.names[k] end
    hint = #t.names == 0 and "" or (": it has %s%s"):format(table.concat(listed, ", "), #t.names > 20 and (", … (%d in all)"):format(#t.names) or "")
  end
  raise("%s: %s has no column %q%s", op, where, name, hint)
end

local function width(t, i) return tonumber(C.gal_table_width(t.h, i)) end

--- t:has(name): whether there is a column of that name, case ignored.
function methods.has(t, name)
  if type(name) ~= "string" then raise("has: name is %s, expected the name of a column", kind(name)) end
  local _, matches = find(t, name)
  return matches > 0
end

--- t:column(name) --> a float32 tensor {rows}, or {rows, width} for a column of vectors; missing values are NaN, -9999 is left as it is. Text that is no number
--- raises, naming row and column. Names ignore case.
function methods.column(t, name)
  local i = column(t, "column", name)
  local n = width(t, i)
  local y = tensor.new(n == 1 and { t.rows } or { t.rows, n }, "float32", "cpu")
  check(C.gal_table_floats(ffi.cast("float *", y.h.data), t.h, i))
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
  check(C.gal_table_numbers(values, t.h, i))
  return rows_of(t, n, function(k) return values[k] end)
end

--- t:ids(name) --> a list of decimal strings, every digit kept; ids that are text come as they are. A missing id raises, and a float that can't be an id.
function methods.ids(t, name)
  local i = column(t, "ids", name)
  return rows_of(t, width(t, i), function(k)
    check(C.gal_table_id(text, t.h, i, k))
    return ffi.string(text[0])
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
  return ffi.string(C.gal_table_unit(t.h, column(t, "unit", name)))
end

--- t:save(path): writes a .csv file, complete or not at all; numbers so that they read back exactly, missing ones empty.
function methods.save(t, path)
  if type(path) ~= "string" then raise("save: path is %s, expected a string", kind(path)) end
  check(C.gal_table_write(path, t.h))
  return t
end

function Table.__tostring(t)
  return ("table %s: %d rows, %d columns: %s"):format(t.path or "in memory", t.rows, #t.names, table.concat(t.names, ", "))
end

-- ---- tables made here ----

-- What a column given as a list or a tensor is: C's type, its values as C takes them, how many. The second is kept alive by the caller.
local function values_of(name, given)
  if handle.is_tensor(given) then
    handle.live(given, "table", name)
    if #given.shape ~= 1 then raise("table: column %q is a tensor %s, expected shape {rows}", name, given:shape_text()) end
    if given.dtype == "int64" then
      local values = ffi.new("int64_t[?]", given:size(1) + 1)
      check(C.gal_tensor_read(handle.dense(given).h, values, given:size(1)))
      return C.GAL_COLUMN_I64, values, given:size(1)
    end
    given = given:totable()
  end
  if type(given) ~= "table" then raise("table: column %q is %s, expected a list or a tensor {rows}", name, kind(given)) end
  local n, wanted = #given, type(given[1])
  if wanted ~= "string" and wanted ~= "number" then raise("table: column %q begins with %s, expected numbers or strings", name, kind(given[1])) end
  for k = 1, n do
    if type(given[k]) ~= wanted then raise("table: column %q has %s in row %d, expected a %s as in row 1", name, kind(given[k]), k, wanted) end
    if wanted == "string" and given[k]:find("%z") then raise("table: column %q has a zero byte in row %d", name, k) end
  end
  if wanted == "string" then return C.GAL_COLUMN_STRING, table.concat(given, "\0"), n end
  return C.GAL_COLUMN_F64, ffi.new("double[?]", n + 1, given), n
end

local FIRST = { objid = 1, specobjid = 2, name = 3, id = 4 }
local function by_name(a, b)
  local x, y = FIRST[a:lower()] or 5, FIRST[b:lower()] or 5
  if x ~= y then return x < y end
  return a < b
end

local function make(columns)
  local names = {}
  for name in pairs(columns) do
    if type(name) ~= "string" or name == "" or name:find("%z") then raise("table: a column is named by %s, expected a string", kind(name)) end
    names[#names + 1] = name
  end
  table.sort(names, by_name)
  if #names == 0 then raise("table: no columns given, expected {name = values, …}") end
  local h, rows
  for _, name in ipairs(names) do
    local column_type, values, n = values_of(name, columns[name])
    if not h then
      check(C.gal_table_new(out, n))
      h, rows = ffi.gc(out[0], C.gal_table_free), n
    end
    if n ~= rows then raise("table: column %q has %d rows, column %q has %d", name, n, names[1], rows) end
    check(C.gal_table_add(h, name, column_type, 1, type(values) == "string" and ffi.cast("const char *", values) or values))
  end
  return wrap(h)
end

--- gal.table(path[, {hdu = n}]) --> the table in a .csv or .fits file, plain or gzipped: the first table of a FITS file, or that in HDU n (0 is the primary, 1 the
--- first extension). gal.table{z = values, objID = {"12", …}} --> a table of lists of numbers or strings and of tensors {rows}; ids first, then by name.
--- It has t.names, t.rows, t:has(name), t:column(name), t:doubles(name), t:ids(name), t:strings(name), t:unit(name), t:save(path).
function module.open(source, options)
  if type(source) == "table" and not handle.is_tensor(source) then
    if options ~= nil then raise("table: options are for files, expected none beside columns") end
    return make(source)
  end
  if type(source) ~= "string" then raise("table: path is %s, expected a string or a table of columns", kind(source)) end
  options = errors.options("table", options, { "hdu" })
  local hdu = options.hdu == nil and -1 or errors.integer("table", "hdu", options.hdu, 0, 1e6)
  check(C.gal_table_open(out, source, hdu))
  local t = wrap(out[0])
  t.path = source
  return t
end

return module
