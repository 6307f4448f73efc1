-- A folder for the files of one test, whole files in one call, and galrun as a process. A test that needs
-- one opens with `local scratch = dofile "lua/lib/scratch.lua"`, which makes the folder, and ends with
-- scratch.remove().
local host = require "gal.host"

local scratch = { folder = os.tmpname() }
os.remove(scratch.folder)
assert(os.execute("mkdir " .. scratch.folder) == 0)

--- path(name): that name in the folder.
function scratch.path(name) return scratch.folder .. "/" .. name end

--- read(path): all bytes of a file.
function scratch.read(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "*a"
  file:close()
  return bytes
end

--- write(path, bytes): makes a file of these bytes, over one that is there; returns path.
function scratch.write(path, bytes)
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
  return path
end

--- run(command): runs a shell command in the folder; returns its exit code, and standard output and error
-- together.
function scratch.run(command)
  local pipe = assert(io.popen(("cd %s && { %s\n} 2>&1; echo \"exit $?\""):format(scratch.folder, command)))
  local output = pipe:read "*a"
  pipe:close()
  local text, code = output:match "^(.*)exit (%d+)\n$"
  return tonumber(code), text
end

--- The words of a command that run this galrun, and that run an experiment, on this test's device or another.
scratch.galrun = ("'%s'"):format(host.executable)
function scratch.experiment(name, device)
  device = device or host.device
  return ("%s --device %s '%s/experiments/%s.lua'"):format(scratch.galrun, device, host.root, name)
end

--- succeeds(name, options[, device]): runs an experiment with these options, on this test's device or
-- another; returns what it printed, and raises where it fails.
function scratch.succeeds(name, options, device)
  local command = scratch.experiment(name, device) .. " " .. options
  local code, text = scratch.run(command)
  if code ~= 0 then error(("exit %d of %s:\n%s"):format(code, command, text), 2) end
  return text
end

--- remove(): removes the folder and all that is in it.
function scratch.remove() os.execute("rm -r " .. scratch.folder) end

return scratch
