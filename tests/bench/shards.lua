-- What shards cost beyond the draws themselves: processor seconds of sample.lua on a mock survey's magnitudes
-- in one command, and of the same in K shards and their merge, interleaved. Processor time, so that another
-- process beside it does not count.
-- usage: galrun tests/bench/shards.lua [--galaxies N] [--n DRAWS] [--shards K] [--rounds R]
local cli = require "gal.cli"
local o = cli.options{
  { "galaxies", 20000, "galaxies of the survey" },
  { "n", 100, "draws a galaxy" },
  { "shards", 10, "shards" },
  { "rounds", 3, "pairs of measurements" },
}
local ffi = require "ffi"
local host = require "gal.host"

-- struct rusage begins with two times, {seconds, microseconds} each: of the user's code and of the system.
ffi.cdef "int getrusage(int who, long *usage);"
local CHILDREN, usage = -1, ffi.new "long[32]"

-- Processor seconds of all processes that this one has started and seen the end of.
local function spent()
  assert(ffi.C.getrusage(CHILDREN, usage) == 0)
  return tonumber(usage[0] + usage[2]) + 1e-6 * tonumber(usage[1] + usage[3])
end

local folder = os.tmpname()
os.remove(folder)
local function run(name, words)
  local form = "'%s' --threads 1 '%s/experiments/%s.lua' %s >/dev/null"
  assert(os.execute(form:format(host.executable, host.root, name, words)) == 0, name .. " failed")
end
local function seconds(name, words)
  local before = spent()
  run(name, words)
  return spent() - before
end

run("make_survey", ("--n %d --no-cutouts --out %s/survey"):format(o.galaxies, folder))
run("train_photometry", ("--survey %s/survey --hidden 64,64 --epochs 3 --out %s/run"):format(folder, folder))
local whole, parts, merged = {}, {}, {}
for r = 1, o.rounds do
  local words = ("%s/run --survey %s/survey --n %d --out %s/"):format(folder, folder, o.n, folder)
  whole[r] = seconds("sample", words .. "whole" .. r)
  parts[r] = 0
  for k = 1, o.shards do
    parts[r] = parts[r] + seconds("sample", ("%sparts%d --shard %d/%d"):format(words, r, k, o.shards))
  end
  merged[r] = seconds("sample", ("%sparts%d --merge"):format(words, r))
  print(("round %d: whole %.2f s, shards %.2f, merge %.2f"):format(r, whole[r], parts[r], merged[r]))
  os.execute(("rm -r %s/whole%d %s/parts%d"):format(folder, r, folder, r))
end
os.execute("rm -r " .. folder)
local function median(list)
  table.sort(list)
  return list[math.floor((#list + 1) / 2)]
end
local one = median(whole)
local form = "%d galaxies, %d draws each: a shard costs %.3f s of the processor beyond its draws, the merge "
  .. "%.2f s; all of it %.3f times one command's %.1f s"
print(form:format(o.galaxies, o.n, (median(parts) - one) / o.shards,
  median(merged), (median(parts) + median(merged)) / one, one))
