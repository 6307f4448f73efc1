-- The photometry experiments with --device cuda from end to end, a process each: training, samples, scores; a
-- training that is killed and resumed; a card that is out of memory. Run with --device cuda, a card or its
-- double.
local check = dofile "lua/lib/check.lua"
local card = dofile "lua/lib/card.lua"
local kill = dofile "lua/lib/kill.lua"
local scratch = dofile "lua/lib/scratch.lua"
local gal = require "gal"
local host = require "gal.host"
local case, equal, that = check.case, check.equal, check.that
local succeeds = scratch.succeeds

dofile("lua/lib/analytic.lua").table(700, 1):save(scratch.path "survey.csv")

local TRAIN = "--survey survey.csv --hidden 32,32 --epochs 3 --seed 3 --out "

case("train_photometry, sample and evaluate run on cuda, and draw as on the cpu", function()
  for _, device in ipairs { "cpu", "cuda" } do
    succeeds("train_photometry", TRAIN .. device, device)
    succeeds("sample", ("%s --n 4 --steps 4 --log-prob --out %s_samples"):format(device, device), device)
    local said = succeeds("evaluate", device .. " --galaxies 10 --n 39 --steps 4", device)
    that(said:find("D_KL", 1, true), "evaluate gives no D_KL:\n" .. said)
  end
  local function samples(device) return gal.load(scratch.path(device .. "_samples/samples.npy")) end
  local a, b = samples "cpu", samples "cuda"
  local off = (a - b):abs():max():item()
  that(off < 1e-2 * a:abs():max():item(), ("samples are apart by %g"):format(off))
end)

case("a training on cuda that is killed and resumed is the undisturbed one, byte for byte", function()
  local train = ("%q --threads 1 --device cuda %q --survey %q --epochs 25 --patience 25"):format(
    host.executable, host.root .. "/experiments/train_photometry.lua", scratch.path "survey.csv")
  local same, why, met = kill.compare { folder = scratch.folder, kills = 2, seed = 5,
    train = train .. " --hidden 32,32 --seed 3 --resume --out " }
  equal(why or "the same", "the same")
  equal(same, true)
  that(met >= 1, "no kill met a training")
end)

case("a card without memory is a sentence that names the largest blocks", function()
  if not card.is_double then return end
  local code, text = card.run(scratch, "GAL_DOUBLE_MEMORY=40000000", [[local gal = require "gal"
    require("ffi").C.gal_memory_set_limit("cuda", 1e12)
    local a = gal.zeros{4000000}; local b = gal.zeros{3000000}; local c = gal.zeros{5000000}]])
  equal(code, 1)
  that(text:find("no memory left for .* the largest blocks in use have"), text)
end)

case("a call of CUDA that fails is a sentence, and so is a card or a driver that is missing", function()
  if not card.is_double then return end
  local work = [[local gal, ffi = require "gal", require "ffi"
    local x = gal.ones{3}
    local p = gal.program(function()
      if ffi.C.gal_affine(x.h, x.h, 1, 1) ~= 0 then error(ffi.string(ffi.C.gal_error())) end
    end)
    p:replay(3)
    print(x:sum():item())]]
  for settings, sentence in pairs {
    ["GAL_DOUBLE_DEVICES=0"] = "this machine has no NVIDIA card",
    ["GAL_DOUBLE_DEVICES=-1"] = "this machine has no NVIDIA driver",
    ["GAL_DOUBLE_FAIL=launch:2"] = "map_flat<op> failed: cudaErrorInvalidValue",
    ["GAL_DOUBLE_FAIL=cudaGraphLaunch:2"] = "a graph's launch failed: cudaErrorInvalidValue",
    ["GAL_DOUBLE_FAIL=cudaMemcpyAsync:1"] = "an upload failed: cudaErrorInvalidValue",
    ["GAL_DOUBLE_FAIL=cudaMemcpyAsync:2"] = "a download failed: cudaErrorInvalidValue",
  } do
    local code, text = card.run(scratch, settings, work)
    that(code ~= 0 and text:find(sentence, 1, true), ("%s: exit %d: %s"):format(settings, code, text))
  end
  local code, text = card.run(scratch, "GAL_DOUBLE_EAGER=1 GAL_DOUBLE_ORDER=1", work)
  equal({ code, text }, { 0, "15\n" })
  code, text = card.run(scratch, "GAL_DOUBLE_FAIL=cudaStreamEndCapture:1", work)
  equal({ code, text:match "15\n" }, { 0, "15\n" })
  that(text:find("issued one by one: a CUDA graph can't have one of its calls", 1, true), text)
end)

case("a second card is a device of its own", function()
  if not card.is_double then return end
  local x = gal.ones({ 3 }, { device = "cuda:1" })
  equal((x + 1):sum():item(), 6)
  equal(x:device(), "cuda:1")
  check.raises(function() return gal.ones { 3 } + x end, "cuda", true)
end)

scratch.remove()
check.finish()
