-- The house's rules, read from the sources: functions, files and lines of a readable size; modules that
-- scripts `require`; citations that lead somewhere; includes and requires that run one way. Every rule is
-- tried on bad examples first. In tests/, `../build/galrun lua/house.lua summary` counts breaches by file,
-- and a rule's name in the place of "summary" lists them.
local check = dofile "lua/lib/check.lua"
local source = dofile "lua/lib/source.lua"

local WIDTH, FUNCTION, FILE, TEST_FILE = 110, 60, 450, 550

-- ---- a tree ----

-- files: {[path] = text}. What the rules read: the texts, their paths in order, and what can be cited.
local function tree(files)
  local paths, texts = {}, {}
  for path, text in pairs(files) do
    paths[#paths + 1] = path
    texts[#texts + 1] = source.language(path) and text
  end
  table.sort(paths)
  return { files = files, paths = paths, index = source.index(paths, texts) }
end

local function checkout()
  local files = {}
  for _, path in ipairs(source.files "..") do
    files[path] = source.language(path) and source.read("../" .. path) or ""
  end
  return tree(files)
end

-- ---- the rules: each reports (line, sentence) for a file of the tree ----

local rules = {}

local function is_program(path)
  local language = source.language(path)
  return language == "c" or language == "lua"
end

--- A C or Lua file has at most 450 lines, a test 550.
function rules.file_length(_, path, text, report)
  local most = path:match "^tests/" and TEST_FILE or FILE
  local count = #source.lines(text)
  if is_program(path) and count > most then report(count, ("%d lines, at most %d"):format(count, most)) end
end

--- A C or Lua function has at most 60 lines.
function rules.function_length(_, path, text, report)
  if not is_program(path) then return end
  local scan = source.language(path) == "c" and source.c_functions or source.lua_functions
  local fine, found = pcall(scan, text)
  if not fine then return report(1, "can't be scanned: " .. found) end
  for _, f in ipairs(found) do
    local length = f.last - f.first + 1
    if length > FUNCTION then
      report(f.first, ("%s has %d lines, at most %d"):format(f.name, length, FUNCTION))
    end
  end
end

--- A line of C, Lua, CMake or shell has at most 110 characters.
function rules.width(_, path, text, report)
  local script = path:match "%.sh$" or path:match "%.cmake$" or path:match "CMakeLists%.txt$"
  if not (script or is_program(path)) then return end
  for number, line in ipairs(source.lines(text)) do
    local width = source.width(line)
    if width > WIDTH then report(number, ("%d characters, at most %d"):format(width, WIDTH)) end
  end
end

--- A comment or README cites only files that are there.
function rules.citation(house, path, text, report)
  if not source.language(path) or path:match "^tests/golden/" then return end
  for _, cited in ipairs(source.lost(path, text, house.index)) do
    report(cited.line, cited.word .. " is not in the tree")
  end
end

--- A file that opens with a name ("conv.c: ...", "nn/conv: ...") opens with its own.
function rules.head(_, path, text, report)
  local first = text:match "^[^\n]*"
  local module = path:match "^lua/(.*)%.lua$"
  local name = first:match(module and "^%-%- ([%l%d_/]+): " or "^/%* ([%w_/.]+%.%a+): ")
  if not name then return end
  local own = "/" .. (module and module:gsub("/init$", "") or path)
  if own:sub(-#name - 1) ~= "/" .. name then report(1, "opens with the name " .. name) end
end

-- Which file of the tree an #include "name" of path means: beside it, or below runtime/ or tests/c/.
local function included(house, path, name)
  for _, folder in ipairs { path:match "^(.*/)" or "", "runtime/", "tests/c/" } do
    local found = folder .. name
    repeat
      local before = found
      found = found:gsub("[^/]+/%.%./", "", 1)
    until found == before
    if house.files[found] then return found end
  end
end

local ABOVE = { io = true, net = true, mock = true, host = true }

--- Only runtime/host sees Lua, and devices (cpu/, cuda/) see nothing of files, servers, mock surveys or the
-- host.
function rules.include(house, path, text, report)
  if source.language(path) ~= "c" then return end
  for number, line in ipairs(source.lines(text)) do
    local foreign, own = line:match '^%s*#%s*include <([^>]+)>', line:match '^%s*#%s*include "([^"]+)"'
    local lua = foreign and foreign:match "^lua%a*%.h$" or foreign == "lauxlib.h"
    if lua and not path:match "^runtime/host/" then report(number, foreign .. " outside runtime/host") end
    local target = own and included(house, path, own)
    local device = path:match "^runtime/cpu/" or path:match "^cuda/"
    local above = target and target:match "^runtime/(%a+)/" or ""
    if device and ABOVE[above] then
      report(number, own .. " is above the devices")
    end
  end
end

--- A required module of gal is there; base requires only base and the host; the library runs no experiment.
function rules.require(house, path, text, report)
  if source.language(path) ~= "lua" then return end
  for number, line in ipairs(source.lines(text)) do
    for name in line:gmatch "require%s*%(?%s*[\"'](gal[%w_.]*)[\"']" do
      local file = "lua/" .. name:gsub("%.", "/")
      local there = house.files[file .. ".lua"] or house.files[file .. "/init.lua"] or name == "gal.host"
      if not there then
        report(number, "there is no module " .. name)
      end
      if path:match "^lua/gal/base/" and not (name:match "^gal%.base%." or name == "gal.host") then
        report(number, "base requires " .. name)
      end
    end
    for _, runs in ipairs { "require", "dofile", "loadfile" } do
      if path:match "^lua/" and line:match(runs .. "%s*%(?%s*[\"'][./]*experiments") then
        report(number, "the library runs an experiment")
      end
    end
  end
end

-- Every breach of the rule `name`, as sentences "path:line: ..." in the order of the files.
local function breaches(house, name)
  local found = {}
  for _, path in ipairs(house.paths) do
    rules[name](house, path, house.files[path], function(line, sentence)
      found[#found + 1] = { path = path, sentence = ("%s:%d: %s"):format(path, line, sentence) }
    end)
  end
  return found
end

local names = {}
for name in pairs(rules) do names[#names + 1] = name end
table.sort(names)

if arg[1] == "summary" then
  for _, name in ipairs(names) do
    local count, order = {}, {}
    for _, breach in ipairs(breaches(checkout(), name)) do
      if not count[breach.path] then order[#order + 1] = breach.path end
      count[breach.path] = (count[breach.path] or 0) + 1
    end
    for _, path in ipairs(order) do print(("%-16s %-44s %4d"):format(name, path, count[path])) end
  end
  return
elseif arg[1] then
  for _, breach in ipairs(breaches(checkout(), arg[1])) do print(breach.sentence) end
  return
end

-- ---- the rules can fail ----

-- Asks that the rule finds exactly these sentences in the files.
local function finds(name, files, sentences)
  local found = {}
  for i, breach in ipairs(breaches(tree(files), name)) do found[i] = breach.sentence end
  check.equal(found, sentences, name)
end

local function of_lines(count) return ("x = 1\n"):rep(count) end

check.case("files that are too long are found, tests from 551 lines on", function()
  local house = { ["lua/a.lua"] = of_lines(450), ["tests/c/a.c"] = of_lines(550), ["a.md"] = of_lines(900) }
  finds("file_length", house, {})
  house["lua/a.lua"], house["tests/c/a.c"] = of_lines(451), of_lines(551)
  finds("file_length", house,
    { "lua/a.lua:451: 451 lines, at most 450", "tests/c/a.c:551: 551 lines, at most 550" })
end)

check.case("Lua functions that are too long are found, whatever strings, comments and blocks say", function()
  local blocks = [=[
local function long(a)
  for i = 1, 2 do if a then repeat a = nil until a end end -- end end
  while a do a = "end" .. 'do function' .. [[ end
  end ]] break end --[==[ function
  end ]==]
  local t = { f = function() return a["end"], a.blend, a.do_it end }
]=]
  finds("function_length", { ["lua/a.lua"] = blocks .. of_lines(53) .. "end\n" }, {})
  finds("function_length", { ["lua/a.lua"] = "\n" .. blocks .. of_lines(54) .. "end\n" },
    { "lua/a.lua:2: long has 61 lines, at most 60" })
  finds("function_length", { ["lua/a.lua"] = "function m.f()\n" .. of_lines(3) },
    { "lua/a.lua:1: can't be scanned: line 1: a block without its end" })
end)

check.case("C functions that are too long are found, and only functions", function()
  local open = [[
#define PAIR(a) \
    { a, a }

static int long_one(int a,
                    int b)
{
    /* }
} */
]]
  local function body(count) return open .. ("    a = '}';\n"):rep(count) .. "}\n" end
  finds("function_length", { ["a.c"] = body(54), ["b.h"] = "struct s {\n" .. of_lines(99) .. "};\n" }, {})
  finds("function_length", { ["a.c"] = body(55) }, { "a.c:4: long_one has 61 lines, at most 60" })
  finds("function_length", { ["a.c"] = open },
    { "a.c:1: can't be scanned: line 4: a function without its closing brace" })
end)

check.case("long lines are found by their characters, not their bytes", function()
  local fine, long = ("σ"):rep(110), ("é"):rep(111)
  finds("width", { ["a.c"] = fine .. "\n", ["lua/a.lua"] = fine, ["README.md"] = long, ["a.py"] = long }, {})
  for _, path in ipairs { "CMakeLists.txt", "a.c", "a.h", "a.cmake", "a.lua", "a.sh" } do
    finds("width", { [path] = "\n" .. long }, { path .. ":2: 111 characters, at most 110" })
  end
end)

check.case("citations that lead nowhere are found, in comments and READMEs", function()
  local house = {
    ["runtime/cpu/fast/conv.c"] = "/* cpu/fast/conv.c, conv.h, lua.h; http://a.org/x.md */\n#include <lua.h>",
    ["runtime/cpu/fast/conv.h"] = "// tests/golden, tests/c/NAME.c, golden/galrun.*, images/<id>.jpg, x.c",
    ["tests/golden/a.npy"] = "", ["tests/golden/galrun.csv"] = "",
    ["lua/gal/a.lua"] = "local s = 'runtime/none.c'\n-- self.h, a/b, \"b.lua:1\", README.md, ../gal/a.lua\n",
    ["README.md"] = "[tests](tests/golden) and runtime/cpu/fast/conv.c.",
  }
  finds("citation", house, {})
  house["runtime/cpu/fast/conv.c"] = "/* fast/none.c,\n * none.h */ int a; // runtime/none/\n"
  house["lua/gal/a.lua"] = "-- see nn/none.lua.\n--[[ tests/golden/b.npy ]]\n"
  house["third_party/setup.sh"] = "echo runtime/none # third_party/none\n"
  house["README.md"] = "[design](none.md) `lua/gal/b.lua`\n"
  finds("citation", house, {
    "README.md:1: none.md is not in the tree",
    "README.md:1: lua/gal/b.lua is not in the tree",
    "lua/gal/a.lua:1: nn/none.lua is not in the tree",
    "lua/gal/a.lua:2: tests/golden/b.npy is not in the tree",
    "runtime/cpu/fast/conv.c:1: fast/none.c is not in the tree",
    "runtime/cpu/fast/conv.c:2: none.h is not in the tree",
    "runtime/cpu/fast/conv.c:2: runtime/none is not in the tree",
    "third_party/setup.sh:1: third_party/none is not in the tree",
  })
end)

check.case("files that open with another file's name are found", function()
  local house = {
    ["lua/gal/base/path.lua"] = "-- Paths: folders and files",
    ["lua/gal/nn/conv.lua"] = "-- nn/conv: layers",
    ["lua/gal/tensor/init.lua"] = "-- tensor: values",
    ["runtime/a.h"] = "/* A file: without a name. */",
    ["runtime/cpu/pool.c"] = "/* cpu/pool.c: loops */",
  }
  finds("head", house, {})
  house["lua/gal/nn/conv.lua"], house["runtime/cpu/pool.c"] = "-- nn/image: layers", "/* conv.c: loops */"
  finds("head", house, {
    "lua/gal/nn/conv.lua:1: opens with the name nn/image",
    "runtime/cpu/pool.c:1: opens with the name conv.c",
  })
end)

check.case("includes against the arrows are found", function()
  local house = {
    ["runtime/host/main.c"] = '#include <lua.h>\n#include "io/io.h"\n',
    ["runtime/io/io.h"] = '#include "core/core.h"\n',
    ["runtime/core/core.h"] = "",
    ["runtime/mock/fast/flux.h"] = '#include "cpu/cpu.h"\n',
    ["runtime/net/net.h"] = '#include "io/io.h"\n',
    ["runtime/cpu/cpu.h"] = "",
    ["runtime/cpu/fast/io.c"] = '#include "io.h"\n',
    ["runtime/cpu/fast/io.h"] = "",
  }
  finds("include", house, {})
  house["runtime/cpu/cpu.c"] = '#include "../mock/fast/flux.h"\n#include "net/net.h"\n'
  house["cuda/map.cu"] = '#include "io/io.h"\n#include "host/main.c"\n'
  house["runtime/core/a.c"] = "#include <luajit.h>\n#include <lauxlib.h>\n"
  finds("include", house, {
    "cuda/map.cu:1: io/io.h is above the devices", "cuda/map.cu:2: host/main.c is above the devices",
    "runtime/core/a.c:1: luajit.h outside runtime/host", "runtime/core/a.c:2: lauxlib.h outside runtime/host",
    "runtime/cpu/cpu.c:1: ../mock/fast/flux.h is above the devices",
    "runtime/cpu/cpu.c:2: net/net.h is above the devices",
  })
end)

check.case("requires against the arrows, and of modules that are not there, are found", function()
  local function requires(name) return 'local m = require("' .. name .. '")\n' end
  local house = {
    ["lua/gal/init.lua"] = "",
    ["lua/gal/base/a.lua"] = requires "gal.base.b" .. requires "gal.host",
    ["lua/gal/base/b.lua"] = requires "ffi",
    ["lua/gal/a.lua"] = requires "gal" .. requires "gal.base.a",
  }
  finds("require", house, {})
  house["lua/gal/base/b.lua"] = requires "gal.a"
  house["lua/gal/a.lua"] = requires "gal.none" .. requires "experiments.quickstart"
  house["experiments/quickstart.lua"] = requires "gal.base"
  finds("require", house, {
    "experiments/quickstart.lua:1: there is no module gal.base",
    "lua/gal/a.lua:1: there is no module gal.none",
    "lua/gal/a.lua:2: the library runs an experiment",
    "lua/gal/base/b.lua:1: base requires gal.a",
  })
end)

-- ---- the tree keeps them ----

local house = checkout()
for _, name in ipairs(names) do
  check.case("the tree keeps the rule " .. name, function()
    local found = {}
    for i, breach in ipairs(breaches(house, name)) do found[i] = breach.sentence end
    check.that(#found == 0, table.concat(found, "\n  "))
  end)
end

check.case("every module that scripts require is there", function()
  local modules = [[gal gal.nn gal.optim gal.flow gal.train gal.data gal.cli gal.plot gal.metrics gal.ode
    gal.survey gal.table gal.images gal.repl gal.mock]]
  for name in modules:gmatch "%S+" do
    check.equal(type(require(name)), "table", name)
  end
end)

check.case("every field of gal is there", function()
  local gal = require "gal"
  local functions = [[tensor zeros ones full arange rand randn rng default_rng cat kde_log_density no_grad
    scope program memory device has is_tensor load save table show]]
  for name in functions:gmatch "%S+" do
    check.equal(type(gal[name]), "function", "gal." .. name)
  end
  check.equal(tostring(gal.interrupted), "interrupted", "gal.interrupted")
  check.equal(type(gal.version), "string", "gal.version")
end)

check.finish()
