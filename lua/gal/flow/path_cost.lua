-- flow/path_cost: what the path's width costs a flow's densities. The path ends at x = theta + sigma eps
-- (standardised; eps ~ N(0, I)), so the flow learns its posterior p convolved with N(0, sigma^2). Where p is
-- broad beside sigma, x says nothing about eps; where p is as narrow, eps can be guessed from x, and the
-- better the narrower p is. The velocity at t = 1 is E[theta - theta_0 | x] = E[theta | x], as theta_0 is
-- independent of x, so the net's guess of eps is (x - v(x, 1)) / sigma.
--
-- With C the covariance of eps that is left when x is known, the mean of ln p less that of the convolved
-- density at p's own points is half of the sum of (c - 1 - ln c) over the eigenvalues c of C: exact for
-- Gaussians, by their relative entropy (variance v: c = v / (v + sigma^2)), and convex in C, so that
-- posteriors of different widths and directions cost more together than their mean C says. C is that of the
-- best linear guess from the net's, which a guess from x can only improve on. Both make the cost a lower
-- bound.
local gal = require "gal"
local inputs = require "gal.flow.inputs"
local linalg = require "gal.stats.linalg"
local nn = require "gal.nn"
local tiles = require "gal.flow.tiles"

local path_cost = {}

--- path_cost.WORTH: a cost from which on it is told, nats a galaxy.
path_cost.WORTH = 0.02
-- The most rows that are used, without and with images, which have to be encoded; the fewest; and how many
-- noises they have together: with 4,000 the share of eps's variance that is guessed by chance is d / 4,000.
local ROWS, IMAGES, FEWEST, NOISES = 2000, 200, 20, 4000

-- Theta in the net's units, and the features, of the rows that are used. Images are encoded in one of their
-- turns, also where the flow averages over eight: any guess from them bounds the cost.
local function chosen(flow, part)
  local theta, x = inputs.some(flow, part, flow.encoder and IMAGES or ROWS)
  x = inputs.conditions("path_cost", flow, x, false)
  return tiles.standard(flow, theta:to(x.device)), tiles.features(flow, x, 1, x.rows, { once = true })
end

-- The second moments of eps and of the net's guess of it, d x d lists: of eps, of both, of the guess. Each
-- row has as many noises as make NOISES, all in one pass.
local function moments(flow, z, features)
  local n, each, positions = z:size(1), math.max(1, math.ceil(NOISES / z:size(1))), {}
  for i = 0, n * each - 1 do positions[i + 1] = i % n + 1 end
  local count = #positions
  local eps = gal.randn({ count, flow.d }, { rng = gal.rng(1), device = z:device() })
  local x, input = z:rows(positions) + eps * flow.sigma, { gal.ones({ count, 1 }, { device = z:device() }) }
  input[2], input[3] = x, features and features:rows(positions)
  local guess = (x - nn.call(flow.head, gal.cat(input, 2))) / flow.sigma
  local function moment(a, b) return (a:t():matmul(b) / count):totable() end
  return moment(eps, eps), moment(eps, guess), moment(guess, guess)
end

--- path_cost.of(flow, part): a lower bound of the mean ln density that sigma costs, nats a galaxy, by rows
-- {theta {N, d}, context, images} that the flow was not trained on. nil where sigma is 0, there are too few
-- rows, or the net's guess says nothing.
function path_cost.of(flow, part)
  if flow.sigma == 0 or not part or part.theta:size(1) < FEWEST then return nil end
  local noise, both, guess = gal.no_grad(function()
    return moments(flow, chosen(flow, part))
  end)
  if not linalg.cholesky(guess) then return nil end
  -- C = A - B G^-1 B^T against A, which is I but for chance.
  local left, trace = {}, 0
  local known = linalg.product(linalg.product(both, linalg.invert(guess)), linalg.transpose(both))
  for i = 1, flow.d do
    left[i] = {}
    for j = 1, flow.d do left[i][j] = noise[i][j] - (known[i][j] + known[j][i]) / 2 end
  end
  local after, before = linalg.cholesky(left), linalg.cholesky(noise)
  if not after or not before then return nil end
  local share = linalg.product(linalg.invert(noise), left)
  for i = 1, flow.d do trace = trace + share[i][i] end
  return (trace - flow.d + linalg.log_determinant(before) - linalg.log_determinant(after)) / 2
end

--- path_cost.words(cost, sigma): a cost that is worth telling, in a sentence; else nil.
function path_cost.words(cost, sigma)
  if not cost or cost < path_cost.WORTH then return nil end
  return ("sigma = %g is wide for these posteriors: it costs %.2g nats a galaxy or more; train again with a "
    .. "smaller one, or 0"):format(sigma, cost)
end

return path_cost
