-- infer/trained: opens a run of gal.train on a survey again: its flow, its split, and its survey or another
-- one as the run saw its own. The run's own table has to be what it was: its training rows must have the
-- fingerprint that the run wrote down, so that a table that was sorted, edited or replaced is noticed.
local core = require "gal.tensor"
local data = require "gal.data"
local familiar = require "gal.flow.familiar"
local ffi = require "ffi"
local json = require "gal.base.json"
local members = require "gal.flow.members"
local path = require "gal.base.path"
local raise = require("gal.base.errors").raise
local rows = require "gal.train.rows"

local M = {}
local Trained = {}
Trained.__index = Trained

-- Sets what an ensemble's members were trained on, each by its own folder: a galaxy that one of them was
-- trained on, or else validated on, counts as such for all. `members`: the runs.
local function join(self, folders)
  local RANK = { train = 3, valid = 2, test = 1 }
  local parts, lists, whole = {}, { train = {}, valid = {}, test = {} }, true
  self.members = {}
  for k, flow in ipairs(self.flow.members) do
    local run = M.of(folders[k], flow)
    self.members[k], self.config = run, self.config or run.config
    whole = whole and run.parts ~= nil and run.config ~= nil
    for _, name in ipairs{ "train", "valid", "test" } do
      for _, id in ipairs(run.lists and run.lists[name] or {}) do
        if not parts[id] or RANK[name] > RANK[parts[id]] then parts[id] = name end
      end
    end
  end
  if not whole then return end
  local listed = {}
  for _, run in ipairs(self.members) do
    for _, name in ipairs{ "train", "valid", "test" } do
      for _, id in ipairs(run.lists[name] or {}) do
        if not listed[id] then table.insert(lists[parts[id]], id) end
        listed[id] = true
      end
    end
  end
  self.parts, self.lists = parts, lists
end

--- trained.of(out, flow): the run in the folder `out`, or in none, whose flow is at hand: {out, flow, notes
-- (flow.notes, how its survey was opened; nil where it was not trained on one), parts {id = part}, lists
-- {part = {ids}} (data.read_split), config (its settings)}; of a folder with nothing but flow.safetensors
-- the last three are nil, and it is good for other tables. Of an ensemble (flow/members.lua) the same of all
-- its members, and `members`, their runs.
function M.of(out, flow)
  local self = setmetatable({ out = out or "the run", flow = flow, notes = flow.notes }, Trained)
  if not out then return self end
  local folders = flow.members and members.of(out)
  if folders then
    join(self, folders)
    return self
  end
  if path.kind(out .. "/split.csv") then self.parts, self.lists = data.read_split(out .. "/split.csv") end
  local text = path.read(out .. "/config.json")
  self.config = text and json.decode(text)
  return self
end

--- trained.open(out[, {device = "cpu"}]): trained.of the folder `out`, or of an ensemble (flow/members.lua),
-- its flow loaded. Raises where that was not trained on a survey.
function M.open(out, options)
  local flow = require("gal.flow").load(out, options)
  if flow.notes then return M.of(out, flow) end
  raise("%s does not say which survey it learned from, expected a run of train_photometry or train_image",
    out)
end

-- Raises where the run's folder has only its flow, and does not say what it was trained on.
local function refuse_bare(self)
  for _, run in ipairs(self.members or {}) do refuse_bare(run) end
  if self.parts and self.config then return end
  raise("%s has no split.csv or no config.json: it can't be told which galaxies it was trained on", self.out)
end

-- The fingerprint of galaxies, and the one that the run wrote down; nil where it wrote down none: a run on
-- images from before fingerprints without images were written.
local function fingerprints(self, known, images)
  local part = { theta = known.theta, context = self.flow.c > 0 and known.context or nil, images = images }
  local expected = self.config.values
  if not self.flow.encoder or images then expected = self.config.data end
  return rows.fingerprint(part), expected
end

-- Trained:check for an ensemble's members: for one of those that wrote down the same fingerprints.
local function check_members(self, home, images)
  local checked = {}
  for _, run in ipairs(self.members) do
    local key = json.encode{ run.config.values or "", run.config.data or "" }
    if not checked[key] then run:check(home, images) end
    checked[key] = true
  end
end

--- run:check(home[, images]): raises where `home`, the run's own survey with theta, does not have the
-- galaxies that the run was trained on, with the values that they had. images: theirs, a set like home's, or
-- nil.
function Trained:check(home, images)
  refuse_bare(self)
  if self.members then return check_members(self, home, images) end
  local ids = self.lists.train
  local found, known = pcall(home.of, home, ids)
  local lost = found and #ids - #known.ids or #ids
  if lost > 0 then
    raise("%s is no longer the table that %s was trained on: it lacks %d of the %d training galaxies",
      home.path, self.out, lost, #ids)
  end
  if images then images = images:of(ids).images end
  local own, expected = fingerprints(self, known, images)
  if not expected or own == expected then return end
  local numbered = " (they are named by their row numbers: if the table was sorted, they are others now)"
  raise("%s is no longer the table that %s was trained on: its training galaxies have other values%s",
    home.path, self.out, home.id_column and "" or numbered)
end

--- run:survey(options): a survey as the run saw its own: data.reopen with its options. Where that is the
-- run's own table, it is checked. Second: whether it is.
function Trained:survey(options)
  local asked = { beside = (members.home(self.out)) }
  for name, value in pairs(options or {}) do asked[name] = value end
  local opened, own = data.reopen(self.notes, asked)
  if own then
    local home = opened.theta and opened or data.reopen(self.notes, { images = false })
    self:check(home, opened.images and opened)
  end
  return opened, own
end

--- run:home(): the run's own survey, without images, checked; nil where its table is gone.
function Trained:home()
  if not path.kind(self.notes.survey) then return nil end
  local home = data.reopen(self.notes, { images = false })
  self:check(home)
  return home
end

--- run:familiarise(): makes sure that the run's flow knows how rare a galaxy is (flow:ood): where its file
-- does not say, fits that to the run's own survey. Returns true, or nil and a sentence: the survey is gone,
-- or has too few galaxies.
function Trained:familiarise()
  local flow = self.flow
  if flow.familiar then return true end
  if not path.kind(self.notes.survey) then
    return nil, ("the run does not say how its galaxies were spread, and its survey %s is gone"):format(
      self.notes.survey)
  end
  refuse_bare(self)
  local home = data.reopen(self.notes)
  self:check(home, home.images and home)
  local held = self.lists.valid and home:of(self.lists.valid)
  flow.familiar = familiar.fit(flow, home:of(self.lists.train), held)
  if flow.familiar then return true end
  return nil, ("the run had fewer than %d validation galaxies, too few to say how rare others are"):format(
    familiar.FEWEST)
end

-- ---- which galaxies the run has seen ----

-- The context and properties of each galaxy of a survey, as a string of bytes: a list {N}.
local function contents(survey)
  local list = {}
  for _, x in ipairs{ survey.theta, survey.context } do
    local values, width = core.read(x), x:size(2)
    for k = 1, #survey.ids do list[k] = (list[k] or "") .. ffi.string(values + (k - 1) * width, 4 * width) end
  end
  return list
end

-- The values of the galaxies that the run was trained or validated on: {bytes = true}.
local function known_contents(self, survey)
  local home, known = self:home(), {}
  if not home then
    raise("%s: without ids it can't be told which of its galaxies %s was trained on, whose own table is gone",
      survey.path, self.out)
  end
  for k, bytes in ipairs(contents(home)) do
    local part = self.parts[home.ids[k]]
    known[bytes] = known[bytes] or part == "train" or part == "valid"
  end
  return known
end

--- run:seen(survey, own): for each galaxy of a survey whether the run was trained or validated on it, a list
-- of booleans {N}: by its id; where either names its galaxies by row numbers and the table is not the run's
-- own (own, of run:survey), by its values. Mock surveys of other seeds have none of the run's galaxies.
function Trained:seen(survey, own)
  refuse_bare(self)
  local numbered, known, list = not survey.id_column or self.notes.id == data.NUMBERS, nil, {}
  local other = not data.same_ids(self.notes.survey, survey.path)
  if not other and numbered and not own then known = known_contents(self, survey) end
  local values = known and contents(survey)
  for k, id in ipairs(survey.ids) do
    local part = self.parts[id]
    list[k] = not other and (part == "train" or part == "valid")
    if known then list[k] = known[values[k]] or false end
  end
  return list
end

--- run:unseen(survey, own): the galaxies that run:seen says were not seen, as a survey. Raises where none is
-- left.
function Trained:unseen(survey, own)
  local positions = {}
  for k, seen in ipairs(self:seen(survey, own)) do
    if not seen then positions[#positions + 1] = k end
  end
  if #positions == 0 then
    raise("all %d galaxies are in the train or valid part of %s", #survey.ids, self.out)
  end
  return survey:select(positions)
end

--- run:refuse_seen(survey, own): raises where run:seen says that a galaxy was seen.
function Trained:refuse_seen(survey, own)
  local known = {}
  for k, seen in ipairs(self:seen(survey, own)) do
    if seen then known[#known + 1] = survey.ids[k] end
  end
  if #known == 0 then return end
  local named = known[1] .. (known[2] and ", " .. known[2] or "") .. (known[3] and ", ..." or "")
  raise("%d of the %d galaxies are in the train or valid part of %s (%s), expected none", #known, #survey.ids,
    self.out, named)
end

-- ---- results ----

-- A file's name without its folder and a table's endings; of a catalog.fits or .csv the folder's name.
local function base_of(place)
  local whole = path.absolute(place):gsub("/+$", "")
  local name = whole:match "([^/]*)$"
  if name:find "^catalog%." then name = whole:match "([^/]*)/[^/]*$" or name end
  for _, ending in ipairs{ "%.gz$", "%.csv$", "%.txt$", "%.fi?ts?$" } do name = name:gsub(ending, "") end
  return (name:gsub("[^%w%.%-_]+", "_"))
end

--- run:results(survey, part[, against[, what]]): the folder for results on a part of a survey, beside another
-- run where `against` is the folder of one: out/results/[<what>-]<survey>-<part>[-against-<run>]. what: the
-- name of results other than an evaluation's. Of an ensemble of several folders it is in the first one, and
-- -with-<others> is in its name. Raises where that is a link that leads out of the run's folder.
function Trained:results(survey, part, against, what)
  local words = { (what and what .. "-" or "") .. base_of(survey.path) }
  local home, with = members.home(self.out)
  if survey.hdu then words[#words + 1] = base_of(tostring(survey.hdu)) end
  words[#words + 1] = part
  if with then words[#words + 1] = with end
  if against then words[#words + 1] = "against-" .. base_of(members.name(against)) end
  return path.inside(path.inside(home, "results"), table.concat(words, "-"))
end

return M
