-- data/describe: a survey in words: what was read, dropped and kept, and how its values and images were
-- prepared.
local split = require "gal.data.split"
local thousands = require("gal.base.text").thousands

local describe = {}

-- "1 galaxy", "2,215 galaxies".
local function counted(n, one, many) return thousands(n) .. " " .. (n == 1 and one or many) end

--- survey:losses(): the rows that fell out, in words: "760 of 2,215 rows dropped: 760 without d4000_n".
function describe.losses(survey)
  local sum, parts = 0, {}
  for _, entry in ipairs(survey.dropped) do
    sum = sum + entry.count
    parts[#parts + 1] = thousands(entry.count) .. " " .. entry.reason
  end
  if sum == 0 then return ("no row of %s dropped"):format(thousands(survey.total)) end
  local first = #parts > 1 and " (a row counts once, under the first that holds)" or ""
  local all = table.concat(parts, ", ")
  return ("%s of %s rows dropped: %s%s"):format(thousands(sum), thousands(survey.total), all, first)
end

-- How many galaxies are kept, and in which parts, where their properties are known.
local function kept(survey)
  local counts = { train = 0, valid = 0, test = 0 }
  if not survey.theta then
    local named = survey.id_column and "by " .. survey.id_column or "by their row numbers"
    return ("%s kept, named %s"):format(counted(#survey.ids, "galaxy", "galaxies"), named)
  end
  for _, id in ipairs(survey.ids) do
    local part = split.part(id)
    counts[part] = counts[part] + 1
  end
  local hashed = survey.id_column or "the row number"
  local parts = ("%s train, %s valid, %s test"):format(thousands(counts.train), thousands(counts.valid),
    thousands(counts.test))
  return ("%s kept: %s (80/10/10 by a hash of %s)"):format(counted(#survey.ids, "galaxy", "galaxies"), parts,
    hashed)
end

local AS_THEY_ARE = { crop = 0, bin = 1, resize = 0 } -- images of arrays

-- How the images were prepared, and the damaged cutouts, a line each.
local function images(survey, lines)
  local p, image, damaged = survey.prepared or AS_THEY_ARE, survey.images.image, survey.damaged or {}
  local how = { ("images:  %d x %d pixels"):format(image[1], image[2]) }
  if p.resize > 0 then how[#how + 1] = ("cutouts scaled to %d x %d"):format(p.resize, p.resize) end
  if p.crop > 0 then how[#how + 1] = ("the central %d x %d"):format(p.crop, p.crop) end
  if p.bin > 1 then how[#how + 1] = ("means over %d x %d"):format(p.bin, p.bin) end
  if p.packed then how[#how + 1] = "decoded in " .. p.packed end
  lines[#lines + 1] = table.concat(how, ", ")
  for i = 1, math.min(#damaged, 5) do lines[#lines + 1] = "damaged: " .. damaged[i].problem end
  if #damaged > 5 then
    lines[#lines + 1] = ("damaged: %d more, listed in cutouts.csv"):format(#damaged - 5)
  end
end

-- What was done about Galactic extinction; nil where there are no magnitudes.
local function extinction(survey)
  if #survey.corrected > 0 then
    return "corrected for Galactic extinction: " .. table.concat(survey.corrected, ", ")
  end
  local context = survey.context and table.concat(survey.names.context or {}, " "):lower() or ""
  if not context:find "mag_" then return nil end
  return survey.dereddened and "no extinction column in the table: magnitudes as they are"
    or "magnitudes as they are, not corrected for Galactic extinction"
end

--- survey:describe(): what was read, dropped and kept, how magnitudes and images were treated, and the split,
-- in lines.
function describe.describe(survey)
  local lines = { ("%s: %s"):format(survey.path or "arrays", counted(survey.total, "row", "rows")) }
  lines[2], lines[3] = describe.losses(survey), kept(survey)
  for _, name in ipairs { "theta", "context" } do
    if survey[name] then
      local names = table.concat(survey.names[name] or {}, ", ")
      lines[#lines + 1] = ("%-8s %s"):format(name .. ":", names)
    end
  end
  if not survey.context then lines[#lines + 1] = "context: none" end
  if survey.images then images(survey, lines) end
  lines[#lines + 1] = extinction(survey)
  for _, sentence in ipairs(survey.suspects) do lines[#lines + 1] = sentence end
  return table.concat(lines, "\n")
end

return describe
