-- flow/velocity: the velocity net and the exact divergence of its field, evaluated on buffers that are made once and used again at every stage of every
-- step: two activation buffers in turn stay in the cache, where fresh memory would not. Linear layers and activations are called directly; a net with a
-- part written by the user goes through its own forward function, and through the tape for its divergence.
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local core = require "gal.tensor"
local handle = require "gal.handle"
local tape = require "gal.tape"
local check = core.check

local velocity = {}

local codes = { relu = C.GAL_RELU, silu = C.GAL_SILU, gelu = C.GAL_GELU, tanh = C.GAL_TANH }

-- A view of x with these sizes and strides, `offset` elements behind its first.
local function view(x, shape, stride, offset)
  return handle.view(x, #shape, ffi.new("int64_t[8]", shape), ffi.new("int64_t[8]", stride), offset)
end

-- The net as a list of {weight, bias, activation}, or nil where it is more than linear layers, each with at most one activation after it.
local function layers_of(net, list)
  list = list or {}
  if type(net) ~= "table" then return nil end
  for _, m in ipairs(net) do
    if type(m) ~= "table" then return nil end
    if m.inputs and m.weight and m.activate and not m.pools then
      list[#list + 1] = { weight = m.weight, bias = m.bias, activation = C.GAL_IDENTITY, inputs = m.inputs, outputs = m.outputs }
    elseif m.activation and codes[m.activation] then
      local last = list[#list]
      if not last or last.activation ~= C.GAL_IDENTITY then return nil end
      last.activation = codes[m.activation]
    elseif not m.identity_at_evaluation and not (m.chain and layers_of(m, list)) then
      return nil
    end
  end
  return #list > 0 and list or nil
end

-- Two blocks to be written in turn, each seen with any number of columns up to the widest.
local function pair(rows, width, device)
  local blocks = { gal.zeros({ rows * width }, { device = device }), gal.zeros({ rows * width }, { device = device }) }
  return function(i, columns) return blocks[i % 2 + 1]:narrow(1, 1, rows * columns):reshape { rows, columns } end
end

-- Element (row r, direction j) of the tangents {d * R, columns}, of output `first + j`: the diagonal of the Jacobian, as a view {R, d}.
local function diagonal(tangents, rows, d, first)
  local columns = tangents:size(2)
  return view(tangents, { rows, d }, { columns, rows * columns + 1 }, first)
end

-- Linear layers only, without the divergence. Returns evaluate(k {R, d}).
local function plain(layers, input, rows, device)
  local widest = 1
  for i = 1, #layers - 1 do widest = math.max(widest, layers[i].outputs) end
  local buffer = pair(rows, widest, device)
  local out = {}
  for i = 1, #layers - 1 do out[i] = buffer(i, layers[i].outputs) end
  return function(k)
    local x = input
    for i, layer in ipairs(layers) do
      local y = out[i] or k
      check(C.gal_linear(y.h, nil, x.h, layer.weight.h, layer.bias and layer.bias.h, layer.activation))
      x = y
    end
  end
end

-- The same with d tangents pushed through the layers beside the values: T_0 = the unit vectors of theta, T_i = f'(z_i) * (T_{i-1} W_i'),
-- divergence = the trace of T_last. Returns evaluate(k {R, d}, divergence {R, 1}).
local function tangent(layers, input, d, rows, device)
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
      slope = curved and gal.zeros({ rows, n }, { device = device }) or nil,
    }
    if curved then steps[i].slope3 = steps[i].slope:reshape { 1, rows, n } end
  end
  -- Columns 2 .. d + 1 of the first weight {n, in}, as {d, 1, n}: the derivative of the first layer by theta.
  local first = layers[1]
  local columns = view(first.weight, { d, 1, first.outputs }, { 1, 0, first.inputs }, 1)
  local trace = diagonal(steps[#steps].t, rows, d, 0)
  local terms = gal.zeros({ rows, d }, { device = device })
  return function(k, divergence)
    local x = input
    for i, s in ipairs(steps) do
      local layer, y = s.layer, s.y or k
      check(C.gal_linear(y.h, s.slope and s.slope.h, x.h, layer.weight.h, layer.bias and layer.bias.h, layer.activation))
      if i == 1 then
        if s.slope then check(C.gal_mul(s.t3.h, columns.h, s.slope3.h)) else check(C.gal_copy(s.t3.h, columns.h)) end
      else
        check(C.gal_linear(s.t.h, nil, steps[i - 1].t.h, layer.weight.h, nil, C.GAL_IDENTITY))
        if s.slope then check(C.gal_mul(s.t3.h, s.t3.h, s.slope3.h)) end
      end
      x = y
    end
    check(C.gal_copy(terms.h, trace.h))
    check(C.gal_sum(divergence.h, terms.h, 1, 1))
  end
end

-- Any net, by its own forward function.
local function forward(net, input)
  return function(k) check(C.gal_copy(k.h, net(input).h)) end
end

-- Any net, with the diagonal of its Jacobian by the tape: the rows are repeated d times, copy j is seeded with the unit vector of output j, and column
-- 1 + j of the gradient of the input holds dv_j / dtheta_j. One forward and one backward pass over d * R rows.
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
      tape.with_grad(tape.evaluate, function()
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

--- velocity.evaluator(net, parameters, input {R, width}, d, density): a function (k {R, d}[, divergence {R, 1}]) that fills them with the velocity and,
-- where density is true, its divergence by theta, at the rows that input holds then; theta stands in its columns 2 .. d + 1. It makes no tensor where the
-- net is linear layers and activations, and can be recorded.
function velocity.evaluator(net, parameters, input, d, density)
  local rows, device = input:size(1), input:device()
  local layers = layers_of(net)
  if layers then
    if density then return tangent(layers, input, d, rows, device) end
    return plain(layers, input, rows, device)
  end
  local nn = require "gal.nn"
  local call = function(x) return nn.call(net, x) end
  if density then return reverse(call, parameters, input, d, rows, device) end
  return forward(call, input)
end

return velocity
