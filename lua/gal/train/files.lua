-- train/files: the files of a run of fit, in a folder of gal.base.run. config.json, history.csv (no clock in
-- it), timing.csv, split.csv, checkpoint.safetensors (all that resuming bit for bit takes) and
-- flow.safetensors (the best weights). Every file is replaced whole.
local gal = require "gal"
local json = require "gal.base.json"
local path = require "gal.base.path"
local errors = require "gal.base.errors"
local run = require "gal.base.run"
local raise = errors.raise

local files = {}

local FORMAT = "galrun checkpoint 1"
local CHECKPOINT = "checkpoint.safetensors"

local function number(v) return v and ("%.9g"):format(v) or "" end

--- files.open(out, resume): the folder `out` (gal.base.run), whose lock the caller holds until
-- folder:close(). Raises where the folder exists, holds more than a run that failed in its first epoch, and
-- resume is not true. Second: the checkpoint in it as {tensors, small}, or nil where a run begins.
function files.open(out, resume)
  local function has(name) return path.kind(out .. "/" .. name) == "file" end
  -- A run that failed before the end of its first epoch: nothing is lost.
  local failed = has "config.json" and has "lock" and not has(CHECKPOINT)
  if path.kind(out) == "folder" and not resume and not failed then
    raise("fit: out is '%s', which exists; pass resume = true to go on with the run in it, "
      .. "or name another folder", out)
  end
  local folder = run.open{ where = "fit", out = out }
  local saved
  folder:guard(function() saved = folder:has(CHECKPOINT) and files.load_checkpoint(folder) or nil end)
  return folder, saved
end

--- files.load_checkpoint(folder): the checkpoint as {tensors, small}, as files.save_checkpoint was given
-- them.
function files.load_checkpoint(folder)
  local tensors, metadata = gal.load(folder:path(CHECKPOINT))
  if type(metadata) ~= "table" or metadata.format ~= FORMAT then
    raise("fit: %s is no checkpoint of this version", folder:path(CHECKPOINT))
  end
  return { tensors = tensors, small = json.decode(metadata.state) }
end

--- files.save_checkpoint(folder, tensors, small): tensors by name; small: a table that JSON can hold.
function files.save_checkpoint(folder, tensors, small)
  gal.save(folder:path(CHECKPOINT), tensors, { format = FORMAT, state = json.encode(small) })
end

--- files.save_history(folder, history): one line an epoch, the same bytes for the same run.
function files.save_history(folder, history)
  local lines = { "epoch,train_loss,valid_loss,lr" }
  for i, e in ipairs(history) do
    lines[i + 1] = ("%d,%s,%s,%s"):format(e.epoch, number(e.train_loss), number(e.valid_loss), number(e.lr))
  end
  folder:write("history.csv", table.concat(lines, "\n") .. "\n")
end

--- files.add_timing(folder, epoch, seconds): appends a line to timing.csv.
function files.add_timing(folder, epoch, seconds)
  local text = path.read(folder:path "timing.csv") or "epoch,seconds\n"
  folder:write("timing.csv", text .. ("%d,%.4f\n"):format(epoch, seconds))
end

--- files.save_config(folder, settings): config.json, what the run began with.
function files.save_config(folder, settings)
  folder:write("config.json", json.encode(settings, true) .. "\n")
end

--- files.save_split(folder, parts): split.csv, each id and the part that it is in. parts: {name, ids} in
-- order.
function files.save_split(folder, parts)
  local ids, names = {}, {}
  for _, entry in ipairs(parts) do
    for _, id in ipairs(entry[2]) do ids[#ids + 1], names[#names + 1] = tostring(id), entry[1] end
  end
  gal.table{ id = ids, part = names }:save(folder:path "split.csv")
end

return files
