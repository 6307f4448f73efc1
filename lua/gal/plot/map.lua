-- Numbers on a grid as colours, and the scale from numbers to colours.
local arguments = require "gal.base.options"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local host = require "gal.stats.host"
local layer = require "gal.plot.layer"
local raise = errors.raise

local map = {}

-- Five colours each, from the lowest number to the highest, that colour-blind readers tell apart. cividis
-- (Nuñez, Anderton & Renslow 2018) grows lighter, also in grey. ColorBrewer's Blues and RdBu (Harrower &
-- Brewer 2003) are white, as the page is, where there is no density or no change.
local COLOURS = {
  cividis = { { 0, 34, 78 }, { 65, 77, 107 }, { 124, 123, 120 }, { 188, 175, 111 }, { 254, 232, 56 } },
  density = { { 255, 255, 255 }, { 198, 219, 239 }, { 107, 174, 214 }, { 33, 113, 181 }, { 8, 48, 107 } },
  change = { { 178, 24, 43 }, { 244, 165, 130 }, { 255, 255, 255 }, { 146, 197, 222 }, { 33, 102, 172 } },
}

--- map.colour(part, colours): the colour {red, green, blue}, 0 to 255, of a part from 0 to 1 of the range;
-- white for NaN. colours: "cividis" (the default), "density" or "change".
function map.colour(part, colours)
  if part ~= part then return { 255, 255, 255 } end
  errors.number("colour", "part", part)
  local list = COLOURS[colours or "cividis"]
  if not list then
    raise("colour: colours is %s, expected \"cividis\", \"density\" or \"change\"", errors.kind(colours))
  end
  local at = math.max(0, math.min(1, part)) * (#list - 1)
  local k = math.min(math.floor(at), #list - 2)
  local colour = {}
  for c = 1, 3 do
    local a, b = list[k + 1][c], list[k + 2][c]
    colour[c] = math.floor(a + (at - k) * (b - a) + 0.5)
  end
  return colour
end

local OPTIONS = { "xrange", "yrange", "range", "reverse", "colours" }

--- plot.map(values, {xrange = {0, columns}, yrange = {0, rows}, range = {low, high}, reverse = false,
-- colours = "cividis"}): numbers on a grid, a tensor {rows, columns} whose row 1 is at the top, as colours:
-- of the range given, else of all values. colours = "cividis" goes from dark (low) to light (high), "density"
-- from white to dark blue, "change" from red over white, the middle, to blue; `reverse` turns them round.
-- NaN is white.
function map.map(values, given)
  local o = arguments.known("map", given, OPTIONS)
  local shape = core.live(values, "map", "values").shape
  if #shape ~= 2 or shape[1] * shape[2] == 0 or values.dtype ~= "float32" then
    raise("map: values is %s %s, expected {rows, columns} float32", values.dtype, core.shape_text(values))
  end
  local v, n = host.read(values)
  local rows, columns, lines = shape[1], shape[2], {}
  local low, high = layer.span("map", "range", v, n, o.range)
  local x0, x1 = layer.pair("map", "xrange", o.xrange or { 0, columns })
  local y0, y1 = layer.pair("map", "yrange", o.yrange or { 0, rows })
  local dx, dy = (x1 - x0) / columns, (y1 - y0) / rows
  for i = 0, rows - 1 do
    for j = 0, columns - 1 do
      local part = (v[i * columns + j] - low) / (high - low)
      local c = map.colour(o.reverse and 1 - part or part, o.colours)
      lines[#lines + 1] = ("%.8g %.8g %d %d %d"):format(x0 + (j + 0.5) * dx, y1 - (i + 0.5) * dy, c[1], c[2],
        c[3])
    end
  end
  return layer.new{
    kind = "map", data = table.concat(lines, "\n") .. "\n", using = "1:2:3:4:5",
    style = "with rgbimage", extent = { x0, x1, y0, y1 }, tight = true,
  }
end

local STEPS = 128

--- map.scale(range, {reverse = false, colours = "cividis"}): the colours of plot.map for a range {low, high},
-- as a layer that goes from low at the bottom to high at the top, for a narrow panel with xtics = false.
function map.scale(range, given)
  local o = arguments.known("scale", given, { "reverse", "colours" })
  local low, high = layer.pair("scale", "range", range)
  local values = {}
  for k = 1, STEPS do
    local v = high - (k - 0.5) / STEPS * (high - low)
    values[2 * k - 1], values[2 * k] = v, v -- of one column gnuplot can't tell the width
  end
  local columns = core.tensor(values, { STEPS, 2 }, { device = "cpu" })
  return map.map(columns, {
    xrange = { 0, 1 }, yrange = { low, high }, range = range, reverse = o.reverse, colours = o.colours,
  })
end

return map
