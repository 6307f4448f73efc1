-- posterior/words: what posteriors say of themselves at the prompt: 80 columns, four digits, units where they
-- are known.
local draws = require "gal.posterior.draws"
local text = require "gal.base.text"

local words = {}

local WIDTH = 80

--- words.number(v): a number in four digits; "" for nil.
function words.number(v) return v == nil and "" or ("%.4g"):format(v) end
local number = words.number

--- words.filled(lines, sentence): appends a sentence to the lines, filled to 80 columns.
function words.filled(lines, sentence)
  for _, line in ipairs(text.filled(sentence, WIDTH)) do lines[#lines + 1] = line end
end

--- words.item(lines, sentence): appends a sentence as an item of a list, "- …", filled to 80 columns.
function words.item(lines, sentence)
  for i, line in ipairs(text.filled(sentence, WIDTH - 2)) do
    lines[#lines + 1] = (i == 1 and "- " or "  ") .. line
  end
end

--- words.table(rows, headers[, keep]): the text of a table within 80 columns: of one that is wider the last
-- columns fall out, but for the first `keep`; second: the headers of those that did.
function words.table(rows, headers, keep)
  local shown, names, out = {}, {}, {}
  for r, row in ipairs(rows) do shown[r] = { unpack(row, 1, #headers) } end
  for j, name in ipairs(headers) do names[j] = name end
  while true do
    local whole = text.table(shown, names)
    local width = 0
    for line in whole:gmatch "[^\n]+" do width = math.max(width, text.length(line)) end
    if width <= WIDTH or #names <= (keep or 1) then return whole, out end
    table.insert(out, 1, table.remove(names))
    for _, row in ipairs(shown) do row[#names + 1] = nil end
  end
end

--- words.galaxy(p): whose posterior it is: "galaxy 1237…, row 12, in the test part".
function words.galaxy(p)
  local seen = { train = "which the run was trained on", valid = "which the run was validated on" }
  local where = p.given and "a galaxy " .. p.id or "galaxy " .. p.id
  if p.row then where = ("%s, row %d"):format(where, p.row) end
  if p.seen then where = where .. ", " .. (seen[p.seen] or "not seen in training") end
  return where
end

--- words.spread(v): by how much the means of an ensemble's members scatter, two digits; less than .01 is told
-- as that, and so is what is no number: of fewer than two draws of each member.
function words.spread(v)
  if v ~= v then return "by what so few draws don't tell (two of each member do)" end
  return ("by %s posterior deviations"):format(v < 0.01 and "less than 0.01" or ("%.2f"):format(v))
end

-- What the posterior was inferred from.
local function inputs_of(flow)
  local list = {}
  if flow.c > 0 then list[1] = flow.c == 1 and flow.context[1] or ("%d inputs"):format(flow.c) end
  if flow.encoder then list[#list + 1] = "the image" end
  return #list == 0 and "nothing" or table.concat(list, " and ")
end

-- The sentence on the draws.
local function drawn(p)
  if p.effective then return ("%d weighted draws, an effective %.0f"):format(p.n, p.effective) end
  return ("%d draws"):format(p.n)
end

-- The last lines: outside, flagged, rare.
local function doubts(p)
  local list = {}
  if p.outside then
    list[1] = ("outside: %.2g deviations from the training's mean%s"):format(p.outside,
      p.outside > require("gal.flow.inputs").FAR and ", an extrapolation that should be ignored" or "")
  end
  if p:flagged() then
    list[#list + 1] = "flagged: " .. (draws.column(p, 1, 1).lost and "its draws are no numbers"
      or "the integration's error is beyond the tolerance")
  else
    list[#list + 1] = "not flagged"
  end
  local ood = p:ood()
  for _, name in ipairs{ "context", "image" } do
    local share = ood and ood[name]
    if share then
      list[#list + 1] = ("ood: %.3g %% of validation galaxies have rarer %s"):format(100 * share,
        name == "context" and "inputs" or "images")
    end
  end
  local spread = p:spread()
  if spread then list[#list + 1] = ("spread: the members' means scatter %s"):format(
    words.spread(spread)) end
  return table.concat(list, "; ")
end

--- words.rows(p): a row for each property: {name, median, 68 %, truth, off, unit}, and the headers.
function words.rows(p)
  local rows, units, truths = {}, false, p.truth ~= nil
  for i, property in ipairs(p.properties) do
    local low, middle, high = unpack(property:quantile{ 0.16, 0.5, 0.84 })
    local truth = property.truth
    local side = truth and (truth > middle and high - middle or middle - low)
    local off = side and side > 0 and ("%+.1f σ"):format((truth - middle) / side) or ""
    rows[i] = { property.name, number(middle), ("%s to %s"):format(number(low), number(high)) }
    if truths then rows[i][4], rows[i][5] = number(truth), off end
    rows[i][#rows[i] + 1] = property.unit
    units = units or property.unit ~= ""
  end
  local headers = truths and { "property", "median", "68 %", "truth", "truth off", "unit" }
    or { "property", "median", "68 %", "unit" }
  if not units then headers[#headers] = nil end
  return rows, headers
end

--- words.posterior(p): a posterior as text.
function words.posterior(p)
  local lines = {}
  words.filled(lines, ("Posterior of %s, by %s from %s (%s)."):format(words.galaxy(p), p.run:label(),
    inputs_of(p.run.flow), drawn(p)))
  for _, sentence in ipairs(p.told or {}) do words.filled(lines, sentence) end
  lines[#lines + 1] = (words.table(words.rows(p)))
  words.filled(lines, doubts(p))
  if p.hidden then
    local names = {}
    for i, name in ipairs(p.hidden) do names[i] = ("p:property %q"):format(name) end
    words.filled(lines, ("Named as a method or a field: %s."):format(table.concat(names, ", ")))
  end
  return table.concat(lines, "\n")
end

return words
