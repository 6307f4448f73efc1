-- Acceptance: 2,000 galaxies, table and cutouts, fetched by experiments/fetch_sdss.lua from a server on the
-- loopback that fails in a fifth of all requests in every way that it knows (net/server.c), killed by SIGKILL
-- at five random moments and given again: the folder is that of a server that never fails, byte for byte, but
-- for the address and the manifest's dates; nothing that was recorded is asked for again; and the server
-- never sees more than two requests at once, nor requests that come faster than the pause.
--
-- usage: galrun tests/acceptance/fetch.lua [--kills 5] [--seed 1]
local cli = require "gal.cli"
local here = arg[0]:match "^(.*)/" or "."
local report = dofile(here .. "/report.lua")
local net = dofile(here .. "/../lua/lib/net.lua")
local host = require "gal.host"
local path = require "gal.base.path"

local o = cli.options{
  n = 2000, kills = 5, seed = 1, faults = { 20, "of 100 requests that fail" },
  pause = { 0.02, "seconds between two requests" }, record = { true, "append the result to RESULTS.md" },
}
local folder = os.tmpname()
os.remove(folder)
path.make(folder)
local server = net.start(folder, 7200)
local random, kills = net.random(o.seed), {}
for k = 1, o.kills do kills[k] = math.floor(1 + random() * 2 * o.n / (o.kills + 1)) end

-- The words of the command that fetches into the folder `out`.
local function words(base, out)
  local form = "%s/experiments/fetch_sdss.lua --server %s --out %s --pause %g --sample none --page 250"
  local list = {}
  for word in form:format(host.root, base, out, o.pause):gmatch "%S+" do list[#list + 1] = word end
  return list
end

local place = ("%s/rows=%d/outside=100"):format(server.base, o.n)
local faulty = ("%s/random=%d"):format(place, o.faults)
local killed, again = net.disturbed(server, words(faulty, "killed"), folder, "killed", kills)
local requests, of_pictures, most, kinds, whole, twice = net.requests(server), {}, 0, {}, {}, 0
for _, r in ipairs(requests) do
  most = math.max(most, r.asking)
  kinds[r.fault] = true
  if r.ra then
    of_pictures[#of_pictures + 1] = r
    local outside = math.floor(r.ra * 1000 + 0.5) % 100 == 0
    if r.fault == "ok" and not outside then
      twice = twice + (whole[r.ra] and 1 or 0)
      whole[r.ra] = true
    end
  end
end
net.disturbed(server, words(place, "peace"), folder, "peace", {})
local wrong, files = net.compare(folder .. "/killed", folder .. "/peace", faulty, place)
local _, rows = path.read(folder .. "/killed/catalog.csv"):gsub("\n", "")
local pictures = #path.list(folder .. "/killed/cutouts", ".jpg")
local faults = -1
for _ in pairs(kinds) do faults = faults + 1 end
server.stop()
os.execute("rm -r " .. folder)

local r = report.new("fetch", o.record)
for _, list in ipairs{ again, wrong } do
  for _, sentence in ipairs(list) do print(sentence) end
end
r:bar(("of %d kills, those after the end"):format(o.kills), o.kills - killed, 0)
r:bar("rows of the table that are missing", o.n - (rows - 1), 0)
r:bar("cutouts that are missing", o.n - math.floor(o.n / 100) - pictures, 0)
r:bar(("of %d files, those that differ from an undisturbed folder's"):format(files), #wrong, 0)
r:bar("recorded cutouts that were asked for again", #again, 0)
r:bar("whole answers that came twice, two a kill", twice, 2 * o.kills)
r:bar("requests at once", most, 2)
r:bar("pauses that requests came too early, 3 being the machine's", net.earliest(of_pictures, o.pause), 3)
r:least("kinds of faults", faults, 18)
r:figure(("%d requests, %d of pictures"):format(#requests, #of_pictures))
r:finish()
