-- Convolution of images {N, H, W, C} with its gradient. The layer that holds the weights is in nn/conv.lua.
local ffi = require "ffi"
local activations = require "gal.base.activations"
local errors = require "gal.base.errors"
local precisions = require "gal.base.precision"
local memory = require "gal.tensor.memory"
local shapes = require "gal.tensor.shapes"
local tape = require "gal.tensor.tape"
local C = ffi.C
local check = errors.check
local like, live, dense, shaped = memory.real_like, memory.live, memory.dense, memory.real_shaped
local tracked, into = tape.tracked, tape.into

local conv = {}

-- The sizes {N, h, w, out} of the result, or before a pool; raises where x, w and the pool don't fit.
local function convolved(x, w, o, pool)
  local sizes = shapes.new()
  check(C.gal_conv2d_shape(sizes, x.h, w.h, o.stride, o.padding, pool))
  return sizes
end

-- One call of the gradient kernel; dx, dw, db: where the gradients go, nil for one that is not wanted. It
-- takes all that it needs as arguments: a compiled trace keeps the first closures that it calls alive, and
-- with them the tensors that they capture, for as long as the process lives.
local function conv2d_gradient(dx, dw, db, adds, dy, x, w, b, o, slope)
  check(C.gal_conv2d_backward(dx and dx.h, dw and dw.h, db and db.h,
    dy.h, slope and slope.h, x.h, w.h, b and b.h,
    o.stride, o.padding, o.activation, o.pool, o.precision, adds or 0))
end

local conv2d = tape.native("conv2d", {
  forward = function(x, w, b, o)
    local y = shaped(x, 4, convolved(x, w, o, o.pool))
    local dx, dw = dense(x), dense(w)
    local stores = tape.recording(x, w, b) and C.gal_conv2d_stores_slope(dw.h, o.activation) ~= 0
    local slope = stores and shaped(x, 4, convolved(x, w, o, 1)) or nil
    check(C.gal_conv2d(y.h, slope and slope.h, dx.h, dw.h, b and dense(b).h,
      o.stride, o.padding, o.activation, o.pool, o.precision))
    return y, slope
  end,
  backward = function(dy, x, w, b, o, _, slope)
    local dx, dw, db, w_adds, b_adds
    if tracked(x) then dx = like(x) end
    if tracked(w) then dw, w_adds = into(w) end
    if b and tracked(b) then db, b_adds = into(b) end
    dy, x, w, b = dense(dy), dense(x), dense(w), b and dense(b)
    if dw and db and w_adds ~= b_adds then
      conv2d_gradient(dx, dw, nil, w_adds, dy, x, w, b, o, slope)
      conv2d_gradient(nil, nil, db, b_adds, dy, x, w, b, o, slope)
    else
      conv2d_gradient(dx, dw, db, w_adds or b_adds, dy, x, w, b, o, slope)
    end
    return dx, dw, db
  end,
}, 2)

--- conv2d(x {N, H, W, in}, w {out, kh, kw, in}[, b {out}[, {stride = 1, padding = "same", activation =
-- "identity", pool = 1, precision = "f32"}]]) --> {N, h, w, out}: x convolved with w (not flipped), plus
-- b, through the activation, then the means of pool x pool pixels. padding: "same" (stride 1), or how many
-- zeros on each side. precision, also of the gradient later: "f32", or "bf16": both factors of every
-- product rounded to bfloat16 (8 bits), about twice as fast where the processor has fast instructions for
-- it and float32 elsewhere.
function conv.conv2d(x, w, b, options)
  options = options or {}
  live(x, "conv2d", "x")
  live(w, "conv2d", "w")
  if b then live(b, "conv2d", "b") end
  local padding = options.padding or "same"
  return conv2d(x, w, b, {
    stride = options.stride or 1, padding = padding == "same" and C.GAL_SAME or padding,
    activation = activations.code("conv2d", options.activation),
    pool = options.pool or 1, precision = precisions.code("conv2d", options.precision),
  })
end

return conv
