-- Random numbers: Philox4x32-10 generators, draws from them, and dropout. A generator's whole state is
-- {key, counter} in an int64 tensor {2}, so that a recorded program draws on where the last step ended, and a
-- saved run goes on with the same numbers on any device.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local default_device = require("gal.base.device").default
local host = require "gal.base.host"
local known = require("gal.base.options").known
local copy = require "gal.tensor.copy"
local memory = require "gal.tensor.memory"
local shapes = require "gal.tensor.shapes"
local tape = require "gal.tensor.tape"
local values = require "gal.tensor.values"
local C = ffi.C
local raise, check, kind, integer = errors.raise, errors.check, errors.kind, errors.integer
local device_of = memory.device_of

local random = {}
local Generator = {}
Generator.__index = Generator

function Generator.__tostring(r) return "rng " .. r:state() end

local function new(key, device)
  -- A generator outlives the scope that happens to be open when it is made.
  local words = values.int64({ 2 }, { key, 0 }, device or default_device(), true)
  return errors.seal(setmetatable({ words = words }, Generator))
end

--- gal.rng(seed) --> a generator; seed is an integer. It gives the same numbers on every device, whatever
-- other generators do. r:state() and r:set_state(s) save and restore it; gal.randn(shape, {rng = r}) draws
-- from it.
function random.rng(seed)
  return new(integer("rng", "seed", seed, -2 ^ 53, 2 ^ 53))
end

local default
--- gal.default_rng() --> the generator that is used where none is given, seeded by --seed: the same every
-- run.
function random.default()
  default = default or random.rng(host.seed)
  return default
end

--- is_rng(value) --> whether it is a generator.
function random.is_rng(value) return getmetatable(value) == Generator end

--- r:tensor([device]) --> the int64 {2} tensor {key, counter} itself, on that device. C's draws read it and
-- add to the counter.
function Generator:tensor(device)
  device = errors.device("rng", device)
  local words = self.words
  local before = device_of(words)
  if device and device ~= before then
    if C.gal_recording() ~= 0 then
      local sentence = "rng: its state is on %s, expected %s before a program is recorded"
      errors.fail(C.GAL_RECORDING, sentence, before, device)
    end
    copy.move(words, device)
  end
  return words
end

--- r:state() --> the generator's state as text.
function Generator:state()
  local words = values.read(self.words)
  return (string.format("%s:%s", tostring(words[0]), tostring(words[1])):gsub("LL", ""))
end

-- A text of decimal digits as int64, exactly; nil where it is something else.
local function to_int64(text)
  local sign, digits = text:match("^(%-?)(%d+)$")
  if not digits or #digits > 19 then return nil end
  local value = 0LL
  for digit in digits:gmatch "%d" do value = value * 10 + tonumber(digit) end
  return sign == "-" and -value or value
end

--- r:set_state(s): goes on from the state s that r:state() returned. Returns r.
function Generator:set_state(s)
  local key, counter
  if type(s) == "string" then
    key, counter = s:match "^(%-?%d+):(%-?%d+)$"
    key, counter = key and to_int64(key), counter and to_int64(counter)
  end
  if not key or not counter then
    raise("set_state: s is %s, expected a state that r:state() returned", kind(s))
  end
  local words = ffi.new("int64_t[2]", key, counter)
  check(C.gal_tensor_write(self.words.h, words, 2))
  return self
end

--- r:fork(name) --> another generator, statistically independent of r; the same one for the same seed and
-- name. r stays where it is.
function Generator:fork(name)
  if type(name) ~= "string" then raise("fork: name is %s, expected a string", kind(name)) end
  local words = values.read(self.words)
  local key = ffi.cast("int64_t", C.gal_hash(name, #name, ffi.cast("uint64_t", words[0])))
  return new(key, device_of(self.words))
end

local OPTIONS = { "rng", "device" }
local function draw(op, kernel, shape, options)
  options = known(op, options, OPTIONS)
  local rng = options.rng or random.default()
  if not random.is_rng(rng) then
    raise("%s: rng is %s, expected a generator made by gal.rng", op, kind(rng))
  end
  local device = options.device or default_device()
  local sizes, rank = shapes.from(op, shape)
  local y = memory.create(0, rank, sizes, device)
  check(kernel(y.h, rng:tensor(device).h))
  return y
end

--- gal.rand(shape[, {rng = r, device = name}]) --> uniform numbers in [0, 1), a multiple of 2^-24 each.
function random.rand(shape, options) return draw("rand", C.gal_uniform, shape, options) end

--- gal.randn(shape[, {rng = r, device = name}]) --> normal numbers of mean 0 and deviation 1.
function random.randn(shape, options) return draw("randn", C.gal_normal, shape, options) end

--- r:permutation(n) --> a random order of n rows: int64 {n}, counting from 0, for x:rows(order).
function Generator:permutation(n)
  local sizes = shapes.new(integer("permutation", "n", n, 0, 2 ^ 53))
  local y = memory.create(C.GAL_I64, 1, sizes, device_of(self.words))
  check(C.gal_permutation(y.h, self.words.h))
  return y
end

--- r:normal_streams(streams, n) --> {rows, n} normals; row i from its own stream streams[i], int64 {rows}.
-- Rows don't depend on one another, and the first numbers of a row are the same for a larger n.
function Generator:normal_streams(streams, n)
  memory.live(streams, "normal_streams", "streams")
  if streams.h.rank ~= 1 then
    raise("normal_streams: streams is %s, expected {rows}", shapes.text(streams))
  end
  local sizes = shapes.new(streams.h.shape[0], integer("normal_streams", "n", n, 0, 2 ^ 53))
  local device = device_of(streams)
  local y = memory.create(0, 2, sizes, device)
  check(C.gal_normal_streams(y.h, streams.h, self:tensor(device).h))
  return y
end

errors.methods(Generator, "a generator")

-- ---- dropout ----

--- dropout(x, state int64 {2}, p) --> x / (1 - p) where the element's uniform, drawn from the generator's
-- state, is at least p, else 0. The state moves on.
random.dropout = tape.native("dropout", {
  forward = function(x, state, p)
    local y, used = memory.real_like(x), nil
    if tape.recording(x) then used = memory.like(state) end
    check(C.gal_dropout(y.h, used and used.h, memory.dense(x).h, state.h, p))
    return y, used
  end,
  backward = function(dy, x, _, p, _, used)
    local dx = memory.real_like(x)
    check(C.gal_dropout_backward(dx.h, memory.dense(dy).h, used.h, p))
    return dx
  end,
}, 2)

return random
