-- Selects the paper's sample of galaxies from tables on disk: a catalogue that fetch_sdss.lua made, any table
-- with SDSS's column names, or MPA-JHU's files, which match line by line (--galspec), with SDSS photometry
-- joined by objID (--photometry). Prints how many galaxies each cut leaves, beside the paper's 106,800, and
-- writes a survey folder for train_*; its table's header says from what, when and how it was made. Magnitudes
-- stay as they are: train_* takes the extinctions off.

local cli = require "gal.cli"
local o = cli.options{
  { "table", type = "string", positional = true, help = "table, or folder with catalog.csv or catalog.fits" },
  {
    "galspec", type = "string",
    help = "folder of galSpecExtra-, galSpecIndx-, galSpecInfo- and specObj-dr8.fits, in place of a table",
  },
  {
    "photometry", type = "string",
    help = "table with objID, modelMag_*, extinction_*, petroMag_r, joined by objID",
  },
  { "out", type = "string", required = true, help = "folder for the sample" },
  {
    "petro", "dereddened", "which petroMag_r is below 17.78: less its extinction, or raw",
    choices = { "dereddened", "raw" },
  },
  {
    "a_v", type = "string", choices = { "table", "continuum", "balmer" },
    help = "A_V: the table's a_v, 1.086 tauv_cont, or of H-alpha/H-beta; default: table where it has one, or "
      .. "continuum",
  },
  { "dequantise", false, "spread A_V of the continuum over the steps of its grid, each by its galaxy's id" },
  { "classes", { 1 }, "bptclass: 1 star-forming, 2 of low signal to noise", type = "integers" },
  { "primary", true, "one spectrum of each galaxy (sciencePrimary), where the table says" },
  { "zwarning", false, "cut on zWarning = 0, too" },
  { "reliable", false, "cut on reliable = 1, too" },
  { "main", false, "cut on primTarget & 64, the main galaxy sample, too" },
  {
    "release", type = "string",
    help = "data release, for the header; default: what fetch_sdss.lua noted; of --galspec dr8",
  },
}
local columns = require "gal.data.columns"
local gal = require "gal"
local path = require "gal.base.path"
local sample = require "gal.data.sample"
local select_ = require "gal.data.select"
local text = require "gal.base.text"

if (o.table ~= nil) == (o.galspec ~= nil) then cli.refuse "expected a table or --galspec, one of them" end
if o.dequantise and o.a_v and o.a_v ~= "continuum" then
  cli.refuse("--dequantise is of --a-v continuum, and --a-v is %s", o.a_v)
end

-- The tables, as one.
local t, names, origin, file
if o.galspec then
  t, names = require("gal.data.galspec").open(o.galspec)
  origin = { release = "dr8" }
else
  local own = path.kind(o.table) == "folder" and o.table:gsub("(.)/+$", "%1") .. "/catalog.csv"
  file = own and path.kind(own) == "file" and own or require("gal.data").find(o.table)
  t, names, origin = gal.table(file), { file:match "[^/]*$" }, select_.origin(file)
end
if file and path.absolute(file) == path.absolute(o.out .. "/catalog.fits") then
  cli.refuse("--out is the folder of %s, which the sample would replace: name another", file)
end
local before = o.out .. "/catalog.fits"
if path.kind(o.out .. "/catalog.csv") or path.kind(before) and not gal.table(before):header().SAMPLE then
  cli.refuse("--out is %s, which has a table that is no sample: name another folder", o.out)
end
if o.photometry then
  local photometry, counts = gal.table(require("gal.data").find(o.photometry)), nil
  local by = columns.spelling(t, "bestObjID") or "objID"
  local wanted = {}
  for _, name in ipairs(photometry.names) do
    if not columns.spelling(t, name) then wanted[#wanted + 1] = name end
  end
  t, counts = t:join(photometry, { on = { by, "objID" }, columns = wanted })
  names[#names + 1] = photometry.path:match "[^/]*$"
  cli.say(("photometry: %s"):format(tostring(counts)))
end

local a_v = o.a_v or not o.dequantise and columns.spelling(t, "a_v") and "table" or "continuum"
local attenuated, told = select_.attenuate(t, { how = a_v, dequantise = o.dequantise })
for _, sentence in ipairs(told) do cli.say(sentence) end

-- The cuts.
local primary = columns.spelling(t, "sciencePrimary") or columns.spelling(t, "specPrimary")
local cuts = sample.cuts(t, "paper", {
  petro = o.petro, classes = o.classes, primary = o.primary and primary ~= nil, redshift = o.zwarning,
  reliable = o.reliable, main = o.main,
})
local rows, steps = select_.rows(t, cuts, columns.spelling(t, "objID"))
print(select_.text(t.rows, steps))
if #rows == 0 then cli.refuse "no galaxy is left" end

local chosen = select_.label(t:select(rows), {
  RELEASE = o.release or origin.release, TABLES = table.concat(names, ", "), QUERY = origin.query,
  SAMPLE = "cuts of arXiv 2512.05078, bptclass " .. table.concat(o.classes, ", "),
  PETRO = o.petro == "raw" and "petroMag_r < 17.78" or "petroMag_r - extinction_r < 17.78",
  EXTINCT = "not taken off modelMag and petroMag: extinction_b are columns", AVFROM = attenuated,
})
path.make(o.out)
chosen:save(o.out .. "/catalog.fits")
cli.say(("%s galaxies are in %s/catalog.fits; the paper's sample has %s."):format(text.thousands(#rows),
  o.out, text.thousands(sample.PAPER)))

-- The sample's cutouts are the table's.
local cutouts, own = file and (file:match "^(.*)/[^/]*$" or ".") .. "/cutouts", o.out .. "/cutouts"
if cutouts and path.kind(cutouts) == "folder" then
  local form = path.link(cutouts, own) and "The cutouts are those of the table: %s leads to %s."
    or "%s is not the table's cutouts, which are in %s: make it a link to them, or name another --out."
  cli.say(form:format(own, path.absolute(cutouts)))
end
local next_ = path.kind(own) and "image" or "photometry"
print(("galrun experiments/train_%s.lua --survey %s"):format(next_, o.out))
