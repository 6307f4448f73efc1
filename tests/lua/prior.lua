-- The estimates behind gal.stats.prior: kernel densities and mixtures, against SciPy's values and planted
-- populations; and the linear algebra and shuffles that they share.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local host = require "gal.stats.host"
local kde = require "gal.stats.kde"
local linalg = require "gal.stats.linalg"
local mixture = require "gal.stats.mixture"

local golden = require("gal.base.json").decode(require("gal.base.path").read "golden/statistics.json").kde
local theta, points = gal.tensor(golden.theta), gal.tensor(golden.points)

check.case("a covariance's Cholesky factor, inverse and determinant fit together", function()
  local a = { { 4, 2, 0.6 }, { 2, 3, 0.5 }, { 0.6, 0.5, 1 } }
  local lower = linalg.cholesky(a)
  check.near(linalg.product(lower, linalg.transpose(lower)), a, 1e-12)
  check.near(linalg.product(linalg.invert(a), a), { { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 } }, 1e-12)
  check.near(linalg.log_determinant(lower), math.log(4 * (3 - 0.25) - 2 * (2 - 0.3) + 0.6 * (1 - 1.8)), 1e-12)
  local none, row = linalg.cholesky{ { 1, 2 }, { 2, 4 } }
  check.equal(none, nil)
  check.equal(row, 2)
end)

check.case("kernel densities equal SciPy's, also where each exponential is zero in any precision", function()
  local found = kde.fit(theta, { h = golden.h }):log_density(points)
  for i = 1, #found do
    check.near(found[i], golden.log_density[i], 1e-5 * math.max(1, math.abs(golden.log_density[i])),
      "point " .. i)
  end
end)

check.case("leave-one-out densities equal those by direct sums", function()
  check.near(kde.fit(theta, { h = golden.h }):leave_one_out(), golden.leave_one_out, 2e-5)
end)

check.case("kernel sums of any size are those in double precision, with a row left out or none", function()
  local function direct(points, data, skip)
    local result = {}
    for i, point in ipairs(points) do
      local terms, nearest, sum = {}, math.huge, 0
      for j, row in ipairs(data) do
        local squares = 0
        for k = 1, #point do squares = squares + (point[k] - row[k]) ^ 2 end
        if not (skip and i == j) then
          terms[#terms + 1] = squares
          nearest = math.min(nearest, squares)
        end
      end
      for _, squares in ipairs(terms) do sum = sum + math.exp((nearest - squares) / 2) end
      result[i] = math.log(sum / #terms) - nearest / 2 - #point / 2 * math.log(2 * math.pi)
    end
    return result
  end
  for _, size in ipairs{ { 1, 2, 1 }, { 2, 2, 3 }, { 17, 64, 2 }, { 37, 517, 5 }, { 130, 131, 6 } } do
    local m, n, d = unpack(size)
    local data = gal.randn({ n, d }, { rng = gal.rng(n) }) * 4
    local points = m > 1 and gal.cat({ data:narrow(1, 1, m - 1), gal.full({ 1, d }, 30) }, 1)
      or gal.full({ 1, d }, 30)
    for _, skip in ipairs{ false, true } do
      local at = skip and data:narrow(1, 1, m) or points
      local found = gal.kde_log_density(at, data, skip):totable()
      local exact = direct(at:totable(), data:totable(), skip)
      for i = 1, m do
        check.near(found[i], exact[i], 3e-6 * math.max(1, math.abs(exact[i])),
          ("point %d of %d, %d rows, d = %d, skip %s"):format(i, m, n, d, tostring(skip)))
      end
    end
  end
end)

check.case("the width is the one that maximises the leave-one-out likelihood", function()
  check.near(kde.fit(theta).h / golden.best_h, 1, 0.02)
end)

check.case("the width is nearly the same when only some rows are scored", function()
  local many = gal.randn({ 2000, 3 }, { rng = gal.rng(2) })
  check.near(kde.fit(many, { rows = 500 }).h / kde.fit(many).h, 1, 0.12)
end)

check.case("leave-one-out densities come in the order of the rows, whichever were scored", function()
  local some = gal.randn({ 500, 2 }, { rng = gal.rng(4) })
  local part = kde.fit(some, { rows = 100 })
  check.near(part:leave_one_out(), kde.fit(some, { h = part.h }):leave_one_out(), 1e-5)
end)

check.case("kernels over a Gaussian sample estimate the Gaussian widened by the kernel", function()
  local r, h = gal.rng(7), 0.3
  local sample = gal.randn({ 10000, 2 }, { rng = r }) * 2 + 5
  local at = gal.tensor{ { 5, 5 }, { 7, 5 }, { 3, 8 } }
  local found, v = kde.fit(sample, { h = h }):log_density(at), 4 * (1 + h * h)
  for i, point in ipairs(at:totable()) do
    local squares = (point[1] - 5) ^ 2 + (point[2] - 5) ^ 2
    check.near(found[i], -squares / (2 * v) - math.log(2 * math.pi * v), 0.06, "point " .. i)
  end
end)

-- 30 % of the first Gaussian, 70 % of the second, whose two coordinates have correlation .8.
local function planted(n, rng)
  local flat, normal = {}, gal.randn({ n, 2 }, { rng = rng }):totable()
  local choice = gal.rand({ n }, { rng = rng }):totable()
  for k = 1, n do
    local a, b = normal[k][1], normal[k][2]
    if choice[k] < 0.3 then
      flat[2 * k - 1], flat[2 * k] = 10 + 0.5 * a, 5 + 0.1 * b
    else
      flat[2 * k - 1], flat[2 * k] = 8 + 0.4 * a, 3 + 0.4 * (0.8 * a + 0.6 * b)
    end
  end
  return gal.tensor(flat, { n, 2 })
end

check.case("a mixture recovers the components that were planted, and their number", function()
  local found = mixture.choose(planted(8000, gal.rng(1)))
  check.equal(#found.components, 2)
  local list = found:describe()
  check.near({ list[1].weight, list[2].weight }, { 0.7, 0.3 }, 0.02)
  check.near(list[1].mean, { 8, 3 }, 0.03)
  check.near(list[2].mean, { 10, 5 }, 0.03)
  check.near(list[1].covariance, { { 0.16, 0.128 }, { 0.128, 0.16 } }, 0.012)
end)

check.case("a mixture's density is the planted one, with theta's units in it", function()
  local found = mixture.fit(planted(8000, gal.rng(1)), 2)
  local values = found:log_density(gal.tensor{ { 10, 5 }, { 8, 3 } })
  check.near(values[1], math.log(0.3 / (2 * math.pi * 0.5 * 0.1)), 0.08)
  check.near(values[2], math.log(0.7 / (2 * math.pi * 0.4 * 0.4 * 0.6)), 0.08)
end)

check.case("one Gaussian is not split", function()
  check.equal(#mixture.choose(gal.randn({ 4000, 3 }, { rng = gal.rng(6) })).components, 1)
end)

check.case("repeated rows don't make the likelihood unbounded", function()
  local rows = gal.cat({ gal.randn({ 300, 2 }, { rng = gal.rng(8) }), gal.full({ 60, 2 }, 0.5) }, 1)
  local value = mixture.fit(rows, 3):log_density(gal.tensor{ { 0.5, 0.5 } })[1]
  check.that(value > 0 and value < 12,
    ("ln density at the repeated row is %g, expected finite"):format(value))
end)

check.case("a property that follows from another is refused, and too few rows", function()
  local a = gal.randn({ 50, 1 }, { rng = gal.rng(1) })
  check.raises(function() kde.fit(gal.cat({ a, a * 2 }, 2)) end,
    "property 2 of theta is constant or a combination")
  check.raises(function() mixture.fit(gal.cat({ a, a * 2 }, 2), 2) end,
    "property 2 of theta is constant or a combination")
  check.raises(function() kde.fit(gal.zeros{ 3, 2 }) end, "theta has 3 rows, expected at least 4")
end)

check.case("whitened rows have mean 0 and covariance 1, and other points the same transformation", function()
  local w = host.whitening("test", theta)
  local white, n = host.whiten(w, theta)
  local mean, covariance = linalg.covariance(host.rows(gal.tensor(host.list(white, n * w.d), { n, w.d })))
  for i = 1, w.d do
    check.near(mean[i], 0, 1e-5)
    for j = 1, w.d do check.near(covariance[i][j], i == j and 1 or 0, 1e-5) end
  end
  check.near(host.list((host.whiten(w, theta:narrow(1, 3, 1))), w.d), host.list(white, w.d, 2 * w.d), 0)
end)

check.case("a shuffle has each number once, a cyclic one moves each, and both depend on the seed", function()
  for _, cyclic in ipairs{ false, true } do
    local order, seen = host.shuffled(50, gal.rng(2), cyclic), {}
    for place, k in ipairs(order) do
      check.that(not seen[k] and k >= 1 and k <= 50, ("%d is not one of 1 to 50, or twice there"):format(k))
      check.that(not cyclic or k ~= place, ("%d is in its place"):format(k))
      seen[k] = true
    end
    check.equal(host.shuffled(50, gal.rng(2), cyclic), order)
    check.that(not pcall(check.equal, host.shuffled(50, gal.rng(3), cyclic), order),
      "another seed gives the same order")
  end
  local at, k = 1, 0 -- one cycle: after 50 steps, and not before, it is back
  local order = host.shuffled(50, gal.rng(2), true)
  repeat at, k = order[at], k + 1 until at == 1
  check.equal(k, 50)
  local some = host.some(10, 4, host.uniforms(1))
  check.equal(#some, 4)
  for i = 1, 4 do for j = 1, i - 1 do check.that(some[i] ~= some[j], "a number is chosen twice") end end
end)

check.finish()
