-- All results of arXiv 2512.05078 from one command: trains the photometry and the image model, scores both
-- on the same galaxies (Figure 1, Table 1), draws Figures 2, 3 and A.1, and writes index.html, a page that
-- sets each result beside the paper's. Each step is one of the other experiments, whose command is printed.
-- Stopped, the same command goes on: steps that are done are not done again. --photometry and --image take
-- runs that are trained already.

local cli = require "gal.cli"
local o = cli.options{
  { "survey", "survey", "table and cutouts, under SDSS column names; --tiny makes one where none is" },
  { "out", type = "string", help = "folder for all of it; default: runs/paper, with --tiny runs/paper-tiny" },
  cli.common{ "table" },
  { "sample", "none", "none: every complete row; paper: the paper's cuts", choices = { "none", "paper" } },
  { "photometry", type = "string", help = "folder of a trained photometry run; default: one is trained" },
  { "image", type = "string", help = "folder of a trained image run; default: one is trained" },
  { "galaxies", 1000, "test galaxies to score, at most", type = "integer", least = 1 },
  { "n", 999, "draws a galaxy", type = "integer", least = 39, needs = "tiny=false" },
  {
    "epochs", 200, "epochs of each training, at most", type = "integer", least = 1, needs = "tiny=false",
  },
  {
    "crop", 0, "use the central N x N pixels of each cutout; 0: all of them", type = "integer", least = 0,
    needs = "tiny=false",
  },
  { "seed", 0, "seed of weights, noise and draws" },
  { "tiny", false, "a minute of everything, to see that it works; its numbers mean nothing" },
}
local gal = require "gal"
local host = require "gal.host"
local page = require "gal.infer.page"
local paper = require "gal.infer.paper"
local path = require "gal.base.path"
local text = require "gal.base.text"

local out = path.make(o.out or o.tiny and "runs/paper-tiny" or "runs/paper")

-- Exit codes of a galrun that Ctrl-C, TERM or USR1 ended.
local ENDED = { [130] = true, [143] = true, [75] = true }

-- One experiment, as a process of its own. A step that fails, or that Ctrl-C stops, ends this one.
local function step(name, words)
  local script = ("%s/experiments/%s.lua"):format(host.root, name)
  local parts = { host.executable, "--device", gal.device(), script }
  for _, word in ipairs(words) do parts[#parts + 1] = tostring(word) end
  for i, part in ipairs(parts) do parts[i] = "'" .. part:gsub("'", "'\\''") .. "'" end
  print(("\n== %s %s\n"):format(name, table.concat(words, " ")))
  io.stdout:flush()
  local status = os.execute(table.concat(parts, " "))
  if status == 0 then return end
  if ENDED[status / 256] or status % 256 == 2 then error(gal.interrupted, 0) end
  cli.refuse("%s failed; the same command goes on from there", name)
end

-- The options that name the table.
local function of_table(words)
  for _, name in ipairs{ "id", "hdu" } do
    if o[name] then
      words[#words + 1] = "--" .. name
      words[#words + 1] = o[name]
    end
  end
  return words
end

local survey, galaxies, n, epochs, crop = o.survey, o.galaxies, o.n, o.epochs, o.crop
if o.tiny then
  galaxies, n, epochs, crop = math.min(galaxies, 60), 39, 2, 32
  if not path.kind(survey) then
    survey = out .. "/survey"
    step("make_survey", { "--out", survey, "--n", 400, "--seed", o.seed })
  end
end

-- What it will take: 4 ms an image of 128 x 128 pixels and epoch, as the steps of tests/bench/w2.c do.
local SECONDS, PIXELS = 0.004, 128
local known = require("gal.data").open(survey, { id = o.id, hdu = o.hdu, sample = o.sample }):split "train"
local longest = #known.ids * epochs * SECONDS * (crop > 0 and math.min(1, crop / PIXELS) ^ 2 or 1)
local words = ("What takes long is the image model: at most %s on two cores (%d galaxies, %d epochs), and "
  .. "less where its validation loss has not fallen for 20 epochs. Scores and draws are some minutes "
  .. "more."):format(require("gal.base.progress").duration(longest), #known.ids, epochs)
if not o.image then print(table.concat(text.filled(words, 80), "\n")) end

-- The two models.
local function trained(kind, given, more)
  if given then return given end
  local run = out .. "/" .. kind
  local options = {
    "--survey", survey, "--out", run, "--sample", o.sample, "--preset", "paper", "--epochs", epochs,
    "--seed", o.seed, "--resume",
  }
  for _, word in ipairs(more) do options[#options + 1] = word end
  step("train_" .. kind, of_table(options))
  return run
end
local photometry = trained("photometry", o.photometry, o.tiny and { "--hidden", "16,16" } or {})
local image = trained("image", o.image, o.tiny
    and { "--hidden", "16,16", "--channels", "4,4,4,4", "--crop", crop } or { "--crop", crop })

-- What they tell: Figure 1 and Table 1; Figures 2, 3 and A.1.
local both = { image, "--against", photometry, "--seed", o.seed }
local function beside(folder, more)
  local options = { unpack(both) }
  for _, word in ipairs{ "--out", out .. "/" .. folder, unpack(more) } do options[#options + 1] = word end
  return options
end
step("evaluate", beside("evaluation", { "--galaxies", galaxies, "--n", n, "--html" }))
step("scaling_relations", beside("scaling", { "--galaxies", galaxies, "--n", o.tiny and 40 or 1000 }))
step("dust_age", beside("dust_age", { "--n", o.tiny and 500 or 10000 }))
step("distributions", of_table{ "--survey", survey, "--sample", o.sample, "--out", out .. "/distributions" })

local mock = path.kind(survey .. "/survey.json") == "file"
local report = paper.page(out, mock)
path.write(out .. "/index.html", page.html(report))
print(("\n%s\n\nwritten: %s/index.html"):format(page.text(report), out))
