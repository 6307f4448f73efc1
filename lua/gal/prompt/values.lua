-- How values look at the prompt. Nothing here prints.
local host = require "gal.base.host"
local number = require("gal.base.text").number

local values = {}

local WIDTH = 100  -- columns that a shown value may take on one line, on a terminal at most its own
local ENTRIES = 20 -- entries of a table that are shown before "... N more"
local DEPTH = 3    -- tables within tables

--- values.width() --> the columns that a line at the prompt may take.
function values.width() return math.min(WIDTH, host.columns() or WIDTH) end

local format

local KEYWORDS = {}
local WORDS = "and break do else elseif end false for function goto if in local nil not or repeat return "
  .. "then true until while"
for word in WORDS:gmatch("%a+") do KEYWORDS[word] = true end

local function key_text(key)
  if type(key) == "string" and key:match("^[%a_][%w_]*$") and not KEYWORDS[key] then return key end
  return "[" .. format(key, type(key) == "number" and 0 or 1) .. "]"
end

-- Numbers before strings before the rest, each in its own order, so that a table looks the same every time.
local function key_before(a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb then return ta == "number" or (ta == "string" and tb ~= "number") end
  if ta == "number" or ta == "string" then return a < b end
  return tostring(a) < tostring(b)
end

local function table_text(t, depth, open)
  if open[t] then return "{... itself}" end
  if next(t) == nil then return "{}" end
  if depth >= DEPTH then return "{...}" end
  open[t] = true
  local parts, keys, count, first = {}, {}, 0, #t
  for key in pairs(t) do
    count = count + 1
    local listed = type(key) == "number" and key >= 1 and key <= first and key % 1 == 0
    if not listed then keys[#keys + 1] = key end
  end
  for i = 1, math.min(first, ENTRIES) do parts[i] = format(t[i], depth + 1, open) end
  table.sort(keys, key_before)
  for _, key in ipairs(keys) do
    if #parts >= ENTRIES then break end
    parts[#parts + 1] = key_text(key) .. " = " .. format(t[key], depth + 1, open)
  end
  if count > #parts then parts[#parts + 1] = ("... %d more"):format(count - #parts) end
  open[t] = nil
  local line = "{" .. table.concat(parts, ", ") .. "}"
  if #line + 2 * depth <= values.width() and not line:find("\n", 1, true) then return line end
  local indent = ("  "):rep(depth + 1)
  return "{\n" .. indent .. table.concat(parts, ",\n" .. indent) .. "\n" .. ("  "):rep(depth) .. "}"
end

-- The library's own view of tensors, once it is loaded: before that a value can't be one.
local function tensors() return package.loaded["gal.tensor"] end

--- values.is_tensor(v): whether v is a tensor.
function values.is_tensor(v) return tensors() ~= nil and tensors().is_tensor(v) end

local function function_text(f)
  local info = debug.getinfo(f, "S")
  if info.what == "C" then return tostring(f) end
  return ("function, %s:%d"):format(info.short_src, info.linedefined)
end

local ESCAPES = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ['"'] = '\\"', ["\\"] = "\\\\" }

local function quoted(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return ESCAPES[c] or ("\\%d"):format(c:byte()) end) .. '"'
end

function format(v, depth, open)
  depth, open = depth or 0, open or {}
  local kind = type(v)
  if kind == "string" then return quoted(v) end
  if kind == "number" and depth > 0 then return number(v) end
  if kind == "function" then return depth == 0 and function_text(v) or "function" end
  if kind ~= "table" then return tostring(v) end
  if values.is_tensor(v) then return depth == 0 and tostring(v) or tensors().show_line(v) end
  local meta = getmetatable(v)
  if type(meta) == "table" and type(meta.__tostring) == "function" then return tostring(v) end
  return table_text(v, depth, open)
end

--- values.format(v) --> any value as a user wants to see it: strings quoted, tables to a limited depth and
-- width, numbers in them with four digits, tensors summarised. A number alone has all its digits.
function values.format(v) return format(v) end

--- values.line(v) --> v in one line, as it looks inside a table.
function values.line(v)
  local text = format(v, 1):gsub("\n.*", " ...")
  return text
end

-- ---- text ----

-- A text that is shown as it is.
local Text = { __tostring = function(self) return self.text end }

--- values.text(s[, fixed = false]) --> a value that the prompt shows as the text s, and tostring gives.
-- fixed: its lines stay as they are; else they are filled to the terminal's width.
function values.text(s, fixed) return setmetatable({ text = s, fixed = fixed }, Text) end

--- values.is_text(v): whether values.text made it.
function values.is_text(v) return getmetatable(v) == Text end

return values
