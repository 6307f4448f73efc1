-- sweep/claims: who works on what, without locks: a claim is a file that only one of all processes can make
-- (NFS promises that, too), touched every 30 s while its holder lives. The claims of a job are numbered, and
-- the highest one holds. Whoever makes the next number follows a dead holder. No claim is ever removed: of
-- two processes that remove a dead one, the slower would remove the quicker one's new claim.
local ffi = require "ffi"
local C = ffi.C
local errors = require "gal.base.errors"
local json = require "gal.base.json"
local path = require "gal.base.path"
local check = errors.check

local claims = {}
local Claim = {}
Claim.__index = Claim

local RENEWED = 30    -- seconds between two touches of a claim
local FORSAKEN = 600  -- seconds without a touch after which a holder on another machine counts as dead
local JUST_MADE = 60  -- seconds in which a claim without content counts as being written

local stamp = ffi.new "int64_t[2]"

-- Seconds since the file was touched, by the clock of its file system: it is compared with a file touched
-- now. nil where it is gone.
local function age_of(folder, file)
  local clock = folder .. "/clock"
  local made = ffi.new "int[1]"
  check(C.gal_file_create(clock, nil, 0, made))
  check(C.gal_file_touch(clock, stamp))
  local now = stamp[0]
  if C.gal_file_stamp(file, stamp, stamp + 1) ~= 1 then return nil end
  return tonumber(now - stamp[1]) / 1e9
end

local function file_of(folder, job, number) return ("%s/%s.claim%d"):format(folder, job, number) end

-- Whether the process of that number and start lives here. A worker has the number 1 where it is all that a
-- container runs.
local function lives(pid, begun)
  return type(pid) == "number" and pid >= 1 and tonumber(C.gal_process_begun(pid)) == begun
end

-- Whether the holder of the claim in that file is at work, and what the claim says. The trial's process of a
-- holder that was killed here may live on for a moment: it is ended, and counts as at work until it is gone.
local function at_work(folder, file)
  local known, content = pcall(json.decode, path.read(file) or "")
  if not known or type(content) ~= "table" then
    local age = age_of(folder, file)
    return age ~= nil and age < JUST_MADE, {}
  end
  if content.released then return false, content end
  if content.place ~= ffi.string(C.gal_process_place()) then
    local age = age_of(folder, file)
    return age ~= nil and age < FORSAKEN, content
  end
  if lives(content.pid, content.begun) then return true, content end
  if not lives(content.child, content.child_begun) then return false, content end
  C.gal_process_signal(content.child, "KILL")
  return true, content
end

--- claims.highest(folder, job): the number of the job's last claim, 0 where there is none.
function claims.highest(folder, job)
  local n = 0
  while path.kind(file_of(folder, job, n + 1)) do n = n + 1 end
  return n
end

--- claims.holder(folder, job): whether somebody works on a job now, how many claims it has had, and what the
-- last one says: {place, pid, begun, child, child_begun, epochs, released}.
function claims.holder(folder, job)
  local n = claims.highest(folder, job)
  if n == 0 then return false, 0, {} end
  local busy, content = at_work(folder, file_of(folder, job, n))
  return busy, n, content
end

--- claims.fruitless(folder, job, epochs): how many of the job's last claims ended without a new epoch by the
-- death of the worker or of the job's process, judged by the epochs that it had when each began: the sign of
-- a training that kills whoever runs it.
function claims.fruitless(folder, job, epochs)
  local n, count = claims.highest(folder, job), 0
  while n > 0 do
    local known, content = pcall(json.decode, path.read(file_of(folder, job, n)) or "")
    if not known or content.released and not content.killed or content.epochs ~= epochs then break end
    n, count = n - 1, count + 1
  end
  return count
end

--- claims.take(folder, job, epochs): claims a job ("003.1") whose run has so many epochs done. Returns the
-- claim, or nil where somebody is at work on the job or was quicker.
function claims.take(folder, job, epochs)
  local busy, n = claims.holder(folder, job)
  if busy then return nil end
  local own = C.gal_process_own()
  local self = setmetatable({
    folder = folder, job = job, number = n + 1, touched = C.gal_now(), file = file_of(folder, job, n + 1),
    content = {
      place = ffi.string(C.gal_process_place()), pid = tonumber(own),
      begun = tonumber(C.gal_process_begun(own)), epochs = epochs,
    },
  }, Claim)
  local made, text = ffi.new "int[1]", json.encode(self.content)
  check(C.gal_file_create(self.file, text, #text, made))
  return made[0] == 1 and self or nil
end

-- Writes the claim again, changed.
function Claim:write() path.write(self.file, json.encode(self.content)) end

--- claim:started(child): the job's work is the process of that number.
function Claim:started(child)
  self.content.child, self.content.child_begun = child, tonumber(C.gal_process_begun(child))
  self:write()
end

--- claim:renew(): touches the claim when it is time to. Returns false where another claim has followed: this
-- process was taken for dead, and must leave the job alone.
function Claim:renew()
  if C.gal_now() - self.touched < RENEWED then return true end
  if path.kind(file_of(self.folder, self.job, self.number + 1)) then return false end
  check(C.gal_file_touch(self.file, stamp))
  self.touched = C.gal_now()
  return true
end

--- claim:release([killed]): gives the job back: the next one may claim it at once. killed: whether something
-- else ended the job's process.
function Claim:release(killed)
  self.content.released, self.content.killed = true, killed or nil
  self:write()
end

return claims
