-- data/joins: joins two tables: rows of the same id, or near one another on the sky. C finds the rows
-- (io/match.c, io/sky.c); this file takes the options, and says what was found.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local lookup = require "gal.data.lookup"
local options = require "gal.base.options"
local text = require "gal.base.text"
local C = ffi.C
local raise, made = errors.raise, require("gal.base.collect").made

local joins = {}

-- ---- what is asked for ----

-- What is kept: rows with a match, all rows, or rows without a match.
local KEEP = { inner = true, left = true, unmatched = true }
-- The columns that say which of several rows of one galaxy is its own: of SkyServer's tables, of SDSS's
-- files.
local PRIMARY = { "sciencePrimary", "specPrimary" }
-- The names of columns of positions, in degrees: SDSS's, VizieR's (two), Gaia's, SDSS's specObj's.
local POSITIONS = {
  { "ra", "dec" }, { "RAJ2000", "DEJ2000" }, { "_RAJ2000", "_DEJ2000" }, { "RA_ICRS", "DE_ICRS" },
  { "plug_ra", "plug_dec" },
}

-- Whether the table has one column of that name, case ignored.
local function has(t, name) return (lookup.find(t, name)) ~= nil end

--- joins.position(t): the names of the columns of t that have positions in degrees; nil where it has none of
-- the usual ones.
function joins.position(t)
  for _, pair in ipairs(POSITIONS) do
    if has(t, pair[1]) and has(t, pair[2]) then return pair[1], pair[2] end
  end
end

-- The options of join or near, with their defaults.
local function asked(op, t, other, given, names)
  lookup.live(t, op, op .. "(other, options)")
  if getmetatable(other) ~= lookup.Table then
    raise("%s: other is %s, expected a table (gal.table)", op, errors.kind(other))
  end
  lookup.live(other, op, op .. "(other, options)")
  local o = { keep = "inner" }
  for name, value in pairs(options.known(op, given, names)) do o[name] = value end
  if not KEEP[o.keep] then
    raise('%s: keep is %s, expected "inner", "left" or "unmatched"', op,
      type(o.keep) == "string" and '"' .. o.keep .. '"' or errors.kind(o.keep))
  end
  if o.keep == "unmatched" and o.columns then
    raise("%s: columns are given, but unmatched rows have none of the other's columns", op)
  end
  return o
end

-- 1 for each row of `other` that is its galaxy's own, by the column `prefer`, a name; by default by SDSS's.
-- Second, the column's name. nil where there is none.
local function preferred_of(op, other, prefer)
  if prefer == false then return nil end
  for _, name in ipairs(prefer == nil and PRIMARY or {}) do
    if not prefer and has(other, name) then prefer = name end
  end
  if prefer == nil then return nil end
  local i = lookup.column(other, op, prefer, "prefer")
  local flags, values = ffi.new("uint8_t[?]", other.rows + 1), ffi.new("double[?]", other.rows + 1)
  if C.gal_table_width(other.h, i) ~= 1 then raise("%s: prefer is %s, which has vectors", op, prefer) end
  made(C.gal_table_numbers, values, other.h, i)
  for k = 0, other.rows - 1 do flags[k] = values[k] > 0 and 1 or 0 end
  return flags, ffi.string(C.gal_table_name(other.h, i))
end

-- ---- what comes of it ----

-- A column's name that is not in `there`, {name in lower case = true}: name, else name_2.
local function free_name(op, name, there)
  for _, candidate in ipairs{ name, name .. "_2" } do
    if not there[candidate:lower()] then
      there[candidate:lower()] = true
      return candidate
    end
  end
  raise('%s: there are columns %s and %s_2 already: columns = {"NEW=%s"} names it', op, name, name, name)
end

-- The columns of `other` that are asked for, a list of {number, new name}: those of the list `columns`, NAME
-- or NEW=NAME; nil: all but those in `but`, {name = true}.
local function wanted(op, other, columns, but, there)
  local list = {}
  for k, name in ipairs(columns and errors.list(op, "columns", columns, "a list of names") or other.names) do
    local new = errors.text(op, ("columns[%d]"):format(k), name, "the name of a column"):match "^([^=]+)=."
    if columns and not has(other, name) and new then
      name = name:match "=(.*)$"
    else
      new = nil
    end
    local i = lookup.column(other, op, name, ("columns[%d]"):format(k))
    local read = C.gal_table_type(other.h, i) ~= C.GAL_COLUMN_OTHER
    if columns or read and not but[name] then
      if new and there[new:lower()] then raise("%s: there is a column %s already", op, new) end
      if new then there[new:lower()] = true end
      list[#list + 1] = { i, new or free_name(op, name, there) }
    end
  end
  return list
end

-- The counts in words.
local Counts = {}

function Counts.__tostring(c)
  local function n(count) return text.thousands(count) end
  local parts = { ("%s of %s rows have one of the %s"):format(n(c.matched), n(c.rows), n(c.others)) }
  if c.missing > 0 then parts[#parts + 1] = ("%s have no %s"):format(n(c.missing), c.by) end
  if c.several > 0 then
    local kept = c.kept_by and ("the %s one is kept"):format(c.kept_by)
      or c.by == "id" and "the first is kept" or "the nearest is kept"
    parts[#parts + 1] = ("%s have several, %s"):format(n(c.several), kept)
  end
  if c.shared > 0 then parts[#parts + 1] = ("%s have the same one as an earlier row"):format(n(c.shared)) end
  return table.concat(parts, "; ")
end

local function counted(found, t, other, by, kept_by)
  local counts = { rows = t.rows, others = other.rows, by = by, kept_by = kept_by }
  for _, name in ipairs{ "matched", "missing", "several", "shared" } do
    counts[name] = tonumber(found[0][name])
  end
  counts.unmatched = t.rows - counts.matched
  return setmetatable(counts, Counts)
end

-- The rows {n} of t, from 0, that are kept, and their number. row {t.rows}. Raises where none is kept.
local function kept_rows(op, t, row, keep, counts)
  local kept, n = ffi.new("int64_t[?]", t.rows + 1), 0
  for k = 0, t.rows - 1 do
    if keep == "left" or (row[k] >= 0) == (keep == "inner") then
      kept[n], n = k, n + 1
    end
  end
  if n == 0 then raise("%s: no row is left: %s", op, tostring(counts)) end
  return kept, n
end

-- The table of the rows kept {n} of t, with the columns `list` (of `wanted`) of `other` that belong to them.
local function joined_of(t, other, row, kept, n, list)
  local joined, rows = lookup.wrap(lookup.handle(C.gal_table_select, t.h, kept, n)), ffi.new("int64_t[?]", n)
  joined.path = t.path
  for k = 0, n - 1 do rows[k] = row[tonumber(kept[k])] end
  for _, pair in ipairs(list) do made(C.gal_table_take, joined.h, pair[2], other.h, pair[1], rows) end
  return lookup.refresh(joined)
end

-- {name in lower case = true} of the columns of t.
local function names_of(t)
  local there = {}
  for _, name in ipairs(t.names) do there[name:lower()] = true end
  return there
end

-- A pair of texts from `on`: one text for both tables, or {t's, other's}.
local function pair_of(op, name, on)
  if type(on) == "table" and #on == 2 then return on[1], on[2] end
  if type(on) == "string" then return on, on end
  raise('%s: %s is %s, expected a column, or {"the table\'s", "the other\'s"}', op, name, errors.kind(on))
end

--- t:join(other, {on = "objID" or {"bestObjID", "objID"}, keep = "inner", columns = nil, prefer = nil}) --> a
-- new table, counts: each row of t with the row of the table `other` that has the same id. on: the column of
-- ids, or t's and other's. Ids are whole numbers of up to 64 bits, in whatever type or as text, or any text;
-- missing ones, blanks, -1 and -9999 never match; floats that have lost digits are refused. keep: "inner",
-- the rows with a match; "left", all of t's, with missing values where there is no match; "unmatched", those
-- without one. columns: a list of other's, "NAME" or "NEW=NAME"; nil: all but its ids. A name that t has
-- already becomes NAME_2. Where several rows have the id, the first whose column `prefer` is above 0 is
-- taken, by default sciencePrimary or specPrimary where `other` has it; else, and with prefer = false, the
-- first. counts: {rows, others, matched, unmatched, missing (rows of t without an id), several (matched to
-- one of several), shared (matched to a row that an earlier one has, too)}; tostring(counts) puts it in
-- words.
function joins.join(t, other, given)
  local o = asked("join", t, other, given, { "on", "keep", "columns", "prefer" })
  local mine, its = pair_of("join", "on", o.on)
  local i, j = lookup.column(t, "join", mine, "on"), lookup.column(other, "join", its, "on")
  local there = names_of(t)
  local list = o.keep == "unmatched" and {}
    or wanted("join", other, o.columns, { [ffi.string(C.gal_table_name(other.h, j))] = true }, there)
  local flags, kept_by = preferred_of("join", other, o.prefer)
  local row, found = ffi.new("int64_t[?]", t.rows + 1), ffi.new "gal_matched[1]"
  made(C.gal_table_match, row, found, t.h, i, other.h, j, flags)
  local counts = counted(found, t, other, "id", kept_by)
  local kept, n = kept_rows("join", t, row, o.keep, counts)
  return joined_of(t, other, row, kept, n, list), counts
end

-- Right ascension and declination of the table's rows, {rows} each. on: a list of the two columns; nil: the
-- usual names. whose: "the table" or "other".
local function positions(t, on, whose)
  local names = on or { joins.position(t) }
  if type(names) ~= "table" or #names ~= 2 then
    local found = on and errors.kind(on) or "no columns ra and dec"
    raise("near: %s has %s, expected right ascension and declination: on = {RA, DEC}", whose, found)
  end
  local columns = {}
  for k, name in ipairs(names) do
    local i = lookup.column(t, "near", name, ("on[%d]"):format(k))
    if C.gal_table_width(t.h, i) ~= 1 then raise("near: %s has vectors, expected degrees", name) end
    columns[k] = ffi.new("double[?]", t.rows + 1)
    made(C.gal_table_numbers, columns[k], t.h, i)
  end
  return columns[1], columns[2]
end

--- joins.groups(t, radius): for each row of t, from 0, the first row, from 0, of those that it reaches in
-- steps of at most radius arcsec; nil where t has no positions in degrees.
function joins.groups(t, radius)
  local ra, dec = joins.position(t)
  if not ra then return nil end
  ra, dec = positions(t, { ra, dec }, "the table")
  local group = ffi.new("int64_t[?]", t.rows + 1)
  made(C.gal_sky_groups, group, ra, dec, t.rows, radius)
  return group
end

--- t:near(other, {radius = 3, on = nil, keep = "inner", columns = nil, prefer = nil, separation =
-- "separation"}) --> a new table, counts: each row of t with the row of the table `other` that is nearest on
-- the sky within radius arcsec, and a column of their separation in arcsec (false: none). on: the columns of
-- right ascension and declination in degrees, {"ra", "dec"}, or those of each table, {{"ra", "dec"},
-- {"RAJ2000", "DEJ2000"}}; nil: the usual names (ra dec, RAJ2000 DEJ2000, RA_ICRS DE_ICRS, plug_ra plug_dec).
-- Rows without a position never match; 0 and 360 degrees and the poles are nothing special; of equally near
-- rows the first is taken. Where `other` has the column `prefer` (t:join), a row where it is above 0 is taken
-- before a nearer one. keep, columns and counts are t:join's, but all columns of `other` are taken by
-- default.
function joins.near(t, other, given)
  local o = asked("near", t, other, given, { "radius", "on", "keep", "columns", "prefer", "separation" })
  local radius = options.number("near", o, "radius", 3, 0, 180 * 3600)
  local on, mine, its = o.on, o.on, o.on
  if type(on) == "table" and type(on[1]) == "table" then mine, its = on[1], on[2] end
  local ra, dec = positions(t, mine, "the table")
  local other_ra, other_dec = positions(other, its, "other")
  local there, named = names_of(t), o.separation
  local list = o.keep == "unmatched" and {} or wanted("near", other, o.columns, {}, there)
  if named == nil then named = "separation" end
  if named then named = free_name("near", errors.text("near", "separation", named), there) end
  local flags, kept_by = preferred_of("near", other, o.prefer)
  local row, found = ffi.new("int64_t[?]", t.rows + 1), ffi.new "gal_matched[1]"
  local arcsec = ffi.new("double[?]", t.rows + 1)
  made(C.gal_sky_near, row, arcsec, found, ra, dec, t.rows, other_ra, other_dec, other.rows, flags, radius)
  local counts = counted(found, t, other, "position", kept_by)
  local kept, n = kept_rows("near", t, row, o.keep, counts)
  local joined = joined_of(t, other, row, kept, n, list)
  if named and o.keep ~= "unmatched" then
    local far = ffi.new("double[?]", n)
    for k = 0, n - 1 do far[k] = arcsec[tonumber(kept[k])] end
    made(C.gal_table_add, joined.h, named, C.GAL_COLUMN_F64, 0, 1, far)
    errors.check(C.gal_table_set_unit(joined.h, C.gal_table_columns(joined.h) - 1, "arcsec"))
    lookup.refresh(joined)
  end
  return joined, counts
end

return joins
