-- Acceptance: what images add to photometry on the mock survey, 20,000 galaxies to train on and 5,000 more
-- to test on, 64 x 64 crops, half the channels. Asked for: in mean test log p, image less photometry on
-- the same galaxies, at least .45 nats; calibrated: mean D_KL - Delta log p less the term of the path's
-- width within .1 + 2 standard errors of 0. Printed beside it: photometry trained on 100,000 galaxies, and
-- the Wasserstein distances of both. All are trained with nothing but defaults, the image in its flips and
-- turns; --preset paper is what was trained before there were defaults by the number of rows, with the rates
-- and epochs of then.
--
-- --full: the whole 128 x 128 pixels and the paper's channels; aimed at is .65 nats, and more than the
-- other. (Two encoders that learn faster and then over-fit, validation losses against .6967: a fifth
-- block, .7027, and means over nested central squares in the place of the mean over all pixels, .7087.)
--
-- usage: galrun tests/acceptance/image_gain.lua [--full] [--precision bf16] [--preset paper]
--   [--out runs/acceptance/image_gain]
-- Goes on where it was stopped.
local gal = require "gal"
local cli = require "gal.cli"
local compare = require "gal.stats.compare"
local data = require "gal.data"
local infer = require "gal.infer"
local linalg = require "gal.stats.linalg"
local metrics = require "gal.metrics"
local mock = require "gal.mock"
local nn = require "gal.nn"
local train = require "gal.train"
local report = dofile(arg[0]:match "^(.*)/" .. "/report.lua")

local o = cli.options {
  out = "runs/acceptance/image_gain", galaxies = 20000, tested = 5000, many = 100000, crop = 64,
  channels = { { 16, 32, 64, 128 }, "of the encoder" }, draws = { 50, "draws of each galaxy" }, seed = 1,
  preset = { "auto", "auto, the defaults, or paper", choices = { "auto", "paper" } },
  full = { false, "whole frames, all channels" }, precision = { "f32", "of the convolutions while training" },
  record = { true, "append the result to RESULTS.md" },
}

if o.full then o.crop, o.channels = 0, { 32, 64, 128, 256 } end
local SURVEY, MANY = 11, 12 -- seeds
local total = o.galaxies + o.tested
mock.make { out = o.out .. "/survey", n = total, seed = SURVEY }
local all = data.open(o.out .. "/survey", { images = { crop = o.crop } })
local first, rest = {}, {}
for k = 1, #all.ids do table.insert(k <= o.galaxies and first or rest, k) end
local known, test = all:select(first), all:select(rest)

-- What went with the paper's preset.
local BEFORE = {
  photometry = { lr = 1e-3, epochs = 120 }, photometry_many = { lr = 1e-3, epochs = 60, batch = 256 },
  image = { lr = 3e-3, epochs = 48, draws = 8 },
}

local function fit(name, part, options)
  options.out, options.seed, options.preset = ("%s/%s-%s"):format(o.out, name, o.preset), o.seed, o.preset
  for key, value in pairs(o.preset == "paper" and BEFORE[name] or {}) do options[key] = value end
  return train.quick(part, options).flow
end

local photometry = fit("photometry", known:blind(), {})
local t = mock.galaxies { n = o.many, seed = MANY }
local many = data.arrays(report.columns(t, data.theta), report.columns(t, data.context), all.names)
local more = fit("photometry_many", many, {})
local image = fit("image", known, {
  encoder = nn.galaxy_cnn { channels = o.channels, rng = gal.rng(o.seed) }, augment = true,
  precision = o.precision,
})

local prior = require("gal.stats.prior").fit(known.theta)
local function score(label, flow)
  local found = infer.score(flow, test, { prior = prior, n = o.draws, seed = o.seed, label = label })
  if found.warning then print(label .. ": " .. found.warning) end
  return found
end
local by_image, by_photometry = score("image", image), score("photometry", photometry)
local by_many = score("photometry, 100,000", more)
local pairs_, pairs_many = compare.scores(by_image, by_photometry), compare.scores(by_image, by_many)
local distances = compare.wasserstein(test.theta, by_image.samples, by_photometry.samples)
print(compare.table(pairs_, distances, all.names.theta, { "image", "photometry" }))
local s = pairs_many.delta_log_p
print(("against photometry trained on %d galaxies: %.3f nats (%.3f to %.3f)"):format(o.many, s.mean, s.low,
  s.high))

-- The path's term, averaged over galaxies by their draws' covariances: sample covariances of so few draws are
-- widened by chance alone, so their mean is taken first.
local function path_excess(flow, found)
  local d, sum, rows = #all.names.theta, {}, math.min(1000, #test.ids)
  local standard = (found.samples:narrow(1, 1, rows) - flow.scale.theta_mean) / flow.scale.theta_std
  for k = 1, rows do
    local _, c = linalg.covariance(standard[k]:totable())
    for i = 1, d do
      sum[i] = sum[i] or {}
      for j = 1, d do sum[i][j] = (sum[i][j] or 0) + c[i][j] / rows end
    end
  end
  local _, p = linalg.covariance(((known.theta - flow.scale.theta_mean) / flow.scale.theta_std):totable())
  for i = 1, d do -- from the flow's covariance to the posterior's
    for j = 1, d do sum[i][j] = sum[i][j] * (1 + flow.sigma ^ 2) - (i == j and flow.sigma ^ 2 or 0) end
  end
  return metrics.path_excess(sum, p, flow.sigma)
end

local r = report.new(o.full and "image_gain_full" or "image_gain", o.record)
for _, entry in ipairs { { "image", image, by_image }, { "photometry", photometry, by_photometry } } do
  local name, flow, found = unpack(entry)
  local path = path_excess(flow, found)
  local excess = metrics.summary(found, { seed = o.seed }).excess
  local error_ = excess.deviation / math.sqrt(#test.ids)
  print(("%s: D_KL - Delta log p %.4f +- %.4f, of which the path's width %.4f"):format(name, excess.mean,
    error_, path))
  r:bar(name .. ": |D_KL - Delta log p - path's| - 2 standard errors",
    math.abs(excess.mean - path) - 2 * error_, 0.1)
end
local gain = pairs_.delta_log_p
local label = "image less photometry on %d galaxies, nats (%.3f to %.3f)"
r:least(label:format(#test.ids, gain.low, gain.high), gain.mean, o.full and 0.65 or 0.45)
r:finish()
