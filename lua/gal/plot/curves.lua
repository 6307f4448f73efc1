-- Layers of numbers along an axis: points, lines, steps, bands, histograms, spikes.
local arguments = require "gal.base.options"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local layer = require "gal.plot.layer"
local text = require "gal.plot.text"
local raise, kind = errors.raise, errors.kind
local options, together, curve = layer.options, layer.together, layer.curve

local curves = {}

local SYMBOLS = { dot = 7, circle = 6, square = 5, diamond = 13, triangle = 9, plus = 1, cross = 2, star = 3 }

--- curves.symbol(where, o): gnuplot's number of the symbol of that name.
function curves.symbol(where, o)
  local number = SYMBOLS[o.symbol or "dot"]
  if not number then
    raise("%s: symbol is %s, expected dot, circle, square, diamond, triangle, plus, cross or star", where,
      kind(o.symbol))
  end
  return number
end

local VECTOR = " with vectors nohead lw 1 lc COLOUR"

-- The columns of an error bar: {name, values} for its low and its high end; none where `given` is nil.
local function ends_of(where, name, given, values)
  if not given then return {} end
  local both = { given, given }
  if type(given) == "table" and not core.is_tensor(given) and type(given[1]) == "table" then
    both = { given[1], given[2] }
  end
  local arrays, n = together(where, { { "its values", values }, { name, both[1] }, { name, both[2] } })
  local low, high = {}, {}
  for i = 0, n - 1 do
    low[i + 1], high[i + 1] = arrays[1][i] - arrays[2][i], arrays[1][i] + arrays[3][i]
  end
  return { { name, low }, { name, high } }
end

--- plot.points(x, y, {title =, colour =, size = 0.35, symbol = "dot", error =, xerror =}): a mark for each
-- pair. error, of y, and xerror: a list of deviations, or {below, above}, two lists. Symbols: dot, circle,
-- square, diamond, triangle, plus, cross, star.
function curves.points(x, y, given)
  local o = options("points", given, { "title", "colour", "size", "symbol", "error", "xerror" })
  local columns, bars = { { "x", x }, { "y", y } }, {}
  local _, count = together("points", columns)
  for _, side in ipairs{ { "xerror", o.xerror or false, x }, { "error", o.error or false, y } } do
    local first = #columns + 1
    for _, column in ipairs(ends_of("points", unpack(side))) do columns[#columns + 1] = column end
    -- A bar is a vector without head: gnuplot 6 draws its error bars with gaps around the points.
    local form = side[1] == "error" and "1:%d:(0):($%d-$%d)" or "%d:2:($%d-$%d):(0)"
    if #columns > first then bars[#bars + 1] = "using " .. form:format(first, first + 1, first) .. VECTOR end
  end
  local arrays, n = together("points", columns)
  local size = arguments.number("points", o, "size", 0.35, 0)
  local extent = layer.extent(arrays[1], arrays[2], count)
  if o.error then extent = layer.extent(arrays[1], arrays[#arrays - 1], count, arrays[#arrays]) end
  if o.xerror then
    extent[1], extent[2] = layer.bounds(arrays[3], n, extent[1], extent[2])
    extent[1], extent[2] = layer.bounds(arrays[4], n, extent[1], extent[2])
  end
  return curve("points", o, {
    data = layer.columns(arrays, n), using = "1:2", under = bars, extent = extent,
    style = ("with points pt %d ps %g lc COLOUR"):format(curves.symbol("points", o), size),
  })
end

local function line_style(where, o)
  return ("lw %g dt %d lc COLOUR"):format(arguments.number(where, o, "width", 1.5, 0),
    arguments.integer(where, o, "dash", 1, 1, 10))
end

--- plot.lines(x, y, {title =, colour =, width = 1.5, dash = 1}): points joined in their order; NaN leaves a
-- gap. dash: gnuplot's dash type.
function curves.lines(x, y, given)
  local o = options("lines", given, { "title", "colour", "width", "dash" })
  local arrays, n = together("lines", { { "x", x }, { "y", y } })
  return curve("lines", o, {
    data = layer.columns(arrays, n), using = "1:2", style = "with lines " .. line_style("lines", o),
    extent = layer.extent(arrays[1], arrays[2], n),
  })
end

--- plot.steps(edges, heights, {title =, colour =, width = 1.5, dash = 1, filled = false}): a line of steps:
-- heights[i] from edges[i] to edges[i + 1]; there is one edge more than heights. It falls to 0 at both ends.
function curves.steps(edges, heights, given)
  local o = options("steps", given, { "title", "colour", "width", "dash", "filled" })
  local e, edge_count = layer.numbers("steps", "edges", edges)
  local h, n = layer.numbers("steps", "heights", heights)
  if edge_count ~= n + 1 then
    raise("steps: edges has %d values, expected %d, one more than heights", edge_count, n + 1)
  end
  local x, y = { e[0] }, { 0 }
  for i = 0, n - 1 do
    x[#x + 1], y[#y + 1] = e[i], h[i]
    x[#x + 1], y[#y + 1] = e[i + 1], h[i]
  end
  x[#x + 1], y[#y + 1] = e[n], 0
  local arrays, count = together("steps", { { "edges", x }, { "heights", y } })
  local style = o.filled and "with filledcurves y1=0 fs transparent solid 0.35 lc COLOUR"
    or "with lines " .. line_style("steps", o)
  return curve("steps", o, {
    data = layer.columns(arrays, count), using = "1:2", style = style,
    key = o.filled and "with filledcurves fs solid 0.35 lc COLOUR" or nil,
    extent = layer.extent(arrays[1], arrays[2], count), floor = true,
  })
end

--- plot.band(x, low, high, {title =, colour =}): the area between two curves.
function curves.band(x, low, high, given)
  local o = options("band", given, { "title", "colour" })
  local arrays, n = together("band", { { "x", x }, { "low", low }, { "high", high } })
  return curve("band", o, {
    data = layer.columns(arrays, n), using = "1:2:3",
    style = "with filledcurves fs transparent solid 0.3 noborder lc COLOUR",
    extent = layer.extent(arrays[1], arrays[2], n, arrays[3]),
  })
end

--- plot.histogram(values, {bins = 40, range = {low, high}, density = false, filled = false, title =,
-- colour =, dash = 1}): counts, or with `density` the density, whose integral over all values is 1. Values
-- outside the range are not drawn, but the density counts them.
function curves.histogram(values, given)
  local o = options("histogram", given, { "bins", "range", "density", "filled", "title", "colour", "dash" })
  local v, n = layer.numbers("histogram", "values", values)
  local bins = arguments.integer("histogram", o, "bins", 40, 1, 1e5)
  local low, high = layer.span("histogram", "range", v, n, o.range)
  local width, count, all = (high - low) / bins, {}, 0
  for i = 0, bins - 1 do count[i] = 0 end
  for i = 0, n - 1 do
    if v[i] == v[i] then all = all + 1 end
    local bin = math.floor((v[i] - low) / width)
    if v[i] == high then bin = bins - 1 end
    if bin >= 0 and bin < bins then count[bin] = count[bin] + 1 end
  end
  local scale, lines, most = o.density and all > 0 and 1 / (all * width) or 1, {}, 0
  for i = -1, bins do
    lines[#lines + 1] = ("%.8g %.8g"):format(low + (i + 0.5) * width, (count[i] or 0) * scale)
    most = math.max(most, (count[i] or 0) * scale)
  end
  local line = line_style("histogram", o)
  return curve("histogram", o, {
    data = table.concat(lines, "\n") .. "\n", using = o.filled and ("1:2:(%.9g)"):format(width) or "1:2",
    style = o.filled and "with boxes fs solid 0.35 noborder lc COLOUR" or "with histeps " .. line,
    key = not o.filled and "with lines " .. line or nil, extent = { low, high, 0, most }, floor = true,
  })
end

--- plot.spike(x, height, {text =, title =, colour =, width = 3}): a line from 0 to height at x, with a text
-- at its top: the share of values that are all the same, which no density shows.
function curves.spike(x, height, given)
  local o = options("spike", given, { "text", "title", "colour", "width" })
  errors.number("spike", "x", x, -1e300, 1e300)
  errors.number("spike", "height", height, 0, 1e300)
  local label = o.text and ("set label %s at %.9g,%.9g left offset character 0.4,-0.3 front"):format(
    text.said(o.text), x, height) or nil
  return curve("spike", o, {
    data = ("%.9g %.9g\n"):format(x, height), using = "1:2", set = label,
    style = ("with impulses lw %g lc COLOUR"):format(arguments.number("spike", o, "width", 3, 0)),
    key = "with lines lw 3 lc COLOUR", extent = { x, x, 0, height }, floor = true,
  })
end

return curves
