-- Values for fuzz.lua: arguments of all kinds, good and hostile, each as a function of the random numbers
-- and of a pool of objects that is made anew for every round. Names of calls and what they take stand in
-- TAKES: with it a call gets further than its first check.
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"

local values = {}

-- ---- random choices ----

local Random = {}
Random.__index = Random

--- random(seed): numbers of its own, so that those of gal.rng don't move with the calls (Park & Miller 1988).
function values.random(seed)
  local r = setmetatable({ state = seed * 7919 % 2147483646 + 1 }, Random)
  for _ = 1, 5 do r:uniform() end
  return r
end
function Random:uniform()
  self.state = self.state * 16807 % 2147483647
  return (self.state - 1) / 2147483646
end
function Random:below(n) return math.floor(self:uniform() * n) end
function Random:pick(list) return list[self:below(#list) + 1] end
function Random:chance(p) return self:uniform() < p end

-- ---- the pool ----

local function stale() -- a tensor whose scope has closed, taken out behind the library's back
  local kept
  gal.scope(function() kept = { gal.ones{ 2, 3 } } end)
  return kept[1]
end

local function walked() -- a result whose graph backward() has freed
  local x = gal.ones{ 3 }:requires_grad()
  local y = (x * x):sum()
  y:backward()
  return y
end

local function tensors()
  local x = gal.tensor{ { 1, 2, 3 }, { 4, 5, 6 }, { 7, 8, 9 }, { 2, 1, 0 } } -- {4, 3}
  local list = {
    gal.tensor(2.5), gal.tensor{ 1, 2, 3 }, gal.zeros{ 0 }, gal.zeros{ 0, 3 }, gal.zeros{ 3, 0 }, x, x:t(),
    x:narrow(2, 2, 2), x:select(2, 1), gal.tensor{ 1, 0 / 0, -1 / 0 },
    gal.randn({ 40, 2 }, { rng = gal.rng(3) }), gal.randn({ 40, 3 }, { rng = gal.rng(4) }),
    gal.rand({ 2, 8, 8, 3 }, { rng = gal.rng(5) }),
    gal.rand({ 2, 4, 3 }, { rng = gal.rng(6) }), gal.ones{ 2, 2, 2, 2, 1, 1, 2, 1 }, gal.full({ 2, 3 }, 3e38),
    core.new({ 2, 3 }, "uint8"):fill_(7), core.new({ 2, 8, 8, 3 }, "uint8"):fill_(9),
    core.new({ 3 }, "int64"):fill_(1), core.new({ 2 }, "int64"):fill_(5), core.index{ 2, 1, 3 },
    core.new({ 8, 8, 3 }, "uint8"):fill_(1), core.float64{ 3 }, core.float64{},
    gal.ones{ 3 }:requires_grad(), gal.ones{ 2, 3 }:requires_grad(), gal.ones{ 2, 3 }:requires_grad() * 2,
    stale(), walked(), gal.full({ 40, 2 }, 1),
    gal.randn({ 100, 2 }, { rng = gal.rng(7) }), gal.randn({ 100, 19, 2 }, { rng = gal.rng(8) }),
    gal.randn({ 100, 3 }, { rng = gal.rng(9) }),
  }
  return list
end

--- pool(): the objects of a round, {name = {objects}}.
function values.pool()
  local nn, flow = require "gal.nn", require "gal.flow"
  local rng = gal.rng(1)
  local theta = gal.randn({ 40, 2 }, { rng = rng })
  local context = gal.randn({ 40, 3 }, { rng = rng })
  local given = { hidden = { 4 }, rng = rng }
  local function flow_of(o)
    for key, value in pairs(given) do o[key] = o[key] or value end
    return flow.new(o)
  end
  local trained, bare, fresh = flow_of{ theta = 2, context = 3 }, flow_of{ theta = { "m", "z" } },
    flow_of{ theta = 1, context = { "u" } }
  local second = flow_of{ theta = 2, context = 3 }
  local seeing = flow_of{ theta = 2, context = 0, image = { 8, 8, 3 },
    encoder = nn.galaxy_cnn{ channels = { 2 }, rng = rng } }
  trained:standardise(theta, context)
  second:standardise(theta, context)
  bare:standardise(theta)
  local pixels = core.new({ 6, 8, 8, 3 }, "uint8"):fill_(9)
  local survey = require("gal.data").arrays(theta, context)
  survey.names = { theta = trained.theta, context = trained.context }
  local with_images = require("gal.data").arrays(theta:narrow(1, 1, 6), context:narrow(1, 1, 6))
  local set = require("gal.images").of(pixels)
  with_images.images = set
  local closed = set:rows{ 1, 2 }
  local net = nn.sequential{ nn.linear(3, 4, { rng = rng }), nn.silu(), nn.linear(4, 2, { rng = rng }) }
  local conv = nn.sequential{ nn.conv2d(3, 2, 3, { rng = rng }), nn.relu(), nn.avg_pool2d(2) }
  local optim = require "gal.optim"
  local released = optim.sgd(nn.linear(2, 1):parameters())
  released:release()
  local spoiled = nn.conv2d(3, 4, 3, { padding = 0 })
  spoiled.stride = 0
  local prior = require("gal.stats.prior").fit(theta, { candidates = { 1 } })
  local calibration, all = require "gal.calibration", tensors()
  local truth, draws, x = all[31], all[32], all[33]
  local test = calibration.test(truth, draws, { context = x })
  local half = calibration.accumulator():add{ truth = truth, samples = draws }
  local fit = { flow = trained, history = { { epoch = 1, train_loss = 1, lr = 1 } }, best_epoch = 1 }
  fit.best_loss = 1
  local run = require("gal.run").of_fit(fit, { flow = trained, data = survey, epochs = 1, progress = false })
  local posterior = run:posterior(3, { n = 20, steps = 2 })
  return {
    run = { run }, posterior = { posterior }, posteriors = { run:posterior({ 1, 2 }, { n = 20, steps = 2 }) },
    property = { posterior.theta_1 },
    tensor = all, accumulator = { half, calibration.accumulator() }, test = { test },
    flow = { trained, bare, fresh, seeing }, ensemble = { flow.ensemble{ members = { trained, second } } },
    survey = { survey, with_images },
    table_ = { gal.table{ objID = { "1", "2", "3" }, z = { 1, 2, 0 / 0 }, name = { "a", "", "c" } } },
    set = { set, closed }, loader = { set:loader(2, "cpu") }, resident = { set:resident "cpu" },
    module = { net, conv, nn.dropout(0.5), nn.flatten(), nn.layer_norm(3), nn.residual(nn.linear(3, 3)),
      nn.global_avg_pool(), nn.max_pool2d(2), spoiled },
    optimiser = { optim.adamw(net:parameters(), { average = 0.9, clip = 1 }), released },
    schedule = { optim.cosine(1, 10), optim.warmup(3, optim.constant(1)) },
    rng = { gal.rng(1), gal.rng(2) }, program = { (gal.program(function() return theta + 1 end)) },
    prior = { prior }, kde = { prior.kde }, mixture = { prior.mixture },
    layer = { require("gal.plot").points({ 1, 2 }, { 3, 4 }) },
    panel = { require("gal.plot").panel{ require("gal.plot").lines({ 1, 2 }, { 3, 4 }) } },
  }
end

-- ---- arguments by kind: each gives a value and how the log calls it ----

local kinds = {}

local NUMBERS = {
  0, 1, 2, 3, 4, 5, 7, 8, -1, -2, 0.5, 0.9, 1.5, -0.5, 1e-3, 40, 64, 255, 256, 1e-300, -0.0,
}
local HUGE = { 1e9, 2 ^ 31, 2 ^ 32, 2 ^ 53, 2 ^ 63, 1e300, 1 / 0, -1 / 0, 0 / 0, -2 ^ 31, -2 ^ 63 }
local STRINGS = {
  "x", "cpu", "far", "cuda:9", "auto", "u", "m", "z", "objID", "train", "silu", "identity", "same", "a b",
  "a.npy", "a.npz", "a.safetensors", "a.csv", "a.fits", "a.png", "folder", "\0", "x\0y", "%s%n", "é\255", ".",
  ("y"):rep(300), "1", "1e5", "{", "[1,2", '{"a": [1, {"b": null}]}', "theta", "f32", "bf16", "mask", "paper",
}

function kinds.n(r)
  local v = r:chance(0.03) and r:pick(HUGE) or r:pick(NUMBERS)
  return v, tostring(v)
end
function kinds.string(r)
  local s = r:pick(STRINGS)
  return s, ("%q"):format(#s > 30 and s:sub(1, 30) or s)
end
function kinds.bool(r)
  local v = r:chance(0.5)
  return v, tostring(v)
end

local function list_of(r, most, entry)
  local list, words = {}, {}
  for i = 1, r:below(most + 1) do
    list[i], words[i] = entry(r)
    if list[i] == nil then list[i], words[i] = false, "false" end
  end
  return list, "{" .. table.concat(words, ", ") .. "}"
end
local function small(r)
  local v = r:below(5)
  return v, tostring(v)
end
function kinds.shape(r)
  if r:chance(0.15) then return list_of(r, 10, kinds.n) end
  return list_of(r, 4, small)
end
function kinds.list(r) return list_of(r, 5, r:chance(0.2) and kinds.n or small) end
function kinds.positions(r)
  return list_of(r, 5, function() local v = r:below(6) + 1 return v, tostring(v) end)
end
function kinds.names(r) return list_of(r, 4, kinds.string) end
function kinds.matrix(r)
  local width = r:below(4)
  return list_of(r, 4, function()
    if r:chance(0.1) then return kinds.list(r) end
    local row = {}
    for i = 1, width do row[i] = r:below(9) - 3 end
    return row, "{" .. table.concat(row, ", ") .. "}"
  end)
end

local CALLBACKS = {
  ["function() end"] = function() end,
  ["function(...) return ... end"] = function(...) return ... end,
  ["function(a, b) return b end"] = function(_, b) return b end,
  ["function() error 'own' end"] = function() error("own", 0) end,
  ["function() return 1 end"] = function() return 1 end,
  ["function(x) return x * 2 end"] = function(x) return type(x) == "table" and x.h and x * 2 or x end,
}
local WORDS = {}
for word in pairs(CALLBACKS) do WORDS[#WORDS + 1] = word end
table.sort(WORDS)
kinds["function"] = function(r)
  local word = r:pick(WORDS)
  return CALLBACKS[word], word
end

-- What no argument is meant to be.
function kinds.odd(r)
  local list = {
    { nil, "nil" }, { true, "true" }, { {}, "{}" }, { io.stdout, "a file" }, { ffi.new "int[2]", "cdata" },
    { ffi.cast("void *", nil), "a null pointer" }, { coroutine.create(print), "a thread" },
    { setmetatable({}, { __index = function() return 1 end }), "a table that has everything" },
    { setmetatable({}, { __index = core.methods }), "a table with a tensor's methods" },
    { { h = 5 }, "{h = 5}" }, { 5LL, "5LL" },
    { { shape_text = function() return "{9}" end }, "a false tensor" },
  }
  local choice = r:pick(list)
  return choice[1], choice[2]
end

local OBJECTS = {
  "tensor", "flow", "ensemble", "survey", "table_", "set", "loader", "resident", "module", "optimiser",
  "schedule", "rng", "program", "prior", "kde", "mixture", "layer", "panel", "accumulator", "test",
  "run", "posterior", "posteriors", "property",
}
for _, name in ipairs(OBJECTS) do
  kinds[name] = function(r, pool)
    local at = r:below(#pool[name]) + 1
    local v = pool[name][at]
    local words = core.is_tensor(v) and core.show_line(v):gsub("^tensor ", "") or name .. " " .. at
    return v, "<" .. words .. ">"
  end
end
function kinds.tensors(r, pool) return list_of(r, 3, function() return kinds.tensor(r, pool) end) end
function kinds.matrix2(r, pool) -- {40, 2}
  local v = pool.tensor[r:chance(0.8) and 11 or 30]
  return v, "<{40, 2}>"
end
function kinds.matrix3(_, pool) return pool.tensor[12], "<{40, 3}>" end
function kinds.truth(_, pool) return pool.tensor[31], "<{100, 2}>" end
function kinds.draws(_, pool) return pool.tensor[32], "<{100, 19, 2}>" end
function kinds.inputs(_, pool) return pool.tensor[33], "<{100, 3}>" end
function kinds.block(r, pool)
  local t, words = {}, {}
  for _, name in ipairs{ "truth", "samples", "context" } do
    local kind = name == "samples" and "draws" or name == "context" and "inputs" or name
    if r:chance(0.85) then t[name] = r:chance(0.85) and kinds[kind](r, pool) or (values.any(r, pool)) end
    words[#words + 1] = name
  end
  return t, "{" .. table.concat(words, ", ") .. "}"
end
function kinds.image(_, pool) return pool.tensor[13], "<{2, 8, 8, 3}>" end
function kinds.modules(r, pool) return list_of(r, 3, function() return kinds.module(r, pool) end) end
function kinds.layers(r, pool) return list_of(r, 3, function() return kinds.layer(r, pool) end) end
function kinds.path(r)
  local v = r:pick{ "a.npy", "a.npz", "a.safetensors", "a.csv", "a.fits", "a.png", "folder", "none.csv", "." }
  return v, ("%q"):format(v)
end
function kinds.scores(r)
  local t, words = {}, {}
  for _, name in ipairs{ "log_q", "log_p", "delta_log_p", "d_kl", "delta_log_p_mixture", "d_kl_mixture" } do
    if r:chance(0.9) then t[name] = r:chance(0.9) and { 1, 2, 3 } or (kinds.odd(r)) end
    words[#words + 1] = name
  end
  return t, "{scores}"
end

-- Weights of the kinds of an argument that can be anything.
local ANY = {}
for kind, weight in pairs{
  n = 6, string = 3, bool = 1, shape = 2, list = 3, names = 1, matrix = 2, ["function"] = 2, odd = 6,
  tensor = 10, flow = 1, survey = 1, table_ = 1, set = 1, module = 1, optimiser = 1, rng = 1, tensors = 1,
  resident = 1, schedule = 1, path = 1, prior = 1,
} do
  for _ = 1, weight do ANY[#ANY + 1] = kind end
end
table.sort(ANY)

--- any(r, pool): any value.
function values.any(r, pool) return kinds[r:pick(ANY)](r, pool) end

-- A value for the option of that name: what it should be by its name, or anything.
local NAMED = {
  device = "string", rng = "rng", steps = "n", n = "n", encoder = "module", head = "module", flow = "flow",
  theta = "matrix2", context = "matrix3", images = "set", data = "survey", valid = "n", progress = "function",
  names = "names", out = "path", panels = "layers", seed = "n", prior = "prior", schedule = "schedule",
  into = "function", hidden = "shape", channels = "shape", rows = "n", levels = "list", range = "list",
  xrange = "list", yrange = "list", title = "string", betas = "list", packed = "path", magnitudes = "matrix3",
  training = "truth", left_out = "positions", references = "truth", against = "block", log_q_true = "list",
}
local function option(r, pool, name)
  if name == "progress" then return false, "false" end -- silence
  if NAMED[name] and r:chance(0.7) then return kinds[NAMED[name]](r, pool) end
  if r:chance(0.5) then return kinds.n(r) end
  return values.any(r, pool)
end

--- options(r, pool, names): a table with some of these options, now and then with another.
function values.options(r, pool, names)
  local t, words = {}, {}
  for _, name in ipairs(names) do
    if name == "progress" then t.progress = false end -- silence
  end
  for _ = 1, r:below(4) do
    local name = #names > 0 and not r:chance(0.05) and r:pick(names) or "lrr"
    local value, word = option(r, pool, name)
    t[name] = value
    words[#words + 1] = name .. " = " .. word
  end
  return t, "{" .. table.concat(words, ", ") .. "}"
end

-- ---- what calls take: kinds in order; "options" is by the names in the call's help ----

local TAKES = {}
for name, list in ([[
  gal.zeros: shape options
  gal.ones: shape options
  gal.full: shape n options
  gal.rand: shape options
  gal.randn: shape options
  gal.tensor: matrix shape options
  gal.arange: n n n options
  gal.cat: tensors n
  gal.rng: n
  gal.load: path
  gal.save: path tensor
  gal.scope: function tensor
  gal.no_grad: function tensor
  gal.program: function
  gal.kde_log_density: matrix2 matrix2 bool
  gal.table: path options
  gal.memory: string
  gal.device_info: string
  gal.has: string
  gal.nn.linear: n n options
  gal.nn.conv2d: n n n options
  gal.nn.layer_norm: n options
  gal.nn.avg_pool2d: n options
  gal.nn.max_pool2d: n options
  gal.nn.dropout: n options
  gal.nn.sequential: modules
  gal.nn.residual: module
  gal.nn.mlp: shape
  gal.nn.galaxy_cnn: options
  gal.nn.module: options
  gal.nn.spec: module
  gal.nn.call: module tensor string
  gal.nn.build: options string
  gal.optim.adamw: tensors options
  gal.optim.sgd: tensors options
  gal.optim.cosine: n n n
  gal.optim.step_decay: n n n
  gal.optim.warmup: n schedule
  gal.optim.constant: n
  gal.optim.clip_grad_norm: tensors n
  gal.flow.new: options
  gal.flow.load: path options
  gal.train.fit: options
  gal.train.quick: survey options
  gal.train.describe: options
  gal.train.expect: options
  gal.data.open: path options
  gal.data.arrays: matrix2 matrix3 options
  gal.data.open_arrays: options
  gal.data.find: path
  gal.data.part: string
  gal.data.reopen: options options
  gal.data.read_split: path
  gal.images.open: path options
  gal.images.of: tensor
  gal.images.batch: set n n string
  gal.metrics.quantile: list n
  gal.metrics.wasserstein: list list
  gal.metrics.moments: list
  gal.metrics.bootstrap: list options
  gal.metrics.information: flow matrix2 matrix3 prior options
  gal.metrics.summary: scores options
  gal.metrics.coverage: tensor tensor n
  gal.metrics.wasserstein_table: tensor tensor list
  gal.metrics.path_excess: matrix matrix n
  gal.metrics.scores: matrix2 options prior options
  gal.metrics.crps: list matrix2
  gal.metrics.cde_loss: matrix2 list n
  gal.metrics.mutual_information: list matrix2 list
  gal.metrics.properties: matrix2 tensor options
  gal.metrics.properties_table: names matrix
  gal.metrics.c2st: matrix2 matrix2 options
  gal.metrics.population_table: names matrix matrix
  gal.calibration.test: truth draws options
  gal.calibration.near: list n truth draws options
  gal.calibration.accumulator: options
  gal.calibration.ranks: truth draws options
  gal.calibration.ks: list options
  gal.calibration.ad: list options
  gal.calibration.chi2: list options
  gal.calibration.tarp: truth draws options
  gal.calibration.lc2st: truth draws options
  gal.stats.linalg.covariance: matrix
  gal.stats.linalg.cholesky: matrix
  gal.stats.linalg.invert: matrix
  gal.stats.linalg.invert_lower: matrix
  gal.stats.linalg.product: matrix matrix
  gal.stats.linalg.apply: matrix list
  gal.stats.linalg.transpose: matrix
  gal.stats.linalg.leading: matrix n
  gal.stats.linalg.log_determinant: matrix
  gal.stats.kde.fit: matrix2 options
  gal.stats.mixture.fit: matrix2 n options
  gal.stats.mixture.choose: matrix2 options
  gal.stats.prior.fit: matrix2 options
  gal.stats.compare.scores: scores scores options
  gal.stats.exchange.partners: tensors list rng
  gal.stats.exchange.exchanged: survey names list rng
  gal.stats.relation.parabola: list list
  gal.stats.relation.scatter: list list n
  gal.stats.selection.within: list list list list
  gal.stats.selection.box: list list list
  gal.stats.selection.some: list n n
  gal.stats.selection.corner: list list list
  gal.infer.nearest.rows: matrix2 list n options
  gal.infer.nearest.each: matrix2 matrix2 options
  gal.infer.occlusion.background: tensor
  gal.infer.occlusion.map: flow tensor tensor tensor options
  gal.plot.map: matrix2 options
  gal.plot.map.map: matrix2 options
  gal.plot.map.colour: n
  gal.plot.points: list list options
  gal.plot.lines: list list options
  gal.plot.histogram: list options
  gal.plot.density: list list options
  gal.plot.contours: list list options
  gal.plot.band: list list list options
  gal.plot.rule: options
  gal.plot.label: string n n options
  gal.plot.picture: tensor options
  gal.plot.panel: layers
  gal.plot.montage: tensor options
  gal.plot.figure: path options
  gal.plot.steps: list list options
  gal.plot.spike: n n options
  gal.plot.note: string string options
  gal.plot.arrow: n n n n options
  gal.plot.box: list list options
  gal.plot.legend: layers
  gal.plot.corner: matrix2 options
  gal.plot.label_of: string
  gal.ode.rk4: function tensor options
  gal.ode.euler: function list options
  gal.ode.midpoint: function n options
  gal.mock.galaxies: options
  gal.infer.posteriors: flow survey options
  gal.infer.score: flow survey options
  gal.infer.summary: tensor names
  gal.base.path.make: path
  gal.base.path.read: path
  gal.base.path.write: path string
  gal.base.json.encode: matrix bool
  gal.base.json.decode: string
  flow:sample: matrix3 options
  flow:sample_and_log_prob: matrix3 options
  flow:log_prob: matrix2 matrix3 options
  flow:standardise: matrix2 matrix3 set
  flow:standard: matrix3
  flow:encode: tensor image
  flow:to: string
  flow:save: path
  ensemble:sample: matrix3 options
  ensemble:sample_and_log_prob: matrix3 options
  ensemble:log_prob: matrix2 matrix3 options
  ensemble:divergence: matrix3 options
  ensemble:spread: tensor tensor
  module:to: string
  module(): tensor
  set:read: positions list
  set:rows: positions
  set:batch: n n string
  set:loader: n string
  set:resident: string
  set:size: n
  set:fingerprint: n
  loader:start: tensor tensor
  loader:take: tensor n
  resident:batch: n n
  resident:chosen: tensor tensor
  table_:column: string
  table_:set: string list
  table_:select: positions
  table_:save: path
  table_:drop: string
  survey:select: positions
  survey:thin: n
  survey:split: string
  survey:fold: n n
  survey:of: names
  survey:without: options names
  optimiser:set_rate: n
  optimiser:rate: n
  optimiser:averaged: function
  program:replay: n
  accumulator:add: block
  test:near: list n
  prior:log_density: matrix2
  kde:log_density: matrix2
  mixture:log_density: matrix2
  prior:at_training_rows: matrix2
  rng:permutation: n
  rng:normal_streams: tensor n
  rng:fork: string
  x:reshape: shape
  x:narrow: n n n
  x:select: n n
  x:rows: positions
  x:gather: tensor
  x:size: n
  x:sum: n bool
  x:mean: n bool
  x:std: n bool
  x:max: n bool
  x:min: n bool
  x:quantiles: list
  x:to: string
  x:set: n n n
  x:get: n n
  x:fill_: n
  x:copy_: tensor
  x:add_: tensor
  x:pow: n
  x:backward: tensor
  x:matmul: tensor string
  x:requires_grad: bool
]]):gmatch "([%w_.:()]+): ([%w_ ]+)\n" do
  TAKES[name] = list
end
for _, op in ipairs{ "add", "sub", "mul", "div", "maximum", "minimum", "eq", "lt", "le", "gt", "ge" } do
  TAKES["x:" .. op] = "tensor"
end

--- takes(name): the kinds of the arguments of that call, a list; nil where nothing is known of them.
function values.takes(name)
  if not TAKES[name] then return nil end
  local list = {}
  for kind in TAKES[name]:gmatch "%S+" do list[#list + 1] = kind end
  return list
end

--- of(kind, r, pool): a value of that kind.
function values.of(kind, r, pool) return kinds[kind](r, pool) end

return values
