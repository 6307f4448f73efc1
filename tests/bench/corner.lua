-- What a corner plot costs: five properties, two sets of 10,000 draws, from the call to the PNG; the parts,
-- and the same with weights, with 1,000 and with 100,000 draws. Medians.
--
-- usage: galrun tests/bench/corner.lua [--rounds 5]
local ffi = require "ffi"
local gal = require "gal"
local plot = require "gal.plot"

local o = require("gal.cli").options {
  { "rounds", 5, "of which the medians are shown" },
  { "out", "runs/bench-corner", "folder for the figures" },
}
local NAMES = { "lgm_tot_p50", "sfr_tot_p50", "oh_p50", "d4000_n", "a_v" }

-- Draws with correlations and an edge: {n, 5}.
local function draws(n, seed)
  local z = gal.randn({ n, 5 }, { rng = gal.rng(seed) })
  local mixed = z:matmul(gal.tensor{
    { 0.2, 0.2, 0.05, 0, 0 }, { 0, 0.2, 0, 0, 0 }, { 0, 0, 0.1, 0, 0 }, { 0, 0, 0, 0.1, 0 },
    { 0, 0, 0, 0, 0.3 },
  })
  return gal.cat({ mixed:narrow(2, 1, 4), mixed:narrow(2, 5, 1):abs() }, 2)
end

local function now() return tonumber(ffi.C.gal_now()) end

local function median(list)
  table.sort(list)
  return list[math.ceil(#list / 2)]
end

local function measure(name, n, weighted)
  local sets, weights, call, all = { draws(n, 1), draws(n, 2) }, nil, {}, {}
  local function some(seed) return gal.rand({ n }, { rng = gal.rng(seed) }) end
  if weighted then weights = { some(3), some(4) } end
  for r = 1, o.rounds do
    local start = now()
    local figure = plot.corner(sets, { names = NAMES, limits = { a_v = { 0 } }, weights = weights })
    call[r] = now() - start
    plot.figure(("%s/%s.png"):format(o.out, name), figure)
    all[r] = now() - start
  end
  print(("%-20s densities and contours %.2f s, with gnuplot's PNG %.2f s"):format(name, median(call),
    median(all)))
end

measure("2 x 10000", 10000)
measure("2 x 10000 weighted", 10000, true)
measure("2 x 1000", 1000)
measure("2 x 100000", 100000)
