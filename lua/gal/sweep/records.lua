-- sweep/records: what is known of each trial: a file OUT/records/003.1.json when trial 3 is over at rung 1,
-- done or failed, written once and whole; beside it 003.1.npy, log p of each validation galaxy,
-- ids-<hash>.txt, whose these are, and 003.1.txt, what the trial's process printed.
local C = require("ffi").C
local gal = require "gal"
local json = require "gal.base.json"
local path = require "gal.base.path"
local host = require "gal.stats.host"

local records = {}

--- records.job(number, rung): the name of a trial's work up to a rung: "003.1".
function records.job(number, rung) return ("%03d.%d"):format(number, rung) end

--- records.folder(s): the folder of a sweep's records and claims.
function records.folder(s) return s.out .. "/records" end

--- records.file(s, number, rung, ending): the path of a record's file.
function records.file(s, number, rung, ending)
  return ("%s/%s.%s"):format(records.folder(s), records.job(number, rung), ending)
end

--- records.epochs(trial): the epochs that the run in a trial's folder has whole; 0 where there is none.
function records.epochs(trial)
  local text = path.read(trial.out .. "/history.csv")
  if not text then return 0 end
  local _, lines = text:gsub("\n", "")
  return math.max(0, lines - 1)
end

-- A hash of a list of ids, as text.
local function hash_of(text)
  local h = C.gal_hash(text, #text, 0)
  return ("%08x%08x"):format(tonumber(h / 2 ^ 32 % 2 ^ 32), tonumber(h % 2 ^ 32))
end

--- records.write(s, trial, rung, record[, scores]): the record of a trial that is over at a rung: {state =
-- "done" or "failed", reason, epochs, seconds, …}. scores {ids, log_p}: of the validation galaxies.
function records.write(s, trial, rung, record, scores)
  if scores then
    local text = table.concat(scores.ids, "\n") .. "\n"
    record.ids, record.galaxies = hash_of(text), #scores.ids
    local ids = ("%s/ids-%s.txt"):format(records.folder(s), record.ids)
    if not path.kind(ids) then path.write(ids, text) end
    local log_p = gal.tensor(scores.log_p, { #scores.ids }, { device = "cpu" })
    gal.save(records.file(s, trial.number, rung, "npy"), log_p)
  end
  record.ended = os.time()
  path.write(records.file(s, trial.number, rung, "json"), json.encode(record) .. "\n")
end

--- records.forget(s): removes the records of trials that failed, so that they are tried again.
function records.forget(s)
  for number, state in ipairs(records.read(s)) do
    for rung, record in pairs(state) do
      if record.state == "failed" then
        path.remove(records.file(s, number, rung, "json"))
      end
    end
  end
end

--- records.read(s[, known]): the records of all trials: a list {trials} of tables {rung = record}. known:
-- what an earlier call returned, so that only what is new is read.
function records.read(s, known)
  local list = known or {}
  for number = 1, #s.trials do
    local state = list[number] or {}
    for rung = 1, s:last() do
      if not state[rung] then
        local text = path.read(records.file(s, number, rung, "json"))
        local good, record = pcall(json.decode, text or "")
        if good and type(record) == "table" then state[rung] = record end
        if not state[rung] then break end
      end
    end
    list[number] = state
  end
  return list
end

--- records.log_p(s, number, rung): log p of each validation galaxy, an array of doubles {N} from 0; kept
-- where it was read before.
function records.log_p(s, number, rung)
  s.read_log_p = s.read_log_p or {}
  local file = records.file(s, number, rung, "npy")
  s.read_log_p[file] = s.read_log_p[file] or host.read(gal.load(file):to "cpu")
  return s.read_log_p[file]
end

--- records.ids(s, hash): the validation galaxies' ids of that hash, a list.
function records.ids(s, hash)
  s.read_ids = s.read_ids or {}
  if not s.read_ids[hash] then
    local list = {}
    for id in (path.read(("%s/ids-%s.txt"):format(records.folder(s), hash)) or ""):gmatch "([^\n]*)\n" do
      list[#list + 1] = id
    end
    s.read_ids[hash] = list
  end
  return s.read_ids[hash]
end

return records
