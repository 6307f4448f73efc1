-- Cutouts in single precision: FITS of every kind as astropy reads them, PNG of 16 bits; bands by name;
-- scaling by the training galaxies alone; pixels without a value; scale and source; what is damaged, what is
-- refused; and training on them.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local core = require "gal.tensor"
local data = require "gal.data"
local fit = require("gal.train").fit
local fits = dofile "lua/lib/fits.lua"
local flows = require "gal.flow"
local images = require "gal.images"
local nn = require "gal.nn"
local scratch = dofile "lua/lib/scratch.lua"
local path, read, write = scratch.path, scratch.read, scratch.write

local GOLDEN = "golden/cutouts/bands/"
local NAN = 0 / 0

local function raises(text, fn, ...)
  local ok, err = pcall(fn, ...)
  check.that(not ok, "no error, expected one with: " .. text)
  check.that(tostring(err):find(text, 1, true),
    ("the error is\n%s\nexpected one with\n%s"):format(tostring(err), text))
end

-- ---- what files hold ----

check.case("FITS and PNG of 16 bits have the values, gaps, bands and scale that astropy reads", function()
  local golden, form = gal.load(GOLDEN .. "bands.npz"), ffi.new "gal_image_form"
  for file, names in pairs{
    ["float.fits"] = "g,r,z", ["double.fits"] = "z,r,g", ["one.fits"] = "r", ["bytes.fits"] = "1",
    ["short.fits"] = "1", ["long.fits"] = "1", ["extensions.fits"] = "G,R,Z", ["rice.fits.fz"] = "g,r,z",
    ["zipped.fits.gz"] = "g,r,z", ["deep.png"] = "red,green,blue", ["grey.png"] = "grey",
  } do
    local key = file:match "^%w+"
    assert(C.gal_image_read_form(form, GOLDEN .. file) == 0, ffi.string(C.gal_error()))
    check.equal({ ffi.string(form.names), form.deep }, { names, 1 }, file)
    local scale = golden[key .. "_scale"] and golden[key .. "_scale"]:get(1) or 0
    check.that(math.abs(form.scale - scale) <= 1e-6 * scale,
      ("%s has pixels of %.9g arcsec, astropy says %.9g"):format(file, form.scale, scale))
    local x = core.to_fill({ 1, 16, 16, tonumber(form.bands) }, "float32")
    local decoded, paths = ffi.new "gal_decoded[1]", ffi.new("const char *[1]", { GOLDEN .. file })
    assert(C.gal_cutouts_decode(x.h, decoded, paths, 1, form.names, 0) == 0)
    check.equal({ decoded[0].status, ffi.string(decoded[0].problem) }, { 0, "" }, file)
    local found, expected, wrong, gaps = core.read(x), core.read(golden[key]), 0, 0
    for i = 0, x:count() - 1 do
      local a, b = found[i], expected[i]
      if not (a == b or a ~= a and b ~= b) then wrong = wrong + 1 end
      if b ~= b then gaps = gaps + 1 end
    end
    check.equal(wrong, 0, file .. ": values that differ from astropy's")
    check.that(gaps == 0 or tonumber(decoded[0].missing) > 0, file .. ": its gaps were not counted")
  end
end)

-- ---- surveys ----

-- A survey of n galaxies, cutouts of 16 x 16 pixels in bands g and r: a round disc whose size says oh_p50 and
-- whose colour says lgm_tot_p50. change(k, file) may give other bytes for galaxy k, or nil for none.
local SIZE = 16
local function survey(name, n, change, more)
  local home, rng = path(name), gal.rng(n)
  C.gal_make_folder(home .. "/cutouts")
  local drawn = gal.randn({ n, 2 }, { rng = rng }):totable()
  local noise = gal.randn({ n, 2 * SIZE * SIZE }, { rng = rng }):totable()
  local lines = { "objID,oh_p50,lgm_tot_p50,modelMag_r" }
  for k = 1, n do
    local a, b = drawn[k][1], drawn[k][2]
    local function value(band, y, x)
      local r = math.sqrt((x - 7.5) ^ 2 + (y - 7.5) ^ 2) / (1.5 * math.exp(0.3 * a))
      local light = 50 * math.exp(-r) * (band == 1 and 1 or math.exp(0.4 * b))
      return 10 + light + noise[k][(band - 1) * SIZE * SIZE + y * SIZE + x + 1]
    end
    lines[k + 1] = ("%d,%.5f,%.5f,%.5f"):format(k, 8.5 + 0.2 * a, 10 + 0.5 * b, 17 + 0.1 * a * b)
    local bytes = fits.image(SIZE, 2, value, fits.wcs(0.262, "gr"))
    if change then bytes = change(k, value, bytes) end
    if bytes then write(("%s/cutouts/%d.fits"):format(home, k), bytes) end
  end
  write(home .. "/catalog.csv", table.concat(lines, "\n") .. "\n")
  if more then more(home) end
  return home
end
local function open(home, prepared)
  local o = { theta = { "oh_p50", "lgm_tot_p50" }, context = {}, images = { progress = false } }
  for key, value in pairs(prepared or {}) do o.images[key] = value end
  return data.open(home, o)
end

local home = survey("sky", 300)
local sky = open(home)

check.case("a value is shown as asinh((x - m) / s), or as it is, from the ends that were chosen", function()
  local raw = gal.load(home .. "/cutouts.npy")
  for _, kind in ipairs{ "asinh", "linear" } do
    local s = open(home, { scaling = kind })
    local n, shown = s.prepared.scaling, core.read(s.images:batch(1, 300))
    local values, off, inside = core.read(raw), 0, 0
    check.equal({ n.kind, n.bands, n.mask }, { kind, { "g", "r" }, false })
    for i = 0, raw:count() - 1 do
      local k = i % 2 + 1
      local x = (values[i] - n.offset[k]) / n.softening[k]
      local f = kind == "linear" and values[i] or math.log(x + math.sqrt(x * x + 1))
      local y = math.max(-1, math.min(2, (f - n.low[k]) / (n.high[k] - n.low[k])))
      off = math.max(off, math.abs(y - shown[i]))
      if y >= 0 and y <= 1 then inside = inside + 1 end
    end
    -- ln(x + sqrt(x^2 + 1)) of x below 0 loses what it subtracts, in double precision 1e-13.
    check.that(off < 2e-6, ("%s: a value is shown %g off"):format(kind, off))
    check.that(inside > 0.999 * raw:count(), "values lie outside of what the training galaxies span")
    -- The sky of 10 with a noise of 1 is what the numbers have to find; galaxies fill a third of the frame.
    check.that(math.abs(n.offset[1] - 10) < 2 and n.softening[1] > 0.8 and n.softening[1] < 4,
      ("the sky is %.3g, its noise %.3g"):format(n.offset[1], n.softening[1]))
  end
end)

check.case("low and high leave out one image in a hundred, and a band of zeros has a scale", function()
  -- 200 images of 4 x 4 pixels, image i of pixels from i on.
  local function choose(kind, value)
    local pixels = {}
    for i = 1, 200 do
      for k = 1, 16 do pixels[#pixels + 1] = value(i, k) end
    end
    local set = images.of(gal.tensor(pixels, { 200, 4, 4, 1 }, { device = "cpu" }))
    return require("gal.data.scaling").choose(set, kind, { "r" }, { progress = false })
  end
  local linear = choose("linear", function(i, k) return i + k / 16 end)
  -- Two of 200 images have a value below low, two one above high.
  check.near({ linear.low[1], linear.high[1] }, { 3 + 1 / 16, 198 + 1 }, 1e-4)
  -- Half of the pixels and more are 0: their deviation is, and a thousandth of the range takes its place.
  local sky = choose("asinh", function(i, k) return k > 12 and i or 0 end)
  check.near({ sky.offset[1], sky.softening[1] }, { 0, 0.198 }, 1e-6)
  check.near({ sky.low[1], sky.high[1] }, { 0, math.log(1000 + math.sqrt(1e6 + 1)) }, 1e-6)
end)

check.case("the scaling is chosen by the training galaxies alone", function()
  local part = data.part
  local function brighter(which)
    return survey("bright-" .. which, 300, function(k, value, bytes)
      if part(tostring(k)) ~= which then return bytes end
      return fits.image(SIZE, 2, function(band, y, x) return 3 * value(band, y, x) end, fits.wcs(0.262, "gr"))
    end)
  end
  for _, which in ipairs{ "test", "valid" } do
    check.equal(open(brighter(which)).prepared.scaling, sky.prepared.scaling, which .. " galaxies have a say")
  end
  check.that(open(brighter "train").prepared.scaling.offset[1] > 20, "training galaxies have no say")
end)

check.case("a file a band, in folders, is the same as a cube; bands are taken by their names", function()
  local folders = survey("folders", 300, function(k, value)
    for band, name in ipairs{ "g", "r" } do
      C.gal_make_folder(path "folders" .. "/cutouts/" .. name)
      local bytes = fits.image(SIZE, 1, function(_, y, x) return value(band, y, x) end, fits.wcs(0.262, "x"))
      write(("%s/cutouts/%s/%d.fits"):format(path "folders", name, k), bytes)
    end
  end)
  local s = open(folders)
  check.equal(s.prepared.scaling, sky.prepared.scaling)
  check.that(check.bits(s.images:batch(1, 300)) == check.bits(sky.images:batch(1, 300)), "the pixels differ")
  local red, turned = open(home, { bands = { "r" } }), open(home, { bands = { "r", "g" } })
  check.equal({ red.images.shape, turned.prepared.scaling.bands }, { { 300, 16, 16, 1 }, { "r", "g" } })
  check.equal(turned.images:batch(5, 1):narrow(4, 1, 1), sky.images:batch(5, 1):narrow(4, 2, 1))
  check.equal(red.images:batch(5, 1), turned.images:batch(5, 1):narrow(4, 1, 1))
  raises("bands has i, but", open, home, { bands = { "r", "i" } })
  raises("there is no folder", open, folders, { bands = { "i" } })
  os.remove(folders .. "/cutouts/r/7.fits")
  local lost = open(folders)
  check.equal(lost:losses(), "1 of 300 rows dropped: 1 with a damaged cutout")
  check.that(lost:describe():find("r/7.fits: can't be opened", 1, true), lost:describe())
end)

-- ---- pixels without a value ----

-- The middle of galaxy k has no value in a column of g, and of galaxies of some parts only.
local function gappy(which)
  return function(k, value, bytes)
    if k % 3 > 0 or data.part(tostring(k)) ~= which then return bytes end
    local function gap(band, y, x) return band == 1 and x == 4 and NAN or value(band, y, x) end
    return fits.image(SIZE, 2, gap, fits.wcs(0.262, "gr"))
  end
end

check.case("a pixel without a value is the training mean, and a channel says so; bins skip it", function()
  local gaps = survey("gaps", 300, gappy "train")
  local s, b = open(gaps), open(gaps, { bin = 2 })
  check.equal({ s.images.shape, b.images.shape, s.prepared.scaling.mask },
    { { 300, 16, 16, 3 }, { 300, 8, 8, 3 }, true })
  local k
  for i = 3, 300, 3 do k = k or data.part(tostring(i)) == "train" and i end
  local one, half = s.images:batch(k, 1)[1], b.images:batch(k, 1)[1]
  check.equal({ one:get(3, 5, 3), one:get(3, 4, 3), half:get(2, 3, 3), half:get(2, 2, 3) },
    { 0.5, 0, 0.25, 0 })
  check.near(one:get(3, 5, 1), s.prepared.scaling.fill[1], 1e-6)
  -- The mean of the two pixels with a value, unscaled.
  local n, raw = b.prepared.scaling, gal.load(gaps .. "/cutouts.npy")
  local mean = (raw:get(k, 3, 6, 1) + raw:get(k, 4, 6, 1)) / 2
  local x = (mean - n.offset[1]) / n.softening[1]
  local y = (math.log(x + math.sqrt(x * x + 1)) - n.low[1]) / (n.high[1] - n.low[1])
  check.near(half:get(2, 3, 1), y, 1e-5)
  -- Standardised by a flow, it is 0: the fill is the mean.
  local inputs = require "gal.flow.inputs"
  local mean_, deviation = inputs.image_statistics(s:split("train").images, "cpu")
  local standard = inputs.standard_images(s.images:batch(k, 1), { image_mean = mean_, image_std = deviation })
  check.near(standard:get(1, 3, 5, 1), 0, 1e-4)
end)

check.case("medians are of values, wherever an image has some", function()
  local list = {}
  for k = 0, 2 * 64 * 64 - 1 do list[k + 1] = k % 4 == 1 and 5 + k % 3 or NAN end
  local found = images.of(gal.tensor(list, { 2, 64, 64, 1 })):levels(1, 2)
  check.equal({ found[0].median, tonumber(found[0].count), tonumber(found[1].missing) }, { 6, 1024, 3072 })
end)

check.case("where no training galaxy lacks values there is no channel, and others' gaps are told", function()
  local s = open(survey("test-gaps", 300, gappy "test"))
  check.equal({ s.images.shape[4], s.prepared.scaling.mask }, { 2, false })
  check.that(s:describe():find "suspicious: %d+ of 300 cutouts have pixels without a value", s:describe())
  check.equal(s.images:batch(1, 300):max():item() < 3, true)
end)

-- ---- what is wrong ----

check.case("a damaged FITS is told by name, and its galaxy dropped", function()
  local wrong = {
    [4] = read(GOLDEN .. "vector.fits"), [8] = read(GOLDEN .. "axes.fits"),
    [12] = read(GOLDEN .. "table.fits"), [16] = read(GOLDEN .. "float.fits"):sub(1, 5000),
    [20] = "SIMPLE  =", [24] = "",
    [28] = ("x"):rep(3000), [32] = read(GOLDEN .. "zipped.fits.gz"):sub(1, -100),
    [44] = read "golden/files/f4.npy",
  }
  local home_ = survey("damaged", 60, function(k, value, bytes)
    local function but(other)
      return fits.image(SIZE, 2, function(b, y, x) return y == 2 and other or value(b, y, x) end,
        fits.wcs(0.262, "gr"))
    end
    if k == 36 then return but(1 / 0) end
    if k == 40 then return fits.image(SIZE, 2, function() return NAN end, fits.wcs(0.262, "gr")) end
    if k == 48 then return but(-1e6) end -- far below 0: a value like others
    return wrong[k] or bytes
  end)
  local s = open(home_, { resize = 16 })
  local told = {}
  for _, entry in ipairs(s.damaged) do told[#told + 1] = entry.problem end
  told = table.concat(told, "\n")
  for _, sentence in ipairs{
    "4.fits its image has 1 axis, expected 2 (y, x) or 3 (bands, y, x)", "8.fits its image has 4 axes",
    "12.fits holds a table but no image", "16.fits is truncated: HDU 0 has 3072 bytes",
    "20.fits is truncated", "24.fits is empty", "28.fits is neither FITS nor PNG of 16 bits",
    "32.fits is truncated", "36.fits holds an infinite value", "40.fits holds no value", "44.fits is neither",
  } do
    check.that(told:find(sentence, 1, true), ("no '%s' in\n%s"):format(sentence, told))
  end
  check.equal(s:losses(), "11 of 60 rows dropped: 11 with a damaged cutout")
  check.equal(s.images:batch(1, #s.ids):min():item(), -1)
  local command = scratch.experiment "train_image" .. " --theta oh_p50 --photometry none --survey %s --out %s"
  local ruins = survey("ruins", 5, function() return "SIMPLE" end)
  local code, output = scratch.run(command:format(ruins, path "never"))
  check.that(code == 1 and output:find("none of 5 cutouts can be read: .*ruins/cutouts/1.fits"),
    ("exit code %d, %s"):format(code, output))
end)

check.case("what can't be learned from together is refused by name", function()
  local function odd(name, size, bands, scale, names)
    return survey(name, 30, function(k, value, bytes)
      if k ~= 9 then return bytes end
      return fits.image(size, bands, value and function() return k end, fits.wcs(scale, names))
    end)
  end
  raises("cutouts/9.fits is 12 x 12 pixels, expected 16 x 16 like", open, odd("size", 12, 2, 0.262, "gr"))
  raises("cutouts/9.fits has the bands g, expected g,r like", open, odd("band", 16, 1, 0.262, "g"))
  local scaled = odd("scale", 16, 2, 0.4, "gr")
  raises("cutouts/1.fits has pixels of 0.262 arcsec and", open, scaled)
  raises("cutouts/9.fits of 0.4, expected one scale", open, scaled)
  check.equal(#open(odd("near", 16, 2, 0.264, "gr")).ids, 30)
  local mixed = survey("mixed", 30)
  os.remove(mixed .. "/cutouts/9.fits")
  write(mixed .. "/cutouts/9.jpg", read "golden/cutouts/colour.jpg")
  raises("cutouts/9.jpg are cutouts of two kinds", open, mixed)
  write(mixed .. "/cutouts/1.jpg", read "golden/cutouts/colour.jpg")
  raises("1.fits are of one galaxy, expected pictures or FITS", open, mixed)
  raises("scaling is none, but", open, home, { scaling = "none" })
  raises("expected \"asinh\", \"linear\", \"none\"", open, home, { scaling = "log" })
  local jpeg = survey("jpeg", 30, function() end)
  for k = 1, 30 do write(("%s/cutouts/%d.jpg"):format(jpeg, k), read "golden/cutouts/colour.jpg") end
  raises("is a picture of 8 bits, whose values are scaled already", open, jpeg, { scaling = "asinh" })
  raises("is a picture in three colours, expected FITS", open, jpeg, { bands = { "g" } })
end)

check.case("a survey is refused where source, scale, kind or bands are not the run's", function()
  local function from(name, source, scale, change)
    return survey(name, 60, change, function(at)
      local told = '{"source":"%s","release":"dr10","scale":%g,"size":16}'
      write(at .. "/cutouts/source.json", told:format(source, scale))
    end)
  end
  local legacy = open(from("legacy", "legacysurvey", 0.262))
  check.equal(legacy.prepared.source, { source = "legacysurvey", release = "dr10" })
  local words = legacy:describe()
  check.that(words:find("0.262 arcsec a pixel, from legacysurvey dr10", 1, true), words)
  local choices = require("gal.base.json").decode(require("gal.base.json").encode(legacy:choices()))
  local function again(other) return data.reopen(choices, { survey = other }) end
  check.equal(again(from("legacy2", "legacysurvey", 0.262)).prepared.scaling, legacy.prepared.scaling)
  raises("are from sdss dr10, but the flow was trained on cutouts from legacysurvey dr10: fetch", again,
    from("other", "sdss", 0.262))
  raises("legacy/cutouts/1.fits has pixels of 0.262 arcsec, but", open, from("legacy", "legacysurvey", 0.4))
  local coarse = from("coarse", "legacysurvey", 0.5, function(_, value)
    return fits.image(SIZE, 2, value, fits.wcs(0.5, "gr"))
  end)
  raises("have pixels of 0.5 arcsec, but the flow was trained on cutouts of 0.262", again, coarse)
  words = again(survey("unknown", 60)):describe()
  check.that(words:find "do not say where they came from", words)
  local function only_g(_, value) return fits.image(SIZE, 1, value, fits.wcs(0.262, "g")) end
  local blue = survey("blue", 60, only_g)
  raises("the flow was trained on the band r, but", again, blue)
  local jpeg = survey("jpeg2", 60, function() end)
  for k = 1, 60 do write(("%s/cutouts/%d.jpg"):format(jpeg, k), read "golden/cutouts/colour.jpg") end
  raises("is a picture of 8 bits, but the flow was trained on images of the bands g, r", again, jpeg)
  local pictures = open(jpeg):choices()
  raises("is no picture of 8 bits, but the flow was trained on such", data.reopen, pictures,
    { survey = home })
  -- Of a packing that was handed on without its files, too.
  local function handed(name, of, change)
    local to = path(name)
    C.gal_make_folder(to)
    write(to .. "/catalog.csv", read(of .. "/catalog.csv"))
    write(to .. "/cutouts.npy", read(of .. "/cutouts.npy"))
    write(to .. "/cutouts.csv", change(read(of .. "/cutouts.csv")))
    return to
  end
  local function same(text) return text end
  local own = handed("handed", path "legacy", same)
  check.equal(again(own).prepared.scaling, legacy.prepared.scaling)
  raises("handed2/cutouts.npy has the bands g, z, but the flow was trained on g, r", again,
    handed("handed2", path "legacy", function(text) return (text:gsub("g%+r", "g+z")) end))
  raises("is a picture of 8 bits, but the flow was trained on images of the bands g, r", again,
    handed("handed3", jpeg, same))
  raises("resize is 8, but", open, own, { resize = 8 })
  write(jpeg .. "/cutouts/source.json", "{")
  raises("source.json is no JSON object", open, jpeg)
end)

-- ---- training ----

local function train(s, given)
  local r = gal.rng(3)
  local flow = flows.new{
    theta = s.names.theta, context = 0, image = s.images.image, hidden = { 32, 32 }, rng = r,
    encoder = nn.galaxy_cnn{ channels = { 8, 16 }, inputs = s.images.image[3], rng = r },
  }
  flow.notes = s.path and s:choices()
  local o = { flow = flow, data = s:split "train", valid = s:split "valid", batch = 16, epochs = 8, seed = 5,
    draws = 8, lr = 4e-3, schedule = "constant", progress = false }
  for key, value in pairs(given or {}) do o[key] = value end
  return fit(o)
end

check.case("a flow learns from FITS what it shows, and as much from the same sky in 8 bits", function()
  local run = train(sky, { out = path "run" })
  local test = sky:split "test"
  local mean = run.flow:sample(test:seen(), { n = 50, steps = 10 }):mean(2):totable()
  local truth = test.theta:totable()
  local function r(j)
    local sums = { 0, 0, 0, 0, 0 }
    for k, row in ipairs(mean) do
      local a, b = row[j], truth[k][j]
      for i, v in ipairs{ a, b, a * a, b * b, a * b } do sums[i] = sums[i] + v / #mean end
    end
    return (sums[5] - sums[1] * sums[2]) / math.sqrt((sums[3] - sums[1] ^ 2) * (sums[4] - sums[2] ^ 2))
  end
  check.that(r(1) > 0.8 and r(2) > 0.8,
    ("posterior means go with the truth by r = %.2f, %.2f"):format(r(1), r(2)))
  local function bytes(s)
    local x = (s.images:batch(1, #s.ids) * 255 + 0.5):to "cpu"
    local out = core.new(x.shape, "uint8", "cpu")
    core.assign(out, x)
    s.images = out
    return s
  end
  local eight = train(sky, { data = bytes(sky:split "train"), valid = bytes(sky:split "valid") })
  check.that(math.abs(eight.best_loss - run.best_loss) < 0.05,
    ("the loss is %.3f from floats and %.3f from 8 bits"):format(run.best_loss, eight.best_loss))
end)

check.case("a run on FITS goes on, is the same resident and streamed, and is met again", function()
  local first = train(sky, { epochs = 2, resident = false })
  local second = train(sky, { epochs = 2, resident = true })
  check.equal(second.history, first.history)
  train(sky, { epochs = 1, out = path "half" })
  check.equal(train(sky, { epochs = 2, out = path "half", resume = true }).history, first.history)
  raises("began with other settings: notes.images.scaling", train, open(home, { scaling = "linear" }),
    { epochs = 3, out = path "half", resume = true })
  local met = require("gal.infer.trained").open(path "half")
  local again, own = met:survey{}
  check.equal({ own, again.prepared.scaling }, { true, sky.prepared.scaling })
  check.that(check.bits(again.images:batch(1, 300)) == check.bits(sky.images:batch(1, 300)), "other pixels")
  local opened = gal.open(path "half")
  local p, typed = opened:posterior "3", opened:posterior{ image = home .. "/cutouts/3.fits" }
  check.equal(typed:sample(20), p:sample(20))
  write(path "small.fits", fits.image(12, 2, function() return 1 end, fits.wcs(0.262, "gr")))
  raises("small.fits is 12 x 12 pixels, expected 16 x 16 as the run's cutouts", opened.posterior, opened,
    { image = path "small.fits" })
  write(path "near.fits", fits.image(16, 2, function() return 1 end, fits.wcs(0.4, "gr")))
  raises("near.fits has pixels of 0.4 arcsec, expected 0.262 as the run's cutouts", opened.posterior, opened,
    { image = path "near.fits" })
end)

check.case("bands are shown in colours by wavelength, one in grey", function()
  local colours = require("gal.data.bands").colours
  local function of(...)
    local names, found = { ... }, {}
    for i, place in ipairs{ colours(names) } do found[i] = place and names[place] or "between" end
    return table.concat(found, " ")
  end
  check.equal({ of("g", "r", "z"), of("z", "g", "r"), of("u", "g", "r", "i", "z"), of("u", "g", "r"), of "r",
    of("r", "g"), of("1", "2", "3", "4") },
    { "z r g", "z r g", "i r g", "r g u", "r r r", "r between g", "3 2 1" })
  local seen = sky:pictures{ 1, 2 }
  check.equal({ seen.shape, seen.dtype }, { { 2, 16, 16, 3 }, "uint8" })
  local middle, corner = seen:get(1, 8, 8, 1), seen:get(1, 1, 1, 1)
  check.that(middle > 120 and corner < 120, ("the galaxy is shown as %g, sky as %g"):format(middle, corner))
end)

check.case("a mock survey in FITS has the light that its JPEG shows, in nanomaggies", function()
  local mock, files = require "gal.mock", {}
  for _, format in ipairs{ "jpg", "fits" } do
    mock.make{ out = path("mock-" .. format), n = 4, cutout_format = format, progress = false }
    files[format] = data.open(path("mock-" .. format), { images = { progress = false } })
  end
  check.equal(files.fits.prepared.pixel_scale, 0.396)
  local light = require("gal.data.picture").light
  local raw, jpeg = gal.load(path "mock-fits" .. "/cutouts.npy"), files.jpg.images:batch(1, 4):float()
  local sum, other = 0, 0
  for k = 1, 4 do
    for y = 40, 88 do
      for x = 40, 88 do
        -- SkyServer's colours of (i, r, g): their mean, made light again, is the mean of 2.0 i, 2.5 r, 3.3 g.
        local shown = light((jpeg:get(k, y, x, 1) + jpeg:get(k, y, x, 2) + jpeg:get(k, y, x, 3)) / 3)
        local own = (3.3 * raw:get(k, y, x, 1) + 2.5 * raw:get(k, y, x, 2) + 2 * raw:get(k, y, x, 3)) / 3
        sum, other = sum + shown, other + own
      end
    end
  end
  local off = math.abs(sum / other - 1)
  check.that(off < 0.1, ("the JPEG shows %.4g, the FITS %.4g"):format(sum, other))
  raises('cutout_format is the string "gif"', mock.make,
    { out = path "mock-gif", n = 1, cutout_format = "gif" })
end)

scratch.remove()
check.finish()
