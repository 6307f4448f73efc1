-- Posteriors with known faults, for tests of calibration: theta {N, 5} given x {N, 5} is normal with mean a x
-- and the widths and correlations that the mock survey's photometry leaves, so that truth, draws and
-- densities of right and wrong posteriors are drawn and written down directly.
local gal = require "gal"
local linalg = require "gal.stats.linalg"

local planted = {}

planted.names = { "log_mass", "log_sfr", "oh", "dn4000", "a_v" }
planted.inputs = { "x1", "x2", "x3", "x4", "x5" }

-- The posterior's widths, in the prior's; the prior's deviations are 1. Its correlations: that of Dn4000 and
-- A_V is the mock's.
local WIDTH = { 0.42, 0.70, 0.56, 0.69, 0.57 }
local CORRELATION = {
  { 1, 0.35, 0.3, 0.25, -0.1 }, { 0.35, 1, 0.1, -0.45, 0.45 }, { 0.3, 0.1, 1, -0.15, 0.3 },
  { 0.25, -0.45, -0.15, 1, -0.63 }, { -0.1, 0.45, 0.3, -0.63, 1 },
}
local D = #WIDTH

-- The covariance of widths {5} and correlations times sign[i] sign[j].
local function covariance(width, correlated)
  local s = {}
  for i = 1, D do
    s[i] = {}
    for j = 1, D do
      local rho = i == j and 1 or correlated(i, j) * CORRELATION[i][j]
      s[i][j] = width[i] * width[j] * rho
    end
  end
  return s
end

local function all() return 1 end
local function scaled(factors)
  local width = {}
  for i = 1, D do width[i] = WIDTH[i] * (factors[i] or 1) end
  return width
end

local SLOPE = {}
for i = 1, D do SLOPE[i] = math.sqrt(1 - WIDTH[i] ^ 2) end

-- The prior of these inputs that a posterior does not use, added to its covariance.
local function ignoring(inputs)
  local s = covariance(WIDTH, all)
  for _, i in ipairs(inputs) do s[i][i] = s[i][i] + SLOPE[i] ^ 2 end
  return s
end

-- What a fault changes of the posteriors: covariance {5}{5}; mean {N, 5}, of x; scale {N, 1}, of x; and of
-- the truth: its residuals white {N, 5}.
local faults = {}

local function sign(column) return column:gt(0) * 2 - 1 end
local function column(x, i) return x:narrow(2, i, 1) end

-- x times the slopes, without the inputs of the list.
local function mean_of(x, ignored)
  local slopes = {}
  for i = 1, D do slopes[i] = SLOPE[i] end
  for _, i in ipairs(ignored or {}) do slopes[i] = 0 end
  return x * gal.tensor(slopes)
end

-- The first property's mean moved by so many of its widths {N, 1} or a number.
local function moved(x, by)
  local first = gal.tensor{ { WIDTH[1], 0, 0, 0, 0 } }
  return mean_of(x) + (type(by) == "number" and first * by or by * first)
end

function faults.exact() end
function faults.shift(p, x) p.mean = moved(x, 0.3) end
function faults.wide(p) p.covariance = covariance(scaled{ 1.2, 1.2, 1.2, 1.2, 1.2 }, all) end
function faults.narrow(p) p.covariance = covariance(scaled{ 0.8, 0.8, 0.8, 0.8, 0.8 }, all) end
function faults.one_wide(p) p.covariance = covariance(scaled{ [5] = 1.2 }, all) end
function faults.one_narrow(p) p.covariance = covariance(scaled{ [5] = 0.8 }, all) end
function faults.sign(p)
  p.covariance = covariance(WIDTH, function(i, j) return (i == 5) ~= (j == 5) and -1 or 1 end)
end
function faults.uncorrelated(p) p.covariance = covariance(WIDTH, function() return 0 end) end
function faults.prior(p, x)
  p.covariance, p.mean = ignoring{ 1, 2, 3, 4, 5 }, mean_of(x, { 1, 2, 3, 4, 5 })
end
function faults.ignored(p, x) p.covariance, p.mean = ignoring{ 5 }, mean_of(x, { 5 }) end
function faults.local_bias(p, x) p.mean = moved(x, sign(column(x, 1)) * 0.3) end
function faults.local_width(p, x) p.scale = column(x, 1):gt(0) * (1.25 - 0.8) + 0.8 end
function faults.wide_bias(p, x)
  p.mean, p.covariance = moved(x, 0.5), covariance(scaled{ math.sqrt(1.25) }, all)
end
function faults.tails(p, _, rng)
  p.white = p.white * (gal.rand({ p.white:size(1), 1 }, { rng = rng }):lt(0.05) * 2 + 1)
end
function faults.skewed(p)
  local fifth, rest = column(p.white, 5), p.white:narrow(2, 1, 4)
  local bent = (fifth + (fifth * fifth - 1) * 0.1) / math.sqrt(1.02)
  p.white = gal.cat({ rest, bent }, 2)
end

--- planted.FAULTS: their names, and the statistics that name them, patterns of worst.name.
planted.FAULTS = {
  { "shift", "^shift of log_mass$" }, { "wide", "^shift of HPD$" }, { "narrow", "^shift of HPD$" },
  { "one_wide", "^width of a_v$" }, { "one_narrow", "^width of a_v$" },
  { "sign", "^correlation of dn4000 and a_v$" }, { "uncorrelated", "^correlation of dn4000 and a_v$" },
  { "prior", "^bias of log_mass with x1$" }, { "ignored", "^bias of a_v with x5$" },
  { "local_bias", "^bias of log_mass with x1$" }, { "local_width", "^width of .* with x1$" },
  { "wide_bias", "^shift of log_mass$" }, { "tails", "HPD$", "^width of ", "^tails of " },
}

local function lower_of(s) return gal.tensor(linalg.cholesky(s)) end
local function inverse_of(s) return gal.tensor(linalg.invert_lower((linalg.cholesky(s)))):t() end

-- ln of the density, but for what is the same for all values of a galaxy: white residuals {…, 5}.
local function log_density(white, shape) return (white:pow(2):sum(-1) * -0.5):reshape(shape) end

--- planted.make(fault, n, draws, rng): n galaxies and posteriors with this fault (FAULTS' names, "exact",
-- "skewed"): truth {n, 5}, samples {n, draws, 5}, and options as calibration.test takes them: log_q,
-- log_q_true, context, names, context_names. Fourth, the exact posterior's densities of the same, for
-- `against`.
function planted.make(fault, n, draws, rng)
  local exact = covariance(WIDTH, all)
  local x = gal.randn({ n, D }, { rng = rng })
  local p = { covariance = exact, mean = mean_of(x), scale = gal.ones{ n, 1 } }
  p.white = gal.randn({ n, D }, { rng = rng })
  faults[fault](p, x, rng)
  local truth = mean_of(x) + p.white:matmul(lower_of(exact):t())
  local noise, shape = gal.randn({ n * draws, D }, { rng = rng }), { n, draws, D }
  local residual = noise:matmul(lower_of(p.covariance):t()):reshape(shape) * p.scale:reshape{ n, 1, 1 }
  local samples = residual + p.mean:reshape{ n, 1, D }
  local off = ((truth - p.mean) / p.scale):matmul(inverse_of(p.covariance))
  local right = (samples - mean_of(x):reshape{ n, 1, D }):reshape{ n * draws, D }:matmul(inverse_of(exact))
  local options = {
    log_q = log_density(noise, { n, draws }), log_q_true = log_density(off, { n }), context = x,
    names = planted.names, context_names = planted.inputs,
  }
  return truth, samples, options,
    { log_q = log_density(right, { n, draws }), log_q_true = log_density(p.white, { n }) }
end

--- planted.validation(n, rng): other galaxies of the same kind: {theta {n, 5}, context {n, 5}}.
function planted.validation(n, rng)
  local truth, _, options = planted.make("exact", n, 1, rng)
  return { theta = truth, context = options.context }
end

return planted
