-- train/files: the folder of a run. config.json, history.csv (no clock in it), timing.csv, split.csv,
-- checkpoint.safetensors (all that resuming bit for bit takes) and flow.safetensors (the best weights). Every
-- file is replaced whole.
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local folder = require "gal.base.path"
local json = require "gal.base.json"
local nn = require "gal.nn"
local errors = require "gal.base.errors"
local raise, check = errors.raise, errors.check

local files = {}

local FORMAT = "galrun checkpoint 1"

local function write(path, text) check(C.gal_file_write(path, text, #text)) end

local function number(v) return v and ("%.9g"):format(v) or "" end

-- One galrun at a time in the folder: raises naming the process and host that train in it now. The lock goes
-- with the process, or by files.unlock.
local function lock(out)
  local held = ffi.new "gal_lock *[1]"
  if C.gal_lock_take(held, out .. "/lock") ~= 0 then raise("fit: %s", ffi.string(C.gal_error())) end
  return ffi.gc(held[0], C.gal_lock_release)
end

--- files.unlock(held): gives up what files.open returned second; nil is left alone.
function files.unlock(held)
  if held then C.gal_lock_release(ffi.gc(held, nil)) end
end

--- files.open(out, resume): the state of checkpoint.safetensors in the folder `out` as {tensors, small}, or
-- nil where a run is to begin. Raises where the folder exists, holds more than a run that failed in its
-- first epoch, and resume is not true. Second: the folder's lock, for files.unlock.
function files.open(out, resume)
  local kind = C.gal_path_exists(out)
  if kind == 1 then raise("fit: out is '%s', which is a file, expected a folder", out) end
  local function has(name) return C.gal_path_exists(out .. "/" .. name) == 1 end
  local failed = has "config.json" and has "lock" and not has "checkpoint.safetensors" -- a run that came to no epoch: nothing is lost
  if kind == 2 and not resume and not failed then
    raise("fit: out is '%s', which exists; pass resume = true to go on with the run in it, or name another folder", out)
  end
  folder.make(out)
  local held = lock(out)
  local path = out .. "/checkpoint.safetensors"
  if C.gal_path_exists(path) == 0 then return nil, held end
  local tensors, metadata = gal.load(path)
  if type(metadata) ~= "table" or metadata.format ~= FORMAT then raise("fit: %s is no checkpoint of this version", path) end
  return { tensors = tensors, small = json.decode(metadata.state) }, held
end

--- files.save_checkpoint(out, tensors, small): tensors by name, small: what JSON holds.
function files.save_checkpoint(out, tensors, small)
  gal.save(out .. "/checkpoint.safetensors", tensors, { format = FORMAT, state = json.encode(small) })
end

--- files.save_history(out, history): one line an epoch, the same bytes for the same run.
function files.save_history(out, history)
  local lines = { "epoch,train_loss,valid_loss,lr" }
  for i, e in ipairs(history) do
    lines[i + 1] = ("%d,%s,%s,%s"):format(e.epoch, number(e.train_loss), number(e.valid_loss), number(e.lr))
  end
  write(out .. "/history.csv", table.concat(lines, "\n") .. "\n")
end

--- files.add_timing(out, epoch, seconds): appends a line to timing.csv.
function files.add_timing(out, epoch, seconds)
  local path = out .. "/timing.csv"
  local file = io.open(path, "rb")
  local text = file and file:read "*a" or "epoch,seconds\n"
  if file then file:close() end
  write(path, text .. ("%d,%.4f\n"):format(epoch, seconds))
end

--- files.save_config(out, settings).
function files.save_config(out, settings) write(out .. "/config.json", json.encode(settings, true) .. "\n") end

local function quoted(s) return s:find '[",\n]' and '"' .. s:gsub('"', '""') .. '"' or s end

--- files.save_split(out, parts): parts: {name, ids} in order; each id and the part it is in.
function files.save_split(out, parts)
  local lines = { "id,part" }
  for _, entry in ipairs(parts) do
    for _, id in ipairs(entry[2]) do lines[#lines + 1] = quoted(tostring(id)) .. "," .. entry[1] end
  end
  write(out .. "/split.csv", table.concat(lines, "\n") .. "\n")
end

-- A setting in a sentence.
local function shown(v)
  if v == nil then return "not set" end
  local text = type(v) == "string" and v or json.encode(v)
  return #text > 60 and text:sub(1, 57) .. "..." or text
end

--- files.compare(old, new): raises where a run's settings are not those it began with, naming each; `epochs`
-- may change.
function files.compare(old, new)
  local names, wrong = {}, {}
  for name in pairs(old) do names[name] = true end
  for name in pairs(new) do names[name] = true end
  names.epochs = nil
  for name in pairs(names) do
    local a, b = old[name], new[name]
    local ta, tb = a == nil and "" or json.encode(a), b == nil and "" or json.encode(b)
    if ta ~= tb then wrong[#wrong + 1] = ("%s was %s and is %s"):format(name, shown(a), shown(b)) end
  end
  if #wrong == 0 then return end
  table.sort(wrong)
  raise("fit: this run began with other settings: %s. Give those again, or another out", table.concat(wrong, "; "))
end

return files
