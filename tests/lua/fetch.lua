-- gal.fetch: tables of an archive's, by a server on the loopback that answers as SkyServer does and
-- misbehaves as it is asked to (net/server.c).
local check = dofile "lua/lib/check.lua"
local scratch = dofile "lua/lib/scratch.lua"
local net = dofile "lua/lib/net.lua"
local answers = require "gal.fetch.answers"
local path = require "gal.base.path"
local pages = require "gal.fetch.pages"
local server = require "gal.fetch.server"

local here = net.start(scratch.folder, 200)
local base = here.base

local COLUMNS = { "specObjID", "z" }
local QUERY = "SELECT TOP {count} specObjID, z FROM S WHERE specObjID > {last} ORDER BY specObjID"
local HURRY = { pause = 0, wait = 0.01, longest = 0.02, tries = 4 }

-- pages.fetch of a table of so many rows whose answers have these faults, in a hurry.
local function fetch(out, rows, faults, o)
  local given = {
    out = scratch.path(out), server = ("%s/rows=%d/faults=%s"):format(base, rows, faults),
    path = "/SqlSearch", query = QUERY, columns = COLUMNS, page = 10, manners = HURRY, hurry = 1e-3,
  }
  for name, value in pairs(o or {}) do given[name] = value end
  return pages.fetch(given)
end

-- The table of so many rows, as select_rows of net/server.c has it.
local function table_of(rows)
  local lines = { "specObjID,z" }
  for k = 1, rows do
    local id = tostring(299489676975171584LL + 2048 * k):sub(1, -3)
    lines[k + 1] = ("%s,%.3f"):format(id, k / 1000)
  end
  return table.concat(lines, "\n") .. "\n"
end

-- How many requests there were whose address has this text.
local function requests(text)
  local n = 0
  for _, r in ipairs(net.requests(here)) do n = n + (r.address:find(text, 1, true) and 1 or 0) end
  return n
end

local ALL = "html,rate,empty,line,short,503,reset"

check.case("a table comes whole, in the order of ids, whatever its answers are meanwhile", function()
  local rows, counts = fetch("whole", 25, ALL .. ",ok," .. ALL)
  check.equal({ rows, counts }, {
    25, { html = 2, ["rate limit"] = 2, empty = 2, ["cut table"] = 2, busy = 2, cut = 4 },
  })
  check.equal(scratch.read(scratch.path "whole/catalog.csv"), table_of(25))
  check.equal(scratch.read(scratch.path "whole/query.sql"), QUERY .. "\n")
  local ids = require("gal").table(scratch.path "whole/catalog.csv"):ids "specObjID"
  check.equal(ids[25], "299489676975222784")
end)

check.case("no more rows than were asked for, and an empty table is one", function()
  check.equal({ fetch("some", 25, "ok", { n = 12 }) }, { 12, {}, 0 })
  check.equal(scratch.read(scratch.path "some/catalog.csv"), table_of(12))
  check.equal({ fetch("none", 0, "ok") }, { 0, {}, 0 })
  check.equal(scratch.read(scratch.path "none/catalog.csv"), "specObjID,z\n")
end)

check.case("what another try can't help raises with the server's words, and no table is there", function()
  for fault, sentence in pairs{
    ["database,database"] =
      "no table after the id 299489676975192064: Invalid column name 'zz'%. %(database%)",
    ["400,400"] = "status 400: Incorrect syntax near 'selekt'%. %(json%)",
    moved = "status 302 sends to http://127%.0%.0%.1:9/elsewhere %(moved%)",
    ["html,html,html,html,html,html,html,html"] = "Error An error occured %(html%)",
    ["503,503,503,503"] = "status 503 %(busy%)",
  } do
    local out = "refused " .. fault
    check.raises(function() fetch(out, 25, "ok," .. fault) end, sentence)
    check.equal(scratch.read(scratch.path(out .. "/catalog.csv.part")), table_of(10))
    check.that(not io.open(scratch.path(out .. "/catalog.csv")), out .. " has a table")
    check.equal(fetch(out, 25, "ok," .. fault), 25) -- the same command, later
    check.equal(scratch.read(scratch.path(out .. "/catalog.csv")), table_of(25))
  end
end)

check.case("a server that does not go on is not asked for ever, nor one that sends too much", function()
  local from = " specObjID, z FROM S WHERE specObjID > "
  check.raises(function() fetch("again", 25, "ok", { query = "TOP {count}" .. from .. "0 -- {last}" }) end,
    "a page has the id 299489676975173632 behind 299489676975192064, expected them in rising order")
  check.raises(function() fetch("much", 25, "ok", { query = "TOP 11" .. from .. "{last} -- {count}" }) end,
    "it has 11 rows, expected at most 10 %(other table%)")
end)

check.case("killed five times, a command ends with the same bytes and asks for no page twice", function()
  local code = [[
    local C, kills = require("ffi").C, tonumber(os.getenv "KILL_AT")
    require("gal.fetch.pages").fetch{
      out = "%s", server = "%s/rows=60/killed", path = "/SqlSearch", query = "%s",
      columns = { "specObjID", "z" }, page = 10, manners = { pause = 0 },
      report = function(have)
        if have == kills then C.gal_process_signal(C.gal_process_own(), "KILL") end
      end,
    }]]
  scratch.write(scratch.path "killed.lua", code:format(scratch.path "killed", base, QUERY))
  for k = 1, 6 do
    local exit = scratch.run(("KILL_AT=%d %s killed.lua"):format(k < 6 and 10 * k or 0, scratch.galrun))
    check.equal(exit, k < 6 and 137 or 0)
  end
  check.equal(scratch.read(scratch.path "killed/catalog.csv"), table_of(60))
  check.equal(requests "/rows=60/killed", 7) -- six pages, and the one without rows
end)

check.case("what the folder began with is held, and a finished one asks for nothing", function()
  local before = requests "SqlSearch"
  check.equal(fetch("some", 25, "ok", { n = 12 }), 12)
  check.equal(requests "SqlSearch", before)
  check.raises(function() fetch("some", 25, "ok", { n = 13 }) end,
    "the table in .*some began with other settings: n was 12 and is 13")
end)

check.case("a body that is binary, or stands in a file, comes with its length", function()
  local s = server.open(base, HURRY)
  s:ask{ path = "/bytes?bytes=3000", most = 3000, key = "memory" }
  s:ask{ path = "/bytes?bytes=3000&x", most = 3000, key = "file", file = scratch.path "body" }
  local bodies = {}
  for _ = 1, 2 do
    local a = s:next()
    bodies[a.key] = a.body
    check.equal({ a.kind, a.status, a.tries, a.bytes }, { "whole", 200, 1, 3000 })
  end
  check.equal(bodies.file, "")
  check.equal(scratch.read(scratch.path "body"), bodies.memory)
  check.that(s:next() == nil, "there is one more answer")
  check.equal(s:counts(), { whole = 2 })
  check.raises(function() s:ask{ path = "no slash", most = 1 } end, 'path is "no slash", expected /')
  s:close()
  check.raises(function() server.open "http://example.org" end,
    "fetch.lua:%d+: the server is .*, expected https://")
  check.raises(function() server.open(base, { tires = 2 }) end, "tires")
end)

check.case("each kind of answer is known by its body, whatever its line ends and blanks", function()
  local function kind(body, status)
    local answer = { kind = status and "refused" or "whole", status = status, body = body }
    local rows, what = answers.rows(answer, COLUMNS)
    return rows or what
  end
  check.equal(kind "#Table1\r\nspecobjid,Z\r\n1,2\r\n3,\r\n", { "1,2", "3," })
  check.equal(kind "specObjID,z\n", {})
  check.equal(kind " \n", "empty")
  check.equal(kind "\n <HTML>x", "html")
  check.equal(kind '{"ErrorMessage":"x"}', "json")
  check.equal(kind("<html>x", 404), "html")
  check.equal(kind("nothing here", 403), "refused")
  check.equal(kind "#Table1\nspecObjID,z\n1,2\n3", "cut table")
  check.equal(kind "#Table1\nspecObjID,z\n1\n", "cut table")
  check.equal(kind "#Table1\n", "cut table")
  check.equal(kind "#Table1\nspecObjID,ra\n1,2\n", "other table")
  check.equal(kind "#Table1\nerror_message\nno\n", "database")
  local busy = '{"ErrorMessage":"Maximum 60 queries allowed per minute"}'
  check.equal({ kind(busy), answers.wait(kind(busy), "", "") }, { "rate limit", 60 })
  check.equal(server.form{ { "cmd", "a b&c=d\n%é" }, { "n", 3 } }, "cmd=a%20b%26c%3Dd%0A%25%C3%A9&n=3")
end)

check.case("fetch_sdss makes a survey that opens, and counts each reading of the paper's cuts", function()
  local form = "%s --server %s/rows=300/faults=ok --page 200 --out sdss --no-cutouts --pause 0.005"
  local command = form:format(scratch.experiment "fetch_sdss", base)
  local code, text = scratch.run(command)
  check.equal(code, 0, text)
  -- Of rows 1 to 300: bptclass is 1 + k % 2, petroMag_r 17 + 0.1 (k % 10), extinction_r 0.05, and the other
  -- cuts leave out multiples of 5, 7 and 3.
  check.that(text:find([[
all                                        150            300
petroMag_r < 17.78                         120            240
petroMag_r - extinction_r < 17.78          150            270
and zWarning = 0                           120            210
and reliable = 1                           129            232
and primtarget & 64, main galaxies         100            180
300 galaxies are in sdss/catalog.csv; the paper's sample has 106,800.
galrun experiments/train_photometry.lua --survey sdss --sample paper
]], 1, true), text)
  local survey = require("gal.data").open(scratch.path "sdss", { id = "specObjID" })
  check.equal(survey.theta.shape, { 300, 5 })
  check.equal(survey.ids[300], "299489676975785984")
  code, text = scratch.run(command .. " --share 0.5")
  check.that(code ~= 0 and text:find("--share was 1 and is 0.5", 1, true), text)
  code, text = scratch.run(command:gsub("rows=300", "rows=0"):gsub("sdss ", "nobody "))
  local none = "rows=0/faults=ok has no galaxy for the query in nobody/query.sql; the same command asks again"
  check.that(code == 1 and text:find(none, 1, true), text)
  check.that(not path.kind(scratch.path "nobody/catalog.csv"), "the empty table stays")
  code, text = scratch.run(command:gsub("http:", "ftp:"):gsub("sdss ", "never "))
  check.that(code == 1 and text:find("ftp://127", 1, true) and not path.kind(scratch.path "never"), text)
  code, text = scratch.run(command .. " --size 64")
  check.that(code ~= 0 and text:find("--size does nothing without --cutouts", 1, true), text)
end)

here.stop()
scratch.remove()
check.finish()
