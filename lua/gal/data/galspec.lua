-- data/galspec: MPA-JHU's measurements of SDSS's galaxies as files (Kauffmann et al. 2003, Brinchmann et al.
-- 2004, Tremonti et al. 2004), galSpecExtra-dr8.fits and others: line by line the rows of specObj-dr8.fits,
-- with which they become one table under SkyServer's names.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local lookup = require "gal.data.lookup"
local made = require("gal.base.collect").made
local open_table = require("gal.table").open
local path = require "gal.base.path"
local thousands = require("gal.base.text").thousands
local C = ffi.C
local raise = errors.raise

local galspec = {}

-- The files without -dr8.fits, and of each what its columns are called there, if not the same, and here.
local FILES = {
  {
    "specObj", "specObjID bestObjID z zWarning specPrimary=sciencePrimary plug_ra plug_dec",
  },
  {
    "galSpecExtra", "bptclass lgm_tot_p16 lgm_tot_p50 lgm_tot_p84 sfr_tot_p16 sfr_tot_p50 sfr_tot_p84 oh_p16 "
      .. "oh_p50 oh_p84",
  },
  { "galSpecIndx", "d4000_n d4000_n_err tauv_cont model_chisq" },
  { "galSpecInfo", "reliable primtarget" },
  { "galSpecLine", "h_alpha_flux h_alpha_flux_err h_beta_flux h_beta_flux_err" },
}

-- The file of that name in the folder, or nil.
local function file_of(folder, name)
  for _, ending in ipairs{ "-dr8.fits", "-dr8.fits.gz", ".fits", ".fits.gz" } do
    local candidate = folder:gsub("(.)/+$", "%1") .. "/" .. name .. ending
    if path.kind(candidate) == "file" then return candidate end
  end
end

-- For each row of t, from 0, the row of `other` that has the same id, or less than 0.
local function matches(t, other)
  local row, counts = ffi.new("int64_t[?]", t.rows), ffi.new "gal_matched[1]"
  local i, j = lookup.column(t, "galspec", "specObjID"), lookup.column(other, "galspec", "specObjID")
  made(C.gal_table_match, row, counts, t.h, i, other.h, j, nil)
  return row
end

-- Raises unless both tables have as many rows, and the same galaxy in each: ids that one of them leaves blank
-- say nothing.
local function check_lines(first, other)
  if first.rows ~= other.rows then
    raise("%s has %s rows and %s %s, expected as many: the same release's files are matched line by line",
      first.path, thousands(first.rows), other.path, thousands(other.rows))
  end
  if not other:has "specObjID" then return end
  local there, back = matches(first, other), matches(other, first)
  for k = 0, first.rows - 1 do
    local named = there[k] ~= C.GAL_ROW_UNNAMED and back[k] ~= C.GAL_ROW_UNNAMED
    if named and there[k] ~= k then
      raise("%s and %s have different specObjID in row %d, expected files that are matched line by line",
        first.path, other.path, k + 1)
    end
  end
end

-- Puts the columns of a file that are listed in `words` into the table t.
local function take(t, source, words)
  local rows = ffi.new("int64_t[?]", source.rows)
  for k = 0, source.rows - 1 do rows[k] = k end
  for word in words:gmatch "%S+" do
    local there, here = word:match "^(.*)=(.*)$"
    local i = lookup.column(source, "galspec", there or word)
    made(C.gal_table_take, t.h, here or word, source.h, i, rows)
    lookup.refresh(t)
  end
end

--- galspec.open(folder): the table of specObj-dr8.fits, galSpecExtra-dr8.fits, galSpecIndx-dr8.fits and
-- galSpecInfo-dr8.fits, and of galSpecLine-dr8.fits where it is there, in the folder; second: the files'
-- names. Columns: specObjID bestObjID z zWarning sciencePrimary plug_ra plug_dec bptclass, {lgm_tot, sfr_tot,
-- oh}_{p16, p50, p84}, d4000_n d4000_n_err tauv_cont model_chisq reliable primtarget and the Balmer lines'
-- fluxes. Raises where one is absent, and where their rows are not the same galaxies.
function galspec.open(folder)
  errors.text("galspec", "folder", folder, "a folder with galSpecExtra-dr8.fits and its like")
  local t, first, names = nil, nil, {}
  for i, entry in ipairs(FILES) do
    local place = file_of(folder, entry[1])
    if not place and i < #FILES then
      raise("%s has no %s-dr8.fits, expected it beside the others of MPA-JHU's files", folder, entry[1])
    end
    if place then
      local source = open_table(place)
      if first then check_lines(first, source) end
      first = first or source
      t = t or lookup.wrap(lookup.handle(C.gal_table_new, source.rows))
      t.path = folder
      take(t, source, entry[2])
      names[#names + 1] = place:match "[^/]*$"
      collectgarbage()
    end
  end
  return t, names
end

return galspec
