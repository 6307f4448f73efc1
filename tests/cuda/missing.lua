-- libgalrun_cuda.so as it is built for cards: where there is no such library, no driver or no card, one
-- sentence says which, and galrun goes on without. On a machine with a card: it opens. No double here.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"

check.case("the device opens, or a sentence says what is missing", function()
  local opens, why = gal.has "cuda"
  if opens then return check.equal(gal.ones({ 3 }, { device = "cuda" }):sum():item(), 3) end
  local missing = why:match '^device "cuda" can\'t be had: (.*)$'
  local there = missing and missing:match "^this machine has no NVIDIA (%a+)$"
  check.that(missing == "this build has no libgalrun_cuda.so" or there == "driver" or there == "card", why)
end)

check.case("what the device lacks is named", function()
  local there, why = gal.has "cuda:14"
  check.that(not there and why:find('device "cuda:14" can\'t be had: ', 1, true) == 1, tostring(why))
end)

check.finish()
