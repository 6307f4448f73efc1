-- gal: what `require "gal"` gives. The parts are modules of their own (gal.nn, gal.optim, gal.flow, …); here
-- only their names come together.
local errors = require "gal.base.errors"
local handle = require "gal.tensor.memory"
local tensor = require "gal.tensor"
local tape = require "gal.tensor.tape"
local grad = require "gal.tensor.map"
require "gal.tensor.reduce"
require "gal.tensor.views"
local random = require "gal.tensor.random"

local gal = {
  tensor = tensor.tensor, zeros = tensor.zeros, ones = tensor.ones, full = tensor.full, arange = tensor.arange,
  rand = random.rand, randn = random.randn, rng = random.rng, default_rng = random.default,
  cat = grad.cat, kde_log_density = grad.kde_log_density,
  no_grad = tape.no_grad, scope = handle.scope, program = require("gal.tensor.program").record,
  memory = handle.memory, device = handle.device, has = handle.has,
  interrupted = errors.interrupted, is_tensor = handle.is_tensor,
}

gal.version = require("gal.base.host").version

--- gal.load(path) --> what a .npy, .npz or .safetensors file holds; raises where it can't.
function gal.load(...) return require("gal.data.arrays").load(...) end

--- gal.save(path, value) writes a tensor (.npy) or tensors by name (.npz, .safetensors).
function gal.save(...) return require("gal.data.arrays").save(...) end

--- gal.table(path or columns) --> a table of named columns from a .csv or .fits file, or from Lua lists and
-- tensors.
function gal.table(...) return require("gal.table").open(...) end

return gal
