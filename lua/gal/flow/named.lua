-- flow/named: a flow's inputs by name: {modelMag_u = 18.2, extinction_u = 0.4, …}, numbers, or lists or
-- tensors of one value a galaxy, as a catalogue has them. What was done to the training's columns is done to
-- these: extinctions are subtracted, gaps are filled and marked.
local C = require("ffi").C
local core = require "gal.tensor"
local MISSING = require("gal.data.columns").MISSING
local errors = require "gal.base.errors"
local gal = require "gal"
local offsets = require "gal.data.offsets"
local spelling = require "gal.base.spelling"
local raise = errors.raise

local named = {}

-- What the flow's notes (survey:choices) say of its context: {name = {extinction = name or nil, offset = mag
-- or nil, fill = number or nil}}, and the names in order: those of the context, then the extinctions.
local function columns_of(flow)
  local notes, columns, names = flow.notes or {}, {}, {}
  local fill = notes.fill or {}
  for _, name in ipairs(flow.context) do
    if not fill[name:match "^(.*)_missing$" or ""] then
      columns[name], names[#names + 1] = { fill = fill[name] }, name
    end
  end
  for _, name in ipairs(notes.corrected or {}) do
    if columns[name] then
      columns[name].extinction = "extinction_" .. name:match "%a$":lower()
      names[#names + 1] = columns[name].extinction
    end
  end
  for _, name in ipairs(notes.shifted or {}) do
    if columns[name] then columns[name].offset = notes.ab_offsets[name:match "%a$":lower()] end
  end
  return columns, names
end

--- named.is(x): whether x is a table by name.
function named.is(x)
  if type(x) ~= "table" or getmetatable(x) ~= nil or x[1] ~= nil then return false end
  return type(next(x)) == "string"
end

-- The values of x by the names of the list, case ignored. Raises on names that are none of them.
local function by_name(where, x, names)
  local known, found = {}, {}
  for _, name in ipairs(names) do known[name:lower()] = name end
  for key, values in pairs(x) do
    local name = type(key) == "string" and known[key:lower()]
    if not name then
      raise("%s: x has '%s'%s, expected %s", where, tostring(key), spelling.suggest(tostring(key), names),
        table.concat(names, ", "))
    end
    if found[name] ~= nil then raise("%s: x has %s twice", where, name) end
    found[name] = values
  end
  return found
end

-- The value of a name as a function of the galaxy, and how many galaxies it has values of: nil for a number,
-- which stands for all galaxies.
local function values_of(where, name, v)
  if type(v) == "number" then return function() return v end end
  if core.is_tensor(v) and #v.shape <= 1 then
    if #v.shape == 0 then return values_of(where, name, v:item()) end
    v = v:totable()
  end
  if type(v) ~= "table" or core.is_tensor(v) or #v == 0 then
    raise("%s: %s is %s, expected a number, or one a galaxy", where, name, errors.kind(v))
  end
  for k, value in ipairs(v) do
    if type(value) ~= "number" then
      raise("%s: %s[%d] is %s, expected a number", where, name, k, errors.kind(value))
    end
  end
  return function(k) return v[k] end, #v
end

-- The columns of x as functions of the galaxy, by name, and how many galaxies there are. Raises where one is
-- absent that has to be there, or has values of another number of galaxies.
local function read(where, x, columns, names)
  local found, values, rows, like, lacking = by_name(where, x, names), {}, nil, nil, {}
  for _, name in ipairs(names) do
    local n
    if found[name] ~= nil then
      values[name], n = values_of(where, name, found[name])
    elseif not (columns[name] and columns[name].fill) then
      lacking[#lacking + 1] = name
    end
    if n and rows and n ~= rows then
      raise("%s: %s has %d values and %s %d, expected as many", where, name, n, like, rows)
    end
    if n then rows, like = n, name end
  end
  if #lacking > 0 then
    local hint = lacking[#lacking]:find "^extinction_" and "; 0 where a magnitude is corrected already" or ""
    local lack, all = table.concat(lacking, ", "), table.concat(names, ", ")
    raise("%s: x has no %s, expected %s%s", where, lack, all, hint)
  end
  return values, rows or 1
end

--- named.context(where, flow, x): the context {N, c}, on the host, of galaxies by name, as the flow was
-- trained to see them: magnitudes less extinctions and brought to AB where the training's were, gaps (-9999,
-- NaN, names left out) of masked columns filled, and marked in their columns `…_missing`. Raises on names
-- that are unknown or lacking.
function named.context(where, flow, x)
  local columns, names = columns_of(flow)
  local values, rows = read(where, x, columns, names)
  local function at(name, k)
    local value = values[name] and values[name](k) or 0 / 0
    return value == MISSING and 0 / 0 or value
  end
  local flat, width = {}, #flow.context
  for k = 1, rows do
    local gaps = {}
    for i, name in ipairs(flow.context) do
      local column, of = columns[name], name:match "^(.*)_missing$"
      local value
      if not column then
        value = gaps[of] and 1 or 0
      else
        value = at(name, k) - (column.extinction and at(column.extinction, k) or 0) + (column.offset or 0)
        gaps[name] = value ~= value
        if gaps[name] and column.fill then value = column.fill end
      end
      flat[(k - 1) * width + i] = value
    end
  end
  return gal.tensor(flat, { rows, width }, { device = "cpu" })
end

--- named.tell(flow): leaves a notice, once for a flow, where its magnitudes had their extinctions taken off
-- or were brought to AB: whether that was done to numbers without names cannot be known.
function named.tell(flow)
  local corrected = flow.notes and flow.notes.corrected or {}
  local shift = flow.notes and flow.notes.ab_offsets
  flow.told = flow.told or {}
  if #corrected == 0 and not shift or flow.told.corrected then return end
  flow.told.corrected = true
  if shift then
    local sentence = "the flow learned from magnitudes brought to AB by %s, and takes these numbers for "
      .. "such; by name it adds that itself"
    C.gal_leave_notice(sentence:format(offsets.text(shift)))
  end
  if #corrected == 0 then return end
  local first = corrected[1]
  local sentence = "the flow learned from magnitudes with the Galactic extinction taken off (%s), and takes "
    .. "these numbers for such; by name, {%s = …, extinction_%s = …}, it takes it off itself"
  C.gal_leave_notice(sentence:format(table.concat(corrected, ", "), first, first:match "%a$"))
end

return named
