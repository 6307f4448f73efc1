-- gal.nn: the module protocol, initialisation, and sequential against its layers one by one.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local nn = require "gal.nn"
local json = require "gal.base.json"

check.case("a linear layer starts uniform within one over the root of its inputs", function()
  local layer = nn.linear(64, 500, { rng = gal.rng(3) })
  check.equal(layer.weight.shape, { 500, 64 })
  check.equal(layer.bias.shape, { 500 })
  local bound = 1 / 8
  for _, p in ipairs { layer.weight, layer.bias } do
    check.that(p:max():item() <= bound and p:min():item() >= -bound, "a weight lies outside the bound")
    check.that(p:max():item() > 0.98 * bound and p:min():item() < -0.98 * bound,
      "the weights do not fill the range")
  end
  -- The deviation of U(-b, b) is b / sqrt 3; 32,000 draws know it to 0.3 %.
  check.near(layer.weight:std():item(), bound / math.sqrt(3), 0.01 * bound)
  check.near(layer.weight:mean():item(), 0, 0.01 * bound)
end)

check.case("the weights are those of the generator that was given", function()
  local a, b = nn.linear(5, 7, { rng = gal.rng(3) }), nn.linear(5, 7, { rng = gal.rng(3) })
  check.equal(a.weight, b.weight)
  check.equal(a.bias, b.bias)
end)

check.case("sequential gives what its layers give one after the other", function()
  for name in pairs(nn.activations) do
    local net = nn.sequential { nn.linear(5, 16), nn[name](), nn.linear(16, 16), nn[name](), nn[name](),
      nn.linear(16, 3) }
    local x = gal.randn { 9, 5 }
    local y = x
    for i = 1, 6 do y = net[i](y) end
    check.near(net(x), y, 1e-6, name)
  end
end)

check.case("fused layers have the gradients of single ones", function()
  local x = gal.randn { 9, 5 }
  for name in pairs(nn.activations) do
    local net = nn.sequential { nn.linear(5, 16), nn[name](), nn.linear(16, 3) }
    net(x):pow(2):sum():backward()
    local fused = {}
    for i, p in ipairs(net:parameters()) do
      fused[i], p.grad = p.grad, nil
    end
    net[3](net[2](net[1](x))):pow(2):sum():backward()
    for i, p in ipairs(net:parameters()) do
      check.near(fused[i], p.grad, 1e-4, name .. ", parameter " .. i)
    end
  end
end)

check.case("a linear layer takes any leading dimensions", function()
  local layer = nn.linear(4, 2)
  local x = gal.randn { 3, 5, 4 }
  local y = layer(x)
  check.equal(y.shape, { 3, 5, 2 })
  check.equal(y[2], layer(x[2]))
end)

check.case("parameters and state keys are PyTorch's, counted from 1", function()
  local net = nn.sequential { nn.linear(3, 4), nn.silu(),
    nn.sequential { nn.linear(4, 4, { bias = false }), nn.tanh() }, nn.linear(4, 1) }
  local names = {}
  for name in pairs(net:state()) do names[#names + 1] = name end
  table.sort(names)
  check.equal(names, { "1.bias", "1.weight", "3.1.weight", "4.bias", "4.weight" })
  local shapes = {}
  for i, p in ipairs(net:parameters()) do shapes[i] = p.shape end
  check.equal(shapes, { { 4, 3 }, { 4 }, { 4, 4 }, { 1, 4 }, { 1 } })
end)

check.case("load_state brings the weights back", function()
  local a, b = nn.mlp { 3, 8, 2 }, nn.mlp { 3, 8, 2 }
  local x = gal.randn { 4, 3 }
  check.that(a(x):get(1, 1) ~= b(x):get(1, 1), "two nets have the same weights")
  b:load_state(a:state())
  check.equal(b(x), a(x))
end)

check.case("a module of the user's trains, saves and moves with its parts", function()
  local m = nn.module {
    scale = gal.full({ 3 }, 2):requires_grad(), offset = gal.ones { 3 }, inner = nn.linear(3, 3),
    forward = function(self, x) return self.inner(x) * self.scale + self.offset end,
  }
  check.equal(#m:parameters(), 3)
  local names = {}
  for name in pairs(m:state()) do names[#names + 1] = name end
  table.sort(names)
  check.equal(names, { "inner.bias", "inner.weight", "offset", "scale" })
  local net = nn.sequential { nn.linear(2, 3), m, function(x) return x * 0.5 end }
  check.equal(#net:parameters(), 5)
  check.that(net:state()["2.inner.weight"] == m.inner.weight, "the state does not hold the tensor itself")
  net(gal.randn { 4, 2 }):sum():backward()
  check.that(m.scale.grad and m.inner.weight.grad, "a part has no gradient")
  check.that(m:to("cpu") == m, "to does not return the module")
end)

check.case("a plain table with the five methods is a module", function()
  local w = gal.full({ 2 }, 3):requires_grad()
  local own = {
    forward = function(_, x) return x * w end, parameters = function() return { w } end,
    state = function() return { w = w } end,
    load_state = function(_, s) w = s.w:clone():requires_grad() end, to = function(self) return self end,
  }
  local net = nn.sequential { nn.linear(2, 2), own }
  check.equal(#net:parameters(), 3)
  check.that(net:state()["2.w"] == w, "its state is missing")
  local state = net:state()
  state["2.w"] = gal.full({ 2 }, 5)
  net:load_state(state)
  check.equal(w, { 5, 5 })
end)

check.case("spec and build make the same layers again", function()
  local net = nn.sequential { nn.linear(3, 4), nn.gelu(), nn.linear(4, 2, { bias = false }) }
  local again = nn.build(json.decode(json.encode(nn.spec(net))))
  again:load_state(net:state())
  local x = gal.randn { 5, 3 }
  check.equal(again(x), net(x))
  check.that(nn.spec(nn.sequential { nn.linear(1, 1), function(x) return x end }) == nil,
    "a net with a function has a spec")
end)

check.case("wrong arguments are named at the caller's line", function()
  local net = nn.mlp { 3, 4, 2 }
  check.raises(function() net(gal.zeros { 5, 4 }) end, "linear: x is {5, 4}, expected 3", true)
  check.raises(function() nn.linear { 5, 64, rng = gal.rng(1) } end,
    "linear: inputs is a table, expected a whole number; .* in brackets: nn.linear%(5, 64%)", true)
  check.raises(function() nn.conv2d { 3, 32, 3 } end, "in brackets: nn.conv2d%(3, 32, 3%)", true)
  check.raises(function() nn.linear(0, 3) end, "linear: inputs is 0, expected an integer of at least 1", true)
  check.raises(function() nn.sequential { nn.silu(), 3 } end,
    "sequential: entry 2 is the number 3, expected a module", true)
  check.raises(function() nn.mlp { 3, 2, activation = "swish" } end,
    'mlp: activation is the string "swish", expected relu, .* or ', true)
  check.raises(function() net:load_state { ["1.weight"] = gal.zeros { 4, 3 } } end,
    "load_state: '1.bias' is missing", true)
  local state = net:state()
  state["1.weight"] = gal.zeros { 3, 4 }
  check.raises(function() net:load_state(state) end,
    "load_state: '1.weight' is {3, 4}, expected {4, 3}", true)
  state = net:state()
  state["5.weight"] = gal.zeros { 1 }
  check.raises(function() net:load_state(state) end, "load_state: the state has '5.weight'", true)
end)

check.finish()
