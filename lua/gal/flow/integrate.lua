-- flow/integrate: the ODE of a flow, dtheta/dt = v(t, theta, features), over many rows, by explicit
-- Runge-Kutta steps (base/runge_kutta.lua) at given instants; the caller chooses the method and the instants.
-- One op integrates nets of linear layers and activations; other nets go by the ops of tensors
-- (flow/composed.lua). No row's result depends on the rows computed with it nor on the threads, so a galaxy
-- gets the same bits alone and in any batch.
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local errors = require "gal.base.errors"
local core = require "gal.tensor"
local precisions = require "gal.base.precision"
local composed = require "gal.flow.composed"
local runge_kutta = require "gal.base.runge_kutta"
local velocity = require "gal.flow.velocity"
local check, raise = errors.check, errors.raise

local integrate = {}

--- integrate.RK4: the method where none is asked for, the classical one of fourth order. A method is a
-- tableau {a, b, c} of base/runge_kutta.lua, of up to 16 stages; the same table stands for the same method.
integrate.RK4 = runge_kutta.rk4

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

-- progress, called at most about ten times a second; nil where progress is.
local function seldom(progress)
  local last = 0
  return progress and function(rows)
    local now = tonumber(C.gal_now())
    if now - last >= 0.1 then
      last = now
      progress(rows)
    end
  end
end

-- The methods as the op takes them: method -> gal_runge_kutta.
local tableaux = setmetatable({}, { __mode = "k" })

local function tableau(method)
  local m = tableaux[method]
  if m then return m end
  local stages = #method.b
  if stages > C.GAL_FLOW_STAGES then
    local most = tonumber(C.GAL_FLOW_STAGES)
    raise("integrate: the method has %d stages, expected at most %d", stages, most)
  end
  m = ffi.new "gal_runge_kutta"
  m.stages = stages
  for i = 1, stages do
    m.b[i - 1], m.c[i - 1] = method.b[i], method.c[i]
    for j, a in ipairs(method.a[i]) do m.a[i - 1][j - 1] = a end
  end
  tableaux[method] = m
  return m
end

-- The net as the op takes it, or nil. It holds no reference to the weights: the caller's net does.
local function net_of(head)
  local layers = velocity.layers(head)
  if not layers or #layers > C.GAL_FLOW_LAYERS then return nil end
  local net = ffi.new "gal_velocity_net"
  net.layers = #layers
  for i, l in ipairs(layers) do
    net.w[i - 1], net.b[i - 1], net.activation[i - 1] = l.weight.h, l.bias and l.bias.h or nil, l.activation
  end
  return net
end

-- A piece of work between two calls of progress takes about so long, seconds; its rows are whole tiles of the
-- AVX-512 kernel for two and four threads.
local PIECE, WHOLE = 0.1, 192

-- run, by the op: in one call or, on devices of a few threads, in pieces whose sizes follow the time that the
-- last one took, so that tell can be called. A piece has to be done before the clock is read. Cards are given
-- all rows at once: a piece that does not fill one takes as long as one that does.
local function fused(net, theta, features, share, times, method, density, precision, tell)
  local total, device = theta:size(1), theta:device()
  local integral = density and gal.zeros({ total, 1 }, { device = device }) or nil
  local at = core.new({ #times }, "float64", device)
  check(C.gal_tensor_write(at.h, ffi.new("double[?]", #times, times), #times))
  local pieces = tell and C.gal_device_host_readable(device) == 1
  local m, first, rows = tableau(method), 0, pieces and 256 or total
  while first < total do
    errors.poll()
    rows = math.min(rows, total - first)
    local start = tonumber(C.gal_now())
    gal.scope(function()
      local part = theta:narrow(1, first + 1, rows)
      local sums = integral and integral:narrow(1, first + 1, rows):reshape { rows }
      local seen = features and features.h
      check(C.gal_flow_integrate(part.h, sums and sums.h, seen, first, share, net, m, at.h, precision))
    end)
    first = first + rows
    if tell then
      check(C.gal_device_wait(device))
      tell(first)
      local seconds = math.max(1e-6, tonumber(C.gal_now()) - start)
      rows = math.max(256, math.floor(rows * math.min(8, PIECE / seconds) / WHOLE) * WHOLE)
    end
  end
  return integral
end

--- integrate.run(flow, theta {M, d}, features {G, width} or nil, share, options): carries every row of theta
-- (standardised, contiguous) in place from t = 0 to 1, or from 1 to 0 where backward; row i (from 0) belongs
-- to feature row floor(i / share), or to the only one. Options:
--   steps = n           equal steps, or times = {0, ..., 1}: any increasing list, which backward passes from
--                       its end
--   tableau = method    integrate.RK4 unless given
--   density             returns the integral of the divergence along the way {M, 1}, dt negative where
--                       backward; without it nil
--   backward            from t = 1 to 0
--   precision = "f32"   or "bf16": products between hidden layers in bfloat16 (8 bits), two to four times as
--                       fast where the processor has fast instructions for it. Draws of a linear-Gaussian
--                       posterior moved by 5e-4 posterior deviations (rms; at most .003), its means by 8e-4.
--                       Not for densities. On a card also "f16" and "tf32" (11 bits), for densities too, and
--                       all products are in it, of nets of up to 256 wide; wider ones are in float32
--   progress = fn       fn(rows done) between pieces of the work, at most about ten times a second
-- Ctrl-C raises gal.interrupted, with some rows carried and others not. Memory for work does not depend on M.
function integrate.run(flow, theta, features, share, options)
  local times, method, density = instants(options), options.tableau or integrate.RK4, options.density or false
  local precision, tell = options.precision or "f32", seldom(options.progress)
  local code = precisions.code("integrate", precision)
  if precision == "bf16" and density then
    raise "precision is \"bf16\", too coarse for densities (errors of hundredths of a nat), expected \"f32\""
  end
  local net = net_of(flow.head)
  if net then
    return fused(net, theta, features, share, times, method, density, code, tell)
  end
  C.gal_leave_notice("this flow's head is more than linear layers and activations: it is integrated by "
    .. "single ops, several times slower, in float32")
  return composed.run(flow, theta, features, share, times, method, density, tell)
end

return integrate
