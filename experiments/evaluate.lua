-- Can a run's posteriors be believed, and what do they tell? Scores them on the galaxies of its survey's
-- test part, which it has never seen. One exact test says whether the truths could be draws of the
-- posteriors; Delta log p and D_KL say what they tell beyond the prior; per property there are errors, CRPS,
-- Wasserstein-1 and coverage. With --against another run, both are scored on the same galaxies and compared
-- pair by pair, and its densities test this run's draws. Draws once, and keeps the draws: all files are in
-- RUN/results/<survey>-<part>[-against-<run>]; read evaluation.txt first. Stopped, the same command goes on.
-- The same options make the results again from these draws; other options never overwrite them: --out names
-- another folder.

local cli = require "gal.cli"
local o = cli.options{
  { "run", "runs/photometry", "folder of the run", positional = true },
  { "against", type = "string", help = "folder of another run, to compare with on the same galaxies" },
  cli.common{ "asked" },
  {
    "part", "test",
    "test: a tenth of the survey, by its ids' hash; all: every galaxy that the run was not trained on",
    choices = { "test", "all" },
  },
  { "galaxies", 1000, "at most this many galaxies", type = "integer", least = 1 },
  {
    "n", 999, "draws a galaxy: 199, 999, or another multiple of 20 less one, so that ranks fill bins alike",
    type = "integer", least = 39,
  },
  {
    "contexts", {}, "further columns of the table along which residuals are tested, such as inputs left out",
    type = "list",
  },
  cli.common{ "solver" },
  { "html", false, "write evaluation.html too: one page with the figures in it" },
  { "out", type = "string", help = "folder for the results; default: one in the run's results/" },
  { "seed", 0, "seed of the draws and the bootstrap" },
}
local calibration = require "gal.calibration"
local compare = require "gal.stats.compare"
local evaluation = require "gal.infer.evaluation"
local floored = require "gal.infer.floored"
local metrics = require "gal.metrics"
local report = require "gal.infer.report"

-- The galaxies, their posteriors with densities, and the prior: the training rows'.
local e = evaluation.open(o)
cli.say(e.survey:describe())
local drawn = e:posteriors()
local beside, crossed = e:posteriors_against(drawn)
local prior = require("gal.stats.prior").fit(e.known.theta)
local contexts = e:contexts()

-- What is said of both runs: whether their truths could be draws, and what they tell.
local function judged(posteriors, flow, densities)
  local scores = metrics.scores(e.test.theta, posteriors, prior, { scale = flow.scale })
  local enough = #e.test.ids - #scores.left_out >= 100
  return scores, enough and calibration.test(e.test.theta, posteriors.samples, {
    log_q = posteriors.log_q, log_q_true = posteriors.log_q_true, against = densities,
    context = contexts.values, context_names = contexts.names, references = contexts.references,
    names = flow.theta, training = e.known.theta, left_out = scores.left_out, seed = o.seed,
  }) or nil
end

local scores, test = judged(drawn, e.flow, crossed)
local left_out, scale = scores.left_out, e.flow.scale.theta_std:totable()
local found = {
  evaluation = e, drawn = drawn, scores = scores, calibration = test, prior = prior, contexts = contexts,
  summary = metrics.summary(scores, { seed = o.seed, resamples = 10000 }),
  properties = metrics.properties(e.test.theta, drawn.samples, {
    training = e.known.theta, left_out = left_out, seed = o.seed,
  }),
  distances = metrics.wasserstein_table(e.test.theta, drawn.samples, scale, left_out),
  coverage = {
    metrics.coverage(e.test.theta, drawn.samples, 0.68, left_out),
    metrics.coverage(e.test.theta, drawn.samples, 0.95, left_out),
  },
  cde_loss = metrics.bootstrap(metrics.cde_loss(drawn.log_q, drawn.log_q_true, e:unit()), {
    left_out = left_out, seed = o.seed,
  }),
  gap = e:training_gap(scores.log_q), members = e:members(scores.log_q),
  told_apart = e:told_apart(drawn, contexts, left_out),
  floored = floored.of(e.flow, e.test.theta, drawn.log_q_true),
}

-- Against another run: the same galaxies, paired.
if beside then
  local theirs, their_test = judged(beside, e.other.flow)
  found.against = {
    scores = theirs, calibration = their_test, compared = compare.scores(scores, theirs, { seed = o.seed }),
    distances = compare.wasserstein(e.test.theta, drawn.samples, beside.samples, {
      seed = o.seed, left_out = compare.left_out(scores, theirs),
    }),
  }
end

print("\n" .. report.write(found, { html = o.html }))
e:close()
