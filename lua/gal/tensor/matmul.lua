-- Products with their gradients: matrix times matrix, and the linear layer with its activation.
local ffi = require "ffi"
local activations = require "gal.base.activations"
local errors = require "gal.base.errors"
local precisions = require "gal.base.precision"
local memory = require "gal.tensor.memory"
local shapes = require "gal.tensor.shapes"
local tape = require "gal.tensor.tape"
local untaped = require "gal.tensor.untaped"
local C = ffi.C
local raise, check = errors.raise, errors.check
local like, dense, shaped, view = memory.real_like, memory.dense, memory.real_shaped, memory.view
local tracked, into = tape.tracked, tape.into

local products = {}

local function transposed(x)
  local h = x.h
  return view(x, 2, shapes.new(h.shape[1], h.shape[0]), shapes.new(h.stride[1], h.stride[0]), 0)
end

--- a:matmul(b[, precision = "f32"]): {m, k} times {k, n} is {m, n}. precision, also of the gradient: "f32",
-- or "tf32", "f16" or "bf16" where the device has it. On the CPU a row of the result does not depend on the
-- other rows.
products.matmul = tape.native("matmul", {
  forward = function(a, b, precision)
    local ha, hb = a.h, b.h
    if ha.rank ~= 2 or hb.rank ~= 2 then
      raise("matmul: a is %s and b is %s, expected two matrices {m, k} and {k, n}",
        shapes.text(a), shapes.text(b))
    end
    if ha.shape[1] ~= hb.shape[0] then
      raise("matmul: b is %s, expected %d rows, one for each column of a %s",
        shapes.text(b), tonumber(ha.shape[1]), shapes.text(a))
    end
    local y = shaped(a, 2, shapes.new(ha.shape[0], hb.shape[1]))
    check(C.gal_matmul(y.h, ha, hb, 0, precisions.code("matmul", precision)))
    return y
  end,
  backward = function(dy, a, b, precision)
    local code = precisions.code("matmul", precision)
    local da, db, accumulate
    if tracked(a) then
      da, accumulate = into(a)
      check(C.gal_matmul(da.h, dy.h, transposed(b).h, accumulate, code))
    end
    if tracked(b) then
      db, accumulate = into(b)
      check(C.gal_matmul(db.h, transposed(a).h, dy.h, accumulate, code))
    end
    return da, db
  end,
}, 2)

-- t {…, n} as {rows, n}, contiguous.
local function as_rows(t, n)
  t = dense(t)
  if t.h.rank == 2 then return t end
  return view(t, 2, shapes.new(shapes.count(t) / n, n), shapes.new(n, 1), 0)
end

-- Raises unless x, w and b fit one another; returns how many outputs and inputs the layer has.
local function linear_sizes(x, w, b)
  local hx, hw = x.h, w.h
  if hw.rank ~= 2 then raise("linear: w is %s, expected {out, in}", shapes.text(w)) end
  local outputs, inputs = tonumber(hw.shape[0]), tonumber(hw.shape[1])
  if hx.rank < 1 or hx.shape[hx.rank - 1] ~= inputs then
    raise("linear: x is %s, expected %d values in the last dimension as w %s has columns",
      shapes.text(x), inputs, shapes.text(w))
  end
  if b then
    memory.live(b, "linear", "b")
    if b.h.rank ~= 1 or b.h.shape[0] ~= outputs then
      raise("linear: b is %s, expected {%d}", shapes.text(b), outputs)
    end
  end
  return outputs, inputs
end

--- linear(x {…, in}, w {out, in}[, b {out}[, activation[, precision]]]) --> f(x wᵀ + b) {…, out}; activation
-- identity, relu, silu, gelu or tanh; precision as for a:matmul(b). On the CPU a row of the result does not
-- depend on the other rows.
products.linear = tape.native("linear", {
  forward = function(x, w, b, activation, precision)
    local outputs, inputs = linear_sizes(x, w, b)
    local f, code = activations.code("linear", activation), precisions.code("linear", precision)
    local rows, sizes, rank = as_rows(x, inputs), shapes.sizes(x), x.h.rank
    sizes[rank - 1] = outputs
    local y = shaped(x, rank, sizes)
    local slope = f ~= C.GAL_IDENTITY and tape.recording(x, w, b) and like(y) or nil
    local y_rows, slope_rows = as_rows(y, outputs), slope and as_rows(slope, outputs)
    check(C.gal_linear(y_rows.h, slope and slope_rows.h, rows.h, dense(w).h, b and dense(b).h, f, code))
    return y, slope
  end,
  backward = function(dy, x, w, b, _, precision, _, slope)
    local code = precisions.code("linear", precision)
    local outputs, inputs = tonumber(w.h.shape[0]), tonumber(w.h.shape[1])
    local dz = as_rows(slope and untaped.product(dy, slope) or dy, outputs)
    local dx, dw, db, w_adds, b_adds
    if tracked(w) then dw, w_adds = into(w) end
    if b and tracked(b) then db, b_adds = into(b) end
    local rows = (dw or db) and as_rows(x, inputs)
    if dw and db and w_adds == b_adds then
      check(C.gal_linear_backward_weight(dw.h, db.h, dz.h, rows.h, w_adds, code))
    else
      if dw then check(C.gal_linear_backward_weight(dw.h, nil, dz.h, rows.h, w_adds, code)) end
      if db then check(C.gal_linear_backward_weight(nil, db.h, dz.h, rows.h, b_adds, code)) end
    end
    if tracked(x) then
      dx = like(x)
      check(C.gal_linear_backward_input(as_rows(dx, inputs).h, dz.h, dense(w).h, code))
    end
    return dx, dw, db
  end,
}, 2)

return products
