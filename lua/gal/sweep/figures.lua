-- sweep/figures: a sweep in three pictures: parallel coordinates, what each setting does by itself, and log p
-- against the epochs that were spent.
local json = require "gal.base.json"
local metrics = require "gal.metrics"
local plot = require "gal.plot"

local figures = {}

local BEST, POINT, MEAN = "#D55E00", "#56B4E9", "#0072B2"

-- ---- settings as axes ----

local KINDS = { "choice", "range", "log_range", "integer", "log_integer" }

-- A choice as a short text: "yes", "64×32", and "3×256" for three layers of 256.
local function short(v)
  if type(v) == "boolean" then return v and "yes" or "no" end
  if type(v) ~= "table" then return tostring(v) end
  local alike = #v > 2
  for _, item in ipairs(v) do alike = alike and item == v[1] end
  return alike and ("%d×%s"):format(#v, v[1]) or table.concat(v, "×")
end

-- A setting's axis: {log, low, high} of numbers; of choices {places = {value in JSON = 1, 2, …}, labels}.
local function axis_of(s, name)
  local described = s.space[name]
  for _, kind in ipairs(KINDS) do
    local ends = described[kind]
    if ends and kind ~= "choice" then
      return { log = kind:find "^log" ~= nil, low = ends[1], high = ends[2], name = name }
    elseif ends then
      local axis = { places = {}, labels = {}, low = 1, high = #ends, name = name }
      for i, v in ipairs(ends) do
        axis.places[json.encode(v)] = i
        axis.labels[i] = short(v)
      end
      return axis
    end
  end
end

-- The range of an axis of numbers: all of them, and a little more.
local function whole_of(axis)
  if axis.high == axis.low then return nil end
  local room = 0.04 * (axis.high - axis.low)
  if not axis.log then return { axis.low - room, axis.high + room } end
  room = (axis.high / axis.low) ^ 0.04
  return { axis.low / room, axis.high * room }
end

-- A value's place on its axis: the number itself, or that of a choice; nil where the setting is not in force.
local function place_of(axis, v)
  if v == nil then return nil end
  return axis.places and axis.places[json.encode(v)] or v
end

-- The same from 0 to 1 along the axis.
local function share_of(axis, v)
  local x = place_of(axis, v)
  if not x then return nil end
  if axis.high == axis.low then return 0.5 end
  if axis.log then return math.log(x / axis.low) / math.log(axis.high / axis.low) end
  return (x - axis.low) / (axis.high - axis.low)
end

-- The range of log p that is shown: the best trials, and others that are not much worse than the better half
-- of all: a trial that diverged would hide the rest.
local function range_of(values)
  local sorted = {}
  for i, v in ipairs(values) do sorted[i] = v end
  table.sort(sorted)
  local best, least, middle = sorted[#sorted], sorted[1], sorted[math.ceil(#sorted / 2)]
  local low = math.max(least, best - 4 * (best - middle))
  if #sorted < 4 then low = least end
  local room = math.max(best - low, 1e-3)
  return { low - 0.06 * room, best + 0.06 * room }
end

-- ---- parallel coordinates ----

-- Colours from dark violet over green to yellow (viridis, Smith and van der Walt 2015).
local SCALE = {
  { 68, 1, 84 }, { 72, 40, 120 }, { 62, 74, 137 }, { 49, 104, 142 }, { 38, 130, 142 }, { 31, 158, 137 },
  { 53, 183, 121 }, { 110, 206, 88 }, { 181, 222, 43 }, { 253, 231, 37 },
}

local function colour_of(t)
  local x = 1 + math.min(1, math.max(0, t)) * (#SCALE - 1)
  local i = math.min(math.floor(x), #SCALE - 1)
  local rgb = {}
  for c = 1, 3 do
    rgb[c] = math.floor(SCALE[i][c] + (x - i) * (SCALE[i + 1][c] - SCALE[i][c]) + 0.5)
  end
  return ("#%02x%02x%02x"):format(unpack(rgb))
end

-- The texts at axis j of `count`, of which the last is log p's: its ends or its choices.
local function add_axis(panel, j, axis, count)
  panel[#panel + 1] = plot.rule{ x = j, colour = "#444444", dash = 1, from = 0, to = 1 }
  local function label(words, y)
    panel[#panel + 1] = plot.label(words, j + 0.05, y, { size = 6 })
  end
  if not axis.labels then
    local form = j == count and "%.2f" or "%.4g"
    label(form:format(axis.low), 0.02)
    label(form:format(axis.high), 1.035)
    return
  end
  for i, words in ipairs(axis.labels) do
    label(words, (axis.high == 1 and 0.5 or (i - 1) / (axis.high - 1)) + 0.035)
  end
end

-- All trials as lines through their settings to their log p, the best on top.
local function parallel(s, rows)
  local axes, panel, values = {}, { xticks = {}, yticks = { { -9, "" } }, key = false, ratio = 0.5 }, {}
  for i, row in ipairs(rows) do values[i] = row.mean end
  local range = range_of(values)
  for j, name in ipairs(s.varied) do axes[j] = axis_of(s, name) end
  axes[#axes + 1] = { low = range[1], high = range[2], name = "log p" }
  for place = #rows, 1, -1 do
    local row, x, y = rows[place], {}, {}
    for j, axis in ipairs(axes) do
      local v = share_of(axis, j < #axes and row.trial.values[axis.name] or j == #axes and row.mean or nil)
      if j < #axes and type(row.trial.values[axis.name]) == "boolean" then
        v = share_of(axis, row.trial.values[axis.name])
      end
      x[j], y[j] = j, v and math.max(-0.05, v) or 0 / 0
    end
    panel[#panel + 1] = plot.lines(x, y, {
      colour = place == 1 and BEST or colour_of(math.max(0, y[#y])), width = place == 1 and 2.5 or 1,
    })
  end
  for j, axis in ipairs(axes) do
    add_axis(panel, j, axis, #axes)
    panel.xticks[j] = { j, axis.name == "log p" and "log p [nats]" or axis.name }
  end
  panel.xrange, panel.yrange = { 0.8, #axes + 0.5 }, { -0.07, 1.1 }
  return { panels = { plot.panel(panel) }, size = "page" }
end

-- ---- marginal effects ----

local BINS = 5

-- Means over groups of trials along a setting, with the standard errors of these means.
local function groups_of(axis, x, y)
  local groups = {}
  if axis.places then
    for i = 1, #axis.labels do groups[i] = {} end
    for k, v in ipairs(x) do table.insert(groups[v], k) end
  elseif #x >= 2 * BINS then
    local order = {}
    for k = 1, #x do order[k] = k end
    table.sort(order, function(a, b)
      if x[a] ~= x[b] then return x[a] < x[b] end
      return a < b
    end)
    for place, k in ipairs(order) do
      local g = math.floor((place - 1) * BINS / #x) + 1
      groups[g] = groups[g] or {}
      table.insert(groups[g], k)
    end
  end
  local mx, my, error = {}, {}, {}
  for _, group in ipairs(groups) do
    if #group > 0 then
      local at, values = 0, {}
      for i, k in ipairs(group) do
        at = at + (axis.log and math.log(x[k]) or x[k]) / #group
        values[i] = y[k]
      end
      local mean, deviation = metrics.moments(values)
      mx[#mx + 1], my[#my + 1] = axis.log and math.exp(at) or at, mean
      error[#error + 1] = #group > 1 and deviation / math.sqrt(#group - 1) or 0
    end
  end
  return mx, my, error
end

-- log p of each row where all trials have it alike: while halving, after the first rung.
local function score_at_first(s, row, known)
  if #s.rungs == 0 then return row.mean end
  local record = known[row.number][1]
  return record and record.log_p
end

-- A panel a setting: all trials, and the mean over trials with about that value.
local function effects(s, rows, known)
  local panels, all = {}, {}
  for i, row in ipairs(rows) do all[i] = score_at_first(s, row, known) end
  local range, label = range_of(all), "log p [nats]"
  if #s.rungs > 0 then
    label = ("log p [nats] after %d epoch%s"):format(s.rungs[1], s.rungs[1] == 1 and "" or "s")
  end
  for j, name in ipairs(s.varied) do
    local axis, x, y = axis_of(s, name), {}, {}
    for i, row in ipairs(rows) do
      local at = place_of(axis, row.trial.values[name])
      if at then x[#x + 1], y[#y + 1] = at, all[i] end
    end
    local panel = {
      x = name, y = j % 3 == 1 and label or nil, logx = axis.log, yrange = range, frame = "box",
      key = false, ratio = 1, plot.points(x, y, { colour = POINT, size = 0.5 }),
    }
    local mx, my, error = groups_of(axis, x, y)
    if #mx > 0 then
      panel[#panel + 1] = plot.lines(mx, my, { colour = MEAN, width = 1.5 })
      panel[#panel + 1] = plot.points(mx, my, { colour = MEAN, size = 0.6, error = error })
    end
    local best = place_of(axis, rows[1].trial.values[name])
    if best then
      panel[#panel + 1] = plot.points({ best }, { all[1] }, { colour = BEST, size = 0.9, symbol = "circle" })
    end
    if axis.labels then
      panel.xticks, panel.xrange = {}, { 0.5, #axis.labels + 0.5 }
      for i, words in ipairs(axis.labels) do panel.xticks[i] = { i, words } end
    else
      panel.xrange = whole_of(axis)
    end
    panels[j] = plot.panel(panel)
  end
  local columns = math.min(3, #panels)
  return { panels = panels, columns = columns, share = "y", size = columns < 3 and "column" or "page" }
end

-- ---- log p against the budget ----

-- All scores in the order in which they came: {number, rung, log_p, paid = epochs that they cost}.
local function history_of(s, known)
  local list = {}
  for number = 1, #s.trials do
    local before = 0
    for rung = 1, s:last() do
      local record = known[number][rung]
      if record and record.state == "done" then
        local paid = (record.epochs or 0) - before
        list[#list + 1] = {
          number = number, rung = rung, log_p = record.log_p, paid = paid, ended = record.ended or 0,
        }
        before = record.epochs or 0
      end
    end
  end
  table.sort(list, function(a, b)
    if a.ended ~= b.ended then return a.ended < b.ended end
    if a.number ~= b.number then return a.number < b.number end
    return a.rung < b.rung
  end)
  return list
end

-- The best log p so far, and each trial's, against the epochs of all trials together.
local function spent(list, range)
  local x, y, px, py, total, best = {}, {}, {}, {}, 0, -math.huge
  for _, each in ipairs(list) do
    total = total + each.paid
    px[#px + 1], py[#py + 1] = total, each.log_p
    if each.log_p > best then
      if best > -math.huge then x[#x + 1], y[#y + 1] = total, best end
      best = each.log_p
      x[#x + 1], y[#y + 1] = total, best
    end
  end
  if x[#x] < total then x[#x + 1], y[#y + 1] = total, best end
  return plot.panel{
    plot.points(px, py, { colour = POINT, size = 0.5, title = "a trial" }),
    plot.lines(x, y, { colour = BEST, width = 1.8, title = "the best so far" }),
    x = "epochs of all trials together", y = "log p [nats]", yrange = range, frame = "box", ratio = 0.7,
  }
end

-- Each trial's log p from rung to rung.
local function rungs(s, list, best, range)
  local panel = {
    x = "epochs of a trial", y = "log p [nats]", logx = true, yrange = range, frame = "box", ratio = 0.7,
    key = false,
  }
  local of = {}
  for _, each in ipairs(list) do
    of[each.number] = of[each.number] or { {}, {} }
    table.insert(of[each.number][1], s.rungs[each.rung])
    table.insert(of[each.number][2], each.log_p)
  end
  for number, lines in pairs(of) do
    if number ~= best then
      panel[#panel + 1] = plot.lines(lines[1], lines[2], { colour = POINT, width = 0.8 })
      panel[#panel + 1] = plot.points(lines[1], lines[2], { colour = POINT, size = 0.35 })
    end
  end
  panel[#panel + 1] = plot.lines(of[best][1], of[best][2], { colour = BEST, width = 1.8 })
  panel[#panel + 1] = plot.points(of[best][1], of[best][2], { colour = BEST, size = 0.6 })
  return plot.panel(panel)
end

local function budget(s, rows, known)
  local list, values = history_of(s, known), {}
  for i, each in ipairs(list) do values[i] = each.log_p end
  local range = range_of(values)
  local figure = { panels = { spent(list, range) }, size = "column", legend = "below" }
  if #s.rungs > 0 then
    table.insert(figure.panels, 1, rungs(s, list, rows[1].number, range))
    figure.columns, figure.size = 2, "page"
  end
  return figure
end

--- figures.draw(s, found, format): draws parallel, effects and budget, files of that format in the sweep's
-- folder, with their scripts and data, as far as there is something to show. found: results.of's. Returns
-- their paths.
function figures.draw(s, found, format)
  local rows, drawn = {}, {}
  for _, row in ipairs(found.rows) do
    if row.place and not row.record.lost then rows[#rows + 1] = row end
  end
  if #rows < 2 or #s.varied == 0 then return drawn end
  for _, each in ipairs{ { "parallel", parallel }, { "effects", effects }, { "budget", budget } } do
    local file = ("%s/%s.%s"):format(s.out, each[1], format)
    drawn[#drawn + 1] = plot.figure(file, each[2](s, rows, found.known))
  end
  return drawn
end

return figures
