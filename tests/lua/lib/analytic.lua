-- A population of galaxies whose posterior has a formula: the five properties are jointly normal, and the
-- ugriz magnitudes depend on them linearly, with normal errors. As a model of galaxies only its averages and
-- signs are right (massive galaxies are metal-rich, dust and age both redden). Trained flows are compared
-- with its exact posteriors.
--
--   true ~ N(mean, C);  m = m0 + A (true - mean) + 1 d + e,  d ~ N(0, DISTANCE^2),  e_b ~ N(0, NOISE_b^2)
--   theta = true + N(0, LABEL^2): the measured properties
--   theta | m ~ N(mean + K (m - m0), P + LABEL^2)
--   P = (C^-1 + A' S^-1 A)^-1,  K = P A' S^-1,  S = diag(NOISE^2) + DISTANCE^2 1 1'

local gal = require "gal"
local linalg = require "gal.stats.linalg"

local analytic = {}

-- log M* (Msun), log SFR (Msun/yr), 12 + log(O/H), Dn4000, A_V (mag).
local THETA = { "lgm_tot_p50", "sfr_tot_p50", "oh_p50", "d4000_n", "a_v" }
local MEAN = { 10.0, 0.1, 8.9, 1.3, 0.6 }
local DEVIATION = { 0.5, 0.5, 0.18, 0.09, 0.35 }
-- Roughly those of star-forming galaxies at z < 0.1.
local CORRELATION = {
  { 1.00, 0.75, 0.75, 0.40, 0.40 },
  { 0.75, 1.00, 0.55, -0.15, 0.50 },
  { 0.75, 0.55, 1.00, 0.30, 0.45 },
  { 0.40, -0.15, 0.30, 1.00, 0.00 },
  { 0.40, 0.50, 0.45, 0.00, 1.00 },
}

-- Errors of the measured properties, about those of the MPA-JHU catalogue. Without them the magnitudes would
-- fix one combination of the five to .06 of its spread, and the width of the flow's path, .05, would show.
local LABEL = { 0.07, 0.15, 0.03, 0.03, 0.10 }

local BANDS = { "u", "g", "r", "i", "z" }
local MAGNITUDE = { 18.9, 17.8, 17.3, 17.0, 16.8 }
-- Change of magnitude with each property, u to z. The last column is A_b / A_V of lambda^-0.7; the fourth,
-- the older the redder, is nearly parallel to it.
local RESPONSE = {
  { -1.0, -1.4, 0.60, 2.2, 1.36 },
  { -1.5, -0.8, 0.30, 1.1, 1.12 },
  { -1.8, -0.5, 0.05, 0.4, 0.92 },
  { -2.0, -0.3, -0.15, 0.0, 0.81 },
  { -2.1, -0.2, -0.30, -0.2, 0.71 },
}
local NOISE = { 0.06, 0.03, 0.03, 0.03, 0.04 } -- mag
local DISTANCE = 0.5 -- mag, the same in all bands: each galaxy's distance, which the model does not know
local EXTINCTION = { 4.24, 3.30, 2.29, 1.70, 1.26 } -- mag per E(B-V): Schlafly & Finkbeiner 2011

local function covariance()
  local c = {}
  for i = 1, 5 do
    c[i] = {}
    for j = 1, 5 do c[i][j] = CORRELATION[i][j] * DEVIATION[i] * DEVIATION[j] end
  end
  return c
end

--- The survey's table: n galaxies with the columns of SDSS, ids 1 … n. seed (1).
function analytic.table(n, seed)
  local r = gal.rng(seed or 1)
  local lower = linalg.cholesky(covariance())
  local latent = gal.randn({ n, 5 }, { rng = r }):totable()
  local noise = gal.randn({ n, 6 }, { rng = r }):totable()
  local label = gal.randn({ n, 5 }, { rng = r }):totable()
  local dust = gal.rand({ n }, { rng = r }):totable()
  local columns = { objID = {} }
  for i = 1, 5 do
    columns[THETA[i]], columns["modelMag_" .. BANDS[i]], columns["extinction_" .. BANDS[i]] = {}, {}, {}
  end
  for k = 1, n do
    columns.objID[k] = ("%d"):format(k)
    local offset = linalg.apply(lower, latent[k])
    local magnitudes = linalg.apply(RESPONSE, offset)
    for i = 1, 5 do
      local extinction = EXTINCTION[i] * (0.01 + 0.06 * dust[k])
      columns[THETA[i]][k] = MEAN[i] + offset[i] + LABEL[i] * label[k][i]
      columns["extinction_" .. BANDS[i]][k] = extinction
      columns["modelMag_" .. BANDS[i]][k] = MAGNITUDE[i] + magnitudes[i] + DISTANCE * noise[k][6]
        + NOISE[i] * noise[k][i] + extinction
    end
  end
  return gal.table(columns)
end

--- The exact posterior given dereddened magnitudes x {N, 5}: means {N, 5}, on x's device, and the covariance
-- {5}{5}, the same for all.
function analytic.posterior(x)
  local s = {}
  for i = 1, 5 do
    s[i] = {}
    for j = 1, 5 do s[i][j] = DISTANCE ^ 2 + (i == j and NOISE[i] ^ 2 or 0) end
  end
  local projected = linalg.product(linalg.transpose(RESPONSE), linalg.invert(s)) -- A' S^-1
  local precision, information = linalg.invert(covariance()), linalg.product(projected, RESPONSE)
  for i = 1, 5 do
    for j = 1, 5 do precision[i][j] = precision[i][j] + information[i][j] end
  end
  local posterior = linalg.invert(precision)
  local gain, means = linalg.product(posterior, projected), {}
  for i = 1, 5 do posterior[i][i] = posterior[i][i] + LABEL[i] ^ 2 end
  for k, row in ipairs(x:totable()) do
    local offset = {}
    for i = 1, 5 do offset[i] = row[i] - MAGNITUDE[i] end
    local mean = linalg.apply(gain, offset)
    for i = 1, 5 do means[k * 5 - 5 + i] = MEAN[i] + mean[i] end
  end
  return gal.tensor(means, { x:size(1), 5 }, { device = x:device() }), posterior
end

--- ln of the exact posterior density at theta {N, 5} given x {N, 5}: a Lua table {N}, nats per product of
-- theta's units.
function analytic.log_posterior(theta, x)
  local means, posterior = analytic.posterior(x)
  local lower = linalg.cholesky(posterior)
  local inverse = linalg.invert_lower(lower)
  local constant = -2.5 * math.log(2 * math.pi) - linalg.log_determinant(lower) / 2
  local result = {}
  for k, row in ipairs((theta - means):totable()) do
    local squares = 0
    for _, value in ipairs(linalg.apply(inverse, row)) do squares = squares + value * value end
    result[k] = constant - squares / 2
  end
  return result
end

--- The exact posteriors with the methods of a flow that gal.metrics calls: their statistics are the best that
-- a flow can reach.
analytic.flow = {}

--- As flow:log_prob; options are ignored.
function analytic.flow:log_prob(theta, x)
  return gal.tensor(analytic.log_posterior(theta, x), { device = x:device() })
end

--- As flow:sample_and_log_prob, options n and rng.
function analytic.flow:sample_and_log_prob(x, options)
  local count, n = x:size(1), options.n
  local means, posterior = analytic.posterior(x)
  local lower = linalg.cholesky(posterior)
  local place = { device = x:device() }
  local z = gal.randn({ count * n, 5 }, { rng = options.rng, device = place.device })
  local draws = z:matmul(gal.tensor(linalg.transpose(lower), place)):reshape{ count, n, 5 }
    + means:reshape{ count, 1, 5 }
  local log_p = (z * z):sum(2) * -0.5 - (2.5 * math.log(2 * math.pi) + linalg.log_determinant(lower) / 2)
  return draws, log_p:reshape{ count, n }
end

return analytic
