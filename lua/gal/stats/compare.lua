-- compare: two sets of posteriors of the same galaxies. Galaxies differ far more from one another than
-- models do, so everything is paired: the difference of each galaxy, and bootstraps that draw the same
-- galaxies for both (Efron & Tibshirani 1993, chapter 8).
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local metrics = require "gal.metrics"
local options_of = require "gal.base.options"
local raise, integer = errors.raise, options_of.integer
local surveys = require "gal.stats.surveys"
local text = require "gal.base.text"

local compare = { surveys = surveys.surveys }

--- compare.left_out(a, b): the galaxies that have no scores in one of the two or in both, as
-- metrics.information gives them, a list.
function compare.left_out(a, b)
  local out, list = {}, {}
  for i, found in ipairs{ errors.list("left_out", "a", a), errors.list("left_out", "b", b) } do
    local name = (i == 1 and "a" or "b") .. ".left_out"
    for _, k in ipairs(errors.list("left_out", name, found.left_out or {})) do
      if not out[k] then out[k], list[#list + 1] = true, k end
    end
  end
  table.sort(list)
  return list
end

-- a[k] - b[k] of two lists, and the fraction of k where a is higher.
local function differences(a, b)
  local list, higher = {}, 0
  if #a ~= #b then raise("scores: a has %d galaxies and b %d, expected the same galaxies", #a, #b) end
  for k = 1, #a do
    list[k] = a[k] - b[k]
    if list[k] > 0 then higher = higher + 1 end
  end
  return list, higher / #a
end

-- The lists of scores of these galaxies (host.others), and their excess.
local function scores_of(found, others)
  local gain, d_kl, excess = host.pick(found.delta_log_p, others), host.pick(found.d_kl, others), {}
  for k = 1, #d_kl do excess[k] = d_kl[k] - gain[k] end
  return { delta_log_p = gain, d_kl = d_kl, excess = excess }
end

local SCORES = { "delta_log_p", "d_kl" }

--- compare.scores(a, b[, options]): two models' scores, as metrics.information gives them for the same
-- galaxies and prior: delta_log_p (its differences are those of log p too), d_kl and excess. Each is {a =,
-- b = (means), mean =, low =, high = (of a - b, options as in metrics.bootstrap), higher = the fraction of
-- galaxies where a is higher, n = the number of galaxies}, without those that compare.left_out lists.
function compare.scores(a, b, options)
  host.scores("scores", "a", a, SCORES)
  host.scores("scores", "b", b, SCORES)
  local others = host.others("scores", #a.d_kl, compare.left_out(a, b))
  a, b = scores_of(a, others), scores_of(b, others)
  local function entry(x, y)
    local list, higher = differences(x, y)
    local result = metrics.bootstrap(list, options)
    result.a, result.b, result.higher = (metrics.moments(x)), (metrics.moments(y)), higher
    return result
  end
  return {
    delta_log_p = entry(a.delta_log_p, b.delta_log_p),
    d_kl = entry(a.d_kl, b.d_kl),
    excess = entry(a.excess, b.excess),
  }
end

-- Both samples of one property in one ascending list: values {m}, the galaxy (from 0) and the signed weight
-- of each. truth {N} and draws {N * each}, arrays from 0.
local function merged(truth, draws, n, each)
  local m = n * (1 + each)
  local order, value, owner, weight = {}, host.new(m), host.new(m), host.new(m)
  local function at(i) return i < n and truth[i] or draws[i - n] end
  for i = 1, m do order[i] = i - 1 end
  table.sort(order, function(i, j) return at(i) < at(j) end)
  for k = 1, m do
    local i = order[k]
    value[k - 1] = at(i)
    owner[k - 1] = i < n and i or math.floor((i - n) / each)
    weight[k - 1] = i < n and 1 / n or -1 / (n * each)
  end
  return { value = value, owner = owner, weight = weight, m = m }
end

-- The Wasserstein-1 distance of the two samples where galaxy g counts `times[g]` times.
local function distance(s, times)
  local sum, cumulated = 0, 0
  for k = 0, s.m - 2 do
    cumulated = cumulated + s.weight[k] * times[s.owner[k]]
    sum = sum + math.abs(cumulated) * (s.value[k + 1] - s.value[k])
  end
  return sum
end

-- {a, b, difference, low, high} of two merged samples over the resamples' counts.
local function resampled(a, b, counts, once)
  local list = {}
  for r = 1, #counts do list[r] = distance(a, counts[r]) - distance(b, counts[r]) end
  local interval = metrics.quantile(list, { 0.025, 0.975 })
  local x, y = distance(a, once), distance(b, once)
  return { a = x, b = y, difference = x - y, low = interval[1], high = interval[2] }
end

-- How often each resample has each galaxy: a list of arrays {n}, from 0.
local function resamples(n, count, rng)
  local counts = {}
  for r = 1, count do
    local u, times = host.read(gal.rand({ n }, { rng = rng, device = "cpu" })), host.new(n)
    for k = 0, n - 1 do
      local g = math.floor(u[k] * n)
      times[g] = times[g] + 1
    end
    counts[r] = times
  end
  return counts
end

-- Draws of each galaxy that compare.wasserstein pools by default: each is summed once in every resample.
compare.pooled_draws = 20

--- compare.wasserstein(truth {N, d}, a {N, n, d}, b {N, n, d}[, {resamples = 200, draws = 20, seed = 1,
-- left_out = a list of galaxies that do not count}]): for each property the Wasserstein-1 distance between
-- the truth and the posterior means, and between the truth and pooled draws (the first `draws` of each
-- galaxy), of two models. Returns a list {d} of {means, pooled}, each {a, b, difference, low, high}; from low
-- to high is the interval of 95 % of the differences over resampled galaxies.
function compare.wasserstein(truth, a, b, options)
  options = options_of.known("wasserstein", options, { "resamples", "draws", "seed", "left_out" })
  local n, d = host.matrix("wasserstein", "truth", truth)
  local each = integer("wasserstein", options, "draws", compare.pooled_draws, 1)
  each = math.min(each, (host.draws("wasserstein", "a", a, n, d)), (host.draws("wasserstein", "b", b, n, d)))
  local others = host.others("wasserstein", n, options.left_out)
  local function taken(x) return host.pick(x:to "cpu", others) end
  truth, a, b, n = taken(truth), taken(a), taken(b), others and #others or n
  local rng = gal.rng(integer("wasserstein", options, "seed", 1, -2 ^ 53, 2 ^ 53))
  local counts = resamples(n, integer("wasserstein", options, "resamples", 200, 1, 1e5), rng)
  local once = host.new(n)
  for k = 0, n - 1 do once[k] = 1 end
  local result, means_a, means_b = {}, a:mean(2), b:mean(2)
  for i = 1, truth:size(2) do
    local own = host.read(truth:select(2, i))
    local function pooled(samples)
      return merged(own, host.read(samples:select(3, i):narrow(2, 1, each)), n, each)
    end
    local function centred(means) return merged(own, host.read(means:select(2, i)), n, 1) end
    result[i] = {
      means = resampled(centred(means_a), centred(means_b), counts, once),
      pooled = resampled(pooled(a), pooled(b), counts, once),
    }
  end
  return result
end

--- compare.rows(scores, distances, names, models): the rows and the headers of compare.table.
function compare.rows(scores, distances, names, models)
  errors.list("table", "scores", scores, "what compare.scores found")
  errors.list("table", "distances", distances, "what compare.wasserstein found")
  errors.list("table", "names", names, "a list of names")
  errors.list("table", "models", models, "two names")
  local rows = {}
  local function add(label, digits, entry, difference)
    local number, signed = "%." .. digits, "%+." .. digits
    rows[#rows + 1] = {
      label, number:format(entry.a), number:format(entry.b),
      (signed .. " (" .. number .. " to " .. number .. ")"):format(difference, entry.low, entry.high),
      entry.higher and ("%.1f %%"):format(100 * entry.higher) or "",
    }
  end
  add("Delta log p, nats", "3f", scores.delta_log_p, scores.delta_log_p.mean)
  add("D_KL, nats", "3f", scores.d_kl, scores.d_kl.mean)
  add("D_KL - Delta log p", "3f", scores.excess, scores.excess.mean)
  for _, kind in ipairs{ { "W1 means, ", "means" }, { "W1 pooled, ", "pooled" } } do
    for i, name in ipairs(names) do
      local entry = distances[i][kind[2]]
      add(kind[1] .. name, "4f", entry, entry.difference)
    end
  end
  return rows, { "", models[1], models[2], "difference (95 %)", "higher" }
end

--- compare.table(scores, distances, names, models): what compare.scores and compare.wasserstein found, as the
-- text of a table; names {d} of the properties, models {2} of the two models. W1: Wasserstein-1 between the
-- truth and the posterior means, or all draws pooled; higher: for how many galaxies the first model's is.
function compare.table(scores, distances, names, models)
  return text.table(compare.rows(scores, distances, names, models))
end

return compare
