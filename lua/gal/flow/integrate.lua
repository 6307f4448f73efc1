-- flow/integrate: the ODE of a flow, dtheta/dt = v(t, theta, features), over many rows: in chunks of one size, each chunk advanced by classical Runge-Kutta
-- steps that are recorded once and replayed by one call. No row's result depends on the rows computed with it, so a galaxy gets the same bits alone and in
-- any batch.
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local core = require "gal.tensor"
local program = require "gal.program"
local velocity = require "gal.flow.velocity"
local check = core.check

local integrate = {}

-- Rows of a chunk, and with the divergence rows and tangents together. Processor time per row-evaluation of the photometry net (Zen 4, one thread) is flat
-- from 256 to 1,024 rows and from 384 to 1,536 with tangents, 3 to 20 % more at four times that; more rows mean fewer barriers.
local ROWS, TANGENT_ROWS = 1024, 768
-- Engines kept per flow: the shapes of a few calls in turn, such as the chunks of a sampling and of a density.
local KEPT = 4

local engines = setmetatable({}, { __mode = "k" }) -- flow -> list of engines, latest last

-- One Runge-Kutta step over the buffers of e, by explicit calls on fixed memory: c h k is added to theta on the way into the input's columns.
local function stepper(e, d, h, t0, density)
  local evaluate = velocity.evaluator(e.net, e.parameters, e.input, e.hoisted, d, density)
  local rows, device = e.rows, e.input:device()
  local function buffers(columns)
    local list = {}
    for i = 1, 4 do list[i] = gal.zeros({ rows, columns }, { device = device }) end
    return list
  end
  local k, g = buffers(d), density and buffers(1) or {}
  local moved = gal.zeros({ rows, d }, { device = device })
  local index, t = gal.zeros({ 1, 1 }, { device = device }), gal.zeros({ 1, 1 }, { device = device })
  local count = e.count:reshape { 1, 1 }
  local t_column, theta_columns = e.input:narrow(2, 1, 1), e.input:narrow(2, 2, d)
  local function stage(i, c)
    check(C.gal_affine(t.h, index.h, h, t0 + c * h))
    check(C.gal_copy(t_column.h, t.h))
    if c == 0 then
      check(C.gal_copy(theta_columns.h, e.theta.h))
    else
      check(C.gal_affine(moved.h, k[i - 1].h, c * h, 0))
      check(C.gal_add(theta_columns.h, e.theta.h, moved.h))
    end
    evaluate(k[i], g[i])
  end
  -- y += h (k1 + 2 k2 + 2 k3 + k4) / 6 (Hairer, Norsett & Wanner 1993, II.1, table 1.2); k is used up.
  local function advance(y, s)
    check(C.gal_add(s[2].h, s[2].h, s[3].h))
    check(C.gal_add(s[1].h, s[1].h, s[4].h))
    check(C.gal_affine(s[2].h, s[2].h, h / 3, 0))
    check(C.gal_affine(s[1].h, s[1].h, h / 6, 0))
    check(C.gal_add(y.h, y.h, s[1].h))
    check(C.gal_add(y.h, y.h, s[2].h))
  end
  return function()
    check(C.gal_copy(index.h, count.h))
    stage(1, 0)
    stage(2, 0.5)
    stage(3, 0.5)
    stage(4, 1)
    advance(e.theta, k)
    if density then advance(e.divergence, g) end
    check(C.gal_count_step(e.count.h))
  end
end

-- Addresses of the weights: a program holds them, so that a net that was moved needs a new one.
local function addresses(parameters)
  local list = {}
  for i, p in ipairs(parameters) do list[i] = tostring(p.h.data) end
  return table.concat(list, " ")
end

local function build(flow, rows, steps, backward, density, key)
  local device, d = flow:device(), flow.d
  local outputs = velocity.hoists(flow.head, flow.width)
  local input = gal.zeros({ rows, 1 + d + (outputs and 0 or flow.width) }, { device = device })
  local hoisted = outputs and gal.zeros({ rows, outputs }, { device = device }) or nil
  local e = {
    key = key, rows = rows, net = flow.head, parameters = flow.head:parameters(), theta = gal.zeros({ rows, d }, { device = device }),
    input = input, hoisted = hoisted, told = hoisted or flow.width > 0 and input:narrow(2, 2 + d, flow.width) or nil, -- told: where features go
    divergence = density and gal.zeros({ rows, 1 }, { device = device }) or nil, count = core.int64({}, { 0 }, device),
  }
  local step = stepper(e, d, (backward and -1 or 1) / steps, backward and 1 or 0, density)
  -- A head written by the user may read values on the host, which can't be recorded: then every step is run as it stands.
  local p = program.try(step, device)
  e.recorded = p ~= nil
  if p then
    e.run = function() p:replay(steps) end
  else
    e.run = function()
      for _ = 1, steps do
        core.poll()
        gal.scope(step)
      end
    end
  end
  return e
end

local function engine(flow, rows, steps, backward, density)
  local list = engines[flow] or {}
  engines[flow] = list
  local key = ("%d %d %s %s %s"):format(rows, steps, tostring(backward), tostring(density), addresses(flow.head:parameters()))
  local e
  for i = 1, #list do
    if list[i].key == key then
      e = table.remove(list, i)
      break
    end
  end
  if not e and #list >= KEPT then table.remove(list, 1) end
  e = e or build(flow, rows, steps, backward, density, key)
  list[#list + 1] = e
  return e
end

-- Fills e.told with the features of rows first .. first + count - 1 (from 0), each of which belongs to feature row floor(row / share).
local function place_features(e, features, first, count, share)
  if features:size(1) == 1 then
    check(C.gal_copy(e.told.h, features.h))
    return
  end
  local index = ffi.new("int64_t[?]", count)
  for i = 0, count - 1 do index[i] = math.floor((first + i) / share) end
  local at = core.new({ count }, "int64", features:device())
  check(C.gal_tensor_write(at.h, index, count))
  local part = e.told:narrow(1, 1, count)
  check(C.gal_copy(part.h, features:gather(at).h))
end

--- integrate.run(flow, theta {M, d}, features {G, width} or nil, share, {steps, backward, density}): carries every row of theta (standardised, contiguous)
-- in place from t = 0 to 1, or from 1 to 0 where backward; row i (from 0) belongs to feature row floor(i / share), or to the only one. Where density is
-- true it returns the integral of the divergence along the way {M, 1} (dt negative where backward).
function integrate.run(flow, theta, features, share, options)
  local total = theta:size(1)
  local most = options.density and math.max(1, math.floor(TANGENT_ROWS / (1 + flow.d))) or ROWS
  -- Chunks of equal size: one program serves all, and the last one is padded by a few rows only.
  local chunks = math.ceil(total / most)
  local rows = math.ceil(total / chunks)
  local integral = options.density and gal.zeros({ total, 1 }, { device = theta:device() }) or nil
  gal.no_grad(function()
    local e = engine(flow, rows, options.steps, options.backward or false, options.density or false)
    if e.hoisted then features = velocity.hoist(flow.head, features) end
    for first = 0, total - 1, rows do
      core.poll()
      gal.scope(function()
        local count = math.min(rows, total - first)
        local part, own = theta:narrow(1, first + 1, count), e.theta:narrow(1, 1, count)
        check(C.gal_copy(own.h, part.h))
        if features then place_features(e, features, first, count, share) end
        check(C.gal_fill(e.count.h, 0))
        if integral then check(C.gal_fill(e.divergence.h, 0)) end
        e.run()
        check(C.gal_copy(part.h, own.h))
        if integral then
          local to, from = integral:narrow(1, first + 1, count), e.divergence:narrow(1, 1, count)
          check(C.gal_copy(to.h, from.h))
        end
      end)
    end
  end)
  return integral
end

return integrate
