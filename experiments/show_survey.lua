-- A look at a survey: cutouts.png, a sheet of its images, and survey.png, a page of its colours, scaling
-- relations and magnitude errors; the script and the data of each lie beside it. With --real FOLDER of SDSS's
-- cutouts (128 x 128 pixels of 2 R90 / (0.396 x 128) arcsec), the survey's are cut alike, set above the real
-- ones, and compared in numbers.

local gal, plot, cutout = require "gal", require "gal.plot", require "gal.data.picture"
local cli, folder = require "gal.cli", require "gal.base.path"
local o = cli.options{
  { "survey", "survey", "table, or folder with catalog.fits or catalog.csv; cutouts/ beside it" },
  { "out", "figures", "folder for the figures" },
  { "n", 32, "cutouts on the sheet", type = "integer", least = 1 },
  { "real", "", "folder of real cutouts (.jpg) to compare with" },
  { "compare", 400, "how many of each are compared in numbers", type = "integer", least = 1 },
  { "seed", 0, "of the choice of galaxies" },
}

local catalogue = require("gal.data").find(o.survey)
local t = gal.table(catalogue)

-- At most n of a list, chosen by the seed.
local function some(list, n)
  local order, index, chosen = gal.rand({ #list }, { rng = gal.rng(o.seed) }):totable(), {}, {}
  for i = 1, #list do index[i] = i end
  table.sort(index, function(a, b) return order[a] < order[b] end)
  for k = 1, math.min(n, #list) do chosen[k] = list[index[k]] end
  return chosen
end

-- ---- cutouts ----

-- The cutouts that can be read; the others are named.
local function read(list)
  local pixels, problems = cutout.read(list, 128)
  for _, problem in ipairs(problems) do print("left out: " .. problem) end
  return pixels
end

local found = o.real == "" and {} or folder.list(o.real, ".jpg")
if o.real ~= "" and #found == 0 then cli.refuse("--real %s has no .jpg files, expected real cutouts", o.real) end
local paths = {}
for i, id in ipairs(t:ids(t:has "objID" and "objID" or "name")) do
  local path = ("%s/cutouts/%s.jpg"):format(catalogue:match "^(.*)/[^/]*$" or ".", id)
  if folder.kind(path) then paths[#paths + 1] = path end
end
local drawn = {}
if #paths == 0 then
  print "the survey has no cutouts"
elseif o.real == "" then
  local pixels = read(some(paths, o.n))
  drawn[1] = plot.figure(o.out .. "/cutouts.png", { panels = { plot.panel{ plot.picture(plot.montage(pixels)), title = ("%d cutouts of %s"):format(pixels:size(1), o.survey) } } })
else
  local chosen = some(paths, math.ceil(1.3 * math.max(o.n, o.compare)))
  local progress, measured = cli.progress{ total = #chosen + 2 * o.compare, label = "measuring cutouts", unit = "cutouts" }, 0
  local function tick()
    measured = measured + 1
    progress:update{ done = measured }
  end
  local mock = cutout.by_size(read(chosen), tick)
  local real = {}
  local pixels = read(some(found, math.max(o.n, o.compare)))
  for k = 1, pixels:size(1) do real[k] = pixels:select(1, k) end
  local both = {}
  for _, set in ipairs{ mock, real } do
    for k = 1, o.n do both[#both + 1] = set[k] end
  end
  drawn[1] = plot.figure(o.out .. "/cutouts.png", { panels = { plot.panel{ plot.picture(plot.montage(both)),
    title = ("above: %d of %s; below: %d of %s"):format(o.n, o.survey, o.n, o.real) } } })
  local rows = cutout.compare({ { "survey", some(mock, o.compare) }, { "real", some(real, o.compare) } }, { 0.1, 0.25, 0.5, 0.75, 0.9 }, tick)
  progress:finish()
  print(cli.table(rows, { "counts of 255", "", "10 %", "25 %", "50 %", "75 %", "90 %" }))
  local ring, curves = {}, { x = "pixels from the centre", y = "median, counts of 255" }
  for i, set in ipairs{ { "survey", mock, 1 }, { "real", real, 2 } } do
    local profile = cutout.median_profile(some(set[2], o.compare), 4)
    for k = 1, #profile[1] do ring[k] = 4 * k - 2 end
    for channel, colour in ipairs{ "#D00000", "#008000", "#0000D0" } do
      curves[#curves + 1] = plot.lines(ring, profile[channel], { colour = colour, dash = set[3], title = ({ "red", "green", "blue" })[channel] .. ", " .. set[1] })
    end
  end
  drawn[2] = plot.figure(o.out .. "/profiles.png", { width = 640, height = 480, panels = { plot.panel(curves) } })
end

-- ---- the page ----

local function column(name)
  local values = t:doubles(name)
  for i, v in ipairs(values) do if v < -9000 then values[i] = 0 / 0 end end
  return values
end
local magnitude, sigma = {}, {}
for _, band in ipairs{ "u", "g", "r", "i", "z" } do
  magnitude[band], sigma[band] = column("modelMag_" .. band), column("modelMagErr_" .. band)
  if t:has("extinction_" .. band) then
    local extinction = column("extinction_" .. band)
    for i, a in ipairs(extinction) do magnitude[band][i] = magnitude[band][i] - a end
  end
end
local function minus(a, b)
  local difference = {}
  for i = 1, #a do difference[i] = a[i] - b[i] end
  return difference
end
local mass, sfr, oh, dn = column "lgm_tot_p50", column "sfr_tot_p50", column "oh_p50", column "d4000_n"
local ug, gr, ri = minus(magnitude.u, magnitude.g), minus(magnitude.g, magnitude.r), minus(magnitude.r, magnitude.i)

-- A cloud of pairs as shades, with lines around 68 and 95 % of them.
local function cloud(x, y, labels)
  local range = { xrange = labels.xrange, yrange = labels.yrange }
  return plot.panel{ plot.density(x, y, range), plot.contours(x, y, { colour = "#D55E00", width = 1, xrange = labels.xrange, yrange = labels.yrange }),
    x = labels.x, y = labels.y, xrange = labels.xrange, yrange = labels.yrange }
end
local errors = { x = "magnitude", y = "error, mag", logy = true, xrange = { 14.5, 21 }, yrange = { 0.01, 1 }, key = "top left" }
for _, band in ipairs{ "u", "g", "r", "i", "z" } do
  errors[#errors + 1] = plot.points(some(magnitude[band], 1000), some(sigma[band], 1000), { title = band, size = 0.2 })
end
local panels = {
  cloud(mass, sfr, { x = "log M⋆ / M⊙", y = "log SFR / (M⊙ / yr)", xrange = { 8.3, 11.7 }, yrange = { -2, 2 } }),
  cloud(mass, oh, { x = "log M⋆ / M⊙", y = "12 + log O/H", xrange = { 8.3, 11.7 }, yrange = { 8, 9.5 } }),
  cloud(mass, dn, { x = "log M⋆ / M⊙", y = "Dn4000", xrange = { 8.3, 11.7 }, yrange = { 1, 1.7 } }),
  cloud(gr, ug, { x = "g − r, mag", y = "u − g, mag", xrange = { 0, 1.2 }, yrange = { 0, 2.4 } }),
  cloud(ri, gr, { x = "r − i, mag", y = "g − r, mag", xrange = { -0.1, 0.7 }, yrange = { 0, 1.2 } }),
  cloud(gr, dn, { x = "g − r, mag", y = "Dn4000", xrange = { 0, 1.2 }, yrange = { 1, 1.7 } }),
  plot.panel(errors),
  plot.panel{ plot.histogram(magnitude.r, { range = { 15.5, 18.5 }, bins = 60, filled = true }), x = "r, mag", y = "galaxies", xrange = { 15.5, 18.5 } },
  t:has "z" and plot.panel{ plot.histogram(column "z", { range = { 0, 0.25 }, bins = 50, filled = true }), x = "redshift", y = "galaxies", xrange = { 0, 0.25 } } or false,
}
drawn[#drawn + 1] = plot.figure(o.out .. "/survey.png", { panels = panels, title = ("%s: %d galaxies"):format(o.survey, t.rows) })
print("drawn: " .. table.concat(drawn, ", "))
