-- cli: what experiments say to the person at the command line: their options, the progress of long work
-- (gal.base.progress), aligned tables, sentences. Of the library only this and gal.base.progress print, and
-- only this ends the process, where an experiment asked it to read the command line.
local declare = require "gal.cli.declare"
local errors = require "gal.base.errors"
local host = require "gal.base.host"
local path = require "gal.base.path"
local text = require "gal.base.text"
local raise = errors.raise

local cli = {}

cli.progress = require "gal.base.progress"
cli.table = text.table

--- cli.say(s): prints text; on a terminal its lines are broken between words, where they are too long for it.
function cli.say(s)
  local columns, lines = host.columns(), {}
  for line in (errors.text("say", "s", s) .. "\n"):gmatch "(.-)\n" do
    local filled = columns and text.length(line) >= columns and text.filled(line, columns - 3) or { line }
    lines[#lines + 1] = table.concat(filled, "\n  ")
  end
  print(table.concat(lines, "\n"))
end

--- cli.member(o): a function (k, folder) that says which member of an ensemble is trained now, as
-- train.ensemble calls it; nil where o.ensemble is 1.
function cli.member(o)
  if o.ensemble == 1 then return nil end
  return function(k, folder) print(("member %d of %d: %s"):format(k, o.ensemble, folder)) end
end

-- ---- declarations ----

-- The group of that name, or the option of that name as a group of one.
local function group_of(name)
  local common = require "gal.cli.common"
  if common[name] then return common[name] end
  local names = {}
  for group, list in pairs(common) do
    names[#names + 1] = group
    for _, d in ipairs(list) do
      -- The group `asked` has other rules for names that the groups of training have too.
      if d[1] == name and group ~= "asked" then return { d } end
    end
  end
  table.sort(names)
  raise("common: there is no group and no option '%s', expected one of %s", tostring(name),
    table.concat(names, ", "))
end

--- cli.common{"training", "sigma", lr = 1e-3}: declarations of options that experiments share, for
-- cli.options: a list of them, by group or by option. Groups: reading (a survey's columns and cuts), cutouts,
-- network, training, ensemble, solver, shards, slurm, array (shards as a job array), asked (the galaxies that
-- a trained run is asked about), fetching (pictures from an archive), paired (another run beside it), results
-- (where figures go); lua/gal/cli/common.lua has them all. What is given by an option's name changes its
-- declaration, a default or {default, help, …}.
function cli.common(names)
  local list, changes = {}, {}
  for key, change in pairs(names) do
    if type(key) == "string" then changes[key] = type(change) == "table" and change or { change } end
  end
  for _, name in ipairs(names) do
    for _, d in ipairs(group_of(name)) do
      local own, change = {}, changes[d[1]] or {}
      for key, v in pairs(d) do own[key] = v end
      if change[1] ~= nil then own[2] = change[1] end
      if change[2] ~= nil then own[3] = change[2] end
      for key, v in pairs(change) do
        if type(key) == "string" then own[key] = v end
      end
      changes[d[1]] = nil
      list[#list + 1] = own
    end
  end
  local left = next(changes)
  if left then raise("common: '%s' is in none of the groups that are asked for", left) end
  return list
end

--- cli.values(o, names[, more]): the values of a group of options, or of several groups and options, as
-- {name = value}: what gal.train's fit or flow:sample takes. `more` {name = value} is added.
function cli.values(o, names, more)
  local values = {}
  for _, name in ipairs(names) do
    for _, d in ipairs(group_of(name)) do values[d[1]] = o[d[1]] end
  end
  for key, v in pairs(more or {}) do values[key] = v end
  return values
end

local asking = {} -- coroutines that want to know what a script declares

--- cli.declared(path): the options that the script at path declares, as a list of {name, type, default,
-- help, required, choices, positional, least, most, above, needs, alone}, which cli.parse and cli.usage take
-- too. The script runs as far as its call of cli.options and no further.
function cli.declared(path)
  local chunk, message = loadfile(path)
  if not chunk then raise("declared: %s", message) end
  local thread = coroutine.create(chunk)
  asking[thread] = true
  local ok, spec = coroutine.resume(thread)
  asking[thread] = nil
  if not ok then raise("declared: %s", tostring(spec)) end
  if coroutine.status(thread) == "dead" then
    raise("declared: %s ends without a call of cli.options, expected a script with options", path)
  end
  return (declare.list(spec))
end

-- ---- reading ----

--- cli.parse(spec, words): reads a list of words by declarations as in cli.options. Returns {name = value};
-- or nil and a sentence that says which word is wrong; or nil, nil where --help was asked for.
function cli.parse(spec, words)
  local given = {}
  -- These three are never among the words: galrun takes them off the command line.
  for _, name in ipairs{ "seed", "threads", "device" } do
    if host.given[name] then given[name] = host[name] end
  end
  return declare.read(spec, words, given)
end

-- ---- help ----

local COLUMNS = 80 -- of the text of --help
local HARD = "\1" -- a space at which no line is broken

local function default_text(o)
  if o.required and o.default == nil then return "required" end
  if o.default == nil then return nil end
  local value = type(o.default) == "table" and table.concat(o.default, ",") or tostring(o.default)
  if o.type == "boolean" then value = o.default and "yes" or "no" end
  return "default:" .. (#value < 30 and HARD or " ") .. (value == "" and "empty" or value)
end

-- An option's two columns: how it is written, and its help with choices and default.
local function columns_of(o)
  local flag, word, notes = declare.flag(o), declare.word(o), {}
  if o.choices then notes[1] = table.concat(o.choices, ", ") end
  notes[#notes + 1] = default_text(o)
  local note = #notes > 0 and ("(%s)"):format(table.concat(notes, "; ")) or ""
  local left = word and flag .. " " .. word or "--[no-]" .. flag:sub(3)
  return left, o.help .. (o.help ~= "" and note ~= "" and " " or "") .. note
end

--- cli.usage(spec, name, about): the text of --help: how the program `name` is called, `about`, and each
-- option with its help, choices and default, 80 columns wide.
function cli.usage(spec, name, about)
  local list, lines, places, width = declare.list(spec), {}, "", 0
  local function add(s)
    for _, line in ipairs(text.filled(s, COLUMNS)) do lines[#lines + 1] = line end
  end
  for _, o in ipairs(list) do
    width = math.max(width, #(columns_of(o)))
    if o.positional then places = places .. (o.required and " %s" or " [%s]"):format(o.name:upper()) end
  end
  lines[1], lines[2] = ("galrun %s%s [--name value ...]"):format(name, places), ""
  if about and about ~= "" then add(about .. "\n") end
  for _, o in ipairs(list) do
    local left, right = columns_of(o)
    left = "  " .. left .. (" "):rep(width - #left + 2)
    for i, line in ipairs(text.filled(right, COLUMNS - #left)) do
      lines[#lines + 1] = (i == 1 and left or (" "):rep(#left)) .. line
    end
  end
  add("\n--name=value is the same as --name value. galrun's own --device, --threads and --seed work here "
    .. "too: galrun --help.")
  return (table.concat(lines, "\n"):gsub(HARD, " "))
end

-- The comment block at the top of a script.
local function header_of(source)
  local file = source:sub(1, 1) == "@" and io.open(source:sub(2))
  if not file then return "" end
  local lines = {}
  for line in file:lines() do
    if line:match("^%-%-") then
      lines[#lines + 1] = line:gsub("^%-%-+ ?", "")
    elseif not (#lines == 0 and (line:match("^#!") or line:match("^%s*$"))) then
      break
    end
  end
  file:close()
  return table.concat(lines, "\n")
end

--- cli.options(spec): the options of the running script, from the command line: {name = value}.
--
-- spec declares them: name = default, or name = {default, "help", type =, required = true, choices =
-- {...}, positional = true}; or, in the order in which --help is to show them, {{"name", default, "help",
-- ...}, ...}, where an entry may be such a list itself, as cli.common makes one. The type is that of the
-- default, else of `type`: "string", "number", "integer", "boolean", "list" (names with commas between
-- them), "numbers", "integers", or "steps": a whole number of at least 1, or "auto". least, most and above
-- bound a number, or each of a list. A default that is a list stands in a declaration: {{"a", "b"},
-- "help"}. Without a default the value is nil where the option is not given. positional: a word without --
-- in front is this option's value, the next such word the next one's. An option that does nothing beside
-- others is refused: needs = "slurm" or "method=sobol|random" is the option, or the values of one, without
-- which this one says nothing; beside one with alone = true (or = "format": but that) no other says anything.
--
-- Users write --name value or --name=value, --name or --no-name for booleans, - or _ alike. --help prints
-- the comment that the script opens with and the options, and ends the process with 0; a wrong command
-- line is answered with one sentence and ends it with 2. `seed`, `threads` and `device` take galrun's own
-- values where those were given. In galrun's own experiments an error that the library raises from here on
-- is shown as its sentence alone, in other scripts with line and traceback.
function cli.options(spec)
  if asking[coroutine.running() or false] then coroutine.yield(spec) end
  local script = (arg and arg[0] or "script"):match("([^/]+)$") or "script"
  local source = debug.getinfo(2, "S").source
  local place, home = path.absolute(source:sub(2)), host.root .. "/experiments/"
  if place:sub(1, #home) == home then errors.refuses_for(source, (select(2, declare.list(spec)))) end
  local values, message = cli.parse(spec, arg or {})
  if values then return values end
  if not message then
    io.stdout:write(cli.usage(spec, arg[0], header_of(source)), "\n")
    host.exit(0)
  end
  io.stdout:flush()
  io.stderr:write(("%s: %s\n"):format(script, message))
  host.exit(2)
end

--- cli.refuse(format, ...): ends the script with this sentence about what was asked of it, without line and
-- traceback, and exit code 1. Never returns.
function cli.refuse(format, ...) errors.refuse(format:format(...)) end

return cli
