-- Precisions by name: in what products, convolutions and the integrator multiply (gal_precision in
-- runtime/galrun_ops.h).
local ffi = require "ffi"
local errors = require "gal.base.errors"
local C = ffi.C
local raise = errors.raise

local precision = {}

local CODES = { f32 = C.GAL_IN_F32, tf32 = C.GAL_IN_TF32, f16 = C.GAL_IN_F16, bf16 = C.GAL_IN_BF16 }

--- code(where, name): the gal_precision of a name; nil stands for "f32". Raises for another one.
function precision.code(where, name)
  local code = CODES[name or "f32"]
  if code then return code end
  raise('%s: precision is %s, expected "f32", "tf32", "f16" or "bf16"', where, errors.kind(name))
end

--- has(name, device, op): whether the device multiplies so in the op: "linear", "conv2d", "flow_integrate".
function precision.has(name, device, op)
  return C.gal_device_precision(device, op, precision.code(op, name)) == C.GAL_OK
end

--- check(where, name, device, op): raises, too, where the device does not multiply so in the op, saying how
-- it can.
function precision.check(where, name, device, op)
  local code = precision.code(where, name)
  if C.gal_device_precision(device, op, code) == C.GAL_OK then return end
  raise("%s: %s", where, (ffi.string(C.gal_error()):gsub("^[%w_]+: ", "")))
end

return precision
