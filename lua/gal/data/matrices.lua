-- data/matrices: surveys of plain arrays instead of tables: tensors, or .npy files. Ids are row numbers.
local arrays = require "gal.data.arrays"
local core = require "gal.tensor"
local gal = require "gal"
local errors = require "gal.base.errors"
local known = require("gal.base.options").known
local raise = errors.raise
local related = require "gal.stats.related"
local survey = require "gal.data.survey"
local suspects = require "gal.stats.suspects"

local matrices = {}

-- The columns of values, rows after rows of `width` numbers (an array from 0, n in all), as {name, values}.
local function columns_of(values, n, width, name)
  local columns = {}
  for i = 1, width do
    local list = {}
    for k = 1, n / width do list[k] = values[(k - 1) * width + i - 1] end
    columns[i] = { name = name(i), values = list }
  end
  return columns
end

-- Sentences on the columns of theta and context, lists of {name, values}: see gal.stats.suspects and
-- gal.stats.related. Raises where single precision leaves nothing of a property.
local function remarks(theta, context)
  local sentences = {}
  for _, list in ipairs{ theta, context } do
    for _, column in ipairs(list) do
      local found, lost = suspects.of(column.name, column.values, {
        one = "row", many = "rows", inferred = list == theta, remedy = "such rows have to be left out",
      })
      if lost and list == theta then raise("%s", lost) end
      for _, sentence in ipairs(found) do sentences[#sentences + 1] = sentence end
    end
  end
  for _, sentence in ipairs(related.of(theta, context)) do sentences[#sentences + 1] = sentence end
  return sentences
end

-- A .npy file as {rows, columns}, float32, and its columns in double precision; {rows} counts as one column.
-- Raises where a value is not finite, or not in single precision.
local function matrix(path)
  local x = gal.load(path)
  if not core.is_tensor(x) then raise("%s is an archive of arrays, expected one array (.npy)", path) end
  local shape = x.shape
  if #shape == 1 then x, shape = x:reshape{ shape[1], 1 }, { shape[1], 1 } end
  if #shape ~= 2 or shape[1] == 0 or shape[2] == 0 then
    raise("%s is %s, expected {rows, columns}", path, core.shape_text(x))
  end
  local values, n = arrays.doubles(path)
  for i = 0, n - 1 do
    local beyond = suspects.beyond(values[i])
    if beyond or values[i] - values[i] ~= 0 then
      local wanted = beyond and "beyond what single precision holds (3.4e38): take its logarithm, or other "
        .. "units" or "expected a finite number"
      raise("%s: row %d, column %d is %.6g, %s", path, math.floor(i / shape[2]) + 1, i % shape[2] + 1,
        values[i], wanted)
    end
  end
  local function name(i) return shape[2] == 1 and path or ("column %d of %s"):format(i, path) end
  return x:float(), columns_of(values, n, shape[2], name)
end

-- Raises where x, from a file, has not as many columns as `like`; whose: how the sentence calls like's
-- columns.
local function same_width(file, x, like, whose)
  if x:size(2) ~= like:size(2) then
    raise("%s has %d columns, expected %d as the training %s have", file, x:size(2), like:size(2), whose)
  end
end

-- The columns of a tensor {N, d} or {N}, or of nil, under these names, else which_1, which_2, ….
local function of_tensor(x, which, names)
  if type(names) ~= "nil" then errors.list("arrays", "names." .. which, names, "a list of names") end
  if not x then return {} end
  if #x.shape > 2 or x.dtype ~= "float32" then return {} end
  local values, n = core.read(x)
  local function name(i)
    return names and type(names[i]) == "string" and names[i] or ("%s_%d"):format(which, i)
  end
  return columns_of(values, n, x.shape[2] or 1, name)
end

-- The survey of tensors theta and context; suspects: remarks'.
local function of_rows(theta, context, names, odd)
  local n, rows, ids = theta:size(1), {}, {}
  for k = 1, n do rows[k], ids[k] = k, ("%d"):format(k) end
  return survey.new{
    total = n, rows = rows, ids = ids, theta = theta, context = context, names = names, suspects = odd,
  }
end

--- data.arrays(theta, context[, names]): a survey of tensors: theta {N, d} and context {N, c} (or nil).
-- names: {theta = {…}, context = {…}}. Its field `suspects` lists sentences on odd values.
function matrices.arrays(theta, context, names)
  local n = core.live(theta, "arrays", "theta"):size(1)
  if context and core.live(context, "arrays", "context"):size(1) ~= n then
    raise("arrays: theta has %d rows and context %d, expected as many", n, context:size(1))
  end
  names = known("arrays", names, { "theta", "context" })
  return of_rows(theta, context, names,
    remarks(of_tensor(theta, "theta", names.theta), of_tensor(context, "context", names.context)))
end

--- data.open_arrays{x =, theta =, like =}: a survey from two .npy files: x, the context {N, c}, and theta {N,
-- d}; without theta it is {context, suspects} only. like: an earlier survey, whose numbers of columns these
-- must have. `suspects` lists sentences on odd values, which double precision is looked at for.
function matrices.open_arrays(files)
  files = known("open_arrays", files, { "x", "theta", "like" })
  errors.text("open_arrays", "x", files.x, "the path of a .npy file")
  local like = files.like
  local context, seen = matrix(files.x)
  local theta, inferred
  if files.theta then theta, inferred = matrix(files.theta) end
  if theta and theta:size(1) ~= context:size(1) then
    raise("%s has %d rows and %s %d, expected as many", files.theta, theta:size(1), files.x, context:size(1))
  end
  if like then same_width(files.x, context, like.context, "observations") end
  if like and theta then same_width(files.theta, theta, like.theta, "parameters") end
  local odd = remarks(inferred or {}, seen)
  return theta and of_rows(theta, context, {}, odd) or { context = context, suspects = odd }
end

return matrices
