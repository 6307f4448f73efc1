-- train/recipe: what experiments and acceptance runs add to train.fit: a flow made and trained in one call,
-- and the sentences at the end of a training.
local arguments = require "gal.base.options"
local errors = require "gal.base.errors"
local floors = require "gal.flow.floor"
local gal = require "gal"
local path_cost = require "gal.flow.path_cost"
local settings = require "gal.train.settings"
local units = require "gal.flow.units"

local recipe = {}

local OPTIONS = { "encoder", "hidden" }
for _, name in ipairs(settings.OPTIONS) do OPTIONS[#OPTIONS + 1] = name end

--- train.quick(part, {epochs =, lr =, out = nil, seed = 0, encoder = nil, hidden = nil, …}): makes a flow
-- for the galaxies of a part of a survey (gal.data), trains it, and returns what train.fit returns. The flow
-- is p(theta | context) of a part without images (part:blind()) and p(theta | context, image) of one with
-- images, which needs an encoder; with augment = true it is symmetric. hidden is flow.new's. The rate falls
-- to 0 over all the epochs; where `epochs` says how many, there is no early stopping. A run that was stopped
-- goes on in `out`. seed also draws the weights. Other options are train.fit's.
function recipe.quick(part, options)
  errors.list("quick", "part", part, "a part of a survey (gal.data)")
  errors.list("quick", "part.names", part.names, "the names of a survey's columns")
  options = arguments.known("quick", options, OPTIONS)
  local o = {}
  for key, value in pairs(options) do o[key] = value end
  o.flow = require("gal.flow").new{
    theta = part.names.theta, context = part.names.context, image = part.images and part.images.image,
    encoder = options.encoder, symmetric = options.augment, hidden = options.hidden,
    rng = gal.rng(options.seed or 0),
  }
  o.flow.notes = part.path and part:choices()
  o.encoder, o.hidden = nil, nil
  o.data, o.schedule, o.resume, o.patience = part, "cosine", true, options.epochs
  return require("gal.train").fit(o)
end

--- train.describe(run): how a training ended, in a sentence or two, of each member of an ensemble; run is
-- what train.fit, train.ensemble or gal.open returned.
function recipe.describe(run)
  errors.list("describe", "run", run, "what train.fit returned")
  if type(run.members) == "table" then
    local lines = {}
    for k, member in ipairs(run.members) do
      lines[k] = ("member %d: %s"):format(k, recipe.describe(member):gsub("\n", "\n  "))
    end
    return table.concat(lines, "\n")
  end
  errors.list("describe", "run.history", run.history)
  if not run.best_epoch then return "stopped before the first epoch was over" end
  local first, last = run.history[1], run.history[#run.history]
  local validated = last.valid_loss ~= nil
  local best = validated and "best validation loss %.4f in epoch %d"
    or "no validation; training loss %.4f in epoch %d"
  local stopped = run.stopped and "; stopped by " .. run.stopped or ""
  local lines = { best:format(run.best_loss, run.best_epoch) .. stopped }
  if validated and run.stopped == "epochs" and run.best_epoch > 0.9 * #run.history then
    lines[2] = first.lr == last.lr
        and "the validation loss was still falling: resumed with more epochs, it goes on from here"
      or ("the validation loss fell to the end: another run with more epochs than %d may find a smaller one")
        :format(#run.history)
  end
  local bent = run.flow and units.bent(run.flow) or {}
  if #bent > 0 then
    lines[#lines + 1] = ("robust scale, far values as their logarithms, of %d of %d columns: %s"):format(
      #bent, run.flow.d + run.flow.c, table.concat(bent, ", "))
  end
  if run.floor ~= nil then lines[#lines + 1] = floors.words(run.floor) end
  lines[#lines + 1] = run.flow and path_cost.words(run.path_cost, run.flow.sigma)
  return table.concat(lines, "\n")
end

return recipe
