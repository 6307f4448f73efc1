-- answers: whether what SkyServer has answered is a table. Its refusals come as JSON with a status, as a page
-- of HTML that calls itself a success, and as a table of the one column error_message (source of SkyServerWS,
-- 2023), and what lies between may cut a body short: none of that is data.
local json = require "gal.base.json"

local M = {}

-- What another try may help against, and how long to wait before it, in seconds. 60: SkyServer counts queries
-- by the minute.
local AGAIN = { ["rate limit"] = 60, html = 5, empty = 5, ["cut table"] = 1 }

-- A sentence of the server's, on one line and of a bearable length.
local function shortened(text)
  text = text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  return #text > 200 and text:sub(1, 197) .. "..." or text
end

-- What a page of HTML says, without its tags.
local function words_of(html)
  return shortened((html:gsub("<[sS][cCtT][rRyY].-</[sS][cCtT][rRyY]%w*>", " "):gsub("<[^>]*>", " ")))
end

-- What the body of a refusal says.
local function message_of(body)
  local ok, content = pcall(json.decode, body)
  if ok and type(content) == "table" and type(content.ErrorMessage) == "string" then
    return "json", shortened(content.ErrorMessage)
  end
  if body:find "^%s*<" then return "html", words_of(body) end
  return "refused", shortened(body)
end

-- The lines of a text that ends in a line break; nil where the last one is cut.
local function lines_of(text)
  if text:sub(-1) ~= "\n" then return nil end
  local lines = {}
  for line in text:gmatch "([^\n]*)\n" do lines[#lines + 1] = line:gsub("\r$", "") end
  return lines
end

-- The same of a body whose status is a success: rows, or nil, kind and sentence.
local function rows_of(body, columns)
  if not body:find "%S" then return nil, "empty", "the answer is empty" end
  if body:find "^%s*<" then return nil, "html", words_of(body) end
  if body:find "^%s*{" then return nil, message_of(body) end
  local lines = lines_of((body:gsub("^#[^\n]*\n", "")))
  if not lines or #lines == 0 then return nil, "cut table", "the table is cut within a line" end
  local names = table.remove(lines, 1)
  if names:lower() == "error_message" then
    local message = shortened(table.concat(lines, " "))
    return nil, message:find "queries allowed per minute" and "rate limit" or "database", message
  end
  local expected = table.concat(columns, ",")
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

--- answers.rows(answer, columns) --> the rows of a table of numbers with these columns, as lines of a .csv
-- file, maybe none; or nil, what the answer is ("json", "html", "database", "rate limit", "empty", "cut
-- table", "other table", or server's kinds), a sentence, and, where another try may help, how long to wait
-- before it, in seconds.
function M.rows(answer, columns)
  local rows, kind, sentence
  if answer.kind == "whole" then
    rows, kind, sentence = rows_of(answer.body, columns)
  elseif answer.kind == "refused" then
    kind, sentence = message_of(answer.body)
    return nil, kind, ("status %d: %s"):format(answer.status, sentence)
  else
    return nil, answer.kind, answer.problem
  end
  if rows then return rows end
  return nil, kind, sentence, AGAIN[kind]
end

return M
