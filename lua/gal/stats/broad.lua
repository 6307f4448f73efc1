-- broad: a proper density that is nowhere much too low for points like the rows that it was fitted to, and
-- falls off slowly beyond them: a mixture of Gaussians, widened, beside a tenth of Student's multivariate t
-- with their mean and covariance (Kotz & Nadarajah 2004, eq. 1.1). A flow's floor is made of it. It is exact
-- to evaluate and to draw from, row by row; what it holds are float32 tensors, so that one
-- that was saved and loaded has the same bits.
local ffi = require "ffi"
local C = ffi.C
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local linalg = require "gal.stats.linalg"
local mixture = require "gal.stats.mixture"
local rarity = require "gal.stats.rarity"

local check = errors.check

local broad = {}
broad.__index = broad

--- broad.FREEDOM: degrees of freedom of the t: the fewest with which it has a covariance.
broad.FREEDOM = 3
-- Its weight, and what each Gaussian is widened by, in deviations of the rows. By 995 galaxies of a real
-- table with five properties, held-out ones had a mean ln p of -5.11, with weights of .05 to .2 alike; by the
-- Gaussians as fitted -5.20, by the t alone -5.57, by kernels -5.41. The lowest were -14, -15, -13 and -27.
local TAIL, WIDER = 0.1, 0.1
-- Numbers of Gaussians to choose from, steps of the fit, rows that the number is chosen by.
local CANDIDATES, ITERATIONS, TO_CHOOSE = { 1, 2, 4, 8 }, 60, 5000

-- ln Gamma(k / 2) of a whole number k from 1 on.
local function log_gamma_half(k)
  local value, at = k % 2 == 0 and 0 or math.log(math.pi) / 2, k % 2 == 0 and 2 or 1
  while at < k do value, at = value + math.log(at / 2), at + 2 end
  return value
end

-- The object that these tensors make: {weights {C}, means {C, d}, lowers {C, d, d}}, on the host; the last
-- component is the t.
local function built(tensors)
  local self = setmetatable({ tensors = tensors, d = tensors.means:size(2), parts = {} }, broad)
  local weights, means, lowers = tensors.weights:totable(), tensors.means:totable(), tensors.lowers:totable()
  local d, nu = self.d, broad.FREEDOM
  for c, lower in ipairs(lowers) do
    local log_det = 0
    for i = 1, d do log_det = log_det + math.log(lower[i][i]) end
    local heavy = c == #lowers
    local constant = heavy and log_gamma_half(nu + d) - log_gamma_half(nu) - d / 2 * math.log(nu * math.pi)
      or -d / 2 * math.log(2 * math.pi)
    self.parts[c] = {
      weight = weights[c], heavy = heavy, mean = means[c], lower = lower,
      inverse = linalg.invert_lower(lower), constant = math.log(weights[c]) + constant - log_det,
      flat = ffi.new("double[?]", d * d),
    }
    for i = 1, d do
      for j = 1, d do self.parts[c].flat[(i - 1) * d + j - 1] = self.parts[c].inverse[i][j] end
    end
  end
  return self
end

local function on_host(list) return gal.tensor(list, nil, { device = "cpu" }) end

-- The lower Cholesky factor of a covariance {d}{d}, widened.
local function widened(covariance)
  local wider = {}
  for i, row in ipairs(covariance) do
    wider[i] = { unpack(row) }
    wider[i][i] = row[i] + WIDER ^ 2
  end
  return assert(linalg.cholesky(wider))
end

--- broad.fit(rows {N, d}): the density of rows in units of about their deviations, N at least 4 (d + 1). Of
-- more than 10,000 rows evenly chosen ones are taken.
function broad.fit(rows)
  rows = rarity.thin(rows:to "cpu")
  local mean, covariance = linalg.covariance(host.rows(rows))
  local weights, means, lowers = {}, {}, {}
  -- Of properties that depend on each other there is no mixture, but the t there is, which is widened.
  local list = linalg.cholesky(covariance) and mixture.choose(rows, {
    candidates = CANDIDATES, iterations = ITERATIONS, rows = TO_CHOOSE,
  }):describe() or {}
  for c, one in ipairs(list) do
    weights[c], means[c], lowers[c] = one.weight, one.mean, widened(one.covariance)
  end
  local sum = 0
  for c = 1, #weights do sum = sum + weights[c] end
  for c = 1, #weights do weights[c] = (1 - TAIL) * weights[c] / sum end
  local last = #weights + 1
  weights[last], means[last], lowers[last] = #weights > 0 and TAIL or 1, mean, widened(covariance)
  return built{ weights = on_host(weights), means = on_host(means), lowers = on_host(lowers) }
end

-- ln density of each row of z {M, d}, on the host: a loop over rows in double precision; a few rows take it
-- less time than ops on tensors need to begin.
local function on_rows(self, z)
  local d, nu, values, m = self.d, broad.FREEDOM, core.read(z), z:size(1)
  local out, terms = ffi.new("float[?]", m), ffi.new("double[?]", #self.parts)
  for row = 0, m - 1 do
    local largest, sum = -math.huge, 0
    for c, part in ipairs(self.parts) do
      local squares, inverse, mean = 0, part.flat, part.mean
      for i = 1, d do
        local y = 0
        for j = 1, i do y = y + inverse[(i - 1) * d + j - 1] * (values[row * d + j - 1] - mean[j]) end
        squares = squares + y * y
      end
      local value = part.heavy and -(nu + d) / 2 * math.log(1 + squares / nu) or -squares / 2
      terms[c - 1] = value + part.constant
      largest = math.max(largest, terms[c - 1])
    end
    for c = 0, #self.parts - 1 do sum = sum + math.exp(terms[c] - largest) end
    out[row] = largest + math.log(sum)
  end
  local y = core.new({ m }, nil, "cpu")
  check(C.gal_tensor_write(y.h, out, m))
  return y
end

-- The same by ops on tensors, on the device of z.
local function on_device(self, z)
  local device, d, nu, values, largest = { device = z:device() }, self.d, broad.FREEDOM, {}, nil
  for c, part in ipairs(self.parts) do
    local off = z - gal.tensor(part.mean, { d }, device)
    local squares = 0
    for i = 1, d do
      local y = (off * gal.tensor(part.inverse[i], { d }, device)):sum(2)
      squares = y * y + squares
    end
    local value = part.heavy and (squares / nu + 1):log() * (-(nu + d) / 2) or squares * -0.5
    values[c] = value + part.constant
    largest = largest and largest:maximum(values[c]) or values[c]
  end
  local sum = 0
  for _, value in ipairs(values) do sum = (value - largest):exp() + sum end
  return largest + sum:log()
end

--- b:log_density(z {M, d}): ln density of each point, nats, {M}, on the device of z. A row's bits do not
-- depend on the other rows.
function broad:log_density(z)
  return z:device() == "cpu" and on_rows(self, z) or on_device(self, z)
end

--- broad.columns(d): how many normals a draw is made of.
function broad.columns(d) return d + 2 + broad.FREEDOM end

--- b:draws(normals {M, broad.columns(d) or more}): a draw of each row of normals, {M, d}, on the host, of the
-- same bits wherever the normals are.
function broad:draws(normals)
  local d, m, width, values = self.d, normals:size(1), normals:size(2), core.read(normals)
  local out = ffi.new("float[?]", m * d)
  for row = 0, m - 1 do
    local at, c = row * width, 1
    -- Uniform in (0, 1]: the radius of two normals, as Box & Muller 1958 draw them.
    local uniform = math.exp(-(values[at] ^ 2 + values[at + 1] ^ 2) / 2)
    while c < #self.parts and uniform > self.parts[c].weight do
      uniform, c = uniform - self.parts[c].weight, c + 1
    end
    local part, stretch, chi = self.parts[c], 1, 0
    if part.heavy then
      for i = 2 + d, 1 + d + broad.FREEDOM do chi = chi + values[at + i] ^ 2 end
      stretch = math.sqrt(broad.FREEDOM / chi)
    end
    for i = 1, d do
      local sum = 0
      for j = 1, i do sum = sum + part.lower[i][j] * values[at + 1 + j] end
      out[row * d + i - 1] = part.mean[i] + stretch * sum
    end
  end
  local y = core.new({ m, d }, nil, "cpu")
  check(C.gal_tensor_write(y.h, out, m * d))
  return y
end

--- broad.of(tensors, d): the object that was saved as these tensors, of points {M, d}; nil and a sentence
-- where they are no such object.
function broad.of(tensors, d)
  local weights = tensors.weights
  local count = weights and #weights.shape == 1 and weights:size(1) or 0
  local shapes = { weights = { count }, means = { count, d }, lowers = { count, d, d } }
  for name, shape in pairs(shapes) do
    local x = tensors[name]
    if count == 0 or not x or core.shape_text(x) ~= core.shape_text(shape) or x.dtype ~= "float32" then
      return nil, ("has no tensor '%s' of shape %s (float32)"):format(name, core.shape_text(shape))
    end
  end
  local sum = 0
  for c, weight in ipairs(weights:totable()) do
    if not (weight > 0) then return nil, ("has a weight of %g"):format(weight) end
    sum = sum + weight
    for i, row in ipairs(tensors.lowers:select(1, c):totable()) do
      for j = 1, d do
        if j == i and not (row[j] > 0) or j > i and row[j] ~= 0 then
          local form = "has 'lowers' that are no Cholesky factors: %g in row %d, column %d"
          return nil, form:format(row[j], i, j)
        end
      end
    end
  end
  if not (math.abs(sum - 1) < 1e-5) then return nil, ("has weights that sum to %g"):format(sum) end
  return built(tensors)
end

return broad
