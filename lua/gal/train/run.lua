-- train/run: a run of fit: the flow in training with its optimiser, its epochs and losses, and the folder
-- that it is written to. An epoch is training, validation, judging (early stopping, in run:judge alone), and
-- a checkpoint. The fields of a run:
--   flow        the flow, trained in place
--   settings    what config.json and the checkpoint hold: train/settings.lua
--   folder      gal.base.run's, its lock held until the end; nil where nothing is written
--   stepper     train/step.lua: the training rows, the steps of an epoch, the run's generator
--   validate    a function that returns the validation loss of the flow as it stands; nil without validation
--   opt         the optimiser; opt.block {P}: all P weights of the flow, which are views of it
--   report      a function of a table: train/report.lua; `shown`: whether it is a line
--   epoch       whole epochs done; `saved` of them are in the folder
--   history     {epoch}: of each epoch {epoch, lr (at its first step), train_loss, valid_loss or nil}
--   best {P}    the weights to be kept: those of best_epoch, averaged where the settings say so
--   best_epoch, best_loss   the epoch with the smallest loss so far, and that loss; nil before the first
--   remembered  without a folder: the checkpoint of the last whole epoch, {tensors, small}; nil before
--   part, valid the rows of training and validation (nil), in physical units
--   laid        what was found of the flow's floor (flow/floor.lua), at the end; nil where none was asked for
--   stopped     nil while the run goes on; then "patience", "epochs" or "interrupt"
-- Losses are mean squared errors of the standardised velocity.
local ffi = require "ffi"
local C = ffi.C
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local familiar = require "gal.flow.familiar"
local files = require "gal.train.files"
local floors = require "gal.flow.floor"
local flow_file = require "gal.flow.file"
local gal = require "gal"
local json = require "gal.base.json"
local moved = require "gal.train.moved"
local optim = require "gal.optim"
local path = require "gal.base.path"
local path_cost = require "gal.flow.path_cost"
local reporter = require "gal.train.report"
local room = require "gal.train.room"
local settings = require "gal.train.settings"
local step = require "gal.train.step"
local tiles = require "gal.flow.tiles"
local raise = errors.raise

-- What would need less memory where that ends.
local function less_of(flow)
  return flow.encoder and { "batch", "draws", "hidden", "channels", "crop" } or { "batch", "draws", "hidden" }
end

local Run = {}
Run.__index = Run

-- ---- early stopping ----

--- run:judge(loss): early stopping, all of it. loss: of the epoch that has just ended: of validation, or of
-- training where there is none. Returns whether the epoch's weights are the ones to keep, and sets `stopped`
-- where the run ends with this epoch. Without validation the latest weights are kept.
function Run:judge(loss)
  local better = not self.validate or not self.best_loss or loss < self.best_loss
  if better then self.best_loss, self.best_epoch = loss, self.epoch end
  if self.validate and self.epoch - self.best_epoch >= self.settings.patience then
    self.stopped = "patience"
  elseif self.epoch >= self.settings.epochs then
    self.stopped = "epochs"
  end
  return better
end

-- ---- checkpoints ----

-- All tensors that resuming takes, by name.
local function tensors_of(self)
  local out = { rng = self.stepper.rng, best = self.best }
  for name, tensor in pairs(self.opt:state()) do out["optimiser." .. name] = tensor end
  for name, tensor in pairs(self.flow:state()) do out["weights." .. name] = tensor end
  for name, tensor in pairs(self.flow.scale) do out["scale." .. name] = tensor end
  return out
end

-- Copies of what resuming takes of a run that is in no folder.
local function checkpoint_of(self)
  local tensors, history = {}, {}
  for name, tensor in pairs(tensors_of(self)) do tensors[name] = tensor:clone() end
  for k, entry in ipairs(self.history) do history[k] = entry end
  return {
    tensors = tensors, small = {
      settings = self.settings, epoch = self.epoch, history = history, best_epoch = self.best_epoch,
      best_loss = self.best_loss, stopped = self.stopped, steps = self.opt.steps,
    },
  }
end

-- Writes the checkpoint, then the history; without a folder, keeps both.
local function save(self)
  if not self.folder then
    self.remembered = checkpoint_of(self)
    return
  end
  files.save_checkpoint(self.folder, tensors_of(self), {
    settings = self.settings, epoch = self.epoch, history = self.history, best_epoch = self.best_epoch,
    best_loss = self.best_loss, stopped = self.stopped, steps = self.opt.steps,
  })
  self.saved = self.epoch -- Ctrl-C may come in the next line
  files.save_history(self.folder, self.history)
end

-- Settings that a run may go on with when they have changed; where the decoded cutouts lie is none of its.
local FREE = { epochs = true, ["notes.images.packed"] = true }

-- Raises where the settings of a checkpoint differ, but for those. parts: as files.save_split takes them.
local function refuse_others(self, small, parts)
  settings.forget_later(self.settings, small.settings)
  local words = moved.words(self.folder, parts, small.settings, self.settings)
  self.folder:compare(small.settings, self.settings, FREE, words)
end

-- Continues from a checkpoint {tensors, small}; raises where its shapes differ.
local function restore(self, saved)
  local small, own = saved.small, tensors_of(self)
  local where = "fit: the checkpoint" .. (self.folder and " in " .. self.folder.out or "")
  for name, tensor in pairs(own) do
    local from = saved.tensors[name]
    if not from or not core.same_shape(from, tensor) or from.dtype ~= tensor.dtype then
      raise("%s has no '%s' of shape %s (%s)", where, name, core.shape_text(tensor), tensor.dtype)
    end
  end
  for name in pairs(saved.tensors) do
    if not own[name] then raise("%s has a tensor '%s', which such a run has not", where, name) end
  end
  flow_file.check_values(where, saved.tensors)
  for name, tensor in pairs(own) do core.assign(tensor, saved.tensors[name]:to(tensor:device())) end
  self.epoch, self.history, self.opt.steps = small.epoch, small.history, small.steps
  self.saved = self.epoch
  self.best_epoch, self.best_loss = small.best_epoch, small.best_loss
  -- A run that had come to the end of its epochs may have more of them now.
  self.stopped = small.stopped == "patience" and "patience" or nil
  if self.epoch >= self.settings.epochs then self.stopped = self.stopped or "epochs" end
  self.was_finished = self.stopped ~= nil
  -- A process that was killed between the last checkpoint and its history left a history without that epoch.
  if self.folder then files.save_history(self.folder, self.history) else self.remembered = saved end
end

-- ---- one epoch ----

-- Seconds that one call of the recorded program may take: how often the progress line moves.
local STRETCH = 0.2

-- The column that lies farthest from its mean, in deviations: where to look when a loss is not finite.
-- standard {N, #names}: standardised rows.
local function farthest(names, standard)
  local high, low = standard:max(1):totable(), standard:min(1):totable()
  local best, value = 1, 0
  for i = 1, #high do
    local v = math.max(math.abs(high[i]), math.abs(low[i]))
    if v > value then best, value = i, v end
  end
  return ("'%s' lies up to %.3g deviations from its mean"):format(names[best], value)
end

-- Raises where a loss is not finite; done: the steps of this epoch so far.
local function check_finite(self, what, loss, done)
  if loss - loss == 0 then return end
  local rows = self.stepper.rows
  local where = farthest(self.flow.theta, rows.theta)
  if rows.seen then where = where .. ", " .. farthest(self.flow.context, rows.seen) end
  raise("fit: the %s is not finite in epoch %d, at step %d of %d: try a smaller lr (it is %g), clip = 1, or "
    .. "look for outliers in the data (%s)", what, self.epoch + 1, done, self.stepper.steps, self.settings.lr,
    where)
end

-- Trains for one epoch; returns its mean loss.
local function train(self)
  local stepper = self.stepper
  stepper:start_epoch()
  local done, count = 0, math.min(stepper.steps, self.stretch or 1)
  while done < stepper.steps do
    local before = C.gal_now()
    stepper:run(count)
    done = done + count
    -- The loss is read before the clock is: the steps are done then, on every device.
    local loss, pace = stepper:loss(done), (C.gal_now() - before) / count
    check_finite(self, "loss", loss, done)
    self.report {
      epoch = self.epoch + 1, epochs = self.settings.epochs, step = done, steps = stepper.steps,
      train_loss = loss, pace = pace,
    }
    self.stretch = math.max(1, math.floor(STRETCH / pace))
    count = math.min(stepper.steps - done, self.stretch)
  end
  return stepper:loss(stepper.steps)
end

-- Validates and judges the epoch that was trained, with the averaged weights where there are such; keeps them
-- where they are the ones to keep.
local function validate(self, entry)
  entry.valid_loss = self.validate and self.validate() or nil
  local loss = entry.valid_loss or entry.train_loss
  check_finite(self, "validation loss", loss, self.stepper.steps)
  self.epoch = entry.epoch
  if self:judge(loss) then
    core.assign(self.best, self.opt.block)
    if self.folder then self.flow:save(self.folder:path "flow.safetensors") end
  end
end

-- Trains one epoch, validates and judges it, and writes the run down.
local function epoch(self)
  local before = C.gal_now()
  local entry = { epoch = self.epoch + 1, lr = self.opt:rate(self.opt.steps + 1) }
  entry.train_loss = train(self)
  self.opt:averaged(function() validate(self, entry) end)
  self.history[self.epoch] = entry
  local seconds = C.gal_now() - before
  if self.folder then files.add_timing(self.folder, self.epoch, seconds) end
  save(self)
  self.report {
    epoch = self.epoch, epochs = self.settings.epochs, train_loss = entry.train_loss,
    valid_loss = entry.valid_loss, best_loss = self.best_loss, best_epoch = self.best_epoch, lr = entry.lr,
    seconds = seconds, steps = self.stepper.steps, whole = true, stopped = self.stopped,
  }
end

-- ---- beginning and end ----

-- Rows as the step takes them: standardised, on the device.
local function standardised(flow, part)
  return gal.no_grad(function()
    local theta = tiles.standard(flow, part.theta)
    local seen = part.context and flow:standard(part.context)
    return { theta = theta, seen = seen, images = part.images, n = part.n }
  end)
end

-- Gives the flow a checkpoint's units before its rows are put into them: another version may choose others
-- for the same rows. Those of other shapes are left to restore, which raises.
local function take_units(flow, tensors)
  local scale = flow.scale
  for name in pairs(tensors) do
    local what = name:match "^scale%.(%a+)_bend$"
    local beside = what and scale[what .. "_std"]
    if beside then scale[what .. "_bend"] = gal.zeros(beside.shape, { device = beside:device() }) end
  end
  for name, tensor in pairs(scale) do
    local from = tensors["scale." .. name]
    if not from and name:find "_bend$" then scale[name] = nil end
    if from and core.same_shape(from, tensor) and from.dtype == tensor.dtype then
      core.assign(tensor, from:to(tensor:device()))
    end
  end
end

-- The optimiser, the step and validation over these rows; saved: the checkpoint that the run goes on from.
local function build(self, part, valid, o, saved)
  local flow, s = self.flow, self.settings
  self.part, self.valid, flow.familiar, flow.floor = part, valid, nil, nil
  if not flow.scale then flow:standardise(part.theta, part.context, part.images, s.scale) end
  if saved then take_units(flow, saved.tensors) end
  local steps = math.max(1, math.floor(part.n / math.min(s.batch, part.n)))
  local rate, described = settings.schedule(o.schedule or s.schedule, s, steps)
  settings.add_facts(s, flow, part, valid, described)
  self.opt = optim.adamw(flow:parameters(), {
    lr = rate, weight_decay = s.weight_decay, clip = s.clip, average = s.average or nil,
  })
  self.best = self.opt.block:clone()
  if valid then
    self.validate = step.validator(flow, standardised(flow, valid), {
      seed = s.seed, time_power = s.time_power, resident = o.resident,
    })
  end
  self.stepper = step.stepper(flow, self.opt, standardised(flow, part), {
    batch = s.batch, draws = s.draws, time_power = s.time_power, seed = s.seed, augment = s.augment,
    precision = s.precision, resident = o.resident, recorded = o.recorded ~= false,
  })
end

-- What split.csv lists: {name, ids} of each part; nil where the rows have no ids.
local function ids_of(part, valid, test)
  if not part.ids then return nil end
  local parts = { { "train", part.ids } }
  if valid and valid.ids then parts[#parts + 1] = { "valid", valid.ids } end
  if test and test.ids then parts[#parts + 1] = { "test", test.ids } end
  return parts
end

local function begin(self, part, valid, o, saved)
  room.check(self.flow, self.settings, part, valid, o.resident)
  if not o.out then
    build(self, part, valid, o, saved)
    if saved then restore(self, saved) end
    return
  end
  self.folder, saved = files.open(o.out, o.resume)
  build(self, part, valid, o, saved)
  local parts = ids_of(part, valid, o.test)
  if saved then
    refuse_others(self, saved.small, parts)
    restore(self, saved)
    return
  end
  files.save_config(self.folder, self.settings)
  if parts then files.save_split(self.folder, parts) end
end

--- Run.new(flow, s, part, valid, o[, saved]): a run of the flow on the rows of part, with validation on valid
-- or nil (train/rows.lua), with the settings s and fit's options o; continued from the checkpoint in o.out
-- where there is one, or, without a folder, from `saved`, what such a run remembered. Where it raises, the
-- run is closed.
function Run.new(flow, s, part, valid, o, saved)
  local self = setmetatable({ flow = flow, settings = s, epoch = 0, history = {} }, Run)
  self.report, self.shown = reporter(o.progress, self), o.progress == nil or o.progress == true
  local ok, err = pcall(errors.less_of, less_of(flow), begin, self, part, valid, o, saved)
  if ok then return self end
  self:close()
  error(err, 0)
end

--- run:train(): epoch after epoch until the run is stopped.
function Run:train()
  errors.less_of(less_of(self.flow), function()
    while not self.stopped do epoch(self) end
  end)
end

--- run:interrupt(): ends a run that Ctrl-C stopped within an epoch: the last whole epoch counts.
function Run:interrupt()
  self.stopped = "interrupt"
  self.report {
    stopped = "interrupt", epoch = self.epoch, epochs = self.settings.epochs, whole = true,
    saved = self.saved,
  }
end

--- run:close(): gives up the flow's weights, which can be moved again, and the folder's lock.
function Run:close()
  if self.opt then self.opt:release() end
  if self.folder then self.folder:close() end
end

-- Sets what the flow knows of the galaxies that it learned from, and its floor, of which `laid` says what was
-- found; of a run that was finished before, what its file has.
local function familiarise(self)
  local flow, file = self.flow, self.folder and self.folder:path "flow.safetensors"
  if self.stopped == "interrupt" then return end
  local function refuse(words) raise("fit: %s: %s", file, words) end
  local tensors, metadata
  if self.was_finished and path.kind(file) then tensors, metadata = gal.load(file) end
  local known = tensors and familiar.take(tensors)
  local under = tensors and floors.take(tensors)
  flow.familiar = known and familiar.of(flow, known, nil, refuse)
    or familiar.fit(flow, self.part, self.valid, self.shown)
  if under then
    local found = json.decode(metadata.flow).floor
    flow.floor, self.laid = floors.of(flow, under, found, refuse), found
  elseif self.settings.floor and not known then
    flow.floor, self.laid = floors.fit(flow, self.part, self.valid, self.settings.floor, self.shown)
  end
end

--- run:finish(): puts the best weights into the flow. Returns what fit returns.
function Run:finish()
  core.assign(self.opt.block, self.best)
  familiarise(self)
  if self.folder and self.best_epoch then self.flow:save(self.folder:path "flow.safetensors") end
  local cost = self.stopped ~= "interrupt" and path_cost.of(self.flow, self.valid) or nil
  return {
    flow = self.flow, history = self.history, best_epoch = self.best_epoch, best_loss = self.best_loss,
    stopped = self.stopped, out = self.folder and self.folder.out, recorded = self.stepper.recorded,
    floor = self.laid, path_cost = cost,
  }
end

return Run
