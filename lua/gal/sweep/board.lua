-- sweep/board: a sweep as some lines of text: the best trials first, who is at work, what failed, and how
-- long it will take. The prompt and experiments/sweep.lua show it.
local progress = require "gal.base.progress"
local results = require "gal.sweep.results"
local text = require "gal.base.text"

local board = {}

-- The table's columns before the settings.
local HEADERS = { "trial", "epochs", "log p", "from the best" }
local NAMED = 6 -- trials that a sentence names, of many

-- A setting's value in a table: "64x64", "yes".
local function word_of(v)
  if type(v) == "table" then return table.concat(v, "x") end
  if type(v) == "boolean" then return v and "yes" or "no" end
  return v
end

local function against(row)
  if row.place == 1 then return "the best" end
  if not row.difference then return "no density" end
  return ("%+.3f ± %.3f"):format(row.difference, row.above - row.difference)
end

-- The rows of the table: the `most` best trials.
local function table_of(s, found, most)
  local rows = {}
  for _, row in ipairs(found.rows) do
    if row.place and #rows < most then
      local lost = (row.record.lost or 0) > 0
      local cells = {
        ("%03d"):format(row.number), ("%d"):format(row.record.epochs or 0),
        lost and "-" or ("%.3f"):format(row.mean), against(row),
      }
      for _, name in ipairs(s.varied) do
        local v = row.trial.values[name]
        cells[#cells + 1] = v ~= nil and word_of(v) or "-"
      end
      rows[#rows + 1] = cells
    end
  end
  return rows
end

-- The table's lines, of at most `width` characters, with as many settings as fit. Second, the names of those
-- that do not fit.
local function table_lines(s, found, most, width)
  local rows, headers, left_out = table_of(s, found, most), { unpack(HEADERS) }, {}
  for i, name in ipairs(s.varied) do headers[#HEADERS + i] = name end
  if #rows == 0 then return {}, left_out end
  while true do
    local lines, widest = {}, 0
    for line in (text.table(rows, headers) .. "\n"):gmatch "(.-)\n" do
      lines[#lines + 1], widest = line, math.max(widest, text.length(line))
    end
    if widest <= width or #headers == #HEADERS then return lines, left_out end
    table.insert(left_out, 1, table.remove(headers))
    for _, cells in ipairs(rows) do table.remove(cells) end
  end
end

-- Lines of at most `width` characters.
local function cut(lines, width)
  for i, line in ipairs(lines) do
    while text.length(line) > width do line = line:gsub("[%z\1-\127\194-\244][\128-\191]*$", "") end
    lines[i] = line
  end
  return lines
end

-- How much of the sweep is done, and all of it, in units of work: trials, or while halving epochs, whose
-- number is an estimate.
function board.work(s, found)
  local done, all = 0, 0
  if #s.rungs == 0 then
    local over = (found.counts.done or 0) + (found.counts.failed or 0)
    return over, #s.trials
  end
  for rung, budget in ipairs(s.rungs) do
    local paid = budget - (s.rungs[rung - 1] or 0)
    all = all + math.max(1, math.floor(#s.trials / s.eta ^ (rung - 1))) * paid
    for number = 1, #s.trials do
      if found.known[number][rung] then done = done + paid end
    end
  end
  return done, math.max(done, all)
end

local function plural(n, word) return ("%d %s%s"):format(n, word, n == 1 and "" or "s") end

-- "24 trials: 9 done, 2 at work, 13 waiting".
local function summary_of(s, found, left)
  local words = {}
  for _, state in ipairs{ "done", "at work", "cut off", "waiting", "failed" } do
    if found.counts[state] then words[#words + 1] = ("%d %s"):format(found.counts[state], state) end
  end
  local line = plural(#s.trials, "trial") .. ": " .. table.concat(words, ", ")
  return left and line .. "; about " .. progress.duration(left) .. " left" or line
end

-- The epochs that a trial at work will have.
local function budget_of(s, row)
  local rung = row.record and row.rung + 1 or 1
  return s.rungs[rung] or row.trial.values.epochs
end

local function at_work(s, found)
  local words = {}
  for _, row in ipairs(found.rows) do
    if row.state == "at work" then
      local budget = budget_of(s, row)
      local epoch = (row.epochs or 0) + 1
      words[#words + 1] = budget and epoch > budget and ("%03d at its score"):format(row.number)
        or ("%03d in epoch %d%s"):format(row.number, epoch, budget and " of " .. budget or "")
    end
  end
  return #words > 0 and "at work: " .. table.concat(words, "; ") or nil
end

-- The first of the trials' numbers, and how many more there are.
local function listed(numbers)
  local more = #numbers - NAMED
  if more > 0 then return ("%s and %d more"):format(table.concat(numbers, ", ", 1, NAMED), more) end
  return table.concat(numbers, ", ")
end

-- A sentence on the trials that these galaxies do not tell from the best one.
local function together(found)
  local numbers = {}
  for _, row in ipairs(found.rows) do
    if row.place and row.place > 1 and row.apart == false then
      numbers[#numbers + 1] = ("%03d"):format(row.number)
    end
  end
  if #numbers == 0 then return nil end
  return ("not told apart from the best on these %d galaxies: %s"):format(found.galaxies, listed(numbers))
end

-- Sentences on the trials that failed, one for each reason.
local function failures(found)
  local reasons, of = {}, {}
  for _, row in ipairs(found.rows) do
    if row.state == "failed" then
      local reason = row.reason or ""
      if not of[reason] then reasons[#reasons + 1], of[reason] = reason, {} end
      table.insert(of[reason], ("%03d"):format(row.number))
    end
  end
  for i, reason in ipairs(reasons) do
    local numbers = of[reason]
    reasons[i] = ("trial%s %s failed: %s"):format(#numbers > 1 and "s" or "", listed(numbers), reason)
  end
  return reasons
end

--- board.lines(s, found[, {most = 12, width = 80, left = nil, all = false}]): a list of lines. found: of
-- results.of. most: trials in the table; left: seconds that are left; all: true names each failed trial with
-- its reason, on lines of its own.
function board.lines(s, found, o)
  o = o or {}
  local width = o.width or 80
  local lines = text.filled(summary_of(s, found, o.left), width)
  local rows, left_out = table_lines(s, found, o.most or 12, width)
  for _, line in ipairs(rows) do lines[#lines + 1] = line end
  local more = #left_out > 0 and "results.csv also has " .. table.concat(left_out, ", ") or ""
  for _, sentence in ipairs{ more, together(found) or "", at_work(s, found) or "" } do
    if sentence ~= "" then
      for _, line in ipairs(text.filled(sentence, width)) do lines[#lines + 1] = line end
    end
  end
  for _, said in ipairs(o.all and failures(found) or {}) do
    for _, line in ipairs(text.filled(said, width)) do lines[#lines + 1] = line end
  end
  return cut(lines, width)
end

--- board.text(s): the sweep as it stands, as one text.
function board.text(s) return table.concat(board.lines(s, results.of(s), { all = true, most = 20 }), "\n") end

return board
