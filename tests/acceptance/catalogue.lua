-- Acceptance: a catalogue of mock galaxies that the flow has not seen. Asked for: 68 % intervals hold the
-- *true* property, before the labels' errors, in 65 to 71 % of 10,000 galaxies for each of the five after
-- --deconvolve; before it they do not for Dn4000 and A_V. A galaxy whose g is off by .3 mag is found in at
-- least .90 at a false alarm in a hundred; u off by -.05 mag in a survey of 2,000 galaxies is found by
-- compare.surveys with p < .01, surveys that are alike are not.
--
-- usage: galrun tests/acceptance/catalogue.lua [--out runs/acceptance/catalogue]
-- Goes on where it was stopped.
local gal = require "gal"
local cli = require "gal.cli"
local compare = require "gal.stats.compare"
local data = require "gal.data"
local infer = require "gal.infer"
local mock = require "gal.mock"
local path = require "gal.base.path"
local report = dofile(arg[0]:match "^(.*)/" .. "/report.lua")

local o = cli.options{
  out = "runs/acceptance/catalogue", rows = 100000, epochs = 40, batch = 256, lr = 2e-3, galaxies = 10000,
  n = { 300, "draws a galaxy" }, sigma = 0.02, record = { true, "append the result to RESULTS.md" },
  hidden = { { 128, 128, 128 }, "widths of the velocity net's layers", type = "integers" },
}

local LABEL_ERRORS = { 0.07, 0.15, 0.03, 0.03, 0.10 } -- runtime/mock/README.md
local TRUE = { "true_log_mass", "true_log_sfr", "true_oh", "true_dn4000", "true_a_v" }
local BEFORE = { 0.77, 0.73 } -- least coverage of Dn4000 and A_V by posteriors of labels

-- The table of n galaxies of the mock survey `seed`, made once.
local function table_of(name, n, seed)
  local file = ("%s/%s-%d.fits"):format(o.out, name, n)
  if not path.kind(file) then mock.galaxies{ n = n, seed = seed }:save(file) end
  return file
end

path.make(o.out)
local training, test = table_of("training", o.rows, 301), table_of("test", o.galaxies, 302)
local survey, asked = data.open(training), data.open(test, { theta = {} })
local flow = require("gal.flow").new{
  theta = survey.names.theta, context = survey.names.context, hidden = o.hidden, sigma = o.sigma,
  rng = gal.rng(1),
}
flow.notes = survey:choices()
flow.notes.label_errors = infer.label_errors(survey:split "train", LABEL_ERRORS)
require("gal.train").fit{
  preset = "paper",
  flow = flow, data = survey:split "train", valid = survey:split "valid", epochs = o.epochs, batch = o.batch,
  lr = o.lr, patience = o.epochs, schedule = "cosine", seed = 1, out = o.out .. "/train", resume = true,
}

local bars = report.new("catalogue", o.record)

-- ---- posteriors of labels, and of galaxies ----

local truth = gal.table(test)
for _, deconvolve in ipairs{ false, true } do
  local out = ("%s/%s.fits"):format(o.out, deconvolve and "galaxies" or "labels")
  infer.catalogue(flow, asked, { out = out, n = o.n, deconvolve = deconvolve, seed = 3 })
  local found = gal.table(out)
  for i, stem in ipairs{ "lgm_tot", "sfr_tot", "oh", "d4000_n", "a_v" } do
    local low, high = found:doubles(stem .. "_p16"), found:doubles(stem .. "_p84")
    local inside = 0
    for k, v in ipairs(truth:doubles(TRUE[i])) do
      inside = inside + (v >= low[k] and v <= high[k] and 1 or 0)
    end
    local share = inside / found.rows
    print(("%s, %s: %.4f"):format(deconvolve and "galaxies" or "labels", stem, share))
    if deconvolve then
      bars:bar(stem .. ": |share of truths in the 68 % interval - .68|", math.abs(share - 0.68), 0.03)
    elseif i >= 4 then
      bars:least(stem .. ": share in that of the labels' posterior", share, BEFORE[i - 3])
    end
  end
  if deconvolve then
    local left = 0
    for _, flags in ipairs(found:doubles "flags") do left = left + math.floor(flags / 128) % 2 end
    print(("%d of %d galaxies were left as they were"):format(left, found.rows))
  end
end

-- ---- what is rare, and two surveys ----

local function below(shares, level)
  local count = 0
  for _, v in ipairs(shares) do count = count + (v < level and 1 or 0) end
  return count / #shares
end
local x = asked.context
bars:bar("false alarms at 1 %", below(flow:ood(x).context, 0.01), 0.015)
for _, off in ipairs{ -0.3, 0.3 } do
  local found = below(flow:ood(x + gal.tensor{ 0, off, 0, 0, 0 }).context, 0.01)
  bars:least(("g off by %+.1f mag, found at 1 %%"):format(off), found, 0.90)
end
local first = survey.context:narrow(1, 1, 2000)
local same = compare.surveys(first, x:narrow(1, 1, 2000), { names = survey.names.context })
local other = compare.surveys(first, x:narrow(1, 1, 2000) + gal.tensor{ -0.05, 0, 0, 0, 0 },
  { names = survey.names.context })
print(same.words)
print(other.words)
bars:least("surveys that are alike: p", same.p, 0.01)
bars:bar("u off by -.05 mag: p", other.p, 0.0099)
bars:bar("u off by -.05 mag: |AUC - .62|", math.abs(other.auc - 0.62), 0.04)

bars:finish()
