-- flow/sections: what a flow's file holds of one thing, such as its floor: tensors whose names begin alike.
local sections = {}

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
