-- Trains the photometry model of arXiv 2512.05078: the posterior of five properties of each galaxy given its
-- ugriz magnitudes. The survey is a table (.fits, .csv) or a folder with catalog.fits or catalog.csv, under
-- SDSS column names; any columns may be asked for.

local o = require("gal.cli").options{
  { "survey", "survey", "table or folder to train on" },
  { "out", "runs/photometry", "folder for the run" },
  { "theta", require("gal.data").theta, "properties to infer, columns of the table" },
  { "context", require("gal.data").context, "what to infer them from, columns of the table" },
  { "sample", "none", "none: every complete row; paper: the paper's cuts", choices = { "none", "paper" } },
  { "missing", "drop", "rows without all of the context: drop them, or fill it and mask it", choices = { "drop", "mask" } },
  { "dereddened", true, "take each band's Galactic extinction off its magnitude" },
  { "hidden", { 256, 256, 256 }, "widths of the velocity net's layers", type = "integers", least = 1 },
  { "sigma", 0.05, "width of the path, in deviations of each property", least = 0 },
  { "batch", 64, "galaxies a step", type = "integer", least = 1 },
  { "lr", 5e-4, "learning rate of AdamW", above = 0 },
  { "weight_decay", 0.01, "weight decay of AdamW", least = 0 },
  { "epochs", 200, "epochs at most", type = "integer", least = 1 },
  { "patience", 20, "epochs without a better validation loss before it stops", type = "integer", least = 1 },
  { "seed", 0, "of the weights, the batches and the noise" },
  { "resume", false, "go on with the run in --out" },
}

local survey = require("gal.data").open(o.survey, {
  theta = o.theta, context = o.context, sample = o.sample, missing = o.missing, dereddened = o.dereddened,
})
print(survey:describe())

local flow = require("gal.flow").new{
  theta = survey.names.theta, context = survey.names.context, hidden = o.hidden, sigma = o.sigma, rng = require("gal").rng(o.seed),
}
flow.notes = survey:choices()
local run = require("gal.train").fit{
  flow = flow, data = survey:split "train", valid = survey:split "valid", test = survey:split "test",
  batch = o.batch, lr = o.lr, weight_decay = o.weight_decay, epochs = o.epochs, patience = o.patience, seed = o.seed, out = o.out, resume = o.resume,
}

print(("best validation loss %.4f in epoch %d; stopped by %s"):format(run.best_loss, run.best_epoch, run.stopped))
if run.stopped == "epochs" and run.best_epoch > 0.9 * o.epochs then print "the validation loss was still falling: more --epochs with --resume goes on from here" end
print(("the run is in %s; how good its posteriors are: galrun experiments/evaluate.lua %s"):format(o.out, o.out))
