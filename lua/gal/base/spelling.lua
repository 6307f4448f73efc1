-- Which known name a mistyped one was meant to be, for errors that suggest it.
local spelling = {}

-- Edits that turn a into b: a letter put in, left out, changed, or two neighbours swapped (Damerau 1964;
-- optimal string alignment).
local function distance(a, b)
  local before, last, row = nil, nil, {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    before, last, row = last, row, { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      local swapped = i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j)
      if swapped then row[j] = math.min(row[j], before[j - 2] + 1) end
    end
  end
  return row[#b]
end

--- spelling.names(name, candidates) --> the names of the list that are near to `name`, nearest first, at most
-- three: one edit for every three of its letters away (case ignored), or beginning with it.
function spelling.names(name, candidates)
  local wanted, found = name:lower(), {}
  local limit = math.max(1, math.floor(#wanted / 3))
  for order, candidate in ipairs(candidates) do
    local given = candidate:lower()
    local d = math.abs(#given - #wanted) <= limit and distance(wanted, given) or math.huge
    -- "oh" is short for "oh_p50": behind names that are one letter away, before names that are further.
    if #wanted >= 2 and given:sub(1, #wanted) == wanted then d = math.min(d, 1.5) end
    if d <= math.max(limit, 1.5) then
      found[#found + 1] = { name = candidate, distance = d, order = order }
    end
  end
  table.sort(found, function(a, b)
    if a.distance ~= b.distance then return a.distance < b.distance end
    return a.order < b.order
  end)
  local names = {}
  for i = 1, math.min(3, #found) do names[i] = found[i].name end
  return names
end

--- spelling.suggest(name, candidates) --> ' (did you mean "oh_p50"?)', with up to three names, or '' where
-- none is near.
function spelling.suggest(name, candidates)
  local names = spelling.names(name, candidates)
  if #names == 0 then return "" end
  for i, found in ipairs(names) do names[i] = ("%q"):format(found) end
  local last = table.remove(names)
  return (" (did you mean %s?)"):format(#names > 0 and table.concat(names, ", ") .. " or " .. last or last)
end

return spelling
