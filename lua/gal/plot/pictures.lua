-- Layers of pixels: one image, and several side by side.
local ffi = require "ffi"
local arguments = require "gal.base.options"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local layer = require "gal.plot.layer"
local raise, kind = errors.raise, errors.kind

local pictures = {}

--- pictures.is_image(v): whether v is an image: a tensor {height, width, 3} of uint8.
function pictures.is_image(v)
  return core.is_tensor(v) and v.dtype == "uint8" and #v.shape == 3 and v:size(3) == 3
end

--- plot.picture(pixels, {scale = 1}): an image, a tensor {height, width, 3} of uint8, row 1 at the top. Alone
-- in a figure, each of its pixels is scale x scale of the figure's, which has a white rim of 1. Places of
-- labels on it are in its pixels: x from 0 at the left, y from 0 at the bottom.
function pictures.picture(pixels, given)
  local o = layer.options("picture", given, { "scale" })
  if not pictures.is_image(pixels) then
    raise("picture: pixels is %s, expected a tensor {height, width, 3} of uint8", kind(pixels))
  end
  local height, width = pixels:size(1), pixels:size(2)
  local scale = arguments.integer("picture", o, "scale", 1, 1, 20)
  local values, n = core.read(pixels)
  local form = "binary array=(%d,%d) flipy format='%%uchar' using 1:2:3"
  return layer.new{
    kind = "picture", width = width * scale, height = height * scale, binary = ffi.string(values, n),
    using = form:format(width, height), style = "with rgbimage", tight = true,
    extent = { -0.5, width - 0.5, -0.5, height - 0.5 },
  }
end

-- The images of a montage as a list; raises unless all are images of one size.
local function images_of(images)
  local list = images
  if core.is_tensor(images) then
    list = {}
    for k = 1, images:size(1) do list[k] = images:select(1, k) end
  end
  if type(list) ~= "table" or #list == 0 then
    raise("montage: images is %s, expected a list of images or a tensor {N, height, width, 3}", kind(images))
  end
  local first = list[1]
  for k, image in ipairs(list) do
    if not pictures.is_image(image) or image:size(1) ~= first:size(1) or image:size(2) ~= first:size(2) then
      raise("montage: image %d is %s, expected a tensor {height, width, 3} of uint8, all of one size", k,
        kind(image))
    end
  end
  return list, first:size(1), first:size(2)
end

--- plot.montage(images, {columns = 8, gap = 2}): the images side by side in rows, as one tensor {H, W, 3} of
-- uint8; the gaps are white. images: a list of tensors {height, width, 3} of one size, or a tensor {N,
-- height, width, 3}.
function pictures.montage(images, given)
  local o = layer.options("montage", given, { "columns", "gap" })
  local list, height, width = images_of(images)
  local columns = arguments.integer("montage", o, "columns", math.min(#list, 8), 1, 1000)
  local gap = arguments.integer("montage", o, "gap", 2, 0, 1000)
  local rows = math.ceil(#list / columns)
  local w, h = columns * width + (columns - 1) * gap, rows * height + (rows - 1) * gap
  local sheet = core.to_fill({ h, w, 3 }, "uint8")
  local to = ffi.cast("uint8_t *", sheet.h.data)
  ffi.fill(to, h * w * 3, 255)
  for k, image in ipairs(list) do
    local from = core.read(image)
    local x, y = (k - 1) % columns * (width + gap), math.floor((k - 1) / columns) * (height + gap)
    for row = 0, height - 1 do
      ffi.copy(to + ((y + row) * w + x) * 3, from + row * width * 3, width * 3)
    end
  end
  return sheet
end

return pictures
