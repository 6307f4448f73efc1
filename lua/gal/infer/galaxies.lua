-- infer/galaxies: the galaxies of which a flow's answer is to be doubted: those that are not within the
-- tolerance, those without numbers, those far outside of what the flow was trained on; and the sentences that
-- name them.
local inputs = require "gal.flow.inputs"

local galaxies = {}

--- galaxies.outside(flow, x): flow:outside, or nil for a flow that has none (one of the user's own).
function galaxies.outside(flow, x) return flow.outside and flow:outside(x) end

--- galaxies.flags(n, ...): {1 or 0} of n galaxies: 1 for those in one of the lists.
function galaxies.flags(n, ...)
  local flags = {}
  for k = 1, n do flags[k] = 0 end
  for _, list in ipairs{ ... } do
    for _, k in ipairs(list) do flags[k] = 1 end
  end
  return flags
end

-- How many there are in the list, and the ids of five.
local function named(list, ids)
  local names = {}
  for i = 1, math.min(5, #list) do names[i] = ids[list[i]] end
  return #list, table.concat(names, ", ") .. (#list > 5 and ", ..." or "")
end

--- galaxies.warning(found, ids): sentences, a line each, on the galaxies that have to be doubted, or nil.
-- found: {flagged, left_out, outside = {N}, tolerance}, lists, each of them or nil.
function galaxies.warning(found, ids)
  local lines, lost, flagged, far = {}, {}, {}, {}
  for _, k in ipairs(found.left_out or {}) do lost[k] = true end
  for _, k in ipairs(found.flagged or {}) do
    if not lost[k] then flagged[#flagged + 1] = k end
  end
  for k, off in ipairs(found.outside or {}) do
    if not (off <= inputs.FAR) then far[#far + 1] = k end
  end
  local function add(list, what)
    local count, names = named(list, ids)
    if count == 0 then return end
    lines[#lines + 1] = ("%d of %d galaxies are %s: %s"):format(count, #ids, what, names)
  end
  add(flagged, ("not within the tolerance of %g"):format(found.tolerance or 0))
  add(found.left_out or {}, "left out, as their posteriors are no numbers, or too far away for any")
  add(far, ("more than %d deviations outside of what the flow was trained on"):format(inputs.FAR))
  return #lines > 0 and table.concat(lines, "\n") or nil
end

return galaxies
