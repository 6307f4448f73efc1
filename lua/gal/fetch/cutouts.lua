-- fetch/cutouts: fetches pictures of galaxies from an archive into a survey's folder, cutouts/<id>.jpg: one
-- after the other, slowly, each recorded. Stopped or killed at any moment it goes on: what was recorded whole
-- is not asked for again. source.json beside them says which pictures they are, so that two sources are never
-- mixed. pictures.lua judges answers; runtime/net decides how a server is treated.
local C = require("ffi").C
local answers = require "gal.fetch.answers"
local errors = require "gal.base.errors"
local json = require "gal.base.json"
local manifest = require "gal.fetch.manifest"
local options = require "gal.base.options"
local path = require "gal.base.path"
local pictures = require "gal.fetch.pictures"
local progress = require "gal.base.progress"
local run = require "gal.base.run"
local server = require "gal.fetch.server"
local sources = require "gal.fetch.sources"
local raise, thousands = errors.raise, require("gal.base.text").thousands

local M = {}

local SOURCE = "source.json"
local PAUSE = 0.5       -- seconds between two requests; all other times are in proportion to it
local LEAST_PAUSE = 0.2 -- of servers that are not this machine
local AHEAD = 4         -- requests that are handed over before they begin
local TRIES = 6         -- of a picture, where the answers are not one
local LOST = 10         -- galaxies refused in a row: the server is taken to be at fault
local FIRST = 3         -- the same where no picture has come yet
local UNSEEN = 50       -- galaxies outside the survey, none within: it is the wrong survey
-- Bytes of a pixel: those of 400 real cutouts of 128 x 128 pixels; float32 of three bands.
local BYTES = { jpg = 0.112, fits = 12 }
-- Answers that end the work at once.
local FATAL = { moved = true, untrusted = true }

local Fetching = {}
Fetching.__index = Fetching

--- cutouts.chosen(ids, n) --> the places of n of the ids, in order, chosen by a hash of each: a larger n
-- chooses these and more.
function M.chosen(ids, n)
  local order, hash, places = {}, {}, {}
  for k, id in ipairs(ids) do order[k], hash[k] = k, C.gal_hash(id, #id, 1) end
  table.sort(order, function(a, b) return hash[a] < hash[b] or hash[a] == hash[b] and a < b end)
  for i = 1, math.min(n or #ids, #ids) do places[i] = order[i] end
  table.sort(places)
  return places
end

-- Raises where the folder has cutouts of other settings, or files that were not fetched.
local function refuse_others(folder, settings)
  local text = path.read(folder .. "/" .. SOURCE)
  if text then
    local ok, old = pcall(json.decode, text)
    if not ok or type(old) ~= "table" then raise("fetch: %s/%s is damaged", folder, SOURCE) end
    return run.compare({ where = "fetch", out = folder, noun = "cutouts" }, old, settings, { server = true })
  end
  for _, name in ipairs(path.kind(folder) == "folder" and path.entries(folder) or {}) do
    if name:find "%.%a+$" and not name:find "^%." then
      raise("fetch: %s has files of somebody else's (%s), expected none, or cutouts with their %s", folder,
        name, SOURCE)
    end
  end
end

--- cutouts.expect{out =, settings =, pause = 0.5}: raises where cutouts.fetch would refuse these, for callers
-- that have long work to do before. Returns the folder of the cutouts and the pause.
function M.expect(o)
  local folder = errors.text("fetch", "out", o.out) .. "/cutouts"
  local pause = options.number("fetch", o, "pause", PAUSE, 0.001, 3600)
  local here = o.settings.server:find "^http://" -- allowed on the loopback only (galrun_net.h)
  if pause < LEAST_PAUSE and not here then
    raise("fetch: %s is %g, expected at least %g s: archives serve many", errors.option "pause", pause,
      LEAST_PAUSE)
  end
  refuse_others(folder, o.settings)
  return folder, pause
end

-- Why a galaxy can't have a cutout; nil where it may have one.
local function unfit(g)
  if g.id:find "[/%z\n\r]" or g.id:find "^%." then return "id: it can't be the name of a file" end
  if not (g.ra >= 0 and g.ra <= 360 and g.dec >= -90 and g.dec <= 90) then
    return ("position: ra %g, dec %g is none"):format(g.ra, g.dec)
  end
end

function Fetching:file(id) return self.work:path(id .. "." .. self.settings.format) end

-- Writes down what became of a galaxy.
function Fetching:record(g, became, body)
  local e = {
    id = g.id, ra = ("%.6f"):format(g.ra), dec = ("%.6f"):format(g.dec), became = became,
    bytes = body and #body, crc = body and manifest.crc(body), date = os.date "!%Y-%m-%dT%H:%M:%SZ",
  }
  self.known[g.id] = e
  self.journal:put(manifest.line(e))
  self.journal:sync()
  self.settled = self.settled + 1
  self.missing = self.missing + (body and 0 or 1)
  self.bar:update{ done = self.settled, missing = self.missing > 0 and self.missing or nil }
end

-- Records those that were held back: the server answers again, so the fault was theirs.
function Fetching:release()
  for _, lost in ipairs(self.held) do self:record(lost.g, lost.why) end
  self.held = {}
end

-- A galaxy of which no cutout can be had now.
function Fetching:give_up(g, kind, sentence)
  local why = kind .. ": " .. sentence
  if kind == "outside" or kind:find "^other" then
    self:release()
    self:record(g, why)
    self.unseen = self.unseen + 1
    if self.unseen >= UNSEEN and self.whole == 0 then
      raise("fetch: %s has no picture of any of the first %d galaxies: the last was %s: %s",
        self.settings.server, self.unseen, g.id, sentence)
    end
    return
  end
  self.held[#self.held + 1] = { g = g, why = why }
  local limit = self.whole > 0 and LOST or kind == "unreachable" and 1 or FIRST
  if #self.held < limit then return end
  raise("fetch: %s", sentence)
end

function Fetching:ask(g, after)
  local s = self.settings
  local most = s.format == "fits" and 2 ^ 20 + 64 * s.size ^ 2 or 2 ^ 16 + 3 * s.size ^ 2
  self.server:ask{
    path = sources.path(s, g.ra, g.dec), most = most, stall = 60 * self.hurry, after = after, key = g,
  }
end

-- Takes an answer: keeps the cutout, asks again, or gives up.
function Fetching:take(answer)
  local g = answer.key
  local kind, sentence, of_picture = pictures.fault(answer, self.settings)
  if not kind then
    self:release()
    path.write(self:file(g.id), answer.body)
    self.whole = self.whole + 1
    return self:record(g, "whole", answer.body)
  end
  if FATAL[kind] then raise("fetch: %s", sentence) end
  if kind == "busy" and sentence:find "asks to wait" then raise("fetch: %s", sentence) end
  g.tries = (g.tries or 0) + 1
  local same = kind .. manifest.crc(answer.body)
  local wait = answers.wait(kind, sentence)
  if not wait or g.tries >= TRIES or of_picture and g.before == same then
    return self:give_up(g, kind, sentence)
  end
  self.faults[kind] = (self.faults[kind] or 0) + 1
  g.before, wait = same, wait * self.hurry
  if kind == "rate limit" then
    self.server:rest(wait)
    wait = 0
  end
  self:ask(g, wait)
end

-- Asks for galaxies number `first` to `last` of the list; tries: of a request that fails on its way.
function Fetching:go(list, first, last, tries)
  self.server = server.open(self.settings.server, {
    connections = 2, pause = self.pause, tries = tries, wait = self.hurry,
    longest = math.max(2, 300 * self.hurry),
  })
  local ok, err = pcall(function()
    local asked, left = first - 1, 0
    while asked < last or self.server:left() > 0 do
      left = self.server:left()
      while asked < last and left < AHEAD do
        asked, left = asked + 1, left + 1
        self:ask(list[asked], 0)
      end
      self:take(self.server:next())
    end
  end)
  self.server:close()
  answers.add_tries(self.faults, self.server:counts())
  if not ok then error(err, 0) end
end

-- The galaxies that are still to be asked for: also those whose files do not have the recorded bytes, and
-- those recorded at another place. Second and third, how many of each of these.
local function left_of(self, again)
  local list, changed, moved = {}, 0, 0
  local bar = progress{ total = #self.galaxies, label = "checking cutouts", unit = "cutouts", after = 2 }
  for k, g in ipairs(self.galaxies) do
    local e, why = self.known[g.id], unfit(g)
    if e and not why and not manifest.near(e, g.ra, g.dec) then
      moved, e, self.known[g.id] = moved + 1, nil, nil
    end
    local whole = e and e.became == "whole"
    if whole and not manifest.holds(e, self:file(g.id)) then
      whole, changed, e, self.known[g.id] = false, changed + 1, nil, nil
    end
    self.whole = self.whole + (whole and 1 or 0)
    if why and not e then
      self.refused[#self.refused + 1] = { g, why }
    elseif not e or again and not whole and not why then
      list[#list + 1] = g
    else
      self.settled, self.missing = self.settled + 1, self.missing + (whole and 0 or 1)
    end
    if k % 256 == 0 then
      errors.poll()
      bar:update{ done = k }
    end
  end
  bar:finish()
  return list, changed, moved
end

-- ---- what is said ----

local function megabytes(bytes)
  if bytes >= 1e9 then return ("%.1f GB"):format(bytes / 1e9) end
  return bytes >= 1e6 and ("%.0f MB"):format(bytes / 1e6) or ("%.0f kB"):format(math.ceil(bytes / 1e3))
end

-- The sentence before the first cutout.
local function before(self, list, changed, moved)
  local s, n = self.settings, #list
  local parts = {
    ("%s%s cutout%s of %d x %d pixels at %.6g arcsec/pixel from %s:"):format(thousands(n),
      self.settled > 0 and " more" or "", n == 1 and "" or "s", s.size, s.size, s.scale, s.server),
    ("at least %s, at one every %g s, and some %s."):format(progress.duration(n * self.pause), self.pause,
      megabytes(n * s.size ^ 2 * BYTES[s.format])),
    "Stopped or killed, the same command goes on.",
  }
  if changed > 0 then
    parts[#parts + 1] = ("%s cutouts that had come are gone or changed."):format(thousands(changed))
  end
  if moved > 0 then
    parts[#parts + 1] = ("%s had come of places over 1 arcsec from the table's."):format(thousands(moved))
  end
  return table.concat(parts, " ")
end

-- "busy 3, html 1": of {kind = n}.
local function listed(counts)
  local names, parts = {}, {}
  for name in pairs(counts) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do parts[i] = ("%s %d"):format(name, counts[name]) end
  return table.concat(parts, ", ")
end
M.listed = listed

-- The sentences at the end: what there is, what there is not and why. stopped: whether the work was cut
-- short.
local function after(self, stopped)
  local bytes, none, lines = 0, {}, {}
  for _, g in ipairs(self.galaxies) do
    local e = self.known[g.id]
    bytes = bytes + (e and e.bytes or 0)
    local kind = e and e.became ~= "whole" and (e.became:match "^([^:]*):" or e.became)
    if kind then none[kind] = (none[kind] or 0) + 1 end
  end
  lines[1] = ("%s of %s cutouts are in %s: %s."):format(thousands(self.settled - self.missing),
    thousands(#self.galaxies), self.work.out, megabytes(bytes))
  if stopped then return lines[1] .. " The same command goes on." end
  if next(none) then
    lines[2] = ("%s can't be had (%s): manifest.csv says why, --again asks for them again."):format(
      thousands(self.missing), listed(none))
  end
  if next(self.faults) then
    lines[#lines + 1] = ("Answers that were no cutout, and asked for again: %s."):format(listed(self.faults))
  end
  return table.concat(lines, "\n")
end

-- ---- all of it ----

local function work_on(self, o)
  local work = self.work
  if not work:has(SOURCE) then work:write(SOURCE, json.encode(self.settings, true) .. "\n") end
  self.known, self.journal = manifest.read(work)
  local list, changed, moved = left_of(self, o.again)
  if #list > 0 and o.say then o.say(before(self, list, changed, moved)) end
  self.bar = progress{ total = #self.galaxies, first = self.settled, label = "cutouts", unit = "cutouts" }
  local ok, err = pcall(function()
    for _, refused in ipairs(self.refused) do self:record(unpack(refused)) end
    if #list > 0 then self:go(list, 1, 1, 4) end -- fewer tries: a server that is not there shows soon
    if #list > 1 then self:go(list, 2, #list, 8) end
    self:release()
  end)
  if self.settled > 0 and self.bar.updates > 0 then self.bar:finish() end
  if not ok then
    if o.say then o.say(after(self, true)) end
    error(err, 0)
  end
  manifest.finish(work, self.known, o.ids)
  if o.say then o.say(after(self)) end
end

local NAMES = { "out", "ids", "ra", "dec", "rows", "settings", "pause", "again", "say" }

--- cutouts.fetch{out =, ids =, ra =, dec =, rows =, settings =, pause = 0.5, again =, say =} --> how many
-- cutouts there are now, how many can't be had, and how often an answer was not a cutout, by kind. out: a
-- survey's folder, which gets cutouts/<id>.jpg (or .fits), source.json (settings, of sources.open) and
-- manifest.csv. ids, ra, dec: of the survey's galaxies, the positions in degrees (J2000); rows: which of
-- them, nil: all. pause: seconds between two requests. again: those that could not be had are asked for once
-- more. say(sentence) is called with what will come and what came.
function M.fetch(o)
  o = options.known("fetch", o, NAMES)
  local settings, galaxies = o.settings, {}
  local folder, pause = M.expect(o)
  for i, k in ipairs(o.rows or M.chosen(o.ids)) do
    galaxies[i] = { id = o.ids[k], ra = o.ra[k], dec = o.dec[k] }
  end
  local self = setmetatable({
    work = run.open{ where = "fetch", out = folder, noun = "cutouts" }, settings = settings, pause = pause,
    hurry = pause / PAUSE, galaxies = galaxies, faults = {}, held = {}, refused = {}, settled = 0,
    missing = 0, whole = 0, unseen = 0,
  }, Fetching)
  self.work:work(function() work_on(self, o) end)
  return self.settled - self.missing, self.missing, self.faults
end

return M
