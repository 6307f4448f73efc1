-- Image trainings with --device cuda from end to end, a process each: quickstart; a training that is killed
-- and resumed; one that begins on cuda and goes on on the cpu. Run with --device cuda, a card or its double.
local check = dofile "lua/lib/check.lua"
local kill = dofile "lua/lib/kill.lua"
local scratch = dofile "lua/lib/scratch.lua"
local gal = require "gal"
local case, equal, that = check.case, check.equal, check.that
local path, succeeds = scratch.path, scratch.succeeds

case("quickstart goes from a mock survey to a table and a picture", function()
  local text = succeeds("quickstart", "--tiny --out " .. path "quick")
  that(text:find "D_KL and Delta log p are [%d.]+ nats apart" ~= nil, text)
  that(#scratch.read(path "quick/posteriors.png") > 10000, "the picture is small")
end)

require("gal.mock").make { out = path "survey", n = 100, seed = 2, progress = false }
local TRAIN = "--survey " .. path "survey" .. " --crop 16 --channels 16,8 --hidden 16 --batch 16 --draws 2"
  .. " --seed 3 --schedule constant --resume"

case("an image training killed and resumed ends as the undisturbed one, byte for byte", function()
  local train = scratch.experiment "train_image" .. " --precision bf16 " .. TRAIN
    .. " --epochs 8 --patience 8 --out "
  local same, why, met = kill.compare { folder = scratch.folder, kills = 2, seed = 6, train = train }
  equal(why or "the same", "the same")
  equal(same, true)
  that(met >= 1, "no kill met a training")
end)

case("an image training that begins on cuda goes on on the cpu, as if it had begun there", function()
  for epochs, device in ipairs { "cuda", "cpu" } do
    succeeds("train_image", ("%s --out %s --epochs %d"):format(TRAIN, path "moved", epochs), device)
  end
  succeeds("train_image", ("%s --out %s --epochs 2"):format(TRAIN, path "there"), "cpu")
  local moved, there = gal.table(path "moved/history.csv"), gal.table(path "there/history.csv")
  for _, name in ipairs { "train_loss", "valid_loss" } do
    check.near(moved:column(name), there:column(name), 1e-4, name)
  end
end)

scratch.remove()
check.finish()
