-- collect: when Lua has to collect its garbage for C's sake. LuaJIT sees some hundred bytes of a tensor, a
-- table or a set of images; it does not see their memory, open files and threads, and would wait too long.
local ffi = require "ffi"
local C = ffi.C

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

return collect
