-- Layers of numbers on a grid, as colours, and the scale that says which number is which colour.
local arguments = require "gal.base.options"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local host = require "gal.stats.host"
local layer = require "gal.plot.layer"
local raise = errors.raise

local map = {}

-- Five colours of cividis (Nuñez, Anderton & Renslow 2018): they grow lighter from the first to the last,
-- also in grey and to those who don't tell red from green.
local COLOURS = { { 0, 34, 78 }, { 65, 77, 107 }, { 124, 123, 120 }, { 188, 175, 111 }, { 254, 232, 56 } }

--- map.colour(part): the colour {red, green, blue}, 0 to 255, of a part from 0 to 1 of the range; white for
-- NaN.
function map.colour(part)
  if part ~= part then return { 255, 255, 255 } end
  errors.number("colour", "part", part)
  local at = math.max(0, math.min(1, part)) * (#COLOURS - 1)
  local k = math.min(math.floor(at), #COLOURS - 2)
  local colour = {}
  for c = 1, 3 do
    local a, b = COLOURS[k + 1][c], COLOURS[k + 2][c]
    colour[c] = math.floor(a + (at - k) * (b - a) + 0.5)
  end
  return colour
end

local OPTIONS = { "xrange", "yrange", "range", "reverse" }

--- plot.map(values, {xrange = {0, columns}, yrange = {0, rows}, range = {low, high}, reverse = false}):
-- numbers on a grid, a tensor {rows, columns} whose row 1 is at the top, as colours from dark (low) to light
-- (high), or with `reverse` from light to dark: of the range given, else of all values. NaN is white.
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
      local c = map.colour(o.reverse and 1 - part or part)
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

--- map.scale(range, {reverse = false}): the colours of plot.map for a range {low, high}, as a layer that goes
-- from low at the bottom to high at the top, for a narrow panel with xtics = false.
function map.scale(range, given)
  local o = arguments.known("scale", given, { "reverse" })
  local low, high = layer.pair("scale", "range", range)
  local values = {}
  for k = 1, STEPS do
    local v = high - (k - 0.5) / STEPS * (high - low)
    values[2 * k - 1], values[2 * k] = v, v -- of one column gnuplot can't tell the width
  end
  local columns = core.tensor(values, { STEPS, 2 }, { device = "cpu" })
  return map.map(columns, { xrange = { 0, 1 }, yrange = { low, high }, range = range, reverse = o.reverse })
end

return map
