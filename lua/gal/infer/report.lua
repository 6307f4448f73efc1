-- infer/report: what an evaluation found, put together: a report in words, tables and figures
-- (infer/page.lua), a table with a row a galaxy, and all of it as numbers. `found` here is {evaluation,
-- drawn, scores, summary, properties, distances, coverage, cde_loss, told_apart (metrics.c2st, or nil),
-- calibration (calibration.test, or nil where there are too few galaxies), prior, contexts (e:contexts()),
-- gap (e:training_gap(), or nil), members (e:members(), or nil), floored (floored.of, or nil), against (nil
-- without another run)}.
local C = require("ffi").C
local compare = require "gal.stats.compare"
local core = require "gal.tensor"
local figures = require "gal.infer.figures"
local floored = require "gal.infer.floored"
local gal = require "gal"
local gain = require "gal.infer.gain"
local galaxies = require "gal.infer.galaxies"
local host = require "gal.stats.host"
local information = require "gal.metrics.information"
local json = require "gal.base.json"
local page = require "gal.infer.page"
local path = require "gal.base.path"
local plot = require "gal.plot"
local population = require "gal.metrics.population"
local properties = require "gal.metrics.properties"
local sample = require "gal.metrics.sample"
local words = require "gal.base.text"

local report = {}

local apart = require("gal.flow.ensemble").apart
-- Delta log p, nats, that posteriors of a run that has learned something have at the least.
local NOTHING = 0.05
-- How much higher ln q may be on training galaxies, nats, before a run is called over-fitted, and standard
-- errors that it has to be above 0.
local OVERFITTED, SURE = 0.2, 3

-- "12", or "11 of 12" where some have no scores.
local function counted(left_out, ids)
  return (#left_out > 0 and ("%d of "):format(#ids - #left_out) or "") .. #ids
end

local function capital(s) return s:sub(1, 1):upper() .. s:sub(2) end

-- What the numbers beside the test say about the cause of a deviation: clauses.
local function causes(found)
  local list, gap, gain = {}, found.gap, found.summary.delta_log_p
  -- By the estimate of p(theta) under which the truths are more probable: the better one.
  if gain.high + math.min(0, gain.systematic) < NOTHING then
    list[1] = ("the posteriors tell no more of the truth than the prior does (Delta log p %.3f nats): the "
      .. "run has learned nothing that holds here"):format(gain.mean + math.min(0, gain.systematic))
  end
  if gap and gap.mean > OVERFITTED and gap.mean > SURE * gap.error then
    local sentence = "the run is over-fitted: ln q is %.2f nats higher on galaxies that it was trained on"
    list[#list + 1] = sentence:format(gap.mean)
  end
  return list
end

--- report.lead(found): the verdict on calibration, a sentence, and what it rests on.
function report.lead(found)
  local c, sentences = found.calibration, {}
  local because = causes(found)
  if c then
    local clauses = { c.verdict, unpack(because) }
    sentences[1] = capital(table.concat(clauses, "; ")) .. "."
    sentences[2] = ("Exchange test over %d statistics of %d galaxies with %d draws each: p = %.3g."):format(
      #c.table, c.n, c.draws, c.p)
    -- A verdict of no deviation says by itself what would not have been seen.
    sentences[3] = c.grade ~= "no deviation found" and c.warning or nil
  else
    sentences[1] = ("%d galaxies are too few to tell whether the posteriors are calibrated: at least 100 are "
      .. "needed."):format(#found.evaluation.test.ids - #found.scores.left_out)
    for _, clause in ipairs(because) do sentences[#sentences + 1] = capital(clause) .. "." end
  end
  return table.concat(sentences, " ")
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

-- Sentences on galaxies that are to be doubted, a line each, or nil.
local function warning_of(found)
  local e, drawn = found.evaluation, found.drawn
  return galaxies.warning({
    flagged = drawn.flagged, left_out = found.scores.left_out, outside = drawn.outside,
    tolerance = e.options.tolerance,
  }, e.test.ids)
end

-- ---- sections ----

local function section_of(blocks)
  return function(block) blocks[#blocks + 1] = block end
end

local function add_information(add, found)
  local e, prior = found.evaluation, found.prior
  add{ heading = "What the posteriors tell" }
  local count = counted(found.scores.left_out, e.test.ids)
  add{ text = ("%s galaxies of %s (%s), %d draws each. %s."):format(count, e.survey.path, e.options.part,
    e.options.n, prior:describe()) }
  local rows, headers = information.rows(found.summary)
  add{ rows = rows, headers = headers }
  add{ text = "Delta log p: how much more probable the posteriors make the truth than the training galaxies "
    .. "do; D_KL: how far they are from these. Intervals: bootstraps over galaxies; systematic: by another "
    .. "estimate of p(theta), a mixture, less by the kernels." }
  add{ text = information.blind }
  local loss = found.cde_loss
  local last = "%.2g %% of the draws lie where p(theta) is below that of every training galaxy. CDE loss of "
    .. "the standardised properties: %.4g (%.4g to %.4g), less is better."
  add{ text = last:format(100 * (found.scores.beyond or 0), loss.mean, loss.low, loss.high) }
  local floor = found.floored
  if floor then add{ text = floored.words(floor, e.test.ids) } end
end

-- How far an ensemble's members are apart: quantiles over galaxies, and how many are beyond what is told.
local function spread_of(found)
  local finite, beyond = host.finite(found.drawn.spread), 0
  local limit = apart(#found.evaluation.flow.members, found.evaluation.options.n)
  if #finite == 0 then return nil end
  for _, v in ipairs(finite) do beyond = beyond + (v > limit and 1 or 0) end
  local q = sample.quantile(finite, { 0.5, 0.9 })
  return { median = q[1], p90 = q[2], beyond = beyond, limit = limit }
end

local function add_members(add, found)
  local m, spread = found.members, found.drawn.spread and spread_of(found)
  if not m then return end
  add{ heading = ("The %d members"):format(#m.names) }
  local rows = {}
  for k, name in ipairs(m.names) do rows[k] = { name, m.log_q[k] and ("%.3f"):format(m.log_q[k]) or "" } end
  add{ rows = rows, headers = { "member", "ln q of the truth" } }
  if m.gain then
    add{ text = ("The ensemble makes the truth more probable than its members do on average, by %.3f ± %.3f "
      .. "nats."):format(m.gain.mean, m.gain.error) }
  end
  if not spread then
    add{ text = "So few draws don't tell how far the members are apart: two of each member do." }
    return
  end
  add{ text = ("Spread, the scatter of the members' means in posterior deviations, of the property where it "
    .. "is largest: median %.2f, 90 %% of the galaxies below %.2f; %d of %d above %.2g, on which the members "
    .. "do not agree."):format(spread.median, spread.p90, spread.beyond, #found.drawn.spread, spread.limit) }
end

local function add_properties(add, found)
  local names = found.evaluation.flow.theta
  add{ heading = "Property by property" }
  local rows, headers = properties.rows(names, found.properties)
  add{ rows = rows, headers = headers }
  local sentence = "In the properties' units. Bias and RMSE: of the posterior means; ±: half of a 95 % "
    .. "interval; CRPS: less is better, the absolute error of a posterior that is one value; beyond draws: "
    .. "truths below or above all draws, NUMBER % if calibrated; nats told: of mutual information, at least."
  local expected = ("%.2g"):format(100 * found.properties[1].outliers_expected)
  add{ text = (sentence:gsub("NUMBER", expected)) }
  rows, headers = population.rows(names, found.distances, found.coverage)
  add{ rows = rows, headers = headers }
  add{ text = "W1: Wasserstein-1 between the truth and the posterior means, above 0 even for perfect "
    .. "posteriors, as means shrink, and between the truth and all draws pooled, which is what chance gives "
    .. "if calibrated; in 68 %: how often the truth lies in the central 68 % of its draws." }
  local apart = found.told_apart
  if apart then
    local sentence = "A classifier tells truths from draws, each beside its context, in %.1f %% (50 ± %.1f "
      .. "%% if calibrated)."
    add{ text = sentence:format(100 * apart.accuracy, 196 * apart.deviation) }
  end
end

-- Rows of the statistics of the largest |z|, at most `most`.
local function largest(c, most)
  local list, rows = {}, {}
  for i, e in ipairs(c.table) do list[i] = e end
  table.sort(list, function(a, b) return math.abs(a.z) > math.abs(b.z) end)
  for i = 1, math.min(most, #list) do
    local e = list[i]
    rows[i] = { e.name, ("%+.2f"):format(e.effect), ("%+.1f"):format(e.z), ("%.3g"):format(e.p) }
  end
  return rows
end

local function add_calibration(add, found, figure)
  local c = found.calibration
  if not c then return end
  add{ heading = "Calibration" }
  add{ text = "If calibrated, a galaxy's truth is one more draw of its posterior. The largest deviations "
    .. "from that are (shifts in posterior deviations, above 0 where truths lie higher; widths: the truths' "
    .. "spread over the posteriors'; p: how often chance makes the largest of all statistics as large)." }
  add{ rows = largest(c, 8), headers = { "statistic", "effect", "z", "p" } }
  for _, atom in ipairs(c.atoms) do
    local sentence = "%s within %.2g of %.4g: %.1f %% of the truths and %.1f %% of the draws; not tested."
    add{ text = sentence:format(atom.name, atom.tolerance, atom.value, 100 * atom.truths, 100 * atom.draws) }
  end
  if figure then
    add{ figure = figure, caption = "Distributions of the truths' ranks less the uniform one. The bands hold "
      .. "all curves at once with 95 % probability if the posteriors are calibrated." }
  end
  local told = {}
  for _, sentence in ipairs(found.contexts.told) do told[#told + 1] = capital(sentence) .. "." end
  for _, sentence in ipairs(c.blind) do told[#told + 1] = sentence end
  add{ text = "What this can't see:" }
  add{ list = told }
end

local function add_against(add, found)
  local other, o = found.against, found.evaluation.options
  if not other then return end
  add{ heading = ("Against %s"):format(o.against) }
  local gain = other.compared.delta_log_p
  local sure = gain.low > 0 or gain.high < 0
  local verdict = sure and "%s tells %s than %s on the same galaxies: %.3f nats (%.3f to %.3f)."
    or "%s tells neither more nor less%s than %s on the same galaxies: %+.3f nats (%+.3f to %+.3f)."
  local sign = sure and gain.mean < 0 and -1 or 1
  local low, high = sign * gain.low, sign * gain.high
  add{ text = verdict:format(o.run, sure and (gain.mean > 0 and "more" or "less") or "", o.against,
    sign * gain.mean, math.min(low, high), math.max(low, high)) }
  if other.calibration then
    add{ text = ("%s: %s (p = %.3g)."):format(o.against, other.calibration.verdict, other.calibration.p) }
  end
  local rows, headers = compare.rows(other.compared, other.distances, found.evaluation.flow.theta,
    { "run", "against" })
  add{ rows = rows, headers = headers }
  add{ text = ("Differences: run less against, paired galaxy by galaxy; higher: for how many the run's is. "
    .. "W1 pooled: of the first %d draws of each galaxy."):format(math.min(compare.pooled_draws, o.n)) }
end

--- report.of(found, figures): the report, as page.text and page.html take it. figures: {truth =, calibration
-- =, gain =, training =}, paths of PNGs, each or nil.
function report.of(found, figures)
  local e, blocks = found.evaluation, {}
  local add = section_of(blocks)
  local doubted = warning_of(found)
  if doubted then add{ list = lines_of(doubted) } end
  add_calibration(add, found, figures.calibration)
  add_information(add, found)
  if figures.gain then
    local caption = "What the posteriors tell beyond the prior, of all galaxies (lines: medians)%s: the "
      .. "paper's Figure 1."
    add{ figure = figures.gain, caption = caption:format(found.against and ", and galaxy by galaxy" or "") }
  end
  add_members(add, found)
  add_properties(add, found)
  if figures.truth then
    add{ figure = figures.truth, caption = "Posterior medians against the truth, with the line of equality." }
  end
  add_against(add, found)
  if figures.training then
    add{ figure = figures.training, caption = "The training: losses of its rows and of the validation rows." }
  end
  return { title = "Posteriors of " .. e.options.run, lead = report.lead(found), blocks = blocks }
end

-- ---- galaxies ----

-- A list of numbers as a column of single precision, as draws and densities are: 9.57 is written, and not
-- 9.569999694824219.
local function single(list) return gal.tensor(list, { #list }, { device = "cpu" }) end

-- The columns of draws {N, n, d}: a list of {suffix, {N} of property i}, truth first.
local function add_property(columns, name, truth, draws, lost)
  local n = draws:size(2)
  local levels = host.read(draws:quantiles{ 0.16, 0.5, 0.84 })
  local means, deviations = draws:mean(2):totable(), draws:std(2):totable()
  local values, own = host.read(draws), truth:totable()
  local lists = { mean = means, std = deviations, p16 = {}, p50 = {}, p84 = {}, rank = {} }
  for k = 1, #own do
    local below = 0
    for r = (k - 1) * n, k * n - 1 do
      if values[r] < own[k] then below = below + 1 end
    end
    lists.p16[k], lists.p50[k], lists.p84[k] = levels[3 * k - 3], levels[3 * k - 2], levels[3 * k - 1]
    lists.rank[k] = below / n
    if lost[k] then
      for _, list in pairs(lists) do list[k] = 0 / 0 end
    end
  end
  columns:set(name .. "_true", truth)
  for _, suffix in ipairs{ "p50", "p16", "p84", "mean", "std", "rank" } do
    columns:set(name .. "_" .. suffix, single(lists[suffix]))
  end
end

--- report.galaxies(found): a table (gal.table) with a row a galaxy: its id, its scores, whether they are to
-- be doubted, and of each property the truth, the percentiles, mean and deviation of the draws and the share
-- of draws below the truth.
function report.galaxies(found)
  local e, scores, lost = found.evaluation, found.scores, {}
  for _, k in ipairs(scores.left_out) do lost[k] = true end
  local columns = gal.table{ id = e.test.ids }
  for _, name in ipairs{ "log_q", "delta_log_p", "d_kl", "log_p", "log_p_mixture", "d_kl_mixture" } do
    columns:set(name, single(scores[name]))
  end
  if found.drawn.outside then columns:set("outside", single(found.drawn.outside)) end
  if found.drawn.spread then columns:set("spread", single(found.drawn.spread)) end
  local floor = found.floored
  if floor then columns:set("floored", single(floor.shares)) end
  local flags = galaxies.flags(#e.test.ids, found.drawn.flagged, scores.left_out)
  columns:set("flagged", core.int64({ #flags }, flags, "cpu"))
  for i, name in ipairs(e.flow.theta) do
    add_property(columns, name, e.test.theta:select(2, i), found.drawn.samples:select(3, i), lost)
  end
  return columns
end

-- ---- numbers ----

-- What of a test JSON holds.
local function test_of(c)
  if not c then return nil end
  return {
    p = c.p, verdict = c.verdict, grade = c.grade, worst = c.worst, statistics = c.table, least = c.least,
    galaxies = c.n, draws = c.draws, atoms = c.atoms, blind = c.blind, warning = c.warning,
  }
end

--- report.numbers(found): all of it, a table that JSON can hold.
function report.numbers(found)
  local e, o = found.evaluation, found.evaluation.options
  local results = {
    run = o.run, survey = e.survey.path, part = o.part,
    galaxies = #e.test.ids, scored = found.summary.log_q.n,
    n = o.n, steps = o.steps, tolerance = o.steps == "auto" and o.tolerance or nil, seed = o.seed,
    dereddened = e.survey.dereddened, ab_offsets = e.survey.ab_offsets, images = e.survey.prepared,
    contexts = found.contexts.names,
    calibration = test_of(found.calibration), verdict = report.lead(found), warning = warning_of(found),
    wasserstein = {}, coverage = {},
    properties = {}, told_apart = found.told_apart, cde_loss = found.cde_loss, training_gap = found.gap,
    beyond_training = found.scores.beyond, members = found.members,
    spread = found.drawn.spread and spread_of(found),
    prior = {
      rows = found.prior.kde.n, h = found.prior.kde.h, components = #found.prior.mixture.components,
      lowest = found.scores.lowest,
    },
  }
  for i, name in ipairs(e.flow.theta) do
    results.wasserstein[name] = found.distances[i]
    results.coverage[name] = { found.coverage[1][i], found.coverage[2][i] }
    results.properties[name] = found.properties[i]
  end
  for name, entry in pairs(found.summary) do results[name] = entry end
  local floor = found.floored
  if floor then results.floor = { share = floor.share, mean = floor.mean, outliers = #floor.galaxies } end
  return results
end

-- The deviation of scores over galaxies, a list, NaN where there is none.
local function deviation_of(list) return (select(2, sample.moments(host.finite(list)))) end

--- report.against(found): what the comparison with another run found, a table that JSON can hold, and its
-- table with a row a galaxy.
function report.against(found)
  local e, other = found.evaluation, found.against
  local by_name, deviations = {}, {}
  for _, name in ipairs{ "delta_log_p", "d_kl" } do
    deviations[name] = { run = deviation_of(found.scores[name]), against = deviation_of(other.scores[name]) }
  end
  for i, name in ipairs(e.flow.theta) do by_name[name] = other.distances[i] end
  return {
    run = e.options.run, against = e.options.against, survey = e.survey.path, galaxies = #e.test.ids,
    scores = other.compared, deviations = deviations, wasserstein = by_name,
    calibration = test_of(other.calibration),
  }, gal.table{ id = e.test.ids }
    :set("log_q", single(found.scores.log_q)):set("log_q_against", single(other.scores.log_q))
    :set("d_kl", single(found.scores.d_kl)):set("d_kl_against", single(other.scores.d_kl))
end

-- The scores of both runs as gain.figure takes them, by the names of their folders.
local function gains(found)
  local function set(folder, scores)
    local title = folder:gsub("/+$", ""):match "[^/]+$" or folder
    return { title = title, delta_log_p = scores.delta_log_p, d_kl = scores.d_kl }
  end
  local o, sets = found.evaluation.options, {}
  sets[1] = set(o.run, found.scores)
  if found.against then sets[2] = set(o.against, found.against.scores) end
  return sets
end

-- The figures of an evaluation in the folder of its results: {truth =, calibration =, gain =, training =},
-- paths; those that can't be drawn are told by a notice.
local function draw(found, home)
  local e, drawn = found.evaluation, {}
  local kept = host.others("figures", #e.test.ids, found.scores.left_out)
  local function try(name, f, ...)
    local fine, result = pcall(f, home .. "/" .. name .. ".png", ...)
    if fine then drawn[name] = result return end
    if type(result) ~= "string" then error(result, 0) end
    C.gal_leave_notice("no figure: " .. result)
  end
  local samples = host.pick(found.drawn.samples, kept)
  try("truth", figures.truth, e.flow.theta, host.pick(e.test.theta, kept), samples)
  if found.calibration then try("calibration", figures.calibration, found.calibration.curves) end
  try("gain", function(file) return plot.figure(file, gain.figure(gains(found))) end)
  if e.flow.members then
    try("training", figures.trainings, e.flow.names)
  elseif path.kind(e.run.out .. "/history.csv") then
    try("training", figures.training, gal.table(e.run.out .. "/history.csv"))
  end
  return drawn
end

--- report.write(found, {html = false}): writes evaluation.txt, evaluation.json, galaxies.csv and the figures
-- into the folder of the results, with another run against.json and against.csv, with html evaluation.html.
-- Returns the text, and in it what was written.
function report.write(found, options)
  local out, written = found.evaluation.out, {}
  local function add(name, content)
    if content then out:write(name, content) end
    written[#written + 1] = name
  end
  local whole = report.of(found, draw(found, out.out))
  local text = page.text(whole)
  add("evaluation.txt", text)
  add("evaluation.json", json.encode(report.numbers(found), true) .. "\n")
  report.galaxies(found):save(out:path "galaxies.csv")
  add "galaxies.csv"
  if found.against then
    local numbers, rows = report.against(found)
    add("against.json", json.encode(numbers, true) .. "\n")
    rows:save(out:path "against.csv")
    add "against.csv"
  end
  if options.html then add("evaluation.html", page.html(whole)) end
  local said = ("written in %s: %s, and posteriors.npz"):format(out.out, table.concat(written, ", "))
  return text .. "\n" .. table.concat(words.filled(said, 78), "\n  ")
end

return report
