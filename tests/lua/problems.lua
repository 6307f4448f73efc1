-- The problems of known posteriors (acceptance/problems.lua): densities that integrate to one and follow the
-- likelihoods, pairs that are the same everywhere, and nothing but defaults learning one of them.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local problems = dofile "acceptance/problems.lua"
local by_name = problems.by_name

-- The integral of a posterior over a plane: the midpoints of n x m cells of a rectangle, m not n so that an
-- edge along a diagonal does not meet the midpoints.
local function integral(posterior, low, high, n)
  local m, theta, sum = math.floor(1.07 * n), {}, 0
  local a, b = (high[1] - low[1]) / n, (high[2] - low[2]) / m
  for i = 1, n do
    theta[1] = low[1] + (i - 0.5) * a
    for j = 1, m do
      theta[2] = low[2] + (j - 0.5) * b
      sum = sum + math.exp(posterior(theta))
    end
  end
  return sum * a * b
end

-- A moon ends in two steps: cells of .002 on its arc of .3 leave up to 2e-3.
check.case("two moons' posteriors integrate to one: whole, cut by the fold, cut by the prior", function()
  for _, x in ipairs{ { -0.3, 0.2 }, { 0.27, -0.1 }, { -0.4, 0.75 }, { -1.1, 0.1 } } do
    check.near(integral(by_name.two_moons.posterior(x), { -1, -1 }, { 1, 1 }, 1000), 1, 2e-3,
      ("x = %g, %g"):format(x[1], x[2]))
  end
end)

check.case("posteriors of the ring, the funnel and a linear-Gaussian plane integrate to one", function()
  for _, x in ipairs{ 0.02, 0.5, 2 } do
    check.near(integral(by_name.ring.posterior{ x }, { -3, -3 }, { 3, 3 }, 600), 1, 1e-4, "ring")
    check.near(integral(by_name.funnel.posterior{ x }, { -14, x - 0.8 }, { 12, x + 0.8 }, 800), 1, 1e-3,
      "funnel")
  end
  local plane = problems.linear_gaussian{ { 0.6, -0.3 }, { 0.2, 1.5 } }
  check.near(integral(plane.posterior{ 0.4, -0.7 }, { -4, -4 }, { 4, 4 }, 300), 1, 1e-6)
end)

-- ln of prior times likelihood less the posterior's is the evidence, the same for any two thetas.
local function evidences_agree(problem, log_joint, x, one, other)
  local posterior = problem.posterior(x)
  check.near(log_joint(one, x) - posterior(one), log_joint(other, x) - posterior(other), 1e-9, problem.name)
end

check.case("between two thetas the posterior's density changes as prior times likelihood does", function()
  local normal = function(z, width) return -0.5 * (z / width) ^ 2 - math.log(width) end
  evidences_agree(by_name.ring, function(t, x)
    return normal(t[1], 1) + normal(t[2], 1) + normal(x[1] - math.sqrt(t[1] ^ 2 + t[2] ^ 2), 0.05)
  end, { 0.7 }, { 0.5, -0.4 }, { -0.7, 0.05 })
  evidences_agree(by_name.funnel, function(t, x)
    return normal(t[1], 1.5) + normal(t[2], math.exp(t[1] / 2)) + normal(x[1] - t[2], 0.1)
  end, { 0.7 }, { 0.5, 0.65 }, { -1, 0.8 })
  evidences_agree(by_name.linear_gaussian, function(t, x)
    local sum = 0
    for i, row in ipairs(problems.matrix) do
      local mean = 0
      for j, v in ipairs(row) do mean = mean + v * t[j] end
      sum = sum + normal(t[i], 1) + normal(x[i] - mean, 0.5)
    end
    return sum
  end, { 1, -1, 0.5, 0, 2 }, { 0.1, 0.2, 0.3, -0.4, -0.5 }, { -1, 0, 0.5, 1, 0 })
end)

check.case("two moons' noise has radius .1 +- .01 and any angle of half a turn", function()
  local theta, x = by_name.two_moons.pairs(4000, gal.rng(5))
  local t, s, sum, squares, angles = theta:totable(), x:totable(), 0, 0, 0
  for i = 1, 4000 do
    local a = s[i][1] - 0.25 + math.abs(t[i][1] + t[i][2]) / math.sqrt(2)
    local b = s[i][2] - (t[i][2] - t[i][1]) / math.sqrt(2)
    local r = math.sqrt(a * a + b * b)
    sum, squares, angles = sum + r, squares + (r - 0.1) ^ 2, angles + math.atan2(b, a) ^ 2
  end
  check.near(sum / 4000, 0.1, 4 * 0.01 / math.sqrt(4000))
  check.near(math.sqrt(squares / 4000), 0.01, 4 * 0.01 / math.sqrt(8000))
  check.near(angles / 4000 / (math.pi ^ 2 / 12), 1, 4 * math.sqrt(0.8 / 4000))
end)

check.case("a normal's probabilities are erf's, in the tails as well", function()
  check.near(problems.normal_share(-1, 1), 0.682689492, 2e-7)
  check.near(problems.normal_share(-math.huge, 0), 0.5, 1e-7)
  check.near(problems.normal_share(4, 5) / 3.13845902e-5, 1, 1e-6)
  check.equal(problems.normal_share(1, 1), 0)
end)

-- golden/sbi_*.csv were made from these pairs; 1e-5 is what another processor's logarithms and cosines leave.
check.case("the pairs are those that sbi has learnt from", function()
  for name, expected in pairs{
    two_moons = { 0.211791605, 1.392716050 }, slcp = { -1.195249319, 2.582330465 }, ring = { 2.723572731 },
    funnel = { -6.890296936 }, linear_gaussian = { 0.622831702, 0.245448679 },
  } do
    local _, _, _, x = problems.seeded(by_name[name], 1, 10, 1000)
    for i, value in ipairs(expected) do check.near(x:get(1, i), value, 1e-5, name) end
  end
end)

-- 500 pairs of a plane, a small net: mean ln p - ln q over fresh pairs, nats.
local function excess(options)
  local plane = problems.linear_gaussian{ { 0.6, -0.3 }, { 0.2, 1.5 } }
  local theta, x, fresh, seen = problems.seeded(plane, 1, 500, 500)
  local flow = require("gal.flow").new{ theta = 2, context = 2, hidden = { 32, 32 }, rng = gal.rng(1) }
  options.flow, options.theta, options.context, options.progress = flow, theta, x, false
  require("gal.train").fit(options)
  local log_q = flow:log_prob(fresh, seen, { steps = 20 }):totable()
  return (require("gal.metrics").moments(problems.excess(plane, fresh, seen, log_q)))
end

check.case("nothing but defaults learns a plane to .1 nats, and better than rates too high or low", function()
  local found = excess{}
  check.that(found > -0.05 and found < 0.1, ("%.4f nats from the posterior"):format(found))
  for _, lr in ipairs{ 1e-5, 0.3 } do
    local poor = excess{ lr = lr, epochs = 40 }
    check.that(found < poor, ("lr %g: %.4f nats, the defaults' %.4f"):format(lr, poor, found))
  end
end)

check.finish()
