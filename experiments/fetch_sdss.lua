-- Fetches SDSS's star-forming galaxies with spectra from SkyServer: a folder with catalog.csv, ready to
-- train on, and query.sql, the query that it is the answer to. The rows come in pages, in the order of
-- specObjID, with a second between two queries; stopped, the same command goes on where it was. A smaller --n
-- gives the first plates, which is no random sample of the sky. Cutouts are not fetched.

local cli = require "gal.cli"
local pages = require "gal.fetch.pages"
local sdss = require "gal.fetch.sdss"
local o = cli.options{
  { "n", 1000000, "the most galaxies", type = "integer", least = 1 },
  { "out", "sdss", "folder for the catalogue" },
  { "release", "dr18", "SDSS's data release", choices = sdss.releases },
  { "server", "", "another SkyServer: what its addresses begin with" },
  { "page", 10000, "galaxies of a query", type = "integer", least = 1, most = 500000 },
}

local progress = cli.progress()
local rows, refusals = pages.fetch{
  out = o.out, server = o.server ~= "" and o.server or sdss.server(o.release), path = sdss.path,
  query = sdss.query, columns = sdss.columns, n = o.n, page = o.page,
  manners = { connections = 1, pause = 1 }, -- SkyServer takes 60 queries a minute
  report = function(have) progress:note(("%d galaxies so far"):format(have)) end,
}
for kind, times in pairs(refusals) do cli.say(("answers that were no table (%s): %d"):format(kind, times)) end
local catalogue = o.out .. "/catalog.csv"
print(sdss.text(sdss.counts(require("gal").table(catalogue))))
cli.say(("%d galaxies are in %s; the paper's sample has 106,800."):format(rows, catalogue))
cli.say(("galrun experiments/train_photometry.lua --survey %s"):format(o.out))
