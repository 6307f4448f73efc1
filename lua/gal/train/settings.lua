-- train/settings: checks the options of fit that are numbers and names, with their defaults; and makes the
-- settings of a run, which config.json and the checkpoint hold and which a resumed run has to repeat.
local errors = require "gal.base.errors"
local floors = require "gal.flow.floor"
local json = require "gal.base.json"
local nn = require "gal.nn"
local optim = require "gal.optim"
local options = require "gal.base.options"
local precisions = require "gal.base.precision"
local rows = require "gal.train.rows"
local rule = require "gal.train.rule"
local units = require "gal.flow.units"
local velocity = require "gal.flow.velocity"
local raise, number, integer = errors.raise, options.number, options.integer

local settings = {}

--- settings.OPTIONS: the names of fit's options.
settings.OPTIONS = {
  "flow", "data", "theta", "context", "images", "ids", "valid", "test", "batch", "lr", "epochs", "patience",
  "seed", "out", "resume", "weight_decay", "schedule", "clip", "average", "decay", "draws", "augment",
  "precision", "progress", "recorded", "resident", "preset", "time_power", "floor", "scale",
}

-- A precision applies to the convolutions of a flow with an encoder, and to linear layers where the device
-- has it for them.
local function refuse_precision(name, flow)
  local device = flow:device()
  if flow.encoder then return precisions.check("fit", name, device, "conv2d") end
  precisions.code("fit", name)
  if precisions.has(name, device, "linear") then return end
  raise("fit: precision is %q, which %s does not have for linear layers, and the flow has no encoder with "
    .. "convolutions", name, device)
end

--- settings.refuse(o): raises on flags, a precision and a preset among fit's options o that the flow can't be
-- trained with, as far as that can be said without its rows.
function settings.refuse(o)
  for _, name in ipairs { "average", "augment", "resident" } do
    if type(o[name]) ~= "nil" and type(o[name]) ~= "boolean" then
      raise("fit: %s is %s, expected true or false", name, errors.kind(o[name]))
    end
  end
  refuse_precision(o.precision, o.flow)
  if o.resident and not o.flow.encoder then
    raise("fit: resident is true, but the flow has no encoder of images that the device would hold")
  end
  if o.preset ~= nil then rule.preset("fit", o.preset) end
end

-- The floor that is asked for: "auto", a share, or nil for none.
local function floor_of(o, usual)
  local asked = type(o.floor) == "nil" and usual or o.floor
  if asked == "auto" then return "auto" end
  if asked == "off" or asked == false or asked == 0 then return nil end
  if floors.is_share(asked) then return asked end
  raise("fit: floor is %s, expected a share from 0 to below 1, \"auto\" or \"off\"", errors.kind(o.floor))
end

-- The scales of the columns that are asked for, a text; nil where all are standard.
local function scale_of(o, usual)
  local given = type(o.scale) ~= "nil"
  local asked = usual
  if given then asked = o.scale end
  units.asked("fit", asked, o.flow)
  if o.flow.scale and given and not o.resume then
    raise("fit: scale is %s, but the flow has its units already", errors.kind(o.scale))
  end
  if asked == "standard" then return nil end
  return asked
end

-- The power of late times, where a row has draws enough for one.
local function time_power(o, usual, draws)
  local power = integer("fit", o, "time_power", draws > 1 and usual.time_power or 1, 1, 16)
  if power == 1 or draws > 1 then return power end
  raise("fit: time_power is %d, but draws is 1; late times are those of every second draw of a row", power)
end

-- The outputs of the widest hidden layer of a flow's net; nil where it has none, or is the user's own.
local function width_of(flow)
  local layers, widest = velocity.layers(flow.head), nil
  for i = 1, layers and #layers - 1 or 0 do widest = math.max(widest or 0, layers[i].outputs) end
  return widest
end

--- settings.of(o, n, preset): the numbers and flags of a run on n rows from fit's options o; rule.of decides
-- what these leave open. Raises on a bad value. A flag that is off and a precision of "f32" are nil, as in
-- runs that were begun before they existed.
function settings.of(o, n, preset)
  local batch = integer("fit", o, "batch", 64, 1)
  local usual = rule.of(preset, n, batch, o.flow.encoder ~= nil, width_of(o.flow))
  local draws = integer("fit", o, "draws", usual.draws, 1)
  return {
    preset = preset, batch = batch, lr = number("fit", o, "lr", usual.lr, 0),
    epochs = integer("fit", o, "epochs", usual.epochs, 1),
    patience = number("fit", o, "patience", usual.patience, 1),
    seed = integer("fit", o, "seed", 0, 0, 2 ^ 53), draws = draws, time_power = time_power(o, usual, draws),
    weight_decay = number("fit", o, "weight_decay", usual.weight_decay, 0),
    clip = number("fit", o, "clip", nil, 0), augment = o.augment or nil,
    average = o.average ~= false and number("fit", o, "decay", usual.decay, 0, 1) or false,
    precision = o.precision ~= "f32" and o.precision or nil, schedule = usual.schedule,
    floor = floor_of(o, usual.floor), scale = scale_of(o, usual.scale),
  }
end

--- settings.schedule(v, s, steps): the rate as a function of the step, and how config.json describes it. v,
-- fit's option: nil or "constant"; "cosine", which falls to 0 at the last step of s.epochs epochs of `steps`
-- steps; a schedule of gal.optim; or a function.
function settings.schedule(v, s, steps)
  if v == "constant" then return optim.constant(s.lr), "constant" end
  if v == "cosine" then return optim.cosine(s.lr, s.epochs * steps), "cosine" end
  if type(v) == "table" and v.settings then return v, v:settings() end
  if type(v) == "function" then return v, "a function" end
  raise("fit: schedule is %s, expected \"constant\", \"cosine\", a schedule of gal.optim or a function of "
    .. "the step", errors.kind(v))
end

local function architecture_of(flow)
  local function described(part) return nn.spec(part) or "written by the user" end
  return { head = described(flow.head), encoder = flow.encoder and described(flow.encoder) or nil }
end

--- settings.add_facts(s, flow, part, valid, schedule): adds to the settings s what a run also depends on: the
-- flow, the rows of training and validation (valid may be nil), by number and by hash (`values`: of rows
-- with images, without these), and the rate's description.
function settings.add_facts(s, flow, part, valid, schedule)
  s.schedule = schedule
  s.rows, s.data = part.n, rows.fingerprint(part)
  s.values = part.images and rows.fingerprint{ theta = part.theta, context = part.context } or nil
  s.valid_rows = valid and valid.n or 0
  s.valid_data = valid and rows.fingerprint(valid) or nil
  s.notes, s.symmetric, s.sigma = flow.notes, flow.symmetric, flow.sigma
  s.theta, s.context = flow.theta, setmetatable(flow.context, json.list)
  s.architecture = architecture_of(flow)
end

-- What earlier versions did not write down: of the settings, of their notes and of the notes' images.
local LATER = {
  settings = { "valid_data", "values", "preset", "time_power" },
  notes = { "id", "hdu", "derived", "header", "units" },
  images = { "side", "pixel_scale", "source" },
}

-- A table without the names of a list that `old` lacks.
local function without_later(new, old, names)
  local kept = {}
  for name, value in pairs(new) do kept[name] = value end
  for _, name in ipairs(names) do
    if old[name] == nil then kept[name] = nil end
  end
  return kept
end

--- settings.forget_later(s, old): takes out of the settings s what `old`, those of a run that an earlier
-- version began, don't have because that version did not write it down.
function settings.forget_later(s, old)
  for _, name in ipairs(LATER.settings) do
    if old[name] == nil then s[name] = nil end
  end
  local notes, before = s.notes, old.notes
  if not before then s.notes = nil end
  if not notes or not before then return end
  s.notes = without_later(notes, before, LATER.notes)
  if notes.images and before.images then
    s.notes.images = without_later(notes.images, before.images, LATER.images)
  end
end

return settings
