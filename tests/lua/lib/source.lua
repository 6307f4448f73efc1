-- Reads source text as the house's rules need it (tests/lua/house.lua): the tree's files, a language's
-- comments apart from its code and strings, the length of each function, the paths that a text cites.
local source = {}

-- ---- files ----

--- All text of a file.
function source.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function lines_of(command)
  local pipe = io.popen(command)
  local list = {}
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

--- The tree's files as sorted paths below root: what git has or would add, where root is a checkout; else all
-- but what git ignores.
function source.files(root)
  local here = "cd '" .. root .. "' && "
  local tracked = "git ls-files --cached --others --exclude-standard 2>/dev/null"
  local list = lines_of(here .. "[ -e .git ] && " .. tracked)
  if #list == 0 then
    local skipped = "\\( -name 'build*' -o -name .git -o -name runs -o -name __pycache__ \\)"
    list = lines_of(here .. "find . -type d " .. skipped .. " -prune -o -type f -print | sed 's|^\\./||'")
  end
  local present = {}
  for _, path in ipairs(list) do
    local file = io.open(root .. "/" .. path)
    if file then file:close() present[#present + 1] = path end
  end
  table.sort(present)
  return present
end

--- The lines of a text, without their ends.
function source.lines(text)
  local list = {}
  for line in (text:gsub("\n$", "") .. "\n"):gmatch "(.-)\n" do list[#list + 1] = line end
  return list
end

--- The number of characters of a line of UTF-8.
function source.width(line)
  return #line - select(2, line:gsub("[\128-\191]", ""))
end

-- ---- languages ----

--- Which comments and functions a path's text has: "c", "lua", "shell" (also CMake's and Python's), "text";
-- nil for what is no source.
function source.language(path)
  local ending = path:match "%.(%w+)$"
  if path:match "CMakeLists%.txt$" then return "shell" end
  return ({ c = "c", h = "c", cu = "c", cuh = "c", lua = "lua", sh = "shell", cmake = "shell", py = "shell",
    md = "text" })[ending]
end

-- Where the Lua string or comment that opens at `at` ends: the position after it. nil where none opens there.
local function lua_quoted(text, at)
  local level = text:match("^%[(=*)%[", at)
  if level then
    local _, close = text:find("]" .. level .. "]", at, true)
    return (close or #text) + 1
  end
  local quote = text:match("^[\"']", at)
  if not quote then return nil end
  local p = at + 1
  while p <= #text do
    local c = text:sub(p, p)
    if c == quote or c == "\n" then return p + 1 end
    p = p + (c == "\\" and 2 or 1)
  end
  return p
end

local function lua_comment(text, at)
  if text:sub(at, at + 1) ~= "--" then return nil end
  if text:match("^%[=*%[", at + 2) then return lua_quoted(text, at + 2) end
  return text:find("\n", at, true) or #text + 1
end

local function c_quoted(text, at)
  return text:match("^[\"']", at) and lua_quoted(text, at)
end

local function c_comment(text, at)
  local open = text:sub(at, at + 1)
  if open == "//" then return text:find("\n", at, true) or #text + 1 end
  if open ~= "/*" then return nil end
  local _, close = text:find("*/", at + 2, true)
  return (close or #text) + 1
end

-- A # in a word ($#, ${#name}) opens no comment.
local function shell_comment(text, at)
  if text:sub(at, at) ~= "#" or text:sub(at - 1, at - 1):match "[^%s]" then return nil end
  return text:find("\n", at, true) or #text + 1
end

-- Quotes of shell scripts may hold anything and span lines: their comments are found without minding quotes.
local rules = {
  c = { comment = c_comment, quoted = c_quoted, starts = "[/\"']" },
  lua = { comment = lua_comment, quoted = lua_quoted, starts = "[-%[\"']" },
  shell = { comment = shell_comment, quoted = function() end, starts = "#" },
}

local function blank(text) return (text:gsub("[^\n]", " ")) end

--- code, comments: the text with comments and strings blanked, and the text with all but comments blanked.
-- Both keep every line where it was. A language of "text" is all comment.
function source.separate(text, language)
  if language == "text" then return blank(text), text end
  local rule, code, comments, at = rules[language], {}, {}, 1
  while true do
    local start = text:find(rule.starts, at) or #text + 1
    local plain = text:sub(at, start - 1)
    code[#code + 1], comments[#comments + 1] = plain, blank(plain)
    if start > #text then break end
    local comment_end = rule.comment(text, start)
    at = comment_end or rule.quoted(text, start) or start + 1
    local piece = text:sub(start, at - 1)
    local is_code = at == start + 1
    code[#code + 1] = is_code and piece or blank(piece)
    comments[#comments + 1] = comment_end and piece or blank(piece)
  end
  return table.concat(code), table.concat(comments)
end

-- ---- functions ----

local opens = { ["function"] = true, ["if"] = true, ["do"] = true, ["repeat"] = true }
local closes = { ["end"] = true, ["until"] = true }

local function name_of(line, at)
  return line:match("^function%s+([%w_.:]+)", at) or line:match "([%w_.]+)%s*=%s*function" or "function"
end

--- The functions of a Lua text as a list of {name, first, last}, the lines of `function` and of its `end`.
-- Raises where blocks and ends don't balance.
function source.lua_functions(text)
  local code = source.separate(text, "lua")
  local found, stack = {}, {}
  for number, line in ipairs(source.lines(code)) do
    for at, word in line:gmatch "()([%a_][%w_]*)" do
      if opens[word] then
        stack[#stack + 1] = { name = word == "function" and name_of(line, at), first = number }
      elseif closes[word] then
        local block = table.remove(stack)
        if not block then error(("line %d: an `%s` that closes nothing"):format(number, word), 0) end
        block.last = number
        if block.name then found[#found + 1] = block end
      end
    end
  end
  if #stack > 0 then error(("line %d: a block without its end"):format(stack[#stack].first), 0) end
  return found
end

--- The functions of a clang-formatted C text, as lua_functions gives them: from the declaration's first line
-- to the closing brace in the first column.
function source.c_functions(text)
  local code = source.separate(text, "c")
  local lines, found, open = source.lines(code), {}, nil
  for number, line in ipairs(lines) do
    if line:match "^{" then
      local first = number
      while first > 1 and lines[first - 1]:match "%S" and not lines[first - 1]:match "^[}#]"
        and not lines[first - 1]:match "[;\\]%s*$" do
        first = first - 1
      end
      local name = table.concat(lines, " ", first, number):match "([%w_]+)%s*%("
      open = { name = name or "function", first = first }
    elseif open and line:match "^}" then
      open.last = number
      found[#found + 1], open = open, nil
    end
  end
  if open then error(("line %d: a function without its closing brace"):format(open.first), 0) end
  return found
end

-- ---- citations ----

--- What a tree holds, for `source.lost`: known[name] is true for each path, each folder, and each ending of
-- either that starts at a folder's or file's name ("fast/conv.c", "conv.c"); top[name] for the folders at the
-- top; foreign[name] for the headers of other libraries, which `texts` includes.
function source.index(paths, texts)
  local index = { known = {}, top = {}, foreign = {} }
  for _, path in ipairs(paths) do
    local above = path
    while above do
      local tail = above
      while tail do
        index.known[tail] = true
        tail = tail:match "^[^/]*/(.*)$"
      end
      above = above:match "^(.*)/"
    end
    index.top[path:match "^([^/]+)/" or ""] = true
  end
  for _, text in ipairs(texts) do
    for name in text:gmatch "#include <([^>]+)>" do index.foreign[name:match "[^/]+$"] = true end
    for name in text:gmatch "find_path%(([^)]+)" do
      for header in name:gmatch "([%w_]+%.h)" do index.foreign[header] = true end
    end
  end
  return index
end

local documents = {
  c = true, h = true, cu = true, cuh = true, lua = true, md = true, sh = true, cmake = true, py = true,
}

-- Whether a word of a comment names a file or folder of this tree: a path from the top, or a document by its
-- name, with or without folders. NAME.c and conv_NAME.c stand for any name, x.c for a field; lua.h belongs to
-- another project.
local function citation(word, language, index)
  local stem, ending = word:match "([^/]*)%.(%w+)$"
  local top = word:match "^([^/]+)/."
  if ending ~= "md" and word:match "%f[%w]%u+%f[^%w]" then return false end
  if index.top[top] then return true end
  if not documents[ending] or index.foreign[stem .. "." .. ending] then return false end
  if word:match "/" then return true end
  return not stem:match "%." and (#ending > 1 or language ~= "lua" and #stem > 1)
end

-- The words of a comment's line that can be citations, without the dots that end a sentence. Web addresses
-- and names with placeholders (galrun.*, <id>.jpg) or in quotes ("name.lua:12") are none.
local function cited_words(line)
  local words, seen = {}, {}
  line = line:gsub("%a+://[^%s)>]+", "")
  for from, word, to in line:gmatch "()([%w_./-]+)()" do
    local around = line:sub(from - 1, from - 1) .. line:sub(to, to)
    word = word:gsub("[./-]+$", "")
    local partial = around:match '[*?<>{}$~\\"]' or word:match "^/"
    if not seen[word] and not partial then words[#words + 1] = word end
    seen[word] = true
  end
  return words
end

--- The paths that a text's comments cite and the tree does not have, as a list of {line, word}. A path is
-- resolved against the whole tree, and against the folder of the text.
function source.lost(path, text, index)
  local language, lost = source.language(path), {}
  local _, comments = source.separate(text, language)
  local beside = path:match "^(.*/)" or ""
  for number, line in ipairs(source.lines(comments)) do
    for _, word in ipairs(cited_words(line)) do
      local name = word:gsub("^[./]+/", "")
      local there = index.known[name] or index.known[beside .. name] or index.known[name .. ".lua"]
      if not there and citation(name, language, index) then
        lost[#lost + 1] = { line = number, word = word }
      end
    end
  end
  return lost
end

return source
