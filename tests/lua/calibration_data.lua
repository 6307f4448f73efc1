-- gal.calibration on data as they come: galaxies in blocks, without numbers, with values that many share,
-- near a given galaxy; and what it refuses.
local check = dofile "lua/lib/check.lua"
local planted = dofile "lua/lib/planted.lua"
local calibration = require "gal.calibration"
local gal = require "gal"

local function same_test(a, b)
  check.equal({ a.p, a.verdict, #a.table }, { b.p, b.verdict, #b.table })
  for i, e in ipairs(a.table) do
    check.equal(e.name, b.table[i].name)
    check.near(e.z, b.table[i].z, 1e-9, e.name)
  end
end

-- The block of galaxies first … last of what planted.make gives.
local function block(truth, samples, o, first, last)
  local function cut(x) return x:narrow(1, first, last - first + 1) end
  return {
    truth = cut(truth), samples = cut(samples), log_q = cut(o.log_q), log_q_true = cut(o.log_q_true),
    context = cut(o.context),
  }
end

check.case("blocks give what all galaxies at once give, however they are cut", function()
  local truth, samples, o = planted.make("exact", 260, 39, gal.rng(1))
  local whole = calibration.test(truth, samples, o)
  for _, sizes in ipairs{ { 260 }, { 7, 150, 103 }, { 99, 1, 1, 159 } } do
    local acc, first = calibration.accumulator{ names = o.names, context_names = o.context_names }, 1
    for _, size in ipairs(sizes) do
      acc:add(block(truth, samples, o, first, first + size - 1))
      first = first + size
    end
    same_test(acc:finish(), whole)
  end
end)

check.case("memory does not grow with the galaxies", function()
  local acc, rng = calibration.accumulator(), gal.rng(1)
  local function grow(blocks)
    for _ = 1, blocks do
      gal.scope(function()
        local truth, samples = gal.randn({ 50, 2 }, { rng = rng }), gal.randn({ 50, 199, 2 }, { rng = rng })
        acc:add{ truth = truth, samples = samples }
      end)
    end
    check.collect()
    return collectgarbage "count" * 1024 + gal.memory().live
  end
  local few = grow(20)
  local many = grow(60)
  -- 3,000 galaxies more, of three ranks each; their draws alone would be 4.8 MB.
  check.that(many - few < 3000 * 3 * 32, ("%d bytes more"):format(many - few))
  check.equal(acc:finish().n, 4000)
end)

check.case("galaxies that are left out count in nothing, and others must have numbers", function()
  local truth, samples, o = planted.make("exact", 150, 39, gal.rng(1))
  local kept = {}
  for k = 1, 150 do
    if k ~= 133 and k ~= 120 then kept[#kept + 1] = k end
  end
  local rest = {}
  for _, name in ipairs{ "context", "log_q", "log_q_true" } do rest[name] = o[name]:rows(kept) end
  local without = calibration.test(truth:rows(kept), samples:rows(kept), rest)
  samples = samples:clone():set(0 / 0, 120, 4, 2)
  o.log_q = o.log_q:clone():set(-1 / 0, 133, 1)
  o.names, o.context_names = nil, nil
  o.left_out = { 120 }
  check.raises(function() calibration.test(truth, samples, o) end, "test: log_q of galaxy 133 has a", true)
  o.left_out = { 133 }
  check.raises(function() calibration.test(truth, samples, o) end,
    "truth or samples of galaxy 120 has a value that is no finite number, expected it in left_out", true)
  o.left_out = { 133, 120 }
  local c = calibration.test(truth, samples, o)
  same_test(c, without)
  check.equal({ c.left_out, c.n, c.ranks[1][120] }, { { 120, 133 }, 148, 0 / 0 })
end)

-- A_V as fits give it: 0 for half of them, else above; the posterior knows little, and its draws near 0
-- scatter as a flow's do.
local function clipped(n, draws, rng)
  local mean = gal.randn({ n, 1 }, { rng = rng })
  local function value(shape)
    local middle = mean:reshape(#shape == 2 and { n, 1 } or { n, 1, 1 })
    return (middle + gal.randn(shape, { rng = rng })):relu()
  end
  local truth, samples = value{ n, 1 }, value{ n, draws, 1 }
  local other = gal.randn({ n, 1 }, { rng = rng })
  local smooth = samples + gal.randn({ n, draws, 1 }, { rng = rng }) * 0.03
  local function beside(a, b) return gal.cat({ a, b }, #a.shape) end
  return beside(truth, other), beside(smooth, gal.randn({ n, draws, 1 }, { rng = rng }))
end

check.case("values that many training rows share are told apart and not tested", function()
  local truth, samples = clipped(600, 199, gal.rng(2))
  local training = clipped(2000, 1, gal.rng(3))
  local names = { "a_v", "oh" }
  local blind = calibration.test(truth, samples, { names = names })
  check.that(blind.p <= 0.01, "the atom is not seen without the training rows: p is " .. blind.p)
  local c = calibration.test(truth, samples, { names = names, training = training })
  check.that(c.p > 0.01, "p is " .. c.p .. ": " .. c.verdict)
  check.equal({ #c.atoms, c.atoms[1].name, c.atoms[1].value }, { 1, "a_v", 0 })
  check.near(c.atoms[1].truths, c.atoms[1].draws, 0.05)
  check.that(c.atoms[1].truths > 0.4, "share at the atom " .. c.atoms[1].truths)
  check.that(tostring(c):find "a_v within 0%.%d+ of 0: %d+%.%d %% of the truths", tostring(c))
  -- A fault of the values beside the atom is found all the same.
  local off = gal.cat({ truth:narrow(2, 1, 1), truth:narrow(2, 2, 1) + 0.4 }, 2)
  local found = calibration.test(off, samples, { names = names, training = training })
  check.equal(found.worst.name, "shift of oh")
end)

check.case("a property that is rounded is tested against draws that are rounded alike", function()
  local rng = gal.rng(7)
  local function rounded(x) -- to multiples of .8 posterior deviations
    local list = x:reshape({ -1 }):totable()
    for i, v in ipairs(list) do list[i] = 0.8 * math.floor(v / 0.8 + 0.5) end
    return gal.tensor(list, x.shape)
  end
  local truth = rounded(gal.randn({ 2000, 1 }, { rng = rng }))
  local samples = gal.randn({ 2000, 199, 1 }, { rng = rng })
  local training = rounded(gal.randn({ 3000, 1 }, { rng = rng }))
  local plain = calibration.test(truth, samples)
  local c = calibration.test(truth, samples, { training = training })
  check.that(plain.p <= 0.05, "without the training rows p is " .. plain.p) -- the width is 1 + .64/12
  check.that(c.p > 0.05, "p is " .. c.p .. ": " .. c.verdict)
  check.equal(#c.atoms, 0)
end)

check.case("of exact posteriors with atoms p is at most .05 in .05 of 80 repetitions", function()
  local below, training = 0, clipped(2000, 1, gal.rng(3))
  for seed = 1, 80 do
    gal.scope(function()
      local rng = gal.rng(300 + seed)
      local truth, samples = clipped(150, 40, rng)
      -- The truth is one of the posterior's own draws.
      local own = gal.cat({ truth:reshape{ 150, 1, 2 }, samples }, 2)
      local rest = own:narrow(2, 3, 39):clone()
      local c = calibration.test(own:select(2, 2):clone(), rest, { training = training })
      if c.p <= 0.05 then below = below + 1 end
    end)
  end
  check.that(below <= 10, below .. " of 80 rejected") -- 11 or more: probability .002
end)

check.case("near a galaxy the bias there is found, with its sign", function()
  local truth, samples, o = planted.make("local_bias", 2000, 39, gal.rng(2))
  local all = o.context
  o.log_q, o.log_q_true, o.context, o.context_names = nil, nil, all:narrow(2, 1, 1):contiguous(), nil
  local c = calibration.test(truth, samples, o)
  for sign = -1, 1, 2 do
    local near = c:near({ 1.5 * sign }, 400)
    check.equal({ near.n, #near.nearest }, { 400, 400 })
    local shift = near.table[1]
    check.equal(shift.name, "shift of log_mass")
    check.near(shift.effect, -0.3 * sign, 0.15)
    check.that(near.worst.name == "shift of log_mass" and near.p <= 0.05, tostring(near))
  end
  -- The nearest by inputs that are whitened: neither their units nor which combinations they are matter.
  local function nearest(x, context)
    return calibration.near(x, 300, truth, samples, { context = context }).nearest
  end
  local other = gal.randn({ 5, 5 }, { rng = gal.rng(11) }) * gal.tensor{ 100, 1, 1, 1, 0.1 }
  local x = gal.tensor{ { 1.5, 0, 0, 0, 1 } }
  check.equal(nearest(x:matmul(other)[1], all:matmul(other)), nearest(x[1], all))
  local beside = gal.cat({ all, gal.ones{ 2000, 1 } }, 2) -- an input that is the same everywhere
  check.equal(nearest({ 1.5, 0, 0, 0, 1, 1 }, beside), nearest(x[1], all))
end)

check.case("a context that others nearly give is tried as it is and beyond them", function()
  -- Bands u and g, .99 correlated; the bias goes with the colour.
  local rng = gal.rng(5)
  local g, colour = gal.randn({ 600, 1 }, { rng = rng }), gal.randn({ 600, 1 }, { rng = rng })
  local context = gal.cat({ g + colour * 0.1, g, gal.ones{ 600, 1 } }, 2)
  local truth = gal.randn({ 600, 1 }, { rng = rng }) + colour * 0.4
  local samples = gal.randn({ 600, 199, 1 }, { rng = rng })
  local o = { context = context, context_names = { "u", "g", "constant" }, names = { "oh" } }
  local c = calibration.test(truth, samples, o)
  check.that(c.worst.name:find "^bias of oh with [ug] at given others$", c.worst.name)
  check.near(math.abs(c.worst.effect), 0.4, 0.1)
  for _, e in ipairs(c.table) do check.that(e.with ~= "constant", "a constant has " .. e.name) end
  local away = context + gal.tensor{ 18, 17, 0 } -- as magnitudes are
  check.equal(calibration.lc2st(truth, samples, { context = away }).p, 1 / 200)
end)

check.case("few galaxies come with a warning, too few are refused", function()
  local truth, samples = planted.make("exact", 120, 39, gal.rng(1))
  local c = calibration.test(truth, samples)
  local sentence = "^Only 120 galaxies: nothing below 0.%d+ σ or %d+ %% of a width would be found"
  check.that(c.warning:find(sentence), c.warning)
  check.raises(function() calibration.test(truth:narrow(1, 1, 99), samples:narrow(1, 1, 99)) end,
    "test: truth has 99 galaxies, expected at least 100", true)
  local out = {}
  for k = 1, 30 do out[k] = k end
  check.raises(function() calibration.test(truth, samples, { left_out = out }) end,
    "test: 90 galaxies count, expected at least 100", true)
end)

check.case("what does not fit is named, with what was expected", function()
  local truth, samples, o = planted.make("exact", 100, 39, gal.rng(1))
  local function refused(options, sentence, theta, draws)
    check.raises(function() calibration.test(theta or truth, draws or samples, options) end, sentence, true)
  end
  refused({}, "test: samples has 38 draws a galaxy, expected a number one less than a multiple of 20: 199",
    truth, samples:narrow(2, 1, 38))
  refused({}, "test: samples is float32 {100, 39, 4}, expected draws {100, n, 5} float32", truth,
    samples:narrow(3, 1, 4))
  refused({ log_q = o.log_q }, "log_q and log_q_true go together")
  refused({ against = { log_q = o.log_q, log_q_true = o.log_q_true } }, "against needs log_q and log_q_true")
  refused({ log_q = o.log_q, log_q_true = { 1, 2 } }, "log_q_true has 2 numbers, expected 100")
  refused({ context = o.context:narrow(1, 1, 50) }, "context has 50 rows, expected 100 as truth has")
  refused({ names = { "a" } }, "names has 1 names, expected 5")
  refused({ levels = 0.1 }, "unknown option 'levels', expected 'level'")
  refused({ level = 0.01 }, "level is 0.01, expected at least 1/40 with 39 draws a galaxy")
  refused({ left_out = { 101 } }, "left_out%[1%] is 101, expected an integer from 1 to 100")
  refused({ training = gal.zeros{ 9, 2 } }, "training is float32 {9, 2}, expected {N, 5} float32")
  refused({ references = { theta = gal.zeros{ 9, 5 }, context = gal.zeros{ 8, 5 } } },
    "references has 9 rows of theta and 8 of context")
  refused({ training = gal.zeros{ 9, 1 } }, "truth and draws are at values that many training rows share",
    gal.zeros{ 100, 1 }, gal.zeros{ 100, 39, 1 })
  local acc = calibration.accumulator()
  check.raises(function() acc:finish() end, "finish: no galaxies were added", true)
  acc:add(block(truth, samples, o, 1, 100))
  check.raises(function() acc:add{ truth = truth, samples = samples } end,
    "add: the block has 5 properties, 39 draws, 0 contexts, without log_q", true)
  acc:finish()
  check.raises(function() acc:add(block(truth, samples, o, 1, 9)) end, "add: the accumulator is fin", true)
  check.raises(function() calibration.ks{ 0.5, 1.5 } end, "ks: ranks%[2%] is 1.5, expected a number from 0",
    true)
end)

check.finish()
