-- flow/file: a flow as one safetensors file: its tensors by name, and as metadata names, sigma and the
-- architecture in JSON. Loading builds the layers that the JSON names and runs no code. A file may come from
-- anywhere: all that it says is compared with the tensors in it before a layer is built.
local core = require "gal.tensor"
local gal = require "gal"
local errors = require "gal.base.errors"
local familiar = require "gal.flow.familiar"
local floors = require "gal.flow.floor"
local arguments = require "gal.base.options"
local json = require "gal.base.json"
local members = require "gal.flow.members"
local nn = require "gal.nn"
local path_of = require "gal.base.path"
local sections = require "gal.flow.sections"
local specs = require "gal.nn.spec"
local units = require "gal.flow.units"
local raise = errors.raise

local file = {}

-- The second format has a floor or columns that are bent, of which readers of the first know nothing.
local FORMATS = { "galrun flow 1", "galrun flow 2" }

-- What the JSON says of a module that the user wrote.
local FOREIGN = { type = "user" }

local function described(m) return nn.spec(m) or FOREIGN end

--- file.save(flow, path): see Flow:save.
function file.save(flow, path)
  if type(path) ~= "string" then raise("save: path is %s, expected a string", errors.kind(path)) end
  if not flow.scale then raise("save: the flow has not been trained: it has no units yet") end
  local tensors = flow:state()
  for name, tensor in pairs(flow.scale) do tensors["scale." .. name] = tensor end
  for name, tensor in pairs(familiar.tensors(flow)) do tensors[name] = tensor end
  for name, tensor in pairs(floors.tensors(flow)) do tensors[name] = tensor end
  local architecture = {
    floor = flow.floor and flow.floor.found,
    theta = flow.theta, context = setmetatable({ unpack(flow.context) }, json.list), sigma = flow.sigma,
    head = described(flow.head), encoder = flow.encoder and described(flow.encoder) or nil,
    image = flow.encoder and flow.image or nil, symmetric = flow.symmetric, notes = flow.notes,
  }
  local format = FORMATS[(flow.floor or #units.bent(flow) > 0) and 2 or 1]
  gal.save(path, tensors, { format = format, flow = json.encode(architecture) })
end

-- ---- what a file may say ----

local function damaged(path, format, ...) raise("load: %s: " .. format, path, ...) end

-- Raises unless v is a list of names.
local function check_names(path, what, v)
  local named = type(v) == "table" and (what == "context" or #v > 0)
  for i = 1, named and #v or 0 do named = named and type(v[i]) == "string" end
  if not named then damaged(path, "its %s is %s, expected a list of names", what, errors.kind(v)) end
end

-- Raises unless `image` is the shape of images that there can be: sides up to GAL_LARGEST_SIDE, or as many
-- numbers in all.
local function check_image(path, image)
  local largest, all = tonumber(require("ffi").C.GAL_LARGEST_SIDE), 1
  local good = type(image) == "table" and #image > 0 and #image < 8
  for i = 1, good and #image or 0 do
    local n = image[i]
    good = good and type(n) == "number" and n >= 1 and n % 1 == 0 and (#image < 3 or n <= largest)
    all = good and all * n or 0
  end
  if good and all <= 4 * largest ^ 2 then return end
  local sizes = type(image) == "table" and {} or nil
  for i = 1, sizes and math.min(#image, 8) or 0 do sizes[i] = tostring(image[i]) end
  damaged(path, "its images are %s, expected at most %d pixels a side",
    sizes and "{" .. table.concat(sizes, ", ") .. "}" or errors.kind(image), largest)
end

-- The architecture of the file: the table that its JSON holds, of the right types.
local function architecture_of(path, metadata)
  local format = type(metadata) == "table" and metadata.format or nil
  if format ~= FORMATS[1] and format ~= FORMATS[2] then
    raise("load: %s is not a flow of this version: its format is %s, expected \"%s\"", path,
      errors.kind(format), table.concat(FORMATS, '" or "'))
  end
  local known, a = pcall(json.decode, metadata.flow or "")
  if not known or type(a) ~= "table" then
    damaged(path, "its description of the flow is no JSON object%s",
      not known and (": " .. tostring(a):sub(1, 200)) or "")
  end
  check_names(path, "theta", a.theta)
  check_names(path, "context", a.context)
  if type(a.sigma) ~= "number" or not (a.sigma >= 0 and a.sigma < math.huge) then
    damaged(path, "its sigma is %s, expected a number of at least 0", errors.kind(a.sigma))
  end
  if type(a.head) ~= "table" then damaged(path, "its head is missing") end
  if a.encoder ~= nil then check_image(path, a.image) end
  for name, kind in pairs{ encoder = "table", notes = "table", symmetric = "boolean", floor = "table" } do
    if a[name] ~= nil and type(a[name]) ~= kind then
      damaged(path, "its %s is %s, expected a %s", name, errors.kind(a[name]), kind)
    end
  end
  return a
end

-- ---- what it says, compared with what it holds ----

-- Raises unless the tensors {name = tensor} have the names, shapes and dtypes of wanted {name = {shape,
-- dtype}}, and no other.
local function compare(path, tensors, wanted)
  for name, form in pairs(wanted) do
    local x = tensors[name]
    local shape = core.shape_text(form.shape)
    if not x then damaged(path, "has no tensor '%s' of shape %s", name, shape) end
    if core.shape_text(x) ~= shape or x.dtype ~= form.dtype then
      damaged(path, "its '%s' is %s %s, expected %s %s", name, x.dtype, core.shape_text(x), form.dtype, shape)
    end
  end
  for name in pairs(tensors) do
    if not wanted[name] then damaged(path, "has a tensor '%s', which such a flow does not have", name) end
  end
end

--- file.check_values(where, tensors): raises where a float32 tensor of these, by name, holds a NaN or an
-- infinity, and where a deviation (scale.theta_std and its kin) is not above 0. where: what the error names
-- first, "load: PATH".
function file.check_values(where, tensors)
  for name, x in pairs(tensors) do
    local values, n = nil, 0
    if x.dtype == "float32" then values, n = core.read(x) end
    local low = name:match "^scale%..*_std$" and 0 or -math.huge
    for k = 0, n - 1 do
      local v = values[k]
      if v - v ~= 0 or not (v > low) then
        raise("%s: its '%s' holds %g, expected %s", where, name, v,
          low == 0 and "deviations above 0" or "finite numbers")
      end
    end
  end
end

-- How many columns a described network takes, by its first layer of weights; nil where the user wrote it.
local function inputs_of(spec)
  while type(spec) == "table" and type(spec.layers) == "table" do spec = spec.layers[1] end
  return type(spec) == "table" and tonumber(spec.inputs or spec.n) or nil
end

-- The tensors that the file has to have for its modules of built-in layers, and how many columns its encoder
-- makes of an image; nil where only the user's modules know. Tensors of the user's modules are taken as they
-- are.
local function expected(path, a, tensors)
  local wanted, width = {}, 0
  local function add(part, shape)
    local found, made = specs.tensors(a[part], shape)
    if not found then damaged(path, "its %s can't be built: %s", part, made) end
    for name, form in pairs(found) do wanted[part .. "." .. name] = form end
    return made
  end
  local function foreign(part)
    if a[part].type ~= "user" and (part == "encoder" or width) then return false end
    for name, x in pairs(tensors) do
      if name:sub(1, #part + 1) == part .. "." then wanted[name] = { shape = x.shape, dtype = x.dtype } end
    end
    return true
  end
  local d, c = #a.theta, #a.context
  if a.encoder then
    local made = not foreign "encoder" and add("encoder", a.image)
    if made and #made ~= 1 then
      damaged(path, "its encoder makes %s of an image, expected {E}", core.shape_text(made))
    end
    -- What the user's encoder makes is what the head takes beside t, theta and the context.
    width = made and made[1] or inputs_of(a.head) and inputs_of(a.head) - 1 - d - c
  end
  if not foreign "head" then
    local made = add("head", { 1 + d + width + c })
    if #made ~= 1 or made[1] ~= d then
      damaged(path, "its head makes %s of theta {%d}, expected as many", core.shape_text(made), d)
    end
  end
  local function scale(name, n)
    wanted["scale." .. name .. "_mean"] = { shape = { n }, dtype = "float32" }
    wanted["scale." .. name .. "_std"] = { shape = { n }, dtype = "float32" }
    local bend = "scale." .. name .. "_bend"
    if tensors[bend] and name ~= "image" then wanted[bend] = { shape = { n }, dtype = "float32" } end
  end
  scale("theta", d)
  if c > 0 then scale("context", c) end
  if a.encoder then scale("image", a.image[#a.image]) end
  return wanted, width
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

-- Raises where two of the flows have the same weights and units: copies of a run, or runs of one seed, which
-- would count twice. names: their folders.
local function refuse_alike(flows, names)
  local seen = {}
  for k, flow in ipairs(flows) do
    local hash = tostring(sections.hash(flow.scale, sections.hash(flow:state(), 0ULL)))
    if seen[hash] then
      raise("ensemble: %s and %s are the same flow, of one seed or copies: members differ by their seed or "
        .. "their settings", seen[hash], names[k])
    end
    seen[hash] = names[k]
  end
end

-- Deviations by which two members' units of a column may be apart, and the ratio of theirs: what learned from
-- like rows is far below, what learned in other units is beyond.
local APART = 10

-- Raises where another flow learned from rows that lie elsewhere than the first's: of flows that do not say
-- which survey they are of, nothing else tells that one learned in other units.
local function refuse_elsewhere(first, first_name, other, name)
  if first.notes then return end
  for _, what in ipairs{ "theta", "context" } do
    local lists = {}
    for k, flow in ipairs{ first, other } do
      local scale = flow.scale
      local function list(key) return scale[what .. key] and scale[what .. key]:totable() or {} end
      lists[k] = { middle = list "_mean", deviation = list "_std", bend = list "_bend" }
    end
    local a, b = lists[1], lists[2]
    for i, column in ipairs(first[what]) do
      local m, n, s, t = a.middle[i], b.middle[i], a.deviation[i], b.deviation[i]
      local alike = ((a.bend[i] or 0) > 0) == ((b.bend[i] or 0) > 0)
      if alike and (math.max(s / t, t / s) > APART or math.abs(m - n) > APART * math.min(s, t)) then
        raise("ensemble: %s was %.4g ± %.4g among the training rows of %s and %.4g ± %.4g of %s: they did "
          .. "not learn from the same quantities", column, m, s, first_name, n, t, name)
      end
    end
  end
end

--- file.ensemble(path, folders, options): the ensemble of the flows in these folders, flow.load's options;
-- path: what the user named. Raises where one has no flow, where two have the same, and where one learned in
-- other units than the first.
function file.ensemble(path, folders, options)
  for _, part in ipairs{ "encoder", "head" } do
    if options[part] then
      raise("load: %s is given, but %s is an ensemble, whose members have one each: load these one by one, "
        .. "flow.ensemble{members = …}", part, path)
    end
  end
  members.refuse_unfinished(path, folders)
  local flows = {}
  for k, folder in ipairs(folders) do flows[k] = file.load(folder, options) end
  refuse_alike(flows, folders)
  local ensemble = require("gal.flow").ensemble{ members = flows, names = folders }
  for k, flow in ipairs(flows) do refuse_elsewhere(flows[1], folders[1], flow, folders[k]) end
  return ensemble
end

--- file.load(path, options): see flow.load.
function file.load(path, options)
  options = arguments.known("load", options, { "encoder", "head", "device" })
  local device = options.device or "cpu"
  if type(path) ~= "string" then raise("load: path is %s, expected a string", errors.kind(path)) end
  local folders = members.of(path)
  if folders then return file.ensemble(path, folders, options) end
  local kind = path_of.kind(path)
  if not kind then raise("load: there is no run or file of a flow at %s", errors.shown(path)) end
  members.refuse_begun("load", path)
  if kind == "folder" then path = path:gsub("/+$", "") .. "/flow.safetensors" end
  local tensors, metadata = gal.load(path)
  local a = architecture_of(path, metadata)
  file.check_values("load: " .. path, tensors)
  local known, under = familiar.take(tensors), floors.take(tensors)
  local wanted, width = expected(path, a, tensors)
  compare(path, tensors, wanted)
  local flow = require("gal.flow").build({
    theta = a.theta, context = #a.context > 0 and a.context or 0, sigma = a.sigma, image = a.image,
    symmetric = a.symmetric, device = device,
    head = module_of(path, "head", a.head, options.head, device),
    encoder = module_of(path, "encoder", a.encoder, options.encoder, device),
  }, width)
  flow.notes = a.notes
  local scale, weights = {}, {}
  for name, tensor in pairs(tensors) do
    local inner = name:match "^scale%.(.*)$"
    if inner then scale[inner] = tensor:to(device) else weights[name] = tensor end
  end
  flow:load_state(weights)
  flow.scale = scale
  local function refuse(words) damaged(path, "%s", words) end
  units.check(scale, refuse)
  flow.familiar = known and familiar.of(flow, known, width, refuse)
  flow.floor = under and floors.of(flow, under, a.floor, refuse)
  return flow
end

return file
