-- bands: curves of ranks, empirical distribution less uniform, with a band that holds all points of all
-- curves at once. No table of quantiles is needed (Saeilynoja, Buerkner & Vehtari 2022 make one): the L + 1
-- pseudo-truths are draws of all curves under calibration, with their dependence and discreteness.
local host = require "gal.stats.host"

local bands = {}

-- y[k m + j]: the share of galaxies whose rank is at most (k + 1)/points, less that, of curve q and
-- pseudo-truth j, for each point k but the last; what it deviates by, and its mean over j.
local function curve(sums, q, y)
  local m, points, histogram = sums.m, sums.points, sums.histogram
  local base, total = q * m * points, host.new(m)
  for j = 0, m - 1 do
    local sum = 0
    for k = 0, points - 1 do sum = sum + histogram[base + j * points + k] end
    total[j] = math.max(sum, 1)
    sum = 0
    for k = 0, points - 2 do
      sum = sum + histogram[base + j * points + k]
      y[k * m + j] = sum / total[j] - (k + 1) / points
    end
  end
end

-- Mean and deviation of m values of y from `first` on.
local function moments(y, first, m)
  local sum, squares = 0, 0
  for j = first, first + m - 1 do sum = sum + y[j] end
  local mean = sum / m
  for j = first, first + m - 1 do squares = squares + (y[j] - mean) ^ 2 end
  return mean, math.sqrt(squares / m)
end

--- bands.quantile(values, m, level): the least of m values that at least the share `level` of them do not
-- exceed. values: a double array.
function bands.quantile(values, m, level)
  local list = host.list(values, m)
  table.sort(list)
  return list[math.max(1, math.ceil(level * m - 1e-9))]
end

--- bands.curves(sums, level): the truth's curves of what sums (stats.exchangeable) has ranked, a list of
-- {name, x {K}, y {K}, low {K}, high {K}}; y: the share of galaxies with ranks of at most x, less x. With
-- probability `level` no point of any curve leaves low … high if the posteriors are calibrated. Second,
-- whether one does; third, the largest deviation that the band allows, in deviations of each point.
function bands.curves(sums, level)
  local m, points = sums.m, sums.points
  local y, largest, found = host.new(m * points), host.new(m), {}
  for q = 1, #sums.ranked do
    curve(sums, q - 1, y)
    local c = { name = sums.ranked[q], x = {}, y = {}, low = {}, high = {} }
    for k = 1, points do
      local mean, deviation = 0, 0
      if k < points then mean, deviation = moments(y, (k - 1) * m, m) end
      c.x[k], c.y[k], c.low[k], c.high[k] = k / points, k < points and y[(k - 1) * m] or 0, mean, deviation
      for j = 0, deviation > 0 and m - 1 or -1 do
        largest[j] = math.max(largest[j], math.abs(y[(k - 1) * m + j] - mean) / deviation)
      end
    end
    found[q] = c
  end
  local allowed = bands.quantile(largest, m, level)
  for _, c in ipairs(found) do
    for k = 1, points do
      local mean, half = c.low[k], allowed * c.high[k]
      c.low[k], c.high[k] = mean - half, mean + half
    end
  end
  return found, largest[0] > allowed, allowed
end

return bands
