-- gal.load and gal.save, arrays in files: files of NumPy, safetensors and torch (golden/files/make.py), value
-- by value; saved arrays are loaded again; bad input is a sentence at the caller's line.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local ffi = require "ffi"
local golden = "golden/files/"

local scratch = dofile "lua/lib/scratch.lua"
local folder, read = scratch.folder, scratch.read
local function write(name, bytes) return scratch.write(scratch.path(name), bytes) end

-- An int64 as its digits: a Lua number would not hold them.
local function digits(x)
  local list = {}
  local values = ffi.cast("int64_t *", x.h.data)
  for i = 0, x:count() - 1 do list[i + 1] = tostring(values[i]):gsub("LL$", "") end
  return list
end
local IDS = { "1237648704043942146", "-9007199254740993", "0", "9223372036854775807" }

local function is(name, dtype, shape, values)
  check.case(name .. ".npy is what NumPy wrote", function()
    local x = gal.load(golden .. name .. ".npy")
    check.equal(x.dtype, dtype, "dtype")
    check.equal(x.shape, shape, "shape")
    check.equal(x:device(), "cpu", "device")
    check.equal(x:totable(), values, "values")
  end)
end
local grid = { { 0, 0.25, 0.5 }, { 0.75, 1, 1.25 } }
is("f4", "float32", { 2, 3 }, grid)
is("f4_fortran", "float32", { 2, 3 }, grid)
is("version2", "float32", { 2, 3 }, { { 0, 1, 2 }, { 3, 4, 5 } })
is("version3", "float32", { 2, 3 }, { { 0, 1, 2 }, { 3, 4, 5 } })
is("f2", "float32", { 5 }, { 1.5, -65504, 2 ^ -24, math.huge, 0.0999755859375 })
is("i1", "float32", { 2 }, { -128, 127 })
is("i2_big", "float32", { 2 }, { -32768, 258 })
is("u2", "float32", { 2 }, { 65535, 1 })
is("u4", "int64", { 2 }, { 4294967295, 1 })
is("i4_big", "int64", { 2 }, { -2147483648, 258 })
is("bool", "uint8", { 2 }, { 1, 0 })
is("u1", "uint8", { 2, 2 }, { { 0, 255 }, { 7, 8 } })
is("scalar", "float32", {}, 2.5)
is("cube_fortran", "float32", { 2, 3, 4 }, { { { 0, 1, 2, 3 }, { 4, 5, 6, 7 }, { 8, 9, 10, 11 } },
  { { 12, 13, 14, 15 }, { 16, 17, 18, 19 }, { 20, 21, 22, 23 } } })

check.case("float64 is rounded to the nearest float32", function()
  local rounded = ffi.new("float[6]", { 0, 0.1, 0.2, 0.3, 0.4, 0.5 })
  local x = gal.load(golden .. "f8_big.npy"):totable()
  for i = 0, 5 do check.equal(x[math.floor(i / 3) + 1][i % 3 + 1], tonumber(rounded[i])) end
end)
check.case("int64 keeps all its digits, in either byte order", function()
  check.equal(digits(gal.load(golden .. "i8.npy")), IDS)
  check.equal(digits(gal.load(golden .. "i8_big.npy")), IDS)
  check.equal(digits(gal.load(golden .. "u8.npy")), { "9223372036854775807", "1" })
end)
check.case("an array without elements keeps its shape", function()
  check.equal(gal.load(golden .. "none.npy").shape, { 0, 3 })
end)

check.case("a safetensors file of every dtype is what the reference wrote", function()
  local t, metadata = gal.load(golden .. "numpy.safetensors")
  check.equal(metadata, {})
  local expected = {
    f16 = { "float32", { 1.5, -2 } }, i8 = { "float32", { -1 } },
    u16 = { "float32", { 65535 } }, i16 = { "float32", { -32768 } },
    i32 = { "int64", { -5 } }, u32 = { "int64", { 4294967295 } }, u64 = { "int64", { 3 } },
    bool = { "uint8", { 1, 0 } }, u8 = { "uint8", { { 0, 255 } } }, scalar = { "float32", 7 },
    f64 = { "float32", { { tonumber(ffi.new("float", 0.1)) } } } }
  for name, e in pairs(expected) do
    check.equal(t[name].dtype, e[1], name)
    check.equal(t[name]:totable(), e[2], name)
  end
  check.equal(digits(t.i64), IDS)
  check.equal(t.none.shape, { 0, 4 })
  local count = 0
  for _ in pairs(t) do count = count + 1 end
  check.equal(count, 13)
end)
check.case("torch's bfloat16 and metadata are read", function()
  local t, metadata = gal.load(golden .. "torch.safetensors")
  check.equal(t["1.weight"]:totable(), { { 1, 2 }, { 3, 0.5 } })
  check.equal(t.bf:totable(), { 1, -3.140625 })
  check.equal(metadata, { config = '{"hidden": [256, 256], "what": "a θ \\"quoted\\"\\n"}' })
end)

local members = {
  theta = { "float32", grid }, flag = { "uint8", { 0, 255, 7 } },
  double = { "float32", { tonumber(ffi.new("float", 0.1)), -9999 } },
  turned = { "float32", { { 0, 1, 2 }, { 3, 4, 5 } } }, big = { "float32", { 1.5, -2 } },
  half = { "float32", { 1.5 } }, i4 = { "int64", { -5 } }, scalar = { "float32", 7 },
  ["θ"] = { "float32", { 3 } } }
for _, name in ipairs{ "numpy", "packed" } do
  local how = name == "packed" and "packed" or "not packed"
  check.case(name .. ".npz is what NumPy wrote, " .. how, function()
    local t, metadata = gal.load(golden .. name .. ".npz")
    check.equal(metadata, {})
    for key, e in pairs(members) do
      check.equal(t[key].dtype, e[1], key)
      check.equal(t[key]:totable(), e[2], key)
    end
    check.equal(digits(t.objID), IDS)
    check.equal(t.none.shape, { 0, 3 })
    local count = 0
    for _ in pairs(t) do count = count + 1 end
    check.equal(count, name == "packed" and 12 or 11)
    if t.zeros then check.equal(t.zeros:eq(0):sum():item(), 40000) end
  end)
end
check.case("an archive with 64-bit sizes throughout is read", function()
  local t = gal.load(golden .. "zip64.npz")
  check.equal(t.theta, grid)
  check.equal(digits(t.objID), IDS)
end)

check.case("what is saved is loaded again, views and all dtypes, names and metadata", function()
  local x = gal.tensor{ { 1, 2, 3 }, { 4, 5, 6 } }
  gal.save(folder .. "/x.npy", x:t())
  check.equal(gal.load(folder .. "/x.npy"), { { 1, 4 }, { 2, 5 }, { 3, 6 } })
  local ids, bytes = gal.load(golden .. "i8.npy"), gal.load(golden .. "u1.npy")
  local metadata = { note = 'a "quote", a\nline, θ', empty = "" }
  gal.save(folder .. "/m.safetensors",
    { x = x:t(), ids = ids, bytes = bytes, ["1.weight"] = gal.tensor(2.5) }, metadata)
  local t, m = gal.load(folder .. "/m.safetensors")
  check.equal(t.x, { { 1, 4 }, { 2, 5 }, { 3, 6 } })
  check.equal(digits(t.ids), IDS)
  check.equal(t.bytes, { { 0, 255 }, { 7, 8 } })
  check.equal(t["1.weight"]:totable(), 2.5)
  check.equal(m, metadata)
end)
check.case("an .npz file is loaded again, views and all dtypes; one without arrays too", function()
  gal.save(folder .. "/m.npz", {
    x = gal.tensor{ { 1, 2, 3 }, { 4, 5, 6 } }:t(), ids = gal.load(golden .. "i8.npy"),
    bytes = gal.load(golden .. "u1.npy"), ["1.weight"] = gal.tensor(2.5), none = gal.zeros{ 0, 2 },
  })
  local t = gal.load(folder .. "/m.npz")
  check.equal(t.x, { { 1, 4 }, { 2, 5 }, { 3, 6 } })
  check.equal(digits(t.ids), IDS)
  check.equal(t.bytes, { { 0, 255 }, { 7, 8 } })
  check.equal(t.bytes.dtype, "uint8")
  check.equal(t["1.weight"]:totable(), 2.5)
  check.equal(t.none.shape, { 0, 2 })
  gal.save(folder .. "/m.npz", {})
  check.equal((gal.load(folder .. "/m.npz")), {})
end)
check.case("equal contents give equal bytes", function()
  local a, b = {}, {}
  for i = 1, 40 do a["t" .. i], b["t" .. 41 - i] = gal.full({ 2 }, i), gal.full({ 2 }, 41 - i) end
  gal.save(folder .. "/a.safetensors", a)
  gal.save(folder .. "/b.safetensors", b)
  check.that(read(folder .. "/a.safetensors") == read(folder .. "/b.safetensors"), "the two files differ")
  gal.save(folder .. "/a.npz", a)
  gal.save(folder .. "/b.npz", b)
  check.that(read(folder .. "/a.npz") == read(folder .. "/b.npz"), "the two .npz files differ")
end)
check.case("a saved file replaces the old one and leaves nothing beside it", function()
  local path = folder .. "/only/x.npy"
  scratch.run "mkdir only"
  gal.save(path, gal.ones{ 100 })
  gal.save(path, gal.zeros{ 3 })
  check.equal(gal.load(path), { 0, 0, 0 })
  check.equal({ scratch.run "ls -A only" }, { 0, "x.npy\n" })
end)

local function fails(name, fn, pattern)
  check.case(name, function() check.raises(fn, pattern, true) end)
end
fails("a missing file is named", function() local _ = gal.load "golden/files/absent.npy" end,
  "golden/files/absent.npy: can't be opened: No such file or directory")
fails("a folder is no file", function()
  local _ = gal.load(folder .. "/only/../../" .. folder:match "[^/]+$" .. "/")
end, "a name without an ending")
fails("another format is refused", function() local _ = gal.load "a.jpg" end,
  "load: a.jpg is a .jpg file, expected a name that ends in .npy, .npz or .safetensors")
fails("a path that is no string is refused", function() local _ = gal.load(5) end,
  "load: path is the number 5, expected a string")
fails("complex numbers are refused", function() local _ = gal.load(golden .. "complex.npy") end,
  "values are of NumPy type '<c8'")
fails("records are refused", function() local _ = gal.load(golden .. "records.npy") end, "holds records")
fails("a uint64 above int64 is refused", function() local _ = gal.load(golden .. "u8_large.npy") end,
  "holds 9223372036854775808, which does not fit an int64")
fails("a cut .npy file is called truncated", function()
  local _ = gal.load(write("cut.npy", read(golden .. "f4.npy"):sub(1, 140)))
end, "cut.npy: is truncated: 12 bytes of values, its shape {2, 3} needs 24")
fails("a shape beyond the file asks for no memory", function()
  local _ = gal.load(write("huge.npy",
    (read(golden .. "f4.npy"):gsub("%(2, 3%), }         ", "(20000000, 300), }"))))
end, "huge.npy: is truncated: 24 bytes of values")
fails("a cut safetensors file is called truncated", function()
  local _ = gal.load(write("cut.safetensors", read(golden .. "written.safetensors"):sub(1, 330)))
end, "cut.safetensors: is truncated: tensor \"c\" ends at byte 52 of the values, the file has 50")

-- A safetensors file of this header and this many bytes of values.
local function st(name, header, bytes)
  return write(name,
    string.char(#header % 256, math.floor(#header / 256), 0, 0, 0, 0, 0, 0) .. header .. ("\0"):rep(bytes))
end
-- A tensor of n bytes in such a header, and where its values begin and end.
local function entry(name, n, first, last)
  return ('"%s":{"dtype":"U8","shape":[%d],"data_offsets":[%d,%d]}'):format(name, n, first, last)
end
local function both(a, b) return "{" .. a .. "," .. b .. "}" end
fails("overlapping tensors are refused", function()
  local _ = gal.load(st("o.safetensors", both(entry("a", 4, 0, 4), entry("b", 4, 2, 6)), 6))
end, 'tensor "b" begins at byte 2 of the values, expected 4')
fails("a gap between tensors is refused", function()
  local _ = gal.load(st("g.safetensors", both(entry("a", 4, 0, 4), entry("b", 1, 5, 6)), 6))
end, 'tensor "b" begins at byte 5')
fails("a size that is not that of the shape is refused", function()
  local _ = gal.load(
    st("s.safetensors", '{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}', 4))
end, 'tensor "a" claims 4 bytes')
fails("a shape beyond 64 bits is refused", function()
  local _ = gal.load(st("w.safetensors",
    '{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}', 0))
end, 'tensor "a" claims 0 bytes')
fails("a name given twice is refused", function()
  local _ = gal.load(st("twice.safetensors", both(entry("a", 0, 0, 0), entry("a", 0, 0, 0)), 0))
end, 'array "a" occurs twice')
fails("values that no tensor claims are refused", function()
  local _ = gal.load(st("v.safetensors", "{}", 3))
end, "has 3 bytes of values, its tensors claim 0")
fails("an unknown dtype is named", function()
  local _ = gal.load(st("d.safetensors", '{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}', 1))
end, 'tensor "a" has dtype F8_E4M3')
fails("a header that is no JSON is refused",
  function() local _ = gal.load(st("j.safetensors", "{nothing", 0)) end, "its header is no JSON")
fails("a header of 2^63 bytes is refused",
  function() local _ = gal.load(write("h.safetensors", ("\255"):rep(8) .. "{}")) end, "more than 100 MB")

fails("a file that only ends in .npz is refused", function()
  local _ = gal.load(write("no.npz", "PK no archive"))
end, "no.npz: is no .npz file, or is truncated or damaged")
fails("a cut .npz file is refused", function()
  local _ = gal.load(write("cut.npz", read(golden .. "numpy.npz"):sub(1, 2700)))
end, "cut.npz: is no .npz file, or is truncated or damaged")
fails("an array with one wrong byte is refused by its checksum", function()
  local bytes = read(golden .. "numpy.npz")
  local at = bytes:find("'<f4'", 1, true) + 110 -- among the values of theta
  local _ = gal.load(write("wrong.npz", bytes:sub(1, at - 1) .. "\1" .. bytes:sub(at + 1)))
end, 'wrong.npz: array "theta" is .*CRC error')
check.case("an archive with text in it gives its other arrays, and tells; text alone is refused", function()
  local place = folder .. "/named.npz"
  gal.save(place, { name = gal.zeros{ 3 }, z = gal.ones{ 2 } })
  local bytes = read(place)
  local function as_text(count) write("named.npz", (bytes:gsub("'<f4'", "'<U1'", count))) end
  as_text(1)
  while ffi.C.gal_notice() ~= nil do end
  check.equal(gal.load(place), { z = { 1, 1 } })
  local told = ffi.string(ffi.C.gal_notice())
  check.that(told:find('named.npz: array "name": its values are of NumPy type .<U1.*: it is left'), told)
  as_text(2)
  check.raises(function() gal.load(place) end, "NumPy type '<U1'")
end)
fails("an archive packed otherwise says how", function() local _ = gal.load(golden .. "other.npz") end,
  'other.npz: "a.npy" is packed by method 12, expected stored or deflated')
fails("an archive with other files names one", function() local _ = gal.load(golden .. "foreign.npz") end,
  'foreign.npz: holds "README.txt", which is no .npy file')
fails("a size that deflate cannot reach is refused", function()
  local bytes = read(golden .. "packed.npz")
  local at = bytes:find("PK\1\2", 1, true) -- its first entry in the directory: the size is at byte 24
  local _ = gal.load(write("claim.npz", bytes:sub(1, at + 23) .. "\255\255\255\127" .. bytes:sub(at + 28)))
end, "claim.npz: is damaged: .* claims 2147483647 bytes")

fails("save refuses a list of numbers", function() gal.save(folder .. "/n.npy", { 1, 2 }) end,
  "save: value is a table, expected a tensor")
fails("save refuses a tensor without a name", function()
  gal.save(folder .. "/n.safetensors", gal.ones{ 2 })
end, "value is a tensor {2}, expected a table of tensors by name")
fails("save names the entry that is no tensor", function()
  gal.save(folder .. "/n.safetensors", { w = 3 })
end, 'value%["w"%] is the number 3, expected a tensor')
fails("save refuses metadata that is no string", function()
  gal.save(folder .. "/n.safetensors", {}, { epoch = 3 })
end, 'metadata%["epoch"%] is the number 3, expected a string')
fails("save refuses metadata beside .npy",
  function() gal.save(folder .. "/n.npy", gal.ones{ 2 }, { a = "b" }) end, "a .npy file holds none")
fails("save refuses metadata beside .npz", function() gal.save(folder .. "/n.npz", {}, { a = "b" }) end,
  "a .npz file holds none")
fails("save refuses an array without a name",
  function() gal.save(folder .. "/n.npz", { [""] = gal.ones{ 2 } }) end, 'n.npz: no array can be named ""')
fails("save refuses a list for .npz", function() gal.save(folder .. "/n.npz", { gal.ones{ 2 } }) end,
  "a tensor's name is the number 1, expected a string")
fails("save names the folder that is not there",
  function() gal.save(folder .. "/no/n.npy", gal.ones{ 2 }) end, "no/n.npy: can't be written")
check.case("a refused save leaves no file", function()
  check.that(not io.open(folder .. "/n.npy") and not io.open(folder .. "/n.safetensors"), "there is one")
end)

check.case("what gal.load gives of several arrays prints as a list of them", function()
  gal.save(folder .. "/p.npz", { theta = gal.ones { 4, 5 }, x = gal.tensor(3) })
  local text = tostring(gal.load(folder .. "/p.npz"))
  check.equal(text, "theta  tensor {4, 5} float32\nx      tensor {} float32")
  gal.save(folder .. "/p.safetensors", { x = gal.ones { 2 } }, { made = "here" })
  check.equal(tostring((select(2, gal.load(folder .. "/p.safetensors")))), "made  here")
end)

check.case("doubles are a .npy file's numbers with all their digits, whatever it stores", function()
  local doubles = require("gal.data.arrays").doubles
  for _, name in ipairs{
    "bool", "u1", "i1", "u2", "i2_big", "u4", "i4_big", "i8", "i8_big", "f2", "f4", "f4_fortran",
    "cube_fortran",
  } do
    local file = golden .. name .. ".npy"
    local x, values, n = gal.load(file):reshape{ -1 }:totable(), doubles(file)
    check.equal(n, #x, name)
    for k = 1, #x do check.equal(values[k - 1], tonumber(x[k]), name) end
  end
  local file = golden .. "f8_big.npy"
  local x, values = gal.load(file):reshape{ -1 }:totable(), doubles(file)
  local finer = false
  for k = 1, #x do
    check.near(values[k - 1], x[k], 1e-7 * math.abs(x[k]))
    finer = finer or values[k - 1] ~= x[k]
  end
  check.that(finer, "no digit beyond single precision")
  check.raises(function() doubles(golden .. "records.npy") end, "holds records")
end)

scratch.remove()
check.finish()
