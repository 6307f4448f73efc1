-- train/rows: the rows that fit is given, in any of its forms, as one form: checked tensors, split into a
-- training part and a validation part that have no row in common. A part is {theta {n, d}, context {n, c} or
-- nil, images (a set of n) or nil, ids {n} or nil, n}, in physical units.
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local arguments = require "gal.base.options"
local inputs = require "gal.flow.inputs"
local related = require "gal.stats.related"
local sets = require "gal.images"
local suspects = require "gal.stats.suspects"
local text = require "gal.base.text"
local raise = errors.raise

local rows = {}

-- Columns of a data object have to be the flow's own, in its order.
local function same_names(what, flow_names, names)
  if not names then return end
  local ours, theirs = table.concat(flow_names, ", "), table.concat(names, ", ")
  if ours ~= theirs then raise("fit: the flow's %s is %s, the data's %s", what, ours, theirs) end
end

-- A part, checked, its tensors on the flow's device. what: what errors put before a column's name.
local function part(flow, what, theta, context, images, ids)
  local function name(column) return what == "" and column or what .. "." .. column end
  local out = { theta = inputs.matrix("fit", name "theta", flow.theta, theta, flow:device()), ids = ids }
  out.n = out.theta:size(1)
  local function refuse_length(column, rows_of_it)
    raise("fit: %s has %d rows and %s %d, expected as many", column, rows_of_it, name "theta", out.n)
  end
  if flow.c > 0 then
    out.context = inputs.matrix("fit", name "context", flow.context, context, flow:device())
    if out.context:size(1) ~= out.n then
      refuse_length(name "context", out.context:size(1))
    end
  elseif context ~= nil then
    raise("fit: %s is %s, but the flow has no context", name "context", errors.kind(context))
  end
  if flow.encoder then
    out.images = sets.of(inputs.images("fit", flow, images))
    if out.images:size(1) ~= out.n then refuse_length(name "images", out.images:size(1)) end
  elseif images ~= nil then
    raise("fit: %s is %s, but the flow has no encoder", name "images", errors.kind(images))
  end
  if ids ~= nil then
    errors.list("fit", name "ids", ids)
    for i = 1, #ids do errors.text("fit", ("%s[%d]"):format(name "ids", i), ids[i]) end
  end
  if ids and #ids ~= out.n then raise("fit: %s has %d entries for %d rows", name "ids", #ids, out.n) end
  return out
end

-- The part that a survey of gal.data, or a plain table of that form, is.
local function of_object(flow, what, v)
  same_names("theta", flow.theta, v.names and v.names.theta)
  same_names("context", flow.context, v.names and v.names.context)
  local context = v.context
  if flow.c == 0 and v.names then context = nil end
  return part(flow, what, v.theta, context, v.images, v.ids)
end

-- Positions (from 1) of the validation rows: a fraction by a hash of id or row number, the same at every
-- call. The hash's seed is not that of gal.data's split, under which all rows of a part, or none, would be
-- chosen.
local function hashed(n, fraction, ids)
  local chosen, lowest, at = {}, math.huge, 1
  for i = 1, n do
    local id = ids and ids[i] or ("%d"):format(i)
    local h = tonumber(C.gal_hash(id, #id, 1)) / 2 ^ 64
    if h < lowest then lowest, at = h, i end
    if h < fraction then chosen[#chosen + 1] = i end
  end
  if #chosen == 0 then chosen[1] = at end
  return chosen
end

-- Row numbers, a list or a tensor, as a list; raises where one is not from 1 to n.
local function listed(v, n)
  local list = core.is_tensor(v) and v:totable() or v
  for i, row in ipairs(list) do
    if type(row) ~= "number" or row < 1 or row > n or row % 1 ~= 0 then
      raise("fit: valid[%d] is %s, expected a row number from 1 to %d", i, errors.kind(row), n)
    end
  end
  return list
end

-- The rows of a part at these positions, as a part.
local function pick(all, positions)
  local function take(x) return x and x:rows(positions) end
  local ids
  if all.ids then
    ids = {}
    for i, k in ipairs(positions) do ids[i] = all.ids[k] end
  end
  return {
    theta = take(all.theta), context = take(all.context), images = take(all.images), ids = ids,
    n = #positions,
  }
end

-- Leaves notices of what is odd about the rows of plain tensors; for a survey's gal.data has done so.
local function tell(flow, all)
  local lists = { {}, {} }
  for i, x in ipairs{ all.theta, all.context } do
    for j, name in ipairs(i == 1 and flow.theta or flow.context) do
      local values = x:select(2, j):totable()
      lists[i][j] = { name = name, values = values }
      local o = { one = "row", many = "rows", remedy = "such rows have to be left out" }
      for _, sentence in ipairs((suspects.of(name, values, o))) do C.gal_leave_notice(sentence) end
    end
  end
  for _, sentence in ipairs(related.of(lists[1], lists[2])) do C.gal_leave_notice(sentence) end
end

--- rows.split(flow, options): the training part and the validation part (or nil) of fit's options: data or
-- theta, context, images, ids; and valid: a fraction, row numbers, a data object, or false for none.
function rows.split(flow, options)
  local all
  if options.data ~= nil then
    if type(options.data) ~= "table" or core.is_tensor(options.data) then
      raise("fit: data is %s, expected a table with theta and context", errors.kind(options.data))
    end
    all = of_object(flow, "data", options.data)
  else
    all = part(flow, "", options.theta, options.context, options.images, options.ids)
    tell(flow, all)
  end
  local valid = options.valid
  if valid == nil then valid = 0.1 end
  if valid == false or valid == 0 then return all, nil end
  if type(valid) == "table" and not core.is_tensor(valid) and valid.theta then
    return all, of_object(flow, "valid", valid)
  end
  local chosen
  if type(valid) == "number" then
    arguments.number("fit", options, "valid", nil, 0, 1)
    chosen = hashed(all.n, valid, all.ids)
  elseif type(valid) == "table" then
    chosen = listed(valid, all.n)
  else
    raise("fit: valid is %s, expected a fraction, row numbers or a data object", errors.kind(valid))
  end
  local held, rest = {}, {}
  for _, k in ipairs(chosen) do held[k] = true end
  for k = 1, all.n do
    if not held[k] then rest[#rest + 1] = k end
  end
  if #rest == 0 then raise("fit: all %d rows are validation rows, none is left to train on", all.n) end
  return pick(all, rest), #chosen > 0 and pick(all, chosen) or nil
end

--- rows.fingerprint(part): a hash of the part's properties, context and images: a run is resumed on the rows
-- that it began with.
function rows.fingerprint(p)
  local h = 0ULL
  for _, name in ipairs { "theta", "context" } do
    if p[name] then
      local host, count = core.read(p[name])
      h = C.gal_hash(host, 4 * count, h)
    end
  end
  if p.images then h = p.images:fingerprint(h) end
  return text.decimal(h)
end

return rows
