-- Posteriors as values (gal.run): against posteriors with a formula, whose flow is exact; what they refuse;
-- a run that was stopped, looked at and resumed; and a run of a survey, opened again and asked everything.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local gal = require "gal"
local draws = require "gal.posterior.draws"
local linalg = require "gal.stats.linalg"
local loops = require "gal.plot.loops"
local metrics = require "gal.metrics"
local pareto = require "gal.stats.pareto"
local run_of = require("gal.run").of_fit
local train = require "gal.train"

local scratch = dofile "lua/lib/scratch.lua"

-- ---- a flow whose posteriors are normal ----

-- In deviations of the training rows: theta | x ~ N(.8 x, C), C = R diag(NARROW^2, WIDE^2) R', R an eighth of
-- a turn. The velocity mu + ln(C)/2 (theta - t mu) carries N(0, I) there, along theta(t) = t mu + C^(t/2)
-- theta(0).
local NARROW, WIDE, SLOPE = 0.3, 0.6, 0.8
local velocity = require("gal.nn").module{ forward = function(_, input)
  local t, theta, mu = input:narrow(2, 1, 1), input:narrow(2, 2, 2), input:narrow(2, 4, 2) * SLOPE
  local same, other = math.log(NARROW * WIDE) / 2, math.log(NARROW / WIDE) / 2
  return mu + (theta - t * mu):matmul(gal.tensor{ { same, other }, { other, same } })
end }
local SAME, OTHER = (NARROW ^ 2 + WIDE ^ 2) / 2, (NARROW ^ 2 - WIDE ^ 2) / 2 -- C's entries

local ROWS = 2000
local rows = { theta = gal.randn({ ROWS, 2 }, { rng = gal.rng(4) }) * 4 + 5 }
rows.context = (rows.theta - 5) / 4 + gal.randn({ ROWS, 2 }, { rng = gal.rng(5) })
local flow = require("gal.flow").new{ theta = { "mass", "dust" }, context = { "x", "y" }, head = velocity }
flow:standardise(rows.theta, rows.context)
local survey = require("gal.data").arrays(rows.theta, rows.context, {
  theta = { "mass", "dust" }, context = { "x", "y" },
})
local run = run_of({ flow = flow, history = { { epoch = 1, train_loss = 1, lr = 1 } }, best_epoch = 1 },
  { data = survey })

-- The posterior of a galaxy in theta's units: mean {2} and covariance {2}{2}.
local function exact(k)
  local mean, deviation = flow.scale.theta_mean:totable(), flow.scale.theta_std:totable()
  local x, m, c = flow:standard(survey.context):narrow(1, k, 1):totable()[1], {}, {}
  for i = 1, 2 do
    m[i], c[i] = mean[i] + deviation[i] * SLOPE * x[i], {}
    for j = 1, 2 do c[i][j] = deviation[i] * deviation[j] * (i == j and SAME or OTHER) end
  end
  return m, c
end

-- Checks the means and deviations of weighted draws within 3 standard errors of `effective` of them.
local function agrees(p, mean, covariance, effective)
  for i, property in ipairs(p.properties) do
    local deviation = math.sqrt(covariance[i][i])
    check.near((property:mean() - mean[i]) / deviation, 0, 3 / math.sqrt(effective), p.names[i] .. "'s mean")
    check.near(property:std() / deviation, 1, 3 / math.sqrt(2 * effective), p.names[i] .. "'s deviation")
  end
end

check.case("draws have the moments of a posterior with a formula, and more draws begin with fewer", function()
  local p = run:posterior(7, { n = 4000 })
  local mean, covariance = exact(7)
  agrees(p, mean, covariance, 4000)
  check.near(p:correlation("mass", "dust"), OTHER / SAME, 3 / math.sqrt(4000))
  local more, few = p:sample(2000), run:posterior(7):sample(1000)
  check.equal(check.bits(more:narrow(1, 1, 1000):contiguous()), check.bits(few))
  check.equal(check.bits(run:posterior{ 3, 7 }:sample(1000)[2]:contiguous()), check.bits(few))
  check.equal({ p.id, p.row, p.truth.dust, p.mass.name }, { "7", 7, survey.theta:get(7, 2), "mass" })
end)

check.case("quantiles are numpy's, of draws with weights at mid-weights", function()
  local list = gal.tensor({ 3, 1, 4, 1, 5, 9, 2, 6 }, { 8, 1 })
  local p = { run = run, part = { ids = { "a" } }, names = { "v" }, n = 8, seed = 0 }
  draws.adopt(p, list)
  check.near(draws.quantiles(draws.column(p, 1, 1), { 0.16, 0.5, 0.84 }), { 1.12, 3.5, 5.88 }, 1e-12)
  local q = run:posterior(9).dust:quantile{ 0.16, 0.5 }
  check.equal(q, metrics.quantile(run:posterior(9):sample():select(2, 2):contiguous(), { 0.16, 0.5 }))
  local weighted = { run = run, part = p.part, names = { "v" }, n = 3, seed = 0 }
  draws.adopt(weighted, gal.tensor({ 1, 2, 3 }, { 3, 1 }), ffi.new("double[3]", { 0.1, 0.1, 0.8 }))
  local column = draws.column(weighted, 1, 1)
  check.near(draws.quantiles(column, { 0.5 })[1], 2 + 0.35 / 0.45, 1e-12)
  check.near({ draws.moments(column) }, { 2.7, math.sqrt(0.1 * 1.7 ^ 2 + 0.1 * 0.7 ^ 2 + 0.8 * 0.09) }, 1e-12)
  check.equal({ draws.shortest(column, 0.8) }, { 3, 3 })
  check.equal({ draws.shortest(column, 0) }, { 1, 1 }, "one draw, not what lies before them in memory")
  check.near({ draws.below(column, 3), draws.below(column, 1) }, { 0.2, 0 }, 1e-12)
end)

check.case("the density of a posterior integrates to one, and is the formula's", function()
  local p = run:posterior(7)
  local mean, c = exact(7)
  local determinant = c[1][1] * c[2][2] - c[1][2] ^ 2
  check.near(p:log_prob{ mass = mean[1], dust = mean[2] }, -math.log(2 * math.pi) - math.log(determinant) / 2,
    2e-3)
  local s = p:slice{ x = "mass", y = "dust", points = 41 } -- over 4 deviations: 1e-4 lies outside
  local cell = (s.x[2] - s.x[1]) * (s.y[2] - s.y[1])
  check.near(s.log_p:exp():sum():item() * cell, 1, 1e-3)
  check.near((s:peak()).mass, mean[1], 3 * (s.x[2] - s.x[1]))
  local shares = { 0.5, 0.68, 0.95 }
  -- Ellipses: chi^2 of two dimensions is -2 ln(1 - share). Cells come in fours of one height, 1 % of an area.
  for k, lines in ipairs(p:slice{ x = "mass", y = "dust", points = 81 }:contours(shares)) do
    local area = -2 * math.log(1 - shares[k]) * math.pi * math.sqrt(determinant)
    check.equal(#lines, 1)
    check.near(loops.signed_area(lines[1]), area, 0.02 * area)
  end
  local line = p:slice{ dust = mean[2], x = "mass" }
  check.raises(function() line:contours() end, "along one property, expected x and y")
  check.near((line:peak()).mass, mean[1], (line.x[2] - line.x[1]))
end)

-- ---- what if ----

check.case("condition is a normal posterior seen once more, with the kernel's variance", function()
  local p = run:posterior(11)
  local mean, c = exact(11)
  for _, width in ipairs{ 0.2, 1 } do
    local value = mean[2] + math.sqrt(c[2][2])
    local given = p:condition{ dust = value, width = width }
    -- The kernel's own width is that of the draws, and known to them as well as they know the posterior's.
    local noise = (width * p.dust:std()) ^ 2
    local gain = { c[1][2] / (c[2][2] + noise), c[2][2] / (c[2][2] + noise) }
    local expected, covariance = {}, { {}, {} }
    for i = 1, 2 do
      expected[i] = mean[i] + gain[i] * (value - mean[2])
      for j = 1, 2 do covariance[i][j] = c[i][j] - gain[i] * c[2][j] end
    end
    check.that(given.effective >= 100, "an effective " .. given.effective)
    agrees(given, expected, covariance, given.effective)
    check.that(tostring(given):find("Gaussian kernels of " .. ("%.2g"):format(width), 1, true),
      tostring(given))
  end
  check.raises(function() p:condition{ dust = mean[2] + 50 } end,
    "leave an effective %d+ of 20000 draws, expected 100: dust lies %d+ σ from its mean")
  check.raises(function() p:condition{} end, "values is empty")
  check.raises(function() p:condition{ metal = 1 } end, "there is no property 'metal', expected one of mass")
end)

-- Checks a posterior of weighted draws against the normal one of N(mean, c) with `more` {2}{2} added to its
-- inverse covariance and `vector` {2} to that times the mean.
local function agrees_with(p, mean, c, more, vector)
  local precision, sum = linalg.invert(c), {}
  for i = 1, 2 do
    sum[i] = precision[i][1] * mean[1] + precision[i][2] * mean[2] + vector[i]
    for j = 1, 2 do precision[i][j] = precision[i][j] + more[i][j] end
  end
  local covariance = linalg.invert(precision)
  agrees(p, linalg.apply(covariance, sum), covariance, p.effective)
end

check.case("importance under another prior is the normal posterior under it", function()
  local p = run:posterior(11)
  local mean, c = exact(11)
  -- The training rows' prior as it is known: a normal distribution of their moments.
  local first, training = linalg.covariance(require("gal.stats.host").rows(survey.theta))
  local prior, width = { 4.5, 5.5 }, { 3, 2.4 }
  local found = p:importance(function(at)
    return -((at.mass - prior[1]) / width[1]) ^ 2 / 2 - ((at.dust - prior[2]) / width[2]) ^ 2 / 2
  end)
  local below, more, vector = linalg.invert(training), { {}, {} }, {}
  for i = 1, 2 do
    vector[i] = prior[i] / width[i] ^ 2
    for j = 1, 2 do
      more[i][j] = (i == j and 1 / width[i] ^ 2 or 0) - below[i][j]
      vector[i] = vector[i] - below[i][j] * first[j]
    end
  end
  agrees_with(found, mean, c, more, vector)
  check.that(found.pareto_k < 0.7 and found.effective > 1000, "k " .. found.pareto_k)
  -- A property that is named alone: the others as in the training, given it.
  local named = p:importance{ dust = { mean = 5.5, std = 2.4 } }
  agrees_with(named, mean, c, { { 0, 0 }, { 0, 1 / 2.4 ^ 2 - 1 / training[2][2] } },
    { 0, 5.5 / 2.4 ^ 2 - first[2] / training[2][2] })
  check.that(tostring(named):find "dust 5.5 ± 2.4", tostring(named))
  local few = found:sample(500)
  check.equal(check.bits(found:sample(200)), check.bits(few:narrow(1, 1, 200):contiguous()))
  check.near((few:mean(1):get(1) - found.mass:mean()) / found.mass:std(), 0, 3 / math.sqrt(500))
end)

check.case("importance is refused where the weights can't be trusted", function()
  local p = run:posterior(11)
  check.raises(function() p:importance{ dust = { mean = 30, std = 0.1 } } end,
    "20000 draws are worth %d+ under this prior %(expected at least 100%), and Pareto k .* 100 %% of the")
  -- Worth hundreds of draws, whose weights have too heavy a tail all the same.
  check.raises(function()
    p:importance(function(at) return 0.017 * ((at.mass - 5) ^ 2 + (at.dust - 5) ^ 2) end)
  end, "worth %d%d%d under this prior .*, and Pareto k of their weights is 0.[789]%d* %(expected below 0.7%)")
  check.raises(function() p:importance(function() return 0 / 0 end) end, "the function gave .* expected a")
  check.raises(function() p:importance(5) end, "prior is the number 5, expected a function")
end)

check.case("Pareto k is ArviZ's (golden/pareto.py), and its limit that of Vehtari et al.", function()
  for _, golden in ipairs{
    { 0.2, 1000, 0.236787736 }, { 0.2, 20000, 0.208861416 }, { 0.5, 1000, 0.497085961 },
    { 0.9, 1000, 0.844266433 }, { 0.9, 20000, 0.886403992 },
  } do
    local k, n, expected = unpack(golden)
    local w = {}
    for i = 0, n - 1 do w[i + 1] = -k * math.log(1 - (i + 0.5) / n) end
    check.near(pareto.shape(w), expected, 1e-8)
  end
  check.equal({ pareto.shape{ 1, 1, 1, 1, 1, 1 }, pareto.limit(20000) }, { -math.huge, 0.7 })
  check.near(pareto.limit(1000), 2 / 3, 1e-12)
end)

-- ---- what galaxies are meant, and what is refused ----

check.case("what names no galaxy is refused with what is expected", function()
  local function refused(what, sentence) check.raises(function() run:posterior(what) end, sentence) end
  refused(1237648720693755918, "is beyond 2%^53, where plain numbers lose digits: .* in quotes or with LL")
  refused(ROWS + 1, "2001 is no row of .*, which has 2000; an id is written in quotes %(\"2001\"%)")
  refused(0.5, "0.5 is no row")
  refused("g1", 'there is no galaxy "g1" among the 2000 of .*, whose ids are such as "1"')
  refused({}, "the list is empty")
  refused({ x = 1 }, "posterior: x has no y, expected x, y")
  refused({ x = 1, y = 1, image = "a.jpg" }, "image is given, but the run sees no images")
  refused(true, "the galaxy is the boolean true, expected an id")
  check.equal(run:posterior(5LL).row, 5)
  check.equal(run:posterior(" 5 ").row, 5)
  check.raises(function() run:resume{ epoch = 1 } end, "unknown option 'epoch'")
  check.raises(function() run:posterior(3):log_prob{ mass = 1 } end, "no dust, expected all properties")
  check.raises(function() run.posterior("3") end, "posterior: called with .* expected a run: run:posterior")
end)

check.case("a property that is called as a method is p:property's", function()
  local theta = survey.theta
  local other = require("gal.flow").new{
    theta = { "sample", "oh_p50" }, context = { "x", "y" }, head = function(input) return velocity(input) end,
  }
  other:standardise(theta, survey.context)
  local given = { theta = theta, context = survey.context }
  local named = run_of({ flow = other, history = { { epoch = 1 } } }, given)
  local p = named:posterior(3)
  check.equal({ type(p.sample), p:property("sample").name, p.hidden[1] }, { "function", "sample", "sample" })
  check.that(tostring(p):find('p:property "sample"', 1, true), tostring(p))
  check.equal({ p:property("oh").name, p:property("OH_P50").name, p:property("metallicity").name },
    { "oh_p50", "oh_p50", "oh_p50" })
end)

-- ---- stopped, looked at, resumed ----

local host = require "gal.base.host"

-- A small training; `stop` raises what Ctrl-C does within epoch 3, as at the prompt.
local function small(out, stop)
  local o = {
    flow = require("gal.flow").new{
      theta = { "mass", "dust" }, context = { "x", "y" }, hidden = { 12 }, rng = gal.rng(1),
    },
    theta = rows.theta:narrow(1, 1, 400), context = rows.context:narrow(1, 1, 400), epochs = 6, batch = 40,
    seed = 3, out = out,
  }
  local stopped = not stop
  function o.progress(report)
    if not stopped and report.epoch == 3 and report.step then
      stopped = true
      error(gal.interrupted, 0)
    end
  end
  local before = host.interactive
  host.interactive = stop or false
  local ok, found = pcall(train.fit, o)
  host.interactive = before
  if not ok then error(found, 0) end
  return found
end

check.case("a run that was stopped and asked goes on to the same bits, in a folder and in memory", function()
  local whole = small(nil, false)
  for _, out in ipairs{ false, scratch.path "stopped" } do
    local stopped = small(out or nil, true)
    check.equal({ stopped.stopped, #stopped.history }, { "interrupt", 2 })
    check.that(tostring(stopped):find("stopped: run:resume()", 1, true), tostring(stopped))
    check.equal(stopped:posterior(3):sample(10).shape, { 10, 2 })
    check.that(tostring(stopped:history()):find "epoch", "the learning curve")
    check.that(stopped:resume() == stopped, "resume returns the run")
    check.equal({ stopped.stopped, #stopped.history }, { "epochs", 6 })
    check.equal(stopped.history, whole.history)
    check.equal(check.weights(stopped.flow), check.weights(whole.flow))
    check.equal(#stopped:resume{ epochs = 7 }.history, 7)
    check.raises(function() stopped:resume{ epochs = 3 } end, "epochs is 3, expected at least 7, which are")
  end
end)

check.case("Ctrl-C at the prompt says what is kept, and how to go on", function()
  local stderr, interactive, said = io.stderr, host.interactive, {}
  io.stderr = { write = function(_, ...) said[#said + 1] = table.concat{ ... } end, flush = function() end }
  host.interactive = true
  for _, folder in ipairs{ { out = "a" }, false } do
    local run = { settings = { epochs = 9 }, epoch = 2, folder = folder or nil }
    local report = require "gal.train.report"(nil, run)
    report{ whole = true, epoch = 2, epochs = 9, saved = folder and 2, stopped = "interrupt" }
  end
  io.stderr, host.interactive = stderr, interactive
  local text = table.concat(said)
  check.that(text:find("stopped: a keeps 2 epochs, and run:resume() goes on from there\n", 1, true), text)
  check.that(text:find("stopped: the run keeps 2 epochs, and run:resume() goes on", 1, true), text)
end)

-- ---- a run of a survey ----

local home, folder = scratch.path "survey", scratch.path "run"
require("gal.mock").make{ out = home, n = 1200, cutouts = false, seed = 2, progress = false }
local opened = require("gal.data").open(home)
local fitted = train.fit{
  flow = require("gal.flow").new{
    theta = opened.names.theta, context = opened.names.context, hidden = { 24, 24 }, rng = gal.rng(1),
  },
  data = opened:split "train", valid = opened:split "valid", test = opened:split "test", epochs = 4,
  out = folder, progress = false,
}

check.case("fit's run and gal.open's are of one kind, and give the same posteriors", function()
  local again = gal.open(folder)
  check.that(getmetatable(again) == getmetatable(fitted), "one metatable")
  check.equal({ again.best_epoch, #again.history }, { fitted.best_epoch, #fitted.history })
  check.near(again.best_loss, fitted.best_loss, 1e-7)
  local id = opened:split("test").ids[1]
  local a, b = fitted:posterior(id), again:posterior(id)
  check.equal(check.bits(a:sample(50)), check.bits(b:sample(50)))
  check.equal({ b.id, b.seen, b.truth.a_v }, { id, "test", opened:of({ id }).theta:get(1, 5) })
  check.equal({ again:posterior(b.row).id, again.ids[1] }, { id, opened.ids[1] })
  local file = require("gal.flow").load(folder)
  check.equal(table.concat(file.theta, " "), table.concat(fitted.flow.theta, " "))
  check.raises(function() gal.open(home) end, "is no run: it has no flow.safetensors")
  check.raises(function() again:resume() end, "was opened from its folder: .* %-%-resume")
end)

check.case("inputs by name are taken as the training's were, extinctions off", function()
  local again = gal.open(folder)
  local id = opened.ids[5]
  local given, catalogue = {}, gal.table(opened.path)
  for _, band in ipairs{ "u", "g", "r", "i", "z" } do
    for _, kind in ipairs{ "modelMag_", "extinction_" } do
      given[kind .. band] = catalogue:doubles(kind .. band)[again:posterior(id).row]
    end
  end
  local p = again:posterior(given)
  check.near(p:sample(20), again:posterior(id):sample(20), 0.3) -- another stream where the last bit differs
  check.near(p.outside, again:posterior(id).outside, 1e-5)
  check.that(tostring(p):find "The extinction came off modelMag_u", tostring(p))
  check.that(not p.truth and not p.row, "a galaxy typed by hand has no truth")
end)

check.case("an image by its file is prepared as the run's cutouts were, and a picture is shown", function()
  local seen = scratch.path "seen"
  require("gal.mock").make{ out = seen, n = 30, seed = 2, progress = false }
  local few = require("gal.data").open(seen, {
    context = { "modelMag_r" }, images = { crop = 64, bin = 8, progress = false },
  })
  local looking = require("gal.flow").new{
    theta = few.names.theta, context = few.names.context, image = few.images.image, hidden = { 8 },
    encoder = require("gal.nn").galaxy_cnn{ channels = { 2 }, rng = gal.rng(2) }, rng = gal.rng(1),
  }
  local of_images = train.fit{ flow = looking, data = few, epochs = 1, progress = false }
  local p = of_images:posterior(few.ids[4])
  local catalogue, row = gal.table(few.path), p.row
  local q = of_images:posterior{
    modelMag_r = catalogue:doubles "modelMag_r"[row], extinction_r = catalogue:doubles "extinction_r"[row],
    image = ("%s/cutouts/%s.jpg"):format(seen, few.ids[4]),
  }
  check.equal(check.bits(q.part.images:batch(1, 1)), check.bits(p.part.images:batch(1, 1)))
  check.near(q:log_prob(p.truth), p:log_prob(p.truth), 1e-3)
  check.equal({ #p:cutout().panels, #of_images:find{ part = "all" }:cutout().panels }, { 1, 30 })
  check.raises(function() of_images:posterior{ modelMag_r = 17, extinction_r = 0.1 } end, "expected image = ")
  check.raises(function()
    of_images:posterior{ modelMag_r = 17, extinction_r = 0.1, image = seen .. "/none.jpg" }
  end, "none.jpg")
  -- The run without a folder says which of its survey's galaxies it was given.
  check.equal(of_images:part(few.ids[4]), "train")
end)

-- A text is within 80 columns.
local function fits(text)
  for line in tostring(text):gmatch "[^\n]+" do
    local width = require("gal.base.text").length(line)
    check.that(width <= 80, ("%d columns: %s"):format(width, line))
  end
  return tostring(text)
end

check.case("a run answers what it is asked, within 80 columns", function()
  local again = gal.open(folder)
  local p = again:posterior(opened:split("test").ids[2])
  fits(again)
  check.that(fits(p):find "lgm_tot_p50", "the properties")
  check.that(fits(p.a_v):find " mag", "the unit")
  local worst, far = again:worst(5), again:worst(3, "shift:a_v")
  check.equal({ #worst, #far, worst[1].seen }, { 5, 3, "test" })
  local q = worst:log_prob(worst.part.theta):totable()
  for k = 2, 5 do check.that(q[k] >= q[k - 1] - 0.01, "the worst comes first") end
  fits(worst)
  check.equal(worst:summary().rows, 5)
  local found = again:find{ a_v = { 0.2, 0.5 }, modelMag_r = { 15, 18 }, part = "test" }
  for k, v in ipairs(found.a_v.truth) do check.that(v >= 0.2 and v <= 0.5, "galaxy " .. k) end
  check.that(fits(found):find "true a_v", "what they were chosen by")
  check.that(#again:find{ a_v = { nil, 2 }, by = "posterior" } > 0, "by medians")
  check.raises(function() again:find{ a_v = { 90, 91 } } end, "none has a_v from 90 to 91")
  fits(again:residuals())
  check.equal(again:residuals():table().rows, #opened:split("test").ids)
  check.that(fits(again:coverage()):find "in 68 %%", "levels")
  fits(again:history())
  local trust = p:trust()
  check.that(fits(trust):find "test galaxies", trust.verdict)
  local along = 0
  for _, e in ipairs(trust.calibration.table) do
    if e.kind == "bias with" then
      check.that(e.with:find "^modelMag_[ugriz]%f[%W]", e.with)
      along = along + 1
    end
  end
  check.that(along > 0, "it looks for biases along the inputs")
  fits(p:compare(fitted))
  check.near(p:compare(fitted).table[1].shift, 0, 1e-6)
  fits(worst:compare(fitted))
  fits(p:condition{ oh = p.oh_p50:median() })
  fits(p:slice{ oh = 9, x = "a_v", points = 5 })
end)

check.case("files hold draws and densities by the properties' names", function()
  local p = gal.open(folder):posterior(3, { n = 20 })
  local table_ = gal.table(p:save(scratch.path "p.csv"))
  check.equal(table_.names, { "lgm_tot_p50", "sfr_tot_p50", "oh_p50", "d4000_n", "a_v", "log_q" })
  check.near(table_:column "a_v", p:sample(20):select(2, 5), 1e-6)
  local arrays = gal.load(p:save(scratch.path "p.npz"))
  check.equal({ arrays.oh_p50.shape, arrays.log_q.shape }, { { 20 }, { 20 } })
  check.near(arrays.log_q, p:log_prob(p:sample(20)), 1e-5)
  check.raises(function() p:save "p.txt" end, "expected a name that ends in .npz, .csv or .fits")
end)

check.case("a corner plot and a learning curve are specifications of figures", function()
  local again = gal.open(folder)
  local p = again:posterior(3)
  local spec = p:corner{ n = 300, with = again:posterior(4), prior = true }
  check.equal({ #spec.panels, spec.columns }, { 16, 5 })
  check.that(again:history():figure().panels and again:coverage():figure().panels, "figures")
  check.that(again:residuals():figure().panels, "residuals")
  check.raises(function() p:cutout() end, "there is no picture of")
  -- Of two cutouts of which one can't be read the other one is not taken for both.
  require("ffi").C.gal_make_folder(scratch.path "album/cutouts")
  scratch.write(scratch.path "album/cutouts/a.jpg", "no picture")
  scratch.write(scratch.path "album/cutouts/b.jpg", scratch.read "golden/cutouts/colour.jpg")
  local album = { ids = { "a", "b" }, path = scratch.path "album/catalog.csv" }
  check.raises(function() require("gal.posterior.galaxies").cutout(album) end, "cutout: .*a.jpg is neither")
  check.raises(function() p:corner{ wth = 1 } end, "unknown option 'wth'")
end)

scratch.remove()
check.finish()
