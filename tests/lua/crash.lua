-- A run survives: kill -9 and resuming, a second galrun in the same folder.
local check = dofile "lua/lib/check.lua"
local kill = dofile "lua/lib/kill.lua"
local ffi = require "ffi"
local gal = require "gal"

local folder = os.tmpname()
os.remove(folder)
assert(os.execute("mkdir " .. folder) == 0)

check.case("a training killed three times and resumed is the undisturbed one, byte for byte", function()
  local same, why, met = kill.compare{ folder = folder, kills = 3, epochs = 60, seed = 5 }
  check.equal(why or "the same", "the same")
  check.equal(same, true)
  check.equal(met >= 1, true)
end)

check.case("a second galrun in a run's folder is refused with the first one's process and host", function()
  local lock = ffi.new "gal_lock *[1]"
  assert(ffi.C.gal_lock_take(lock, folder .. "/alone/lock") == 0)
  local host = require "gal.host"
  local pipe = io.popen(("%q %q --survey %s/survey.csv --epochs 60 --patience 60 --hidden 64,64 --seed 3 --resume --out %s/alone 2>&1; echo exit $?"):format(
    host.executable, host.root .. "/experiments/train_photometry.lua", folder, folder))
  local text = pipe:read "*a"
  pipe:close()
  local name = io.popen("uname -n"):read "*l"
  local me = io.open("/proc/self/stat"):read "*n"
  check.equal(text:match "in use by ([^\n]*)", ("process %d on %s"):format(me, name))
  check.equal(text:match "exit (%d+)", "1")
  ffi.C.gal_lock_release(lock[0])
end)

check.case("a lock that was given up can be taken again, one that is held can't", function()
  local first, second = ffi.new "gal_lock *[1]", ffi.new "gal_lock *[1]"
  local path = folder .. "/lock"
  check.equal(ffi.C.gal_lock_take(first, path), 0)
  check.equal(ffi.C.gal_lock_take(second, path) ~= 0, true)
  ffi.C.gal_lock_release(first[0])
  check.equal(ffi.C.gal_lock_take(second, path), 0)
  ffi.C.gal_lock_release(second[0])
  check.equal(ffi.C.gal_lock_take(first, folder .. "/none/lock") ~= 0, true)
end)

os.execute("rm -r " .. folder)
check.finish()
