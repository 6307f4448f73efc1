-- suspects: what a column of numbers says before anything is learned from it: marks for missing values,
-- outliers that set the scale, a grid of few values, what single precision makes of it. Each is one sentence.
-- A column here is a list of finite numbers in double precision; the file it comes from does not matter.
local ffi = require "ffi"

local suspects = {}

-- A value is far from FAR deviations off the others on, and a mark where it stands there OFTEN. A survey's
-- faintest are within (a magnitude deviates by .3 to 2 mag); 99 and -999 are beyond.
local FAR, OFTEN = 20, 3
-- Values that are far and no marks are told of where they make the deviation FACTOR times what it is without
-- them. Far values are a long tail, and told of where they are the RARE share of all at most (two of a small
-- table), unless the nearest lies GAP times as far off as the furthest of the others. A mark does so.
local RARE, FACTOR, GAP = 0.02, 2, 3
-- A property of at most FEW values, each of which MANY galaxies share in the mean, is a class or a grid.
local FEW, MANY = 50, 4
-- Rounding by more than this share of the deviation is told: a hundredth hides no feature of a posterior.
local COARSE = 0.01

-- A positive column whose last hundredth lies SKEWED times as far above its median as the first lies below is
-- told of, where its logarithm is EVEN to a factor: a lognormal one of .4 dex is skewed 8.5 times, an
-- exponential one 5.8. In fewer rows than SOME nothing is said of the whole.
local SKEWED, EVEN, SOME = 8, 3, 10

-- Values that quartiles are taken of, at most.
local SAMPLED = 10000

local SMALLEST = 1.1754943508222875e-38 -- of single precision, with all its digits

local cell = ffi.new "float[1]"

--- suspects.single(v): v as single precision holds it.
function suspects.single(v)
  cell[0] = v
  return cell[0]
end
local single = suspects.single

--- suspects.beyond(v): whether v is a number that is infinite in single precision.
function suspects.beyond(v) return v - v == 0 and single(v) - single(v) ~= 0 end

-- The different values of a list, each once; those beyond the first `most` are left out.
local function different(values, most)
  local seen, list = {}, {}
  for k = 1, #values do
    local v = values[k]
    if not seen[v] then
      seen[v] = true
      list[#list + 1] = v
      if #list == most then break end
    end
  end
  return list
end

-- Mean and deviation of the values for which keep(value) holds.
local function moments(values, keep)
  local n, sum, squares = 0, 0, 0
  for k = 1, #values do
    if keep(values[k]) then n, sum = n + 1, sum + values[k] end
  end
  local mean = sum / n
  for k = 1, #values do
    if keep(values[k]) then squares = squares + (values[k] - mean) ^ 2 end
  end
  return mean, math.sqrt(squares / n)
end

local function all() return true end

-- "99 in 12 galaxies, -99 in 5": the most frequent first, four at most.
local function listed(marks, counts, o)
  table.sort(marks, function(a, b)
    if counts[a] ~= counts[b] then return counts[a] > counts[b] end
    return a > b
  end)
  local parts = {}
  for i = 1, math.min(4, #marks) do
    parts[i] = ("%.6g in %d%s"):format(marks[i], counts[marks[i]], i == 1 and " " .. o.many or "")
  end
  return table.concat(parts, ", ") .. (#marks > 4 and (", and %d other values"):format(#marks - 4) or "")
end

-- The quartiles of the values, of at most SAMPLED of them. Each value counts once, so that a mark is not one
-- of the others however many rows have it; the smallest and the largest, which may be marks, do not count.
-- nil where there are too few.
local function quartiles(values)
  local some, step = {}, math.ceil(#values / SAMPLED)
  for k = 1, #values, step do some[#some + 1] = values[k] end
  local distinct = different(some)
  table.sort(distinct)
  local n = #distinct - 2
  if n < 4 then return nil end
  return distinct[1 + math.ceil(n / 4)], distinct[1 + math.ceil(n * 3 / 4)]
end

-- The sentence on values that are far, few and no marks, and that set the column's scale; nil without such.
-- far, marks: lists of values; low and high: the quartiles; gap: from which distance to them a value is apart
-- from the others.
local function outliers(name, values, counts, far, marks, low, high, gap, o)
  local count, furthest, off, apart, is_far, is_mark = 0, nil, 0, true, {}, {}
  for _, v in ipairs(marks) do is_mark[v] = true end
  for _, v in ipairs(far) do
    local from = math.max(low - v, v - high)
    count, is_far[v], apart = count + counts[v], true, apart and from >= gap
    if from > off then furthest, off = v, from end
  end
  if count == 0 or not apart and count > math.max(2, RARE * #values) then return nil end
  local _, with = moments(values, function(v) return not is_mark[v] end)
  local _, without = moments(values, function(v) return not is_mark[v] and not is_far[v] end)
  if not (with >= FACTOR * without) then return nil end
  local form = "suspicious: %s is %s%.6g in %s, half of the others are within %.4g to %.4g: %s the scale, a "
    .. "deviation of %.3g, %.3g without"
  if count == 1 then
    return form:format(name, "", furthest, "one " .. o.one, low, high, "it alone sets", with, without)
  end
  local where = ("%d %s"):format(count, o.many)
  return form:format(name, "as far off as ", furthest, where, low, high, "they alone set", with, without)
end

-- The sentence on values that stand far from the others, and often, as marks for missing values do; and that
-- on outliers. Either may be nil.
local function far_off(name, values, o)
  local low, high = quartiles(values)
  if not low then return nil end
  -- The deviation of the normal distribution with these quartiles.
  local most, counts, inner = FAR * (high - low) / 1.349, {}, 0
  for k = 1, #values do
    local v = values[k]
    local off = math.max(low - v, v - high)
    if off > most then counts[v] = (counts[v] or 0) + 1 elseif off > inner then inner = off end
  end
  local far, marks, sentence = {}, {}, nil
  for v, count in pairs(counts) do
    local mark = count >= OFTEN and math.max(low - v, v - high) >= GAP * inner
    local list = mark and marks or far
    list[#list + 1] = v
  end
  if #marks > 0 then
    local form = "suspicious: %s is %s, half of the others are within %.4g to %.4g; if that stands for a "
      .. "missing value, %s"
    sentence = form:format(name, listed(marks, counts, o), low, high, o.remedy)
  end
  return sentence, outliers(name, values, counts, far, marks, low, high, GAP * inner, o)
end

-- A round number below the values, within a thousand times `width` of them: "1600000000".
local function offset(mean, width)
  local step = 10 ^ math.ceil(math.log10(width) + 2)
  return ("%.17g"):format(math.floor(mean / step) * step)
end

-- The sentence on a column that single precision rounds coarsely, and how many values are left; nil where it
-- does not. worst: the largest error. count: how many values there are, where doubles don't tell.
local function coarse(name, values, worst, count)
  local mean, deviation = moments(values, all)
  if worst <= COARSE * deviation then return nil end
  local singles = {}
  for k = 1, #values do singles[k] = single(values[k]) end
  local before, after = count or #different(values), #different(singles)
  if after == before then return nil end
  local form = "%s has %d different values in the table and %d in single precision, which rounds it by up to "
    .. "%.3g where its deviation is %.3g: subtract an offset (%s)"
  return form:format(name, before, after, worst, deviation, offset(mean, math.max(deviation, worst))), after
end

-- What single precision makes of the column: a sentence, or nil; and whether it leaves nothing of it: one
-- value where there were several.
local function rounded(name, values, count)
  local worst, tiny, largest = 0, 0, 0
  for k = 1, #values do
    local v = values[k]
    local size = math.abs(v)
    worst = math.max(worst, math.abs(v - single(v)))
    if size > 0 and size < SMALLEST then tiny = tiny + 1 end
    largest = math.max(largest, size)
  end
  if tiny == 0 then
    local sentence, left = coarse(name, values, worst, count)
    return sentence, left == 1
  end
  local where = largest < SMALLEST and "all" or ("%d of the"):format(tiny)
  local form = "%s is below what single precision holds (1.2e-38) in %s %d rows: multiply it by a power of "
    .. "ten, or take its logarithm"
  return form:format(name, where, #values), largest < SMALLEST
end

--- suspects.few(name, values, rows): the sentence on a property that has few values, each of many rows
-- ("galaxies"); nil where it has a density.
function suspects.few(name, values, rows)
  local distinct = different(values, FEW + 1)
  if #distinct < 2 or #distinct > FEW or MANY * #distinct > #values then return nil end
  local form = "%s has %d different values among %d %s: it has no density; Delta log p and D_KL mean nothing "
    .. "of it"
  return form:format(name, #distinct, #values, rows)
end

-- The sentence on a column that is one value, or as skewed as one whose logarithm is meant; nil where it is
-- neither.
local function scale(name, values, o)
  local list = {}
  if #values < SOME then return nil end
  for k = 1, #values, math.ceil(#values / SAMPLED) do list[#list + 1] = values[k] end
  table.sort(list)
  local low, middle, high = list[math.ceil(#list / 100)], list[math.ceil(#list / 2)],
    list[math.floor(#list * 99 / 100)]
  if list[1] == list[#list] and #different(values, 2) == 1 then
    local form = "%s is %.6g in all %d %s: it tells nothing"
    return not o.inferred and form:format(name, list[1], #values, o.many) or nil
  end
  if list[1] <= 0 or high - middle < SKEWED * (middle - low) then return nil end
  local ratio = math.log(high / middle) / math.log(middle / low)
  if not (ratio < EVEN and ratio > 1 / EVEN) then return nil end
  local form = "%s is positive and runs from %.3g to %.3g: it is taken as it is; log10(%s) would "
    .. "be learned better"
  return form:format(name, low, high, name)
end

--- suspects.of(name, values, o): sentences on a column: values {N} finite in single precision. o: one,
-- many, what a row is ("galaxy", "galaxies"); remedy, what is to be done about missing values; inferred,
-- whether it is a property, which has to have a density; different, how many values it has where doubles
-- don't tell. Second, a sentence where single precision leaves nothing of the column.
function suspects.of(name, values, o)
  local list = {}
  if #values == 0 then return list end
  local marks, outlying = far_off(name, values, o)
  list[#list + 1] = marks
  list[#list + 1] = outlying
  local precision, lost = rounded(name, values, o.different)
  list[#list + 1] = precision
  if not precision and not marks then list[#list + 1] = scale(name, values, o) end
  if o.inferred and not precision then list[#list + 1] = suspects.few(name, values, o.many) end
  return list, lost and precision or nil
end

return suspects
