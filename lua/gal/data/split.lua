-- data/split: the part of a survey that a galaxy is in, train, valid or test, by its id: the same for every
-- model and table; which rows of a table are one galaxy, by their positions, and share a part; and whether
-- equal ids in two tables mean the same galaxy.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local folder = require "gal.base.path"
local joins = require "gal.data.joins"
local open_table = require("gal.table").open
local thousands = require("gal.base.text").thousands

local split = {}

--- data.part(id): "train", "valid" or "test" from an id, 80/10/10 by its hash: the same galaxy is in the same
-- part for every model, whatever else the table holds.
function split.part(id)
  if type(id) ~= "string" then errors.raise("part: id is %s, expected a string", errors.kind(id)) end
  local tenth = tonumber(ffi.C.gal_hash(id, #id, 0) % 10ULL)
  return tenth < 8 and "train" or tenth == 8 and "valid" or "test"
end

--- split.CLOSE: arcsec: rows so near to one another are taken for one galaxy: SDSS's fibres are 3 arcsec
-- wide, and targets that were deblended or observed twice lie nearer than that.
split.CLOSE = 3

-- A group of more than this share of a table's rows has no positions, but a place where positions are
-- missing.
local SHARE = 0.1

-- Whether the id a is before b: whole numbers by their size, before all others.
local function before(a, b)
  local x, y = a:find "^%d+$", b:find "^%d+$"
  if x and y and #a ~= #b then return #a < #b end
  if x ~= y then return x ~= nil end
  return a < b
end

--- split.close(source, ids): of a table's rows, whose ids these are, {row = the id that says which part the
-- row is in} for those that lie within split.CLOSE of another with a smaller id, from one to the next; nil
-- where there are none. Second: a sentence on positions that are none, or nil.
function split.close(source, ids)
  local fine, group = pcall(joins.groups, source, split.CLOSE)
  if not fine then
    if group == errors.interrupted then error(group, 0) end
    return nil, ("positions can't be read as degrees, and a galaxy that is in the table twice may be in two "
      .. "parts: %s"):format((tostring(group):gsub("^[^\n:]*:%d+: ", "")))
  end
  if not group then return nil end
  local smallest, count, most, found = {}, {}, 0, {}
  for k = 1, #ids do
    local first = tonumber(group[k - 1]) + 1
    if first ~= k then
      smallest[first] = smallest[first] or ids[first]
      if before(ids[k], smallest[first]) then smallest[first] = ids[k] end
      count[first] = (count[first] or 1) + 1
      most = math.max(most, count[first])
    end
  end
  if most == 0 then return nil end
  if most > 2 and most > SHARE * #ids then
    return nil, ("%s of %s rows are at one place: their positions are none, and a galaxy that is in the "
      .. "table twice may be in two parts"):format(thousands(most), thousands(#ids))
  end
  for k = 1, #ids do found[k] = smallest[tonumber(group[k - 1]) + 1] end
  return found
end

--- data.read_split(path): the part of each galaxy that a run's split.csv lists: {id = "train" | "valid" |
-- "test"}; second, the ids of each part in the order of the list: {train = {ids}, …}.
function split.read(path)
  errors.text("read_split", "path", path, "the path of a split.csv")
  local table_ = open_table(path)
  local ids, parts, found = table_:ids "id", table_:strings "part", {}
  local lists = { train = {}, valid = {}, test = {} }
  for k = 1, #ids do
    found[ids[k]] = parts[k]
    table.insert(lists[parts[k]] or {}, ids[k])
  end
  return found, lists
end

-- The seed of the mock survey that a catalogue is, by its FITS header; nil for any other.
local function mock_seed(path)
  local head = folder.read(path, 2 ^ 16) or ""
  return head:match "^SIMPLE .*MOCKSEED= *(%d+)"
end

--- data.same_ids(a, b): whether equal ids in two catalogues (paths of files) mean the same galaxy. Yes, but
-- for mock surveys of different seeds: each of them numbers its own galaxies from 1.
function split.same_ids(a, b)
  errors.text("same_ids", "a", a, "the path of a catalogue")
  errors.text("same_ids", "b", b, "the path of a catalogue")
  local first, second = mock_seed(a), mock_seed(b)
  return first == second or not first or not second
end

return split
