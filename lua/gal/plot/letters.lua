-- Takes a figure's script apart and writes it anew for gnuplot's text terminal, in which a label is as wide
-- as it has letters, nothing is turned or small, and a line is drawn in the letter of its number. Labels,
-- numbers and legends are set anew, in full; gal.plot.cells places the panels.
local text = require "gal.base.text"
local ticks = require "gal.plot.ticks"
local words_of = require "gal.plot.text"

local letters = {}

-- ---- words ----

local function small(digit) return "\226\130" .. string.char(128 + tonumber(digit)) end -- U+2080 and on

--- letters.plain(label) --> a label of gnuplot's enhanced text without its markup: an index of digits becomes
-- small digits, one of letters follows a _.
function letters.plain(label)
  label = label:gsub("\226\129\160", ""):gsub("{/[^%s{}]*%s", "{"):gsub("\\\\?([{}%^_@&~])", "%1")
  repeat
    local count
    label, count = label:gsub("([_^]?)(%b{})", function(how, inner)
      inner = inner:sub(2, -2)
      if inner:find "[{}]" then return how .. "{" .. letters.plain(inner) .. "}" end
      if how == "_" and inner:find "^%d+$" then return (inner:gsub("%d", small)) end
      local power = how == "^" and inner:gsub("−", "-"):match "^%-?%d+$"
      if power then return words_of.raised(tonumber(power)) end
      return (how == "_" and inner:find "^%a+$" and "_" or "") .. inner
    end)
  until count == 0
  return label
end

-- Signs of UTF-8.
local SIGN = "[%z\1-\127\194-\244][\128-\191]*"

--- letters.cut(label, room) --> at most so many letters of it.
function letters.cut(label, room)
  local signs = {}
  for sign in label:gmatch(SIGN) do signs[#signs + 1] = sign end
  room = math.max(1, math.floor(room))
  if #signs <= room then return label end
  return table.concat(signs, "", 1, room - 1) .. "…"
end

-- ---- the script taken apart ----

local MARGINS = "lmargin at screen ([%d.]+).-rmargin at screen ([%d.]+).-bmargin at screen ([%d.]+)"
  .. ".-tmargin at screen ([%d.]+)"
local LABEL = '^set label [%d ]*(".*") at (%l+ [%d.e+%-]+,%s?%l+ [%d.e+%-]+) ?(.*)$'

-- Takes a statement of the script into its panel.
local function take(panel, line)
  local left, right, bottom, top = line:match(MARGINS)
  if left then
    panel.left, panel.right = tonumber(left), tonumber(right)
    panel.bottom, panel.top = tonumber(bottom), tonumber(top)
    return
  end
  if line:find "^set lmargin" then -- of a picture that fills the figure
    panel.left, panel.right, panel.bottom, panel.top = 0, 1, 0, 0.9
    return
  end
  local axis, list = line:match "^set ([xy])tics.-(%b())"
  if axis then
    panel[axis .. "ticks"] = panel[axis .. "ticks"] or {}
    for label, value, minor in list:gmatch '"(.-)" ([%d.e+%-]+)( ?1?)[,)]' do
      if minor == "" then table.insert(panel[axis .. "ticks"], { tonumber(value), label }) end
    end
    return
  end
  local log = line:match "%f[%a]set logscale ([xy])"
  if log then panel["log" .. log] = true end
  local of, low, high = line:match "^set ([xy])range %[(.-):(.-)%]"
  if of and not log then panel[of .. "range"] = { tonumber(low), tonumber(high) } end
  local label, place, how = line:match(LABEL)
  if label then
    panel.labels[#panel.labels + 1] = { words = letters.plain(label:sub(2, -2)), place = place, how = how }
  elseif line:find "^plot " then
    for clause in line:sub(6):gmatch "[^\1]+" do
      local which = clause:find "^keyentry" and "entries" or "clauses"
      if not clause:find "^NaN" then table.insert(panel[which], clause) end
    end
  elseif not (line:find "^unset [xy]tics" or line:find "key" or line:find "^set object"
    or line:find "^unset label" or line:find "^unset multiplot" or line:find "^set output") then
    panel.lines[#panel.lines + 1] = line
  end
end

-- The head of the script and its panels, legends and title among them.
local function taken_apart(script)
  local head, panels, panel = {}, {}, nil
  script = script:gsub(", \\\n%s*", "\1")
  for line in script:gmatch "[^\n]+" do
    local begins = line:find "^# panel" or panel and panel.plotted and not line:find "^unset multiplot"
      and not line:find "^set output"
    if begins or not panel and line:find "^set lmargin" then
      panel = { lines = {}, labels = {}, clauses = {}, entries = {}, pair = line:find "a pair$" ~= nil }
      panels[#panels + 1] = panel
    end
    if panel then take(panel, line) else head[#head + 1] = line end
    if panel and line:find "^plot " then panel.plotted = true end
  end
  return head, panels
end

-- ---- what stands where ----

-- Sorts a panel's labels: those of its axes, the title and the heads above it, those inside. A head and its
-- errors are one.
local function sort_labels(panel)
  local inside, heads = {}, {}
  for _, label in ipairs(panel.labels) do
    local x, y = label.place:match "^screen ([%d.]+), ?screen ([%d.]+)$"
    x, y = tonumber(x), tonumber(y)
    if not x then
      inside[#inside + 1] = label
    elseif label.how:find "rotate by 90" then
      panel.ylabel = label.words
    elseif y < panel.bottom then
      panel.xlabel = label.words
    elseif y > panel.top and label.how:find "font" and #heads > 0 then
      heads[#heads] = heads[#heads] .. " " .. label.words
    elseif y > panel.top then
      heads[#heads + 1] = label.words
    else
      inside[#inside + 1] = label
    end
  end
  panel.labels, panel.heads = inside, heads
end

local PICTURE = '^(".-") binary array=%((%d+),(%d+)%)'

--- letters.read(script) --> {head, panels, words, entries}: the script's head; its panels {left, right,
-- bottom, top (parts of the figure), xrange, yrange, logx, logy, xticks, yticks, xlabel, ylabel, heads,
-- labels, clauses, lines, pair, picture}; the words and entries of its legends.
function letters.read(script)
  local head, all = taken_apart(script)
  local found = { head = head, panels = {}, words = {}, entries = {}, colours = {} }
  local seen = {}
  for _, panel in ipairs(all) do
    for _, entry in ipairs(panel.entries) do
      if not seen[entry] then found.entries[#found.entries + 1], seen[entry] = entry, true end
    end
    if #panel.clauses == 0 then
      for _, label in ipairs(panel.labels) do
        local title = label.how:find "^center" and label.how:find "font"
        if title then found.title = label.words else found.words[#found.words + 1] = label.words end
      end
    else
      local file, width, height = panel.clauses[1]:match(PICTURE)
      panel.picture = file and { file = file:sub(2, -2), width = tonumber(width), height = tonumber(height) }
      sort_labels(panel)
      found.panels[#found.panels + 1] = panel
    end
  end
  return found
end

-- ---- ticks ----

local POINTS = 8
local LETTER = words_of.width("0", POINTS) -- mm: an axis of so many letters is so long
local LINE = words_of.height(POINTS)

-- Whether the labels of ticks are those of their numbers, and not words.
local function are_numbers(list)
  for _, tick in ipairs(list) do
    local label = tick[2]:gsub("−", "-")
    if label ~= "" and not tonumber(label) and not label:find "10" then return false end
  end
  return true
end

--- letters.ticks(panel, axis, room) --> the ticks {value, label} of an axis with room for so many letters (x)
-- or lines (y): none of their labels touches another one.
function letters.ticks(panel, axis, room)
  local list, range = panel[axis .. "ticks"], panel[axis .. "range"]
  if not list or not range then return {} end
  if #list > 0 and are_numbers(list) then
    local found = ticks.of(range[1], range[2], room * (axis == "x" and LETTER or LINE), {
      points = POINTS, log = panel["log" .. axis], upright = axis == "y", overhang = axis == "x" and LETTER,
    })
    list = {}
    for _, tick in ipairs(found) do
      if not tick.bare then list[#list + 1] = { tick[1], letters.plain(tick[2]) } end
    end
  end
  local log, kept, last = panel["log" .. axis], {}, -math.huge
  local function place(v) return log and math.log(v) or v end
  local scale = (room - 1) / (place(range[2]) - place(range[1]))
  for _, tick in ipairs(list) do
    local at = math.abs((place(tick[1]) - place(range[1])) * scale)
    local half = axis == "x" and text.length(tick[2]) / 2 or 0.5
    if at - half >= last + (axis == "x" and 1 or 0) then
      kept[#kept + 1], last = tick, at + half
    end
  end
  return kept
end

-- ---- written anew ----

-- A letter for each colour, the same for a line and its sample in the legend.
local function numbered(clause, colours)
  local colour = clause:match "lc rgb '(#%x+)'"
  if not colour then return clause end
  colour = colour .. (clause:match " dt %d+" or "") -- two of one colour are told apart by their dashes
  if not colours[colour] then
    colours.count = (colours.count or 0) + 1
    colours[colour] = colours.count
  end
  return (clause:gsub("lc rgb", ("lt %d lc rgb"):format(colours[colour]), 1))
end

local SIGNS = { "*", "#", "$", "%", "@", "&", "=" } -- of gnuplot's lines

--- letters.legend(found, columns) --> the legend's lines: each sample with its title, then the words.
function letters.legend(found, columns)
  local parts, lines, line = {}, {}, ""
  for _, entry in ipairs(found.entries) do
    local clause, title = numbered(entry, found.colours), letters.plain(entry:match ' title "(.-)"' or "")
    local number, point = tonumber(clause:match " lt (%d+)" or 1), tonumber(clause:match " pt (%d+)")
    local sample = clause:find "filledcurves" and "XXX"
      or point and clause:find "with points" and string.char(64 + point)
      or SIGNS[(number - 1) % #SIGNS + 1]:rep(3)
    parts[#parts + 1] = sample .. " " .. title
  end
  for _, part in ipairs(parts) do
    if line ~= "" and text.length(line) + 3 + text.length(part) > columns then
      lines[#lines + 1], line = line, ""
    end
    line = line == "" and part or line .. "   " .. part
  end
  if line ~= "" then lines[#lines + 1] = line end
  for _, words in ipairs(found.words) do
    for _, one in ipairs(text.filled(words, columns)) do lines[#lines + 1] = one end
  end
  return lines
end

local function quoted(words) return '"' .. words:gsub('[\\"]', "\\%0") .. '"' end

-- The panel's statements, its box set in cells: {first, last (columns), top, bottom (rows)}, from 0.
local function panel_lines(add, panel, columns, rows, colours)
  local box = panel.box
  -- gnuplot rounds a place down to a cell: a quarter inside it is safe.
  local function x(column) return (column + 0.25) / (columns - 1) end
  local function y(row) return 1 - (row - 0.25) / (rows - 1) end
  local function label(words, column, row, how)
    add(("set label %s at screen %.6f,screen %.6f %s noenhanced"):format(quoted(words), x(column), y(row),
      how))
  end
  add(("set lmargin at screen %.6f; set rmargin at screen %.6f; set bmargin at screen %.6f; "
    .. "set tmargin at screen %.6f"):format(x(box.first), x(box.last), y(box.bottom), y(box.top)))
  add "unset label; unset arrow; unset object; unset key; unset xtics; unset ytics"
  local inner = 1 - 1 / math.max(box.bottom - box.top, 2) -- a rule that ends at the frame stands out by a row
  for _, line in ipairs(panel.lines) do
    line = line:gsub("graph 1( %l)", ("graph %.4f%%1"):format(inner))
    local at = panel.alone and line:match "^set arrow from first ([%d.e+%-]+),graph 0 .*dt 1 lc rgb '#000000'"
    if at then
      add(('set label "truth" at first %s,graph 1 center front noenhanced'):format(at))
    else
      add(line)
    end
  end
  for _, axis in ipairs{ "x", "y" } do
    local entries = {}
    for i, tick in ipairs(panel[axis .. "shown"] or {}) do
      entries[i] = ("%s %.9g"):format(quoted(tick[2]), tick[1])
    end
    if #entries > 0 then
      add(("set %stics in mirror scale 0.6,0.3 norotate %s offset 0,0 (%s) noenhanced"):format(axis,
        axis == "x" and "center" or "right", table.concat(entries, ", ")))
    end
  end
  local middle, wide = (box.first + box.last) / 2, box.last - box.first + 1
  local above = box.top - #panel.heads - (panel.ylabel and 1 or 0)
  for i, head in ipairs(panel.heads) do
    local room = panel.cell + (panel.last and columns - box.last - 1 or 1)
    if text.length(head) > panel.cell then head = head:gsub(" = ", " ") end
    head = letters.cut(head, room)
    local first = math.floor(middle - text.length(head) / 2 + 0.5)
    label(head, math.max(first, box.first - panel.before), above + i - 1, "left")
  end
  if panel.ylabel then
    local first = box.first - panel.before
    label(letters.cut(panel.ylabel, panel.cell), first, box.top - 1, "left")
  end
  if panel.xlabel then
    label(letters.cut(panel.xlabel, panel.cell), middle, box.bottom + (panel.xshown and 2 or 1), "center")
  end
  for _, own in ipairs(panel.labels) do
    add(("set label %s at %s %s"):format(quoted(letters.cut(own.words, wide - 2)), own.place,
      (own.how:gsub("%f[%a]enhanced", "noenhanced"))))
  end
  local clauses = {}
  for i, clause in ipairs(panel.clauses) do clauses[i] = numbered(clause, colours) end
  add("plot " .. table.concat(clauses, ", "))
end

--- letters.write(found, columns, rows) --> the script for so many columns and rows, its panels where
-- cells.arrange has put them; and found.colours, the number of each colour's letter.
function letters.write(found, columns, rows)
  local lines = { unpack(found.head) }
  local function add(line) lines[#lines + 1] = line end
  for _, panel in ipairs(found.panels) do
    if not panel.picture then panel_lines(add, panel, columns, rows, found.colours) end
  end
  add "unset multiplot"
  return table.concat(lines, "\n") .. "\n"
end

return letters
