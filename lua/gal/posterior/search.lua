-- posterior/search: galaxies of a run's survey that are looked for: by ranges of columns, or as the worst.
local arguments = require "gal.base.options"
local columns = require "gal.data.columns"
local errors = require "gal.base.errors"
local gal = require "gal"
local judged = require "gal.posterior.judged"
local names = require "gal.posterior.names"
local tested = require "gal.posterior.tested"
local raise = errors.raise

local search = {}

local MOST = 1000 -- galaxies that find gives

-- A column of the run's table at the survey's galaxies, {N}, and its name: properties and inputs as the run
-- sees them, others as the table has them.
local function column_of(run, survey, name)
  for _, kind in ipairs{ "theta", "context" } do
    for i, own in ipairs(survey.names[kind] or {}) do
      if own:lower() == name:lower() and survey[kind] then return survey[kind]:select(2, i):totable(), own end
    end
  end
  local source = survey.path and survey:source()
  if source and columns.has(source, name) then
    local column, list = columns.requested(source, name, survey.dereddened), {}
    for k, row in ipairs(survey.rows) do list[k] = columns.value_at(column, row) end
    return list, name
  end
  local i = names.place("find", run.flow.theta, name)
  return survey.theta:select(2, i):totable(), run.flow.theta[i]
end

-- The medians of a property of the test galaxies' posteriors, {N}, and its name.
local function medians_of(run, found, name)
  local i = names.place("find", run.flow.theta, name)
  local own = found.samples:select(3, i):contiguous()
  return own:quantiles({ 0.5 }):reshape{ -1 }:totable(), run.flow.theta[i]
end

-- A condition, as a function of a number, and in words: {low, high}, either of which may be absent, or a
-- number.
local function condition(name, wanted)
  if type(wanted) == "number" then
    return function(v) return v == wanted end, ("%s = %.6g"):format(name, wanted)
  end
  errors.list("find", name, wanted, "{low, high}, or a number")
  for i = 1, 2 do
    if wanted[i] ~= nil then errors.number("find", ("%s[%d]"):format(name, i), wanted[i]) end
  end
  local low, high = wanted[1], wanted[2]
  local words = low and high and ("%s from %.6g to %.6g"):format(name, low, high)
    or low and ("%s from %.6g"):format(name, low) or high and ("%s up to %.6g"):format(name, high)
    or raise("find: %s is {}, expected {low, high}", name)
  low, high = low or -math.huge, high or math.huge
  return function(v) return v >= low and v <= high end, words
end

-- The survey to look through.
local function searched(run, part)
  local survey = run:survey()
  if part == nil or part == "all" then return survey end
  if part ~= "train" and part ~= "valid" and part ~= "test" then
    raise("find: part is %s, expected \"train\", \"valid\", \"test\" or \"all\"", errors.kind(part))
  end
  if not run.parts then return survey:split(part) end
  local positions = {}
  for k, id in ipairs(survey.ids) do
    if run:part(id) == part then positions[#positions + 1] = k end
  end
  return survey:select(positions)
end

-- The conditions among what find was given: a list of {values {N}, test, words, name}.
local function conditions(run, survey, drawn, wanted)
  local keys, list = {}, {}
  for name in pairs(wanted) do
    if name ~= "by" and name ~= "most" and name ~= "part" then
      keys[#keys + 1] = errors.text("find", "the column", name)
    end
  end
  table.sort(keys)
  for k, key in ipairs(keys) do
    local test, words = condition(key, wanted[key])
    local values, name
    if drawn then
      values, name = medians_of(run, drawn, key)
    else
      values, name = column_of(run, survey, key)
    end
    list[k] = { values = values, test = test, words = words, name = name }
  end
  return list
end

-- How a column is called that galaxies were chosen by.
local function titled(run, name, drawn)
  for _, own in ipairs(run.flow.theta) do
    if own == name then return (drawn and "found " or "true ") .. name end
  end
  return name
end

-- At most `most` of these positions, spread evenly; and a sentence where they are fewer.
local function thinned(positions, most, told)
  if #positions <= most then return positions end
  local few = {}
  for i = 1, most do few[i] = positions[math.floor((i - 1) * #positions / most) + 1] end
  told[#told + 1] = ("Of these %d, spread evenly."):format(most)
  return few
end

-- Of each column its values at these positions: {{title, {n}}, …}; nil where there is none.
local function beside(list, positions)
  local columns_shown = {}
  for c, column in ipairs(list) do
    local values = {}
    for i, k in ipairs(positions) do values[i] = column[2][k] end
    columns_shown[c] = { column[1], values }
  end
  return #columns_shown > 0 and columns_shown or nil
end

--- search.find(run, wanted): what run:find{…} means: {survey, positions in it, told, columns}.
function search.find(run, wanted)
  errors.list("find", "wanted", wanted, "columns with ranges, as {a_v = {.2, .4}}")
  local most = arguments.integer("find", wanted, "most", MOST, 1, 1e6)
  if wanted.by ~= nil and wanted.by ~= "truth" and wanted.by ~= "posterior" then
    raise("find: by is %s, expected \"truth\" or \"posterior\"", errors.kind(wanted.by))
  end
  local drawn = wanted.by == "posterior" and tested.of(run) or nil
  local survey = drawn and drawn.part or searched(run, wanted.part)
  local tests, positions, said, shown = conditions(run, survey, drawn, wanted), {}, {}, {}
  for k = 1, #survey.ids do
    local good = true
    for _, t in ipairs(tests) do good = good and t.test(t.values[k]) end
    if good then positions[#positions + 1] = k end
  end
  for i, t in ipairs(tests) do said[i], shown[i] = t.words, { titled(run, t.name, drawn), t.values } end
  local what = #said > 0 and table.concat(said, ", ") or "no condition to meet"
  local by = drawn and ", by the medians of their posteriors" or ""
  if #positions == 0 then raise("find: of %d galaxies none has %s%s", #survey.ids, what, by) end
  local told = { ("%d of %d galaxies have %s%s."):format(#positions, #survey.ids, what, by) }
  positions = thinned(positions, most, told)
  return { survey = survey, positions = positions, told = told, columns = beside(shown, positions) }
end

--- search.worst(run, n, by): what run:worst means, as search.find.
function search.worst(run, n, by)
  n = errors.integer("worst", "n", n or 10, 1, 1e6)
  local score, text, column = judged.scores(run, by or "log_q")
  local found, order = tested.of(run), {}
  for k = 1, #score do
    if score[k] == score[k] then order[#order + 1] = k end
  end
  table.sort(order, function(a, b)
    if score[a] ~= score[b] then return score[a] > score[b] end
    return a < b
  end)
  for i = #order, n + 1, -1 do order[i] = nil end
  local values = {}
  for k, v in ipairs(score) do values[k] = column == "ln q" and -v or v end
  return {
    survey = found.part, positions = order, columns = beside({ { column, values } }, order),
    told = { ("The worst of %d test galaxies by %s."):format(#score, text) },
  }
end

return search
