-- infer/kept: posteriors of galaxies whose properties are known, drawn once with their densities and kept in
-- a folder of results (gal.base.run), so that they can be looked at again without the flow. While they are
-- drawn they grow in a folder of their own (infer/folder.lua): stopped or killed, the same call goes on.
-- Whole, they are NAME.npz: ids, theta {N, d}, context {N, c}, samples {N, n, d}, log_q {N, n}, log_q_true
-- {N}, flagged {N}. The caller makes sure that the folder's draws are of this flow and these galaxies.
local arrays = require "gal.data.arrays"
local core = require "gal.tensor"
local ffi = require "ffi"
local gal = require "gal"
local galaxies = require "gal.infer.galaxies"
local infer = require "gal.infer"
local path = require "gal.base.path"
local errors = require "gal.base.errors"
local raise = errors.raise

local kept = {}

-- The most draws whose densities another flow gives in one call: a few seconds of work, so that little is
-- lost when it is stopped.
local TOGETHER = 10000

-- A tensor of bytes on the host, {N} or {N, width}, from a function of the place in it, from 0.
local function bytes(shape, at)
  local y = core.to_fill(shape, "uint8")
  local to = ffi.cast("uint8_t *", y.h.data)
  for i = 0, core.count(y) - 1 do to[i] = at(i) end
  return y
end

-- Ids as the bytes of a matrix, uint8 {N, longest}, padded with zeros: numpy's view("S19") reads them.
local function bytes_of(ids)
  local longest = 1
  for _, id in ipairs(ids) do longest = math.max(longest, #id) end
  return bytes({ #ids, longest }, function(i)
    return ids[math.floor(i / longest) + 1]:byte(i % longest + 1) or 0
  end)
end

-- The ids in a matrix that bytes_of made.
local function ids_of(matrix)
  local ids = {}
  for k, row in ipairs(matrix:totable()) do
    local letters = {}
    for i, byte in ipairs(row) do
      if byte ~= 0 then letters[i] = string.char(byte) end
    end
    ids[k] = table.concat(letters)
  end
  return ids
end

-- Removes a folder and the draws in it.
local function clear(folder)
  for _, name in ipairs{ "samples.npy", "log_prob.npy", "summary.csv", "draws.json", "lock" } do
    path.remove(folder .. "/" .. name)
  end
  os.remove(folder)
end

-- What is in a file of posteriors, and the galaxies' ids.
local function content(file)
  local found = gal.load(file)
  for _, name in ipairs{ "ids", "samples", "log_q", "log_q_true", "flagged" } do
    if not found[name] then
      raise("%s lacks %s, expected posteriors; remove it, or name another %s", file, name,
        errors.option "out")
    end
  end
  return found, ids_of(found.ids)
end

--- kept.reopen(file, survey): the galaxies of a survey whose posteriors are in a file that kept.posteriors
-- wrote, as a part, and {samples {N, n, d}, log_q {N, n}, log_q_true {N}}. Raises where the survey lacks one.
function kept.reopen(file, survey)
  local found, ids = content(file)
  local part = survey:of(ids)
  local lost = #ids - #part.ids
  if lost > 0 then raise("%s lacks %d of the galaxies of %s", survey.path, lost, file) end
  return part, { samples = found.samples, log_q = found.log_q, log_q_true = found.log_q_true }
end

-- The posteriors in a file; raises where they are not those of the part.
local function read(file, part, n)
  local found, ids = content(file)
  local same = true
  for k, id in ipairs(part.ids) do same = same and ids[k] == id end
  if not same or #ids ~= #part.ids or found.samples:size(2) ~= n then
    raise("%s has posteriors of other galaxies; remove it, or name another %s", file, errors.option "out")
  end
  local flagged = {}
  for k, flag in ipairs(found.flagged:totable()) do
    if flag ~= 0 then flagged[#flagged + 1] = k end
  end
  return { samples = found.samples, log_q = found.log_q, log_q_true = found.log_q_true, flagged = flagged }
end

-- Draws, and writes them to file. drawing: the folder that they grow in.
local function draw(file, drawing, flow, part, o)
  local found = infer.posteriors(flow, part, {
    n = o.n, steps = o.steps, tolerance = o.tolerance, seed = o.seed, log_prob = true, out = drawing,
    resume = true,
  })
  local truth, report = flow:log_prob(part.theta, galaxies.shown(flow, part), {
    steps = o.steps, tolerance = o.tolerance, told = false, progress = true,
  })
  local flags = {}
  for k, v in ipairs(found.summary:doubles "flagged") do flags[k] = v end
  for _, k in ipairs(report and report.flagged or {}) do flags[k] = 1 end
  local tensors = {
    ids = bytes_of(part.ids), theta = part.theta, context = flow.c > 0 and part.context or nil,
    samples = gal.load(drawing .. "/samples.npy"), log_q = gal.load(drawing .. "/log_prob.npy"),
    log_q_true = truth:to "cpu", flagged = bytes({ #flags }, function(i) return flags[i + 1] end),
  }
  gal.save(file, tensors)
  clear(drawing)
end

--- kept.posteriors(out, name, flow, part, {n =, steps =, tolerance =, seed =}): the posteriors of the
-- galaxies of a part of a survey with theta, from the folder out (gal.base.run) or drawn into it: {samples
-- {N, n, d}, log_q {N, n}, log_q_true {N}, flagged = the galaxies that are not within the tolerance, a list
-- of numbers, outside {N} = flow:outside, spread {N} of an ensemble's members, else nil}. name: of the file.
function kept.posteriors(out, name, flow, part, o)
  local file = out:path(name .. ".npz")
  if not path.kind(file) then draw(file, out.out .. "/" .. name .. "-drawing", flow, part, o) end
  local found, shown = read(file, part, o.n), galaxies.shown(flow, part)
  found.outside = galaxies.outside(flow, shown)
  found.spread = galaxies.spread(flow, found.samples, flow.spread and flow:streams(shown))
  return found
end

-- The galaxies first … first + count - 1 of a part.
local function some(part, first, count)
  local positions = {}
  for i = 1, count do positions[i] = first + i - 1 end
  return part:select(positions)
end

--- kept.crossed(out, name, flow, part, drawn, {steps =, tolerance =}): ln densities, by another flow than
-- that which drew them, of draws that kept.posteriors gave and of the truth: {log_q {N, n}, log_q_true {N}}.
-- part: the galaxies as that flow sees them. They grow in NAME.npy.part, and are then kept in NAME.npz.
function kept.crossed(out, name, flow, part, drawn, o)
  local file, growing = out:path(name .. ".npz"), name .. ".npy.part"
  if path.kind(file) then return gal.load(file) end
  local n, count = drawn.samples:size(2), #part.ids
  local head = arrays.header({ count, n }, "float32")
  local done, each = out:whole(growing, head, 4 * n), math.max(1, math.floor(TOGETHER / n))
  local grown = out:grow(growing, head, done * 4 * n)
  local line = require "gal.base.progress" { total = count, first = done, label = name, unit = "galaxies" }
  for first = done + 1, count, each do
    local k = math.min(each, count - first + 1)
    local densities = flow:log_prob(drawn.samples:narrow(1, first, k),
      galaxies.shown(flow, some(part, first, k)), { steps = o.steps, tolerance = o.tolerance, told = false })
    local values, size = core.read(densities)
    grown:put(values, 4 * size)
    grown:sync()
    line:update{ done = first + k - 1 }
  end
  line:finish()
  out:rename(growing, name .. ".npy")
  local truth = flow:log_prob(part.theta, galaxies.shown(flow, part), {
    steps = o.steps, tolerance = o.tolerance, told = false,
  })
  gal.save(file, { log_q = gal.load(out:path(name .. ".npy")), log_q_true = truth:to "cpu" })
  out:remove(name .. ".npy")
  return gal.load(file)
end

return kept
