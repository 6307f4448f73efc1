-- What exploring costs, on one galaxy by the image model of full frames: opening the run, its posterior
-- printed, its corner plot as a PNG and on the screen of a terminal; and opening a run whose survey has
-- 100,000 galaxies. Medians; the models are hardly trained, which costs the same.
--
-- usage: galrun tests/bench/explore.lua [--rounds 5] [--out runs/bench-explore] [--galaxies 100000]
local ffi = require "ffi"
local gal = require "gal"
local data = require "gal.data"
local nn = require "gal.nn"
local plot = require "gal.plot"
local train = require "gal.train"

local o = require("gal.cli").options{
  { "rounds", 5, "of which the medians are shown" },
  { "galaxies", 100000, "of the large survey" },
  { "out", "runs/bench-explore", "folder for the surveys and runs" },
}

local function now() return tonumber(ffi.C.gal_now()) end

-- Runs fn several times and prints the median of its seconds, and what was asked for.
local function measure(name, asked, fn)
  local list = {}
  for r = 1, o.rounds do
    local start = now()
    fn(r)
    list[r] = now() - start
  end
  table.sort(list)
  print(("%-48s %.3f s%s"):format(name, list[math.ceil(#list / 2)], asked and ", asked for: " .. asked or ""))
end

local function trained(home, out, images)
  if require("gal.base.path").kind(out .. "/flow.safetensors") then return end
  local survey = data.open(home, { images = images and {} or nil })
  local flow = require("gal.flow").new{
    theta = survey.names.theta, context = survey.names.context,
    image = images and survey.images.image or nil, encoder = images and nn.galaxy_cnn() or nil,
    symmetric = images, rng = gal.rng(1),
  }
  train.fit{
    flow = flow, data = survey:split "train", valid = survey:split "valid", epochs = 1, out = out,
    augment = images, resume = true,
  }
end

local small, large = o.out .. "/survey", o.out .. "/large"
require("gal.mock").make{ out = small, n = 300 }
trained(small, o.out .. "/image", true)
require("gal.mock").make{ out = large, n = o.galaxies, cutouts = false }
trained(large, o.out .. "/photometry", false)

measure(("gal.open, survey of %d galaxies"):format(o.galaxies), "1 s", function()
  gal.open(o.out .. "/photometry")
end)
measure("its survey, when a galaxy is first asked for", nil, function()
  gal.open(o.out .. "/photometry"):posterior(1)
end)
local run = gal.open(o.out .. "/image")
run:survey()
measure("run:posterior(row) printed, image model", "0.5 s", function(r) tostring(run:posterior(r)) end)
measure("p:corner() as a PNG, image model", "2.5 s", function(r)
  plot.figure(o.out .. "/corner.png", run:posterior(r):corner())
end)
-- The seconds from p:corner() until the last byte of the picture has left for the terminal: a galrun of its
-- own in a pseudo-terminal of `script` (util-linux), which reads as fast as it can.
local ON_SCREEN = [[
  local gal, now = require "gal", require("ffi").C.gal_now
  local run = gal.open "%s/image"
  run:survey()
  local p, start = run:posterior(%d), now()
  gal.show(p:corner(), "%s/screen.png")
  require("gal.base.path").write("%s/screen.txt", tostring(tonumber(now() - start)))]]
for _, kind in ipairs{ "kitty", "iterm", "sixel", "text" } do
  local list = {}
  for r = 1, o.rounds do
    local code = o.out .. "/screen.lua"
    require("gal.base.path").write(code, ON_SCREEN:format(o.out, r, o.out, o.out))
    os.execute(("TERM=xterm script -qec \"'%s' --pictures %s '%s'\" /dev/null >/dev/null"):format(
      require("gal.host").executable, kind, code))
    list[r] = tonumber((require("gal.base.path").read(o.out .. "/screen.txt")))
  end
  table.sort(list)
  print(("%-48s %.3f s, asked for: 2.5 s"):format(("p:corner() on the screen, %s"):format(kind),
    list[math.ceil(#list / 2)]))
end
measure("p:condition{oh = …} printed", nil, function(r)
  local p = run:posterior(r)
  tostring(p:condition{ oh = p:property("oh"):median() })
end)
-- Where the hardly trained model is too far from that prior, the draws cost the same and the words say so.
measure("p:importance(…) printed", nil, function(r)
  local p = run:posterior(r)
  tostring((select(2, pcall(p.importance, p, { a_v = { mean = p.a_v:mean(), std = p.a_v:std() } }))))
end)
measure("p:slice{…} over two properties", nil, function(r)
  run:posterior(r):slice{ x = "a_v", y = "d4000_n" }
end)
