-- What the loader costs: steps of the image model with it, reading from a survey's cutouts.npy with crops and
-- turns, against the same steps on one batch that lies ready in memory, interleaved.
-- usage: galrun tests/bench/loader.lua SURVEY [--crop 64] [--channels 16,32,64,128]
local cli = require "gal.cli"
local o = cli.options{
  { "survey", type = "string", required = true, positional = true, help = "a survey folder with cutouts" },
  { "crop", 0, "central pixels" },
  { "channels", { 32, 64, 128, 256 }, "channels of the encoder's blocks" },
  { "precision", "f32", "of the convolutions", choices = { "f32", "bf16" } },
  { "rounds", 15, "pairs of measurements" },
  { "steps", 4, "steps in each" },
  { "profile", false, "how long the thread needs for a batch, too" },
}
local C = require("ffi").C
local gal = require "gal"
local nn = require "gal.nn"
local optim = require "gal.optim"
local step = require "gal.train.step"

local core = require "gal.tensor"
local BATCH = 64
local survey = require("gal.data").open(o.survey, { images = { crop = o.crop } })

local function stepper(cached)
  local rng = gal.rng(1)
  local flow = require("gal.flow").new{ theta = survey.names.theta, context = survey.names.context,
    image = survey.images.image, encoder = nn.galaxy_cnn{ channels = o.channels, rng = rng }, rng = rng }
  flow:standardise(survey.theta, survey.context, survey.images)
  local rows = { n = #survey.ids, theta = (survey.theta - flow.scale.theta_mean) / flow.scale.theta_std,
    seen = flow:standard(survey.context), images = survey.images }
  local s = step.stepper(flow, optim.adamw(flow:parameters(), { lr = 1e-4, average = 0.999 }), rows,
    { batch = BATCH, draws = 8, seed = 1, augment = true, precision = o.precision, recorded = true })
  if cached then
    core.assign(s.images, survey.images:narrow(1, 1, BATCH))
    s.loader = { start = function() end, take = function() end }
  end
  s:start_epoch()
  s:run(2)
  return s
end

local function seconds(s)
  local before = C.gal_now()
  s:run(o.steps)
  return (C.gal_now() - before) / o.steps
end
local function median(list)
  table.sort(list)
  return list[math.ceil(#list / 2)]
end

local with, without, ratio, a, b = stepper(false), stepper(true), {}, {}, {}
for r = 1, o.rounds do
  if r % 2 == 0 then
    b[r], a[r] = seconds(without), seconds(with)
  else
    a[r], b[r] = seconds(with), seconds(without)
  end
  ratio[r] = a[r] / b[r]
end
print(("%d x %d pixels, channels %s, batch %d: loader %.1f ms, cached batch %.1f ms a step (medians of %d);"
  .. " ratio %.3f"):format(survey.images.image[1], survey.images.image[2], table.concat(o.channels, "-"),
    BATCH, 1e3 * median(a), 1e3 * median(b), o.rounds, median(ratio)))
if o.profile then
  local positions, turns = {}, {}
  for i = 1, BATCH do positions[i], turns[i] = i, i % 8 end
  local times = {}
  for r = 1, 20 do
    local before = C.gal_now()
    survey.images:read(positions, turns)
    times[r] = C.gal_now() - before
  end
  print(("a batch read and turned: %.2f ms"):format(1e3 * median(times)))
end
