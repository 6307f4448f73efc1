-- posterior/compare: the posterior of a galaxy beside another, and those of many galaxies beside another
-- run's.
local draws = require "gal.posterior.draws"
local errors = require "gal.base.errors"
local figures = require "gal.posterior.figures"
local metrics = require "gal.metrics"
local words = require "gal.posterior.words"
local raise = errors.raise

local number = words.number

-- ---- one galaxy ----

local Comparison = {}
Comparison.__index = Comparison

--- c:corner{…}: both posteriors in one corner plot, as p:corner's.
function Comparison:corner(options) return figures.of_sets({ self.a, self.b }, options) end

-- ln q of the truth by one of them, or nil.
local function at_truth(p) return p.truth and not p.effective and p:log_prob(p.truth) or nil end

function Comparison:__tostring()
  local lines, rows, a, b = {}, {}, self.a, self.b
  words.filled(lines, ("First: %s, by %s. Second: %s, by %s."):format(words.galaxy(a), a.run:label(),
    words.galaxy(b), b.run:label()))
  for _, row in ipairs(self.table) do
    rows[#rows + 1] = {
      row.name, ("%s ± %s"):format(number(row.first), ("%.2g"):format(row.first_std)),
      ("%s ± %s"):format(number(row.second), ("%.2g"):format(row.second_std)), ("%+.2f σ"):format(row.shift),
      ("%.2f"):format(row.width), row.truth and number(row.truth) or "",
    }
  end
  local headers = { "property", "first", "second", "moves by", "width ratio", "truth" }
  if not a.truth then headers[#headers] = nil end
  lines[#lines + 1] = (words.table(rows, headers))
  if self.log_q then
    local x, y = unpack(self.log_q)
    local sentence = "ln q of the truth: %.3f and %.3f nats: the %s makes it %.3g times as probable."
    words.filled(lines, sentence:format(x, y, x > y and "first" or "second", math.exp(math.abs(x - y))))
  end
  words.filled(lines, "Medians ± standard deviations; moves: second less first, in the first's deviations.")
  return table.concat(lines, "\n")
end

errors.methods(Comparison, "a comparison")

-- The galaxy of p by another run.
local function by_run(run, p)
  if not p.given then
    local same, found = pcall(run.posterior, run, p.id)
    if same then return found end
    raise("compare: %s", (tostring(found):gsub("^[^:]*:%d+: ", ""):gsub("^posterior: ", "")))
  end
  local given = p.given
  if type(given) == "table" and given.image ~= nil and not run.flow.encoder then
    given = {}
    for name, value in pairs(p.given) do given[name] = name ~= "image" and value or nil end
  end
  return run:posterior(given)
end

local function is_run(v) return getmetatable(v) == require("gal.run").Run end

-- What is compared: the other posterior, or the run's. Raises where its properties are others.
local function other_of(p, other)
  if is_run(other) then other = by_run(other, p) end
  if getmetatable(other) ~= getmetatable(p) then
    raise("compare: other is %s, expected a posterior, or a run", errors.kind(other))
  end
  local theta, expected = table.concat(other.names, ", "), table.concat(p.names, ", ")
  if theta ~= expected then raise("compare: the other is of %s, expected %s", theta, expected) end
  return other
end

local compare = {}

--- compare.of(p, other): the comparison of a posterior with another, or with another run's of the same
-- galaxy: {a, b, table (a list of {name, first, first_std, second, second_std, shift, width, truth}), log_q
-- {2}, of the truth, where both have densities and the galaxy is the same}.
function compare.of(p, other)
  other = other_of(p, other)
  local self = setmetatable({ a = p, b = other, table = {} }, Comparison)
  for i, name in ipairs(p.names) do
    local x, y = draws.column(p, i, 1), draws.column(other, i, 1)
    local first, second = draws.quantiles(x, { 0.5 })[1], draws.quantiles(y, { 0.5 })[1]
    local _, first_std = draws.moments(x)
    local _, second_std = draws.moments(y)
    self.table[i] = {
      name = name, first = first, first_std = first_std, second = second, second_std = second_std,
      shift = (second - first) / first_std, width = second_std / first_std, truth = p.truth and p.truth[name],
    }
  end
  local a, b = p.id == other.id and at_truth(p) or nil, at_truth(other)
  if a and b then self.log_q = { a, b } end
  return self
end

-- ---- many galaxies ----

local Many = {}
Many.__index = Many

function Many:__tostring()
  local lines, rows, total = {}, {}, #self.ids
  words.filled(lines, ("%d galaxies: first by %s, second by %s."):format(total, self.a.run:label(),
    self.b.run:label()))
  for _, row in ipairs(self.table) do
    rows[#rows + 1] = {
      row.name, number(row.rmse_first), number(row.rmse_second), ("%.3f"):format(row.width),
    }
  end
  lines[#lines + 1] = (words.table(rows, { "property", "RMSE, first", "RMSE, second", "width ratio" }))
  local d = self.difference
  if d then
    words.filled(lines, ("ln q of the truth, second less first: %+.3f ± %.3f nats, higher for %.0f %% of the "
      .. "galaxies."):format(d.mean, d.error, 100 * d.higher))
  end
  words.filled(lines, "RMSE of the posterior means, in the properties' units; width ratio: the median of "
    .. "second over first.")
  return table.concat(lines, "\n")
end

errors.methods(Many, "a comparison")

local function log_q_of(list)
  if not list.part.theta then return nil end
  return list:log_prob(list.part.theta):reshape{ -1 }:totable()
end

-- The differences of two lists of numbers: {mean, error, higher}; without those that are no numbers.
local function difference_of(a, b)
  local list, higher = {}, 0
  for k = 1, #a do
    local v = b[k] - a[k]
    if v - v == 0 then list[#list + 1], higher = v, higher + (v > 0 and 1 or 0) end
  end
  if #list < 2 then return nil end
  local mean, _, error_ = metrics.moments(list)
  return { mean = mean, error = error_, higher = higher / #list }
end

local function rmse(means, truth)
  local sum, count = 0, 0
  for k, mean in ipairs(means) do
    local v = (mean - truth[k]) ^ 2
    if v == v then sum, count = sum + v, count + 1 end
  end
  return math.sqrt(sum / count)
end

--- compare.many(list, other): the posteriors of a list of galaxies beside another run's: {ids, a, b, table (a
-- list of {name, width, rmse_first, rmse_second}), difference {mean, error, higher}, log_q {2}{N}}; the last
-- columns where the truth is known.
function compare.many(list, other)
  if is_run(other) then other = other:posterior(list.given or list.ids) end
  if getmetatable(other) ~= getmetatable(list) or #other.ids ~= #list.ids then
    raise("compare: other is %s, expected a run, or the same galaxies' posteriors", errors.kind(other))
  end
  for k, id in ipairs(list.ids) do
    if other.ids[k] ~= id then raise("compare: galaxy %d is %s, expected %s", k, other.ids[k], id) end
  end
  local theta, expected = table.concat(other.names, ", "), table.concat(list.names, ", ")
  if theta ~= expected then raise("compare: the other is of %s, expected %s", theta, expected) end
  local self = setmetatable({ a = list, b = other, ids = list.ids, table = {} }, Many)
  for i, name in ipairs(list.names) do
    local x, y, ratios = list.properties[i]:std(), other.properties[i]:std(), {}
    for k = 1, #x do ratios[k] = y[k] / x[k] end
    local row = { name = name, width = metrics.quantile(ratios, 0.5) }
    local truth = list.properties[i].truth
    if truth then
      row.rmse_first = rmse(list.properties[i]:mean(), truth)
      row.rmse_second = rmse(other.properties[i]:mean(), truth)
    end
    self.table[i] = row
  end
  local a, b = log_q_of(list), log_q_of(other)
  if a and b then self.log_q, self.difference = { a, b }, difference_of(a, b) end
  return self
end

return compare
