-- repl: what the prompt does with a line: compile it, show what it gives, find the help of a name. Reading
-- lines, history and Ctrl-C are the host's (runtime/host/repl.c). Nothing here prints; the host prints the
-- strings that it gets.
local repl = {}

local WIDTH = 100  -- columns that a shown value may take on one line
local ENTRIES = 20 -- entries of a table that are shown before "... N more"
local DEPTH = 3    -- tables within tables

-- ---- values ----

local format

local KEYWORDS = {}
local WORDS = "and break do else elseif end false for function goto if in local nil not or repeat return "
  .. "then true until while"
for word in WORDS:gmatch("%a+") do KEYWORDS[word] = true end

local function key_text(key)
  if type(key) == "string" and key:match("^[%a_][%w_]*$") and not KEYWORDS[key] then return key end
  return "[" .. format(key, 1) .. "]"
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
  if #line + 2 * depth <= WIDTH and not line:find("\n", 1, true) then return line end
  local indent = ("  "):rep(depth + 1)
  return "{\n" .. indent .. table.concat(parts, ",\n" .. indent) .. "\n" .. ("  "):rep(depth) .. "}"
end

-- The library's own view of tensors, once it is loaded: before that a value can't be one.
local function tensors() return package.loaded["gal.tensor"] end

local function is_tensor(v) return tensors() and tensors().is_tensor(v) end

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
  if kind == "function" then return depth == 0 and function_text(v) or "function" end
  if kind ~= "table" then return tostring(v) end
  if is_tensor(v) then return depth == 0 and tostring(v) or tensors().show_line(v) end
  local meta = getmetatable(v)
  if type(meta) == "table" and type(meta.__tostring) == "function" then return tostring(v) end
  return table_text(v, depth, open)
end

--- Any value as a user wants to see it: strings quoted, tables to a limited depth and width, tensors
-- summarised.
function repl.format(value) return format(value) end

-- ---- chunks ----

-- Each chunk is a function of its own, so a local of one would be gone in the next: the prompt makes the
-- first `local` of a chunk a name of the session.
local function without_local(text)
  local before, rest = text:match("^(%s*)local%s+(.*)$")
  if not before then return text end
  if rest:match("^function[%s]") then return before .. rest end
  local names, after = rest:match("^([%a_][%w_%s,]*)(.*)$")
  if not names then return text end
  if after:match("^=") then return before .. rest end
  -- Without a value, `local a, b` declares: it sets them to nil. Anything else behind the names is left to
  -- the compiler's message.
  local declares = after:match("^;?%s*$") or after:match("^%-%-")
  return declares and before .. names:gsub("%s+$", "") .. " = nil " .. after or text
end

--- repl.compile(text, line, at_end): compiles the text of a chunk whose first line is number `line`. Returns
-- a function that takes repl.show, to which the chunk's results are given; or nil and a message; or nil where
-- more lines are needed. at_end: there are no more. An expression (also as `= expression`) gives its values;
-- `?name` gives the help.
function repl.compile(text, line, at_end)
  local asked = text:match("^%s*%?(.*)$")
  if asked then return function() return repl.help(asked:match("^%s*(.-)%s*$")) end end
  local lines = ("\n"):rep(line - 1)
  local equals = text:match("^%s*=(.*)$")
  text = equals or text
  local chunk, message = loadstring(lines .. "return " .. text, "=stdin")
  if chunk and text:find("%S") then
    -- Not `return expression`: an error in a tail call has lost its line. What the host passes in comes back
    -- first, and show drops it.
    return (loadstring(lines .. "return (...), " .. text:gsub("%s+$", ""), "=stdin"))
  end
  local open = message and message:match("'<eof>'$")
  if not equals then
    chunk, message = loadstring(lines .. without_local(text), "=stdin")
    if chunk then return chunk end
    open = open or message:match("'<eof>'$")
  end
  if open and not at_end then return nil end
  return nil, message
end

-- A text that is shown as it is.
local Text = { __tostring = function(self) return self.text end }
local function plain(s) return setmetatable({ text = s }, Text) end

--- The text of a chunk's results, one below the other, or nil where there are none. The global _ keeps the
-- first that is not nil.
function repl.show(...)
  if (...) == repl.show then return repl.show(select(2, ...)) end
  local n = select("#", ...)
  if n == 0 then return nil end
  local first = (...)
  if getmetatable(first) == Text then return first.text end
  if first ~= nil then rawset(_G, "_", first) end
  local lines = {}
  for i = 1, n do lines[i] = format((select(i, ...))) end
  return table.concat(lines, "\n")
end

--- Makes `gal` and `exit` names of the session. Returns the greeting and, if the library can't be loaded,
-- why.
function repl.start()
  local host = require "gal.base.host"
  local C = require("ffi").C
  rawset(_G, "exit", host.exit)
  local ok, gal = pcall(require, "gal")
  if ok then rawset(_G, "gal", gal) end
  local isa = require("ffi").string(C.gal_cpu_isa())
  local words = "galrun %s on %s (%s, %d threads). ?name shows the help of a name, exit() or Ctrl-D leaves."
  local greeting = words:format(host.version, host.device, isa, C.gal_threads(0))
  return greeting, not ok and "The library could not be loaded: " .. tostring(gal):match("^[^\n]*") or nil
end

-- ---- help: the comment block above a definition, read from its source ----

local function source_lines(path)
  local file = io.open(path)
  if not file then return nil end
  local lines = {}
  for line in file:lines() do lines[#lines + 1] = line end
  file:close()
  return lines
end

local function is_comment(line) return line:match("^%s*%-%-") and not line:match("^%s*%-%- %-%-%-%-") end

-- The comment block that ends right above lines[at], without its dashes; nil where there is none, or where it
-- is of no public definition of the library, whose blocks open with ---.
local function block_above(lines, at, public)
  local first = at
  while first > 1 and is_comment(lines[first - 1]) do first = first - 1 end
  if first == at or public and not lines[first]:match("^%s*%-%-%-") then return nil end
  local block = {}
  for i = first, at - 1 do block[#block + 1] = (lines[i]:gsub("^%s*%-%-+ ?", "")) end
  return table.concat(block, "\n")
end

-- The comment block that a file opens with.
local function header(lines)
  local last = 0
  while lines[last + 1] and lines[last + 1]:match("^%-%-") do last = last + 1 end
  return last > 0 and block_above(lines, last + 1) or nil
end

-- The text of a block for `name`, below the line that it describes: but alone where it says itself how to
-- call it, and below the bare name where that line is no function's.
local function described(line, block, name)
  local call = name and "%f[%w_]" .. name .. "[%({:%[]" -- name(…), name{…}, or "gal.name: …"
  if call and block:match("^[^\n]*"):find(call) then return plain(block) end
  local head = line:match("^%s*(.-)%s*$")
  if name and not head:match("^local function") and not head:match("^function") then head = name end
  return plain(head .. "\n" .. block:gsub("^", "  "):gsub("\n", "\n  "))
end

-- The names of the library's modules that are loaded, in order, and their files.
local function library_files()
  local files, names = {}, {}
  for name in pairs(package.loaded) do
    local path = (name == "gal" or name:match("^gal%.")) and package.searchpath(name, package.path)
    if path then
      files[name] = path
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names, files
end

-- The help of a function by where it was defined.
local function help_of_function(f, name)
  f = require("gal.base.errors").original[f] or f
  local info = debug.getinfo(f, "S")
  if info.source:sub(1, 1) ~= "@" then return nil end
  local path = info.source:sub(2)
  local lines = source_lines(path)
  if not lines or not lines[info.linedefined] then return nil end
  local block = block_above(lines, info.linedefined, path:find("/lua/gal/", 1, true))
  return block and described(lines[info.linedefined], block, name)
end

-- The help of the entry `key` of a module, by the comment above a line of its file that defines it; with of =
-- ":" that of a method.
local function help_of_entry(path, key, of)
  local name = key:gsub("%p", "%%%0")
  local patterns = of == ":" and { "^%s*function%s+[%w_.]*:" .. name .. "%s*%(" } or {
    "^%s*function%s+[%w_.:]*[.:]" .. name .. "%s*%(", "^%s*[%w_.]*%." .. name .. "%s*=[^=]",
    "^%s*" .. name .. "%s*=[^=]",
  }
  for i, line in ipairs(source_lines(path) or {}) do
    for _, pattern in ipairs(patterns) do
      local block = line:match(pattern) and block_above(source_lines(path), i, true)
      if block then return described(line, block, key) end
    end
  end
end

-- The help of a value that modules of the library have as an entry: functions that others make, such as ops,
-- and tables.
local function help_of_value(value)
  local names, files = library_files()
  for _, name in ipairs(names) do
    local module = package.loaded[name]
    for key, v in pairs(type(module) == "table" and module or {}) do
      local found = type(key) == "string" and rawequal(v, value) and help_of_entry(files[name], key)
      if found then return found end
    end
  end
end

-- A module's help: what its file opens with, and its functions.
local function help_of_module(t)
  local names, files = library_files()
  for _, name in ipairs(names) do
    if package.loaded[name] == t then
      local lines, entries = source_lines(files[name]), {}
      for key, v in pairs(t) do
        local callable = type(v) == "function" or (getmetatable(v) or {}).__call
        if type(key) == "string" and callable then entries[#entries + 1] = key end
      end
      table.sort(entries)
      local list = #entries > 0 and "\n\nFunctions: " .. table.concat(entries, ", ") or ""
      return plain((lines and header(lines) or name) .. list)
    end
  end
end

-- ---- help of a value: its methods ----

-- The methods of a value, functions by name; nil where it has none.
local function methods_of(value)
  if is_tensor(value) then return tensors().methods end
  local meta = type(value) == "table" and getmetatable(value)
  if type(meta) ~= "table" then return nil end
  local methods = rawget(meta, "methods") or rawget(meta, "__index")
  return type(methods) == "table" and methods or nil
end

-- A block of help in a line: how the function is called, and the beginning of what it says.
local function in_a_line(text)
  local first, rest = text:match "^([^\n]*)\n?(.*)$"
  first = first:gsub("^function ", "")
  if #first < WIDTH / 2 then first = first .. " " .. rest:gsub("\n.*", "") end
  first = first:gsub("%s+", " ")
  if #first <= WIDTH - 2 then return first end
  return (first:sub(1, WIDTH - 5):gsub("%s+%S*$", "")) .. " ..."
end

-- A value and its methods, a line each: nil where it has none.
local function help_of_object(value)
  local methods, names, lines = methods_of(value), {}, {}
  for name, f in pairs(methods or {}) do
    local public = type(name) == "string" and type(f) == "function" and not name:find "^__"
    if public then names[#names + 1] = name end
  end
  if #names == 0 then return nil end
  table.sort(names)
  for i, name in ipairs(names) do
    local found = help_of_function(methods[name], name) or help_of_value(methods[name])
    lines[i] = "  " .. in_a_line(found and found.text or name)
  end
  local shown = is_tensor(value) and tensors().show_line(value) or format(value, 1)
  return plain(shown .. "\n\nMethods:\n" .. table.concat(lines, "\n"))
end

-- ---- what a name means ----

-- The value of the expression `asked`, nil where it has none or raises.
local function evaluated(asked)
  local ok, value = pcall(loadstring("return " .. asked:gsub(":", ".")) or error)
  if ok then return value end
end

-- An entry of a module of the library that may not be loaded yet, by a name such as gal.train.quick or
-- train.quick: its value, the module's file, and the entry's name (nil where it is the module itself).
local function below_module(asked)
  for _, full in ipairs{ asked, "gal." .. asked } do
    local module, rest = full:match("^(gal)%f[^%w_]"), full:gsub(":", "."):sub(5)
    while module do
      local path = package.searchpath(module, package.path)
      local loaded, value = pcall(require, module)
      local last
      for key in rest:gmatch("[^.]+") do
        value, last = type(value) == "table" and value[key] or nil, key
      end
      if path and loaded and value ~= nil then return value, path, last end
      local key, after = rest:match("^([%w_]+)%.?(.*)$")
      module, rest = key and module .. "." .. key, after
    end
  end
end

-- The help of a method by the name that the documents give its object, where no variable has that name: x:sum
-- of tensors, flow:sample of the class that the file of gal.flow defines.
local function help_of_method(asked)
  local object, method = asked:match "^([%w_.]+):([%w_]+)$"
  if object == "x" and tensors() and tensors().methods[method] then
    return help_of_value(tensors().methods[method])
  end
  local path = object and (package.searchpath("gal." .. object, package.path)
    or object:find "^gal%." and package.searchpath(object, package.path))
  return path and help_of_entry(path, method, ":")
end

local OVERVIEW = [[
expression          shows its value; _ keeps the last one
local x = ...       at the prompt a local stays for the session
?name               the help of a function or module: ?gal.randn, ?x:matmul, ?gal;
                    of a value: its methods
Ctrl-C              stops what runs; the session stays
exit(), Ctrl-D      leaves]]

--- repl.help(asked): the help of the expression `asked`, a name such as gal.randn, x:sum, gal.train.quick
-- or gal.plot: the comment block above its definition in the source, or the block that a module's file
-- opens with.
function repl.help(asked)
  if asked == "" then return plain(OVERVIEW) end
  local value, last = evaluated(asked), asked:match("([%w_]+)%s*$")
  local entry, path, key = below_module(asked)
  if value == nil then value = entry end
  if value == nil then
    return help_of_method(asked) or plain(("There is no %s, and no help for it."):format(asked))
  end
  local found
  if type(value) == "table" and not is_tensor(value) then found = help_of_module(value) end
  if type(value) == "function" then found = help_of_function(value, last) end
  if not found and key and rawequal(value, entry) then found = help_of_entry(path, key) end
  if not found and (type(value) == "function" or type(value) == "table") then
    found = help_of_value(value)
    local meta = debug.getmetatable(value)
    local call = type(meta) == "table" and rawget(meta, "__call")
    if not found and type(call) == "function" then found = help_of_function(call, last) end
  end
  found = found or help_of_object(value)
  return found or plain(("No help for %s, which is: %s"):format(asked, format(value)))
end

return repl
