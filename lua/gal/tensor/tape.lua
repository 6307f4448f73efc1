-- The tape: which op made a tensor from which arguments, and the walk back along it that backward() is.
-- Reverse-mode differentiation, first order. An op's rule, forward and backward side by side, stands in
-- the file of its family (map.lua, reduce.lua, …). A rule's forward checks what only Lua can see, makes
-- the result and calls C, which checks the rest. A rule's backward may return dy itself, a view of it or a
-- new tensor, never one that somebody else holds; it works only for arguments that are tracked.
--
-- A node is {argument 1 … n, result, saved …; rule, n, id}. Ids grow with time, so the reverse of their
-- order is a topological one.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local memory = require "gal.tensor.memory"
local shapes = require "gal.tensor.shapes"
local C = ffi.C
local raise, check, kind = errors.raise, errors.check, errors.kind
local live, like, Tensor = memory.live, memory.like, memory.Tensor

require("gal.base.host").shelter()
local tape = {}
local enabled, evaluating, last_id, last_walk = true, false, 0, 0

-- ---- recording ----

--- tracked(x) --> whether a gradient can flow through x: a tensor that requires one or was made from one that
-- does, or a list with such a tensor.
local function tracked(x)
  if type(x) ~= "table" then return false end
  if getmetatable(x) == Tensor then return x.requires or x.node end
  for i = 1, #x do
    if tracked(x[i]) then return true end
  end
  return false
end
tape.tracked = tracked

--- recording(a, b, c) --> whether an op on these arguments goes on the tape, so that its forward saves the
-- values that backward needs.
function tape.recording(a, b, c)
  return enabled and (tracked(a) or tracked(b) or tracked(c)) and true
end

-- backward() reads values of now: the node keeps their versions, which are compared then.
local function note_versions(node, count)
  for i = 1, count do
    local x = node[i]
    if getmetatable(x) == Tensor then
      local version = (x.base or x).version
      if version ~= 0 then
        node.versions = node.versions or {}
        node.versions[i] = version
      end
    end
  end
end

-- Makes the function that records: it gives y its node.
local function recorder(rule)
  local n = rule.n
  return function(y, s1, s2, a, b, c, d, e)
    last_id = last_id + 1
    local node = { a, b, c, d, e, false, false, false, rule = rule, id = last_id }
    node[n + 1], node[n + 2], node[n + 3] = y, s1, s2
    note_versions(node, n + 3)
    y.node = node
  end
end

--- op(name, {forward =, backward =}) --> a function on tensors with a gradient, for ops of one's own too.
-- forward(a, b, …): up to five arguments, returns the result and up to two more values that backward needs.
-- backward(dy, a, b, …, y, more …): returns the gradient of each argument, of its shape; nil for arguments
-- that are no tensors. An argument may be a list of tensors; its gradient is such a list. Inside forward and
-- backward nothing is recorded.
--   local cube = tape.op("cube", {
--     forward = function(x) return x * x * x end,
--     backward = function(dy, x) return dy * x * x * 3 end,
--   })
function tape.op(name, rule)
  if type(name) ~= "string" then raise("op: name is %s, expected a string", kind(name)) end
  if type(rule) ~= "table" or type(rule.forward) ~= "function" then
    raise("op: %s has no forward function", name)
  end
  local forward, tensors, native = rule.forward, rule.tensors or 0, rule.native
  local n = debug.getinfo(forward, "u").nparams
  if n > 5 then raise("op: forward of %s has %d parameters, expected at most 5", name, n) end
  rule.name, rule.n = name, n
  local first, second = debug.getlocal(forward, 1), debug.getlocal(forward, 2)
  local record = recorder(rule)

  -- Ops composed of others run with the tape off.
  local function composed(a, b, c, d, e)
    local before = enabled
    enabled = false
    local ok, y, s1, s2 = pcall(forward, a, b, c, d, e)
    enabled = before
    if not ok then error(y, 0) end
    if not memory.is_tensor(y) then raise("%s: forward returned %s, expected a tensor", name, kind(y)) end
    return y, s1, s2
  end
  local run = native and forward or composed

  return function(a, b, c, d, e)
    if tensors >= 1 then
      live(a, name, first)
      if tensors >= 2 then live(b, name, second) end
    end
    local y, s1, s2 = run(a, b, c, d, e)
    if enabled and (tracked(a) or tracked(b) or tracked(c) or tracked(d) or tracked(e)) then
      if not rule.backward then
        raise("%s has no gradient; use detach() or gal.no_grad where none is wanted", name)
      end
      -- An op of the user's may return an argument, or a tensor that it keeps: that one must not get this
      -- node.
      if not native then y = memory.alias(y) end
      record(y, s1, s2, a, b, c, d, e)
    end
    return y
  end
end

--- native(name, rule[, tensors = 1]) --> tape.op(name, rule) for a rule of this library's: it calls C and
-- makes a new result, and its first so many arguments have to be tensors.
function tape.native(name, rule, tensors)
  rule.native, rule.tensors = true, tensors or 1
  return tape.op(name, rule)
end

local function taped(x) return x.requires or x.node and not x.node.freed end

--- writable(x, op): raises where an in-place change of x would falsify a gradient, and counts the change for
-- backward() to notice.
function tape.writable(x, op)
  local root = x.base or x
  -- With the tape off a leaf may be set (initialisation); backward() still raises if a recorded op has seen
  -- the old values.
  if enabled and (taped(x) or taped(root)) then
    raise("%s: x %s is on the tape, and changing it in place would falsify its gradient; "
      .. "use gal.no_grad or x:detach():clone()", op, shapes.text(x))
  end
  root.version = root.version + 1
end

-- ---- backward ----

-- Leaf -> its slot. An optimiser that nobody holds any more is gone, and its slots with it.
local slots = setmetatable({}, { __mode = "kv" })

--- set_slot(x, slot): from here on the leaf x's gradient is written to slot.gradient, as long as the caller
-- holds the slot; nil: to a tensor of its own again.
function tape.set_slot(x, slot) slots[x] = slot end

--- slot(x) --> where the leaf x's gradient is written, or nil where it has no slot.
function tape.slot(x)
  local slot = slots[x]
  return slot and slot.gradient
end

--- into(x) --> where a kernel puts x's gradient itself: the tensor, and whether it writes (0) or adds (1).
-- For a leaf the tensor is x.grad, in the leaf's slot of an optimiser's block (set_slot) where it has one, so
-- that a whole step's gradients need no copy. Rules return it.
local function into(x)
  if x.node or not x.requires then return like(x), 0 end
  local grad = x.grad
  if grad then
    if C.gal_tensor_contiguous(grad.h) ~= 0 then return grad, 1 end
    return like(x), 0
  end
  grad = tape.slot(x) or like(x, x.scope ~= memory.current_scope()) -- it has to live as long as its leaf
  x.grad = grad
  return grad, 0
end
tape.into = into

local function receive_leaf(x, g, adoptable)
  local grad = x.grad
  if grad == g then return end -- into() has put it there
  if grad then
    check(C.gal_add(grad.h, grad.h, g.h))
  elseif adoptable and not tape.slot(x) and g.scope == x.scope and not g.base then
    x.grad = g
  else
    grad = into(x)
    check(C.gal_copy(grad.h, g.h))
  end
end

-- Adds the gradient g to x's. A gradient may be shared (add hands dy to both sides), so only sums made here
-- are added to in place.
local function receive(x, g, rule, dy)
  if not g then return end
  if getmetatable(x) ~= Tensor then
    for i = 1, #x do receive(x[i], g[i], rule, dy) end
    return
  end
  local node = x.node
  if not node and not x.requires then return end
  if not rule.native then
    live(g, rule.name .. ": backward", "the gradient")
    if not shapes.same(g, x) then
      raise("%s: backward returned a gradient %s, expected %s like its argument",
        rule.name, shapes.text(g), shapes.text(x))
    end
  end
  if not node then
    receive_leaf(x, g, rule.native and g ~= dy)
  elseif not node.dy then
    node.dy, node.owned = g, false
  elseif node.owned then
    check(C.gal_add(node.dy.h, node.dy.h, g.h))
  else
    local sum = like(x)
    check(C.gal_add(sum.h, node.dy.h, g.h))
    node.dy, node.owned = sum, true
  end
end

-- Checks a node before anything is computed: nothing is accumulated by a backward() that then raises.
local function usable(node)
  local rule = node.rule
  if node.freed then
    raise("backward: the graph through %s was freed by an earlier backward(); compute the result again",
      rule.name)
  end
  for i = 1, rule.n + 3 do
    local x = node[i]
    if getmetatable(x) == Tensor then
      if x.scope and x.scope.closed then live(x, "backward", "an argument of " .. rule.name) end
      if (x.base or x).version ~= (node.versions and node.versions[i] or 0) then
        raise("backward: a tensor %s that %s needs was changed in place after it was used",
          shapes.text(x), rule.name)
      end
    end
  end
end

local function later(a, b) return a.id > b.id end

-- Puts the nodes that made x, a tensor or a list of them, on the stack; returns its new top.
local function push(stack, top, x)
  if getmetatable(x) == Tensor then
    local node = x.node
    if node and node.walk ~= last_walk then
      node.walk = last_walk
      top = top + 1
      stack[top] = node
    end
  elseif type(x) == "table" then
    for i = 1, #x do top = push(stack, top, x[i]) end
  end
  return top
end

-- All nodes that root depends on, latest first.
local function collect(root)
  last_walk = last_walk + 1
  local list, stack, top = {}, { root }, 1
  root.walk = last_walk
  while top > 0 do
    local node = stack[top]
    top = top - 1
    usable(node)
    list[#list + 1] = node
    for i = 1, node.rule.n do top = push(stack, top, node[i]) end
  end
  table.sort(list, later)
  return list
end

local function walk_back(list)
  for i = 1, #list do
    local node = list[i]
    local rule, dy = node.rule, node.dy
    if dy then
      local g1, g2, g3, g4, g5 =
        rule.backward(dy, node[1], node[2], node[3], node[4], node[5], node[6], node[7], node[8])
      local n = rule.n
      receive(node[1], g1, rule, dy)
      if n > 1 then receive(node[2], g2, rule, dy) end
      if n > 2 then receive(node[3], g3, rule, dy) end
      if n > 3 then receive(node[4], g4, rule, dy) end
      if n > 4 then receive(node[5], g5, rule, dy) end
    end
  end
end

local function free(list)
  for i = 1, #list do
    local node = list[i]
    for k = 1, 8 do node[k] = nil end
    node.dy, node.versions, node.freed = nil, nil, true
  end
end

-- The weights of y's elements: g, or 1 for the only one.
local function seed(y, g)
  if g == nil then
    if shapes.count(y) ~= 1 then
      raise("backward: y is %s, expected one element, or backward(g) with g of that shape", shapes.text(y))
    end
    g = like(y)
    check(C.gal_fill(g.h, 1))
    return g
  end
  live(g, "backward", "g")
  if not shapes.same(g, y) then
    raise("backward: g is %s, expected %s like y", shapes.text(g), shapes.text(y))
  end
  return g
end

--- y:backward([g]): adds the gradient of y, weighted by g, to .grad of every tensor that requires one. y has
-- one element, or g is a tensor of y's shape. The graph is freed: a second call raises.
function tape.backward(y, g)
  live(y, "backward", "y")
  if not tracked(y) then raise("backward: y does not depend on any tensor with requires_grad()") end
  g = seed(y, g)
  if not y.node then return receive_leaf(y, g, false) end
  local list = collect(y.node)
  y.node.dy, y.node.owned = g, false
  local before = enabled
  enabled = false
  local ok, message = pcall(walk_back, list)
  enabled = before
  free(list)
  if not ok then error(message, 0) end
end

-- ---- who takes part ----

--- x:requires_grad([bool]) --> x, from now on a leaf whose gradient backward() adds to x.grad; false: no
-- longer.
function tape.requires_grad(x, wanted)
  live(x, "requires_grad", "x")
  if type(wanted) ~= "nil" and type(wanted) ~= "boolean" then
    raise("requires_grad: argument is %s, expected true or false", kind(wanted))
  end
  if x.h.dtype ~= 0 then raise("requires_grad: x is %s, expected float32", memory.dtype(x)) end
  if wanted == false and x.node then
    raise("requires_grad: x is a result on the tape, expected a leaf; x:detach() leaves the tape")
  end
  x.requires = wanted ~= false and not x.node
  return x
end

--- x:requires_grad_set() --> whether x is a leaf that gradients are wanted of.
function tape.requires_grad_set(x) return live(x, "requires_grad_set", "x").requires end

--- x:detach() --> a view of x that is not on the tape.
function tape.detach(x)
  return memory.alias(live(x, "detach", "x"))
end

local function restore(before, ok, ...)
  enabled = before
  if not ok then error((...), 0) end
  return ...
end

--- gal.no_grad(fn, ...): calls fn(...) with the tape off, and dropout with it, and returns its results; an
-- error turns it on again.
function tape.no_grad(fn, ...)
  if type(fn) ~= "function" then raise("no_grad: fn is %s, expected a function", kind(fn)) end
  local before = enabled
  enabled = false
  return restore(before, pcall(fn, ...))
end

--- with_grad(fn, ...): calls fn(...) with the tape on, for gradients that the library needs inside a
-- no_grad of the user's, and returns its results.
function tape.with_grad(fn, ...)
  local before = enabled
  enabled = true
  return restore(before, pcall(fn, ...))
end

local function leave_evaluation(before, ok, ...)
  evaluating = before
  if not ok then error((...), 0) end
  return ...
end

--- nn.evaluate(fn, ...): calls fn(...) with dropout off, gradients recorded as before, and returns its
-- results. gal.no_grad has dropout off too.
function tape.evaluate(fn, ...)
  if type(fn) ~= "function" then raise("evaluate: fn is %s, expected a function", kind(fn)) end
  local before = evaluating
  evaluating = true
  return leave_evaluation(before, pcall(fn, ...))
end

--- training() --> whether layers that only act while training, such as dropout, act now.
function tape.training() return enabled and not evaluating end

return tape
