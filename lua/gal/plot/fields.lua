-- Layers of pairs in a plane: how dense they lie, as shades or as contours.
local arguments = require "gal.base.options"
local density_grid = require "gal.stats.density_grid"
local errors = require "gal.base.errors"
local host = require "gal.stats.host"
local layer = require "gal.plot.layer"
local loops = require "gal.plot.loops"
local weighted = require "gal.stats.weighted"
local raise, kind = errors.raise, errors.kind

local fields = {}

-- The bin, from 0, of a value in `bins` bins from low to high, of which the last has its upper end too.
local function bin_of(value, low, high, bins)
  if value == high then return bins - 1 end
  return math.floor((value - low) / (high - low) * bins)
end

--- plot.density(x, y, {bins = 50, xrange =, yrange =, root = true}): how many pairs lie in each cell, as
-- shades; their square roots, so that the thin parts are seen too.
function fields.density(x, y, given)
  local o = layer.options("density", given, { "bins", "xrange", "yrange", "root" })
  local arrays, n = layer.together("density", { { "x", x }, { "y", y } })
  local bins = arguments.integer("density", o, "bins", 50, 2, 2000)
  local x0, x1 = layer.span("density", "xrange", arrays[1], n, o.xrange)
  local y0, y1 = layer.span("density", "yrange", arrays[2], n, o.yrange)
  local count, dx, dy, lines = host.new(bins * bins), (x1 - x0) / bins, (y1 - y0) / bins, {}
  for k = 0, n - 1 do
    local i, j = bin_of(arrays[1][k], x0, x1, bins), bin_of(arrays[2][k], y0, y1, bins)
    if i >= 0 and i < bins and j >= 0 and j < bins then count[j * bins + i] = count[j * bins + i] + 1 end
  end
  for j = 0, bins - 1 do
    for i = 0, bins - 1 do
      local c = count[j * bins + i]
      lines[#lines + 1] = ("%.8g %.8g %.6g"):format(x0 + (i + 0.5) * dx, y0 + (j + 0.5) * dy,
        o.root == false and c or math.sqrt(c))
    end
    lines[#lines + 1] = ""
  end
  lines[#lines] = nil
  return layer.new{
    kind = "density", data = table.concat(lines, "\n") .. "\n", using = "1:2:3", style = "with image pixels",
    extent = { x0, x1, y0, y1 }, tight = true,
  }
end

-- The pairs that are finite and in range, with their weights: {x, y, weights}, arrays from 0, and how many.
local function inside(x, y, weights, n, o)
  local x0, x1, y0, y1 = -math.huge, math.huge, -math.huge, math.huge
  if o.xrange then x0, x1 = layer.pair("contours", "xrange", o.xrange) end
  if o.yrange then y0, y1 = layer.pair("contours", "yrange", o.yrange) end
  local kept, count = { host.new(n), host.new(n), host.new(n) }, 0
  for i = 0, n - 1 do
    local a, b = x[i], y[i]
    if a >= x0 and a <= x1 and b >= y0 and b <= y1 and a - a == 0 and b - b == 0 then
      kept[1][count], kept[2][count], kept[3][count], count = a, b, weights[i], count + 1
    end
  end
  return kept, count
end

local FEW = 20 -- draws: a level that holds fewer is not drawn as a contour

--- fields.levels(where, given): shares as a list: given, or {.68, .95}; "sigma" is {.393, .865}, the shares
-- of a Gaussian in two dimensions within one and two deviations.
function fields.levels(where, given)
  if given == "sigma" then return { 1 - math.exp(-0.5), 1 - math.exp(-2) } end
  local levels = errors.list(where, "levels", given or { 0.68, 0.95 }, "a list of shares, or \"sigma\"")
  if #levels == 0 then raise("%s: levels is an empty list, expected shares between 0 and 1", where) end
  for _, share in ipairs(levels) do
    if type(share) ~= "number" or share <= 0 or share >= 1 then
      raise("%s: a level is %s, expected a share between 0 and 1", where, kind(share))
    end
  end
  return levels
end

--- fields.limits(where, name, given): given, if it is {low, high} of which either may be nil.
function fields.limits(where, name, given)
  if given == nil then return {} end
  errors.list(where, name, given, "{low, high}, of which either may be nil")
  local low, high = given[1], given[2]
  if type(low) ~= "nil" then errors.number(where, name .. "[1]", low, -1e300, 1e300) end
  if type(high) ~= "nil" then errors.number(where, name .. "[2]", high, low or -1e300, 1e300) end
  return { low, high }
end

--- fields.regions(sample, levels, limits, bins): the regions that hold these shares of a sample {x, y,
-- weights (arrays from 0, finite), n}: {loops, of each level, none where fewer than 20 draws would lie in
-- it; few, whether a level has none for that reason; points, whether the sample has no area at all;
-- extent}.
function fields.regions(sample, levels, limits, bins)
  local n, found = sample.n, { loops = {}, few = false }
  local sum, squares = 0, 0
  for i = 0, n - 1 do
    sum, squares = sum + sample.weights[i], squares + sample.weights[i] ^ 2
  end
  local effective = squares > 0 and sum * sum / squares or 0
  local plane = effective > 2 and density_grid.plane(sample.x, sample.y, n, {
    weights = sample.weights, sum = sum, effective = effective, limits = limits, levels = levels, bins = bins,
  })
  found.flat = effective > 2 and not plane
  for k, share in ipairs(levels) do
    if not plane or share * effective < FEW then
      found.few, found.loops[k] = true, {}
    else
      found.loops[k] = loops.of(plane, plane.height[k])
    end
  end
  return found
end

--- plot.contours(x, y, {levels = {0.68, 0.95}, weights =, xlimits =, ylimits =, xrange =, yrange =, bins =
-- 128, width = 1.5, dash = 1, filled = false, title =, colour =}): lines around the densest places that
-- hold these shares of the pairs, or with `filled` (true, or how opaque, up to 1) their areas: levels of a
-- kernel density (gal.stats.density_grid) in which a draw does not count at its own place. levels = "sigma"
-- are 39 and 86 %.
-- xlimits = {0, nil}: x can't be below 0, and the density does not leak there. Pairs outside xrange and
-- yrange are left out. A level that would hold fewer than 20 draws is not drawn.
function fields.contours(x, y, given)
  local o = layer.options("contours", given, { "levels", "weights", "xlimits", "ylimits", "bins", "xrange",
    "yrange", "width", "dash", "filled", "title", "colour" })
  local arrays, n = layer.together("contours", { { "x", x }, { "y", y } })
  local weights = weighted.weights("contours", o.weights, n)
  local levels = fields.levels("contours", o.levels)
  local limits = {
    fields.limits("contours", "xlimits", o.xlimits), fields.limits("contours", "ylimits", o.ylimits),
  }
  local kept, count = inside(arrays[1], arrays[2], weights, n, o)
  local bins = arguments.integer("contours", o, "bins", 128, 8, 1024)
  local sample = { x = kept[1], y = kept[2], weights = kept[3], n = count }
  local found = fields.regions(sample, levels, limits, bins)
  local all = {}
  for k = 1, #levels do
    for _, loop in ipairs(found.loops[k]) do all[#all + 1] = loop end
  end
  return fields.region_layer(all, o)
end

--- fields.region_layer(list, {width, dash, filled, title, colour}): loops as a layer: lines, or with `filled`
-- one area.
function fields.region_layer(list, o)
  local width = arguments.number("contours", o, "width", 1.5, 0)
  local dash = arguments.integer("contours", o, "dash", 1, 1, 10)
  local opaque = o.filled == true and 0.3 or o.filled
  if opaque then errors.number("contours", "filled", opaque, 0, 1) end
  local extent = { math.huge, -math.huge, math.huge, -math.huge }
  for _, loop in ipairs(list) do
    for _, p in ipairs(loop) do
      extent = { math.min(extent[1], p[1]), math.max(extent[2], p[1]), math.min(extent[3], p[2]),
        math.max(extent[4], p[2]) }
    end
  end
  return layer.curve("contours", o, {
    data = opaque and loops.area(list) or loops.lines(list), using = "1:2", extent = extent,
    style = opaque and ("with filledcurves fs transparent solid %g noborder lc COLOUR"):format(opaque)
      or ("with lines lw %g dt %d lc COLOUR"):format(width, dash),
  })
end

return fields
