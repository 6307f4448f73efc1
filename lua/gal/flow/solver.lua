-- flow/solver: the parts of steps = "auto": the Runge-Kutta method, the instants, and the search for a step
-- count by step halving. It knows no flows: draw.lua and density.lua say what is integrated and what an error
-- is.
local runge_kutta = require "gal.base.runge_kutta"

local solver = {}

--- solver.method: Dormand & Prince's of fifth order, six evaluations a step. On flows of ECO/RESOLVE, two
-- banana-shaped posteriors and a linear-Gaussian problem an error of 1e-3 deviations took 18 to 36
-- evaluations; the classical rule 24 to 48, Butcher's of sixth order 21 to 42, Dormand & Prince's of eighth
-- order 24 to 36. Richardson's extrapolation of halved steps gave errors two to ten times those of the finer
-- solution: at these step sizes errors fall faster than the order says.
solver.method = runge_kutta.dormand_prince
solver.stages = solver.method.stages

-- A Gaussian posterior of deviation w moves its draws by sqrt((1 - t)^2 + (w t)^2), which is singular at a
-- distance of about w from t = 1, so that steps in proportion to sqrt((1 - t)^2 + w^2) have equal errors: t =
-- 1 - w sinh(u). Of w = inf, .5, .4, .3, .2, .1 and .03 this was the best or within a third of the best on
-- each of the flows above, whose posteriors are from .02 to .8 wide: one grid for all.
local WIDTH = 0.4
local function asinh(v) return math.log(v + math.sqrt(v * v + 1)) end
local function sinh(v) return (math.exp(v) - math.exp(-v)) / 2 end

local grids = {}
--- solver.times(n): the n + 1 instants from 0 to 1, always the same table for the same n.
function solver.times(n)
  local times = grids[n]
  if times then return times end
  times = {}
  for i = 0, n do times[i + 1] = 1 - WIDTH * sinh(asinh(1 / WIDTH) * (1 - i / n)) end
  times[1], times[n + 1] = 0, 1
  grids[n] = times
  return times
end

-- The first pair of solutions has FIRST and 2 FIRST steps, the last one MOST / 2 and MOST.
local FIRST, MOST = 3, 96
solver.first, solver.most = FIRST, MOST

--- solver.halve(count, run, apart, judge): solves `count` items with FIRST steps and with twice as many, and
-- solves the items that this does not settle with twice as many again, and so on. run(items, steps) returns a
-- value that holds the solutions of these items (a list of numbers from 1 to count; nil: all) in their order.
-- apart(coarse, places, fine) returns a list of how far the solutions `fine` are from those of `coarse` at
-- these places (a list from 1; nil: all, in order). judge(item, difference, steps, j, last) returns whether
-- an item is settled, whose solutions with `steps` and with 2 steps are so far apart, the latter being number
-- j of the latest run's; where last is true there is no finer pair. Whether an item is settled depends on its
-- own solutions only.
function solver.halve(count, run, apart, judge)
  local items, places = {}, nil
  for i = 1, count do items[i] = i end
  local steps, coarse = FIRST, run(nil, FIRST)
  while true do
    local fine = run(#items < count and items or nil, 2 * steps)
    local differences, rest, places_of_rest = apart(coarse, places, fine), {}, {}
    for j, item in ipairs(items) do
      if not judge(item, differences[j], steps, j, 2 * steps >= MOST) then
        rest[#rest + 1] = item
        places_of_rest[#rest] = j
      end
    end
    if #rest == 0 or 2 * steps >= MOST then return end
    places = #rest < #items and places_of_rest or nil
    items, coarse, steps = rest, fine, 2 * steps
  end
end

-- Step counts to choose from: few enough that galaxies share them.
local COUNTS = { 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, MOST }
-- A few draws don't show the error of all, which comes from rare ones. With the error of 32 draws kept to an
-- eighth of the tolerance that of a hundred was at most half of the tolerance for 720 posteriors of three
-- flows; kept to a quarter, for one of the 60 of another draw of them 1.1 times the tolerance; to half, above
-- it for 4 % of a banana-shaped posterior's. From an eighth to a quarter is a tenth of the evaluations.
local SAFETY = 8
-- Between a count and its double the error is taken to fall with this power, one less than the method's
-- order.
local POWER = 4

--- solver.count(difference, steps, tolerance): how many steps, from `steps` to 2 steps, keep the error below
-- the tolerance, and the error estimated for them; nil where not even 2 steps do. difference: of the
-- solutions with steps and with 2 steps, which is the error of the coarser.
function solver.count(difference, steps, tolerance)
  for _, count in ipairs(COUNTS) do
    if count >= steps and count <= 2 * steps then
      local error = difference * (steps / count) ^ POWER
      if SAFETY * error <= tolerance then return count, error end -- false for NaN
    end
  end
end

--- solver.halved_error(difference): the error of the solution with 2 steps, from its difference to that with
-- `steps`: a third of it. Mostly it is less than a thirtieth, but not always: of 10,800 points of three
-- flows that this let pass at 1e-3 nats the worst was 4.5e-4 off. Infinite where the solution is no number.
function solver.halved_error(difference)
  return difference - difference == 0 and difference / 3 or math.huge
end

-- ---- what the user is told ----

local Report = {}
Report.__index = Report

function Report:__tostring()
  local flagged = #self.flagged == 0 and "all within"
    or ("%d of %d galaxies not within"):format(#self.flagged, self.galaxies)
  return ("%s, %.1f evaluations a draw, %s %g"):format(self.solver, self.evaluations, flagged, self.tolerance)
end

--- solver.report{galaxies, tolerance, evaluations, steps, error, flagged}: see Flow:sample; `solver` and a
-- text form are added.
function solver.report(r)
  r.solver = solver.method.name
  return setmetatable(r, Report)
end

return solver
