-- Ops of flow matching with their gradients: the loss. Its steps through time are gal.flow's business.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local memory = require "gal.tensor.memory"
local shapes = require "gal.tensor.shapes"
local tape = require "gal.tensor.tape"
local untaped = require "gal.tensor.untaped"
local C = ffi.C
local raise, check = errors.raise, errors.check
local dense, tracked = memory.dense, tape.tracked

local flow = {}

--- mse(prediction, target[, total]) --> the mean of (prediction - target)^2 over all elements, {}; shapes the
-- same. total, float64 {}: the mean is added to it.
flow.mse = tape.native("mse", {
  forward = function(prediction, target, total)
    if not shapes.same(prediction, target) then
      raise("mse: target is %s, expected %s like the prediction",
        shapes.text(target), shapes.text(prediction))
    end
    local y = memory.real_shaped(prediction, 0)
    check(C.gal_mse(y.h, total and total.h, dense(prediction).h, dense(target).h))
    return y
  end,
  backward = function(dy, prediction, target)
    local d = memory.real_like(prediction)
    check(C.gal_mse_backward(d.h, dy.h, dense(prediction).h, dense(target).h))
    return tracked(prediction) and d, tracked(target) and untaped.affine(d, -1)
  end,
}, 2)

return flow
