-- Acceptance: an hour of random calls of the public functions (tests/lua/lib/fuzz.lua) in two processes: none
-- ends the process, raises a raw error of Lua's or leaves a scope or the tape open. To be run by a galrun
-- built with sanitizers (-DGALRUN_SANITIZE=ON), whose reports end a process.
--
-- usage: build-asan/galrun tests/acceptance/fuzz.lua [--minutes 60] [--out runs/acceptance/fuzz] [--first 1]
-- Goes on where it was stopped: done.csv in `out` has a line for each part. A part that found something
-- leaves its logs in found-FIRST.
local cli = require "gal.cli"
local folder = require "gal.base.path"
local here = arg[0]:match "^(.*)/" or "."
local report = dofile(here .. "/report.lua")
local fuzz = dofile(here .. "/../lua/lib/fuzz.lua")
local run = require "gal.base.run"
local C = require("ffi").C

local o = cli.options{
  minutes = 60, out = "runs/acceptance/fuzz", first = { 1, "first round" },
  record = { true, "append the result to RESULTS.md" },
}

local ROUNDS = 40 -- of each of two processes: some seconds, a minute with sanitizers
local HEAD = "first,seconds,calls,ended_at_once,faults\n"

local work = run.open{
  where = "fuzz", out = o.out, noun = "run", settings_file = "fuzz.json", settings = { first = o.first },
}
local r = report.new("fuzz", o.record)
local seconds, calls, ended, faults = 0, 0, 0, 0

local function add(part)
  seconds, calls = seconds + part[2], calls + part[3]
  ended, faults = ended + part[4], faults + part[5]
end

-- One part, rounds `first` on in two processes; what it found stays in the folder found-<first>.
local function part_from(first)
  local place, before = folder.absolute(folder.make(o.out .. "/now")), C.gal_now()
  local middle = first + ROUNDS
  local parts = fuzz.processes(place, { { first, middle - 1 }, { middle, middle + ROUNDS - 1 } })
  local line = { first, 0, 0, 0, 0 }
  for _, p in ipairs(parts) do
    if not p.ended then print(("a process ended at once (%s) at round %s"):format(p.status, p.last)) end
    for _, fault in ipairs(p.faults) do print(fault) end
    line[3], line[4], line[5] = line[3] + p.calls, line[4] + (p.ended and 0 or 1), line[5] + #p.faults
  end
  line[2] = C.gal_now() - before
  local found = line[4] + line[5] > 0
  os.execute(("cd '%s' && rm -rf found-%d && %s"):format(folder.absolute(o.out), first,
    found and ("mv now found-%d"):format(first) or "rm -rf now"))
  return line
end

work:work(function()
  local done, bytes = work:lines("done.csv", HEAD)
  local file = work:grow("done.csv", HEAD, bytes)
  for _, line in ipairs(done) do
    local part = {}
    for field in line:gmatch "[^,]+" do part[#part + 1] = tonumber(field) end
    add(part)
  end
  local first = o.first + 2 * ROUNDS * #done
  while seconds < 60 * o.minutes do
    local part = part_from(first)
    add(part)
    file:put(("%d,%.1f,%d,%d,%d\n"):format(unpack(part)))
    file:sync()
    first = first + 2 * ROUNDS
    print(("%d calls in %.0f s"):format(calls, seconds))
  end
end)

r:bar("processes that ended at once", ended, 0)
r:bar("faults", faults, 0)
r:figure(("%d calls in %.0f min"):format(calls, seconds / 60))
r:finish()
