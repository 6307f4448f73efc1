-- Acceptance: images alone on real ones, 400 SDSS cutouts with 12 + log(O/H), which the project does not
-- ship. Each was cut at a scale of its own, so that an image says nothing of the galaxy's size on the sky.
-- Asked for: on the tenth that is held out by its ids' hash the mean of Delta log p is above 0, its interval
-- too; a small gain of few galaxies.
--
-- usage: galrun tests/acceptance/sdss_cutouts.lua --survey FOLDER [--out runs/acceptance/sdss_cutouts]
-- Half a minute; goes on where it was stopped.
local gal = require "gal"
local infer = require "gal.infer"
local metrics = require "gal.metrics"
local nn = require "gal.nn"
local report = dofile((arg[0]:match "^(.*)/" or ".") .. "/report.lua")
local o = require("gal.cli").options{
  {
    "survey", type = "string", required = true, help = "folder with catalog.csv (objID, oh_p50) and cutouts/",
  },
  { "out", "runs/acceptance/sdss_cutouts", "folder for the run and the decoded cutouts" },
  { "record", true, "append the result to RESULTS.md" },
}
local result = report.new("sdss_cutouts", o.record)

local survey = require("gal.data").open(o.survey, {
  theta = { "oh_p50" }, context = {}, images = { bin = 2, packed = o.out .. "/packed" },
})
print(survey:describe())
local rng = gal.rng(0)
local flow = require("gal.flow").new{
  theta = survey.names.theta, context = 0, image = survey.images.image, symmetric = true, rng = rng,
  encoder = nn.galaxy_cnn{ channels = { 16, 32, 64, 128 }, rng = rng },
}
flow = require("gal.train").fit{
  preset = "paper",
  flow = flow, data = survey:split "train", valid = survey:split "valid", augment = true, draws = 8,
  lr = 1e-3, schedule = "cosine", epochs = 150, patience = 150, out = o.out .. "/run", resume = true,
}.flow
local test = survey:split "test"
local prior = require("gal.stats.prior").fit(survey:split("train").theta)
local summary = metrics.summary(infer.score(flow, test, { prior = prior, n = 200, steps = 20 }))
print(("%d held-out galaxies, nats:"):format(#test.ids))
print(metrics.table(summary))
result:least("Delta log p of held-out galaxies, nats", summary.delta_log_p.mean, 0)
result:least("lower end of its 95 % interval", summary.delta_log_p.low, 0)
result:finish()
