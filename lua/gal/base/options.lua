-- arguments: what optimisers, flows and training check of the tables of options they are given, so that a
-- mistyped name is an error and not a default.
local errors = require "gal.base.errors"
local core = require "gal.tensor"
local near = require "gal.base.spelling"
local kind = errors.kind

local arguments = {}

--- Raises unless every key of `given` is in the list `known`; where names the function. nil counts as {};
-- returns the table.
function arguments.known(where, given, known)
  if given == nil then return {} end
  if type(given) ~= "table" or core.is_tensor(given) then
    errors.raise("%s: the options are %s, expected a table", where, kind(given))
  end
  local set = {}
  for _, name in ipairs(known) do set[name] = true end
  for key in pairs(given) do
    if not set[key] then
      local meant = type(key) == "string" and near.names(key, known)[1]
      errors.raise("%s: unknown option '%s', expected %s", where, tostring(key), meant and ("'" .. meant .. "'?") or "one of " .. table.concat(known, ", "))
    end
  end
  return given
end

--- options[name], or default where it is nil; raises unless it is a number in [low, high] (whole where whole
-- is true).
function arguments.number(where, options, name, default, low, high, whole)
  local v = options[name]
  if v == nil then return default end
  if type(v) == "number" and v >= low and v <= (high or math.huge) and (not whole or v % 1 == 0) then return v end
  local range = whole and "a whole number" or "a number"
  if high then
    range = ("%s from %g to %g"):format(range, low, high)
  elseif low > -math.huge then
    range = ("%s of at least %g"):format(range, low)
  end
  errors.raise("%s: %s is %s, expected %s", where, name, type(v) == "number" and ("%.14g"):format(v) or kind(v), range)
end

return arguments
