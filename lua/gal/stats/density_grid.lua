-- Kernel densities of weighted samples on grids, and the heights above which they hold given shares: what
-- contours are drawn from. Two dimensions: the sample is whitened, binned linearly, and convolved with a
-- Gaussian of Scott's (1992) width n^(-1/6), or of less where that makes the points likelier, each left out
-- of its own density; at a limit of a variable the density is reflected. A level is the quantile of the
-- sample's own densities, each point left out of its own: levels from the grid's sum, or with the points in,
-- hold less than they say. One dimension likewise, by Silverman's (1986) width.
local errors = require "gal.base.errors"
local host = require "gal.stats.host"
local weighted = require "gal.stats.weighted"

local density_grid = {}

local TAIL = 4 -- kernel widths after which the Gaussian (3e-4 of its height) is cut
local MOST = 2000 -- points whose densities give the levels

-- Mean and deviation of values under weights: {mean, sd, low, high}. Values beyond low and high, which are at
-- most five deviations from the mean, count as these: an outlier must not widen the kernel.
local function moments(values, weights, n, sum)
  local low, high = math.huge, -math.huge
  for i = 0, n - 1 do
    if weights[i] > 0 then low, high = math.min(low, values[i]), math.max(high, values[i]) end
  end
  local function mean_and_deviation()
    local mean, squares = 0, 0
    for i = 0, n - 1 do mean = mean + weights[i] * math.max(low, math.min(high, values[i])) end
    mean = mean / sum
    for i = 0, n - 1 do
      local v = math.max(low, math.min(high, values[i])) - mean
      squares = squares + weights[i] * v * v
    end
    return mean, math.sqrt(squares / sum)
  end
  local mean, sd
  for _ = 1, 10 do -- an outlier is pulled in step by step; most samples are left as they are at once
    mean, sd = mean_and_deviation()
    local inner, outer = mean - 5 * sd, mean + 5 * sd
    if low >= inner and high <= outer then break end
    low, high = math.max(low, inner), math.min(high, outer)
  end
  return { mean = mean, sd = sd, low = low, high = high }
end

-- The range of whitened values that a grid has to cover: between the quantiles `tail` and 1 - tail, by
-- counting, and a kernel's reach beyond.
local function reach(values, weights, n, sum, tail, h)
  local low, high = math.huge, -math.huge
  for i = 0, n - 1 do
    if weights[i] > 0 then low, high = math.min(low, values[i]), math.max(high, values[i]) end
  end
  low, high = math.max(low, -30), math.min(high, 30)
  local CELLS = 1024
  local count, scale = host.new(CELLS), CELLS / math.max(high - low, 1e-9)
  for i = 0, n - 1 do
    local cell = math.floor((values[i] - low) * scale)
    cell = math.max(0, math.min(CELLS - 1, cell))
    count[cell] = count[cell] + weights[i]
  end
  local first, last, below, above = 0, CELLS - 1, count[0], count[CELLS - 1]
  while below <= tail * sum and first < last do
    first = first + 1
    below = below + count[first]
  end
  while above <= tail * sum and last > first do
    last = last - 1
    above = above + count[last]
  end
  return low + first / scale - TAIL * h, low + (last + 1) / scale + TAIL * h
end

-- The Gaussian of width h at 0, 1, 2, … steps of d, an array from 0, and how many steps it has.
local function kernel_of(h, d)
  local steps = math.max(1, math.ceil(TAIL * h / d))
  local kernel = host.new(steps + 1)
  for k = 0, steps do kernel[k] = math.exp(-0.5 * (k * d / h) ^ 2) / (h * math.sqrt(2 * math.pi)) end
  return kernel, steps
end

-- Convolves the bins x bins cells of `from` with the kernel along one axis into `to`: stride is 1 along x,
-- bins along y.
local function convolve(from, to, bins, along, across, kernel, steps)
  for line = 0, bins - 1 do
    local first, last = -1, -1 -- cells of this line that are not 0
    for k = 0, bins - 1 do
      if from[line * across + k * along] ~= 0 then
        if first < 0 then first = k end
        last = k
      end
    end
    for k = 0, bins - 1 do
      local sum = 0
      if first >= 0 then
        for j = math.max(first, k - steps), math.min(last, k + steps) do
          sum = sum + from[line * across + j * along] * kernel[math.abs(k - j)]
        end
      end
      to[line * across + k * along] = sum
    end
  end
end

-- The value of grid g between its points, at u, v; 0 outside.
local function between(g, u, v)
  local a, b, bins = (u - g.u0) / g.du, (v - g.v0) / g.dv, g.bins
  local i, j = math.floor(a), math.floor(b)
  if i < 0 or j < 0 or i >= bins - 1 or j >= bins - 1 then return 0 end
  a, b = a - i, b - j
  local at, cell = g.cell, j * bins + i
  return (1 - b) * ((1 - a) * at[cell] + a * at[cell + 1])
    + b * ((1 - a) * at[cell + bins] + a * at[cell + bins + 1])
end

-- The points among which the levels are found: all, or MOST of them at equal steps of the summed weights;
-- each with its weight there.
local function chosen(weights, n, sum)
  local index, weight = {}, {}
  if n <= MOST then
    for i = 0, n - 1 do
      if weights[i] > 0 then index[#index + 1], weight[#weight + 1] = i, weights[i] end
    end
    return index, weight
  end
  local so_far, i = weights[0], 0
  for k = 0, MOST - 1 do
    local target = (k + 0.5) / MOST * sum
    while so_far < target and i < n - 1 do
      i = i + 1
      so_far = so_far + weights[i]
    end
    index[k + 1], weight[k + 1] = i, 1
  end
  return index, weight
end

-- The mirrors of a plane with limits {low, high} for x and y: a list of {x = limit or nil, y = limit or nil}.
local function mirrors_of(limits)
  local list = {}
  local x, y = limits[1] or {}, limits[2] or {}
  for _, a in ipairs{ x[1] or false, x[2] or false } do
    if a then list[#list + 1] = { x = a } end
  end
  for _, b in ipairs{ y[1] or false, y[2] or false } do
    if b then
      list[#list + 1] = { y = b }
      for _, a in ipairs{ x[1] or false, x[2] or false } do
        if a then list[#list + 1] = { x = a, y = b } end
      end
    end
  end
  return list
end

-- A plane's way to whitened coordinates and back.
local Plane = {}
Plane.__index = Plane

function Plane:white(x, y)
  local u = (x - self.mx) / self.sx
  return u, ((y - self.my) / self.sy - self.rho * u) / self.c
end

--- plane:place(i, j): where in the sample's own units the cell i, j (from 0, or between cells) lies.
function Plane:place(i, j)
  local u, v = self.u0 + i * self.du, self.v0 + j * self.dv
  return self.mx + self.sx * u, self.my + self.sy * (self.rho * u + self.c * v)
end

-- The density at x, y: of the grid g, and of its mirror images.
function Plane:mirrored(g, x, y)
  local sum = between(g, self:white(x, y))
  for _, mirror in ipairs(self.mirrors) do
    sum = sum + between(g, self:white(mirror.x and 2 * mirror.x - x or x, mirror.y and 2 * mirror.y - y or y))
  end
  return sum
end

-- What a point's own kernel adds to the mirrored density there.
function Plane:own(x, y)
  local u, v = self:white(x, y)
  local function along(t, kernel)
    t = t - math.floor(t)
    return ((1 - t) ^ 2 + t ^ 2) * kernel[0] + 2 * t * (1 - t) * kernel[1]
  end
  local sum = along((u - self.u0) / self.du, self.kernel_u) * along((v - self.v0) / self.dv, self.kernel_v)
  for _, mirror in ipairs(self.mirrors) do
    local a, b = self:white(mirror.x and 2 * mirror.x - x or x, mirror.y and 2 * mirror.y - y or y)
    sum = sum + math.exp(-0.5 * ((a - u) ^ 2 + (b - v) ^ 2) / self.h ^ 2) / (2 * math.pi * self.h ^ 2)
  end
  return sum
end

-- Adds the points to the cells of the plane's grid, each shared by the four around it.
local function bin(plane, us, vs, weights, n)
  local bins, cell = plane.bins, host.new(plane.bins * plane.bins)
  for i = 0, n - 1 do
    local a, b = (us[i] - plane.u0) / plane.du, (vs[i] - plane.v0) / plane.dv
    local k, l = math.floor(a), math.floor(b)
    if k >= 0 and l >= 0 and k < bins - 1 and l < bins - 1 then
      a, b = a - k, b - l
      local at, w = l * bins + k, weights[i]
      cell[at] = cell[at] + w * (1 - a) * (1 - b)
      cell[at + 1] = cell[at + 1] + w * a * (1 - b)
      cell[at + bins] = cell[at + bins] + w * (1 - a) * b
      cell[at + bins + 1] = cell[at + bins + 1] + w * a * b
    end
  end
  return cell
end

-- The whitening of the points, or nil where they lie on a point or a line.
local function whitening(x, y, weights, n, sum)
  local a, b = moments(x, weights, n, sum), moments(y, weights, n, sum)
  if not (a.sd > 0 and b.sd > 0 and a.sd < math.huge and b.sd < math.huge) then return nil end
  local product = 0
  for i = 0, n - 1 do
    local p, q = math.max(a.low, math.min(a.high, x[i])), math.max(b.low, math.min(b.high, y[i]))
    product = product + weights[i] * ((p - a.mean) / a.sd) * ((q - b.mean) / b.sd)
  end
  local rho = product / sum
  local rest = 1 - rho * rho
  if rest < 1e-9 then return nil end
  return setmetatable({
    mx = a.mean, sx = a.sd, my = b.mean, sy = b.sd, rho = rho, c = math.sqrt(rest),
  }, Plane)
end

-- The binned points under a Gaussian of width h, as a grid; the plane's kernels are its.
local function smoothed(plane, binned, h, sum)
  local bins, half, cell = plane.bins, host.new(plane.bins ^ 2), host.new(plane.bins ^ 2)
  local steps_u, steps_v
  plane.h = h
  plane.kernel_u, steps_u = kernel_of(h, plane.du)
  plane.kernel_v, steps_v = kernel_of(h, plane.dv)
  convolve(binned, half, bins, 1, bins, plane.kernel_u, steps_u)
  convolve(half, cell, bins, bins, 1, plane.kernel_v, steps_v)
  for k = 0, bins * bins - 1 do cell[k] = cell[k] / sum end
  errors.poll()
  return { cell = cell, bins = bins, u0 = plane.u0, v0 = plane.v0, du = plane.du, dv = plane.dv }
end

-- The densities at the points of this index, each left out of its own: an array from 0.
local function left_out(plane, grid, x, y, sample, index)
  local density = host.new(#index)
  for k, i in ipairs(index) do
    local own = sample.weights[i] / sample.sum
    density[k - 1] = (plane:mirrored(grid, x[i], y[i]) - own * plane:own(x[i], y[i])) / (1 - own)
  end
  return density
end

-- The mean of the logarithm of densities under their weights; none counts for less than `floor`, so that a
-- few points that lie alone don't decide.
local function likelihood(density, weight, floor)
  local sum, all = 0, 0
  for k, w in ipairs(weight) do
    sum, all = sum + w * math.log(math.max(density[k - 1], floor)), all + w
  end
  return sum / all
end

-- Widths that are tried, of Scott's. His is that of a Gaussian; several modes or a bent ridge want less.
local WIDTHS = { 1, 0.7, 0.5, 0.35, 0.25 }
local GAIN = 0.01 -- nats: what a smaller width has to gain, as a smoother contour is easier to read

-- Whether more than a twentieth of the values at the index are shared with others: rounded values and atoms,
-- which are the likelier the smaller the width is.
local function repeated(values, index)
  local seen, distinct = {}, 0
  for _, i in ipairs(index) do
    if not seen[values[i]] then seen[values[i]], distinct = true, distinct + 1 end
  end
  return distinct < 0.95 * #index
end

-- The grid of the width that is most likely, with its densities at the points of the index; the plane keeps
-- it.
local function best_grid(plane, binned, x, y, sample, index, weight)
  local scott, best, most, floor = sample.effective ^ (-1 / 6), nil, -math.huge, nil
  local widths = (repeated(x, index) or repeated(y, index)) and { 1 } or WIDTHS
  for _, width in ipairs(widths) do
    local h = width * scott
    if best and h < 1.2 * math.max(plane.du, plane.dv) then break end
    local grid = smoothed(plane, binned, h, sample.sum)
    local density = left_out(plane, grid, x, y, sample, index)
    if not floor then
      local order = weighted.order(density, #index)
      floor = 1e-3 * math.max(density[order[math.floor(#index / 2)]], 1e-300)
    end
    local found = likelihood(density, weight, floor)
    if found < most + GAIN then break end
    best, most = { grid = grid, density = density, h = h, u = plane.kernel_u, v = plane.kernel_v }, found
  end
  plane.h, plane.kernel_u, plane.kernel_v = best.h, best.u, best.v
  return best.grid, best.density
end

-- The plane's grid: its range, by the points' whitened places, and its cells.
local function set_range(plane, us, vs, sample, levels, bins)
  local most, h = 0, sample.effective ^ (-1 / 6)
  for _, share in ipairs(levels) do most = math.max(most, share) end
  local u0, u1 = reach(us, sample.weights, sample.n, sample.sum, (1 - most) / 50, h)
  local v0, v1 = reach(vs, sample.weights, sample.n, sample.sum, (1 - most) / 50, h)
  plane.bins, plane.u0, plane.v0 = bins, u0, v0
  plane.du, plane.dv = (u1 - u0) / (bins - 1), (v1 - v0) / (bins - 1)
end

--- plane(x, y, n, {weights, sum, effective, limits, levels, bins = 128}): the density of n points on a grid
-- of bins x bins cells. x, y, weights: arrays from 0 of finite numbers, sum their sum, effective their
-- effective number, as weighted.weights gives them; limits {{low, high}, {low, high}}, nil where there is
-- none; levels: a list of shares. Returns {cell, an array from 0, x fastest, of densities in whitened
-- units; bins; h, the kernel's width; height, a list for the levels; limits; place(i, j)}, or nil where the
-- points lie on a line.
function density_grid.plane(x, y, n, given)
  local sample = { weights = given.weights, n = n, sum = given.sum, effective = given.effective }
  local plane = n > 2 and whitening(x, y, sample.weights, n, sample.sum)
  if not plane then return nil end
  local us, vs = host.new(n), host.new(n)
  for i = 0, n - 1 do us[i], vs[i] = plane:white(x[i], y[i]) end
  plane.limits = given.limits or {}
  plane.mirrors = mirrors_of(plane.limits)
  set_range(plane, us, vs, sample, given.levels, given.bins or 128)
  local binned, bins = bin(plane, us, vs, sample.weights, n), plane.bins
  local index, weight = chosen(sample.weights, n, sample.sum)
  local grid, density = best_grid(plane, binned, x, y, sample, index, weight)
  local tails, weights = {}, host.new(#index)
  for k, share in ipairs(given.levels) do tails[k] = 1 - share end
  for k, w in ipairs(weight) do weights[k - 1] = w end
  plane.height = weighted.at(density, weights, weighted.order(density, #index), #index, tails)
  plane.cell = grid.cell
  if #plane.mirrors > 0 then
    plane.cell = host.new(bins * bins)
    for j = 0, bins - 1 do
      for i = 0, bins - 1 do plane.cell[j * bins + i] = plane:mirrored(grid, plane:place(i, j)) end
    end
  end
  return plane
end

-- ---- one dimension ----

-- The values shared by the cells of a line from low in steps of d.
local function bin_line(white, weights, n, low, d, cells)
  local binned = host.new(cells)
  for i = 0, n - 1 do
    local a = (white[i] - low) / d
    local k = math.floor(a)
    if k >= 0 and k < cells - 1 then
      binned[k] = binned[k] + weights[i] * (1 - a + k)
      binned[k + 1] = binned[k + 1] + weights[i] * (a - k)
    end
  end
  return binned
end

-- The binned values under a Gaussian of width h: {at(u), the density at a whitened place with its mirror
-- images; own(u), what a value's own kernel adds there}.
local function smooth_line(line, binned, h, sum)
  local kernel, steps = kernel_of(h, line.d)
  local cells, density = line.cells, host.new(line.cells)
  for k = 0, cells - 1 do
    local total = 0
    for j = math.max(0, k - steps), math.min(cells - 1, k + steps) do
      total = total + binned[j] * kernel[math.abs(k - j)]
    end
    density[k] = total / sum
  end
  local function between_cells(u)
    local a = (u - line.low) / line.d
    local k = math.floor(a)
    if k < 0 or k >= cells - 1 then return 0 end
    return density[k] + (a - k) * (density[k + 1] - density[k])
  end
  local function at(u)
    local y = between_cells(u)
    for _, limit in pairs(line.limits) do y = y + between_cells(2 * limit - u) end
    return y
  end
  local function own(u)
    local t = (u - line.low) / line.d
    t = t - math.floor(t)
    local y = ((1 - t) ^ 2 + t ^ 2) * kernel[0] + 2 * t * (1 - t) * kernel[1]
    for _, limit in pairs(line.limits) do
      y = y + math.exp(-2 * ((limit - u) / h) ^ 2) / (h * math.sqrt(2 * math.pi))
    end
    return y
  end
  return { at = at, own = own }
end

-- The smoothed line of the width, of those tried, that is most likely.
local function best_line(line, white, h, sample)
  local binned = bin_line(white, sample.weights, sample.n, line.low, line.d, line.cells)
  local index, weight = chosen(sample.weights, sample.n, sample.sum)
  local best, most, density = nil, -math.huge, host.new(#index)
  for _, width in ipairs(repeated(white, index) and { 1 } or WIDTHS) do
    local found = smooth_line(line, binned, width * h, sample.sum)
    for k, i in ipairs(index) do
      local own = sample.weights[i] / sample.sum
      density[k - 1] = (found.at(white[i]) - own * found.own(white[i])) / math.max(1 - own, 1e-9)
    end
    local likely = likelihood(density, weight, 1e-4)
    if likely < most + GAIN then break end
    best, most = found, likely
  end
  return best
end

--- line(x, n, {weights, sum, effective, limits = {low, high}, quartiles, points = 256}): the density of n
-- values, whose integral is 1: {x, y}, lists of places and densities between the limits; nil where all
-- values are the same. The kernel's width is .9 min(σ, IQR/1.34) n^(-1/5) (Silverman 1986, eq. 3.31), or
-- less, as in two dimensions.
function density_grid.line(x, n, given)
  local sample = { weights = given.weights, n = n, sum = given.sum, effective = given.effective }
  local m, points = moments(x, sample.weights, n, sample.sum), given.points or 256
  if not (m.sd > 0 and m.sd < math.huge) then return nil end
  local q = given.quartiles
    or weighted.at(x, sample.weights, weighted.order(x, n), n, { 0.25, 0.75 })
  local spread = math.min(m.sd, q[2] > q[1] and (q[2] - q[1]) / 1.34 or m.sd)
  local h, white = 0.9 * spread / m.sd * sample.effective ^ -0.2, host.new(n)
  for i = 0, n - 1 do white[i] = (x[i] - m.mean) / m.sd end
  local low, high = reach(white, sample.weights, n, sample.sum, 1e-4, h)
  local line = { low = low, cells = 4 * points, d = (high - low) / (4 * points - 1), limits = {} }
  for k, limit in pairs(given.limits or {}) do line.limits[k] = (limit - m.mean) / m.sd end
  local best, found = best_line(line, white, h, sample), { x = {}, y = {} }
  local first, last = math.max(low, line.limits[1] or low), math.min(high, line.limits[2] or high)
  for k = 1, points do
    local u = first + (last - first) * (k - 1) / (points - 1)
    found.x[k], found.y[k] = m.mean + m.sd * u, best.at(u) / m.sd
  end
  for k, end_at in pairs{ [1] = 1, [2] = points } do -- exactly at the limit, without rounding
    local limit = given.limits and given.limits[k]
    if limit and line.limits[k] == (k == 1 and first or last) then found.x[end_at] = limit end
  end
  return found
end

return density_grid
