-- posterior/list: the posteriors of several galaxies as a value: what run:find, run:worst and
-- run:posterior{…} of a list give. list[k] is the posterior of galaxy k (posterior/object.lua); what is asked
-- of the list is asked of all galaxies together, and each gets the draws that it has alone. Its fields:
--   run, ids {N}, part, names, n, seed, …   as a posterior's; list.a_v is a property of all of them
--   told      sentences on how they were chosen
--   columns   {{name, {N}}, …}: what they were chosen by, or nil
local draws = require "gal.posterior.draws"
local errors = require "gal.base.errors"
local figures = require "gal.posterior.figures"
local galaxies = require "gal.infer.galaxies"
local infer = require "gal.infer"
local names = require "gal.posterior.names"
local object = require "gal.posterior.object"
local words = require "gal.posterior.words"
local raise = errors.raise

local Posteriors = {}
Posteriors.__index = Posteriors

--- list:sample(n = 1000): n draws of each galaxy, a tensor {N, n, d}; the first are the same for every n.
function Posteriors:sample(n)
  return draws.of(self, errors.integer("sample", "n", n or self.n, 1, 2 ^ 31))
end

--- list:log_prob(theta): the exact log densities, nats: theta {N, d}, a point a galaxy, gives {N}; {N, m, d}
-- gives {N, m}.
function Posteriors:log_prob(theta)
  local flow = self.run.flow
  return (draws.quietly(flow, function()
    return flow:log_prob(theta, galaxies.shown(flow, self.part), { steps = self.steps, told = false })
  end))
end

--- list:property(name): a property of all galaxies, list.a_v by its name.
function Posteriors:property(name) return self.properties[names.place("property", self.names, name)] end

-- {name = {N}} of a property's method.
local function by_name(self, method, ...)
  local found = {}
  for i, name in ipairs(self.names) do found[name] = self.properties[i][method](self.properties[i], ...) end
  return found
end

--- list:mean(): the means of each property, {name = {N}}.
function Posteriors:mean() return by_name(self, "mean") end

--- list:median(): the medians of each property, {name = {N}}.
function Posteriors:median() return by_name(self, "median") end

--- list:std(): the standard deviations of each property, {name = {N}}.
function Posteriors:std() return by_name(self, "std") end

--- list:quantile(q): the quantiles of each property, {name = {N}}, lists of lists for a list of q.
function Posteriors:quantile(q) return by_name(self, "quantile", q) end

--- list:summary(): a table (gal.table) with a row a galaxy: id, what they were chosen by, mean, deviation and
-- percentiles of each property, outside and flagged, as infer.posteriors gives it.
function Posteriors:summary()
  local found = draws.quietly(self.run.flow, function()
    return infer.posteriors(self.run.flow, self.part, {
      n = self.n, steps = self.steps, tolerance = self.tolerance, precision = self.precision,
      seed = self.seed, progress = false,
    })
  end)
  for _, column in ipairs(self.columns or {}) do found.summary:set(column[1], column[2]) end
  return found.summary
end

--- list:corner{…}: the corner plots of at most six galaxies, one over the other, as p:corner's.
function Posteriors:corner(options)
  local all = {}
  for k = 1, #self.ids do all[k] = self[k] end
  return figures.of_sets(all, options)
end

--- list:cutout(): the galaxies' images side by side, at most 30, a figure for gal.show.
function Posteriors:cutout() return figures.cutouts(self.part) end

--- list:compare(other): the posteriors beside another run's of the same galaxies: which makes the truth more
-- probable, and how much narrower they are. It prints.
function Posteriors:compare(other) return require("gal.posterior.compare").many(self, other) end

--- list:save("x.csv" | ".fits" | ".npz"): list:summary() as a table, or all draws, an array {N, n} a
-- property. Returns the path.
function Posteriors:save(path) return require("gal.posterior.save").many(self, path) end

-- ---- what it prints ----

local SHOWN = 15 -- galaxies

-- The places of the properties, those first that the galaxies were chosen by.
local function chosen_first(self)
  local places, last = {}, {}
  for i, name in ipairs(self.names) do
    local chosen = false
    for _, column in ipairs(self.columns or {}) do chosen = chosen or column[1]:match "%S+$" == name end
    table.insert(chosen and places or last, i)
  end
  for _, i in ipairs(last) do places[#places + 1] = i end
  return places
end

function Posteriors:__tostring()
  local lines, total = {}, #self.ids
  local count = math.min(SHOWN, total)
  words.filled(lines, ("Posteriors of %d galaxies, by %s (%d draws each)."):format(total, self.run:label(),
    self.n))
  for _, sentence in ipairs(self.told or {}) do words.filled(lines, sentence) end
  local few = self
  if count < total then
    local first = {}
    for k = 1, count do first[k] = k end
    few = { run = self.run, part = self.part:select(first), names = self.names, many = true }
    for _, name in ipairs{ "n", "seed", "steps", "tolerance", "precision" } do few[name] = self[name] end
  end
  local rows, headers = {}, { "", "id" }
  for _, column in ipairs(self.columns or {}) do headers[#headers + 1] = column[1] end
  local kept, places = #headers, chosen_first(self)
  for _, i in ipairs(places) do headers[#headers + 1] = self.names[i] end
  for k = 1, count do
    rows[k] = { ("[%d]"):format(k), self.ids[k] }
    for _, column in ipairs(self.columns or {}) do table.insert(rows[k], words.number(column[2][k])) end
    for _, i in ipairs(places) do
      table.insert(rows[k], words.number(draws.quantiles(draws.column(few, i, k), { 0.5 })[1]))
    end
  end
  local text, out = words.table(rows, headers, kept)
  lines[#lines + 1] = text
  local more = count < total and ("%d more; "):format(total - count) or ""
  local left = #out > 0 and ("; not shown: %s (list:summary() has all)"):format(table.concat(out, ", ")) or ""
  words.filled(lines, ("%smedians of the properties%s."):format(more, left))
  return table.concat(lines, "\n")
end

errors.methods(Posteriors, "a list of posteriors")

--- list.of(run, part, how, facts): the posteriors of a part's galaxies. how: {n, seed, steps, tolerance,
-- precision, given}; facts(k): {row, seen} of galaxy k.
local function of(run, part, how, facts)
  local self = setmetatable({ run = run, part = part, ids = part.ids, names = run.flow.theta, many = true },
    Posteriors)
  if #part.ids == 0 then raise "posterior: there are no galaxies" end
  for name, value in pairs(how) do self[name] = value end
  for k = 1, #part.ids do
    local own = {}
    for name, value in pairs(how) do own[name] = value end
    for name, value in pairs(facts(k)) do own[name] = value end
    self[k] = object.of(run, part:select{ k }, own)
  end
  return object.dress(self, Posteriors)
end

return { of = of, Posteriors = Posteriors }
