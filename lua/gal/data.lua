-- A survey as the models see it: properties theta {N, d} and context {N, c} of the galaxies of a table that
-- have all of them, under SDSS's column names, with the rows that fell out counted by reason, and a split
-- into parts that is the same for every model because it depends on each galaxy's id alone. Opening is in
-- data/open.lua, opening as a run saw its survey in data/reopen.lua, the surveys and their selections in
-- data/survey.lua, ids in data/ids.lua, the split in data/split.lua, surveys of plain arrays in
-- data/matrices.lua. gal.table reads the files; a flow standardises.
local columns = require "gal.data.columns"
local ids = require "gal.data.ids"
local matrices = require "gal.data.matrices"
local open = require "gal.data.open"
local reopen = require "gal.data.reopen"
local split = require "gal.data.split"

return {
  --- The five properties of Yunus, Wu & Holwerda (2025): log M*, log SFR, 12 + log(O/H), Dn4000, A_V.
  theta = open.theta,
  --- The five model magnitudes, ugriz.
  context = open.context,
  find = columns.find,
  --- The name, in place of an id column's, for the rows' numbers as ids: "none".
  NUMBERS = ids.NUMBERS,
  ids = ids.of,
  open = open.open,
  reopen = reopen,
  arrays = matrices.arrays,
  open_arrays = matrices.open_arrays,
  part = split.part,
  read_split = split.read,
  same_ids = split.same_ids,
}
