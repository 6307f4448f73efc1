-- data/bands: names of bands: their order by wavelength, and which three make a picture in colours.
local bands = {}

-- Names of common bands from the ultraviolet to the mid infrared; those of one line have one place.
local KNOWN = {
  { "fuv" }, { "nuv" }, { "u" }, { "g", "blue", "f435w", "f475w" }, { "v", "f555w" },
  { "r", "green", "f606w" }, { "vis" }, { "i", "f775w", "f814w" }, { "red" }, { "z", "f850lp" },
  { "y", "f105w" }, { "j", "f110w", "f125w" }, { "h", "f160w" }, { "k", "ks" }, { "w1" }, { "w2" }, { "w3" },
  { "w4" },
}
local PLACE = {}
for place, names in ipairs(KNOWN) do
  for _, name in ipairs(names) do PLACE[name] = place end
end

--- bands.sorted(names): a list of the places of these names, from 1, by wavelength, ascending; those of names
-- that are not known stand behind the others, in the order of the list.
function bands.sorted(names)
  local order = {}
  for k in ipairs(names) do order[k] = k end
  local function place(k) return PLACE[names[k]:lower()] or #KNOWN + k end
  table.sort(order, function(a, b)
    if place(a) ~= place(b) then return place(a) < place(b) end
    return a < b
  end)
  return order
end

--- bands.colours(names): the places of the bands that a picture shows as red, green and blue: of the first
-- three by wavelength the longest is red; of two, green is false: their mean; one band is all three. u is
-- left out where there are three others: galaxies are faint in it.
function bands.colours(names)
  local order = bands.sorted(names)
  if #order > 3 and names[order[1]]:lower() == "u" then table.remove(order, 1) end
  if #order == 1 then return order[1], order[1], order[1] end
  if #order == 2 then return order[2], false, order[1] end
  return order[3], order[2], order[1]
end

return bands
