-- Sweeps without processes: spaces and their points, plans, which trial goes on, claims, ranks.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local C = ffi.C
local claims = require "gal.sweep.claims"
local gal = require "gal"
local halving = require "gal.sweep.halving"
local json = require "gal.base.json"
local path = require "gal.base.path"
local process = require "gal.sweep.process"
local records = require "gal.sweep.records"
local results = require "gal.sweep.results"
local sobol = require "gal.sweep.sobol"
local sweep = require "gal.sweep"
local worker = require "gal.sweep.worker"

local scratch = dofile "lua/lib/scratch.lua"
local file = scratch.path

-- ---- spaces ----

check.case("Sobol's points are scipy's, in 64 dimensions", function()
  local seen = 0
  for line in io.lines "golden/sobol.csv" do
    local words = {}
    for word in line:gmatch "[^,]+" do words[#words + 1] = tonumber(word) end
    if #words == 7 then
      local point = sobol.point(words[1], 64)
      for i, d in ipairs{ 1, 2, 3, 7, 33, 64 } do check.near(point[d], words[i + 1], 1e-10) end
      seen = seen + 1
    end
  end
  check.equal(seen, 36)
end)

check.case("64 shifted points have one in each of 64 equal parts, in every dimension", function()
  local shift, parts = {}, {}
  for d = 1, 64 do shift[d], parts[d] = (d * 2654435761) % 2 ^ 32, {} end
  for k = 0, 63 do
    for d, u in ipairs(sobol.point(k, 64, shift)) do parts[d][math.floor(u * 64)] = true end
  end
  for d = 1, 64 do
    local count = 0
    for _ in pairs(parts[d]) do count = count + 1 end
    check.equal(count, 64, "dimension " .. d)
  end
end)

local function space()
  return sweep.space{
    survey = "survey", lr = sweep.log_range(1e-4, 1e-2), batch = sweep.log_integer(16, 256),
    layers = sweep.integer(1, 3), sigma = sweep.range(0, 0.1), hidden = sweep.choice{ { 8, 8 }, { 16, 16 } },
    schedule = sweep.choice{ "constant", "cosine" }, average = sweep.choice{ true, false },
    decay = sweep.range(0.9, 0.999, { when = { average = true, schedule = { "cosine" } }, levels = 2 }),
  }
end

check.case("drawn points lie in their ranges, evenly in the logarithm, and conditions hold", function()
  for _, method in ipairs{ "random", "sobol" } do
    local s, below, conditional = space(), 0, 0
    local points = s[method](s, 256, 3)
    for _, p in ipairs(points) do
      check.that(p.lr >= 1e-4 and p.lr <= 1e-2 and p.sigma >= 0 and p.sigma <= 0.1)
      check.that(p.batch % 1 == 0 and p.batch >= 16 and p.batch <= 256)
      check.that(p.layers == 1 or p.layers == 2 or p.layers == 3)
      check.equal(p.decay ~= nil, p.average and p.schedule == "cosine")
      check.equal(p.survey, "survey")
      below = below + (p.lr < 1e-3 and 1 or 0)
      conditional = conditional + (p.decay and 1 or 0)
    end
    -- Half lie below the geometric mean: 128 +- 8 at random, 128 of Sobol's to a few by its four digits.
    check.near(below, 128, method == "random" and 32 or 2)
    check.near(conditional, 64, method == "random" and 28 or 2)
    check.equal(s[method](s, 10, 3), { unpack(points, 1, 10) }, "the first of more are the same")
    check.that(json.encode(s[method](s, 1, 4)) ~= json.encode(s[method](s, 1, 3)), "a seed changes nothing")
  end
end)

check.case("a grid has every combination once, and conditional settings where they are in force", function()
  -- lr 3, batch 3, layers 3, sigma 3, hidden 2; average and schedule 4, one of which has 2 values of decay.
  local points, had = space():grid{ levels = 3 }, {}
  check.equal(#points, 3 * 3 * 3 * 3 * 2 * (3 + 2))
  for _, p in ipairs(points) do had[json.encode(p)] = true end
  local count = 0
  for _ in pairs(had) do count = count + 1 end
  check.equal(count, #points)
  local lr = sweep.space{ lr = sweep.log_range(1e-4, 1e-2) }:grid{}
  check.equal({ lr[1].lr, lr[2].lr, lr[3].lr }, { 1e-4, 1e-3, 1e-2 })
end)

check.case("a space that makes no sense is refused by a sentence", function()
  check.raises(function() sweep.log_range(0, 1) end, "log_range: low is 0, expected a number from")
  check.raises(function() sweep.range(1, 1) end, "range: high is 1, which is low, expected more")
  check.raises(function() sweep.choice{} end, "choice: values is empty")
  check.raises(function() sweep.choice{ print } end, "choice: values%[1%] is a function, expected a number")
  check.raises(function() sweep.range(0, 1, { wen = 1 }) end, "range: unknown option 'wen', expected 'when'")
  check.raises(function() sweep.space{ a = sweep.range(0, 1, { when = { b = 1 } }) } end,
    "space: a has a when of b, which is not a setting")
  check.raises(function()
    sweep.space{
      a = sweep.range(0, 1, { when = { b = 1 } }), b = sweep.range(0, 1, { when = { a = 1 } }),
    }
  end, "space: [ab] depends on itself")
  check.raises(function() sweep.space{ [1] = 2 } end, "space: a name is the number 1")
end)

check.case("a space is read from a file, and plain values take the place of its own", function()
  local name = scratch.write(file "space.lua", "local s = require 'gal.sweep'\n"
    .. "return { lr = s.log_range(1e-4, 1e-2), epochs = 5, hidden = { 8, 8 } }\n")
  check.equal(sweep.load(name, "epochs=7; hidden = 4,4; average=false").fixed,
    { epochs = 7, hidden = { 4, 4 }, average = false })
  check.equal(sweep.load(name, "lr=0.5").names, {})
  check.raises(function() sweep.load(name, "epochs") end, "load: changes has 'epochs', expected name=value")
  check.raises(function() sweep.load(scratch.write(file "no.lua", "return 5")) end,
    "no.lua returns the number 5, expected a table of settings")
end)

-- ---- plans ----

local function plan(more)
  local o = {
    out = file(more.out or "plan"), trials = 4,
    space = {
      survey = "nowhere", epochs = 27, lr = sweep.log_range(1e-4, 1e-2),
      hidden = sweep.choice{ { 8, 8 }, { 16, 16 } },
    },
  }
  for key, v in pairs(more) do o[key] = key == "out" and o.out or v end
  return sweep.plan(o)
end

check.case("a plan has its trials by name and in words, and is met again", function()
  local s = plan{}
  local t = s.trials[2]
  check.equal(t.name, ("002_hidden=%s_lr=%s"):format(table.concat(t.values.hidden, "x"), t.values.lr))
  check.equal(s:command(t), {
    "--out", file("plan/" .. t.name), "--resume", "--epochs", "27", "--hidden",
    table.concat(t.values.hidden, ","), "--lr", tostring(t.values.lr), "--survey", "nowhere",
  })
  check.equal(json.encode(plan{}.trials), json.encode(s.trials))
  check.equal(json.encode(sweep.open(file "plan").trials), json.encode(s.trials))
  check.raises(function() plan{ seed = 1 } end,
    "the sweep in .*/plan began with other settings: seed was 0 and is 1")
  check.equal(#plan{ trials = 6 }.trials, 6)
  check.equal(json.encode(plan{ trials = 6 }.trials[2]), json.encode(t))
  check.raises(function() plan{ trials = 5 } end, "has 6 trials, and 5 are asked for: there may be more")
end)

check.case("true and false come to the experiment as they stand, whatever its default", function()
  local space = { survey = "nowhere", dereddened = sweep.choice{ true, false }, average = false }
  local s = plan{ out = "switched", method = "grid", space = space }
  check.equal(s.trials[1].name, "001_dereddened=yes")
  check.equal({ s.trials[1].words, s.trials[2].words }, {
    { "--no-average", "--dereddened", "--survey", "nowhere" },
    { "--no-average", "--no-dereddened", "--survey", "nowhere" },
  })
end)

check.case("a sweep goes on by a galrun that lies elsewhere, and where its folder was moved", function()
  local host, given = require "gal.host", { out = file "moved", trials = 3, space = { epochs = 2 } }
  given.space.lr = sweep.log_range(1e-4, 1e-2)
  local s = sweep.plan(given)
  local text = scratch.read(file "moved/sweep.json")
  local other = text:gsub('("experiment": )"[^"]*"', '%1"/else/where/experiments/train_photometry.lua"')
    :gsub('"folder": "[^"]*"', '"folder": "/no/such/folder"')
  check.that(other ~= text, text)
  check.equal((scratch.run "mv moved again"), 0)
  scratch.write(file "again/sweep.json", other)
  given.out = file "again"
  for _, found in ipairs{ sweep.open(file "again"), sweep.plan(given) } do
    check.equal(found.experiment, host.root .. "/experiments/train_photometry.lua")
    check.equal({ path.kind(found.folder), #found.trials }, { "folder", 3 })
    check.equal(found.trials[2].out, path.absolute(file "again") .. "/" .. s.trials[2].name)
  end
end)

check.case("what an experiment would refuse is refused before any trial runs", function()
  local function with(settings, more)
    return function()
      local o = { out = "refused", space = settings }
      for key, v in pairs(more or {}) do o[key] = v end
      plan(o)
    end
  end
  check.raises(with{ lr = sweep.range(-1, 0.5) }, "plan: trial %d is refused by the experiment: %-%-lr is '")
  check.raises(with{ lr = { 0.1, 1 } }, "Values to try are lr = sweep.choice{…}; a plain list is one value")
  check.raises(with{ lrr = sweep.range(0, 1) }, "no option '%-%-lrr'; did you mean %-%-lr%?")
  check.raises(with{ out = "x" }, "a setting 'out', which the sweep gives to each trial itself")
  check.raises(with({}, { experiment = "train_foto" }), "experiment is 'train_foto': there is no such file")
  check.raises(with({}, { experiment = "show_survey" }), "show_survey.lua has no option %-%-resume, expected")
  local halved = { halving = true }
  check.raises(with({ schedule = "cosine", epochs = 9 }, halved),
    "schedule is the string \"cosine\", expected \"const")
  check.raises(with({ average = false, epochs = 9 }, halved), "average is false, expected true while halving")
  check.raises(with({ epochs = sweep.integer(1, 9) }, halved), "epochs is a table, expected a plain whole")
  check.equal(path.kind(file "refused"), nil)
end)

-- ---- halving ----

check.case("rungs go from the least budget to all of it by factors of eta", function()
  check.equal(halving.rungs(1, 27, 3), { 1, 3, 9, 27 })
  check.equal(halving.rungs(4, 100, 3), { 11, 33, 100 })
  check.equal(halving.rungs(3, 100, 3), { 4, 11, 33, 100 })
  check.equal(halving.rungs(60, 100, 3), { 100 })
  check.equal(plan{ out = "halved", halving = true }.rungs, { 1, 3, 9, 27 })
  local s = plan{ out = "halved", halving = true }
  local words = s:command(s.trials[1], 2)
  check.equal({ words[#words - 1], words[#words] }, { "--epochs", "3" })
  for i, word in ipairs(words) do check.that(word ~= "--epochs" or i == #words - 1, "two budgets") end
end)

-- States of trials from a text: a digit is the score at the next rung, x failed, . begun: "93" has two rungs.
local function states(text)
  local list = {}
  for word in text:gmatch "%S+" do
    local state = {}
    for c in word:gmatch "[^-]" do
      local score = tonumber(c)
      local over = c == "x" and "failed" or "begun"
      state[#state + 1] = { state = score and "done" or over, score = score }
    end
    list[#list + 1] = state
  end
  return list
end

local function jobs(text, last)
  local words = {}
  for i, job in ipairs(halving.jobs(states(text), last or 3, 3)) do words[i] = job[1] .. ":" .. job[2] end
  return table.concat(words, " ")
end

check.case("the best third of a rung is promoted, the highest rung first, then new trials begin", function()
  check.equal(jobs "- - -", "1:1 2:1 3:1")
  check.equal(jobs "4 9 -", "3:1")                     -- a third of two is none
  check.equal(jobs "4 9 7 -", "2:2 4:1")
  check.equal(jobs "1 2 3 4 5 6 -", "6:2 5:2 7:1")
  check.equal(jobs "19 28 37 4 5 6 7 8 9", "1:3 9:2 8:2 7:2") -- 1, 2, 3 are at the second rung
  check.equal(jobs "4 99 7 -", "4:1")                  -- promoted already
  check.equal(jobs "4 9. 7 -", "2:2 4:1")              -- cut off: first
  check.equal(jobs "x x 5 6 7 -", "5:2 6:1")           -- a third of three that are done
end)

check.case("a sweep too small for its rungs ends with one trial at the last", function()
  check.equal(jobs "4 9", "2:2")
  check.equal(jobs "4 98", "2:3")
  check.equal(jobs "4 987", "")
  check.equal(jobs "4 9x", "1:2")
  check.equal(jobs "4 9. ", "2:2")
  check.equal(jobs "x x", "")
end)

-- ---- claims ----

local function claim_text(content)
  local all = { place = ffi.string(C.gal_process_place()), pid = 4194304, begun = 1, epochs = 0 }
  for key, v in pairs(content) do all[key] = v end
  return json.encode(all)
end

check.case("one claims a job; a dead holder is followed at once here, after 10 minutes elsewhere", function()
  local folder = path.make(file "claims")
  local first = claims.take(folder, "001.1", 0)
  check.that(first, "the first claim fails")
  check.equal(claims.take(folder, "001.1", 0), nil)
  check.equal(first:renew(), true)
  first:release()
  local second = claims.take(folder, "001.1", 0)
  check.equal(second.number, 2)
  local function left(content, age)
    scratch.write(folder .. "/002.1.claim1", content)
    assert(os.execute(("touch -d '%d seconds ago' %s/002.1.claim1"):format(age, folder)) == 0)
    os.remove(folder .. "/002.1.claim2")
    return claims.take(folder, "002.1", 0) ~= nil
  end
  local own = tonumber(C.gal_process_begun(C.gal_process_own()))
  local me = { pid = tonumber(C.gal_process_own()), begun = own }
  check.equal(left(claim_text{}, 0), true, "dead here")
  check.equal(left(claim_text(me), 5000), false, "alive here, however old")
  me.begun = own + 1
  check.equal(left(claim_text(me), 0), true, "another process of that number")
  me.pid, me.begun = 1, tonumber(C.gal_process_begun(1))
  check.equal(left(claim_text(me), 0), false, "alive here, number 1 of a container")
  check.equal(left(claim_text{ place = "elsewhere a b" }, 0), false, "elsewhere, young")
  check.equal(left(claim_text{ place = "elsewhere a b" }, 590), false, "elsewhere, not yet")
  check.equal(left(claim_text{ place = "elsewhere a b" }, 610), true, "elsewhere, forsaken")
  check.equal(left(claim_text{ place = "elsewhere a b", released = true }, 0), true, "given back")
  check.equal(left("", 0), false, "being written")
  check.equal(left("", 70), true, "its writer was killed")
end)

check.case("a holder taken for dead learns it; a process that outlives its worker is ended", function()
  local folder = file "claims"
  local claim = claims.take(folder, "003.1", 0)
  scratch.write(folder .. "/003.1.claim2", claim_text{})
  check.equal(claim:renew(), true) -- it is not yet time to look
  claim.touched = claim.touched - 31
  check.equal(claim:renew(), false)
  local pid = ffi.new "int64_t[1]"
  local words = ffi.new("const char *[4]", { "/bin/sleep", "60" })
  assert(C.gal_process_start(pid, words, nil, nil, file "sleep.txt") == 0)
  local child = { child = tonumber(pid[0]), child_begun = tonumber(C.gal_process_begun(pid[0])) }
  scratch.write(folder .. "/004.1.claim1", claim_text(child))
  check.equal(claims.take(folder, "004.1", 0), nil)
  local state = ffi.new "int[2]"
  assert(C.gal_process_wait(pid[0], 20, state, state + 1) == 0)
  check.equal({ state[0], state[1] }, { 2, 9 })
  check.that(claims.take(folder, "004.1", 0), "the job stays claimed")
end)

check.case("workers have a card each, in turn where there are fewer cards", function()
  local devices, getenv, visible = require("gal.sweep.crew").devices, os.getenv, nil
  os.getenv = function(name)
    if name == "CUDA_VISIBLE_DEVICES" then return visible end
    return getenv(name)
  end
  local found = {}
  for i, list in ipairs{ "0,1", "5", "" } do
    visible = list
    found[i] = devices("cuda", 3)
  end
  found[4] = devices("cpu", 1)
  os.getenv = getenv
  check.equal(found, { { "cuda:0", "cuda:1", "cuda:0" }, { "cuda", "cuda", "cuda" },
    { "cuda", "cuda", "cuda" }, { "cpu" } })
end)

check.case("claims in a row that end without an epoch are counted", function()
  local folder = file "claims"
  for n, epochs in ipairs{ 0, 3, 3, 3 } do
    scratch.write(("%s/005.1.claim%d"):format(folder, n), claim_text{ epochs = epochs })
  end
  check.equal(claims.fruitless(folder, "005.1", 3), 3)
  check.equal(claims.fruitless(folder, "005.1", 4), 0)
  scratch.write(folder .. "/005.1.claim3", claim_text{ epochs = 3, released = true })
  check.equal(claims.fruitless(folder, "005.1", 3), 1)
end)

check.case("four processes that claim the same 200 jobs at once have each of them once", function()
  -- Each lives on until all have told: a job of a process that has ended could be claimed again.
  local code = ("local C, p = require('ffi').C, require 'gal.base.path' "
    .. "local c = require 'gal.sweep.claims' local n = 0 "
    .. "for k = 1, 200 do if c.take('%s', 'race' .. k, 0) then n = n + 1 end end "
    .. "p.write('%s', tostring(n)) while not p.kind '%s' do C.gal_sleep(0.01) end")
  local list, sum, ended = {}, 0, C.gal_now() + 60
  for i = 1, 4 do
    local words = { "-e", code:format(file "claims", file("won" .. i), file "go") }
    list[i] = process.start(words, { threads = 1, device = "cpu", output = file "race.txt" })
  end
  for i = 1, 4 do
    while not path.kind(file("won" .. i)) and C.gal_now() < ended do C.gal_sleep(0.01) end
    sum = sum + tonumber(path.read(file("won" .. i)) or 0)
  end
  scratch.write(file "go", "")
  for _, p in ipairs(list) do check.equal({ p:wait(20) }, { "exit", 0 }) end
  check.equal(sum, 200, scratch.read(file "race.txt"))
end)

-- ---- ranks ----

-- A sweep with records of these scores: {number = {ids, log_p} or a reason}.
local function recorded(out, scores)
  local s = plan{ out = out, trials = math.max(4, #scores) }
  for number, each in pairs(scores) do
    local record = { state = "done", epochs = 27, seconds = 1 }
    if type(each) == "string" then
      record.state, record.reason = "failed", each
      records.write(s, s.trials[number], 1, record)
    else
      local sum = 0
      for _, v in ipairs(each[2]) do
        if v == v then sum = sum + v / #each[2] else record.lost = (record.lost or 0) + 1 end
      end
      record.log_p = sum
      records.write(s, s.trials[number], 1, record, { ids = each[1], log_p = each[2] })
    end
  end
  return s
end

local IDS = { "a", "b", "c", "d" }

check.case("trials are ranked by their mean log p, with the paired interval from the best", function()
  local s = recorded("ranked", {
    { IDS, { 1, 2, 3, 4 } }, { IDS, { 1.5, 2.25, 3.5, 4.75 } }, "it crashed, \"loudly\"",
    { IDS, { 5, 1, 1, 3.5 } },
  })
  local found = sweep.results(s)
  local rows = found.rows
  check.equal({ rows[1].number, rows[2].number, rows[3].number, rows[4].number }, { 2, 4, 1, 3 })
  check.near(rows[1].mean, 3, 1e-12)
  -- Differences of trial 1 from 2: -.5 -.25 -.5 -.75: mean -.5, standard error sqrt(.125 / 3 / 4).
  check.near(rows[3].difference, -0.5, 1e-12)
  check.near(rows[3].above, -0.5 + 1.959964 * math.sqrt(0.125 / 3 / 4), 1e-9)
  check.equal({ rows[2].apart, rows[3].apart }, { false, true })
  check.equal({ rows[4].state, rows[4].reason, rows[4].place }, { "failed", "it crashed, \"loudly\"" })
  local text = sweep.text(s)
  check.that(text:find("not told apart from the best on these 4 galaxies: 004", 1, true), text)
  check.that(text:find('trial 003 failed: it crashed, "loudly"', 1, true), text)
  local csv = results.text(s, found)
  check.that(csv:find('"it crashed, ""loudly"""', 1, true), csv)
  check.equal(select(2, csv:gsub("\n", "")), 5)
end)

check.case("a table of 80 columns has whole settings, and names those that it has no room for", function()
  local space = { survey = "nowhere" }
  for _, name in ipairs{ "lr", "sigma", "weight_decay", "decay", "clip" } do
    space[name] = sweep.range(0.1, 0.9)
  end
  local s = sweep.plan{ out = file "wide", trials = 2, experiment = "train_photometry", space = space }
  records.write(s, s.trials[1], 1, { state = "done", epochs = 9 }, { ids = IDS, log_p = { 1, 2, 3, 4 } })
  local text = sweep.text(s)
  for line in text:gmatch "[^\n]+" do check.that(#line <= 80, line) end
  local values = s.trials[1].values
  check.that(text:find(("%s  %s *%s *%s\n"):format(values.clip, values.decay, values.lr, values.sigma)), text)
  check.that(text:find("results.csv also has weight_decay", 1, true), text)
end)

check.case("trials that failed alike are told of once", function()
  local s = recorded("alike", { "no survey", "no survey", { IDS, { 1, 1, 1, 1 } }, "no survey" })
  local text = sweep.text(s)
  check.that(text:find("\ntrials 001, 002, 004 failed: no survey$"), text)
  local many = {}
  for k = 1, 9 do many[k] = "no survey" end
  text = sweep.text(recorded("many", many))
  check.that(text:find "\ntrials 001, 002, 003, 004, 005, 006 and 3 more failed: no survey$", text)
end)

check.case("a trial's folder has a name of at most 120 bytes, however much is varied", function()
  local deep = {}
  for k = 1, 40 do deep[k] = 64 end
  local space = { survey = "nowhere", hidden = sweep.choice{ deep }, lr = sweep.range(0.1, 0.9) }
  local s = sweep.plan{ out = file "deep", trials = 2, experiment = "train_photometry", space = space }
  check.equal({ #s.trials[1].name, s.trials[1].name:sub(1, 16), s.trials[2].name:sub(1, 4) },
    { 120, "001_hidden=64x64", "002_" })
end)

check.case("trials of other galaxies are compared on those they share", function()
  local s = recorded("shared", {
    { IDS, { 1, 2, 3, 4 } }, { { "d", "c", "e" }, { 4.5, 3.5, -100 } },
  })
  local found = sweep.results(s)
  check.equal({ found.galaxies, found.rows[1].number, found.rows[1].mean }, { 2, 2, 4 })
  check.near(found.rows[2].difference, -0.5, 1e-12)
  check.equal({ found.rows[3].state, found.counts.waiting }, { "waiting", 2 })
end)

check.case("a trial without a density at some galaxy comes behind those with one at all", function()
  local s = recorded("lost", { { IDS, { 9, 9, 0 / 0, 9 } }, { IDS, { 1, 1, 1, 1 } } })
  local rows = sweep.results(s).rows
  check.equal({ rows[1].number, rows[2].number }, { 2, 1 })
end)

check.case("what failed is forgotten where it is to be tried again, and nothing else", function()
  local s = recorded("retried", { "no", { IDS, { 1, 1, 1, 1 } } })
  sweep.retry(s)
  local known = {}
  local _, trial = worker.next(s, known)
  check.equal(trial.number, 1)
  check.equal({ known[1][1], known[2][1].state }, { nil, "done" })
end)

check.case("a trial that is finished between the look at the records and the claim is left", function()
  local s = recorded("late", { [2] = { IDS, { 1, 1, 1, 1 } } })
  local take = claims.take
  claims.take = function(...)
    claims.take = take
    records.write(s, s.trials[1], 1, { state = "done", log_p = 1 }, { ids = IDS, log_p = { 1, 1, 1, 1 } })
    return take(...)
  end
  local claim, trial = worker.next(s, {})
  claims.take = take
  check.equal({ trial.number, claim.number }, { 3, 1 })
  check.equal((claims.holder(records.folder(s), "001.1")), false)
end)

check.case("a script's own scores are read as it wrote them", function()
  path.make(file "own")
  sweep.report(file "own", { "x", "y" }, gal.tensor{ 1.5, -2 })
  local own = require("gal.sweep.score").of(file "own", 10, {})
  check.equal(own.ids, { "x", "y" })
  check.equal(own.log_p, { 1.5, -2 })
  check.raises(function() sweep.report(file "own", { "x" }, { 1, 2 }) end,
    "report: log_p has 2 values and ids 1, expected as many")
end)

scratch.remove()
check.finish()
