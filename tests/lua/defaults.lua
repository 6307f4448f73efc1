-- What fit takes where no option says it: by the number of rows, or the paper's; and runs from before there
-- were presets.
local check = dofile "lua/lib/check.lua"
local scratch = dofile "lua/lib/scratch.lua"
local flows = require "gal.flow"
local gal = require "gal"
local json = require "gal.base.json"
local path_cost = require "gal.flow.path_cost"
local rule = require "gal.train.rule"
local settings = require "gal.train.settings"
local fit = require("gal.train").fit

-- What the paper leaves open, as this program took it when it followed it: explicitly.
local PAPER = { lr = 5e-4, schedule = "constant", epochs = 200, patience = 20, draws = 1, weight_decay = 0.01,
  decay = 0.999, time_power = 1, floor = "off", scale = "standard" }

local function options(given)
  local theta = gal.randn({ 300, 2 }, { rng = gal.rng(4) })
  local o = { flow = flows.new { theta = 2, context = 2, hidden = { 8 }, rng = gal.rng(1) }, theta = theta,
    context = theta + gal.randn({ 300, 2 }, { rng = gal.rng(5) }), seed = 3, progress = false }
  for key, value in pairs(given or {}) do o[key] = value end
  return o
end

check.case("the paper's preset is what was the default before it, and options stand above it", function()
  for _, rows in ipairs { 100, 1000, 100000 } do
    check.equal(rule.of("paper", rows, 64, false), PAPER)
  end
  local explicit = { average = true, epochs = 3 }
  for key, value in pairs(PAPER) do explicit[key] = explicit[key] or value end
  local by_name, by_hand = fit(options { preset = "paper", epochs = 3 }), fit(options(explicit))
  check.equal(by_name.history, by_hand.history)
  local s = settings.of(options { lr = 1, decay = 0.5 }, 1000, "paper")
  check.equal({ s.lr, s.average, s.epochs, s.time_power }, { 1, 0.5, 200, 1 })
  check.equal(settings.of(options { draws = 1 }, 1000, "auto").time_power, 1)
  check.raises(function() fit(options { draws = 1, time_power = 2 }) end,
    "fit: time_power is 2, but draws is 1; late times are those of every second draw of a row", true)
  check.raises(function() fit(options { preset = "papers" }) end,
    'fit: preset is the string "papers", expected "auto" or "paper"', true)
  check.raises(function() fit(options { scale = false }) end, "fit: scale is the boolean false, exp", true)
end)

check.case("a training without validation rows is not said to have a validation loss", function()
  local told = require("gal.train").describe(fit(options { valid = false, epochs = 1 }))
  check.that(told:find "^no validation; training loss %d%.%d+ in epoch 1; stopped by epochs\n", told)
  check.that(not told:find "validation loss" and told:find "without validation rows there is no floor", told)
end)

check.case("a narrow flow of vectors takes a higher rate and uniform times", function()
  local function taken(hidden, given)
    local s = settings.of(options { flow = flows.new { theta = 2, context = 2, hidden = hidden,
      rng = gal.rng(1) } }, 1000, given or "auto")
    return { s.lr, s.time_power }
  end
  check.equal(taken { 64, 8 }, { 6e-3, 1 })
  check.equal(taken { 8, 65 }, { 3e-3, 3 })
  check.equal(taken {}, { 3e-3, 3 })
  check.equal(taken({ 8 }, "paper"), { 5e-4, 1 })
  check.equal(rule.of("auto", 1000, 64, true, 8), rule.of("auto", 1000, 64, true))
end)

check.case("more rows never get more epochs or more patience, and always as many steps or more", function()
  local before
  for _, rows in ipairs { 1, 63, 64, 200, 1000, 3000, 10000, 30000, 100000, 1e6 } do
    local now = rule.of("auto", rows, 64, false)
    local steps = now.epochs * math.max(1, math.floor(rows / 64))
    if before then
      check.that(now.epochs <= before.epochs and now.patience <= before.patience,
        ("%d rows have %d epochs and a patience of %d"):format(rows, now.epochs, now.patience))
      check.that(steps >= before.steps, ("%d rows have %d steps, fewer than fewer rows"):format(rows, steps))
    end
    now.steps, before = steps, now
  end
end)

check.case("config.json has the numbers that a training took, and a resumed one keeps its preset", function()
  local out = scratch.path "run"
  local run = fit(options { out = out, preset = "paper", epochs = 1 })
  local config = json.decode(scratch.read(out .. "/config.json"))
  check.equal(
    { config.preset, config.lr, config.patience, config.average, config.time_power, config.schedule },
    { "paper", 5e-4, 20, 0.999, 1, "constant" })
  check.equal(#fit(options { out = out, resume = true, epochs = 2 }).history, 2)
  check.raises(function() fit(options { out = out, resume = true, preset = "auto", epochs = 3 }) end,
    "preset was paper and is auto")
  check.equal(run.stopped, "epochs")
end)

-- A flow of d properties given c = d contexts whose velocity at t = 1 is that of posteriors N(context, w^2)
-- with these widths, standardised; and rows of them.
local function exact(widths, sigma, rows)
  local d = #widths
  local head, weights = require("gal.nn").linear(1 + 2 * d, d), gal.zeros({ d, 1 + 2 * d }):totable()
  for i, w in ipairs(widths) do   -- of t, theta_t and the context
    local kept = w ^ 2 / (w ^ 2 + sigma ^ 2)
    weights[i][1 + i], weights[i][1 + d + i] = kept, 1 - kept
  end
  head:load_state{ weight = gal.tensor(weights), bias = gal.zeros{ d } }
  local flow = flows.new{ theta = d, context = d, sigma = sigma, head = head }
  flow.scale = {}
  for _, what in ipairs{ "theta", "context" } do
    flow.scale[what .. "_mean"], flow.scale[what .. "_std"] = gal.zeros{ d }, gal.ones{ d }
  end
  local context = gal.randn({ rows, d }, { rng = gal.rng(6) })
  local truth = context + gal.randn({ rows, d }, { rng = gal.rng(7) }) * gal.tensor(widths)
  return flow, { theta = truth, context = context }
end

check.case("what the path's width costs is that of Gaussians, and told where it is much", function()
  local cases = { { 0.05, { 0.05, 1 } }, { 0.05, { 0.02 } }, { 0.05, { 1, 0.3 } }, { 0.4, { 1, 0.2 } } }
  for _, of in ipairs(cases) do
    local sigma, widths = of[1], of[2]
    local flow, part = exact(widths, sigma, 2000)
    -- The mean of ln N(x; 0, w^2) - ln N(x; 0, w^2 + sigma^2) over x ~ N(0, w^2).
    local expected = 0
    for _, w in ipairs(widths) do
      local r = (sigma / w) ^ 2
      expected = expected + 0.5 * (math.log(1 + r) - r / (1 + r))
    end
    -- 2,000 rows know w^2 to 3 %, 4,000 noises the variance that is left to 2 %: a cost to 5 %.
    check.near(path_cost.of(flow, part), expected, 0.15 * expected + 2e-4)
  end
  check.equal(path_cost.words(0.0199, 0.05), nil)
  check.equal(path_cost.words(0.1234, 0.05), "sigma = 0.05 is wide for these posteriors: it costs 0.12 nats "
    .. "a galaxy or more; train again with a smaller one, or 0")
  local flow, part = exact({ 1 }, 0, 1000)
  check.equal(path_cost.of(flow, part), nil)
end)

check.case("a training on a narrow posterior says that sigma is wide, one on a broad posterior does not",
  function()
    local function lines(noise, sigma)
      local o = options{ epochs = 60, draws = 4, floor = "off", batch = 32 }
      o.flow = flows.new{ theta = 2, context = 2, hidden = { 32, 32 }, sigma = sigma, rng = gal.rng(1) }
      o.context = o.theta + gal.randn({ 300, 2 }, { rng = gal.rng(5) }) * noise
      return require("gal.train").describe(fit(o))
    end
    check.that(lines(0.02, 0.1):find("sigma = 0.1 is wide for these posteriors", 1, true), "not told")
    check.that(not lines(0.02, 0):find("is wide", 1, true), "told of sigma 0")
    check.that(not lines(0.7, 0.1):find("is wide", 1, true), "told of a broad posterior")
  end)

check.case("a run from before there were presets goes on as it began", function()
  local old, whole = scratch.path "old", scratch.path "whole"
  fit(options { out = old, preset = "paper", epochs = 1 })
  local config = json.decode(scratch.read(old .. "/config.json"))
  config.preset, config.time_power = nil, nil
  scratch.write(old .. "/config.json", json.encode(config))
  local tensors, metadata = gal.load(old .. "/checkpoint.safetensors")
  local state = json.decode(metadata.state)
  state.settings.preset, state.settings.time_power = nil, nil
  metadata.state = json.encode(state)
  gal.save(old .. "/checkpoint.safetensors", tensors, metadata)
  fit(options { out = whole, preset = "paper", epochs = 3 })
  fit(options { out = old, resume = true, epochs = 3 })
  for _, name in ipairs { "/flow.safetensors", "/history.csv" } do
    check.equal(scratch.read(old .. name) == scratch.read(whole .. name), true, name)
  end
end)

check.case("a row's eight validation times stay as they are, stratified, half of them late", function()
  local calls = {}
  local flow = { d = 2, sigma = 0.05, device = function() return gal.device() end,
    encode = function(_, seen) return seen end }
  flow.head = require("gal.nn").module { forward = function(_, x)
    calls[#calls + 1] = x:clone():keep()
    return x:narrow(2, 2, 2) * 0
  end }
  for power = 1, 3 do
    calls = {}
    local validate = require("gal.train.step").validator(flow, { theta = gal.randn { 9, 2 }, n = 9 },
      { seed = 5, time_power = power })
    check.equal(validate(), validate())
    check.equal(calls[1], calls[2])
    for i, row in ipairs(calls[1]:totable()) do
      local s, late = (i - 1) % 8, power > 1 and i % 2 == 0
      local u = late and 1 - (1 - row[1]) ^ (1 / power) or row[1]
      local part, place = power > 1 and 4 or 8, power > 1 and math.floor(s / 2) or s
      check.equal(math.floor(u * part), place, ("the stratum of draw %d at power %d"):format(i, power))
    end
  end
end)

check.finish()
