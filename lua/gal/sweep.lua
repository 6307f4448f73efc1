-- sweep: runs one experiment many times with different settings, by any number of workers, and ranks the runs
-- by log p of validation galaxies. A space says what is varied (sweep/space.lua), a plan which trials there
-- are (plan.lua), workers do them (worker.lua, trial.lua), a folder holds all that is known (records.lua,
-- claims.lua). experiments/sweep.lua is this module on the command line.
local C = require("ffi").C
local arguments = require "gal.base.options"
local board = require "gal.sweep.board"
local crew = require "gal.sweep.crew"
local errors = require "gal.base.errors"
local gal = require "gal"
local plans = require "gal.sweep.plan"
local records = require "gal.sweep.records"
local results = require "gal.sweep.results"
local score = require "gal.sweep.score"
local spaces = require "gal.sweep.space"
local trials = require "gal.sweep.trial"
local worker = require "gal.sweep.worker"
local path = require "gal.base.path"
local raise = errors.raise

local sweep = {}

for _, name in ipairs{ "choice", "range", "log_range", "integer", "log_integer", "space", "load" } do
  sweep[name] = spaces[name]
end

--- sweep.plan(options): plans a sweep in the folder `out`, or opens the one that was planned there with the
-- same options; runs nothing. Returns the sweep: {out, experiment, trials, varied, rungs, …}, for sweep.run
-- and sweep.work. Options:
--   out                 the folder of the sweep, and of the folders of its runs
--   space               a table of settings (sweep.space): plain values, and choice, range, log_range, …
--   experiment          a script with options, --out and --resume among them, or the name of one of galrun's
--                       ("train_photometry")
--   method = "sobol"    or "random", "grid"
--   trials = 16         how many, of sobol and random; may be raised later
--   levels = 3          of each range, on a grid
--   seed = 0            of sobol and random
--   halving = false     true: asynchronous successive halving (Li et al. 2020): only the best 1/eta of the
--                       trials go on from `least` epochs to eta times as many, and so on to all of them; a
--                       trial goes on where it was
--   least, eta = 3      the epochs of the first rung (those of all less three rungs), and the factor
--   budget = "epochs"   the experiment's option that is halving's budget
--   galaxies = 2000     validation galaxies by which trials are ranked, at most
-- Each trial's words are checked against the experiment's own options at once. Raises where `out` holds a
-- sweep with other options, naming each.
function sweep.plan(given) return plans.make(given) end

--- sweep.open(out): the sweep that was planned in the folder `out`.
function sweep.open(out) return plans.open(out) end

-- The sweep, or the one in the folder of that name.
local function sweep_of(where, s)
  if getmetatable(s) == plans.Plan then return s end
  if type(s) == "string" then return plans.open(s) end
  raise("%s: sweep is %s, expected a sweep (sweep.plan) or its folder", where, errors.kind(s))
end

--- sweep.work(s[, {report =}]): works on a sweep, or on the one in that folder, with this process's threads
-- and device, until no trial is left that it could do, side by side with any other workers, on this machine
-- or others that see the folder. report(trial, rung, record) is called after each. After Ctrl-C, TERM or USR1
-- the trial is put away with its last whole epoch, and gal.interrupted is raised.
function sweep.work(s, given)
  s = sweep_of("work", s)
  local o = arguments.known("work", given, { "report" })
  if o.report ~= nil then errors.callable("work", "report", o.report, "a function") end
  worker.work(s, { threads = C.gal_threads(0), device = gal.device(), report = o.report })
end

--- sweep.run(s[, {workers = 1, report =}]): works on a sweep by that many workers on this machine, processes
-- that share its threads, and, with --device cuda, its cards. Killed ones are replaced. report(found), with
-- what sweep.results gives, is called twice a second. Returns sweep.results, and writes results.csv.
function sweep.run(s, given)
  s = sweep_of("run", s)
  local o = arguments.known("run", given, { "workers", "report" })
  if o.report ~= nil then errors.callable("run", "report", o.report, "a function") end
  local workers = arguments.integer("run", o, "workers", 1, 1, 1024)
  local threads = math.max(1, math.floor(C.gal_threads(0) / workers))
  crew.run(s, { workers = workers, threads = threads, device = gal.device(), report = o.report })
  local found = results.of(s)
  results.write(s, found)
  return found
end

--- sweep.results(s): what a sweep has found so far: {rows, best, galaxies, counts}: a row a trial, the best
-- first: number, trial, state ("done", "failed", "at work", "cut off", "waiting"), reason, epochs, and of
-- those with a score place, mean and half (log p of the validation galaxies and the half width of its 95 %
-- interval, nats), difference, below and above (from the best trial, galaxy by galaxy, with its interval) and
-- apart, whether that interval leaves out 0.
function sweep.results(s) return results.of(sweep_of("results", s)) end

-- What was found, if it is what sweep.results gives; what the sweep has found by now where it is nil.
local function found_of(where, s, found)
  if found == nil then return results.of(s) end
  errors.list(where, "found", found, "what sweep.results gives")
  for _, name in ipairs{ "rows", "counts", "known" } do
    errors.list(where, "found." .. name, found[name], "what sweep.results gives")
  end
  return found
end

-- Whether a run folder without a record is finished, as its checkpoint says.
local function is_finished(s, trial, rung)
  local text = path.read(trial.out .. "/checkpoint.safetensors", 2 ^ 20)
  local stopped = text and text:match '\\"stopped\\":\\"(%a+)\\"'
  if stopped == "patience" then return true end
  local budget = s.rungs[rung]
  return stopped == "epochs" and (not budget or records.epochs(trial) >= budget)
end

--- sweep.collect(s): scores the runs that are finished and were not scored by a worker, because something
-- else trained them (Slurm, by hand), and writes results.csv. Returns sweep.results.
function sweep.collect(s)
  s = sweep_of("collect", s)
  local known, kept = records.read(s), {}
  for number, trial in ipairs(s.trials) do
    local rung = s:last()
    if not known[number][rung] and is_finished(s, trial, rung) then
      errors.poll()
      local record = { epochs = records.epochs(trial), seconds = trials.seconds(trial) }
      trials.score(s, trial, rung, record, kept)
    end
  end
  local found = results.of(s)
  results.write(s, found)
  return found
end

--- sweep.retry(s): forgets that trials failed, so that the next workers try them again.
function sweep.retry(s) records.forget(sweep_of("retry", s)) end

--- sweep.text(s[, found, options]): the sweep as a table of 80 columns: the best trials first, who is at
-- work, what failed. options: most (20), trials in the table; left, seconds that are left; width.
function sweep.text(s, found, given)
  s = sweep_of("text", s)
  local o = arguments.known("text", given, { "most", "left", "width" })
  local lines = board.lines(s, found_of("text", s, found), {
    all = true, most = arguments.integer("text", o, "most", 20, 0),
    left = arguments.number("text", o, "left", nil, 0), width = arguments.integer("text", o, "width", 80, 20),
  })
  return table.concat(lines, "\n")
end

--- sweep.figures(s[, found, {format = "png"}]): draws three figures into the sweep's folder, each with its
-- script and data: parallel (each trial a line through its settings to its log p), effects (log p against
-- each setting, with the mean over trials of about that value; while halving after the first rung) and
-- budget (log p against the epochs spent). found: sweep.results' where it is at hand. Returns their paths;
-- none where fewer than two trials have a score.
function sweep.figures(s, found, given)
  s = sweep_of("figures", s)
  local o = arguments.known("figures", given, { "format" })
  local format = o.format == nil and "png" or o.format
  if format ~= "png" and format ~= "pdf" and format ~= "svg" then
    raise("figures: format is %s, expected \"png\", \"pdf\" or \"svg\"", errors.kind(format))
  end
  return require("gal.sweep.figures").draw(s, found_of("figures", s, found), format)
end

--- sweep.ensemble(s, K[, found]): makes the sweep's folder the ensemble of its K best trials, by its
-- ensemble.json: evaluate.lua, sample.lua, gal.open and the others take the folder as a run then. Trials that
-- are told apart from the best one count, too: what a mixture gains is by how much its members differ. Of
-- trials that came to the same flow, of equal settings, one counts.
-- Returns the ensemble as gal.open does. Raises where fewer than K have a score.
function sweep.ensemble(s, count, found)
  s = sweep_of("ensemble", s)
  errors.integer("ensemble", "K", count, 2, 1024)
  local folders, seen = {}, {}
  for _, row in ipairs(found_of("ensemble", s, found).rows) do
    local out = row.trial.out
    local bytes = row.place and #folders < count and (path.read(out .. "/flow.safetensors") or out)
    if bytes and not seen[bytes] then folders[#folders + 1], seen[bytes] = out, true end
  end
  if #folders < count then
    raise("ensemble: %d trials of %s have a score and differ, expected at least %d", #folders, s.out, count)
  end
  return require("gal.run").ensemble{ out = s.out, members = folders }
end

--- sweep.report(out, ids, log_p): for scripts whose run has no survey that galrun could open: writes
-- validation.csv into the run's folder `out`, by which a sweep ranks the run: log p of each validation row,
-- nats, a list or a tensor {N}, and the rows' ids, a list of strings.
function sweep.report(out, ids, log_p) score.report(out, ids, log_p) end

return sweep
