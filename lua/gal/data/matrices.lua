-- data/matrices: surveys of plain arrays instead of tables: tensors, or .npy files. Ids are row numbers.
local core = require "gal.tensor"
local gal = require "gal"
local errors = require "gal.base.errors"
local raise = errors.raise
local survey = require "gal.data.survey"

local matrices = {}

-- A .npy file as {rows, columns}, float32; {rows} counts as one column. Raises where a value is not finite.
local function matrix(path)
  local x = gal.load(path)
  if not core.is_tensor(x) then raise("%s holds several arrays, expected one (.npy)", path) end
  local shape = x.shape
  if #shape == 1 then x, shape = x:reshape{ shape[1], 1 }, { shape[1], 1 } end
  if #shape ~= 2 or shape[1] == 0 or shape[2] == 0 then
    raise("%s is %s, expected {rows, columns}", path, core.shape_text(x))
  end
  x = x:float()
  local values, n = core.read(x)
  for i = 0, n - 1 do
    if values[i] - values[i] ~= 0 then
      raise("%s: row %d, column %d is %s, expected a finite number", path, math.floor(i / shape[2]) + 1,
        i % shape[2] + 1, tostring(values[i]))
    end
  end
  return x
end

-- Raises where x, from a file, has not as many columns as `like`; whose: how the sentence calls like's
-- columns.
local function same_width(file, x, like, whose)
  if x:size(2) ~= like:size(2) then
    raise("%s has %d columns, expected %d as the training %s have", file, x:size(2), like:size(2), whose)
  end
end

--- data.arrays(theta, context[, names]): a survey of tensors: theta {N, d} and context {N, c} (or nil).
-- names: {theta = {…}, context = {…}}.
function matrices.arrays(theta, context, names)
  local n, rows, ids = core.live(theta, "arrays", "theta"):size(1), {}, {}
  if context and core.live(context, "arrays", "context"):size(1) ~= n then
    raise("arrays: theta has %d rows and context %d, expected as many", n, context:size(1))
  end
  for k = 1, n do rows[k], ids[k] = k, ("%d"):format(k) end
  names = errors.list("arrays", "names", names or {}, "a table of two lists, theta and context")
  return survey.new{ total = n, rows = rows, ids = ids, theta = theta, context = context, names = names }
end

--- data.open_arrays{x =, theta =, like =}: a survey from two .npy files: x, the context {N, c}, and theta {N,
-- d}; without theta it is {context} only. like: an earlier survey, whose numbers of columns these must have.
function matrices.open_arrays(files)
  errors.list("open_arrays", "files", files, "a table of two paths, x and theta")
  local like, context = files.like, matrix(files.x)
  local theta = files.theta and matrix(files.theta)
  if theta and theta:size(1) ~= context:size(1) then
    raise("%s has %d rows and %s %d, expected as many", files.theta, theta:size(1), files.x, context:size(1))
  end
  if like then same_width(files.x, context, like.context, "observations") end
  if like and theta then same_width(files.theta, theta, like.theta, "parameters") end
  return theta and matrices.arrays(theta, context) or { context = context }
end

return matrices
