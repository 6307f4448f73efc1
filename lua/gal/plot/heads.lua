-- Titles above the panels of a corner plot: a value with its interval for each set of draws.
local density_grid = require "gal.stats.density_grid"
local layer = require "gal.plot.layer"
local pen = require "gal.plot.pen"
local rounding = require "gal.plot.rounding"
local samples = require "gal.plot.samples"
local text = require "gal.plot.text"

local heads = {}

local BLACK = "#000000"

-- The size of errors, points: 7 is the least that can be read in print.
local function small(points) return math.max(7, 0.8 * points) end

local EDGE = math.exp(-0.5) -- of the peak: a density so high at a limit leans on it

-- Whether a density leans on its lower and on its upper limit.
local function leans(line, limits)
  if not line then return false, false end
  local x, y, peak = line.x, line.y, 0
  for _, v in ipairs(y) do peak = math.max(peak, v) end
  local low = limits[1] and x[1] <= limits[1] and y[1] >= EDGE * peak
  local high = limits[2] and x[#x] >= limits[2] and y[#y] >= EDGE * peak
  return low, high
end

--- heads.of(set, j, p): the title of a set's property j: {main, above, below} as text, the last two nil where
-- there is no interval. p: {limits, interval, titles, bounds}.
function heads.of(set, j, p)
  local tail = (1 - p.interval) / 2
  local q = samples.quantiles(set, j, { 0.05, tail, 0.5, 1 - tail, 0.95 })
  if set.constant[j] then return { (("%.4g"):format(q[3]):gsub("^%-", "−")) } end
  local line, limits = density_grid.line(set.columns[j], set.n, {
    weights = set.weights, sum = set.sum, effective = set.effective, limits = p.limits[j], points = 128,
    quartiles = samples.quantiles(set, j, { 0.25, 0.75 }),
  }), p.limits[j]
  local low, high = false, false
  if p.bounds then low, high = leans(line, limits) end
  local width = (q[4] - q[2]) / 2
  if low and not high then return { "< " .. rounding.bound(q[5], width) .. " (95\194\160%)" } end
  if high and not low then return { "> " .. rounding.bound(q[1], width) .. " (95\194\160%)" } end
  local middle = q[3]
  if p.titles == "mean" then
    middle = 0
    for i = 0, set.n - 1 do middle = middle + set.weights[i] * set.columns[j][i] / set.sum end
  end
  return { rounding.interval(middle, middle - q[2], q[4] - middle) }
end

-- A colour for type: yellow on white can't be read.
local function darker(colour)
  return (colour:gsub("%x%x", function(two) return ("%02x"):format(math.floor(0.7 * tonumber(two, 16))) end))
end

--- heads.LINE: the distance between the titles of two sets, in lines.
heads.LINE = 1.4

--- heads.width(main, said, points): the width of a title, mm, and that of its first part.
function heads.width(main, said, points)
  local first = text.width(main, points)
  if not said[3] then return first, first end
  local errors = small(points)
  return first + math.max(text.width(said[2], errors), text.width(said[3], errors)), first
end

--- heads.layer(all, sets, short): a layer that writes the titles of a property above its panel, a line for
-- each set: name = value where there is room, else the value; errors above and below each other.
function heads.layer(all, sets, short)
  local function draw(add, item, figure)
    local points, line, box = figure.type, text.height(figure.type), item.box
    for k, said in ipairs(all) do
      local main = short .. " = " .. said[1]
      if said[1]:find "^[<>]" then main = short .. " " .. said[1] end
      local wide, first = heads.width(main, said, points)
      if k > 1 or wide > box.right - box.left then
        main = said[1]
        wide, first = heads.width(main, said, points)
      end
      local x = math.max(box.left, (box.left + box.right - wide) / 2)
      local y = box.top + (#all - k) * heads.LINE * line + 0.8 * line
      local colour = #all > 1 and darker(sets[k].colour) or BLACK
      local label = text.label(main, true)
      local how = (" front textcolor rgb '%s' "):format(colour)
      add(("set label %s at %s left%s%s"):format(label.string, pen.screen(figure, x, y), how, label.how))
      for i = 2, said[3] and 3 or 1 do
        local at = pen.screen(figure, x + first, y + (i == 2 and 0.34 or -0.34) * line)
        add(("set label %s at %s left%sfont ',%.3g' noenhanced"):format(text.quoted(said[i]), at, how,
          small(points)))
      end
    end
  end
  return layer.new{ kind = "title", draw = draw }
end

return heads
