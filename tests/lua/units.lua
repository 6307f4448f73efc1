-- The units of a flow's columns: bent ones are inverted, have their slope in densities, and are chosen by the
-- training rows; where none asks for it a flow is what it was.
local check = dofile "lua/lib/check.lua"
local scratch = dofile "lua/lib/scratch.lua"
local core = require "gal.tensor"
local fit = require("gal.train").fit
local flows = require "gal.flow"
local gal = require "gal"
local nn = require "gal.nn"
local units = require "gal.flow.units"

local bits, C = check.bits, require("ffi").C
local KNEE = 1.2 -- of the first property below, which is bent; the second is straight

-- A flow whose field is linear: dm/dt = .5 m + .7 x, ds/dt = -.8 s + .2 in the net's units.
local function linear(bend)
  local layer = nn.linear(4, 2)
  core.assign(layer.weight, gal.tensor{ { 0, 0.5, 0, 0.7 }, { 0, 0, -0.8, 0 } })
  core.assign(layer.bias, gal.tensor{ 0, 0.2 })
  local flow = flows.new{ theta = { "m", "s" }, context = { "x" }, head = nn.sequential{ layer } }
  flow.scale = {
    theta_mean = gal.tensor{ 10, -2 }, theta_std = gal.tensor{ 3, 0.5 }, context_mean = gal.tensor{ 0 },
    context_std = gal.tensor{ 1 },
    theta_bend = bend and gal.tensor{ KNEE, 0 },
  }
  return flow
end

local function asinh(v) return v < 0 and -asinh(-v) or math.log(v + math.sqrt(v * v + 1)) end

-- The net's first unit of m, and ln q by hand: the normal distribution of the linear field with the slope of
-- z(m), which is taken by finite differences.
local function bent(m) return KNEE * asinh((m - 10) / 3 / KNEE) end
local function by_hand(m, s, x)
  local sum, h = 0, 1e-4 * (1 + math.abs(m - 10))
  for j, a in ipairs{ 0.5, -0.8 } do
    local b = j == 1 and 0.7 * x or 0.2
    local mean, deviation = b * (math.exp(a) - 1) / a, math.exp(a)
    local z = j == 1 and bent(m) or (s + 2) / 0.5
    sum = sum - 0.5 * ((z - mean) / deviation) ^ 2 - math.log(deviation) - 0.5 * math.log(2 * math.pi)
  end
  return sum + math.log((bent(m + h) - bent(m - h)) / (2 * h)) - math.log(0.5)
end

check.case("the density of a bent property has the slope of its units, by finite differences", function()
  local flow, expected = linear(true), {}
  local theta = { { 10, -2 }, { 13, -1.5 }, { 4, -3 }, { 300, -2 }, { -2000, -1 } }
  for i, point in ipairs(theta) do expected[i] = by_hand(point[1], point[2], 0.4) end
  check.near(flow:log_prob(gal.tensor(theta), gal.tensor{ 0.4 }, { steps = 40 }), expected, 2e-5)
  check.near((flow:log_prob(gal.tensor(theta), gal.tensor{ 0.4 }, { steps = "auto" })), expected, 2e-4)
end)

check.case("draws of a bent property have the densities that log_prob gives, and its quantiles", function()
  local flow = linear(true)
  for _, steps in ipairs{ 30, "auto" } do
    local how = { n = 4000, steps = steps, rng = gal.rng(2) }
    local draws, log_q = flow:sample_and_log_prob(gal.tensor{ 0.4 }, how)
    check.near(log_q, (flow:log_prob(draws, gal.tensor{ 0.4 }, { steps = 60 })), 3e-4, tostring(steps))
    -- Quantiles of a normal distribution, unbent: z = mean + deviation times -1, 0 and 1.
    local mean, deviation = 0.28 * (math.exp(0.5) - 1) / 0.5, math.exp(0.5)
    for i, level in ipairs{ 0.158655, 0.5, 0.841345 } do
      local z = mean + (i - 2) * deviation
      local m = 10 + 3 * KNEE * (math.exp(z / KNEE) - math.exp(-z / KNEE)) / 2
      check.near(bent(draws[1]:select(2, 1):quantile(level):item()), bent(m), 0.1, "quantile " .. level)
    end
  end
end)

check.case("units are inverted exactly, from 1e-3 to 1e6 deviations", function()
  local scale, list = linear(true).scale, {}
  for power = -3, 6 do
    list[#list + 1] = { 10 + 3 * 10 ^ power, -2 - 10 ^ power }
    list[#list + 1] = { 10 - 3 * 10 ^ power, 5 }
  end
  local z = units.standard(scale, "theta", gal.tensor(list))
  for i, row in ipairs(units.physical(scale, z):totable()) do
    for j, v in ipairs(row) do
      local allowed = 1e-5 * math.abs(list[i][j] - (j == 1 and 10 or -2)) + 2e-6 * math.abs(list[i][j])
      check.that(math.abs(v - list[i][j]) <= allowed, ("%.9g became %.9g"):format(list[i][j], v))
    end
    check.near(z:get(i, 1), bent(list[i][1]), 1e-5)
  end
  -- Beyond 1e18 knees a square would overflow: the value stays at the logarithm of that.
  local far = units.standard(scale, "theta", gal.tensor{ { 1e30, 0 }, { -1e38, 0 } })
  check.near({ far:get(1, 1), far:get(2, 1) }, { KNEE * asinh(1e18), -KNEE * asinh(1e18) }, 1e-5)
end)

check.case("steps = auto keeps its tolerance in physical deviations where a property is bent", function()
  -- A posterior that is wide in the net's units: its far draws are where its deviation is.
  local flow, x = linear(true), gal.tensor{ 3 }
  local draws, report = flow:sample(x, { n = 2000, steps = "auto", rng = gal.rng(3) })
  local exact = flow:sample(x, { n = 2000, steps = 400, rng = gal.rng(3) })
  local error = ((draws - exact):pow(2):mean(2):sqrt() / exact:std(2)):max():item()
  check.that(error <= 1e-3 and #report.flagged == 0, "error " .. error)
  -- The same field without bends is as far off in the net's units, and less in physical ones.
  local _, straight = linear():sample(x, { n = 2000, steps = "auto", rng = gal.rng(3) })
  check.that(report.error:get(1) ~= straight.error:get(1), "the error is that of the net's units")
end)

-- ---- choosing ----

-- Rows of two inputs and one property, of which the columns that `far` names have one row in 50 far out.
local function rows(n, far)
  local x = gal.randn({ n, 2 }, { rng = gal.rng(4) })
  local theta = x:narrow(2, 1, 1) + gal.randn({ n, 1 }, { rng = gal.rng(5) }) * 0.3
  for k = 7, n, 50 do
    if far.theta then theta:set(400, k, 1) end
    if far.x then x:set(-1e3, k, 2) end
  end
  return { theta = theta, context = x, n = n }
end

local function fresh(context)
  return flows.new{ theta = { "p" }, context = context or { "g", "e_g" }, hidden = { 16 }, rng = gal.rng(1) }
end

local function bent_by(scale, data, context)
  local flow = fresh(context)
  flow:standardise(data.theta, data.context, nil, scale)
  return units.bent(flow)
end

check.case("auto bends the columns that reach far, robust all, standard none", function()
  local plain, wild = rows(500, {}), rows(500, { theta = true, x = true })
  check.equal({ bent_by("auto", plain), bent_by("robust", plain) }, { {}, { "p", "g", "e_g" } })
  check.equal({ bent_by("standard", wild), bent_by(nil, wild) }, { {}, {} })
  check.equal({ bent_by("auto", wild), bent_by("auto,e_g=standard", wild) }, { { "p", "e_g" }, { "p" } })
  check.equal(bent_by("standard, P=auto", wild), { "p" })
  -- Marks of missing values and columns that are mostly one value stay.
  check.equal(bent_by("robust", wild, { "g", "g_missing" }), { "p", "g" })
  plain.context:select(2, 2):fill_(1):set(5, 3)
  check.equal(bent_by("robust", plain), { "p", "g" })
  while C.gal_notice() ~= nil do end
  check.equal(bent_by("robust,e_g=robust", plain), { "p", "g" })
  local told = require("ffi").string(C.gal_notice())
  check.equal(told, "scale: e_g stays in standard units: most of its values are the same")
  check.raises(function() bent_by("auto,e_r=robust", wild) end, "scale names 'e_r' %(did you mean \"e_g")
  check.raises(function() bent_by("wide", wild) end, 'scale has "wide", expected "standard", "robust" or "a')
  check.raises(function() bent_by("robust,auto", wild) end, "scale says robust and auto of all columns")
  check.raises(function() bent_by("P=robust, p=standard", wild) end, "says robust and standard of 'p'")
  check.equal(bent_by("auto,P=robust,auto, p=robust", plain), { "p" })
end)

check.case("a column beside a heap of equal values reaches the net within a few deviations", function()
  -- 839 of 1,000 values are 0, the others lognormal: the 84th percentile is the smallest of these.
  local data = rows(3000, {})
  for k = 1, 3000 do data.theta:set(k % 1000 < 839 and 0 or math.exp(data.theta:get(k, 1)), k, 1) end
  for _, sign in ipairs{ 1, -1 } do
    local flow = fresh()
    flow:standardise(data.theta * sign, data.context, nil, "robust")
    local z = units.standard(flow.scale, "theta", data.theta * sign)
    check.equal(units.bent(flow), { "p", "g", "e_g" })
    local reached = z:abs():reshape{ -1 }:totable()
    table.sort(reached)
    check.that(reached[3000] < 20, "it reaches " .. reached[3000])
    check.near(reached[2701], 3 * asinh(10 / 3), 1e-5) -- a tenth lies further than 10 deviations
    check.near(units.physical(flow.scale, z), data.theta * sign, 1e-5)
  end
end)

check.case("a few far values leave the others of their column as far apart as they were", function()
  local plain, wild = rows(500, {}), rows(500, { theta = true, x = true })
  local function spread(data, scale)
    local flow = fresh()
    flow:standardise(data.theta, data.context, nil, scale)
    return flow:standard(plain.context):std(1):totable()
  end
  local before, ruined, robust = spread(plain), spread(wild), spread(wild, "auto")
  check.that(ruined[2] < 0.02 * before[2], "the standard scale was not ruined")
  check.that(robust[2] > 0.6 and robust[2] < 1.1, "spread " .. robust[2])
  check.equal(robust[1], before[1])
end)

-- ---- runs and files ----

local function trained(name, data, options)
  local o = { flow = fresh(), theta = data.theta, context = data.context, epochs = 2, valid = 0.2,
    floor = "off", progress = false, out = scratch.path(name) }
  for key, value in pairs(options or {}) do o[key] = value end
  return fit(o)
end

local function bytes(name) return io.open(scratch.path(name) .. "/flow.safetensors", "rb"):read "*a" end

check.case("where no column reaches far a run is that of standard scales, byte for byte", function()
  local data = rows(400, {})
  trained("auto", data)
  trained("standard", data, { scale = "standard" })
  check.that(bytes "auto" == bytes "standard", "the files differ")
  check.equal(select(2, gal.load(scratch.path "auto/flow.safetensors")).format, "galrun flow 1")
end)

check.case("a flow with bent columns that was saved and loaded has the same bits, and is checked", function()
  local data = rows(400, { theta = true, x = true })
  local run = trained("bent", data)
  check.that(tostring(run.flow):find "robust scale of p, e_g", tostring(run.flow))
  check.that(tostring(run):find "On a robust scale: p, e_g%.\n", tostring(run))
  local path = scratch.path "bent/flow.safetensors"
  check.equal(select(2, gal.load(path)).format, "galrun flow 2")
  local again = flows.load(path, { device = gal.device() })
  check.equal(bits(again:log_prob(data.theta, data.context, { steps = 5 })),
    bits(run.flow:log_prob(data.theta, data.context, { steps = 5 })))
  check.equal(bits(again:sample(data.context, { n = 3, steps = 5, rng = gal.rng(1) })),
    bits(run.flow:sample(data.context, { n = 3, steps = 5, rng = gal.rng(1) })))
  check.that(again:outside(data.context)[7] < 20, "the far value is not in the units of its column")
  local function says(change, sentence)
    local tensors, metadata = gal.load(path)
    change(tensors)
    gal.save(scratch.path "bad.safetensors", tensors, metadata)
    check.raises(function() flows.load(scratch.path "bad.safetensors") end, sentence)
  end
  says(function(t) t["scale.theta_bend"] = gal.ones{ 3 } end, "its 'scale.theta_bend' is float32 {3}, exp")
  says(function(t) t["scale.theta_bend"]:fill_(-1) end, "its 'scale.theta_bend' holds %-1, expected knees")
end)

check.case("scales are the training rows', and those of the paper where it is asked for", function()
  local data, wild = rows(400, {}), rows(400, { theta = true, x = true })
  local run = trained("validation", data, { valid = wild })
  check.equal(units.bent(run.flow), {})
  trained("older", wild, { preset = "paper", epochs = 1 })
  check.equal(units.bent(trained("older", wild, { resume = true }).flow), {})
  check.raises(function() trained("older", wild, { resume = true, scale = "auto" }) end, "scale")
end)

check.case("a run goes on in the units that it began with, where this version would choose others", function()
  local wild = rows(400, { theta = true, x = true })
  local o = { preset = "paper", scale = "auto", epochs = 3 }
  trained("whole", wild, o)
  o.epochs = 1
  trained("begun", wild, o)
  o.epochs, o.resume = 3, true
  local bend = units.bend
  units.bend = function(scale, what, names, x)
    scale[what .. "_std"] = scale[what .. "_std"] * 2
    if what == "context" then bend(scale, what, names, x, function() return "robust" end) end
  end
  local ok, err = pcall(trained, "begun", wild, o)
  units.bend = bend
  check.that(ok, err)
  for _, name in ipairs{ "/flow.safetensors", "/history.csv" } do
    local begun, whole = scratch.path("begun" .. name), scratch.path("whole" .. name)
    check.that(scratch.read(begun) == scratch.read(whole), name)
  end
end)

scratch.remove()
check.finish()
