-- atoms: values that many galaxies share, such as A_V = 0 where a fit hit its limit. A continuous posterior
-- has no such values, only draws near them, so that a truth at an atom has no fair rank among the draws. A
-- value counts as at the atom where it is within `tolerance` of it, truth and draws alike. Where most rows
-- are at atoms the property is rounded: its values, draws too, are taken to the nearest, and ties are broken
-- at random.
local host = require "gal.stats.host"

local atoms = {}

local ROUNDED = 0.5     -- of the training rows: more at atoms than that, and the property is rounded
local SHARE = 0.01      -- of the training rows, more than that share an atom
local TOLERANCE = 0.15  -- deviations of the training rows: three times the default smoothing of a flow

local Atoms = {}
Atoms.__index = Atoms

-- The values that more than SHARE of ascending ones {n} share: a list of {value, share}.
local function shared(ascending, n)
  local list, first = {}, 0
  while first < n do
    local last = first
    while last + 1 < n and ascending[last + 1] == ascending[first] do last = last + 1 end
    local share = (last - first + 1) / n
    if share > SHARE and last > first then list[#list + 1] = { value = ascending[first], share = share } end
    first = last + 1
  end
  return list
end

-- Sets how near a value is to count as at each atom of a list: no nearer to its neighbour.
local function set_tolerances(list, most, name)
  for i, atom in ipairs(list) do
    atom.tolerance, atom.name = most, name
    for _, other in pairs{ list[i - 1], list[i + 1] } do
      atom.tolerance = math.min(atom.tolerance, math.abs(other.value - atom.value) / 2)
    end
  end
end

--- atoms.of(theta, names): the atoms of training rows {M, d}; nil where there are none. of[p]: those of
-- property p, a list of {value, share, tolerance}, ascending; rounded[p]: the same where most rows are at
-- them, and of[p] is empty then.
function atoms.of(theta, names)
  local of, rounded, any = {}, {}, false
  for p = 1, theta:size(2) do
    local ascending, n = host.sorted(theta:select(2, p))
    local list, sum = shared(ascending, n), 0
    for _, atom in ipairs(list) do any, sum = true, sum + atom.share end
    set_tolerances(list, TOLERANCE * theta:select(2, p):std():item(), names[p])
    of[p] = list
    if sum > ROUNDED and #list > 1 then of[p], rounded[p] = {}, list end
  end
  if not any then return nil end
  return setmetatable({ of = of, rounded = rounded, draws = {}, truths = {}, galaxies = 0 }, Atoms)
end

local function nearest(list, value)
  local best = list[1].value
  for i = 2, #list do
    if math.abs(list[i].value - value) >= math.abs(best - value) then break end
    best = list[i].value
  end
  return best
end

--- a:round(values, m): takes the values {d, m} of properties that are rounded to the nearest atoms.
function Atoms:round(values, m)
  for p, list in pairs(self.rounded) do
    for j = (p - 1) * m, p * m - 1 do values[j] = nearest(list, values[j]) end
  end
end

--- a:has(p): whether property p (from 0) has atoms.
function Atoms:has(p) return #self.of[p + 1] > 0 end

local function near(list, value)
  for i = 1, #list do
    if math.abs(value - list[i].value) <= list[i].tolerance then return list[i] end
  end
end

--- a:at(values, m, j, p): whether value j of a galaxy is at an atom of property p (from 0), or of any where p
-- is nil. values {d, m}, an array.
function Atoms:at(values, m, j, p)
  if p then return near(self.of[p + 1], values[p * m + j]) ~= nil end
  for i = 1, #self.of do
    if #self.of[i] > 0 and near(self.of[i], values[(i - 1) * m + j]) then return true end
  end
  return false
end

--- a:count(values, m): counts a galaxy's values {d, m} at each atom, the truth's apart.
function Atoms:count(values, m)
  self.galaxies = self.galaxies + 1
  for p, list in ipairs(self.of) do
    for j = 0, #list > 0 and m - 1 or -1 do
      local atom = near(list, values[(p - 1) * m + j])
      local into = j == 0 and self.truths or self.draws
      if atom then into[atom] = (into[atom] or 0) + 1 end
    end
  end
end

--- a:table(draws): the share of truths and of draws at each atom, as a list of {name, value, truths, draws};
-- draws: how many a galaxy has.
function Atoms:table(draws)
  local list = {}
  for _, of in ipairs(self.of) do
    for _, atom in ipairs(of) do
      list[#list + 1] = {
        name = atom.name, value = atom.value, training = atom.share, tolerance = atom.tolerance,
        truths = (self.truths[atom] or 0) / self.galaxies,
        draws = (self.draws[atom] or 0) / (self.galaxies * draws),
      }
    end
  end
  return list
end

return atoms
