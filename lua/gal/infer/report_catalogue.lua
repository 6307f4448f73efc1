-- infer/report_catalogue: the sentences and header of a catalogue of posteriors: before its first galaxy,
-- whether the table is like the one that the run learned from; in its header, where it comes from; after its
-- last galaxy, how many are to be doubted, and why.
local compare = require "gal.stats.compare"
local offsets = require "gal.data.offsets"
local FLAGS = require("gal.infer.summary").FLAGS
local members = require "gal.flow.members"
local text = require "gal.base.text"

local report = {}

-- The lines, each broken at 79 characters.
local function filled(lines)
  local all = {}
  for _, line in ipairs(lines) do
    for _, part in ipairs(text.filled(line, 79)) do all[#all + 1] = part end
  end
  return table.concat(all, "\n")
end

--- report.before(run, survey, own): sentences on how the survey differs from the one that the run
-- (infer/trained.lua) learned from, and on what can't be said about its galaxies. own: whether it is the
-- run's own table.
function report.before(run, survey, own)
  local lines = {}
  local known, why = run:familiarise()
  if not known then lines[1] = "ood is not known: " .. why end
  local sample = run.flow.familiar and run.flow.familiar.sample
  if own then
    lines[#lines + 1] = "the table is the run's own: it is not compared with what the run learned from"
  elseif sample and survey.context and #survey.ids >= 20 and sample:size(1) >= 20 then
    local found = compare.surveys(sample, survey.context, { names = survey.names.context })
    lines[#lines + 1] = "this table beside the run's own. " .. found.words
  else
    lines[#lines + 1] = "the table can't be compared with what the run learned from"
  end
  return filled(lines)
end

-- The last part of a path.
local function name_of(place) return place:gsub("/+$", ""):match "[^/]+$" or place end

-- The name of a survey: its folder's where it is a catalogue in one, else its file's.
local function survey_of(place)
  local name = name_of(place)
  return name:find "^catalog%." and name_of(place:match "^(.*)/" or place) or name
end

-- Text of plain ASCII, as FITS takes it.
local function plain(text) return (text:gsub("[^\32-\126]", "?")) end

--- report.header(run, survey): keywords for the header of a table of posteriors: the survey, the run, when it
-- began, its survey, and what the labels were, as the run's table or its user says. It says no date of its
-- own: shards put together, or a call that was stopped and went on, make the same bytes as one call.
function report.header(run, survey)
  local notes, header = run.notes, {}
  for name, value in pairs(notes.header or {}) do
    header[name] = type(value) == "string" and plain(value) or value
  end
  header.SURVEY, header.TRAINED = plain(survey_of(survey.path)), plain(survey_of(notes.survey))
  local made = run.config and run.config.made
  if made then header.RUN, header.RUNDATE = plain(members.name(run.out)), plain(made.date) end
  if survey.ab_offsets then header.ABOFFSET = offsets.text(survey.ab_offsets) end
  if notes.labels then header.LABELS = plain(notes.labels) end
  local errors = {}
  for i, entry in ipairs(notes.label_errors or {}) do
    errors[i] = tonumber(entry.from) and entry.from or ("%.3g of %s"):format(entry.rms, entry.from)
  end
  if #errors > 0 then header.LABELERR = plain(table.concat(errors, ", ")) end
  return header
end

local WORDS = {
  { "filled", "have a context that was filled" },
  { "context", "have a context rarer than 1 in 1,000 of the run's validation galaxies" },
  { "image", "have an image that is so rare" },
  { "tolerance", "are not within the tolerance" },
  { "range", "have more than 1 % of their draws outside of the training galaxies' range" },
  { "members", "have members whose means scatter by more than chance and .5 posterior deviations" },
  { "labels", "have a property of which the labels' errors make more than .8 of the variance: it is as the "
    .. "labels have it" },
  { "failed", "have no posterior: their values are missing" },
}

--- report.after(found): sentences on what infer.catalogue returned.
function report.after(found)
  if found.merged then
    return ("%d galaxies of %d shards; written: %s"):format(found.rows, found.merged, found.out)
  end
  if found.resumed == found.rows then
    return ("%s is finished: %d galaxies, with the same model and options"):format(found.out, found.rows)
  end
  local lines, made = {}, found.rows - found.resumed
  if found.resumed > 0 then
    lines[1] = ("%d of %d galaxies had been done before"):format(found.resumed, found.rows)
  end
  for _, w in ipairs(WORDS) do
    local count = found.counts[FLAGS[w[1]]]
    if count > 0 then lines[#lines + 1] = ("%d of %d galaxies %s"):format(count, made, w[2]) end
  end
  if found.shrunk then
    local words = {}
    for i, name in ipairs(found.shrunk.names) do
      words[i] = ("%s %.3f"):format(name, found.shrunk.factors[i])
    end
    lines[#lines + 1] = "posteriors without the labels' errors are narrower, on average by factors of: "
      .. table.concat(words, ", ")
  end
  lines[#lines + 1] = ("%d galaxies in %.1f s, %.1f a second; written: %s"):format(made, found.seconds,
    made / math.max(found.seconds, 1e-9), found.out)
  return filled(lines)
end

return report
