-- The mock survey's generator: galaxies drawn from a known model (runtime/mock/README.md), as tables and as
-- survey folders. gal.data opens such a folder like any other survey; gal.mock.posterior has the exact
-- posteriors of its galaxies.
local ffi = require "ffi"
local arguments = require "gal.base.options"
local errors = require "gal.base.errors"
local json = require "gal.base.json"
local path = require "gal.base.path"
local run = require "gal.base.run"
local table_ = require "gal.table"
local units = require "gal.data.units"
local C = ffi.C
local collect = require "gal.base.collect"
local check, raise, integer = errors.check, errors.raise, arguments.integer

local mock = {}

-- Galaxies drawn by one call of C: about a tenth of a second.
local DRAWS = 2 ^ 18

local handle = ffi.new "gal_mock *[1]"
local found, drawn = ffi.new "int64_t[1]", ffi.new "int64_t[1]"

local function count_of(o)
  return integer("mock", o, "n", nil, 1, 2 ^ 34) or raise "mock: n is nil, expected how many galaxies"
end

local function seed_of(o) return integer("mock", o, "seed", 0, 0, 2 ^ 53) end

--- mock.search{n =, seed = 0, progress = function(found, n) end}: draws from the model until n galaxies of
-- the mock survey `seed` would be in it. Returns the C survey, for mock.catalogue and gal_mock_cutouts, and
-- how many draws it took.
function mock.search(options)
  local o = arguments.known("mock", options, { "n", "seed", "progress" })
  local n = count_of(o)
  local h = collect.handle(C.gal_mock_free, handle, C.gal_mock_new, seed_of(o), n)
  repeat
    check(C.gal_mock_search(found, drawn, h, DRAWS))
    if o.progress then o.progress(tonumber(found[0]), n) end
  until found[0] == n
  return h, tonumber(drawn[0])
end

--- mock.catalogue(h): the galaxies of the C survey h as a table.
function mock.catalogue(h)
  local t = table_.adopt(C.gal_mock_table, h)
  for _, name in ipairs(t.names) do t:describe(name, units.of(name, t:unit(name))) end
  return t
end

--- mock.galaxies{n =, seed = 0}: a table of n galaxies of the mock survey: SDSS's columns (magnitudes and
-- labels as measured), and the truth: true_…, the model's latents and noiseless fluxes. Galaxy k is
-- the same whatever n is.
function mock.galaxies(options) return mock.catalogue((mock.search(options))) end

-- ---- a survey's folder ----

--- mock.couplings: the couplings between galaxy and image that mock.make's `without` can switch off
-- (gal_mock_coupling in runtime/mock/mock.h).
mock.couplings = { "inclination", "size", "gradient", "bulge_colour", "clumps", "bt" }

-- Cutouts that are drawn by one call of C: how far the progress line moves.
local TOGETHER = 256

-- The couplings listed as gal_mock_cutouts takes them, a bit each, and their names in the order of
-- mock.couplings, each once.
local function couplings_of(listed)
  local wanted = {}
  for _, name in ipairs(errors.list("mock", "without", listed, "a list of couplings")) do
    local known = false
    for _, coupling in ipairs(mock.couplings) do known = known or coupling == name end
    if not known then
      raise("mock: without has '%s', expected of %s", tostring(name), table.concat(mock.couplings, ", "))
    end
    wanted[name] = true
  end
  local bits, names = 0, setmetatable({}, json.list)
  for i, coupling in ipairs(mock.couplings) do
    if wanted[coupling] then bits, names[#names + 1] = bits + 2 ^ (i - 1), coupling end
  end
  return bits, names
end

-- Raises where the folder holds a survey from elsewhere.
local function refuse_other(out)
  local function has(name) return path.kind(out .. "/" .. name) ~= nil end
  if has "survey.json" then return end
  if has "catalog.fits" or has "catalog.csv" or has "cutouts" then
    raise("mock: the folder %s holds a survey that is not a mock survey; name another %s", out,
      errors.option "out")
  end
end

local SILENT = { update = function() end, finish = function() end }

-- Makes what is not there yet of a survey; the catalogue comes last.
local function build(out, settings, without, progress)
  local n = settings.n
  local function line(label)
    return progress and require "gal.base.progress" { total = n, label = label, unit = label } or SILENT
  end
  local search = line "galaxies"
  local h = mock.search{ n = n, seed = settings.seed, progress = function(k) search:update{ done = k } end }
  search:finish()
  if settings.cutouts then
    path.make(out .. "/cutouts")
    local cutouts = line "cutouts"
    for from = 0, n - 1, TOGETHER do
      local to = math.min(n, from + TOGETHER)
      local neighbours, fits = settings.neighbours and 1 or 0, settings.cutout_format == "fits" and 1 or 0
      check(C.gal_mock_cutouts(h, out .. "/cutouts", from, to, without, neighbours, fits))
      cutouts:update{ done = to }
    end
    check(C.gal_disk_sync(out)) -- before the catalogue says that all is there
    cutouts:finish()
  end
  local made = { DATE = os.date "!%Y-%m-%dT%H:%M:%S", EXTNAME = "MOCK" }
  mock.catalogue(h):header(made):save(out .. "/catalog.fits")
end

-- Where a survey in the folder has fewer galaxies and else these settings: takes away its catalogue, so that
-- the survey is unfinished, and writes down the new number.
local function grow(out, settings)
  local known, old = pcall(json.decode, path.read(out .. "/survey.json") or "")
  if not known or type(old) ~= "table" or not tonumber(old.n) or old.n >= settings.n then return end
  local survey = run.open{ where = "mock", out = out, noun = "survey" }
  survey:work(function()
    survey:compare(old, settings, { n = true })
    survey:remove "catalog.fits"
    survey:write("survey.json", json.encode(settings, true) .. "\n")
  end)
end

--- mock.make{out =, n =, seed = 0, cutouts = true, cutout_format = "jpg", without = {}, neighbours = true,
-- progress = true}: writes a survey folder: catalog.fits, cutouts/<objID>.jpg, and survey.json, what it was
-- made with. cutout_format "fits": cutouts/<objID>.fits, g, r and i in nanomaggies a pixel, without
-- SkyServer's colours. without: couplings (mock.couplings) that the images do not show. Interrupted, it goes
-- on where it was; a survey that has its catalogue, which is written last, is finished and left alone; asked
-- for more galaxies, it grows: those that it has are the same. Returns whether anything had to be done.
function mock.make(options)
  local known = { "out", "n", "seed", "cutouts", "cutout_format", "without", "neighbours", "progress" }
  local o = arguments.known("mock", options, known)
  if type(o.out) ~= "string" then
    raise("mock: out is %s, expected the name of a folder", errors.kind(o.out))
  end
  if o.cutout_format ~= nil and o.cutout_format ~= "jpg" and o.cutout_format ~= "fits" then
    raise('mock: cutout_format is %s, expected "jpg" or "fits"', errors.kind(o.cutout_format))
  end
  local without, names = couplings_of(o.without or {})
  local settings = {
    cutout_format = o.cutout_format == "fits" and "fits" or nil,
    n = count_of(o), seed = seed_of(o), cutouts = o.cutouts ~= false, neighbours = o.neighbours ~= false,
    without = names, version = require("gal").version or "",
  }
  refuse_other(o.out)
  grow(o.out, settings)
  local survey = run.open{
    where = "mock", out = o.out, noun = "survey", settings_file = "survey.json", settings = settings,
    mark = "catalog.fits",
  }
  survey:work(function()
    if not survey.finished then build(o.out, settings, without, o.progress ~= false) end
  end)
  return not survey.finished
end

return mock
