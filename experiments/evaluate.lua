-- Scores a run's posteriors on the galaxies of its survey's test part, which it has never seen: Delta log p at the truth, D_KL from the prior, whether the two agree as they
-- must for calibrated posteriors, and whether the population comes out right (Wasserstein-1). Writes evaluation.json and galaxies.csv into the run's folder.

local cli = require "gal.cli"
local o = cli.options{
  { "run", "runs/photometry", "folder of the run", positional = true },
  { "survey", type = "string", help = "table or folder to take the galaxies from; default: the one that the run was trained on" },
  { "galaxies", 1000, "at most so many of the test part's galaxies" },
  { "n", 200, "draws a galaxy" },
  { "steps", "auto", "Runge-Kutta steps: a number, or auto: as many as each galaxy needs" },
  { "tolerance", 1e-3, "error that auto allows: posterior deviations for draws, nats for densities" },
  { "dereddened", type = "boolean", help = "must be what the run was trained with" },
  { "out", type = "string", help = "folder for the results; default: the run's" },
  { "seed", 0, "of the draws and the bootstrap" },
}
local gal = require "gal"
local data = require "gal.data"
local folder = require "gal.folder"
local metrics = require "gal.metrics"

local flow = require("gal.flow").load(o.run .. "/flow.safetensors")
local survey = data.reopen(flow.notes, { survey = o.survey, dereddened = o.dereddened })
-- The prior is that of the run's own training rows: from its survey where that is still there, else from the one given.
local home = o.survey and folder.kind(flow.notes.survey) and data.reopen(flow.notes) or survey
local test = survey:split("test"):without(data.read_split(o.run .. "/split.csv"), { "train", "valid" }):thin(o.galaxies)
print(survey:describe())

local prior = require("gal.prior").fit(home:split("train").theta)
local progress = cli.progress{ total = #test.ids, label = "posteriors", unit = "galaxies" }
local found = metrics.information(flow, test.theta, test.context, prior, {
  n = o.n, steps = cli.steps(o.steps), tolerance = o.tolerance, seed = o.seed, progress = function(done) progress:update{ done = done } end,
})
progress:finish()
if found.flagged and #found.flagged > 0 then
  local ids = {}
  for i = 1, math.min(5, #found.flagged) do ids[i] = test.ids[found.flagged[i]] end
  print(("%d galaxies are not within the tolerance of %g: %s%s"):format(#found.flagged, o.tolerance, table.concat(ids, ", "), #found.flagged > 5 and ", ..." or ""))
end

local summary = metrics.summary(found, { seed = o.seed })
local distances = metrics.wasserstein_table(test.theta, found.samples, flow.scale.theta_std:totable())
local coverage = { metrics.coverage(test.theta, found.samples, 0.68), metrics.coverage(test.theta, found.samples, 0.95) }

print(("\n%d test galaxies, %d draws each. %s.\nNats; intervals: 95 %% of bootstrap means over galaxies; systematic: by the mixture less by the kernels.\n"):format(
  #test.ids, o.n, prior:describe()))
local rows = {}
for i, entry in ipairs{ { "Delta log p", "delta_log_p" }, { "D_KL", "d_kl" }, { "D_KL - Delta log p", "excess" }, { "log q", "log_q" } } do
  local s = summary[entry[2]]
  rows[i] = { entry[1], ("%.3f"):format(s.mean), ("%.3f to %.3f"):format(s.low, s.high), ("%.3f"):format(s.deviation),
    s.systematic and ("%+.3f"):format(s.systematic) or "" }
end
print(cli.table(rows, { "", "mean", "interval", "scatter", "systematic" }))
print "D_KL - Delta log p is 0 when calibrated. If it is not, the coverage below says whether posteriors are too narrow or too wide.\n"

rows = {}
for i, name in ipairs(flow.theta) do
  local d = distances[i]
  rows[i] = { name, ("%.4f"):format(d.means), ("%.4f"):format(d.means_standardised), ("%.4f"):format(d.pooled), ("%.4f"):format(d.pooled_standardised),
    ("%.4f (%.4f)"):format(d.chance, d.chance_high), ("%.1f %%"):format(100 * coverage[1][i]), ("%.1f %%"):format(100 * coverage[2][i]) }
end
print(cli.table(rows, { "Wasserstein-1", "means", "in deviations", "pooled", "in deviations", "by chance (95 %)", "in 68 %", "in 95 %" }))
print "means: truth against posterior means, above 0 even for perfect posteriors, as means shrink.\npooled: truth against all draws; calibrated: what chance gives.\nin 68 %: how often the truth lies in the central 68 % of its draws.\n"

-- One row a galaxy: the scores, and each property's truth beside its posterior's mean and deviation.
local columns = { id = test.ids, log_q = found.log_q, log_p = found.log_p, log_p_mixture = found.log_p_mixture, delta_log_p = found.delta_log_p, d_kl = found.d_kl,
  d_kl_mixture = found.d_kl_mixture }
local means, deviations = found.samples:mean(2), found.samples:std(2)
for i, name in ipairs(flow.theta) do
  columns[name .. "_true"], columns[name .. "_mean"], columns[name .. "_std"] = test.theta:select(2, i), means:select(2, i), deviations:select(2, i)
end

local wasserstein, inside = {}, {}
for i, name in ipairs(flow.theta) do wasserstein[name], inside[name] = distances[i], { coverage[1][i], coverage[2][i] } end
local results = { run = o.run, survey = survey.path, galaxies = #test.ids, n = o.n, steps = o.steps, tolerance = o.steps == "auto" and o.tolerance or nil, seed = o.seed, dereddened = survey.dereddened,
  wasserstein = wasserstein,
  coverage = inside, prior = { rows = prior.kde.n, h = prior.kde.h, components = #prior.mixture.components } }
for name, entry in pairs(summary) do results[name] = entry end

local out = folder.make(o.out or o.run)
gal.table(columns):save(out .. "/galaxies.csv")
folder.write(out .. "/evaluation.json", require("gal.json").encode(results, true) .. "\n")
print(("written: %s/evaluation.json, %s/galaxies.csv"):format(out, out))
