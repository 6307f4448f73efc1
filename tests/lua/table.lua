-- gal.table: astropy's files (golden/files/make.py) and CSV of several makers, column by column; ids with all
-- their digits; bad input is a sentence at the caller's line that names file, row and column.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local ffi = require "ffi"
local golden = "golden/files/"
local nan = 0 / 0

local scratch = dofile "lua/lib/scratch.lua"
local folder, read = scratch.folder, scratch.read
local function write(name, bytes) return scratch.write(scratch.path(name), bytes) end

local function single(v) return tonumber(ffi.new("float", v)) end
local IDS = { "1237648704043942146", "-9007199254740993", "0", "9223372036854775807" }

for _, name in ipairs{ "table.fits", "table.fits.gz" } do
  local t
  check.case(name .. " opens at its first table, which is HDU 2", function()
    t = gal.table(golden .. name)
    check.equal(t.rows, 4)
    check.equal(t.names, {
      "objID", "specObjID", "plate", "run", "mjd", "camcol", "field", "nchild", "class", "modelMag_r",
      "oh_p50", "flux", "name", "clean", "mag", "pair", "letters", "wave", "bits", "neighbours",
    })
  end)
  check.case(name .. ": ids have all their digits, signed, unsigned and unsigned beyond int64", function()
    check.equal(t:ids "objID", IDS)
    check.equal(t:ids "specObjID", { "18446744073709551615", "9223372036854775808", "7", "0" })
    check.equal(t:ids "plate", { "9223372036854775807", "266", "7", "0" })
    check.equal(t:ids "pair",
      { { IDS[1], IDS[2] }, { IDS[1], IDS[2] }, { IDS[3], IDS[4] }, { IDS[3], IDS[4] } })
  end)
  check.case(name .. ": TNULL is missing, TZERO makes unsigned and signed bytes, TSCAL scales", function()
    check.equal(t:doubles "run", { 94, nan, 2147483647, -1 })
    check.equal(t:doubles "mjd", { 51630, 4294967295, 0, 1 })
    check.equal(t:doubles "camcol", { 1, nan, 6, -32768 })
    check.equal(t:doubles "field", { 65535, 0, 1, 32768 })
    check.equal(t:doubles "nchild", { 0, 254, nan, 1 })
    check.equal(t:doubles "class", { -128, 127, 0, -1 })
    check.equal(t:doubles "flux", { 10, 11.5, nan, 10.5 })
    check.equal(t:doubles "clean", { 1, 0, 1, nan })
    check.equal(t:strings "run", { "94", "", "2147483647", "-1" })
  end)
  check.case(name .. ": floats keep -9999, NaN and the smallest numbers", function()
    check.equal(t:doubles "modelMag_r", { single(17.77), -9999, nan, single(1e-40) })
    check.equal(t:doubles "oh_p50", { 8.7, -9999, nan, 4.9e-324 })
    check.equal(t:column "oh_p50", { single(8.7), -9999, nan, 0 })
    check.equal(t:column("oh_p50").dtype, "float32")
    check.equal(t:unit "modelMag_r", "mag")
  end)
  check.case(name .. ": strings lose trailing blanks only; vectors keep their width", function()
    check.equal(t:strings "name", { "NGC 4321", "M31", "", "  x" })
    check.equal(t:strings "letters",
      { { "ab", "c", "de" }, { "", "f", "" }, { "g", "", "" }, { "hi", "jk", "lm" } })
    check.equal(t:column("mag").shape, { 4, 3 })
    check.equal(t:column "mag", { { 0, 1, 2 }, { 3, 4, 5 }, { 6, 7, 8 }, { 9, 10, 11 } })
  end)
  check.case(name .. ": names ignore case, and has() says what is there", function()
    check.equal(t:ids "OBJID", IDS)
    check.equal(t:column("MODELMAG_R").shape, { 4 })
    check.that(t:has "Oh_P50" and not t:has "oh", "has is wrong")
  end)
  check.case(name .. ": what is not read says so", function()
    for _, column in ipairs{ "wave", "bits", "neighbours" } do
      check.raises(function() local _ = t:column(column) end,
        "column \"" .. column .. "\" holds complex numbers, bits or lists", true)
    end
  end)
end
check.case("an HDU may be named by its number or its name", function()
  check.equal(gal.table(golden .. "table.fits", { hdu = 3 }):doubles "z", { 0.1, 0.2 })
  check.raises(function() local _ = gal.table(golden .. "table.fits", { hdu = 1 }) end,
    "HDU 1 is an image, expected a binary table", true)
  check.raises(function() local _ = gal.table(golden .. "table.fits", { hdu = 9 }) end,
    "there is no HDU 9, the file has 4 %(0 to 3%)", true)
  check.raises(function() local _ = gal.table(golden .. "table.fits", { hdu = "x" }) end,
    'no table of its 4 HDUs has the name "x"', true)
  check.raises(function() local _ = gal.table(golden .. "plain.csv", { hdu = 1 }) end,
    "plain.csv: is one table, expected a FITS file where an HDU is named", true)
end)
check.case("nothing in a path is taken for CFITSIO's extended syntax", function()
  local path = write("t[1].fits", read(golden .. "small.fits"))
  check.equal(gal.table(path):ids "objID", IDS)
  check.equal(gal.table(path):strings "name", { "a", "b", "c", "d" })
end)

check.case("plain CSV: quotes, CRLF, empty fields, blanks, lines inside quotes; and gzipped", function()
  for _, name in ipairs{ "plain.csv", "plain.csv.gz" } do
    local t = gal.table(golden .. name)
    check.equal(t.rows, 3)
    check.equal(t.names, { "objID", "modelMag_r", "oh_p50", "name", "class" })
    check.equal(t:ids "objid", { "1237648704043942146", "1237648704043942147", "-9223372036854775808" })
    check.equal(t:doubles "modelMag_r", { 17.77, -9999, 1e-3 })
    check.equal(t:doubles "oh_p50", { 8.7, nan, 0.5 })
    check.equal(t:strings "name", { "NGC 4321", 'a "b", c', "two\r\nlines" })
    check.equal(t:column "class", { 3, nan, 6 })
    check.equal(t:strings "class", { "3", "", "6" })
  end
end)
check.case("SkyServer's #Table1 line is skipped, null is missing, a 20-digit id is text", function()
  local t = gal.table(golden .. "skyserver.csv")
  check.equal(t.names, { "objID", "z", "specObjID", "flag" })
  check.equal(t:doubles "z", { 0.0213, nan })
  check.equal(t:ids "specObjID", { "18446744073709551615", "7" })
  check.equal(t:doubles "specObjID", { 18446744073709551615, 7 })
  check.equal(t:doubles "flag", { nan, 1 })
end)
check.case("a byte order mark, blanks about names and blank lines are skipped, and 007 stays 007", function()
  local t = gal.table(golden .. "mark.csv")
  check.equal(t.names, { "id", "x" })
  check.equal(t:ids "id", { "007", "008" })
  check.equal(t:doubles "id", { 7, 8 })
  check.equal(t:doubles "x", { 1, -25 })
end)
check.case("numbers in text are read to the last bit", function()
  local given = { 0.1, 1 / 3, 1e22, 1e23, 5e-324, 1.7976931348623157e308, -2.2250738585072014e-308,
    123456789.123456789, 9007199254740993, 0.30000000000000004 }
  local lines = { "x" }
  for _, v in ipairs(given) do lines[#lines + 1] = ("%.17g"):format(v) end
  check.equal(gal.table(write("bits.csv", table.concat(lines, "\n"))):doubles "x", given)
end)
check.case("a table of lists and tensors is saved and read again exactly", function()
  local path = folder .. "/saved.csv"
  local ids = { "1237648704043942146", "007", "-9007199254740993" }
  local made = gal.table{ z = { 0.1, nan, -1e-300 }, objID = ids, ["a,b"] = { 'x "y", z', "", " null" },
    word = { "null", "#a", "line\nbreak" }, m = gal.tensor{ 0.1, 2, 3 },
    n = gal.load(golden .. "i8.npy"):narrow(1, 1, 3) }
  check.equal(made.names, { "objID", "a,b", "m", "n", "word", "z" })
  made:save(path)
  local t = gal.table(path)
  check.equal(t.names, made.names)
  check.equal(t:ids "objID", ids)
  check.equal(t:strings "a,b", { 'x "y", z', "", " null" })
  check.equal(t:strings "word", { "null", "#a", "line\nbreak" })
  check.equal(t:doubles "z", { 0.1, nan, -1e-300 })
  check.equal(t:column "m", { single(0.1), 2, 3 })
  check.equal(t:ids "n", { IDS[1], IDS[2], IDS[3] })
end)

local function fails(name, fn, pattern)
  check.case(name, function() check.raises(fn, pattern, true) end)
end
local function csv(bytes) return gal.table(write("bad.csv", bytes)) end

local text = gal.table(golden .. "text.csv")
fails("text in a number column names column, line and text", function() local _ = text:column "oh_p50" end,
  'text.csv: column "oh_p50" has "eight" in line 5, expected a number')
fails("doubles raises the same error", function() local _ = text:doubles "OH_P50" end,
  'column "oh_p50" has "eight" in line 5')
check.case("a column of numbers and text may be read as text", function()
  check.equal(text:strings "oh_p50", { "8.5", "", "8.6", "eight", "8.8" })
end)
fails("lines are counted through quoted ones",
  function() local _ = csv 'a,b\n"x\ny",1\n\nz,oops\n':column "b" end, '"oops" in line 5')
fails("a missing column names near misses", function() local _ = text:column "oh_p05" end,
  'text.csv has no column "oh_p05" %(did you mean "oh_p50"%?%)')
fails("a part of a name finds that name", function() local _ = text:ids "oh" end,
  'no column "oh" %(did you mean "oh_p50"%?%)')
fails("without near misses the columns are listed", function() local _ = text:column "redshift" end,
  'no column "redshift": it has id, oh_p50')
fails("a column that is there twice is not guessed", function() local _ = csv "z,Z,Z\n1,2,3\n":column "Z" end,
  'has 2 columns named "Z"')
check.case(
  "but the exact spelling finds its own", function() check.equal(csv "z,Z\n1,2\n":column "Z", { 2 }) end)
-- Ids as makers of catalogues write them, in columns that are known for ids or are said to have them.
check.case("ids that are written as text are read as the same ids, whatever they look like", function()
  local all = {
    { "1E5", "2E6" }, { "0.25", "0.50" }, { "5.0", "6.0" }, { "007", "5.0" }, { "1", "null" },
    { "nan", "inf" }, { "1E5", "0.25", "null", " pad ", "+5", 'say "hi"', "18446744073709551615", "Ωmega",
    "a,b", "#x", "two\nlines" },
  }
  for _, list in ipairs(all) do
    local stripped = {}
    for k, id in ipairs(list) do stripped[k] = id:match "^ *(.-) *$" end
    for _, name in ipairs{ "id", "objID", "TARGET" } do
      local path = folder .. "/ids.csv"
      gal.table{ [name] = list }:save(path)
      check.equal(gal.table(path, { id = "target" }):ids(name), stripped, name)
    end
  end
  check.equal(gal.table(write("pad.fits", read(golden .. "table.fits"))):select{ 1, 2, 4 }:ids "name",
    { "NGC 4321", "M31", "x" })
end)
check.case("a CSV file's own ids are text too, but whole floats are the integers that they are", function()
  check.equal(csv "ID,x\n1E5,1\nnull,2\n":ids "id", { "1E5", "null" })
  check.equal(csv "objID,x\n0.25,1\n0.50,2\n":ids "objID", { "0.25", "0.50" })
  check.equal(csv "objID,x\n5.0,1\n6.,2\n":ids "objID", { "5", "6" })
  check.equal(csv "objID,x\n1E5,1\n2E5,2\n":column "objID", { 1e5, 2e5 })
end)
fails("an id that has lost its digits is refused", function()
  local _ = csv "id\n1.23765E+18\n":ids "id"
end, "floating%-point number .* in line 2, expected an integer")
fails("an id that is a float is refused", function()
  local _ = csv "id\n1.237648704043942146e18\n":ids "id"
end, "floating%-point number .* in line 2, expected an integer")
fails("a missing id is refused", function() local _ = csv "id,x\n1,1\n,2\n":ids "id" end,
  'column "id" has no value in line 3, expected an id')
fails("a missing file is named", function() local _ = gal.table(folder .. "/absent.csv") end,
  "absent.csv: can't be opened: No such file or directory")
fails("an empty file says so", function() local _ = csv "" end, "bad.csv: is empty %(0 bytes%)")
fails("a table of names alone has no rows", function() local _ = gal.table(golden .. "header.csv") end,
  "header.csv: the table has no rows")
fails("a FITS table of no rows says so", function() local _ = gal.table(golden .. "empty.fits") end,
  "empty.fits: the table has no rows")
fails("a row that is too short names its line", function() local _ = csv "a,b,c\n1,2,3\n1,2\n" end,
  "line 3 has 2 fields, the line of names has 3")
fails("a row that is too long names its line", function() local _ = csv "a,b\n1,2\n1,2,3\n" end,
  "line 3 has 3 or more fields, the line of names has 2")
fails("a quote that stays open names the line where it began",
  function() local _ = csv 'a,b\n1,2\n3,"x\ny\n' end, "line 3 has a quote that is never closed")
fails("text after a closing quote is refused", function() local _ = csv 'a\n"x"y\n' end,
  "line 2 has text behind a closing quote")
fails("UTF-16 is refused", function() local _ = csv "a\0,\0b\0\n\0" end,
  "holds bytes that are 0, expected text in UTF%-8")
fails("images are no table", function() local _ = gal.table(golden .. "image.fits") end,
  "image.fits: holds images but no table, expected a binary table")
fails("an ASCII table is refused", function() local _ = gal.table(golden .. "ascii.fits") end,
  "is an ASCII table")
fails("a cut FITS file is called truncated", function()
  local _ = gal.table(write("cut.fits", read(golden .. "small.fits"):sub(1, 5770)))
end, "cut.fits: is truncated: 4 rows of 12 bytes from byte 5760 on, the file ends at 5770")
fails("a FITS file cut in its header is called truncated", function()
  local _ = gal.table(write("cut.fits", read(golden .. "small.fits"):sub(1, 4000)))
end, "cut.fits: .*truncated")
-- small.fits with one card changed, of the same length.
local function card(from, to)
  local bytes, changed = read(golden .. "small.fits"):gsub(from:gsub("%p", "%%%0"), to)
  assert(changed == 1 and #bytes == 8640, from)
  return gal.table(write("card.fits", bytes))
end
fails("a number of rows that is no number names its card", function()
  local _ = card("NAXIS2  =                    4", "NAXIS2  =                   4x")
end, 'card.fits: is damaged: card 5 of the header at byte 2880 is "NAXIS2  =                   4x",'
  .. " expected NAXIS2 of at least 0")
fails("more columns than FITS allows are refused", function()
  local _ = card("TFIELDS =                    2", "TFIELDS =                 1000")
end, 'is "TFIELDS =                 1000", expected TFIELDS from 0 to 999')
fails("a mandatory card elsewhere is refused", function() local _ = card("GCOUNT  =", "GC_UNT  =") end,
  'is "GC_UNT  = .*", expected GCOUNT from 1 to 1')
fails("rows beyond the file ask for no memory", function()
  local _ = card("NAXIS2  =                    4", "NAXIS2  =       99999999999999")
end, "card.fits: is truncated: 99999999999999 rows of 12 bytes")
fails("sizes beyond 64 bits are refused", function()
  local _ = card("NAXIS2  =                    4", "NAXIS2  =   999999999999999999")
end, "card.fits: is damaged: the header at byte 2880 claims more data than any file holds")
fails("a header without an end is refused", function()
  local _ = gal.table(write("card.fits", (read(golden .. "small.fits"):gsub("END     ", "ENX     "))))
end, "card.fits: is truncated or damaged: the header at byte 0 has no END")
fails("a cut gzip stream is called truncated", function()
  local _ = gal.table(write("cut.fits.gz", read(golden .. "table.fits.gz"):sub(1, 900)))
end, "cut.fits.gz: is truncated: the gzip stream ends too early")
fails("a file that only ends in .fits is refused", function()
  local _ = gal.table(write("page.fits", "no such table"))
end, "page.fits: is no FITS file: it does not begin with SIMPLE")
fails("an unknown ending is refused", function() local _ = gal.table(write("a.table", "x,y")) end,
  "a.table: is no table: expected a FITS file, or a name")
fails("a folder is no table", function() local _ = gal.table(folder) end,
  "is a folder, expected a regular file")
fails("a path that is no string is refused", function() local _ = gal.table(7) end,
  "table: path is the number 7, expected a string")
fails("a misspelt option is refused", function() local _ = gal.table(golden .. "table.fits", { hud = 2 }) end,
  "unknown option 'hud', expected 'hdu'?")
fails("lists of different lengths are refused", function() local _ = gal.table{ a = { 1, 2 }, b = { 1 } } end,
  'column "b" has 1 rows, column "a" has 2')
fails("a mixed list is refused", function() local _ = gal.table{ a = { 1, "2" } } end,
  'column "a" has the string "2" in row 2, expected a number')
fails("a tensor of three dimensions is refused", function()
  local _ = gal.table{ a = gal.ones{ 2, 2, 2 } }
end, 'column "a" is a tensor {2, 2, 2}, expected shape {rows}')
fails("saving under another ending is refused", function()
  gal.table{ a = { 1 } }:save(folder .. "/a.dat")
end, "a.dat: a table is written as .csv or .fits")

check.case("suggestions cover swaps and case, near ones first, at most three", function()
  local near = require "gal.base.spelling"
  check.equal(near.suggest("modelmag_R", { "modelMag_u", "modelMag_r", "modelMag_g" }),
    ' (did you mean "modelMag_r", "modelMag_u" or "modelMag_g"?)')
  check.equal(near.suggest("epohcs", { "epochs", "patience" }), ' (did you mean "epochs"?)')
  check.equal(near.suggest("xyz", { "epochs", "patience" }), "")
  check.equal(near.suggest("", { "epochs" }), "")
  check.equal(near.suggest("a", {}), "")
end)

check.case("tables that nobody holds give their files and memory back in time", function()
  gal.table{ z = { 1, 2, 3 }, objID = { "1", "2", "3" } }:save(folder .. "/handles.fits")
  local values = {}
  for k = 1, 4e4 do values[k] = k + 0.5 end
  gal.table{ a = values, b = values, c = values, d = values }:save(folder .. "/large.csv")
  scratch.write(folder .. "/loop.lua", [[
local gal = require "gal"
for k = 1, 1000 do gal.table("handles.fits"):column "z" end
collectgarbage "stop" -- what is held then is what only the runtime's own counts give back
local bytes = require("ffi").C
local function resident() return tonumber(io.open("/proc/self/status"):read("*a"):match "VmRSS:%s*(%d+)") end
gal.table "large.csv"
local before = resident()
for k = 1, 400 do gal.table "large.csv" end
print("grew", resident() - before < 400 * 1024)
]])
  local code, said = scratch.run("ulimit -n 64; " .. scratch.galrun .. " loop.lua")
  check.equal({ code, said }, { 0, "grew\ttrue\n" })
end)

check.case("a column's name and a row's number are no fields of a table", function()
  local t = gal.table { objID = { "12" }, lgm_tot_p50 = { 3.5 } }
  check.raises(function() return t.lgm_tot_p50 end,
    't.lgm_tot_p50: "lgm_tot_p50" is a column: t:column%("lgm_tot_p50"%) is its tensor', true)
  check.raises(function() return t[1] end, "t%[1%]: a table's row 1 is t:select{1}", true)
  check.equal({ t.rows, t.path == nil, t.nothing == nil }, { 1, true, true })
end)

check.case("a field of a table that is overwritten leads to no other row or column", function()
  local t = gal.table{ z = { 1, 2, 3 } }
  t.rows, t.names = 1, { "a", "b", "z" }
  check.equal(t:column "z":totable(), { 1, 2, 3 })
  t.rows, t.names = 1e9, { [5] = "q" }
  check.equal({ t:doubles "z", t:has "q", t.rows }, { { 1, 2, 3 }, false, 3 })
  for _, name in ipairs{ "has", "column", "ids", "select", "set", "save", "drop", "unit" } do
    check.raises(function() t[name](5, "z") end, name .. ": called with the number 5, expected a table")
    local empty = setmetatable({}, getmetatable(t))
    check.raises(function() t[name](empty, "z") end, name .. ": called with a table")
  end
end)

scratch.remove()
check.finish()
