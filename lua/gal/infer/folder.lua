-- infer/folder: a folder of draws that grows galaxy by galaxy (gal.base.run): samples.npy {N, n, d} and, with
-- densities, log_prob.npy {N, n} as NAME.part, and beside them summary.part, a line a galaxy: its statistics,
-- and what the solver took. The lines are written last: a galaxy without its line is drawn again. draws.json
-- holds the settings of the draws. When all are there, the files get their names and the lines become the
-- summary. The folder of a shard (infer/shards.lua) is one of these, and keeps its lines as lines.csv:
-- draws:take puts shards together.
local arrays = require "gal.data.arrays"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local ffi = require "ffi"
local json = require "gal.base.json"
local path = require "gal.base.path"
local run = require "gal.base.run"
local C, raise = ffi.C, errors.raise

local folder = {}
local Folder = {}
Folder.__index = Folder

local SETTINGS, LINES, KEPT = "draws.json", "summary.part", "lines.csv"
-- The sentences on settings that are hashes, where they differ.
local OTHERS = {
  flow = "the flow has other weights", ids = "the galaxies are others, or stand in another order",
  data = "what the flow is shown of the galaxies has other values", generator = "the seed is another",
}
-- Seconds between two syncs: the most that a crash of the machine costs.
local SYNC = 2

-- ---- beginning, or going on ----

-- A .npy file of this shape that grows: its name, header, bytes a galaxy.
local function growing(name, shape)
  local each = 4
  for i = 2, #shape do each = each * shape[i] end
  local head = arrays.header(shape, "float32")
  return { name = name, part = name .. ".part", head = head, each = each, shape = shape }
end

-- Raises where the folder has draws and resume is not true, or draws of which nothing is known, or draws of
-- other settings. Where there are none, writes the settings.
local function agree(self, settings, resume)
  local out, drawn = self.run.out, #self.run:lines(LINES, self.head) > 0
  for _, name in ipairs{ "samples.npy", "log_prob.npy", "summary.csv", "summary.fits" } do
    drawn = drawn or self.run:has(name)
  end
  if not drawn then
    self.run:write(SETTINGS, json.encode(settings, true) .. "\n")
    return
  end
  if not resume then
    raise("posteriors: %s is '%s', which has draws; %s goes on with them, or name another folder",
      errors.option "out", out, errors.option("resume", true))
  end
  local known, old = pcall(json.decode, path.read(self.run:path(SETTINGS)) or "")
  if not known or type(old) ~= "table" then
    raise("posteriors: %s has draws but not their settings; name another folder", out)
  end
  self.run:compare(old, settings, nil, function(name) return OTHERS[name] end)
end

-- The numbers of a line.
local function numbers_of(line)
  local numbers = {}
  for v in line:gmatch "[^,]+" do numbers[#numbers + 1] = tonumber(v) end
  return numbers
end

-- Opens the files behind their last whole galaxy.
local function go_on(self)
  local done, bytes = self.run:lines(LINES, self.head), 0
  local count = #done
  for _, file in ipairs(self.files) do
    -- Killed between the renames at the end: a file may have its name already.
    if not self.run:has(file.part) and self.run:has(file.name) then self.run:rename(file.name, file.part) end
    count = math.min(count, self.run:whole(file.part, file.head, file.each))
  end
  for k = 1, count do self.rows[k], bytes = numbers_of(done[k]), bytes + #done[k] + 1 end
  for _, file in ipairs(self.files) do
    file.growing = self.run:grow(file.part, file.head, count * file.each)
  end
  self.lines = self.run:grow(LINES, self.head, bytes)
  self.first, self.synced = count, C.gal_now()
end

--- folder.open{out =, shape = {N, n, d}, densities =, columns =, format =, settings =, resume =}: the folder
-- of draws `out`, its lock held until it is closed. columns: the names of a line's numbers; settings: what
-- the draws depend on, a table that JSON can hold, with `shard` where it is a shard's; format: "csv" or
-- "fits", of the summary. Returns {rows (a list of numbers for each galaxy that is drawn), first (how many
-- were drawn before), finished (whether all are, and the summary is written)}. Raises where `out` has draws
-- and resume is not true, or draws of other settings.
function folder.open(o)
  path.ready(o.out)
  local self = setmetatable({
    run = run.open{ where = "posteriors", out = o.out, noun = "draws" }, rows = {}, first = 0,
    head = table.concat(o.columns, ",") .. "\n", files = { growing("samples.npy", o.shape) },
    summary = "summary." .. o.format, again = o.resume and "the same command" or "--resume",
    kept = o.settings.shard and KEPT,
  }, Folder)
  if o.densities then self.files[2] = growing("log_prob.npy", { o.shape[1], o.shape[2] }) end
  self.run:guard(function()
    agree(self, o.settings, o.resume)
    self.finished = self.run:has(self.kept or self.summary)
    if not self.finished then go_on(self) end
  end)
  return self
end

-- ---- growing ----

--- draws:put(samples {k, m, d}, log_prob {k, m} or nil): appends draws.
function Folder:put(samples, log_prob)
  for i, x in ipairs{ samples, log_prob } do
    local values, count = core.read(x)
    self.files[i].growing:put(values, 4 * count)
  end
end

--- draws:add(numbers): writes the line of the next galaxy, all of whose draws have been put.
function Folder:add(numbers)
  local words = {}
  for i, v in ipairs(numbers) do words[i] = ("%.17g"):format(v) end
  self.rows[#self.rows + 1] = numbers
  self.lines:put(table.concat(words, ",") .. "\n")
  if C.gal_now() - self.synced > SYNC then self:sync() end
end

--- draws:sync(): brings everything that was put to the disk.
function Folder:sync()
  for _, file in ipairs(self.files) do file.growing:sync() end
  self.lines:sync()
  self.synced = C.gal_now()
end

-- ---- the end ----

--- draws:stop(): keeps what is drawn, and leaves a notice of it; where nothing is drawn, removes all but the
-- lock.
function Folder:stop()
  local drawn, out = #self.rows, self.run.out
  if drawn > 0 then
    -- A file that could not be written is closed, and what stopped the draws says so.
    if pcall(self.sync, self) then
      local told = "%d galaxies are drawn and kept in %s; %s goes on from there"
      C.gal_leave_notice(told:format(drawn, out, self.again))
    end
  else
    for _, file in ipairs(self.files) do self.run:remove(file.part) end
    self.run:remove(LINES)
    self.run:remove(SETTINGS)
  end
  self.run:close()
end

--- draws:finish(summary): gives the files their names and saves the summary, a table, beside them. Returns
-- their paths.
function Folder:finish(summary)
  local written = {}
  self:sync()
  for i, file in ipairs(self.files) do
    self.run:rename(file.part, file.name)
    written[i] = self.run:path(file.name)
  end
  written[#written + 1] = self.run:path(self.summary)
  summary:save(written[#written])
  if self.kept then self.run:rename(LINES, self.kept) end
  self.run:close()
  if not self.kept then self.run:remove(LINES) end
  return written
end

-- ---- one folder of several ----

-- Whether another process works in the folder.
local function is_busy(out)
  local ok, opened = pcall(run.open, { where = "posteriors", out = out, noun = "draws" })
  if ok then opened:close() end
  return not ok and tostring(opened):find("in use by", 1, true) ~= nil
end

--- draws:look(out, settings): the state of the folder of a shard of these draws, for shards.gather: {shard =
-- "k/K", drawn =, busy =}; nil where nothing is drawn. settings: those of the draws. Raises where the shard
-- has others.
function Folder:look(out, settings)
  local text = path.read(path.inside(out, SETTINGS))
  if not text then return nil end -- stopped before its first galaxy
  local known, old = pcall(json.decode, text)
  if not known or type(old) ~= "table" or old.shard == nil then
    raise("posteriors: %s is not a shard: it does not have the settings of its draws; remove it", out)
  end
  local same = { where = "posteriors", out = out, noun = "draws" }
  run.compare(same, old, settings, { shard = true }, function(name) return OTHERS[name] end)
  if path.kind(out .. "/" .. KEPT) then
    return { shard = old.shard, drawn = #run.lines(path.inside(out, KEPT), self.head) }
  end
  local drawn = #run.lines(path.inside(out, LINES), self.head)
  return { shard = old.shard, drawn = drawn, busy = is_busy(out) }
end

-- Bytes that are copied at once: Ctrl-C is looked at between them.
local PIECE = 2 ^ 20

-- Appends the draws of a shard {folder, first, last} behind its first `skip` galaxies to one of the files.
local function copy(file, shard, skip)
  local name, count = path.inside(shard.folder, file.name), shard.last - shard.first + 1
  local own = growing(file.name, { count, unpack(file.shape, 2) })
  local source, bytes = io.open(name, "rb"), #own.head + count * own.each
  if not source or source:read(#own.head) ~= own.head or source:seek "end" ~= bytes then
    raise("posteriors: %s is damaged, expected %d galaxies; remove %s and draw the shard again", name, count,
      shard.folder)
  end
  source:seek("set", #own.head + skip * own.each)
  local left = (count - skip) * own.each
  while left > 0 do
    errors.poll()
    local bytes, why = source:read(math.min(left, PIECE))
    if not bytes then raise("posteriors: %s can't be read: %s", name, why or "it ends too early") end
    file.growing:put(bytes)
    left = left - #bytes
  end
  source:close()
end

--- draws:take(shard[, change]): appends the galaxies of a shard (infer/shards) that these draws do not have
-- yet. change(numbers) changes each line's numbers.
function Folder:take(shard, change)
  local lines = run.lines(path.inside(shard.folder, KEPT), self.head)
  local skip = math.max(0, #self.rows - shard.first + 1)
  if skip >= #lines then return end
  for _, file in ipairs(self.files) do copy(file, shard, skip) end
  for k = skip + 1, #lines do self:add(change(numbers_of(lines[k]))) end
end

--- draws:written(): the paths of the files of draws that are finished.
function Folder:written()
  local list = {}
  for i, file in ipairs(self.files) do list[i] = self.run:path(file.name) end
  list[#list + 1] = self.run:path(self.summary)
  return list
end

return folder
