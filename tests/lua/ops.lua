-- Every op against double precision, one line each; lib/harness.lua says which tests a line becomes.
local ffi = require "ffi"
local gal = require "gal"
local activations = require "gal.base.activations"
local core = require "gal.tensor"
local harness = dofile "lua/lib/harness.lua"
local check, case, unary, binary, reduction, like = harness.check, harness.case, harness.unary,
  harness.binary,
  harness.reduction, harness.like
ffi.cdef "double erf(double);"

-- Away from the kink at 0, where no difference quotient is a derivative.
local function off_zero(v) return math.abs(v) < 1e-3 and 0.5 or v end

local function sigmoid(x) return 1 / (1 + math.exp(-x)) end
local function normal(x) return 0.5 * (1 + ffi.C.erf(x / math.sqrt(2))) end
local function relu(x) return math.max(x, 0) end
local function silu(x) return x * sigmoid(x) end
local function gelu(x) return x * normal(x) end

-- ---- elementwise ----
unary{ "exp", f = math.exp }
unary{ "log", f = math.log, range = { 0.1, 5 } }
unary{ "sqrt", f = math.sqrt, range = { 0.1, 5 } }
unary{ "abs", f = math.abs, prepare = off_zero }
unary{ "sin", f = math.sin }
unary{ "cos", f = math.cos }
unary{ "sigmoid", f = sigmoid, range = { -8, 8 }, terms = 1 } -- y - y^2
unary{ "tanh", f = math.tanh, terms = 1 } -- 1 - y^2
unary{ "relu", f = relu, prepare = off_zero }
unary{ "silu", f = silu, range = { -8, 8 } }
unary{ "gelu", f = gelu, range = { -5, 5 } }
unary{ "unary minus", f = function(x) return -x end, call = function(x) return -x end }
unary{ "x + number", f = function(x) return x + 2.5 end, call = function(x) return x + 2.5 end }
unary{ "number + x", f = function(x) return 2.5 + x end, call = function(x) return 2.5 + x end }
unary{ "x - number", f = function(x) return x - 0.75 end, call = function(x) return x - 0.75 end }
unary{ "number - x", f = function(x) return 0.75 - x end, call = function(x) return 0.75 - x end }
unary{ "x * number", f = function(x) return x * 3 end, call = function(x) return x * 3 end }
unary{ "number * x", f = function(x) return 3 * x end, call = function(x) return 3 * x end }
unary{ "x / number", f = function(x) return x / 3 end, call = function(x) return x / 3 end }
unary{ "number / x", f = function(x) return 3 / x end, call = function(x) return 3 / x end,
  range = { 0.2, 4 } }
unary{ "x ^ 2", f = function(x) return x ^ 2 end, call = function(x) return x ^ 2 end }
unary{ "x ^ 3", f = function(x) return x ^ 3 end, call = function(x) return x ^ 3 end }
unary{ "x ^ 1", f = function(x) return x end, call = function(x) return x ^ 1 end }
unary{ "x ^ 0", f = function() return 1 end, call = function(x) return x ^ 0 end }
unary{ "x ^ -1.5", f = function(x) return x ^ -1.5 end, call = function(x) return x ^ -1.5 end,
  range = { 0.3, 4 } }
unary{ "2 ^ x", f = function(x) return 2 ^ x end, call = function(x) return 2 ^ x end }
unary{ "maximum with a number", f = function(x) return math.max(x, 0.5) end,
  call = function(x) return x:maximum(0.5) end }
unary{ "minimum with a number", f = function(x) return math.min(x, 0.5) end,
  call = function(x) return x:minimum(0.5) end }

binary{ "add", f = function(a, b) return a + b end }
binary{ "sub", f = function(a, b) return a - b end }
binary{ "mul", f = function(a, b) return a * b end }
binary{ "div", f = function(a, b) return a / b end, range = { { -3, 3 }, { 0.3, 3 } } }
binary{ "pow", f = function(a, b) return a ^ b end, range = { { 0.3, 3 }, { -2, 2 } } }
binary{ "maximum", f = math.max }
binary{ "minimum", f = math.min }
binary{ "a + b", f = function(a, b) return a + b end, call = function(a, b) return a + b end }
binary{ "a - b", f = function(a, b) return a - b end, call = function(a, b) return a - b end }
binary{ "a * b", f = function(a, b) return a * b end, call = function(a, b) return a * b end }
binary{ "a / b", f = function(a, b) return a / b end, call = function(a, b) return a / b end,
  range = { { -3, 3 }, { 0.3, 3 } } }
binary{ "a ^ b", f = function(a, b) return a ^ b end, call = function(a, b) return a ^ b end,
  range = { { 0.3, 3 }, { -2, 2 } } }

-- Small whole numbers, so that equal ones meet.
local whole = { gradient = false, prepare = function(v) return math.floor(v) end }
for name, holds in pairs {
  eq = function(a, b) return a == b end, lt = function(a, b) return a < b end,
  le = function(a, b) return a <= b end,
  gt = function(a, b) return a > b end, ge = function(a, b) return a >= b end,
} do
  binary{ name, f = function(a, b) return holds(a, b) and 1 or 0 end, gradient = whole.gradient,
    prepare = whole.prepare }
  unary{ name .. " with a number", f = function(a) return holds(a, 1) and 1 or 0 end,
    call = function(x) return x[name](x, 1) end, gradient = false, prepare = whole.prepare }
end

-- ---- reductions ----
local function sum(list)
  local s = 0
  for i = 1, #list do s = s + list[i] end
  return s
end
local function largest(list)
  local m = list[1]
  for i = 2, #list do m = math.max(m, list[i]) end
  return m
end
local function smallest(list)
  local m = list[1]
  for i = 2, #list do m = math.min(m, list[i]) end
  return m
end
local function mean(list) return sum(list) / #list end
reduction{ "sum", f = sum, sums = true }
reduction{ "mean", f = mean, sums = true }
reduction{ "max", f = function(list) return largest(list) end }
reduction{ "min", f = function(list) return smallest(list) end }
reduction{ "std", f = function(list)
  local m, s = mean(list), 0
  for i = 1, #list do s = s + (list[i] - m) ^ 2 end
  return math.sqrt(s / #list)
end, terms = 3 } -- the differences from the mean of values up to 3

-- ---- views and moves ----
local function same(shape)
  return function(a) local y = like(a, function(v) return v end) y.shape = shape return y end
end
local function copy(a) return like(a, function(v) return v end) end
case{ "reshape", shapes = { { { 4, 6 } }, { { 24 } }, { { 2, 3, 4 } } },
  call = function(x) return x:reshape { 8, -1 } end, ref = same { 8, 3 } }
case{ "reshape to {}", shapes = { { { 1, 1 } } }, call = function(x) return x:reshape {} end, ref = same {} }
case{ "clone", shapes = { { {} }, { { 3, 4 } } }, call = function(x) return x:clone() end, ref = copy }
case{ "contiguous", shapes = { { {} }, { { 3, 4 } } },
  call = function(x) return x:contiguous() end, ref = copy }
case{ "t", shapes = { { { 3, 4 } }, { { 1, 5 } } }, call = function(x) return x:t() end, ref = function(a)
  local m, n, y = a.shape[1], a.shape[2], { shape = { a.shape[2], a.shape[1] } }
  for i = 0, m - 1 do for j = 0, n - 1 do y[j * m + i + 1] = a[i * n + j + 1] end end
  return y
end }
-- Elements of a {n, m} that pick(i, j) takes, counting from 1, in row-major order.
local function picked(shape, pick) return function(a)
  local y = { shape = shape }
  for i = 1, a.shape[1] do
    for j = 1, a.shape[2] do if pick(i, j) then y[#y + 1] = a[(i - 1) * a.shape[2] + j] end end
  end
  return y
end end
case{ "narrow", shapes = { { { 4, 5 } } }, call = function(x) return x:narrow(2, 2, 3) end,
  ref = picked({ 4, 3 }, function(_, j) return j >= 2 and j <= 4 end) }
case{ "narrow of the last", shapes = { { { 4, 5 } } }, call = function(x) return x:narrow(-1, 5, 1) end,
  ref = picked({ 4, 1 }, function(_, j) return j == 5 end) }
case{ "select", shapes = { { { 4, 5 } } }, call = function(x) return x:select(2, 3) end,
  ref = picked({ 4 }, function(_, j) return j == 3 end) }
case{ "x[i]", shapes = { { { 4, 5 } } }, call = function(x) return x[2] end,
  ref = picked({ 5 }, function(i) return i == 2 end) }
case{ "cat along 1", shapes = { { { 2, 3 }, { 4, 3 } } },
  call = function(a, b) return gal.cat({ a, b }, 1) end,
  ref = function(a, b)
    local y = { shape = { 6, 3 } }
    for i = 1, #a do y[i] = a[i] end
    for i = 1, #b do y[#a + i] = b[i] end
    return y
  end }
case{ "cat along the last", shapes = { { { 3, 1 }, { 3, 2 } } },
  call = function(a, b) return gal.cat({ a, b }, -1) end,
  ref = function(a, b)
    local y = { shape = { 3, 3 } }
    for i = 1, 3 do y[#y + 1], y[#y + 2], y[#y + 3] = a[i], b[2 * i - 1], b[2 * i] end
    return y
  end }
case{ "cat of one tensor with itself", shapes = { { { 2 } } },
  call = function(a) return gal.cat { a, a } end,
  ref = function(a)
    return { shape = { 4 }, a[1], a[2], a[1], a[2] }
  end }
case{ "rows", shapes = { { { 5, 3 } } }, call = function(x) return x:rows { 2, 5, 2 } end, ref = function(a)
  local y = { shape = { 3, 3 } }
  for _, row in ipairs { 2, 5, 2 } do for j = 1, 3 do y[#y + 1] = a[(row - 1) * 3 + j] end end
  return y
end }
for _, repeats in ipairs { 1, 3 } do
  case{ ("into_columns, each row %d times"):format(repeats), shapes = { { { 2, 2 } } },
    call = function(x)
      local rows = {}
      for i = 0, 2 * repeats - 1 do rows[i + 1] = math.floor(i / repeats) end
      local index = repeats > 1 and core.int64({ #rows }, rows) or nil
      return core.into_columns(x, gal.full({ 2 * repeats, 4 }, 0.5), 2, index)
    end,
    ref = function(a)
      local y = { shape = { 2 * repeats, 4 } }
      for i = 0, 2 * repeats - 1 do
        local row = math.floor(i / repeats)
        y[4 * i + 1], y[4 * i + 2], y[4 * i + 3], y[4 * i + 4] = 0.5, a[2 * row + 1], a[2 * row + 2], 0.5
      end
      return y
    end }
end
case{ "sort", shapes = { { { 7 } }, { { 1 } }, { { 3, 50 } } }, gradient = false,
  call = function(x) return x:sort() end,
  ref = function(a)
    local n, y = a.shape[#a.shape], { shape = a.shape }
    for first = 0, #a - 1, n do
      local row = {}
      for i = 1, n do row[i] = a[first + i] end
      table.sort(row)
      for i = 1, n do y[first + i] = row[i] end
    end
    return y
  end }
case{ "quantiles", shapes = { { { 7 } }, { { 1 } }, { { 3, 50 } } }, gradient = false,
  call = function(x) return x:quantiles { 0, 0.16, 0.5, 1 } end,
  ref = function(a)
    local n, y = a.shape[#a.shape], { shape = { unpack(a.shape) } }
    y.shape[#y.shape] = 4
    for first = 0, #a - 1, n do
      local row = {}
      for i = 1, n do row[i] = a[first + i] end
      table.sort(row)
      for _, level in ipairs { 0, 0.16, 0.5, 1 } do
        local at = level * (n - 1)
        local low, high = row[math.floor(at) + 1], row[math.min(math.floor(at) + 2, n)]
        y[#y + 1] = low + (at % 1) * (high - low)
      end
    end
    return y
  end }

-- ---- products ----
local function matmul(a, b)
  local m, k, n = a.shape[1], a.shape[2], b.shape[2]
  local y = { shape = { m, n } }
  for i = 0, m - 1 do
    for j = 0, n - 1 do
      local s = 0
      for l = 0, k - 1 do s = s + a[i * k + l + 1] * b[l * n + j + 1] end
      y[i * n + j + 1] = s
    end
  end
  return y
end
case{ "matmul", shapes = { { { 1, 1 }, { 1, 1 } }, { { 3, 4 }, { 4, 5 } }, { { 64, 11 }, { 11, 33 } },
  { { 1, 7 }, { 7, 1 } }, { { 17, 40 }, { 40, 16 } } }, call = function(a, b) return a:matmul(b) end,
  ref = matmul, sums = true }
case{ "matmul of a matrix with itself", shapes = { { { 4, 4 } } }, call = function(a) return a:matmul(a) end,
  ref = function(a) return matmul(a, a) end, sums = true }

local FUNCTIONS = { identity = function(v) return v end, relu = relu, silu = silu, gelu = gelu,
  tanh = math.tanh }
for name in pairs(activations.codes) do
  local f = FUNCTIONS[name]
  local function reference(x, w, b)
    local inputs, outputs = w.shape[2], w.shape[1]
    local rows, y = #x / inputs, { shape = {} }
    for i = 1, #x.shape do y.shape[i] = x.shape[i] end
    y.shape[#y.shape] = outputs
    for r = 0, rows - 1 do
      for o = 0, outputs - 1 do
        local s = b and b[o + 1] or 0
        for i = 1, inputs do s = s + x[r * inputs + i] * w[o * inputs + i] end
        y[r * outputs + o + 1] = f(s)
      end
    end
    return y
  end
  -- Outputs of an activation come from sums, whose rounding it passes on: their size is that of the sums.
  -- silu' and gelu' pass through 0, as differences of terms of size 1/2.
  local shapes = {
    { { 1, 1 }, { 1, 1 } }, { { 7, 3 }, { 5, 3 } }, { { 64, 11 }, { 256, 11 } }, { { 11 }, { 6, 11 } },
    { { 2, 3, 4 }, { 5, 4 } },
  }
  case{ "linear " .. name .. " without bias", shapes = shapes, range = { -1, 1 }, sums = true, terms = 0.1,
    call = function(x, w) return core.linear(x, w, nil, name) end, ref = reference }
  for _, s in ipairs(shapes) do s[3] = { s[2][1] } end
  case{ "linear " .. name, shapes = shapes, range = { -1, 1 }, sums = true, terms = 0.1,
    call = function(x, w, b) return core.linear(x, w, b, name) end, ref = reference }
end

case{ "mse", shapes = { { {}, {} }, { { 7 }, { 7 } }, { { 64, 5 }, { 64, 5 } } }, call = core.mse,
  ref = function(a, b)
    local s = 0
    for i = 1, #a do s = s + (a[i] - b[i]) ^ 2 end
    return { shape = {}, s / #a }
  end }

case{ "kde_log_density",
  shapes = { { { 1, 1 }, { 1, 1 } }, { { 6, 2 }, { 9, 2 } }, { { 40, 5 }, { 70, 5 } } }, range = { -1, 1 },
  gradient = false, call = function(p, d) return gal.kde_log_density(p, d) end,
  ref = function(p, d)
    local m, n, width, y = p.shape[1], d.shape[1], p.shape[2], { shape = { p.shape[1] } }
    for i = 0, m - 1 do
      local s = 0
      for j = 0, n - 1 do
        local q = 0
        for k = 1, width do q = q + (p[i * width + k] - d[j * width + k]) ^ 2 end
        s = s + math.exp(-q / 2)
      end
      y[i + 1] = math.log(s / n) - width / 2 * math.log(2 * math.pi)
    end
    return y
  end }

-- ---- composed: one argument used twice, a chain of everything ----
case{ "x * x + x", shapes = { { { 7 } } }, call = function(x) return x * x + x end,
  ref = function(a) return like(a, function(v) return v * v + v end) end }
case{ "a chain of broadcasts and reductions", shapes = { { { 6, 4 }, { 4 } } }, call = function(x, b)
  return ((x - x:mean(1)) * b:exp() / (1 + x:pow(2):sum(-1, true)):sqrt()):tanh()
end, ref = function(x, b)
  local y = { shape = x.shape }
  for i = 0, 5 do
    local s = 1
    for j = 1, 4 do s = s + x[i * 4 + j] ^ 2 end
    for j = 1, 4 do
      local m = 0
      for k = 0, 5 do m = m + x[k * 4 + j] / 6 end
      y[i * 4 + j] = math.tanh((x[i * 4 + j] - m) * math.exp(b[j]) / math.sqrt(s))
    end
  end
  return y
end }

check.finish()
