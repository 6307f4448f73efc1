-- train/step: one training step of flow matching over rows that lie on the device, recorded once and replayed
-- for whole stretches of an epoch by one call. A recorded step has constant arguments, so all that changes
-- from step to step is read through tensors. The fields of a stepper, for N rows:
--   flow, opt, rows, device, batch, draws, time_power, precision    as `stepper` was given them
--   steps       of an epoch
--   rng {2}     the run's generator, int64
--   order {N}   the rows of this epoch, int64 from 0, and cursor {}, the place in it behind the last batch
--   rates {steps}   of this epoch; rate {1}: the optimiser's
--   at {}       the steps of this epoch that are done, int64
--   index {batch}   the rows of the batch, int64
--   one {}      1: the gradient that backward starts from
--   total {}    the sum of this epoch's losses, float64
--   repeats {batch * draws}   the row of the batch of each draw, int64; nil where draws is 1
--   source      where the images come from (train/images.lua); nil without images
--   recorded    whether steps are to be replayed; program: the recorded step, from the first on
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local errors = require "gal.base.errors"
local core = require "gal.tensor"
local nn = require "gal.nn"
local sources = require "gal.train.images"
local mse = core.mse
local check = errors.check

local Stepper = {}
Stepper.__index = Stepper

-- Row r of the batch `each` times over, as int64 {batch * each}; nil where each is 1.
local function repetition(batch, each, device)
  if each == 1 then return nil end
  local list = {}
  for i = 0, batch * each - 1 do list[i + 1] = math.floor(i / each) end
  return core.int64({ batch * each }, list, device)
end

-- The rows of x {N, ...} at index {B}, not taped.
local function rows_of(x, index)
  local h, shape = x.h, x.shape
  shape[1] = core.count(index)
  local y = core.new(shape, x.dtype, x:device())
  check(C.gal_gather_rows(y.h, h, index.h))
  return y
end

-- [t; theta_t; features] -> velocity.
local function predict(flow, t, theta_t, features)
  return nn.call(flow.head, features and gal.cat({ t, theta_t, features }, 2) or gal.cat({ t, theta_t }, 2))
end

-- The step itself, on the tape: draw, forward, backward, update. Its input is the head's: [t; theta_t;
-- encoded image; seen].
local function step(self)
  local flow, rows, device, n = self.flow, self.rows, self.device, self.batch * self.draws
  check(C.gal_next_rows(self.rate.h, self.rates.h, self.at.h))
  local input = core.new({ n, 1 + flow.d + flow.width }, nil, device)
  local target = core.new({ n, flow.d }, nil, device)
  check(C.gal_flow_batch(input.h, target.h, self.index.h, self.order.h, self.cursor.h, rows.theta.h,
    rows.seen and rows.seen.h, self.rng.h, flow.sigma, self.time_power))
  if self.source then
    local encoded = flow:encode(nil, self.source.images, self.precision)
    input = core.into_columns(encoded, input, 2 + flow.d, self.repeats)
  end
  local loss = mse(nn.call(flow.head, input, self.precision), target, self.total)
  self.opt:zero_grad()
  loss:backward(self.one)
  self.opt:apply()
end

-- All that a step changes.
local function changing(self)
  local list = {
    self.opt.block, self.cursor, self.at, self.total, self.rng, self.order,
    gal.default_rng():tensor(self.device), -- a layer of the user's may draw from it
  }
  for _, tensor in pairs(self.opt:state()) do list[#list + 1] = tensor end
  for _, tensor in pairs(self.flow:state()) do list[#list + 1] = tensor end
  return list
end

-- The step as a program. Recording runs it once; the tensors that it changed get their values back. nil where
-- the network reads values on the host, which can't be recorded.
local function record(self)
  local list, copies = changing(self), {}
  for i, tensor in ipairs(list) do copies[i] = tensor:detach():clone() end
  local p = core.try_program(function() step(self) end, self.device)
  for i, tensor in ipairs(list) do core.assign(tensor, copies[i]) end
  return p
end

--- stepper(flow, opt, rows, {batch, draws, time_power = 1, seed, augment, resident, precision = "f32",
-- recorded = true}): rows {theta {N, d} standardised, seen {N, c} standardised or nil, images (a set or a
-- tensor) or nil, n = N}. augment: each image of each epoch in one of its eight flips and quarter turns,
-- drawn from the run's generator. The last incomplete batch of an epoch is dropped, and kept if there is only
-- one. recorded = false runs every step through Lua: the reference that replaying is tested against. A
-- network that can't be recorded, because it reads values on the host, is run so too.
local function new(flow, opt, rows, options)
  local device, batch = flow:device(), math.min(options.batch, rows.n)
  local self = setmetatable({
    flow = flow, opt = opt, rows = rows, device = device, batch = batch, draws = options.draws,
    steps = math.max(1, math.floor(rows.n / batch)), rng = gal.rng(options.seed):tensor(device),
    repeats = repetition(batch, options.draws, device), order = core.new({ rows.n }, "int64", device),
    cursor = core.int64({}, { 0 }, device), at = core.int64({}, { 0 }, device),
    index = core.new({ batch }, "int64", device), one = gal.ones({}, { device = device }),
    total = core.float64({}, device), rate = opt.hyper:narrow(1, 1, 1),
    precision = options.precision, recorded = options.recorded, time_power = options.time_power or 1,
  }, Stepper)
  self.rates = gal.zeros({ self.steps }, { device = device })
  if rows.images then
    self.source = sources.new(rows.images, {
      index = self.index, augment = options.augment, resident = options.resident, device = device,
    })
  end
  return self
end

--- stepper:start_epoch(): a fresh order of the rows and fresh turns of their images, and the rates of the
-- steps to come.
function Stepper:start_epoch()
  local rates = {}
  for i = 1, self.steps do rates[i] = self.opt:rate(self.opt.steps + i) end
  core.assign(self.rates, gal.tensor(rates, { self.steps }))
  check(C.gal_permutation(self.order.h, self.rng.h))
  if self.source then self.source:start_epoch(self.order, self.rng) end
  check(C.gal_fill(self.cursor.h, 0))
  check(C.gal_fill(self.at.h, 0))
  check(C.gal_fill(self.total.h, 0))
end

--- stepper:run(count): that many steps of the epoch that was started.
function Stepper:run(count)
  local source = self.source
  if self.recorded and not self.program then
    if source then source:ready() end
    self.program = record(self)
    self.recorded = self.program ~= nil
  end
  if self.program and not (source and source.loader) then
    self.program:replay(count)
  else
    for _ = 1, count do
      errors.poll()
      if source then source:next() end
      if self.program then self.program:replay(1) else gal.scope(function() step(self) end) end
    end
  end
  self.opt.steps = self.opt.steps + count
end

--- stepper:loss(count): the mean loss of the first `count` steps of this epoch, as far as it has come.
function Stepper:loss(count) return self.total:item() / count end

-- ---- validation ----

-- Draws of a validation row: t from 8 equal parts of [0, 1].
local STRATA = 8
-- Rows evaluated at once: 1,024 draws, as in flow/integrate.lua.
local PIECE = 128

-- The times of n validation rows, {n * STRATA, 1}: stratified uniform ones; where training has late ones, too
-- (galrun_ops.h, flow_batch), every second of a row is such a one, and each half is stratified for itself.
local function times_of(n, power, options)
  local number, u, strata, late = n * STRATA, gal.rand({ n, STRATA }, options), {}, {}
  for s = 0, STRATA - 1 do
    strata[s + 1], late[s + 1] = power == 1 and s or math.floor(s / 2), s % 2
  end
  local function row(list) return gal.tensor(list):to(options.device) end
  u = (u + row(strata)) / (power == 1 and STRATA or STRATA / 2)
  if power == 1 then return u:reshape { number, 1 } end
  local left, product = 1 - u, 1
  for _ = 2, power do product = left * product end
  return (1 - left * (row(late) * (product - 1) + 1)):reshape { number, 1 }
end

--- validator(flow, rows, {seed, time_power, resident}): a function that returns the loss of the flow as it
-- stands on these rows (as for stepper), over draws that are fixed once: for each row 8 times with theta_0
-- and eps from the seed.
local function validator(flow, rows, given)
  local device, n, d = flow:device(), rows.n * STRATA, flow.d
  local options = { rng = gal.rng(given.seed), device = device }
  local repeats = repetition(PIECE, STRATA, device)
  local images = rows.images and sources.placed(rows.images, device, given.resident)
  local t, theta_t, target = gal.no_grad(function()
    local t = times_of(rows.n, given.time_power, options)
    local start, noise = gal.randn({ n, d }, options), gal.randn({ n, d }, options)
    local truth = rows_of(rows.theta, repetition(rows.n, STRATA, device))
    return t, (1 - t) * start + t * truth + noise * flow.sigma, truth - start
  end)
  -- The loss of each piece, so that a validation waits for the device once.
  local losses = gal.zeros({ math.ceil(rows.n / PIECE) }, { device = device })
  local function piece(i, first, count)
    local function narrowed(x) return x and x:narrow(1, first, count) end
    local features = flow:encode(narrowed(rows.seen), images and images:batch(first, count, device))
    if features then features = rows_of(features, repeats:narrow(1, 1, count * STRATA)) end
    local from, draws = (first - 1) * STRATA + 1, count * STRATA
    local prediction = predict(flow, t:narrow(1, from, draws), theta_t:narrow(1, from, draws), features)
    core.assign(losses:select(1, i), mse(prediction, target:narrow(1, from, draws)))
  end
  local function size(i) return math.min(PIECE, rows.n - (i - 1) * PIECE) end
  return function()
    gal.no_grad(function()
      for i = 1, losses:size(1) do
        errors.poll()
        gal.scope(piece, i, (i - 1) * PIECE + 1, size(i))
      end
    end)
    local sum = 0
    for i, loss in ipairs(losses:totable()) do sum = sum + loss * size(i) end
    return sum / rows.n
  end
end

return { stepper = new, validator = validator }
