-- Reductions and products with their gradients: sum, mean, max, min, std; matmul, linear, mse. Elementwise
-- ops are in grad.lua.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local handle = require "gal.tensor.memory"
local core = require "gal.tensor.values"
local tape = require "gal.tensor.tape"
local grad = require "gal.tensor.map"
local C = ffi.C
local raise, check, kind = errors.raise, errors.check, errors.kind
local methods, dims, strides = handle.methods, handle.dims, handle.strides
local like, live, dense, view, shaped = handle.real_like, handle.live, handle.dense, handle.view, handle.real_shaped
local tracked, into = tape.tracked, tape.into
local expand, scaled, product, map2 = grad.expand, grad.scaled, grad.product, grad.map2

-- ---- reductions ----

-- Fills dims with x's shape without the dimensions first to last, or with 1 for them; returns the rank.
local function reduced(x, first, last, keep)
  local h, rank = x.h, 0
  for i = 0, h.rank - 1 do
    if i < first or i > last then
      dims[rank], rank = h.shape[i], rank + 1
    elseif keep then
      dims[rank], rank = 1, rank + 1
    end
  end
  return rank
end

-- t {outer…, inner…} as a view with 1 for the reduced dimensions of x, so that it broadcasts to x.
local function kept(t, x, first, last)
  t = dense(t)
  local rank = reduced(x, first, last, true)
  local step = 1
  for i = rank - 1, 0, -1 do
    strides[i] = step
    step = step * tonumber(dims[i])
  end
  return view(t, rank, dims, strides, 0)
end

-- How many elements of x go into one of the result.
local function share(x, first, last)
  local n = 1
  for i = first, last do n = n * tonumber(x.h.shape[i]) end
  return n
end

-- An op (x, first, last, keep) with the range of dimensions as C counts them, and the method x:name(dim,
-- keep) on it.
local function reduction(name, kernel, backward)
  local run = tape.op(name, {
    native = true, tensors = 1,
    forward = function(x, first, last, keep)
      local d = dense(x)
      local rank = reduced(d, first, last, keep)
      local y = shaped(d, rank, dims)
      check(kernel(y.h, d.h, first, last))
      return y
    end,
    backward = backward,
  })
  return function(x, dim, keep)
    live(x, name, "x")
    if keep ~= nil and type(keep) ~= "boolean" then raise("%s: keep is %s, expected true or false", name, kind(keep)) end
    if dim ~= nil then
      local at = core.dimension(x, name, dim)
      return run(x, at, at, keep)
    end
    if x.h.rank > 0 then return run(x, 0, x.h.rank - 1, keep) end
    return run(methods.reshape(x, { 1 }), 0, 0, false)
  end
end

--- x:sum([dim[, keep]]) --> the sum of all elements, shape {}; or along dim, which is dropped, or kept as 1
-- where keep is true. Dimension −1 is the last.
methods.sum = reduction("sum", C.gal_sum, function(dy, x, first, last) return expand(kept(dy, x, first, last), x) end)

--- x:mean([dim[, keep]]) --> the mean of all elements, or along dim, as in sum.
methods.mean = reduction("mean", C.gal_mean, function(dy, x, first, last)
  return expand(kept(scaled(dy, 1 / share(x, first, last)), x, first, last), x)
end)

-- Equal extremes share the gradient.
local function extreme(dy, x, first, last, _, y)
  local mask = map2(C.gal_eq, x, kept(y, x, first, last))
  local ties = shaped(x, reduced(x, first, last, true), dims)
  check(C.gal_sum(ties.h, mask.h, first, last))
  return product(mask, map2(C.gal_div, kept(dy, x, first, last), ties))
end

--- x:max([dim[, keep]]) --> the largest element, or along dim, as in sum; NaN where any is.
methods.max = reduction("max", C.gal_max, extreme)

--- x:min([dim[, keep]]) --> the smallest element, or along dim, as in sum; NaN where any is.
methods.min = reduction("min", C.gal_min, extreme)

--- x:std([dim[, keep]]) --> the standard deviation (divided by n, not n - 1) of all elements, or along dim,
-- as in sum.
methods.std = reduction("std", C.gal_std, function(dy, x, first, last, _, y)
  local d = dense(x)
  local mean = shaped(x, reduced(x, first, last, true), dims)
  check(C.gal_mean(mean.h, d.h, first, last))
  -- Where the deviation is 0 so is every x - mean: dividing by 1 there makes the gradient 0 and not NaN.
  local deviation = kept(y, x, first, last)
  local divisor = map2(C.gal_add, deviation, map2(C.gal_eq, deviation, grad.scalar(0, y)))
  local weight = map2(C.gal_div, scaled(kept(dy, x, first, last), 1 / share(x, first, last)), divisor)
  return product(map2(C.gal_sub, x, mean), weight)
end)

-- ---- products ----

local function transposed(x)
  local h = x.h
  dims[0], dims[1], strides[0], strides[1] = h.shape[1], h.shape[0], h.stride[1], h.stride[0]
  return view(x, 2, dims, strides, 0)
end

--- a:matmul(b): {m, k} times {k, n} is {m, n}. A row of the result does not depend on the other rows.
grad.method("matmul", {
  tensors = 2,
  forward = function(a, b)
    local ha, hb = a.h, b.h
    if ha.rank ~= 2 or hb.rank ~= 2 then raise("matmul: a is %s and b is %s, expected two matrices {m, k} and {k, n}", a:shape_text(), b:shape_text()) end
    if ha.shape[1] ~= hb.shape[0] then
      raise("matmul: b is %s, expected %d rows, one for each column of a %s", b:shape_text(), tonumber(ha.shape[1]), a:shape_text())
    end
    dims[0], dims[1] = ha.shape[0], hb.shape[1]
    local y = shaped(a, 2, dims)
    check(C.gal_matmul(y.h, ha, hb, 0))
    return y
  end,
  backward = function(dy, a, b)
    local da, db, accumulate
    if tracked(a) then
      da, accumulate = into(a)
      check(C.gal_matmul(da.h, dy.h, transposed(b).h, accumulate))
    end
    if tracked(b) then
      db, accumulate = into(b)
      check(C.gal_matmul(db.h, transposed(a).h, dy.h, accumulate))
    end
    return da, db
  end,
})

local ACTIVATIONS = { identity = C.GAL_IDENTITY, relu = C.GAL_RELU, silu = C.GAL_SILU, gelu = C.GAL_GELU, tanh = C.GAL_TANH }

-- t {…, n} as {rows, n}, contiguous.
local function as_rows(t, n)
  t = dense(t)
  if t.h.rank == 2 then return t end
  dims[0], dims[1], strides[0], strides[1] = core.count(t) / n, n, n, 1
  return view(t, 2, dims, strides, 0)
end

--- linear(x {…, in}, w {out, in}[, b {out}[, activation]]) --> f(x wᵀ + b) {…, out}; activation identity,
-- relu, silu, gelu or tanh.
--- A row of the result does not depend on the other rows.
grad.linear = tape.op("linear", {
  native = true, tensors = 2,
  forward = function(x, w, b, activation)
    local hx, hw = x.h, w.h
    if hw.rank ~= 2 then raise("linear: w is %s, expected {out, in}", w:shape_text()) end
    local outputs, inputs = tonumber(hw.shape[0]), tonumber(hw.shape[1])
    if hx.rank < 1 or hx.shape[hx.rank - 1] ~= inputs then
      raise("linear: x is %s, expected %d values in the last dimension as w %s has columns", x:shape_text(), inputs, w:shape_text())
    end
    if b then
      live(b, "linear", "b")
      if b.h.rank ~= 1 or b.h.shape[0] ~= outputs then raise("linear: b is %s, expected {%d}", b:shape_text(), outputs) end
    end
    local f = ACTIVATIONS[activation or "identity"]
    if not f then raise("linear: activation is %s, expected identity, relu, silu, gelu or tanh", kind(activation)) end
    local rows = as_rows(x, inputs)
    for i = 0, hx.rank - 2 do dims[i] = hx.shape[i] end
    dims[hx.rank - 1] = outputs
    local y = shaped(x, hx.rank, dims)
    local slope = activation and activation ~= "identity" and tape.recording(x, w, b) and like(y) or nil
    check(C.gal_linear(as_rows(y, outputs).h, slope and as_rows(slope, outputs).h, rows.h, dense(w).h, b and dense(b).h, f))
    return y, slope
  end,
  backward = function(dy, x, w, b, _, _, slope)
    local outputs, inputs = tonumber(w.h.shape[0]), tonumber(w.h.shape[1])
    local dz = as_rows(slope and product(dy, slope) or dy, outputs)
    local dx, dw, db, w_adds, b_adds
    if tracked(w) then dw, w_adds = into(w) end
    if b and tracked(b) then db, b_adds = into(b) end
    local rows = (dw or db) and as_rows(x, inputs)
    if dw and db and w_adds == b_adds then
      check(C.gal_linear_backward_weight(dw.h, db.h, dz.h, rows.h, w_adds))
    else
      if dw then check(C.gal_linear_backward_weight(dw.h, nil, dz.h, rows.h, w_adds)) end
      if db then check(C.gal_linear_backward_weight(nil, db.h, dz.h, rows.h, b_adds)) end
    end
    if tracked(x) then
      dx = like(x)
      check(C.gal_linear_backward_input(as_rows(dx, inputs).h, dz.h, dense(w).h))
    end
    return dx, dw, db
  end,
})

--- mse(prediction, target) --> the mean of (prediction - target)^2 over all elements, {}; shapes the same.
grad.mse = tape.op("mse", {
  native = true, tensors = 2,
  forward = function(prediction, target)
    if not core.same_shape(prediction, target) then
      raise("mse: target is %s, expected %s like the prediction", target:shape_text(), prediction:shape_text())
    end
    local y = shaped(prediction, 0, dims)
    check(C.gal_mse(y.h, dense(prediction).h, dense(target).h))
    return y
  end,
  backward = function(dy, prediction, target)
    local d = like(prediction)
    check(C.gal_mse_backward(d.h, dy.h, dense(prediction).h, dense(target).h))
    return tracked(prediction) and d, tracked(target) and scaled(d, -1)
  end,
})

-- Layers reach these through gal.tensor like everything else that is internal.
core.linear, core.mse = grad.linear, grad.mse

-- ---- statistics ----

--- kde_log_density(points {m, d}, data {n, d}[, skip_self]) --> {m}: ln of the mean over data of unit normals
-- around them, at the points. Both are whitened by the
--- caller. skip_self: the points are the data, and each is left out of its own density. No gradient.
function grad.kde_log_density(points, data, skip_self)
  live(points, "kde_log_density", "points")
  live(data, "kde_log_density", "data")
  if points.h.rank ~= 2 then raise("kde_log_density: points is %s, expected {m, d}", points:shape_text()) end
  dims[0] = points.h.shape[0]
  local y = shaped(points, 1, dims)
  check(C.gal_kde_log_density(y.h, dense(points).h, dense(data).h, skip_self and 1 or 0))
  return y
end

return grad
