-- Infers the properties of every galaxy of a table by a run's flow, and writes a FITS table with a row for
-- each row, in order: the id under its own name; of each property the percentiles 2.5, 16, 50, 84 and 97.5,
-- mean and deviation; the covariance; how rare the galaxy is among those that the run learned from; and
-- flags. Before the first galaxy it says whether the whole table is like the run's own. Galaxies are worked
-- on a block at a time, and memory does not grow with their draws; stopped or killed, the same command goes
-- on, to the same bytes. With --deconvolve the known errors of the run's labels are taken off. With --shard
-- 2/8 it makes an eighth of the rows, with --merge it puts all eight together, with --slurm 8 it makes a job
-- array of them.

local cli = require "gal.cli"
local o = cli.options{
  { "run", "runs/photometry", "folder of the run", positional = true },
  cli.common{ "asked" },
  { "n", 1000, "draws a galaxy", type = "integer", least = 2 },
  cli.common{ "solver", "products" },
  { "seed", 0, "seed of the draws" },
  { "samples", 0, "draws that are kept, a column of vectors for each property", type = "integer", least = 0 },
  cli.common{ "deconvolved" },
  { "missing_value", type = "number", help = "what stands for missing; default: NaN" },
  { "out", type = "string", required = true, help = "the catalogue, a file that ends in .fits" },
  cli.common{
    "shards", "array",
    shard = {
      type = "string",
      help = "k/K: only part k of K of the rows, into OUT.shards; each part by a command, a machine or an "
        .. "element of a job array",
    },
    merge = { false, "put the parts in OUT.shards together: the file is that of the command without parts" },
    slurm = {
      type = "integer", least = 1,
      help = "infer nothing: write a Slurm job array of so many parts into OUT.shards, and print what "
        .. "submits it",
    },
  },
}
local gal = require "gal"
local catalogue = require "gal.infer.report_catalogue"
if o.shard and o.merge or o.slurm and (o.shard or o.merge) then
  cli.refuse "--shard, --merge and --slurm do different things, expected one of them"
end

local run = require("gal.infer.trained").open(o.run, { device = gal.device() })
local survey, own = run:survey(cli.values(o, { "asked" }, { theta = false }))
cli.say(survey:describe())
if o.shard then
  run:familiarise() -- what `before` does, too: how rare each galaxy is
  cli.say("how this table differs from the run's own is what --merge says, once")
else
  cli.say(catalogue.before(run, survey, own))
end
local how = cli.values(o, { "solver", "shards" }, {
  n = o.n, precision = o.precision, seed = o.seed, samples = o.samples, deconvolve = o.deconvolve,
  missing_value = o.missing_value, out = o.out, header = catalogue.header(run, survey),
})
if o.slurm and not require("gal.infer.catalogue").check(run.flow, survey, how, o.slurm) then
  print(require("gal.cli.slurm").shards(o, o.out .. ".shards"))
  return
end
print(catalogue.after(require("gal.infer").catalogue(run.flow, survey, how)))
