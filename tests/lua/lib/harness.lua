-- The harness of ops.lua and layers.lua. A case is an op, the shapes of its arguments and a reference in
-- double precision. It becomes these tests:
--   - the result against the reference, |y - ref| <= 1e-6 max|ref| (for sums, 1e-6 of the largest sum of
--     |terms|), and the gradient of every argument against central differences of the reference;
--   - both again with arguments that are transposed and narrowed views of larger tensors, and for images
--     {N, H, W, C} with views of {N, C, H, W};
--   - both with every new tensor full of NaN and between sentinels, which shows an element that an op does
--     not write and a write beside its result;
--   - no tensor is left alive after a collection.
local ffi = require "ffi"
local gal = require "gal"
local handle = require "gal.tensor.memory"
local core = require "gal.tensor"
local check = dofile "lua/lib/check.lua"

local harness = { check = check }
local EDGE, SENTINEL = 5, -12345 -- 5: results then don't lie on a multiple of a vector

-- ---- arrays: {shape = {…}, v1, v2, …} in double ----

local function count(shape)
  local n = 1
  for i = 1, #shape do n = n * shape[i] end
  return n
end
harness.count = count

-- A generator of its own, so that no op under test makes its own arguments (Park & Miller 1988). Each case
-- seeds it by its title, so that a new case changes no other's numbers.
local seed = 1
local function uniform()
  seed = (seed * 48271) % 2147483647
  return seed / 2147483647
end
local function seed_by(title)
  seed = 1
  for i = 1, #title do seed = (seed * 31 + title:byte(i)) % 2147483646 + 1 end
end
local single = ffi.new "float[1]"
local function to_float(value)
  single[0] = value
  return single[0]
end

local function random_array(shape, low, high)
  local a = { shape = shape }
  for i = 1, count(shape) do a[i] = to_float(low + (high - low) * uniform()) end
  return a
end

local function like(a, f)
  local y = { shape = a.shape }
  for i = 1, #a do y[i] = f(a[i]) end
  return y
end
harness.like = like

--- The broadcast of arrays under an elementwise f.
local function broadcast(f, ...)
  local args, shape = { ... }, {}
  for _, a in ipairs(args) do
    for i = 1, #a.shape do
      local from_end = #a.shape - i
      if not shape[from_end] or shape[from_end] == 1 then shape[from_end] = a.shape[i] end
    end
  end
  local y = { shape = {} }
  local rank = shape[0] and #shape + 1 or 0
  for i = 1, rank do y.shape[i] = shape[rank - i] end
  local values = {}
  for at = 0, count(y.shape) - 1 do
    for k, a in ipairs(args) do
      local rest, index, step = at, 0, 1
      for from_end = 0, rank - 1 do
        local i = rest % y.shape[rank - from_end]
        rest = (rest - i) / y.shape[rank - from_end]
        local size = a.shape[#a.shape - from_end]
        if size then
          if size > 1 then index = index + i * step end
          step = step * size
        end
      end
      values[k] = a[index + 1]
    end
    y[at + 1] = f(unpack(values))
  end
  return y
end
harness.broadcast = broadcast

-- ---- tensors ----

local function plain(a) return gal.tensor(a, a.shape) end

-- The same elements as a view with gaps: from the middle of a larger tensor, transposed if there are two
-- dimensions.
local function view(a)
  local rank = #a.shape
  if rank == 0 then
    local big = gal.full({ 3 }, SENTINEL)
    big:set(a[1], 2)
    return big:select(1, 2)
  end
  local shape = {}
  for i = 1, rank do shape[i] = a.shape[i] + 2 end
  if rank == 2 then shape[1], shape[2] = shape[2], shape[1] end
  local y = gal.full(shape, SENTINEL)
  if rank == 2 then y = y:t() end
  for i = 1, rank do y = y:narrow(i, 2, a.shape[i]) end
  return y:copy_(plain(a))
end

-- Images {N, H, W, C} as a view of {N, C, H, W}, the order in which most files and PyTorch have them.
local function channels_first(a)
  local n, h, w, c = unpack(a.shape)
  local y = core.view(gal.full({ n, c, h, w }, SENTINEL), a.shape, { c * h * w, w, 1, h * w })
  return y:copy_(plain(a))
end

-- handle.create with NaN inside and sentinels on both sides; guards remembers the blocks.
local create, guards = handle.create, nil
local function guarded(dtype, rank, shape, device, outside)
  if dtype ~= 0 then return create(dtype, rank, shape, device, outside) end
  local n = 1
  for i = 0, rank - 1 do n = n * tonumber(shape[i]) end
  local own, strides, step = ffi.new("int64_t[8]"), ffi.new("int64_t[8]"), 1
  for i = rank - 1, 0, -1 do
    own[i], strides[i] = shape[i], step
    step = step * tonumber(shape[i])
  end
  local block = create(0, 1, ffi.new("int64_t[1]", n + 2 * EDGE), device, outside)
  ffi.C.gal_fill(block.h, SENTINEL)
  local y = handle.view(block, rank, own, strides, EDGE)
  ffi.C.gal_fill(y.h, 0 / 0)
  guards[#guards + 1] = block
  return y
end

local function check_guards()
  for _, block in ipairs(guards) do
    local n = block:size(1)
    for i = 1, EDGE do
      check.equal(block:get(i), SENTINEL, "the sentinel before a result")
      check.equal(block:get(n + 1 - i), SENTINEL, "the sentinel after a result")
    end
  end
end

-- ---- one case ----

local function flat(x) return x:reshape { -1 }:totable() end

local function largest(a)
  local m = 0
  for i = 1, #a do m = math.max(m, math.abs(a[i])) end
  return m
end

local function compare(x, ref, tolerance, what)
  check.equal(x.shape, ref.shape, what .. ", its shape")
  local values = flat(x)
  for i = 1, #ref do
    local difference = math.abs(values[i] - ref[i])
    local both_nan = values[i] ~= values[i] and ref[i] ~= ref[i]
    if not (difference <= tolerance or values[i] == ref[i] or both_nan) then
      check.near(values[i], ref[i], tolerance, ("%s, element %d of %d"):format(what, i, #ref))
    end
  end
end

-- The weights dy, and the gradient of sum(dy * ref) by element i of argument k.
local function difference(c, arrays, k, i, dy)
  local x = arrays[k][i]
  local h = 1e-5 * math.max(1, math.abs(x))
  arrays[k][i] = x + h
  local above = c.ref(unpack(arrays))
  arrays[k][i] = x - h
  local below = c.ref(unpack(arrays))
  arrays[k][i] = x
  local sum, size = 0, 0
  for j = 1, #dy do
    local term = dy[j] * (above[j] - below[j]) / (2 * h)
    sum, size = sum + term, size + math.abs(term)
  end
  return sum, size
end

-- Elements whose gradient is compared: all of a small argument, MOST of a large one. The reference, which
-- takes most of the time, is the same for every device.
local MOST = check.sized(12, 6)
local function chosen(n)
  local list = {}
  for i = 1, math.min(n, MOST) do list[i] = n <= MOST and i or 1 + math.floor(uniform() * n) end
  return list
end

local function run(c, arrays, make)
  local tensors, ref = {}, c.ref(unpack(arrays))
  for k, a in ipairs(arrays) do
    tensors[k] = make(a)
    if c.gradient then tensors[k] = tensors[k]:detach():requires_grad() end
  end
  local y = c.call(unpack(tensors))
  local size = c.sums and largest(c.ref(unpack((function()
    local positive = {}
    for k, a in ipairs(arrays) do positive[k] = like(a, math.abs) end
    return positive
  end)()))) or largest(ref)
  compare(y, ref, c.tolerance * size, "the result")
  if not c.gradient then return end
  local dy = random_array(ref.shape, 0.5, 1.5)
  y:backward(plain(dy))
  for k, a in ipairs(arrays) do
    check.equal(tensors[k].grad.shape, a.shape, "the gradient's shape")
    local g, expected, scale = flat(tensors[k].grad), {}, c.terms or 0
    local list = chosen(#a)
    for n, i in ipairs(list) do
      local terms
      expected[n], terms = difference(c, arrays, k, i, dy)
      scale = math.max(scale, terms)
    end
    -- Central differences are good to about 1e-9 of the terms.
    for n, i in ipairs(list) do
      check.near(g[i], expected[n], c.tolerance * scale + 1e-9,
        ("the gradient of argument %d, element %d of %d"):format(k, i, #a))
    end
  end
end

local function described(shapes)
  local list = {}
  for i, s in ipairs(shapes) do list[i] = "{" .. table.concat(s, ", ") .. "}" end
  return table.concat(list, " ")
end

--- case{ name, shapes, call, ref, ... }: the tests of one op, for each entry of shapes.
--   shapes     a list of {shape of argument 1, shape of argument 2, ...}
--   call       function(tensors ...): the op
--   ref        function(arrays ...): the reference, an array {shape = {...}, v1, v2, ...}
--   range      {low, high} of the arguments' values, or one such pair for each; {-3, 3}
--   prepare    function(value): changes each of these values
--   gradient   whether it has one; true
--   sums       whether the result is a sum, whose tolerance follows its terms; false
--   tolerance  1e-6
--   terms      a gradient smaller than this counts as one whose terms cancel; 0
--   views      whether arguments may be views; true
function harness.case(c)
  if c.gradient == nil then c.gradient = true end
  c.tolerance = c.tolerance or 1e-6
  for _, shapes in ipairs(c.shapes) do
    local title = c[1] .. " of " .. described(shapes)
    seed_by(title)
    local arrays, ranges = {}, type((c.range or {})[1]) == "table" and c.range or nil
    for k, shape in ipairs(shapes) do
      local range = ranges and ranges[k] or c.range or { -3, 3 }
      arrays[k] = random_array(shape, range[1], range[2])
      if c.prepare then arrays[k] = like(arrays[k], c.prepare) end
    end
    check.collect()
    local before = gal.memory().tensors
    check.case(title .. " and its gradient are the reference's", function() run(c, arrays, plain) end)
    if c.views ~= false then
      check.case(title .. " is the same for views", function() run(c, arrays, view) end)
    end
    if #shapes[1] == 4 then
      check.case(title .. " is the same for images that lie channels first", function()
        run(c, arrays, function(a) return #a.shape == 4 and channels_first(a) or plain(a) end)
      end)
    end
    check.case(title .. " writes all of its results and nothing beside them", function()
      guards, handle.create = {}, guarded
      local ok, message = pcall(run, c, arrays, plain)
      handle.create = create
      if not ok then error(message, 0) end
      check_guards()
      guards = nil
    end)
    guards = nil
    check.case(title .. " leaves no tensor alive", function()
      -- Compiled traces stay: an op that captured a tensor in a closure would leave it in one of them.
      collectgarbage()
      collectgarbage()
      check.equal(gal.memory().tensors, before, "tensors")
    end)
  end
end

--- unary{ name, f = function(number), … }: the method x:name(), elementwise.
function harness.unary(c)
  c.shapes = { { {} }, { { 1 } }, { { 7 } }, { { 3, 5, 2 } }, { { 64, 256 } } }
  c.call = c.call or function(x) return x[c[1]](x) end
  c.ref = function(a) return like(a, c.f) end
  harness.case(c)
end

--- binary{ name, f = function(a, b), … }: elementwise with broadcasting.
function harness.binary(c)
  c.shapes = {
    { {}, {} }, { { 7 }, { 7 } }, { { 64, 256 }, { 64, 256 } }, { { 64, 256 }, { 256 } },
    { { 64, 1 }, { 1, 33 } }, { { 5 }, {} }, { {}, { 4, 3 } },
    { { 2, 1, 5 }, { 3, 1 } }, { { 4, 3, 2 }, { 4, 1, 2 } },
  }
  c.call = c.call or function(a, b) return a[c[1]](a, b) end
  c.ref = function(a, b) return broadcast(c.f, a, b) end
  harness.case(c)
end

--- reduction{ name, f = function(list of numbers) }: along every dimension, dropped and kept, and over all.
function harness.reduction(c)
  for _, shape in ipairs { {}, { 1 }, { 7 }, { 5, 3 }, { 2, 3, 4 }, { 64, 256 }, { 3, 1000 } } do
    for dim = 0, #shape do
      for _, keep in ipairs { false, true } do
        local case = {}
        for k, v in pairs(c) do case[k] = v end
        case[1] = dim == 0 and ("%s(nil, %s)"):format(c[1], tostring(keep))
          or ("%s(%d, %s)"):format(c[1], dim, tostring(keep))
        case.shapes = { { shape } }
        case.call = function(x)
          if dim == 0 then return x[c[1]](x, nil, keep) end
          return x[c[1]](x, dim == #shape and -1 or dim, keep)
        end
        case.ref = function(a)
          local outer, n, inner, y = 1, 1, 1, { shape = {} }
          for i = 1, #shape do
            if dim == 0 or i == dim then
              n = n * shape[i]
            elseif i < dim then
              outer = outer * shape[i]
            else
              inner = inner * shape[i]
            end
            if dim ~= 0 and i ~= dim then
              y.shape[#y.shape + 1] = shape[i]
            elseif keep then
              y.shape[#y.shape + 1] = 1
            end
          end
          for o = 0, outer - 1 do
            for i = 0, inner - 1 do
              local list = {}
              for k = 0, n - 1 do list[k + 1] = a[(o * n + k) * inner + i + 1] end
              y[o * inner + i + 1] = c.f(list)
            end
          end
          return y
        end
        harness.case(case)
      end
    end
  end
end

return harness
