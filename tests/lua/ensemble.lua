-- Ensembles: the mean of densities to the last bit, draws in equal shares, how far the members are apart,
-- which flows go together; and whatever takes a run on an ensemble of runs.
local check = dofile "lua/lib/check.lua"
local json = require "gal.base.json"
local promise = dofile("lua/lib/document.lua").promises(check)
local scratch = dofile "lua/lib/scratch.lua"
local core = require "gal.tensor"
local ffi = require "ffi"
local flows = require "gal.flow"
local gal = require "gal"
local infer = require "gal.infer"
local path = require "gal.base.path"
local train = require "gal.train"

-- A flow with the weights of that seed whose units are those of theta {N, d}, and which is never trained.
local WIDTHS = { 8, 8 }
local function flow_of(seed, theta, x, options)
  local o = { theta = theta:size(2), context = x and x:size(2) or 0, hidden = WIDTHS, rng = gal.rng(seed) }
  for name, value in pairs(options or {}) do o[name] = value end
  local flow = flows.new(o)
  flow:standardise(theta, x)
  return flow
end

local N, D = 90, 2
local x, theta = gal.randn({ N, 3 }, { rng = gal.rng(1) }), gal.randn({ N, D }, { rng = gal.rng(2) })
local function apart(members, distance)
  local list = {}
  for k = 1, members do list[k] = flow_of(k, theta + distance * k, x) end
  return flows.ensemble{ members = list }
end
local near, far = apart(3, 0.5), apart(3, 1000)

local function same_bits(a, b) check.that(check.bits(a:to "cpu") == check.bits(b:to "cpu"), "other bits") end

-- ---- densities ----

-- ln of the mean of exp of these numbers, as lua/ENSEMBLES.md defines it.
local function mean_of(values)
  local most, sum = math.max(unpack(values)), 0
  for _, v in ipairs(values) do sum = sum + math.exp(v - most) end
  return most + math.log(sum / #values)
end

local function expected(ensemble, points, context, options)
  local own, list = {}, {}
  for k, member in ipairs(ensemble.members) do
    own[k] = member:log_prob(points, context, options):reshape{ -1 }:totable()
  end
  for i = 1, #own[1] do
    local values = {}
    for k = 1, #own do values[k] = own[k][i] end
    list[i] = mean_of(values)
  end
  return list, own
end

promise("summed in the members' order in double precision and rounded to single", function()
  for _, steps in ipairs{ 8, "auto" } do
    local found = near:log_prob(theta, x, { steps = steps })
    local list = expected(near, theta, x, { steps = steps })
    same_bits(found, gal.tensor(list, { N }))
  end
  -- Members that are hundreds of nats apart: exp of either is 0 in double precision.
  local points = gal.cat({ theta * 30 + 100, theta * 2 }, 2):reshape{ N, 2, D }
  local found = near:log_prob(points, x, { steps = 8 })
  local list, own = expected(near, points, x, { steps = 8 })
  same_bits(found, gal.tensor(list, { N, 2 }))
  local lowest = math.min(unpack(own[1]))
  check.equal(lowest < -800, true)
end)

check.case("log_mean_exp is right where exp is not", function()
  local log_mean_exp = require("gal.flow.mixture").log_mean_exp
  local function of(...)
    local lists = {}
    for k, v in ipairs{ ... } do lists[k] = ffi.new("double[1]", v) end
    return log_mean_exp(lists, 1)[0]
  end
  check.near(of(math.log(1), math.log(2), math.log(6)), math.log(3), 1e-15)
  check.near(of(-2000, -2000 + math.log(3)), -2000 + math.log(2), 1e-12)
  check.near(of(800, 800), 800, 0)
  check.near(of(-math.huge, math.log(4)), math.log(2), 1e-15)
  check.equal(of(-math.huge, -math.huge), -math.huge)
  check.equal(of(0, 0 / 0), 0 / 0)
  check.equal(of(0 / 0, 0), 0 / 0)
end)

check.case("the mixture integrates to one, and its draws lie where it is dense", function()
  local t = gal.randn({ 200, 1 }, { rng = gal.rng(5) })
  local one = flows.ensemble{ members = { flow_of(1, t, nil), flow_of(2, t * 0.2 + 2, nil) } }
  local grid = gal.linspace(-8, 8, 4001):reshape{ -1, 1 }
  local density = one:log_prob(grid, nil, { steps = 20 }):exp():totable()
  local sum, below = 0, 0
  for i, v in ipairs(density) do
    sum = sum + v * 16 / 4000
    if i <= 2401 then below = below + v * 16 / 4000 end -- up to 1.6
  end
  check.near(sum, 1, 1e-3)
  local n = 20000
  local draws = one:sample(nil, { n = n, steps = 20, rng = gal.rng(3) })
  local share = draws:lt(gal.tensor(1.6)):mean():item()
  check.equal(below > 0.2 and below < 0.8, true)
  check.near(share, below, 4 * math.sqrt(below * (1 - below) / n))
end)

-- ---- draws ----

-- Which member each draw {N, n, D} of `far` is of, by where it lies: a list of lists.
local function owners(draws)
  local list = draws:select(3, 1):totable()
  for _, row in ipairs(list) do
    for i, v in ipairs(row) do row[i] = math.floor(v / 1000 + 0.5) end
  end
  return list
end

promise("shares are equal to within one draw, and over galaxies no member comes first more often", function()
  local first = { 0, 0, 0 }
  for _, n in ipairs{ 30, 31, 3, 2, 1 } do
    local draws = far:sample(x, { n = n, steps = 4, rng = gal.rng(4) })
    for _, row in ipairs(owners(draws)) do
      local counts = { 0, 0, 0 }
      for i, k in ipairs(row) do
        counts[k] = counts[k] + 1
        if i > 3 then check.equal(k, row[i - 3]) end
      end
      for k = 1, 3 do check.equal(counts[k] == math.floor(n / 3) or counts[k] == math.ceil(n / 3), true) end
      first[row[1]] = first[row[1]] + (n == 30 and 1 or 0)
    end
  end
  -- 30 each are expected; 4 deviations of a binomial are 18.
  for k = 1, 3 do check.near(first[k], N / 3, 18) end
end)

promise("are the same alone and in any batch, and the first n are the same for every larger n.", function()
  local options = { n = 20, steps = 4, rng = gal.rng(6) }
  local all = near:sample(x, options)
  options.rng = gal.rng(6)
  same_bits(near:sample(x[7], options)[1], all[7])
  same_bits(near:sample(x, { n = 11, steps = 4, rng = gal.rng(6) }), all:narrow(2, 1, 11):contiguous())
  local parts = {}
  local function into(first, samples) parts[first] = samples end
  near:sample(x, { n = 20, steps = 4, rng = gal.rng(6), into = into })
  same_bits(parts[1], all)
  local streams = near:streams(x, 31, 30)
  local part = near:sample(x:narrow(1, 31, 30), { n = 20, steps = 4, rng = gal.rng(6), streams = streams })
  same_bits(part, all:narrow(1, 31, 30):contiguous())
  -- The generator goes on.
  local r = gal.rng(6)
  near:sample(x, { n = 20, steps = 4, rng = r })
  check.that(near:sample(x, { n = 20, steps = 4, rng = r }):get(1, 1, 1) ~= all:get(1, 1, 1))
end)

promise("draws are those that it gives alone; the others begin with other noise", function()
  local n = 30
  local draws, own = far:sample(x, { n = n, steps = 4, rng = gal.rng(4) }), {}
  local alone = far.members[1]:sample(x, { n = n / 3, steps = 4, rng = gal.rng(4) })
  local index = {}
  for k, row in ipairs(owners(draws)) do
    for i, owner in ipairs(row) do
      if owner == 1 then index[#index + 1] = (k - 1) * n + i end
    end
    own[k] = row
  end
  same_bits(draws:reshape{ N * n, D }:rows(index), alone:reshape{ -1, D })
  -- The same weights in other units: equal noise would give equal draws but for these.
  local twins = flows.ensemble{ members = { flow_of(1, theta, x), flow_of(1, theta + 1000, x) } }
  local pairs_of = twins:sample(x, { n = 2, steps = 4, rng = gal.rng(4) }):select(3, 1):totable()
  for _, pair in ipairs(pairs_of) do
    check.equal(math.abs(math.abs(pair[1] - pair[2]) - 1000) > 1e-3, true)
  end
end)

check.case("densities come with draws as they are without, and the report is of all members", function()
  for _, steps in ipairs{ 10, "auto" } do
    local draws, log_q, report = near:sample_and_log_prob(x, { n = 7, steps = steps, rng = gal.rng(8) })
    check.near(draws:totable(), near:sample(x, { n = 7, steps = steps, rng = gal.rng(8) }):totable(), 2e-3)
    check.near(log_q:totable(), near:log_prob(draws, x, { steps = steps }):totable(), 4e-3)
    if report then
      local most = 0
      for _, member in ipairs(near.members) do
        local _, own = member:sample(x, { n = 7, steps = "auto", rng = gal.rng(8) })
        most = math.max(most, own.steps:get(1))
      end
      check.equal(report.steps:get(1) >= most, true)
      check.equal(#report.flagged, 0)
      check.equal(report.galaxies, N)
    end
  end
end)

-- Members of which some galaxies' fields bend: the weights of untrained nets, three times as large.
local function bent(members)
  local list = {}
  for k = 1, members do
    list[k] = flow_of(k, theta + k * 0.3, x)
    for _, p in ipairs(list[k].head:parameters()) do core.assign(p, p:detach() * 3) end
  end
  return flows.ensemble{ members = list }
end

promise("Either way the tolerance is kept, rms over the galaxy's draws, or the galaxy is flagged", function()
  local ensemble, few, n = bent(3), x:narrow(1, 1, 20), 300
  -- The share of that cost: pilots settle most galaxies at the first tolerance, few at the last.
  for tolerance, share in pairs{ [1e-2] = 0.75, [1e-3] = 0.95, [1e-4] = 1.15 } do
    local o = { n = n, steps = "auto", tolerance = tolerance, rng = gal.rng(8) }
    local draws, log_q, report = ensemble:sample_and_log_prob(few, o)
    local exact = ensemble:log_prob(draws, few, { steps = 200 })
    local flagged = {}
    for _, k in ipairs(report.flagged) do flagged[k] = true end
    for k, off in ipairs((log_q - exact):pow(2):mean(2):pow(0.5):totable()) do
      local sentence = "galaxy %d, tolerance %g: %g nats off, not flagged"
      check.that(off <= tolerance or flagged[k], sentence:format(k, tolerance, off))
    end
    -- What the draws cost, and the densities of the other members at them, each point by itself.
    local cost = 0
    for _, member in ipairs(ensemble.members) do
      local _, _, own = member:sample_and_log_prob(few, { n = n / 3, steps = "auto", tolerance = tolerance })
      local _, points = member:log_prob(draws, few, { steps = "auto", tolerance = tolerance })
      cost = cost + own.evaluations / 3 + points.evaluations * 2 / 3
    end
    local sentence = "tolerance %g: %g evaluations of %g"
    check.that(report.evaluations < share * cost, sentence:format(tolerance, report.evaluations, cost))
  end
  local function draw(rows, many, r)
    return select(2, ensemble:sample_and_log_prob(rows, { n = many, steps = "auto", rng = r or gal.rng(8) }))
  end
  local all, a, b = draw(few, n), gal.rng(8), gal.rng(8)
  same_bits(draw(few[5], n)[1], all[5])
  same_bits(draw(few, 7, a), all:narrow(2, 1, 7):contiguous())
  ensemble:sample(few, { n = 7, steps = 4, rng = b })
  check.equal(a:state(), b:state())
  local _, _, none = ensemble:sample_and_log_prob(few, { n = 3, steps = "auto", tolerance = 1e-12 })
  check.equal(#none.flagged, 20)
end)

-- ---- how far the members are apart ----

check.case("spread is the scatter of the members' means in posterior deviations", function()
  -- Members of the same weights, moved by -s, 0 and s: their means scatter by s.
  local s, list = 0.4, {}
  for k = 1, 3 do list[k] = flow_of(1, theta + (k - 2) * s, x) end
  local moved = flows.ensemble{ members = list }
  local streams = moved:streams(x)
  local draws = moved:sample(x, { n = 3000, steps = 6, rng = gal.rng(9) })
  local found = moved:spread(draws, streams)
  for k, deviations in ipairs(draws:std(2):totable()) do
    check.near(found[k], s / math.min(unpack(deviations)), 0.07)
  end
  list[2], list[3] = flow_of(1, theta, x), flow_of(1, theta, x)
  list[1] = flow_of(1, theta, x)
  local alike = flows.ensemble{ members = list }
  draws = alike:sample(x, { n = 3000, steps = 6, rng = gal.rng(9) })
  -- Chance alone: an F ratio of 2 and 2,997 degrees of freedom, .07 at p = 1e-3 for two properties.
  check.equal(math.max(unpack(alike:spread(draws, streams))) < 0.1, true)
  check.equal(alike:spread(draws:narrow(2, 1, 5):contiguous(), streams)[1], 0 / 0)
  -- Of 10 draws each, sqrt(.1 F) is .36 in the mean, F the larger of two exponential variables; what is left
  -- when chance is off, sqrt(.1 max(0, F - 1)), .19; over 90 galaxies +- .02.
  local sum = 0
  for _, v in ipairs(alike:spread(draws:narrow(2, 1, 30):contiguous(), streams)) do sum = sum + v / N end
  check.near(sum, 0.19, 0.07)
end)

check.case("the divergence is 0 of members that agree and ln K of members that don't overlap", function()
  local context = x:narrow(1, 1, 4)
  for _, v in ipairs(far:divergence(context, { n = 6 })) do check.near(v, math.log(3), 1e-6) end
  local twins = flows.ensemble{ members = { flow_of(1, theta, x), flow_of(1, theta, x) } }
  for _, v in ipairs(twins:divergence(context, { n = 6 })) do check.near(v, 0, 2e-3) end
end)

-- ---- which flows go together ----

check.case("members that do not go together are refused, naming both", function()
  local a, names = flow_of(1, theta, x), { "runs/a", "runs/b" }
  local function refuse(b, ...)
    for _, words in ipairs{ ... } do
      check.raises(function() flows.ensemble{ members = { a, b }, names = names } end, words)
    end
  end
  a.notes = { dereddened = true, survey = "/s.fits", images = { crop = 32 }, units = { oh = "dex" } }
  refuse(flow_of(2, gal.randn{ N, 3 }, x), "theta is \"theta_1, theta_2\" in runs/a and", "runs/b")
  refuse(flow_of(2, theta, gal.randn{ N, 2 }), "context is .* in runs/a and .* in runs/b")
  local other = flow_of(2, theta, x)
  other.notes = { dereddened = false, survey = "/s.fits", images = { crop = 32 } }
  refuse(other, "dereddened is true in runs/a and false in runs/b")
  other.notes = { dereddened = true, survey = "/t.fits", images = { crop = 64 } }
  refuse(other, "images.crop is 32 in runs/a and 64 in runs/b; survey is \"/s.fits\" in runs/a")
  other.notes = { dereddened = true, survey = "/s.fits", images = { crop = 32 } }
  check.equal(#flows.ensemble{ members = { a, other } }.members, 2)
  refuse(a, "runs/b is the same flow as runs/a")
  refuse(flows.new{ theta = 2, context = 3 }, "runs/b has not been trained")
  refuse(near, "members%[2%] is a table, expected a flow")
  check.raises(function() flows.ensemble{ members = { a } } end, "expected at least 2")
  check.raises(function() train.fit{ flow = near, theta = theta, context = x } end, "not trained as one")
  check.raises(function() near:save "x" end, "save each member")
end)

promise("An image is encoded once by each member.", function()
  local images, count = gal.rand{ 5, 4, 4, 1 }, 0
  local function encoder(pixels)
    count = count + pixels:size(1)
    return pixels:mean(2):mean(2)
  end
  local list = {}
  for k = 1, 3 do
    list[k] = flows.new{ theta = 2, context = 0, image = { 4, 4, 1 }, encoder = encoder, hidden = { 8 } }
    list[k]:standardise(theta:narrow(1, 1, 5), nil, images)
  end
  local ensemble = flows.ensemble{ members = list }
  count = 0
  local draws, log_q = ensemble:sample_and_log_prob({ nil, images }, { n = 4, steps = 4, rng = gal.rng(1) })
  check.equal(count, 15)
  check.near(log_q:totable(), ensemble:log_prob(draws, { nil, images }, { steps = 4 }):totable(), 1e-3)
end)

-- ---- runs ----

local survey = scratch.path "survey"
require("gal.mock").make{ out = survey, n = 1300, seed = 2, cutouts = false, progress = false }
local galaxies = require("gal.data").open(survey)
local out = scratch.path "e"
local function made(seed)
  local flow = flows.new{
    theta = galaxies.names.theta, context = galaxies.names.context, hidden = WIDTHS, rng = gal.rng(seed),
  }
  flow.notes = galaxies:choices()
  return flow
end
local function options(more)
  local o = {
    data = galaxies:split "train", valid = galaxies:split "valid", test = galaxies:split "test", epochs = 1,
    progress = false,
  }
  for name, value in pairs(more) do o[name] = value end
  return o
end

promise("the run, to the bit, that `fit` makes alone with that seed", function()
  local told = {}
  local function each(k) told[#told + 1] = k if #told == 2 then error "stopped" end end
  local all = options{ members = 3, make = made, each = each, seed = 5, out = out }
  check.raises(function() train.ensemble(all) end, "stopped")
  check.equal(path.kind(out .. "/ensemble.json"), nil)
  check.raises(function() gal.open(out) end, "an ensemble whose training has not ended; resumed, it goes on")
  check.raises(function() flows.load(out) end, "training has not ended")
  check.raises(function() train.ensemble(all) end, "exists")
  check.raises(function() train.expect{ out = out, resume = true } end, "holds an ensemble")
  all.resume = true
  local run = train.ensemble(all)
  check.equal(#run.members, 3)
  check.equal(json.decode(path.read(out .. "/ensemble.json")).members, { "member-1", "member-2", "member-3" })
  local alone = scratch.path "alone"
  train.fit(options{ flow = made(6), seed = 6, out = alone })
  for _, name in ipairs{ "flow.safetensors", "history.csv", "split.csv" } do
    check.equal(path.read(out .. "/member-2/" .. name) == path.read(alone .. "/" .. name), true)
  end
  check.raises(function() train.expect{ out = alone, resume = true, members = 3 } end, "run of one flow")
  -- One that goes on without saying its preset trains the members that begin as those that have begun.
  local paper = { members = 2, make = made, out = scratch.path "paper", each = function(k) assert(k < 2) end }
  paper.preset = "paper"
  check.raises(function() train.ensemble(options(paper)) end, "assertion failed")
  paper.preset, paper.each, paper.resume = nil, nil, true
  train.ensemble(options(paper))
  local config = json.decode(path.read(scratch.path "paper/member-2/config.json"))
  check.equal({ config.preset, config.draws, config.schedule }, { "paper", 1, "constant" })
end)

check.case("make gives a new flow of the same columns for each seed, or no member follows", function()
  local one = flow_of(1, theta, x)
  one.scale = nil
  local function says(make, sentence, more)
    local o = { members = 3, make = make, theta = theta, context = x, epochs = 1, progress = false }
    o.out = scratch.path("made" .. #sentence)
    for name, value in pairs(more or {}) do o[name] = value end
    check.raises(function() train.ensemble(o) end, sentence)
    check.equal({ path.kind(o.out .. "/member-2"), path.kind(o.out .. "/ensemble.json") }, {})
  end
  says(function() return one end, "make gives the same flow for the seeds 0 and 1, expected a new one")
  local function other(seed) return flows.new{ theta = { "a" .. seed, "b" }, context = 3, hidden = { 8 } } end
  says(other, "make%(0%) gives a flow whose theta is a0, b, and make%(1%) one whose theta is a1, b")
  says(function() end, "flow is nil, expected a flow")
  says(other, "unknown option 'flow'", { flow = one })
end)

check.case("an ensemble that is gone on with as a smaller one says which members it leaves out", function()
  local smaller = options{ members = 2, make = made, seed = 5, out = out, resume = true }
  while ffi.C.gal_notice() ~= nil do end
  check.equal(#train.ensemble(smaller).flow.members, 2)
  local told = ffi.string(ffi.C.gal_notice())
  check.that(told:find("e/member-3 stays and is not in this ensemble of 2", 1, true), told)
  smaller.members = 3
  check.equal(#train.ensemble(smaller).flow.members, 3)
end)

check.case("a list of runs is the same ensemble as the folder that names them", function()
  local a = flows.load(out)
  local b = flows.load(("%s/member-1, %s/member-2,%s/member-3/"):format(out, out, out))
  local part = galaxies:split("test"):thin(5)
  same_bits(a:log_prob(part.theta, part.context, { steps = 4 }),
    b:log_prob(part.theta, part.context, { steps = 4 }))
  check.equal(a:ood(part.context).context, a.members[1]:ood(part.context).context)
  local named = require "gal.flow.members"
  check.equal({ named.absolute "/a, /b/", named.name "/a, /b/", { named.home " /a/ , /b" } },
    { "/a,/b", "a,b", { "/a", "with-b" } })
  check.raises(function() flows.load(out .. "," .. out .. "/member-2") end, "is a member twice")
  check.raises(function() flows.load(out .. ",nowhere") end, "its member nowhere is not there")
  check.raises(function() flows.load(out .. ",") end, "expected folders between the commas")
  path.write(path.make(scratch.path "bad") .. "/ensemble.json", "{\"members\": 3}")
  check.raises(function() flows.load(scratch.path "bad") end, "is damaged")
  local function says(list, sentence)
    path.write(scratch.path "bad/ensemble.json", json.encode{ format = "galrun ensemble 1", members = list })
    check.raises(function() flows.load(scratch.path "bad") end, sentence)
  end
  says({ out .. "/member-1", "" }, "ensemble.json: members%[2%] is .*, expected the folder of a run")
  says({ out .. "/member-1", out }, "is an ensemble itself: name its members")
  says({ out .. "/member-1", "../nothing" }, "is not there")
end)

check.case("copies of a run and runs of one seed make no ensemble, and leave no folder half-made", function()
  local copy, both = scratch.path "copy", scratch.path "both"
  path.make(copy)
  path.write(copy .. "/flow.safetensors", path.read(out .. "/member-2/flow.safetensors"))
  local words = ("%s/member-2 and %s are the same flow"):format(out, copy):gsub("%p", "%%%0")
  check.raises(function() flows.load(out .. "," .. copy) end, words)
  local function make(list) return gal.run.ensemble{ out = both, members = list } end
  check.raises(function() make{ out, copy } end, words)
  check.raises(function() make{ out, out .. "/../e/member-1" } end, "is a member twice")
  check.equal(path.kind(both), nil)
  for k, unit in ipairs{ 1, 100 } do
    flow_of(k, theta * unit, x):save(path.make(scratch.path("unit" .. unit)) .. "/flow.safetensors")
  end
  check.raises(function() flows.load(("%s,%s"):format(scratch.path "unit1", scratch.path "unit100")) end,
    "theta_1 was .* among the training rows of .*/unit1 and .* of .*unit100: they did not learn")
  -- One that is an ensemble counts as its members, and no ensemble that was trained is replaced.
  check.equal(#make{ out, scratch.path "paper/member-1" }.flow.members, 4)
  both = out
  check.raises(function() make{ copy, scratch.path "paper/member-1" } end, "where an ensemble was trained")
end)

check.case("summaries, catalogues and posteriors tell the spread, in shards as in one", function()
  local run = require("gal.infer.trained").open(out)
  local part = galaxies:thin(40)
  local found = infer.posteriors(run.flow, part, { n = 30, steps = 4, progress = false })
  local draws = run.flow:sample(part.context, { n = 30, steps = 4, rng = gal.rng(0) })
  check.near(found.summary:doubles "spread", run.flow:spread(draws, run.flow:streams(part.context)), 1e-6)
  -- Members that are alike, but for chance, are not said to be apart by however few draws.
  local apart = require("gal.flow.ensemble").apart
  check.near({ apart(3, 1000), apart(3, 108), apart(3, 30) }, { 0.5, 0.5, 3 * math.sqrt(0.1) }, 1e-12)
  local function twin() return flow_of(1, theta, x) end
  local twins = flows.ensemble{ members = { twin(), twin(), twin() } }
  for _, n in ipairs{ 6, 12, 30 } do
    local chance = twins:spread(twins:sample(x, { n = n, steps = 4, rng = gal.rng(n) }), twins:streams(x))
    local beyond = 0
    for _, v in ipairs(chance) do beyond = beyond + (v > apart(3, n) and 1 or 0) end
    check.that(beyond <= 4, ("%d of %d galaxies with %d draws"):format(beyond, N, n))
  end
  local function catalogue(file, more)
    local o = { out = scratch.path(file), n = 30, steps = 4, progress = false }
    for name, value in pairs(more or {}) do o[name] = value end
    return infer.catalogue(run.flow, part, o)
  end
  catalogue "a.fits"
  for k = 1, 2 do catalogue("b.fits", { shard = k .. "/2" }) end
  catalogue("b.fits", { merge = true })
  check.equal(path.read(scratch.path "a.fits") == path.read(scratch.path "b.fits"), true)
  local spread = {}
  local column = gal.table(scratch.path "a.fits"):doubles "spread"
  for k, row in ipairs(part.rows) do spread[k] = column[row] end
  check.near(spread, found.summary:doubles "spread", 1e-6)
  local p = gal.open(out):posterior(part.ids[3], { n = 30, steps = 4 })
  check.near(p:spread(), found.summary:doubles("spread")[3], 1e-6)
  check.equal(tostring(p):find "spread: the members' means scatter" ~= nil, true)
  local few = gal.open(out):posterior(part.ids[3], { n = 5, steps = 4 })
  few = tostring(few):gsub("%s+", " ")
  check.that(few:find "means scatter by what so few draws don't tell", few)
  local t = p:trust(100)
  check.equal(t.divergence > 0 and t.divergence < math.log(3) and t.spread == p:spread(), true)
  check.equal(run:results(galaxies, "test"), out .. "/results/survey-test")
end)

check.case("experiments train ensembles and take them", function()
  gal.save(scratch.path "theta.npy", theta)
  gal.save(scratch.path "x.npy", x)
  local fit = scratch.experiment "fit_posterior" .. " --theta theta.npy --x x.npy --x-test x.npy "
    .. "--theta-test theta.npy --hidden 8 --epochs 1 --n 20 --steps 4 --out f --ensemble 2"
  local code, said = scratch.run(fit)
  check.equal(code, 0, said)
  local flow = flows.load(scratch.path "f", { device = gal.device() })
  check.equal(#flow.members, 2)
  same_bits(gal.load(scratch.path "f/log_prob.npy"), flow:log_prob(theta, x, { steps = 4 }))
  same_bits(gal.load(scratch.path "f/samples.npy"), flow:sample(x, { n = 20, steps = 4, rng = gal.rng(0) }))
  check.equal(gal.load(scratch.path "f/spread.npy").shape, { N })
  -- Draws keep other options out; a call that ended before it had any does not.
  local other = fit .. " --resume --n 30"
  code, said = scratch.run(other)
  check.that(code == 1 and said:find "the draws in f began with other settings: %-%-n was 20 and is 30", said)
  os.remove(scratch.path "f/samples.npy")
  code, said = scratch.run(other)
  check.equal(code, 0, said)
  code, said = scratch.run(fit .. " --out huge --n 1000000000000")
  check.that(code == 1 and said:find "draws of each row of %-%-x%-test: less of %-%-n would do", said)
  check.equal(path.kind(scratch.path "huge"), nil)
  code, said = scratch.run(scratch.experiment "evaluate" .. " e --galaxies 100 --n 39 --steps 4")
  check.equal(code, 0, said)
  check.that(said:find "The 3 members" and said:find "than its members do on average", said)
  local json = require("gal.base.json").decode(scratch.read(out .. "/results/survey-test/evaluation.json"))
  local test = gal.open(out):unseen():thin(100)
  local all = flows.load(out)
  local gain = all:log_prob(test.theta, test.context, { steps = 4 })
  for k, member in ipairs(all.members) do
    local own = member:log_prob(test.theta, test.context, { steps = 4 })
    check.near(json.members.log_q[k], own:mean():item(), 1e-5)
    gain = gain - own / 3
  end
  check.near(json.members.gain.mean, gain:mean():item(), 1e-5)
  check.that(json.members.gain.mean > 0)
  check.that(gal.table(out .. "/results/survey-test/galaxies.csv"):has "spread")
end)

scratch.remove()
check.finish()
