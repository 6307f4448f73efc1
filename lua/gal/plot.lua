-- Figures by gnuplot: panels of layers (gal.plot.layers) become NAME.png, and beside it lie the script
-- NAME.gp and the data NAME.dat that made it, so that a figure can be changed by hand: `gnuplot NAME.gp` in
-- its folder draws it again. Labels are plain text in UTF-8: M⊙, Å, 10⁹.
local arguments = require "gal.base.options"
local errors = require "gal.base.errors"
local folder = require "gal.base.path"
local layers = require "gal.plot.layers"
local raise, kind = errors.raise, errors.kind

local plot = {}
for name, make in pairs(layers.public) do plot[name] = make end

-- Okabe & Ito's (2008) colours, told apart by the colour-blind too; a layer without a colour takes the next.
local COLOURS = { "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000" }

local PANEL = { "x", "y", "title", "xrange", "yrange", "logx", "logy", "key", "ratio", "xtics", "ytics" }
local FIGURE = { "title", "width", "height", "columns", "panels" }

--- plot.panel{layer, …, x = "label", y = "label", title =, xrange = {low, high}, yrange =, logx = false,
-- logy = false, key = "top left" or false, ratio = height over width, xtics = true, ytics = true (false: no
-- numbers)}: one set of axes. A range goes from its first number to its second, so {20, 10} turns an axis of
-- magnitudes round. Layers: plot.points, lines, histogram, density, contours, band, rule, label, picture.
function plot.panel(spec)
  if type(spec) ~= "table" then
    raise("panel: called with %s, expected a table of layers and labels", kind(spec))
  end
  local named, panel = {}, { is_panel = true }
  for key, value in pairs(spec) do
    if type(key) ~= "number" then
      named[key] = value
    elseif not layers.is_layer(value) then
      raise("panel: entry %d is %s, expected a layer such as plot.points(x, y)", key, kind(value))
    end
  end
  arguments.known("panel", named, PANEL)
  for _, name in ipairs{ "xrange", "yrange" } do
    local range = named[name]
    local low, high = unpack(type(range) == "table" and range or {})
    if range and not (type(low) == "number" and type(high) == "number" and low ~= high) then
      raise("panel: %s is %s, expected two different numbers {low, high}", name, kind(range))
    end
  end
  if named.key and not (type(named.key) == "string" and named.key:match "^[%a ]+$") then
    raise("panel: key is %s, expected words such as \"top left\", or false", kind(named.key))
  end
  for key, value in pairs(named) do panel[key] = value end
  for i, layer in ipairs(spec) do panel[i] = layer end
  return panel
end

-- ---- the script ----

-- A text as gnuplot's string. Between single quotes gnuplot takes ''' at the beginning for an empty string;
-- between double ones it runs what stands in backquotes and knows escapes: what means more than itself there
-- is written in octal.
local function quoted(s)
  local function octal(c) return ("\\%03o"):format(c:byte()) end
  return '"' .. tostring(s):gsub("\n", " "):gsub('[%c"\\`@]', octal) .. '"'
end

-- A file of the figure as gnuplot's string: behind ./ no name is a command (<id) or a data block ($x).
local function in_folder(file) return quoted("./" .. file) end

-- Whether the panel is one picture: without axes.
local function is_picture(panel) return panel and panel[1] and panel[1].kind == "picture" end

-- The lines of the script that set up one axis, "x" or "y".
local function axis_lines(add, panel, axis)
  local range, bare = panel[axis .. "range"], is_picture(panel)
  if range then
    add(("set %srange [%.9g:%.9g]"):format(axis, range[1], range[2]))
  else
    add(("set %srange [*:*]%s"):format(axis, bare and " noextend" or ""))
  end
  add((panel["log" .. axis] and "set logscale " or "unset logscale ") .. axis)
  if bare then
    add(("unset %stics"):format(axis))
  else
    local numbers = panel[axis .. "tics"] == false and "''" or "'%g' nomirror"
    add(("set %stics format %s"):format(axis, numbers))
  end
end

-- Puts a layer's data with those of the layers before it, and returns what `plot` calls them.
local function source_of(layer, name, counts)
  if layer.binary then
    counts.pictures = counts.pictures + 1
    counts.binary[counts.pictures] = layer.binary
    return in_folder(("%s-%d.rgb"):format(name, counts.pictures))
  end
  counts.blocks[#counts.blocks + 1] = layer.data
  return ("%s index %d"):format(in_folder(name .. ".dat"), #counts.blocks - 1)
end

-- Lines of the script for the layers of one panel; their data go to counts.
local function layer_lines(add, panel, name, counts)
  local clauses, colour = {}, 0
  for _, layer in ipairs(panel) do
    if layer.kind == "label" then
      add(("set label %s at %s,%s %s"):format(quoted(layer.text), layer.x, layer.y, layer.how))
    else
      local paint = layer.colour
      if not paint and layer.coloured then
        colour = colour % #COLOURS + 1
        paint = COLOURS[colour]
      end
      local clause = layer.clause:gsub("COLOUR", paint and "rgb '" .. paint .. "'" or "")
      local title = layer.title and "title " .. quoted(layer.title) or "notitle"
      clauses[#clauses + 1] = ("%s %s %s"):format(source_of(layer, name, counts), clause, title)
    end
  end
  add("plot " .. table.concat(clauses, ", \\\n     "))
end

-- Lines of the script for one panel. alone: it is one picture, which fills the figure, and its title has been
-- set.
local function panel_lines(add, panel, name, counts, alone)
  add(panel.title and not alone and "set title " .. quoted(panel.title) or "unset title")
  add(panel.x and "set xlabel " .. quoted(panel.x) or "unset xlabel")
  add(panel.y and "set ylabel " .. quoted(panel.y) or "unset ylabel")
  axis_lines(add, panel, "x")
  axis_lines(add, panel, "y")
  if is_picture(panel) then
    add "unset border"
    add "set size ratio -1"
  else
    add "set border 3 lw 1 lc rgb '#444444'"
    add(panel.ratio and ("set size ratio %g"):format(panel.ratio) or "set size noratio")
  end
  local titled = false
  for _, layer in ipairs(panel) do titled = titled or layer.title ~= nil end
  local key = titled and panel.key ~= false
  add(key and ("set key %s samplen 1.5 spacing 1.1"):format(panel.key or "top right") or "unset key")
  if not alone then add "unset label" end
  layer_lines(add, panel, name, counts)
end

-- Lines for a picture that fills the figure: with the pixel that gnuplot keeps free on each side, a pixel of
-- the picture is one of the figure, or scale of them.
local function alone_lines(add, panel, height)
  local top = panel.title and 24 or 0
  add "set lmargin at screen 0; set rmargin at screen 1; set bmargin at screen 0"
  add(("set tmargin at screen %.9f"):format(1 - top / height))
  if top == 0 then return end
  local middle = 1 - 0.5 * top / height
  add(("set label 1 %s at screen 0.5, screen %.9f center"):format(quoted(panel.title), middle))
end

local SETTINGS = [[
set output output
set encoding utf8
set datafile missing 'nan'
set style fill solid 0.35 noborder
set tics out scale 0.6
set palette defined (0 'white', 0.15 '#cfe3f2', 0.5 '#4f9bd0', 1 '#08306b')
unset colorbox]]

-- The script of figure `name` {panels, columns, rows, width, height, title}, and its data: {blocks, binary}.
local function script_of(name, figure)
  local lines, counts = {}, { blocks = {}, pictures = 0, binary = {} }
  local panels, title = figure.panels, figure.title
  local function add(line) lines[#lines + 1] = line end
  add(("# gnuplot %s.gp draws %s.png from the data beside it."):format(name, name))
  add(("if (!exists('output')) output = %s"):format(in_folder(name .. ".png")))
  add(("set terminal pngcairo size %d,%d font 'Sans,11' noenhanced background 'white'"):format(figure.width,
    figure.height))
  add(SETTINGS)
  local alone = #panels == 1 and is_picture(panels[1])
  local many = not alone and (#panels > 1 or title)
  if alone then alone_lines(add, panels[1], figure.height) end
  if many then
    local words = title and (" title %s font 'Sans,13'"):format(quoted(title)) or ""
    add(("set multiplot layout %d,%d%s"):format(figure.rows, figure.columns, words))
  end
  for _, panel in ipairs(panels) do
    if panel then
      panel_lines(add, panel, name, counts, alone)
    else
      add "set multiplot next"
    end
  end
  if many then add "unset multiplot" end
  add "set output"
  return table.concat(lines, "\n") .. "\n", counts
end

-- ---- running it ----

local function shell(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

-- Runs gnuplot on NAME.gp in its folder; it writes to `output`. Returns its messages and its exit status.
local function run(home, name, output)
  local command = ("cd %s && gnuplot -e %s %s 2>&1; echo \"status $?\""):format(shell(home),
    shell("output=" .. in_folder(output)), shell("./" .. name .. ".gp"))
  local pipe = io.popen(command, "r")
  local all = pipe:read "*a"
  pipe:close()
  local messages, status = all:match("^(.*)status (%d+)\n$")
  return messages or all, tonumber(status or 1)
end

-- Raises unless the panels of a figure are a list of panels with layers.
local function check_panels(panels)
  if type(panels) ~= "table" or #panels == 0 then
    raise("figure: panels is %s, expected a list of plot.panel{…}", kind(panels))
  end
  for i, panel in ipairs(panels) do
    if panel and not (type(panel) == "table" and panel.is_panel) then
      raise("figure: panels[%d] is %s, expected plot.panel{…} or false", i, kind(panel))
    end
    if panel and #panel == 0 then raise("figure: panels[%d] has no layers", i) end
  end
end

-- The figure's layout, with what is not given filled in.
local function layout_of(spec)
  local panels = spec.panels
  local columns = arguments.integer("figure", spec, "columns", math.min(#panels, 3), 1, 100)
  local rows = math.ceil(#panels / columns)
  local width, height = columns * 420, rows * 360 + (spec.title and 30 or 0)
  if #panels == 1 and is_picture(panels[1]) then
    local picture = panels[1][1]
    width, height = picture.width + 2, picture.height + 2 + (panels[1].title and 24 or 0)
  end
  return {
    panels = panels, title = spec.title, columns = columns, rows = rows,
    width = arguments.integer("figure", spec, "width", width, 50, 20000),
    height = arguments.integer("figure", spec, "height", height, 50, 20000),
  }
end

--- plot.figure(path, {panels = {panel, …}, columns =, title =, width =, height =}): draws the panels row by
-- row into path, which ends in .png, and leaves script and data beside it; false in place of a panel leaves
-- its place empty. Width and height are pixels. Raises where gnuplot is missing or fails; the script and the
-- data are there then, the picture is not. Returns path.
function plot.figure(path, spec)
  spec = arguments.known("figure", spec, FIGURE)
  if type(path) ~= "string" or not path:match "[^/]%.png$" then
    raise("figure: path is %s, expected a name that ends in .png", kind(path))
  end
  check_panels(spec.panels)
  local layout = layout_of(spec)
  local home, name = path:match "^(.*/)([^/]+)%.png$"
  home, name = home and home:gsub("^%-", "./-") or "./", name or path:match "^(.+)%.png$"
  if name:find "%c" then
    raise("figure: %q has a control character in its name, which gnuplot can't take", path)
  end
  folder.make(home)
  local script, counts = script_of(name, layout)
  folder.write(home .. name .. ".gp", script)
  folder.write(home .. name .. ".dat", table.concat(counts.blocks, "\n\n"))
  for i, bytes in ipairs(counts.binary) do folder.write(("%s%s-%d.rgb"):format(home, name, i), bytes) end
  local temporary = "." .. name .. ".png.tmp"
  local messages, status = run(home, name, temporary)
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
