-- Samples: the paper's cuts from tables on disk, close galaxies that share a part, magnitudes brought to AB,
-- and select_sample.lua with the memory that it takes.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local attenuation = require "gal.data.attenuation"
local base = require "gal.base.path"
local data = require "gal.data"
local ffi = require "ffi"
local galspec = require "gal.data.galspec"
local named = require "gal.flow.named"
local sample = require "gal.data.sample"
local select_ = require "gal.data.select"
local train = require "gal.train"

local scratch = dofile "lua/lib/scratch.lua"
local nan = 0 / 0

-- ---- close galaxies ----

-- 400 galaxies a degree apart; galaxy 2k is 2 arcsec from galaxy 2k - 1 where pairs is true.
local function field(pairs_)
  local t = { objID = {}, ra = {}, dec = {}, y = {}, modelMag_u = {}, modelMag_g = {}, extinction_u = {} }
  for k = 1, 400 do
    local near = pairs_ and k % 2 == 0
    t.objID[k] = ("%d"):format(1237648720693755918ULL + 37ULL * (401 - k)):gsub("ULL", "")
    t.ra[k], t.dec[k] = k % 20, math.floor(k / 20)
    if near then t.ra[k], t.dec[k] = t.ra[k - 1], t.dec[k - 1] + 2 / 3600 end
    t.y[k], t.modelMag_u[k], t.modelMag_g[k], t.extinction_u[k] = k, 18 + k / 100, 17, 0.5
  end
  gal.table(t):save(scratch.path "field.fits")
  return scratch.path "field.fits"
end
local ASKED = { theta = { "y" }, context = { "modelMag_u" } }
local function asked(more)
  local o = { theta = ASKED.theta, context = ASKED.context }
  for name, value in pairs(more or {}) do o[name] = value end
  return o
end

check.case("galaxies within 3 arcsec are in the part of the smallest id, others where they were", function()
  local survey, moved = data.open(field(true), asked()), 0
  for k = 1, 400, 2 do
    local smaller = survey.ids[k + 1] -- ids fall with the row
    check.equal({ survey:part(k), survey:part(k + 1) }, { data.part(smaller), data.part(smaller) })
    moved = moved + (data.part(survey.ids[k]) ~= data.part(smaller) and 1 or 0)
  end
  check.that(moved > 20, moved .. " galaxies moved")
  check.that(survey:describe():find("400 within 3 arcsec of others share a part", 1, true), survey:describe())
  local parts = {}
  for _, part in ipairs{ "train", "valid", "test" } do
    for _, id in ipairs(survey:split(part):thin(1000).ids) do parts[id] = part end
  end
  for k = 1, 400 do check.equal(parts[survey.ids[k]], survey:part(k)) end
  check.equal(survey:choices().close, 3)
  local held = 0
  for fold = 0, 4 do
    local rest, out = survey:fold(fold, 5)
    local there = {}
    held = held + #out.ids
    for _, id in ipairs(out.ids) do there[id] = true end
    for k = 1, 400, 2 do check.equal(there[survey.ids[k]], there[survey.ids[k + 1]]) end
    check.equal(#rest.ids + #out.ids, 400)
  end
  check.equal(held, 400)
  local alone = data.open(field(false), asked())
  check.equal({ alone.close, alone.deciding, alone:choices().close }, {})
  for k = 1, 400 do check.equal(alone:part(k), data.part(alone.ids[k])) end
end)

check.case("a run that began without close galaxies goes on as it was, and is met again so", function()
  local out = scratch.path "run"
  local function go(like, epochs)
    local survey = data.open(field(true), asked{ like = like })
    local flow = require("gal.flow").new{ theta = { "y" }, context = survey.names.context, hidden = { 4 } }
    flow.notes = survey:choices()
    return train.fit{ flow = flow, data = survey:split "train", valid = survey:split "valid",
      test = survey:split "test", out = out, resume = true, epochs = epochs, progress = false }, survey
  end
  go({}, 1)
  local before = train.expect{ out = out, resume = true }
  check.equal({ before.close, before.theta }, { nil, { "y" } })
  check.raises(function() go(nil, 2) end, "the training galaxies are others")
  local run, survey = go(before, 2)
  check.equal(run.stopped, "epochs")
  local again = gal.open(out):survey()
  for k = 1, 400 do
    local own = data.part(again.ids[k])
    check.equal({ again:part(k), survey:part(k) }, { own, own })
  end
  check.equal(train.expect{ out = scratch.path "none" }, nil)
end)

check.case("positions that are none don't put a table into one part, and this is told", function()
  local t, zeros = gal.table(field(false)), {}
  for k = 1, 400 do zeros[k] = 0 end
  t:set("ra", zeros):set("dec", zeros):save(scratch.path "zeros.fits")
  local survey = data.open(scratch.path "zeros.fits", asked())
  check.equal(survey.close, nil)
  check.that(survey:describe():find("400 of 400 rows are at one place: their positions are none", 1, true),
    survey:describe())
end)

-- ---- AB ----

check.case("offsets to AB are added to the context's magnitudes, once, and go with the survey", function()
  local path = field(false)
  local function first(context, ab)
    local survey = data.open(path, { theta = { "modelMag_g" }, context = context, ab_offsets = ab })
    return survey.context:get(1, 1), survey
  end
  local function raises(ab, pattern)
    check.raises(function() first({ "modelMag_u" }, ab) end, pattern)
  end
  local u = { u = -0.04 }
  check.near(first({ "modelMag_u" }), 18.01 - 0.5, 1e-5)
  check.near(first({ "modelMag_u" }, u), 18.01 - 0.5 - 0.04, 1e-5)
  check.near(first({ "x=modelMag_u-extinction_u" }, { "u=-0.04" }), 18.01 - 0.5 - 0.04 - 0.5, 1e-5)
  check.near(first({ "modelMag_u=y" }, u), 1 - 0.5 - 0.04, 1e-5)
  local _, survey = first({ "modelMag_u" }, { u = -0.04 })
  check.equal(survey.theta:get(1, 1), 17)
  check.equal({ survey:choices().ab_offsets, survey:choices().shifted }, { u, { "modelMag_u" } })
  check.that(survey:describe():find("brought to AB by u=-0.04: modelMag_u", 1, true), survey:describe())
  check.near(survey:source().offsets.u, -0.04)
  raises({ g = 0.01 }, "ab_offsets has the band g, but the context has no magnitude such as modelMag_g")
  raises({ y = 0.01 }, "ab_offsets has the band y, expected one of")
  raises({ "u-0.04" }, 'ab_offsets is "u%-0.04", expected BAND=MAG')
  raises({ u = 4 }, "ab_offsets.u is 4, expected a number from %-1 to 1")
  local flow = { context = { "modelMag_u" }, notes = survey:choices() }
  check.near(named.context("sample", flow, { modelMag_u = 18, extinction_u = 0.1 }):item(), 17.86, 1e-5)
end)

check.case("a table is asked about with the offsets of the training, or not at all", function()
  local path = field(false)
  local plain = data.open(path, asked()):choices()
  local shifted = data.open(path, asked{ ab_offsets = { u = -0.04 } }):choices()
  local opened, flow = data.reopen(shifted), nil
  check.near(opened.context:get(1, 1), 17.47, 1e-5)
  flow = require("gal.flow").new{ theta = { "y" }, context = opened.names.context, hidden = { 4 } }
  flow:standardise(opened.theta, opened.context)
  local drawn = { n = 2, steps = 2, seed = 1, out = scratch.path "drawn" }
  require("gal.infer").posteriors(flow, opened:thin(3), drawn)
  check.that(scratch.read(scratch.path "drawn/draws.json"):find '"ab_offsets": "u=%-0.04"')
  check.near(data.reopen(shifted, { ab_offsets = { "u=-0.04" } }).context:get(1, 1), 17.47, 1e-5)
  check.raises(function() data.reopen(shifted, { ab_offsets = { u = -0.05 } }) end,
    "ab_offsets is u=%-0.05, but the flow was trained on magnitudes brought to AB by u=%-0.04")
  check.raises(function() data.reopen(plain, { ab_offsets = { "u=-0.04" } }) end,
    "ab_offsets is u=%-0.04, but the flow was trained on magnitudes as they are, without offsets to AB")
  check.raises(function() data.reopen(shifted, { ab_offsets = { "none" } }) end, "ab_offsets is none, but")
  for _, name in ipairs{ "ab_offsets", "derived", "corrected", "id", "survey" } do
    local odd = data.open(path, asked()):choices()
    odd[name] = -1
    local sentence = ("choices.%s is the number %%-1"):format(name)
    check.raises(function() data.reopen(odd, { id = "x" }) end, sentence)
  end
  gal.table(path):save(scratch.path "other.fits")
  local other = data.reopen(shifted, { survey = scratch.path "other.fits", ab_offsets = { "none" } })
  check.near(other.context:get(1, 1), 17.51, 1e-5)
  check.that(other:describe():find("these magnitudes are taken for AB, as the run's are by u=-0.04", 1, true))
end)

-- ---- cuts ----

local function galaxies(changes)
  local t = {
    objID = { "1", "2", "3", "4" }, bptclass = { 1, 1, 2, 1 }, petroMag_r = { 17.8, 17.7, 17, nan },
    extinction_r = { 0.1, 0.1, 0.1, 0.1 }, lgm_tot_p50 = { 10, 10, 10, 10 }, sfr_tot_p50 = { 0, 0, 0, 0 },
    oh_p50 = { 9, 9, 9, 9 }, d4000_n = { 1, 1, 1, 1 }, a_v = { 0, 1, 1, 1 }, zWarning = { 0, 4, 0, 0 },
    primTarget = { 64, 67, 3, 64 }, reliable = { 1, 1, 1, 1 }, sciencePrimary = { 1, 1, 1, 1 },
  }
  for _, band in ipairs{ "u", "g", "r", "i", "z" } do t["modelMag_" .. band] = { 17, 17, 17, 17 } end
  for name, values in pairs(changes or {}) do t[name] = values end
  return gal.table(t)
end

check.case("each cut is counted, under the first that fails, and an id is kept once", function()
  local function kept(options, changes)
    local t = galaxies(changes)
    local rows, steps = select_.rows(t, sample.cuts(t, "paper", options), "objID")
    return rows, steps
  end
  local rows, steps = kept()
  check.equal(rows, { 1, 2 })
  check.equal({ steps[1], steps[3] }, {
    { "with bptclass other than 1", 1, 3 }, { "not brighter than petroMag_r - extinction_r = 17.78", 1, 2 },
  })
  check.equal(kept{ petro = "raw" }, { 2 })
  check.equal(kept{ classes = { 1, 2 } }, { 1, 2, 3 })
  check.equal(kept{ redshift = true }, { 1 })
  check.equal(kept{ main = true, classes = { 1, 2 } }, { 1, 2 })
  -- Flags of 32 bits: 64 with the highest ones, and these without it, which a float32 would round to it.
  check.equal(kept({ main = true }, { primTarget = { 2 ^ 30 + 64, 2 ^ 29 + 33, 64, 64 } }), { 1 })
  check.equal(kept({ main = true }, { primTarget = { -2 ^ 31 + 64, -2 ^ 31, 64, 64 } }), { 1 })
  rows, steps = kept({}, { objID = { "1", "1", "3", "4" }, sciencePrimary = { 0, 1, 1, 1 } })
  check.equal(rows, { 2 })
  check.equal(steps[#steps], { "that have the objID of another", 1, 1 })
  check.raises(function() sample.cuts(galaxies(), "all") end, 'sample is "all", expected "none" or "paper"')
end)

check.case("A_V of the Balmer lines: 7.98 a decade above 2.86, 0 below, none without 3 deviations", function()
  local values, clipped = attenuation.balmer(gal.table{
    h_alpha_flux = { 2.87, 28.6, 2, 10, -9999 }, h_beta_flux = { 1, 1, 1, 1, 1 },
    h_beta_flux_err = { 0.1, 0.1, 0.1, 0.34, 0.1 },
  })
  check.near(values, { 7.9785 * math.log10(2.87 / 2.86), 7.9785, 0, nan, nan }, 1e-6)
  check.equal(clipped, 1)
end)

check.case("A_V of the continuum is spread over its grid's steps, evenly, by the id alone", function()
  local tau, ids = {}, {}
  for k = 1, 4000 do tau[k], ids[k] = 0.05 * (k % 40), tostring(k) end
  local t = gal.table{ tauv_cont = tau }
  local plain, zeros = attenuation.continuum(t)
  check.near(plain[3], 1.086 * 0.15, 1e-6)
  check.equal(zeros, 100)
  local spread, _, step = attenuation.continuum(t, ids)
  check.near(step, 1.086 * 0.05, 1e-6)
  local sum, squares = 0, 0
  for k = 1, 4000 do
    local off = (spread[k] - plain[k]) / step
    check.that(tau[k] == 0 and off >= 0 and off <= 0.5 or tau[k] > 0 and math.abs(off) <= 0.5, off)
    if tau[k] > 0 then sum, squares = sum + off, squares + off * off end
  end
  -- Mean and variance of 3,900 uniforms: 0 and 1/12, within 4 standard errors.
  check.near(sum / 3900, 0, 4 * math.sqrt(1 / 12 / 3900))
  check.near(squares / 3900, 1 / 12, 4 * math.sqrt(1 / 180 / 3900))
  local back = attenuation.spread({ 1, 1 }, 0.1, { ids[2], ids[1] })
  check.equal(attenuation.spread({ 1, 1 }, 0.1, { ids[1], ids[2] }), { back[2], back[1] })
  check.equal(attenuation.step(gal.rand({ 3000 }):totable()), nil)
end)

-- ---- MPA-JHU's files ----

-- The files of three galaxies in a folder; change(name, columns) may alter one.
local function files(folder, change)
  scratch.run("mkdir -p " .. scratch.path(folder))
  local ids = { "299489677444933632", "299490502078654464", "299491051834468352" }
  local own = {
    specObj = {
      SPECOBJID = { "  " .. ids[1], "  " .. ids[2], "  " .. ids[3] }, BESTOBJID = { "11", "", "12" },
      Z = { 0.1, 0.2, 0.3 }, ZWARNING = { 0, 0, 0 }, SPECPRIMARY = { 1, 0, 1 }, PLUG_RA = { 1, 1, 2 },
      PLUG_DEC = { 0, 0, 0 },
    },
    galSpecInfo = { RELIABLE = { 1, 1, 1 }, PRIMTARGET = { 64, 64, 64 } },
    galSpecExtra = { BPTCLASS = { 1, 1, 2 } }, galSpecIndx = {},
  }
  for name in ("LGM_TOT SFR_TOT OH"):gmatch "%S+" do
    for _, p in ipairs{ "_P16", "_P50", "_P84" } do own.galSpecExtra[name .. p] = { 1, 2, 3 } end
  end
  for name in ("D4000_N D4000_N_ERR TAUV_CONT MODEL_CHISQ"):gmatch "%S+" do
    own.galSpecIndx[name] = { 1, 2, 3 }
  end
  for name, columns in pairs(own) do
    if name ~= "specObj" then columns.SPECOBJID = { ids[1], "", ids[3] } end
    if change then change(name, columns) end
    gal.table(columns):save(scratch.path(folder .. "/" .. name .. "-dr8.fits"))
  end
  return scratch.path(folder)
end

check.case("MPA-JHU's files are one table where their rows are the same galaxies", function()
  local t, names = galspec.open(files "mpa")
  check.equal(#names, 4)
  check.equal(t:doubles "oh_p84", { 1, 2, 3 })
  check.equal(t:strings "sciencePrimary", { "1", "0", "1" })
  local photometry = gal.table{ objID = { "12", "11", "-1" }, modelMag_r = { 17, 16, 15 } }
  check.equal(t:join(photometry, { on = { "bestObjID", "objID" } }):doubles "modelMag_r", { 16, 17 })
  check.raises(function()
    galspec.open(files("swapped", function(name, columns)
      local ids = columns.SPECOBJID
      if name == "galSpecIndx" then ids[1], ids[3] = ids[3], ids[1] end
    end))
  end, "specObj%-dr8.fits and .*galSpecIndx%-dr8.fits have different specObjID in row 1, expected files")
  check.raises(function()
    galspec.open(files("short", function(name, columns)
      for _, values in pairs(name == "galSpecInfo" and columns or {}) do values[3] = nil end
    end))
  end, "specObj%-dr8.fits has 3 rows and .*galSpecInfo%-dr8.fits 2, expected as many")
  check.raises(function() galspec.open(scratch.folder) end, "has no specObj%-dr8.fits, expected it beside")
end)

-- ---- select_sample.lua ----

local N = 100000

-- A column of N whole numbers.
local function whole(of)
  local t = require("gal.tensor").new({ N }, "int64")
  local values = ffi.cast("int64_t *", t.h.data)
  for k = 0, N - 1 do values[k] = of(k) end
  return t
end

check.case("100,000 rows of 30 columns are selected and joined within a tenth of 2 GiB", function()
  local r = gal.rng(4)
  local function around(mean, std) return gal.randn({ N }, { rng = r, device = "cpu" }) * std + mean end
  local spec = { bestObjID = whole(function(k) return 1237648720693755918LL + k end) }
  local photo = { objID = whole(function(k) return 1237648720693755918LL + (N - 1 - k) end) }
  spec.bptclass = whole(function(k) return k % 3 end)
  spec.sciencePrimary = whole(function(k) return k % 20 end)
  for name, mean in pairs{ lgm_tot_p50 = 10, sfr_tot_p50 = 0, oh_p50 = 9, d4000_n = 1.4, tauv_cont = 1 } do
    spec[name] = around(mean, 0.05)
  end
  for _, band in ipairs{ "u", "g", "r", "i", "z" } do
    photo["modelMag_" .. band], photo["extinction_" .. band] = around(18, 0.1), around(0.1, 0.01)
  end
  photo.petroMag_r, photo.row = around(17, 0.1), whole(function(k) return k end)
  for k = 1, 22 do spec["more_" .. k] = photo.row end
  for k = 1, 17 do photo["other_" .. k] = photo.row end
  spec = gal.table(spec):save(scratch.path "spec.fits")
  photo = gal.table(photo):save(scratch.path "photo.fits")
  check.equal({ #spec.names, #photo.names }, { 30, 30 })
  scratch.run "mkdir cutouts; mkdir sel; ln -s nowhere sel/cutouts"
  scratch.write(scratch.path "peak.lua", [[
    arg = { [0] = "select_sample.lua", "spec.fits", "--photometry", "photo.fits", "--out", "sel" }
    dofile(require("gal.host").root .. "/experiments/select_sample.lua")
    print(io.open("/proc/self/status"):read("*a"):match "VmHWM:%s*%d+")]])
  local code, output = scratch.run(scratch.galrun .. " peak.lua")
  check.equal(code, 0, output)
  local link = "The cutouts are those of the table: sel/cutouts leads to %s/cutouts."
  check.that(output:find(link:format(base.absolute(scratch.folder)), 1, true), output)
  check.equal(select(2, scratch.run "readlink sel/cutouts"), "../cutouts\n")
  check.equal({ base.link(scratch.path "mpa", scratch.path "sel/cutouts") }, { false })
  local peak = tonumber(output:match "VmHWM:%s*(%d+)")
  local sanitized = io.open("/proc/self/maps"):read("*a"):find "libasan" -- which keeps what is freed
  local most = 2 ^ 21 / (sanitized and 5 or 10)
  check.that(peak < most, ("it took %d kB, more than %d"):format(peak, most))
  -- Class 1 and a sciencePrimary above 0: k mod 60 decides.
  local expected = 0
  for k = 0, N - 1 do expected = expected + (k % 3 == 1 and k % 20 > 0 and 1 or 0) end
  local chosen = gal.table(scratch.path "sel/catalog.fits")
  check.equal(chosen.rows, expected)
  local rows, ids = chosen:doubles "row", chosen:ids "objID"
  for k = 1, chosen.rows, 997 do
    check.equal(ids[k], tostring(1237648720693755918LL + (N - 1 - rows[k])):gsub("LL", ""))
  end
  code, output = scratch.run(scratch.experiment "select_sample" .. " spec.fits --out . --reliable")
  check.that(code == 1 and output:find("spec.fits has no column reliable, expected it", 1, true), output)
  gal.table{ x = { 1 } }:save(scratch.path "catalog.fits")
  code, output = scratch.run(scratch.experiment "select_sample" .. " spec.fits --out .")
  check.that(code == 1 and output:find("--out is ., which has a table that is no sample", 1, true), output)
  local header = chosen:header()
  check.equal({ header.PETRO, header.AVFROM, header.TABLES },
    { "petroMag_r - extinction_r < 17.78", "1.086 tauv_cont", "spec.fits, photo.fits" })
  check.equal({ chosen:unit "a_v", chosen:unit "modelMag_u" }, { "mag", "mag" })
end)

scratch.remove()
check.finish()
