-- Showing a figure to whoever sits at the prompt.
local errors = require "gal.base.errors"
local path_of = require "gal.base.path"
local raise, kind = errors.raise, errors.kind

local show = {}

--- gal.show(figure[, path = "figure.png"]): shows a figure: the path of one that is drawn, or what
-- plot.corner gives, or another table that plot.figure takes, which is drawn into path first. Its path is
-- printed, and returned.
function show.show(figure, path)
  if type(figure) == "table" then
    figure = require("gal.plot").figure(path or "figure.png", figure)
  elseif type(figure) ~= "string" or path_of.kind(figure) ~= "file" then
    raise("show: figure is %s, expected the path of a figure, or what plot.corner gives", kind(figure))
  end
  io.stdout:write(figure, "\n")
  return figure
end

return show
