-- A sweep: one experiment with many settings, ranked by log p of the validation galaxies, never by a loss and
-- never by test galaxies. SPACE is a Lua file that returns what is varied and what all trials share:
--
--   local sweep = require "gal.sweep"
--   return { survey = "survey", epochs = 40, lr = sweep.log_range(1e-4, 1e-2),
--     hidden = sweep.choice{ { 64, 64 }, { 256, 256, 256 } } }
--
-- Each trial is a run in a folder of --out named by its settings, which evaluate.lua, sample.lua and the
-- others take. --workers share this machine; --join OUT adds a worker, on any machine that sees the folder.
-- Stopped or killed, the same command goes on, and no epoch is trained twice. results.csv has a row a trial;
-- the figures show what each setting does; --ensemble K makes the best K trials an ensemble. With --slurm it
-- runs nothing and writes a Slurm job array, with an element for each trial (while halving, --workers
-- elements that work on all of them); --collect OUT then makes the table of what they trained.

local cli = require "gal.cli"
local o = cli.options{
  { "space", type = "string", help = "Lua file that returns the settings", positional = true },
  { "experiment", "train_photometry", "what is run: a script, or one of galrun's experiments by name" },
  { "out", "runs/sweep", "folder for the sweep" },
  { "set", type = "string", help = "plain values in place of the space's: \"epochs=20; hidden=64,64\"" },
  {
    "method", "sobol", "how the space is covered: sobol, more evenly than random; a grid of --levels",
    choices = { "sobol", "random", "grid" },
  },
  {
    "trials", 16, "trials, of sobol and random", type = "integer", least = 1, needs = "method=sobol|random",
  },
  { "levels", 3, "values of each range, on a grid", type = "integer", least = 2, needs = "method=grid" },
  { "halving", false, "successive halving: only the best third of the trials goes on, three times as long" },
  {
    "least", type = "integer", least = 1, needs = "halving",
    help = "epochs of halving's first rung; default: a 27th of all",
  },
  { "eta", 3, "halving's factor between rungs", type = "integer", least = 2, needs = "halving" },
  { "galaxies", 2000, "validation galaxies to rank by, at most", type = "integer", least = 1 },
  { "workers", 1, "processes on this machine, which share its cores", type = "integer", least = 1 },
  {
    "join", type = "string", alone = true,
    help = "work on the sweep in this folder, beside others, and say nothing else",
  },
  {
    "list", type = "string", alone = "ensemble",
    help = "show the sweep in this folder as it stands, and do nothing else",
  },
  { "retry", false, "try failed trials again" },
  { "slurm", false, "run nothing: write a Slurm job array into --out, and print what submits it" },
  {
    "collect", type = "string", alone = "format ensemble",
    help = "score what Slurm's elements trained in this folder, and show it",
  },
  {
    "ensemble", type = "integer", least = 2,
    help = "when the trials are done, or with --list or --collect, make the folder the ensemble of so many "
      .. "best ones: ensemble.json names them, and evaluate.lua and the others take the folder as a run",
  },
  cli.common{ "slurm" },
  { "format", "png", "format of the figures", choices = { "png", "pdf", "svg" } },
  { "seed", 0, "seed of the points; that of a training is a setting of the space" },
}
local sweep = require "gal.sweep"
local live = require "gal.sweep.live"

-- Makes the folder the ensemble of its best trials, where that is asked for.
local function join_best(s, found, out)
  if not o.ensemble then return end
  local run = sweep.ensemble(s, o.ensemble, found)
  local names = {}
  for k, folder in ipairs(run.flow.names) do names[k] = folder:match "[^/]*$" end
  print(("%s is the ensemble of\n  %s"):format(out, table.concat(names, "\n  ")))
  print(("how good its posteriors are:\n  galrun experiments/evaluate.lua %s"):format(out))
end

if o.ensemble and (o.join or o.slurm) then
  cli.refuse "--ensemble is of trials that are done, expected it without --join and --slurm"
end
if o.list then
  print(sweep.text(o.list))
  join_best(o.list, nil, o.list)
  return
end
if o.join then
  sweep.work(o.join)
  return
end

-- Says where the results of the sweep in the folder `out` are, and draws its figures.
local function tell(s, found, out)
  local names = {}
  for i, file in ipairs(sweep.figures(s, found, { format = o.format })) do names[i] = file:match "[^/]*$" end
  local drawn = #names > 0 and "; drawn beside it: " .. table.concat(names, ", ") or ""
  print(("\n%s/results.csv has a row a trial%s"):format(out, drawn))
end

if o.collect then
  local s = sweep.open(o.collect)
  local found = sweep.collect(s)
  print(sweep.text(s, found))
  tell(s, found, o.collect)
  join_best(s, found, o.collect)
  return
end
if o.slurm and o.workers > 1 and not o.halving then
  cli.refuse "--workers does nothing with --slurm but while halving, expected --at-once"
end
if not o.space then cli.refuse "SPACE is missing, expected a Lua file that returns the settings" end

local s = sweep.plan{
  out = o.out, experiment = o.experiment, space = sweep.load(o.space, o.set), method = o.method,
  trials = o.method ~= "grid" and o.trials or nil, levels = o.method == "grid" and o.levels or nil,
  halving = o.halving, least = o.halving and o.least or nil, eta = o.halving and o.eta or nil,
  galaxies = o.galaxies, seed = o.method ~= "grid" and o.seed or nil,
}
for _, name in ipairs(o.halving and s.varied or {}) do
  if name == "batch" then
    cli.say("batch is among the settings: an epoch has fewer steps with a larger one, so the first rungs "
      .. "favour small batches. Halving compares them fairly with one batch for all.")
  end
end
if o.retry then sweep.retry(s) end
if o.slurm then
  local job = require("gal.sweep.array").write(s, o)
  print(("written: %s, %s\nsubmit:  %s\nthen:    galrun %s --collect %s"):format(job.points, job.script,
    job.command, arg[0], o.out))
  return
end
local board = live.new(s)
local function show(found) board:show(found) end
local found = sweep.run(s, { workers = o.workers, report = show })
board:finish(found)
tell(s, found, o.out)
join_best(s, found, o.out)
