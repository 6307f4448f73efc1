-- The Lua of the documents is run: the blocks of a document are one script, in order, and a line EXPRESSION
-- --> VALUE of it is a case. So what a reader copies works, and shows what the document says. Every chapter
-- of lua/ is found by itself. (commands.lua runs README.md's commands and what it types at the prompt.)
local check = dofile "lua/lib/check.lua"
local document = dofile "lua/lib/document.lua"
local ffi = require "ffi"
local root = require("gal.host").root

ffi.cdef "int chdir(const char *path);"

-- The Lua of a document, on the lines where it stands there; what is no Lua is empty lines.
local function script_of(path)
  local code, last = {}, 0
  for _, block in ipairs(document.blocks(root .. "/" .. path)) do
    if block.language == "lua" then
      for i, line in ipairs(block) do
        local expression, value = line:match "^(%S.-)%s+%-%-> (.+)$"
        if expression then
          line = ("expect(%q, function() return %s end, %q);"):format(expression, expression, value)
        end
        last = block.line + i - 1
        code[last] = line
      end
    end
  end
  for i = 1, last do code[i] = code[i] or "" end
  return table.concat(code, "\n")
end

-- Runs it in an empty folder, which is removed; prepare() makes there what the document takes for given.
local function run(path, prepare)
  local folder = os.tmpname()
  os.remove(folder)
  ffi.C.gal_make_folder(folder)
  ffi.C.chdir(folder)
  if prepare then prepare() end
  local compared = 0
  local function expect(expression, fn, value)
    compared = compared + 1
    local name = ("%s: %s is %s"):format(path, expression, value)
    check.case(name, function() check.equal(fn(), assert(loadstring("return " .. value))()) end)
  end
  check.case("the Lua of " .. path .. " runs", function()
    local script = assert(loadstring(script_of(path), "@" .. path))
    setfenv(script, setmetatable({ expect = expect }, { __index = _G }))()
  end)
  ffi.C.chdir(root .. "/tests")
  os.execute(("rm -r '%s'"):format(folder))
  return compared
end

local chapters, compared = document.chapters "lua", 0
for _, chapter in ipairs(chapters) do compared = compared + run(chapter) end

check.case("the chapters of lua/ show what their calls give", function()
  check.that(compared > 80, ("%d lines of them have -->"):format(compared))
end)

check.case("lua/README.md lists the endings of tables that are read, and no other", function()
  local text = table.concat(document.texts "lua", "\n")
  local ffi, read = require "ffi", {}
  for ending in ffi.string(ffi.C.gal_table_reads()):gmatch "%.%w+" do
    if ending ~= ".gz" then read[#read + 1] = ending end
  end
  check.equal(text:match "Text %(`([%w%. ]+)`", table.concat(read, " "))
end)

check.case("the blocks of lua/'s chapters are Lua, which is run, shell, or what a screen shows", function()
  for _, chapter in ipairs(chapters) do
    for _, block in ipairs(document.blocks(root .. "/" .. chapter)) do
      local language = block.language
      check.that(language == "lua" or language == "sh" or language == "",
        ("%s:%d is %s"):format(chapter, block.line, language))
    end
  end
end)

check.case("lua/README.md names its chapters, every function of gal and every method of tensors", function()
  local texts = document.texts "lua"
  for i, chapter in ipairs(chapters) do
    check.that(i == 1 or texts[1]:find("](" .. chapter:match "[^/]+$" .. ")", 1, true), chapter)
  end
  local text = table.concat(texts, "\n")
  for name in pairs(require "gal") do
    check.that(text:find("gal%." .. name .. "%f[%W]"), "gal." .. name)
  end
  for name in pairs(require("gal.tensor").methods) do
    check.that(text:find("%f[%w]" .. name .. "%f[^%w_]"), "x:" .. name)
  end
end)

run("README.md", function()
  require("gal.mock").make { out = "survey", n = 120, cutouts = false, progress = false }
  require("gal").table("survey/catalog.fits"):save "catalog.csv"
end)

-- ---- the rooms ----

local ROOMS = [[runtime/core runtime/ops runtime/cpu runtime/io runtime/host lua/gal/base lua/gal/tensor
  lua/gal/nn lua/gal/flow lua/gal/train lua/gal/data lua/gal/posterior lua/gal/stats lua/gal/cli]]

check.case("the README of a room names each of its files", function()
  for room in ROOMS:gmatch "%S+" do
    local document = assert(io.open(("%s/%s/README.md"):format(root, room))):read "*a"
    local files = io.popen(("ls '%s/%s'"):format(root, room))
    for name in files:lines() do
      local program = name:match "%.[ch]$" or name:match "%.lua$"
      local named = document:find("`" .. name .. "`", 1, true)
      check.that(named or not program, ("%s/README.md says nothing of %s"):format(room, name))
    end
    files:close()
  end
end)

check.finish()
