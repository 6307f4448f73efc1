-- gal: the table that `require "gal"` gives. The parts are modules of their own (gal.nn, gal.optim, gal.flow,
-- …); the names of tensors and files come together here.
local device = require "gal.base.device"
local errors = require "gal.base.errors"
local host = require "gal.base.host"
local tensor = require "gal.tensor"

local gal = {
  version = host.version, interrupted = errors.interrupted,
  device = device.default, has = device.has, device_info = device.info, memory = tensor.memory,

  tensor = tensor.tensor, zeros = tensor.zeros, ones = tensor.ones, full = tensor.full,
  arange = tensor.arange, linspace = tensor.linspace, where = tensor.where,
  rand = tensor.rand, randn = tensor.randn, rng = tensor.rng, default_rng = tensor.default_rng,
  is_tensor = tensor.is_tensor, cat = tensor.cat, kde_log_density = tensor.kde_log_density,
  no_grad = tensor.no_grad, scope = tensor.scope, program = tensor.program,
}

--- gal.load(path) --> the tensor of a .npy file, the tensors by name of a .npz or .safetensors file; raises
-- where it can't be read.
function gal.load(...) return require("gal.data.arrays").load(...) end

--- gal.save(path, value) writes a tensor (.npy) or tensors by name (.npz, .safetensors).
function gal.save(...) return require("gal.data.arrays").save(...) end

--- gal.table(path or columns) --> a table of named columns from a .csv or .fits file, or from Lua lists and
-- tensors.
function gal.table(...) return require("gal.table").open(...) end

--- gal.open(folder[, {device =, survey =, …}]) --> a trained run (gal.run), to ask it questions:
-- run:posterior(id), run:find{…}, run:worst(10).
function gal.open(...) return require("gal.run").open(...) end

--- gal.show(figure[, path]): shows a figure, the path of one or what plot.corner gives, in the terminal as
-- that can: ?gal.plot.show has the rest. Its path is printed.
function gal.show(...) return require("gal.plot.show").show(...) end

-- The public modules are fields as soon as one asks: gal.plot.corner needs no require "gal.plot".
local MODULES = {}
local NAMES = "calibration cli data flow images infer metrics mock nn ode optim plot run sweep train"
for name in NAMES:gmatch "%a+" do MODULES[name] = ("gal.%s"):format(name) end

return setmetatable(gal, {
  __index = function(t, name)
    local module = MODULES[name] and require(MODULES[name])
    if module then rawset(t, name, module) end
    return module
  end,
})
