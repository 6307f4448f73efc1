-- sweep/sobol: points that fill a cube more evenly than random ones: the sequence of Sobol (1967) with the
-- direction numbers of Joe and Kuo (2008), computed as in their section 2 without Gray codes, so that point k
-- is the same however many are asked for.
local bit = require "bit"
local errors = require "gal.base.errors"

local sobol = {}

-- For dimensions 2 to 64, from new-joe-kuo-6.21201 (https://web.maths.unsw.edu.au/~fkuo/sobol): a primitive
-- polynomial over the field of two elements as a number, with its first and last coefficients, and the
-- initial numbers m.
local NUMBERS = [[
  3:1 7:1,3 11:1,3,1 13:1,1,1 19:1,1,3,3 25:1,3,5,13 37:1,1,5,5,17 41:1,1,5,5,5 47:1,1,7,11,19
  55:1,1,5,1,1 59:1,1,1,3,11 61:1,3,5,5,31 67:1,3,3,9,7,49 91:1,1,1,15,21,21 97:1,3,1,13,27,49
  103:1,1,1,15,7,5 109:1,3,1,15,13,25 115:1,1,5,5,19,61 131:1,3,7,11,23,15,103 137:1,3,7,13,13,15,69
  143:1,1,3,13,7,35,63 145:1,3,5,9,1,25,53 157:1,3,1,13,9,35,107 167:1,3,1,5,27,61,31
  171:1,1,5,11,19,41,61 185:1,3,5,3,3,13,69 191:1,1,7,13,1,19,1 193:1,3,7,5,13,19,59 203:1,1,3,9,25,29,41
  211:1,3,5,13,23,1,55 213:1,3,7,3,13,59,17 229:1,3,1,3,5,53,69 239:1,1,5,5,23,33,13 241:1,1,7,7,1,61,123
  247:1,1,7,9,13,61,49 253:1,3,3,5,3,55,33 285:1,3,1,15,31,13,49,245 299:1,3,5,15,31,59,63,97
  301:1,3,1,11,11,11,77,249 333:1,3,1,11,27,43,71,9 351:1,1,7,15,21,11,81,45 355:1,3,7,3,25,31,65,79
  357:1,3,1,1,19,11,3,205 361:1,1,5,9,19,21,29,157 369:1,3,7,11,1,33,89,185 391:1,3,3,3,15,9,79,71
  397:1,3,7,11,15,39,119,27 425:1,1,3,1,11,31,97,225 451:1,1,1,3,23,43,57,177 463:1,3,7,7,17,17,37,71
  487:1,3,1,5,27,63,123,213 501:1,1,3,5,11,43,53,133 529:1,3,5,5,29,17,47,173,479
  539:1,3,3,11,3,1,109,9,69 545:1,1,1,5,17,39,23,5,343 557:1,3,1,5,25,15,31,103,499
  563:1,1,1,11,11,17,63,105,183 601:1,1,5,11,9,29,97,231,363 607:1,1,5,15,19,45,41,7,383
  617:1,3,7,7,31,19,83,137,221 623:1,1,1,3,23,15,111,223,83 631:1,1,5,13,31,15,55,25,161
  637:1,1,3,13,25,47,39,87,257
]]

--- sobol.DIMENSIONS: the largest number of dimensions.
sobol.DIMENSIONS = 1

local BITS = 32

-- The direction numbers v_1 ... v_32 of a dimension, as signed 32-bit integers: v_i = m_i 2^(32 - i). poly of
-- degree s; m: the first s of them (Joe and Kuo 2008, eqs. 2 and 3).
local function directions(poly, m)
  local s, v = #m, {}
  for i = 1, BITS do
    if i <= s then
      v[i] = bit.lshift(m[i], BITS - i)
    else
      v[i] = bit.bxor(v[i - s], bit.rshift(v[i - s], s))
      for k = 1, s - 1 do
        if bit.band(bit.rshift(poly, s - k), 1) == 1 then v[i] = bit.bxor(v[i], v[i - k]) end
      end
    end
  end
  return v
end

local first = {} -- van der Corput's sequence: all m are 1
for i = 1, BITS do first[i] = bit.lshift(1, BITS - i) end
local tables = { first }
for poly, list in NUMBERS:gmatch "(%d+):([%d,]+)" do
  local m = {}
  for word in list:gmatch "%d+" do m[#m + 1] = tonumber(word) end
  tables[#tables + 1] = directions(tonumber(poly), m)
end
sobol.DIMENSIONS = #tables

--- sobol.point(index, dimensions[, shift]): point `index` (from 0; below 2^32) of the sequence, a list of
-- numbers in [0, 1). shift: a list of integers in [0, 2^32), one a dimension, whose bits are added to the
-- points' (a digital shift, which keeps them as even): each shift gives another sequence that is as good.
function sobol.point(index, dimensions, shift)
  errors.integer("sobol", "index", index, 0, 2 ^ 32 - 1)
  errors.integer("sobol", "dimensions", dimensions, 1, sobol.DIMENSIONS)
  local x = {}
  for j = 1, dimensions do
    local sum, left, i = shift and bit.tobit(shift[j]) or 0, index, 1
    while left > 0 do
      if left % 2 == 1 then sum = bit.bxor(sum, tables[j][i]) end
      left, i = math.floor(left / 2), i + 1
    end
    x[j] = sum % 2 ^ 32 / 2 ^ 32
  end
  return x
end

return sobol
