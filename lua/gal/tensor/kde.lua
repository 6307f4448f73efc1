-- Kernel density estimates (stats/kde.lua chooses their width).
local ffi = require "ffi"
local errors = require "gal.base.errors"
local memory = require "gal.tensor.memory"
local shapes = require "gal.tensor.shapes"
local C = ffi.C
local live, dense = memory.live, memory.dense

local kde = {}

--- gal.kde_log_density(points {m, d}, data {n, d}[, skip_self]) --> {m}: ln of the mean over data of unit
-- normals around them, at the points. Both are whitened by the caller. skip_self: the points are the data,
-- and each is left out of its own density. No gradient.
function kde.kde_log_density(points, data, skip_self)
  live(points, "kde_log_density", "points")
  live(data, "kde_log_density", "data")
  if points.h.rank ~= 2 then
    errors.raise("kde_log_density: points is %s, expected {m, d}", shapes.text(points))
  end
  local y = memory.real_shaped(points, 1, shapes.new(points.h.shape[0]))
  errors.check(C.gal_kde_log_density(y.h, dense(points).h, dense(data).h, skip_self and 1 or 0))
  return y
end

return kde
