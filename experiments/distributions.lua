-- The paper's Figure A.1: how a survey's properties and its r magnitudes are distributed, one by one and in
-- pairs: densities with lines at the 16, 50 and 84 % quantiles, and regions that hold 68 and 95 % of the
-- galaxies. Values that many galaxies share, such as A_V = 0, are a spike with their share. Magnitudes are
-- turned round: bright is at the right. The figure, its script and data, and quantiles.csv are in --out.

local cli = require "gal.cli"
local data = require "gal.data"
local o = cli.options{
  { "survey", "survey", "table, or folder with catalog.fits or catalog.csv" },
  cli.common{ "table" },
  { "theta", data.theta, "properties, columns of the table" },
  { "beside", { "modelMag_r" }, "further columns, such as magnitudes; none: the properties alone" },
  cli.common{ "sample", "dereddened" },
  {
    "part", "all", "all galaxies, or those of a part of the split",
    choices = { "all", "train", "valid", "test" },
  },
  { "levels", { 0.68, 0.95 }, "shares of the galaxies that the regions hold", type = "numbers", above = 0 },
  { "out", "figures", "folder for the figure" },
  { "format", "png", "format of the figure", choices = { "png", "pdf", "svg" } },
}
local atoms = require "gal.stats.atoms"
local gal = require "gal"
local labels = require "gal.plot.labels"
local limits = require "gal.stats.limits"
local path = require "gal.base.path"
local plot = require "gal.plot"

local beside = o.beside[1] == "none" and {} or o.beside
local survey = data.open(o.survey, cli.values(o, { "table", "theta", "sample", "dereddened" }, {
  context = beside,
}))
if o.part ~= "all" then survey = survey:split(o.part) end
cli.say(survey:describe())
local values = survey.context and gal.cat({ survey.theta, survey.context }, 2) or survey.theta
local names = {}
for _, list in ipairs{ o.theta, beside } do
  for _, name in ipairs(list) do names[#names + 1] = name end
end

-- The value that most galaxies share, and their share; 0 where less than a hundredth share one.
local found = atoms.of(values, names)
local function atom_of(i)
  local value, share = 0 / 0, 0
  for _, atom in ipairs(found and (found.rounded[i] or found.of[i]) or {}) do
    if atom.share > share then value, share = atom.value, atom.share end
  end
  return value, share
end

-- Each column's range without the outermost thousandths, magnitudes turned round; a limit at 0 for what comes
-- near it and is never below; quantiles and atoms.
local ranges, limited, rows = {}, {}, {}
local table_ = { column = {}, p16 = {}, p50 = {}, p84 = {}, atom = {}, share = {} }
for i, name in ipairs(names) do
  local column = values:select(2, i)
  local q = column:quantiles{ 0.001, 0.16, 0.5, 0.84, 0.999 }:totable()
  local pad = 0.05 * (q[5] > q[1] and q[5] - q[1] or 1)
  limited[name] = limits.of(column)
  ranges[name] = { q[1] - pad, q[5] + pad }
  if name:lower():find "mag_[ugriz]$" then ranges[name] = { q[5] + pad, q[1] - pad } end
  local atom, share = atom_of(i)
  rows[i] = { name, labels.unit_of(name) }
  for k = 2, 4 do table.insert(rows[i], ("%.3f"):format(q[k])) end
  rows[i][6] = share > 0 and ("%.1f %% are %.4g"):format(100 * share, atom) or ""
  for key, v in pairs{ column = name, p16 = q[2], p50 = q[3], p84 = q[4], atom = atom, share = share } do
    table_[key][i] = v
  end
end

local figure = plot.corner(values, {
  names = names, ranges = ranges, limits = limited, levels = o.levels, bounds = false,
})
for _, panel in ipairs(figure.panels) do
  for k, words in ipairs(panel.legend and panel.text or {}) do
    panel.text[k] = words:gsub("of the draws", "of the galaxies")
  end
end
local drawn = plot.figure(("%s/distributions.%s"):format(path.make(o.out), o.format), figure)
gal.table(table_):save(o.out .. "/quantiles.csv")
print ""
print(cli.table(rows, { "column", "unit", "16 %", "50 %", "84 %", "shared values" }))
print(("\n%d galaxies.\nwritten: %s, and quantiles.csv beside it"):format(#survey.ids, drawn))
