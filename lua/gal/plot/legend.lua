-- Legends: a panel that is a legend, with words beneath, and a figure's own legend in a strip at its edge.
local pen = require "gal.plot.pen"
local text = require "gal.plot.text"

local legend = {}

--- legend.HOW: gnuplot's options for every legend.
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

-- The places for a legend in the empty half of a triangle, {left, high}: right of a panel on the diagonal and
-- of what stands beside its head, above the next panel and its head.
local function stairs(items, box, figure)
  local list, line, beside = {}, text.height(figure.type), 0
  for _, item in ipairs(items) do
    local panel = item.panel
    if panel and panel.apart then
      if item.box.left > box.left - 0.1 then
        local bottom = item.box.top + (panel.headlines or 0) * line
        list[#list + 1] = { left = math.max(item.box.left, beside), high = box.top - bottom }
      end
      beside = item.box.left + (panel.headwide and panel.headwide(figure.type) + 1 or 0)
    end
  end
  return list
end

-- The first of the places that has room for a legend: its left edge and the width of its lines; nil where
-- none has. wide: the least width; high(width): the legend's height.
local function choose(places, box, wide, high)
  for _, place in ipairs(places) do
    local width = math.min(WIDEST, box.right - place.left)
    if width >= wide and place.high >= high(width) then return place.left, width end
  end
end

local function height_of(lines, line)
  local high = 0
  for _, words in ipairs(lines) do high = high + (words and line or 0.3 * line) end
  return high
end

-- What a legend's panel has: {entries, of the key; key, its height; wide, its width}, mm.
local function contents(panel, figure)
  local found, paints = { entries = { "NaN notitle" }, wide = 0 }, pen.colours(panel)
  for _, layer in ipairs(panel) do
    if layer.title then
      table.insert(found.entries, pen.key_entry(layer, paints[layer]))
      found.wide = math.max(found.wide, figure.sample + text.width(layer.title, figure.type))
    end
  end
  local count = #found.entries - 1
  found.key = count > 0 and (SPACING * count + 0.6) * text.height(figure.type) or 0
  return found
end

--- legend.below(items, figure): how much room, mm, the words of legends need beneath the figure where a
-- triangle of panels has none for them in its empty half; sets item.below then.
function legend.below(items, figure)
  local line, room = text.height(figure.type), 0
  for _, item in ipairs(items) do
    local panel = item.panel
    if panel and panel.legend and panel.align == "right" then
      local found, places = contents(panel, figure), stairs(items, item.box, figure)
      item.left, item.width = choose(places, item.box, found.wide, function(width)
        return found.key + height_of(filled(panel.text, width, figure.type), line)
      end)
      if not item.left then
        item.below = true
        item.left = choose(places, item.box, found.wide, function() return found.key end) or item.box.left
        room = height_of(filled(panel.text, figure.width - 2 * figure.margin, figure.type), line) + 0.5 * line
      end
    end
  end
  return room
end

--- legend.panel(add, item, figure): a panel that is a legend: its layers' titles, and words beneath, in lines
-- that fit its width. With align = "right" all of it is aligned to the box' right edge, in the empty half of
-- a triangle of panels, where legend.below has put it.
function legend.panel(add, item, figure)
  local panel, box, line = item.panel, item.box, text.height(figure.type)
  pen.box(add, figure, box)
  pen.empty(add)
  local found = contents(panel, figure)
  local x, y = item.left or box.left, box.top
  local width = item.below and figure.width - 2 * figure.margin or item.width or math.min(WIDEST,
    box.right - box.left)
  local lines, widest = filled(panel.text or {}, width, figure.type)
  if panel.align == "right" then
    x = math.max(x, box.right - math.max(found.wide, item.below and 0 or widest))
  end
  if found.key > 0 then
    add(("set key default; set key at %s left top %s"):format(pen.screen(figure, x, y), legend.HOW))
    y = y - found.key
  end
  if item.below then x, y = figure.margin, figure.margin + height_of(lines, line) end
  for _, words in ipairs(lines) do
    if words then
      local label = text.label(words)
      local at = pen.screen(figure, x, y - line / 2)
      add(("set label %s at %s left %s"):format(label.string, at, label.how))
    end
    y = y - (words and line or 0.3 * line)
  end
  add("plot " .. table.concat(found.entries, ", \\\n     "))
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
  -- gnuplot makes as many columns as it thinks fit: to it all characters have one width. If it chose another
  -- number than this file, there would be a row without room.
  for _, entry in ipairs(found) do
    local letters = select(2, entry.title:gsub("[^\128-\191]", ""))
    widest = math.max(widest, figure.sample + 0.68 * (letters + 1) * figure.type * 25.4 / 72 + 4)
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
  add(("set key default; set key at %s center top horizontal maxcols %d width 1 %s"):format(
    pen.screen(figure, figure.width / 2, y), found.across, legend.HOW))
  local entries = { "NaN notitle" }
  for _, entry in ipairs(found) do entries[#entries + 1] = pen.key_entry(entry, entry.colour) end
  add("plot " .. table.concat(entries, ", \\\n     "))
end

return legend
