-- The pieces that rules of gradients are made of: results of one C call, beside the tape. Their arguments are
-- tensors that can be used now, of shapes that fit.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local memory = require "gal.tensor.memory"
local shapes = require "gal.tensor.shapes"
local C = ffi.C
local raise, check = errors.raise, errors.check
local like, shaped, dense = memory.real_like, memory.real_shaped, memory.dense

local untaped = {}

-- ---- broadcasting ----

--- both(op, a, b[, first, second]) --> a new float32 tensor of the shape to which a and b broadcast; first
-- and second are what the user calls them, "a" and "b".
function untaped.both(op, a, b, first, second)
  if shapes.same(a, b) then return like(a) end
  local ha, hb = a.h, b.h
  local ra, rb = ha.rank, hb.rank
  local rank, sizes = math.max(ra, rb), shapes.new()
  for i = 0, rank - 1 do
    local ia, ib = i - (rank - ra), i - (rank - rb)
    local na = ia < 0 and 1 or tonumber(ha.shape[ia])
    local nb = ib < 0 and 1 or tonumber(hb.shape[ib])
    if na ~= nb and na ~= 1 and nb ~= 1 then
      raise("%s: %s is %s and %s is %s, expected dimension %d from the end to agree or to be 1", op,
        first or "a", shapes.text(a), second or "b", shapes.text(b), rank - i)
    end
    sizes[i] = na == 1 and nb or na
  end
  return shaped(a, rank, sizes)
end

--- reduce_to(g, x) --> g, of the shape of a result, summed to x's shape: the gradient of broadcasting.
function untaped.reduce_to(g, x)
  if shapes.same(g, x) then return g end
  local hx, lead = x.h, g.h.rank - x.h.rank
  g = dense(g)
  if lead > 0 then
    local sizes = shapes.new()
    for i = lead, g.h.rank - 1 do sizes[i - lead] = g.h.shape[i] end
    local y = shaped(g, hx.rank, sizes)
    check(C.gal_sum(y.h, g.h, 0, lead - 1))
    g = y
  end
  for i = 0, hx.rank - 1 do
    if hx.shape[i] ~= g.h.shape[i] then
      local sizes = shapes.sizes(g)
      sizes[i] = 1
      local y = shaped(g, hx.rank, sizes)
      check(C.gal_sum(y.h, g.h, i, i))
      g = y
    end
  end
  return g
end

--- expand(v, x) --> v, whose dimensions are x's or 1, as a view of x's shape.
function untaped.expand(v, x)
  local h, hx, strides = v.h, x.h, shapes.new()
  for i = 0, hx.rank - 1 do strides[i] = h.shape[i] == hx.shape[i] and h.stride[i] or 0 end
  return memory.view(v, hx.rank, hx.shape, strides, 0)
end

--- scalar(value, x) --> a number as a tensor {} beside x.
function untaped.scalar(value, x)
  local y = shaped(x, 0)
  check(C.gal_fill(y.h, value))
  return y
end

-- ---- arithmetic ----

--- map2(kernel, a, b) --> kernel(a, b), broadcast, for a kernel of two arguments such as C.gal_mul.
local function map2(kernel, a, b)
  local y = untaped.both("backward", a, b)
  check(kernel(y.h, a.h, b.h))
  return y
end
untaped.map2 = map2

--- product(a, b) --> a b, elementwise, broadcast.
function untaped.product(a, b) return map2(C.gal_mul, a, b) end

--- MINUS_ZERO: as a shift it leaves the sign of every zero as it is.
untaped.MINUS_ZERO = -1 / math.huge

--- affine(x, scale[, shift]) --> scale x + shift, elementwise.
function untaped.affine(x, scale, shift)
  local y = like(x)
  check(C.gal_affine(y.h, x.h, scale, shift or untaped.MINUS_ZERO))
  return y
end

--- power(x, exponent) --> x to that power, elementwise.
function untaped.power(x, exponent)
  local y = like(x)
  check(C.gal_power(y.h, x.h, exponent))
  return y
end

return untaped
