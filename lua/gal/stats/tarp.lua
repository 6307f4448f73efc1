-- tarp: distances from reference points (Lemos et al. 2023, "tests of accuracy with random points"): the rank
-- of the truth's distance among the draws' is uniform if posteriors are calibrated, wherever the points lie,
-- as long as they don't depend on which value is the truth. Points drawn at random see a posterior that is
-- too narrow or too wide; points that a regression gives from the context see one that ignores the context.
local gal = require "gal"
local host = require "gal.stats.host"
local linalg = require "gal.stats.linalg"

local tarp = {}

local RIDGE = 1e-6 -- of the contexts' variance, so that columns that are alike do no harm

-- Means and deviations of the columns of rows {N}{c}; 1 for the deviation of a constant one.
local function scale_of(rows, c)
  local mean, deviation = {}, {}
  for f = 1, c do
    local sum, squares = 0, 0
    for k = 1, #rows do sum = sum + rows[k][f] end
    mean[f] = sum / #rows
    for k = 1, #rows do squares = squares + (rows[k][f] - mean[f]) ^ 2 end
    deviation[f] = squares > 0 and math.sqrt(squares / #rows) or 1
  end
  return mean, deviation
end

--- tarp.regression(theta, context): a ridge regression of theta {M, d} on context {M, c}, tensors: a function
-- from an array of contexts and the index of a galaxy's first to its reference point, a list {d}.
function tarp.regression(theta, context)
  local rows, x = host.rows(theta), host.rows(context)
  local d, c, m = #rows[1], #x[1], #x
  local mean, deviation = scale_of(x, c)
  local centre = scale_of(rows, d)
  local square, right = {}, {}
  for f = 1, c do
    for k = 1, m do x[k][f] = (x[k][f] - mean[f]) / deviation[f] end
  end
  for f = 1, c do
    square[f], right[f] = {}, {}
    for g = 1, c do
      local sum = f == g and RIDGE * m or 0
      for k = 1, m do sum = sum + x[k][f] * x[k][g] end
      square[f][g] = sum
    end
    for i = 1, d do
      local sum = 0
      for k = 1, m do sum = sum + x[k][f] * (rows[k][i] - centre[i]) end
      right[f][i] = sum
    end
  end
  local slopes = linalg.product(linalg.invert(square), right)
  return function(contexts, first)
    local point = {}
    for i = 1, d do
      local sum = centre[i]
      for f = 1, c do sum = sum + slopes[f][i] * (contexts[first + f - 1] - mean[f]) / deviation[f] end
      point[i] = sum
    end
    return point
  end
end

--- tarp.random(rng, mean, deviation): a reference point, a list {d}, normal with the mean and the deviations
-- {d} of all values.
function tarp.random(rng, mean, deviation)
  local normal, point = host.read(gal.randn({ #mean }, { rng = rng, device = "cpu" })), {}
  for i = 1, #mean do point[i] = mean[i] + deviation[i] * normal[i - 1] end
  return point
end

--- tarp.distances(values, m, point, deviation, into, first): the squared distances of m values, values[i m +
-- j] their coordinate i + 1, from a point {d} in units of deviation {d}: into[first + j].
function tarp.distances(values, m, point, deviation, into, first)
  for j = 0, m - 1 do into[first + j] = 0 end
  for i = 1, #point do
    local base, centre, unit = (i - 1) * m, point[i], 1 / deviation[i]
    for j = 0, m - 1 do
      local difference = (values[base + j] - centre) * unit
      into[first + j] = into[first + j] + difference * difference
    end
  end
end

return tarp
