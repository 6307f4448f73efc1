-- Ops of images' layers with their gradients, forward and backward side by side: convolution, pools, layer
-- normalisation, dropout. Images are {N, H, W, C}. Layers that hold the weights are in nn/image.lua and
-- nn/layers.lua; other ops in grad.lua and reductions.lua.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local handle = require "gal.tensor.memory"
local core = require "gal.tensor.values"
local tape = require "gal.tensor.tape"
local C = ffi.C
local raise, check = errors.raise, errors.check
local dims, strides = handle.dims, handle.strides
local like, live, dense, shaped = handle.real_like, handle.live, handle.dense, handle.real_shaped
local tracked, into = tape.tracked, tape.into

local ops = {}

local PRECISIONS = { f32 = C.GAL_EXACT, bf16 = C.GAL_BF16 }
local precision = C.GAL_EXACT -- of the convolutions that are called now

local ACTIVATIONS = { identity = C.GAL_IDENTITY, relu = C.GAL_RELU, silu = C.GAL_SILU, gelu = C.GAL_GELU, tanh = C.GAL_TANH }

-- x as images: raises unless it has four dimensions, and `channels` channels where given.
local function images(op, x, channels)
  local h = x.h
  if h.rank ~= 4 or channels and h.shape[3] ~= channels then
    raise("%s: x is %s, expected images {N, H, W, %s}", op, x:shape_text(), channels and ("%d"):format(tonumber(channels)) or "C")
  end
  return h
end

-- How often the window finds a place along `size` pixels; raises where it has none.
local function places(op, x, size, window, stride, padding)
  local n = tonumber(C.gal_window_count(size, window, stride, padding))
  if n < 1 then raise("%s: x is %s, too small for a window of %d pixels", op, x:shape_text(), tonumber(window)) end
  return n
end

-- ---- convolution ----

-- Fills dims with the shape before the pool, {N, h, w, out}.
local function convolved(x, w, o)
  local hx, hw = images("conv2d", x, w.h.rank == 4 and w.h.shape[3]), w.h
  if hw.rank ~= 4 then raise("conv2d: w is %s, expected {out, height, width, in}", w:shape_text()) end
  dims[0], dims[3] = hx.shape[0], hw.shape[0]
  for i = 1, 2 do dims[i] = places("conv2d", x, hx.shape[i], hw.shape[i], o.stride, o.padding) end
end

-- The two functions below take all that they need as arguments: a compiled trace keeps the first closures that it
-- calls alive, and those the tensors that they capture, for as long as the process lives.

-- One call of the gradient kernel; dx, dw, db: where the gradients go, nil for one that is not wanted.
local function conv2d_gradient(dx, dw, db, adds, dy, x, w, b, o, slope)
  check(C.gal_conv2d_backward(dx and dx.h, dw and dw.h, db and db.h, dy.h, slope and slope.h, x.h, w.h, b and b.h,
    o.stride, o.padding, o.activation, o.pool, o.precision, adds or 0))
end

-- The same for layer_norm.
local function layer_norm_gradient(dx, dscale, dshift, adds, dy, x, statistics, scale)
  check(C.gal_layer_norm_backward(dx and dx.h, dscale and dscale.h, dshift and dshift.h, dy.h, x.h, statistics.h,
    scale.h, adds or 0))
end

local conv2d = tape.op("conv2d", {
  native = true, tensors = 2,
  forward = function(x, w, b, o)
    local dx, dw = dense(x), dense(w)
    convolved(x, w, o)
    local slope = tape.recording(x, w, b) and C.gal_conv2d_stores_slope(dw.h, o.activation) ~= 0 and shaped(x, 4, dims) or nil
    convolved(x, w, o)
    for i = 1, 2 do
      if o.pool > dims[i] then raise("conv2d: the pool of %d pixels is larger than the image of %d x %d", o.pool, tonumber(dims[1]), tonumber(dims[2])) end
    end
    for i = 1, 2 do dims[i] = math.floor(tonumber(dims[i]) / o.pool) end
    local y = shaped(x, 4, dims)
    check(C.gal_conv2d(y.h, slope and slope.h, dx.h, dw.h, b and dense(b).h, o.stride, o.padding, o.activation, o.pool, o.precision))
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
})

--- conv2d(x {N, H, W, in}, w {out, kh, kw, in}[, b {out}[, {stride = 1, padding = "same", activation =
-- "identity", pool = 1}]]) --> {N, h, w, out}: x convolved
--- with w (not flipped), plus b, through the activation, then the means of pool x pool pixels. padding:
-- "same" (stride 1), or how many zeros on each side.
function ops.conv2d(x, w, b, options)
  options = options or {}
  live(x, "conv2d", "x")
  live(w, "conv2d", "w")
  if b then live(b, "conv2d", "b") end
  local activation = ACTIVATIONS[options.activation or "identity"]
  if not activation then raise("conv2d: activation is %s, expected identity, relu, silu, gelu or tanh", errors.kind(options.activation)) end
  local padding = options.padding or "same"
  return conv2d(x, w, b, {
    stride = options.stride or 1, padding = padding == "same" and C.GAL_SAME or padding, activation = activation, pool = options.pool or 1, precision = precision,
  })
end

--- with_precision(name, fn, ...): fn(...), with the convolutions in it, and their gradients later, of this
-- precision: "f32", or "bf16": both factors of every product rounded to bfloat16 (8 bits), about twice as
-- fast where the processor has fast instructions for it and float32 elsewhere.
function ops.with_precision(name, fn, ...)
  local wanted, before = PRECISIONS[name], precision
  if not wanted then raise("precision is %s, expected \"f32\" or \"bf16\"", errors.kind(name)) end
  precision = wanted
  local results = { pcall(fn, ...) }
  precision = before
  if not results[1] then error(results[2], 0) end
  return unpack(results, 2, table.maxn(results))
end

-- ---- pools ----

-- A new tensor for the pool's result, or nil and the images' handle where only that is wanted.
local function pooled(op, x, window, stride)
  local h = images(op, x)
  dims[0], dims[3] = h.shape[0], h.shape[3]
  for i = 1, 2 do dims[i] = places(op, x, h.shape[i], window, stride, 0) end
  return shaped(x, 4, dims)
end

--- avg_pool2d(x {N, H, W, C}, window, stride) --> {N, h, w, C}: the mean of each window x window pixels; what
-- is left over at the edge is dropped.
ops.avg_pool2d = tape.op("avg_pool2d", {
  native = true, tensors = 1,
  forward = function(x, window, stride)
    local y = pooled("avg_pool2d", x, window, stride)
    check(C.gal_avg_pool2d(y.h, dense(x).h, window, stride))
    return y
  end,
  backward = function(dy, x, window, stride)
    local dx = like(x)
    check(C.gal_avg_pool2d_backward(dx.h, dense(dy).h, window, stride))
    return dx
  end,
})

--- max_pool2d(x {N, H, W, C}, window, stride) --> {N, h, w, C}: the largest of each window x window pixels;
-- the gradient goes to the first of equal ones.
ops.max_pool2d = tape.op("max_pool2d", {
  native = true, tensors = 1,
  forward = function(x, window, stride)
    local y = pooled("max_pool2d", x, window, stride)
    check(C.gal_max_pool2d(y.h, dense(x).h, window, stride))
    return y
  end,
  backward = function(dy, x, window, stride)
    local dx = like(x)
    check(C.gal_max_pool2d_backward(dx.h, dense(dy).h, dense(x).h, window, stride))
    return dx
  end,
})

--- global_avg_pool(x {N, H, W, C}) --> {N, C}: the means over all pixels.
ops.global_avg_pool = tape.op("global_avg_pool", {
  native = true, tensors = 1,
  forward = function(x)
    local h = images("global_avg_pool", x)
    dims[0], dims[1] = h.shape[0], h.shape[3]
    local y = shaped(x, 2, dims)
    check(C.gal_global_avg_pool(y.h, dense(x).h))
    return y
  end,
  backward = function(dy, x)
    local dx = like(x)
    check(C.gal_global_avg_pool_backward(dx.h, dense(dy).h))
    return dx
  end,
})

-- ---- layer normalisation ----

--- layer_norm(x {..., n}, scale {n}, shift {n}, eps) --> (x - mean) / sqrt(variance + eps) * scale + shift
-- over the last dimension; the variance divides by n.
ops.layer_norm = tape.op("layer_norm", {
  native = true, tensors = 3,
  forward = function(x, scale, shift, eps)
    local h = x.h
    if h.rank < 1 or h.shape[h.rank - 1] ~= scale.h.shape[0] then
      raise("layer_norm: x is %s, expected %d values in the last dimension", x:shape_text(), tonumber(scale.h.shape[0]))
    end
    local y, statistics = like(x), nil
    if tape.recording(x, scale, shift) then
      dims[0], dims[1] = core.count(x) / tonumber(scale.h.shape[0]), 2
      statistics = shaped(x, 2, dims)
    end
    check(C.gal_layer_norm(y.h, statistics and statistics.h, dense(x).h, dense(scale).h, dense(shift).h, eps))
    return y, statistics
  end,
  backward = function(dy, x, scale, shift, _, _, statistics)
    local dx, dscale, dshift, scale_adds, shift_adds
    if tracked(x) then dx = like(x) end
    if tracked(scale) then dscale, scale_adds = into(scale) end
    if tracked(shift) then dshift, shift_adds = into(shift) end
    dy, x, scale = dense(dy), dense(x), dense(scale)
    if dscale and dshift and scale_adds ~= shift_adds then
      layer_norm_gradient(dx, dscale, nil, scale_adds, dy, x, statistics, scale)
      layer_norm_gradient(nil, nil, dshift, shift_adds, dy, x, statistics, scale)
    else
      layer_norm_gradient(dx, dscale, dshift, scale_adds or shift_adds, dy, x, statistics, scale)
    end
    return dx, dscale, dshift
  end,
})

-- ---- dropout ----

--- dropout(x, state int64 {2}, p) --> x / (1 - p) where the element's uniform, drawn from the generator's
-- state, is at least p, else 0. The state moves on.
ops.dropout = tape.op("dropout", {
  native = true, tensors = 2,
  forward = function(x, state, p)
    local y, used = like(x), nil
    if tape.recording(x) then used = handle.like(state) end
    check(C.gal_dropout(y.h, used and used.h, dense(x).h, state.h, p))
    return y, used
  end,
  backward = function(dy, x, _, p, _, used)
    local dx = like(x)
    check(C.gal_dropout_backward(dx.h, dense(dy).h, used.h, p))
    return dx
  end,
})

-- ---- the symmetries of a square ----

--- turned(x {N, H, H, C}, turn): a copy of images of any type in one of their eight orientations, not taped.
-- turn as images:read has it: 4 mirrors left for right, then the rest is quarter turns anticlockwise.
function ops.turned(x, turn)
  local h = images("turned", x)
  if h.shape[1] ~= h.shape[2] then raise("turned: x is %s, expected square images {N, H, H, C}", x:shape_text()) end
  local last, down, right, first = h.shape[1] - 1, h.stride[1], h.stride[2], 0
  if turn >= 4 then first, right = last * right, -right end
  -- Where pixel (0, 0) of the turned image was, and the ways down and right from it.
  local quarter = turn % 4
  if quarter == 1 then
    first, down, right = first + last * right, -right, down
  elseif quarter == 2 then
    first, down, right = first + last * (down + right), -down, -right
  elseif quarter == 3 then
    first, down, right = first + last * down, right, -down
  end
  for i = 0, 3 do dims[i], strides[i] = h.shape[i], h.stride[i] end
  strides[1], strides[2] = down, right
  return dense(handle.view(x, 4, dims, strides, first))
end

return ops
