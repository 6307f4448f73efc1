-- data/ids: who is who in a survey's table: the column of ids, or the rows' numbers where it has none; which
-- other columns could name the galaxies; and that no id names two of them.
local columns = require "gal.data.columns"
local errors = require "gal.base.errors"
local text = require "gal.base.text"
local raise = errors.raise

local ids = {}

-- The first of these that the table has is the column of the galaxies' ids.
local KNOWN = { "objID", "specObjID", "name" }

--- ids.NUMBERS: the name, in place of a column's, for the rows' numbers as ids.
ids.NUMBERS = "none"

-- What names of columns of ids end or begin with in catalogues: objID_1 (TOPCAT's joins), TARGETID,
-- source_id, CATAID, SPECOBJ_ID, ID, id_cosmos; names and designations.
local function may_name(column)
  local name = column:lower():gsub("_%d+$", "")
  return name:find "id$" or name:find "^id_" or name:find "name$" or name:find "designation"
    or name:find "^name"
end

-- Whether a column of the table has an id for every row, and none twice.
local function is_unique(source, column)
  local ok, list = pcall(source.ids, source, column)
  if not ok then return false end
  local seen = {}
  for _, id in ipairs(list) do
    if type(id) ~= "string" or seen[id] then return false end
    seen[id] = true
  end
  return true
end

--- ids.near(source, but): the columns of the table `source`, without the one named `but`, that look like
-- columns of ids and name each row once, as a list.
function ids.near(source, but)
  local found = {}
  for _, column in ipairs(source.names) do
    if column ~= but and may_name(column) and is_unique(source, column) then found[#found + 1] = column end
  end
  return found
end

-- What a sentence on a table without ids of its own, or with other than in column `but`, ends in.
local function offer(source, but)
  local near = ids.near(source, but)
  if #near == 0 then
    return ("--id names a column that has ids, --id %s takes the rows' numbers"):format(ids.NUMBERS)
  end
  return ("--id %s takes %s, where each is unique"):format(near[1], table.concat(near, " or "))
end

--- ids.of(source, file[, asked[, without]]): the ids of a table's rows, and the column that has them, nil for
-- the rows' numbers. asked: a column, or ids.NUMBERS; nil: the first of objID, specObjID and name, else the
-- rows' numbers. Raises where the column is absent, or its values can't be ids. without(source, file,
-- column): called where the column is absent instead; what it returns is returned.
function ids.of(source, file, asked, without)
  if type(source) ~= "table" or type(source.ids) ~= "function" or type(source.names) ~= "table" then
    raise("ids: source is %s, expected a table (gal.table)", errors.kind(source))
  end
  errors.text("ids", "file", file)
  if type(asked) ~= "nil" then errors.text("ids", "asked", asked) end
  local id = asked and asked ~= ids.NUMBERS and (columns.spelling(source, asked) or asked)
  if not asked then
    for _, name in ipairs(KNOWN) do id = id or columns.spelling(source, name) end
  end
  if id then
    if not source:has(id) then
      if without then return without(source, file, id) end
      raise("%s has no column %s of ids: --id names another, --id %s takes the rows' numbers", file,
        errors.shown(id), ids.NUMBERS)
    end
    local ok, list = pcall(source.ids, source, id)
    if ok and type(list[1]) == "table" then
      raise("%s: the column %s has %d values a row, expected an id; --id names another", file, id, #list[1])
    end
    if ok then return list, id end
    raise("%s; --id names another column of ids", (tostring(list):gsub("^[^\n:]*:%d+: ", "")))
  end
  local numbers = {}
  for k = 1, source.rows do numbers[k] = ("%d"):format(k) end
  return numbers
end

--- ids.told(source): a sentence on a table whose rows' numbers are its ids, though nobody asked for that.
function ids.told(source)
  return ("no column objID, specObjID or name: the galaxies are named by their row numbers, which are others "
    .. "when the table is sorted; %s"):format(offer(source))
end

--- ids.rounded(column, list, rows): a sentence on ids of these rows that have lost digits, or nil: more than
-- 15 digits, and nothing but zeros behind the 15th, as spreadsheets keep whole numbers, in half of them.
function ids.rounded(column, list, rows)
  local long, rounded, first = 0, 0, nil
  for _, k in ipairs(rows) do
    local digits = list[k]:match "^%-?%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d(%d+)$"
    if digits then long = long + 1 end
    if digits and not digits:find "[1-9]" then rounded, first = rounded + 1, first or list[k] end
  end
  if rounded < 3 or 2 * rounded < long then return nil end
  return ("suspicious: %d of %d galaxies have zeros behind the 15th digit of %s (%s), as spreadsheets round "
    .. "numbers: these may not be the catalogue's ids"):format(rounded, #rows, column, first)
end

--- ids.refuse_duplicates(source, file, column, list, rows): raises where an id of the list names two of the
-- rows: one of them could be trained on, and the other asked about.
function ids.refuse_duplicates(source, file, column, list, rows)
  local row, first, again = {}, nil, 0
  for _, k in ipairs(rows) do
    if row[list[k]] then
      first, again = first or k, again + 1
    else
      row[list[k]] = k
    end
  end
  if not first then return end
  local more = again > 1 and (" (%s rows repeat an id)"):format(text.thousands(again)) or ""
  local rounded = ids.rounded(column, list, rows)
  raise("%s: %s %s is in row %d and in row %d%s; expected each galaxy once: %s%s", file, column, list[first],
    row[list[first]], first, more, offer(source, column), rounded and "; " .. rounded or "")
end

return ids
