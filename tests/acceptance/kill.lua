-- Acceptance: a training killed with SIGKILL at 20 random moments and resumed each time leaves the same bytes
-- as one left alone: history.csv, the weights, the checkpoint, the settings and the split. Half of the kills
-- at least have to find it under way.
--
-- usage: galrun tests/acceptance/kill.lua [--kills 20] [--seed 1]
local cli = require "gal.cli"
local here = arg[0]:match "^(.*)/" or "."
local report = dofile(here .. "/report.lua")
local kill = dofile(here .. "/../lua/lib/kill.lua")

local o = cli.options{
  kills = 20, seed = 1, epochs = 400, record = { true, "append the result to RESULTS.md" },
}
local folder = os.tmpname()
os.remove(folder)
assert(os.execute("mkdir " .. folder) == 0)
local same, why, met = kill.compare{ folder = folder, kills = o.kills, epochs = o.epochs, seed = o.seed }
os.execute("rm -r " .. folder)
local r = report.new("kill", o.record)
print(why or "all files are the same")
r:bar("files that differ", same and 0 or 1, 0)
r:bar(("of %d kills, those after the end"):format(o.kills), o.kills - met, o.kills / 2)
r:finish()
