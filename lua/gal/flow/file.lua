-- flow/file: a flow as one safetensors file: its tensors by name, and as metadata names, sigma and the
-- architecture in JSON. Loading builds the layers that the JSON names and runs no code.
local gal = require "gal"
local errors = require "gal.base.errors"
local arguments = require "gal.base.options"
local json = require "gal.base.json"
local nn = require "gal.nn"
local raise = errors.raise

local file = {}

local FORMAT = "galrun flow 1"

-- What the JSON says of a module that the user wrote.
local FOREIGN = { type = "user" }

local function described(m) return nn.spec(m) or FOREIGN end

--- file.save(flow, path): see Flow:save.
function file.save(flow, path)
  if type(path) ~= "string" then raise("save: path is %s, expected a string", errors.kind(path)) end
  if not flow.scale then raise("save: the flow has not been trained: it has no units yet") end
  local tensors = flow:state()
  for name, tensor in pairs(flow.scale) do tensors["scale." .. name] = tensor end
  local architecture = {
    theta = flow.theta, context = setmetatable({ unpack(flow.context) }, json.list), sigma = flow.sigma,
    head = described(flow.head), encoder = flow.encoder and described(flow.encoder) or nil,
    image = flow.encoder and flow.image or nil, symmetric = flow.symmetric, notes = flow.notes,
  }
  gal.save(path, tensors, { format = FORMAT, flow = json.encode(architecture) })
end

-- The module of the file, or the one that the user passed for it, on the device.
local function module_of(path, name, spec, given, device)
  if not spec then return nil end
  if spec.type ~= "user" then
    if given then raise("load: %s has a %s of built-in layers, expected no option %s", path, name, name) end
    return nn.build(spec, device)
  end
  if not given then
    raise("load: the %s of %s was written by the user: pass it again, load(path, {%s = m})", name, path, name)
  end
  if type(given) == "table" and given.to then given:to(device) end
  return given
end

--- file.load(path, options): see flow.load.
function file.load(path, options)
  options = arguments.known("load", options, { "encoder", "head", "device" })
  local device = options.device or "cpu"
  errors.device("load", device, "device")
  if type(path) ~= "string" then raise("load: path is %s, expected a string", errors.kind(path)) end
  local tensors, metadata = gal.load(path)
  local format = type(metadata) == "table" and metadata.format or nil
  if format ~= FORMAT then
    raise("load: %s is not a flow of this version: its format is %s, expected \"%s\"", path,
      errors.kind(format), FORMAT)
  end
  local a = json.decode(metadata.flow)
  local flow = require("gal.flow").new {
    theta = a.theta, context = #a.context > 0 and a.context or 0, sigma = a.sigma, image = a.image,
    symmetric = a.symmetric, device = device,
    head = module_of(path, "head", a.head, options.head, device),
    encoder = module_of(path, "encoder", a.encoder, options.encoder, device),
  }
  flow.notes = a.notes
  local scale, weights = {}, {}
  for name, tensor in pairs(tensors) do
    local inner = name:match "^scale%.(.*)$"
    if inner then scale[inner] = tensor:to(device) else weights[name] = tensor end
  end
  flow:load_state(weights)
  flow.scale = scale
  return flow
end

return file
