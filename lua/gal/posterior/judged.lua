-- posterior/judged: how a run does on the galaxies that it has not seen: how far truths lie from their
-- posteriors, and how often they lie inside of intervals.
local errors = require "gal.base.errors"
local figures = require "gal.posterior.figures"
local gal = require "gal"
local host = require "gal.stats.host"
local labels = require "gal.plot.labels"
local metrics = require "gal.metrics"
local names = require "gal.posterior.names"
local plot = require "gal.plot"
local tested = require "gal.posterior.tested"
local words = require "gal.posterior.words"

local judged = {}

-- The numbers of the galaxies whose draws are numbers.
local function counted(found)
  return host.others("tested", #found.part.ids, #found.lost > 0 and found.lost or nil)
end

-- ---- residuals ----

local Residuals = {}
Residuals.__index = Residuals

function Residuals:__tostring()
  local lines, rows = {}, {}
  words.filled(lines, ("Residuals of %d galaxies by %s: truth less posterior mean."):format(#self.ids,
    self.label))
  for i, name in ipairs(self.names) do
    local s = self.scores[i]
    rows[i] = {
      name, ("%+.2f ± %.2f σ"):format(s.bias, s.bias_error), ("%.2f"):format(s.width),
      words.number(s.rmse), ("%.1f %%"):format(100 * s.far), labels.unit_of(name),
    }
  end
  lines[#lines + 1] = (words.table(rows, { "property", "mean", "scatter, σ", "RMSE", "beyond 3 σ", "unit" }))
  local calibrated = "σ: of each galaxy's posterior. Calibrated: mean 0, scatter 1. From "
  words.filled(lines, calibrated .. self.from .. ".")
  return table.concat(lines, "\n")
end

--- r:table(): a table (gal.table) with a row a galaxy: id, and NAME_residual, in posterior deviations.
function Residuals:table()
  local list = gal.table{ id = self.ids }
  for i, name in ipairs(self.names) do list:set(name .. "_residual", self.z[i]) end
  return list
end

--- r:figure(): histograms of the residuals beside the normal distribution, a figure for gal.show.
function Residuals:figure()
  local panels = {}
  for i, name in ipairs(self.names) do
    local x, y, inside, width = {}, {}, {}, 0.4
    for _, v in ipairs(self.z[i]) do
      if math.abs(v) < 4 then inside[#inside + 1] = v end
    end
    for k = 0, 80 do
      x[k + 1] = -4 + k / 10
      y[k + 1] = #self.z[i] * width * math.exp(-x[k + 1] ^ 2 / 2) / math.sqrt(2 * math.pi)
    end
    panels[i] = plot.panel{
      plot.histogram(inside, { bins = 20, range = { -4, 4 }, filled = true }),
      plot.lines(x, y, { colour = "#444444", dash = 2 }), x = select(2, labels.label_of(name)) .. ", σ",
      xrange = { -4, 4 }, frame = "box", key = false,
    }
  end
  return figures.marked({ panels = panels, columns = math.min(3, #panels), size = "page" }, "residuals")
end

errors.methods(Residuals, "residuals")

--- judged.residuals(run): of each galaxy and property (truth - posterior mean) / deviation: {ids, z {d}{N},
-- scores {d} of {bias, bias_error, width, rmse, far}, from}.
function judged.residuals(run)
  local found = tested.of(run)
  local others = counted(found)
  local part = others and found.part:select(others) or found.part
  local samples = host.pick(found.samples, others)
  local off = (part.theta:to "cpu" - samples:mean(2))
  local z = off / samples:std(2)
  local self = setmetatable({
    ids = part.ids, names = run.flow.theta, z = {}, scores = {}, from = found.from, label = run:label(),
  }, Residuals)
  for i in ipairs(self.names) do
    self.z[i] = z:select(2, i):totable()
    local mean, deviation, error_ = metrics.moments(self.z[i])
    local far, squares = 0, 0
    for _, v in ipairs(self.z[i]) do far = far + (math.abs(v) > 3 and 1 or 0) end
    for _, v in ipairs(off:select(2, i):totable()) do squares = squares + v * v end
    self.scores[i] = {
      bias = mean, bias_error = error_, width = deviation, rmse = math.sqrt(squares / #part.ids),
      far = far / #part.ids,
    }
  end
  return self
end

-- ---- coverage ----

local Coverage = {}
Coverage.__index = Coverage

local LEVELS = { 0.5, 0.68, 0.9, 0.95 }

function Coverage:__tostring()
  local lines, rows, headers = {}, {}, { "property" }
  local sentence = "How often the truth of %d galaxies lies in the central intervals of %s."
  words.filled(lines, sentence:format(self.count, self.label))
  for k, level in ipairs(self.levels) do headers[k + 1] = ("in %.0f %%"):format(100 * level) end
  for i, name in ipairs(self.names) do
    rows[i] = { name }
    for k in ipairs(self.levels) do rows[i][k + 1] = ("%.1f %%"):format(100 * self.inside[k][i]) end
  end
  rows[#rows + 1] = { "by chance ±" }
  for k, level in ipairs(self.levels) do
    rows[#rows][k + 1] = ("%.1f %%"):format(100 * math.sqrt(level * (1 - level) / self.count))
  end
  lines[#lines + 1] = (words.table(rows, headers))
  words.filled(lines, "From " .. self.from .. ". The verdict of one test over everything is evaluate.lua's.")
  return table.concat(lines, "\n")
end

--- c:figure(): the share inside of central intervals against what it should be, a figure for gal.show.
function Coverage:figure()
  local panel = { x = "central interval", y = "share of truths inside", xrange = { 0, 1 }, yrange = { 0, 1 } }
  local colours = { "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000" }
  for i, name in ipairs(self.names) do
    panel[i] = plot.lines(self.grid, self.curves[i], {
      title = (select(2, labels.label_of(name))), colour = colours[(i - 1) % #colours + 1], width = 1.2,
      dash = (i - 1) % 5 + 1,
    })
  end
  panel[#panel + 1] = plot.rule{ slope = 1, intercept = 0, from = 0, to = 1, colour = "#444444" }
  panel.frame, panel.ratio, panel.key = "box", 1, "top left"
  return figures.marked({ panels = { plot.panel(panel) }, size = "column" }, "coverage")
end

errors.methods(Coverage, "a coverage")

--- judged.coverage(run): how often truths lie in central intervals: {levels {m}, inside {m}{d}, count, grid,
-- curves {d}, from}.
function judged.coverage(run)
  local found = tested.of(run)
  local lost = #found.lost > 0 and found.lost or nil
  local self = setmetatable({
    levels = LEVELS, inside = {}, names = run.flow.theta, from = found.from, label = run:label(),
    count = #found.part.ids - #found.lost, grid = {}, curves = {},
  }, Coverage)
  local theta = found.part.theta:to "cpu"
  for k, level in ipairs(LEVELS) do self.inside[k] = metrics.coverage(theta, found.samples, level, lost) end
  for i in ipairs(self.names) do self.curves[i] = {} end
  for k = 1, 19 do
    self.grid[k] = k / 20
    local inside = metrics.coverage(theta, found.samples, k / 20, lost)
    for i, share in ipairs(inside) do self.curves[i][k] = share end
  end
  return self
end

-- ---- the worst ----

--- judged.scores(run, by): of each galaxy of tested.of(run) how bad its posterior is, a list {N}, larger is
-- worse; and what it is by, words. by: "log_q", less its log density at the truth; or "shift:NAME", |truth -
-- median| in posterior deviations.
function judged.scores(run, by)
  local found, list = tested.of(run), {}
  local name = errors.text("worst", "by", by):match "^shift:(.+)$"
  if not name and by ~= "log_q" then
    errors.raise("worst: by is \"%s\", expected \"log_q\", or \"shift:\" and a property's name", by)
  end
  if not name then
    for k, q in ipairs(found.log_q_true:totable()) do list[k] = -q end
    return list, "the log density of the truth, nats", "ln q"
  end
  local i = names.place("worst", run.flow.theta, name)
  local own = found.samples:select(3, i):contiguous()
  local middle, deviation = own:quantiles({ 0.5 }):reshape{ -1 }:totable(), own:std(2):totable()
  for k, truth in ipairs(found.part.theta:select(2, i):totable()) do
    list[k] = math.abs(truth - middle[k]) / deviation[k]
  end
  return list, ("how far the truth of %s lies from the median, in posterior deviations"):format(
    run.flow.theta[i]), "shift, σ"
end

return judged
