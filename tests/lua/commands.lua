-- README.md does what it says: its commands and its sessions at the prompt are run from the document's own
-- text, in their order and in one folder, as a reader would; and the sessions of lua/EXPLORING.md and
-- lua/PROMPT.md are run. The tables among the output that stands there are compared with what comes out, with
-- every number taken for any other; sentences depend on what was learned. (readme.lua runs the Lua there.)
--
-- A new command or session needs no line here. Sizes are cut by the rule of SIZES; data of the reader's own
-- are made by `given`; a block that is not run is named in NOT_RUN, with the reason.
local check = dofile "lua/lib/check.lua"
local document = dofile "lua/lib/document.lua"
local scratch = dofile "lua/lib/scratch.lua"
local cli = require "gal.cli"
local data = require "gal.data"
local gal = require "gal"
local root = require("gal.host").root

-- Programs whose commands are not run, and why.
local NOT_RUN = {
  ["sh third_party/setup.sh"] = "it installs packages",
  ["ctest "] = "this is one of its tests",
  ["sh tests/"] = "it needs a machine with a card",
  ["build/galrun tests/acceptance/"] = "long runs with a bar on their result; each has a short ctest",
  ["build/galrun experiments/fetch_"] = "it needs the network; lua/fetch.lua and fetch_cutouts.lua run it",
  ["build/galrun experiments/train_image.lua --survey sdss "] = "its survey is fetched",
  ["sbatch "] = "it needs Slurm",
  ["srun "] = "it needs Slurm",
  ["mpirun "] = "it needs MPI",
}

-- The rule by which commands become small: an experiment that has --tiny gets it; else each of these options
-- that it declares is set, in the place of what the command says.
local SIZES = { epochs = 1, galaxies = 60, n = 1, hidden = "16,16", channels = "2,4", crop = 16, trials = 4 }
-- --n counts draws, but in these; nowhere is it set below the least that the experiment takes.
local N = { make_survey = 150, reference_posterior = 1, show_survey = 8 }

-- As two processes (halves.sh) one has these experiments, which need nothing of the other commands and which
-- none of them needs; the other has all the rest.
local ALONE = { quickstart = true, paper = true, tour = true }
local half = check.shared()
local function mine(alone) return not half or alone == (half == 1) end

local path = scratch.path

-- What a reader brings: a survey with cutouts, its table, another table, arrays.
local function given()
  local folder = path "FOLDER"
  require("gal.mock").make{ out = folder, n = 150, progress = false }
  local t = gal.table(folder .. "/catalog.fits")
  t:save(path "catalog.csv")
  local few = {}
  for i = 1, 20 do few[i] = i end
  t:select(few):save(path "new.csv")
  local survey = data.open(folder)
  gal.save(path "theta.npy", survey.theta)
  gal.save(path "x.npy", survey.context)
  gal.save(path "new.npy", survey.context:narrow(1, 1, 9))
  gal.save(path "truth.npy", survey.theta:narrow(1, 1, 9))
  for _, block in ipairs(document.blocks(root .. "/README.md")) do -- a space that README.md shows, made small
    local text = table.concat(block, "\n")
    if text:find "sweep%.log_range" and block.language == "" then
      text = text:gsub("epochs = %d+", "epochs = 3"):gsub("%d+, %d+, %d+", "16, 16, 16")
      scratch.write(path "space.lua", text)
    end
  end
end

-- The command with option --name set to value, whatever it says.
local function with(command, name, value)
  name = name:gsub("_", "-")
  local option = "%f[%S]%-%-" .. name:gsub("%-", "%%-")
  return (command:gsub(option .. "[ =]%S+", "")) .. " --" .. name .. " " .. value
end

-- The command as it is run here.
local function small(command)
  local name, rest = command:match "^build/galrun experiments/([%w_]+)%.lua(.*)$"
  if not name then return (command:gsub("^build/galrun", scratch.galrun)) end
  local script = ("%s/experiments/%s.lua"):format(root, name)
  local declared = {}
  for _, option in ipairs(cli.declared(script)) do declared[option.name] = option end
  if declared.tiny then
    rest = rest .. " --tiny"
  else
    for option, value in pairs(SIZES) do
      -- A run's images are cropped as it saw them; only a training chooses.
      local chooses = option ~= "crop" or declared.epochs
      local least = declared[option] and declared[option].least
      if option == "n" then value = math.max(N[name] or value, least or 0) end
      if declared[option] and chooses then rest = with(rest, option, value) end
    end
  end
  return ("%s '%s'%s"):format(scratch.galrun, script, rest)
end

local function reason_of(command)
  for program, reason in pairs(NOT_RUN) do
    if command:sub(1, #program) == program then return reason end
  end
end

-- ---- commands ----

local printed = "" -- by the commands of the last block of shell

local alone -- whether the last block of shell was such an experiment's

local function run_block(block)
  printed, alone = "", ALONE[table.concat(block, " "):match "experiments/([%w_]+)%.lua"] or false
  if not mine(alone) then return end
  for _, command in ipairs(document.commands(block)) do
    if not reason_of(command) then
      check.case(("README.md:%d: %s"):format(block.line, command), function()
        local code, output = scratch.run(small(command))
        check.that(code == 0, ("exit code %s of %s:\n%s"):format(code, small(command), output))
        printed = printed .. output
      end)
    end
  end
end

-- Raises unless the tables' lines among those that the document shows are among what was found.
local function compare(shown, found)
  local tables = {}
  for _, line in ipairs(shown) do
    if document.is_table(line) then tables[#tables + 1] = line end
  end
  local line = document.missing(tables, found)
  check.that(not line, ("there is no line as %q in\n%s"):format(line or "", found))
end

local function compare_block(block)
  if not mine(alone) then return end
  check.case(("README.md:%d: the tables are those of the command above"):format(block.line), function()
    compare(block, printed)
  end)
end

-- ---- the prompt ----

-- Runs the inputs of a document as one session, through a pipe. all: every line that it shows is compared,
-- and an error among them is meant.
local function run_prompt(name, inputs, all)
  local text, fails = {}, 0
  for i, input in ipairs(inputs) do
    text[i] = input.text .. ('\nprint "[input %d]"\n'):format(i)
    fails = table.concat(input.shown, "\n"):find "^stdin:" and 1 or fails
  end
  local code, output = scratch.run(("%s <<'END' \n%sEND"):format(scratch.galrun, table.concat(text)))
  check.case(name .. ": what is typed at the prompt raises the errors that it shows", function()
    check.that(code == fails, output)
  end)
  local from = 1
  for i, input in ipairs(inputs) do
    local mark = ("[input %d]\n"):format(i)
    local first, last = output:find(mark, from, true)
    local found = first and output:sub(from, first - 1) or ""
    from = last and last + 1 or from
    check.case(("%s:%d: > %s"):format(name, input.line, input.text), function()
      check.that(first, "the prompt did not come so far")
      if not all then return compare(input.shown, found) end
      -- In one line: a terminal breaks an error that a pipe does not.
      local shown = document.plain(table.concat(input.shown, " "))
      check.that(document.plain(found):find(shown, 1, true), ("%q is not in\n%s"):format(shown, found))
    end)
  end
end

given()
local inputs, others = {}, {}
for _, block in ipairs(document.blocks(root .. "/README.md")) do
  if block.language == "sh" then
    run_block(block)
  elseif block.language == "" and block[1] and block[1]:match "^> " then
    for _, input in ipairs(document.inputs(block)) do inputs[#inputs + 1] = input end
  elseif block.language == "" then
    compare_block(block)
  elseif block.language ~= "lua" then
    others[#others + 1] = ("line %d, %s"):format(block.line, block.language)
  end
end
if mine(false) then run_prompt("README.md", inputs) end
-- The sessions of lua's chapters: EXPLORING.md's asks README.md's run, so that it comes behind.
for chapter, whole in pairs{ ["lua/EXPLORING.md"] = false, ["lua/PROMPT.md"] = true } do
  for _, block in ipairs(document.blocks(root .. "/" .. chapter)) do
    if mine(whole) and block[1]:match "^> " then run_prompt(chapter, document.inputs(block), whole) end
  end
end

check.case("every block of README.md is shell, Lua, output or the prompt", function()
  check.equal(others, {})
end)

check.case("the comparison of outputs sees another word, and neither numbers nor blanks", function()
  local shown = { "Delta log p, nats   2.4  +0.4 (.3 to .5)  72 %", "----", "...", "W1 means, a_v  .05" }
  local found = "Delta log p, nats -1 0.1 (-.2 to 1e-3) 3 %\n---------\nmore\nW1 means, a_v 1,000\n"
  check.equal(document.missing(shown, found), nil)
  check.equal(document.missing({ "W1 mean, a_v  .05" }, found), "W1 mean, a_v  .05")
  check.equal(document.missing({ "W1 means, a_v 2", "---" }, found), "---")
end)

scratch.remove()
check.finish()
