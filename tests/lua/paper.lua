-- All of the paper's results from one command, small: the page is there with its figures, a second start does
-- nothing again, and the numbers beside the paper's are those of the evaluation.
local check = dofile "lua/lib/check.lua"
local json = require "gal.base.json"
local paper = require "gal.infer.paper"
local scratch = dofile "lua/lib/scratch.lua"

local function run(words) return scratch.run(scratch.experiment "paper" .. " " .. words) end

check.case("the paper's numbers stand beside an evaluation's, image first", function()
  local rows = paper.rows{
    scores = { delta_log_p = { a = 2, b = 1, higher = 0.75 }, d_kl = { a = 3, b = 2.5, higher = 0.9 } },
    deviations = {
      delta_log_p = { run = 0.5, against = 0.25 }, d_kl = { run = 1, against = 2 },
    },
    wasserstein = { oh_p50 = { means = { a = 0.01, b = 0.02 } } },
  }
  check.equal(rows, {
    { "Δlog p, nats", "2.17 ± 3.30", "2.00 ± 0.50", "1.26 ± 3.98", "1.00 ± 0.25" },
    { "  higher by the image", "81.5 %", "75.0 %", "", "" },
    { "D_KL, nats", "3.41 ± 0.95", "3.00 ± 1.00", "2.55 ± 0.97", "2.50 ± 2.00" },
    { "  higher by the image", "96.5 %", "90.0 %", "", "" },
    { "W1 of means, oh_p50", "0.0156", "0.0100", "0.0302", "0.0200" },
  })
end)

check.case("one command makes all of it, and does nothing twice", function()
  local code, text = run "--tiny --out all"
  check.that(code == 0, text)
  local html = scratch.read(scratch.path "all/index.html")
  check.equal(select(2, html:gsub("data:image/png;base64,iVBOR", "")), 4) -- too few galaxies for calibration
  check.that(not html:find "http", "the page needs nothing from elsewhere")
  local against = json.decode(scratch.read(scratch.path "all/evaluation/against.json"))
  local shown = ("%.1f %%%%"):format(100 * against.scores.d_kl.higher)
  check.that(html:find(shown), shown .. " is not in the page")
  local table_of = text:match "Beside the paper's numbers.*What differs"
  for line in table_of:gmatch "[^\n]+" do check.that(require("gal.base.text").length(line) <= 80, line) end
  code, text = run "--tiny --out all"
  check.that(code == 0 and text:find "is finished" and not text:find "epoch 1/", text)
end)

check.case("a step that fails is named, with what to do; a survey that is not there is told first", function()
  local code, text = run "--survey all/survey --out failed --image nowhere --epochs 1"
  check.equal(code, 1)
  check.that(text:find "evaluate failed; the same command goes on from there", text)
  code, text = run "--survey nowhere --out none"
  check.equal(code, 1)
  check.that(text:find "nowhere" and not text:find "==", text)
end)

check.finish()
