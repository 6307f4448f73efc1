-- fetch/pages: fetches a long table from an archive, page by page, into a folder: the rows as a .csv file,
-- the query beside them. Each page is on disk before the next one is asked for; stopped or killed, it goes on
-- there.
local C = require("ffi").C
local errors = require "gal.base.errors"
local options = require "gal.base.options"
local run = require "gal.base.run"
local answers = require "gal.fetch.answers"
local server = require "gal.fetch.server"
local text = require "gal.base.text"
local raise = errors.raise

local M = {}

local TABLE, PART, QUERY = "catalog.csv", "catalog.csv.part", "query.sql"
local MOST = 2 ^ 28   -- bytes of a page: 500,000 rows, the most that SkyServer gives, of 500 each
local STALL = 660     -- seconds: SkyServer ends a query after 600
local NAMES = {
  "out", "server", "path", "query", "counting", "columns", "unique", "n", "page", "manners", "tries", "hurry",
  "about", "report",
}

-- Whether the id a, a whole number in decimal digits, is larger than b: doubles have too few digits.
local function larger(a, b) return #a > #b or #a == #b and a > b end

-- The last id of these rows; raises unless each is a number, and larger than the one before it: a server that
-- answered otherwise would be asked for ever.
local function last_of(rows, last)
  for i, row in ipairs(rows) do
    local id = row:match "^[^,]*"
    if not id:find "^[1-9]%d*$" then
      raise("fetch: row %d of a page has the id %q, expected a whole number above 0", i, id)
    end
    if not larger(id, last) then
      raise("fetch: a page has the id %s behind %s, expected them in rising order", id, last)
    end
    last = id
  end
  return last
end

-- The rows of the table that answers a query, with these columns and at most `most` rows; raises where they
-- can't be had. called: the table's name in a sentence; counts: how often an answer was not a table, by kind.
local function rows_of(s, o, query, columns, most, called, counts)
  local form, after, before = server.form{ { "cmd", query }, { "format", "csv" } }, 0, nil
  for try = 1, o.tries do
    s:ask{ path = o.path, form = form, most = MOST, stall = STALL * o.hurry, after = after }
    local rows, kind, sentence = answers.rows(s:next(), columns)
    if rows and #rows > most then
      rows, kind, sentence = nil, "other table", ("it has %d rows, expected at most %d"):format(#rows, most)
    end
    if rows then return rows end
    local wait = answers.wait(kind, sentence, before)
    if wait then counts[kind] = (counts[kind] or 0) + 1 end
    if not wait or try == o.tries then raise("fetch: no %s: %s (%s)", called, sentence, kind) end
    after, before = wait * o.hurry, sentence
  end
end

-- The rows of the page behind the id `last`, at most `count`.
local function page_of(s, o, last, count, counts)
  local query = o.query:gsub("{last}", last):gsub("{count}", ("%d"):format(count))
  return rows_of(s, o, query, o.columns, count, "table after the id " .. last, counts)
end

-- How many rows the table has in all, by the query o.counting; nil where the database refuses: counting may
-- take longer than it allows.
local function total_of(s, o, counts)
  if not o.counting then return nil end
  local ok, rows = pcall(rows_of, s, o, o.counting, { "n" }, 1, "count of rows", counts)
  if ok then return tonumber(rows[1]) end
  if rows == errors.interrupted or not tostring(rows):find "%((database)%)$" then error(rows, 0) end
end

-- The value of each row in the column of that number.
local function value_of(row, place)
  for value in (row .. ","):gmatch "([^,]*)," do
    place = place - 1
    if place == 0 then return value end
  end
end

-- A function from a page's rows to those whose value of the column o.unique has not come before; lines: the
-- rows that are on disk already.
local function unique_rows(o, lines)
  local place, seen
  for i, name in ipairs(o.columns) do place = name == o.unique and i or place end
  local function new(rows)
    if not place then return rows end
    local kept = {}
    for _, row in ipairs(rows) do
      local value = value_of(row, place)
      if not seen[value] then kept[#kept + 1] = row end
      seen[value] = true
    end
    return kept
  end
  seen = {}
  new(lines)
  return new
end

local function fetch(work, o, counts)
  local head = table.concat(o.columns, ",") .. "\n"
  work:write(QUERY, o.query .. "\n")
  local lines, bytes = work:lines(PART, head)
  local rows, new = work:grow(PART, head, bytes), unique_rows(o, lines)
  local last, have, twins = #lines > 0 and lines[#lines]:match "^[^,]*" or "0", #lines, 0
  local s = server.open(o.server, o.manners)
  local ok, err = pcall(function()
    local total = total_of(s, o, counts)
    if o.report then o.report(have, total) end
    while have < o.n do
      local page = page_of(s, o, last, math.min(o.page, o.n - have), counts)
      if #page == 0 then break end
      last = last_of(page, last)
      local kept = new(page)
      if #kept > 0 then rows:put(table.concat(kept, "\n") .. "\n") end
      rows:sync()
      have, twins = have + #kept, twins + #page - #kept
      if o.report then o.report(have, total) end
    end
  end)
  s:close()
  answers.add_tries(counts, s:counts())
  if not ok then error(err, 0) end
  work:rename(PART, TABLE)
  return have, twins
end

--- pages.fetch{out =, server =, path =, query =, counting =, columns =, unique =, n = 1000000, page = 10000,
-- manners =, tries = 8, hurry = 1, about =, report =} --> how many rows there are now; how often an answer
-- was not a table, by kind; and how many rows were left out in this call because another row has their value
-- of `unique`. The folder out gets catalog.csv with the columns, of which the first is the id, and query.sql.
-- query: SQL in which {last} stands for the last id that has come and {count} for how many rows are wanted,
-- in the order of ids. counting: SQL that answers with the number of all rows, as n. unique: a column whose
-- values are kept once, in the first row that has them. n: the most rows; page: rows a query; manners:
-- server.open's; tries: of a page whose answer is not a table; hurry: a factor on the waits before them;
-- about: further settings, by name, that a later call has to repeat; report(have, total) is called at first
-- and after each page, with total nil where it is not known.
function M.fetch(o)
  o = options.known("fetch", o, NAMES)
  for _, part in ipairs { "{last}", "{count}" } do
    if not errors.text("fetch", "query", o.query):find(part, 1, true) then
      raise("fetch: query has no %s, expected the place of the last id and of how many rows", part)
    end
  end
  local plan = setmetatable({
    n = options.integer("fetch", o, "n", 1e6, 1), page = options.integer("fetch", o, "page", 10000, 1, 5e5),
    tries = options.integer("fetch", o, "tries", 8, 1, 100),
    hurry = options.number("fetch", o, "hurry", 1, 1e-6, 1e3),
  }, { __index = o })
  local settings = {
    server = o.server, path = o.path, query = text.decimal(C.gal_hash(o.query, #o.query, 0)),
    columns = o.columns, n = plan.n,
  }
  for name, value in pairs(o.about or {}) do settings[name] = value end
  server.open(o.server, o.manners):close() -- refuses what is no address before there is a folder
  local work = run.open{
    where = "fetch", out = errors.text("fetch", "out", o.out), noun = "table", mark = TABLE,
    settings_file = "fetch.json", settings = settings,
  }
  local counts, rows, twins = {}, nil, 0
  work:work(function()
    if work.finished then
      rows = #work:lines(TABLE, table.concat(o.columns, ",") .. "\n")
    else
      rows, twins = fetch(work, plan, counts)
    end
  end)
  return rows, counts, twins
end

return M
