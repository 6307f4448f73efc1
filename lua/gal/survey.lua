-- The mock survey: galaxies drawn from a known model (runtime/survey/README.md), as tables. What a survey in a file is to the models, is gal.data's.
local ffi = require "ffi"
local arguments = require "gal.arguments"
local raise = require "gal.raise"
local table_ = require "gal.table"
local C = ffi.C
local check, number = raise.check, arguments.number

local survey = {}

-- About a tenth of a second of searching.
local DRAWS = 2 ^ 18

local handle = ffi.new "gal_mock *[1]"
local found, drawn = ffi.new "int64_t[1]", ffi.new "int64_t[1]"

--- survey.search{n =, seed = 0, progress = function(found, n) end}: looks for the first n galaxies of the mock survey `seed`. Returns the C survey, for survey.catalogue and
-- survey.cutouts, and of how many draws they are.
function survey.search(options)
  local o = arguments.known("survey", options, { "n", "seed", "progress" })
  local n = number("survey", o, "n", nil, 1, 2 ^ 34, true) or raise.raise "survey: n is nil, expected how many galaxies"
  check(C.gal_mock_new(handle, number("survey", o, "seed", 0, 0, 2 ^ 53, true), n))
  local mock = ffi.gc(handle[0], C.gal_mock_free)
  repeat
    check(C.gal_mock_search(found, drawn, mock, DRAWS))
    if o.progress then o.progress(tonumber(found[0]), n) end
  until found[0] == n
  return mock, tonumber(drawn[0])
end

--- survey.catalogue(mock): its galaxies as a table.
function survey.catalogue(mock)
  local t = ffi.new "gal_table *[1]"
  check(C.gal_mock_table(t, mock))
  return table_.adopt(t[0])
end

--- survey.mock{n =, seed = 0}: a table of n galaxies of the mock survey: SDSS's columns (magnitudes and labels as measured), and the truth: true_…, the model's latents and
-- noiseless fluxes. Galaxy k is the same whatever n is.
function survey.mock(options) return survey.catalogue((survey.search(options))) end

return survey
