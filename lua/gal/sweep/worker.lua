-- sweep/worker: takes one job after another until nothing is left to do in a sweep's folder. Any number of
-- workers, on any machines that see the folder, work side by side: they know of one another by records and
-- claims (records.lua, claims.lua).
local C = require("ffi").C
local claims = require "gal.sweep.claims"
local errors = require "gal.base.errors"
local halving = require "gal.sweep.halving"
local records = require "gal.sweep.records"
local trials = require "gal.sweep.trial"
local rank = require "gal.sweep.rank"

local worker = {}

-- The state by which halving decides: each trial's records with scores, and what was begun and is not over.
local function states_of(s, known)
  local scores, list = rank.scores(s, known), {}
  for number = 1, #s.trials do
    local state = {}
    for rung = 1, s:last() do
      local record = known[number][rung]
      if record then
        state[rung] = { state = record.state, score = scores[number] and scores[number][rung] }
      elseif #s.rungs > 0 and claims.highest(records.folder(s), records.job(number, rung)) > 0 then
        state[rung] = { state = "begun" }
      end
    end
    list[number] = state
  end
  return list
end

-- The jobs that wait, a list of {trial number, rung}, the first to do in front.
local function jobs_of(s, known)
  if #s.rungs > 0 then return halving.jobs(states_of(s, known), s:last(), s.eta) end
  local jobs = {}
  for number = 1, #s.trials do
    if not known[number][1] then jobs[#jobs + 1] = { number, 1 } end
  end
  return jobs
end

--- worker.next(s, known): claims the job to be done next, and returns the claim, its trial and its rung; or
-- nil, and whether somebody is at work, so that there may be more to do later. known: the records, read anew.
function worker.next(s, known)
  local folder, jobs = records.folder(s), jobs_of(s, records.read(s, known))
  for _, job in ipairs(jobs) do
    local trial = s.trials[job[1]]
    local claim = claims.take(folder, records.job(job[1], job[2]), records.epochs(trial))
    if claim then
      -- Its holder may have written the record and ended between our look at the records and at the claim.
      if not records.read(s, known)[job[1]][job[2]] then return claim, trial, job[2] end
      claim:release()
      return worker.next(s, known)
    end
  end
  return nil, #jobs > 0
end

local LOOKS = 0.5 -- seconds between two looks at a folder in which there is nothing to do now

--- worker.work(s, {threads =, device =, report =}): does one job after another until none is left that
-- anybody could do. report(trial, rung, record) is called when one is over; record is nil where it was cut
-- off.
function worker.work(s, o)
  local known, kept = {}, {}
  while true do
    local claim, trial, rung = worker.next(s, known)
    if claim then
      local given = { threads = o.threads, device = o.device, kept = kept }
      local record, killed = trials.run(s, trial, rung, claim, given)
      claim:release(killed) -- where its record is forgotten (sweep.retry), it can be claimed at once
      if o.report then o.report(trial, rung, record) end
    elseif not trial then
      return
    else
      C.gal_sleep(LOOKS)
      errors.poll()
    end
  end
end

return worker
