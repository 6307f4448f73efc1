-- The activations by name, from C's list (GAL_ACTIVATIONS in galrun_ops.h): one check for every function that
-- takes a name.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local C = ffi.C

local activations = {}

--- codes[name]: the gal_activation of that name. names: all but identity, in C's order.
activations.codes, activations.names = {}, {}
for code = 0, C.GAL_ACTIVATION_COUNT - 1 do
  local name = ffi.string(C.gal_activation_name(code))
  activations.codes[name] = code
  if code ~= C.GAL_IDENTITY then table.insert(activations.names, name) end
end

local function listed(names)
  return table.concat(names, ", ", 1, #names - 1) .. " or " .. names[#names]
end

--- code(op, name): the gal_activation of that name, identity for nil; raises for any other value.
function activations.code(op, name)
  local code = activations.codes[name or "identity"]
  if code then return code end
  errors.raise("%s: activation is %s, expected identity, %s",
    op, errors.kind(name), listed(activations.names))
end

--- nonlinear(op, name): name, where it is an activation other than identity; else raises.
function activations.nonlinear(op, name)
  if name ~= "identity" and activations.codes[name] then return name end
  errors.raise("%s: activation is %s, expected %s", op, errors.kind(name), listed(activations.names))
end

return activations
