-- The mock survey as users meet it: the population of runtime/mock/README.md, settings that leave a galaxy as
-- it is, folders that are made, stopped and continued, and the reference posterior.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local gal = require "gal"
local folder = require "gal.base.path"
local metrics = require "gal.metrics"
local survey = require "gal.mock"
local C = ffi.C

local scratch = dofile "lua/lib/scratch.lua"
local path, read = scratch.path, scratch.read

local TRUE = { "true_log_mass", "true_log_sfr", "true_oh", "true_dn4000", "true_a_v" }
local LABELS = { "lgm_tot_p50", "sfr_tot_p50", "oh_p50", "d4000_n", "a_v" }
local many = survey.galaxies { n = 50000, seed = 1 }

local function correlation(a, b)
  local x, y = a - a:mean():item(), b - b:mean():item()
  return (x * y):mean():item() / a:std():item() / b:std():item()
end

-- The designed population: numbers of a prototype in numpy with 3 million galaxies.
check.case("50,000 galaxies have the quartiles of the designed population", function()
  local wanted = {
    true_log_mass = { 9.599, 10.043, 10.410, .05 }, true_log_sfr = { -.311, .084, .448, .05 },
    true_oh = { 8.809, 8.950, 9.044, .05 },
    true_dn4000 = { 1.206, 1.251, 1.304, .05 }, true_a_v = { .328, .503, .739, .05 },
    z = { .041, .058, .081, .005 },
    modelMag_u = { 18.567, 18.967, 19.315, .05 }, modelMag_g = { 17.480, 17.870, 18.143, .05 },
    modelMag_r = { 16.952, 17.341, 17.593, .05 },
    modelMag_i = { 16.647, 17.032, 17.281, .05 }, modelMag_z = { 16.407, 16.802, 17.066, .05 },
  }
  for name, w in pairs(wanted) do
    local q = metrics.quantile(many:column(name), { .25, .5, .75 })
    for i = 1, 3 do check.near(q[i], w[i], w[4], ("quartile %d of %s"):format(i, name)) end
  end
end)

check.case("properties correlate as designed", function()
  local mass, sfr, oh = many:column "true_log_mass", many:column "true_log_sfr", many:column "true_oh"
  check.near(correlation(oh, mass), .82, .05, "12 + log(O/H) and mass")
  check.near(correlation(mass, sfr), .79, .05, "mass and star formation")
  check.near(correlation(oh, sfr), .57, .05, "12 + log(O/H) and star formation")
  check.near(correlation(oh, sfr - mass), -.41, .05, "12 + log(O/H) and specific star formation")
end)

check.case("labels and magnitudes are off by their stated errors", function()
  local stated = { .07, .15, .03, .03, .10 }
  for i = 1, 5 do
    local off = many:column(LABELS[i]) - many:column(TRUE[i])
    check.near(off:std():item() / stated[i], 1, .02, LABELS[i])
    check.near(off:mean():item() / stated[i], 0, .02, LABELS[i] .. " in the mean")
  end
  for band, median in pairs { u = .057, g = .023, r = .023, i = .023, z = .035 } do
    local errors, flux = many:column("modelMagErr_" .. band), many:column("true_flux_" .. band)
    check.near(metrics.quantile(errors, .5) / median, 1, .1, "median error in " .. band)
    -- In units of the stated error, from the noiseless flux: 1, but for the selection in r, which cuts both
    -- tails of those at its edge.
    local truth = flux:log() * (-2.5 / math.log(10)) + 22.5
    check.near(((many:column("modelMag_" .. band) - truth) / errors):std():item(), 1, .02,
      "scatter of the magnitudes in " .. band)
  end
end)

check.case("a galaxy is the same bits whatever number is asked for, whatever the threads", function()
  local threads = C.gal_threads(0)
  local first, whole = {}, {}
  for k = 1, 100 do first[k] = k end
  many:select(first):save(path "first.csv")
  for line in io.lines(path "first.csv") do whole[#whole + 1] = line end
  for _, n in ipairs { 1, 2 } do
    C.gal_threads(n)
    survey.galaxies { n = 100, seed = 1 }:save(path "few.csv")
    local k = 0
    for line in io.lines(path "few.csv") do
      k = k + 1
      check.equal(line, whole[k], ("line %d with %d threads"):format(k, n))
    end
    check.equal(k, 101)
  end
  C.gal_threads(threads)
end)

check.case("another seed makes other galaxies", function()
  check.that(survey.galaxies { n = 3, seed = 2 }:column("z"):get(1) ~= many:column("z"):get(1),
    "the first galaxy of seed 2 is that of seed 1")
end)

check.case("gal.survey, the earlier name of gal.mock, has all of it, and mock for galaxies", function()
  local earlier = require "gal.survey"
  check.equal(earlier.mock { n = 2, seed = 1 }:column("z"), many:column("z"):narrow(1, 1, 2))
  check.equal({ earlier.make, earlier.couplings }, { survey.make, survey.couplings })
end)

-- ---- folders ----

check.case("a survey folder has a catalogue with SDSS's columns, and a cutout of each galaxy", function()
  local out = path "a"
  check.that(survey.make { out = out, n = 40, seed = 9, progress = false },
    "it says that there was nothing to do")
  local t = gal.table(out .. "/catalog.fits")
  check.equal(t.rows, 40)
  for _, name in ipairs {
    "objID", "ra", "dec", "z", "modelMag_u", "modelMagErr_z", "extinction_g", "petroMag_r", "lgm_tot_p50",
    "sfr_tot_p50", "oh_p50", "d4000_n", "a_v", "bptclass",
  } do
    check.that(t:has(name), "no column " .. name)
  end
  check.equal(t:unit "modelMag_r", "mag")
  check.equal(t:unit "ra", "deg")
  check.equal(t:ids("objID")[40], "40")
  local bytes = read(out .. "/catalog.fits")
  check.that(bytes:find "MOCKSEED= +9 ", "no MOCKSEED = 9 in the header")
  check.that(bytes:find("CREATOR = 'galrun " .. gal.version, 1, true), "no CREATOR in the header")
  check.that(bytes:find("DATE    = '" .. os.date "!%Y-%m-%dT%H:", 1, true), "no DATE in the header")
  for k = 1, 40 do
    check.equal(read(("%s/cutouts/%d.jpg"):format(out, k)):sub(1, 2), "\255\216", "start of cutout " .. k)
  end
  check.that(not survey.make { out = out, n = 40, seed = 9, progress = false },
    "a finished survey is made again")
end)

-- The bytes of a survey's catalogue, without the date.
local function catalogue_of(out)
  return (read(out .. "/catalog.fits"):gsub("DATE    = '[%d%-T:]+'", "DATE"))
end

check.case("a survey without a coupling has the same catalogue, to the byte, and other images", function()
  local n, whole = 24, path "whole"
  survey.make { out = whole, n = n, seed = 4, progress = false }
  for _, coupling in ipairs(survey.couplings) do
    local out, same = path(coupling), 0
    survey.make { out = out, n = n, seed = 4, without = { coupling }, progress = false }
    check.that(catalogue_of(out) == catalogue_of(whole),
      "without " .. coupling .. " the catalogue is another")
    for k = 1, n do
      local name = ("/cutouts/%d.jpg"):format(k)
      if read(out .. name) == read(whole .. name) then same = same + 1 end
    end
    -- Of 400 galaxies 2 had a donor with a gradient so alike that the JPEG was the same.
    check.that(same <= 2, ("without %s %d of %d images stay the same"):format(coupling, same, n))
  end
end)

check.case("a survey that was stopped goes on where it was, and ends as if it had not been", function()
  local out = path "b"
  survey.make { out = out, n = 30, seed = 9, progress = false }
  local whole, picture = catalogue_of(out), read(out .. "/cutouts/7.jpg")
  os.remove(out .. "/catalog.fits")
  os.remove(out .. "/cutouts/7.jpg")
  -- 8 is another whole picture; 9 is cut short, as a crash of the machine can leave it.
  local other, short = read(out .. "/cutouts/1.jpg"), read(out .. "/cutouts/9.jpg")
  require("gal.base.path").write(out .. "/cutouts/8.jpg", other)
  require("gal.base.path").write(out .. "/cutouts/9.jpg", short:sub(1, 900))
  survey.make { out = out, n = 30, seed = 9, progress = false }
  check.equal(catalogue_of(out) == whole, true, "the catalogue is the same")
  check.equal(read(out .. "/cutouts/7.jpg") == picture, true, "the cutout that was missing is the same")
  check.equal(read(out .. "/cutouts/8.jpg") == other, true, "a cutout that was there is left alone")
  check.equal(read(out .. "/cutouts/9.jpg") == short, true, "a cutout that was cut short is made anew")
end)

check.case("Ctrl-C stops it, and every file that is there is whole", function()
  local out = path "c"
  local seen = 0
  local ok, err = pcall(survey.search, { n = 1000000, seed = 3,
    progress = function() seen = seen + 1 if seen == 2 then C.gal_interrupt_set(1) end end })
  check.equal(ok, false)
  check.that(err == gal.interrupted, "the error is " .. tostring(err))
  C.gal_interrupt_set(1)
  check.that(not pcall(survey.make, { out = out, n = 10, progress = false }), "it was not stopped")
  check.equal(folder.kind(out .. "/catalog.fits"), nil)
  survey.make { out = out, n = 10, progress = false }
  check.equal(gal.table(out .. "/catalog.fits").rows, 10)
end)

check.case("a survey that is asked for more galaxies keeps those that it has; fewer are refused", function()
  local out = path "grown"
  local function make(n, seed)
    return survey.make { out = out, n = n, seed = seed or 4, cutouts = false, progress = false }
  end
  make(6)
  local before = gal.table(out .. "/catalog.fits")
  local ids, u = before:ids "objID", before:doubles "modelMag_u"
  check.equal({ make(9), make(9) }, { true, false })
  local t = gal.table(out .. "/catalog.fits")
  check.equal({ unpack(t:ids "objID", 1, 6) }, ids)
  check.equal({ t.rows, { unpack(t:doubles "modelMag_u", 1, 6) } }, { 9, u })
  check.raises(function() make(6) end, "n was 9 and is 6")
  check.raises(function() make(12, 5) end, "seed was 4 and is 5")
  check.equal(gal.table(out .. "/catalog.fits").rows, 9)
end)

check.case("an impossible option is refused in a sentence that names it", function()
  check.raises(function()
    survey.make { out = path "a", n = 40, seed = 8, without = { "bt" }, progress = false }
  end, "began with other settings: seed was 9 and is 8; without was empty and is")
  check.raises(function() survey.make { out = path "d", n = 4, without = { "colour" } } end,
    "without has 'colour', expected of inclination, size")
  check.raises(function() survey.make { out = path "d", n = 0 } end, "n is 0")
  check.raises(function() survey.make { out = path "d" } end, "n is nil")
  check.raises(function() survey.galaxies { n = 10, sed = 1 } end, "unknown option 'sed', expected 'seed'")
  folder.make(path "real/cutouts")
  check.raises(function() survey.make { out = path "real", n = 4 } end,
    "holds a survey that is not a mock survey")
  check.raises(function() survey.make { out = path "first.csv", n = 4 } end, "which is a file")
end)

-- ---- the reference posterior ----

local reference = require "gal.mock.posterior"
local names = {}
for i, band in ipairs { "u", "g", "r", "i", "z" } do
  names[i] = many:column("modelMag_" .. band):narrow(1, 1, 40):reshape { 40, 1 }
end
local magnitudes, columns = gal.cat(names, 2), {}
for i = 1, 5 do columns[i] = many:column(LABELS[i]):narrow(1, 1, 40):reshape { 40, 1 } end
local theta = gal.cat(columns, 2)

-- Simulation-based calibration (Talts et al. 2018): the truth's rank among the draws is uniform where the
-- posterior is right.
check.case("the reference posterior is calibrated: truths lie where its draws do", function()
  local r = reference(magnitudes, { ess = 300, seed = 5 })
  local samples, cuts = r:sample(60)
  local log_prob = r:log_prob(theta)
  check.that(metrics.quantile(cuts, .5) < .05, "half of the samples lack more than 5 % of the weight")
  local off, n = 0, 0
  for i = 1, 5 do
    local inside = metrics.coverage(theta, samples, .68)
    check.near(inside[i], .68, 4 * math.sqrt(.68 * .32 / 40), "coverage of " .. LABELS[i])
  end
  -- z-scores have mean 0 and variance 1, and so has what each says together: chi^2 of 5.
  for k = 1, 40 do
    local mean, covariance = r:moments(k)
    local z = (theta:get(k, 1) - mean[1]) / math.sqrt(covariance[1][1])
    off, n = off + z, n + 1
    check.that(r:state(k).ess >= 300, "galaxy " .. k .. " has too few")
    check.that(log_prob[k] > -15 and log_prob[k] < 10, "log_prob of galaxy " .. k .. " is " .. log_prob[k])
  end
  check.near(off / n, 0, 4 / math.sqrt(40), "mean error of log M*, deviations")
end)

check.case("ln p(theta | ugriz) is the density of the samples", function()
  local r = reference(magnitudes:narrow(1, 1, 1), { ess = 3000, seed = 5 })
  local mean, covariance = r:moments(1)
  local samples = r:sample(600)
  local m = samples:mean(2):totable()[1]
  -- The entropy of a posterior is at most that of the normal of its covariance, and here close to it.
  local linalg = require "gal.stats.linalg"
  local gaussian, sum = 2.5 * math.log(2 * math.pi * math.exp(1))
    + .5 * linalg.log_determinant(linalg.cholesky(covariance)), 0
  for i = 1, 300 do sum = sum - r:log_prob(samples:narrow(2, i, 1):reshape { 1, 5 })[1] / 300 end
  check.that(sum < gaussian + .25 and sum > gaussian - .8,
    ("the entropy is %.3f nats, that of a normal %.3f"):format(sum, gaussian))
  for i = 1, 5 do
    check.near((m[i] - mean[i]) / math.sqrt(covariance[i][i]), 0, 5 / math.sqrt(600),
      "mean of the samples, property " .. i)
  end
end)

check.case("pieces of a run are like the whole, and a run that was stopped goes on", function()
  local out = path "reference"
  local few, some = magnitudes:narrow(1, 1, 3), theta:narrow(1, 1, 3)
  local whole = reference.run { magnitudes = few, theta = some, out = out, ess = 200, samples = 20, seed = 1,
    progress = false }
  local r = reference(magnitudes:narrow(1, 2, 2), { ess = 200, seed = 1, first = 1 })
  check.equal(r:sample(20):totable()[1][3][1], whole.samples:get(2, 3, 1))
  check.equal(whole.log_prob:get(3), ffi.new("float", r:log_prob(some:narrow(1, 2, 2))[2]))
  check.raises(function()
    reference.run { magnitudes = few, theta = some, out = out, ess = 300, samples = 20, seed = 1 }
  end, "ess was 200 and is 300")
  check.near(reference.run { magnitudes = few, theta = some, out = out, ess = 200, samples = 20,
    seed = 1 }.ess:get(1), whole.ess:get(1), 0)
end)

check.case("a galaxy that the model can't make is refused by its number", function()
  local odd = gal.tensor { { 10, 20, 17, 10, 20 } }
  check.raises(function() reference(magnitudes:narrow(1, 1, 1), { ess = 100 }):sample(1000000) end,
    "expected 1 to a third of its effective sample size")
  check.raises(function() reference(odd, { ess = 1000, most = 50000 }) end,
    "galaxy 1 has an effective sample size of")
end)

-- ---- the experiments ----

local function run(experiment, ...)
  return scratch.run(scratch.experiment(experiment) .. " " .. table.concat({ ... }, " "))
end

-- Units of the FITS standard (4.0, tables 3 to 5) that a catalogue may have; logarithms have none.
check.case("the catalogue's units are the FITS standard's", function()
  local standard = { [""] = true, mag = true, deg = true, arcsec = true, Jy = true, solMass = true }
  local t, given = require("gal.mock").galaxies{ n = 3 }, 0
  for _, name in ipairs(t.names) do
    check.that(standard[t:unit(name)], name .. " is in " .. t:unit(name))
    if t:unit(name) ~= "" then given = given + 1 end
  end
  check.equal({ t:unit "ra", t:unit "modelMag_g", t:unit "a_v", given }, { "deg", "mag", "mag", 20 })
end)
check.case("make_survey makes a survey that reference_posterior and train_photometry read", function()
  local code, text = run("make_survey", "--n", "60", "--no-cutouts", "--out", "made",
    "--without", "bt,clumps")
  check.equal(code, 0, text)
  check.equal(folder.kind(path "made/cutouts"), nil)
  code, text = run("make_survey", "--n", "60", "--no-cutouts", "--out", "made", "--without", "bt,clumps")
  check.that(code == 0 and text:find "is finished", text)
  code, text = run("reference_posterior", "--survey", "made", "--n", "3", "--ess", "200", "--out", "exact")
  check.that(code == 0 and text:find "3 galaxies +least", text)
  code, text = run("train_photometry", "--survey", "made", "--epochs", "1", "--hidden", "8", "--out", "run")
  check.that(code == 0 and text:find "60 galaxies kept", text)
  code, text = run("make_survey", "--without", "btt")
  check.that(code == 2 and text:find "expected one of inclination, size, gradient, bulge_colour, clumps, bt",
    text)
end)

scratch.remove()
check.finish()
