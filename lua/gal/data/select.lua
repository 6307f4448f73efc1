-- data/select: makes a sample: selects the rows of a table that pass cuts, counts what each cut leaves, and
-- labels the table that is written.
local attenuation = require "gal.data.attenuation"
local columns = require "gal.data.columns"
local errors = require "gal.base.errors"
local identity = require "gal.data.ids"
local json = require "gal.base.json"
local path = require "gal.base.path"
local rows_of = require("gal.data.open").rows_of
local sample = require "gal.data.sample"
local text = require "gal.base.text"
local units = require "gal.data.units"
local raise = errors.raise

local select_ = {}

--- select.attenuate(t, {how =, dequantise =}): puts a column a_v into the table t. how: "table", which keeps
-- the table's own, "continuum" or "balmer" (gal.data.attenuation); dequantise: spreads values over the steps
-- of tauv_cont's grid. Returns what was done, in words for a header, and a list of sentences.
function select_.attenuate(t, o)
  local told = {}
  if o.how == "table" then
    if columns.spelling(t, "a_v") then return "the table's a_v", told end
    raise("%s has no column a_v, expected one of continuum and balmer", t.path or "the table")
  end
  local ids = o.dequantise and identity.of(t, t.path or "the table") or nil
  local values, count, step, words
  if o.how == "continuum" then
    values, count, step = attenuation.continuum(t, ids)
    words = "1.086 tauv_cont"
    if step then words = ("1.086 tauv_cont, spread evenly over its grid's steps of %.4g mag"):format(step) end
    if count > 0 then
      told[1] = ("a_v: %s of %s rows had a tauv_cont of exactly 0%s"):format(text.thousands(count),
        text.thousands(t.rows), step and ", and lie in the first half step now" or "")
    end
  else
    values, count = attenuation.balmer(t)
    words = "4.05 * 1.97 lg(H-alpha/H-beta/2.86) of the gas"
    if count > 0 then
      told[1] = ("a_v: %s rows with H-alpha/H-beta below 2.86 have 0"):format(text.thousands(count))
    end
  end
  t:set("a_v", values, { unit = "mag", about = words:sub(1, 68) })
  return words, told
end

--- select.rows(t, cuts, id): the rows of the table t that pass the cuts (gal.data.sample), in order, each id
-- of the column `id` once: of several rows the first whose sciencePrimary is above 0, else the first. Second,
-- a list of {reason, how many fail, how many are left}.
function select_.rows(t, cuts, id)
  local kept, dropped = rows_of(t.rows, cuts)
  local counts, steps, left = {}, {}, t.rows
  for _, entry in ipairs(dropped) do counts[entry.reason] = entry.count end
  for _, cut in ipairs(cuts) do
    left = left - (counts[cut[1]] or 0)
    steps[#steps + 1] = { cut[1], counts[cut[1]] or 0, left }
  end
  if id and #kept > 0 then
    local chosen = t:select(kept)
    local ids, name = chosen:ids(id), columns.spelling(t, "sciencePrimary")
    local primary, row, once = name and chosen:doubles(name) or {}, {}, {}
    for k, of in ipairs(ids) do
      local other = row[of]
      if not other or (primary[k] or 0) > 0 and not ((primary[other] or 0) > 0) then row[of] = k end
    end
    for k, of in ipairs(ids) do
      if row[of] == k then once[#once + 1] = kept[k] end
    end
    steps[#steps + 1] = { ("that have the %s of another"):format(id), #kept - #once, #once }
    kept = once
  end
  return kept, steps
end

--- select.text(total, steps): the cuts as a table for people, with the paper's number in the last line.
function select_.text(total, steps)
  local rows = { { "rows of the table", "", text.thousands(total) } }
  for _, s in ipairs(steps) do rows[#rows + 1] = { s[1], text.thousands(s[2]), text.thousands(s[3]) } end
  rows[#rows + 1] = { "the paper's sample (arXiv 2512.05078)", "", text.thousands(sample.PAPER) }
  return text.table(rows, { "rows", "fall out", "are left" })
end

--- select.origin(file): where a table comes from, by the query.sql and fetch.json that fetch_sdss.lua leaves
-- beside its table: {release, query}, texts or nil.
function select_.origin(file)
  local folder = file:match "^(.*)/[^/]*$" or "."
  local query, noted = path.read(folder .. "/query.sql"), path.read(folder .. "/fetch.json")
  local known, settings = pcall(json.decode, noted or "")
  settings = known and type(settings) == "table" and settings or {}
  local about = type(settings.about) == "table" and settings.about or settings
  local server = type(settings.server) == "string" and settings.server or ""
  local release = about.release or server:match "/(dr%d+)/"
  return { release = release and tostring(release), query = query }
end

-- Text that a FITS header takes: plain ASCII, without line breaks.
local function plain(words) return (words:gsub("%s+", " "):gsub("[^\32-\126]", "?"):match "^ ?(.-) ?$") end

--- select.label(t, words): puts {KEYWORD = text or nil} and the date into the header of the table t, and
-- gives its columns units and meanings where they have none. Returns t.
function select_.label(t, words)
  local header = { DATE = os.date "!%Y-%m-%dT%H:%M:%S" }
  for name, value in pairs(words) do header[name] = type(value) == "string" and plain(value) or value end
  t:header(header)
  for _, name in ipairs(t.names) do
    local known = units.of(name, t:unit(name))
    if t:unit(name) == "" and known.unit ~= "" then t:describe(name, { unit = known.unit }) end
    if t:about(name) == "" and known.about ~= "" then t:describe(name, { about = known.about }) end
  end
  return t
end

return select_
