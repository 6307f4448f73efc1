-- data/reopen: opens a survey as a run saw its own (survey:choices(), which flows carry as their notes), and
-- compares the two, both ways: what the run saw and this table lacks, and what this table has and the run
-- never saw. A flow gives wrong answers, and no warning, for magnitudes or images of another kind, and for
-- galaxies that it mistakes for others: all that is refused.
local columns = require "gal.data.columns"
local identity = require "gal.data.ids"
local describe = require "gal.data.describe"
local known = require("gal.base.options").known
local offsets = require "gal.data.offsets"
local open = require("gal.data.open").open
local path = require "gal.base.path"
local errors = require "gal.base.errors"
local packings = require "gal.data.packings"
local terms = require "gal.data.terms"
local raise = errors.raise

-- ---- whose galaxies ----

-- Whether the options ask for the table that the choices are of.
local function is_own(choices, options)
  local hdu = options.hdu
  if hdu ~= nil and tostring(hdu) ~= tostring(choices.hdu) then return false end
  return not options.survey or path.absolute(columns.find(options.survey)) == choices.survey
end

-- The HDU to open: the one that is asked for, else the run's, of a file that has any.
local function hdu_of(choices, options)
  if options.hdu ~= nil then return options.hdu end
  if choices.hdu and not is_own(choices, options) then
    local file = columns.find(options.survey):lower()
    if file:find "%.csv" or file:find "%.txt" then return nil end
  end
  return choices.hdu or nil
end

-- The column of ids to open the table with: the one that is asked for, else the run's.
local function id_of(choices, options, own)
  local was, asked = choices.id, options.id
  if own and asked and was and asked:lower() ~= was:lower() then
    local named = was == identity.NUMBERS and "their row numbers" or "the column " .. was
    raise("id is %s, but the flow was trained on galaxies named by %s", errors.shown(asked), named)
  end
  return asked or was
end

-- What data.open does where the table lacks the run's column of ids: takes the table's own, and says so,
-- where no properties are asked for; else raises.
local function without_id(own, options)
  return function(source, file, id)
    if own or options.theta ~= false then
      local none = own and "" or (", --id %s that its galaxies have none"):format(identity.NUMBERS)
      raise("%s has no column %s, by which the run names its galaxies: --id says which has these ids%s", file,
        id, none)
    end
    local list, column = identity.of(source, file)
    local told = "no column %s, by which the run names its galaxies: these are named by %s"
    return list, column, told:format(id, column or "their row numbers")
  end
end

-- ---- how they were seen ----

-- Raises where the images are asked for in another form than the flow was trained on.
local function refuse_other_images(images, options)
  for _, name in ipairs{ "crop", "bin", "resize" } do
    local chosen = images and images[name]
    if options[name] ~= nil and options[name] ~= chosen then
      local trained = images and ("images with %s = %s"):format(name, tostring(chosen)) or "no images"
      raise("%s is %s, but the flow was trained on %s", name, errors.shown(options[name]), trained)
    end
  end
end

-- Raises where the cutouts that were opened have another size or scale than the run's, or another source.
local function refuse_other_cutouts(opened, images)
  local own = opened.prepared
  if not own or not images then return end
  local side, was = own.side, images.side
  if side and was and side ~= was then
    raise("the cutouts of %s are %d x %d pixels, but the flow was trained on cutouts of %d x %d", opened.path,
      side, side, was, was)
  end
  local from, learned = own.source, images.source
  if from and learned and describe.source(from) ~= describe.source(learned) then
    raise("the cutouts of %s are from %s, but the flow was trained on cutouts from %s: fetch the galaxies' "
      .. "cutouts from there, or train a run on these", opened.path, describe.source(from),
      describe.source(learned))
  end
  local scale, before = own.pixel_scale, images.pixel_scale
  if scale and before and not packings.same_scale(scale, before) then
    raise("the cutouts of %s have pixels of %.4g arcsec, but the flow was trained on cutouts of %.4g: fetch "
      .. "or resample them to that", opened.path, scale, before)
  end
end

-- Appends to the survey that it can't be told whether its cutouts are of the run's source.
local function tell_source(opened, images)
  local own = opened.prepared
  if not own or not images or (own.source == nil) == (images.source == nil) then return end
  local unknown = own.source and "the run does not say where its cutouts came from, these are from "
    .. own.source.source or "these cutouts do not say where they came from, the run's are from "
    .. images.source.source
  table.insert(opened.suspects, unknown)
end

-- Raises where dereddened, as it is asked for, is not what was done to the run's magnitudes.
local function refuse_other_kind(choices, dereddened)
  if dereddened and not choices.dereddened then
    raise "dereddened is true, but the flow was trained on magnitudes as they are, without dereddening"
  end
  local corrected = choices.corrected
  if dereddened == false and choices.dereddened and (not corrected or #corrected > 0) then
    raise("dereddened is false, but the flow was trained on dereddened magnitudes%s",
      corrected and (" (%s)"):format(table.concat(corrected, ", ")) or "")
  end
end

-- Raises where ab_offsets, as they are asked for, are not what was added to the run's magnitudes. Second:
-- what is worth saying, of another table whose magnitudes are AB already.
local function refuse_other_offsets(choices, asked, own)
  if asked == nil then return choices.ab_offsets end
  local was = offsets.text(choices.ab_offsets)
  local none = asked == "none" or (type(asked) == "table" and #asked == 1 and asked[1] == "none")
  local is = none and "none" or offsets.text(offsets.of("reopen", asked))
  if is == was then return choices.ab_offsets end
  if none and not own then
    return nil, ("ab_offsets is none: these magnitudes are taken for AB, as the run's are by %s"):format(was)
  end
  local trained = was == "none" and "magnitudes as they are, without offsets to AB"
    or "magnitudes brought to AB by " .. was
  raise("ab_offsets is %s, but the flow was trained on %s", is, trained)
end

-- The first name of a list that another list lacks; nil where there is none.
local function beyond(list, other)
  local there = {}
  for _, name in ipairs(other) do there[name] = true end
  for _, name in ipairs(list) do
    if not there[name] then return name end
  end
end

-- Raises where a magnitude was corrected for the run and is not here, or the reverse.
local function refuse_other_extinctions(opened, corrected)
  local lost, new = beyond(corrected, opened.corrected), beyond(opened.corrected, corrected)
  if lost then
    raise("%s has no extinction_%s, which came off %s where the flow was trained; --dereddened says that its "
      .. "magnitudes are corrected already", opened.path, lost:match "%a$", lost)
  end
  if not new then return end
  local leave = #corrected == 0 and ", --no-dereddened leaves it on" or ""
  raise("%s has extinction_%s, where the run's table had none: the flow was trained on %s as it was; "
    .. "--dereddened takes the extinction off%s", opened.path, new:match "%a$", new, leave)
end

-- Appends to the survey what is worth saying of columns that were made of others here and not there, or the
-- reverse.
local function tell_derived(opened, derived)
  local new, lost = beyond(opened.derived, derived), beyond(derived, opened.derived)
  local told = new and ("%s is 1.086 tauv_cont here, the run's table had it"):format(new)
    or lost and opened.theta and ("%s is the table's own, the run's was 1.086 tauv_cont"):format(lost)
  if told then table.insert(opened.suspects, told) end
end

-- ---- both ----

-- The options of data.reopen, and the choices that are data.open's options as they are.
local NAMES = {
  "survey", "hdu", "id", "dereddened", "crop", "bin", "resize", "packed", "beside", "images",
  "theta", "rename", "ab_offsets",
}
local CHOSEN = { "theta", "context", "dereddened", "sample", "missing", "missing_value", "fill" }

-- The lists of columns theta and context as the list `rename` has them: {"modelMag_u=MAG_U"} takes modelMag_u
-- from MAG_U.
local function renamed(theta, context, rename)
  local names, new = {}, { {}, {} }
  for i, list in ipairs{ theta, context } do
    local which = i == 1 and "choices.theta" or "choices.context"
    for k, text in ipairs(errors.list("reopen", which, list)) do
      errors.text("reopen", ("%s[%d]"):format(which, k), text)
      new[i][k], names[terms.label(text):lower()] = text, { i, k }
    end
  end
  for i, text in ipairs(errors.list("reopen", "rename", rename or {}, "a list of NAME=COLUMN")) do
    local name = errors.text("reopen", ("rename[%d]"):format(i), text):match "^[^=]+=." and terms.label(text)
    local place = name and names[name:lower()]
    if not place then
      local known = table.concat(theta, ", ") .. ", " .. table.concat(context, ", ")
      raise("rename is %s, expected NAME=COLUMN with one of the run's names: %s", errors.shown(text),
        known)
    end
    new[place[1]][place[2]] = text
  end
  return new[1], new[2]
end

-- data.open's options for the choices and what is asked for.
local function opening(choices, options)
  local asked, images = { as_named = true }, choices.images
  for _, key in ipairs(CHOSEN) do asked[key] = choices[key] end
  asked.theta, asked.context = renamed(choices.theta or {}, choices.context or {}, options.rename)
  if options.dereddened ~= nil then asked.dereddened = options.dereddened end
  if options.theta == false then asked.theta, asked.sample = {}, "none" end
  asked.like = choices
  if options.images == false then
    asked.images = nil
  elseif images then
    local packed = options.packed or not options.survey and images.packed or nil
    asked.images = {
      crop = images.crop, bin = images.bin, resize = images.resize, packed = packed, beside = options.beside,
      scaling = images.scaling or "none", bands = images.scaling and images.scaling.bands, of_run = true,
    }
  end
  return asked
end

-- Raises where the choices can't be those of a survey.
local function check_choices(choices)
  if choices.images then errors.list("reopen", "choices.images", choices.images, "a table") end
  for _, name in ipairs{ "corrected", "derived" } do
    local list = errors.list("reopen", "choices." .. name, choices[name] or {}, "a list of columns")
    for i, column in ipairs(list) do
      errors.text("reopen", ("choices.%s[%d]"):format(name, i), column, "the name of a column")
    end
  end
  for _, name in ipairs{ "survey", "id" } do
    if choices[name] then errors.text("reopen", "choices." .. name, choices[name]) end
  end
  offsets.of("reopen", choices.ab_offsets, "choices.ab_offsets")
end

--- data.reopen(choices[, options]): opens a survey as `choices` (survey:choices(), which flows carry as their
-- notes) say. options: survey, another table; hdu and id, of another table; rename, a list such as
-- {"modelMag_u=MAG_U"}: the run's names, and another table's columns; dereddened, ab_offsets, crop, bin and
-- resize, which must be what was done, but that ab_offsets = "none" says that another table is in AB; packed
-- and beside, as data.open's images have them; images = false: without them; theta = false: every row with
-- the context, whether or not its properties are known, so that the survey has no theta, and cuts on
-- properties are left out. Raises where the table differs from the run's in what decides who is who (ids,
-- HDU) or how galaxies were seen: extinctions that came off or appear, crop, bin, the cutouts' size.
-- dereddened = true takes off what extinctions the table has, and says that its other magnitudes are
-- corrected; false leaves them on. Second: whether it is the run's own table.
return function(choices, options)
  options = known("reopen", options, NAMES)
  errors.list("reopen", "choices", choices or {}, "what survey:choices() returned")
  if not choices then
    raise "the flow does not say which survey it learned from: it was not trained by an experiment"
  end
  check_choices(choices)
  refuse_other_kind(choices, options.dereddened)
  refuse_other_images(choices.images, options)
  local asked, own, told = opening(choices, options), is_own(choices, options), nil
  asked.ab_offsets, told = refuse_other_offsets(choices, options.ab_offsets, own)
  asked.hdu, asked.id = hdu_of(choices, options), id_of(choices, options, own)
  asked.without_id = not options.id and without_id(own, options) or nil
  local opened = open(options.survey or choices.survey, asked)
  if options.dereddened == nil and choices.corrected then
    refuse_other_extinctions(opened, choices.corrected)
  end
  if options.images ~= false then
    refuse_other_cutouts(opened, choices.images)
    tell_source(opened, choices.images)
  end
  if told then table.insert(opened.suspects, told) end
  if choices.derived then tell_derived(opened, choices.derived) end
  return opened, own
end
