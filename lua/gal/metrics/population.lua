-- metrics/population: whether the posteriors of many galaxies together make up the population that they are
-- of: Wasserstein-1 distances of each property, and how often the truth lies in the central intervals.
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local host = require "gal.stats.host"
local sample = require "gal.metrics.sample"
local text = require "gal.base.text"
local raise = errors.raise

local population = {}

--- metrics.wasserstein_table(truth, samples, scale[, left_out]): Wasserstein-1 of each property between the
-- truth {N, d} and (a) the posterior means, (b) all draws {N, n, d} pooled. Even perfect posteriors have (a)
-- > 0, as means shrink; (b) is 0 for calibrated ones but for the finite N: `chance` is what (b) would be,
-- median and 95th percentile, were the truth one of each galaxy's own draws. scale {d}: the deviations that
-- standardised values are in units of. left_out: a list of galaxies that do not count. Returns a list {d} of
-- {means, pooled, chance, chance_high, means_standardised, pooled_standardised}.
function population.wasserstein_table(truth, samples, scale, left_out)
  local count, d = host.matrix("wasserstein_table", "truth", truth)
  local n = host.draws("wasserstein_table", "samples", samples, count, d)
  local _, scales = host.numbers("wasserstein_table", "scale", scale)
  if scales ~= d then raise("wasserstein_table: scale has %d numbers, expected %d", scales, d) end
  local others = host.others("wasserstein_table", count, left_out)
  truth, samples = host.pick(truth:to "cpu", others), host.pick(samples:to "cpu", others)
  count = others and #others or count
  scale = core.is_tensor(scale) and scale:totable() or scale
  local means, result = samples:mean(2), {}
  for i = 1, d do
    local draws = samples:select(3, i)
    local own = sample.pooled(truth:select(2, i), "wasserstein_table")
    local pooled, all = sample.pooled(draws, "wasserstein_table")
    local chance = {}
    for r = 1, math.min(n, 100) do
      local one = sample.pooled(draws:select(2, r), "wasserstein_table")
      chance[r] = sample.distance(one, count, pooled, all)
    end
    local entry = {
      means = sample.wasserstein(truth:select(2, i), means:select(2, i)),
      pooled = sample.distance(own, count, pooled, all),
    }
    entry.chance, entry.chance_high = unpack(sample.quantile(chance, { 0.5, 0.95 }))
    entry.means_standardised, entry.pooled_standardised = entry.means / scale[i], entry.pooled / scale[i]
    result[i] = entry
  end
  return result
end

--- metrics.coverage(truth, samples, level[, left_out]): the fraction of galaxies whose true value lies in
-- the central interval of `level` of its draws: a list {d}. truth {N, d}, samples {N, n, d}; raises where n
-- is so small that not even the two outermost of the n + 1 ranks are outside it. left_out: a list of
-- galaxies that do not count.
function population.coverage(truth, samples, level, left_out)
  local n, d, count = host.draws("coverage", "samples", samples)
  core.live(truth, "coverage", "truth")
  errors.number("coverage", "level", level, 0, 1)
  local least = math.ceil(2 / (1 - level) - 1e-9) - 1
  if n < least then
    raise("coverage: samples has %d draws of each galaxy, expected at least %d for the central %g %%", n,
      least, 100 * level)
  end
  if not core.same_shape(truth, samples:select(2, 1)) then
    raise("coverage: truth is %s, expected {%d, %d} like samples {N, n, d}", core.shape_text(truth), count, d)
  end
  local others = host.others("coverage", count, left_out)
  truth, samples, count = host.pick(truth, others), host.pick(samples, others), others and #others or count
  local true_values, result = host.read(truth), {}
  for i = 1, d do
    local draws, inside = host.read(samples:select(3, i)), 0
    for k = 0, count - 1 do
      local below, value = 0, true_values[k * d + i - 1]
      for r = k * n, (k + 1) * n - 1 do
        if draws[r] < value then below = below + 1 end
      end
      -- Of n + 1 equally probable ranks 0 … n the middle ones: position (below + 1/2) / (n + 1) has the same
      -- distribution for any calibrated posterior.
      if math.abs((below + 0.5) / (n + 1) - 0.5) <= level / 2 then inside = inside + 1 end
    end
    result[i] = inside / count
  end
  return result
end

local DISTANCES = { "means", "pooled", "chance", "chance_high" }

--- population.rows(names, distances, coverage): the rows and the headers of metrics.population_table.
function population.rows(names, distances, coverage)
  local rows, where = {}, "population_table"
  errors.list(where, "names", names, "a list of names")
  errors.list(where, "distances", distances, "what metrics.wasserstein_table returns")
  errors.list(where, "coverage", coverage, "two lists of metrics.coverage's")
  for i, name in ipairs(names) do
    local d = errors.list(where, ("distances[%d]"):format(i), distances[i], "what wasserstein_table returns")
    for _, field in ipairs(DISTANCES) do
      errors.number(where, ("distances[%d].%s"):format(i, field), d[field])
    end
    for level = 1, 2 do
      local inside = errors.list(where, ("coverage[%d]"):format(level), coverage[level])
      errors.number(where, ("coverage[%d][%d]"):format(level, i), inside[i])
    end
    rows[i] = {
      tostring(name), ("%.4g"):format(d.means), ("%.4g"):format(d.pooled),
      ("%.4g (%.4g)"):format(d.chance, d.chance_high), ("%.1f %%"):format(100 * coverage[1][i]),
      ("%.1f %%"):format(100 * coverage[2][i]),
    }
  end
  return rows, { "property", "W1 of means", "W1 pooled", "by chance (95 %)", "in 68 %", "in 95 %" }
end

--- metrics.population_table(names, distances, coverage): one row a property: what metrics.wasserstein_table
-- found, and the list `coverage` of metrics.coverage at the levels .68 and .95, as the text of a table.
function population.population_table(names, distances, coverage)
  return text.table(population.rows(names, distances, coverage))
end

return population
