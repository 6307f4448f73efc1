-- Lays a figure out: the boxes of its panels in millimetres, in a grid whose boxes are aligned, with as much
-- room around each as its numbers, labels and legend need. plot/text measures all text.
local errors = require "gal.base.errors"
local layers = require "gal.plot.layer"
local text = require "gal.plot.text"
local ticks = require "gal.plot.ticks"
local raise = errors.raise

local layout = {}

-- ---- places in the grid ----

-- Gives each panel its cell {row, column, rows, columns}: the one that it asks for, else the next free one,
-- row by row. false leaves a cell free. Returns the number of rows.
local function place_panels(panels, columns)
  local taken, rows, next_cell = {}, 1, 0
  local function free(row, column, height, width)
    for r = row, row + height - 1 do
      for c = column, column + width - 1 do
        if c > columns or taken[r * 1000 + c] then return false end
      end
    end
    return true
  end
  local cells = {}
  for i, panel in ipairs(panels) do
    local height, width = 1, 1
    if panel and panel.span then height, width = panel.span[1], math.min(panel.span[2], columns) end
    local row, column
    if panel and panel.at then
      row, column = panel.at[1], panel.at[2]
      if column + width - 1 > columns then
        raise("figure: panels[%d] is at column %d, %d wide; there are %d", i, column, width, columns)
      end
    else
      repeat
        row, column, next_cell = math.floor(next_cell / columns) + 1, next_cell % columns + 1, next_cell + 1
      until free(row, column, height, width)
    end
    for r = row, row + height - 1 do
      for c = column, column + width - 1 do taken[r * 1000 + c] = true end
    end
    rows = math.max(rows, row + height - 1)
    cells[i] = { row = row, column = column, rows = height, columns = width }
  end
  return cells, rows
end

-- ---- ranges ----

local PAD = 0.04 -- of the data's span, on both sides

-- The range of an axis from what its layers cover: lists of panels that share it.
local function range_of(panels, axis, log)
  local low, high, floor, tight, given = math.huge, -math.huge, false, true, nil
  local first = axis == "x" and 1 or 3
  for _, panel in ipairs(panels) do
    given = given or panel[axis .. "range"]
    for _, layer in ipairs(panel) do
      local e = layer.extent
      if e and e[first] <= e[first + 1] then
        local a, b = e[first], e[first + 1]
        if log and a <= 0 then a = b > 0 and b / 1e3 or 1 end
        if log and b <= 0 then b = 10 end
        low, high = math.min(low, a), math.max(high, b)
        floor = floor or axis == "y" and layer.floor
        tight = tight and layer.tight or false
      end
    end
  end
  if given then return { given[1], given[2] } end
  if low > high then return { log and 1 or 0, log and 10 or 1 } end
  if tight and low < high then return { low, high } end
  if log then
    local a, b = math.log10(low), math.log10(high)
    local pad = b > a and PAD * (b - a) or 0.5
    return { 10 ^ (a - pad), 10 ^ (b + pad) }
  end
  local pad = high > low and PAD * (high - low) or layers.beside(high)
  return { floor and low == 0 and 0 or low - pad, high + pad }
end

-- Sets range.x and range.y of the items; share: axes that panels of a column (x) or a row (y) have in common;
-- pictures have their own.
local function set_ranges(items, share)
  for _, axis in ipairs{ "x", "y" } do
    local groups, order = {}, {}
    for i, item in ipairs(items) do
      local line = item.cell[axis == "x" and "column" or "row"]
      local alone = item.inset or item.panel.apart or item.bare
      local key = share[axis] and not alone and "shared " .. line or i
      if not groups[key] then
        groups[key] = {}
        order[#order + 1] = key
      end
      table.insert(groups[key], item)
    end
    for _, key in ipairs(order) do
      local panels = {}
      for k, item in ipairs(groups[key]) do panels[k] = item.panel end
      local range = range_of(panels, axis, panels[1]["log" .. axis])
      for _, item in ipairs(groups[key]) do item[axis .. "range"] = range end
    end
  end
end

-- Which items have numbers and a label at an axis: with shared axes the last of a column and the first of a
-- row.
local function set_numbers(items, share)
  local lowest, leftmost = {}, {}
  for _, item in ipairs(items) do
    if not (item.inset or item.legend or item.bare) then
      local c = item.cell
      local key = c.column
      if not lowest[key] or lowest[key].cell.row < c.row then lowest[key] = item end
      if not leftmost[c.row] or leftmost[c.row].cell.column > c.column then leftmost[c.row] = item end
    end
  end
  for _, item in ipairs(items) do
    local panel, bare = item.panel, item.bare
    local inner_x = share.x and not item.inset and lowest[item.cell.column] ~= item
    local inner_y = share.y and not item.inset and leftmost[item.cell.row] ~= item
    item.xnumbers = not (bare or item.legend or panel.xtics == false or inner_x)
    item.ynumbers = not (bare or item.legend or panel.ytics == false or inner_y)
    item.xwhole, item.ywhole = not inner_x and panel.x or nil, not inner_y and panel.y or nil
  end
end

-- ---- room ----

-- The ticks of an item's axes where its box has this size.
local function set_ticks(item, width, height, o, upright)
  local panel = item.panel
  for _, axis in ipairs{ "x", "y" } do
    local range, given = item[axis .. "range"], panel[axis .. "ticks"]
    local length = axis == "x" and width or height
    if given then
      local list = {}
      for k, v in ipairs(given) do
        list[k] = type(v) == "table" and { v[1], v[2] } or { v, (("%.6g"):format(v):gsub("^%-", "−")) }
      end
      item[axis .. "list"], item[axis .. "parts"] = list, 1
    else
      local list, parts, count = ticks.of(range[1], range[2], math.max(length, 1), {
        points = o.type, log = panel["log" .. axis], upright = axis == "y" or upright,
        overhang = axis == "x" and o.overhang or text.height(o.type) / 2,
      })
      item[axis .. "list"], item[axis .. "parts"] = list, parts
      item[axis .. "count"] = count
    end
  end
end

-- Whether labels that the caller gave to the x axis run into each other on `width` mm.
local function crowded(item, width, o)
  local panel, range, last = item.panel, item.xrange, nil
  if not panel.xticks or not item.xnumbers then return false end
  local function place(v) return panel.logx and math.log(v) or v end
  local scale = width / math.abs(place(range[2]) - place(range[1]))
  for _, tick in ipairs(item.xlist) do
    local at, half = place(tick[1]) * scale, text.width(tick[2], o.type) / 2
    if tick[2] ~= "" then
      if last and math.abs(at - last.at) < half + last.half + 0.15 * text.height(o.type) then return true end
      last = { at = at, half = half }
    end
  end
  return false
end

-- The widest label of a list of ticks, mm.
local function widest(list, o)
  local most = 0
  for _, tick in ipairs(list) do
    if not tick.bare then most = math.max(most, text.width(tick[2], o.type)) end
  end
  return most
end

-- The first form of an axis' label that is not longer than the axis: the label, its short form, either of
-- them in two lines; the last form where none is.
local function fitting(label, short, length, o)
  if not label or not length then return label end
  short = short or label
  local halves, short_halves = text.broken(label) or label, text.broken(short) or short
  for _, form in ipairs{ label, halves, short, short_halves } do
    if text.width(form, o.type) <= length then return form end
  end
  return short_halves
end

-- The room between the box of an item and the edges of its cell, mm: {left, right, top, bottom}; and the
-- places of its labels.
local function room_of(item, o)
  local line, panel = text.height(o.type), item.panel
  local room = { left = 0, right = 0, top = 0, bottom = 0 }
  if item.legend then return room end
  local box = item.box
  item.xlabel = fitting(item.xwhole, panel.x_short, box and box.right - box.left + o.spacing[1], o)
  item.ylabel = fitting(item.ywhole, panel.y_short, box and box.top - box.bottom + o.spacing[2], o)
  if item.xnumbers then
    local label = (o.upright_numbers or item.upright) and widest(item.xlist, o) or 0.75 * line
    room.bottom = o.tick + o.gap + label
    if o.overhang == nil then room.right = 0.5 * widest(item.xlist, o) end
  end
  if item.ynumbers then room.left = o.tick + o.gap + widest(item.ylist, o) end
  if item.xlabel then
    room.xlabel = room.bottom + 0.05 * line
    room.bottom = room.xlabel + line * text.label(item.xlabel).lines
  end
  if item.ylabel then
    local high = line * text.label(item.ylabel).lines
    room.left = room.left + 0.3 * line + high
  end
  if panel.title then room.top = 0.3 * line + line * text.label(panel.title).lines end
  if panel.headroom then room.top = math.max(room.top, panel.headroom * line) end
  if panel.headwide and box and item.cell.column == o.columns then
    room.right = math.max(room.right, panel.headwide(o.type) - (box.right - box.left))
  end
  if item.key == "outside" then
    local most = 0
    for _, layer in ipairs(panel) do
      if layer.title then most = math.max(most, text.width(layer.title, o.type)) end
    end
    room.right = math.max(room.right, 2 + o.sample + most + 2)
  end
  return room
end

-- Where the boxes of the columns (or rows) begin, and their lengths: before and after are the room that each
-- needs, weights the shares of the rest.
local function share_out(count, before, after, spacing, total, weights)
  local rest, sum = total, 0
  for k = 1, count do
    rest = rest - before[k] - after[k] - (k > 1 and spacing or 0)
    sum = sum + weights[k]
  end
  local start, length, at = {}, {}, 0
  for k = 1, count do
    at = at + before[k] + (k > 1 and spacing or 0)
    start[k], length[k] = at, math.max(rest, 0) * weights[k] / sum
    at = at + length[k] + after[k]
  end
  return start, length, rest
end

-- The room before and after each column and row: the most that one of its items needs.
local function rooms(items, o)
  local r = { left = {}, right = {}, top = {}, bottom = {} }
  for k = 1, o.columns do r.left[k], r.right[k] = 0, 0 end
  for k = 1, o.rows do r.top[k], r.bottom[k] = 0, 0 end
  for _, item in ipairs(items) do
    if not item.inset then
      local c, room = item.cell, room_of(item, o)
      local last_column, last_row = c.column + c.columns - 1, c.row + c.rows - 1
      item.room = room
      r.left[c.column] = math.max(r.left[c.column], room.left)
      r.right[last_column] = math.max(r.right[last_column], room.right)
      r.top[c.row] = math.max(r.top[c.row], room.top)
      r.bottom[last_row] = math.max(r.bottom[last_row], room.bottom)
    end
  end
  return r
end

-- The heights of the rows where the figure's height is not given: those that the ratios of their panels ask
-- for.
local function wanted_heights(items, o, width)
  local heights = {}
  for k = 1, o.rows do heights[k] = 0 end
  for _, item in ipairs(items) do
    local c = item.cell
    if not item.inset and not item.legend and c.rows == 1 then
      local wide = 0
      for k = c.column, c.column + c.columns - 1 do wide = wide + width[k] end
      heights[c.row] = math.max(heights[c.row], (item.panel.ratio or item.ratio or o.ratio) * wide)
    end
  end
  local words = {} -- rows of nothing but legends
  for _, item in ipairs(items) do
    local row = item.cell.row
    if item.legend and heights[row] == 0 then
      local lines = 1.15 * #item.panel + 1 + 2.2 * #item.panel.text
      words[row] = math.max(words[row] or 0, text.height(o.type) * lines)
    end
  end
  for row, height in pairs(words) do heights[row] = height end
  for k = 1, o.rows do
    if heights[k] == 0 then heights[k] = 0.5 * width[1] end
    heights[k] = heights[k] * (o.heights and o.heights[k] or 1)
  end
  return heights
end

-- Shrinks a box to a ratio of height over width, about its middle.
local function with_ratio(box, ratio)
  local wide, high = box.right - box.left, box.top - box.bottom
  if high > wide * ratio then
    local spare = (high - wide * ratio) / 2
    return { left = box.left, right = box.right, bottom = box.bottom + spare, top = box.top - spare }
  end
  local spare = (wide - high / ratio) / 2
  return { left = box.left + spare, right = box.right - spare, bottom = box.bottom, top = box.top }
end

-- Gives the items their boxes, in mm from the figure's lower left corner. Returns the figure's height.
local function set_boxes(items, o)
  local ones = setmetatable({}, { __index = function() return 1 end })
  local r = rooms(items, o)
  local inner = o.width - 2 * o.margin - o.strip.right
  local x, width, rest = share_out(o.columns, r.left, r.right, o.spacing[1], inner, o.widths or ones)
  local above = o.margin + o.strip.top
  local height, y, high
  if o.height then
    height = o.height
    local total = height - above - o.margin - o.strip.bottom
    local rest_high
    y, high, rest_high = share_out(o.rows, r.top, r.bottom, o.spacing[2], total, o.heights or ones)
    rest = math.min(rest, rest_high)
  else
    high, y = wanted_heights(items, o, width), {}
    local at = 0
    for k = 1, o.rows do
      at = at + r.top[k] + (k > 1 and o.spacing[2] or 0)
      y[k], at = at, at + high[k] + r.bottom[k]
    end
    height = at + above + o.margin + o.strip.bottom
  end
  if rest <= 0 then
    raise("figure: %.0f x %.0f mm have no room for the labels of %d x %d panels", o.width, height, o.columns,
      o.rows)
  end
  for _, item in ipairs(items) do
    local c = item.cell
    if not item.inset then
      local last_column, last_row = c.column + c.columns - 1, c.row + c.rows - 1
      local box = {
        left = o.margin + x[c.column], right = o.margin + x[last_column] + width[last_column],
        top = height - above - y[c.row], bottom = height - above - y[last_row] - high[last_row],
      }
      -- Labels of the panels above each other are in one line, and so are those beside each other.
      item.room.left = r.left[c.column]
      if item.room.xlabel then
        local own = item.room.bottom - item.room.xlabel
        item.room.xlabel = r.bottom[last_row] - own
      end
      local ratio = item.panel.ratio or item.ratio
      item.box = ratio and not item.legend and with_ratio(box, ratio) or box
    end
  end
  for _, item in ipairs(items) do
    if item.inset then
      local p, f = item.parent.box, item.panel.inset_at
      local wide, tall = p.right - p.left, p.top - p.bottom
      item.box = {
        left = p.left + f[1] * wide, bottom = p.bottom + f[2] * tall,
        right = p.left + (f[1] + f[3]) * wide, top = p.bottom + (f[2] + f[4]) * tall,
      }
      item.room = room_of(item, o)
    end
  end
  return height
end

--- layout.of(items, o): places the items {panel, …} of a figure: sets cell, box {left, right, top, bottom}
-- (mm), xrange, yrange, xlist and ylist (ticks), room. o: {width (mm), height or nil, columns, type
-- (points), spacing {x, y}, margin, share {x, y}, widths, heights, ratio, strip {top, right, bottom: mm
-- kept free}, sample (mm of a legend's sample)}. Returns the figure's height, mm, and whether numbers of x
-- axes stand upright; where only labels that the caller gave to an axis do, its item has upright.
function layout.of(items, o)
  local panels, own = {}, {}
  for _, item in ipairs(items) do
    if not item.inset then panels[#panels + 1], own[#own + 1] = item.panel, item end
  end
  local cells
  cells, o.rows = place_panels(panels, o.columns)
  if o.heights and #o.heights ~= o.rows then
    raise("figure: heights has %d entries, expected %d, as there are rows", #o.heights, o.rows)
  end
  local kept = {}
  for i, item in ipairs(own) do item.cell = cells[i] end
  for _, item in ipairs(items) do
    if item.inset then item.cell = item.parent.cell end
    if item.panel then kept[#kept + 1] = item end
  end
  o.tick, o.gap = 0.8, 0.45 * text.height(o.type)
  set_ranges(kept, o.share)
  set_numbers(kept, o.share)
  if o.spacing[1] < 3 and o.columns > 1 and (o.share.y or o.tight) then o.overhang = o.spacing[1] / 2 end
  local height
  -- The boxes depend on the numbers' width, and the numbers on the boxes' size.
  for pass = 1, 4 do
    for _, item in ipairs(kept) do
      local box = item.box
      local wide = box and box.right - box.left or o.width / o.columns * 0.7
      local high = box and box.top - box.bottom or (o.height or o.width * 0.7) / o.rows * 0.7
      set_ticks(item, wide, high, o, o.upright_numbers)
    end
    if pass == 2 then
      for _, item in ipairs(kept) do
        if item.xnumbers and (item.xcount or 2) < 2 and not item.inset then o.upright_numbers = true end
        item.upright = crowded(item, item.box.right - item.box.left, o)
      end
      if o.upright_numbers then
        for _, item in ipairs(kept) do
          set_ticks(item, item.box.right - item.box.left, item.box.top - item.box.bottom, o, true)
        end
      end
    end
    height = set_boxes(kept, o)
  end
  return height, o.upright_numbers
end

return layout
