-- Acceptance: what an evaluation of the image model costs: experiments/evaluate.lua on galaxies of another
-- mock survey than the one that the run was trained on, whole frames, 999 draws each with their densities.
-- Asked for: 1,000 galaxies in five minutes and 2,000 in ten on two cores, anonymous memory under 1 GiB
-- (RssAnon of /proc, twenty times a second), the verdict first, all files there.
--
-- usage: galrun tests/acceptance/evaluate.lua [--out runs/acceptance/evaluate]
-- Goes on where it was stopped; an evaluation that was stopped is begun anew, so that its time is its own.
local folder = require "gal.base.path"
local gal = require "gal"
local here = arg[0]:match "^(.*)/" or "."
local report = dofile(here .. "/report.lua")

local o = require("gal.cli").options {
  { "out", "runs/acceptance/evaluate", "folder for the surveys, the run and the results" },
  { "galaxies", { 1000, 2000 }, "to evaluate, one evaluation each", type = "integers", least = 100 },
  { "seconds", { 300, 600 }, "asked for of each", type = "integers", least = 1 },
  { "n", 999, "draws of each" }, { "train", 3000, "galaxies of the run's survey" },
  { "epochs", 12, "of training" }, { "crop", 0, "pixels; 0: whole frames" },
  { "record", true, "append the result to RESULTS.md" },
}

folder.make(o.out)
local most = 0
for _, count in ipairs(o.galaxies) do most = math.max(most, count) end
local function survey(name, n, seed)
  local path = o.out .. "/" .. name
  report.succeeds("make_survey", ("--out '%s' --n %d --seed %d"):format(path, n, seed))
  return path
end
local training, fresh = survey("training", o.train, 1), survey("fresh", most, 2)
if not folder.kind(o.out .. "/run/flow.safetensors") then
  local words = "--survey '%s' --out '%s/run' --epochs %d --lr 3e-3 --schedule cosine --crop %d "
    .. "--precision bf16"
  report.succeeds("train_image", words:format(training, o.out, o.epochs, o.crop))
end

local verdict = report.new("evaluate", o.record)
for i, count in ipairs(o.galaxies) do
  local results = ("%s/results-%d"):format(o.out, count)
  os.execute(("rm -rf '%s'"):format(results))
  local options = "'%s/run' --survey '%s' --part all --galaxies %d --n %d --html --out '%s'"
  local words, seconds, peak, code = report.watched("evaluate",
    options:format(o.out, fresh, count, o.n, results))
  local what = ("%d galaxies x %d draws: "):format(count, o.n)
  verdict:bar(what .. "exit code", code, 0)
  verdict:bar(what .. "seconds", seconds, o.seconds[i] or o.seconds[#o.seconds])
  verdict:bar(what .. "MiB of anonymous memory", peak, 1024)
  local text = folder.read(results .. "/evaluation.txt") or ""
  local first = text:match "^[^\n]*" or ""
  local named = first:find "^No deviation" or first:find "^Calibrated" or first:find "^Not calibrated"
  verdict:least(what .. "a verdict first", named and 1 or 0, 1)
  verdict:least(what .. "and on the screen", words:find(first, 1, true) and 1 or 0, 1)
  local kept = gal.load(results .. "/posteriors.npz")
  verdict:bar(what .. "draws without density", count * o.n - kept.log_q:count(), 0)
  for _, name in ipairs { "evaluation.json", "evaluation.html", "galaxies.csv" } do
    verdict:least(what .. name, folder.kind(results .. "/" .. name) and 1 or 0, 1)
  end
end
verdict:finish()
