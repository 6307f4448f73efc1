-- Legends: a panel that is one, with words beneath, and the one that a whole figure has in a strip at its
-- edge.
local pen = require "gal.plot.pen"
local text = require "gal.plot.text"

local legend = {}

--- legend.HOW: what gnuplot is told of every legend.
legend.HOW = "samplen 1.8 spacing 1.15 reverse Left"

local SPACING = 1.15

-- Puts a sentence, filled to `wide` mm, at x, its first line beneath `top`; returns where it ends.
local function put_words(add, figure, sentence, place, wide)
  local words, line = "", text.height(figure.type)
  local function flush()
    local label = text.label(words)
    local at = pen.screen(figure, place.x, place.top - line / 2)
    add(("set label %s at %s %s %s"):format(label.string, at, place.align, label.how))
    place.top = place.top - line
  end
  for word in sentence:gmatch "%S+" do
    local longer = words == "" and word or words .. " " .. word
    if words ~= "" and text.width(longer, figure.type) > wide then
      flush()
      longer = word
    end
    words = longer
  end
  flush()
  place.top = place.top - 0.2 * line
end

--- legend.panel(add, item, figure): a panel that is a legend: what its layers are, and words beneath, which
-- are filled to its width.
function legend.panel(add, item, figure)
  local panel, box, line = item.panel, item.box, text.height(figure.type)
  pen.box(add, figure, box)
  pen.empty(add)
  local entries, paints = { "NaN notitle" }, pen.colours(panel)
  for _, layer in ipairs(panel) do
    if layer.title then entries[#entries + 1] = pen.key_entry(layer, paints[layer]) end
  end
  local align = panel.align == "right" and "right" or "left"
  local place = { x = box[align], top = box.top, align = align }
  if #entries > 1 then
    add(("set key default; set key at %s %s top %s"):format(pen.screen(figure, place.x, box.top), align,
      legend.HOW))
    place.top = place.top - SPACING * line * (#entries - 1) - 0.6 * line
  end
  for _, sentence in ipairs(panel.text or {}) do
    put_words(add, figure, sentence, place, box.right - box.left)
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
