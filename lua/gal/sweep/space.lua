-- sweep/space: what a sweep varies: a table of settings by name, each a plain value, which all trials share,
-- or a parameter: choices, a range, integers, on a linear or a logarithmic scale, if need be only where
-- others have certain values. A point of the space has a value for each setting that is in force, by name.
local errors = require "gal.base.errors"
local gal = require "gal"
local json = require "gal.base.json"
local path = require "gal.base.path"
local sobol = require "gal.sweep.sobol"
local options = require "gal.base.options"
local raise = errors.raise

local M = {}
local Space, Parameter = {}, {}
Space.__index, Parameter.__index = Space, Parameter

-- ---- parameters ----

-- A value that the command line can take: a number, text, true or false, or a list of numbers or names.
local function check_value(where, name, v)
  if type(v) == "boolean" then return end
  if type(v) == "number" and v - v == 0 then return end
  if type(v) == "string" then return errors.text(where, name, v) end
  local list = type(v) == "table" and #v > 0 and not v.shape_text
  for key, item in pairs(list and v or {}) do
    list = list and type(key) == "number"
      and (type(item) == "number" and item - item == 0 or type(item) == "string" and not item:find "[,%z]")
  end
  if list then return end
  raise("%s: %s is %s, expected a number, a text, true, false or a list of numbers or names", where, name,
    errors.kind(v))
end

-- A parameter of that kind with its options {when =, levels =}.
local function parameter(where, kind, fields, given)
  local o = options.known(where, given, { "when", "levels" })
  fields.kind, fields.levels = kind, options.integer(where, o, "levels", nil, 2, 1e4)
  if o.when ~= nil then
    errors.list(where, "when", o.when, "a table of settings and the values that they must have")
    fields.when = {}
    for name, wanted in pairs(o.when) do
      errors.text(where, "when's name", name, "a setting's name")
      local list = type(wanted) == "table" and wanted or { wanted }
      for _, v in ipairs(list) do check_value(where, "when." .. name, v) end
      fields.when[name] = list
    end
  end
  return setmetatable(fields, Parameter)
end

--- sweep.choice(values[, {when =}]): one of a list of values: numbers, texts, true and false, or lists, such
-- as {{64, 64}, {256, 256, 256}}. when: {name = value, or a list of values}: this setting is given to the
-- experiment only where those have these values; elsewhere it keeps the experiment's default.
function M.choice(values, given)
  errors.list("choice", "values", values, "a list of values")
  if #values == 0 then raise "choice: values is empty, expected at least one" end
  for i, v in ipairs(values) do check_value("choice", ("values[%d]"):format(i), v) end
  return parameter("choice", "choice", { values = values }, given)
end

local function bounds(where, low, high, least)
  errors.number(where, "low", low, least or -1e300, 1e300)
  errors.number(where, "high", high, low, 1e300)
  if low == high then raise("%s: high is %.14g, which is low, expected more", where, high) end
  return { low = low, high = high }
end

--- sweep.range(low, high[, {when =, levels =}]): numbers from low to high. levels: how many of them a grid
-- has (nil: the grid's own number); when: as sweep.choice's.
function M.range(low, high, given) return parameter("range", "range", bounds("range", low, high), given) end

--- sweep.log_range(low, high[, {when =, levels =}]): numbers from low, above 0, to high, as many in each
-- factor as in any other.
function M.log_range(low, high, given)
  return parameter("log_range", "log_range", bounds("log_range", low, high, 1e-300), given)
end

local function whole(where, low, high)
  errors.integer(where, "low", low, -2 ^ 52, 2 ^ 52)
  errors.integer(where, "high", high, low, 2 ^ 52)
  return bounds(where, low, high)
end

--- sweep.integer(low, high[, {when =, levels =}]): integers from low to high.
function M.integer(low, high, given)
  return parameter("integer", "integer", whole("integer", low, high), given)
end

--- sweep.log_integer(low, high[, {when =, levels =}]): integers from low, at least 1, to high, about as many
-- in each factor as in any other.
function M.log_integer(low, high, given)
  if type(low) == "number" and low < 1 then raise("log_integer: low is %.14g, expected at least 1", low) end
  return parameter("log_integer", "log_integer", whole("log_integer", low, high), given)
end

-- A number in four digits, as names and command lines have it, and not beyond the limits.
local function rounded(p, v) return math.min(p.high, math.max(p.low, tonumber(("%.4g"):format(v)))) end

-- The parameter's value at u in [0, 1).
function Parameter:at(u)
  if self.kind == "choice" then return self.values[math.floor(u * #self.values) + 1] end
  local low, high = self.low, self.high
  if self.kind == "range" then return rounded(self, low + u * (high - low)) end
  if self.kind == "log_range" then return rounded(self, low * math.exp(u * math.log(high / low))) end
  if self.kind == "integer" then return low + math.floor(u * (high - low + 1)) end
  return math.floor(low * math.exp(u * math.log((high + 1) / low)))
end

-- The parameter's values on a grid of so many levels, both ends among them.
function Parameter:grid(levels)
  if self.kind == "choice" then return self.values end
  local n, list, had = self.levels or levels, {}, {}
  for i = 0, n - 1 do
    local u = i / (n - 1)
    local v = self.low + u * (self.high - self.low)
    if self.kind:find "^log" then v = self.low * math.exp(u * math.log(self.high / self.low)) end
    v = self.kind:find "integer" and math.floor(v + 0.5) or rounded(self, v)
    if not had[v] then list[#list + 1], had[v] = v, true end
  end
  return list
end

-- ---- the space ----

local function is_parameter(v) return getmetatable(v) == Parameter end

-- The parameters in an order in which each comes after those that its `when` names; raises on a circle.
local function ordered(names, settings)
  local list, state = {}, {}
  local function add(name)
    if state[name] == "done" then return end
    if state[name] then raise("space: %s depends on itself, by its when", name) end
    state[name] = "open"
    local needs = {}
    for other in pairs(settings[name].when or {}) do needs[#needs + 1] = other end
    table.sort(needs)
    for _, other in ipairs(needs) do
      if settings[other] == nil then
        raise("space: %s has a when of %s, which is not a setting of the space", name, other)
      end
      if is_parameter(settings[other]) then add(other) end
    end
    state[name], list[#list + 1] = "done", name
  end
  for _, name in ipairs(names) do add(name) end
  return list
end

--- sweep.space(settings): a space from a table of settings by name: plain values, the same in all trials, and
-- sweep.choice, range, log_range, integer and log_integer. `space.names` lists the varied ones;
-- space:grid{levels = 3}, space:random(n, seed) and space:sobol(n, seed) are lists of points, tables {name =
-- value} with the plain values in them. Numbers that are drawn have four digits.
function M.space(settings)
  if getmetatable(settings) == Space then return settings end
  errors.list("space", "settings", settings, "a table of settings by name")
  local self = setmetatable({ settings = {}, fixed = {}, names = {} }, Space)
  for name, v in pairs(settings) do
    if type(name) ~= "string" or not name:find "^[%a_][%w_%-]*$" then
      raise("space: a name is %s, expected the name of an option", errors.kind(name))
    end
    local plain = name:gsub("%-", "_")
    self.settings[plain] = v
    if is_parameter(v) then
      self.names[#self.names + 1] = plain
    else
      check_value("space", name, v)
      self.fixed[plain] = v
    end
  end
  table.sort(self.names)
  self.order = ordered(self.names, self.settings)
  return self
end

-- A value as the command line writes it: a number, true, false, a list with commas, or a text.
local function read_value(text)
  if text:find "," then
    local list = {}
    for word in (text .. ","):gmatch "%s*([^,]-)%s*," do list[#list + 1] = tonumber(word) or word end
    return list
  end
  if text == "true" or text == "false" then return text == "true" end
  return tonumber(text) or text
end

--- sweep.load(file[, changes]): the space that the Lua file returns: a table of settings, or sweep.space's.
-- changes: a text "epochs=20; hidden=64,64": plain values that take the place of the file's.
function M.load(file, changes)
  errors.text("load", "file", file, "a Lua file that returns a table of settings")
  if not path.kind(file) then raise("load: there is no file at %s", errors.shown(file)) end
  local chunk, message = loadfile(file)
  if not chunk then raise("load: %s", message) end
  local found, settings = chunk(), {}
  if type(found) ~= "table" then
    raise("load: %s returns %s, expected a table of settings", file, errors.kind(found))
  end
  for name, v in pairs(getmetatable(found) == Space and found.settings or found) do settings[name] = v end
  for part in (changes and errors.text("load", "changes", changes) or ""):gmatch "[^;]+" do
    local name, text = part:match "^%s*([%a_][%w_%-]*)%s*=%s*(.-)%s*$"
    if not name then raise("load: changes has '%s', expected name=value; name=value", part) end
    settings[name:gsub("%-", "_")] = nil
    settings[name] = read_value(text)
  end
  return M.space(settings)
end

-- Whether a parameter is in force at a point: everything that its `when` names is in force and has one of the
-- values.
local function in_force(p, point)
  for name, wanted in pairs(p.when or {}) do
    local met = false
    local own = point[name] ~= nil and json.encode(point[name])
    for _, v in ipairs(wanted) do met = met or own == json.encode(v) end
    if not met then return false end
  end
  return true
end

-- The point at which each parameter takes value_of(name, its place among the names).
local function point_of(self, value_of)
  local point, place = {}, {}
  for name, v in pairs(self.fixed) do point[name] = v end
  for i, name in ipairs(self.names) do place[name] = i end
  for _, name in ipairs(self.order) do
    local p = self.settings[name]
    if in_force(p, point) then point[name] = p:at(value_of(place[name])) end
  end
  return point
end

--- space:grid{levels = 3}: all combinations, each once, of every choice and of so many levels of each range.
function Space:grid(given)
  local o = options.known("grid", given, { "levels" })
  local levels = options.integer("grid", o, "levels", 3, 2, 1e4)
  local points = { point_of(setmetatable({ order = {}, names = {}, fixed = self.fixed }, Space)) }
  for _, name in ipairs(self.order) do
    local more, p = {}, self.settings[name]
    for _, point in ipairs(points) do
      for _, v in ipairs(in_force(p, point) and p:grid(levels) or { false }) do
        local new = {}
        for key, value in pairs(point) do new[key] = value end
        if in_force(p, point) then new[name] = v end
        more[#more + 1] = new
      end
      if #more > 1e5 then raise("grid: the grid has more than %d points: give fewer levels", 1e5) end
    end
    points = more
  end
  return points
end

-- The generator's integers in [0, 2^32), n of them.
local function integers(n, seed)
  local u = gal.rand({ 2 * n }, { rng = gal.rng(seed), device = "cpu" }):totable()
  local list = {}
  for i = 1, n do list[i] = math.floor(u[2 * i - 1] * 2 ^ 16) * 2 ^ 16 + math.floor(u[2 * i] * 2 ^ 16) end
  return list
end

local function counted(where, n, seed)
  errors.integer(where, "n", n, 1, 1e5)
  return errors.integer(where, "seed", seed == nil and 0 or seed, 0, 2 ^ 53)
end

--- space:random(n[, seed = 0]): n points, each independent of the others; a larger n adds to them.
function Space:random(n, seed)
  seed = counted("random", n, seed)
  local d, points = #self.names, {}
  local u = d > 0 and gal.rand({ n, d }, { rng = gal.rng(seed), device = "cpu" }):totable()
  for k = 1, n do points[k] = point_of(self, function(i) return u[k][i] end) end
  return points
end

--- space:sobol(n[, seed = 0]): n points of Sobol's sequence, which fill the space more evenly than random
-- ones; a larger n adds to them. Each seed shifts the sequence in another way.
function Space:sobol(n, seed)
  seed = counted("sobol", n, seed)
  local d, points = #self.names, {}
  if d > sobol.DIMENSIONS then
    raise("sobol: the space has %d parameters, expected at most %d: take random points", d, sobol.DIMENSIONS)
  end
  local shift = integers(math.max(d, 1), seed)
  for k = 1, n do
    local u = d > 0 and sobol.point(k - 1, d, shift)
    points[k] = point_of(self, function(i) return u[i] end)
  end
  return points
end

--- space:describe(): the space as a table that JSON can hold: {name = plain value, or {kind =, …}}.
function Space:describe()
  local described = {}
  for name, v in pairs(self.settings) do
    if is_parameter(v) then
      described[name] = {
        [v.kind] = v.values or { v.low, v.high }, levels = v.levels, when = v.when,
      }
    else
      described[name] = v
    end
  end
  return described
end

errors.methods(Space, "a space of settings")

return M
