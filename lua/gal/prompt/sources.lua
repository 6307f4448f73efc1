-- The help that stands in the source: the comment block above a definition.
local values = require "gal.prompt.values"

local sources = {}

-- The lines of a file; nil where it can't be read.
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
-- does not open with ---, as those of the library's public definitions do.
local function block_above(lines, at, public)
  local first = at
  while first > 1 and is_comment(lines[first - 1]) do first = first - 1 end
  if first == at or public and not lines[first]:match("^%s*%-%-%-") then return nil end
  local block = {}
  for i = first, at - 1 do block[#block + 1] = (lines[i]:gsub("^%s*%-%-+ ?", "")) end
  return table.concat(block, "\n")
end

--- sources.header(path) --> the comment block that a file opens with; nil where it has none.
function sources.header(path)
  local lines, last = source_lines(path) or {}, 0
  while lines[last + 1] and lines[last + 1]:match("^%-%-") do last = last + 1 end
  return last > 0 and block_above(lines, last + 1) or nil
end

-- The text of a block for `name`, below the line that it describes; alone where the text itself says how to
-- call it, and below the bare name where the line does not define a function.
local function described(line, block, name)
  local call = name and "%f[%w_]" .. name .. "[%({:%[]" -- name(…), name{…}, or "gal.name: …"
  if call and block:match("^[^\n]*"):find(call) then return values.text(block) end
  local head = line:match("^%s*(.-)%s*$")
  if name and not head:match("^local function") and not head:match("^function") then head = name end
  return values.text(head .. "\n" .. block:gsub("^", "  "):gsub("\n", "\n  "))
end

--- sources.library() --> the names of the library's modules that are loaded, in order, and their files.
function sources.library()
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

--- sources.of_function(f, name) --> the help of a function by where it was defined; nil where there is none.
function sources.of_function(f, name)
  f = require("gal.base.errors").original[f] or f
  local info = debug.getinfo(f, "S")
  if info.source:sub(1, 1) ~= "@" then return nil end
  local path = info.source:sub(2)
  local lines = source_lines(path)
  if not lines or not lines[info.linedefined] then return nil end
  local block = block_above(lines, info.linedefined, path:find("/lua/gal/", 1, true))
  return block and described(lines[info.linedefined], block, name)
end

--- sources.of_entry(path, key[, of]) --> the help of the entry `key` of a module, by the comment above a line
-- of its file that defines it; with of = ":" that of a method.
function sources.of_entry(path, key, of)
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

return sources
