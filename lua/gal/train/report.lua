-- train/report: where a run says how far it is: a progress line, a function of the user's, or nowhere.
local errors = require "gal.base.errors"

-- A report as fields of the progress line: epochs done, losses, steps a second.
local function on_line(line, r)
  local done = r.whole and r.epoch or r.epoch - 1 + r.step / r.steps
  line:update {
    done = done, epoch = r.epoch, train = r.train_loss, valid = r.valid_loss, best = r.best_loss,
    ["step/s"] = r.pace and tonumber(("%.3g"):format(1 / r.pace)) or nil,
  }
  if r.stopped then line:finish() end
end

--- reporter(progress, run): the function that the run calls with its reports. progress, fit's option: nil or
-- true for a line, false for silence, or a function. A report within an epoch has epoch, epochs, step,
-- steps, train_loss and pace (seconds a step); at an epoch's end whole = true, epoch, epochs, train_loss,
-- valid_loss, best_loss, best_epoch, lr, seconds, steps and stopped; after an interrupt whole, epoch, epochs
-- and stopped.
local function reporter(progress, run)
  if progress == false then return function() end end
  if type(progress) == "function" then return progress end
  if progress ~= nil and progress ~= true then
    errors.raise("fit: progress is %s, expected true, false or a function", errors.kind(progress))
  end
  local line
  return function(r)
    if not line then
      local total = { total = run.settings.epochs, unit = "epochs", first = run.epoch }
      line = require "gal.base.progress"(total)
    end
    on_line(line, r)
  end
end

return reporter
