-- A flow's floor: its density and draws against closed forms, the share that validation rows choose, its
-- file.
local check = dofile "lua/lib/check.lua"
local scratch = dofile "lua/lib/scratch.lua"
local broad = require "gal.stats.broad"
local core = require "gal.tensor"
local fit = require("gal.train").fit
local floors = require "gal.flow.floor"
local flows = require "gal.flow"
local gal = require "gal"
local json = require "gal.base.json"
local nn = require "gal.nn"

local HOST = { device = "cpu" }
local bits = check.bits

-- A broad density of one Gaussian of weight .4 and a t of weight .6, in d = 1 or 2 dimensions.
local function density(d)
  local mean = d == 1 and { { 0.5 }, { -1 } } or { { 0.5, 0 }, { -1, 2 } }
  local lower = d == 1 and { { { 0.7 } }, { { 1.5 } } }
    or { { { 0.7, 0 }, { 0.3, 0.5 } }, { { 1.5, 0 }, { -0.4, 0.8 } } }
  return assert(broad.of({ weights = gal.tensor({ 0.4, 0.6 }, HOST), means = gal.tensor(mean, HOST),
    lowers = gal.tensor(lower, HOST) }, d))
end

-- The same by hand, in double precision. Student's t with 3 degrees of freedom: in one dimension 2 / (pi
-- sqrt 3 (1 + s / 3)^2) and in two (1 + s / 3)^(-5/2) / (2 pi), over the determinant of the factor.
local function by_hand(z)
  local d = #z
  local function squares(mean, lower)
    local a = (z[1] - mean[1]) / lower[1][1]
    local b = d == 2 and (z[2] - mean[2] - lower[2][1] * a) / lower[2][2] or 0
    return a * a + b * b
  end
  if d == 1 then
    local g, t = squares({ 0.5 }, { { 0.7 } }), squares({ -1 }, { { 1.5 } })
    return 0.4 * math.exp(-g / 2) / math.sqrt(2 * math.pi) / 0.7
      + 0.6 * 2 / (math.pi * math.sqrt(3)) * (1 + t / 3) ^ -2 / 1.5
  end
  local g = squares({ 0.5, 0 }, { { 0.7 }, { 0.3, 0.5 } })
  local t = squares({ -1, 2 }, { { 1.5 }, { -0.4, 0.8 } })
  return 0.4 * math.exp(-g / 2) / (2 * math.pi) / 0.35 + 0.6 * (1 + t / 3) ^ -2.5 / (2 * math.pi) / 1.2
end

-- Points {m ^ d, d} whose images under tan are in the middle of m equal parts of (-pi/2, pi/2), and the area
-- of each: the whole of space.
local function everywhere(d, m)
  local points, area = {}, {}
  for k = 0, m ^ d - 1 do
    local point, all = {}, 1
    for j = 1, d do
      local angle = math.pi * ((math.floor(k / m ^ (j - 1)) % m + 0.5) / m - 0.5)
      point[j] = 2 * math.tan(angle)
      all = all * 2 / math.cos(angle) ^ 2 * math.pi / m
    end
    points[k + 1], area[k + 1] = point, all
  end
  return points, area
end

check.case("the floor's density is the mixture by hand, and integrates to one", function()
  for d = 1, 2 do
    local points, area = everywhere(d, d == 1 and 2000 or 120)
    local found, total = density(d):log_density(gal.tensor(points)):totable(), 0
    for k = 1, #points do total = total + math.exp(found[k]) * area[k] end
    check.near(total, 1, 1e-3, d .. " dimensions")
    for k = 1, #points, 97 do check.near(found[k], math.log(by_hand(points[k])), 1e-4, "point " .. k) end
  end
end)

check.case("draws from the floor fall into boxes as often as its density says", function()
  local n = 200000
  for d = 1, 2 do
    local r = gal.rng(5)
    local drawn = density(d):draws(gal.randn({ n, broad.columns(d) }, { rng = r }))
    local boxes = d == 1 and { { -30, -8 }, { -2, -1 }, { 0.2, 0.8 }, { 3, 6 } }
      or { { -8, -3, 2, 9 }, { 0, 1, -1, 0.5 }, { -1.5, 0.5, 1.5, 3 }, { 3, 20, -20, 20 } }
    for i, box in ipairs(boxes) do
      local inside, expected, m = nil, 0, d == 1 and 4000 or 200
      for j = 1, d do
        local x, low, high = drawn:select(2, j), box[2 * j - 1], box[2 * j]
        local within = x:gt(low) * x:le(high)
        inside = inside and inside * within or within
      end
      for k = 0, m ^ d - 1 do
        local z, cell = {}, 1
        for j = 1, d do
          local low, high = box[2 * j - 1], box[2 * j]
          z[j] = low + (high - low) * (math.floor(k / m ^ (j - 1)) % m + 0.5) / m
          cell = cell * (high - low) / m
        end
        expected = expected + by_hand(z) * cell
      end
      local chance = 4 * math.sqrt(expected * (1 - expected) / n)
      check.near(inside:mean():item(), expected, chance / expected, ("box %d in %d dimensions"):format(i, d))
    end
  end
end)

check.case("a fitted density is a tenth of a widened t far out, of dependent columns, too", function()
  local rows, sum, squares = {}, 0, 0
  for k = 1, 600 do
    local v = gal.randn({ 1 }, { rng = gal.rng(k) }):item()
    rows[k], sum, squares = { v, v }, sum + v, squares + v * v
  end
  local z = 40
  local one = broad.fit(gal.tensor(rows, HOST):narrow(2, 1, 1))
  local variance = squares / 600 - (sum / 600) ^ 2
  local scale = math.sqrt(variance + 0.01)
  local t = 2 / (math.pi * math.sqrt(3)) * (1 + ((z - sum / 600) / scale) ^ 2 / 3) ^ -2 / scale
  check.near(one:log_density(gal.tensor{ { z } }):item(), math.log(0.1 * t), 4e-3)
  -- Two columns that are one have a covariance without an inverse; the t's has one once it is widened.
  local both = broad.fit(gal.tensor(rows, HOST)):log_density(gal.tensor{ { 0, 0 }, { 1, -1 } })
  check.that(both:get(1) > both:get(2) + 3 and both:get(2) > -30, check.text(both))
end)

-- A flow whose field is linear, so that its posterior is known: dm/dt = .5 m + .7 x, ds/dt = -.8 s + .2.
local function linear(share)
  local layer = nn.linear(4, 2)
  core.assign(layer.weight, gal.tensor{ { 0, 0.5, 0, 0.7 }, { 0, 0, -0.8, 0 } })
  core.assign(layer.bias, gal.tensor{ 0, 0.2 })
  local flow = flows.new{ theta = 2, context = { "x" }, head = nn.sequential{ layer }, rng = gal.rng(1) }
  flow.scale = {
    theta_mean = gal.tensor{ 10, -2 }, theta_std = gal.tensor{ 3, 0.5 }, context_mean = gal.tensor{ 0 },
    context_std = gal.tensor{ 1 },
  }
  if share then flow.floor = setmetatable({ broad = density(2), share = share }, floors) end
  return flow
end

check.case("the density with a floor is (1 - share) q + share p", function()
  local theta, x = gal.tensor{ { 10, -2 }, { 13, -1.5 }, { 40, 30 }, { -500, 0 } }, gal.tensor{ 0.3 }
  local below, with = linear(), linear(0.25)
  for _, steps in ipairs{ 40, "auto" } do
    local q = below:log_prob(theta, x, { steps = steps }):totable()
    local expected = {}
    for k, point in ipairs(theta:totable()) do
      local p = by_hand{ (point[1] - 10) / 3, (point[2] + 2) / 0.5 } / 1.5
      expected[k] = math.log(0.75 * math.exp(q[k]) + 0.25 * p)
    end
    check.near((with:log_prob(theta, x, { steps = steps })), expected, 1e-5, tostring(steps))
  end
end)

check.case("a floor makes no density of one that is no number, or of a net that is lost", function()
  local flow = linear(0.25)
  local log_q, z = gal.tensor{ -3, 0 / 0, -math.huge, -1e30 }, gal.zeros{ 4, 2 }
  local found, errors = flow.floor:under(log_q, z):totable(), { 1, 2, 3, 4 }
  flow.floor:under(log_q, z, errors)
  check.near(found[1], math.log(0.75 * math.exp(-3) + 0.25 * by_hand{ 0, 0 }), 1e-5)
  check.that(found[2] ~= found[2] and found[3] == -math.huge and found[4] < -9e29, "a density was made")
  check.that(errors[1] < 1 and errors[2] == 2 and errors[3] == 3 and errors[4] == 4, "errors were lost")
end)

check.case("a share of the draws comes from the floor, the others stay, densities go with them", function()
  local x, share = gal.randn({ 3, 1 }, { rng = gal.rng(2) }), 0.25
  local below, with = linear(), linear(share)
  for _, steps in ipairs{ 20, "auto" } do
    local function how(n) return { n = n, steps = steps, rng = gal.rng(6) } end
    local plain, mixed = below:sample(x, how(8000)), with:sample(x, how(8000))
    local moved = (plain - mixed):abs():max(-1):gt(0)
    check.near(moved:mean():item(), share, 4 * math.sqrt((1 / share - 1) / 24000), "share")
    local draws, log_q = with:sample_and_log_prob(x, how(400))
    check.equal(bits(draws), bits((with:sample(x, how(400)))), "draws with densities")
    check.near(log_q, (with:log_prob(draws, x, { steps = steps })), 3e-4, "densities of draws")
    -- Of the points that p puts far away: 1 in 4 of the galaxy's, and p's own share of them.
    local far = (mixed:select(3, 1) - 10):abs():gt(30):mean():item()
    local own = density(2):draws(gal.randn({ 100000, broad.columns(2) }, { rng = gal.rng(9) }))
    local expected = share * own:select(2, 1):abs():gt(10):mean():item()
    check.near(far, expected, 0.3, "far draws")
  end
end)

check.case("a flow of one property has its share of draws from the floor, each by itself", function()
  local layer = nn.linear(2, 1)
  core.assign(layer.weight, gal.zeros{ 1, 2 })
  core.assign(layer.bias, gal.zeros{ 1 })
  local flow = flows.new{ theta = 1, context = 0, head = nn.sequential{ layer }, rng = gal.rng(1) }
  flow.scale = { theta_mean = gal.tensor{ 0 }, theta_std = gal.tensor{ 1 } }
  local function draws() return flow:sample(nil, { n = 20000, steps = 2, rng = gal.rng(6) }) end
  local plain = draws()
  flow.floor = setmetatable({ broad = density(1), share = 0.25 }, floors)
  local moved = (plain - draws()):abs():gt(0):reshape{ -1, 2 }
  check.near(moved:mean():item(), 0.25, 4 * math.sqrt(0.25 * 0.75 / 20000))
  local both = (moved:select(2, 1) * moved:select(2, 2)):mean():item()
  check.near(both, 0.25 ^ 2, 4 * math.sqrt(0.25 ^ 2 / 10000), "of neighbours both")
end)

check.case("a floor's draws tell nothing of the noise of an ensemble's other member", function()
  local n, ensemble = 4000, flows.ensemble{ members = { linear(0.9), linear() } }
  local drawn = ensemble:sample(gal.tensor{ 0.4 }, { n = 2 * n, steps = 10, rng = gal.rng(3) })[1]
  -- Draw k of either member. How far a flow's draw is from the middle, by its noise, and the other's s.
  local pairs_ = drawn:reshape{ n, 2, 2 }
  local function above(x) return x:gt(x:quantile(0.5):item()) end
  for member = 1, 2 do
    local own, other = pairs_:select(2, member), pairs_:select(2, 3 - member)
    local m, s = own:select(2, 1), own:select(2, 2)
    m = (m - m:quantile(0.5)) / (3 * math.exp(0.5))
    s = (s - s:quantile(0.5)) / (0.5 * math.exp(-0.8))
    local agree = above(m * m + s * s):eq(above(other:select(2, 2))):mean():item()
    -- Half of the pairs, and 4 deviations of chance.
    check.near(agree, 0.5, 4 * 2 * math.sqrt(0.25 / n), "pairs on the same side")
  end
end)

check.case("draws with a floor are the same alone, in any batch and among more, and new in the next call",
  function()
    local x, with = gal.randn({ 5, 1 }, { rng = gal.rng(2) }), linear(0.25)
    local all = with:sample(x, { n = 200, steps = 5, rng = gal.rng(6) })
    check.equal(bits(with:sample(x[4], { n = 200, steps = 5, rng = gal.rng(6) })), bits(all[4]:clone()))
    local r = gal.rng(6)
    local more = with:sample(x, { n = 333, steps = 5, rng = r })
    check.equal(bits(more:narrow(2, 1, 200):clone()), bits(all))
    local next_call = with:sample(x, { n = 333, steps = 5, rng = r })
    -- Far draws are the floor's.
    local seen, twice, far = {}, 0, 0
    for _, v in ipairs(more:select(3, 2):reshape({ -1 }):totable()) do seen[v] = true end
    for _, v in ipairs(next_call:select(3, 2):reshape({ -1 }):totable()) do
      if seen[v] then twice = twice + 1 end
      if math.abs(v + 2) > 1.8 then far = far + 1 end
    end
    check.that(far > 5 and twice <= 2, ("%d far draws, %d came twice"):format(far, twice))
  end)

check.case("half a floor under a bent property integrates to one, and draws fall as it says", function()
  local layer, m, width, n = nn.linear(2, 1), 8000, 60, 20000
  core.assign(layer.weight, gal.tensor{ { 0, 0.4 } })
  core.assign(layer.bias, gal.tensor{ 0.3 })
  local flow = flows.new{ theta = 1, context = 0, head = nn.sequential{ layer }, rng = gal.rng(1) }
  flow.scale = {
    theta_mean = gal.tensor{ 10 }, theta_std = gal.tensor{ 3 }, theta_bend = gal.tensor{ 2 } }
  flow.floor = setmetatable({ broad = density(1), share = 0.5 }, floors)
  -- A grid that is even in the net's units: theta = 10 + 3 * 2 sinh(z / 2).
  local function at(k) return -width + 2 * width * k / m end
  local function physical(z) return 10 + 3 * (math.exp(z / 2) - math.exp(-z / 2)) end
  local points, mass, sum = {}, {}, 0
  for k = 1, m do points[k] = { physical(at(k - 0.5)) } end
  for k, v in ipairs(flow:log_prob(gal.tensor(points), nil, { steps = 20 }):totable()) do
    local z = at(k - 0.5)
    mass[k] = math.exp(v) * 1.5 * (math.exp(z / 2) + math.exp(-z / 2)) * 2 * width / m
    sum = sum + mass[k]
  end
  check.near(sum, 1, 1e-4)
  local draws = flow:sample(nil, { n = n, steps = 20, rng = gal.rng(2) }):reshape{ -1 }:totable()
  table.sort(draws)
  -- Twenty cells of about equal mass, the last without an end.
  local cells, inside, first, i, squares = 0, 0, 1, 1, 0
  for k = 1, m do
    inside = inside + mass[k]
    if inside >= sum / 20 and cells < 19 or k == m then
      while draws[i] and (k == m or draws[i] <= physical(at(k))) do i = i + 1 end
      squares = squares + (i - first - n * inside) ^ 2 / (n * inside)
      cells, inside, first = cells + 1, 0, i
    end
  end
  check.equal(cells, 20)
  -- Chi squared of 19 degrees of freedom is above 50.8 once in 10,000.
  check.that(squares < 50.8, "chi squared " .. squares)
end)

-- ---- the share ----

check.case("the share is the most likely one, with a quarter of an outlier more", function()
  -- Of 400 rows 12 have no density but p, the others none by p; with a quarter of an outlier more it is 12.25
  -- of 400.25.
  local log_q, log_p = {}, {}
  for k = 1, 400 do log_q[k], log_p[k] = k <= 12 and -1e4 or 1, k <= 12 and -5 or -1e4 end
  check.near(floors.share(log_q, log_p), 12.25 / 400.25, 1e-9)
  -- A gain of more than 700 nats counts as that.
  local expected = (12 * (math.log(0.03) + 700) + 388 * math.log(0.97)) / 400
  check.near(floors.gain(log_q, log_p, 0.03), expected, 1e-9)
  -- Of rows that are twice as likely by the flow: where .25 / s = 400 (1/2) / (1 - s / 2).
  for k = 1, 400 do log_p[k] = log_q[k] - math.log(2) end
  check.near(floors.share(log_q, log_p), 0.5 / 400.25, 1e-9)
  for k = 1, 400 do log_p[k] = log_q[k] + 1 end
  check.equal(floors.share(log_q, log_p), floors.MOST)
end)

-- Rows of the linear flow's own posteriors, whose means are far apart.
local function rows(n, seed)
  local x = gal.randn({ n, 1 }, { rng = gal.rng(seed) }) * 40
  local theta = linear():sample(x, { n = 1, steps = 20, rng = gal.rng(seed + 1) }):reshape{ n, 2 }
  return { theta = theta, context = x, n = n }
end

check.case("wrong labels among the validation rows lay a floor, and those among the training rows do not",
  function()
    local flow, wild = linear(), rows(1000, 11)
    for k = 1, 1000, 50 do wild.theta:set(500, k, 1) end
    local clean = rows(1000, 21)
    local laid, found = floors.fit(flow, clean, wild, "auto")
    check.that(laid and laid.share > 0.01 and laid.share < 0.03, "share " .. (laid and laid.share or 0))
    check.that(found.gain > 1, "gain " .. found.gain)
    local none, told = floors.fit(flow, wild, clean, "auto")
    check.equal({ none, told.share, told.rows }, { nil, 0, 1000 })
    check.that(floors.words(told):find "^no floor: it would not pay", floors.words(told))
    check.equal((floors.fit(flow, clean, nil, "auto")), nil)
    check.near(floors.fit(flow, clean, clean, 0.125).share, 0.125, 0)
    check.equal(select(2, floors.fit(flow, rows(11, 5), clean, "auto")),
      "11 training rows are too few for a floor")
    check.equal(select(2, floors.fit(flow, clean, rows(19, 5), "auto")),
      "19 validation rows are too few to choose a floor by")
  end)

check.case("the floor's part of a density is share p / q', of an ensemble its members' mean", function()
  local theta, x = gal.tensor{ { 10, -2 }, { 40, 30 } }, gal.tensor{ 0.3 }
  local members, expected = { linear(0.25), linear(0.1) }, {}
  local both = flows.ensemble{ members = members }
  for _, flow in ipairs{ members[1], both } do
    local log_q = flow:log_prob(theta, x, { steps = 20 })
    local found, share = flow:floored(theta, log_q)
    local mean = flow == both and 0.175 or 0.25
    for k, point in ipairs(theta:totable()) do
      local p = by_hand{ (point[1] - 10) / 3, (point[2] + 2) / 0.5 } / 1.5
      expected[k] = mean * p / math.exp(log_q:get(k))
    end
    check.near(found, expected, 1e-4)
    check.near(share, mean, 1e-6)
  end
  check.equal(linear():floored(theta, linear():log_prob(theta, x, { steps = 5 })), nil)
end)

check.case("of right labels alone fewer than 1,000 rows lay a floor, of a quarter of one", function()
  local flow, train = linear(), rows(400, 51)
  for _, n in ipairs{ 20, 250, 999, 1000 } do
    local laid, found = floors.fit(flow, train, rows(n, 60 + n), "auto")
    -- Where p is far below q at every row the likeliest share is .25 / (n + .25); a few rows' is more.
    local expected = 0.25 / (n + 0.25)
    if n < 1000 then
      check.that(laid.share >= 0.99 * expected and laid.share < 1.5 * expected, n .. ": " .. laid.share)
      check.that(found.gain < 0 and found.gain > -1.01 * expected, n .. ": gain " .. found.gain)
      check.that(floors.words(found):find(("for outliers that %d validation rows need not show"):format(n)))
    else
      check.equal({ laid, found.share }, { nil, 0 })
    end
  end
  check.equal(floors.words(select(2, floors.fit(flow, train, rows(19, 3), "auto"))),
    "19 validation rows are too few to choose a floor by")
end)

check.case("of labels half of which are wrong a fifth is laid, and said to be the most", function()
  local wild = rows(60, 41)
  for k = 1, 60, 2 do wild.theta:set(500, k, 1) end
  local laid, found = floors.fit(linear(), rows(400, 51), wild, "auto")
  check.near(laid.share, floors.MOST, 1e-6)
  check.that(floors.words(found):find "^floor: 20 %% .* the most that is laid", floors.words(found))
  -- A share that was asked for is not.
  check.that(not floors.words(select(2, floors.fit(linear(), wild, wild, 0.2))):find "most")
  check.equal({ floors.percent(0.0034), floors.percent(0.999), floors.percent(0.5) }, { "0.34", "100", "50" })
end)

-- ---- files and runs ----

check.case("a flow with a floor that was saved and loaded has the same bits, and is checked", function()
  local data, path = rows(600, 31), scratch.path "floor.safetensors"
  local flow = flows.new{ theta = 2, context = 1, hidden = { 8 }, rng = gal.rng(1) }
  local options = { flow = flow, theta = data.theta, context = data.context, valid = 0.2, epochs = 1,
    floor = 0.1, progress = false, out = scratch.path "run" }
  local run = fit(options)
  check.near(run.floor.share, 0.1, 1e-6)
  check.equal(require("gal.run").open(scratch.path "run").floor, run.floor)
  local said = tostring(flow):gsub("\n", " ")
  check.that(said:find "10 %% of it a floor", said)
  local printed = tostring(run)
  check.that(printed:find "\n10 %% of every posterior is its floor, a broad p%(theta%)%.\n", printed)
  local share = flow.floor.share
  flow.floor.share = 0.999
  check.that(tostring(run):find "\n100 %% of every", tostring(run))
  flow.floor.share = share
  flow:save(path)
  local here = { device = gal.device() }
  local again = flows.load(path, here)
  for _, f in ipairs{ again, flows.load(scratch.path "run", here) } do
    check.equal(bits(f:log_prob(data.theta, data.context, { steps = 5 })),
      bits(flow:log_prob(data.theta, data.context, { steps = 5 })))
    check.equal(bits(f:sample(data.context, { n = 9, steps = 5, rng = gal.rng(1) })),
      bits(flow:sample(data.context, { n = 9, steps = 5, rng = gal.rng(1) })))
  end
  options.flow = flows.new{ theta = 2, context = 1, hidden = { 8 }, rng = gal.rng(1) }
  options.resume = true
  check.equal(fit(options).floor.share, run.floor.share)
  check.equal(bits(options.flow:log_prob(data.theta, data.context, { steps = 5 })),
    bits(flow:log_prob(data.theta, data.context, { steps = 5 })))
  local function says(change, sentence)
    local tensors, metadata = gal.load(path)
    local said = json.decode(metadata.flow)
    change(tensors, said.floor)
    metadata.flow = json.encode(said)
    gal.save(scratch.path "bad.safetensors", tensors, metadata)
    check.raises(function() flows.load(scratch.path "bad.safetensors") end, sentence)
  end
  says(function(_, found) found.gain = "much" end, "its floor's 'gain' is the string \"much\", exp")
  says(function(_, found) found.share = nil end, "its floor's 'share' is nil, expected a number")
  says(function(_, found) found.error = nil end, "its floor's 'error' is nil, expected a number")
  says(function(t) t["floor.share"] = nil end, "has no tensor 'floor.share' of shape {1}")
  says(function(t) t["floor.share"]:fill_(1.5) end, "its 'floor.share' is 1.5, expected a share between")
  says(function(t) t["floor.weights"]:fill_(1) end, "its floor has weights that sum to ")
  says(function(t) t["floor.lowers"]:fill_(1) end, "its floor has 'lowers' that are no Cholesky factors")
  says(function(t) t["floor.means"] = gal.ones{ 1 } end, "its floor has no tensor 'means' of shape {")
  says(function(t) t["floor.more"] = gal.ones{ 1 } end,
    "has a tensor 'floor.more', which such a flow does not have")
end)

-- A net whose posterior N(.99 x, .135^2) is that of the rows: dtheta/dt = -2 theta + b x.
local function settled()
  local layer = nn.linear(3, 1)
  core.assign(layer.weight, gal.tensor{ { 0, -2, 0.99 * 2 / (1 - math.exp(-2)) } })
  core.assign(layer.bias, gal.tensor{ 0 })
  return nn.sequential{ layer }
end

local function settled_rows(n, seed)
  local x = gal.randn({ n, 1 }, { rng = gal.rng(seed) })
  return { context = x, theta = x * 0.99 + gal.randn({ n, 1 }, { rng = gal.rng(seed + 1) }) * math.exp(-2),
    n = n }
end

check.case("where a floor does not pay the run is what it is without one, byte for byte", function()
  local function fresh() return flows.new{ theta = 1, context = 1, head = settled() } end
  local files, train, valid = {}, settled_rows(2000, 1), settled_rows(1200, 3)
  for i, floor in ipairs{ "auto", "off" } do
    local out = scratch.path("bytes-" .. floor)
    local run = fit{ flow = fresh(), data = train, valid = valid, lr = 0, epochs = 1, floor = floor,
      progress = false, out = out }
    check.equal({ run.flow.floor, run.floor and run.floor.share }, { nil, i == 1 and 0 or nil })
    files[i] = io.open(out .. "/flow.safetensors", "rb"):read "*a"
  end
  check.that(files[1] == files[2], "the files differ")
  check.equal(select(2, gal.load(scratch.path "bytes-auto/flow.safetensors")).format, "galrun flow 1")
  -- In single precision, which a file has, the last two are 1 and 0.
  for _, bad in ipairs{ "some", 1, -0.1, 0 / 0, math.huge, 1 - 1e-9, 1e-50 } do
    check.raises(function() fit{ flow = fresh(), data = train, floor = bad } end,
      'expected a share from 0 to below 1, "auto" or "off"')
  end
end)

scratch.remove()
check.finish()
