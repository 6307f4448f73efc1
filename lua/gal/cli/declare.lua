-- Declarations of options as data: a list of {name, default, help, type =, …} is checked and completed, the
-- words of a command line are read by it. Nothing here prints or knows the process.
local raise = require("gal.base.errors").raise
local spelling = require "gal.base.spelling"

local declare = {}

-- What an option's value looks like on the command line, and in a sentence.
local TYPES = {
  string = { word = "TEXT", wants = "a text" },
  number = { word = "N", wants = "a number" },
  integer = { word = "N", wants = "a whole number" },
  boolean = { wants = "true or false" },
  list = { word = "A,B", wants = "names with commas between them" },
  numbers = { word = "N,N", wants = "numbers with commas between them" },
  integers = { word = "N,N", wants = "whole numbers with commas between them" },
  steps = { word = "N", wants = "a whole number of at least 1, or auto" },
  share = { word = "N", wants = "a share from 0 to below 1, auto or off" },
}

local FIELDS = {
  type = true, required = true, choices = true, positional = true, name = true, default = true, help = true,
  least = true, most = true, above = true, needs = true, alone = true,
}

local function type_of(default)
  if type(default) ~= "table" then return TYPES[type(default)] and type(default) or nil end
  local kind = #default > 0 and "numbers" or "list"
  for _, v in ipairs(default) do
    if type(v) ~= "number" then kind = "list" end
  end
  return kind
end

-- One option from its declaration: a default, or {default, help, type =, required =, choices =, least =, most
-- =, above =}.
local function completed(name, d)
  if type(d) ~= "table" then d = { d } end
  for key in pairs(d) do
    if type(key) == "string" and not FIELDS[key] then
      raise("options: %s has the field '%s', expected type, required, choices, least, most, above, "
        .. "positional, needs or alone", name, key)
    end
  end
  local o = {}
  for key in pairs(FIELDS) do o[key] = d[key] end
  o.name = name:gsub("%-", "_")
  if d[1] ~= nil then o.default = d[1] end
  o.help = d[2] or d.help or ""
  o.type = d.type or type_of(o.default) or (o.choices and "string")
  if not TYPES[o.type] then
    local given = o.type and ("the type '%s'"):format(tostring(o.type)) or "neither a default nor a type"
    raise("options: %s has %s, expected a default, or type = \"string\", \"number\", \"integer\", "
      .. "\"boolean\", \"list\", \"numbers\", \"integers\", \"steps\" or \"share\"", name, given)
  end
  return o
end

-- Calls add(name, declaration) for each entry of a list; an entry that is a list of declarations itself
-- counts as its entries.
local function each(list, add)
  for i, d in ipairs(list) do
    if type(d) == "table" and type(d[1]) == "table" and not d.name then
      each(d, add)
    else
      local name = type(d) == "table" and (d.name or d[1])
      if type(name) ~= "string" then
        raise("options: entry %d has no name, expected {name, default, help}", i)
      end
      local rest = {}
      for key, v in pairs(d) do rest[key] = v end
      if not d.name then rest[1], rest[2], rest[3] = d[2], d[3], nil end
      add(name, rest)
    end
  end
end

--- declare.list(spec): the declarations as a list of {name, type, default, help, required, choices,
-- positional, least, most, above}, which is a spec itself, and the same by name. Their order is that of
-- the array part of spec, then that of the names of its other part. Raises on declarations that make no
-- sense.
function declare.list(spec)
  if type(spec) ~= "table" then
    raise("options: the declarations are %s, expected a table", type(spec))
  end
  local list, by_name, names = {}, {}, {}
  local function add(name, d)
    local o = completed(name, d)
    if by_name[o.name] then raise("options: %s is declared twice", o.name) end
    by_name[o.name] = o
    list[#list + 1] = o
  end
  each(spec, add)
  for key in pairs(spec) do
    if type(key) == "string" then names[#names + 1] = key end
  end
  table.sort(names)
  for _, name in ipairs(names) do add(name, spec[name]) end
  return list, by_name
end

--- declare.flag(o): how the option is written, "--weight-decay".
function declare.flag(o) return "--" .. o.name:gsub("_", "-") end

--- declare.word(o): what stands for its value in --help, "N"; nil for a boolean.
function declare.word(o) return TYPES[o.type].word end

-- ---- reading ----

-- What an option takes, in words: "a whole number of at least 1".
local function wanted_of(o)
  local limits = {}
  if o.above then limits[1] = ("above %g"):format(o.above) end
  if o.least then limits[#limits + 1] = (o.most and "from %g" or "of at least %g"):format(o.least) end
  if o.most then limits[#limits + 1] = (o.least and "to %g" or "of at most %g"):format(o.most) end
  local wants = TYPES[o.type].wants
  if #limits == 0 then return wants end
  local each_of = (o.type == "numbers" or o.type == "integers") and ", each" or ""
  return ("%s%s %s"):format(wants, each_of, table.concat(limits, " "))
end

-- The number that `word` spells, if it is one that the option takes, or one of a list of such.
local function read_number(o, word, whole)
  local v = tonumber(word)
  if not v or v ~= v or whole and not (v % 1 == 0 and math.abs(v) < 2 ^ 53) then return nil end
  if o.least and v < o.least or o.most and v > o.most or o.above and v <= o.above then return nil end
  return v
end

local readers = {}

-- ~/ is the home folder: a shell expands it in `--out ~/runs`, and not in `--out=~/runs`.
function readers.string(_, word)
  local home = os.getenv "HOME"
  if home and (word == "~" or word:find "^~/") then return home .. word:sub(2) end
  if not word:find "^~" then return word end
end

function readers.boolean(_, word)
  if word == "true" or word == "false" then return word == "true" end
end

function readers.number(o, word) return read_number(o, word) end

function readers.integer(o, word) return read_number(o, word, true) end

function readers.steps(_, word) return word == "auto" and word or read_number({ least = 1 }, word, true) end

function readers.share(_, word)
  if word == "auto" or word == "off" then return word end
  local share = read_number({ least = 0 }, word)
  return share and share < 1 and share or nil
end

function readers.list(o, text)
  local values = {}
  for word in (text .. ","):gmatch("%s*([^,]-)%s*,") do
    local v = word
    if o.type ~= "list" then v = read_number(o, word, o.type == "integers") end
    if v == nil or v == "" then return nil end
    values[#values + 1] = v
  end
  return values
end

readers.numbers, readers.integers = readers.list, readers.list

local function refused_choice(o, values)
  if not o.choices then return nil end
  for _, v in ipairs(type(values) == "table" and values or { values }) do
    local known = false
    for _, choice in ipairs(o.choices) do known = known or choice == v end
    if not known then
      local choices = table.concat(o.choices, ", ")
      return ("%s is '%s', expected one of %s"):format(declare.flag(o), tostring(v), choices)
    end
  end
end

local function unknown(word, list)
  local names = {}
  for _, o in ipairs(list) do
    names[#names + 1] = declare.flag(o)
    if o.type == "boolean" then names[#names + 1] = declare.flag(o):gsub("^%-%-", "--no-") end
  end
  -- A name that begins another's is meant more often than one that is a letter away.
  local meant
  for _, name in ipairs(names) do
    if #word > 4 and name:sub(1, #word) == word then meant = meant or name end
  end
  meant = meant or spelling.names(word, names)[1]
  local hint = meant and ("did you mean %s?"):format(meant) or "--help lists them"
  return ("no option '%s'; %s"):format(word, hint)
end

-- The first positional option without its word yet; `taken` remembers which have theirs.
local function next_place(list, taken)
  for _, o in ipairs(list) do
    if o.positional and not taken[o.name] then
      taken[o.name] = true
      return o
    end
  end
end

-- The option that words[i] is for and the text of its value, and how many words that took; or nil and a
-- sentence.
local function next_option(words, i, list, by_name, taken)
  local name, value = words[i]:match("^%-%-([^=]+)=(.*)$")
  name = name or words[i]:match("^%-%-(.+)$")
  if not name then
    local o = next_place(list, taken)
    if o then return o, words[i], 1 end
    return nil, ("'%s' is no option; they are written --name value or --name=value, and --help lists them")
      :format(words[i])
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
  if not value or value:match("^%-%-%a") then
    return nil, ("%s is without its value, expected %s"):format(declare.flag(o), wanted_of(o))
  end
  return o, value, 2
end

-- The text of a value, as a reader above takes it.
local function spelled(v)
  if type(v) == "table" then
    local words = {}
    for i, item in ipairs(v) do words[i] = spelled(item) end
    return table.concat(words, ",")
  end
  if type(v) ~= "number" then return tostring(v) end
  local short = ("%.15g"):format(v)
  return tonumber(short) == v and short or ("%.17g"):format(v)
end

-- Values that declare.read gave -> their declarations.
local declared = setmetatable({}, { __mode = "k" })

--- declare.words(values[, without]): the words of a command line that gives these values of declare.read's:
-- those of options that have other values than their defaults, but for the options in the list `without`.
function declare.words(values, without)
  local words, left_out = {}, {}
  for _, name in ipairs(without or {}) do left_out[name] = true end
  for _, o in ipairs(declared[values]) do
    local v = values[o.name]
    if v ~= nil and not left_out[o.name] and (o.default == nil or spelled(v) ~= spelled(o.default)) then
      if o.type == "boolean" then
        words[#words + 1] = (v and "--" or "--no-") .. declare.flag(o):sub(3)
      else
        if not o.positional then words[#words + 1] = declare.flag(o) end
        words[#words + 1] = spelled(v)
      end
    end
  end
  return words
end

local function copy(v)
  if type(v) ~= "table" then return v end
  local c = {}
  for key, item in pairs(v) do c[key] = item end
  return c
end

-- Whether the values fulfil what an option needs: "NAME", which is given then, or "NAME=one|another"; how the
-- command line says that, and "beside" where it is what may not be said.
local function has_needed(needs, values, by_name)
  local name, wanted = needs:match "^([^=]+)=(.+)$"
  local o = by_name[name or needs]
  if not o then raise("options: needs is '%s', which names no option", needs) end
  local value = values[o.name]
  if wanted == "false" then return not value, declare.flag(o), "beside" end
  if not wanted then return value ~= nil and value ~= false, declare.flag(o) end
  for one in wanted:gmatch "[^|]+" do
    if one == tostring(value) then return true end
  end
  return false, declare.flag(o) .. " " .. wanted:gsub("|", " or ")
end

-- A sentence, where an option that was said does nothing beside the others.
local function idle(list, values, said, by_name)
  for _, o in ipairs(list) do
    if said[o.name] and o.needs then
      local fine, other, how = has_needed(o.needs, values, by_name)
      if not fine then return ("%s does nothing %s %s"):format(declare.flag(o), how or "without", other) end
    end
    local beside = {}
    for name in (type(o.alone) == "string" and o.alone or ""):gmatch "%S+" do beside[name] = true end
    for _, other in ipairs(said[o.name] and o.alone and list or {}) do
      if said[other.name] and other ~= o and not beside[other.name] then
        return ("%s does nothing beside %s"):format(declare.flag(other), declare.flag(o))
      end
    end
  end
end

--- declare.read(spec, words[, given]): the values {name = value} that the list of words gives to the
-- options of spec, the defaults where it says nothing; given: values that stand above the defaults. Or nil
-- and a sentence that says which word is wrong; or nil, nil where a word is --help. Reading a name that
-- was not declared from the result raises.
function declare.read(spec, words, given)
  local list, by_name = declare.list(spec)
  local values, taken, said, i = {}, {}, {}, 1
  for _, o in ipairs(list) do
    values[o.name] = copy(o.default)
    if given and given[o.name] ~= nil then values[o.name] = given[o.name] end
  end
  while i <= #words do
    if words[i] == "--help" or words[i] == "-h" then return nil, nil end
    local o, text, used = next_option(words, i, list, by_name, taken)
    if not o then return nil, text end
    local v = readers[o.type](o, text)
    if v == nil and text:find "^~" then
      return nil, ("%s is '%s', in which the shell has not expanded ~: write the folder out, or a blank "
        .. "instead of ="):format(declare.flag(o), text)
    end
    if v == nil then return nil, ("%s is '%s', expected %s"):format(declare.flag(o), text, wanted_of(o)) end
    local wrong = refused_choice(o, v)
    if wrong then return nil, wrong end
    values[o.name], said[o.name] = v, v ~= false or o.default == true or nil
    i = i + used
  end
  for _, o in ipairs(list) do
    if o.required and values[o.name] == nil then
      return nil, ("%s is missing, expected %s"):format(declare.flag(o), wanted_of(o))
    end
  end
  local sentence = idle(list, values, said, by_name)
  if sentence then return nil, sentence end
  declared[values] = list
  return setmetatable(values, { __index = function(_, key)
    if not by_name[key] then raise("options: '%s' was not declared", tostring(key)) end
  end })
end

return declare
