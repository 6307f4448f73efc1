-- Draws the posterior of every galaxy of a table from a run's flow. Writes samples.npy {N, n, d}, with
-- --log-prob log_prob.npy {N, n} (nats per product of theta's units), and summary.csv (or .fits): of each
-- galaxy and property mean, deviation and the 16th, 50th and 84th percentiles, and with --steps auto how many
-- steps it took, the error estimated, and whether that is beyond the tolerance. The table needs the context
-- only, and cutouts for a run on images. Draws go to the disk as they come: memory does not grow with their
-- number.

local cli = require "gal.cli"
local o = cli.options{
  { "run", "runs/photometry", "folder of the run", positional = true },
  { "survey", type = "string", help = "table or folder to take the galaxies from; default: the one that the run was trained on" },
  { "n", 1000, "draws a galaxy", type = "integer", least = 1 },
  { "steps", "auto", "Runge-Kutta steps: a number, or auto: as many as each galaxy needs", type = "steps" },
  { "tolerance", 1e-3, "error that auto allows: posterior deviations for draws, nats for their densities", above = 0 },
  { "precision", "f32", "of the net's products; bf16 is faster and coarser", choices = { "f32", "bf16" } },
  { "seed", 0, "of the draws" },
  { "log-prob", false, "write the density of each draw, too" },
  { "dereddened", type = "boolean", help = "must be what the run was trained with" },
  { "crop", type = "integer", least = 0, help = "must be what the run was trained with" },
  { "bin", type = "integer", least = 1, help = "must be what the run was trained with" },
  { "packed", type = "string", help = "folder for the decoded cutouts; default: the survey's" },
  { "format", "csv", "of the summary", choices = { "csv", "fits" } },
  { "out", type = "string", required = true, help = "folder for the results" },
}
local gal = require "gal"
local file = require "gal.data.arrays"
local folder = require "gal.base.path"
local metrics = require "gal.metrics"

if o.log_prob and o.precision == "bf16" then cli.refuse "--precision is bf16, too coarse for densities, expected f32 with --log-prob" end
local flow = require("gal.flow").load(o.run .. "/flow.safetensors")
local survey = require("gal.data").reopen(flow.notes, { survey = o.survey, dereddened = o.dereddened, crop = o.crop, bin = o.bin, packed = o.packed, theta = false })
print(survey:describe())
local N, d = #survey.ids, flow.d

folder.ready(o.out)
local draws = file.stream(o.out .. "/samples.npy", { N, o.n, d })
local densities = o.log_prob and file.stream(o.out .. "/log_prob.npy", { N, o.n }) or nil

local summary = {} -- column = list {N}
local function add(name, value)
  summary[name] = summary[name] or {}
  table.insert(summary[name], value)
end
local function summarise(samples) -- {k, n, d}
  local means, deviations = samples:mean(2), samples:std(2)
  for k = 1, samples:size(1) do
    for i, name in ipairs(flow.theta) do
      add(name .. "_mean", means:get(k, i))
      add(name .. "_std", deviations:get(k, i))
      for j, q in ipairs(metrics.quantile(samples[k]:select(2, i), { 0.16, 0.5, 0.84 })) do add(name .. ({ "_p16", "_p50", "_p84" })[j], q) end
    end
  end
end

local parts = {} -- of one galaxy whose draws come in several
local options = {
  n = o.n, steps = o.steps, tolerance = o.tolerance, precision = not o.log_prob and o.precision or nil, rng = gal.rng(o.seed), progress = true,
  into = function(_, samples, log_prob, first)
    draws:put(samples)
    if densities then densities:put(log_prob) end
    parts[#parts + 1] = samples
    if first + samples:size(2) - 1 < o.n then return end
    summarise(#parts == 1 and samples or gal.cat(parts, 2))
    parts = {}
  end,
}
local report
if densities then
  report = select(3, flow:sample_and_log_prob(survey:seen(), options))
else
  report = select(2, flow:sample(survey:seen(), options))
end

local columns = gal.table{ id = survey.ids }
for _, name in ipairs(flow.theta) do
  for _, statistic in ipairs{ "mean", "std", "p16", "p50", "p84" } do columns:set(name .. "_" .. statistic, summary[name .. "_" .. statistic]) end
end
if report then
  local flags = {}
  for k = 1, N do flags[k] = 0 end
  for _, k in ipairs(report.flagged) do flags[k] = 1 end
  local whole = require "gal.tensor".int64
  columns:set("steps", whole({ N }, report.steps:totable())):set("error", report.error):set("flagged", whole({ N }, flags))
end
draws:commit()
if densities then densities:commit() else os.remove(o.out .. "/log_prob.npy") end -- an earlier call's are not of these draws
os.remove(("%s/summary.%s"):format(o.out, o.format == "csv" and "fits" or "csv"))
local path = ("%s/summary.%s"):format(o.out, o.format)
columns:save(path)

print(("%d draws of each of %d galaxies; %s"):format(o.n, N, report and tostring(report) or ("RK4, %d evaluations a draw"):format(4 * o.steps)))
print(("written: %s/samples.npy%s, %s"):format(o.out, densities and (", %s/log_prob.npy"):format(o.out) or "", path))
