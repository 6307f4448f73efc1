-- Places the panels of a figure in letters: in columns and rows of a terminal's cells, each with room for its
-- labels in full. Panels that do not fit side by side into a narrow terminal go below each other; the pairs
-- of a corner plot, which make sense only as a triangle, are left out there.
local text = require "gal.base.text"
local letters = require "gal.plot.letters"

local cells = {}

local BOX = 18           -- columns inside a frame: fewer show no shape
local LEAST, MOST = 6, 30 -- rows inside a frame
local APART = 0.04       -- parts of the figure that two lines of its grid are apart, at least

-- ---- the grid ----

-- The lines of a grid that the panels' edges make: numbers the panels by `edge`, from the lowest, as `name`;
-- returns how many lines there are.
local function number(panels, edge, name)
  local sorted = { unpack(panels) }
  table.sort(sorted, function(a, b) return edge(a) < edge(b) end)
  local count, last = 0, -math.huge
  for _, panel in ipairs(sorted) do
    if edge(panel) > last + APART then count, last = count + 1, edge(panel) end
    panel[name] = count
  end
  return count
end

-- Gives the panels their column and row in the figure's own grid; returns how many columns there are.
local function own_grid(panels)
  number(panels, function(p) return -(p.top + p.bottom) / 2 end, "row")
  return number(panels, function(p) return p.left end, "column")
end

-- Puts the panels one behind the other, `count` in a row. Each gets the labels that panels of one column, or
-- of one row, have in common.
local function flow(panels, count)
  for _, axis in ipairs{ "x", "y" } do
    local edge, label = axis == "x" and "left" or "bottom", axis .. "label"
    for _, panel in ipairs(panels) do
      for _, other in ipairs(panels) do
        local same = math.abs(panel[edge] - other[edge]) < 0.02
        local named = panel.heads[1] and not panel.heads[1]:find "^[%d−<>]"
        if same and not panel[label] and not named then panel[label] = other[label] end
      end
    end
  end
  table.sort(panels, function(a, b)
    if a.row ~= b.row then return a.row < b.row end
    return a.column < b.column
  end)
  for i, panel in ipairs(panels) do
    panel.row, panel.column = math.ceil(i / count), (i - 1) % count + 1
    panel.numbers = true
  end
end

-- ---- room ----

local function widest(list)
  local most = 0
  for _, tick in ipairs(list) do most = math.max(most, text.length(tick[2])) end
  return most
end

-- Whether an axis of a panel has numbers.
local function has_numbers(panel, axis)
  for _, tick in ipairs(panel[axis .. "ticks"] or {}) do
    if tick[2] ~= "" then return true end
  end
  return panel.numbers and panel[axis .. "ticks"] ~= nil
end

-- The rows above and below a panel's frame.
local function rows_beside(panel)
  local numbers = has_numbers(panel, "x") and 1 or 0
  return #panel.heads + (panel.ylabel and 1 or 0), numbers + (panel.xlabel and 1 or 0)
end

-- The room that the columns and rows of the grid need beside their frames.
local function rooms(panels, high)
  local r = { before = {}, above = {}, below = {}, ratio = {}, columns = 0, rows = 0 }
  for _, panel in ipairs(panels) do
    local c, k = panel.column, panel.row
    panel.yshown = has_numbers(panel, "y") and letters.ticks(panel, "y", high) or nil
    local above, below = rows_beside(panel)
    r.before[c] = math.max(r.before[c] or 0, panel.yshown and widest(panel.yshown) + 1 or 0)
    r.above[k], r.below[k] = math.max(r.above[k] or 0, above), math.max(r.below[k] or 0, below)
    r.ratio[k] = math.max(r.ratio[k] or 0, panel.top - panel.bottom)
    r.columns, r.rows = math.max(r.columns, c), math.max(r.rows, k)
  end
  return r
end

-- ---- the arrangement ----

-- The widths of the grid's columns: in the figure's proportions, where each column has panels of its own.
local function widths_of(panels, r, columns)
  local rest, sum, width, first = columns, 0, {}, {}
  for c = 1, r.columns do rest = rest - (r.before[c] or 0) - 2 end
  for c = 1, r.columns do
    for _, panel in ipairs(panels) do
      if panel.column == c then width[c] = math.min(width[c] or 1, panel.right - panel.left) end
    end
    width[c] = width[c] or 0.1
    sum = sum + width[c]
  end
  local at = 0
  for c = 1, r.columns do
    first[c] = at + (r.before[c] or 0)
    width[c] = math.max(3, math.floor(rest * width[c] / sum))
    at = first[c] + width[c] + 2
  end
  return first, width
end

-- Tells the last panel of each row that it has the room to its right.
local function set_last(panels)
  local last = {}
  for _, panel in ipairs(panels) do
    if not last[panel.row] or last[panel.row].column < panel.column then last[panel.row] = panel end
  end
  for _, panel in pairs(last) do panel.last = true end
end

-- Gives each panel its box in a grid of r's rooms; returns the number of rows.
local function set_boxes(panels, r, columns, rows, ratio)
  local first, width = widths_of(panels, r, columns)
  local starts, spare, sum = {}, rows, 0
  for _, panel in ipairs(panels) do
    starts[panel.column] = math.min(starts[panel.column] or 1, panel.left)
  end
  for k = 1, r.rows do
    spare = spare - r.above[k] - r.below[k] - 2
    sum = sum + r.ratio[k]
  end
  local high, top, at = {}, {}, 0
  for k = 1, r.rows do
    local wanted = r.ratio[k] * ratio * columns -- as high as in the figure, a cell being half as wide as high
    high[k] = math.min(wanted, math.max(spare * r.ratio[k] / sum, LEAST), MOST)
    high[k] = math.max(LEAST, math.floor(high[k] + 0.5))
    top[k] = at + r.above[k]
    at = top[k] + high[k] + 2 + r.below[k]
  end
  for _, panel in ipairs(panels) do
    local c, k = panel.column, panel.row
    local last = c -- a panel of several columns ends with the last that begins within it
    for more = c + 1, panel.numbers and 0 or r.columns do
      if starts[more] < panel.right - 0.04 then last = more end
    end
    panel.box = { first = first[c], last = first[last] + width[last], top = top[k],
      bottom = top[k] + high[k] + 1 }
    panel.before, panel.cell = r.before[c], r.before[c] + panel.box.last - panel.box.first + 1
    panel.yshown = panel.yshown and letters.ticks(panel, "y", high[k])
    panel.xshown = has_numbers(panel, "x") and letters.ticks(panel, "x", panel.box.last - panel.box.first)
      or nil
  end
  return at
end

-- Leaves out the words about pairs that are left out, and names the properties of the other panels.
local function without_pairs(found, panels, kept)
  local words, entries = {}, {}
  for _, sentence in ipairs(found.words) do
    if not sentence:find "^Contours" then words[#words + 1] = sentence end
  end
  for _, entry in ipairs(found.entries) do
    if not entry:find "with points" then entries[#entries + 1] = entry end
  end
  found.words, found.entries = words, entries
  for _, panel in ipairs(kept) do
    panel.alone = true
    for _, other in ipairs(panels) do
      if math.abs(panel.left - other.left) < 0.02 then panel.xlabel = panel.xlabel or other.xlabel end
    end
    if panel.heads[1] and not panel.heads[1]:find "^[%d−<>]" then panel.xlabel = nil end
  end
end

--- cells.arrange(found, columns, rows, ratio) --> the number of rows of the figure: gives the panels of
-- `found`, which letters.read returned, their boxes in a terminal of so many columns and rows; ratio: height
-- over width of the figure, in cells. Sets found.left_out to the number of panels left out, and found.wants
-- to the columns that they would need.
function cells.arrange(found, columns, rows, ratio)
  local panels = found.panels
  local across = own_grid(panels)
  local fits = across * (BOX + 2) + 8 <= columns
  if not fits then
    local kept = {}
    for _, panel in ipairs(panels) do
      if panel.pair then
        found.left_out, found.wants = (found.left_out or 0) + 1, across * (BOX + 2) + 9
      else
        kept[#kept + 1] = panel
      end
    end
    if found.left_out then without_pairs(found, panels, kept) end
    panels, found.panels = kept, kept
    flow(panels, math.max(1, math.min(#panels, math.floor(columns / (BOX + 8)))))
    ratio = math.max(ratio, 0.3)
    for _, panel in ipairs(panels) do panel.top, panel.bottom = 0.5, 0.2 end
  end
  set_last(panels)
  return set_boxes(panels, rooms(panels, 10), columns, rows, ratio)
end

return cells
