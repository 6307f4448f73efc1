-- flow/ensemble: several flows of the same properties and inputs as one: flow.ensemble{members = {a, b, c}}.
-- Its density is the mean of theirs, and its draws are theirs in equal shares (flow/mixture.lua). It has the
-- methods of a trained flow, so that whatever takes a trained flow takes an ensemble. Its members are trained
-- and saved, each by itself; the ensemble is not.
local arguments = require "gal.base.options"
local errors = require "gal.base.errors"
local inputs = require "gal.flow.inputs"
local json = require "gal.base.json"
local mixture = require "gal.flow.mixture"
local text = require "gal.base.text"
local raise = errors.raise

local M = {}
local Ensemble = {}
Ensemble.__index = Ensemble
--- ensemble.Ensemble: the metatable of ensembles.
M.Ensemble = Ensemble

-- A spread above which a galaxy is told to be one that the members do not agree on: half a
-- posterior deviation.
local APART = 0.5

--- ensemble.apart(members, n): that spread for n draws of so many members: more where chance alone leaves as
-- much of a few draws. Above 3 sqrt(members / n) it leaves less than one galaxy in a hundred, of two members
-- and eight properties, and fewer of more members (one-way analysis of variance of normal draws).
function M.apart(members, n) return math.max(APART, 3 * math.sqrt(members / n)) end

-- ---- which flows go together ----

-- Notes that say nothing about what the flow was shown.
local WORDS = { header = true, units = true, labels = true }

-- Notes by name, those of tables within as "images.crop".
local function flat(notes, prefix, into)
  for name, value in pairs(notes) do
    local nested = type(value) == "table" and type(next(value)) == "string"
    if nested and not WORDS[name] then
      flat(value, prefix .. name .. ".", into)
    elseif not WORDS[name] then
      into[prefix .. name] = value
    end
  end
  return into
end

local function shown(v) return v == nil and "nothing" or json.encode(v) end

-- What has to be the same in all members, by name: what a flow is of, and how its galaxies were seen.
local function facts_of(flow)
  local facts = flat(flow.notes or {}, "", {})
  facts.theta, facts.context = table.concat(flow.theta, ", "), table.concat(flow.context, ", ")
  facts.image = flow.encoder and table.concat(flow.image, ", ") or "none"
  return facts
end

-- Raises, naming both flows, where the facts of the other differ from the first's.
local function refuse_other(first, first_name, other, other_name)
  local names = {}
  for _, facts in ipairs{ first, other } do
    for name in pairs(facts) do names[name] = true end
  end
  local wrong = {}
  for name in pairs(names) do
    local a, b = shown(first[name]), shown(other[name])
    if a ~= b then
      wrong[#wrong + 1] = ("%s is %s in %s and %s in %s"):format(name, a, first_name, b, other_name)
    end
  end
  if #wrong == 0 then return end
  table.sort(wrong)
  raise("ensemble: the members do not go together: %s", table.concat(wrong, "; "))
end

-- Raises unless every member is a trained flow of the first's kind and device.
local function check(members, names)
  local Flow = require("gal.flow").Flow
  local seen, first = {}, nil
  for k, flow in ipairs(members) do
    if getmetatable(flow) ~= Flow then
      raise("ensemble: members[%d] is %s, expected a flow (gal.flow)", k, errors.kind(flow))
    end
    if not flow.scale then raise("ensemble: %s has not been trained: it has no units yet", names[k]) end
    if seen[flow] then raise("ensemble: %s is the same flow as %s", names[k], seen[flow]) end
    seen[flow] = names[k]
    first = first or facts_of(flow)
    refuse_other(first, names[1], facts_of(flow), names[k])
    if flow:device() ~= members[1]:device() then
      local home, other = members[1]:device(), flow:device()
      raise("ensemble: %s is on %s and %s on %s, expected one device", names[1], home, names[k], other)
    end
  end
end

--- ensemble.new(options): see flow.ensemble.
function M.new(given)
  local o = arguments.known("ensemble", given, { "members", "names" })
  local members = errors.list("ensemble", "members", o.members, "a list of flows")
  if #members < 2 then raise("ensemble: members has %d flows, expected at least 2", #members) end
  local names = {}
  for k = 1, #members do
    local name = o.names ~= nil and errors.list("ensemble", "names", o.names)[k]
    names[k] = name and errors.text("ensemble", ("names[%d]"):format(k), name) or ("member %d"):format(k)
  end
  check(members, names)
  local first = members[1]
  local self = setmetatable({
    members = {}, names = names, theta = first.theta, context = first.context, d = first.d, c = first.c,
    e = first.e, width = first.width, encoder = first.encoder, image = first.image,
    symmetric = first.symmetric, scale = first.scale, notes = first.notes, told = first.told or {},
  }, Ensemble)
  for k, flow in ipairs(members) do
    -- What a flow says once, such as that extinctions were taken off, all of them together say once.
    self.members[k], flow.told = flow, self.told
    self.familiar = self.familiar or flow.familiar
  end
  return self
end

function Ensemble:__tostring()
  local sentence = ("ensemble of %d flows (%s), the first: %s"):format(#self.members,
    table.concat(self.names, ", "), tostring(self.members[1]))
  return table.concat(text.filled(sentence, 80), "\n")
end

--- ensemble:device(): where its members' weights are.
function Ensemble:device() return self.members[1]:device() end

--- ensemble:to(device): moves all members, and returns the ensemble.
function Ensemble:to(device)
  for _, flow in ipairs(self.members) do flow:to(device) end
  return self
end

--- ensemble:save(): raises: each member is saved by itself, and a folder's ensemble.json names them.
function Ensemble.save()
  raise "save: an ensemble has no file of its own: save each member; ensemble.json in a folder names them"
end

-- ---- what the first member says ----

--- ensemble:outside(x): flow:outside, of the first member.
function Ensemble:outside(x) return self.members[1]:outside(x) end

--- ensemble:streams(x[, first, count]): flow:streams.
function Ensemble:streams(...) return self.members[1]:streams(...) end

--- ensemble:standard(context {N, c}): flow:standard, of the first member.
function Ensemble:standard(context) return self.members[1]:standard(context) end

--- ensemble:encode(seen, images[, precision]): flow:encode, of the first member.
function Ensemble:encode(...) return self.members[1]:encode(...) end

--- ensemble:ood(x): flow:ood. The members learned from galaxies that were seen alike, so one of them says how
-- rare a context is; an image is taken as the first member encodes it.
function Ensemble:ood(x)
  return require("gal.flow.familiar").ood(self, x)
end

-- ---- drawing and density ----

--- ensemble:sample(x[, options]): n draws of each galaxy, {N, n, d}, from the members in equal shares: of any
-- K draws in a row each member has one. Arguments and results as flow:sample's; a galaxy's draws are the same
-- alone and in any batch, and the first n are the same for every larger n. With steps = "auto" the report
-- has the most steps and the largest error of all members. `into` gets a galaxy's draws in one piece.
function Ensemble:sample(x, options)
  local samples, _, report = mixture.draw("sample", self, x, options, false)
  if report then return samples, report end
  return samples
end

--- ensemble:sample_and_log_prob(x[, options]): the draws {N, n, d} and the mixture's log densities at them
-- {N, n}, as flow:sample_and_log_prob's. The member that made a draw has its density from that integration;
-- the others integrate backwards from the draw. So K members take K times as long as one, and up to half as
-- long again with steps = "auto". The report's error is the largest of the members', rms over a galaxy's
-- draws.
function Ensemble:sample_and_log_prob(x, options)
  local samples, log_prob, report = mixture.draw("sample_and_log_prob", self, x, options, true)
  if report then return samples, log_prob, report end
  return samples, log_prob
end

--- ensemble:log_prob(theta, x[, options]): ln of the mean of the members' densities, nats, as
-- flow:log_prob's: with v the members' values (single precision) and m the largest, m + ln(sum of exp(v - m)
-- / K), summed in their order in double precision, and rounded to single.
function Ensemble:log_prob(theta, x, options)
  local log_prob, report = mixture.log_prob("log_prob", self, theta, x, options)
  if report then return log_prob, report end
  return log_prob
end

--- ensemble:floored(theta {N, d}, log_prob {N}): flow:floored, of the mean of the members' floors; nil where
-- none has one.
function Ensemble:floored(theta, log_prob)
  return require("gal.flow.floor").floored(self.members, theta, log_prob)
end

-- ---- how far its members are apart ----

--- ensemble:spread(samples {N, n, d}, streams {N}): how far the members' posteriors are apart, of each
-- galaxy, a list {N}: the scatter of their means, in posterior deviations, of the property where it is
-- largest. From draws of ensemble:sample and the galaxies' streams, of ensemble:streams. Of the members' n /
-- K draws each the means scatter by chance, too; that is taken off (one-way analysis of variance), and what
-- is left of it is about .3 sqrt(K / n) with one property, .5 with two and .9 with five. 0: they agree; NaN
-- where n is below 2 K, or a draw no number. It costs nothing beside the draws, and does not see members that
-- differ in width or shape alone: ensemble:divergence does.
function Ensemble:spread(samples, streams) return mixture.spread(self, samples, streams) end

--- ensemble:divergence(x[, {n = 200, steps = "auto", tolerance =, rng =, progress =, told =}]): the
-- Jensen-Shannon divergence of the members' posteriors of each galaxy (Lin 1991, eq. 5.1, equal weights),
-- nats, a list {N}: the mean over draws of ln density by the member that made the draw, less ln density by
-- the mixture. 0: they agree; ln K: no two overlap. It needs the densities of all members at n draws.
function Ensemble:divergence(x, options) return mixture.divergence(self, x, options) end

errors.methods(Ensemble, "an ensemble")

return M
