-- The CUDA device against the CPU, where a kernel of cuda/ has more than one way: long sums in parts,
-- products by cuBLASLt, rows that are named twice, sorts beyond one block, batches of more than one block.
-- Run with --device cuda (tests/cuda/CMakeLists.txt); a card or its double.
local check = dofile "lua/lib/check.lua"
local card = dofile "lua/lib/card.lua"
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local case, equal, raises, that = check.case, check.equal, check.raises, check.that
local C = ffi.C
local bits, close = check.bits, card.close

-- The numbers of this shape on the CPU, and the same on the card.
local function pair(shape, seed)
  local x = gal.randn(shape, { rng = gal.rng(seed), device = "cpu" })
  return x, x:to "cuda"
end

-- x in int64, on x's device.
local function integers(x)
  local y = core.new(x.shape, "int64", x:device())
  core.assign(y, x)
  return y
end

local function same_bits(y, expected, what)
  that(bits(y:to "cpu") == bits(expected), what .. ": the bits differ")
end

case("uniforms, normals, streams and permutations have the CPU's bits", function()
  for _, draw in ipairs { gal.rand, gal.randn } do
    for _, n in ipairs { 1, 7, 5000 } do
      local a = draw({ n }, { rng = gal.rng(3), device = "cpu" })
      same_bits(draw({ n }, { rng = gal.rng(3), device = "cuda" }), a, "draws")
    end
  end
  local streams = integers(gal.arange(1, 37, { device = "cpu" }))
  local a = gal.rng(5):normal_streams(streams, 11)
  same_bits(gal.rng(5):normal_streams(streams:to "cuda", 11), a, "streams")
  for n = 0, 2011, 67 do
    local order, words = gal.rng(6 + n):permutation(n), gal.rng(6 + n):tensor "cuda"
    local y = core.new({ n }, "int64", "cuda")
    equal(C.gal_permutation(y.h, words.h), 0)
    same_bits(y, order, "a permutation of " .. n)
  end
end)

case("long sums run in parts, and have the same bits every time", function()
  for _, shape in ipairs { { 300000 }, { 3, 40000 }, { 20000, 3 }, { 2, 9000, 5 }, { 700, 300 }, { 5, 1 } } do
    local x, y = pair(shape, 7)
    for _, name in ipairs { "sum", "mean", "std", "max", "min" } do
      for dim = 1, #shape do
        local what = name .. " along " .. dim
        local got = y[name](y, dim)
        close(got, x[name](x, dim), 1e-6, what)
        same_bits(y[name](y, dim), got:to "cpu", what .. " again")
      end
      close(y[name](y), x[name](x), name == "sum" and 1e-5 or 1e-6, name .. " of all")
    end
  end
end)

case("max and min are NaN where any element is, wherever it lies", function()
  for _, place in ipairs { 1, 300, 5000 } do
    local x = gal.zeros({ 5000 }, { device = "cuda" })
    x:set(0 / 0, place)
    local y, z = x:max():item(), x:min():item()
    that(y ~= y and z ~= z, "a NaN is lost")
  end
end)

case("rows of any length are sorted, NaN last", function()
  for _, shape in ipairs { { 1 }, { 3, 2 }, { 2, 1000 }, { 3, 2048 }, { 2, 5000 }, { 1, 20000 } } do
    local x, y = pair(shape, 8)
    same_bits(y:sort(), x:sort(), "sort of " .. shape[#shape])
  end
  local x = gal.tensor({ 3, 0 / 0, -1, math.huge, -math.huge, 0 }, { device = "cuda" }):sort():totable()
  equal({ x[1], x[2], x[3], x[4], x[5] }, { -math.huge, -1, 0, 3, math.huge })
  that(x[6] ~= x[6], "NaN is not last")
end)

case("quantiles are the CPU's, NaN where a row holds one", function()
  local levels = core.new({ 4 }, "float64", "cpu")
  core.assign(levels, gal.tensor({ 0, 0.16, 0.5, 1 }, { device = "cpu" }))
  for _, shape in ipairs { { 1, 1 }, { 3, 700 }, { 2, 5000 } } do
    local x, y = pair(shape, 26)
    local expected = core.new({ shape[1], 4 }, "float64", "cpu")
    local found = core.new({ shape[1], 4 }, "float64", "cuda")
    equal(C.gal_quantiles(expected.h, x.h, levels.h), 0)
    equal(C.gal_quantiles(found.h, y.h, levels:to("cuda").h), 0)
    equal(found:totable(), expected:totable())
  end
end)

case("argsort, argmax, argmin, cumsum and where are the CPU's in rows of any length", function()
  for _, shape in ipairs { { 1 }, { 600, 3 }, { 2, 65 }, { 2, 3000 }, { 3, 70, 5 } } do
    local x = gal.randn(shape, { rng = gal.rng(31), device = "cpu" })
    local whole = integers(x * 20):float() -- few values
    for i, a in ipairs { x, whole } do
      if i == 1 and #shape > 1 then a[1]:select(1, 1):fill_(0 / 0) end
      local b = a:to "cuda"
      for dim = 1, #shape do
        for _, name in ipairs { "argsort", "argmax", "argmin" } do
          same_bits(b[name](b, dim), a[name](a, dim), name .. " along " .. dim)
        end
        if i == 2 then close(b:cumsum(dim), a:cumsum(dim), 1e-7, "cumsum along " .. dim) end
      end
      same_bits(b:argmax(), a:argmax(), "argmax of all")
      same_bits(gal.where(b:gt(0), b, 1), gal.where(a:gt(0), a, gal.full({}, 1, { device = "cpu" })), "where")
    end
  end
end)

case("images are chosen, cropped, binned, turned and standardised as on the CPU, bit for bit", function()
  local images = core.new({ 9, 10, 12, 3 }, "uint8", "cpu")
  local floats = gal.randn({ 9, 10, 10, 3 }, { rng = gal.rng(28), device = "cpu" })
  core.assign(images, gal.rand({ 9, 10, 12, 3 }, { rng = gal.rng(27), device = "cpu" }) * 256)
  local turns, index = core.new({ 9 }, "uint8", "cpu"), core.new({ 9 }, "int64", "cpu")
  core.assign(turns, gal.arange(0, 8, { device = "cpu" }))
  core.assign(index, gal.tensor({ 8, 7, 0, 1, 2, 3, 6, 5, 4 }, { device = "cpu" }))
  local mean = gal.tensor({ 0.1, 0.2, 0.3 }, { device = "cpu" })
  local std = gal.tensor({ 0.5, 2, 1.5 }, { device = "cpu" })
  for _, asked in ipairs { { images, 1, 6 }, { images, 2, 4 }, { floats, 1, 8 } } do
    local x, bin, size = unpack(asked)
    local results = {}
    for i, device in ipairs { "cpu", "cuda" } do
      local function on(t) return t:to(device) end
      local y = gal.zeros({ 9, size, size, 3 }, { device = device })
      local given = { on(x), on(index), on(turns), on(mean), on(std) }
      equal(C.gal_gather_images(y.h, given[1].h, given[2].h, 0, given[3].h, given[4].h, given[5].h, bin), 0)
      results[i] = bits(y:to "cpu")
    end
    that(results[1] == results[2], "the bits differ")
  end
end)

case("a row that is named several times gets all of its terms in the CPU's order", function()
  local count, rows = 700, 40
  local index = integers(gal.rand({ count }, { rng = gal.rng(9), device = "cpu" }) * rows)
  for _, columns in ipairs { 1, 5, 300 } do
    local x, y = pair({ count, columns }, 10)
    local sums, on_card = pair({ rows, columns }, 11)
    equal(C.gal_scatter_add_rows(sums.h, x.h, index.h), 0)
    equal(C.gal_scatter_add_rows(on_card.h, y.h, index:to("cuda").h), 0)
    same_bits(on_card, sums, columns .. " columns")
  end
end)

case("indices out of range raise the first place, at the next download, and the device goes on", function()
  local x = gal.ones({ 10, 3 }, { device = "cuda" })
  local bad = integers(gal.tensor({ 1, 2, 77, 3, 99 }, { device = "cuda" }))
  local y = core.new({ 5, 3 }, "float32", "cuda")
  equal(C.gal_gather_rows(y.h, x.h, bad.h), 0)
  raises(function() y:totable() end, "gather_rows: index%[2%] is 77, expected 0 to 9 for 10 rows", true)
  equal(C.gal_scatter_add_rows(x.h, y.h, bad.h), 0)
  raises(function() x:totable() end, "scatter_add_rows: index%[2%] is 77", true)
  equal(gal.ones({ 2 }, { device = "cuda" }):sum():item(), 2)
end)

local TOLERANCE = { f32 = 1e-6, tf32 = 2e-3, f16 = 2e-3, bf16 = 1.5e-2 }

case("products of every precision are as exact as their factors, views included", function()
  for _, size in ipairs { { 3, 5, 4 }, { 64, 70, 33 }, { 300, 260, 230 } } do
    local m, k, n = unpack(size)
    local a, a2 = pair({ m, k + 1 }, 12)
    local b, b2 = pair({ n, k + 3 }, 13)
    for precision, tolerance in pairs(TOLERANCE) do
      for shift = 1, 2 do
        local left, left2 = a:narrow(2, shift, k), a2:narrow(2, shift, k)
        local right, right2 = b:narrow(2, shift, k):t(), b2:narrow(2, shift, k):t()
        local what = ("%s %d x %d x %d"):format(precision, m, k, n)
        local y2 = left2:matmul(right2, precision)
        close(y2, left:matmul(right), tolerance, what)
        local rounded = precision ~= "f32" and m * k * n > 2 ^ 24
        equal((y2 - left2:matmul(right2)):abs():max():item() > 0, rounded, what .. ", rounded")
        local t, t2 = left:t():matmul(left), left2:t():matmul(left2, precision)
        close(t2, t, tolerance, what .. ", transposed")
      end
    end
  end
end)

case("linear layers agree with the CPU in all that training asks, small and large", function()
  for _, size in ipairs { { 5, 3, 4 }, { 64, 33, 70 }, { 400, 260, 230 } } do
    local rows, inputs, outputs = unpack(size)
    for _, activation in ipairs { "identity", "relu", "silu", "gelu", "tanh" } do
      for precision, tolerance in pairs(TOLERANCE) do
        local results = {}
        for i, device in ipairs { "cpu", "cuda" } do
          local function given(shape, seed)
            local x = gal.randn(shape, { rng = gal.rng(seed), device = "cpu" }) * (1 / shape[2] ^ 0.5)
            return x:to(device):requires_grad()
          end
          local x, w = given({ rows, inputs }, 14), given({ outputs, inputs }, 15)
          local b = given({ 1, outputs }, 16)
          local y = core.linear(x, w, b:reshape { outputs }, activation,
            device == "cuda" and precision or nil)
          y:backward(gal.randn({ rows, outputs }, { rng = gal.rng(17), device = "cpu" }):to(device))
          results[i] = { y:detach(), x.grad, w.grad, b.grad }
        end
        for k, name in ipairs { "y", "dx", "dw", "db" } do
          -- A slope jumps where rounding changes the sign of z.
          local jumps = activation == "relu" and precision ~= "f32" and k > 1
          local what = ("%s of %s in %s, %d rows"):format(name, activation, precision, rows)
          if not jumps then close(results[2][k], results[1][k], 4 * tolerance, what) end
        end
      end
    end
  end
end)

case("a row of our own product has its bits whatever the other rows", function()
  local _, x = pair({ 100, 37 }, 18)
  local _, w = pair({ 50, 37 }, 19)
  local all = core.linear(x, w, nil, "silu"):to "cpu"
  for _, rows in ipairs { 1, 33, 99 } do
    same_bits(core.linear(x:narrow(1, 1, rows), w, nil, "silu"), all:narrow(1, 1, rows), rows .. " rows")
  end
end)

case("the loss, the sum of squares and clipping of long blocks agree with the CPU", function()
  for _, n in ipairs { 5, 3000, 50000 } do
    local x, x2 = pair({ n }, 20)
    local t, t2 = pair({ n }, 21)
    local results = {}
    for i, both in ipairs { { x, t, "cpu" }, { x2, t2, "cuda" } } do
      local loss = core.new({}, "float32", both[3])
      local squares = core.new({}, "float64", both[3])
      equal(C.gal_mse(loss.h, nil, both[1].h, both[2].h), 0)
      equal(C.gal_sum_squares(squares.h, both[1].h), 0)
      results[i] = { loss:item(), squares:item() }
    end
    for k = 1, 2 do
      check.near(results[2][k] / results[1][k], 1, 1e-6)
    end
  end
end)

case("batches of one block and of many have the CPU's bits, and move cursor and counter on", function()
  for _, size in ipairs { { 8, 1, 0 }, { 64, 1, 5 }, { 64, 8, 5 }, { 500, 3, 2 } } do
    local batch, draws, c = unpack(size)
    local results = {}
    for i, device in ipairs { "cpu", "cuda" } do
      local theta = gal.randn({ 600, 5 }, { rng = gal.rng(22), device = "cpu" }):to(device)
      local seen = c > 0 and gal.randn({ 600, c }, { rng = gal.rng(23), device = "cpu" }):to(device) or nil
      local order = gal.rng(24):permutation(600):to(device)
      local state, cursor = gal.rng(25):tensor(device), core.new({}, "int64", device)
      equal(C.gal_fill(cursor.h, 10), 0)
      local input = gal.zeros({ batch * draws, 6 + c }, { device = device })
      local target = core.new({ batch * draws, 5 }, "float32", device)
      local index = core.new({ batch }, "int64", device)
      local status = C.gal_flow_batch(input.h, target.h, index.h, order.h, cursor.h, theta.h, seen and seen.h,
        state.h, 0.05, draws)
      equal(status, 0)
      results[i] = { bits(input), bits(target), bits(index), bits(cursor), bits(state) }
    end
    equal(results[2], results[1])
  end
end)

check.finish()
