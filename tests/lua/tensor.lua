-- Tensors as values: constructors, elements, views, integers, scopes, memory, devices and generators; and the
-- errors of wrong arguments, at the user's line.
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local check = dofile "lua/lib/check.lua"
local case, equal, near, raises = check.case, check.equal, check.near, check.raises

-- ---- constructors ----
case("nested tables, flat tables and numbers give the same tensors as they are written", function()
  local x = gal.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
  equal(x.shape, { 2, 3 })
  equal(x:totable(), { { 1, 2, 3 }, { 4, 5, 6 } })
  equal(gal.tensor({ 1, 2, 3, 4, 5, 6 }, { 2, 3 }), x)
  equal(gal.tensor(5).shape, {})
  equal(gal.tensor(5):item(), 5)
  equal(gal.tensor({ 5 }, {}).shape, {})
  equal(gal.tensor({}).shape, { 0 })
  equal(x.dtype, "float32")
  equal(x:device(), gal.device())
  equal(gal.zeros({ 1 }, { device = "cpu" }):device(), "cpu")
end)

case("ragged, miscounted and non-numeric data raise at the user's line", function()
  raises(function() gal.tensor { { 1, 2 }, { 3 } } end,
    "tensor: element %[2%] has 1 elements, expected 2 .*ragged", true)
  raises(function() gal.tensor { { 1, 2 }, 3 } end,
    "tensor: element %[2%] is the number 3, expected a table of 2", true)
  raises(function() gal.tensor { 1, { 2 } } end, "tensor: element %[2%] is a table, expected a number", true)
  raises(function() gal.tensor({ 1, 2, 3 }, { 2, 2 }) end,
    "tensor: data has 3 elements, expected 4 for shape {2, 2}", true)
  raises(function() gal.tensor { { 1, "two" } } end,
    'tensor: element %[1%]%[2%] is the string "two", expected a number', true)
  raises(function() gal.tensor() end, "tensor: data is nil, expected", true)
  raises(function() gal.tensor(gal.zeros { 2 }) end, "tensor: data is a tensor {2}, expected .*clone", true)
  raises(function() gal.tensor({ 1 }, nil, { devise = "cpu" }) end,
    "tensor: unknown option 'devise', expected 'device'?", true)
end)

case("zeros, ones, full and arange hold what they say", function()
  equal(gal.zeros { 2, 2 }, { { 0, 0 }, { 0, 0 } })
  equal(gal.ones { 3 }, { 1, 1, 1 })
  equal(gal.full({ 2 }, 7.5), { 7.5, 7.5 })
  equal(gal.arange(4), { 1, 2, 3, 4 })
  equal(gal.arange(2, 5), { 2, 3, 4, 5 })
  equal(gal.arange(10, 1, -3), { 10, 7, 4, 1 })
  equal(gal.arange(0, 1, 0.1):size(1), 11)
  equal(gal.arange(0, 0.95, 0.1):size(1), 10)
  equal(gal.arange(5, 1).shape, { 0 })
  equal(gal.arange(3, { device = "cpu" }), { 1, 2, 3 })
  raises(function() gal.zeros(3) end, "zeros: shape is the number 3, expected a table such as {2, 3}", true)
  raises(function() gal.zeros { 2, -1 } end,
    "zeros: dimension 2 of shape is %-1, expected an integer from 0", true)
  raises(function() gal.ones { 2.5 } end, "ones: dimension 1 of shape is 2.5", true)
  raises(function() gal.zeros { 1, 1, 1, 1, 1, 1, 1, 1, 1 } end,
    "zeros: shape has 9 dimensions, expected at most 8", true)
  raises(function() gal.ones { math.huge } end, "ones: dimension 1 of shape is inf", true)
  raises(function() gal.ones({ 2 }, { device = 3 }) end,
    "ones: device is the number 3, expected a string", true)
  raises(function() gal.full({ 2 }, "x") end, 'full: value is the string "x", expected a number', true)
  raises(function() gal.arange "x" end, 'arange: last is the string "x", expected a number', true)
  raises(function() gal.arange(1, 2, 0) end, "arange: step is 0", true)
  raises(function() gal.zeros({ 2 }, { device = "cupboard" }) end, "cupboard", true)
end)

-- ---- elements ----
case("shape is a fresh table each time", function()
  local x = gal.zeros { 2, 3 }
  x.shape[1] = 99
  equal(x.shape, { 2, 3 })
  equal({ x:size(1), x:size(2), x:size(-1), x:count() }, { 2, 3, 3, 6 })
  raises(function() x:size(3) end, "size: dim is 3, expected an integer from 1 to 2", true)
  raises(function() x:size() end, "size: dim is nil", true)
end)

case("get and set count from 1 and reach through views", function()
  local x = gal.zeros { 2, 3 }
  equal(x:set(9, 2, 3), x)
  equal(x:get(2, 3), 9)
  x[1]:set(4, 2)
  x:t():set(5, 3, 1)
  x:narrow(2, 1, 1):set(6, 2, 1)
  equal(x, { { 0, 4, 5 }, { 6, 0, 9 } })
  local s = gal.tensor(2)
  s:set(3)
  equal(s:get(), 3)
  raises(function() x:get(3, 1) end, "get: index 1 is 3, expected an integer from 1 to 2", true)
  raises(function() x:get(1) end, "get: 1 indices for a tensor {2, 3}, expected 2", true)
  raises(function() x:set(1, 0, 1) end, "set: index 1 is 0, expected an integer from 1 to 2", true)
  raises(function() x:set("a", 1, 1) end, 'set: value is the string "a", expected a number', true)
  raises(function() x:get(1, 1.5) end, "get: index 2 is 1.5", true)
  raises(function() x[3] = 1 end, "x%[3%] = …: a tensor's elements are set by", true)
end)

case("item takes one element of any shape and no more", function()
  equal(gal.tensor({ 3 }, { 1, 1 }):item(), 3)
  raises(function() gal.zeros { 2 }:item() end, "item: x is {2}, expected one element", true)
end)

-- ---- views ----
case("narrow, select, t and reshape see the same elements", function()
  local x = gal.arange(24):reshape { 2, 3, 4 }
  equal(x:narrow(2, 2, 2):narrow(3, 4, 1), { { { 8 }, { 12 } }, { { 20 }, { 24 } } })
  equal(x:select(2, 3), { { 9, 10, 11, 12 }, { 21, 22, 23, 24 } })
  equal(x:select(-1, 1), { { 1, 5, 9 }, { 13, 17, 21 } })
  equal(x[2][1], { 13, 14, 15, 16 })
  equal(x:select(1, 1):t(), { { 1, 5, 9 }, { 2, 6, 10 }, { 3, 7, 11 }, { 4, 8, 12 } })
  equal(x:select(1, 1):t():reshape { -1 }, { 1, 5, 9, 2, 6, 10, 3, 7, 11, 4, 8, 12 })
  equal(x:reshape { 4, -1 }.shape, { 4, 6 })
  equal(x:narrow(1, 3, 0).shape, { 0, 3, 4 })
  raises(function() x:narrow(1, 2, 2) end, "narrow: length is 2, expected an integer from 0 to 1", true)
  raises(function() x:narrow(4, 1, 1) end, "narrow: dim is 4, expected an integer from 1 to 3", true)
  raises(function() x:narrow(1, 0, 1) end, "narrow: first is 0", true)
  raises(function() x:select(1, 3) end, "select: index is 3, expected an integer from 1 to 2", true)
  raises(function() return x[3] end, "select: index is 3", true)
  raises(function() x:t() end, "t: x is {2, 3, 4}, expected a matrix", true)
  raises(function() x:reshape { 5, -1 } end, "reshape: shape is {5, .*}, expected 24 elements in all", true)
  raises(function() x:reshape { -1, -1 } end, "reshape: dimension 2 of shape is %-1", true)
  raises(function() x:reshape { 23 } end,
    "reshape: shape is {23}, expected 24 elements in all as x {2, 3, 4} has", true)
  raises(function() x:reshape(24) end, "reshape: shape is the number 24", true)
end)

case("cat says which tensor doesn't fit", function()
  local a, b = gal.zeros { 2, 3 }, gal.ones { 1, 3 }
  equal(gal.cat { a, b }, { { 0, 0, 0 }, { 0, 0, 0 }, { 1, 1, 1 } })
  raises(function() gal.cat({ a, b }, 2) end,
    "cat: element 2 is float32 {1, 3}, expected float32 {2, 3} like element 1 but for dimension 2", true)
  raises(function() gal.cat {} end, "cat: list is a table, expected a table of tensors", true)
  raises(function() gal.cat { a, 3 } end, "cat: element 2 is the number 3, expected a tensor", true)
end)

case("contiguous and clone copy where they have to", function()
  local x = gal.arange(6):reshape { 2, 3 }
  equal(x:contiguous() == x, true)
  equal(x:t():contiguous(), { { 1, 4 }, { 2, 5 }, { 3, 6 } })
  local y = x:clone()
  y:set(0, 1, 1)
  equal(x:get(1, 1), 1)
  local d = x:detach()
  d:set(7, 1, 1)
  equal(x:get(1, 1), 7)
end)

-- ---- arithmetic: what ops.lua can't say ----
case("numbers stand on both sides of every operator", function()
  local x = gal.tensor { 1, 2, 4 }
  equal(x + 1, { 2, 3, 5 })
  equal(1 - x, { 0, -1, -3 })
  equal(2 / x, { 2, 1, 0.5 })
  equal(x ^ 2, { 1, 4, 16 })
  equal(2 ^ x, { 2, 4, 16 })
  equal(-x, { -1, -2, -4 })
  equal(gal.tensor(3) / 10, gal.tensor(0.3):item())
  equal(1 / (gal.tensor(-1) * 0 * 2):item(), -math.huge, "the sign of zero")
end)

case("an operand that doesn't fit is named with its shape, at the user's line", function()
  local a, b = gal.zeros { 2, 3 }, gal.zeros { 4 }
  raises(function() return a + b end,
    "add: a is {2, 3} and b is {4}, expected dimension 1 from the end to agree or to be 1", true)
  raises(function() return a + "x" end, 'add: b is the string "x", expected a tensor', true)
  raises(function() return nil * a end, "mul: a is nil, expected a tensor", true)
  raises(function() local _ = a:eq(b) end, "eq: a is {2, 3} and b is {4}", true)
  raises(function() local _ = a:matmul(b) end,
    "matmul: a is {2, 3} and b is {4}, expected two matrices", true)
  raises(function() local _ = a:matmul(gal.zeros { 2, 3 }) end,
    "matmul: b is {2, 3}, expected 3 rows, one for each column of a {2, 3}", true)
  raises(function() local _ = a:matmul() end, "matmul: b is nil, expected a tensor", true)
  raises(function() local _ = a:sum(3) end, "sum: dim is 3, expected an integer from 1 to 2", true)
  raises(function() local _ = a:mean(0) end, "mean: dim is 0", true)
  raises(function() local _ = a:sum(1, 1) end, "sum: keep is the number 1, expected true or false", true)
  raises(function() local _ = gal.zeros { 0 }:mean() end,
    "mean: x {0} has no elements along the reduced dimensions", true)
  raises(function() local _ = a:maximum {} end, "maximum: y is a table, expected a tensor", true)
  raises(function() local _ = a:pow "x" end, 'pow: e is the string "x", expected a tensor', true)
  raises(function() local _ = a.exp(3) end, "exp: x is the number 3, expected a tensor", true)
  raises(function() local _ = gal.tensor { 1 }:rows { 2 } end,
    "index: element 1 is 2, expected an integer from 1 to 1", true)
end)

case("std divides by the number of elements", function()
  near(gal.tensor { 1, 2, 3, 4 }:std():item(), math.sqrt(1.25), 1e-6)
end)

case("max, min and maximum are NaN where any value is", function()
  local x = gal.tensor { 1, 0 / 0, 3 }
  equal(x:max():item() ~= x:max():item(), true)
  equal(x:min():item() ~= x:min():item(), true)
  local y = x:maximum(2):totable()
  equal(y[2] ~= y[2], true)
  equal({ y[1], y[3] }, { 2, 3 })
end)

case("a sum of ten million float32 is exact to the last bit of a double's sum", function()
  local x = gal.full({ 10000000 }, 0.1)
  near(x:mean():item(), ffi.new("float", 0.1), 1e-9)
end)

-- ---- integers and bytes ----
case("int64 keeps every digit: numbers up to 2^53, text beyond", function()
  local x = core.int64({ 3 }, { 5, -7, 1237648720693755918LL })
  equal(x.dtype, "int64")
  equal(x:totable(), { 5, -7, "1237648720693755918" })
  equal(x:narrow(1, 2, 2):select(1, 1):item(), -7)
  equal(x:narrow(1, 1, 2):float(), { 5, -7 })
  equal(x:to(gal.device()) == x, true)
  equal(x.shape, { 3 })
  raises(function() return x + 1 end, "add: a is int64, expected float32; x:float%(%) converts", true)
  raises(function() local _ = x:sum() end, "sum: x is int64, expected float32", true)
  raises(function() x:requires_grad() end, "requires_grad: x is int64, expected float32", true)
end)

case("uint8 converts to float32 and knows its shape", function()
  local x = core.new({ 2, 2 }, "uint8")
  check.that(x:fill_(200) == x)
  equal(x:float() / 2, { { 100, 100 }, { 100, 100 } })
  equal(x:select(1, 1), { 200, 200 })
  raises(function() return x * x end, "uint8", true)
end)

case("rows takes Lua's numbers and index tensors count from 0", function()
  local x = gal.tensor { { 1, 2 }, { 3, 4 }, { 5, 6 } }
  equal(x:rows { 3, 1 }, { { 5, 6 }, { 1, 2 } })
  equal(x:gather(core.index { 3, 1 }), { { 5, 6 }, { 1, 2 } })
  equal(core.index({ 3, 1 }):totable(), { 2, 0 })
  raises(function() x:gather(core.int64({ 1 }, { 3 })):totable() end, "3", true)
  raises(function() local _ = x:rows { 0 } end, "index: element 1 is 0, expected", true)
end)

-- ---- printing ----
-- What a tensor's type is followed by: its device, unless that is the CPU.
local on = gal.device() == "cpu" and "" or " on " .. gal.device()
local function prints(x, text) equal(tostring(x), (text:gsub("^tensor {[%d, ]*} %w+", "%0" .. on))) end

case("a tensor prints its values where they fit, else its range and a corner", function()
  prints(gal.tensor { { 1, 2.5 }, { -3, 4 } }, "tensor {2, 2} float32\n   1  2.5\n  -3    4")
  prints(gal.tensor(2), "tensor {} float32: 2")
  prints(gal.tensor { { -7 } }, "tensor {1, 1} float32: -7")
  prints(gal.zeros { 0, 3 }, "tensor {0, 3} float32")
  prints(gal.arange(100),
    "tensor {100} float32  min 1, mean 50.5, max 100\n  1  2  3  4  5  6  7  8  ...")
  local bytes = core.new({ 20, 2 }, "uint8"):fill_(3)
  prints(bytes, "tensor {20, 2} uint8  min 3, mean 3, max 3" .. ("\n  3  3"):rep(6) .. "\n  ...")
  prints(gal.zeros { 3, 2, 2 },
    "tensor {3, 2, 2} float32  min 0, mean 0, max 0  (1, ...)\n  0  0\n  0  0")
end)

case("printing a tensor puts nothing on the tape, and reads nothing while a program is recorded", function()
  local w = gal.ones({ 2 }):requires_grad()
  prints(w * 2, "tensor {2} float32\n  2  2")
  local text
  gal.program(function() text = tostring(w:detach() + 1) end)
  equal(text, "tensor {2} float32" .. on)
end)

-- ---- generators ----
case("a generator's numbers are those of its seed and of nothing else", function()
  local a, b = gal.rng(7), gal.rng(7)
  local first = gal.randn({ 10 }, { rng = a })
  gal.rand { 5 }
  equal(gal.randn({ 10 }, { rng = b }), first)
  check.that(gal.randn({ 10 }, { rng = a }):get(1) ~= first:get(1), "the next draw is another")
  check.that(gal.randn({ 10 }, { rng = gal.rng(8) }):get(1) ~= first:get(1),
    "another seed gives other numbers")
end)

case("a restored state goes on with the same numbers", function()
  local r = gal.rng(-3)
  gal.randn({ 13 }, { rng = r })
  local state = r:state()
  equal(type(state), "string")
  local next_ones = gal.rand({ 9 }, { rng = r })
  equal(gal.rand({ 9 }, { rng = gal.rng(1):set_state(state) }), next_ones)
  raises(function() r:set_state "nonsense" end,
    'set_state: s is the string "nonsense", expected a state that r:state%(%) returned', true)
  raises(function() gal.rng() end, "rng: seed is nil, expected an integer", true)
  raises(function() gal.rng(1.5) end, "rng: seed is 1.5", true)
  raises(function() gal.randn({ 2 }, { rng = 7 }) end,
    "randn: rng is the number 7, expected a generator", true)
end)

case("rand is in [0, 1), randn has mean 0 and deviation 1, within four standard errors", function()
  local n = 100000
  local u, z = gal.rand({ n }, { rng = gal.rng(11) }), gal.randn({ n }, { rng = gal.rng(12) })
  check.that(u:min():item() >= 0 and u:max():item() < 1)
  near(u:mean():item(), 0.5, 4 * math.sqrt(1 / 12 / n))
  near(z:mean():item(), 0, 4 / math.sqrt(n))
  near(z:std():item(), 1, 4 / math.sqrt(2 * n))
end)

case("a permutation names every row once and differs from seed to seed", function()
  local order = gal.rng(5):permutation(100)
  local seen = {}
  for _, row in ipairs(order:totable()) do seen[row + 1] = true end
  for i = 1, 100 do check.that(seen[i], "row " .. i) end
  check.that(check.text(gal.rng(6):permutation(100)) ~= check.text(order))
end)

case("forks are the same for the same name and differ for others", function()
  local r = gal.rng(9)
  equal(gal.rand({ 4 }, { rng = r:fork "a" }), gal.rand({ 4 }, { rng = gal.rng(9):fork "a" }))
  check.that(gal.rand({ 1 }, { rng = r:fork "a" }):item() ~= gal.rand({ 1 }, { rng = r:fork "b" }):item())
end)

case("a stream's first numbers don't depend on how many are drawn nor on its neighbours", function()
  local streams = core.int64({ 3 }, { 5, 6, 7 })
  local few = gal.rng(1):normal_streams(streams, 4)
  equal(gal.rng(1):normal_streams(streams, 9):narrow(2, 1, 4), few)
  equal(gal.rng(1):normal_streams(streams:narrow(1, 2, 1):clone(), 4)[1], few[2])
end)

-- ---- scopes ----
case("a scope returns kept tensors and plain values", function()
  local x = gal.tensor { 1, 2 }
  local y, n = gal.scope(function(z) return (x + z):keep(), 5 end, 1)
  equal(y, { 2, 3 })
  equal(n, 5)
  equal(gal.scope(function() return x end) == x, true)
end)

case("a result that was not kept raises, and so does a tensor used after its scope", function()
  raises(function() gal.scope(function() return gal.zeros { 2 } end) end,
    "scope: result 1 is a tensor that ends with the scope, expected it kept", true)
  local stale
  gal.scope(function() stale = gal.ones { 2, 3 } end)
  raises(function() return stale + 1 end,
    "add: a is a stale tensor: the scope it was made in has closed", true)
  raises(function() return stale.shape end, "stale tensor", true)
  raises(function() stale:totable() end, "totable: x is a stale tensor", true)
  raises(function() local _ = gal.zeros { 2, 3 } + stale end, "add: b is a stale tensor", true)
  raises(function() stale:keep() end, "keep: x is a stale tensor", true)
  equal(tostring(stale), "stale tensor")
end)

case("a scope closes on an error, passes it on, and nests", function()
  local inside
  raises(function() gal.scope(function() inside = gal.zeros { 1 } error "broken" end) end, "broken", true)
  raises(function() inside:item() end, "stale", true)
  local value = gal.scope(function()
    local outer = gal.ones { 2 }
    local kept = gal.scope(function() return (outer * 3):keep() end)
    raises(function() gal.scope(function() core.scope_open() error "deep" end) end, "deep")
    return (outer + kept):keep()
  end)
  equal(value, { 4, 4 })
  equal(ffi.C.gal_scope_close() ~= 0, true) -- none is open
  raises(function() gal.scope(3) end, "scope: fn is the number 3, expected a function", true)
end)

case("a scope's tensors have the same addresses every time and no handles outside", function()
  local function addresses()
    return gal.scope(function()
      local a = gal.zeros { 100 }
      local b = a + 1
      return tostring(a.h.data) .. tostring(b.h.data)
    end)
  end
  check.collect()
  local before = gal.memory().tensors
  equal(addresses(), addresses())
  equal(gal.memory().tensors, before)
end)

-- ---- memory ----
case("memory counts tensors and bytes, and a collection gives them back", function()
  check.collect()
  local before = gal.memory()
  local x = gal.zeros { 1024, 1024 }
  local during = gal.memory()
  equal(during.tensors - before.tensors, 1)
  equal(during.live - before.live, 4 * 2 ^ 20)
  check.that(during.peak >= during.live and during.reserved >= during.live and during.limit > 0)
  x = nil
  check.collect()
  equal(gal.memory().live, before.live)
end)

case("garbage tensors are collected long before they fill the machine", function()
  collectgarbage()
  local before = gal.memory().live
  for _ = 1, 300 do gal.zeros { 4 * 2 ^ 20 / 4 } end
  check.that(gal.memory().live - before < 600 * 2 ^ 20, "live memory stays below 600 MiB of 1200 made")
end)

case("over the soft limit garbage is collected first, and only then an error raised", function()
  check.collect()
  local info = gal.memory()
  ffi.C.gal_memory_set_limit(gal.device(), info.live + 10 * 2 ^ 20)
  local ok, message = pcall(function()
    for _ = 1, 100 do gal.zeros { 2 ^ 20 } end -- 4 MiB each, dropped at once
    local message = raises(function()
      return { gal.zeros { 2 ^ 20 }, gal.zeros { 2 ^ 20 }, gal.zeros { 2 ^ 20 } }
    end, "limit", true)
    return message
  end)
  ffi.C.gal_memory_set_limit(gal.device(), info.limit)
  if not ok then error(message, 0) end
end)

case("over the soft limit memory comes back that only compiled code holds", function()
  check.collect()
  local info = gal.memory()
  local function compiled()
    local x, wanted = gal.zeros { 2 ^ 20 }, true -- 4 MiB
    local function read() return wanted and x end
    for _ = 1, 1000 do read() end -- one trace, with this closure in it
  end
  compiled()
  ffi.C.gal_memory_set_limit(gal.device(), info.live + 10 * 2 ^ 20)
  local ok, message = pcall(function() return { gal.zeros { 2 ^ 20 }, gal.zeros { 2 ^ 20 } } end)
  ffi.C.gal_memory_set_limit(gal.device(), info.limit)
  check.that(ok, message)
end)

-- ---- devices ----
case("the default device is named, and one that can't be had raises with the reason", function()
  local default = gal.device()
  equal(gal.device "cpu", "cpu")
  equal(gal.zeros({ 1 }):device(), "cpu")
  equal(gal.device(default), default)
  equal(gal.has "cpu", true)
  local has, reason = gal.has "abacus"
  equal(has, false)
  check.that(type(reason) == "string" and reason:find "abacus", tostring(reason))
  raises(function() gal.device "abacus" end, "abacus", true)
  raises(function() gal.device(1) end, "device: name is the number 1", true)
  raises(function() gal.zeros { 1 }:to "abacus" end, "abacus", true)
  raises(function() gal.zeros { 1 }:to(1) end, "to: device is the number 1", true)
end)

check.case("what is no tensor has no index of one", function()
  local index = getmetatable(gal.zeros{ 1 }).__index
  check.raises(function() index({ h = 5 }, { 2, 8 }) end, "a tensor's index is one number", true)
end)

check.finish()
