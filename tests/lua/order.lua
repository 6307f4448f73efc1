-- Order statistics, running sums, choice and the reductions beside them: NumPy's values
-- (golden/tensor_order.py), gradients against finite differences, and what they refuse.
local gal = require "gal"
local harness = dofile "lua/lib/harness.lua"
local check, like = harness.check, harness.like
local case, equal, near, raises = check.case, check.equal, check.near, check.raises
local promise = dofile("lua/lib/document.lua").promises(check)
local golden = require("gal.base.json").decode(require("gal.base.path").read "golden/tensor_order.json")

local function plain(told)
  local flat = {}
  for i, v in ipairs(told.values) do flat[i] = v == "nan" and 0 / 0 or v end
  return flat, told.shape
end
local function tensor(told) return gal.tensor(plain(told)) end

-- y has NumPy's shape and values; float32 rounds a number once, variances and products some times.
local function is(y, told, what)
  local expected, shape = plain(told)
  equal(y.shape, shape, what .. ", its shape")
  local got = y:reshape({ -1 }):totable()
  for i, v in ipairs(expected) do
    if v ~= v then
      check.that(got[i] ~= got[i], ("%s, element %d: %s, expected NaN"):format(what, i, tostring(got[i])))
    else
      near(got[i], v, 2e-6 * math.max(1, math.abs(v)), ("%s, element %d"):format(what, i))
    end
  end
end

local EXACT = { "median", "any", "all", "argmax", "argmin", "var", "prod" }
local ROWS = { "argsort", "sort", "cumsum" }

for _, kind in ipairs { "plain", "with_nan" } do
  for _, row in ipairs(golden[kind]) do
    local dim = row.axis > 0 and row.axis or nil
    local function x()
      local y = tensor(golden.x)
      return kind == "plain" and y or y:set(0 / 0, 2, 3, 4)
    end
    case(("%s, %s, are NumPy's"):format(dim and "along " .. dim or "of all", kind), function()
      is(x():quantile(golden.levels, dim), row.quantile, "quantile")
      for i, q in ipairs(golden.levels) do
        local one, all = x():quantile(q, dim), x():quantile(golden.levels, dim)[i]
        check.that(check.bits(one) == check.bits(all), "one level is not the same among several")
      end
      for _, name in ipairs(EXACT) do
        local y = x()
        is(y[name](y, dim), row[name], name)
        local kept = y[name](y, dim, true)
        equal(kept.shape, y:sum(dim, true).shape, name .. " kept, its shape")
        is(kept:reshape(row[name].shape), row[name], name .. " kept")
      end
      for _, name in ipairs(dim and ROWS or {}) do
        local y = x()
        is(y[name](y, dim), row[name], name)
        -- A view with other strides, and -1 for the last dimension.
        local view = gal.cat({ y, y }, 3):narrow(3, 3, 5)
        local turned = gal.cat({ y:narrow(3, 3, 3), y:narrow(3, 1, 2) }, 3)
        equal(check.bits(view[name](view, dim)), check.bits(turned[name](turned, dim)), name .. " of a view")
        if dim == 3 then equal(check.bits(y[name](y, -1)), check.bits(y[name](y, 3)), name .. " along -1") end
      end
    end)
  end
end

case("clamp and where are NumPy's, and carry no NaN of what is not chosen", function()
  local x = tensor(golden.x)
  local with_nan = x:clone():set(0 / 0, 2, 3, 4)
  is(with_nan:clamp(-0.5, 1.25), golden.clip, "clamp")
  is(gal.where(x:gt(0.5), with_nan, -x), golden.where, "where")
  local mask = gal.tensor { 1, 0, -2, 0 / 0, -0 }
  local odd = gal.tensor { 0 / 0, math.huge, 3, 4, 5 }
  equal(gal.where(mask, 1, odd):totable(), { 1, math.huge, 1, 1, 5 })
  equal(odd:where(mask:eq(mask), 7):totable()[4], 7)
  equal(gal.where(gal.tensor { { 1 }, { 0 } }, gal.tensor { 1, 2 }, 9):totable(), { { 1, 2 }, { 9, 9 } })
  -- A zero keeps its sign.
  equal(1 / gal.where(gal.tensor { 1 }, -0.0 * gal.ones { 1 }, 5):item(), -math.huge)
  equal({ x:clamp(nil, 1):max():item(), x:clamp(1):min():item() }, { 1, 1 })
  equal(gal.tensor({ 1, 5, 9 }):clamp(gal.tensor { 2, 2, 2 }, gal.tensor { 3, 8, 8 }):totable(), { 2, 5, 8 })
end)

-- ---- gradients ----

harness.case{ "where", shapes = { { { 4, 3 }, { 4, 3 } }, { { 4, 3 }, { 3 } } },
  call = function(a, b)
    return gal.where(gal.tensor({ 1, 0, 0, 1 }, { 4, 1 }), a, b)
  end,
  ref = function(a, b)
    local y = { shape = a.shape }
    for i = 1, #a do
      local row = math.ceil(i / 3)
      y[i] = (row == 1 or row == 4) and a[i] or b[#b == 3 and (i - 1) % 3 + 1 or i]
    end
    return y
  end }
harness.case{ "clamp", shapes = { { { 40 } } }, call = function(x) return x:clamp(-1, 0.5) end,
  ref = function(a) return like(a, function(v) return math.min(math.max(v, -1), 0.5) end) end }
for dim = 1, 3 do
  harness.case{ "cumsum along " .. dim, shapes = { { { 4, 5, 3 } } }, sums = true,
    call = function(x) return x:cumsum(dim) end,
    ref = function(a)
      local y, step = { shape = a.shape }, ({ 15, 3, 1 })[dim]
      for i = 1, #a do
        y[i] = a[i] + (math.floor((i - 1) / step) % a.shape[dim] > 0 and y[i - step] or 0)
      end
      return y
    end }
end
harness.case{ "var along 1", shapes = { { { 7, 3 } } }, call = function(x) return x:var(1) end, terms = 3,
  tolerance = 2e-6,
  ref = function(a)
    local y = { shape = { 3 } }
    for j = 1, 3 do
      local mean, sum = 0, 0
      for i = 0, 6 do mean = mean + a[3 * i + j] / 7 end
      for i = 0, 6 do sum = sum + (a[3 * i + j] - mean) ^ 2 end
      y[j] = sum / 7
    end
    return y
  end }
harness.case{ "prod along 2", shapes = { { { 3, 7 } }, { { 2, 4 } } }, tolerance = 2e-6,
  call = function(x) return x:prod(2) end,
  ref = function(a)
    local n, y = a.shape[2], { shape = { a.shape[1] } }
    for i = 1, a.shape[1] do
      y[i] = 1
      for j = 1, n do y[i] = y[i] * a[(i - 1) * n + j] end
    end
    return y
  end }

case("a product's gradient is right where elements are 0", function()
  local w = gal.tensor({ { 3, 0, 2 }, { 0, 5, 0 } }):requires_grad()
  w:prod(2):sum():backward()
  equal(w.grad, { { 0, 6, 0 }, { 0, 0, 0 } })
end)

-- ---- how they go together ----

case("rows in the order of argsort are sorted, equal ones as they came, of many rows", function()
  local x = gal.rand({ check.sized(70000, 3000) }, { rng = gal.rng(4) }) * 500
  local values = x:totable()
  for i, v in ipairs(values) do values[i] = math.floor(v) end -- 500 values, each many times
  local order = gal.tensor(values):argsort():totable()
  for i = 2, #values do
    local before, here = order[i - 1], order[i]
    local a, b = values[before + 1], values[here + 1]
    if not (a < b or a == b and before < here) then
      check.that(false, ("%g of row %d stands before %g of row %d"):format(a, before, b, here))
    end
  end
  check.that(check.bits(x:rows(x:argsort())) == check.bits(x:sort()), "rows in order are not x sorted")
  check.that(x[x:argmax():item()]:item() == x:max():item(), "argmax is not where max is")
end)

case("argmax of more than single precision can count", function()
  local x = gal.zeros({ check.sized(2 ^ 24 + 9, 99) }, { device = gal.device() })
  x:set(1, x:count() - 2)
  equal(x:argmax():item(), x:count() - 2)
  equal(x:argmin():item(), 1)
end)

case("empty tensors and single numbers have the results that numpy has, or say why not", function()
  local none, one = gal.zeros { 0, 3 }, gal.tensor(5)
  equal(none:prod(1):totable(), { 1, 1, 1 })
  equal({ none:any():item(), none:all():item() }, { 0, 1 })
  equal(none:cumsum(1).shape, { 0, 3 })
  equal(none:argsort(1).shape, { 0, 3 })
  equal({ one:median():item(), one:argmax():item(), one:argsort():item(), one:prod():item() }, { 5, 1, 0, 5 })
  equal(one:quantile({ 0, 1 }):totable(), { 5, 5 })
  raises(function() none:median(1) end, "quantiles: x is .*, expected at least 1 element a row")
  raises(function() none:argmin() end, "argmin: x {0, 3} has no elements along the reduced dimensions")
end)

case("linspace has both ends", function()
  equal(gal.linspace(0, 1, 5):totable(), { 0, 0.25, 0.5, 0.75, 1 })
  equal(gal.linspace(3, -3, 3):totable(), { 3, 0, -3 })
  equal(gal.linspace(2, 9, 1):totable(), { 2 })
  near(gal.linspace(-1, 0.3, 1000):get(1000), 0.3, 1e-7)
  raises(function() gal.linspace(0, 1, 0) end, "linspace: n is 0, expected an integer from 1", true)
end)

-- ---- what lua/TENSORS.md promises ----

promise("`argsort` counts from 0, for `x:rows`, as `rng:permutation` does; `argmax` and `argmin` count "
  .. "from 1, for `x[i]` and `x:get`, and without `dim` in row-major order; they are int64.", function()
  local x = gal.tensor { { 4, 9 }, { 1, 9 }, { 4, 2 } }
  check.equal(x:rows(x:select(2, 1):argsort()), { { 1, 9 }, { 4, 9 }, { 4, 2 } })
  check.equal(x[x:argmax(1):get(1)]:totable(), { 4, 9 })
  check.equal({ x:argmax():item(), x:argmin():item() }, { 2, 3 })
  for _, y in ipairs { x:argsort(), x:argmax(), x:argmin(2) } do check.equal(y.dtype, "int64") end
end)

promise("A NaN among the elements makes them NaN: `gal.where(x:isnan(), 0, x)` puts a number in its place.",
  function()
    local x = gal.tensor { 1, 0 / 0, 3 }
    local middle = x:median():item()
    check.that(middle ~= middle, "the median of a NaN")
    check.equal(gal.where(x:isnan(), 0, x):median():item(), 1)
  end)

-- ---- what is refused ----

case("what has no gradient says so, and wrong arguments are named", function()
  local w = gal.ones({ 2, 3 }):requires_grad()
  for _, name in ipairs { "median", "argmax", "argmin", "argsort", "sort" } do
    raises(function() w[name](w) end, "has no gradient; use detach%(%)", true)
  end
  local x = gal.ones { 2, 3 }
  raises(function() x:quantile(50) end, "quantile: q is 50, expected a number from 0 to 1", true)
  raises(function() x:quantile { 0.5, 2 } end, "quantile: q%[2%] is 2, expected a number from 0 to 1", true)
  raises(function() x:quantile(0.5, 3) end, "quantile: dim is 3, expected an integer from 1 to 2", true)
  raises(function() x:quantile(0.5, 1, 1) end, "quantile: keep is the number 1, expected true or false", true)
  raises(function() x:cumsum() end, "cumsum: dim is nil, expected an integer from 1 to 2", true)
  raises(function() x:clamp(2, 1) end, "clamp: least is 2, expected a number up to most, 1", true)
  raises(function() x:clamp() end, "clamp: least and most are nil", true)
  raises(function() x:clamp "1" end, 'clamp: least is the string "1", expected a tensor', true)
  raises(function() gal.where(true, x, x) end, "where: mask is the boolean true, expected a tensor", true)
  raises(function() gal.where(x, x, gal.ones { 4 }) end, "where: mask is {2, 3} and b is {4}, expected", true)
end)

case("an index that is a table is refused with the words for it", function()
  local x = gal.ones { 2, 3 }
  raises(function() return x[{ 1, 2 }] end,
    "x%[{1, 2}%]: a tensor's element is x:get%(1, 2%); a row is x%[1%], a column x:select%(2, 2%)", true)
  raises(function() return x[{ {}, 1 }] end,
    "a tensor's index is one number, x%[i%]; a column of x is x:select%(2, j%), a range .* x:narrow", true)
end)

case("a NaN does not hide a tensor's range when it is printed", function()
  local x = gal.arange(1000):set(0 / 0, 3):set(0 / 0, 1000)
  check.that(tostring(x):find("min 1, mean 500.5, max 999, 2 NaN", 1, true), tostring(x))
  check.that(tostring(gal.zeros { 100 } / 0):find("all NaN", 1, true), tostring(gal.zeros { 100 } / 0))
end)

check.finish()
