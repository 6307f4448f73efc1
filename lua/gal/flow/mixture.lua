-- flow/mixture: what an ensemble says of galaxies: the mean of its members' densities, draws from each member
-- in equal shares, and how far the members are apart. Draws and densities are the members' own
-- (flow:sample, flow:log_prob); here they are asked for, piece by piece, and put together.
--
-- Draw i of a galaxy, from 1, is the draw number 1 + floor((i - 1) / K) of member 1 + (i - 1 + s) mod K of K,
-- with s the galaxy's stream mod K: of any K draws in a row each member has one, the first n are the same for
-- every larger n, and over galaxies no member comes first more often than others. The streams of members 2,
-- 3, … are made of the galaxy's and their number, so that no two members begin with the same noise: draws
-- from like members would else come in near copies.
local ffi = require "ffi"
local C = ffi.C
local arguments = require "gal.base.options"
local core = require "gal.tensor"
local crossed = require "gal.flow.crossed"
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local inputs = require "gal.flow.inputs"
local solver = require "gal.flow.solver"
local tiles = require "gal.flow.tiles"
local raise, check = errors.raise, errors.check

local mixture = {}

local HOST = { device = "cpu" }

--- mixture.log_mean_exp(lists, count): for each place the logarithm of the mean of exp of the K values that
-- the K arrays (from 0) have there: m + ln(sum of exp(v - m), in the members' order, / K), m the largest; in
-- double precision. A double array {count}. -inf counts; where one value is NaN it is NaN.
function mixture.log_mean_exp(lists, count)
  local out, members = host.new(count), #lists
  for i = 0, count - 1 do
    local most, sum = lists[1][i], 0
    for k = 2, members do
      local v = lists[k][i]
      if v > most or v ~= v then most = v end
    end
    for k = 1, members do sum = sum + math.exp(lists[k][i] - most) end
    -- Where all are -inf, their differences are no numbers.
    out[i] = most == -math.huge and most or most + math.log(sum / members)
  end
  return out
end

-- The same of tensors of one shape, on the device of the first, in single precision.
local function mean_density(list)
  local arrays, shape, count = {}, list[1].shape, nil
  for k, x in ipairs(list) do arrays[k], count = host.read(x) end
  local values, y = mixture.log_mean_exp(arrays, count), core.to_fill(shape, "float32")
  local to = ffi.cast("float *", y.h.data)
  for i = 0, count - 1 do to[i] = values[i] end
  return y:to(list[1]:device())
end

-- Which member a galaxy's first draw is of, from 0, by its stream: of each stream {N}, a list.
local function starts(streams, members)
  local values, n = core.read(streams)
  local list = {}
  for k = 0, n - 1 do list[k + 1] = tonumber(ffi.cast("uint64_t", values[k]) % members) end
  return list
end

-- The streams of member k, int64 {N}: of the first the galaxies' own.
local function streams_of(streams, k)
  if k == 1 then return streams end
  local on_host, own = core.dense(streams:to "cpu"), core.new({ streams:size(1) }, "int64", "cpu")
  check(C.gal_row_streams(own.h, on_host.h, k))
  return own:to(streams:device())
end

-- The conditions of k galaxies from `first` on, of those of inputs.conditions, with what a member makes of
-- them: its draws and its densities encode an image once.
local function seen_by(member, x, first, k)
  local features = gal.no_grad(function() return tiles.features(member, x, first, k) end)
  return inputs.checked{ rows = k, device = x.device, features = features }
end

-- ---- reports ----

-- A report of an ensemble on `galaxies`, of nothing yet. steps: the most that a member took; error: of the
-- member that has the largest.
local function new_report(galaxies, tolerance)
  return {
    galaxies = galaxies, tolerance = tolerance, cost = 0, flagged = {}, steps = gal.zeros({ galaxies }, HOST),
    error = gal.zeros({ galaxies }, HOST),
  }
end

-- Takes what is said of k galaxies from `first` on: {steps, error} lists {k}.
local function take(report, first, steps, error)
  local k = #steps
  core.assign(report.steps:narrow(1, first, k), gal.tensor(steps, { k }, HOST))
  core.assign(report.error:narrow(1, first, k), gal.tensor(error, { k }, HOST))
  for g = 1, k do
    if not (error[g] <= report.tolerance) then table.insert(report.flagged, first + g - 1) end
  end
end

-- The larger of two numbers; NaN where one is.
local function larger(a, b) return (b > a or b ~= b) and b or a end

-- ---- draws ----

local OPTIONS = { "n", "steps", "tolerance", "precision", "rng", "streams", "into", "progress", "told" }

-- The job of one call: members, density, x (inputs.conditions), n, each (draws of a member that are asked
-- for), drawn (those that are made, its pilots included), rows (of a galaxy that are worked on at once),
-- streams {N}, rng, state (the generator's at the beginning) and last (where it is to go on), report or nil,
-- lost, progress.
local function prepare(where, ensemble, x, options, density)
  local o = arguments.known(where, options, OPTIONS)
  local members = ensemble.members
  local job = { ensemble = ensemble, members = members, density = density, options = o, lost = {} }
  job.n = arguments.integer(where, o, "n", 1000, 1)
  job.steps, job.tolerance = tiles.solver(where, o, ensemble:device(), density)
  if type(o.into) ~= "nil" and type(o.into) ~= "function" then
    raise("%s: into is %s, expected a function (first, samples, log_prob, draw, report)", where,
      errors.kind(o.into))
  end
  job.rng = o.rng or core.default_rng()
  if not core.is_rng(job.rng) then
    raise("%s: rng is %s, expected a generator made by gal.rng", where, errors.kind(job.rng))
  end
  job.x = inputs.conditions(where, ensemble, x)
  job.each = math.ceil(job.n / #members)
  job.drawn, job.rows = job.each, job.each
  if density and job.steps == "auto" then
    local pilots = crossed.pilots(#members)
    job.drawn, job.rows = math.max(job.each, pilots), math.max(job.each, pilots * (#members - 1))
  end
  job.streams = inputs.given_streams(where, job.x, o.streams)
  job.state, job.last = job.rng:state(), job.rng:state()
  job.work = density and #members or 1 -- integrations a draw
  job.progress, job.finish = tiles.progress(where, o, job.x.rows * job.n, "draws")
  if job.steps == "auto" then job.report = new_report(job.x.rows, job.tolerance) end
  return job
end

-- Progress of a part of the work that is `share` integrations, after `done` others; false where none is
-- shown.
local function part_of(job, done, share)
  return job.progress
    and function(now, all) job.progress(math.floor((done + share * now / all) / job.work)) end or false
end

-- The draws of every member for a piece of k galaxies: lists by member of samples {k, each, d}, log densities
-- {k, each} or nil, and what each makes of the galaxies.
local function draws_of(job, first, streams, done, told)
  local samples, own, seen, members = {}, {}, {}, job.members
  local rows = streams:size(1)
  local share = rows * job.n / #members
  for k, member in ipairs(members) do
    seen[k] = seen_by(member, job.x, first, rows)
    job.rng:set_state(job.state)
    local o = {
      n = job.drawn, steps = job.options.steps, tolerance = job.options.tolerance,
      precision = job.options.precision, rng = job.rng, streams = streams_of(streams, k), told = false,
      progress = part_of(job, done + (k - 1) * share, share),
    }
    local report
    if job.density then
      samples[k], own[k], report = member:sample_and_log_prob(seen[k], o)
    else
      samples[k], report = member:sample(seen[k], o)
    end
    job.last = job.rng:state()
    if report then told(report.steps:totable(), report.error:totable(), report.evaluations * job.drawn) end
  end
  if job.drawn > job.each then
    -- The generator moves on by the draws that were asked for.
    job.rng:set_state(job.state)
    job.rng:normal_streams(streams:narrow(1, 1, 1), job.each * job.ensemble.d)
    job.last = job.rng:state()
  end
  return samples, own, seen
end

-- A member's densities at the others' draws theta {k, others, drawn, d}: {k, others, drawn}. told: takes what
-- is said of steps = "auto".
local function density_at(job, member, theta, seen, told, progress)
  local k, others, m = unpack(theta.shape)
  if job.steps == "auto" then
    local rows = progress and function(now) progress(now, k * others * m) end
    local values, steps, error, cost = crossed.log_prob(member, theta, seen.features,
      crossed.pilots(#job.members), { tolerance = job.tolerance, progress = rows })
    told(steps, error, cost / k)
    return values
  end
  return member:log_prob(theta:reshape{ k, others * m, member.d }, seen, {
    steps = job.steps, precision = job.options.precision, progress = progress, told = false,
  }):reshape{ k, others, m }
end

-- The densities of the mixture at every member's draws {k, drawn, d}: {k, drawn} by member.
local function densities_of(job, samples, own, seen, done, told)
  local lists, mixed, members = {}, {}, job.members
  local k, m, d = unpack(samples[1].shape)
  local share = k * job.n * (#members - 1) / #members
  for i = 1, #members do lists[i] = {} end
  for j, member in ipairs(members) do
    local others, at = {}, 0
    for i, theta in ipairs(samples) do
      if i ~= j then others[#others + 1] = theta:reshape{ k, 1, m, d } end
    end
    local values = density_at(job, member, gal.cat(others, 2), seen[j], told,
      part_of(job, done + (j - 1) * share, share))
    for i = 1, #members do
      if i ~= j then at = at + 1 end
      lists[i][j] = i == j and own[i] or values:select(2, at)
    end
  end
  for i, list in ipairs(lists) do mixed[i] = mean_density(list) end
  return mixed
end

-- What the members have of k galaxies' draws, k * each rows of `width` numbers each, in the ensemble's order:
-- {k * n, width}.
local function shuffled(job, parts, first_of, width)
  local k, members, index, rows = #first_of, #job.members, {}, {}
  for galaxy = 1, k do
    for i = 0, job.n - 1 do
      local member = (i + first_of[galaxy]) % members
      index[#index + 1] = (member * k + galaxy - 1) * job.drawn + math.floor(i / members) + 1
    end
  end
  for m, part in ipairs(parts) do rows[m] = part:reshape{ k * job.drawn, width } end
  return gal.cat(rows, 1):rows(index)
end

-- One piece, k galaxies from `first` on: samples {k, n, d} and log densities {k, n} or nil. apart: gets the
-- members' own log densities and the mixture's, by member, {k, each} each.
local function piece(job, first, k, apart)
  local streams, d = job.streams:narrow(1, first, k), job.ensemble.d
  local done, steps, error = (first - 1) * job.n * job.work, {}, {}
  for g = 1, k do steps[g], error[g] = 0, 0 end
  local function told(counts, found, evaluations)
    for g = 1, k do steps[g], error[g] = math.max(steps[g], counts[g]), larger(error[g], found[g]) end
    job.report.cost = job.report.cost + evaluations * k
  end
  local samples, own, seen = draws_of(job, first, streams, done, told)
  local first_of, log_prob = starts(streams, #job.members), nil
  if job.density then
    local mixed = densities_of(job, samples, own, seen, done + k * job.n, told)
    if apart then apart(own, mixed) end
    log_prob = shuffled(job, mixed, first_of, 1):reshape{ k, job.n }
  end
  if job.report then take(job.report, first, steps, error) end
  samples = shuffled(job, samples, first_of, d)
  tiles.add_lost(job.lost, tiles.standard(job.ensemble, samples):reshape{ k, job.n * d }, first)
  samples = samples:reshape{ k, job.n, d }
  return samples, log_prob
end

-- All pieces; without `into`, samples {N, n, d} and log densities {N, n} or nil.
local function run(job, apart)
  local rows, n, streamed = job.x.rows, job.n, job.options.into
  local device = { device = job.ensemble:device() }
  local function made(...) return errors.less_of({ "n" }, gal.zeros, { ... }, device) end
  local samples = not streamed and made(rows, n, job.ensemble.d) or nil
  local densities = not streamed and job.density and made(rows, n) or nil
  local together = math.max(1, math.floor(gal.device_info(device.device).rows / job.rows))
  for first = 1, rows, together do
    errors.poll()
    local k = math.min(together, rows - first + 1)
    local part, log_prob = gal.scope(gal.no_grad, function()
      local part, log_prob = piece(job, first, k, apart)
      if streamed then return part:keep(), log_prob and log_prob:keep() end
      core.assign(samples:narrow(1, first, k), part)
      if log_prob then core.assign(densities:narrow(1, first, k), log_prob) end
    end)
    if streamed then streamed(first, part, log_prob, 1, job.report) end
    if job.progress then job.progress((first + k - 1) * n) end
  end
  return samples, densities
end

--- mixture.draw(where, ensemble, x, options, density[, apart]): flow/draw.lua's run of an ensemble. Returns
-- samples, log densities and the report; nil for each that was not asked for or went to `into`.
function mixture.draw(where, ensemble, x, options, density, apart)
  local job = prepare(where, ensemble, x, options, density)
  local ok, samples, densities = pcall(run, job, apart)
  job.finish()
  job.rng:set_state(ok and job.last or job.state)
  if not ok then error(samples, 0) end
  tiles.tell_lost(job.options, "the draws", job.lost, job.x.rows)
  local report = job.report
  if report then
    report.evaluations = report.cost / (job.x.rows * job.n)
    report.cost = nil
    report = solver.report(report)
  end
  return samples, densities, report
end

-- ---- densities ----

--- mixture.log_prob(where, ensemble, theta, x, options): flow/density.lua's run of an ensemble: log densities
-- and the report, nil unless steps is "auto". Second-last and last bits: the members' values in single
-- precision, their mean by mixture.log_mean_exp, rounded to single precision. |error| of the mixture's
-- logarithm is at most that of the member with the largest.
function mixture.log_prob(where, ensemble, theta, x, options)
  local o = arguments.known(where, options, { "steps", "tolerance", "precision", "progress", "told" })
  local list, reports, members = {}, {}, ensemble.members
  x = inputs.conditions(where, ensemble, x)
  local _, rows, each = inputs.points(where, ensemble, theta)
  local all = rows * each
  local progress, finish = tiles.progress(where, o, all * #members, "points")
  local ok, err = pcall(function()
    for k, member in ipairs(members) do
      local shown = progress and function(now, of) progress(math.floor((k - 1 + now / of) * all)) end or false
      list[k], reports[k] = member:log_prob(theta, x, {
        steps = o.steps, tolerance = o.tolerance, precision = o.precision, told = false, progress = shown,
      })
    end
  end)
  finish()
  if not ok then error(err, 0) end
  local log_prob, lost = gal.no_grad(mean_density, list), {}
  gal.no_grad(tiles.add_lost, lost, log_prob:reshape{ rows, each }:abs():sqrt(), 1)
  tiles.tell_lost(o, "log densities", lost, rows)
  if not reports[1] then return log_prob, nil end
  return log_prob, mixture.together(reports)
end

--- mixture.together(reports): one report of the members' reports on the same points: the most steps, the
-- largest error, all evaluations, and the galaxies that one of them flags.
function mixture.together(reports)
  local first, flagged, listed, evaluations = reports[1], {}, {}, 0
  local steps, error = first.steps, first.error
  for k, report in ipairs(reports) do
    if k > 1 then steps, error = steps:maximum(report.steps), error:maximum(report.error) end
    evaluations = evaluations + report.evaluations
    for _, galaxy in ipairs(report.flagged) do flagged[galaxy] = true end
  end
  for galaxy in pairs(flagged) do listed[#listed + 1] = galaxy end
  table.sort(listed)
  return solver.report{
    galaxies = first.galaxies, tolerance = first.tolerance, evaluations = evaluations, steps = steps,
    error = error, flagged = listed,
  }
end

-- ---- how far the members are apart ----

-- The scatter of the members' means in deviations of all n draws {n, d} of a galaxy from `at` on: the largest
-- over the properties. start: the member of its first draw.
local function scatter(values, at, n, d, members, start)
  local largest = 0
  for i = 0, d - 1 do
    local sum, square, count, mean = {}, {}, {}, 0
    for m = 0, members - 1 do sum[m], square[m], count[m] = 0, 0, 0 end
    local origin = values[at + i] -- near the others, so that squares don't cancel
    for r = 0, n - 1 do
      local m, v = (r + start) % members, values[at + r * d + i] - origin
      sum[m], square[m], count[m] = sum[m] + v, square[m] + v * v, count[m] + 1
      mean = mean + v / n
    end
    local between, noise, total = 0, 0, 0
    for m = 0, members - 1 do
      local own = sum[m] / count[m]
      local within = (square[m] - count[m] * own * own) / (count[m] - 1)
      between, noise = between + (own - mean) ^ 2 / (members - 1), noise + within / count[m] / members
      total = total + square[m]
    end
    local variance = total / n - mean * mean
    -- 0 where all draws are one value; NaN stays.
    local share = variance > 0 and math.max(0, between - noise) / variance or 0 * variance
    largest = larger(largest, math.sqrt(share))
  end
  return largest
end

--- mixture.spread(ensemble, samples {N, n, d}, streams {N}): see Ensemble:spread.
function mixture.spread(ensemble, samples, streams)
  local members, d = #ensemble.members, ensemble.d
  local n, list = host.draws("spread", "samples", samples, nil, d), {}
  core.live(streams, "spread", "streams")
  if streams.dtype ~= "int64" or #streams.shape ~= 1 or streams:size(1) ~= samples:size(1) then
    raise("spread: streams is %s %s, expected int64 {%d}, of flow:streams", streams.dtype,
      core.shape_text(streams), samples:size(1))
  end
  local values, first_of = host.read(samples), starts(streams, members)
  for galaxy = 1, samples:size(1) do
    list[galaxy] = n < 2 * members and 0 / 0
      or scatter(values, (galaxy - 1) * n * d, n, d, members, first_of[galaxy])
  end
  return list
end

--- mixture.divergence(ensemble, x, options): see Ensemble:divergence.
function mixture.divergence(ensemble, x, options)
  local o = arguments.known("divergence", options, { "n", "steps", "tolerance", "rng", "progress", "told" })
  local list, passed = {}, { n = 200, steps = "auto" }
  for name, value in pairs(o) do passed[name] = value end
  -- Whole rounds, one draw of each member.
  local members = #ensemble.members
  passed.n = math.ceil(arguments.integer("divergence", passed, "n", 200, 1) / members) * members
  passed.into = function() end
  mixture.draw("divergence", ensemble, x, passed, true, function(own, mixed)
    local k, each = own[1]:size(1), own[1]:size(2)
    local sums = host.new(k)
    for m = 1, members do
      local a, b = host.read(own[m]), host.read(mixed[m])
      for i = 0, k * each - 1 do
        local g = math.floor(i / each)
        sums[g] = sums[g] + (a[i] - b[i]) / (each * members)
      end
    end
    for g = 0, k - 1 do list[#list + 1] = sums[g] end
  end)
  return list
end

return mixture
