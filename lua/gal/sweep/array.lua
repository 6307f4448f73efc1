-- sweep/array: a sweep as a Slurm job array. Each element is one trial, a plain run of the experiment with
-- --resume, which sweep.collect scores once it is over; while halving, an element is a worker that joins the
-- sweep, as which trial goes on depends on the others.
local host = require "gal.base.host"
local slurm = require "gal.cli.slurm"

local array = {}

--- array.write(s, o): writes the array of the sweep s into its folder. o: the options of cli.common's group
-- slurm, and workers, the number of elements while halving. Returns {points, script, command}, of
-- gal.cli.slurm.
function array.write(s, o)
  local elements, experiment = {}, s.experiment
  if #s.rungs > 0 then
    experiment = host.root .. "/experiments/sweep.lua"
    for k = 1, o.workers do elements[k] = { "--join", s.out } end
  else
    for k, trial in ipairs(s.trials) do elements[k] = s:command(trial) end
  end
  return slurm.write{
    out = s.out, name = "sweep", experiment = experiment, elements = elements, options = o, folder = s.folder,
  }
end

return array
