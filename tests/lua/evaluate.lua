-- What evaluate.lua stands on: posteriors that are drawn once and kept, contexts, the report as text and as
-- a page; and small runs that are wrong, over-fitted, trained on shuffled labels, or without an input: the
-- first sentence says so.
local check = dofile "lua/lib/check.lua"
local data = require "gal.data"
local gal = require "gal"
local host = require "gal.stats.host"
local json = require "gal.base.json"
local page = require "gal.infer.page"
local scratch = dofile "lua/lib/scratch.lua"
local path = scratch.path

local function read(name) return scratch.read(path(name)) end

-- n galaxies of two properties and two magnitudes: theta ~ N(0, I), g = theta_1 + .4 e_1, u = theta_2 +
-- theta_1 / 2 + .4 e_2. Without u, posteriors of theta_2 are the prior's.
local function galaxies(n, seed, prefix)
  local r, ids = gal.rng(seed), {}
  local theta, noise = gal.randn({ n, 2 }, { rng = r }), gal.randn({ n, 2 }, { rng = r }) * 0.4
  local first = theta:select(2, 1)
  for k = 1, n do ids[k] = (prefix or "") .. k end
  return gal.table{ objID = ids }:set("oh_p50", first):set("a_v", theta:select(2, 2))
    :set("modelMag_g", first + noise:select(2, 1))
    :set("modelMag_u", theta:select(2, 2) + first * 0.5 + noise:select(2, 2))
end

local THETA, BANDS = { "oh_p50", "a_v" }, { "modelMag_u", "modelMag_g" }

-- Trains photometry on a table of the scratch folder.
local function train(name, out, options)
  local survey = data.open(path(name), { theta = THETA, context = options.context or BANDS })
  local flow = require("gal.flow").new{
    theta = survey.names.theta, context = survey.names.context,
    hidden = options.hidden or { 48, 48 },
    rng = gal.rng(1),
  }
  flow.notes = survey:choices()
  require("gal.train").fit{
    flow = flow, data = survey:split "train", valid = survey:split "valid", test = survey:split "test",
    preset = "paper", epochs = options.epochs, draws = options.draws, batch = options.batch or 128, lr = 4e-3,
    schedule = "cosine", patience = 1000, scale = options.scale,
    average = options.average, weight_decay = options.average == false and 0 or 0.01, out = path(out),
    progress = false,
  }
end

-- What evaluate says of a run: its words in one line, and the verdict of evaluation.json.
local function evaluated(words)
  local code, text = scratch.run(scratch.experiment "evaluate" .. " " .. words
    .. " --survey other.csv --part all --n 39 --steps 6")
  check.equal(code, 0, text)
  local out = text:match "written in (%S+):"
  local results = json.decode(read(out .. "/evaluation.json"))
  for line in read(out .. "/evaluation.txt"):gmatch "[^\n]*" do
    check.that(require("gal.base.text").length(line) <= 80, line)
  end
  check.that(text:gsub("%s+", " "):find(results.verdict:gsub("%s+", " "), 1, true), text)
  return results, out, text
end

local whole = galaxies(2500, 3)
whole:save(path "catalog.csv")
galaxies(400, 4, "t"):save(path "other.csv")

-- The run of all inputs, trained when the first case wants it.
local function full()
  if not require("gal.base.path").kind(path "full") then train("catalog.csv", "full", { epochs = 30 }) end
end

check.case("a run without an input: contexts or another run show it, else the text says so", function()
  full()
  train("catalog.csv", "left", { epochs = 30, context = { "modelMag_g" } })
  local alone, _, text = evaluated "left"
  check.that(not alone.verdict:find "^Not calibrated", alone.verdict)
  text = text:gsub("%s+", " ")
  check.that(text:find("An input that the flow ignores leaves calibrated, wider posteriors", 1, true), text)
  local named = evaluated "left --contexts modelMag_u --out named"
  check.that(named.verdict:find "^Not calibrated: [^.]*modelMag_u", named.verdict)
  local against, out = evaluated "left --against full --html"
  check.that(against.verdict:find "^Not calibrated: .*other run", against.verdict)
  local beside = json.decode(read(out .. "/against.json"))
  check.that(beside.scores.delta_log_p.high < 0, "the run without an input tells less")
  local crossed = gal.load(path(out .. "/densities-against.npz"))
  local posteriors = gal.load(path(out .. "/posteriors.npz"))
  local other = data.open(path "other.csv", { theta = THETA, context = BANDS })
  local flow = require("gal.flow").load(path "full/flow.safetensors")
  for _, k in ipairs{ 1, 399 } do -- of the first and of the last piece
    local draws, x = posteriors.samples:narrow(1, k, 1), other.context:narrow(1, k, 1)
    local own = flow:log_prob(draws, x, { steps = 6 })
    check.near(crossed.log_q:narrow(1, k, 1), own, 1e-4, "densities by the other run, galaxy " .. k)
  end
  local html = read(out .. "/evaluation.html")
  check.that(html:find("<p class=\"lead\">" .. against.verdict:sub(1, 30), 1, true), html:sub(1, 3000))
  check.that(not html:find "http", "the page needs nothing from elsewhere")
  check.equal(select(2, html:gsub("data:image/png;base64,iVBOR", "")), 4)
  local best = gal.table(path "left/history.csv"):column("valid_loss"):argmin():item()
  local script = read(out .. "/training.gp")
  check.that(script:find(("best: epoch %d"):format(best), 1, true), "the best epoch is not marked")
end)

check.case("a run on shuffled labels has learned nothing, and the first sentence says so", function()
  local parts, known, labels = {}, {}, galaxies(2500, 3)
  for k, id in ipairs(labels:ids "objID") do
    parts[k] = data.part(id)
    if parts[k] ~= "test" then known[#known + 1] = k end
  end
  local order = host.shuffled(#known, gal.rng(2))
  for _, name in ipairs(THETA) do
    local values, moved = labels:doubles(name), {}
    for k = 1, #parts do moved[k] = values[k] end
    for i, k in ipairs(known) do moved[k] = values[known[order[i]]] end
    labels:set(name, moved)
  end
  labels:save(path "shuffled.csv")
  train("shuffled.csv", "shuffled", { epochs = 4, scale = "robust" })
  local found = evaluated "shuffled"
  check.that(found.verdict:find "^Not calibrated: .*; the posteriors tell no more of the truth than the",
    found.verdict)
  check.that(found.cde_loss.mean == found.cde_loss.mean, "a flow with bent properties has no CDE loss")
end)

check.case("an over-fitted run is not calibrated, and the first sentence says why", function()
  -- The validation galaxies are copies of training ones: early stopping sees nothing.
  local few, rows, copies = {}, {}, {}
  for k = 1, 150 do rows[k] = k end
  local part = whole:select(rows)
  for k, id in ipairs(part:ids "objID") do
    few[k] = data.part(id)
    if few[k] == "train" and #copies < 200 then copies[#copies + 1] = k end
  end
  for _, name in ipairs(part.names) do
    if name ~= "objID" then
      local values, moved, at = part:doubles(name), {}, 0
      for k = 1, #few do
        at = few[k] == "valid" and at % #copies + 1 or at
        moved[k] = few[k] == "valid" and values[copies[at]] or values[k]
      end
      part:set(name, moved)
    end
  end
  part:save(path "few.csv")
  train("few.csv", "over", { epochs = 320, batch = 16, draws = 16, average = false, hidden = { 128, 128 } })
  local found = evaluated "over"
  check.that(found.verdict:find "^Not calibrated: .*; the run is over%-fitted: ln q is [%d.]+ nats higher",
    found.verdict)
end)

check.case("draws are kept and read again, and stopped, the same call goes on with the same bytes", function()
  full()
  local _, out = evaluated "full"
  local kept = path(out)
  local before = read(out .. "/posteriors.npz")
  local posteriors = gal.load(kept .. "/posteriors.npz")
  check.equal(posteriors.samples.shape, { 400, 39, 2 })
  check.equal({ posteriors.log_q.shape, posteriors.log_q_true.shape }, { { 400, 39 }, { 400 } })
  local galaxies = gal.table(kept .. "/galaxies.csv")
  check.equal({ unpack(galaxies.names, 1, 4) }, { "id", "log_q", "delta_log_p", "d_kl" })
  check.near(galaxies:column "a_v_p50":get(7),
    require("gal.metrics").quantile(posteriors.samples:select(3, 2):select(1, 7), 0.5), 1e-5)
  local again = evaluated "full --html"
  check.equal(again.draws, nil)
  check.that(read(out .. "/posteriors.npz") == before, "the draws are others")
  local words = scratch.experiment "evaluate"
    .. " full --survey other.csv --part all --n 199 --steps 12 --out stopped"
  local code, said = scratch.run(words .. " >said 2>&1 & p=$!\nfor i in $(seq 600); do "
    .. "f=stopped/posteriors-drawing/summary.part; test -s $f && test $(wc -l <$f) -gt 5 && break; "
    .. "sleep 0.02; done\nkill -INT $p; wait $p")
  check.equal(code, 130, said)
  said = read "said"
  check.that(said:find "galaxies are drawn and kept in stopped/posteriors%-drawing; the same command goes",
    said)
  check.equal((scratch.run(words)), 0)
  check.equal((scratch.run(words:gsub("stopped", "whole"))), 0)
  check.that(read "stopped/posteriors.npz" == read "whole/posteriors.npz", "the draws differ")
  code, said = scratch.run(words:gsub("199", "40"))
  check.that(code == 1 and said:find "n is 40: its 41 ranks make no 20 equal bins", said)
end)

check.case("a report is text of 80 columns, and a page in which nothing is markup that was text", function()
  local report = {
    title = "a < b & c", lead = ("word "):rep(40), blocks = {
      { heading = "Head" }, { text = "1 < 2" }, { list = { ("item "):rep(30), "short" } },
      { rows = { { "  of one", "+1.5", "x" }, { "two", "-2", "" } }, headers = { "", "number", "text" } },
    },
  }
  for line in page.text(report):gmatch "[^\n]*" do check.that(#line <= 80, line) end
  local html = page.html(report)
  for _, expected in ipairs{
    "<title>a &lt; b &amp; c</title>", "<p>1 &lt; 2</p>", "<td class=\"n\">+1.5</td>",
    "<td>&emsp;of one</td>",
  } do
    check.that(html:find(expected, 1, true), expected .. " is not in " .. html)
  end
  for bytes, expected in pairs{ [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==" } do
    check.equal(page.base64(bytes), expected) -- RFC 4648, section 10
  end
end)

check.case("leading eigenvectors are those that were planted", function()
  local linalg, d = require "gal.stats.linalg", 12
  local r, a = gal.rng(3), {}
  local basis = host.rows(gal.randn({ 3, d }, { rng = r }))
  for i = 1, 3 do -- Gram and Schmidt
    for j = 1, i - 1 do
      local along = linalg.apply({ basis[i] }, basis[j])[1]
      for c = 1, d do basis[i][c] = basis[i][c] - along * basis[j][c] end
    end
    local length = math.sqrt(linalg.apply({ basis[i] }, basis[i])[1])
    for c = 1, d do basis[i][c] = basis[i][c] / length end
  end
  for i = 1, d do
    a[i] = {}
    for j = 1, d do
      a[i][j] = (i == j and 0.1 or 0)
      for k, value in ipairs{ 9, 4, 2 } do a[i][j] = a[i][j] + value * basis[k][i] * basis[k][j] end
    end
  end
  local values, vectors = linalg.leading(a, 3)
  check.near(values, { 9.1, 4.1, 2.1 }, 1e-9)
  for k = 1, 3 do check.near(math.abs(linalg.apply({ vectors[k] }, basis[k])[1]), 1, 1e-9) end
end)

check.case("a context that the table has not is refused before anything is drawn", function()
  full()
  local words = " full --contexts g_r,modelMag_g --out none"
  local code, text = scratch.run(scratch.experiment "evaluate" .. words)
  check.equal(code, 1)
  check.that(text:find "has no column \"g_r\"" and not io.open(path "none/options.json"), text)
end)

scratch.remove()
check.finish()
