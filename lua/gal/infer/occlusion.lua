-- infer/occlusion: where in its image a flow reads a galaxy's properties: by how much the density of the
-- properties changes when a patch of the image is painted over, patch by patch (Zeiler & Fergus 2014).
local arguments = require "gal.base.options"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local ffi = require "ffi"
local gal = require "gal"
local host = require "gal.stats.host"
local raise = errors.raise

local occlusion = {}

-- Occluded images that are worked on together: 3 MB at 128 x 128 pixels.
local TOGETHER = 64
-- How far into the image from its edge the pixels count as background.
local RIM = 2

--- occlusion.background(image): the median of each channel over the two outermost rings of pixels of an
-- image {height, width, channels} of uint8, 0 to 255, or float32: a list.
function occlusion.background(image)
  local shape = core.live(image, "background", "image").shape
  if #shape ~= 3 or image.dtype ~= "uint8" and image.dtype ~= "float32" or image:count() == 0 then
    raise("background: image is %s %s, expected {height, width, channels} uint8 or float32", image.dtype,
      core.shape_text(image))
  end
  local height, width, channels = unpack(shape)
  local pixels, fill = core.read(image), {}
  for c = 0, channels - 1 do
    local rim = {}
    for y = 0, height - 1 do
      for x = 0, width - 1 do
        if math.min(x, y, width - 1 - x, height - 1 - y) < RIM then
          rim[#rim + 1] = pixels[(y * width + x) * channels + c]
        end
      end
    end
    table.sort(rim)
    fill[c + 1] = rim[math.floor((#rim + 1) / 2)]
  end
  return fill
end

-- The patches of size x size pixels, `stride` apart, that cover an image: a list of {top, left}, from 0. They
-- reach over its edges, so that every cell of stride x stride pixels is in equally many.
local function patches_of(height, width, size, stride)
  local list = {}
  for top = stride - size, height - 1, stride do
    for left = stride - size, width - 1, stride do list[#list + 1] = { top, left } end
  end
  return list
end

-- The images {count, height, width, channels} with patches first … first + count - 1 painted over.
local function painted(image, patches, first, count, o)
  local height, width, channels = unpack(image.shape)
  local pixels, values = core.read(image), height * width * channels
  local y = core.to_fill({ count, height, width, channels }, image.dtype)
  local float = image.dtype == "float32"
  local to = ffi.cast(float and "float *" or "uint8_t *", y.h.data)
  for k = 0, count - 1 do
    local top, left = unpack(patches[first + k])
    ffi.copy(to + k * values, pixels, values * (float and 4 or 1))
    for row = math.max(top, 0), math.min(top + o.size, height) - 1 do
      for column = math.max(left, 0), math.min(left + o.size, width) - 1 do
        local at = to + k * values + (row * width + column) * channels
        for c = 1, channels do at[c - 1] = o.fill[c] end
      end
    end
  end
  return y
end

-- The mean over theta {m, d} of ln q of each image {count, ...}: an array from 0. context {1, c} or nil.
local function densities(flow, context, images, theta, o)
  local count, m = images:size(1), theta:size(1)
  local ones = {}
  for k = 1, count do ones[k] = 1 end
  local points = theta:reshape{ 1, m * theta:size(2) }:rows(ones):reshape{ count, m, theta:size(2) }
  local log_q = flow:log_prob(points, { context and context:rows(ones), images }, {
    steps = o.steps, tolerance = o.tolerance, told = false,
  })
  return (host.read(log_q:mean(2)))
end

local OPTIONS = { "size", "stride", "fill", "steps", "tolerance", "progress" }

-- The arguments, checked: the options with their defaults, theta {m, d}, context {1, c} or nil.
local function checked(flow, context, image, theta, given)
  local o = arguments.known("occlusion", given, OPTIONS)
  errors.object("occlusion", "flow", flow, { "log_prob" }, "a flow (gal.flow)")
  if not flow.encoder then raise "occlusion: the flow sees no images" end
  local fill = occlusion.background(image)
  local size = arguments.integer("occlusion", o, "size", 16, 1, 4096)
  local stride = arguments.integer("occlusion", o, "stride", math.max(1, math.floor(size / 2)), 1, size)
  if size % stride ~= 0 then
    raise("occlusion: size is %d, expected a multiple of the stride, %d", size, stride)
  end
  if o.fill ~= nil then
    fill = errors.list("occlusion", "fill", o.fill, "a list of a number for each channel")
    for c = 1, image:size(3) do
      local name = ("fill[%d]"):format(c)
      if image.dtype == "uint8" then
        errors.integer("occlusion", name, fill[c], 0, 255)
      else
        errors.number("occlusion", name, fill[c])
      end
    end
  end
  core.live(theta, "occlusion", "theta")
  if #theta.shape == 1 then theta = theta:reshape{ 1, -1 } end
  host.matrix("occlusion", "theta", theta, flow.d)
  if context ~= nil then
    core.live(context, "occlusion", "context")
    context = context:reshape{ 1, -1 }
  end
  return {
    size = size, stride = stride, fill = fill, steps = o.steps or "auto", tolerance = o.tolerance,
    progress = o.progress,
  }, theta, context
end

--- occlusion.map(flow, context {c} or nil, image {height, width, channels}, theta {d} or {m, d}, {size =
-- 16, stride = size / 2, fill =, steps = "auto", tolerance =, progress =}): by how much ln q(theta | image,
-- context), nats, changes where a patch of size x size pixels has the colour `fill`, by default the image's
-- background; the mean over m points theta, such as draws of the posterior. Below 0: what is seen there
-- speaks for theta. Returns {map {rows, columns}, a cell for each stride x stride pixels, row 1 at the top:
-- the mean over all patches that cover the cell; log_q, of the whole image; fill; patches, their number;
-- size; stride}. progress(done, all) is called after each batch of patches.
function occlusion.map(flow, context, image, theta, given)
  local o
  o, theta, context = checked(flow, context, image, theta, given)
  local height, width = image:size(1), image:size(2)
  local rows, columns = math.ceil(height / o.stride), math.ceil(width / o.stride)
  local patches, sum, cover = patches_of(height, width, o.size, o.stride), host.new(rows * columns), {}
  local whole = densities(flow, context, image:reshape{ 1, height, width, image:size(3) }, theta, o)[0]
  for first = 1, #patches, TOGETHER do
    errors.poll()
    local count = math.min(TOGETHER, #patches - first + 1)
    local log_q = densities(flow, context, painted(image, patches, first, count, o), theta, o)
    for k = 0, count - 1 do
      local top, left = unpack(patches[first + k])
      for i = math.max(0, top / o.stride), math.min(rows, (top + o.size) / o.stride) - 1 do
        for j = math.max(0, left / o.stride), math.min(columns, (left + o.size) / o.stride) - 1 do
          local cell = i * columns + j
          sum[cell], cover[cell] = sum[cell] + log_q[k] - whole, (cover[cell] or 0) + 1
        end
      end
    end
    if o.progress then o.progress(first + count - 1, #patches) end
  end
  local list = {}
  for cell = 0, rows * columns - 1 do list[cell + 1] = sum[cell] / cover[cell] end
  return {
    map = gal.tensor(list, { rows, columns }, { device = "cpu" }), log_q = whole, fill = o.fill,
    patches = #patches, size = o.size, stride = o.stride,
  }
end

return occlusion
