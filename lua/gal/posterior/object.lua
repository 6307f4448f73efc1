-- posterior/object: the posterior of one galaxy as a value: p = run:posterior(id). Its draws are made when
-- they are first asked for (posterior/draws.lua). A posterior that was conditioned or reweighted is one, too,
-- whose draws have weights (posterior/reweigh.lua). Its fields:
--   run, id, row     the run, the galaxy's id and its row in the table (nil where it has none)
--   seen             the part of the run that the galaxy is in: "train", "valid", "test"; nil where unknown
--   names            the properties' names {d}; each is a field, too: p.a_v (posterior/property.lua)
--   truth            {name = value}, the true properties where they are known, else nil
--   outside          how far its most extreme input lies from the training rows' mean, in deviations; or nil
--   n, seed, steps, tolerance, precision   how it is drawn
--   part             the galaxy as a part of a survey
--   effective, what, told   of one with weights: the effective number of draws, what was asked, and sentences
--                    on the weights
local core = require "gal.tensor"
local draws = require "gal.posterior.draws"
local errors = require "gal.base.errors"
local galaxies = require "gal.infer.galaxies"
local gal = require "gal"
local names = require "gal.posterior.names"
local property = require "gal.posterior.property"
local words = require "gal.posterior.words"
local raise = errors.raise

local Posterior = {}
Posterior.__index = Posterior

-- ---- draws and densities ----

--- p:sample(n = 1000): n draws, a tensor {n, d}. p:sample(2000) begins with p:sample(1000). Of a posterior
-- with weights: draws without weights, each at most once, as many as the weights leave (rejection).
function Posterior:sample(n)
  n = errors.integer("sample", "n", n or self.n, 1, 2 ^ 31)
  if self.effective then return require("gal.posterior.reweigh").sample(self, n) end
  return draws.of(self, n):select(1, 1):contiguous()
end

-- theta as a user gives it, as a tensor {m, d}, and whether it is one point.
local function points_of(where, self, theta)
  if type(theta) == "table" and not core.is_tensor(theta) and type(next(theta)) == "string" then
    return gal.tensor(names.point(where, self.names, theta), { 1, #self.names }, { device = "cpu" }), true
  elseif type(theta) == "table" and not core.is_tensor(theta) then
    theta = gal.tensor(theta)
  end
  core.live(theta, where, "theta")
  local one = #theta.shape == 1
  return one and theta:reshape{ 1, -1 } or theta, one
end

--- p:log_prob(theta): the exact log density at theta, nats per product of the properties' units: a number for
-- {a_v = .3, …} or {d}, a tensor {m} for {m, d}.
function Posterior:log_prob(theta)
  if self.effective then
    raise("log_prob: the density of a posterior with weights is known only by its draws, expected %s",
      "run:posterior(…)'s own; p:slice has exact densities at given values")
  end
  local points, one = points_of("log_prob", self, theta)
  local found = draws.quietly(self.run.flow, function()
    return self.run.flow:log_prob(points, galaxies.shown(self.run.flow, self.part), {
      steps = self.steps == "auto" and "auto" or self.steps, told = false,
    })
  end)
  return one and found:to("cpu"):reshape{}:item() or found
end

-- ---- statistics ----

--- p:property(name): a property as a value, p.a_v by its name: for names that are no identifiers, or those of
-- methods.
function Posterior:property(name)
  return self.properties[names.place("property", self.names, name)]
end

-- {name = fn(property)}.
local function by_name(self, method, ...)
  local found = {}
  for i, name in ipairs(self.names) do found[name] = self.properties[i][method](self.properties[i], ...) end
  return found
end

--- p:mean(): the mean of each property, {name = number}.
function Posterior:mean() return by_name(self, "mean") end

--- p:median(): the median of each property, {name = number}.
function Posterior:median() return by_name(self, "median") end

--- p:std(): the standard deviation of each property, {name = number}.
function Posterior:std() return by_name(self, "std") end

--- p:quantile(q): the quantiles of each property, {name = number}, or lists for a list of q.
function Posterior:quantile(q) return by_name(self, "quantile", q) end

--- p:correlation(a, b): the correlation of two properties in the posterior.
function Posterior:correlation(a, b)
  local x = draws.column(self, names.place("correlation", self.names, a), 1)
  local y = draws.column(self, names.place("correlation", self.names, b), 1)
  local mean_x, std_x = draws.moments(x)
  local mean_y, std_y = draws.moments(y)
  local sum, total, w = 0, x.sum or x.n, x.weights
  for r = 0, x.n - 1 do
    sum = sum + (w and w[r] or 1) * (x.values[r] - mean_x) * (y.values[r] - mean_y)
  end
  return sum / total / (std_x * std_y)
end

--- p:flagged(): whether its draws are not within the tolerance, or no numbers.
function Posterior:flagged()
  local report = draws.report(self)
  local lost = draws.column(self, 1, 1).lost or false
  return lost or report ~= nil and #report.flagged > 0
end

--- p:ood(): how many of the run's validation galaxies are rarer, shares from 0 to 1: {context =, image =};
-- nil, and a sentence why, where the run doesn't know.
function Posterior:ood()
  local flow = self.run.flow
  if not flow.ood then return nil, "the run keeps no density of them" end
  local shares, why = draws.quietly(flow, function() return flow:ood(galaxies.shown(flow, self.part)) end)
  if not shares then return nil, why end
  return { context = shares.context and shares.context[1], image = shares.image and shares.image[1] }
end

--- p:spread(): of an ensemble, how far its members' posteriors are apart: the scatter of their means in
-- posterior deviations, of the property where it is largest; nil of another run, or of weighted draws.
function Posterior:spread()
  local found = not self.effective and draws.spread(self)
  return found and found[1] or nil
end

-- ---- looking at it ----

--- p:corner{n = 10000, with = {p2, …}, prior = true, path = "corner.pdf", …}: its corner plot, a figure for
-- gal.show and plot.figure; with: further posteriors, over it; prior: the training galaxies underneath; path:
-- where it is drawn to, and returned then. Other options are plot.corner's.
function Posterior:corner(options) return require("gal.posterior.figures").corner(self, options) end

--- p:cutout(): the galaxy's image, a figure for gal.show: the cutout that the run saw, or the one that lies
-- beside its table.
function Posterior:cutout() return require("gal.posterior.figures").cutout(self) end

--- p:compare(other): the posterior beside another of the same properties, or beside another run's of the
-- same galaxy: a comparison, which prints, with c:corner().
function Posterior:compare(other) return require("gal.posterior.compare").of(self, other) end

-- ---- what if ----

--- p:condition{oh = 9.0, width = .2}: the posterior where properties have these values: its draws weighted
-- by Gaussian kernels of `width` posterior deviations, grown until an effective 100 are left; both are
-- printed. Raises where 20,000 draws leave fewer.
function Posterior:condition(values) return require("gal.posterior.reweigh").condition(self, values) end

--- p:importance(prior): the posterior under another prior of the properties than the training galaxies': a
-- function of {a_v =, …} that gives its log density (up to a constant), a table by name of {low, high} (flat)
-- or {mean =, std =} (normal), or properties of other galaxies {M, d}. 20,000 draws are weighted by that
-- prior over the training galaxies', a kernel estimate. Raises unless the effective size is 100 and Pareto k
-- small enough; both are printed. It takes for granted that p(inputs | properties) is as in the training.
function Posterior:importance(prior) return require("gal.posterior.reweigh").importance(self, prior) end

--- p:slice{oh = 9.0, x = "a_v", y = "d4000_n", points = 40}: the exact density where properties have given
-- values, along x, or over x and y; the others at their medians. A slice prints, and has s:figure().
function Posterior:slice(options) return require("gal.posterior.slice").of(self, options) end

--- p:trust(near = 500): whether it can be believed: how rare the galaxy is (ood), how far outside of the
-- training, the integration's error, and whether the posteriors of the `near` test galaxies that are most
-- like it are calibrated. It prints.
function Posterior:trust(near) return require("gal.posterior.trust").of(self, near) end

-- ---- files ----

--- p:save("x.npz" | ".csv" | ".fits"): its draws: a column (an array {n}) a property, log_q or weight, nats.
-- Returns the path.
function Posterior:save(path) return require("gal.posterior.save").one(self, path) end

Posterior.__tostring = words.posterior

errors.methods(Posterior, "a posterior")

local FIELDS = {
  run = true, id = true, row = true, seen = true, names = true, truth = true, outside = true, n = true,
  seed = true, steps = true, tolerance = true, precision = true, part = true, properties = true, given = true,
  effective = true, what = true, told = true, many = true,
}

--- object.dress(self, class): gives an owner its properties, as a list `properties` and, where no method or
-- field has the name, as fields; `hidden` are those names that have.
local function dress(self, class)
  self.properties, self.hidden = {}, nil
  for i, name in ipairs(self.names) do
    local truth
    if self.many and self.part.theta then
      truth = self.part.theta:select(2, i):totable()
    elseif not self.many and self.truth then
      truth = self.truth[name]
    end
    self.properties[i] = property.of(self, i, truth)
    if FIELDS[name] or name == "hidden" or class[name] ~= nil then
      self.hidden = self.hidden or {}
      table.insert(self.hidden, name)
    else
      self[name] = self.properties[i]
    end
  end
  return self
end

--- object.of(run, part, how): the posterior of the one galaxy of a part of a survey. how: {n, seed, steps,
-- tolerance, precision, row, seen, given}.
local function of(run, part, how)
  local flow = run.flow
  local self = setmetatable({ run = run, part = part, id = part.ids[1], names = flow.theta }, Posterior)
  for name, value in pairs(how) do self[name] = value end
  if part.theta then
    self.truth = {}
    for i, name in ipairs(self.names) do self.truth[name] = part.theta:get(1, i) end
  end
  local function measured() return galaxies.outside(flow, galaxies.shown(flow, part)) end
  local outside = draws.quietly(flow, measured)
  self.outside = outside and outside[1] or nil
  return dress(self, Posterior)
end

--- object.weighted(p, samples {n, d}, weights, effective, what, told): p's galaxy with these draws and
-- weights, an array from 0.
local function with_weights(p, samples, weights, effective, what, told)
  local self = setmetatable({}, Posterior)
  for name in pairs(FIELDS) do self[name] = p[name] end
  self.n, self.effective, self.what, self.told = samples:size(1), effective, what, told
  draws.adopt(self, samples, weights)
  return dress(self, Posterior)
end

return { of = of, weighted = with_weights, dress = dress, Posterior = Posterior }
