-- posterior/trust: whether a galaxy's posterior can be believed: by how rare the galaxy is, by the
-- integration's error, and by the posteriors of test galaxies that are most like it.
local calibration = require "gal.calibration"
local draws = require "gal.posterior.draws"
local encoding = require "gal.infer.encoding"
local errors = require "gal.base.errors"
local gal = require "gal"
local galaxies = require "gal.infer.galaxies"
local inputs = require "gal.flow.inputs"
local tested = require "gal.posterior.tested"
local words = require "gal.posterior.words"

local Trust = {}
Trust.__index = Trust

local NEAR, LEAST = 500, 100 -- test galaxies; below 100 there is no test
local COMPONENTS = 8         -- of the image's encoding, where the run infers from images alone
local apart = require("gal.flow.ensemble").apart
local RARE = 1e-3            -- rarer than so many validation galaxies is told as a doubt

-- What the galaxies are compared in: the run's inputs, or the first components of its encoded images: of the
-- test galaxies {N, c}, of the galaxy {c}, and their names.
local function spaces(p, found)
  local flow = p.run.flow
  if flow.c > 0 then return found.part.context, p.part.context:select(1, 1), flow.context end
  local own, known = encoding.components(flow, found.part, p.part, COMPONENTS)
  local names = {}
  for i = 1, known:size(2) do names[i] = "image component " .. i end
  return known, own:select(1, 1), names
end

-- The calibration of the nearest test galaxies, or nil and the reason why there is none.
local function nearby(p, near)
  local found = tested.of(p.run)
  local out, count = {}, 0
  for _, k in ipairs(found.lost) do out[#out + 1] = k end
  for k, id in ipairs(found.part.ids) do
    if id == p.id and not p.given then out[#out + 1] = k end
  end
  count = #found.part.ids - #out
  if count < LEAST then
    return nil, ("%d test galaxies are too few, a test of calibration takes %d"):format(count, LEAST)
  end
  local context, x, along = spaces(p, found)
  local c = calibration.near(x, math.min(near, count), found.part.theta, found.samples, {
    log_q = found.log_q, log_q_true = found.log_q and found.log_q_true, names = p.names,
    context = context, context_names = along, left_out = #out > 0 and out or nil,
  })
  return c, found.from
end

-- The worst of what is said of the galaxy itself.
local function verdict_of(self)
  if self.lost then return "don't: its draws are no numbers" end
  if self.outside and self.outside > inputs.FAR then
    return "don't: it lies far outside of what the run was trained on"
  end
  local doubts = {}
  for _, name in ipairs{ "context", "image" } do
    local share = self.ood and self.ood[name]
    if share and share < RARE then
      doubts[#doubts + 1] = ("fewer than 1 in 1000 validation galaxies are as rare in %s"):format(
        name == "context" and "what it was inferred from" or "its image")
    end
  end
  if self.spread and self.spread > apart(self.members, self.draws) then
    doubts[#doubts + 1] = "the run's members do not agree on it"
  end
  if self.flagged then doubts[#doubts + 1] = "the integration's error is beyond the tolerance" end
  local c = self.calibration
  if c and c.grade == "not calibrated" then
    doubts[#doubts + 1] = "the posteriors of galaxies like it are not calibrated"
  end
  if #doubts > 0 then return "with doubts: " .. table.concat(doubts, "; ") end
  if not c then return "nothing speaks against it, but its like were not tested" end
  return "yes, as far as can be told"
end

-- How far the members of p's run are apart in nats; nil where it is no ensemble.
local function divergence_of(p)
  local flow = p.run.flow
  if not flow.divergence or p.effective then return nil end
  return draws.quietly(flow, function()
    return flow:divergence(galaxies.shown(flow, p.part), { rng = gal.rng(p.seed), told = false })
  end)[1]
end

--- trust.of(p, near): see Posterior:trust: {outside, ood = {context =, image =} or nil, error and tolerance
-- of the integration, flagged, spread and divergence of an ensemble's members or nil, calibration
-- (calibration.near's test, or nil), from or why, words on it, verdict}.
local function of(p, near)
  near = errors.integer("trust", "near", near or NEAR, LEAST, 1e6)
  local report
  if not p.effective then report = draws.report(p) end
  local self = setmetatable({
    id = p.id, outside = p.outside, flagged = not p.effective and p:flagged(), weighted = p.effective ~= nil,
    lost = draws.column(p, 1, 1).lost, error = report and report.error:get(1),
    tolerance = report and report.tolerance, members = p.run.flow.members and #p.run.flow.members,
    draws = draws.of(p):size(2),
  }, Trust)
  self.spread, self.divergence = p:spread(), divergence_of(p)
  local ood, unknown = p:ood()
  if not ood and p.run:familiarise() then ood, unknown = p:ood() end
  self.ood, self.unknown = ood, unknown
  local known, c, why = pcall(nearby, p, near)
  if known then
    self.calibration, self.from = c, why
  elseif c == errors.interrupted then
    error(c, 0)
  else
    self.from = tostring(c):gsub("^[^:]*:%d+: ", "")
  end
  self.verdict = verdict_of(self)
  return self
end

function Trust:__tostring()
  local lines = {}
  words.filled(lines, ("Galaxy %s: believe its posterior? %s."):format(self.id, self.verdict:gsub("^%l",
    string.upper)))
  local function add(form, ...) words.item(lines, form:format(...)) end
  if self.outside then
    add("its most extreme input lies %.2g deviations from the training galaxies' mean", self.outside)
  end
  for _, name in ipairs{ "context", "image" } do
    local share = self.ood and self.ood[name]
    if share then
      add("%.3g %% of the validation galaxies are rarer in %s", 100 * share,
        name == "context" and "what it was inferred from" or "their image")
    end
  end
  if not self.ood then add("how rare such inputs are is not known: %s", self.unknown) end
  if self.error then
    add("the integration's error is %.1e posterior deviations, within %g: %s", self.error, self.tolerance,
      self.flagged and "no" or "yes")
  end
  if self.spread then
    add("the means of the run's %d members scatter %s; the Jensen-Shannon divergence "
      .. "of their posteriors is %.2g nats", self.members, words.spread(self.spread), self.divergence)
  end
  if self.weighted then add "its draws are weighted; the above is of the draws before" end
  local c = self.calibration
  if c then
    add("the %d test galaxies most like it: %s (p = %.3g)", c.n, c.verdict, c.p)
    add("these are from %s", self.from)
  else
    add("its like are not tested: %s", self.from)
  end
  return table.concat(lines, "\n")
end

errors.methods(Trust, "a judgement")

return { of = of }
