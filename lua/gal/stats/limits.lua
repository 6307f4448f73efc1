-- Limits that values seem to have: A_V, which no galaxy has below 0, where a catalogue does not scatter it
-- there.
local core = require "gal.tensor"
local host = require "gal.stats.host"

--- limits.of(values): {0, nil} for values, a tensor {n}, of which none is below 0 and some come near: within
-- a fifth of the span between their 16 and 84 % quantiles; else {}. NaN counts as not there.
local function of(values)
  core.live(values, "limits", "values")
  local v, n = host.read(values)
  local finite = {}
  for k = 0, n - 1 do
    if v[k] - v[k] == 0 then finite[#finite + 1] = v[k] end
  end
  if #finite == 0 then return {} end
  table.sort(finite)
  local ascending = host.read(finite)
  local span = host.quantile(ascending, #finite, 0.84) - host.quantile(ascending, #finite, 0.16)
  return finite[1] >= 0 and finite[1] < 0.2 * span and { 0, nil } or {}
end

return { of = of }
