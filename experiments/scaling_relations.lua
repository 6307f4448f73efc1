-- The paper's Figure 2: do two models' predictions lie on the galaxies' scaling relations? Three planes: mass
-- and metallicity, mass and star formation rate, star formation rate and metallicity. In grey the galaxies
-- themselves, over them each model's posterior means, as in the paper, and one posterior draw of each galaxy:
-- means scatter less than the truth even where posteriors are perfect, single draws as much. The scatter
-- about each relation is written in the panels. A red box selects galaxies by the run's means, and three of
-- them, taken at random, are shown. Draws once; stopped, the same command goes on where it was. Figure,
-- script, data and the galaxies' values are in RUN/results/scaling-<survey>-<part>[-against-<run>].

local cli = require "gal.cli"
local o = cli.options{
  { "run", "runs/image", "folder of the run, whose predictions the boxes select from", positional = true },
  cli.common{ "paired", "asked" },
  { "galaxies", 2000, "at most this many galaxies", type = "integer", least = 20 },
  {
    "planes", { "lgm_tot_p50:oh_p50", "lgm_tot_p50:sfr_tot_p50", "sfr_tot_p50:oh_p50" },
    "planes, each x:y, of the run's properties; with one that the run has not, a plane is left out",
  },
  {
    "boxes", type = "numbers",
    help = "low and high x and y of each plane's box, four numbers a plane; default: by a printed rule",
  },
  { "n", 1000, "draws a galaxy, whose mean is taken", type = "integer", least = 1 },
  cli.common{ "solver", "results" },
  { "seed", 0, "seed of the draws, the bootstrap and the three galaxies of a box" },
}
local gal = require "gal"
local json = require "gal.base.json"
local labels = require "gal.plot.labels"
local metrics = require "gal.metrics"
local plot = require "gal.plot"
local relation = require "gal.stats.relation"
local selection = require "gal.stats.selection"

local DATA, BOX, COLOURS = "#B8B8B8", "#D00000", { "#0072B2", "#009E73" } -- the paper's blue and green
-- Of the three boxes: massive and metal-rich; light and quiet; vigorous. Shares of the means' x.
local SHARES = { { 0.8, 0.95 }, { 0.05, 0.2 }, { 0.8, 0.95 } }

-- ---- galaxies and posteriors ----

local both = require("gal.infer.paired").open(o):thin(o.galaxies)
local column_of = {}
for i, name in ipairs(both.names) do column_of[name] = i end

local planes = {}
for k, pair in ipairs(o.planes) do
  local x, y = pair:match "^([^:]+):([^:]+)$"
  if not x then cli.refuse("--planes has %s, expected two properties such as lgm_tot_p50:oh_p50", pair) end
  if column_of[x] and column_of[y] then
    planes[#planes + 1] = { x = x, y = y, shares = SHARES[(k - 1) % #SHARES + 1] }
  else
    print(("%s is left out: %s infers %s"):format(pair, o.run, table.concat(both.names, ", ")))
  end
end
if #planes == 0 then cli.refuse("--planes has no plane of the properties that %s infers", o.run) end
if o.boxes and #o.boxes ~= 4 * #planes then
  cli.refuse("--boxes has %d numbers, expected %d: four for each of the planes", #o.boxes, 4 * #planes)
end

cli.say(both.survey:describe())
local folder = both:folder("scaling", o.out, cli.values(o, { "solver" }, {
  galaxies = o.galaxies, n = o.n, seed = o.seed, planes = o.planes, boxes = o.boxes,
}))
for _, warning in ipairs(both:draw(folder, o)) do print(warning) end
local models = both.models
local seeing = both:seeing()

-- ---- what the panels show ----

local function values(x, name) return x:select(2, column_of[name]):totable() end

-- The sets of a plane from left to right: {title, x, y, colour, scatter}, the galaxies themselves first.
local function sets_of(plane)
  local sets = { { title = "galaxies", theta = both.theta } }
  for _, kind in ipairs{ "means", "draws" } do
    for k = #models, 1, -1 do -- as in the paper: the photometry model on the left
      local words = kind == "means" and "posterior means" or "one draw each"
      sets[#sets + 1] = {
        title = ("%s model:\n%s"):format(models[k].name, words), theta = models[k][kind], colour = COLOURS[k],
        column = ("%s %s"):format(models[k].name, kind), selects = k == 1 and kind == "means",
      }
    end
  end
  for _, set in ipairs(sets) do
    set.x, set.y = values(set.theta, plane.x), values(set.theta, plane.y)
    set.relation = relation.scatter(set.x, set.y, o.seed)
  end
  return sets
end

-- The range of an axis: what all sets cover but for some thousandths, and room for words below.
local function range_of(sets, axis)
  local low, high = math.huge, -math.huge
  for _, set in ipairs(sets) do
    local finite = {}
    for _, v in ipairs(set[axis]) do
      if v - v == 0 then finite[#finite + 1] = v end
    end
    local q = metrics.quantile(finite, { 0.003, 0.997 })
    low, high = math.min(low, q[1]), math.max(high, q[2])
  end
  local span = high - low
  return { low - (axis == "y" and 0.18 or 0.06) * span, high + 0.06 * span }
end

-- How many pairs of a set the panel does not show.
local function outside(set, plane)
  return #set.x - #selection.within(set.x, set.y, plane.xrange, plane.yrange)
end

-- The box of plane k, the galaxies in it, and three of them.
local function choose(plane, sets, k)
  local set
  for _, each in ipairs(sets) do set = each.selects and each or set end
  local box = selection.box(set.x, set.y, plane.shares)
  if o.boxes then
    local a, b, c, d = unpack(o.boxes, 4 * k - 3, 4 * k)
    box = { x = { a, b }, y = { c, d } }
  end
  plane.box, plane.inside = box, selection.within(set.x, set.y, box.x, box.y)
  plane.shown = selection.some(plane.inside, 3, o.seed + k)
end

-- Points of so many galaxies, small where they are many, and the larger one that stands in the legend.
local size = math.max(0.08, math.min(0.35, 4 / math.sqrt(#both.ids)))
local function add_points(panel, x, y, colour, title)
  panel[#panel + 1] = plot.points(x, y, { colour = colour, size = size })
  panel[#panel + 1] = plot.points({}, {}, { colour = colour, size = 0.5, title = title })
end

-- One panel: the galaxies in grey, a set over them, the galaxies' contours, and both scatters.
local function panel_of(plane, data, set, row)
  local panel = {
    x = labels.label_of(plane.x), y = labels.label_of(plane.y), xrange = plane.xrange, yrange = plane.yrange,
    title = row == 1 and set.title or nil, frame = "box", ratio = 1.15,
  }
  add_points(panel, data.x, data.y, DATA, "galaxies")
  add_points(panel, set.x, set.y, set.colour, set.column:gsub(" %w+$", " model"))
  panel[#panel + 1] = plane.contours
  panel[#panel + 1] = plot.note(("%.3f %s\n(galaxies %.3f)"):format(set.relation.scatter, plane.unit,
    data.relation.scatter), "bottom right", { size = 7 })
  if set.selects then
    panel[#panel + 1] = plot.box(plane.box.x, plane.box.y, {
      colour = BOX, width = 1.4, title = "selection",
    })
  end
  return plot.panel(panel)
end

-- The cutouts of a plane's three galaxies, one above the other; false where there are none.
local function cutouts_of(plane, row)
  if not seeing or #plane.shown == 0 then return false end
  local sheet = plot.montage(seeing.part:pictures(plane.shown), { columns = 1, gap = 3 })
  return plot.panel{ plot.picture(sheet), title = row == 1 and "in the box" or nil }
end

-- ---- the figure ----

local panels, rows, chosen = {}, {}, { plane = {}, id = {} }
for k, plane in ipairs(planes) do
  local sets = sets_of(plane)
  local data = table.remove(sets, 1)
  plane.unit, plane.sets, plane.data = labels.unit_of(plane.y), sets, data
  plane.xrange = range_of({ data, unpack(sets) }, "x")
  plane.yrange = range_of({ data, unpack(sets) }, "y")
  choose(plane, sets, k)
  plane.contours = plot.contours(data.x, data.y, {
    colour = "#333333", width = 0.7, title = "68 and 95 % of them",
  })
  for _, set in ipairs(sets) do panels[#panels + 1] = panel_of(plane, data, set, k) end
  if seeing then panels[#panels + 1] = cutouts_of(plane, k) end
  for _, position in ipairs(plane.shown) do
    table.insert(chosen.plane, plane.x .. ":" .. plane.y)
    table.insert(chosen.id, both.ids[position])
  end
end
local widths = {}
for k = 1, 2 * #models do widths[k] = 1 end
if seeing then widths[#widths + 1] = 0.4 end
local drawn = plot.figure(folder:path("scaling_relations." .. o.format), {
  panels = panels, columns = #widths, widths = widths, size = #models == 1 and { 105 } or "page",
  share = "y", spacing = { 1.5, 2.5 }, legend = "below",
})

-- ---- in words and numbers ----

print(([[

%d galaxies, %d draws each. Scatter of y about its parabola in x, half the central 68 %%:
]]):format(#both.ids, o.n))
local head, results = { "y against x", "unit", "galaxies" }, { galaxies = #both.ids, n = o.n, planes = {} }
for _, set in ipairs(planes[1].sets) do head[#head + 1] = set.column end
for k, plane in ipairs(planes) do
  local function shown(set) return ("%.3f +- %.4f"):format(set.relation.scatter, set.relation.error) end
  rows[k] = { plane.y .. " " .. plane.x, plane.unit, shown(plane.data) }
  local scatter = { galaxies = { plane.data.relation.scatter, plane.data.relation.error } }
  for _, set in ipairs(plane.sets) do
    table.insert(rows[k], shown(set))
    scatter[set.column] = { set.relation.scatter, set.relation.error }
  end
  results.planes[k] = {
    x = plane.x, y = plane.y, unit = plane.unit, scatter = scatter, box = plane.box, inside = #plane.inside,
  }
end
print(cli.table(rows, head))
print [[

Means scatter less than the galaxies even where posteriors are perfect; draws then scatter as much.
+-: the deviation over 100 bootstraps.]]
print(("\nThe boxes, on the means of the %s model%s:"):format(models[1].name, o.boxes and "" or
  ": from one quantile of x to another, and from\nthe 10 to the 90 % quantile of the y of those"))
for _, plane in ipairs(planes) do
  local box, shares = plane.box, plane.shares
  local rule = o.boxes and "" or ("(%.0f to %.0f %%) "):format(100 * shares[1], 100 * shares[2])
  print(("%s %.2f to %.2f %sand %s %.2f to %.2f: %d galaxies"):format(plane.x, box.x[1], box.x[2], rule,
    plane.y, box.y[1], box.y[2], #plane.inside))
  for _, set in ipairs{ plane.data, unpack(plane.sets) } do
    local lost = outside(set, plane)
    if lost > 0 then
      print(("  outside the frame: %d of %d (%s)"):format(lost, #set.x, set.column or "galaxies"))
    end
  end
end

local columns = { id = both.ids }
for _, name in ipairs(both.names) do
  columns[name .. "_true"] = values(both.theta, name)
  for _, model in ipairs(models) do
    columns[("%s_mean_%s"):format(name, model.name)] = values(model.means, name)
    columns[("%s_draw_%s"):format(name, model.name)] = values(model.draws, name)
  end
end
gal.table(columns):save(folder:path "galaxies.csv")
gal.table(chosen):save(folder:path "shown.csv")
folder:write("scaling.json", json.encode(results, true) .. "\n")
print(("\nwritten: %s, and galaxies.csv, shown.csv and scaling.json beside it"):format(drawn))
folder:close()
