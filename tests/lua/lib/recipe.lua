-- The integer hash that golden values are made of (golden/mlp_adamw.py says it in words): the same numbers in
-- Python and here, to the last bit.
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local check = require("gal.base.errors").check

local recipe = { ROOT3 = 1.7320508075688772 }

local function mul(x, c) -- x c mod 2^32, every term below 2^49
  local high = (math.floor(x / 65536) * c) % 65536
  return (high * 65536 + (x % 65536) * c) % 4294967296
end
local function unsigned(x) return x % 4294967296 end
local function mix(x)
  x = unsigned(bit.bxor(x, bit.rshift(x, 16)))
  x = mul(x, 0x7feb352d)
  x = unsigned(bit.bxor(x, bit.rshift(x, 15)))
  x = mul(x, 0x846ca68b)
  return unsigned(bit.bxor(x, bit.rshift(x, 16)))
end

--- h(stream, i): 32 bits, as a number.
local function h(stream, i) return mix((mix(stream) + i) % 4294967296) end
--- u(stream, i) in [0, 1), s(stream, i) in [-1, 1): multiples of 2^-24 and 2^-23.
local function u(stream, i) return math.floor(h(stream, i) / 256) * 2 ^ -24 end
local function s(stream, i) return 2 * u(stream, i) - 1 end

local float = ffi.new "float[1]"
--- f32(v): v rounded to float32.
local function f32(v)
  float[0] = v
  return float[0]
end
recipe.h, recipe.u, recipe.s, recipe.f32 = h, u, s, f32

--- filled(shape, fn): the tensor whose element i, row-major and from 0, is fn(i); and the same as a float
-- array.
function recipe.filled(shape, fn)
  local count = 1
  for _, n in ipairs(shape) do count = count * n end
  local host = ffi.new("float[?]", count)
  for i = 0, count - 1 do host[i] = fn(i) end
  local y = core.new(shape)
  check(ffi.C.gal_tensor_write(y.h, host, count))
  return y, host
end

return recipe
