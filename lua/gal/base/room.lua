-- base/room: whether there is memory for what is about to be made, before any of it is.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local C = ffi.C

local info = ffi.new "gal_memory_info"

local function gigabytes(bytes) return (bytes < 1e12 and "%.3g" or "%.0f"):format(bytes / 1e9) end

--- refuse(device, parts): raises where the parts, a list of {bytes, words, options}, are more than is
-- left of the device's memory; the sentence names the options of which less would do, those of the largest.
return function(device, parts)
  local all, most = 0, parts[1]
  for _, part in ipairs(parts) do
    all = all + part[1]
    if part[1] > most[1] then most = part end
  end
  for _ = 1, 2 do
    errors.check(C.gal_memory(device, info))
    if all <= tonumber(info.limit - info.live) then return end
    collectgarbage()
  end
  local names = {}
  for i, name in ipairs(most[3]) do names[i] = errors.option(name) end
  local last = table.remove(names)
  local listed = #names > 0 and table.concat(names, ", ") .. " or " .. last or last
  errors.raise("memory: at least %s GB more would pass the limit of %s GB on %s, %s GB for %s: less of %s "
    .. "would do", gigabytes(all), gigabytes(tonumber(info.limit)), device, gigabytes(most[1]), most[2],
    listed)
end
