-- Acceptance: a disk or memory that gives out at any call of a short training costs nothing that was there.
-- For each kind of call (stat, open, read, write, fsync, rename, close, malloc) and each of the calls of that
-- kind, one training meets its failure: it ends well with the undisturbed training's bytes, or with a
-- sentence and the old files whole; resumed it ends with the undisturbed training's bytes. About 3,300
-- faults, ten minutes.
--
-- usage: galrun tests/acceptance/faults.lua [--out /tmp/galrun-faults] [--every 1 (of the calls of malloc)]
local cli = require "gal.cli"
local path = require "gal.base.path"
local run = require "gal.base.run"
local here = arg[0]:match "^(.*)/" or "."
local report = dofile(here .. "/report.lua")
local faults = dofile(here .. "/../lua/lib/faults.lua")

local o = cli.options{
  out = "/tmp/galrun-faults", every = 1, record = { true, "append the result to RESULTS.md" },
}
assert(faults.library, "this build has no libgalrun_faults.so")
local HEAD = "kind,call,wrong,told\n"
local work = run.open{
  where = "faults", out = o.out, settings_file = "faults.json", settings = { every = o.every },
  lock = "faults.lock",
}
local home = path.absolute(o.out)
os.execute(("rm -rf '%s/run'"):format(home))
local p = faults.prepare(home)

-- All that is to be tried: {kind, call, errno}.
local list = {}
for _, entry in ipairs(faults.kinds) do
  for k = 1, p.counts[entry[1]], entry[1] == "malloc" and o.every or 1 do
    list[#list + 1] = { entry[1], k, entry[2] }
  end
end

local wrong, told = 0, 0
work:work(function()
  local done, bytes = work:lines("results.csv", HEAD)
  local results = work:grow("results.csv", HEAD, bytes)
  for i = #done + 1, #list do
    local kind, k, errno = unpack(list[i])
    local why, failed = faults.try(p, kind, k, errno)
    if why then print(kind, k, why) end
    done[i] = ("%s,%d,%d,%d"):format(kind, k, why and 1 or 0, failed and 1 or 0)
    results:put(done[i] .. "\n")
    results:sync()
  end
  for _, line in ipairs(done) do
    local bad, sentence = line:match ",(%d),(%d)$"
    wrong, told = wrong + tonumber(bad), told + tonumber(sentence)
  end
end)
local r = report.new("faults", o.record)
print(("%d faults, %d of them told in a sentence; the others cost nothing"):format(#list, told))
r:bar(("of %d faults, those that did damage or were untold"):format(#list), wrong, 0)
r:finish()
