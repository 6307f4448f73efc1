-- fetch/answers: whether SkyServer's answer is a table, and what it says where it is not. Its refusals come
-- as JSON with a status, as a page of HTML that calls itself a success, and as a table with the one column
-- error_message (source of SkyServerWS, 2023), and a body may be cut short on its way: none of that is data.
local json = require "gal.base.json"

local M = {}

-- How long to wait before another try, in seconds, by kind; 5 for the others. A rate limit takes 60, as
-- SkyServer counts queries by the minute.
local WAITS = { ["rate limit"] = 60, ["cut table"] = 1, outside = 1, damaged = 1, ["other size"] = 1 }
-- After these no other try is made: the client has tried again already, or trying again can't help.
local FINAL = {
  busy = true, cut = true, stalled = true, unreachable = true, moved = true, untrusted = true, large = true,
}
-- These are about the query, not the state of the server: they are believed when they come twice.
local OF_QUERY = { json = true, refused = true, database = true, ["other table"] = true }

-- A sentence of the server's, on one line, at most 200 bytes.
local function shortened(text)
  text = text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  return #text > 200 and text:sub(1, 197) .. "..." or text
end

-- What a page of HTML says, without its tags.
local function words_of(html)
  return shortened((html:gsub("<[sS][cCtT][rRyY].-</[sS][cCtT][rRyY]%w*>", " "):gsub("<[^>]*>", " ")))
end

-- The kind of a message that came in such a form.
local function kind_of(message, form)
  return message:find "queries allowed per minute" and "rate limit" or form
end

-- What a body says that is neither a table nor a picture: kind and sentence; nil where it has none of the
-- forms that servers' messages have.
local function message_of(body)
  if not body:find "%S" then return "empty", "the answer is empty" end
  if body:find "^%s*<" then return "html", words_of(body) end
  local name, message = body:gsub("^#[^\n]*\n", ""):match "^([%a_]+)\r?\n(.*)$"
  if name and name:lower() == "error_message" then return kind_of(message, "database"), shortened(message) end
  local ok, content = pcall(json.decode, body)
  if not ok or type(content) ~= "table" then return nil end
  message = type(content.ErrorMessage) == "string" and content.ErrorMessage or body
  return kind_of(message, "json"), shortened(message)
end

-- The lines of a text; nil where the last one is cut, as it has no line break.
local function lines_of(text)
  if text:sub(-1) ~= "\n" then return nil end
  local lines = {}
  for line in text:gmatch "([^\n]*)\n" do lines[#lines + 1] = line:gsub("\r$", "") end
  return lines
end

-- answers.rows for a body whose status is a success.
local function rows_of(body, columns)
  local kind, message = message_of(body)
  if kind then return nil, kind, message end
  local lines = lines_of((body:gsub("^#[^\n]*\n", "")))
  if not lines or #lines == 0 then return nil, "cut table", "the table is cut within a line" end
  local names, expected = table.remove(lines, 1), table.concat(columns, ",")
  if names:lower() ~= expected:lower() then
    names, expected = shortened(names), shortened(expected)
    return nil, "other table", ("the columns are %s, expected %s"):format(names, expected)
  end
  for i, line in ipairs(lines) do
    local _, commas = line:gsub(",", "")
    if commas ~= #columns - 1 then
      return nil, "cut table", ("row %d has %d values, expected %d"):format(i, commas + 1, #columns)
    end
  end
  return lines
end

--- answers.words(answer) --> the kind of an answer (of s:next, fetch/server.lua) that is neither a table nor
-- a picture: "json", "html", "database", "rate limit", "empty", or one of s:next's; and a sentence.
function M.words(answer)
  if answer.kind ~= "whole" and answer.kind ~= "refused" then return answer.kind, answer.problem end
  local kind, message = message_of(answer.body)
  if answer.kind == "whole" then return kind or "no picture", message or shortened(answer.body) end
  kind, message = kind or "refused", message or shortened(answer.body)
  return kind, ("status %d: %s"):format(answer.status, message)
end

--- answers.rows(answer, columns) --> the rows of a table of numbers with these columns, a list (it may be
-- empty) of lines of a .csv file; or nil, the answer's kind ("cut table", "other table", or answers.words'
-- kinds) and a sentence.
function M.rows(answer, columns)
  if answer.kind == "whole" then return rows_of(answer.body, columns) end
  return nil, M.words(answer)
end

--- answers.wait(kind, sentence, before) --> how long to wait before another try, in seconds; nil where none
-- would help, as where the answer is about the query and the one before said the same sentence, `before`.
function M.wait(kind, sentence, before)
  if FINAL[kind] or OF_QUERY[kind] and sentence == before then return nil end
  return WAITS[kind] or 5
end

-- The kinds after which the client tries again by itself.
local TRIED = { "busy", "cut", "stalled", "unreachable" }

--- answers.add_tries(counts, tries): adds to counts, {kind = n}, how often the client has tried again by
-- itself. tries: s:counts().
function M.add_tries(counts, tries)
  for _, kind in ipairs(TRIED) do
    if tries[kind] then counts[kind] = (counts[kind] or 0) + tries[kind] end
  end
end

return M
