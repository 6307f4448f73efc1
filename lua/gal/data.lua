-- A survey as the models see it: properties theta {N, d} and context {N, c} of the galaxies of a table that have them all, under SDSS column names, with the rows
-- that fell out counted by reason, and a split that never moves between models because it hangs on each galaxy's id. Reading files is gal.table's;
-- standardising is the flow's.

local ffi = require "ffi"
local array = require "gal.array"
local gal = require "gal"
local raise = require("gal.raise").raise

local data = {}
local survey = {}
survey.__index = survey

local MISSING = -9999 -- SDSS's mark

--- The five properties of Yunus, Wu & Holwerda (2025): log M*, log SFR, 12 + log(O/H), Dn4000, A_V.
data.theta = { "lgm_tot_p50", "sfr_tot_p50", "oh_p50", "d4000_n", "a_v" }
data.context = { "modelMag_u", "modelMag_g", "modelMag_r", "modelMag_i", "modelMag_z" }

-- The first of them that the table has names its galaxies.
local ID_COLUMNS = { "objID", "specObjID", "name" }
local PARTS = { "train", "valid", "test" }

local function missing(value)
  return value ~= value or value == MISSING or value == math.huge or value == -math.huge
end

--- 2215 as "2,215".
local function thousands(n)
  local text = ("%d"):format(n)
  while true do
    local replaced, count = text:gsub("^(%d+)(%d%d%d)", "%1,%2")
    if count == 0 then return text end
    text = replaced
  end
end

--- The table file at path: path itself, or the catalogue in the folder of that name.
local function find(path)
  local file = io.open(path, "rb")
  if not file then raise("no survey at %s: expected a table (.fits, .csv, either also as .gz) or a folder with catalog.fits or catalog.csv", path) end
  -- Linux opens a folder for reading, and refuses the read.
  local folder = not file:read(0) and file:seek("end") ~= 0
  file:close()
  if not folder then return path end
  for _, name in ipairs{ "catalog.fits", "catalog.fits.gz", "catalog.csv", "catalog.csv.gz" } do
    local candidate = path:gsub("/+$", "") .. "/" .. name
    file = io.open(candidate, "rb")
    if file then
      file:close()
      return candidate
    end
  end
  raise("no catalogue in the folder %s: expected catalog.fits or catalog.csv", path)
end

--- Whether the table has a column of that name, case ignored; returns the name as the table spells it.
local function spelling(table_, name)
  local wanted = name:lower()
  for _, candidate in ipairs(table_.names) do
    if candidate:lower() == wanted then return candidate end
  end
end

--- A column's values {rows} as numbers. Where the table lacks it, a_v comes from tauv_cont: A_V = 1.086 tau_V.
local function values_of(source, name)
  if not spelling(source, name) and name:lower() == "a_v" and spelling(source, "tauv_cont") then
    local values = source:column("tauv_cont"):totable()
    for k = 1, #values do
      if not missing(values[k]) then values[k] = 1.086 * values[k] end
    end
    return values
  end
  return source:column(name):totable()
end

--- A requested column: {name, values {rows}, extinction {rows} or nil}. modelMag_u and its like are paired with extinction_u where they are to be dereddened.
local function requested(source, name, dereddened)
  local column = { name = name, values = values_of(source, name) }
  local band = name:lower():match("mag_(%w+)$")
  local extinction = band and "extinction_" .. band
  if dereddened and extinction and spelling(source, extinction) then
    column.extinction_name = spelling(source, extinction)
    column.extinction = source:column(extinction):totable()
  end
  return column
end

--- What a row must pass besides having its values: a list of {reason, test(row)}, in the order in which reasons are counted.
local function sample_cuts(source, sample)
  if sample == "none" then return {} end
  if sample ~= "paper" then raise('sample is "%s", expected "none" or "paper"', tostring(sample)) end
  local columns = {}
  local function column(name)
    columns[name] = columns[name] or values_of(source, name)
    return columns[name]
  end
  -- A missing value is counted under the cut that needs it: NaN and -9999 must not slip through a "greater than".
  local function within(name, low, high)
    local values = column(name)
    return function(k) return not missing(values[k]) and values[k] > low and values[k] < high end
  end
  local class, petro = column("bptclass"), column("petroMag_r")
  local extinction = spelling(source, "extinction_r") and column("extinction_r")
  local a_v = column("a_v")
  local cuts = {
    { "with bptclass other than 1", function(k) return class[k] == 1 end },
    { "not fainter than modelMag_r = 16", within("modelMag_r", 16, math.huge) },
    { "not brighter than petroMag_r - extinction_r = 17.78", function(k)
      local dimmed = extinction and extinction[k] or 0
      return not missing(petro[k]) and not missing(dimmed) and petro[k] - dimmed < 17.78
    end },
    { "with lgm_tot_p50 not above 0", within("lgm_tot_p50", 0, math.huge) },
    { "with sfr_tot_p50 not above -10", within("sfr_tot_p50", -10, math.huge) },
    { "with oh_p50 not above 0", within("oh_p50", 0, math.huge) },
    { "with d4000_n outside 0.8 to 3", within("d4000_n", 0.8, 3) },
    { "with a_v below 0", function(k) return not missing(a_v[k]) and a_v[k] >= 0 end },
  }
  for _, band in ipairs{ "u", "g", "r", "i", "z" } do
    cuts[#cuts + 1] = { ("with modelMag_%s outside 10 to 25"):format(band), within("modelMag_" .. band, 10, 25) }
  end
  return cuts
end

--- Reasons to drop a row because a value is missing, in the order theta, context.
local function missing_cuts(theta, context, masked)
  local cuts = {}
  local function need(name, values)
    cuts[#cuts + 1] = { "without " .. name, function(k) return not missing(values[k]) end }
  end
  for _, list in ipairs{ theta, context } do
    for _, column in ipairs(list) do
      if not (list == context and masked[column.name]) then
        need(column.name, column.values)
        if column.extinction then need(column.extinction_name, column.extinction) end
      end
    end
  end
  return cuts
end

--- The value of a column in row k, dereddened where that was asked for; NaN where it is missing.
local function value_at(column, k)
  local value, extinction = column.values[k], column.extinction and column.extinction[k] or 0
  if missing(value) or missing(extinction) then return 0 / 0 end
  return value - extinction
end

--- Which context columns are masked, and with what their gaps are filled: given by a flow that was trained so, else every column with gaps in a kept row and its mean.
local function masks(context, options)
  if options.missing ~= "mask" then return {} end
  if options.fill then return options.fill end
  local fill = {}
  for _, column in ipairs(context) do
    local sum, count, gaps = 0, 0, 0
    for k = 1, #column.values do
      local value = value_at(column, k)
      if value == value then sum, count = sum + value, count + 1 else gaps = gaps + 1 end
    end
    if gaps > 0 and count > 0 then fill[column.name] = sum / count end
  end
  return fill
end

--- Opens a survey: path is a table file or a folder with catalog.fits or catalog.csv. options:
--   theta, context  lists of columns (the five properties; ugriz model magnitudes). Any column will do; "a_v" is 1.086 tauv_cont where it is absent.
--   dereddened      true: every magnitude …Mag_b less extinction_b, where the table has that column
--   sample          "none", or "paper": the cuts of Yunus, Wu & Holwerda (2025), with `unphysical` as design notes have it
--   missing         "drop": rows without all values fall out (-9999, NaN, infinite);  "mask": a missing context value is filled, and a column `…_missing`, 1 or 0, added
--   fill            with "mask": {column = value} of the columns to mask, as an earlier survey's `fill` has it
--   id              the column of ids; else objID, specObjID or name, whichever comes first, else the row's number
-- Returns a survey: theta {N, d}, context {N, c} (tensors), names.theta and names.context, ids {N} (strings), rows {N} (in the file, from 1),
-- total (rows read), dropped (a list of {reason, count}; a row counts under the first that holds), dereddened, sample, missing, fill, path.
-- Raises where the file or a column is missing, and where no row is left.
function data.open(path, options)
  options = options or {}
  local dereddened = options.dereddened ~= false
  local how = options.missing or "drop"
  if how ~= "drop" and how ~= "mask" then raise('missing is "%s", expected "drop" or "mask"', tostring(how)) end
  local file = find(path)
  local source = gal.table(file)
  if source.rows == 0 then raise("%s has no rows", file) end
  local theta, context = {}, {}
  for i, name in ipairs(options.theta or data.theta) do theta[i] = requested(source, name, dereddened) end
  for i, name in ipairs(options.context or data.context) do context[i] = requested(source, name, dereddened) end
  local fill = masks(context, { missing = how, fill = options.fill })
  local cuts = sample_cuts(source, options.sample or "none")
  for _, cut in ipairs(missing_cuts(theta, context, fill)) do cuts[#cuts + 1] = cut end

  local rows, counts = {}, {}
  for k = 1, source.rows do
    local reason
    for i = 1, #cuts do
      if not cuts[i][2](k) then reason = i break end
    end
    if reason then counts[reason] = (counts[reason] or 0) + 1 else rows[#rows + 1] = k end
  end
  local self = setmetatable({ path = file, total = source.rows, rows = rows, dropped = {}, dereddened = dereddened, sample = options.sample or "none",
    missing = how, fill = how == "mask" and fill or nil, names = { theta = {}, context = {} }, corrected = {} }, survey)
  for i = 1, #cuts do
    if counts[i] then self.dropped[#self.dropped + 1] = { reason = cuts[i][1], count = counts[i] } end
  end
  if #rows == 0 then raise("%s: no galaxy is left: %s", file, self:losses()) end

  local function gather(columns, names)
    local width, flat = 0, {}
    for _, column in ipairs(columns) do
      names[#names + 1] = column.name
      if column.extinction then self.corrected[#self.corrected + 1] = column.name end
    end
    width = #names
    for _, column in ipairs(columns) do
      if columns == context and fill[column.name] then
        names[#names + 1] = column.name .. "_missing"
        width = width + 1
      end
    end
    for r, k in ipairs(rows) do
      local base, extra = (r - 1) * width, #columns
      for i, column in ipairs(columns) do
        local value, filled = value_at(column, k), columns == context and fill[column.name]
        if filled then
          extra = extra + 1
          flat[base + extra] = value ~= value and 1 or 0
          if value ~= value then value = filled end
        end
        flat[base + i] = value
      end
    end
    return gal.tensor(flat, { #rows, width })
  end
  self.theta = gather(theta, self.names.theta)
  if #context > 0 then self.context = gather(context, self.names.context) end

  local id = options.id and (spelling(source, options.id) or options.id)
  for _, name in ipairs(ID_COLUMNS) do id = id or spelling(source, name) end
  local all = id and source:ids(id)
  self.id_column, self.ids = id, {}
  for r, k in ipairs(rows) do self.ids[r] = all and all[k] or ("%d"):format(k) end
  return self
end

--- A survey of tensors: theta {N, d} and context {N, c} (or nil); ids are row numbers. names: {theta = {…}, context = {…}}, optional.
function data.arrays(theta, context, names)
  local n = theta:size(1)
  local self = setmetatable({ total = n, rows = {}, ids = {}, dropped = {}, theta = theta, context = context, names = names or {}, corrected = {} }, survey)
  for k = 1, n do self.rows[k], self.ids[k] = k, ("%d"):format(k) end
  return self
end

--- "train", "valid" or "test" from an id, 80/10/10 by its hash: the same galaxy is in the same part for every model, whatever else the table holds.
function data.part(id)
  local tenth = tonumber(ffi.C.gal_hash(id, #id, 0) % 10ULL)
  return tenth < 8 and "train" or tenth == 8 and "valid" or "test"
end

--- The galaxies of this survey at the positions listed, as a survey.
function survey:select(positions)
  local part = {}
  for key, value in pairs(self) do part[key] = value end
  setmetatable(part, survey)
  part.ids, part.rows = {}, {}
  for i, k in ipairs(positions) do part.ids[i], part.rows[i] = self.ids[k], self.rows[k] end
  part.theta = array.pick(self.theta, positions)
  part.context = self.context and array.pick(self.context, positions)
  return part
end

--- The positions of a part's galaxies: "train", "valid" or "test".
function survey:positions(name)
  local known = false
  for _, part in ipairs(PARTS) do known = known or part == name end
  if not known then raise('the part is "%s", expected "train", "valid" or "test"', tostring(name)) end
  local positions = {}
  for k, id in ipairs(self.ids) do
    if data.part(id) == name then positions[#positions + 1] = k end
  end
  return positions
end

--- The galaxies of a part, "train", "valid" or "test", as a survey. Raises where the part is empty.
function survey:split(name)
  local positions = self:positions(name)
  if #positions == 0 then raise("the %s part is empty: the survey has %d galaxies, too few for a split of 80/10/10 by id", name, #self.ids) end
  return self:select(positions)
end

--- Fold i of n: the galaxies outside it and those in it, two surveys. Galaxy k, in file order from 0, is in fold k mod n.
function survey:fold(i, n)
  local rest, held = {}, {}
  for k = 1, #self.ids do
    local list = (k - 1) % n == i and held or rest
    list[#list + 1] = k
  end
  return self:select(rest), self:select(held)
end

--- The losses in words: "760 of 2,215 rows dropped: 760 without d4000_n".
function survey:losses()
  local sum, parts = 0, {}
  for _, entry in ipairs(self.dropped) do
    sum = sum + entry.count
    parts[#parts + 1] = thousands(entry.count) .. " " .. entry.reason
  end
  if sum == 0 then return ("no row of %s dropped"):format(thousands(self.total)) end
  local first = #parts > 1 and " (a row counts once, under the first that holds)" or ""
  return ("%s of %s rows dropped: %s%s"):format(thousands(sum), thousands(self.total), table.concat(parts, ", "), first)
end

--- What was read, dropped and kept, how magnitudes were treated, and the split, in lines.
function survey:describe()
  local counts = { train = 0, valid = 0, test = 0 }
  for _, id in ipairs(self.ids) do
    local part = data.part(id)
    counts[part] = counts[part] + 1
  end
  local lines = {
    ("%s: %s rows"):format(self.path or "arrays", thousands(self.total)),
    self:losses(),
    ("%s galaxies kept: %s train, %s valid, %s test (80/10/10 by a hash of %s)"):format(thousands(#self.ids), thousands(counts.train),
      thousands(counts.valid), thousands(counts.test), self.id_column or "the row number"),
    "theta:   " .. table.concat(self.names.theta or {}, ", "),
    "context: " .. table.concat(self.names.context or {}, ", "),
  }
  if #self.corrected > 0 then
    lines[#lines + 1] = "corrected for Galactic extinction: " .. table.concat(self.corrected, ", ")
  elseif self.dereddened then
    lines[#lines + 1] = "no extinction column in the table: magnitudes as they are"
  else
    lines[#lines + 1] = "magnitudes as they are, not corrected for Galactic extinction"
  end
  return table.concat(lines, "\n")
end

return data
