-- Random numbers: Philox4x32-10 generators whose whole state is {key, counter} in an int64 tensor {2}, so
-- that a recorded program draws on where the last step ended, and a saved run goes on with the same numbers
-- on any device.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local handle = require "gal.tensor.memory"
local core = require "gal.tensor.values"
local known = require("gal.base.options").known
local host = require "gal.base.host"
local C = ffi.C
local raise, check, kind, integer = errors.raise, errors.check, errors.kind, errors.integer
local dims = handle.dims

local random = {}
local Generator = {}
Generator.__index = Generator

function Generator.__tostring(r) return "rng " .. r:state() end

local function new(key, counter, device)
  -- A generator outlives the scope that happens to be open when it is made.
  return setmetatable({ words = core.int64({ 2 }, { key, counter }, device or handle.device(), true) }, Generator)
end

--- gal.rng(seed) --> a generator; seed is a whole number. The same numbers on every device, whatever else
-- draws.
--- r:state() and r:set_state(s) save and restore it; gal.randn(shape, {rng = r}) draws from it.
function random.rng(seed)
  return new(integer("rng", "seed", seed, -2 ^ 53, 2 ^ 53), 0)
end

local default
--- default(): the generator that is used where none is given, seeded by --seed: the same every run.
function random.default()
  default = default or random.rng(host.seed)
  return default
end

--- is_rng(value): whether it is a generator.
function random.is_rng(value) return getmetatable(value) == Generator end

--- r:tensor([device]) --> the int64 {2} tensor {key, counter} itself, on that device: what C's draws read and
-- move on.
function Generator:tensor(device)
  device = device or self.words:device()
  if self.words:device() ~= device then
    if C.gal_recording() ~= 0 then raise("rng: its state is on %s, expected %s before a program is recorded", self.words:device(), device) end
    core.move(self.words, device)
  end
  return self.words
end

--- r:state() --> the generator's state as text.
function Generator:state()
  local words = core.read(self.words)
  return (string.format("%s:%s", tostring(words[0]), tostring(words[1])):gsub("LL", ""))
end

-- Decimal digits to int64, exactly; nil where they are none.
local function whole(text)
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
    key, counter = key and whole(key), counter and whole(counter)
  end
  if not key or not counter then raise("set_state: s is %s, expected what r:state() returned", kind(s)) end
  local words = ffi.new("int64_t[2]", key, counter)
  check(C.gal_tensor_write(self.words.h, words, 2))
  return self
end

--- r:fork(name) --> another generator, whose numbers have nothing to do with r's; the same for the same seed
-- and name. r stays where it is.
function Generator:fork(name)
  if type(name) ~= "string" then raise("fork: name is %s, expected a string", kind(name)) end
  local words = core.read(self.words)
  local key = ffi.cast("int64_t", C.gal_hash(name, #name, ffi.cast("uint64_t", words[0])))
  return new(key, 0, self.words:device())
end

local OPTIONS = { "rng", "device" }
local function draw(op, kernel, shape, options)
  options = known(op, options, OPTIONS)
  local rng = options.rng or random.default()
  if not random.is_rng(rng) then raise("%s: rng is %s, expected a generator made by gal.rng", op, kind(rng)) end
  local device = options.device or handle.device()
  local rank = core.set_shape(op, shape)
  local y = handle.create(0, rank, dims, device)
  check(kernel(y.h, rng:tensor(device).h))
  return y
end

--- gal.rand(shape[, {rng = r, device = name}]) --> uniform numbers in [0, 1), a multiple of 2^-24 each.
function random.rand(shape, options) return draw("rand", C.gal_uniform, shape, options) end

--- gal.randn(shape[, {rng = r, device = name}]) --> normal numbers of mean 0 and deviation 1.
function random.randn(shape, options) return draw("randn", C.gal_normal, shape, options) end

--- r:permutation(n) --> a random order of n rows: int64 {n}, counting from 0, for x:rows(order).
function Generator:permutation(n)
  dims[0] = integer("permutation", "n", n, 0, 2 ^ 53)
  local y = handle.create(C.GAL_I64, 1, dims, self.words:device())
  check(C.gal_permutation(y.h, self.words.h))
  return y
end

--- r:normal_streams(streams, n) --> {rows, n} normals; row i from its own stream streams[i], int64 {rows}.
-- Rows don't depend on one another, and the first
--- numbers of a row are the same for a larger n.
function Generator:normal_streams(streams, n)
  handle.live(streams, "normal_streams", "streams")
  dims[0], dims[1] = streams.h.shape[0], integer("normal_streams", "n", n, 0, 2 ^ 53)
  local device = streams:device()
  local y = handle.create(0, 2, dims, device)
  check(C.gal_normal_streams(y.h, streams.h, self:tensor(device).h))
  return y
end

return random
