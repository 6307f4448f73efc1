-- What a step's images cost: steps of the image model on images that the loader reads from a survey's
-- cutouts.npy, and on the same images resident, with crops and turns, against the same steps on one batch
-- that lies ready in memory, interleaved.
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
local check = require("gal.base.errors").check
local gal = require "gal"
local nn = require "gal.nn"
local optim = require "gal.optim"
local step = require "gal.train.step"

local core = require "gal.tensor"
local BATCH = 64
local survey = require("gal.data").open(o.survey, { images = { crop = o.crop } })

-- kind: "loader", "resident", or "cached": one batch, which lies ready.
local function stepper(kind)
  local rng = gal.rng(1)
  local flow = require("gal.flow").new{ theta = survey.names.theta, context = survey.names.context,
    image = survey.images.image, encoder = nn.galaxy_cnn{ channels = o.channels, rng = rng }, rng = rng }
  flow:standardise(survey.theta, survey.context, survey.images)
  local rows = { n = #survey.ids, theta = (survey.theta - flow.scale.theta_mean) / flow.scale.theta_std,
    seen = flow:standard(survey.context), images = survey.images }
  local s = step.stepper(flow, optim.adamw(flow:parameters(), { lr = 1e-4, average = 0.999 }), rows,
    { batch = BATCH, draws = 8, seed = 1, augment = true, precision = o.precision, recorded = true,
      resident = kind == "resident" })
  if kind == "cached" then
    core.assign(s.source.images, survey.images:batch(1, BATCH))
    s.source.loader = { start = function() end, take = function() end }
  end
  s:start_epoch()
  s:run(2)
  return s
end

local function seconds(s)
  local before = C.gal_now()
  s:run(o.steps)
  check(C.gal_device_wait(gal.device()))
  return (C.gal_now() - before) / o.steps
end
local function median(list)
  table.sort(list)
  return list[math.ceil(#list / 2)]
end

local KINDS = { "loader", "resident", "cached" }
local steppers, took, ratio = {}, {}, { loader = {}, resident = {} }
for _, kind in ipairs(KINDS) do steppers[kind], took[kind] = stepper(kind), {} end
for r = 1, o.rounds do
  for i = 0, 2 do
    local kind = KINDS[(r + i) % 3 + 1]
    took[kind][r] = seconds(steppers[kind])
  end
  for kind, list in pairs(ratio) do list[r] = took[kind][r] / took.cached[r] end
end
print(("%d x %d pixels, channels %s, batch %d, ms a step (medians of %d): loader %.1f, resident %.1f, cached"
  .. " batch %.1f; ratios to it %.3f, %.3f"):format(survey.images.image[1], survey.images.image[2],
    table.concat(o.channels, "-"), BATCH, o.rounds, 1e3 * median(took.loader), 1e3 * median(took.resident),
    1e3 * median(took.cached), median(ratio.loader), median(ratio.resident)))
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
