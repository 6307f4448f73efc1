-- flow: p(theta | context) by conditional flow matching (Lipman et al. 2023; Tong et al. 2024): a velocity
-- net carries N(0, I) at t = 0 to the posterior at t = 1. Everything a user gives or gets is in physical
-- units; inside, each column has mean 0 and deviation 1 over the training rows. gal.train trains a flow;
-- draws are in flow/draw.lua, densities in flow/density.lua, files in flow/file.lua, checks of arguments in
-- flow/inputs.lua.
local C = require("ffi").C
local gal = require "gal"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local arguments = require "gal.base.options"
local nn = require "gal.nn"
local offsets = require "gal.data.offsets"
local inputs = require "gal.flow.inputs"
local draw = require "gal.flow.draw"
local density = require "gal.flow.density"
local tiles = require "gal.flow.tiles"
local refuse = require "gal.base.room"
local suspects = require "gal.stats.suspects"
local text = require "gal.base.text"
local units = require "gal.flow.units"
local raise = errors.raise

local M = {}
local Flow = {}
Flow.__index = Flow
--- flow.Flow: the metatable of flows, by which a flow is told from other tables.
M.Flow = Flow

local MOST = 2 ^ 16 -- columns that may be asked for by their number: names that nobody gave take memory

-- {"mass", "sfr"} as it is; 2 as {"theta_1", "theta_2"}.
local function names_of(option, v, least)
  local names = {}
  if type(v) == "number" and v >= least and v % 1 == 0 then
    errors.integer("flow", option, v, least, MOST)
    for i = 1, v do names[i] = ("%s_%d"):format(option, i) end
    return names
  end
  if type(v) ~= "table" or #v < least then
    local found = errors.kind(v)
    raise("flow: %s is %s, expected a list of names or an integer of at least %d", option, found, least)
  end
  local seen = {}
  for i, name in ipairs(v) do
    if type(name) ~= "string" then
      raise("flow: %s[%d] is %s, expected a name", option, i, errors.kind(name))
    end
    if seen[name] then raise("flow: %s names '%s' twice", option, name) end
    names[i], seen[name] = name, true
  end
  return names
end

-- Raises where a property is among the columns that it is inferred from, whatever the case of its letters.
local function refuse_own_predictors(theta, context)
  local inferred = {}
  for _, name in ipairs(theta) do inferred[name:lower()] = true end
  for _, name in ipairs(context) do
    if inferred[name:lower()] then
      raise("flow: '%s' is among its own predictors: it stands in theta and in context", name)
    end
  end
end

-- How many columns the encoder makes of one image, by running it.
local function encoded_width(encoder, image, device)
  local shape = { 1 }
  for i = 1, #image do shape[i + 1] = image[i] end
  local function encode()
    local y = nn.call(encoder, gal.zeros(shape, { device = device }))
    return core.is_tensor(y) and y:keep() or y
  end
  local y = gal.scope(gal.no_grad, encode)
  local size = core.is_tensor(y) and y.shape or {}
  if #size ~= 2 or size[1] ~= 1 then
    local made = errors.kind(y)
    raise("flow: the encoder makes %s of one image {1, %s}, expected {1, E}", made, table.concat(image, ", "))
  end
  return size[2]
end

local OPTIONS = {
  "theta", "context", "hidden", "activation", "sigma", "encoder", "image", "symmetric", "head", "rng",
  "device",
}

-- Raises where flow.new's `symmetric` is no boolean, or true of images that can't be turned.
local function refuse_oblong(symmetric, encoder, image)
  if type(symmetric) ~= "nil" and type(symmetric) ~= "boolean" then
    raise("flow: symmetric is %s, expected true or false", errors.kind(symmetric))
  end
  if not symmetric then return end
  if not encoder then raise "flow: symmetric is true, but there is no encoder of images" end
  if #image ~= 3 or image[1] ~= image[2] then
    local shape = table.concat(image, ", ")
    raise("flow: symmetric is true, but image is {%s}; expected a square one {H, H, channels}", shape)
  end
end

-- The velocity net of a flow without a head of the user's: {N, 1 + d + width} to {N, d}.
local function head_of(options, d, width, device)
  local hidden = options.hidden or { 256, 256, 256 }
  if type(hidden) ~= "table" then
    raise("flow: hidden is %s, expected a list of widths", errors.kind(hidden))
  end
  local activation = options.activation or "silu"
  local widths = { 1 + d + width, activation = activation, rng = options.rng, device = device }
  for _, n in ipairs(hidden) do widths[#widths + 1] = n end
  widths[#widths + 1] = d
  local count = 0
  for i = 2, #widths do
    count = count + (tonumber(widths[i]) or 0) * (1 + (tonumber(widths[i - 1]) or 0))
  end
  -- Whatever trains them holds their gradients, too.
  refuse(device, { { 8 * count, ("%.3g weights and their gradients"):format(count), { "hidden" } } })
  return errors.less_of({ "hidden" }, nn.mlp, widths)
end

--- flow.new{theta =, context =, ...}: a flow with fresh weights. Options:
--   theta       names of the properties, or how many (d)
--   context     names, how many (c), or 0 for a density without conditions
--   hidden = {256, 256, 256}, activation = "silu"   the layers of the velocity net
--   sigma = .05   width of the path in standardised units; a Gaussian posterior of variance v comes out with
--               (v + sigma^2) / (1 + sigma^2)
--   encoder     a module from images {N, ...} to {N, E}; nil: no images. image = {128, 128, 3}: their shape
--   symmetric = false   true: where draws and densities are asked for, the encoded image is the mean over the
--               image's eight flips and quarter turns, so that the posterior is the same however the cutout
--               lies (Dieleman, Willett & Dambre 2015 average predictions so). It goes with train.fit's
--               `augment`, and costs eight encodings; training and its validation encode each image once
--   head        a module of the user's in place of the velocity net: from {N, 1 + d + E + c}, columns [t;
--               theta; encoded image; context], to velocities {N, d}
--   rng         draws the weights, else the default generator
-- flow.notes, a table that JSON can hold, is saved with the flow and loaded again: how its data were made.
function M.new(options) return M.build(options, nil) end

--- flow.build(options, width): flow.new where it is known how many columns the encoder makes of an image;
-- nil: the encoder is run to find out.
function M.build(options, width)
  if options == nil then raise("flow: the options are missing, expected at least theta and context") end
  options = arguments.known("flow", options, OPTIONS)
  local self = setmetatable({
    theta = names_of("theta", options.theta, 1), context = names_of("context", options.context or 0, 0),
    sigma = arguments.number("flow", options, "sigma", 0.05, 0), encoder = options.encoder,
    image = errors.list("flow", "image", options.image or { 128, 128, 3 }, "a list of sizes"),
  }, Flow)
  refuse_own_predictors(self.theta, self.context)
  self.d, self.c = #self.theta, #self.context
  local device = options.device or gal.device()
  for _, part in ipairs { "encoder", "head" } do
    if options[part] ~= nil and not nn.is_module(options[part]) then
      raise("flow: %s is %s, expected a module (see gal.nn)", part, errors.kind(options[part]))
    end
  end
  refuse_oblong(options.symmetric, self.encoder, self.image)
  self.symmetric = options.symmetric or nil
  self.e = width or self.encoder and encoded_width(self.encoder, self.image, device) or 0
  self.width = self.e + self.c
  self.head = options.head or head_of(options, self.d, self.width, device)
  return self
end

function Flow:__tostring()
  local weights = 0
  for _, p in ipairs(self:parameters()) do weights = weights + p:count() end
  local given = #self.context > 0 and " given " .. table.concat(self.context, ", ") or ""
  local corrected = self.notes and self.notes.corrected or {}
  if #corrected > 0 then
    local which = #corrected < #self.context and ": " .. table.concat(corrected, ", ") or ""
    given = given .. " (less extinction" .. which .. ")"
  end
  if self.notes and self.notes.ab_offsets then
    given = given .. " (in AB by " .. offsets.text(self.notes.ab_offsets) .. ")"
  end
  local images = self.encoder and (given == "" and " given images" or " and images") or ""
  local bent = units.bent(self)
  local scales = #bent > 0 and (", robust scale of %s"):format(table.concat(bent, ", ")) or ""
  local floor = self.floor and (", %s %% of it a floor"):format(self.floor.percent(self.floor.share)) or ""
  local state = (self.scale and "trained" or "not trained") .. scales .. floor
  return table.concat(text.filled(("flow of %s%s%s: %d weights, sigma %g, %s"):format(
    table.concat(self.theta, ", "), given, images, weights, self.sigma, state), 80), "\n")
end

--- flow:parameters(): the trainable tensors, the encoder's first.
function Flow:parameters()
  local list = {}
  for _, part in ipairs { self.encoder or false, self.head } do
    for _, p in ipairs(part and type(part) == "table" and part:parameters() or {}) do list[#list + 1] = p end
  end
  return list
end

--- flow:state(): all weights by name, "head.1.weight", "encoder.1.weight", as gal.nn's modules name them.
function Flow:state()
  local state = {}
  for _, part in ipairs { "head", "encoder" } do
    local m = self[part]
    local own = m and type(m) == "table" and m.state and m:state() or {}
    for name, tensor in pairs(own) do state[part .. "." .. name] = tensor end
  end
  return state
end

--- flow:load_state(state): copies weights as flow:state() gives them into the flow.
function Flow:load_state(state)
  errors.list("load_state", "state", state, "a table of tensors by name")
  for _, part in ipairs { "head", "encoder" } do
    local m, own = self[part], {}
    for name, tensor in pairs(state) do
      local inner = tostring(name):match("^" .. part .. "%.(.*)$")
      if inner then own[inner] = tensor end
    end
    if m and type(m) == "table" and m.load_state then m:load_state(own) end
  end
end

--- flow:device(): where its weights are.
function Flow:device()
  local p = self:parameters()[1]
  return p and p:device() or gal.device()
end

--- flow:to(device): moves the flow, and returns it. Raises where an optimiser has its weights (optim).
function Flow:to(device)
  errors.text("to", "device", device, "a string such as \"cpu\"")
  for _, part in ipairs { self.encoder or false, self.head } do
    if part and type(part) == "table" and part.to then part:to(device) end
  end
  for name, tensor in pairs(self.scale or {}) do self.scale[name] = tensor:to(device) end
  return self
end

-- ---- units ----

local function deviations(what, names, x)
  local mean, std = x:mean(1), x:std(1)
  local values = std:totable()
  for i, v in ipairs(values) do
    if v == 0 and what == "theta" then
      local rows = x:size(1)
      raise("flow: '%s' has the same value in all %d rows: there is nothing to learn of it", names[i], rows)
    end
    if v == 0 then values[i] = 1 end -- a constant input says nothing and does no harm
  end
  return mean, gal.tensor(values, { #values }):to(x:device())
end

local function scales(self, theta, context, images, mode)
  local scale = {}
  scale.theta_mean, scale.theta_std = deviations("theta", self.theta, theta)
  units.bend(scale, "theta", self.theta, theta, mode)
  if self.c > 0 then
    scale.context_mean, scale.context_std = deviations("context", self.context, context)
    units.bend(scale, "context", self.context, context, mode)
  end
  if images then scale.image_mean, scale.image_std = inputs.image_statistics(images, self:device()) end
  return scale
end

--- flow:standardise(theta {N, d}, context {N, c} or nil, images or nil[, scale = "standard"]): takes the
-- flow's units, means and deviations, from these rows, the training set. gal.train does so for a flow that
-- has none yet, so that training can go on. scale: "robust" bends all columns in units of their medians and
-- robust deviations, knee asinh(u / knee), so that a few far values don't squeeze the others; "auto" those
-- that reach further than 10 such deviations; behind it exceptions, "auto, e_u=robust".
function Flow:standardise(theta, context, images, scale)
  local mode = units.asked("standardise", type(scale) == "nil" and "standard" or scale, self)
  theta = inputs.matrix("standardise", "theta", self.theta, theta, self:device())
  if self.c > 0 then
    context = inputs.matrix("standardise", "context", self.context, context, self:device())
  end
  if images then images = inputs.images("standardise", self, images) end
  self.scale = gal.no_grad(scales, self, theta, context, images, mode)
  for i, name in ipairs(self.theta) do
    local sentence = suspects.few(name, theta:select(2, i):totable(), "rows")
    if sentence then C.gal_leave_notice(sentence) end
  end
end

--- flow:encode(seen {N, c} or nil, images or nil[, precision]): the features of N galaxies, from which the
-- velocity net infers, {N, E + c}: the encoded images, then the standardised context `seen`; nil for an
-- unconditional flow. Taped. Images are on the flow's device: a tensor, or some of a resident set
-- (gal.images). precision: of the encoder's products.
function Flow:encode(seen, images, precision)
  if seen then core.live(seen, "encode", "seen") end
  if not images then return seen end
  if not self.encoder then raise "encode: the flow has no encoder of images" end
  if not (self.scale and self.scale.image_mean) then
    raise "encode: the flow has not been trained on images: it has no units of theirs yet"
  end
  if not core.is_tensor(images) then
    errors.list("encode", "images", images, "a tensor, or some of a resident set's")
    core.live(images.pixels, "encode", "images.pixels")
  end
  local encoded = nn.call(self.encoder, inputs.standard_images(images, self.scale), precision)
  return seen and gal.cat({ encoded, seen }, 2) or encoded
end

--- flow:standard(context {N, c}): the context in deviations from the training rows' mean; columns that the
-- flow bends are bent.
function Flow:standard(context)
  if not self.scale then raise "standard: the flow has not been trained: it has no units yet" end
  if self.c == 0 then raise "standard: the flow has no context" end
  return units.standard(self.scale, "context", core.live(context, "standard", "context"))
end

-- ---- drawing and density ----

--- flow:outside(x): how far each galaxy's most extreme input lies from what the flow was trained on, in
-- deviations of the training rows, a list {N}; x as for sample. nil for a flow without context, such as one
-- of images alone: images are not measured. Beyond 20 or so, what the flow says about a galaxy is an
-- extrapolation.
function Flow:outside(x)
  tiles.scale("outside", self)
  if self.c == 0 then return nil end
  return inputs.outside(self, inputs.conditions("outside", self, x).context)
end

--- flow:streams(x[, first, count]): the number of each galaxy's random stream, int64 {N}, on the flow's
-- device; x as for sample. A stream is made of the galaxy's inputs; galaxies with the same inputs get
-- different ones, by how many came before. So a part of x may have other streams alone than among all of x:
-- `first` and `count` give those of a part as they are among all, for sample's option `streams`.
function Flow:streams(x, first, count)
  x = inputs.conditions("streams", self, x, false)
  if first ~= nil then errors.integer("streams", "first", first, 1, x.rows) end
  if count ~= nil then errors.integer("streams", "count", count, 1, x.rows - (first or 1) + 1) end
  return gal.no_grad(inputs.streams, x, first, count or x.rows - (first or 1) + 1)
end

--- flow:ood(x): how rare each galaxy is among those that the flow learned from: {context = {N}, image =
-- {N}}, each the share of validation galaxies that are rarer, 0 to 1: by a Gaussian mixture of the
-- standardised context, and by one of 16 principal components of the encoded image; nil where the flow has no
-- context or no images. x as for sample. Among galaxies like those that it learned from, one in 1000 has a
-- share below 1/1000. nil and a sentence where the flow does not know: an earlier version wrote it, or it had
-- fewer than 100 validation galaxies.
function Flow:ood(x)
  tiles.scale("ood", self)
  return require("gal.flow.familiar").ood(self, x)
end

--- flow:sample(x[, {n = 1000, steps = 100, rng = r}]): n draws from the posterior of each galaxy, {N, n, d},
-- in theta's units. x: context {N, c} or {c}, {x, images} with an encoder, nil for an unconditional flow (N
-- = 1). The context as it was in training: an experiment's flow learned from magnitudes with the Galactic
-- extinction taken off. By name it is as a catalogue has it, and the extinction comes off here:
-- flow:sample{modelMag_u = 18.2, extinction_u = 0.4, …}, numbers, or lists or tensors of N; names ignore
-- case, and a name that is lacking or unknown raises. Each galaxy has its own random stream, made of its
-- context and rng: its draws are the same alone and in any batch, and the first n are the same for every
-- larger n. Options:
--   steps = 100         that many steps of classical Runge-Kutta from noise, or "auto": as many as each
--                       galaxy needs, found from its first 32 draws by halving steps of Dormand and Prince's
--                       rule that are shorter near t = 1. The same noise, so the same draws but for the error
--   tolerance = 1e-3    of "auto": the largest over the properties of the error's rms over draws, in units of
--                       the galaxy's posterior deviation
--   precision = "f32"   or "bf16" on the CPU, on a card "f16", "tf32" or "bf16": faster, f16 some ten times
--                       (computed, not measured). f16 and tf32 moved draws of a trained flow by 2e-4
--                       posterior deviations (rms), bf16 by 5e-4 to 2e-3; that rounding is no part of the
--                       error that "auto" knows
--   into = function     called as (first, samples {k, m, d}, log_prob {k, m} or nil, draw, report) with one
--                       part of the draws after the other: of k galaxies from `first` on, m draws each from
--                       `draw` on, so that memory does not grow with N or n; nothing is returned then.
--                       report, of "auto": steps and error of the galaxies so far, and cost, draws times
--                       evaluations
--   streams             int64 {N}, of flow:streams: where x is a part of a larger whole, whose draws have to
--                       be the same in any part
--   progress            true: a line with the time left where it takes over two seconds (the default at the
--                       prompt); or a function (done, total)
--   told = true         false: no notice of galaxies whose draws are no numbers, for callers who look
-- With "auto" a report comes second: {solver, evaluations (of the net, per draw, trials included), steps {N},
-- error {N} as estimated, flagged = the galaxies whose error is not within the tolerance, drawn with the most
-- steps, tolerance, galaxies}. Where the net overflows on a galaxy, its draws are NaN, and a notice says so;
-- the other galaxies' draws do not change by it. Ctrl-C raises gal.interrupted; rng is then where it was.
function Flow:sample(x, options)
  local samples, _, report = draw.run("sample", self, x, options, false)
  if report then return samples, report end
  return samples
end

--- flow:sample_and_log_prob(x[, {n = 1000, steps = 100, rng = r}]): the draws {N, n, d} and their log
-- densities {N, n}, in one integration. Options as for sample (but "bf16"); with steps = "auto" the tolerance
-- also holds, in nats, for the rms over draws of the log density's error, and the report comes third.
function Flow:sample_and_log_prob(x, options)
  local samples, log_prob, report = draw.run("sample_and_log_prob", self, x, options, true)
  if report then return samples, log_prob, report end
  return samples, log_prob
end

--- flow:log_prob(theta, x[, {steps = 100}]): log p(theta | x) in nats per product of theta's units, exact for
-- the flow: {N} for theta {N, d}, {N, m} for theta {N, m, d}. x as for sample; one row of x goes with all of
-- theta. The ODE is solved backwards with the exact divergence. steps = "auto" solves each point with two
-- step counts, and with twice as many where the solutions differ by more than the tolerance (1e-3 nats)
-- allows; a report then comes second, like sample's, but steps and error have the result's shape, and flagged
-- are the galaxies that have a point beyond the tolerance. progress and told as for sample; precision too,
-- but for "bf16", and with a number of steps only: f16 and tf32 move log p by some 1e-3 nats (rms), more than
-- "auto" allows.
function Flow:log_prob(theta, x, options)
  local log_prob, report = density.run("log_prob", self, theta, x, options)
  if report then return log_prob, report end
  return log_prob
end

--- flow:floored(theta {N, d}, log_prob {N}): how likely each theta is to be an outlier to the flow, a list
-- {N}, 0 to 1: the share of its density (log_prob, which flow:log_prob gave) that is the flow's floor's.
-- Second, the share of every posterior that is its floor, p(theta), a broad density of the training rows,
-- which bounds what a wrong label costs. Over truths that are as the posteriors say, the mean of the first is
-- the second. nil for a flow without a floor.
function Flow:floored(theta, log_prob) return require("gal.flow.floor").floored({ self }, theta, log_prob) end

-- ---- files ----

--- flow:save(path): weights, standardisation, names and the architecture, as safetensors. Modules written by
-- the user are saved by their tensors only.
function Flow:save(path) require("gal.flow.file").save(self, path) end

--- flow.load(path[, {device = "cpu", encoder = m, head = m}]): the flow in a file that flow:save wrote, or in
-- a run's folder, on that device (gal.device() is the default one). Modules written by the user are passed
-- again, and moved to it. Several folders between commas, or a folder with ensemble.json, give the ensemble
-- of their flows. Runs no code.
function M.load(path, options) return require("gal.flow.file").load(path, options) end

errors.methods(Flow, "a flow")

-- ---- ensembles ----

--- flow.ensemble{members = {a, b, c}, names = {"a", "b", "c"}}: trained flows of the same theta and context
-- as one, with a flow's methods. Its density is the mean of theirs: log_prob is ln of the mean of exp of the
-- members' values, in double precision from their single ones. Draws come from the members in equal shares;
-- sample_and_log_prob gives the mixture's density at each. Members may differ in everything else: seed,
-- layers, sigma. Raises where theta, context, images or notes (how the survey was opened) differ, naming
-- both. names: what sentences call them. The first member says how rare a galaxy is (ood) and how far
-- outside, and encodes images.
function M.ensemble(options) return require("gal.flow.ensemble").new(options) end

return M
