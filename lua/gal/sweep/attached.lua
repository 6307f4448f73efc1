-- sweep/attached: the processes that a sweep starts require this (galrun -l): they end when the one that
-- started them has ended, so that a killed worker leaves no training that nobody watches: a trial's process
-- at once, a worker after it has put its trial away.
local check = require("gal.base.errors").check
local C = require("ffi").C

local parent, signal = (os.getenv "GALRUN_PARENT" or ""):match "^(%d+) (%u+)$"
if parent then check(C.gal_process_bind(tonumber(parent), signal)) end

return {}
