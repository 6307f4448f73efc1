-- The reference posterior of mock galaxies: p(theta | ugriz) by importance sampling of the model that they
-- come from, without any network: what a flow that learned from the mock survey is compared with. The
-- sampling is in runtime/mock/reference.c.
local ffi = require "ffi"
local arguments = require "gal.base.options"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local decimal = require("gal.base.text").decimal
local C = ffi.C
local collect = require "gal.base.collect"
local check, raise = errors.check, errors.raise
local number, integer = arguments.number, arguments.integer

local M = {}
local Reference = {}
Reference.__index = Reference

local D, BANDS = 5, 5
local TOGETHER = 4 -- galaxies sampled by one call of C: how far the progress line moves
local PIECE = 20   -- galaxies in one file of a run
local out = ffi.new "gal_reference *[1]"
local mean, covariance = ffi.new("double[?]", D), ffi.new("double[?]", D * D)
local ess, cut, draws = ffi.new "double[1]", ffi.new "double[1]", ffi.new "int64_t[1]"

-- Raises unless x is a tensor {rows, columns}; returns its values, from 0, and its rows.
local function matrix(name, x, columns, rows)
  core.live(x, "reference", name)
  local shape = x.shape
  if #shape ~= 2 or shape[2] ~= columns or (rows and shape[1] ~= rows) or x.dtype ~= "float32" then
    local wanted = rows and tostring(rows) or "N"
    raise("reference: %s is %s %s, expected {%s, %d} float32", name, x.dtype, x:shape_text(), wanted, columns)
  end
  return core.read(x), shape[1]
end

--- reference:state(k): the sampling of galaxy k, from 1: ess (effective sample size, (sum w)^2 / sum w^2) and
-- draws (galaxies drawn for it).
function Reference:state(k)
  check(C.gal_reference_state(ess, draws, self.h, errors.integer("reference", "k", k, 1, self.n) - 1))
  return { ess = ess[0], draws = tonumber(draws[0]) }
end

--- reference:moments(k): mean {5} and covariance {5, 5} of galaxy k's posterior, Lua lists. They are of the
-- labels: measurement errors are in them.
function Reference:moments(k)
  check(C.gal_reference_moments(mean, covariance, self.h, errors.integer("reference", "k", k, 1, self.n) - 1))
  local m, c = {}, {}
  for i = 1, D do
    m[i], c[i] = mean[i - 1], {}
    for j = 1, D do c[i][j] = covariance[D * (i - 1) + j - 1] end
  end
  return m, c
end

--- reference:sample(n): n draws of each posterior, at most a third of the effective sample size, each from
-- another galaxy drawn: a tensor {N, n, 5}. Second: a list {N}, the share of the weight that was cut off so
-- that no draw comes twice: each sample's distance from its posterior in total variation.
function Reference:sample(n)
  errors.integer("reference", "n", n, 1, 2 ^ 31)
  local y, cuts = core.to_fill({ self.n, n, D }, "float32"), {}
  for k = 0, self.n - 1 do
    check(C.gal_reference_sample(ffi.cast("float *", y.h.data) + k * n * D, cut, self.h, k, n))
    cuts[k + 1] = cut[0]
  end
  return y, cuts
end

--- reference:log_prob(theta): ln p(theta | ugriz) at theta {N, 5}, a row a galaxy: a Lua list {N}, nats per
-- product of theta's units.
function Reference:log_prob(theta)
  local values, list, point = matrix("theta", theta, D, self.n), {}, ffi.new("double[?]", D)
  for k = 0, self.n - 1 do
    for i = 0, D - 1 do point[i] = values[k * D + i] end
    check(C.gal_reference_log_prob(mean, self.h, k, point))
    list[k + 1] = mean[0]
  end
  return list
end

-- Raises where one of the galaxies `from` + 1 to `to` has a smaller effective sample size than wanted.
local function refuse_small(self, from, to, wanted)
  for k = from + 1, to do
    local s = self:state(k)
    if s.ess < wanted then
      raise("reference: galaxy %d has an effective sample size of %.0f after %.3g draws, expected %.0f: "
        .. "the model has hardly any galaxy of its magnitudes", k, s.ess, s.draws, wanted)
    end
  end
end

--- reference(magnitudes, options): the posteriors of galaxies from their ugriz model magnitudes {N, 5}, a
-- tensor. options: ess (3000, the effective sample size that each galaxy gets), seed (0), first (0: how many
-- galaxies come before these, so that parts of a set are like the whole), most (2^30 draws a galaxy),
-- progress (called with galaxies done and N). Raises where a galaxy's effective sample size stays below ess
-- after `most` draws: the model has hardly any galaxy like it.
local function new(magnitudes, options)
  local o = arguments.known("reference", options, { "ess", "seed", "first", "most", "progress" })
  local values, n = matrix("magnitudes", magnitudes, BANDS)
  local flux = ffi.new("double[?]", n * BANDS)
  for i = 0, n * BANDS - 1 do flux[i] = 10 ^ (0.4 * (22.5 - values[i])) end
  local wanted = number("reference", o, "ess", 3000, 1)
  local seed = integer("reference", o, "seed", 0, 0, 2 ^ 53)
  local most = integer("reference", o, "most", 2 ^ 30, 1, 2 ^ 32)
  local first = integer("reference", o, "first", 0, 0, 2 ^ 18)
  local h = collect.handle(C.gal_reference_free, out, C.gal_reference_new, seed, n, first, flux)
  local self = setmetatable({ h = h, n = n }, Reference)
  for from = 0, n - 1, TOGETHER do
    local to = math.min(n, from + TOGETHER)
    check(C.gal_reference_search(self.h, from, to, wanted, most))
    refuse_small(self, from, to, wanted)
    if o.progress then o.progress(to, n) end
  end
  return self
end

-- ---- a run in a folder ----

local function on_host(values) return core.tensor(values, { device = "cpu" }) end

-- What reference.npz will have of the galaxies of one piece, tensors by name; s: the run's settings, first:
-- how many galaxies come before.
local function piece_of(magnitudes, theta, s, first, progress)
  local wanted = math.max(s.ess, 3 * s.samples)
  local given = { ess = wanted, seed = s.seed, first = first, most = s.most, progress = progress }
  local r = new(magnitudes, given)
  local means, covariances, sizes, drawn = {}, {}, {}, {}
  for k = 1, r.n do
    local state = r:state(k)
    sizes[k], drawn[k] = state.ess, state.draws
    means[k], covariances[k] = r:moments(k)
  end
  local piece = {
    mean = on_host(means), covariance = on_host(covariances), ess = on_host(sizes), draws = on_host(drawn),
    log_prob = theta and on_host(r:log_prob(theta)),
  }
  if s.samples > 0 then
    local cuts
    piece.samples, cuts = r:sample(s.samples)
    piece.cut = on_host(cuts)
  end
  return piece
end

local function piece_name(first) return ("part-%06d.npz"):format(first) end

-- All pieces, made where they are not there yet, as one table of tensors by name, which is saved.
local function build(folder, o, s, progress)
  local gal = require "gal"
  local n, parts = s.galaxies, {}
  for first = 0, n - 1, PIECE do
    local size, name = math.min(PIECE, n - first), piece_name(first)
    if not folder:has(name) then
      local magnitudes = o.magnitudes:narrow(1, first + 1, size)
      local theta = o.theta and o.theta:narrow(1, first + 1, size)
      local tell = progress and function(done) progress:update{ done = first + done } end
      gal.save(folder:path(name), piece_of(magnitudes, theta, s, first, tell))
    end
    for key, value in pairs((gal.load(folder:path(name)))) do
      parts[key] = parts[key] or {}
      table.insert(parts[key], value)
    end
  end
  local all = {}
  for key, list in pairs(parts) do all[key] = #list == 1 and list[1] or gal.cat(list, 1) end
  gal.save(folder:path "reference.npz", all)
  for first = 0, n - 1, PIECE do folder:remove(piece_name(first)) end
  if progress then progress:finish() end
  return all
end

-- The settings of a run, defaults filled in.
local function settings_of(o)
  local values, n = matrix("magnitudes", o.magnitudes, BANDS)
  if o.theta then matrix("theta", o.theta, D, n) end
  local hash = C.gal_hash(values, 4 * n * BANDS, o.theta and 1 or 0)
  return {
    ess = number("reference", o, "ess", 3000, 1),
    samples = integer("reference", o, "samples", 0, 0, 2 ^ 31),
    seed = integer("reference", o, "seed", 0, 0, 2 ^ 53),
    most = integer("reference", o, "most", 2 ^ 30, 1, 2 ^ 32),
    galaxies = n, data = decimal(hash),
  }
end

--- reference.run{magnitudes =, theta =, out =, ess = 3000, samples = 0, seed = 0, most =, progress = true}:
-- the posteriors of galaxies from their magnitudes {N, 5}, in pieces that are kept in the folder `out`:
-- interrupted, it goes on there. Returns tensors, as reference.npz in `out` has them: mean {N, 5},
-- covariance {N, 5, 5}, ess {N}, draws {N} (galaxies drawn), log_prob {N} at theta {N, 5} where that is
-- given, and where samples are asked for, samples {N, samples, 5} and cut {N}, the weight cut off for them;
-- the effective sample size is then at least three times as many.
function M.run(options)
  local known = { "magnitudes", "theta", "out", "ess", "samples", "seed", "most", "progress" }
  local o = arguments.known("reference", options, known)
  if type(o.out) ~= "string" then
    raise("reference: out is %s, expected the name of a folder", errors.kind(o.out))
  end
  local s, all = settings_of(o), nil
  local folder = require("gal.base.run").open{
    where = "reference", out = o.out, noun = "reference", settings_file = "reference.json", settings = s,
    mark = "reference.npz",
  }
  folder:work(function()
    if folder.finished then
      all = require("gal").load(folder:path "reference.npz")
      return
    end
    local progress = o.progress ~= false
      and require "gal.base.progress" { total = s.galaxies, label = "galaxies", unit = "galaxies" }
    all = build(folder, o, s, progress or nil)
  end)
  return all
end

return setmetatable(M, { __call = function(_, ...) return new(...) end })
