-- Contours of a density on a grid at a height, as closed loops with the denser side on their left: marching
-- squares, joined; outside the grid the density counts as 0. Loops end at the limits of the variables.
local loops = {}

-- Which edges of a cell a loop enters and leaves by, for each of the sixteen cases of its corners: bit 0 is
-- the corner (i, j), bit 1 (i + 1, j), bit 2 (i + 1, j + 1), bit 3 (i, j + 1). Edges: 0 below, 1 right, 2
-- above, 3 left. Saddles (5 and 10) have two answers; these are for a middle below the height.
local CASES = {
  [1] = { { 0, 3 } }, [2] = { { 1, 0 } }, [3] = { { 1, 3 } }, [4] = { { 2, 1 } },
  [5] = { { 0, 3 }, { 2, 1 } }, [6] = { { 2, 0 } }, [7] = { { 2, 3 } }, [8] = { { 3, 2 } },
  [9] = { { 0, 2 } }, [10] = { { 1, 0 }, { 3, 2 } },
  [11] = { { 1, 2 } }, [12] = { { 3, 1 } }, [13] = { { 0, 1 } }, [14] = { { 3, 0 } },
}
local HIGH_SADDLES = { [5] = { { 0, 1 }, { 2, 3 } }, [10] = { { 3, 0 }, { 1, 2 } } }

-- The crossings of the plane's cells: {edge = next edge}, and a function that gives an edge's place in cells.
local function crossings(plane, height)
  local bins, cell = plane.bins, plane.cell
  local wide = bins + 2 -- a rim of 0 around the grid
  local function value(i, j)
    if i < 0 or j < 0 or i >= bins or j >= bins then return 0 end
    return cell[j * bins + i]
  end
  -- Edges have numbers: those along x 2 (j wide + i), those along y one more, with i and j from 0 on the rim.
  local function edge(i, j, side)
    i, j = i + 1, j + 1
    if side == 1 then i, side = i + 1, 3 elseif side == 2 then j, side = j + 1, 0 end
    return 2 * (j * wide + i) + (side == 3 and 1 or 0)
  end
  local next_of, starts = {}, {}
  for j = -1, bins - 1 do
    local a, d = value(-1, j), value(-1, j + 1)
    for i = -1, bins - 1 do
      local b, c = value(i + 1, j), value(i + 1, j + 1)
      local case = (a >= height and 1 or 0) + (b >= height and 2 or 0) + (c >= height and 4 or 0)
        + (d >= height and 8 or 0)
      if case ~= 0 and case ~= 15 then
        local pairs_of = CASES[case]
        if HIGH_SADDLES[case] and (a + b + c + d) / 4 >= height then pairs_of = HIGH_SADDLES[case] end
        for _, pair in ipairs(pairs_of) do
          local from = edge(i, j, pair[1])
          next_of[from], starts[#starts + 1] = edge(i, j, pair[2]), from
        end
      end
      a, d = b, c
    end
  end
  local function place(number)
    local along_y = number % 2 == 1
    local at = math.floor(number / 2)
    local i, j = at % wide - 1, math.floor(at / wide) - 1
    local low, high = value(i, j), along_y and value(i, j + 1) or value(i + 1, j)
    local t = (height - low) / (high - low)
    if along_y then return i, j + t end
    return i + t, j
  end
  return next_of, starts, place
end

-- The part of a loop on one side of the line x (axis 1) or y (axis 2) = limit; sign 1: above it (Sutherland &
-- Hodgman 1974).
local function cut(loop, axis, limit, sign)
  local kept = {}
  for k = 1, #loop do
    local p, q = loop[k], loop[k % #loop + 1]
    local a, b = sign * (p[axis] - limit), sign * (q[axis] - limit)
    if a >= 0 then kept[#kept + 1] = p end
    if (a >= 0) ~= (b >= 0) then
      local t = a / (a - b)
      kept[#kept + 1] = { p[1] + t * (q[1] - p[1]), p[2] + t * (q[2] - p[2]) }
    end
  end
  return kept
end

--- loops.of(plane, height): the loops around where a density (gal.stats.density_grid's plane) is at least so
-- high: a list of lists of {x, y}, not closed: the last point is followed by the first. Around a hole a loop
-- runs clockwise.
function loops.of(plane, height)
  local next_of, starts, place = crossings(plane, height)
  local list = {}
  for _, start in ipairs(starts) do
    if next_of[start] then
      local loop, at = {}, start
      repeat
        loop[#loop + 1] = { plane:place(place(at)) }
        at, next_of[at] = next_of[at], nil
      until at == start or at == nil
      for axis = 1, 2 do
        local limits = plane.limits[axis] or {}
        if limits[1] then loop = cut(loop, axis, limits[1], 1) end
        if limits[2] then loop = cut(loop, axis, limits[2], -1) end
      end
      if #loop > 2 then list[#list + 1] = loop end
    end
  end
  return list
end

local function line_of(p) return ("%.9g %.9g"):format(p[1], p[2]) end

--- loops.lines(list): the loops as gnuplot's data: closed lines.
function loops.lines(list)
  local lines = {}
  for _, loop in ipairs(list) do
    for _, p in ipairs(loop) do lines[#lines + 1] = line_of(p) end
    lines[#lines + 1] = line_of(loop[1])
    lines[#lines + 1] = ""
  end
  if #lines == 0 then return "nan nan\n" end
  lines[#lines] = nil
  return table.concat(lines, "\n") .. "\n"
end

--- loops.signed_area(loop): the area within a loop, negative where it runs clockwise.
function loops.signed_area(loop)
  local sum = 0
  for k = 1, #loop do
    local p, q = loop[k], loop[k % #loop + 1]
    sum = sum + p[1] * q[2] - q[1] * p[2]
  end
  return sum / 2
end

-- Whether the point p is within the loop: a ray from it crosses the loop an odd number of times.
local function within(loop, p)
  local inside = false
  for k = 1, #loop do
    local a, b = loop[k], loop[k % #loop + 1]
    if (a[2] > p[2]) ~= (b[2] > p[2]) and p[1] < a[1] + (p[2] - a[2]) * (b[1] - a[1]) / (b[2] - a[2]) then
      inside = not inside
    end
  end
  return inside
end

-- The loop with a hole cut into it: a bridge there and back joins the two where they are nearest.
local function joined(loop, hole)
  local best, at, from = math.huge, 1, 1
  for i = 1, #loop do
    for j = 1, #hole do
      local d = (loop[i][1] - hole[j][1]) ^ 2 + (loop[i][2] - hole[j][2]) ^ 2
      if d < best then best, at, from = d, i, j end
    end
  end
  local all = {}
  for i = 1, at do all[i] = loop[i] end
  for j = 0, #hole do all[#all + 1] = hole[(from - 1 + j) % #hole + 1] end
  for i = at, #loop do all[#all + 1] = loop[i] end
  return all
end

--- loops.area(list): the loops as gnuplot's data for filled areas: those that run round an area, each with
-- the holes that are within it.
function loops.area(list)
  local areas, holes = {}, {}
  for _, loop in ipairs(list) do
    local kind = loops.signed_area(loop) > 0 and areas or holes
    kind[#kind + 1] = loop
  end
  for _, hole in ipairs(holes) do
    for k, area in ipairs(areas) do
      if within(area, hole[1]) then
        areas[k] = joined(area, hole)
        break
      end
    end
  end
  return loops.lines(areas)
end

return loops
