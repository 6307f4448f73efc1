-- Limits that values seem to have, over which no density may leak: A_V, which no galaxy has below 0, where a
-- catalogue does not scatter it there; magnitudes of a survey that ends at one.
local core = require "gal.tensor"
local host = require "gal.stats.host"

-- An edge is sharp where at least FEW values, and this SHARE of all, lie within WIDTH spans of the outermost.
-- Of Gaussian values hardly two do, of 2,000 that are uniform 27.
local FEW, SHARE, WIDTH = 10, 0.003, 0.02
local NEAR = 0.2 -- spans: values that come so near 0 and are never below have their limit at 0

-- How many of n ascending values lie within `width` of the first (step 1) or the last (step -1).
local function beside(ascending, n, step, width)
  local edge, count = ascending[step == 1 and 0 or n - 1], 0
  while count < n and math.abs(ascending[step == 1 and count or n - 1 - count] - edge) <= width do
    count = count + 1
  end
  return count
end

--- limits.of(values): {low, high}, either of which may be nil, for values, a tensor {n}: the smallest and the
-- largest where the values end sharply, and 0 where none is below 0 and some come near it. Spans are from
-- their 16 to their 84 % quantile. NaN counts as not there.
local function of(values)
  core.live(values, "limits", "values")
  local v, n = host.read(values)
  local finite = {}
  for k = 0, n - 1 do
    if v[k] - v[k] == 0 then finite[#finite + 1] = v[k] end
  end
  n = #finite
  if n == 0 then return {} end
  table.sort(finite)
  local ascending = host.read(finite)
  local span = host.quantile(ascending, n, 0.84) - host.quantile(ascending, n, 0.16)
  if span == 0 then return {} end
  local least = math.max(FEW, SHARE * n)
  local function sharp(step) return beside(ascending, n, step, WIDTH * span) >= least end
  local low = sharp(1) and ascending[0] or nil
  if ascending[0] >= 0 and ascending[0] < NEAR * span then low = 0 end
  return { low, sharp(-1) and ascending[n - 1] or nil }
end

return { of = of }
