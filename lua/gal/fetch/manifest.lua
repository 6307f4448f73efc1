-- fetch/manifest: what became of each cutout that was asked for, a line each, with the checksum of its file.
-- While cutouts come it grows as manifest.csv.part, in the order in which they come; when all have come it is
-- written anew as manifest.csv, in the order of the galaxies. A line holds as long as the file has the bytes
-- that it records.
local C = require("ffi").C
local bit = require "bit"
local path = require "gal.base.path"
local text = require "gal.base.text"

local M = {}

local WHOLE, PART, HEAD = "manifest.csv", "manifest.csv.part", "id,ra,dec,bytes,crc32,became,date\n"

--- manifest.crc(bytes) --> their CRC-32 as eight hexadecimal digits.
function M.crc(bytes) return bit.tohex(tonumber(C.gal_crc32(bytes, #bytes))) end

--- manifest.line{id =, ra =, dec =, bytes =, crc =, became =, date =} --> its line. became: "whole", or why
-- there is no cutout; bytes and crc are absent then.
function M.line(e)
  local became = e.became:gsub('["\n\r]', "'")
  local form = '%s,%s,%s,%s,%s,"%s",%s\n'
  return form:format(text.field(e.id), e.ra, e.dec, e.bytes or "", e.crc or "", became, e.date)
end

local function entry_of(line)
  local form = '^(.*),([^,]*),([^,]*),(%d*),(%x*),"([^"]*)",([^,]*)$'
  local id, ra, dec, bytes, crc, became, date = line:match(form)
  if not id then return nil end
  return {
    id = text.unquoted(id), ra = ra, dec = dec, bytes = tonumber(bytes), crc = crc ~= "" and crc or nil,
    became = became, date = date,
  }
end

--- manifest.read(work) --> what is recorded in the folder `work` (gal.base.run), {id = entry}: the last line
-- of each id counts. Second, the growing file, open behind its last whole line.
function M.read(work)
  local known = {}
  for _, line in ipairs((work:lines(WHOLE, HEAD))) do
    local e = entry_of(line)
    if e then known[e.id] = e end
  end
  local lines, bytes = work:lines(PART, HEAD)
  for _, line in ipairs(lines) do
    local e = entry_of(line)
    if e then known[e.id] = e end
  end
  return known, work:grow(PART, HEAD, bytes)
end

--- manifest.holds(entry, file): whether the file's bytes are those that were recorded.
function M.holds(entry, file)
  local bytes = path.read(file)
  return bytes ~= nil and #bytes == entry.bytes and M.crc(bytes) == entry.crc
end

--- manifest.near(entry, ra, dec): whether the cutout was asked for within an arcsec of that place, in
-- degrees.
function M.near(entry, ra, dec)
  local east = math.abs((tonumber(entry.ra) or 0 / 0) - ra)
  local north = math.abs((tonumber(entry.dec) or 0 / 0) - dec)
  east = math.min(east, 360 - east) * math.cos(math.rad(dec))
  return 3600 * math.sqrt(east ^ 2 + north ^ 2) < 1
end

--- manifest.finish(work, known, ids): writes what is recorded in the order of ids; others follow by their
-- ids.
function M.finish(work, known, ids)
  local lines, placed, others = { HEAD }, {}, {}
  local function add(id)
    if known[id] and not placed[id] then lines[#lines + 1] = M.line(known[id]) end
    placed[id] = true
  end
  for _, id in ipairs(ids) do add(id) end
  for id in pairs(known) do others[#others + 1] = not placed[id] and id or nil end
  table.sort(others)
  for _, id in ipairs(others) do add(id) end
  work:write(WHOLE, table.concat(lines))
  work:remove(PART)
end

return M
