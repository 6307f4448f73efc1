-- Trains the photometry model of arXiv 2512.05078: the posterior of five properties of each galaxy given its
-- ugriz magnitudes. The survey is a table (.fits, .csv) or a folder with catalog.fits or catalog.csv, under
-- SDSS column names; any columns may be asked for.

local cli = require "gal.cli"
local o = cli.options{
  { "survey", "survey", "table or folder to train on" },
  { "out", "runs/photometry", "folder for the run" },
  cli.common{ "table", "reading", "network", "training", "ensemble", "labels" },
}
local gal = require "gal"
local train = require "gal.train"

local before = train.expect{ out = o.out, resume = o.resume, members = o.ensemble }
local survey = require("gal.data").open(o.survey, cli.values(o, { "table", "reading" }, { like = before }))
cli.say(survey:describe())

local notes = survey:choices()
if o.label_errors then
  notes.label_errors = require("gal.infer").label_errors(survey:split "train", o.label_errors)
end
notes.labels = o.labels
local function flow_of(seed)
  local flow = require("gal.flow").new{
    theta = survey.names.theta, context = survey.names.context, hidden = o.hidden, sigma = o.sigma,
    rng = gal.rng(seed),
  }
  flow.notes = notes
  return flow
end
local run = train.ensemble(cli.values(o, { "training" }, {
  members = o.ensemble, make = flow_of, each = cli.member(o), data = survey:split "train",
  valid = survey:split "valid", test = survey:split "test", out = o.out,
}))

cli.say(train.describe(run))
print(("the run is in %s; how good its posteriors are:\n  galrun experiments/evaluate.lua %s"):format(
  o.out, o.out))
