-- train: fits a flow to rows by flow matching with AdamW: batches, validation on fixed draws, early stopping,
-- the averaged weights that are validated and kept, checkpoints. A run and its epochs are in train/run.lua,
-- the step in train/step.lua, the options in train/settings.lua, the forms of rows in train/rows.lua, the
-- files of a run's folder in train/files.lua.
local core = require "gal.tensor"
local default_device = require("gal.base.device").default
local errors = require "gal.base.errors"
local files = require "gal.train.files"
local host = require "gal.base.host"
local members = require "gal.train.members"
local options = require "gal.base.options"
local precisions = require "gal.base.precision"
local recipe = require "gal.train.recipe"
local rows = require "gal.train.rows"
local Run = require "gal.train.run"
local settings = require "gal.train.settings"
local raise = errors.raise

local train = {}

local function refuse_oblong(images)
  if images and images:square() then return end
  local found = images and "images is " .. core.shape_text(images) or "there are no images"
  raise("fit: augment is true, but %s; expected square ones {N, H, H, channels}", found)
end

-- Trains to the end, or to Ctrl-C, after which the last whole epoch counts. Returns what fit returns.
local function trained(run, o)
  local ok, err = pcall(run.train, run)
  if not ok and err ~= errors.interrupted then error(err, 0) end
  if not ok then run:interrupt() end
  local result = require("gal.run").of_fit(run:finish(), o, run.remembered)
  if ok or host.interactive then return result end
  error(errors.interrupted, 0)
end

-- fit with options whose names are known; saved: what a run without a folder goes on from, or nil.
local function fit(o, saved)
  settings.refuse(o)
  local part, valid = rows.split(o.flow, o)
  local s = settings.of(o, part.n, o.preset or o.resume and o.out and files.preset(o.out) or "auto")
  if s.augment then refuse_oblong(part.images) end
  -- A survey's flow says which it is, so that the run is good for questions (gal.run).
  local data = o.data
  if not o.flow.notes and type(data) == "table" and data.path and data.choices then
    o.flow.notes = data:choices()
  end
  local run = Run.new(o.flow, s, part, valid, o, saved)
  local ok, result = pcall(trained, run, o)
  run:close()
  if not ok then error(result, 0) end
  return result
end

--- train.fit{flow =, ...}: trains the flow in place and returns a run (gal.run): {flow, history, best_epoch,
-- best_loss, stopped = "patience" | "epochs" | "interrupt", out}, with its methods, run:posterior(id) and
-- others. The flow then has its best weights; `recorded` is whether its steps could be replayed, and
-- path_cost the least that sigma, the path's width, costs, nats a row, by the validation rows (nil where
-- sigma is 0, or it can't be told).
-- history[i] = {epoch, train_loss, valid_loss, lr}: mean squared errors of the standardised velocity. Rows:
-- theta {N, d}, context {N, c}, images {N, H, W, 3} (a tensor or a set of gal.images, which need not fit in
-- memory) and ids in physical units, or data = a part of gal.data's surveys (or any table with these
-- fields). Options:
--   valid = .1          a fraction of the rows (by a hash of id or row number), row numbers, a data object,
--                       or false: no validation, the last weights are kept
--   preset = "auto"     where no option says it, lr, epochs, patience, draws, weight_decay, decay,
--                       time_power, schedule, floor and scale are by the rows and the net's width
--                       (lua/gal/train/README.md); "paper": arXiv 2512.05078 as it stands, with lr = 5e-4,
--                       epochs = 200, patience = 20, draws = 1, weight_decay = .01, decay = .999,
--                       time_power = 1, a constant rate, floor = "off" and scale = "standard". A run that
--                       is resumed keeps its own
--   batch = 64, seed = 0, lr, weight_decay, epochs
--   patience            epochs without a better validation loss before it stops
--   schedule            "constant", "cosine" (to 0 over all epochs), a schedule of gal.optim, or a function
--                       of the step
--   clip                the largest norm of the gradient; none if nil
--   average = true      validate and keep an exponential moving average of the weights; each step keeps at
--                       most a share `decay` of it; 1: it looks back over a tenth of the steps so far
--   augment = false     true: every image of every epoch in one of its eight flips and quarter turns, drawn
--                       from the run's generator
--   precision = "f32"   or "bf16": products multiply in bfloat16 while it trains (8 bits; sums, weights,
--                       validation and the flow stay float32). On the CPU these are the encoder's
--                       convolutions: about twice as fast where the processor has fast instructions for it;
--                       elsewhere f32, and a notice says so. On a card linear layers, too, and also "tf32"
--                       and "f16"
--   resident            true: the flow's device holds the images; false: a thread reads batches ahead; nil:
--                       true where they are a tensor of that device, or a card has twice their size free. It
--                       changes no bit and is not a setting of the run
--   draws               (t, noise) pairs a row and step: with images the encoder runs once for all of them
--   time_power          times are uniform, the paper's; but in every second draw of a row 1 - u^time_power of
--                       a uniform u, which above 1 is near the data, where narrow posteriors take shape
--   floor               the share of every posterior that is p(theta) of the training rows (flow:floored):
--                       "auto", the one, of at most a fifth, under which the validation rows and a quarter of
--                       an outlier more are most likely; none where 1,000 of them or more are not more likely
--                       with it (of images 500 are looked at: there always is one), or there are fewer than
--                       20; a number; or "off". run.floor is what was found
--   scale               the units that a flow takes its columns in which has none yet: flow:standardise's
--   out, resume         a folder for the run, nil writes nothing; resume = true goes on from its checkpoint,
--                       bit for bit, if there is one
--   test                a data object, which is listed in split.csv and not used otherwise
--   progress = true     the line of gal.cli; false: silent; a function is called with each report
-- Ctrl-C: the last whole epoch is on disk; raises gal.interrupted in a script, and returns the run at the
-- prompt, where run:resume() goes on with it, to the same bits as if it had not stopped.
function train.fit(given)
  local o = options.known("fit", given, settings.OPTIONS)
  if getmetatable(o.flow) == require("gal.flow.ensemble").Ensemble then
    raise "fit: flow is an ensemble, which is not trained as one: each member is a run (train.ensemble)"
  end
  if getmetatable(o.flow) ~= require("gal.flow").Flow then
    raise("fit: flow is %s, expected a flow (gal.flow)", errors.kind(o.flow))
  end
  if type(o.out) ~= "nil" and type(o.out) ~= "string" then
    raise("fit: out is %s, expected the name of a folder", errors.kind(o.out))
  end
  return fit(o)
end

--- train.continued(given, saved, epochs): for run:resume: fit goes on with a run that was stopped, from its
-- folder or, where there is none, from what was saved of its last whole epoch; epochs: how many in all, nil:
-- as before.
function train.continued(given, saved, epochs)
  local o = {}
  for name, value in pairs(given) do o[name] = value end
  o.resume, o.epochs = true, epochs or o.epochs
  return fit(o, saved)
end

--- train.expect{out =, resume =, precision =, device =, members = 1}: raises where fit, or train.ensemble of
-- several members, would refuse these options: for scripts whose rows take long to open, before they do.
-- device: that of the flow, the default one if nil. Returns what the run that would go on, or its first
-- member, says of its survey (data.open's `like`); nil where a new run would begin.
function train.expect(given)
  local o = options.known("expect", given, { "out", "resume", "precision", "device", "members" })
  precisions.check("fit", o.precision, o.device or default_device(), "conv2d")
  local count = options.integer("expect", o, "members", 1, 1)
  if o.out == nil then return nil end
  members.refuse(errors.text("expect", "out", o.out, "the name of a folder"), o.resume, count)
  return members.notes(o.out, count)
end

train.quick, train.describe, train.ensemble = recipe.quick, recipe.describe, members.train

return train
