-- sweep/crew: the workers of one machine, as processes of their own: starts them with their share of the
-- threads, replaces those that were killed, and passes signals on. It holds nothing that a killed crew would
-- lose.
local C = require("ffi").C
local errors = require "gal.base.errors"
local path = require "gal.base.path"
local process = require "gal.sweep.process"
local records = require "gal.sweep.records"
local results = require "gal.sweep.results"

local crew = {}

--- crew.devices(device, count): the devices of so many workers: with "cuda" each has one card of its own
-- where there are several, in turn where there are fewer than workers.
function crew.devices(device, count)
  local list, cards = {}, 0
  if device == "cuda" then
    local visible = os.getenv "CUDA_VISIBLE_DEVICES"
    if visible then
      for _ in visible:gmatch "[^,]+" do cards = cards + 1 end
    else
      for k = 0, 63 do -- a container may have some of the machine's, by the machine's numbers
        if path.kind("/dev/nvidia" .. k) then cards = cards + 1 end
      end
    end
  end
  for i = 1, count do list[i] = cards > 1 and ("cuda:%d"):format((i - 1) % cards) or device end
  return list
end

-- Starts worker i.
local function start(s, i, o)
  local code = ("require('gal.sweep').work(%q)"):format(s.out)
  local p = process.start({ "-e", code }, {
    threads = o.threads, device = o.devices[i], last = "TERM",
    output = ("%s/worker%d.txt"):format(records.folder(s), i),
  })
  return p
end

-- The last line that a worker wrote: why it failed.
local function last_words(s, i)
  local last = "no output"
  local text = path.read(("%s/worker%d.txt"):format(records.folder(s), i)) or ""
  for line in text:gsub("\nstack traceback:.*", ""):gmatch "[^\n]+" do last = line end
  return last
end

local FAILURES = 5 -- of workers, after which the crew gives up: they would fail again

-- Looks at all workers once. A worker that was killed is replaced; one that fails is, too, up to FAILURES
-- times; one that was asked to leave, or found nothing to do, is not.
local function look(s, list, o, failures)
  local running = 0
  for i = 1, o.workers do
    local ended, code = list[i] and list[i]:wait(0)
    if ended then
      list[i] = nil
      if ended == "signal" and code ~= 15 or ended == "exit" and code == 1 then
        failures = failures + (ended == "exit" and 1 or 0)
        if failures > FAILURES then
          errors.raise("run: workers of %s end with: %s", s.out, last_words(s, i))
        end
        list[i] = start(s, i, o)
      end
    end
    if list[i] then running = running + 1 end
  end
  return running, failures
end

local LOOKS = 0.5 -- seconds between two looks

--- crew.run(s, {workers =, threads =, device =, report =}): works on a sweep by that many workers, each with
-- `threads` threads, until nothing is left to do. report(found), with the result of results.of, is called
-- when something may have changed. After Ctrl-C, TERM or USR1 the workers get the same signal and put their
-- trials away, and gal.interrupted is raised on.
function crew.run(s, o)
  o.devices = crew.devices(o.device, o.workers)
  local list, failures, known = {}, 0, {}
  local ok, err = pcall(function()
    for i = 1, o.workers do list[i] = start(s, i, o) end
    local running
    repeat
      if o.report then o.report(results.of(s, known)) end
      C.gal_sleep(LOOKS)
      errors.poll()
      running, failures = look(s, list, o, failures)
    until running == 0
  end)
  if ok then return end
  local left = {}
  for i = 1, o.workers do left[#left + 1] = list[i] end
  process.finish(left)
  error(err, 0)
end

return crew
