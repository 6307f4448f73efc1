-- sweep/results: what a sweep has found so far, put together from its records and claims: a row a trial, the
-- best first, and results.csv.
local claims = require "gal.sweep.claims"
local path = require "gal.base.path"
local rank = require "gal.sweep.rank"
local records = require "gal.sweep.records"

local results = {}

-- What a trial without a score is: failed, at work, cut off (begun and left), or waiting.
local function state_of(s, trial, state)
  for rung = 1, s:last() do
    local record = state[rung]
    if record and record.state == "failed" then return "failed", record end
    if not record then
      local busy, n = claims.holder(records.folder(s), records.job(trial.number, rung))
      if busy then return "at work" end
      return (n > 0 or path.kind(trial.out)) and "cut off" or "waiting"
    end
  end
end

-- A row of a trial beside the record that it is ranked by: state, reason, epochs.
local function completed(s, row, state)
  local trial = s.trials[row.number]
  row.trial, row.state = trial, "done"
  local ended = row.record or {}
  local last = state[s:last()]
  if not last or last.state == "failed" then
    local found, record = state_of(s, trial, state)
    if found == "failed" then row.state, row.reason, ended = found, record.reason, record end
    if found == "at work" or not row.record then row.state = found end
    if found == "cut off" or found == "at work" then ended = { epochs = records.epochs(trial) } end
  end
  row.epochs, row.seconds = ended.epochs, (row.record or ended).seconds
  return row
end

--- results.of(s[, known]): {rows, best, galaxies, counts}: rows: of all trials, those with a score first, the
-- best in front (rank.rows' fields), then failed ones, then the others by number; each with trial, state
-- ("done", "failed", "at work", "cut off", "waiting"), reason (of a failed one), epochs and seconds. A trial
-- that a rung did not promote is done. counts {state = how many}; galaxies: how many all scores share. known:
-- records that were read before.
function results.of(s, known)
  known = records.read(s, known)
  local rows, galaxies = rank.rows(s, known)
  local ranked, failed, others, counts = {}, {}, {}, {}
  for _, row in ipairs(rows) do
    ranked[row.number] = true
    completed(s, row, known[row.number])
  end
  for number = 1, #s.trials do
    if not ranked[number] then
      local row = completed(s, { number = number }, known[number])
      table.insert(row.state == "failed" and failed or others, row)
    end
  end
  for _, list in ipairs{ failed, others } do
    for _, row in ipairs(list) do rows[#rows + 1] = row end
  end
  for _, row in ipairs(rows) do counts[row.state] = (counts[row.state] or 0) + 1 end
  local best = rows[1] and rows[1].place and rows[1] or nil
  return { rows = rows, best = best, galaxies = galaxies, counts = counts, known = known }
end

-- ---- results.csv ----

local function cell(v)
  if v == nil then return "" end
  if type(v) == "number" then return v - v == 0 and ("%.9g"):format(v) or "" end
  if type(v) == "boolean" then return v and "yes" or "no" end
  if type(v) == "table" then
    local words = {}
    for i, item in ipairs(v) do words[i] = cell(item) end
    v = table.concat(words, ",")
  end
  return v:find '[",\r\n]' and '"' .. v:gsub('"', '""'):gsub("[\r\n]+", " ") .. '"' or v
end

local BEFORE = { "rank", "trial", "folder" }
local AFTER = {
  "state", "epochs", "log_p", "log_p_low", "log_p_high", "difference", "difference_low", "difference_high",
  "told_apart", "galaxies", "lost", "seconds", "reason",
}

-- The cells of a row by the names of its columns.
local function cells_of(s, row, known)
  local r = row.record or {}
  local cells = {
    rank = row.place, trial = row.number, folder = row.trial.name, state = row.state, epochs = row.epochs,
    log_p = row.mean, log_p_low = row.mean and row.mean - row.half,
    log_p_high = row.mean and row.mean + row.half,
    difference = row.difference, difference_low = row.below, difference_high = row.above,
    told_apart = row.apart, galaxies = row.galaxies, lost = r.lost, seconds = row.seconds,
    reason = row.reason,
  }
  for name, v in pairs(row.trial.values) do cells["setting " .. name] = v end
  for rung, budget in ipairs(s.rungs) do
    local record = known[row.number][rung]
    cells["log_p_at_" .. budget] = record and record.log_p
  end
  return cells
end

--- results.text(s, found): the text of results.csv: a row a trial, the best first: rank, trial, folder, the
-- varied settings, state, epochs, log p and its interval, the difference from the best trial with its
-- interval and whether it is told apart, galaxies, those without a density, seconds, the reason of a
-- failure, and while halving log p at each rung.
function results.text(s, found)
  local names, titles = {}, {}
  local function add(name, title) names[#names + 1], titles[#titles + 1] = name, cell(title or name) end
  for _, name in ipairs(BEFORE) do add(name) end
  for _, name in ipairs(s.varied) do add("setting " .. name, name) end
  for _, name in ipairs(AFTER) do add(name) end
  for _, budget in ipairs(s.rungs) do add("log_p_at_" .. budget) end
  local lines = { table.concat(titles, ",") }
  for _, row in ipairs(found.rows) do
    local cells, words = cells_of(s, row, found.known), {}
    for i, name in ipairs(names) do words[i] = cell(cells[name]) end
    lines[#lines + 1] = table.concat(words, ",")
  end
  return table.concat(lines, "\n") .. "\n"
end

--- results.write(s, found): writes OUT/results.csv, whole.
function results.write(s, found) path.write(s.out .. "/results.csv", results.text(s, found)) end

return results
