-- train/report: where a run says how far it is: a progress line, a function of the user's, or nowhere.
local errors = require "gal.base.errors"
local host = require "gal.base.host"

-- A report as fields of the progress line: epochs done, losses, steps a second.
local function on_line(line, r)
  local done = r.whole and r.epoch or r.epoch - 1 + r.step / r.steps
  line:update {
    done = done, epoch = r.epoch, train = r.train_loss, valid = r.valid_loss, best = r.best_loss,
  }
  if r.stopped then line:finish() end
end

-- The sentence of a run that Ctrl-C stopped: how many epochs (or nil) it keeps, in the folder `out` or, where
-- that is nil, in memory; and how to go on.
local function kept(out, epochs)
  local onward = host.interactive and "run:resume()" or errors.option("resume", true)
  if (epochs or 0) == 0 then
    return "stopped before the first epoch was over: nothing is kept"
      .. (host.interactive and "; run:resume() begins again" or "")
  end
  return ("stopped: %s keeps %d epoch%s, and %s goes on from there"):format(out or "the run", epochs,
    epochs == 1 and "" or "s", onward)
end

--- reporter(progress, run): the function that the run calls with its reports. progress, fit's option: nil or
-- true for a line, false for silence, or a function. A report within an epoch has epoch, epochs, step,
-- steps, train_loss and pace (seconds a step); at an epoch's end whole = true, epoch, epochs, train_loss,
-- valid_loss, best_loss, best_epoch, lr, seconds, steps and stopped; after an interrupt whole, epoch, epochs,
-- saved (epochs in the run's folder) and stopped.
local function reporter(progress, run)
  if progress == false then return function() end end
  if type(progress) == "function" then return progress end
  if progress ~= nil and progress ~= true then
    errors.raise("fit: progress is %s, expected true, false or a function", errors.kind(progress))
  end
  local line
  return function(r)
    if not line then
      line = require "gal.base.progress" {
        total = run.settings.epochs, unit = "epochs", first = run.epoch,
        spent = r.pace and r.pace * r.step or r.seconds,
      }
      if run.epoch > 0 then
        line:note(("%s: going on with epoch %d of %d"):format(run.folder and run.folder.out or "fit",
          run.epoch + 1, run.settings.epochs))
      end
    end
    on_line(line, r)
    if r.stopped == "interrupt" and (run.folder or host.interactive) then
      local out, whole = nil, run.epoch
      if run.folder then out, whole = run.folder.out, r.saved end
      line:note(kept(out, whole))
    end
  end
end

return reporter
