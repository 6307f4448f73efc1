-- optim: AdamW and SGD over one flat block. The parameters given to an optimiser become views of its
-- block, and so do their gradients, so that a step with its averaging is one call, and the clipping two,
-- whatever the network. Everything that changes from step to step (rate, step count, decay) lies in small
-- tensors, so that a recorded program repeats a step without Lua.
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local errors = require "gal.base.errors"
local core = require "gal.tensor"
local options_of = require "gal.base.options"
local check, raise, kind = errors.check, errors.raise, errors.kind
local known, number = options_of.known, options_of.number

local optim = {}

-- A parameter starts at a multiple of 16 floats: whole cache lines for every kernel. The gaps are zero and
-- stay zero.
local ALIGN = 16

local Optimiser = {}
Optimiser.__index = Optimiser

local function piece(block, slot) return block:narrow(1, slot.first, slot.count):reshape(slot.shape) end

-- Moves the parameters into one block; returns it and a slot {parameter, first, count, shape} for each.
local function gather(where, parameters)
  if type(parameters) ~= "table" or core.is_tensor(parameters) then
    raise("%s: parameters is %s, expected a list of tensors", where, kind(parameters))
  end
  local slots, seen, total, device = {}, {}, 0, nil
  for i, p in ipairs(parameters) do
    if not core.is_tensor(p) then raise("%s: parameter %d is %s, expected a tensor", where, i, kind(p)) end
    if not p:requires_grad_set() then
      raise("%s: parameter %d does not require a gradient; call requires_grad() on it", where, i)
    end
    device = device or p:device()
    if p:device() ~= device then
      raise("%s: parameter %d is on %s, parameter 1 on %s", where, i, p:device(), device)
    end
    if not seen[p] then
      seen[p] = true
      local count = core.count(p)
      slots[#slots + 1] = { parameter = p, first = total + 1, count = count, shape = p.shape }
      total = total + math.ceil(count / ALIGN) * ALIGN
    end
  end
  if #slots == 0 then raise(where .. ": the list of parameters is empty") end
  local block = gal.zeros({ total }, { device = device })
  for _, slot in ipairs(slots) do
    local view = piece(block, slot)
    core.assign(view, slot.parameter)
    core.rehome(slot.parameter, view)
  end
  return block, slots
end

local function zeros_like(block) return gal.zeros({ block:size(1) }, { device = block:device() }) end

local function new(where, parameters, options, hyper)
  local lr = options.lr
  if type(lr) == "table" then
    errors.callable(where, "lr", lr, "a number, a schedule or a function of the step")
  elseif type(lr) ~= "function" then
    lr = number(where, options, "lr", hyper.lr, 0)
  end
  local block, slots = gather(where, parameters)
  local device = block:device()
  local self = setmetatable({
    block = block, slots = slots, gradient = zeros_like(block), kind = where, lr = lr, steps = 0,
    step_count = core.int64({}, { 0 }, device),                    -- {}
    host_hyper = ffi.new("float[?]", #hyper, hyper), width = #hyper,
    hyper = gal.tensor(hyper, { #hyper }):to(device),
    clip = number(where, options, "clip", nil, 0), average = number(where, options, "average", nil, 0, 1),
    moments = {},
  }, Optimiser)
  for _, name in ipairs(hyper.moments) do self.moments[name] = zeros_like(block) end
  if self.clip then
    self.limit = gal.tensor(self.clip):to(device)
    self.squares = core.float64({}, device)                         -- {}
  end
  if self.average then
    self.decay = gal.tensor(self.average):to(device)
    self.mean = zeros_like(block)
    core.assign(self.mean, block)
  end
  for _, slot in ipairs(slots) do
    slot.gradient = piece(self.gradient, slot)
    slot.parameter.grad = nil
    core.set_slot(slot.parameter, slot)
  end
  return self
end

-- Fields that may be given other values: the rate, and how many steps were taken.
local FREE = { "lr", "steps" }

--- optim.adamw(parameters[, {lr = 5e-4, betas = {.9, .999}, eps = 1e-8, weight_decay = .01, clip = nil,
-- average = nil}]): AdamW (Loshchilov & Hutter 2019). parameters: a list of tensors, which become views of
-- the optimiser's block. lr: a number, or a function of the step (counted from 1) such as optim.cosine
-- makes. clip: the largest norm of the whole gradient. average: the decay of an exponential moving average
-- of the weights (see opt:averaged).
function optim.adamw(parameters, options)
  options = known("adamw", options, { "lr", "betas", "eps", "weight_decay", "clip", "average" })
  local betas = options.betas or {}
  if type(betas) ~= "table" then raise("adamw: betas is %s, expected {beta1, beta2}", kind(betas)) end
  local self = new("adamw", parameters, options, {
    0, errors.number("adamw", "betas[1]", betas[1] or 0.9, 0, 1),
    errors.number("adamw", "betas[2]", betas[2] or 0.999, 0, 1),
    number("adamw", options, "eps", 1e-8, 0), number("adamw", options, "weight_decay", 0.01, 0),
    lr = 5e-4, moments = { "first", "second" },
  })
  self.update = function(o)
    local m = o.moments
    check(C.gal_adamw(o.block.h, o.gradient.h, m.first.h, m.second.h, o.mean and o.mean.h,
      o.hyper.h, o.decay and o.decay.h, o.step_count.h))
  end
  return errors.seal(self, FREE)
end

--- optim.sgd(parameters[, {lr = .01, momentum = 0, weight_decay = 0, nesterov = false, clip = nil,
-- average = nil}]): gradient descent with momentum. parameters, lr, clip and average as for optim.adamw.
function optim.sgd(parameters, options)
  options = known("sgd", options, { "lr", "momentum", "weight_decay", "nesterov", "clip", "average" })
  local self = new("sgd", parameters, options, {
    0, number("sgd", options, "momentum", 0, 0, 1), number("sgd", options, "weight_decay", 0, 0),
    options.nesterov and 1 or 0,
    lr = 0.01, moments = { "velocity" },
  })
  self.update = function(o)
    check(C.gal_sgd(o.block.h, o.gradient.h, o.moments.velocity.h, o.mean and o.mean.h,
      o.hyper.h, o.decay and o.decay.h, o.step_count.h))
  end
  return errors.seal(self, FREE)
end

--- opt:rate(step): the learning rate of that step, counted from 1.
function Optimiser:rate(step)
  if type(self.lr) == "number" then return self.lr end
  return errors.number(self.kind, ("lr(%s)"):format(tostring(step)), self.lr(step))
end

--- opt:zero_grad(): forgets all gradients; the next backward() writes them anew, into the optimiser's block.
function Optimiser:zero_grad()
  for _, slot in ipairs(self.slots) do slot.parameter.grad = nil end
end

--- opt:release(): gives the parameters up. They keep their weights and can be moved; the optimiser can't step
-- any more.
function Optimiser:release()
  self:zero_grad()
  for _, slot in ipairs(self.slots) do
    if core.slot(slot.parameter) == slot.gradient then core.set_slot(slot.parameter, nil) end
  end
  self.released = true
end

-- Fills the slots: a gradient that the user put in the place of a slot's is copied into it, an absent one
-- counts as zero.
local function collect_gradients(self)
  for _, slot in ipairs(self.slots) do
    local grad = slot.parameter.grad
    if not grad then
      check(C.gal_fill(slot.gradient.h, 0))
    elseif grad ~= slot.gradient then
      core.assign(slot.gradient, grad)
    end
  end
end

--- opt:step(): one update of all parameters from their gradients.
function Optimiser:step()
  if self.released then raise("%s: step: the optimiser has given its parameters up", self.kind) end
  self.steps = self.steps + 1
  self:set_rate(self:rate(self.steps))
  self:apply()
end

--- opt:apply(): the update alone, at the rate that stands in opt.hyper: the part that a recorded program
-- repeats.
function Optimiser:apply()
  collect_gradients(self)
  self.block.version = self.block.version + 1 -- a graph that has used the old weights is void now
  if self.clip then
    check(C.gal_sum_squares(self.squares.h, self.gradient.h))
    check(C.gal_clip(self.gradient.h, self.squares.h, self.limit.h))
  end
  self:update() -- counts the step, and takes it into the average
end

--- opt:set_rate(lr): the learning rate that the next opt:apply(), or a replayed one, takes.
function Optimiser:set_rate(lr)
  errors.number("set_rate", "lr", lr)
  self.host_hyper[0] = lr
  check(C.gal_tensor_write(self.hyper.h, self.host_hyper, self.width))
end

--- opt:averaged(fn): runs fn() with the averaged weights in the place of the trained ones and returns its
-- results; the trained ones come back, also on an error. Without averaging it only runs fn.
function Optimiser:averaged(fn)
  errors.callable("averaged", "fn", fn, "a function")
  if not self.average then return fn() end
  local trained = gal.no_grad(function() return self.block:clone() end)
  core.assign(self.block, self.mean)
  local results = { pcall(fn) }
  core.assign(self.block, trained)
  if not results[1] then error(results[2], 0) end
  return unpack(results, 2)
end

--- opt:state(): {name = tensor}, the tensors themselves: the moments, the step count and, where there is one,
-- the average. They belong to the block's order of parameters.
function Optimiser:state()
  local state = { step = self.step_count }
  for name, moment in pairs(self.moments) do state[name] = moment end
  if self.average then state.average = self.mean end
  return state
end

--- opt:load_state(state): copies a table as opt:state() gives it into the optimiser, which must be of the
-- same kind over parameters of the same shapes.
function Optimiser:load_state(state)
  errors.list(self.kind .. ": load_state", "state", state, "a table of tensors by name")
  for name, tensor in pairs(self:state()) do
    local from = state[name]
    if not core.is_tensor(from) then
      raise("%s: load_state: '%s' is missing in the state", self.kind, name)
    end
    if not core.same_shape(from, tensor) then
      raise("%s: load_state: '%s' is %s, expected %s",
        self.kind, name, core.shape_text(from), core.shape_text(tensor))
    end
    core.assign(tensor, from)
  end
  self.steps = self.step_count:item()
end

errors.methods(Optimiser, "an optimiser")

-- Schedules are callable tables and not closures, so that a run's settings can say which one it had.
local Schedule = {}
Schedule.__index = Schedule
function Schedule:__call(step)
  return self.at(self, errors.number(self.schedule, "step", step))
end

local function schedule(where, fields, at)
  fields.schedule, fields.at = where, at
  return setmetatable(fields, Schedule)
end

--- s:settings(): the schedule's name and numbers, for a run's config.json.
function Schedule:settings()
  local settings = {}
  for key, value in pairs(self) do
    if type(value) == "number" or type(value) == "string" then settings[key] = value end
  end
  if self.after then
    settings.after = type(self.after) == "table" and self.after:settings() or "a function"
  end
  return settings
end

errors.methods(Schedule, "a schedule")

--- optim.constant(lr): the same rate at every step.
function optim.constant(lr)
  errors.number("constant", "lr", lr)
  return schedule("constant", { lr = lr }, function(s) return s.lr end)
end

--- optim.cosine(lr, steps[, final = 0]): from lr down to final over this many steps along half a cosine
-- (Loshchilov & Hutter 2017), final after that.
function optim.cosine(lr, steps, final)
  errors.number("cosine", "lr", lr)
  errors.number("cosine", "steps", steps)
  final = type(final) == "nil" and 0 or errors.number("cosine", "final", final)
  return schedule("cosine", { lr = lr, steps = steps, final = final }, function(s, step)
    local part = math.min(1, (step - 1) / s.steps)
    return s.final + (s.lr - s.final) * (1 + math.cos(math.pi * part)) / 2
  end)
end

--- optim.step_decay(lr, every, factor): lr, multiplied by factor after each `every` steps.
function optim.step_decay(lr, every, factor)
  errors.number("step_decay", "lr", lr)
  errors.number("step_decay", "every", every)
  errors.number("step_decay", "factor", factor)
  return schedule("step_decay", { lr = lr, every = every, factor = factor }, function(s, step)
    return s.lr * s.factor ^ math.floor((step - 1) / s.every)
  end)
end

--- optim.warmup(steps, after): rises linearly to the rate of `after`, a schedule or a function of the step,
-- over this many steps; then `after` itself.
function optim.warmup(steps, after)
  errors.number("warmup", "steps", steps)
  errors.callable("warmup", "after", after, "a schedule or a function of the step")
  return schedule("warmup", { steps = steps, after = after }, function(s, step)
    return errors.number("warmup", "after(step)", s.after(step)) * math.min(1, step / s.steps)
  end)
end

--- optim.clip_grad_norm(parameters, limit): scales all gradients together so that their norm is at most
-- limit. Returns the norm before. The optimisers' option `clip` does the same without reading anything back.
function optim.clip_grad_norm(parameters, limit)
  local graded = {}
  errors.number("clip_grad_norm", "limit", limit, 0)
  for i, p in ipairs(errors.list("clip_grad_norm", "parameters", parameters, "a list of tensors")) do
    if not core.is_tensor(p) then
      raise("clip_grad_norm: parameter %d is %s, expected a tensor", i, kind(p))
    end
    if p.grad then graded[#graded + 1] = p end
  end
  if #graded == 0 then return 0 end
  local squares, sum = core.float64({ #graded }, graded[1]:device()), 0
  for i, p in ipairs(graded) do check(C.gal_sum_squares(squares:select(1, i).h, p.grad.h)) end
  for _, v in ipairs(squares:totable()) do sum = sum + v end
  local norm = math.sqrt(sum)
  for _, p in ipairs(parameters) do
    if p.grad and norm > limit then check(C.gal_affine(p.grad.h, p.grad.h, limit / norm, 0)) end
  end
  return norm
end

return optim
