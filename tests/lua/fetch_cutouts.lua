-- gal.fetch.cutouts: pictures from a server on the loopback that answers as archives do and misbehaves as it
-- is asked to (net/server.c). tests/acceptance/fetch.lua is the long version of its killing.
local check = dofile "lua/lib/check.lua"
local scratch = dofile "lua/lib/scratch.lua"
local net = dofile "lua/lib/net.lua"
local ffi = require "ffi"
local gal = require "gal"
local host = require "gal.host"
local path = require "gal.base.path"
local cutouts = require "gal.fetch.cutouts"
local pictures = require "gal.fetch.pictures"
local server = require "gal.fetch.server"
local sources = require "gal.fetch.sources"

local here = net.start(scratch.folder, 250)
local PAUSE = 0.001

-- cutouts.fetch of n galaxies, at ra = dec = 0.001 k, from the server at that place; o: other options.
-- Second, what was said.
local function fetch(out, place, n, o)
  local ids, ra, said = {}, {}, {}
  for k = 1, n do ids[k], ra[k] = ("1237648%d"):format(k), k / 1000 end
  local given = {
    out = scratch.path(out), ids = ids, ra = ra, dec = ra, pause = PAUSE,
    say = function(sentence) said[#said + 1] = sentence end,
  }
  local settings = { server = here.base .. "/" .. place, size = 64 }
  for name, value in pairs(o or {}) do (sources.own[name] and settings or given)[name] = value end
  given.settings = sources.open(settings)
  local whole, missing, faults = cutouts.fetch(given)
  return { whole, missing, faults }, table.concat(said, "\n")
end

-- What the server sends for galaxy k where it does not misbehave.
local function picture(k, address)
  local s = server.open(here.base, { pause = 0 })
  s:ask{ path = address or sources.path(sources.open{ size = 64 }, k / 1000, k / 1000), most = 1e6 }
  local body = s:next().body
  s:close()
  return body
end

-- How often the server has been asked for a picture at a place with this text.
local function requests(place)
  local n = 0
  for _, r in ipairs(net.requests(here)) do n = n + (r.ra and r.address:find(place, 1, true) and 1 or 0) end
  return n
end

local PASSING = "html,400,503,rate,database,line,empty,short,reset,chunk,stall,silent,nonsense,small,"
  .. "words,no,flat,html"

check.case("whatever the answers are meanwhile, the pictures that come are the server's own", function()
  local list = {}
  for fault in PASSING:gmatch "[^,]+" do list[#list + 1] = fault end
  for i = 1, #list, 2 do
    local out = "fault " .. list[i]
    local counts = fetch(out, ("%d/faults=%s,%s"):format(i, list[i], list[i + 1]), 1)
    check.equal({ counts[1], counts[2] }, { 1, 0 })
    check.equal(scratch.read(scratch.path(out .. "/cutouts/12376481.jpg")), picture(1))
  end
end)

check.case("each kind of answer is counted by its name", function()
  local counts = fetch("names", "n/faults=html,400,small,line,empty", 1)
  check.equal(counts[3], { html = 1, json = 1, ["other size"] = 1, damaged = 1, empty = 1 })
  counts = fetch("names2", "n/faults=rate,database,words,503,short", 1)
  check.equal(counts[3], { ["rate limit"] = 1, database = 1, outside = 1, busy = 1, cut = 1 })
end)

check.case("what comes twice is believed, recorded with its reason, and left alone without again", function()
  local counts, said = fetch("outside", "o/outside=4", 8)
  check.equal(counts, { 6, 2, { outside = 2 } })
  check.that(said:find("2 can't be had (outside 2): manifest.csv says why", 1, true), said)
  local text = scratch.read(scratch.path "outside/cutouts/manifest.csv")
  local line = '12376484,0.004000,0.004000,,,"outside: status 404, with a picture of words",20'
  check.that(text:find(line, 1, true), text)
  local before = requests "/o/"
  check.equal(fetch("outside", "o/outside=4", 8), { 6, 2, {} })
  check.equal(requests "/o/", before)
  check.equal(fetch("outside", "o/outside=4", 8, { again = true }), { 6, 2, { outside = 2 } })
  check.equal(requests "/o/", before + 4)
  check.equal(fetch("outside", "p/x", 8, { again = true }), { 8, 0, {} }) -- now it is there
end)

check.case("a galaxy that no answer is about is written down when another one comes", function()
  local six = ("html,"):rep(6)
  local counts, said = fetch("held", "h/faults=" .. six:sub(1, -2), 3, { ids = { "1", "2", "3/4" } })
  check.equal({ counts[1], counts[2] }, { 0, 3 })
  check.that(said:find("can't be had (html 2, id 1)", 1, true), said)
end)

check.case("a server that refuses everything, or is not there, is soon left alone", function()
  local refused = "400,400,400,400,400,400"
  check.raises(function() fetch("refuses", "r/faults=" .. refused, 9) end,
    "status 400: Incorrect syntax near 'selekt'%.$")
  check.that(requests "/r/" <= 10, ("%d requests"):format(requests "/r/"))
  check.that(not scratch.read(scratch.path "refuses/cutouts/manifest.csv.part"):find "json", "recorded")
  check.equal(fetch("refuses", "s", 9), { 9, 0, {} })
  check.raises(function() fetch("moved", "m/faults=moved", 2) end, "status 302 sends to")
  local nobody = { server = "http://127.0.0.1:1" }
  check.raises(function() fetch("down", "d", 2, nobody) end, "127%.0%.0%.1:1/.*onnect")
  check.raises(function() fetch("maintenance", "m/faults=tomorrow", 2) end, "asks to wait for 50000 s")
  check.raises(function() fetch("wrong", "w/outside=1", 60) end,
    "has no picture of any of the first 50 galaxies: the last was 1237648%d+: status 404, with a picture")
end)

check.case("a file that was changed or lost is asked for again, and no other", function()
  fetch("changed", "c/x", 6)
  local place = scratch.path "changed/cutouts/"
  local before, manifest = requests "/c/", scratch.read(place .. "manifest.csv"):gsub(",[^,\n]*\n", "\n")
  scratch.write(place .. "12376482.jpg", scratch.read(place .. "12376482.jpg"):gsub(".$", "?"))
  os.remove(place .. "12376485.jpg")
  local counts, said = fetch("changed", "c/x", 6)
  check.equal(counts, { 6, 0, {} })
  check.equal(requests "/c/", before + 2)
  check.that(said:find("2 cutouts that had come are gone or changed", 1, true), said)
  check.equal(scratch.read(place .. "12376482.jpg"), picture(2))
  check.equal(scratch.read(place .. "manifest.csv"):gsub(",[^,\n]*\n", "\n"), manifest)
end)

check.case("a galaxy that was asked for at another place is asked for again", function()
  local function at(...) return { ra = { ... }, dec = { 0.001, 60, 0.003 } } end
  check.equal(fetch("moved", "v/x", 3, at(0.001, 359.9999, 0.003)), { 3, 0, {} })
  local before = requests "/v/"
  check.equal(fetch("moved", "v/x", 3, at(0.001, 0.0002, 0.003)), { 3, 0, {} }) -- 0.54 arcsec at 60 degrees
  check.equal(requests "/v/", before)
  local counts, said = fetch("moved", "v/x", 3, at(0.001, 359.9999, 0.0034))
  check.equal({ counts, requests "/v/" }, { { 3, 0, {} }, before + 1 })
  check.that(said:find("1 had come of places over 1 arcsec from the table's", 1, true), said)
end)

check.case("n galaxies are chosen by their ids alone, and more of them are the same and others", function()
  local ids = {}
  for k = 1, 1000 do ids[k] = tostring(k) end
  local few, many, turned = cutouts.chosen(ids, 100), cutouts.chosen(ids, 300), {}
  local among, tenths = {}, {}
  for _, k in ipairs(many) do among[ids[k]] = true end
  for _, k in ipairs(few) do check.that(among[ids[k]], "not among more: " .. ids[k]) end
  for k = 1, 1000 do turned[k] = ids[1001 - k] end
  local mirrored = {}
  for i, k in ipairs(cutouts.chosen(turned, 100)) do mirrored[101 - i] = 1001 - k end
  check.equal(mirrored, few)
  -- Independent of the split: of 300 about 240 are to train on; five deviations are 35.
  for _, k in ipairs(many) do
    local part = require("gal.data").part(ids[k])
    tenths[part] = (tenths[part] or 0) + 1
  end
  check.that(math.abs(tenths.train - 240) < 35, ("%d of 300 are to train on"):format(tenths.train))
  check.equal(#cutouts.chosen(ids, 5000), 1000)
end)

check.case("two sources are never mixed, and nobody's files are written over", function()
  fetch("mixed", "c/x", 2)
  local known = require("gal.base.json").decode(scratch.read(scratch.path "mixed/cutouts/source.json"))
  check.equal(known, {
    source = "sdss", release = "dr18", layer = "", format = "jpg", scale = 0.396127, size = 64,
    server = here.base .. "/c/x",
  })
  check.raises(function() fetch("mixed", "c/x", 2, { size = 128 }) end, "size was 64 and is 128")
  check.raises(function() fetch("mixed", "c/x", 2, { source = "legacysurvey" }) end,
    "source was sdss and is legacysurvey")
  check.equal(fetch("mixed", "other", 2), { 2, 0, {} }) -- a mirror is no other source
  path.make(scratch.path "mine/cutouts")
  scratch.write(scratch.path "mine/cutouts/12376481.jpg", "mine")
  check.raises(function() fetch("mine", "c/x", 2) end, "has files of somebody else's %(12376481%.jpg%)")
  check.equal(scratch.read(scratch.path "mine/cutouts/12376481.jpg"), "mine")
end)

check.case("every source is asked as it wants, and has its own picture of nothing", function()
  for name, address in pairs{
    ["legacysurvey jpg"] = "/cutout.jpg?ra=0.001000&dec=0.001000&layer=ls-dr10&pixscale=0.262&size=64",
    ["legacysurvey fits"] = "/cutout.fits?ra=0.001000&dec=0.001000&layer=ls-dr10&pixscale=0.262&size=64",
    ["hips2fits jpg"] = "/hips2fits?hips=CDS%2FP%2FSDSS9%2Fcolor&ra=0.001000&dec=0.001000&fov=0.00704226"
      .. "&width=64&height=64&projection=TAN&format=jpg",
    ["hips2fits fits"] = "/hips2fits?hips=CDS%2FP%2FSDSS9%2Fr&ra=0.001000&dec=0.001000&fov=0.00704226"
      .. "&width=64&height=64&projection=TAN&format=fits",
  } do
    local source, format = name:match "(%S+) (%S+)"
    local o = { source = source, format = format }
    check.equal(fetch(name, "q/outside=2/faults=words,small", 2, o)[1], 1)
    local file = scratch.path(("%s/cutouts/12376481.%s"):format(name, format))
    check.equal(scratch.read(file), picture(1, address))
    local text = scratch.read(scratch.path(name .. "/cutouts/manifest.csv"))
    check.that(text:find('12376482,0.002000,0.002000,,,"outside: it is one flat tile"', 1, true), text)
  end
  local function refused(o, sentence) check.raises(function() sources.open(o) end, sentence) end
  refused({ source = "2mass" }, 'source is the string "2mass", expected one of sdss')
  refused({ format = "fits" }, "format is fits, expected jpg of SkyServer's")
  refused({ size = 32 }, "size is 32, expected 64 to 2048 pixels")
  refused({ release = "dr7" }, "release is dr7, expected one of dr17, dr18, dr19")
  refused({ layer = "x" }, "layer is x, expected none")
  refused({ layer = "" }, "layer is '', expected none")
  refused({ source = "hips2fits", release = "dr18" }, "release is dr18, expected none")
  refused({ source = "hips2fits", format = "fits", layer = "CDS/P/DSS2/color" }, "expected a band")
  check.raises(function() fetch("fast", "x", 1, { server = "https://example.org", pause = 0.1 }) end,
    "pause is 0.1, expected at least 0.2 s")
end)

check.case("no prefix of a picture, and no picture with a byte taken out, is one", function()
  local settings = sources.open{ size = 64 }
  local fits = sources.open{ source = "legacysurvey", format = "fits", size = 64 }
  for _, s in ipairs{ settings, fits } do
    local body = picture(1, sources.path(s, 0.001, 0.001))
    local function fault(bytes) return (pictures.fault({ kind = "whole", status = 200, body = bytes }, s)) end
    check.equal(fault(body), nil)
    for k = 0, #body - 2, s == fits and 1201 or 7 do
      check.that(fault(body:sub(1, k)), ("the first %d of %d bytes pass"):format(k, #body))
    end
    check.that(#body < 5002 or fault(body:sub(1, 5000) .. body:sub(5002)), "a file without a byte passes")
  end
end)

check.case("a CRC-32 is that of gzip and PNG", function()
  check.equal(require("gal.fetch.manifest").crc "123456789", "cbf43926") -- the check value of its definition
  check.equal(require("gal.fetch.manifest").crc "", "00000000")
end)

check.case("killed three times, table and cutouts are those of a server that never fails", function()
  local random, kills = net.random(3), {}
  for k = 1, 3 do kills[k] = math.floor(2 + random() * 10) end
  local script = host.root .. "/experiments/fetch_sdss.lua"
  local function words(base, out)
    local all = "%s --server %s --out %s --pause %g --sample none --page 20 --size 64"
    local list = {}
    for word in all:format(script, base, out, PAUSE):gmatch "%S+" do list[#list + 1] = word end
    return list
  end
  local place = here.base .. "/rows=30/outside=15"
  local first = #net.requests(here)
  local faulty = place .. "/random=20"
  local killed, again = net.disturbed(here, words(faulty, "killed"), scratch.folder, "killed", kills)
  check.equal({ killed, again }, { 3, {} })
  local of_pictures = {}
  for i, r in ipairs(net.requests(here)) do
    if i > first and r.ra then of_pictures[#of_pictures + 1] = r end
    check.that(r.asking <= 2, ("%d requests at once"):format(r.asking))
  end
  local early = net.earliest(of_pictures, PAUSE)
  check.that(early <= 3, ("%g pauses too early"):format(early))
  local code, text = scratch.run(scratch.galrun .. " " .. table.concat(words(place, "peace"), " "))
  check.equal(code, 0, text)
  check.that(text:find "28 of 30 cutouts are in peace/cutouts", text)
  local wrong, files = net.compare(scratch.path "killed", scratch.path "peace", faulty, place)
  check.equal({ wrong, files }, { {}, 28 + 6 })
end)

check.case("cutouts of any table's galaxies, beside it, are trained on with the next command", function()
  local ids, ra, theta, mag = {}, {}, {}, {}
  for k = 1, 30 do ids[k], ra[k], theta[k], mag[k] = "g" .. k, k / 1000, k % 7, 17 + k % 5 / 10 end
  path.make(scratch.path "own")
  local t = gal.table{ name = ids, RAJ2000 = ra, DEJ2000 = ra, mass = theta, g = mag }
  t:save(scratch.path "own/catalog.fits")
  local form = "%s --survey own --size 64 --pause 0.001 --cutouts-server %s/own"
  local code, text = scratch.run(form:format(scratch.experiment "fetch_cutouts", here.base))
  check.equal(code, 0, text)
  check.that(text:find "30 of 30 cutouts are in own/cutouts", text)
  for words, sentence in pairs{
    ["--ra RA --dec DEJ2000"] = "--ra is RA, but own/catalog.fits has no such column",
    ["--ra RAJ2000"] = "expected --ra and --dec, both or none of them",
  } do
    code, text = scratch.run(form:format(scratch.experiment "fetch_cutouts", here.base) .. " " .. words)
    check.that(code > 0 and text:find(sentence, 1, true), text)
  end
  local survey = require("gal.data").open(scratch.path "own",
    { theta = { "mass" }, context = { "g" }, images = { progress = false } })
  check.equal(survey.images.shape, { 30, 64, 64, 3 })
end)

here.stop()
scratch.remove()
check.finish()
