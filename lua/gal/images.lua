-- images: sets of images that need not be in memory: rows of a .npy file or of a tensor, cropped, binned
-- and, of float32, scaled as they are read. A set {N, H, W, C} has shape, dtype, size and rows, and is read
-- by set:batch. C reads it (runtime/io/images.c, images_float.c); gal.data.cutouts makes the .npy file of a
-- survey. A device that has the room holds a set whole (set:resident); for one that has not, a thread reads
-- ahead (set:loader).
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local collect = require "gal.base.collect"
local errors = require "gal.base.errors"
local json = require "gal.base.json"
local options_of = require "gal.base.options"
local C = ffi.C
local known, integer = options_of.known, options_of.integer
local raise, check = errors.raise, errors.check

local images = {}
local methods, Images = {}, {}

local out, loaded = ffi.new "gal_images *[1]", ffi.new "gal_loader *[1]"

--- is_set(v): whether v is a set of images.
function images.is_set(v) return getmetatable(v) == Images end

-- The handle of the C images that make(out, ...) makes.
local function made(make, ...) return collect.handle(C.gal_images_free, out, make, ...) end

-- The handle of a set of a tensor's rows, made when the host first reads them: a tensor of another device is
-- copied to the host then.
local function handle_of(self)
  local x = core.live(self.tensor, "images", "x"):detach()
  self.h = made(C.gal_images_of, core.outside(x.to, x, "cpu").h)
  return self.h
end

-- shape is a fresh table, as a tensor's is.
function Images.__index(self, key)
  if key == "h" then return handle_of(self) end
  if key ~= "shape" then return methods[key] end
  local x = rawget(self, "tensor")
  local shape = { x and x:size(1) or tonumber(C.gal_images_count(self.h)) }
  for i, n in ipairs(self.image) do shape[i + 1] = n end
  return shape
end

function Images.__tostring(self) return ("images %s %s"):format(core.shape_text(self), self.dtype) end

local function wrap(h, fields)
  fields.h = h
  return setmetatable(fields, Images)
end

-- The shape of an image as the set gives it.
local function image_of(h)
  local height, width = C.gal_images_side(h, 0), C.gal_images_side(h, 1)
  return { tonumber(height), tonumber(width), tonumber(C.gal_images_channels(h)) }
end

--- open(path[, {crop = 0, bin = 1, hashes = list}]): the images of a .npy file, uint8 {N, height, width, 3}
-- or float32 {N, height, width, bands}; of each the central crop x crop pixels (0: all), averaged over bin x
-- bin, of float32 over those that have a value. hashes: a list {N} of a hash of each image's pixels, so that
-- sets can be told apart without reading them.
function images.open(path, options)
  options = known("images", options, { "crop", "bin", "hashes" })
  errors.text("images", "path", path)
  local crop = integer("images", options, "crop", 0, 0, 2 ^ 53)
  local bin = integer("images", options, "bin", 1, 1, 2 ^ 53)
  local self = wrap(made(C.gal_images_open, path), { hashes = options.hashes, crop = crop, bin = bin })
  self.dtype = C.gal_images_is_float(self.h) ~= 0 and "float32" or "uint8"
  check(C.gal_images_shape(self.h, self.crop, self.bin))
  self.image = image_of(self.h)
  return self
end

--- cropped(x, crop, bin): the rows of a tensor {N, height, width, channels} of uint8 or float32 on the host
-- as a set whose images are cropped and binned as images.open's are.
function images.cropped(x, crop, bin)
  if #core.live(x, "images", "x").shape ~= 4 or x.dtype ~= "uint8" and x.dtype ~= "float32" then
    raise("images: x is %s %s, expected uint8 or float32 {N, height, width, channels}", x.dtype,
      core.shape_text(x))
  end
  crop, bin = errors.integer("images", "crop", crop, 0), errors.integer("images", "bin", bin, 1)
  local self = wrap(made(C.gal_images_of, core.dense(x).h), { dtype = x.dtype, crop = crop, bin = bin })
  check(C.gal_images_shape(self.h, crop, bin))
  self.image = image_of(self.h)
  return self
end

--- of(x): the rows of a tensor {N, ...} as a set; a set as it is. The set reads on the host: of a tensor on
-- another device it holds a copy there from the first time that it reads.
function images.of(x)
  if images.is_set(x) then return x end
  if #core.live(x, "images", "x").shape == 0 then raise "images: x is a tensor {}, expected {N, ...}" end
  local image = x.shape
  table.remove(image, 1)
  local self = { dtype = x.dtype, image = image, crop = 0, bin = 1, in_memory = true, tensor = x }
  if x:device() == "cpu" then handle_of(self) end
  return setmetatable(self, Images)
end

--- batch(x, first, count[, device]): set:batch, or the same of a tensor {N, ...}; device nil: where x is.
function images.batch(x, first, count, device)
  if images.is_set(x) then return x:batch(first, count, device) end
  core.live(x, "batch", "x")
  errors.device("batch", device)
  x = core.dense(x:narrow(1, first, count))
  return device and x:to(device) or x
end

--- images:size(dim): the size of dimension dim, from 1, or from the end, -1 being the last.
function methods:size(dim)
  local shape = self.shape
  local size = type(dim) == "number" and shape[dim < 0 and #shape + 1 + dim or dim]
  if size then return size end
  local found = type(dim) == "number" and ("%.14g"):format(dim) or errors.kind(dim)
  raise("size: dim is %s, expected an integer from 1 to %d (or -1 for the last) for images %s", found, #shape,
    core.shape_text(shape))
end

--- images:batch(first, count[, device = "cpu"]): the images from `first` on, `count` of them, as a tensor
-- {count, ...} on that device, read now.
function methods:batch(first, count, device)
  local shape = self.shape
  errors.integer("batch", "first", first, 1, shape[1] + 1)
  errors.integer("batch", "count", count, 0, shape[1] - first + 1)
  errors.device("batch", device)
  shape[1] = count
  local y = core.new(shape, self.dtype, "cpu")
  check(C.gal_images_read(y.h, self.h, first - 1, nil, nil))
  return device and y:to(device) or y
end

-- Positions from 1, a list, as C counts them.
local function positions_of(op, self, positions)
  errors.list(op, "positions", positions, "a list of numbers from 1")
  local index, n = ffi.new("int64_t[?]", #positions + 1), self.shape[1]
  for i = 1, #positions do
    index[i - 1] = errors.integer(op, ("positions[%d]"):format(i), positions[i], 1, n) - 1
  end
  return index, #positions
end

--- images:rows(positions): the set of the images at these positions, a list counting from 1.
function methods:rows(positions)
  local index, n = positions_of("rows", self, positions)
  local hashes = self.hashes and {}
  for i = 1, hashes and n or 0 do hashes[i] = self.hashes[positions[i]] end
  return wrap(made(C.gal_images_select, self.h, index, n), {
    dtype = self.dtype, image = self.image, hashes = hashes, crop = self.crop, bin = self.bin,
    in_memory = self.in_memory, scaling = self.scaling,
  })
end

--- images:scaled(scaling): the same float32 images as a network is shown them, by numbers that
-- gal.data.scaling chose.
function methods:scaled(scaling)
  errors.list("scaled", "scaling", scaling, "what gal.data.scaling chose")
  local c = ffi.new "gal_scaling"
  local n = #errors.list("scaled", "scaling.offset", scaling.offset, "a list of numbers")
  if n > C.GAL_LARGEST_BANDS then
    raise("scaled: scaling.offset has %d numbers, expected at most %d", n, tonumber(C.GAL_LARGEST_BANDS))
  end
  c.bands, c.asinh, c.mask = n, scaling.kind == "asinh" and 1 or 0, scaling.mask and 1 or 0
  for _, name in ipairs{ "offset", "softening", "low", "high", "fill" } do
    local list = errors.list("scaled", "scaling." .. name, scaling[name], "a list of numbers")
    for k = 1, n do
      c[name][k - 1] = errors.number("scaled", ("scaling.%s[%d]"):format(name, k), list[k])
    end
  end
  local whole = wrap(made(C.gal_images_select, self.h, nil, 0), {
    dtype = self.dtype, hashes = self.hashes, crop = self.crop, bin = self.bin, in_memory = self.in_memory,
    scaling = scaling,
  })
  check(C.gal_images_scale(whole.h, c))
  whole.image = image_of(whole.h)
  return whole
end

--- images:levels(first, count): what the bands of float32 images from `first` on are like: an array from 0 of
-- count * bands gal_levels (runtime/galrun_io.h).
function methods:levels(first, count)
  local n = self:size(1)
  errors.integer("levels", "first", first, 1, n + 1)
  errors.integer("levels", "count", count, 0, n - first + 1)
  local bands = self.image[#self.image] - (self.scaling and self.scaling.mask and 1 or 0)
  local levels = ffi.new("gal_levels[?]", math.max(1, count * bands))
  check(C.gal_images_levels(levels, self.h, first - 1, count))
  return levels, bands
end

--- images:read(positions, turns): the images at these positions, turned: {n, ...}. turns: for each a number
-- from 0 to 7: from 4 on it is mirrored left for right; then its remainder by 4 is quarter turns
-- anticlockwise.
function methods:read(positions, turns)
  local index, n = positions_of("read", self, positions)
  local shape, bytes = self.shape, ffi.new("uint8_t[?]", n + 1)
  if turns then errors.list("read", "turns", turns, "a list of numbers from 0 to 7") end
  for i = 1, turns and n or 0 do
    bytes[i - 1] = errors.integer("read", ("turns[%d]"):format(i), turns[i], 0, 7)
  end
  shape[1] = n
  local y = core.new(shape, self.dtype, "cpu")
  check(C.gal_images_read(y.h, self.h, 0, index, bytes))
  return y
end

--- images:moments(): the means and the mean squares of all pixels per channel, in [0, 1]: two lists. uint8
-- only.
function methods:moments()
  if self.dtype ~= "uint8" then raise("moments: the images are %s, expected uint8", self.dtype) end
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

local BYTES = { uint8 = 1, float32 = 4, int64 = 8, float64 = 8 } -- of a pixel's channel

--- images:fingerprint(h): a hash of the set, mixed with the hash h: of the images' hashes where they are
-- known, else of all pixels.
function methods:fingerprint(h)
  if not ffi.istype("uint64_t", h) then errors.integer("fingerprint", "h", h, 0, 2 ^ 53) end
  local text
  if self.hashes then
    text = table.concat(self.hashes, ",") .. (" %d %d"):format(self.crop, self.bin)
    if self.scaling then text = text .. json.encode(self.scaling) end
    return C.gal_hash(text, #text, h)
  end
  local n, bytes = self:size(1), BYTES[self.dtype]
  for _, size in ipairs(self.image) do bytes = bytes * size end
  for first = 1, n, 64 do
    errors.poll()
    local count = math.min(64, n - first + 1)
    h = gal.scope(function() return C.gal_hash(self:batch(first, count).h.data, count * bytes, h) end)
  end
  return h
end

-- ---- resident ----

local Resident = {}
Resident.__index = Resident

-- How many images are read and uploaded at once.
local PIECE = 256

-- The images of a set as one tensor on the device: as they are stored, but float32 as they are shown.
local function stored(self, device)
  local whole = made(C.gal_images_select, self.h, nil, 0)
  local n, shape = self:size(1), self.shape
  if #shape == 4 and self.dtype ~= "float32" then
    check(C.gal_images_shape(whole, 0, 1))
    shape[2], shape[3] = unpack(image_of(whole))
  end
  local pixels = core.new(shape, self.dtype, device)
  for first = 1, n, PIECE do
    errors.poll()
    shape[1] = math.min(PIECE, n - first + 1)
    gal.scope(function()
      local part = core.new(shape, self.dtype, "cpu")
      check(C.gal_images_read(part.h, whole, first - 1, nil, nil))
      core.assign(pixels:narrow(1, first, shape[1]), part)
    end)
  end
  return pixels
end

--- images:stored_bytes(): what the set takes where it is resident.
function methods:stored_bytes() return tonumber(C.gal_images_stored(self.h)) end

--- images:resident(device): the set held by that device, whole images as they are stored, or float32 as they
-- are shown: {pixels {N, ...}, image, bin}. Of a tensor on that device it is the tensor, not a copy.
function methods:resident(device)
  device = errors.device("resident", errors.text("resident", "device", device, "the name of a device"))
  local own = self.tensor and self.tensor:device() == device
  local pixels = own and self.tensor or stored(self, device)
  local bin = self.dtype == "float32" and 1 or self.bin
  return setmetatable({ pixels = pixels, image = self.image, bin = bin }, Resident)
end

-- Some of a resident set's images, for Flow:encode, which crops, bins, turns and standardises them as it
-- reads them: {pixels, shape {n, ...} of the images as the set gives them, bin, first or index, turns}.
local function some(self, n, fields)
  fields.pixels, fields.bin, fields.shape = self.pixels, self.bin, { n, unpack(self.image) }
  return fields
end

--- resident:batch(first, count): the images from `first` on, `count` of them.
function Resident:batch(first, count)
  local n = self.pixels:size(1)
  errors.integer("batch", "first", first, 1, n + 1)
  errors.integer("batch", "count", count, 0, n - first + 1)
  return some(self, count, { first = first - 1 })
end

--- resident:chosen(index, turns): the images at index int64 {n}, from 0, turned by turns uint8 {N}, one for
-- each of the set's images, or nil. What is in index and turns counts when the images are read.
function Resident:chosen(index, turns)
  core.live(index, "chosen", "index")
  if turns then core.live(turns, "chosen", "turns") end
  return some(self, index:size(1), { index = index, turns = turns })
end

-- ---- the loader ----

local Loader = {}
Loader.__index = Loader

--- images:loader(batch, device): a thread that reads batches of `batch` images ahead of their use on that
-- device.
function methods:loader(batch, device)
  errors.integer("loader", "batch", batch, 1, 2 ^ 53)
  errors.text("loader", "device", device, "the name of a device")
  local h = collect.handle(C.gal_loader_free, loaded, C.gal_loader_new, self.h, batch, device)
  local shape = self.shape
  shape[1] = batch
  return setmetatable({ h = h, shape = shape, dtype = self.dtype }, Loader)
end

--- loader:start(order, turns): an epoch: images in this order, int64 {rows} from 0, turned by turns uint8
-- {rows} or nil.
function Loader:start(order, turns)
  core.live(order, "start", "order")
  if turns then core.live(turns, "start", "turns") end
  check(C.gal_loader_start(self.h, order.h, turns and turns.h or nil))
end

--- loader:take(y, k): writes batch k of the epoch, counted from 1, into y {batch, ...}, which is on the
-- loader's device.
function Loader:take(y, k)
  core.live(y, "take", "y")
  check(C.gal_loader_take(y.h, self.h, errors.integer("take", "k", k, 1, 2 ^ 53) - 1))
end

Images.methods = errors.methods(methods, "images", Images)
errors.methods(Resident, "resident images")
errors.methods(Loader, "a loader")

return images
