-- Galaxies chosen by rules that can be printed, and that choose the same ones again.
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local metrics = require "gal.metrics"
local raise = errors.raise

local selection = {}

-- x and y as arrays from 0, of one length that is not 0.
local function both(where, x, y)
  local a, b, n = host.pairs(where, x, y)
  if n == 0 then raise("%s: there are no values", where) end
  return a, b, n
end

-- The numbers, from 1, of those of n for which test(k) holds, k from 0.
local function where_true(n, test)
  local list = {}
  for k = 0, n - 1 do
    if test(k) then list[#list + 1] = k + 1 end
  end
  return list
end

-- The numbers of the pairs that are finite, and these pairs as two lists.
local function finite(a, b, n)
  local good, columns = host.finite_pairs(a, b, n), { {}, {} }
  for i, k in ipairs(good) do columns[1][i], columns[2][i] = a[k - 1], b[k - 1] end
  return good, columns
end

--- selection.within(x, y, xs, ys): the positions, a list from 1, of the pairs in the box xs = {low, high} by
-- ys = {low, high}, its edges included.
function selection.within(x, y, xs, ys)
  local a, b, n = both("within", x, y)
  for _, named in ipairs{ { "xs", xs }, { "ys", ys } } do
    local range = errors.list("within", named[1], named[2], "two numbers {low, high}")
    for i = 1, 2 do errors.number("within", ("%s[%d]"):format(named[1], i), range[i]) end
  end
  return where_true(n, function(k)
    return a[k] >= xs[1] and a[k] <= xs[2] and b[k] >= ys[1] and b[k] <= ys[2]
  end)
end

--- selection.box(x, y, shares): a box along a relation: x between the quantiles `shares` = {low, high} of x,
-- y between the 10 and 90 % quantiles of the y of those: {x = {low, high}, y = {low, high}}. Pairs that are
-- not of finite numbers are left out. Raises where a side has no length.
function selection.box(x, y, shares)
  local a, b, n = both("box", x, y)
  errors.list("box", "shares", shares, "two shares {low, high}")
  for i = 1, 2 do errors.number("box", ("shares[%d]"):format(i), shares[i], 0, 1) end
  local good, columns = finite(a, b, n)
  if #good == 0 then raise "box: no pair is of finite numbers" end
  local xs, some = metrics.quantile(columns[1], { shares[1], shares[2] }), {}
  for i, v in ipairs(columns[1]) do
    if v >= xs[1] and v <= xs[2] then some[#some + 1] = columns[2][i] end
  end
  if #some == 0 then raise("box: no x lies between its quantiles %g and %g", shares[1], shares[2]) end
  local ys = metrics.quantile(some, { 0.1, 0.9 })
  if not (ys[1] < ys[2] and xs[1] < xs[2]) then
    raise("box: %d of %d galaxies lie between the quantiles %g and %g of x: too few for a box, or all alike",
      #some, #good, shares[1], shares[2])
  end
  return { x = xs, y = ys }
end

--- selection.some(positions, count, seed): at most `count` of a list of positions at random, by the seed.
function selection.some(positions, count, seed)
  errors.list("some", "positions", positions, "a list of positions")
  errors.integer("some", "count", count, 0, 2 ^ 53)
  local rng, chosen = gal.rng(errors.integer("some", "seed", seed, -2 ^ 53, 2 ^ 53)), {}
  for i, k in ipairs(host.shuffled(#positions, rng)) do
    if i > count then break end
    chosen[i] = positions[k]
  end
  return chosen
end

-- That one of the positions which is nearest to their medians. arrays: the values, from 0, of each of several
-- columns; all: lists whose deviations are the units.
local function central(positions, arrays, all)
  local best, least = positions[1], math.huge
  local middle, unit = {}, {}
  for i, array in ipairs(arrays) do
    local own = {}
    for j, k in ipairs(positions) do own[j] = array[k - 1] end
    middle[i] = metrics.quantile(own, 0.5)
    local _, deviation = metrics.moments(all[i])
    unit[i] = deviation > 0 and deviation or 1
  end
  for _, k in ipairs(positions) do
    local distance = 0
    for i, array in ipairs(arrays) do distance = distance + ((array[k - 1] - middle[i]) / unit[i]) ^ 2 end
    if distance < least then best, least = k, distance end
  end
  return best
end

-- The shares of a corner that are tried: each is wider than the one before.
local SHARES = { 0.2, 0.3, 0.4, 0.5 }

--- selection.corner(x, y, sides): a galaxy that stands for a corner of a plane. sides = {"high", "low"}: of
-- those with x in its highest fifth and y in its lowest the one that is nearest to their medians, in
-- deviations of x and y. Where fewer than five are in a corner its shares grow, to thirds and halves. Values
-- that are no numbers are left out. Returns {position, among (how many), share, x = the limit on x, y = the
-- limit on y}; raises where no galaxy is in the corner.
function selection.corner(x, y, sides)
  local a, b, n = both("corner", x, y)
  errors.list("corner", "sides", sides, "{\"high\" or \"low\", \"high\" or \"low\"}")
  for i = 1, 2 do
    if sides[i] ~= "high" and sides[i] ~= "low" then
      raise("corner: sides[%d] is %s, expected \"high\" or \"low\"", i, errors.kind(sides[i]))
    end
  end
  local good, columns = finite(a, b, n)
  if #good == 0 then raise "corner: no pair is of finite numbers" end
  local found, limits, share
  for _, tried in ipairs(SHARES) do
    share, limits, found = tried, {}, {}
    for i = 1, 2 do limits[i] = metrics.quantile(columns[i], sides[i] == "high" and 1 - tried or tried) end
    local function inside(i, value)
      if sides[i] == "high" then return value >= limits[i] end
      return value <= limits[i]
    end
    for _, k in ipairs(good) do
      if inside(1, a[k - 1]) and inside(2, b[k - 1]) then found[#found + 1] = k end
    end
    if #found >= 5 then break end
  end
  if #found == 0 then
    raise("corner: no galaxy is in the %s half of x and the %s half of y", sides[1], sides[2])
  end
  return {
    position = central(found, { a, b }, columns), among = #found, share = share, x = limits[1],
    y = limits[2],
  }
end

return selection
