-- run: a folder for long work that may be interrupted or killed at any time and then goes on where it was.
-- One galrun at a time works in it: it holds the folder's lock. A settings file says what the work began
-- with, and other settings are refused by name. Each piece of finished work stays, as a whole file or as the
-- next bytes of a file that grows. One file, written last, marks all of the work as finished. gal.train,
-- gal.mock, gal.mock.posterior and gal.data.cutouts keep their folders by this module; it knows no tensors.
--
-- A sweep over eight jobs as an example, with one line of results.csv a job:
--
--   local run = require "gal.base.run"
--   local HEAD = "job,loss\n"
--   local sweep = run.open{ where = "sweep", out = "runs/sweep", noun = "sweep", mark = "best.json",
--     settings_file = "sweep.json", settings = { lr = { 1e-3, 1e-4 }, seed = 0 } }
--   sweep:work(function()
--     if sweep.finished then return end
--     local done, bytes = sweep:lines("results.csv", HEAD)
--     local results = sweep:grow("results.csv", HEAD, bytes)
--     for job = #done + 1, 8 do
--       results:put(("%d,%.9g\n"):format(job, loss_of(job)))
--       results:sync()
--     end
--     sweep:write("best.json", best_of(sweep:lines("results.csv", HEAD)))
--   end)
--
-- Killed at any line, the same script runs the jobs that are missing; a half-written line is cut off. A
-- second galrun meanwhile raises "sweep: runs/sweep/lock: in use by process 4711 on host". With another seed
-- it raises "sweep: the sweep in runs/sweep began with other settings: seed was 0 and is 1. Give those again,
-- or another out".
local ffi = require "ffi"
local errors = require "gal.base.errors"
local json = require "gal.base.json"
local path = require "gal.base.path"
local collect = require "gal.base.collect"
local C = ffi.C
local check, raise = errors.check, errors.raise

local M = {}
local Run, Growing = {}, {}
Run.__index, Growing.__index = Run, Growing

local locks, files = ffi.new "gal_lock *[1]", ffi.new "gal_growing *[1]"

-- ---- settings ----

-- A setting in a sentence: a list as one writes it at the command line.
local function shown(value)
  if value == nil then return "not set" end
  local text = value
  if type(value) == "table" then
    local plain = type(value[1]) == "string" or type(value[1]) == "number"
    text = plain and table.concat(value, ",") or next(value) == nil and "empty" or "another"
  elseif type(value) == "boolean" then
    text = value and "on" or "off"
  end
  text = type(text) == "string" and errors.shown(text) or json.encode(text)
  return #text > 60 and text:sub(1, 57) .. "..." or text
end

-- A setting's name in a sentence: where it is an option, as one writes that.
local function called(name)
  local option = errors.option(name:match "[^.]*$")
  return option:find "^%-%-" and option or name
end

-- Settings by name, those of tables within as "notes.id"; lists stay as they are.
local function flat(settings, prefix, into)
  for name, value in pairs(settings) do
    if type(value) == "table" and type(next(value)) == "string" then
      flat(value, prefix .. name .. ".", into)
    else
      into[prefix .. name] = value
    end
  end
  return into
end

-- What is said of settings that are hashes.
local HASHES = {
  flow = "the flow is another", ids = "the galaxies are others, or in another order",
  data = "the galaxies have other values",
}
local function is_hash(value) return type(value) == "string" and #value > 14 and not value:find "%D" end

-- What is said of a setting that was a and is b.
local function sentence(name, a, b)
  local was, is = shown(a), shown(b)
  if not is_hash(a) and not is_hash(b) and was ~= is then
    return ("%s was %s and is %s"):format(called(name), was, is)
  end
  return HASHES[name:gsub("_against$", "")] or ("%s is another"):format(called(name))
end

--- run:compare(old, new[, free[, words]]): raises where settings differ, naming each with what it was and is.
-- old, new: tables that JSON can hold; free: {name = true} of settings that may change; words(name): what is
-- said instead of a setting that differs, once where it is said of several; nil: that it was and is.
function Run:compare(old, new, free, words)
  local names, wrong, said = {}, {}, {}
  old, new = flat(old, "", {}), flat(new, "", {})
  for name in pairs(old) do names[name] = true end
  for name in pairs(new) do names[name] = true end
  for name in pairs(names) do
    local a, b = old[name], new[name]
    local before, now = a ~= nil and json.encode(a), b ~= nil and json.encode(b)
    if before ~= now and not (free and free[name]) then
      local told = words and words(name) or sentence(name, a, b)
      if not said[told] then wrong[#wrong + 1] = told end
      said[told] = true
    end
  end
  if #wrong == 0 then return end
  table.sort(wrong)
  raise("%s: the %s in %s began with other settings: %s. Give those again, or another %s", self.where,
    self.noun, self.out, table.concat(wrong, "; "), errors.option "out")
end

-- Whether the settings file is there; raises where it is damaged or has other settings than o's.
local function agrees(self, o)
  local text = path.read(self:path(o.settings_file))
  if not text or o.result and not self:has(o.result) then return false end
  local known, old = pcall(json.decode, text)
  if not known or type(old) ~= "table" then
    raise("%s: %s is damaged; name another %s", self.where, self:path(o.settings_file), errors.option "out")
  end
  self:compare(old, o.settings)
  return true
end

--- run.compare({where =, out =, noun =}, old, new[, free[, words]]): run:compare of a folder that is not
-- open.
M.compare = Run.compare

-- ---- opening and closing ----

-- Seconds between two tries to take a lock that another process holds.
local LOOK = 0.1

-- wait: told once why it waits, with the holder's name, where another process holds the lock; true waits
-- without a word, nil raises.
local function take_lock(self, name, wait)
  local file = self:path(name)
  local function take() return collect.handle(C.gal_lock_release, locks, C.gal_lock_take, file) end
  local ok, lock = pcall(take)
  if not ok then
    collectgarbage() -- a run that Ctrl-C left on its way to its owner holds the lock until it is collected
    ok, lock = pcall(take)
  end
  while not ok do
    local why = ffi.string(C.gal_error())
    if not wait or not why:find(": in use by ", 1, true) then raise("%s: %s", self.where, why) end
    if wait ~= true then wait(why) end
    wait = true
    errors.poll()
    C.gal_sleep(LOOK)
    ok, lock = pcall(take)
  end
  self.lock = lock
end

--- run.open{where =, out =, noun = "run", lock = "lock", settings_file =, settings =, mark =}: the folder
-- `out`, made with those above it where it is absent and cleared of what killed processes left half-written;
-- the caller holds its lock until run:close(). Options:
--   where          the function that errors name first
--   noun           what errors call the work: "the survey in out began with …"
--   lock           the lock's file in the folder
--   wait           for work that several processes want and one has to do: a function of a sentence, called
--                  once where another process holds the lock, which is then waited for; or true
--   settings_file, settings   the file that holds what the work began with, and a table that JSON can hold:
--                  written where the work begins, compared where it goes on; without them neither
--   result         the file without which nothing of the work is kept: while it is absent other settings may
--                  begin anew
--   mark           the file, written last, that says that all of the work is done
-- Returns a run: out, and finished, whether `mark` is there. A folder that is finished, with equal settings,
-- is neither locked nor written to. Raises where `out` is a file, where another process holds the lock,
-- naming it, where the settings are others, naming each, and where their file is damaged.
function M.open(o)
  local self = setmetatable({ where = o.where, out = o.out, noun = o.noun or "run", growing = {} }, Run)
  if path.kind(o.out) == "file" then
    raise("%s: %s is '%s', which is a file, expected a folder", o.where, errors.option "out", o.out)
  end
  local begun = o.settings ~= nil and agrees(self, o)
  self.finished = begun and o.mark ~= nil and self:has(o.mark)
  if self.finished then return self end
  path.make(o.out)
  take_lock(self, o.lock or "lock", o.wait)
  self:guard(function()
    -- Read again: another process may have begun here, and even finished, until the lock was free.
    if o.settings and not agrees(self, o) then
      self:write(o.settings_file, json.encode(o.settings, true) .. "\n")
    end
    self.finished = o.mark ~= nil and self:has(o.mark)
  end)
  return self
end

--- run:close(): closes the files that grow and gives up the lock. A run that is closed stays so.
function Run:close()
  for _, file in ipairs(self.growing) do
    collect.free(C.gal_growing_close, file.h)
    file.h = nil
  end
  self.growing = {}
  if self.lock then collect.free(C.gal_lock_release, self.lock) end
  self.lock = nil
end

--- run:guard(fn): calls fn; where that raises, closes the run and raises it on.
function Run:guard(fn)
  local ok, err = pcall(fn)
  if ok then return end
  self:close()
  error(err, 0)
end

--- run:work(fn): calls fn and closes the run, whether fn returns or raises; an error is raised on.
function Run:work(fn)
  self:guard(fn)
  self:close()
end

-- ---- files ----

--- run:path(name): the path of the folder's file of that name. Raises where that is a link that leads out of
-- the folder.
function Run:path(name) return path.inside(self.out, name) end

--- run:has(name): whether the folder has a file of that name.
function Run:has(name) return path.kind(self:path(name)) == "file" end

--- run:write(name, text): a whole file, in place of what was there, complete or not at all.
function Run:write(name, text) path.write(self:path(name), text) end

--- run:rename(from, to): gives a file of the folder another name; on disk when it returns.
function Run:rename(from, to) check(C.gal_file_rename(self:path(from), self:path(to))) end

--- run:remove(name): takes a file away; one that is absent is no error.
function Run:remove(name) path.remove(self.out .. "/" .. name) end

--- run.lines(file, head): the whole lines of the text file at this path that come after `head`, as a list,
-- and how many bytes they are. A last line without its end is left out; a file that is absent or begins
-- otherwise has none.
function M.lines(file, head)
  local text, list, bytes = path.read(file) or "", {}, 0
  if text:sub(1, #head) ~= head then return list, 0 end
  for line, after in text:sub(#head + 1):gmatch "([^\n]*)\n()" do list[#list + 1], bytes = line, after - 1 end
  return list, bytes
end

--- run:lines(name, head): the same for the folder's file of that name.
function Run:lines(name, head) return M.lines(self:path(name), head) end

--- run:whole(name, head, each): how many whole pieces of `each` bytes the folder's file of that name has
-- behind `head`; 0 where it is absent or begins otherwise.
function Run:whole(name, head, each)
  local file, bytes, modified = self:path(name), ffi.new "int64_t[1]", ffi.new "int64_t[1]"
  if path.read(file, #head) ~= head then return 0 end
  if C.gal_file_stamp(file, bytes, modified) ~= 1 then raise("%s", ffi.string(C.gal_error())) end
  return math.floor((tonumber(bytes[0]) - #head) / each)
end

--- run:grow(name, head, keep): opens the folder's file of that name for appending: its `head` and `keep`
-- bytes after it stay, the rest is cut off; with keep = 0 it begins anew with head. Returns a file with put
-- and sync; run:close() closes it.
function Run:grow(name, head, keep)
  local kept = keep > 0 and #head + keep or 0
  local h = collect.handle(C.gal_growing_close, files, C.gal_growing_open, self:path(name), kept)
  local file = setmetatable({ h = h, path = self:path(name) }, Growing)
  self.growing[#self.growing + 1] = file
  if keep == 0 then file:put(head) end
  return file
end

local function handle_of(file) return file.h or raise("%s: its run is closed", file.path) end

--- file:put(bytes[, n]): appends a string, or n bytes at a pointer.
function Growing:put(bytes, n) check(C.gal_growing_put(handle_of(self), bytes, n or #bytes)) end

--- file:sync(): what was put is on disk when this returns.
function Growing:sync() check(C.gal_growing_sync(handle_of(self))) end

return M
