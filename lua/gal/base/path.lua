-- Paths: folders and whole text files. A result appears under its name when it is complete.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local made = require("gal.base.collect").made
local check, raise, kind = errors.check, errors.raise, errors.kind
local C = ffi.C

local folder = {}

ffi.cdef [[
char *realpath(const char *path, char *resolved);
void free(void *memory);
int access(const char *path, int mode);
long readlink(const char *path, char *text, unsigned long size);
int symlink(const char *target, const char *path);
]]
local W_OK_AND_X_OK = 3
local TOO_MANY_FILES = 24 -- EMFILE: handles of garbage

-- The path, if it is one that C can take; else raises. where: what the error names first.
local function named(where, path)
  if type(path) == "string" and not path:find "%z" then return path end
  raise("%s: path is %s, expected the name of a file or a folder", where, kind(path))
end

--- folder.absolute(path) --> the path from the root, which leads there from any folder; path itself where
-- nothing is there.
function folder.absolute(path)
  local resolved = C.realpath(named("absolute", path), nil)
  if resolved == nil then return path end
  local text = ffi.string(resolved)
  C.free(resolved)
  return text
end

--- folder.kind(path) --> "file", "folder", or nil where there is nothing. Raises, with the reason, where that
-- can't be told: "nothing there" would be taken for leave to begin anew.
function folder.kind(path)
  local there = C.gal_path_exists(named("kind", path))
  if there < 0 then raise("%s", ffi.string(C.gal_error())) end
  return ({ "file", "folder" })[there]
end

local text = ffi.new "char[1]"

--- folder.inside(home, name) --> the path of the file of that name in the folder `home`. Raises where that
-- file is a link that leads out of the folder, or nowhere: in a folder that came from elsewhere such a link
-- may lead to any file of the user's. The folder itself may be a link.
function folder.inside(home, name)
  local file = named("inside", home) .. "/" .. errors.text("inside", "name", name)
  if C.readlink(file, text, 1) < 0 then return file end -- no link
  local target, root = folder.absolute(file), folder.absolute(home)
  if target == file or target:sub(1, #root + 1) ~= root .. "/" then
    raise("%s: is a link that leads %s, expected none, or one within the folder", file,
      target == file and "nowhere" or "out of its folder, to " .. target)
  end
  return file
end

--- folder.link(target, path) --> whether `path` leads to the folder `target` now: by a relative link that is
-- made, so that both can be moved together, or before. A link that leads nowhere is replaced; anything else
-- that is there stays.
function folder.link(target, path)
  target = folder.absolute(named("link", target))
  local up, from = "", folder.absolute(named("link", path):match "^(.*)/" or ".")
  if C.readlink(path, text, 1) >= 0 and C.access(path, 0) ~= 0 then folder.remove(path) end
  if folder.kind(path) then return folder.absolute(path) == target end
  while from ~= "/" and from ~= target and target:sub(1, #from + 1) ~= from .. "/" do
    up, from = up .. "../", from:match "^(.+)/" or "/"
  end
  return C.symlink(up .. target:sub(from == "/" and 2 or #from + 2), path) == 0
end

--- folder.make(path): makes the folder and the folders above it where they are absent, and removes the
-- half-written files that killed processes left in it. Returns path. Raises where it begins with ~, which
-- would be a folder of that name.
function folder.make(path)
  if named("make", path):find "^~" then
    raise("%s: ~ stands for the home folder in a shell only, expected the path written out "
      .. "(os.getenv \"HOME\" .. …), or ./~", path)
  end
  made(C.gal_make_folder, path)
  C.gal_folder_sweep(path)
  return path
end

--- folder.writable(path): whether files can be made in the folder.
function folder.writable(path) return C.access(named("writable", path), W_OK_AND_X_OK) == 0 end

--- folder.ready(path): folder.make(path), and raises where no file can be made in the folder: so that this is
-- known before results are worked out.
function folder.ready(path)
  folder.make(path)
  if not folder.writable(path) then raise("%s: nothing can be written into this folder", path) end
  return path
end

--- folder.read(path[, most]) --> the bytes of the file at path as a string, or the first `most` of them; nil
-- where there is none. Raises where it can't be read.
function folder.read(path, most)
  if not folder.kind(path) then return nil end
  local file, why, code = io.open(path, "rb")
  if code == TOO_MANY_FILES then
    collectgarbage()
    file, why = io.open(path, "rb")
  end
  local content
  if file then
    content, why = file:read(most or "*a")
    file:close()
  end
  if why and why:sub(1, #path + 2) == path .. ": " then why = why:sub(#path + 3) end
  if why then raise("%s: can't be read: %s", path, why) end
  return content or ""
end

--- folder.remove(path): takes the file away; one that is absent is no error.
function folder.remove(path) check(C.gal_file_remove(named("remove", path))) end

--- folder.write(path, content): the file at path holds content, a string, whole: it replaces the old one in
-- one move.
function folder.write(path, content)
  if type(content) ~= "string" then raise("write: text is %s, expected a string", kind(content)) end
  made(C.gal_file_write, named("write", path), content, #content)
end

--- folder.entries(path) --> the names in the folder, in order; those of folders end in "/". An empty list
-- where it can't be read.
function folder.entries(path)
  local list = {}
  local pipe = io.popen(("ls -A -p -- '%s' 2>/dev/null"):format((named("entries", path):gsub("'", "'\\''"))))
  for name in pipe:lines() do list[#list + 1] = name end
  pipe:close()
  return list
end

--- folder.list(path, ending) --> the paths of the files and folders there whose names end in `ending`, case
-- ignored, in order of their names.
function folder.list(path, ending)
  named("list", path)
  errors.text("list", "ending", ending)
  local list = {}
  for _, entry in ipairs(folder.entries(path)) do
    local name = entry:match "^(.-)/?$"
    if name:lower():sub(#name - #ending + 1) == ending then list[#list + 1] = path .. "/" .. name end
  end
  return list
end

return folder
