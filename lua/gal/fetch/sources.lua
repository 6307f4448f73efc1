-- fetch/sources: the services that have pictures of the sky: addresses, pixel scales, sizes, formats, and
-- what the picture of a place outside the survey looks like. All of it is from the services' own pages and
-- sources (SkyServerWS 2023; legacysurvey.org/viewer; alasky.cds.unistra.fr/hips-image-services).
local errors = require "gal.base.errors"
local options = require "gal.base.options"
local sdss = require "gal.fetch.sdss"
local server = require "gal.fetch.server"
local raise = errors.raise

local M = {}

-- A larger share of pixels that are 0 or NaN means that there is no picture. Of 400 real SDSS cutouts the
-- blackest has 0.11.
local MOST_BLANK = 0.5
-- The most levels, of 255, that an even tile spreads over when JPEG has rounded it.
local FLAT = 2

-- Each source: words, its name in sentences; server, its address, by release; path(o), what follows the
-- address, for o's ra, dec, scale, size, layer and format; scale, in arcsec a pixel, and layers, by format,
-- the defaults; least, most: pixels a side that it gives; formats; releases; absent: whether status 404 with
-- a picture says that there is none.
local SOURCES = {
  sdss = {
    words = "SkyServer's ImgCutout", server = sdss.server, releases = sdss.releases, scale = 0.396127,
    least = 64, most = 2048, formats = { "jpg" }, absent = true,
    path = function(o)
      return "/ImgCutout/getjpeg?" .. server.form{
        { "ra", o.ra }, { "dec", o.dec }, { "scale", o.scale }, { "width", o.size }, { "height", o.size },
      }
    end,
  },
  legacysurvey = {
    words = "the Legacy Surveys' viewer", layers = { jpg = "ls-dr10", fits = "ls-dr10" }, scale = 0.262,
    least = 1, most = 512,
    server = function() return "https://www.legacysurvey.org/viewer" end, formats = { "jpg", "fits" },
    path = function(o)
      return ("/cutout.%s?"):format(o.format) .. server.form{
        { "ra", o.ra }, { "dec", o.dec }, { "layer", o.layer }, { "pixscale", o.scale }, { "size", o.size },
      }
    end,
  },
  hips2fits = {
    words = "CDS's hips2fits", layers = { jpg = "CDS/P/SDSS9/color", fits = "CDS/P/SDSS9/r" },
    scale = 0.396127, least = 1, most = 4096,
    server = function() return "https://alasky.cds.unistra.fr/hips-image-services" end,
    formats = { "jpg", "fits" },
    path = function(o)
      return "/hips2fits?" .. server.form{
        { "hips", o.layer }, { "ra", o.ra }, { "dec", o.dec },
        { "fov", ("%.8f"):format(o.scale * o.size / 3600) }, { "width", o.size }, { "height", o.size },
        { "projection", "TAN" }, { "format", o.format },
      }
    end,
  },
}

--- sources.names: {"sdss", "legacysurvey", "hips2fits"}.
M.names = { "sdss", "legacysurvey", "hips2fits" }

local function has(list, value)
  for _, v in ipairs(list) do
    if v == value then return true end
  end
  return false
end

local NAMES = { "source", "release", "layer", "format", "scale", "size", "server" }
--- sources.own: {name = true} for the options of sources.open.
M.own = {}
for _, name in ipairs(NAMES) do M.own[name] = true end

--- sources.open{source = "sdss", release = "dr18", layer =, format = "jpg", scale =, size = 128, server =}
-- --> the pictures that are asked for, as settings {source, release, layer, format, scale (arcsec a pixel),
-- size (pixels a side), server}: options left out have the source's own value, and those that it does not
-- know are "". Raises where the source does not have such pictures.
function M.open(o)
  o = options.known("fetch", o, NAMES)
  local name = o.source or "sdss"
  local s = SOURCES[name]
  if not s then
    raise("fetch: source is %s, expected one of %s", errors.kind(name), table.concat(M.names, ", "))
  end
  local function refuse(option, value, expected)
    raise("fetch: %s is %s, expected %s of %s", errors.option(option), errors.shown(value), expected,
      s.words)
  end
  if o.layer and not s.layers then
    raise("fetch: %s is %s, expected none: %s has one layer", errors.option "layer", errors.shown(o.layer),
      s.words)
  end
  if o.release and not s.releases then
    raise("fetch: %s is %s, expected none: %s has one", errors.option "release", errors.shown(o.release),
      s.words)
  end
  local format = o.format or s.formats[1]
  local settings = {
    source = name, release = s.releases and (o.release or "dr18") or "",
    layer = o.layer or s.layers and s.layers[format] or "", format = format,
    scale = options.number("fetch", o, "scale", s.scale, 0.01, 100),
    size = options.integer("fetch", o, "size", 128, 1, 4096),
  }
  if not has(s.formats, settings.format) then
    refuse("format", settings.format, table.concat(s.formats, " or "))
  end
  if s.releases and not has(s.releases, settings.release) then
    refuse("release", settings.release, "one of " .. table.concat(s.releases, ", "))
  end
  if settings.size < s.least or settings.size > s.most then
    refuse("size", settings.size, ("%d to %d pixels"):format(s.least, s.most))
  end
  if format == "fits" and errors.text("fetch", "layer", settings.layer):find "/color" then
    refuse("layer", settings.layer, "a band, which FITS can hold,")
  end
  settings.server = errors.text("fetch", "server", o.server or s.server(settings.release))
  return settings
end

--- sources.path(settings, ra, dec) --> what follows the server's address for the picture around that place,
-- in degrees.
function M.path(settings, ra, dec)
  return SOURCES[settings.source].path(setmetatable({
    ra = ("%.6f"):format(ra), dec = ("%.6f"):format(dec), scale = ("%.9g"):format(settings.scale),
  }, { __index = settings }))
end

--- sources.nothing(settings, look, status) --> a sentence where the picture (a gal_look) shows no sky; nil
-- where it does. status: HTTP's, under which it came.
function M.nothing(settings, look, status)
  if SOURCES[settings.source].absent and status == 404 then return "status 404, with a picture of words" end
  if look.blank > MOST_BLANK then return ("%.0f %% of its pixels are blank"):format(100 * look.blank) end
  local level = settings.format == "fits" and 0 or FLAT
  if look.spread <= level then return "it is one flat tile" end
end

return M
