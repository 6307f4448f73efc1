-- Acceptance: what the image model's gain over photometry comes from. 6,000 mock galaxies to train on, a
-- tenth of which validate, and 3,000 others to test on; 64 x 64 crops, half the channels, the quickstart's
-- training. One survey with all that an image tells, and the same galaxies with one coupling after the other
-- off, and with all six off: theta and photometry are the same bits, which is checked, so that gains and
-- their differences are paired by galaxy, and photometry is trained once. Asked for:
-- - trained and tested on images exchanged between galaxies of one magnitude and colour, the model gains at
--   most .05 nats: nothing but the images' own content makes the gain. The cells are --slices slices of r
--   times as many of g - r in each, of equal numbers; training, validation and test rows are exchanged each
--   among themselves;
-- - exchanged at test time only, log p falls, even below photometry's: the whole 95 % interval of that gain
--   is below 0;
-- - without clumps the gain is lower: the whole interval of the difference is above 0.
-- Without bars: the other couplings, and the full survey trained from another seed, which says what a
-- difference between two trainings is worth.
--
-- usage: galrun tests/acceptance/image_source.lua [--out runs/acceptance/image_source] [--no-more] [--tiny]
-- With --no-more 18 minutes on two cores of a Xeon; goes on where it was stopped.
local gal = require "gal"
local cli = require "gal.cli"
local exchange = require "gal.stats.exchange"
local data = require "gal.data"
local infer = require "gal.infer"
local metrics = require "gal.metrics"
local mock = require "gal.mock"
local nn = require "gal.nn"
local train = require "gal.train"
local report = dofile((arg[0]:match "^(.*)/" or ".") .. "/report.lua")

local o = cli.options {
  out = "runs/acceptance/image_source", galaxies = 6000, slices = { 10, "of r, and of g - r in each" },
  epochs = 60, lr = 1.5e-3, photometry_epochs = 120, seed = 1,
  channels = { { 16, 32, 64, 128 }, "of the encoder" },
  more = { true, "bt, all six and another seed too: three trainings more" },
  record = { true, "append the result to RESULTS.md" },
  tiny = { false, "seconds of everything, to see that it works; the numbers mean nothing" },
}
if o.tiny then
  o.galaxies, o.slices, o.epochs, o.photometry_epochs, o.record = 240, 3, 2, 2, false
  o.channels = { 4, 4, 4, 4 }
end

local SURVEY = 21 -- seed
local COLUMNS = { "modelMag_r", { "modelMag_g", "modelMag_r" } }

-- The galaxies of the survey with these couplings off, as {train, valid, test}.
local function open(name, without)
  local home = o.out .. "/survey_" .. name
  mock.make { out = home, n = math.ceil(1.5 * o.galaxies), seed = SURVEY, without = without }
  local rest, test = data.open(home, { images = { crop = 64 } }):fold(0, 3)
  local train, valid = rest:fold(0, 10)
  return { train = train, valid = valid, test = test }
end

local function each(parts, fn)
  local result = {}
  for _, name in ipairs { "train", "valid", "test" } do result[name] = fn(parts[name], name) end
  return result
end

local full = open("full", {})
local blind = each(full, function(part) return part:blind() end)

-- Raises where the parts differ from the full survey's in anything but images.
local function same_but_images(name, parts)
  each(parts, function(part, which)
    local own = full[which]
    local same = table.concat(part.ids, " ") == table.concat(own.ids, " ")
    for _, column in ipairs { "theta", "context" } do
      same = same and part[column]:eq(own[column]):min():item() == 1
    end
    if not same then
      error(("the survey without %s has other %s galaxies than the full one"):format(name, which), 0)
    end
  end)
  return parts
end

local function fit(name, parts, seed)
  print(("\n%s: %d galaxies to train on, %d to validate, %d to test on"):format(name, #parts.train.ids,
    #parts.valid.ids, #parts.test.ids))
  local options = {
    out = o.out .. "/" .. name, valid = parts.valid, seed = seed or o.seed, epochs = o.photometry_epochs,
    lr = 1e-3,
  }
  if parts.train.images then
    options.encoder = nn.galaxy_cnn { channels = o.channels, rng = gal.rng(options.seed) }
    options.epochs, options.lr = o.epochs, o.lr
    options.draws, options.augment, options.weight_decay = 8, true, 0.1
  end
  options.preset = "paper"
  local run = train.quick(parts.train, options)
  print(("kept: epoch %d, validation loss %.4f"):format(run.best_epoch, run.best_loss))
  return run.flow
end

-- log p of each test galaxy, a list.
local function score(name, flow, part)
  local found = infer.score(flow, part)
  if found.warning then print(name .. ": " .. found.warning) end
  return found.log_q
end

-- a - b galaxy by galaxy: mean and 95 % interval.
local function difference(a, b)
  local list = {}
  for k = 1, #a do list[k] = a[k] - b[k] end
  return metrics.bootstrap(list, { seed = o.seed })
end

local function interval(d) return ("%.3f (%.3f to %.3f)"):format(d.mean, d.low, d.high) end

local photometry = score("photometry", fit("photometry", blind), blind.test)
local rng = gal.rng(SURVEY)
local exchanged = each(full, function(part)
  return exchange.exchanged(part, COLUMNS, { o.slices, o.slices }, rng)
end)

local rows, found = {}, {}
local function entry(key, label, log_p)
  local gain, less = difference(log_p, photometry), found.full and difference(found.full.log_p, log_p)
  found[key] = { log_p = log_p, gain = gain, less = less }
  rows[#rows + 1] = {
    label, ("%.3f"):format(gain.mean), ("%.3f to %.3f"):format(gain.low, gain.high),
    less and ("%+.3f"):format(less.mean) or "", less and ("%.3f to %.3f"):format(less.low, less.high) or "",
  }
  print(("%s: gain %s"):format(label, interval(gain)))
end

local flow = fit("full", full)
entry("full", "all that images tell", score("full", flow, full.test))
entry("test", "exchanged at test only", score("exchanged at test only", flow, exchanged.test))
flow = fit("exchanged", exchanged)
entry("exchanged", "exchanged in training and test", score("exchanged", flow, exchanged.test))
local function without(name, couplings)
  local parts = same_but_images(name, open("without_" .. name, couplings))
  entry(name, "without " .. name:gsub("_", " "), score(name, fit("without_" .. name, parts), parts.test))
end
for _, name in ipairs { "clumps", "inclination", "size", "gradient", "bulge_colour" } do
  without(name, { name })
end
if o.more then
  without("bt", { "bt" })
  without("all_six", mock.couplings)
  flow = fit("full_again", full, o.seed + 1)
  entry("seed", "all, trained from another seed", score("another seed", flow, full.test))
end

print(([[

Mean log p of %d test galaxies less that of the photometry model, and how much less than with all that
images tell; nats, 95 %% of resampled galaxies:
]]):format(#full.test.ids))
print(cli.table(rows, { "images", "gain", "interval", "all less this", "interval" }))
if o.more then
  local apart = math.abs(found.seed.less.mean)
  print(("Two trainings of the same images differ by %.3f nats: read differences beside that."):format(apart))
end

local r = report.new("image_source", o.record)
local gain, tested, less = found.exchanged.gain, found.test.gain, found.clumps.less
local label = "exchanged in training and test: gain, nats (%.3f to %.3f)"
r:bar(label:format(gain.low, gain.high), gain.mean, 0.05)
r:bar(("exchanged at test only, gain %s: upper end"):format(interval(tested)), tested.high, 0)
r:least(("full less without clumps %s: lower end"):format(interval(less)), less.low, 0)
r:figure("gain in full " .. interval(found.full.gain))
for _, name in ipairs { "inclination", "size", "gradient", "bulge_colour", "bt", "all_six" } do
  if found[name] then r:figure(("less without %s %s"):format(name, interval(found[name].less))) end
end
if found.seed then r:figure("less from another seed " .. interval(found.seed.less)) end
r:finish()
