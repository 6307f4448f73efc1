-- A run survives kill -9, and keeps a second galrun out of its folder.
local check = dofile "lua/lib/check.lua"
local kill = dofile "lua/lib/kill.lua"
local ffi = require "ffi"
local gal = require "gal"

local scratch = dofile "lua/lib/scratch.lua"
local folder = scratch.folder

check.case("a training killed again and again and resumed is the undisturbed one, byte for byte", function()
  local kills, epochs = check.sized(3, 2), check.sized(60, 20)
  local same, why, met = kill.compare{ folder = folder, kills = kills, epochs = epochs, seed = 5 }
  check.equal(why or "the same", "the same")
  check.equal(same, true)
  check.equal(met >= 1, true)
end)

check.case("a second galrun in a run's folder is refused with the first one's process and host", function()
  local lock = ffi.new "gal_lock *[1]"
  assert(ffi.C.gal_lock_take(lock, folder .. "/alone/lock") == 0)
  local code, text = scratch.run(scratch.experiment "train_photometry" .. " --survey survey.csv"
    .. " --epochs 60 --patience 60 --hidden 64,64 --seed 3 --resume --out alone")
  local _, name = scratch.run "uname -n"
  local me = io.open("/proc/self/stat"):read "*n"
  check.equal(text:match "in use by ([^\n]*\n)", ("process %d on %s"):format(me, name))
  check.equal(code, 1)
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

scratch.remove()
check.finish()
