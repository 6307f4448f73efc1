-- The contract with scripts outside the project: each case is a sentence of lua/README.md or a chapter of it,
-- or a part of one, which must stand there word for word. A case that fails is a promise broken. readme.lua
-- runs the blocks of Lua in these documents; the other files check how accurate the numbers are.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local nn = require "gal.nn"

local scratch = dofile "lua/lib/scratch.lua"
local file = scratch.path

local promise = dofile("lua/lib/document.lua").promises(check)

-- ---- tensors ----

promise("`gal.tensor` takes nested tables, a flat table with its shape, or a number.", function()
  local x = gal.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
  check.equal(x.shape, { 2, 3 })
  check.equal(gal.tensor({ 1, 2, 3, 4, 5, 6 }, { 2, 3 }), x)
  check.equal(gal.tensor(5).shape, {})
  check.equal(gal.tensor(5):totable(), 5)
  check.equal(gal.tensor({}).shape, { 0 })
  check.equal(gal.tensor({}, { 0, 3 }).shape, { 0, 3 })
  check.equal(x.dtype, "float32")
end)

promise("`shape` is a fresh table each time; indices count from 1.", function()
  local x = gal.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
  local shape = x.shape
  shape[1] = 99
  check.equal(x.shape, { 2, 3 })
  check.equal({ x:size(1), x:size(2), x:size(-1) }, { 2, 3, 3 })
  check.equal({ x:get(2, 3), x:get(1, 1) }, { 6, 1 })
  check.equal(x:set(9, 2, 3):get(2, 3), 9)
  check.equal(x[2], { 4, 5, 9 })
  check.equal(x[2][1]:item(), 4)
  check.equal(x:totable(), { { 1, 2, 3 }, { 4, 5, 9 } })
end)

promise("`gal.ones`, `gal.rand` and `gal.randn` take a shape as `gal.zeros` does", function()
  local r = gal.rng(7)
  check.equal(gal.randn({ 3, 4 }, { rng = r, device = "cpu" }).shape, { 3, 4 })
  check.equal(gal.zeros { 2, 2 }, { { 0, 0 }, { 0, 0 } })
  check.equal(gal.ones({ 2 }, { device = "cpu" }), { 1, 1 })
  check.equal(gal.full({ 2 }, -1.5), { -1.5, -1.5 })
  check.equal(gal.full({}, 3):item(), 3)
  check.equal(gal.arange(4), { 1, 2, 3, 4 })
  check.equal(gal.arange(2, 5), { 2, 3, 4, 5 })
  check.equal(gal.arange(0, 1, 0.25), { 0, 0.25, 0.5, 0.75, 1 })
  check.equal(gal.arange(3, 1, -1), { 3, 2, 1 })
  check.equal(gal.arange(5, 1).shape, { 0 })
  local u = gal.rand { 10000 }
  check.that(u:min():item() >= 0 and u:max():item() < 1, "rand leaves [0, 1)")
  for _, make in ipairs { gal.zeros, gal.ones, gal.rand, gal.randn, function(s) return gal.full(s, 1) end } do
    check.equal(make({ 0, 3 }).shape, { 0, 3 })
    check.equal(make({}).shape, {})
    check.equal(make({ 2 }).dtype, "float32")
  end
end)

promise("A generator goes on from its state with the same numbers. Where none is given the default one "
  .. "is used, seeded by `--seed` (0)", function()
  local r = gal.rng(7)
  gal.randn({ 5 }, { rng = r })
  local s = r:state()
  check.equal(type(s), "string")
  local a = gal.randn({ 9 }, { rng = r })
  r:set_state(s)
  check.equal(gal.randn({ 9 }, { rng = r }), a)
  local other = gal.rng(1)
  other:set_state(s)
  check.equal(gal.randn({ 9 }, { rng = other }), a)
  local function first(options)
    local print_first = " -e 'io.write(require(\"gal\").rand({ 1 }):item())'"
    return (select(2, scratch.run(scratch.galrun .. " " .. options .. print_first)))
  end
  check.equal(first "", tostring(gal.rand({ 1 }, { rng = gal.rng(0) }):item()))
  check.equal(first "--seed 5", tostring(gal.rand({ 1 }, { rng = gal.rng(5) }):item()))
end)

promise("`+ - * / ^` and unary minus broadcast as in NumPy, with numbers on either side.", function()
  local x, v = gal.tensor { { 1, 2 }, { 3, 4 } }, gal.tensor { 10, 20 }
  check.equal(x + v, { { 11, 22 }, { 13, 24 } })
  check.equal(v - x, { { 9, 18 }, { 7, 16 } })
  check.equal(x * gal.tensor { { 2 }, { 3 } }, { { 2, 4 }, { 9, 12 } })
  check.equal(1 / gal.tensor { 2, 4 }, { 0.5, 0.25 })
  check.equal(x ^ 2, { { 1, 4 }, { 9, 16 } })
  check.equal(2 ^ gal.tensor { 1, 3 }, { 2, 8 })
  check.equal(-v, { -10, -20 })
  check.equal(v + 1, { 11, 21 })
  check.equal((gal.zeros { 2, 1, 3 } + gal.ones { 4, 1 }).shape, { 2, 4, 3 })
  check.equal((gal.zeros { 0, 3 } + gal.ones { 3 }).shape, { 0, 3 })
  check.raises(function() return x + gal.ones { 3 } end, "add: a is {2, 2} and b is {3}", true)
  check.raises(function() return x + "2" end, "add: b is the string \"2\", expected a tensor", true)
  check.raises(function() return x * nil end, "mul: b is nil, expected a tensor", true)
end)

promise("`eq lt le gt ge`, which give 1 or 0", function()
  local x = gal.tensor { 1, 2, 0 / 0 }
  check.equal(x:eq(gal.tensor { 1, 3, 0 / 0 }), { 1, 0, 0 })
  check.equal(x:eq(2), { 0, 1, 0 })
  check.equal({ x:lt(2), x:le(2), x:gt(1), x:ge(1) }, { { 1, 0, 0 }, { 1, 1, 0 }, { 0, 1, 0 }, { 1, 1, 0 } })
end)

promise("drop the dimension unless `keep` is true; -1 is the last one; without `dim` they are over all "
  .. "elements and have shape {}. `std` and `var` divide by N; `any` and `all` give 1 or 0", function()
  local x = gal.tensor { { 1, 2, 3 }, { 4, 5, 9 } }
  check.equal(x:sum():totable(), 24)
  check.equal(x:sum().shape, {})
  check.equal(x:sum(1), { 5, 7, 12 })
  check.equal(x:mean(-1), { 2, 6 })
  check.equal(x:max(2), { 3, 9 })
  check.equal(x:min():item(), 1)
  check.equal(x:std(1, true), { { 1.5, 1.5, 3 } })
  check.equal(x:std(1), { 1.5, 1.5, 3 })
  check.equal(x:var(1), { 2.25, 2.25, 9 })
  check.equal((x / x - 1):set(0 / 0, 2, 2):any(2), { 0, 1 })
  check.equal(x:mean(1, true).shape, { 1, 3 })
  check.equal(gal.tensor(3):mean():item(), 3)
  check.equal(gal.zeros({ 0, 3 }):sum(1), { 0, 0, 0 })
  check.raises(function() x:sum(3) end, "sum: dim is 3, expected an integer from 1 to 2", true)
  check.raises(function() x:sum(0) end, "sum: dim is 0", true)
  check.raises(function() gal.zeros({ 0, 3 }):mean(1) end, "mean: ", true)
end)

promise("sums, means and deviations accumulate in double precision", function()
  local x = gal.full({ 3000000 }, 0.1)
  check.near(x:sum():item() / (3000000 * ffi.new("float[1]", 0.1)[0]), 1, 1e-7)
  check.near((gal.full({ 1000000 }, 4096) + gal.arange(1000000) * 0):std():item(), 0, 0)
end)

promise("`reshape` takes one -1. `narrow(dim, first, length)`, `select(dim, index)` and `t()` are "
  .. "views: `set` writes through", function()
  local x = gal.arange(12):reshape { 3, -1 }
  check.equal(x.shape, { 3, 4 })
  check.equal(x:reshape({ -1 }).shape, { 12 })
  check.raises(function() x:reshape { -1, -1 } end, "reshape: ", true)
  check.raises(function() x:reshape { 5, -1 } end, "reshape: shape is {5, .*}, expected 12 elements", true)
  check.equal(x:narrow(2, 2, 2), { { 2, 3 }, { 6, 7 }, { 10, 11 } })
  check.equal(x:select(2, 4), { 4, 8, 12 })
  check.equal(x:t():get(4, 1), 4)
  x:narrow(1, 2, 1):set(-1, 1, 1)
  x:select(1, 3):set(-2, 2)
  x:t():set(-3, 3, 1)
  x[1]:set(-4, 1)
  x:reshape({ 12 }):set(-5, 12)
  check.equal(x, { { -4, 2, -3, 4 }, { -1, 6, 7, 8 }, { 9, -2, 11, -5 } })
  check.raises(function() x:narrow(1, 3, 2) end, "narrow: length is 2, expected an integer from 0 to 1", true)
  check.raises(function() x:select(1, 4) end, "select: index is 4, expected an integer from 1 to 3", true)
  check.raises(function() return x[0] end, "select: index is 0", true)
  check.raises(function() gal.ones({ 2, 2, 2 }):t() end, "t: x is {2, 2, 2}, expected a matrix", true)
end)

promise("`x:to(name)` is x itself where it is there already.", function()
  local y = gal.ones { 2, 3 }
  check.equal(gal.cat({ y, y }, 1).shape, { 4, 3 })
  check.equal(gal.cat({ y, y }, -1).shape, { 2, 6 })
  local default = gal.device()
  check.that(y:to(default) == y, "to the same device copies")
  check.equal(y:device(), default)
  local has, reason = gal.has "cuda"
  if not has then
    check.equal(type(reason), "string")
    check.raises(function() y:to "cuda" end, "cuda", true)
    check.raises(function() gal.device "cuda" end, "cuda", true)
    check.raises(function() gal.zeros({ 2 }, { device = "cuda" }) end, "cuda", true)
  end
  check.equal({ gal.has "cpu" }, { true })
  check.raises(function() gal.device "gpu" end, "gpu", true)
  check.equal(gal.device(), default)
end)

promise("Ragged or miscounted input raises and names the place.", function()
  check.raises(function() gal.tensor { { 1, 2 }, { 3 } } end,
    "tensor: element %[2%] has 1 elements, expected 2", true)
  check.raises(function() gal.tensor({ 1, 2, 3 }, { 2, 2 }) end,
    "tensor: data has 3 elements, expected 4", true)
  check.raises(function() gal.tensor { 1, "a" } end, "tensor: element %[2%] is the string \"a\"", true)
  check.raises(function() gal.tensor { { 1 }, 2 } end, "tensor: element %[2%] is the number 2", true)
  check.raises(function() gal.tensor { 1, { 2 } } end, "tensor: element %[2%] is a table", true)
  check.raises(function() gal.tensor() end, "tensor: data is nil", true)
  check.raises(function() gal.zeros(3) end, "zeros: shape is the number 3, expected a table", true)
  check.raises(function() gal.zeros { -1 } end, "zeros: dimension 1 of shape is %-1", true)
  check.raises(function() gal.zeros { 2.5 } end, "zeros: dimension 1 of shape is 2.5", true)
  check.raises(function() gal.full({ 2 }) end, "full: value is nil, expected a number", true)
  check.raises(function() gal.tensor({ 1 }):get(2) end,
    "get: index 1 is 2, expected an integer from 1 to 1", true)
  check.raises(function() gal.tensor({ 1 }):get() end, "get: 0 indices for a tensor {1}, expected 1", true)
  check.raises(function() gal.tensor({ 1, 2 }):item() end, "item: x is {2}, expected one element", true)
  check.raises(function() gal.rng "a" end, "rng: seed is", true)
  check.raises(function() gal.rand({ 2 }, { rng = 7 }) end,
    "rand: rng is the number 7, expected a generator", true)
  check.raises(function() gal.rand({ 2 }, { seed = 7 }) end,
    "rand: unknown option 'seed', expected one of rng, device", true)
end)

-- ---- dtypes ----

local function bytes()
  return core.assign(core.new({ 2, 3 }, "uint8"), gal.tensor { { 1, 2, 3 }, { 250, 251, 255 } })
end
local function whole()
  return core.int64({ 2, 2 }, { 1, -2, 3, 9007199254740993LL })
end

promise("uint8 and int64 have shapes, views, `to`, `totable` and `save`, and `x:float()` is their copy "
  .. "in float32", function()
  for _, x in ipairs { bytes(), whole() } do
    check.equal(x.shape[1], 2)
    check.equal(x:narrow(2, 2, 1).dtype, x.dtype)
    check.equal(x:select(1, 2).dtype, x.dtype)
    check.equal(x[2].dtype, x.dtype)
    check.that(x:to(gal.device()) == x, "to")
    gal.save(file "x.npy", x)
    local back = gal.load(file "x.npy")
    check.equal(back.dtype, x.dtype)
    check.equal(back, x)
    check.equal(x:float().dtype, "float32")
  end
  check.equal(bytes():totable(), { { 1, 2, 3 }, { 250, 251, 255 } })
  check.equal(bytes():float(), { { 1, 2, 3 }, { 250, 251, 255 } })
  check.equal(whole():totable(), { { 1, -2 }, { 3, "9007199254740993" } })
  check.equal(bytes():get(2, 3), 255)
  check.equal(whole()[2][2]:item(), "9007199254740993")
  check.equal(bytes():reshape({ 3, 2 }):totable(), { { 1, 2 }, { 3, 250 }, { 251, 255 } })
  check.equal(bytes():t():totable(), { { 1, 250 }, { 2, 251 }, { 3, 255 } })
  check.equal(bytes():rows({ 2 }):totable(), { { 250, 251, 255 } })
  check.equal(gal.cat({ bytes(), bytes() }, 1).dtype, "uint8")
  check.equal(bytes():clone().dtype, "uint8")
  check.that(tostring(bytes()):find "uint8" and tostring(whole()):find "9007199254740993", "printing")
end)

promise("Arithmetic is of float32 only, and raises for the others, "
  .. "naming the type and what converts", function()
  for _, x in ipairs { bytes(), whole() } do
    local y = gal.ones(x.shape)
    for name, fn in pairs { -- brackets: a tail call hides the line it is made at
      add = function() return x + y end, sub = function() return y - x end, mul = function() return x * 2 end,
      div = function() return 1 / x end, pow = function() return x ^ 2 end,
      eq = function() return (x:eq(y)) end, lt = function() return (x:lt(1)) end,
      sum = function() return (x:sum()) end, mean = function() return (x:mean(1)) end,
      max = function() return (x:max()) end, min = function() return (x:min(1)) end,
      std = function() return (x:std()) end, relu = function() return (x:relu()) end,
      silu = function() return (x:silu()) end, exp = function() return (x:exp()) end,
      matmul = function() return (x:t():matmul(y)) end, sort = function() return (x:sort()) end,
      affine = function() return -x end, maximum = function() return (x:maximum(y)) end,
      requires_grad = function() return (x:requires_grad()) end,
    } do
      check.raises(fn, "is " .. x.dtype .. ", expected float32", true)
      if name ~= "requires_grad" then check.raises(fn, ":float%(%) converts") end
    end
  end
end)

promise("`set` writes only what the type can hold", function()
  local b, i = bytes(), whole()
  check.equal(b:set(7, 1, 1):get(1, 1), 7)
  check.equal(i:set(-7, 1, 1):get(1, 1), -7)
  check.raises(function() b:set(256, 1, 1) end, "set: value is 256, expected an integer from 0 to 255", true)
  check.raises(function() b:set(1.5, 1, 1) end, "set: value is 1.5, expected an integer from 0 to 255", true)
  check.raises(function() b:set(-1, 1, 1) end, "set: value is %-1, expected", true)
  check.raises(function() i:set(0 / 0, 1, 1) end, "set: value is .*nan, expected an integer", true)
  check.raises(function() i:set(0.5, 1, 1) end, "set: value is 0.5, expected an integer", true)
  check.raises(function() b:set("1", 1, 1) end, "set: value is the string", true)
  check.equal(b:fill_(9), gal.full({ 2, 3 }, 9):totable())
  check.raises(function() b:fill_(999) end, "fill_: value is 999, expected an integer from 0 to 255", true)
end)

-- ---- gradients ----

promise("It adds to `.grad`, which is nil before, and frees the graph: a second call raises.", function()
  local w = gal.randn { 3, 4 }
  check.that(w:requires_grad() == w, "requires_grad returns another tensor")
  check.that(w.grad == nil, "a gradient before backward")
  local x = gal.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
  local y = x:matmul(w):pow(2):mean()
  y:backward()
  check.equal(w.grad.shape, { 3, 4 })
  local once = w.grad:clone()
  check.raises(function() y:backward() end, "backward: the graph through .* was freed", true)
  x:matmul(w):pow(2):mean():backward()
  check.near(w.grad, once * 2, 1e-4)
  check.that(w:requires_grad(false) == w and not w:requires_grad_set(), "requires_grad(false)")
end)

promise("`backward()` needs one element, else `backward(g)` with g of the result's shape.", function()
  local w = gal.ones({ 2, 2 }):requires_grad()
  check.raises(function() (w * 2):backward() end,
    "backward: y is {2, 2}, expected one element, or backward%(g%)", true)
  check.raises(function() (w * 2):backward(gal.ones { 2 }) end, "backward: g is {2}, expected {2, 2}", true);
  (w * 2):backward(gal.full({ 2, 2 }, 3))
  check.equal(w.grad, { { 6, 6 }, { 6, 6 } })
  check.raises(function() gal.ones({ 1 }):backward() end,
    "backward: y does not depend on any tensor with requires_grad", true)
end)

promise("`x:detach()` is a view that is not on the tape.", function()
  local w = gal.ones({ 2 }):requires_grad()
  check.raises(function() w:detach():sum():backward() end, "does not depend", true)
  local y = gal.no_grad(function() return (w * 2):sum() end)
  check.raises(function() y:backward() end, "does not depend", true)
  check.equal({ gal.no_grad(function(a, b) return b, a end, 1, 2) }, { 2, 1 })
  check.raises(function() gal.no_grad(function() error("oops", 0) end) end, "^oops$");
  (w * 2):sum():backward()
  check.equal(w.grad, { 2, 2 })
end)

promise("Changing a tensor on the tape in place raises, and so does `backward` where a tensor that it "
  .. "needs was changed after use.", function()
  local w = gal.ones({ 2, 2 }):requires_grad()
  local y = w * 2
  for _, x in ipairs { w, y, w:narrow(1, 1, 1), y[1] } do
    local one = #x.shape == 2 and { 1, 1 } or { 1 }
    check.raises(function() x:set(5, unpack(one)) end, "set: x .* is on the tape", true)
    check.raises(function() x:fill_(5) end, "fill_: x .* is on the tape", true)
    check.raises(function() x:copy_(x:detach():clone()) end, "copy_: x .* is on the tape", true)
  end
  local x = gal.ones { 2 }
  local z = (gal.ones({ 2 }):requires_grad() * x):sum()
  x:set(3, 1)
  check.raises(function() z:backward() end, "changed in place", true)
end)

-- ---- memory ----

promise("A tensor among the results must be kept (`y:keep()`), else the scope raises", function()
  local y = gal.ones { 3 }
  check.that(gal.scope(function() return y:keep() end) == y, "keep copies what is outside already")
  local a, b, c = gal.scope(function(v) return (y * 2):keep(), v, nil end, 7)
  check.equal({ a:totable(), b }, { { 2, 2, 2 }, 7 })
  check.that(c == nil, "a third result")
  check.raises(function() gal.scope(function() return y * 2 end) end,
    "scope: result 1 is a tensor that ends with the scope", true)
  local stale
  check.raises(function() gal.scope(function() stale = y * 3 error("oops", 0) end) end, "^oops$")
  check.raises(function() return stale + 1 end, "add: a is a stale tensor", true)
  check.raises(function() stale:totable() end, "totable: x is a stale tensor", true)
  check.raises(function() return stale.shape end, "stale", true)
  check.that(tostring(stale):find "stale", "printing a stale tensor")
end)

promise("`gal.memory()` is `{live, peak, reserved, limit, tensors}`, bytes but for the last,", function()
  check.collect()
  local before = gal.memory()
  local x = gal.zeros { 1000, 1000 }
  local after = gal.memory()
  check.equal(after.live - before.live, 4000000)
  check.that(after.peak >= after.live and after.reserved >= after.live and after.limit > 0,
    "peak, reserved, limit")
  check.equal(x:size(1), 1000)
end)

-- ---- networks and optimisers ----

promise("A module is called as a function and has `parameters()`, `state()`, `load_state(s)` and "
  .. "`to(device)`", function()
  local cnn = nn.sequential { nn.conv2d(3, 32, 3), nn.silu(), nn.avg_pool2d(2), nn.global_avg_pool() }
  local images = gal.rand { 2, 8, 8, 3 }
  check.equal(cnn(images).shape, { 2, 32 })
  check.equal(#cnn:parameters(), 2)
  check.equal(cnn:state()["1.weight"].shape, { 32, 3, 3, 3 })
  cnn:load_state(cnn:state())
  check.that(cnn:to(gal.device()) == cnn, "to")
  local opt = require("gal.optim").adamw(cnn:parameters(), { lr = 5e-4, weight_decay = 1e-2 })
  local before = cnn:state()["1.weight"]:clone()
  cnn(images):sum():backward()
  opt:step()
  opt:zero_grad()
  check.that(cnn:parameters()[1].grad == nil, "zero_grad leaves a gradient")
  check.that((cnn:state()["1.weight"] - before):abs():max():item() > 1e-4, "the step moved nothing")
end)

promise("`optim.adamw`: betas .9 and .999, eps 1e-8, weight_decay .01 on everything.", function()
  local w = gal.full({ 1 }, 2):requires_grad()
  local opt = require("gal.optim").adamw({ w }, { lr = 0.1 });
  (w * 3):sum():backward()
  opt:step()
  -- m / (sqrt v + eps) is the gradient's sign at step 1: w (1 - lr wd) - lr.
  check.near(w:item(), 2 * (1 - 0.1 * 0.01) - 0.1, 1e-6)
end)

-- ---- flows ----

local function trained(options)
  local r = gal.rng(1)
  local theta = gal.randn({ 120, 5 }, { rng = r }) * 10 + 3
  local x = theta + gal.randn({ 120, 5 }, { rng = r })
  local o = { theta = { "log_mass", "log_sfr", "oh", "dn4000", "a_v" }, context = 5, hidden = { 16, 16 },
    activation = "silu", sigma = 0.05, encoder = nil }
  for key, value in pairs(options or {}) do o[key] = value end
  local flow = require("gal.flow").new(o)
  local run = require("gal.train").fit { flow = flow, theta = theta, context = flow.c > 0 and x or nil,
    images = nil, valid = 0.1, batch = 64, lr = 5e-4, epochs = 2, patience = 20, seed = 1, out = nil,
    progress = false }
  return flow, run, theta, x
end

promise("Samples are always {N, n, d}.", function()
  local flow, run, theta, x = trained()
  check.equal({ run.stopped, run.best_epoch ~= nil, type(run.best_loss), #run.history, run.flow == flow },
    { "epochs", true, "number", 2, true })
  check.equal(flow.context, { "context_1", "context_2", "context_3", "context_4", "context_5" })
  local four = x:narrow(1, 1, 4)
  local r = gal.rng(7)
  check.equal(flow:sample(four, { n = 6, steps = 3, rng = r }).shape, { 4, 6, 5 })
  check.equal(flow:sample(x[1], { n = 6, steps = 3 }).shape, { 1, 6, 5 })
  check.equal(flow:log_prob(theta:narrow(1, 1, 4), four, { steps = 3 }).shape, { 4 })
  check.equal(flow:log_prob(gal.zeros { 4, 7, 5 }, four, { steps = 3 }).shape, { 4, 7 })
  check.equal(flow:log_prob(theta:narrow(1, 1, 4), x[1], { steps = 3 }).shape, { 4 })
  check.equal(flow:log_prob(theta:narrow(1, 1, 4), x:narrow(1, 1, 1), { steps = 3 }).shape, { 4 })
  local draws, density = flow:sample_and_log_prob(four, { n = 6, steps = 3 })
  check.equal({ draws.shape, density.shape }, { { 4, 6, 5 }, { 4, 6 } })
  -- In the user's units: theta has mean 3 and deviation 10.
  check.near(flow:sample(x, { n = 20, steps = 4 }):std():item(), 10, 5)
  check.equal(flow:sample(x[1], { steps = 1 }).shape, { 1, 1000, 5 })
end)

promise("gives a report behind the other results", function()
  local flow, _, theta, x = trained()
  local four = x:narrow(1, 1, 4)
  local samples, report = flow:sample(four, { n = 6, steps = "auto", tolerance = 1e-2 })
  check.equal({ samples.shape, report.steps.shape, report.error.shape, report.flagged, report.galaxies,
    report.tolerance }, { { 4, 6, 5 }, { 4 }, { 4 }, {}, 4, 1e-2 })
  check.equal({ type(report.solver), type(report.evaluations) }, { "string", "number" })
  local log_prob, of_points = flow:log_prob(theta:narrow(1, 1, 4), four, { steps = "auto" })
  check.equal({ log_prob.shape, of_points.steps.shape, of_points.flagged }, { { 4 }, { 4 }, {} })
  local draws, density, third = flow:sample_and_log_prob(four, { n = 6, steps = "auto" })
  check.equal({ draws.shape, density.shape, third.error.shape }, { { 4, 6, 5 }, { 4, 6 }, { 4 } })
  check.equal(select("#", flow:sample(four, { n = 6, steps = 2 })), 1)
  check.equal(select("#", flow:log_prob(theta, x, { steps = 2 })), 1)
  check.equal(select("#", flow:sample_and_log_prob(four, { n = 6, steps = 2 })), 2)
  check.equal(flow:sample(four, { n = 6, steps = 2, precision = "bf16" }).shape, { 4, 6, 5 })
end)

promise("function(first, samples, log_prob, draw, report)` takes the draws piece by piece.", function()
  local flow, _, _, x = trained()
  local seen = {}
  check.equal(select("#", flow:sample(x, { n = 6, steps = 2, into = function(first, samples, log_prob, draw)
    seen[#seen + 1] = { first, samples.shape, log_prob, draw }
  end })), 1)
  check.equal(seen, { { 1, { 120, 6, 5 }, nil, 1 } })
end)

promise("`theta` and `context` are names, or how many; context 0 is a density without conditions.", function()
  local flow, _, theta, x = trained()
  flow:save(file "flow.safetensors")
  local again = require("gal.flow").load(file "flow.safetensors", { device = gal.device() })
  check.equal(again.theta, flow.theta)
  check.equal(again:log_prob(theta, x, { steps = 2 }), flow:log_prob(theta, x, { steps = 2 }))
  local bare = trained { context = 0, theta = 5 }
  check.equal(bare:sample(nil, { n = 3, steps = 2 }).shape, { 1, 3, 5 })
  check.equal(bare:log_prob(theta, nil, { steps = 2 }).shape, { 120 })
end)

promise("modules that the user wrote are passed again", function()
  local own = function()
    return nn.module { inner = nn.linear(11, 5), forward = function(self, v) return self.inner(v) end }
  end
  local flow, _, theta, x = trained { head = own() }
  flow:save(file "own.safetensors")
  check.raises(function() require("gal.flow").load(file "own.safetensors") end,
    "load: the head of .* was written by the user: pass it again", true)
  local again = require("gal.flow").load(file "own.safetensors", { head = own(), device = gal.device() })
  check.equal(again:log_prob(theta, x, { steps = 2 }), flow:log_prob(theta, x, { steps = 2 }))
end)

promise("A NaN in x raises with row and column, a wrong shape with the one expected", function()
  local flow, _, theta, x = trained()
  local bad = x:clone()
  bad:set(0 / 0, 3, 2)
  check.raises(function() flow:sample(bad) end, "sample: x is NaN in row 3, column 2 %('context_2'%)", true)
  check.raises(function() flow:log_prob(theta, bad) end, "log_prob: x is NaN in row 3, column 2", true)
  check.raises(function() flow:sample(gal.zeros { 3, 4 }) end, "sample: x is {3, 4}, expected {N, 5}", true)
  check.raises(function() flow:log_prob(gal.zeros { 3, 4 }, x) end,
    "log_prob: theta is {3, 4}, expected {N, 5}", true)
  check.raises(function() flow:log_prob(theta:narrow(1, 1, 7), x:narrow(1, 1, 3)) end,
    "log_prob: x has 3 rows and theta 7", true)
  check.raises(function() flow:sample(x, { n = 0 }) end, "sample: n is 0", true)
  check.raises(function() flow:sample(x, { number = 3 }) end, "sample: unknown option 'number'", true)
  check.raises(function()
    require("gal.train").fit { flow = flow, theta = theta, context = bad, progress = false }
  end, "fit: context is NaN in row 3, column 2", true)
end)

promise("`out` that exists is an error without `resume = true`", function()
  local flow, _, theta, x = trained()
  local function fit(more)
    local o = { flow = flow, theta = theta, context = x, epochs = 1, seed = 1, out = file "run",
      progress = false }
    for key, value in pairs(more or {}) do o[key] = value end
    return require("gal.train").fit(o)
  end
  local first = fit()
  check.equal(first.out, file "run")
  check.raises(fit, "fit: out is '.*', which exists; resume = true goes on")
  check.raises(function() fit { resume = true, batch = 32 } end, "batch was 64 and is 32")
  check.equal(fit({ resume = true }).history, first.history)
  check.equal(#fit({ resume = true, epochs = 2 }).history, 2)
  for _, name in ipairs {
    "config.json", "history.csv", "timing.csv", "checkpoint.safetensors", "flow.safetensors",
  } do
    check.equal(ffi.C.gal_path_exists(file("run/" .. name)), 1, name)
  end
end)

-- ---- files ----

promise("`gal.load` raises and never returns `nil, err`.", function()
  check.raises(function() gal.load(file "none.npy") end, "none.npy", true)
  check.raises(function() gal.load(file "none.txt") end, "load: ", true)
  check.raises(function() gal.load() end, "load: path is nil, expected a string", true)
  check.raises(function() gal.save(file "a.npy") end, "save: value is nil, expected a tensor", true)
  check.raises(function() gal.table(file "none.csv") end, "none.csv", true)
end)

promise("give a table of tensors by name, and metadata second", function()
  local x = gal.randn { 3, 4 }
  gal.save(file "a.npy", x)
  check.equal(gal.load(file "a.npy"), x)
  gal.save(file "m.safetensors", { x = x, y = bytes() }, { made = "here" })
  local back, metadata = gal.load(file "m.safetensors")
  check.equal(back.x, x)
  check.equal({ back.y.dtype, back.y:totable() }, { "uint8", bytes():totable() })
  check.equal(metadata, { made = "here" })
end)

promise("Names ignore case.", function()
  local t = gal.table(scratch.write(file "t.csv", "#Table1\nobjID,OH_p50,name\n"
    .. "1237648720693755918,8.5,a\n1237648720693755919,-9999,b c\n1237648720693755920,,\n"))
  check.equal(t.rows, 3)
  check.equal(t.names, { "objID", "OH_p50", "name" })
  local oh = t:column "oh_p50"
  check.equal(oh.dtype, "float32")
  check.equal({ oh:get(1), oh:get(2), oh:get(3) }, { 8.5, -9999, 0 / 0 })
  check.equal(t:ids "OBJID", { "1237648720693755918", "1237648720693755919", "1237648720693755920" })
  check.equal(t:strings("name")[2], "b c")
  check.raises(function() t:column "oh_p5" end, "oh_p5", true)
end)

scratch.remove()
check.finish()
