-- data/packings: the two forms of a packing, cutouts.npy and its index cutouts.csv (data/cutouts.lua): of
-- pictures, uint8 {N, size, size, 3}, and of images in single precision, float32 {N, size, size, bands}. Of
-- each form the head of its index, the bytes of an image, how files are decoded, and what the index says of
-- one.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local names_of = require("gal.data.cutout_files").names
local C = ffi.C
local raise, check = errors.raise, errors.check

local packings = {}

-- Pixels whose sides differ by less are of one scale: 1 % of 64 pixels is less than one.
local SAME_SCALE = 0.01

--- packings.same_scale(a, b): whether pixels of a and b arcsec are of one scale, or one of these is unknown,
-- which 0 stands for.
function packings.same_scale(a, b) return a == 0 or b == 0 or math.abs(a / b - 1) <= SAME_SCALE end

local Pictures, Floats = {}, {}
Pictures.__index, Floats.__index = Pictures, Floats

--- packings.of(form): the packing of cutouts of that form (gal.data.cutout_files).
function packings.of(form)
  local self = setmetatable({ form = form }, form.deep and Floats or Pictures)
  self.dtype, self.channels = form.deep and "float32" or "uint8", form.deep and #form.bands or 3
  self.each = self.channels * form.size ^ 2 * (form.deep and 4 or 1)
  return self
end

--- packings.shape(n): the shape of n images.
local function shape(self, n) return { n, self.form.size, self.form.size, self.channels } end
Pictures.shape, Floats.shape = shape, shape

-- The sentence that ends what is said of a cutout that is not like the first.
local function like(form) return form.resize == 0 and form.like and " like " .. form.like or "" end

-- ---- pictures ----

Pictures.HEADER = "file,bytes,modified,size,resized,hash,problem\n"
Pictures.LINE = '^((.*),%d+,%d+,(%d+),%d+),(%x+),"(.*)"$'

function Pictures:key(entry) return ("%s,%d,%d"):format(entry.key, self.form.size, self.form.resize) end

--- packing:together(): how many are decoded by one call of C: a tenth of a second, how far Ctrl-C waits and
-- the progress line moves.
function Pictures:together() return 256 end

function Pictures:decode(part, decoded, entries)
  local paths = ffi.new("const char *[?]", #entries)
  for i, entry in ipairs(entries) do paths[i - 1] = entry.path end
  check(C.gal_images_decode(part.h, decoded, paths, self.form.resize > 0 and 1 or 0))
end

-- What the index says of a cutout behind its key; fills in its hash and problem.
local function judged(entry, d)
  entry.hash = bit.tohex(ffi.cast("uint64_t", d.hash))
  entry.problem = d.status == 0 and "" or ffi.string(d.problem):gsub('["\n]', "'")
end

function Pictures:line(entry, d)
  local size = self.form.size
  if d.status == C.GAL_SHAPE then
    raise("%s is %d x %d pixels, expected %d x %d%s; --resize N scales every cutout to N x N", entry.path,
      d.width, d.height, size, size, like(self.form))
  end
  judged(entry, d)
  return ('%s,%s,"%s"\n'):format(entry.key, entry.hash, entry.problem)
end

--- packing:read(entry, rest): takes from what stands behind the key in a line; whether it could.
function Pictures:read(entry, rest)
  entry.hash, entry.problem = rest:match '^,(%x+),"(.*)"$'
  return entry.hash ~= nil
end

-- ---- single precision ----

Floats.HEADER = "file,bytes,modified,size,resized,bands,hash,scale,missing,problem\n"
Floats.LINE = '^((.*),%d+,%d+,(%d+),%d+,([^,]+)),%x+,[%d.e+-]+,%d+,".*"$'

function Floats:key(entry)
  local bands = table.concat(self.form.bands, "+")
  return ("%s,%d,%d,%s"):format(entry.key, self.form.size, self.form.resize, bands)
end

-- 32 MB of them.
function Floats:together() return math.max(4, math.min(256, math.floor(2 ^ 25 / self.each))) end

function Floats:decode(part, decoded, entries)
  local files = entries[1].paths and #entries[1].paths or 1
  local paths = ffi.new("const char *[?]", #entries * files)
  for i, entry in ipairs(entries) do
    for k = 1, files do paths[(i - 1) * files + k - 1] = entry.paths and entry.paths[k] or entry.path end
  end
  local names = table.concat(self.form.bands, ",")
  check(C.gal_cutouts_decode(part.h, decoded, paths, files, names, self.form.resize > 0 and 1 or 0))
end

-- Raises where a cutout has pixels of another scale than an earlier one.
function Floats:same_scale(entry)
  if entry.scale == 0 or entry.problem ~= "" then return end
  local first = self.first
  if not first then
    self.first = entry
  elseif not packings.same_scale(entry.scale, first.scale) then
    raise("%s has pixels of %.4g arcsec and %s of %.4g, expected one scale: resample them to one grid, or "
      .. "give each source a folder of its own", first.path, first.scale, entry.path, entry.scale)
  end
end

function Floats:line(entry, d)
  local file = entry.paths and entry.paths[d.file + 1] or entry.path
  if d.status == C.GAL_SHAPE then
    local sized = ffi.string(d.problem):find "pixels"
    raise("%s %s%s; %s", file, ffi.string(d.problem), like(self.form), sized
      and "--resize N scales every cutout to N x N" or "--bands A,B names bands that all have")
  end
  judged(entry, d)
  if entry.problem ~= "" and d.file > 0 then
    entry.problem = "and " .. file:match "[^/]*/[^/]*$" .. ": " .. entry.problem
  end
  entry.scale, entry.missing = d.scale, tonumber(d.missing)
  self:same_scale(entry)
  return ('%s,%s,%.9g,%d,"%s"\n'):format(entry.key, entry.hash, entry.scale, entry.missing, entry.problem)
end

function Floats:read(entry, rest)
  local hash, scale, missing, problem = rest:match '^,(%x+),([%d.e+-]+),(%d+),"(.*)"$'
  if not hash then return false end
  entry.hash, entry.problem, entry.scale, entry.missing = hash, problem, tonumber(scale), tonumber(missing)
  self:same_scale(entry)
  return true
end

--- packings.of_index(lines, head): the packing whose index begins with a line, the first of `lines`, under
-- this head; nil where it is no index.
function packings.of_index(line, head)
  for _, class in ipairs{ Pictures, Floats } do
    if head == class.HEADER then
      local _, _, size, bands = (line or ""):match(class.LINE)
      if not size then return nil end
      local deep = class == Floats
      return packings.of{
        deep = deep, size = tonumber(size), resize = 0, bands = deep and names_of((bands:gsub("%+", ","))),
      }
    end
  end
end

packings.HEADERS = { Pictures.HEADER, Floats.HEADER }

return packings
