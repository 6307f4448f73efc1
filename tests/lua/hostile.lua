-- Files that came from elsewhere, or that a disk lost: flows and checkpoints that say what they do not hold,
-- links that lead out of a run's folder, and paths of which can't be told whether something is there. Each is
-- refused in one sentence with its path, and nothing of the user's is replaced.
local check = dofile "lua/lib/check.lua"
local ffi = require "ffi"
local gal = require "gal"
local flows = require "gal.flow"
local json = require "gal.base.json"
local nn = require "gal.nn"
local path = require "gal.base.path"
local run = require "gal.base.run"
local fit = require("gal.train").fit

local scratch = dofile "lua/lib/scratch.lua"
local file, read, write = scratch.path, scratch.read, scratch.write

local function rows(n)
  local r = gal.rng(1)
  local theta = gal.randn({ n, 2 }, { rng = r })
  return theta, theta + gal.randn({ n, 2 }, { rng = r })
end

-- ---- flows ----

local function small(encoder)
  local flow = flows.new{
    theta = { "a", "b" }, context = { "x" }, hidden = { 4 }, rng = gal.rng(1), encoder = encoder,
    image = encoder and { 6, 6, 3 },
  }
  local theta, context = rows(20)
  flow:standardise(theta, context:narrow(2, 1, 1), encoder and gal.rand({ 20, 6, 6, 3 }))
  return flow
end

local plain = file "plain.safetensors"
small():save(plain)
local seen = file "seen.safetensors"
small(nn.sequential{ nn.conv2d(3, 4, 3), nn.silu(), nn.avg_pool2d(2), nn.global_avg_pool() }):save(seen)

-- Loads a copy of the file after change(description, tensors), and returns the sentence without the path.
local function refused(from, change)
  local tensors, metadata = gal.load(from)
  local a = json.decode(metadata.flow)
  local text = change(a, tensors)
  gal.save(file "changed.safetensors", tensors, { format = metadata.format, flow = text or json.encode(a) })
  local ok, err = pcall(flows.load, file "changed.safetensors")
  if ok then return "it is loaded" end
  local sentence = tostring(err):match "hostile.lua:%d+: load: [^:]*/changed.safetensors: (.*)$"
  return sentence or "no sentence of load's with the path: " .. tostring(err)
end

check.case("a flow whose description and tensors agree is loaded, with the image's encoder unrun", function()
  check.equal({ flows.load(plain).e, flows.load(seen).e, flows.load(seen).width }, { 0, 4, 5 })
end)

check.case("a flow that asks for more than its tensors is refused before anything is built", function()
  local function says(from, change, sentence) check.equal(refused(from, change), sentence) end
  says(plain, function(a) a.theta = 1e9 end, "its theta is the number 1000000000, expected a list of names")
  says(plain, function(a) a.context = 3 end, "its context is the number 3, expected a list of names")
  says(plain, function(a) a.head.layers[1].outputs = 1e7 end,
    "its head can't be built: a linear layer of 4 inputs is given {10000000}")
  says(plain, function(a) a.head.layers[1].inputs = 1e7 end,
    "its head can't be built: a linear layer of 10000000 inputs is given {4}")
  says(plain, function(a)
    for i = 1, 400 do a.head.layers[3 + i] = { type = "linear", inputs = 5000, outputs = 5000 } end
  end, "its head can't be built: a linear layer of 5000 inputs is given {2}")
  says(seen, function(a) a.image = { 20000, 20000, 3 } end,
    "its images are {20000, 20000, 3}, expected at most 4096 pixels a side")
  says(seen, function(a) a.encoder.layers[1].padding = 1e6 end,
    "its encoder can't be built: a conv2d makes 2000004 pixels a side")
  says(seen, function(a) a.encoder.layers[3].stride = 0 end,
    "its encoder can't be built: a avg_pool2d has stride = 0, expected an integer of at least 1")
  local before = gal.memory().peak
  refused(plain, function(a)
    a.head.layers[1].outputs, a.head.layers[3].inputs = 1e7, 1e7
  end)
  check.that(gal.memory().peak - before < 2 ^ 20, "memory was taken for it")
end)

check.case("a description of the wrong types is refused by name", function()
  local function says(change, sentence) check.equal(refused(seen, change), sentence) end
  says(function() return "{" end, "its description of the flow is no JSON object: json.decode: found the end "
    .. "on line 1 (byte 2), expected a key in quotes")
  says(function() return "3" end, "its description of the flow is no JSON object")
  says(function(a) a.theta = { "a", 2 } end, "its theta is a table, expected a list of names")
  says(function(a) a.sigma = "x" end, 'its sigma is the string "x", expected a number of at least 0')
  says(function(a) a.head = nil end, "its head is missing")
  says(function(a) a.head.layers = 3 end,
    "its head can't be built: a sequential has layers = 3, expected a list")
  says(function(a) a.head.type = "os.exit" end,
    "its head can't be built: the layer type os.exit is unknown to this version")
  says(function(a) a.head.layers[2] = 7 end,
    "its head can't be built: the layer type 7 is unknown to this version")
  says(function(a) a.encoder.layers[1].window = "x" end,
    "its encoder can't be built: a conv2d has window[1] = nil, expected an integer of at least 1")
  says(function(a) a.encoder = true end, "its encoder is the boolean true, expected a table")
  says(function(a) a.notes = 5 end, "its notes is the number 5, expected a table")
  says(function(a) a.image = "x" end, 'its images are the string "x", expected at most 4096 pixels a side')
  says(function() return ("["):rep(1e5) end, "its description of the flow is no JSON object: stack overflow")
end)

check.case("tensors of a flow that are missing, of another shape, too many or NaN are named", function()
  local function says(change, sentence)
    check.equal(refused(plain, function(_, tensors) change(tensors) end), sentence)
  end
  says(function(t) t["scale.theta_std"] = nil end, "has no tensor 'scale.theta_std' of shape {2}")
  says(function(t) t["scale.theta_std"] = gal.ones{ 1, 2 } end,
    "its 'scale.theta_std' is float32 {1, 2}, expected float32 {2}")
  says(function(t) t["scale.theta_mean"] = require("gal.tensor").int64({ 2 }, { 1, 2 }) end,
    "its 'scale.theta_mean' is int64 {2}, expected float32 {2}")
  says(function(t) t["scale.theta_std"] = gal.zeros{ 2 } end,
    "its 'scale.theta_std' holds 0, expected deviations above 0")
  says(function(t) t["scale.context_std"] = gal.full({ 1 }, -1) end,
    "its 'scale.context_std' holds -1, expected deviations above 0")
  says(function(t) t["head.1.weight"]:set(0 / 0, 1, 1) end,
    "its 'head.1.weight' holds nan, expected finite numbers")
  says(function(t) t["scale.context_mean"]:set(math.huge, 1) end,
    "its 'scale.context_mean' holds inf, expected finite numbers")
  says(function(t) t.more = gal.ones{ 3 } end, "has a tensor 'more', which such a flow does not have")
  says(function(t) t["scale.image_std"] = gal.ones{ 3 } end,
    "has a tensor 'scale.image_std', which such a flow does not have")
end)

-- ---- checkpoints ----

local function train(out, epochs)
  local theta, context = rows(60)
  local flow = flows.new{ theta = 2, context = 2, hidden = { 4 }, rng = gal.rng(2) }
  return fit{
    flow = flow, theta = theta, context = context, batch = 20, epochs = epochs, out = file(out),
    resume = true, progress = false,
  }
end
train("run", 2)
local checkpoint = read(file "run/checkpoint.safetensors")

check.case("a checkpoint that no run wrote is refused by name, and stays as it is", function()
  local name = file "run/checkpoint.safetensors"
  local function says(change, sentence)
    write(name, checkpoint)
    local tensors, metadata = gal.load(name)
    local state = json.decode(metadata.state)
    change(state, tensors)
    gal.save(name, tensors, { format = metadata.format, state = json.encode(state) })
    local bytes = read(name)
    check.raises(function() train("run", 3) end, sentence, true)
    check.that(read(name) == bytes, "the checkpoint was replaced")
  end
  for _, epoch in ipairs{ -5, 0, 1.5, 1e300 } do
    says(function(s) s.epoch = epoch end, "checkpoint.safetensors is damaged: its ")
  end
  says(function(s) s.epoch = nil end, "its epoch is nil, expected an integer of at least 1")
  says(function(s) s.steps = -1e300 end, "its number of steps is the number %-1e%+300, expected an integer")
  says(function(s) s.history = "x" end, 'its history is the string "x", expected a list of its epochs')
  says(function(s) s.history[2] = nil end, "its history is a table, expected a list of its epochs")
  says(function(s) s.history[1].train_loss = nil end, "its history%[1%] is a table, expected an epoch's")
  says(function(s) s.best_epoch = 7 end, "its best epoch is the number 7, expected one of its epochs")
  says(function(s) s.settings = 4 end, "its settings is the number 4, expected a table")
  says(function(_, t) t.best:set(0 / 0, 1) end, "its 'best' holds nan, expected finite numbers")
  says(function(_, t) t["scale.theta_std"]:set(0, 1) end, "its 'scale.theta_std' holds 0, expected dev")
  says(function(_, t) t.more = gal.ones{ 1 } end, "has a tensor 'more', which such a run has not")
  says(function(_, t) t.rng = nil end, "has no 'rng' of shape")
  write(name, checkpoint)
  check.equal(train("run", 3).history[3].epoch, 3)
end)

-- ---- is something there? ----

-- The files of the folder and their bytes.
local function contents(name)
  local found = {}
  for entry in io.popen(("cd '%s' && find . -type f ! -name lock"):format(file(name))):lines() do
    found[entry] = read(file(name) .. "/" .. entry)
  end
  return found
end

check.case("a path that can't be looked at is neither there nor absent: it is told, and why", function()
  scratch.run "ln -s loop loop && ln -s none dangling && touch f"
  check.equal({ path.kind(file "none"), path.kind(file "f/below") }, {})
  check.raises(function() path.kind(file "loop") end, "/loop: can't be looked at: Too many levels of")
  check.raises(function() path.kind(file "dangling") end, "/dangling: is a link that leads nowhere")
  check.raises(function() path.read(file "loop") end, "/loop: can't be looked at: Too many levels")
  check.raises(function() path.read(scratch.folder) end, "can't be read: Is a directory")
  check.raises(function() path.write(file "dangling", "x") end, "/dangling: is a link that leads nowhere")
  check.raises(function() run.open{ where = "fit", out = file "loop" } end, "/loop: can't be looked at")
  check.equal(ffi.C.gal_file_stamp(file "loop", ffi.new "int64_t[1]", ffi.new "int64_t[1]"), -1)
end)

check.case("a run whose checkpoint can't be looked at or is gone is never begun anew", function()
  train("lost", 2)
  local name = file "lost/checkpoint.safetensors"
  local function stays(sentence)
    local before = contents "lost"
    check.raises(function() train("lost", 1) end, sentence, true)
    check.equal(contents "lost", before)
  end
  os.execute(("cd '%s/lost' && mv checkpoint.safetensors ../kept"):format(scratch.folder))
  stays "fit: .*/lost holds a run with a history and no checkpoint %(checkpoint.safetensors%)"
  local links = { ["checkpoint.safetensors"] = "can't be looked at", nowhere = "leads nowhere" }
  for link, sentence in pairs(links) do
    os.execute(("ln -s %s '%s'"):format(link, name))
    stays("checkpoint.safetensors: .*" .. sentence)
    os.remove(name)
  end
  path.make(name)
  stays "checkpoint.safetensors"
  os.remove(name)
  os.execute(("mv '%s' '%s'"):format(file "kept", name))
  check.equal(#train("lost", 3).history, 3)
end)

check.case("a run that failed before the end of its first epoch begins again", function()
  train("early", 1)
  for _, name in ipairs{ "checkpoint.safetensors", "history.csv" } do os.remove(file("early/" .. name)) end
  check.equal(#train("early", 1).history, 1)
end)

-- ---- what garbage holds ----

check.case("image sets and loaders that nobody holds give their files and threads back", function()
  local code, said = scratch.run(("ulimit -n 64; %s --threads 1 -e '%s'"):format(scratch.galrun, [[
    local gal, sets = require "gal", require "gal.images"
    gal.save("images.npy", require("gal.tensor").to_fill({ 4, 8, 8, 3 }, "uint8"))
    for _ = 1, 500 do sets.open "images.npy" end
    local set = sets.open "images.npy"
    for _ = 1, 500 do set:loader(2, "cpu") end
    print(tonumber(io.open("/proc/self/status"):read("*a"):match "Threads:%s*(%d+)") < 100)
  ]]))
  check.equal({ code, said }, { 0, "true\n" })
end)

-- ---- links ----

check.case("a link in a run's folder that leads out of it is not followed", function()
  local victim = write(file "victim", "precious")
  for _, name in ipairs{ "lock", "config.json", "checkpoint.safetensors", "flow.safetensors" } do
    local out = "linked-" .. name
    path.make(file(out))
    os.execute(("ln -s '%s' '%s/%s'"):format(victim, file(out), name))
    check.raises(function() train(out, 1) end, "/" .. name .. ": is a link that leads out of its fo", true)
    check.equal(read(victim), "precious")
  end
end)

check.case("a run's folder may be a link itself, and its files may be links to one another", function()
  path.make(file "elsewhere")
  scratch.run "ln -s elsewhere out && touch elsewhere/a && ln -s a elsewhere/config.json"
  check.equal(#train("out", 1).history, 1)
  check.equal(path.kind(file "elsewhere/flow.safetensors"), "file")
end)

check.case("a lock and a file that grows are no links and no pipes, whatever they lead to", function()
  local lock, growing = ffi.new "gal_lock *[1]", ffi.new "gal_growing *[1]"
  local victim = write(file "behind", "precious")
  scratch.run "ln -s behind link && mkfifo pipe"
  local function said(status) return status ~= 0 and ffi.string(ffi.C.gal_error()):match "/%w+: (.*)$" end
  check.equal(said(ffi.C.gal_lock_take(lock, file "link")), "is a link, expected a regular file or none")
  check.equal(said(ffi.C.gal_lock_take(lock, file "pipe")), "is no regular file, expected one or none")
  check.equal(said(ffi.C.gal_growing_open(growing, file "link", 0)),
    "is a link, expected a regular file or none")
  -- A hard link: the same file under a name outside of the folder, which would be cut and written into.
  scratch.run "echo precious >own && ln own hard"
  local linked = "has another name, too (a hard link), expected none: a copy in its place has one name"
  check.equal(said(ffi.C.gal_lock_take(lock, file "hard")), linked)
  check.equal(said(ffi.C.gal_growing_open(growing, file "hard", 0)), linked)
  check.equal(scratch.read(file "own"), "precious\n")
  check.equal(read(victim), "precious")
end)

scratch.remove()
check.finish()
