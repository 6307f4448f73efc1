-- data/offsets: what is added to a survey's magnitudes to bring them to the AB system. SDSS's own are within
-- 0.01 mag of AB but for u_AB = u - 0.04 and z_AB = z + 0.02 (SDSS's documentation of its photometric flux
-- calibration; Doi et al. 2010). They are {u = -0.04, z = 0.02} here and "u=-0.04,z=0.02" in words.
local errors = require "gal.base.errors"
local raise = errors.raise

local offsets = {}

local BANDS = { "u", "g", "r", "i", "z" }
local LARGEST = 1 -- mag; no system is that far from AB in these bands
local KNOWN = { u = true, g = true, r = true, i = true, z = true }

--- offsets.of(where, given[, argument]): {band = mag} of what a user gave, a table of that kind or a list of
-- texts such as "u=-0.04"; nil where it is nil, or names no band. Raises naming the argument, ab_offsets.
function offsets.of(where, given, argument)
  argument = argument or "ab_offsets"
  if type(given) == "nil" then return nil end
  local found = {}
  for band, offset in pairs(errors.list(where, argument, given, "a table {u = -0.04, z = 0.02}")) do
    if type(band) == "number" then
      local text = errors.text(where, ("%s[%g]"):format(argument, band), offset)
      local name, value = text:match "^%s*(%w+)%s*=%s*(%S+)%s*$"
      if not tonumber(value) then raise('%s is "%s", expected BAND=MAG, as in u=-0.04', argument, text) end
      if found[name] then raise("%s has the band %s twice", argument, name) end
      band, offset = name, tonumber(value)
    end
    if not KNOWN[band] then
      raise("%s has the band %s, expected one of u, g, r, i, z", argument, tostring(band))
    end
    found[band] = errors.number(where, argument .. "." .. tostring(band), offset, -LARGEST, LARGEST)
  end
  return next(found) and found or nil
end

--- offsets.text(o): {band = mag}, or nil, in words: "u=-0.04,z=0.02", or "none".
function offsets.text(o)
  local parts = {}
  for _, band in ipairs(BANDS) do
    if o and o[band] then parts[#parts + 1] = ("%s=%.10g"):format(band, o[band]) end
  end
  return #parts > 0 and table.concat(parts, ",") or "none"
end

return offsets
