-- (to come)
local gal = require "gal"
local cli = require "gal.cli"
local data = require "gal.data"
local survey = require "gal.survey"
local report = dofile(arg[0]:match "^(.*)/" .. "/report.lua")

local o = cli.options {
  out = "runs/acceptance/mock_photometry", rows = 500000, epochs = 50, batch = 256, lr = 1e-3, decay = 0.999, sigma = 0.02,
  record = { true, "append the result to RESULTS.md" },
}

local TRAINING, VALIDATION, TEST, REFERENCE = 101, 102, 103, 104 -- seeds of the mock surveys

-- theta {n, 5} and context {n, 5} of n galaxies of the survey `seed`, and their table.
local function galaxies(n, seed)
  local t = survey.mock { n = n, seed = seed }
  local function matrix(names)
    local columns = {}
    for i, name in ipairs(names) do columns[i] = t:column(name):reshape { n, 1 } end
    return gal.cat(columns, 2)
  end
  return { theta = matrix(data.theta), context = matrix(data.context), table = t, n = n }
end

local function trained()
  local train, valid = galaxies(o.rows, TRAINING), galaxies(10000, VALIDATION)
  local flow = require("gal.flow").new { theta = data.theta, context = data.context, sigma = o.sigma, rng = gal.rng(1) }
  local run = require("gal.train").fit {
    flow = flow, theta = train.theta, context = train.context, valid = valid, epochs = o.epochs, batch = o.batch, lr = o.lr, decay = o.decay,
    patience = o.epochs, schedule = "cosine", seed = 1, out = o.out .. "/train", resume = true,
  }
  return run.flow, train.theta
end

local flow = trained()
