-- What do posteriors look like? Beside a galaxy's cutout stand those of the training galaxies whose
-- properties are nearest to eight draws of its posterior, among the ones that are as bright and as far
-- away: if the model has learned what the image tells, they look like the galaxy. With --against, the draws
-- of a photometry model stand beneath. Figure, script, data and neighbours.csv are in
-- RUN/results/predictive-<survey>-<part>[-against-<run>].

local cli = require "gal.cli"
local o = cli.options{
  { "run", "runs/image", "folder of the run", positional = true },
  cli.common{ "paired", "asked" },
  { "galaxy", type = "list", help = "ids of galaxies; default: --shown of them at random" },
  {
    "shown", 3, "galaxies at random, by --seed, where none is named", type = "integer", least = 1, most = 8,
    needs = "galaxy=false",
  },
  { "draws", 8, "draws of each posterior", type = "integer", least = 1, most = 12 },
  {
    "like", { "modelMag_r", "z" },
    "columns in which the training galaxies are to be alike, where the table has them; none: in nothing",
  },
  { "among", 300, "how many training galaxies count as alike", type = "integer", least = 20 },
  cli.common{ "solver", "results" },
  { "seed", 0, "seed of the draws and of the galaxies at random" },
}
local gal = require "gal"
local labels = require "gal.plot.labels"
local nearest = require "gal.infer.nearest"
local plot = require "gal.plot"
local selection = require "gal.stats.selection"

-- ---- the galaxies, and those that the run was trained on ----

local both = require("gal.infer.paired").open(o)
local seeing = both:seeing()
if not seeing then cli.refuse("%s sees no images, expected a run of train_image", o.run) end
local positions, every = {}, {}
for k in ipairs(both.ids) do every[k] = k end
for k, id in ipairs(o.galaxy or {}) do positions[k] = both:position(id) end
if not o.galaxy then positions = selection.some(every, o.shown, o.seed) end
local these = both:select(positions)
local known = both:training()

local like = o.like[1] == "none" and {} or o.like
local wanted, alike = both:columns(like, these.ids, both.survey), both:columns(like, known.ids, known)
for _, name in ipairs(like) do
  if not (wanted[name] and alike[name]) then
    print(("no column %s: galaxies are not matched in it"):format(name))
  end
end
local folder = these:folder("predictive", o.out, cli.values(o, { "solver" }, {
  galaxy = o.galaxy, shown = o.shown, draws = o.draws, like = o.like, among = o.among, seed = o.seed,
}))

-- The training galaxies, rows, that are most like galaxy k; nil: all are. Second: what they are like in.
local function candidates(k)
  local columns, point, words = {}, {}, {}
  for _, name in ipairs(like) do
    local value = wanted[name] and alike[name] and wanted[name][k] or 0 / 0
    if value - value == 0 then
      columns[#columns + 1] = gal.tensor(alike[name], { #known.ids, 1 }, { device = "cpu" })
      point[#point + 1] = value
      local label, short = labels.label_of(name)
      local unit = label:match " %[([^%]]*)%]$"
      words[#words + 1] = ("%s = %.4g%s"):format(short, value, unit and " " .. unit or "")
    end
  end
  if #point == 0 then return nil, words end
  return (nearest.rows(gal.cat(columns, 2), point, math.max(o.among, o.draws))), words
end

-- ---- draws, and their nearest neighbours ----

local columns = { galaxy = {}, model = {}, draw = {}, neighbour = {}, distance = {} }
local rows, panels = {}, {}
local scale = known.theta:std(1):totable()
for _, model in ipairs(these.models) do
  local seen = model.flow.encoder and model.part:seen() or model.part.context
  model.draws = model.flow:sample(seen, {
    n = o.draws, steps = o.steps, tolerance = o.tolerance, rng = gal.rng(o.seed),
  }):to "cpu"
end
for k, id in ipairs(these.ids) do
  local only, words = candidates(k)
  local own = seeing.part:pictures{ positions[k] }:select(1, 1)
  local title = (#id < 12 and "galaxy " or "") .. id
  for _, word in ipairs(words) do title = title .. "\n" .. word end
  panels[#panels + 1] = plot.panel{
    plot.picture(own), title = title,
    at = { #these.models * (k - 1) + 1, 1 }, span = { #these.models, 1 },
  }
  for m, model in ipairs(these.models) do
    local draws = model.draws:select(1, k)
    local found, distances = nearest.each(known.theta, draws, { scale = scale, only = only })
    local across = #these.models == 1 and math.ceil(o.draws / 2) or o.draws
    local sheet = plot.montage(known:pictures(found), { columns = across, gap = 3 })
    panels[#panels + 1] = plot.panel{
      plot.picture(sheet), at = { #these.models * (k - 1) + m, 2 },
      title = ("training galaxies nearest to %d draws of the %s model"):format(o.draws, model.name),
    }
    local sum = 0
    for i, row in ipairs(found) do
      sum = sum + distances[i] / #found
      for name, value in pairs{
        galaxy = id, model = model.name, draw = i, neighbour = known.ids[row], distance = distances[i],
      } do table.insert(columns[name], value) end
      for j, name in ipairs(these.names) do
        columns[name .. "_draw"] = columns[name .. "_draw"] or {}
        columns[name .. "_neighbour"] = columns[name .. "_neighbour"] or {}
        table.insert(columns[name .. "_draw"], draws:get(i, j))
        table.insert(columns[name .. "_neighbour"], known.theta:get(row, j))
      end
    end
    rows[#rows + 1] = { id, model.name, ("%.2f"):format(sum), tostring(only and #only or #known.ids) }
  end
end

local alone = #these.models == 1
local drawn = plot.figure(folder:path("predictive." .. o.format), {
  panels = panels, columns = 2, widths = { alone and 3 or 2, 8 }, size = alone and { 130 } or "page",
  spacing = { 2, 1.5 },
})
gal.table(columns):save(folder:path "neighbours.csv")
print(cli.table(rows, { "galaxy", "model", "mean distance", "among" }))
print(([[

distance: between a draw and its neighbour, in the properties' deviations over the training galaxies.
written: %s, and neighbours.csv beside it]]):format(drawn))
folder:close()
