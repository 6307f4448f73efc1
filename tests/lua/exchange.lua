-- gal.stats.exchange and its purpose: images exchanged between galaxies that are alike stay in their cells
-- and leave none in its place, and a model gains nothing from exchanged images, and loses by them if it has
-- learned to trust images.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local exchange = require "gal.stats.exchange"
local core = require "gal.tensor"
local data = require "gal.data"
local images = require "gal.images"
local learn = require("gal.train").quick
local metrics = require "gal.metrics"
local nn = require "gal.nn"

-- How many of the values at these positions are below that at position k.
local function rank(values, among, k)
  local below = 0
  for _, i in ipairs(among) do if values[i] < values[k] then below = below + 1 end end
  return below
end

local function everybody(n)
  local list = {}
  for k = 1, n do list[k] = k end
  return list
end

local N, SLICES = 700, { 5, 4 }
local keys = { gal.randn({ N }, { rng = gal.rng(1) }), gal.randn({ N }, { rng = gal.rng(2) }) }

check.case("each galaxy is another's partner once, of its slice of r and its slice of colour", function()
  local partner, r, colour = exchange.partners(keys, SLICES, gal.rng(3)), keys[1]:totable(), keys[2]:totable()
  local slice, cell, times = {}, {}, {}
  for k = 1, N do slice[k] = math.floor(rank(r, everybody(N), k) / (N / 5)) end
  for k = 1, N do
    local own = {}
    for i = 1, N do if slice[i] == slice[k] then own[#own + 1] = i end end
    check.equal(#own, 140, "galaxies in the slice of galaxy " .. k)
    cell[k] = 10 * slice[k] + math.floor(rank(colour, own, k) / (140 / 4))
  end
  for k = 1, N do
    check.that(partner[k] ~= k, "galaxy " .. k .. " keeps its own")
    check.equal(cell[partner[k]], cell[k], "the cell of galaxy " .. k .. "'s partner")
    check.that(not times[partner[k]], ("galaxy %s is a partner twice"):format(partner[k]))
    times[partner[k]] = true
  end
end)

check.case("partners hang on the generator alone, and cells of two swap", function()
  check.equal(exchange.partners(keys, SLICES, gal.rng(3)), exchange.partners(keys, SLICES, gal.rng(3)))
  check.that(not pcall(check.equal, exchange.partners(keys, SLICES, gal.rng(3)),
    exchange.partners(keys, SLICES, gal.rng(4))), "another seed gives the same partners")
  check.equal(exchange.partners({ gal.tensor { 3, 1, 4, 2 } }, { 2 }, gal.rng(1)), { 3, 4, 1, 2 })
end)

check.case("too many cells, keys of two lengths and an unknown column are refused", function()
  check.raises(function() exchange.partners(keys, { 20, 20 }) end,
    "700 galaxies are too few for 400 cells, expected at least 2 in each", true)
  check.raises(function() exchange.partners({ keys[1], keys[2]:narrow(1, 1, 9) }, SLICES) end,
    "keys%[2%] has 9 values, expected 700", true)
  check.raises(function() exchange.partners(keys, { 5, 0.5 }) end,
    "slices%[2%] is 0.5, expected an integer of at least 1", true)
  check.raises(function()
    exchange.exchanged(data.arrays(keys[1], keys[1]:reshape { N, 1 }, { context = { "a" } }), { "b" }, { 2 })
  end, "no column 'b' in the context, expected of a", true)
end)

-- A survey of images {8, 8, 3} as grey as what the context doesn't tell: theta = context + grey + N(0, .3²),
-- context and grey N(0, 1).
local function problem(n, seed)
  local options = { rng = gal.rng(seed) }
  local context, grey = gal.randn({ n, 1 }, options), gal.randn({ n, 1 }, options)
  local part = data.arrays(context + grey + gal.randn({ n, 1 }, options) * 0.3, context,
    { theta = { "theta" }, context = { "r" } })
  local pictures = core.new({ n, 8, 8, 3 }, "uint8")
  core.assign(pictures,
    (grey * 30 + 128):maximum(0):minimum(255):reshape { n, 1, 1, 1 } + gal.zeros { n, 8, 8, 3 })
  part.images = images.of(pictures)
  return part
end
local function swapped(part) return exchange.exchanged(part, { "r" }, { 20 }, gal.rng(5)) end
local train, test = problem(1000, 1), problem(1000, 2)

check.case("exchanged galaxies keep all but their images, which are those of others as they were", function()
  local other = swapped(test)
  check.equal(other.ids, test.ids)
  check.equal(other.theta, test.theta)
  check.equal(other.context, test.context)
  local before, after = test.images:batch(1, 1000):totable(), other.images:batch(1, 1000):totable()
  local function values(list)
    local grey = {}
    for k, image in ipairs(list) do grey[k] = image[4][4][2] end
    return grey
  end
  local own, given = values(before), values(after)
  local mean, deviation = metrics.moments(own)
  local sum = 0
  for k = 1, 1000 do sum = sum + (own[k] - mean) * (given[k] - mean) / deviation ^ 2 / 1000 end
  check.that(math.abs(sum) < 5 / math.sqrt(1000),
    ("the images given correlate with the own ones by %.3f"):format(sum))
  table.sort(own)
  table.sort(given)
  check.equal(given, own, "the images' values in all")
end)

-- Of theta given both, the deviation is .3, given the context alone sqrt(1.09): a gain of ln(sqrt(1.09) / .3)
-- = 1.247 nats.
local function gains()
  local function trained(part, encoder)
    local layer = nn.conv2d(3, 4, 3, { rng = gal.rng(1) })
    encoder = encoder and nn.sequential { layer, nn.silu(), nn.global_avg_pool() }
    return learn(part, { epochs = 25, lr = 4e-3, batch = 50, draws = 4, seed = 1, encoder = encoder,
      preset = "paper", progress = false }).flow
  end
  local function log_p(flow, part)
    return flow:log_prob(part.theta, part:seen(), { steps = 20, progress = false }):mean():item()
  end
  local photometry = log_p(trained(train:blind()), test:blind())
  local flow = trained(train, true)
  check.near(photometry, -0.5 * math.log(2 * math.pi * math.exp(1) * 1.09), 0.12,
    "log p of the context's model")
  check.near(log_p(flow, test) - photometry, 1.247, 0.15, "gain from the own images")
  check.near(log_p(trained(swapped(train), true), swapped(test)) - photometry, 0, 0.05,
    "gain from others' images")
  -- Believed, another's grey is off by sqrt(2): the mean of (error² - .09) / .18 is 2 / .18 = 11 nats for a
  -- model that had learned all there is.
  check.that(log_p(flow, swapped(test)) - photometry < -3,
    "others' images at test time only should cost more than 3 nats")
end
-- Three trainings: a minute on a device of the tests.
if check.sized(true, false) then
  check.case("a model gains by its galaxies' images, nothing by others', and loses by an exchange", gains)
end

check.finish()
