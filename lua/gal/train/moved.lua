-- train/moved: says what has changed about the rows of a resumed run: galaxies that are new or gone, another
-- order, other values. The settings show only that hashes differ; split.csv has the ids.
local errors = require "gal.base.errors"
local identity = require "gal.data.ids"
local path = require "gal.base.path"
local read_split = require("gal.data.split").read

local moved = {}

-- Settings that hold numbers and hashes of rows, each with the part of split.csv that it is about.
local PARTS = { rows = "train", data = "train", values = "train", valid_rows = "valid", valid_data = "valid" }
local CALLED = { train = "training", valid = "validation" }

-- "2 are new (a, b)" of a list of ids, or nil where it is empty.
local function counted(list, what)
  if #list == 0 then return nil end
  local named = table.concat(list, ", ", 1, math.min(3, #list)) .. (#list > 3 and ", ..." or "")
  return ("%d %s %s (%s)"):format(#list, #list == 1 and "is" or "are", what, named)
end

-- The ids of the list a that are not in the list b.
local function beyond(a, b)
  local there, list = {}, {}
  for _, id in ipairs(b) do there[id] = true end
  for _, id in ipairs(a) do
    if not there[id] then list[#list + 1] = id end
  end
  return list
end

-- How the galaxies `is` differ from `was`, lists of ids, in words; nil where they are the same, in order.
local function difference(was, is)
  local gone, new = counted(beyond(was, is), "gone"), counted(beyond(is, was), "new")
  if gone or new then return table.concat({ gone or new, gone and new }, ", ") end
  if table.concat(was, "\0") ~= table.concat(is, "\0") then return "they stand in another order" end
end

-- The sentence on one part of the rows; was, is: ids, or nil where rows have none.
local function sentence(part, was, is, old, new)
  local called = ("the %s %s"):format(CALLED[part], was and is and "galaxies" or "rows")
  local found = was and is and difference(was, is)
  if found then return ("%s are others: %s"):format(called, found) end
  local count = part == "train" and "rows" or "valid_rows"
  local before, now = old[count], new[count]
  if before ~= now then return ("%s were %d and are %d"):format(called, before, now) end
  if part == "train" and old.values and old.values == new.values then
    return called .. " have other images"
  end
  local notes = old.notes
  local numbered = notes and notes.id == identity.NUMBERS and part == "train"
    and " (named by row numbers, they are others now if the table was sorted)" or ""
  return called .. " have other values" .. (old.values and " or images" or "") .. numbered
end

--- moved.words(folder, parts, old, new): a function for run:compare: what it says of a setting `name` that
-- depends on the rows, or has another name as an option; nil of others. folder: the run's; parts: the ids of
-- each part now, a list of {name, ids}, or nil; old, new: the settings.
function moved.words(folder, parts, old, new)
  local split, now = folder:path "split.csv", {}
  local lists = path.kind(split) == "file" and select(2, read_split(split)) or {}
  for _, entry in ipairs(parts or {}) do now[entry[1]] = entry[2] end
  return function(name)
    local part = PARTS[name]
    if name == "average" and old.average and new.average then
      return ("%s was %g and is %g"):format(errors.option "decay", old.average, new.average)
    end
    if not part then return name:find "^architecture%." and "the network is another" or nil end
    local was = lists[part] and #lists[part] > 0 and lists[part] or nil
    return sentence(part, was, now[part], old, new)
  end
end

return moved
