-- How a tensor prints: its shape and type, and its values; of a large one the range, the mean and a corner.
local ffi = require "ffi"
local copy = require "gal.tensor.copy"
local map = require "gal.tensor.map"
local memory = require "gal.tensor.memory"
local reduce = require "gal.tensor.reduce"
local shapes = require "gal.tensor.shapes"
local tape = require "gal.tensor.tape"
local values = require "gal.tensor.values"
local views = require "gal.tensor.views"
local C = ffi.C

local show = {}

local ROWS, COLUMNS = 16, 10              -- a matrix up to this size is shown whole,
local CORNER_ROWS, CORNER_COLUMNS = 6, 8  -- of a larger one this corner

local function figure(value)
  if type(value) == "string" then return value end
  if value == math.floor(value) and math.abs(value) < 1e6 then return ("%d"):format(value) end
  return ("%.5g"):format(value)
end

-- The last two dimensions of x at the first index of the dimensions before them, as {rows, columns}.
local function matrix_of(x)
  while x.h.rank > 2 do x = views.select(x, 1, 1) end
  local list = shapes.list(x)
  return views.reshape(x, { list[2] and list[1] or 1, list[2] or list[1] or 1 })
end

-- Lines of figures in columns that end below each other; more: the mark behind each row.
local function lines_of(rows, more)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for j, value in ipairs(row) do
      row[j] = figure(value)
      widths[j] = math.max(widths[j] or 0, #row[j])
    end
  end
  for i, row in ipairs(rows) do
    for j, cell in ipairs(row) do row[j] = (" "):rep(widths[j] - #cell) .. cell end
    lines[i] = "  " .. table.concat(row, "  ") .. more
  end
  return lines
end

-- The matrix, or its corner where it is large, and whether that is all of it.
local function figures(matrix)
  local rows, columns = tonumber(matrix.h.shape[0]), tonumber(matrix.h.shape[1])
  local tall, wide = rows > ROWS, columns > COLUMNS
  if tall then matrix = views.narrow(matrix, 1, 1, CORNER_ROWS) end
  if wide then matrix = views.narrow(matrix, 2, 1, CORNER_COLUMNS) end
  local lines = lines_of(values.totable(matrix), wide and "  ..." or "")
  if tall then lines[#lines + 1] = "  ..." end
  return table.concat(lines, "\n"), not tall and not wide
end

-- "min -2.1, mean 0.01, max 3.2" of what is not NaN, and how many are: "…, 2 NaN". int64 has no exact
-- float32.
local function statistics(x)
  local real, count = x.h.dtype == C.GAL_F32, shapes.count(x)
  if not real then x = copy.float(x) end
  local nan = map.isnan(x)
  local missing = real and values.item(reduce.sum(nan)) or 0
  if missing == count then return "all NaN" end
  local function of(reduction, instead)
    return values.item(reduction(missing > 0 and map.where(nan, instead, x) or x))
  end
  local least, mean, greatest = of(reduce.min, math.huge), of(reduce.mean, 0), of(reduce.max, -math.huge)
  return ("min %s, mean %s, max %s"):format(figure(least), figure(mean * count / (count - missing)),
    figure(greatest)) .. (missing > 0 and (", %d NaN"):format(missing) or "")
end

--- line(x) --> a tensor in one line: "tensor {2, 3} float32", with the device where it is another than the
-- CPU.
function show.line(x)
  if x.scope and x.scope.closed then return "stale tensor" end
  local device = memory.device_of(x)
  local where = device == "cpu" and "" or " on " .. device
  return ("tensor %s %s%s"):format(shapes.text(x), memory.dtype(x), where)
end

-- x can be read and has elements.
local function text_of(x)
  if shapes.count(x) == 1 then return ("%s: %s"):format(show.line(x), figures(matrix_of(x)):match "%S+") end
  local text, whole = figures(matrix_of(x))
  local head, rank = show.line(x), x.h.rank
  if (not whole or rank > 2) and x.h.dtype ~= C.GAL_I64 then head = head .. "  " .. statistics(x) end
  if rank > 2 then head = ("%s  (%s...)"):format(head, ("1, "):rep(rank - 2)) end
  return head .. "\n" .. text
end

--- text(x) --> a tensor as it prints: its line, and below it its values. A large one shows least value,
-- mean and greatest, and a corner; more than two dimensions are shown at their first indices. Nothing is
-- recorded.
function show.text(x)
  if not memory.is_tensor(x) then memory.live(x, "tostring", "x") end
  if x.scope and x.scope.closed or C.gal_recording() ~= 0 or shapes.count(x) == 0 then return show.line(x) end
  return tape.no_grad(text_of, x)
end

return show
