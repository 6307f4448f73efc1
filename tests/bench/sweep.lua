-- What a sweep costs beside its trainings: how long a folder of 500 finished trials takes to list, and what a
-- worker adds to a trial: claim, process, records and score, by trials of an experiment that does nothing.
--
-- usage: galrun tests/bench/sweep.lua [--trials 500] [--galaxies 1000] [--out /tmp/galrun-bench-sweep]
local C = require("ffi").C
local cli = require "gal.cli"
local gal = require "gal"
local metrics = require "gal.metrics"
local path = require "gal.base.path"
local process = require "gal.sweep.process"
local records = require "gal.sweep.records"
local sweep = require "gal.sweep"

local o = cli.options{
  trials = { 500, "in the folder that is listed" }, galaxies = { 1000, "validation galaxies of each" },
  out = "/tmp/galrun-bench-sweep", worked = { 20, "trials that do nothing" },
}
os.execute(("rm -rf '%s'"):format(o.out))
path.make(o.out)
local script = o.out .. "/nothing.lua"
path.write(script, [[
  local o = require("gal.cli").options{ { "out", "x" }, { "resume", false }, { "lr", 1 }, { "width", 1 } }
  require("gal.sweep").report(o.out, { "a", "b" }, { -o.lr, -o.width })]])
local space = { lr = sweep.log_range(1e-4, 1), width = sweep.integer(1, 512) }

local listed = sweep.plan{ out = o.out .. "/listed", experiment = script, space = space, trials = o.trials }
local rng, ids = gal.rng(1), {}
for k = 1, o.galaxies do ids[k] = ("1237648720693%06d"):format(k) end
for k, trial in ipairs(listed.trials) do
  local log_p = gal.randn({ o.galaxies }, { rng = rng }):totable()
  local record = { state = "done", epochs = 9, log_p = 0, seconds = 1 }
  records.write(listed, trial, 1, record, { ids = ids, log_p = log_p })
  path.make(trial.out)
  if k % 100 == 0 then print(("%d of %d records written"):format(k, o.trials)) end
end
local words, seconds = { require("gal.host").root .. "/experiments/sweep.lua", "--list", listed.out }, {}
for k = 1, 9 do
  local before = C.gal_now()
  local p = process.start(words, { threads = 1, device = "cpu", output = o.out .. "/list.txt" })
  while not p:wait(1) do end
  seconds[k] = C.gal_now() - before
end
local median = metrics.quantile(seconds, 0.5)
print(("%d trials of %d galaxies are listed in %.3f s (median of 9, the whole process; bar .3 s)"):format(
  o.trials, o.galaxies, median))

local worked = sweep.plan{ out = o.out .. "/worked", experiment = script, space = space, trials = o.worked }
local each, last = {}, C.gal_now()
sweep.work(worked, { report = function()
  each[#each + 1] = C.gal_now() - last
  last = C.gal_now()
end })
local alone = {}
for k = 1, o.worked do
  local before = C.gal_now()
  local p = process.start({ script, "--out", worked.trials[k].out }, {
    threads = 1, device = "cpu", output = o.out .. "/alone.txt",
  })
  while not p:wait(1) do end
  alone[k] = C.gal_now() - before
end
local both, bare = metrics.quantile(each, 0.5), metrics.quantile(alone, 0.5)
print(("a trial that does nothing takes %.1f ms, its process alone %.1f ms: a worker's own %.1f ms are "
  .. "%.2f %% of a ten-second trial (bar 1 %%)"):format(1e3 * both, 1e3 * bare, 1e3 * (both - bare),
  10 * (both - bare)))
os.execute(("rm -rf '%s'"):format(o.out))
