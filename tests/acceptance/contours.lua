-- Acceptance: contours hold the share that they are named by. Samples of 1,000 draws of a Gaussian, a banana
-- and a distribution with an edge; of each the shares of fresh draws within the contours of .393, .68, .864
-- and .95. Asked for: the mean over the samples within .01 of the level. The share of one sample scatters by
-- .016, so that the mean of 20 would miss the bar by chance (.014 was seen): 200 samples, of 20,000 fresh
-- draws each. Of corner's 39 and 86 %, 20 bins, the means are .36 and .83, at the edge .31 and .76.
--
-- usage: galrun tests/acceptance/contours.lua
local gal = require "gal"
local here = arg[0]:match "^(.*)/" or "."
local contours = dofile(here .. "/../lua/lib/contours.lua")
local report = dofile(here .. "/report.lua")

local o = require("gal.cli").options {
  { "n", 1000, "draws of a sample" }, { "repetitions", 200, "samples" },
  { "fresh", 20000, "draws that the contours are tried on" }, { "seed", 1, "of all draws" },
  { "record", true, "append the result to RESULTS.md" },
}
local verdict = report.new("contours", o.record)
local LEVELS = { 0.393, 0.68, 0.864, 0.95 }
for _, name in ipairs(contours.names) do
  local masses = contours.masses(name, LEVELS, {
    n = o.n, repetitions = o.repetitions, fresh = o.fresh, rng = gal.rng(o.seed):fork(name),
  })
  for k, level in ipairs(LEVELS) do
    local sum, furthest = 0, 0
    for _, mass in ipairs(masses[k]) do
      sum, furthest = sum + mass, math.max(furthest, math.abs(mass - level))
    end
    print(("%s, %.1f %%: furthest sample %.4f"):format(name, 100 * level, furthest))
    verdict:bar(("%s, %.1f %%: |mean share - level|"):format(name, 100 * level),
      math.abs(sum / #masses[k] - level), 0.01)
  end
end
verdict:finish()
os.exit(verdict.short == 0 and 0 or 1)
