-- data/terms: what a user may write for a column: its name; an element of a column of vectors, MODELMAG[2];
-- one operator between two columns or numbers, g-r; one function of a column, log10(flux); and any of these
-- under another name, modelMag_u=MAG_U. A column of exactly that name wins. No Lua is run.
local terms = {}

local OPERATORS = {
  ["-"] = function(a, b) return a - b end,
  ["+"] = function(a, b) return a + b end,
  ["*"] = function(a, b) return a * b end,
  ["/"] = function(a, b) return a / b end,
}
local FUNCTIONS = {
  log10 = math.log10, ln = math.log, exp = math.exp, sqrt = math.sqrt, abs = math.abs,
  asinh = function(x)
    local size = math.abs(x)
    return (x < 0 and -1 or 1) * math.log(size + math.sqrt(size * size + 1))
  end,
}

local function trimmed(text) return (text:match "^%s*(.-)%s*$") end

-- A column, an element of one, or, where numbers is true, a number; nil where the text is none of these.
-- spelling(name): the column of that name as the table spells it, or nil.
local function operand(text, spelling, numbers)
  text = trimmed(text)
  local column = spelling(text)
  if column then return { column = column } end
  local vector, k = text:match "^(.-)%s*%[%s*(%d+)%s*%]$"
  column = vector and spelling(vector)
  if column then return { column = column, element = tonumber(k) } end
  local number = numbers and tonumber(text)
  return number and number - number == 0 and { number = number } or nil
end

-- The term with one operator or function that the text is, or nil.
local function composed(text, spelling)
  local name, inner = text:match "^%s*([%w_]+)%s*%((.*)%)%s*$"
  local argument = FUNCTIONS[name] and operand(inner, spelling)
  if argument then return { apply = FUNCTIONS[name], argument } end
  -- Names may have operators in them: the first place that leaves a column on one side at least counts.
  for at = 2, #text - 1 do
    local apply = OPERATORS[text:sub(at, at)]
    local a = apply and operand(text:sub(1, at - 1), spelling, true)
    local b = a and operand(text:sub(at + 1), spelling, true)
    if b and not (a.number and b.number) then return { apply = apply, a, b } end
  end
end

--- terms.label(text): the name of the values that the text asks for, for a table without a column of exactly
-- that name: what stands before a `=`, or all of it.
function terms.label(text) return trimmed(text:match "^([^=]+)=" or text) end

--- terms.parse(text, spelling): what the text asks a table for: {label (the values' name), column [,
-- element]} or {label, apply, operands}, an operand being {column [, element]} or {number}; renamed: whether
-- the label is not the table's name. nil where it is nothing that the table has. spelling(name): the table's
-- own spelling of a column's name, or nil.
function terms.parse(text, spelling)
  local exact = spelling(text)
  if exact then return { label = text, column = exact } end
  local label, rest = text:match "^([^=]+)=(.+)$"
  local term = operand(rest or text, spelling) or composed(rest or text, spelling)
  if not term then return nil end
  term.label, term.renamed = terms.label(text), label ~= nil
  return term
end

--- terms.respelled(text, spelling): the text with the table's own spelling of its column, where it is the
-- name of one, NAME[2], or either under another name; any other text as it is. spelling: as in terms.parse.
function terms.respelled(text, spelling)
  local exact = spelling(text)
  if exact then return exact end
  local label, rest = text:match "^([^=]+=)(.+)$"
  local term = operand(rest or text, spelling)
  if not term then return text end
  return (label or "") .. term.column .. (term.element and ("[%d]"):format(term.element) or "")
end

--- terms.wanted(text): the name of the column that a text was meant for which is nothing the table has.
function terms.wanted(text)
  local rest = text:match "^[^=]+=(.+)$" or text
  local name, inner = rest:match "^%s*([%w_]+)%s*%((.*)%)%s*$"
  return trimmed(FUNCTIONS[name] and inner or rest)
end

--- terms.FUNCTIONS: the names of the functions, in words.
terms.FUNCTIONS = "log10, ln, exp, sqrt, abs, asinh"

return terms
