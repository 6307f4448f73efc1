-- The first thing to run, a few minutes on two cores without a network: makes a mock survey of galaxies with
-- ugriz magnitudes and cutouts, trains two models on it, one that sees the magnitudes and one that sees the
-- image too, and shows what the images add, in a table and a picture. To be quick, everything is smaller than
-- for the paper's model: 6,000 galaxies, the central 64 x 64 pixels, half the channels, fewer epochs; the
-- rest are the defaults. Stopped, the same command goes on where it was; with more galaxies it adds to the
-- survey that is there.

local cli = require "gal.cli"
local o = cli.options{
  {
    "out", type = "string",
    help = "folder for the survey and the runs; a second start goes on from there; default: runs/quickstart, "
      .. "with --tiny runs/quickstart-tiny",
  },
  {
    "galaxies", 6000, "galaxies to train on; half as many more are tested on, and eight of those are shown",
    type = "integer", least = 16, needs = "tiny=false",
  },
  { "epochs", 60, "epochs of the image model", type = "integer", least = 1, needs = "tiny=false" },
  {
    "photometry-epochs", type = "integer", least = 1, needs = "tiny=false",
    help = "epochs of the photometry model; default: by the number of galaxies, 200 of 6000",
  },
  { "seed", 1, "seed of the survey, the weights and the noise" },
  { "tiny", false, "a few seconds of everything, to see that it works; its numbers mean nothing" },
}
local gal = require "gal"
local calibration = require "gal.calibration"
local compare = require "gal.stats.compare"
local infer = require "gal.infer"
local json = require "gal.base.json"
local metrics = require "gal.metrics"
local nn = require "gal.nn"
local path = require "gal.base.path"
local plot = require "gal.plot"
local text = require "gal.base.text"
local train = require "gal.train"

local out = o.out or o.tiny and "runs/quickstart-tiny" or "runs/quickstart"
local galaxies, epochs, photometry_epochs = o.galaxies, o.epochs, o.photometry_epochs
local channels, hidden = { 16, 32, 64, 128 }, { 256, 256, 256 }
if o.tiny then
  galaxies, epochs, photometry_epochs, channels, hidden = 240, 2, 2, { 4, 4, 4, 4 }, { 16, 16 }
end

print "1. A mock survey: galaxies, their light in five bands, and their pictures.\n"
local home = out .. "/survey"
-- A survey that is there grows, or is used in part: galaxy k of a seed is the same in all. The models'
-- folders name their number of galaxies.
local n, there = math.ceil(1.5 * galaxies), path.read(home .. "/survey.json")
local made = there and json.decode(there).n or 0
require("gal.mock").make{ out = home, n = math.max(n, made), seed = o.seed }
local survey, first = require("gal.data").open(home, { images = { crop = 64 } }), {}
for k = 1, n do first[k] = k end
local known, test = survey:select(first):fold(0, 3)
local function folder(model) return ("%s/%s-%d"):format(out, model, galaxies) end
cli.say(("%d galaxies to train on, of which a tenth decides which epoch is kept; %d others to test on")
  :format(#known.ids, #test.ids))

print "\n2. The photometry model: p(properties | magnitudes).\n"
local photometry = train.quick(known:blind(), {
  out = folder "photometry", seed = o.seed, epochs = photometry_epochs, hidden = hidden,
}).flow

print "\n3. The image model: p(properties | magnitudes, image).\n"
local encoder = nn.galaxy_cnn{ channels = channels, rng = gal.rng(o.seed) }
local image = train.quick(known, {
  out = folder "image", seed = o.seed, epochs = epochs, encoder = encoder, augment = true, hidden = hidden,
}).flow

print(("\n4. Both on the %d galaxies that neither has seen.\n"):format(#test.ids))
local prior = require("gal.stats.prior").fit(known.theta)
local function score(label, flow)
  return infer.score(flow, test, { prior = prior, n = 19, seed = o.seed, label = label })
end
local by_image, by_photometry = score("image", image), score("photometry", photometry)
local scores = compare.scores(by_image, by_photometry)
local distances = compare.wasserstein(test.theta, by_image.samples, by_photometry.samples, {
  left_out = compare.left_out(by_image, by_photometry),
})
print ""
print(compare.table(scores, distances, survey.names.theta, { "image", "photometry" }))
print [[
Delta log p: how much more probable a galaxy's properties are by its posterior
than by the survey as a whole. (95 %): over resampled galaxies; higher: for how
many the image's is. W1: Wasserstein-1 between the truth and the posteriors'
means (above 0 for any posterior, as means shrink), or all their draws.]]

-- Posteriors that claim far more than they earn say nothing about the image.
local gain, excess = scores.delta_log_p, scores.excess
local claimed = math.abs(excess.a) > math.abs(excess.b) and excess.a or excess.b
local words = ("The image adds %.2f nats (%.2f to %.2f) to what the magnitudes tell."):format(gain.mean,
  gain.low, gain.high)
if math.abs(claimed) > 1 then
  words = ("D_KL and Delta log p are %.1f nats apart, so these posteriors are far from right, and what the "
    .. "image adds can't be said: more --galaxies and --epochs%s."):format(math.abs(claimed),
    o.tiny and ", without --tiny" or "")
end
print("\n" .. table.concat(text.filled(words, 80), "\n"))

-- If the posteriors are right, each galaxy's truth is one more of its draws; fewer than 100 galaxies can't
-- tell.
for _, of in ipairs{ { "image and magnitudes", by_image }, { "magnitudes alone", by_photometry } } do
  local label, found = unpack(of)
  if #test.ids - #found.left_out < 100 then break end
  local verdict = calibration.test(test.theta, found.samples, {
    log_q = found.log_q_draws, log_q_true = gal.tensor(found.log_q), context = test.context,
    names = survey.names.theta, context_names = survey.names.context, left_out = found.left_out,
  })
  local words = ("\nPosteriors from %s: %s (p = %.2f)."):format(label, verdict.verdict, verdict.p)
  print(table.concat(text.filled(words, 80), "\n"))
end

-- Eight of them: the cutout, and beneath it what each model says of two of its properties.
local X, Y, SHOWN = 2, 5, 8 -- log SFR and A_V: dust is what an inclined disc shows
local some = test:thin(SHOWN)
local draws = {
  image:sample(some:seen(), { n = 2000, steps = "auto" }),
  photometry:sample(some.context, { n = 2000, steps = "auto" }),
}
local ranges = {}
for _, i in ipairs{ X, Y } do
  ranges[i] = metrics.quantile(draws[2]:select(3, i):reshape{ -1 }, { 0.001, 0.999 })
end

local function cutout(k)
  local pixels = some.images:batch(k, 1):select(1, 1)
  return plot.panel{ plot.picture(pixels), title = "galaxy " .. some.ids[k] }
end

local function posterior(k)
  local panel = {
    x = k > SHOWN / 2 and plot.label_of(image.theta[X]) or nil,
    y = k % 4 == 1 and plot.label_of(image.theta[Y]) or nil, xrange = ranges[X], yrange = ranges[Y],
  }
  for m, colour in ipairs{ "#D55E00", "#0072B2" } do
    local own = draws[m]:select(1, k)
    panel[m] = plot.contours(own:select(2, X), own:select(2, Y), {
      colour = colour, xrange = ranges[X], yrange = ranges[Y], width = 1.8,
    })
  end
  local truth = some.theta:select(1, k):totable()
  panel[3] = plot.points({ truth[X] }, { truth[Y] }, { colour = "#000000", size = 1.2 })
  return plot.panel(panel)
end

local panels = {}
for first = 1, SHOWN, 4 do
  for k = first, first + 3 do panels[#panels + 1] = cutout(k) end
  for k = first, first + 3 do panels[#panels + 1] = posterior(k) end
end
local picture = plot.figure(out .. "/posteriors.png", {
  panels = panels, columns = 4, width = 1280, height = 1280,
  title = "Eight galaxies: 68 and 95 % of the posterior from image and magnitudes (orange) and from "
    .. "magnitudes alone (blue), and the truth (dot)",
})
print(([[

drawn: %s

Next, your own galaxies. Learn from those whose properties are known, see
whether the posteriors can be believed, and draw them for others:
  galrun experiments/train_photometry.lua --survey KNOWN.csv --out runs/mine
  galrun experiments/evaluate.lua runs/mine
  galrun experiments/sample.lua runs/mine --survey NEW.csv --out draws
train_image.lua in the place of train_photometry.lua learns from cutouts, too;
--help behind each says which columns a table needs.]]):format(picture))
