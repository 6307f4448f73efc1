-- sweep/plan: what a sweep is to do: the experiment, the points of the space as trials with names and command
-- lines, the rungs of successive halving. It is written once, into OUT/sweep.json, and read by all who work
-- in the folder. Nothing runs here.
local cli = require "gal.cli"
local errors = require "gal.base.errors"
local halving = require "gal.sweep.halving"
local host = require "gal.base.host"
local json = require "gal.base.json"
local options = require "gal.base.options"
local path = require "gal.base.path"
local run = require "gal.base.run"
local spaces = require "gal.sweep.space"
local raise = errors.raise

local M = {}
local Plan = {}
Plan.__index = Plan
M.Plan = Plan

local FORMAT = "galrun sweep 1"
local FILE = "sweep.json"

-- ---- the experiment ----

-- The script's path: of a file of that name, or of galrun's own experiment.
local function script_of(name)
  errors.text("plan", "experiment", name, "a script, or the name of one of galrun's experiments")
  for _, file in ipairs{ name, ("%s/experiments/%s.lua"):format(host.root or ".", name) } do
    if path.kind(file) == "file" then return path.absolute(file) end
  end
  raise("plan: experiment is '%s': there is no such file, and galrun has no experiment of that name", name)
end

-- A script as a plan names it: one of galrun's own by its name, wherever galrun lies; another by its path.
local function own_name(script)
  local name = tostring(script):match "/experiments/([%w_]+)%.lua$"
  return name and path.kind(("%s/experiments/%s.lua"):format(host.root or ".", name)) == "file" and name
    or script
end

-- The options that the script declares, checked to be those of one whose trials can be cut off: {name = o}.
local function declared(script, budget)
  local list, by_name = cli.declared(script), {}
  for _, o in ipairs(list) do by_name[o.name] = o end
  for _, name in ipairs{ "out", "resume", budget } do
    if not by_name[name] then
      raise("plan: %s has no option --%s, expected one: a trial's folder is given by --out, it goes on "
        .. "by --resume%s", script, name, budget and ", and a rung of halving is --" .. budget or "")
    end
  end
  return list, by_name
end

-- ---- words and names ----

-- A number as the command line has it: the shortest text that reads back as the same number.
local function word_of(v)
  if type(v) == "table" then
    local words = {}
    for i, item in ipairs(v) do words[i] = word_of(item) end
    return table.concat(words, ",")
  end
  return type(v) == "number" and json.encode(v) or tostring(v)
end

local function sorted_names(values)
  local names = {}
  for name in pairs(values) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- The words that give these values: {"--lr", "0.003", "--no-average", …}.
local function words_of(values)
  local words = {}
  for _, name in ipairs(sorted_names(values)) do
    local v, flag = values[name], name:gsub("_", "-")
    if type(v) == "boolean" then
      words[#words + 1] = (v and "--" or "--no-") .. flag
    else
      words[#words + 1], words[#words + 2] = "--" .. flag, word_of(v)
    end
  end
  return words
end

local LONGEST = 120 -- bytes of a folder's name: file systems take 255, people less

-- A trial's name, that of its folder: its number and the varied settings: "03_hidden=64x64_lr=0.00313".
local function name_of(number, values, varied)
  local parts = { ("%03d"):format(number) }
  for _, name in ipairs(varied) do
    local v = values[name]
    if v ~= nil then
      local text = type(v) == "boolean" and (v and "yes" or "no") or word_of(v):gsub(",", "x")
      parts[#parts + 1] = name .. "=" .. text:gsub("[^%w%.%+%-]", "-")
    end
  end
  return table.concat(parts, "_"):sub(1, LONGEST)
end

-- ---- planning ----

local OPTIONS = {
  "out", "experiment", "space", "method", "trials", "levels", "seed", "halving", "least", "eta", "budget",
  "galaxies",
}

local METHODS = { grid = true, random = true, sobol = true }

-- The settings of the sweep from options, defaults filled in.
local function settings_of(o)
  local method = o.method == nil and "sobol" or o.method
  if not METHODS[method] then
    raise("plan: method is %s, expected \"grid\", \"random\" or \"sobol\"", errors.kind(method))
  end
  if o.halving ~= nil and type(o.halving) ~= "boolean" then
    raise("plan: halving is %s, expected true or false", errors.kind(o.halving))
  end
  local halves = o.halving or nil
  return {
    method = method, trials = method ~= "grid" and options.integer("plan", o, "trials", 16, 1, 1e5) or nil,
    levels = method == "grid" and options.integer("plan", o, "levels", 3, 2, 1e4) or nil,
    seed = method ~= "grid" and options.integer("plan", o, "seed", 0, 0, 2 ^ 53) or nil, halving = halves,
    eta = halves and options.integer("plan", o, "eta", 3, 2, 100),
    budget = halves and (o.budget == nil and "epochs" or errors.text("plan", "budget", o.budget)),
    galaxies = options.integer("plan", o, "galaxies", 2000, 1, 1e7),
  }
end

-- The budgets of the rungs: the largest is the space's, or the experiment's default.
local function rungs_of(s, o, space, by_name)
  if not s.halving then return nil end
  local most = space.settings[s.budget]
  if most == nil then most = by_name[s.budget].default end
  if type(most) ~= "number" or most % 1 ~= 0 or most < 1 then
    raise("plan: %s is %s, expected a plain whole number: halving gives it to each trial bit by bit",
      s.budget, errors.kind(most))
  end
  local least = options.integer("plan", o, "least", math.ceil(most / s.eta ^ 3), 1, most)
  return halving.rungs(least, most, s.eta)
end

-- Raises where a training could not go on as if it had been given more epochs from the beginning.
local function refuse_schedules(values)
  if values.schedule ~= nil and values.schedule ~= "constant" then
    raise("plan: schedule is %s, expected \"constant\" while halving: its rates would depend on the epochs "
      .. "that a trial ends up with, so that no trial could go on", errors.kind(values.schedule))
  end
  if values.average == false then
    raise("plan: average is false, expected true while halving: at a constant rate only averaged weights "
      .. "can be compared")
  end
end

local OF_GALRUN = { seed = true } -- galrun takes it itself where a script does not declare it

-- Raises where the experiment would refuse the words of a trial of the space.
local function refuse_words(list, by_name, trial, space)
  local words = {}
  for name, v in pairs(trial.values) do
    if name == "out" or name == "resume" or name == "threads" or name == "device" then
      raise("plan: the space has a setting '%s', which the sweep gives to each trial itself", name)
    end
    if name == "ensemble" and v ~= 1 then
      raise("plan: the space has the setting 'ensemble', but a trial is one flow; sweep.ensemble makes the "
        .. "best ones an ensemble")
    end
    if by_name[name] or not OF_GALRUN[name] then
      for _, word in ipairs(words_of{ [name] = v }) do words[#words + 1] = word end
    end
  end
  if by_name.out.required then words[#words + 1] = "--out=x" end
  local _, message = cli.parse(list, words)
  if not message then return end
  local name = message:match "^%-%-([%w-]+) is '"
  local listed = name and type(space.fixed[name:gsub("-", "_")]) == "table"
  raise("plan: trial %d is refused by the experiment: %s%s", trial.number, message, listed
    and (". Values to try are %s = sweep.choice{…}; a plain list is one value"):format(name) or "")
end

-- The trials of the points, named and in words.
local function trials_of(s, points, space, list, by_name)
  local trials = {}
  for k, values in ipairs(points) do
    local given = {}
    for name, v in pairs(values) do
      if name ~= s.budget then given[name] = v end
    end
    if s.halving then
      refuse_schedules(values)
      given.schedule = by_name.schedule and "constant" or nil
    end
    trials[k] = {
      number = k, name = name_of(k, values, space.names), values = values, words = words_of(given),
    }
    refuse_words(list, by_name, trials[k], space)
  end
  return trials
end

-- The object that works on a plan's content (sweep.json) in the folder out.
local function object(out, content)
  local self = setmetatable({}, Plan)
  for key, v in pairs(content) do self[key] = v end
  self.out = path.absolute(out)
  local there, script = pcall(script_of, self.experiment) -- one that is gone fails its trials, not the list
  self.experiment = there and script or self.experiment
  if path.kind(self.folder) ~= "folder" then self.folder = path.absolute "." end -- it was moved
  for _, trial in ipairs(self.trials) do trial.out = self.out .. "/" .. trial.name end
  self.rungs = self.rungs or {}
  return self
end

-- The content of the folder's plan; nil where it has none.
local function read(out)
  local text = path.read(out .. "/" .. FILE)
  if not text then return nil end
  local known, content = pcall(json.decode, text)
  if not known or type(content) ~= "table" or content.format ~= FORMAT or type(content.trials) ~= "table" then
    raise("%s/%s is not a sweep's plan of this version", out, FILE)
  end
  content.experiment = own_name(content.experiment)
  return content
end

-- Raises unless two plans of one folder agree; there may be more trials than there were.
local function compare(folder, old, new)
  local free = { trials = true }
  local function bare(content)
    local kept = {}
    for key, v in pairs(content) do
      if not (key == "trials" or key == "folder" or key == "format") then kept[key] = v end
    end
    return kept
  end
  folder:compare(bare(old), bare(new), free)
  if #new.trials < #old.trials then
    raise("plan: the sweep in %s has %d trials, and %d are asked for: there may be more, not fewer",
      folder.out, #old.trials, #new.trials)
  end
end

-- Writes the plan unless an equal one is there. Several may do it at once.
local function store(out, content)
  path.make(out .. "/records")
  local folder = run.open{
    where = "plan", out = out, noun = "sweep", lock = "records/plan.lock", wait = true,
  }
  folder:work(function()
    local old = read(out)
    if old then compare(folder, old, content) end
    if not old or #old.trials < #content.trials then
      folder:write(FILE, json.encode(content, true) .. "\n")
    end
  end)
end

--- plan.make(options): see gal.sweep's plan.
function M.make(given)
  local o = options.known("plan", given, OPTIONS)
  errors.text("plan", "out", o.out, "the name of a folder")
  local space = spaces.space(errors.list("plan", "space", o.space, "a space of settings"))
  local script, s = script_of(o.experiment == nil and "train_photometry" or o.experiment), settings_of(o)
  local list, by_name = declared(script, s.budget)
  local points = s.method == "grid" and space:grid{ levels = s.levels }
    or space[s.method](space, s.trials, s.seed)
  local content = {
    format = FORMAT, experiment = own_name(script), folder = path.absolute ".", space = space:describe(),
    varied = setmetatable(space.names, json.list), rungs = rungs_of(s, o, space, by_name),
    trials = trials_of(s, points, space, list, by_name),
  }
  for key, v in pairs(s) do
    if key ~= "trials" then content[key] = v end
  end
  store(o.out, content)
  return M.open(o.out)
end

--- plan.open(out): the sweep that was planned in the folder `out`.
function M.open(out)
  errors.text("open", "out", out, "the folder of a sweep")
  local content = read(out)
    or raise("%s: has no %s, expected the folder of a sweep", errors.shown(out), FILE)
  return object(out, content)
end

--- s:last(): the number of the last rung; 1 without halving.
function Plan:last() return math.max(1, #self.rungs) end

--- s:command(trial[, rung = the last]): the words behind `galrun … SCRIPT` that run a trial up to a rung.
function Plan:command(trial, rung)
  errors.list("command", "trial", trial, "one of the sweep's trials")
  errors.list("command", "trial.words", trial.words, "a trial's words")
  if rung ~= nil then errors.integer("command", "rung", rung, 1, self:last()) end
  local words = { "--out", trial.out, "--resume", unpack(trial.words) }
  local budget = self.rungs[rung or #self.rungs]
  if budget then
    words[#words + 1], words[#words + 2] = "--" .. self.budget:gsub("_", "-"), ("%d"):format(budget)
  end
  return words
end

errors.methods(Plan, "a sweep")

return M
