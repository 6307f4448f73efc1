-- Any conditional posterior from arrays: learns p(theta | x) from pairs in .npy files, then draws from it at
-- new x and, where their theta is known, says its density. Writes samples.npy {N, n, d} and, with
-- --theta-test, log_prob.npy {N} (nats per product of theta's units) into --out, beside the run itself.

local cli = require "gal.cli"
local o = cli.options{
  { "theta", type = "string", required = true, help = "training parameters, .npy {rows, d}" },
  { "x", type = "string", required = true, help = "training observations, .npy {rows, c}" },
  { "x-test", type = "string", required = true, help = "observations to infer from, .npy {N, c}" },
  { "theta-test", type = "string", help = "parameters to score at x-test, .npy {N, d}" },
  { "n", 1000, "draws for each row of x-test", type = "integer", least = 1 },
  { "out", type = "string", required = true, help = "folder for the results and the run" },
  { "sigma", 0.05, "width of the path, in deviations; 0 where posteriors are very narrow", least = 0 },
  { "hidden", { 256, 256, 256 }, "widths of the velocity net's layers", type = "integers", least = 1 },
  { "batch", 64, "rows a step", type = "integer", least = 1 },
  { "lr", 5e-4, "learning rate of AdamW", above = 0 },
  { "weight_decay", 0.01, "weight decay of AdamW", least = 0 },
  { "epochs", 200, "epochs at most", type = "integer", least = 1 },
  { "patience", 20, "epochs without a better validation loss before it stops", type = "integer", least = 1 },
  { "steps", 100, "Runge-Kutta steps: a number, or auto: as many as each row of x-test needs", type = "steps" },
  { "tolerance", 1e-3, "error that auto allows: posterior deviations for draws, nats for densities", above = 0 },
  { "seed", 0, "of the weights, the batches, the noise and the draws" },
  { "resume", false, "go on with the run in --out" },
}
local gal = require "gal"
local data = require "gal.data"

local pairs_ = data.open_arrays{ theta = o.theta, x = o.x }
local new = data.open_arrays{ theta = o.theta_test, x = o.x_test, like = pairs_ }

local flow = require("gal.flow").new{ theta = pairs_.theta:size(2), context = pairs_.context:size(2), hidden = o.hidden, sigma = o.sigma, rng = gal.rng(o.seed) }
local run = require("gal.train").fit{
  flow = flow, theta = pairs_.theta, context = pairs_.context, batch = o.batch, lr = o.lr, weight_decay = o.weight_decay, epochs = o.epochs, patience = o.patience,
  seed = o.seed, out = o.out, resume = o.resume,
}
print(("best validation loss %.4f in epoch %d; stopped by %s"):format(run.best_loss, run.best_epoch, run.stopped))

local function told(report)
  if report then print(tostring(report)) end
end
local samples, report = flow:sample(new.context, { n = o.n, steps = o.steps, tolerance = o.tolerance, rng = gal.rng(o.seed), progress = true })
gal.save(o.out .. "/samples.npy", samples)
print(("%s/samples.npy: %d draws for each of %d rows"):format(o.out, o.n, new.context:size(1)))
told(report)
if new.theta then
  local log_prob
  log_prob, report = flow:log_prob(new.theta, new.context, { steps = o.steps, tolerance = o.tolerance, progress = true })
  gal.save(o.out .. "/log_prob.npy", log_prob)
  print(("%s/log_prob.npy: mean %.3f nats"):format(o.out, log_prob:mean():item()))
  told(report)
end
