-- Pictures in letters: each cell of the terminal has a letter that is as dense as its part of the picture is
-- bright.
local shades = {}

local RAMP = { " ", ".", ":", "-", "=", "+", "*", "#", "%", "@" }
local SIGN = "[%z\1-\127\194-\244][\128-\191]*"

-- The signs of a line, and blanks behind them up to `count`.
local function signs_of(line, count)
  local signs = {}
  for sign in (line or ""):gmatch(SIGN) do signs[#signs + 1] = sign end
  for i = #signs + 1, count do signs[i] = " " end
  return signs
end

--- shades.write(lines, box, row, words): writes words, centred, into the lines of text at a row counted from
-- the top of a box {first, last, top, bottom}.
function shades.write(lines, box, row, words)
  local own = signs_of(words, 0)
  local signs = signs_of(lines[box.top + row + 1], box.last + 1)
  local from = math.floor((box.first + box.last + 1 - #own) / 2)
  for i, sign in ipairs(own) do signs[math.max(0, from) + i] = sign end
  lines[box.top + row + 1] = table.concat(signs)
end

-- The mean brightness, 0 to 255, of each cell of a picture of w x h of them: rows from the top.
local function means(bytes, size, w, h)
  local rows = {}
  for r = 0, h - 1 do
    rows[r + 1] = {}
    local y0, y1 = math.floor(r * size.height / h), math.max(math.floor((r + 1) * size.height / h) - 1, 0)
    for c = 0, w - 1 do
      local x0, x1 = math.floor(c * size.width / w), math.max(math.floor((c + 1) * size.width / w) - 1, 0)
      local sum, count = 0, 0
      for y = y0, math.max(y0, y1) do
        for x = x0, math.max(x0, x1) do
          local red, green, blue = bytes:byte(3 * (y * size.width + x) + 1, 3 * (y * size.width + x) + 3)
          if blue then sum, count = sum + red + green + blue, count + 3 end
        end
      end
      rows[r + 1][c + 1] = count > 0 and sum / count or 0
    end
  end
  return rows
end

--- shades.paint(lines, box, bytes, {width, height}): paints a picture, 3 bytes a pixel, into the box of the
-- lines: from its median, the sky, to its brightest cell.
function shades.paint(lines, box, bytes, size)
  local h = box.bottom - box.top
  local w = math.min(box.last - box.first, math.floor(2 * h * size.width / size.height + 0.5))
  h = math.min(h, math.max(1, math.floor(w * size.height / size.width / 2 + 0.5)))
  local rows, all = means(bytes, size, w, h), {}
  for _, row in ipairs(rows) do
    for _, v in ipairs(row) do all[#all + 1] = v end
  end
  table.sort(all)
  local low, high = all[math.ceil(#all / 2)], all[#all]
  local left = box.first + math.floor((box.last - box.first - w) / 2)
  for r, row in ipairs(rows) do
    local signs = signs_of(lines[box.top + r], left + w)
    for c, v in ipairs(row) do
      local part = high > low and math.max(0, (v - low) / (high - low)) or 0
      signs[left + c] = RAMP[math.floor(part ^ 0.7 * (#RAMP - 1) + 0.5) + 1]
    end
    lines[box.top + r] = table.concat(signs)
  end
end

return shades
