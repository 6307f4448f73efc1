-- gal.table, changed and saved: t:set, t:drop, t:select, t:save. A table that is loaded and saved is the same
-- again, type by type; an error is a sentence at the caller's line.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local ffi = require "ffi"
local C = ffi.C
local golden = "golden/files/"
local nan = 0 / 0

local scratch = dofile "lua/lib/scratch.lua"
local folder, read = scratch.folder, scratch.read
local function write(name, bytes) return scratch.write(scratch.path(name), bytes) end
local IDS = { "1237648704043942146", "-9007199254740993", "0", "9223372036854775807" }

-- All that a table holds: each column's name, type, width, unit and values as text, which keeps every digit.
local function everything(t)
  local all = {}
  for i, name in ipairs(t.names) do
    local k = i - 1
    all[i] = { name = name, type = C.gal_table_type(t.h, k), width = tonumber(C.gal_table_width(t.h, k)),
      unit = t:unit(name), values = t:strings(name) }
  end
  return all
end
local function readable(path)
  local t = gal.table(path)
  for _, name in ipairs{ "wave", "bits", "neighbours" } do
    if t:has(name) then t:drop(name) end
  end
  return t
end

for _, name in ipairs{ "table.fits", "table.fits.gz", "small.fits" } do
  check.case(name .. ", loaded and saved, keeps its columns, types, units, widths and values", function()
    local t = readable(golden .. name)
    t:save(folder .. "/again.fits")
    local again = gal.table(folder .. "/again.fits")
    check.equal(everything(again), everything(t))
    again:save(folder .. "/thrice.fits")
    check.that(read(folder .. "/thrice.fits") == read(folder .. "/again.fits"),
      "saved a second time, the bytes differ")
  end)
end
for _, name in ipairs{ "plain.csv", "plain.csv.gz", "skyserver.csv", "mark.csv", "text.csv" } do
  check.case(name .. ", loaded and saved, has the same columns, types and values", function()
    local t = gal.table(golden .. name)
    t:save(folder .. "/again.csv")
    check.equal(everything(gal.table(folder .. "/again.csv")), everything(t))
  end)
  check.case(name .. " becomes the same table in FITS", function()
    local t = gal.table(golden .. name)
    if t:has "modelMag_r" then t:drop "name" end -- it has a line break in it
    t:save(folder .. "/again.fits")
    check.equal(everything(gal.table(folder .. "/again.fits")), everything(t))
  end)
end
check.case("a NaN with any bits is a NaN in Lua", function()
  gal.table{ x = { 1, nan }, y = gal.tensor{ 2, 3 } }:save(folder .. "/nan.fits")
  local bytes = read(folder .. "/nan.fits")
  local path = write("ones.fits",
    bytes:sub(1, 5760) .. bytes:sub(5761, 5772) .. ("\255"):rep(12) .. bytes:sub(5785))
  local t = gal.table(path)
  check.equal(t:doubles "x", { 1, nan })
  check.equal(t:column "x", { 1, nan })
  check.equal(t:doubles "y", { 2, nan })
  local npy = read(golden .. "f4.npy")
  check.equal(gal.load(write("ones.npy", npy:sub(1, 128) .. ("\255"):rep(4) .. npy:sub(133))):totable()[1],
    { nan, 0.25, 0.5 })
end)
check.case("doubles keep their bits through CSV and FITS", function()
  local r, given = gal.rng(5), {}
  local words = gal.rand({ 4000 }, { rng = r }):totable()
  local bits = ffi.new "union { double d; uint32_t u[2]; }"
  for k = 1, 2000 do
    bits.u[0], bits.u[1] = words[2 * k - 1] * 2 ^ 32, words[2 * k] * 2 ^ 32
    -- NaN and infinity, which are below
    if math.floor(bits.u[1] / 2 ^ 20) % 2048 == 2047 then bits.u[1] = 0 end
    given[k] = bits.d
  end
  for _, v in ipairs{ 0.1, 5e-324, 1.7976931348623157e308, -0.0, math.huge, -math.huge, 2 ^ 53, nan } do
    given[#given + 1] = v
  end
  for _, name in ipairs{ "/bits.csv", "/bits.fits" } do
    local t = gal.table{ x = given }:save(folder .. name)
    local again = gal.table(folder .. name):doubles "x"
    for k, v in ipairs(given) do
      if not (again[k] == v and 1 / again[k] == 1 / v or (v ~= v and again[k] ~= again[k])) then
        check.equal(again[k], v, name .. " row " .. k)
      end
    end
    check.equal(#again, t.rows)
  end
end)
check.case("whole doubles stay doubles, and a lone column keeps its empty rows", function()
  gal.table{ x = { 1, nan, -0.0, 3 } }:save(folder .. "/whole.csv")
  check.equal(read(folder .. "/whole.csv"), 'x\n1.0\n""\n-0.0\n3.0\n')
  local t = gal.table(folder .. "/whole.csv")
  check.equal(everything(t), everything(gal.table{ x = { 1, nan, -0.0, 3 } }))
end)
check.case("the word null stays a word, and is not a missing value", function()
  gal.table{ x = { "null", "" }, y = { "a", "b" } }:save(folder .. "/null.csv")
  check.equal(gal.table(folder .. "/null.csv"):strings "x", { "null", "" })
end)
check.case("float32 and uint8 tensors are single floats and bytes in FITS", function()
  gal.table{ x = gal.tensor{ 0.1, 2 },
    b = gal.load(golden .. "u1.npy"):select(1, 1) }:save(folder .. "/small.fits")
  local bytes = read(folder .. "/small.fits")
  check.that(bytes:find("TFORM1  = '1B      '", 1, true) and bytes:find("TFORM2  = '1E      '", 1, true),
    "the types are others")
  check.equal(gal.table(folder .. "/small.fits"):column "x", gal.tensor{ 0.1, 2 })
end)
check.case("float64 tensors keep their doubles, in memory and in FITS", function()
  local x = gal.tensor{ 3, 0.1, 7, 1, 5 }:quantiles{ 0.1, 0.25, 0.9 }
  local t = gal.table{ q = x, both = gal.tensor{ { 1, 2 }, { 3, 5 }, { 8, 9 } }:quantiles{ 0.5, 1 } }
  check.equal(t:doubles "q", x:totable())
  check.equal(t:doubles "both", { { 1.5, 2 }, { 4, 5 }, { 8.5, 9 } })
  t:save(folder .. "/doubles.fits")
  check.that(read(folder .. "/doubles.fits"):find("'1D      '", 1, true), "the type is another")
  check.equal(gal.table(folder .. "/doubles.fits"):doubles "q", x:totable())
end)
check.case("missing integers from CSV get a TNULL that no value has", function()
  local lowest = "-9223372036854775808"
  local t = gal.table(write("nulls.csv", ("a,b\n%s,1\n,2\n-9223372036854775807,\n"):format(lowest)))
  t:save(folder .. "/nulls.fits")
  local again = gal.table(folder .. "/nulls.fits")
  check.equal(again:strings "a", { lowest, "", "-9223372036854775807" })
  check.equal(again:strings "b", { "1", "2", "" })
end)
check.case("a table of 5000 rows of every kind is the same again", function()
  local n, ids, names, vectors = 5000, {}, {}, {}
  for k = 1, n do
    ids[k], names[k], vectors[k] = ("12376487040439%05d"):format(k), ("x"):rep(k % 17),
      { k, k / 3, k % 2 == 0 and nan or -k }
  end
  local t = gal.table{ objID = ids, name = names, v = vectors, f = gal.randn({ n, 2 }, { rng = gal.rng(1) }) }
  t:save(folder .. "/large.fits")
  check.equal(everything(gal.table(folder .. "/large.fits")), everything(t))
end)

check.case("set replaces a column of that name in any case, or adds a last one", function()
  local t = gal.table(golden .. "text.csv")
  check.that(t:set("OH_P50", { 1, 2, 3, 4, 5 }) == t, "set does not return t")
  t:set("new", { "a", "b", "c", "d", "e" })
  check.equal(t.names, { "id", "oh_p50", "new" })
  check.equal(t:doubles "oh_p50", { 1, 2, 3, 4, 5 })
  check.equal(t:strings "new", { "a", "b", "c", "d", "e" })
  check.that(t:drop "ID" == t, "drop does not return t")
  check.equal(t.names, { "oh_p50", "new" })
  check.equal(t:doubles "oh_p50", { 1, 2, 3, 4, 5 })
end)
check.case("set keeps a FITS column's unit, and its neighbours are read from their own places", function()
  local t = readable(golden .. "table.fits")
  t:set("modelMag_r", { 1, 2, 3, 4 }):drop "objID"
  check.equal(t:unit "modelMag_r", "mag")
  check.equal(t:ids("pair")[1], { IDS[1], IDS[2] })
  check.equal(t:strings "name", { "NGC 4321", "M31", "", "  x" })
  check.equal(t:doubles "mjd", { 51630, 4294967295, 0, 1 })
  check.equal(t:doubles "flux", { 10, 11.5, nan, 10.5 })
  check.equal(t:doubles "clean", { 1, 0, 1, nan })
end)
check.case("set takes vectors, as tensors and as lists, and int64 tensors with all their digits", function()
  local t = gal.table{ a = { 1, 2, 3, 4 } }
  t:set("v", gal.tensor{ { 1, 2 }, { 3, 4 }, { 5, 6 }, { 7, 8 } }):set("w",
    { { "a", "b" }, { "c", "" }, { "e", "f" }, { "g", "h" } })
  t:set("objID", gal.load(golden .. "i8.npy"))
  check.equal(t:column "v", { { 1, 2 }, { 3, 4 }, { 5, 6 }, { 7, 8 } })
  check.equal(t:strings("w")[2], { "c", "" })
  check.equal(t:ids "objID", IDS)
end)

check.case("select gives rows of every type in the order of the list, repeated ones too", function()
  local t = readable(golden .. "table.fits")
  local s = t:select{ 4, 1, 1 }
  check.equal(s.rows, 3)
  check.equal(s.names, t.names)
  check.equal(s:ids "objID", { IDS[4], IDS[1], IDS[1] })
  check.equal(s:strings "specObjID", { "0", "18446744073709551615", "18446744073709551615" })
  check.equal(s:doubles "clean", { nan, 1, 1 })
  check.equal(s:strings "letters", { { "hi", "jk", "lm" }, { "ab", "c", "de" }, { "ab", "c", "de" } })
  check.equal(s:column "mag", { { 9, 10, 11 }, { 0, 1, 2 }, { 0, 1, 2 } })
  check.equal(s:unit "modelMag_r", "mag")
  local all = everything(t:select{ 1, 2, 3, 4 })
  check.equal(all, everything(t))
  t:select{ 1, 2, 3, 4 }:save(folder .. "/selected.fits")
  t:save(folder .. "/all.fits")
  check.that(read(folder .. "/selected.fits") == read(folder .. "/all.fits"),
    "all rows selected and saved differ from the table saved")
end)
check.case("rows may be a tensor, a range, booleans, or an empty list", function()
  local t = gal.table{ z = { 0.1, 0.2, 0.3, 0.4 } }
  check.equal(t:select(gal.arange(2, 4)):doubles "z", { 0.2, 0.3, 0.4 })
  check.equal(t:select{ false, true, false, true }:doubles "z", { 0.2, 0.4 })
  check.equal(t:select{}.rows, 0)
  check.equal(t:select{}:column("z").shape, { 0 })
  check.equal(t.rows, 4)
end)
check.case("an error in a selected row is named by its line in the file", function()
  local s = gal.table(golden .. "text.csv"):select{ 1, 4 }:select{ 2 }
  check.raises(function() local _ = s:column "oh_p50" end,
    'text.csv: column "oh_p50" has "eight" in line 5, expected a number', true)
end)
check.case("a column that cannot be read stays so in a selection", function()
  local s = gal.table(golden .. "table.fits"):select{ 2 }
  check.equal(s:strings "name", { "M31" })
  check.raises(function() local _ = s:column "wave" end, 'column "wave" holds complex numbers', true)
end)

local function fails(name, fn, pattern)
  check.case(name, function() check.raises(fn, pattern, true) end)
end
local t = gal.table{ z = { 1, 2 }, name = { "a", "θ" } }
fails("a column of another length is refused", function() t:set("x", { 1 }) end,
  'set: column "x" has 1 rows, the table has 2')
fails("an empty list is refused", function() t:set("x", {}) end, 'set: column "x" is an empty list')
fails("a number is no column", function() t:set("x", 5) end,
  'set: column "x" is the number 5, expected a list or a tensor')
fails("a variable that is not there takes no column out", function() t:set("z", nil) end,
  'set: column "z" is nil, expected a list or a tensor')
fails("a ragged column names its row", function() t:set("x", { { 1, 2 }, { 3 } }) end,
  'column "x" has a list of 1 in row 2, expected a list of 2')
fails("a column without a name is refused", function() t:set("", { 1, 2 }) end,
  "a column is named by the string")
fails("a column that is not there can't be taken out", function() t:drop "zz" end,
  'drop: the table has no column "zz" %(did you mean "z"%?%)')
fails("a row that is not there is refused", function() local _ = t:select{ 1, 3 } end,
  "select: rows%[2%] is 3, expected an integer from 1 to 2")
fails("a row that is half is refused", function() local _ = t:select{ 1.5 } end,
  "select: rows%[1%] is 1.5, expected an integer")
fails("booleans must be as many as rows", function() local _ = t:select{ true } end,
  "rows has 1 booleans, the table has 2 rows")
fails("a number in the place of rows is refused", function() local _ = t:select(1) end,
  "select: rows is the number 1, expected a list")
fails("set without a table is refused", function() t.set("x", { 1, 2 }) end, "set: called with the string")
fails("a table without rows is not written", function() t:select{}:save(folder .. "/none.csv") end,
  "none.csv: the table to write has no rows")
fails("a column of vectors has no place in CSV", function()
  gal.table{ v = { { 1, 2 } } }:save(folder .. "/v.csv")
end, 'v.csv: column "v" has 2 values per row, a CSV file holds one')
fails("text that FITS can't hold names its column and row", function() t:save(folder .. "/t.fits") end,
  'column "name" has "θ" in row 2, and FITS holds plain ASCII only')
fails("a name that FITS can't hold is named", function()
  gal.table{ ["θ"] = { 1 } }:save(folder .. "/t.fits")
end, 'column "θ" can\'t be named so in FITS')
fails("a name too long for FITS is named", function()
  gal.table{ [("x"):rep(69)] = { 1 } }:save(folder .. "/t.fits")
end, "longer name than the 68 characters that FITS takes")
fails("a column that was not read is refused when it is saved, with the way out", function()
  gal.table(golden .. "table.fits"):save(folder .. "/t.fits")
end, 't.fits: column "wave" holds complex numbers.* t:drop%("wave"%) takes it out')
fails("a folder that is not there is named",
  function() gal.table{ z = { 1 } }:save(folder .. "/no/t.fits") end, "no/t.fits: can't be written")
check.case("a refused save leaves no file", function()
  for _, name in ipairs{ "/t.fits", "/v.csv", "/none.csv" } do
    check.that(not io.open(folder .. name), name .. " is there")
  end
end)

-- ---- units, meanings, keywords ----

-- The cards of a FITS file's two headers, by keyword, as they stand there.
local function cards(path)
  local bytes, list = read(path), {}
  for at = 1, 10 * 2880, 80 do
    local card = bytes:sub(at, at + 79)
    local name = card:sub(1, 8):gsub(" +$", "")
    if name ~= "" then list[name] = card:sub(11):gsub(" +$", "") end
    if name == "END" and at > 2880 then break end
  end
  return list
end

local labelled = gal.table{ a_v = { 0.5, nan } }
labelled:describe("a_v", { unit = "mag", about = "the dust's attenuation" })
labelled:set("flags", gal.tensor({ 1, 8 }, { 2 }), { type = "float32", about = "bits" })
labelled:header{ survey = "SDSS", SEED = 7, WIDTH = 0.125, LABELS = ("Kroupa's IMF;"):rep(9) }
labelled:save(folder .. "/labelled.fits")
check.case("units, meanings and keywords stand in the file as the FITS standard has them", function()
  local found = cards(folder .. "/labelled.fits")
  check.that(found.TUNIT1:find "^'mag +'", found.TUNIT1)
  check.equal(found.TCOMM1, "'the dust''s attenuation'")
  check.that(found.TFORM2:find "^'1E +'", found.TFORM2)
  check.that(found.SURVEY:find "^'SDSS +'", found.SURVEY)
  check.that(found.SEED:find "^ +7$" and found.WIDTH:find "^ +0.125$", found.SEED .. found.WIDTH)
  check.that(found.LABELS:find "&'$" and found.CONTINUE, "the long text is cut")
end)
check.case("they come back, and rows that are chosen keep them", function()
  local known = { SURVEY = "SDSS", SEED = 7, WIDTH = 0.125, LABELS = ("Kroupa's IMF;"):rep(9) }
  local again = gal.table(folder .. "/labelled.fits")
  for _, t in ipairs{ again, again:select{ 2, 1 } } do
    check.equal(t:header(), known)
    check.equal({ t:unit "A_V", t:about "A_V", t:unit "flags" }, { "mag", "the dust's attenuation", "" })
  end
  again:set("A_V", { 1, 2 })
  check.equal({ again:unit "a_v", again:about "a_v" }, { "mag", "the dust's attenuation" })
  check.equal({ again:set("a_v", { 1, 2 }, { unit = "" }):unit "a_v" }, { "" })
end)
fails("a keyword of the table's own layout is refused", function() labelled:header{ NAXIS2 = 7 } end,
  '"NAXIS2" can\'t be a keyword of its header')
fails("a keyword without a value is refused", function() labelled:header{ A = {} } end,
  "header: A is a table, expected text or a number")
fails("a unit that no header holds is refused", function()
  labelled:describe("a_v", { unit = ("x"):rep(69) })
end, 'the unit of column "a_v" is "x*", expected at most 68 characters')
fails("a type for other values is refused", function()
  labelled:set("q", { 1, 2 }, { type = "int32" })
end, 'set: type of column "q" is "int32", expected float32 or float64')

scratch.remove()
check.finish()
