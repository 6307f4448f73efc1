-- flow/density: exact log densities of a flow, tile by tile: the ODE is solved backwards with the divergence
-- of its field. With steps = "auto" the steps are halved until the last two solutions of a point agree.
local errors = require "gal.base.errors"
local core = require "gal.tensor"
local gal = require "gal"
local arguments = require "gal.base.options"
local inputs = require "gal.flow.inputs"
local integrate = require "gal.flow.integrate"
local solver = require "gal.flow.solver"
local tiles = require "gal.flow.tiles"
local raise = errors.raise

local density = {}

local HOST = { device = "cpu" } -- where reports lie
local OPTIONS = { "steps", "tolerance", "precision", "progress", "told" }

--- density.solved(job, z {M, d}, features, each, steps[, progress]): the points solved in `steps` steps: the
-- noise that they come from, {M, d}, and the integral of the divergence, {M}. `each` points belong to one row
-- of features; z is overwritten, and job.cost grows.
function density.solved(job, z, features, each, steps, progress)
  local integral = integrate.run(job.flow, z, features, each, {
    times = solver.times(steps), tableau = solver.method, density = true, backward = true,
    progress = progress,
  })
  job.cost = job.cost + z:size(1) * steps * solver.stages
  return { noise = z, integral = integral:reshape { -1 } }
end

--- density.apart(coarse, fine): how far apart two solutions of points are, nats, {M}: the integrals'
-- difference, and what each component of the noise adds by itself, even where log N(noise) is flat. Absolute
-- values are added, as differences with signs cancel now and then.
function density.apart(coarse, fine)
  local moved = (coarse.noise - fine.noise):abs() * fine.noise:abs():maximum(1)
  return (coarse.integral - fine.integral):abs() + moved:sum(2)
end

-- For points z {M, d} with steps = "auto": their log densities {M}, standardised; lists {M} of their steps
-- and of their estimated errors. at: points done before.
local function chosen(job, z, features, each, at)
  local points = z:size(1)
  local counts, errors, place = {}, {}, {}
  local values, before, latest = {}, 0, 0 -- of each run; how many rows they have without and with the last
  local function run(list, steps)
    local own, told, share = z, features, each
    if list then
      own, share = z:rows(list), 1
      if features and features:size(1) > 1 then
        local rows = {}
        for i, point in ipairs(list) do rows[i] = math.floor((point - 1) / each) + 1 end
        told = features:rows(rows)
      end
    else
      own = z:clone()
    end
    -- The first two solutions, of one and two parts of work, are nearly all of it.
    local progress
    if #values == 0 then progress = tiles.part(job.progress, at, 1 / 3) end
    if #values == 1 then progress = tiles.part(job.progress, at + points / 3, 2 / 3) end
    local solution = density.solved(job, own, told, share, steps, progress)
    values[#values + 1] = tiles.log_normal(own) + solution.integral
    before, latest = latest, latest + own:size(1)
    return solution
  end
  local function differences(coarse, places, fine)
    if places then
      coarse = { noise = coarse.noise:rows(places), integral = coarse.integral:rows(places) }
    end
    return density.apart(coarse, fine):totable()
  end
  solver.halve(points, run, differences, function(point, difference, steps, j, last)
    local error = solver.halved_error(difference)
    if not (error <= job.tolerance) and not last then return false end
    counts[point], errors[point], place[point] = 2 * steps, error, before + j
    return true
  end)
  return gal.cat(values, 1):rows(place), counts, errors
end

--- density.points(job, z {M, d}, features, each[, at = 0]): ln q of standardised points, {M}, by the flow
-- without its floor, per standardised unit; `each` of them belong to one row of features. job: {flow, steps,
-- tolerance, precision, progress, cost}. With steps = "auto" cost grows, and lists {M} of the steps and of
-- the estimated errors are returned, too. at: points done before. z is not changed.
function density.points(job, z, features, each, at)
  if job.steps == "auto" then return chosen(job, z, features, each, at or 0) end
  local noise = z:clone()
  local integral = integrate.run(job.flow, noise, features, each, {
    steps = job.steps, density = true, backward = true, precision = job.precision,
    progress = tiles.part(job.progress, at or 0),
  })
  return tiles.log_normal(noise) + integral:reshape { -1 }
end

-- One tile, the points z {k * m, d} of k galaxies from `first` on, `at` points before it: log densities
-- {k * m} in units of z; with steps = "auto" the steps and errors go into the report.
local function tile(job, z, features, m, first, at)
  local values, counts, errors = density.points(job, z, features, m, at)
  if job.flow.floor then values = job.flow.floor:under(values, z, errors) end
  local report = job.report
  if not report then return values end
  local points = #counts
  core.assign(report.steps:narrow(1, at + 1, points), gal.tensor(counts, { points }, HOST))
  core.assign(report.error:narrow(1, at + 1, points), gal.tensor(errors, { points }, HOST))
  for point, error in ipairs(errors) do
    local galaxy = first + math.floor((point - 1) / m)
    local listed = report.flagged[#report.flagged] == galaxy
    if error > job.tolerance and not listed then table.insert(report.flagged, galaxy) end
  end
  return values
end

--- density.run(where, flow, theta, x, options): see Flow:log_prob. Returns log densities and the report, nil
-- unless steps is "auto".
function density.run(where, flow, theta, x, options)
  options = arguments.known(where, options, OPTIONS)
  tiles.scale(where, flow)
  local steps, tolerance, precision = tiles.solver(where, options, flow:device(), true)
  local job = { flow = flow, cost = 0, steps = steps, tolerance = tolerance, precision = precision }
  if steps == "auto" and (precision or "f32") ~= "f32" then
    raise('%s: precision is "%s" with steps = "auto", which compares solutions more finely than that rounds, '
      .. 'expected "f32", or a number of steps', where, precision)
  end
  x = inputs.conditions(where, flow, x)
  local rows, each, shape
  theta, rows, each, shape = inputs.points(where, flow, theta)
  if x.rows ~= 1 and x.rows ~= rows then
    raise("%s: x has %d rows and theta %d, expected as many, or one row of x for all", where, x.rows, rows)
  end
  local finish
  job.progress, finish = tiles.progress(where, options, rows * each, "points")
  if steps == "auto" then
    job.report = {
      galaxies = rows, tolerance = tolerance, steps = gal.zeros({ rows * each }, HOST),
      error = gal.zeros({ rows * each }, HOST), flagged = {},
    }
  end
  local result = gal.zeros({ rows * each }, { device = flow:device() })
  local ok, err = pcall(gal.no_grad, function()
    tiles.each(flow:device(), rows, each, 1, function(first, k, from, m)
      gal.scope(function()
        local at = (first - 1) * each + from - 1
        local z = tiles.standard(flow, theta:narrow(1, at + 1, k * m))
        local features = x.rows == 1 and tiles.features(flow, x, 1, 1) or tiles.features(flow, x, first, k)
        local values = tile(job, z, features, m, first, at)
        core.assign(result:narrow(1, at + 1, k * m), values - tiles.log_scale(flow, z))
        if job.progress then job.progress(at + k * m) end
      end)
    end)
  end)
  finish()
  if not ok then error(err, 0) end
  -- The density of a normal posterior RESOLVED deviations away is about minus the square of that.
  local lost = {}
  gal.no_grad(tiles.add_lost, lost, result:reshape { rows, each }:abs():sqrt(), 1)
  tiles.tell_lost(options, "log densities", lost, rows)
  local report = job.report
  if report then
    report.steps, report.error = report.steps:reshape(shape), report.error:reshape(shape)
    report.evaluations = job.cost / (rows * each)
    report = solver.report(report)
  end
  return result:reshape(shape), report
end

return density
