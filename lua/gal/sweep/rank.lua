-- sweep/rank: the trials of a sweep by log p of the validation galaxies, nats: paired galaxy by galaxy with
-- the best trial, since galaxies differ far more from one another than trials do. Losses are never compared:
-- those of two values of sigma are of two targets.
local records = require "gal.sweep.records"
local stats = require "gal.stats.host"

local rank = {}

local Z = 1.959964 -- a normal distribution's 97.5 % point: a mean over galaxies is close to normal

-- The galaxies that all of these records have, by id: the hash where all lists are the same, else {id =
-- true}.
local function common(s, list)
  local hash
  for _, r in ipairs(list) do
    if hash and r.record.ids ~= hash then hash = nil break end
    hash = r.record.ids
  end
  if hash or #list == 0 then return hash or "" end
  local times, shared, lists = {}, {}, {}
  for _, r in ipairs(list) do lists[r.record.ids] = true end
  local n = 0
  for key in pairs(lists) do
    n = n + 1
    for _, id in ipairs(records.ids(s, key)) do times[id] = (times[id] or 0) + 1 end
  end
  for id, count in pairs(times) do shared[id] = count == n or nil end
  return shared
end

-- log p of the shared galaxies, in an order that is the same for all records: an array {N}, N.
local function values_of(s, r, shared)
  local values = records.log_p(s, r.number, r.rung)
  if type(shared) == "string" then return values, r.record.galaxies end
  r.sorted = r.sorted or {}
  local list = {}
  for k, id in ipairs(records.ids(s, r.record.ids)) do
    if shared[id] then list[#list + 1] = { id, values[k - 1] } end
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  local out = stats.new(#list)
  for k, entry in ipairs(list) do out[k - 1] = entry[2] end
  return out, #list
end

-- Mean and the half width of its 95 % interval of f(k), k = 0 ... n - 1, where it is a number; and how many.
local function interval(n, f)
  local count, sum, squares = 0, 0, 0
  for k = 0, n - 1 do
    local v = f(k)
    if not stats.improbable(v) then count, sum = count + 1, sum + v end
  end
  if count == 0 then return nil end
  local mean = sum / count
  for k = 0, n - 1 do
    local v = f(k)
    if not stats.improbable(v) then squares = squares + (v - mean) ^ 2 end
  end
  local half = count > 1 and Z * math.sqrt(squares / (count - 1) / count) or math.huge
  return mean, half, count
end

-- All records that are done, as {number, rung, record}: of each trial the last one, or with every = true all.
local function done_of(s, known, every)
  local list = {}
  for number = 1, #s.trials do
    for rung = s:last(), 1, -1 do
      local record = known[number][rung]
      if record and record.state == "done" then
        list[#list + 1] = { number = number, rung = rung, record = record }
        if not every then break end
      end
    end
  end
  return list
end

-- Trials with galaxies at which they have no density come behind all others: leaving such galaxies out would
-- favour them.
local function before(a, b)
  local lost_a, lost_b = a.record.lost or 0, b.record.lost or 0
  if (lost_a > 0) ~= (lost_b > 0) then return lost_b > 0 end
  if a.mean ~= b.mean then return a.mean > b.mean end
  return a.number < b.number
end

local FAR_BEHIND = -1e6 -- added to the score of a trial that has lost galaxies

--- rank.scores(s, known): the scores by which rungs promote: a list {trials} of {rung = mean log p of the
-- galaxies that all records have}.
function rank.scores(s, known)
  local list, scores = done_of(s, known, true), {}
  local shared = common(s, list)
  for _, r in ipairs(list) do
    local mean = r.record.log_p
    if type(shared) ~= "string" then
      local values, n = values_of(s, r, shared)
      mean = interval(n, function(k) return values[k] end)
    end
    scores[r.number] = scores[r.number] or {}
    scores[r.number][r.rung] = (mean or FAR_BEHIND) + ((r.record.lost or 0) > 0 and FAR_BEHIND or 0)
  end
  return scores
end

--- rank.rows(s, known): the trials that have a score, best first: a list of {number, rung, record, mean, half
-- (log p and the half width of its 95 % interval, nats), difference, below, above (of log p from the best
-- trial's, paired, with its interval; nil of the best), apart (whether that interval leaves out 0),
-- galaxies}. Second, how many galaxies are shared by all.
function rank.rows(s, known)
  local list = done_of(s, known)
  local shared, n = common(s, list), 0
  for _, r in ipairs(list) do
    r.values, n = values_of(s, r, shared)
    r.mean, r.half, r.galaxies = interval(n, function(k) return r.values[k] end)
    r.mean, r.half = r.mean or FAR_BEHIND, r.half or math.huge
  end
  table.sort(list, before)
  local best = list[1]
  for place, r in ipairs(list) do
    r.place = place
    if place > 1 then
      local mean, half = interval(n, function(k) return r.values[k] - best.values[k] end)
      if mean then
        r.difference, r.below, r.above = mean, mean - half, mean + half
        r.apart = r.above < 0 or r.below > 0
      end
    end
  end
  for _, r in ipairs(list) do r.values = nil end
  return list, n
end

return rank
