-- Acceptance: the photometry model on a small real catalogue, the 2,215 star-forming galaxies of ECO and
-- RESOLVE (z = 0.02, not SDSS's pipeline photometry), which the project does not ship. Asked for: it says
-- what it drops; on galaxies that it has not seen the mean of Delta log p is positive, with an interval that
-- excludes 0; and over the same five folds its mean log q is not below that of sbi 0.27's FMPE
-- (golden/eco_sbi.csv, made by golden/eco_sbi.py), with its defaults and with compose_standardization.
--
-- usage: galrun tests/acceptance/eco_resolve.lua --catalog catalog.csv [--out runs/acceptance/eco_resolve]
-- Goes on where it was stopped.
local gal = require "gal"
local folder = require "gal.base.path"
local infer = require "gal.infer"
local metrics = require "gal.metrics"
local train = require "gal.train"
local here = arg[0]:match "^(.*)/" or "."
local report = dofile(here .. "/report.lua")

local o = require("gal.cli").options {
  { "catalog", type = "string", required = true, help = "catalog.csv of ECO/RESOLVE" },
  { "out", "runs/acceptance/eco_resolve", "folder for the fits" },
  { "golden", here .. "/../golden/eco_sbi.csv", "log q of sbi's FMPE for each row" },
  { "hidden", { 256, 256, 256 }, "widths of the velocity net's layers" },
  { "lr", 1e-3, "learning rate; of 5e-4, 1e-3 and 2e-3 the best on validation rows" },
  { "weight_decay", 0.01, "weight decay; .1 and 1 were worse on validation rows" },
  { "epochs", 1000, "epochs at most" },
  {
    "patience", 60,
    "epochs without a better validation loss: at 18 steps an epoch the averaged weights look back over fifty",
  },
  { "seed", 0, "of weights, batches and noise" },
  { "record", true, "append the result to RESULTS.md" },
}
local result = report.new("eco_resolve", o.record)

local survey = require("gal.data").open(o.catalog)
print(survey:describe())
local dropped = survey.dropped[1]
local as_expected = #survey.dropped == 1 and dropped.reason == "without d4000_n"
result:bar("rows dropped that are not the 760 without d4000_n",
  as_expected and math.abs(dropped.count - 760) or survey.total, 0)

-- A trained flow, from the file that an earlier start left or fitted now; valid as in gal.train. A fit is
-- seconds and its epochs are milliseconds, so that a run's folder, which is synced to the disk at each epoch,
-- would take most of the time.
local function fit(name, training, valid)
  local path = folder.make(o.out) .. "/" .. name .. ".safetensors"
  if folder.kind(path) then return require("gal.flow").load(path) end
  local flow = require("gal.flow").new {
    theta = survey.names.theta, context = survey.names.context, hidden = o.hidden, rng = gal.rng(o.seed),
  }
  local run = train.fit {
    flow = flow, data = training, valid = valid, lr = o.lr, weight_decay = o.weight_decay, epochs = o.epochs,
    patience = o.patience, seed = o.seed, progress = false,
  }
  print(name .. ": " .. train.describe(run))
  flow.notes = survey:choices()
  flow:save(path)
  return flow
end

local flow, test = fit("split", survey:split "train", survey:split "valid"), survey:split "test"
local prior = require("gal.stats.prior").fit(survey:split("train").theta)
local summary = metrics.summary(infer.score(flow, test, { prior = prior, n = 100, steps = 30 }))
print(("%d held-out galaxies, nats:"):format(#test.ids))
print(metrics.table(summary))
result:least("low end of held-out mean Delta log p", summary.delta_log_p.low, 0)

-- {row in the file, from 0 = {fold, log q by FMPE's defaults, log q with compose_standardization}}
local golden, rows, columns = {}, gal.table(o.golden), {}
for _, name in ipairs { "row", "fold", "log_q_default", "log_q_compose" } do
  columns[name] = rows:column(name):totable()
end
for k = 1, rows.rows do
  golden[columns.row[k]] = { columns.fold[k], columns.log_q_default[k], columns.log_q_compose[k] }
end

local all, above = {}, { {}, {} }
for i = 0, 4 do
  local rest, held = survey:fold(i, 5)
  local fold = fit("fold" .. i, rest, 0.1)
  for k, q in ipairs(infer.score(fold, held, { steps = 50 }).log_q) do
    local entry = golden[held.rows[k] - 1]
    if not entry or entry[1] ~= i then
      error(("row %d is not in fold %d of %s"):format(held.rows[k] - 1, i, o.golden), 0)
    end
    all[#all + 1] = q
    for j = 1, 2 do above[j][#all] = q - entry[j + 1] end
  end
end
local q = metrics.bootstrap(all)
print(("five folds, %d galaxies: mean log q %.3f (%.3f to %.3f) nats"):format(#all, q.mean, q.low, q.high))
for j, name in ipairs { "FMPE's defaults", "compose_standardization" } do
  local d = metrics.bootstrap(above[j])
  print(("less that of sbi with %s: %+.3f (%+.3f to %+.3f)"):format(name, d.mean, d.low, d.high))
  result:least("mean log q less sbi's with " .. name, d.mean, 0)
end
result:finish()
