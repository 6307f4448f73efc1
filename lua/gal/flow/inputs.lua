-- flow/inputs: the arguments of a flow's methods, brought to one form and checked: contexts, images, points
-- in theta. Errors name the row and the column.
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local evenly = require("gal.stats.host").evenly
local host = require "gal.base.host"
local named = require "gal.flow.named"
local sets = require "gal.images"
local raise, check = errors.raise, errors.check

local inputs = {}

--- Raises, naming the row and the column, where x {rows, columns} holds a NaN or an infinity; what: how the
-- sentence calls x.
function inputs.finite(where, what, names, x)
  if (x * 0):sum():item() == 0 then return end
  for r, row in ipairs(x:totable()) do
    for c, v in ipairs(row) do
      if v ~= v or v == math.huge or v == -math.huge then
        local found = v ~= v and "NaN" or "infinite"
        raise("%s: %s is %s in row %d, column %d ('%s'), expected finite numbers", where, what, found, r, c,
          names[c])
      end
    end
  end
end

-- Lua numbers as a tensor, other dtypes as float32, on the flow's device, contiguous.
local function tensor(where, what, v, device)
  if type(v) == "table" and not core.is_tensor(v) then
    local first = v[1]
    local nested = type(first) == "table" and not core.is_tensor(first)
    if nested or type(first) == "number" then v = gal.tensor(v) end
  end
  core.live(v, where, what)
  if v.dtype ~= "float32" then v = v:float() end
  return core.dense(v:detach():to(device))
end

--- inputs.matrix(where, what, names, v, device): v {N, #names} or {#names} as a finite {N, #names} tensor on
-- the device.
function inputs.matrix(where, what, names, v, device)
  v = tensor(where, what, v, device)
  local shape = v.shape
  if #shape == 1 and shape[1] == #names then v, shape = v:reshape { 1, #names }, { 1, #names } end
  if #shape ~= 2 or shape[2] ~= #names then
    local found, wanted = core.shape_text(v), table.concat(names, ", ")
    raise("%s: %s is %s, expected {N, %d} for %s", where, what, found, #names, wanted)
  end
  if shape[1] == 0 then raise("%s: %s has no rows", where, what) end
  inputs.finite(where, what, names, v)
  return v
end

-- Images are read in pieces of this many, so that no copy of a whole survey is made: fn(part, first) for
-- each, on the device, nil: where they are.
-- Those of them that hold images from `from` to `to` alone, where these are given.
local PIECE = 256
local function pieces(images, device, fn, from, to)
  local rows = images:size(1)
  for first = math.floor(((from or 1) - 1) / PIECE) * PIECE + 1, to or rows, PIECE do
    errors.poll()
    gal.scope(function() fn(sets.batch(images, first, math.min(PIECE, rows - first + 1), device), first) end)
  end
end

-- Raises where float32 images are no numbers or surely not in [0, 1]. Resampling overshoots 1 a little; what
-- this is for is 0 to 255.
local function check_pixels(where, images)
  pieces(images, nil, function(part, first)
    local high, low = part:max():item(), part:min():item()
    if high - high ~= 0 or low - low ~= 0 then
      for i = 1, part:size(1) do
        local sum = part[i]:sum():item()
        if sum - sum ~= 0 then
          raise("%s: image %d holds a NaN or an infinity, expected finite numbers", where, first + i - 1)
        end
      end
    end
    if high > 2 or low < -1 then
      raise("%s: images reach %.4g, expected float32 from 0 to 1, or uint8", where, high > 2 and high or low)
    end
  end)
end

--- inputs.images(where, flow, v): images {N, ...} of the shape that the flow's encoder was made for, uint8 or
-- float32, where they are; or a set (gal.images) of such.
function inputs.images(where, flow, v)
  if not sets.is_set(v) then core.live(v, where, "images") end
  if v.dtype ~= "uint8" and v.dtype ~= "float32" then
    raise("%s: images is %s, expected uint8 or float32", where, v.dtype)
  end
  local shape, fits = v.shape, true
  if #shape == #flow.image and not sets.is_set(v) then
    table.insert(shape, 1, 1)
    v = v:reshape(shape)
  end
  for i, n in ipairs(flow.image) do fits = fits and shape[i + 1] == n end
  if not fits or #shape ~= #flow.image + 1 then
    raise("%s: images is %s, expected {N, %s}", where, core.shape_text(v), table.concat(flow.image, ", "))
  end
  if shape[1] == 0 then raise("%s: images has no rows", where) end
  if sets.is_set(v) then return v end
  v = core.dense(v:detach())
  if v.dtype == "float32" then gal.no_grad(check_pixels, where, v) end
  return v
end

-- A value this many deviations from the training rows' mean is beyond all that the flow learned from. A
-- magnitude's deviation over a survey is .5 to 4 mag, so that the faintest galaxies of deeper surveys are
-- within (10 mag and more), and the marks for "no magnitude", 99 or -9999, are beyond.
local FAR = 20
inputs.FAR = FAR

-- The sentence about a column's values {N}, of which, standardised {N}, some are FAR off.
local function far_sentence(name, values, standard, mean, deviation)
  local count, most = 0, 0
  for k, v in ipairs(values) do
    if math.abs(standard[k]) > FAR then count = count + 1 end
    if math.abs(v - mean) > math.abs(most) then most = v - mean end
  end
  local sentence = "%s of %d of %d galaxies is more than %d deviations from what the flow was trained on "
    .. "(%.6g; there %.4g +- %.2g): results for them are extrapolations and should be ignored"
  return sentence:format(name, count, #values, FAR, mean + most, mean, deviation)
end

-- Leaves a notice of each column of context {N, c} that has values FAR off, once for a flow.
local function tell_far(flow, context)
  local standard = gal.no_grad(function() return flow:standard(context) end)
  local largest = standard:abs():max(1):totable()
  flow.told = flow.told or {}
  for i, name in ipairs(flow.context) do
    -- gal.data's marks of missing values are 0 and 1, and their deviation says how rare they are.
    if largest[i] > FAR and not flow.told[name] and not name:find "_missing$" then
      flow.told[name] = true
      local mean, deviation = flow.scale.context_mean:get(i), flow.scale.context_std:get(i)
      local values, off = context:select(2, i):totable(), standard:select(2, i):totable()
      C.gal_leave_notice(far_sentence(name, values, off, mean, deviation))
    end
  end
end

-- inputs.outside where columns are bent: in deviations of what is bent.
local function outside_bent(flow, context)
  local furthest = {}
  for k, row in ipairs(gal.no_grad(function() return flow:standard(context):abs():totable() end)) do
    furthest[k] = 0
    for i, off in ipairs(row) do
      if not flow.context[i]:find "_missing$" then furthest[k] = math.max(furthest[k], off) end
    end
  end
  return furthest
end

--- inputs.outside(flow, context): how far each galaxy's most extreme value of context {N, c} lies from the
-- training rows' mean, in their deviations, a list {N}; marks of missing values do not count.
function inputs.outside(flow, context)
  if flow.scale.context_bend then return outside_bent(flow, context) end
  local mean, deviation = flow.scale.context_mean:totable(), flow.scale.context_std:totable()
  local furthest = {}
  for k, row in ipairs(context:totable()) do
    local most = 0
    for i, v in ipairs(row) do
      local off = flow.context[i]:find "_missing$" and 0 or math.abs(v - mean[i]) / deviation[i]
      if off > most then most = off end
    end
    furthest[k] = most
  end
  return furthest
end

local Checked = {} -- the metatable of what inputs.conditions gave

--- inputs.checked(x): marks x, a table of the form that inputs.conditions gives, as checked: it takes such a
-- table as it is. features {N, width}: what tiles.features gives, where it is known.
function inputs.checked(x) return setmetatable(x, Checked) end

--- inputs.conditions(where, flow, x[, told = true]): what the user passed as x, as {rows = N, context = {N,
-- c} or nil, images = {N, ...} or nil, device}: context on the flow's device, images where they are. Numbers
-- that a user wrote down, lists or at the prompt, may leave a notice (flow/named.lua), and values that are
-- FAR off do, unless told is false.
function inputs.conditions(where, flow, x, told)
  if getmetatable(x) == Checked then return x end
  local context, images = x, nil
  if flow.encoder then
    if flow.c == 0 and core.is_tensor(x) then x = { nil, x } end
    if type(x) ~= "table" or core.is_tensor(x) then
      raise("%s: x is %s, expected {x, images}", where, errors.kind(x))
    end
    if named.is(x) then
      raise("%s: x is a table by name without images, expected {{%s = …}, images}", where,
        flow.context[1] or "name")
    end
    context, images = x[1], inputs.images(where, flow, x[2])
  end
  local rows = images and images:size(1) or 1
  if flow.c == 0 then
    if context ~= nil then
      raise("%s: x is %s, but this flow has no context; expected nil", where, errors.kind(context))
    end
    return inputs.checked{ rows = rows, images = images, device = flow:device() }
  end
  if named.is(context) then
    context = named.context(where, flow, context)
  elseif not core.is_tensor(context) or host.interactive then
    named.tell(flow)
  end
  context = inputs.matrix(where, "x", flow.context, context, flow:device())
  if images and context:size(1) ~= rows then
    raise("%s: x has %d rows and images %d, expected as many", where, context:size(1), rows)
  end
  if told ~= false then tell_far(flow, context) end
  return inputs.checked{
    rows = context:size(1), context = context, images = images, device = context:device(),
  }
end

--- inputs.some(flow, part, most): theta {n, d} and x, as a user passes it, of at most `most` rows of a part
-- {theta, context, images}, evenly chosen.
function inputs.some(flow, part, most)
  local n = part.theta:size(1)
  local positions = n > most and evenly(n, most) or nil
  local function take(x) return positions and x:rows(positions) or x end
  local context = flow.c > 0 and take(part.context) or nil
  return take(part.theta), flow.encoder and { context, take(part.images) } or context
end

--- inputs.points(where, flow, theta): theta {N, d}, {N, m, d} or {d} as {N * m, d}; also N, m and the shape
-- of one number per point: {N} or {N, m}.
function inputs.points(where, flow, theta)
  theta = tensor(where, "theta", theta, flow:device())
  local shape, d = theta.shape, flow.d
  if #shape == 0 or #shape > 3 or shape[#shape] ~= d then
    local found, names = core.shape_text(theta), table.concat(flow.theta, ", ")
    raise("%s: theta is %s, expected {N, %d} or {N, m, %d} for %s", where, found, d, d, names)
  end
  local rows, each = #shape > 1 and shape[1] or 1, shape[3] and shape[2] or 1
  if rows * each == 0 then
    raise("%s: theta is %s, expected at least one row", where, core.shape_text(theta))
  end
  local flat = theta:reshape { rows * each, d }
  inputs.finite(where, "theta", flow.theta, flat)
  return flat, rows, each, shape[3] and { rows, each } or { rows }
end

local function no_streams(shape)
  local y = core.new(shape, "int64", "cpu")
  check(C.gal_fill(y.h, 0))
  return y
end

-- One number for each image from `from` to `to`, made of its bytes, {N}; 0 for images of other pieces.
local function of_images(images, from, to)
  local numbers = no_streams { images:size(1) }
  pieces(images, "cpu", function(part, first)
    local own = numbers:narrow(1, first, part:size(1))
    check(C.gal_row_streams(own.h, part.h, 0))
  end, from, to)
  return numbers
end

--- inputs.streams(x[, first, count]): the random stream of each galaxy, int64 {N} on x.device, from the bytes
-- of its context and image: the same in every batch; of `count` galaxies from `first` on alone, {count}, the
-- ones that they have among all.
function inputs.streams(x, first, count)
  first, count = first or 1, count or x.rows
  local streams, seen = no_streams { x.rows }, x.context and x.context:to("cpu")
  if not seen and not x.images then return streams:narrow(1, first, count):to(x.device) end
  if x.images then
    local both, from, to = no_streams { x.rows, 2 }, nil, nil
    if seen then
      check(C.gal_row_streams(streams.h, seen.h, 0))
      core.assign(both:select(2, 1), streams)
      -- No two of these are equal, so that no image matters but the galaxy's own and those of its piece.
      from, to = first, first + count - 1
    end
    core.assign(both:select(2, 2), of_images(x.images, from, to))
    seen = both
  end
  check(C.gal_row_streams(streams.h, seen.h, 0))
  return core.dense(streams:narrow(1, first, count)):to(x.device)
end

--- inputs.given_streams(where, x, given): the streams of x's galaxies {N} that an option gives, checked, or,
-- where it is nil, x's own.
function inputs.given_streams(where, x, given)
  if type(given) == "nil" then return inputs.streams(x) end
  core.live(given, where, "streams")
  if given.dtype ~= "int64" or #given.shape ~= 1 or given:size(1) ~= x.rows then
    raise("%s: streams is %s %s, expected int64 {%d}, of flow:streams", where, given.dtype,
      core.shape_text(given), x.rows)
  end
  return core.dense(given:to(x.device))
end

-- Means and mean squares per channel of float32 images: two lists.
local function moments(images)
  local channels, rows = images:size(-1), images:size(1)
  local mean, square = {}, {}
  for c = 1, channels do mean[c], square[c] = 0, 0 end
  pieces(images, nil, function(part)
    local share = part:size(1) / rows
    part = part:reshape { -1, channels }
    local m, s = part:mean(1):totable(), (part * part):mean(1):totable()
    for c = 1, channels do mean[c], square[c] = mean[c] + share * m[c], square[c] + share * s[c] end
  end)
  return mean, square
end

--- inputs.image_statistics(images {N, ..., channels}, device): mean and deviation per channel, {channels}
-- each, on the device, over all rows; float32 in [0, 1] or uint8, a tensor or a set.
function inputs.image_statistics(images, device)
  local mean, square
  if images.dtype == "uint8" then
    mean, square = sets.of(images):moments()
  else
    mean, square = moments(images)
  end
  local deviation = {}
  for c = 1, #mean do
    deviation[c] = math.sqrt(math.max(0, square[c] - mean[c] ^ 2))
    if deviation[c] == 0 then deviation[c] = 1 end
  end
  local options = { device = device }
  return gal.tensor(mean, { #mean }, options), gal.tensor(deviation, { #mean }, options)
end

-- x {N, ..., channels}, contiguous, as images {N, H, W, channels}.
local function four(x)
  local shape = x.shape
  return #shape == 4 and x or x:reshape { shape[1], 1, -1, shape[#shape] }
end

--- inputs.standard_images(images {N, ..., channels}, scale): float32 images with mean 0 and deviation 1 per
-- channel over the training rows, on the device of the images; not taped. Images: a tensor, or some of a
-- resident set's (gal.images).
function inputs.standard_images(images, scale)
  if core.is_tensor(images) then images = { pixels = core.dense(images:detach()), shape = images.shape } end
  local pixels, index, turns = images.pixels, images.index, images.turns
  local y = core.new(images.shape, nil, pixels:device())
  check(C.gal_gather_images(four(y).h, four(pixels).h, index and index.h, images.first or 0,
    turns and turns.h, scale.image_mean.h, scale.image_std.h, images.bin or 1))
  return y
end

return inputs
