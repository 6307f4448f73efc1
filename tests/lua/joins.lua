-- Joins of tables, t:join by ids and t:near by positions, and groups on the sky. Positions are held against
-- astropy's (golden/sky.csv), and against all pairs one by one.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local joins = require "gal.data.joins"

local scratch = dofile "lua/lib/scratch.lua"
local nan = 0 / 0
local NEAR = 1e-8 -- arcsec: 4.8e-14 radians, some 200 roundings of a double

local function file(name, text) return gal.table(scratch.write(scratch.path(name), text)) end

check.case("a number is the same id in whatever type it is stored", function()
  local ids = { "18446744073709551615", "9223372036854775808", "7", "0" }
  local numbers = gal.table{ name = ids, x = { 1, 2, 3, 4 } }
  local unsigned = gal.table "golden/files/table.fits" -- TZERO = 2^63
  local column
  for _, name in ipairs(unsigned.names) do
    local ok, found = pcall(unsigned.ids, unsigned, name)
    if ok and found[1] == ids[1] then column = name end
  end
  local found = unsigned:join(numbers, { on = { column, "name" }, keep = "left" })
  check.equal(found:doubles "x", { 1, 2, 3, 4 })
  local text = file("text.csv", 'objID,y\n" 1237648720693755918 ",1\n-42,2\n12.0,3\nM 31,4\n')
  local whole = gal.table{ objID = { -42, 12, 5 }, z = { 20, 30, 50 } }
  check.equal(text:join(whole, { on = "objID", keep = "left" }):doubles "z", { nan, 20, 30, nan })
  local long = file("long.csv", "OBJID,z\n1237648720693755918,10\n1237648720693755919,11\n")
  local matched, counts = long:join(text, { on = "objid" })
  check.equal({ matched:strings "OBJID", matched:doubles "y" }, { { "1237648720693755918" }, { 1 } })
  check.equal({ counts.rows, counts.others, counts.matched, counts.unmatched }, { 2, 4, 1, 1 })
  local named = gal.table{ name = { "M 31 ", "m 31" }, w = { 1, 2 } }
  check.equal(text:join(named, { on = { "objID", "name" } }):doubles "w", { 1 })
end)

check.case("missing, blank, -1 and -9999 are no ids", function()
  local a = file("a.csv", "id,x\n,1\n-1,2\n-9999,3\nnull,4\n5,5\n")
  local b = gal.table{ id = { nan, -1, -9999, 5, nan }, y = { 1, 2, 3, 4, 5 } }
  local found, counts = a:join(b, { on = "id", keep = "left" })
  check.equal(found:doubles "y", { nan, nan, nan, nan, 4 })
  check.equal({ counts.missing, counts.matched, counts.several }, { 4, 1, 0 })
  check.equal(tostring(counts), "1 of 5 rows have one of the 5; 4 have no id")
end)

check.case("ids that have lost digits are refused, as numbers and as text", function()
  local rounded = gal.table{ objID = { 1237648720693755918 }, x = { 1 } }
  local whole = file("whole.csv", "objID\n1237648720693755918\n")
  local sentence = 'column "objID" has the floating%-point number 1.2376487206937559e%+18 in row 1, expected '
    .. "an integer whose digits are all there"
  check.raises(function() rounded:join(whole, { on = "objID" }) end, sentence)
  check.raises(function() whole:join(rounded, { on = "objID" }) end, sentence)
  local typed = file("typed.csv", 'objID\n"1.23764872069376E+18"\nM 31\n')
  check.raises(function() whole:join(typed, { on = "objID" }) end,
    'typed.csv: column "objID" has the floating%-point number 1.23764872069376E%+18 in line 2, expected')
end)

check.case("of several rows sciencePrimary is kept, or what prefer says, or the first", function()
  local t = gal.table{ objID = { 1, 2, 3, 1 } }
  local other = gal.table{
    objID = { 1, 1, 2, 2, 9 }, sciencePrimary = { 0, 1, 0, 0, 1 }, best = { 0, 0, 0, 1, 0 },
    k = { 1, 2, 3, 4, 5 },
  }
  local found, counts = t:join(other, { on = "objID", columns = { "k" } })
  check.equal(found:doubles "k", { 2, 3, 2 })
  check.equal({ counts.several, counts.shared, counts.kept_by }, { 3, 1, "sciencePrimary" })
  check.equal(tostring(counts), "3 of 4 rows have one of the 5; 3 have several, the sciencePrimary one is "
    .. "kept; 1 have the same one as an earlier row")
  check.equal(t:join(other, { on = "objID", columns = { "k" }, prefer = "BEST" }):doubles "k", { 1, 4, 1 })
  check.equal(t:join(other, { on = "objID", columns = { "k" }, prefer = false }):doubles "k", { 1, 3, 1 })
  local paired = gal.table{ objID = { 1, 2 }, v = { { 1, 2 }, { 3, 4 } } }
  check.raises(function() t:join(paired, { on = "objID", prefer = "v" }) end, "v, which has vectors")
  check.equal(t:join(other, { on = "objID", keep = "unmatched" }):doubles "objID", { 3 })
end)

check.case("what is not there is missing, in each type, and names that are taken get _2", function()
  local t = gal.table{ objID = { "1", "2" }, z = { 0.1, 0.2 } }
  local other = gal.table{
    objID = { "2" }, class = { "GALAXY" }, z = { 0.3 }, v = { { 1, 2 } },
    plate = gal.load("golden/files/i8.npy"):reshape{ -1 }:narrow(1, 1, 1),
  }
  other:describe("z", { unit = "km/s" })
  local found = t:join(other, { on = "objID", keep = "left" })
  check.equal(found.names, { "objID", "z", "class", "plate", "v", "z_2" })
  check.equal(found:strings "class", { "", "GALAXY" })
  check.equal(found:doubles "v", { { nan, nan }, { 1, 2 } })
  check.equal(found:strings "plate", { "", other:strings("plate")[1] })
  check.equal(found:unit "z_2", "km/s")
  found:drop "v":save(scratch.path "found.fits")
  check.equal(gal.table(scratch.path "found.fits"):strings "plate", found:strings "plate")
  check.equal(t:join(other, { on = "objID", columns = { "cz=z" } }).names, { "objID", "z", "cz" })
  check.equal(t.names, { "objID", "z" }, "the table itself")
  check.equal(t:join(t, { on = "objID", keep = "left" }):doubles "z_2", { 0.1, 0.2 })
  local both = gal.table{ objID = { "2" }, z = { 0.3 }, z_2 = { 0.4 } }
  check.equal(t:join(both, { on = "objID" }).names, { "objID", "z", "z_2", "z_2_2" })
end)

check.case("positions match as astropy's do: at the poles, across 0, in a crowd", function()
  local golden = gal.table "golden/sky.csv"
  local row = {}
  for k = 1, golden.rows do row[k] = k end
  local other = gal.table{ ra = golden:doubles "other_ra", dec = golden:doubles "other_dec", row = row }
  local nearest, far = golden:doubles "nearest", golden:doubles "arcsec"
  for _, radius in ipairs{ 1, 3, 3600, 180 * 3600 } do
    local found, counts = golden:near(other, { radius = radius, keep = "left", columns = { "row" } })
    local rows, arcsec, matched = found:doubles "row", found:doubles "separation", 0
    for k = 1, golden.rows do
      local inside = far[k] <= radius
      matched = matched + (inside and 1 or 0)
      check.equal(rows[k], inside and nearest[k] or nan, ("row %d, radius %g"):format(k, radius))
      check.near(arcsec[k], inside and far[k] or nan, NEAR, ("row %d, radius %g"):format(k, radius))
    end
    check.equal(counts.matched, matched)
  end
  check.equal(golden:near(other, { radius = 3 }):unit "separation", "arcsec")
end)

check.case("a primary row is taken before a nearer one, and the first of equally near ones", function()
  local t = gal.table{ RAJ2000 = { 10, 20, nan, 40 }, DEJ2000 = { 0, 0, 0, -9999 } }
  local other = gal.table{
    ra = { 10, 10, 20, 20 }, dec = { 0.0001, 0.0005, 0.0001, -0.0001 }, sciencePrimary = { 0, 1, 0, 0 },
    k = { 1, 2, 3, 4 },
  }
  local found, counts = t:near(other, { keep = "left", columns = { "k" }, separation = "far" })
  check.equal(found:doubles "k", { 2, 3, nan, nan })
  check.near(found:doubles "far", { 1.8, 0.36, nan, nan }, NEAR)
  check.equal({ counts.matched, counts.missing, counts.several }, { 2, 2, 2 })
  check.equal(t:near(other, { prefer = false, columns = { "k" }, separation = false }):doubles "k", { 1, 3 })
  check.raises(function() t:near(gal.table{ ra = { 1 }, dec = { 91 } }) end,
    "row 1 has the position 1, 91, expected degrees")
end)

-- The groups of points in the plane of a small field, all pairs one by one.
local function groups_of(ra, dec, radius)
  local group = {}
  for k = 1, #ra do group[k] = k end
  local function first(k) return group[k] == k and k or first(group[k]) end
  for i = 1, #ra do
    for k = 1, i - 1 do
      if 3600 * math.sqrt((ra[i] - ra[k]) ^ 2 + (dec[i] - dec[k]) ^ 2) <= radius then
        local a, b = first(i), first(k)
        group[math.max(a, b)] = math.min(a, b)
      end
    end
  end
  local firsts = {}
  for k = 1, #ra do firsts[k] = first(k) - 1 end
  return firsts
end

check.case("groups are those of all pairs, and many rows at one place are one group", function()
  local x, r = gal.rand({ 2, 600 }, { rng = gal.rng(3) }):totable(), 100 / 3600
  local ra, dec = {}, {}
  for k = 1, 600 do ra[k], dec[k] = 150 + r * x[1][k], r * x[2][k] end
  local expected, most = groups_of(ra, dec, 3), 0
  local found = joins.groups(gal.table{ ra = ra, dec = dec }, 3)
  for k = 1, 600 do
    check.equal(tonumber(found[k - 1]), expected[k], "row " .. k)
    most = most + (expected[k] ~= k - 1 and 1 or 0)
  end
  check.that(most > 50 and most < 550, most .. " rows are in another's group")
  local same = {}
  for k = 1, 20000 do same[k] = 0 end
  found = joins.groups(gal.table{ ra = same, dec = same }, 3)
  for k = 0, 19999 do check.equal(tonumber(found[k]), 0) end
end)

check.case("what can't be joined is refused in a sentence", function()
  local t = gal.table{ objID = { 1 }, z = { 1 }, z_2 = { 1 }, v = { { 1, 2 } } }
  local function raises(pattern, ...)
    local arguments = { ... }
    check.raises(function() t:join(unpack(arguments)) end, "lua/joins.lua:%d+: " .. pattern)
  end
  raises("join: other is the number 1, expected a table", 1)
  raises("join: on is nil, expected a column", t)
  raises('join: the table has no column "id"', t, { on = "id" })
  raises('join: keep is "all", expected "inner", "left" or "unmatched"', t, { on = "objID", keep = "all" })
  raises("join: there are columns z and z_2 already", t, { on = "objID", columns = { "z" } })
  raises("join: there is a column z already", t, { on = "objID", columns = { "z=objID" } })
  raises('table: column "v" holds 2 values a row, expected an id', t, { on = "v", columns = {} })
  local stranger = gal.table{ objID = { 2 } }
  raises("join: no row is left: 0 of 1 rows have one of the 1", stranger, { on = "objID" })
  raises("join: columns are given, but", t, { on = "objID", keep = "unmatched", columns = { "z" } })
  check.raises(function() t:near(t) end, "near: the table has no columns ra and dec")
  check.raises(function() t:near(t, { on = { "z", "objID" }, radius = -1 }) end,
    "near: radius is %-1, expected a number")
end)

scratch.remove()
check.finish()
