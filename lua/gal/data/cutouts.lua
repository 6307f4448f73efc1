-- data/cutouts: a survey's cutouts/<id>.jpg (or .jpeg, .png), decoded once on all cores into cutouts.npy,
-- uint8 {N, size, size, 3}, with cutouts.csv that says of each row which file it was and what became of it.
-- Packing may be stopped and killed at any time and goes on where it was: the files grow as cutouts.npy.part
-- and cutouts.csv.part, are synced in that order, and are renamed when they are whole. A packing is of the
-- files as they were: one that was added, removed or changed makes it anew.
local ffi = require "ffi"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local folder = require "gal.base.path"
local images = require "gal.images"
local C = ffi.C
local raise, check = errors.raise, errors.check

local cutouts = {}

local ENDINGS = { ".jpg", ".jpeg", ".png" }
local HEADER = "file,bytes,modified,size,resized,hash,problem\n"
-- Images decoded by one call of C: a tenth of a second, how far Ctrl-C waits and the progress line moves.
local TOGETHER = 256
-- Seconds between two syncs: what a crash of the machine costs at most.
local SYNC = 2

local function quoted(s) return s:find '[",]' and '"' .. s:gsub('"', '""') .. '"' or s end
local function integer(v) return (tostring(v):gsub("LL$", "")) end

-- The files there are for these ids, each id once: a list of {id, path, key}; key is what the index says of
-- an unchanged one.
local function listed(home, ids)
  local list, seen, bytes, modified = {}, {}, ffi.new "int64_t[1]", ffi.new "int64_t[1]"
  for _, id in ipairs(ids) do
    if not seen[id] and not id:find "[/%z\n]" then
      seen[id] = true
      for _, ending in ipairs(ENDINGS) do
        local path = home .. "/cutouts/" .. id .. ending
        if C.gal_file_stamp(path, bytes, modified) == 1 then
          list[#list + 1] = { id = id, path = path, key = ("%s,%s,%s"):format(quoted(id .. ending), integer(bytes[0]), integer(modified[0])) }
          break
        end
      end
    end
  end
  return list
end

-- The side of the images to be made: `resize`, or that of the first file that can be read, which has to be
-- square.
local function side_of(list, resize)
  local largest = tonumber(C.GAL_LARGEST_SIDE)
  if resize < 0 or resize > largest or resize % 1 ~= 0 then raise("resize is %g, expected a whole number of pixels from 1 to %d, or 0: as they are", resize, largest) end
  if resize > 0 then return resize end
  local width, height, problem = ffi.new "int64_t[1]", ffi.new "int64_t[1]", nil
  for _, entry in ipairs(list) do
    if C.gal_image_size(width, height, entry.path) == 0 then
      if width[0] == height[0] then return tonumber(width[0]), entry.path end
      raise("%s is %d x %d pixels, expected a square; --resize N scales every cutout to N x N", entry.path, tonumber(width[0]), tonumber(height[0]))
    end
    problem = problem or entry.path .. " " .. ffi.string(C.gal_error())
  end
  raise("none of %d cutouts can be read: %s", #list, problem)
end

-- The whole lines of an index, without its header; a line that broke off is none.
local function lines_of(path)
  local file = io.open(path, "rb")
  local text, list = file and file:read "*a" or "", {}
  if file then file:close() end
  if text:sub(1, #HEADER) ~= HEADER then return list end
  for line in text:sub(#HEADER + 1):gmatch "([^\n]*)\n" do list[#list + 1] = line end
  return list
end

-- How many entries at the beginning of the list the index has as they are; fills in their hash and problem.
local function match(list, lines)
  for i, entry in ipairs(list) do
    local line = lines[i]
    if not line or line:sub(1, #entry.key) ~= entry.key then return i - 1 end
    entry.hash, entry.problem = line:sub(#entry.key + 1):match '^,(%x+),"(.*)"$'
    if not entry.hash then return i - 1 end
  end
  return #list
end

-- The header of a .npy file of n images, and the bytes of one.
local function npy_header(n, size)
  local x, text = ffi.new "gal_tensor", ffi.new "char[512]"
  x.dtype, x.rank = C.GAL_U8, 4
  x.shape[0], x.shape[1], x.shape[2], x.shape[3] = n, size, size, 3
  return ffi.string(text, C.gal_npy_header_text(text, x)), 3 * size * size
end

-- ---- packing ----

local function put(file, text) check(C.gal_growing_put(file, text, #text)) end

local opened = ffi.new "gal_growing *[1]"
local function growing(path, keep)
  check(C.gal_growing_open(opened, path, keep))
  return ffi.gc(opened[0], C.gal_growing_close)
end

-- Opens both growing files behind what an earlier packing left of this list: npy, csv and how many images are
-- done.
local function resume(base, list, size)
  local header, each = npy_header(#list, size)
  local part, index, bytes, modified = base .. ".npy.part", base .. ".csv.part", ffi.new "int64_t[1]", ffi.new "int64_t[1]"
  -- Killed between the two renames at its end: the index has its name, the images have not.
  if not folder.kind(index) and folder.kind(part) and folder.kind(base .. ".csv") then check(C.gal_file_rename(base .. ".csv", index)) end
  local lines = lines_of(index)
  local done = match(list, lines)
  local file = io.open(part, "rb")
  local same = file and file:read(#header) == header
  if file then file:close() end
  if not same or C.gal_file_stamp(part, bytes, modified) ~= 1 then done = 0 end
  done = math.min(done, math.max(0, math.floor((tonumber(bytes[0]) - #header) / each)))
  local keep = #HEADER
  for i = 1, done do keep = keep + #lines[i] + 1 end
  local npy = growing(part, done > 0 and #header + done * each or 0)
  local csv = growing(index, done > 0 and keep or 0)
  if done == 0 then
    put(npy, header)
    put(csv, HEADER)
  end
  return npy, csv, done
end

-- Raises where a cutout has another size than the first.
local function refuse_size(entry, decoded, size, like)
  raise("%s is %d x %d pixels, expected %d x %d%s; --resize N scales every cutout to N x N", entry.path, decoded.width, decoded.height, size, size,
    like and " like " .. like or "")
end

-- Decodes the list from `done` on, behind what the files hold.
local function decode(list, done, npy, csv, o)
  local size, each = o.size, 3 * o.size * o.size
  local pixels, decoded, paths = core.new({ TOGETHER, size, size, 3 }, "uint8", "cpu"), ffi.new("gal_decoded[?]", TOGETHER), ffi.new("const char *[?]", TOGETHER)
  local first, synced = done, C.gal_now()
  if o.report and done < #list then o.report(done, first) end
  while done < #list do
    errors.poll()
    local n, lines = math.min(TOGETHER, #list - done), {}
    for i = 0, n - 1 do paths[i] = list[done + i + 1].path end
    local part = n < TOGETHER and pixels:narrow(1, 1, n) or pixels
    check(C.gal_images_decode(part.h, decoded, paths, o.resize > 0 and 1 or 0))
    for i = 0, n - 1 do
      local entry, d = list[done + i + 1], decoded[i]
      if d.status == C.GAL_SHAPE then refuse_size(entry, d, size, o.like) end
      entry.hash = bit.tohex(ffi.cast("uint64_t", d.hash))
      entry.problem = d.status == 0 and "" or ffi.string(d.problem):gsub('["\n]', "'")
      lines[i + 1] = ('%s,%s,"%s"\n'):format(entry.key, entry.hash, entry.problem)
    end
    check(C.gal_growing_put(npy, part.h.data, n * each))
    put(csv, table.concat(lines))
    done = done + n
    if C.gal_now() - synced > SYNC or done == #list then
      check(C.gal_growing_sync(npy))
      check(C.gal_growing_sync(csv))
      synced = C.gal_now()
    end
    if o.report then o.report(done, first) end
  end
end

local function close(file) if file then C.gal_growing_close(ffi.gc(file, nil)) end end

-- Packs the list into base.npy and base.csv, one galrun at a time.
local function pack(base, list, o)
  local lock = ffi.new "gal_lock *[1]"
  check(C.gal_lock_take(lock, base .. ".lock"))
  local npy, csv, done
  local ok, err = pcall(function()
    npy, csv, done = resume(base, list, o.size)
    decode(list, done, npy, csv, o)
  end)
  close(npy)
  close(csv)
  if ok then
    ok, err = pcall(function()
      check(C.gal_file_remove(base .. ".npy"))
      check(C.gal_file_rename(base .. ".csv.part", base .. ".csv"))
      check(C.gal_file_rename(base .. ".npy.part", base .. ".npy"))
    end)
  end
  C.gal_lock_release(lock[0])
  if not ok then error(err, 0) end
end

-- ---- opening ----

-- The list that an index without its files tells of: a survey that was handed on packed.
local function packed_list(base)
  local list = {}
  for i, line in ipairs(lines_of(base .. ".csv")) do
    local key, file, hash, problem = line:match '^((.*),%d+,%d+,%d+,%d+),(%x+),"(.*)"$'
    if not key then raise("%s.csv: line %d is no entry of a packing's index", base, i + 1) end
    file = file:match '^"(.*)"$' and file:sub(2, -2):gsub('""', '"') or file
    list[i] = { id = file:gsub("%.%w+$", ""), path = file, key = key, hash = hash, problem = problem }
  end
  return list
end

local function reporter(total)
  local progress
  return function(done, first)
    progress = progress or require "gal.base.progress" { total = total, first = first, label = "decoding cutouts", unit = "images" }
    progress:update{ done = done }
    if done == total then progress:finish() end
  end
end

--- open(home, ids, {crop = 0, bin = 1, resize = 0, packed = home, progress = true}): the cutouts of a survey
-- folder for the ids of its table, packed where they are not yet. resize: scale every cutout to so many
-- pixels a side; 0: all have to be of one size. packed: the folder for cutouts.npy, where the survey's own
-- can't be written. Returns {images (a set, gal.images, of all that were packed), row = {id = which of
-- them}, problem = {id = why it has none}}.
function cutouts.open(home, ids, options)
  local resize, base = options.resize or 0, (options.packed and folder.make(options.packed) or home) .. "/cutouts"
  local list
  if folder.kind(home .. "/cutouts") == "folder" then
    list = listed(home, ids)
    if #list == 0 then raise("%s/cutouts has no cutout of any of the %d galaxies: expected files such as %s.jpg", home, #ids, ids[1]) end
    local size, like = side_of(list, resize)
    for _, entry in ipairs(list) do entry.key = ("%s,%d,%d"):format(entry.key, size, resize) end
    local lines = folder.kind(base .. ".npy") and lines_of(base .. ".csv") or {}
    if #lines ~= #list or match(list, lines) < #list then
      pack(base, list, { size = size, like = like, resize = resize, report = options.progress ~= false and reporter(#list) })
    end
  elseif folder.kind(base .. ".npy") and folder.kind(base .. ".csv") then
    list = packed_list(base)
  else
    raise("%s has no cutouts: expected a folder cutouts with files such as %s.jpg", home, ids[1])
  end
  local result, hashes = { row = {}, problem = {} }, {}
  for i, entry in ipairs(list) do
    hashes[i] = entry.hash
    if entry.problem == "" then result.row[entry.id] = i else result.problem[entry.id] = entry.path .. " " .. entry.problem end
  end
  result.images = images.open(base .. ".npy", { crop = options.crop, bin = options.bin, hashes = hashes })
  if result.images:size(1) ~= #list then
    raise("%s.npy holds %d images and %s.csv tells of %d: remove both, and they are made anew", base, result.images:size(1), base, #list)
  end
  return result
end

return cutouts
