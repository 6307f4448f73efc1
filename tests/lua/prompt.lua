-- What the prompt does beside running Lua (gal.repl and lua/gal/prompt): completion, pasted text, `;`, hints,
-- and figures in the terminal. The prompt as a process is in cli/terminal.sh.
local check = dofile "lua/lib/check.lua"
local scratch = dofile "lua/lib/scratch.lua"
local gal = require "gal"
local letters = require "gal.plot.letters"
local repl = require "gal.repl"
local screen = require "gal.plot.screen"

_G.gal = gal -- as at the prompt

-- ---- completion ----

-- What a line is after Tab, and what is offered.
local function tab(line)
  local gone, more, choice = repl.complete(line)
  return line:sub(1, #line - gone) .. (more or ""), choice
end

-- An object all of whose functions fail, and the names that its class promises.
local ran = {}
local function fails(name) return function() ran[#ran + 1] = name end end
local Trap = {
  __index = fails "__index", __newindex = fails "__newindex", __call = fails "__call", __eq = fails "__eq",
  __tostring = fails "__tostring", __len = fails "__len", __lt = fails "__lt", __concat = fails "__concat",
  methods = { sample = fails "sample", scatter = fails "scatter", _hidden = fails "_hidden" },
  completes = { ["."] = "theta", posterior = "parts" },
}
local function trap()
  return setmetatable({ theta = { "a_v", "age", "not a name" }, out = "runs/a",
    parts = { ["12"] = "train", ["134"] = "test", ["1356"] = "test" } }, Trap)
end

check.case("Tab completes names, fields and methods", function()
  _G.survey_of_mine, _G.nested = 1, { inner = { [3] = { redshift = 1 }, ["logM"] = { mass = 2 } }, _own = 1 }
  check.equal(tab "x = survey_of", "x = survey_of_mine")
  check.equal(tab "nested.inn", "nested.inner")
  check.equal(tab "print(nested.inner[3].red", "print(nested.inner[3].redshift")
  check.equal(tab 'nested.inner["logM"].', 'nested.inner["logM"].mass')
  check.equal(tab "t[nested.inn", "t[nested.inner")
  check.equal(tab "nested.", "nested.inner", "what begins with _ is left out")
  check.equal(tab "nested._", "nested._own")
  check.equal(tab "?gal.ran", "?gal.rand")
  local line, choice = tab "gal.rand"
  check.equal({ line, choice }, { "gal.rand", "rand   randn" })
  check.that(gal.plot)
  check.equal(tab 'require("gal.plot").cor', 'require("gal.plot").corner')
  _G.x = gal.zeros{ 2 }
  check.equal(tab "x:res", "x:reshape")
  check.equal(tab "x.sha", "x.shape")
  check.equal(tab "x.res", "x:reshape", "a method behind a dot gets its colon")
  check.equal(tab "retu", "return")
  check.equal(tab "", "  ", "an empty line is indented")
  for nothing in ("no_such.na 3. f(). f().x nested.inner[9].x --don't-gal.ran no_such"):gmatch "%S+" do
    check.equal({ tab(nothing) }, { nothing }, nothing)
  end
end)

check.case("Tab runs no code of a value", function()
  _G.trapped = trap()
  ran = {}
  local line, choice = tab "trapped."
  check.equal(line, "trapped.")
  check.equal(choice, "a_v    age    out    parts  theta")
  check.equal(tab "trapped.a_", "trapped.a_v")
  check.equal(tab "trapped:s", "trapped:s")
  check.equal(select(2, tab "trapped:s"), "sample   scatter")
  check.equal(tab "trapped:sam", "trapped:sample")
  check.equal(tab "trapped.sam", "trapped:sample")
  check.equal(tab "trapped.none.x", "trapped.none.x")
  check.equal(tab "trapped:sample().x", "trapped:sample().x")
  local before = gal.default_rng():state()
  tab "gal.randn({3})."
  tab "gal.randn({3}):su"
  check.equal(gal.default_rng():state(), before, "nothing is drawn")
  check.equal(ran, {})
end)

check.case("Tab completes ids, columns, modules and files in quotes", function()
  _G.trapped, ran = trap(), {}
  check.equal(tab 'p = trapped:posterior("134', 'p = trapped:posterior("134"')
  check.equal({ tab 'trapped:posterior("1' }, { 'trapped:posterior("1', "12    134   1356" })
  check.equal({ tab "trapped:posterior '13" }, { "trapped:posterior '13", "134   1356" })
  check.equal(ran, {})
  _G.t = gal.table{ redshift = { 1 }, mass = { 2 } }
  check.equal(tab 't:column("red', 't:column("redshift"')
  local function required(part) return tab("require(\"" .. part) end
  check.equal(required "gal.calib", 'require("gal.calibration"')
  check.equal(required "gal.plot.scree", 'require("gal.plot.screen"')
  scratch.run "mkdir -p runs/image; touch 'runs/a b.csv' runs/.hidden"
  local home = scratch.folder .. "/"
  check.equal(tab('gal.open("' .. home .. "ru"), 'gal.open("' .. home .. "runs/")
  check.equal(tab('gal.open("' .. home .. "runs/"), 'gal.open("' .. home .. "runs/")
  check.equal(select(2, tab('gal.open("' .. home .. "runs/")), "a b.csv  image/")
  check.equal(tab('gal.table("' .. home .. "runs/a"), 'gal.table("' .. home .. 'runs/a b.csv"')
  check.equal(tab("!ls " .. home .. "runs/im"), "!ls " .. home .. "runs/image/")
end)

check.case("a long list is cut, and says how much is left", function()
  local many = {}
  for i = 1, 5000 do many["g" .. i] = "test" end
  _G.trapped = setmetatable({ parts = many }, Trap)
  local _, choice = tab 'trapped:posterior("g'
  local shown, left = 0, tonumber(choice:match "%.%.%. (%d+) more$")
  for _ in choice:gmatch "g%d+" do shown = shown + 1 end
  check.equal(shown + left, 5000)
  check.that(select(2, choice:gsub("\n", "")) < 20, choice)
end)

check.case("the public modules are fields of gal", function()
  local prefix = "gal."
  for name in ("nn optim flow train data mock infer metrics calibration ode plot cli"):gmatch "%a+" do
    check.that(rawequal(gal[name], require(prefix .. name)), name)
  end
  check.equal({ gal.no_such, type(gal.table), type(gal.tensor) }, { nil, "function", "function" })
end)

-- ---- lines ----

local function says(text)
  local chunk = assert(repl.compile(text, 1, false))
  return repl.show(chunk(repl.marks))
end

check.case("a ; behind an expression keeps quiet, and _ has the value", function()
  check.equal(says "6 * 7;", nil)
  check.equal(says "_", "42")
  check.equal(says "'a;' ; ", nil)
  check.equal(says "43 -- three;", "43")
  check.equal(says "'a;'", '"a;"')
  check.equal(says "= 44;", nil)
  check.equal(says "_", "44")
end)

-- The chunks of a text.
local function chunks(text)
  local list = {}
  while true do
    local chunk, rest = repl.next_chunk(text)
    if not chunk then return list end
    list[#list + 1], text = chunk:gsub("%s+$", ""), rest
  end
end

check.case("a pasted text is taken apart into its chunks", function()
  local loop = "for i = 1, 2 do\n\n  print(i)\nend"
  check.equal(chunks("local a = 1\n\nlocal b = f(a)\n  :sum()\n  + 2\nb\n" .. loop .. "\n?gal\n"), {
    "local a = 1", "", "local b = f(a)\n  :sum()\n  + 2", "b", loop, "?gal",
  })
  check.equal(chunks "-- words\nx = 1 -- more\n  - 2\ny = not x\n  and 1\n  or 2\n", {
    "-- words", "x = 1 -- more\n  - 2", "y = not x\n  and 1\n  or 2",
  })
  check.equal(chunks "x = = 1\ny = 2\n", { "x = = 1", "y = 2" })
  check.equal(chunks " \n\n", {})
  check.equal(select(3, repl.next_chunk("f(\n1)\n\nx", 5)), 7, "the next chunk's first line")
  check.equal(repl.unfinished "x = 1\nfunction f()\n  return 1\n", true)
  check.equal(repl.unfinished "x = 1\nfunction f()\n  return 1\nend\n", false)
end)

check.case("help is filled to a width, and its lists stay lists", function()
  local filled = require("gal.prompt.help").filled
  local words = ("word "):rep(20) .. "\n" .. ("more "):rep(3)
  check.equal(filled(words, 30), (("word "):rep(6):sub(1, -2) .. "\n"):rep(3) .. "word word more more more")
  check.equal(filled("a short line\nanother\n  indented", 30), "a short line\nanother\n  indented")
  check.equal(filled("  seed = 0   a number that is long enough to be cut\n  out        a folder", 30),
    "  seed = 0   a number that is\n             long enough to be\n             cut\n  out        a folder")
  local text = filled(tostring(repl.help "gal.plot.corner"), 60)
  for line in text:gmatch "[^\n]+" do check.that(#line <= 66, line) end
end)

check.case("a sign that compares a tensor is told its method", function()
  local galrun = scratch.galrun
  scratch.write(scratch.path "compare.lua", "local gal = require 'gal'\nlocal draws = gal.ones{3}\n"
    .. "local all = { draws }\nif draws <= 9.5 then print 'never' end\n")
  local _, said = scratch.run(galrun .. " compare.lua")
  check.equal(said:match "^[^\n]*",
    "compare.lua:4: attempt to compare table with number; tensors compare by methods: draws:le(9.5)")
  _, said = scratch.run(galrun .. " -e 'draws = gal.ones{3} print(draws > 9)'")
  check.that(said:find("methods: draws:gt(…)", 1, true), said)
  _, said = scratch.run(galrun .. " -e 'local t = {} print(t > 9)'")
  check.that(not said:find "methods", said)
end)

-- ---- pictures ----

check.case("a terminal is known by its name, or by its answer", function()
  local function named(variables) return screen.named(function(name) return variables[name] end) end
  check.equal(named{}, "text")
  check.equal(named{ TERM = "dumb" }, "text")
  check.equal(named{ TERM = "xterm-kitty" }, "kitty")
  check.equal(named{ TERM = "xterm-kitty", TMUX = "/tmp/t" }, nil)
  check.equal(named{ TERM = "xterm-256color", TERM_PROGRAM = "WezTerm" }, "iterm")
  check.equal(named{ TERM = "screen-256color", LC_TERMINAL = "iTerm2" }, nil)
  check.equal(named{ TERM = "xterm-256color" }, nil)
  for answer, kind in pairs{ -- of kitty 0.26, xterm -ti 340, xterm, and one that says nothing
    ["\27_Gi=31;OK\27\\\27[6;17;7t\27[?62;c"] = "kitty",
    ["\27[6;13;6t\27[?63;1;2;4;6;9;15;16;22;28c"] = "sixel",
    ["\27[?64;1;2;6;9;14;15;16;17;18;21;22c"] = "text", [""] = "text",
  } do
    check.equal((screen.answered(answer)), kind, answer:sub(2))
  end
  check.equal({ screen.answered "\27[6;13;6t\27[?62;4c" }, { "sixel", 6, 13 })
end)

check.case("base 64 is that of RFC 4648", function()
  for bytes, text in pairs{ [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foobar = "Zm9vYmFy" } do
    check.equal(screen.base64(bytes), text)
  end
end)

check.case("no bytes of a picture go to what is no terminal", function()
  scratch.write(scratch.path "show.lua", "local gal = require 'gal'\n"
    .. "gal.show(gal.plot.corner(gal.randn{ 100, 2 }), 'shown.png')\n")
  for _, kind in ipairs{ "kitty", "iterm", "sixel", "text", "auto" } do
    local code, said = scratch.run(("%s --pictures %s show.lua"):format(scratch.galrun, kind))
    check.equal({ code, said }, { 0, "shown.png\n" }, kind)
  end
  local _, said = scratch.run("echo 'gal.plot.corner(gal.randn{ 100, 2 })' | " .. scratch.galrun)
  check.equal(said, "figure of 4 panels; gal.show(figure) draws it\n")
end)

check.case("a label in letters has no markup, small digits, and letters of an index behind a _", function()
  check.equal(letters.plain "log ⁠{/:Italic M}_{⋆}⁠ [{/:Italic M}_{⊙}]", "log M⋆ [M⊙]")
  check.equal(letters.plain "{/:Italic D}_{{/:Italic n}}(4000)", "D_n(4000)")
  check.equal(letters.plain "log_{10} SFR / yr^{−1}", "log₁₀ SFR / yr⁻¹")
end)

-- The lines that gal.show writes for a figure in a terminal of letters.
local function in_letters(path, columns, rows)
  local host = require "gal.base.host"
  local before = { host.columns, host.cells, host.pictures }
  host.columns, host.cells, host.pictures = function() return columns end,
    function() return columns, rows, 8, 16 end, "text"
  local shown = screen.text(path)
  host.columns, host.cells, host.pictures = unpack(before)
  for line in shown:gmatch "[^\n]+" do check.that(require("gal.base.text").length(line) <= columns, line) end
  return shown
end

check.case("a corner plot in letters has its labels whole, and where it is narrow no pairs", function()
  local plot, names = require "gal.plot", { "lgm_tot_p50", "sfr_tot_p50", "oh_p50", "d4000_n", "a_v" }
  local draws = gal.randn({ 400, 5 }, { rng = gal.rng(3) })
  local figure = plot.corner(draws, { names = names, truths = { a_v = 0 } })
  local path = plot.figure(scratch.path "corner.png", figure)
  local narrow, wide = in_letters(path, 80, 24), in_letters(path, 120, 40)
  for _, label in ipairs{ "log M⋆", "log SFR", "12 + log₁₀(O/H)", "D_n(4000)", "A_V" } do
    local both = narrow:find(label, 1, true) and wide:find(label, 1, true)
    check.that(both, label .. " is not in\n" .. narrow .. wide)
  end
  check.that(not narrow:find "…" and not wide:find "…", narrow .. wide)
  check.that(narrow:find "The 10 panels of two properties want 109 columns, and this terminal has 80", narrow)
  check.equal(select(2, narrow:gsub("truth", "")), 1) -- at the top of its property's frame
  local function edges(shown) return select(2, shown:gsub("%+%-%-", "")) end
  check.equal({ edges(narrow), edges(wide) }, { 10, 30 })
  check.that(select(2, narrow:gsub("\n", "")) <= 24, "more than a terminal:\n" .. narrow)
end)

check.case("numbers of an axis in letters don't touch, and lines have the letters of their legend", function()
  local plot = require "gal.plot"
  local x, star = { 0, 1, 2, 3, 4 }, require("gal.tensor").new({ 20, 20, 3 }, "uint8", "cpu"):fill_(0)
  star:set(255, 6, 16, 1)
  local path = plot.figure(scratch.path "lines.png", { panels = {
    plot.panel{ plot.lines(x, { 0, 1, 2, 3, 4 }, { title = "up" }),
      plot.lines(x, { 4, 3, 2, 1, 0 }, { title = "down" }), x = "$x_1$", y = "height, m" },
    plot.panel{ plot.picture(star), title = "star" },
  } })
  local shown = in_letters(path, 80, 24)
  check.that(shown:find("*** up   ### down", 1, true) and shown:find "x₁" and shown:find "height, m", shown)
  local row = shown:match "[^\n]*@[^\n]*"
  check.that(row:find "@" > 60, "the star is not in its picture's right half:\n" .. shown)
end)

scratch.remove()
check.finish()
