-- gal.cli, gal.base.text and gal.base.progress without a process: how options are read, how tables and
-- progress lines look. Exit codes and the printed --help are in cli/run.sh.
local check = dofile "lua/lib/check.lua"
local scratch = dofile "lua/lib/scratch.lua"
local cli = require "gal.cli"

local spec = {
  { "survey", "here", "a folder" }, { "theta", { "a", "b" }, "columns" },
  { "x_test", nil, "a file", type = "string" }, epochs = 200, lr = { 5e-4, "rate" }, resume = false,
  dereddened = true, hidden = { { 256, 256 }, "layers" }, draws = { 8, "draws", type = "integer" },
  sample = { "none", "rows", choices = { "none", "paper" } },
}
local function read(...) return cli.parse(spec, { ... }) end
local function refused(pattern, ...)
  local o, message = read(...)
  check.that(o == nil, "it was accepted")
  check.that(message and message:find(pattern),
    ("the sentence is %q, expected one matching %q"):format(tostring(message), pattern))
end

check.case("~/ behind = is the home folder, as the shell has it; another ~ is refused", function()
  local home = os.getenv "HOME"
  check.equal(read("--x-test=~/runs/a", "--survey=~").x_test, home .. "/runs/a")
  check.equal(read("--survey=~").survey, home)
  check.equal(read("--survey=./~/a").survey, "./~/a")
  check.equal(read("--survey=a~b/~").survey, "a~b/~")
  refused("%-%-survey is '~friend/a', in which the shell has not expanded ~", "--survey=~friend/a")
  local function make() require("gal.base.path").make "~/galrun" end
  check.raises(make, "~/galrun: ~ stands for the home folder")
end)
check.case("an option that is not given has its default", function()
  local o = read()
  check.equal({ o.survey, o.epochs, o.lr, o.resume, o.dereddened, o.draws, o.x_test == nil },
    { "here", 200, 5e-4, false, true, 8, true })
  check.equal(o.theta, { "a", "b" })
  check.equal(o.hidden, { 256, 256 })
end)
check.case("a value is the next word or follows =", function()
  local o = read("--epochs", "3", "--lr=1e-3", "--survey=a=b")
  check.equal({ o.epochs, o.lr, o.survey }, { 3, 1e-3, "a=b" })
end)
check.case("a value may begin with one dash", function() check.equal(read("--lr", "-2").lr, -2) end)
check.case("dashes and underscores in names are the same", function()
  check.equal(read("--x-test", "a").x_test, "a")
  check.equal(read("--x_test", "a").x_test, "a")
end)
check.case("a boolean is --name or --no-name", function()
  check.equal(read("--resume").resume, true)
  check.equal(read("--no-dereddened").dereddened, false)
  check.equal(read("--resume=false").resume, false)
  refused("no value", "--no-resume=true")
end)
check.case("lists have commas, and numbers stay numbers", function()
  check.equal(read("--theta", "dn, mass").theta, { "dn", "mass" })
  check.equal(read("--hidden", "64,32").hidden, { 64, 32 })
  refused("numbers with commas", "--hidden", "64,wide")
end)
check.case(
  "the last of two wins", function() check.equal(read("--epochs", "1", "--epochs", "2").epochs, 2) end)
check.case("a default list belongs to the declaration and is not shared", function()
  local o = read()
  o.theta[1] = "changed"
  check.equal(read().theta[1], "a")
end)
check.case("wrong words are refused in a sentence that names them", function()
  refused("'%-%-epoch'; did you mean %-%-epochs%?", "--epoch", "3")
  refused("did you mean %-%-no%-resume", "--no-resum")
  refused("did you mean %-%-dereddened", "--dered")
  refused("%-%-help lists them", "--frobnicate")
  refused("%-%-epochs is 'many', expected a number", "--epochs", "many")
  refused("%-%-epochs is 'nan'", "--epochs", "nan")
  refused("%-%-draws is '2.5', expected a whole number", "--draws", "2.5")
  refused("%-%-sample is 'all', expected one of none, paper", "--sample", "all")
  refused("%-%-epochs is without its value", "--epochs")
  refused("%-%-epochs is without its value", "--epochs", "--resume")
  refused("'survey' is no option", "survey")
end)
check.case("numbers outside the declared limits are refused, those of a list too", function()
  local limits = { n = { 200, "draws", type = "integer", least = 39 }, lr = { 5e-4, "rate", above = 0 },
    size = { 8, "pixels", least = 1, most = 16 }, widths = { { 8 }, "layers", type = "integers", least = 1 },
    steps = { "auto", "steps", type = "steps" } }
  local function one(...) return cli.parse(limits, { ... }) end
  local function wrong(sentence, ...) check.equal(select(2, one(...)), sentence) end
  local o = one("--n", "39", "--lr", "1e-9", "--size", "16", "--widths", "1,64", "--steps", "4")
  check.equal({ o.n, o.lr, o.size, o.widths, o.steps, one("--steps", "auto").steps },
    { 39, 1e-9, 16, { 1, 64 }, 4, "auto" })
  wrong("--n is '38', expected a whole number of at least 39", "--n", "38")
  wrong("--lr is '0', expected a number above 0", "--lr", "0")
  wrong("--size is '17', expected a number from 1 to 16", "--size", "17")
  wrong("--widths is '8,0', expected whole numbers with commas between them, each of at least 1",
    "--widths", "8,0")
  wrong("--widths is '8,2.5', expected whole numbers with commas between them, each of at least 1",
    "--widths", "8,2.5")
  for _, text in ipairs{ "fast", "0", "2.5" } do
    wrong(("--steps is '%s', expected a whole number of at least 1, or auto"):format(text), "--steps", text)
  end
  check.raises(function() cli.parse({ n = { 1, "draws", lest = 1 } }, {}) end, "n has the field 'lest'")
end)
check.case("an option without a default must be given", function()
  local required = { out = { nil, "a folder", type = "string", required = true } }
  local _, message = cli.parse(required, {})
  check.that(message:find("%-%-out is missing"), message)
  check.equal(cli.parse(required, { "--out", "x" }).out, "x")
end)
check.case("a positional option takes a word of its own, by name too", function()
  local places = { { "run", "runs/a", positional = true },
    { "other", nil, type = "string", positional = true }, n = 1 }
  local o = cli.parse(places, { "runs/b", "--n", "2", "runs/c" })
  check.equal({ o.run, o.other, o.n }, { "runs/b", "runs/c", 2 })
  check.equal(cli.parse(places, { "--run", "runs/d" }).run, "runs/d")
  local _, message = cli.parse(places, { "a", "b", "c" })
  check.that(message:find("'c' is no option"), message)
end)
check.case("--help is no error", function()
  local o, message = read("--help")
  check.that(o == nil and message == nil, "expected nil, nil")
end)
check.case("usage shows options in their order, with defaults, choices and what is required", function()
  local text = cli.usage(spec, "train.lua", "Trains.")
  local last = 0
  for _, name in ipairs {
    "%-%-survey", "%-%-theta", "%-%-x%-test", "%-%-%[no%-%]dereddened", "%-%-draws", "%-%-epochs",
    "%-%-hidden", "%-%-lr", "%-%-%[no%-%]resume", "%-%-sample",
  } do
    local at = text:find(name .. "[ \n]")
    check.that(at and at > last, name .. " is not in its place in\n" .. text)
    last = at
  end
  check.that(text:find("columns %(default: a,b%)") and text:find("none, paper; default: none")
    and text:find("Trains."), text)
end)
check.case("usage is 80 columns wide, and only words that are longer stand out", function()
  local text = cli.usage(spec, "train.lua", ("Trains on rows. "):rep(20))
  for line in text:gmatch("[^\n]+") do check.that(#line <= 80, line) end
  check.that(text:find("\n  %-%-%[no%-%]dereddened  "), text)
end)
check.case("groups of common options are declarations like others, and some may be changed", function()
  local own = { { "out", "runs/a" },
    cli.common{ "training", "sigma", lr = 1e-3, draws = { 8, "draws an image" }, batch = 32 } }
  local o = cli.parse(own, { "--schedule", "cosine", "--clip", "2" })
  check.equal({ o.out, o.lr, o.draws, o.sigma, o.schedule, o.clip, o.average },
    { "runs/a", 1e-3, 8, 0.05, "cosine", 2, true })
  check.that(cli.usage(own, "a.lua"):find("draws an image %(default: 8%)"), cli.usage(own, "a.lua"))
  local _, message = cli.parse(own, { "--lr", "0" })
  check.equal(message, "--lr is '0', expected a number above 0")
  check.equal(cli.parse({ cli.common{ "training" } }, {}).batch, 64) -- the shared declaration is as it was
  check.raises(function() cli.common{ "trainning" } end, "no group and no option 'trainning'", true)
  check.raises(function() cli.common{ "network", lr = 1 } end, "'lr' is in none of the groups", true)
  check.raises(function() cli.parse({ cli.common{ "training" }, { "lr", 1 } }, {}) end,
    "lr is declared twice", true)
end)
check.case("the values of a group are what a function of the library takes, and no others", function()
  local o = cli.parse({ cli.common{ "network", "solver" }, n = 3 }, { "--steps", "7", "--sigma", "0" })
  check.equal(cli.values(o, { "solver", "sigma" }, { n = o.n }),
    { steps = 7, tolerance = 1e-3, sigma = 0, n = 3 })
end)
check.case("fit takes every option of the group training, and the two trainings have them all", function()
  local runs = {}
  for _, name in ipairs{ "train_photometry", "train_image", "fit_posterior" } do
    runs[name] = {}
    for _, d in ipairs(cli.declared(("../experiments/%s.lua"):format(name))) do runs[name][d.name] = d end
  end
  local flow = require("gal.flow").new{ theta = 1, context = 1, hidden = { 2 } }
  local x = require("gal").rand{ 9, 1 }
  local all = { "--preset", "auto", "--draws", "2", "--time-power", "3", "--lr", "1e-3", "--schedule",
    "constant", "--weight-decay", "0", "--clip", "9", "--decay", "1", "--epochs", "1", "--patience", "9" }
  local o = cli.parse({ cli.common{ "training" } }, all)
  require("gal.train").fit(
    cli.values(o, { "training" }, { flow = flow, theta = x, context = x, progress = false }))
  for _, d in ipairs(cli.common{ "training" }) do
    local name = d[1]
    for run, options in pairs(runs) do check.that(options[name], ("%s has no --%s"):format(run, name)) end
    check.equal(runs.train_image[name] and runs.train_image[name].type,
      runs.train_photometry[name].type, name)
  end
end)
check.case("an experiment's options are data: read without running it", function()
  local path = scratch.write(scratch.path "own.lua",
    "ran = 1 local o = require('gal.cli').options{ { 'n', 3, 'draws', least = 1 }, out = 'runs' } ran = 2")
  local list = cli.declared(path)
  check.equal({ list[1].name, list[1].default, list[1].help, list[1].least, list[1].type },
    { "n", 3, "draws", 1, "number" })
  check.equal({ list[2].name, list[2].default, ran }, { "out", "runs", 1 })
  check.equal(cli.parse(list, { "--n", "7" }).n, 7)
  scratch.write(path, "return 1")
  check.raises(function() cli.declared(path) end, "ends without a call of cli.options", true)
  os.remove(path)
  check.raises(function() cli.declared(path) end, "cannot open", true)
  for _, name in ipairs{
    "evaluate", "sample", "make_survey", "show_survey", "reference_posterior", "quickstart", "fetch_sdss",
  } do
    check.that(#cli.declared(("../experiments/%s.lua"):format(name)) > 3, name)
  end
end)

check.case("an option that was not declared raises where it is read", function()
  check.raises(function() local o = read() return o.epoch end, "'epoch' was not declared", true)
end)
check.case("a declaration without default or type raises at its line", function()
  check.raises(function() local o = cli.parse({ out = { nil, "a folder" } }, {}) return o end,
    "out has neither a default nor a type", true)
  check.raises(function() local o = cli.parse({ out = { "a", kind = "string" } }, {}) return o end,
    "field 'kind'", true)
end)

check.case("a table has numbers at the right and texts at the left, padded by characters", function()
  local rows = { { "log M*", 1.23456, "0.12 ± 0.03" }, { "A_V", 12, "10.5 ± 1.0" }, { "x" } }
  check.equal(cli.table(rows, { "theta", "W1", "Δ" }), [[
theta      W1            Δ
--------------------------
log M*  1.235  0.12 ± 0.03
A_V        12   10.5 ± 1.0
x]])
end)

-- A progress object whose clock stands still until moved, and what it wrote.
local function recorded(o)
  local text, now = {}, 0
  o.out = { write = function(_, ...)
    for i = 1, select("#", ...) do text[#text + 1] = (select(i, ...)) end
  end, flush = function() end }
  o.clock = function() return now end
  return cli.progress(o), function() return table.concat(text) end, function(seconds) now = now + seconds end
end

local function count_lines(text) return select(2, text:gsub("\n", "")) end

check.case("work shorter than `after` shows nothing, longer work a line from then on", function()
  for _, terminal in ipairs { false, true } do
    local p, text, wait = recorded { total = 10, unit = "draws", after = 2, terminal = terminal,
      columns = 80 }
    p:update { done = 1 }
    wait(1.5)
    p:update { done = 9 }
    p:finish()
    check.equal(text(), "")
    wait(1)
    p:update { done = 9 }
    p:update { done = 10 }
    p:finish()
    check.that(text():find "10/10, .*in 2.5 s", text())
  end
end)

check.case("where short work shows nothing, the time left goes by the pace after the first piece", function()
  local p, text, wait = recorded { total = 1000, unit = "draws", after = 2, terminal = true, columns = 80 }
  p:update { done = 0 }
  wait(4)
  p:update { done = 1 } -- 4 s of preparation and a small piece: no 1 h 06 min
  check.equal(text(), "\r1/1000\27[K")
  wait(1)
  p:update { done = 101 }
  check.that(text():find("\r101/1000, 100 draws/s, 9.0 s left\27[K", 1, true), text())
  wait(5)
  p:update { done = 1000 }
  p:finish()
  check.that(text():find("\r1000/1000, 100 draws/s, in 10 s\27[K\n", 1, true), text())
end)

check.case("a log gets a line an epoch, with losses, rate and time left", function()
  local p, text, wait = recorded { total = 10, unit = "epochs" }
  for epoch = 1, 3 do
    for part = 1, 4 do
      wait(0.5)
      p:update { epoch = epoch, done = epoch - 1 + part / 4, train = 1 / epoch }
    end
    p:update { epoch = epoch, done = epoch, valid = 2 / epoch, best = 0.5 }
  end
  check.equal(count_lines(text()), 2)
  check.that(text():find("epoch 2/10, train 0.5, valid 1, best 0.5, 2.0 s an epoch, 16 s left\n", 1, true),
    text())
  p:finish()
  p:finish()
  check.equal(count_lines(text()), 3)
  check.that(text():find("epoch 3/10, train 0.3333, valid 0.6667, best 0.5, 2.0 s an epoch, in 6.0 s\n", 1,
    true), text())
end)
check.case("a log of fast epochs gets a line a second at most", function()
  local p, text, wait = recorded { total = 1000 }
  for epoch = 1, 100 do
    wait(0.1)
    p:update { epoch = epoch, done = epoch }
  end
  local lines = count_lines(text())
  check.that(lines >= 9 and lines <= 11, ("%d lines in 10 s"):format(lines))
end)
check.case("a terminal's line is redrawn in place, ten times a second at most, and never wraps", function()
  local p, text, wait = recorded { total = 10, terminal = true, columns = 30, label = "training" }
  for step = 1, 1000 do
    wait(0.01)
    p:update { epoch = 1, done = step / 1000, train = 0.123456, valid = 0.5 }
  end
  local _, redrawn = text():gsub("\r", "")
  check.that(redrawn >= 90 and redrawn <= 101, ("%d times in 10 s"):format(redrawn))
  check.that(not text():find("\n"), "there is a newline")
  for line in text():gmatch("\r([^\r\27]*)") do
    check.that(#line < 30, ("%d characters: %s"):format(#line, line))
  end
  p:note("a remark")
  check.that(text():find("\r\27%[Ka remark\n\rtraining"), text():sub(-80))
end)
check.case("a terminal of 80 columns shows the time left, whole figures, and the losses first", function()
  local p, text, wait = recorded { total = 200, terminal = true, columns = 80, unit = "epochs" }
  wait(140)
  p:update { epoch = 100, done = 99.25, train = 0.123456, valid = 0.234567, best = 0.234511 }
  local line = text():match "\r([^\r\27]*)\27"
  check.equal(line, "epoch 100/200, train 0.1235, valid 0.2346, best 0.2345, 2 min 22 s left")
end)
check.case("the first epoch is told of while it lasts, after 10, 20, 40 seconds", function()
  local p, text, wait = recorded { total = 3, unit = "epochs" }
  for step = 1, 100 do
    wait(0.5)
    p:update { epoch = 1, done = step / 200 }
  end
  check.equal(count_lines(text()), 3)
  check.that(text():find("epoch 1/3 (10 %), 1 min 40 s an epoch, 4 min 50 s left\n", 1, true), text())
end)
check.case("time that the work took before its line counts", function()
  local p, text, wait = recorded { total = 4, unit = "epochs", spent = 6 }
  wait(2)
  p:update { epoch = 2, done = 2 }
  p:finish()
  check.equal(text(), "epoch 2/4, 4.0 s an epoch, in 8.0 s\n")
end)
check.case("without a total, done is a fraction", function()
  local p, text, wait = recorded {}
  for step = 1, 100 do
    wait(1)
    p:update { done = step / 100 }
  end
  check.that(text():find("50 %, 50 s left", 1, true), text())
end)
check.case("the rate of a resumed run counts its own work only", function()
  local p, text, wait = recorded { total = 100, first = 90, unit = "epochs" }
  wait(2)
  p:update { epoch = 92, done = 92 }
  p:update { done = 92.1 }
  check.that(text():find("1 epochs/s, 8.0 s left", 1, true), text())
end)
check.case("durations have the units that people use", function()
  local d = cli.progress.duration
  check.equal({ d(4.24), d(42), d(59.6), d(200), d(3599.7), d(3900) },
    { "4.2 s", "42 s", "1 min 00 s", "3 min 20 s", "1 h 00 min", "1 h 05 min" })
end)

-- The words that give an option a value of its type.
local function said(o)
  local values = { number = "1", numbers = "1", integers = "1", steps = "7" }
  values.integer = tostring(math.max(3, o.least or 0))
  local flag = "--" .. o.name:gsub("_", "-")
  if o.type == "boolean" then return { flag } end
  return { flag, o.choices and o.choices[#o.choices] or values[o.type] or "x" }
end

-- The required options of a list, and those that a test names, as words.
local function words_of(list, ...)
  local words = {}
  for _, o in ipairs(list) do
    if o.required then for _, word in ipairs(said(o)) do words[#words + 1] = word end end
  end
  for _, more in ipairs{ ... } do
    for _, word in ipairs(more) do words[#words + 1] = word end
  end
  return words
end

check.case("in every experiment an option that would do nothing beside the others is refused", function()
  local host, count = require "gal.host", 0
  local files = io.popen(("ls '%s'/experiments/*.lua"):format(host.root))
  for path in files:lines() do
    local list, by_name = cli.declared(path), {}
    for _, o in ipairs(list) do by_name[o.name] = o end
    local function refused(words, sentence)
      local values, why = cli.parse(list, words)
      check.equal({ values, why }, { nil, sentence }, path)
      count = count + 1
    end
    for _, o in ipairs(list) do
      local own, flag = said(o), "--" .. o.name:gsub("_", "-")
      local name, wanted = (o.needs or ""):match "^([^=]+)=?(.*)$"
      if name then
        local needed = by_name[name]
        local other = "--" .. name:gsub("_", "-")
        -- Words with which the option has what it needs, and words with which it has not.
        local with, without, sentence
        if wanted == "false" then
          with, without, sentence = {}, said(needed), "beside " .. other
        elseif wanted ~= "" then
          local another = name == "method" and (wanted == "grid" and "random" or "grid") or "7"
          with, without = { other, (wanted:match "^[^|]+") }, { other, another }
          sentence = ("without %s %s"):format(other, (wanted:gsub("|", " or ")))
        else
          with, without, sentence = said(needed), needed.default and { "--no-" .. other:sub(3) } or {},
            "without " .. other
        end
        check.that(cli.parse(list, words_of(list, own, with)), path .. ": " .. flag)
        refused(words_of(list, own, without), ("%s does nothing %s"):format(flag, sentence))
        if o.default == true then own = { "--no-" .. flag:sub(3) } end
        refused(words_of(list, own, without), ("%s does nothing %s"):format(flag, sentence))
      elseif o.alone then
        check.that(cli.parse(list, words_of(list, own)), path .. ": " .. flag)
        refused({ own[1], own[2], "--workers", "2" }, "--workers does nothing beside " .. flag)
      end
    end
  end
  files:close()
  check.that(count > 30, count .. " options are looked at")
end)

scratch.remove()
check.finish()
