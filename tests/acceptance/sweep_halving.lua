-- Acceptance: successive halving beside the full sweep of the same trials, means over three seeds.
-- Photometry, 27 trials of 81 epochs: at most 1/5 of the full sweep's epochs, and its best trial within .01
-- nats (log p of the validation galaxies) of the full sweep's best. --images: 12 trials of 27 epochs on
-- small cutouts: 1/3 and .03. Batches are alike: an epoch of larger ones has fewer steps, so that few epochs
-- favour small ones. With 64, 128 and 256 among the settings the best was .0148 nats below, at .138 of the
-- epochs.
--
-- usage: galrun tests/acceptance/sweep_halving.lua [--images] [--workers 2]
--   [--out runs/acceptance/sweep_halving]
-- Goes on where it was stopped.
local cli = require "gal.cli"
local mock = require "gal.mock"
local sweep = require "gal.sweep"
local report = dofile(arg[0]:match "^(.*)/" .. "/report.lua")

local o = cli.options{
  out = "runs/acceptance/sweep_halving", galaxies = 8000, seeds = 3, workers = 2,
  images = { false, "the image model in place of photometry" },
  record = { true, "append the result to RESULTS.md" },
}

local PHOTOMETRY = {
  experiment = "train_photometry", trials = 27, least = 3, share = 1 / 5, nats = 0.01,
  space = {
    preset = "paper", epochs = 81, patience = 81, lr = sweep.log_range(3e-4, 1e-2),
    hidden = sweep.choice{ { 64, 64 }, { 128, 128 }, { 128, 128, 128 } }, sigma = sweep.range(0.01, 0.1),
    batch = 128, weight_decay = sweep.log_range(1e-3, 1e-1),
  },
}
local IMAGES = {
  experiment = "train_image", trials = 12, least = 3, share = 1 / 3, nats = 0.03,
  space = {
    preset = "paper", epochs = 27, patience = 27, crop = 64, bin = 2, channels = { 8, 16, 32 },
    lr = sweep.log_range(3e-4, 1e-2), hidden = sweep.choice{ { 64, 64 }, { 128, 128 } },
    weight_decay = sweep.log_range(1e-3, 1e-1),
  },
}
local kind = o.images and IMAGES or PHOTOMETRY
local survey = ("%s/survey-%d"):format(o.out, o.galaxies)
mock.make{ out = survey, n = o.galaxies, seed = 21, cutouts = o.images }
kind.space.survey = require("gal.base.path").absolute(survey)

-- The sweep of that seed, halved or full, run to its end: its results, and the epochs that it trained.
local function ran(seed, halving)
  local name = ("%s-%s-%d"):format(kind.experiment, halving and "halved" or "full", seed)
  kind.space.seed = seed
  local s = sweep.plan{
    out = o.out .. "/" .. name, experiment = kind.experiment, trials = kind.trials, seed = seed,
    halving = halving, least = halving and kind.least or nil, space = kind.space,
  }
  local found, epochs = sweep.run(s, { workers = o.workers }), 0
  for _, row in ipairs(found.rows) do epochs = epochs + (row.epochs or 0) end
  local best = found.best
  print(("%s: %d epochs, best %s with %.4f nats"):format(name, epochs, best.trial.name, best.mean))
  return found, epochs
end

local share, less = 0, 0
for seed = 1, o.seeds do
  local full, all = ran(seed, false)
  local halved, some = ran(seed, true)
  share, less = share + some / all / o.seeds, less + (full.best.mean - halved.best.mean) / o.seeds
end
local r = report.new(o.images and "sweep_halving_images" or "sweep_halving", o.record)
r:bar("epochs, share of the full sweep's", share, kind.share)
r:bar("log p of the best, nats below the full sweep's", less, kind.nats)
r:finish()
