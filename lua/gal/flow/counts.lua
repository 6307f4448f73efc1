-- flow/counts: galaxies that take different numbers of steps, those of one number integrated together.
local core = require "gal.tensor"
local gal = require "gal"
local integrate = require "gal.flow.integrate"
local solver = require "gal.flow.solver"
local tiles = require "gal.flow.tiles"

local counts = {}

--- counts.some(x {k, ...}, list): the listed rows; x itself where no list is given or x has one row for all,
-- nil where x is nil.
function counts.some(x, list)
  if not x or not list or x:size(1) == 1 then return x end
  return x:rows(list)
end

-- The galaxies by their number of steps: lists by number, and the numbers in the order in which they come.
local function grouped(steps)
  local groups, order = {}, {}
  for galaxy, n in ipairs(steps) do
    if not groups[n] then
      groups[n] = {}
      order[#order + 1] = n
    end
    table.insert(groups[n], galaxy)
  end
  return groups, order
end

--- counts.carry(flow, theta {k * m, d}, features, m, steps, options): integrate.run of m rows of each of k
-- galaxies, in place, galaxy g in steps[g] steps of the solver's. options: density, backward, precision and
-- progress, which is called with rows done. Returns the integral {k * m, 1} where densities are asked for,
-- and rows times evaluations.
function counts.carry(flow, theta, features, m, steps, options)
  local k, before, cost = #steps, 0, 0
  local integral = options.density and gal.zeros({ k * m, 1 }, { device = theta:device() }) or nil
  local groups, order = grouped(steps)
  for _, n in ipairs(order) do
    local list = groups[n]
    gal.scope(function()
      local all = #list == k
      local own = all and theta or theta:reshape({ k, m * flow.d }):rows(list):reshape { -1, flow.d }
      local own_integral = integrate.run(flow, own, all and features or counts.some(features, list), m, {
        times = solver.times(n), tableau = solver.method, density = options.density,
        backward = options.backward, precision = options.precision,
        progress = tiles.part(options.progress, before),
      })
      if integral and all then core.assign(integral, own_integral) end
      for place, galaxy in ipairs(all and {} or list) do
        local to, from = (galaxy - 1) * m + 1, (place - 1) * m + 1
        core.assign(theta:narrow(1, to, m), own:narrow(1, from, m))
        if integral then core.assign(integral:narrow(1, to, m), own_integral:narrow(1, from, m)) end
      end
    end)
    before, cost = before + #list * m, cost + #list * m * n * solver.stages
  end
  return integral, cost
end

return counts
