-- infer: a trained flow on the galaxies of a survey. Draws and their densities go to the disk as they
-- come, so that memory does not grow with their number, and each galaxy keeps a row of means, deviations,
-- percentiles and flags. Where the properties are known, infer.score measures the flow against them; the
-- scores' formulas are metrics'.
local arguments = require "gal.base.options"
local arrays = require "gal.data.arrays"
local core = require "gal.tensor"
local folder = require "gal.base.path"
local gal = require "gal"
local host = require "gal.stats.host"
local metrics = require "gal.metrics"
local errors = require "gal.base.errors"
local raise = errors.raise

local infer = {}

-- Raises unless flow has that method and part is a survey.
local function check_both(where, flow, method, part)
  errors.object(where, "flow", flow, { method }, "a flow (gal.flow)")
  errors.list(where, "part", part, "a survey (gal.data)")
  errors.list(where, "part.ids", part.ids, "the ids of a survey (gal.data)")
end

-- What a flow is shown of the galaxies of a part: their images too if it has an encoder.
local function shown(flow, part)
  if flow.encoder then return part:seen() end
  return part.context
end

-- ---- summaries ----

local STATISTICS = { "mean", "std", "p16", "p50", "p84" }
local LEVELS = { 0.16, 0.5, 0.84, 1 } -- of p16, p50 and p84; and the largest, which is NaN where any draw is

-- Appends the statistics of samples {k, n, d} to the lists in `summary`, by column.
local function add_summary(summary, names, samples)
  local k, n, d = samples:size(1), samples:size(2), #names
  local own = core.view(core.dense(samples), { k, d, n }, { n * d, 1, d }) -- each property's draws in a row
  local means, deviations = host.read(samples:mean(2)), host.read(samples:std(2))
  local quantiles = host.read(own:quantiles(LEVELS)) -- {k, d, #LEVELS}
  for i, name in ipairs(names) do
    for galaxy = 0, k - 1 do
      local at = galaxy * d + i - 1
      local q = at * #LEVELS
      if quantiles[q + 3] ~= quantiles[q + 3] then
        raise("infer: a draw of %s is NaN, expected numbers", name)
      end
      local values = {
        mean = means[at], std = deviations[at], p16 = quantiles[q], p50 = quantiles[q + 1],
        p84 = quantiles[q + 2],
      }
      for _, statistic in ipairs(STATISTICS) do
        local column = name .. "_" .. statistic
        summary[column] = summary[column] or {}
        table.insert(summary[column], values[statistic])
      end
    end
  end
end

--- infer.summary(samples, names): mean, deviation and the 16th, 50th and 84th percentiles of draws {N, n,
-- d}, as lists {N} by column: {oh_p50_mean =, oh_p50_std =, oh_p50_p16 =, oh_p50_p50 =, oh_p50_p84 =, …}
-- for the properties' names {d}.
function infer.summary(samples, names)
  local summary = {}
  host.draws("summary", "samples", samples, nil, #errors.list("summary", "names", names, "a list of names"))
  for i, name in ipairs(names) do errors.text("summary", ("names[%d]"):format(i), name) end
  add_summary(summary, names, samples)
  return summary
end

-- The table of summaries: ids, the statistics of each property in order, and what `report` says of the
-- solver.
local function table_of(ids, names, summary, report)
  local columns = gal.table{ id = ids }
  for _, name in ipairs(names) do
    for _, statistic in ipairs(STATISTICS) do
      local column = name .. "_" .. statistic
      columns:set(column, summary[column])
    end
  end
  if not report then return columns end
  local flags = {}
  for k = 1, #ids do flags[k] = 0 end
  for _, k in ipairs(report.flagged) do flags[k] = 1 end
  local function whole(list) return core.int64({ #ids }, list, "cpu") end
  columns:set("steps", whole(report.steps:totable()))
  return columns:set("error", report.error):set("flagged", whole(flags))
end

-- ---- files ----

-- The files of draws {N, n, d} and, with densities, log densities {N, n} in the folder `out`; nothing is
-- there under their names until `finish`. Without a folder they take all and write nothing.
local Files = {}
Files.__index = Files

local function files_of(out, count, n, d, densities)
  local self = setmetatable({ out = out, written = {} }, Files)
  if not out then return self end
  folder.ready(out)
  self.samples = arrays.stream(out .. "/samples.npy", { count, n, d })
  self.log_prob = densities and arrays.stream(out .. "/log_prob.npy", { count, n }) or nil
  return self
end

function Files:put(samples, log_prob)
  if self.samples then self.samples:put(samples) end
  if self.log_prob then self.log_prob:put(log_prob) end
end

function Files:abandon()
  if self.samples then self.samples:abandon() end
  if self.log_prob then self.log_prob:abandon() end
end

-- Gives the files their names, the summary beside them; what an earlier call left that is not of these
-- draws goes.
function Files:finish(summary, format)
  local out = self.out
  if not out then return end
  self.samples:commit()
  self.written[1] = out .. "/samples.npy"
  if self.log_prob then
    self.log_prob:commit()
    self.written[2] = out .. "/log_prob.npy"
  else
    folder.remove(out .. "/log_prob.npy")
  end
  folder.remove(("%s/summary.%s"):format(out, format == "csv" and "fits" or "csv"))
  local path = ("%s/summary.%s"):format(out, format)
  summary:save(path)
  table.insert(self.written, path)
end

-- ---- posteriors ----

local POSTERIORS = {
  "n", "steps", "tolerance", "precision", "seed", "rng", "log_prob", "out", "format", "progress",
}

-- Draws n times for each galaxy that x shows, as the options o say, into the files. Returns the summary by
-- column, and the report of steps = "auto", or nil.
local function drawn(flow, x, n, o, files)
  local summary, pieces = {}, {} -- pieces: draws of one galaxy, where they come in several
  local options = {
    n = n, steps = o.steps or "auto", tolerance = o.tolerance, precision = o.precision,
    rng = o.rng or gal.rng(o.seed or 0), progress = o.progress == nil and true or o.progress,
    into = function(_, samples, log_prob, first)
      files:put(samples, log_prob)
      pieces[#pieces + 1] = samples
      if first + samples:size(2) - 1 < n then return end
      add_summary(summary, flow.theta, #pieces == 1 and samples or gal.cat(pieces, 2))
      pieces = {}
    end,
  }
  if o.log_prob then return summary, (select(3, flow:sample_and_log_prob(x, options))) end
  return summary, (select(2, flow:sample(x, options)))
end

--- infer.posteriors(flow, part[, options]): draws the posterior of every galaxy of a part of a survey
-- (gal.data), which needs no theta, and summarises the draws. options: n (1,000 draws a galaxy), steps
-- ("auto", or a number), tolerance (1e-3, of "auto"), precision ("f32", or "bf16": faster and coarser),
-- seed (0) or rng, log_prob (false: no densities), out (a folder for the draws; nil: they are not kept),
-- format ("csv" or "fits", of the summary), progress (true). Returns {summary, report, solver, files}:
-- summary is a table (gal.table) of id, of NAME_mean, NAME_std, NAME_p16, NAME_p50 and NAME_p84 for each
-- property, and with steps = "auto" of steps, error and flagged (1 where the error is beyond the
-- tolerance); report is flow:sample's; solver says in words how the equation was solved; files lists what
-- was written: out/samples.npy {N, n, d}, with log_prob out/log_prob.npy {N, n} (nats per product of
-- theta's units), and out/summary.csv. They are there complete or not at all.
function infer.posteriors(flow, part, options)
  local o = arguments.known("posteriors", options, POSTERIORS)
  check_both("posteriors", flow, o.log_prob and "sample_and_log_prob" or "sample", part)
  local n, format = arguments.integer("posteriors", o, "n", 1000, 1), o.format or "csv"
  if format ~= "csv" and format ~= "fits" then
    raise("posteriors: format is \"%s\", expected \"csv\" or \"fits\"", tostring(format))
  end
  local files = files_of(o.out, #part.ids, n, flow.d, o.log_prob)
  local ok, summary, report = pcall(drawn, flow, shown(flow, part), n, o, files)
  if not ok then
    files:abandon()
    error(summary, 0)
  end
  local columns = table_of(part.ids, flow.theta, summary, report)
  files:finish(columns, format)
  local solver = report and tostring(report) or ("RK4, %d evaluations a draw"):format(4 * o.steps)
  return { summary = columns, report = report, solver = solver, files = files.written }
end

-- ---- scores ----

-- A sentence on the galaxies that are not within the tolerance, the first five by their ids; nil where all
-- are.
local function warning_of(found, ids)
  local flagged = found.flagged or {}
  if #flagged == 0 then return nil end
  local names = {}
  for i = 1, math.min(5, #flagged) do names[i] = ids[flagged[i]] end
  return ("%d of %d galaxies are not within the tolerance of %g: %s%s"):format(#flagged, #ids,
    found.tolerance, table.concat(names, ", "), #flagged > 5 and ", ..." or "")
end

local SCORE = { "prior", "n", "steps", "tolerance", "seed", "label", "progress" }

--- infer.score(flow, part[, options]): scores a flow on the galaxies of a part of a survey (gal.data), with
-- a line of progress. Returns what metrics.information gives, and `warning`: a sentence on the galaxies
-- that are not within the tolerance, or nil. options: prior (gal.stats.prior; without one there is log_q
-- alone, and no draws), n (200 draws a galaxy), steps ("auto", or a number), tolerance (1e-3: posterior
-- deviations for draws, nats for densities), seed (0), label ("posteriors", of the line), progress (true).
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
      steps = steps, tolerance = o.tolerance, progress = o.progress,
    })
    found = { log_q = log_q:totable() }
    if report then found.flagged, found.tolerance = report.flagged, report.tolerance end
  end
  found.warning = warning_of(found, part.ids)
  return found
end

return infer
