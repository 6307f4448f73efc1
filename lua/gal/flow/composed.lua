-- flow/composed: solves a flow's ODE by ops on tensors, for any velocity net, also one that a user wrote: in
-- chunks of one size, each advanced by Runge-Kutta steps that are recorded once and replayed. It is slower
-- than the fused op, which is checked against it; flow/integrate.lua chooses. A row's result does not depend
-- on the rows computed with it.
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local errors = require "gal.base.errors"
local core = require "gal.tensor"
local velocity = require "gal.flow.velocity"
local check = errors.check

local composed = {}

-- Rows of a chunk; with the divergence, rows and tangents together. Processor time per row-evaluation of the
-- photometry net (Zen 4, one thread) is flat from 256 to 1,024 rows, and from 384 to 1,536 with tangents; at
-- four times that it is 3 to 20 % longer. More rows mean fewer barriers.
local ROWS, TANGENT_ROWS = 1024, 768
-- An engine is a chunk's buffers with the step recorded over them:
--   theta {R, d}, divergence {R, 1} or nil   the state, which a step advances
--   t {1, 1}, h {1, 1}    the instant and the length of the step
--   input {R, width}      of the net: [t; theta; features], or [t; theta] where the features' part is hoisted
--   hoisted {R, outputs}  the features' part of the first layer; nil where it is not worth it
--   told                  the tensor that a chunk's features are copied to: hoisted, or a view of input
--   net, parameters, rows = R, method, and key, by which the engine is found again
--   step()                advances the state by one step
-- Engines kept per flow: the shapes of a few calls in turn, such as the chunks of a sampling and of a
-- density.
local KEPT = 4

local engines = setmetatable({}, { __mode = "k" }) -- flow -> list of engines, latest last

-- A function that does one step of a method (base/runge_kutta.lua) over the buffers of e, from e.t over e.h
-- (negative: backwards), by explicit calls on fixed memory, so that it can be recorded.
local function stepper(e, d, method, density)
  local evaluate = velocity.evaluator(e.net, e.parameters, e.input, e.hoisted, d, density)
  local rows, device, stages = e.rows, e.input:device(), #method.b
  local function buffers(columns)
    local list = {}
    for i = 1, stages do list[i] = gal.zeros({ rows, columns }, { device = device }) end
    return list
  end
  local k, g = buffers(d), density and buffers(1) or {}
  local t = gal.zeros({ 1, 1 }, { device = device })
  local t_column, theta_columns = e.input:narrow(2, 1, 1), e.input:narrow(2, 2, d)
  -- y = x + h sum_j weights_j s_j; sum and term are scratch of s's shape.
  local function adder(columns)
    local sum = gal.zeros({ rows, columns }, { device = device })
    local term = gal.zeros({ rows, columns }, { device = device })
    return function(y, x, weights, s)
      local to = sum
      for j, weight in ipairs(weights) do
        if weight ~= 0 then
          check(C.gal_affine(to.h, s[j].h, weight, 0))
          if to == term then check(C.gal_add(sum.h, sum.h, term.h)) end
          to = term
        end
      end
      if to == sum then
        if y ~= x then check(C.gal_copy(y.h, x.h)) end
        return
      end
      check(C.gal_mul(sum.h, sum.h, e.h.h))
      check(C.gal_add(y.h, x.h, sum.h))
    end
  end
  local add, add_divergence = adder(d), density and adder(1)
  return function()
    for i = 1, stages do
      check(C.gal_affine(t.h, e.h.h, method.c[i], 0))
      check(C.gal_add(t.h, t.h, e.t.h))
      check(C.gal_copy(t_column.h, t.h))
      add(theta_columns, e.theta, method.a[i], k)
      evaluate(k[i], g[i])
    end
    add(e.theta, e.theta, method.b, k)
    if density then add_divergence(e.divergence, e.divergence, method.b, g) end
  end
end

-- Addresses of the weights, as text: a program holds them, so a net whose weights have moved needs a new one.
local function addresses(parameters)
  local list = {}
  for i, p in ipairs(parameters) do list[i] = tostring(p.h.data) end
  return table.concat(list, " ")
end

-- The weights of a net: of a plain function none.
local function weights_of(net) return type(net) == "table" and net:parameters() or {} end

-- A new engine for chunks of so many rows.
local function build(flow, rows, method, density, key)
  local device, d = flow:device(), flow.d
  local outputs = velocity.hoists(flow.head, flow.width)
  local input = gal.zeros({ rows, 1 + d + (outputs and 0 or flow.width) }, { device = device })
  local hoisted = outputs and gal.zeros({ rows, outputs }, { device = device }) or nil
  local e = {
    key = key, method = method, rows = rows, net = flow.head, parameters = weights_of(flow.head),
    theta = gal.zeros({ rows, d }, { device = device }), input = input, hoisted = hoisted,
    told = hoisted or flow.width > 0 and input:narrow(2, 2 + d, flow.width) or nil,
    divergence = density and gal.zeros({ rows, 1 }, { device = device }) or nil,
    t = gal.zeros({ 1, 1 }, { device = device }), h = gal.zeros({ 1, 1 }, { device = device }),
  }
  local step = stepper(e, d, method, density)
  -- A head written by the user may read values on the host, which can't be recorded: each step then runs by
  -- itself.
  local p = core.try_program(step, device)
  e.step = p and function() p:replay(1) end or function() gal.scope(step) end
  return e
end

-- The engine for chunks of so many rows: one that is kept, else a new one.
local function engine(flow, rows, method, density)
  local list = engines[flow] or {}
  engines[flow] = list
  local key = ("%d %s %s"):format(rows, tostring(density), addresses(weights_of(flow.head)))
  local e
  for i = 1, #list do
    if list[i].key == key and list[i].method == method then
      e = table.remove(list, i)
      break
    end
  end
  if not e and #list >= KEPT then table.remove(list, 1) end
  -- Outside the scope that may be open: the engine is used when that has ended.
  e = e or core.outside(build, flow, rows, method, density, key)
  list[#list + 1] = e
  return e
end

-- Fills e.told with the features of rows first .. first + count - 1 (from 0), each of which belongs to
-- feature row floor(row / share).
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

--- composed.run(flow, theta {M, d}, features {G, width} or nil, share, times, method, density, tell): as
-- integrate.run; times: list of instants in the order in which they are passed; method: the tableau, one and
-- the same table where it is the same method; tell(rows) or nil: called after each chunk.
function composed.run(flow, theta, features, share, times, method, density, tell)
  local total = theta:size(1)
  local most = density and math.max(1, math.floor(TANGENT_ROWS / (1 + flow.d))) or ROWS
  -- Chunks of equal size: one program serves all, and the last one is padded by a few rows only.
  local chunks = math.ceil(total / most)
  local rows = math.ceil(total / chunks)
  local integral = density and gal.zeros({ total, 1 }, { device = theta:device() }) or nil
  gal.no_grad(function()
    local e = engine(flow, rows, method, density)
    if e.hoisted then features = velocity.hoist(flow.head, features) end
    for first = 0, total - 1, rows do
      local count = math.min(rows, total - first)
      gal.scope(function()
        local part, own = theta:narrow(1, first + 1, count), e.theta:narrow(1, 1, count)
        check(C.gal_copy(own.h, part.h))
        if features then place_features(e, features, first, count, share) end
        if integral then check(C.gal_fill(e.divergence.h, 0)) end
        for i = 1, #times - 1 do
          errors.poll()
          check(C.gal_fill(e.t.h, times[i]))
          check(C.gal_fill(e.h.h, times[i + 1] - times[i]))
          e.step()
        end
        check(C.gal_copy(part.h, own.h))
        if integral then
          local to, from = integral:narrow(1, first + 1, count), e.divergence:narrow(1, 1, count)
          check(C.gal_copy(to.h, from.h))
        end
      end)
      if tell then tell(first + count) end
    end
  end)
  return integral
end

return composed
