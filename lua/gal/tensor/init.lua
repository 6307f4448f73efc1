-- tensor: the room of tensors as the rest of the library sees it. Each file of the room returns the functions
-- that it defines; here they become methods, operators and names, and nowhere else.
local conv = require "gal.tensor.conv"
local copy = require "gal.tensor.copy"
local flow = require "gal.tensor.flow"
local kde = require "gal.tensor.kde"
local map = require "gal.tensor.map"
local matmul = require "gal.tensor.matmul"
local memory = require "gal.tensor.memory"
local norm = require "gal.tensor.norm"
local pool = require "gal.tensor.pool"
local program = require "gal.tensor.program"
local random = require "gal.tensor.random"
local reduce = require "gal.tensor.reduce"
local rows = require "gal.tensor.rows"
local shapes = require "gal.tensor.shapes"
local show = require "gal.tensor.show"
local tape = require "gal.tensor.tape"
local values = require "gal.tensor.values"
local views = require "gal.tensor.views"
local errors = require "gal.base.errors"

-- ---- x:name(...) ----

local methods = {
  size = values.size, count = values.count, device = values.device, shape_text = shapes.text,
  totable = values.totable, item = values.item, get = values.get, set = values.set,
  keep = memory.keep, clone = copy.clone, contiguous = copy.contiguous, to = copy.to, float = copy.float,
  copy_ = copy.copy_, fill_ = copy.fill_, add_ = map.add_,

  requires_grad = tape.requires_grad, requires_grad_set = tape.requires_grad_set,
  backward = tape.backward, detach = tape.detach,

  reshape = views.reshape, t = views.t, narrow = views.narrow, select = views.select,
  rows = rows.rows, gather = rows.gather,

  add = map.add, sub = map.sub, mul = map.mul, div = map.div, pow = map.pow,
  maximum = map.maximum, minimum = map.minimum, where = map.x_where, clamp = map.clamp, isnan = map.isnan,
  eq = map.eq, lt = map.lt, le = map.le, gt = map.gt, ge = map.ge,
  exp = map.exp, log = map.log, sqrt = map.sqrt, abs = map.abs, sin = map.sin, cos = map.cos,
  sigmoid = map.sigmoid, tanh = map.tanh, relu = map.relu, silu = map.silu, gelu = map.gelu,

  sum = reduce.sum, mean = reduce.mean, max = reduce.max, min = reduce.min, std = reduce.std,
  var = reduce.var, prod = reduce.prod, any = reduce.any, all = reduce.all,
  argmax = reduce.argmax, argmin = reduce.argmin, cumsum = reduce.cumsum,
  sort = reduce.sort, argsort = reduce.argsort, quantiles = reduce.quantiles,
  quantile = reduce.quantile, median = reduce.median, matmul = matmul.matmul,
}

-- ---- operators and fields ----

local Tensor = memory.Tensor

Tensor.__add, Tensor.__sub, Tensor.__mul, Tensor.__div = map.add, map.sub, map.mul, map.div
Tensor.__unm, Tensor.__pow = map.negative, map.raised
Tensor.__tostring = show.text

-- For the prompt: what it lists and completes.
Tensor.methods, Tensor.completes = methods, { ["."] = { "shape", "dtype", "grad" } }

-- x[{1, 2}] of numpy and Torch, in the words that it has here.
local function raise_index(x, key)
  local i, j = tonumber(key[1]), tonumber(key[2])
  if i and j and memory.is_tensor(x) and x.h and x.h.rank == 2 then
    errors.raise("x[{%g, %g}]: a tensor's element is x:get(%g, %g); a row is x[%g], a column x:select(2, %g)",
      i, j, i, j, i, j)
  end
  errors.raise("x[{…}]: a tensor's index is one number, x[i]; a column of x is x:select(2, j), a range of "
    .. "rows x:narrow(1, first, length), some rows x:rows{1, 5, 2}, an element x:get(i, j)")
end

-- x.shape, x.dtype, x[i], and the methods.
function Tensor.__index(x, key)
  local method = methods[key]
  if method ~= nil then return method end
  if type(key) == "number" then return views.select(x, 1, key) end
  if type(key) == "table" then raise_index(x, key) end
  if key == "shape" then return shapes.list(memory.live(x, "shape", "x")) end
  if key == "dtype" then return memory.dtype(memory.is_tensor(x) and x or memory.live(x, "dtype", "x")) end
  return nil
end

function Tensor.__newindex(x, key, value)
  if type(key) == "number" then
    errors.raise("x[%s] = …: a tensor's elements are set by x:set(value, i, j, …) or x[i]:copy_(y)",
      tostring(key))
  end
  rawset(x, key, value)
end

-- ---- names: what the rest of lua/gal uses ----

return {
  methods = methods,

  tensor = values.tensor, zeros = values.zeros, ones = values.ones, full = values.full,
  arange = values.arange, linspace = values.linspace, where = map.where,
  new = values.new, to_fill = values.to_fill, index = values.index,
  int64 = values.int64, float64 = values.float64, read = values.read,

  rand = random.rand, randn = random.randn,
  rng = random.rng, default_rng = random.default, is_rng = random.is_rng,

  is_tensor = memory.is_tensor, live = memory.live, like = memory.like, dense = memory.dense,
  create = memory.create, filled = memory.filled, outside = memory.outside, memory = memory.memory,
  scope = memory.scope, scope_open = memory.scope_open, scope_close = memory.scope_close,

  count = shapes.count, shape_text = shapes.text, same_shape = shapes.same, dimension = shapes.dimension,
  view = views.view, cat = copy.cat, turned = copy.turned, into_columns = rows.into_columns,
  assign = copy.assign, rehome = copy.rehome, move = copy.move,

  op = tape.op, slot = tape.slot, set_slot = tape.set_slot,
  no_grad = tape.no_grad, with_grad = tape.with_grad, evaluate = tape.evaluate, training = tape.training,
  program = program.record, try_program = program.try,

  linear = matmul.linear, conv2d = conv.conv2d, layer_norm = norm.layer_norm, dropout = random.dropout,
  avg_pool2d = pool.avg_pool2d, max_pool2d = pool.max_pool2d, global_avg_pool = pool.global_avg_pool,
  mse = flow.mse, kde_log_density = kde.kde_log_density, show_line = show.line,
}
