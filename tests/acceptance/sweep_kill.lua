-- Acceptance: 24 trials over two workers on a small mock survey, whose master and workers are killed by
-- SIGKILL in turn at ten random moments: no finished trial is touched again, what was cut off goes on from
-- its last epoch, and results.csv (but for seconds) and all flows are those of a sweep left alone.
--
-- usage: galrun tests/acceptance/sweep_kill.lua [--kills 10] [--seed 1]
local cli = require "gal.cli"
local here = arg[0]:match "^(.*)/" or "."
local report = dofile(here .. "/report.lua")
local lib = dofile(here .. "/../lua/lib/sweep.lua")
local path = require "gal.base.path"

local o = cli.options{
  kills = 10, seed = 1, trials = 24, epochs = 60, pause = { 2, "seconds between two kills, at most" },
  record = { true, "append the result to RESULTS.md" },
}
local folder = os.tmpname()
os.remove(folder)
path.make(folder)
require("gal.mock").make{ out = folder .. "/survey", n = 3000, seed = 4, cutouts = false, progress = false }
path.write(folder .. "/space.lua", ([[
  local sweep = require "gal.sweep"
  return {
    survey = "survey", epochs = %d, patience = %d, lr = sweep.log_range(1e-4, 3e-2),
    hidden = sweep.choice{ { 32, 32 }, { 64, 64 } }, sigma = sweep.range(0, 0.2),
  }]]):format(o.epochs, o.epochs))
local words = { "space.lua", "--trials", tostring(o.trials), "--workers", "2" }
local peace = { unpack(words) }
peace[#peace + 1], peace[#peace + 2] = "--out", folder .. "/peace"
lib.wait(lib.master(folder, peace), folder)
local killed, touched = lib.disturbed(folder, words, o.kills, o.seed, o.pause)
local wrong, again = lib.compare(folder, o.epochs)
os.execute("rm -r " .. folder)
local r = report.new("sweep_kill", o.record)
for _, list in ipairs{ touched, wrong } do
  for _, sentence in ipairs(list) do print(sentence) end
end
print(("%d times a trial went on from its last epoch"):format(again))
r:bar(("of %d kills, those after the end"):format(o.kills), o.kills - killed, 0)
r:bar("finished trials that were touched again", #touched, 0)
r:bar("things that differ from the sweep left alone", #wrong, 0)
r:finish()
