-- Draws the posterior of every galaxy of a table from a run's flow. Writes samples.npy {N, n, d}, with
-- --log-prob log_prob.npy {N, n} (nats per product of theta's units), and summary.csv (or .fits): of each
-- galaxy and property mean, deviation and the 16th, 50th and 84th percentiles; with --steps auto how many
-- steps it took, the estimated error, and whether that is beyond the tolerance; and how far outside what the
-- run was trained on the galaxy's most extreme column lies, in deviations (not for a run on images alone:
-- images are not measured). The table needs the context only, and cutouts for a run on images. Draws go to
-- the disk as they come: memory does not grow with their number, and what was drawn before Ctrl-C stays; with
-- --resume the same command goes on. With --shard 2/8 it draws the second eighth of the galaxies, with the
-- same draws; with --merge, once all eight are drawn, it puts them together.

local cli = require "gal.cli"
local o = cli.options{
  { "run", "runs/photometry", "folder of the run", positional = true },
  cli.common{ "asked" },
  { "n", 1000, "draws a galaxy", type = "integer", least = 1 },
  cli.common{ "solver", "products" },
  { "seed", 0, "seed of the draws" },
  { "log-prob", false, "write the density of each draw, too" },
  cli.common{ "deconvolved" },
  { "format", "csv", "format of the summary", choices = { "csv", "fits" } },
  { "out", type = "string", required = true, help = "folder for the results" },
  { "resume", false, "go on with the draws in --out" },
  cli.common{ "shards", "array" },
}
local gal = require "gal"
local infer = require "gal.infer"
local shards = require "gal.infer.shards"
local slurm = require "gal.cli.slurm"

if o.log_prob and o.precision == "bf16" then
  cli.refuse "--precision is bf16, too coarse for densities, expected f32 with --log-prob"
end
if o.shard and o.merge or o.slurm and (o.shard or o.merge) then
  cli.refuse "--shard, --merge and --slurm do different things, expected one of them"
end
if o.shard then shards.check("sample", o.shard) end
local run = require("gal.infer.trained").open(o.run, { device = gal.device() })
local survey = run:survey(cli.values(o, { "asked" }, { theta = false }))
cli.say(survey:describe())
if o.slurm then
  shards.range("sample", { k = 1, of = o.slurm }, #survey.ids)
  print(slurm.shards(o))
  return
end

local found = infer.posteriors(run.flow, survey, cli.values(o, { "solver", "shards" }, {
  n = o.n, seed = o.seed, log_prob = o.log_prob, deconvolve = o.deconvolve or nil, precision = o.precision,
  out = o.out, format = o.format, resume = o.resume,
  header = require("gal.infer.report_catalogue").header(run, survey),
}))
if found.merged then
  print(("put together of %d shards"):format(found.merged))
elseif found.resumed > 0 then
  print(("%d of the galaxies had been drawn before"):format(found.resumed))
end
if o.shard then print(("shard %s of %d galaxies"):format(o.shard, #survey.ids)) end
if found.warning then cli.say(found.warning) end
cli.say(("%d draws of each of %d galaxies; %s"):format(o.n, found.summary.rows, found.solver))
cli.say("written: " .. table.concat(found.files, ", "))
