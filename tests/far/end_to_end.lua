-- From a survey to scores on a device whose memory the host can't touch: the experiments as processes, killed
-- and resumed, and runs and flows that go from this device to the CPU and back. Run with --device far
-- (tests/CMakeLists.txt).
local check = dofile "lua/lib/check.lua"
local scratch = dofile "lua/lib/scratch.lua"
local kill = dofile "lua/lib/kill.lua"
local gal = require "gal"
local path, succeeds = scratch.path, scratch.succeeds

dofile("lua/lib/analytic.lua").table(400, 3):save(path "catalog.csv")
local PHOTOMETRY = "--survey catalog.csv --hidden 16,16 --seed 3 --resume --schedule constant --out "

check.case("quickstart goes from a mock survey to a table and a picture", function()
  local text = succeeds("quickstart", "--tiny --out quick")
  check.that(text:find "D_KL and Delta log p are [%d.]+ nats apart" ~= nil, text)
  check.that(#scratch.read(path "quick/posteriors.png") > 10000, "the picture is small")
end)

check.case("a run is trained, scored and drawn from, with the CPU's results to rounding", function()
  local scores = {}
  for _, device in ipairs { "far", "cpu" } do
    succeeds("train_photometry", PHOTOMETRY .. device .. " --epochs 3", device)
    local said = succeeds("evaluate", device .. " --n 39", device)
    scores[device] = said:match "written in (%S+):" .. "/galaxies.csv"
    succeeds("sample", device .. " --n 50 --log-prob --out " .. device .. "/draws", device)
  end
  local function near(read, tolerance, what)
    local one, two = read "far", read "cpu"
    local off = (one - two):abs():max():item()
    check.that(off <= tolerance * two:abs():max():item(), ("%s are %g apart"):format(what, off))
  end
  near(function(d) return gal.table(path(d .. "/history.csv")):column "valid_loss" end, 1e-4, "losses")
  near(function(d) return gal.load(path(d .. "/draws/samples.npy")) end, 1e-2, "draws")
  near(function(d) return gal.load(path(d .. "/draws/log_prob.npy")) end, 1e-2, "their densities")
  near(function(d) return gal.table(path(d .. "/draws/summary.csv")):column "oh_p50_p84" end, 1e-3, "p84")
  near(function(d) return gal.table(path(scores[d])):column "d_kl" end, 1e-2, "D_KL")
end)

check.case("a run that goes on on the CPU and comes back is the undisturbed one to rounding", function()
  for epochs, device in ipairs { "far", "cpu", "far" } do
    succeeds("train_photometry", PHOTOMETRY .. "moved --epochs " .. epochs, device)
  end
  local moved, alone = gal.table(path "moved/history.csv"), gal.table(path "far/history.csv")
  for _, name in ipairs { "train_loss", "valid_loss" } do
    check.near(moved:column(name), alone:column(name), 1e-4, name)
  end
end)

check.case("a loaded flow has the same draws on either device to rounding, and the same file", function()
  local flows, x = require "gal.flow", gal.zeros({ 2, 5 }, { device = "cpu" }) + 17
  local draws = {}
  for _, device in ipairs { "far", "cpu" } do
    local flow = flows.load(path "far/flow.safetensors", { device = device })
    check.equal({ flow:device(), flow.scale.theta_mean:device() }, { device, device })
    draws[device] = flow:sample(x, { n = 20, steps = 10, rng = gal.rng(1) })
    check.equal(draws[device]:device(), device)
    flow:save(path(device .. ".safetensors"))
    check.that(scratch.read(path(device .. ".safetensors")) == scratch.read(path "far/flow.safetensors"),
      "another file from " .. device)
  end
  check.near(draws.far, draws.cpu, 1e-3)
  check.equal(flows.load(path "far/flow.safetensors"):device(), "cpu")
end)

check.case("an image training killed and resumed ends as the undisturbed one, byte for byte", function()
  require("gal.mock").make{ out = path "survey", n = 100, seed = 2, progress = false }
  local train = scratch.experiment "train_image" .. " --survey " .. path "survey"
    .. " --crop 16 --channels 4,4 --hidden 16 --batch 16 --draws 2 --epochs 8 --patience 8 --seed 3"
    .. " --resume --out "
  local same, why = kill.compare{ folder = scratch.folder, kills = 2, seed = 6, train = train }
  check.equal(why or "the same", "the same")
  check.equal(same, true)
end)

scratch.remove()
check.finish()
