-- Acceptance: the posteriors of 1,000 galaxies, 1,000 draws each with steps = "auto", from the command line:
-- experiments/sample.lua on a run of the photometry model that is trained here on an analytic survey. Asked
-- for: under a minute on two cores, anonymous memory under 300 MiB (RssAnon of /proc, twenty times a second),
-- all files there.
--
-- usage: galrun tests/acceptance/command_line.lua [--out runs/acceptance/command_line]
-- Goes on where it was stopped.
local folder = require "gal.base.path"
local gal = require "gal"
local here = arg[0]:match "^(.*)/" or "."
local report = dofile(here .. "/report.lua")

local o = require("gal.cli").options {
  { "out", "runs/acceptance/command_line", "folder for the survey, the run and the draws" },
  { "galaxies", 1000, "to draw for" }, { "n", 1000, "draws of each" }, { "epochs", 30, "of training" },
  { "log-prob", false, "with the densities of the draws" },
  { "record", true, "append the result to RESULTS.md" },
}

folder.make(o.out)
local function survey(name, n, seed)
  local path = ("%s/%s.csv"):format(o.out, name)
  if not folder.kind(path) then dofile(here .. "/../lua/lib/analytic.lua").table(n, seed):save(path) end
  return path
end
local training, fresh = survey("train", 10000, 1), survey("fresh", o.galaxies, 2)
if not folder.kind(o.out .. "/run/flow.safetensors") then
  local words = "--survey '%s' --out '%s/run' --epochs %d"
  report.succeeds("train_photometry", words:format(training, o.out, o.epochs))
end

local results = o.out .. "/draws"
os.execute(("rm -rf '%s'"):format(results))
local densities = o.log_prob and " --log-prob" or ""
local words = "'%s/run' --survey '%s' --n %d --steps auto%s --out '%s'"
local _, seconds, peak, code = report.watched("sample",
  words:format(o.out, fresh, o.n, densities, results))

local verdict = report.new("command_line", o.record)
verdict:bar("exit code", code, 0)
verdict:bar(("seconds for %d galaxies of %d draws"):format(o.galaxies, o.n), seconds, 60)
verdict:bar("MiB of anonymous memory", peak, 300)
local samples = gal.load(results .. "/samples.npy")
local summary = gal.table(results .. "/summary.csv")
verdict:bar("galaxies without draws", o.galaxies - math.min(samples:size(1), summary.rows), 0)
verdict:bar("flagged", summary:column("flagged"):sum():item(), 0.01 * o.galaxies)
verdict:finish()
