-- Acceptance: the photometry model on a small real catalogue, the 2,215 star-forming galaxies of ECO and RESOLVE (z = 0.02, not SDSS's pipeline photometry), which the project does
-- not ship. It must say what it drops, gain information on galaxies that it has not seen, and be no worse than sbi's FMPE over the same five folds
-- (golden/eco_sbi.csv, made by golden/eco_sbi.py). Resumable: finished fits in --out are not repeated.

local here = arg[0]:match "^(.*)/[^/]*$" or "."
local o = require("gal.cli").options{
  { "catalog", type = "string", required = true, help = "catalog.csv of ECO/RESOLVE" },
  { "out", "runs/eco_resolve", "folder for the fits" },
  { "golden", here .. "/../golden/eco_sbi.csv", "log q of sbi's FMPE for each row" },
  { "hidden", { 256, 256, 256 }, "widths of the velocity net's layers" },
  { "lr", 5e-4, "learning rate" },
  { "weight_decay", 0.01, "weight decay" },
  { "epochs", 2000, "epochs at most: with 18 steps an epoch the weights' average alone needs fifty to forget its start" },
  { "patience", 100, "epochs without a better validation loss" },
  { "seed", 0, "of weights, batches and noise" },
}
local gal = require "gal"
local folder = require "gal.folder"
local metrics = require "gal.metrics"

local survey = require("gal.data").open(o.catalog)
print(survey:describe())

local missed = 0
local function verdict(met, sentence)
  print(("%s: %s"):format(met and "pass" or "FALLS SHORT", sentence))
  if not met then missed = missed + 1 end
end

-- A fit in a folder of its own; valid as in gal.train.
local function fit(name, training, valid)
  local flow = require("gal.flow").new{ theta = survey.names.theta, context = survey.names.context, hidden = o.hidden, rng = gal.rng(o.seed) }
  flow.notes = survey:choices()
  local run = require("gal.train").fit{
    flow = flow, data = training, valid = valid, lr = o.lr, weight_decay = o.weight_decay, epochs = o.epochs, patience = o.patience, seed = o.seed,
    out = folder.make(o.out) .. "/" .. name, resume = true,
  }
  print(("%s: best validation loss %.4f in epoch %d, stopped by %s"):format(name, run.best_loss, run.best_epoch, run.stopped))
  return flow
end

verdict(survey:losses() == "760 of 2,215 rows dropped: 760 without d4000_n", survey:losses())

local flow, test = fit("split", survey:split "train", survey:split "valid"), survey:split "test"
local found = metrics.information(flow, test.theta, test.context, require("gal.prior").fit(survey:split("train").theta), { n = 200, steps = 50 })
local summary = metrics.summary(found)
verdict(summary.delta_log_p.low > 0, ("%d held-out galaxies: mean Delta log p %.3f (%.3f to %.3f) nats, by the mixture %+.3f; D_KL - Delta log p %.3f (%.3f to %.3f)"):format(
  #test.ids, summary.delta_log_p.mean, summary.delta_log_p.low, summary.delta_log_p.high, summary.delta_log_p.systematic, summary.excess.mean, summary.excess.low,
  summary.excess.high))

-- {row in the file from 0 = {fold, log q by FMPE's defaults, log q with compose_standardization}}
local golden, rows = {}, gal.table(o.golden)
local columns = {}
for _, name in ipairs{ "row", "fold", "log_q_default", "log_q_compose" } do columns[name] = rows:column(name):totable() end
for k = 1, rows.rows do golden[columns.row[k]] = { columns.fold[k], columns.log_q_default[k], columns.log_q_compose[k] } end

local all, above_default, above_compose = {}, {}, {}
for i = 0, 4 do
  local rest, held = survey:fold(i, 5)
  local log_q = fit("fold" .. i, rest, 0.1):log_prob(held.theta, held.context):totable()
  for k, q in ipairs(log_q) do
    local entry = assert(golden[held.rows[k] - 1], "the golden file lacks a row")
    assert(entry[1] == i, "the golden file's folds are others")
    all[#all + 1], above_default[#above_default + 1], above_compose[#above_compose + 1] = q, q - entry[2], q - entry[3]
  end
end
local q = metrics.bootstrap(all)
print(("five folds, %d galaxies: mean log q %.3f (%.3f to %.3f) nats"):format(#all, q.mean, q.low, q.high))
for _, entry in ipairs{ { "FMPE's defaults", above_default }, { "compose_standardization", above_compose } } do
  local d = metrics.bootstrap(entry[2])
  verdict(d.mean >= 0, ("less that of sbi with %s: %+.3f (%+.3f to %+.3f)"):format(entry[1], d.mean, d.low, d.high))
end
os.exit(missed == 0 and 0 or 1)
