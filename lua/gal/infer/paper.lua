-- infer/paper: the results of Yunus, Wu & Holwerda 2025 beside what a run of all of them gave: the rows of
-- their Figure 1 and Table 1, and the page that shows them with the figures.
local json = require "gal.base.json"
local path = require "gal.base.path"

local paper = {}

-- The paper's numbers (arXiv 2512.05078, section 4 and Table 1): mean and scatter over 1,000 galaxies of the
-- test set, image and photometry; the share of galaxies whose score is higher by the image; Wasserstein-1
-- distances of the whole test set.
local SCORES = {
  { "delta_log_p", "Δlog p, nats", image = { 2.17, 3.3 }, ugriz = { 1.26, 3.98 }, higher = 81.5 },
  { "d_kl", "D_KL, nats", image = { 3.41, 0.95 }, ugriz = { 2.55, 0.97 }, higher = 96.5 },
}
local DISTANCES = {
  { "lgm_tot_p50", 0.0264, 0.0547 }, { "sfr_tot_p50", 0.0639, 0.1119 }, { "oh_p50", 0.0156, 0.0302 },
  { "d4000_n", 0.0103, 0.0131 }, { "a_v", 0.1937, 0.2565 },
}

local function read(file) return json.decode(path.read(file)) end

local function spread(pair) return ("%.2f ± %.2f"):format(pair[1], pair[2]) end

--- paper.rows(against): the paper's numbers beside those of an evaluation with --against (the table that
-- against.json holds, the image run first): a list of rows under paper.headers. Properties that the runs do
-- not infer are left out.
function paper.rows(against)
  local rows = {}
  for _, score in ipairs(SCORES) do
    local here, deviations = against.scores[score[1]], against.deviations[score[1]]
    rows[#rows + 1] = {
      score[2], spread(score.image), spread{ here.a, deviations.run },
      spread(score.ugriz), spread{ here.b, deviations.against },
    }
    local higher, own = ("%.1f %%"):format(score.higher), ("%.1f %%"):format(100 * here.higher)
    rows[#rows + 1] = { "  higher by the image", higher, own, "", "" }
  end
  for _, distance in ipairs(DISTANCES) do
    local here = against.wasserstein[distance[1]]
    if here then
      rows[#rows + 1] = {
        "W1 of means, " .. distance[1], ("%.4f"):format(distance[2]), ("%.4f"):format(here.means.a),
        ("%.4f"):format(distance[3]), ("%.4f"):format(here.means.b),
      }
    end
  end
  return rows
end

paper.headers = { "", "image, paper", "image, here", "ugriz, paper", "ugriz, here" }

-- What differs from the paper, sentences.
local function differences(out, mock, evaluation)
  local list = {}
  if mock then
    list[1] = "The galaxies are mock ones (runtime/mock), not SDSS's: how much an image adds to magnitudes "
      .. "is the mock's own, and no number needs to be the paper's."
  end
  list[#list + 1] = ("%d galaxies of the test part are scored, by %d draws each; the paper's scores are of "
    .. "1,000, by 1,000 draws, its Wasserstein-1 distances of the whole test set."):format(evaluation.scored,
    evaluation.n)
  list[#list + 1] = ("p(theta) is a kernel estimate; how the paper's was estimated it does not say. The "
    .. "mixture beside it moves Δlog p by %+.2f nats."):format(evaluation.delta_log_p.systematic)
  list[#list + 1] = "Boxes of Figure 2 and galaxies of Figure 3 are chosen by rules that the scripts print; "
    .. "the paper's were chosen by hand."
  list[#list + 1] = "What the paper leaves open was decided here: experiments/README.md marks it."
  list[#list + 1] = "All files are in " .. out .. ", each figure with its script and data."
  return list
end

--- paper.page(out, mock): the report of the results in the folder `out` (of experiments/paper.lua), for
-- page.html and page.text. mock: whether the galaxies are mock ones. Figures that could not be drawn are left
-- out.
function paper.page(out, mock)
  local evaluation = read(out .. "/evaluation/evaluation.json")
  local against = read(out .. "/evaluation/against.json")
  local blocks = {}
  local function add(block) blocks[#blocks + 1] = block end
  local function figure(name, caption)
    local file = out .. "/" .. name
    if path.kind(file) == "file" then add{ figure = file, caption = caption } end
  end
  add{ heading = "Beside the paper's numbers" }
  add{ rows = paper.rows(against), headers = paper.headers }
  add{ text = "ugriz: the photometry model. Means and scatter over galaxies; W1: Wasserstein-1 between the "
    .. "truth and the posterior means, in the properties' units, above 0 even for perfect posteriors, as "
    .. "means shrink." }
  add{ heading = "What differs" }
  add{ list = differences(out, mock, evaluation) }
  add{ heading = "Figures" }
  add{ text = "Figures 1, 2, 3 and A.1 of the paper, and the curves of calibration." }
  figure("evaluation/gain.png", "Figure 1: what the posteriors tell beyond the prior, of all galaxies and "
    .. "galaxy by galaxy.")
  figure("scaling/scaling_relations.png", "Figure 2: scaling relations of the galaxies, of both models' "
    .. "means, and of one draw a galaxy.")
  figure("dust_age/dust_age.png", "Figure 3: dust against age of an old and of a young galaxy.")
  figure("distributions/distributions.png", "Figure A.1: the properties and the r magnitudes of the survey.")
  figure("evaluation/calibration.png", "Not in the paper: whether the posteriors are calibrated. The curves "
    .. "lie in their bands if so.")
  return {
    title = "arXiv 2512.05078 (Yunus, Wu & Holwerda 2025), by galrun",
    lead = evaluation.verdict or "Too few galaxies to tell whether the posteriors are calibrated.",
    blocks = blocks,
  }
end

return paper
