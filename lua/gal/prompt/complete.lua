-- What Tab adds at the end of a line. It looks at values by raw access only: no function of a value runs, and
-- nothing is drawn or computed.
--
-- Behind a dot come the string keys of a table, behind a colon the functions of its metatable's `methods`, or
-- of its __index where that is a table. A metatable may say more, in its field `completes`, a table:
--   completes["."] = the name of the value's field that holds a list of names that __index makes; or a list
--   of names, which are offered in place of the table's keys;
--   completes[METHOD] = the name of the value's field that holds a list of strings, or a table that has them
--   as keys: they are offered inside the quotes of value:METHOD("…").
local path_of = require "gal.base.path"
local values = require "gal.prompt.values"

local complete = {}

local LINES = 16 -- of a list of what there is to choose from

local KEYWORDS = {}
local WORDS = "and break do else elseif end false for function goto if in local nil not or repeat return "
  .. "then true until while"
for word in WORDS:gmatch("%a+") do KEYWORDS[#KEYWORDS + 1] = word end

-- ---- values, by raw access ----

local function raw_table(t, key)
  local v = type(t) == "table" and rawget(t, key)
  return type(v) == "table" and v or nil
end

-- The tables that a value's methods are in.
local function method_tables(value)
  local list = {}
  for _ = 1, 8 do
    local meta = debug.getmetatable(value)
    list[#list + 1] = raw_table(meta, "methods")
    value = raw_table(meta, "__index")
    if not value then break end
    list[#list + 1] = value
  end
  return list
end

local function field(value, key)
  local found = type(value) == "table" and rawget(value, key)
  for _, methods in ipairs(found and {} or method_tables(value)) do found = found or rawget(methods, key) end
  return found or nil
end

-- The strings that the metatable of value has under completes[key].
local function promised(value, key)
  local named = raw_table(raw_table(debug.getmetatable(value), "completes"), key)
  local name = not named and raw_table(debug.getmetatable(value), "completes")
  name = name and rawget(name, key)
  return named or type(name) == "string" and raw_table(value, name) or {}
end

-- ---- the value before the cursor ----

-- The value of a path such as run.flow, list[2] or t["log M"]; nil where it has none.
local function value_of(path)
  local name, rest = path:match "^([%a_][%w_]*)(.*)$"
  local value = name and rawget(_G, name)
  while value ~= nil and rest ~= "" do
    local key, after = rest:match "^[.:]([%a_][%w_]*)(.*)$"
    if not key then
      key, after = rest:match "^%[(%d+)%](.*)$"
      key = tonumber(key)
    end
    if not key then key, after = rest:match "^%[[\"']([^\"']*)[\"']%](.*)$" end
    if not key then return nil end
    value, rest = field(value, key), after
  end
  return value
end

-- The path at the end of a text, the text between its last dot or colon and the cursor, and that sign.
local function path_at_end(text)
  local module, sign, part = text:match "require%s*%(?%s*[\"']([%w_.]+)[\"']%s*%)?([.:])([%w_]*)$"
  if module then return nil, sign, part, rawget(package.loaded, module) end
  local tail = text:match("[%w_.:%[%]\"']*$")
  tail = (tail:match "^.*%[([^%]]*)$" or tail):match "[%a_].*$" or ""
  local path
  path, sign, part = tail:match "^(.+)([.:])([%w_]*)$"
  if not part and text:find "[.:][%w_]*$" then return nil end -- a field of what is no path
  return path, sign, part or tail:match "^[%w_]*$", path and value_of(path)
end

-- ---- what there is to choose from ----

local function is_name(key) return type(key) == "string" and key:find "^[%a_][%w_]*$" ~= nil end

-- Adds the names of list, or the keys of a table, that begin with part.
local function add(found, list, part)
  for key, v in pairs(list) do
    local name = type(key) == "number" and v or key
    local fits = is_name(name) and name:sub(1, #part) == part and (name:sub(1, 1) ~= "_" or part:find "^_")
    if fits then found[name] = true end
  end
end

local function sorted(found)
  local list = {}
  for name in next, found do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- Names of the session, keywords too.
local function names_of_session(part)
  local found = {}
  add(found, KEYWORDS, part)
  for key in next, _G do
    if is_name(key) and key:sub(1, #part) == part and key ~= "_" then found[key] = true end
  end
  return sorted(found)
end

-- The fields or, behind a colon, the methods of a value; and whether methods stand behind a dot, which should
-- be a colon.
local function names_of_value(value, sign, part)
  local fields, methods = {}, {}
  local instead = raw_table(raw_table(debug.getmetatable(value), "completes"), ".")
  if type(value) == "table" and not instead then
    for key, v in next, value do
      local fits = is_name(key) and key:sub(1, #part) == part and (sign == "." or type(v) == "function")
      if fits and (key:sub(1, 1) ~= "_" or part:find "^_") then fields[key] = true end
    end
  end
  if sign == "." then add(fields, promised(value, "."), part) end
  for _, list in ipairs(method_tables(value)) do
    for key, v in next, list do
      local fits = is_name(key) and key:sub(1, #part) == part and type(v) == "function"
      if fits and not key:find "^_" then methods[key] = true end
    end
  end
  local found = sorted(fields)
  if sign == "." and #found == 0 then return sorted(methods), true end
  if sign == ":" then
    for name in next, methods do fields[name] = true end
    found = sorted(fields)
  end
  return found
end

-- The library's modules: gal.plot, and those of rooms once a name has gone into one.
local function modules(part)
  local home, found = package.searchpath("gal", package.path):match "^(.*)init%.lua$", {}
  local room = part:match "^gal%.(.*)%.[^.]*$" or part:match "^gal%." and ""
  if not room then return { "gal" } end
  for _, file in ipairs(path_of.list(home .. room:gsub("%.", "/"), ".lua")) do
    local name = "gal." .. (room ~= "" and room .. "." or "") .. file:match "([^/]*)%.lua$"
    if name:sub(1, #part) == part and not name:find "%.init$" then found[name] = true end
  end
  return sorted(found)
end

-- The files and folders whose path begins with part.
local function files(part)
  local folder, name = part:match "^(.*/)([^/]*)$"
  folder, name = folder or "", name or part
  local found = {}
  for _, entry in ipairs(path_of.entries(folder == "" and "." or folder)) do
    local hidden = entry:sub(1, 1) == "." and name:sub(1, 1) ~= "."
    if entry:sub(1, #name) == name and not hidden then found[#found + 1] = folder .. entry end
  end
  local known, kind = pcall(path_of.kind, found[1] or "") -- of a link only this says that it is a folder
  local link = #found == 1 and known and kind == "folder" and found[1]:sub(-1) ~= "/"
  if link then found[1] = found[1] .. "/" end
  return found
end

-- The quote that is open at the end of a text, the text before it, and the text after it; nil where none is
-- open, false where the text ends in a comment.
local function open_quote(text)
  local at, from = nil, 1
  while true do
    local found = text:find("[\"'%-]", from)
    if not found then return nil end
    local sign = text:sub(found, found)
    if text:sub(found, found + 1) == "--" then return false end
    from = found + 1
    if sign ~= "-" then
      at = found
      repeat
        local stop = text:find("[\\" .. sign .. "]", from)
        if not stop then return sign, text:sub(1, at - 1), text:sub(at + 1) end
        from = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      until text:sub(stop, stop) == sign
    end
  end
end

-- What may stand in quotes at this place.
local function quoted(head, part)
  if head:find "require%s*%(?%s*$" then return modules(part) end
  local path, method = head:match "([%a_][%w_.%[%]]*):([%a_][%w_]*)%s*[%({]*%s*$"
  local list = path and promised(value_of(path), method) or {}
  if next(list) == nil then return files(part) end
  local found = {}
  for key, v in next, list do
    local s = type(key) == "string" and key or v
    if type(s) == "string" and s:sub(1, #part) == part then found[#found + 1] = s end
  end
  table.sort(found)
  return found
end

-- ---- the answer ----

-- The longest beginning that all have; it ends at the end of a character.
local function common(list)
  local first = list[1]
  local n = #first
  for i = 2, #list do
    while list[i]:sub(1, n) ~= first:sub(1, n) do n = n - 1 end
  end
  while n < #first and first:sub(n + 1, n + 1):find "[\128-\191]" do n = n - 1 end
  return first:sub(1, n)
end

-- A list in columns, of at most LINES lines. Of long paths only the parts that differ are shown.
local function in_columns(list)
  local width, shown, lines = 0, {}, {}
  local cut = #(common(list):match "^.*/" or "")
  for i = 1, #list do shown[i] = list[i]:sub(cut + 1) end
  for i = 1, math.min(#shown, 200) do width = math.max(width, #shown[i] + 2) end
  local columns = math.max(1, math.floor((values.width() + 2) / width))
  local rows = math.ceil(#shown / columns)
  local left = #shown - LINES * columns
  for row = 1, math.min(rows, LINES) do
    local parts = {}
    for column = 1, columns do
      local at = left > 0 and (row - 1) * columns + column or row + (column - 1) * rows
      local entry = shown[at] or ""
      parts[column] = entry .. (" "):rep(width - #entry)
    end
    lines[row] = (table.concat(parts):gsub("%s+$", ""))
  end
  if left > 0 then lines[#lines + 1] = ("... %d more"):format(left) end
  return table.concat(lines, "\n")
end

-- gone, more and choice for these candidates. ending: what follows a single one.
local function answer(list, part, ending, colon)
  if #list == 0 then return 0 end
  local more = common(list):sub(#part + 1)
  if #list == 1 then more = more .. (list[1]:sub(-1) == "/" and "" or ending) end
  if more == "" and #list > 1 then return 0, "", in_columns(list) end
  if colon then return #part + 1, ":" .. part .. more end
  return 0, more
end

--- complete.line(before) --> gone, more, choice: what Tab does behind the text `before` of a line: it takes
-- `gone` bytes away, puts the text `more` there, and shows the text `choice` (nil: nothing).
function complete.line(before)
  if not before:find "%S" then return 0, "  " end
  local command = before:match "^%s*!(.*)$"
  if command then
    local part = command:match "[^%s\"']*$"
    return answer(files(part), part, "")
  end
  local quote, head, part = open_quote(before)
  if quote == false then return 0 end
  if quote then return answer(quoted(head, part), part, quote) end
  local _, sign, name, value = path_at_end(before)
  if not name then return 0 end
  if not sign then return answer(name == "" and {} or names_of_session(name), name, "") end
  if value == nil then return 0 end
  local list, colon = names_of_value(value, sign, name)
  return answer(list, name, "", colon)
end

return complete
