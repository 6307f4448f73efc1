-- flow/draw: draws from a flow's posteriors, with their densities where asked for, tile by tile, from each
-- galaxy's own random stream. With steps = "auto" the first draws of a galaxy, its pilots, are integrated
-- with steps that are halved until the error is small; from them follows the galaxy's number of steps.
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local errors = require "gal.base.errors"
local core = require "gal.tensor"
local arguments = require "gal.base.options"
local counts = require "gal.flow.counts"
local density_of = require "gal.flow.density"
local floors = require "gal.flow.floor"
local inputs = require "gal.flow.inputs"
local integrate = require "gal.flow.integrate"
local solver = require "gal.flow.solver"
local tiles = require "gal.flow.tiles"
local units = require "gal.flow.units"
local raise, check = errors.raise, errors.check

local draw = {}

local some = counts.some
local HOST = { device = "cpu" } -- where reports lie
local OPTIONS = { "n", "steps", "tolerance", "precision", "rng", "streams", "into", "progress", "told" }

-- How many pilots a galaxy has, whatever number of draws is asked for, so that its steps, and with them the
-- bits of its draws, don't depend on n.
local PILOTS = 32

-- The next m draws of noise for k galaxies, {k * m, d}: from the generator's words {key, counter}, which move
-- on, and the galaxies' streams {k}.
local function noise(flow, streams, words, m)
  local theta = gal.zeros({ streams:size(1), m * flow.d }, { device = flow:device() })
  check(C.gal_normal_streams(theta.h, streams.h, words.h))
  return theta:reshape { -1, flow.d }
end

-- How far apart two solutions of k galaxies' pilots are, {k}: the largest over the properties of the rms over
-- draws in units of the property's deviation, or, where densities are asked for, the rms of their logarithms'
-- difference in nats, if larger. coarse and fine: {theta {k, PILOTS, d}, integral {k, PILOTS} or nil}. It is
-- computed on the draws' device: the sums run in double, and a galaxy's number depends on its own draws
-- alone.
local function apart(coarse, fine)
  local function mean_square(a, b)
    local difference = a - b
    return (difference * difference):mean(2)
  end
  local error, deviation = mean_square(coarse.theta, fine.theta), fine.theta:std(2)
  -- 0 where there is no error, even of a property without deviation; NaN stays.
  local largest = (error / (deviation * deviation + error:eq(0))):max(2)
  if fine.integral then largest = largest:maximum(mean_square(coarse.integral, fine.integral)) end
  return largest:sqrt()
end

-- How many steps each of k galaxies needs, and the error to be expected: lists {k}; third, the rows times
-- evaluations that finding out took.
local function plan(flow, features, pilots, k, tolerance, density)
  local steps, errors, cost = {}, {}, 0
  local function run(list, n)
    local theta = some(pilots:reshape { k, PILOTS * flow.d }, list):clone():reshape { -1, flow.d }
    local integral = integrate.run(flow, theta, some(features, list), PILOTS, {
      times = solver.times(n), tableau = solver.method, density = density,
    })
    cost = cost + theta:size(1) * n * solver.stages
    -- Errors are of properties and densities in physical units, where a property is bent.
    if flow.scale.theta_bend then
      if integral then integral = integral:reshape{ -1 } + tiles.log_scale(flow, theta) end
      theta = units.physical(flow.scale, theta)
    end
    return {
      theta = theta:reshape { -1, PILOTS, flow.d }, integral = integral and integral:reshape { -1, PILOTS },
    }
  end
  local function differences(coarse, places, fine)
    local theta, integral = some(coarse.theta, places), coarse.integral and some(coarse.integral, places)
    return apart({ theta = theta, integral = integral }, fine):totable()
  end
  solver.halve(k, run, differences, function(galaxy, difference, n, _, last)
    steps[galaxy], errors[galaxy] = solver.count(difference, n, tolerance)
    if steps[galaxy] or not last then return steps[galaxy] ~= nil end
    -- The error with the most steps is below this difference; by how much is not known.
    steps[galaxy], errors[galaxy] = solver.most, difference - difference == 0 and difference or math.huge
    return true
  end)
  return steps, errors, cost
end

-- The job of one call, which its tiles have in common: flow, density (whether densities are asked for), n,
-- steps, tolerance, precision, into, rng, progress and finish (tiles.progress), x (inputs.conditions),
-- streams {N}, start and words (the generator's words at the beginning and as they move on), report, which
-- holds the cost too, lost, a list of galaxies whose draws are no numbers, and planned, the steps of the
-- galaxies of the current tile, for "auto".
local function prepare(where, flow, x, options, density)
  options = arguments.known(where, options, OPTIONS)
  local job = { flow = flow, density = density, lost = {} }
  tiles.scale(where, flow)
  job.options = options
  job.n = arguments.integer(where, options, "n", 1000, 1)
  job.steps, job.tolerance, job.precision = tiles.solver(where, options, flow:device(), density)
  job.into = options.into
  if type(job.into) ~= "nil" and type(job.into) ~= "function" then
    local found = errors.kind(job.into)
    raise("%s: into is %s, expected a function (first, samples, log_prob, draw, report)", where, found)
  end
  job.rng = options.rng or core.default_rng()
  if not core.is_rng(job.rng) then
    raise("%s: rng is %s, expected a generator made by gal.rng", where, errors.kind(job.rng))
  end
  job.x = inputs.conditions(where, flow, x)
  job.progress, job.finish = tiles.progress(where, options, job.x.rows * job.n, "draws")
  return gal.no_grad(function()
    job.streams = inputs.given_streams(where, job.x, options.streams)
    job.start = job.rng:tensor(flow:device()):clone()
    job.words = job.start:clone()
    if job.steps == "auto" then
      job.report = {
        galaxies = job.x.rows, tolerance = job.tolerance, cost = 0, flagged = {},
        steps = gal.zeros({ job.x.rows }, HOST), error = gal.zeros({ job.x.rows }, HOST),
      }
    end
    return job
  end)
end

-- The steps that k galaxies from `first` on need; they go into the report, with their errors.
local function steps_of(job, features, streams, first, k)
  local report = job.report
  core.assign(job.words, job.start)
  local pilots = noise(job.flow, streams, job.words, PILOTS)
  local steps, errors, cost = plan(job.flow, features, pilots, k, job.tolerance, job.density)
  report.cost = report.cost + cost
  core.assign(report.steps:narrow(1, first, k), gal.tensor(steps, { k }, HOST))
  core.assign(report.error:narrow(1, first, k), gal.tensor(errors, { k }, HOST))
  for i = 1, k do
    if not (errors[i] <= job.tolerance) then table.insert(report.flagged, first + i - 1) end
  end
  return steps
end

-- Raises galaxy g's error to at least this one; the galaxy is flagged where that takes it beyond the
-- tolerance.
local function add_error(report, g, error)
  local before = report.error:get(g)
  if not (error > before) then return end
  report.error:set(error, g)
  if before <= report.tolerance and error > report.tolerance then table.insert(report.flagged, g) end
end

-- log_q {k * m}, of draws theta {k * m, d}, standardised, with the flow's own density put in for the draws in
-- the list, which come from its floor: the ODE is solved backwards for them, while the others have theirs
-- from the integration that made them.
local function with_floor(job, log_q, theta, list, features, m, first)
  local galaxies, report = {}, job.report
  for i, k in ipairs(list) do galaxies[i] = math.floor((k - 1) / m) + 1 end
  local own = { flow = job.flow, steps = job.steps, tolerance = job.tolerance, cost = 0 }
  if not report then own.precision = job.precision end
  local z = theta:rows(list)
  local values, _, errors_of = density_of.points(own, z, some(features, galaxies), 1)
  if report then
    report.cost = report.cost + own.cost
    job.flow.floor:under(values, z, errors_of)
    for i, error in ipairs(errors_of) do add_error(report, first + galaxies[i] - 1, error) end
  end
  return floors.placed(log_q, values, list)
end

-- One tile: samples {k, m, d} in theta's units and log densities {k, m} or nil.
local function tile(job, first, k, from, m)
  local flow = job.flow
  local streams = job.streams:narrow(1, first, k)
  local features = tiles.features(flow, job.x, first, k)
  if from == 1 then
    job.planned = job.report and steps_of(job, features, streams, first, k)
    core.assign(job.words, job.start)
  end
  local listed, points = {}, nil
  if flow.floor then listed, points = flow.floor:draws(flow, streams, job.words, m) end
  local theta, integral = noise(flow, streams, job.words, m), nil
  local log_prob = job.density and tiles.log_normal(theta)
  local before = (first - 1) * job.n + k * (from - 1)
  if job.report then
    local cost
    integral, cost = counts.carry(flow, theta, features, m, job.planned, {
      density = job.density, precision = job.precision, progress = tiles.part(job.progress, before),
    })
    job.report.cost = job.report.cost + cost
  else
    integral = integrate.run(flow, theta, features, m, {
      steps = job.steps, density = job.density, precision = job.precision,
      progress = tiles.part(job.progress, before),
    })
  end
  tiles.add_lost(job.lost, theta:reshape { k, m * flow.d }, first)
  if log_prob then log_prob = log_prob - integral:reshape { -1 } end
  if points then
    theta = floors.placed(theta, points, listed)
    if log_prob then log_prob = with_floor(job, log_prob, theta, listed, features, m, first) end
  end
  if log_prob and flow.floor then log_prob = flow.floor:under(log_prob, theta) end
  if log_prob then log_prob = (log_prob - tiles.log_scale(flow, theta)):reshape { k, m } end
  theta = units.physical(flow.scale, theta)
  if job.progress then job.progress(before + k * m) end
  return theta:reshape { k, m, flow.d }, log_prob or nil
end

-- All tiles of the job; without `into`, samples {N, n, d} and log densities {N, n} or nil.
local function run(job)
  local flow, rows, n, streamed = job.flow, job.x.rows, job.n, job.into
  local device = { device = flow:device() }
  local function made(...) return errors.less_of({ "n" }, gal.zeros, { ... }, device) end
  local samples = not streamed and made(rows, n, flow.d) or nil
  local densities = not streamed and job.density and made(rows, n) or nil
  tiles.each(flow:device(), rows, n, PILOTS, function(first, k, from, m)
    local part, log_prob = gal.scope(gal.no_grad, function()
      local part, log_prob = tile(job, first, k, from, m)
      if streamed then return part:keep(), log_prob and log_prob:keep() end
      core.assign(samples:narrow(1, first, k):narrow(2, from, m), part)
      if log_prob then core.assign(densities:narrow(1, first, k):narrow(2, from, m), log_prob) end
    end)
    if streamed then streamed(first, part, log_prob, from, job.report) end
  end)
  return samples, densities
end

--- draw.run(where, flow, x, options, density): see Flow:sample. Returns samples, log densities and the
-- report; each is nil where it was not asked for or went to `into`.
function draw.run(where, flow, x, options, density)
  local job = prepare(where, flow, x, options, density)
  local ok, samples, densities = pcall(run, job)
  job.finish()
  if not ok then error(samples, 0) end
  -- The caller's generator moves by what one galaxy used: the next call draws other numbers.
  core.assign(job.rng:tensor(flow:device()), job.words)
  tiles.tell_lost(job.options, "the draws", job.lost, job.x.rows)
  local report = job.report
  if report then
    report.evaluations = report.cost / (job.x.rows * job.n)
    report.cost = nil
    table.sort(report.flagged)
    report = solver.report(report)
  end
  return samples, densities, report
end

return draw
