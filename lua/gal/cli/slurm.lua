-- cli/slurm: commands of galrun as the elements of a Slurm job array: one line of options an element in
-- points.txt, and one script for sbatch. An element that is requeued, cancelled and submitted again, or out
-- of time goes on where it was, since its command resumes: Slurm is the scheduler, the folders are the state.
local declare = require "gal.cli.declare"
local errors = require "gal.base.errors"
local host = require "gal.base.host"
local path = require "gal.base.path"
local raise = errors.raise

local slurm = {}

-- A word as a shell reads it.
local function quoted(word)
  if word:find "^[%w%._/=,:+%-]+$" then return word end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- slurm.line(words): the words as one line of a shell's.
function slurm.line(words)
  local list = {}
  for i, word in ipairs(words) do
    list[i] = quoted(tostring(word))
    if list[i]:find "\n" then raise("slurm: the option %q has a line's end in it", word) end
  end
  return table.concat(list, " ")
end

-- USR1 comes this many seconds before the time limit, up to a minute earlier. An element saves at every epoch
-- or galaxy: it ends in a moment.
local WARNING = 60

-- The shell waits beside galrun, and does not become it, since somebody has to requeue what has more to do
-- (75). Slurm sends TERM to all processes of a job, and USR1 to the shell alone.
local SCRIPT = [=[
#!/bin/sh
# %(name): element k of this job array runs line k of points.txt. What was cut off goes on where it was.
# all of them:  sbatch %(script)
# some of them: sbatch --array=2,5 %(script)
#SBATCH --job-name=%(name)
#SBATCH --array=1-%(count)%(limit)
#SBATCH --ntasks=1 --cpus-per-task=%(cpus)%(gpus)
#SBATCH --requeue --signal=B:USR1@%(warning)
#SBATCH --open-mode=append --output="%(out)/slurm/%a.txt"
%(more)cd %(folder) || exit 2
k=$SLURM_ARRAY_TASK_ID
line=$(sed -n "${k}p" %(points))
[ -n "$line" ] || { echo "no line $k in points.txt"; exit 2; }
eval "set -- $line"
echo "element $k, start $((${SLURM_RESTART_COUNT:-0} + 1)), on ${SLURMD_NODENAME:-$(uname -n)}"
%(galrun) --threads "${SLURM_CPUS_PER_TASK:-%(cpus)}"%(device) %(experiment) "$@" &
galrun=$!
trap 'kill -USR1 $galrun 2>/dev/null' USR1
trap 'kill -TERM $galrun 2>/dev/null' TERM
wait $galrun
code=$?
while [ $code -gt 128 ] && kill -0 $galrun 2>/dev/null; do # a signal ended the wait, not galrun
  wait $galrun
  code=$?
done
[ $code -ne 75 ] || exec scontrol requeue "${SLURM_ARRAY_JOB_ID}_$k"
exit $code
]=]

--- slurm.write{out =, name =, experiment =, elements =, options =, folder =}: writes points.txt and
-- array.sbatch into the folder out. experiment: the path of the script that each element runs; elements: of
-- each the words behind it, a list of lists; options: {cpus, gpus, at_once, sbatch} of cli.common's group
-- slurm; folder: where they run, the current one if nil: relative paths among the words are meant from there.
-- Returns {points, script, command}, command being the line that submits them. Raises where out has other
-- points than these, or the first of these: elements that wait in Slurm's queue would become other ones.
function slurm.write(o)
  errors.list("slurm", "elements", o.elements, "a list of lists of words")
  local out, asked, lines = path.absolute(path.ready(o.out)), o.options, {}
  local function file(name) return out .. "/" .. name end
  if out:find '[\n"\\]' then raise("slurm: out is '%s', which a job script can't name", out) end
  for i, words in ipairs(o.elements) do lines[i] = slurm.line(words) .. "\n" end
  local points, before = table.concat(lines), path.read(file "points.txt")
  if before and points:sub(1, #before) ~= before then
    raise("slurm: %s has other elements; where none of them waits in Slurm's queue, remove it, or name "
      .. "another out", file "points.txt")
  end
  path.make(file "slurm")
  path.write(file "points.txt", points)
  local values = {
    name = o.name, count = #lines, limit = asked.at_once and "%" .. asked.at_once or "", cpus = asked.cpus,
    gpus = asked.gpus > 0 and " --gpus-per-task=" .. asked.gpus or "", warning = WARNING, out = out,
    more = asked.sbatch and "#SBATCH " .. asked.sbatch .. "\n" or "",
    folder = quoted(o.folder or path.absolute "."), points = quoted(file "points.txt"),
    script = quoted(file "array.sbatch"), galrun = quoted(host.executable),
    device = asked.gpus > 0 and " --device cuda" or "", experiment = quoted(path.absolute(o.experiment)),
  }
  local text = SCRIPT:gsub("%%%((%l+)%)", function(name) return tostring(values[name]) end)
  path.write(file "array.sbatch", text)
  return { points = file "points.txt", script = file "array.sbatch", command = "sbatch " .. values.script }
end

-- Options that are not an element's own words.
local OURS = { "slurm", "cpus", "gpus", "at_once", "sbatch", "resume", "shard", "merge" }

--- slurm.shards(o[, out = o.out]): the running experiment, whose options o have the groups shards and array,
-- as a job array of o.slurm shards, written into the folder out. An experiment without an option resume goes
-- on by itself. Returns the lines that say how it is submitted, and what comes then.
function slurm.shards(o, out)
  local elements, words = {}, declare.words(o, OURS)
  local more = rawget(o, "resume") ~= nil and { "--resume", "--shard" } or { "--shard" }
  for k = 1, o.slurm do
    elements[k] = { unpack(words) }
    for _, word in ipairs(more) do table.insert(elements[k], word) end
    table.insert(elements[k], k .. "/" .. o.slurm)
  end
  local name = arg[0]:match "([^/]+)%.lua$" or "shards"
  local job = slurm.write{
    out = out or o.out, name = name, experiment = arg[0], elements = elements, options = o,
  }
  local again = slurm.line{ "galrun", arg[0], unpack(words) }
  local form = "written: %s, %s\nsubmit:  %s\nthen:    %s --merge"
  return form:format(job.points, job.script, job.command, again)
end

return slurm
