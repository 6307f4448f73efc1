-- Tables as text, as programs other than galrun write them: what separates fields, where the names stand,
-- words among numbers, ECSV; and formats that are not read, which name the line that converts them.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local gal = require "gal"
local scratch = dofile "lua/lib/scratch.lua"
local path, nan = scratch.path, 0 / 0

local function write(name, text)
  local file = assert(io.open(path(name), "wb"))
  file:write(text)
  file:close()
  return path(name)
end
local function read(text, name) return gal.table(write(name or "t.csv", text)) end
local function refused(text, pattern, name)
  local place = write(name or "t.csv", text)
  check.raises(function() gal.table(place) end, pattern, true)
end
local function notices()
  local list = {}
  for _ = 1, 300 do
    local text = ffi.C.gal_notice()
    if text == nil then break end
    list[#list + 1] = ffi.string(text)
  end
  return list
end

-- The same table of three columns, whichever way it is written.
local function same(text, name)
  local t = read(text, name)
  check.equal({ t.rows, t.names }, { 2, { "objID", "g", "logm" } })
  check.equal(t:ids "objID", { "1237648704043942146", "1237648704043942147" })
  check.equal({ t:doubles "g", t:doubles "logm" }, { { 19.5, nan }, { 9.25, 10 } })
end
local ROWS = { "1237648704043942146,19.5,9.25", "1237648704043942147,nan,10" }
local function rows(separator, ending)
  ending = ending or "\n"
  return ((table.concat(ROWS, ending) .. ending):gsub(",", separator))
end

check.case("names may stand in a comment, as numpy, TOPCAT and astropy write them", function()
  same("# objID,g,logm\n" .. rows ",")
  same("#objID,g,logm\n" .. rows ",")
  same("## objID, g, logm\r\n" .. rows(",", "\r\n"))
  same("# objID g logm\n" .. rows " ", "t.txt")
  same("#  objID                g     logm  \n" .. rows "   ", "t.dat")
  same("# objID\tg\tlogm\n" .. rows "\t", "t.tsv")
  same("# made by a program\n# on Monday, at 9, in a hurry\n# objID g logm\n\n" .. rows " ", "t.dat")
  same("\239\187\191# objID;g;logm\n" .. rows ";")
  same("# objID,g,logm\n" .. rows "," .. "# the end, of it\n")
  same("# objID g logm\n# - mag mag\n" .. rows " ", "t.dat") -- units below the names
  same("# objID g logm\n# none mag Msun\n" .. rows " ", "t.dat")
  check.equal(read("# flux\n1.5\n2.5\n"):doubles "flux", { 1.5, 2.5 })
end)
check.case("comments of other programs, a told separator, units and rules are no rows", function()
  for _, mark in ipairs{ "%", "! ", "// ", "; ", "%% " } do
    same(mark .. "objID g logm\n" .. rows " ", "t.txt")
    same(mark .. "made by a program\nobjID g logm\n" .. rows " ", "t.txt")
  end
  for separator in (",;\t"):gmatch "." do
    same("sep=" .. separator .. "\n" .. ("objID,g,logm\n"):gsub(",", separator) .. rows(separator))
  end
  notices()
  same("objID,g,logm\n,mag,dex\n" .. rows ",")
  check.that(notices()[1]:find "t.csv: line 2, under the names, is taken for their units$", "nothing is told")
  same("objID\tg\tlogm\n\tmag\t[Msun]\n-------\t---\t----\n" .. rows "\t", "t.tsv") -- VizieR
  same(" objID | g | logm \n-------+---+------\n" .. rows "|" .. "(2 rows)\n", "t.txt") -- psql
  same("objID g logm\n----- --- ----\n" .. rows " ", "t.txt") -- astropy's two lines
  same("objID,g,logm\n" .. rows(","):gsub("\n", "\n,,\n", 1) .. ",,\n,,\n") -- a spreadsheet's empty rows
  -- A first galaxy of words alone is a galaxy where the next has no number under them.
  check.equal(read("name,class,z\nNGC 1,S,NA\nNGC 2,E,0.1\n").rows, 2)
  check.equal(read("name,class,z\nNGC 1,S,\nNGC 2,7,0.1\n").rows, 2)
end)
check.case("a table without a value in a row is written so that the row is read", function()
  local t = gal.table { a = { 1, nan, 3 }, b = { "x", "", "z" } }
  t:save(path "gap.csv")
  local again = gal.table(path "gap.csv")
  check.equal({ again.rows, again:strings "b" }, { 3, { "x", "", "z" } })
end)
check.case("numbers of single precision are written as short as they are, and read back", function()
  local values = gal.tensor{ 9.57, 0.1, 1e-5, 16777216, 3.4028235e38, 1.17549435e-38, 0 / 0, -1 / 3 }
  gal.table{ a = values, b = values:totable() }:save(path "short.csv")
  local text, written = scratch.read(path "short.csv"), {}
  for number in text:gmatch "\n([^,\n]*)," do written[#written + 1] = number end
  check.equal(written, {
    "9.57", "0.1", "1e-05", "16777216", "3.4028235e+38", "1.1754944e-38", '""', "-0.33333334",
  })
  check.that(text:find("9.569999694824219", 1, true), "doubles lose digits")
  local again = gal.table(path "short.csv")
  check.equal({ again:column "a", again:column "b" }, { values, values })
end)
check.case("decimal commas between semicolons are read and told, where no number has a point", function()
  notices()
  same("objID;g;logm\n" .. rows(";"):gsub("%.", ","))
  check.that(notices()[1]:find "decimal commas are read as decimal points", "nothing is told")
  check.equal(read("a;b\n1,5;2.5\n3,5;4.5\n"):strings "a", { "1,5", "3,5" })
  local tabs = read("a\tb\n1,5\t2\n", "t.tsv")
  check.raises(function() tabs:doubles "a" end, "expected a number %(with a decimal point%)")
end)
check.case("Fortran's exponents and stars, a spreadsheet's errors and kept ids are read", function()
  local t = read('objID,x\n="1237648704043942146",1.5D+01\n="1237648704043942147",*****\n')
  check.equal(t:ids "objID", { "1237648704043942146", "1237648704043942147" })
  check.equal(t:doubles "x", { 15, nan })
  check.equal(read("x,y\n#DIV/0!,1\n1.25d-2,...\n"):doubles "x", { nan, 0.0125 })
  check.equal(read("x,y\n2D1,a\n3D1,b\n"):strings "x", { "2D1", "3D1" })
end)
check.case("tables in text of other kinds name what converts them", function()
  for _, kind in ipairs{
    { "#   1 NUMBER   Running object number\n#   2 MAG_AUTO   [mag]\n 1 18.2\n", "ascii.sextractor" },
    { "Title: x\nByte-by-byte Description of file: t\n", "ascii.mrt" }, { "\\begin{table}\n", "ascii.latex" },
    { "|  a|  b|\n|int|int|\n   1   2\n", "ascii.ipac" }, { "\\ catalogue\n|a|\n 1\n", "ascii.ipac" },
    { "| a | b |\n| 1 | 2 |\n", "sed " }, { "+---+\n| a |\n+---+\n| 1 |\n", "sed " },
    { "=== ===\n  a   b\n=== ===\n  1   2\n", "ascii.rst" }, { "\255\254a\0,\0b\0\n\0", "iconv " },
  } do
    refused(kind[1], kind[2]:gsub("%.", "%%."), "t.cat")
  end
  for name, word in pairs{
    bz2 = "bunzip2", xz = "unxz", zip = "unzip", Z = "zcat", zst = "unzstd", tar = "tar xf",
  } do
    refused("x", word, "t.csv." .. name)
  end
end)
check.case("a comment above a line of names stays a comment", function()
  same("#Table1\nobjID,g,logm\n" .. rows ",")
  same("# units: none,mag,dex\nobjID,g,logm\n" .. rows ",")
  same("# one,two,three\nobjID,g,logm\n" .. rows ",")
  same("# 1,2,3\nobjID,g,logm\n" .. rows ",")
end)
for name, separator in pairs{ tab = "\t", pipe = "|", semicolon = ";", blank = " ", blanks = "  \t " } do
  check.case("fields are separated by " .. name, function()
    same(("objID,g,logm\n"):gsub(",", separator) .. rows(separator), "t.dat")
    same(("objID,g,logm\r\n"):gsub(",", separator) .. rows(separator, "\r\n"), "t.csv")
  end)
end
check.case("what separates is what gives names and rows as many fields; else the names decide", function()
  same("objID\tg\tlogm\n" .. rows "\t", "t.csv")
  check.equal(read("a\tb, c\n1\t2, 3\n").names, { "a\tb", "c" })
  check.equal(read("a;b\n1,5;2,5\n"):doubles "a", { 1.5 }) -- a decimal comma is no separator
  check.equal(read('name z\n"NGC 1" 2\n""  3\n'):strings "name", { "NGC 1", "" })
  refused("a b c\n1 2\n3 4\n", "line 2 has 2 fields, the line of names has 3")
  refused("a,b\n1,2,3\n", "line 2 has 3 or more fields, the line of names has 2")
  check.equal(read("a\tb\n\t2\n1\t\n"):doubles "a", { nan, 1 }) -- an empty field between tabs
  check.equal(read("galaxy\nNGC 1\n"):strings "galaxy", { "NGC 1" })
end)
check.case("a table without names is refused, and its first galaxy is not taken for them", function()
  refused("1000,18.39,9.1\n1001,17,9.2\n",
    "no line of column names: line 1, the first, has numbers: 1000,18.39")
  refused("# made on a Monday\n1 2.5 3\n4 5 6\n", "no line of column names: line 2")
  check.equal(read("0,1,2\n5,6,7\n").names, { "0", "1", "2" }) -- pandas's, of columns without names
  check.equal(read(",g,r\n0,6,7\n").names, { "", "g", "r" })
end)
check.case("True is 1, NA is missing among numbers, and both are words among words", function()
  local t = read "a,b,c,d,e\nTrue,1.5,NA,NA,true\nFALSE,N/A,x,2,1\n,--,y,None,2\n"
  check.equal({ t:doubles "a", t:doubles "b" }, { { 1, 0, nan }, { 1.5, nan, nan } })
  check.equal(t:doubles "d", { nan, 2, nan })
  check.equal({ t:strings "c", t:strings "e" }, { { "NA", "x", "y" }, { "true", "1", "2" } })
  check.equal(gal.table(t:save(path "t.fits") and path "t.fits"):doubles "a", { 1, 0, nan })
  check.equal(read("id,x\nNA,1\n7,2\n"):ids "id", { "NA", "7" })
end)
check.case("what galrun writes is read back: words, names that are numbers, blanks in one column", function()
  local columns = { ["3"] = { 1, 2 }, ["7"] = { 3, 4 }, word = { "True", "NA" }, w = { "False", "TRUE" } }
  local t = gal.table(gal.table(columns):save(path "own.csv") and path "own.csv")
  check.equal(t.names, { "3", "7", "w", "word" })
  check.equal({ t:strings "word", t:strings "w", t:doubles "7" }, { columns.word, columns.w, { 3, 4 } })
  local one = { ["log mass"] = { "a b", "c;d" } }
  t = gal.table(gal.table(one):save(path "one.csv") and path "one.csv")
  check.equal({ t.names, t:strings "log mass" }, { { "log mass" }, one["log mass"] })
end)
check.case("a number that no double holds is told, with its line", function()
  notices()
  local t = read "z,lum\n1,1e400\n2,-1e999\n3,inf\n4,1e300\n"
  check.equal(t:doubles "lum", { 1 / 0, -1 / 0, 1 / 0, 1e300 })
  local told = notices()
  check.equal(#told, 1)
  local sentence = 'column "lum" has 2 numbers beyond what a double holds (1.8e308), the first in line 2'
  check.that(told[1]:find(sentence, 1, true), told[1])
end)
check.case("ECSV: units, text that looks like numbers, either separator", function()
  local head = "# %ECSV 1.0\n# ---\n# datatype:\n"
    .. "# - {name: ID, datatype: string, description: 'a, b'}\n# - {name: z, datatype: float64}\n"
    .. "# - {name: mag, unit: mag, datatype: float64, description: long\n#     words, unit: none}\n"
    .. "# - {name: lum, unit: 'erg / s', datatype: float64}\n# - {name: ok, datatype: bool}\n"
  local t = read(head .. "# schema: astropy-2.0\nID z mag lum ok\n7 0.5 19.25 1e40 True\n"
    .. '12 "" 20 2 False\n', "t.ecsv")
  check.equal({ t:strings "ID", t:doubles "z", t:doubles "ok" }, { { "7", "12" }, { 0.5, nan }, { 1, 0 } })
  check.equal({ t:unit "mag", t:unit "lum", t:unit "z" }, { "mag", "erg / s", "" })
  t = read(head .. "# delimiter: ','\nID,z,mag,lum,ok\n7,0.5,,1e40,True\n", "t.ecsv")
  check.equal({ t:strings "ID", t:doubles "mag" }, { { "7" }, { nan } })
end)
check.case("tables of other kinds are refused, with the line that converts them", function()
  local function line(name, bytes, pattern) refused(bytes, pattern, name) end
  line("t.xml", '<?xml version="1.0"?><VOTABLE>', 'is a VOTable, .*Table.read%(".*t.xml", format="votable"%)')
  line("t.csv", "<VOTABLE version=", "is a VOTable")
  line("t.vot.gz", "\31\139", "is a VOTable")
  line("t.h5", "\137HDF\r\n\26\n", "is an HDF5 file, .*Table.read")
  line("t.parquet", "PAR1....", "is a Parquet file, .*pandas.read_parquet%(\".*t.parquet\"%).to_csv")
  line("t.xlsx", "PK\3\4....", "is a spreadsheet, .*pandas.read_excel%(.*dtype=str")
  line("t.csv", "PK\3\4....", "is a spreadsheet")
  line("t.npz", "PK\3\4....", "is a NumPy archive")
  line("t.npy", "\147NUMPY\1", "is a NumPy array, .*Table%(numpy.load")
  line("t.RData", "\31\139", "is R's data, .*Rscript %-e 'write.csv%(get%(load")
  line("t.sav", "SR\0\4", "is IDL's variables, .*readsav")
  line("t.dat", "SQLite format 3\0", "is an SQLite database")
  line("t.csv", "<!DOCTYPE html><html>", "is a web page, expected a table")
  line("t.csv", "\255\216\255\224", "is a picture, expected a table")
  line("t.xyz", "|ra |dec |\n", "is no table: expected a FITS file, or a name that ends in .csv, .txt, .tsv")
  line("t.txt", "|ra   |dec  |\n 1     2\n", "is an IPAC table, .*ascii.ipac")
  line("t'$(x).h5", "\137HDF", "Table.read%(\"FILE\"%)")
  check.raises(function() gal.load "golden/files/records.npy" end,
    "holds records .*Table%(numpy.load%(\"golden/files/records.npy\"%)%).write", true)
end)

scratch.remove()
check.finish()
