-- data/picture: cutouts as pictures to look at: reading a few of them, undoing SkyServer's colours,
-- measuring, rescaling and comparing them. Training takes its images from gal.data.
local ffi = require "ffi"
local colours = require "gal.data.colours"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local files = require "gal.data.cutout_files"
local images = require "gal.images"
local packings = require "gal.data.packings"
local scaling = require "gal.data.scaling"
local C = ffi.C
local raise = errors.raise

local cutout = {}

-- The pixels of some cutouts (entries of gal.data.cutout_files) in a packing's form, and what became of each.
local function decode(packing, entries)
  local pixels = core.to_fill(packing:shape(#entries), packing.dtype)
  local decoded = ffi.new("gal_decoded[?]", #entries)
  packing:decode(pixels, decoded, entries)
  return pixels, decoded
end

-- Images {N, size, size, bands} of float32 as pictures, by a scaling of their own.
local function as_pictures(pixels, bands)
  local set = images.of(pixels)
  local numbers = scaling.choose(set, "asinh", bands, { progress = false })
  return colours.shown(set:scaled(numbers):batch(1, set:size(1)), numbers)
end

--- read(list[, size]): the cutouts at a list of paths, or of entries of gal.data.cutout_files, each size x
-- size pixels, by default as the first, as a tensor {N, size, size, 3} of uint8; of FITS in colours by what
-- they hold. A file that can't be read is left out, and a sentence about it stands in a list, the second
-- result. Raises where none can be read.
function cutout.read(list, size)
  local entries, whole, problems = {}, {}, {}
  for i, entry in ipairs(list) do entries[i] = type(entry) == "string" and files.entry(entry) or entry end
  local form = files.form(entries, entries[1].bands, {})
  form.size = size or form.size
  local pixels, decoded = decode(packings.of(form), entries)
  for i, entry in ipairs(entries) do
    if decoded[i - 1].status == 0 then
      whole[#whole + 1] = i
    else
      problems[#problems + 1] = ("%s %s"):format(entry.path, ffi.string(decoded[i - 1].problem))
    end
  end
  if #whole == 0 then raise("none of %d cutouts can be read: %s", #entries, problems[1]) end
  if #whole < #entries then pixels = pixels:rows(whole) end
  return form.deep and as_pictures(pixels, form.bands) or pixels, problems
end

--- decoded(op, paths, prepared): the cutouts at these paths as a run's were decoded (survey.prepared),
-- unscaled: {N, size, size, channels}. Raises, as `op`, where one is not as they were.
function cutout.decoded(op, paths, prepared)
  local entries, bands = {}, prepared.scaling and prepared.scaling.bands
  for i, file in ipairs(paths) do entries[i] = files.entry(file) end
  local form = {
    deep = bands ~= nil, bands = bands, size = prepared.side or files.form(entries, nil, {}).size,
    resize = prepared.resize or 0,
  }
  local pixels, decoded = decode(packings.of(form), entries)
  for i, file in ipairs(paths) do
    local d = decoded[i - 1]
    if d.status == C.GAL_SHAPE and d.width ~= form.size then
      raise("%s: %s is %d x %d pixels, expected %d x %d as the run's cutouts", op, file, d.width, d.height,
        form.size, form.size)
    elseif d.status ~= 0 then
      raise("%s: %s %s", op, file, ffi.string(d.problem))
    elseif not packings.same_scale(d.scale, prepared.pixel_scale or 0) then
      raise("%s: %s has pixels of %.4g arcsec, expected %.4g as the run's cutouts", op, file, d.scale,
        prepared.pixel_scale)
    end
  end
  return pixels
end

--- light(mean): the brightness I that SkyServer's colours show, from the mean of red, green and blue: I =
-- sinh(8 mean / 255) / 8 (runtime/mock/IMAGES.md), in units of about 0.4 nanomaggies of r a pixel. Right
-- wherever no channel reached 255.
function cutout.light(mean) return (math.exp(8 * mean / 255) - math.exp(-8 * mean / 255)) / 16 end

local function median(list)
  table.sort(list)
  local n = #list
  return n % 2 == 1 and list[(n + 1) / 2] or (list[n / 2] + list[n / 2 + 1]) / 2
end
cutout.median = median

-- The centre of an image of `size` pixels, from 0.
local function centre(size) return (size - 1) / 2 end

--- profile(image, step): rings of `step` pixels around the centre of an image {size, size, 3}: lists of their
-- red, green, blue medians.
function cutout.profile(image, step)
  local values, size = core.read(image), image:size(1)
  local c, rings = centre(size), {}
  for y = 0, size - 1 do
    for x = 0, size - 1 do
      local k = math.floor(math.sqrt((x - c) ^ 2 + (y - c) ^ 2) / step) + 1
      if k <= c / step then
        local ring = rings[k] or { {}, {}, {} }
        rings[k] = ring
        for channel = 1, 3 do ring[channel][#ring[channel] + 1] = values[(y * size + x) * 3 + channel - 1] end
      end
    end
  end
  local out = { {}, {}, {} }
  for k, ring in ipairs(rings) do
    for channel = 1, 3 do out[channel][k] = median(ring[channel]) end
  end
  return out
end

--- radii(image): the Petrosian half-light and 90 % radii, pixels, of the galaxy in the middle of an image
-- {size, size, 3}, by SDSS's definition (Strauss et al. 2002): the Petrosian radius is where a ring's
-- brightness is a fifth of the mean within it, and all of the light is the light within two such radii.
function cutout.radii(image)
  local values, size = core.read(image), image:size(1)
  local c, far, bins, count = centre(size), {}, ffi.new("double[?]", 4 * size), ffi.new("double[?]", 4 * size)
  for y = 0, size - 1 do
    for x = 0, size - 1 do
      local k, r = (y * size + x) * 3, math.sqrt((x - c) ^ 2 + (y - c) ^ 2)
      local light, bin = cutout.light((values[k] + values[k + 1] + values[k + 2]) / 3), math.floor(4 * r)
      bins[bin], count[bin] = bins[bin] + light, count[bin] + 1
      if r > 0.86 * c then far[#far + 1] = light end
    end
  end
  -- The light above the sky within whole quarters of a pixel; between them it grows with the area.
  local sky, sum = median(far), { [0] = 0 }
  for bin = 0, 4 * size - 1 do sum[bin + 1] = sum[bin] + bins[bin] - sky * count[bin] end
  local function within(r)
    local low = math.min(math.floor(4 * r), 4 * size - 1)
    return sum[low] + (16 * r * r - low * low) / (2 * low + 1) * (sum[low + 1] - sum[low])
  end
  local petrosian = 2
  while petrosian < c do
    local ring = (within(1.25 * petrosian) - within(0.8 * petrosian)) / (1.25 ^ 2 - 0.8 ^ 2)
    if ring < 0.2 * within(petrosian) then break end
    petrosian = petrosian + 0.25
  end
  local all, half, ninety = within(math.min(2 * petrosian, c)), nil, nil
  for r = 0.05, c, 0.05 do
    half = half or (within(r) >= 0.5 * all and r) or nil
    ninety = ninety or (within(r) >= 0.9 * all and r) or nil
  end
  return half or c, ninety or c
end

--- rescale(image, width): the middle `width` pixels of an image {size, size, 3} spread over all of a new one,
-- by Catmull and Rom's (1974) cubic; beyond the frame its edge goes on.
function cutout.rescale(image, width)
  local values, size = core.read(image), image:size(1)
  local out = core.to_fill({ size, size, 3 }, "uint8")
  local to = ffi.cast("uint8_t *", out.h.data)
  local place, weight = {}, {}
  for i = 0, size - 1 do
    local x = centre(size) + ((i + 0.5) / size - 0.5) * width
    local first = math.floor(x)
    local t = x - first
    weight[i] = {
      ((2 - t) * t - 1) * t / 2, ((3 * t - 5) * t * t + 2) / 2,
      ((4 - 3 * t) * t + 1) * t / 2, (t - 1) * t * t / 2,
    }
    place[i] = {}
    for k = 1, 4 do place[i][k] = math.max(0, math.min(size - 1, first + k - 2)) end
  end
  local rows = ffi.new("double[?]", size * size * 3)
  for y = 0, size - 1 do
    for i = 0, size - 1 do
      local p, w = place[i], weight[i]
      for channel = 0, 2 do
        local sum = 0
        for k = 1, 4 do sum = sum + w[k] * values[(y * size + p[k]) * 3 + channel] end
        rows[(y * size + i) * 3 + channel] = sum
      end
    end
  end
  for j = 0, size - 1 do
    local p, w = place[j], weight[j]
    for x = 0, size * 3 - 1 do
      local sum = 0
      for k = 1, 4 do sum = sum + w[k] * rows[p[k] * size * 3 + x] end
      to[j * size * 3 + x] = math.floor(math.max(0, math.min(255, sum)) + 0.5)
    end
  end
  return out
end

--- numbers(image): the looks of a cutout in numbers, in counts of 255: level = {r, g, b} and noise = {r, g,
-- b}, the median and the deviation in the second quietest of its corners (16 x 16 pixels); peak = {r, g, b},
-- the largest within 8 pixels (of 128) of the middle; core and disc, the mean {r - g, g - b} within 4 and
-- from 8 to 14 pixels of 128; half and ninety, its radii in pixels.
function cutout.numbers(image)
  local values, size = core.read(image), image:size(1)
  local c, corners = centre(size), {}
  for corner = 0, 3 do
    local x0, y0 = corner % 2 * (size - 16), math.floor(corner / 2) * (size - 16)
    local list, sum, squares, all = { {}, {}, {} }, { 0, 0, 0 }, { 0, 0, 0 }, 0
    for y = y0, y0 + 15 do
      for x = x0, x0 + 15 do
        for k = 1, 3 do
          local v = values[(y * size + x) * 3 + k - 1]
          list[k][#list[k] + 1], sum[k], squares[k] = v, sum[k] + v, squares[k] + v * v
        end
      end
    end
    local noise, level = {}, {}
    for k = 1, 3 do
      local variance = squares[k] / 256 - (sum[k] / 256) ^ 2
      noise[k], level[k], all = math.sqrt(math.max(0, variance)), median(list[k]), all + squares[k]
    end
    corners[corner + 1] = { noise = noise, level = level, order = all }
  end
  table.sort(corners, function(a, b) return a.order < b.order end)
  local peak, core_, disc = { 0, 0, 0 }, { 0, 0, 0, n = 0 }, { 0, 0, 0, n = 0 }
  for y = 0, size - 1 do
    for x = 0, size - 1 do
      local r = math.sqrt((x - c) ^ 2 + (y - c) ^ 2) * 128 / size
      local into = r < 4 and core_ or r >= 8 and r < 14 and disc or nil
      for k = 1, 3 do
        local v = values[(y * size + x) * 3 + k - 1]
        if r < 8 then peak[k] = math.max(peak[k], v) end
        if into then into[k] = into[k] + v end
      end
      if into then into.n = into.n + 1 end
    end
  end
  local function differences(m) return { (m[1] - m[2]) / m.n, (m[2] - m[3]) / m.n } end
  local half, ninety = cutout.radii(image)
  return {
    half = half, ninety = ninety, level = corners[2].level, noise = corners[2].noise, peak = peak,
    core = differences(core_), disc = differences(disc),
  }
end

-- Width of a cutout in Petrosian 90 % radii, where each was cut at 2 R90 / (0.396 x 128) arcsec a pixel.
local FRAME = 2 / 0.396

--- by_size(images[, tick]): a list of those images {N, size, size, 3} in which their galaxy's frame of 5.05
-- Petrosian 90 % radii has room, cut to that frame. tick is called for each.
function cutout.by_size(images, tick)
  local cut = {}
  for k = 1, images:size(1) do
    errors.poll()
    if tick then tick() end
    local image = images:select(1, k)
    local _, ninety = cutout.radii(image)
    if FRAME * ninety <= image:size(1) then cut[#cut + 1] = cutout.rescale(image, FRAME * ninety) end
  end
  return cut
end

-- A cutout's numbers under the names that a comparison shows.
local SHOWN = {}
for k, channel in ipairs{ "red", "green", "blue" } do
  SHOWN[k] = { "sky level, " .. channel, function(v) return v.level[k] end }
  SHOWN[3 + k] = { "sky noise, " .. channel, function(v) return v.noise[k] end }
  SHOWN[6 + k] = { "peak, " .. channel, function(v) return v.peak[k] end }
end
for k, pair in ipairs{ "red - green", "green - blue" } do
  SHOWN[9 + k] = { "centre, " .. pair, function(v) return v.core[k] end }
  SHOWN[11 + k] = { "disc, " .. pair, function(v) return v.disc[k] end }
end
SHOWN[14] = { "90 % radius, pixels", function(v) return v.ninety end }
SHOWN[15] = { "half-light over 90 % radius", function(v) return v.half / v.ninety end }

--- compare(sets, quantiles[, tick]): rows of a table, for every number of cutouts and each of the sets
-- {{name, list of images}, …} its quantiles over the set. tick is called for each image.
function cutout.compare(sets, quantiles, tick)
  local rows, all = {}, {}
  for i, set in ipairs(sets) do
    all[i] = {}
    for k, image in ipairs(set[2]) do
      errors.poll()
      if tick then tick() end
      all[i][k] = cutout.numbers(image)
    end
  end
  for _, shown in ipairs(SHOWN) do
    for i, set in ipairs(sets) do
      local values, row = {}, { i == 1 and shown[1] or "", set[1] }
      for k, v in ipairs(all[i]) do values[k] = shown[2](v) end
      local found = require("gal.metrics").quantile(values, quantiles)
      for _, q in ipairs(found) do row[#row + 1] = ("%.2f"):format(q) end
      rows[#rows + 1] = row
    end
  end
  return rows
end

--- median_profile(images, step): the medians over a list of images of their profiles: three lists.
function cutout.median_profile(images, step)
  local all, out = {}, { {}, {}, {} }
  for i, image in ipairs(images) do all[i] = cutout.profile(image, step) end
  for channel = 1, 3 do
    for k = 1, #all[1][channel] do
      local values = {}
      for i, p in ipairs(all) do values[i] = p[channel][k] end
      out[channel][k] = median(values)
    end
  end
  return out
end

return cutout
