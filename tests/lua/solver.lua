-- gal.flow.solver, steps = "auto": its answers against RK4 with 400 steps, its report, and the bits that it
-- must not change; draws streamed in parts. Larger nets and galaxies are in acceptance/steps.lua.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local flows = require "gal.flow"
local nn = require "gal.nn"
local fit = require("gal.train").fit

local bits = check.bits

-- theta, x of n galaxies, and a flow that a short training has taught them, on the CPU.
local problems = {}
function problems.linear_gaussian(n, rng)
  local theta = gal.randn({ n, 3 }, { rng = rng })
  return theta, theta:matmul(gal.tensor { { 1, 0.5 }, { -0.3, 1 }, { 0.8, 0 } })
    + gal.randn({ n, 2 }, { rng = rng }) * 0.3, 0.05
end
function problems.banana(n, rng)
  local theta = gal.randn({ n, 2 }, { rng = rng })
  return theta,
    theta:narrow(2, 2, 1) + theta:narrow(2, 1, 1):pow(2) * 0.7 + gal.randn({ n, 1 }, { rng = rng }) * 0.1, 0
end
local function trained(name)
  local theta, x, sigma = problems[name](4000, gal.rng(11))
  local width = check.sized(48, 12)
  local flow = flows.new { theta = theta:size(2), context = x:size(2), hidden = { width, width },
    sigma = sigma, rng = gal.rng(5) }:to "cpu"
  fit { flow = flow, theta = theta * 10 + 100, context = x, epochs = 25, batch = 100, lr = 3e-3, decay = 0.99,
    seed = 1, progress = false }
  return flow:to(gal.device()), select(2, problems[name](20, gal.rng(12)))
end
local flow_of, x_of = {}, {}
for name in pairs(problems) do flow_of[name], x_of[name] = trained(name) end
local banana, x = flow_of.banana, x_of.banana

local function silent(errors, tolerance, report)
  local flagged, count = {}, 0
  for _, k in ipairs(report.flagged) do flagged[k] = true end
  for k, error in ipairs(errors) do
    if not (error <= tolerance) and not flagged[k] then count = count + 1 end
  end
  return count
end

-- A tile of a card is some 50,000 draws. Where there is no card but its double, whose kernels are slow, the
-- cases that go from tile to tile do so with tiles as small as the tests' other device has.
if os.getenv "GALRUN_TEST_DEVICE" then
  local info = gal.device_info
  function gal.device_info(name)
    local found = info(name)
    found.rows = math.min(found.rows, 4096)
    return found
  end
end

-- The exact ones: RK4 with 400 steps, of some galaxies. The cost is a fifth of RK4's with 100 steps.
local EXACT, DRAWS = check.sized(400, 100), check.sized(200, 60)
local GALAXIES = check.sized(20, 8)

check.case("draws of auto are within the tolerance or flagged, at a fifth of the evaluations", function()
  for name, flow in pairs(flow_of) do
    local x = x_of[name]:narrow(1, 1, GALAXIES)
    local exact = flow:sample(x, { n = DRAWS, steps = EXACT, rng = gal.rng(3) })
    for _, tolerance in ipairs { 1e-2, 1e-3, 1e-4 } do
      local draws, report = flow:sample(x,
        { n = DRAWS, steps = "auto", tolerance = tolerance, rng = gal.rng(3) })
      local errors = ((draws - exact):pow(2):mean(2) / exact:std(2):pow(2)):max(2):pow(0.5):totable()
      check.equal(silent(errors, tolerance, report),
        0, ("%s, tolerance %g: galaxies beyond it and not flagged, of errors %s"):format(name, tolerance,
        check.text(errors)))
      check.that(#report.flagged == 0,
        ("%s, tolerance %g: %d flagged"):format(name, tolerance, #report.flagged))
      if tolerance >= 1e-3 then
        check.that(report.evaluations <= 80, ("%s: %g evaluations a draw"):format(name, report.evaluations))
      end
    end
  end
end)

check.case("densities of auto are within the tolerance or flagged, at a fifth of the evaluations", function()
  for name, flow in pairs(flow_of) do
    local x = x_of[name]:narrow(1, 1, GALAXIES)
    local function solved(steps)
      return flow:sample_and_log_prob(x, { n = DRAWS, steps = steps, rng = gal.rng(3) })
    end
    local exact, exact_log = solved(EXACT)
    local draws, log_prob, report = solved "auto"
    check.equal(silent((log_prob - exact_log):pow(2):mean(2):pow(0.5):totable(), 1e-3, report), 0,
      name .. ": rms over draws")
    check.equal(silent(((draws - exact):pow(2):mean(2) / exact:std(2):pow(2)):max(2):pow(0.5):totable(), 1e-3,
      report), 0, name .. ": draws")
    check.that(report.evaluations <= 80, ("%s: %g evaluations a draw"):format(name, report.evaluations))
    local points = exact:narrow(2, 1, 20)
    local given = flow:log_prob(points, x, { steps = EXACT })
    local found, told = flow:log_prob(points, x, { steps = "auto" })
    check.equal({ told.steps.shape, told.error.shape }, { { GALAXIES, 20 }, { GALAXIES, 20 } })
    check.equal(silent((found - given):pow(2):pow(0.5):max(2):totable(), 1e-3, told), 0, name .. ": log_prob")
    check.that(told.evaluations <= 80, ("%s: %g evaluations a point"):format(name, told.evaluations))
  end
end)

-- d theta/dt = -rate theta where c is 1, and 0 where c is 0: relu(theta + 100 (c - 1)) and its mirror image
-- are off there.
local function gated(rate)
  local first, second = nn.linear(3, 2), nn.linear(2, 1)
  core.assign(first.weight, gal.tensor { { 0, 1, 100 }, { 0, -1, 100 } })
  core.assign(first.bias, gal.tensor { -100, -100 })
  core.assign(second.weight, gal.tensor { { -rate, rate } })
  core.assign(second.bias, gal.tensor { 0 })
  local flow = flows.new { theta = 1, context = 1, head = nn.sequential { first, nn.relu(), second } }
  flow.scale = { theta_mean = gal.zeros { 1 }, theta_std = gal.ones { 1 }, context_mean = gal.zeros { 1 },
    context_std = gal.ones { 1 } }
  return flow
end

check.case("a galaxy whose field is stiff is flagged, and its neighbours are not", function()
  local c = gal.tensor { { 0 }, { 1 }, { 0 } }
  local _, report = gated(1e4):sample(c, { n = 50, steps = "auto" })
  check.equal(report.flagged, { 2 })
  check.that(report.error:get(2) > 1e-3 and report.steps:get(2) == 96,
    ("its error is said to be %g with %d steps"):format(report.error:get(2), report.steps:get(2)))
  check.equal({ report.error:get(1), report.steps:get(1) }, { 0, 3 })
  check.that(tostring(report):find "1 of 3 galaxies not within 0.001", tostring(report))
  _, _, report = gated(1e4):sample_and_log_prob(c, { n = 50, steps = "auto" })
  check.equal(report.flagged, { 2 }, "with densities")
  _, report = gated(1e4):log_prob(gal.full({ 3, 4, 1 }, 0.3), c, { steps = "auto" })
  check.equal(report.flagged, { 2 }, "densities at points")
  check.equal({ report.error:get(1, 1), report.error:get(2, 4) > 1e-3 }, { 0, true })
end)

-- The noise that a galaxy of context c {1, 1} starts from, {n}.
local function noise_of(c, n, rng)
  local x = { rows = 1, context = c, device = c:device() }
  return rng:normal_streams(require("gal.flow.inputs").streams(x), n)
end

-- theta' = k theta gives e^k times the noise: to a thousandth, from e^-5 to e^8.
check.case("errors are in units of the galaxy's own posterior, however narrow or wide", function()
  local c, steps = gal.ones { 1, 1 }, {}
  for i, k in ipairs { 0.5, 3, 8, -2, -5 } do
    local draws, report = gated(-k):sample(c, { n = 200, steps = "auto", rng = gal.rng(1) })
    local expected = noise_of(c, 200, gal.rng(1)) * math.exp(k)
    local error =
      (draws:reshape { 200 } - expected:reshape { 200 }):pow(2):mean():item() ^ 0.5 / expected:std():item()
    check.equal(report.flagged, {})
    check.that(error <= 1e-3,
      ("k = %g with %d steps: %g posterior deviations"):format(k, report.steps:item(), error))
    steps[i] = report.steps:item()
  end
  check.that(steps[1] <= steps[2] and steps[2] < steps[3] and steps[4] < steps[5],
    "steps don't grow with k: " .. check.text(steps))
end)

check.case("with densities, the densities' error counts too", function()
  -- A step of height .004 that runs over theta at a speed of 4 and is 1/100 wide: it moves nothing, but the
  -- divergence, up to .2, is missed or hit. Its integral is .001.
  local first, second = nn.linear(3, 1), nn.linear(1, 1)
  core.assign(first.weight, gal.tensor { { -400, 100, 0 } })
  core.assign(first.bias, gal.tensor { 200 })
  core.assign(second.weight, gal.tensor { { 0.002 } })
  core.assign(second.bias, gal.tensor { 0 })
  local flow, c = gated(0), gal.zeros { 1, 1 }
  flow.head = nn.sequential { first, nn.tanh(), second }
  local _, report = flow:sample(c, { n = 200, steps = "auto", rng = gal.rng(1) })
  check.that(#report.flagged == 0 and report.steps:item() <= 4, "draws alone took " .. report.steps:item())
  local _, log_prob, told = flow:sample_and_log_prob(c, { n = 200, steps = "auto", rng = gal.rng(1) })
  local z = noise_of(c, 200, gal.rng(1))
  local off = (log_prob - (z * z * -0.5 - 0.5 * math.log(2 * math.pi) - 0.001)):pow(2):mean():item() ^ 0.5
  check.equal(silent({ off }, 1e-3, told), 0, ("off by %g nats with %d steps"):format(off, told.steps:item()))
end)

check.case("with auto a galaxy's draws are the same alone, in any batch, with two threads", function()
  local function draw(rows, n)
    return banana:sample(rows, { n = n or 40, steps = "auto", tolerance = 4e-4, rng = gal.rng(6) })
  end
  local all, report = draw(x)
  check.that(report.steps:min():item() < report.steps:max():item(),
    "all galaxies take the same steps, so that this shows little")
  for row = 1, 20 do
    local own, alone = draw(x[row])
    check.equal(alone.steps:item(), report.steps:get(row), "steps of galaxy " .. row)
    check.equal(bits(own), bits(all[row]:clone()), "galaxy " .. row)
  end
  check.equal(bits((draw(x, 300)):narrow(2, 1, 40):clone()), bits(all), "40 of 300")
  check.equal(bits((draw(x, 5))), bits(all:narrow(2, 1, 5):clone()), "5 of 40")
  local threads = ffi.C.gal_threads(0)
  ffi.C.gal_threads(threads == 1 and 2 or 1)
  check.equal(bits((draw(x))), bits(all), "threads")
  ffi.C.gal_threads(threads)
  local points = all:narrow(2, 1, 9)
  local log_prob = banana:log_prob(points, x, { steps = "auto" })
  check.equal(bits(banana:log_prob(points[7], x[7], { steps = "auto" })), bits(log_prob[7]:clone()),
    "log_prob alone")
  check.equal(bits(banana:log_prob(points[7][3], x[7], { steps = "auto" })),
    bits(log_prob[7]:narrow(1, 3, 1):clone()), "one point alone")
end)

check.case("a galaxy that needs finer steps than its neighbours gets the same as alone", function()
  local flow, c = gated(-8), gal.tensor { { 0 }, { 1 }, { 0.001 }, { 0.999 }, { 0.002 }, { 1.001 } }
  local function draw(rows) return flow:sample(rows, { n = 20, steps = "auto", rng = gal.rng(6) }) end
  local all, report = draw(c)
  check.that(report.steps:get(1) == 3 and report.steps:get(6) > 6,
    "settled by the same pair: " .. check.text(report.steps))
  local theta = gal.full({ 6, 1 }, 0.5)
  local log_prob, of_points = flow:log_prob(theta, c, { steps = "auto" })
  for row = 1, 6 do
    local own, alone = draw(c[row])
    check.equal({ alone.steps:item(), alone.error:item(), bits(own) },
      { report.steps:get(row), report.error:get(row), bits(all[row]:clone()) }, "galaxy " .. row)
    own, alone = flow:log_prob(theta[row], c[row], { steps = "auto" })
    check.equal({ alone.steps:item(), own:item() }, { of_points.steps:get(row), log_prob:get(row) },
      "density of galaxy " .. row)
  end
end)

check.case("with any steps the noise is the same, and the generator moves as far", function()
  local r = { gal.rng(9), gal.rng(9) }
  local rough = banana:sample(x, { n = 30, steps = 100, rng = r[1] })
  local auto = banana:sample(x, { n = 30, steps = "auto", rng = r[2] })
  check.near(rough, auto, 0.1)
  check.equal(r[1]:state(), r[2]:state())
  check.that(bits(banana:sample(x, { n = 30, steps = "auto", rng = r[2] })) ~= bits(auto),
    "the next draws are the same")
end)

check.case("streamed draws are the returned ones, in parts that do not depend on their number", function()
  local most = gal.device_info().rows
  local wide = gal.zeros { 700, 1 } + gal.arange(700):reshape { 700, 1 } * 0.001
  for _, case in ipairs { { wide, check.sized(200, 8) }, { x[1], check.sized(70000, 5000) }, { x, 3 } } do
    local rows, n = case[1], case[2]
    local options = { n = n, steps = 2, rng = gal.rng(2) }
    local whole, densities = banana:sample_and_log_prob(rows, options)
    local seen, parts, largest = 0, 0, 0
    options.rng, options.into = gal.rng(2), function(first, samples, log_prob, draw)
      local k, m = samples:size(1), samples:size(2)
      check.equal(bits(samples), bits(whole:narrow(1, first, k):narrow(2, draw, m):clone()))
      check.equal(bits(log_prob), bits(densities:narrow(1, first, k):narrow(2, draw, m):clone()))
      seen, parts, largest = seen + k * m, parts + 1, math.max(largest, k * m)
    end
    check.equal({ banana:sample_and_log_prob(rows, options) }, {}, "something is returned, too")
    check.equal(seen, whole:size(1) * n)
    check.that(largest <= most, "a part of " .. largest)
    check.equal(parts > 1, seen > most)
  end
  local _, _, report = banana:sample_and_log_prob(x, { n = 3, steps = "auto", into = function() end })
  check.equal(report.steps.shape, { 20 }, "the report comes in its place")
end)

check.case("the noise of a galaxy's draws runs on from one part to the next", function()
  -- Where c is 0 the field is 0: the draws are the noise.
  local c = gal.zeros { 1, 1 }
  local n = gal.device_info().rows + 1000
  check.equal(bits(gated(1):sample(c, { n = n, steps = 1, rng = gal.rng(2) })),
    bits(noise_of(c, n, gal.rng(2))))
end)

check.case("memory does not grow with the number of draws", function()
  local flow = gated(0.5)
  -- The most that is held where a part of the draws arrives, without garbage.
  local function held(n)
    local most = 0
    flow:sample(gal.zeros { 1, 1 }, { n = n, steps = 1, into = function()
      check.collect()
      most = math.max(most, gal.memory().live)
    end })
    return most
  end
  local most = gal.device_info().rows -- of a part: two parts, and three or more
  local few, many = most + 1000, check.sized(40, 2) * most + 1000
  local more, draws = held(many) - held(few), 4 * (many - few)
  check.that(more < draws / 10, ("%d bytes more for %d bytes of draws more"):format(more, draws))
end)

check.case("Ctrl-C in the middle raises gal.interrupted and leaves the generator where it was", function()
  local flow, r, parts = gated(0.5), gal.rng(4), 0
  local before = r:state()
  local function interrupt()
    parts = parts + 1
    ffi.C.gal_interrupt_set(1)
  end
  local options = { n = gal.device_info().rows, steps = 1, rng = r, into = interrupt }
  local ok, err = pcall(flow.sample, flow, gal.zeros { 2, 1 }, options)
  check.equal({ ok, err == gal.interrupted, parts, r:state() }, { false, true, 1, before })
  check.raises(function() banana:sample(x, { n = 2, steps = 1, into = function() error "my own" end }) end,
    "my own")
end)

check.case("progress reports growing numbers to a function, up to all", function()
  for _, steps in ipairs { 4, "auto" } do
    local last, total, calls = 0, nil, 0
    local function progress(done, all)
      check.that(done >= last and done <= all, ("%g after %g of %g"):format(done, last, all))
      last, total, calls = done, all, calls + 1
    end
    local n = check.sized(5000, 1000)
    banana:sample(x, { n = n, steps = steps, progress = progress })
    check.equal({ last, total }, { 20 * n, 20 * n }, "sample")
    check.that(calls >= 2, "told once only")
    last = 0
    banana:log_prob(gal.zeros { 20, 9, 2 } + 100, x, { steps = steps, progress = progress })
    check.equal({ last, total }, { 180, 180 }, "log_prob")
  end
end)

check.case("a flow with a head of the user's own takes auto", function()
  local net = banana.head
  local own = flows.new { theta = 2, context = 1, head = nn.sequential { function(v) return v * 1 end, net } }
  own.scale, own.floor = banana.scale, banana.floor
  local a, report = own:sample(x, { n = 6, steps = "auto", rng = gal.rng(1) })
  local b, same = banana:sample(x, { n = 6, steps = "auto", rng = gal.rng(1) })
  check.near(a, b, 1e-3)
  check.equal(report.steps, same.steps)
  check.near(own:log_prob(a, x, { steps = "auto" }), banana:log_prob(a, x, { steps = "auto" }), 2e-3)
end)

check.case("a tolerance beyond float32 flags every galaxy", function()
  local _, report = banana:sample(x:narrow(1, 1, 3), { n = 4, steps = "auto", tolerance = 1e-12 })
  check.equal(report.flagged, { 1, 2, 3 })
end)

check.case("bad options are named at the caller's line", function()
  check.raises(function() banana:sample(x, { steps = "automatic" }) end,
    'sample: steps is the string "automatic", expected an integer of at least 1, or "auto"', true)
  check.raises(function() banana:log_prob(gal.zeros { 20, 2 }, x, { steps = 0.5 }) end,
    "log_prob: steps is 0.5, expected an integer", true)
  check.raises(function() banana:sample(x, { steps = "auto", tolerance = 0 }) end,
    "sample: tolerance is 0, expected a number above it", true)
  check.raises(function() banana:sample(x, { precision = "f8" }) end,
    'sample: precision is the string "f8", expected "f32", "tf32", "f16" or "bf16"', true)
  if gal.device() == "cpu" then
    check.raises(function() banana:sample(x, { precision = "f16" }) end,
      "sample: precision is f16, which cpu does not have for it, expected f32 or bf16", true)
  end
  check.raises(function() banana:sample_and_log_prob(x, { precision = "bf16" }) end,
    'sample_and_log_prob: precision is "bf16", too coarse for densities, expected "f32"', true)
  check.raises(function() banana:log_prob(gal.zeros { 20, 2 }, x, { precision = "bf16", steps = 2 }) end,
    'log_prob: precision is "bf16", too coarse for densities, expected "f32"', true)
  check.raises(function() banana:sample(x, { into = 3 }) end,
    "sample: into is the number 3, expected a function", true)
  check.raises(function() banana:sample(x, { progress = "yes" }) end,
    'sample: progress is the string "yes", expected true, false or a function', true)
  check.raises(function() banana:sample(x, { rng = 7 }) end,
    "sample: rng is the number 7, expected a generator", true)
  check.raises(function() banana:log_prob(gal.zeros { 20, 2 }, x, { into = print }) end,
    "log_prob: unknown option 'into'", true)
end)

check.finish()
