-- Corner plots: every property's density and every pair's regions, of one or several sets of draws, in one
-- triangle with common axes. Densities and levels: gal.stats.density_grid.
local arguments = require "gal.base.options"
local core = require "gal.tensor"
local curves = require "gal.plot.curves"
local density_grid = require "gal.stats.density_grid"
local errors = require "gal.base.errors"
local fields = require "gal.plot.fields"
local heads = require "gal.plot.heads"
local labels = require "gal.plot.labels"
local layer = require "gal.plot.layer"
local marks = require "gal.plot.marks"
local samples = require "gal.plot.samples"
local show = require "gal.plot.show"
local raise, kind = errors.raise, errors.kind

local corner = {}

-- Colours that also differ as greys, each with a dash type.
local LOOKS = {
  { "#0072B2", 1 }, { "#E69F00", 2 }, { "#009E73", 4 }, { "#CC79A7", 3 }, { "#56B4E9", 5 }, { "#000000", 2 },
}
local PRIOR, TRUTH = "#999999", "#000000"

local OPTIONS = {
  "names", "labels", "levels", "truths", "weights", "ranges", "titles", "bounds", "interval", "prior",
  "limits", "legend", "colours", "size", "type", "n",
}

-- ---- what is asked for ----

-- The sets as a list.
local function list_of(sets)
  if core.is_tensor(sets) or type(sets) == "table" and sets.flow then return { sets } end
  errors.list("corner", "sets", sets, "draws {n, d}, or a list of them")
  if #sets == 0 then raise "corner: sets is an empty list, expected draws {n, d}" end
  return sets
end

-- The weights of each set: the option, where there is one set, or a list of them.
local function weights_of(given, count)
  if given == nil then return {} end
  if core.is_tensor(given) or type(given) == "table" and type(given[1]) == "number" then given = { given } end
  errors.list("corner", "weights", given, "a list of weights for each set")
  if #given > count then
    raise("corner: weights has %d entries, expected %d, as there are sets", #given, count)
  end
  return given
end

local function range_of(value, name)
  if not (type(value) == "table" and type(value[1]) == "number" and type(value[2]) == "number"
    and value[1] ~= value[2] and value[1] - value[1] == 0 and value[2] - value[2] == 0) then
    raise("corner: %s is %s, expected two different numbers {low, high}", name, kind(value))
  end
  return { value[1], value[2] }
end

-- The columns of the first set.
local function dimension(first, names)
  if core.is_tensor(first) then
    local _, d = require("gal.stats.host").matrix("corner", "sets[1]", first)
    return d
  end
  local theta = type(first) == "table" and type(first.flow) == "table" and first.flow.theta
  if type(theta) == "table" then return #theta end
  return type(names) == "table" and #names or 0
end

-- The options with their defaults: {names, labels, shorts, levels, limits, truths, ranges, …}.
local function plan_of(given, list)
  local o = arguments.known("corner", given, OPTIONS)
  local d = dimension(list[1], o.names)
  local p = { d = d, names = samples.names("corner", o.names, list, d), labels = {}, shorts = {}, notes = {} }
  if d == 0 then raise "corner: sets[1] has no properties" end
  local own = samples.each("corner", "labels", o.labels, p.names, function(value, name)
    return errors.text("corner", name, value)
  end)
  for j = 1, d do
    p.labels[j], p.shorts[j] = labels.label_of(p.names[j])
    if own[j] then p.labels[j], p.shorts[j] = own[j], own[j] end
  end
  local limits = samples.each("corner", "limits", o.limits, p.names, function(value, name)
    return fields.limits("corner", name, value)
  end)
  p.limits = {}
  for j = 1, d do p.limits[j] = limits[j] or {} end
  p.truths = samples.each("corner", "truths", o.truths, p.names, function(value, name)
    if type(value) ~= "number" then raise("corner: %s is %s, expected a number", name, kind(value)) end
    return value - value == 0 and value or nil
  end)
  p.union = o.ranges == nil or o.ranges == "union"
  p.ranges = samples.each("corner", "ranges", not p.union and o.ranges or nil, p.names, range_of)
  p.levels, p.sigma = fields.levels("corner", o.levels), o.levels == "sigma"
  p.interval = arguments.number("corner", o, "interval", 0.68, 0.01, 0.9999)
  p.titles = o.titles == nil and "median" or o.titles
  if p.titles ~= "median" and p.titles ~= "mean" and p.titles ~= false then
    raise("corner: titles is %s, expected \"median\", \"mean\" or false", kind(p.titles))
  end
  p.bounds = o.bounds ~= false
  p.size, p.type = o.size or d > 2 and "page" or "column", o.type
  p.draws = arguments.integer("corner", o, "n", 10000, 1, 1e7)
  return p, o
end

-- The titles of the sets; "draws" for a single set without one.
local function titles_of(given, count)
  local found = {}
  if given then errors.list("corner", "legend", given, "a list of the sets' titles") end
  for k = 1, count do
    local own = given and given[k]
    if type(own) ~= "nil" then errors.text("corner", ("legend[%d]"):format(k), own) end
    found[k] = own or count == 1 and "draws" or "set " .. k
  end
  return found
end

-- The sets, read and cleaned, each with its colour and dashes, and the prior.
local function read_sets(list, p, o)
  local titles, weights, sets = titles_of(o.legend, #list), weights_of(o.weights, #list), {}
  local colours = o.colours and errors.list("corner", "colours", o.colours) or {}
  for k, given in ipairs(list) do
    local set = samples.read("corner", ("sets[%d]"):format(k), given, {
      names = p.names, limits = p.limits, weights = weights[k], title = titles[k], columns = p.d,
      draws = p.draws,
    }, p.notes)
    local looks = LOOKS[(k - 1) % #LOOKS + 1]
    set.colour = layer.colour("corner", ("colours[%d]"):format(k), colours[k]) or looks[1]
    set.dash, set.filled = looks[2], k == 1 and 0.35 or #list == 2 and 0.18
    set.atoms, sets[k] = {}, set
  end
  local prior
  if o.prior ~= nil then
    prior = samples.read("corner", "prior", o.prior, {
      names = p.names, limits = p.limits, title = "prior", columns = p.d, draws = p.draws,
    }, p.notes)
    prior.colour, prior.dash, prior.filled, prior.is_prior = PRIOR, 1, 0.3, true
    prior.atoms = {}
  end
  return sets, prior
end

-- ---- ranges ----

-- The ranges of the properties: those given; else what all sets cover without a thousandth at each end,
-- within the limits, and widened to a truth that is not far outside.
local function set_ranges(sets, p)
  for j = 1, p.d do
    local low, high = math.huge, -math.huge
    for _, set in ipairs(sets) do
      local q = samples.quantiles(set, j, { 0.001, 0.999 })
      low, high = math.min(low, q[1]), math.max(high, q[2])
    end
    local span = high > low and high - low or math.max(math.abs(high) * 0.1, 0.5)
    local given, limits, truth = p.ranges[j], p.limits[j], p.truths[j]
    if not given then
      if truth and truth >= low - span and truth <= high + span then
        low, high = math.min(low, truth), math.max(high, truth)
      end
      local pad = 0.08 * math.max(high - low, span)
      p.ranges[j] = {
        math.max(low - pad, limits[1] or -math.huge), math.min(high + pad, limits[2] or math.huge),
      }
      if not (p.ranges[j][1] < p.ranges[j][2]) then p.ranges[j] = { low - pad, high + pad } end
    end
    local first, last = math.min(unpack(p.ranges[j])), math.max(unpack(p.ranges[j]))
    if truth and (truth < first or truth > last) then
      p.notes[#p.notes + 1] = ("the truth of %s, %.4g, is outside the frame"):format(p.names[j], truth)
    end
  end
end

-- ---- one property ----

local ATOM = 0.02 -- of the draws: so many with one value are a spike, not a density

-- The value that most draws of the column share, and its share, where that is at least ATOM. Exactly equal
-- values are neighbours, as the column is sorted.
local function atom_of(set, j)
  local column, order, w = set.columns[j], set.order[j], set.weights
  local best, share, run = nil, 0, 0
  for k = 0, set.n - 1 do
    local i = order[k]
    run = (k > 0 and column[i] == column[order[k - 1]] and run or 0) + w[i]
    if run > share then best, share = column[i], run end
  end
  share = share / set.sum
  if set.constant[j] or share < ATOM or share * set.n < 20 then return nil end
  return best, share
end

-- The density of a set's column: {x, y}; its integral is the share that is not in an atom.
local function line_of(set, j, p)
  local column, n, weights, sum = set.columns[j], set.n, set.weights, set.sum
  local value, share = atom_of(set, j)
  local quartiles = not value and samples.quantiles(set, j, { 0.25, 0.75 }) or nil
  if value then
    local host = require "gal.stats.host"
    local rest, w, count = host.new(n), host.new(n), 0
    for i = 0, n - 1 do
      if column[i] ~= value then rest[count], w[count], count = column[i], weights[i], count + 1 end
    end
    column, weights, n, sum = rest, w, count, sum * (1 - share)
  end
  local found = not set.constant[j] and n > 2 and density_grid.line(column, n, {
    weights = weights, sum = sum, effective = set.effective * (1 - (share or 0)), limits = p.limits[j],
    quartiles = quartiles,
  })
  if found and value then
    for k, y in ipairs(found.y) do found.y[k] = y * (1 - share) end
  end
  return found, value, share
end

local function truth_rule(o)
  o.colour, o.dash, o.width = TRUTH, 1, 0.7
  return marks.rule(o)
end

local function truth_mark(x, y, title)
  return curves.points({ x }, { y }, { colour = TRUTH, size = 0.5, symbol = "square", title = title })
end

-- The layers of the panel of property j.
local function diagonal(sets, prior, j, p)
  local panel, most = {}, 0
  for _, set in ipairs(prior and { prior, unpack(sets) } or sets) do
    local line, value, share = line_of(set, j, p)
    local looks = { colour = set.colour, dash = set.dash, width = 1.4 }
    if line then
      for _, y in ipairs(line.y) do most = math.max(most, y) end
      local zero = {}
      for k = 1, #line.x do zero[k] = 0 end
      if set.is_prior then
        panel[#panel + 1] = curves.band(line.x, zero, line.y, { colour = set.colour })
      else
        panel[#panel + 1] = curves.lines(line.x, line.y, looks)
      end
    elseif set.constant[j] then
      looks.x = set.columns[j][0]
      panel[#panel + 1] = marks.rule(looks)
    end
    if value then set.atoms[j] = { value, share } end
  end
  local step, top = most > 0 and most or 1, most > 0 and 1.08 * most or 1
  for k = #sets, 1, -1 do -- spikes rise above the curves, each above the last one
    local atom, set = sets[k].atoms[j], sets[k]
    if atom then
      top = top + 0.18 * step
      panel[#panel + 1] = curves.spike(atom[1], top - 0.05 * step, {
        colour = set.colour, text = ("%.0f\194\160%%"):format(100 * atom[2]), width = 2,
      })
    end
  end
  if #sets == 1 and not sets[1].constant[j] then
    local tail = (1 - p.interval) / 2
    for _, q in ipairs(samples.quantiles(sets[1], j, { tail, 0.5, 1 - tail })) do
      panel[#panel + 1] = marks.rule{ x = q, colour = sets[1].colour, dash = 2, width = 0.8 }
    end
  end
  if p.truths[j] then panel[#panel + 1] = truth_rule{ x = p.truths[j] } end
  panel.yrange = { 0, top }
  return panel
end

-- ---- two properties ----

local SHOWN = 300 -- draws shown as points where there are few

-- The layers of a set's pair of properties, from below: areas, lines, points.
local function region_layers(panel, set, i, j, p)
  local levels = set.is_prior and { p.levels[#p.levels] } or p.levels
  local sample = { x = set.columns[j], y = set.columns[i], weights = set.weights, n = set.n }
  local found = fields.regions(sample, levels, { p.limits[j], p.limits[i] })
  local all = {}
  for _, list in ipairs(found.loops) do
    for _, loop in ipairs(list) do all[#all + 1] = loop end
    if set.filled and #list > 0 then
      panel[#panel + 1] = fields.region_layer(list, { colour = set.colour, filled = set.filled })
    end
  end
  if #all > 0 and not set.is_prior then
    panel[#panel + 1] = fields.region_layer(all, { colour = set.colour, dash = set.dash, width = 1.2 })
  end
  if found.few or found.flat then
    set.few, set.flat = set.few or found.few, set.flat or found.flat
    local x, y = {}, {}
    for k, at in ipairs(samples.some(set, SHOWN)) do x[k], y[k] = set.columns[j][at], set.columns[i][at] end
    panel[#panel + 1] = curves.points(x, y, { colour = set.colour, size = 0.25 })
  end
end

-- The panel of properties j (x) and i (y).
local function pair_panel(sets, prior, i, j, p)
  local panel = {}
  if prior then region_layers(panel, prior, i, j, p) end
  for k = #sets, 1, -1 do -- the first on top
    errors.poll()
    region_layers(panel, sets[k], i, j, p)
  end
  local a, b = p.truths[j], p.truths[i]
  if a then panel[#panel + 1] = truth_rule{ x = a } end
  if b then panel[#panel + 1] = truth_rule{ y = b } end
  if a and b then panel[#panel + 1] = truth_mark(a, b) end
  return panel
end

-- ---- the figure ----

local function percent(share)
  return (("%.1f"):format(100 * share):gsub("%.0$", ""))
end

-- The words of the figure: which shares the contours hold, what the titles are, what was left out.
local function words_of(sets, p)
  local words, shares, few = {}, {}, {}
  for k, share in ipairs(p.levels) do
    shares[k] = p.sigma and ("%.0f"):format(100 * share) or percent(share)
  end
  local last = table.remove(shares)
  local list = #shares > 0 and table.concat(shares, ", ") .. " and " .. last or last
  if p.d > 1 then
    local sigma = p.sigma and " (1 and 2 σ in two dimensions)" or ""
    words[1] = ("Contours: %s\194\160%% of the draws%s"):format(list, sigma)
  end
  if p.titles then
    local form = "Titles: %s and %s\194\160%% interval"
    words[#words + 1] = form:format(p.titles, percent(p.interval))
  end
  for _, set in ipairs(sets) do
    if set.few then few[#few + 1] = set.title end
    if set.flat then p.notes[#p.notes + 1] = set.title .. ": pairs that lie on a line are shown as points" end
  end
  if #few > 0 then
    local names = table.concat(few, ", ")
    p.notes[#p.notes + 1] = names .. ": fewer than 20 draws in a level, shown as points"
  end
  for _, note in ipairs(p.notes) do words[#words + 1] = note end
  for k, word in ipairs(words) do words[k] = word:gsub("%$", "\\$") end
  return words
end

-- The legend: the sets, the prior, the truth, and the words.
local function legend_of(sets, prior, p, o)
  local panel = { text = words_of(sets, p), align = p.d > 1 and "right" or "left" }
  if o.legend ~= false and (#sets > 1 or o.legend) then
    for _, set in ipairs(sets) do
      panel[#panel + 1] = curves.lines({ 0 }, { 0 }, {
        title = set.title, colour = set.colour, dash = set.dash, width = 1.4,
      })
    end
  end
  if prior then panel[#panel + 1] = curves.band({ 0 }, { 0 }, { 0 }, { title = "prior", colour = PRIOR }) end
  if next(p.truths) then
    panel[#panel + 1] = truth_mark(0, 0, "truth")
  end
  panel.legend, panel.is_panel = true, true
  return panel
end

-- Gives a panel the axes of properties j and, for a pair, i.
local function with_axes(panel, i, j, p)
  panel.is_panel, panel.frame, panel.ratio = true, "box", p.d > 1 and 1 or 0.6
  panel.x, panel.x_short, panel.xrange, panel.at = p.labels[j], p.shorts[j], p.ranges[j], { i, j }
  if i == j then
    panel.apart, panel.ytics, panel.no_height = true, false, true
  else
    panel.yrange, panel.y, panel.y_short = p.ranges[i], p.labels[i], p.shorts[i]
    panel.pair = true -- of two properties: what a narrow terminal leaves out
  end
  return panel
end

-- The titles above the panel of property j, and the room that they need.
local function add_heads(panel, sets, j, p)
  local said = {}
  for k, set in ipairs(sets) do said[k] = heads.of(set, j, p) end
  panel[#panel + 1] = heads.layer(said, sets, p.shorts[j])
  panel.headlines = heads.LINE * #sets + 0.2
  if j == 1 then panel.headroom = panel.headlines end -- the others rise into the empty half
  function panel.headwide(points)
    local most = 0
    for _, s in ipairs(said) do most = math.max(most, (heads.width(s[1], s, points))) end
    return most
  end
end

--- plot.corner(sets, {names =, labels =, levels =, truths =, weights =, ranges =, titles =, bounds =,
-- interval =, prior =, limits =, legend =, colours =, size =, type =, n =}): a figure, for
-- plot.figure(path, figure): the density of each property and the regions of each pair. sets: draws {n,
-- d}, a list of them, or {flow =, context =} for `n` (10,000) draws of a galaxy. names: of the
-- properties; labels: of their axes, by default what is known of the names. levels = {.68, .95}, or
-- "sigma", 39 and 86 %, one and two σ in two dimensions; the figure says which. truths, ranges {low,
-- high} (default "union", what all sets cover) and limits {low, high}, of which either may be nil, are
-- lists or tables by name; densities do not leak over a limit. weights: of the draws, a list for each
-- set. titles = "median", "mean" or false, with the `interval` (.68) around it, two digits of the smaller
-- error; where a density leans on a limit, "< x (95 %)", unless bounds = false. prior: draws shown
-- underneath. legend: the sets' titles, or false. size: plot.figure's, by default "page" from three
-- properties on. A level with fewer than 20 draws in it is shown as points. figure.notes are sentences on
-- what was left out, which the figure also has.
function corner.corner(sets, options)
  local list = list_of(sets)
  local p, o = plan_of(options, list)
  local read, prior = read_sets(list, p, o)
  set_ranges(read, p)
  local panels = {}
  for j = 1, p.d do
    local panel = with_axes(diagonal(read, prior, j, p), j, j, p)
    if p.titles then add_heads(panel, read, j, p) end
    panels[#panels + 1] = panel
    for i = j + 1, p.d do panels[#panels + 1] = with_axes(pair_panel(read, prior, i, j, p), i, j, p) end
  end
  local legend = legend_of(read, prior, p, o)
  legend.at, legend.span = p.d > 1 and { 1, 2 } or { 2, 1 }, { 1, math.max(1, p.d - 1) }
  panels[#panels + 1] = legend
  return show.figure({
    panels = panels, columns = p.d, size = p.size, type = p.type, spacing = 1, share = "both",
    notes = p.notes,
  }, "corner")
end

return corner
