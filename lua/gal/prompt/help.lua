-- What `?name` shows: the help of a name, of a module, and of a value, whose methods have a line each.
local sources = require "gal.prompt.sources"
local utf8 = require "gal.base.text"
local values = require "gal.prompt.values"

local help = {}

local WIDTH = 100       -- of a line for a method, on a terminal at most its own
local SOURCE_WIDTH = 95 -- a line of a comment that the next word would make longer was filled

local function tensors() return package.loaded["gal.tensor"] end

-- The help of a value that is an entry of one of the library's modules: a table, or a function that another
-- one made, such as an op.
local function help_of_value(value)
  local names, files = sources.library()
  for _, name in ipairs(names) do
    local module = package.loaded[name]
    for key, v in pairs(type(module) == "table" and module or {}) do
      local found = type(key) == "string" and rawequal(v, value) and sources.of_entry(files[name], key)
      if found then return found end
    end
  end
end

-- A module's help: the comment that its file opens with, and its functions.
local function help_of_module(t)
  local names, files = sources.library()
  for _, name in ipairs(names) do
    if package.loaded[name] == t then
      local entries = {}
      for key, v in pairs(t) do
        local callable = type(v) == "function" or (getmetatable(v) or {}).__call
        if type(key) == "string" and callable then entries[#entries + 1] = key end
      end
      table.sort(entries)
      local list = #entries > 0 and "\n\nFunctions: " .. table.concat(entries, ", ") or ""
      return values.text((sources.header(files[name]) or name) .. list)
    end
  end
end

-- ---- help of a value: its methods ----

-- The methods of a value, functions by name; nil where it has none.
local function methods_of(value)
  local meta = type(value) == "table" and getmetatable(value)
  if type(meta) ~= "table" then return nil end
  local methods = rawget(meta, "methods") or rawget(meta, "__index")
  return type(methods) == "table" and methods or nil
end

-- A line of at most `width` characters: a longer one is cut at a blank.
local function cut(line, width)
  if utf8.length(line) <= width then return line end
  while utf8.length(line) > width - 4 do line = line:gsub("%s*%S+%s*$", "") end
  return line .. " ..."
end

-- A block of help in one line: how the function is called, and the beginning of its text.
local function in_a_line(text)
  local first, rest = text:match "^([^\n]*)\n?(.*)$"
  first = first:gsub("^function ", "")
  if first:find "^[%w_]+$" then first = first .. ":" end
  local width = math.min(WIDTH, values.width())
  if #first < width / 2 then first = first .. " " .. rest:gsub("\n.*", "") end
  return cut(first:gsub("%s+", " "), width - 2)
end

-- The help of a value that is called, from the block above its metatable's __call; nil where there is none.
local function help_of_call(value, name)
  local meta = type(value) == "table" and getmetatable(value)
  local call = type(meta) == "table" and rawget(meta, "__call")
  return type(call) == "function" and sources.of_function(call, name) or nil
end

-- A value and its methods, a line each, among them fields that can be called: nil where it has none.
local function help_of_object(value)
  local methods, found, names, lines = methods_of(value), {}, {}, {}
  for name, f in pairs(methods or {}) do
    local public = type(name) == "string" and type(f) == "function" and not name:find "^__"
    if public then found[name] = sources.of_function(f, name) or help_of_value(f) or values.text(name) end
  end
  if next(found) == nil then return nil end
  for name, field in pairs(value) do
    if type(name) == "string" then found[name] = found[name] or help_of_call(field, name) end
  end
  for name in pairs(found) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do lines[i] = "  " .. in_a_line(found[name].text) end
  local shown = cut(values.line(value), math.min(WIDTH, values.width()))
  return values.text(shown .. "\n\nMethods:\n" .. table.concat(lines, "\n"), true)
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

-- The help of a method by its object's name in the documents, where no variable has that name: x:sum for
-- tensors, flow:sample for the class that the file of gal.flow defines.
local function help_of_method(asked)
  local object, method = asked:match "^([%w_.]+):([%w_]+)$"
  if object == "x" and tensors() and tensors().methods[method] then
    return help_of_value(tensors().methods[method])
  end
  local path = object and (package.searchpath("gal." .. object, package.path)
    or object:find "^gal%." and package.searchpath(object, package.path))
  return path and sources.of_entry(path, method, ":")
end

local OVERVIEW = [[
expression        shows its value; _ keeps the last one; a ; behind it is quiet
local x = ...     at the prompt a local stays for the session
?name             the help of a function or module: ?gal.randn, ?x:matmul, ?gal;
                  of a value: its methods
Tab               completes names, methods, modules, files and ids in quotes
who()             the names of this session
time(f)           how long f() takes
trace()           the calls that led to the last error
!command          runs a command of the shell
gal.open(folder)  opens a trained run, to ask it for posteriors: ?gal.open
gal.show(figure)  shows a figure; one that is a value shows itself
Ctrl-R            searches the lines that were typed before
Ctrl-C            stops what runs; the session stays
exit(), Ctrl-D    leaves]]

--- help.of(asked): the help of the expression `asked`, a name such as gal.randn, x:sum, gal.train.quick
-- or gal.plot: the comment block above its definition in the source, or the block that a module's file
-- opens with.
function help.of(asked)
  if asked == "" then return values.text(OVERVIEW, true) end
  local value, last = evaluated(asked), asked:match("([%w_]+)%s*$")
  local entry, path, key = below_module(asked)
  if value == nil then value = entry end
  if value == nil then
    return help_of_method(asked) or values.text(("There is no %s, and no help for it."):format(asked))
  end
  local found
  if type(value) == "table" and not values.is_tensor(value) then found = help_of_module(value) end
  if type(value) == "function" then found = sources.of_function(value, last) end
  if not found and key and rawequal(value, entry) then found = sources.of_entry(path, key) end
  if not found and (type(value) == "function" or type(value) == "table") then
    found = help_of_value(value) or help_of_call(value, last)
  end
  found = found or help_of_object(value)
  return found or values.text(("No help for %s, which is: %s"):format(asked, values.format(value)))
end


-- ---- on a screen ----

-- A paragraph in lines of at most `width` characters: what follows the first is indented by `hang` blanks.
local function folded(words, hang, width, lines)
  local piece = nil
  for gap, word in words:gmatch "(%s*)(%S+)" do
    local longer = piece and piece .. gap .. word or gap .. word
    if piece and utf8.length(longer) > width then
      lines[#lines + 1], piece = piece, (" "):rep(hang) .. word
    else
      piece = longer
    end
  end
  lines[#lines + 1] = piece or ""
end

-- Where continuation lines of this one begin: after the gap of an entry, "name what it is", or after a
-- bullet, else where the line itself begins; and whether it is an entry or bullet.
local function hang_of(line)
  local gap = line:match "^%s*[%-*] ()%S" or line:match "^%s*%S.-%S%s%s+()%S" or line:match "^%s*%S%s%s+()%S"
  if gap then return utf8.length(line:sub(1, gap - 1)), true end
  return #line:match "^%s*", false
end

--- help.filled(s, width) --> the text s in lines of at most `width` characters, but for longer words. Lines
-- of the source are joined first where they are a paragraph: where the next word did not fit into the line
-- before.
function help.filled(s, width)
  local paragraphs, lines = {}, {}
  for line in (s .. "\n"):gmatch "(.-)[ \t]*\n" do
    local last, hang, entry = paragraphs[#paragraphs], hang_of(line)
    local fits = last and not entry and line:find "%S" and last.hang == hang
    if fits and utf8.length(last.line .. " " .. line:match "%S+") > SOURCE_WIDTH then
      last.words, last.line = last.words .. " " .. line:match "^%s*(.*)$", line
    else
      paragraphs[#paragraphs + 1] = { words = line, line = line, hang = hang }
    end
  end
  for _, each in ipairs(paragraphs) do folded(each.words, each.hang, width, lines) end
  return table.concat(lines, "\n")
end

return help
