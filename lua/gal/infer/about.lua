-- infer/about: describes tables of posteriors: the header of a FITS file says how it was made, and each
-- column of a summary has its meaning and unit.
local errors = require "gal.base.errors"
local gal = require "gal"
local units = require "gal.data.units"

local about = {}

--- about.header(where, name, {n =, seed =, steps =, tolerance =, deconvolve =}, given): keywords for
-- t:header: the table's name, galrun's version, how its posteriors were drawn, and `given`, what the caller
-- of the function `where` adds. Raises where t:header would.
function about.header(where, name, o, given)
  local header = {
    EXTNAME = name, CREATOR = "galrun " .. (gal.version or ""), NDRAWS = o.n, SEED = o.seed, STEPS = o.steps,
    TOLERANC = o.tolerance,
    DECONV = o.deconvolve and "labels' errors taken off" or "no: posteriors of labels",
  }
  if type(given) ~= "nil" then errors.list(where, "header", given, "a table {NAME = text or number}") end
  for key, value in pairs(given or {}) do header[key] = value end
  gal.table{ id = { 1 } }:header(header)
  return header
end

local STATISTICS = {
  { "_mean", "mean" }, { "_std", "deviation" }, { "_p16", "16 %" }, { "_p50", "median" }, { "_p84", "84 %" },
}
local OTHERS = {
  outside = "how far the most extreme context value lies outside, in deviations",
  ood = "share of validation galaxies whose context is rarer",
  ood_image = "share of validation galaxies whose image is rarer",
  spread = "scatter of the members' means, in posterior deviations, at most",
  steps = "steps of the solver", error = "estimated error of the solver",
  flagged = "1: error beyond the tolerance, or no values",
}

--- about.summary(t, flow, id): describes the columns of a summary of the flow's draws. id: the column that
-- the galaxies' ids come from, nil where they are row numbers.
function about.summary(t, flow, id)
  local noted = flow.notes and flow.notes.units or {}
  for _, name in ipairs(flow.theta) do
    local known = units.of(name, noted[name])
    local what = known.about ~= "" and known.about or name
    for _, s in ipairs(STATISTICS) do
      local told = ("%s of %s"):format(s[2], what):gsub("[^\32-\126]", "?")
      t:describe(name .. s[1], { unit = known.unit, about = told:sub(1, 68) })
    end
  end
  for name, words in pairs(OTHERS) do
    if t:has(name) then t:describe(name, { about = words }) end
  end
  local from = id and ("the table's %s"):format(id) or "number of the row in the table"
  t:describe("id", { about = from:gsub("[^\32-\126]", "?"):sub(1, 68) })
end

return about
