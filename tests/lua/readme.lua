-- The documents are run: the Lua blocks of a README are one script, in order, and a line EXPRESSION --> VALUE
-- of it is a case. So what a reader copies works, and shows what the document says.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local root = require("gal.host").root

ffi.cdef "int chdir(const char *path);"

-- The Lua of a document, on the lines where it stands there; what is no Lua is empty lines.
local function script_of(path)
  local lines, code = {}, nil
  for line in io.lines(root .. "/" .. path) do
    if line:match "^```" then
      code = line == "```lua"
      line = ""
    end
    local expression, value = line:match "^(%S.-)%s+%-%-> (.+)$"
    if not code then
      line = ""
    elseif expression then
      line = ("expect(%q, function() return %s end, %q);"):format(expression, expression, value)
    end
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\n")
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

check.case("lua/README.md shows what its calls give", function()
  check.that(run "lua/README.md" > 40, "few lines of it have -->")
end)

check.case("lua/README.md names every function of gal and every method of tensors", function()
  local document = assert(io.open(root .. "/lua/README.md")):read "*a"
  for name in pairs(require "gal") do
    check.that(document:find("gal%." .. name .. "%f[%W]"), "gal." .. name)
  end
  for name in pairs(require("gal.tensor").methods) do
    check.that(document:find("%f[%w]" .. name .. "%f[^%w_]"), "x:" .. name)
  end
end)

run "lua/TRUST.md"

run("README.md", function()
  require("gal.mock").make { out = "survey", n = 120, cutouts = false, progress = false }
end)

-- ---- the rooms ----

local ROOMS = [[runtime/core runtime/ops runtime/cpu runtime/io runtime/host lua/gal/base lua/gal/tensor
  lua/gal/nn lua/gal/flow lua/gal/train lua/gal/data lua/gal/stats lua/gal/cli]]

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
