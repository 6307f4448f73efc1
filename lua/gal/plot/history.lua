-- A figure of learning curves: losses against epochs, and the rate beneath.
local arguments = require "gal.base.options"
local curves = require "gal.plot.curves"
local errors = require "gal.base.errors"
local show = require "gal.plot.show"
local raise = errors.raise

local history = {}

local COLOURS = { "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9" }

-- The range of losses that the frame shows: without those of the first epochs, in which losses fall much
-- further than ever after.
local function range_of(list)
  local low, high = math.huge, -math.huge
  for _, each in ipairs(list) do
    local n = #each.epoch
    for k = 1, n do
      for _, name in ipairs{ "train", "valid" } do
        local v = each[name][k]
        if v - v == 0 then
          low = math.min(low, v)
          if k > 0.05 * n then high = math.max(high, v) end
        end
      end
    end
  end
  if not (low < high) then return nil end
  return { low - 0.08 * (high - low), high + 0.04 * (high - low) }
end

local function check(list)
  errors.list("history", "list", list, "a list of learning curves")
  if #list == 0 then raise "history: list is empty" end
  for k, each in ipairs(list) do
    errors.list("history", ("list[%d]"):format(k), each, "a learning curve (gal.train.curve)")
    for _, name in ipairs{ "epoch", "train", "valid", "lr" } do
      errors.list("history", ("list[%d].%s"):format(k, name), each[name], "a list of numbers")
    end
    if each.title ~= nil then errors.text("history", ("list[%d].title"):format(k), each.title) end
  end
end

-- The values that are finite, with their epochs: two lists.
local function finite(epochs, values)
  local x, y = {}, {}
  for k, v in ipairs(values) do
    if v - v == 0 then x[#x + 1], y[#y + 1] = epochs[k], v end
  end
  return x, y
end

--- history.figure(list[, {size = "column"}]): a figure, for plot.figure(path, figure): of each learning curve
-- of the list (of gal.train.curve, with a title) the training loss, thin and dashed, the validation loss, and
-- a mark at its lowest, whose weights are kept; beneath them the learning rate.
function history.figure(list, given)
  local o = arguments.known("history", given, { "size" })
  check(list)
  local losses = { y = "loss", xtics = true, yrange = range_of(list), frame = "box", ratio = 0.7 }
  local rates = { x = "epoch", y = "learning rate", frame = "box", ratio = 0.28, key = false }
  local several = #list > 1
  for k, each in ipairs(list) do
    local colour = COLOURS[(k - 1) % #COLOURS + 1]
    local function titled(word) return several and ("%s, %s"):format(each.title or k, word) or word end
    local x, y = finite(each.epoch, each.train)
    losses[#losses + 1] = curves.lines(x, y, {
      colour = colour, width = 0.8, dash = 2, title = titled "training",
    })
    x, y = finite(each.epoch, each.valid)
    if #x > 0 then
      losses[#losses + 1] = curves.lines(x, y, { colour = colour, width = 1.6, title = titled "validation" })
    end
    if each.best then
      losses[#losses + 1] = curves.points({ each.epoch[each.best] }, { each.valid[each.best] }, {
        colour = colour, size = 0.9, symbol = "circle", title = k == #list and "lowest, kept" or nil,
      })
    end
    rates[#rates + 1] = curves.lines(each.epoch, each.lr, { colour = colour, width = 1.2 })
  end
  losses.is_panel, rates.is_panel = true, true
  return show.figure({
    panels = { losses, rates }, columns = 1, share = "x", size = o.size or "column", spacing = 1.5,
    legend = "below",
  }, "history")
end

return history
