-- gal.train: a small linear-Gaussian problem is learned, replayed steps are the eager ones to the last bit, a
-- resumed run is the undisturbed one, and errors say what to do.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local C = ffi.C
local gal = require "gal"
local core = require "gal.tensor"
local flows = require "gal.flow"
local nn = require "gal.nn"
local optim = require "gal.optim"
local step = require "gal.train.step"
local fit = require("gal.train").fit

local scratch = dofile "lua/lib/scratch.lua"
local folder, text_of = scratch.path, scratch.read

local weights = check.weights

-- theta ~ N(0, 1) in each of two dimensions, x = theta + eps / 2: the posterior is N(.8 x, .2).
local function problem(n, seed)
  local r = gal.rng(seed)
  local theta = gal.randn({ n, 2 }, { rng = r })
  return theta, theta + gal.randn({ n, 2 }, { rng = r }) * 0.5
end
local function small(seed)
  return flows.new { theta = { "a", "b" }, context = { "x", "y" }, hidden = { 24, 24 },
    rng = gal.rng(seed or 1) }
end

local function options(given)
  local theta, x = problem(given.rows or 600, 4)
  given.rows = nil
  local o = { flow = small(), theta = theta, context = x, preset = "paper",
    batch = 50, epochs = 4, seed = 3, progress = false }
  for key, value in pairs(given) do o[key] = value end
  return o
end

check.case("a linear-Gaussian posterior is learned", function()
  local theta, x = problem(4000, 1)
  local width, epochs = check.sized(64, 16), check.sized(60, 20)
  local flow = flows.new { theta = 2, context = 2, hidden = { width, width }, rng = gal.rng(1) }
  local run = fit { flow = flow, theta = theta, context = x, batch = 100, lr = 2e-3, schedule = "cosine",
    preset = "paper",
    decay = 0.99, epochs = epochs, patience = 60, seed = 1, progress = false }
  check.equal(run.stopped, "epochs")
  check.equal(#run.history, epochs)
  local fresh, seen = problem(1000, 2)
  local width = math.sqrt(0.2)
  local z = (fresh - seen * 0.8) / width
  local exact = (z * z):sum(2) * -0.5 - (math.log(2 * math.pi) + 2 * math.log(width))
  local loss = (exact - flow:log_prob(fresh, seen, { steps = 20 })):mean():item()
  check.that(loss < 0.05, ("log p - log q is %.4f nats, expected less than 0.05"):format(loss))
  local n = check.sized(500, 100)
  local draws = flow:sample(seen:narrow(1, 1, 100), { n = n, steps = 10, rng = gal.rng(5) })
  local off = ((draws:mean(2) - seen:narrow(1, 1, 100) * 0.8) / width):pow(2):mean():item() ^ 0.5
  check.that(off < 0.2,
    ("the means are off by %.3f posterior deviations, expected less than 0.2"):format(off))
  check.near(draws:std(2):mean():item() / width, 1, 0.07, "the ratio of deviations")
end)

check.case("replayed steps are the eager steps to the last bit", function()
  for _, extra in ipairs { {}, { draws = 3, clip = 0.5, schedule = "cosine", average = false } } do
    local one, two = options(extra), options(extra)
    two.recorded = false
    local a, b = fit(one), fit(two)
    check.equal({ a.recorded, b.recorded }, { true, false })
    check.equal(a.history, b.history)
    check.that(weights(a.flow) == weights(b.flow), "the weights differ")
  end
end)

check.case("the same seed gives the same run, another seed another", function()
  local a, b, c = fit(options {}), fit(options {}), fit(options { seed = 4 })
  check.that(weights(a.flow) == weights(b.flow), "two runs of one seed differ")
  check.that(weights(a.flow) ~= weights(c.flow), "two seeds give one run")
end)

check.case("a resumed run is the undisturbed one, bit for bit", function()
  local whole = fit(options { out = folder "whole", epochs = 6,
    schedule = optim.warmup(10, optim.constant(1e-3)), clip = 1 })
  local given = { out = folder "parts", epochs = 2,
    schedule = optim.warmup(10, optim.constant(1e-3)), clip = 1 }
  fit(options(given))
  for _, epochs in ipairs { 3, 6 } do
    local o = options(given)
    -- other first weights, which the checkpoint's replace
    o.flow, o.epochs, o.resume = small(99), epochs, true
    local run = fit(o)
    check.equal(#run.history, epochs)
    if epochs == 6 then
      check.equal(run.history, whole.history)
      check.equal({ run.best_epoch, run.best_loss, run.stopped },
        { whole.best_epoch, whole.best_loss, whole.stopped })
      check.that(weights(run.flow) == weights(whole.flow), "the weights differ")
    end
  end
  for _, name in ipairs { "history.csv", "flow.safetensors" } do
    check.that(text_of(folder "parts/" .. name) == text_of(folder "whole/" .. name), name .. " differs")
  end
end)

check.case("a run that has finished returns at once", function()
  local first = fit(options { out = folder "done" })
  local o = options { out = folder "done", resume = true }
  o.flow = small(5)
  local before = C.gal_now()
  local again = fit(o)
  check.that(C.gal_now() - before < 1, "it took a second")
  check.equal(again.history, first.history)
  check.equal(again.stopped, "epochs")
  check.that(weights(again.flow) == weights(first.flow), "the weights are not the run's best")
end)

check.case("a run killed after its last checkpoint has a whole history when it is resumed", function()
  local whole = fit(options { out = folder "last" })
  local text = text_of(folder "last/history.csv")
  local file = assert(io.open(folder "last/history.csv", "w"))
  file:write((text:gsub("[^\n]+\n$", ""))) -- the checkpoint is written first, and then this
  file:close()
  local o = options { out = folder "last", resume = true }
  o.flow = small(5)
  check.equal(fit(o).history, whole.history)
  check.equal(text_of(folder "last/history.csv"), text)
end)

check.case("a resumed run with other settings is refused, naming them", function()
  fit(options { out = folder "settings" })
  check.raises(function() fit(options { out = folder "settings", resume = true, lr = 1e-3, batch = 60 }) end,
    "other settings: batch was 50 and is 60; lr was 0.0005 and is 0.001%. Give those again", true)
end)

check.case("a run is not resumed on other validation rows, unless its folder records none", function()
  local function given(shift)
    local theta, x = problem(60, 8)
    return options { out = folder "validated", valid = { theta = theta + shift, context = x }, resume = true }
  end
  fit(given(0))
  check.raises(function() fit(given(1e-3)) end,
    "other settings: the validation rows have other values%. Give those again", true)
  local path = folder "validated/checkpoint.safetensors"
  local tensors, metadata = gal.load(path)
  metadata.state = metadata.state:gsub('"valid_data":"%d+",?', "", 1):gsub(",}", "}")
  gal.save(path, tensors, metadata)
  check.equal(#fit(given(1e-3)).history, 4)
end)

check.case("a resumed run on other rows says in words what is another about them", function()
  local theta, x = problem(60, 8)
  local function given(ids, change)
    local list, t = {}, theta:clone()
    for k = 1, 60 do list[k] = ids[k] or "g" .. k end
    if change then t:set(change, 7, 1) end
    return options { out = folder "others", resume = true, theta = t, context = x, ids = list,
      valid = { 1, 2 } }
  end
  local function says(sentence, ...)
    local o, pattern = given(...), sentence:gsub("[().]", "%%%0")
    check.raises(function() fit(o) end, "other settings: " .. pattern .. "%. Give those again", true)
  end
  fit(given {})
  says("the training galaxies have other values", {}, 3)
  says("the training galaxies are others: 1 is gone (g9), 1 is new (x)", { [9] = "x" }, 3)
  says("the training galaxies are others: they stand in another order", { [9] = "g10", [10] = "g9" }, 3)
  local new = {}
  for k = 3, 7 do new[k] = "h" .. k end
  says("the training galaxies are others: 5 are gone (g3, g4, g5, ...), 5 are new (h3, h4, h5, ...)", new, 3)
  local o = given {}
  o.flow = flows.new { theta = { "a", "b" }, context = { "x", "y" }, hidden = { 8 } }
  check.raises(function() fit(o) end, "other settings: the network is another. Give", true)
end)

check.case("the folder of another run is left alone", function()
  fit(options { out = folder "taken" })
  local before = text_of(folder "taken/history.csv")
  check.raises(function() fit(options { out = folder "taken", epochs = 1 }) end,
    "out is '.*taken', which exists; resume = true", true)
  check.equal(text_of(folder "taken/history.csv"), before)
end)

check.case("the folder of a run that failed in its first epoch can be used again", function()
  check.that(not pcall(fit, options { out = folder "failed", lr = 1e30 }), "a learning rate of 1e30 diverges")
  check.equal(#fit(options { out = folder "failed", epochs = 1 }).history, 1)
end)

check.case("a run's folder holds its files", function()
  local theta, x = problem(300, 4)
  local ids = {}
  for i = 1, 300 do ids[i] = "g" .. i end
  local data = { theta = theta, context = x, ids = ids,
    names = { theta = { "a", "b" }, context = { "x", "y" } } }
  local run = fit { flow = small(), data = data, valid = 0.2, epochs = 3, out = folder "files", seed = 3,
    progress = false }
  local lines, split = 0, { train = 0, valid = 0 }
  for line in io.lines(folder "files/history.csv") do
    lines = lines + 1
    if lines == 1 then check.equal(line, "epoch,train_loss,valid_loss,lr") end
  end
  check.equal(lines, 4)
  for line in io.lines(folder "files/split.csv") do
    local part = line:match "^g%d+,(%l+)$"
    if part then split[part] = split[part] + 1 end
  end
  check.equal(split.train + split.valid, 300)
  check.that(split.valid > 35 and split.valid < 85,
    split.valid .. " of 300 rows are validation rows, expected about 60")
  local config = require("gal.base.json").decode(text_of(folder "files/config.json"))
  check.equal({ config.batch, config.seed, config.theta, config.rows }, { 64, 3, { "a", "b" }, split.train })
  local flow = flows.load(folder "files/flow.safetensors")
  check.that(weights(flow) == weights(run.flow), "flow.safetensors does not hold the best weights")
  check.that(text_of(folder "files/timing.csv"):find "^epoch,seconds\n1,",
    "timing.csv is not what it should be")
end)

check.case("training stops by patience and keeps the best weights", function()
  local run = fit(options { rows = 60, batch = 60, lr = 0.03, epochs = 400, patience = 3, average = false,
    valid = 0.3 })
  check.equal(run.stopped, "patience")
  check.equal(#run.history, run.best_epoch + 3)
  for _, e in ipairs(run.history) do
    check.that(e.valid_loss >= run.best_loss, "an epoch was better than the best")
  end
  check.equal(run.history[run.best_epoch].valid_loss, run.best_loss)
end)

-- The validation loss of a flow as it stands over the validation rows that fit takes of these options.
local function loss_of(flow, o)
  local _, valid = require("gal.train.rows").split(flow, o)
  local theta = (valid.theta - flow.scale.theta_mean) / flow.scale.theta_std
  return require("gal.train.step").validator(flow,
    { theta = theta, seen = flow:standard(valid.context), n = valid.n },
    { seed = o.seed, time_power = 1 })()
end

check.case("the returned flow and the one on disk have the best validation loss, averaged or not", function()
  for _, average in ipairs { true, false } do
    local o = options { rows = 60, batch = 60, lr = 0.03, epochs = 60, patience = 3, average = average,
      decay = 0.9, valid = 0.3, out = folder("best " .. tostring(average)) }
    local run = fit(o)
    check.that(run.best_epoch < #run.history, "the last epoch was the best: nothing is tested")
    check.equal(loss_of(run.flow, o), run.best_loss, "the flow's loss")
    check.equal(loss_of(flows.load(o.out .. "/flow.safetensors"), o), run.best_loss, "the saved flow's loss")
  end
end)

check.case("averaging changes the validation and leaves the training as it is", function()
  local with, without = fit(options { decay = 0.9 }), fit(options { average = false })
  for i, e in ipairs(with.history) do
    check.equal(e.train_loss, without.history[i].train_loss, "training loss of epoch " .. i)
    check.that(e.valid_loss ~= without.history[i].valid_loss,
      "the validation loss of epoch " .. i .. " is the raw weights'")
  end
end)

check.case("a row is trained on or validated, never both", function()
  for _, valid in ipairs { 0.3, 1e-9, { 1, 2, 600 } } do
    local o, seen = options { valid = valid }, {}
    local part, held = require("gal.train.rows").split(o.flow, o)
    check.equal(part.n + held.n, 600)
    if valid == 1e-9 then check.equal(held.n, 1) end -- the least that a fraction holds out
    for _, rows in ipairs { part, held } do
      for _, row in ipairs(rows.theta:totable()) do
        check.that(not seen[row[1]], "a row is in both")
        seen[row[1]] = true
      end
    end
  end
end)

check.case("validation is the mean over all rows, also over more than are worked on at once", function()
  -- The velocity of theta = 0 along the path, off by the row's number / 100 in each component.
  local flow = { d = 2, sigma = 0, device = function() return gal.device() end,
    encode = function(_, seen) return seen end }
  flow.head = require("gal.nn").module { forward = function(_, x)
    return x:narrow(2, 4, 1) - x:narrow(2, 2, 2) / (1 - x:narrow(2, 1, 1))
  end }
  local n, sum = 300, 0
  for k = 1, n do sum = sum + (k / 100) ^ 2 end
  local rows = { theta = gal.zeros { n, 2 }, seen = gal.arange(n):reshape { n, 1 } / 100, n = n }
  check.near(require("gal.train.step").validator(flow, rows, { seed = 5, time_power = 1 })(), sum / n, 1e-5)
end)

check.case("validation rows are a fraction, row numbers, a data object or none", function()
  local theta, x = problem(40, 7)
  local a = fit(options { valid = { theta = theta, context = x } })
  check.that(a.history[1].valid_loss ~= nil, "a data object gave no validation")
  local b = fit(options { valid = { 1, 2, 3, 600 } })
  check.that(b.history[1].valid_loss ~= a.history[1].valid_loss, "row numbers were not taken")
  local c = fit(options { valid = false })
  check.equal({ c.best_epoch, c.history[1].valid_loss }, { 4 })
end)

check.case("a network that reads values on the host is trained all the same, step by step", function()
  local net = require("gal.nn").mlp { 5, 8, 2 }
  local head = require("gal.nn").module { net = net,
    forward = function(self, x) return self.net(x) * (1 + 0 * x:get(1, 1)) end }
  local run = fit(options { flow = flows.new { theta = { "a", "b" }, context = { "x", "y" }, head = head } })
  check.equal(run.recorded, false)
  check.equal(#run.history, 4)
  check.equal(run.flow:sample(gal.zeros { 1, 2 }, { n = 3, steps = 2 }).shape, { 1, 3, 2 })
end)

check.case("a second fit goes on from the first in its units", function()
  local first = fit(options {})
  local mean = first.flow.scale.theta_mean:totable()
  local theta, x = problem(600, 9)
  local second = fit { flow = first.flow, theta = theta + 5, context = x, epochs = 1, progress = false }
  check.equal(second.flow.scale.theta_mean, mean)
end)

check.case("a batch larger than the rows is all of them", function()
  local run = fit(options { rows = 30, batch = 500 })
  check.equal(#run.history, 4)
end)

check.case("a loss that is not finite stops, and the error says what to try", function()
  local message = check.raises(function()
    fit(options { lr = 1e18, epochs = 50, out = folder "infinite" })
  end, "the loss is not finite in epoch %d+", true)
  check.that(message:find "try a smaller lr %(it is 1e%+18%), clip = 1, or look for outliers", message)
  check.that(message:find "'[ab]' lies up to [%d.]+ deviations", message)
end)

check.case("progress is reported to a function", function()
  local seen = {}
  fit(options { progress = function(r) if r.whole then seen[#seen + 1] = r end end })
  check.equal(#seen, 4)
  check.equal({ seen[4].epoch, seen[4].epochs, seen[4].stopped }, { 4, 4, "epochs" })
  check.that(seen[4].train_loss and seen[4].valid_loss and seen[4].best_loss, "a loss is missing")
end)

check.case("the smallest loss is kept, and `patience` epochs without a smaller one end a run", function()
  local judge = require("gal.train.run").judge
  local function judged(losses, more)
    local run, kept = { settings = { patience = 2, epochs = 9 }, validate = true }, {}
    for key, value in pairs(more or {}) do run[key] = value end
    for k, loss in ipairs(losses) do
      run.epoch = k
      kept[k] = judge(run, loss)
      if run.stopped then break end
    end
    return { kept, run.best_epoch, run.best_loss, run.stopped }
  end
  check.equal(judged { 3, 2, 2.5, 1, 1, 1.5, 0 },
    { { true, true, false, true, false, false }, 4, 1, "patience" })
  check.equal(judged({ 3, 2 }, { settings = { patience = 2, epochs = 2 } }),
    { { true, true }, 2, 2, "epochs" })
  check.equal(judged({ 1, 2, 3, 4 }, { validate = false }), { { true, true, true, true }, 4, 4, nil })
end)

check.case("an interrupt saves the run, raises gal.interrupted, and resuming is bit for bit", function()
  local whole = fit(options { out = folder "calm", epochs = 5 })
  local ok, err = pcall(fit, options { out = folder "broken", epochs = 5, progress = function(r)
    if r.epoch == 3 and not r.whole then C.gal_interrupt_set(1) end
  end })
  check.that(not ok and err == gal.interrupted, "it did not raise gal.interrupted but " .. tostring(err))
  local o = options { out = folder "broken", epochs = 5, resume = true }
  o.flow = small(8)
  local run = fit(o)
  check.equal(run.history, whole.history)
  check.that(weights(run.flow) == weights(whole.flow), "the weights differ")
end)

-- A stepper over random rows {n, 5}; images: uint8 {n, 16, 16, 3}, with the encoder that ships.
local function stepper_of(n, images, options)
  local flow = flows.new { theta = 5, context = 5, rng = gal.rng(3), image = { 16, 16, 3 },
    encoder = images and nn.galaxy_cnn { rng = gal.rng(4) } or nil }
  local theta, x = gal.randn({ n, 5 }, { rng = gal.rng(1) }), gal.randn({ n, 5 }, { rng = gal.rng(2) })
  flow:standardise(theta, x, images)
  local opt = optim.adamw(flow:parameters(), { average = 0.999 })
  return step.stepper(flow, opt, { theta = theta, seen = x, images = images, n = n }, options)
end

check.case("a recorded step is as few calls as it was: at most 20 of photometry, 60 of images", function()
  local images = core.new({ 64, 16, 16, 3 }, "uint8")
  core.assign(images, gal.rand({ 64, 16, 16, 3 }, { rng = gal.rng(5) }) * 256)
  local photometry = stepper_of(64, nil, { batch = 64, draws = 1, seed = 1, recorded = true })
  local image = stepper_of(64, images, { batch = 64, draws = 8, seed = 1, augment = true, recorded = true })
  for _, s in ipairs { photometry, image } do
    s:start_epoch()
    s:run(1)
  end
  check.equal({ photometry.program.length, image.program.length }, { 19, 35 })
end)

check.case("the head is given t, theta_t, the encoded image and the context, `draws` times a row", function()
  local input
  local net = nn.mlp { 1 + 2 + 3 + 2, 8, 2 }
  local head = nn.module { net = net, forward = function(self, x)
    input = x:detach():clone():keep()
    return self.net(x)
  end }
  local flow = flows.new { theta = 2, context = 2, encoder = nn.global_avg_pool(), image = { 2, 2, 3 },
    head = head }
  local theta, x = problem(6, 3)
  local images = gal.rand({ 6, 2, 2, 3 }, { rng = gal.rng(5) })
  flow:standardise(theta, x, images)
  local s = step.stepper(flow, optim.adamw(flow:parameters(), {}),
    { theta = theta, seen = x, images = images, n = 6 }, { batch = 6, draws = 2, seed = 1, recorded = false })
  s:start_epoch()
  s:run(1)
  local encoded, row = flow:encode(nil, images):totable(), {}
  for k, seen in ipairs(x:totable()) do row[seen[1]] = k end
  local given, met = input:totable(), {}
  for r, columns in ipairs(given) do
    local k = row[columns[7]]
    check.equal(k, row[given[r + r % 2][7]], "the galaxy of draw " .. r)
    check.that(columns[1] >= 0 and columns[1] < 1, "t is " .. columns[1])
    check.equal({ columns[4], columns[5], columns[6] }, encoded[k], "the encoded image of draw " .. r)
    check.equal(columns[8], x:get(k, 2), "the context of draw " .. r)
    met[k] = true
  end
  check.equal({ #given, #met }, { 12, 6 })
end)

-- Anonymous memory of this process, bytes.
local function anonymous()
  return 1024 * tonumber(text_of("/proc/self/smaps_rollup"):match "Anonymous:%s+(%d+) kB")
end

check.case("replayed steps make no Lua garbage and take no memory", function()
  local rows = check.sized(6400, 640)
  local stepper = stepper_of(rows, nil, { batch = 64, draws = 1, seed = 1, recorded = true })
  local each = check.sized(100, 1)
  local function epochs(n)
    for _ = 1, n do
      stepper:start_epoch()
      stepper:run(each)
    end
  end
  epochs(10)
  check.collect()
  local before = anonymous()
  local many = check.sized(90, 20)
  epochs(many)
  check.collect()
  local growth = (anonymous() - before) / 2 ^ 20
  check.that(growth < 5,
    ("anonymous memory grew by %.2f MiB over %d steps, expected less than 5"):format(growth, many * each))
  stepper:start_epoch()
  jit.off()
  stepper.program:replay(1)
  collectgarbage "stop"
  local kilobytes = collectgarbage "count"
  local replays = check.sized(90, 9)
  stepper.program:replay(replays)
  local garbage = 1024 * (collectgarbage "count" - kilobytes)
  collectgarbage "restart"
  jit.on()
  -- What the interpreter boxes of the one C call, its status: nothing a step.
  check.that(garbage <= 64, ("%d replayed steps made %g bytes of Lua garbage"):format(replays, garbage))
end)

check.case("a head that draws from the default generator has the same losses replayed as op by op", function()
  local state = gal.default_rng():state()
  local function history(recorded)
    gal.default_rng():set_state(state)
    local noisy = nn.module { nn.linear(5, 2, { rng = gal.rng(1) }), forward = function(self, x)
      return self[1](x) * (1 + gal.rand({ 2 }, { device = x:device() }))
    end }
    local flow = flows.new { theta = { "a", "b" }, context = { "x", "y" }, head = noisy }
    local result = fit(options { rows = 100, epochs = 2, batch = 10, flow = flow, recorded = recorded })
    check.equal(result.recorded, recorded)
    return result.history[2].train_loss
  end
  check.equal(history(true), history(false))
end)

check.case("however a fit ends, the flow's weights are free to be moved", function()
  local function frees(what, given)
    local o = options(given)
    collectgarbage "stop" -- a collected optimiser would free them, too
    pcall(fit, o)
    for _, p in ipairs(o.flow:parameters()) do
      check.that(core.slot(p) == nil, what .. " keeps the weights")
    end
    collectgarbage "restart"
  end
  local short = { rows = 100, epochs = 1, out = folder "freed" }
  frees("the end of a run", short)
  frees("a checkpoint of other settings", { rows = 100, out = short.out, resume = true, batch = 7 })
  frees("a loss that is not finite", { rows = 100, lr = 1e30 })
  frees("a schedule that raises", { rows = 100, schedule = function() error "boom" end })
  frees("an error of a progress function", { rows = 100, progress = function() error "boom" end })
  frees("an interrupt", { rows = 100, progress = function(r)
    if r.stopped then error "boom" end
    C.gal_interrupt_set(1)
  end })
end)

check.case("bad rows are named at the caller's line", function()
  local theta, x = problem(50, 1)
  local broken = x:clone()
  broken:set(0 / 0, 7, 2)
  check.raises(function() fit(options { context = x }) end, "fit: context has 50 rows and theta 600", true)
  check.raises(function() fit(options { theta = theta, context = broken }) end,
    "fit: context is NaN in row 7, column 2 %('y'%)", true)
  check.raises(function() fit(options { theta = gal.zeros { 50, 3 } }) end,
    "fit: theta is {50, 3}, expected {N, 2} for a, b", true)
  check.raises(function() fit(options { theta = theta, context = gal.zeros { 50, 2 }, valid = { 51 } }) end,
    "fit: valid%[1%] is the number 51, expected a row number", true)
  check.raises(function() fit(options { theta = gal.ones { 50, 2 }, context = x }) end,
    "flow: 'a' has the same value in all %d+ rows", true)
  check.raises(function() fit(options { epoch = 4 }) end,
    "fit: unknown option 'epoch', expected 'epochs'?", true)
  check.raises(function() fit(options { batch = 0 }) end,
    "fit: batch is 0, expected an integer of at least 1", true)
  check.raises(function() fit(options { resident = true }) end,
    "fit: resident is true, but the flow has no encoder", true)
  check.raises(function() fit { theta = theta } end, "fit: flow is nil, expected a flow", true)
  check.raises(function() fit(options { schedule = "linear" }) end,
    'fit: schedule is the string "linear"', true)
  local data = { theta = theta, context = x, names = { theta = { "b", "a" }, context = { "x", "y" } } }
  check.raises(function() fit { flow = small(), data = data, progress = false } end,
    "the flow's theta is a, b, the data's b, a", true)
end)

check.case("what can't fit is refused before the first step, by its largest part", function()
  local wide = flows.new { theta = { "a", "b" }, context = { "x", "y" }, hidden = { 512, 512 } }
  local by_weights, by_draws = options { flow = wide }, options { batch = 500, draws = 100 }
  collectgarbage()
  collectgarbage()
  local before, limit = gal.memory(), require("ffi").C.gal_memory_set_limit
  limit(gal.device(), before.live + 4.8e6) -- 266,754 weights, gradient, two moments, a mean, the best: 5.3 MB
  check.raises(function() fit(by_weights) end, "training of 2.67e%+05 weights: less of hidden would", true)
  check.raises(function() fit(by_draws) end, "50000 draws of a step: less of batch or draws would", true)
  limit(gal.device(), before.limit)
end)

scratch.remove()
check.finish()
