-- Figures by gnuplot: panels of layers (gal.plot.layers) become NAME.png, and beside it lie the script
-- NAME.gp and the data NAME.dat that made it, so that a figure can be changed by hand: `gnuplot NAME.gp` in
-- its folder draws it again. Labels are plain text in UTF-8: M⊙, Å, 10⁹.
local ffi = require "ffi"
local arguments = require "gal.base.options"
local errors = require "gal.base.errors"
local folder = require "gal.base.path"
local layers = require "gal.plot.layers"
local C = ffi.C
local raise, kind = errors.raise, errors.kind

local plot = {}
for name, make in pairs(layers.public) do plot[name] = make end

-- Okabe & Ito's (2008) colours, told apart by the colour-blind too; a layer without a colour takes the next.
local COLOURS = { "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000" }

local PANEL = { "x", "y", "title", "xrange", "yrange", "logx", "logy", "key", "ratio", "xtics", "ytics" }
local FIGURE = { "title", "width", "height", "columns", "panels" }

--- plot.panel{layer, …, x = "label", y = "label", title =, xrange = {low, high}, yrange =, logx = false, logy
-- = false, key = "top left" or false, ratio = height over width,
--- xtics = true, ytics = true (false: no numbers)}: one set of axes. Ranges go from the first number to the
-- second, so {20, 10} turns an axis of magnitudes round.
--- Layers: plot.points, lines, histogram, density, contours, band, rule, label, picture.
function plot.panel(spec)
  if type(spec) ~= "table" then raise("panel: called with %s, expected a table of layers and labels", kind(spec)) end
  local panel = { is_panel = true }
  for key, value in pairs(spec) do
    if type(key) ~= "number" then
      panel[key] = value
    elseif not layers.is_layer(value) then
      raise("panel: entry %d is %s, expected a layer such as plot.points(x, y)", key, kind(value))
    end
  end
  panel.is_panel = nil
  arguments.known("panel", panel, PANEL)
  for _, name in ipairs{ "xrange", "yrange" } do
    local range = panel[name]
    if range and not (type(range) == "table" and type(range[1]) == "number" and type(range[2]) == "number" and range[1] ~= range[2]) then
      raise("panel: %s is %s, expected two different numbers {low, high}", name, kind(range))
    end
  end
  panel.is_panel = true
  for i, layer in ipairs(spec) do panel[i] = layer end
  return panel
end

-- ---- the script ----

local function quoted(s) return "'" .. tostring(s):gsub("'", "''"):gsub("\n", " ") .. "'" end

-- Lines of the script for one panel; what they draw goes to counts. alone: it is one picture, which fills the
-- figure, and its title has been set.
local function panel_lines(add, panel, name, counts, alone)
  local bare = panel[1] and panel[1].kind == "picture"
  add(panel.title and not alone and "set title " .. quoted(panel.title) or "unset title")
  add(panel.x and "set xlabel " .. quoted(panel.x) or "unset xlabel")
  add(panel.y and "set ylabel " .. quoted(panel.y) or "unset ylabel")
  for axis, range in pairs{ x = panel.xrange, y = panel.yrange } do add(("set %srange [%.9g:%.9g]"):format(axis, range[1], range[2])) end
  if not panel.xrange then add(bare and "set xrange [*:*] noextend" or "set xrange [*:*]") end
  if not panel.yrange then add(bare and "set yrange [*:*] noextend" or "set yrange [*:*]") end
  for _, axis in ipairs{ "x", "y" } do
    add(panel["log" .. axis] and "set logscale " .. axis or "unset logscale " .. axis)
    add(bare and ("unset %stics"):format(axis) or panel[axis .. "tics"] == false and ("set %stics format ''"):format(axis) or ("set %stics format '%%g' nomirror"):format(axis))
  end
  add(bare and "unset border" or "set border 3 lw 1 lc rgb '#444444'")
  add(bare and "set size ratio -1" or panel.ratio and ("set size ratio %g"):format(panel.ratio) or "set size noratio")
  local titled = false
  for _, layer in ipairs(panel) do titled = titled or layer.title ~= nil end
  add(titled and panel.key ~= false and ("set key %s samplen 1.5 spacing 1.1"):format(panel.key or "top right") or "unset key")
  if not alone then add "unset label" end
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
      local source
      if layer.binary then
        counts.pictures = counts.pictures + 1
        source = ("'%s-%d.rgb'"):format(name, counts.pictures)
        counts.binary[counts.pictures] = layer.binary
      else
        source = ("'%s.dat' index %d"):format(name, #counts.blocks)
        counts.blocks[#counts.blocks + 1] = layer.data
      end
      clauses[#clauses + 1] = ("%s %s %s"):format(source, layer.clause:gsub("COLOUR", paint and "rgb '" .. paint .. "'" or ""), layer.title and "title " .. quoted(layer.title) or "notitle")
    end
  end
  add("plot " .. table.concat(clauses, ", \\\n     "))
end

local function script_of(name, spec, panels, columns, rows, width, height)
  local lines, counts = {}, { blocks = {}, pictures = 0, binary = {} }
  local function add(line) lines[#lines + 1] = line end
  add(("# gnuplot %s.gp draws %s.png from the data beside it."):format(name, name))
  add(("if (!exists('output')) output = '%s.png'"):format(name))
  add(("set terminal pngcairo size %d,%d font 'Sans,11' noenhanced background 'white'"):format(width, height))
  add "set output output"
  add "set encoding utf8"
  add "set datafile missing 'nan'"
  add "set style fill solid 0.35 noborder"
  add "set tics out scale 0.6"
  add "set palette defined (0 'white', 0.15 '#cfe3f2', 0.5 '#4f9bd0', 1 '#08306b')"
  add "unset colorbox"
  local alone = #panels == 1 and panels[1] and panels[1][1] and panels[1][1].kind == "picture"
  if alone then -- with the pixel that gnuplot keeps free on each side, a pixel of the picture is one of the figure, or scale of them
    local top = panels[1].title and 24 or 0
    add(("set lmargin at screen 0; set rmargin at screen 1; set bmargin at screen 0; set tmargin at screen %.9f"):format(1 - top / height))
    if top > 0 then add(("set label 1 %s at screen 0.5, screen %.9f center"):format(quoted(panels[1].title), 1 - 0.5 * top / height)) end
  end
  if not alone and (#panels > 1 or spec.title) then
    add(("set multiplot layout %d,%d%s"):format(rows, columns, spec.title and " title " .. quoted(spec.title) .. " font 'Sans,13'" or ""))
  end
  for _, panel in ipairs(panels) do
    if panel then
      panel_lines(add, panel, name, counts, alone)
    else
      add "set multiplot next"
    end
  end
  if not alone and (#panels > 1 or spec.title) then add "unset multiplot" end
  add "set output"
  return table.concat(lines, "\n") .. "\n", counts
end

-- ---- running it ----

local function shell(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

-- What gnuplot says and its exit status, run on NAME.gp in its folder; it writes to `output`.
local function run(home, name, output)
  local pipe = io.popen(("cd %s && gnuplot -e %s %s 2>&1; echo \"status $?\""):format(shell(home), shell("output=" .. quoted(output)), shell(name .. ".gp")), "r")
  local said = pipe:read "*a"
  pipe:close()
  local text, status = said:match("^(.*)status (%d+)\n$")
  return text or said, tonumber(status or 1)
end

--- plot.figure(path, {panels = {panel, …}, columns =, title =, width =, height =}): draws the panels row by
-- row into path, which ends in .png, and leaves script and data beside it;
--- false in place of a panel leaves its place empty. Width and height are pixels. Raises where gnuplot is
-- missing or fails, and then the script and data are there, the
--- picture is not. Returns path.
function plot.figure(path, spec)
  spec = arguments.known("figure", spec, FIGURE)
  if type(path) ~= "string" or not path:match "[^/]%.png$" then raise("figure: path is %s, expected a name that ends in .png", kind(path)) end
  local panels = spec.panels
  if type(panels) ~= "table" or #panels == 0 then raise("figure: panels is %s, expected a list of plot.panel{…}", kind(panels)) end
  for i, panel in ipairs(panels) do
    if panel and not (type(panel) == "table" and panel.is_panel) then raise("figure: panels[%d] is %s, expected plot.panel{…} or false", i, kind(panel)) end
    if panel and #panel == 0 then raise("figure: panels[%d] has no layers", i) end
  end
  local columns = arguments.integer("figure", spec, "columns", math.min(#panels, 3), 1, 100)
  local rows = math.ceil(#panels / columns)
  local first = panels[1] and panels[1][1]
  local width, height = columns * 420, rows * 360 + (spec.title and 30 or 0)
  if #panels == 1 and first and first.kind == "picture" then width, height = first.width + 2, first.height + 2 + (panels[1].title and 24 or 0) end
  width = arguments.integer("figure", spec, "width", width, 50, 20000)
  height = arguments.integer("figure", spec, "height", height, 50, 20000)

  local home, name = path:match "^(.*/)([^/]+)%.png$"
  home, name = home or "./", name or path:match "^(.+)%.png$"
  if name:find "['\n]" then raise("figure: %s has a quote or a new line in its name, which gnuplot can't take", path) end
  folder.make(home)
  local script, counts = script_of(name, spec, panels, columns, rows, width, height)
  folder.write(home .. name .. ".gp", script)
  folder.write(home .. name .. ".dat", table.concat(counts.blocks, "\n\n"))
  for i, bytes in ipairs(counts.binary) do folder.write(("%s%s-%d.rgb"):format(home, name, i), bytes) end
  local temporary = "." .. name .. ".png.tmp"
  local said, status = run(home, name, temporary)
  errors.poll()
  if status ~= 0 then
    os.remove(home .. temporary)
    if status == 127 then raise("figure: gnuplot is not installed (on Debian: the package gnuplot-nox); %s%s.gp and its data are written, %s is not", home, name, path) end
    raise("figure: gnuplot could not draw %s: %s", path, (said:gsub("%s+", " "):sub(1, 300)))
  end
  local moved, why = os.rename(home .. temporary, path)
  if not moved then raise("figure: %s can't be written: %s", path, why) end
  return path
end

return plot
