-- The reference posterior of mock galaxies: p(theta | ugriz) by importance sampling of the model that they
-- come from, without any network. What a flow learns from the mock survey is held against it. The sampling is
-- in runtime/mock/reference.c.
local ffi = require "ffi"
local arguments = require "gal.base.options"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local C = ffi.C
local check, raise, number, integer = errors.check, errors.raise, arguments.number, arguments.integer

local M = {}
local Reference = {}
Reference.__index = Reference

local D, BANDS = 5, 5
local TOGETHER = 4 -- galaxies between two looks at the progress
local PIECE = 20   -- galaxies that are written together
local out, mean, covariance = ffi.new "gal_reference *[1]", ffi.new("double[?]", D), ffi.new("double[?]", D * D)
local ess, cut, draws = ffi.new "double[1]", ffi.new "double[1]", ffi.new "int64_t[1]"

-- Raises unless x is a tensor {rows, columns}; returns its values, from 0, and its rows.
local function matrix(name, x, columns, rows)
  core.live(x, "reference", name)
  local shape = x.shape
  if #shape ~= 2 or shape[2] ~= columns or (rows and shape[1] ~= rows) then
    raise("reference: %s is %s, expected {%s, %d}", name, x:shape_text(), rows and tostring(rows) or "N", columns)
  end
  return core.read(x), shape[1]
end

--- What is known of galaxy k: ess (effective sample size, (sum w)^2 / sum w^2), draws (galaxies drawn for
-- it).
function Reference:state(k)
  check(C.gal_reference_state(ess, draws, self.h, errors.integer("reference", "k", k, 1, self.n) - 1))
  return { ess = ess[0], draws = tonumber(draws[0]) }
end

--- Mean {5} and covariance {5, 5} of galaxy k's posterior, Lua lists. They are of the labels: measurement
-- errors are in them.
function Reference:moments(k)
  check(C.gal_reference_moments(mean, covariance, self.h, errors.integer("reference", "k", k, 1, self.n) - 1))
  local m, c = {}, {}
  for i = 1, D do
    m[i], c[i] = mean[i - 1], {}
    for j = 1, D do c[i][j] = covariance[D * (i - 1) + j - 1] end
  end
  return m, c
end

--- n draws of each posterior, at most a third of the effective sample size, each from another galaxy drawn: a
-- tensor {N, n, 5}. Second: a list {N}, what share of the weight was cut
--- off to have no draw twice; so far is each sample from its posterior in total variation.
function Reference:sample(n)
  errors.integer("reference", "n", n, 1, 2 ^ 31)
  local y, cuts = core.new({ self.n, n, D }, "float32", "cpu"), {}
  for k = 0, self.n - 1 do
    check(C.gal_reference_sample(ffi.cast("float *", y.h.data) + k * n * D, cut, self.h, k, n))
    cuts[k + 1] = cut[0]
  end
  return y, cuts
end

--- ln p(theta | ugriz) at theta {N, 5}, a row a galaxy: a Lua list {N}, nats per product of theta's units.
function Reference:log_prob(theta)
  local values, list, point = matrix("theta", theta, D, self.n), {}, ffi.new("double[?]", D)
  for k = 0, self.n - 1 do
    for i = 0, D - 1 do point[i] = values[k * D + i] end
    check(C.gal_reference_log_prob(mean, self.h, k, point))
    list[k + 1] = mean[0]
  end
  return list
end

--- reference(magnitudes, options): the posteriors of galaxies from their ugriz model magnitudes {N, 5}, a
-- tensor. options: ess (3000, the effective sample size that each galaxy
--- gets), seed (0), first (0: of galaxies before these, so that parts of a set are like the whole), most
-- (2^30 draws a galaxy), progress (called with galaxies done and N). Raises where a galaxy doesn't get
-- there:
--- the model has hardly any like it.
local function new(magnitudes, options)
  local o = arguments.known("reference", options, { "ess", "seed", "first", "most", "progress" })
  local values, n = matrix("magnitudes", magnitudes, BANDS)
  local flux = ffi.new("double[?]", n * BANDS)
  for i = 0, n * BANDS - 1 do flux[i] = 10 ^ (0.4 * (22.5 - values[i])) end
  local wanted = number("reference", o, "ess", 3000, 1)
  local most = integer("reference", o, "most", 2 ^ 30, 1, 2 ^ 32)
  check(C.gal_reference_new(out, integer("reference", o, "seed", 0, 0, 2 ^ 53), n, integer("reference", o, "first", 0, 0, 2 ^ 18), flux))
  local self = setmetatable({ h = ffi.gc(out[0], C.gal_reference_free), n = n }, Reference)
  for from = 0, n - 1, TOGETHER do
    local to = math.min(n, from + TOGETHER)
    check(C.gal_reference_search(self.h, from, to, wanted, most))
    for k = from + 1, to do
      local s = self:state(k)
      if s.ess < wanted then
        raise("reference: galaxy %d has an effective sample size of %.0f after %.3g draws, expected %.0f: the model has hardly any galaxy of its magnitudes", k, s.ess, s.draws, wanted)
      end
    end
    if o.progress then o.progress(to, n) end
  end
  return self
end

-- What survey.reference.run keeps of one piece, by name.
local function piece_of(magnitudes, theta, o, first, progress)
  local r = new(magnitudes, { ess = math.max(o.ess, 3 * o.samples), seed = o.seed, first = first, most = o.most, progress = progress })
  local means, covariances, sizes, drawn = {}, {}, {}, {}
  for k = 1, r.n do
    local state = r:state(k)
    sizes[k], drawn[k] = state.ess, state.draws
    means[k], covariances[k] = r:moments(k)
  end
  local samples, cuts
  if o.samples > 0 then samples, cuts = r:sample(o.samples) end
  return { mean = core.tensor(means), covariance = core.tensor(covariances), ess = core.tensor(sizes), draws = core.tensor(drawn), log_prob = theta and core.tensor(r:log_prob(theta)),
    samples = samples, cut = cuts and core.tensor(cuts) }
end

--- reference.run{magnitudes =, theta =, out =, ess = 3000, samples = 0, seed = 0, most =, progress = true}:
-- the posteriors of galaxies from their magnitudes {N, 5}, in pieces that are
--- kept in the folder `out`: stopped, it goes on there. Returns tensors, as reference.npz in `out` has them:
-- mean {N, 5}, covariance {N, 5, 5}, ess {N}, draws {N} (galaxies drawn),
--- log_prob {N} at theta {N, 5} where that is given, samples {N, samples, 5} and what was cut for them, cut
-- {N}, where they are asked for (then the effective sample size is three times as
--- many at least).
function M.run(options)
  local gal, folder, json = require "gal", require "gal.base.path", require "gal.base.json"
  local o = arguments.known("reference", options, { "magnitudes", "theta", "out", "ess", "samples", "seed", "most", "progress" })
  local values, n = matrix("magnitudes", o.magnitudes, BANDS)
  if o.theta then matrix("theta", o.theta, D, n) end
  local s = { ess = number("reference", o, "ess", 3000, 1), samples = integer("reference", o, "samples", 0, 0, 2 ^ 31), seed = integer("reference", o, "seed", 0, 0, 2 ^ 53),
    most = integer("reference", o, "most", 2 ^ 30, 1, 2 ^ 32), galaxies = n, data = (tostring(C.gal_hash(values, 4 * n * BANDS, o.theta and 1 or 0)):gsub("ULL$", "")) }
  local path = o.out .. "/reference.json"
  folder.make(o.out)
  if not folder.kind(path) then folder.write(path, json.encode(s, true) .. "\n") end
  local file = assert(io.open(path))
  local old, wrong = json.decode(file:read "*a"), {}
  file:close()
  for _, name in ipairs{ "data", "ess", "galaxies", "most", "samples", "seed" } do
    if old[name] ~= s[name] then wrong[#wrong + 1] = ("%s was %s and is %s"):format(name, tostring(old[name]), tostring(s[name])) end
  end
  if #wrong > 0 then raise("reference: what is in %s began with other settings: %s. Give those again, or another out", o.out, table.concat(wrong, "; ")) end
  if folder.kind(o.out .. "/reference.npz") then return (gal.load(o.out .. "/reference.npz")) end
  local line = o.progress ~= false and require "gal.base.progress" { total = n, label = "galaxies", unit = "galaxies" }
  local parts = {}
  for first = 0, n - 1, PIECE do
    local size, name = math.min(PIECE, n - first), ("%s/part-%06d.npz"):format(o.out, first)
    if not folder.kind(name) then
      gal.save(name, piece_of(o.magnitudes:narrow(1, first + 1, size), o.theta and o.theta:narrow(1, first + 1, size), s, first, line and function(done) line:update{ done = first + done } end))
    end
    for key, value in pairs((gal.load(name))) do
      parts[key] = parts[key] or {}
      parts[key][#parts[key] + 1] = value
    end
  end
  if line then line:finish() end
  local all = {}
  for key, list in pairs(parts) do all[key] = #list == 1 and list[1] or gal.cat(list, 1) end
  gal.save(o.out .. "/reference.npz", all)
  for first = 0, n - 1, PIECE do os.remove(("%s/part-%06d.npz"):format(o.out, first)) end
  return all
end

return setmetatable(M, { __call = function(_, ...) return new(...) end })
