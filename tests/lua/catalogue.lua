-- Catalogues of a survey's posteriors, and what stands beside them: how rare a galaxy is (flow:ood), how two
-- surveys differ (compare.surveys), posteriors without the labels' errors, and files that a killed galrun
-- leaves behind (infer.catalogue).
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local mock = require "gal.mock"
local rarity = require "gal.stats.rarity"
local train = require "gal.train"

local scratch = dofile "lua/lib/scratch.lua"
local folder = scratch.folder

-- Magnitudes {n, 5} of mock galaxies, the properties as labels and as they are, each {n, 5}.
local galaxies = mock.galaxies{ n = 3200, seed = 3 }
local function columns(names)
  local list = {}
  for i, name in ipairs(names) do list[i] = galaxies:column(name):reshape{ -1, 1 } end
  return gal.cat(list, 2)
end
local BANDS = { "modelMag_u", "modelMag_g", "modelMag_r", "modelMag_i", "modelMag_z" }
local magnitudes = columns(BANDS)
local labels = columns{ "lgm_tot_p50", "sfr_tot_p50", "oh_p50", "d4000_n", "a_v" }

-- ---- how rare a galaxy is ----

local known, held, new = magnitudes:narrow(1, 1, 2000), magnitudes:narrow(1, 2001, 600),
  magnitudes:narrow(1, 2601, 600)
local function below(shares, level)
  local count = 0
  for _, v in ipairs(shares) do count = count + (v < level and 1 or 0) end
  return count / #shares
end

local flow = require("gal.flow").new{
  theta = { "lgm_tot_p50", "sfr_tot_p50", "oh_p50", "d4000_n", "a_v" },
  context = { "modelMag_u", "modelMag_g", "modelMag_r", "modelMag_i", "modelMag_z" }, hidden = { 16 },
  rng = gal.rng(1),
}
local function rows(from, n)
  return { theta = labels:narrow(1, from, n), context = magnitudes:narrow(1, from, n) }
end
train.fit{ flow = flow, data = rows(1, 2000), valid = rows(2001, 600), epochs = 1, progress = false }

check.case("a share is that of the validation galaxies that are rarer", function()
  local r = rarity.fit(known, held)
  local own, other, shares = r:log_density(held), r:log_density(new), r:shares(new)
  for _, k in ipairs{ 1, 17, 600 } do
    local rarer = 0
    for _, v in ipairs(own) do rarer = rarer + (v < other[k] and 1 or 0) end
    check.near(shares[k], rarer / 600, 1e-9)
  end
end)
check.case("shares of galaxies that the flow never saw are uniform", function()
  -- Kolmogorov's 1 % point for two samples of 600 is .094.
  local shares, worst = flow:ood(new).context, 0
  table.sort(shares)
  for k, v in ipairs(shares) do worst = math.max(worst, math.abs(v - k / 600)) end
  check.that(worst < 0.094, ("apart by %.3f"):format(worst))
end)
check.case("g off by .3 mag is found in .9 of galaxies, at a false alarm in a hundred", function()
  local shift = gal.tensor{ 0, -0.3, 0, 0, 0 }
  local alarms, found = below(flow:ood(new).context, 0.01), below(flow:ood(new + shift).context, 0.01)
  check.that(alarms <= 0.025, ("alarms %.3f"):format(alarms)) -- 3.7 standard errors above .01 of 600
  check.that(found >= 0.88, ("found %.3f"):format(found)) -- .90 less 1.6 standard errors
end)
check.case("columns that are constant or combinations leave shares as they are; off them a galaxy is rare",
  function()
    local function wide(x)
      local u, g = x:narrow(2, 1, 1), x:narrow(2, 2, 1)
      return gal.cat({ x, u - g, u * 0 }, 2)
    end
    local r = rarity.fit(wide(known), wide(held))
    check.that(below(r:shares(wide(new)), 0.01) < 0.03)
    local off = wide(new)
    check.equal(below(r:shares(off + gal.tensor{ 0, 0, 0, 0, 0, 0, 1 }), 1e-9), 1)
    check.equal(below(r:shares(off + gal.tensor{ 0, 0, 0, 0, 0, 0.5, 0 }), 1e-9), 1)
  end)
check.case("a saved flow says the same shares, and one without them says why it can't", function()
  local path = folder .. "/flow.safetensors"
  flow:save(path)
  local again = require("gal.flow").load(path)
  check.equal(again:ood(new).context, flow:ood(new).context)
  check.equal(again:ood(new).image, nil)
  again.familiar = nil
  again:save(path)
  local bare = require("gal.flow").load(path)
  local none, why = bare:ood(new)
  check.equal(none, nil)
  check.that(why:find "does not say how its galaxies were spread", why)
  check.equal(bare:sample(new, { n = 4, steps = 2, rng = gal.rng(1) }):totable(),
    flow:sample(new, { n = 4, steps = 2, rng = gal.rng(1) }):totable())
end)
check.case("a flow's file with shares that do not fit it is refused", function()
  local path = folder .. "/spoilt.safetensors"
  flow:save(path)
  local tensors, metadata = gal.load(path)
  for name, bad in pairs{
    ["familiar.context.mean"] = gal.zeros{ 4 }, ["familiar.context.scores"] = gal.tensor{ 2, 1 },
    ["familiar.low"] = gal.zeros{ 2 }, ["familiar.other"] = gal.zeros{ 2 },
    ["familiar.context.inverses"] = gal.zeros{ 1, 2, 2 },
  } do
    local spoilt = {}
    for k, v in pairs(tensors) do spoilt[k] = v end
    spoilt[name] = bad
    gal.save(path, spoilt, metadata)
    check.raises(function() require("gal.flow").load(path) end, "familiar")
  end
end)

-- ---- two surveys ----

local compare = require "gal.stats.compare"
local first, second = magnitudes:narrow(1, 1, 1600), magnitudes:narrow(1, 1601, 1600)

check.case("surveys of one population can't be told apart; u off by -.05 mag is found and named", function()
  local same = compare.surveys(first, second, { names = BANDS })
  check.that(same.p > 0.01 and math.abs(same.auc - 0.5) < 0.04, same.words)
  check.that(same.words:find "can't be told apart", same.words)
  local off = compare.surveys(first, second + gal.tensor{ -0.05, 0, 0, 0, 0 }, { names = BANDS })
  check.that(off.p < 0.01 and off.auc > 0.57 and off.auc < 0.67, off.words)
  check.equal(off.differences[1].name, "modelMag_u - modelMag_g")
  check.near(off.differences[1].difference, -0.05, 3 * off.differences[1].error)
  check.that(off.words:find "a real difference" or off.words:find "A real difference", off.words)
end)
check.case("p is that of labels at random: alike surveys reach .1 as often as they should", function()
  local low, times = 0, 60
  for i = 1, times do
    local rng = gal.rng(i)
    local a, b = gal.randn({ 40, 2 }, { rng = rng }), gal.randn({ 40, 2 }, { rng = rng })
    local p = compare.surveys(a, b, { permutations = 19, seed = i }).p
    low = low + (p <= 0.1001 and 1 or 0)
  end
  -- Of 60 at .1: 6, with a deviation of 2.3.
  check.that(low >= 1 and low <= 13, low .. " of 60")
end)

scratch.remove()
check.finish()
