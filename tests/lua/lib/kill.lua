-- Kills a training with SIGKILL at random moments, resumes it until it ends, and compares its folder with
-- that of the same training left alone. For tests/lua/crash.lua and cutouts.lua (three kills) and
-- tests/acceptance/kill.lua (twenty). Every file must have the same bytes, but for timing.csv, which holds
-- times of the clock, and lock.
local host = require "gal.host"

local kill = {}

local SAME = { "history.csv", "flow.safetensors", "checkpoint.safetensors", "config.json", "split.csv" }

local function bytes(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return (text:gsub('"date":[^\n]*', "")) -- when a run began is no part of what it is
end

local function run(command) return os.execute(command .. " >/dev/null 2>&1") end

--- compare{ folder, kills, epochs, seed, train }: trains in folder/alone and, killed so many times, in
-- folder/killed. train: a command that a folder's name completes, by default the photometry model on an
-- analytic survey. Returns true, or false and the first difference; then how many of the kills met a
-- training under way.
function kill.compare(o)
  local survey, root = o.folder .. "/survey.csv", host.root
  local random = require("gal").rng(o.seed)
  if not o.train and not io.open(survey) then
    dofile(root .. "/tests/lua/lib/analytic.lua").table(3000, 1):save(survey)
  end
  local train = o.train or (("%q --device %s --threads 1 %q --survey %q --epochs %d --patience %d"):format(
    host.executable, host.device, root .. "/experiments/train_photometry.lua", survey, o.epochs, o.epochs)
    .. " --hidden 64,64 --seed 3 --resume --out ")
  if run(train .. o.folder .. "/alone") ~= 0 then return false, "the undisturbed training failed", 0 end
  local seconds = 0
  for line in io.lines(o.folder .. "/alone/timing.csv") do
    seconds = seconds + (tonumber(line:match "^%d+,(.*)$") or 0)
  end
  -- A quarter of the kills come while it starts, the others within seconds / kills of its first new epoch,
  -- whatever the machine's speed: so about half of the training is left behind the last one.
  local met, history = 0, o.folder .. "/killed/history.csv"
  local function draw() return require("gal").rand({ 1 }, { rng = random }):item() end
  for _ = 1, o.kills do
    local file = io.open(history)
    local lines = file and select(2, file:read("*a"):gsub("\n", "")) or 0
    if file then file:close() end
    local early, share = draw() < 0.25, draw()
    -- Until history.csv has a line more, or the training is over.
    local grown = ('[ "$(cat %s | wc -l)" -gt %d ] || ! kill -0 $p'):format(history, math.max(1, lines))
    local wait = early and "" or ("until %s; do sleep 0.005; done"):format(grown)
    local delay = share * (early and 0.1 or seconds / o.kills)
    local status = os.execute(
      ("exec >/dev/null 2>&1\n%s%s/killed & p=$!\n%s\nsleep %.4f; kill -9 $p; wait $p"):format(
        train, o.folder, wait, delay))
    if status ~= 0 then met = met + 1 end
  end
  if run(train .. o.folder .. "/killed") ~= 0 then
    return false, "the killed training could not be resumed", met
  end
  for _, name in ipairs(SAME) do
    if bytes(o.folder .. "/alone/" .. name) ~= bytes(o.folder .. "/killed/" .. name) then
      return false, name .. " differs", met
    end
  end
  return true, nil, met
end

return kill
