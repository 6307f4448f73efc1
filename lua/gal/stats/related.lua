-- related: properties that are nothing of their own: another property or a predictor times a factor, a
-- function of one, or a combination of several. There is nothing to learn of them, and what looks like a
-- perfect posterior is a copy. Columns here are {name, values {N}}, finite, all of the same rows.
local linalg = require "gal.stats.linalg"

local related = {}

-- Rows that relations are looked for in, at most: 500 that rise together do so by no chance.
local SAMPLED = 500
-- Rows, and different values of either column, that a relation is told of from: a column of three values
-- rises with many.
local ROWS, VALUES = 20, 10
-- A property is a factor times another, or a sum of several, where less than this share of its variance is
-- left: rounding to three digits after the point leaves 1e-7 of a magnitude's.
local LEFT = 1e-6

-- Rows with a value this many deviations off the others, by the quartiles, do not count: two columns that
-- have the same mark for missing values would look alike by it.
local FAR = 20

-- bad[k] is set for each row k of the list that is FAR off.
local function mark_far(list, bad)
  local ascending = {}
  for k = 1, #list do ascending[k] = list[k] end
  table.sort(ascending)
  local low, high = ascending[math.ceil(#list / 4)], ascending[math.ceil(#list * 3 / 4)]
  local most = FAR * (high - low) / 1.349
  if most == 0 then return end
  for k = 1, #list do
    if low - list[k] > most or list[k] - high > most then bad[k] = true end
  end
end

-- At most SAMPLED rows of the columns, spread evenly, without those that are far off, as lists; nil where
-- there are too few.
local function sampled(columns)
  local n, lists, bad = #columns[1].values, {}, {}
  local m = math.min(n, SAMPLED)
  for i, column in ipairs(columns) do
    lists[i] = {}
    for k = 1, m do lists[i][k] = column.values[math.floor((k - 1) * n / m) + 1] end
    if m >= ROWS then mark_far(lists[i], bad) end
  end
  for i, list in ipairs(lists) do
    local kept = {}
    for k = 1, m do
      if not bad[k] then kept[#kept + 1] = list[k] end
    end
    lists[i] = kept
  end
  return #lists[1] >= ROWS and lists or nil
end

local function different(list)
  local seen, count = {}, 0
  for _, v in ipairs(list) do
    if not seen[v] then seen[v], count = true, count + 1 end
  end
  return count
end

-- Whether y never falls where x rises (sign 1), or never rises (sign -1).
local function monotone(x, y, sign)
  local order = {}
  for k = 1, #x do order[k] = k end
  table.sort(order, function(a, b)
    if x[a] ~= x[b] then return x[a] < x[b] end
    return sign * y[a] < sign * y[b]
  end)
  for k = 2, #order do
    if sign * y[order[k]] < sign * y[order[k - 1]] then return false end
  end
  return true
end

-- Mean and deviation of a list.
local function moments(list)
  local sum, squares = 0, 0
  for _, v in ipairs(list) do sum = sum + v end
  local mean = sum / #list
  for _, v in ipairs(list) do squares = squares + (v - mean) ^ 2 end
  return mean, math.sqrt(squares / #list)
end

-- "1.086 times tau less 0.3" where y is that of x, else nil.
local function factor(x, y, name)
  local mean_x, deviation_x = moments(x)
  local mean_y, deviation_y = moments(y)
  local product = 0
  for k = 1, #x do product = product + (x[k] - mean_x) * (y[k] - mean_y) / #x end
  if 1 - (product / deviation_x / deviation_y) ^ 2 > LEFT then return nil end
  local slope = product / deviation_x ^ 2
  local constant = mean_y - slope * mean_x
  if math.abs(constant) < 1e-4 * deviation_y then return ("%.4g times %s"):format(slope, name) end
  return ("%.4g times %s %s %.3g"):format(slope, name, constant < 0 and "less" or "and", math.abs(constant))
end

-- What property y is of column x, in words, or nil.
local function of_one(x, y, name)
  if different(x) < VALUES or different(y) < VALUES then return nil end
  if not monotone(x, y, 1) and not monotone(x, y, -1) then return nil end
  return factor(x, y, name) or "a function of " .. name
end

-- The list in units of its deviation, less its mean; nil where it has none.
local function standard(list)
  local mean, deviation = moments(list)
  if not (deviation > 0) then return nil end
  local result = {}
  for k = 1, #list do result[k] = (list[k] - mean) / deviation end
  return result
end

local function product(x, y)
  local sum = 0
  for k = 1, #x do sum = sum + x[k] * y[k] end
  return sum / #x
end

-- Some of the lists' numbers, such that none of them is a combination of those before it, and the correlation
-- matrix of these. lists: standard's; false for those without deviation.
local function independent(lists)
  local chosen, matrix = {}, {}
  for i, list in ipairs(lists) do
    if list then
      local row = {}
      for j, other in ipairs(chosen) do row[j] = product(list, lists[other]) end
      row[#chosen + 1] = 1
      matrix[#chosen + 1] = row
      for j = 1, #chosen do matrix[j][#chosen + 1] = row[j] end
      local _, fails = linalg.cholesky(matrix)
      -- What is left of it has to be more than rounding, too.
      local left = not fails and linalg.cholesky(matrix)[#matrix][#matrix] ^ 2 or 0
      if left > LEFT then
        chosen[#chosen + 1] = i
      else
        matrix[#matrix] = nil
        for j = 1, #chosen do matrix[j][#chosen + 1] = nil end
      end
    end
  end
  return chosen, matrix
end

-- The names of the columns that y is a combination of, "g, r", or nil. lists {columns}: standard's; y too.
local function of_several(lists, names, y)
  local chosen, matrix = independent(lists)
  if #chosen < 2 or #y < 4 * (#chosen + 1) then return nil end
  local right = {}
  for j, i in ipairs(chosen) do right[j] = product(lists[i], y) end
  local weights, explained, used = linalg.apply(linalg.invert(matrix), right), 0, {}
  for j = 1, #chosen do explained = explained + weights[j] * right[j] end
  if 1 - explained > LEFT then return nil end
  for j, i in ipairs(chosen) do
    if math.abs(weights[j]) > 1e-3 then used[#used + 1] = names[i] end
  end
  return table.concat(used, ", ")
end

--- related.of(theta, context): a sentence on each property of the list theta that is a factor times another
-- column, a function of one or a combination of several, of context or of the properties before it.
function related.of(theta, context)
  local columns, sentences = {}, {}
  for _, list in ipairs{ context, theta } do
    for _, column in ipairs(list) do columns[#columns + 1] = column end
  end
  local lists = #columns > 0 and sampled(columns)
  if not lists then return sentences end
  local standards, names = {}, {}
  for i, column in ipairs(columns) do
    local y, found = lists[i], nil
    local scaled = standard(y) or false
    if i > #context and scaled then
      for j = 1, i - 1 do found = found or standards[j] and of_one(lists[j], y, names[j]) end
      local several = not found and of_several(standards, names, scaled)
      found = found or several and "a combination of " .. several
    end
    if found then
      sentences[#sentences + 1] = ("suspicious: %s is %s in all of %d rows: there is nothing to infer "
        .. "of it"):format(column.name, found, #y)
    end
    standards[i], names[i] = scaled, column.name
  end
  return sentences
end

return related
