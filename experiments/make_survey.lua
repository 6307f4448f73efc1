-- Makes a mock survey: a folder with catalog.fits and cutouts/<objID>.jpg that looks like SDSS's, of galaxies
-- whose true posterior is known (runtime/mock/README.md). The catalogue has SDSS's columns, and beside the
-- measured values the true ones: true_log_mass, true_flux_r, the model's latents. Galaxy k of a seed is the
-- same whatever --n is. Stopped, the same command goes on where it was.

local mock = require "gal.mock"
local o = require("gal.cli").options{
  { "n", 50000, "how many galaxies", type = "integer", least = 1 },
  { "out", "survey", "folder for the survey" },
  { "seed", 0, "seed of the galaxies" },
  { "cutouts", true, "draw the images" },
  {
    "cutout_format", "jpg", "jpg: SkyServer's colours; fits: g, r and i in nanomaggies, 200 kB a galaxy",
    choices = { "jpg", "fits" }, needs = "cutouts",
  },
  {
    "without", {}, "features of the images that are made independent of the galaxies",
    choices = mock.couplings,
  },
  { "neighbours", true, "stars and galaxies of the field in the images", needs = "cutouts" },
}

local new = mock.make{
  out = o.out, n = o.n, seed = o.seed, cutouts = o.cutouts, cutout_format = o.cutout_format,
  without = o.without, neighbours = o.neighbours,
}
if new then
  print(("%d galaxies are in %s: galrun experiments/train_photometry.lua --survey %s"):format(o.n, o.out,
    o.out))
else
  print(("the survey in %s is finished"):format(o.out))
end
