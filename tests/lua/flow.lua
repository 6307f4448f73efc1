-- gal.flow: densities and draws against closed forms, against each other, and to the last bit where bits are
-- promised.
local check = dofile "lua/lib/check.lua"
local scratch = dofile "lua/lib/scratch.lua"
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local nn = require "gal.nn"
local flows = require "gal.flow"
local fit = require("gal.train").fit

-- A flow in two dimensions that a short training on the CPU has bent: x says where a ring-like cloud lies.
local function trained()
  local n, r = 4000, gal.rng(11)
  local x, noise = gal.randn({ n, 1 }, { rng = r }), gal.randn({ n, 2 }, { rng = r })
  local bend = gal.cat({ noise:narrow(2, 1, 1) * 2 + x,
    noise:narrow(2, 2, 1) * 0.3 + noise:narrow(2, 1, 1):pow(2) * 0.5 - x * 3 }, 2)
  local width = check.sized(48, 12)
  local flow = flows.new { theta = { "a", "b" }, context = { "x" }, hidden = { width, width },
    rng = gal.rng(5) }:to "cpu"
  fit { flow = flow, theta = bend * 10 + 100, context = x * 0.01, epochs = 25, batch = 100, lr = 2e-3,
    decay = 0.99, seed = 1, progress = false }
  return flow:to(gal.device())
end
local flow = trained()

-- Points {m * m, 2} of a grid over mean +- reach deviations, and the area of a cell.
local function grid(points, m, reach)
  local low, step, flat = {}, {}, {}
  for j = 1, 2 do
    local column = points:narrow(2, j, 1)
    local mean, deviation = column:mean():item(), column:std():item()
    low[j], step[j] = mean - reach * deviation, 2 * reach * deviation / m
  end
  for i = 0, m - 1 do
    for k = 0, m - 1 do
      flat[#flat + 1] = low[1] + (i + 0.5) * step[1]
      flat[#flat + 1] = low[2] + (k + 0.5) * step[2]
    end
  end
  return gal.tensor(flat, { m * m, 2 }), step[1] * step[2], low, step
end

check.case("log_prob integrates to 1 and gives its own samples' frequencies", function()
  local x = gal.tensor { 0.004 }
  local n, steps, m = check.sized(20000, 5000), check.sized(30, 12), check.sized(100, 60)
  local draws = flow:sample(x, { n = n, steps = steps, rng = gal.rng(1) })[1]
  local points, area, low, step = grid(draws, m, 5)
  local density = flow:log_prob(points, x, { steps = steps }):exp()
  check.near(density:sum():item() * area, 1, 0.005)
  -- The share of draws in each of 10 x 10 blocks of cells, against the integral of the density there:
  -- binomial within five deviations.
  local expected, found, side = {}, {}, m / 10
  for k = 0, 99 do expected[k], found[k] = 0, 0 end
  for i, p in ipairs(density:totable()) do
    local row, column = math.floor((i - 1) / m), (i - 1) % m
    local block = math.floor(row / side) * 10 + math.floor(column / side)
    expected[block] = expected[block] + p * area
  end
  for _, theta in ipairs(draws:totable()) do
    local row = math.floor((theta[1] - low[1]) / step[1] / side)
    local column = math.floor((theta[2] - low[2]) / step[2] / side)
    if row >= 0 and row < 10 and column >= 0 and column < 10 then
      found[row * 10 + column] = found[row * 10 + column] + 1
    end
  end
  for k = 0, 99 do
    local share, deviation = found[k] / n, math.sqrt(expected[k] * (1 - expected[k]) / n)
    -- A cell's corners stand for its inside only to first order: 5 % of the block besides.
    local tolerance = 5 * deviation + 0.05 * expected[k] + 2e-4
    check.that(math.abs(share - expected[k]) < tolerance,
      ("block %d holds %.5f of the draws and %.5f of the density; tolerance %.5f"):format(k, share,
        expected[k], tolerance))
  end
end)

check.case("sample_and_log_prob draws what sample draws, with log_prob's densities", function()
  local x = gal.tensor { { 0 }, { 0.01 }, { -0.02 } }
  local draws, density = flow:sample_and_log_prob(x, { n = 50, rng = gal.rng(4) })
  check.equal(draws.shape, { 3, 50, 2 })
  check.equal(density.shape, { 3, 50 })
  check.equal(draws, flow:sample(x, { n = 50, rng = gal.rng(4) }))
  check.near(flow:log_prob(draws, x), density, 2e-3)
end)

local bits = check.bits

check.case("log_prob is the same alone and in any batch, at one thread and at two", function()
  local theta = flow:sample(gal.tensor { 0.002 }, { n = 1500, rng = gal.rng(2) })[1]
  local x = gal.randn({ 1500, 1 }, { rng = gal.rng(3) }) * 0.01
  local threads = ffi.C.gal_threads(0)
  ffi.C.gal_threads(1)
  local all = flow:log_prob(theta, x, { steps = 5 })
  ffi.C.gal_threads(2)
  check.equal(bits(flow:log_prob(theta, x, { steps = 5 })), bits(all), "two threads")
  ffi.C.gal_threads(threads)
  for _, part in ipairs { { 1, 1 }, { 1500, 1 }, { 7, 3 }, { 100, 33 }, { 400, 700 } } do
    local first, n = part[1], part[2]
    local own = flow:log_prob(theta:narrow(1, first, n), x:narrow(1, first, n), { steps = 5 })
    check.equal(bits(own), bits(all:narrow(1, first, n):clone()),
      ("rows %d to %d alone"):format(first, first + n - 1))
  end
end)

check.case("a galaxy's draws are the same alone and in any batch, and the first of more draws", function()
  local x = gal.randn({ 9, 1 }, { rng = gal.rng(3) }) * 0.01
  local all = flow:sample(x, { n = 200, steps = 10, rng = gal.rng(6) })
  for _, row in ipairs { 1, 4, 9 } do
    local own = flow:sample(x[row], { n = 200, steps = 10, rng = gal.rng(6) })
    check.equal(bits(own), bits(all[row]:clone()), "galaxy " .. row)
  end
  local more = flow:sample(x, { n = 333, steps = 10, rng = gal.rng(6) })
  check.equal(bits(more:narrow(2, 1, 200):clone()), bits(all), "200 of 333")
  local other = flow:sample(x, { n = 200, steps = 10, rng = gal.rng(7) })
  check.that(bits(other) ~= bits(all), "another seed gives the same draws")
  local twins = flow:sample(gal.tensor { { 0.01 }, { 0.01 } }, { n = 5 })
  check.that(bits(twins[1]:clone()) ~= bits(twins[2]:clone()),
    "two galaxies of one context have the same draws")
  local alike = gal.tensor { { 0.01 }, { 0.02 }, { 0.01 }, { 0.01 } }
  local how = { n = 5, steps = "auto", rng = gal.rng(6) }
  local whole = flow:sample(alike, how)
  how.rng, how.streams = gal.rng(6), flow:streams(alike):narrow(1, 2, 3)
  check.equal(bits((flow:sample(alike:narrow(1, 2, 3), how))), bits(whole:narrow(1, 2, 3):clone()),
    "a part with the streams of the whole")
end)

check.case("a saved flow that is loaded gives the same bits", function()
  local path = scratch.path "same.safetensors"
  flow:save(path)
  local again = flows.load(path, { device = gal.device() })
  check.equal(again.theta, flow.theta)
  check.equal(again.context, flow.context)
  check.equal(again.sigma, flow.sigma)
  local x, theta = gal.tensor { 0.01 }, gal.tensor { { 100, 105 }, { 90, 120 } }
  check.equal(bits(again:sample(x, { n = 100, rng = gal.rng(9) })),
    bits(flow:sample(x, { n = 100, rng = gal.rng(9) })))
  check.equal(bits(again:log_prob(theta, x)), bits(flow:log_prob(theta, x)))
end)

-- ---- closed forms: v = a theta + b carries N(0, 1) to N(b (e^a - 1) / a, e^2a) ----

local function linear_flow(head)
  local f = flows.new { theta = { "m", "s" }, context = { "c1" }, head = head, rng = gal.rng(1) }
  f.scale = {
    theta_mean = gal.tensor { 10, -2 }, theta_std = gal.tensor { 3, 0.5 }, context_mean = gal.tensor { 0 },
    context_std = gal.tensor { 1 },
  }
  return f
end
-- Input columns t, m, s, c1: dm/dt = .5 m + .7 c1, ds/dt = -.8 s + .2.
local function head()
  local layer = nn.linear(4, 2)
  core.assign(layer.weight, gal.tensor { { 0, 0.5, 0, 0.7 }, { 0, 0, -0.8, 0 } })
  core.assign(layer.bias, gal.tensor { 0, 0.2 })
  return layer
end
local function exact(theta, c)
  local sum = 0
  for j, a in ipairs { 0.5, -0.8 } do
    local b = j == 1 and 0.7 * c or 0.2
    local mean, deviation = b * (math.exp(a) - 1) / a, math.exp(a)
    local unit = j == 1 and 3 or 0.5
    local z = (theta[j] - (j == 1 and 10 or -2)) / unit
    sum = sum - 0.5 * ((z - mean) / deviation) ^ 2 - math.log(deviation * unit) - 0.5 * math.log(2 * math.pi)
  end
  return sum
end

check.case("the density of a linear field is its normal distribution, in theta's units", function()
  local theta, c = { { 10, -2 }, { 13, -1.5 }, { 4, -3 } }, { { 0 }, { 1 }, { -2 } }
  local expected = {}
  for i = 1, 3 do expected[i] = exact(theta[i], c[i][1]) end
  local nets = {
    layer = nn.sequential { head() }, reverse = head(),
    user = nn.sequential { head(), function(v) return v * 1 end },
  }
  for name, net in pairs(nets) do
    local f = linear_flow(net)
    check.near(f:log_prob(gal.tensor(theta), gal.tensor(c), { steps = 40 }), expected, 2e-5, name)
    local draws, density = f:sample_and_log_prob(gal.tensor { 1 }, { n = 6, steps = 40, rng = gal.rng(2) })
    for i, point in ipairs(draws[1]:totable()) do
      check.near(density:get(1, i), exact(point, 1), 1e-4, name .. ", draw")
    end
  end
end)

check.case("the draws of a linear field have its mean and deviation", function()
  local draws = linear_flow(nn.sequential { head() }):sample(gal.tensor { 1 },
    { n = 20000, steps = 10, rng = gal.rng(2) })[1]
  local mean, deviation = draws:mean(1):totable(), draws:std(1):totable()
  check.near(mean,
    { 10 + 3 * 0.7 * (math.exp(0.5) - 1) / 0.5, -2 + 0.5 * 0.2 * (math.exp(-0.8) - 1) / -0.8 }, 0.15)
  check.near({ deviation[1] / (3 * math.exp(0.5)), deviation[2] / (0.5 * math.exp(-0.8)) }, { 1, 1 }, 0.02)
end)

check.case("tangents and the tape give the same divergence for every activation", function()
  for name in pairs(nn.activations) do
    local net = nn.mlp { 4, 24, 24, 2, activation = name, rng = gal.rng(3) }
    local theta = gal.randn({ 20, 2 }, { rng = gal.rng(4) })
    local c = gal.randn({ 20, 1 }, { rng = gal.rng(5) })
    local forward = linear_flow(net):log_prob(theta, c, { steps = 8 })
    local reverse =
      linear_flow(nn.sequential { function(x) return x end, net }):log_prob(theta, c, { steps = 8 })
    check.near(forward, reverse, 1e-4, name)
  end
end)

check.case("a head that is more than its layers in a row is not taken for them", function()
  local inner = nn.sequential { nn.linear(4, 2) }
  local head = nn.module { inner, forward = function(self, x) return self[1](x) * 3 end }
  local whole = nn.sequential { inner, function(v) return v * 3 end }
  local theta, c = gal.randn({ 20, 2 }, { rng = gal.rng(4) }), gal.randn({ 20, 1 }, { rng = gal.rng(5) })
  check.equal(linear_flow(head):log_prob(theta, c, { steps = 4 }),
    linear_flow(whole):log_prob(theta, c, { steps = 4 }))
end)

check.case("computing a wide context's part of the first layer once per galaxy changes nothing", function()
  for name in pairs(nn.activations) do
    local net = nn.mlp { 83, 24, 24, 2, activation = name, rng = gal.rng(3) }
    local theta, c = gal.randn({ 20, 2 }, { rng = gal.rng(4) }), gal.randn({ 20, 80 }, { rng = gal.rng(5) })
    local function wide(head)
      local f = flows.new { theta = 2, context = 80, head = head }
      f.scale = { theta_mean = gal.zeros { 2 }, theta_std = gal.ones { 2 }, context_mean = gal.zeros { 80 },
        context_std = gal.ones { 80 } }
      return f
    end
    local hoisted, whole = wide(net), wide(nn.sequential { function(x) return x end, net })
    check.near(hoisted:log_prob(theta, c, { steps = 8 }), whole:log_prob(theta, c, { steps = 8 }), 1e-4, name)
    check.near(hoisted:sample(c, { n = 3, steps = 8, rng = gal.rng(1) }),
      whole:sample(c, { n = 3, steps = 8, rng = gal.rng(1) }), 1e-5, name)
    local all = hoisted:log_prob(theta, c, { steps = 8 })
    check.equal(bits(hoisted:log_prob(theta[7]:reshape { 1, 2 }, c[7], { steps = 8 })),
      bits(all:narrow(1, 7, 1):clone()), name .. ", row 7 alone")
  end
end)

check.case("the net's own gradients are left alone by log_prob", function()
  local net = nn.sequential { nn.linear(4, 2), function(x) return x end }
  linear_flow(net):log_prob(gal.zeros { 1, 2 }, gal.tensor { 1 }, { steps = 2 })
  for _, p in ipairs(net:parameters()) do
    check.that(p.grad == nil and p:requires_grad_set(), "a parameter was touched")
  end
end)

-- ---- forms of the arguments ----

check.case("values far from the training's are reported once a flow, a deeper survey's are not", function()
  local path = scratch.path "far.safetensors"
  flow:save(path)
  local fresh = flows.load(path)
  local function said()
    local list, notice = {}, ffi.C.gal_notice()
    while notice ~= nil do
      list[#list + 1] = ffi.string(notice)
      notice = ffi.C.gal_notice()
    end
    return list
  end
  said()
  -- The context's deviation is .01.
  local function draw(values)
    fresh:sample(gal.tensor(values):reshape { #values, 1 }, { n = 1, steps = 1 })
  end
  draw { 0.01, -0.19, 0.15 }
  check.equal(said(), {})
  draw { 0.01, 99, 0.005, -0.5 }
  fresh:log_prob(gal.zeros { 1, 2 }, gal.tensor { 99 }, { steps = 1 })
  local list = said()
  check.equal(#list, 1)
  check.that(list[1]:find("^x of 2 of 4 galaxies is more than 20 deviations from what the flow was trained on"
    .. " %(99; there "), list[1])
end)

check.case("shapes go in and out as stated", function()
  local one, three = gal.tensor { 0.01 }, gal.tensor { { 0.01 }, { 0 }, { -0.01 } }
  local options = { n = 7, steps = 2 }
  check.equal(flow:sample(one, options).shape, { 1, 7, 2 })
  check.equal(flow:sample(three, options).shape, { 3, 7, 2 })
  local theta = flow:sample(three, options)
  check.equal(flow:log_prob(theta, three, { steps = 2 }).shape, { 3, 7 })
  check.equal(flow:log_prob(theta, one, { steps = 2 }).shape, { 3, 7 })
  check.equal(flow:log_prob(theta[1], one, { steps = 2 }).shape, { 7 })
  check.equal(flow:log_prob(theta:select(2, 1), three, { steps = 2 }).shape, { 3 })
  check.equal(bits(flow:log_prob(theta[2], one, { steps = 2 })),
    bits(flow:log_prob(theta, one, { steps = 2 })[2]:clone()))
  local by_row = flow:log_prob(theta, three, { steps = 2 })
  for i = 1, 3 do
    check.equal(bits(flow:log_prob(theta[i], three[i], { steps = 2 })), bits(by_row[i]:clone()), "row " .. i)
  end
end)

check.case("a flow without context is a density", function()
  local f = flows.new { theta = 2, context = 0, hidden = { 32 }, rng = gal.rng(5) }
  fit { flow = f, theta = gal.randn({ 1000, 2 }, { rng = gal.rng(2) }) * 5, epochs = 4, lr = 2e-3,
    progress = false }
  local draws = f:sample(nil, { n = 50, steps = 10 })
  check.equal(draws.shape, { 1, 50, 2 })
  check.equal(f:log_prob(draws[1], nil, { steps = 10 }).shape, { 50 })
  check.equal(f:log_prob(draws, nil, { steps = 10 }).shape, { 1, 50 })
  check.raises(function() f:sample(gal.tensor { 1 }) end,
    "sample: x is a tensor {1}, but this flow has no context", true)
end)

check.case("an encoder's images condition the flow, whatever the batch", function()
  local r = gal.rng(8)
  local images = gal.rand({ 400, 3, 3, 2 }, { rng = r })
  local theta = images:reshape({ 400, 18 }):sum(2, true) + gal.randn({ 400, 1 }, { rng = r }) * 0.3
  local encoder = nn.module { net = nn.mlp { 18, 16, 4, rng = r },
    forward = function(self, x) return self.net(x:reshape { -1, 18 }) end }
  local f = flows.new { theta = { "flux" }, context = 0, encoder = encoder, image = { 3, 3, 2 },
    hidden = { 32 }, rng = r }
  check.equal(f.width, 4)
  local run = fit { flow = f, theta = theta, images = images, draws = 4, epochs = 30, lr = 5e-3, decay = 0.95,
    progress = false }
  -- Without the images the error could not fall below that of the prior, whose deviation is 1 in these units.
  check.that(run.best_loss < 0.85 * run.history[1].valid_loss,
    ("the loss fell from %g to %g only"):format(run.history[1].valid_loss, run.best_loss))
  local mean = f:sample(images, { n = check.sized(40, 12), steps = 10 }):mean(2)
  local error = (mean - theta):pow(2):mean():item() ^ 0.5
  check.that(error < 0.8 * theta:std():item(),
    ("the means are off by %g, the prior's deviation is %g"):format(error, theta:std():item()))
  local all = f:log_prob(theta, images, { steps = 5 })
  check.equal(bits(f:log_prob(theta:narrow(1, 130, 3), images:narrow(1, 130, 3), { steps = 5 })),
    bits(all:narrow(1, 130, 3):clone()))
  local path = scratch.path "own.safetensors"
  f:save(path)
  check.raises(function() flows.load(path) end, "the encoder of .* was written by the user", true)
  local again = flows.load(path, { device = gal.device(),
    encoder = nn.module { net = nn.mlp { 18, 16, 4, device = "cpu" }, forward = encoder.forward } })
  check.equal(bits(again:log_prob(theta, images, { steps = 5 })), bits(all))
end)

check.case("streams of some galaxies are those that they have among all, with images too", function()
  local r, rows = gal.rng(12), {}
  for k = 1, 600 do rows[k] = k % 5 == 0 and 2 or k % 300 + 1 end -- equal ones in a piece of 256, and across
  local images = (gal.rand({ 600, 2, 2, 1 }, { rng = r })):rows(rows)
  local context = gal.randn({ 600, 1 }, { rng = r }):rows(rows)
  local encoder = nn.module { forward = function(_, x) return x:reshape { -1, 4 } end }
  for c = 0, 1 do
    local f = flows.new { theta = 1, context = c, encoder = encoder, image = { 2, 2, 1 }, hidden = { 4 } }
    local x = { c > 0 and context or nil, images }
    local all = f:streams(x)
    local known = {}
    for _, number in ipairs(all:totable()) do known[tostring(number)] = true end
    local count = 0
    for _ in pairs(known) do count = count + 1 end
    check.equal(count, 600, "streams of 600 galaxies")
    for _, range in ipairs { { 1, 600 }, { 255, 4 }, { 257, 256 }, { 600, 1 } } do
      check.equal(f:streams(x, unpack(range)):totable(), all:narrow(1, unpack(range)):totable())
    end
  end
  check.raises(function() flow:streams(gal.zeros { 4, 1 }, 2, 4) end,
    "streams: count is 4, expected an integer from 1 to 3", true)
end)

check.case("Ctrl-C stops sampling with gal.interrupted", function()
  ffi.C.gal_interrupt_set(1)
  local ok, err = pcall(flow.sample, flow, gal.tensor { 0.01 })
  check.that(not ok and err == gal.interrupted, "it gave " .. tostring(err))
  check.equal(flow:sample(gal.tensor { 0.01 }, { n = 3 }).shape, { 1, 3, 2 }, "and works again")
end)

check.case("bad arguments are named at the caller's line", function()
  local nan = 0 / 0
  check.raises(function() flow:sample(gal.tensor { { 0.1 }, { nan } }) end,
    "sample: x is NaN in row 2, column 1 %('x'%)", true)
  check.raises(function() flow:log_prob(gal.tensor { { 1, 1 / 0 } }, gal.tensor { 1 }) end,
    "theta is infinite in row 1, column 2 %('b'%)", true)
  check.raises(function() flow:sample(gal.zeros { 4, 3 }) end,
    "sample: x is {4, 3}, expected {N, 1} for x", true)
  check.raises(function() flow:sample() end, "sample: x is nil, expected a tensor", true)
  check.raises(function() flow:log_prob(gal.zeros { 4, 3 }, gal.tensor { 1 }) end,
    "log_prob: theta is {4, 3}, expected {N, 2} or {N, m, 2} for a, b", true)
  check.raises(function() flow:log_prob(gal.zeros { 4, 2 }, gal.zeros { 3, 1 }) end,
    "log_prob: x has 3 rows and theta 4", true)
  check.raises(function() flow:sample(gal.tensor { 1 }, { N = 3 }) end,
    "sample: unknown option 'N', expected 'n'?", true)
  check.raises(function() flow:sample(gal.zeros { 4, 1 }, { streams = flow:streams(gal.zeros { 3, 1 }) }) end,
    "sample: streams is int64 {3}, expected int64 {4}, of flow:streams", true)
  check.raises(function() flow:sample(gal.zeros { 4, 1 }, { streams = 4 }) end,
    "sample: streams is the number 4, expected a tensor", true)
  check.raises(function() flow:sample(gal.tensor { 1 }, { n = 0 }) end,
    "sample: n is 0, expected an integer of at least 1", true)
  check.raises(function() flows.new { theta = 2, context = 1, sigma = -1 } end, "flow: sigma is %-1", true)
  check.raises(function() flows.new { theta = { "a", "a" }, context = 1 } end,
    "flow: theta names 'a' twice", true)
  check.raises(function() flows.new { context = 1 } end, "flow: theta is nil", true)
  check.raises(function() flows.new { theta = 1, context = 1 }:sample(gal.tensor { 1 }) end,
    "sample: the flow has not been trained", true)
end)

-- All notices that were left since the last call.
local function notices()
  local list, notice = {}, ffi.C.gal_notice()
  while notice ~= nil do
    list[#list + 1] = ffi.string(notice)
    notice = ffi.C.gal_notice()
  end
  return table.concat(list, "\n")
end

check.case("draws and densities that are no numbers are told, and are their galaxy's alone", function()
  local x = gal.tensor{ { 0 }, { 3.4e38 }, { 0.01 } }
  local good = gal.tensor{ { 0 }, { 0.01 } }
  local theta = gal.tensor{ { 100, 100 }, { 100, 100 }, { 101, 100 } }
  local told = {}
  notices()
  for _, steps in ipairs{ 4, "auto" } do
    local own = flow:sample(x, { n = 6, steps = steps, rng = gal.rng(2) })
    check.equal(own:rows{ 1, 3 }, flow:sample(good, { n = 6, steps = steps, rng = gal.rng(2) }))
    check.that(own:get(2, 1, 1) ~= own:get(2, 1, 1), "a number from an infinite input")
    local said = flow:log_prob(theta, x, { steps = steps })
    check.equal(said:rows{ 1, 3 }, flow:log_prob(theta:rows{ 1, 3 }, good, { steps = steps }))
    told[#told + 1] = notices()
  end
  for _, what in ipairs{ "the draws", "log densities" } do
    local sentence = what .. " of 1 of 3 galaxies are not finite, or beyond single precision (row 2)"
    check.that(told[1]:find(sentence, 1, true), sentence .. " is not in: " .. told[1])
  end
  flow:sample(x, { n = 1, steps = 2, told = false })
  check.that(not notices():find "row 2", "told again, or although told is false")
end)

check.case("a property among its own predictors is refused, and one of few values is told", function()
  check.raises(function() flows.new{ theta = { "mass", "sfr" }, context = { "r", "MASS" } } end,
    "flow: 'MASS' is among its own predictors: it stands in theta and in context", true)
  local own = flows.new{ theta = { "class" }, context = { "x" }, hidden = { 4 } }
  local class = {}
  for k = 1, 40 do class[k] = { k % 3 } end
  notices()
  own:standardise(gal.tensor(class), gal.randn{ 40, 1 })
  check.that(notices():find "^class has 3 different values among 40 rows: it has no density", "a class")
  class[7] = { 1e9 }
  local theta = gal.tensor(class) + gal.randn{ 40, 1 }
  fit{ flow = own, theta = theta, context = gal.randn{ 40, 1 }, epochs = 1, progress = false }
  check.that(notices():find "suspicious: class is 1e%+09 in one row", "an outlier of plain tensors")
end)

scratch.remove()
check.finish()
