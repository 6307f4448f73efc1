-- Who is who, and how it was seen: what decides a galaxy's identity and what was done to its magnitudes is
-- saved with a run, and compared both ways when a table meets the run again.
local check = dofile "lua/lib/check.lua"
local data = require "gal.data"
local gal = require "gal"
local scratch = dofile "lua/lib/scratch.lua"
local trained = require "gal.infer.trained"

local OPTIONS = { theta = { "logm" }, context = { "g", "r" } }
local function options(more)
  local o = {}
  for key, v in pairs(OPTIONS) do o[key] = v end
  for key, v in pairs(more or {}) do o[key] = v end
  return o
end

-- A table of n galaxies: column -> list of strings; ids(k) gives the ids.
local function lines_of(n, name, id)
  local lines, rng = {}, gal.rng(3)
  for k = 1, n do
    local v = gal.randn({ 3 }, { rng = rng }):totable()
    lines[k] = ("%s,%.4f,%.4f,%.4f"):format(id(k), 18 + v[1], 17 + v[2], 9 + 0.3 * v[3])
  end
  return name .. ",g,r,logm\n", lines
end
local function write(file, head, lines)
  return scratch.write(scratch.path(file), head .. table.concat(lines, "\n") .. "\n")
end
local function sorted(lines)
  local list = { unpack(lines) }
  table.sort(list, function(a, b) return a:match ",.*" < b:match ",.*" end)
  return list
end

-- Trains two epochs on a survey, and opens the run.
local function train(survey, out)
  local flow = require("gal.flow").new{
    theta = survey.names.theta, context = survey.names.context, hidden = { 8 }, rng = gal.rng(0),
  }
  flow.notes = survey:choices()
  require("gal.train").fit{
    flow = flow, data = survey:split "train", valid = survey:split "valid", test = survey:split "test",
    epochs = 2, progress = false, out = scratch.path(out),
  }
  return trained.open(scratch.path(out))
end
local function refuses(pattern, fn, ...)
  local given, n = { ... }, select("#", ...)
  check.raises(function() fn(unpack(given, 1, n)) end, pattern)
end

local function plain(k) return ("%d"):format(k) end

check.case("ids that a spreadsheet has rounded are told with their number", function()
  local function suspects(format, odd)
    local head, lines = lines_of(40, "objID", function(k)
      return (k == odd and "1237648704043942%d7" or format):format(100 + k)
    end)
    return data.open(write("rounded.csv", head, lines), options()).suspects
  end
  check.equal(suspects("587725074995%d000"), {
    "suspicious: 40 of 40 galaxies have zeros behind the 15th digit of objID (587725074995101000), as "
      .. "spreadsheets round numbers: these may not be the catalogue's ids",
  })
  check.equal(#suspects("587725074995%d000", 3), 1)
  check.equal(suspects("1237648704043942%d"), {})
  check.equal(suspects("5877250749%d00"), {}) -- 15 digits: none is lost
end)

check.case("row numbers as ids are told, other columns offered, and a sorted table is refused", function()
  local head, lines = lines_of(120, "objID_1", function(k) return 1000 + k end)
  local file = write("rows.csv", head, lines)
  local survey = data.open(file, options())
  check.that(survey:describe():find("named by their row numbers, .*; %-%-id objID_1 takes objID_1"),
    survey:describe())
  check.equal(data.open(file, options{ id = "none" }).suspects, {})
  local run = train(survey, "rows")
  check.equal({ run.notes.id, select(2, run:survey()) }, { "none", true })
  write("rows.csv", head, sorted(lines))
  refuses("rows.csv is no longer the table that .*rows was trained on: .* row numbers", run.survey, run)
  refuses("no longer the table", run.survey, run, { theta = false })
  -- The same galaxies in another file are known by their values.
  write("rows.csv", head, lines)
  local copy = run:survey{ survey = write("sorted.csv", head, sorted(lines)) }
  check.equal(#run:unseen(copy).ids, #run.lists.test)
  os.remove(file)
  refuses("can't be told which", run.unseen, run, copy)
end)

check.case("the column of ids is the run's, whatever the order of rows, and other ids are refused", function()
  local head, lines = lines_of(120, "ID", plain)
  local file = write("id.csv", head, lines)
  local run = train(data.open(file, options{ id = "id" }), "id")
  check.equal(run.notes.id, "ID")
  local added = { "900,18,17,9", unpack(sorted(lines)) }
  write("id.csv", head, added)
  local survey = run:survey()
  check.equal({ survey.id_column, #survey.ids }, { "ID", 121 })
  for _, id in ipairs(run:unseen(survey:split "test").ids) do
    check.equal(run.parts[id] or "test", "test", id)
  end
  refuses("id is none, but the flow was trained on galaxies named by the column ID", run.survey, run,
    { id = "none" })
  local other = write("names.csv", head:gsub("ID", "name"), lines)
  refuses("names.csv has no column ID, by which the run names its galaxies: %-%-id says", run.survey, run,
    { survey = other })
  check.equal(run:survey{ survey = other, id = "name" }.id_column, "name")
  local asked = run:survey{ survey = other, theta = false }
  local said = "no column ID, by which the run names its galaxies: these are named by name"
  check.that(asked:describe():find(said), asked:describe())
  local changed = { unpack(lines) }
  for k = 1, #changed do changed[k] = changed[k]:gsub(",9%.", ",8.") end
  write("id.csv", head, changed)
  refuses("its training galaxies have other values$", run.survey, run)
  write("id.csv", head, { unpack(lines, 1, 100) })
  refuses("it lacks %d+ of the %d+ training galaxies", run.survey, run)
end)

check.case("a column that does not name each row once is refused, with one that does", function()
  local lines = {}
  for k = 1, 30 do lines[k] = ("%d,COSMOS,18,17,%g"):format(k, k) end
  local file = write("twice.csv", "CATAID,name,g,r,logm\n", lines)
  refuses("name COSMOS is in row 1 and in row 2.*: %-%-id CATAID takes CATAID, where each is unique",
    data.open, file, options())
  refuses("has no column IDS of ids: %-%-id names another", data.open, file, options{ id = "IDS" })
  check.equal(#data.open(file, options{ id = "cataid" }).ids, 30)
end)

check.case("ids of any look split alike from FITS and CSV, and split.csv has them", function()
  local odd = { "1E5", "0.25", "null", "007", "  padded", "5.0", "nan", "+7", 'a "b"',
    "18446744073709551615" }
  local function id(k) return odd[k] or ("%.2fE%d"):format(k / 4, k) end
  local ids, columns = {}, { g = {}, r = {}, logm = {} }
  for k = 1, 120 do
    ids[k] = id(k)
    columns.g[k], columns.r[k], columns.logm[k] = 18 + k % 7, 17 + k % 5, 9 + k % 11 / 10
  end
  columns.specObjID = ids
  local lists = {}
  for _, file in ipairs{ "odd.fits", "odd.csv" } do
    gal.table(columns):save(scratch.path(file))
    local survey = data.open(scratch.path(file), options())
    local run = train(survey, file .. ".run")
    lists[#lists + 1] = run.lists
    check.equal(#run.lists.train, #survey:split("train").ids)
    check.equal(run:unseen(run:survey()).ids, survey:split("test").ids)
    local padded = survey.ids[5]
    check.equal({ padded, run.parts[padded] }, { "padded", data.part "padded" })
  end
  check.equal(lists[1], lists[2])
end)

check.case("the HDU is the run's, and a column of another table of the file is found", function()
  local file = scratch.write(scratch.path "two.fits", scratch.read "golden/files/table.fits")
  refuses("two.fits: its first table has no column z, the one in HDU 3 has: see %-%-hdu 3", data.open, file,
    { theta = { "z" }, context = {} })
  local survey = data.open(file, { theta = { "z" }, context = {}, hdu = "more" })
  check.equal({ survey:choices().hdu, #survey.ids }, { "more", 2 })
  check.equal(select(2, data.reopen(survey:choices())), true)
  check.equal(select(2, data.reopen(survey:choices(), { hdu = "3" })), false)
end)

-- ---- how galaxies were seen ----

local function magnitudes(file, columns, values)
  return write(file, "objID,oh," .. columns .. "\n", { "1,8.9," .. values, "2,8.7," .. values })
end
local SEEN = { theta = { "oh" }, context = { "modelMag_g", "modelMag_r" } }

check.case("extinctions that appear are refused as those that vanish, unless told what to do", function()
  local bare = magnitudes("bare.csv", "modelMag_g,modelMag_r", "18,17")
  local red = magnitudes("red.csv", "modelMag_g,modelMag_r,extinction_g,extinction_r", "18,17,0.5,0.25")
  local half = magnitudes("half.csv", "modelMag_g,modelMag_r,extinction_r", "18,17,0.25")
  local was_bare, was_red = data.open(bare, SEEN):choices(), data.open(red, SEEN):choices()
  local function seen(choices, file, dereddened)
    return data.reopen(choices, { survey = file, dereddened = dereddened }).context[1]:totable()
  end
  refuses("red.csv has extinction_g, where the run's table had none: .*%-%-no%-dereddened leaves", seen,
    was_bare, red)
  refuses("half.csv has extinction_r, where the run's table had none", seen, was_bare, half)
  refuses("half.csv has no extinction_g, which came off modelMag_g", seen, was_red, half)
  refuses("bare.csv has no extinction_g", seen, was_red, bare)
  check.equal({ seen(was_bare, red, false), seen(was_bare, red, true), seen(was_bare, bare) },
    { { 18, 17 }, { 17.5, 16.75 }, { 18, 17 } })
  check.equal({ seen(was_red, red), seen(was_red, half, true) }, { { 17.5, 16.75 }, { 18, 16.75 } })
  refuses("dereddened is false, but the flow was trained on dereddened magnitudes %(modelMag_g, modelMag_r%)",
    seen, was_red, red, false)
  local as_is = data.open(red, { theta = SEEN.theta, context = SEEN.context, dereddened = false }):choices()
  refuses("dereddened is true, but the flow was trained on magnitudes as they are", seen, as_is, red, true)
  check.equal(seen(as_is, red), { 18, 17 })
end)

check.case("A_V from another column than the run's is told, both ways", function()
  local function file(name, column) return write(name, "objID,r," .. column .. "\n", { "1,17,0.5" }) end
  local own, tau = file("own.csv", "a_v"), file("tau.csv", "tauv_cont")
  local function told(from, to)
    local opened = data.open(from, { theta = { "a_v" }, context = { "r" } })
    return data.reopen(opened:choices(), { survey = to }).suspects
  end
  check.equal(told(own, tau), { "a_v is 1.086 tauv_cont here, the run's table had it" })
  check.equal(told(tau, own), { "a_v is the table's own, the run's was 1.086 tauv_cont" })
  check.equal({ told(own, own), told(tau, tau) }, { {}, {} })
end)

-- ---- by name ----

local flow = require("gal.flow").new{
  theta = { "oh" }, context = { "modelMag_g", "z", "z_missing" }, hidden = { 8 }, rng = gal.rng(0),
}
flow:standardise(gal.randn { 50, 1 }, gal.randn { 50, 3 })
flow.notes = { corrected = { "modelMag_g" }, fill = { z = 0.125 } }
local function drawn(x) return flow:sample(x, { n = 4, steps = 3, rng = gal.rng(5) }) end

check.case("a flow takes a catalogue's values by name, and treats them as the training's were", function()
  check.equal(drawn{ MODELMAG_G = 1.5, Z = 0.5, extinction_g = 0.25 }, drawn(gal.tensor{ 1.25, 0.5, 0 }))
  local x = { modelMag_g = { 1.5, 2, 3 }, z = gal.tensor{ 0.5, -9999, 1 }, extinction_g = 0.25 }
  local same = gal.tensor{ { 1.25, 0.5, 0 }, { 1.75, 0.125, 1 }, { 2.75, 1, 0 } }
  check.equal(drawn(x), drawn(same))
  check.equal(flow:log_prob({ { 0.5 } }, { modelMag_g = 1, extinction_g = 0 }),
    flow:log_prob({ { 0.5 } }, gal.tensor{ 1, 0.125, 1 }))
end)

check.case("a name that is lacking or unknown, and values that don't fit, are refused", function()
  refuses("x has no extinction_g, expected modelMag_g, z, extinction_g; 0 where", drawn, { modelMag_g = 1 })
  refuses("x has 'modelMag_u' %(did you mean \"modelMag_g\"", drawn, { modelMag_u = 1, extinction_g = 0 })
  refuses("x has modelMag_g twice", drawn, { modelMag_g = 1, MODELMAG_G = 1, extinction_g = 0 })
  refuses("z has 3 values and modelMag_g 2", drawn,
    { modelMag_g = { 1, 2 }, z = { 1, 2, 3 }, extinction_g = 0 })
  refuses('modelMag_g is the string "1", expected a number', drawn, { modelMag_g = "1", extinction_g = 0 })
  refuses("x is NaN in row 2, column 1", drawn, { modelMag_g = { 1, -9999 }, extinction_g = 0 })
end)

check.case("numbers without names leave one notice that extinctions came off, and names none", function()
  local file = scratch.path "flow.safetensors"
  flow:save(file)
  local code = ('f = require("gal.flow").load("%s") for k = 1, 2 do f:sample(%%s, {n = 1}) end'):format(file)
  local function said(x)
    local _, text = scratch.run(("%s -e '%s'"):format(scratch.galrun, code:format(x)))
    return select(2, text:gsub("galrun: the flow learned from magnitudes with the Galactic extinction", ""))
  end
  check.equal({ said "{1, 2, 0}", said "{modelMag_g = 1, extinction_g = 0}" }, { 1, 0 })
  check.that(tostring(flow):find "less extinction: modelMag_g", tostring(flow))
end)

scratch.remove()
check.finish()
