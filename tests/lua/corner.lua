-- gal.plot.corner and what it stands on: contours that hold what they say, weighted quantiles, digits, ticks,
-- labels, and the boxes and data of the figures, read from their scripts.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local contours = dofile "lua/lib/contours.lua"
local density_grid = require "gal.stats.density_grid"
local fields = require "gal.plot.fields"
local host = require "gal.stats.host"
local labels = require "gal.plot.labels"
local loops = require "gal.plot.loops"
local plot = require "gal.plot"
local rounding = require "gal.plot.rounding"
local text = require "gal.plot.text"
local ticks = require "gal.plot.ticks"
local weighted = require "gal.stats.weighted"

local scratch = dofile "lua/lib/scratch.lua"
local home = scratch.folder
local function file(name) return scratch.read(scratch.path(name)) end

-- Whether one of the sentences has these words.
local function says(notes, words)
  for _, note in ipairs(notes) do
    if note:find(words, 1, true) then return true end
  end
  return check.that(false, ("%q is not said, but: %s"):format(words, table.concat(notes, "; ")))
end

-- Draws {n, d} of independent normals of these means and deviations.
local function normals(n, seed, mean, sd)
  return gal.randn({ n, #mean }, { rng = gal.rng(seed) }) * gal.tensor(sd) + gal.tensor(mean)
end

-- ---- densities ----

check.case("contours of small samples hold the shares that they are named by", function()
  -- 40 samples of 400 draws. The share within a contour scatters as that of the draws within a fixed one,
  -- with variance p (1 - p) / 400, and by the fresh draws; 1.3: the shape of the contour scatters, too.
  -- Three deviations of the mean are .014 at .393 and .006 at .95. With each draw in its own density the
  -- contours would hold .02 and .012 less.
  local LEVELS, N, R, FRESH = { 0.393, 0.68, 0.864, 0.95 }, 400, 40, 2000
  for _, name in ipairs(contours.names) do
    local masses = contours.masses(name, LEVELS, { n = N, repetitions = R, fresh = FRESH, rng = gal.rng(1) })
    for k, p in ipairs(LEVELS) do
      local sum = 0
      for _, mass in ipairs(masses[k]) do sum = sum + mass end
      check.near(sum / R, p, 3 * math.sqrt(p * (1 - p) / R * (1.3 / N + 1 / FRESH)), name)
    end
  end
end)

check.case("contours of a weighted sample hold their shares of what it is weighted to", function()
  local x, y = contours.draw("a Gaussian", 4000, gal.rng(8))
  local sample = { x = x, y = y, n = 4000, weights = host.new(4000) }
  -- From mean 10, deviation .3 to mean 10.2: the density's ratio.
  for i = 0, 3999 do sample.weights[i] = math.exp((0.2 * (x[i] - 10) - 0.02) / 0.09) end
  local regions = fields.regions(sample, { 0.68, 0.95 })
  local u, v = contours.draw("a Gaussian", 20000, gal.rng(9))
  for i = 0, 19999 do u[i], v[i] = u[i] + 0.2, v[i] + 2 * 0.8 * 0.2 / 0.3 end
  for k, p in ipairs{ 0.68, 0.95 } do
    -- effective size 4000 exp(-(.2/.3)^2) = 2565; four deviations
    check.near(contours.share(regions.loops[k], u, v, 20000), p, 4 * math.sqrt(p * (1 - p) * 1.3 / 2565))
  end
end)

check.case("a density along a line integrates to 1, and at a limit it does not sink", function()
  local z, n = host.read(gal.randn({ 4000 }, { rng = gal.rng(4) }):abs()), 4000
  local given = { weights = host.new(n), sum = n, effective = n, limits = { 0 } }
  for i = 0, n - 1 do given.weights[i] = 1 end
  local line, sum = density_grid.line(z, n, given), 0
  for k = 2, #line.x do sum = sum + (line.x[k] - line.x[k - 1]) * (line.y[k] + line.y[k - 1]) / 2 end
  check.near(sum, 1, 2e-3) -- the kernel is cut at 3e-4 of its height
  check.equal(line.x[1], 0)
  check.near(line.y[1], 2 / math.sqrt(2 * math.pi), 0.06)
  -- Two modes far apart: a kernel of Silverman's width, by the deviation of both, would make the second half
  -- as high.
  for i = 0, n - 1, 2 do z[i] = 20 + (i % 4 == 0 and z[i] or -z[i]) end
  line = density_grid.line(z, n, given)
  local highest = 0
  for k, x in ipairs(line.x) do
    if x > 15 then highest = math.max(highest, line.y[k]) end
  end
  check.near(highest, 0.5 / math.sqrt(2 * math.pi), 0.03)
end)

check.case("a contour is as wide at a limit as it is beside it", function()
  local z, n = host.read(gal.randn({ 8000 }, { rng = gal.rng(2) })), 4000
  local sample = { x = host.new(n), y = host.new(n), n = n, weights = host.new(n) }
  for i = 0, n - 1 do sample.x[i], sample.y[i], sample.weights[i] = math.abs(z[2 * i]), z[2 * i + 1], 1 end
  local at_edge, widest = 0, 0
  for _, p in ipairs(fields.regions(sample, { 0.68 }, { { 0 } }).loops[1][1]) do
    check.that(p[1] >= 0, "beyond the limit")
    widest = math.max(widest, math.abs(p[2]))
    if p[1] < 0.05 then at_edge = math.max(at_edge, math.abs(p[2])) end
  end
  -- Half an ellipse is widest there. Without its mirror the density would be half as high at the limit.
  check.near(at_edge / widest, 1, 0.08)
end)

check.case("the region of a bent ridge is as large as the ridge is", function()
  local z, n, area = host.read(gal.randn({ 8000 }, { rng = gal.rng(2) })), 4000, 0
  local sample = { x = host.new(n), y = host.new(n), n = n, weights = host.new(n) }
  for i = 0, n - 1 do
    local a, b = z[2 * i], z[2 * i + 1]
    sample.x[i], sample.y[i], sample.weights[i] = a, 0.15 * b + 0.7 * a * a, 1
  end
  local list = fields.regions(sample, { 0.68 }).loops[1]
  for _, loop in ipairs(list) do area = area + loops.signed_area(loop) end
  -- The bend keeps the area, that of an ellipse with deviations 1 and .15. A kernel of Scott's width makes it
  -- 1.38 times as large.
  local ellipse = -2 * math.log(1 - 0.68) * math.pi * 0.15
  check.near(area / ellipse, 1, 0.15)
end)

check.case("an outlier does not widen the contours", function()
  local x, y = contours.draw("a Gaussian", 1000, gal.rng(5))
  local sample = { x = x, y = y, n = 1000, weights = host.new(1000) }
  for i = 0, 999 do sample.weights[i] = 1 end
  local function area()
    return loops.signed_area(fields.regions(sample, { 0.68 }).loops[1][1])
  end
  local before = area()
  x[0], y[0] = 1e6, -1e7
  check.near(area() / before, 1, 0.05)
end)

check.case("the hole of a ring stays empty", function()
  local z, n = host.read(gal.randn({ 8000 }, { rng = gal.rng(6) })), 4000
  local sample = { x = host.new(n), y = host.new(n), n = n, weights = host.new(n) }
  for i = 0, n - 1 do
    local r, phi = 1 + 0.1 * z[2 * i], 2 * math.pi * i / n
    sample.x[i], sample.y[i], sample.weights[i] = r * math.cos(phi), r * math.sin(phi), 1
  end
  local list = fields.regions(sample, { 0.8 }).loops[1]
  local area = {}
  for k, loop in ipairs(list) do area[k] = loops.signed_area(loop) end
  table.sort(area)
  check.equal(#area, 2)
  check.that(area[1] < -0.5 and area[2] > 3, ("areas %.2f and %.2f"):format(area[1], area[2]))
  local x, y = host.new(1), host.new(1)
  check.equal(contours.share(list, x, y, 1), 0)
end)

check.case("weighted quantiles are at mid-weights", function()
  check.near(weighted.quantile({ 1, 2, 3 }, 0.5, { 0.1, 0.1, 0.8 }), 2 + 0.35 / 0.45, 1e-12) -- 2.78
  check.near(weighted.quantile({ 3, 1, 2 }, 0.5, { 8, 1, 1 }), 2 + 0.35 / 0.45, 1e-12)
  check.equal(weighted.quantile({ 1, 2, 3, 4 }, { 0, 0.125, 0.5, 1 }), { 1, 1, 2.5, 4 })
  check.equal(weighted.quantile({ 1, 5, 9 }, 0.5, { 0, 2, 0 }), 5)
  check.raises(function() weighted.quantile({ 1, 2 }, 0.5, { 1, -1 }) end, "quantile: weights%[2%] is %-1")
  check.raises(function() weighted.quantile({ 1, 2 }, 0.5, { 0, 0 }) end, "quantile: all weights are 0")
  check.raises(function() weighted.quantile({ 1 }, 0.5, { 1, 2 }) end, "weights has 2 values, expected 1")
end)

-- ---- words and numbers ----

check.case("a value has two digits of its smaller error", function()
  local function said(...) return table.concat({ rounding.interval(...) }, " ") end
  check.equal(said(10.5234, 0.0987, 0.1234), "10.523 +0.123 −0.099")
  check.equal(said(10.5234, 0.0996, 0.2), "10.52 +0.20 −0.10")
  check.equal(said(-0.004, 0.12, 0.13), "0.00 +0.13 −0.12")
  check.equal(said(-1.239, 0.12, 0.13), "−1.24 +0.13 −0.12")
  check.equal(said(52345, 1234, 2100), "52300 +2100 −1200")
  check.equal(said(3, 0, 0.5), "3.00 +0.50 −0.00")
  check.equal(said(123.4, 12, 13), "123 +13 −12")
  check.equal(said(1.234e-8, 1e-9, 2e-9), "1.23e−08 +2e−09 −1e−09")
  check.equal({ rounding.bound(0.3567, 0.11), rounding.bound(2.14, 0.58) }, { "0.36", "2.1" })
  check.equal({ rounding.bound(10.523, 0.13), rounding.bound(-0.5, 2) }, { "10.5", "−0.50" })
end)

check.case("the numbers of an axis do not touch, and there are two where two have room", function()
  local uniform = host.uniforms(7)
  for _ = 1, 3000 do
    local low = (uniform() - 0.5) * 10 ^ math.floor(uniform() * 8 - 3)
    local high = low + 10 ^ (uniform() * 7 - 4)
    local length, upright = 8 + 60 * uniform(), uniform() < 0.5
    local log = uniform() < 0.3
    if log then low, high = math.abs(low) + 1e-9, (math.abs(low) + 1e-9) * 10 ^ (0.2 + 6 * uniform()) end
    local points = 7 + 4 * uniform()
    local list = ticks.of(low, high, length, { points = points, upright = upright, log = log })
    local before, most, count = -math.huge, text.width("0.000", points), 0
    for _, tick in ipairs(list) do
      local t = log and math.log(tick[1] / low) / math.log(high / low) or (tick[1] - low) / (high - low)
      check.that(t > -1e-3 and t < 1 + 1e-3, ("%g is not between %g and %g"):format(tick[1], low, high))
      count = count + (tick.bare and 0 or 1)
      local room = tick.bare and 0 or upright and 0.8 * text.height(points) or text.width(tick[2], points)
      most = math.max(most, room)
      check.that(tick.bare or t * length - room / 2 > before, ("%s touches its neighbour"):format(tick[2]))
      if not tick.bare then before = t * length + room / 2 end
    end
    if length > 8 * most and not log then check.that(count >= 2, ("%g to %g: one"):format(low, high)) end
  end
end)

check.case("known quantities have labels with units, others their names", function()
  check.equal({ labels.label_of "a_v" }, { "$A_V$ [mag]", "$A_V$" })
  check.equal((labels.label_of "LGM_TOT_P50"), "$\\log_{10} M_\\star / M_\\odot$")
  check.equal({ labels.label_of "modelMag_r" }, { "$r$ [mag]", "$r$" })
  check.equal((labels.label_of "my $x$"), "my \\$x\\$")
  local label = text.label(labels.label_of "my $x$")
  check.equal({ label.string, label.how }, { '"my $x$"', "noenhanced" })
  -- Beside markup a blank has a sign without width, so that readers of SVG don't trim it.
  check.equal(text.label("$M_\\odot$ {a}_b").string, '"{/:Italic M}_{⊙}\226\129\160 \\\\{a\\\\}\\\\_b"')
end)

-- ---- figures ----

-- The boxes of a script's panels: a list of {left, right, bottom, top}, in parts of the figure.
local function boxes(script)
  local list = {}
  local margins = ("set lmargin at screen N; set rmargin at screen N; set bmargin at screen N; "
    .. "set tmargin at screen N\n"):gsub("N", "([%%d.]+)")
  for l, r, b, t in script:gmatch(margins) do
    list[#list + 1] = { tonumber(l), tonumber(r), tonumber(b), tonumber(t) }
  end
  return list
end

local NAMES = { "lgm_tot_p50", "oh_p50", "a_v" }
local function draws(n, seed)
  local d = normals(n, seed, { 10.5, 8.9, 0 }, { 0.2, 0.1, 0.3 })
  return gal.cat({ d:narrow(2, 1, 2), d:narrow(2, 3, 1):abs() }, 2)
end

check.case("a corner plot's columns and rows are aligned, its panels square", function()
  local path = plot.figure(home .. "/c.png", plot.corner({ draws(2000, 1), draws(2000, 2) }, {
    names = NAMES, limits = { a_v = { 0 } }, truths = { 10.4, 8.9, 0.2 }, legend = { "one", "two" },
    prior = draws(500, 3),
  }))
  check.equal(path, home .. "/c.png")
  local script = file "c.gp"
  local list = boxes(script)
  check.equal(#list, 7) -- six panels and the legend
  local at = { { 1, 1 }, { 2, 1 }, { 3, 1 }, { 2, 2 }, { 3, 2 }, { 3, 3 } }
  local width, height = script:match "pdfcairo size ([%d.]+)cm,([%d.]+)cm"
  check.near(tonumber(width), 17.4, 1e-9)
  local left, top = {}, {}
  for k, cell in ipairs(at) do
    local box, row, column = list[k], cell[1], cell[2]
    left[column], top[row] = left[column] or box[1], top[row] or box[4]
    check.near(box[1], left[column], 1e-9)
    check.near(box[4], top[row], 1e-9)
    check.near((box[2] - box[1]) * width, (box[4] - box[3]) * height, 2e-3)
    check.that(box[1] > 0.02 and box[2] < 1 and box[3] > 0.02 and box[4] < 1, "a box outside of the page")
  end
  check.that(left[2] > list[1][2] and top[2] < list[1][3], "panels overlap")
  check.that(script:find("Contours: 68 and 95", 1, true), "the figure does not say which levels")
  check.that(script:find('title "two"', 1, true), "no legend")
  check.that(script:find("< 0.", 1, true), "no upper limit of what leans on its limit")
end)

check.case("what can't be drawn as asked is said by name", function()
  local d = draws(300, 1):clone()
  d:set(0 / 0, 1, 1)
  d:set(-1, 2, 3)
  for i = 1, 300 do d:set(8.5, i, 2) end
  local figure = plot.corner({ d, draws(15, 2) }, { names = NAMES, limits = { a_v = { 0 } } })
  says(figure.notes, "set 1: 1 draws in which lgm_tot_p50 is no finite number are left out")
  says(figure.notes, "set 1: 1 draws in which a_v is beyond its limit are left out")
  says(figure.notes, "set 1: oh_p50 is the same in all draws (8.5)")
  says(figure.notes, "set 2: fewer than 20 draws in a level, shown as points")
  plot.figure(home .. "/few.pdf", figure)
  local weights = gal.rand({ 2000 }, { rng = gal.rng(1) })
  local sum, squares = weights:sum():item(), weights:pow(2):sum():item()
  figure = plot.corner(draws(2000, 4), { names = NAMES, weights = weights, levels = "sigma" })
  local count = math.floor(sum ^ 2 / squares + 0.5)
  says(figure.notes,
    ("weighted, 2,000 draws count as %d,%03d"):format(math.floor(count / 1000), count % 1000))
  plot.figure(home .. "/sigma.pdf", figure)
  check.that(file("sigma.gp"):find("Contours: 39 and 86", 1, true), "which levels")
  check.raises(function() plot.corner(draws(9, 1), { names = NAMES, limits = { av = { 0 } } }) end,
    'corner: limits names the string "av", expected one of lgm_tot_p50, oh_p50, a_v')
  check.raises(function() plot.corner(draws(9, 1):narrow(2, 1, 2), { names = NAMES }) end,
    "corner: names has 3 entries, expected 2")
  local two = draws(9, 1):narrow(2, 1, 2)
  check.raises(function() plot.corner({ draws(9, 1), two }) end, "corner: sets%[2%] is")
end)

check.case("values that many draws share are a spike with their share, not a density", function()
  local d = draws(1000, 6):clone()
  for i = 1, 250 do d:set(0, i, 3) end
  plot.figure(home .. "/atom.svg", plot.corner(d:narrow(2, 3, 1), { names = { "a_v" }, limits = { { 0 } } }))
  local script, data = file "atom.gp", file "atom.dat"
  check.that(script:find('"25\194\160%"', 1, true) and script:find("with impulses", 1, true), script)
  local sum, last = 0, nil
  for x, y in data:match("^(.-)\n\n"):gmatch "(%S+) (%S+)\n?" do
    x, y = tonumber(x), tonumber(y)
    if last then sum = sum + (x - last[1]) * (y + last[2]) / 2 end
    last = { x, y }
  end
  check.near(sum, 0.75, 2e-3)
end)

check.case("labels of all kinds are drawn in PNG, PDF (with its fonts) and SVG (as text)", function()
  local names = { "it's \"10{}\" $", "'a\nb", "\\_x^{y} `touch run` @~&", "$A_V$ [mag]" }
  local d = normals(200, 3, { 0, 0, 0, 0 }, { 1, 1, 1, 1 })
  for _, ending in ipairs{ "png", "pdf", "svg" } do
    local figure = plot.corner({ d, d }, { names = names, labels = names, legend = { names[1], names[3] } })
    plot.figure(("%s/words.%s"):format(home, ending), figure)
  end
  local pdf, svg = file "words.pdf", file "words.svg"
  check.that(pdf:sub(1, 5) == "%PDF-" and pdf:find "/FontFile", "the PDF has no fonts")
  local own = svg:gsub("&quot;", '"'):gsub("&apos;", "'"):gsub("&#39;", "'")
  check.that(own:find("it's \"10{}\" $", 1, true), "the SVG has not the label's text")
  check.equal((scratch.run "gnuplot -e \"output='other.svg'\" words.gp"), 0)
  check.that(file("other.svg"):find("<svg", 1, true), "the script draws no other format")
  check.equal(require("gal.base.path").kind(home .. "/run"), nil)
end)

check.case("figures have the width that they are asked for", function()
  local panel = plot.panel{ plot.lines({ 0, 1 }, { 0, 1 }), x = "x", y = "y" }
  plot.figure(home .. "/column.png", { size = "column", panels = { panel } })
  plot.figure(home .. "/page.png", { size = "page", dpi = 100, panels = { panel, panel }, share = "y" })
  local function width(name)
    local bytes = file(name)
    return bytes:byte(19) * 256 + bytes:byte(20)
  end
  check.equal({ width "column.png", width "page.png" }, { 992, 685 }) -- 84 mm at 300, 174 mm at 100 an inch
  local function refuses(o, sentence)
    check.raises(function() plot.figure(home .. "/a.png", o) end, sentence)
  end
  refuses({ size = "page", type = 6, panels = { panel } }, "figure: type is 6, expected a number from 7")
  refuses({ size = { 30, 20 }, panels = { panel, panel, panel } }, "figure: 30 x 20 mm have no room")
end)

check.case("panels span columns, legends and insets have their place", function()
  local a = plot.panel{ plot.lines({ 0, 1 }, { 0, 1 }, { title = "a line" }), span = { 1, 2 },
    inset = plot.panel{ plot.steps({ 0, 1, 2 }, { 1, 3 }) }, inset_at = { 0.5, 0.1, 0.4, 0.4 } }
  local bars = { error = { { 0.1, 0.1 }, { 0.2, 0.2 } }, xerror = { 1, 1 } }
  local b = plot.panel{ plot.points({ 1, 2 }, { 1, 2 }, bars) }
  plot.figure(home .. "/span.svg", {
    size = { 100, 80 }, columns = 2, legend = "above", panels = { a, b, b },
  })
  local list = boxes(file "span.gp")
  local wide, inset, left, right = unpack(list)
  check.near(wide[1], left[1], 1e-9)
  check.near(wide[2], right[2], 1e-9)
  check.near((inset[2] - inset[1]) / (wide[2] - wide[1]), 0.4, 1e-3)
  check.that(inset[1] > wide[1] and inset[4] < wide[4], "the inset is outside")
  check.that(left[2] < right[1] and wide[3] > left[4], "panels overlap")
  local rows = file "span.dat"
  check.that(rows:find("1 1 0 2 0.9 1.2", 1, true), "error bars: " .. rows)
end)

check.case("gal.show draws what plot.corner gives and prints the path", function()
  scratch.write(home .. "/show.lua", [[
local gal = require "gal"
gal.show(require("gal.plot").corner(gal.randn({ 100, 2 })), "shown.png")
]])
  local code, said = scratch.run(scratch.galrun .. " show.lua")
  check.equal({ code, said }, { 0, "shown.png\n" })
  check.raises(function() gal.show "none.png" end, 'show: figure is the string "none.png"')
end)

scratch.remove()
check.finish()
