-- sweep/process: the galruns that a sweep starts: spawned with their share of the threads and their device,
-- their output in a file, and ended with the one that started them.
local ffi = require "ffi"
local C = ffi.C
local errors = require "gal.base.errors"
local host = require "gal.base.host"
local check = errors.check

local process = {}
local Process = {}
Process.__index = Process

local pids, ends = ffi.new "int64_t[1]", ffi.new "int[2]"

-- A list of words as an array for C, and the strings that must stay alive with it.
local function list_of(words)
  local list = ffi.new("const char *[?]", #words + 1)
  for i, word in ipairs(words) do list[i - 1] = word end
  return list
end

-- Its threads wait for each other a quarter of a millisecond and then sleep. libgomp's own 15 ms are lost
-- wherever a core is not this process's alone, as beside other workers (tests/bench/README.md).
local SHORT_WAITS = "GOMP_SPINCOUNT=5000"

--- process.start(words, {threads =, device =, output =, folder =, last = "KILL"}): starts galrun with these
-- words, a script and its arguments. output: the file to which it writes; folder: its working folder; last:
-- the signal that it gets when this process ends.
function process.start(words, o)
  local all = {
    host.executable, "--threads", tostring(o.threads), "--device", o.device, "-l", "gal.sweep.attached",
  }
  for _, word in ipairs(words) do all[#all + 1] = word end
  local more = { ("GALRUN_PARENT=%d %s"):format(tonumber(C.gal_process_own()), o.last or "KILL") }
  if o.threads > 1 and not os.getenv "GOMP_SPINCOUNT" then more[2] = SHORT_WAITS end
  check(C.gal_process_start(pids, list_of(all), list_of(more), o.folder, o.output))
  return setmetatable({ pid = tonumber(pids[0]) }, Process)
end

--- p:wait(seconds): waits at most so long, less after Ctrl-C. Returns nil while the process runs; then
-- "exit" and its code, or "signal" and its number.
function Process:wait(seconds)
  if self.ended then return self.ended, self.code end
  check(C.gal_process_wait(self.pid, seconds, ends, ends + 1))
  if ends[0] == 0 then return nil end
  self.ended, self.code = ends[0] == 1 and "exit" or "signal", ends[1]
  return self.ended, self.code
end

--- p:signal(name): sends it "INT", "TERM", "USR1" or "KILL".
function Process:signal(name)
  if not self.ended then check(C.gal_process_signal(self.pid, name)) end
end

--- process.interrupted_by(): the name of the signal by which gal.interrupted was raised last.
function process.interrupted_by() return host.signal and host.signal() or "INT" end

local PATIENCE = 600 -- seconds: by then a training has finished its step and its checkpoint

--- process.finish(list): passes the signal on by which this process was interrupted, and waits until all of
-- these processes have ended. Ctrl-C again meanwhile passes on a second one, which ends them at once.
function process.finish(list)
  for _, p in ipairs(list) do p:signal(process.interrupted_by()) end
  C.gal_interrupt_set(0)
  for _, p in ipairs(list) do
    local ok, err = pcall(function()
      local until_then = C.gal_now() + PATIENCE
      while not p:wait(1) and C.gal_now() < until_then do errors.poll() end
    end)
    if not ok or not p.ended then
      for _, each in ipairs(list) do each:signal "KILL" end
      p:wait(10)
    end
    if not ok and err ~= errors.interrupted then error(err, 0) end
  end
end

return process
