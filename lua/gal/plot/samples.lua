-- The draws that a corner plot shows: sets of {n, d} values, cleaned and weighted, column by column.
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local host = require "gal.stats.host"
local thousands = require("gal.base.text").thousands
local weighted = require "gal.stats.weighted"
local raise, kind = errors.raise, errors.kind

local samples = {}

local DRAWS = 10000 -- of a galaxy whose flow is given; a fraction of a second

-- The draws of a set: a tensor {n, d}, or a flow's draws for one galaxy.
local function draws_of(where, name, set, n)
  if core.is_tensor(set) then return set end
  if type(set) ~= "table" or type(set.flow) ~= "table" or type(set.flow.sample) ~= "function" then
    raise("%s: %s is %s, expected draws {n, d}, or {flow =, context =}", where, name, kind(set))
  end
  local options = { n = n or DRAWS, steps = set.steps or "auto", progress = false }
  local found = set.flow:sample(set.context, options)
  if #found.shape == 3 then
    if found:size(1) ~= 1 then
      raise("%s: %s has the context of %d galaxies, expected one", where, name, found:size(1))
    end
    found = found:select(1, 1)
  end
  return found
end

-- The columns of draws {n, d} as arrays from 0.
local function columns_of(draws)
  local n, d = draws:size(1), draws:size(2)
  local values, columns = host.read(draws), {}
  for j = 1, d do
    local column = host.new(n)
    for i = 0, n - 1 do column[i] = values[i * d + j - 1] end
    columns[j] = column
  end
  return columns, n, d
end

-- Keeps the draws that `fits` says of each, and says how many went and why.
local function keep(set, fits)
  local count = 0
  for i = 0, set.n - 1 do
    if fits(i) then
      for _, column in ipairs(set.columns) do column[count] = column[i] end
      set.weights[count], count = set.weights[i], count + 1
    end
  end
  local gone = set.n - count
  set.n = count
  return gone
end

-- Leaves out draws that are no numbers or beyond a limit; a sentence for each reason.
local function clean(where, set, options, notes)
  for j, column in ipairs(set.columns) do
    local name = options.names[j]
    local gone = keep(set, function(i) return column[i] - column[i] == 0 end)
    if gone > 0 then
      notes[#notes + 1] = ("%s: %s draws in which %s is no finite number are left out"):format(set.title,
        thousands(gone), name)
    end
    local limits = options.limits[j]
    local low, high = limits[1] or -math.huge, limits[2] or math.huge
    gone = keep(set, function(i) return column[i] >= low and column[i] <= high end)
    if gone > 0 then
      notes[#notes + 1] = ("%s: %s draws in which %s is beyond its limit are left out"):format(set.title,
        thousands(gone), name)
    end
    if set.n == 0 then raise("%s: %s has no draws in which %s is a number", where, set.title, name) end
  end
end

-- Sums of weights, and which columns are the same in all draws.
local function measure(set, options, notes)
  local sum, squares = 0, 0
  for i = 0, set.n - 1 do
    sum, squares = sum + set.weights[i], squares + set.weights[i] ^ 2
  end
  set.sum, set.effective, set.constant, set.order = sum, sum * sum / squares, {}, {}
  for j, column in ipairs(set.columns) do
    local same = true
    for i = 1, set.n - 1 do
      if column[i] ~= column[0] then
        same = false
        break
      end
    end
    set.constant[j] = same
    if same then
      local form = "%s: %s is the same in all draws (%.4g)"
      notes[#notes + 1] = form:format(set.title, options.names[j], column[0])
    end
    set.order[j] = weighted.order(column, set.n)
  end
end

--- samples.quantiles(set, j, levels): the quantiles of the set's column j, at mid-weights.
function samples.quantiles(set, j, levels)
  return weighted.at(set.columns[j], set.weights, set.order[j], set.n, levels)
end

--- samples.read(where, name, given, o, notes): a set: {columns, a list of arrays from 0; n; weights; sum;
-- effective; constant, by column; order; title}. given: draws {n, d}, or {flow, context, steps}; o: {names,
-- limits, weights (or nil), title, draws}. Adds sentences on what was left out to notes.
function samples.read(where, name, given, o, notes)
  local draws = draws_of(where, name, given, o.draws)
  host.matrix(where, name, draws, o.columns)
  if draws:size(1) == 0 then raise("%s: %s has no draws", where, name) end
  local columns, n = columns_of(draws)
  local weights = weighted.weights(where, o.weights, n)
  local set = { columns = columns, n = n, weights = weights, title = o.title, weighted = o.weights ~= nil }
  clean(where, set, o, notes)
  measure(set, o, notes)
  if set.weighted then
    notes[#notes + 1] = ("%s: weighted, %s draws count as %s"):format(set.title, thousands(set.n),
      thousands(math.floor(set.effective + 0.5)))
  end
  return set
end

--- samples.some(set, most): the numbers (from 0) of at most so many draws, at equal steps of the summed
-- weights.
function samples.some(set, most)
  local list, so_far, i = {}, set.weights[0], 0
  local count = math.min(most, set.n)
  for k = 0, count - 1 do
    local target = (k + 0.5) / count * set.sum
    while so_far < target and i < set.n - 1 do
      i = i + 1
      so_far = so_far + set.weights[i]
    end
    if list[#list] ~= i then list[#list + 1] = i end
  end
  return list
end

--- samples.each(where, name, given, names, check): a list for each property of what `given`, a list by
-- number or a table by name, has for it; check(value, name) looks at each. Raises at a name that is no
-- property's.
function samples.each(where, name, given, names, check)
  local found = {}
  if given == nil then return found end
  if core.is_tensor(given) then given = given:reshape{ -1 }:totable() end
  errors.list(where, name, given, "a list, or a table by the properties' names")
  local number = {}
  for j, property in ipairs(names) do number[property] = j end
  for key, value in pairs(given) do
    local j = type(key) == "number" and key or number[key]
    if not (j and names[j]) then
      raise("%s: %s names %s, expected one of %s", where, name, kind(key), table.concat(names, ", "))
    end
    if value then found[j] = check(value, ("%s[%s]"):format(name, tostring(key))) end
  end
  return found
end

--- samples.names(where, given, sets, d): the names, a list of d strings: those of the options, of the flow,
-- or numbers.
function samples.names(where, given, sets, d)
  local names = given
  if names == nil then
    for _, set in ipairs(sets) do
      local flow = not core.is_tensor(set) and type(set) == "table" and set.flow
      names = names or type(flow) == "table" and flow.theta
    end
  end
  if type(names) ~= "table" then
    names = {}
    for j = 1, d do names[j] = "property " .. j end
  end
  errors.list(where, "names", names, "a list of strings")
  if #names ~= d then raise("%s: names has %d entries, expected %d", where, #names, d) end
  for j = 1, d do errors.text(where, ("names[%d]"):format(j), names[j]) end
  return names
end

return samples
