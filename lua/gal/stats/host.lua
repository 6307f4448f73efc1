-- Flat double arrays on the host, into which statistics that run in Lua read tensors, and rows as Lua tables.
-- Tensors themselves are tensor.lua's.

local ffi = require "ffi"
local core = require "gal.tensor"

local array = {}

--- A double array of n values, all 0, counting from 0.
function array.new(n)
  return ffi.new("double[?]", n)
end

--- The values of x, a tensor or a flat Lua table of numbers: a double array counting from 0 that the caller
-- owns, and their number.
function array.read(x)
  if not core.is_tensor(x) then return ffi.new("double[?]", #x, x), #x end
  local elements, n = core.read(x)
  local values = ffi.new("double[?]", n)
  for i = 0, n - 1 do values[i] = elements[i] end
  return values, n
end

--- A Lua table {n} of values, n of them from `first` (counting from 0).
function array.list(values, n, first)
  local list, shift = {}, (first or 0) - 1
  for i = 1, n do list[i] = values[shift + i] end
  return list
end

--- The rows of x {N, d}, a tensor, as Lua tables {N}{d}.
function array.rows(x)
  local values, n, d = array.read(x), x:size(1), x:size(2)
  local rows = {}
  for k = 1, n do rows[k] = array.list(values, d, (k - 1) * d) end
  return rows
end

--- The elements of x, a tensor, ascending with NaN last, as a double array, and their number.
function array.sorted(x)
  return array.read(x:reshape{ -1 }:sort())
end

return array
