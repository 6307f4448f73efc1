-- infer: a trained flow on the galaxies of a survey. Draws and their densities go to the disk as they come
-- (infer/folder.lua), so that memory does not grow with their number, and each galaxy keeps a row of means,
-- deviations, percentiles and flags. Where the properties are known, infer.score measures the flow against
-- them; the scores' formulas are metrics'.
local about = require "gal.infer.about"
local arguments = require "gal.base.options"
local core = require "gal.tensor"
local gal = require "gal"
local galaxies = require "gal.infer.galaxies"
local host = require "gal.stats.host"
local metrics = require "gal.metrics"
local errors = require "gal.base.errors"
local offsets = require "gal.data.offsets"
local raise = errors.raise
local shards = require "gal.infer.shards"
local solver = require "gal.flow.solver"

local labels = require "gal.infer.labels"

local infer = {
  catalogue = require("gal.infer.catalogue").catalogue, label_errors = labels.known,
  label_variances = labels.variances, deconvolve = labels.deconvolve,
}

-- Raises unless flow has that method and part is a survey.
local function check_both(where, flow, method, part)
  errors.object(where, "flow", flow, { method }, "a flow (gal.flow)")
  errors.list(where, "part", part, "a survey (gal.data)")
  errors.list(where, "part.ids", part.ids, "the ids of a survey (gal.data)")
end

local shown = galaxies.shown

-- ---- summaries ----

local TOLERANCE = 1e-3 -- flow:sample's

-- Whether the options o ask for as many steps as each galaxy needs.
local function is_auto(o) return o.steps == nil or o.steps == "auto" end

local STATISTICS = { "mean", "std", "p16", "p50", "p84" }
local LEVELS = { 0.16, 0.5, 0.84 }

-- The statistics of draws {k, n, d}: of each galaxy a list {d * #STATISTICS}, by property, then statistic;
-- NaN for galaxies whose draws are lost (host.lost). scale: the flow's, or nil.
local function statistics_of(names, samples, scale)
  local k, n, d, rows = samples:size(1), samples:size(2), #names, {}
  local own = core.view(core.dense(samples), { k, d, n }, { n * d, 1, d }) -- each property's draws in a row
  local middle, lost = samples:mean(2), {}
  local means, deviations = host.read(middle), host.read(samples:std(2))
  local quantiles = host.read(own:quantiles(LEVELS)) -- {k, d, #LEVELS}
  for _, galaxy in ipairs(host.lost(middle, scale)) do lost[galaxy - 1] = true end
  for galaxy = 0, k - 1 do
    local row = {}
    for i = 1, d do
      local at = galaxy * d + i - 1
      local q = at * #LEVELS
      for _, v in ipairs{ means[at], deviations[at], quantiles[q], quantiles[q + 1], quantiles[q + 2] } do
        row[#row + 1] = lost[galaxy] and 0 / 0 or v
      end
    end
    rows[galaxy + 1] = row
  end
  return rows
end

-- The names of a row's numbers: oh_p50_mean, oh_p50_std, …; of an ensemble spread; of "auto" also steps,
-- error and evaluations, so many times has the net been evaluated for all rows so far, draws times
-- evaluations.
local function columns_of(names, auto, spread)
  local columns = {}
  for _, name in ipairs(names) do
    for _, statistic in ipairs(STATISTICS) do columns[#columns + 1] = name .. "_" .. statistic end
  end
  if spread then columns[#columns + 1] = "spread" end
  for _, name in ipairs{ "steps", "error", "evaluations" } do
    if auto then columns[#columns + 1] = name end
  end
  return columns
end

-- Number i of every row, a list.
local function column_of(rows, i)
  local list = {}
  for k, row in ipairs(rows) do list[k] = row[i] end
  return list
end

--- infer.summary(samples, names): mean, deviation and the 16th, 50th and 84th percentiles of draws {N, n,
-- d}, as lists {N} by column: {oh_p50_mean =, oh_p50_std =, oh_p50_p16 =, oh_p50_p50 =, oh_p50_p84 =, …}
-- for the properties' names {d}. NaN for galaxies with a draw that is no finite number.
function infer.summary(samples, names)
  host.draws("summary", "samples", samples, nil, #errors.list("summary", "names", names, "a list of names"))
  for i, name in ipairs(names) do errors.text("summary", ("names[%d]"):format(i), name) end
  local summary, rows = {}, statistics_of(names, samples)
  for i, column in ipairs(columns_of(names)) do summary[column] = column_of(rows, i) end
  return summary
end

-- The table of summaries: ids, the statistics of each property in order, how far outside of what the flow
-- learned from a galaxy is ({N}, or nil), what `report` says of the solver, and flags. Second, the galaxies
-- without statistics, a list.
local function table_of(ids, names, rows, outside, report)
  local columns, left_out = gal.table{ id = ids }, {}
  local function single(list) return gal.tensor(list, { #ids }, { device = "cpu" }) end -- draws are
  for i, column in ipairs(columns_of(names)) do columns:set(column, single(column_of(rows, i))) end
  if outside then columns:set("outside", single(outside)) end
  for k, row in ipairs(rows) do
    if row[1] ~= row[1] then left_out[#left_out + 1] = k end
  end
  local function whole(list) return core.int64({ #ids }, list, "cpu") end
  if report then
    local errors = report.error:totable()
    for _, k in ipairs(left_out) do errors[k] = 0 / 0 end
    columns:set("steps", whole(report.steps:totable())):set("error", single(errors))
  end
  columns:set("flagged", whole(galaxies.flags(#ids, report and report.flagged or {}, left_out)))
  return columns, left_out
end

-- Sets how rare each galaxy is, where the flow knows.
local function set_ood(columns, flow, x)
  local shares = flow.ood and flow:ood(x) or {}
  if shares.context then columns:set("ood", shares.context) end
  if shares.image then columns:set("ood_image", shares.image) end
end

-- The same of a job, with what its columns are and what made it.
local function summary_of(job, found, report)
  local flow, part = job.flow, job.part
  local columns, left_out = table_of(part.ids, flow.theta, job.rows, found.outside, report)
  set_ood(columns, flow, shown(flow, part))
  if flow.spread then
    local spread = column_of(job.rows, #flow.theta * #STATISTICS + 1)
    columns:set("spread", gal.tensor(spread, { #spread }, { device = "cpu" }))
  end
  about.summary(columns, flow, part.id_column)
  return columns:header(job.header), left_out
end

-- ---- posteriors ----

local POSTERIORS = {
  "n", "steps", "tolerance", "precision", "seed", "rng", "log_prob", "out", "resume", "shard", "merge",
  "format", "progress", "deconvolve", "header",
}

-- Raises where the options shard and merge don't go together with each other, or with no folder.
local function refuse_shards(o)
  if type(o.merge) ~= "nil" and type(o.merge) ~= "boolean" then
    raise("posteriors: merge is %s, expected true or false", errors.kind(o.merge))
  end
  local asked = o.merge and "merge" or o.shard ~= nil and "shard"
  if asked and not o.out then raise("posteriors: %s is given, but not out, the shards' folder", asked) end
  if o.merge and o.shard ~= nil then
    raise "posteriors: shard and merge are given, expected one: merge is for when all shards are drawn"
  end
end

-- What the draws that the options o ask for are made with, a table that JSON can hold.
local function settings_of(flow, part, n, o, rng)
  local weights, data, ids = galaxies.fingerprints(flow, part)
  return {
    n = n, steps = o.steps or "auto", tolerance = is_auto(o) and (o.tolerance or TOLERANCE) or nil,
    precision = o.precision or "f32", log_prob = o.log_prob or false, generator = rng:state(),
    galaxies = #part.ids, ids = ids, data = data, flow = weights, format = o.format or "csv",
    deconvolve = o.deconvolve or nil, ab_offsets = part.ab_offsets and offsets.text(part.ab_offsets),
  }
end

-- The folder for the draws of a job; nil where they are not kept.
local function folder_of(job)
  local o, flow, part, settings = job.options, job.flow, job.part, job.settings
  if not o.out then return nil end
  if o.format == "fits" then
    for _, id in ipairs(part.ids) do
      if id:find "[^\32-\126]" then
        raise("posteriors: a FITS file can't hold the id %s, expected csv", id)
      end
    end
  end
  settings.shard = job.shard and shards.text(job.shard)
  return require("gal.infer.folder").open{
    out = job.shard and shards.folder(o.out, job.shard) or o.out, shape = { #part.ids, job.n, flow.d },
    densities = o.log_prob, format = o.format or "csv", resume = o.resume or o.merge,
    columns = columns_of(flow.theta, is_auto(o), flow.spread), settings = settings,
  }
end

-- The numbers from first to last.
local function counted(first, last)
  local list = {}
  for k = first, last do list[#list + 1] = k end
  return list
end

-- What a call of posteriors is about: flow, n, options, rng; part, the galaxies that are to be drawn, all or
-- a shard's; shard {k, of} or nil; settings of the draws; kept, their folder, or nil; rows, of each galaxy
-- drawn a list of numbers; streams(done), those of part's galaxies behind the first `done`.
local function job_of(flow, whole, n, o)
  local job, first = { flow = flow, part = whole, n = n, options = o, rows = {} }, 1
  job.rng = o.rng or gal.rng(o.seed or 0)
  job.header = about.header("posteriors", "SUMMARY", {
    n = n, seed = not o.rng and (o.seed or 0) or nil, steps = o.steps or "auto",
    tolerance = is_auto(o) and (o.tolerance or TOLERANCE) or nil, deconvolve = o.deconvolve,
  }, o.header)
  if o.shard ~= nil then
    job.shard = shards.check("posteriors", o.shard)
    local last
    first, last = shards.range("posteriors", job.shard, #whole.ids)
    job.part = whole:select(counted(first, last))
  end
  if o.out then job.settings = settings_of(flow, whole, n, o, job.rng) end
  -- Of galaxies that are shown alike each has a stream of its own, by how many come before it in the table.
  function job.streams(done)
    return flow.streams and flow:streams(shown(flow, whole), first + done, #job.part.ids - done) or nil
  end
  job.kept = folder_of(job)
  if job.kept then job.rows = job.kept.rows end
  return job
end

-- Takes the galaxies of all shards that the job's rows don't have yet; the job's `merged` is how many shards
-- there are. Lines of "auto" end with the evaluations of all galaxies so far.
local function merge(job)
  local kept, rows, out = job.kept, job.rows, job.options.out
  local function look(folder) return kept:look(folder, job.settings) end
  for _, shard in ipairs(shards.gather("posteriors", out, #job.part.ids, look)) do
    job.merged = shard.of
    kept:take(shard, function(numbers)
      local before = rows[shard.first - 1]
      if before and is_auto(job.options) then numbers[#numbers] = numbers[#numbers] + before[#before] end
      return numbers
    end)
  end
end

-- Raises where the options ask for posteriors without the labels' errors and that can't be.
local function refuse_deconvolve(flow, o)
  if not o.deconvolve then return end
  if o.log_prob then
    raise "posteriors: deconvolve and log_prob are given, but the densities are those of labels"
  end
  labels.of(flow, "posteriors")
end

-- The draws {k, n, d} of the galaxies of a part from `first` on without the labels' errors.
local function without_errors(flow, part, first, samples)
  local k = samples:size(1)
  local context = flow.c > 0 and part.context:narrow(1, first, k) or nil
  return (labels.deconvolve(samples, labels.variances(flow.notes.label_errors, k, context)))
end

-- Draws n times for each galaxy of the job that has no row yet. Appends the rows, and the draws to the job's
-- folder, if it has one. Returns the report of steps = "auto" on these galaxies.
local function drawn(job)
  local flow, n, o, rows, kept = job.flow, job.n, job.options, job.rows, job.kept
  local done, all = #rows, #job.part.ids
  if done == all then return nil end
  local pieces, rest, streams = {}, job.part, nil -- pieces: draws of one galaxy, where they come in several
  local cost = done > 0 and rows[done][#rows[done]] or 0
  if done > 0 then rest = job.part:select(counted(done + 1, all)) end
  if done > 0 or job.shard or flow.spread then streams = job.streams(done) end
  local function add(first, samples, report, spread)
    for i, row in ipairs(statistics_of(flow.theta, samples, flow.scale)) do
      if spread then row[#row + 1] = spread[i] end
      if report then
        local k = first + i - 1
        row[#row + 1], row[#row + 2] = report.steps:get(k), report.error:get(k)
        row[#row + 1] = cost + report.cost
      end
      if kept then kept:add(row) else rows[#rows + 1] = row end
    end
  end
  local options = {
    n = n, steps = o.steps or "auto", tolerance = o.tolerance, precision = o.precision, rng = job.rng,
    told = false, progress = o.progress == nil and true or o.progress,
    streams = streams,
    into = function(first, samples, log_prob, from, report)
      if kept and not o.deconvolve then kept:put(samples, log_prob) end
      pieces[#pieces + 1] = samples
      if from + samples:size(2) - 1 < n then return end
      local own = #pieces == 1 and samples or gal.cat(pieces, 2)
      local spread = flow.spread
        and galaxies.spread(flow, own, streams:narrow(1, first, own:size(1)))
      if o.deconvolve then
        own = without_errors(flow, rest, first, own)
        if kept then kept:put(own) end
      end
      add(first, own, report, spread)
      pieces = {}
    end,
  }
  if o.log_prob then return (select(3, flow:sample_and_log_prob(shown(flow, rest), options))) end
  return (select(2, flow:sample(shown(flow, rest), options)))
end

-- The report on all galaxies by their rows, as flow:sample's, where some were drawn in an earlier call.
local function report_of(rows, n, tolerance)
  local width = #rows[1]
  local errors, flagged = column_of(rows, width - 1), {}
  for k, error in ipairs(errors) do
    if not (error <= tolerance) then flagged[#flagged + 1] = k end
  end
  local function on_host(list) return gal.tensor(list, { #list }, { device = "cpu" }) end
  return solver.report{
    galaxies = #rows, tolerance = tolerance, evaluations = rows[#rows][width] / (#rows * n),
    steps = on_host(column_of(rows, width - 2)), error = on_host(errors), flagged = flagged,
  }
end

--- infer.posteriors(flow, part[, options]): draws the posterior of every galaxy of a part of a survey
-- (gal.data), which needs no theta, and summarises the draws. options: n (1,000 draws a galaxy), steps
-- ("auto", or a number), tolerance (1e-3, of "auto"), precision (flow:sample's), seed (0) or rng, log_prob
-- (false: no densities), out (a folder for the draws; nil: they are not kept), resume (false; true: goes on
-- with the draws in out), format ("csv" or "fits", of the summary), progress (true); shard ("k/K": only shard
-- k of K equal parts of the galaxies, into out/shards/k-of-K, with the draws that they have among all) and
-- merge (true: draws nothing, and makes the files of out from its shards, once they have every galaxy once:
-- the files that a call without shards writes). Returns {summary, report, solver, files, resumed, left_out,
-- warning}: summary is a table (gal.table) of id, of NAME_mean, NAME_std, NAME_p16, NAME_p50 and NAME_p84 for
-- each property, of outside (flow:outside), with steps = "auto" of steps and error, and of flagged: 1 where
-- the error is beyond the tolerance, or the draws are no numbers. Of those the statistics are NaN, and
-- left_out lists them by their numbers; warning has sentences on all such galaxies, and on those far outside,
-- or is nil. report is flow:sample's; solver says in words how the equation was solved; files lists what was
-- written: out/samples.npy {N, n, d}, with log_prob out/log_prob.npy {N, n} (nats per product of theta's
-- units), and out/summary.csv; resumed is how many galaxies had been drawn before, merged how many shards
-- they came from. The files have these names when they are complete. Stopped or killed, what is drawn stays
-- in out, and a call with resume = true draws the other galaxies: the same draws, as if nothing had happened.
-- Raises where out has draws and resume is not true, or draws that were made otherwise. The summary also has
-- ood and ood_image (flow:ood), where the flow knows, and of an ensemble spread (ensemble:spread). deconvolve
-- = true: draws are without the errors of the labels, which the flow knows (infer.deconvolve). header ({KEY =
-- value}): more for the header of summary.fits, which has galrun's version and how the draws were made, and
-- of its columns units and descriptions.
function infer.posteriors(flow, part, options)
  local o = arguments.known("posteriors", options, POSTERIORS)
  check_both("posteriors", flow, o.log_prob and "sample_and_log_prob" or "sample", part)
  local n, format = arguments.integer("posteriors", o, "n", 1000, 1), o.format or "csv"
  if format ~= "csv" and format ~= "fits" then
    raise("posteriors: format is \"%s\", expected \"csv\" or \"fits\"", tostring(format))
  end
  refuse_shards(o)
  refuse_deconvolve(flow, o)
  local job = job_of(flow, part, n, o)
  local kept, rows = job.kept, job.rows
  part = job.part
  if kept and kept.finished then
    local files = kept:written()
    return {
      summary = gal.table(files[#files]), solver = "drawn before", files = files, resumed = #part.ids,
      left_out = {},
    }
  end
  local before = o.merge and #part.ids or #rows
  local ok, report = pcall(o.merge and merge or drawn, job)
  if not ok then
    if kept then kept:stop() end
    error(report, 0)
  end
  if before > 0 and is_auto(o) then report = report_of(rows, n, o.tolerance or TOLERANCE) end
  local found = { outside = galaxies.outside(flow, shown(flow, part)) }
  local columns, left_out = summary_of(job, found, report)
  found.left_out = left_out
  if report then found.tolerance, found.flagged = report.tolerance, report.flagged end
  local solved = report and tostring(report) or ("RK4, %d evaluations a draw"):format(4 * o.steps)
  local files = kept and kept:finish(columns) or {}
  return {
    summary = columns, report = report, solver = solved, files = files, resumed = before, left_out = left_out,
    merged = job.merged, warning = galaxies.warning(found, part.ids),
  }
end

-- ---- scores ----

local SCORE = { "prior", "n", "steps", "tolerance", "seed", "label", "progress" }

--- infer.score(flow, part[, options]): scores a flow on the galaxies of a part of a survey (gal.data), with
-- a line of progress. Returns what metrics.information gives, `outside` {N} (flow:outside; nil without
-- context), `flags` {N}, 1 for galaxies that are flagged or left out, and `warning`: sentences on galaxies
-- that are not within the tolerance, left out or far outside, or nil. options: prior (gal.stats.prior;
-- without one there is log_q alone, and no draws), n (200 draws a galaxy), steps ("auto", or a number),
-- tolerance (1e-3: posterior deviations for draws, nats for densities), seed (0), label ("posteriors", of
-- the line), progress (true).
function infer.score(flow, part, options)
  local o = arguments.known("score", options, SCORE)
  check_both("score", flow, "log_prob", part)
  local context, steps = shown(flow, part), o.steps or "auto"
  local found
  if o.prior then
    local line = o.progress ~= false and require "gal.base.progress" {
      total = #part.ids, label = o.label or "posteriors", unit = "galaxies",
    }
    found = metrics.information(flow, part.theta, context, o.prior, {
      n = o.n, steps = steps, tolerance = o.tolerance, seed = o.seed,
      progress = line and function(done) line:update{ done = done } end or nil,
    })
    if line then line:finish() end
  else
    local log_q, report = flow:log_prob(part.theta, context, {
      steps = steps, tolerance = o.tolerance, progress = o.progress, told = false,
    })
    found = { log_q = log_q:totable(), left_out = {} }
    for k, q in ipairs(found.log_q) do
      if host.improbable(q) then
        table.insert(found.left_out, k)
        found.log_q[k] = 0 / 0
      end
    end
    if report then found.flagged, found.tolerance = report.flagged, report.tolerance end
  end
  found.outside = galaxies.outside(flow, shown(flow, part))
  found.flags = galaxies.flags(#part.ids, found.flagged or {}, found.left_out)
  found.warning = galaxies.warning(found, part.ids)
  return found
end

return infer
