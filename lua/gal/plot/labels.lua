-- Labels of known quantities on an axis: the names of columns and properties that galrun, SDSS and MPA-JHU
-- use, with their labels and units. A name that is not known is its own label.
local labels = {}

local MASS = { "$\\log_{10} M_\\star / M_\\odot$", "$\\log M_\\star$" }
local SFR = { "$\\log_{10}$ SFR / ($M_\\odot$ yr$^{-1}$)", "log SFR" }
local SSFR = { "$\\log_{10}$ sSFR / yr$^{-1}$", "log sSFR" }
local OH = { "12 + $\\log_{10}$(O/H)", "12 + log O/H" }
local DN = { "$D_n$(4000)", "$D_n$(4000)" }
local AV = { "$A_V$ [mag]", "$A_V$" }
local REDSHIFT = { "redshift", "$z$" }

local KNOWN = {
  log_mass = MASS, logmass = MASS, log_mstar = MASS, lgm_tot_p50 = MASS, log_m = MASS,
  log_sfr = SFR, logsfr = SFR, sfr_tot_p50 = SFR, log_ssfr = SSFR, specsfr_tot_p50 = SSFR,
  oh = OH, oh_p50 = OH, logoh = OH, metallicity = OH, d4000_n = DN, dn4000 = DN, d4000 = DN,
  a_v = AV, av = AV, ["tauv_cont"] = { "$\\tau_V$", "$\\tau_V$" },
  z = REDSHIFT, redshift = REDSHIFT, ra = { "right ascension [°]", "RA" }, dec = { "declination [°]", "Dec" },
  log_age = { "$\\log_{10}$ age / yr", "log age" }, ebv = { "$E(B-V)$ [mag]", "$E(B-V)$" },
  delta_log_p = { "$\\Delta\\log p$ [nats]", "$\\Delta\\log p$" },
  d_kl = { "$D_\\mathrm{KL}$ [nats]", "$D_\\mathrm{KL}$" }, log_q = { "$\\log q$ [nats]", "$\\log q$" },
}
-- Columns of a band, NAME_b.
local BANDS = {
  modelmag = "$%s$ [mag]", petromag = "Petrosian $%s$ [mag]", cmodelmag = "cmodel $%s$ [mag]",
  psfmag = "PSF $%s$ [mag]", fibermag = "fibre $%s$ [mag]", modelmagerr = "error of $%s$ [mag]",
  extinction = "$A_%s$ [mag]", petror50 = "$R_{50,%s}$ [arcsec]", petror90 = "$R_{90,%s}$ [arcsec]",
}

--- label_of(name): the label of a quantity with its unit, and its short form, by the name of its column or
-- property, whose case does not matter: "a_v" is "$A_V$ [mag]" and "$A_V$". Names that are not known are
-- their own labels.
function labels.label_of(name)
  local word = tostring(name)
  local known = KNOWN[word:lower()]
  if known then return known[1], known[2] end
  local column, band = word:lower():match "^(%w+)_([ugriz])$"
  if column and BANDS[column] then
    local label = BANDS[column]:format(band)
    return label, (label:gsub(" %[.*%]$", ""))
  end
  local plain = word:gsub("[\\$]", function(c) return c == "$" and "\\$" or c end)
  return plain, plain
end

--- labels.unit_of(name): the unit of a quantity in words: "dex" of a logarithm, "mag", or "" where it has
-- none or is not known.
function labels.unit_of(name)
  local label = labels.label_of(name)
  if label:find("\\log_{10}", 1, true) then return "dex" end
  return label:match " %[([^%]]*)%]$" or ""
end

return labels
