-- flow/members: the runs that make up an ensemble: a list of folders, "runs/a,runs/b,runs/c", or a folder
-- whose ensemble.json names them.
local errors = require "gal.base.errors"
local json = require "gal.base.json"
local path = require "gal.base.path"
local raise = errors.raise

local members = {}

local FILE, FORMAT = "ensemble.json", "galrun ensemble 1"
members.FILE = FILE

-- The folders that the ensemble.json of a folder names; nil without that file.
local function named_in(folder)
  local file = folder .. "/" .. FILE
  local text = path.kind(file) == "file" and path.read(file)
  if not text then return nil end
  local known, found = pcall(json.decode, text)
  local list = known and type(found) == "table" and found.format == FORMAT and found.members
  if type(list) ~= "table" or #list < 2 then
    raise("%s is damaged: expected {\"format\": \"%s\", \"members\": [at least two folders]}", file, FORMAT)
  end
  local folders = {}
  for i, name in ipairs(list) do
    if type(name) ~= "string" or name == "" then
      raise("%s: members[%d] is %s, expected the folder of a run", file, i, errors.kind(name))
    end
    folders[i] = name:sub(1, 1) == "/" and name or folder .. "/" .. name
  end
  return folders
end

-- The folders that a text names, between commas.
local function parts_of(text)
  local list = {}
  for part in (text .. ","):gmatch "([^,]*)," do list[#list + 1] = part:match "^%s*(.-)/*%s*$" end
  return list
end

-- Raises where a run is in the list twice.
local function refuse_twice(text, folders)
  local seen = {}
  for _, folder in ipairs(folders) do
    local whole = path.absolute(folder)
    if seen[whole] then raise("%s: %s is a member twice", text, folder) end
    seen[whole] = true
  end
  return folders
end

--- members.expanded(list): the same folders, each that is an ensemble as its members. Raises where one run is
-- there twice.
function members.expanded(list)
  local folders = {}
  for _, part in ipairs(list) do
    for _, folder in ipairs(path.kind(part) == "folder" and named_in(part) or { part }) do
      folders[#folders + 1] = folder
    end
  end
  return refuse_twice(table.concat(list, ","), folders)
end

--- members.of(text): the folders of the runs that an ensemble is of, a list of at least two: of a folder with
-- ensemble.json, or of several folders between commas, each of a run or of an ensemble; nil where the text is
-- one run, or the name of nothing.
function members.of(text)
  errors.text("members", "path", text, "the folder of a run")
  local home = text:gsub("(.)/+$", "%1")
  local kind = path.kind(home)
  if kind == "folder" then
    local folders = named_in(home)
    return folders and refuse_twice(text, folders)
  end
  if kind or not text:find(",", 1, true) then return nil end
  local list = parts_of(text)
  for _, part in ipairs(list) do
    if part == "" then raise("%s: expected folders between the commas", text) end
  end
  local folders = members.expanded(list)
  return #folders > 1 and folders or nil
end

-- What a folder without a flow is, in words.
local function lacking(folder)
  if not path.kind(folder) then return "is not there" end
  if path.kind(folder .. "/" .. FILE) then return "is an ensemble itself: name its members" end
  return "has no flow yet (flow.safetensors)"
end

--- members.refuse_unfinished(text, folders): raises where one of the folders holds no flow.
function members.refuse_unfinished(text, folders)
  for _, folder in ipairs(folders) do
    if path.kind(folder .. "/flow.safetensors") ~= "file" and path.kind(folder) ~= "file" then
      raise("%s: its member %s %s", text, folder, lacking(folder))
    end
  end
end

--- members.folder(out, k): the folder of the k-th run of an ensemble that is trained in the folder `out`.
function members.folder(out, k) return ("%s/member-%d"):format(out, k) end

--- members.refuse_begun(where, folder): raises where the folder has runs of an ensemble whose training has
-- not ended.
function members.refuse_begun(where, folder)
  for _, name in ipairs{ FILE, "flow.safetensors" } do
    if path.kind(folder .. "/" .. name) then return end
  end
  if not path.kind(members.folder(folder, 1)) then return end
  raise("%s: %s is an ensemble whose training has not ended; resumed, it goes on", where, folder)
end

--- members.write(folder, folders): names the runs in `folders` as the members of an ensemble in `folder`, in
-- its ensemble.json: those within it by their names there, others by their whole paths.
function members.write(folder, folders)
  local root, list = path.absolute(path.make(folder)) .. "/", {}
  for i, member in ipairs(folders) do
    local whole = path.absolute(member)
    list[i] = whole:sub(1, #root) == root and whole:sub(#root + 1) or whole
  end
  path.write(folder .. "/" .. FILE, json.encode({ format = FORMAT, members = list }, true) .. "\n")
end

--- members.name(text): what a run or an ensemble is called beside others: its folder's name; of several
-- folders their names.
function members.name(text)
  local names = {}
  for k, part in ipairs(parts_of(text)) do names[k] = path.absolute(part):match "[^/]*$" end
  return path.kind(text) and path.absolute(text):gsub("/+$", ""):match "[^/]*$" or table.concat(names, ",")
end

--- members.absolute(text): text with absolute paths, which mean the same from any folder.
function members.absolute(text)
  if path.kind(text) or not text:find(",", 1, true) then return path.absolute(text) end
  local list = parts_of(text)
  for k, part in ipairs(list) do list[k] = path.absolute(part) end
  return table.concat(list, ",")
end

--- members.home(text): the folder for results of a run or an ensemble where none is named, and what is added
-- to their names, or nil: the results of an ensemble of several folders go into the first.
function members.home(text)
  local first, others = text:match "^%s*([^,]-)%s*,(.*)$"
  if not first or path.kind(text) then return text, nil end
  return (first:gsub("(.)/+$", "%1")), "with-" .. members.name(others):gsub(",", "-")
end

return members
