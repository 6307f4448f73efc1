-- images: sets of images that need not be in memory: rows of a .npy file or of a tensor, cropped and binned
-- as they are read. A set is used like a tensor {N, H, W, 3}: size, shape, dtype, narrow, rows. C reads them
-- (runtime/io/images.c); gal.data.cutouts makes the .npy file of a survey.
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local known = require("gal.base.options").known
local C = ffi.C
local check = errors.check

local images = {}
local methods, Images = {}, {}

local out, loaded = ffi.new "gal_images *[1]", ffi.new "gal_loader *[1]"

--- is_set(v): whether v is a set of images.
function images.is_set(v) return getmetatable(v) == Images end

-- shape is a fresh table, as a tensor's is.
function Images.__index(self, key)
  if key ~= "shape" then return methods[key] end
  local shape = { tonumber(C.gal_images_count(self.h)) }
  for i, n in ipairs(self.image) do shape[i + 1] = n end
  return shape
end

function Images.__tostring(self) return ("images %s %s"):format(core.shape_text(self), self.dtype) end

local function wrap(fields)
  fields.h = ffi.gc(out[0], C.gal_images_free)
  return setmetatable(fields, Images)
end

local function side(h, which) return tonumber(C.gal_images_side(h, which)) end

--- open(path[, {crop = 0, bin = 1, hashes = list}]): the images of a .npy file, uint8 {N, height, width, 3};
-- of each the central crop x crop pixels (0: all), averaged over bin x bin. hashes: a list {N} of a hash of
-- each image's pixels, so that sets can be told apart without reading them.
function images.open(path, options)
  options = known("images", options, { "crop", "bin", "hashes" })
  check(C.gal_images_open(out, path))
  local crop, bin = options.crop or 0, options.bin or 1
  local self = wrap{ dtype = "uint8", hashes = options.hashes, crop = crop, bin = bin }
  check(C.gal_images_shape(self.h, self.crop, self.bin))
  self.image = { side(self.h, 0), side(self.h, 1), 3 }
  return self
end

--- of(x): the rows of a tensor {N, ...} as a set; a set as it is.
function images.of(x)
  if images.is_set(x) then return x end
  check(C.gal_images_of(out, x.h))
  local image = x.shape
  table.remove(image, 1)
  return wrap{ dtype = x.dtype, image = image, crop = 0, bin = 1 }
end

function methods:size(dim)
  local shape = self.shape
  return shape[dim < 0 and #shape + 1 + dim or dim]
end

function methods:device() return "cpu" end
function methods:shape_text() return core.shape_text(self.shape) end

--- images:narrow(1, first, count): the images from `first` on, `count` of them, as a tensor, read now.
function methods:narrow(_, first, count)
  local shape = self.shape
  shape[1] = count
  local y = core.new(shape, self.dtype, "cpu")
  check(C.gal_images_read(y.h, self.h, first - 1, nil, nil))
  return y
end

--- images:rows(positions): the set of the images at these positions, a list counting from 1.
function methods:rows(positions)
  local index, hashes = ffi.new("int64_t[?]", #positions + 1), self.hashes and {}
  for i, k in ipairs(positions) do
    index[i - 1] = k - 1
    if hashes then hashes[i] = self.hashes[k] end
  end
  check(C.gal_images_select(out, self.h, index, #positions))
  return wrap{ dtype = self.dtype, image = self.image, hashes = hashes, crop = self.crop, bin = self.bin }
end

--- images:read(positions, turns): the images at these positions, turned: {n, ...}. turns: for each a number
-- from 0 to 7: from 4 on it is mirrored left for right; then its remainder by 4 is quarter turns
-- anticlockwise.
function methods:read(positions, turns)
  local n, shape = #positions, self.shape
  local index, bytes = ffi.new("int64_t[?]", n + 1), ffi.new("uint8_t[?]", n + 1)
  for i = 1, n do index[i - 1], bytes[i - 1] = positions[i] - 1, turns and turns[i] or 0 end
  shape[1] = n
  local y = core.new(shape, self.dtype, "cpu")
  check(C.gal_images_read(y.h, self.h, 0, index, bytes))
  return y
end

--- images:moments(): the means and the mean squares of all pixels per channel, in [0, 1]: two lists. uint8
-- only.
function methods:moments()
  local channels, pixels = self.image[#self.image], self.shape[1]
  for i = 1, #self.image - 1 do pixels = pixels * self.image[i] end
  local sums, squares = ffi.new("double[?]", channels), ffi.new("double[?]", channels)
  check(C.gal_images_moments(sums, squares, self.h, channels))
  local mean, square = {}, {}
  for c = 1, channels do
    mean[c], square[c] = sums[c - 1] / pixels / 255, squares[c - 1] / pixels / 255 ^ 2
  end
  return mean, square
end

--- images:square(): whether the eight symmetries of a square keep their shape.
function methods:square() return #self.image == 3 and self.image[1] == self.image[2] end

--- images:fingerprint(h): a hash of the set, mixed with the hash h: of the images' hashes where they are
-- known, else of all pixels.
function methods:fingerprint(h)
  local text
  if self.hashes then
    text = table.concat(self.hashes, ",") .. (" %d %d"):format(self.crop, self.bin)
    return C.gal_hash(text, #text, h)
  end
  local n, bytes = self:size(1), self.dtype == "uint8" and 1 or 4
  for _, size in ipairs(self.image) do bytes = bytes * size end
  for first = 1, n, 64 do
    errors.poll()
    local count = math.min(64, n - first + 1)
    h = gal.scope(function() return C.gal_hash(self:narrow(1, first, count).h.data, count * bytes, h) end)
  end
  return h
end

-- ---- the loader ----

local Loader = {}
Loader.__index = Loader

--- images:loader(batch, device): a thread that reads batches of `batch` images ahead of their use on that
-- device.
function methods:loader(batch, device)
  check(C.gal_loader_new(loaded, self.h, batch, device))
  local shape = self.shape
  shape[1] = batch
  return setmetatable({ h = ffi.gc(loaded[0], C.gal_loader_free), shape = shape, dtype = self.dtype }, Loader)
end

--- loader:start(order, turns): an epoch: images in this order, int64 {rows} from 0, turned by turns uint8
-- {rows} or nil.
function Loader:start(order, turns) check(C.gal_loader_start(self.h, order.h, turns and turns.h or nil)) end

--- loader:take(y, k): writes batch k of the epoch, counted from 1, into y {batch, ...}, which is on the
-- loader's device.
function Loader:take(y, k) check(C.gal_loader_take(y.h, self.h, k - 1)) end

return images
