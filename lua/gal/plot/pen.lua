-- What the scripts of panels and of legends share: places, colours, an empty page.
local text = require "gal.plot.text"

local pen = {}

-- Okabe & Ito's (2008) colours, told apart by the colour-blind too; a layer without a colour takes the next.
pen.COLOURS = { "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000" }

--- screen(figure, x, y): the place x, y (mm) as gnuplot's, in parts of the figure.
function pen.screen(figure, x, y)
  return ("screen %.5f,screen %.5f"):format(x / figure.width, y / figure.height)
end

--- box(add, figure, box): sets the panel's box {left, right, bottom, top}, mm.
function pen.box(add, figure, box)
  add(("set lmargin at screen %.5f; set rmargin at screen %.5f; set bmargin at screen %.5f; "
    .. "set tmargin at screen %.5f"):format(box.left / figure.width, box.right / figure.width,
    box.bottom / figure.height, box.top / figure.height))
end

--- empty(add): sets up a panel in which nothing is drawn but labels and a legend.
function pen.empty(add)
  add "unset border; unset xtics; unset ytics; unset logscale"
  add "unset label; unset arrow; unset object; unset key"
  add "set xrange [0:1] noextend; set yrange [0:1] noextend"
end

--- pen.colours(panel[, by_title]): the colours of a panel's layers, {[layer] = colour}: those without one get
-- the next; by_title {[title] = colour}: layers of one title have one colour in all panels.
function pen.colours(panel, by_title)
  local at, paints = 0, {}
  for _, layer in ipairs(panel) do
    paints[layer] = layer.colour or by_title and by_title[layer.title]
    if layer.coloured and not paints[layer] then
      at = at % #pen.COLOURS + 1
      paints[layer] = pen.COLOURS[at]
    end
  end
  return paints
end

--- painted(clause, paint): the clause with its colour.
function pen.painted(clause, paint)
  return (clause:gsub("COLOUR", paint and "rgb '" .. paint .. "'" or ""))
end

--- key_entry(layer, paint): the layer's entry in a legend.
function pen.key_entry(layer, paint)
  local sample = pen.painted(layer.key or layer.style, paint)
  return ("keyentry %s title %s"):format(sample, text.said(layer.title, true))
end

return pen
