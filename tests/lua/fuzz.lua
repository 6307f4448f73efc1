-- No public call ends the process, whatever its arguments, and none raises a raw error of Lua's: rounds of
-- random calls (lib/fuzz.lua), in two processes side by side, and what they found in the past. Hours of them
-- are tests/acceptance/fuzz.lua's.
local check = dofile "lua/lib/check.lua"
local fuzz = dofile "lua/lib/fuzz.lua"
local gal = require "gal"
local core = require "gal.tensor"

local scratch = dofile "lua/lib/scratch.lua"

local ROUNDS = 200 -- in each of two processes: some 4 s

check.case("random calls neither end the process nor raise raw errors", function()
  local calls, faults = 0, {}
  for _, part in ipairs(fuzz.processes(scratch.folder, { { 1, ROUNDS }, { 1001, 1000 + ROUNDS } })) do
    check.that(part.ended, ("the process ended at once (%s), at round %s"):format(part.status, part.last))
    calls = calls + part.calls
    for _, fault in ipairs(part.faults) do faults[#faults + 1] = fault end
  end
  check.equal(faults, {})
  check.equal(calls, 2 * ROUNDS * fuzz.CALLS)
end)

check.case("the fuzzer finds a raw error, an error at the library's line and a tape left off", function()
  local function raises(f) return (fuzz.fault_of(select(2, pcall(f)))) end
  local library = loadstring("local x = ... return x.y", "@/anywhere/lua/gal/optim.lua")
  check.equal(raises(function() return library(5) end), "a raw error, or one at the library's line")
  check.equal(raises(function() return nil + 1 end), "a raw error")
  check.equal(raises(function() gal.zeros "x" end), nil)
  check.equal(fuzz.left_open(), nil)
  gal.no_grad(function() check.equal(fuzz.left_open(), "the tape is left off") end)
  gal.scope(function() check.equal(fuzz.left_open(), "a scope is left open") end)
end)

-- ---- what ended the process once, or came as a raw error ----

local nn, optim, images = require "gal.nn", require "gal.optim", require "gal.images"
local function flow_of(c) return require("gal.flow").new{ theta = 2, context = c, hidden = { 2 } } end

check.case("nil and lists in the place of devices, tensors and paths are refused", function()
  check.raises(function() flow_of(0):to() end, "lua/fuzz.lua:%d+: to: device is nil, expected a string")
  check.raises(function() nn.linear(1, 1):to(nil) end, "to: device is nil, expected a string")
  check.raises(function() images.of{ 1 } end, "lua/fuzz.lua:%d+: images: x is a table, expected a tensor")
  check.raises(function() images.of "x" end, 'images: x is the string "x", expected a tensor')
  check.raises(function() images.open() end, "images: path is nil, expected a string")
  local loader = images.of(core.new({ 4, 2, 2, 3 }, "uint8"):fill_(1)):loader(2, "cpu")
  check.raises(function() loader:take({}, 1) end, "take: y is a table, expected a tensor")
  check.raises(function() loader:start(nil) end, "start: order is nil, expected a tensor")
end)

check.case("a tensor that an object keeps is not handed to C once it has been overwritten", function()
  local stale
  pcall(gal.scope, function()
    stale = gal.zeros{ 2 }
    error "the scope closes"
  end)
  local opt, r = require("gal.optim").adamw{ gal.zeros{ 2 }:requires_grad() }, gal.rng(1)
  opt.lr = 0.1 -- this may be given another value
  opt:step()
  opt.block, r.words = stale, stale
  check.raises(function() opt:apply() end, "apply: the field block of an optimiser was overwritten")
  check.raises(function() r:permutation(3) end, "permutation: the field words of a generator was overwritten")
  check.raises(function() gal.randn({ 3 }, { rng = r }) end, "the field words of a generator was", true)
end)

check.case("a size that an object keeps is not believed once it has been overwritten", function()
  local mixture = require("gal.stats.mixture").fit(gal.randn({ 40, 2 }, { rng = gal.rng(1) }), 1)
  check.equal(#mixture:describe()[1].mean, 2)
  mixture.d = "1e5" -- it was the length of arrays: the process ended
  check.raises(function() mixture:describe() end,
    'lua/fuzz.lua:%d+: describe: the field d of a mixture was overwritten: it is the string "1e5"')
end)

check.case("a null pointer is a value like others, and refused", function()
  local null = require("ffi").cast("void *", 0)
  local theta, context = gal.zeros{ 40, 2 }, gal.zeros{ 40, 3 }
  check.raises(function() require("gal.data").arrays(theta, context, { theta = null }) end,
    "lua/fuzz.lua:%d+: arrays: names.theta is a cdata, expected a list of names")
  check.raises(function() optim.cosine(1, 10, null) end, "cosine: final is a cdata, expected a number")
end)

check.case("a flow that has units, but none of images, does not encode", function()
  local flow = require("gal.flow").new{
    theta = 1, context = 1, hidden = { 2 }, encoder = nn.sequential{ nn.flatten() }, image = { 2, 2, 3 },
  }
  flow:standardise(gal.arange(4):reshape{ 4, 1 }, gal.arange(4):reshape{ 4, 1 })
  check.raises(function() flow:encode(nil, gal.zeros{ 1, 2, 2, 3 }) end,
    "encode: the flow has not been trained on images")
end)

check.case("C refuses tensors that are missing", function()
  local C = require("ffi").C
  local x, shape = gal.zeros{ 2 }.h, require("ffi").new "int64_t[8]"
  local out = require("ffi").new "gal_tensor *[1]"
  for name, status in pairs{
    copy = C.gal_copy(nil, x), ["copy from"] = C.gal_copy(x, nil), fill = C.gal_fill(nil, 0),
    arange = C.gal_arange(nil, 0, 1), gather = C.gal_gather_rows(x, nil, nil),
    next_rows = C.gal_next_rows(x, nil, nil), conv2d = C.gal_conv2d_shape(shape, x, nil, 1, 0, 1),
    pool = C.gal_pool2d_shape(shape, "pool", nil, 1, 1),
    view = C.gal_tensor_view(out, nil, 0, shape, shape, 0), keep = C.gal_tensor_keep(out, nil),
    read = C.gal_tensor_read(nil, shape, 1), write = C.gal_tensor_write(nil, shape, 1),
    add = C.gal_add(nil, x, x),
  } do
    check.that(status ~= C.GAL_OK, name .. " took a tensor that is missing")
  end
end)

check.case("a stride of 0 is refused, also where it was written into a layer", function()
  local x, conv = gal.zeros{ 1, 8, 8, 3 }, nn.conv2d(3, 4, 3, { padding = 0 })
  conv.stride = 0
  check.raises(function() conv(x) end, "conv2d: stride is 0")
  check.raises(function() nn.avg_pool2d(2, { stride = 0 }) end, "avg_pool2d: stride is 0, expected an")
  check.raises(function() core.max_pool2d(x, 2, 0) end, "max_pool2d: .*0")
end)

check.case("wrong types are named, with what was expected, at the caller's line", function()
  local opt = optim.sgd(nn.linear(1, 1):parameters())
  local linalg, metrics, data = require "gal.stats.linalg", require "gal.metrics", require "gal.data"
  local kde, json = require "gal.stats.kde", require "gal.base.json"
  local x = gal.zeros{ 3, 2 }
  local function refused(f, sentence) check.raises(f, "lua/fuzz.lua:%d+: " .. sentence) end
  refused(function() opt:set_rate "fast" end, 'set_rate: lr is the string "fast", expected a number')
  refused(function() opt.step() end, "step: called with nil, expected an optimiser: optimiser:step%(…%)")
  refused(function() optim.cosine "x" end, 'cosine: lr is the string "x", expected a number')
  refused(function() flow_of(1):standardise(5) end, "standardise: theta is the number 5, expected a tensor")
  refused(function() flow_of(1):encode(5) end, "encode: seen is the number 5, expected a tensor")
  refused(function() flow_of(1):standard(x) end, "standard: the flow has not been trained")
  refused(function() metrics.moments(5) end, "moments: values is the number 5, expected a list of numbers")
  refused(function() metrics.moments{ 1, "2" } end, 'moments: values%[2%] is the string "2", expected')
  refused(function() metrics.information(5) end, "information: flow is the number 5, expected a flow")
  refused(function() metrics.summary{} end, "summary: scores.delta_log_p is nil, expected a list")
  refused(function() linalg.product({ { 1, 2 } }, { { 1 } }) end, "product: a%[1%] has 2 numbers, expected 1")
  refused(function() linalg.cholesky{ { 1, 2 }, { 1 } } end, "cholesky: a%[2%] has 1 numbers, expected 2")
  refused(function() linalg.apply(5, { 1 }) end, "apply: a is the number 5, expected a matrix")
  refused(function() kde.fit{ { 1, 2 } } end, "kde: theta is a table, expected a tensor")
  refused(function() kde.fit(gal.zeros{ 9 }) end, "kde: theta is float32 {9}, expected {N, d} float32")
  refused(function() data.arrays(x, gal.zeros{ 2, 1 }) end, "arrays: theta has 3 rows and context 2, ex")
  refused(function() nn.build(nil) end, "nn.build: spec is nil, expected a table of nn.spec")
  refused(function() json.decode(x) end, "json.decode: text is a tensor {3, 2}, expected a string")
  local rk4 = require("gal.ode").rk4
  refused(function() rk4(function() return "x" end, 1) end, "ode: velocity returned the string")
end)

check.case("steps and columns by number are refused before their lists take memory", function()
  local flow = flow_of(0)
  flow:standardise(gal.randn{ 9, 2 })
  check.raises(function() flow:sample(nil, { n = 1, steps = 2 ^ 31 }) end,
    "sample: steps is 2147483648, expected an integer from 1 to 1048576")
  check.raises(function() require("gal.flow").new{ theta = 1e9, context = 0 } end,
    "flow: theta is 1000000000, expected an integer from 1 to 65536")
end)

check.case("a method that is called without its object says how it is called", function()
  local flow = flow_of(0)
  check.raises(function() flow.sample(gal.zeros{ 2 }) end,
    "lua/fuzz.lua:%d+: sample: called with a tensor {2}, expected a flow: flow:sample%(…%)")
  check.raises(function() gal.rng(1).fork "x" end, 'fork: called with the string "x", expected a generator')
end)

scratch.remove()
check.finish()
