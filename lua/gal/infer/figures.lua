-- infer/figures: the figures of an evaluation, by gal.plot.
local curve = require "gal.train.curve"
local folder = require "gal.base.path"
local history = require "gal.plot.history"
local members = require "gal.flow.members"
local plot = require "gal.plot"

local figures = {}

-- The range of both axes: that of all values, and a little more.
local function range_of(a, b)
  local low, high = math.huge, -math.huge
  for _, list in ipairs{ a, b } do
    for _, v in ipairs(list) do low, high = math.min(low, v), math.max(high, v) end
  end
  local room = high > low and 0.03 * (high - low) or 1
  return { low - room, high + room }
end

--- figures.truth(path, names {d}, truth {N, d}, samples {N, n, d}): posterior medians against the truth, a
-- panel a property; tensors on the host. Returns path.
function figures.truth(path, names, truth, samples)
  local panels = {}
  for i, name in ipairs(names) do
    local own = truth:select(2, i):totable()
    local median = samples:select(3, i):quantiles{ 0.5 }:reshape{ #own }:totable()
    local range = range_of(own, median)
    panels[i] = plot.panel{
      plot.points(own, median, { colour = "#0072B2" }),
      plot.rule{ slope = 1, intercept = 0, from = range[1], to = range[2], colour = "#444444" },
      x = "true " .. plot.label_of(name), y = "posterior median", xrange = range, yrange = range,
      ratio = 1,
    }
  end
  return plot.figure(path, { panels = panels, columns = math.min(3, #panels) })
end

--- figures.training(path, losses): the losses of a training, epoch by epoch, from the table of a run's
-- history.csv, and its best epoch. The first fiftieth of the epochs may lie above the frame. Returns path.
function figures.training(path, losses)
  local epoch, train = losses:doubles "epoch", losses:doubles "train_loss"
  local valid = losses:doubles "valid_loss"
  local best, low, high = 1, math.huge, -math.huge
  for k = 1, #epoch do
    if valid[k] < valid[best] then best = k end
    low = math.min(low, train[k], valid[k])
    if k > #epoch / 50 then high = math.max(high, train[k], valid[k]) end
  end
  local room = high > low and 0.05 * (high - low) or 1
  return plot.figure(path, {
    panels = { plot.panel{
      plot.rule{ x = epoch[best], colour = "#999999", title = ("best: epoch %d"):format(epoch[best]) },
      plot.lines(epoch, train, { colour = "#0072B2", title = "training" }),
      plot.lines(epoch, valid, { colour = "#D55E00", width = 2, title = "validation" }),
      x = "epoch", y = "loss", yrange = { low - room, high + room },
    } },
  })
end

--- figures.trainings(path, folders): the losses of the trainings of runs that have a history.csv, each in a
-- colour of its own. Returns path.
function figures.trainings(path, folders)
  local curves = {}
  for _, run in ipairs(folders) do
    if folder.kind(run .. "/history.csv") then
      local own = curve.read(run)
      own.title = members.name(run)
      curves[#curves + 1] = own
    end
  end
  return plot.figure(path, history.figure(curves))
end

--- figures.calibration(path, curves): the curves of a test (calibration.test), each with its band. Returns
-- path.
function figures.calibration(path, curves)
  local panels, most = {}, 0
  for _, curve in ipairs(curves) do
    for k = 1, #curve.x do most = math.max(most, curve.high[k], -curve.low[k], math.abs(curve.y[k])) end
  end
  for i, curve in ipairs(curves) do
    panels[i] = plot.panel{
      plot.band(curve.x, curve.low, curve.high, { colour = "#BBBBBB" }),
      plot.lines(curve.x, curve.y, { colour = "#D55E00", width = 2 }), plot.rule{ y = 0, from = 0, to = 1 },
      title = select(2, plot.label_of(curve.name)), x = "rank",
      y = i % 3 == 1 and "distribution less uniform" or nil,
      xrange = { 0, 1 }, yrange = { -1.05 * most, 1.05 * most },
    }
  end
  return plot.figure(path, { panels = panels, columns = math.min(3, #panels) })
end

return figures
