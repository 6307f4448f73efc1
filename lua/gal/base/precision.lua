-- Precisions by name: in what products, convolutions and the integrator multiply (gal_precision in
-- runtime/galrun_ops.h). A device that lacks one for an op raises, naming both.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local C = ffi.C

local precision = {}

local CODES = { f32 = C.GAL_IN_F32, tf32 = C.GAL_IN_TF32, f16 = C.GAL_IN_F16, bf16 = C.GAL_IN_BF16 }

--- code(where, name): the gal_precision of a name; nil stands for "f32". Raises for another one.
function precision.code(where, name)
  local code = CODES[name or "f32"]
  if code then return code end
  errors.raise('%s: precision is %s, expected "f32", "tf32", "f16" or "bf16"', where, errors.kind(name))
end

return precision
