-- Where an axis has its numbers: round steps, as many as fit beside each other without touching.
local text = require "gal.plot.text"

local ticks = {}

-- How many decimals a multiple of step needs.
local function decimals(step)
  local d = 0
  while d < 12 and math.abs(step * 10 ^ d - math.floor(step * 10 ^ d + 0.5)) > 1e-6 * step * 10 ^ d do
    d = d + 1
  end
  return d
end

-- v as a label, with so many decimals: −0.5; 2×10⁵ from a million on and below a ten thousandth.
local function number(v, places, largest)
  if v == 0 then return "0" end
  if largest >= 1e6 or largest < 1e-3 then
    local exponent = math.floor(math.log10(math.abs(v)) + 1e-9)
    local mantissa = ("%.6g"):format(v / 10 ^ exponent):gsub("^%-", "−")
    return mantissa .. "×10" .. text.raised(exponent)
  end
  return (("%." .. places .. "f"):format(v):gsub("^%-", "−"))
end

-- The multiples of step from low to high, with their labels.
local function multiples(low, high, step, log)
  local list, places = {}, decimals(step)
  local largest = math.max(math.abs(low), math.abs(high))
  local slack = log and 0 or 1e-6 * (high - low) -- so that an end that is a multiple is one
  for k = math.ceil((low - slack) / step), math.floor((high + slack) / step) do
    list[#list + 1] = { k * step, number(k * step, places, largest) }
    if #list > 1000 then break end
  end
  return list
end

-- Whether the labels of a list fit: their rooms (mm along the axis) do not touch, gap apart. One that would
-- stand out by more than `overhang` beyond the axis' ends is left away; every: only each so many-th tick,
-- the first of them `phase`, has a label.
local function fits(list, place, a, every, phase)
  local before = -math.huge
  for k, tick in ipairs(list) do
    local at, half = place(tick[1]), a.room(tick[2]) / 2
    local out = a.overhang and (at - half < -a.overhang or at + half > a.length + a.overhang)
    tick.bare = out or every and (k - phase) % every ~= 0 or nil
    if not tick.bare then
      if at - half < before + a.gap then return false end
      before = at + half
    end
  end
  return true
end

local STEPS = { 1, 2, 2.5, 5 }
local MINOR = { 5, 4, 5, 5 } -- parts between two of them

-- How many of a list have a label.
local function labelled(list)
  local count = 0
  for _, tick in ipairs(list) do count = count + (tick.bare and 0 or 1) end
  return count
end

-- What is tried one after another, until two numbers stand at an axis: how far apart, as a part of what is
-- fair, and whether each tick has a number or every second.
local TRIES = { { 1 }, { 0.6 }, { 0 }, { 0, 2, 1 }, { 0, 2, 2 } }

-- Ticks of a linear axis: the smallest round step whose labels fit and are `apart` mm from each other; nearer
-- where only so two numbers have room.
local function linear(low, high, place, a)
  local best, best_parts = {}, 1
  for _, try in ipairs(TRIES) do
    local wanted = (high - low) * math.max(math.min(try[1] * a.apart / a.length, 1), 0.02)
    local decade = math.floor(math.log10(wanted) - 1e-9)
    for k = 0, 16 do
      local step = STEPS[k % 4 + 1] * 10 ^ (decade + math.floor(k / 4))
      local list = step >= wanted * 0.999 and multiples(low, high, step, a.log)
      if list and fits(list, place, a, try[2], try[3]) then
        if labelled(list) >= 2 then return list, MINOR[k % 4 + 1] end
        if labelled(list) > labelled(best) then best, best_parts = list, MINOR[k % 4 + 1] end
      end
    end
  end
  return best, best_parts
end

-- Ticks of a logarithmic axis: decades, every second, third … of them where they are many, and between them 2
-- and 5 where they are few.
local function logarithmic(low, high, place, a)
  local first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
  -- All numbers of an axis are written alike: plain, or where one would be long as powers of ten.
  local plain = low >= 0.0095 and high <= 9999
  local function make(digits, every)
    local list = {}
    for exponent = first, last do
      for _, digit in ipairs(digits) do
        local v = digit * 10 ^ exponent
        if exponent % every == 0 and v >= low * 0.9999 and v <= high * 1.0001 then
          local raised = (digit == 1 and "10" or digit .. "×10") .. text.raised(exponent)
          list[#list + 1] = { v, plain and ("%g"):format(v) or v == 1 and "1" or raised }
        end
      end
    end
    return list
  end
  for _, choice in ipairs{ { { 1, 2, 5 }, 1, last - first <= 2 }, { { 1, 3 }, 1, last - first <= 2 } } do
    local list = choice[3] and make(choice[1], choice[2])
    if list and #list >= 2 and fits(list, place, a) then return list, 1 end
  end
  for every = 1, math.max(last - first, 1) do
    local list = make({ 1 }, every)
    if #list >= 2 and fits(list, place, a) then
      return list, every == 1 and 10 or 1
    end
  end
  return linear(low, high, place, a)
end

--- ticks.of(low, high, length, {points, log, upright, overhang}): the numbers of an axis from low to high (in
-- either order) that is so many mm long, in type of so many points. upright: labels lie across the axis, as
-- those of a vertical axis do, so that their height counts. overhang: how far, mm, a label may stand out
-- beyond the axis' ends; one that would stand out further is left away, its tick stays. Returns a list of
-- {value, label, bare = it has no label}, and into how many parts smaller ticks divide the distance.
function ticks.of(low, high, length, given)
  local turned, log = low > high, given.log
  local a, b = math.min(low, high), math.max(low, high)
  local function place(v)
    local t = log and math.log(v / a) / math.log(b / a) or (v - a) / (b - a)
    return t * length
  end
  local line, digit = text.height(given.points), text.width("0", given.points)
  local how = {
    log = log, length = length, overhang = given.overhang,
    gap = given.upright and 0.25 * digit or digit, apart = (given.upright and 2.2 or 2.5) * line,
    room = function(label) return given.upright and 0.8 * line or text.width(label, given.points) end,
  }
  local list, parts = (log and logarithmic or linear)(a, b, place, how)
  if turned then
    for i = 1, math.floor(#list / 2) do list[i], list[#list + 1 - i] = list[#list + 1 - i], list[i] end
  end
  return list, parts, labelled(list)
end

return ticks
