-- infer/folder: a folder of draws that grows galaxy by galaxy (gal.base.run): samples.npy {N, n, d} and, with
-- densities, log_prob.npy {N, n} as NAME.part, and beside them summary.part, a line a galaxy: its statistics,
-- and what the solver took. The lines are written last: a galaxy without its line is drawn again. draws.json
-- says with what the draws were made. Whole, the files get their names and the lines become the summary.
local arrays = require "gal.data.arrays"
local core = require "gal.tensor"
local ffi = require "ffi"
local json = require "gal.base.json"
local path = require "gal.base.path"
local raise = require("gal.base.errors").raise
local run = require "gal.base.run"
local C = ffi.C

local folder = {}
local Folder = {}
Folder.__index = Folder

local SETTINGS, LINES = "draws.json", "summary.part"
-- What is said of settings that are hashes, where they differ.
local OTHERS = {
  flow = "the flow has other weights", ids = "the galaxies are others, or stand in another order",
  data = "what the flow is shown of the galaxies has other values", generator = "the seed is another",
}
-- Seconds between two syncs: what a crash of the machine costs at most.
local SYNC = 2

-- ---- beginning, or going on ----

-- A growing .npy file of this shape behind what it holds: its name, header, bytes a galaxy.
local function growing(name, shape)
  local each = 4
  for i = 2, #shape do each = each * shape[i] end
  return { name = name, part = name .. ".part", head = arrays.header(shape, "float32"), each = each }
end

-- Raises where the folder has draws and resume is not true, or draws of which nothing is known, or that were
-- made with other settings. Where there are none, writes the settings down.
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
    raise("posteriors: out is '%s', which has draws; resume (--resume) goes on with them, or name another "
      .. "folder", out)
  end
  local known, old = pcall(json.decode, path.read(self.run:path(SETTINGS)) or "")
  if not known or type(old) ~= "table" then
    raise("posteriors: the draws in %s don't say with what they were made; name another folder", out)
  end
  self.run:compare(old, settings, nil, function(name) return OTHERS[name] end)
end

-- Opens the files behind what they hold of whole galaxies.
local function go_on(self)
  local done, bytes = self.run:lines(LINES, self.head), 0
  local count = #done
  for _, file in ipairs(self.files) do
    -- Killed between the renames at the end: a file may have its name already.
    if not self.run:has(file.part) and self.run:has(file.name) then self.run:rename(file.name, file.part) end
    count = math.min(count, self.run:whole(file.part, file.head, file.each))
  end
  for k = 1, count do
    self.rows[k], bytes = {}, bytes + #done[k] + 1
    for v in done[k]:gmatch "[^,]+" do table.insert(self.rows[k], tonumber(v)) end
  end
  for _, file in ipairs(self.files) do
    file.growing = self.run:grow(file.part, file.head, count * file.each)
  end
  self.lines = self.run:grow(LINES, self.head, bytes)
  self.first, self.synced = count, C.gal_now()
end

--- folder.open{out =, shape = {N, n, d}, densities =, columns =, format =, settings =, resume =}: the folder
-- of draws `out`, its lock held until it is closed. columns: the names of a line's numbers; settings: what
-- the draws depend on, a table that JSON can hold; format: "csv" or "fits", of the summary. Returns {rows (a
-- list of numbers for each galaxy that is drawn), first (how many were before), finished (all are, and the
-- summary is written)}. Raises where `out` has draws and resume is not true, or draws with other settings.
function folder.open(o)
  path.ready(o.out)
  local self = setmetatable({
    run = run.open{ where = "posteriors", out = o.out, noun = "draws" }, rows = {}, first = 0,
    head = table.concat(o.columns, ",") .. "\n", files = { growing("samples.npy", o.shape) },
    summary = "summary." .. o.format, again = o.resume and "the same command" or "--resume",
  }, Folder)
  if o.densities then self.files[2] = growing("log_prob.npy", { o.shape[1], o.shape[2] }) end
  self.run:guard(function()
    agree(self, o.settings, o.resume)
    self.finished = self.run:has(self.summary)
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

--- draws:add(numbers): the line of the next galaxy, all of whose draws were put.
function Folder:add(numbers)
  local words = {}
  for i, v in ipairs(numbers) do words[i] = ("%.17g"):format(v) end
  self.rows[#self.rows + 1] = numbers
  self.lines:put(table.concat(words, ",") .. "\n")
  if C.gal_now() - self.synced > SYNC then self:sync() end
end

--- draws:sync(): what was put is on disk when this returns.
function Folder:sync()
  for _, file in ipairs(self.files) do file.growing:sync() end
  self.lines:sync()
  self.synced = C.gal_now()
end

-- ---- the end ----

--- draws:stop(): keeps what is drawn, and leaves a notice of it; where nothing is, no file but the lock.
function Folder:stop()
  local drawn, out = #self.rows, self.run.out
  if drawn > 0 then
    self:sync()
    local told = "%d galaxies are drawn and kept in %s; %s goes on from there"
    C.gal_leave_notice(told:format(drawn, out, self.again))
  else
    for _, file in ipairs(self.files) do self.run:remove(file.part) end
    self.run:remove(LINES)
    self.run:remove(SETTINGS)
  end
  self.run:close()
end

--- draws:finish(summary): gives the files their names and saves the summary, a table, beside them. Returns
-- the paths of all.
function Folder:finish(summary)
  local written = {}
  self:sync()
  for i, file in ipairs(self.files) do
    self.run:rename(file.part, file.name)
    written[i] = self.run:path(file.name)
  end
  written[#written + 1] = self.run:path(self.summary)
  summary:save(written[#written])
  self.run:close()
  self.run:remove(LINES)
  return written
end

--- draws:written(): the paths of the files of draws that are finished.
function Folder:written()
  local list = {}
  for i, file in ipairs(self.files) do list[i] = self.run:path(file.name) end
  list[#list + 1] = self.run:path(self.summary)
  return list
end

return folder
