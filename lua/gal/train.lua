-- train: fits a flow to rows by flow matching with AdamW: batches, validation on fixed draws, early stopping,
-- the averaged weights that are validated and kept, checkpoints. The step is in train/step.lua, the rows'
-- forms in train/rows.lua, the run's folder in train/files.lua.
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local host = require "gal.base.host"
local arguments = require "gal.base.options"
local nn = require "gal.nn"
local optim = require "gal.optim"
local recipe = require "gal.train.recipe"
local rows = require "gal.train.rows"
local step = require "gal.train.step"
local files = require "gal.train.files"
local sets = require "gal.images"
local raise, number, integer = errors.raise, arguments.number, arguments.integer

local train = {}

local OPTIONS = {
  "flow", "data", "theta", "context", "images", "ids", "valid", "test", "batch", "lr", "epochs", "patience", "seed", "out", "resume", "weight_decay",
  "schedule", "clip", "average", "decay", "draws", "augment", "precision", "progress", "recorded",
}

-- The numbers of a run, defaults filled in.
local function settings_of(o)
  local average = o.average ~= false
  for _, name in ipairs { "average", "augment" } do
    if o[name] ~= nil and type(o[name]) ~= "boolean" then raise("fit: %s is %s, expected true or false", name, errors.kind(o[name])) end
  end
  if o.precision ~= nil and o.precision ~= "f32" and o.precision ~= "bf16" then
    raise("fit: precision is %s, expected \"f32\" or \"bf16\"", errors.kind(o.precision))
  end
  if o.precision == "bf16" and not o.flow.encoder then raise "fit: precision is \"bf16\", but the flow has no encoder whose convolutions it would be of" end
  return {
    batch = integer("fit", o, "batch", 64, 1), lr = number("fit", o, "lr", 5e-4, 0), epochs = integer("fit", o, "epochs", 200, 1),
    patience = number("fit", o, "patience", 20, 1, nil), seed = integer("fit", o, "seed", 0, 0, 2 ^ 53),
    weight_decay = number("fit", o, "weight_decay", 0.01, 0), clip = number("fit", o, "clip", nil, 0),
    average = average and number("fit", o, "decay", 0.999, 0, 1) or false, draws = integer("fit", o, "draws", 1, 1),
    augment = o.augment or nil,
    precision = o.precision == "bf16" and "bf16" or nil,
  }
end

-- The rate as a function of the step: a number is constant, "cosine" falls to 0 at the last of the epochs,
-- else a schedule of gal.optim's or a function.
local function schedule_of(o, s, steps)
  local v = o.schedule
  if v == nil or v == "constant" then return optim.constant(s.lr), "constant" end
  if v == "cosine" then return optim.cosine(s.lr, s.epochs * steps), "cosine" end
  if type(v) == "table" and v.settings then return v, v:settings() end
  if type(v) == "function" then return v, "a function" end
  raise("fit: schedule is %s, expected \"constant\", \"cosine\", a schedule of gal.optim or a function of the step", errors.kind(v))
end

-- The column that lies farthest from its mean, in deviations: where to look when a loss is not finite.
local function farthest(names, standard)
  local high, low = standard:max(1):totable(), standard:min(1):totable()
  local best, value = 1, 0
  for i = 1, #high do
    local v = math.max(math.abs(high[i]), math.abs(low[i]))
    if v > value then best, value = i, v end
  end
  return ("'%s' lies up to %.3g deviations from its mean"):format(names[best], value)
end

-- ---- state that a checkpoint holds ----

local function tensors_of(self)
  local out = { rng = self.stepper.rng, best = self.best }
  for name, tensor in pairs(self.opt:state()) do out["optimiser." .. name] = tensor end
  for name, tensor in pairs(self.flow:state()) do out["weights." .. name] = tensor end
  for name, tensor in pairs(self.flow.scale) do out["scale." .. name] = tensor end
  return out
end

local function save(self)
  if not self.folder then return end
  files.save_checkpoint(self.folder, tensors_of(self), {
    settings = self.settings, epoch = self.epoch, history = self.history, best_epoch = self.best_epoch, best_loss = self.best_loss,
    stopped = self.stopped, steps = self.opt.steps,
  })
  files.save_history(self.folder, self.history)
end

local function restore(self, saved)
  local small = saved.small
  if not small.settings.valid_data then self.settings.valid_data = nil end -- runs that were begun before it was written down
  self.folder:compare(small.settings, self.settings, { epochs = true })
  for name, tensor in pairs(tensors_of(self)) do
    local from = saved.tensors[name]
    if not from or not core.same_shape(from, tensor) then raise("fit: the checkpoint in %s has no '%s' of shape %s", self.out, name, core.shape_text(tensor)) end
    core.assign(tensor, from:to(tensor:device()))
  end
  self.epoch, self.history, self.opt.steps = small.epoch, small.history, small.steps
  self.best_epoch, self.best_loss = small.best_epoch, small.best_loss
  self.stopped = small.stopped == "patience" and "patience" or nil
  -- A process that was killed between the last checkpoint and its history left a history without that epoch.
  files.save_history(self.folder, self.history)
end

-- ---- one epoch ----

-- How long one call of the program may be, seconds: how often the progress line moves.
local STRETCH = 0.2

-- Raises where a loss is not finite; done: the steps of this epoch so far.
local function check_finite(self, what, loss, done)
  if loss - loss == 0 then return end
  local where = farthest(self.flow.theta, self.stepper.rows.theta)
  if self.stepper.rows.seen then where = where .. ", " .. farthest(self.flow.context, self.stepper.rows.seen) end
  raise("fit: the %s is not finite in epoch %d, at step %d of %d: try a smaller lr (it is %g), clip = 1, or look for outliers in the data (%s)", what,
    self.epoch + 1, done, self.stepper.steps, self.settings.lr, where)
end

local function train_epoch(self)
  local stepper = self.stepper
  stepper:start_epoch()
  local done, count = 0, math.min(stepper.steps, 8)
  while done < stepper.steps do
    local before = C.gal_now()
    stepper:run(count)
    done = done + count
    local loss, pace = stepper:loss(done), (C.gal_now() - before) / count
    check_finite(self, "loss", loss, done)
    self.report { epoch = self.epoch + 1, epochs = self.settings.epochs, step = done, steps = stepper.steps, train_loss = loss, pace = pace }
    count = math.max(1, math.min(stepper.steps - done, math.floor(STRETCH / pace)))
  end
  return stepper:loss(stepper.steps)
end

-- Trains one epoch, validates, keeps the weights where they are the best so far, and writes the run down.
local function epoch(self)
  local before = C.gal_now()
  local entry = { epoch = self.epoch + 1, lr = self.opt:rate(self.opt.steps + 1) }
  entry.train_loss = train_epoch(self)
  self.opt:averaged(function()
    entry.valid_loss = self.validate and self.validate() or nil
    local loss = entry.valid_loss or entry.train_loss
    check_finite(self, "validation loss", loss, self.stepper.steps)
    if not self.validate or not self.best_loss or loss < self.best_loss then
      self.best_loss, self.best_epoch = loss, entry.epoch
      core.assign(self.best, self.opt.block)
      if self.out then self.flow:save(self.out .. "/flow.safetensors") end
    end
  end)
  self.epoch = entry.epoch
  self.history[self.epoch] = entry
  local seconds = C.gal_now() - before
  if self.folder then files.add_timing(self.folder, self.epoch, seconds) end
  if self.validate and self.epoch - self.best_epoch >= self.settings.patience then
    self.stopped = "patience"
  elseif self.epoch >= self.settings.epochs then
    self.stopped = "epochs"
  end
  save(self)
  self.report {
    epoch = self.epoch, epochs = self.settings.epochs, train_loss = entry.train_loss, valid_loss = entry.valid_loss, best_loss = self.best_loss,
    best_epoch = self.best_epoch, lr = entry.lr, seconds = seconds, steps = self.stepper.steps, whole = true, stopped = self.stopped,
  }
end

local function loop(self)
  if not self.stopped and self.epoch >= self.settings.epochs then self.stopped = "epochs" end
  while not self.stopped do epoch(self) end
end

-- ---- beginning and end ----

-- What there is to report, to the progress line of gal.cli: epochs done, losses, steps a second.
local function on_line(progress, r)
  local done = r.whole and r.epoch or r.epoch - 1 + r.step / r.steps
  progress:update {
    done = done, epoch = r.epoch, train = r.train_loss, valid = r.valid_loss, best = r.best_loss,
    ["step/s"] = r.pace and tonumber(("%.3g"):format(1 / r.pace)) or nil,
  }
  if r.stopped then progress:finish() end
end

local function reporter(o, self)
  if o.progress == false then return function() end end
  if type(o.progress) == "function" then return o.progress end
  if o.progress ~= nil and o.progress ~= true then raise("fit: progress is %s, expected true, false or a function", errors.kind(o.progress)) end
  local line
  return function(r)
    line = line or require("gal.base.progress") { total = self.settings.epochs, unit = "epochs", first = self.epoch }
    on_line(line, r)
  end
end

-- Rows as the step wants them: standardised, on the device.
local function standardised(flow, part)
  return gal.no_grad(function()
    local theta = (part.theta - flow.scale.theta_mean) / flow.scale.theta_std
    return { theta = theta, seen = part.context and flow:standard(part.context), images = part.images, n = part.n }
  end)
end

local function ids_of(o, part, valid)
  if not part.ids then return nil end
  local parts = { { "train", part.ids } }
  if valid and valid.ids then parts[#parts + 1] = { "valid", valid.ids } end
  if o.test and o.test.ids then parts[#parts + 1] = { "test", o.test.ids } end
  return parts
end

-- Everything that a run is made of, from fit's options; continued from its checkpoint where there is one.
local function prepare(self, o)
  local flow, s = o.flow, settings_of(o)
  local part, valid = rows.split(flow, o)
  if s.augment and not (part.images and sets.of(part.images):square()) then
    raise("fit: augment is true, but %s; expected square ones {N, H, H, channels}", part.images and "images is " .. core.shape_text(part.images) or "there are no images")
  end
  local saved
  self.flow, self.settings, self.out, self.epoch, self.history = flow, s, o.out, 0, {}
  if o.out then self.folder, saved = files.open(o.out, o.resume) end
  if not flow.scale then flow:standardise(part.theta, part.context, part.images) end
  self.report = reporter(o, self)
  local steps = math.max(1, math.floor(part.n / math.min(s.batch, part.n)))
  local rate, described = schedule_of(o, s, steps)
  s.schedule, s.rows, s.valid_rows, s.data = described, part.n, valid and valid.n or 0, rows.fingerprint(part)
  s.valid_data = valid and rows.fingerprint(valid) or nil
  s.notes = flow.notes
  s.theta, s.context, s.sigma = flow.theta, setmetatable(flow.context, require("gal.base.json").list), flow.sigma
  s.symmetric = flow.symmetric
  s.architecture = { head = nn.spec(flow.head) or "written by the user", encoder = flow.encoder and (nn.spec(flow.encoder) or "written by the user") or nil }
  self.opt = optim.adamw(flow:parameters(), { lr = rate, weight_decay = s.weight_decay, clip = s.clip, average = s.average or nil })
  self.best = self.opt.block:clone()
  if valid then self.validate = step.validator(flow, standardised(flow, valid), s.seed) end
  self.stepper = step.stepper(flow, self.opt, standardised(flow, part), {
    batch = s.batch, draws = s.draws, seed = s.seed, augment = s.augment, precision = s.precision, recorded = o.recorded ~= false,
  })
  if saved then
    restore(self, saved)
  elseif self.folder then
    files.save_config(self.folder, s)
    local parts = ids_of(o, part, valid)
    if parts then files.save_split(self.folder, parts) end
  end
end

-- The best weights into the flow, and what fit returns.
local function finish(self)
  core.assign(self.opt.block, self.best)
  self.opt:zero_grad()
  if self.out and self.best_epoch then self.flow:save(self.out .. "/flow.safetensors") end
  if self.folder then self.folder:close() end
  return {
    flow = self.flow, history = self.history, best_epoch = self.best_epoch, best_loss = self.best_loss, stopped = self.stopped, out = self.out,
    recorded = self.stepper.recorded,
  }
end

--- train.fit{flow =, ...}: trains the flow in place and returns {flow, history, best_epoch, best_loss,
-- stopped = "patience" | "epochs" | "interrupt", out}; the flow has its best weights then, and `recorded`
-- says whether its steps could be replayed. history[i] = {epoch, train_loss, valid_loss, lr}: mean squared
-- errors of the standardised velocity. Rows: theta {N, d}, context {N, c}, images {N, H, W, 3} (a tensor or
-- a set of gal.images, which need not fit in memory) and ids in physical units, or data = a part of
-- gal.data's surveys (or any table with these fields).
--   valid = .1       a fraction of the rows (by a hash of id or row number), row numbers, a data object, or
--   false: no validation, the last weights are kept batch = 64, lr = 5e-4, weight_decay = .01, epochs = 200,
--   patience = 20 (epochs without a better validation loss), seed = 0
--   schedule         "constant", "cosine" (to 0 over all epochs), a schedule of gal.optim's or a function of
--   the step
--   clip             the largest norm of the gradient; none if nil
--   average = true   validate and keep an exponential moving average of the weights, of decay = .999
--   augment = false  every image of every epoch in one of its eight flips and quarter turns, drawn from the
--   run's generator precision = "f32"  or "bf16": the encoder's convolutions multiply in bfloat16 while it
--   trains (8 bits; sums, weights, validation and the flow stay float32), about twice as fast where
--                    the processor has fast instructions for it, and the same as f32 elsewhere, which a
--                    notice says
--   draws = 1        (t, noise) pairs a row and step: with images the encoder runs once for all of them
--   out, resume      a folder for the run, nil writes nothing; resume = true goes on from its checkpoint, bit
--   for bit, if there is one
--   test             a data object that is only listed in split.csv
--   progress = true  the line of gal.cli; false: silent; a function is called with what there is to report
-- Ctrl-C: the last whole epoch is on disk; raises gal.interrupted in a script, and returns the run in the
-- REPL.
function train.fit(options)
  local o = arguments.known("fit", options, OPTIONS)
  if getmetatable(o.flow) ~= require("gal.flow").Flow then raise("fit: flow is %s, expected a flow (gal.flow)", errors.kind(o.flow)) end
  if o.out ~= nil and type(o.out) ~= "string" then raise("fit: out is %s, expected the name of a folder", errors.kind(o.out)) end
  local self = {}
  local ok, err = pcall(function()
    prepare(self, o)
    loop(self)
  end)
  if ok then return finish(self) end
  if err ~= gal.interrupted or not self.stepper then
    if self.folder then self.folder:close() end
    error(err, 0)
  end
  self.stopped = "interrupt"
  self.report { stopped = "interrupt", epoch = self.epoch, epochs = self.settings.epochs, whole = true }
  local run = finish(self)
  if host.interactive then return run end
  error(gal.interrupted, 0)
end

train.quick, train.describe = recipe.quick, recipe.describe

return train
