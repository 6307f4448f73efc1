-- infer/paired: galaxies that one run, or two, have not seen, each as the run was trained to see it, for
-- figures of two models side by side.
local columns = require "gal.data.columns"
local errors = require "gal.base.errors"
local gal = require "gal"
local infer = require "gal.infer"
local members = require "gal.flow.members"
local path = require "gal.base.path"
local terms = require "gal.data.terms"
local trained = require "gal.infer.trained"
local raise = errors.raise

local paired = {}
local Paired = {}
Paired.__index = Paired

-- What the models are called: by what they see; by their folders where that is the same.
local function name_models(models)
  local function kind_of(flow) return flow.encoder and "image" or "photometry" end
  local alike = #models == 2 and kind_of(models[1].flow) == kind_of(models[2].flow)
  for _, model in ipairs(models) do
    model.name = alike and members.name(model.run.out) or kind_of(model.flow)
  end
  if alike and models[1].name == models[2].name then models[2].name = models[2].name .. ", the other" end
end

-- Raises where the other run infers other properties than the first.
local function refuse_other_theta(run, other)
  local theta, expected = table.concat(other.flow.theta, ", "), table.concat(run.flow.theta, ", ")
  if theta ~= expected then
    raise("%s infers %s, expected %s like %s", other.out, theta, expected, run.out)
  end
end

-- The entries of a list of NAME=COLUMN whose names a run uses: the other run may take fewer columns.
local function of_run(run, rename)
  local names, list = {}, {}
  for _, columns in ipairs{ run.notes.theta or {}, run.notes.context or {} } do
    for _, text in ipairs(columns) do names[terms.label(text):lower()] = true end
  end
  for _, text in ipairs(rename or {}) do
    if names[terms.label(text):lower()] then list[#list + 1] = text end
  end
  return list
end

--- paired.open{run =, against =, part = "test" or "all", survey =, id =, hdu =, rename =, dereddened =,
-- crop =, bin =, packed =}: the run in the folder `run`, and the one in `against`, or nil, with the galaxies
-- of a survey (trained's run:survey; by default the run's own) that neither was trained or validated on:
-- those of the test part, or all. Returns {models, a list of {run, flow, name, part (the galaxies as this run
-- sees them)}, the run's first; ids {N}; theta {N, d}; names {d}; survey; out (the runs' folders, their names
-- and what was asked for, a table that JSON can hold)}. Galaxies that one of the two can't see are left out.
function paired.open(o)
  local run = trained.open(o.run, { device = gal.device() })
  local survey, own = run:survey{
    survey = o.survey, id = o.id, hdu = o.hdu, dereddened = o.dereddened, ab_offsets = o.ab_offsets,
    crop = o.crop, bin = o.bin, packed = o.packed, rename = o.rename,
  }
  local part = run:unseen(o.part == "all" and survey or survey:split "test", own)
  local self = setmetatable({ survey = survey, own = own, names = run.flow.theta }, Paired)
  self.models = { { run = run, flow = run.flow, part = part } }
  if o.against then
    local other = trained.open(o.against, { device = gal.device() })
    refuse_other_theta(run, other)
    local others, others_own = other:survey{
      survey = survey.path, hdu = survey.hdu or false, id = o.id, dereddened = o.dereddened,
      ab_offsets = o.ab_offsets, packed = o.packed, rename = of_run(other, o.rename),
    }
    others = others:at(part.rows)
    other:refuse_seen(others, others_own)
    self.models[2] = { run = other, flow = other.flow, part = others }
    self.models[1].part = part:at(others.rows)
  end
  name_models(self.models)
  self.asked = {
    run = members.absolute(o.run), against = o.against and members.absolute(o.against),
    survey = path.absolute(survey.path), hdu = survey.hdu, id = survey.id_column, part = o.part,
    dereddened = survey.dereddened, ab_offsets = survey.ab_offsets, rename = o.rename,
  }
  return self:with(function(each) return each end)
end

--- p:with(fn): the same runs with other galaxies: fn(part) returns those that take the place of a model's
-- part.
function Paired:with(fn)
  local new = {}
  for key, value in pairs(self) do new[key] = value end
  new.models = {}
  for k, model in ipairs(self.models) do
    new.models[k] = { run = model.run, flow = model.flow, name = model.name, part = fn(model.part) }
  end
  local first = new.models[1].part
  new.ids, new.theta = first.ids, first.theta
  return setmetatable(new, Paired)
end

--- p:thin(n): at most n of the galaxies, spread evenly.
function Paired:thin(n) return self:with(function(part) return part:thin(n) end) end

--- p:select(positions): the galaxies at these positions, a list.
function Paired:select(positions)
  return self:with(function(part) return part:select(positions) end)
end

--- p:position(id): where the galaxy of that id is among them; raises where it is not.
function Paired:position(id)
  for k, own in ipairs(self.ids) do
    if own == id then return k end
  end
  raise("%s is not among the %d galaxies of %s that are asked about%s", id, #self.ids, self.survey.path,
    self.asked.part == "test" and "; part all takes every one that the run has not seen" or "")
end

--- p:seeing(): the first model that sees images; nil where none does.
function Paired:seeing()
  for _, model in ipairs(self.models) do
    if model.part.images then return model end
  end
end

--- p:training(): the galaxies that the first run which sees images was trained on, else the first run, with
-- its images, as a survey. Raises where its own table is gone.
function Paired:training()
  local run = (self:seeing() or self.models[1]).run
  if not path.kind(run.notes.survey) then
    raise("%s was trained on %s, which is gone: it has no training galaxies to show", run.out,
      run.notes.survey)
  end
  local home = run == self.models[1].run and self.own and self.survey or run:survey{}
  return home:of(run.lists.train)
end

--- p:columns(names, ids, survey): further columns of a survey's table, of the galaxies with these ids:
-- {name = {N}}, as the run would read them, NaN where a value is missing. Columns that the table lacks are
-- nil.
function Paired:columns(names, ids, survey)
  local source = survey:source()
  local row, found = {}, {}
  for k, id in ipairs(survey.ids) do row[id] = survey.rows[k] end
  for _, name in ipairs(names) do
    if columns.has(source, name) then
      local column = columns.requested(source, name, survey.dereddened)
      found[name] = {}
      for k, id in ipairs(ids) do found[name][k] = columns.value_at(column, row[id]) end
    end
  end
  return found
end

-- Ids in a folder's name: the first three, and how many more.
local function tag_of(ids)
  local words = {}
  for i = 1, math.min(3, #ids) do words[i] = ids[i]:gsub("[^%w%.%-_]+", "_") end
  if #ids > 3 then words[4] = ("and-%d-more"):format(#ids - 3) end
  return table.concat(words, "-")
end

--- p:folder(what, out, settings): the folder for results that are called `what`: `out`, or else one in the
-- run's results/, with the ids that settings.galaxy lists in its name; its lock is held until folder:close().
-- settings: more that they depend on. Raises where it has results of other settings.
function Paired:folder(what, out, settings)
  local all = { what = what }
  if settings.galaxy then what = what .. "-" .. tag_of(settings.galaxy) end
  for key, value in pairs(self.asked) do all[key] = value end
  for key, value in pairs(settings) do all[key] = value end
  local first = self.models[1].run
  local own = first:results(self.survey, self.asked.part, self.asked.against, what)
  return require("gal.base.run").open{
    where = all.what, out = path.ready(out or own), noun = "results", settings_file = "options.json",
    settings = all,
  }
end

--- p:draw(folder, {n =, steps =, tolerance =, seed =}): draws every model's posteriors of the galaxies into
-- folders draws-NAME of `folder`, and goes on with draws that are there. Each model gets `means` {N, d}, of
-- its n draws, and `draws` {N, d}, the first draw of each galaxy. Returns sentences on galaxies to be
-- doubted.
function Paired:draw(folder, o)
  local warnings = {}
  for _, model in ipairs(self.models) do
    local out = ("%s/draws-%s"):format(folder.out, (model.name:gsub("[^%w%-]+", "_")))
    local found = infer.posteriors(model.flow, model.part, {
      n = o.n, steps = o.steps, tolerance = o.tolerance, seed = o.seed, out = out, resume = true,
    })
    local means = {}
    for i, name in ipairs(self.names) do
      means[i] = found.summary:column(name .. "_mean"):reshape{ -1, 1 }
    end
    model.means = gal.cat(means, 2)
    model.draws = gal.load(out .. "/samples.npy"):narrow(2, 1, 1):reshape{ #self.ids, #self.names }
    if found.warning then warnings[#warnings + 1] = model.name .. ": " .. found.warning end
  end
  return warnings
end

errors.methods(Paired, "paired galaxies")

return paired
