-- pages: a long table of an archive's, page by page, in a folder: the rows as a .csv file, the query beside
-- them. Each page is on disk before the next one is asked for; stopped or killed, it goes on there.
local errors = require "gal.base.errors"
local options = require "gal.base.options"
local run = require "gal.base.run"
local answers = require "gal.fetch.answers"
local server = require "gal.fetch.server"
local raise = errors.raise

local M = {}

local TABLE, PART, QUERY = "catalog.csv", "catalog.csv.part", "query.sql"
local MOST = 2 ^ 28   -- bytes of a page: 500,000 rows, the most that SkyServer gives, of 500 each
local STALL = 660     -- seconds: SkyServer ends a query after 600
local NAMES = {
  "out", "server", "path", "query", "columns", "n", "page", "manners", "tries", "hurry", "report",
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

-- The rows of the page behind the id `last`, at most `count`; raises where they can't be had.
local function page_of(s, o, last, count, counts)
  local query = o.query:gsub("{last}", last):gsub("{count}", ("%d"):format(count))
  local form, after = server.form{ { "cmd", query }, { "format", "csv" } }, 0
  for try = 1, o.tries do
    s:ask{ path = o.path, form = form, most = MOST, stall = STALL, after = after }
    local rows, kind, sentence, wait = answers.rows(s:next(), o.columns)
    if rows and #rows > count then
      rows, kind, sentence = nil, "other table", ("it has %d rows, expected at most %d"):format(#rows, count)
    end
    if rows then return rows end
    counts[kind] = (counts[kind] or 0) + 1
    if not wait or try == o.tries then
      raise("fetch: no table after the id %s: %s (%s)", last, sentence, kind)
    end
    after = wait * (o.hurry or 1)
  end
end

local function fetch(work, o, counts)
  local head = table.concat(o.columns, ",") .. "\n"
  work:write(QUERY, o.query .. "\n")
  local lines, bytes = work:lines(PART, head)
  local rows = work:grow(PART, head, bytes)
  local last, have = #lines > 0 and lines[#lines]:match "^[^,]*" or "0", #lines
  local s = server.open(o.server, o.manners)
  local ok, err = pcall(function()
    while have < o.n do
      local page = page_of(s, o, last, math.min(o.page, o.n - have), counts)
      if #page == 0 then break end
      last = last_of(page, last)
      rows:put(table.concat(page, "\n") .. "\n")
      rows:sync()
      have = have + #page
      if o.report then o.report(have, o.n) end
    end
  end)
  s:close()
  if not ok then error(err, 0) end
  work:rename(PART, TABLE)
  return have
end

--- pages.fetch{out =, server =, path =, query =, columns =, n = 1000000, page = 10000, manners =, tries = 5,
-- hurry =, report =} --> how many rows there are now, and how often an answer was no table, by its kind. The
-- folder out gets catalog.csv with the columns, of which the first is the id, and query.sql. query: SQL in
-- which {last} stands for the last id that has come and {count} for how many rows are wanted, in the order
-- of ids. n: the most rows; page: rows of a query; manners: server.open's; tries: of a page whose answer is
-- no table; hurry: a factor on the waits before them; report(have, n) is called after each page.
function M.fetch(o)
  o = options.known("fetch", o, NAMES)
  for _, part in ipairs { "{last}", "{count}" } do
    if not errors.text("fetch", "query", o.query):find(part, 1, true) then
      raise("fetch: query has no %s, expected the place of the last id and of how many rows", part)
    end
  end
  local plan = setmetatable({
    n = options.integer("fetch", o, "n", 1e6, 1), page = options.integer("fetch", o, "page", 10000, 1, 5e5),
    tries = options.integer("fetch", o, "tries", 5, 1, 100),
  }, { __index = o })
  local work = run.open{
    where = "fetch", out = errors.text("fetch", "out", o.out), noun = "table", mark = TABLE,
    settings_file = "fetch.json",
    settings = { server = o.server, path = o.path, query = o.query, columns = o.columns, n = plan.n },
  }
  local counts, rows = {}, nil
  work:work(function()
    if work.finished then
      rows = #work:lines(TABLE, table.concat(o.columns, ",") .. "\n")
    else
      rows = fetch(work, plan, counts)
    end
  end)
  return rows, counts
end

return M
