-- infer/gain: the paper's Figure 1: how much posteriors tell beyond the prior, as histograms of Delta log p
-- and D_KL over all galaxies and, where two runs were scored on the same ones, galaxy by galaxy.
local errors = require "gal.base.errors"
local host = require "gal.stats.host"
local metrics = require "gal.metrics"
local plot = require "gal.plot"
local raise = errors.raise

local gain = {}

-- A frame leaves out this share at either end: a few outliers would squeeze all the others into a line.
local OUTSIDE, ROOM, BINS = 0.005, 0.06, 36

-- Scores, their labels, and the corner in which their histograms leave room for the sets' names.
local QUANTITIES = { { "delta_log_p", "Δlog p, nats", "top left" }, { "d_kl", "D_KL, nats", "top right" } }
local COLOURS = { "#0072B2", "#D55E00" }

--- gain.frame(lists): {low, high} that holds all but a share of .005 of the numbers of these lists at either
-- end.
function gain.frame(lists)
  local all = {}
  for _, list in ipairs(lists) do
    for _, v in ipairs(list) do all[#all + 1] = v end
  end
  local low, high = unpack(metrics.quantile(all, { OUTSIDE, 1 - OUTSIDE }))
  local room = high > low and ROOM * (high - low) or 1
  return { low - room, high + room }
end

--- gain.told(values, range): what a legend says of numbers that are all finite: "2.17 ± 3.30, median 2.4, 7
-- outside": mean, deviation, median, and how many lie outside the range, where some do.
function gain.told(values, range)
  local mean, deviation = metrics.moments(values)
  local outside = 0
  for _, v in ipairs(values) do
    if v < range[1] or v > range[2] then outside = outside + 1 end
  end
  return ("%.2f ± %.2f, median %.2f%s"):format(mean, deviation, metrics.quantile(values, 0.5),
    outside > 0 and (", %d outside"):format(outside) or "")
end

--- gain.pairs_of(x, y): the pairs of two lists of which both are finite, as two lists, and the share of
-- those whose y is above its x, the diagonal.
function gain.pairs_of(x, y)
  local a, b, above = {}, {}, 0
  for k = 1, #x do
    if x[k] - x[k] == 0 and y[k] - y[k] == 0 then
      a[#a + 1], b[#b + 1] = x[k], y[k]
      if y[k] > x[k] then above = above + 1 end
    end
  end
  return a, b, #a > 0 and above / #a or nil
end

-- Histograms of a quantity of each set, one above another's line, with mean, deviation and median.
local function distribution(sets, quantity, lists, range)
  local panel = { x = quantity[2], y = "galaxies", xrange = range, frame = "box", ratio = 0.62 }
  panel.key = quantity[3]
  local words = {}
  for i, list in ipairs(lists) do
    panel[#panel + 1] = plot.histogram(list, {
      bins = BINS, range = range, colour = COLOURS[i], dash = i, filled = i == 1, title = sets[i].title,
    })
    local median = metrics.quantile(list, 0.5)
    panel[#panel + 1] = plot.rule{ x = median, colour = COLOURS[i], dash = i, width = 1.2 }
    words[i] = sets[i].title .. ": " .. gain.told(list, range)
  end
  panel.title = table.concat(words, "\n")
  return plot.panel(panel)
end

-- The second set against the first, galaxy by galaxy, with the diagonal.
local function compared(sets, quantity, range)
  local x, y, share = gain.pairs_of(sets[2][quantity[1]], sets[1][quantity[1]])
  local unit = quantity[2]
  return plot.panel{
    plot.points(x, y, { colour = COLOURS[1], size = math.min(0.4, 8 / math.sqrt(#x)) }),
    plot.rule{ slope = 1, intercept = 0, from = range[1], to = range[2], colour = "#444444" },
    plot.note(("%.1f %% above the line"):format(100 * share), "top left"),
    x = sets[2].title .. ": " .. unit, y = sets[1].title .. ": " .. unit, xrange = range, yrange = range,
    frame = "box", ratio = 1, key = false,
  }
end

--- gain.figure(sets): the figure (for plot.figure) of one or two sets of scores {title, delta_log_p {N}, d_kl
-- {N}}, lists with NaN for galaxies without a score; two sets are of the same galaxies. Raises where a set
-- has no scores.
function gain.figure(sets)
  errors.list("gain", "sets", sets, "a list of scores")
  if #sets < 1 or #sets > 2 then raise("gain: there are %d sets, expected one or two", #sets) end
  local panels, below = {}, {}
  for j, quantity in ipairs(QUANTITIES) do
    local lists = {}
    for i, set in ipairs(sets) do
      lists[i] = host.finite(errors.list("gain", ("sets[%d].%s"):format(i, quantity[1]), set[quantity[1]]))
      if #lists[i] == 0 then raise("gain: sets[%d] has no finite %s", i, quantity[1]) end
    end
    local range = gain.frame(lists)
    panels[j] = distribution(sets, quantity, lists, range)
    if #sets == 2 then below[j] = compared(sets, quantity, range) end
  end
  for j, panel in ipairs(below) do panels[#QUANTITIES + j] = panel end
  return { panels = panels, columns = 2, size = "page" }
end

return gain
