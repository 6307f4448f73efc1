-- gal.base.json: what is written reads back, and malformed text is refused with its place.
local check = dofile "lua/lib/check.lua"
local json = require "gal.base.json"

check.case("numbers read back as the same doubles", function()
  for _, v in ipairs {
    0, 1, -1, 0.1, 1 / 3, 1e-300, 5e-324, 1.7976931348623157e308, 2 ^ 53 - 1, 2 ^ 60, -123.456,
    0.61101257610321,
  } do
    check.equal(json.decode(json.encode(v)), v)
  end
end)

check.case("tables, strings and booleans read back as they were", function()
  local v = { name = 'a "quote", a \\ and a\nline \1 \127 é 😀', list = { 1, 2, 3 },
    deep = { { x = true }, { x = false } }, empty = {} }
  check.equal(json.decode(json.encode(v)), v)
  check.equal(json.decode(json.encode(v, true)), v)
end)

check.case("equal tables give equal text, keys in order", function()
  check.equal(json.encode { b = 1, a = { 2, 3 } }, '{"a":[2,3],"b":1}')
  check.equal(json.encode(setmetatable({}, json.list)), "[]")
  check.equal(json.encode({ a = { 1, 2 }, b = {} }, true), '{\n "a": [1, 2],\n "b": {}\n}')
end)

check.case("escapes are decoded", function()
  check.equal(json.decode [["\u00e9\ud83d\ude00\/\t"]], "é😀/\t")
  check.equal(json.decode " [ 1 , null , -2.5e3 ] "[3], -2500)
end)

check.case("malformed text is refused with line and byte", function()
  check.raises(function() json.decode '{"a": [1,\n2 3]}' end,
    "found '3' on line 2 %(byte 13%), expected ',' or ']'")
  check.raises(function() json.decode '{"a": "b' end, "found the end")
  check.raises(function() json.decode "[1] x" end, "expected the end")
  check.raises(function() json.decode "{a: 1}" end, "expected a key in quotes")
  check.raises(function() json.decode "[1, 2" end, "found the end")
  check.raises(function() json.decode "" end, "expected a value")
end)

check.case("a value that JSON can't hold is refused", function()
  check.raises(function() json.encode(0 / 0) end, "nan, expected a finite one")
  check.raises(function() json.encode { f = print } end, "a value is a function")
  check.raises(function() json.encode { [3] = 1 } end, "a key is 3")
end)

check.finish()
