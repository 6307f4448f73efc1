-- Text for people: tables with aligned columns, and paragraphs filled to a width. Nothing here prints.
local text = {}

--- text.is_utf8(s): whether the bytes of s are UTF-8.
function text.is_utf8(s)
  for _, sequence in ipairs{
    "[\1-\127]", "[\194-\223][\128-\191]", "[\224-\239][\128-\191][\128-\191]",
    "[\240-\244][\128-\191][\128-\191][\128-\191]",
  } do
    s = s:gsub(sequence, "\0") -- not "", which would bring bytes together that stand apart
  end
  return not s:find "%Z"
end

--- text.length(s): how many characters a UTF-8 text has.
function text.length(s) return select(2, s:gsub("[^\128-\191]", "")) end

--- text.thousands(n): a whole number with commas: 2215 as "2,215".
function text.thousands(n)
  local digits, count = ("%d"):format(n), 1
  while count > 0 do digits, count = digits:gsub("^(%-?%d+)(%d%d%d)", "%1,%2") end
  return digits
end

--- text.number(v): a whole number with all its digits, any other with four; what is no number by tostring,
-- nil as "".
function text.number(v)
  if type(v) == "number" then
    return v % 1 == 0 and math.abs(v) <= 2^53 and ("%d"):format(v) or ("%.4g"):format(v)
  end
  return v == nil and "" or tostring(v)
end

--- text.decimal(v): the digits of a 64-bit integer of C, which LuaJIT writes with LL or ULL behind them.
function text.decimal(v) return tostring(v):match "^-?%d+" end

--- text.field(s): a text as a field of a .csv file's line: quoted where it has commas or quotes;
-- text.unquoted gives it back.
function text.field(s) return s:find '[",]' and '"' .. s:gsub('"', '""') .. '"' or s end
function text.unquoted(s) return s:match '^"(.*)"$' and s:sub(2, -2):gsub('""', '"') or s end

-- Whether a cell stands at the right: a number, or to the eye one, as "0.12 ± 0.03" is.
local function is_number(cell)
  return type(cell) == "number" or tostring(cell):match("^[%-+]?%.?%d") ~= nil
end

--- The text of a table: rows is a list of lists of strings and numbers, headers
-- a list of strings or nil. Columns of numbers stand at the right, others at the left; numbers have four
-- digits (format them yourself for others). A row may be shorter than the widest.
function text.table(rows, headers)
  local widths, right, lines, columns = {}, {}, {}, headers and #headers or 0
  for _, row in ipairs(rows) do columns = math.max(columns, table.maxn(row)) end
  for j = 1, columns do
    widths[j], right[j] = headers and text.length(headers[j] or "") or 0, false
    for _, row in ipairs(rows) do
      widths[j] = math.max(widths[j], text.length(text.number(row[j])))
      right[j] = right[j] or row[j] ~= nil and is_number(row[j])
    end
  end
  local function line(cells)
    local parts = {}
    for j = 1, columns do
      local cell = text.number(cells[j])
      local gap = (" "):rep(widths[j] - text.length(cell))
      parts[j] = right[j] and gap .. cell or cell .. gap
    end
    return (table.concat(parts, "  "):gsub("%s+$", ""))
  end
  if headers then
    local total = 2 * (columns - 1)
    for j = 1, columns do total = total + widths[j] end
    lines[1], lines[2] = line(headers), ("-"):rep(total)
  end
  for _, row in ipairs(rows) do lines[#lines + 1] = line(row) end
  return table.concat(lines, "\n")
end

--- text.filled(s, width): a list of lines of at most `width` characters, but for words that are longer.
-- Lines of s that are indented or begin with - or * stay as they are, an empty line stays between
-- paragraphs.
function text.filled(s, width)
  local lines, open = {}, false
  for line in (s .. "\n"):gmatch("(.-)\n") do
    if line == "" or line:match("^%s") or line:match("^[%-*] ") then
      lines[#lines + 1], open = line, false
    else
      for word in line:gmatch("%S+") do
        if open and text.length(lines[#lines]) + 1 + text.length(word) <= width then
          lines[#lines] = lines[#lines] .. " " .. word
        else
          lines[#lines + 1], open = word, true
        end
      end
    end
  end
  return lines
end

return text
