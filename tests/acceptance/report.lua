-- What acceptance runs have in common: experiments run as a user runs them, bars printed with pass or "falls
-- short", and the one line of RESULTS.md. Not a run itself.
local report = {}

local Report = {}
Report.__index = Report

local function output(command)
  local pipe = io.popen(command .. " 2>/dev/null")
  local text = pipe and pipe:read "*l"
  if pipe then pipe:close() end
  return text
end

local function cpu()
  for line in io.lines "/proc/cpuinfo" do
    local name = line:match "^model name%s*:%s*(.*)$"
    if name then return name end
  end
  return "unknown CPU"
end

--- report.new(name, record): record = true appends a line to RESULTS.md beside this file at the end.
function report.new(name, record)
  return setmetatable({ name = name, record = record, figures = {}, short = 0 }, Report)
end

--- report.columns(t, names): columns of a table (gal.table) as one tensor {rows, names}.
function report.columns(t, names)
  local list = {}
  for i, name in ipairs(names) do list[i] = t:column(name):reshape { t.rows, 1 } end
  return require("gal").cat(list, 2)
end

--- report.seconds(out): how long the training in the folder took, by its timing.csv.
function report.seconds(out)
  local sum = 0
  for line in io.lines(out .. "/timing.csv") do sum = sum + (tonumber(line:match "^%d+,(.*)$") or 0) end
  return sum
end

-- The command that runs an experiment of that name with these options; it is printed.
local function command_of(experiment, options)
  local host = require "gal.host"
  local command = ("'%s' '%s/experiments/%s.lua' %s"):format(host.executable, host.root, experiment, options)
  print(command)
  io.stdout:flush()
  return command
end

--- report.succeeds(experiment, options): runs an experiment; raises where it fails.
function report.succeeds(experiment, options)
  if os.execute(command_of(experiment, options)) ~= 0 then error(experiment .. " failed", 0) end
end

--- report.watched(experiment, options): runs an experiment. Returns its output in one line, seconds, the most
-- MiB of anonymous memory (RssAnon of /proc, twenty times a second), and the exit code.
function report.watched(experiment, options)
  local now = require("ffi").C.gal_now
  local start, peak, lines, code = tonumber(now()), 0, {}, nil
  local pipe = io.popen(command_of(experiment, options) .. " & p=$!; while kill -0 $p 2>/dev/null; do "
    .. "grep RssAnon /proc/$p/status 2>/dev/null; sleep 0.05; done; wait $p; echo code $?")
  for line in pipe:lines() do
    local kilobytes = line:match "^RssAnon:%s*(%d+)"
    if kilobytes then
      peak = math.max(peak, kilobytes / 1024)
    else
      print(line)
      lines[#lines + 1] = line
    end
    code = line:match "^code (%d+)$" or code
  end
  pipe:close()
  return table.concat(lines, " "), tonumber(now()) - start, peak, tonumber(code)
end

-- Prints a bar and keeps its figure; side: "most" or "least".
local function add_bar(self, passed, what, value, side, limit)
  if not passed then self.short = self.short + 1 end
  local verdict = passed and "pass" or "FALLS SHORT"
  print(("%-12s %s: %.4g, asked for at %s %.4g"):format(verdict, what, value, side, limit))
  local sign = side == "most" and "<=" or ">="
  self.figures[#self.figures + 1] = ("%s %.4g (%s %.4g)"):format(what, value, sign, limit)
end

--- r:bar(what, value, most): one bar: the value is at most `most`.
function Report:bar(what, value, most) add_bar(self, value <= most, what, value, "most", most) end

--- r:least(what, value, least): one bar: the value is at least `least`.
function Report:least(what, value, least) add_bar(self, value >= least, what, value, "least", least) end

--- r:figure(what): a figure without a bar, a text.
function Report:figure(what) self.figures[#self.figures + 1] = what end

-- The line of RESULTS.md.
local function append(self, verdict)
  local here = debug.getinfo(1, "S").source:match "^@(.*)/" or "."
  local commit = output(("git -C '%s' rev-parse --short HEAD"):format(here)) or "no commit"
  if output(("git -C '%s' status --porcelain -uno"):format(here)) then commit = commit .. " and changes" end
  local file = assert(io.open(here .. "/RESULTS.md", "a"))
  file:write(("| %s | %s | %s | %s | %s | %s |\n"):format(os.date "!%Y-%m-%d", self.name, verdict,
    table.concat(self.figures, "; "), cpu(), commit))
  file:close()
end

--- r:close(): the verdict and the line in RESULTS.md; returns how many bars are not reached.
function Report:close()
  local verdict = self.short == 0 and "pass" or ("falls short in %d"):format(self.short)
  print(verdict)
  if self.record then append(self, verdict) end
  return self.short
end

--- r:finish(): closes it and ends the process: 0, or 1 where a bar is not reached.
function Report:finish() os.exit(self:close() == 0 and 0 or 1, true) end

return report
