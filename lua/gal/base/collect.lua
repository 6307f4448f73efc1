-- collect: when Lua has to collect its garbage for C's sake. LuaJIT sees some hundred bytes of a tensor, a
-- table or a set of images; it does not see their memory, open files and threads, and would wait too long.
-- And how what C has made gets its finaliser, whenever Ctrl-C is pressed.
local ffi = require "ffi"
local C = ffi.C

require("gal.base.host").shelter()
local collect = {}

-- What C may allocate, in bytes, before a collection. An open file counts for some megabytes.
local AFTER = 256 * 2 ^ 20

--- collect.due(): collects where C has allocated much since the last time.
function collect.due()
  if C.gal_memory_allocated(0) > AFTER then
    C.gal_memory_allocated(1)
    collectgarbage()
  end
end

--- collect.again(status, make, ...): status, or, if make(...) returned it over the soft limit, out of memory
-- or out of file handles, the status of further tries: after a collection, then without the compiled traces,
-- which keep closures alive and with them what those capture.
function collect.again(status, make, ...)
  if status ~= C.GAL_BUDGET and status ~= C.GAL_MEMORY then return status end
  collectgarbage()
  status = make(...)
  if status == C.GAL_OK then return status end
  jit.flush()
  collectgarbage()
  return make(...)
end

--- collect.made(make, ...): calls make(...) as often as collect.again would, and raises its failure.
function collect.made(make, ...)
  return require "gal.base.errors".check(collect.again(make(...), make, ...))
end

--- collect.handle(free, out, make, ...): calls make(out, ...), as collect.made does, which leaves a handle in
-- out[0]. Returns the handle, which `free` ends with Lua's garbage: Ctrl-C is not raised before that is so.
function collect.handle(free, out, make, ...)
  collect.made(make, out, ...)
  local h = ffi.gc(out[0], free)
  collect.due()
  return h
end

--- collect.free(free, h): frees a handle of collect.handle now.
function collect.free(free, h) free(ffi.gc(h, nil)) end

return collect
