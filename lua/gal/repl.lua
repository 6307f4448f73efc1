-- repl: what the prompt does with a line: what it means, how its values look, where the help of a name comes
-- from, what Tab adds. The host (runtime/host/repl.c) reads lines, keeps the history, handles Ctrl-C and
-- prints the strings that it gets; only gal.show prints here.
local chunks = require "gal.prompt.chunks"
local commands = require "gal.prompt.commands"
local complete = require "gal.prompt.complete"
local help = require "gal.prompt.help"
local hints = require "gal.prompt.hints"
local host = require "gal.base.host"
local values = require "gal.prompt.values"

local repl = { marks = chunks.marks }

local MODULES = "calibration cli data flow images infer metrics mock nn ode optim plot sweep train"
local chunk_text -- of the chunk that was compiled last

--- repl.format(value) --> any value as a user wants to see it: strings quoted, tables to a limited depth and
-- width, tensors summarised.
function repl.format(value) return values.format(value) end

--- repl.compile(text, line, at_end): compiles the text of a chunk whose first line is number `line`. Returns
-- a function of repl.marks; or nil and a message; or nil where more lines are needed. at_end: there are no
-- more lines. The function of an expression (also `= expression`) returns a mark and its values, that of
-- `?name` the help.
function repl.compile(text, line, at_end)
  chunk_text = text
  local figures = package.loaded["gal.plot.show"]
  if figures then figures.told = nil end
  return chunks.compile(text, line, at_end)
end

--- repl.next_chunk(text[, line]) --> the first chunk of a pasted text, what is left of it, and the number of
-- its first line; nil at its end.
function repl.next_chunk(text, line) return chunks.next(text, line) end

--- repl.unfinished(text): whether a pasted text ends inside a chunk.
function repl.unfinished(text) return chunks.unfinished(text) end

--- repl.complete(before) --> gone, more, choice: what Tab does behind the text `before` of a line: it takes
-- `gone` bytes away, puts the text `more` there, and shows the text `choice` (nil: nothing).
function repl.complete(before) return complete.line(before) end

--- repl.help(asked) --> the help of the expression `asked`, a name such as gal.randn, x:sum, gal.train.quick
-- or gal.plot; tostring gives its text.
function repl.help(asked) return help.of(asked) end

--- repl.hinted(message) --> an error's message, with a hint where a tensor was compared by a sign.
function repl.hinted(message) return hints.hinted(message, chunk_text) end

--- repl.filled(text) --> an error's text, in lines that fit the terminal; as it is where there is none.
function repl.filled(text)
  return host.columns() and help.filled(text, host.columns() - 1) or text
end

-- What is shown of a value; nil of a figure, which shows itself on a terminal.
local function shown(value)
  local figures = package.loaded["gal.plot.show"]
  if figures and host.columns() and figures.is_figure(value) then
    figures.itself(value)
    return nil
  end
  if figures and host.columns() and value ~= nil and value == figures.told then return nil end
  if values.is_text(value) then
    local width = host.columns()
    width = not value.fixed and width
    return width and help.filled(value.text, math.min(width, values.width())) or value.text
  end
  return values.format(value)
end

--- repl.show(mark, ...) --> the text of a chunk's results, one below the other, or nil where there are none
-- or the mark says so. The global _ keeps the first that is not nil.
function repl.show(mark, ...)
  local n = select("#", ...)
  if mark ~= chunks.marks.shown and mark ~= chunks.marks.quiet then
    return mark ~= nil and repl.show(chunks.marks.shown, mark, ...) or nil
  end
  local first = (...)
  if first ~= nil and not values.is_text(first) then rawset(_G, "_", first) end
  if n == 0 or mark == chunks.marks.quiet then return nil end
  local lines = {}
  for i = 1, n do lines[#lines + 1] = shown((select(i, ...))) end
  return #lines > 0 and table.concat(lines, "\n") or nil
end

--- repl.start() makes `gal`, `exit`, `who`, `time` and `trace` names of the session. Returns the greeting
-- and, if the library can't be loaded, why.
function repl.start()
  local C = require("ffi").C
  rawset(_G, "exit", host.exit)
  local ok, gal = pcall(require, "gal")
  if ok then rawset(_G, "gal", gal) end
  for _, name in ipairs{ "who", "time", "trace" } do
    if rawget(_G, name) == nil then rawset(_G, name, commands[name]) end
  end
  if host.interactive then
    commands.listen()
    for name in (ok and MODULES or ""):gmatch "%a+" do pcall(function() return gal[name] end) end -- for Tab
  end
  commands.begin()
  local isa = require("ffi").string(C.gal_cpu_isa())
  local words = "galrun %s on %s (%s, %d threads). ? shows what the prompt can do, ?name the help of a name; "
    .. "exit() or Ctrl-D leaves."
  local greeting = words:format(host.version, host.device, isa, C.gal_threads(0))
  if host.columns() then greeting = help.filled(greeting, values.width()) end
  return greeting, not ok and "The library could not be loaded: " .. tostring(gal):match("^[^\n]*") or nil
end

return repl
