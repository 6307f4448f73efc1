-- What may be asked for in place of a column: an element of vectors, one operator, one function, another
-- name; marks of missing values; and a run that meets a table with other names.
local check = dofile "lua/lib/check.lua"
local data = require "gal.data"
local gal = require "gal"
local scratch = dofile "lua/lib/scratch.lua"

local function survey(theta, context, more)
  local o = { theta = theta, context = context, id = "none" }
  for key, v in pairs(more or {}) do o[key] = v end
  return data.open(scratch.path "t.fits", o)
end
local MAG = {}
for k = 1, 20 do MAG[k] = { k, 10 + k * k, 30 - k } end
local function column(fn)
  local list = {}
  for k = 1, 20 do list[k] = fn(k) end
  return list
end
gal.table{
  MODELMAG = gal.tensor(MAG), logm = column(function(k) return 9 + k / 16 end),
  modelMag_g = column(function(k) return 17 + (k % 7) / 8 end),
  modelMag_r = column(function(k) return 16 + (k % 5) / 4 end),
  extinction_g = column(function(k) return (k % 3) / 8 end),
  extinction_r = column(function(k) return (k % 4) / 16 end),
  MAG_G = column(function(k) return k == 4 and 99 or 18 + (k % 9) / 8 end),
  flux = column(function(k) return k == 3 and -1 or 10 ^ (k % 6) end),
  ["a-b"] = column(function(k) return k * k % 11 end), a = column(function(k) return k % 3 end),
  b = column(function(k) return k % 4 end), Mixed = column(function(k) return k % 8 end),
}:save(scratch.path "t.fits")

local function values(text, more)
  local s = survey({ "logm" }, { text }, more)
  return s.context:reshape{ -1 }:totable(), s.names.context[1], s
end

check.case("an element of a column of vectors is asked for by its number", function()
  local list, name = values "modelmag[ 2 ]"
  check.equal({ list, name }, { column(function(k) return 10 + k * k end), "MODELMAG[2]" })
  check.raises(function() values "MODELMAG[4]" end, "the element of MODELMAG is 4, expected .* from 1 to 3")
  check.raises(function() values "MODELMAG" end, "holds 3 numbers a row, expected one; MODELMAG%[1%] to")
  check.equal((values "flux[1]"), (values "flux"))
end)
check.case("one operator or function, after dereddening; what is not finite is missing", function()
  local function g(k) return 17 + (k % 7) / 8 - (k % 3) / 8 end
  local function r(k) return 16 + (k % 5) / 4 - (k % 4) / 16 end
  local list, name, s = values "modelMag_g-modelMag_r"
  check.near(list, column(function(k) return g(k) - r(k) end), 1e-6)
  check.equal({ name, s.corrected }, { "modelMag_g-modelMag_r", { "modelMag_g", "modelMag_r" } })
  check.near((values("modelMag_g - modelMag_r", { dereddened = false })),
    column(function(k) return 17 + (k % 7) / 8 - 16 - (k % 5) / 4 end), 1e-6)
  check.near((values "modelMag_r * 2"), column(function(k) return 2 * r(k) end), 1e-5)
  check.near((values "1/logm"), column(function(k) return 1 / (9 + k / 16) end), 1e-7)
  local logs, _, kept = values "log10(flux)"
  check.equal(#logs, 19)
  check.equal(kept.dropped, { { reason = "without log10(flux)", count = 1 } })
  check.near(logs[1], 1, 1e-7)
  check.near((values "asinh(flux)")[3], math.log(-1 + math.sqrt(2)), 1e-6)
  check.equal(#values "b / a", 14) -- k % 3 = 0: division by zero
end)
check.case("a column of exactly that name wins over an operator", function()
  check.equal((values "a-b"), column(function(k) return k * k % 11 end))
  check.equal((values "a - b"), column(function(k) return k % 3 - k % 4 end))
  check.equal((values "a-b-b"), column(function(k) return k * k % 11 - k % 4 end))
end)
check.case("another name: saved with the run, dereddened by its band, and told", function()
  local list, name, s = values("modelMag_g=MAG_G", { missing_value = { 99 } })
  local expected = column(function(k) return 18 + (k % 9) / 8 - (k % 3) / 8 end)
  table.remove(expected, 4)
  check.near(list, expected, 1e-6)
  check.equal({ name, s.corrected }, { "modelMag_g", { "modelMag_g" } })
  check.that(s:describe():find("modelMag_g is MAG_G, less extinction_g", 1, true), s:describe())
  check.equal(s.dropped, { { reason = "without modelMag_g", count = 1 } })
  local again = data.reopen(s:choices())
  check.equal({ again.names.context, again.context }, { s.names.context, s.context })
  list, name, s = values "colour = modelMag_g - modelMag_r"
  check.equal({ list, name }, { (values "modelMag_g-modelMag_r"), "colour" })
  check.that(s:describe():find("colour is modelMag_g - modelMag_r", 1, true), s:describe())
end)
check.case("what the table has not is refused by the word that it lacks, and no Lua is run", function()
  local function refused(text, pattern) check.raises(function() values(text) end, pattern) end
  refused("modelMag_q", "no column .modelMag_q.*modelMag_")
  refused("x=modelMag_q", "no column .modelMag_q")
  refused("log10(fluxx)", "no column .fluxx.*flux")
  refused("os.exit(1)", "no column")
  refused("a+b+flux+1", "no column")
  refused("sin(a)", "no column")
  refused("a*2*3", "no column")
  refused("log10(a[9])", "the element of a is 9, expected .* from 1 to 1")
  check.raises(function() survey({ "logm" }, { "x=a", "x=b" }) end, "context names x twice")
  check.raises(function() survey({ "x=a" }, { "x=b" }) end, "x is among its own predictors")
end)
check.case("columns get the table's spelling, and a run that has another keeps it", function()
  local s = survey({ "LOGM" }, { "mixed", "modelmag[2]", "x=MIXED", "g-r=MODELMAG_g-modelMag_r" },
    { missing = "mask", missing_value = { 3 } })
  check.equal({ s.names.theta, s.names.context, s:choices().theta, s:choices().context }, {
    { "logm" }, { "Mixed", "MODELMAG[2]", "x", "g-r", "Mixed_missing", "x_missing" }, { "logm" },
    { "Mixed", "MODELMAG[2]", "x=Mixed", "g-r=MODELMAG_g-modelMag_r" },
  })
  -- As runs were written down that kept what was typed.
  local old = s:choices()
  old.theta, old.context, old.fill = { "LOGM" }, { "mixed", "MODELMAG[2]" }, { mixed = s.fill.Mixed }
  old.corrected = {}
  local again = data.reopen(old)
  check.equal(again.names, { theta = { "LOGM" }, context = { "mixed", "MODELMAG[2]", "mixed_missing" } })
  check.equal(again.context:select(2, 1), s.context:select(2, 1))
end)
check.case("a run's names are taken from another table's columns", function()
  local s = survey({ "logm" }, { "modelMag_g", "modelMag_r" }, { dereddened = false })
  local other = scratch.path "other.fits"
  gal.table{ MAG_G = { 18, 19 }, modelMag_r = { 17, 17.5 } }:save(other)
  local o = { survey = other, theta = false, rename = { "modelMag_g=MAG_G" } }
  check.equal(data.reopen(s:choices(), o).context, { { 18, 17 }, { 19, 17.5 } })
  o.rename = { "modelMag_u=MAG_G" }
  check.raises(function() data.reopen(s:choices(), o) end,
    "rename is modelMag_u=MAG_G, expected NAME=COLUMN with one of the run's names: logm, modelMag_g, mod")
  o.rename = { "MAG_G" }
  check.raises(function() data.reopen(s:choices(), o) end, "rename is MAG_G, expected NAME=COLUMN")
end)
check.case("marks of missing values may be several, and are saved with the run", function()
  local s = survey({ "logm" }, { "b" }, { missing_value = { 0, 3 } })
  check.equal(#s.ids, 10)
  check.equal(s:choices().missing_value, { 0, 3 })
  check.raises(function() survey({ "logm" }, { "b" }, { missing_value = { "x" } }) end,
    'missing_value%[1%] is the string "x", expected a number')
end)
scratch.remove()
check.finish()
