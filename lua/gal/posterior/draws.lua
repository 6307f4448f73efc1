-- posterior/draws: the draws of posteriors, made when they are first asked for and kept. An owner is a
-- posterior or a list of them: {run, part, n, seed, steps, tolerance, precision}. Draws of more begin with
-- draws of fewer (flow:sample), and are those of gal.infer for the same seed.
local galaxies = require "gal.infer.galaxies"
local gal = require "gal"
local host = require "gal.stats.host"
local weighted = require "gal.stats.weighted"

local draws = {}

local kept = setmetatable({}, { __mode = "k" }) -- owner -> {n, samples, report, columns}

--- draws.quietly(flow, fn): fn's results, without the notice that contexts without names get at the prompt:
-- they are a survey's here, whose extinctions came off.
function draws.quietly(flow, fn)
  flow.told = flow.told or {}
  local told = flow.told.corrected
  flow.told.corrected = true
  local ok, a, b, c = pcall(fn)
  flow.told.corrected = told
  if not ok then error(a, 0) end
  return a, b, c
end

--- draws.adopt(owner, samples {n, d}, weights): gives an owner its draws, with weights, an array from 0, or
-- none.
function draws.adopt(owner, samples, weights)
  local n, d = samples:size(1), samples:size(2)
  kept[owner] = { n = n, samples = samples:reshape{ 1, n, d }, weights = weights, columns = {} }
end

--- draws.of(owner[, n]): n draws (the owner's n) of its galaxies, {N, n, d} on the host.
function draws.of(owner, n)
  n = n or owner.n
  local own = kept[owner]
  if own and own.n >= n then return own.n == n and own.samples or own.samples:narrow(2, 1, n):contiguous() end
  local flow = owner.run.flow
  local samples, report = draws.quietly(flow, function()
    return flow:sample(galaxies.shown(flow, owner.part), {
      n = n, steps = owner.steps, tolerance = owner.tolerance, precision = owner.precision,
      rng = gal.rng(owner.seed), told = false,
    })
  end)
  own = own or { columns = {} }
  own.n, own.samples, own.report = n, samples:to "cpu", report or nil
  kept[owner] = own
  return own.samples
end

--- draws.report(owner): flow:sample's report on its draws; nil where the steps were fixed, or the draws
-- given.
function draws.report(owner)
  draws.of(owner)
  return kept[owner].report
end

--- draws.spread(owner): how far the members of the owner's run are apart (ensemble:spread), a list {N}; nil
-- of a run that is no ensemble.
function draws.spread(owner)
  local flow = owner.run.flow
  if not flow.spread then return nil end
  local samples = draws.of(owner)
  return draws.quietly(flow, function()
    return flow:spread(samples, flow:streams(galaxies.shown(flow, owner.part)))
  end)
end

--- draws.column(owner, i, k): the owner's n draws of property i of galaxy k, {values, ascending (an array
-- from 0), n, weights, sum, order}; the last three where there are weights. lost: whether one is no finite
-- number.
function draws.column(owner, i, k)
  local samples = draws.of(owner)
  local n, columns = owner.n, kept[owner].columns
  local place = (k - 1) * #owner.names + i
  if columns[place] then return columns[place] end
  local values = host.read(samples:select(1, k):narrow(1, 1, n):select(2, i):contiguous())
  local column = { values = values, n = n, weights = kept[owner].weights }
  for r = 0, n - 1 do column.lost = column.lost or values[r] - values[r] ~= 0 end
  if column.lost then
    column.order = nil
  elseif column.weights then
    column.order, column.sum = weighted.order(values, n), 0
    for r = 0, n - 1 do column.sum = column.sum + column.weights[r] end
  else
    column.ascending = host.sorted(gal.tensor(host.list(values, n), { n }, { device = "cpu" }))
  end
  columns[place] = column
  return column
end

-- ---- statistics of a column ----

--- draws.quantiles(column, levels): the quantiles at the levels, a list: linear between order statistics, as
-- numpy's default; with weights as gal.stats.weighted has them. NaN where a draw is no number.
function draws.quantiles(column, levels)
  local found = {}
  if column.lost then
    for k = 1, #levels do found[k] = 0 / 0 end
  elseif column.weights then
    return weighted.at(column.values, column.weights, column.order, column.n, levels)
  else
    for k, level in ipairs(levels) do found[k] = host.quantile(column.ascending, column.n, level, 0) end
  end
  return found
end

--- draws.moments(column): its mean and its deviation (divided by n).
function draws.moments(column)
  local values, w, n = column.values, column.weights, column.n
  local sum, total = 0, column.sum or n
  for r = 0, n - 1 do sum = sum + (w and w[r] or 1) * values[r] end
  local mean, squares = sum / total, 0
  for r = 0, n - 1 do squares = squares + (w and w[r] or 1) * (values[r] - mean) ^ 2 end
  return mean, math.sqrt(squares / total)
end

--- draws.below(column, v): the share of the draws that are below v.
function draws.below(column, v)
  local count = 0
  for r = 0, column.n - 1 do
    if column.values[r] < v then count = count + (column.weights and column.weights[r] or 1) end
  end
  return column.lost and 0 / 0 or count / (column.sum or column.n)
end

--- draws.shortest(column, level): the shortest interval between two draws that holds a share `level` of them:
-- low and high.
function draws.shortest(column, level)
  if column.lost then return 0 / 0, 0 / 0 end
  local n, w, order, values = column.n, column.weights, column.order, column.values
  local total, held, last = column.sum or n, 0, -1
  local low, high = nil, nil
  local function at(r) return order and values[order[r]] or column.ascending[r] end
  local function weight(r) return order and w[order[r]] or 1 end
  for first = 0, n - 1 do
    while last < first or held < level * total - 1e-9 * total and last < n - 1 do
      last = last + 1
      held = held + weight(last)
    end
    if held < level * total - 1e-9 * total then break end
    if not low or at(last) - at(first) < high - low then low, high = at(first), at(last) end
    held = held - weight(first)
  end
  return low, high
end

return draws
