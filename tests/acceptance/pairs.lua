-- Writes the pairs of a problem (problems.lua) for other programs to learn from, one folder a seed:
-- theta.npy, x.npy (training), theta_test.npy, x_test.npy (fresh). golden/sbi_hard.py reads them.
--
-- usage: galrun tests/acceptance/pairs.lua --problem two_moons --out pairs/two_moons
local o = require("gal.cli").options{
  { "problem", type = "string", required = true, help = "two_moons, slcp, ring, funnel or linear_gaussian" },
  { "seeds", 5, "folders: pairs of seed 1, 2 and so on", type = "integer", least = 1 },
  { "n", 10000, "training pairs", type = "integer", least = 1 },
  { "fresh", 1000, "fresh pairs", type = "integer", least = 1 },
  { "out", type = "string", required = true, help = "folder of the folders" },
}
local gal = require "gal"
local problems = dofile(arg[0]:match "^(.*)/" .. "/problems.lua")

local problem = problems.by_name[o.problem] or error("no problem is called " .. o.problem, 0)
for seed = 1, o.seeds do
  local out, tensors = require("gal.base.path").make(("%s/%d"):format(o.out, seed)), {}
  tensors.theta, tensors.x, tensors.theta_test, tensors.x_test =
    problems.seeded(problem, seed, o.n, o.fresh)
  for name, t in pairs(tensors) do gal.save(("%s/%s.npy"):format(out, name), t) end
end
