-- What a panel of a figure shows: layers, each with its data as text (or bytes) and the clause by which
-- gnuplot draws it. gal.plot puts them together.
local ffi = require "ffi"
local arguments = require "gal.base.options"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local host = require "gal.stats.host"
local raise, kind = errors.raise, errors.kind

local layers = { public = {} }
local public = layers.public
local Layer = {}

function layers.is_layer(v) return getmetatable(v) == Layer end

local function layer(fields) return setmetatable(fields, Layer) end

-- The numbers of x, a list or a tensor {n}: an array that counts from 0, and n.
local function numbers(where, name, x)
  if core.is_tensor(x) then
    if #x.shape ~= 1 then
      raise("%s: %s is a tensor %s, expected shape {n}", where, name, x:shape_text())
    end
    return host.read(x)
  end
  if type(x) ~= "table" then
    raise("%s: %s is %s, expected a list of numbers or a tensor {n}", where, name, kind(x))
  end
  for i = 1, #x do
    local v = x[i]
    if type(v) ~= "number" then raise("%s: %s[%d] is %s, expected a number", where, name, i, kind(v)) end
  end
  return host.read(x)
end

-- The numbers of several arguments, all of one length: a list of arrays from 0, and the length.
local function together(where, given)
  local arrays, n, first = {}, nil, nil
  for i, pair in ipairs(given) do
    local values, count = numbers(where, pair[1], pair[2])
    if n and count ~= n then raise("%s: %s has %d values, %s has %d", where, pair[1], count, first, n) end
    arrays[i], n, first = values, count, first or pair[1]
  end
  return arrays, n
end

local function text_of(v) return v ~= v and "nan" or ("%.8g"):format(v) end

-- Lines of columns.
local function data(arrays, n)
  local lines = {}
  for i = 0, n - 1 do
    local row = {}
    for k, values in ipairs(arrays) do row[k] = text_of(values[i]) end
    lines[i + 1] = table.concat(row, " ")
  end
  if n == 0 then lines[1] = "nan nan nan" end
  return table.concat(lines, "\n") .. "\n"
end

local function options(where, given, known)
  local o = arguments.known(where, given, known)
  local colour = o.colour
  if colour and (type(colour) ~= "string" or not colour:match "^#%x%x%x%x%x%x$") then
    raise("%s: colour is %s, expected such as \"#0072B2\"", where, kind(colour))
  end
  return o
end

-- A layer of columns of numbers, in the colour and under the title that the options give.
local function curve(name, o, text, clause)
  return layer{
    kind = name, title = o.title, colour = o.colour, coloured = true, data = text, clause = clause,
  }
end

-- Smallest and largest finite value, apart from each other.
local function span(where, name, values, n, given)
  if given then
    local low, high = unpack(type(given) == "table" and given or {})
    if type(low) ~= "number" or type(high) ~= "number" or not (low < high) or high - low == math.huge then
      raise("%s: %s is %s, expected two numbers {low, high}", where, name, kind(given))
    end
    return low, high
  end
  local low, high = math.huge, -math.huge
  for i = 0, n - 1 do
    local v = values[i]
    if v > -math.huge and v < math.huge then low, high = math.min(low, v), math.max(high, v) end
  end
  if low > high then return 0, 1 end
  if low == high then return low - 0.5, high + 0.5 end
  return low, high
end

--- plot.points(x, y, {title =, colour =, size = 0.35, error = list of deviations in y}): a dot for each pair.
function public.points(x, y, given)
  local o = options("points", given, { "title", "colour", "size", "error" })
  local columns = { { "x", x }, { "y", y } }
  if o.error then columns[3] = { "error", o.error } end
  local arrays, n = together("points", columns)
  local size = arguments.number("points", o, "size", 0.35, 0)
  local form = o.error and "1:2:3 with yerrorbars" or "1:2 with points"
  return curve("points", o, data(arrays, n), ("using %s pt 7 ps %g lc COLOUR"):format(form, size))
end

--- plot.lines(x, y, {title =, colour =, width = 1.5, dash = 1}): points joined in their order; NaN leaves a
-- gap. dash: gnuplot's dash type.
function public.lines(x, y, given)
  local o = options("lines", given, { "title", "colour", "width", "dash" })
  local arrays, n = together("lines", { { "x", x }, { "y", y } })
  local width = arguments.number("lines", o, "width", 1.5, 0)
  local dash = arguments.integer("lines", o, "dash", 1, 1, 10)
  local clause = ("using 1:2 with lines lw %g dt %d lc COLOUR"):format(width, dash)
  return curve("lines", o, data(arrays, n), clause)
end

--- plot.band(x, low, high, {title =, colour =}): the area between two curves.
function public.band(x, low, high, given)
  local o = options("band", given, { "title", "colour" })
  local arrays, n = together("band", { { "x", x }, { "low", low }, { "high", high } })
  return curve("band", o, data(arrays, n), "using 1:2:3 with filledcurves fs solid 0.3 lc COLOUR")
end

--- plot.histogram(values, {bins = 40, range = {low, high}, density = false, filled = false, title =,
-- colour =}): counts, or with `density` the density, whose integral over all values is 1. Values outside the
-- range are left out (the density is still of all).
function public.histogram(values, given)
  local o = options("histogram", given, { "bins", "range", "density", "filled", "title", "colour" })
  local v, n = numbers("histogram", "values", values)
  local bins = arguments.integer("histogram", o, "bins", 40, 1, 1e5)
  local low, high = span("histogram", "range", v, n, o.range)
  local width, count, all = (high - low) / bins, {}, 0
  for i = 0, bins - 1 do count[i] = 0 end
  for i = 0, n - 1 do
    if v[i] == v[i] then all = all + 1 end
    local bin = math.floor((v[i] - low) / width)
    if v[i] == high then bin = bins - 1 end
    if bin >= 0 and bin < bins then count[bin] = count[bin] + 1 end
  end
  local scale, lines = o.density and all > 0 and 1 / (all * width) or 1, {}
  for i = -1, bins do
    lines[#lines + 1] = ("%.8g %.8g"):format(low + (i + 0.5) * width, (count[i] or 0) * scale)
  end
  local clause = "using 1:2 with histeps lw 1.5 lc COLOUR"
  if o.filled then clause = ("using 1:2:(%.9g) with boxes lc COLOUR"):format(width) end
  return curve("histogram", o, table.concat(lines, "\n") .. "\n", clause)
end

-- The bin, from 0, of a value in `bins` bins from low to high, of which the last has its upper end too.
local function bin_of(value, low, high, bins)
  if value == high then return bins - 1 end
  return math.floor((value - low) / (high - low) * bins)
end

-- Counts of pairs in bins x bins cells: {count (from 0 at low x and low y, x fastest), bins, place}, where
-- place(i, j) is the text "x y" of the centre of cell (i, j), or of a point between centres.
local function grid_of(where, x, y, o)
  local arrays, n = together(where, { { "x", x }, { "y", y } })
  local bins = arguments.integer(where, o, "bins", 50, 2, 2000)
  local x0, x1 = span(where, "xrange", arrays[1], n, o.xrange)
  local y0, y1 = span(where, "yrange", arrays[2], n, o.yrange)
  local count, dx, dy = host.new(bins * bins), (x1 - x0) / bins, (y1 - y0) / bins
  for k = 0, n - 1 do
    local i, j = bin_of(arrays[1][k], x0, x1, bins), bin_of(arrays[2][k], y0, y1, bins)
    if i >= 0 and i < bins and j >= 0 and j < bins then count[j * bins + i] = count[j * bins + i] + 1 end
  end
  local function place(i, j) return ("%.8g %.8g"):format(x0 + (i + 0.5) * dx, y0 + (j + 0.5) * dy) end
  return { count = count, bins = bins, place = place }
end

--- plot.density(x, y, {bins = 50, xrange =, yrange =, root = true}): how many pairs lie in each cell, as
-- shades; their square roots, so that the thin parts are seen too.
function public.density(x, y, given)
  local o = options("density", given, { "bins", "xrange", "yrange", "root" })
  local grid = grid_of("density", x, y, o)
  local lines, bins = {}, grid.bins
  for j = 0, bins - 1 do
    for i = 0, bins - 1 do
      local c = grid.count[j * bins + i]
      lines[#lines + 1] = ("%s %.6g"):format(grid.place(i, j), o.root == false and c or math.sqrt(c))
    end
    lines[#lines + 1] = ""
  end
  lines[#lines] = nil
  return layer{
    kind = "density", data = table.concat(lines, "\n") .. "\n", clause = "using 1:2:3 with image pixels",
  }
end

-- Three passes of [1 2 1] / 4 along both axes: a Gaussian of 1.2 cells.
local function smooth(count, bins)
  local other = host.new(bins * bins)
  for _ = 1, 3 do
    for axis = 0, 1 do
      local step = axis == 0 and 1 or bins
      for j = 0, bins - 1 do
        for i = 0, bins - 1 do
          local at, along = j * bins + i, axis == 0 and i or j
          local before = along > 0 and count[at - step] or 0
          local after = along < bins - 1 and count[at + step] or 0
          other[at] = (2 * count[at] + before + after) / 4
        end
      end
      count, other = other, count
    end
  end
  return count
end

-- The height above which the cells hold `share` of all.
local function height_of(count, cells, share)
  local sorted, all, sum = {}, 0, 0
  for i = 0, cells - 1 do sorted[i + 1], all = count[i], all + count[i] end
  table.sort(sorted, function(a, b) return a > b end)
  for _, c in ipairs(sorted) do
    sum = sum + c
    if sum >= share * all then return c end
  end
  return 0
end

-- Adds the segments of the line where the counts of `grid` are at `height`, by marching squares over the
-- cells' centres: two lines of text and an empty one each.
local function segments(add, grid, count, height)
  local bins = grid.bins
  for j = 0, bins - 2 do
    for i = 0, bins - 2 do
      local corner = { { i, j }, { i + 1, j }, { i + 1, j + 1 }, { i, j + 1 } }
      local cuts = {}
      for k = 1, 4 do
        local a, b = corner[k], corner[k % 4 + 1]
        local va, vb = count[a[2] * bins + a[1]], count[b[2] * bins + b[1]]
        if (va >= height) ~= (vb >= height) then
          local t = (height - va) / (vb - va)
          cuts[#cuts + 1] = grid.place(a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2]))
        end
      end
      for k = 1, #cuts - 1, 2 do
        add(cuts[k])
        add(cuts[k + 1])
        add ""
      end
    end
  end
end

--- plot.contours(x, y, {levels = {0.68, 0.95}, bins = 50, xrange =, yrange =, width = 1.5, title =,
-- colour =}): lines around the densest places that hold these shares of the pairs.
function public.contours(x, y, given)
  local o = options("contours", given, { "levels", "bins", "xrange", "yrange", "width", "title", "colour" })
  local grid = grid_of("contours", x, y, o)
  local count, lines = smooth(grid.count, grid.bins), {}
  local function add(line) lines[#lines + 1] = line end
  for _, share in ipairs(errors.list("contours", "levels", o.levels or { 0.68, 0.95 })) do
    if type(share) ~= "number" or share <= 0 or share >= 1 then
      raise("contours: a level is %s, expected a share between 0 and 1", kind(share))
    end
    segments(add, grid, count, height_of(count, grid.bins * grid.bins, share))
  end
  if #lines == 0 then lines = { "nan nan", "" } end
  lines[#lines] = nil
  local width = arguments.number("contours", o, "width", 1.5, 0)
  return curve("contours", o, table.concat(lines, "\n") .. "\n",
    ("using 1:2 with lines lw %g lc COLOUR"):format(width))
end

--- plot.rule{x = value} or {y = value} or {slope =, intercept =}, with {from =, to =, title =, colour =
-- "#888888", width = 1, dash = 2}: a straight line; from and to are where it begins and ends: along y for a
-- rule at x, else along x.
function public.rule(given)
  local o = options("rule", given, {
    "x", "y", "slope", "intercept", "from", "to", "title", "colour", "width", "dash",
  })
  local from = arguments.number("rule", o, "from", nil, -math.huge)
  local to = arguments.number("rule", o, "to", nil, -math.huge)
  if not from or not to then
    raise "rule: from and to are missing, expected where the line begins and ends"
  end
  local x, y
  if o.x then
    x, y = { o.x, o.x }, { from, to }
  else
    local slope, intercept = o.y and 0 or o.slope or 1, o.y or o.intercept or 0
    x, y = { from, to }, { intercept + slope * from, intercept + slope * to }
  end
  return public.lines(x, y, {
    title = o.title, colour = o.colour or "#888888", width = o.width or 1, dash = o.dash or 2,
  })
end

--- plot.label(text, x, y, {align = "left", colour = "#000000", size = 10}): text at a place in the panel's
-- own units.
function public.label(text, x, y, given)
  local o = options("label", given, { "align", "colour", "size" })
  if type(x) ~= "number" or type(y) ~= "number" then
    raise("label: its place is %s and %s, expected two numbers", kind(x), kind(y))
  end
  local align, colour = o.align or "left", o.colour or "#000000"
  if align ~= "left" and align ~= "right" and align ~= "center" then
    raise("label: align is %s, expected \"left\", \"center\" or \"right\"", kind(align))
  end
  local size = arguments.integer("label", o, "size", 10, 1, 100)
  return layer{
    kind = "label", text = text, x = ("%.9g"):format(x), y = ("%.9g"):format(y),
    how = ("%s front textcolor rgb '%s' font 'Sans,%d'"):format(align, colour, size),
  }
end

-- Whether v is an image: a tensor {height, width, 3} of uint8.
local function is_image(v)
  return core.is_tensor(v) and v.dtype == "uint8" and #v.shape == 3 and v:size(3) == 3
end

--- plot.picture(pixels, {scale = 1}): an image, a tensor {height, width, 3} of uint8, row 1 at the top. Alone
-- in a figure, each of its pixels is scale x scale of the figure's, which has a white rim of 1. Places of
-- labels on it are in its pixels: x from 0 at the left, y from 0 at the bottom.
function public.picture(pixels, given)
  local o = options("picture", given, { "scale" })
  if not is_image(pixels) then
    raise("picture: pixels is %s, expected a tensor {height, width, 3} of uint8", kind(pixels))
  end
  local height, width = pixels:size(1), pixels:size(2)
  local scale = arguments.integer("picture", o, "scale", 1, 1, 20)
  local values, n = core.read(pixels)
  local form = "binary array=(%d,%d) flipy format='%%uchar' using 1:2:3 with rgbimage"
  return layer{
    kind = "picture", width = width * scale, height = height * scale, binary = ffi.string(values, n),
    clause = form:format(width, height),
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
    if not is_image(image) or image:size(1) ~= first:size(1) or image:size(2) ~= first:size(2) then
      raise("montage: image %d is %s, expected a tensor {height, width, 3} of uint8, all of one size", k,
        kind(image))
    end
  end
  return list, first:size(1), first:size(2)
end

--- plot.montage(images, {columns = 8, gap = 2}): the images side by side in rows, as one tensor {H, W, 3} of
-- uint8; the gaps are white. images: a list of tensors {height, width, 3} of one size, or a tensor {N,
-- height, width, 3}.
function public.montage(images, given)
  local o = options("montage", given, { "columns", "gap" })
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

return layers
