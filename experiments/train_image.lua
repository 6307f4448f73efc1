-- Trains the image model of arXiv 2512.05078: the posterior of five properties of each galaxy given its
-- cutout, and its ugriz magnitudes beside it. The survey is a folder: catalog.fits or catalog.csv under SDSS
-- column names, and cutouts/<objID>.jpg (or .png, or .fits of any bands: lua/IMAGES.md), square and all of
-- one size. They are decoded once, into the folder `decoded` beside the run, for all runs there. Galaxies
-- without a readable cutout are dropped and counted.

local cli = require "gal.cli"
local data = require "gal.data"
local o = cli.options{
  { "survey", "survey", "folder to train on" },
  { "out", "runs/image", "folder for the run" },
  cli.common{ "table", "theta" },
  {
    "photometry", data.context,
    "what to infer them from beside the image, columns of the table; none: images alone",
  },
  cli.common{
    "sample", "missing", "missing_value", "dereddened", "ab_offsets", "cutouts",
    missing = {
      "drop", "rows without all of the photometry: drop them, or fill the gaps, marked by further columns",
    },
  },
  {
    "channels", { 32, 64, 128, 256 }, "channels of the encoder's blocks, each of which halves the image",
    type = "integers", least = 1,
  },
  {
    "augment", true,
    "flip and turn the images by quarters, and average over the eight ways that one can lie when it is "
      .. "evaluated: a galaxy has no up",
  },
  cli.common{
    "network", "training",
    draws = { 8, "draws of time and noise for each image and step: the encoder runs once for all of them" },
    seed = { 0, "seed of the weights, the batches, the turns and the noise" },
  },
  cli.common{ "ensemble", "labels" },
}
local gal = require "gal"
local nn = require "gal.nn"
local train = require "gal.train"

for _, name in ipairs(o.photometry) do
  if name == "none" and #o.photometry > 1 then
    cli.refuse "--photometry has none beside other columns, expected one or the other"
  end
end

local before = train.expect{
  out = o.out, resume = o.resume, precision = o.precision, members = o.ensemble,
}

-- Refuses images of so many pixels a side that don't outlast the encoder's blocks.
local function check_side(side)
  local least = 2 ^ #o.channels
  if side >= least then return end
  cli.refuse("images of %d x %d pixels are too small for the %d blocks of --channels, each of which halves "
    .. "them; expected at least %d x %d: see --crop, --bin and --resize", side, side, #o.channels, least,
    least)
end
if o.crop > 0 then check_side(math.floor(o.crop / o.bin)) end -- before all cutouts are decoded
local survey = data.open(o.survey, cli.values(o, {
  "table", "theta", "sample", "missing", "missing_value", "dereddened", "ab_offsets",
}, {
  like = before,
  context = o.photometry[1] == "none" and {} or o.photometry,
  images = cli.values(o, { "cutouts" }, { beside = o.out }),
}))
cli.say(survey:describe())
check_side(survey.images.image[1])

local notes = survey:choices()
if o.label_errors then
  notes.label_errors = require("gal.infer").label_errors(survey:split "train", o.label_errors)
end
notes.labels = o.labels
local function flow_of(seed)
  local rng = gal.rng(seed)
  local encoder = nn.galaxy_cnn{ channels = o.channels, inputs = survey.images.image[3], rng = rng }
  local flow = require("gal.flow").new{
    theta = survey.names.theta, context = survey.context and survey.names.context or 0,
    image = survey.images.image, encoder = encoder,
    symmetric = o.augment, hidden = o.hidden, sigma = o.sigma, rng = rng,
  }
  flow.notes = notes
  return flow
end
local run = train.ensemble(cli.values(o, { "training" }, {
  members = o.ensemble, make = flow_of, each = cli.member(o), data = survey:split "train",
  valid = survey:split "valid", test = survey:split "test", out = o.out, augment = o.augment,
}))

cli.say(train.describe(run))
print(("the run is in %s; how good its posteriors are:\n  galrun experiments/evaluate.lua %s"):format(
  o.out, o.out))
