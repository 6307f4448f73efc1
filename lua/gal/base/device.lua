-- Devices by name. The default device is where constructors, layers and flows put the tensors that they make;
-- only --device and gal.device set it.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local host = require "gal.base.host"
local C = ffi.C

local device = {}

local default = errors.device("device", host.device)

--- gal.device() --> the default device's name: constructors, layers and flows put their tensors there.
-- gal.device("cuda") makes that one the default, or raises the reason why it can't be had.
function device.default(name)
  if name == nil then return default end
  default = errors.device("device", name, "name")
  return default
end

--- gal.has("cuda") --> true, or false and the reason why that device can't be had.
function device.has(name)
  if type(name) ~= "string" then
    errors.raise("has: name is %s, expected a string such as \"cuda\"", errors.kind(name))
  end
  if C.gal_device_open(name) == C.GAL_OK then return true end
  return false, ffi.string(C.gal_error())
end

local info = ffi.new "gal_device_info"

--- gal.device_info([name]) --> {description, free, total} of that device or of the default one, its memory in
-- bytes; rows and images: how many draws and how many images it works on at once.
function device.info(name)
  errors.device("device_info", name)
  errors.check(C.gal_device_about(info, name or default))
  return {
    description = ffi.string(info.description), free = tonumber(info.free), total = tonumber(info.total),
    rows = tonumber(info.rows), images = tonumber(info.images),
  }
end

return device
