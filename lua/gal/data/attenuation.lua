-- data/attenuation: A_V of galaxies from what SDSS's catalogues have: the optical depth of the continuum, or
-- the Balmer decrement; and the steps of that optical depth's grid, spread out.
local ffi = require "ffi"
local columns = require "gal.data.columns"
local errors = require "gal.base.errors"
local C = ffi.C
local raise, missing = errors.raise, columns.missing

local attenuation = {}

-- The names of the lines' fluxes: SkyServer's and MPA-JHU's files', Galaxy Zoo's.
local LINES = {
  { "h_alpha_flux", "halpha_flux" }, { "h_beta_flux", "hbeta_flux" },
  { "h_alpha_flux_err", "halpha_flux_err" }, { "h_beta_flux_err", "hbeta_flux_err" },
}
-- H-alpha/H-beta without dust: case B, 10^4 K, 100 cm^-3 (Osterbrock & Ferland 2006, table 4.4).
local CASE_B = 2.86
-- A_V = 4.05 E(B-V) (Calzetti et al. 2000), E(B-V) = 1.97 lg(R / 2.86) (Domínguez et al. 2013, eq. 4).
local FACTOR = 4.05 * 1.97
local LEAST = 3 -- deviations that both lines have to be above

-- The table's spelling of the first of these names that it has, or nil.
local function found(source, names)
  for _, name in ipairs(names) do
    local spelled = columns.spelling(source, name)
    if spelled then return spelled end
  end
end

--- attenuation.balmer(source): A_V of the gas in mag {rows}, from H-alpha/H-beta = R: 4.05 * 1.97 lg(R /
-- 2.86) (Calzetti et al. 2000; Domínguez et al. 2013, eq. 4), 0 where that is below; NaN where a line is
-- missing or not above 3 deviations. Second: how many are 0 for that.
function attenuation.balmer(source)
  local values, list, clipped = {}, {}, 0
  for i, names in ipairs(LINES) do
    local name = found(source, names)
    if not name and i <= 2 then
      raise("%s has no column %s, expected the lines' fluxes for A_V by the Balmer decrement (galSpecLine)",
        source.path or "the table", names[1])
    end
    list[i] = name and columns.values(source, name)
  end
  local function seen(i, k)
    local flux, err = list[i][k], list[i + 2] and list[i + 2][k] or 0
    return not missing(flux) and not missing(err) and err >= 0 and flux > LEAST * err and flux > 0
  end
  for k = 1, source.rows do
    values[k] = 0 / 0
    if seen(1, k) and seen(2, k) then
      local a_v = FACTOR * math.log10(list[1][k] / list[2][k] / CASE_B)
      if a_v < 0 then clipped = clipped + 1 end
      values[k] = math.max(0, a_v)
    end
  end
  return values, clipped
end

local MOST = 2000 -- values of a grid

--- attenuation.step(values): the step of the grid that the numbers lie on, NaN apart: the median difference
-- of neighbouring values. nil where they lie on none: more than 2,000 different ones, or one in 100 off the
-- grid.
function attenuation.step(values)
  local seen, list, gaps, off = {}, {}, {}, 0
  for _, v in ipairs(values) do
    if v == v and not seen[v] then
      seen[v], list[#list + 1] = true, v
      if #list > MOST then return nil end
    end
  end
  table.sort(list)
  for k = 2, #list do gaps[k - 1] = list[k] - list[k - 1] end
  table.sort(gaps)
  local step = gaps[math.floor((#gaps + 1) / 2)]
  for _, v in ipairs(step and list or {}) do
    if math.abs(v / step - math.floor(v / step + 0.5)) > 0.02 then off = off + 1 end
  end
  return step and off <= 0.01 * #list and step or nil
end

-- A number from 0 to 1 that the id alone decides.
local function share_of(id) return tonumber(C.gal_hash(id, #id, 1)) / 2 ^ 64 end

--- attenuation.spread(values, step, ids): the numbers {rows} spread evenly over the steps of their grid: each
-- within half a step, 0 upwards only; which share of the step is decided by the row's id.
function attenuation.spread(values, step, ids)
  local list = {}
  for k = 1, #values do
    local v, u = values[k], share_of(ids[k])
    list[k] = v == 0 and step / 2 * u or v + step * (u - 0.5)
  end
  return list
end

--- attenuation.continuum(source[, ids]): A_V of the starlight in mag {rows}, 1.086 tauv_cont; NaN where it is
-- missing. With the rows' ids, a list, tauv_cont is spread over the steps of its grid first. Second: how many
-- are exactly 0; third: the step in mag. Raises where tauv_cont lies on no grid.
function attenuation.continuum(source, ids)
  local name = columns.spelling(source, "tauv_cont")
  if not name then
    raise("%s has no column tauv_cont, expected it for A_V of the continuum", source.path or "the table")
  end
  local tau, values, zeros, step = columns.values(source, name), {}, 0, nil
  for k = 1, #tau do
    if missing(tau[k]) then tau[k] = 0 / 0 end
    if tau[k] == 0 then zeros = zeros + 1 end
  end
  if ids then
    step = attenuation.step(tau)
    if not step then
      raise("%s: tauv_cont lies on no grid whose steps could be spread out", source.path or "the table")
    end
    tau = attenuation.spread(tau, step, ids)
  end
  for k = 1, #tau do values[k] = 1.086 * tau[k] end
  return values, zeros, step and 1.086 * step
end

return attenuation
