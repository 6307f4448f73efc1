-- data/split: the part of a survey that a galaxy is in, train, valid or test, by its id: the same for every
-- model and table. And whether equal ids in two tables mean the same galaxy.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local folder = require "gal.base.path"
local open_table = require("gal.table").open

local split = {}

--- data.part(id): "train", "valid" or "test" from an id, 80/10/10 by its hash: the same galaxy is in the same
-- part for every model, whatever else the table holds.
function split.part(id)
  if type(id) ~= "string" then errors.raise("part: id is %s, expected a string", errors.kind(id)) end
  local tenth = tonumber(ffi.C.gal_hash(id, #id, 0) % 10ULL)
  return tenth < 8 and "train" or tenth == 8 and "valid" or "test"
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
