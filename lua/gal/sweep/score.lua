-- sweep/score: what a sweep ranks trials by: log p(true properties | what the flow sees), nats, of each
-- validation galaxy of a run. The galaxies that the run was trained on and its test galaxies are never looked
-- at. A script whose run has no survey may score itself: it writes validation.csv (gal.sweep's report).
local errors = require "gal.base.errors"
local gal = require "gal"
local infer = require "gal.infer"
local json = require "gal.base.json"
local path = require "gal.base.path"
local stats = require "gal.stats.host"
local trained = require "gal.infer.trained"
local raise = errors.raise

local M = {}

local OWN = "validation.csv"

--- score.report(out, ids, log_p): see gal.sweep's report.
function M.report(out, ids, log_p)
  errors.text("report", "out", out, "the folder of a run")
  errors.list("report", "ids", ids, "a list of ids")
  local values, n = stats.numbers("report", "log_p", log_p)
  if n ~= #ids or n == 0 then
    raise("report: log_p has %d values and ids %d, expected as many, and at least one", n, #ids)
  end
  local list = {}
  for k = 1, n do list[k] = values[k - 1] end
  gal.table{ id = ids, log_p = list }:save(out .. "/" .. OWN)
end

-- The scores that the script itself wrote; nil where it wrote none.
local function reported(out)
  local file = out .. "/" .. OWN
  if not path.kind(file) then return nil end
  local t = gal.table(file)
  return { ids = t:ids "id", log_p = t:doubles "log_p" }
end

-- The survey as the run saw its own, kept from trial to trial while runs see theirs alike.
local function survey_of(run, kept)
  local key = json.encode(run.notes)
  if kept.key ~= key then kept.key, kept.survey = key, (run:survey{}) end
  return kept.survey
end

--- score.of(out, most, kept): {ids {N}, log_p {N}} of at most `most` validation galaxies of the run in the
-- folder `out`, spread evenly, the same ones for all runs of one survey. log_p is NaN where the flow has no
-- density. kept: a table, in which the survey stays from call to call.
function M.of(out, most, kept)
  local own = reported(out)
  if own then return own end
  local run = trained.open(out, { device = gal.device() })
  local ids = run.lists and run.lists.valid
  if not ids or #ids == 0 then
    raise("%s: has no validation galaxies in split.csv, by which trials are ranked", out)
  end
  local part = survey_of(run, kept):of(ids):thin(most)
  local found = infer.score(run.flow, part, { progress = false })
  return { ids = part.ids, log_p = found.log_q }
end

return M
