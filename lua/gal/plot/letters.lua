-- A figure's script for gnuplot's text terminal: labels that letters can show. There a label is as wide as
-- its letters are many, nothing is turned or small, and markup stays out.
local letters = {}

local WIDEST = 110 -- columns
local LEAST, MOST = 16, 72 -- rows
local BELOW = 3.2  -- rows beneath the lowest axis: its numbers, and its label

--- letters.size(script, columns) --> columns and rows of the figure in a terminal of so many columns; script:
-- its text, width and height (any unit).
function letters.size(script, columns)
  columns = math.min(columns, WIDEST) - 1
  local lowest = 1
  for bottom in script.text:gmatch "bmargin at screen ([%d.]+)" do
    lowest = math.min(lowest, tonumber(bottom) > 0 and tonumber(bottom) or 1)
  end
  local rows = math.max(columns * script.height / script.width * 0.5, BELOW / lowest, LEAST)
  return columns, math.floor(math.min(rows, MOST) + 0.5)
end

--- letters.plain(label) --> a label of gnuplot's enhanced text without its markup.
function letters.plain(label)
  return (label:gsub("\226\129\160", ""):gsub("{/[^%s{}]*%s", "{"):gsub("[_^]{", "{"):gsub("[{}]", ""))
end

-- The letters of a label without its markup, cut to `room` of them.
local function cut(label, room)
  local signs = {}
  for sign in letters.plain(label):gmatch "[%z\1-\127\194-\244][\128-\191]*" do signs[#signs + 1] = sign end
  room = math.max(3, math.floor(room))
  if #signs > room then
    for i = #signs, room, -1 do signs[i] = nil end
    signs[room] = "…"
  end
  return signs
end

-- A turned label, letter below letter.
local function upright(signs, x, y, rows)
  local lines = {}
  for i, sign in ipairs(signs) do
    local at = y + ((#signs + 1) / 2 - i) / (rows - 1) -- gnuplot's screen goes from the first row to the last
    lines[i] = ('set label "%s" at screen %.5f,screen %.5f center noenhanced'):format(sign, x, at)
  end
  return table.concat(lines, "\n")
end

local MARGINS = "lmargin at screen ([%d.]+).-rmargin at screen ([%d.]+).-bmargin at screen ([%d.]+)"
  .. ".-tmargin at screen ([%d.]+)"

--- letters.script(text, columns, rows) --> the script for so many columns and rows.
function letters.script(text, columns, rows)
  -- A value and its two errors, which stand above each other, in one label.
  local error_label = '\nset label "(%s[^"\n]*)" [^\n]*'
  text = text:gsub('(set label "[^\n]-)(" at [^\n]*)' .. error_label:format "+" .. error_label:format "−",
    "%1 %3 %4%2")
  local width, height = columns, rows -- of the panel
  return (text:gsub("[^\n]+", function(line)
    local left, right, bottom, top = line:match(MARGINS)
    if left then width, height = (right - left) * columns, (top - bottom) * rows end
    local label, place, how = line:match '^set label "(.-)" at (.-) (%l.*)$'
    if not label then return nil end
    local x, y = place:match "^screen ([%d.]+),screen ([%d.]+)$"
    if how:find "^center rotate by 90" and x then return upright(cut(label, height + 1), x, y, rows) end
    local signs = cut(label, how:find "^center" and width + 1 or columns)
    how = how:gsub("%f[%a]enhanced", "noenhanced")
    return ('set label "%s" at %s %s'):format(table.concat(signs), place, how)
  end))
end

return letters
