-- The experiments as a user runs them: a process of their own, what they print, what they write, and one
-- sentence for each thing that may be wrong. Small nets and few epochs: whether posteriors are good is for
-- the acceptance runs.
local check = dofile "lua/lib/check.lua"
local analytic = dofile "lua/lib/analytic.lua"
local ffi = require "ffi"
local gal = require "gal"
local host = require "gal.host"
local json = require "gal.base.json"
local scratch = dofile "lua/lib/scratch.lua"
local path = scratch.path

local function write(name, text) return scratch.write(path(name), text) end
local function read(name) return scratch.read(path(name)) end

-- Runs an experiment in the scratch folder: exit code, standard output and error together.
local function run(experiment, ...)
  local words = { scratch.experiment(experiment) }
  for _, word in ipairs{ ... } do words[#words + 1] = ("'%s'"):format(word) end
  return scratch.run(table.concat(words, " "))
end

local function succeeds(...)
  local code, text = run(...)
  if code ~= 0 then error(("exit %s:\n%s"):format(code, text), 2) end
  return text
end

-- The experiment must end with this code and, as its last line, a sentence that matches the pattern: no line
-- of code, no traceback.
local function refuses(code, pattern, ...)
  local got, text = run(...)
  check.equal(got, code, "exit code of: " .. text)
  local sentence = text:match "([^\n]*)\n$" or ""
  check.that(sentence:find(pattern), ("%q is not in the last line that it said: %s"):format(pattern, text))
  check.that(not text:find "%.lua:%d" and not text:find "traceback", "it shows code: " .. text)
end

-- As two processes (halves.sh) one has the cases of tables, the other those of images and of quickstart.
local half, nothing = check.shared(), function() end
local case = half == 1 and nothing or check.case

analytic.table(400, 3):save(path "catalog.csv")
local HEADER = "objID,oh_p50,modelMag_r,modelMag_i\n"
local broken = {}
for k = 1, 60 do
  broken[k] = ("%d,%g,%g,%g\n"):format(k, 8.5 + k % 7 / 10, 17 + k % 5 / 10, 16.5 + k % 4 / 10)
end
write("gaps.csv", HEADER .. table.concat(broken) .. "61,-9999,17,16\n62,8.8,,16\n63,-9999,-9999,16\n")
assert(scratch.run "mkdir folder && cp gaps.csv folder/catalog.csv" == 0)
local SMALL = { "--hidden", "8", "--epochs", "2" }

local function small(...)
  local words = { ... }
  for _, word in ipairs(SMALL) do words[#words + 1] = word end
  return unpack(words)
end

case("train_photometry says what it read, dropped and kept, and leaves a run", function()
  local text = succeeds("train_photometry",
    small("--survey", "gaps.csv", "--theta", "oh_p50", "--context", "modelMag_r,modelMag_i", "--out", "gaps"))
  check.that(text:find("gaps.csv: 63 rows", 1, true), text)
  check.that(text:find("3 of 63 rows dropped: 2 without oh_p50, 1 without modelMag_r (a row counts once",
    1, true), text)
  check.that(text:find("60 galaxies kept: ", 1, true) and text:find("the run is in gaps", 1, true), text)
  for _, name in ipairs{ "config.json", "history.csv", "checkpoint.safetensors", "flow.safetensors",
    "split.csv" } do
    read("gaps/" .. name)
  end
  check.equal(json.decode(read "gaps/config.json").theta, { "oh_p50" })
end)

case("a folder is a survey, and gaps in the context may be masked", function()
  local text = succeeds("train_photometry", small("--survey", "folder", "--theta", "oh_p50",
    "--context", "modelMag_r,modelMag_i", "--missing", "mask", "--out", "masked"))
  check.that(text:find("2 of 63 rows dropped: 2 without oh_p50", 1, true), text)
  check.that(text:find("modelMag_r, modelMag_i, modelMag_r_missing", 1, true), text)
  succeeds("evaluate", "masked", "--n", "39", "--steps", "4")
end)

case("evaluate scores the galaxies of the test part only, on the screen, in JSON and in CSV", function()
  succeeds("train_photometry", small("--survey", "catalog.csv", "--out", "run"))
  local text = succeeds("evaluate", "run", "--n", "39", "--steps", "5")
  for _, sentence in ipairs{
    "Delta log p", "D_KL - Delta log p", "systematic", "W1 of means", "lgm_tot_p50", "are too few to tell",
  } do
    check.that(text:find(sentence, 1, true), sentence .. " is missing in: " .. text)
  end
  local home = text:match "written in (run/results/[%w_.-]+%-test): evaluation.txt, evaluation.json"
  local results = json.decode(read(home .. "/evaluation.json"))
  check.that(results.delta_log_p.low < results.delta_log_p.mean
    and results.delta_log_p.mean < results.delta_log_p.high, "the interval holds the mean")
  check.near(results.excess.mean, results.d_kl.mean - results.delta_log_p.mean, 1e-9)
  check.that(results.wasserstein.a_v.pooled > 0 and results.coverage.a_v[1] >= 0,
    "each property has its distances and coverage")
  local parts = require("gal.data").read_split(path "run/split.csv")
  local galaxies = gal.table(path(home .. "/galaxies.csv"))
  local ids = galaxies:ids "id"
  check.equal(#ids, results.galaxies)
  for _, id in ipairs(ids) do check.equal(parts[id], "test", "galaxy " .. id) end
  local sum = 0
  for _, value in ipairs(galaxies:column("delta_log_p"):totable()) do sum = sum + value end
  check.near(sum / #ids, results.delta_log_p.mean, 1e-5)
end)

case("evaluate takes other surveys, and refuses magnitudes of the other kind", function()
  analytic.table(150, 8):save(path "other.csv")
  write("g.csv", (read("other.csv"):gsub("modelMag_g", "G", 1)))
  succeeds("evaluate", "run", "--survey", "g.csv", "--rename", "modelMag_g=G", "--n", "39", "--out", "away")
  refuses(1, "dereddened is false, but the flow was trained on dereddened magnitudes", "evaluate", "run",
    "--no-dereddened")
  refuses(1, "^other.csv: is a file, expected a folder", "evaluate", "run", "--out", "other.csv")
  scratch.run "cp -r run linked && rm -rf linked/results && mkdir beyond && ln -s ../beyond linked/results"
  refuses(1, "^linked/results: is a link that leads out of its folder", "evaluate", "linked", "--n", "39")
  check.equal({ scratch.run "ls beyond" }, { 0, "" })
  if os.execute "test -w /sys" ~= 0 then
    refuses(1, "^/sys: nothing can be written into this folder", "evaluate", "run", "--out", "/sys")
  end
  refuses(1, "nowhere", "evaluate", "nowhere")
end)

case("a training that Ctrl-C stops says what it keeps and how to go on", function()
  local code = scratch.run(scratch.experiment "train_photometry" .. " --survey catalog.csv --hidden 8"
    .. " --epochs 100000 --patience 100000 --out halted >said 2>&1 & p=$!\n"
    .. "for i in $(seq 400); do test -s halted/history.csv && break; sleep 0.02; done\n"
    .. "kill -INT $p; wait $p 2>/dev/null")
  local said, epochs = read "said", select(2, read("halted/history.csv"):gsub("\n", "")) - 1
  local kept = ("stopped: halted keeps %d epoch"):format(epochs)
  check.that(code == 130 and said:find(kept, 1, true) and said:find "%-%-resume goes on from there", said)
end)

case("what doesn't fit into memory is refused at once, with the options that would do", function()
  refuses(1, "want 1440.0 GB .* less of %-%-n or %-%-galaxies would do", "evaluate", "run", "--out", "much",
    "--n", "999999999")
  local function fails(words, ...)
    refuses(1, words, "train_photometry", "--survey", "catalog.csv", "--out", "much2", ...)
    check.equal(require("gal.base.path").kind(path "much2"), nil)
  end
  fails("pass the limit of .*: less of %-%-hidden would do", "--hidden", "300000,300000")
  fails("GB for the %d+ draws of a step: less of %-%-batch or %-%-draws would do", "--draws", "1000000000")
end)

case("a run goes on where it stopped, and is not overwritten", function()
  for _, name in ipairs{ "train_photometry", "train_image" } do -- before any survey is opened
    refuses(1, "'run', which exists", name, small("--survey", "nowhere", "--out", "run"))
  end
  local resumed = succeeds("train_photometry", "--survey", "catalog.csv", "--out", "run", "--hidden", "8",
    "--epochs", "3", "--resume")
  check.that(resumed:find("run: going on with epoch 3 of 3\n", 1, true), resumed)
  local _, lines = read("run/history.csv"):gsub("\n", "")
  check.equal(lines, 4)
  refuses(1, "lr was", "train_photometry", "--survey", "catalog.csv", "--out", "run", "--hidden", "8",
    "--epochs", "4", "--resume", "--lr", "0.1")
end)

case("an error in a survey is one sentence", function()
  refuses(1, "no survey at missing.csv: expected a table", "train_photometry", "--survey", "missing.csv")
  refuses(1, "oh_p5.*did you mean.*oh_p50", "train_photometry", "--survey", "gaps.csv", "--theta", "oh_p5",
    "--context", "modelMag_r")
  write("text.csv", HEADER .. "1,8.9,17,16\n2,8.8,bright,16\n")
  refuses(1, "modelMag_r.*bright.*line 3", "train_photometry", "--survey", "text.csv", "--theta", "oh_p50",
    "--context", "modelMag_r")
  write("empty.csv", HEADER)
  refuses(1, "empty.csv: the table has no rows", "train_photometry", "--survey", "empty.csv",
    "--theta", "oh_p50", "--context", "modelMag_r")
  write("void.csv", "")
  refuses(1, "void.csv", "train_photometry", "--survey", "void.csv")
  write("nothing.csv", HEADER .. "1,-9999,17,16\n2,8.8,nan,16\n")
  refuses(1, "no galaxy is left: 2 of 2 rows dropped: 1 without oh_p50, 1 without modelMag_r",
    "train_photometry", "--survey", "nothing.csv", "--theta", "oh_p50", "--context", "modelMag_r")
  write("few.csv", HEADER .. "1,8.9,17,16\n2,8.8,17.5,16\n")
  refuses(1, "part is empty: the survey has 2 galaxies", "train_photometry", "--survey", "few.csv",
    "--theta", "oh_p50", "--context", "modelMag_r")
end)

case("--id names the galaxies; without ids a table whose rows moved is refused everywhere", function()
  local lines = {}
  for k = 1, 60 do lines[k] = ("%d,%g,%g"):format(1000 + k, 8.5 + k * 7 % 11 / 10, 17 + k * 5 % 13 / 10) end
  local function table_of(list)
    write("rows.csv", "TARGETID,oh_p50,r\n" .. table.concat(list, "\n") .. "\n")
  end
  table_of(lines)
  local words = { "--survey", "rows.csv", "--theta", "oh_p50", "--context", "r", "--hidden", "8", "--epochs" }
  local function train(out, ...)
    local all = { unpack(words) }
    for _, word in ipairs{ "2", "--out", out, ... } do all[#all + 1] = word end
    return unpack(all)
  end
  local text = succeeds("train_photometry", train("numbered"))
  check.that(text:find("named by their row numbers, .* %-%-id TARGETID takes TARGETID"), text)
  text = succeeds("train_photometry", train("named", "--id", "targetid"))
  check.that(text:find("by a hash of TARGETID", 1, true), text)
  table.sort(lines, function(a, b) return a:match ",.*" < b:match ",.*" end)
  table_of(lines)
  local moved = "rows.csv is no longer the table that numbered was trained on.*row numbers"
  refuses(1, moved, "evaluate", "numbered", "--n", "39")
  refuses(1, moved, "sample", "numbered", "--n", "2", "--out", "none")
  refuses(1, "settings: the training galaxies have other values .named by row numbers.*; the valid",
    "train_photometry", train("numbered", "--resume"))
  refuses(1, "%-%-id was none and is TARGETID", "train_photometry",
    train("numbered", "--resume", "--id", "TARGETID"))
  text = succeeds("evaluate", "named", "--n", "39", "--steps", "4")
  local ids = gal.table(path(text:match "written in (%S+):" .. "/galaxies.csv")):ids "id"
  check.that(#ids > 0 and tonumber(ids[1]) > 1000, text)
end)

case("an impossible value is refused by its option's name, before anything is read", function()
  for _, wrong in ipairs{
    { "evaluate", "n", "38", "a whole number of at least 39" }, { "evaluate", "galaxies", "0",
    "a whole number of at least 1" }, { "evaluate", "tolerance", "0", "a number above 0" },
    { "evaluate", "steps", "0", "a whole number of at least 1, or auto" }, { "train_image", "channels", "4,0",
    "whole numbers with commas between them, each of at least 1" },
    { "train_image", "crop", "-1", "a whole number of at least 0" }, { "train_photometry", "hidden", "0",
    "whole numbers with commas between them, each of at least 1" },
    { "train_photometry", "epochs", "2.5", "a whole number of at least 1" }, { "quickstart", "galaxies", "15",
    "a whole number of at least 16" }, { "make_survey", "n", "0", "a whole number of at least 1" },
  } do
    refuses(2, ("^%s.lua: %%-%%-%s is '%s', expected %s$"):format(wrong[1], wrong[2],
      wrong[3]:gsub("%-", "%%-"), wrong[4]), wrong[1], "--" .. wrong[2], wrong[3])
  end
  refuses(1, "^images of 2 x 2 pixels are too small for the 4 blocks of %-%-channels.*"
    .. "expected at least 16 x 16: see %-%-crop",
    "train_image", "--survey", "nowhere", "--crop", "4", "--bin", "2")
end)

case("an error in a user's copy of an experiment keeps its line; --trace has the calls", function()
  write("mine.lua", scratch.read(host.root .. "/experiments/evaluate.lua"))
  local _, text = scratch.run(scratch.galrun .. " mine.lua nowhere")
  check.that(text:find "^mine.lua:%d+: load: there is no run" and text:find "galrun %-%-trace", text)
  _, text = scratch.run(scratch.galrun .. " --trace mine.lua nowhere")
  check.that(text:find "^mine.lua:%d+: load: there is no run" and text:find "traceback.*lua/gal/", text)
end)

case("a mistyped option is refused with its near miss", function()
  refuses(2, "no option '%-%-surveys'; did you mean %-%-survey?", "train_photometry",
    "--surveys", "catalog.csv")
  refuses(2, "%-%-epochs is 'many', expected a", "train_photometry", "--epochs", "many")
  refuses(2, "%-%-sample is 'papre', expected one of none, paper", "train_photometry", "--sample", "papre")
end)

-- theta {300, 2} ~ N(0, I), x = theta + noise.
local theta = gal.randn({ 300, 2 }, { rng = gal.rng(1) })
local x = theta + gal.randn({ 300, 2 }, { rng = gal.rng(2) }) * 0.5
gal.save(path "theta.npy", theta)
gal.save(path "x.npy", x)
gal.save(path "x_test.npy", x:narrow(1, 1, 7))
gal.save(path "theta_test.npy", theta:narrow(1, 1, 7))

-- What fit_posterior says about these arrays.
local function fit(...)
  return succeeds("fit_posterior",
    small("--theta", "theta.npy", "--x", "x.npy", "--x-test", "x_test.npy", ...))
end

case("fit_posterior writes samples {N, n, d} and log_prob {N}", function()
  local text = fit("--theta-test", "theta_test.npy", "--n", "11", "--out", "fit", "--sigma", "0.02",
    "--steps", "5")
  check.that(text:find("samples.npy: 11 draws for each of 7 rows", 1, true), text)
  check.equal(gal.load(path "fit/samples.npy").shape, { 7, 11, 2 })
  check.equal(gal.load(path "fit/log_prob.npy").shape, { 7 })
  local odd, marked = x:narrow(1, 1, 7):clone():set(3.4e38, 4, 1), x:clone()
  for k = 3, 300, 10 do marked:set(-9999, k, 2) end
  gal.save(path "odd.npy", odd)
  gal.save(path "marked.npy", marked)
  text = fit("--x", "marked.npy", "--x-test", "odd.npy", "--theta-test", "theta_test.npy", "--n", "3",
    "--out", "fit_odd", "--steps", "5")
  for _, sentence in ipairs{
    "suspicious: column 2 of marked.npy is -9999 in 30 rows, half of the others",
    "over 6 of 7 rows; the others'",
    "the draws of 1 of 7 galaxies are not finite, or beyond single precision (row 4)",
  } do
    check.that(text:find(sentence, 1, true), sentence .. " is not in: " .. text)
  end
  fit("--n", "3", "--out", "fit2", "--steps", "5")
  check.equal((scratch.run "test ! -e fit2/log_prob.npy"), 0)
  fit("--n", "3", "--out", "fit2", "--steps", "5", "--resume")
  local before = scratch.read(path "fit2/history.csv")
  refuses(1, "the draws in fit2 began with other settings: %-%-n was 3 and is 4", "fit_posterior", "--theta",
    "theta.npy", "--x", "x.npy", "--x-test", "x_test.npy", "--n", "4", "--out", "fit2", "--hidden", "8",
    "--epochs", "4", "--steps", "5", "--resume")
  check.equal(scratch.read(path "fit2/history.csv"), before) -- refused before two more epochs
  check.equal(gal.load(path "fit2/samples.npy").shape, { 7, 3, 2 })
end)

case("fit_posterior refuses arrays that don't fit, with the file named", function()
  local function wrong(code, pattern, changes)
    local files = { theta = "theta.npy", x = "x.npy", ["x-test"] = "x_test.npy" }
    for name, value in pairs(changes) do files[name] = value end
    local words = { "--out", "refused" }
    for name, value in pairs(files) do words[#words + 1], words[#words + 2] = "--" .. name, value end
    refuses(code, pattern, "fit_posterior", unpack(words))
  end
  wrong(1, "gone.npy", { theta = "gone.npy" })
  wrong(1, "theta.npy has 300 rows and x_test.npy 7, expected as many", { x = "x_test.npy" })
  gal.save(path "wide.npy", gal.zeros{ 7, 3 })
  wrong(1, "wide.npy has 3 columns, expected 2 as the training observations have",
    { ["x-test"] = "wide.npy" })
  wrong(1, "wide.npy has 3 columns, expected 2 as the training parameters have",
    { ["theta-test"] = "wide.npy" })
  gal.save(path "cube.npy", gal.zeros{ 7, 3, 2 })
  wrong(1, "cube.npy is {7, 3, 2}, expected {rows, columns}", { x = "cube.npy" })
  local spoilt = x:clone()
  spoilt:set(0 / 0, 5, 2)
  gal.save(path "spoilt.npy", spoilt)
  wrong(1, "spoilt.npy: row 5, column 2 is nan, expected a finite number", { x = "spoilt.npy" })
  gal.save(path "empty.npy", gal.zeros{ 0, 2 })
  wrong(1, "empty.npy is {0, 2}, expected", { x = "empty.npy" })
  write("text.npy", "not an array")
  wrong(1, "text.npy", { x = "text.npy" })
  refuses(2, "%-%-x%-test is missing", "fit_posterior", "--theta", "theta.npy", "--x", "x.npy",
    "--out", "refused")
end)

case("fit_posterior and evaluate take the steps that it needs, and refuse other words early", function()
  local text = fit("--theta-test", "theta_test.npy", "--n", "11", "--out", "fit3")
  check.that(text:find("Dormand%-Prince 5, [%d.]+ evaluations a draw, all within 0.001"), text)
  text = succeeds("evaluate", "run", "--n", "39", "--out", "auto")
  check.equal(json.decode(read "auto/evaluation.json").tolerance, 1e-3)
  refuses(2, "%-%-steps is 'fast', expected a whole number of at least 1, or auto", "fit_posterior",
    "--theta", "theta.npy", "--x", "x.npy", "--x-test", "x_test.npy", "--out", "refused", "--steps", "fast")
end)

case("sample draws from a table that has the context only, and summarises its own draws", function()
  local catalogue = gal.table(path "catalog.csv")
  for _, name in ipairs(require("gal.data").theta) do catalogue:drop(name) end
  catalogue:save(path "magnitudes.csv")
  local text = succeeds("sample", "run", "--survey", "magnitudes.csv", "--n", "50", "--out", "drawn",
    "--log-prob", "--seed", "4")
  check.that(text:find("400 galaxies kept", 1, true)
    and text:find("50 draws of each of 400 galaxies; Dormand-Prince 5, ", 1, true), text)
  local samples, log_prob, summary = gal.load(path "drawn/samples.npy"), gal.load(path "drawn/log_prob.npy"),
    gal.table(path "drawn/summary.csv")
  check.equal({ samples.shape, log_prob.shape, summary.rows }, { { 400, 50, 5 }, { 400, 50 }, 400 })
  check.equal(summary:ids "id", gal.table(path "catalog.csv"):ids "objID")
  check.near(summary:column "a_v_mean", samples:mean(2):select(2, 5), 1e-4)
  check.near(summary:column "oh_p50_std", samples:std(2):select(2, 3), 1e-4)
  local median = {}
  for k = 1, 400 do median[k] = require("gal.metrics").quantile(samples[k]:select(2, 1), 0.5) end
  check.near(summary:column "lgm_tot_p50_p50", median, 1e-4)
  check.equal(summary:column("flagged"):sum():item(), 0)
  local flow = require("gal.flow").load(path "run/flow.safetensors")
  local own = flow:log_prob(samples,
    require("gal.data").reopen(flow.notes, { survey = path "magnitudes.csv", theta = false }).context,
    { steps = "auto" })
  check.near(log_prob, own, 5e-3, "densities of the draws")
  succeeds("sample", "run", "--survey", "magnitudes.csv", "--n", "7", "--out", "plain", "--steps", "4",
    "--format", "fits", "--precision", "bf16")
  check.equal(gal.load(path "plain/samples.npy").shape, { 400, 7, 5 })
  check.equal({ gal.table(path "plain/summary.fits").rows,
    gal.table(path "plain/summary.fits"):has "steps" }, { 400, false })
end)

case("one bad galaxy is named and left out, and all others are scored, drawn and written", function()
  local catalogue, parts = gal.table(path "catalog.csv"), require("gal.data").read_split(path "run/split.csv")
  local ids, g, bad = catalogue:ids "objID", catalogue:column "modelMag_g":totable(), {}
  for k, id in ipairs(ids) do
    if parts[id] == "test" and #bad < 2 then
      bad[#bad + 1], g[k] = id, #bad == 0 and 1e20 or 3.4e38
    end
  end
  catalogue:set("modelMag_g", gal.tensor(g)):save(path "bad.csv")
  local named = "2 of %d+ galaxies are left out, as their posteriors are not finite, or beyond single "
    .. "precision: " .. bad[1] .. ", " .. bad[2] .. "%s"
  local text = succeeds("evaluate", "run", "--survey", "bad.csv", "--n", "39", "--steps", "4", "--out", "odd")
  local results, words = json.decode(read "odd/evaluation.json"), text:gsub("%s+", " ")
  check.that(words:find(named), text)
  check.that(words:find(("%d of %d galaxies of "):format(results.scored, results.galaxies)), text)
  check.equal({ results.galaxies - results.scored, results.d_kl.n }, { 2, results.scored })
  local galaxies, lost = gal.table(path "odd/galaxies.csv"), 0
  local scores, outside = galaxies:doubles "d_kl", galaxies:doubles "outside"
  for k, flag in ipairs(galaxies:doubles "flagged") do
    lost = lost + flag
    check.equal(scores[k] ~= scores[k], flag == 1, "galaxy " .. k)
    check.equal(outside[k] > 20, flag == 1, "galaxy " .. k)
  end
  check.equal({ lost, galaxies.rows }, { 2, results.galaxies })
  text = succeeds("sample", "run", "--survey", "bad.csv", "--n", "5", "--steps", "4", "--out", "odd_draws")
  check.that(text:find(named), text)
  local summary = gal.table(path "odd_draws/summary.csv")
  check.equal({ summary.rows, summary:column("flagged"):sum():item() }, { 400, 2 })
end)

case("magnitudes that stand for missing ones are reported once, and faint galaxies are not", function()
  local catalogue = gal.table(path "magnitudes.csv")
  local u, r = catalogue:column("modelMag_u"):totable(), catalogue:column("modelMag_r"):totable()
  u[3], u[9], r[4], r[5] = 99, 99, -999, 24
  catalogue:set("modelMag_u", gal.tensor(u)):set("modelMag_r", gal.tensor(r)):save(path "marks.csv")
  local text = succeeds("sample", "run", "--survey", "marks.csv", "--n", "4", "--steps", "4",
    "--out", "marks")
  check.that(text:find(
    "galrun: modelMag_u of 2 of 400 galaxies is more than 20 deviations from what the flow was trained on (",
    1, true), text)
  check.that(text:find("galrun: modelMag_r of 1 of 400 galaxies is more than 20 deviations", 1, true), text)
  check.equal(select(2, text:gsub("galrun: ", "")), 2)
end)

case("sample keeps what it drew when it is stopped or killed, and goes on with --resume", function()
  local function left(folder) return (select(2, scratch.run("ls -A " .. folder))) end
  refuses(2, "n is '0', expected a whole number", "sample", "run", "--n", "0", "--out", "empty")
  refuses(1, "precision is bf16, too coarse for densities", "sample", "run", "--log-prob",
    "--precision", "bf16", "--out", "empty2")
  check.equal({ ffi.C.gal_path_exists(path "empty"), ffi.C.gal_path_exists(path "empty2") }, { 0, 0 })
  -- Stopped when some galaxies have their lines: exit code, and what it said.
  local words = { "run", "--survey", "other.csv", "--n", "1000", "--steps", "200", "--out", "stopped" }
  local command = ("%s %s >said 2>&1 & p=$!\n"):format(scratch.experiment "sample", table.concat(words, " "))
    .. "for i in $(seq 400); do test -s stopped/summary.part && "
    .. "test $(wc -l <stopped/summary.part) -gt %d && break; sleep 0.02; done\n"
    .. "kill -%s $p; wait $p 2>/dev/null"
  local code = scratch.run(command:format(1, "INT"))
  local said = read "said"
  check.that(code == 130 and said:find "%d+ galaxies are drawn and kept in stopped; %-%-resume goes on", said)
  refuses(1, "'stopped', which has draws; %-%-resume goes on", "sample", unpack(words))
  words[#words + 1] = "--resume"
  local before = tonumber(said:match "(%d+) galaxies are drawn")
  code = scratch.run(command:gsub(" >said", " --resume >said", 1):format(before + 1, "KILL"))
  check.equal(code, 137, read "said")
  local text = succeeds("sample", unpack(words))
  check.that(text:find "%d+ of the galaxies had been drawn before", text)
  check.equal(left "stopped", "draws.json\nlock\nsamples.npy\nsummary.csv\n")
  words[#words], words[#words - 1] = nil, "whole"
  succeeds("sample", unpack(words))
  check.that(read "stopped/samples.npy" == read "whole/samples.npy"
    and read "stopped/summary.csv" == read "whole/summary.csv", "the draws differ from undisturbed ones")
end)

-- A mock survey of 150 galaxies with cutouts; the smallest image model on it, and photometry on the same.
local IMAGE = { "--survey", "mock", "--crop", "16", "--channels", "4,4", "--draws", "2", "--out", "image" }

case = half == 0 and nothing or check.case
case("train_image says how its images were prepared, and evaluate takes no others", function()
  require("gal.mock").make{ out = path "mock", n = 150, seed = 2, progress = false }
  local file = assert(io.open(path "mock/cutouts/17.jpg", "wb"))
  file:write "\255\216 cut short"
  file:close()
  local text = succeeds("train_image", small(unpack(IMAGE)))
  for _, sentence in ipairs{
    "1 of 150 rows dropped: 1 with a damaged cutout", "cutouts/17.jpg is truncated",
    "images:  16 x 16 pixels, the central 16 x 16", "the run is in image",
  } do
    check.that(text:find(sentence, 1, true), sentence .. " is missing in: " .. text)
  end
  local config = json.decode(read "image/config.json")
  check.equal({ config.draws, config.augment, config.notes.images.crop, config.architecture.encoder.type },
    { 2, true, 16, "sequential" })
  text = succeeds("evaluate", "image", "--n", "39", "--steps", "4")
  check.that(text:find("Delta log p", 1, true), text)
  check.equal(json.decode(read "image/results/mock-test/evaluation.json").images.crop, 16)
  refuses(1, "crop is 32, but the flow was trained on images with crop = 16", "evaluate", "image",
    "--crop", "32")
  succeeds("sample", "image", "--n", "6", "--steps", "4", "--out", "image_draws")
  check.equal(gal.load(path "image_draws/samples.npy").shape, { 149, 6, 5 })
  refuses(1, "crop is 129 pixels, expected 1 to 128", "train_image", "--survey", "mock", "--crop", "129",
    "--out", "none")
  refuses(1, "has no cutouts", "train_image", "--survey", "folder", "--theta", "oh_p50",
    "--photometry", "modelMag_r", "--out", "none")
end)

case("images alone are enough to train on and to evaluate", function()
  local text = succeeds("train_image", small("--survey", "mock", "--crop", "32", "--bin", "2",
    "--channels", "4,4", "--photometry", "none", "--theta", "oh_p50,a_v", "--no-augment", "--out", "alone"))
  check.that(text:find("context: none", 1, true)
    and text:find("16 x 16 pixels, the central 32 x 32, means over 2 x 2", 1, true), text)
  succeeds("evaluate", "alone", "--n", "39", "--steps", "4")
  check.equal(#json.decode(read "alone/config.json").theta, 2)
end)

case("evaluate --against gives the differences of two runs' own scores, galaxy by galaxy", function()
  succeeds("train_photometry", small("--survey", "mock", "--out", "magnitudes"))
  local text = succeeds("evaluate", "image", "--against", "magnitudes", "--n", "39", "--steps", "4",
    "--part", "all", "--out", "both")
  check.that(text:find("W1 pooled, a_v", 1, true) and text:find("first%s+20%s+draws"), text)
  local found, pairs_ = json.decode(read "both/against.json"), gal.table(path "both/against.csv")
  local parts = { require("gal.data").read_split(path "image/split.csv"),
    require("gal.data").read_split(path "magnitudes/split.csv") }
  local ids, first = pairs_:ids "id", pairs_:column("log_q"):totable()
  local second, sum, higher = pairs_:column("log_q_against"):totable(), 0, 0
  for k, id in ipairs(ids) do
    check.equal({ parts[1][id], parts[2][id] }, { "test", "test" }, "galaxy " .. id)
    sum, higher = sum + first[k] - second[k], higher + (first[k] > second[k] and 1 or 0)
  end
  check.equal(#ids, found.galaxies)
  check.near(found.scores.delta_log_p.mean, sum / #ids, 1e-4)
  check.near(found.scores.delta_log_p.higher, higher / #ids, 1e-9)
  refuses(1, "infers oh_p50, a_v, expected", "evaluate", "image", "--against", "alone")
  local before = read "both/against.json" .. read "both/galaxies.csv"
  refuses(1, "in both began with other settings: %-%-against was .* and is not set; %-%-galaxies was 1000",
    "evaluate", "image", "--n", "39", "--steps", "4", "--galaxies", "9", "--out", "both")
  check.equal(read "both/against.json" .. read "both/galaxies.csv", before)
end)

case("a run was not trained on another mock survey's galaxies, but on those of a copy", function()
  require("gal.mock").make{ out = path "seed3", n = 60, seed = 3, cutouts = false, progress = false }
  check.equal((scratch.run "cp mock/catalog.fits copy.fits"), 0)
  local function scored(survey, ...)
    succeeds("evaluate", "magnitudes", "--survey", survey, "--part", "all", "--n", "39", "--steps", "4", ...)
    local name = survey:gsub("%..*", "") .. (... and "-all-against-magnitudes" or "-all")
    return gal.table(path("magnitudes/results/" .. name .. "/galaxies.csv")):ids "id"
  end
  check.equal(#scored "seed3", 60)
  check.equal(#scored("seed3", "--against", "magnitudes"), 60)
  local parts = require("gal.data").read_split(path "magnitudes/split.csv")
  for _, id in ipairs(scored "copy.fits") do check.equal(parts[id], "test", "galaxy " .. id) end
end)

case("show_survey takes a table, with the cutouts beside it, or a folder", function()
  for _, survey in ipairs{ "mock/catalog.fits", "mock" } do
    local text = succeeds("show_survey", "--survey", survey, "--n", "4", "--out", "figures")
    check.that(text:find("drawn: figures/cutouts.png, figures/survey.png", 1, true), text)
  end
  refuses(1, "^no survey at nowhere: expected a table", "show_survey", "--survey", "nowhere")
end)

case("a table without the training's extinctions is refused, and taken with --dereddened", function()
  local catalogue = gal.table(path "mock/catalog.fits")
  catalogue:drop "extinction_r":save(path "reddened.fits")
  refuses(1, "reddened.fits has no extinction_r, which came off modelMag_r where the flow was trained;"
    .. " %-%-dereddened says", "sample", "magnitudes", "--survey", "reddened.fits", "--out", "none")
  succeeds("sample", "magnitudes", "--survey", "reddened.fits", "--dereddened", "--n", "4", "--steps", "4",
    "--out", "reddened")
end)

case("evaluate --against refuses galaxies that the other run was trained on", function()
  local file = assert(io.open(path "magnitudes/split.csv"))
  local text = file:read "*a"
  file:close()
  write("magnitudes/split.csv", (text:gsub(",test\n", ",valid\n", 1)))
  refuses(1, "1 of the %d+ galaxies are in the train or valid part of magnitudes", "evaluate", "image",
    "--against", "magnitudes")
end)

case("quickstart runs from any folder, and again on what it left", function()
  for _ = 1, 2 do
    local text = succeeds("quickstart", "--tiny")
    for _, sentence in ipairs{
      "120 others to test on", "Delta log p, nats", "D_KL, nats", "W1 pooled, a_v", "higher",
      "nats apart, so these posteriors are far from", "without --tiny", "posteriors.png",
      "sample.lua runs/mine",
    } do
      check.that(text:find(sentence, 1, true), sentence .. " is missing in: " .. text)
    end
  end
  check.equal({ ffi.C.gal_path_exists(path "runs/quickstart-tiny/image-240"),
    ffi.C.gal_path_exists(path "runs/quickstart-tiny/posteriors.png") }, { 2, 1 })
  local made = "runs/quickstart-tiny/"
  succeeds("evaluate", made .. "image-240", "--against", made .. "photometry-240", "--part", "all",
    "--galaxies", "20", "--n", "39", "--steps", "4", "--out", "quick")
end)

scratch.remove()
check.finish()
