-- Fetches SDSS's star-forming galaxies with spectra from SkyServer: a folder with catalog.csv, the query that
-- it is the answer to (query.sql), and cutouts/<objID>.jpg of the galaxies in the paper's sample, ready to
-- train on. The table comes in pages, in some minutes, and how many galaxies each reading of the paper's cuts
-- leaves is printed; cutouts come one every half second, for many hours where nothing is said: --n takes some
-- of them at random, --share some of all. Stopped, the same command goes on where it was.

local cli = require "gal.cli"
local cutouts = require "gal.fetch.cutouts"
local data = require "gal.data"
local pages = require "gal.fetch.pages"
local sdss = require "gal.fetch.sdss"
local sources = require "gal.fetch.sources"
local o = cli.options{
  { "out", "sdss", "folder for catalogue and cutouts" },
  { "release", "dr18", "SDSS's data release", choices = sdss.releases },
  { "share", 1, "share of the table, at random; a hundredth is enough to try", above = 0, most = 1 },
  { "cutouts", true, "fetch cutouts, too" },
  { "n", type = "integer", least = 1, help = "galaxies that get a cutout, at random; default: all of the sample" },
  {
    "sample", "paper", "which galaxies get cutouts: those of the paper's cuts, or all that have all columns",
    choices = { "paper", "none" },
  },
  { "server", "", "another SkyServer: what its addresses begin with" },
  { "page", 10000, "galaxies of a query", type = "integer", least = 1, most = 500000 },
  cli.common{ "fetching" },
}

local server = o.server ~= "" and o.server or sdss.server(o.release)
local settings
if o.cutouts then
  settings = sources.open{
    source = o.source, release = o.source == "sdss" and o.release or nil, layer = o.layer, format = o.format,
    scale = o.scale, size = o.size,
    server = o.cutouts_server or o.source == "sdss" and server or nil,
  }
elseif o.n or o.again then
  cli.refuse("--%s is of cutouts, and --no-cutouts fetches none", o.n and "n" or "again")
end

local query, counting = sdss.query(o.share)
local progress
local rows, faults, twins = pages.fetch{
  out = o.out, server = server, path = sdss.path, query = query, counting = counting, columns = sdss.columns,
  unique = "objID", page = o.page, about = { share = o.share, release = o.release },
  manners = { connections = 1, pause = 2 * o.pause, wait = 2 * o.pause }, hurry = o.pause / 0.5,
  report = function(have, total)
    progress = progress or cli.progress{ total = total, first = have, label = "table", unit = "galaxies" }
    progress:update{ done = have }
  end,
}
if progress then progress:finish() end
if next(faults) then cli.say(("Answers that were no table, and asked for again: %s."):format(cutouts.listed(faults))) end
if twins > 0 then cli.say(("%d rows were left out: another spectrum of the same objID came before"):format(twins)) end
local catalogue = o.out .. "/catalog.csv"
local t = require("gal").table(catalogue)
print(sdss.text(sdss.counts(t)))
cli.say(("%d galaxies%s are in %s; the paper's sample has 106,800."):format(rows,
  o.share < 1 and (", a random %g of all,"):format(o.share) or "", catalogue))
local sample = o.sample == "paper" and " --sample paper" or ""

if o.cutouts then
  local survey = data.open(catalogue, { sample = o.sample })
  local place, rows_of = {}, {}
  for k, id in ipairs(t:ids "objID") do place[id] = k end
  for i, k in ipairs(cutouts.chosen(survey.ids, o.n)) do rows_of[i] = place[survey.ids[k]] end
  cli.say(survey:losses())
  cutouts.fetch{
    out = o.out, ids = t:ids "objID", ra = t:doubles "ra", dec = t:doubles "dec", rows = rows_of,
    settings = settings, pause = o.pause, again = o.again, say = cli.say,
  }
  cli.say(("galrun experiments/train_image.lua --survey %s%s"):format(o.out, sample))
else
  cli.say(("galrun experiments/train_photometry.lua --survey %s%s"):format(o.out, sample))
end
