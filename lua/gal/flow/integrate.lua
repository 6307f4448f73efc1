-- flow/integrate: the ODE of a flow, dtheta/dt = v(t, theta, features), over many rows, by explicit Runge-Kutta steps at given instants. No row's result depends
-- on the rows computed with it nor on the threads, so a galaxy gets the same bits alone and in any batch. Which method and which instants is up to the caller.
local composed = require "gal.flow.composed"

local integrate = {}

--- integrate.RK4: the classical rule of fourth order (Hairer, Norsett & Wanner 1993, II.1, table 1.2). A method is its tableau: stage i at t + c_i h takes
-- theta + h sum_j a_ij k_j, and a step ends at theta + h sum_i b_i k_i. Up to 16 stages, explicit: a[i] has at most i - 1 entries.
integrate.RK4 = { a = { {}, { 1 / 2 }, { 0, 1 / 2 }, { 0, 0, 1 } }, b = { 1 / 6, 1 / 3, 1 / 3, 1 / 6 }, c = { 0, 1 / 2, 1 / 2, 1 } }

-- The instants in the order in which they are passed.
local function instants(options)
  local times = options.times
  if not times then
    times = {}
    for i = 0, options.steps do times[i + 1] = i / options.steps end
  end
  if not options.backward then return times end
  local turned = {}
  for i = 1, #times do turned[i] = times[#times + 1 - i] end
  return turned
end

-- progress, called not more than about ten times a second.
local function seldom(progress)
  local last = 0
  return progress and function(rows)
    local now = tonumber(require("ffi").C.gal_now())
    if now - last >= 0.1 then
      last = now
      progress(rows)
    end
  end
end

--- integrate.run(flow, theta {M, d}, features {G, width} or nil, share, options): carries every row of theta (standardised, contiguous) in place from t = 0 to 1,
-- or from 1 to 0 where backward; row i (from 0) belongs to feature row floor(i / share), or to the only one. Options:
--   steps = n              equal steps, or times = {0, ..., 1}: any increasing list, which backward passes from its end
--   tableau = method       integrate.RK4 unless given; pass the same table for the same method
--   density, backward      density: returns the integral of the divergence along the way {M, 1} (dt negative where backward); without it nil
--   progress = fn          fn(rows done) between pieces of the work, not more than about ten times a second
-- Ctrl-C raises gal.interrupted, with some rows carried and others not. Memory for work does not depend on M.
function integrate.run(flow, theta, features, share, options)
  return composed.run(flow, theta, features, share, instants(options), options.tableau or integrate.RK4, options.density or false, seldom(options.progress))
end

return integrate
