-- train/images: where the images of a training come from. Resident: the flow's device holds them all, and a
-- step chooses its own by the rows of its batch. Streamed: a thread reads the batches of an epoch ahead of
-- their steps. Weights and histories have the same bits either way. The fields of a source, for N images:
--   images      what each step encodes: some of a resident set's, or a tensor {batch, ...} that `next` fills
--   loader      of a streamed source; nil where it is resident
--   uniform {N}, turns {N}   this epoch's turns, uint8, from uniforms; nil where images are not turned
--   taken       of a streamed source: the batches of this epoch that were taken
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local sets = require "gal.images"
local check = errors.check

local Source = {}
Source.__index = Source

-- Whether a device is to hold a set where the user does not say. A tensor of the device's is held anyway, and
-- so is on the host what is in memory; else as much memory again has to stay free for the training.
local function fits(set, device)
  local x = rawget(set, "tensor")
  if device == "cpu" or x and x:device() == device then return set.in_memory end
  return gal.device_info(device).free >= 2 * set:stored_bytes()
end

--- placed(set, device, wanted): the set (or tensor) as one that the device holds, or as one of the host's;
-- `batch` reads either. wanted: fit's option `resident`.
local function placed(set, device, wanted)
  set = sets.of(set)
  if wanted == nil then wanted = fits(set, device) end
  return wanted and set:resident(device) or set
end

--- new(set, {index, augment, resident, device}): the source of a stepper's images, a set or a tensor. index
-- int64 {batch}: the rows of a step's batch, which the step writes.
local function new(set, options)
  set = sets.of(set)
  local n, index, device = set:size(1), options.index, options.device
  local self = setmetatable({}, Source)
  if options.augment then
    self.turns, self.uniform = core.new({ n }, "uint8", device), gal.zeros({ n }, { device = device })
  end
  local held = placed(set, device, options.resident)
  if held ~= set then
    self.images = held:chosen(index, self.turns)
  else
    self.loader = set:loader(index:size(1), device)
    self.images = core.new(self.loader.shape, self.loader.dtype, device)
  end
  return self
end

-- values {N} in the order of places, by row: row order[i] gets values[i].
local function by_row(values, order)
  local n = values:size(1)
  local y = gal.zeros({ n, 1 }, { device = values:device() })
  check(C.gal_scatter_add_rows(y.h, values:reshape({ n, 1 }).h, order.h))
  return y:reshape { n }
end

--- source:start_epoch(order {N}, rng {2}): an epoch over the images in this order, with fresh turns from the
-- generator.
function Source:start_epoch(order, rng)
  if self.turns then
    check(C.gal_uniform(self.uniform.h, rng.h))
    local drawn = self.loader and self.uniform or by_row(self.uniform, order)
    core.assign(self.turns, drawn * 8) -- in [0, 8), and the copy truncates
  end
  if self.loader then self.loader:start(order, self.turns) end
  self.taken = 0
end

--- source:ready(): puts the images of the next step where it encodes them from.
function Source:ready()
  if self.loader then self.loader:take(self.images, self.taken + 1) end
end

--- source:next(): the same, and moves on: the step after that is then the next.
function Source:next()
  self:ready()
  self.taken = self.taken + 1
end

return { new = new, placed = placed }
