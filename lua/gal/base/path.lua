-- Paths: folders and whole text files. A result appears under its name when it is complete.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local check, raise = errors.check, errors.raise
local C = ffi.C

local folder = {}

ffi.cdef [[
char *realpath(const char *path, char *resolved);
void free(void *memory);
int access(const char *path, int mode);
]]
local W_OK_AND_X_OK = 3

--- folder.absolute(path) --> the path from the root, which leads there from any folder; path itself where
-- nothing is there.
function folder.absolute(path)
  local resolved = C.realpath(path, nil)
  if resolved == nil then return path end
  local text = ffi.string(resolved)
  C.free(resolved)
  return text
end

--- folder.kind(path) --> "file", "folder", or nil where there is nothing.
function folder.kind(path)
  return ({ "file", "folder" })[C.gal_path_exists(path)]
end

--- folder.make(path): makes the folder and the folders above it where they are absent, and removes the
-- half-written files that killed processes left in it. Returns path.
function folder.make(path)
  check(C.gal_make_folder(path))
  C.gal_folder_sweep(path)
  return path
end

--- folder.ready(path): folder.make(path), and raises where no file can be made in the folder: so that this is
-- known before results are worked out.
function folder.ready(path)
  folder.make(path)
  if C.access(path, W_OK_AND_X_OK) ~= 0 then raise("%s: nothing can be written into this folder", path) end
  return path
end

--- folder.read(path) --> the bytes of the file at path as a string; nil where it can't be opened.
function folder.read(path)
  local file = io.open(path, "rb")
  local text = file and file:read "*a"
  if file then file:close() end
  return text
end

--- folder.write(path, text): the file at path holds text, whole: it replaces the old one in one move.
function folder.write(path, text)
  check(C.gal_file_write(path, text, #text))
end

--- folder.list(path, ending) --> the paths of the folder's files whose names end in `ending`, case ignored,
-- in order of their names.
function folder.list(path, ending)
  local pipe, list = io.popen(("ls -A '%s' 2>/dev/null"):format((path:gsub("'", "'\\''")))), {}
  for name in pipe:lines() do
    if name:lower():sub(-#ending) == ending then list[#list + 1] = path .. "/" .. name end
  end
  pipe:close()
  return list
end

return folder
