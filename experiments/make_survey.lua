-- Makes a mock survey: a folder with catalog.fits and cutouts/<objID>.jpg that looks like SDSS's, of galaxies
-- whose true posterior is known (runtime/mock/README.md). The catalogue has SDSS's columns, and beside what
-- was measured the truth: true_log_mass, true_flux_r, the model's latents. Galaxy k of a seed is the same
-- whatever --n is. Stopped, the same command goes on where it was.

local survey = require "gal.mock"
local o = require("gal.cli").options{
  { "n", 50000, "galaxies", type = "integer", least = 1 },
  { "out", "survey", "folder for the survey" },
  { "seed", 0, "another seed, other galaxies" },
  { "cutouts", true, "draw the images" },
  { "without", {}, "couplings of which the images are to know nothing", choices = survey.couplings },
  { "neighbours", true, "stars and galaxies of the field in the images" },
}

local new = survey.make{ out = o.out, n = o.n, seed = o.seed, cutouts = o.cutouts, without = o.without, neighbours = o.neighbours }
print(new and ("%d galaxies are in %s: galrun experiments/train_photometry.lua --survey %s"):format(o.n, o.out, o.out)
  or ("the survey in %s is finished"):format(o.out))
