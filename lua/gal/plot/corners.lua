-- Corner plots of two properties side by side, one for each of a few galaxies, on common axes, with the
-- galaxy's picture in the empty corner.
local arguments = require "gal.base.options"
local corner = require "gal.plot.corner"
local curves = require "gal.plot.curves"
local errors = require "gal.base.errors"
local host = require "gal.stats.host"
local layer = require "gal.plot.layer"
local marks = require "gal.plot.marks"
local metrics = require "gal.metrics"
local pictures = require "gal.plot.pictures"
local show = require "gal.plot.show"
local raise = errors.raise

local corners = {}

local CROSS, COLOURS = "#D00000", { "#0072B2", "#009E73" }

-- The ranges of both properties: what the draws of all galaxies cover without some thousandths, and the
-- targets, within the limits.
local function ranges_of(list, names, limits)
  local ranges = {}
  for j, name in ipairs(names) do
    local low, high = math.huge, -math.huge
    for _, each in ipairs(list) do
      for _, set in ipairs(each.sets) do
        local q = metrics.quantile(set:select(2, j), { 0.003, 0.997 })
        low, high = math.min(low, q[1]), math.max(high, q[2])
      end
      local target = each.target and each.target[j]
      if target and target - target == 0 then low, high = math.min(low, target), math.max(high, target) end
    end
    local pad, limit = 0.06 * (high > low and high - low or 1), limits and limits[name] or {}
    ranges[j] = { math.max(low - pad, limit[1] or -math.huge), math.min(high + pad, limit[2] or math.huge) }
    if ranges[j][1] == limit[1] then ranges[j][1] = limit[1] - 0.4 * pad end -- so that a target there is seen
  end
  return ranges
end

-- The draws of a set that are within the limits, and the share of those that are not.
local function within(set, names, limits)
  local values, n = host.read(set), set:size(1)
  local rows = {}
  for k = 0, n - 1 do
    local inside = true
    for j, name in ipairs(names) do
      local limit, v = limits and limits[name] or {}, values[2 * k + j - 1]
      inside = inside and not (limit[1] and v < limit[1] or limit[2] and v > limit[2])
    end
    if inside then rows[#rows + 1] = k + 1 end
  end
  return #rows < n and set:rows(rows) or set, 1 - #rows / n
end

local function check(list)
  errors.list("corners", "list", list, "a list of {sets =, target =, title =, picture =}")
  if #list == 0 then raise "corners: list is empty" end
  for k, each in ipairs(list) do
    errors.list("corners", ("list[%d]"):format(k), each, "{sets =, …}")
    errors.list("corners", ("list[%d].sets"):format(k), each.sets, "a list of draws {n, 2}")
    for m, set in ipairs(each.sets) do
      host.matrix("corners", ("list[%d].sets[%d]"):format(k, m), set, 2)
    end
  end
end

-- Marks the target in the panel at row and column of a corner plot of two properties.
local function mark(panel, row, column, target)
  local looks = { colour = CROSS, dash = 1, width = 0.8 }
  if row == 2 and column == 1 then
    local cross = { colour = CROSS, symbol = "cross", size = 1.2 }
    panel[#panel + 1] = curves.points({ target[1] }, { target[2] }, cross)
  else
    looks.x = target[row]
    panel[#panel + 1] = marks.rule(looks)
  end
end

-- The legends below: the lines and the cross at the left, the sentences at the right.
local function legends_of(legend, o, sentences, columns)
  if o.target then
    legend[#legend + 1] = layer.curve("points", { title = o.target, colour = CROSS }, {
      key = "with points pt 2 ps 1 lc COLOUR",
    })
  end
  local half = math.max(2, math.floor(columns / 2))
  legend.at, legend.span, legend.align, legend.text = { 3, 1 }, { 1, half }, "left", {}
  local words = { is_panel = true, legend = true, text = sentences, align = "left" }
  words.at = columns > 2 and { 3, half + 2 } or { 4, 1 }
  words.span = { 1, columns > 2 and columns - half - 1 or 2 }
  return legend, words
end

--- corners.figure(list, {names =, levels =, limits =, target =, colours =}): a figure, for
-- plot.figure(path, figure), 174 mm wide: a corner plot (plot.corner) of two properties for each of the list,
-- {sets, a list of draws {n, 2}; titles, theirs; target, {x, y} or nil, where a cross stands; title; picture,
-- pixels {height, width, 3} of uint8 or nil}. All have the same ranges, and one legend below. names, levels,
-- limits: as plot.corner's; target: what the legend calls the cross.
function corners.figure(list, given)
  local o = arguments.known("corners", given, { "names", "levels", "limits", "target", "colours" })
  check(list)
  local ranges, panels, widths, key, most = ranges_of(list, o.names, o.limits), {}, {}, nil, 0
  for k, each in ipairs(list) do
    local sets = {}
    for m, set in ipairs(each.sets) do
      local lost
      sets[m], lost = within(set, o.names, o.limits)
      most = math.max(most, lost)
    end
    local found = corner.corner(sets, {
      names = o.names, levels = o.levels, limits = o.limits, ranges = ranges, titles = false,
      legend = each.titles, colours = o.colours or COLOURS, size = "page",
    })
    local legend, left = table.remove(found.panels), 3 * (k - 1)
    key = key or legend
    for _, panel in ipairs(found.panels) do
      local row, column = unpack(panel.at)
      if each.target then mark(panel, row, column, each.target) end
      panel.at = { row, column + left }
      panels[#panels + 1] = panel
    end
    local own = { is_panel = true, at = { 1, left + 2 } }
    if each.picture then
      own[1], own.title = pictures.picture(each.picture), each.title
    else
      own.legend, own.text, own.align = true, { each.title }, "left"
    end
    panels[#panels + 1] = own
    widths[#widths + 1], widths[#widths + 2] = 1, 1
    if k < #list then widths[#widths + 1] = 0.35 end
  end
  local sentences = { key.text[1] } -- which shares the contours hold
  if most > 0 then
    local told = "Draws beyond a limit, such as $A_V$ below 0, are left out: at most %.2g %% of a model's"
    sentences[2] = told:format(100 * most)
  end
  panels[#panels + 1], panels[#panels + 2] = legends_of(key, o, sentences, #widths)
  return show.figure({
    panels = panels, columns = #widths, widths = widths, size = "page", spacing = 1, share = "both",
    notes = sentences,
  }, "corners")
end

return corners
