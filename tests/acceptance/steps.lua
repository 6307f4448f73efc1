-- Acceptance: steps = "auto" against RK4 with 400 steps, on a linear-Gaussian flow, on one of a banana-shaped
-- posterior (sigma = 0) and on one of the galaxies of ECO and RESOLVE, which the project does not ship. Asked
-- for, of draws, draws with densities and densities at given points: at most 80 evaluations a draw, trials
-- included (RK4 with 100 steps: 400); the error within the tolerance (1e-3) for 99 % of the galaxies, and the
-- others flagged. A galaxy's error: of draws the largest over the properties of the rms over draws in units
-- of the posterior's deviation; of densities of draws their rms in nats; of log_prob each point by itself.
--
-- usage: galrun tests/acceptance/steps.lua --catalog catalog.csv [--out runs/acceptance/steps]
-- Goes on where it was stopped.
local folder = require "gal.base.path"
local gal = require "gal"
local json = require "gal.base.json"
local here = arg[0]:match "^(.*)/" or "."
local report = dofile(here .. "/report.lua")

local o = require("gal.cli").options {
  { "catalog", type = "string", required = true, help = "catalog.csv of ECO/RESOLVE" },
  { "out", "runs/acceptance/steps", "folder for the flows and the figures" },
  { "galaxies", 60, "at most so many of each problem" },
  { "n", 100, "draws a galaxy" },
  { "tolerance", 1e-3, "posterior deviations, and nats" },
  { "record", true, "append the result to RESULTS.md" },
}

local function trained(name, options, fit)
  local path = ("%s/%s.safetensors"):format(folder.make(o.out), name)
  if folder.kind(path) then return require("gal.flow").load(path) end
  local flow = require("gal.flow").new(options)
  fit.flow, fit.progress = flow, false
  fit.preset = "paper"
  local run = require("gal.train").fit(fit)
  print(("%s: best validation loss %.4f in epoch %d"):format(name, run.best_loss, run.best_epoch))
  flow:save(path)
  return flow
end

-- The training of a flow on pairs of an analytic problem.
local function training_on(theta, x)
  return {
    theta = theta, context = x, epochs = 40, batch = 256, lr = 1e-3, schedule = "cosine", patience = 40,
  }
end

-- Each problem returns a trained flow and fresh pairs theta, x.
local problems = {}
function problems.linear_gaussian()
  local a = gal.randn({ 5, 5 }, { rng = gal.rng(1) }):t()
  local function pairs_of(n, rng)
    local theta = gal.randn({ n, 5 }, { rng = rng })
    return theta, theta:matmul(a) + gal.randn({ n, 5 }, { rng = rng }) * 0.5
  end
  local theta, x = pairs_of(20000, gal.rng(101))
  local flow = trained("linear_gaussian", { theta = 5, context = 5, rng = gal.rng(1) }, training_on(theta, x))
  return flow, pairs_of(o.galaxies, gal.rng(1001))
end
function problems.banana()
  local function pairs_of(n, rng)
    local theta = gal.randn({ n, 2 }, { rng = rng })
    local x = theta:narrow(2, 2, 1) + theta:narrow(2, 1, 1):pow(2) * 0.7
    return theta, x + gal.randn({ n, 1 }, { rng = rng }) * 0.1
  end
  local theta, x = pairs_of(20000, gal.rng(7))
  local made = { theta = 2, context = 1, sigma = 0, rng = gal.rng(1) }
  local flow = trained("banana", made, training_on(theta, x))
  return flow, pairs_of(o.galaxies, gal.rng(1001))
end
function problems.eco_resolve()
  local survey = require("gal.data").open(o.catalog)
  local made = { theta = survey.names.theta, context = survey.names.context, rng = gal.rng(0) }
  local flow = trained("eco_resolve", made, {
    data = survey:split "train", valid = survey:split "valid", lr = 1e-3, epochs = 800, patience = 60,
  })
  local test = survey:split("test"):thin(o.galaxies)
  return flow, test.theta, test.context
end

-- For each galaxy the largest over properties of the rms over draws of a - b, in units of b's deviation; {N,
-- n, d}.
local function errors_of_draws(a, b)
  return ((a - b):pow(2):mean(2) / b:std(2):pow(2)):max(2):pow(0.5):totable()
end

local function judged(errors, flagged)
  local known, within, silent, worst = {}, 0, 0, 0
  for _, galaxy in ipairs(flagged) do known[galaxy] = true end
  for i, error in ipairs(errors) do
    worst = math.max(worst, error)
    if error <= o.tolerance then within = within + 1 elseif not known[i] then silent = silent + 1 end
  end
  return { within = within / #errors, silent = silent, worst = worst, flagged = #flagged, galaxies = #errors }
end

local function measured(name)
  local path = ("%s/%s.json"):format(o.out, name)
  local flow, theta, x = problems[name]()
  local key = ("%d galaxies, %d draws, tolerance %g"):format(x:size(1), o.n, o.tolerance)
  if folder.kind(path) then
    local file = io.open(path)
    local saved = json.decode(file:read "*a")
    file:close()
    if saved.key == key then return saved end
  end
  local found = { key = key }
  local function options(steps)
    return { n = o.n, steps = steps, tolerance = o.tolerance, rng = gal.rng(3), progress = true }
  end
  local exact, exact_log = flow:sample_and_log_prob(x, options(400))
  local draws, r = flow:sample(x, options "auto")
  found.sample = judged(errors_of_draws(draws, exact), r.flagged)
  found.sample.evaluations = r.evaluations
  local log_prob
  draws, log_prob, r = flow:sample_and_log_prob(x, options "auto")
  local off, nats = errors_of_draws(draws, exact), (log_prob - exact_log):pow(2):mean(2):pow(0.5):totable()
  for i = 1, #off do off[i] = math.max(off[i], nats[i]) end
  found.sample_and_log_prob = judged(off, r.flagged)
  found.sample_and_log_prob.evaluations = r.evaluations
  -- Points: each galaxy's true properties, and ten draws of its posterior.
  local points = gal.cat({ theta:reshape { -1, 1, flow.d }, exact:narrow(2, 1, math.min(10, o.n)) }, 2)
  local m = points:size(2)
  local repeated = (gal.zeros { x:size(1), m, flow.c } + x:reshape { -1, 1, flow.c }):reshape { -1, flow.c }
  local flat = points:reshape { -1, flow.d }
  exact_log = flow:log_prob(flat, repeated, { steps = 400, progress = true })
  log_prob, r = flow:log_prob(flat, repeated, { steps = "auto", tolerance = o.tolerance })
  found.log_prob = judged(((log_prob - exact_log):pow(2):pow(0.5)):totable(), r.flagged)
  found.log_prob.evaluations = r.evaluations
  folder.write(path, json.encode(found, true) .. "\n")
  return found
end

local verdict = report.new("steps", o.record)
for _, name in ipairs { "linear_gaussian", "banana", "eco_resolve" } do
  local found = measured(name)
  print(("%s: %s"):format(name, found.key))
  for _, call in ipairs { "sample", "sample_and_log_prob", "log_prob" } do
    local f, what = found[call], ("%s, %s: "):format(name, call)
    print(("  %s: %d of %d flagged, largest error %.2g"):format(call, f.flagged, f.galaxies, f.worst))
    verdict:bar(what .. "evaluations a draw", f.evaluations, 80)
    verdict:least(what .. "share within the tolerance", f.within, 0.99)
    verdict:bar(what .. "beyond it and not flagged", f.silent, 0)
  end
end
verdict:finish()
