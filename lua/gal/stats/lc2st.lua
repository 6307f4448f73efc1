-- lc2st: a classifier two-sample test of truths against draws, given the context (Linhart, Gramfort &
-- Rodrigues 2023), without training a classifier: the score of a logistic one, quadratic in the residuals and
-- bilinear in residuals and whitened contexts, at the point where it tells nothing apart.
local directions = require "gal.stats.directions"
local host = require "gal.stats.host"
local linalg = require "gal.stats.linalg"

local lc2st = {}

-- Added to the diagonal of the scores' covariance, of it: there may be nearly as many scores as draws.
local RIDGE = 0.05

-- The sums that are scores, {L + 1} each, as arrays and the place where each begins.
local function scores_of(sums)
  local list, m = {}, sums.m
  local function add(values, count)
    for i = 0, count - 1 do list[#list + 1] = { values, i * m } end
  end
  add(sums.first, sums.d)
  add(sums.second, sums.d)
  add(sums.pairs, sums.d * (sums.d - 1) / 2)
  local white = directions.white(sums)
  for p = 0, sums.d - 1 do
    for _, direction in ipairs(white) do
      list[#list + 1] = { directions.along(sums, p, direction, sums.first, sums.first_by), 0 }
    end
  end
  return list
end

-- Scores {F}{L + 1} less their means, in units of their deviations; those that vary.
local function standard(sums)
  local m, rows = sums.m, {}
  for _, score in ipairs(scores_of(sums)) do
    local values, first, sum, squares, row = score[1], score[2], 0, 0, host.new(m)
    for j = 0, m - 1 do sum = sum + values[first + j] end
    for j = 0, m - 1 do
      row[j] = values[first + j] - sum / m
      squares = squares + row[j] * row[j]
    end
    local deviation = math.sqrt(squares / m)
    for j = 0, m - 1 do row[j] = row[j] / deviation end
    if deviation > 1e-9 then rows[#rows + 1] = row end
  end
  return rows
end

--- lc2st.test(sums): {statistic, p, scores}: the quadratic form of the truth's scores by their covariance
-- over the pseudo-truths, its rank among theirs, in steps of 1/(L + 1), and how many scores there are. nil
-- where nothing varies. sums: stats.exchangeable's.
function lc2st.test(sums)
  local rows, m, covariance = standard(sums), sums.m, {}
  if #rows == 0 then return nil end
  for a = 1, #rows do
    covariance[a] = {}
    for b = 1, a do
      local sum = a == b and RIDGE * m or 0
      for j = 0, m - 1 do sum = sum + rows[a][j] * rows[b][j] end
      covariance[a][b] = sum / m
      covariance[b] = covariance[b] or {}
      covariance[b][a] = covariance[a][b]
    end
  end
  local white, forms = linalg.invert_lower((linalg.cholesky(covariance))), host.new(m)
  for a = 1, #rows do
    for j = 0, m - 1 do
      local sum = 0
      for b = 1, a do sum = sum + white[a][b] * rows[b][j] end
      forms[j] = forms[j] + sum * sum
    end
  end
  local count = 0
  for j = 0, m - 1 do
    if forms[j] >= forms[0] then count = count + 1 end
  end
  return { statistic = forms[0], p = count / m, scores = #rows }
end

return lc2st
