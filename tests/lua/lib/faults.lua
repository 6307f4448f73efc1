-- Lets a training meet a disk or memory that gives out: the k-th of its calls of one kind fails
-- (tests/faults/faults.c). tests/lua/faults.lua tries a few calls of each kind, tests/acceptance/faults.lua
-- all of them. After each fault either the run is as it would have been, or galrun ended with a sentence
-- and 1 (2 where it could not even begin); and resumed without a fault its files are byte for byte those
-- of the undisturbed training.
local host = require "gal.host"
local path = require "gal.base.path"

local faults = {}

--- The library, or nil where it was not built.
faults.library = host.executable:match "^(.*)/" .. "/tests/libgalrun_faults.so"
if not path.kind(faults.library) then faults.library = nil end

--- The kinds of calls, each with the errno that it fails with: EIO, EACCES, ENOSPC, ENOMEM.
faults.kinds = {
  { "stat", 5 }, { "open", 13 }, { "read", 5 }, { "write", 28 }, { "fsync", 5 }, { "rename", 5 },
  { "close", 5 }, { "malloc", 12 },
}

local FILES = { "history.csv", "flow.safetensors", "checkpoint.safetensors", "config.json", "split.csv" }

-- A training of two epochs more, in the folder `run` of home, resumed where it stands.
local SCRIPT = [[
local gal = require "gal"
local r = gal.rng(1)
local theta = gal.randn({ 40, 2 }, { rng = r })
local ids = {}
for k = 1, 40 do ids[k] = "galaxy " .. k end
local flow = require("gal.flow").new{ theta = 2, context = 2, hidden = { 4 }, rng = gal.rng(2) }
require("gal.train").fit{
  flow = flow, data = { theta = theta, context = theta + 1, ids = ids }, batch = 20, patience = 100,
  epochs = tonumber(arg[2]), out = arg[1], resume = true, progress = false,
}
]]

--- faults.environment(home, kind, k, errno): the words before a command that let it meet that fault in the
-- folder home/run.
function faults.environment(home, kind, k, errno)
  return ("LD_PRELOAD='%s' GALRUN_FAULT_UNDER='%s/run' GALRUN_FAULT=%s:%d:%d"):format(faults.library, home,
    kind, k, errno)
end

-- Trains to so many epochs; returns the exit code and what was printed.
local function shell(environment, home, epochs)
  local command = ("%s '%s' --threads 1 train.lua '%s/run' %d"):format(environment, host.executable, home,
    epochs)
  local pipe = io.popen(("cd '%s' && { %s; } 2>&1; echo \"exit $?\""):format(home, command))
  local text, code = pipe:read("*a"):match "^(.*)exit (%d+)\n$"
  pipe:close()
  return tonumber(code), text
end

local function contents(folder)
  local found = {}
  for _, name in ipairs(FILES) do found[name] = path.read(folder .. "/" .. name) or false end
  if found["config.json"] then found["config.json"] = found["config.json"]:gsub('"date":[^\n]*', "") end
  return found
end

local function difference(a, b)
  for _, name in ipairs(FILES) do
    if a[name] ~= b[name] then return name end
  end
end

--- faults.prepare(home): trains in the folder home, which is empty, without a fault: two epochs, kept as
-- home/half, and then to four. Returns {home, half, whole, counts}: the files' bytes at both ends, and how
-- many calls of each kind the second part makes.
function faults.prepare(home)
  path.write(home .. "/train.lua", SCRIPT)
  assert(shell("", home, 2) == 0, "the undisturbed training failed")
  os.execute(("cd '%s' && rm -rf half && cp -a run half"):format(home))
  local half, counts = contents(home .. "/run"), {}
  local counting = faults.environment(home, "none", 0, 0) .. (" GALRUN_FAULT_COUNTS='%s/counts'"):format(home)
  local code, text = shell(counting, home, 4)
  assert(code == 0, text)
  for kind, n in path.read(home .. "/counts"):gmatch "(%l+) (%d+)" do counts[kind] = tonumber(n) end
  return { home = home, half = half, whole = contents(home .. "/run"), counts = counts }
end

--- faults.try(p, kind, k, errno): the second part of the training p with a fault in its k-th call of that
-- kind, then resumed without one. Returns what was wrong, nil where nothing was; and whether galrun told of
-- the fault.
function faults.try(p, kind, k, errno)
  os.execute(("cd '%s' && rm -rf run && cp -a half run"):format(p.home))
  local code, text = shell(faults.environment(p.home, kind, k, errno), p.home, 4)
  if code > 2 then return ("ended with %d: %s"):format(code, text:sub(1, 300)) end
  local now = contents(p.home .. "/run")
  for _, name in ipairs(FILES) do
    if not now[name] then return name .. " is gone" end
  end
  if code == 0 then
    local name = difference(now, p.whole)
    return name and "ended well, and " .. name .. " is another" or nil, false
  end
  local sentence = text:match "^[^\n]*\n" or ""
  if sentence == "" or sentence:find "attempt to" or text:find "corrupted" then
    return "no sentence: " .. text:sub(1, 300)
  end
  if now["history.csv"]:sub(1, #p.half["history.csv"]) ~= p.half["history.csv"] then
    return "the history lost an epoch: " .. sentence
  end
  if #path.list(p.home .. "/run", ".tmp") > 0 and kind ~= "close" then return "a temporary file was left" end
  local again, why = shell("", p.home, 4)
  if again ~= 0 then return "can't be resumed: " .. why:sub(1, 300) end
  local name = difference(contents(p.home .. "/run"), p.whole)
  return name and "resumed, and " .. name .. " is another" or nil, true
end

return faults
