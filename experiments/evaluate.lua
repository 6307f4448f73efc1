-- Scores a run's posteriors on the galaxies of its survey's test part, which it has never seen: Delta log
-- p at the truth, D_KL from the prior, whether the two agree as they must for calibrated posteriors, and
-- whether the population comes out right (Wasserstein-1). Writes evaluation.json and galaxies.csv into
-- RUN/results/<survey>-<part>. With --against another run, both are scored on the same galaxies and compared
-- galaxy by galaxy: against.json and against.csv, all in RUN/results/<survey>-<part>-against-<run>. The same
-- options make the results anew; other options never overwrite them: --out names another folder.

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
  { "n", 200, "draws a galaxy; fewer than 39 can't tell the central 95 %", type = "integer", least = 39 },
  cli.common{ "solver" },
  { "out", type = "string", help = "folder for the results; default: one in the run's results/" },
  { "seed", 0, "seed of the draws and the bootstrap" },
}
local gal = require "gal"
local compare = require "gal.stats.compare"
local folder = require "gal.base.path"
local infer = require "gal.infer"
local json = require "gal.base.json"
local metrics = require "gal.metrics"
local trained = require "gal.infer.trained"

-- ---- the runs and their galaxies ----

local run = trained.open(o.run, { device = gal.device() })
local other = o.against and trained.open(o.against, { device = gal.device() })
local flow = run.flow
if other then
  local theta, expected = table.concat(other.flow.theta, ", "), table.concat(flow.theta, ", ")
  if theta ~= expected then
    cli.refuse("--against %s infers %s, expected %s like %s", o.against, theta, expected, o.run)
  end
end
local survey, own = run:survey(cli.values(o, { "asked" }))

-- The rows that the run was trained on, whose properties are the prior's: of its own survey where that is
-- still there, else of the one given.
local function training_rows()
  local home, ids = own and survey or run:home(), {}
  if not home then return survey:split "train" end
  for k, id in ipairs(run.lists.train) do ids[k] = id end
  table.sort(ids)
  return home:of(ids)
end

-- The galaxies to score, and, with another run, the same as that run was trained to see them: galaxies
-- that one of the two can't see are left out for both.
local function tested()
  local test = run:unseen(o.part == "all" and survey or survey:split "test", own)
  if not other then return test:thin(o.galaxies) end
  local others, others_own = other:survey{
    survey = survey.path, hdu = survey.hdu or false, id = o.id, dereddened = o.dereddened, packed = o.packed,
  }
  others = others:at(test.rows)
  test = test:at(others.rows):thin(o.galaxies)
  others = others:at(test.rows)
  other:refuse_seen(others, others_own)
  return test, others
end

-- The folder for the results, whose options are those of this call: known before the scores are worked out.
local function results_folder()
  local out = folder.ready(o.out or run:results(survey, o.part, o.against))
  if folder.kind(out .. "/evaluation.json") and not folder.kind(out .. "/options.json") then
    cli.refuse("%s has an evaluation whose options are not known, expected another --out", out)
  end
  return require("gal.base.run").open{
    where = "evaluate", out = out, noun = "evaluation", settings_file = "options.json",
    settings = cli.values(o, { "solver" }, {
      run = folder.absolute(o.run), against = o.against and folder.absolute(o.against),
      survey = folder.absolute(survey.path), hdu = survey.hdu, id = survey.id_column, part = o.part,
      galaxies = o.galaxies, n = o.n, seed = o.seed, dereddened = o.dereddened,
    }),
  }
end

local known = training_rows()
print(survey:describe())
local out = results_folder()
local test, others = tested()
local prior = require("gal.stats.prior").fit(known.theta)

-- ---- scores ----

local function score(label, posterior, part)
  local options = { n = o.n, prior = prior, seed = o.seed, label = label }
  local found = infer.score(posterior, part, cli.values(o, { "solver" }, options))
  if found.warning then print(found.warning) end
  return found
end

-- "12", or "11 of 12" where some have no scores.
local function counted(left_out)
  return (#left_out > 0 and ("%d of "):format(#test.ids - #left_out) or "") .. #test.ids
end

local found = score("posteriors", flow, test)
local summary = metrics.summary(found, { seed = o.seed })
local distances = metrics.wasserstein_table(test.theta, found.samples, flow.scale.theta_std:totable(),
  found.left_out)
local coverage = {}
for i, level in ipairs{ 0.68, 0.95 } do
  coverage[i] = metrics.coverage(test.theta, found.samples, level, found.left_out)
end

print(([[

%s test galaxies, %d draws each. %s.
Nats; intervals: 95 %% of bootstrap means over galaxies; systematic: by the mixture less by the kernels.

%s
D_KL - Delta log p is 0 when calibrated. If it is not, the coverage below says whether posteriors are too
narrow or too wide.

%s
means: truth against posterior means, above 0 even for perfect posteriors, as means shrink.
pooled: truth against all draws; calibrated: what chance gives.
in 68 %%: how often the truth lies in the central 68 %% of its draws.
]]):format(counted(found.left_out), o.n, prior:describe(), metrics.table(summary),
  metrics.population_table(flow.theta, distances, coverage)))

-- ---- files ----

-- One row a galaxy: the scores, and each property's truth beside its posterior's mean and deviation.
local function galaxies_table()
  local columns = { id = test.ids, flagged = found.flags, outside = found.outside }
  for _, name in ipairs{ "log_q", "log_p", "log_p_mixture", "delta_log_p", "d_kl", "d_kl_mixture" } do
    columns[name] = found[name]
  end
  local means, deviations = found.samples:mean(2), found.samples:std(2)
  for _, k in ipairs(found.left_out) do
    means[k]:fill_(0 / 0)
    deviations[k]:fill_(0 / 0)
  end
  for i, name in ipairs(flow.theta) do
    columns[name .. "_true"] = test.theta:select(2, i)
    columns[name .. "_mean"], columns[name .. "_std"] = means:select(2, i), deviations:select(2, i)
  end
  return gal.table(columns)
end

local function write_json(name, results) out:write(name, json.encode(results, true) .. "\n") end

local results = {
  run = o.run, survey = survey.path, part = o.part, galaxies = #test.ids, scored = summary.log_q.n,
  n = o.n, steps = o.steps, tolerance = o.steps == "auto" and o.tolerance or nil, seed = o.seed,
  dereddened = survey.dereddened,
  images = survey.prepared, wasserstein = {}, coverage = {},
  prior = { rows = prior.kde.n, h = prior.kde.h, components = #prior.mixture.components },
}
for i, name in ipairs(flow.theta) do
  results.wasserstein[name], results.coverage[name] = distances[i], { coverage[1][i], coverage[2][i] }
end
for name, entry in pairs(summary) do results[name] = entry end
galaxies_table():save(out:path "galaxies.csv")
write_json("evaluation.json", results)
print(("written: %s, %s"):format(out:path "evaluation.json", out:path "galaxies.csv"))
if not other then return out:close() end

-- ---- against another run ----

local beside = score("posteriors of " .. o.against, other.flow, others)
local scores = compare.scores(found, beside, { seed = o.seed })
local left_out = compare.left_out(found, beside)
local shifts = compare.wasserstein(test.theta, found.samples, beside.samples, {
  seed = o.seed, left_out = left_out,
})
print(("\n%s less %s, the same %s galaxies; intervals: 95 %% of bootstraps over galaxies.\n"):format(o.run,
  o.against, counted(left_out)))
print(compare.table(scores, shifts, flow.theta, { "run", "against" }))
gal.table{
  id = test.ids, log_q = found.log_q, log_q_against = beside.log_q,
  d_kl = found.d_kl, d_kl_against = beside.d_kl,
}:save(out:path "against.csv")
local by_name = {}
for i, name in ipairs(flow.theta) do by_name[name] = shifts[i] end
write_json("against.json", {
  run = o.run, against = o.against, survey = survey.path, galaxies = #test.ids, scores = scores,
  wasserstein = by_name,
})
print(("written: %s, %s"):format(out:path "against.json", out:path "against.csv"))
out:close()
