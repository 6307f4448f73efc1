-- A look at a survey: cutouts.png, a sheet of its images, and survey.png, a page of its colours, scaling
-- relations and magnitude errors; the script and the data of each lie beside it. With --real FOLDER of SDSS's
-- cutouts (128 x 128 pixels of 2 R90 / (0.396 x 128) arcsec), the survey's are cut alike, set above the real
-- ones, and compared in numbers and in profiles.png.

local cli = require "gal.cli"
local o = cli.options{
  { "survey", "survey", "table, or folder with catalog.fits or catalog.csv; cutouts/ beside it" },
  cli.common{ "table" },
  { "out", "figures", "folder for the figures" },
  { "n", 32, "cutouts on the sheet", type = "integer", least = 1 },
  { "real", "", "folder of real cutouts (.jpg) to compare with" },
  { "compare", 400, "how many of each are compared in numbers", type = "integer", least = 1 },
  { "seed", 0, "seed of the choice of galaxies" },
}
local gal = require "gal"
local cutout = require "gal.data.picture"
local folder = require "gal.base.path"
local plot = require "gal.plot"

local catalogue = require("gal.data").find(o.survey)
local t = gal.table(catalogue, { hdu = tonumber(o.hdu) or o.hdu, id = o.id })
local BANDS = { "u", "g", "r", "i", "z" }

-- At most n of a list, chosen by the seed: the same places for lists of one length.
local function some(list, n)
  local chosen = {}
  for k, place in ipairs(gal.rng(o.seed):permutation(#list):totable()) do
    if k > n then break end
    chosen[k] = list[place + 1]
  end
  return chosen
end

-- ---- cutouts ----

-- The paths of the survey's cutouts.
local function own_cutouts()
  local home, paths = catalogue:match "^(.*)/[^/]*$" or ".", {}
  for _, id in ipairs((require("gal.data").ids(t, catalogue, o.id))) do
    local path = ("%s/cutouts/%s.jpg"):format(home, id)
    if folder.kind(path) then paths[#paths + 1] = path end
  end
  return paths
end

-- The cutouts that can be read, {N, 128, 128, 3}; the others are named.
local function read(list)
  local pixels, problems = cutout.read(list, 128)
  for _, problem in ipairs(problems) do print("left out: " .. problem) end
  return pixels
end

local function sheet(pictures, title)
  local panel = plot.panel{ plot.picture(plot.montage(pictures)), title = title }
  return plot.figure(o.out .. "/cutouts.png", { panels = { panel } })
end

-- Median profiles of two sets of cutouts, in three colours.
local function profiles(sets)
  local ring, curves = {}, { x = "pixels from the centre", y = "median, counts of 255" }
  for i, set in ipairs(sets) do
    local name, pictures = set[1], set[2]
    local profile = cutout.median_profile(some(pictures, o.compare), 4)
    for k = 1, #profile[1] do ring[k] = 4 * k - 2 end
    for channel, colour in ipairs{ { "red", "#D00000" }, { "green", "#008000" }, { "blue", "#0000D0" } } do
      curves[#curves + 1] = plot.lines(ring, profile[channel], {
        colour = colour[2], dash = i, title = colour[1] .. ", " .. name,
      })
    end
  end
  return plot.figure(o.out .. "/profiles.png", { width = 640, height = 480, panels = { plot.panel(curves) } })
end

-- The survey's cutouts, cut as the real ones are, beside those; the figures' paths.
local function beside_real(paths, found)
  local chosen = some(paths, math.ceil(1.3 * math.max(o.n, o.compare)))
  local progress = cli.progress{
    total = #chosen + 2 * o.compare, label = "measuring cutouts", unit = "cutouts",
  }
  local measured = 0
  local function tick()
    measured = measured + 1
    progress:update{ done = measured }
  end
  local mock, real = cutout.by_size(read(chosen), tick), {}
  local pixels = read(some(found, math.max(o.n, o.compare)))
  for k = 1, pixels:size(1) do real[k] = pixels:select(1, k) end
  local both = {}
  for _, set in ipairs{ mock, real } do
    for k = 1, o.n do both[#both + 1] = set[k] end
  end
  local drawn = sheet(both, ("above: %d of %s; below: %d of %s"):format(o.n, o.survey, o.n, o.real))
  local rows = cutout.compare({ { "survey", some(mock, o.compare) }, { "real", some(real, o.compare) } },
    { 0.1, 0.25, 0.5, 0.75, 0.9 }, tick)
  progress:finish()
  print(cli.table(rows, { "counts of 255", "", "10 %", "25 %", "50 %", "75 %", "90 %" }))
  return { drawn, profiles{ { "survey", mock }, { "real", real } } }
end

local found = o.real == "" and {} or folder.list(o.real, ".jpg")
if o.real ~= "" and #found == 0 then
  cli.refuse("--real %s has no .jpg files, expected real cutouts", o.real)
end
local paths, drawn = own_cutouts(), {}
if #paths == 0 then
  print "the survey has no cutouts"
elseif o.real == "" then
  local pixels = read(some(paths, o.n))
  drawn[1] = sheet(pixels, ("%d cutouts of %s"):format(pixels:size(1), o.survey))
else
  drawn = beside_real(paths, found)
end

-- ---- the page ----

local function column(name)
  require("gal.data.columns").refuse_vector(t, name)
  local values = t:doubles(name)
  for i, v in ipairs(values) do
    if v < -9000 then values[i] = 0 / 0 end
  end
  return values
end

local function minus(a, b)
  local difference = {}
  for i = 1, #a do difference[i] = a[i] - b[i] end
  return difference
end

local magnitude, sigma = {}, {}
for _, band in ipairs(BANDS) do
  magnitude[band], sigma[band] = column("modelMag_" .. band), column("modelMagErr_" .. band)
  if t:has("extinction_" .. band) then
    magnitude[band] = minus(magnitude[band], column("extinction_" .. band))
  end
end
local mass, sfr, oh, dn = column "lgm_tot_p50", column "sfr_tot_p50", column "oh_p50", column "d4000_n"
local ug, gr = minus(magnitude.u, magnitude.g), minus(magnitude.g, magnitude.r)
local ri = minus(magnitude.r, magnitude.i)

-- A cloud of pairs as shades, with lines around 68 and 95 % of them.
local function cloud(x, y, x_label, y_label, xrange, yrange)
  return plot.panel{
    plot.density(x, y, { xrange = xrange, yrange = yrange }),
    plot.contours(x, y, { colour = "#D55E00", width = 1, xrange = xrange, yrange = yrange }),
    x = x_label, y = y_label, xrange = xrange, yrange = yrange,
  }
end

local function counts(values, label, xrange, bins)
  return plot.panel{
    plot.histogram(values, { range = xrange, bins = bins, filled = true }), x = label, y = "galaxies",
    xrange = xrange,
  }
end

local errors = {
  x = "magnitude", y = "error, mag", logy = true, xrange = { 14.5, 21 }, yrange = { 0.01, 1 },
  key = "top left",
}
for i, band in ipairs(BANDS) do
  errors[i] = plot.points(some(magnitude[band], 1000), some(sigma[band], 1000), { title = band, size = 0.2 })
end
local MASS, LOG_SFR = "log M⋆ / M⊙", "log SFR / (M⊙ / yr)"
local GR, UG, RI = "g − r, mag", "u − g, mag", "r − i, mag"
local panels = {
  cloud(mass, sfr, MASS, LOG_SFR, { 8.3, 11.7 }, { -2, 2 }),
  cloud(mass, oh, MASS, "12 + log O/H", { 8.3, 11.7 }, { 8, 9.5 }),
  cloud(mass, dn, MASS, "Dn4000", { 8.3, 11.7 }, { 1, 1.7 }),
  cloud(gr, ug, GR, UG, { 0, 1.2 }, { 0, 2.4 }),
  cloud(ri, gr, RI, GR, { -0.1, 0.7 }, { 0, 1.2 }),
  cloud(gr, dn, GR, "Dn4000", { 0, 1.2 }, { 1, 1.7 }),
  plot.panel(errors),
  counts(magnitude.r, "r, mag", { 15.5, 18.5 }, 60),
  t:has "z" and counts(column "z", "redshift", { 0, 0.25 }, 50) or false,
}
drawn[#drawn + 1] = plot.figure(o.out .. "/survey.png", {
  panels = panels, title = ("%s: %d galaxies"):format(o.survey, t.rows),
})
print("drawn: " .. table.concat(drawn, ", "))
