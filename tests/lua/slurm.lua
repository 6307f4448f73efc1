-- gal.cli.slurm without Slurm: what it writes, run by a shell that is told the element's number as Slurm
-- tells it. cluster/slurm.sh is with a Slurm.
local check = dofile "lua/lib/check.lua"
local scratch = dofile "lua/lib/scratch.lua"
local declare = require "gal.cli.declare"
local slurm = require "gal.cli.slurm"

-- A script that prints its words, and one that waits for a signal, or for others not to come.
local prints = scratch.write(scratch.path "prints.lua", "print(#arg, table.concat(arg, '|'))")
local waits = scratch.write(scratch.path "waits.lua", [[
jit.off()
io.open("ready", "w"):close()
while true do end]])
local options, here = { cpus = 1, gpus = 0 }, scratch.folder

-- Runs element k of the array in `out`, with a scontrol that prints its words and no Slurm behind it.
local function run(out, k, signal)
  scratch.write(scratch.path "scontrol", '#!/bin/sh\necho "scontrol $*"\n')
  local form = "chmod +x scontrol; export PATH=$PWD:$PATH SLURM_ARRAY_JOB_ID=12 SLURM_ARRAY_TASK_ID=%d "
    .. "SLURMD_NODENAME=n1 SLURM_CPUS_PER_TASK=1; sh '%s/array.sbatch'"
  local sent = " & job=$!\nuntil [ -f ready ]; do sleep .05; done\nkill -%s $job\nwait $job"
  return scratch.run(form:format(k, scratch.path(out)) .. (signal and sent:format(signal) or ""))
end

check.case("each element's words come to its experiment as they were, in the folder of the array", function()
  local hard = { "--out", "it's a $HOME `x` \\ \"folder\"", "--lr=1e-3", "", "*", "--a b" }
  local job = slurm.write{
    out = scratch.path "an array", name = "test", experiment = prints, options = options, folder = here,
    elements = { { "--lr", 0.001 }, hard },
  }
  check.equal(job.command, ("sbatch '%s'"):format(scratch.path "an array/array.sbatch"))
  local code, text = run("an array", 2)
  check.equal({ code, text }, {
    0, "element 2, start 1, on n1\n" .. #hard .. "\t" .. table.concat(hard, "|") .. "\n",
  })
  check.equal(select(2, run("an array", 1)), "element 1, start 1, on n1\n2\t--lr|0.001\n")
  check.equal({ run("an array", 3) }, { 2, "no line 3 in points.txt\n" })
end)

check.case("USR1 at the shell ends galrun, and the element is requeued; TERM ends both", function()
  slurm.write{
    out = scratch.path "waiting", name = "test", experiment = waits, options = options, folder = here,
    elements = { { "x" } },
  }
  local code, text = run("waiting", 1, "USR1")
  check.equal(code, 0)
  check.that(text:find("interrupted by USR1: there is more to do\nscontrol requeue 12_1\n", 1, true), text)
  os.remove(scratch.path "ready")
  code, text = run("waiting", 1, "TERM")
  check.equal(code, 143)
  check.that(not text:find "scontrol", text)
end)

check.case("threads, cards, a limit and sbatch's own options stand where Slurm reads them", function()
  slurm.write{
    out = scratch.path "cards", name = "test", experiment = prints, elements = { {}, {}, {} },
    options = { cpus = 4, gpus = 2, at_once = 2, sbatch = "--time=1:00:00 --account=abc" },
  }
  local text = scratch.read(scratch.path "cards/array.sbatch")
  for _, line in ipairs{
    "#SBATCH --array=1-3%2\n", "#SBATCH --ntasks=1 --cpus-per-task=4 --gpus-per-task=2\n",
    "#SBATCH --requeue --signal=B:USR1@60\n", "#SBATCH --time=1:00:00 --account=abc\n", " --device cuda ",
  } do
    check.that(text:find(line, 1, true), line .. " is not in\n" .. text)
  end
  -- Behind the first command sbatch reads no more options.
  check.that(not text:match("\n[^#\n].*"):find "#SBATCH", "an option stands behind a command")
end)

check.case("points that an array has are not changed behind its back, but there may be more", function()
  local how = { out = scratch.path "points", name = "test", experiment = prints, options = options }
  how.elements = { { "a" }, { "b" } }
  slurm.write(how)
  how.elements[3] = { "c" }
  slurm.write(how)
  check.equal(scratch.read(scratch.path "points/points.txt"), "a\nb\nc\n")
  how.elements = { { "a" } }
  check.raises(function() slurm.write(how) end, "points/points%.txt has other elements", true)
  how.out, how.elements = scratch.path "line", { { "a\nb" } }
  check.raises(function() slurm.write(how) end, "has a line's end in it", true)
end)

check.case("an element resumes by --resume where its experiment has that, and by itself elsewhere", function()
  local spec = {
    { "run", "here", "a folder", positional = true }, { "out", type = "string", help = "a file" },
    unpack(require("gal.cli").common{ "shards", "array" }),
  }
  local before = arg[0]
  arg[0] = prints
  for _, resume in ipairs{ "", "--resume " } do
    local o, out = declare.read(spec, { "there", "--out", "x.fits", "--slurm", "2" }), "array" .. #resume
    local told, form = slurm.shards(o, scratch.path(out)), "there --out x.fits " .. resume .. "--shard %d/2\n"
    check.equal(scratch.read(scratch.path(out .. "/points.txt")), form:format(1) .. form:format(2))
    check.that(told:find(prints .. " there --out x.fits --merge", 1, true), told)
    table.insert(spec, { "resume", false, "go on" })
  end
  arg[0] = before
end)

check.case("the words of values give these values, and say nothing of defaults", function()
  local spec = {
    { "run", "here", "a folder", positional = true }, { "steps", "auto", type = "steps" },
    { "hidden", { 256, 256 }, "layers" }, { "lr", 5e-4 }, { "log_prob", false }, { "average", true },
    { "clip", type = "number" }, { "theta", { "a", "b" }, "columns" },
  }
  local words = { "there", "--steps", "12", "--hidden", "32,0.1", "--log-prob", "--no-average" }
  local values = declare.read(spec, words)
  check.equal(declare.words(values), words)
  check.equal(declare.words(values, { "steps", "hidden" }), { "there", "--log-prob", "--no-average" })
  check.equal(declare.words(declare.read(spec, {})), {})
  local exact = declare.read(spec, { "--lr", "0.30000000000000004", "--clip", "1e-300" })
  check.equal(declare.words(exact), { "--lr", "0.30000000000000004", "--clip", "1e-300" })
end)

scratch.remove()
check.finish()
