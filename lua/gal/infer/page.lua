-- infer/page: writes a report as text for a terminal of 80 columns, and as one self-contained HTML page with
-- its figures. A report is {title, lead, blocks}: lead, its first paragraph, and a list of blocks, each one
-- of {heading = text}, {text = a paragraph}, {list = sentences}, {rows =, headers =}, a table of strings, and
-- {figure = path of a PNG, caption =}, which is on the page only.
local path = require "gal.base.path"
local text = require "gal.base.text"

local page = {}

local WIDTH = 80

-- ---- text ----

local function filled(s) return table.concat(text.filled(s, WIDTH), "\n") end

-- A list of sentences, "- " before each and two blanks before their other lines.
local function bullets(list)
  local lines = {}
  for _, sentence in ipairs(list) do
    for i, line in ipairs(text.filled(sentence, WIDTH - 2)) do
      lines[#lines + 1] = (i == 1 and "- " or "  ") .. line
    end
  end
  return table.concat(lines, "\n")
end

--- page.text(report): the report as text of 80 columns.
function page.text(report)
  local parts = { filled(report.lead) }
  for _, block in ipairs(report.blocks) do
    if block.heading then
      parts[#parts + 1] = block.heading .. "\n" .. ("="):rep(text.length(block.heading))
    elseif block.rows then
      parts[#parts + 1] = text.table(block.rows, block.headers)
    elseif block.list then
      parts[#parts + 1] = bullets(block.list)
    elseif block.text then
      parts[#parts + 1] = filled(block.text)
    end
  end
  return table.concat(parts, "\n\n") .. "\n"
end

-- ---- HTML ----

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

--- page.base64(bytes): a string in base 64 (RFC 4648, 4).
function page.base64(bytes)
  local out = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    for k = 18, 0, -6 do
      local digit = math.floor(n / 2 ^ k) % 64 + 1
      out[#out + 1] = DIGITS:sub(digit, digit)
    end
    if not b then out[#out - 1] = "=" end
    if not c then out[#out] = "=" end
  end
  return table.concat(out)
end

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

local function escaped(s) return (tostring(s):gsub('[&<>"]', ESCAPES)) end

-- A table; columns whose cells all begin like numbers are aligned to the right.
local function table_of(block)
  local lines, right = { "<div class=\"wide\"><table>" }, {}
  for j = 1, #block.headers do
    right[j] = true
    for _, row in ipairs(block.rows) do
      right[j] = right[j] and (row[j] == nil or row[j] == "" or tostring(row[j]):find "^[%-+]?%.?%d" ~= nil)
    end
  end
  local function line(cells, tag)
    local parts = {}
    for j = 1, #block.headers do
      local class = right[j] and " class=\"n\"" or ""
      local cell = escaped(cells[j] or ""):gsub("^ +", "&emsp;")
      parts[j] = ("<%s%s>%s</%s>"):format(tag, class, cell, tag)
    end
    return "<tr>" .. table.concat(parts) .. "</tr>"
  end
  lines[2] = "<thead>" .. line(block.headers, "th") .. "</thead><tbody>"
  for _, row in ipairs(block.rows) do lines[#lines + 1] = line(row, "td") end
  lines[#lines + 1] = "</tbody></table></div>"
  return table.concat(lines, "\n")
end

local function figure_of(block)
  local form = "<figure><img alt=\"%s\" src=\"data:image/png;base64,%s\"><figcaption>%s</figcaption></figure>"
  return form:format(escaped(block.caption), page.base64(path.read(block.figure)), escaped(block.caption))
end

local function list_of(list)
  local items = {}
  for i, sentence in ipairs(list) do items[i] = "<li>" .. escaped(sentence) .. "</li>" end
  return "<ul>\n" .. table.concat(items, "\n") .. "\n</ul>"
end

local HEAD = [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 54rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin-bottom: .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #ccc; }
.lead { font-size: 1.15rem; border-left: 4px solid #0072B2; padding-left: .8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem .2rem 0; text-align: left; white-space: nowrap; }
th { border-bottom: 1px solid #888; font-weight: 600; }
tr + tr td { border-top: 1px solid #eee; }
td:first-child { white-space: normal; min-width: 7rem; }
.n { text-align: right; }
figure { margin: 1.5rem 0; }
img { max-width: 100%%; height: auto; }
figcaption { font-size: .9rem; color: #444; }
@media print {
  body { font-size: 10pt; max-width: none; margin: 0; }
  figure, table, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  .wide { overflow: visible; }
}
</style>
</head>
<body>
<h1>%s</h1>
<p class="lead">%s</p>
]]

--- page.html(report): the report as one HTML page, a string, with its figures in it.
function page.html(report)
  local title = escaped(report.title)
  local parts = { HEAD:format(title, title, escaped(report.lead)) }
  for _, block in ipairs(report.blocks) do
    if block.heading then
      parts[#parts + 1] = "<h2>" .. escaped(block.heading) .. "</h2>"
    elseif block.rows then
      parts[#parts + 1] = table_of(block)
    elseif block.list then
      parts[#parts + 1] = list_of(block.list)
    elseif block.figure then
      parts[#parts + 1] = figure_of(block)
    else
      parts[#parts + 1] = "<p>" .. escaped(block.text) .. "</p>"
    end
  end
  parts[#parts + 1] = "</body>\n</html>\n"
  return table.concat(parts, "\n")
end

return page
