-- data/cutouts: a survey's cutouts (gal.data.cutout_files), decoded once on all cores into cutouts.npy, with
-- cutouts.csv, which has a line for each of these rows: its file, and what is wrong with it. The two are
-- called a packing, of pictures in uint8 or of images in float32 (gal.data.packings). It is made in a folder
-- of gal.base.run: stopped or killed, it goes on where it was. It lies beside the survey's table where that
-- is galrun's to write in, else beside the runs that use it. The files grow as cutouts.npy.part and
-- cutouts.csv.part, are synced in that order, and are renamed when they are whole. A packing is of the files
-- as they were: where one was added, removed or changed, it is made anew.
local ffi = require "ffi"
local arrays = require "gal.data.arrays"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local files = require "gal.data.cutout_files"
local images = require "gal.images"
local packings = require "gal.data.packings"
local path = require "gal.base.path"
local run = require "gal.base.run"
local unquoted = require("gal.base.text").unquoted
local C = ffi.C
local raise = errors.raise

local cutouts = {}

local PIXELS, INDEX = "cutouts.npy", "cutouts.csv"
local GROWING_PIXELS, GROWING_INDEX = PIXELS .. ".part", INDEX .. ".part"
-- Seconds between two syncs: what a crash of the machine costs at most.
local SYNC = 2

-- ---- the index ----

-- How many entries at the beginning of the list have unchanged lines in the index; fills in what these say.
local function match(list, lines, packing)
  for i, entry in ipairs(list) do
    local line = lines[i]
    if not line or line:sub(1, #entry.key) ~= entry.key then return i - 1 end
    if not packing:read(entry, line:sub(#entry.key + 1)) then return i - 1 end
  end
  return #list
end

-- The list of a packing that was handed on without its files, by its index, and the packing.
local function packed_list(base)
  local list, lines, packing = {}, {}, nil
  for _, head in ipairs(packings.HEADERS) do
    local found = run.lines(base .. ".csv", head)
    if #found > 0 then lines, packing = found, packings.of_index(found[1], head) end
  end
  if not packing then raise("%s.csv: line 2 is no entry of a packing's index", base) end
  for i, line in ipairs(lines) do
    local key, file = line:match(packing.LINE)
    local entry = key and { id = files.id_of(unquoted(file)), path = unquoted(file), key = key }
    if not entry or not packing:read(entry, line:sub(#key + 1)) then
      raise("%s.csv: line %d is no entry of a packing's index", base, i + 1)
    end
    list[i] = entry
  end
  return list, packing
end

-- Raises where a packing without its files is not what is asked for: what it has can't be changed.
local function refuse_other_form(base, form, o)
  files.refuse_wish(base .. ".npy", form.deep, o)
  local own, asked = table.concat(form.bands or {}, ", "), table.concat(o.bands or form.bands or {}, ", ")
  if asked ~= own then
    local who = o.of_run and "the flow was trained on" or "bands is"
    raise("%s.npy has the bands %s, but %s %s", base, own, who, asked)
  elseif (o.resize or 0) > 0 and o.resize ~= form.size then
    raise("resize is %g, but %s.npy has images of %d x %d pixels, and there are no files", o.resize, base,
      form.size, form.size)
  end
end

-- ---- packing ----

-- Opens both growing files behind what an earlier packing left of this list: pixels, index, and how many
-- cutouts are done.
local function resume(folder, list, packing)
  local header = arrays.header(packing:shape(#list), packing.dtype)
  -- An earlier packing was killed between the two renames at its end: the index has its name, the pixels have
  -- not.
  if not folder:has(GROWING_INDEX) and folder:has(GROWING_PIXELS) and folder:has(INDEX) then
    folder:rename(INDEX, GROWING_INDEX)
  end
  local lines = folder:lines(GROWING_INDEX, packing.HEADER)
  local done = math.min(match(list, lines, packing), folder:whole(GROWING_PIXELS, header, packing.each))
  local bytes = 0
  for i = 1, done do bytes = bytes + #lines[i] + 1 end
  local pixels = folder:grow(GROWING_PIXELS, header, done * packing.each)
  return pixels, folder:grow(GROWING_INDEX, packing.HEADER, bytes), done
end

-- Decodes the list from `done` on, behind what the files hold.
local function decode(list, packing, report, pixels, index, done)
  local together = packing:together()
  local buffer = core.new(packing:shape(together), packing.dtype, "cpu")
  local decoded = ffi.new("gal_decoded[?]", together)
  local first, synced = done, C.gal_now()
  if report and done < #list then report(done, first) end
  while done < #list do
    errors.poll()
    local n, entries, lines = math.min(together, #list - done), {}, {}
    for i = 1, n do entries[i] = list[done + i] end
    local part = n < together and buffer:narrow(1, 1, n) or buffer
    packing:decode(part, decoded, entries)
    for i, entry in ipairs(entries) do lines[i] = packing:line(entry, decoded[i - 1]) end
    pixels:put(part.h.data, n * packing.each)
    index:put(table.concat(lines))
    done = done + n
    if C.gal_now() - synced > SYNC or done == #list then
      pixels:sync()
      index:sync()
      synced = C.gal_now()
    end
    if report then report(done, first) end
  end
end

-- Whether the folder `out` has the packing of this list of files as they are now.
local function is_packed(out, list, packing)
  local lines = path.kind(out .. "/" .. PIXELS) and run.lines(out .. "/" .. INDEX, packing.HEADER) or {}
  return #lines == #list and match(list, lines, packing) == #list
end

-- Packs the list into the files of a folder; where another process is at it, waits for that one's files.
local function pack(out, list, packing, report, wait)
  local folder = run.open{ where = "cutouts", out = out, lock = "cutouts.lock", wait = wait or true }
  folder:work(function()
    if is_packed(out, list, packing) then return end
    packing.first = nil
    decode(list, packing, report, resume(folder, list, packing))
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
local function folder_for(home, list, packing, o)
  local own = not o.beside or path.kind(home .. "/survey.json")
  if is_packed(home, list, packing) or own and path.writable(home) then return home end
  local place = path.absolute(home)
  local hash = bit.tohex(tonumber(C.gal_hash(place, #place, 0) % 2 ^ 32))
  local name = place:match "[^/]*$" .. "-" .. hash
  if (o.resize or 0) > 0 then name = ("%s-%d"):format(name, o.resize) end
  local above = o.beside and (o.beside:gsub("/+$", ""):match "^(.*)/[^/]*$" or ".")
    or (os.getenv "XDG_CACHE_HOME" or (os.getenv "HOME" or ".") .. "/.cache") .. "/galrun"
  return above .. "/decoded/" .. name
end

-- The list of a survey's cutout files, their packing, and the folder that has it, in which it is made where
-- it is not yet as they are now.
local function packed_files(home, ids, o)
  local list, folders = files.listed(home, ids, o.bands)
  if #list == 0 then
    raise("%s/cutouts has no cutout of any of the %d galaxies: expected files such as %s.jpg or %s.fits",
      home, #ids, ids[1], ids[1])
  end
  local packing = packings.of(files.form(list, folders, o))
  for _, entry in ipairs(list) do entry.key = packing:key(entry) end
  local out = o.packed or folder_for(home, list, packing, o)
  if not is_packed(out, list, packing) then
    local report, wait
    if o.progress ~= false then report, wait = reporter(#list, out) end
    pack(out, list, packing, report, wait)
  end
  return list, packing, out
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

-- The scale of the packed pixels, arcsec, by the files' own words and by those of their source; nil where
-- neither says. Raises where these contradict each other.
local function scale_of(packing, source)
  local own = packing.first and packing.first.scale
  local form = packing.form
  local side = source and source.size or form.side or form.size
  local told = source and source.scale and source.scale * side / form.size
  if own and told and not packings.same_scale(own, told) then
    raise("%s has pixels of %.4g arcsec, but %s says that they have %.4g: they are not what was fetched; "
      .. "give each source a folder of its own", packing.first.path, own, source.file, told)
  end
  return own or told or nil
end

-- What a packing's list says of the galaxies: {row = {id = its image's number}, problem = {id = the reason
-- why it has none}, gaps = {id = how many of its pixels lack a value}, unscaled (how many don't say their
-- scale)}, and the images' hashes.
local function by_id(list)
  local found, hashes = { row = {}, problem = {}, gaps = {}, unscaled = 0 }, {}
  for i, entry in ipairs(list) do
    hashes[i] = entry.hash
    if entry.problem == "" then
      found.row[entry.id] = i
      found.gaps[entry.id] = (entry.missing or 0) > 0 and entry.missing or nil
      if entry.scale == 0 then found.unscaled = found.unscaled + 1 end
    else
      found.problem[entry.id] = entry.path .. " " .. entry.problem
    end
  end
  return found, hashes
end

--- cutouts.open(home, ids, {crop = 0, bin = 1, resize = 0, scaling =, bands =, packed =, beside =, progress =
-- true}): the cutouts of the survey in the folder `home` for the ids of its table, packed where they are not
-- yet. crop, bin: as gal.images has them. resize: scales every cutout to so many pixels a side; 0: all have
-- to be of one size. bands: names of those to use, in this order; nil: all. scaling: "none" takes PNG of 16
-- bits as pictures of 8. of_run: these are a run's choices. packed: the folder for cutouts.npy; without it,
-- `home` where it has them, or where galrun made the survey; else decoded/NAME in the folder that holds
-- beside, a run's folder; else home, or ~/.cache/galrun where that can't be written. Returns what by_id
-- does, with images (a set, gal.images, of all that were packed, unscaled), packed (the folder where it is
-- not home), side (in pixels, before the crop), bands (names; nil of pictures), scale (arcsec a pixel,
-- before bin; nil where unknown) and source {source, release} or nil.
function cutouts.open(home, ids, options)
  local out, list, packing = options.packed and path.make(options.packed) or home, nil, nil
  local source = files.source(home)
  if path.kind(home .. "/cutouts") == "folder" then list, packing, out = packed_files(home, ids, options) end
  local base = out .. "/cutouts"
  if not list and path.kind(base .. ".npy") and path.kind(base .. ".csv") then
    list, packing = packed_list(base)
    refuse_other_form(base, packing.form, options)
  elseif not list then
    raise("%s has no cutouts: expected a folder cutouts with files such as %s.jpg or %s.fits", home, ids[1],
      ids[1])
  end
  local found, hashes = by_id(list)
  local place = path.absolute(out)
  found.packed = place ~= path.absolute(home) and place or nil
  found.side, found.bands, found.scale = packing.form.size, packing.form.bands, scale_of(packing, source)
  found.source = source and { source = source.source, release = source.release, layer = source.layer }
  found.images = images.open(base .. ".npy", { crop = options.crop, bin = options.bin, hashes = hashes })
  if found.images:size(1) ~= #list or found.images.dtype ~= packing.dtype then
    raise("%s.npy holds %d images of %s and %s.csv tells of %d of %s: remove both, and they are made anew",
      base, found.images:size(1), found.images.dtype, base, #list, packing.dtype)
  end
  return found
end

return cutouts
