-- posterior/slice: the exact density of a posterior along one property, or over two, where others have given
-- values: a cut through it, without draws or kernels.
local arguments = require "gal.base.options"
local draws = require "gal.posterior.draws"
local errors = require "gal.base.errors"
local fields = require "gal.plot.fields"
local figures = require "gal.posterior.figures"
local gal = require "gal"
local labels = require "gal.plot.labels"
local loops = require "gal.plot.loops"
local names = require "gal.posterior.names"
local plot = require "gal.plot"
local words = require "gal.posterior.words"
local raise = errors.raise

local Slice = {}
Slice.__index = Slice

local WIDE = 4 -- deviations of the posterior on either side of its median, the slice's frame

-- The frame of property i, a list of `points` values: over the middle of the posterior, and the value of a
-- galaxy's truth where that is not far.
local function axis(p, i, points)
  local column = draws.column(p, i, 1)
  local middle = draws.quantiles(column, { 0.5 })[1]
  local _, deviation = draws.moments(column)
  local list = {}
  for k = 1, points do list[k] = middle + (2 * (k - 1) / (points - 1) - 1) * WIDE * deviation end
  return list
end

-- What was asked for: places of x and y, the values of all others {d}, and which of them were given.
local function plan_of(p, options)
  errors.list("slice", "options", options, "values by name, with x = and y =")
  local given = {}
  for name, value in pairs(options) do given[name] = value end
  local points = arguments.integer("slice", given, "points", 40, 3, 1000)
  if given.x == nil then raise "slice: x is nil, expected the name of a property" end
  local plan = { points = points, x = names.place("slice", p.names, given.x), values = {}, given = {} }
  plan.y = given.y ~= nil and names.place("slice", p.names, given.y) or nil
  if plan.y == plan.x then raise("slice: x and y are both %s", p.names[plan.x]) end
  given.x, given.y, given.points = nil, nil, nil
  for i, value in pairs(names.by_place("slice", p.names, given)) do
    if i == plan.x or i == plan.y then raise("slice: %s is an axis and has a value", p.names[i]) end
    plan.values[i], plan.given[i] = errors.number("slice", p.names[i], value), true
  end
  for i in ipairs(p.names) do
    plan.values[i] = plan.values[i] or draws.quantiles(draws.column(p, i, 1), { 0.5 })[1]
  end
  return plan
end

--- slice.of(p, options): see Posterior:slice. A slice: {x_name, y_name, x {m}, y {m} or nil, log_p: a tensor
-- {m}, or {m, m} with a row for each y, nats per product of the units, fixed {name = value}}.
local function of(p, options)
  if p.effective then raise "slice: the posterior has weights and no density, expected run:posterior's" end
  local plan = plan_of(p, options)
  local x, y = axis(p, plan.x, plan.points), plan.y and axis(p, plan.y, plan.points)
  local rows, d = {}, #p.names
  for j = 1, y and #y or 1 do
    for k = 1, #x do
      local row = { unpack(plan.values, 1, d) }
      row[plan.x] = x[k]
      if y then row[plan.y] = y[j] end
      rows[#rows + 1] = row
    end
  end
  local log_p = p:log_prob(gal.tensor(rows, nil, { device = "cpu" })):to "cpu"
  local self = setmetatable({
    posterior = p, x_name = p.names[plan.x], y_name = plan.y and p.names[plan.y], x = x, y = y,
    log_p = y and log_p:reshape{ #y, #x } or log_p, fixed = {}, given = {},
  }, Slice)
  for i, name in ipairs(p.names) do
    if i ~= plan.x and i ~= plan.y then self.fixed[name], self.given[name] = plan.values[i], plan.given[i] end
  end
  return self
end

--- s:peak(): where the slice is highest: {name = value} of x and y, and the log density there.
function Slice:peak()
  local values, best, at = self.log_p:reshape{ -1 }:totable(), -math.huge, 1
  for k, v in ipairs(values) do
    if v > best then best, at = v, k end
  end
  local m = #self.x
  local peak = { [self.x_name] = self.x[(at - 1) % m + 1] }
  if self.y then peak[self.y_name] = self.y[math.floor((at - 1) / m) + 1] end
  return peak, best
end

-- From half a step before the first value to half a step behind the last.
local function frame(list)
  local half = (list[2] - list[1]) / 2
  return { list[1] - half, list[#list] + half }
end

-- The height above which a slice's cells, a list of densities, hold this share of them. A line at a cell's
-- own height has half of that cell within; between two cells' heights it is linear in the share.
local function height_of(cells, share)
  local ordered, total, within = {}, 0, 0
  for k, v in ipairs(cells) do ordered[k], total = v, total + v end
  table.sort(ordered, function(a, b) return a > b end)
  for k = 1, #ordered - 1 do
    local step = (ordered[k] + ordered[k + 1]) / 2
    local part = (share * total - within - ordered[1] / 2) / step
    if part <= 1 then return ordered[k] + math.max(0, part) * (ordered[k + 1] - ordered[k]) end
    within = within + step
  end
  return ordered[#ordered]
end

--- s:contours(levels = {.68, .95}): of a slice over x and y the lines around the densest places that hold
-- these shares of it: a list, for each level, of closed lines {{x, y}, …}.
function Slice:contours(levels)
  levels = fields.levels("contours", levels)
  if not self.y then raise "contours: this slice is along one property, expected x and y" end
  local _, best = self:peak()
  local cells, found = (self.log_p - best):exp():reshape{ -1 }:totable(), {}
  local plane = { bins = #self.x, cell = {}, limits = {} }
  for k, v in ipairs(cells) do plane.cell[k - 1] = v end
  local x, y = self.x, self.y
  function plane.place(_, i, j)
    return x[1] + i * (x[#x] - x[1]) / (#x - 1), y[1] + j * (y[#y] - y[1]) / (#y - 1)
  end
  for k, share in ipairs(levels) do found[k] = loops.of(plane, height_of(cells, share)) end
  return found
end

-- The contours as a layer.
local function contour_layer(self)
  local all = {}
  for _, lines in ipairs(self:contours()) do
    for _, line in ipairs(lines) do all[#all + 1] = line end
  end
  return fields.region_layer(all, { width = 1, colour = "#333333" })
end

--- s:figure(): the slice as a figure for gal.show: a line; or a map of the density, with lines around 68 and
-- 95 % of it.
function Slice:figure()
  local peak, best = self:peak()
  local density = (self.log_p - best):exp()
  local label = labels.label_of(self.x_name)
  local panel
  if self.y then
    local rows = {} -- the map's first row is at the top
    for j = 1, #self.y do rows[j] = #self.y + 1 - j end
    panel = plot.panel{
      plot.map(density:rows(rows), {
        xrange = frame(self.x), yrange = frame(self.y), range = { 0, 1 }, colours = "density",
      }),
      contour_layer(self),
      x = label, y = (labels.label_of(self.y_name)), ratio = 1, frame = "box",
      xrange = frame(self.x), yrange = frame(self.y),
    }
  else
    panel = plot.panel{
      plot.lines(self.x, density:totable(), { width = 1.4 }), plot.rule{ x = peak[self.x_name], dash = 2 },
      x = label, y = "density over its largest", frame = "box",
    }
  end
  return figures.marked({ panels = { panel }, size = "column" }, "slice-" .. self.posterior.id)
end

function Slice:__tostring()
  local lines, fixed, medians = {}, {}, {}
  for _, name in ipairs(self.posterior.names) do
    local value = self.fixed[name]
    if value then
      local list = self.given[name] and fixed or medians
      list[#list + 1] = ("%s = %.4g"):format(name, value)
    end
  end
  local peak, best = self:peak()
  local where = ("%s = %.4g"):format(self.x_name, peak[self.x_name])
  if self.y then where = where .. (", %s = %.4g"):format(self.y_name, peak[self.y_name]) end
  words.filled(lines, ("Exact density of galaxy %s %s%s%s."):format(self.posterior.id,
    self.y and ("over %s and %s"):format(self.x_name, self.y_name) or "along " .. self.x_name,
    #fixed > 0 and " where " .. table.concat(fixed, ", ") or "",
    #medians > 0 and ("; at their medians: %s"):format(table.concat(medians, ", ")) or ""))
  words.filled(lines, ("Highest at %s: %.3f nats. s:figure() shows it."):format(where, best))
  return table.concat(lines, "\n")
end

errors.methods(Slice, "a slice")

return { of = of }
