-- galrun still writes the files that numpy, astropy and safetensors were seen to open (golden/files/galrun.*,
-- copy.fits; by open.py beside them): the same bytes where the format is galrun's own work, the same cards
-- and values where CFITSIO and libzip word the headers, which differ between their versions.
local check = dofile "lua/lib/check.lua"
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

check.case("a growing .npy file begins with the header of one written at once", function()
  local x = gal.arange(60):reshape { 5, 4, 3 }
  gal.save(folder .. "whole.npy", x)
  local header, bytes = require("gal.data.arrays").header({ 5, 4, 3 }, "float32"), read(folder .. "whole.npy")
  check.equal({ bytes:sub(1, #header) == header, #bytes }, { true, #header + 4 * 60 })
end)

scratch.remove()
check.finish()
