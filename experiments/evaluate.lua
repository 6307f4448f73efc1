-- Scores a run's posteriors on the galaxies of its survey's test part, which it has never seen: Delta log p
-- at the truth, D_KL from the prior, whether the two agree as they must for calibrated posteriors, and
-- whether the population comes out right (Wasserstein-1). Writes evaluation.json and galaxies.csv into the
-- run's folder. With --against another run, both are scored on the same galaxies and compared galaxy by
-- galaxy: against.json and against.csv.

local cli = require "gal.cli"
local o = cli.options{
  { "run", "runs/photometry", "folder of the run", positional = true },
  { "against", type = "string", help = "folder of another run, to compare with on the same galaxies" },
  { "survey", type = "string", help = "table or folder to take the galaxies from; default: the one that the run was trained on" },
  { "part", "test", "test: a tenth of the survey, by its ids' hash; all: every galaxy that the run was not trained on", choices = { "test", "all" } },
  { "galaxies", 1000, "at most so many of them", type = "integer", least = 1 },
  { "n", 200, "draws a galaxy; fewer than 39 can't tell the central 95 %", type = "integer", least = 39 },
  { "steps", "auto", "Runge-Kutta steps: a number, or auto: as many as each galaxy needs", type = "steps" },
  { "tolerance", 1e-3, "error that auto allows: posterior deviations for draws, nats for densities", above = 0 },
  { "dereddened", type = "boolean", help = "must be what the run was trained with" },
  { "crop", type = "integer", least = 0, help = "must be what the run was trained with" },
  { "bin", type = "integer", least = 1, help = "must be what the run was trained with" },
  { "packed", type = "string", help = "folder for the decoded cutouts; default: the survey's" },
  { "out", type = "string", help = "folder for the results; default: the run's" },
  { "seed", 0, "of the draws and the bootstrap" },
}
local gal = require "gal"
local compare = require "gal.stats.compare"
local data = require "gal.data"
local folder = require "gal.base.path"
local json = require "gal.base.json"
local metrics = require "gal.metrics"

local function load(run)
  local flow = require("gal.flow").load(run .. "/flow.safetensors")
  if not flow.notes then cli.refuse("%s does not say which survey it learned from, expected a run of train_photometry or train_image", run) end
  return flow, data.read_split(run .. "/split.csv")
end
local flow, split = load(o.run)
-- The other run sees the same galaxies, as it was trained to see them; those that it can't see are left out
-- for both.
local other, other_split, others
if o.against then
  other, other_split = load(o.against)
  if table.concat(other.theta, ", ") ~= table.concat(flow.theta, ", ") then
    cli.refuse("--against %s infers %s, expected %s like %s", o.against, table.concat(other.theta, ", "), table.concat(flow.theta, ", "), o.run)
  end
end

local survey = data.reopen(flow.notes, { survey = o.survey, dereddened = o.dereddened, crop = o.crop, bin = o.bin, packed = o.packed })
-- The prior is that of the run's own training rows: from its survey where that is still there, else from the
-- one given.
local home = o.survey and folder.kind(flow.notes.survey) and data.reopen(flow.notes, { images = false }) or survey
local trained = {}
for id, part in pairs(split) do
  if part == "train" then trained[#trained + 1] = id end
end
table.sort(trained)
local known = home == survey and o.survey and survey:split "train" or home:of(trained)
local test = o.part == "all" and survey or survey:split "test"
if data.same_ids(flow.notes.survey, survey.path) then test = test:without(split, { "train", "valid" }) end
print(survey:describe())
local out = folder.ready(o.out or o.run) -- now, and not when all is worked out

if other then
  others = data.reopen(other.notes, { survey = o.survey or survey.path, dereddened = o.dereddened, packed = o.packed }):of(test.ids)
  test = test:of(others.ids):thin(o.galaxies)
  others = others:of(test.ids)
  if data.same_ids(other.notes.survey, survey.path) then others:refuse(other_split, { "train", "valid" }, o.against) end
else
  test = test:thin(o.galaxies)
end

local prior = require("gal.stats.prior").fit(known.theta)
local function score(label, posterior, galaxies)
  local progress = cli.progress{ total = #galaxies.ids, label = label, unit = "galaxies" }
  local found = metrics.information(posterior, galaxies.theta, galaxies:seen(), prior, {
    n = o.n, steps = o.steps, tolerance = o.tolerance, seed = o.seed, progress = function(done) progress:update{ done = done } end,
  })
  progress:finish()
  if found.flagged and #found.flagged > 0 then
    local ids = {}
    for i = 1, math.min(5, #found.flagged) do ids[i] = galaxies.ids[found.flagged[i]] end
    print(("%d galaxies are not within the tolerance of %g: %s%s"):format(#found.flagged, o.tolerance, table.concat(ids, ", "), #found.flagged > 5 and ", ..." or ""))
  end
  return found
end
local found = score("posteriors", flow, test)

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
local results = { run = o.run, survey = survey.path, part = o.part, galaxies = #test.ids, n = o.n, steps = o.steps, tolerance = o.steps == "auto" and o.tolerance or nil, seed = o.seed,
  dereddened = survey.dereddened, images = survey.prepared, wasserstein = wasserstein, coverage = inside, prior = { rows = prior.kde.n, h = prior.kde.h, components = #prior.mixture.components } }
for name, entry in pairs(summary) do results[name] = entry end

for _, name in ipairs{ "against.json", "against.csv" } do os.remove(out .. "/" .. name) end -- an earlier call's are not of these scores
gal.table(columns):save(out .. "/galaxies.csv")
folder.write(out .. "/evaluation.json", json.encode(results, true) .. "\n")
print(("written: %s/evaluation.json, %s/galaxies.csv"):format(out, out))
if not other then return end

local beside = score("posteriors of " .. o.against, other, others)
local scores, shifts = compare.scores(found, beside, { seed = o.seed }), compare.wasserstein(test.theta, found.samples, beside.samples, { seed = o.seed })
print(("\n%s less %s, the same %d galaxies; intervals: 95 %% of bootstraps over galaxies.\n"):format(o.run, o.against, #test.ids))
print(compare.table(scores, shifts, flow.theta, { "run", "against" }))
gal.table{ id = test.ids, log_q = found.log_q, log_q_against = beside.log_q, d_kl = found.d_kl, d_kl_against = beside.d_kl }:save(out .. "/against.csv")
local by_name = {}
for i, name in ipairs(flow.theta) do by_name[name] = shifts[i] end
folder.write(out .. "/against.json", json.encode({ run = o.run, against = o.against, survey = survey.path, galaxies = #test.ids, scores = scores, wasserstein = by_name }, true) .. "\n")
print(("written: %s/against.json, %s/against.csv"):format(out, out))
