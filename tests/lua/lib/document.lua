-- Documents: their fenced blocks, their outputs with the numbers taken out, and what they promise: what
-- readme.lua and commands.lua run and compare, and contract.lua holds.
local root = require("gal.host").root

local document = {}

--- blocks(path): the fenced blocks of a document in their order, each {language, line (where its first line
-- stands), its lines 1 … n}; language "" where the fence names none.
function document.blocks(path)
  local list, block, number = {}, nil, 0
  for line in io.lines(path) do
    number = number + 1
    local language = line:match "^```(.*)$"
    if language and block then
      block = nil
    elseif language then
      block = { language = language, line = number + 1 }
      list[#list + 1] = block
    elseif block then
      block[#block + 1] = line
    end
  end
  return list
end

--- chapters(folder): the documents of a folder of the tree, README.md first: their paths in the tree.
function document.chapters(folder)
  local list = {}
  local files = io.popen(("ls '%s/%s'"):format(root, folder))
  for name in files:lines() do
    local place = name == "README.md" and 1 or #list + 1
    if name:match "%.md$" then table.insert(list, place, folder .. "/" .. name) end
  end
  files:close()
  return list
end

--- texts(folder): the texts of these.
function document.texts(folder)
  local list = {}
  for i, path in ipairs(document.chapters(folder)) do
    local file = assert(io.open(root .. "/" .. path))
    list[i] = file:read "*a"
    file:close()
  end
  return list
end

--- promises(check) --> promise(sentence, fn), a case of that check: the sentence, or a part of one, stands in
-- a document of lua/ word for word, and fn holds the code to it.
function document.promises(check)
  -- In one line, so that a sentence may be broken anywhere in it.
  local contract = table.concat(document.texts "lua", "\n"):gsub("%s+", " ")
  return function(sentence, fn)
    check.case(sentence, function()
      check.that(contract:find(sentence, 1, true), "no document of lua/ says so")
      fn()
    end)
  end
end

--- commands(block): the commands of a block of shell, each one line: joined at \, parted at &&, without
-- comments.
function document.commands(block)
  local text = table.concat(block, "\n"):gsub("%s*\\\n%s*", " "):gsub("%s+#[^\n]*", "")
  local list = {}
  for line in text:gmatch "[^\n]+" do
    for command in (line .. " && "):gmatch "(.-)%s*&&%s*" do list[#list + 1] = command end
  end
  return list
end

--- inputs(block): of a block that shows the prompt, what is typed: each {text, line, shown}, shown being the
-- lines of output below it. An input goes on in lines that begin with four blanks.
function document.inputs(block)
  local list = {}
  for i, line in ipairs(block) do
    local text = line:match "^> (.*)$"
    local last = list[#list]
    if text then
      list[#list + 1] = { text = text, line = block.line + i - 1, shown = {} }
    elseif line:match "^    %S" and #last.shown == 0 then
      last.text = last.text .. "\n" .. line:sub(5)
    else
      last.shown[#last.shown + 1] = line
    end
  end
  return list
end

--- plain(line): a line of output with # for every number, one blank for several, one - for a rule.
function document.plain(line)
  line = (" " .. line):gsub("%f[%w]nan%f[%W]", "1"):gsub("%f[%w]inf%f[%W]", "1")
  line = line:gsub("[+-]?%.?%d[%d.,]*e[+-]?%d+", "#"):gsub("[+-]?%.?%d[%d,]*%.?%d*", "#")
  return (line:gsub("%-%-+", "-"):gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""))
end

--- is_table(line): whether a line of output is a table's: columns stand apart in it, or it is a rule.
function document.is_table(line) return line:match "%S  +%S" ~= nil or line:match "^%-%-%-" ~= nil end

--- missing(shown, found): the first line of the list `shown` that is not among the lines of the text `found`
-- behind those before it, all of them plain; nil where all are. A line ... stands for any.
function document.missing(shown, found)
  local lines, at = {}, 1
  for line in (found .. "\n"):gmatch "(.-)\r?\n" do lines[#lines + 1] = document.plain(line) end
  for _, line in ipairs(shown) do
    if not line:match "^%s*%.%.%.$" and line:match "%S" then
      local wanted = document.plain(line)
      while at <= #lines and lines[at] ~= wanted do at = at + 1 end
      if at > #lines then return line end
      at = at + 1
    end
  end
end

return document
