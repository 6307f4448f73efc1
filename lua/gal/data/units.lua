-- data/units: in what units the columns are that galrun writes, and what they are in words. A unit is one of
-- the FITS standard's (4.0, section 4.3), so that programs know it; a logarithm has none there, which its
-- words say. Names are SDSS's.
local units = {}

local KNOWN = {
  lgm_tot_p50 = { about = "log10 of the stellar mass in solar masses" },
  sfr_tot_p50 = { about = "log10 of the SFR in solar masses a year" },
  oh_p50 = { about = "12 + log10(O/H)" },
  d4000_n = { about = "4000 Angstrom break, narrow" },
  a_v = { unit = "mag", about = "attenuation in V" },
  ra = { unit = "deg", about = "right ascension" },
  dec = { unit = "deg", about = "declination" },
  z = { about = "redshift" },
  true_log_mass = { about = "log10 of the true stellar mass in solar masses" },
  true_log_sfr = { about = "log10 of the true SFR in solar masses a year" },
  true_oh = { about = "true 12 + log10(O/H)" },
  true_dn4000 = { about = "true 4000 Angstrom break, narrow" },
  true_a_v = { unit = "mag", about = "true attenuation in V" },
}
-- Of columns, one a band: a pattern, unit and words.
local BANDS = {
  { "^modelmag_%a$", "mag", "model magnitude" }, { "^petromag_%a$", "mag", "Petrosian magnitude" },
  { "mag_%a$", "mag", "" }, { "magerr_%a$", "mag", "" },
  { "^extinction_%a$", "mag", "Galactic extinction" },
  { "^true_flux_%a$", "", "flux without noise in nanomaggies" },
}

-- The standard's units, those that a catalogue of galaxies may have.
local STANDARD = {}
for name in ([[m g s rad sr K A mol cd deg arcmin arcsec mas min h d a yr eV erg Ry solMass u solLum solRad AU
lyr pc count ct photon ph pixel pix D Sun chan bin voxel bit byte adu beam Jy mag R G barn Hz N Pa J W V F
Ohm S Wb T H lm lx Angstrom]]):gmatch "%S+" do STANDARD[name] = true end
local PREFIXES = { "da", "d", "c", "m", "u", "n", "p", "f", "h", "k", "M", "G", "T" }

-- Whether a word is a unit of the standard, with or without a prefix.
local function is_standard(word)
  if STANDARD[word] then return true end
  for _, prefix in ipairs(PREFIXES) do
    if word:sub(1, #prefix) == prefix and STANDARD[word:sub(#prefix + 1)] then return true end
  end
  return false
end

--- units.standard(text): the unit `text` where every unit in it is one of the FITS standard's, else "".
function units.standard(text)
  for word in text:gmatch "%a+" do
    if not is_standard(word) then return "" end
  end
  return text
end

--- units.of(name[, unit]): {unit =, about =} of a column by its name, as t:describe takes them. unit: what
-- its table says of it, which is taken where it is one of the standard's.
function units.of(name, unit)
  local lower = name:lower()
  local known = KNOWN[lower] or {}
  local found = units.standard(unit or "")
  for _, band in ipairs(BANDS) do
    if lower:find(band[1]) then
      known = { unit = band[2], about = band[3] }
      break
    end
  end
  return { unit = found ~= "" and found or known.unit or "", about = known.about or "" }
end

return units
