-- What does an image model look at? Paints over one patch of a galaxy's cutout after another with the colour
-- of the background, and maps how the density of the galaxy's properties changes: Delta ln q, nats, below 0
-- where what is seen speaks for them (Zeiler & Fergus 2014). The cutout stands beside each map. Figure,
-- script, data and maps (.npy) are in RUN/results/occlusion-<survey>-<part>.

local cli = require "gal.cli"
local o = cli.options{
  { "run", "runs/image", "folder of the run, on images", positional = true },
  cli.common{ "part", "asked" },
  { "galaxy", type = "list", help = "ids of galaxies; default: --shown of them at random" },
  {
    "shown", 1, "galaxies at random, by --seed, where none is named", type = "integer", least = 1, most = 8,
    needs = "galaxy=false",
  },
  {
    "at", "truth",
    "where the density is taken: at the galaxy's own properties, or the mean over 64 draws of its posterior, "
      .. "so that the map says where the posterior comes from", choices = { "truth", "draws" },
  },
  { "size", 16, "side of a patch, pixels", type = "integer", least = 1 },
  { "stride", type = "integer", least = 1, help = "pixels from patch to patch; default: half the size" },
  cli.common{ "solver", "results" },
  { "seed", 0, "seed of the draws and of the galaxies at random" },
}
local gal = require "gal"
local labels = require "gal.plot.labels"
local map = require "gal.plot.map"
local occlusion = require "gal.infer.occlusion"
local plot = require "gal.plot"
local selection = require "gal.stats.selection"

local DRAWS = 64

local all = require("gal.infer.paired").open(cli.values(o, { "part", "asked" }, { run = o.run }))
local model = all.models[1]
if not model.part.images then cli.refuse("%s sees no images, expected a run of train_image", o.run) end
local side, positions, every = model.part.images.image[1], {}, {}
if o.size > side then
  cli.refuse("--size is %d, expected at most %d, the side of the images", o.size, side)
end
for k in ipairs(all.ids) do every[k] = k end
for k, id in ipairs(o.galaxy or {}) do positions[k] = all:position(id) end
if not o.galaxy then positions = selection.some(every, o.shown, o.seed) end
local these = all:select(positions)
local folder = these:folder("occlusion", o.out, cli.values(o, { "solver" }, {
  galaxy = o.galaxy, shown = o.shown, at = o.at, size = o.size, stride = o.stride, seed = o.seed,
}))

-- ---- the maps ----

local part, flow, found = these.models[1].part, these.models[1].flow, {}
for k, id in ipairs(these.ids) do
  local image, context = part.images:batch(k, 1):select(1, 1), part.context and part.context:select(1, k)
  local theta = these.theta:select(1, k)
  if o.at == "draws" then
    local seen = part:select({ k }):seen()
    theta = flow:sample(seen, { n = DRAWS, rng = gal.rng(o.seed), told = false }):to("cpu"):select(1, 1)
  end
  local line = cli.progress{ total = 1, label = "galaxy " .. id, unit = "maps" }
  found[k] = occlusion.map(flow, context, image, theta, {
    size = o.size, stride = o.stride, steps = o.steps, tolerance = o.tolerance,
    progress = function(done, count) line:update{ done = done / count } end,
  })
  line:finish()
  found[k].image = part:pictures{ k }:select(1, 1)
  gal.save(folder:path(id:gsub("[^%w%-]+", "_") .. ".npy"), found[k].map)
end

-- ---- the figure ----

-- A colour: whole numbers of 255, or what a network is shown of bands.
local function fill_words(fill)
  local words = {}
  for c, v in ipairs(fill) do words[c] = (v % 1 == 0 and "%d" or "%.3f"):format(v) end
  return table.concat(words, " ")
end

local panels, rows = {}, {}
for k, each in ipairs(found) do
  local low, high = each.map:min():item(), each.map:max():item()
  local most = math.max(-low, high, 1e-3) -- 0 is white: blue is above, red below
  local id = these.ids[k]
  panels[#panels + 1] = plot.panel{
    plot.picture(each.image), title = (#id < 12 and "galaxy " or "") .. id,
  }
  panels[#panels + 1] = plot.panel{
    plot.map(each.map, {
      range = { -most, most }, colours = "change", xrange = { 0, side }, yrange = { 0, side },
    }),
    ratio = 1, frame = "box", x = k == #found and "pixels" or nil,
    title = ("patches of %d × %d pixels"):format(each.size, each.size),
  }
  panels[#panels + 1] = plot.panel{
    map.scale({ -most, most }, { colours = "change" }), xtics = false, frame = "box",
    y = "$\\Delta\\ln q$ [nats]",
  }
  rows[k] = {
    id, ("%.2f"):format(each.log_q), ("%.2f"):format(low), ("%.2f"):format(high),
    ("%d"):format(each.patches), fill_words(each.fill),
  }
end
local drawn = plot.figure(folder:path("occlusion." .. o.format), {
  panels = panels, columns = 3, widths = { 1, 1, 0.07 }, size = { 120 },
})
print(cli.table(rows, { "galaxy", "ln q", "lowest change", "highest", "patches", "painted with" }))
print(("\nln q, nats: of %s. Its properties:"):format(o.at == "truth" and "the galaxy's own properties" or
  "draws of its posterior, their mean"))
for i, name in ipairs(these.names) do
  local words, unit = { name }, labels.unit_of(name)
  for k in ipairs(found) do words[#words + 1] = ("%.3f"):format(these.theta:get(k, i)) end
  if unit ~= "" then words[#words + 1] = unit end
  print("  " .. table.concat(words, " "))
end
print(("written: %s, and a map for each galaxy beside it"):format(drawn))
folder:close()
