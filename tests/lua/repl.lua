-- gal.repl: how values look at the prompt, what a line means, where help comes from. The prompt as a process
-- is in cli/terminal.sh.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local learned = require "gal.posterior.learned"
local repl = require "gal.repl"
local width = require("gal.base.text").length

-- Runs a line as the host does and returns what is printed.
local function says(text)
  local chunk, message = repl.compile(text, 1, false)
  if not chunk then return nil, message end
  return repl.show(chunk(repl.marks))
end
local function shows(value, expected) check.equal(repl.format(value), expected) end

check.case("numbers, strings, booleans and nil are shown as Lua writes them", function()
  shows(42, "42")
  shows(0.1, "0.1")
  shows(nil, "nil")
  shows("two\nlines \"quoted\"", '"two\\nlines \\"quoted\\""')
  shows({}, "{}")
  shows({ 1, 2, { a = "b", [true] = 3, ["log M"] = 4, ["end"] = 5 } },
    '{1, 2, {a = "b", ["end"] = 5, ["log M"] = 4, [true] = 3}}')
end)
check.case("numbers in a table have four digits, whole ones and a number alone all of theirs", function()
  shows(1 / 3, "0.33333333333333")
  shows({ 1 / 3, -12345.678, 6.85232623e-7, 1e300 }, "{0.3333, -1.235e+04, 6.852e-07, 1e+300}")
  shows({ 9007199254740991, 123456789, 0, -2 }, "{9007199254740991, 123456789, 0, -2}")
  shows({ a_v = 0.24857732653618, { 2.5 }, nan = 0 / 0 }, "{{2.5}, a_v = 0.2486, nan = nan}")
  shows({ [0.123456] = 1 }, "{[0.123456] = 1}")
end)
check.case("tables are cut in depth and length, and may hold themselves", function()
  shows({ { { { 1 } } } }, "{{{{...}}}}")
  local long = {}
  for i = 1, 1000 do long[i] = i end
  check.that(repl.format(long):find("20, ... 980 more}", 1, true), repl.format(long))
  local loop = {}
  loop.me = loop
  shows(loop, "{me = {... itself}}")
  check.that(#repl.format { a = ("x"):rep(60), b = ("y"):rep(60) } > 120, "a wide table has a line an entry")
  check.that(repl.format { a = ("x"):rep(60), b = ("y"):rep(60) }:find(",\n  b = "),
    "a wide table has a line an entry")
end)
check.case("a value with __tostring is shown as that says", function()
  shows(setmetatable({}, { __tostring = function() return "a run" end }), "a run")
end)
check.case("a table whose metatable raises is shown", function()
  check.equal(repl.format(setmetatable({ 1 }, { __index = function() error("no") end })), "{1}")
end)

check.case("a tensor is shown as it prints, and inside a table in one line", function()
  for _, x in ipairs { gal.tensor(5), gal.tensor { { 1, 2.5 }, { -3, 4 } }, gal.zeros { 100, 50 } } do
    check.equal(repl.format(x), tostring(x))
  end
  check.equal(repl.format { gal.zeros { 100, 50 } }, "{tensor {100, 50} float32}")
end)

check.case("an expression is shown, an assignment is not", function()
  check.equal(says("1 + 1"), "2")
  check.equal(says("= 1 + 1"), "2")
  check.equal(says("1, nil, 'x' -- three"), '1\nnil\n"x"')
  check.equal(says("repl_test = 3"), nil)
  check.equal(says("repl_test"), "3")
  check.equal(says("nil"), "nil")
  check.equal(says(""), nil)
  check.equal(says("-- a comment"), nil)
end)
check.case("_ is the last value that was not nil", function()
  says("7")
  says("nil")
  check.equal(says("_"), "7")
end)
check.case("an unfinished chunk asks for more lines, a wrong one does not", function()
  for _, open in ipairs {
    "for i = 1, 2 do", "f(", "x = {", "1 +", "function f()", "s = [[", "= 1 +", "local function f()",
  } do
    local chunk, message = repl.compile(open, 1, false)
    check.that(chunk == nil and message == nil, open .. " is not taken for open")
    chunk, message = repl.compile(open, 1, true)
    check.that(chunk == nil and message ~= nil, open .. " has no message at the end of the input")
  end
  for _, wrong in ipairs { "1 1", "x = = 1", "end", "for 3", "= x y" } do
    local chunk, message = repl.compile(wrong, 1, false)
    check.that(chunk == nil and message ~= nil and message:find("^stdin:1: "),
      wrong .. " is not refused: " .. tostring(message))
  end
end)
check.case("a message counts lines from the chunk's first", function()
  local _, message = repl.compile("x = 1\ny = = 2", 10, false)
  check.that(message:find("^stdin:11: "), message)
end)
check.case("a local at the prompt stays for the session", function()
  local lines = {
    ["local repl_a = 1"] = "repl_a", ["local repl_b, repl_c = 1, 2"] = "repl_c",
    ["local function repl_f() return 1 end"] = "repl_f",
  }
  for text, name in pairs(lines) do
    says(text)
    check.that(_G[name] ~= nil, name .. " is gone")
  end
  says("local repl_c")
  check.that(_G.repl_c == nil, "a local without a value is not nil")
end)

check.case("help is the comment above a function", function()
  check.that(says("?require('gal.repl').format"):find("any value as a user wants to see it"),
    says("?require('gal.repl').format"))
end)
check.case("help of a module is what its file opens with, and its functions", function()
  local text = says("?gal.repl")
  check.that(text:find("^repl: what the prompt does with a line")
    and text:find("compile, complete, filled, format, help", 1, true), text)
end)
-- The names of the functions and tables of t that `?prefix name` finds no help for.
local function helpless(prefix, t)
  local without = {}
  for key, v in pairs(t) do
    local public = type(key) == "string" and not key:match "^__"
      and (type(v) == "function" or type(v) == "table")
    local text = public and says("?" .. prefix .. key)
    if text and (text:find "^No help" or text:find "^There is no") then
      without[#without + 1] = prefix .. key
    end
  end
  table.sort(without)
  return without
end

check.case("every function and table of the public modules has help", function()
  local modules = { "nn", "optim", "flow", "train", "data", "mock", "infer", "metrics", "ode", "plot",
    "cli", "images" }
  check.equal(helpless("gal.", gal), {})
  for _, name in ipairs(modules) do
    local full = "gal." .. name
    check.equal(helpless(full .. ".", require(full)), {}, name)
    local text = says("?" .. full)
    check.that(#text > 60 and text:find "Functions: ", text)
  end
end)
check.case("every method of what users hold has help", function()
  local flow = require("gal.flow").new{ theta = 1, context = 1, hidden = { 2 } }
  local nn = require "gal.nn"
  local held = {
    flow = flow, survey = require("gal.data").arrays(gal.zeros{ 2, 1 }, gal.zeros{ 2, 1 }),
    t = gal.table{ a = { 1 } },
    rng = gal.rng(1), opt = require("gal.optim").sgd(nn.linear(1, 1):parameters()),
    line = require("gal.cli").progress{},
  }
  for name, object in pairs(held) do
    _G[name] = object
    local methods = getmetatable(object).methods or getmetatable(object).__index
    check.equal(helpless(name .. ":", methods), {}, name)
  end
  _G.net = nn.linear(1, 1)
  local methods = {}
  for _, name in ipairs{ "parameters", "state", "load_state", "to" } do methods[name] = net[name] end
  check.equal(helpless("net:", methods), {}, "net")
  _G.x = gal.zeros{ 2, 2 }
  check.equal(helpless("x:", require("gal.tensor").methods), {}, "tensor")
end)
check.case("help is found by the shortest name, before a module is loaded, and by the value", function()
  check.that(says "?gal.train.quick":find("^train.quick%(part"), says "?gal.train.quick")
  check.equal(says "?train.quick", says "?gal.train.quick")
  check.that(says "?gal.mock":find("mock survey", 1, true), says "?gal.mock")
  local infer = says "?gal.infer"
  check.that(infer:find("^infer: .*Functions: catalogue, .*posteriors, score, summary"), infer)
  check.that(says "?gal.plot":find("Functions: arrow, band, box, contours", 1, true), says "?gal.plot")
  -- The function, which has the name of the room gal.cli.common.
  check.that(says "?gal.cli.common":find("^cli.common{"), says "?gal.cli.common")
  check.that(says "?gal.train.fitt":find("^There is no gal.train.fitt"), says "?gal.train.fitt")
end)
check.case("?name is the help of that name, or there is none: never another's", function()
  for name, head in pairs{
    ["gal.flow.new"] = "^flow.new{", ["flow.new"] = "^flow.new{", ["gal.flow.load"] = "^flow.load%(",
    ["gal.data.open"] = "^data.open%(path", ["gal.ode.rk4"] = "^ode.rk4%(", ["gal.train.fit"] = "^train.fit{",
    ["train.fit"] = "^train.fit{", ["nn.mlp"] = "^nn.mlp{", ["gal.images.open"] = "^open%(path",
    ["gal.table"] = "^gal.table%(", ["flow:sample"] = "^flow:sample%(",
    ["gal.flow:sample"] = "^flow:sample%(",
    ["x:matmul"] = "^a:matmul%(", ["gal.table.read"] = "^There is no gal.table.read",
    ["gal.survey.new"] = "^There is no", ["survey.new"] = "^There is no", ["new"] = "^There is no new",
    ["read"] = "^There is no read", ["gal.flow.sample"] = "^There is no", ["flow:nothing"] = "^There is no",
    ["gal.metrics.split"] = "^There is no", ["x:nothing"] = "^There is no",
  } do
    -- A fresh session each: nothing but gal has been loaded.
    local pipe = io.popen(("printf '?%s\n' | '%s'"):format(name, require("gal.host").executable))
    local text = pipe:read "*a"
    pipe:close()
    check.that(text:find(head), ("?%s: %s"):format(name, text:sub(1, 80)))
  end
  _G.flow = require("gal.flow").new{ theta = 1, context = 0, hidden = { 2 } }
  check.that(says "?flow.new":find "^flow.new{", says "?flow.new")
  _G.survey = require "gal.survey"
  check.that(says "?survey.new":find "^There is no survey.new", says "?survey.new")
end)
check.case("help of a value is a line for each of its methods", function()
  local nn = require "gal.nn"
  for value, lines in pairs{
    [gal.zeros{ 2, 3 }] = { "^tensor {2, 3} float32\n", "\n  x:sum%(%[dim", "\n  x:narrow%(dim" },
    [require("gal.flow").new{ theta = { "m" }, context = 0, hidden = { 2 } }] = {
      "^flow of m", "\n  flow:sample%(x",
    },
    [gal.table{ z = { 1 } }] = { "^table in memory", "\n  t:column%(name%) %-%-> a float32 tensor" },
    [require("gal.data").arrays(gal.zeros{ 2, 1 })] = { "\n  survey:split%(part%): the galaxies of a part" },
    [gal.rng(1)] = { "^rng 1:0", "\n  r:permutation%(n%)", "\n  r:state%(%)" },
    [setmetatable({ history = learned.history{} }, { __index = { begin = print } })] = {
      "\n  run:history%(%): its learning curve", "\n  begin",
    },
    [setmetatable({}, { __index = { f = print }, __tostring = function() return ("ö "):rep(99) end })] = {
      "^ö .* %.%.%.\n\nMethods:",
    },
    [nn.linear(1, 1)] = { "\n  m:parameters%(%): the trainable", "\n  m:to%(device%)" },
    [require("gal.images").of(gal.zeros{ 2, 3 })] = { "^images {2, 3}", "\n  images:batch%(first, count" },
    [require("gal.optim").sgd(nn.linear(1, 1):parameters())] = { "\n  opt:step%(%): one update" },
  } do
    _G.asked = value
    local text = says "?asked"
    for _, line in ipairs(lines) do check.that(text:find(line), ("no %q in %s"):format(line, text)) end
    for line in text:match "Methods:\n(.*)$":gmatch "[^\n]+" do check.that(width(line) <= 100, line) end
    check.that(width(text:match "^[^\n]*") <= 100, "the first line is " .. text)
  end
end)
check.case("asking for help about an unknown name says that it is unknown", function()
  check.that(says("?frobnicate"):find("no frobnicate"), says("?frobnicate"))
end)

check.finish()
