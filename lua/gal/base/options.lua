-- Tables of options, as the library's functions take them last: {lr = 1e-3, device = "cuda"}. A mistyped name
-- is an error instead of a default, and every value is checked with the sentences of base/errors.lua.
local errors = require "gal.base.errors"
local spelling = require "gal.base.spelling"

local options = {}

-- "'lr'?" where one of the names is near to key, else all of them.
local function expected(key, names)
  local meant = type(key) == "string" and spelling.names(key, names)[1]
  if meant then return ("'%s'?"):format(meant) end
  return #names == 1 and ("'%s'"):format(names[1]) or "one of " .. table.concat(names, ", ")
end

local function has(names, key)
  for i = 1, #names do
    if names[i] == key then return true end
  end
  return false
end

--- options.known(op, given, names): given, a table whose keys are all in the list `names`, with its device by
-- the device's own name where it has one; {} where given is nil. Else raises; op is the function that the
-- sentence begins with.
function options.known(op, given, names)
  if type(given) == "nil" then return {} end -- given == nil would hold for a null pointer, too
  if type(given) ~= "table" or type(given.shape_text) == "function" then
    errors.raise("%s: options is %s, expected a table", op, errors.kind(given))
  end
  for key in pairs(given) do
    if not has(names, key) then
      errors.raise("%s: unknown option '%s', expected %s", op, tostring(key), expected(key, names))
    end
  end
  local device = errors.device(op, given.device)
  if device == given.device then return given end
  local own = {} -- the caller's table stays as it is
  for key, value in pairs(given) do own[key] = value end
  own.device = device
  return own
end

--- options.number(op, given, name, default[, low[, high]]): given[name], a number from low to high; default
-- where it is nil.
function options.number(op, given, name, default, low, high)
  if given[name] == nil then return default end
  return errors.number(op, name, given[name], low, high)
end

--- options.integer(op, given, name, default[, low[, high]]): given[name], an integer from low to high;
-- default where it is nil.
function options.integer(op, given, name, default, low, high)
  if given[name] == nil then return default end
  return errors.integer(op, name, given[name], low, high)
end

--- options.not_in_braces(op, name, value, call): raises where value, the argument `name`, is a plain table:
-- the arguments were given in braces, as some of op's neighbours take them. call shows how op is called.
function options.not_in_braces(op, name, value, call)
  if type(value) ~= "table" or value.h then return end
  errors.raise("%s: %s is a table, expected a whole number; arguments stand in brackets: %s", op, name, call)
end

return options
