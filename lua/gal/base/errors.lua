-- Errors as the user meets them: one sentence that names the argument, its value and what was expected, at
-- the user's own line however deep in the library the mistake is found. Everything in lua/gal raises through
-- here. Single arguments are checked here too, tables of options in base/options.lua.
local ffi = require "ffi"
local C = ffi.C

require("gal.base.host").shelter()
local M = {}

--- The value that Ctrl-C raises: compare with `err == gal.interrupted`.
M.interrupted = setmetatable({}, { __tostring = function() return "interrupted" end })

local home = (debug.getinfo(1, "S").source:match("^(@.*[/\\])base[/\\]") or "@") -- "@…/lua/gal/"
local inside = {} -- source of a chunk -> whether it is the library's

local function is_library(source)
  local known = inside[source]
  if known == nil then
    known = source:sub(1, #home) == home
    inside[source] = known
  end
  return known
end

-- The value that refuse raises. galrun prints it without a traceback, by the metafield `refusal`.
local Refusal = { refusal = true, __tostring = function(self) return self.sentence end }

--- refuse(sentence): a usage error: a mistake at the command line, printed without file, line or traceback.
-- Never returns.
function M.refuse(sentence) error(setmetatable({ sentence = sentence }, Refusal), 0) end

local refusing = {} -- source of a chunk -> whether its errors are shown as usage errors
local declared = {} -- option -> true, where an experiment runs

--- refuses_for(source, options): from here on errors at lines of that chunk are shown as usage errors: the
-- chunk is one of galrun's own experiments, and its user did not write the line. options: a table that has
-- its options by name.
function M.refuses_for(source, options)
  refusing[source] = true
  for name in pairs(options) do declared[name] = true end
end

--- option(name[, value]): how an option is called where it is given: "--missing-value" at the command line of
-- an experiment that has it; in Lua "missing_value", or with a value "resume = true". An experiment without
-- it gives that value by itself: "the same command".
function M.option(name, value)
  if declared[name] then return "--" .. name:gsub("_", "-") end
  if value ~= nil and next(declared) then return "the same command" end
  return value == nil and name or ("%s = %s"):format(name, tostring(value))
end

-- A sentence as it is said at the command line, which knows no function of the library: "fit: --out is …".
local function without_function(sentence)
  for _, rest in ipairs{ "(%-%-%l)", "(the %l+ in )", "([^:]* has no column )" } do
    sentence = sentence:gsub("^%l[%w_]*: " .. rest, "%1")
  end
  return sentence
end

--- raise(format, ...): an error with this sentence at the nearest line that is not the library's. Never
-- returns.
function M.raise(format, ...)
  local message = select("#", ...) > 0 and string.format(format, ...) or format
  local level = 2
  while true do
    local info = debug.getinfo(level, "S")
    if not info then
      level = 0
      break
    end
    if refusing[info.source] then M.refuse(without_function(message)) end
    if info.what ~= "C" and not is_library(info.source) then break end
    level = level + 1
  end
  error(message, level)
end
local raise = M.raise

local less -- the options of which less would do where memory ends, as a list of names

--- less_of(names, fn, ...): calls fn; meanwhile an error for want of memory names these options, of which
-- less would do.
function M.less_of(names, fn, ...)
  local before = less
  less = names
  local function done(ok, ...)
    less = before
    if not ok then error((...), 0) end
    return ...
  end
  return done(pcall(fn, ...))
end

-- The sentence on those options, or "".
local function advice()
  local named = {}
  for i, name in ipairs(less or {}) do named[i] = M.option(name) end
  if #named == 0 then return "" end
  local last = table.remove(named)
  return (": less of %s would do"):format(#named > 0 and table.concat(named, ", ") .. " or " .. last or last)
end

local Failure = { __tostring = function(self) return self.text end }

--- fail(status, format, ...): an error as raise's whose value is a table {status, text}, so that a caller can
-- decide by C's status. Never returns.
function M.fail(status, ...)
  local _, text = pcall(raise, ...)
  error(type(text) == "string" and setmetatable({ status = status, text = text }, Failure) or text, 0)
end

--- check(status): raises gal_error() at the user's line unless a C call returned GAL_OK. An interrupt raises
-- gal.interrupted, GAL_RECORDING an error that carries it (fail).
function M.check(status)
  if status == C.GAL_OK then return end
  if status == C.GAL_INTERRUPTED then
    C.gal_interrupt_set(0)
    error(M.interrupted, 0)
  end
  local message = ffi.string(C.gal_error())
  if status == C.GAL_BUDGET or status == C.GAL_MEMORY then message = message .. advice() end
  if status == C.GAL_RECORDING then M.fail(C.GAL_RECORDING, "%s", message) end
  -- A file's sentence begins with its path, which may be empty.
  message = message:gsub("^%s*:", function(path) return ("'%s':"):format(path:sub(1, -2)) end)
  -- C doesn't know how Lua converts.
  local name = message:match "(%a+) is %l+%d+, expected float32$"
  raise("%s", name and message .. "; " .. name .. ":float() converts" or message)
end

--- poll(): raises gal.interrupted after Ctrl-C. Library loops call it once per step.
function M.poll()
  if C.gal_interrupted() ~= 0 then
    C.gal_interrupt_set(0)
    error(M.interrupted, 0)
  end
end

--- kind(value): how an error names a value: `nil`, `the number 2.5`, `the string "abc"`, `a tensor {2, 3}`,
-- `a table`.
function M.kind(value)
  local t = type(value)
  if t == "nil" then return "nil" end
  if t == "number" then return string.format("the number %.14g", value) end
  if t == "boolean" then return "the boolean " .. tostring(value) end
  if t == "string" then
    return string.format("the string %q", #value > 40 and value:sub(1, 37) .. "..." or value)
  end
  if t == "table" and type(value.shape_text) == "function" then return "a tensor " .. value:shape_text() end
  return "a " .. t
end

--- shown(value): a value in a sentence as one writes it; '' where it is a text without a letter in it.
function M.shown(value)
  local text = tostring(value)
  return text:find "%S" and text or ("'%s'"):format(text)
end

-- ---- single arguments ----

-- A bound in words: an integer with all its digits.
local function digits(v)
  return string.format(v % 1 == 0 and math.abs(v) <= 2 ^ 53 and "%d" or "%.14g", v)
end

local function refuse_number(op, name, value, noun, low, high)
  local range = ""
  if high and high < math.huge then
    range = string.format(" from %s to %s", digits(low), digits(high))
    if high < low then range = range .. " (there is none)" end
  elseif low and low > -math.huge then
    range = " of at least " .. digits(low)
  end
  local found = type(value) == "number" and string.format("%.14g", value) or M.kind(value)
  raise("%s: %s is %s, expected %s%s", op, name, found, noun, range)
end

--- number(op, name, value[, low[, high]]): value, if it is a number from low to high; else raises naming the
-- argument.
function M.number(op, name, value, low, high)
  local fits = type(value) == "number" and value >= (low or -math.huge) and value <= (high or math.huge)
  return fits and value or refuse_number(op, name, value, "a number", low, high)
end

--- integer(op, name, value[, low[, high]]): value, if it is an integer from low to high; else raises naming
-- the argument.
function M.integer(op, name, value, low, high)
  local fits = type(value) == "number" and value % 1 == 0 and value >= (low or -math.huge)
    and value <= (high or math.huge)
  return fits and value or refuse_number(op, name, value, "an integer", low, high)
end

--- list(op, name, value[, wanted = "a list"]): value, if it is a table and no tensor; else raises naming the
-- argument; wanted: what the sentence says was expected.
function M.list(op, name, value, wanted)
  if type(value) == "table" and type(value.shape_text) ~= "function" then return value end
  raise("%s: %s is %s, expected %s", op, name, M.kind(value), wanted or "a list")
end

--- text(op, name, value[, wanted = "a string"]): value, if it is a string without zero bytes, at which C
-- would end it; else raises naming the argument.
function M.text(op, name, value, wanted)
  if type(value) == "string" and not value:find "%z" then return value end
  raise("%s: %s is %s, expected %s", op, name, M.kind(value), wanted or "a string")
end

--- callable(op, name, value, wanted): value, if it can be called; else raises naming the argument.
function M.callable(op, name, value, wanted)
  local meta = type(value) == "table" and getmetatable(value)
  if type(value) == "function" or type(meta) == "table" and meta.__call then return value end
  raise("%s: %s is %s, expected %s", op, name, M.kind(value), wanted)
end

--- object(op, name, value, methods, noun): value, if it is a table that has all of these methods; else raises
-- naming the argument. For arguments that may be of a user's own making.
function M.object(op, name, value, methods, noun)
  for _, method in ipairs(methods) do
    if type(value) ~= "table" or type(value[method]) ~= "function" then
      raise("%s: %s is %s, expected %s", op, name, M.kind(value), noun)
    end
  end
  return value
end

--- device(op, value[, name = "device"]): the own name of the device of this name, "cuda" for "cuda:0"; nil
-- where value is nil. Raises naming the argument where value is something else, and with the reason where the
-- device can't be had.
function M.device(op, value, name)
  -- Not value == nil, which holds for a null pointer, too.
  if type(value) == "nil" then return nil end
  if type(value) ~= "string" then
    raise("%s: %s is %s, expected a string such as \"cpu\"", op, name or "device", M.kind(value))
  end
  local own = C.gal_device_name(value)
  return own ~= nil and ffi.string(own) or raise("%s", ffi.string(C.gal_error()))
end

-- ---- methods ----

--- original[f]: the method that f, one of M.methods', calls: for those who look for its source.
M.original = setmetatable({}, { __mode = "k" })

-- object -> {names, values}: its fields as they were made. The values are not kept alive: of a field that
-- still has its own, the object does that.
local sealed = setmetatable({}, { __mode = "k" })

--- seal(object[, free]): from here on the object's methods (those of M.methods) raise where one of its fields
-- has been overwritten, but for those of the list free: for objects whose methods index memory by sizes that
-- they keep, or hand C tensors that they keep. Returns object.
function M.seal(object, free)
  local names, values, left_out = {}, setmetatable({}, { __mode = "v" }), {}
  for _, name in ipairs(free or {}) do left_out[name] = true end
  for name, value in pairs(object) do
    if not left_out[name] and value == value then names[#names + 1], values[name] = name, value end
  end
  sealed[object] = { names = names, values = values }
  return object
end

local function check_seal(name, object, noun)
  local seal = sealed[object]
  for _, field in ipairs(seal.names) do
    if not rawequal(object[field], seal.values[field]) or type(object[field]) == "nil" then
      raise("%s: the field %s of %s was overwritten: it is %s", name, field, noun, M.kind(object[field]))
    end
  end
end

--- methods(class, noun[, meta = class[, names]]): from here on each method of the class, or of those that the
-- list `names` has, raises unless it is called with an object, whose metatable is meta: flow.sample(x) in
-- place of flow:sample(x) is a common mistake. noun names an object in the sentence, with its article. Names
-- that begin with __ are left as they are. Returns class.
function M.methods(class, noun, meta, names)
  meta = meta or class
  local listed = {}
  for _, name in ipairs(names or {}) do listed[name] = true end
  for name, method in pairs(class) do
    if type(method) == "function" and not name:find "^__" and (not names or listed[name]) then
      class[name] = function(self, ...)
        if getmetatable(self) ~= meta then
          local called = noun:match "%w+$" .. ":" .. name
          raise("%s: called with %s, expected %s: %s(…)", name, M.kind(self), noun, called)
        end
        if sealed[self] then check_seal(name, self, noun) end
        return method(self, ...)
      end
      M.original[class[name]] = method
    end
  end
  return class
end

return M
