-- Problems of photometry and image whose posterior is known: properties show in one magnitude and, by
-- templates, in an image. A flow with an encoder has to find the exact posterior given both; one with two
-- modes; and, where the image says nothing, the posterior given the magnitude alone.
--   theta {2} ~ N(0, I), or .5 N(+1.5, .25 I) + .5 N(-1.5, .25 I)
--   d = a . theta + noise xi
--   pixel x = theta_1 T_1(x) + theta_2 T_2(x) + s xi, T_j orthonormal
-- Given a component of the prior with mean m and precision p, the posterior has
--   the precision P = p I + a a^T / noise^2 + g I with g = 1 / s^2 (0 where T = 0),
--   the mean P^-1 (p m + a d / noise^2 + g T^T x),
--   and the component's weight by d and T^T x, which have precision matrices of their own.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local nn = require "gal.nn"

local SIZE, A = 8, { 1, 0.5 }
-- Noise of magnitude and pixels; with two modes so much that which it is stays open.
local function noise_of(modes) return modes and 2.5 or 0.6, modes and 2.5 or 0.8 end
local SCALE = 0.05 -- pixels as the encoder sees them: images are in [0, 1]

-- Two orthonormal templates {64, 2}: a ramp and a checkerboard, each without the other.
local function templates()
  local t, n1, n2 = {}, 0, 0
  for y = 0, SIZE - 1 do
    for x = 0, SIZE - 1 do
      local ramp, board = x - 3.5, (x + y) % 2 == 0 and 1 or -1
      t[#t + 1] = { ramp, board }
    end
  end
  local dot = 0
  for _, v in ipairs(t) do dot, n2 = dot + v[1] * v[2], n2 + v[2] ^ 2 end
  for _, v in ipairs(t) do v[1] = v[1] - dot / n2 * v[2] end
  for _, v in ipairs(t) do n1 = n1 + v[1] ^ 2 end
  for _, v in ipairs(t) do v[1], v[2] = v[1] / math.sqrt(n1), v[2] / math.sqrt(n2) end
  return gal.tensor(t)
end
local T = templates()

-- n of each: theta {n, 2}, d {n, 1}, images {n, 8, 8, 1}; seen: whether the templates are in the image.
-- Third: T^T x {n, 2} in units of pixels.
local function simulate(n, seed, modes, seen)
  local rng, noise, pixel = gal.rng(seed), noise_of(modes)
  local theta = gal.randn({ n, 2 }, { rng = rng })
  if modes then theta = theta * 0.5 + (gal.rand({ n, 1 }, { rng = rng }):lt(0.5) * 3 - 1.5) end
  local d = theta:matmul(gal.tensor { { A[1] }, { A[2] } }) + gal.randn({ n, 1 }, { rng = rng }) * noise
  local pixels = gal.randn({ n, SIZE * SIZE }, { rng = rng }) * pixel
  if seen then pixels = pixels + theta:matmul(T:t()) end
  return { theta = theta, context = d, images = (pixels * SCALE + 0.5):reshape { n, SIZE, SIZE, 1 },
    statistic = pixels:matmul(T), n = n }
end

-- Mean {2}, covariance {p11, p12, p22} and weight of each component of the exact posterior given d and T^T x.
local function exact(d, statistic, modes, seen)
  local list, total = {}, 0
  local noise, pixel = noise_of(modes)
  local g, k = seen and 1 / pixel ^ 2 or 0, 1 / noise ^ 2
  for _, m in ipairs(modes and { 1.5, -1.5 } or { 0 }) do
    local p = modes and 4 or 1
    local p11, p12, p22 = p + g + k * A[1] ^ 2, k * A[1] * A[2], p + g + k * A[2] ^ 2
    local b1, b2 = p * m + k * A[1] * d + g * statistic[1], p * m + k * A[2] * d + g * statistic[2]
    local det = p11 * p22 - p12 ^ 2
    local c = { p22 / det, -p12 / det, p11 / det }
    local mean = { c[1] * b1 + c[2] * b2, c[2] * b1 + c[3] * b2 }
    -- ln of the evidence: the quadratic form that is left when theta is integrated out; terms that both
    -- components share are dropped.
    local log_weight = 0.5 * (b1 * mean[1] + b2 * mean[2]) - p * m ^ 2
    list[#list + 1] = { mean = mean, covariance = c, log_weight = log_weight }
  end
  local high = math.max(list[1].log_weight, (list[2] or list[1]).log_weight)
  for _, c in ipairs(list) do
    c.weight = math.exp(c.log_weight - high)
    total = total + c.weight
  end
  for _, c in ipairs(list) do c.weight = c.weight / total end
  return list
end

-- One kernel as large as the image is a linear summary: what the encoder has to find.
local function trained(modes, seen)
  local data = simulate(modes and 12288 or 8192, 1, modes, seen)
  local encoder = nn.sequential { nn.conv2d(1, 4, SIZE, { padding = 0, rng = gal.rng(2) }),
    nn.global_avg_pool() }
  local flow = require("gal.flow").new { theta = 2, context = 1, hidden = { 64, 64 }, sigma = 0.02,
    encoder = encoder, image = { SIZE, SIZE, 1 }, rng = gal.rng(3) }
  return require("gal.train").fit({
    flow = flow, theta = data.theta, context = data.context, images = data.images, valid = 0.06, batch = 128,
    preset = "paper", draws = 4, epochs = modes and 50 or 25, lr = 4e-3, schedule = "cosine", patience = 50,
    decay = 0.99, seed = 4, progress = false,
  }).flow
end

local N, DRAWS = 64, 500
-- For each of N fresh galaxies: error of the mean in deviations and ratio of deviations (root mean squares),
-- and the mean error of the first mode's share.
local function compare(modes, seen)
  local flow, fresh = trained(modes, seen), simulate(N, 9, modes, seen)
  local samples = flow:sample({ fresh.context, fresh.images }, { n = DRAWS, steps = 20, rng = gal.rng(5) })
  local means, deviations, draws = samples:mean(2):totable(), samples:std(2):totable(), samples:totable()
  local d, statistic, off, ratio, share = fresh.context:totable(), fresh.statistic:totable(), 0, 0, 0
  for i = 1, N do
    local list = exact(d[i][1], statistic[i], modes, seen)
    for j = 1, 2 do
      local mean, square = 0, 0
      for _, c in ipairs(list) do
        local variance = j == 1 and c.covariance[1] or c.covariance[3]
        mean, square = mean + c.weight * c.mean[j], square + c.weight * (variance + c.mean[j] ^ 2)
      end
      local width = math.sqrt(square - mean ^ 2)
      off, ratio = off + ((means[i][j] - mean) / width) ^ 2 / N / 2,
        ratio + math.log(deviations[i][j] / width) / N / 2
    end
    local positive = 0
    for _, theta in ipairs(draws[i]) do
      if theta[1] + theta[2] > 0 then positive = positive + 1 / DRAWS end
    end
    share = share + math.abs(positive - list[1].weight) / N
  end
  return math.sqrt(off), math.exp(ratio), share
end

-- 500 draws know a mean to .045 deviations.
check.case("magnitude and image together give the exact posterior", function()
  local off, ratio = compare(false, true)
  check.near(off, 0, .15, "rms error of the means, deviations")
  check.near(ratio, 1, .07, "mean ratio of the deviations")
end)

check.case("a prior with two modes gives a posterior with both, and their weights", function()
  local off, _, share = compare(true, true)
  check.near(share, 0, .05, "mean error of a mode's share")
  check.near(off, 0, .15, "rms error of the means, deviations")
end)

check.case("an image that says nothing leaves the magnitude's posterior", function()
  local off, ratio = compare(false, false)
  check.near(off, 0, .15, "rms error of the means, deviations")
  check.near(ratio, 1, .07, "mean ratio of the deviations")
end)

check.finish()
