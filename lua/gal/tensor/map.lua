-- Elementwise ops with their gradients, forward and backward side by side: arithmetic, comparisons, where and
-- clamp, functions of one tensor.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local memory = require "gal.tensor.memory"
local tape = require "gal.tensor.tape"
local untaped = require "gal.tensor.untaped"
local C = ffi.C
local raise, check = errors.raise, errors.check
local like, live = memory.real_like, memory.live
local tracked, native = tape.tracked, tape.native
local both, reduce_to, scalar, map2 = untaped.both, untaped.reduce_to, untaped.scalar, untaped.map2
local mul, affine, power, MINUS_ZERO = untaped.product, untaped.affine, untaped.power, untaped.MINUS_ZERO

local map = {}

-- ---- arithmetic with a number ----

-- scale * x + shift, the form of all arithmetic with a number but division.
local affine_map = native("affine", {
  forward = function(x, scale, shift) return affine(x, scale, shift) end,
  backward = function(dy, _, scale) return affine(dy, scale) end,
})

-- The tensor beside a number: the sentence names the operator that the user wrote.
local function beside_number(x, name, argument)
  if live(x, name, argument).h.dtype ~= 0 then
    raise("%s: %s is %s, expected float32; x:float() converts", name, argument, memory.dtype(x))
  end
  return x
end

-- An operator of tensors and numbers from the op on two tensors and its two forms with a number.
local function operator(name, of_tensors, with_number_right, with_number_left)
  return function(a, b)
    if type(b) == "number" then return with_number_right(beside_number(a, name, "a"), b) end
    if type(a) == "number" then return with_number_left(a, beside_number(b, name, "b")) end
    return of_tensors(a, b)
  end
end

--- -x, elementwise.
function map.negative(x) return affine_map(beside_number(x, "unary minus", "x"), -1, MINUS_ZERO) end

-- ---- arithmetic of two tensors ----

local add = native("add", {
  forward = function(a, b) local y = both("add", a, b) check(C.gal_add(y.h, a.h, b.h)) return y end,
  backward = function(dy, a, b) return tracked(a) and reduce_to(dy, a), tracked(b) and reduce_to(dy, b) end,
}, 2)
local function plus(x, v) return affine_map(x, 1, v) end

--- a + b, elementwise, broadcast. Numbers are taken on either side of every operator.
map.add = operator("add", add, plus, function(v, x) return plus(x, v) end)

local sub = native("sub", {
  forward = function(a, b) local y = both("sub", a, b) check(C.gal_sub(y.h, a.h, b.h)) return y end,
  backward = function(dy, a, b)
    return tracked(a) and reduce_to(dy, a), tracked(b) and affine(reduce_to(dy, b), -1)
  end,
}, 2)

--- a - b, elementwise, broadcast.
map.sub = operator("sub", sub, function(x, v) return affine_map(x, 1, -v) end,
  function(v, x) return affine_map(x, -1, v) end)

local multiply = native("mul", {
  forward = function(a, b) local y = both("mul", a, b) check(C.gal_mul(y.h, a.h, b.h)) return y end,
  backward = function(dy, a, b)
    return tracked(a) and reduce_to(mul(dy, b), a), tracked(b) and reduce_to(mul(dy, a), b)
  end,
}, 2)
local function times(x, v) return affine_map(x, v, MINUS_ZERO) end

--- a * b, elementwise, broadcast.
map.mul = operator("mul", multiply, times, function(v, x) return times(x, v) end)

local div = native("div", {
  forward = function(a, b) local y = both("div", a, b) check(C.gal_div(y.h, a.h, b.h)) return y end,
  backward = function(dy, a, b, y)
    local q = map2(C.gal_div, dy, b) -- dy / b, and d(a/b)/db = -y / b
    return tracked(a) and reduce_to(q, a), tracked(b) and affine(reduce_to(mul(q, y), b), -1)
  end,
}, 2)

--- a / b, elementwise, broadcast.
-- Division is not multiplication by 1 / v: 3 / 10 has to be the float32 nearest to 0.3.
map.div = operator("div", div, function(x, v) return div(x, scalar(v, x)) end,
  function(v, x) return div(scalar(v, x), x) end)

--- x:add_(y): adds y, broadcast to x's shape, to x in place. Returns x. A tensor on the tape raises.
function map.add_(x, y)
  live(x, "add_", "x")
  live(y, "add_", "y")
  tape.writable(x, "add_")
  check(C.gal_add(x.h, x.h, y.h))
  return x
end

-- ---- powers ----

-- a ^ b for tensors. At b = 0 and at a = 0 the textbook gradients are 0 times infinity; the limits that count
-- are 0.
local power_of_tensors = native("pow", {
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
}, 2)

local power_of_number = native("pow", {
  forward = function(x, exponent) return power(x, exponent) end,
  backward = function(dy, x, exponent)
    if exponent == 0 then return affine(dy, 0) end
    if exponent == 1 then return dy end
    return mul(dy, affine(exponent == 2 and x or power(x, exponent - 1), exponent))
  end,
})

--- x:pow(e), also x ^ e: x to the power e, a number or a tensor.
function map.pow(x, e)
  live(x, "pow", "x")
  if type(e) == "number" then return power_of_number(x, e) end
  return power_of_tensors(x, live(e, "pow", "e"))
end

--- a ^ b, where either may be a number.
function map.raised(a, b)
  if type(a) == "number" then return power_of_tensors(scalar(a, live(b, "pow", "e")), b) end
  return map.pow(a, b)
end

-- ---- the larger and the smaller ----

-- The gradient of a where it is chosen; half of it goes to each where a and b are equal, as in a central
-- difference. chosen is 1 where a alone is.
local function to_chosen(dy, a, b, chosen)
  local m = affine(map2(C.gal_eq, a, b), 0.5)
  check(C.gal_add(m.h, m.h, chosen.h))
  return reduce_to(mul(dy, m), a)
end
local function larger(dy, a, b) return to_chosen(dy, a, b, map2(C.gal_lt, b, a)) end
local function smaller(dy, a, b) return to_chosen(dy, a, b, map2(C.gal_lt, a, b)) end

local maximum = native("maximum", {
  forward = function(a, b) local y = both("maximum", a, b) check(C.gal_maximum(y.h, a.h, b.h)) return y end,
  backward = function(dy, a, b) return tracked(a) and larger(dy, a, b), tracked(b) and larger(dy, b, a) end,
}, 2)
local minimum = native("minimum", {
  forward = function(a, b) local y = both("minimum", a, b) check(C.gal_minimum(y.h, a.h, b.h)) return y end,
  backward = function(dy, a, b) return tracked(a) and smaller(dy, a, b), tracked(b) and smaller(dy, b, a) end,
}, 2)

-- The operand beside a tensor: a tensor, or a number made one.
local function operand(name, value, x, argument)
  if type(value) == "number" then return scalar(value, x) end
  return live(value, name, argument or "y")
end

--- x:maximum(y): elementwise the larger of x and y, a tensor or a number; NaN where either is.
function map.maximum(x, y) return maximum(live(x, "maximum", "x"), operand("maximum", y, x)) end

--- x:minimum(y): elementwise the smaller of x and y, a tensor or a number; NaN where either is.
function map.minimum(x, y) return minimum(live(x, "minimum", "x"), operand("minimum", y, x)) end

-- ---- comparisons: 1 or 0, no gradient ----

local function comparison(name, kernel, swapped)
  return function(x, y)
    live(x, name, "x")
    y = operand(name, y, x)
    local a, b = x, y
    if swapped then a, b = y, x end
    local result = both(name, x, y)
    check(kernel(result.h, a.h, b.h))
    return result
  end
end

--- x:eq(y): 1 where x = y, else 0. y is a tensor or a number, as in lt, le, gt and ge.
map.eq = comparison("eq", C.gal_eq)
--- x:lt(y): 1 where x < y, else 0.
map.lt = comparison("lt", C.gal_lt)
--- x:le(y): 1 where x <= y, else 0.
map.le = comparison("le", C.gal_le)
--- x:gt(y): 1 where x > y, else 0.
map.gt = comparison("gt", C.gal_lt, true)
--- x:ge(y): 1 where x >= y, else 0.
map.ge = comparison("ge", C.gal_le, true)

--- x:isnan(): 1 where x is NaN, else 0.
function map.isnan(x) return map.eq(map.eq(live(x, "isnan", "x"), x), 0) end

-- ---- one or the other ----

-- a where mask is not 0, else b; what is not chosen may be NaN. -0 is added to what is chosen.
local where = native("where", {
  forward = function(a, b, mask)
    local chosen, other = both("where", mask, a, "mask", "a"), both("where", mask, b, "mask", "b")
    check(C.gal_masked(chosen.h, a.h, mask.h))
    check(C.gal_masked(other.h, b.h, map2(C.gal_eq, mask, scalar(0, mask)).h))
    local y = both("where", chosen, other)
    check(C.gal_add(y.h, chosen.h, other.h))
    return y
  end,
  backward = function(dy, a, b, mask)
    local function part(x, chosen) -- 0 where x is not chosen, and not -0
      return tracked(x) and reduce_to(affine(map2(C.gal_masked, dy, chosen), 1, 0), x)
    end
    return part(a, mask), part(b, map2(C.gal_eq, mask, scalar(0, mask)))
  end,
}, 2)

--- gal.where(mask, a, b): elementwise a where mask is not 0, else b, broadcast; a and b are tensors or
-- numbers. What is not chosen may be NaN or infinite, and gets a gradient of 0; mask gets none.
function map.where(mask, a, b)
  live(mask, "where", "mask")
  local function side(name, value)
    if type(value) == "number" then return scalar(value, mask) end
    return live(value, "where", name)
  end
  return where(side("a", a), side("b", b), mask:detach())
end

--- x:where(mask, other): gal.where(mask, x, other): x where mask is not 0, else other.
function map.x_where(x, mask, other) return map.where(mask, live(x, "where", "x"), other) end

--- x:clamp(least, most): x, but no less than least and no more than most, each a number, a tensor or nil (no
-- limit); NaN stays. The gradient is 1 between the limits, 0 beyond them, and 1/2 where x is one.
function map.clamp(x, least, most)
  live(x, "clamp", "x")
  if least == nil and most == nil then
    raise("clamp: least and most are nil, expected a number or a tensor for one of them")
  end
  if type(least) == "number" and type(most) == "number" and least > most then
    raise("clamp: least is %.14g, expected a number up to most, %.14g", least, most)
  end
  if least ~= nil then x = maximum(x, operand("clamp", least, x, "least")) end
  return most ~= nil and minimum(x, operand("clamp", most, x, "most")) or x
end

-- ---- functions of one tensor ----

-- Most gradients are one of these two: f' from the argument, or from the result.
local function from_x(kernel) return function(dy, x) return map2(kernel, dy, x) end end
local function from_y(kernel) return function(dy, _, y) return map2(kernel, dy, y) end end

--- e ^ x, elementwise.
map.exp = native("exp", {
  forward = function(x) local y = like(x) check(C.gal_exp(y.h, x.h)) return y end,
  backward = from_y(C.gal_mul),
})

--- The natural logarithm, elementwise.
map.log = native("log", {
  forward = function(x) local y = like(x) check(C.gal_log(y.h, x.h)) return y end,
  backward = from_x(C.gal_div),
})

--- The square root, elementwise.
map.sqrt = native("sqrt", {
  forward = function(x) local y = like(x) check(C.gal_sqrt(y.h, x.h)) return y end,
  backward = function(dy, _, y) return map2(C.gal_div, affine(dy, 0.5), y) end,
})

--- |x|, elementwise; gradient 0 at 0.
map.abs = native("abs", {
  forward = function(x) local y = like(x) check(C.gal_abs(y.h, x.h)) return y end,
  backward = function(dy, x)
    local zero = scalar(0, x)
    return mul(dy, map2(C.gal_sub, map2(C.gal_lt, zero, x), map2(C.gal_lt, x, zero)))
  end,
})

--- The sine, elementwise, of radians.
map.sin = native("sin", {
  forward = function(x) local y = like(x) check(C.gal_sin(y.h, x.h)) return y end,
  backward = function(dy, x) local c = like(x) check(C.gal_cos(c.h, x.h)) return mul(dy, c) end,
})

--- The cosine, elementwise, of radians.
map.cos = native("cos", {
  forward = function(x) local y = like(x) check(C.gal_cos(y.h, x.h)) return y end,
  backward = function(dy, x) local s = like(x) check(C.gal_sin(s.h, x.h)) return affine(mul(dy, s), -1) end,
})

--- 1 / (1 + e ^ -x), elementwise.
map.sigmoid = native("sigmoid", {
  forward = function(x) local y = like(x) check(C.gal_sigmoid(y.h, x.h)) return y end,
  backward = from_y(C.gal_sigmoid_backward),
})

--- The hyperbolic tangent, elementwise.
map.tanh = native("tanh", {
  forward = function(x) local y = like(x) check(C.gal_tanh(y.h, x.h)) return y end,
  backward = from_y(C.gal_tanh_backward),
})

--- max(x, 0), elementwise.
map.relu = native("relu", {
  forward = function(x) local y = like(x) check(C.gal_relu(y.h, x.h)) return y end,
  backward = from_x(C.gal_relu_backward),
})

--- x * sigmoid(x), elementwise.
map.silu = native("silu", {
  forward = function(x) local y = like(x) check(C.gal_silu(y.h, x.h)) return y end,
  backward = from_x(C.gal_silu_backward),
})

--- x * Phi(x), Phi the normal distribution function, elementwise.
map.gelu = native("gelu", {
  forward = function(x) local y = like(x) check(C.gal_gelu(y.h, x.h)) return y end,
  backward = from_x(C.gal_gelu_backward),
})

return map
