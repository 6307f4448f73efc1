-- Layers that point something out: rules, labels, notes, arrows, boxes.
local arguments = require "gal.base.options"
local curves = require "gal.plot.curves"
local errors = require "gal.base.errors"
local layer = require "gal.plot.layer"
local text = require "gal.plot.text"
local raise, kind = errors.raise, errors.kind
local options = layer.options

local marks = {}

--- plot.rule{x = value} or {y = value} or {slope =, intercept =}, with {from =, to =, title =, colour =
-- "#888888", width = 1, dash = 2}: a straight line; from and to are where it begins and ends: along y for a
-- rule at x, else along x. A rule at x or y without them goes through the whole panel.
function marks.rule(given)
  local o = options("rule", given, {
    "x", "y", "slope", "intercept", "from", "to", "title", "colour", "width", "dash",
  })
  local value = {}
  for _, name in ipairs{ "x", "y", "slope", "intercept", "from", "to" } do
    value[name] = arguments.number("rule", o, name, nil, -1e300, 1e300)
  end
  local from, to = value.from, value.to
  local looks = {
    title = o.title, colour = o.colour or "#888888", width = o.width or 1, dash = o.dash or 2,
  }
  if from and to then
    local slope, intercept = value.y and 0 or value.slope or 1, value.y or value.intercept or 0
    if value.x then return curves.lines({ value.x, value.x }, { from, to }, looks) end
    return curves.lines({ from, to }, { intercept + slope * from, intercept + slope * to }, looks)
  end
  if not (value.x or value.y) then
    raise "rule: from and to are missing, expected where the line begins and ends"
  end
  local style = ("lw %g dt %d lc COLOUR"):format(arguments.number("rule", looks, "width", 1, 0),
    arguments.integer("rule", looks, "dash", 2, 1, 10))
  local place = value.x and ("%.9g,graph 0 to %.9g,graph 1"):format(value.x, value.x)
    or ("graph 0,first %.9g to graph 1,first %.9g"):format(value.y, value.y)
  return layer.curve("rule", looks, {
    set = ("set arrow from first %s nohead back %s"):format(place, style):gsub("first graph", "graph"),
    key = "with lines " .. style,
  })
end

local function place_of(where, x, y)
  if type(x) ~= "number" or type(y) ~= "number" or x - x ~= 0 or y - y ~= 0 then
    raise("%s: its place is %s and %s, expected two numbers", where, kind(x), kind(y))
  end
  return ("%.9g,%.9g"):format(x, y)
end

--- plot.label(text, x, y, {align = "left", colour = "#000000", size =, angle = 0}): text at a place in the
-- panel's own units; size in points.
function marks.label(words, x, y, given)
  local o = options("label", given, { "align", "colour", "size", "angle" })
  local place = place_of("label", x, y)
  local align = o.align or "left"
  if align ~= "left" and align ~= "right" and align ~= "center" then
    raise("label: align is %s, expected \"left\", \"center\" or \"right\"", kind(align))
  end
  local angle = arguments.number("label", o, "angle", 0, -360, 360)
  return layer.new{
    kind = "label", words = words, place = place, size = arguments.integer("label", o, "size", nil, 1, 100),
    how = ("%s rotate by %g front textcolor rgb '%s'"):format(align, angle, o.colour or "#000000"),
  }
end

local CORNERS = { top = true, bottom = true, left = true, right = true, center = true }

--- plot.note(text, "top left", {colour = "#000000", size =}): text in a corner of the panel: "top", "bottom"
-- or "center" with "left", "center" or "right". It may have line breaks.
function marks.note(words, corner, given)
  local o = options("note", given, { "colour", "size" })
  corner = corner or "top left"
  local upright, across = tostring(corner):match "^(%a+) (%a+)$"
  if type(corner) ~= "string" or not (CORNERS[upright] and CORNERS[across])
    or upright == "left" or upright == "right" or across == "top" or across == "bottom" then
    raise("note: corner is %s, expected such as \"top left\"", kind(corner))
  end
  local lines = text.label(words).lines
  local x = ({ left = 0, center = 0.5, right = 1 })[across]
  local y = ({ top = 1, center = 0.5, bottom = 0 })[upright]
  local dx = ({ left = 0.6, center = 0, right = -0.6 })[across]
  local dy = ({ top = -0.8, center = (lines - 1) / 2, bottom = lines - 0.2 })[upright]
  return layer.new{
    kind = "label", words = words, place = ("graph %g,graph %g"):format(x, y),
    size = arguments.integer("note", o, "size", nil, 1, 100),
    how = ("%s offset character %g,%g front textcolor rgb '%s'"):format(across, dx, dy,
      o.colour or "#000000"),
  }
end

--- plot.arrow(x0, y0, x1, y1, {head = true, colour = "#000000", width = 1, dash = 1}): an arrow, or a line,
-- between two places in the panel's units.
function marks.arrow(x0, y0, x1, y1, given)
  local o = options("arrow", given, { "head", "colour", "width", "dash" })
  local from, to = place_of("arrow", x0, y0), place_of("arrow", x1, y1)
  return layer.new{
    kind = "arrow", colour = o.colour or "#000000",
    set = ("set arrow from %s to %s %s front lw %g dt %d lc COLOUR"):format(from, to,
      o.head == false and "nohead" or "head filled size screen 0.012,20",
      arguments.number("arrow", o, "width", 1, 0), arguments.integer("arrow", o, "dash", 1, 1, 10)),
    extent = { math.min(x0, x1), math.max(x0, x1), math.min(y0, y1), math.max(y0, y1) },
  }
end

--- plot.box({x0, x1}, {y0, y1}, {colour =, width = 1.2, dash = 1, filled = false, title =}): a rectangle in
-- the panel's units.
function marks.box(xs, ys, given)
  local o = options("box", given, { "colour", "width", "dash", "filled", "title" })
  local x0, x1 = layer.pair("box", "the range of x", xs)
  local y0, y1 = layer.pair("box", "the range of y", ys)
  local data = ""
  for _, p in ipairs{ { x0, y0 }, { x1, y0 }, { x1, y1 }, { x0, y1 }, { x0, y0 } } do
    data = data .. ("%.9g %.9g\n"):format(p[1], p[2])
  end
  local line = ("with lines lw %g dt %d lc COLOUR"):format(arguments.number("box", o, "width", 1.2, 0),
    arguments.integer("box", o, "dash", 1, 1, 10))
  return layer.curve("box", o, {
    data = data, using = "1:2", extent = { x0, x1, y0, y1 },
    style = o.filled and "with filledcurves fs transparent solid 0.2 noborder lc COLOUR" or line,
  })
end

return marks
