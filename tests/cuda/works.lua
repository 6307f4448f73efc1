-- What the works of tests/bench cost on a card: W1, a training step of the photometry model, captured and
-- eager; W2, one of the image model in each precision; W3 and W4, evaluations of W1's velocity net in
-- sampling and with the divergence; and the ceilings beside them, copies and products. Medians of rounds,
-- each timed by the host between two waits.
-- usage: galrun --device cuda cuda/works.lua [small]; small: a few rows, to try the script on the double.
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local flows = require "gal.flow"
local integrate = require "gal.flow.integrate"
local optim = require "gal.optim"
local step = require "gal.train.step"
local C = ffi.C
local small = arg[1] == "small"
local ROUNDS = small and 2 or 7

local function wait() assert(C.gal_device_wait "cuda" == 0, "the device failed") end

-- Median seconds of fn(), which issues work.
local function seconds(fn)
  fn()
  local all = {}
  for i = 1, ROUNDS do
    wait()
    local from = C.gal_now()
    fn()
    wait()
    all[i] = C.gal_now() - from
  end
  table.sort(all)
  return all[math.ceil(ROUNDS / 2)]
end

local function line(name, value, unit) print(("%-44s %12.4g %s"):format(name, value, unit)) end

local function photometry(recorded)
  local flow, n = flows.new { theta = 5, context = 5, rng = gal.rng(3) }, small and 256 or 65536
  local function rows(seed) return gal.randn({ n, 5 }, { rng = gal.rng(seed) }) end
  local theta, x = rows(1), rows(2)
  flow:standardise(theta, x)
  local s = step.stepper(flow, optim.adamw(flow:parameters(), { average = 0.999 }),
    { theta = theta, seen = x, n = n }, { batch = 64, draws = 1, seed = 1, recorded = recorded })
  local steps = small and 2 or recorded and 1000 or 100
  return seconds(function()
    s:start_epoch()
    s:run(steps)
  end) / steps, flow
end

print(gal.device_info("cuda").description)
local captured, flow = photometry(true)
line("W1, captured", captured * 1e6, "us a step")
line("W1, eager", photometry(false) * 1e6, "us a step")

-- The image model over a survey that lies on the card, turned.
local function image(precision)
  local encoder = require("gal.nn").galaxy_cnn { rng = gal.rng(3) }
  local flow = flows.new { theta = 5, context = 5, encoder = encoder, rng = gal.rng(4) }
  local n, size = small and 8 or 4096, { 128, 128, 3 }
  local images = core.new({ n, unpack(size) }, "uint8")
  core.assign(images, gal.rand({ n, unpack(size) }, { rng = gal.rng(7) }) * 256)
  local theta, x = gal.randn({ n, 5 }, { rng = gal.rng(8) }), gal.randn({ n, 5 }, { rng = gal.rng(9) })
  flow:standardise(theta, x, images)
  local s = step.stepper(flow, optim.adamw(flow:parameters(), { average = 0.999 }),
    { theta = theta, seen = x, images = images, n = n }, {
      batch = small and 4 or 64, draws = 1, seed = 1, augment = true, precision = precision, recorded = true,
    })
  local steps = small and 2 or 50
  return seconds(function()
    s:start_epoch()
    s:run(steps)
  end) / steps
end
for _, precision in ipairs { "bf16", "tf32", "f32" } do
  line("W2, " .. precision, image(precision) * 1e6, "us a step")
end

for _, asked in ipairs { { false, "f32" }, { false, "tf32" }, { false, "f16" }, { true, "f32" }, { true, "tf32" },
  { true, "f16" } } do
  local density, precision = unpack(asked)
  -- As many rows as fill an H100 a few times over: of f32 five a tile with the divergence, 32 without.
  local few = density and (precision == "f32" and 20000 or 50000) or 200000
  local rows, steps = small and 64 or few, small and 1 or precision == "f32" and 20 or 100
  local times = {}
  for i = 0, steps do times[i + 1] = i / steps end
  local theta = gal.randn({ rows, 5 }, { rng = gal.rng(5) })
  local features = gal.randn({ rows, 5 }, { rng = gal.rng(6) })
  local took = seconds(function()
    integrate.run(flow, theta, features, 1, { times = times, density = density, precision = precision })
  end)
  local name = (density and "W4, with the divergence, " or "W3, ") .. precision
  line(name, rows * steps * 4 / took / 1e6, "million evaluations/s")
  line(name .. ": 10^6 rows of 100 steps", took * 1e6 / rows * 100 / steps, "s")
end

local n = small and 1e4 or 1e8
local a, b = gal.zeros { n }, gal.zeros { n }
line("copy", 8e-9 * n / seconds(function() core.assign(b, a) end), "GB/s")
for _, precision in ipairs { "f32", "tf32", "bf16" } do
  local side = small and 300 or 8192
  local x, y = gal.randn { side, side }, gal.randn { side, side }
  local took = seconds(function() gal.scope(function() x:matmul(y, precision) end) end)
  line("product of " .. side .. ", " .. precision, 2e-12 * side ^ 3 / took, "TFlop/s")
end
