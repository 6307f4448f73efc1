-- Errors as the user meets them: one sentence that names the argument, what it was and what was expected, at
-- the user's own line however deep in the library it is found. Everything in lua/gal raises through here;
-- nothing here knows tensors.
local ffi = require "ffi"
local C = ffi.C

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

-- What refuse raises. galrun prints it without a traceback, by the metafield `refusal`.
local Refusal = { refusal = true, __tostring = function(self) return self.sentence end }

--- refuse(sentence): an error that is the fault of what somebody said at the command line: the sentence is
-- all that there is to tell, neither line nor traceback. Never returns.
function M.refuse(sentence) error(setmetatable({ sentence = sentence }, Refusal), 0) end

local spoken_to = {} -- sources of scripts whose lines say nothing to those who run them

--- refuses_for(source): from here on what is raised at a line of that chunk is refused: an experiment of
-- galrun's own, whose user did not write it.
function M.refuses_for(source) spoken_to[source] = true end

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
    if spoken_to[info.source] then M.refuse(message) end
    if info.what ~= "C" and not is_library(info.source) then break end
    level = level + 1
  end
  error(message, level)
end
local raise = M.raise

--- check(status): raises gal_error() at the user's line unless a C call returned GAL_OK; an interrupt raises
-- gal.interrupted.
function M.check(status)
  if status == C.GAL_OK then return end
  if status == C.GAL_INTERRUPTED then
    C.gal_interrupt_set(0)
    error(M.interrupted, 0)
  end
  local message = ffi.string(C.gal_error())
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
  if t == "string" then return string.format("the string %q", #value > 40 and value:sub(1, 37) .. "..." or value) end
  if t == "table" and type(value.shape_text) == "function" then return "a tensor " .. value:shape_text() end
  return "a " .. t
end

--- integer(op, name, value, low, high): value, if it is an integer from low to high; else raises naming the
-- argument.
function M.integer(op, name, value, low, high)
  if type(value) ~= "number" or value ~= math.floor(value) or value < low or value > high or value == math.huge then
    local range = high == math.huge and string.format("of at least %d", low) or string.format("from %d to %d", low, high)
    if high < low then range = "in an empty range" end
    raise("%s: %s is %s, expected an integer %s", op, name, type(value) == "number" and string.format("%.14g", value) or M.kind(value), range)
  end
  return value
end

--- options(op, given, known): checks that `given` is nil or a table with only the keys of the list `known`,
-- and a device among them a string; returns a table.
function M.options(op, given, known)
  if given == nil then return {} end
  if type(given) ~= "table" then raise("%s: options is %s, expected a table", op, M.kind(given)) end
  for key in pairs(given) do
    local found = false
    for i = 1, #known do found = found or known[i] == key end
    if not found then raise("%s: unknown option %s, expected %s", op, tostring(key), table.concat(known, ", ")) end
  end
  local device = given.device
  if device ~= nil and type(device) ~= "string" then raise("%s: device is %s, expected a string such as \"cpu\"", op, M.kind(device)) end
  return given
end

return M
