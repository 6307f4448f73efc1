-- Folders and whole text files for experiments: results appear complete under their names or not at all.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local check, raise = errors.check, errors.raise
local C = ffi.C

local folder = {}

ffi.cdef "char *realpath(const char *path, char *resolved); void free(void *memory); int access(const char *path, int mode);"

--- folder.absolute(path): the path from the root, so that it still leads there from another folder; as it is
-- where there is nothing.
function folder.absolute(path)
  local resolved = C.realpath(path, nil)
  if resolved == nil then return path end
  local text = ffi.string(resolved)
  C.free(resolved)
  return text
end

--- "file", "folder" or nil, what stands at path.
function folder.kind(path)
  return ({ "file", "folder" })[C.gal_path_exists(path)]
end

--- Makes the folder and those above it, where they are absent, and takes away what killed processes left
-- half-written in it; returns its path.
function folder.make(path)
  check(C.gal_make_folder(path))
  C.gal_folder_sweep(path)
  return path
end

--- folder.ready(path): the same, and raises where files can't be made in it: before results are worked out,
-- and not after.
function folder.ready(path)
  folder.make(path)
  if C.access(path, 3) ~= 0 then raise("%s: nothing can be written into this folder", path) end -- W_OK and X_OK
  return path
end

--- Writes text to path, replacing what was there in one move.
function folder.write(path, text)
  check(C.gal_file_write(path, text, #text))
end

--- The paths of a folder's files whose names end in `ending`, case ignored, in order of their names.
function folder.list(path, ending)
  local pipe, list = io.popen(("ls -A '%s' 2>/dev/null"):format((path:gsub("'", "'\\''")))), {}
  for name in pipe:lines() do
    if name:lower():sub(-#ending) == ending then list[#list + 1] = path .. "/" .. name end
  end
  pipe:close()
  return list
end

return folder
