-- Cutouts of a survey: decoded once, resumed after kill -9 at any place, decoded anew when a file changes;
-- damaged, missing and odd cutouts; and training on images from the file, as from memory: turned as drawn,
-- killed and resumed, with a file that is cut short in the middle.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local core = require "gal.tensor"
local data = require "gal.data"
local flows = require "gal.flow"
local images = require "gal.images"
local nn = require "gal.nn"
local fit = require("gal.train").fit
local scratch = dofile "lua/lib/scratch.lua"
local path, read, write = scratch.path, scratch.read, scratch.write

local bits = check.bits
-- What is the host's alone, whatever the device: files, processes and this process's memory.
local on_host = gal.device() == "cpu" and check.case or function() end
local weights = check.weights

-- Pictures that differ: the four golden JPEGs of 24 x 24 and the two PNGs in turn.
local KINDS = { "colour.jpg", "full.jpg", "progressive.jpg", "grey.jpg", "colour.png", "alpha.png" }
local pictures = {}
for i, name in ipairs(KINDS) do pictures[i] = read("golden/cutouts/" .. name) end

-- A survey folder of n galaxies with cutouts, ids of the given form; theta tells which picture it is, with
-- scatter.
local function survey(name, n, id)
  local home = path(name)
  C.gal_make_folder(home .. "/cutouts")
  local lines = { "objID,oh_p50,modelMag_r" }
  local noise = gal.randn({ n, 2 }, { rng = gal.rng(n) }):totable()
  for k = 1, n do
    local kind = (k - 1) % #KINDS + 1
    local text = (id or "%d"):format(k)
    lines[k + 1] = ("%s,%.5f,%.5f"):format(text, 8 + 0.1 * kind + 0.02 * noise[k][1], 17 + noise[k][2])
    write(home .. "/cutouts/" .. text .. (kind > 4 and ".png" or ".jpg"), pictures[kind])
  end
  write(home .. "/catalog.csv", table.concat(lines, "\n") .. "\n")
  return home
end
local function open(home, prepared, more)
  local o = { theta = { "oh_p50" }, context = { "modelMag_r" }, images = { progress = false } }
  for key, value in pairs(prepared or {}) do o.images[key] = value end
  for key, value in pairs(more or {}) do o[key] = value end
  return data.open(home, o)
end
local function raises(text, fn, ...)
  local ok, err = pcall(fn, ...)
  check.that(not ok, "no error, expected one with: " .. text)
  check.that(tostring(err):find(text, 1, true),
    ("the error is\n%s\nexpected one with\n%s"):format(tostring(err), text))
end
local function inode(file)
  local code, number = scratch.run("stat -c %i " .. file)
  assert(code == 0, number)
  return number
end

on_host("a run's cutouts are decoded beside it, not into the survey, but where galrun made that", function()
  local function names(folder) return (select(2, scratch.run("ls " .. folder))) end
  local home, runs = survey("theirs", 6), scratch.path "runs"
  local s = open(home, { beside = runs .. "/image/" })
  check.equal(names(home), "catalog.csv\ncutouts\n")
  check.that(names(runs .. "/decoded"):find "^theirs%-%x+\n$", names(runs .. "/decoded"))
  check.equal(s.images:size(1), 6)
  check.equal(s:choices().images.packed, runs .. "/decoded/" .. names(runs .. "/decoded"):sub(1, -2))
  check.that(s:describe():find("decoded in " .. runs .. "/decoded/theirs", 1, true), s:describe())
  local other = open(home, { beside = runs .. "/another" })
  check.equal(other:choices().images.packed, s:choices().images.packed)
  -- What a survey has is used; a mock survey is galrun's own.
  open(home)
  check.equal(open(home, { beside = runs .. "/third" }):choices().images.packed, nil)
  local mock = survey("ours", 6)
  write(mock .. "/survey.json", "{}")
  open(mock, { beside = runs .. "/image" })
  check.that(names(mock):find "cutouts.npy", names(mock))
end)

on_host("cutouts are packed in the table's order, whatever their ids look like, and only once", function()
  local home = survey("forms", 40, "J1234+%05d, b")
  local text = read(home .. "/catalog.csv"):gsub("(J[^\n]- b),", '"%1",')
  write(home .. "/catalog.csv", text)
  local s = open(home)
  check.equal({ #s.ids, s.ids[7], s.images.shape }, { 40, "J1234+00007, b", { 40, 24, 24, 3 } })
  for k, name in ipairs{
    "colour_jpg", "full_jpg", "progressive_jpg", "grey_jpg", "colour_png", "alpha_png",
  } do
    local off = (s.images:batch(k + 6, 1):float()
      - gal.load("golden/cutouts/" .. name .. ".npy"):float()):abs():max():item()
    check.that(off <= 3, ("row %d is off %s by %g of 255"):format(k + 6, name, off))
  end
  local before = inode(home .. "/cutouts.npy")
  open(home)
  check.equal(inode(home .. "/cutouts.npy"), before)
  -- Handed on without its JPEGs it is still a survey.
  os.execute(("rm -r '%s/cutouts'"):format(home))
  check.equal(bits(open(home).images:batch(1, 40)), bits(s.images:batch(1, 40)))
end)

on_host("a JPEG of a printer's inks, CMYK, has the colours that Pillow gives it", function()
  local home = survey("inks", 6)
  write(home .. "/cutouts/2.jpg", read "golden/cutouts/cmyk.jpg")
  local s = open(home)
  check.equal({ #s.ids, #s.damaged }, { 6, 0 })
  local found, expected = s.images:batch(2, 1):float(), gal.load("golden/cutouts/cmyk_jpg.npy"):float()
  local off = (found - expected):abs():max():item()
  check.that(off <= 3, ("it is off by %g of 255"):format(off))
end)

on_host("a file added, removed or changed makes the packing anew", function()
  local home = survey("stale", 30)
  open(home)
  local packed = home .. "/cutouts.npy"
  local before = inode(packed)
  local function changed(what)
    local s, now = open(home), inode(packed)
    check.that(now ~= before, what .. " was not noticed")
    before = now
    return s
  end
  write(home .. "/cutouts/2.jpg", pictures[3])
  check.that(
    bits(changed("a changed file").images:batch(2, 1)) == bits(open(home).images:batch(3, 1)),
    "the changed cutout's pixels are the old ones")
  os.remove(home .. "/cutouts/9.jpg")
  local s = changed "a removed file"
  check.equal({ #s.ids, s:losses() }, { 29, "1 of 30 rows dropped: 1 without a cutout" })
  write(home .. "/cutouts/9.png", pictures[5])
  check.equal(#changed("an added file").ids, 30)
end)

on_host("a damaged cutout is reported, its galaxy dropped, and the others keep their pictures", function()
  local home = survey("damaged", 30)
  write(home .. "/cutouts/4.jpg", pictures[4]:sub(1, -40))
  write(home .. "/cutouts/13.jpg", "")
  write(home .. "/cutouts/15.jpg", "GIF89a" .. ("x"):rep(100))
  os.remove(home .. "/cutouts/20.jpg")
  local s = open(home)
  check.equal(s:losses(), "4 of 30 rows dropped: 1 without a cutout, 3 with a damaged cutout"
    .. " (a row counts once, under the first that holds)")
  local text = s:describe()
  for _, sentence in ipairs{
    "cutouts/4.jpg is truncated or damaged", "cutouts/13.jpg is empty",
    "cutouts/15.jpg is neither JPEG nor PNG",
  } do
    check.that(text:find(sentence, 1, true), ("describe() lacks '%s':\n%s"):format(sentence, text))
  end
  for k, id in ipairs(s.ids) do
    local kind = (tonumber(id) - 1) % #KINDS + 1
    if kind > 4 then
      check.that(bits(s.images:batch(k, 1)) == bits(gal.load "golden/cutouts/colour_png.npy"),
        "galaxy " .. id .. " has another's picture")
    end
  end
  check.equal(#open(home).ids, 26) -- and so from the index
end)

on_host("cutouts of other sizes are refused with the file's name, or scaled", function()
  local home = survey("sizes", 20)
  write(home .. "/cutouts/8.jpg", read "golden/cutouts/oblong.jpg")
  raises("cutouts/8.jpg is 20 x 16 pixels, expected 24 x 24 like", open, home)
  check.equal(open(home, { resize = 16 }).images.shape, { 20, 16, 16, 3 })
  check.that(open(home, { resize = 16 }):describe():find("cutouts scaled to 16 x 16", 1, true),
    "describe() does not say that cutouts were scaled")
  raises("cutouts/8.jpg is 20 x 16", open, home)
  check.equal(open(home, { resize = 16, crop = 8, bin = 2 }).images.shape, { 20, 4, 4, 3 })
  raises("crop is 17 pixels, expected 1 to 16", open, home, { resize = 16, crop = 17 })
  local first = survey("oblong", 3)
  write(first .. "/cutouts/1.jpg", read "golden/cutouts/oblong.jpg")
  raises("cutouts/1.jpg is 20 x 16 pixels, expected a square; --resize N scales", open, first)
  raises("resize is 4097, expected a whole number of pixels from 1 to 4096", open, home, { resize = 4097 })
  os.execute("rm -r " .. home .. "/cutouts*")
  raises("has no cutouts", open, home)
end)

-- A packing in a process of its own, slow enough to be killed: 3,000 galaxies.
local PACK = [[
local options = { theta = { "oh_p50" }, context = {}, images = { progress = false } }
require("gal.data").open(arg[1], options)
]]

on_host("a packing killed at any place goes on and ends as the undisturbed one", function()
  local home = survey("killed", 3000)
  local command = ("%s %s %s"):format(scratch.galrun, write(path "pack.lua", PACK), home)
  check.equal((scratch.run(command)), 0)
  local whole, index = read(home .. "/cutouts.npy"), read(home .. "/cutouts.csv")
  os.remove(home .. "/cutouts.npy")
  os.remove(home .. "/cutouts.csv")
  for _, delay in ipairs{ 0.1, 0.2, 0.3 } do
    scratch.run(("%s & p=$!; sleep %g; kill -9 $p; wait $p"):format(command, delay))
  end
  -- And at places where a kill would have to be lucky: half a line, half an image, between the renames.
  open(home, nil, { context = {} })
  check.that(read(home .. "/cutouts.npy") == whole and read(home .. "/cutouts.csv") == index,
    "the packing differs from the undisturbed one")
  local function again(npy, csv, csv_name, what)
    os.remove(home .. "/cutouts.npy")
    os.remove(home .. "/cutouts.csv")
    write(home .. "/cutouts.npy.part", npy)
    write(home .. csv_name, csv)
    open(home, nil, { context = {} })
    check.that(read(home .. "/cutouts.npy") == whole and read(home .. "/cutouts.csv") == index,
      what .. ": the packing differs from the undisturbed one")
    check.equal({ C.gal_path_exists(home .. "/cutouts.npy.part"),
      C.gal_path_exists(home .. "/cutouts.csv.part") }, { 0, 0 })
  end
  again(whole:sub(1, 1000003), index, "/cutouts.csv.part", "half an image")
  again(whole, index:sub(1, 50001), "/cutouts.csv.part", "half a line")
  again(whole, index, "/cutouts.csv", "between the renames")
  again(whole:sub(1, 60), "", "/cutouts.csv.part", "half a header")
  again(whole, index:gsub("\n7%.jpg,%d+", "\n7.jpg,1"), "/cutouts.csv.part", "a file that changed meanwhile")
end)

on_host("a second galrun that wants the survey packed waits for the first one and packs nothing", function()
  local home = survey("locked", 10)
  local lock, pid = ffi.new "gal_lock *[1]", ffi.new "int64_t[1]"
  assert(C.gal_lock_take(lock, home .. "/cutouts.lock") == 0)
  local said = home .. "/said.txt"
  local code = ("require('gal.data').open('%s', { images = {}, theta = { 'oh_p50' }, context = {} })")
    :format(home)
  local words = ffi.new("const char *[4]", { require("gal.host").executable, "-e", code })
  assert(C.gal_process_start(pid, words, nil, nil, said) == 0, ffi.string(C.gal_error()))
  local until_ = C.gal_now() + 20
  while not read(said):find "waiting for the process" and C.gal_now() < until_ do C.gal_sleep(0.02) end
  check.that(read(said):find "in use by process", "it said " .. read(said))
  check.equal(C.gal_path_exists(home .. "/cutouts.npy"), 0)
  C.gal_lock_release(lock[0])
  local state = ffi.new "int[2]"
  assert(C.gal_process_wait(pid[0], 20, state, state + 1) == 0)
  check.that(state[0] == 1 and state[1] == 0, read(said))
  local before = read(home .. "/cutouts.npy")
  check.equal(#open(home).ids, 10)
  check.that(read(home .. "/cutouts.npy") == before, "packed again")
end)

-- ---- training ----

local function model(seed, size)
  local r = gal.rng(seed)
  local encoder = nn.sequential{
    nn.conv2d(3, 4, 3, { rng = r }), nn.silu(), nn.avg_pool2d(2), nn.flatten(),
    nn.linear(size * size, 8, { rng = r }),
  }
  return flows.new{ theta = { "oh_p50" }, context = { "modelMag_r" }, image = { size, size, 3 },
    hidden = { 16 }, rng = r, encoder = encoder }
end
local function train(s, given)
  local o = { flow = model(1, s.images:size(2)), data = s, valid = 0.2, batch = 16, epochs = 3, seed = 5,
    draws = 2, schedule = "constant", progress = false }
  for key, value in pairs(given or {}) do o[key] = value end
  return fit(o)
end
local home = survey("train", 200)
local stored = open(home, { crop = 16 })

check.case("weights are the same of file or memory, resident or streamed, turned, replayed or no", function()
  local all = {}
  for k = 1, 200 do all[k] = k end
  local memory = stored:select(all)
  memory.images = stored.images:batch(1, 200)
  for _, augment in ipairs{ false, true } do
    local first = train(memory, { augment = augment, resident = false })
    for _, way in ipairs{
      { memory, true, true }, { stored, true, true }, { stored, true, false }, { stored, false, false },
    } do
      local of, resident, recorded = unpack(way)
      local run = train(of, { augment = augment, resident = resident, recorded = recorded })
      local what = ("%s, %s, %s: "):format(of == memory and "memory" or "file",
        resident and "resident" or "streamed", recorded and "replayed" or "eager")
      check.equal(run.recorded, recorded)
      check.equal(run.history, first.history, what .. "the histories")
      check.that(weights(run.flow) == weights(first.flow), what .. "the weights differ")
    end
  end
  check.that(weights(train(stored).flow) ~= weights(train(stored, { augment = true }).flow),
    "turning changes nothing")
end)

check.case("each image of an epoch is in the turn that was drawn for it, and all eight are drawn", function()
  local sources, inputs = require "gal.train.images", require "gal.flow.inputs"
  local mean, deviation = inputs.image_statistics(stored.images, gal.device())
  local scale = { image_mean = mean, image_std = deviation }
  local index, order, drawn = core.new({ 50 }, "int64"), core.new({ 200 }, "int64"), {}
  for _, resident in ipairs{ false, true } do
    local rng = gal.rng(1):tensor(gal.device())
    local source = sources.new(stored.images,
      { index = index, augment = true, resident = resident, device = gal.device() })
    assert(C.gal_permutation(order.h, rng.h) == C.GAL_OK)
    source:start_epoch(order, rng)
    local rows, turns = order:totable(), source.turns:totable()
    for first = 1, 200, 50 do
      local positions, of_these = {}, {}
      for i = 1, 50 do
        local place, row = first + i - 1, rows[first + i - 1] + 1
        positions[i], of_these[i] = row, turns[resident and row or place]
        drawn[of_these[i]] = (drawn[of_these[i]] or 0) + 0.5
      end
      core.assign(index, order:narrow(1, first, 50))
      source:next()
      check.that(bits(inputs.standard_images(source.images, scale))
        == bits(inputs.standard_images(stored.images:read(positions, of_these):to(gal.device()), scale)),
        ("the batch from %d on differs"):format(first))
    end
  end
  -- 25 of each are expected of 200: 8 and 50 are farther than 4 deviations.
  for turn = 0, 7 do
    check.that(drawn[turn] and drawn[turn] > 8 and drawn[turn] < 50,
      ("turn %d was drawn %s times of 200"):format(turn, tostring(drawn[turn])))
  end
  check.equal(#drawn, 7)
end)

check.case("a batch is its own though later ones were taken while it was still on its way", function()
  local loader, order, taken = stored.images:loader(20, gal.device()), core.new({ 200 }, "int64"), {}
  assert(C.gal_permutation(order.h, gal.rng(4):tensor(gal.device()).h) == C.GAL_OK)
  loader:start(order)
  for k = 1, 10 do
    taken[k] = core.new(loader.shape, "uint8")
    loader:take(taken[k], k)
  end
  local rows = order:totable()
  for k, batch in ipairs(taken) do
    local positions = {}
    for i = 1, 20 do positions[i] = rows[20 * (k - 1) + i] + 1 end
    check.that(bits(batch) == bits(stored.images:read(positions)), ("batch %d is another"):format(k))
  end
end)

check.case("a training run that was resumed is the undisturbed one, its turns included", function()
  local whole = train(stored, { augment = true, epochs = 4 })
  local out = path "resumed"
  train(stored, { augment = true, epochs = 2, out = out })
  local run = train(open(home, { crop = 16 }),
    { augment = true, epochs = 4, out = out, resume = true, flow = model(9, 16) })
  check.equal(run.history, whole.history)
  check.that(weights(run.flow) == weights(whole.flow), "the weights differ")
  raises("augment was on and is not set", train, stored, { epochs = 4, out = out, resume = true })
  for _, k in ipairs{ 2, 8, 14 } do write(("%s/cutouts/%d.jpg"):format(home, k), pictures[3]) end
  raises("the training galaxies have other images", train, open(home, { crop = 16 }),
    { augment = true, epochs = 5, out = out, resume = true })
  for _, k in ipairs{ 2, 8, 14 } do write(("%s/cutouts/%d.jpg"):format(home, k), pictures[2]) end
  local split, validated = data.read_split(out .. "/split.csv"), nil
  for k = 2, 200, #KINDS do -- those with the second picture
    if split[tostring(k)] == "valid" then validated = k end
  end
  write(("%s/cutouts/%d.jpg"):format(home, validated), pictures[3])
  raises("other settings: the validation galaxies have other values or images", train,
    open(home, { crop = 16 }), { augment = true, epochs = 5, out = out, resume = true })
  write(("%s/cutouts/%d.jpg"):format(home, validated), pictures[2])
end)

check.case("posteriors from the file are those from memory, bit for bit, and in any batch", function()
  local flow = train(stored).flow
  local some = stored:select{ 3, 77, 5, 120, 8 }
  local tensor = some.images:batch(1, 5)
  local function draws(x) return flow:sample(x, { n = 20, steps = 5, rng = gal.rng(2) }) end
  local function densities(x) return flow:log_prob(some.theta, x, { steps = 5 }) end
  local file, memory = { some.context, some.images }, { some.context, tensor }
  check.that(bits(draws(file)) == bits(draws(memory)), "the draws differ")
  check.that(bits(draws(file):narrow(1, 2, 1))
    == bits(draws{ some.context:narrow(1, 2, 1), some.images:rows{ 2 } }), "a galaxy alone has other draws")
  check.that(bits(densities(file)) == bits(densities(memory)), "the densities differ")
end)

check.case("a flow takes images as it was trained on, and no others", function()
  local choices = stored:choices()
  check.equal(data.reopen(choices, { crop = 16 }).images.shape, { 200, 16, 16, 3 })
  raises("crop is 24, but the flow was trained on images with crop = 16", data.reopen, choices, { crop = 24 })
  raises("bin is 2, but the flow was trained on images with bin = 1", data.reopen, choices, { bin = 2 })
  check.equal(data.reopen(choices, { images = false }).images, nil)
  local side = choices.images.side
  choices.images.side = side / 2
  raises("are 24 x 24 pixels, but the flow was trained on cutouts of 12 x 12", data.reopen, choices)
  choices.images.side = side
  raises("images is {200, 24, 24, 3}, expected {N, 16, 16, 3}", train, open(home), { flow = model(1, 16) })
  raises("augment is true, but there are no images", fit, { flow = flows.new{ theta = 1, context = 1 },
    theta = gal.zeros{ 8, 1 }, context = gal.zeros{ 8, 1 }, augment = true })
end)

check.case("a cutouts.npy that is cut short in training is one sentence, and the last epoch stays", function()
  local other = survey("cut", 200)
  local s, out = open(other, { crop = 16 }), path "cut_run"
  local function cut(r)
    if r.whole and r.epoch == 2 then os.execute(("truncate -s 100000 %s/cutouts.npy"):format(other)) end
  end
  raises("cutouts.npy: ends after", train, s, { epochs = 50, out = out, resident = false, progress = cut })
  local lines = select(2, read(out .. "/history.csv"):gsub("\n", ""))
  check.that(lines == 3, ("history.csv has %d lines, expected the header and two epochs"):format(lines))
end)

-- Anonymous memory of this process, MiB.
local function anonymous()
  collectgarbage()
  return tonumber(read("/proc/self/status"):match "RssAnon:%s*(%d+)") / 1024
end

on_host("training holds two batches of a survey and not the survey", function()
  local many = path "many.npy" -- 96 MiB
  local x, text = ffi.new "gal_tensor", ffi.new "char[512]"
  x.dtype, x.rank, x.shape[0], x.shape[1], x.shape[2], x.shape[3] = 1, 4, 2048, 128, 128, 3
  local file, image = assert(io.open(many, "wb")), ("galrun"):rep(128 * 128 / 2)
  file:write(ffi.string(text, C.gal_npy_header_text(text, x)))
  for _ = 1, 2048 do file:write(image) end
  file:close()
  local n, r = 2048, gal.rng(1)
  local theta, set = gal.randn({ n, 1 }, { rng = r }), images.open(many)
  local flow = flows.new{ theta = 1, context = 0, image = { 128, 128, 3 }, hidden = { 8 },
    encoder = nn.sequential{ nn.avg_pool2d(32), nn.flatten() } }
  local before, most = anonymous(), 0
  fit{ flow = flow, theta = theta, images = set, batch = 16, epochs = 2, seed = 1, augment = true,
    resident = false, progress = function() most = math.max(most, anonymous()) end }
  check.that(most - before < 48,
    ("training grew by %.0f MiB over a file of 96 MiB, expected less than 48"):format(most - before))
end)

-- ---- as a process ----

on_host("an image training killed three times or stopped by Ctrl-C ends as the undisturbed one", function()
  local kill = dofile "lua/lib/kill.lua"
  local folder = path "kills"
  C.gal_make_folder(folder)
  local train_image = ("%s --threads 1 --survey %s"):format(scratch.experiment "train_image", home)
    .. " --theta oh_p50 --photometry modelMag_r --crop 16 --channels 4,8 --hidden 16 --batch 16"
    .. " --epochs 60 --patience 60 --seed 3 --resume --out "
  local same, why, met = kill.compare{ folder = folder, kills = 3, epochs = 60, seed = 5,
    train = train_image }
  check.equal(why or "the same", "the same")
  check.equal({ same, met >= 1 }, { true, true })
  local stopped = folder .. "/stopped"
  check.equal((scratch.run(train_image .. stopped .. " & p=$!"
    .. ("\nuntil [ -e %s/history.csv ]; do sleep 0.005; done"):format(stopped)
    .. "\nkill -INT $p; wait $p")), 130)
  check.equal((scratch.run(train_image .. stopped)), 0)
  for _, name in ipairs{ "history.csv", "flow.safetensors", "checkpoint.safetensors" } do
    check.that(read(stopped .. "/" .. name) == read(folder .. "/alone/" .. name),
      name .. " differs after Ctrl-C")
  end
end)

scratch.remove()
check.finish()
