-- Showing a figure to whoever sits at the terminal.
local errors = require "gal.base.errors"
local path_of = require "gal.base.path"
local screen = require "gal.plot.screen"
local raise, kind = errors.raise, errors.kind

local show = {}

local FOLDER = "figures" -- where the prompt draws figures that show themselves

-- ---- figures that show themselves ----

local Figure = {}
local names = setmetatable({}, { __mode = "k" }) -- figure -> what its file is called, without the ending

function Figure.__tostring(figure)
  return ("figure of %d panels; gal.show(figure) draws it"):format(#figure.panels)
end

--- show.figure(spec, name) --> spec, what plot.figure takes, as a figure: at the prompt it shows itself,
-- drawn into figures/NAME.png, and gal.show draws it into NAME.png.
function show.figure(spec, name)
  names[spec] = name
  return setmetatable(spec, Figure)
end

--- show.is_figure(value): whether value is a figure, what plot.figure takes: looked at raw.
function show.is_figure(value)
  local panels = type(value) == "table" and rawget(value, "panels")
  local first = type(panels) == "table" and (rawget(panels, 1) or rawget(panels, 2))
  return type(first) == "table" and rawget(first, "is_panel") == true
end

-- ---- gal.show ----

local function show_file(path)
  show.told = path -- what was printed last: the prompt need not say it again
  io.stdout:write(screen.text(path), path, "\n")
  io.stdout:flush()
  return path
end

--- show.itself(figure): shows a figure, drawn into the folder figures, or beside other temporary files where
-- none can be made here.
function show.itself(figure)
  local name = (names[figure] or "figure") .. ".png"
  local made, home = pcall(path_of.ready, FOLDER)
  home = made and home or (os.getenv "TMPDIR" or "/tmp")
  return show_file(require("gal.plot").figure(home .. "/" .. name, figure))
end

--- gal.show(figure[, path = "figure.png"]): shows a figure: the path of one that is drawn, or what
-- plot.corner gives, or another table that plot.figure takes, or an object with a method figure() that gives
-- one; these are drawn into path first. A terminal shows it as it can: kitty, iTerm2 and terminals with
-- sixels as a picture, others in letters (galrun --pictures). Its path is printed, and returned.
function show.show(figure, path)
  if type(figure) == "table" and not show.is_figure(figure) and type(figure.figure) == "function" then
    figure = figure:figure()
  end
  if type(figure) == "table" and figure.panels ~= nil then
    path = path or (names[figure] or "figure") .. ".png"
    figure = require("gal.plot").figure(path, figure)
  elseif type(figure) ~= "string" or path_of.kind(figure) ~= "file" then
    raise("show: figure is %s, expected the path of a figure, or what plot.corner gives", kind(figure))
  end
  return show_file(figure)
end

return show
