-- Catalogues of a survey's posteriors, and what stands beside them: how rare a galaxy is (flow:ood), how two
-- surveys differ (compare.surveys), posteriors without the labels' errors, and files that a killed galrun
-- leaves behind (infer.catalogue).
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local mock = require "gal.mock"
local rarity = require "gal.stats.rarity"
local train = require "gal.train"

local scratch = dofile "lua/lib/scratch.lua"
local folder = scratch.folder

-- Magnitudes {n, 5} of mock galaxies, the properties as labels and as they are, each {n, 5}.
local galaxies = mock.galaxies{ n = 3200, seed = 3 }
local function columns(names)
  local list = {}
  for i, name in ipairs(names) do list[i] = galaxies:column(name):reshape{ -1, 1 } end
  return gal.cat(list, 2)
end
local BANDS = { "modelMag_u", "modelMag_g", "modelMag_r", "modelMag_i", "modelMag_z" }
local magnitudes = columns(BANDS)
local labels = columns{ "lgm_tot_p50", "sfr_tot_p50", "oh_p50", "d4000_n", "a_v" }

-- ---- how rare a galaxy is ----

local known, held, new = magnitudes:narrow(1, 1, 2000), magnitudes:narrow(1, 2001, 600),
  magnitudes:narrow(1, 2601, 600)
local function below(shares, level)
  local count = 0
  for _, v in ipairs(shares) do count = count + (v < level and 1 or 0) end
  return count / #shares
end

local flow = require("gal.flow").new{
  theta = { "lgm_tot_p50", "sfr_tot_p50", "oh_p50", "d4000_n", "a_v" },
  context = { "modelMag_u", "modelMag_g", "modelMag_r", "modelMag_i", "modelMag_z" }, hidden = { 16 },
  rng = gal.rng(1),
}
local function rows(from, n)
  return { theta = labels:narrow(1, from, n), context = magnitudes:narrow(1, from, n) }
end
train.fit{ flow = flow, data = rows(1, 2000), valid = rows(2001, 600), epochs = 1, progress = false }

check.case("a share is that of the validation galaxies that are rarer", function()
  local r = rarity.fit(known, held)
  local own, other, shares = r:log_density(held), r:log_density(new), r:shares(new)
  for _, k in ipairs{ 1, 17, 600 } do
    local rarer = 0
    for _, v in ipairs(own) do rarer = rarer + (v < other[k] and 1 or 0) end
    check.near(shares[k], rarer / 600, 1e-9)
  end
end)
check.case("an end of the training galaxies' range that many of them share is no end", function()
  local familiar = require "gal.flow.familiar"
  local function low(limit)
    local part = rows(1, 2000)
    part.theta = part.theta:maximum(gal.tensor{ 0, -9, 0, 0, limit })
    return familiar.fit(flow, part, rows(2001, 600)).low:totable(), part.theta:min(1):totable()
  end
  local a_v = labels:narrow(1, 1, 2000):select(2, 5)
  for share, moved in pairs{ [0.004] = false, [0.02] = true } do
    local found, least = low(a_v:quantile(share):item())
    if moved then check.that(found[5] < -1e38, found[5]) end
    found[5] = moved and least[5] or found[5]
    check.equal(found, least)
  end
end)
check.case("training rows that are all the same have no rareness", function()
  check.equal(rarity.fit(gal.full({ 500, 5 }, 0.7), held), nil)
end)
check.case("shares of galaxies that the flow never saw are uniform", function()
  -- Kolmogorov's 1 % point for two samples of 600 is .094.
  local shares, worst = flow:ood(new).context, 0
  table.sort(shares)
  for k, v in ipairs(shares) do worst = math.max(worst, math.abs(v - k / 600)) end
  check.that(worst < 0.094, ("apart by %.3f"):format(worst))
end)
check.case("they are counted among the validation galaxies, and not those of training", function()
  for _, v in ipairs(flow:ood(new).context) do check.near(v * 600, math.floor(v * 600 + 0.5), 1e-6) end
end)
check.case("g off by .3 mag is found in .9 of galaxies, at a false alarm in a hundred", function()
  local shift = gal.tensor{ 0, -0.3, 0, 0, 0 }
  local alarms, found = below(flow:ood(new).context, 0.01), below(flow:ood(new + shift).context, 0.01)
  check.that(alarms <= 0.025, ("alarms %.3f"):format(alarms)) -- 3.7 standard errors above .01 of 600
  check.that(found >= 0.88, ("found %.3f"):format(found)) -- .90 less 1.6 standard errors
end)
check.case("columns that are constant or combinations leave shares as they are; off them a galaxy is rare",
  function()
    local function wide(x)
      local u, g = x:narrow(2, 1, 1), x:narrow(2, 2, 1)
      return gal.cat({ x, u - g, u * 0 }, 2)
    end
    local r = rarity.fit(wide(known), wide(held))
    check.that(below(r:shares(wide(new)), 0.01) < 0.03)
    local off = wide(new)
    check.equal(below(r:shares(off + gal.tensor{ 0, 0, 0, 0, 0, 0, 1 }), 1e-9), 1)
    check.equal(below(r:shares(off + gal.tensor{ 0, 0, 0, 0, 0, 0.5, 0 }), 1e-9), 1)
  end)
check.case("a saved flow says the same shares, and one without them says why it can't", function()
  local path = folder .. "/flow.safetensors"
  flow:save(path)
  local again = require("gal.flow").load(path)
  check.equal(again:ood(new).context, flow:ood(new).context)
  check.equal(again:ood(new).image, nil)
  again.familiar = nil
  again:save(path)
  local bare = require("gal.flow").load(path)
  local none, why = bare:ood(new)
  check.equal(none, nil)
  check.that(why:find "does not say how its galaxies were spread", why)
  check.equal(bare:sample(new, { n = 4, steps = 2, rng = gal.rng(1) }):totable(),
    flow:sample(new, { n = 4, steps = 2, rng = gal.rng(1) }):totable())
end)
check.case("a flow's file with shares that do not fit it is refused", function()
  local path = folder .. "/spoilt.safetensors"
  flow:save(path)
  local tensors, metadata = gal.load(path)
  for name, bad in pairs{
    ["familiar.context.mean"] = gal.zeros{ 4 }, ["familiar.context.scores"] = gal.tensor{ 2, 1 },
    ["familiar.low"] = gal.zeros{ 2 }, ["familiar.other"] = gal.zeros{ 2 },
    ["familiar.context.inverses"] = gal.zeros{ 1, 2, 2 },
  } do
    local spoilt = {}
    for k, v in pairs(tensors) do spoilt[k] = v end
    spoilt[name] = bad
    gal.save(path, spoilt, metadata)
    check.raises(function() require("gal.flow").load(path) end, "familiar")
  end
end)

-- ---- two surveys ----

local compare = require "gal.stats.compare"
local first, second = magnitudes:narrow(1, 1, 1600), magnitudes:narrow(1, 1601, 1600)

check.case("surveys of one population can't be told apart; u off by -.05 mag is found and named", function()
  local same = compare.surveys(first, second, { names = BANDS })
  check.that(same.p > 0.01 and math.abs(same.auc - 0.5) < 0.04, same.words)
  check.that(same.words:find "can't be told apart", same.words)
  local off = compare.surveys(first, second + gal.tensor{ -0.05, 0, 0, 0, 0 }, { names = BANDS })
  check.that(off.p < 0.01 and off.auc > 0.57 and off.auc < 0.67, off.words)
  check.equal(off.differences[1].name, "modelMag_u - modelMag_g")
  check.near(off.differences[1].difference, -0.05, 3 * off.differences[1].error)
  check.that(off.words:find "a real difference" or off.words:find "A real difference", off.words)
end)
check.case("p is that of labels at random: alike surveys reach .1 as often as they should", function()
  local low, times = 0, 60
  for i = 1, times do
    local rng = gal.rng(i)
    local a, b = gal.randn({ 40, 2 }, { rng = rng }), gal.randn({ 40, 2 }, { rng = rng })
    local p = compare.surveys(a, b, { permutations = 19, seed = i }).p
    low = low + (p <= 0.1001 and 1 or 0)
  end
  -- Of 60 at .1: 6, with a deviation of 2.3.
  check.that(low >= 1 and low <= 13, low .. " of 60")
end)

-- ---- posteriors without the labels' errors ----

local infer = require "gal.infer"

check.case("the labels' variance comes off each galaxy's draws, about their mean", function()
  local draws = gal.randn({ 3, 4000, 2 }, { rng = gal.rng(5) }) * gal.tensor{ 0.5, 2 } + gal.tensor{ 7, -1 }
  local variances = { { 0.09, 1 }, { 0, 0 }, { 0.24, 3.9 } }
  local without, left, factors = infer.deconvolve(draws, variances)
  check.equal(left, { false, false, true })
  local size = 4000 / 3999
  for g = 1, 3 do
    check.near(without[g]:mean(1):totable(), draws[g]:mean(1):totable(), 1e-5)
    for i = 1, 2 do
      local before = draws[g]:select(2, i):std():item() ^ 2 * size
      local after = without[g]:select(2, i):std():item() ^ 2 * size
      local taken = variances[g][i] <= 0.8 * before and variances[g][i] or 0
      check.near(after, before - taken, 1e-4 * before)
    end
  end
  check.equal(factors[2], { 1, 1 })
end)
check.case("draws of labels become those of the truth: the linear-Gaussian answer", function()
  -- truth ~ N(0, 1), label = truth + N(0, .6^2), x = truth + N(0, .5^2): var(truth | x) = .2, var(label | x)
  -- = .2 + .36, both with mean .8 x, here of x = 1.
  local n = 20000
  local noise = gal.randn({ 1, n, 1 }, { rng = gal.rng(6) })
  local posterior = noise * math.sqrt(0.56) + 0.8
  local without = infer.deconvolve(posterior, { { 0.36 } })
  check.near(without:std():item() ^ 2, 0.2, 4 * 0.56 * math.sqrt(2 / n))
  check.near(without:mean():item(), 0.8, 4 * math.sqrt(0.56 / n))
end)

-- A survey of which the labels' errors are in columns: those of a_v grow with the magnitude.
local survey_path = folder .. "/survey.fits"
local function error_of(r) return 0.05 * math.exp(0.5 * (r - 16)) end
do
  local rows = {}
  for k = 1, 1200 do rows[k] = k end
  local t = galaxies:select(rows)
  local p16, p84 = {}, {}
  for k, r in ipairs(t:doubles "modelMag_r") do p16[k], p84[k] = 5 - error_of(r), 5 + error_of(r) end
  p16[7] = -9999
  t:set("a_v_p16", p16):set("a_v_p84", p84):header{ IMF = "Kroupa 2001", H0 = 70 }:save(survey_path)
end
local data = require "gal.data"

check.case("errors of labels come from numbers and columns, and follow what is observed", function()
  local survey = data.open(survey_path)
  local known = infer.label_errors(survey, { ".07", 0.15, ".03", ".03", "a_v_p16:a_v_p84" })
  check.equal({ known[1].rms, known[2].rms, known[3].from }, { 0.07, 0.15, ".03" })
  local variances, worst = infer.label_variances(known, #survey.ids, survey.context), 0
  for k, r in ipairs(survey.context:select(2, 3):totable()) do
    worst = math.max(worst, math.abs(variances[k][5] / error_of(r) ^ 2 - 1))
  end
  check.that(worst < 0.05, ("apart by %.3f"):format(worst))
  check.near(variances[1][1], 0.0049, 1e-9)
  check.raises(function() infer.label_errors(survey, { 1, 2 }) end, "label_errors has 2 entries, expected 5")
  check.raises(function() infer.label_errors(survey, { 1, 2, 3, 4, "no" }) end, "has no column no")
  check.raises(function() infer.label_errors(survey, { "auto" }) end, "has no column lgm_tot_p16")
end)

check.case("a run that is older than shares has them fitted from its own survey, the same", function()
  local survey, out = data.open(survey_path), scratch.path "run"
  local function run()
    local own = require("gal.flow").new{
      theta = survey.names.theta, context = survey.names.context, hidden = { 8 }, rng = gal.rng(1),
    }
    own.notes = survey:choices()
    return train.fit{
      flow = own, data = survey:split "train", valid = survey:split "valid", epochs = 1, progress = false,
      out = out, resume = true,
    }.flow
  end
  local fitted = run():ood(survey.context).context
  local file = out .. "/flow.safetensors"
  local bytes = scratch.read(file)
  run()
  check.that(scratch.read(file) == bytes, "a run that is finished has another file when it is resumed")
  local tensors, metadata = gal.load(file)
  for name in pairs(tensors) do
    if name:find "^familiar" then tensors[name] = nil end
  end
  gal.save(file, tensors, metadata)
  local old = require("gal.infer.trained").open(out)
  check.equal(old.flow:ood(survey.context), nil)
  check.equal(old:familiarise(), true)
  check.equal(old.flow:ood(survey.context).context, fitted)
  old.flow.familiar, old.notes.survey = nil, folder .. "/gone.fits"
  local known, why = old:familiarise()
  check.that(not known and why:find "is gone", tostring(why))
end)

-- ---- a catalogue ----

local host = require "gal.host"
flow.notes = {
  label_errors = { { rms = 0.07 }, { rms = 0.15 }, { rms = 0.03 }, { rms = 0.03 }, { rms = 0.1 } },
  survey = survey_path, theta = data.theta, context = data.context, dereddened = true, sample = "none",
  missing = "drop", id = "objID", hdu = false, header = { IMF = "Kroupa 2001", H0 = 70 },
}
local function read(name) return scratch.read(scratch.path(name)) end

-- 600 galaxies, of which row 5 lacks a magnitude and row 9 is far from all others.
local asked
do
  local rows = {}
  for k = 1, 600 do rows[k] = 1500 + k end
  local t = galaxies:select(rows)
  local g, z = t:doubles "modelMag_g", t:doubles "modelMag_z"
  g[5], z[9] = -9999, z[9] - 3
  t:set("modelMag_g", g):set("modelMag_z", z):save(folder .. "/asked.fits")
  asked = data.open(folder .. "/asked.fits", { theta = {} })
end
local function make(name, more)
  local o = { out = scratch.path(name), n = 64, steps = 4, seed = 2, progress = false }
  for k, v in pairs(more or {}) do o[k] = v end
  return infer.catalogue(flow, asked, o)
end
local found = make("whole.fits", { samples = 3 })
local whole = gal.table(scratch.path "whole.fits")

check.case("a catalogue has a row for each row of the table, by its own id", function()
  check.equal(whole.rows, 600)
  check.equal(whole:ids "objID", gal.table(folder .. "/asked.fits"):ids "objID")
  check.equal({ found.rows, found.resumed, found.counts[64] }, { 600, 0, 1 })
end)
check.case("its rows say what the galaxies' draws say", function()
  local draws = flow:sample(asked.context:rows{ 3, 400 }, { n = 64, steps = 4, rng = gal.rng(2) })
  for i, row in ipairs{ 3, 401 } do -- row 5 has no galaxy
    for p, stem in ipairs{ "lgm_tot", "sfr_tot", "oh", "d4000_n", "a_v" } do
      local own = draws[i]:select(2, p)
      local q = require("gal.metrics").quantile(own, { 0.025, 0.16, 0.5, 0.84, 0.975 })
      for e, name in ipairs{ "p2p5", "p16", "p50", "p84", "p97p5" } do
        check.near(whole:column(stem .. "_" .. name):get(row), q[e], 1e-5)
      end
      check.near(whole:column(stem .. "_mean"):get(row), own:mean():item(), 1e-5)
      check.near(whole:column(stem .. "_std"):get(row), own:std():item(), 1e-5)
      check.near(whole:column(stem .. "_samples")[row]:totable(), own:narrow(1, 1, 3):totable(), 1e-6)
    end
    local a, b = draws[i]:select(2, 1), draws[i]:select(2, 5)
    local expected = ((a - a:mean()) * (b - b:mean())):mean():item()
    check.near(whole:column("covariance"):get(row, 5), expected, 1e-5)
    check.near(whole:column("covariance"):get(row, 21), expected, 1e-5)
  end
end)
check.case("more than 1 % of the draws outside the training range are flagged, not fewer", function()
  local low, high = flow.familiar.low:totable(), flow.familiar.high:totable()
  local flags, met = whole:doubles "flags", {}
  local draws = flow:sample(asked.context, { n = 64, steps = 4, rng = gal.rng(2) })
  for g, own in ipairs(draws:totable()) do
    local outside = 0
    for _, theta in ipairs(own) do
      local is_off = false
      for i, v in ipairs(theta) do is_off = is_off or v < low[i] or v > high[i] end
      outside = outside + (is_off and 1 or 0)
    end
    check.equal(math.floor(flags[asked.rows[g]] / 16) % 2, outside > 0.64 and 1 or 0, "galaxy " .. g)
    met[math.min(outside, 2)] = true
  end
  check.equal(met, { [0] = true, true, true }) -- none, one (1.6 %) and more
end)
check.case("a galaxy without a magnitude is flagged and has no values; a rare one is flagged", function()
  local flags, mass, ood = whole:doubles "flags", whole:doubles "lgm_tot_p50", whole:doubles "ood"
  check.equal(flags[5], 64)
  check.that(mass[5] ~= mass[5] and ood[5] ~= ood[5])
  check.equal(math.floor(flags[9] / 2) % 2, 1)
  check.equal(ood[9], 0)
  check.that(mass[9] == mass[9])
end)
check.case("its header says what made it and what the labels were, its columns their units", function()
  local run = { flow = flow, notes = flow.notes, familiarise = function() return true end }
  local header = require("gal.infer.report_catalogue").header(run, asked)
  make("marked.fits", { missing_value = -9999, header = header, deconvolve = true })
  local t = gal.table(scratch.path "marked.fits")
  local found_ = t:header()
  check.equal({ found_.IMF, found_.H0, found_.NDRAWS }, { "Kroupa 2001", 70, 64 })
  check.equal({ found_.SURVEY, found_.TRAINED }, { "asked.fits", "survey.fits" })
  check.that(found_.CREATOR:find "^galrun " and found_.MODEL:find "^%d+$" and found_.DECONV:find "taken off")
  check.equal({ t:unit "a_v_p50", t:unit "lgm_tot_p50" }, { "mag", "" })
  check.equal({ t:doubles "a_v_std"[5], t:doubles "ood"[5] }, { -9999, -9999 })
  local before, after = whole:doubles "a_v_std", t:doubles "a_v_std"
  check.near(after[3] ^ 2, before[3] ^ 2 - 0.01 * 63 / 64, 1e-5)
end)

-- galrun with the same call, killed after so many blocks; what it printed.
local script = scratch.path "call.lua"
check.case("killed twice it goes on, to the same bytes", function()
  local name = scratch.path "killed.fits"
  flow:save(scratch.path "flow.safetensors")
  scratch.write(script, ([[
    local gal = require "gal"
    local ffi = require "ffi"
    ffi.cdef "int kill(int, int); int getpid(void);"
    local flow = require("gal.flow").load(%q)
    local blocks, sample = tonumber(arg[1]), flow.sample
    function flow:sample(...)
      if blocks == 0 then ffi.C.kill(ffi.C.getpid(), 9) end
      blocks = blocks - 1
      return sample(flow, ...)
    end
    local asked = require("gal.data").open(%q, { theta = {} })
    require("gal.infer").catalogue(flow, asked, { out = %q, n = 64, steps = 4, seed = 2, samples = 3,
      progress = false })
  ]]):format(scratch.path "flow.safetensors", folder .. "/asked.fits", name))
  for i, blocks in ipairs{ 1, 1, 9 } do
    local code, text = scratch.run(("%s %s %d"):format(scratch.galrun, script, blocks))
    check.equal(code == 0, i == 3, text)
  end
  check.that(read "killed.fits" == read "whole.fits", "the bytes differ")
  check.that(not io.open(name .. ".part/rows"), "the folder of the work is there")
end)
check.case("a row that was written but not marked is made again, and none comes twice", function()
  local out, sample, calls = scratch.path "half.fits", flow.sample, 0
  function flow.sample(...)
    calls = calls + 1
    if calls == 3 then error "stopped" end
    return sample(...)
  end
  local options = { out = out, n = 64, steps = 4, seed = 2, samples = 3, progress = false }
  check.raises(function() infer.catalogue(flow, asked, options) end, "stopped")
  flow.sample = nil
  local index = scratch.read(out .. ".part/done")
  scratch.write(out .. ".part/done", index:sub(1, -201)) -- 312 of 512 rows are marked
  local resumed = infer.catalogue(flow, asked, options).resumed
  check.equal(resumed, 256)
  check.that(read "half.fits" == read "whole.fits", "the bytes differ")
end)
check.case("shards are put together to the bytes of the whole; one that is missing is named", function()
  make("parts.fits", { samples = 3, shard = "2/2" })
  local second = gal.table(scratch.path "parts.fits.shards/2-of-2.fits")
  check.equal(second:ids("objID")[1], whole:ids("objID")[301])
  check.raises(function() make("parts.fits", { samples = 3, merge = true }) end, "shard 1/2")
  make("parts.fits", { samples = 3, shard = "1/2" })
  check.raises(function() make("parts.fits", { samples = 2, merge = true }) end, "1%-of%-2.fits is of")
  check.equal(make("parts.fits", { samples = 3, merge = true }).merged, 2)
  check.that(read "parts.fits" == read "whole.fits", "the bytes differ")
end)
check.case("what a job array of shards would be refused for is told before it is written", function()
  local check_array = require("gal.infer.catalogue").check
  local function is_whole(name, more, of)
    local o = { out = scratch.path(name), n = 64, steps = 4, seed = 2 }
    for k, v in pairs(more) do o[k] = v end
    return check_array(flow, asked, o, of)
  end
  check.equal(is_whole("array.fits", {}, 600), false)
  check.equal(is_whole("whole.fits", { samples = 3 }, 2), true)
  check.raises(function() is_whole("array.fits", {}, 601) end, "there are 600 galaxies")
  check.raises(function() is_whole("array.csv", {}, 2) end, "ends in .fits")
  check.raises(function() is_whole("whole.fits", { samples = 2 }, 2) end, "another model")
end)
check.case("kept draws are without the labels' errors where that is asked for", function()
  local some = asked:thin(3)
  local options = { n = 64, steps = 4, progress = false }
  local labelled = infer.posteriors(flow, some, options)
  options.deconvolve, options.out = true, scratch.path "draws"
  local galaxy = infer.posteriors(flow, some, options)
  local before, after = labelled.summary:doubles "a_v_std", galaxy.summary:doubles "a_v_std"
  check.near(after[2] ^ 2, before[2] ^ 2 - 0.01 * 63 / 64, 1e-5)
  check.near(gal.load(scratch.path "draws/samples.npy")[2]:std(1):get(5), after[2], 1e-5)
  options.log_prob = true
  check.raises(function() infer.posteriors(flow, some, options) end, "densities are those of labels")
end)
check.case("the same call of a catalogue that is whole does nothing, another is refused", function()
  check.equal(make("whole.fits", { samples = 3 }).resumed, 600)
  check.raises(function() make("whole.fits", { samples = 3, seed = 3 }) end, "another model")
  check.raises(function() make("call.lua") end, "ends in .fits")
end)

scratch.remove()
check.finish()
