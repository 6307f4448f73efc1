-- Samples whose regions are known to be hard, and how much of fresh draws the drawn contours hold: for
-- corner.lua and acceptance/contours.lua.
local gal = require "gal"
local fields = require "gal.plot.fields"
local host = require "gal.stats.host"

local contours = { names = { "a Gaussian", "a banana", "an edge" } }

-- Each makes a pair of two normals.
local MAKE = {
  ["a Gaussian"] = function(a, b) return 10 + 0.3 * a, -1 + 2 * (0.8 * a + 0.6 * b) end,
  ["a banana"] = function(a, b) return a, 0.5 * b + 0.7 * (a * a - 1) end,
  ["an edge"] = function(a, b) return math.abs(a), 0.6 * math.abs(a) + 0.5 * b end, -- x is at least 0
}

--- contours.draw(name, n, rng): n draws: arrays x and y from 0.
function contours.draw(name, n, rng)
  local z, x, y = host.read(gal.randn({ 2 * n }, { rng = rng })), host.new(n), host.new(n)
  for i = 0, n - 1 do x[i], y[i] = MAKE[name](z[2 * i], z[2 * i + 1]) end
  return x, y
end

--- contours.share(loops, x, y, n): which share of the points is within the loops: of the crossings of a ray
-- an odd number is outside of none.
function contours.share(loops, x, y, n)
  local count, edges = 0, {}
  for _, loop in ipairs(loops) do
    for k = 1, #loop do
      local p, q = loop[k], loop[k % #loop + 1]
      if p[2] ~= q[2] then
        edges[#edges + 1] = { p[2], q[2], p[1], (q[1] - p[1]) / (q[2] - p[2]) }
      end
    end
  end
  for i = 0, n - 1 do
    local inside, b = false, y[i]
    for _, e in ipairs(edges) do
      if (e[1] > b) ~= (e[2] > b) and x[i] < e[3] + (b - e[1]) * e[4] then inside = not inside end
    end
    if inside then count = count + 1 end
  end
  return count / n
end

--- contours.masses(name, levels, {n, repetitions, fresh, rng}): over so many samples of n draws each, the
-- shares of `fresh` other draws that their contours hold: a list for each level.
function contours.masses(name, levels, o)
  local found, weights = {}, host.new(o.n)
  for i = 0, o.n - 1 do weights[i] = 1 end
  for k = 1, #levels do found[k] = {} end
  for r = 1, o.repetitions do
    local x, y = contours.draw(name, o.n, o.rng)
    local u, v = contours.draw(name, o.fresh, o.rng)
    local limits = name == "an edge" and { { 0 } } or {}
    local regions = fields.regions({ x = x, y = y, weights = weights, n = o.n }, levels, limits)
    for k = 1, #levels do found[k][r] = contours.share(regions.loops[k], u, v, o.fresh) end
  end
  return found
end

return contours
