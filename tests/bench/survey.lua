-- What the mock survey costs: draws a second before selection, a catalogue, the reference posterior of a
-- galaxy.
-- usage: galrun tests/bench/survey.lua [--n 200000] [--galaxies 20]
local ffi = require "ffi"
local o = require("gal.cli").options {
  n = { 200000, "galaxies to look for" },
  galaxies = { 20, "posteriors" },
  ess = 3000,
}
local gal = require "gal"
local survey = require "gal.mock"
local now = ffi.C.gal_now

local start = now()
local mock, drawn = survey.search { n = o.n, seed = 1 }
local seconds = now() - start
local text = "search: %.3g draws/s, %.3g galaxies/s, %d threads"
print(text:format(drawn / seconds, o.n / seconds, ffi.C.gal_threads(0)))
start = now()
survey.catalogue(mock)
print(("catalogue: %.3g galaxies/s"):format(o.n / (now() - start)))

local t = survey.galaxies { n = o.galaxies, seed = 103 }
local columns = {}
for i, band in ipairs { "u", "g", "r", "i", "z" } do
  columns[i] = t:column("modelMag_" .. band):reshape { o.galaxies, 1 }
end
start = now()
local r = require "gal.mock.posterior"(gal.cat(columns, 2), { ess = o.ess, seed = 104 })
local draws = 0
for k = 1, r.n do draws = draws + r:state(k).draws end
seconds = now() - start
text = "reference posterior: %.2f s a galaxy, %.3g draws/s, to an effective sample size of %d"
print(text:format(seconds / r.n, draws / seconds, o.ess))
