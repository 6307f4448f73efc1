-- What a line at the prompt means: an expression whose values are shown, statements, `?name`, `!command`; and
-- where a chunk of several lines ends.
local commands = require "gal.prompt.commands"
local help = require "gal.prompt.help"

local chunks = {}

-- The first result of a chunk is a mark: show the others, or, after a `;`, don't.
chunks.marks = { shown = {}, quiet = {} }

-- Each chunk is a function of its own, so a local of one would be gone in the next: the prompt makes the
-- first `local` of a chunk a name of the session.
local function without_local(text)
  local before, rest = text:match("^(%s*)local%s+(.*)$")
  if not before then return text end
  if rest:match("^function[%s]") then return before .. rest end
  local names, after = rest:match("^([%a_][%w_%s,]*)(.*)$")
  if not names then return text end
  if after:match("^=") then return before .. rest end
  -- Without a value, `local a, b` sets them to nil. Anything else after the names is left to the compiler's
  -- message.
  local declares = after:match("^;?%s*$") or after:match("^%-%-")
  return declares and before .. names:gsub("%s+$", "") .. " = nil " .. after or text
end

-- The expression in text, without the `;` after it, and whether there was one; a `;` in a comment does not
-- count.
local function without_semicolon(text)
  local rest = text:match "^(.*);%s*$"
  if not rest or loadstring("return " .. text .. " !") then return text, false end
  return rest, true
end

--- chunks.compile(text, line, at_end): compiles the text of a chunk whose first line is number `line`.
-- Returns a function of chunks.marks; or nil and a message; or nil where more lines are needed. at_end: there
-- are no more lines. The function of an expression (also `= expression`) returns a mark and its values, that
-- of `?name` the help.
function chunks.compile(text, line, at_end)
  local asked, command = text:match "^%s*%?(.*)$", text:match "^%s*!(.*)$"
  if asked then
    asked = asked:match "^%s*(.-)%s*$"
    return function(marks) return marks.shown, help.of(asked) end
  end
  if command then return function() commands.run(command) end end
  local lines = ("\n"):rep(line - 1)
  local equals = text:match("^%s*=(.*)$")
  text = equals or text
  local expression, quiet = without_semicolon(text)
  local chunk, message = loadstring(lines .. "return " .. expression, "=stdin")
  if chunk and expression:find("%S") then
    -- Not `return expression`: an error in a tail call would lose its line.
    local mark = quiet and "return (...).quiet, " or "return (...).shown, "
    chunk = loadstring(lines .. mark .. expression:gsub("%s+$", ""), "=stdin")
    if chunk then return chunk end -- else it is a comment
  end
  local open = message and message:match("'<eof>'$")
  if not equals then
    chunk, message = loadstring(lines .. without_local(text), "=stdin")
    if chunk then return chunk end
    open = open or message:match("'<eof>'$")
  end
  if open and not at_end then return nil end
  return nil, message
end

-- ---- a text of several chunks ----

-- Whether a line goes on with the expression before it.
local function goes_on(line)
  return line:find "^%s*[:.+*/^%%,=<>~]" or line:find "^%s*%-[^%-]" or line:find "^%s*and%f[%W]"
    or line:find "^%s*or%f[%W]"
end

--- chunks.next(text[, line = 1]) --> the first chunk of a text of several, what is left of the text, and the
-- number of its first line; and whether the chunk is not complete. nil at the end of the text. A chunk is as
-- few lines as can be compiled, and those that go on with its expression.
function chunks.next(text, line)
  if not text:find "%S" then return nil end
  local at, last, length, chunk, message = 1, nil, 0, nil, nil
  while at <= #text do
    local stop = text:find("\n", at, true) or #text
    if last and not goes_on(text:sub(at, stop)) then break end
    chunk, message = chunks.compile(text:sub(1, stop), 1, false)
    if chunk or message and not last then last = stop end
    at, length = stop + 1, length + 1
    if message and not chunk then break end
  end
  local taken = text:sub(1, last or #text)
  return taken, text:sub(#taken + 1), (line or 1) + select(2, taken:gsub("\n", "")), not last
end

--- chunks.unfinished(text): whether the last chunk of a text of several is not complete.
function chunks.unfinished(text)
  while text do
    local _, rest, _, open = chunks.next(text)
    if open then return true end
    text = rest
  end
  return false
end

return chunks
