-- How good a set of posteriors is: what they tell beyond the prior (Delta log p, D_KL, mutual information),
-- how far they are off and how wide (RMSE, bias, CRPS, CDE loss), whether the population comes out right
-- (Wasserstein-1, coverage), whether two sets can be told apart (C2ST). Whether posteriors are calibrated is
-- gal.calibration's question. N galaxies, n draws of each, d properties.
local metrics = {}

for _, part in ipairs{
  require("gal.metrics.sample").public, require "gal.metrics.information", require "gal.metrics.population",
  require "gal.metrics.properties", require "gal.metrics.c2st",
} do
  for name, value in pairs(part) do metrics[name] = value end
end

return metrics
