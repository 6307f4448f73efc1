-- Layer normalisation with its gradient.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local memory = require "gal.tensor.memory"
local shapes = require "gal.tensor.shapes"
local tape = require "gal.tensor.tape"
local C = ffi.C
local raise, check = errors.raise, errors.check
local like, dense = memory.real_like, memory.dense
local tracked, into = tape.tracked, tape.into

local norm = {}

-- One call of the gradient kernel; dx, dscale, dshift: where the gradients go, nil for one that is not
-- wanted. A function of the file and no closure, for the reason that conv.lua gives.
local function layer_norm_gradient(dx, dscale, dshift, adds, dy, x, statistics, scale)
  check(C.gal_layer_norm_backward(dx and dx.h, dscale and dscale.h, dshift and dshift.h,
    dy.h, x.h, statistics.h, scale.h, adds or 0))
end

--- layer_norm(x {..., n}, scale {n}, shift {n}, eps) --> (x - mean) / sqrt(variance + eps) * scale + shift
-- over the last dimension; the variance divides by n.
norm.layer_norm = tape.native("layer_norm", {
  forward = function(x, scale, shift, eps)
    local h, n = x.h, tonumber(scale.h.shape[0])
    if h.rank < 1 or h.shape[h.rank - 1] ~= n then
      raise("layer_norm: x is %s, expected %d values in the last dimension", shapes.text(x), n)
    end
    local y, statistics = like(x), nil
    if tape.recording(x, scale, shift) then
      statistics = memory.real_shaped(x, 2, shapes.new(shapes.count(x) / n, 2))
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
}, 3)

return norm
