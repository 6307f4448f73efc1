-- How good a set of posteriors is: what they tell beyond the prior (Delta log p, D_KL, mutual information),
-- how far they are off and how wide (RMSE, bias, CRPS, CDE loss), whether the population comes out right
-- (Wasserstein-1, coverage), whether two sets can be told apart (C2ST). Whether posteriors are calibrated is
-- gal.calibration's question. N galaxies, n draws of each, d properties.
local PARTS = {
  [require "gal.metrics.sample"] = "quantile wasserstein moments bootstrap",
  [require "gal.metrics.information"] = "information scores summary table path_excess blind",
  [require "gal.metrics.properties"] = "properties properties_table crps cde_loss mutual_information",
  [require "gal.metrics.population"] = "wasserstein_table coverage population_table",
  [require "gal.metrics.c2st"] = "c2st",
  [require "gal.stats.surveys"] = "surveys",
}

local metrics = {}
for part, names in pairs(PARTS) do
  for name in names:gmatch "%S+" do metrics[name] = part[name] end
end

return metrics
