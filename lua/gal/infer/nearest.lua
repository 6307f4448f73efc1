-- infer/nearest: which galaxies are most like a point in some space, of properties or of what is observed.
local arguments = require "gal.base.options"
local errors = require "gal.base.errors"
local host = require "gal.stats.host"
local metrics = require "gal.metrics"
local raise = errors.raise

local nearest = {}

-- The units of the columns of among {N, d}: those given, a list {d}, else their deviations; 1 for a constant.
local function units_of(among, given)
  local n, d = host.matrix("nearest", "among", among)
  if n == 0 then raise "nearest: among has no rows" end
  if given then errors.list("nearest", "scale", given, "a list of units") end
  local units = {}
  for i = 1, d do
    local unit
    if given then
      unit = errors.number("nearest", ("scale[%d]"):format(i), given[i], 1e-300, 1e300)
    else
      unit = select(2, metrics.moments(among:select(2, i)))
    end
    units[i] = unit > 0 and unit < math.huge and unit or 1
  end
  return units, n, d
end

-- The rows of `among` that are looked at: the list `only`, or all n.
local function rows_of(only, n)
  if only == nil then
    local all = {}
    for k = 1, n do all[k] = k end
    return all
  end
  errors.list("nearest", "only", only, "a list of rows")
  for i = 1, #only do errors.integer("nearest", ("only[%d]"):format(i), only[i], 1, n) end
  return only
end

-- The square of the distance between row k (from 1) of values and a point, an array from `at` on.
local function square(values, k, point, at, units)
  local sum, first = 0, (k - 1) * #units - 1
  for i = 1, #units do
    local difference = (values[first + i] - point[at + i - 1]) / units[i]
    sum = sum + difference * difference
  end
  return sum
end

--- nearest.rows(among {N, d}, point {d}, count[, {scale = {d}, only = rows}]): the `count` rows of among that
-- are nearest to a point, the nearest first, a list, and their Euclidean distances in the units `scale`, by
-- default the columns' deviations. only: the rows that are looked at. Rows with a value that is not finite,
-- or all where the point has one, are left out.
function nearest.rows(among, point, count, given)
  local o = arguments.known("nearest", given, { "scale", "only" })
  local units, n, d = units_of(among, o.scale)
  local p, m = host.numbers("nearest", "point", point)
  if m ~= d then raise("nearest: point has %d values, expected %d as among has columns", m, d) end
  errors.integer("nearest", "count", count, 1, 2 ^ 53)
  local values, list, distance = host.read(among), {}, {}
  for _, k in ipairs(rows_of(o.only, n)) do
    local s = square(values, k, p, 0, units)
    if s - s == 0 then list[#list + 1], distance[k] = k, math.sqrt(s) end
  end
  table.sort(list, function(a, b)
    if distance[a] ~= distance[b] then return distance[a] < distance[b] end
    return a < b
  end)
  local rows, distances = {}, {}
  for i = 1, math.min(count, #list) do rows[i], distances[i] = list[i], distance[list[i]] end
  return rows, distances
end

--- nearest.each(among {N, d}, points {m, d}[, {scale = {d}, only = rows}]): for each of m points, one after
-- another, the row of among that is nearest to it and was not taken before, a list {m}, and the distances, as
-- nearest.rows measures them. Raises where there are fewer rows than points.
function nearest.each(among, points, given)
  local o = arguments.known("nearest", given, { "scale", "only" })
  local units, n, d = units_of(among, o.scale)
  local m = host.matrix("nearest", "points", points, d)
  local values, p, taken, rows, distances = host.read(among), host.read(points), {}, {}, {}
  local meant = rows_of(o.only, n)
  for i = 1, m do
    local best, least = nil, math.huge
    for _, k in ipairs(meant) do
      local s = square(values, k, p, (i - 1) * d, units)
      if s < least and not taken[k] then best, least = k, s end
    end
    if not best then raise("nearest: no row is left, of %d, for point %d of %d", #meant, i, m) end
    taken[best], rows[i], distances[i] = true, best, math.sqrt(least)
  end
  return rows, distances
end

return nearest
