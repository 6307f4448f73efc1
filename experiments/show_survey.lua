-- A look at a survey: cutouts.png, a sheet of its images, and survey.png, a page of its colours, scaling
-- relations and magnitude errors, as far as it has the columns, under SDSS's names; the script and the data
-- of each lie beside it. distributions.lua draws any columns. With --real, a folder of SDSS cutouts (128 x
-- 128 pixels of 2 R90 / (0.396 x 128) arcsec), the survey's are cut alike, shown above the real ones, and
-- compared with them in numbers and in profiles.png.

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
local metrics = require "gal.metrics"
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

-- The files of the survey's cutouts.
local function own_cutouts()
  local home = catalogue:match "^(.*)/[^/]*$" or "."
  if folder.kind(home .. "/cutouts") ~= "folder" then return {} end
  return (require("gal.data.cutout_files").listed(home, (require("gal.data").ids(t, catalogue, o.id))))
end

-- The cutouts that can be read, {N, size, size, 3}, by default of the first one's size; the others are named.
local function read(list, size)
  local pixels, problems = cutout.read(list, size)
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
  local mock, real = cutout.by_size(read(chosen, 128), tick), {}
  local pixels = read(some(found, math.max(o.n, o.compare)), 128)
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

-- The numbers of a column, NaN where they are missing; nil where the table has no such column.
local function column(name)
  if not t:has(name) then return nil end
  require("gal.data.columns").refuse_vector(t, name)
  local values = t:doubles(name)
  for i, v in ipairs(values) do
    if v < -9000 then values[i] = 0 / 0 end
  end
  return values
end

-- The difference of two columns, nil where one is not there.
local function minus(a, b)
  local difference = {}
  if not (a and b) then return nil end
  for i = 1, #a do difference[i] = a[i] - b[i] end
  return difference
end

-- The range of a column, but for the outermost two of a thousand galaxies at either end.
local function range_of(values)
  local known = {}
  for _, v in ipairs(values) do
    if v - v == 0 then known[#known + 1] = v end
  end
  if #known == 0 then return nil end
  local low, high = unpack(metrics.quantile(known, { 0.002, 0.998 }))
  local pad = 0.03 * (high > low and high - low or 1)
  return { low - pad, high + pad }
end

local magnitude, sigma = {}, {}
for _, band in ipairs(BANDS) do
  magnitude[band], sigma[band] = column("modelMag_" .. band), column("modelMagErr_" .. band)
  local extinction = column("extinction_" .. band)
  if magnitude[band] and extinction then magnitude[band] = minus(magnitude[band], extinction) end
end
local mass, sfr, oh, dn = column "lgm_tot_p50", column "sfr_tot_p50", column "oh_p50", column "d4000_n"
local ug, gr = minus(magnitude.u, magnitude.g), minus(magnitude.g, magnitude.r)
local ri = minus(magnitude.r, magnitude.i)

local panels = {}

-- How many galaxies have both values, where these are not all.
local function title_of(x, y)
  local count = 0
  for k = 1, #x do
    if x[k] - x[k] == 0 and (not y or y[k] - y[k] == 0) then count = count + 1 end
  end
  return count < t.rows and ("%d of them"):format(count) or nil, count
end

-- Adds a cloud of pairs as shades, with lines around 68 and 95 % of them, where both columns are there.
local function cloud(x, y, x_label, y_label)
  local xrange, yrange = x and range_of(x), y and range_of(y)
  if not (xrange and yrange) then return end
  local title, count = title_of(x, y)
  if count < 2 then return end
  panels[#panels + 1] = plot.panel{
    plot.density(x, y, { xrange = xrange, yrange = yrange }),
    plot.contours(x, y, { colour = "#D55E00", width = 1, xrange = xrange, yrange = yrange }),
    x = x_label, y = y_label, xrange = xrange, yrange = yrange, title = title,
  }
end

local function counts(values, label, bins)
  local xrange = values and range_of(values)
  if not xrange then return end
  panels[#panels + 1] = plot.panel{
    plot.histogram(values, { range = xrange, bins = bins, filled = true }), x = label, y = "galaxies",
    xrange = xrange, title = (title_of(values)),
  }
end

-- The error of each band's magnitude against it.
local function errors()
  local panel = { x = "magnitude", y = "error, mag", logy = true, key = "top left" }
  local brightest, faintest = math.huge, -math.huge
  for _, band in ipairs(BANDS) do
    local range = magnitude[band] and sigma[band] and range_of(magnitude[band])
    if range then
      brightest, faintest = math.min(brightest, range[1]), math.max(faintest, range[2])
      panel[#panel + 1] = plot.points(some(magnitude[band], 1000), some(sigma[band], 1000), {
        title = band, size = 0.2,
      })
    end
  end
  panel.xrange, panel.yrange = { brightest, faintest }, { 0.003, 1 }
  if #panel > 0 then panels[#panels + 1] = plot.panel(panel) end
end

local MASS, LOG_SFR = "log M⋆ / M⊙", "log SFR / (M⊙ / yr)"
local GR, UG, RI = "g − r, mag", "u − g, mag", "r − i, mag"
cloud(mass, sfr, MASS, LOG_SFR)
cloud(mass, oh, MASS, "12 + log O/H")
cloud(mass, dn, MASS, "Dn4000")
cloud(gr, ug, GR, UG)
cloud(ri, gr, RI, GR)
cloud(gr, dn, GR, "Dn4000")
errors()
counts(magnitude.r, "r, mag", 60)
counts(column "z", "redshift", 50)
if #panels == 0 then
  cli.refuse("%s has none of the columns that are drawn here (lgm_tot_p50, modelMag_r, …); "
    .. "distributions.lua draws any: --theta A,B --beside C", catalogue)
end
drawn[#drawn + 1] = plot.figure(o.out .. "/survey.png", {
  panels = panels, title = ("%s: %d galaxies"):format(o.survey, t.rows),
})
print("drawn: " .. table.concat(drawn, ", "))
