-- The data behind the figures: scatter about relations, galaxies chosen by rules, nearest neighbours, maps of
-- occlusion, learning curves; and the experiments that draw them, as processes. What is expected is computed
-- otherwise: in closed form, by brute force, or from the files that an experiment wrote.
local check = dofile "lua/lib/check.lua"
local scratch = dofile "lua/lib/scratch.lua"
local core = require "gal.tensor"
local curve = require "gal.train.curve"
local flow_module = require "gal.flow"
local gal = require "gal"
local json = require "gal.base.json"
local limits = require "gal.stats.limits"
local map = require "gal.plot.map"
local nearest = require "gal.infer.nearest"
local occlusion = require "gal.infer.occlusion"
local relation = require "gal.stats.relation"
local selection = require "gal.stats.selection"
local path = scratch.path

local function normals(n, seed) return gal.randn({ n }, { rng = gal.rng(seed) }):totable() end

-- ---- scatter about a relation ----

check.case("what is left of a parabola and of what is orthogonal to one is the latter", function()
  local x, y, expected = {}, {}, {}
  for block = 1, 25 do -- (1, -3, 3, -1) is orthogonal to all parabolas on four equidistant points
    for i, e in ipairs{ 1, -3, 3, -1 } do
      local k = #x + 1
      x[k], expected[k] = 9 + 0.3 * i, e * block / 100
      y[k] = 2 + 0.7 * x[k] - 0.4 * x[k] ^ 2 + expected[k]
    end
  end
  local at, rest, n = relation.parabola(x, y)
  check.equal(n, 100)
  for k = 1, n do check.near(rest[k - 1], expected[k], 1e-11) end
  check.near(at(5), 2 + 0.7 * 5 - 0.4 * 25, 1e-9)
  table.sort(expected)
  local function quantile(p) -- type 7, at position 99 p
    local below = math.floor(99 * p)
    return expected[below + 1] + (99 * p - below) * (expected[below + 2] - expected[below + 1])
  end
  check.near(relation.scatter(x, y).scatter, (quantile(0.84) - quantile(0.16)) / 2, 1e-6)
end)

check.case("Gaussian scatter comes out with its deviation, and an error as the formula has it", function()
  local n, x, y = 4000, normals(4000, 1), normals(4000, 2)
  for k = 1, n do y[k] = 0.3 * y[k] + x[k] + 0.2 * x[k] ^ 2 end
  local found = relation.scatter(x, y)
  -- The variance of half the difference of two quantiles: (2 p (1 - p) - 2 p^2) / (4 n f^2), p = .16.
  local p, density = 0.16, math.exp(-0.5 * 0.99446 ^ 2) / math.sqrt(2 * math.pi)
  local error_ = 0.3 * math.sqrt((2 * p * (1 - p) - 2 * p * p) / (4 * n * density ^ 2))
  check.near(found.scatter, 0.3 * 0.99446, 4 * error_)
  check.near(found.error, error_, 0.3 * error_)
  check.equal(relation.scatter(x, y).error, found.error)
  check.that(relation.scatter(x, y, 5).error ~= found.error, "the seed of the resamples does nothing")
  x[7], y[9] = 0 / 0, 1 / 0
  check.equal(relation.scatter(x, y).n, n - 2)
  check.near(relation.scatter({ 1, 1, 1 }, { 0, 0, 0 }).scatter, 0, 0)
end)

-- ---- selections ----

check.case("a box holds the galaxies between its edges, and some of them are the same for a seed", function()
  local x, y = normals(300, 3), normals(300, 4)
  local box = selection.box(x, y, { 0.8, 0.95 })
  local inside, above = selection.within(x, y, box.x, box.y), 0
  local expected = {}
  for k = 1, 300 do
    if x[k] >= box.x[1] and x[k] <= box.x[2] then
      above = above + 1
      if y[k] >= box.y[1] and y[k] <= box.y[2] then expected[#expected + 1] = k end
    end
  end
  check.equal(inside, expected)
  check.near(above, 45, 1)
  check.near(#inside / above, 0.8, 0.05)
  local some = selection.some(inside, 3, 7)
  check.equal(some, selection.some(inside, 3, 7))
  check.equal(#some, 3)
  local others = 0
  for seed = 8, 12 do
    if check.text(selection.some(inside, 3, seed)) ~= check.text(some) then others = others + 1 end
  end
  check.that(others >= 4, "other seeds choose the same galaxies")
end)

check.case("a corner's galaxy is in the corner's middle, and mirrored data give the mirrored one", function()
  local x, y = normals(400, 5), normals(400, 6)
  local found = selection.corner(x, y, { "high", "low" })
  check.equal(found.share, 0.2)
  local count, best, least = 0, nil, math.huge
  local xs, ys = {}, {}
  for k = 1, 400 do
    if x[k] >= found.x and y[k] <= found.y then
      count, xs[#xs + 1], ys[#ys + 1] = count + 1, x[k], y[k]
    end
  end
  check.equal(found.among, count)
  local function middle(list) return gal.tensor(list):quantiles{ 0.5 }:item() end
  local a, b = middle(xs), middle(ys)
  for k = 1, 400 do -- both deviations are 1 but for some per cent
    local distance = (x[k] - a) ^ 2 + (y[k] - b) ^ 2
    if distance < least then best, least = k, distance end
  end
  check.equal(found.position, best)
  local minus = {}
  for k = 1, 400 do minus[k] = -x[k] end
  check.equal(selection.corner(minus, y, { "low", "low" }).position, found.position)
  -- Where nearly all lie on a line that rises, the shares grow.
  for k = 1, 400 do y[k] = x[k] + 0.3 * y[k] end
  check.that(selection.corner(x, y, { "high", "low" }).share > 0.2, "the corner is not widened")
  check.raises(function() selection.corner({ 1, 2 }, { 1, 2 }, { "high", "left" }) end,
    'sides%[2%] is the string "left", expected "high" or "low"')
end)

check.case("values have limits where they end sharply, and at 0 where they come near it", function()
  local near, far, below = normals(200, 14), normals(200, 14), normals(200, 14)
  for k = 1, 200 do near[k], far[k] = math.abs(near[k]), 9 + 0.1 * far[k] end
  check.equal({ limits.of(gal.tensor(near)), limits.of(gal.tensor(far)), limits.of(gal.tensor(below)) },
    { { 0 }, {}, {} })
  local even = gal.arange(2000) / 1000 + 5 -- uniform from 5.001 to 7
  check.near(limits.of(even), { 5.001, 7 }, 1e-6)
  local cut = {} -- the lower half of a Gaussian: a tail below, an edge above
  for k, v in ipairs(normals(2000, 15)) do cut[k] = 7 - math.abs(v) end
  local faint = limits.of(gal.tensor(cut))
  check.that(faint[1] == nil and math.abs(faint[2] - 7) < 2e-3, check.text(faint))
end)

-- ---- neighbours ----

check.case("the nearest rows are those of brute force, and each row is taken once", function()
  local among = gal.randn({ 200, 3 }, { rng = gal.rng(8) })
  local points = gal.randn({ 40, 3 }, { rng = gal.rng(9) })
  local scale, taken = { 1, 0.5, 2 }, {}
  local unit = gal.tensor(scale)
  local rows, distances = nearest.each(among, points, { scale = scale })
  for i = 1, 40 do
    local apart = ((among - points:select(1, i)) / unit):pow(2):sum(2):totable()
    local best
    for k = 1, 200 do
      if not taken[k] and (not best or apart[k] < apart[best]) then best = k end
    end
    check.equal(rows[i], best, "point " .. i)
    check.near(distances[i], math.sqrt(apart[best]), 1e-5)
    taken[best] = true
  end
  local apart = (among - points:select(1, 1)):pow(2):sum(2):totable()
  local list, far = nearest.rows(among, points:select(1, 1), 10, {
    scale = { 1, 1, 1 }, only = { 5, 9, 77, 3 },
  })
  local order = { 5, 9, 77, 3 }
  table.sort(order, function(a, b) return apart[a] < apart[b] end)
  check.equal(list, order)
  check.near(far[4], math.sqrt(apart[order[4]]), 1e-5)
  check.raises(function() nearest.each(among, points, { only = { 1, 2 } }) end,
    "no row is left, of 2, for point 3")
end)

-- ---- occlusion ----

local pixels = core.new({ 6, 32, 32, 3 }, "uint8")
do
  local values = gal.rand({ 6 * 32 * 32 * 3 }, { rng = gal.rng(10) }):totable()
  local bytes = {}
  for k, v in ipairs(values) do bytes[k] = math.floor(100 + 150 * v) end
  local to = require("ffi").cast("uint8_t *", pixels.h.data)
  for k, v in ipairs(bytes) do to[k - 1] = v end
end

-- A flow of two properties whose encoder is this function of images {N, 32, 32, 3}.
local function flow_of(encoder)
  local flow = flow_module.new{
    theta = 2, context = 1, image = { 32, 32, 3 }, encoder = encoder, hidden = { 8 }, rng = gal.rng(11),
  }
  local known = gal.randn({ 6, 3 }, { rng = gal.rng(12) })
  flow:standardise(known:narrow(2, 1, 2), known:narrow(2, 3, 1), pixels)
  return flow
end

local theta, context, image = gal.tensor{ 0.3, -0.2 }, gal.tensor{ 0.1 }, pixels:select(1, 1)
local QUICK = { size = 8, stride = 8, steps = 6, fill = { 0, 0, 0 } }

check.case("a model that ignores the image is changed by no patch at all", function()
  local flow = flow_of(function(x) return x:reshape{ x:size(1), -1 }:narrow(2, 1, 1) * 0 end)
  local found = occlusion.map(flow, context, image, theta, QUICK)
  check.equal(found.map, gal.zeros{ 4, 4 })
  check.equal(found.patches, 16)
end)

check.case("a model that looks at one corner lights that corner and nothing else", function()
  local flow = flow_of(function(x)
    return x:narrow(2, 1, 8):narrow(3, 25, 8):reshape{ x:size(1), -1 }:mean(2, true)
  end)
  local found = occlusion.map(flow, context, image, theta, QUICK)
  for i = 1, 4 do
    for j = 1, 4 do
      local v = found.map:get(i, j)
      check.that((v ~= 0) == (i == 1 and j == 4), ("cell %d, %d is %g"):format(i, j, v))
    end
  end
  local painted = image:clone()
  for row = 1, 8 do
    for column = 25, 32 do
      for c = 1, 3 do painted:set(0, row, column, c) end
    end
  end
  local function density(x)
    local seen = { context:reshape{ 1, 1 }, x:reshape{ 1, 32, 32, 3 } }
    return flow:log_prob(theta:reshape{ 1, 2 }, seen, { steps = 6 }):item()
  end
  check.near(found.map:get(1, 4), density(painted) - density(image), 1e-5)
  check.near(found.log_q, density(image), 1e-6)
  -- Patches of twice the stride: a cell is the mean over the four that cover it, of which the corner's cell
  -- has four that reach the corner, its neighbours two, and the cell across from it one.
  local wide = occlusion.map(flow, context, image, theta, {
    size = 16, stride = 8, steps = 6, fill = { 0, 0, 0 },
  })
  local whole = found.map:get(1, 4)
  check.equal(wide.patches, 25)
  check.near(wide.map:totable(), { { 0, 0, whole / 2, whole }, { 0, 0, whole / 4, whole / 2 }, { 0, 0, 0, 0 },
    { 0, 0, 0, 0 } }, 1e-5)
  -- Twice the same point is the mean over both.
  local twice = gal.cat({ theta:reshape{ 1, 2 }, theta:reshape{ 1, 2 } }, 1)
  check.near(occlusion.map(flow, context, image, twice, QUICK).map, found.map, 1e-5)
end)

check.case("the background is the median of the rim, and bad patches are refused", function()
  -- Most of the pixels are inside, so that the median of all of them is another.
  local x = core.new({ 20, 20, 3 }, "uint8"):fill_(200)
  for i = 3, 18 do
    for j = 3, 18 do
      for c = 1, 3 do x:set(3, i, j, c) end
    end
  end
  check.equal(occlusion.background(x), { 200, 200, 200 })
  local flow = flow_of(function(y) return y:reshape{ y:size(1), -1 }:narrow(2, 1, 1) end)
  check.raises(function() occlusion.map(flow, context, image, theta, { size = 9, stride = 2 }) end,
    "size is 9, expected a multiple of the stride, 2")
  check.raises(function() occlusion.map(flow_module.new{ theta = 2, context = 1 }, context, image, theta) end,
    "the flow sees no images")
end)

-- ---- colours, curves ----

check.case("colours of a map grow lighter in grey, or darker from white, and row 1 is at the top", function()
  local last = -1
  for k = 0, 20 do
    local c = map.colour(k / 20)
    local grey = 0.2126 * c[1] + 0.7152 * c[2] + 0.0722 * c[3]
    check.that(grey > last, ("part %g is not lighter than the one before"):format(k / 20))
    last = grey
  end
  for name, place in pairs{ density = 0, change = 0.5 } do -- white where there is nothing
    check.equal(map.colour(place, name), { 255, 255, 255 })
    local last = 256 * 3
    for k = 0, 10 do
      local c = map.colour(place + (1 - place) * k / 10, name)
      local sum = c[1] + c[2] + c[3]
      check.that(sum < last, name .. " does not grow darker")
      last = sum
    end
  end
  local lines = {}
  local layer = map.map(gal.tensor{ { 0, 1 }, { 0 / 0, 2 } }, { xrange = { 0, 4 } })
  for line in layer.data:gmatch "[^\n]+" do lines[#lines + 1] = line end
  check.equal(lines, { "1 1.5 0 34 78", "3 1.5 124 123 120", "1 0.5 255 255 255", "3 0.5 254 232 56" })
end)

check.case("a learning curve is the history's, and its best epoch has the lowest validation loss", function()
  local HEAD = "epoch,train_loss,valid_loss,lr\n"
  assert(os.execute("mkdir " .. path "curved") == 0)
  scratch.write(path "curved/history.csv", HEAD .. "1,2,1.5,0.1\n2,1.2,1.1,0.1\n3,1,1.25,0.05\n")
  scratch.write(path "curved/timing.csv", "epoch,seconds\n1,2.5\n2,1.5\n3,2\n")
  local found = curve.read(path "curved")
  check.equal({ found.best, found.seconds }, { 2, 6 })
  check.equal({ found.train, found.lr }, { { 2, 1.2, 1 }, { 0.1, 0.1, 0.05 } })
  scratch.write(path "curved/history.csv", HEAD .. "1,2,,0.1\n")
  check.equal(curve.read(path "curved").best, nil)
  check.raises(function() curve.read(path "nowhere") end, "nowhere has no history.csv, expected the folder")
end)

-- ---- the experiments ----

local function run(name, words) return scratch.run(scratch.experiment(name) .. " " .. words) end
local succeeds = scratch.succeeds

local RESULTS = "image/results/scaling-survey-all-against-photometry/"

check.case("the figures of two models are drawn from a survey, with the data that they show", function()
  succeeds("make_survey", "--n 160 --out survey --seed 2")
  local SMALL = "--survey survey --hidden 8 --epochs 1"
  succeeds("train_photometry", SMALL .. " --out photometry")
  succeeds("train_image", SMALL .. " --crop 16 --channels 4,4 --no-augment --draws 1 --out image")
  local told = succeeds("scaling_relations",
    "image --against photometry --part all --n 20 --steps 4 --planes lgm_tot_p50:oh_p50,lgm_tot_p50:d4000_n")
  check.that(told:find "\noh_p50 lgm_tot_p50 +dex " and told:find "\nd4000_n lgm_tot_p50 ", told)
  local results = json.decode(scratch.read(path(RESULTS .. "scaling.json")))
  local values = gal.table(path(RESULTS .. "galaxies.csv"))
  check.equal(values.rows, results.galaxies)
  local plane = results.planes[1]
  local mean = { x = values:doubles "lgm_tot_p50_mean_image", y = values:doubles "oh_p50_mean_image" }
  for name, kind in pairs{ galaxies = "true", ["image draws"] = "draw_image" } do
    local x, y = values:doubles("lgm_tot_p50_" .. kind), values:doubles("oh_p50_" .. kind)
    check.near(plane.scatter[name][1], relation.scatter(x, y).scatter, 1e-5, name)
  end
  local shown, inside = gal.table(path(RESULTS .. "shown.csv")), {}
  local within = selection.within(mean.x, mean.y, plane.box.x, plane.box.y)
  check.equal(#within, plane.inside)
  for _, k in ipairs(within) do inside[values:ids("id")[k]] = true end
  for k, id in ipairs(shown:ids "id") do
    local here = shown:strings("plane")[k] == "lgm_tot_p50:oh_p50"
    check.that(not here or inside[id], id .. " is shown and not in the box")
  end
  scratch.read(path(RESULTS .. "scaling_relations.png"))
end)

check.case("distributions tells quantiles of a survey's columns, and what share of values are one", function()
  local rows, a_v = { "objID,lgm_tot_p50,a_v,modelMag_r" }, {}
  local mass, dust = normals(400, 20), normals(400, 21)
  for k = 1, 400 do
    a_v[k] = k % 10 == 0 and 0 or math.exp(dust[k])
    rows[k + 1] = ("%d,%.4f,%.4f,%.4f"):format(k, 10 + mass[k], a_v[k], 17 - mass[k])
  end
  scratch.write(path "few.csv", table.concat(rows, "\n") .. "\n")
  local told = succeeds("distributions", "--survey few.csv --theta lgm_tot_p50,a_v --no-dereddened --out few")
  check.that(told:find "a_v +mag .* 10.0 %% are 0\n", told)
  local found = gal.table(path "few/quantiles.csv")
  check.equal(found:strings "column", { "lgm_tot_p50", "a_v", "modelMag_r" })
  table.sort(a_v)
  check.near(found:doubles("p50")[2], (a_v[200] + a_v[201]) / 2, 1e-3)
  check.near(found:doubles("share")[2], 0.1, 1e-6)
  local script = scratch.read(path "few/distributions.gp")
  local turned = 0
  for from, to in script:gmatch "set xrange %[([-%d.]+):([-%d.]+)%]" do
    if tonumber(from) > tonumber(to) then turned = turned + 1 end
  end
  check.equal(turned, 1, "how many x axes are turned round: that of the magnitude alone")
end)

check.case("results of other options are not overwritten, and options are refused by name", function()
  local words = "image --against photometry --part all --n 20 --steps 4"
  local code, text = run("scaling_relations", words)
  check.that(code == 1 and text:find "began with other settings: %-%-planes was", text)
  for name, option in pairs{ scaling_relations = "boxs", dust_age = "galaxi", occlusion = "strid" } do
    code, text = run(name, ("image --%s 1"):format(option))
    check.that(code == 2 and text:find(option, 1, true) and not text:find "traceback", text)
  end
  code, text = run("occlusion", "photometry")
  check.that(code == 1 and text:find "photometry sees no images, expected a run of train_image", text)
end)

check.case("dust and age: the printed rule chooses the same galaxies again, and ids are obeyed", function()
  local words = "image --against photometry --part all --n 200 --steps 4 --format svg --out "
  local first = succeeds("dust_age", words .. "first")
  local old = first:match "old, dust%-poor: galaxy (%d+), of the %d+ of %d+ galaxies with\n  d4000_n >= "
  check.that(old and first:find("young, dust-rich: galaxy ", 1, true), first)
  local again = succeeds("dust_age", words .. "second")
  check.equal(again:gsub("second/", "first/"), (first:gsub("first/", "first/")))
  local values = gal.table(path "first/galaxies.csv")
  check.equal(values:ids("galaxy")[1], old)
  check.equal(values.rows, 4)
  local named = succeeds("dust_age", words .. "third --galaxy " .. old)
  check.that(not named:find "dust%-poor" and gal.table(path "third/galaxies.csv").rows == 2, named)
end)

check.case("pictures of what a model knows are drawn, with their data", function()
  succeeds("predictive", "image --part all --shown 1 --draws 3 --among 20 --steps 4 --out known")
  local found = gal.table(path "known/neighbours.csv")
  local survey = require("gal.data").open(path "survey")
  for _, id in ipairs(found:ids "neighbour") do check.equal(require("gal.data").part(id), "train") end
  check.equal(found.rows, 3)
  check.that(require("gal.data").part(found:ids("galaxy")[1]) ~= "train", "the galaxy was trained on")
  local own = survey:of(found:ids "neighbour").theta:select(2, 5):totable()
  check.near(found:doubles "a_v_neighbour", own, 1e-6)
  succeeds("occlusion", "image --part all --size 8 --steps 4 --out seen")
  scratch.read(path "seen/occlusion.png")
  local told = succeeds("learning_curve", "image --against photometry --out learned --format pdf")
  check.that(told:find "learning_curve%-against%-photometry.pdf", told)
end)

scratch.remove()
check.finish()
