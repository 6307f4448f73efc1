-- Numbers with errors as text: as many digits as the errors bear.
local rounding = {}

-- The place (a power of ten) of the second significant digit of v > 0, after rounding to it.
local function second_place(v)
  local place = math.floor(math.log10(v)) - 1
  if math.floor(v / 10 ^ place + 0.5) >= 100 then place = place + 1 end
  return place
end

-- v at this place, with a true minus sign; very large and small ones with an exponent.
local function at(v, place)
  local form = ("%%.%df"):format(math.max(0, -place))
  if math.abs(place) > 6 then form = "%.3g" end
  local rounded = math.floor(v / 10 ^ place + 0.5) * 10 ^ place
  if rounded == 0 then rounded = 0 end -- no −0
  return (form:format(rounded):gsub("%-", "−"))
end

--- rounding.interval(middle, below, above): a value and how far its interval reaches below and above it, as
-- three texts: two significant digits of the smaller error, the others to the same place: "10.523",
-- "+0.123", "−0.099". An error of 0 counts for nothing; without errors the value has four digits.
function rounding.interval(middle, below, above)
  local least = math.huge
  for _, error in ipairs{ below, above } do
    if error > 0 then least = math.min(least, error) end
  end
  if least == math.huge then return (("%.4g"):format(middle):gsub("^%-", "−")), "+0", "−0" end
  local place = second_place(least)
  return at(middle, place), "+" .. at(above, place), "−" .. at(below, place)
end

--- rounding.bound(v, scale): a bound v of something that is so wide: to two digits of its own or one of the
-- scale, whichever is finer.
function rounding.bound(v, scale)
  if not (scale > 0) or v == 0 then return (("%.4g"):format(v):gsub("^%-", "−")) end
  return at(v, math.min(second_place(math.abs(v)), second_place(scale) + 1))
end

return rounding
