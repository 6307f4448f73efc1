-- p(theta), the distribution of the training set's properties: what a posterior is measured against. Two
-- estimates of it, kernel and mixture, are always carried side by side; no statistic that leans on the prior
-- is known better than their difference.

local errors = require "gal.base.errors"
local options_of = require "gal.base.options"

local prior = {}
prior.__index = prior

--- prior.fit(theta[, options]): both estimates from the training rows theta {N, d}, a tensor. options: h,
-- rows, seed as in gal.stats.kde; candidates, held_out as in gal.stats.mixture.
function prior.fit(theta, options)
  options = options_of.known("prior", options, { "h", "rows", "seed", "candidates", "held_out" })
  local mixture = { candidates = options.candidates, held_out = options.held_out, seed = options.seed }
  return setmetatable({
    kde = require("gal.stats.kde").fit(theta, { h = options.h, rows = options.rows, seed = options.seed }),
    mixture = require("gal.stats.mixture").choose(theta, mixture),
  }, prior)
end

--- p:log_density(points): ln p at points {M, d}, a tensor, in nats per product of theta's units: two Lua
-- tables {M}, of the kernel estimate and of the mixture.
function prior:log_density(points)
  return self.kde:log_density(points), self.mixture:log_density(points)
end

--- p:at_training_rows(theta): ln p at the training rows, as log_density. The kernel estimate leaves each
-- out of its own density; the mixture, with few parameters, does not need to.
function prior:at_training_rows(theta)
  return self.kde:leave_one_out(), self.mixture:log_density(theta)
end

--- p:lowest(): the lowest ln p of a training row by the kernel estimate, each left out of its own density:
-- below it p says little but that training rows are far.
function prior:lowest()
  if not self.lowest_row then
    self.lowest_row = math.huge
    for _, value in ipairs(self.kde:leave_one_out()) do self.lowest_row = math.min(self.lowest_row, value) end
  end
  return self.lowest_row
end

--- p:describe(): the two estimates in a sentence; where the rows have no density, another.
function prior:describe()
  local kde, count = self.kde, #self.mixture.components
  local mixture = count == 1 and "one Gaussian" or ("a mixture of %d Gaussians"):format(count)
  local repeated = "; the narrowest kernels fit best: values repeat, p(theta) is no density, and Delta log p "
    .. "and D_KL mean nothing"
  return ("p(theta) of %d training rows: Gaussian kernels of %.3f deviations; beside it %s%s"):format(kde.n,
    kde.h, mixture, kde.repeated and repeated or "")
end

local METHODS = { "log_density", "at_training_rows", "lowest", "describe" }
return errors.methods(prior, "a prior", prior, METHODS)
