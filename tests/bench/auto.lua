-- What steps = "auto" costs: 1,000 draws of one galaxy, one exact density alone and a thousand together, of
-- the photometry model (3 x 256, 5 properties, 5 magnitudes), beside RK4 with 100 steps, interleaved, medians
-- of nine. The net is trained for a few seconds on the analytic survey, because the cost depends on how many
-- steps a field needs.
-- usage: galrun tests/bench/auto.lua [--flow flow.safetensors --context context.npy --theta theta.npy]
local C = require("ffi").C
local check = require("gal.base.errors").check
local gal = require "gal"
local cli = require "gal.cli"
local o = cli.options {
  { "flow", type = "string", help = "a trained flow; default: one of the analytic survey" },
  { "context", type = "string", help = "its galaxies, .npy {N, c}" },
  { "theta", type = "string", help = "their properties, .npy {N, d}" },
  { "rounds", 9, "that medians are taken of" },
}

local flow, x, theta
if o.flow then
  flow = require("gal.flow").load(o.flow, { device = gal.device() })
  x, theta = gal.load(o.context), gal.load(o.theta)
else
  local path = os.tmpname()
  dofile((arg[0]:match "^(.*)/" or ".") .. "/../lua/lib/analytic.lua").table(5000, 1):save(path .. ".csv")
  local survey = require("gal.data").open(path .. ".csv")
  os.remove(path)
  os.remove(path .. ".csv")
  flow = require("gal.flow").new { theta = survey.names.theta, context = survey.names.context,
    rng = gal.rng(1) }
  require("gal.train").fit { flow = flow, data = survey, epochs = 15, lr = 1e-3, progress = false }
  x, theta = survey.context:narrow(1, 1, 1000), survey.theta:narrow(1, 1, 1000)
end
local N = x:size(1)

local evaluations = {}
-- The evaluations a draw, or a density, that a call with steps = "auto" reported.
local function evaluations_of(_, report) return report.evaluations end
local works = {
  { "1,000 draws of a galaxy, auto", function(i)
    evaluations[1] = evaluations_of(flow:sample(x[i], { steps = "auto" }))
  end },
  { "the same with bf16", function(i)
    evaluations[2] = evaluations_of(flow:sample(x[i], { steps = "auto", precision = "bf16" }))
  end },
  { "the same with RK4-100", function(i)
    flow:sample(x[i])
    evaluations[3] = 400
  end },
  { "one log_prob alone, auto", repeats = 20, function(i)
    evaluations[4] = evaluations_of(flow:log_prob(theta[i], x[i], { steps = "auto" }))
  end },
  { "the same with RK4-100", repeats = 3, function(i)
    flow:log_prob(theta[i], x[i])
    evaluations[5] = 400
  end },
  { ("a log_prob of %d, auto"):format(N), of = N, function()
    evaluations[6] = evaluations_of(flow:log_prob(theta, x, { steps = "auto" }))
  end },
}
local times = {}
for round = 0, o.rounds do -- the first warms up
  for w, work in ipairs(works) do
    local repeats, start = work.repeats or 1, tonumber(C.gal_now())
    for r = 1, repeats do work[2]((round * 20 + r) % N + 1) end
    times[w] = times[w] or {}
    check(C.gal_device_wait(gal.device()))
    times[w][round] = (tonumber(C.gal_now()) - start) / repeats / (work.of or 1) * 1e3
  end
end
local rows = {}
for w, work in ipairs(works) do
  table.sort(times[w])
  rows[w] = { work[1], ("%.3f"):format(times[w][math.ceil(o.rounds / 2)]), ("%.3f"):format(times[w][1]),
    ("%.1f"):format(evaluations[w]) }
end
print(cli.table(rows, { "", "ms, median", "fastest", "evaluations" }))
