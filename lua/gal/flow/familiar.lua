-- flow/familiar: what a flow knows of the galaxies that it learned from, beside its weights: how rare a
-- galaxy is among them (gal.stats.rarity), by its standardised context and by its encoded image, and the
-- range of their properties. It is fitted when training ends, and goes into the flow's file.
local gal = require "gal"
local inputs = require "gal.flow.inputs"
local rarity = require "gal.stats.rarity"
local sections = require "gal.flow.sections"
local tiles = require "gal.flow.tiles"

local familiar = {}

--- familiar.FEWEST: with fewer validation rows a share says nothing, and rareness is not fitted.
familiar.FEWEST = 100
-- Principal components of the encoding that are used, and the most images of each part that are encoded for
-- them: the encoding takes the time, eight times as long where the flow averages over turns.
local COMPONENTS, IMAGES = 16, 2500
-- Validation contexts that go with the flow, for comparing a whole survey with what it learned from.
local SAMPLE = 2000
-- A value is an atom where more than this share of the rows have it (stats/atoms.lua). What no draw reaches.
local SHARED, FAR = 0.01, 3e38
local PREFIX = "familiar."

-- The encoded images of the conditions x, {N, E}, on the host. progress: called with the images done, or nil.
local function encoded(flow, x, progress)
  local features = gal.no_grad(tiles.features, flow, x, 1, x.rows, { progress = progress })
  return features:narrow(2, 1, features:size(2) - flow.c):to "cpu"
end

-- The same of the conditions in a list; progress: as tiles.progress takes it.
local function all_encoded(flow, conditions, progress)
  local total, list, before = 0, {}, 0
  for _, x in ipairs(conditions) do total = total + x.rows end
  local told, finish = tiles.progress("familiar", { progress = progress }, total, "images encoded")
  local ok, err = pcall(function()
    for k, x in ipairs(conditions) do
      list[k] = encoded(flow, x, tiles.part(told, before))
      before = before + x.rows
    end
  end)
  finish()
  if not ok then error(err, 0) end
  return unpack(list)
end

local function standard(flow, context)
  return gal.no_grad(function() return flow:standard(context:to(flow:device())):to "cpu" end)
end

-- The lowest and the highest of the properties {M, d}, {d} each, on the host. An end that more than 1 % of
-- the rows share, as A_V = 0, is a limit of the quantity or of a pipeline: posteriors are smooth and spill
-- over it, so that draws beyond it say nothing of the galaxy, and it is moved out of reach.
local function range_of(theta)
  return gal.no_grad(function()
    local many = math.max(1, SHARED * theta:size(1))
    local function moved(edge, far)
      return gal.where(theta:eq(edge):sum(1):gt(many), far, edge):to "cpu"
    end
    return moved(theta:min(1), -FAR), moved(theta:max(1), FAR)
  end)
end

--- familiar.fit(flow, train, valid[, progress = false]): the value for flow.familiar, fitted to the training
-- rows {theta, context, images}, with shares counted among the validation rows; nil where there are too few
-- rows. progress: of encoding images, as tiles.progress takes it.
function familiar.fit(flow, train, valid, progress)
  local fewest = 4 * (math.max(flow.c, flow.encoder and COMPONENTS or 0) + 1)
  if not valid or valid.theta:size(1) < familiar.FEWEST or train.theta:size(1) < fewest then return nil end
  local self = {}
  self.low, self.high = range_of(train.theta)
  if flow.c > 0 then
    local known, held = rarity.thin(train.context), rarity.thin(valid.context)
    self.context = rarity.fit(standard(flow, known), standard(flow, held))
    self.sample = rarity.thin(valid.context, SAMPLE):to "cpu"
  end
  if flow.encoder and train.images then
    local list = {}
    for k, part in ipairs{ train, valid } do
      list[k] = inputs.conditions("familiar", flow, select(2, inputs.some(flow, part, IMAGES)))
    end
    local known, held = all_encoded(flow, list, progress or false)
    self.image = rarity.fit(known, held, { components = COMPONENTS })
  end
  return self
end

--- familiar.ood(flow, x): see flow:ood.
function familiar.ood(flow, x)
  local self = flow.familiar
  if not self then
    local why = "the flow does not say how its galaxies were spread: an earlier version wrote it, or it had "
      .. "fewer than %d validation galaxies"
    return nil, why:format(familiar.FEWEST)
  end
  x = inputs.conditions("ood", flow, x)
  local shares = {}
  if self.context then shares.context = self.context:shares(standard(flow, x.context)) end
  if self.image then shares.image = self.image:shares(encoded(flow, x)) end
  return shares
end

-- ---- in a file ----

--- familiar.tensors(flow): its part of the flow's file, {name = tensor}.
function familiar.tensors(flow)
  local tensors, self = {}, flow.familiar
  if not self then return tensors end
  for _, name in ipairs{ "low", "high", "sample" } do tensors[PREFIX .. name] = self[name] end
  for _, part in ipairs{ "context", "image" } do
    for name, x in pairs(self[part] and self[part].tensors or {}) do
      tensors[PREFIX .. part .. "." .. name] = x
    end
  end
  return tensors
end

--- familiar.take(tensors): removes from a file's tensors {name = tensor} those that familiar.tensors put
-- there, and returns them, {name = tensor}, or nil where there are none.
function familiar.take(tensors) return sections.take(tensors, PREFIX) end

-- Raises by `refuse` unless `own` has this tensor, of d columns, and of one row where flat.
local function check(own, name, d, flat, refuse)
  local x = own[name]
  local shape = x and x.shape or {}
  if #shape ~= (flat and 1 or 2) or shape[#shape] ~= d or x.dtype ~= "float32" then
    refuse(("its '%s%s' is not of %d columns (float32)"):format(PREFIX, name, d))
  end
  return x
end

--- familiar.of(flow, own, width, refuse): the value for flow.familiar of `own`, what familiar.take took out
-- of the flow's file. width: of the flow's encoded images, or nil where it is not known. refuse(sentence)
-- raises where `own` does not fit the flow.
function familiar.of(flow, own, width, refuse)
  local d, self, parts = #flow.theta, {}, { context = {}, image = flow.encoder and {} or nil }
  self.low, self.high = check(own, "low", d, true, refuse), check(own, "high", d, true, refuse)
  if flow.c > 0 then self.sample = check(own, "sample", flow.c, false, refuse) end
  for name, x in pairs(own) do
    local part, inner = name:match "^(%a+)%.(.*)$"
    if not (part and parts[part] or self[name] == x) then
      refuse(("has a tensor '%s%s', which such a flow does not have"):format(PREFIX, name))
    end
    if part then parts[part][inner] = x end
  end
  for _, part in ipairs{ "context", "image" } do
    if parts[part] and next(parts[part]) then
      local why
      self[part], why = rarity.of(parts[part], part == "context" and flow.c or width)
      if not self[part] then refuse(("its '%s%s' %s"):format(PREFIX, part, why)) end
    end
  end
  return self
end

return familiar
