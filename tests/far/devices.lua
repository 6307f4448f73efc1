-- What the runtime owes to several devices at once: each has its own blocks, counts and limit, its alignment,
-- and failures that come late; run with --device far and GALRUN_FAR_BYTES of 64 MiB (tests/CMakeLists.txt).
-- A block that went back to another device than its own ends the process (far.c).
local check = dofile "lua/lib/check.lua"
local scratch = dofile "lua/lib/scratch.lua"
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local flows = require "gal.flow"
local nn = require "gal.nn"
local optim = require "gal.optim"
local sets = require "gal.images"
local case, equal, raises, that = check.case, check.equal, check.raises, check.that
local C = ffi.C
local MIB = 2 ^ 20
local DEVICES = { "cpu", "far", "far:1" }

local function live(device) return gal.memory(device).live end

case("draws of the default generator go on from replay to replay, on the program's device", function()
  for i, device in ipairs { "far:1", "far" } do -- the first draws of this process
    local p, x = gal.program(function() return gal.rand({ 3 }, { device = device }) end, device)
    equal(gal.default_rng():state():match ":(%d+)$" ~= "0", true)
    local before = x:totable()
    p:replay()
    that(before[1] ~= x:get(1), device .. ": a replay draws other numbers")
    local after = x:totable()
    p:replay()
    that(after[1] ~= x:get(1), device .. ": and so does the next")
    equal(gal.default_rng():tensor():device(), device)
    equal(gal.default_rng():state(), "0:" .. 3 * i)
  end
end)

case("a device has one name, whatever it is called by", function()
  local first = gal.device()
  equal(gal.device "far:0", "far")
  equal(gal.device(), "far")
  local there, x = { device = "far:0" }, gal.ones({ 2 }, { device = "far:0" })
  equal(x:device(), "far")
  equal(x:to "far:0" == x, true)
  equal(gal.rand({ 2 }, there):device(), "far")
  equal(there.device, "far:0")
  local net = nn.linear(2, 2, there)
  local opt = optim.sgd(net:parameters())
  equal(net:to "far:0" == net, true)
  opt:release()
  equal(flows.new({ theta = 1, device = "far:0" }):device(), "far")
  equal(sets.of(x):resident("far:0").pixels == x, true)
  local rng = gal.rng(1)
  gal.program(function() return gal.rand({ 2 }, { rng = rng, device = "far:0" }) end, "far:0")
  equal(gal.device(first), first)
  local _, printed = scratch.run(scratch.galrun .. [[ --device far:0 -e 'print(require("gal").device())']])
  equal(printed, "far\n")
  raises(function() x:to "gpu" end, 'device "gpu" is unknown', true)
end)

case("what can't be recorded on a device is told by name, and may be run op by op", function()
  local here = gal.tensor { 1, 2 }
  local notice = C.gal_notice
  local r = gal.rng(1)
  local function told(fn)
    while notice() ~= nil do end
    equal(core.try_program(fn, "far"), nil)
    return ffi.string(notice())
  end
  local function op() return gal.tensor({ 1, 2 }, { device = "cpu" }):to "far" + here end
  that(told(op):find("copy: its tensors are on cpu, but the program is being recorded on far", 1, true))
  that(told(function() return gal.randn({ 2 }, { device = "far:1", rng = r }) end)
    :find("rng: its state is on far, expected far:1", 1, true))
  equal(op(), { 2, 4 })
end)

case("each device counts its own bytes, and gets its own blocks back", function()
  check.collect()
  local before = {}
  for i, device in ipairs(DEVICES) do before[i] = live(device) end
  for _ = 1, 3 do
    for i, device in ipairs(DEVICES) do
      local x = gal.ones({ 1000 * i }, { device = device })
      equal(live(device) - before[i], math.ceil(4000 * i / (i == 1 and 64 or 256)) * (i == 1 and 64 or 256))
      equal(x:sum():item(), 1000 * i)
      x = nil
      check.collect()
      equal(live(device), before[i])
    end
  end
end)

case("a scope holds memory of three devices and gives all of it back", function()
  check.collect()
  local before = {}
  for i, device in ipairs(DEVICES) do before[i] = live(device) end
  for _ = 1, 2 do
    gal.scope(function()
      for _, device in ipairs(DEVICES) do
        local x = gal.ones({ 300000 }, { device = device })
        equal((x + 1):sum():item(), 600000)
      end
    end)
    for i, device in ipairs(DEVICES) do equal(live(device), before[i]) end
  end
end)

case("a device's soft limit is its own: three quarters of its memory until it is set", function()
  equal(gal.memory("far").limit, 48 * MIB)
  that(gal.memory("cpu").limit > 48 * MIB, "the CPU's limit is not far's")
  C.gal_memory_set_limit("far:1", live("far:1") + MIB)
  raises(function() local _ = gal.zeros({ MIB }, { device = "far:1" }) end, "would pass the limit of", true)
  raises(function()
    gal.scope(function() return gal.zeros({ MIB }, { device = "far:1" }):sum():item() end)
  end, "on far:1", true)
  equal(gal.zeros({ MIB }, { device = "far" }):sum():item(), 0)
  C.gal_memory_set_limit("far:1", 48 * MIB)
end)

case("where a device is out of memory its free lists are given back and it is tried again", function()
  check.collect()
  C.gal_memory_set_limit("far", 1024 * MIB)
  local parts = {}
  for i = 1, 40 do parts[i] = gal.zeros({ 256 * 1024 }, { device = "far" }) end -- 1 MiB each
  parts = nil
  check.collect()
  that(gal.memory("far").reserved >= 40 * MIB, "the blocks are in free lists")
  equal(gal.zeros({ 10 * MIB }, { device = "far" }):sum():item(), 0) -- 40 MiB of 64
  check.collect()
  gal.scope(function() equal(gal.zeros({ 10 * MIB }, { device = "far" }):sum():item(), 0) end)
  C.gal_memory_trim()
  raises(function() local _ = gal.zeros({ 20 * MIB }, { device = "far" }) end, "far: no memory left", true)
  C.gal_memory_set_limit("far", 48 * MIB)
end)

case("tensors of scopes and programs lie at multiples of their device's alignment", function()
  local function place(x) return tonumber(ffi.cast("uintptr_t", x.h.data)) end
  local function both()
    for _, device in ipairs { "far", "far:1" } do
      for n = 1, 5 do
        local x = gal.zeros({ n }, { device = device })
        equal(place(x) % 256, 0)
      end
    end
  end
  gal.scope(both)
  gal.program(function()
    for n = 1, 5 do equal(place(gal.zeros({ n }, { device = "far" })) % 256, 0) end
  end, "far")
end)

case("a failure that only the data can show surfaces once, at the next read of that device", function()
  local x = gal.ones({ 4, 2 }, { device = "far" })
  local index = core.int64({ 2 }, { 1, 9 }, "far")
  local y = core.new({ 2, 2 }, "float32", "far")
  equal(C.gal_gather_rows(y.h, x.h, index.h), 0)
  local z = x + 1
  equal(gal.ones({ 2 }, { device = "far:1" }):sum():item(), 2)
  equal(C.gal_device_wait "far:1", 0)
  raises(function() z:sum():item() end, "gather_rows: index%[1%] is 9, expected 0 to 3 for 4 rows", true)
  equal(z:sum():item(), 16)
  equal(C.gal_gather_rows(y.h, x.h, index.h), 0)
  check.that(C.gal_device_wait "far" ~= 0, "waiting reports it")
  equal(ffi.string(C.gal_error()), "gather_rows: index[1] is 9, expected 0 to 3 for 4 rows")
  local p = gal.program(function() C.gal_gather_rows(y.h, x.h, index.h) end, "far")
  raises(function() p:replay(3) end, "gather_rows: index%[1%] is 9", true)
  equal(x:sum():item(), 8)
end)

-- Leaves a failure in far's queue, and returns the start of its sentence.
local function fail_later(x)
  local index, y = core.int64({ 1 }, { 9 }, "far"), core.new({ 1, 2 }, "float32", "far")
  equal(C.gal_gather_rows(y.h, x.h, index.h), 0)
  return "gather_rows: index%[0%] is 9"
end

-- Eight images of 4 x 4 pixels, image i full of i, and what streams them in batches of two.
local function stored()
  local path = scratch.path "images.npy"
  local x = require("gal.tensor").to_fill({ 8, 4, 4, 3 }, "uint8")
  for i = 1, 8 do C.gal_fill(x[i].h, i) end
  gal.save(path, x)
  return require("gal.images").open(path)
end

case("a failure outlives the loader and the events that waited for it", function()
  local set, order = stored(), core.int64({ 8 }, { 0, 1, 2, 3, 4, 5, 6, 7 })
  local x, loader = gal.ones({ 4, 2 }, { device = "far" }), set:loader(2, "far")
  local batch = core.new(loader.shape, "uint8", "far")
  loader:start(order)
  local sentence = fail_later(x)
  for k = 1, 4 do loader:take(batch, k) end
  loader = nil
  check.collect()
  raises(function() x:sum():item() end, sentence, true)
  equal(x:sum():item(), 8)
  equal(batch:to("cpu")[2]:float():mean():item(), 8)
end)

case("where no event can be recorded the loader waits for its slot, and hears what failed", function()
  ffi.cdef "int setenv(const char *name, const char *value, int overwrite); int unsetenv(const char *name);"
  local set, order = stored(), core.int64({ 8 }, { 0, 1, 2, 3, 4, 5, 6, 7 })
  local x, loader = gal.ones({ 4, 2 }, { device = "far" }), set:loader(2, "far")
  local batch = core.new(loader.shape, "uint8", "far")
  loader:start(order)
  C.setenv("GALRUN_FAR_EVENTS", "none", 1)
  raises(function() loader:take(batch, 1) end, "far: no event can be recorded", true)
  local sentence = fail_later(x)
  raises(function() loader:take(batch, 2) end, sentence, true)
  C.unsetenv "GALRUN_FAR_EVENTS"
  loader:take(batch, 3)
  equal(batch:to("cpu")[2]:float():mean():item(), 6)
end)

case("a loader that can't be had says what the device said of it", function()
  local set = stored()
  raises(function() set:loader(2 ^ 21, "far") end, "far: no pinned memory left", true)
  gal.save(scratch.path "large.npy", require("gal.tensor").to_fill({ 1, 32, 32, 3 }, "uint8"))
  set = require("gal.images").open(scratch.path "large.npy")
  raises(function() set:loader(2 ^ 53, "far") end, "loader: no memory left for batches of", true)
end)

case("a precision that a device lacks for an op is refused by both names", function()
  local x = gal.ones({ 2, 2 }, { device = "far" })
  raises(function() x:matmul(x, "tf32") end,
    "matmul: precision is tf32, which far does not have for it, expected f32", true)
  raises(function() x:matmul(x, "fp8") end, 'matmul: precision is the string "fp8", expected "f32"', true)
  equal(C.gal_device_precision("cpu", "conv2d", C.GAL_IN_BF16), 0)
  that(C.gal_device_precision("cpu", "conv2d", C.GAL_IN_F16) ~= 0, "the CPU has no f16")
  equal(ffi.string(C.gal_error()),
    "conv2d: precision is f16, which cpu does not have for it, expected f32 or bf16")
end)

case("copies between two devices whose memory the host can't touch go through the host", function()
  local x = gal.arange(1, 6, { device = "far" }):reshape { 2, 3 }
  local y = x:to "far:1"
  equal(y:device(), "far:1")
  equal(y:t():to "cpu", { { 1, 4 }, { 2, 5 }, { 3, 6 } })
  raises(function() local _ = x + y end, "add: ", true)
end)

case("operands of two devices are named, not the result that the user did not make", function()
  local a, b = gal.ones({ 2, 2 }, { device = "far" }), gal.ones({ 2, 2 }, { device = "cpu" })
  raises(function() local _ = a + b end, "add: a is on far but b is on cpu", true)
  raises(function() local _ = a:matmul(b) end, "matmul: a is on far but b is on cpu", true)
  raises(function() local _ = core.linear(b, a) end, "linear: x is on cpu but w is on far", true)
end)

case("a host's read or write over budget is tried again after a collection", function()
  local x, limit = gal.ones({ 512, 512 }, { device = "far" }), gal.memory("far").limit -- 1 MiB
  local function littered(fn)
    check.collect()
    C.gal_memory_set_limit("far", live("far") + 3 * MIB)
    collectgarbage "stop"
    for _ = 1, 3 do local _ = gal.zeros({ MIB / 4 }, { device = "far" }) end
    local ok, err = pcall(fn)
    C.gal_memory_set_limit("far", limit)
    collectgarbage "restart"
    that(ok, tostring(err))
  end
  littered(function() equal(#x:t():totable(), 512) end)
  littered(function()
    gal.program(function() return gal.tensor({ 1, 2 }, { device = "far" }) end, "far")
  end)
end)

case("a device's images are copied to the host when the host reads them, out of every scope", function()
  local x = gal.rand({ 4, 8, 8, 3 }, { device = "far" })
  local here = live "cpu"
  local set = sets.of(x)
  equal(set:resident("far").pixels == x, true)
  equal(live "cpu", here)
  local fresh = gal.scope(function()
    local inside = sets.of(x)
    equal(inside:batch(1, 1):size(1), 1)
    return inside
  end)
  gal.scope(function() local _ = gal.full({ 4096 }, 9, { device = "cpu" }) end)
  equal(fresh:batch(2, 1), x:narrow(1, 2, 1):to("cpu"))
end)

case("a flow takes its units from rows of any device", function()
  local f = flows.new { theta = 2, context = 1, device = "far" }
  local x = gal.rand({ 20, 3 }, { device = "cpu" })
  f:standardise(x:narrow(2, 1, 2), x:narrow(2, 3, 1):to "far:1")
  equal(f.scale.theta_std:device(), "far")
  equal(f.scale.context_mean:to "cpu", x:narrow(2, 3, 1):mean(1):reshape { 1 })
end)

case("a copy to another device converts, broadcasts and strides as one on the same device does", function()
  for _, way in ipairs { { "cpu", "far" }, { "far", "cpu" }, { "far", "far:1" } } do
    local from, to = unpack(way)
    gal.program(function() end, to) -- takes the default generator to that device
    check.collect()
    local x = gal.arange(1, 6, { device = from }):reshape { 2, 3 }
    local before, there = live(from), live(to)
    local whole = core.new({ 3, 2 }, "int64", to)
    equal(C.gal_copy(whole.h, x:t().h), 0)
    equal(whole:to "cpu":totable(), { { 1, 4 }, { 2, 5 }, { 3, 6 } })
    local wide = gal.zeros({ 2, 4, 3 }, { device = to })
    equal(C.gal_copy(wide:select(2, 2).h, x:narrow(1, 2, 1).h), 0)
    equal(C.gal_copy(wide:select(2, 4).h, core.int64({ 3 }, { 7, 8, 9 }, from).h), 0)
    equal(wide:to "cpu":select(1, 2):totable(), { { 0, 0, 0 }, { 4, 5, 6 }, { 0, 0, 0 }, { 7, 8, 9 } })
    equal(gal.scope(function()
      local inside = gal.zeros({ 3, 2 }, { device = to })
      equal(C.gal_copy(inside.h, x:t().h), 0)
      return inside:sum():item()
    end), 21)
    that(C.gal_copy(whole.h, x.h) ~= 0, "shapes that don't broadcast are refused")
    equal(ffi.string(C.gal_error()):match "^copy: x is {2, 3}", "copy: x is {2, 3}")
    raises(function()
      gal.program(function() require("gal.base.errors").check(C.gal_copy(whole.h, x:t().h)) end, to)
    end, ("copy: x on %s can't be copied to %s while a program is recorded"):format(from, to), true)
    wide, whole = nil, nil
    check.collect()
    equal({ live(from), live(to) }, { before, there })
  end
end)

scratch.remove()
check.finish()
