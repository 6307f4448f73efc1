-- galrun still writes the files that numpy, astropy and safetensors were seen to open (golden/files/galrun.*,
-- copy.fits; by open.py beside them): the same bytes where the format is galrun's own work, the same cards
-- and values where CFITSIO and libzip word the headers, which differ between their versions.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local gal = require "gal"
local golden = "golden/files/"

local scratch = dofile "lua/lib/scratch.lua"
local folder, read = scratch.path "", scratch.read

local written = dofile(golden .. "write.lua")
check.case("write.lua writes all its files", function() written(folder) end)
for _, name in ipairs{ "galrun.npy", "galrun.safetensors", "galrun.csv" } do
  check.case(name .. " has the bytes that were opened", function()
    check.that(read(folder .. name) == read(golden .. name), "they differ")
  end)
end

-- The cards of a FITS file's headers without their comments, sorted into a set, and the bytes behind the last
-- END's block.
local function fits(path)
  local bytes, cards, at, ends = read(path), {}, 1, 0
  while ends < 2 do
    local card = bytes:sub(at, at + 79)
    at = at + 80
    if card:sub(1, 3) == "END" then
      ends, at = ends + 1, math.ceil((at - 1) / 2880) * 2880 + 1
    elseif card:sub(9, 10) == "= " then
      cards[#cards + 1] = card:match("^(.-'.*')") or card:match("^([^/]-) */") or card
    end
  end
  return cards, bytes:sub(at)
end
for _, name in ipairs{ "galrun.fits", "copy.fits" } do
  check.case(name .. " has the cards and the rows that were opened", function()
    local cards, rows = fits(folder .. name)
    local expected, expected_rows = fits(golden .. name)
    check.equal(cards, expected)
    check.that(rows == expected_rows, "the rows differ")
  end)
end
check.case("galrun.npz holds the .npy files that were opened, not packed", function()
  local bytes, expected = read(folder .. "galrun.npz"), gal.load(golden .. "galrun.npz")
  local count = 0
  for name, x in pairs(expected) do
    count = count + 1
    gal.save(folder .. "one.npy", x)
    check.that(bytes:find(read(folder .. "one.npy"), 1, true), name .. " is not in it")
    check.equal(gal.load(folder .. "galrun.npz")[name], x, name)
  end
  check.equal(count, 6)
end)

check.case("a .npy written in pieces has the bytes of one written at once, and its name only then", function()
  local x = gal.arange(60):reshape { 5, 4, 3 }
  gal.save(folder .. "whole.npy", x)
  local path = folder .. "pieces.npy"
  local s = require("gal.data.arrays").stream(path, { 5, 4, 3 })
  s:put(x:narrow(1, 1, 2)):put(x:narrow(1, 3, 1)):put(gal.zeros { 0, 4, 3 })
  check.equal(ffi.C.gal_path_exists(path), 0)
  check.raises(function() s:commit() end, "pieces.npy: 24 values of shape {5, 4, 3} are missing", true)
  check.raises(function() s:put(x) end,
    "pieces.npy: the piece has 60 values, but the file of shape {5, 4, 3} has room for 24 more", true)
  check.raises(function() s:put(require "gal.tensor".int64({ 1 }, { 1 })) end,
    "pieces.npy: the piece is int64, expected float32 as the file", true)
  s:put(x:narrow(1, 4, 2))
  s:commit()
  check.that(read(path) == read(folder .. "whole.npy"), "the bytes differ")
  check.raises(function() s:put(x) end, "put: .*pieces.npy is written and closed", true)
end)

check.case("a .npy in pieces that is given up or forgotten leaves nothing, and the old file stays", function()
  local path = folder .. "kept.npy"
  gal.save(path, gal.arange(3))
  local function count() return tonumber((select(2, scratch.run "ls -A | wc -l"))) end
  local before = count()
  local s = require("gal.data.arrays").stream(path, { 1000 })
  s:put(gal.zeros { 500 })
  check.equal(count(), before + 1)
  s:abandon()
  check.equal(count(), before)
  require("gal.data.arrays").stream(path, { 2 })
  check.collect()
  check.equal(count(), before)
  check.equal(gal.load(path), { 1, 2, 3 })
  check.raises(function() require("gal.data.arrays").stream(folder .. "a.npz", { 2 }) end,
    "stream: .*a.npz is no .npy", true)
  check.raises(function() require("gal.data.arrays").stream(folder .. "a.npy", { -1 }) end,
    "stream: shape%[1%] is %-1", true)
  check.raises(function() require("gal.data.arrays").stream(folder .. "no/a.npy", { 1 }) end,
    "no/a.npy: can't be written", true)
end)

scratch.remove()
check.finish()
