-- What the tests of the CUDA device share: whether it is the double (tests/cuda/double) and what that knows
-- of graphs; galrun on it as a process; and values held against the CPU's.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local host = require "gal.host"

local card = {}

local library = os.getenv "GALRUN_TEST_DEVICE"

--- Whether the device is the double, and not a card.
card.is_double = library ~= nil and library:find("/double/", 1, true) ~= nil

ffi.cdef "size_t gal_double_nodes(const char **names);"
local double = card.is_double and ffi.load(library)

--- nodes() --> how many nodes the graph has that was made last, and their names; nothing on a card.
function card.nodes()
  if not double then return end
  local names = ffi.new "const char *[1]"
  local count = tonumber(double.gal_double_nodes(names))
  return count, ffi.string(names[0])
end

--- run(scratch, settings, lua): runs this Lua in a process with these settings of the double; returns its
-- exit code, and standard output and error together.
function card.run(scratch, settings, lua)
  return scratch.run(("%s '%s' --device cuda -e '%s'"):format(settings, host.executable, lua))
end

--- close(y, expected, tolerance, what): fails where |y - expected| > tolerance times the largest |expected|.
function card.close(y, expected, tolerance, what)
  local off = (y:to "cpu" - expected:to "cpu"):abs():max():item()
  local size = math.max(1e-30, expected:abs():max():item())
  check.that(off <= tolerance * size,
    ("%s: apart by %.3g of %.3g, tolerance %.3g"):format(what, off, size, tolerance))
end

return card
