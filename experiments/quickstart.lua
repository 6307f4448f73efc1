-- The first thing to run, about a minute: makes a small survey of galaxies, learns what their magnitudes say of their mass, star formation, metallicity, age and dust, and holds
-- the answers against the truth. The survey is analytic (lua/gal/analytic.lua): its exact posteriors have a formula, so that it is seen how near the learned ones come.

local cli = require "gal.cli"
local o = cli.options{
  { "out", "runs/quickstart", "folder for the survey and the run; a second start goes on from there" },
  { "galaxies", 20000, "galaxies in the survey" },
  { "epochs", 60, "epochs of training at most" },
  { "seed", 1, "of the survey, the weights and the noise" },
}
local gal = require "gal"
local analytic = require "gal.analytic"
local folder = require "gal.folder"
local metrics = require "gal.metrics"

print "1. A survey: five properties of each galaxy as spectroscopy would give them, and its ugriz magnitudes.\n"
local catalogue = folder.make(o.out .. "/survey") .. "/catalog.csv"
if not folder.kind(catalogue) then analytic.table(o.galaxies, o.seed):save(catalogue) end
local survey = require("gal.data").open(o.out .. "/survey")
print(survey:describe())

print "\n2. The photometry model learns p(properties | magnitudes) by flow matching.\n"
local flow = require("gal.flow").new{ theta = survey.names.theta, context = survey.names.context, rng = gal.rng(o.seed) }
flow.notes = survey:choices()
require("gal.train").fit{
  flow = flow, data = survey:split "train", valid = survey:split "valid", test = survey:split "test", epochs = o.epochs, patience = 10, seed = o.seed,
  out = o.out .. "/model", resume = true,
}

print "\n3. Posteriors of three galaxies that it has never seen: mean +- deviation.\n"
local test = survey:split("test"):thin(400)
local samples = flow:sample(test.context, { n = 400, steps = 20 })
local means, deviations = samples:mean(2), samples:std(2)
local exact, covariance = analytic.posterior(test.context)
local labels = { "log M*", "log SFR", "12+log(O/H)", "Dn4000", "A_V" }
local rows = {}
for _, k in ipairs{ 1, 2, 3 } do
  for i, label in ipairs(labels) do
    rows[#rows + 1] = { i == 1 and test.ids[k] or "", label, ("%.2f"):format(test.theta:get(k, i)),
      ("%.2f +- %.2f"):format(means:get(k, i), deviations:get(k, i)), ("%.2f +- %.2f"):format(exact:get(k, i), math.sqrt(covariance[i][i])) }
  end
end
print(cli.table(rows, { "galaxy", "", "truth", "learned", "exact" }))

print(("\n4. Are the posteriors right? %d galaxies of the test part.\n"):format(#test.ids))
local few = test:thin(200)
local prior = require("gal.prior").fit(survey:split("train"):thin(4000).theta)
local found = metrics.information(flow, few.theta, few.context, prior, { n = 50, steps = 20, seed = o.seed })
local summary = metrics.summary(found)
local inside, q = metrics.coverage(test.theta, samples, 0.68), analytic.log_posterior(few.theta, few.context)
rows = {}
for i, label in ipairs(labels) do
  local error_, shrink = (means:select(2, i) - exact:select(2, i)):pow(2):mean():item() ^ 0.5, math.sqrt(covariance[i][i])
  rows[i] = { label, ("%.1f %%"):format(100 * inside[i]), ("%.2f"):format(error_ / shrink), ("%.2f"):format(deviations:select(2, i):mean():item() / shrink) }
end
print(cli.table(rows, { "", "truth in 68 %", "error of the mean", "width" }))
print "in 68 %: how often the truth lies in the central 68 % of the draws. The others in units of the exact posterior's width: 0 and 1 are perfect.\n"
local lost = metrics.bootstrap((function()
  for k = 1, #q do q[k] = q[k] - found.log_q[k] end
  return q
end)())
local function line(name, s, what) print(("%-22s%6.3f (%.3f to %.3f) nats: %s"):format(name, s.mean, s.low, s.high, what)) end
line("Delta log p", summary.delta_log_p, "what the magnitudes tell of a galaxy's true properties")
line("D_KL - Delta log p", summary.excess, "0 when the posteriors are as sure as they may be")
line("log p_exact - log q", lost, "what the learned posteriors fall short of the exact ones")

print(("\nThe model is in %s/model. Next: your own survey,\n  galrun experiments/train_photometry.lua --survey catalog.csv\n  galrun experiments/evaluate.lua"):format(o.out))
