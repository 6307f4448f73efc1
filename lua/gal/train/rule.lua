-- train/rule: what fit takes where nobody says: numbers by how many rows there are ("auto"), or the paper's,
-- and where it is silent what this program took before it measured ("paper"). MEASURED.md here has the
-- measurements.
local errors = require "gal.base.errors"
local raise = errors.raise

local rule = {}

local PAPER = {
  lr = 5e-4, schedule = "constant", epochs = 200, patience = 20, draws = 1, weight_decay = 0.01,
  decay = 0.999, time_power = 1, floor = "off", scale = "standard",
}

-- Flows of vectors whose widest hidden layer is at most so wide: late times cost them more than they give.
local NARROW = { width = 64, lr = 6e-3, time_power = 1 }

--- rule.PRESETS: the names of the two.
rule.PRESETS = { "auto", "paper" }

-- Of flows of vectors, and of those that see images: epochs as many as make so many steps, but not fewer and
-- not more; an image that was seen in a hundred epochs is known by heart.
local VECTORS = { steps = 84000, fewest = 40, most = 200, lr = 3e-3, draws = 2 }
local IMAGES = { steps = 8000, fewest = 48, most = 100, lr = 2e-3, draws = 8 }

--- rule.of(preset, rows, batch, images, width = nil): {lr, schedule, epochs, patience, draws, weight_decay,
-- decay, time_power, floor, scale} of a training on so many rows, `batch` of them a step; images: whether the
-- flow has an encoder; width: of its widest hidden layer, nil where that is not known.
function rule.of(preset, rows, batch, images, width)
  if preset == "paper" then return PAPER end
  local limits, steps = images and IMAGES or VECTORS, math.max(1, math.floor(rows / math.min(batch, rows)))
  local epochs = math.max(limits.fewest, math.min(limits.most, math.ceil(limits.steps / steps)))
  local narrow = not images and width and width <= NARROW.width
  return {
    lr = narrow and NARROW.lr or limits.lr, schedule = "cosine", epochs = epochs,
    patience = math.ceil(epochs / 5), draws = limits.draws, weight_decay = 0.01, decay = 1,
    time_power = narrow and NARROW.time_power or 3, floor = "auto", scale = "auto",
  }
end

--- rule.preset(op, name): `name` where it is that of a preset; raises on anything else.
function rule.preset(op, name)
  for _, known in ipairs(rule.PRESETS) do
    if name == known then return name end
  end
  raise("%s: preset is %s, expected \"auto\" or \"paper\"", op, errors.kind(name))
end

return rule
