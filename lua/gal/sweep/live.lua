-- sweep/live: shows a sweep while it runs, on standard error as gal.base.progress does: on a terminal its
-- table, redrawn in place; elsewhere a line for each trial that is over. The final table goes to standard
-- output.
local C = require("ffi").C
local board = require "gal.sweep.board"
local host = require "gal.base.host"

local live = {}
local Live = {}
Live.__index = Live

--- live.new(s[, {columns =, out =}]): the table of a sweep; columns: the terminal's width, nil where there is
-- none; out: a file to write to.
function live.new(s, o)
  o = o or {}
  local self = setmetatable({ s = s, out = o.out or io.stderr, said = {}, drawn = 0 }, Live)
  self.began = C.gal_now()
  self.columns = o.columns or host.columns(2)
  return self
end

-- Seconds that are left, by what was done since this process began to look.
local function left_of(self, found)
  local done, all = board.work(self.s, found)
  self.origin = self.origin or done
  local worked = done - self.origin
  return worked > 0 and (all - done) * (C.gal_now() - self.began) / worked or nil
end

-- A line for each trial that came to a rung's end since the last call.
local function log(self, found)
  for _, row in ipairs(found.rows) do
    for rung, record in pairs(found.known[row.number]) do
      local key = row.number .. "." .. rung
      if not self.said[key] then
        self.said[key] = true
        local what = record.state == "done" and ("log p %.3f"):format(record.log_p)
          or "failed: " .. (record.reason or "")
        if self.told then
          local epochs = ("%d epoch%s"):format(record.epochs or 0, record.epochs == 1 and "" or "s")
          self.out:write(("%s, %s, %s\n"):format(row.trial.name, epochs, what))
        end
      end
    end
  end
  self.told = true
  self.out:flush()
end

--- l:show(found): shows the results so far (results.of).
function Live:show(found)
  if not self.columns then return log(self, found) end
  local lines = board.lines(self.s, found, { left = left_of(self, found), width = self.columns - 1 })
  local up = self.drawn > 0 and ("\27[%dA"):format(self.drawn) or ""
  self.out:write("\r", up, "\27[J", table.concat(lines, "\n"), "\n")
  self.out:flush()
  self.drawn = #lines
end

--- l:finish(found): the table as it ended, with the reasons of failures.
function Live:finish(found)
  if not self.columns then log(self, found) end
  local up = self.drawn > 0 and ("\r\27[%dA\27[J"):format(self.drawn) or ""
  local width = math.max(80, (self.columns or 80) - 1)
  local lines = board.lines(self.s, found, { all = true, most = 20, width = width })
  self.out:write(up)
  self.out:flush()
  io.stdout:write(table.concat(lines, "\n"), "\n")
  self.drawn = 0
end

return live
