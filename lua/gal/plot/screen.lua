-- Pictures in the terminal: what it shows, asked once, and a figure's file as that. Nothing goes to what is
-- no terminal.
--
-- kitty (and ghostty) take a PNG by kitty's graphics protocol, iTerm2 and WezTerm by OSC 1337; a terminal
-- with sixels says so among its attributes (DA1, 4). For sixels and text gnuplot draws the figure again, from
-- the script beside it.
local errors = require "gal.base.errors"
local cells_of = require "gal.plot.cells"
local folder = require "gal.base.path"
local host = require "gal.base.host"
local letters = require "gal.plot.letters"
local pictures = require "gal.plot.shades"
local words = require "gal.base.text"

local screen = {}

-- ---- what the terminal shows ----

local QUESTION = "\27_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\27\\\27[16t\27[c" -- kitty's test, a cell's size, DA1
local PLAIN = "\27[16t\27[c"                                            -- tmux takes the first for a title

local known -- the kind, once it is known
local cell  -- {width, height} in pixels, from the answer

-- Whether the terminal is tmux or screen, inside another.
local function within(environment)
  local term = environment "TERM"
  return environment "TMUX" or term:find "^screen" or term:find "^tmux"
end

--- screen.named(environment) --> the kind of a terminal that is known by name; nil where it has to be asked.
-- environment: a function, os.getenv.
function screen.named(environment)
  local term, program = environment "TERM", environment "TERM_PROGRAM"
  if not term or term == "dumb" then return "text" end
  if within(environment) then return nil end
  if term == "xterm-kitty" or term == "xterm-ghostty" then return "kitty" end
  local iterm = program == "iTerm.app" or program == "WezTerm" or environment "LC_TERMINAL" == "iTerm2"
  return iterm and "iterm" or nil
end

--- screen.answered(answer) --> the kind of a terminal by its answer, and the width and height of its cells in
-- pixels, where it says them.
function screen.answered(answer)
  local height, width = answer:match "\27%[6;(%d+);(%d+)t"
  local attributes = answer:match "\27%[%?([%d;]*)c" or ""
  local sixel = (";" .. attributes .. ";"):find(";4;", 1, true)
  local kind = answer:find("\27_Gi=31;OK", 1, true) and "kitty" or sixel and "sixel" or "text"
  return kind, tonumber(width), tonumber(height)
end

--- screen.kind() --> "kitty", "iterm", "sixel", "text" or "none": how figures are shown. --pictures says, or
-- the terminal is known by its name, or it is asked, once.
function screen.kind()
  if not host.columns() then return "none" end
  if host.pictures ~= "auto" then return host.pictures end
  known = known or screen.named(os.getenv)
  if known then return known end
  local answer = host.ask(within(os.getenv) and PLAIN or QUESTION)
  if not answer then return "text" end -- it can't be asked now
  local kind, width, height = screen.answered(answer)
  known, cell = kind, width and { width, height }
  return known
end

-- Columns, rows, and the width and height of a cell in pixels.
local function cells()
  local columns, rows, width, height = host.cells()
  if width == 0 or height == 0 then width, height = unpack(cell or { 8, 16 }) end
  return columns, rows, width, height
end

-- ---- a figure's file ----

-- The folder, the name without its ending, and the ending of a path.
local function taken_apart(path)
  local home, name = path:match "^(.*/)([^/]*)$"
  name = name or path
  return home or "./", name:match "^(.*)%.[^.]*$" or name, (name:match "%.([^.]*)$" or ""):lower()
end

-- gnuplot's script beside a figure, with its width and height in pixels of 1/96 inch and its type in points;
-- nil where there is none.
local function script_of(path)
  local home, name = taken_apart(path)
  local read, text = pcall(folder.read, home .. name .. ".gp")
  if not read or not text then return nil end
  local width, height, points = text:match "set terminal svg size (%d+),(%d+) font 'Sans,([%d.]+)'"
  width, height, points = tonumber(width), tonumber(height), tonumber(points)
  return width and { text = text, home = home, width = width, height = height, type = points }
end

-- A script for the picture at path, where no script made it.
local function script_for(path, width, height)
  local home, name, ending = taken_apart(path)
  local kind = ({ png = "png", jpg = "jpg", jpeg = "jpg" })[ending]
  local file = (name .. path:match "%.[^.]*$"):gsub("'", "''")
  return kind and {
    home = home, width = width, height = height, type = 8,
    text = ("unset border; unset tics; unset key; set margins 0,0,0,0; set size ratio -1\n"
      .. "plot './%s' binary filetype=%s with rgbimage\n"):format(file, kind),
  }
end

local function quoted(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

-- What gnuplot writes when it draws the script by another terminal of its own; "" where it can't.
local function drawn(script, terminal)
  local path = os.tmpname()
  -- The word joiners of labels have no width on paper, and a cell's here.
  local text = script.text:gsub("\226\129\160", ""):gsub("set output output", "")
  folder.write(path, text)
  local set = ("output='-'; ending='none'; set terminal %s"):format(terminal)
  local command = "cd %s && gnuplot -e %s %s 2>/dev/null"
  local pipe = io.popen(command:format(quoted(script.home), quoted(set), quoted(path)))
  local bytes = pipe:read "*a"
  pipe:close()
  os.remove(path)
  errors.poll()
  return bytes or ""
end

-- ---- the four ways ----

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

--- screen.base64(bytes) --> the bytes as text of base 64 (RFC 4648).
function screen.base64(bytes)
  local digits, out = {}, {}
  for i = 0, 63 do digits[i] = DIGITS:sub(i + 1, i + 1) end
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local v = a * 65536 + (b or 0) * 256 + (c or 0)
    out[#out + 1] = digits[math.floor(v / 262144)] .. digits[math.floor(v / 4096) % 64]
      .. (b and digits[math.floor(v / 64) % 64] or "=") .. (c and digits[v % 64] or "=")
  end
  return table.concat(out)
end

-- The width and height of a PNG in pixels; nil where bytes are none.
local function size_of(bytes)
  local function number(at)
    local a, b, c, d = bytes:byte(at, at + 3)
    return ((a * 256 + b) * 256 + c) * 256 + d
  end
  if bytes:sub(1, 8) ~= "\137PNG\r\n\26\n" or #bytes < 24 then return nil end
  return number(17), number(21)
end

-- How much a picture of this size, in pixels, is made smaller to fit the terminal.
local function scale_of(width, height)
  local columns, rows, cell_width, cell_height = cells()
  local scale = math.min(1, columns * cell_width / width)
  return math.min(scale, math.max(rows - 3, 10) * cell_height / height)
end

local function kitty(text, columns, rows)
  local parts = {}
  for at = 1, #text, 4096 do
    local more = at + 4096 <= #text and 1 or 0
    local head = at == 1 and ("a=T,f=100,q=2,c=%d,r=%d,"):format(columns, rows) or ""
    parts[#parts + 1] = ("\27_G%sm=%d;%s\27\\"):format(head, more, text:sub(at, at + 4095))
  end
  return table.concat(parts) .. "\n"
end

-- The PNG as it is. A figure in another format is drawn as one.
local function as_png(kind, path, script)
  local _, _, ending = taken_apart(path)
  local png = ending == "png" and folder.read(path) or script and drawn(script,
    ("pngcairo size %d,%d font 'Sans,%g' fontscale 2 linewidth 2 enhanced background 'white'"):format(
      2 * script.width, 2 * script.height, script.type))
  local width, height = size_of(png or "")
  if not width then return "" end
  if script then width, height = script.width, script.height end
  local _, _, cell_width, cell_height = cells()
  local scale = scale_of(width, height)
  local columns = math.max(1, math.floor(width * scale / cell_width + 0.5))
  local rows = math.max(1, math.floor(height * scale / cell_height + 0.5))
  local text = screen.base64(png)
  if kind == "kitty" then return kitty(text, columns, rows) end
  return ("\27]1337;File=inline=1;size=%d;width=%d;preserveAspectRatio=1:%s\a\n"):format(#png, columns, text)
end

local function as_sixels(script)
  local scale = scale_of(script.width, script.height)
  local terminal = "sixelgd truecolor enhanced size %d,%d font 'Sans,%.1f' background '#ffffff'"
  local width, height = script.width * scale, script.height * scale
  local bytes = drawn(script, terminal:format(width, height, script.type * scale))
  return bytes ~= "" and bytes .. "\n" or "" -- the cursor stays in the picture's last line
end

local WIDEST = 132 -- columns: a figure that is wider says no more

-- The pictures of a figure in the lines of text that gnuplot drew around them.
local function with_pictures(lines, found, home)
  for _, panel in ipairs(found.panels) do
    local bytes = panel.picture and folder.read(home .. panel.picture.file)
    if bytes then pictures.paint(lines, panel.box, bytes, panel.picture) end
    if panel.picture then
      for i, head in ipairs(panel.heads) do pictures.write(lines, panel.box, i - 1 - #panel.heads, head) end
    end
  end
end

local function as_text(script)
  local all, high = host.cells()
  local columns = math.min(all, WIDEST) - 1
  local found = letters.read(script.text)
  local rows = cells_of.arrange(found, columns, high - 4 - #letters.legend(found, columns),
    script.height / script.width * 0.5)
  script.text = letters.write(found, columns, rows)
  local lines = {}
  for line in drawn(script, ("dumb size %d,%d enhanced mono"):format(columns, rows)):gsub("^\f\n?", "")
    :gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  with_pictures(lines, found, script.home)
  for _, line in ipairs(letters.legend(found, columns)) do lines[#lines + 1] = line end
  local told = found.left_out and ("The %d panels of two properties want %d columns, and this terminal "
    .. "has %d; the picture has them."):format(found.left_out, found.wants, all)
  for _, line in ipairs(told and words.filled(told, columns) or {}) do lines[#lines + 1] = line end
  return ((table.concat(lines, "\n") .. "\n"):gsub(" +\n", "\n"):gsub("^\n+", ""))
end

--- screen.text(path) --> what is written to the terminal to show the figure at path: "" where it can't be
-- shown.
function screen.text(path)
  local kind = screen.kind()
  if kind == "none" then return "" end
  local script = script_of(path)
  if kind == "kitty" or kind == "iterm" then return as_png(kind, path, script) end
  if kind == "text" then return script and as_text(script) or "" end
  if not script then
    local width, height = size_of(folder.read(path, 24) or "")
    script = script_for(path, width or 480, height or 480)
  end
  return script and as_sixels(script) or ""
end

return screen
