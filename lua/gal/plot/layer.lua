-- What the layers of a panel share. A layer is a table: data (text, or bytes of a picture) and how gnuplot
-- draws it: `using` (which columns), `style` (with what), `key` (its style in a legend, nil: the same); or
-- `set`, a statement of the script; `extent` {x0, x1, y0, y1}, what it covers in the panel's units. Its
-- colour goes where style and key have COLOUR.
local arguments = require "gal.base.options"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local host = require "gal.stats.host"
local raise, kind = errors.raise, errors.kind

local layer = {}
local Layer = {}

--- layer.is(v): whether v is a layer.
function layer.is(v) return getmetatable(v) == Layer end

--- layer.new(fields): a layer.
function layer.new(fields) return setmetatable(fields, Layer) end

--- numbers(where, name, x): the numbers of x, a list or a tensor {n}: an array that counts from 0, and n.
function layer.numbers(where, name, x)
  if core.is_tensor(x) then
    if #x.shape ~= 1 then
      raise("%s: %s is a tensor %s, expected shape {n}", where, name, x:shape_text())
    end
    return host.read(x)
  end
  if type(x) ~= "table" then
    raise("%s: %s is %s, expected a list of numbers or a tensor {n}", where, name, kind(x))
  end
  for i = 1, #x do
    local v = x[i]
    if type(v) ~= "number" then raise("%s: %s[%d] is %s, expected a number", where, name, i, kind(v)) end
  end
  return host.read(x)
end

--- together(where, given): the numbers of several arguments, {name, values}, all of one length: a list of
-- arrays from 0, and the length.
function layer.together(where, given)
  local arrays, n, first = {}, nil, nil
  for i, pair in ipairs(given) do
    local values, count = layer.numbers(where, pair[1], pair[2])
    if n and count ~= n then raise("%s: %s has %d values, %s has %d", where, pair[1], count, first, n) end
    arrays[i], n, first = values, count, first or pair[1]
  end
  return arrays, n
end

local function text_of(v) return v ~= v and "nan" or ("%.8g"):format(v) end

--- columns(arrays, n): lines of columns of numbers.
function layer.columns(arrays, n)
  local lines = {}
  for i = 0, n - 1 do
    local row = {}
    for k, values in ipairs(arrays) do row[k] = text_of(values[i]) end
    lines[i + 1] = table.concat(row, " ")
  end
  if n == 0 then lines[1] = "nan nan nan" end
  return table.concat(lines, "\n") .. "\n"
end

--- colour(where, name, value): value, if it is a colour such as "#0072B2" or nil.
function layer.colour(where, name, value)
  if value and (type(value) ~= "string" or not value:match "^#%x%x%x%x%x%x$") then
    raise("%s: %s is %s, expected such as \"#0072B2\"", where, name, kind(value))
  end
  return value
end

--- options(where, given, known): the options of a layer, with their colour checked.
function layer.options(where, given, known)
  local o = arguments.known(where, given, known)
  layer.colour(where, "colour", o.colour)
  return o
end

--- curve(name, o, fields): a layer in the colour and under the title that the options o give.
function layer.curve(name, o, fields)
  fields.kind, fields.title, fields.colour, fields.coloured = name, o.title, o.colour, true
  return layer.new(fields)
end

--- bounds(values, n, low, high): the smallest and the largest finite of values and of low and high.
function layer.bounds(values, n, low, high)
  low, high = low or math.huge, high or -math.huge
  for i = 0, n - 1 do
    local v = values[i]
    if v > -math.huge and v < math.huge then low, high = math.min(low, v), math.max(high, v) end
  end
  return low, high
end

--- extent(x, y, n, …): what the pairs cover: {x0, x1, y0, y1}; more arrays of y may follow.
function layer.extent(x, y, n, ...)
  local x0, x1 = layer.bounds(x, n)
  local y0, y1 = layer.bounds(y, n)
  for _, more in ipairs{ ... } do y0, y1 = layer.bounds(more, n, y0, y1) end
  return { x0, x1, y0, y1 }
end

--- pair(where, name, given): the two numbers of a range {low, high}.
function layer.pair(where, name, given)
  local low, high = unpack(type(given) == "table" and given or {})
  if type(low) ~= "number" or type(high) ~= "number" or not (low < high) or high - low == math.huge then
    raise("%s: %s is %s, expected two numbers {low, high}", where, name, kind(given))
  end
  return low, high
end

--- beside(value): how far an axis reaches on both sides of the only value that it has: half of a value
-- below 1, so that it can be read; a thousandth of a large one.
function layer.beside(value)
  local size = math.abs(value)
  return size == 0 and 0.5 or math.max(math.min(0.5, size / 2), size * 1e-3)
end

--- span(where, name, values, n, given): the range that is given, or the smallest and largest finite value,
-- which are never equal.
function layer.span(where, name, values, n, given)
  if given then return layer.pair(where, name, given) end
  local low, high = layer.bounds(values, n)
  if low > high then return 0, 1 end
  if low == high then return low - layer.beside(low), high + layer.beside(low) end
  return low, high
end

return layer
