-- Pools of images {N, H, W, C} with their gradients.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local memory = require "gal.tensor.memory"
local shapes = require "gal.tensor.shapes"
local tape = require "gal.tensor.tape"
local C = ffi.C
local check = errors.check
local like, dense, shaped = memory.real_like, memory.dense, memory.real_shaped

local pool = {}

-- A new tensor {N, h, w, C} for the results of windows on x.
local function pooled(op, x, window, stride)
  local sizes = shapes.new()
  check(C.gal_pool2d_shape(sizes, op, x.h, window, stride))
  return shaped(x, 4, sizes)
end

--- avg_pool2d(x {N, H, W, C}, window, stride) --> {N, h, w, C}: the mean of each window x window pixels;
-- pixels left over at the edge are dropped.
pool.avg_pool2d = tape.native("avg_pool2d", {
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
pool.max_pool2d = tape.native("max_pool2d", {
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
pool.global_avg_pool = tape.native("global_avg_pool", {
  forward = function(x)
    local h = shapes.images("global_avg_pool", x)
    local y = shaped(x, 2, shapes.new(h.shape[0], h.shape[3]))
    check(C.gal_global_avg_pool(y.h, dense(x).h))
    return y
  end,
  backward = function(dy, x)
    local dx = like(x)
    check(C.gal_global_avg_pool_backward(dx.h, dense(dy).h))
    return dx
  end,
})

return pool
