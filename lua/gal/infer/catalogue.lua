-- infer/catalogue: the posteriors of a whole table's galaxies as a FITS table, a row for each of its rows in
-- their order, written block by block; draws are forgotten after their block. While it grows it lies in a
-- folder of its own (gal.base.run), NAME.part: the table's header and rows, and an index with a mark for each
-- row that is done. A row without its mark is made again. When whole, the table gets its name.
-- infer/summary.lua makes the rows.
local about = require "gal.infer.about"
local decimal = require("gal.base.text").decimal
local errors = require "gal.base.errors"
local ffi = require "ffi"
local gal = require "gal"
local galaxies = require "gal.infer.galaxies"
local identity = require "gal.data.ids"
local options_of = require "gal.base.options"
local labels = require "gal.infer.labels"
local path = require "gal.base.path"
local run = require "gal.base.run"
local shards = require "gal.infer.shards"
local summary = require "gal.infer.summary"
local C = ffi.C
local raise, check = errors.raise, errors.check

local catalogue = {}

-- Galaxies that are worked on at once: 5 MB with 1,000 draws; fewer take longer, 3 % at 64.
local BLOCK = 256
-- Seconds between two syncs: the most that a crash of the machine costs.
local SYNC = 2
local SETTINGS, ROWS, INDEX = "settings.json", "rows", "done"
local CHUNK = 2 ^ 20 -- bytes of a shard that are copied at once
local RECORD = 2880 -- bytes of a FITS record; a file is a whole number of them

local OPTIONS = {
  "out", "n", "steps", "tolerance", "precision", "seed", "samples", "deconvolve", "missing_value", "header",
  "progress", "shard", "merge",
}

-- ---- whose rows ----

-- The ids of all rows of a survey's table, and for each row the number of its galaxy in the survey, nil for
-- rows that were dropped.
local function rows_of(part)
  local ids, galaxy = part.ids, {}
  if part.path and part.total and part.total > #part.ids then
    local source = gal.table(part.path, { hdu = part.hdu, id = part.id_column })
    ids = part.id_column and source:ids(part.id_column) or identity.of(source, part.path, identity.NUMBERS)
    for k, row in ipairs(part.rows) do galaxy[row] = k end
  else
    for k = 1, #ids do galaxy[k] = k end
  end
  return ids, galaxy
end

-- ---- what it is made of ----

-- The settings that the table depends on, and the key that stands for them.
local function settings_of(flow, part, ids, o, s)
  local weights, data, kept = galaxies.fingerprints(flow, part)
  local all = table.concat(ids, "\0")
  local settings = {
    model = galaxies.model(flow), weights = weights, data = data, galaxies = kept,
    ids = decimal(C.gal_hash(all, #all, 0)), rows = #ids, n = s.n, steps = s.steps,
    tolerance = s.steps == "auto" and s.tolerance or nil, precision = o.precision or "f32", seed = s.seed,
    samples = s.samples, deconvolve = s.deconvolve, missing_value = o.missing_value, block = BLOCK,
    version = gal.version,
  }
  local text = require("gal.base.json").encode(settings, true)
  return settings, decimal(C.gal_hash(text, #text, 0))
end

-- The table's header, with the caller's keywords.
local function header_of(settings, key, given)
  local header = about.header("catalogue", "POSTERIORS", settings, given)
  header.MODEL, header.CATKEY = settings.model, key
  return header
end

-- ---- the file that grows ----

-- The table's header for `rows` rows like the block's, a string, and the bytes of a row.
local function head_of(block, rows)
  local bytes, n, each = ffi.new "char *[1]", ffi.new "int64_t[1]", ffi.new "int64_t[1]"
  check(C.gal_table_fits_headers(bytes, n, each, block.h, rows))
  local text = ffi.string(bytes[0], n[0])
  C.gal_file_free(bytes[0])
  return text, tonumber(each[0])
end

-- Appends the block's rows to a file.
local function put_rows(file, block)
  local bytes, n = ffi.new "char *[1]", ffi.new "int64_t[1]"
  check(C.gal_table_fits_rows(bytes, n, block.h))
  local ok, err = pcall(file.put, file, bytes[0], n[0])
  C.gal_file_free(bytes[0])
  if not ok then error(err, 0) end
end

-- Opens the files behind the rows that are done; returns their number.
local function go_on(self)
  local index = self.run:lines(INDEX, self.index_head)
  local marks = path.read(self.run:path(INDEX)) or ""
  local done = #index == 0 and marks:sub(1, #self.index_head) == self.index_head
    and #marks:sub(#self.index_head + 1):match "^1*" or 0
  done = math.min(done, self.run:whole(ROWS, self.head, self.each), self.total)
  done = done == self.total and done or math.floor(done / BLOCK) * BLOCK
  self.rows = self.run:grow(ROWS, self.head, done * self.each)
  self.index = self.run:grow(INDEX, self.index_head, done)
  self.done, self.pending, self.synced = done, 0, C.gal_now()
  return done
end

-- Marks the rows that are on disk.
local function sync(self)
  self.rows:sync()
  self.index:put(("1"):rep(self.pending))
  self.index:sync()
  self.pending, self.synced = 0, C.gal_now()
end

local function add(self, block)
  put_rows(self.rows, block)
  self.done, self.pending = self.done + block.rows, self.pending + block.rows
  if C.gal_now() - self.synced > SYNC then sync(self) end
end

-- Gives the table its name, and removes the folder.
local function finish(self, out)
  local size = #self.head + self.total * self.each
  if self.pending > 0 then sync(self) end
  self.rows:put(("\0"):rep((RECORD - size % RECORD) % RECORD))
  self.rows:sync()
  local folder, work = self.run.out, self.run
  check(C.gal_file_rename(work:path(ROWS), out))
  for _, name in ipairs{ INDEX, SETTINGS } do work:remove(name) end
  work:close()
  path.remove(folder .. "/lock")
  os.remove(folder)
end

-- ---- drawing ----

-- The survey's galaxies in rows first … last of the table, and the place of each in the block.
local function galaxies_of(galaxy, first, last)
  local positions, places = {}, {}
  for row = first, last do
    if galaxy[row] then positions[#positions + 1], places[#places + 1] = galaxy[row], row - first + 1 end
  end
  return positions, places
end

-- The block of rows first … last, as a table: draws for its galaxies, and fills their rows.
local function block_of(job, first, last)
  local positions, places = galaxies_of(job.galaxy, first, last)
  local rows = summary.rows(last - first + 1)
  if #positions > 0 then
    local piece = job.part:select(positions)
    local streams = job.streams and job.streams:rows(positions)
    local x = galaxies.shown(job.flow, piece)
    local samples, report = job.flow:sample(x, {
      n = job.n, steps = job.steps, tolerance = job.tolerance, precision = job.precision,
      rng = gal.rng(job.seed), told = false, progress = false, streams = streams,
    })
    local spread = galaxies.spread(job.flow, samples, streams)
    summary.fill(job.layout, rows, places, {
      x = x, piece = piece, samples = samples, report = report, spread = spread,
    })
  end
  summary.count(job.layout, rows)
  local ids = {}
  for row = first, last do ids[row - first + 1] = job.ids[row] end
  return summary.table(job.layout, rows, ids)
end

-- Makes the rows that are not there yet.
local function make(self, job, o)
  local line = o.progress ~= false and require "gal.base.progress" {
    total = self.total, first = self.done, label = "catalogue", unit = "galaxies",
  }
  for first = self.done + 1, self.total, BLOCK do
    errors.poll()
    local last = math.min(self.total, first + BLOCK - 1)
    add(self, block_of(job, self.before + first, self.before + last))
    if line then line:update{ done = self.done } end
  end
  if line then line:finish() end
end

-- Makes them; where that raises, the rows that are done stay, and a notice says so.
local function work(self, job, o)
  local ok, err = pcall(make, self, job, o)
  if ok then return end
  if self.pending > 0 then sync(self) end
  local told = "%d of %d galaxies are done and kept in %s; the same command goes on from there"
  C.gal_leave_notice(told:format(self.done, self.total, self.run.out))
  error(err, 0)
end

-- ---- shards ----

-- The file of a shard of the catalogue `out`.
local function shard_of(out, shard) return ("%s.shards/%d-of-%d.fits"):format(out, shard.k, shard.of) end

-- Of how many shards the catalogue `out` has files; raises where it has none, or of several kinds.
local function count_of(out)
  local home, of = out .. ".shards", nil
  for _, file in ipairs(path.kind(home) == "folder" and path.list(home, ".fits") or {}) do
    local found = tonumber(file:match "/%d+%-of%-(%d+)%.fits$")
    if found and of and found ~= of then
      raise("catalogue: %s has shards of %d and of %d; remove those of one kind", home, of, found)
    end
    of = found or of
  end
  return of or raise("catalogue: no shards in %s: --shard 1/K, 2/K, … make them", home)
end

-- All shards of the catalogue `out`, in order, each {file, head, size}: size bytes of rows follow its head.
-- Raises where one is missing, or belongs to another catalogue.
local function gathered(self, out)
  local of, list, lacking = count_of(out), {}, {}
  for k = 1, of do
    local shard = { k = k, of = of }
    local first, last = shards.range("catalogue", shard, self.total)
    local file, rows = shard_of(out, shard), last - first + 1
    if path.kind(file) then
      list[#list + 1] = { file = file, head = self.head_for(shard, rows), size = rows * self.each }
    else
      lacking[#lacking + 1] = shards.text(shard)
    end
  end
  if #lacking > 0 then
    raise("catalogue: not every galaxy is there yet: shard %s of %s; the same command with --shard makes it",
      table.concat(lacking, ", "), out)
  end
  for _, shard in ipairs(list) do
    local from = io.open(shard.file, "rb")
    local fits = from and from:read(#shard.head) == shard.head
      and from:seek "end" >= #shard.head + shard.size
    if from then from:close() end
    if not fits then
      raise("catalogue: %s is of another model, other galaxies or other options; make it anew", shard.file)
    end
  end
  return list
end

-- Appends the rows of these shards.
local function merge(self, list)
  self.rows, self.index = self.run:grow(ROWS, self.head, 0), self.run:grow(INDEX, self.index_head, 0)
  self.pending = 0
  for _, shard in ipairs(list) do
    local from, size = assert(io.open(shard.file, "rb")), shard.size
    from:seek("set", #shard.head)
    while size > 0 do
      errors.poll()
      local bytes = from:read(math.min(size, CHUNK))
      if not bytes then raise("catalogue: %s became shorter while it was read", shard.file) end
      self.rows:put(bytes)
      size = size - #bytes
    end
    from:close()
  end
end

-- Whether the file at `out` is this catalogue; raises where it is something else.
local function is_finished(out, key, shard)
  if not path.kind(out) then return false end
  local known, old = pcall(gal.table, out)
  local header = known and old:header() or {}
  local found = header.CATKEY
  if found == key and header.SHARD == (shard and shards.text(shard)) then return true end
  local what = found and "is a catalogue of another model, other galaxies or other options"
    or "is there and is no catalogue"
  raise("catalogue: out is '%s', which %s; name another", out, what)
end

-- The options, checked, with their defaults.
local function checked(o, flow)
  local s = { n = options_of.integer("catalogue", o, "n", 1000, 2), steps = o.steps or "auto" }
  s.tolerance = options_of.number("catalogue", o, "tolerance", 1e-3, 0)
  s.seed = options_of.integer("catalogue", o, "seed", 0, 0, 2 ^ 53)
  s.samples = options_of.integer("catalogue", o, "samples", 0, 0, s.n)
  s.deconvolve = o.deconvolve and true or false
  if type(o.out) ~= "string" or not o.out:lower():find "%.fits?$" then
    raise("catalogue: out is %s, expected a file's name that ends in .fits", errors.kind(o.out))
  end
  if o.missing_value ~= nil then errors.number("catalogue", "missing_value", o.missing_value) end
  if s.deconvolve then labels.of(flow, "catalogue") end
  if o.shard ~= nil then s.shard = shards.check("catalogue", o.shard) end
  if o.merge ~= nil and type(o.merge) ~= "boolean" then
    raise("catalogue: merge is %s, expected true or false", errors.kind(o.merge))
  end
  if o.merge and s.shard then
    raise "catalogue: shard and merge are given, expected one: merge is for when all shards are there"
  end
  return s
end

-- The arguments of infer.catalogue, made out: the options, the same checked, the rows' ids and galaxies
-- (rows_of), the settings and their key (settings_of).
local function prepared(flow, part, options)
  local o = options_of.known("catalogue", options, OPTIONS)
  errors.object("catalogue", "flow", flow, { "sample" }, "a flow (gal.flow)")
  errors.list("catalogue", "part", part, "a survey (gal.data)")
  errors.list("catalogue", "part.ids", part.ids, "the ids of a survey (gal.data)")
  local s = checked(o, flow)
  local ids, galaxy = rows_of(part)
  return o, s, ids, galaxy, settings_of(flow, part, ids, o, s)
end

--- catalogue.check(flow, part, options, of): raises what infer.catalogue would raise for these options before
-- its first galaxy, in `of` shards, so that a job array does not have to wait in its queue to fail. Returns
-- whether the catalogue is whole.
function catalogue.check(flow, part, options, of)
  local o, _, ids, _, _, key = prepared(flow, part, options)
  shards.range("catalogue", { k = 1, of = of }, #ids)
  return is_finished(o.out, key)
end

--- infer.catalogue(flow, part, options): the posteriors of a survey's galaxies as a FITS table, a row for
-- each row of the survey's table in its order. options: out, the file; n (1,000 draws a galaxy), steps
-- ("auto" or a number), tolerance, precision (flow:sample's), seed (0), samples (0: so many of the draws are
-- kept, a column of vectors for each property), deconvolve (false; true: without the labels' errors, that the
-- flow knows), missing_value (NaN: what stands for missing), header ({KEY = value}, more of it), progress
-- (true). Columns: the id under its own name; of each property (a trailing _p50 left out of its name)
-- NAME_p2p5, _p16, _p50, _p84, _p97p5, _mean, _std; covariance {d * d}; ood, ood_image (flow:ood); of an
-- ensemble spread (ensemble:spread); flags, the sum of: 1 context filled, 2 context rarer than 1 in 1,000 of
-- validation galaxies, 4 image likewise, 8 tolerance not met, 16 more than 1 % of the draws outside of the
-- training galaxies' range, 32 an ensemble's members apart by more than .5 and than chance (flow/ensemble's
-- apart), 64 failed, all values missing: a row without the context that the flow needs is one, 128 the
-- labels' variance is more than .8 of the posterior's and was left in. Memory does not grow with the number
-- of draws or galaxies beyond the survey
-- itself. Stopped or killed, the same call goes on, to the same bytes. Returns {out, rows, resumed = rows
-- that were there, seconds, counts = {[bit] = galaxies}, shrunk = {names, factors}}.
function catalogue.catalogue(flow, part, options)
  local o, s, ids, galaxy, settings, key = prepared(flow, part, options)
  local layout = summary.layout(flow, part, ids, {
    samples = s.samples, deconvolve = s.deconvolve, missing_value = o.missing_value,
    tolerance = s.tolerance,
  })
  local out = s.shard and shard_of(o.out, s.shard) or o.out
  local first, last = 1, #ids
  if s.shard then first, last = shards.range("catalogue", s.shard, #ids) end
  local found = { out = out, rows = last - first + 1, seconds = 0, counts = layout.counts }
  found.resumed = found.rows
  if is_finished(out, key, s.shard) then return found end
  local header = header_of(settings, key, o.header)
  local self = { total = found.rows, before = first - 1, index_head = "galrun catalogue " .. key .. "\n" }
  function self.head_for(shard, rows)
    local template = summary.table(layout, summary.rows(1), { ids[1] })
    return head_of(template:header(header):header{ SHARD = shard and shards.text(shard) }, rows)
  end
  self.head, self.each = self.head_for(s.shard, self.total)
  local list = o.merge and gathered(self, out)
  found.merged = list and #list
  if s.shard then path.make(out:match "^(.*)/") end
  self.run = run.open{
    where = "catalogue", out = out .. ".part", noun = "catalogue", settings_file = SETTINGS,
    settings = settings,
  }
  local before = C.gal_now()
  self.run:guard(function()
    if o.merge then
      merge(self, list)
    else
      found.resumed = go_on(self)
      work(self, {
        flow = flow, part = part, ids = ids, galaxy = galaxy, layout = layout, n = s.n, steps = s.steps,
        tolerance = s.tolerance, precision = o.precision, seed = s.seed,
        streams = flow:streams(galaxies.shown(flow, part)),
      }, o)
    end
    finish(self, out)
  end)
  found.seconds, found.shrunk = C.gal_now() - before, summary.shrunk(layout)
  return found
end

return catalogue
