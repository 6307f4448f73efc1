-- data/colours: images in single precision as pictures to look at: three of their bands in colours, or one in
-- grey, by an asinh stretch (Lupton et al. 2004), as a survey's scaling has its sky and noise.
local ffi = require "ffi"
local bands_of = require "gal.data.bands"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local scaling_of = require "gal.data.scaling"
local raise, asinh = errors.raise, scaling_of.asinh

local colours = {}

-- Black is so many deviations of the noise below the sky.
local BELOW = 1

-- A function from a value of band k, as the scaling shows it, to a brightness from 0 to 255.
local function brightness(scaling, k)
  local offset, softening = scaling.offset[k], scaling.softening[k]
  local low, high = scaling.low[k], scaling.high[k]
  local linear = scaling.kind == "linear"
  local most = linear and asinh((high - offset) / softening) or high
  local black = -asinh(BELOW)
  return function(v)
    v = low + v * (high - low)
    if linear then v = asinh((v - offset) / softening) end
    return math.max(0, math.min(255, 255 * (v - black) / (most - black)))
  end
end

--- colours.shown(images, scaling): images {n, H, W, channels} as pictures {n, H, W, 3} of uint8: those of
-- uint8 in three channels as they are; of float32, scaled as `scaling` (gal.data.scaling) says, the bands
-- that gal.data.bands chooses; without scaling, their first three channels, or the first, from 0 to 1.
function colours.shown(images, scaling)
  local shape = core.live(images, "shown", "images").shape
  if #shape ~= 4 then
    raise("shown: images is %s, expected {n, height, width, channels}", core.shape_text(images))
  end
  if images.dtype == "uint8" and shape[4] == 3 then return images end
  local values, n = core.read(images:to "cpu")
  local channels, places = shape[4], { 1, shape[4] >= 3 and 2 or 1, shape[4] >= 3 and 3 or 1 }
  local as = {}
  if scaling then
    places = { bands_of.colours(scaling.bands) }
    for k = 1, #scaling.bands do as[k] = brightness(scaling, k) end
  end
  local unit = images.dtype == "uint8" and 1 or 255
  local function plain(v) return math.max(0, math.min(255, unit * v)) end
  local out = core.to_fill({ shape[1], shape[2], shape[3], 3 }, "uint8")
  local to = ffi.cast("uint8_t *", out.h.data)
  for i = 0, n / channels - 1 do
    local sum = 0
    for k = 1, 3 do
      local place = places[k]
      if place then
        local v = (as[place] or plain)(values[i * channels + place - 1])
        to[i * 3 + k - 1], sum = v + 0.5, sum + v
      end
    end
    if places[2] == false then to[i * 3 + 1] = sum / 2 + 0.5 end
  end
  return out
end

return colours
