-- train/curve: the learning curve of a run, from the files in its folder; also of one that still trains.
local errors = require "gal.base.errors"
local open_table = require("gal.table").open
local path = require "gal.base.path"
local raise = errors.raise

--- curve.read(out): how the run in the folder `out` learned: {epoch, train, valid, lr (lists {epochs};
-- losses: mean square error of the velocity, in standardised units; valid is NaN without validation rows),
-- best (the epoch of the lowest validation loss, nil without), seconds (of all epochs, or nil)}. Raises where
-- it has no history, or one without an epoch.
local function read(out)
  errors.text("curve", "out", out, "the folder of a run")
  local file = out .. "/history.csv"
  if path.kind(file) ~= "file" then
    raise("curve: %s has no history.csv, expected the folder of a run", out)
  end
  local history = open_table(file)
  if history.rows == 0 then raise("curve: the run in %s has not finished an epoch", out) end
  local found = {
    epoch = history:doubles "epoch", train = history:doubles "train_loss",
    valid = history:doubles "valid_loss", lr = history:doubles "lr",
  }
  for k, loss in ipairs(found.valid) do
    if loss == loss and not (found.best and loss >= found.valid[found.best]) then found.best = k end
  end
  if path.kind(out .. "/timing.csv") == "file" then
    found.seconds = 0
    for _, s in ipairs(open_table(out .. "/timing.csv"):doubles "seconds") do
      found.seconds = found.seconds + s
    end
  end
  return found
end

return { read = read }
