-- How runs learned: training and validation loss against the epoch, the epoch whose weights are kept, and the
-- learning rate. Reads the history in the folder of each run, also of one that is still training. The loss is
-- the mean square error of the flow's velocity, in deviations of the properties; the training loss takes
-- fresh noise in every step, the validation loss always the same. Each member of an ensemble has its curve.
-- Figure, script and data are in RUN/results/.

local cli = require "gal.cli"
local o = cli.options{
  { "run", "runs/photometry", "folder of the run", positional = true },
  { "against", type = "list", help = "folders of other runs, drawn over it" },
  cli.common{ "results" },
}
local curve = require "gal.train.curve"
local history = require "gal.plot.history"
local members = require "gal.flow.members"
local path = require "gal.base.path"
local plot = require "gal.plot"

local home, with = members.home(o.run)
local list, rows, name = {}, {}, "learning_curve" .. (with and "-" .. with or "")
local function add(run)
  local each = curve.read(run)
  local last, best = #each.epoch, each.best
  each.title = members.name(run)
  list[#list + 1] = each
  local spent = each.seconds and each.seconds / 60
  rows[#rows + 1] = {
    run, ("%d"):format(last), best and ("%d"):format(each.epoch[best]) or "-",
    best and ("%.4f"):format(each.valid[best]) or "-",
    best and ("%+.4f"):format(each.valid[best] - each.train[best]) or "-",
    spent and ("%.1f"):format(spent) or "-",
  }
end
for k, run in ipairs{ o.run, unpack(o.against or {}) } do
  if k > 1 then name = name .. (k == 2 and "-against-" or "-") .. members.name(run) end
  for _, folder in ipairs(members.of(run) or { run }) do add(folder) end
end

local out = path.ready(o.out or home .. "/results")
local drawn = plot.figure(("%s/%s.%s"):format(out, name, o.format), history.figure(list))
print(cli.table(rows, { "run", "epochs", "best", "its loss", "less training's", "minutes" }))
print(("\ndrawn: %s"):format(drawn))
