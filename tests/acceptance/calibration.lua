-- Acceptance: type I error and power of gal.calibration.test on linear-Gaussian posteriors with planted
-- faults (tests/lua/lib/planted.lua), 500 galaxies of 199 draws. Asked for: over 400 repetitions of exact
-- posteriors p is at most .05 in .05 ± .025 and at most .01 in .01 ± .01 of them, and a curve leaves its band
-- in .05 ± .025; over 100 of each fault p is at most .01 in a share that is at most .1 below that of an
-- independent implementation with 84 statistics, and at least .65 of the rejections name the fault. Asserted
-- as blind: an input that is ignored, and the prior, without contexts; the other run's densities find them. A
-- skewed residual is reported.
--
-- usage: galrun tests/acceptance/calibration.lua [--out runs/acceptance/calibration]
-- Goes on where it was stopped: done.csv in `out` has a line for each repetition. Some ten minutes.
local calibration = require "gal.calibration"
local gal = require "gal"
local here = arg[0]:match "^(.*)/" or "."
local planted = dofile(here .. "/../lua/lib/planted.lua")
local report = dofile(here .. "/report.lua")
local run = require "gal.base.run"

local o = require("gal.cli").options{
  out = "runs/acceptance/calibration", n = { 500, "galaxies" }, draws = { 199, "draws a galaxy" },
  record = { true, "append the result to RESULTS.md" },
}

-- Power at level .01 of the independent implementation, 40 to 50 repetitions.
local POWER = {
  shift = 0.98, wide = 1, narrow = 1, one_wide = 0.86, one_narrow = 1, sign = 1, uncorrelated = 1, prior = 1,
  ignored = 1, local_bias = 0.88, local_width = 1, wide_bias = 1, tails = 0.88,
}

-- Each case: name, fault, repetitions, and what is given: "all" (contexts and references), "none" or
-- "against" (the exact posterior's densities, no contexts).
local cases = { { "exact", "exact", 400, "all" }, { "skewed", "skewed", 100, "all" } }
for _, fault in ipairs(planted.FAULTS) do
  cases[#cases + 1] = { fault[1], fault[1], 100, "all", patterns = { unpack(fault, 2) } }
end
for _, fault in ipairs{ "ignored", "prior" } do
  cases[#cases + 1] = { fault .. ", no context", fault, 100, "none" }
  cases[#cases + 1] = { fault .. ", against", fault, 100, "against" }
end

local validation = planted.validation(500, gal.rng(77))

-- One repetition: a line of done.csv.
local function repetition(number, case, seed)
  return gal.scope(function()
    local rng = gal.rng(100000 * number + seed)
    local truth, samples, options, exact = planted.make(case[2], o.n, o.draws, rng)
    options.references, options.seed, options.level = validation, seed, 0.01
    if case[4] ~= "all" then options.context, options.context_names, options.references = nil, nil, nil end
    if case[4] == "against" then options.against = exact end
    local c = calibration.test(truth, samples, options)
    local outside = case[2] == "exact" and calibration.test(truth, samples).curves_leave
    return ("%d,%d,%.17g,%d,%s\n"):format(number, seed, c.p, outside and 1 or 0, c.worst.name)
  end)
end

-- What the lines of done.csv say of each case: {repetitions, at most .05, at most .01, outside, named}.
local function summed(lines)
  local sums = {}
  for i in ipairs(cases) do sums[i] = { done = {}, n = 0, five = 0, one = 0, outside = 0, named = 0 } end
  for _, line in ipairs(lines) do
    local number, seed, p, outside, name = line:match "^(%d+),(%d+),([^,]*),(%d),([^\n]*)"
    local s = sums[tonumber(number)]
    p = tonumber(p)
    s.n, s.done[tonumber(seed)] = s.n + 1, true
    s.five, s.one = s.five + (p <= 0.05 and 1 or 0), s.one + (p <= 0.01 and 1 or 0)
    s.outside = s.outside + tonumber(outside)
    local named = false
    for _, pattern in ipairs(cases[tonumber(number)].patterns or {}) do
      named = named or name:find(pattern)
    end
    s.named = s.named + (named and p <= 0.01 and 1 or 0)
  end
  return sums
end

local HEAD = "case,seed,p,outside,worst\n"

-- All repetitions, those that are on disk already apart; the sums.
local function repeated(work)
  local lines, bytes = work:lines("done.csv", HEAD)
  local file, sums = work:grow("done.csv", HEAD, bytes), summed(lines)
  for number, case in ipairs(cases) do
    for seed = 1, case[3] do
      if not sums[number].done[seed] then
        local line = repetition(number, case, seed)
        file:put(line)
        file:sync()
        lines[#lines + 1] = line
      end
    end
    local s = summed(lines)[number]
    print(("%-22s p <= .01 in %.2f, named %.2f"):format(case[1], s.one / s.n, s.named / math.max(s.one, 1)))
  end
  return summed(lines)
end

local work = run.open{
  where = "calibration", out = o.out, noun = "run", settings_file = "settings.json",
  settings = { n = o.n, draws = o.draws },
}
local verdict = report.new("calibration", o.record)
work:work(function()
  local sums = repeated(work)
  local exact = sums[1]
  verdict:bar("exact: |share of p <= .05 - .05|", math.abs(exact.five / exact.n - 0.05), 0.025)
  verdict:bar("exact: |share of p <= .01 - .01|", math.abs(exact.one / exact.n - 0.01), 0.01)
  local outside = exact.outside / exact.n
  verdict:bar("exact: |share of curves beyond their band - .05|", math.abs(outside - 0.05), 0.025)
  verdict:figure(("skewed: found in %.2f"):format(sums[2].one / sums[2].n))
  for number, case in ipairs(cases) do
    local s, power = sums[number], POWER[case[2]]
    local found = s.one / s.n
    if case.patterns then
      verdict:least(case[1] .. ": power at .01", found, power - 0.1)
      verdict:least(case[1] .. ": share that names it", s.named / math.max(s.one, 1), 0.65)
    elseif case[4] == "none" then
      verdict:bar(case[1] .. ": found in", found, 0.05)
    elseif case[4] == "against" then
      verdict:least(case[1] .. ": power at .01", found, 0.9)
    end
  end
  verdict:finish()
end)
os.exit(verdict.short == 0 and 0 or 1)
