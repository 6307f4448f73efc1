-- data/lookup: the Lua object of a table in C, what a script sees of it, and its columns by their names.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local collect = require "gal.base.collect"
local near = require "gal.base.spelling"
local C = ffi.C
local raise, kind = errors.raise, errors.kind

local lookup = {}

--- lookup.Table: the metatable of tables; gal.table puts methods and __index into it.
lookup.Table = { methods = {}, completes = { column = "names", ids = "names", strings = "names" } }

local out = ffi.new "gal_table *[1]"

-- What a user sees of the C table t.h: t.names, t.rows.
local function refresh(t)
  t.rows, t.names = tonumber(C.gal_table_rows(t.h)), {}
  for i = 0, C.gal_table_columns(t.h) - 1 do t.names[i + 1] = ffi.string(C.gal_table_name(t.h, i)) end
  return t
end
lookup.refresh = refresh

--- lookup.handle(make, ...): the C table that make(out, ...) makes.
function lookup.handle(make, ...) return collect.handle(C.gal_table_free, out, make, ...) end

--- lookup.wrap(h): the table that owns the C table h.
function lookup.wrap(h) return refresh(setmetatable({ h = h }, lookup.Table)) end

--- lookup.find(t, name): the column of that name, from 0, or nil and how many names match. The exact spelling
-- wins; else case is ignored.
function lookup.find(t, name)
  local exact, loose, exacts, looses = nil, nil, 0, 0
  for i, candidate in ipairs(t.names) do
    if candidate == name then exact, exacts = i - 1, exacts + 1 end
    if candidate:lower() == name:lower() then loose, looses = i - 1, looses + 1 end
  end
  if exacts > 0 then return exacts == 1 and exact or nil, exacts end
  return looses == 1 and loose or nil, looses
end

--- lookup.live(t, op, call): t, if it is a table; else raises. t.rows and t.names, which a script may have
-- overwritten, are C's again.
function lookup.live(t, op, call)
  if getmetatable(t) ~= lookup.Table or not ffi.istype("gal_table *", t.h) then
    raise("%s: called with %s, expected a table: t:%s", op, kind(t), call)
  end
  return refresh(t)
end

--- lookup.column(t, op, name[, noun = "name"]): the column of the table t of that name, from 0; raises where
-- it has none, or several.
function lookup.column(t, op, name, noun)
  lookup.live(t, op, op .. "(name)")
  if type(name) ~= "string" then
    raise("%s: %s is %s, expected the name of a column", op, noun or "name", kind(name))
  end
  local i, matches = lookup.find(t, name)
  if i then return i end
  local where = t.path or "the table"
  if matches > 1 then raise("%s: %s has %d columns named %q", op, where, matches, name) end
  local hint = near.suggest(name, t.names)
  if hint == "" then
    local listed = {}
    for k = 1, math.min(20, #t.names) do listed[k] = t.names[k] end
    local more = #t.names > 20 and (", … (%d in all)"):format(#t.names) or ""
    hint = #t.names == 0 and "" or (": it has %s%s"):format(table.concat(listed, ", "), more)
  end
  raise("%s: %s has no column %q%s", op, where, name, hint)
end

return lookup
