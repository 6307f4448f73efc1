-- Figures by gnuplot: panels of layers become NAME.png, .pdf or .svg, and beside it lie the script NAME.gp
-- and the data NAME.dat that made it, so that a figure can be changed by hand: `gnuplot NAME.gp` in its
-- folder draws it again. Labels are text in UTF-8 (M⊙, Å, 10⁹); between two dollars stands TeX-like markup:
-- "$A_V$ [mag]".
local arguments = require "gal.base.options"
local errors = require "gal.base.errors"
local folder = require "gal.base.path"
local layer = require "gal.plot.layer"
local script = require "gal.plot.script"
local raise, kind = errors.raise, errors.kind

local plot = {}

local function publish(room, names)
  for name in names:gmatch "%S+" do plot[name] = room[name] end
end
publish(require "gal.plot.curves", "points lines steps band histogram spike")
publish(require "gal.plot.fields", "density contours")
publish(require "gal.plot.map", "map")
publish(require "gal.plot.marks", "rule label note arrow box")
publish(require "gal.plot.pictures", "picture montage")
publish(require "gal.plot.corner", "corner")
publish(require "gal.plot.labels", "label_of")

-- ---- panels ----

local PANEL = {
  "x", "y", "title", "xrange", "yrange", "logx", "logy", "key", "ratio", "xtics", "ytics", "xticks", "yticks",
  "frame", "at", "span", "inset", "inset_at",
}

-- given, if it is a list of `count` numbers, each from low to high.
local function numbers(where, name, given, count, low, high)
  if given == nil then return nil end
  errors.list(where, name, given, ("a list of %d numbers"):format(count))
  if #given ~= count then
    raise("%s: %s has %d entries, expected %d numbers", where, name, #given, count)
  end
  for i = 1, count do errors.number(where, ("%s[%d]"):format(name, i), given[i], low, high) end
  return given
end

local function check_axes(named)
  for _, name in ipairs{ "xrange", "yrange" } do
    local range = named[name]
    local low, high = unpack(type(range) == "table" and range or {})
    local fits = type(low) == "number" and type(high) == "number" and low ~= high and low - low == 0
      and high - high == 0
    if range and not fits then
      raise("panel: %s is %s, expected two different numbers {low, high}", name, kind(range))
    end
    local log = named["log" .. name:sub(1, 1)]
    if range and log and not (low > 0 and high > 0) then
      raise("panel: %s is {%g, %g}, expected numbers above 0 on a logarithmic axis", name, low, high)
    end
  end
  for _, name in ipairs{ "xticks", "yticks" } do
    for i, v in ipairs(named[name] and errors.list("panel", name, named[name]) or {}) do
      local both = type(v) == "table" and type(v[1]) == "number" and type(v[2]) == "string"
      local fits = type(v) == "number" or both
      if not fits then
        raise("panel: %s[%d] is %s, expected a number or {number, \"label\"}", name, i, kind(v))
      end
    end
  end
end

--- plot.panel{layer, …, x = "label", y = "label", title =, xrange = {low, high}, yrange =, logx = false,
-- logy = false, key = "top left", "outside" or false, ratio = height over width, xtics = true, ytics = true
-- (false: no numbers), xticks = {1, 2, {3, "three"}}, yticks =, frame = "axes" or "box", at = {row,
-- column}, span = {rows, columns}, inset = a panel, inset_at = {x, y, width, height}}: one set of axes. A
-- range goes from its first number to its second, so {20, 10} turns an axis of magnitudes round. at and
-- span place it in the figure's grid; inset_at is in parts of the panel. Layers: plot.points, lines, steps,
-- histogram, density, contours, band, spike, rule, arrow, box, label, note, picture, map.
function plot.panel(spec)
  if type(spec) ~= "table" then
    raise("panel: called with %s, expected a table of layers and labels", kind(spec))
  end
  local named, panel = {}, { is_panel = true }
  for key, value in pairs(spec) do
    if type(key) ~= "number" then
      named[key] = value
    elseif not layer.is(value) then
      raise("panel: entry %d is %s, expected a layer such as plot.points(x, y)", key, kind(value))
    end
  end
  arguments.known("panel", named, PANEL)
  for _, name in ipairs{ "x", "y", "title" } do
    if named[name] ~= nil and named[name] ~= false then errors.text("panel", name, named[name]) end
  end
  check_axes(named)
  if named.key and not (type(named.key) == "string" and named.key:match "^[%a ]+$") then
    raise("panel: key is %s, expected words such as \"top left\", or false", kind(named.key))
  end
  if named.frame ~= nil and named.frame ~= "axes" and named.frame ~= "box" then
    raise("panel: frame is %s, expected \"axes\" or \"box\"", kind(named.frame))
  end
  arguments.number("panel", named, "ratio", nil, 0.01, 100)
  numbers("panel", "at", named.at, 2, 1, 100)
  numbers("panel", "span", named.span, 2, 1, 100)
  numbers("panel", "inset_at", named.inset_at, 4, 0, 1)
  local inset = named.inset
  if inset ~= nil and not (type(inset) == "table" and inset.is_panel and #inset > 0) then
    raise("panel: inset is %s, expected plot.panel{…} with layers", kind(inset))
  end
  for key, value in pairs(named) do panel[key] = value end
  if inset then inset.inset_at = named.inset_at or { 0.6, 0.6, 0.36, 0.36 } end
  for i, v in ipairs(spec) do panel[i] = v end
  return panel
end

--- plot.legend{layer, …, text = {sentence, …}, align = "left" or "right", at =, span =}: a panel that says
-- what layers are, by their titles, with words beneath.
function plot.legend(spec)
  if type(spec) ~= "table" then
    raise("legend: called with %s, expected a table of layers and words", kind(spec))
  end
  local named = {}
  for key, value in pairs(spec) do
    if type(key) ~= "number" then named[key] = value end
  end
  arguments.known("legend", named, { "text", "align", "at", "span" })
  local words = named.text and errors.list("legend", "text", named.text, "a list of sentences") or {}
  for i, sentence in ipairs(words) do
    errors.text("legend", ("text[%d]"):format(i), sentence)
  end
  local panel = { is_panel = true, legend = true, text = words, align = named.align, at = named.at }
  numbers("legend", "at", named.at, 2, 1, 100)
  panel.span = numbers("legend", "span", named.span, 2, 1, 100)
  for i, v in ipairs(spec) do
    if not layer.is(v) then raise("legend: entry %d is %s, expected a layer with a title", i, kind(v)) end
    panel[i] = v
  end
  return panel
end

-- ---- running it ----

local function shell(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

-- Runs gnuplot on NAME.gp in its folder; it writes to `output`. Returns its messages and its exit status.
local function run(home, name, output, ending)
  local set = ("output=%s; ending='%s'"):format(require("gal.plot.text").file(output), ending)
  local command = ("cd %s && gnuplot -e %s %s 2>&1; echo \"status $?\""):format(shell(home), shell(set),
    shell("./" .. name .. ".gp"))
  local pipe = io.popen(command, "r")
  local all = pipe:read "*a"
  pipe:close()
  local messages, status = all:match("^(.*)status (%d+)\n$")
  return messages or all, tonumber(status or 1)
end

-- ---- figures ----

local FIGURE = {
  "title", "width", "height", "columns", "panels", "size", "type", "dpi", "spacing", "margin", "share",
  "widths", "heights", "legend", "notes",
}

-- Raises unless the panels of a figure are a list of panels with layers.
local function check_panels(panels)
  if type(panels) ~= "table" or #panels == 0 then
    raise("figure: panels is %s, expected a list of plot.panel{…}", kind(panels))
  end
  for i, panel in ipairs(panels) do
    if panel and not (type(panel) == "table" and panel.is_panel) then
      raise("figure: panels[%d] is %s, expected plot.panel{…} or false", i, kind(panel))
    end
    if panel and #panel == 0 and not panel.legend then raise("figure: panels[%d] has no layers", i) end
  end
end

local WIDTHS = { column = 84, page = 174 } -- mm

-- Width, height (nil: what the panels want), dots per inch and type of a figure.
local function size_of(spec, columns)
  local panels, size = spec.panels, spec.size
  if size ~= nil then
    local width, height = WIDTHS[size], nil
    if not width then
      if type(size) ~= "table" then
        raise("figure: size is %s, expected \"column\" (84 mm), \"page\" (174 mm) or {width, height} in mm",
          kind(size))
      end
      width = errors.number("figure", "size[1]", size[1], 20, 2000)
      height = size[2] ~= nil and errors.number("figure", "size[2]", size[2], 20, 2000) or nil
    end
    if spec.width ~= nil or spec.height ~= nil then
      raise "figure: both size (mm) and width or height (pixels) are given, expected one of them"
    end
    return {
      width = width, height = height, dpi = arguments.number("figure", spec, "dpi", 300, 30, 2400),
      type = arguments.number("figure", spec, "type", 8, 7, 40), margin = 1, spacing = 4,
    }
  end
  local rows = math.ceil(#panels / columns)
  local width, height = columns * 420, rows * 360 + (spec.title and 30 or 0)
  local alone = #panels == 1 and panels[1] and panels[1][1]
  if alone and alone.kind == "picture" then
    width, height = alone.width + 2, alone.height + 2 + (panels[1].title and 24 or 0)
  end
  local dpi = arguments.number("figure", spec, "dpi", 96, 30, 2400)
  local mm = 25.4 / dpi
  return {
    width = arguments.integer("figure", spec, "width", width, 50, 20000) * mm,
    height = arguments.integer("figure", spec, "height", height, 50, 20000) * mm, dpi = dpi, pixels = true,
    type = arguments.number("figure", spec, "type", 11, 1, 100), margin = 2, spacing = 8,
  }
end

local SHARES = { x = { x = true }, y = { y = true }, both = { x = true, y = true } }
local LEGENDS = { right = true, above = true, below = true }

-- The figure that script.of takes.
local function figure_of(spec, name, ending)
  local columns = arguments.integer("figure", spec, "columns", math.min(#spec.panels, 3), 1, 100)
  local figure = size_of(spec, columns)
  figure.panels, figure.columns = spec.panels, columns
  figure.title = spec.title and errors.text("figure", "title", spec.title)
  figure.name, figure.ending = name, ending
  local spacing = spec.spacing
  if type(spacing) ~= "table" then
    spacing = arguments.number("figure", spec, "spacing", figure.spacing, 0, 100)
    spacing = { spacing, spacing }
  end
  figure.spacing = numbers("figure", "spacing", spacing, 2, 0, 100)
  figure.margin = arguments.number("figure", spec, "margin", figure.margin, 0, 100)
  if spec.share ~= nil and not SHARES[spec.share] then
    raise("figure: share is %s, expected \"x\", \"y\" or \"both\"", kind(spec.share))
  end
  figure.share = SHARES[spec.share] or {}
  if spec.legend and not LEGENDS[spec.legend] then
    raise("figure: legend is %s, expected \"right\", \"above\", \"below\" or false", kind(spec.legend))
  end
  figure.legend, figure.ratio = spec.legend or nil, 0.75
  figure.widths = numbers("figure", "widths", spec.widths, columns, 0.01, 100)
  local heights = spec.heights and errors.list("figure", "heights", spec.heights, "a list of numbers")
  figure.heights = numbers("figure", "heights", heights, heights and #heights or 0, 0.01, 100)
  return figure
end

-- The folder, the name and the ending of a figure's path.
local function taken_apart(path)
  local ending = type(path) == "string" and path:match "[^/]%.(%l+)$"
  if ending ~= "png" and ending ~= "pdf" and ending ~= "svg" then
    raise("figure: path is %s, expected a name that ends in .png, .pdf or .svg%s", kind(path),
      ending == "eps" and "; pdftops -eps makes an EPS of a PDF" or "")
  end
  local stem = path:sub(1, -5)
  local home, name = stem:match "^(.*/)([^/]+)$"
  home, name = home and home:gsub("^%-", "./-") or "./", name or stem
  if name:find "%c" then
    raise("figure: %q has a control character in its name, which gnuplot can't take", path)
  end
  return home, name, ending
end

--- plot.figure(path, {panels = {panel, …}, columns =, title =, size =, width =, height =, type =, dpi =,
-- spacing =, margin =, share =, widths =, heights =, legend =}): draws the panels row by row into path,
-- which ends in .png, .pdf or .svg, and leaves script and data beside it; false in place of a panel leaves
-- its place empty. size = "column" (84 mm wide), "page" (174 mm) or {width, height} in mm: for print, in
-- type of 8 points (7 at least), PNGs with 300 dots per inch; width and height are pixels instead. spacing
-- between panels, or {x, y}, and margin: mm. share = "x": the panels of a column have one x axis, "y":
-- those of a row, "both". widths, heights: of columns and rows, relative. legend = "right", "above" or
-- "below": one for all panels. Raises where gnuplot is missing or fails; the script and the data are there
-- then, the picture is not. Returns path.
function plot.figure(path, spec)
  spec = arguments.known("figure", spec, FIGURE)
  local home, name, ending = taken_apart(path)
  check_panels(spec.panels)
  local text, counts = script.of(figure_of(spec, name, ending))
  folder.make(home)
  folder.write(home .. name .. ".gp", text)
  folder.write(home .. name .. ".dat", table.concat(counts.blocks, "\n\n"))
  for i, bytes in ipairs(counts.binary) do folder.write(("%s%s-%d.rgb"):format(home, name, i), bytes) end
  local temporary = ("." .. name .. "." .. ending .. ".tmp")
  local messages, status = run(home, name, temporary, ending)
  errors.poll()
  if status ~= 0 then
    folder.remove(home .. temporary)
    if status == 127 then
      raise("figure: gnuplot is not installed (on Debian: the package gnuplot-nox); %s%s.gp and its data are "
        .. "written, %s is not", home, name, path)
    end
    raise("figure: gnuplot could not draw %s: %s", path, (messages:gsub("%s+", " "):sub(1, 300)))
  end
  local moved, why = os.rename(home .. temporary, path)
  if not moved then raise("figure: %s can't be written: %s", path, why) end
  return path
end

return plot
