-- gal.infer: summaries, flags and files of the posteriors of a survey's galaxies against what the draws
-- themselves say, and scores against metrics.information.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local gal = require "gal"
local infer = require "gal.infer"
local metrics = require "gal.metrics"

local scratch = dofile "lua/lib/scratch.lua"
local function exists(name) return ffi.C.gal_path_exists(scratch.path(name)) ~= 0 end

-- A small flow that has seen a few rows, and a part of a survey as gal.data's are.
local N, D = 9, 2
local options = { rng = gal.rng(4) }
local theta = gal.randn({ 40, D }, options) * 2 + 5
local x = theta + gal.randn({ 40, D }, options)
local flow = require("gal.flow").new{
  theta = { "mass", "dust" }, context = D, hidden = { 8 }, rng = gal.rng(1),
}
flow:standardise(theta, x)
local part = { ids = {}, theta = theta:narrow(1, 1, N), context = x:narrow(1, 1, N) }
for k = 1, N do part.ids[k] = "g" .. k end
function part:seen() return { self.context, "images" } end

check.case("a summary has mean, deviation and percentiles of each galaxy's draws", function()
  local draws = gal.randn({ 3, 101, D }, options)
  local summary = infer.summary(draws, { "a", "b" })
  for k = 1, 3 do
    for i, name in ipairs{ "a", "b" } do
      local own = draws[k]:select(2, i)
      check.near(summary[name .. "_mean"][k], own:mean():item(), 1e-6)
      check.near(summary[name .. "_std"][k], own:std():item(), 1e-6)
      local q = metrics.quantile(own, { 0.16, 0.5, 0.84 })
      check.equal({ summary[name .. "_p16"][k], summary[name .. "_p50"][k], summary[name .. "_p84"][k] }, q)
    end
  end
  for _, bad in ipairs{ 0 / 0, 1 / 0 } do
    local with = draws:clone():set(bad, 2, 7, 1)
    local own = infer.summary(with, { "a", "b" })
    for column, values in pairs(own) do
      check.equal(values, { summary[column][1], 0 / 0, summary[column][3] }, column)
    end
  end
end)

check.case("posteriors are flow:sample's draws, summarised; without a folder nothing is written", function()
  local found = infer.posteriors(flow, part, { n = 50, steps = 4, seed = 2, progress = false })
  local draws = flow:sample(part.context, { n = 50, steps = 4, rng = gal.rng(2) })
  check.equal(found.summary:ids "id", part.ids)
  check.near(found.summary:column "dust_mean", draws:mean(2):select(2, 2), 1e-6)
  check.equal({ found.files, found.solver, found.report == nil }, { {}, "RK4, 16 evaluations a draw", true })
  check.equal({ found.left_out, found.warning }, { {}, nil })
  check.equal({ found.summary:has "steps", found.summary:column("flagged"):sum():item() }, { false, 0 })
end)

check.case("a galaxy whose draws are no numbers is flagged and named, the others are as ever", function()
  local wrong = { ids = part.ids, theta = part.theta, context = part.context:clone() }
  wrong.context:set(3.4e38, 4, 1):set(1e20, 6, 2):set(200, 8, 1)
  for _, steps in ipairs{ "auto", 4 } do
    local how = { n = 30, steps = steps, seed = 2, progress = false }
    local whole, found = infer.posteriors(flow, part, how).summary, infer.posteriors(flow, wrong, how)
    check.equal(found.left_out, { 4, 6 })
    for _, line in ipairs{
      "2 of 9 galaxies are left out, as their posteriors are not finite, or beyond single precision: g4, g6",
      "3 of 9 galaxies are more than 20 deviations outside of what the flow was trained on: g4, g6, g8",
    } do
      check.that(found.warning:find(line, 1, true), found.warning)
    end
    local flagged, means = found.summary:column "flagged":totable(), found.summary:column "mass_p16":totable()
    local outside = found.summary:doubles "outside"
    for k = 1, N do
      local lost = k == 4 or k == 6
      if k ~= 8 then
        check.equal(means[k], lost and 0 / 0 or whole:column "mass_p16":get(k), "galaxy " .. k)
        check.equal(flagged[k], lost and 1 or 0, "galaxy " .. k)
        check.that(lost == (outside[k] > 20), "galaxy " .. k)
      end
    end
    local off = (200 - x:mean(1):get(1)) / x:std(1):get(1)
    check.near(outside[8] / off, 1, 1e-5)
  end
  check.equal(infer.score(flow, wrong, { steps = 4, progress = false }).flags, { 0, 0, 0, 1, 0, 1, 0, 0, 0 })
end)

check.case("galaxies without a score are left out of means over the others, which say how many", function()
  local prior = require("gal.stats.prior").fit(theta)
  local wrong = { ids = part.ids, theta = part.theta, context = part.context:clone() }
  wrong.context:set(3.4e38, 4, 1):set(1e20, 6, 2)
  local how = { n = 40, steps = 4, seed = 3, prior = prior, progress = false }
  local whole, found = infer.score(flow, part, how), infer.score(flow, wrong, how)
  check.equal(found.left_out, { 4, 6 })
  local others, scored = {}, { left_out = {} }
  for k = 1, N do
    if k ~= 4 and k ~= 6 then others[#others + 1] = k end
  end
  local names = { "log_q", "d_kl", "delta_log_p", "d_kl_mixture", "delta_log_p_mixture", "sharpness" }
  for _, name in ipairs(names) do
    scored[name] = {}
    for i, k in ipairs(others) do scored[name][i] = whole[name][k] end
    check.equal({ found[name][4], found[name][6], found[name][5] }, { 0 / 0, 0 / 0, whole[name][5] }, name)
  end
  check.equal(metrics.summary(found), metrics.summary(scored))
  check.equal(metrics.summary(found).d_kl.n, 7)
  local truth, draws = part.theta:rows(others), whole.samples:rows(others)
  check.equal(metrics.coverage(wrong.theta, found.samples, 0.68, found.left_out),
    metrics.coverage(truth, draws, 0.68))
  check.equal(metrics.wasserstein_table(wrong.theta, found.samples, { 1, 1 }, found.left_out),
    metrics.wasserstein_table(truth, draws, { 1, 1 }))
  local compare = require "gal.stats.compare"
  check.equal(compare.left_out(found, { left_out = { 2, 6 } }), { 2, 4, 6 })
  check.equal(compare.scores(whole, found).d_kl.n, 7)
  check.equal(compare.scores(found, whole).d_kl.mean, 0)
  check.equal(compare.wasserstein(wrong.theta, found.samples, found.samples, { left_out = { 4, 6 } }),
    compare.wasserstein(truth, draws, draws))
  check.raises(function() metrics.coverage(truth, draws, 0.68, { 1, 2, 3, 4, 5, 6, 7 }) end,
    "none of 7 galaxies has scores that are numbers", true)
end)

check.case("a folder gets the draws, their densities and the summary, flags where steps = auto", function()
  local out = scratch.path "drawn"
  local found = infer.posteriors(flow, part, { n = 40, log_prob = true, out = out, progress = false })
  check.equal(found.files, { out .. "/samples.npy", out .. "/log_prob.npy", out .. "/summary.csv" })
  local samples, log_prob = gal.load(out .. "/samples.npy"), gal.load(out .. "/log_prob.npy")
  check.equal({ samples.shape, log_prob.shape }, { { N, 40, D }, { N, 40 } })
  local own = flow:log_prob(samples, part.context, { steps = "auto" })
  check.near(log_prob, own, 5e-3, "densities of the draws")
  local summary = gal.table(out .. "/summary.csv")
  check.near(summary:column "mass_p50", found.summary:column "mass_p50", 0)
  check.near(summary:column "error", found.report.error, 1e-9)
  local strict = infer.posteriors(flow, part, { n = 40, tolerance = 1e-12, progress = false })
  check.equal(strict.summary:column("flagged"):sum():item(), #strict.report.flagged)
  check.that(#strict.report.flagged > 0, "nothing is beyond a tolerance of 1e-12")
  local fits = { n = 3, steps = 2, out = scratch.path "fits", format = "fits", progress = false }
  infer.posteriors(flow, part, fits)
  check.equal({ exists "fits/log_prob.npy", exists "fits/summary.csv", exists "fits/summary.fits" },
    { false, false, true })
  for name, header in pairs{ shown = 7, long = { ALONGKEYWORD = 1 } } do
    fits.out, fits.header = scratch.path(name), header
    check.raises(function() infer.posteriors(flow, part, fits) end, "header", true)
    check.that(not exists(name .. "/samples.npy.part"), "it drew before it looked")
  end
  fits.header = nil
  local unicode = { ids = { "Ω", unpack(part.ids, 2) }, context = part.context }
  fits.out = scratch.path "unicode"
  check.raises(function() infer.posteriors(flow, unicode, fits) end, "can't hold the id Ω, expected", true)
end)

-- The FITS standard (4.0, tables 3 to 5) has none for a logarithm.
check.case("summary.fits says what made it, and its columns' units, which are the standard's", function()
  local other = {}
  for name, value in pairs(flow) do other[name] = value end
  setmetatable(other, getmetatable(flow))
  other.theta, other.notes = { "lgm_tot_p50", "tau" }, { units = { tau = "Gyr" } }
  local named = { ids = part.ids, context = part.context, id_column = "SPECID" }
  infer.posteriors(other, named, { n = 5, seed = 3, out = scratch.path "said", format = "fits",
    header = { RUN = "here" }, progress = false })
  local t, standard = gal.table(scratch.path "said/summary.fits"), { [""] = true, Gyr = true }
  for _, name in ipairs(t.names) do
    check.that(standard[t:unit(name)] and t:about(name) ~= "", name .. " is in " .. t:unit(name))
  end
  check.equal({ t:unit "tau_std", t:unit "lgm_tot_p50_mean", t:unit "outside" }, { "Gyr", "", "" })
  check.equal({ t:about "lgm_tot_p50_p84", t:about "id" },
    { "84 % of log10 of the stellar mass in solar masses", "the table's SPECID" })
  check.equal(t:header(), { CREATOR = "galrun " .. gal.version, DECONV = "no: posteriors of labels",
    NDRAWS = 5, RUN = "here", SEED = 3, STEPS = "auto", TOLERANC = 1e-3 })
end)

-- A flow that stops, or is killed, before it draws galaxy number `last` of the call.
local function stopping(last, how)
  local other = {}
  for name, value in pairs(flow) do other[name] = value end
  function other.sample_and_log_prob(_, seen, o)
    local into, given = o.into, {}
    for key, value in pairs(o) do given[key] = value end
    function given.into(first, samples, log_prob, from, report)
      for k = 1, samples:size(1) do
        if first + k - 1 == last then how() end
        into(first + k - 1, samples:narrow(1, k, 1), log_prob:narrow(1, k, 1), from, report)
      end
    end
    return flow:sample_and_log_prob(seen, given)
  end
  return setmetatable(other, getmetatable(flow))
end

-- The part as gal.data's, that can be thinned out.
function part.select(self, positions)
  local own = { ids = {}, context = self.context:rows(positions), seen = self.seen, select = self.select }
  for i, k in ipairs(positions) do own.ids[i] = self.ids[k] end
  return own
end

check.case("stopped draws are kept, and resumed they are the undisturbed ones, byte for byte", function()
  local function options(out, resume)
    return { n = 40, seed = 6, log_prob = true, out = scratch.path(out), resume = resume, progress = false }
  end
  infer.posteriors(flow, part, options "undisturbed")
  local function all(name)
    return scratch.read(scratch.path(name .. "/samples.npy")) .. scratch.read(scratch.path(name
      .. "/log_prob.npy")) .. scratch.read(scratch.path(name .. "/summary.csv"))
  end
  check.raises(function()
    infer.posteriors(stopping(5, function() error("stopped", 0) end), part, options "stopped")
  end, "stopped")
  check.equal({ exists "stopped/samples.npy", exists "stopped/samples.npy.part" }, { false, true })
  check.raises(function() infer.posteriors(flow, part, options "stopped") end,
    "stopped', which has draws; resume = true goes on", true)
  local other = options("stopped", true)
  other.n = 41
  check.raises(function() infer.posteriors(flow, part, other) end,
    "the draws in .*stopped began with other settings: n was 40 and is 41", true)
  -- What a kill leaves: draws of a galaxy without its line, half a line.
  for _, name in ipairs{ "samples.npy.part", "summary.part" } do
    local file = io.open(scratch.path("stopped/" .. name), "ab")
    file:write "12345"
    file:close()
  end
  local found = infer.posteriors(flow, part, options("stopped", true))
  check.equal({ found.resumed, found.report.galaxies, exists "stopped/summary.part" }, { 4, N, false })
  check.that(all "stopped" == all "undisturbed", "the files differ")
  local again = infer.posteriors(flow, part, options("stopped", true))
  check.equal({ again.resumed, again.summary:ids "id" }, { N, part.ids })
  check.raises(function() infer.posteriors(flow, part, options "undisturbed") end, "which has draws", true)
end)

-- Galaxies of which three are shown alike, and one has no posterior.
local alike = {
  ids = part.ids, context = part.context:rows{ 1, 2, 3, 2, 5, 6, 7, 2, 9 }:clone():set(3.4e38, 6, 1),
  select = part.select, seen = part.seen,
}

-- The files of a folder of draws, one behind the other.
local function files_of(name)
  local text = {}
  for _, file in ipairs{ "draws.json", "samples.npy", "log_prob.npy", "summary.csv", "summary.fits" } do
    if exists(name .. "/" .. file) then
      text[#text + 1] = file .. scratch.read(scratch.path(name .. "/" .. file))
    end
  end
  return table.concat(text, "\n")
end

-- Draws of these galaxies in a folder; more: further options.
local function draw(out, more)
  local options = { n = 40, seed = 6, log_prob = true, out = scratch.path(out), progress = false }
  for key, value in pairs(more or {}) do options[key] = value end
  return infer.posteriors(flow, alike, options)
end

check.case("shards have the draws that their galaxies have among all; merged, they are one folder", function()
  for _, how in ipairs{ {}, { format = "fits", steps = 4, log_prob = false } } do
    local whole = "alike-" .. (how.format or "csv")
    local found = draw(whole, how)
    for _, of in ipairs{ 1, 4, 9 } do
      local out = whole .. of
      for k = of, 1, -1 do
        how.shard = k .. "/" .. of
        local first, last = math.floor((k - 1) * N / of) + 1, math.floor(k * N / of)
        check.equal(draw(out, how).summary.rows, last - first + 1)
      end
      how.shard, how.merge = nil, true
      local merged = draw(out, how)
      check.equal({ merged.merged, merged.solver, merged.warning }, { of, found.solver, found.warning })
      check.that(files_of(out) == files_of(whole), out .. " is not the folder without shards")
      check.equal(draw(out, how).solver, "drawn before")
      how.merge = nil
    end
  end
end)

check.case("a merge that is cut off goes on in the middle of a shard", function()
  local whole = draw "uncut"
  for k = 1, 3 do draw("cut", { shard = k .. "/3" }) end
  local last, away = scratch.path "cut/shards/3-of-3/samples.npy", scratch.path "away"
  os.rename(last, away)
  check.raises(function() draw("cut", { merge = true }) end, "3%-of%-3/samples%.npy is damaged, exp", true)
  os.rename(away, last)
  -- As a kill leaves it: the lines of five galaxies, and a part of the sixth.
  local lines = scratch.read(scratch.path "cut/summary.part")
  local at = 0
  for _ = 1, 6 do at = lines:find("\n", at + 1, true) end
  scratch.write(scratch.path "cut/summary.part", lines:sub(1, at + 7))
  local merged = draw("cut", { merge = true })
  check.equal({ merged.merged, merged.solver }, { 3, whole.solver })
  check.that(files_of "cut" == files_of "uncut", "the files differ")
end)

check.case("galaxies that are shown alike keep their draws where work was stopped between them", function()
  draw "one"
  check.raises(function()
    infer.posteriors(stopping(4, function() error("stopped", 0) end), alike,
      { n = 40, seed = 6, log_prob = true, out = scratch.path "two", progress = false })
  end, "stopped")
  check.equal(draw("two", { resume = true }).resumed, 3)
  check.that(files_of "two" == files_of "one", "the files differ")
  local samples = gal.load(scratch.path "one/samples.npy")
  check.that(samples[2]:eq(samples[4]):sum():item() == 0, "galaxies that are shown alike have equal draws")
end)

check.case("a merge names shards that are missing, unfinished, there twice, or of something else", function()
  local function refused(sentence, more)
    more = more or {}
    more.merge = true
    check.raises(function() draw("parts", more) end, sentence, true)
    check.equal({ exists "parts/samples.npy", exists "parts/summary.csv" }, { false, false })
  end
  refused "no shards in .*parts/shards"
  draw("parts", { shard = "1/3" })
  draw("parts", { shard = "3/3" })
  refused "not every galaxy in .*parts has come yet: shard 2/3 %(galaxies 4 to 6%) is missing%."
  check.raises(function()
    infer.posteriors(stopping(2, function() error("stopped", 0) end), alike,
      { n = 40, seed = 6, log_prob = true, out = scratch.path "parts", shard = "2/3", progress = false })
  end, "stopped")
  refused "shard 2/3 has 1 of its 3 galaxies%. The same command with"
  require("gal.base.path").make(scratch.path "parts/shards/empty") -- of one that stopped at once
  local other = require("gal.base.run").open{ where = "test", out = scratch.path "parts/shards/2-of-3" }
  refused "shard 2/3 has 1 of its 3 galaxies and is still being worked on"
  other:close()
  check.equal(draw("parts", { shard = "2/3", resume = true }).resumed, 1)
  refused("parts/shards/1%-of%-3 began with other settings: n was 40 and is 41", { n = 41 })
  refused("1%-of%-3 began with other settings: the seed is another", { seed = 7 })
  os.execute(("cp -r '%s' '%s'"):format(scratch.path "parts/shards/1-of-3", scratch.path "parts/shards/copy"))
  refused "shard 1/3 came twice, in .*1%-of%-3 and in .*copy"
  os.execute(("rm -r '%s'"):format(scratch.path "parts/shards/copy"))
  draw("parts", { shard = "2/4" })
  refused "1%-of%-3 is a part of 3 and .*2%-of%-4 of 4: galaxies would come twice"
  os.execute(("rm -r '%s'"):format(scratch.path "parts/shards/2-of-4"))
  for _, wrong in ipairs{ "0/4", "5/4", "1", "1/4/2", 3, { k = 1 } } do
    check.raises(function() draw("parts", { shard = wrong }) end, "shard is .*expected \"k/K\"", true)
  end
  check.raises(function() draw("parts", { shard = "2/10" }) end, "is 2/10, but there are 9 galaxies", true)
  check.raises(function() draw("parts", { shard = "1/3", merge = true }) end, "expected one", true)
  check.raises(function() infer.posteriors(flow, alike, { shard = "1/3" }) end, "but not out", true)
  check.equal(draw("parts", { merge = true }).merged, 3)
  check.that(files_of "parts" == files_of "one", "the merged folder is not the one without shards")
end)

check.case("draws of one galaxy that come in several pieces are summarised together", function()
  local n, one = 70000, { ids = { "g1" }, context = part.context:narrow(1, 1, 1) } -- a tile has 65,536 rows
  local found = infer.posteriors(flow, one, { n = n, steps = 1, seed = 5, progress = false })
  local draws = flow:sample(one.context, { n = n, steps = 1, rng = gal.rng(5) })
  check.equal(found.summary.rows, 1)
  check.near(found.summary:column "mass_mean", draws:mean(2):select(2, 1), 1e-5)
  check.near(found.summary:column "dust_p84":get(1), metrics.quantile(draws[1]:select(2, 2), 0.84), 1e-5)
end)

check.case("what goes wrong before the first galaxy is drawn leaves nothing behind but the lock", function()
  local out = scratch.path "broken"
  local wrong = { ids = part.ids, context = part.context:clone() }
  wrong.context:set(0 / 0, 3, 1)
  check.raises(function()
    infer.posteriors(flow, wrong, { n = 5, steps = 2, out = out, progress = false })
  end, "row 3", true)
  local pipe = io.popen(("ls -A '%s'"):format(out))
  check.equal(pipe:read "*a", "lock\n")
  pipe:close()
  check.raises(function() infer.posteriors(flow, part, { n = 0 }) end, "posteriors: n is 0", true)
  check.raises(function() infer.posteriors(flow, part, { format = "txt" }) end,
    'format is "txt", expected "csv" or "fits"', true)
end)

-- A flow that answers with given densities, and notes what it was asked.
local function fake(flagged)
  local self = { asked = {} }
  function self.log_prob(_, truth, context, how)
    self.asked = { context = context, how = how }
    return truth:select(2, 1), flagged and { flagged = flagged, tolerance = 0.5 }
  end
  return self
end

check.case("score is metrics.information on a part's galaxies", function()
  local prior = require("gal.stats.prior").fit(theta)
  local how = { n = 20, seed = 3, steps = 5 }
  local own = metrics.information(flow, part.theta, part.context, prior, how)
  how.prior, how.progress = prior, false
  local found = infer.score(flow, part, how)
  check.equal({ found.log_q, found.d_kl, found.delta_log_p }, { own.log_q, own.d_kl, own.delta_log_p })
  check.equal(found.warning, nil)
end)

check.case("galaxies that are shown alike have draws of their own, in parts of any size", function()
  local prior, places = require("gal.stats.prior").fit(theta), { 1, 2, 1, 3, 1 }
  local alike = { theta = part.theta:rows(places), context = part.context:rows(places) }
  local function drawn(rows)
    local how = { n = 20, seed = 3, steps = 5, rows = rows }
    return metrics.information(flow, alike.theta, alike.context, prior, how)
  end
  local whole, single = drawn(100), drawn(20)
  check.equal(single.samples:totable(), whole.samples:totable())
  check.equal(single.d_kl, whole.d_kl)
  for _, pair in ipairs{ { 1, 3 }, { 1, 5 }, { 3, 5 } } do
    local one, other = single.samples:select(1, pair[1]), single.samples:select(1, pair[2])
    check.equal(one:eq(other):sum():item(), 0, ("%d and %d"):format(pair[1], pair[2]))
  end
  -- The first of them, and those that nobody is like, draw what they draw alone.
  for _, k in ipairs{ 1, 2, 4 } do
    local alone = flow:sample(alike.context:narrow(1, k, 1), { n = 20, steps = 5, rng = gal.rng(3) })
    check.equal(single.samples:narrow(1, k, 1):totable(), alone:totable(), "galaxy " .. k)
  end
end)

check.case("score names the galaxies beyond the tolerance, and without a prior draws nothing", function()
  local judge = fake{ 2, 3, 5, 7, 8, 9 }
  local found = infer.score(judge, part, { tolerance = 0.5, progress = false })
  local how = judge.asked.how
  check.equal({ how.steps, how.tolerance, found.samples == nil }, { "auto", 0.5, true })
  check.equal(found.log_q, part.theta:select(2, 1):totable())
  check.equal(found.warning, "6 of 9 galaxies are not within the tolerance of 0.5: g2, g3, g5, g7, g8, ...")
  check.equal(infer.score(fake{}, part, { progress = false }).warning, nil)
  check.raises(function() infer.score(judge, part, { tolerence = 1 }) end,
    "unknown option 'tolerence', expected 'tolerance'", true)
end)

check.case("images are shown to a flow with an encoder alone", function()
  local judge = fake()
  infer.score(judge, part, { progress = false })
  check.that(judge.asked.context == part.context, "a flow without an encoder was shown images")
  judge.encoder = true
  infer.score(judge, part, { progress = false })
  check.equal(judge.asked.context[2], "images")
end)

scratch.remove()
check.finish()
