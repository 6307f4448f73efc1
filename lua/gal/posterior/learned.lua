-- posterior/learned: how a run learned, epoch by epoch: its history as a list, and as a value that prints and
-- shows its learning curve when it is called, run:history().
local figures = require "gal.posterior.figures"
local learning = require "gal.plot.history"
local members = require "gal.flow.members"
local words = require "gal.posterior.words"

local learned = {}

local Curve = {}
Curve.__index = Curve

--- curve:figure(): the learning curve, a figure for gal.show.
function Curve:figure() return figures.marked(learning.figure{ self }, "history") end

local ROWS = 8 -- epochs that are printed

function Curve:__tostring()
  local total, rows, lines = #self.epoch, {}, {}
  if total == 0 then return "No epoch is over yet." end
  for i = 1, math.min(ROWS, total) do
    local k = total <= ROWS and i or math.floor(1 + (i - 1) * (total - 1) / (ROWS - 1) + 0.5)
    local valid = self.valid[k] == self.valid[k] and words.number(self.valid[k]) or ""
    rows[i] = {
      ("%d"):format(self.epoch[k]), words.number(self.train[k]), valid, words.number(self.lr[k]),
    }
  end
  lines[1] = (words.table(rows, { "epoch", "training loss", "validation loss", "rate" }))
  if self.best then
    words.filled(lines, ("Lowest validation loss %s in epoch %d of %d, whose weights count."):format(
      words.number(self.valid[self.best]), self.epoch[self.best], total))
    local before = math.max(1, math.floor(0.8 * total))
    if total > 10 and self.best > before and self.valid[before] - self.valid[self.best] > 1e-3 then
      words.filled(lines, "It was still falling.")
    end
  end
  return table.concat(lines, "\n")
end

require("gal.base.errors").methods(Curve, "a learning curve")

--- learned.curve(history, title): the learning curve of a list of epochs: {epoch, train, valid, lr (lists),
-- best, title}, as gal.train.curve reads it.
function learned.curve(history, title)
  local curve = setmetatable({ epoch = {}, train = {}, valid = {}, lr = {}, title = title }, Curve)
  for k, entry in ipairs(history) do
    curve.epoch[k], curve.train[k], curve.lr[k] = entry.epoch, entry.train_loss, entry.lr
    curve.valid[k] = entry.valid_loss or 0 / 0
    local loss = curve.valid[k]
    if loss == loss and not (curve.best and loss >= curve.valid[curve.best]) then curve.best = k end
  end
  return curve
end

local History = {}
--- run:history(): its learning curve, which prints; run:history():figure() shows it. run.history is the list
-- of epochs, {epoch, train_loss, valid_loss, lr} each.
function History.__call(list) return learned.curve(list) end
History.__tostring = function(list) return tostring(learned.curve(list)) end

--- learned.history(list): fit's list of epochs {epoch, train_loss, valid_loss, lr}, which gives its learning
-- curve when it is called.
function learned.history(list)
  local copy = {}
  for k, entry in ipairs(list) do copy[k] = entry end
  return setmetatable(copy, History)
end

-- ---- of several runs ----

local Curves = {}
Curves.__index = Curves

--- curves:figure(): the learning curves of an ensemble's members, a figure for gal.show.
function Curves:figure() return figures.marked(learning.figure(self), "history") end

function Curves:__tostring()
  local rows = {}
  for k, curve in ipairs(self) do
    rows[k] = { curve.title, ("%d"):format(#curve.epoch), curve.best and words.number(curve.valid[curve.best])
      or "", curve.best and ("%d"):format(curve.epoch[curve.best]) or "" }
  end
  return (words.table(rows, { "member", "epochs", "lowest validation loss", "in epoch" }))
end

require("gal.base.errors").methods(Curves, "the learning curves of an ensemble")

--- learned.histories(folders, read): the history of an ensemble: an empty list, as it has no epochs of its
-- own, which gives its members' learning curves when it is called. read(folder): the epochs of a run.
function learned.histories(folders, read)
  local curves = setmetatable({}, Curves)
  for k, folder in ipairs(folders) do curves[k] = learned.curve((read(folder)), members.name(folder)) end
  return setmetatable({}, {
    __call = function() return curves end, __tostring = function() return tostring(curves) end,
  })
end

return learned
