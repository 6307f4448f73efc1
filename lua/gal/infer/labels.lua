-- infer/labels: takes the labels' errors off posteriors. Labels are measured, with errors; a flow that
-- learned from them gives posteriors of what a pipeline would measure, not of the galaxies' own properties.
-- Where the errors are known, their variance is subtracted: each galaxy's draws shrink about their mean. The
-- flow's notes hold the errors of the training labels.
local columns = require "gal.data.columns"
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local linalg = require "gal.stats.linalg"
local rarity = require "gal.stats.rarity"
local raise = errors.raise

local labels = {}

--- labels.MOST: the largest share of a posterior's variance that the labels' variance may be: beyond it the
-- rest is the difference of two nearly equal numbers.
labels.MOST = 0.8

-- ---- what the errors are ----

-- The ridge of the regression, a row: terms that hardly vary, or depend on one another, stay small.
local RIDGE = 1e-3

-- 1, x and its products, x in deviations: {p}. row: a list {c}.
local function terms_of(row, mean, deviation)
  local z, terms = {}, { 1 }
  for i, v in ipairs(row) do
    z[i] = (v - mean[i]) / deviation[i]
    terms[i + 1] = z[i]
  end
  for i = 1, #z do
    for j = i, #z do terms[#terms + 1] = z[i] * z[j] end
  end
  return terms
end

local function dot(a, b)
  local sum = 0
  for i = 1, #a do sum = sum + a[i] * b[i] end
  return sum
end

-- A model of ln variance, a quadratic function of the context (faint galaxies have larger errors), as a table
-- that JSON can hold; nil where all variances are alike. rows {N}{c}; variances: a list {N}.
local function model_of(rows, variances)
  local low, high, c = math.huge, -math.huge, #rows[1]
  for _, v in ipairs(variances) do low, high = math.min(low, v), math.max(high, v) end
  if not (high > low * 1.0001) then return nil end
  local mean, covariance = linalg.covariance(rows)
  local deviation = {}
  for i = 1, c do deviation[i] = covariance[i][i] > 0 and math.sqrt(covariance[i][i]) or 1 end
  local p = #terms_of(rows[1], mean, deviation)
  local a, b = {}, {}
  for i = 1, p do
    a[i], b[i] = {}, 0
    for j = 1, p do a[i][j] = i == j and RIDGE * #rows or 0 end
  end
  a[1][1] = 0
  for k, row in ipairs(rows) do
    local t, y = terms_of(row, mean, deviation), math.log(variances[k])
    for i = 1, p do
      b[i] = b[i] + t[i] * y
      for j = 1, p do a[i][j] = a[i][j] + t[i] * t[j] end
    end
  end
  local weights = linalg.apply(assert(linalg.invert(a)), b)
  local model = { mean = mean, deviation = deviation, weights = weights, low = math.log(low),
    high = math.log(high), factor = 1 }
  local own, sum = 0, 0
  for k, row in ipairs(rows) do
    own, sum = own + labels.variance(model, row), sum + variances[k]
  end
  model.factor = sum / own
  return model
end

--- labels.variance(model, row): the variance of a label that a model expects of a galaxy with the context row
-- {c}.
function labels.variance(model, row)
  local y = dot(model.weights, terms_of(row, model.mean, model.deviation))
  return model.factor * math.exp(math.min(model.high, math.max(model.low, y)))
end

-- The errors of the survey's galaxies, a list {N}, by a column or by half the difference of two; NaN where
-- they are missing.
local function column_errors(survey, source, text)
  local low, high = text:match "^(.+):(.+)$"
  for _, name in ipairs{ low or text, high } do
    if not source:has(name) then
      raise("label_errors: %s has no column %s, expected a number, a column of errors, or P16:P84",
        survey.path, name)
    end
  end
  local a, b = source:doubles(low or text), high and source:doubles(high)
  local list, missing = {}, { [columns.MISSING] = true }
  for _, mark in ipairs(survey.missing_value or {}) do missing[mark] = true end
  for i, row in ipairs(survey.rows) do
    local x, y = a[row], b and b[row] or 0
    local value = b and (y - x) / 2 or x
    list[i] = (missing[x] or missing[y] or not (value > 0 and value < math.huge)) and 0 / 0 or value
  end
  return list
end

-- What `auto` stands for: oh_p16:oh_p84 of oh_p50.
local function automatic(name)
  local base = name:match "^(.*)_p50$" or raise("label_errors: auto knows p16 and p84 of columns that end in "
    .. "_p50, and %s does not: expected a number or a column for it", name)
  return ("%s_p16:%s_p84"):format(base, base)
end

-- The error of one property, from a column's text.
local function from_column(survey, source, name, text)
  if text == "auto" then text = automatic(name) end
  local list, rows, squares, sum = column_errors(survey, source, text), {}, {}, 0
  local context = survey.context and host.rows(survey.context)
  for k, v in ipairs(list) do
    if v == v then
      sum = sum + v ^ 2
      squares[#squares + 1] = v ^ 2
      rows[#rows + 1] = context and context[k]
    end
  end
  if #squares == 0 then
    raise("label_errors: %s has no error above 0 of %s in %s", survey.path, name, text)
  end
  local entry = { from = text, rms = math.sqrt(sum / #squares) }
  if context and #squares > 10 * (#rows[1] + 1) ^ 2 then entry.model = model_of(rows, squares) end
  return entry
end

--- labels.known(survey, given): the errors of the labels of a survey with theta, from a list of one entry a
-- property: a number, in the property's unit; "oh_err", a column of errors; "oh_p16:oh_p84", half the
-- difference of two columns; "auto", which for oh_p50 means these two. {"auto"} stands for all. Returns a
-- list of {from = text, rms =, model =}, for the flow's notes: model says how the variance depends on the
-- context.
function labels.known(survey, given)
  errors.list("label_errors", "survey", survey, "a survey (gal.data) of a table's file")
  local known = type(survey.names) == "table" and type(survey.names.theta) == "table"
  if not known or type(survey.path) ~= "string" or type(survey.thin) ~= "function" then
    raise "label_errors: survey is no survey (gal.data) of a table's file"
  end
  local names, list = survey.names.theta, {}
  errors.list("label_errors", "errors", given, "a list of numbers and columns")
  if #given == 1 and given[1] == "auto" and #names > 1 then
    local all = {}
    for i = 1, #names do all[i] = "auto" end
    given = all
  end
  if #given ~= #names then
    raise("label_errors has %d entries, expected %d, one for each of %s", #given, #names,
      table.concat(names, ", "))
  end
  local some, source = survey:thin(rarity.ROWS), nil
  for i, name in ipairs(names) do
    local number = (type(given[i]) == "number" or type(given[i]) == "string") and tonumber(given[i])
    if number then
      errors.number("label_errors", ("errors[%d]"):format(i), number, 0)
      list[i] = { from = tostring(given[i]), rms = number }
    else
      errors.text("label_errors", ("errors[%d]"):format(i), given[i], "a number or a column")
      source = source or gal.table(survey.path, { hdu = survey.hdu })
      list[i] = from_column(some, source, name, given[i])
    end
  end
  return list
end

--- labels.of(flow, where): the errors of its labels that a flow knows (labels.known); raises where it knows
-- none.
function labels.of(flow, where)
  return flow.notes and flow.notes.label_errors
    or raise("%s: deconvolve is true, but the flow does not say what the errors of its labels were: train it "
      .. "with --label-errors", where)
end

-- ---- taking them off ----

--- labels.variances(known, n, context {n, c} or nil): the variances of n galaxies' labels by what
-- labels.known returned: a list {n} of lists {d}.
function labels.variances(known, n, context)
  errors.list("label_variances", "known", known, "what label_errors returned")
  errors.integer("label_variances", "n", n, 0, 2 ^ 31)
  for i, entry in ipairs(known) do
    local name = ("known[%d]"):format(i)
    errors.list("label_variances", name, entry, "an entry of what label_errors returned")
    errors.number("label_variances", name .. ".rms", entry.rms, 0)
  end
  if context then
    local rows = host.matrix("label_variances", "context", context)
    if rows ~= n then raise("label_variances: context has %d rows, expected %d", rows, n) end
  end
  local rows, list = context and host.rows(context), {}
  for k = 1, n do
    list[k] = {}
    for i, entry in ipairs(known) do
      list[k][i] = entry.model and rows and labels.variance(entry.model, rows[k]) or entry.rms ^ 2
    end
  end
  return list
end

--- labels.deconvolve(samples {k, n, d}, variances {k}{d}): the draws without the labels' errors: for each
-- galaxy and property they shrink about their mean, so that their variance is smaller by the labels'. Where
-- that is more than .8 of theirs (labels.MOST) they stay as they are. Correlations between properties stay
-- those of labels. Second, a list {k}: whether a property of the galaxy was left as it is. Third, the factors
-- {k}{d}.
function labels.deconvolve(samples, variances)
  local n, d, k = host.draws("deconvolve", "samples", samples)
  errors.list("deconvolve", "variances", variances, "a list {k} of lists {d}")
  if #variances ~= k then
    raise("deconvolve: variances has %d galaxies, expected %d as samples has", #variances, k)
  end
  for g = 1, k do
    local row = errors.list("deconvolve", ("variances[%d]"):format(g), variances[g], "a list {d}")
    for i = 1, d do errors.number("deconvolve", ("variances[%d][%d]"):format(g, i), row[i], 0) end
  end
  local mean = samples:mean(2, true)
  local deviations, left, factors, flat = samples:std(2):totable(), {}, {}, {}
  for g = 1, k do
    left[g], factors[g] = false, {}
    for i = 1, d do
      local variance = deviations[g][i] ^ 2 * n / math.max(1, n - 1)
      local share = variances[g][i] / variance
      local factor = share <= labels.MOST and math.sqrt(1 - share) or 1
      left[g] = left[g] or not (share <= labels.MOST)
      factors[g][i], flat[#flat + 1] = factor, factor
    end
  end
  local scale = gal.tensor(flat, { k, 1, d }, { device = samples:device() })
  return mean + (samples - mean) * scale, left, factors
end

return labels
