-- Fetches SDSS's star-forming galaxies with spectra from SkyServer: a folder with catalog.csv, its query
-- (query.sql), and cutouts/<objID>.jpg of the galaxies in the paper's sample, ready to train on. The table
-- comes in pages, in some minutes, and it prints how many galaxies each reading of the paper's cuts leaves.
-- Cutouts come one every half second, which takes many hours for all: --n takes some of them at random,
-- --share some of table and cutouts. Stopped, the same command goes on where it was.

local cli = require "gal.cli"
local cutouts = require "gal.fetch.cutouts"
local data = require "gal.data"
local path = require "gal.base.path"
local pages = require "gal.fetch.pages"
local sdss = require "gal.fetch.sdss"
local sources = require "gal.fetch.sources"
local fetching = cli.common{ "fetching" }
for _, option in ipairs(fetching) do
  if option[1] ~= "pause" then option.needs = "cutouts" end -- pages of the table are paused between, too
end
local o = cli.options{
  { "out", "sdss", "folder for catalogue and cutouts" },
  { "release", "dr18", "SDSS's data release", choices = sdss.releases },
  { "share", 1, "share of the table, at random; 0.01 is enough to try", above = 0, most = 1 },
  { "cutouts", true, "fetch cutouts, too" },
  {
    "n", type = "integer", least = 1, needs = "cutouts",
    help = "galaxies that get cutouts, at random; default: all of the sample",
  },
  {
    "sample", "paper", "which galaxies get cutouts: those of the paper's cuts, or all without missing values",
    choices = { "paper", "none" },
  },
  { "server", type = "string", help = "another SkyServer: what its addresses begin with" },
  { "page", 10000, "galaxies of a query", type = "integer", least = 1, most = 500000 },
  fetching,
}

local own = o.server or sdss.server(o.release)
local settings
if o.cutouts then
  settings = sources.open(cli.values(o, { "pictures" }, {
    release = o.source == "sdss" and o.release or nil,
    server = o.cutouts_server or o.source == "sdss" and own or nil,
  }))
  cutouts.expect{ out = o.out, settings = settings, pause = o.pause }
end

-- SkyServer takes 60 queries a minute.
local pause = math.max(own:find "^http://" and 0 or 1, 2 * o.pause)
local query, counting = sdss.query(o.share)
local catalogue = o.out .. "/catalog.csv"
if not path.kind(catalogue) then cli.say(("The table is asked for at %s."):format(own)) end
local progress
local rows, faults, twins = pages.fetch{
  out = o.out, server = own, path = sdss.path, query = query, counting = counting, columns = sdss.columns,
  unique = "objID", page = o.page, about = { share = o.share, release = o.release },
  manners = { connections = 1, pause = pause, wait = pause }, hurry = pause,
  report = function(have, total)
    progress = progress or cli.progress{ total = total, first = have, label = "table", unit = "galaxies" }
    progress:update{ done = have }
  end,
}
if progress then progress:finish() end
if next(faults) then
  cli.say(("Answers that were no table, and asked for again: %s."):format(cutouts.listed(faults)))
end
if twins > 0 then cli.say(("%d more spectra of an objID that was there were left out."):format(twins)) end
if rows == 0 then
  path.remove(catalogue)
  cli.refuse("%s has no galaxy for the query in %s/query.sql; the same command asks again", own, o.out)
end
local t = require("gal").table(catalogue)
print(sdss.text(sdss.counts(t)))
local part = o.share < 1 and (", a random share of %g,"):format(o.share) or ""
cli.say(("%d galaxies%s are in %s; the paper's sample has 106,800."):format(rows, part, catalogue))

if o.cutouts then
  local survey = data.open(catalogue, { sample = o.sample })
  cli.say(survey:losses())
  local ids, place, wanted = t:ids "objID", {}, {}
  for k, id in ipairs(ids) do place[id] = k end
  for i, k in ipairs(cutouts.chosen(survey.ids, o.n)) do wanted[i] = place[survey.ids[k]] end
  cutouts.fetch{
    out = o.out, ids = ids, ra = t:doubles "ra", dec = t:doubles "dec", rows = wanted, settings = settings,
    pause = o.pause, again = o.again, say = cli.say,
  }
end
cli.say(("galrun experiments/train_%s.lua --survey %s%s"):format(o.cutouts and "image" or "photometry", o.out,
  o.sample == "paper" and " --sample paper" or ""))
