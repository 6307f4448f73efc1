-- components: the principal components of rows, without the directions in which these have no width.
local gal = require "gal"
local host = require "gal.stats.host"
local linalg = require "gal.stats.linalg"

local components = {}

--- components.FLAT: directions in which the rows' variance is below this share of the widest one's are no
-- components: of a column that is constant, or a combination of others.
components.FLAT = 1e-6

local function on_host(list) return gal.tensor(list, { device = "cpu" }) end

--- components.of(x {N, d}[, most]): mean {d} and directions {d, k}, tensors on the host, of the widest
-- directions of rows x, at most `most`, the widest first; whether others were left out because they are flat;
-- and the variances along the directions, a list {k}.
function components.of(x, most)
  local mean, covariance = linalg.covariance(host.rows(x))
  local k, trace = math.min(most or #mean, #mean, x:size(1) - 1), 0
  for i = 1, #mean do trace = trace + covariance[i][i] end
  -- A little of every direction, so that none is empty: linalg.leading needs that.
  for i = 1, #mean do covariance[i][i] = covariance[i][i] + components.FLAT / 100 * trace / #mean end
  local values, vectors = linalg.leading(covariance, k)
  while k > 1 and not (values[k] > components.FLAT * values[1]) do k = k - 1 end
  local kept = {}
  for i = 1, k do kept[i] = vectors[i] end
  return on_host(mean), on_host(linalg.transpose(kept)), k < #values, values
end

return components
