-- flow/velocity: the velocity net and the exact divergence of its field, evaluated on buffers that are made
-- once and used again at every stage of every step: two activation buffers in turn stay in the cache. Linear
-- layers and activations are called directly; a net with a part that the user wrote goes through its own
-- forward function, and through the tape for its divergence. The features' part of the first layer, the same
-- at every stage, is computed once per galaxy where it is wide: hoisted out of the steps.
local ffi = require "ffi"
local C = ffi.C
local F32 = C.GAL_IN_F32
local gal = require "gal"
local activations = require "gal.base.activations"
local errors = require "gal.base.errors"
local core = require "gal.tensor"
local check = errors.check

local velocity = {}

local codes = activations.codes

-- velocity.layers, appending to `list`.
local function layers_of(net, list)
  list = list or {}
  if type(net) ~= "table" or not net.sequential then return nil end
  for _, m in ipairs(net) do
    if type(m) ~= "table" then return nil end
    if m.inputs and m.weight and m.activate and not m.pools then
      list[#list + 1] = {
        weight = m.weight, bias = m.bias, activation = C.GAL_IDENTITY, inputs = m.inputs, outputs = m.outputs,
      }
    elseif m.activation and codes[m.activation] then
      local last = list[#list]
      if not last or last.activation ~= C.GAL_IDENTITY then return nil end
      last.activation = codes[m.activation]
    elseif not m.identity_at_evaluation and not (m.sequential and layers_of(m, list)) then
      return nil
    end
  end
  return #list > 0 and list or nil
end

--- velocity.layers(net): the list of its {weight, bias or nil, activation (a gal_activation), inputs,
-- outputs} where it is linear layers in a row, each with at most one activation after it (dropout, which
-- does nothing here, may stand between); else nil.
function velocity.layers(net) return layers_of(net) end

-- Two blocks that are written in turn: a function of (layer, columns), which returns the layer's block as
-- {rows, columns}, columns up to `width`.
local function pair(rows, width, device)
  local function block() return gal.zeros({ rows * width }, { device = device }) end
  local blocks = { block(), block() }
  return function(i, columns)
    return blocks[i % 2 + 1]:narrow(1, 1, rows * columns):reshape { rows, columns }
  end
end

-- Element (row r, direction j) of the tangents {d * R, columns}, of output `first + j`: the diagonal of the
-- Jacobian, as a view {R, d}.
local function diagonal(tangents, rows, d, first)
  local columns = tangents:size(2)
  return core.view(tangents, { rows, d }, { columns, rows * columns + 1 }, first)
end

-- Each activation's op and its backward, by its code. tanh's backward takes the result, the others' x.
local activate, derivative = {}, {}
for _, name in ipairs(activations.names) do
  activate[codes[name]], derivative[codes[name]] = C["gal_" .. name], C["gal_" .. name .. "_backward"]
end

-- The first layer with the features' part of it, W_f f + b, `hoisted` {R, outputs}: a function that writes y
-- {R, outputs} and, where it is given, slope, the activation's derivative, like y.
local function hoisted_layer(layer, input, hoisted)
  local columns = input:size(2)
  -- The weights of [t; theta], transposed.
  local weight = core.view(layer.weight, { columns, layer.outputs }, { 1, layer.inputs }, 0)
  local one = gal.ones({}, { device = input:device() })
  local f = layer.activation
  return function(y, slope)
    check(C.gal_copy(y.h, hoisted.h))
    check(C.gal_matmul(y.h, input.h, weight.h, 1, F32))
    if slope and f ~= C.GAL_TANH then check(derivative[f](slope.h, one.h, y.h)) end
    if f ~= C.GAL_IDENTITY then check(activate[f](y.h, y.h)) end
    if slope and f == C.GAL_TANH then check(derivative[f](slope.h, one.h, y.h)) end
  end
end

local function whole_layer(layer, x)
  return function(y, slope)
    local bias = layer.bias and layer.bias.h
    check(C.gal_linear(y.h, slope and slope.h, x.h, layer.weight.h, bias, layer.activation, F32))
  end
end

local function first_layer(layer, input, hoisted)
  if hoisted then return hoisted_layer(layer, input, hoisted) end
  return whole_layer(layer, input)
end

-- Linear layers only, without the divergence. Returns evaluate(k {R, d}).
local function plain(layers, input, hoisted, rows, device)
  local widest = 1
  for i = 1, #layers - 1 do widest = math.max(widest, layers[i].outputs) end
  local buffer = pair(rows, widest, device)
  local out, run = {}, { first_layer(layers[1], input, hoisted) }
  for i = 1, #layers - 1 do
    out[i] = buffer(i, layers[i].outputs)
    run[i + 1] = whole_layer(layers[i + 1], out[i])
  end
  return function(k)
    for i = 1, #run do run[i](out[i] or k) end
  end
end

-- The same with d tangents pushed through the layers beside the values: T_0 = the unit vectors of theta, T_i
-- = f'(z_i) * (T_{i-1} W_i'), divergence = the trace of T_last. Returns evaluate(k {R, d}, divergence {R,
-- 1}).
local function tangent(layers, input, hoisted, d, rows, device)
  local widest = 1
  for _, layer in ipairs(layers) do widest = math.max(widest, layer.outputs) end
  local values, tangents = pair(rows, widest, device), pair(d * rows, widest, device)
  local steps = {}
  for i, layer in ipairs(layers) do
    local n = layer.outputs
    local t = tangents(i, n)
    local curved = layer.activation ~= C.GAL_IDENTITY
    steps[i] = {
      layer = layer, y = i < #layers and values(i, n) or nil, t = t, t3 = t:reshape { d, rows, n },
      run = i == 1 and first_layer(layer, input, hoisted) or whole_layer(layer, steps[i - 1].y),
      slope = curved and gal.zeros({ rows, n }, { device = device }) or nil,
    }
    if curved then steps[i].slope3 = steps[i].slope:reshape { 1, rows, n } end
  end
  -- Columns 2 .. d + 1 of the first weight {n, in}, as {d, 1, n}: the derivative of the first layer by theta.
  local first = layers[1]
  local columns = core.view(first.weight, { d, 1, first.outputs }, { 1, 0, first.inputs }, 1)
  local trace = diagonal(steps[#steps].t, rows, d, 0)
  local terms = gal.zeros({ rows, d }, { device = device })
  return function(k, divergence)
    for i, s in ipairs(steps) do
      s.run(s.y or k, s.slope)
      if i == 1 then
        if s.slope then
          check(C.gal_mul(s.t3.h, columns.h, s.slope3.h))
        else
          check(C.gal_copy(s.t3.h, columns.h))
        end
      else
        check(C.gal_linear(s.t.h, nil, steps[i - 1].t.h, s.layer.weight.h, nil, C.GAL_IDENTITY, F32))
        if s.slope then check(C.gal_mul(s.t3.h, s.t3.h, s.slope3.h)) end
      end
    end
    check(C.gal_copy(terms.h, trace.h))
    check(C.gal_sum(divergence.h, terms.h, 1, 1))
  end
end

-- Any net, by its own forward function.
local function forward(net, input)
  return function(k) check(C.gal_copy(k.h, net(input).h)) end
end

-- Any net, with the diagonal of its Jacobian by the tape: the rows are repeated d times, copy j is seeded
-- with the unit vector of output j, and column 1 + j of the gradient of the input holds dv_j / dtheta_j. One
-- forward and one backward pass over d * R rows.
local function reverse(net, parameters, input, d, rows, device)
  local width = input:size(2)
  local seed = gal.zeros({ d, rows, d }, { device = device })
  for j = 1, d do seed:select(1, j):select(2, j):fill_(1) end
  seed = seed:reshape { d * rows, d }
  local repeated = gal.zeros({ d * rows, width }, { device = device }):requires_grad()
  local all, input3 = repeated:detach():reshape { d, rows, width }, input:reshape { 1, rows, width }
  local gradient = gal.zeros({ d * rows, width }, { device = device })
  local trace = diagonal(gradient, rows, d, 1)
  local terms = gal.zeros({ rows, d }, { device = device })
  return function(k, divergence)
    check(C.gal_copy(all.h, input3.h))
    for _, p in ipairs(parameters) do p:requires_grad(false) end
    local ok, err = pcall(function()
      core.with_grad(core.evaluate, function()
        local y = net(repeated)
        check(C.gal_copy(k.h, y:detach():narrow(1, 1, rows).h))
        repeated.grad = nil
        y:backward(seed)
      end)
    end)
    for _, p in ipairs(parameters) do p:requires_grad(true) end
    if not ok then error(err, 0) end
    check(C.gal_copy(gradient.h, repeated.grad.h))
    repeated.grad = nil
    check(C.gal_copy(terms.h, trace.h))
    check(C.gal_sum(divergence.h, terms.h, 1, 1))
  end
end

-- Features from this width on are hoisted: that saves their part of the first layer at every evaluation and
-- costs two more passes over the layer's results, about as much as 40 columns.
local WIDE = 64

--- velocity.hoists(net, width): how many outputs the first layer has where the features' part of it, `width`
-- columns, is to be hoisted; else nil.
function velocity.hoists(net, width)
  local layers = width >= WIDE and layers_of(net)
  return layers and layers[1].outputs or nil
end

--- velocity.hoist(net, features {G, width}): that part, W_f f + b, {G, outputs}.
function velocity.hoist(net, features)
  local layer = layers_of(net)[1]
  local width = features:size(2)
  local weight = layer.weight:detach():narrow(2, layer.inputs - width + 1, width):contiguous()
  local y = gal.zeros({ features:size(1), layer.outputs }, { device = features:device() })
  check(C.gal_linear(y.h, nil, features.h, weight.h, layer.bias and layer.bias.h, C.GAL_IDENTITY, F32))
  return y
end

--- velocity.evaluator(net, parameters, input {R, width}, hoisted {R, outputs} or nil, d, density): a function
-- (k {R, d}[, divergence {R, 1}]) that fills them with the velocity and, where density is true, its
-- divergence by theta, at the rows that input holds then: [t; theta; features], or [t; theta] where the rest
-- is hoisted. It makes no tensor where the net is linear layers and activations, and can be recorded.
function velocity.evaluator(net, parameters, input, hoisted, d, density)
  local rows, device = input:size(1), input:device()
  local layers = layers_of(net)
  if layers then
    if density then return tangent(layers, input, hoisted, d, rows, device) end
    return plain(layers, input, hoisted, rows, device)
  end
  local nn = require "gal.nn"
  local call = function(x) return nn.call(net, x) end
  if density then return reverse(call, parameters, input, d, rows, device) end
  return forward(call, input)
end

return velocity
