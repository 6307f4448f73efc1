-- Any conditional posterior from arrays: learns p(theta | x) from pairs in .npy files, then draws from it at
-- new x and, where their theta is known, gives its density. Writes samples.npy {N, n, d} and, with
-- --theta-test, log_prob.npy {N} (nats per product of theta's units) into --out, beside the run itself; with
-- --ensemble K, K flows are trained and asked as one, and spread.npy {N} says how far they are apart. Draws
-- of other rows, in another number or otherwise solved are never overwritten; those of a run that went on are
-- made anew.

local cli = require "gal.cli"
local o = cli.options{
  { "theta", type = "string", required = true, help = "training parameters, .npy {rows, d}" },
  { "x", type = "string", required = true, help = "training observations, .npy {rows, c}" },
  { "x-test", type = "string", required = true, help = "observations to infer from, .npy {N, c}" },
  { "theta-test", type = "string", help = "parameters to score at x-test, .npy {N, d}" },
  { "n", 1000, "draws for each row of x-test", type = "integer", least = 1 },
  { "out", type = "string", required = true, help = "folder for the results and the run" },
  cli.common{
    "network", "training", "ensemble", "solver",
    steps = { "auto", "Runge-Kutta steps: a number, or auto: as many as each row of x-test needs" },
    seed = { 0, "seed of the weights, the batches, the noise and the draws" },
  },
}
local gal = require "gal"
local data = require "gal.data"
local folder = require "gal.base.path"
local improbable = require("gal.stats.host").improbable
local refuse_room = require "gal.base.room"
local train = require "gal.train"

-- Other draws of an earlier call stay; of a call that ended before it had any nothing does.
local function open_draws()
  return require("gal.base.run").open{
    where = "fit_posterior", out = o.out, noun = "draws", lock = "draws.lock", settings_file = "draws.json",
    result = "samples.npy",
    settings = cli.values(o, { "solver" }, {
      x_test = folder.absolute(o.x_test), theta_test = o.theta_test and folder.absolute(o.theta_test),
      n = o.n, seed = o.seed,
    }),
  }
end

train.expect{ out = o.out, resume = o.resume, members = o.ensemble }
local draws = folder.kind(o.out .. "/draws.json") and open_draws()
local known = data.open_arrays{ theta = o.theta, x = o.x }
local new = data.open_arrays{ theta = o.theta_test, x = o.x_test, like = known }
for _, part in ipairs{ known, new } do
  for _, sentence in ipairs(part.suspects) do print(sentence) end
end
local bytes = 4 * o.n * new.context:size(1) * known.theta:size(2)
refuse_room(gal.device(), { { bytes, ("%d draws of each row of --x-test"):format(o.n), { "n" } } })

local function flow_of(seed)
  return require("gal.flow").new{
    theta = known.theta:size(2), context = known.context:size(2), hidden = o.hidden, sigma = o.sigma,
    rng = gal.rng(seed),
  }
end
local run = train.ensemble(cli.values(o, { "training" }, {
  members = o.ensemble, make = flow_of, each = cli.member(o), data = known, out = o.out,
}))
local flow = run.flow
cli.say(train.describe(run))

draws = draws or open_draws()
local function print_report(report)
  if report then print(tostring(report)) end
end
local samples, report = flow:sample(new.context, cli.values(o, { "solver" }, {
  n = o.n, rng = gal.rng(o.seed), progress = true,
}))
gal.save(o.out .. "/samples.npy", samples)
print(("%s/samples.npy: %d draws for each of %d rows"):format(o.out, o.n, new.context:size(1)))
print_report(report)
if flow.spread then
  local spread = flow:spread(samples, flow:streams(new.context))
  gal.save(o.out .. "/spread.npy", gal.tensor(spread))
  local told = o.n < 2 * #flow.members and ": no numbers, two draws of each or more are needed" or ""
  print(("%s/spread.npy: of each row the scatter of the %d members' means, in posterior deviations%s"):format(
    o.out, #flow.members, told))
end
if new.theta then
  local log_prob
  log_prob, report = flow:log_prob(new.theta, new.context, cli.values(o, { "solver" }, { progress = true }))
  gal.save(o.out .. "/log_prob.npy", log_prob)
  local sum, count, rows = 0, 0, log_prob:size(1)
  for _, v in ipairs(log_prob:totable()) do
    if not improbable(v) then sum, count = sum + v, count + 1 end
  end
  local others = " over %d of %d rows; the others' are no numbers, or too far away"
  local where = count < rows and others:format(count, rows) or ""
  print(("%s/log_prob.npy: mean %.3f nats%s"):format(o.out, sum / count, where))
  print_report(report)
end
draws:close()
