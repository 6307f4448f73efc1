-- json: settings, architectures and the metadata of checkpoints as text. Reads and writes RFC 8259 in plain
-- Lua; its callers know what the values mean.
local errors = require "gal.base.errors"

local json = {}

local escapes = {
  ['"'] = '\\"', ["\\"] = "\\\\",
  ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
}

local function text(s)
  return '"' .. s:gsub('[%c"\\]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

local function number(v)
  if v ~= v or v == math.huge or v == -math.huge then
    error("json.encode: a number is " .. tostring(v) .. ", expected a finite one", 0)
  end
  if v == math.floor(v) and math.abs(v) < 2^53 then return ("%d"):format(v) end
  for digits = 15, 17 do -- the shortest that reads back as the same double
    local s = ("%." .. digits .. "g"):format(v)
    if tonumber(s) == v then return s end
  end
end

local encode

-- pad is nil for one line, else the indentation of the line that the value starts on.
local function list(parts, open, close, pad)
  if #parts == 0 then return open .. close end
  if not pad then return open .. table.concat(parts, ",") .. close end
  return open .. "\n" .. pad .. " " .. table.concat(parts, ",\n" .. pad .. " ") .. "\n" .. pad .. close
end

local function array(v, pad)
  local parts, flat = {}, true
  for i = 1, #v do flat = flat and type(v[i]) ~= "table" end
  for i = 1, #v do parts[i] = encode(v[i], pad and not flat and pad .. " ") end
  if flat and pad then return "[" .. table.concat(parts, ", ") .. "]" end
  return list(parts, "[", "]", pad)
end

local function object(v, pad)
  local keys, parts = {}, {}
  for key in pairs(v) do
    if type(key) ~= "string" then
      error("json.encode: a key is " .. tostring(key) .. ", expected a string or a list without holes", 0)
    end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    parts[i] = text(key) .. (pad and ": " or ":") .. encode(v[key], pad and pad .. " ")
  end
  return list(parts, "{", "}", pad)
end

function encode(v, pad)
  local kind = type(v)
  if kind == "string" then return text(v) end
  if kind == "number" then return number(v) end
  if kind == "boolean" then return tostring(v) end
  if kind ~= "table" then
    error("json.encode: a value is a " .. kind .. ", expected a table, string, number or boolean", 0)
  end
  if v[1] ~= nil or getmetatable(v) == json.list then return array(v, pad) end
  return object(v, pad)
end

--- json.encode(v[, pretty]) --> the value as JSON: tables with v[1] are arrays, others objects with their
-- keys in order, so that equal values give equal text. pretty = true breaks lines. An empty table is {},
-- unless it is setmetatable({}, json.list). Numbers read back as the same doubles.
function json.encode(v, pretty) return encode(v, pretty and "" or nil) end

--- Marks an array that may be empty: setmetatable({}, json.list).
json.list = {}

local unescapes = {
  b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
  ['"'] = '"', ["\\"] = "\\", ["/"] = "/",
}

-- A code point's bytes: six bits of it in each byte behind the first.
local function utf8(code)
  local function six(shift) return 0x80 + math.floor(code / 2 ^ shift) % 64 end
  if code < 0x80 then return string.char(code) end
  if code < 0x800 then return string.char(0xC0 + math.floor(code / 64), six(0)) end
  if code < 0x10000 then return string.char(0xE0 + math.floor(code / 4096), six(6), six(0)) end
  return string.char(0xF0 + math.floor(code / 262144), six(12), six(6), six(0))
end

local function fail(s, at, expected)
  local _, line = s:sub(1, at - 1):gsub("\n", "")
  local found = at > #s and "the end" or ("'%s'"):format(s:sub(at, at))
  error(("json.decode: found %s on line %d (byte %d), expected %s"):format(found, line + 1, at, expected), 0)
end

local function skip(s, at) return s:find("[^ \t\r\n]", at) or #s + 1 end

-- The character whose \u escape has its digits at `at`; a surrogate takes the escape behind it along.
local function decode_unicode(s, at)
  local digits = s:match("^%x%x%x%x", at) or fail(s, at, "four hexadecimal digits")
  local code = tonumber(digits, 16)
  at = at + 4
  local low = code >= 0xD800 and code < 0xDC00 and s:match("^\\u([dD][c-fC-F]%x%x)", at)
  if low then code, at = 0x10000 + (code - 0xD800) * 1024 + tonumber(low, 16) - 0xDC00, at + 6 end
  return utf8(code), at
end

local function decode_text(s, at)
  local parts = {}
  at = at + 1
  while true do
    local stop = s:find('["\\%c]', at)
    if not stop or s:byte(stop) < 32 then fail(s, stop or #s + 1, 'a closing "') end
    parts[#parts + 1] = s:sub(at, stop - 1)
    local c = s:sub(stop, stop)
    if c == '"' then return table.concat(parts), stop + 1 end
    if c == "\\" then
      local e = s:sub(stop + 1, stop + 1)
      if e == "u" then
        parts[#parts + 1], at = decode_unicode(s, stop + 2)
      else
        parts[#parts + 1] = unescapes[e] or fail(s, stop + 1, "an escape")
        at = stop + 2
      end
    else -- the byte 127: a control character to %c, a letter to JSON
      parts[#parts + 1], at = c, stop + 1
    end
  end
end

local words = { { "true", true }, { "false", false }, { "null", nil } }
local decode

local function decode_array(s, at)
  local v = setmetatable({}, json.list)
  local n = 0
  at = skip(s, at + 1)
  if s:sub(at, at) == "]" then return v, at + 1 end
  while true do
    n = n + 1
    v[n], at = decode(s, at)
    at = skip(s, at)
    local c = s:sub(at, at)
    if c == "]" then return v, at + 1 end
    if c ~= "," then fail(s, at, "',' or ']'") end
    at = at + 1
  end
end

local function decode_object(s, at)
  local v = {}
  at = skip(s, at + 1)
  if s:sub(at, at) == "}" then return v, at + 1 end
  while true do
    at = skip(s, at)
    if s:sub(at, at) ~= '"' then fail(s, at, "a key in quotes") end
    local key
    key, at = decode_text(s, at)
    at = skip(s, at)
    if s:sub(at, at) ~= ":" then fail(s, at, "':'") end
    v[key], at = decode(s, at + 1)
    at = skip(s, at)
    local c = s:sub(at, at)
    if c == "}" then return v, at + 1 end
    if c ~= "," then fail(s, at, "',' or '}'") end
    at = at + 1
  end
end

function decode(s, at)
  at = skip(s, at)
  local c = s:sub(at, at)
  if c == "{" then return decode_object(s, at) end
  if c == "[" then return decode_array(s, at) end
  if c == '"' then return decode_text(s, at) end
  for _, word in ipairs(words) do
    if s:sub(at, at + #word[1] - 1) == word[1] then return word[2], at + #word[1] end
  end
  local digits = s:match("^-?%d+%.?%d*[eE]?[+-]?%d*", at)
  local v = digits and tonumber(digits)
  if not v then fail(s, at, "a value") end
  return v, at + #digits
end

--- json.decode(s) --> the value of a JSON text; null is nil. Raises with line and byte where the text is
-- malformed.
function json.decode(s)
  if type(s) ~= "string" then errors.raise("json.decode: text is %s, expected a string", errors.kind(s)) end
  local v, at = decode(s, 1)
  at = skip(s, at)
  if at <= #s then fail(s, at, "the end") end
  return v
end

return json
