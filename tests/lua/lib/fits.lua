-- lib/fits: FITS images made by hand (FITS standard 4.0, sections 3 and 4), for tests of what reads them.
local ffi = require "ffi"

local fits = {}

local function card(key, value)
  if value == nil then return key .. (" "):rep(80 - #key) end
  local text = type(value) == "string" and ("'%s'"):format(value) or value == true and "T"
    or ("%.15g"):format(value)
  local line = ("%-8s= %20s"):format(key, text)
  return line .. (" "):rep(80 - #line)
end

local function padded(text, with) return text .. with:rep(-#text % 2880) end

local both = ffi.new "union { float f; uint8_t b[4]; }"

--- fits.image(size, bands, value, keys): the bytes of a cube {bands, size, size} in single precision;
-- value(k, y, x): that of band k, from 1, at row y from the top and column x, from 0. keys: a list of more
-- {keyword, value}.
function fits.image(size, bands, value, keys)
  local cards = {
    card("SIMPLE", true), card("BITPIX", -32), card("NAXIS", 3), card("NAXIS1", size), card("NAXIS2", size),
    card("NAXIS3", bands),
  }
  for _, pair in ipairs(keys or {}) do cards[#cards + 1] = card(pair[1], pair[2]) end
  cards[#cards + 1] = card "END"
  local bytes, at = ffi.new("uint8_t[?]", 4 * bands * size * size), 0
  for k = 1, bands do
    for y = size - 1, 0, -1 do
      for x = 0, size - 1 do
        both.f = value(k, y, x)
        for i = 0, 3 do bytes[at + i] = both.b[3 - i] end
        at = at + 4
      end
    end
  end
  return padded(table.concat(cards), " ") .. padded(ffi.string(bytes, at), "\0")
end

--- fits.wcs(scale, bands): keys of a cube of these bands, 'grz', with pixels of so many arcsec.
function fits.wcs(scale, bands)
  return {
    { "BANDS", bands }, { "CTYPE1", "RA---TAN" }, { "CTYPE2", "DEC--TAN" }, { "CD1_1", -scale / 3600 },
    { "CD2_2", scale / 3600 },
  }
end

return fits
