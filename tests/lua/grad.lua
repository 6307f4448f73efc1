-- The tape and programs: what backward() accumulates, frees and refuses, ops of the user's own, gradients
-- written into an optimiser's block, and replayed steps against eager ones. The gradients of single ops are
-- in ops.lua.
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local check = dofile "lua/lib/check.lua"
local case, equal, near, raises = check.case, check.equal, check.near, check.raises

local function leaf(data) return gal.tensor(data):requires_grad() end

-- ---- backward ----
case("gradients accumulate over calls and start at nil", function()
  local w = leaf { 1, 2 }
  equal(w.grad, nil)
  ;(w * 3):sum():backward()
  equal(w.grad, { 3, 3 })
  ;(w * w):sum():backward()
  equal(w.grad, { 5, 7 })
  w.grad = nil
  w:sum():backward()
  equal(w.grad, { 1, 1 })
end)

case("a tensor used on several paths gets the sum of them", function()
  local w = leaf { 2 }
  local a = w * w
  local b = a + w
  local y = a * b + b
  y:sum():backward() -- w^4 + w^3 + w^2 + w
  near(w.grad, { 4 * 8 + 3 * 4 + 2 * 2 + 1 }, 1e-5)
end)

case("a gradient that both sides of a sum share stays what it was when one side gets more", function()
  local w = leaf { 1, 2 }
  local a, b = w * 2, w * 3
  local more = b * 5
  ;((a + b + more) * 1):sum():backward() -- 2 w + 3 w + 15 w; b's share comes before that through more
  equal(w.grad, { 20, 20 })
  w.grad = nil
  b, a = w * 3, w * 2
  more = a * 5
  ;((a + b + more) * 1):sum():backward()
  equal(w.grad, { 15, 15 })
end)

case("gradients of different leaves never share memory", function()
  local a, b = leaf { 1, 2 }, leaf { 3, 4 }
  ;(a + b):sum():backward()
  a.grad:fill_(9)
  equal(b.grad, { 1, 1 })
  ;(a + b):backward(gal.tensor { 5, 6 })
  equal(a.grad, { 14, 15 })
  equal(b.grad, { 6, 7 })
  local c, d, g = leaf { 1, 2 }, leaf { 3, 4 }, gal.tensor { 5, 6 }
  ;(c + d):backward(g)
  c.grad:fill_(9)
  equal({ d.grad, g }, { gal.tensor { 5, 6 }, gal.tensor { 5, 6 } })
end)

case("a second backward raises, on a shared part too, and changes no gradient", function()
  local w, v = leaf { 3 }, leaf { 1 }
  local shared = w * w
  local one, two = (shared * 2):sum(), (shared * v):sum()
  one:backward()
  raises(function() one:backward() end,
    "backward: the graph through sum was freed by an earlier backward%(%)", true)
  raises(function() two:backward() end, "backward: the graph through mul was freed", true)
  equal(v.grad, nil)
  equal(w.grad, { 12 })
end)

case("backward wants one element or a gradient of the same shape", function()
  local w = leaf { 1, 2 }
  raises(function() (w * 2):backward() end,
    "backward: y is {2}, expected one element, or backward%(g%)", true)
  raises(function() (w * 2):backward(gal.ones { 3 }) end, "backward: g is {3}, expected {2} like y", true)
  raises(function() (w * 2):backward(1) end, "backward: g is the number 1, expected a tensor", true)
  raises(function() gal.ones { 1 }:backward() end,
    "backward: y does not depend on any tensor with requires_grad", true)
  w:backward(gal.tensor { 3, 4 })
  equal(w.grad, { 3, 4 })
end)

case("detach, no_grad and requires_grad(false) leave the tape", function()
  local w = leaf { 2 }
  local y = w * w:detach()
  y:backward()
  equal(w.grad, { 2 })
  equal(gal.no_grad(function() return (w * 2).node end), false)
  local a, b = gal.no_grad(function(x, z) return x, z end, 1, 2)
  equal({ a, b }, { 1, 2 })
  raises(function() gal.no_grad(function() error "broken" end) end, "broken", true)
  check.that((w * 2).node, "the tape is on again after an error")
  raises(function() gal.no_grad() end, "no_grad: fn is nil, expected a function", true)
  w:requires_grad(false)
  equal((w * 2).node, false)
  equal(w:requires_grad_set(), false)
  equal(w:requires_grad() == w, true)
  raises(function() (w * 2):requires_grad(false) end, "requires_grad: x is a result on the tape", true)
  raises(function() w:requires_grad(1) end, "requires_grad: argument is the number 1", true)
end)

case("no gradient is computed for a constant: it stays nil", function()
  local x, w = gal.ones { 2, 3 }, gal.ones { 3, 2 }:requires_grad()
  x:matmul(w):sum():backward()
  equal(x.grad, nil)
  equal(w.grad, { { 2, 2 }, { 2, 2 }, { 2, 2 } })
end)

case("views pass their gradient on to the tensor's elements", function()
  local w = leaf { { 1, 2 }, { 3, 4 } }
  ;(w[1] * 2 + w:t()[2] * 10 + w:reshape { 4 }:narrow(1, 1, 2) * 100):sum():backward()
  equal(w.grad, { { 102, 112 }, { 0, 10 } })
end)

-- ---- in place ----
case("a tensor on the tape can't be changed in place, nor through a view", function()
  local w = leaf { { 1, 2 }, { 3, 4 } }
  local y = w * 2
  local changes = {
    function() w:set(0, 1, 1) end, function() y:set(0, 1, 1) end, function() w[1]:set(0, 1) end,
    function() w:detach():set(0, 1, 1) end, function() y:add_(y) end, function() y:fill_(0) end,
    function() w:copy_(y) end,
  }
  for _, change in ipairs(changes) do
    raises(change, "is on the tape, and changing it in place would falsify its gradient", true)
  end
  y:sum():backward()
  equal(w.grad, { { 2, 2 }, { 2, 2 } })
  y:set(5, 1, 1)
  equal(y:get(1, 1), 5)
end)

case("a constant that was changed after its use is noticed by backward", function()
  local x, w = gal.tensor { 1, 2 }, leaf { 3, 4 }
  local y = (x * w):sum()
  x:set(7, 1)
  raises(function() y:backward() end,
    "backward: a tensor {2} that mul needs was changed in place after it was used", true)
  equal(w.grad, nil)
  local z = (x * w):sum()
  z:backward()
  equal(w.grad, { 7, 2 })
  local u = (w * w):sum()
  gal.no_grad(function() w:set(9, 1) end)
  raises(function() u:backward() end, "was changed in place", true)
end)

case("a result, or a value that forward saved, is noticed by backward if it was changed", function()
  local w, g = leaf { 1, 2 }, gal.ones { 2 }
  local y = w:exp()
  gal.no_grad(function() y:set(7, 1) end)
  raises(function() y:backward(g) end,
    "a tensor {2} that exp needs was changed in place after it was used", true)
  for place = 1, 2 do
    local saved = gal.tensor { 3, 4 }
    local scaled = core.op("scaled", {
      forward = function(x) if place == 1 then return x * saved, saved end return x * saved, 0, saved end,
      backward = function(dy, x, y, first, second) return dy * (place == 1 and first or second) end,
    })
    local z = scaled(w)
    saved:set(9, 2)
    raises(function() z:backward(g) end, "a tensor {2} that scaled needs was changed in place", true)
  end
  equal(w.grad, nil)
end)

-- ---- ops of the user's own ----
case("an op of the user's own takes part, with tensors, numbers and lists", function()
  local cube = core.op("cube", {
    forward = function(x, scale) return x * x * x * scale end,
    backward = function(dy, x, scale) return dy * x * x * (3 * scale) end,
  })
  local w = leaf { 1, 2 }
  cube(w, 2):sum():backward()
  equal(w.grad, { 6, 24 })
  local total = core.op("total", {
    forward = function(list) return list[1] + list[2] end,
    backward = function(dy) return { dy, dy * 2 } end,
  })
  local a, b = leaf { 1 }, leaf { 2 }
  total({ a, b }):sum():backward()
  equal({ a.grad:item(), b.grad:item() }, { 1, 2 })
end)

case("an op that returns its argument, or a saved value, is still right", function()
  local same = core.op("same", { forward = function(x) return x end, backward = function(dy) return dy end })
  local w = leaf { 1, 2 }
  local y = same(w)
  equal(w.node, false)
  ;(y * w):sum():backward()
  equal(w.grad, { 2, 4 })
  local constant = gal.tensor { 5, 6 }
  local second = core.op("second",
    { forward = function(x, z) return x end, backward = function(_, _, z) return nil, z * 0 + 1 end })
  equal(second(constant, w), { 5, 6 })
  equal(constant.node, false)
  local double = core.op("double", {
    forward = function(x) return x * 2, gal.tensor { 2, 2 } end,
    backward = function(dy, x, y2, two) return two end,
  })
  w.grad = nil
  double(w):sum():backward()
  equal(w.grad, { 2, 2 })
end)

case("an error in an op of the user's own names the op", function()
  local w = leaf { 1, 2 }
  local bad = core.op("bad",
    { forward = function(x) return x * 1 end, backward = function() return gal.ones { 3 } end })
  raises(function() bad(w):sum():backward() end,
    "bad: backward returned a gradient {3}, expected {2} like its argument", true)
  local none = core.op("none", { forward = function(x) return x * 1 end })
  raises(function() none(w) end, "none has no gradient; use detach%(%) or gal.no_grad", true)
  equal(gal.no_grad(function() return none(w) end), { 1, 2 })
  local number = core.op("number", { forward = function() return 3 end })
  raises(function() number(w) end, "number: forward returned the number 3, expected a tensor", true)
  raises(function() w:sort() end, "sort has no gradient", true)
  raises(function() core.op "x" end, "op: x has no forward function", true)
end)

case("an error inside backward leaves the tape on", function()
  local w = leaf { 1 }
  local broken = core.op("broken",
    { forward = function(x) return x * 1 end, backward = function() error "inside" end })
  raises(function() broken(w):backward() end, "inside")
  check.that((w * 2).node)
end)

-- ---- linear and slots ----
case("linear names the argument that doesn't fit", function()
  local x, w, b = gal.zeros { 4, 3 }, gal.zeros { 5, 3 }, gal.zeros { 5 }
  raises(function() core.linear(x, gal.zeros { 5, 2 }, b) end,
    "linear: x is {4, 3}, expected 2 values in the last dimension as w {5, 2} has columns", true)
  raises(function() core.linear(x, w, gal.zeros { 4 }) end, "linear: b is {4}, expected {5}", true)
  raises(function() core.linear(x, w, b, "sine") end,
    'linear: activation is the string "sine", expected identity, relu', true)
  raises(function() core.linear(x, gal.zeros { 5 }) end, "linear: w is {5}, expected {out, in}", true)
  raises(function() core.mse(x, w) end, "mse: target is {5, 3}, expected {4, 3} like the prediction", true)
  raises(function() core.into_columns(x, w, 2) end,
    "into_columns: x is {4, 3}, expected columns 2 to at most 3 of y {5, 3}", true)
end)

case("a leaf with a slot gets its gradient there, written first and added to after", function()
  local block = gal.full({ 8 }, 99)
  local w, b = gal.ones { 2, 3 }:requires_grad(), gal.zeros { 2 }:requires_grad()
  local of_w = { gradient = block:narrow(1, 1, 6):reshape { 2, 3 } }
  local of_b = { gradient = block:narrow(1, 7, 2) }
  core.set_slot(w, of_w)
  core.set_slot(b, of_b)
  local x = gal.tensor { { 1, 2, 3 }, { 1, 0, 0 } }
  local function loss() return core.linear(x, w, b):sum() end
  loss():backward()
  equal(w.grad == of_w.gradient, true)
  equal(block, { 2, 2, 3, 2, 2, 3, 2, 2 })
  loss():backward()
  equal(block, { 4, 4, 6, 4, 4, 6, 4, 4 })
  w.grad, b.grad = nil, nil
  ;(loss() + loss() + w:sum() + b:mean()):backward()
  equal(block, { 5, 5, 7, 5, 5, 7, 4.5, 4.5 })
  equal(b.grad == of_b.gradient, true)
end)

case("an activation fused into linear has the bits of its own op's gradient within rounding", function()
  for _, name in ipairs(require("gal.base.activations").names) do
    local r = gal.rng(4)
    local x = gal.randn({ 20, 7 }, { rng = r }):requires_grad()
    local w = gal.randn({ 9, 7 }, { rng = r }):requires_grad()
    local z = core.linear(x, w)
    local y = z[name](z)
    y:sum():backward()
    local dx, dw = x.grad, w.grad
    x.grad, w.grad = nil, nil
    local fused = core.linear(x, w, nil, name)
    near(fused, y, 1e-5)
    fused:sum():backward()
    near(x.grad, dx, 1e-5)
    near(w.grad, dw, 1e-4)
  end
end)

case("gradients of leaves outside a scope outlive it", function()
  local w = leaf { 1, 2 }
  gal.scope(function() (w * w):sum():backward() end)
  equal(w.grad, { 2, 4 })
  gal.scope(function()
    local inner = leaf { 3 }
    gal.scope(function() (inner * inner):backward() end)
    gal.zeros { 100 }
    equal(inner.grad, { 6 })
  end)
  local loss
  gal.scope(function() loss = (w * w):sum() end)
  raises(function() loss:backward() end, "backward: y is a stale tensor", true)
  local kept
  gal.scope(function()
    local inner = w * w
    kept = (inner * 2):sum():keep()
  end)
  raises(function() kept:backward() end, "does not depend on any tensor", true)
end)

case("the tape holds no tensor after backward", function()
  local w = gal.ones { 100 }:requires_grad()
  check.collect()
  local before = gal.memory().tensors
  local y = (w * w + w):exp():sum()
  y:backward()
  check.collect()
  equal(gal.memory().tensors - before, 2) -- y and w.grad
  y, w.grad = nil, nil
  check.collect()
  equal(gal.memory().tensors, before)
end)

-- ---- programs ----

-- A training step of a small net: everything random and every weight lies in tensors.
local function training()
  local r = gal.rng(3)
  local function parameter(shape) return (gal.randn(shape, { rng = r }) * 0.3):requires_grad() end
  local net = { parameter { 32, 5 }, parameter { 32 }, parameter { 32, 32 }, parameter { 32 },
    parameter { 1, 32 }, parameter { 1 } }
  local function step()
    local x = gal.randn({ 64, 5 }, { rng = r })
    local target = x:sin():sum(2, true) + x:select(2, 1):reshape { 64, 1 }:abs()
    local h = core.linear(x, net[1], net[2], "silu")
    h = core.linear(h, net[3], net[4], "gelu") + h:tanh() * 0.1
    local loss = core.mse(core.linear(h, net[5], net[6]), target) + net[3]:pow(2):mean() * 0.01
    for _, p in ipairs(net) do p.grad = nil end
    loss:backward()
    gal.no_grad(function() for _, p in ipairs(net) do p:add_(p.grad * -0.05) end end)
    return loss
  end
  return step, net
end

case("50 replayed training steps equal 50 eager ones to the last bit", function()
  local eager, net = training()
  local losses = {}
  for i = 1, 51 do losses[i] = gal.scope(function() return eager():item() end) end
  local recorded, same_net = training()
  local p, loss = gal.program(recorded)
  equal(loss:item(), losses[1])
  p:replay()
  equal(loss:item(), losses[2])
  equal(p:replay(49) == p, true)
  equal(loss:item(), losses[51])
  for i = 1, #net do equal(same_net[i], net[i], "parameter " .. i) end
  check.that(losses[51] < losses[1] / 2, "it trains")
  check.that(p.length > 20)
end)

case("a program keeps what it reads and writes, whatever Lua forgets", function()
  local total = gal.zeros { 1000 }
  local p
  do
    local x = gal.full({ 1000 }, 2)
    p = gal.program(function() total:add_(x * x) end)
  end
  check.collect()
  local noise = {}
  for i = 1, 20 do noise[i] = gal.full({ 1000 }, i) end
  p:replay(3)
  equal(total:get(500), 16)
  local view
  do
    local _, y = gal.program(function() return total * 2 end)
    view = y:narrow(1, 1, 2)
  end
  check.collect()
  equal(view, { 32, 32 })
  p, view = nil, nil
  check.collect()
end)

case("a replayed step makes no Lua garbage", function()
  local step = training()
  local p = gal.program(step)
  -- Compiled traces are memory of Lua's too.
  jit.off()
  local function grown(n)
    collectgarbage()
    collectgarbage "stop"
    local before = collectgarbage "count"
    p:replay(n)
    local after = collectgarbage "count"
    collectgarbage "restart"
    return (after - before) * 1024
  end
  -- A collection halves Lua's stack where most of it is unused, and the calls after it may let it grow again:
  -- once in fifty runs, by 728 bytes. What steps make they make every time.
  local one, many, steps = math.huge, math.huge, check.sized(200, 20)
  for _ = 1, 5 do one, many = math.min(one, grown(1)), math.min(many, grown(steps)) end
  jit.on()
  equal(many, one, ("bytes made by %d steps, beside those of 1"):format(steps))
end)

case("reading a tensor while a program is recorded raises, and the recording is given up", function()
  local x = gal.ones { 3 }
  raises(function() gal.program(function() local _ = x:sum():item() end) end,
    "while a program is recorded", true)
  raises(function() gal.program(function() local _ = x:totable() end) end,
    "while a program is recorded", true)
  raises(function() gal.program(function() local _ = x:get(1) end) end, "while a program is recorded", true)
  equal(ffi.C.gal_recording(), 0)
  equal((x + 1):get(1), 2)
end)

case("a step that reads a value is not recorded, a notice says so, and other errors are raised", function()
  local core, C = require "gal.tensor", ffi.C
  while C.gal_notice() ~= nil do end
  local x = gal.ones { 3 }
  local function refused(fn, sentence)
    equal(core.try_program(fn) == nil, true)
    local notice = ffi.string(C.gal_notice())
    check.that(notice:find(sentence), ("the notice is %q, expected %q in it"):format(notice, sentence))
  end
  refused(function() return x:sum():item() end,
    "^steps run op by op, .*grad.lua:%d+: read: a tensor can't be")
  local sentence = "read: a tensor can't be read while a program is recorded"
  raises(function() core.try_program(function() error(sentence) end) end, sentence)
  equal(core.try_program(function() x:fill_(2) end).length, 1)
  equal(C.gal_notice() == nil, true)
end)

case("what the host writes while a program is recorded is a constant that every replay sees", function()
  local x = gal.zeros { 3 }
  local p, sum, list, file = gal.program(function()
    local first = gal.scope(function()
      local constant = gal.tensor { 1, 2, 3 }
      return (x + constant * 2):keep()
    end)
    local second = gal.scope(function() return (gal.tensor { 7, 7, 7 } * 2):keep() end)
    local picked = gal.scope(function() return x:rows({ 3, 1, 1 }):keep() end)
    return first, second, picked
  end)
  for k = 1, 3 do
    x:fill_(k)
    p:replay()
    equal(sum, { 2 + k, 4 + k, 6 + k })
    equal(list, { 14, 14, 14 })
    equal(file, { k, k, k })
  end
end)

case("an element that is set while a program is recorded is set by every replay", function()
  local x, y = gal.zeros { 2, 2 }, gal.zeros { 2, 2 }
  local p = gal.program(function()
    x:t():set(5, 2, 1)
    require("gal.tensor").assign(y, x)
    x:fill_(1)
  end)
  x:fill_(0)
  p:replay(2)
  equal(x, { { 1, 1 }, { 1, 1 } })
  equal(y, { { 1, 5 }, { 1, 1 } }) -- of the second replay: ones and the constant
end)

case("an error while recording ends it, and its tensors are stale", function()
  local inside
  raises(function() gal.program(function() inside = gal.ones { 2 } error "broken" end) end, "broken", true)
  raises(function() return inside + 1 end, "stale tensor: the recording it was made in", true)
  raises(function() gal.program(function() gal.program(function() end) end) end,
    "program: one is being recorded already", true)
  raises(function() gal.program(3) end, "program: fn is the number 3, expected a function", true)
  local p = gal.program(function() end)
  raises(function() p:replay(-1) end, "replay: n is %-1, expected an integer of at least 0", true)
  equal(ffi.C.gal_recording(), 0)
end)

case("a program refuses a tensor of a scope that ends before it", function()
  raises(function()
    gal.scope(function()
      local x = gal.ones { 2 }
      gal.program(function() return x + 1 end)
    end)
  end, "add: a was made in a scope outside the program that is recorded, expected it kept", true)
end)

case("one program reads another's results and keeps it alive", function()
  local x = gal.ones { 2 }
  local first, y = gal.program(function() return x + 1 end)
  local second, z = gal.program(function() return y * 10 end)
  x:fill_(4)
  first:replay()
  second:replay()
  equal(z, { 50, 50 })
  first, y = nil, nil
  check.collect()
  second:replay()
  equal(z, { 50, 50 })
end)

check.finish()
