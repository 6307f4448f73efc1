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

-- Whether the folder `out` holds nothing but what a run leaves that failed before the end of its first epoch:
-- its lock, alone where it failed before its settings were known. Nothing is lost with it.
local function is_failed(out)
  local entries = path.kind(out) == "folder" and path.entries(out) or {}
  if #entries == 1 and entries[1] == "lock" then return true end
  local has = {}
  for _, name in ipairs(entries) do has[name] = true end
  return has["config.json"] and has.lock and not has[CHECKPOINT]
end

--- files.refuse(out, resume): raises where the folder `out` exists, holds more than a run that failed in its
-- first epoch, and resume is not true; and where it holds a history without a checkpoint, which can't be
-- resumed and is never replaced.
function files.refuse(out, resume)
  local function has(name) return path.kind(out .. "/" .. name) ~= nil end
  if has "history.csv" and not has(CHECKPOINT) then
    raise("fit: %s holds a run with a history and no checkpoint (%s): put that back, or name another folder",
      out, CHECKPOINT)
  end
  if path.kind(out) == "folder" and not resume and not is_failed(out) then
    raise("fit: %s is '%s', which exists; %s goes on with the run in it, or name another folder",
      errors.option "out", out, errors.option("resume", true))
  end
end

-- The settings in the folder `out`; nil where there are none, or none that can be read.
local function config_of(out)
  local known, config = pcall(json.decode, path.read(out .. "/config.json") or "")
  return known and type(config) == "table" and config or nil
end

--- files.preset(out): the preset of the run in the folder `out`: "paper" of one from before there were
-- presets; nil where there is no run, or one whose settings can't be read.
function files.preset(out)
  local config = config_of(out)
  return config and (config.preset or "paper")
end

--- files.notes(out): what the run in the folder `out` says of its survey (survey:choices()), {} of a run that
-- says nothing; nil where no run is there that can go on.
function files.notes(out)
  local config = path.kind(out .. "/" .. CHECKPOINT) == "file" and config_of(out)
  if not config then return nil end
  return type(config.notes) == "table" and config.notes or {}
end

--- files.open(out, resume): opens the folder `out` (gal.base.run), unless files.refuse refuses it; the caller
-- holds its lock until folder:close(). Second: the checkpoint in it as {tensors, small}, or nil where a run
-- begins.
function files.open(out, resume)
  files.refuse(out, resume)
  local folder = run.open{ where = "fit", out = out }
  local saved
  folder:guard(function()
    saved = path.kind(out .. "/" .. CHECKPOINT) and files.load_checkpoint(folder) or nil
  end)
  return folder, saved
end

--- files.load_checkpoint(folder): the checkpoint as {tensors, small}, as files.save_checkpoint was given
-- them.
function files.load_checkpoint(folder)
  local tensors, metadata = gal.load(folder:path(CHECKPOINT))
  if type(metadata) ~= "table" or metadata.format ~= FORMAT then
    raise("fit: %s is no checkpoint of this version", folder:path(CHECKPOINT))
  end
  local known, small = pcall(json.decode, metadata.state or "")
  if not known or type(small) ~= "table" then
    raise("fit: %s is damaged: its state is no JSON object", folder:path(CHECKPOINT))
  end
  files.check_state(folder:path(CHECKPOINT), small)
  return { tensors = tensors, small = small }
end

local function is_whole(v, least) return type(v) == "number" and v % 1 == 0 and v >= least and v < 2 ^ 53 end
local function is_finite(v) return type(v) == "number" and v - v == 0 end

--- files.check_state(where, small): raises unless `small` is what a run saves beside its tensors: whole
-- epochs and steps, a history of so many epochs, a best epoch among them. where: the checkpoint's path.
function files.check_state(where, small)
  local function expect(good, name, value, wanted)
    if not good then
      raise("fit: %s is damaged: its %s is %s, expected %s", where, name, errors.kind(value), wanted)
    end
  end
  local epoch, history, best = small.epoch, small.history, small.best_epoch
  expect(type(small.settings) == "table", "settings", small.settings, "a table")
  expect(is_whole(epoch, 1), "epoch", epoch, "an integer of at least 1")
  expect(is_whole(small.steps, epoch), "number of steps", small.steps, "an integer of at least its epochs")
  expect(type(history) == "table" and #history == epoch, "history", history, "a list of its epochs")
  for i, e in ipairs(history) do
    local good = type(e) == "table" and e.epoch == i and is_finite(e.train_loss) and is_finite(e.lr)
      and (e.valid_loss == nil or is_finite(e.valid_loss))
    expect(good, ("history[%d]"):format(i), e, "an epoch's number, losses and rate")
  end
  expect(best == nil or is_whole(best, 1) and best <= epoch, "best epoch", best, "one of its epochs")
  local lost = small.best_loss
  expect((best == nil) == (lost == nil) and (lost == nil or is_finite(lost)), "best loss", lost,
    "a finite number, where there is a best epoch")
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

--- files.save_config(folder, settings): config.json, what the run began with, and `made`: galrun's version
-- and the date, UTC.
function files.save_config(folder, settings)
  local config = { made = { galrun = gal.version, date = os.date "!%Y-%m-%dT%H:%M:%S" } }
  for name, value in pairs(settings) do config[name] = value end
  folder:write("config.json", json.encode(config, true) .. "\n")
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
