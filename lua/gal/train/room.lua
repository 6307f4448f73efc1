-- train/room: whether a training fits into its device's memory, checked before its first step. Only what is
-- certain to be needed is counted, so that no training that would run is refused; what an encoder's layers
-- keep of its images is not counted.
local nn = require "gal.nn"
local refuse = require "gal.base.room"

local room = {}

local FLOAT, INDEX = 4, 8 -- bytes

-- What the head keeps of a batch's draws for their gradients: each linear layer's results. For a module of
-- the user's nothing is known.
local function kept_by(head)
  local described, width = nn.spec(head), 0
  for _, layer in ipairs(described and described.layers or {}) do
    width = width + (layer.type == "linear" and layer.outputs or 0)
  end
  return width
end

-- The bytes of a part's rows, and of its images where the device is to hold them and does not yet.
local function rows_of(flow, part, device, resident)
  if not part then return 0, 0 end
  local images = 0
  if resident and part.images and device ~= "cpu" then
    local set = require("gal.images").of(part.images)
    local own = rawget(set, "tensor")
    images = own and own:device() == device and 0 or set:stored_bytes()
  end
  return FLOAT * part.n * (flow.d + flow.c), images
end

--- room.check(flow, s, part, valid, resident): raises where a run with the settings s (train/settings.lua) on
-- these rows (train/rows.lua) needs more memory than there is: for weights, their gradient, moments and
-- averages, for rows, for images that the device is to hold, and for the draws of a batch.
function room.check(flow, s, part, valid, resident)
  local device, count = flow:device(), 0
  for _, p in ipairs(flow:parameters()) do count = count + p:count() end
  local draws = math.min(s.batch, part.n) * s.draws
  local a, b = rows_of(flow, part, device, resident)
  local c, d = rows_of(flow, valid, device, resident)
  local row = FLOAT * (1 + 2 * flow.d + flow.width + (s.precision and 0 or kept_by(flow.head))) + INDEX
  local by_draws = s.draws > 1 and { "batch", "draws" } or { "batch" }
  refuse(device, {
    { FLOAT * count * (s.average and 5 or 4), ("the training of %.3g weights"):format(count),
      flow.encoder and { "hidden", "channels" } or { "hidden" } },
    { a + c, ("%d rows"):format(part.n + (valid and valid.n or 0)), { "data" } },
    { b + d, "the images", { "resident" } },
    { row * draws, ("the %d draws of a step"):format(draws), by_draws },
  })
end

return room
