-- Hints behind Lua's own errors about tensors, for the sentence that galrun prints.
local hints = {}

local METHODS = { [">"] = "gt", [">="] = "ge", ["<"] = "lt", ["<="] = "le" }
local LEVEL = 5 -- of the function that raised, above pcall and the calls that lead here

-- A tensor among what the function that raised works on, and its name there; nil where there is none.
local function tensor_at_work()
  local is_tensor = package.loaded["gal.tensor"].is_tensor
  for i = 1, 250 do
    local known, name, value = pcall(debug.getlocal, LEVEL, i)
    if not known or not name then return nil end
    if is_tensor(value) then return value, name:match "^[%a_][%w_]*$" end
  end
end

-- The global that holds the value.
local function global_of(value)
  for name, v in next, _G do
    if rawequal(v, value) and name ~= "_" then return name end
  end
end

-- The source line of the message's place; nil where there is no such file.
local function source_line(message)
  local path, number = message:match "^(.-):(%d+): "
  local file = path and io.open(path)
  if not file then return nil end
  local at = 0
  for line in file:lines() do
    at = at + 1
    if at == tonumber(number) then
      file:close()
      return line
    end
  end
  file:close()
end

--- hints.hinted(message[, text]) --> the message, with a hint on how tensors are compared where it is about
-- that. text: the chunk of the prompt that raised it.
function hints.hinted(message, text)
  local first = message:match "attempt to compare (%a+)"
  local value, name = tensor_at_work()
  if not first or value == nil then return message end
  local line = source_line(message) or text or ""
  local left, sign, right = line:match "([%a_][%w_.]*)%s*([<>]=?)%s*([%w_.%-]+)"
  if not left then -- a number and a table: that is how Lua has turned x > 9
    left, right = name or global_of(value) or "x", "…"
    sign = first == "number" and ">" or "<"
  end
  return ("%s; tensors compare by methods: %s:%s(%s)"):format(message, left, METHODS[sign], right)
end

return hints
