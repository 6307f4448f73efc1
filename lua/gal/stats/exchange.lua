-- exchange: the control experiment of image models. A galaxy is given the image of another one that is alike
-- in what the model knows anyway, such as magnitude and colour: the image is as bright and as blue as before
-- and tells nothing else of its galaxy. A gain that remains does not come from the images.
local host = require "gal.stats.host"
local errors = require "gal.base.errors"
local raise = errors.raise

local exchange = {}

-- Cuts the positions, a list, into slices[level] of equal numbers by ascending keys[level], each of these by
-- the next key, and so on; collects the cells.
local function cut(positions, keys, slices, level, cells)
  if level > #keys then
    cells[#cells + 1] = positions
    return
  end
  local key, n, parts = keys[level], #positions, {}
  table.sort(positions, function(a, b)
    if key[a - 1] ~= key[b - 1] then return key[a - 1] < key[b - 1] end
    return a < b
  end)
  for i, k in ipairs(positions) do
    local slice = math.floor((i - 1) * slices[level] / n) + 1
    parts[slice] = parts[slice] or {}
    table.insert(parts[slice], k)
  end
  for _, part in ipairs(parts) do cut(part, keys, slices, level + 1, cells) end
end

--- exchange.partners(keys, slices, rng): for each of n galaxies another one that is alike: a list {n} of
-- positions from 1, each once, none its own. keys: a list of tensors {n}; slices: the number of slices of
-- equal numbers into which each key cuts the galaxies, within the slices of the keys before it. Partners
-- are of one such cell. Raises where a cell would have a single galaxy.
function exchange.partners(keys, slices, rng)
  errors.list("partners", "keys", keys, "a list of tensors {n}")
  errors.list("partners", "slices", slices, "a list of integers")
  if #keys == 0 then raise "partners: keys is empty, expected a list of tensors {n}" end
  local values, n, cells, count, positions = {}, nil, {}, 1, {}
  for i, key in ipairs(keys) do
    local own, size = host.numbers("partners", ("keys[%d]"):format(i), key)
    n = n or size
    if size ~= n then raise("partners: keys[%d] has %d values, expected %d as keys[1] has", i, size, n) end
    values[i] = own
    count = count * errors.integer("partners", ("slices[%d]"):format(i), slices[i], 1)
  end
  if n < 2 * count then
    raise("partners: %d galaxies are too few for %d cells, expected at least 2 in each", n, count)
  end
  for k = 1, n do positions[k] = k end
  cut(positions, values, slices, 1, cells)
  local partner = {}
  for _, cell in ipairs(cells) do
    local order = host.shuffled(#cell, rng, true)
    for i, k in ipairs(cell) do partner[k] = cell[order[i]] end
  end
  return partner
end

--- exchange.exchanged(part, names, slices, rng): a survey (gal.data) whose galaxies have their partners'
-- images, all else their own. names: columns of its context, and differences of two, {"modelMag_r",
-- {"modelMag_g", "modelMag_r"}}; slices and rng as for partners.
function exchange.exchanged(part, names, slices, rng)
  errors.object("exchanged", "part", part, { "thin" }, "a survey (gal.data)")
  errors.list("exchanged", "names", names, "a list of columns")
  local columns = part.names.context or {}
  local function column(name)
    for i, known in ipairs(columns) do
      if known == name then return part.context:select(2, i) end
    end
    raise("exchanged: no column '%s' in the context, expected of %s", tostring(name),
      table.concat(columns, ", "))
  end
  local keys, copy = {}, part:thin(#part.ids)
  for i, name in ipairs(names) do
    keys[i] = type(name) == "table" and column(name[1]) - column(name[2]) or column(name)
  end
  if not part.images then raise "exchanged: the survey has no images" end
  copy.images = part.images:rows(exchange.partners(keys, slices, rng))
  return copy
end

return exchange
