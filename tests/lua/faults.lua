-- A disk or memory that gives out during a training costs nothing that was there: some calls of each kind;
-- tests/acceptance/faults.lua has all of them. And a file system without locks is told once and used.
local check = dofile "lua/lib/check.lua"
local faults = dofile "lua/lib/faults.lua"
local scratch = dofile "lua/lib/scratch.lua"

if not faults.library then
  print "no libgalrun_faults.so in this build (sanitizers, or another C library): nothing is tried"
  os.exit(0)
end

local p = faults.prepare(scratch.folder)
for _, entry in ipairs(faults.kinds) do
  local kind, errno = entry[1], entry[2]
  check.case(("a training loses nothing where a %s fails, and ends as undisturbed"):format(kind), function()
    local n, told = p.counts[kind], 0
    check.that(n >= 8, ("only %d calls of %s were counted"):format(n, kind))
    -- The first call, one in the middle of the epochs, one near the end.
    for _, k in ipairs{ 1, math.floor(n / 2) + 1, n - 2 } do
      local wrong, failed = faults.try(p, kind, k, errno)
      check.equal(("%s %d: %s"):format(kind, k, wrong or "nothing was lost"),
        ("%s %d: nothing was lost"):format(kind, k))
      told = told + (failed and 1 or 0)
    end
    -- A failing close of a file that was only read costs nothing, lack of memory may pass after a collection.
    check.that(told > 0 or kind == "close" or kind == "malloc", "no fault was told")
  end)
end

check.case("where the file system has no locks, runs go on and one notice says so", function()
  for _, errno in ipairs{ 37, 38, 95 } do
    local fault = faults.environment(scratch.folder, "lock", 0, errno)
    local train = scratch.galrun .. (" train.lua '%s/run' 2"):format(scratch.folder)
    local code, text = scratch.run(("rm -rf run && %s %s"):format(fault, train))
    local _, notices = text:gsub("has no locks %([^)]*%): nothing keeps a second galrun out", "")
    check.equal({ errno, code, notices }, { errno, 0, 1 })
  end
end)

scratch.remove()
check.finish()
