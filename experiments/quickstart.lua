-- The first thing to run, a minute or two: makes a small survey of galaxies, learns what their magnitudes say of their mass, star formation, metallicity, age and dust, and holds
-- the answers against the truth. The survey is analytic (lua/gal/analytic.lua): its exact posteriors have a formula, so that it is seen how near the learned ones come.

local cli = require "gal.cli"
local o = cli.options{
  { "out", "runs/quickstart", "folder for the survey and the run; a second start goes on from there" },
  { "galaxies", 20000, "galaxies in the survey" },
  { "epochs", 60, "epochs of training at most" },
  { "sigma", 0.05, "width of the path, in deviations of each property" },
  { "seed", 1, "of the survey, the weights and the noise" },
}
local gal = require "gal"
local analytic = require "gal.analytic"
local folder = require "gal.folder"
local metrics = require "gal.metrics"

local STEPS = 12 -- of Runge-Kutta: within 3e-4 nats of a hundred

print "1. A survey: five properties of each galaxy as spectroscopy would give them, and its ugriz magnitudes.\n"
local catalogue = folder.make(o.out .. "/survey") .. "/catalog.csv"
if not folder.kind(catalogue) then analytic.table(o.galaxies, o.seed):save(catalogue) end
local survey = require("gal.data").open(o.out .. "/survey")
print(survey:describe())

print "\n2. The photometry model learns p(properties | magnitudes) by flow matching.\n"
local flow = require("gal.flow").new{ theta = survey.names.theta, context = survey.names.context, sigma = o.sigma, rng = gal.rng(o.seed) }
flow.notes = survey:choices()
require("gal.train").fit{
  flow = flow, data = survey:split "train", valid = survey:split "valid", test = survey:split "test", epochs = o.epochs, patience = 10, seed = o.seed,
  out = o.out .. "/model", resume = true,
}

print "\n3. Posteriors of three galaxies that it has never seen: mean +- deviation.\n"
local test = survey:split "test"
local some = test:thin(400)
local samples = flow:sample(some.context, { n = 200, steps = STEPS })
local means, deviations = samples:mean(2), samples:std(2)
local exact, covariance = analytic.posterior(some.context)
local labels = { "log M*", "log SFR", "12+log(O/H)", "Dn4000", "A_V" }
local rows = {}
for _, k in ipairs{ 1, 2, 3 } do
  for i, label in ipairs(labels) do
    rows[#rows + 1] = { i == 1 and some.ids[k] or "", label, ("%.2f"):format(some.theta:get(k, i)),
      ("%.2f +- %.2f"):format(means:get(k, i), deviations:get(k, i)), ("%.2f +- %.2f"):format(exact:get(k, i), math.sqrt(covariance[i][i])) }
  end
end
print(cli.table(rows, { "galaxy", "", "truth", "learned", "exact" }))

print(("\n4. Are the posteriors right? %d galaxies of the test part.\n"):format(#some.ids))
local inside = metrics.coverage(some.theta, samples, 0.68)
rows = {}
for i, label in ipairs(labels) do
  local off, width = (means:select(2, i) - exact:select(2, i)):pow(2):mean():item() ^ 0.5, math.sqrt(covariance[i][i])
  rows[i] = { label, ("%.1f %%"):format(100 * inside[i]), ("%.2f"):format(off / width), ("%.2f"):format(deviations:select(2, i):mean():item() / width) }
end
print(cli.table(rows, { "", "truth in 68 %", "error of the mean", "width" }))
print "truth in 68 %: how often it lies in the central 68 % of the draws."
print "The others are in units of the exact posterior's width: 0.07 (200 draws) and 1 are perfect.\n"

local prior = require("gal.prior").fit(survey:split("train"):thin(4000).theta)
local function score(posterior)
  local found = metrics.information(posterior, test.theta, test.context, prior, { n = 10, steps = STEPS, seed = o.seed })
  return metrics.summary(found, { seed = o.seed })
end
local learned, best = score(flow), score(analytic.flow)
print(("All %d galaxies of the test part:\n"):format(#test.ids))
rows = {}
for i, entry in ipairs{ { "Delta log p", "delta_log_p" }, { "D_KL - Delta log p", "excess" } } do
  local l, e = learned[entry[2]], best[entry[2]]
  rows[i] = { entry[1], ("%.3f"):format(l.mean), ("%.3f to %.3f"):format(l.low, l.high), ("%.3f"):format(e.mean) }
end
print(cli.table(rows, { "nats", "learned", "95 % interval", "exact" }))
print "Delta log p: what the magnitudes tell of a galaxy's properties."
print "D_KL - Delta log p: 0 for calibrated posteriors, but for these galaxies' luck."

print(("\nThe model is in %s/model. Next: your own survey,\n  galrun experiments/train_photometry.lua --survey catalog.csv\n  galrun experiments/evaluate.lua"):format(o.out))
