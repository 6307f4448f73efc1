-- The paper's Figure 3: does a galaxy's image tell dust from age? Posteriors of A_V and Dn4000 of two
-- galaxies, an old one with little dust and a young one with much, by two models: regions, marginals, and a
-- cross at the spectroscopic target. The galaxies are chosen by a rule that is printed, or named by
-- --galaxy. Beside the figure lie script, data and galaxies.csv, all in
-- RUN/results/dust_age-<survey>-<part>[-against-<run>].

local cli = require "gal.cli"
local o = cli.options{
  { "run", "runs/image", "folder of the run", positional = true },
  cli.common{ "paired", "asked" },
  { "galaxy", type = "list", help = "ids of the galaxies, one to three; default: two chosen by the rule" },
  { "x", "d4000_n", "property along x, the age" },
  { "y", "a_v", "property along y, the dust" },
  { "levels", { 0.68, 0.95 }, "shares of the draws that the regions hold", type = "numbers", above = 0 },
  { "n", 10000, "draws a galaxy", type = "integer", least = 100 },
  cli.common{ "solver", "results" },
  { "seed", 0, "seed of the draws" },
}
local errors = require "gal.base.errors"
local gal = require "gal"
local json = require "gal.base.json"
local limits = require "gal.stats.limits"
local metrics = require "gal.metrics"
local corners = require "gal.plot.corners"
local plot = require "gal.plot"
local selection = require "gal.stats.selection"

-- ---- the galaxies ----

local both = require("gal.infer.paired").open(o)
local column_of = {}
for i, name in ipairs(both.names) do column_of[name] = i end
for _, axis in ipairs{ "x", "y" } do
  if not column_of[o[axis]] then
    local known = table.concat(both.names, ", ")
    local found = errors.shown(o[axis])
    cli.refuse("--%s is %s, expected one of %s, which %s infers", axis, found, known, o.run)
  end
end
if o.galaxy and #o.galaxy > 3 then cli.refuse("--galaxy has %d ids, expected at most three", #o.galaxy) end

local function values(name) return both.theta:select(2, column_of[name]):totable() end

-- The galaxies that the rule chooses: their positions and what they are called.
local function by_rule()
  local x, y, chosen = values(o.x), values(o.y), {}
  for i, kind in ipairs{ { "old, dust-poor", "high", "low" }, { "young, dust-rich", "low", "high" } } do
    local found = selection.corner(x, y, { kind[2], kind[3] })
    local sign = { high = ">=", low = "<=" }
    print(("%s: galaxy %s, of the %d of %d galaxies with"):format(kind[1], both.ids[found.position],
      found.among, #both.ids))
    print(("  %s %s %.3g and %s %s %.3g (a share of %.1f each) the one nearest to their medians"):format(o.x,
      sign[kind[2]], found.x, o.y, sign[kind[3]], found.y, found.share))
    chosen[i] = { position = found.position, title = kind[1] }
  end
  return chosen
end

local function by_name()
  local chosen = {}
  for i, id in ipairs(o.galaxy) do chosen[i] = { position = both:position(id), title = "galaxy " .. id } end
  return chosen
end

cli.say(both.survey:describe())
local folder = both:folder("dust_age", o.out, cli.values(o, { "solver" }, {
  galaxy = o.galaxy, x = o.x, y = o.y, levels = o.levels, n = o.n, seed = o.seed,
}))
local chosen = o.galaxy and by_name() or by_rule()

-- ---- posteriors ----

local positions = {}
for i, each in ipairs(chosen) do positions[i] = each.position end
local these = both:select(positions)

-- Each model's draws {galaxies, n, 2} of x and y, and its ln densities at the targets.
for _, model in ipairs(these.models) do
  local seen = model.flow.encoder and model.part:seen() or model.part.context
  local draws = model.flow:sample(seen, {
    n = o.n, steps = o.steps, tolerance = o.tolerance, rng = gal.rng(o.seed),
  })
  local pair = {}
  for i, axis in ipairs{ "x", "y" } do pair[i] = draws:narrow(3, column_of[o[axis]], 1) end
  model.draws = gal.cat(pair, 3):to "cpu"
  model.log_q = model.flow:log_prob(these.theta, seen, { steps = o.steps, tolerance = o.tolerance }):totable()
end

-- ---- the figure ----

local seeing = these:seeing()
local list, limited = {}, {}
for _, name in ipairs{ o.x, o.y } do
  limited[name] = limits.of(both.survey.theta:select(2, column_of[name]))
end
for k, each in ipairs(chosen) do
  local sets, titles = {}, {}
  for m, model in ipairs(these.models) do
    sets[m], titles[m] = model.draws:select(1, k), model.name .. " model"
  end
  list[k] = {
    sets = sets, titles = titles, title = each.title,
    target = { these.theta:get(k, column_of[o.x]), these.theta:get(k, column_of[o.y]) },
    picture = seeing and seeing.part:pictures{ k }:select(1, 1) or nil,
  }
end
local drawn = plot.figure(folder:path("dust_age." .. o.format), corners.figure(list, {
  names = { o.x, o.y }, levels = o.levels, limits = limited, target = "spectroscopic target",
}))

-- ---- in numbers ----

local rows, columns, order = {}, {}, {
  "galaxy", "model", o.x, o.x .. "_p16", o.x .. "_p50", o.x .. "_p84", o.y, o.y .. "_p16", o.y .. "_p50",
  o.y .. "_p84", "log_q",
}
for _, name in ipairs(order) do columns[name] = {} end
for k in ipairs(chosen) do
  for _, model in ipairs(these.models) do
    local row, cells = { these.ids[k], model.name }, { these.ids[k], model.name }
    for i, axis in ipairs{ "x", "y" } do
      local target = these.theta:get(k, column_of[o[axis]])
      local q = metrics.quantile(model.draws:select(1, k):select(2, i), { 0.16, 0.5, 0.84 })
      row[#row + 1] = ("%.3f"):format(target)
      row[#row + 1] = ("%.3f (%.3f to %.3f)"):format(q[2], q[1], q[3])
      for _, v in ipairs{ target, unpack(q) } do cells[#cells + 1] = v end
    end
    row[#row + 1], cells[#cells + 1] = ("%.2f"):format(model.log_q[k]), model.log_q[k]
    rows[#rows + 1] = row
    for i, name in ipairs(order) do table.insert(columns[name], cells[i]) end
  end
end
print ""
print(cli.table(rows, { "galaxy", "model", o.x, "median (16 to 84 %)", o.y, "median (16 to 84 %)", "ln q" }))
print(("\nln q: density of all %d properties at the target, nats per product of their units."):format(
  #both.names))
gal.table(columns):save(folder:path "galaxies.csv")
folder:write("dust_age.json", json.encode({ galaxies = these.ids, levels = o.levels, n = o.n }, true) .. "\n")
print(("written: %s, %s"):format(drawn, folder:path "galaxies.csv"))
folder:close()
