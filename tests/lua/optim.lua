-- gal.optim: 200 AdamW steps of the photometry model (on devices other than the CPU 60) against PyTorch
-- (tests/golden/mlp_adamw.py holds the recipe), and the rest against closed forms.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local nn = require "gal.nn"
local optim = require "gal.optim"
local json = require "gal.base.json"
local mse = core.mse

-- ---- the recipe's numbers, from an integer hash ----

local read = require("gal.base.path").read
local recipe = dofile "lua/lib/recipe.lua"
local h, u, s, f32, filled, ROOT3 = recipe.h, recipe.u, recipe.s, recipe.f32, recipe.filled, recipe.ROOT3

local function golden() return json.decode(read "golden/mlp_adamw/golden.json") end

-- The eight tensors' change over ten steps, int16 {135941}, behind a .npy header.
local function changes()
  local text = read "golden/mlp_adamw/change10.npy"
  local size = text:byte(9) + 256 * text:byte(10)
  return ffi.cast("const int16_t *", ffi.cast("const char *", text) + 10 + size), text
end

local ROWS, STEPS, BATCH = 1024, check.sized(200, 60), 64

local function train(g)
  local net = nn.mlp { 11, 256, 256, 256, 5 }
  local parameters = net:parameters()
  local inputs = { 11, 256, 256, 256 }
  for k, p in ipairs(parameters) do
    local bound = math.sqrt(inputs[math.ceil(k / 2)])
    core.assign(p, (filled(p.shape, function(i) return f32(s(k - 1, i) / bound) end)))
    check.equal(p:reshape({ -1 }):get(1), g.check[g.tensors[k].name][1], "the recipe's " .. g.tensors[k].name)
  end
  local context, c = filled({ ROWS, 5 }, function(i) return f32(ROOT3 * s(8, i)) end)
  local theta = filled({ ROWS, 5 }, function(i) return f32(0.5 * c[i] + f32(ROOT3 * s(9, i))) end)
  local t = filled({ STEPS * BATCH, 1 }, function(i) return u(11, i) end)
  local start = filled({ STEPS * BATCH, 5 }, function(i) return f32(ROOT3 * s(12, i)) end)
  local noise = filled({ STEPS * BATCH, 5 }, function(i) return f32(ROOT3 * s(13, i)) end)
  local rows = {}
  for i = 0, STEPS * BATCH - 1 do rows[i + 1] = math.floor(h(10, i) / 2 ^ 22) + 1 end
  local truth, seen = theta:rows(rows), context:rows(rows)
  local input = gal.cat({ t, (1 - t) * start + t * truth + noise * 0.05, seen }, 2)
  local target = truth - start

  local opt = optim.adamw(parameters, { lr = 5e-4, weight_decay = 0.01 })
  local losses, after10 = {}, {}
  for n = 0, STEPS - 1 do
    losses[n + 1] = gal.scope(function()
      local loss = mse(net(input:narrow(1, n * BATCH + 1, BATCH)), target:narrow(1, n * BATCH + 1, BATCH))
      opt:zero_grad()
      loss:backward()
      opt:step()
      return loss:item()
    end)
    if n == 9 then
      for k, p in ipairs(parameters) do after10[k] = p:detach():clone() end
    end
  end
  return losses, after10, parameters
end

check.case("AdamW steps of the photometry model are PyTorch's", function()
  local g = golden()
  check.equal({ h(0, 1), h(1, 0), h(13, 63999) }, g.check.h, "the hash")
  local losses, after10, parameters = train(g)
  local worst, at = 0, 0
  for n = 1, STEPS do
    local difference = math.abs(losses[n] / g.losses[n] - 1)
    if difference > worst then worst, at = difference, n end
  end
  local sentence = "step %d: the loss %.9g and PyTorch's %.9g differ by %.3g, relative; expected at most 1e-6"
  check.that(worst <= 1e-6, sentence:format(at, losses[at] or 0, g.losses[at] or 0, worst))

  local change, text = changes()
  local at10, inputs = 0, { 11, 256, 256, 256 }
  for k, tensor in ipairs(g.tensors) do
    local host, count = core.read(after10[k])
    local bound, difference, norm = math.sqrt(inputs[math.ceil(k / 2)]), 0, 0
    for i = 0, count - 1 do
      local w10 = f32(s(k - 1, i) / bound) + tensor.scale * change[at10 + i]
      difference, norm = difference + (host[i] - w10) ^ 2, norm + w10 ^ 2
    end
    at10 = at10 + count
    local relative = math.sqrt(difference / norm)
    check.that(relative <= 1e-5, (
      "%s: L2 distance %.3g of its norm after 10 steps, expected at most 1e-5"):format(tensor.name, relative))
    local norm200 = 0
    host, count = core.read(parameters[k])
    for i = 0, count - 1 do norm200 = norm200 + host[i] ^ 2 end
    if STEPS == 200 then
      check.near(math.sqrt(norm200) / tensor.norm_200, 1, 1e-5, tensor.name .. "'s norm after 200 steps")
    end
  end
  assert(text)
end)

-- ---- closed forms ----

local function parameter(values) return gal.tensor(values):requires_grad() end

check.case("SGD with momentum follows its recurrence", function()
  for _, nesterov in ipairs { false, true } do
    local p = parameter { 1, -2 }
    local opt = optim.sgd({ p }, { lr = 0.1, momentum = 0.9, weight_decay = 0.01, nesterov = nesterov })
    local x, v = { 1, -2 }, { 0, 0 }
    for step = 1, 5 do
      opt:zero_grad();
      (p * p):sum():backward()
      opt:step()
      for i = 1, 2 do
        local g = 2 * x[i] + 0.01 * x[i]
        v[i] = step == 1 and g or 0.9 * v[i] + g
        x[i] = x[i] - 0.1 * (nesterov and g + 0.9 * v[i] or v[i])
      end
    end
    check.near(p, x, 1e-6)
  end
end)

check.case("gradients add up until zero_grad", function()
  local p = parameter { 3 }
  local opt = optim.sgd({ p }, { lr = 1 });
  (p * 2):sum():backward();
  (p * 5):sum():backward()
  check.near(p.grad, { 7 })
  opt:zero_grad();
  (p * 2):sum():backward()
  check.near(p.grad, { 2 })
end)

check.case("a parameter without a gradient keeps its value under SGD", function()
  local a, b = parameter { 1, 2 }, parameter { 3 }
  local opt = optim.sgd({ a, b }, { lr = 0.5 });
  (a * 2):sum():backward()
  opt:step()
  check.equal(a, { 0, 1 })
  check.equal(b, { 3 })
end)

check.case("clipping scales the whole gradient to the given norm", function()
  local a, b = parameter { 0 }, parameter { 0, 0 }
  local opt = optim.sgd({ a, b }, { lr = 1, clip = 1 });
  ((a * 2):sum() + (b * gal.tensor { 1, 2 }):sum()):backward() -- the gradient (2, 1, 2) has norm 3
  opt:step()
  check.near(a, { -2 / 3 })
  check.near(b, { -1 / 3, -2 / 3 })
  opt:zero_grad();
  ((a * 0.2):sum() + (b * gal.tensor { 0.1, 0.2 }):sum()):backward()
  opt:step()
  check.near(a, { -2 / 3 - 0.2 }, 1e-6, "a short gradient stays")
end)

check.case("clip_grad_norm returns the norm before and leaves the limit", function()
  local a, b = parameter { 1 }, parameter { 1, 1 };
  ((a * 2):sum() + (b * gal.tensor { 1, 2 }):sum()):backward()
  check.near(optim.clip_grad_norm({ a, b }, 1.5), 3)
  check.near(a.grad, { 1 })
  check.near(b.grad, { 0.5, 1 })
end)

check.case("the average follows a growing window, then its decay", function()
  local p = parameter { 0 }
  local opt = optim.sgd({ p }, { lr = 1, average = 0.5 })
  local x, mean = 0, 0
  for step = 1, 12 do
    opt:zero_grad();
    (p * -step):sum():backward()
    opt:step()
    x = x + step
    local d = math.min(0.5, step / (step + 9))
    mean = mean + (1 - d) * (x - mean)
  end
  check.near(p, { x })
  opt:averaged(function() check.near(p, { mean }, 1e-4) end)
  check.near(p, { x }, 0, "the trained weights come back")
  pcall(opt.averaged, opt, function() error "an error inside" end)
  check.near(p, { x }, 0, "they come back after an error")
end)

check.case("schedules have their values at the ends and between", function()
  local cosine = optim.cosine(2, 100, 1)
  check.near({ cosine(1), cosine(51), cosine(101), cosine(500) }, { 2, 1.5, 1, 1 }, 1e-12)
  local decay = optim.step_decay(1, 10, 0.5)
  check.near({ decay(1), decay(10), decay(11), decay(21) }, { 1, 1, 0.5, 0.25 }, 1e-12)
  local warm = optim.warmup(4, optim.constant(2))
  check.near({ warm(1), warm(2), warm(4), warm(9) }, { 0.5, 1, 2, 2 }, 1e-12)
  check.equal(optim.warmup(4, optim.constant(2)):settings(),
    { schedule = "warmup", steps = 4, after = { schedule = "constant", lr = 2 } })
end)

check.case("a schedule or a function gives each step its rate", function()
  local p = parameter { 0 }
  local opt = optim.sgd({ p }, { lr = function(step) return step end })
  for _ = 1, 4 do
    opt:zero_grad()
    p:sum():backward()
    opt:step()
  end
  check.near(p, { -10 })
end)

check.case("a state that is loaded goes on as if nothing had been", function()
  local function problem() return parameter { 1, -2, 3 } end
  local function steps(p, opt, n)
    for _ = 1, n do
      opt:zero_grad();
      (p:pow(4)):sum():backward()
      opt:step()
    end
  end
  local a = problem()
  local opt_a = optim.adamw({ a }, { lr = 0.1, average = 0.9, clip = 5 })
  steps(a, opt_a, 5)
  local b = a:detach():clone():requires_grad()
  local opt_b = optim.adamw({ b }, { lr = 0.1, average = 0.9, clip = 5 })
  opt_b:load_state(opt_a:state())
  steps(a, opt_a, 5)
  steps(b, opt_b, 5)
  check.equal(a, b)
  check.equal(opt_a:state().average, opt_b:state().average)
end)

check.case("a graph that saw the old weights is refused after a step", function()
  local p = parameter { 1, 2 }
  local opt = optim.sgd({ p }, { lr = 1 })
  local y = (p * p):sum()
  p.grad = gal.ones { 2 }
  opt:step()
  check.raises(function() y:backward() end, "changed in place")
end)

check.case("wrong arguments are named at the caller's line", function()
  local p = parameter { 1 }
  check.raises(function() optim.adamw({}, {}) end, "adamw: the list of parameters is empty", true)
  check.raises(function() optim.adamw({ p }, { lr = -1 }) end,
    "adamw: lr is %-1, expected a number of at least 0", true)
  check.raises(function() optim.adamw({ p }, { weight_deacy = 1 }) end,
    "unknown option 'weight_deacy', expected 'weight_decay'?", true)
  check.raises(function() optim.sgd({ gal.zeros { 2 } }) end,
    "sgd: parameter 1 does not require a gradient", true)
  check.raises(function() optim.sgd(p) end, "sgd: parameters is a tensor {1}, expected a list", true)
end)

check.case("clip_grad_norm of parameters without gradients is 0", function()
  check.equal(optim.clip_grad_norm({ gal.ones({ 2 }):requires_grad() }, 1), 0)
end)

check.case("an optimiser that gave its parameters up makes no step", function()
  local opt = optim.sgd({ gal.ones({ 2 }):requires_grad() }, { lr = 1 })
  opt:release()
  check.raises(function() opt:step() end, "sgd: step: the optimiser has given its parameters up")
end)

-- Between two devices, so where there are two.
if gal.device() ~= "cpu" then
  check.case("a network moves before an optimiser is made or after it gave it up, not between", function()
    local net, here = nn.mlp { 2, 3, 1 }, gal.device()
    net:to "cpu"
    check.equal(net:to(here):parameters()[1]:device(), here)
    local opt = optim.adamw(net:parameters())
    check.that(net:to(here) == net, "staying is no move")
    check.raises(function() net:to "cpu" end,
      "to: 'weight' {3, 2} is a parameter of an optimiser, which keeps it on " .. here)
    check.equal(net:parameters()[1]:device(), here)
    opt:release()
    check.equal(net:to("cpu"):parameters()[1]:device(), "cpu")
  end)

  check.case("a network moves away from an optimiser that nobody holds any more", function()
    local net, x = nn.mlp { 2, 3, 1 }, gal.ones { 4, 2 }
    local function train()
      local opt = optim.adamw(net:parameters(), { average = 0.9 })
      net(x):sum():backward()
      opt:step()
    end
    train()
    check.equal(net:to("cpu"):parameters()[1]:device(), "cpu")
    net(x:to "cpu"):sum():backward()
  end)
end

check.finish()
