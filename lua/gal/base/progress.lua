-- progress: progress reporting for long tasks, on standard error, so that it is no part of what a command
-- prints. On a terminal one line that is redrawn; elsewhere plain lines, few enough for a log. Training,
-- sampling and sweeps report through it.
local host = require "gal.base.host"
local text = require "gal.base.text"
local C = require("ffi").C

local REDRAWS = 0.1  -- seconds between two redrawings: as fast as one reads
local QUIET = 1      -- seconds between two plain lines, at least; and at least
local GROWTH = 0.05  -- this share of the time so far: a log grows with the logarithm of the time
local LONG = 10      -- seconds from which on a log tells of work within the first unit, then twice as long
local FIELDS = { "epoch", "train", "valid", "best" } -- shown first, in this order
local OWN = { done = true, epoch = true, train = true, valid = true, best = true }

local Progress = {}
Progress.__index = Progress

--- progress.duration(seconds) --> text for people: "4.2 s", "3 min 20 s", "1 h 05 min".
local function duration(seconds)
  if seconds < 9.95 then return ("%.1f s"):format(seconds) end
  if seconds < 59.5 then return ("%d s"):format(seconds + .5) end
  if seconds < 3599.5 then
    seconds = math.floor(seconds + .5)
    return ("%d min %02d s"):format(math.floor(seconds / 60), seconds % 60)
  end
  local minutes = math.floor(seconds / 60 + .5)
  return ("%d h %02d min"):format(math.floor(minutes / 60), minutes % 60)
end

-- Units a second, and the seconds left. Only work of this process counts: a resumed run did the rest in
-- another time. Where short work shows nothing, its first piece counts only at the end: it may be small, and
-- comes after all that is prepared once, so that a few seconds of work would look like minutes. nil in the
-- first moments, which tell nothing.
local function pace(self, now, finished)
  local worked, elapsed = self.done - self.origin, now - self.started
  if self.after > 0 and not finished then
    worked, elapsed = self.done - (self.early or self.done), now - (self.begun or now)
  end
  if worked <= 0 or elapsed < REDRAWS then return nil end
  local rate = worked / elapsed
  return rate, math.max(0, self.total - self.done) / rate
end

-- "3/10" of so many units.
local function of_total(self, done) return text.number(done) .. "/" .. text.number(self.total) end

-- How much of the epoch at hand is done, where epochs are long: " (12 %)".
local function within(self, now)
  local rate, part = pace(self, now), self.done % 1
  return rate and rate * LONG < 1 and part > 0 and (" (%d %%)"):format(100 * part) or ""
end

-- "12.5 galaxies/s", or "4.2 s a galaxy" where that is less than one.
local function rate_text(self, rate)
  if rate >= 1 then return (rate < 100 and "%.3g %s/s" or "%.0f %s/s"):format(rate, self.unit) end
  local one = self.unit:gsub("ies$", "y"):gsub("s$", "")
  return ("%s %s %s"):format(duration(1 / rate), one:match("^[aeiou]") and "an" or "a", one)
end

-- The line, in at most `width` characters: what can be missed first is left out, figures from the last one
-- on, and the time left never.
local function line_of(self, now, finished, width)
  local parts, spare = {}, {}
  if self.label then parts[1] = self.label end
  if not self.fields.epoch then
    parts[#parts + 1] = self.counted and of_total(self, math.floor(self.done))
      or ("%d %%"):format(100 * math.min(1, self.done / self.total))
  end
  for _, name in ipairs(FIELDS) do
    local v = self.fields[name]
    if name == "epoch" and v and self.counted then v = of_total(self, v) .. within(self, now) end
    if v ~= nil then
      parts[#parts + 1] = name .. " " .. text.number(v)
      if name ~= "epoch" then table.insert(spare, 1, #parts) end
    end
  end
  for _, name in ipairs(self.others) do
    parts[#parts + 1] = name .. " " .. text.number(self.fields[name])
    table.insert(spare, 1, #parts)
  end
  local rate, left = pace(self, now, finished)
  if rate and self.counted then
    parts[#parts + 1] = rate_text(self, rate)
    table.insert(spare, 1, #parts)
  end
  if finished then
    parts[#parts + 1] = "in " .. duration(now - self.started)
  elseif left then
    parts[#parts + 1] = duration(left) .. " left"
  end
  local line = table.concat(parts, ", ")
  for _, place in ipairs(spare) do -- places fall, so that removing one moves none that is still to go
    if not width or text.length(line) <= width then break end
    table.remove(parts, place)
    line = table.concat(parts, ", ")
  end
  return line
end

-- Draws the line, no longer than the terminal is wide: a line that wraps can't be redrawn.
local function draw(self, now, finished)
  local columns = self.columns or host.columns(2) or 80
  local line = line_of(self, now, finished, columns - 1)
  if text.length(line) > columns - 1 then line = line:sub(1, columns - 1) end
  self.out:write("\r", line, "\27[K", finished and "\n" or "")
  self.out:flush()
  self.drawn = now
end

-- Adds a line to a log for each whole unit (or tenth), as far as QUIET and GROWTH allow. A line is written
-- when the work moves on, since the losses of an epoch come after its last step. Where the first unit is long
-- there are lines within it.
local function log(self, now)
  local first = not self.waiting and self.step == math.floor(self.origin) and self.counted
  if first and now - self.started >= (self.spoken or LONG) then
    self.spoken = 2 * (now - self.started)
    self.out:write(line_of(self, now), "\n")
    self.out:flush()
  end
  if self.waiting and self.done > self.waiting.done then
    local least = self.fields.epoch and QUIET or math.max(QUIET, GROWTH * (now - self.started))
    if not self.drawn or now - self.drawn >= least then
      self.out:write(self.waiting.text, "\n")
      self.out:flush()
      self.drawn = now
    end
    self.waiting = nil
  end
  local step = math.floor(self.done / (self.counted and 1 or self.total / 10) + 1e-9)
  if step > self.step or self.waiting then self.waiting = { done = self.done, text = line_of(self, now) } end
  self.step = step
end

--- p:update{done =, ...} reports where the work is: done, the units finished so far, or a fraction of 1 where
-- no total was given, and any figures to show: epoch, train, valid and best first, others after them by name.
-- A figure that is left out keeps its last value. May be called as often as one likes.
function Progress:update(fields)
  local now = self.clock()
  self.done = fields.done or self.done
  self.updates = self.updates + 1
  if not self.begun and self.done > self.origin then self.begun, self.early = now, self.done end
  for name, v in pairs(fields) do
    if not OWN[name] and self.fields[name] == nil then
      self.others[#self.others + 1] = name
      table.sort(self.others)
    end
    if name ~= "done" then self.fields[name] = v end
  end
  if now - self.started < self.after then return end
  if not self.terminal then
    log(self, now)
  elseif not self.drawn or now - self.drawn >= REDRAWS then
    draw(self, now)
  end
end

--- p:note(line) prints a line of its own, above the progress line.
function Progress:note(line)
  if self.terminal then self.out:write("\r\27[K") end
  self.out:write(line, "\n")
  self.out:flush()
  if self.terminal and self.updates > 0 and not self.finished then draw(self, self.clock()) end
end

--- p:finish() ends with the last figures and the time that the work took. Later calls do nothing.
function Progress:finish()
  if self.finished or self.updates == 0 or self.clock() - self.started < self.after then return end
  self.finished = true
  if self.terminal then return draw(self, self.clock(), true) end
  self.out:write(line_of(self, self.clock(), true), "\n")
  self.out:flush()
end

--- progress{total =, label =, unit = "steps", first = 0, after = 0, spent = 0} --> p. total is how many units
-- (epochs, galaxies) the work has, without it `done` is a fraction; first is how many were done before, in a
-- run that goes on; work that takes less than `after` seconds shows nothing; spent: seconds that it has taken
-- already. out (a file), terminal (a boolean), columns and clock (a function, seconds) are for tests.
local function progress(o)
  o = o or {}
  local terminal = o.terminal
  if terminal == nil then terminal = not o.out and host.columns(2) ~= nil end
  local clock = o.clock or C.gal_now
  local total, first = o.total or 1, o.first or 0
  return setmetatable({
    total = total, counted = o.total ~= nil, label = o.label, unit = o.unit or "steps",
    origin = first, done = first, updates = 0, step = math.floor(o.total and first or 10 * first),
    fields = {}, others = {},
    started = clock() - (o.spent or 0), clock = clock, after = o.after or 0,
    out = o.out or io.stderr, terminal = terminal, columns = o.columns,
  }, Progress)
end

return setmetatable({ duration = duration }, { __call = function(_, o) return progress(o) end })
