-- Ten AdamW steps of the paper's image model against PyTorch's: golden/image_adamw.py holds the recipe and
-- says how 588,000 weights are compared by sketches.
local check = dofile "lua/lib/check.lua"
local recipe = dofile "lua/lib/recipe.lua"
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local nn = require "gal.nn"
local optim = require "gal.optim"
local json = require "gal.base.json"
local mse = core.mse
local h, u, s, f32, filled, ROOT3 = recipe.h, recipe.u, recipe.s, recipe.f32, recipe.filled, recipe.ROOT3

local ROWS, STEPS, BATCH, SIZE = 16, 10, 4, 128

local g = json.decode(require("gal.base.path").read "golden/image_adamw.json")

-- The first and the last element of an input are those that PyTorch had.
local function as_there(name, x)
  local flat = x:reshape { -1 }
  check.equal({ flat:get(1), flat:get(flat:size(1)) }, g.check[name], "the recipe's " .. name)
  return x
end

local function images()
  local at = {}
  for k = 0, ROWS - 1 do
    at[k] = { cx = 63.5 + 16 * s(22, k), cy = 63.5 + 16 * s(23, k), w = 4 + 12 * u(24, k),
      q = 0.5 + 0.5 * u(25, k) }
    for c = 0, 2 do at[k][c] = 4 * u(26, 3 * k + c) end
  end
  return (filled({ ROWS, SIZE, SIZE, 3 }, function(i)
    local c, x, y = i % 3, math.floor(i / 3) % SIZE, math.floor(i / (3 * SIZE)) % SIZE
    local o = at[math.floor(i / (3 * SIZE * SIZE))]
    local dx, dy = (x - o.cx) / o.w, (y - o.cy) / (o.w * o.q)
    return (o[c] / (1 + (dx * dx + dy * dy)) + 0.5 * s(27, i)) - 1
  end))
end

-- The net and its sixteen tensors, in the order of the golden file.
local function model()
  local encoder, head = nn.galaxy_cnn(), nn.mlp { 267, 256, 256, 256, 5 }
  local list = {}
  for _, part in ipairs { encoder, head } do
    for _, p in ipairs(part:parameters()) do list[#list + 1] = p end
  end
  check.equal(#list, 16)
  for k, p in ipairs(list) do
    local weight = list[k - (k - 1) % 2]
    local root = math.sqrt(weight:count() / weight:size(1))
    core.assign(p, (filled(p.shape, function(i) return f32(s(k - 1, i) / root) end)))
    as_there(g.tensors[k].name, p)
    check.equal(p.shape, g.tensors[k].shape, g.tensors[k].name)
  end
  return encoder, head, list
end

local function train(encoder, head, parameters, precision)
  local context, c = filled({ ROWS, 5 }, function(i) return f32(ROOT3 * s(16, i)) end)
  local theta = filled({ ROWS, 5 }, function(i) return f32(0.5 * c[i] + f32(ROOT3 * s(17, i))) end)
  local t = filled({ STEPS * BATCH, 1 }, function(i) return u(19, i) end)
  local start = filled({ STEPS * BATCH, 5 }, function(i) return f32(ROOT3 * s(20, i)) end)
  local noise = filled({ STEPS * BATCH, 5 }, function(i) return f32(ROOT3 * s(21, i)) end)
  local pictures = images()
  for name, x in pairs { context = context, theta = theta, t = t, theta_0 = start, eps = noise,
    images = pictures } do
    as_there(name, x)
  end
  local rows = {}
  for i = 0, STEPS * BATCH - 1 do rows[i + 1] = math.floor(h(18, i) / 2 ^ 28) + 1 end
  local truth, seen = theta:rows(rows), context:rows(rows)
  local theta_t, target = (1 - t) * start + t * truth + noise * 0.05, truth - start

  local opt, losses = optim.adamw(parameters, { lr = 5e-4, weight_decay = 0.01 }), {}
  for n = 0, STEPS - 1 do
    local function batch(x) return x:narrow(1, n * BATCH + 1, BATCH) end
    losses[n + 1] = gal.scope(function()
      local own = {}
      for i = 1, BATCH do own[i] = rows[n * BATCH + i] end
      local loss = mse(
        head(gal.cat({ batch(t), batch(theta_t), encoder(pictures:rows(own), precision), batch(seen) }, 2)),
        batch(target))
      opt:zero_grad()
      loss:backward()
      opt:step()
      return loss:item()
    end)
  end
  return losses
end

-- The 64 sums of w's elements with signs from the hash, and w's L2 norm.
local function sketch(k, w)
  local host, count = core.read(w)
  local sums, squares = {}, 0
  for j = 0, 63 do sums[j] = 0 end
  for i = 0, count - 1 do
    local v = host[i]
    local low, high = h(32 + k, i), h(64 + k, i)
    for j = 0, 31 do
      sums[j] = sums[j] + v * (1 - 2 * bit.band(bit.rshift(low, j), 1))
      sums[j + 32] = sums[j + 32] + v * (1 - 2 * bit.band(bit.rshift(high, j), 1))
    end
    squares = squares + v * v
  end
  return sums, math.sqrt(squares)
end

-- Bounds are relative: of the losses, of the tensors' L2 distance and of their norm.
local function compare(precision, of_losses, of_tensors, of_norms)
  local encoder, head, parameters = model()
  local losses = train(encoder, head, parameters, precision)
  local worst_loss, worst_tensor = 0, 0
  for n = 1, STEPS do
    local difference = math.abs(losses[n] / g.losses[n] - 1)
    worst_loss = math.max(worst_loss, difference)
    local sentence = "step %d: the loss %.9g and PyTorch's %.9g differ by %.3g, relative; expected at most %g"
    check.that(difference <= of_losses,
      sentence:format(n, losses[n], g.losses[n], difference, of_losses))
  end
  for k, tensor in ipairs(g.tensors) do
    local sums, norm = sketch(k - 1, parameters[k])
    local squares = 0
    for j = 0, 63 do squares = squares + (sums[j] - tensor.sketch[j + 1]) ^ 2 end
    local relative = math.sqrt(squares / 64) / tensor.norm
    worst_tensor = math.max(worst_tensor, relative)
    check.that(relative <= of_tensors,
      ("%s: L2 distance %.3g of its norm, expected at most %g"):format(tensor.name, relative, of_tensors))
    check.near(norm / tensor.norm, 1, of_norms, tensor.name .. "'s norm")
  end
  local line = "%s: largest difference of a loss %.2g (PyTorch's own, float32 to float64: %.2g),"
    .. " of a tensor %.2g"
  print(line:format(precision, worst_loss, g.loss_spread, worst_tensor))
  return worst_tensor
end

check.case(
  "ten AdamW steps of the image model are PyTorch's", function() compare("f32", 1e-6, 1e-5, 1e-6) end)

check.case("with convolutions of bfloat16 they are so within its digits", function()
  local off = compare("bf16", 1.5e-2, 1.5e-2, 1.5e-2)
  check.that(off > 1e-4 or ffi.C.gal_notice() ~= nil, "nothing was rounded, and no notice says so")
end)

check.finish()
