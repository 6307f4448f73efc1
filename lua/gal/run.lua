-- run: a trained run as a value, to ask it questions: gal.open(folder) and what train.fit returns. Its
-- posteriors are values, too: run:posterior(id). The fields:
--   flow          the flow, with its best weights
--   out           the run's folder; nil where nothing was written
--   history       the epochs, a list of {epoch, train_loss, valid_loss, lr}; run:history() is its learning
--                 curve
--   best_epoch, best_loss   the epoch whose weights count, and its loss
--   floor         what was found of the flow's floor, {share, gain and error (nats a validation row), rows,
--                 most (whether the share is the largest that is laid)}, or a sentence why none was looked
--                 for; nil where none was asked for, and of a run that is opened where none was laid
--   stopped, path_cost   of a run that fit trained: "patience", "epochs" or "interrupt"; and what the path's
--                 width costs at least, nats a row (flow/path_cost.lua)
--   ids, parts    the ids of its survey {N}, and {id = "train", "valid" or "test"}, once that is open:
--                 opening a survey waits until galaxies are asked for; nil before, or where they are not
--                 known
-- The parts of this are in the room gal/posterior.
local arguments = require "gal.base.options"
local errors = require "gal.base.errors"
local floors = require "gal.flow.floor"
local gal = require "gal"
local galaxies = require "gal.posterior.galaxies"
local images = require "gal.images"
local judged = require "gal.posterior.judged"
local learned = require "gal.posterior.learned"
local members = require "gal.flow.members"
local list_of = require("gal.posterior.list").of
local object = require "gal.posterior.object"
local offsets = require "gal.data.offsets"
local part_of = require("gal.data.split").part
local path = require "gal.base.path"
local reopen = require "gal.data.reopen"
local search = require "gal.posterior.search"
local survey_of = require "gal.data.survey"
local tested = require "gal.posterior.tested"
local trained = require "gal.infer.trained"
local units = require "gal.flow.units"
local words = require "gal.posterior.words"
local raise = errors.raise

local M = {}
local Run = { completes = { posterior = "ids" } }
Run.__index = {}
local methods = Run.__index
--- run.Run: the metatable of runs, by which a run is told from other tables.
M.Run = Run

-- ---- opening ----

-- What was asked of a run's survey, and the surveys themselves, by the run: not fields, which users see.
local hidden = setmetatable({}, { __mode = "k" })

local SURVEY = {
  "survey", "hdu", "id", "dereddened", "ab_offsets", "crop", "bin", "resize", "packed", "rename",
}
local OPTIONS = { "device", unpack(SURVEY) }

-- The epochs in the folder's history.csv, as fit's history, the best one and its loss.
local function history_of(out)
  if path.kind(out .. "/history.csv") ~= "file" then return {} end
  local found, list = require("gal.train.curve").read(out), {}
  for k, epoch in ipairs(found.epoch) do
    local valid = found.valid[k] == found.valid[k] and found.valid[k] or nil
    list[k] = { epoch = epoch, train_loss = found.train[k], valid_loss = valid, lr = found.lr[k] }
  end
  local best = found.best and found.epoch[found.best] or #list
  return list, best, found.best and found.valid[found.best] or #list > 0 and list[#list].train_loss or nil
end

-- A run of these fields.
local function new(fields, asked)
  local self = setmetatable(fields, Run)
  self.history = learned.history(self.history or {})
  hidden[self] = { asked = asked or {} }
  return self
end

-- The run in a folder, whose flow is loaded.
local function of_folder(flow, folder, asked)
  local history, best, loss = history_of(folder)
  return new({
    flow = flow, out = folder, history = history, best_epoch = best, best_loss = loss,
    floor = flow.floor and flow.floor.found,
  }, asked)
end

--- gal.open(folder[, {device =, survey =, …}]): the run in a folder, to ask it questions: run:posterior(id),
-- run:find{…}, run:worst(10), ?run has all. Of several folders between commas, "runs/a,runs/b", and of a
-- folder with ensemble.json it is the ensemble of them, and `members` a list of these runs. Its flow is on
-- `device`, by default gal.device(); its survey is found, or is the one named, with data.reopen's hdu, id,
-- dereddened, ab_offsets, crop, bin, resize, packed, rename, and opened when galaxies are asked for. A run
-- that still trains can be opened: its best weights so far count.
function M.open(folder, options)
  errors.text("open", "folder", folder, "the folder of a run")
  local o = arguments.known("open", options, OPTIONS)
  folder = folder:gsub("(.)/+$", "%1")
  local folders = members.of(folder)
  members.refuse_begun("open", folder)
  if not folders and path.kind(folder .. "/flow.safetensors") ~= "file" then
    local near = path.kind(folder) == nil and "there is no such folder" or "it has no flow.safetensors"
    raise("open: %s is no run: %s", errors.shown(folder), near)
  end
  local flow = require("gal.flow").load(folder, { device = o.device or gal.device() })
  local asked = {}
  for _, name in ipairs(SURVEY) do asked[name] = o[name] end
  if folders then
    local run = new({ flow = flow, out = folder, members = {} }, asked)
    for k, member in ipairs(folders) do run.members[k] = of_folder(flow.members[k], member, asked) end
    run.history = learned.histories(folders, history_of)
    return run
  end
  return of_folder(flow, folder, asked)
end

--- run.ensemble{out =, members = {"runs/a", "runs/b", …}, device =}: makes the folder `out` the ensemble of
-- runs that are trained, by its ensemble.json, and returns it as gal.open does. A member that is an ensemble
-- counts as its members. Raises where their flows do not go together (flow.ensemble), where two are the same,
-- or `out` is a run itself, or an ensemble that was trained there.
function M.ensemble(options)
  local o = arguments.known("ensemble", options, { "out", "members", "device" })
  local out = errors.text("ensemble", "out", o.out, "the name of a folder")
  local folders = errors.list("ensemble", "members", o.members, "a list of the folders of runs")
  for k, folder in ipairs(folders) do errors.text("ensemble", ("members[%d]"):format(k), folder) end
  if path.kind(out .. "/flow.safetensors") or path.kind(out) == "file" then
    raise("ensemble: out is '%s', which is %s; name another folder", out,
      path.kind(out) == "file" and "a file" or "a run itself")
  end
  if path.kind(members.folder(out, 1)) then
    raise("ensemble: out is '%s', where an ensemble was trained; name another folder", out)
  end
  folders = members.expanded(folders)
  -- They are loaded before their names are written down: none that do not go together are.
  require("gal.flow.file").ensemble(out, folders, {})
  members.write(out, folders)
  return M.open(out, { device = o.device })
end

--- run.of_fit(result, given, saved): what fit found, as a run. given: fit's options; saved: what resuming
-- takes of a run that is in no folder.
function M.of_fit(result, given, saved)
  local self = new(result)
  hidden[self].given, hidden[self].saved = given, saved
  return self
end

-- ---- its galaxies ----

-- Raises where a run that was stopped within its first epoch is asked for posteriors.
local function refuse_untrained(self)
  if #self.history == 0 and hidden[self].given then
    raise "posterior: no epoch of the run is over: run:resume() goes on with it"
  end
end

-- What fit was given: which part each id is in.
local function parts_of(given)
  local parts = {}
  for part, rows in pairs{ train = given.data or given, valid = given.valid, test = given.test } do
    for _, id in ipairs(type(rows) == "table" and type(rows.ids) == "table" and rows.ids or {}) do
      parts[tostring(id)] = part
    end
  end
  return next(parts) and parts or nil
end

-- The run met again (gal.infer.trained), once: nil of one that was trained on arrays. Sets self.parts.
local function met(self)
  local own = hidden[self]
  if own.met == nil then
    local known = trained.of(self.out, self.flow)
    self.parts = known.parts or own.given and parts_of(own.given)
    own.met = known.notes and known or false
  end
  return own.met or nil
end

-- The survey of plain rows, as fit was given them.
local function of_rows(self)
  local given = hidden[self].given
  local rows = given and (given.data or given)
  if not rows or not rows.theta then
    raise("survey: %s doesn't say which survey it learned from: it was trained on arrays; "
      .. "run:posterior takes values by name", self:label())
  end
  if rows.select then return rows end
  local n, ids, positions, flow = rows.theta:size(1), {}, {}, self.flow
  for k = 1, n do ids[k], positions[k] = rows.ids and tostring(rows.ids[k]) or ("%d"):format(k), k end
  return survey_of.new{
    ids = ids, rows = positions, total = n, theta = rows.theta,
    context = flow.c > 0 and rows.context or nil,
    images = rows.images and images.of(rows.images), names = { theta = flow.theta, context = flow.context },
  }
end

--- run:survey(): the run's survey (gal.data), as the run saw it, opened once; or, of a run of plain arrays,
-- the rows that it was given.
function methods:survey()
  local own, known = hidden[self], met(self)
  if own.survey then return own.survey end
  if known and known.config then
    own.survey, own.is_own = known:survey(own.asked)
  elseif known then
    own.survey, own.is_own = reopen(known.notes, own.asked)
  else
    own.survey, own.is_own = of_rows(self), true
  end
  self.ids = own.survey.ids
  return own.survey
end

--- run:every(): all galaxies of the table, those whose properties are not known, too, as a survey without
-- properties; nil of a run of plain arrays.
function methods:every()
  local own, known = hidden[self], met(self)
  if known and not own.every then
    local asked = { theta = false }
    for name, value in pairs(own.asked) do asked[name] = value end
    own.every = reopen(known.notes, asked)
  end
  return own.every
end

-- The galaxies of a survey that the run was trained on, by their parts.
local function trained_on(self, survey)
  local positions = {}
  for k, id in ipairs(survey.ids) do
    if self.parts[id] == "train" then positions[#positions + 1] = k end
  end
  return survey:select(positions)
end

--- run:training(): the galaxies that the run was trained on, as a survey, with their properties.
function methods:training()
  local survey, own = self:survey(), hidden[self]
  if own.training then return own.training end
  if not own.is_own then survey = met(self):home() end
  if not survey then
    raise("training: the table that %s was trained on, %s, is gone", self:label(), met(self).notes.survey)
  end
  own.training = self.parts and trained_on(self, survey) or survey
  return own.training
end

--- run:unseen(): the galaxies of the run's survey that it has not seen and whose properties are known, a
-- survey: of the test part.
function methods:unseen()
  local survey, own, known = self:survey(), hidden[self], met(self)
  if known and known.config then return known:unseen(survey:split "test", own.is_own) end
  local test = own.given and own.given.test
  if type(test) == "table" and test.theta and test.select then return test end
  if not (known and self.parts) then
    raise "the run doesn't know which rows it has not seen: test = a survey among fit's options says it"
  end
  test = survey:split "test"
  local positions = {}
  for k, id in ipairs(test.ids) do
    if not self.parts[id] or self.parts[id] == "test" then positions[#positions + 1] = k end
  end
  if #positions == 0 then raise "all galaxies of the test part were given to fit" end
  return test:select(positions)
end

--- run:part(id): which part of the run a galaxy of its survey is in: "train", "valid", "test"; "unseen" for
-- others that it was not given; nil where that is not known.
function methods:part(id)
  met(self)
  if not self.parts then return nil end
  return self.parts[id] or part_of(errors.text("part", "id", id)) == "test" and "test" or "unseen"
end

--- run:familiarise(): sees to it that the flow knows how rare a galaxy is (p:ood()), from the run's own
-- survey where its file does not say; returns whether it does.
function methods:familiarise()
  local known = met(self)
  return known and known.config and known.familiarise and known:familiarise() or false
end

--- run:results(): the folder of evaluate.lua's results on the test part of the run's survey; nil without one.
function methods:results()
  local known = met(self)
  return known and known.config and known:results(self:survey(), "test") or nil
end

-- ---- posteriors ----

local DRAWN = { "n", "seed", "steps", "tolerance", "precision" }

-- The options of posteriors with their defaults.
local function how_of(options)
  local o = arguments.known("posterior", options, DRAWN)
  return {
    n = arguments.integer("posterior", o, "n", 1000, 2, 1e7), seed = o.seed or 0, steps = o.steps or "auto",
    tolerance = o.tolerance, precision = o.precision,
  }
end

-- What is said of inputs that were typed.
local function typed_words(flow)
  local list, corrected = {}, flow.notes and flow.notes.corrected or {}
  if flow.c > 0 and #corrected > 0 then
    list[1] = ("The extinction came off %s, as in the run's training."):format(table.concat(corrected, ", "))
  elseif flow.c > 0 then
    list[1] = "The inputs are taken as they are, as in the run's training: no extinction came off."
  end
  local shift = flow.c > 0 and flow.notes and flow.notes.ab_offsets
  if shift then
    list[#list + 1] = ("They were brought to AB by %s, as in the run's training."):format(offsets.text(shift))
  end
  return list
end

-- The posterior, or posteriors, of a part's galaxies.
local function posteriors(self, part, alone, how, source)
  local function facts(k)
    if source ~= "table" then return {} end
    return { row = part.rows and part.rows[k], seen = self:part(part.ids[k]) }
  end
  if not alone then return list_of(self, part, how, facts) end
  for name, value in pairs(facts(1)) do how[name] = value end
  return object.of(self, part, how)
end

--- run:posterior(what[, {n = 1000, seed = 0, steps = "auto", tolerance =, precision =}]): the posterior of a
-- galaxy: what is its id, as text or with LL; its row in the table, a number; or its inputs by name, as a
-- catalogue has them: run:posterior{modelMag_u = 18.2, extinction_u = .1, …, image = "x.jpg"}. p prints; ?p
-- has what it can. Of a list of ids, or inputs that are lists, or a part of run:survey(), it is a list of
-- posteriors.
function methods:posterior(what, options)
  refuse_untrained(self)
  local how = how_of(options)
  local part, alone, source = galaxies.of(self, what)
  if source ~= "table" then how.given = what end
  if source == "typed" then how.told = typed_words(self.flow) end
  return posteriors(self, part, alone, how, source)
end

-- ---- looking for galaxies ----

-- The posteriors of galaxies that were searched for (posterior/search.lua).
local function chosen(self, found)
  local list = posteriors(self, found.survey:select(found.positions), false, how_of(), "table")
  list.told, list.columns = found.told, found.columns
  return list
end

--- run:find{a_v = {.2, .4}, modelMag_r = {16, 17}, part = "test", by = "truth", most = 1000}: the galaxies
-- of the run's table whose columns lie in these ranges {low, high}, a list of posteriors: of properties their
-- true values, or, by = "posterior", the medians of test galaxies' posteriors; of inputs what the run sees;
-- of others what the table has. part: "train", "valid", "test" or "all".
function methods:find(wanted) return chosen(self, search.find(self, wanted)) end

--- run:worst(n = 10[, by = "log_q"]): the n test galaxies whose posteriors fit their true properties worst, a
-- list of posteriors, the worst first: by the log density of the truth, or, by = "shift:a_v", by how many
-- posterior deviations the truth of a property is from the median.
function methods:worst(n, by) return chosen(self, search.worst(self, n, by)) end

-- ---- how good it is ----

--- run:residuals(): how far the true properties of test galaxies lie from their posteriors: it prints, with
-- r:figure() and r:table(). From what evaluate.lua kept, else drawn now, with progress.
function methods:residuals() return judged.residuals(self) end

--- run:coverage(): how often the true properties of test galaxies lie in the central intervals of their
-- posteriors: it prints, with c:figure(). From what evaluate.lua kept, else drawn now, with progress.
function methods:coverage() return judged.coverage(self) end

-- ---- going on ----

--- run:resume([{epochs = n}]): goes on with a run that fit was stopped in, to the same bits as if it had not
-- been, or to more epochs, n in all; the run is then what fit found, and is returned. Ctrl-C stops it again.
function methods:resume(options)
  local o = arguments.known("resume", options, { "epochs" })
  local own = hidden[self]
  if not own.given then
    raise("resume: %s was opened from its folder: the command that began it goes on with it, with --resume, "
      .. "or %s{…, out = \"%s\", resume = true}", self.out, self.flow.members and "train.ensemble" or "fit",
      self.out)
  end
  if type(o.epochs) == "number" and o.epochs < #self.history then
    raise("resume: epochs is %g, expected at least %d, which are over: it counts all of them", o.epochs,
      #self.history)
  end
  local again = require("gal.train").continued(own.given, own.saved, o.epochs)
  for _, name in ipairs{
    "history", "best_epoch", "best_loss", "stopped", "recorded", "floor", "path_cost",
  } do
    self[name] = again[name]
  end
  own.given, own.saved = hidden[again].given, hidden[again].saved
  tested.forget(self)
  return self
end

-- ---- words ----

--- run:label(): what the run is called beside others: its folder's name.
function methods:label() return self.out and members.name(self.out) or "the run" end

-- What it was given of a galaxy.
local function inputs_words(flow)
  local given = {}
  if flow.c > 0 then given[1] = table.concat(flow.context, ", ") end
  if flow.encoder then given[#given + 1] = "the image" end
  return #given > 0 and " given " .. table.concat(given, " and ") or ""
end

-- Its floor (of an ensemble the members' mean), and which columns are bent, in words; nil where none is.
local function units_words(flow)
  local members, share, list = flow.members or { flow }, 0, {}
  for _, member in ipairs(members) do
    share = share + (member.floor and member.floor.share / #members or 0)
  end
  if share > 0 then
    list[1] = ("%s %% of every posterior is its floor, a broad p(theta)."):format(floors.percent(share))
  end
  local bent = #members == 1 and units.bent(members[1]) or {}
  if #bent > 0 then list[#list + 1] = ("On a robust scale: %s."):format(table.concat(bent, ", ")) end
  return #list > 0 and table.concat(list, " ") or nil
end

function Run:__tostring()
  local lines, flow = {}, self.flow
  local what = flow.members and ("Ensemble of %d runs"):format(#flow.members) or "Run"
  local where = what .. (self.out and " " .. self.out or "") .. " on " .. flow:device()
  words.filled(lines, ("%s: %s%s."):format(where, table.concat(flow.theta, ", "), inputs_words(flow)))
  local notes, ids = flow.notes, self.ids
  if notes then
    words.filled(lines, ("Survey: %s%s."):format(hidden[self].asked.survey or notes.survey,
      ids and (", %d galaxies"):format(#ids) or ""))
  end
  local taken = units_words(flow)
  if taken then words.filled(lines, taken) end
  if #self.history > 0 then
    local loss = self.history[#self.history].valid_loss and "validation" or "training"
    local again = self.stopped == "interrupt" and "; stopped: run:resume() goes on" or ""
    words.filled(lines, ("%d epoch%s; lowest %s loss %.4g in epoch %d%s."):format(#self.history,
      #self.history == 1 and "" or "s", loss, self.best_loss, self.best_epoch, again))
  end
  words.filled(lines, "run:posterior(id), run:find{…}, run:worst(10), run:residuals(), run:coverage(), "
    .. "run:history().")
  return table.concat(lines, "\n")
end

errors.methods(methods, "a run", Run)

return M
