-- Trains the image model of arXiv 2512.05078: the posterior of five properties of each galaxy given its
-- cutout, and its ugriz magnitudes beside it. The survey is a folder: catalog.fits or catalog.csv under SDSS
-- column names, and cutouts/<objID>.jpg (or .png), square and all of one size. They are decoded once, into
-- cutouts.npy. Galaxies without a readable cutout are dropped and counted.

local cli = require "gal.cli"
local data = require "gal.data"
local o = cli.options{
  { "survey", "survey", "folder to train on" },
  { "out", "runs/image", "folder for the run" },
  { "theta", data.theta, "properties to infer, columns of the table" },
  { "photometry", data.context, "what to infer them from beside the image, columns of the table; none: images alone" },
  { "sample", "none", "none: every complete row; paper: the paper's cuts", choices = { "none", "paper" } },
  { "missing", "drop", "rows without all of the photometry: drop them, or fill it and mask it", choices = { "drop", "mask" } },
  { "dereddened", true, "take each band's Galactic extinction off its magnitude" },
  { "crop", 0, "of each cutout only the central N x N pixels; 0: all of it", type = "integer", least = 0 },
  { "bin", 1, "means over N x N pixels, after the crop", type = "integer", least = 1 },
  { "resize", 0, "scale every cutout to N x N pixels first, where they are not of one size; 0: refuse that", type = "integer", least = 0 },
  { "packed", type = "string", help = "folder for the decoded cutouts; default: the survey's" },
  { "channels", { 32, 64, 128, 256 }, "channels of the encoder's blocks, each of which halves the image", type = "integers", least = 1 },
  { "augment", true, "flip and turn the images by quarters, and average over the eight ways that one can lie when it is evaluated: a galaxy has no up" },
  { "draws", 8, "draws of time and noise for each image and step: the encoder runs once for all of them", type = "integer", least = 1 },
  { "hidden", { 256, 256, 256 }, "widths of the velocity net's layers", type = "integers", least = 1 },
  { "precision", "f32", "of the convolutions while training; bf16 is faster and coarser", choices = { "f32", "bf16" } },
  { "sigma", 0.05, "width of the path, in deviations of each property", least = 0 },
  { "batch", 64, "galaxies a step", type = "integer", least = 1 },
  { "lr", 5e-4, "learning rate of AdamW", above = 0 },
  { "schedule", "constant", "constant, or cosine: the rate falls to 0 over all epochs", choices = { "constant", "cosine" } },
  { "weight_decay", 0.01, "weight decay of AdamW", least = 0 },
  { "epochs", 200, "epochs at most", type = "integer", least = 1 },
  { "patience", 20, "epochs without a better validation loss before it stops", type = "integer", least = 1 },
  { "seed", 0, "of the weights, the batches, the turns and the noise" },
  { "resume", false, "go on with the run in --out" },
}
local gal = require "gal"
local nn = require "gal.nn"

for _, name in ipairs(o.photometry) do
  if name == "none" and #o.photometry > 1 then cli.refuse "--photometry has none beside other columns, expected one or the other" end
end

-- Raises where images of so many pixels a side don't outlast the encoder's blocks.
local function check_side(side)
  if side >= 2 ^ #o.channels then return end
  cli.refuse("images of %d x %d pixels are too small for the %d blocks of --channels, each of which halves them; expected at least %d x %d: see --crop, --bin and --resize",
    side, side, #o.channels, 2 ^ #o.channels, 2 ^ #o.channels)
end
if o.crop > 0 then check_side(math.floor(o.crop / o.bin)) end -- now, and not when all cutouts are decoded
local survey = data.open(o.survey, {
  theta = o.theta, context = o.photometry[1] == "none" and {} or o.photometry, sample = o.sample, missing = o.missing, dereddened = o.dereddened,
  images = { crop = o.crop, bin = o.bin, resize = o.resize, packed = o.packed },
})
print(survey:describe())
check_side(survey.images.image[1])

local rng = gal.rng(o.seed)
local flow = require("gal.flow").new{
  theta = survey.names.theta, context = survey.context and survey.names.context or 0, image = survey.images.image, encoder = nn.galaxy_cnn{ channels = o.channels, rng = rng },
  symmetric = o.augment, hidden = o.hidden, sigma = o.sigma, rng = rng,
}
flow.notes = survey:choices()
local run = require("gal.train").fit{
  flow = flow, data = survey:split "train", valid = survey:split "valid", test = survey:split "test", augment = o.augment, draws = o.draws, precision = o.precision, batch = o.batch, lr = o.lr,
  schedule = o.schedule, weight_decay = o.weight_decay, epochs = o.epochs, patience = o.patience, seed = o.seed, out = o.out, resume = o.resume,
}

print(("best validation loss %.4f in epoch %d; stopped by %s"):format(run.best_loss, run.best_epoch, run.stopped))
if run.stopped == "epochs" and o.schedule == "constant" and run.best_epoch > 0.9 * o.epochs then
  print "the validation loss was still falling: more --epochs with --resume goes on from here"
end
print(("the run is in %s; how good its posteriors are: galrun experiments/evaluate.lua %s"):format(o.out, o.out))
