-- Sweeps as processes: trainings by two workers, killed and interrupted; halving; scripts that fail.
local check = dofile "lua/lib/check.lua"
local C = require("ffi").C
local claims = require "gal.sweep.claims"
local data = require "gal.data"
local gal = require "gal"
local host = require "gal.host"
local lib = dofile "lua/lib/sweep.lua"
local path = require "gal.base.path"
local process = require "gal.sweep.process"
local records = require "gal.sweep.records"
local scratch = dofile "lua/lib/scratch.lua"
local sweep = require "gal.sweep"
local file = scratch.path

require("gal.mock").make{ out = file "survey", n = 600, seed = 4, cutouts = false, progress = false }

local EPOCHS = 12
local function space(name, more)
  return scratch.write(file(name), ([[
    local sweep = require "gal.sweep"
    return { survey = "survey", epochs = %d, patience = 99, hidden = { 16, 16 }, %s }]]):format(EPOCHS, more))
end

check.case("workers and a master that are killed lose no finished trial and no epoch", function()
  local words = {
    space("space.lua", "lr = sweep.log_range(1e-3, 1e-1), sigma = sweep.choice{ 0, 0.3 }"), "--trials", "4",
    "--workers", "2",
  }
  local peace = { unpack(words) }
  peace[#peace + 1], peace[#peace + 2] = "--out", file "peace"
  lib.wait(lib.master(scratch.folder, peace), scratch.folder)
  local killed, touched = lib.disturbed(scratch.folder, words, 4, 11, 0.3)
  check.that(killed >= 2, "only " .. killed .. " were killed")
  check.equal(touched, {})
  check.equal((lib.compare(scratch.folder, EPOCHS)), {})
end)

check.case("a trial's score is the mean log p of its validation galaxies, and the order is by it", function()
  local s, survey = sweep.open(file "peace"), data.open(file "survey")
  local valid, expected = survey:split "valid", {}
  for number, trial in ipairs(s.trials) do
    local flow = require("gal.flow").load(trial.out .. "/flow.safetensors")
    expected[number] = flow:log_prob(valid.theta, valid.context, { steps = "auto" }):mean():item()
  end
  local before
  for _, row in ipairs(sweep.results(s).rows) do
    check.near(row.mean, expected[row.number], 1e-5)
    check.equal(row.galaxies, #valid.ids)
    check.that(not before or row.mean <= before, "not in order")
    before = row.mean
  end
  for _, name in ipairs{ "parallel", "effects", "budget" } do
    for _, ending in ipairs{ "png", "gp", "dat" } do
      check.equal(path.kind(("%s/%s.%s"):format(s.out, name, ending)), "file")
    end
  end
  check.equal(path.kind(s.out .. "/sweep.json"), "file")
end)

check.case("a sweep's ensemble is of its best trials, and of equal ones one counts", function()
  local s = sweep.open(file "peace")
  local found = sweep.results(s)
  local rows, named = found.rows, require "gal.flow.members"
  check.equal(#sweep.ensemble(s, 3).flow.members, 3)
  check.equal(named.of(s.out), { rows[1].trial.out, rows[2].trial.out, rows[3].trial.out })
  found.rows = { rows[1], rows[1], rows[2], rows[1] }
  sweep.ensemble(s, 2, found)
  check.equal(named.of(s.out), { rows[1].trial.out, rows[2].trial.out })
  check.raises(function() sweep.ensemble(s, 3, found) end, "2 trials of .* have a score and differ")
end)

-- The epochs that a run trained, as its timing.csv lists them.
local function trained(trial)
  local list = {}
  for word in path.read(trial.out .. "/timing.csv"):gmatch "\n(%d+)," do list[#list + 1] = tonumber(word) end
  return list
end

check.case("while halving each rung goes on where the last one ended", function()
  local s = sweep.plan{
    out = file "halved", trials = 6, halving = true, least = 2, eta = 2,
    space = sweep.load(space("halved.lua", "lr = sweep.log_range(1e-4, 1e-1)"), "epochs=8"),
  }
  check.equal(s.rungs, { 2, 4, 8 })
  s.folder = scratch.folder
  sweep.work(s)
  local reached = { 0, 0, 0 }
  for number, state in ipairs(records.read(s)) do
    local rung = #state
    for k = 1, rung do reached[k] = reached[k] + 1 end
    local list = trained(s.trials[number])
    check.equal(#list, s.rungs[rung], "epochs that trial " .. number .. " was trained")
    for k, epoch in ipairs(list) do check.equal(epoch, k) end
  end
  -- A trial may be the best of the first two at the second rung, and not of all three.
  check.equal({ reached[1], reached[2], reached[3] >= 1 and reached[3] <= 2 }, { 6, 3, true })
  local best = sweep.results(s).best
  check.equal(best.rung, 3)
  -- The same training without rungs, bit for bit.
  local trial = s.trials[best.number]
  local given = table.concat(trial.words, " ") .. " --epochs 8 --out whole"
  local code, text = scratch.run(scratch.experiment "train_photometry" .. " " .. given)
  check.equal(code, 0, text)
  local name = "/flow.safetensors"
  check.equal(scratch.read(file("whole" .. name)) == scratch.read(trial.out .. name), true)
end)

check.case("Ctrl-C and USR1 put the trials away and give them back, and the same command goes on", function()
  local words = { space("stop.lua", "lr = sweep.choice{ 1e-3, 2e-3 }"), "--method", "grid", "--workers", "2",
    "--set", "epochs=2000", "--out", file "stopped" }
  local s, ended, least = nil, C.gal_now() + 120, 0
  local function epochs()
    return s and math.min(records.epochs(s.trials[1]), records.epochs(s.trials[2])) or 0
  end
  for start, each in ipairs{ { "INT", 130 }, { "USR1", 75 } } do -- 75: to be started again
    local p = lib.master(scratch.folder, words)
    while epochs() < least + 3 and C.gal_now() < ended do
      C.gal_sleep(0.02)
      s = s or path.kind(file "stopped/sweep.json") and sweep.open(file "stopped") or nil
    end
    p:signal(each[1])
    check.equal({ p:wait(60) }, { "exit", each[2] })
    least = epochs()
    for number, trial in ipairs(s.trials) do
      local busy, n, content = claims.holder(records.folder(s), records.job(number, 1))
      check.equal({ busy, n, content.released }, { false, start, true }, path.read(file "master.txt"))
      local last = 0 -- an epoch whose checkpoint the signal prevented is trained once more
      for _, epoch in ipairs(trained(trial)) do
        check.that(epoch == last or epoch == last + 1, ("epoch %d after %d"):format(epoch, last))
        last = epoch
      end
    end
  end
  check.that(least >= 6, "the second start began anew: " .. least)
  check.equal(sweep.results(s).counts["cut off"], 2)
  check.that(sweep.text(s):find("2 cut off", 1, true), sweep.text(s))
end)

check.case("a script that fails is a row with its reason, which is tried again only where asked", function()
  local script = scratch.write(file "own.lua", [[
    local o = require("gal.cli").options{
      { "out", type = "string" }, { "resume", false }, { "how", "well" }, { "x", 0.5 },
    }
    local tries = io.open(o.out .. "/tries", "a")
    tries:write "once\n"
    tries:close()
    if o.how == "badly" then error "it went badly" end
    if o.how == "crash" then
      require("ffi").cdef "int raise(int);"
      require("ffi").C.raise(11)
    end
    if o.how == "silent" then return end
    if o.how == "killed" then os.execute "kill -9 $PPID" end
    require("gal.sweep").report(o.out, { "a", "b" }, { -o.x, -2 * o.x })
  ]])
  local s = sweep.plan{
    out = file "own", experiment = script, method = "grid",
    space = { how = sweep.choice{ "well", "badly", "crash", "silent", "killed" }, x = 1 },
  }
  for _, trial in ipairs(s.trials) do path.make(trial.out) end
  sweep.work(s)
  sweep.work(s)
  local function tries(k)
    return select(2, scratch.read(s.trials[k].out .. "/tries"):gsub("once", ""))
  end
  local found = sweep.results(s)
  local reason = {}
  for _, row in ipairs(found.rows) do reason[row.trial.values.how] = row.reason or row.mean end
  check.equal(reason.well, -1.5)
  check.that(reason.badly:find "own.lua:7: it went badly$", reason.badly)
  check.that(reason.crash:find "^its process was ended by signal SEGV", reason.crash)
  check.that(reason.silent:find "^not scored: .*flow.safetensors", reason.silent)
  check.that(reason.killed:find "^cut off 5 times without finishing an epoch", reason.killed)
  check.equal({ tries(1), tries(2), tries(3), tries(4), tries(5) }, { 1, 1, 1, 1, 5 })
  sweep.retry(s)
  sweep.work(s)
  check.equal({ tries(1), tries(2), tries(3), tries(4) }, { 1, 2, 2, 2 })
end)

check.case("a process that was started ends with the one that started it", function()
  local code = ("local p = require 'gal.sweep.process' local C = require('ffi').C "
    .. "local one = p.start({ '-e', 'while true do require([[ffi]]).C.gal_sleep(1) end' }, "
    .. "{ threads = 1, device = 'cpu', output = '%s' }) print(one.pid) io.stdout:flush() C.gal_sleep(60)")
  local p = process.start({ "-e", code:format(file "child.txt") }, {
    threads = 1, device = "cpu", output = file "parent.txt",
  })
  local child, ended = nil, C.gal_now() + 30
  while not child and C.gal_now() < ended do
    C.gal_sleep(0.02)
    child = tonumber(path.read(file "parent.txt") or "")
  end
  C.gal_sleep(0.3) -- the child binds itself to its parent when it has begun
  check.that(C.gal_process_begun(child) > 0, "it never lived")
  p:signal "KILL"
  while C.gal_process_begun(child) > 0 and C.gal_now() < ended do C.gal_sleep(0.02) end
  check.equal(tonumber(C.gal_process_begun(child)), 0)
  check.equal(gal.device(), host.device)
end)

scratch.remove()
check.finish()
