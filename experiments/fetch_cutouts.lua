-- Fetches the cutouts of any table's galaxies from SkyServer, the Legacy Surveys' viewer or CDS's hips2fits,
-- into cutouts/<id>.jpg (or .fits) beside the table, ready to train on. The table has their positions in
-- degrees, J2000. One comes every half second; stopped, the same command goes on where it was.

local cli = require "gal.cli"
local columns = require "gal.data.columns"
local cutouts = require "gal.fetch.cutouts"
local joins = require "gal.data.joins"
local identity = require "gal.data.ids"
local sdss = require "gal.fetch.sdss"
local sources = require "gal.fetch.sources"
local o = cli.options{
  {
    "survey", type = "string", required = true,
    help = "a table, or a folder with catalog.fits or catalog.csv",
  },
  {
    "ra", type = "string",
    help = "column of right ascensions, degrees; default: ra, RAJ2000, RA_ICRS, whichever there is",
  },
  { "dec", type = "string", help = "column of declinations, degrees; given together with --ra" },
  { "n", type = "integer", least = 1, help = "galaxies that get a cutout, at random; default: all" },
  { "release", type = "string", help = "SDSS's data release; default: dr18", choices = sdss.releases },
  cli.common{ "table", "fetching" },
}

local more = { release = o.release, server = o.cutouts_server }
local settings = sources.open(cli.values(o, { "pictures" }, more))
local file = columns.find(o.survey)
local t = require("gal").table(file, { id = o.id, hdu = tonumber(o.hdu) or o.hdu })
local ids = identity.of(t, file, o.id)
if (o.ra ~= nil) ~= (o.dec ~= nil) then cli.refuse "expected --ra and --dec, both or none of them" end
if not o.ra then o.ra, o.dec = joins.position(t) end
if not o.ra then cli.refuse("%s has no columns ra and dec: --ra and --dec say which they are", file) end
for _, name in ipairs{ "ra", "dec" } do
  if not t:has(o[name]) then cli.refuse("--%s is %s, but %s has no such column", name, o[name], file) end
end
cutouts.fetch{
  out = file:match "^(.*)/[^/]*$" or ".", ids = ids, ra = t:doubles(o.ra), dec = t:doubles(o.dec),
  rows = cutouts.chosen(ids, o.n), settings = settings, pause = o.pause, again = o.again, say = cli.say,
}
