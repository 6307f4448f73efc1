-- posterior/save: posteriors in files, by the properties' names.
local draws = require "gal.posterior.draws"
local errors = require "gal.base.errors"
local gal = require "gal"
local raise = errors.raise

local save = {}

-- The ending of a path: "npz", "csv" or "fits".
local function ending_of(path)
  local ending = errors.text("save", "path", path, "a path"):lower():match "%.(%l+)$"
  if ending == "fit" then ending = "fits" end
  if ending ~= "npz" and ending ~= "csv" and ending ~= "fits" then
    raise("save: path is \"%s\", expected a name that ends in .npz, .csv or .fits", path)
  end
  return ending
end

-- {weight {n}} of a posterior with weights, else {log_q {n}}.
local function beside(p, samples)
  if not p.effective then return "log_q", p:log_prob(samples):to "cpu" end
  local w, list = draws.column(p, 1, 1).weights, {}
  for r = 1, p.n do list[r] = w[r - 1] end
  return "weight", gal.tensor(list, { p.n }, { device = "cpu" })
end

--- save.one(p, path): see Posterior:save.
function save.one(p, path)
  local ending, samples = ending_of(path), draws.of(p):select(1, 1):contiguous()
  samples = samples:narrow(1, 1, p.n):contiguous()
  local name, values = beside(p, samples)
  if ending ~= "npz" then
    local list = gal.table{ [p.names[1]] = samples:select(2, 1):contiguous() }
    for i = 2, #p.names do list:set(p.names[i], samples:select(2, i):contiguous()) end
    list:set(name, values):save(path)
    return path
  end
  local arrays = { [name] = values }
  for i, property in ipairs(p.names) do arrays[property] = samples:select(2, i):contiguous() end
  gal.save(path, arrays)
  return path
end

--- save.many(list, path): see Posteriors:save.
function save.many(list, path)
  if ending_of(path) ~= "npz" then
    list:summary():save(path)
    return path
  end
  local arrays, samples = {}, draws.of(list)
  for i, property in ipairs(list.names) do
    arrays[property] = samples:narrow(2, 1, list.n):select(3, i):contiguous()
  end
  gal.save(path, arrays)
  return path
end

return save
