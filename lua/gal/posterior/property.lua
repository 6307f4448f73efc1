-- posterior/property: one property of a posterior, or of a list of posteriors, as a value: p.a_v. What it
-- gives of a list is a list, a number a galaxy.
local draws = require "gal.posterior.draws"
local errors = require "gal.base.errors"
local labels = require "gal.plot.labels"

local Property = {}
Property.__index = Property

-- fn(column, k) of the property's only galaxy, or a list of those of all.
local function each(self, fn)
  local owner = self.posterior
  if not owner.many then return fn(draws.column(owner, self.place, 1), 1) end
  local list = {}
  for k = 1, #owner.part.ids do list[k] = fn(draws.column(owner, self.place, k), k) end
  return list
end

--- p.a_v:quantile(q): the q-quantile of the property's draws, q from 0 to 1; a list for a list
-- p.a_v:quantile{.16, .5, .84}. Linear between the draws, as numpy's.
function Property:quantile(q)
  local levels = type(q) == "number" and { q }
    or errors.list("quantile", "q", q, "a number from 0 to 1, or a list of them")
  for i = 1, #levels do errors.number("quantile", ("q[%d]"):format(i), levels[i], 0, 1) end
  return each(self, function(column)
    local found = draws.quantiles(column, levels)
    return type(q) == "number" and found[1] or found
  end)
end

--- p.a_v:median(): the median of the property's draws.
function Property:median() return self:quantile(0.5) end

--- p.a_v:mean(): the mean of the property's draws.
function Property:mean() return each(self, function(column) return (draws.moments(column)) end) end

--- p.a_v:std(): the standard deviation of the property's draws.
function Property:std() return each(self, function(column) return (select(2, draws.moments(column))) end) end

--- p.a_v:interval(level = .68): the central interval {low, high} that holds a share `level` of the draws.
function Property:interval(level)
  level = errors.number("interval", "level", level or 0.68, 0, 1)
  return self:quantile{ (1 - level) / 2, (1 + level) / 2 }
end

--- p.a_v:hpd(level = .68): the shortest interval {low, high} that holds a share `level` of the draws: of
-- highest density, where the posterior has one peak.
function Property:hpd(level)
  level = errors.number("hpd", "level", level or 0.68, 0, 1)
  return each(self, function(column) return { draws.shortest(column, level) } end)
end

--- p.a_v:below(v): how probable it is that the property is below v: the share of the draws.
function Property:below(v)
  errors.number("below", "v", v)
  return each(self, function(column) return draws.below(column, v) end)
end

--- p.a_v:above(v): how probable it is that the property is v or above: the share of the draws.
function Property:above(v)
  errors.number("above", "v", v)
  return each(self, function(column) return 1 - draws.below(column, v) end)
end

--- p.a_v:samples(n): n draws of the property, a tensor {n}; of a list {N, n}.
function Property:samples(n)
  local all = self.posterior:sample(n)
  return all:select(#all.shape, self.place):contiguous()
end

local function shown(v) return ("%.4g"):format(v) end

function Property:__tostring()
  local owner, unit = self.posterior, self.unit ~= "" and " " .. self.unit or ""
  if owner.many then
    return ("%s of %d galaxies%s"):format(self.name, #owner.part.ids, unit ~= "" and ", in" .. unit or "")
  end
  local low, middle, high = unpack(self:quantile{ 0.16, 0.5, 0.84 })
  local truth = self.truth and ("; truth %s"):format(shown(self.truth)) or ""
  return ("%s = %s%s, 68 %% in %s to %s%s"):format(self.name, shown(middle), unit, shown(low), shown(high),
    truth)
end

local made = errors.methods(Property, "a property")

--- property.of(owner, i): property i of a posterior or a list of posteriors. truth: its true value, where it
-- is known: a number, or a list.
return {
  of = function(owner, i, truth)
    local name = owner.names[i]
    return setmetatable({
      posterior = owner, place = i, name = name, unit = labels.unit_of(name), truth = truth,
    }, made)
  end,
}
