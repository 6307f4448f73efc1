-- A walk from a survey to a corner plot, in lines as one types them at the prompt: galrun alone is the
-- prompt, and each line after a > below can be typed there. It makes a mock survey with cutouts and trains a
-- photometry model on it (a minute on two cores); then it asks the run: how sure is it, what if the galaxy
-- were metal-rich, which galaxies fit worst, can it be believed, what do two of the bands tell. Figures are
-- in RUN/results/. `galrun -i experiments/tour.lua` gives the prompt at the end, with run and p as they are.

local cli = require "gal.cli"
local o = cli.options{
  { "survey", "runs/tour/survey", "folder of the survey; a mock survey is made where there is none" },
  { "out", "runs/tour", "folder for the runs" },
  { "galaxies", 3000, "of the mock survey", type = "integer", least = 200, needs = "tiny=false" },
  { "epochs", 40, "of the trainings", type = "integer", least = 1, needs = "tiny=false" },
  { "tiny", false, "to see that everything works, in seconds: 300 galaxies, 3 epochs" },
}
if o.tiny then o.galaxies, o.epochs = 300, 3 end
gal = require "gal" -- run, p and what they need are names of the session, for -i
local data, path, plot = require "gal.data", require "gal.base.path", require "gal.plot"
local repl, train = require "gal.repl", require "gal.train"

-- Says what comes now.
local function now(words)
  print("\n-- " .. table.concat(require("gal.base.text").filled(words, 77), "\n-- "))
end

local figures = 0

-- Does what a line at the prompt does: shows it, runs it, prints its value, or draws it.
local function ask(line)
  print("\n> " .. line)
  local value = assert(loadstring(line:find "^%w+ = " and line or "return " .. line))()
  if type(value) == "table" and value.panels then
    figures = figures + 1
    value = plot.figure(("%s/results/%d.png"):format(path.ready(o.out .. "/results"):gsub("/results$", ""),
      figures), value)
  end
  if value ~= nil then print(type(value) == "string" and value or repl.format(value)) end
end

-- Trains p(properties | these columns), or goes on with the run in the folder.
local function trained(context, out)
  local survey = data.open(o.survey, { context = context })
  return train.quick(survey:split "train", {
    valid = survey:split "valid", test = survey:split "test", epochs = o.epochs, lr = 1e-3, out = out,
  })
end

now "A survey is a table of galaxies, and pictures if there are any."
if not path.kind(o.survey) then require("gal.mock").make{ out = o.survey, n = o.galaxies } end
print(data.open(o.survey):describe())

now "A run is trained on it: p(properties | magnitudes). train_photometry.lua does so with all options."
trained(data.context, o.out .. "/photometry")

now "It is opened again, today or in a year; its survey is found."
ask(("run = gal.open %q"):format(o.out .. "/photometry"))
ask "run"

now "The posterior of a galaxy, by its row or id: of one that the run has not seen."
ask "p = run:posterior(run:survey():split('test').ids[1])"
ask "p"

now "One property of it: how sure is it, and how probable is more than half a magnitude of dust?"
ask "p.a_v"
ask "p.a_v:interval(0.95)"
ask "p.a_v:above(0.5)"

now "All of it, with the galaxies that the run learned from in grey."
ask "p:corner{prior = true}"
ask "p:cutout()"

now "What if it were as metal-rich as its posterior's upper end? Draws near there, and the exact density."
ask "p:condition{oh = p:property('oh'):quantile(0.8)}"
ask "p:slice{oh = p:property('oh'):quantile(0.8), x = 'a_v'}"

now("Under another prior. The survey's masses are those of a sample limited in magnitude; codes that fit "
  .. "spectra often take all of them for as probable, flat in log M. The prior is fixed beforehand, and is "
  .. "not made of this galaxy's own posterior, which would count its light twice.")
ask "p:importance{log_mass = {8.5, 11.5}}"

now "Can it be believed? By how rare it is, and by the galaxies most like it."
ask "p:trust()"
ask "run:coverage()"
ask "run:residuals()"

now "Which galaxies does it fit worst? What do they look like? And dusty ones?"
ask "worst = run:worst(5)"
ask "worst"
ask "worst:cutout()"
ask "run:find{a_v = {0.6, 0.9}, part = 'test'}"

now "What do the u and the z band tell? A run without them, beside this one."
trained({ "modelMag_g", "modelMag_r", "modelMag_i" }, o.out .. "/gri")
ask(("gri = gal.open %q"):format(o.out .. "/gri"))
ask "p:compare(gri)"
ask "run:posterior(run:unseen()):compare(gri)"

now "A galaxy of one's own, typed in as a catalogue has it."
ask(("run:posterior{modelMag_u = 18.9, modelMag_g = 17.8, modelMag_r = 17.3, modelMag_i = 17.0, "
  .. "modelMag_z = 16.8, extinction_u = 0.2, extinction_g = 0.15, extinction_r = 0.1, extinction_i = 0.08, "
  .. "extinction_z = 0.06}"))

now "Draws for one's own program, and the figure for a paper."
ask(("p:save %q"):format(o.out .. "/results/draws.csv"))
ask(("p:corner{path = %q}"):format(o.out .. "/results/corner.pdf"))

now "?run and ?p at the prompt list what can be asked; lua/EXPLORING.md says it in full."
