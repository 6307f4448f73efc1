-- data/cutouts: a survey's cutouts/<id>.jpg (or .jpeg, .png), decoded once on all cores into cutouts.npy,
-- uint8 {N, size, size, 3}, with cutouts.csv, which has a line for each of these rows: its file, and what is
-- wrong with it. The two are called a packing. It is made in a folder of gal.base.run: stopped or killed, it
-- goes on where it was. It lies beside the survey's table where that is galrun's to write in, else beside the
-- runs that use it. The files grow as cutouts.npy.part and cutouts.csv.part, are synced in that order,
-- and are renamed when they are whole. A packing is of the files as they were: where one was added, removed
-- or changed, it is made anew.
local ffi = require "ffi"
local arrays = require "gal.data.arrays"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local images = require "gal.images"
local path = require "gal.base.path"
local run = require "gal.base.run"
local C = ffi.C
local raise, check = errors.raise, errors.check

local cutouts = {}

local ENDINGS = { ".jpg", ".jpeg", ".png" }
local HEADER = "file,bytes,modified,size,resized,hash,problem\n"
local PIXELS, INDEX = "cutouts.npy", "cutouts.csv"
local GROWING_PIXELS, GROWING_INDEX = PIXELS .. ".part", INDEX .. ".part"
-- Cutouts decoded by one call of C: a tenth of a second, how far Ctrl-C waits and the progress line moves.
local TOGETHER = 256
-- Seconds between two syncs: what a crash of the machine costs at most.
local SYNC = 2

-- ---- the list of cutouts, and the index ----

-- A file's name as a field of the index and back. C's CSV writer is for whole tables; the index grows by
-- lines.
local function quoted(s) return s:find '[",]' and '"' .. s:gsub('"', '""') .. '"' or s end
local function unquoted(s) return s:match '^"(.*)"$' and s:sub(2, -2):gsub('""', '"') or s end
local function integer(v) return (tostring(v):gsub("LL$", "")) end

-- The files that there are for these ids, each id once: a list of {id, path, key}; key is how the index's
-- line of the file begins as long as the file is unchanged. A file that can't be looked at, such as a link
-- that leads nowhere, is there all the same, of 0 bytes: packing says what is wrong with it.
local function listed(home, ids)
  local list, seen, bytes, modified = {}, {}, ffi.new "int64_t[1]", ffi.new "int64_t[1]"
  for _, id in ipairs(ids) do
    if not seen[id] and not id:find "[/%z\n]" then
      seen[id] = true
      for _, ending in ipairs(ENDINGS) do
        local file = home .. "/cutouts/" .. id .. ending
        bytes[0], modified[0] = 0, 0
        if C.gal_file_stamp(file, bytes, modified) ~= 0 then
          local key = ("%s,%s,%s"):format(quoted(id .. ending), integer(bytes[0]), integer(modified[0]))
          list[#list + 1] = { id = id, path = file, key = key }
          break
        end
      end
    end
  end
  return list
end

-- How many entries at the beginning of the list have unchanged lines in the index; fills in their hash and
-- problem.
local function match(list, lines)
  for i, entry in ipairs(list) do
    local line = lines[i]
    if not line or line:sub(1, #entry.key) ~= entry.key then return i - 1 end
    entry.hash, entry.problem = line:sub(#entry.key + 1):match '^,(%x+),"(.*)"$'
    if not entry.hash then return i - 1 end
  end
  return #list
end

-- The list of a packing that was handed on without its files, by its index.
local function packed_list(base)
  local list = {}
  for i, line in ipairs((run.lines(base .. ".csv", HEADER))) do
    local key, file, hash, problem = line:match '^((.*),%d+,%d+,%d+,%d+),(%x+),"(.*)"$'
    if not key then raise("%s.csv: line %d is no entry of a packing's index", base, i + 1) end
    file = unquoted(file)
    list[i] = { id = file:gsub("%.%w+$", ""), path = file, key = key, hash = hash, problem = problem }
  end
  return list
end

-- ---- sizes ----

-- The side in pixels of the packed cutouts: `resize`, or that of the first file that can be read, which has
-- to be square; and that file.
local function side_of(list, resize)
  local largest = tonumber(C.GAL_LARGEST_SIDE)
  if resize < 0 or resize > largest or resize % 1 ~= 0 then
    raise("resize is %g, expected a whole number of pixels from 1 to %d, or 0: as they are", resize, largest)
  end
  if resize > 0 then return resize end
  local width, height, problem = ffi.new "int64_t[1]", ffi.new "int64_t[1]", nil
  for _, entry in ipairs(list) do
    if C.gal_image_size(width, height, entry.path) == 0 then
      if width[0] == height[0] then return tonumber(width[0]), entry.path end
      raise("%s is %d x %d pixels, expected a square; --resize N scales every cutout to N x N", entry.path,
        tonumber(width[0]), tonumber(height[0]))
    end
    problem = problem or entry.path .. " " .. ffi.string(C.gal_error())
  end
  raise("none of %d cutouts can be read: %s", #list, problem)
end

-- Raises where a cutout has another size than the first.
local function refuse_size(entry, decoded, size, like)
  raise("%s is %d x %d pixels, expected %d x %d%s; --resize N scales every cutout to N x N", entry.path,
    decoded.width, decoded.height, size, size, like and " like " .. like or "")
end

-- ---- packing ----

-- Opens both growing files behind what an earlier packing left of this list: pixels, index, and how many
-- cutouts are done.
local function resume(folder, list, size)
  local header, each = arrays.header({ #list, size, size, 3 }, "uint8"), 3 * size * size
  -- An earlier packing was killed between the two renames at its end: the index has its name, the pixels have
  -- not.
  if not folder:has(GROWING_INDEX) and folder:has(GROWING_PIXELS) and folder:has(INDEX) then
    folder:rename(INDEX, GROWING_INDEX)
  end
  local lines = folder:lines(GROWING_INDEX, HEADER)
  local done = math.min(match(list, lines), folder:whole(GROWING_PIXELS, header, each))
  local bytes = 0
  for i = 1, done do bytes = bytes + #lines[i] + 1 end
  return folder:grow(GROWING_PIXELS, header, done * each), folder:grow(GROWING_INDEX, HEADER, bytes), done
end

-- What the index says of n cutouts that were decoded, the entries of the list after `done`; fills in their
-- hash and problem.
local function index_lines(list, done, n, decoded, o)
  local lines = {}
  for i = 0, n - 1 do
    local entry, d = list[done + i + 1], decoded[i]
    if d.status == C.GAL_SHAPE then refuse_size(entry, d, o.size, o.like) end
    entry.hash = bit.tohex(ffi.cast("uint64_t", d.hash))
    entry.problem = d.status == 0 and "" or ffi.string(d.problem):gsub('["\n]', "'")
    lines[i + 1] = ('%s,%s,"%s"\n'):format(entry.key, entry.hash, entry.problem)
  end
  return table.concat(lines)
end

-- Decodes the list from `done` on, behind what the files hold.
local function decode(list, o, pixels, index, done)
  local each, buffer = 3 * o.size * o.size, core.new({ TOGETHER, o.size, o.size, 3 }, "uint8", "cpu")
  local decoded, paths = ffi.new("gal_decoded[?]", TOGETHER), ffi.new("const char *[?]", TOGETHER)
  local first, synced = done, C.gal_now()
  if o.report and done < #list then o.report(done, first) end
  while done < #list do
    errors.poll()
    local n = math.min(TOGETHER, #list - done)
    for i = 0, n - 1 do paths[i] = list[done + i + 1].path end
    local part = n < TOGETHER and buffer:narrow(1, 1, n) or buffer
    check(C.gal_images_decode(part.h, decoded, paths, o.resize > 0 and 1 or 0))
    local lines = index_lines(list, done, n, decoded, o)
    pixels:put(part.h.data, n * each)
    index:put(lines)
    done = done + n
    if C.gal_now() - synced > SYNC or done == #list then
      pixels:sync()
      index:sync()
      synced = C.gal_now()
    end
    if o.report then o.report(done, first) end
  end
end

-- Whether the folder `out` has the packing of this list of files as they are now.
local function is_packed(out, list)
  local lines = path.kind(out .. "/" .. PIXELS) and run.lines(out .. "/" .. INDEX, HEADER) or {}
  return #lines == #list and match(list, lines) == #list
end

-- Packs the list into the files of a folder; where another process is at it, waits for that one's files.
local function pack(out, list, o)
  local folder = run.open{ where = "cutouts", out = out, lock = "cutouts.lock", wait = o.wait or true }
  folder:work(function()
    if is_packed(out, list) then return end
    decode(list, o, resume(folder, list, o.size))
    folder:remove(PIXELS)
    folder:rename(GROWING_INDEX, INDEX)
    folder:rename(GROWING_PIXELS, PIXELS)
  end)
end

-- ---- opening ----

local function reporter(total, out)
  local progress
  local function report(done, first)
    if not progress then
      local shown = { total = total, first = first, label = "decoding cutouts", unit = "images" }
      progress = require "gal.base.progress"(shown)
      progress:note(("cutouts are decoded once, into %s"):format(out))
    end
    progress:update{ done = done }
    if done == total then progress:finish() end
  end
  local function wait(why)
    require "gal.base.progress"{ total = total, label = "decoding cutouts", unit = "images" }
      :note("waiting for the process that decodes them: " .. why)
  end
  return report, wait
end

-- The folder for the packing of a survey's cutouts where none is asked for. A folder of somebody's data is
-- written to only where galrun made it, or a script asked for images and named no run; else there is one for
-- this survey beside the run, or for all of the user's. It has the survey's name and a hash of its path.
local function folder_for(home, list, o)
  local own = not o.beside or path.kind(home .. "/survey.json")
  if is_packed(home, list) or own and path.writable(home) then return home end
  local place = path.absolute(home)
  local hash = bit.tohex(tonumber(C.gal_hash(place, #place, 0) % 2 ^ 32))
  local name = place:match "[^/]*$" .. "-" .. hash
  if (o.resize or 0) > 0 then name = ("%s-%d"):format(name, o.resize) end
  local above = o.beside and (o.beside:gsub("/+$", ""):match "^(.*)/[^/]*$" or ".")
    or (os.getenv "XDG_CACHE_HOME" or (os.getenv "HOME" or ".") .. "/.cache") .. "/galrun"
  return above .. "/decoded/" .. name
end

-- The list of a survey's cutout files, and the folder with their packing, which is made where it is not yet
-- as they are now.
local function packed_files(home, ids, o)
  local list, resize = listed(home, ids), o.resize or 0
  if #list == 0 then
    raise("%s/cutouts has no cutout of any of the %d galaxies: expected files such as %s.jpg", home, #ids,
      ids[1])
  end
  local size, like = side_of(list, resize)
  for _, entry in ipairs(list) do entry.key = ("%s,%d,%d"):format(entry.key, size, resize) end
  local out = o.packed or folder_for(home, list, o)
  if not is_packed(out, list) then
    local report, wait
    if o.progress ~= false then report, wait = reporter(#list, out) end
    pack(out, list, { size = size, like = like, resize = resize, report = report, wait = wait })
  end
  return list, out
end

-- Sentences that cutouts.same gives at most.
local GROUPS = 5

--- cutouts.same(ids, hashes): sentences on galaxies {N} whose cutouts are one picture, pixel for pixel, as
-- servers answer with outside their footprint: the largest groups first. hashes {N} of the pixels, or nil.
function cutouts.same(ids, hashes)
  local groups, list = {}, {}
  for k, hash in ipairs(hashes or {}) do
    if not groups[hash] then
      groups[hash] = { first = k }
      list[#list + 1] = groups[hash]
    end
    table.insert(groups[hash], ids[k])
  end
  table.sort(list, function(a, b)
    if #a ~= #b then return #a > #b end
    return a.first < b.first
  end)
  local sentences = {}
  for i, group in ipairs(list) do
    if #group < 2 or i > GROUPS then break end
    local named = table.concat(group, ", ", 1, math.min(3, #group))
    if #group > 3 then named = named .. ", ..." end
    local form = "suspicious: %d of %d galaxies have the very same cutout (%s)"
    sentences[i] = form:format(#group, #ids, named)
  end
  return sentences
end

--- cutouts.open(home, ids, {crop = 0, bin = 1, resize = 0, packed =, beside =, progress = true}): the cutouts
-- of the survey in the folder `home` for the ids of its table, packed where they are not yet. crop, bin: as
-- gal.images has them. resize: scales every cutout to so many pixels a side; 0: all have to be of one size.
-- packed: the folder for cutouts.npy; without it, `home` where it has them, or where galrun made the survey;
-- else decoded/NAME in the folder that holds beside, a run's folder; else home, or ~/.cache/galrun where
-- that can't be written. Returns {images (a set, gal.images, of all that were packed), packed (the folder
-- where it is not home), side (in pixels, before the crop), row = {id = its image's number}, problem = {id =
-- the reason why it has none}}.
function cutouts.open(home, ids, options)
  local out, list = options.packed and path.make(options.packed) or home, nil
  if path.kind(home .. "/cutouts") == "folder" then list, out = packed_files(home, ids, options) end
  local base = out .. "/cutouts"
  if not list and path.kind(base .. ".npy") and path.kind(base .. ".csv") then
    list = packed_list(base)
  elseif not list then
    raise("%s has no cutouts: expected a folder cutouts with files such as %s.jpg", home, ids[1])
  end
  local result, hashes = { row = {}, problem = {} }, {}
  local place = path.absolute(out)
  result.packed = place ~= path.absolute(home) and place or nil
  for i, entry in ipairs(list) do
    hashes[i] = entry.hash
    if entry.problem == "" then
      result.row[entry.id] = i
    else
      result.problem[entry.id] = entry.path .. " " .. entry.problem
    end
  end
  result.side = list[1] and tonumber(list[1].key:match ",(%d+),%d+$")
  result.images = images.open(base .. ".npy", { crop = options.crop, bin = options.bin, hashes = hashes })
  if result.images:size(1) ~= #list then
    raise("%s.npy holds %d images and %s.csv tells of %d: remove both, and they are made anew", base,
      result.images:size(1), base, #list)
  end
  return result
end

return cutouts
