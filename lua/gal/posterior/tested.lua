-- posterior/tested: the posteriors of galaxies that a run has never seen and whose properties are known, by
-- which it is judged: those that evaluate.lua kept in the run's folder, else drawn now, with progress.
local draws = require "gal.posterior.draws"
local galaxies = require "gal.infer.galaxies"
local gal = require "gal"
local host = require "gal.stats.host"
local json = require "gal.base.json"
local kept = require "gal.infer.kept"
local path = require "gal.base.path"

local tested = {}

-- Draws of each galaxy, so that 20 bins of ranks hold alike, and how many galaxies are drawn at most.
local DRAWS, MOST = 199, 1000

-- What evaluate.lua kept of the run on its own survey's test part: as tested.of gives it; nil where there is
-- nothing, or of other weights or galaxies.
local function stored(run, survey)
  local folder = run:results()
  if not folder or not path.kind(folder .. "/posteriors.npz") then return nil end
  local known, o = pcall(json.decode, path.read(folder .. "/options.json") or "")
  if not known or type(o) ~= "table" then return nil end
  local readable, part, found = pcall(kept.reopen, folder .. "/posteriors.npz", survey)
  if not readable then return nil end
  local weights, data, ids = galaxies.fingerprints(run.flow, part)
  if o.flow ~= weights or o.data ~= data or o.ids ~= ids then return nil end
  found.part, found.from = part, folder .. "/posteriors.npz"
  return found
end

-- Draws them.
local function drawn(run, test)
  local part, flow = test:thin(MOST), run.flow
  local shown = galaxies.shown(flow, part)
  local samples, log_q_true = draws.quietly(flow, function()
    local line = #part.ids > 50 and true or nil
    local samples = flow:sample(shown, {
      n = DRAWS, steps = "auto", rng = gal.rng(0), told = false, progress = line,
    })
    return samples, (flow:log_prob(part.theta, shown, { steps = "auto", told = false, progress = line }))
  end)
  local thinned = #part.ids < #test.ids and (" of %d, spread evenly"):format(#test.ids) or ""
  return {
    part = part, samples = samples:to "cpu", log_q_true = log_q_true:to "cpu",
    from = ("%d test galaxies%s, %d draws each, made now; evaluate.lua keeps them"):format(#part.ids, thinned,
      DRAWS),
  }
end

local found_of = setmetatable({}, { __mode = "k" }) -- run -> what tested.of gave

--- tested.of(run): {part, a survey's galaxies {N} that the run has not seen; samples {N, n, d}, log_q_true
-- {N}; from, whence they are, words; lost, those whose draws are no numbers, a list}.
function tested.of(run)
  if found_of[run] then return found_of[run] end
  local found = stored(run, run:survey()) or drawn(run, run:unseen())
  found.lost = host.lost(found.samples:mean(2), run.flow.scale)
  found_of[run] = found
  return found
end

--- tested.forget(run): what was drawn is of other weights from here on.
function tested.forget(run) found_of[run] = nil end

return tested
