-- infer/galaxies: what a flow is shown of galaxies; hashes by which flow and galaxies are known again; and
-- the galaxies whose posteriors are to be doubted, as they are not within the tolerance, not finite, or far
-- outside what the flow was trained on, with the sentences that name them.
local decimal = require("gal.base.text").decimal
local familiar = require "gal.flow.familiar"
local ffi = require "ffi"
local floor = require "gal.flow.floor"
local fingerprint = require("gal.train.rows").fingerprint
local inputs = require "gal.flow.inputs"
local json = require "gal.base.json"
local sections = require "gal.flow.sections"
local C = ffi.C

local galaxies = {}

--- galaxies.shown(flow, part): a flow's inputs (flow:sample's x) for the galaxies of a part, with their
-- images if it has an encoder.
function galaxies.shown(flow, part)
  if flow.encoder then return part:seen() end
  return part.context
end

-- The hash, which goes on from `hash`, of a flow's weights, units and floor; for an ensemble, of its members
-- one after the other.
local function hash_of_weights(flow, hash)
  for _, member in ipairs(flow.members or { flow }) do
    local tensors = {}
    for name, x in pairs(member:state()) do tensors[name] = x end
    for name, x in pairs(member.scale or {}) do tensors["scale." .. name] = x end
    for name, x in pairs(floor.tensors(member)) do tensors[name] = x end
    hash = sections.hash(tensors, hash)
  end
  return hash
end

--- galaxies.fingerprints(flow, part): hashes, decimal, of the flow's weights and units, of what it is shown
-- of a part, and of the part's ids.
function galaxies.fingerprints(flow, part)
  local hash = hash_of_weights(flow, 0ULL)
  local ids = table.concat(part.ids, "\0")
  return decimal(hash), fingerprint{ context = part.context, images = flow.encoder and part.images },
    decimal(C.gal_hash(ids, #ids, 0))
end

--- galaxies.model(flow): a hash, decimal, of all that a flow's answers depend on: its weights, units, floor,
-- what it knows of its galaxies (flow/familiar.lua), sigma, and the errors of its labels.
function galaxies.model(flow)
  local notes = flow.notes or {}
  local text = json.encode{ errors = notes.label_errors or {}, sigma = flow.sigma or 0 }
  local hash = 0ULL
  for _, member in ipairs(flow.members or { flow }) do hash = sections.hash(member:state(), hash) end
  hash = C.gal_hash(text, #text, hash)
  for _, member in ipairs(flow.members or { flow }) do hash = sections.hash(member.scale or {}, hash) end
  hash = sections.hash(familiar.tensors(flow), hash)
  for _, member in ipairs(flow.members or { flow }) do hash = sections.hash(floor.tensors(member), hash) end
  return decimal(hash)
end

--- galaxies.whole(ids): ids that are whole numbers as a list of int64.
function galaxies.whole(ids)
  local list = {}
  for k, id in ipairs(ids) do
    local value, sign = 0LL, id:sub(1, 1) == "-"
    for digit in id:gmatch "%d" do value = value * 10 + tonumber(digit) end
    list[k] = sign and -value or value
  end
  return list
end

--- galaxies.outside(flow, x): flow:outside, or nil for a flow that has none (one of the user's own).
function galaxies.outside(flow, x) return flow.outside and flow:outside(x) end

--- galaxies.spread(flow, samples {N, n, d}, streams {N}): ensemble:spread, or nil for a single flow.
function galaxies.spread(flow, samples, streams) return flow.spread and flow:spread(samples, streams) end

--- galaxies.flags(n, ...): {1 or 0} of n galaxies: 1 for those in one of the lists.
function galaxies.flags(n, ...)
  local flags = {}
  for k = 1, n do flags[k] = 0 end
  for _, list in ipairs{ ... } do
    for _, k in ipairs(list) do flags[k] = 1 end
  end
  return flags
end

-- How many galaxies the list has, and the ids of the first five.
local function named(list, ids)
  local names = {}
  for i = 1, math.min(5, #list) do names[i] = ids[list[i]] end
  return #list, table.concat(names, ", ") .. (#list > 5 and ", ..." or "")
end

--- galaxies.warning(found, ids): sentences, a line each, on the galaxies whose posteriors are to be doubted,
-- or nil. found: {flagged, left_out, outside = {N}, tolerance}, lists, each of them or nil.
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
  add(found.left_out or {}, "left out, as their posteriors are not finite, or beyond single precision")
  add(far, ("more than %d deviations outside of what the flow was trained on"):format(inputs.FAR))
  return #lines > 0 and table.concat(lines, "\n") or nil
end

return galaxies
