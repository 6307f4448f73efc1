-- The exact posteriors of galaxies of a mock survey given their ugriz magnitudes, by importance sampling
-- of the model that made them (runtime/mock/README.md, section 4): the posteriors that a perfect flow,
-- trained on such a survey, would give. Writes reference.npz into --out: mean {N, 5}, covariance {N, 5, 5}
-- and, with --samples, samples {N, samples, 5} of the labels log M*, log SFR, 12 + log(O/H), Dn4000, A_V;
-- log_prob {N}, ln p(labels | ugriz) at each galaxy's own labels; the effective sample sizes ess {N} and
-- the numbers of galaxies drawn, draws {N}. Stopped, the same command goes on where it was.

local cli = require "gal.cli"
local o = cli.options{
  { "survey", "survey", "mock survey: a table or a folder with catalog.fits" },
  cli.common{ "table" },
  { "out", "runs/reference", "folder for the results" },
  { "n", 200, "galaxies, spread evenly over the survey", type = "integer", least = 1 },
  { "ess", 3000, "effective sample size that each galaxy gets", least = 1 },
  { "samples", 0, "independent draws of each posterior to write", type = "integer", least = 0 },
  { "seed", 1, "seed of the draws" },
}
local metrics = require "gal.metrics"

local data, gal = require "gal.data", require "gal"
local catalogue = data.find(o.survey)
if not gal.table(catalogue, { hdu = tonumber(o.hdu) or o.hdu }):has "true_log_mass" then
  cli.refuse("%s is no mock survey (those have true_log_mass): its galaxies were not made by the model that "
    .. "this computes with", catalogue)
end
local survey = data.open(o.survey, cli.values(o, { "table" })):thin(o.n)
local r = require("gal.mock.posterior").run{
  magnitudes = survey.context, theta = survey.theta, out = o.out, ess = o.ess, samples = o.samples,
  seed = o.seed,
}

local rows = {}
for i, line in ipairs{
  { "ess", "effective sample size", "%.0f" }, { "draws", "galaxies drawn", "%.0f" },
  { "log_prob", "ln p(labels | ugriz), nats", "%.2f" },
} do
  local name, label, format = unpack(line)
  local row = { label }
  for k, q in ipairs(metrics.quantile(r[name], { 0, 0.1, 0.5, 0.9, 1 })) do row[k + 1] = format:format(q) end
  rows[i] = row
end
print(cli.table(rows, { ("%d galaxies"):format(#survey.ids), "least", "10 %", "median", "90 %", "most" }))

rows = {}
for i, name in ipairs{ "log M*", "log SFR", "12+log(O/H)", "Dn4000", "A_V" } do
  local deviation = r.covariance:select(2, i):select(2, i):pow(0.5):mean():item()
  rows[i] = { name, ("%.3f"):format(deviation), ("%.3f"):format(survey.theta:select(2, i):std():item()) }
end
print("\n" .. cli.table(rows, { "mean deviation", "posterior", "all of them" }))
print(("\nln p(labels | ugriz): mean %.3f nats. Everything is in %s/reference.npz"):format(
  r.log_prob:mean():item(), o.out))
