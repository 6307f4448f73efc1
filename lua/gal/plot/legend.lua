-- Legends: a panel that is one, with words beneath, and the one that a whole figure has in a strip at its
-- edge.
local pen = require "gal.plot.pen"
local text = require "gal.plot.text"

local legend = {}

--- legend.HOW: what gnuplot is told of every legend.
legend.HOW = "samplen 1.8 spacing 1.15 reverse Left"

local SPACING = 1.15

-- The sentences in lines of at most `wide` mm; false between two sentences. And how wide the longest line is.
local function filled(sentences, wide, points)
  local lines, widest = {}, 0
  local function put(line)
    lines[#lines + 1], widest = line, math.max(widest, text.width(line, points))
  end
  for k, sentence in ipairs(sentences) do
    local line = ""
    for word in sentence:gmatch "%S+" do
      local longer = line == "" and word or line .. " " .. word
      if line ~= "" and text.width(longer, points) > wide then
        put(line)
        longer = word
      end
      line = longer
    end
    put(line)
    if k < #sentences then lines[#lines + 1] = false end
  end
  return lines, widest
end

local WIDEST = 62 -- mm: longer lines of small type are hard to read

-- The places for a legend in the empty half of a triangle: {left, high}: right of the panels on the
-- diagonal, and above them and their heads.
local function stairs(items, box, line)
  local list = {}
  for _, item in ipairs(items) do
    local panel = item.panel
    if panel and panel.apart and item.box.left > box.left - 0.1 then
      local bottom = item.box.top + (panel.headlines or 0) * line
      list[#list + 1] = { left = item.box.left, high = box.top - bottom }
    end
  end
  table.sort(list, function(a, b) return a.left < b.left end)
  return list
end

-- The first of the places in which a legend has room: its left edge and the width of its lines; high(width):
-- how high it is.
local function choose(places, box, wide, high)
  local best, most = nil, -math.huge
  for _, place in ipairs(places) do
    local width = math.min(WIDEST, box.right - place.left)
    local spare = place.high - high(width)
    if width >= wide and spare >= 0 then return place.left, width end
    if width >= wide and spare > most then best, most = place.left, spare end
  end
  return best or box.left, math.min(WIDEST, box.right - (best or box.left))
end

--- legend.panel(add, item, figure[, items]): a panel that is a legend: what its layers are, and words
-- beneath, in lines that its width has room for. With align = "right" all of it stands at the box' right
-- edge, in the empty half of a triangle of panels.
function legend.panel(add, item, figure, items)
  local panel, box, line = item.panel, item.box, text.height(figure.type)
  pen.box(add, figure, box)
  pen.empty(add)
  local entries, paints, wide = { "NaN notitle" }, pen.colours(panel), 0
  for _, layer in ipairs(panel) do
    if layer.title then
      entries[#entries + 1] = pen.key_entry(layer, paints[layer])
      wide = math.max(wide, figure.sample + text.width(layer.title, figure.type))
    end
  end
  local key = #entries > 1 and (SPACING * (#entries - 1) + 0.6) * line or 0
  local x, y, width = box.left, box.top, math.min(WIDEST, box.right - box.left)
  if panel.align == "right" then
    x, width = choose(stairs(items, box, line), box, wide, function(w)
      local high = key
      for _, words in ipairs((filled(panel.text or {}, w, figure.type))) do
        high = high + (words and line or 0.3 * line)
      end
      return high
    end)
  end
  local lines, widest = filled(panel.text or {}, width, figure.type)
  if panel.align == "right" then x = math.max(x, box.right - math.max(wide, widest)) end
  if #entries > 1 then
    add(("set key default; set key at %s left top %s"):format(pen.screen(figure, x, y), legend.HOW))
    y = y - key
  end
  for _, words in ipairs(lines) do
    if words then
      local label = text.label(words)
      local at = pen.screen(figure, x, y - line / 2)
      add(("set label %s at %s left %s"):format(label.string, at, label.how))
    end
    y = y - (words and line or 0.3 * line)
  end
  add("plot " .. table.concat(entries, ", \\\n     "))
end

-- The layers of all panels that have a title, once each, for a legend of the figure; each title gets a
-- colour, and the items learn which.
local function common_legend(items)
  local found, by_title, at = { is_panel = true, legend = true }, {}, 0
  for _, item in ipairs(items) do
    item.by_title = by_title
    for _, layer in ipairs(item.panel and not item.panel.legend and item.panel or {}) do
      if layer.title and not by_title[layer.title] then
        at = layer.colour and at or at % #pen.COLOURS + 1
        by_title[layer.title] = layer.colour or pen.COLOURS[at]
        found[#found + 1] = {
          title = layer.title, key = layer.key or layer.style, colour = by_title[layer.title],
        }
      end
    end
  end
  return found
end

--- legend.strip(items, figure): the strip {top, right, bottom} (mm kept free at the figure's edges) for its
-- title and its own legend, and that legend, or nil.
function legend.strip(items, figure)
  local line = text.height(figure.type)
  local strip = { top = figure.title and 1.9 * line or 0, right = 0, bottom = 0 }
  local found = figure.legend and common_legend(items) or {}
  if #found == 0 then return strip, nil end
  local widest = 0
  for _, entry in ipairs(found) do
    widest = math.max(widest, figure.sample + text.width(entry.title, figure.type) + 4)
  end
  if figure.legend == "right" then
    strip.right = widest + 2
    return strip, found
  end
  found.across = math.max(1, math.min(#found, math.floor((figure.width - 4) / widest)))
  found.high = SPACING * line * math.ceil(#found / found.across) + 0.6 * line
  if figure.legend == "above" then strip.top = strip.top + found.high else strip.bottom = found.high end
  return strip, found
end

--- legend.own(add, found, figure): the figure's own legend, in its strip.
function legend.own(add, found, figure)
  local box = { left = 1, right = figure.width - 1, bottom = 1, top = figure.height - 1 }
  local top = figure.height - figure.margin - figure.strip.top
  if figure.legend == "right" then
    box.left, box.top = figure.width - figure.strip.right + 2, top
    return legend.panel(add, { panel = found, box = box }, figure)
  end
  pen.box(add, figure, box)
  pen.empty(add)
  local y = (figure.legend == "above" and top or figure.margin) + found.high
  add(("set key default; set key at %s center top horizontal maxcols %d %s"):format(
    pen.screen(figure, figure.width / 2, y), found.across, legend.HOW))
  local entries = { "NaN notitle" }
  for _, entry in ipairs(found) do entries[#entries + 1] = pen.key_entry(entry, entry.colour) end
  add("plot " .. table.concat(entries, ", \\\n     "))
end

return legend
