-- infer/evaluation: gathers what an evaluation needs: the run and the one it is compared with, galaxies that
-- neither has seen, their posteriors, the contexts that residuals are tested along, and the folder that keeps
-- it all.
local columns = require "gal.data.columns"
local encoding = require "gal.infer.encoding"
local errors = require "gal.base.errors"
local gal = require "gal"
local galaxies = require "gal.infer.galaxies"
local host = require "gal.stats.host"
local infer = require "gal.infer"
local kept = require "gal.infer.kept"
local members = require "gal.flow.members"
local metrics = require "gal.metrics"
local paired = require "gal.infer.paired"
local path = require "gal.base.path"
local units = require "gal.flow.units"
local raise = errors.raise

local evaluation = {}
local Evaluation = {}
Evaluation.__index = Evaluation

-- The encoding of images as contexts: its principal components, from at most so many validation galaxies.
local COMPONENTS, FITTED = 8, 1000

-- The rows that the run was trained on, whose properties are the prior's: of its own survey where that is
-- still there, else of the one given.
-- Second: whether they are its own.
local function training_rows(self)
  local home, ids = self.own and self.survey or self.run:home(), {}
  if not home then return self.survey:split "train", false end
  for k, id in ipairs(self.run.lists.train) do ids[k] = id end
  table.sort(ids)
  return home:of(ids), true
end

-- The table that further contexts are columns of.
local function source_of(self)
  local survey = self.survey
  return survey:source()
end

-- Raises, before anything is drawn, where the table lacks a column that residuals are to be tested along.
local function check_contexts(self)
  local asked = self.options.contexts or {}
  local source = #asked > 0 and source_of(self)
  for _, name in ipairs(asked) do columns.requested(source, name, self.survey.dereddened) end
end

-- Raises where draws would not fill bins of ranks alike: of n + 1 ranks there are 20 bins.
local function check_draws(n)
  if (n + 1) % 20 == 0 then return end
  local sentence = "n is %d: its %d ranks make no 20 equal bins, expected 199, 999, or another multiple of "
    .. "20 less one"
  raise(sentence, n, n + 1)
end

-- Raises, before they are drawn, where the draws would not fit into memory: 4 bytes a number, and as much
-- again to work on them.
local function check_room(o, galaxies, d, runs)
  local memory = gal.memory "cpu"
  local wanted, left = 8 * galaxies * o.n * d * runs, memory.limit - memory.live
  if wanted <= left then return end
  raise("%d draws of %d properties of each of %d galaxies want %.1f GB of memory, and there are %.1f: less "
    .. "of %s or %s would do", o.n, d, galaxies, wanted / 1e9, left / 1e9, errors.option "n",
    errors.option "galaxies")
end

-- The folder for the results, opened with the options of this call before anything is drawn.
local function results_folder(self)
  local o, survey, other = self.options, self.survey, self.other
  local own = self.run:results(survey, o.part, o.against)
  local ready, out = pcall(path.ready, o.out or own)
  if not ready and o.out then error(out, 0) end
  if not ready then
    raise("%s; %s names another folder", (tostring(out):gsub("^.-:%d+: ", "")), errors.option "out")
  end
  if path.kind(out .. "/evaluation.json") and not path.kind(out .. "/options.json") then
    raise("%s has an evaluation whose options are not known, expected another %s", out,
      errors.option "out")
  end
  local weights, data, ids = galaxies.fingerprints(self.flow, self.test)
  local settings = {
    run = members.absolute(o.run), against = o.against and members.absolute(o.against),
    survey = path.absolute(survey.path), hdu = survey.hdu, id = survey.id_column, part = o.part,
    galaxies = o.galaxies, n = o.n, seed = o.seed, dereddened = o.dereddened, steps = o.steps,
    tolerance = o.tolerance, flow = weights, data = data, ids = ids,
  }
  if other then
    settings.flow_against, settings.data_against = galaxies.fingerprints(other.flow, self.others)
  end
  return require("gal.base.run").open{
    where = "evaluate", out = out, noun = "evaluation", settings_file = "options.json", settings = settings,
  }
end

--- evaluation.open(o): an evaluation of the run in the folder o.run: {run, flow, other (the run in o.against,
-- or nil), survey, own (whether it is the run's own table), known (the run's training galaxies), test (the
-- galaxies to score), others (the same as the other run sees them), out (the folder of the results, its lock
-- held)}. o: run, against, part, galaxies, n, steps, tolerance, seed, out, contexts, as evaluate.lua's
-- options, and what data.reopen takes. Raises where one of the runs has seen the galaxies, or the folder has
-- an evaluation that began with other options.
function evaluation.open(o)
  check_draws(o.n)
  local both = paired.open(o):thin(o.galaxies)
  local first, second = both.models[1], both.models[2]
  local self = setmetatable({
    options = o, run = first.run, flow = first.flow, other = second and second.run,
    survey = both.survey, own = both.own, test = first.part, others = second and second.part,
  }, Evaluation)
  check_contexts(self)
  self.known, self.trained = training_rows(self)
  check_room(o, #self.test.ids, self.flow.d, self.other and 2 or 1)
  self.out = results_folder(self)
  return self
end

--- e:close(): releases the folder's lock.
function Evaluation:close() self.out:close() end

-- ---- posteriors ----

--- e:posteriors(): the galaxies' posteriors, drawn once and kept in posteriors.npz: kept.posteriors.
function Evaluation:posteriors()
  return kept.posteriors(self.out, "posteriors", self.flow, self.test, self.options)
end

--- e:posteriors_against(drawn): the other run's posteriors of the same galaxies, in posteriors-against.npz,
-- and its ln densities {log_q, log_q_true} at this run's draws and the truth, in densities-against.npz; nil
-- without another run.
function Evaluation:posteriors_against(drawn)
  if not self.other then return nil end
  local flow, o = self.other.flow, self.options
  local crossed = kept.crossed(self.out, "densities-against", flow, self.others, drawn, o)
  return kept.posteriors(self.out, "posteriors-against", flow, self.others, o), crossed
end

--- e:unit(): the product of the properties' deviations: a density times it is one of properties in
-- deviations.
function Evaluation:unit() return math.exp(units.log_volume(self.flow.scale)) end

-- The most training galaxies whose densities are compared with those of others.
local COMPARED = 500

--- e:training_gap(log_q): how much higher ln q of the truth is on galaxies that the run was trained on than
-- on the tested ones, whose log_q {N} is given, NaN where there is none: {mean, error}, nats; nil where the
-- training galaxies are not at hand as the flow sees them.
function Evaluation:training_gap(log_q)
  if not self.trained or self.flow.encoder and not self.known.images then return nil end
  local part, o = self.known:thin(COMPARED), self.options
  local known = infer.score(self.flow, part, { steps = o.steps, tolerance = o.tolerance, progress = false })
  local function moments(list)
    local finite = host.finite(list)
    if #finite < 2 then return 0, math.huge end
    local mean, _, error_ = metrics.moments(finite)
    return mean, error_
  end
  local a, error_a = moments(known.log_q)
  local b, error_b = moments(log_q)
  local error_ = math.sqrt(error_a ^ 2 + error_b ^ 2)
  return error_ < math.huge and { mean = a - b, error = error_ } or nil
end

--- e:members(log_q): how an ensemble's members do by themselves on the tested galaxies' truths: {names, log_q
-- = {the mean over galaxies of ln q, of each member}, gain = {mean, error}: how much higher ln q is, galaxy
-- by galaxy, by the ensemble, whose log_q {N} is given, NaN where there is none, than by its members on
-- average; nats, the error over galaxies}; nil where the run is a single flow.
function Evaluation:members(log_q)
  local flow, o, gain = self.flow, self.options, {}
  if not flow.members then return nil end
  local found = { names = flow.names, log_q = {} }
  for g, q in ipairs(log_q) do gain[g] = q end
  for k, member in ipairs(flow.members) do
    local own = infer.score(member, self.test, {
      steps = o.steps, tolerance = o.tolerance, progress = false,
    }).log_q
    local finite = host.finite(own)
    found.log_q[k] = #finite > 0 and metrics.moments(finite) or nil
    for g, q in ipairs(own) do gain[g] = gain[g] - q / #flow.members end
  end
  gain = host.finite(gain)
  if #gain < 2 then return found end
  local mean, _, error_ = metrics.moments(gain)
  found.gain = { mean = mean, error = error_ }
  return found
end

-- ---- what residuals are tested along ----

-- A further column of the table at a part's rows, a list, as the run would read it, with the mean, which
-- tells nothing, where a value is missing. Second: how many are missing.
local function further(self, part, source, name)
  local column = columns.requested(source, name, self.survey.dereddened)
  local values, sum, known = {}, 0, 0
  for k, row in ipairs(part.rows) do
    values[k] = columns.value_at(column, row)
    if values[k] - values[k] == 0 then sum, known = sum + values[k], known + 1 end
  end
  for k = 1, #values do
    if values[k] - values[k] ~= 0 then values[k] = known > 0 and sum / known or 0 end
  end
  return values, #values - known
end

-- The contexts that a part's residuals are tested along: {N, c}, nil without any, and the columns' names.
-- image: the components of its encoded images {N, k}, or nil; told: gets a sentence on each column with
-- gaps.
local function along(self, part, image, told)
  local list, names = {}, {}
  if self.flow.c > 0 then
    list[1] = part.context
    for i, name in ipairs(part.names.context) do names[i] = name end
  end
  if image then
    list[#list + 1] = image
    for i = 1, image:size(2) do names[#names + 1] = "image component " .. i end
  end
  local asked = self.options.contexts or {}
  local source = #asked > 0 and source_of(self)
  for _, name in ipairs(asked) do
    local values, missing = further(self, part, source, name)
    list[#list + 1], names[#names + 1] = gal.tensor(values, { #values, 1 }, { device = "cpu" }), name
    if missing > 0 then
      told[#told + 1] = ("%s is missing in %d of %d galaxies, which count as average in it"):format(name,
        missing, #values)
    end
  end
  return #list > 0 and gal.cat(list, 2) or nil, names
end

-- The run's validation galaxies, with images where the flow wants them; nil where its table is not the survey
-- that is asked about or where it has none.
local function validation(self)
  local list = self.own and self.run.lists and self.run.lists.valid
  return list and #list > 0 and self.survey:of(list):thin(FITTED) or nil
end

--- e:contexts(): what the residuals of the posteriors are tested along: {values {N, c}, names, told,
-- references = {theta, context}, of validation galaxies, or nil}: the columns that the run infers from, the
-- first principal components of its encoded images, fitted on validation galaxies, and the table's columns
-- that options.contexts names; those that do not vary are left out. told: sentences on what is missing.
function Evaluation:contexts()
  local contexts, valid = { names = {}, told = {} }, validation(self)
  if self.flow.encoder and not valid then
    contexts.told[1] = "residuals are not tested along the encoded images: the run's own survey is another"
  end
  local image, known
  if self.flow.encoder and valid then
    image, known = encoding.components(self.flow, valid, self.test, COMPONENTS)
  end
  local values, names = along(self, self.test, image, contexts.told)
  if not values then return contexts end
  local chosen, base = {}, valid and along(self, valid, known, {})
  for i, deviation in ipairs(values:std(1):totable()) do
    if deviation > 0 then
      chosen[#chosen + 1], contexts.names[#chosen + 1] = i, names[i]
    end
  end
  if #chosen == 0 then return contexts end
  local function narrowed(x) return x:t():rows(chosen):t():contiguous() end
  contexts.values = narrowed(values)
  if base and base:size(1) > 2 * base:size(2) then
    contexts.references = { theta = valid.theta, context = narrowed(base) }
  end
  return contexts
end

-- The most galaxies whose truths and draws a classifier is shown.
local SHOWN = 2000

--- e:told_apart(drawn, contexts, left_out): metrics.c2st between the truths and one draw a galaxy, each
-- beside its contexts; nil for fewer than 100 galaxies.
function Evaluation:told_apart(drawn, contexts, left_out)
  local out, list = {}, {}
  for _, k in ipairs(left_out) do out[k] = true end
  for k = 1, #self.test.ids do
    if not out[k] and #list < SHOWN then list[#list + 1] = k end
  end
  if #list < 100 then return nil end
  local function beside(theta)
    theta = theta:rows(list)
    return contexts.values and gal.cat({ theta, contexts.values:rows(list) }, 2) or theta
  end
  return metrics.c2st(beside(self.test.theta), beside(drawn.samples:select(2, 1)), { paired = true })
end

return evaluation
