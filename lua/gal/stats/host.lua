-- What the statistics that run in Lua share: flat double arrays on the host, into which tensors are read;
-- quantiles; whitening; random orders. Linear algebra of a few dimensions is linalg's.

local ffi = require "ffi"
local core = require "gal.tensor"
local gal = require "gal"
local linalg = require "gal.stats.linalg"
local errors = require "gal.base.errors"
local raise = errors.raise

local host = {}

-- ---- arrays ----

--- A double array of n values, all 0, counting from 0.
function host.new(n)
  return ffi.new("double[?]", n)
end

--- The values of x, a tensor or a flat Lua table of numbers: a double array counting from 0 that the caller
-- owns, and their number.
function host.read(x)
  if not core.is_tensor(x) then return ffi.new("double[?]", #x, x), #x end
  local elements, n = core.read(x)
  local values = ffi.new("double[?]", n)
  for i = 0, n - 1 do values[i] = elements[i] end
  return values, n
end

--- numbers(where, name, x[, hint]): the values of x, a list of numbers or a tensor {n}: as read gives them.
-- Raises for anything else, a tensor of another shape too, so that a matrix is not taken for one long list.
-- where and name: of the function and its argument; hint: what the sentence on a tensor ends with.
function host.numbers(where, name, x, hint)
  if core.is_tensor(x) then
    if #x.shape ~= 1 then
      local found = errors.kind(x)
      raise("%s: %s is %s, expected a list of numbers or a tensor {n}%s", where, name, found, hint or "")
    end
    return host.read(x)
  end
  errors.list(where, name, x, "a list of numbers or a tensor {n}")
  for i = 1, #x do
    if type(x[i]) ~= "number" then
      raise("%s: %s[%d] is %s, expected a number", where, name, i, errors.kind(x[i]))
    end
  end
  return host.read(x)
end

--- pairs(where, x, y): the values of x and y, lists or tensors {n} of one length: two double arrays counting
-- from 0 that the caller owns, and n. Raises as numbers does.
function host.pairs(where, x, y)
  local a, n = host.numbers(where, "x", x)
  local b, count = host.numbers(where, "y", y)
  if n ~= count then raise("%s: x has %d values and y %d, expected as many", where, n, count) end
  return a, b, n
end

--- finite_pairs(a, b, n): the numbers, from 1, of those pairs of two arrays that are finite.
function host.finite_pairs(a, b, n)
  local list = {}
  for k = 0, n - 1 do
    if a[k] - a[k] == 0 and b[k] - b[k] == 0 then list[#list + 1] = k + 1 end
  end
  return list
end

--- matrix(where, name, x[, columns]): the rows and the columns of x, a float32 tensor {N, d}; raises where it
-- is anything else, or has not so many columns.
function host.matrix(where, name, x, columns)
  local shape = core.live(x, where, name).shape
  if #shape ~= 2 or shape[2] ~= (columns or shape[2]) or x.dtype ~= "float32" then
    raise("%s: %s is %s %s, expected {N, %s} float32", where, name, x.dtype, core.shape_text(x),
      columns or "d")
  end
  return shape[1], shape[2]
end

--- draws(where, name, x[, rows[, columns]]): the sizes n, d and N of x, a float32 tensor {N, n, d} of n draws
-- of each of N galaxies; raises where it is anything else, or has not so many galaxies or properties.
function host.draws(where, name, x, rows, columns)
  local shape = core.live(x, where, name).shape
  local fits = #shape == 3 and shape[1] == (rows or shape[1]) and shape[3] == (columns or shape[3])
  if not fits or shape[2] == 0 or x.dtype ~= "float32" then
    raise("%s: %s is %s %s, expected draws {%s, n, %s} float32", where, name, x.dtype, core.shape_text(x),
      rows or "N", columns or "d")
  end
  return shape[2], shape[3], shape[1]
end

--- scores(where, name, found, fields): raises unless `found` has lists of numbers of one length under all
-- these names, as what metrics.information returns.
function host.scores(where, name, found, fields)
  errors.list(where, name, found, "what metrics.information returns")
  local count
  for _, field in ipairs(fields) do
    local _, n = host.numbers(where, name .. "." .. field, found[field])
    count = count or n
    if n ~= count then
      raise("%s: %s.%s has %d values, expected %d as %s has", where, name, field, n, count, fields[1])
    end
  end
end

--- A Lua table {n} of values, n of them from `first` (counting from 0).
function host.list(values, n, first)
  local list, shift = {}, (first or 0) - 1
  for i = 1, n do list[i] = values[shift + i] end
  return list
end

--- The rows of x {N, d}, a tensor, as Lua tables {N}{d}.
function host.rows(x)
  local values, n, d = host.read(x), x:size(1), x:size(2)
  local rows = {}
  for k = 1, n do rows[k] = host.list(values, d, (k - 1) * d) end
  return rows
end

-- ---- order statistics ----

--- The elements of x, a tensor, ascending with NaN last, as a double array, and their number.
function host.sorted(x)
  return host.read(x:reshape{ -1 }:sort())
end

--- The p-quantile of n ascending values from `first` on (counting from 0), linear between order statistics at
-- position p (n - 1): Hyndman & Fan's (1996) type 7. p: 0 to 1.
function host.quantile(ascending, n, p, first)
  first = first or 0
  local position = p * (n - 1)
  local below = math.min(math.floor(position), n - 1)
  local above = math.min(below + 1, n - 1)
  local low, high = ascending[first + below], ascending[first + above]
  return low + (position - below) * (high - low)
end

-- ---- galaxies without a score ----

--- others(where, n, left_out): the numbers 1 … n that the list left_out (or nil) does not have; nil where it
-- has none, so that all are meant. Raises where it has all, or is no list of such numbers.
function host.others(where, n, left_out)
  if left_out == nil then return nil end
  errors.list(where, "left_out", left_out, "a list of the galaxies' numbers")
  if #left_out == 0 then return nil end
  local out, others = {}, {}
  for i, k in ipairs(left_out) do
    out[errors.integer(where, ("left_out[%d]"):format(i), k, 1, n)] = true
  end
  for k = 1, n do
    if not out[k] then others[#others + 1] = k end
  end
  if #others == 0 then raise("%s: none of %d galaxies has scores that are numbers", where, n) end
  return others
end

--- pick(x, positions): these rows of a tensor, or entries of a list; x itself where positions is nil.
function host.pick(x, positions)
  if not positions then return x end
  if core.is_tensor(x) then return x:rows(positions) end
  local list = {}
  for i, k in ipairs(positions) do list[i] = x[k] end
  return list
end

--- host.RESOLVED: draws this many deviations of the training rows away are no longer told apart by single
-- precision.
host.RESOLVED = 2 ^ 23

--- improbable(q): whether a log density, nats, is no finite number, or that of a normal posterior so far
-- away.
function host.improbable(q) return not (q - q == 0 and q > -host.RESOLVED ^ 2 / 2) end

--- lost(means, scale): the galaxies, numbers, whose draws are no numbers, or so far away that single
-- precision does not tell them apart: a list. means {N, d}, a tensor, of each galaxy's draws, NaN or infinite
-- where one of them is; scale: the flow's, or nil.
function host.lost(means, scale)
  local lost = {}
  local middle, deviation = scale and scale.theta_mean:totable(), scale and scale.theta_std:totable()
  for k, row in ipairs(means:totable()) do
    for i, v in ipairs(row) do
      if v - v ~= 0 or scale and math.abs(v - middle[i]) > host.RESOLVED * deviation[i] then
        lost[#lost + 1] = k
        break
      end
    end
  end
  return lost
end

--- host.evenly(n, most) --> the positions from 1 of at most `most` of n rows, spread evenly over them.
function host.evenly(n, most)
  local positions = {}
  most = math.min(most, n)
  for i = 1, most do positions[i] = math.floor((i - 1) * n / most) + 1 end
  return positions
end

-- ---- whitening ----

--- How the rows of theta {N, d}, a tensor, N > d, are brought to mean 0 and covariance 1: {d, mean {d}, lower
-- {d}{d}, the Cholesky factor of the covariance, inverse {d}{d} of that, log_jacobian, ln det lower}. where
-- names the caller in the error that a constant or dependent property raises.
function host.whitening(where, theta)
  local mean, covariance = linalg.covariance(host.rows(theta))
  local lower, row = linalg.cholesky(covariance)
  if not lower then
    raise("%s: property %d of theta is constant or a combination of those before it", where, row)
  end
  return {
    d = theta:size(2), mean = mean, lower = lower, inverse = linalg.invert_lower(lower),
    log_jacobian = linalg.log_determinant(lower) / 2,
  }
end

--- The rows of points {M, d}, a tensor, whitened as `w` (host.whitening) says: a double array {M, d}, and M.
function host.whiten(w, points)
  local values, n, d = host.read(points), points:size(1), w.d
  local white = host.new(n * d)
  for k = 0, n - 1 do
    for i = 1, d do
      local sum, row = 0, w.inverse[i]
      for j = 1, i do sum = sum + row[j] * (values[k * d + j - 1] - w.mean[j]) end
      white[k * d + i - 1] = sum
    end
  end
  return white, n
end

-- ---- random orders ----

--- The numbers 1 … n in random order, a list (Fisher & Yates), by n uniforms of rng. With cyclic = true a
-- permutation of one cycle, which leaves nothing in its place (Sattolo 1986).
function host.shuffled(n, rng, cyclic)
  local order, u = {}, host.read(gal.rand({ n }, { rng = rng, device = "cpu" }))
  for k = 1, n do order[k] = k end
  for k = n, 2, -1 do
    local other = 1 + math.floor(u[k - 1] * (cyclic and k - 1 or k))
    order[k], order[other] = order[other], order[k]
  end
  return order
end

--- The first `count` of the numbers 1 … n in random order, a list, by `count` calls of uniform.
function host.some(n, count, uniform)
  local order, some = {}, {}
  for k = 1, n do order[k] = k end
  for k = 1, count do
    local other = k + math.floor(uniform() * (n - k + 1))
    order[k], order[other] = order[other], order[k]
    some[k] = order[k]
  end
  return some
end

--- A function that gives uniforms in [0, 1) one at a time: Park & Miller's "minimal standard" (1988), good
-- enough to pick starting points and rows. All other random numbers are gal.rng's.
function host.uniforms(seed)
  local state = seed % 2147483646 + 1
  return function()
    state = state * 16807 % 2147483647
    return (state - 1) / 2147483646
  end
end

--- host.finite(values): the finite numbers of a list, a list.
function host.finite(values)
  local list = {}
  for _, v in ipairs(values) do
    if v - v == 0 then list[#list + 1] = v end
  end
  return list
end

return host
