-- flow/sections: sections of a flow's file, such as its floor's: tensors whose names begin alike; and a hash
-- of tensors by name, by which flows are known again.
local ffi = require "ffi"
local C = ffi.C
local core = require "gal.tensor"

local sections = {}

--- sections.hash(tensors, hash): a hash, continued from `hash`, of tensors {name = tensor} in the order of
-- their names.
function sections.hash(tensors, hash)
  local names = {}
  for name in pairs(tensors) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local values = core.read(tensors[name])
    hash = C.gal_hash(values, ffi.sizeof(values), hash)
  end
  return hash
end

--- sections.take(tensors, prefix): removes from a file's tensors {name = tensor} those whose names begin with
-- prefix, and returns them, {name without it = tensor}, or nil where there are none.
function sections.take(tensors, prefix)
  local own
  for name, x in pairs(tensors) do
    if name:sub(1, #prefix) == prefix then
      own = own or {}
      own[name:sub(#prefix + 1)] = x
    end
  end
  for name in pairs(own or {}) do tensors[prefix .. name] = nil end
  return own
end

return sections
