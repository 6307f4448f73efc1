-- cli: what experiments say to the person at the command line: their options, the progress of long work
-- (gal.progress), aligned tables. Of the library only this and gal.progress print, and only this ends the
-- process: because an experiment asked it to read the command line.
local host = require "gal.host"
local errors = require "gal.base.errors"
local text = require "gal.base.text"
local raise = errors.raise

local cli = {}

cli.progress = require "gal.base.progress"
cli.table = text.table

-- ---- the declared options ----

local TYPES = {
  string = { word = "TEXT", wants = "a text" },
  number = { word = "N", wants = "a number" },
  integer = { word = "N", wants = "a whole number" },
  boolean = { wants = "true or false" },
  list = { word = "A,B", wants = "names with commas between them" },
  numbers = { word = "N,N", wants = "numbers with commas between them" },
  integers = { word = "N,N", wants = "whole numbers with commas between them" },
  steps = { word = "N", wants = "a whole number of at least 1, or auto" },
}
local FIELDS = { type = true, required = true, choices = true, positional = true, name = true, default = true, help = true, least = true, most = true, above = true }

local function type_of(default)
  if type(default) ~= "table" then return TYPES[type(default)] and type(default) or nil end
  local kind = #default > 0 and "numbers" or "list"
  for _, v in ipairs(default) do if type(v) ~= "number" then kind = "list" end end
  return kind
end

-- One option from its declaration: a default, or {default, help, type =, required =, choices =, least =, most
-- =, above =}.
local function declared(name, d)
  if type(d) ~= "table" then d = { d } end
  for key in pairs(d) do
    if type(key) == "string" and not FIELDS[key] then raise("options: %s has the field '%s', expected type, required, choices, least, most, above or positional", name, key) end
  end
  local default, help = d[1], d[2]
  if default == nil then default = d.default end
  local o = { name = (name:gsub("%-", "_")), default = default, help = help or d.help or "", required = d.required, choices = d.choices, positional = d.positional,
    least = d.least, most = d.most, above = d.above }
  o.type = d.type or type_of(o.default) or (o.choices and "string")
  if not TYPES[o.type] then
    raise("options: %s has %s, expected a default, or type = \"string\", \"number\", \"integer\", \"boolean\", \"list\", \"numbers\", \"integers\" or \"steps\"", name,
      o.type and "the type '" .. tostring(o.type) .. "'" or "neither a default nor a type")
  end
  o.flag = "--" .. o.name:gsub("_", "-")
  return o
end

-- The declarations in the order in which they are shown: the array part as it stands, then the named ones by
-- name.
local function declare(spec)
  if type(spec) ~= "table" then raise("options: the declarations are %s, expected a table", type(spec)) end
  local list, by_name, names = {}, {}, {}
  local function add(name, d)
    local o = declared(name, d)
    if by_name[o.name] then raise("options: %s is declared twice", o.name) end
    by_name[o.name] = o
    list[#list + 1] = o
  end
  for i, d in ipairs(spec) do
    local name = type(d) == "table" and (d.name or d[1])
    if type(name) ~= "string" then raise("options: entry %d has no name, expected {name, default, help}", i) end
    local rest = {}
    for key, v in pairs(d) do rest[key] = v end
    if not d.name then rest[1], rest[2], rest[3] = d[2], d[3], nil end
    add(name, rest)
  end
  for key in pairs(spec) do if type(key) == "string" then names[#names + 1] = key end end
  table.sort(names)
  for _, name in ipairs(names) do add(name, spec[name]) end
  return list, by_name
end

-- ---- reading ----

-- What an option takes, in words: "a whole number of at least 1".
local function wanted_of(o)
  local limits = {}
  if o.above then limits[1] = ("above %g"):format(o.above) end
  if o.least then limits[#limits + 1] = (o.most and "from %g" or "of at least %g"):format(o.least) end
  if o.most then limits[#limits + 1] = (o.least and "to %g" or "of at most %g"):format(o.most) end
  if #limits == 0 then return TYPES[o.type].wants end
  if o.type == "numbers" or o.type == "integers" then return ("%s, each %s"):format(TYPES[o.type].wants, table.concat(limits, " ")) end
  return TYPES[o.type].wants .. " " .. table.concat(limits, " ")
end

-- The number that `word` spells, if it is one that the option takes, or one of a list of such.
local function read_number(o, word, whole)
  local v = tonumber(word)
  if not v or v ~= v or whole and not (v % 1 == 0 and math.abs(v) < 2 ^ 53) then return nil end
  if o.least and v < o.least or o.most and v > o.most or o.above and v <= o.above then return nil end
  return v
end

-- The value of option o that `text` spells; or nil and what was expected.
local function read_value(o, text)
  if o.type == "string" then return text end
  if o.type == "boolean" then
    if text == "true" or text == "false" then return text == "true" end
  elseif o.type == "list" or o.type == "numbers" or o.type == "integers" then
    local values = {}
    for word in (text .. ","):gmatch("%s*([^,]-)%s*,") do
      local v = word
      if o.type ~= "list" then v = read_number(o, word, o.type == "integers") end
      if v == nil or v == "" then return nil, wanted_of(o) end
      values[#values + 1] = v
    end
    return values
  elseif o.type == "steps" then
    if text == "auto" then return text end
    local v = read_number({ least = 1 }, text, true)
    if v then return v end
  else
    local v = read_number(o, text, o.type == "integer")
    if v then return v end
  end
  return nil, wanted_of(o)
end

local function refused_choice(o, values)
  if not o.choices then return nil end
  for _, v in ipairs(type(values) == "table" and values or { values }) do
    local known = false
    for _, choice in ipairs(o.choices) do known = known or choice == v end
    if not known then return ("%s is '%s', expected one of %s"):format(o.flag, tostring(v), table.concat(o.choices, ", ")) end
  end
end

local function copy(v)
  if type(v) ~= "table" then return v end
  local c = {}
  for key, item in pairs(v) do c[key] = item end
  return c
end

local function unknown(word, list)
  local names = {}
  for _, o in ipairs(list) do
    names[#names + 1] = o.flag
    if o.type == "boolean" then names[#names + 1] = o.flag:gsub("^%-%-", "--no-") end
  end
  -- A name that begins another's is meant more often than one that is a letter away.
  local meant
  for _, name in ipairs(names) do if #word > 4 and name:sub(1, #word) == word then meant = meant or name end end
  meant = meant or require("gal.base.spelling").names(word, names)[1]
  return ("no option '%s'; %s"):format(word, meant and ("did you mean %s?"):format(meant) or "--help lists them")
end

-- The option that words[i] is for and the text of its value, and how many words that took; or nil and a
-- sentence. `taken` remembers which positional options have their word.
local function next_option(words, i, list, by_name, taken)
  local name, value = words[i]:match("^%-%-([^=]+)=(.*)$")
  name = name or words[i]:match("^%-%-(.+)$")
  if not name then
    for _, o in ipairs(list) do
      if o.positional and not taken[o.name] then
        taken[o.name] = true
        return o, words[i], 1
      end
    end
    return nil, ("'%s' is no option; they are written --name value or --name=value, and --help lists them"):format(words[i])
  end
  local key = name:gsub("%-", "_")
  local o, negated = by_name[key], by_name[key:match("^no_(.+)$") or ""]
  if not o and negated and negated.type == "boolean" then
    if value then return nil, ("--%s takes no value"):format(name) end
    return negated, "false", 1
  end
  if not o then return nil, unknown("--" .. name, list) end
  if value then return o, value, 1 end
  if o.type == "boolean" then return o, "true", 1 end
  value = words[i + 1]
  if not value or value:match("^%-%-%a") then return nil, ("%s is without its value, expected %s"):format(o.flag, wanted_of(o)) end
  return o, value, 2
end

--- Reads a list of words by declarations as in cli.options. Returns {name = value}; or nil and a sentence
-- that says which word is wrong; or nil, nil where --help was asked for.
function cli.parse(spec, words)
  local list, by_name = declare(spec)
  local values, taken, i = {}, {}, 1
  for _, o in ipairs(list) do
    values[o.name] = copy(o.default)
    -- These three never arrive here: galrun takes them off the command line.
    if host.given[o.name] then values[o.name] = host[o.name] end
  end
  while i <= #words do
    if words[i] == "--help" or words[i] == "-h" then return nil, nil end
    local o, text, used = next_option(words, i, list, by_name, taken)
    if not o then return nil, text end
    local v, wanted = read_value(o, text)
    if v == nil then return nil, ("%s is '%s', expected %s"):format(o.flag, text, wanted) end
    local wrong = refused_choice(o, v)
    if wrong then return nil, wrong end
    values[o.name] = v
    i = i + used
  end
  for _, o in ipairs(list) do
    if o.required and values[o.name] == nil then return nil, ("%s is missing, expected %s"):format(o.flag, wanted_of(o)) end
  end
  return setmetatable(values, { __index = function(_, key)
    if not by_name[key] then raise("options: '%s' was not declared", tostring(key)) end
  end })
end

-- ---- help ----

local function default_text(o)
  if o.required and o.default == nil then return "required" end
  if o.default == nil then return nil end
  local text = type(o.default) == "table" and table.concat(o.default, ",") or tostring(o.default)
  if o.type == "boolean" then text = o.default and "yes" or "no" end
  return "default: " .. (text == "" and "empty" or text)
end

-- Characters, not bytes, of a UTF-8 text.
local function length(s) return select(2, s:gsub("[^\128-\191]", "")) end

-- Paragraphs filled to 96 columns; lines that are indented or begin a list stay as they are.
local function filled(text)
  local lines, open = {}, false
  for line in (text .. "\n"):gmatch("(.-)\n") do
    if line == "" or line:match("^%s") or line:match("^[%-*]") then
      lines[#lines + 1], open = line, false
    else
      for word in line:gmatch("%S+") do
        if open and length(lines[#lines]) + 1 + length(word) <= 96 then lines[#lines] = lines[#lines] .. " " .. word
        else lines[#lines + 1], open = word, true end
      end
    end
  end
  return table.concat(lines, "\n")
end

--- The text of --help: how the program `name` is called, `about`, and each option with its help, choices and
-- default.
function cli.usage(spec, name, about)
  local list = declare(spec)
  local rows, width = {}, 0
  for i, o in ipairs(list) do
    local left = o.type == "boolean" and "--[no-]" .. o.flag:sub(3) or o.flag .. " " .. TYPES[o.type].word
    local notes = {}
    if o.choices then notes[1] = table.concat(o.choices, ", ") end
    notes[#notes + 1] = default_text(o)
    local right = o.help .. (#notes > 0 and (o.help ~= "" and " (" or "(") .. table.concat(notes, "; ") .. ")" or "")
    rows[i] = { left, right }
    width = math.max(width, #left)
  end
  local places = ""
  for _, o in ipairs(list) do
    if o.positional then places = places .. (o.required and " %s" or " [%s]"):format(o.name:upper()) end
  end
  local lines = { ("galrun %s%s [--name value ...]"):format(name, places), "" }
  if about and about ~= "" then
    lines[#lines + 1] = filled(about)
    lines[#lines + 1] = ""
  end
  for _, row in ipairs(rows) do lines[#lines + 1] = "  " .. row[1] .. (" "):rep(width - #row[1] + 2) .. row[2] end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "--name=value is the same as --name value. galrun's own --device, --threads and --seed work here too."
  return table.concat(lines, "\n")
end

-- What the script's file opens with: the comment block at its top.
local function header_of(source)
  local file = source:sub(1, 1) == "@" and io.open(source:sub(2))
  if not file then return "" end
  local lines = {}
  for line in file:lines() do
    if line:match("^%-%-") then lines[#lines + 1] = line:gsub("^%-%-+ ?", "")
    elseif not (#lines == 0 and (line:match("^#!") or line:match("^%s*$"))) then break end
  end
  file:close()
  return table.concat(lines, "\n")
end

--- The options of the running script, from the command line: {name = value}.
--- spec declares them: name = default, or name = {default, "help", type =, required = true, choices = {...},
-- positional = true}; or, in the order in which
--- --help is to show them, {{"name", default, "help", ...}, ...}. The type is that of the default, else of
-- `type`: "string", "number", "integer", "boolean",
--- "list" (names with commas between them), "numbers", "integers", or "steps": a whole number of at least 1,
-- or "auto". least, most and above bound a number, or each of a list.
--- A default that is a list stands in a declaration: {{"a", "b"}, "help"}. Without a default the value
--- is nil where the option is not given. positional: a word without -- in front is this option's value, the
-- next such word the next one's.
--- Users write --name value or --name=value, --name or --no-name for booleans, - or _ alike. --help prints
-- the comment that the script opens with and the
--- options, and ends the process with 0; a wrong command line is told in one sentence and ends it with 2.
-- `seed`, `threads` and `device` get galrun's own
--- where those were given. In galrun's own experiments what the library raises from here on is told as a
-- sentence alone; in other scripts with the line and a traceback.
function cli.options(spec)
  local script = (arg and arg[0] or "script"):match("([^/]+)$") or "script"
  local source = debug.getinfo(2, "S").source
  local home = host.root .. "/experiments/"
  if require("gal.base.path").absolute(source:sub(2)):sub(1, #home) == home then errors.refuses_for(source) end
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
