-- Acceptance: the photometry model on 3,633 real SDSS galaxies (Galaxy Zoo: Quench), which the project does
-- not ship, by the two commands that a user gives: train_photometry.lua with nothing but defaults, then
-- evaluate.lua. Once for mass, SFR, Dn4000 and A_V, which two thirds have, once with O/H, too, which a third
-- has. Asked for: calibration.test's verdict is printed; 68 and 95 % intervals of each property hold 68 and
-- 95 % of the held-out truths within 2.5 standard errors, or the evaluation names a deviation of that
-- property: among the exchange test's significant ones, or a value that many training rows share.
--
-- usage: galrun tests/acceptance/quench.lua --survey catalog.csv [--out runs/acceptance/quench]
-- A few minutes; goes on where it was stopped.
local folder = require "gal.base.path"
local json = require "gal.base.json"
local report = dofile((arg[0]:match "^(.*)/" or ".") .. "/report.lua")
local o = require("gal.cli").options{
  { "survey", type = "string", required = true, help = "catalog.csv of Galaxy Zoo: Quench" },
  { "out", "runs/acceptance/quench", "folder for the runs" },
  { "record", true, "append the results to RESULTS.md" },
}

-- How a test names the property's deviation, or nil.
local function named(test, property)
  for _, statistic in ipairs(test.statistics) do
    if statistic.of == property and statistic.p <= 0.05 then return statistic.name end
  end
  for _, atom in ipairs(test.atoms) do
    if atom.name == property then
      return ("%.1f %% of its training rows are %g"):format(100 * atom.training, atom.value)
    end
  end
end

local function evaluated(name, theta)
  local out = o.out .. "/" .. name
  report.succeeds("train_photometry", ("--survey '%s' --theta %s --out '%s' --resume"):format(o.survey,
    table.concat(theta, ","), out))
  report.succeeds("evaluate", ("'%s' --out '%s-results'"):format(out, out))
  local result = report.new("quench: " .. name .. " properties", o.record)
  local found = json.decode(folder.read(out .. "-results/evaluation.json"))
  local test, n = found.calibration, found.galaxies
  print(test.verdict)
  result:figure(("log q %.3f (%.3f to %.3f); p %.3f: %s"):format(found.log_q.mean, found.log_q.low,
    found.log_q.high, test.p, test.verdict))
  for _, property in ipairs(theta) do
    for k, level in ipairs{ 0.68, 0.95 } do
      local share = found.coverage[property][k]
      local off = math.abs(share - level) / math.sqrt(level * (1 - level) / n)
      local why = off > 2.5 and named(test, property)
      local what = "%s: %.1f %% within %g %%, standard errors off"
      what = what:format(property, 100 * share, 100 * level)
      if why then
        print(("%s: %.2f; named: %s"):format(what, off, why))
        result:figure(("%s %.2f, named: %s"):format(what, off, why))
      else
        result:bar(what, off, 2.5)
      end
    end
  end
  return result:close()
end

local short = evaluated("four", { "lgm_tot_p50", "sfr_tot_p50", "d4000_n", "a_v" })
  + evaluated("five", { "lgm_tot_p50", "sfr_tot_p50", "oh_p50", "d4000_n", "a_v" })
os.exit(short == 0 and 0 or 1, true)
