-- data/arrays: arrays in files: gal.load and gal.save for .npy, .npz and .safetensors. C reads and writes the
-- formats (runtime/io); here they become tensors and tables by name.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local core = require "gal.tensor"
local C = ffi.C
local collect = require "gal.base.collect"
local made = collect.made
local raise, check, kind = errors.raise, errors.check, errors.kind

local file = {}

local out = ffi.new "gal_arrays *[1]"

-- What a file of this name holds (C.GAL_HOLDS_...), and its ending in small letters, ".npy".
local function form_of(op, path)
  if type(path) ~= "string" then raise("%s: path is %s, expected a string", op, kind(path)) end
  local holds, ending = C.gal_arrays_holds(path), path:lower():match("%.%w+$")
  if holds == C.GAL_HOLDS_NONE then
    local found = ending and "a " .. ending .. " file" or "a name without an ending"
    local endings = ffi.string(C.gal_arrays_endings())
    raise("%s: %s is %s, expected a name that ends in %s", op, errors.shown(path), found, endings)
  end
  return holds, ending
end

-- Array i (from 0) as a tensor on the CPU.
local function read(arrays, i)
  local dtype, rank = C.gal_arrays_dtype(arrays, i), C.gal_arrays_rank(arrays, i)
  local y = core.filled(dtype, rank, C.gal_arrays_shape(arrays, i))
  check(C.gal_arrays_read(y.h, arrays, i))
  return y
end

-- What load gives prints as a list of its names.
local Named = {}
function Named.__tostring(list)
  local names, lines, width = {}, {}, 0
  for name in pairs(list) do
    names[#names + 1] = tostring(name)
    width = math.max(width, #names[#names])
  end
  table.sort(names)
  for i, name in ipairs(names) do
    local value = list[name]
    local text = core.is_tensor(value) and core.show_line(value) or tostring(value)
    lines[i] = name .. (" "):rep(width - #name + 2) .. text:gsub("%s+", " ")
  end
  return #lines > 0 and table.concat(lines, "\n") or "(nothing)"
end

-- Both results of load; the caller closes arrays whether or not this raises.
local function read_all(holds, arrays)
  if holds == C.GAL_HOLDS_ONE then return read(arrays, 0) end
  local tensors, metadata = setmetatable({}, Named), setmetatable({}, Named)
  for i = 0, tonumber(C.gal_arrays_count(arrays)) - 1 do
    tensors[ffi.string(C.gal_arrays_name(arrays, i))] = read(arrays, i)
  end
  for i = 0, tonumber(C.gal_arrays_metadata(arrays)) - 1 do
    local key, value = C.gal_arrays_metadata_key(arrays, i), C.gal_arrays_metadata_value(arrays, i)
    metadata[ffi.string(key)] = ffi.string(value)
  end
  return tensors, metadata
end

--- gal.load(path) --> a tensor (.npy), or a table of tensors by name (.npz, .safetensors) and one of
-- metadata, strings by key (empty for .npz); on the CPU. uint8 and bool become uint8, 32- and 64-bit integers
-- int64, everything else float32. Raises where the file is missing, cut short or malformed.
function file.load(path)
  local holds = form_of("load", path)
  local arrays = collect.handle(C.gal_arrays_free, out, C.gal_arrays_open, path)
  local ok, first, second = pcall(read_all, holds, arrays)
  collect.free(C.gal_arrays_free, arrays)
  if not ok then error(first, 0) end -- it names the user's line already
  return first, second
end

--- file.doubles(path): the values of a .npy file in double precision, row-major: an array from 0, and how
-- many they are.
function file.doubles(path)
  if form_of("doubles", path) ~= C.GAL_HOLDS_ONE then raise("doubles: %s is no .npy", path) end
  local arrays, n = collect.handle(C.gal_arrays_free, out, C.gal_arrays_open, path), 1
  for d = 0, C.gal_arrays_rank(arrays, 0) - 1 do n = n * tonumber(C.gal_arrays_shape(arrays, 0)[d]) end
  local values = ffi.new("double[?]", n + 1)
  check(C.gal_arrays_doubles(values, arrays, 0))
  collect.free(C.gal_arrays_free, arrays)
  return values, n
end

-- A Lua string as C sees it.
local function plain(what, text)
  if type(text) ~= "string" then raise("save: %s is %s, expected a string", what, kind(text)) end
  if text:find("%z") then raise("save: %s holds a zero byte, which such a file can't", what) end
  return text
end

-- The keys of a table of strings, sorted, so that a file does not depend on the order in which a table was
-- filled.
local function keys(what, given)
  local names = {}
  for name in pairs(given) do names[#names + 1] = plain(what, name) end
  table.sort(names)
  return names
end

-- The tensors of a table by name, as C takes them: names and handles, and how many. The names' list is kept
-- alive by the caller.
local function by_name(ending, value)
  if type(value) ~= "table" or core.is_tensor(value) then
    raise("save: value is %s, expected a table of tensors by name for %s", kind(value), ending)
  end
  local names = keys("a tensor's name", value)
  local tensors = ffi.new("const gal_tensor *[?]", #names + 1)
  for i, name in ipairs(names) do
    tensors[i - 1] = core.live(value[name], "save", ("value[%q]"):format(name)).h
  end
  return names, tensors, #names
end

local function strings(list) return ffi.new("const char *[?]", #list + 1, list) end

-- Metadata's keys and texts, in the order of the keys.
local function pairs_of(metadata)
  if type(metadata) ~= "table" then
    raise("save: metadata is %s, expected a table of strings by key", kind(metadata))
  end
  local fields, texts = keys("a key of metadata", metadata), {}
  for i, field in ipairs(fields) do texts[i] = plain(("metadata[%q]"):format(field), metadata[field]) end
  return fields, texts
end

local function save_named(path, ending, value, metadata)
  local names, tensors, n = by_name(ending, value)
  local fields, texts = pairs_of(metadata == nil and {} or metadata)
  local c_names, c_fields, c_texts = strings(names), strings(fields), strings(texts)
  made(C.gal_arrays_write, path, n, c_names, tensors, #fields, c_fields, c_texts)
end

local function save_one(path, value)
  local tensor = ffi.new("const gal_tensor *[1]", core.live(value, "save", "value").h)
  made(C.gal_arrays_write, path, 1, nil, tensor, 0, nil, nil)
end

--- gal.save(path, value[, metadata]): writes a tensor to .npy, or a table of tensors by name to .npz or
-- .safetensors, the latter with metadata (strings by key). The file appears under its name when it is
-- complete; an old one stays until then.
function file.save(path, value, metadata)
  local holds, ending = form_of("save", path)
  if metadata ~= nil and holds ~= C.GAL_HOLDS_METADATA then
    raise("save: metadata is %s, but a %s file holds none; .safetensors does", kind(metadata), ending)
  end
  if holds == C.GAL_HOLDS_ONE then save_one(path, value) else save_named(path, ending, value, metadata) end
end

--- file.header(shape, dtype): what a .npy file of that shape begins with, as a string: "float32", "int64" or
-- "uint8" values follow it, in row-major order.
function file.header(shape, dtype)
  local x, text = ffi.new "gal_tensor", ffi.new "char[512]"
  x.dtype, x.rank = ({ float32 = C.GAL_F32, int64 = C.GAL_I64, uint8 = C.GAL_U8 })[dtype], #shape
  for i, n in ipairs(shape) do x.shape[i - 1] = n end
  return ffi.string(text, C.gal_npy_header_text(text, x))
end


return file
