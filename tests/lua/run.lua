-- A folder of work that goes on where it was (gal.base.run): its settings, its lock, its finished mark, files
-- that grow, and what an error leaves.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local folder = require "gal.base.path"
local run = require "gal.base.run"
local C = ffi.C

local scratch = dofile "lua/lib/scratch.lua"
local out = scratch.path

local HEAD = "job,loss\n"

-- The sweep at the head of lua/gal/base/run.lua: jobs 1 to 8, stopped before job `stop`; returns the jobs
-- that it ran.
local function sweep(name, seed, stop)
  local ran = {}
  local work = run.open{
    where = "sweep", out = out(name), noun = "sweep", settings_file = "sweep.json",
    settings = { lr = { 1e-3, 1e-4 }, seed = seed }, mark = "best.json",
  }
  work:work(function()
    if work.finished then return end
    local done, bytes = work:lines("results.csv", HEAD)
    local results = work:grow("results.csv", HEAD, bytes)
    for job = #done + 1, 8 do
      if job == stop then error("stopped", 0) end
      ran[#ran + 1] = job
      results:put(("%d,%.9g\n"):format(job, 1 / job))
      results:sync()
    end
    work:write("best.json", "8\n")
  end)
  return ran
end

check.case("stopped work goes on behind its last whole line, and finished work is left alone", function()
  check.that(not pcall(sweep, "a", 0, 4), "it was not stopped")
  local text = folder.read(out "a/results.csv")
  check.equal(text, HEAD .. "1,1\n2,0.5\n3,0.333333333\n")
  folder.write(out "a/results.csv", text .. "4,0.")
  check.equal(sweep("a", 0), { 4, 5, 6, 7, 8 })
  check.equal(run.lines(out "a/results.csv", HEAD)[4], "4,0.25")
  check.equal(sweep("a", 0), {})
end)

check.case("what a killed galrun left half-written is gone once another goes on in the folder", function()
  pcall(sweep, "killed", 0, 4)
  local left = { [".galrun-1-0.tmp"] = "half a line", [".galrun-1-1.tmp"] = "" } -- "": before its first byte
  for name, text in pairs(left) do folder.write(out("killed/" .. name), text) end
  sweep("killed", 0)
  for name in pairs(left) do check.equal(folder.kind(out("killed/" .. name)), nil, name) end
end)

check.case("other settings are refused by name, and no lock is left behind", function()
  sweep("b", 0)
  check.raises(function() sweep("b", 1) end,
    "the sweep in .*/b began with other settings: seed was 0 and is 1%. Give those again, or another out")
  local function open(settings)
    return run.open{ where = "sweep", out = out "c", settings_file = "sweep.json", settings = settings }
  end
  open{ lr = { 1, 2 }, name = "wide" }:close()
  check.raises(function() open{ lr = { 1, 3 }, epochs = 5 } end,
    "epochs was not set and is 5; lr was 1,2 and is 1,3; name was wide and is not set")
  open{ lr = { 1, 2 }, name = "wide" }:close() -- the refused ones hold no lock
  -- No gap where a value is empty, and no value that was and is the same.
  local old = { layer = "", bands = {}, path = ("a"):rep(60) .. "b", count = 1 }
  local new = { layer = "g", bands = { "g" }, path = ("a"):rep(60) .. "c", count = "1" }
  local function compare(a, b) run.compare({ where = "fit", out = "o", noun = "run" }, a, b) end
  check.raises(function() compare(old, new) end,
    ": bands was empty and is g; count is another; layer was '' and is g; path is another%. Give")
  check.raises(function() compare({ layer = " " }, { layer = { "" } }) end, "layer was ' ' and is ''%.")
  folder.write(out "c/sweep.json", "{\"lr\": ")
  local function again() open{ lr = { 1, 2 }, name = "wide" } end
  check.raises(again, "sweep: .*/c/sweep.json is damaged; name another out")
end)

check.case("settings that are free may change", function()
  local work = run.open{ where = "fit", out = out "free" }
  work:compare({ lr = 1, epochs = 2 }, { lr = 1, epochs = 3 }, { epochs = true })
  check.raises(function() work:compare({ lr = 1, epochs = 2 }, { lr = 2, epochs = 3 }, { epochs = true }) end,
    "fit: the run in .*/free began with other settings: lr was 1 and is 2%. Give")
  work:close()
end)

check.case("a folder in use is refused naming its holder, and is free after an error or a close", function()
  local first = run.open{ where = "sweep", out = out "d" }
  local function second() return run.open{ where = "sweep", out = out "d" } end
  check.raises(second, "sweep: .*/d/lock: in use by process %d+ on ")
  check.that(not pcall(first.work, first, function() error("no", 0) end), "the error is lost")
  local opened = second()
  opened:close()
  opened:close()
  second():close()
end)

check.case("a finished folder is opened without its lock", function()
  sweep("e", 0)
  local lock = ffi.new "gal_lock *[1]"
  assert(C.gal_lock_take(lock, out "e/lock") == C.GAL_OK)
  check.equal(sweep("e", 0), {})
  C.gal_lock_release(lock[0])
end)

check.case("a file that grows begins anew where none of it is kept, and is closed with its run", function()
  local work = run.open{ where = "sweep", out = out "f" }
  folder.write(out "f/list.csv", "another head\n1\n2\n")
  check.equal({ work:lines("list.csv", HEAD) }, { {}, 0 })
  local file = work:grow("list.csv", HEAD, 0)
  file:put "1,2\n"
  local two = ffi.new("char[3]", "xy\n")
  file:put(two, 3)
  work:close()
  check.equal(folder.read(out "f/list.csv"), HEAD .. "1,2\nxy\n")
  check.raises(function() file:put "3\n" end, "list.csv: its run is closed")
end)

check.case("a file in the folder's place is refused", function()
  folder.write(out "g", "")
  local function open() run.open{ where = "fit", out = out "g" } end
  check.raises(open, "fit: out is '.*/g', which is a file, expected a folder")
end)

scratch.remove()
check.finish()
