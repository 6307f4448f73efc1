-- ranks: where a value stands among others, ties broken at random, and the Legendre polynomials of ranks. The
-- values here are those of one galaxy: its truth and its draws, all alike.
local ffi = require "ffi"
local bit = require "bit"
local band, bor, bxor, arshift, rshift = bit.band, bit.bor, bit.bxor, bit.arshift, bit.rshift

local ranks = {}

local Order = {}
Order.__index = Order

--- ranks.order(most, uniform): what ranks at most so many values at a time; ties are broken by uniform(), a
-- number in [0, 1).
function ranks.order(most, uniform)
  return setmetatable({
    uniform = uniform, single = ffi.new("float[?]", most), keys = ffi.new("int32_t[?]", most),
    index = ffi.new("int32_t[?]", most), other_keys = ffi.new("int32_t[?]", most),
    other_index = ffi.new("int32_t[?]", most), count = ffi.new("int32_t[256]"),
  }, Order)
end

-- Keys that order as the floats do where they are compared as unsigned integers.
local function make_keys(self, values, first, n)
  local single, keys, index = self.single, self.keys, self.index
  for i = 0, n - 1 do single[i] = values[first + i] + 0 end -- -0 becomes 0
  local bits = ffi.cast("int32_t *", single)
  for i = 0, n - 1 do
    local b = bits[i]
    keys[i] = bxor(b, bor(arshift(b, 31), bit.tobit(0x80000000)))
    index[i] = i
  end
end

-- One pass of the radix sort, by the eight bits from `shift` on.
local function pass(keys, index, to_keys, to_index, n, shift, count)
  ffi.fill(count, 4 * 256)
  for i = 0, n - 1 do
    local digit = band(rshift(keys[i], shift), 255)
    count[digit] = count[digit] + 1
  end
  local sum = 0
  for digit = 0, 255 do
    local c = count[digit]
    count[digit] = sum
    sum = sum + c
  end
  for i = 0, n - 1 do
    local digit = band(rshift(keys[i], shift), 255)
    local at = count[digit]
    count[digit] = at + 1
    to_keys[at], to_index[at] = keys[i], index[i]
  end
end

-- Brings the values that are equal into a random order (Fisher & Yates).
local function break_ties(keys, index, n, uniform)
  local first = 0
  while first < n do
    local last = first
    while last + 1 < n and keys[last + 1] == keys[first] do last = last + 1 end
    for i = last, first + 1, -1 do
      local other = first + math.floor(uniform() * (i - first + 1))
      index[i], index[other] = index[other], index[i]
    end
    first = last + 1
  end
end

--- order:of(values, first, n, rank): rank[i], 0 … n - 1, of values[first + i] among values[first …
-- first + n - 1], for i from 0; the values are told apart in single precision. rank: an int32_t array {n}.
function Order:of(values, first, n, rank)
  make_keys(self, values, first, n)
  local keys, index, to_keys, to_index = self.keys, self.index, self.other_keys, self.other_index
  for shift = 0, 24, 8 do
    pass(keys, index, to_keys, to_index, n, shift, self.count)
    keys, index, to_keys, to_index = to_keys, to_index, keys, index
  end
  break_ties(keys, index, n, self.uniform)
  for i = 0, n - 1 do rank[index[i]] = i end
end

--- ranks.legendre(n, into): the Legendre polynomials 1 to 4 of the ranks 0 … n - 1, taken at the middle of
-- each rank's share of [0, 1] and scaled to deviation 1 over [0, 1]: into[l n + k] for the polynomial l + 1.
-- Their sums over galaxies are the components of Neyman's (1937) smooth test.
function ranks.legendre(n, into)
  for k = 0, n - 1 do
    local x = 2 * (k + 0.5) / n - 1
    local x2 = x * x
    into[k] = math.sqrt(3) * x
    into[n + k] = math.sqrt(5) * (3 * x2 - 1) / 2
    into[2 * n + k] = math.sqrt(7) * (5 * x2 - 3) * x / 2
    into[3 * n + k] = 3 * ((35 * x2 - 30) * x2 + 3) / 8
  end
  return into
end

return ranks
