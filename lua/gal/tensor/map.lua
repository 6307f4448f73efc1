-- Ops with their gradients, forward and backward side by side: elementwise, reductions, products. Views and
-- moving are in views.lua, the tape itself in tape.lua. An op checks what only Lua can see, makes its result
-- and calls C, which checks the rest. A backward may return dy itself, a view of it or a new tensor, never
-- one that somebody else holds; only where an argument is tracked is work done.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local handle = require "gal.tensor.memory"
local core = require "gal.tensor.values"
local tape = require "gal.tensor.tape"
local C = ffi.C
local raise, check = errors.raise, errors.check
local methods, Tensor, dims, strides = handle.methods, handle.Tensor, handle.dims, handle.strides
local like, live, dense, view, shaped = handle.real_like, handle.live, handle.dense, handle.view, handle.real_shaped
local tracked, into = tape.tracked, tape.into

local grad = { op = tape.op, no_grad = tape.no_grad, tracked = tracked }

-- Defines a method of tensors whose first argument (or as many as rule.tensors) has to be one.
local function op(name, rule)
  rule.native, rule.tensors = true, rule.tensors or 1
  local call = tape.op(name, rule)
  methods[name] = call
  return call
end
grad.method = op

-- ---- broadcasting ----

--- A new tensor of the shape to which a and b broadcast.
local function both(name, a, b)
  local ha, hb = a.h, b.h
  local ra, rb = ha.rank, hb.rank
  if ra == rb and core.same_shape(a, b) then return like(a) end
  local rank = math.max(ra, rb)
  for i = 0, rank - 1 do
    local ia, ib = i - (rank - ra), i - (rank - rb)
    local na, nb = ia < 0 and 1 or tonumber(ha.shape[ia]), ib < 0 and 1 or tonumber(hb.shape[ib])
    if na ~= nb and na ~= 1 and nb ~= 1 then
      raise("%s: a is %s and b is %s, expected dimension %d from the end to agree or to be 1", name, a:shape_text(), b:shape_text(), rank - i)
    end
    dims[i] = na == 1 and nb or na
  end
  return shaped(a, rank, dims)
end

--- g, of the shape of a result, summed to x's shape: the gradient of broadcasting.
local function reduce_to(g, x)
  if core.same_shape(g, x) then return g end
  local hx, lead = x.h, g.h.rank - x.h.rank
  g = dense(g)
  if lead > 0 then
    for i = lead, g.h.rank - 1 do dims[i - lead] = g.h.shape[i] end
    local y = shaped(g, hx.rank, dims)
    check(C.gal_sum(y.h, g.h, 0, lead - 1))
    g = y
  end
  for i = 0, hx.rank - 1 do
    if hx.shape[i] ~= g.h.shape[i] then
      for k = 0, hx.rank - 1 do dims[k] = g.h.shape[k] end
      dims[i] = 1
      local y = shaped(g, hx.rank, dims)
      check(C.gal_sum(y.h, g.h, i, i))
      g = y
    end
  end
  return g
end

--- v, whose dimensions are x's or 1, as a view of x's shape.
local function expand(v, x)
  local h, hx = v.h, x.h
  for i = 0, hx.rank - 1 do strides[i] = h.shape[i] == hx.shape[i] and h.stride[i] or 0 end
  return view(v, hx.rank, hx.shape, strides, 0)
end

--- A number as a tensor {} beside x.
local function scalar(value, x)
  local y = shaped(x, 0, dims)
  check(C.gal_fill(y.h, value))
  return y
end

-- Shorthand of the rules: untaped results of one C call.
local function map2(kernel, a, b)
  local y = both("backward", a, b)
  check(kernel(y.h, a.h, b.h))
  return y
end
local function mul(a, b) return map2(C.gal_mul, a, b) end
-- scale * x + shift; a shift of -0 leaves the sign of every zero as it is.
local MINUS_ZERO = -1 / math.huge
local function affine(x, scale, shift)
  local y = like(x)
  check(C.gal_affine(y.h, x.h, scale, shift or MINUS_ZERO))
  return y
end
local function power(x, exponent)
  local y = like(x)
  check(C.gal_power(y.h, x.h, exponent))
  return y
end

-- ---- arithmetic of two tensors ----

--- a + b, broadcast. Numbers are taken on either side of every operator.
op("add", {
  tensors = 2,
  forward = function(a, b) local y = both("add", a, b) check(C.gal_add(y.h, a.h, b.h)) return y end,
  backward = function(dy, a, b) return tracked(a) and reduce_to(dy, a), tracked(b) and reduce_to(dy, b) end,
})

--- a - b, broadcast.
op("sub", {
  tensors = 2,
  forward = function(a, b) local y = both("sub", a, b) check(C.gal_sub(y.h, a.h, b.h)) return y end,
  backward = function(dy, a, b) return tracked(a) and reduce_to(dy, a), tracked(b) and affine(reduce_to(dy, b), -1) end,
})

--- a * b, elementwise, broadcast.
op("mul", {
  tensors = 2,
  forward = function(a, b) local y = both("mul", a, b) check(C.gal_mul(y.h, a.h, b.h)) return y end,
  backward = function(dy, a, b) return tracked(a) and reduce_to(mul(dy, b), a), tracked(b) and reduce_to(mul(dy, a), b) end,
})

--- a / b, elementwise, broadcast.
op("div", {
  tensors = 2,
  forward = function(a, b) local y = both("div", a, b) check(C.gal_div(y.h, a.h, b.h)) return y end,
  backward = function(dy, a, b, y)
    local q = map2(C.gal_div, dy, b) -- dy / b, and d(a/b)/db = -y / b
    return tracked(a) and reduce_to(q, a), tracked(b) and affine(reduce_to(mul(q, y), b), -1)
  end,
})

-- a ^ b for tensors. At b = 0 and at a = 0 the textbook gradients are 0 times infinity; the limits that count
-- are 0.
local power_of_tensors = tape.op("pow", {
  native = true, tensors = 2,
  forward = function(a, b) local y = both("pow", a, b) check(C.gal_pow(y.h, a.h, b.h)) return y end,
  backward = function(dy, a, b, y)
    local da, db
    if tracked(a) then
      local exponent = map2(C.gal_add, affine(b, 1, -1), map2(C.gal_eq, b, scalar(0, b)))
      da = reduce_to(mul(mul(dy, b), map2(C.gal_pow, a, exponent)), a)
    end
    if tracked(b) then
      local log = map2(C.gal_add, a, map2(C.gal_eq, a, scalar(0, a)))
      check(C.gal_log(log.h, log.h))
      db = reduce_to(mul(mul(dy, y), log), b)
    end
    return da, db
  end,
})

-- Half the gradient goes to each where a and b are equal, as in a central difference.
local function larger(dy, a, b)
  local m = affine(map2(C.gal_eq, a, b), 0.5)
  check(C.gal_add(m.h, m.h, map2(C.gal_lt, b, a).h))
  return reduce_to(mul(dy, m), a)
end
local maximum = tape.op("maximum", {
  native = true, tensors = 2,
  forward = function(a, b) local y = both("maximum", a, b) check(C.gal_maximum(y.h, a.h, b.h)) return y end,
  backward = function(dy, a, b) return tracked(a) and larger(dy, a, b), tracked(b) and larger(dy, b, a) end,
})
local function smaller(dy, a, b)
  local m = affine(map2(C.gal_eq, a, b), 0.5)
  check(C.gal_add(m.h, m.h, map2(C.gal_lt, a, b).h))
  return reduce_to(mul(dy, m), a)
end
local minimum = tape.op("minimum", {
  native = true, tensors = 2,
  forward = function(a, b) local y = both("minimum", a, b) check(C.gal_minimum(y.h, a.h, b.h)) return y end,
  backward = function(dy, a, b) return tracked(a) and smaller(dy, a, b), tracked(b) and smaller(dy, b, a) end,
})

-- scale * x + shift, the form of all arithmetic with a number.
local linear_map = tape.op("affine", {
  native = true, tensors = 1,
  forward = function(x, scale, shift) return affine(x, scale, shift) end,
  backward = function(dy, _, scale) return affine(dy, scale) end,
})
grad.affine = linear_map

local power_of_number = tape.op("pow", {
  native = true, tensors = 1,
  forward = function(x, exponent) return power(x, exponent) end,
  backward = function(dy, x, exponent)
    if exponent == 0 then return affine(dy, 0) end
    if exponent == 1 then return dy end
    return mul(dy, affine(exponent == 2 and x or power(x, exponent - 1), exponent))
  end,
})

-- The operand beside a tensor: a tensor, or a number made one.
local function operand(name, argument, value, x)
  if type(value) == "number" then return scalar(value, x) end
  return live(value, name, argument)
end

--- x:pow(e), also x ^ e: x to the power e, a number or a tensor.
function methods.pow(x, e)
  live(x, "pow", "x")
  if type(e) == "number" then return power_of_number(x, e) end
  return power_of_tensors(x, live(e, "pow", "e"))
end

--- x:maximum(y): elementwise the larger of x and y, a tensor or a number; NaN where either is.
function methods.maximum(x, y) return maximum(live(x, "maximum", "x"), operand("maximum", "y", y, x)) end

--- x:minimum(y): elementwise the smaller of x and y, a tensor or a number; NaN where either is.
function methods.minimum(x, y) return minimum(live(x, "minimum", "x"), operand("minimum", "y", y, x)) end

-- ---- operators ----

-- The tensor of an operator beside a number: the sentence has to name the operator, and not the affine map
-- that it becomes.
local function beside_number(x, name, argument)
  if live(x, name, argument).h.dtype ~= 0 then raise("%s: %s is %s, expected float32; x:float() converts", name, argument, x.dtype) end
  return x
end

local function operator(name, with_number_right, with_number_left)
  local of_tensors = methods[name]
  return function(a, b)
    if type(b) == "number" then return with_number_right(beside_number(a, name, "a"), b) end
    if type(a) == "number" then return with_number_left(a, beside_number(b, name, "b")) end
    return of_tensors(a, b)
  end
end

local function plus(x, v) return linear_map(x, 1, v) end
local function times(x, v) return linear_map(x, v, MINUS_ZERO) end
Tensor.__add = operator("add", plus, function(v, x) return plus(x, v) end)
Tensor.__sub = operator("sub", function(x, v) return linear_map(x, 1, -v) end, function(v, x) return linear_map(x, -1, v) end)
Tensor.__mul = operator("mul", times, function(v, x) return times(x, v) end)
-- Division is not multiplication by 1 / v: 3 / 10 has to be the float32 nearest to 0.3.
Tensor.__div = operator("div", function(x, v) return methods.div(x, scalar(v, x)) end, function(v, x) return methods.div(scalar(v, x), x) end)
Tensor.__unm = function(x) return linear_map(beside_number(x, "unary minus", "x"), -1, MINUS_ZERO) end
Tensor.__pow = function(a, b)
  if type(a) == "number" then return power_of_tensors(scalar(a, live(b, "pow", "e")), b) end
  return methods.pow(a, b)
end
for _, name in ipairs { "add", "sub", "mul", "div" } do methods[name] = Tensor["__" .. name] end

-- ---- comparisons: 1 or 0, no gradient ----

local function comparison(name, kernel, swapped)
  return function(x, y)
    live(x, name, "x")
    y = operand(name, "y", y, x)
    local a, b = x, y
    if swapped then a, b = y, x end
    local result = both(name, x, y)
    check(kernel(result.h, a.h, b.h))
    return result
  end
end

--- x:eq(y): 1 where x = y, else 0. y is a tensor or a number, as in lt, le, gt and ge.
methods.eq = comparison("eq", C.gal_eq)
--- x:lt(y): 1 where x < y, else 0.
methods.lt = comparison("lt", C.gal_lt)
--- x:le(y): 1 where x <= y, else 0.
methods.le = comparison("le", C.gal_le)
--- x:gt(y): 1 where x > y, else 0.
methods.gt = comparison("gt", C.gal_lt, true)
--- x:ge(y): 1 where x >= y, else 0.
methods.ge = comparison("ge", C.gal_le, true)

-- ---- functions of one tensor ----

-- Most gradients are one of these two: f' from the argument, or from the result.
local function from_x(kernel) return function(dy, x) return map2(kernel, dy, x) end end
local function from_y(kernel) return function(dy, _, y) return map2(kernel, dy, y) end end

--- e ^ x, elementwise.
op("exp", { forward = function(x) local y = like(x) check(C.gal_exp(y.h, x.h)) return y end, backward = from_y(C.gal_mul) })

--- The natural logarithm, elementwise.
op("log", { forward = function(x) local y = like(x) check(C.gal_log(y.h, x.h)) return y end, backward = from_x(C.gal_div) })

--- The square root, elementwise.
op("sqrt", {
  forward = function(x) local y = like(x) check(C.gal_sqrt(y.h, x.h)) return y end,
  backward = function(dy, _, y) return map2(C.gal_div, affine(dy, 0.5), y) end,
})

--- |x|, elementwise; gradient 0 at 0.
op("abs", {
  forward = function(x) local y = like(x) check(C.gal_abs(y.h, x.h)) return y end,
  backward = function(dy, x)
    local zero = scalar(0, x)
    return mul(dy, map2(C.gal_sub, map2(C.gal_lt, zero, x), map2(C.gal_lt, x, zero)))
  end,
})

--- The sine, elementwise, of radians.
op("sin", {
  forward = function(x) local y = like(x) check(C.gal_sin(y.h, x.h)) return y end,
  backward = function(dy, x) local c = like(x) check(C.gal_cos(c.h, x.h)) return mul(dy, c) end,
})

--- The cosine, elementwise, of radians.
op("cos", {
  forward = function(x) local y = like(x) check(C.gal_cos(y.h, x.h)) return y end,
  backward = function(dy, x) local s = like(x) check(C.gal_sin(s.h, x.h)) return affine(mul(dy, s), -1) end,
})

--- 1 / (1 + e ^ -x), elementwise.
op("sigmoid", { forward = function(x) local y = like(x) check(C.gal_sigmoid(y.h, x.h)) return y end, backward = from_y(C.gal_sigmoid_backward) })

--- The hyperbolic tangent, elementwise.
op("tanh", { forward = function(x) local y = like(x) check(C.gal_tanh(y.h, x.h)) return y end, backward = from_y(C.gal_tanh_backward) })

--- max(x, 0), elementwise.
op("relu", { forward = function(x) local y = like(x) check(C.gal_relu(y.h, x.h)) return y end, backward = from_x(C.gal_relu_backward) })

--- x * sigmoid(x), elementwise.
op("silu", { forward = function(x) local y = like(x) check(C.gal_silu(y.h, x.h)) return y end, backward = from_x(C.gal_silu_backward) })

--- x * Phi(x), Phi the normal distribution function, elementwise.
op("gelu", { forward = function(x) local y = like(x) check(C.gal_gelu(y.h, x.h)) return y end, backward = from_x(C.gal_gelu_backward) })

grad.reduce_to, grad.expand, grad.scalar, grad.scaled, grad.product, grad.map2 = reduce_to, expand, scalar, affine, mul, map2
grad.into = into
return grad
