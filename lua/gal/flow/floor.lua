-- flow/floor: a floor under a flow's densities: q' = (1 - share) q + share p(theta), where p is a fixed broad
-- density of the training rows' properties (gal.stats.broad). A galaxy whose label is wrong, or that is like
-- no other, then costs the logarithms of the share and of p, whatever the tail of q happens to be. It is
-- exact: densities are those of the mixture, and a draw comes from p with the probability `share`, decided by
-- the galaxy's own random stream. The share is the one under which the validation rows are most likely; the
-- trained net knows nothing of it.
local ffi = require "ffi"
local C = ffi.C
local broad = require "gal.stats.broad"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local inputs = require "gal.flow.inputs"
local sections = require "gal.flow.sections"
local tiles = require "gal.flow.tiles"
local check = errors.check

local floor = {}
floor.__index = floor

--- floor.MOST: the largest share. A flow that would be better with more has not learned its rows.
floor.MOST = 0.2
-- The share is found from the densities of at most ROWS validation rows, of at most IMAGES where images have
-- to be encoded for them, and of at least FEWEST.
local ROWS, IMAGES, FEWEST = 2000, 500, 20
-- A floor that is not needed costs its share; an outlier without a floor costs tens of nats, and a few
-- hundred rows need not hold one. So a quarter of an outlier is taken to be among them. With 1,000 galaxies
-- of the mock survey, 125 of them for validation, that cost .002 nats where no label was wrong, and gained
-- .84 where 1 % were, none of them among the 125. ENOUGH rows speak for themselves.
local OUTLIERS, ENOUGH = 0.25, 1000
local PREFIX = "floor."

-- ---- how much of it ----

--- floor.share(log_q, log_p): the share under which rows with these ln densities, lists {N}, of the flow and
-- of p, and OUTLIERS more of p alone, are most likely, up to floor.MOST. The likelihood is concave in it, and
-- its slope is bisected: where that stays above 0 it ends at floor.MOST.
function floor.share(log_q, log_p)
  local excess = {}
  -- 700: the largest exponent in double precision.
  for i, q in ipairs(log_q) do excess[i] = math.exp(math.min(700, log_p[i] - q)) - 1 end
  local function slope(share)
    local sum = OUTLIERS / share
    for _, e in ipairs(excess) do sum = sum + e / (1 + share * e) end
    return sum
  end
  local low, high = 0, floor.MOST
  for _ = 1, 60 do
    local middle = (low + high) / 2
    if slope(middle) > 0 then low = middle else high = middle end
  end
  return low
end

--- floor.gain(log_q, log_p, share): what that share adds to the mean ln density of these rows, nats, and the
-- standard error of it.
function floor.gain(log_q, log_p, share)
  local sum, squares, n = 0, 0, #log_q
  for i, q in ipairs(log_q) do
    local gain = math.log(1 - share + share * math.exp(math.min(700, log_p[i] - q)))
    sum, squares = sum + gain, squares + gain * gain
  end
  return sum / n, math.sqrt(math.max(0, squares / n - (sum / n) ^ 2) / n)
end

-- ---- in densities ----

--- f:log_density(z {M, d}): ln p at standardised properties, {M}, per standardised unit.
function floor:log_density(z) return self.broad:log_density(z) end

--- f:under(log_q {M}, z {M, d}[, errors {M}]): ln q' where the flow's ln densities are log_q, all per
-- standardised unit. A log_q that is not a number, or too low for single precision, stays: the net does not
-- know that galaxy. errors: a list of the errors of log_q, which become those of ln q': each is multiplied by
-- the flow's part of q'.
function floor:under(log_q, z, errors)
  local a, b = log_q + math.log(1 - self.share), self:log_density(z) + math.log(self.share)
  local largest = a:maximum(b)
  local known = log_q:gt(-host.RESOLVED ^ 2 / 2)
  local both = gal.where(known, largest + ((a - largest):exp() + (b - largest):exp()):log(), log_q)
  for i, part in ipairs(errors and gal.where(known, (a - both):exp(), 1):totable() or {}) do
    errors[i] = part == 0 and 0 or errors[i] * part
  end
  return both
end

--- floor.floored(flows, theta, log_prob): see flow:floored; of the mean of the flows' densities.
function floor.floored(flows, theta, log_prob)
  tiles.scale("floored", flows[1])
  local flat, rows, each, shape = inputs.points("floored", flows[1], theta)
  if not core.is_tensor(log_prob) then
    log_prob = gal.tensor(errors.list("floored", "log_prob", log_prob))
  end
  core.live(log_prob, "floored", "log_prob")
  if log_prob:count() ~= rows * each then
    errors.raise("floored: log_prob has %d values, expected %d, one of each theta", log_prob:count(),
      rows * each)
  end
  return gal.no_grad(function()
    local sum, share = nil, 0
    for _, flow in ipairs(flows) do
      local own = flow.floor
      if own then
        local z = tiles.standard(flow, flat)
        local part = own:log_density(z) - tiles.log_scale(flow, z) - log_prob:to(z:device()):reshape{ -1 }
        part = part:exp() * (own.share / #flows)
        sum, share = sum and sum + part or part, share + own.share / #flows
      end
    end
    if sum then return sum:minimum(1):reshape(shape):totable(), share end
  end)
end

-- ---- in draws ----

-- Normals {k * m, count * d} from `count` streams, from number `first` on, that belong to the galaxies' own
-- {k}, and to no member of an ensemble, whose numbers are above 0 (flow/mixture.lua). Each takes as many
-- numbers as the flow's own noise, so that words advance by that and the next call gets fresh ones.
local function normals(flow, streams, words, m, first, count)
  local d, k, parts = flow.d, streams:size(1), {}
  local seen = streams:to("cpu"):reshape{ k, 1 }
  for i = 1, count do
    local own = core.new({ k }, "int64", "cpu")
    check(C.gal_row_streams(own.h, seen.h, -(first + i - 1)))
    local part, at = gal.zeros({ k, m * d }, { device = flow:device() }), words:clone()
    check(C.gal_normal_streams(part.h, own:to(flow:device()).h, at.h))
    parts[i] = part:reshape{ k * m, d }
  end
  return count == 1 and parts[1] or gal.cat(parts, 2)
end

--- f:draws(flow, streams {k}, words {2}, m): which of m draws of k galaxies come from the floor, a list of
-- numbers from 1 to k * m; and a draw from p for each, {#list, d}, standardised, nil where the list is empty.
-- words: the generator's, as they are before the flow's own noise; they are not changed.
function floor:draws(flow, streams, words, m)
  local d, list = flow.d, {}
  local first = math.ceil(2 / d)
  local pair = normals(flow, streams, words, m, 1, first)
  local values, width, far = core.read(pair), pair:size(2), -2 * math.log(self.share)
  -- exp(-(a^2 + b^2) / 2) of two normals is uniform: below the share.
  for i = 0, pair:size(1) - 1 do
    if values[i * width] ^ 2 + values[i * width + 1] ^ 2 >= far then list[#list + 1] = i + 1 end
  end
  if #list == 0 then return list end
  local rest = normals(flow, streams, words, m, first + 1, math.ceil(broad.columns(d) / d)):rows(list)
  return list, self.broad:draws(rest):to(flow:device())
end

--- floor.placed(x {M, ...}, y {n, ...}, list): x with row list[i] replaced by row i of y.
function floor.placed(x, y, list)
  local m = x:size(1)
  local order = ffi.new("int64_t[?]", m)
  for i = 0, m - 1 do order[i] = i end
  for i, k in ipairs(list) do order[k - 1] = m + i - 1 end
  local at = core.new({ m }, "int64", x:device())
  check(C.gal_tensor_write(at.h, order, m))
  return gal.cat({ x, y }, 1):gather(at)
end

-- ---- fitting ----

-- The ln densities of the validation rows by the flow and by p, lists, of rows where both are numbers.
local function densities(flow, own, valid, progress)
  local theta, x = inputs.some(flow, valid, flow.encoder and IMAGES or ROWS)
  local o = { steps = "auto", told = false, progress = progress or false }
  local found = flow:log_prob(theta, x, o):totable()
  local beside = gal.no_grad(function()
    local z = tiles.standard(flow, theta)
    return (own:log_density(z) - tiles.log_scale(flow, z)):totable()
  end)
  local log_q, log_p = {}, {}
  for i, q in ipairs(found) do
    if q == q and beside[i] - beside[i] == 0 then log_q[#log_q + 1], log_p[#log_p + 1] = q, beside[i] end
  end
  return log_q, log_p
end

-- The float32 nearest to a share, which is what a file holds.
local function rounded(share) return gal.tensor({ share }, { 1 }, { device = "cpu" }):get(1) end

--- floor.is_share(v): whether v is a number that a floor can have as its share: above 0 and below 1, also as
-- a file holds it.
function floor.is_share(v) return type(v) == "number" and v > 0 and rounded(v) > 0 and rounded(v) < 1 end

--- floor.fit(flow, train, valid, wanted[, progress = false]): the floor of a trained flow: p of the training
-- rows {theta}, the share by the validation rows {theta, context, images} (nil: none) where wanted is "auto",
-- else wanted. The share is floor.share's; there is no floor where 1,000 validation rows or more are not more
-- likely with it. At most 2,000 of them are looked at, 500 with images. progress: flow:log_prob's. Returns
-- what is for flow.floor, nil without a floor; and what was found: {share, gain and error (nats a validation
-- row), rows, and of a share that was looked for `most`, whether it is floor.MOST}, or a sentence why nothing
-- was looked for.
function floor.fit(flow, train, valid, wanted, progress)
  local n, fewest = train.theta:size(1), 4 * (flow.d + 1)
  if n < fewest then return nil, ("%d training rows are too few for a floor"):format(n) end
  if wanted == "auto" and not valid then return nil, "without validation rows there is no floor" end
  local own = setmetatable({ broad = broad.fit(tiles.standard(flow, train.theta)) }, floor)
  local share, found = wanted, { share = 0, rows = 0 }
  if valid then
    local log_q, log_p = densities(flow, own, valid, progress)
    found.rows = #log_q
    if wanted == "auto" and #log_q < FEWEST then
      return nil, ("%d validation rows are too few to choose a floor by"):format(#log_q)
    end
    if wanted == "auto" then
      share = floor.share(log_q, log_p)
      found.most = share >= floor.MOST
    end
    if #log_q > 0 then found.gain, found.error = floor.gain(log_q, log_p, share) end
    if wanted == "auto" and #log_q >= ENOUGH and found.gain <= 0 then return nil, found end
  end
  if share == 0 then return nil, found end
  own.share = rounded(share)
  found.share, own.found = own.share, found
  return own, found
end

--- floor.words(found): a sentence about what floor.fit found; found: its second result.
function floor.words(found)
  if type(found) == "string" then return found end
  local gained = found.gain and ("%+.3f ± %.3f nats a validation row"):format(found.gain, found.error)
  if found.share == 0 then
    return "no floor: it would not pay" .. (gained and (" (%s)"):format(gained) or "")
  end
  local why = "for outliers"
  if found.most then
    why = "the most that is laid: the flow does not know these rows well, or many labels are wrong"
  elseif found.most == false and found.gain <= 0 then
    why = ("for outliers that %d validation rows need not show"):format(found.rows)
  end
  local sentence = "floor: %s %% of every posterior is p(theta), a broad density of the training rows, %s%s"
  return sentence:format(floor.percent(found.share), why, gained and (" (%s)"):format(gained) or "")
end

--- floor.percent(share): a share in per cent, two digits or whole ones: "0.34", "100".
function floor.percent(share) return (share < 0.1 and "%.2g" or "%.0f"):format(100 * share) end

-- ---- in a file ----

--- floor.tensors(flow): the floor's part of the flow's file, {name = tensor}.
function floor.tensors(flow)
  local tensors, self = {}, flow.floor
  if not self then return tensors end
  for name, x in pairs(self.broad.tensors) do tensors[PREFIX .. name] = x end
  tensors[PREFIX .. "share"] = gal.tensor({ self.share }, { 1 }, { device = "cpu" })
  return tensors
end

--- floor.take(tensors): removes from a file's tensors {name = tensor} those that floor.tensors put there, and
-- returns them, {name = tensor}, or nil where there are none.
function floor.take(tensors) return sections.take(tensors, PREFIX) end

--- floor.of(flow, own, found, refuse): the value for flow.floor of `own`, what floor.take took out of the
-- flow's file. found: what the file says of how it was found. refuse(sentence) raises where `own` does not
-- fit the flow.
function floor.of(flow, own, found, refuse)
  for name in pairs(own) do
    if name ~= "share" and name ~= "weights" and name ~= "means" and name ~= "lowers" then
      refuse(("has a tensor '%s%s', which such a flow does not have"):format(PREFIX, name))
    end
  end
  local share = own.share
  if not share or core.shape_text(share) ~= "{1}" or share.dtype ~= "float32" then
    refuse "has no tensor 'floor.share' of shape {1} (float32)"
  end
  share = share:get(1)
  if not (share > 0 and share < 1) then
    refuse(("its 'floor.share' is %g, expected a share between 0 and 1"):format(share))
  end
  local needed = { share = true, rows = true, gain = false, error = found and found.gain ~= nil }
  for name, always in pairs(found and needed or {}) do
    local kind = type(found[name])
    if kind ~= "number" and (always or kind ~= "nil") then
      refuse(("its floor's '%s' is %s, expected a number"):format(name, errors.kind(found[name])))
    end
  end
  local density, why = broad.of(own, #flow.theta)
  if not density then refuse("its floor " .. why) end
  return setmetatable({ broad = density, share = share, found = found }, floor)
end

return floor
