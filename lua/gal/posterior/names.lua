-- posterior/names: which property is meant by a name that a user typed.
local errors = require "gal.base.errors"
local labels = require "gal.plot.labels"
local spelling = require "gal.base.spelling"
local raise = errors.raise

local names = {}

-- The one entry of the list for which test holds: its place; nil where there is none or several.
local function only(theta, test)
  local place
  for i, name in ipairs(theta) do
    if test(name) then
      if place then return nil end
      place = i
    end
  end
  return place
end

--- names.place(where, theta, name): the place of a property in the list theta: by its name, whose case does
-- not matter; else by another name of the same quantity (log_mass for lgm_tot_p50); else by the beginning of
-- one name alone (oh for oh_p50). Raises where none or several are meant.
function names.place(where, theta, name)
  local asked = errors.text(where, "the property", name, "the name of a property"):lower()
  local label = labels.label_of(asked)
  local place = only(theta, function(own) return own:lower() == asked end)
    or label ~= asked and only(theta, function(own) return labels.label_of(own) == label end)
    or only(theta, function(own) return own:lower():sub(1, #asked) == asked end)
  if place then return place end
  raise("%s: there is no property '%s'%s, expected one of %s", where, name, spelling.suggest(name, theta),
    table.concat(theta, ", "))
end

--- names.by_place(where, theta, given): a table by name as one by place, {[i] = value}: names as names.place
-- takes them. Raises where one is given twice.
function names.by_place(where, theta, given)
  local found, said = {}, {}
  for name, value in pairs(given) do
    local i = names.place(where, theta, name)
    if found[i] ~= nil then raise("%s: %s is given as %s and as %s", where, theta[i], said[i], name) end
    found[i], said[i] = value, name
  end
  return found
end

--- names.point(where, theta, given): values of all properties by name as a list {d}: numbers.
function names.point(where, theta, given)
  local found, lacking = names.by_place(where, theta, given), {}
  for i, name in ipairs(theta) do
    if found[i] == nil then
      lacking[#lacking + 1] = name
    else
      errors.number(where, name, found[i])
    end
  end
  if #lacking > 0 then raise("%s: no %s, expected all properties", where, table.concat(lacking, ", ")) end
  return found
end

return names
