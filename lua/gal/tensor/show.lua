-- How a tensor prints: its shape and type, its values where they fit a screen, else their range and mean.
local ffi = require "ffi"
local C = ffi.C

local function figure(value)
  if type(value) == "string" then return value end
  if value == math.floor(value) and math.abs(value) < 1e6 then return string.format("%d", value) end
  return string.format("%.5g", value)
end

-- Rows of a matrix in columns of one width.
local function rows(values)
  local width = 0
  for i = 1, #values do
    for j = 1, #values[i] do
      values[i][j] = figure(values[i][j])
      width = math.max(width, #values[i][j])
    end
  end
  local lines = {}
  for i = 1, #values do
    for j = 1, #values[i] do values[i][j] = string.rep(" ", width - #values[i][j]) .. values[i][j] end
    lines[i] = "  " .. table.concat(values[i], "  ")
  end
  return table.concat(lines, "\n")
end

return function(x)
  if x.scope and x.scope.closed then return "stale tensor" end
  local shape, device = x.shape, ffi.string(C.gal_tensor_device(x.h))
  local head = string.format("tensor {%s} %s%s", table.concat(shape, ", "), x.dtype, device == "cpu" and "" or " on " .. device)
  local count = tonumber(C.gal_tensor_count(x.h))
  if C.gal_recording() ~= 0 or count == 0 then return head end
  if #shape == 0 then return head .. ": " .. figure(x:totable()) end
  if #shape == 1 and count <= 12 then return head .. "\n" .. rows { x:totable() } end
  if #shape == 2 and shape[1] <= 16 and shape[2] <= 10 then return head .. "\n" .. rows(x:totable()) end
  if x.dtype ~= "float32" then return head end
  local flat = x:detach():contiguous()
  return string.format("%s: from %s to %s, mean %s", head, figure(flat:min():item()), figure(flat:max():item()), figure(flat:mean():item()))
end
