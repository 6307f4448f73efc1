-- A figure that has been laid out as gnuplot's script and data. The script draws NAME.png, .pdf or .svg by
-- the ending of its variable `output`, with any gnuplot from 5.4 on.
local layout = require "gal.plot.layout"
local legend = require "gal.plot.legend"
local pen = require "gal.plot.pen"
local text = require "gal.plot.text"

local script = {}

local SETTINGS = [[
set output output
set encoding utf8
set datafile missing 'nan'
set style fill empty
set palette defined (0 'white', 0.15 '#cfe3f2', 0.5 '#4f9bd0', 1 '#08306b')
unset colorbox
unset key]]

-- The three terminals, so that type, lines and marks have one size in all of them. pngcairo counts in pixels
-- of 1/96 inch times fontscale, pdfcairo draws its type 4/3 too large and its lines 0.6 pt wide; svg has
-- pixels of 1/96 inch.
local function terminals(add, figure)
  local mm, dots = 25.4, figure.dpi / 96
  local function pixels(length, dpi) return math.floor(length / mm * dpi + 0.5) end
  add("form = output[strlen(output)-2:strlen(output)]")
  add("if (exists('ending')) form = ending")
  local pt = figure.type
  add(("if (form eq 'png') set terminal pngcairo size %d,%d font 'Sans,%g' fontscale %.4f linewidth %.4f "
    .. "pointscale %.4f dashlength 0.4 enhanced background 'white'"):format(pixels(figure.width, figure.dpi),
    pixels(figure.height, figure.dpi), pt, dots, dots, figure.pixels and dots or 1.2 * dots))
  add(("if (form eq 'pdf') set terminal pdfcairo size %.3fcm,%.3fcm font 'Sans,%g' fontscale 0.75 "
    .. "linewidth 1.2 dashlength 1.2 enhanced background 'white'"):format(figure.width / 10,
    figure.height / 10, pt))
  add(("if (form eq 'svg') set terminal svg size %d,%d font 'Sans,%g' fontscale 1.3333 dashlength 0.8 "
    .. "enhanced background 'white'"):format(pixels(figure.width, 96), pixels(figure.height, 96), pt))
end

-- ---- a panel ----

-- The ticks of an axis: their labels where the axis has numbers, and smaller ones between them in a box.
local function tick_lines(add, item, axis, figure)
  local panel, entries = item.panel, {}
  local list, parts = item[axis .. "list"], item[axis .. "parts"]
  for _, tick in ipairs(list) do
    local label = item[axis .. "numbers"] and not tick.bare and tick[2] or ""
    entries[#entries + 1] = ("%s %.9g"):format(text.quoted(label), tick[1])
  end
  if panel.frame == "box" and parts > 1 and #list > 1 then
    local low, high = math.min(unpack(item[axis .. "range"])), math.max(unpack(item[axis .. "range"]))
    local step = math.abs(list[2][1] - list[1][1])
    local first = math.min(list[1][1], list[#list][1])
    for k = -parts, parts * (#list + 1) do
      local v, whole = first + k * step / parts, k % parts == 0
      if panel["log" .. axis] then v, whole = first * 10 ^ math.floor(k / 9) * (k % 9 + 1), k % 9 == 0 end
      local fits = v > low and v < high and not whole
      if fits then entries[#entries + 1] = ("\"\" %.9g 1"):format(v) end
    end
  end
  local side = panel.frame == "box" and "in mirror" or "out nomirror"
  local turned = axis == "x" and (figure.upright_numbers or item.upright)
  local shift = axis == "y" and "0.6,0" or turned and "0.15,-0.1" or "0,0.35"
  -- The x axis is told where its labels lie: gnuplot would keep the panel before's.
  local how = turned and "rotate by 90 right" or axis == "x" and "norotate center" or "norotate"
  add(("set %stics %s scale 0.6,0.3 %s offset %s (%s) noenhanced"):format(axis, side, how, shift,
    table.concat(entries, ", ")))
end

local function axis_lines(add, item, axis, figure)
  local range, panel = item[axis .. "range"], item.panel
  -- gnuplot 6 looks at the range of the panel before when it hears of a logarithmic axis.
  local scale = panel["log" .. axis] and "set %srange [1:10]; set logscale %s" or "unset logscale %s"
  add((scale:gsub("%%s", axis)))
  add(("set %srange [%.9g:%.9g] noextend"):format(axis, range[1], range[2]))
  if item.bare or axis == "y" and panel.no_height then
    add(("unset %stics"):format(axis))
  else
    tick_lines(add, item, axis, figure)
  end
end

-- Labels of the axes and the title.
local function label_lines(add, item, figure)
  local box, line, room = item.box, text.height(figure.type), item.room
  local middle_x, middle_y = (box.left + box.right) / 2, (box.bottom + box.top) / 2
  local function put(words, x, y, how)
    local label = text.label(words)
    local up = (label.lines - 1) / 2 * line
    if how ~= "" then x = x - up else y = y + up end
    add(("set label %s at %s center%s %s"):format(label.string, pen.screen(figure, x, y), how, label.how))
  end
  if item.xlabel then
    local lines = text.label(item.xlabel).lines
    put(item.xlabel, middle_x, box.bottom - room.xlabel - line * lines / 2, "")
  end
  if item.ylabel then
    local left = item.ylabel_at or room.left
    put(item.ylabel, box.left - left + line * text.label(item.ylabel).lines / 2, middle_y, " rotate by 90")
  end
  if item.panel.title then
    put(item.panel.title, middle_x, box.top + line * (0.3 + text.label(item.panel.title).lines / 2), "")
  end
end

-- Puts a layer's data with those of the layers before it, and returns what `plot` calls them.
local function source_of(layer, name, counts)
  if layer.binary then
    counts.pictures = counts.pictures + 1
    counts.binary[counts.pictures] = layer.binary
    return text.file(("%s-%d.rgb"):format(name, counts.pictures))
  end
  counts.blocks[#counts.blocks + 1] = layer.data
  return ("%s index %d"):format(text.file(name .. ".dat"), #counts.blocks - 1)
end

-- The layers of one panel; their data go to counts.
local function layer_lines(add, item, figure, counts)
  local clauses, entries, panel = {}, {}, item.panel
  local paints = pen.colours(panel, item.by_title)
  for _, layer in ipairs(panel) do
    if layer.set then add(pen.painted(layer.set, paints[layer])) end
    if layer.draw then
      layer.draw(add, item, figure)
    elseif layer.kind == "label" then
      local label = text.label(layer.words)
      add(("set label %s at %s %s%s %s"):format(label.string, layer.place, layer.how,
        layer.size and (" font ',%d'"):format(layer.size) or "", label.how))
    elseif layer.data or layer.binary then
      local source, ways = source_of(layer, figure.name, counts), {}
      for k, way in ipairs(layer.under or {}) do ways[k] = way end
      ways[#ways + 1] = (layer.binary and "" or "using ") .. layer.using .. " " .. layer.style
      for _, way in ipairs(ways) do
        clauses[#clauses + 1] = ("%s %s notitle"):format(source, pen.painted(way, paints[layer]))
      end
    end
    if layer.title and item.key then entries[#entries + 1] = pen.key_entry(layer, paints[layer]) end
  end
  if #clauses == 0 then clauses[1] = "NaN notitle" end
  for _, entry in ipairs(entries) do clauses[#clauses + 1] = entry end -- nothing is drawn over these
  add("plot " .. table.concat(clauses, ", \\\n     "))
end

-- A panel whose legend is at its side.
local function key_lines(add, item, figure)
  local key = item.key
  if not key then return add "unset key" end
  if key == "outside" then
    key = ("at %s left top"):format(pen.screen(figure, item.box.right + 2, item.box.top))
  end
  add(("set key default; set key %s %s"):format(key, legend.HOW))
end

local function panel_lines(add, item, figure, counts)
  local panel = item.panel
  if panel.legend then return legend.panel(add, item, figure) end
  pen.box(add, figure, item.box)
  add "unset label; unset arrow; unset object"
  if item.inset then
    add "set object rectangle from graph 0,0 to graph 1,1 fc rgb 'white' fs solid noborder behind"
  end
  axis_lines(add, item, "x", figure)
  axis_lines(add, item, "y", figure)
  if item.bare then
    add "unset border"
  else
    add(("set border %d lw 0.8 lc rgb '#222222'"):format(panel.frame == "box" and 15 or 3))
  end
  key_lines(add, item, figure)
  label_lines(add, item, figure)
  layer_lines(add, item, figure, counts)
end

-- ---- the figure ----

-- The items of the panels: {panel, bare, key, …}, insets behind the panel that they are in.
local function items_of(figure)
  local items = {}
  for _, panel in ipairs(figure.panels) do
    local item = { panel = panel }
    items[#items + 1] = item
    if panel then
      local titled = false
      for _, layer in ipairs(panel) do titled = titled or layer.title ~= nil end
      item.legend = panel.legend
      local picture = panel[1] and panel[1].kind == "picture" and panel[1]
      item.bare, item.ratio = picture and true or false, picture and picture.height / picture.width
      local own = not figure.legend and (panel.key == nil and "top right" or panel.key)
      item.key = titled and own or nil
      if panel.inset then
        items[#items + 1] = { panel = panel.inset, inset = true, parent = item, bare = panel.inset[1] and
          panel.inset[1].kind == "picture" }
      end
    end
  end
  return items
end

-- Lines for a picture that fills the figure: with the pixel that gnuplot keeps free on each side, a pixel of
-- the picture is one of the figure, or scale of them.
local function alone_lines(add, figure, counts)
  local panel = figure.panels[1]
  local top = panel.title and 24 or 0
  local height = figure.height / 25.4 * figure.dpi
  add "set lmargin at screen 0; set rmargin at screen 1; set bmargin at screen 0"
  add(("set tmargin at screen %.9f"):format(1 - top / height))
  if top > 0 then
    local middle = 1 - 0.5 * top / height
    add(("set label 1 %s at screen 0.5, screen %.9f center"):format(text.said(panel.title), middle))
  end
  local e = panel[1].extent
  add(("set xrange [%g:%g] noextend; set yrange [%g:%g] noextend"):format(unpack(e)))
  add "unset xtics; unset ytics; unset border; set size ratio -1"
  layer_lines(add, { panel = panel }, figure, counts)
end

-- Lines for panels, legends and the title.
local function page_lines(add, figure, counts)
  figure.sample = 1.8 * 0.8 * text.height(figure.type) + 2
  local items, own = items_of(figure), nil
  figure.strip, own = legend.strip(items, figure)
  local height = figure.height
  figure.height, figure.upright_numbers = layout.of(items, figure)
  local below = legend.below(items, figure)
  if below > 0 then
    figure.strip.bottom, figure.height = figure.strip.bottom + below, height
    figure.height, figure.upright_numbers = layout.of(items, figure)
  end
  add "set multiplot"
  for i, item in ipairs(items) do
    if item.panel then
      add(("# panel %d%s"):format(i, item.panel.pair and ", a pair" or ""))
      panel_lines(add, item, figure, counts)
    end
  end
  if own then legend.own(add, own, figure) end
  if figure.title then
    local title, high = text.label(figure.title, true), figure.height - figure.margin
    pen.empty(add)
    add(("set label %s at %s center font ',%g' %s"):format(title.string, pen.screen(figure, figure.width / 2,
      high - 0.7 * text.height(figure.type)), 1.15 * figure.type, title.how))
    add "plot NaN notitle"
  end
  add "unset multiplot"
end

--- script.of(figure): the script of a figure {name, ending, panels, columns, width and height (mm; height
-- may be nil), dpi, type, pixels (whether its size was given in these), title, legend, …, as plot.figure
-- checks them}, and its data {blocks, binary}.
function script.of(figure)
  local lines, counts, body = {}, { blocks = {}, pictures = 0, binary = {} }, {}
  local function add(line) body[#body + 1] = line end
  local alone = #figure.panels == 1 and figure.panels[1][1].kind == "picture" and figure.pixels
  if alone then
    alone_lines(add, figure, counts)
  else
    page_lines(add, figure, counts)
  end
  local function head(line) lines[#lines + 1] = line end
  local name = figure.name
  head(("# gnuplot %s.gp draws %s.%s from the data beside it;"):format(name, name, figure.ending))
  head(("# gnuplot -e \"output='other.pdf'\" %s.gp another: a png, pdf or svg."):format(name))
  head "# Numbers behind \"screen\" are parts of the figure's size."
  head(("if (!exists('output')) output = %s"):format(text.file(figure.name .. "." .. figure.ending)))
  terminals(head, figure)
  head(SETTINGS)
  for _, line in ipairs(body) do head(line) end
  head "set output"
  return table.concat(lines, "\n") .. "\n", counts
end

return script
