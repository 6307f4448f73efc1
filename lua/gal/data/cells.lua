-- data/cells: the values of a table's column that is made in Lua, as C takes them, and what a FITS file
-- stores them as.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local tensor = require "gal.tensor"
local C = ffi.C
local raise, kind = errors.raise, errors.kind

local cells = {}

local LETTERS = { float32 = "E", uint8 = "B", int64 = "K", float64 = "D" } -- FITS types by dtype

-- A tensor's values as C takes them: C's type, the letter of its FITS type, values per row, the values, how
-- many rows.
local function tensor_values(op, name, x)
  tensor.live(x, op, name)
  local shape = x.shape
  if #shape ~= 1 and #shape ~= 2 then
    raise("%s: column %q is a tensor %s, expected shape {rows} or {rows, width}", op, name, x:shape_text())
  end
  local rows, n = shape[1], shape[2] or 1
  local letter = LETTERS[x.dtype]
  local whole, read, count = letter == "K" or letter == "B", tensor.read(x)
  local values = ffi.new(whole and "int64_t[?]" or "double[?]", count + 1)
  for k = 0, count - 1 do values[k] = read[k] end
  return whole and C.GAL_COLUMN_I64 or C.GAL_COLUMN_F64, letter:byte(), n, values, rows
end

-- The same of a list of numbers or strings, or of lists of them, all of one length. Errors name the row.
local function list_values(op, name, given)
  local rows = #given
  local n = type(given[1]) == "table" and #given[1] or 1
  local nested = type(given[1]) == "table"
  local first = given[1]
  if nested then first = given[1][1] end
  local wanted = type(first)
  if rows == 0 then raise("%s: column %q is an empty list, expected a value for each row", op, name) end
  if wanted ~= "string" and wanted ~= "number" then
    raise("%s: column %q begins with %s, expected numbers or strings", op, name, kind(first))
  end
  local flat = {}
  for row = 1, rows do
    local value = given[row]
    if nested and (type(value) ~= "table" or #value ~= n) then
      local item = type(value) == "table" and "a list of " .. #value or kind(value)
      raise("%s: column %q has %s in row %d, expected a list of %d as in row 1", op, name, item, row, n)
    end
    for k = 1, n do
      local item = value
      if nested then item = value[k] end
      if type(item) ~= wanted then
        raise("%s: column %q has %s in row %d, expected a %s as in row 1", op, name, kind(item), row, wanted)
      end
      if wanted == "string" and item:find("%z") then
        raise("%s: column %q has a zero byte in row %d", op, name, row)
      end
      flat[(row - 1) * n + k] = item
    end
  end
  if wanted == "string" then return C.GAL_COLUMN_STRING, 0, n, table.concat(flat, "\0"), rows end
  return C.GAL_COLUMN_F64, 0, n, ffi.new("double[?]", rows * n + 1, flat), rows
end

--- cells.of(op, name, given): the values of a column, a list or a tensor {rows} or {rows, width}, as C takes
-- them: C's type, the letter of its FITS type or 0, values a row, the values, how many rows.
function cells.of(op, name, given)
  if tensor.is_tensor(given) then return tensor_values(op, name, given) end
  if type(given) ~= "table" then
    raise("%s: column %q is %s, expected a list or a tensor {rows}", op, name, kind(given))
  end
  return list_values(op, name, given)
end

-- What a column is stored as, by the option `type` of t:set: the letter of its FITS type.
local TYPES = { uint8 = "B", int16 = "I", int32 = "J", int64 = "K", float32 = "E", float64 = "D" }
local LARGEST = { B = 255, I = 2 ^ 15 - 1, J = 2 ^ 31 - 1 }

--- cells.letter(name, wanted, column_type, letter, values, count): the letter of the FITS type that count
-- values of C's type are stored as where `wanted` is asked for, a name such as "int32"; `letter` where it is
-- nil. Raises where they are of another kind, or beyond that type.
function cells.letter(name, wanted, column_type, letter, values, count)
  if wanted == nil then return letter end
  local found, whole = TYPES[wanted], column_type == C.GAL_COLUMN_I64
  if not found or whole ~= (found ~= "E" and found ~= "D") or column_type == C.GAL_COLUMN_STRING then
    local listed = whole and "uint8, int16, int32 or int64" or "float32 or float64"
    raise("set: type of column %q is %s, expected %s for its values", name,
      type(wanted) == "string" and '"' .. wanted .. '"' or kind(wanted), listed)
  end
  local largest = LARGEST[found] or math.huge
  for k = 0, largest < math.huge and count - 1 or -1 do
    local v = tonumber(values[k])
    if v > largest or v < (found == "B" and 0 or -largest - 1) then
      raise("set: column %q has %d in row %d, which is no %s", name, v, k + 1, wanted)
    end
  end
  return found:byte()
end

return cells
