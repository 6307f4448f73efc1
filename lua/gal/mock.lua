-- The mock survey: galaxies drawn from a known model (runtime/mock/README.md), as tables. What a survey in a
-- file is to the models, is gal.data's.
local ffi = require "ffi"
local arguments = require "gal.base.options"
local errors = require "gal.base.errors"
local folder = require "gal.base.path"
local json = require "gal.base.json"
local table_ = require "gal.table"
local C = ffi.C
local check, raise, integer = errors.check, errors.raise, arguments.integer

local survey = {}

-- About a tenth of a second of searching.
local DRAWS = 2 ^ 18

local handle = ffi.new "gal_mock *[1]"
local found, drawn = ffi.new "int64_t[1]", ffi.new "int64_t[1]"

--- survey.search{n =, seed = 0, progress = function(found, n) end}: looks for the first n galaxies of the
-- mock survey `seed`. Returns the C survey, for survey.catalogue and survey.cutouts, and of how many draws
-- they are.
function survey.search(options)
  local o = arguments.known("survey", options, { "n", "seed", "progress" })
  local n = integer("survey", o, "n", nil, 1, 2 ^ 34) or raise "survey: n is nil, expected how many galaxies"
  check(C.gal_mock_new(handle, integer("survey", o, "seed", 0, 0, 2 ^ 53), n))
  local mock = ffi.gc(handle[0], C.gal_mock_free)
  repeat
    check(C.gal_mock_search(found, drawn, mock, DRAWS))
    if o.progress then o.progress(tonumber(found[0]), n) end
  until found[0] == n
  return mock, tonumber(drawn[0])
end

--- survey.catalogue(mock): its galaxies as a table.
function survey.catalogue(mock)
  local t = ffi.new "gal_table *[1]"
  check(C.gal_mock_table(t, mock))
  return table_.adopt(t[0])
end

--- survey.mock{n =, seed = 0}: a table of n galaxies of the mock survey: SDSS's columns (magnitudes and
-- labels as measured), and the truth: true_…, the model's latents and noiseless fluxes. Galaxy k is the same
-- whatever n is.
function survey.mock(options) return survey.catalogue((survey.search(options))) end

-- ---- a survey's folder ----

--- The couplings between galaxy and image that survey.make's `without` can switch off (gal_mock_coupling in
-- runtime/mock/mock.h).
survey.couplings = { "inclination", "size", "gradient", "bulge_colour", "clumps", "bt" }

local TOGETHER = 256 -- cutouts between two looks at the progress
local SETTINGS = { "n", "seed", "cutouts", "without", "neighbours", "version" }

-- The bits of a list of couplings.
local function mask_of(names)
  local mask = 0
  for _, name in ipairs(names) do
    local bit_
    for i, known in ipairs(survey.couplings) do if known == name then bit_ = 2 ^ (i - 1) end end
    if not bit_ then raise("survey: without has '%s', expected of %s", tostring(name), table.concat(survey.couplings, ", ")) end
    if math.floor(mask / bit_) % 2 == 0 then mask = mask + bit_ end
  end
  return mask
end

-- The folder's lock; raises where another survey lies there, or one that began with other settings, naming
-- them.
local function open(out, settings)
  local kind, path = folder.kind(out), out .. "/survey.json"
  if kind == "file" then raise("survey: out is '%s', which is a file, expected a folder", out) end
  if kind == "folder" and not folder.kind(path) and (folder.kind(out .. "/catalog.fits") or folder.kind(out .. "/catalog.csv") or folder.kind(out .. "/cutouts")) then
    raise("survey: the folder %s holds a survey that is not a mock survey; name another out", out)
  end
  folder.make(out)
  local held = ffi.new "gal_lock *[1]"
  if C.gal_lock_take(held, out .. "/lock") ~= 0 then raise("survey: %s", ffi.string(C.gal_error())) end
  local lock = ffi.gc(held[0], C.gal_lock_release)
  if not folder.kind(path) then
    folder.write(path, json.encode(settings, true) .. "\n")
    return lock
  end
  local file = assert(io.open(path))
  local known, old = pcall(json.decode, file:read "*a")
  file:close()
  if not known or type(old) ~= "table" then raise("survey: %s is damaged; name another out", path) end
  local wrong = {}
  for _, name in ipairs(SETTINGS) do
    local before, now = json.encode(old[name]), json.encode(settings[name])
    if before ~= now then wrong[#wrong + 1] = ("%s was %s and is %s"):format(name, before, now) end
  end
  if #wrong > 0 then raise("survey: the survey in %s began with other settings: %s. Give those again, or another out", out, table.concat(wrong, "; ")) end
  return lock
end

-- Makes what is not there yet of a survey; the catalogue comes last.
local function build(out, settings, mask, progress)
  local n = settings.n
  local function line(label) return progress and require "gal.base.progress" { total = n, label = label, unit = label } or { update = function() end, finish = function() end } end
  local search = line "galaxies"
  local mock = survey.search{ n = n, seed = settings.seed, progress = function(found) search:update{ done = found } end }
  search:finish()
  if settings.cutouts then
    folder.make(out .. "/cutouts")
    local pictures = line "cutouts"
    for from = 0, n - 1, TOGETHER do
      local to = math.min(n, from + TOGETHER)
      check(C.gal_mock_cutouts(mock, out .. "/cutouts", from, to, mask, settings.neighbours and 1 or 0))
      pictures:update{ done = to }
    end
    check(C.gal_disk_sync(out)) -- before the catalogue says that all is there
    pictures:finish()
  end
  survey.catalogue(mock):save(out .. "/catalog.fits")
end

--- survey.make{out =, n =, seed = 0, cutouts = true, without = {}, neighbours = true, progress = true}:
-- writes a survey folder: catalog.fits, cutouts/<objID>.jpg, and survey.json, what it was made with.
-- without: couplings (survey.couplings) of which the image knows nothing. Stopped, it goes on where it was;
-- the catalogue comes last, and a survey that has it is finished and left alone. Returns whether anything
-- was to do.
function survey.make(options)
  local o = arguments.known("survey", options, { "out", "n", "seed", "cutouts", "without", "neighbours", "progress" })
  if type(o.out) ~= "string" then raise("survey: out is %s, expected the name of a folder", errors.kind(o.out)) end
  local names, mask = {}, mask_of(o.without or {})
  for i, name in ipairs(survey.couplings) do if math.floor(mask / 2 ^ (i - 1)) % 2 == 1 then names[#names + 1] = name end end
  local n, with_cutouts = integer("survey", o, "n", nil, 1, 2 ^ 34), o.cutouts ~= false
  if not n then raise "survey: n is nil, expected how many galaxies" end
  local settings = { n = n, seed = integer("survey", o, "seed", 0, 0, 2 ^ 53), cutouts = with_cutouts, neighbours = o.neighbours ~= false,
    without = setmetatable(names, json.list), version = require("gal").version or "" }
  local lock = open(o.out, settings)
  local finished = folder.kind(o.out .. "/catalog.fits") == "file"
  local ok, err = true, nil
  if not finished then ok, err = pcall(build, o.out, settings, mask, o.progress ~= false) end
  C.gal_lock_release(ffi.gc(lock, nil))
  if not ok then error(err, 0) end
  return not finished
end

return survey
