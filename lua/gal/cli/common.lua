-- The options that several experiments have: name, default, help and limits of each, once, in groups of
-- what belongs together. cli.common puts them into an experiment's declarations, cli.values takes their
-- values out.
local data = require "gal.data"

local common = {}

-- Which table of a file a survey is, and who its galaxies are: gal.data's open.
common.table = {
  {
    "id", type = "string",
    help = "column of the galaxies' ids; none: the rows' numbers; default: the first of objID, specObjID and "
      .. "name, else the rows' numbers",
  },
  { "hdu", type = "string", help = "number or name of a FITS file's HDU; default: its first table" },
}

-- How its columns are read: gal.data's open.
common.reading = {
  {
    "theta", data.theta,
    "properties to infer: columns of the table, MODELMAG[2], g-r, log10(flux), or NAME= any of these",
  },
  { "context", data.context, "what to infer them from: columns of the table, or the like" },
  { "sample", "none", "none: every complete row; paper: the paper's cuts", choices = { "none", "paper" } },
  {
    "missing", "drop",
    "rows without all of the context: drop them, or fill the gaps, marked by further columns",
    choices = { "drop", "mask" },
  },
  {
    "missing_value", type = "numbers",
    help = "numbers that stand for missing values in the table, such as 99,-99; -9999 does always",
  },
  { "dereddened", true, "take each band's Galactic extinction off its magnitude" },
  {
    "ab_offsets", type = "list",
    help = "mag to add to SDSS magnitudes of the context to bring them to AB: u=-0.04,z=0.02; default: none",
  },
}

-- How its cutouts are prepared: the options of gal.data.cutouts.
common.cutouts = {
  { "crop", 0, "use the central N x N pixels of each cutout; 0: all of them", type = "integer", least = 0 },
  { "bin", 1, "average over N x N pixels, after the crop", type = "integer", least = 1 },
  {
    "resize", 0, "scale every cutout to N x N pixels first; 0: refuse cutouts of different sizes",
    type = "integer", least = 0,
  },
  { "packed", type = "string", help = "folder for the decoded cutouts; default: decoded/ beside the run" },
  { "bands", type = "list", help = "bands of FITS cutouts to use, in this order: g,r,z; default: all" },
  {
    "scaling", type = "string", choices = { "asinh", "linear", "none" },
    help = "how values of FITS and of PNG of 16 bits are scaled, by the training galaxies; default: asinh; "
      .. "none: PNG as pictures of 8 bits",
  },
}

-- Pictures from an archive: gal.fetch.sources' open.
common.pictures = {
  {
    "source", "sdss", "who has the pictures: SkyServer, the Legacy Surveys' viewer, or CDS's hips2fits",
    choices = { "sdss", "legacysurvey", "hips2fits" },
  },
  { "layer", type = "string", help = "which of the source's pictures; default: ls-dr10, CDS/P/SDSS9/color" },
  { "format", "jpg", "jpg, or fits where the source has it", choices = { "jpg", "fits" } },
  {
    "scale", type = "number", above = 0,
    help = "arcsec a pixel; default: 0.396127, of the Legacy Surveys 0.262",
  },
  { "size", 128, "pixels a side", type = "integer", least = 1, most = 4096 },
}

-- The same, and how they are asked for: gal.fetch.cutouts' fetch.
common.fetching = {}
for i, d in ipairs(common.pictures) do common.fetching[i] = d end
for _, d in ipairs{
  {
    "cutouts_server", type = "string",
    help = "another server of that source: what its addresses begin with",
  },
  { "pause", 0.5, "seconds between two requests, at least 0.2; queries take twice that", above = 0 },
  { "again", false, "ask once more for cutouts that could not be had" },
} do
  table.insert(common.fetching, d)
end

-- The velocity net: gal.flow's new.
common.network = {
  { "hidden", { 256, 256, 256 }, "widths of the velocity net's layers", type = "integers", least = 1 },
  {
    "sigma", 0.05, "width of the path, in deviations of each property: by about so much, in quadrature, "
      .. "posteriors come out too wide; 0.01 or 0 where they are narrower than 0.15 deviations", least = 0,
  },
}

-- gal.train's fit. What has no default here is decided by the number of rows, or is the paper's.
common.training = {
  {
    "preset", type = "string", choices = { "auto", "paper" },
    help = "where no option says it: numbers by how many rows there are, or the paper's; default: auto, or "
      .. "with --resume the run's",
  },
  { "batch", 64, "rows a step", type = "integer", least = 1 },
  {
    "draws", type = "integer", least = 1,
    help = "draws of time and noise for each row of a step; default: 2; paper: 1",
  },
  {
    "time_power", type = "integer", least = 1, most = 16,
    help = "every second draw of a row has the time 1 - u^time_power of a uniform u, near the data, where "
      .. "narrow posteriors take shape; default: 3; --hidden of at most 64 without images, and paper: 1, "
      .. "uniform",
  },
  {
    "lr", type = "number", above = 0,
    help = "learning rate of AdamW; default: 0.003; --hidden of at most 64: 0.006; images: 0.002; paper: "
      .. "0.0005",
  },
  {
    "schedule", type = "string", choices = { "constant", "cosine" },
    help = "constant, or cosine: the rate falls to 0 over all epochs; default: cosine; paper: constant",
  },
  { "weight_decay", type = "number", least = 0, help = "weight decay of AdamW; default: 0.01" },
  { "clip", type = "number", above = 0, help = "largest norm of the gradient; default: no limit" },
  { "average", true, "validate and keep an exponential moving average of the weights" },
  {
    "decay", type = "number", least = 0, most = 1, needs = "average",
    help = "share of that average that each step keeps at most; 1: it looks back over a tenth of the steps "
      .. "so far; default: 1; paper: 0.999",
  },
  {
    "epochs", type = "integer", least = 1,
    help = "epochs at most; default: by the number of rows, 200 to 40, with images 100 to 48; paper: 200",
  },
  {
    "precision", "f32",
    "precision of products while training: bf16 is faster and coarser, of convolutions and, on a card, of "
      .. "linear layers; cards have tf32 and f16, too",
    choices = { "f32", "tf32", "f16", "bf16" },
  },
  {
    "patience", type = "integer", least = 1,
    help = "epochs without a better validation loss before it stops; default: a fifth of them; paper: 20",
  },
  {
    "floor", type = "share",
    help = "share of every posterior that is p(theta), for wrong labels and outliers: auto, as much as "
      .. "validation rows and a quarter of an outlier more are most likely with, at most a fifth, none where "
      .. "1,000 of them do not need it; off, or a number; default: auto; paper: off",
  },
  {
    "scale", type = "string",
    help = "units of the columns: standard, deviations from the mean; robust, from the median, far values as "
      .. "their logarithms; auto, robust where a column reaches beyond 10 deviations; exceptions behind it: "
      .. "auto,e_u=robust; default: auto; paper: standard",
  },
  { "seed", 0, "seed of the weights, the batches and the noise" },
  { "resume", false, "go on with the run in --out" },
}

-- How many flows are trained, to be asked as one: gal.train's ensemble.
common.ensemble = {
  {
    "ensemble", 1,
    "flows to train, that differ by their seed, and are asked as one: runs in --out/member-1, --out/member-2 "
      .. "and so on; 1: a single flow, in --out",
    type = "integer", least = 1, most = 1024,
  },
}

-- What the labels that a flow learns from are: gal.infer's label_errors, and the notes of the flow.
common.labels = {
  {
    "label_errors", type = "list",
    help = "errors of the properties, one each: a number, a column of errors, or two columns P16:P84; auto: "
      .. "NAME_p16:NAME_p84 of NAME_p50. They go with the run; see infer_catalog's --deconvolve",
  },
  {
    "labels", type = "string",
    help = "what the properties are (initial mass function, cosmology, pipeline), for headers of catalogues",
  },
}

-- How the flow's equation is solved: flow:sample and flow:log_prob.
common.solver = {
  { "steps", "auto", "Runge-Kutta steps: a number, or auto: as many as each galaxy needs", type = "steps" },
  {
    "tolerance", 1e-3, "error that auto allows: posterior deviations for draws, nats for densities",
    above = 0, needs = "steps=auto",
  },
}

-- In what the velocity net multiplies where it draws: flow:sample.
common.products = {
  {
    "precision", "f32", "precision of the net's products: f16 is for cards, bf16 coarser",
    choices = { "f32", "tf32", "f16", "bf16" },
  },
}

-- Posteriors of galaxies in place of labels: gal.infer's deconvolve.
common.deconvolved = {
  {
    "deconvolve", false,
    "take the labels' errors off, which the run knows by --label-errors: posteriors of galaxies, not labels",
  },
}

-- Galaxies in shards that are worked on side by side: gal.infer.shards.
common.shards = {
  {
    "shard", type = "string",
    help = "k/K: only part k of K of the galaxies, into --out/shards; each part by a command, a machine or "
      .. "an element of a job array",
  },
  {
    "merge", false,
    "put the parts in --out/shards together: the files are those of the command without parts",
  },
}

-- What each element of a Slurm job array has: gal.cli.slurm.
common.slurm = {
  { "cpus", 1, "Slurm: threads of each element", type = "integer", least = 1, needs = "slurm" },
  { "gpus", 0, "Slurm: cards of each element", type = "integer", least = 0, needs = "slurm" },
  {
    "at_once", type = "integer", least = 1, needs = "slurm",
    help = "Slurm: elements that run side by side at most; default: as many as there is room for",
  },
  {
    "sbatch", type = "string", needs = "slurm",
    help = "Slurm: further options of sbatch: --sbatch='--time=2:00:00 --account=abc'",
  },
}

-- Shards as the elements of a Slurm job array: gal.cli.slurm's shards.
common.array = {
  {
    "slurm", type = "integer", least = 1,
    help = "draw nothing: write a Slurm job array of so many shards into --out, and print what submits it",
  },
  unpack(common.slurm),
}

-- The galaxies that a trained run is asked about: gal.data's reopen.
common.asked = {
  {
    "survey", type = "string",
    help = "table or folder to take the galaxies from; default: the one that the run was trained on",
  },
  { "id", type = "string", help = "column of the galaxies' ids in --survey; default: the run's" },
  { "hdu", type = "string", help = "number or name of --survey's HDU; default: the run's" },
  {
    "rename", type = "list",
    help = "--survey's columns for names of the run's: modelMag_u=MAG_U,...; default: they have these names",
  },
  {
    "dereddened", type = "boolean",
    help = "take extinctions off; must be what was done to the run's magnitudes; default: as they were",
  },
  {
    "ab_offsets", type = "list",
    help = "must be what the run was trained with; none: --survey's magnitudes are AB already",
  },
  { "crop", type = "integer", least = 0, help = "must be what the run was trained with" },
  { "bin", type = "integer", least = 1, help = "must be what the run was trained with" },
  { "packed", type = "string", help = "folder for the decoded cutouts; default: decoded/ beside the run" },
}

-- Galaxies that a run, and another beside it, have not seen: gal.infer.paired.
common.paired = {
  { "against", type = "string", help = "folder of another run, beside this one on the same galaxies" },
  {
    "part", "test",
    "test: a tenth of the survey, by its ids' hash; all: every galaxy that the run was not trained on",
    choices = { "test", "all" },
  },
}

-- Where a run's figures and the numbers behind them go.
common.results = {
  { "out", type = "string", help = "folder for the results; default: one in the run's results/" },
  { "format", "png", "format of the figure", choices = { "png", "pdf", "svg" } },
}

return common
