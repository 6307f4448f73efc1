-- flow/tiles: what draws and densities share: tiles, the features of a tile's galaxies, the units of
-- densities, options, and progress. A tile is a part of the work, some galaxies with some of their draws. One
-- is worked on at a time, so that memory does not grow with either number.
local C = require("ffi").C
local gal = require "gal"
local errors = require "gal.base.errors"
local host = require "gal.base.host"
local RESOLVED = require("gal.stats.host").RESOLVED
local precisions = require "gal.base.precision"
local arguments = require "gal.base.options"
local core = require "gal.tensor"
local sets = require "gal.images"
local units = require "gal.flow.units"
local raise = errors.raise

local tiles = {}

--- tiles.each(device, galaxies, n, least, fn): calls fn(first, k, draw, m) for tiles that cover `galaxies`
-- times n draws: those from galaxy `first` on, k of them, and of each the draws from `draw` on, m of them.
-- A tile is as many draws as the device says. m is n unless one galaxy's draws are more than a tile; then
-- it is a multiple of 4. least: draws a galaxy that are worked on at least, however few n is.
function tiles.each(device, galaxies, n, least, fn)
  local most = math.floor(gal.device_info(device).rows / 4) * 4
  local together, m = math.max(1, math.floor(most / math.max(n, least))), math.min(n, most)
  for first = 1, galaxies, together do
    for draw = 1, n, m do
      errors.poll()
      fn(first, math.min(together, galaxies - first + 1), draw, math.min(m, n - draw + 1))
    end
  end
end

-- The features of a few galaxies (Flow:encode), averaged over all turns of their images where the flow is
-- symmetric, unless `once`. At most `piece` images are encoded at once: all turns of one galaxy together take
-- a fifth of the time that they take one after another, and have the same bits.
local function encoded(flow, seen, images, piece, once)
  if once or not flow.symmetric then return flow:encode(seen, images) end
  local sum, m, together = 0, images:size(1), 8
  if 8 * m > piece then together = 1 end
  for turn = 0, 7, together do
    local all = gal.scope(function()
      local turned, told = {}, seen and {}
      for i = 1, together do
        turned[i] = core.turned(images, turn + i - 1)
        if seen then told[i] = seen end
      end
      return flow:encode(seen and gal.cat(told, 1), gal.cat(turned, 1)):keep()
    end)
    for i = 1, together do sum = sum + all:narrow(1, (i - 1) * m + 1, m) end
  end
  return sum / 8
end

--- tiles.features(flow, x, first, count[, options]): the features (Flow:encode) of these galaxies of x, which
-- inputs.conditions made, {count, width}; nil for an unconditional flow. The device says how many images are
-- encoded at a time. options: once (an image is encoded as it lies, also where the flow averages over its
-- turns), progress (called with the images encoded so far).
function tiles.features(flow, x, first, count, options)
  if x.features then return x.features:narrow(1, first, count) end
  local seen = x.context and flow:standard(x.context:narrow(1, first, count))
  if not x.images then return seen end
  local once, progress = options and options.once, options and options.progress
  local out, piece = {}, gal.device_info(x.device).images
  for at = 1, count, piece do
    errors.poll()
    local m = math.min(piece, count - at + 1)
    out[#out + 1] = gal.scope(function()
      local images = sets.batch(x.images, first + at - 1, m, x.device)
      return encoded(flow, seen and seen:narrow(1, at, m), images, piece, once):keep()
    end)
    if progress then progress(at + m - 1) end
  end
  return #out == 1 and out[1] or gal.cat(out, 1)
end

--- tiles.scale(where, flow): the flow's units; raises where it has not been trained.
function tiles.scale(where, flow)
  return flow.scale or raise("%s: the flow has not been trained: it has no units yet", where)
end

--- tiles.standard(flow, theta {M, d}): properties in the units in which the net works, {M, d}.
function tiles.standard(flow, theta) return units.standard(flow.scale, "theta", theta) end

--- tiles.log_scale(flow, z {M, d}): how much smaller the ln density per unit of theta is than the one per
-- standardised unit, at these standardised properties: ln of the product of theta's deviations, a number;
-- with the slopes where properties are bent (flow/units.lua), {M}.
function tiles.log_scale(flow, z) return units.log_stretch(flow.scale, z) end

--- tiles.log_normal(z {M, d}): log N(z; 0, I) of each row, {M}.
function tiles.log_normal(z)
  return (z * z):sum(2) * -0.5 - 0.5 * z:size(2) * math.log(2 * math.pi)
end

-- The steps' instants are a list. Single precision would not need as many: 1e6 steps change t by its last
-- bits.
local MOST_STEPS = 2 ^ 20

--- tiles.solver(where, options, device, density): the options steps (an integer or "auto"), tolerance and
-- precision, checked; density: whether densities are wanted, too.
function tiles.solver(where, options, device, density)
  local steps = options.steps
  if type(steps) == "string" and steps ~= "auto" then
    raise("%s: steps is the string \"%s\", expected an integer of at least 1, or \"auto\"", where, steps)
  end
  if steps ~= "auto" then steps = arguments.integer(where, options, "steps", 100, 1, MOST_STEPS) end
  local tolerance = arguments.number(where, options, "tolerance", 1e-3, 0)
  if tolerance == 0 then raise("%s: tolerance is 0, expected a number above it", where) end
  local precision = options.precision
  precisions.code(where, precision)
  if density and precision == "bf16" then
    raise('%s: precision is "bf16", too coarse for densities, expected "f32"', where)
  end
  precisions.check(where, precision, device, "flow_integrate")
  return steps, tolerance, precision
end

--- tiles.add_lost(list, z {k, m}, first): appends the number of each galaxy, from `first` on, that has a
-- standardised value which is not a number, or so far away that single precision does not tell it from
-- others.
function tiles.add_lost(list, z, first)
  local squares = (z * z):max(2) + (z * 0):sum(2) -- NaN where one is NaN or infinite
  for i, v in ipairs(squares:totable()) do
    if not (v <= RESOLVED ^ 2) then list[#list + 1] = first + i - 1 end
  end
end

--- tiles.tell_lost(options, what, lost, galaxies): leaves a notice of the galaxies in the list `lost`
-- (tiles.add_lost), whose `what` ("the draws") are lost, unless options.told is false. A galaxy may be in the
-- list several times in a row.
function tiles.tell_lost(options, what, lost, galaxies)
  if #lost == 0 or options.told == false then return end
  local numbers, count, last = {}, 0, nil
  for _, k in ipairs(lost) do
    if k ~= last then count, last = count + 1, k end
    if count <= 5 then numbers[count] = k end
  end
  local named = table.concat(numbers, ", ") .. (count > 5 and ", ..." or "")
  local form = "%s of %d of %d galaxies are not finite, or beyond single precision (row %s)"
  C.gal_leave_notice(form:format(what, count, galaxies, named))
end

-- Seconds after which a progress line appears: shorter work needs none.
local PATIENCE = 2

--- tiles.progress(where, options, total, unit): a function to be called with the work done so far, or nil
-- where no progress is shown; and a function that ends the line. options.progress: a function, called with
-- (done, total); true: a line that appears when the work takes more than two seconds; nil: true at the
-- prompt, else false.
function tiles.progress(where, options, total, unit)
  local wanted = options.progress
  if type(wanted) == "function" then return function(done) wanted(done, total) end, function() end end
  if type(wanted) ~= "nil" and type(wanted) ~= "boolean" then
    raise("%s: progress is %s, expected true, false or a function", where, errors.kind(wanted))
  end
  if wanted == nil then wanted = host.interactive end
  if not wanted then return nil, function() end end
  local line = require("gal.base.progress") { total = total, unit = unit, after = PATIENCE }
  return function(done) line:update { done = done } end, function() line:finish() end
end

--- tiles.part(progress, before[, share]): progress for a part of the work: a function of the rows of it that
-- are done, each of which counts as `share` (1) of one, after `before` others; nil where progress is.
function tiles.part(progress, before, share)
  return progress and function(rows) progress(before + (share or 1) * rows) end
end

return tiles
