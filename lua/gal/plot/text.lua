-- Words in figures: a label as the string that gnuplot takes, and how much room it will need. A label is
-- plain text in UTF-8; between two dollars stands TeX-like markup, as in matplotlib: "$A_V$ [mag]",
-- "$\log_{10} M_\star / M_\odot$". \$ is a dollar. No TeX runs: the markup becomes gnuplot's "enhanced"
-- text.
local text = {}

-- ---- gnuplot's strings ----

-- What \ and " are between double quotes; an octal \042 would take a digit behind it along.
local ESCAPED = { ["\\"] = "\\\\", ['"'] = '\\"' }

--- quoted(s): s as gnuplot's string. Between single quotes gnuplot takes ''' at the beginning for an empty
-- string; between double ones it runs what stands in backquotes and knows escapes: what means more than
-- itself there is escaped, or written in octal. A control character becomes a blank.
function text.quoted(s)
  local function safe(c) return ESCAPED[c] or ("\\%03o"):format(c:byte()) end
  return '"' .. tostring(s):gsub("%c", " "):gsub('["\\`@]', safe) .. '"'
end

--- file(name): a file of the figure as gnuplot's string: behind ./ no name is a command (<id) or a data block
-- ($x).
function text.file(name) return text.quoted("./" .. name) end

-- ---- widths ----

-- Advance widths of DejaVu Sans, which Debian's "Sans" is, in hundredths of the size of type, for the
-- characters 32 to 126. It is a wide face: with a narrower one there is more room than was reckoned with.
local WIDTHS = {}
local HUNDREDTHS = [[
32 40 46 84 64 95 78 27 39 39 50 84 32 36 32 34 64 64 64 64 64 64 64 64 64 64 34 34 84 84 84 53 100 68
69 70 77 63 58 77 75 29 29 66 56 86 75 79 60 79 69 63 61 73 68 99 69 61 69 39 34 39 84 50 50 61 63 55 63
62 35 63 63 28 28 58 28 97 63 61 63 63 41 52 39 63 59 82 59 59 52 64 34 64 84
]]
for width in HUNDREDTHS:gmatch "%d+" do WIDTHS[#WIDTHS + 1] = tonumber(width) / 100 end

local OTHERS = { ["−"] = 0.84, ["×"] = 0.84, ["±"] = 0.84, ["⊙"] = 0.84, ["…"] = 1, ["·"] = 0.32 }

-- How wide the characters of s are, in ems.
local function ems(s)
  local sum = 0
  for c in s:gmatch "[%z\1-\127\194-\255][\128-\191]*" do
    local byte = c:byte()
    if byte < 128 then
      sum = sum + (WIDTHS[byte - 31] or 0)
    elseif byte == 204 or byte == 205 then -- combining marks
      sum = sum + 0
    else
      sum = sum + (OTHERS[c] or byte >= 227 and byte ~= 239 and 1 or 0.66)
    end
  end
  return sum
end

-- ---- markup ----

local SYMBOLS = {
  alpha = "α", beta = "β", gamma = "γ", delta = "δ", epsilon = "ε", zeta = "ζ", eta = "η", theta = "θ",
  kappa = "κ", lambda = "λ", mu = "μ", nu = "ν", xi = "ξ", pi = "π", rho = "ρ", sigma = "σ", tau = "τ",
  phi = "φ", chi = "χ", psi = "ψ", omega = "ω", Gamma = "Γ", Delta = "Δ", Theta = "Θ", Lambda = "Λ",
  Sigma = "Σ", Phi = "Φ", Psi = "Ψ", Omega = "Ω", odot = "⊙", oplus = "⊕", star = "⋆", ast = "∗",
  times = "×", cdot = "·", pm = "±", mp = "∓", sim = "∼", approx = "≈", propto = "∝", leq = "≤", le = "≤",
  geq = "≥", ge = "≥", ll = "≪", gg = "≫", neq = "≠", infty = "∞", AA = "Å", prime = "′", circ = "∘",
  degree = "°", arcsec = "″", to = "→", rightarrow = "→", mid = " | ", ldots = "…", dots = "…", ell = "ℓ",
  hat = "", bar = "", [","] = " ", [";"] = " ", [":"] = " ", [" "] = " ", quad = "  ", ["!"] = "",
  left = "", right = "", langle = "⟨", rangle = "⟩", sqrt = "√", sum = "Σ", partial = "∂", hbar = "ħ",
}
-- Functions: upright, and apart from what they are of.
local FUNCTIONS = {}
for name in ("log ln exp sin cos tan max min"):gmatch "%a+" do FUNCTIONS[name] = true end
-- Signs that stand apart from both sides.
local RELATIONS = {}
for sign in ("= < > ≤ ≥ ≪ ≫ ≈ ∼ ∝ × ± ∓ → ≠"):gmatch "%S+" do RELATIONS[sign] = true end
local THIN, THIN_WIDTH = " ", 0.2 -- U+2009
-- What stands upright although it is made of letters: the group behind one of these.
local UPRIGHT = { mathrm = true, text = true, rm = true, mathsf = true, mbox = true, operatorname = true }

-- A sign without width (U+2060) behind or before a blank at the end of a piece of text: readers of SVG trim
-- it else.
local JOINER = "\226\129\160"

-- Text that means itself, for gnuplot's enhanced mode.
local function plain(s)
  return (s:gsub("[{}%^_@&~\\]", "\\%0"):gsub("^ ", JOINER .. " "):gsub(" $", " " .. JOINER))
end

local SMALL = 0.8 -- of subscripts and superscripts, gnuplot's own

-- Reads markup. A reader is {s, at, upright}; group and atom return enhanced text and its width in ems, atom
-- also what it is: "function", "relation" or nil.
local group, atom

-- A command, \name.
local function command(r, name)
  local letters = name:match "^%a"
  r.at = r.at + 1 + (letters and #r.s:match("^%a+%s*", r.at + 1) or #name)
  if UPRIGHT[name] then
    if r.s:sub(r.at, r.at) ~= "{" then return "", 0 end
    local inner = { s = r.s, at = r.at + 1, upright = true }
    local found, width = group(inner, "}")
    r.at = inner.at
    return found, width
  end
  if name == "frac" then
    local above, w1 = atom(r)
    local below, w2 = atom(r)
    return above .. "/" .. below, w1 + w2 + ems "/"
  end
  local symbol = SYMBOLS[name] or name
  local what = FUNCTIONS[name] and "function" or RELATIONS[symbol] and "relation" or nil
  return plain(symbol), ems(symbol), what
end

function atom(r)
  local name = r.s:match("^\\(%a+)", r.at) or r.s:match("^\\(.)", r.at)
  if name then return command(r, name) end
  local c = r.s:match("^[%z\1-\127\194-\255][\128-\191]*", r.at) or r.s:sub(r.at, r.at)
  r.at = r.at + #c
  if c == "{" then
    local inner = { s = r.s, at = r.at, upright = r.upright }
    local found, width = group(inner, "}")
    r.at = inner.at
    return found, width
  end
  if c == " " then
    if r.upright then return plain " ", ems " " end
    return "", 0
  end
  if c:match "%a" and not r.upright then return "{/:Italic " .. c .. "}", ems(c) end
  if c == "-" then c = "−" elseif c == "'" then c = "′" elseif c == "~" then c = " " end
  return plain(c), ems(c), RELATIONS[c] and "relation" or nil
end

function group(r, ending)
  local parts, width, pending = {}, 0, false
  local function put(found, w)
    parts[#parts + 1], width = found, width + w
  end
  while r.at <= #r.s do
    local c = r.s:sub(r.at, r.at)
    if c == ending then
      r.at = r.at + 1
      break
    elseif c == "}" then -- nothing that it closes
      r.at = r.at + 1
    elseif c == "_" or c == "^" then
      r.at = r.at + 1
      local found, w = "", 0
      if r.at <= #r.s then found, w = atom(r) end
      put(c .. "{" .. found .. "}", SMALL * w)
    else
      local found, w, what = atom(r)
      if w > 0 and (pending and not c:match "[%(%[,]" or what == "relation" and #parts > 0) then
        put(JOINER .. THIN .. JOINER, THIN_WIDTH)
      end
      put(found, w)
      if w > 0 then pending = what ~= nil end
    end
  end
  return table.concat(parts), width
end

-- The parts of a label, alternately plain and markup; markup only where a dollar has its partner.
local function parts_of(s)
  local parts, at, from = {}, 1, 1
  local function next_dollar(position)
    while true do
      position = s:find("$", position, true)
      if not position or s:sub(position - 1, position - 1) ~= "\\" then return position end
      position = position + 1
    end
  end
  while true do
    local open = next_dollar(at)
    local close = open and next_dollar(open + 1)
    if not close then break end
    parts[#parts + 1] = { s:sub(from, open - 1) }
    parts[#parts + 1] = { s:sub(open + 1, close - 1), markup = true }
    at, from = close + 1, close + 1
  end
  parts[#parts + 1] = { s:sub(from) }
  return parts
end

-- A line of a label: {said, enhanced, width}: the characters for gnuplot, whether they are enhanced text, and
-- the width in ems.
local function line_of(s)
  local parts = parts_of(s)
  if #parts == 1 then
    local said = parts[1][1]:gsub("\\%$", "$")
    return { said = said, enhanced = false, width = ems(said) }
  end
  local said, width = {}, 0
  for _, part in ipairs(parts) do
    if part.markup then
      local found, w = group{ s = part[1], at = 1 }
      said[#said + 1], width = found, width + w
    else
      local words = part[1]:gsub("\\%$", "$")
      said[#said + 1], width = plain(words), width + ems(words)
    end
  end
  return { said = table.concat(said), enhanced = true, width = width }
end

local POINT = 25.4 / 72 -- mm

-- s with the sign for what is unreadable in place of each byte that is no part of UTF-8, which would make an
-- SVG no XML.
local function readable(s)
  if not s:find "[\128-\255]" then return s end
  local parts, at = {}, 1
  while at <= #s do
    local c = s:match("^[%z\1-\127]+", at) or s:match("^[\194-\223][\128-\191]", at)
      or s:match("^[\224-\239][\128-\191][\128-\191]", at)
      or s:match("^[\240-\244][\128-\191][\128-\191][\128-\191]", at)
    parts[#parts + 1] = c or "\239\191\189"
    at = at + (c and #c or 1)
  end
  return table.concat(parts)
end

--- label(s, flat): s for gnuplot: {string, how, width, lines}: the quoted string; the keyword that says
-- whether it is enhanced text, to stand behind it; its width in ems; how many lines it has. flat: line
-- breaks become blanks.
function text.label(s, flat)
  s = readable(tostring(s)):gsub("\r\n?", "\n")
  if flat then s = s:gsub("\n", " ") end
  local lines, enhanced, width = {}, false, 0
  for line in (s .. "\n"):gmatch "(.-)\n" do
    lines[#lines + 1] = line_of((line:gsub("%c", " ")))
    enhanced, width = enhanced or lines[#lines].enhanced, math.max(width, lines[#lines].width)
  end
  local words = {}
  for i, line in ipairs(lines) do
    words[i] = text.quoted(enhanced and not line.enhanced and plain(line.said) or line.said):sub(2, -2)
  end
  return {
    string = '"' .. table.concat(words, "\\n") .. '"', how = enhanced and "enhanced" or "noenhanced",
    width = width, lines = #lines,
  }
end

--- said(s, flat): s for gnuplot, with the keyword behind it.
function text.said(s, flat)
  local label = text.label(s, flat)
  return label.string .. " " .. label.how
end

--- broken(s): s in two lines, broken at the blank nearest its middle that is not within markup; nil where it
-- has none.
function text.broken(s)
  local best, nearest = nil, math.huge
  for at in s:gmatch "() " do
    local _, dollars = s:sub(1, at):gsub("%$", "")
    local _, escaped = s:sub(1, at):gsub("\\%$", "")
    local off = math.abs(text.label(s:sub(1, at - 1)).width - text.label(s:sub(at + 1)).width)
    if (dollars - escaped) % 2 == 0 and off < nearest then best, nearest = at, off end
  end
  return best and s:sub(1, best - 1) .. "\n" .. s:sub(best + 1) or nil
end

--- width(s, points): how wide s will be, mm, at this size of type.
function text.width(s, points) return text.label(s).width * points * POINT end

--- height(points): how far apart lines are, mm, at this size of type.
function text.height(points) return 1.2 * points * POINT end

local RAISED = { [0] = "⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹" }

--- raised(n): the integer n in superscript digits: 10⁻³.
function text.raised(n)
  return (("%d"):format(n):gsub("[-%d]", function(c) return c == "-" and "⁻" or RAISED[tonumber(c)] end))
end

return text
