-- sweep/trial: one trial's work up to a rung: runs the experiment as a process of its own, watches it, renews
-- its claim; then scores it and writes the record. An experiment that fails leaves a record with the reason.
local C = require("ffi").C
local claims = require "gal.sweep.claims"
local errors = require "gal.base.errors"
local path = require "gal.base.path"
local process = require "gal.sweep.process"
local records = require "gal.sweep.records"
local score = require "gal.sweep.score"
local stats = require "gal.stats.host"

local M = {}

-- Exit codes of a process that was asked to stop: by Ctrl-C, TERM, or USR1, which asks for another start.
local ASKED = { [130] = true, [143] = true, [75] = true }
local TERMINATED, KILLED, INTERRUPTED, USR1 = 15, 9, 2, 10
local NAMES = { [4] = "ILL", [6] = "ABRT", [7] = "BUS", [8] = "FPE", [11] = "SEGV", [24] = "XCPU" }
-- Claims in a row that ended without an epoch, after which the trial counts as one that kills its process.
local FRUITLESS = 5

-- The sentence by which an experiment ended: the last line of its output, or the one above a traceback.
local function last_words(file, from)
  local text, last = (path.read(file) or ""):sub(from + 1), nil
  text = text:gsub("\nstack traceback:.*$", "\n")
  for line in text:gmatch "[^\r\n]+" do
    if line:find "%S" then last = line end
  end
  return last and last:gsub("^%s+", ""):sub(1, 400) or "no output"
end

-- Waits for the process and renews the claim. Returns how it ended; nil where another has followed in the
-- claim.
local function watched(p, claim)
  while true do
    local ended, code = p:wait(1)
    if ended then return ended, code end
    errors.poll()
    if not claim:renew() then
      p:signal "KILL"
      p:wait(10)
      return nil
    end
  end
end

-- The mean log p of a run over the galaxies at which it has a density; and how many have none.
local function means_of(scores)
  local sum, count, lost = 0, 0, 0
  for _, v in ipairs(scores.log_p) do
    if stats.improbable(v) then lost = lost + 1 else sum, count = sum + v, count + 1 end
  end
  return count > 0 and sum / count or nil, lost > 0 and lost or nil
end

--- trial.score(s, trial, rung, record, kept): scores a run that is over, and writes its record: "done", or
-- "failed" where it can't be scored. record: what is known of it already. Returns the record.
function M.score(s, trial, rung, record, kept)
  local ok, found = pcall(score.of, trial.out, s.galaxies, kept)
  if not ok then
    if found == errors.interrupted then error(found, 0) end
    record.state, record.reason = "failed", "not scored: " .. tostring(found)
    records.write(s, trial, rung, record)
    return record
  end
  record.state = "done"
  record.log_p, record.lost = means_of(found)
  if not record.log_p then
    record.state, record.reason = "failed", "the flow has no density at any validation galaxy"
  end
  records.write(s, trial, rung, record, record.log_p and found or nil)
  return record
end

-- The reason why a process that ended so failed; nil where it was asked to stop, and is to be tried again.
local function reason_of(ended, code, output, from)
  if ended == "signal" then
    if code == KILLED or code == TERMINATED or code == INTERRUPTED or code == USR1 then return nil end
    return ("its process was ended by signal %s: %s"):format(NAMES[code] or code, last_words(output, from))
  end
  if ASKED[code] then return nil end
  return last_words(output, from)
end

--- trial.seconds(trial): the seconds that all epochs of a run took, by its timing.csv; nil where it has none.
function M.seconds(trial)
  local sum = 0
  local text = path.read(trial.out .. "/timing.csv") or ""
  for word in text:gmatch "\n%d+,([%d%.]+)" do sum = sum + tonumber(word) end
  return sum > 0 and sum or nil
end

-- The record of a trial whose last claims all ended without an epoch; nil where they did not.
local function fruitless(s, trial, rung, output, epochs)
  local job = records.job(trial.number, rung)
  if claims.fruitless(records.folder(s), job, epochs) <= FRUITLESS then return nil end
  local reason = "cut off %d times without finishing an epoch: %s"
  local record = { state = "failed", epochs = epochs }
  record.reason = reason:format(FRUITLESS, last_words(output, 0))
  records.write(s, trial, rung, record)
  return record
end

-- The experiment's process, to its end: what process:wait returns; nil where the claim was lost. After Ctrl-C
-- it is put away first.
local function ran(s, trial, rung, claim, output, o)
  local folder = path.kind(s.folder) and s.folder or nil
  local p = process.start({ s.experiment, unpack(s:command(trial, rung)) }, {
    threads = o.threads, device = o.device, output = output, folder = folder,
  })
  local ok, ended, code = pcall(function()
    claim:started(p.pid)
    return watched(p, claim)
  end)
  if ok then return ended, code end
  if ended == errors.interrupted then
    process.finish{ p }
    claim:release()
  else
    p:signal "KILL"
  end
  error(ended, 0)
end

--- trial.run(s, trial, rung, claim, o): runs a claimed trial up to a rung. o: {threads, device, kept}.
-- Returns its record, or nil where it was cut off and goes on another time; second, whether a signal ended
-- its process. After Ctrl-C it puts the trial away, gives the claim back and raises gal.interrupted.
function M.run(s, trial, rung, claim, o)
  local output = records.file(s, trial.number, rung, "txt")
  local from, epochs, began = #(path.read(output) or ""), records.epochs(trial), C.gal_now()
  local record = fruitless(s, trial, rung, output, epochs)
  if record then return record end
  local ended, code = ran(s, trial, rung, claim, output, o)
  if not ended then return nil end
  record = { epochs = records.epochs(trial), seconds = M.seconds(trial) or C.gal_now() - began }
  if ended == "exit" and code == 0 then return M.score(s, trial, rung, record, o.kept) end
  record.reason = reason_of(ended, code, output, from)
  if not record.reason then return nil, ended == "signal" end
  record.state = "failed"
  records.write(s, trial, rung, record)
  return record
end

return M
