-- Acceptance: the photometry model with nothing but defaults on a small real catalogue, the 2,215 star-
-- forming galaxies of ECO and RESOLVE (z = 0.02, not SDSS's pipeline photometry), which the project does not
-- ship. Asked for: it says what it drops; on galaxies that it has not seen the mean of Delta log p is
-- positive, with an interval that excludes 0. defaults.lua --eco compares its five folds with sbi's.
--
-- usage: galrun tests/acceptance/eco_resolve.lua --catalog catalog.csv [--out runs/acceptance/eco_resolve]
-- Goes on where it was stopped.
local gal = require "gal"
local infer = require "gal.infer"
local metrics = require "gal.metrics"
local train = require "gal.train"
local here = arg[0]:match "^(.*)/" or "."
local report = dofile(here .. "/report.lua")

local o = require("gal.cli").options{
  { "catalog", type = "string", required = true, help = "catalog.csv of ECO/RESOLVE" },
  { "out", "runs/acceptance/eco_resolve", "folder for the fits" },
  { "record", true, "append the result to RESULTS.md" },
}
local result = report.new("eco_resolve", o.record)

local survey = require("gal.data").open(o.catalog)
print(survey:describe())
local dropped = survey.dropped[1]
local as_expected = #survey.dropped == 1 and dropped.reason == "without d4000_n"
result:bar("rows dropped that are not the 760 without d4000_n",
  as_expected and math.abs(dropped.count - 760) or survey.total, 0)

local flow = require("gal.flow").new{
  theta = survey.names.theta, context = survey.names.context, rng = gal.rng(0),
}
local run = train.fit{
  flow = flow, data = survey:split "train", valid = survey:split "valid", out = o.out .. "/split",
  resume = true,
}
print(train.describe(run))
local test = survey:split "test"
local prior = require("gal.stats.prior").fit(survey:split("train").theta)
local summary = metrics.summary(infer.score(flow, test, { prior = prior, n = 100, steps = 30 }))
print(("%d held-out galaxies, nats:"):format(#test.ids))
print(metrics.table(summary))
result:least("low end of held-out mean Delta log p", summary.delta_log_p.low, 0)
result:finish()
