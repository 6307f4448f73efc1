-- fetch/sdss: SDSS's galaxies with spectra as SkyServer has them: which columns of which tables, the query,
-- and how many galaxies each reading of the paper's cuts leaves.
local bit = require "bit"
local sample = require "gal.data.sample"
local text = require "gal.base.text"

local M = {}

--- sdss.releases: the releases whose SkyServer has all of these tables.
M.releases = { "dr17", "dr18", "dr19" }

--- sdss.server(release) --> what the addresses of its SkyServer begin with.
function M.server(release) return ("https://skyserver.sdss.org/%s/SkyServerWS"):format(release) end

--- sdss.path: what follows it where queries are posted.
M.path = "/SearchTools/SqlSearch"

-- S.z and never G.z, which is a magnitude; galSpec… are the MPA-JHU measurements (Kauffmann et al. 2003,
-- Brinchmann et al. 2004, Tremonti et al. 2004).
local BY_TABLE = {
  { "S", "specObjID z zWarning" }, { "G", "objID ra dec" },
  { "G", "modelMag_u modelMag_g modelMag_r modelMag_i modelMag_z" },
  { "G", "modelMagErr_u modelMagErr_g modelMagErr_r modelMagErr_i modelMagErr_z" },
  { "G", "extinction_u extinction_g extinction_r extinction_i extinction_z" },
  { "G", "petroMag_r petroR50_r petroR90_r" },
  { "E", "bptclass lgm_tot_p16 lgm_tot_p50 lgm_tot_p84 sfr_tot_p16 sfr_tot_p50 sfr_tot_p84" },
  { "E", "oh_p16 oh_p50 oh_p84" }, { "I", "d4000_n d4000_n_err tauv_cont model_chisq" },
  { "F", "reliable primtarget" },
}
local listed = {}
--- sdss.columns: the columns of the table, in order.
M.columns = {}
for i, group in ipairs(BY_TABLE) do
  local words = {}
  for name in group[2]:gmatch "%S+" do
    words[#words + 1] = group[1] .. "." .. name
    M.columns[#M.columns + 1] = name
  end
  listed[i] = table.concat(words, ", ")
end

local FROM = [[
FROM SpecObj AS S
  JOIN Galaxy AS G ON G.objID = S.bestObjID
  JOIN galSpecExtra AS E ON E.specObjID = S.specObjID
  JOIN galSpecIndx AS I ON I.specObjID = S.specObjID
  JOIN galSpecInfo AS F ON F.specObjID = S.specObjID
WHERE S.specObjID > {last}
  AND E.bptclass IN (1, 2) AND G.petroMag_r - G.extinction_r < 17.8]]

-- A prime: ids in their order, plate by plate and fibre by fibre, leave remainders that are spread evenly.
local PRIME = 1000003

--- sdss.query(share = 1) --> the query: galaxies of the classes star-forming (1) and low S/N star-forming
-- (2), down to a little fainter than any reading of the paper's cuts leaves; {count} rows behind the id
-- {last}. Second, the query that counts all of them, as n. share: of the galaxies, chosen by the remainders
-- of their ids by a prime.
function M.query(share)
  local from = FROM
  if share and share < 1 then
    from = ("%s\n  AND S.specObjID %% %d < %d"):format(from, PRIME, math.ceil(share * PRIME))
  end
  local columns = "SELECT TOP {count}\n  " .. table.concat(listed, ",\n  ")
  return ("%s\n%s\nORDER BY S.specObjID"):format(columns, from),
    "SELECT COUNT(*) AS n\n" .. from:gsub("{last}", "0")
end

-- Cuts beside the limit on the dereddened magnitude, each by itself.
local CUTS = {
  { "and zWarning = 0", function(row) return row.zWarning == 0 end },
  { "and reliable = 1", function(row) return row.reliable == 1 end },
  { "and primtarget & 64, main galaxies", function(row) return bit.band(row.primtarget, 64) ~= 0 end },
}

--- sdss.counts(t) --> how many galaxies of the table t each reading of the paper's cuts leaves: a list of
-- {words, of bptclass 1, of bptclass 1 and 2}.
function M.counts(t)
  local columns, counts = {}, { { "all" }, { "petroMag_r < 17.78" }, { "petroMag_r - extinction_r < 17.78" } }
  for _, name in ipairs { "bptclass", "zWarning", "reliable", "primtarget", "petroMag_r", "extinction_r" } do
    columns[name] = t:doubles(name)
  end
  for _, cut in ipairs(CUTS) do counts[#counts + 1] = { cut[1] } end
  for _, c in ipairs(counts) do c[2], c[3] = 0, 0 end
  for k = 1, t.rows do
    local row = {}
    for name, values in pairs(columns) do row[name] = values[k] end
    local dereddened = row.petroMag_r - row.extinction_r < sample.LIMIT
    local passes = { true, row.petroMag_r < sample.LIMIT, dereddened }
    for _, cut in ipairs(CUTS) do passes[#passes + 1] = dereddened and cut[2](row) end
    for i, c in ipairs(counts) do
      if passes[i] and row.bptclass == 1 then c[2] = c[2] + 1 end
      if passes[i] and (row.bptclass == 1 or row.bptclass == 2) then c[3] = c[3] + 1 end
    end
  end
  return counts
end

--- sdss.text(counts) --> the counts as a table for people.
function M.text(counts)
  return text.table(counts, { "cut", "bptclass 1", "bptclass 1, 2" })
end

return M
