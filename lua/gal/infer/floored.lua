-- infer/floored: which truths of an evaluation are rather the floor's than the net's (flow:floored):
-- outliers, or wrong labels.
local percent = require("gal.flow.floor").percent

local floored = {}

--- floored.of(flow, theta {N, d}, log_q): of truths and their ln densities {share, what of every posterior is
-- the floor's; mean, what of the truths' densities it makes; galaxies, positions of those of which it makes
-- more than half; shares {N}}, or nil where the flow has no floor.
function floored.of(flow, theta, log_q)
  if not flow.floored then return nil end
  local shares, share = flow:floored(theta, log_q)
  if not shares then return nil end
  local listed, sum, count = {}, 0, 0
  for k, own in ipairs(shares) do
    if own > 0.5 then listed[#listed + 1] = k end
    if own == own then sum, count = sum + own, count + 1 end
  end
  return { share = share, mean = sum / count, galaxies = listed, shares = shares }
end

--- floored.words(floor, ids): what floored.of found, in words, with the ids of five such galaxies.
function floored.words(floor, ids)
  local listed, names = floor.galaxies, {}
  for i = 1, math.min(5, #listed) do names[i] = ids[listed[i]] end
  local which = #listed > 0 and ": " .. table.concat(names, ", ") .. (#listed > 5 and ", ..." or "") or ""
  local sentence = "%s %% of every posterior is the flow's floor, a broad p(theta). %d of %d truths are "
    .. "rather the floor's than the net's, outliers or wrong labels%s (column floored). It makes %s %% of "
    .. "the truths' densities, %s %% if calibrated."
  local share = percent(floor.share)
  return sentence:format(share, #listed, #floor.shares, which, percent(floor.mean), share)
end

return floored
