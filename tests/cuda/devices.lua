-- What a device promises (runtime/backend.h) beside its kernels, on the CUDA device: failures that only the
-- data can show, batches of images through pinned memory, images held by the card, bytes counted, a second
-- card. Run with --device cuda, a card or its double; what needs two cards needs the double.
local check = dofile "lua/lib/check.lua"
local card = dofile "lua/lib/card.lua"
local scratch = dofile "lua/lib/scratch.lua"
local ffi = require "ffi"
local gal = require "gal"
local core = require "gal.tensor"
local flows = require "gal.flow"
local nn = require "gal.nn"
local fit = require("gal.train").fit
local case, equal, raises, that = check.case, check.equal, check.raises, check.that
local C = ffi.C

-- n images of 6 x 6 pixels in a file, image i full of 5 i.
local function stored(n)
  local path = scratch.path(n .. ".npy")
  local x = core.to_fill({ n, 6, 6, 3 }, "uint8")
  for i = 1, n do C.gal_fill(x[i].h, 5 * i) end
  gal.save(path, x)
  return require("gal.images").open(path)
end

-- Issues a gather that will find index 9 of 4 rows, and returns the start of its sentence.
local function fail_later(x)
  local index, y = core.int64({ 1 }, { 9 }, "cuda"), core.new({ 1, 2 }, "float32", "cuda")
  equal(C.gal_gather_rows(y.h, x.h, index.h), 0)
  return "gather_rows: index%[0%] is 9"
end

case("streamed images arrive as they are stored, through pinned memory that is used again", function()
  local set, list = stored(40), {}
  for i = 1, 40 do list[i] = (7 * i) % 40 end
  local loader = set:loader(4, "cuda")
  local batch = core.new(loader.shape, "uint8", "cuda")
  for _ = 1, 2 do
    loader:start(core.int64({ 40 }, list))
    for k = 1, 10 do
      loader:take(batch, k)
      for i = 1, 4 do
        equal(batch[i]:to("cpu"):float():mean():item(), 5 * (list[4 * k - 4 + i] + 1), "batch " .. k)
      end
    end
  end
end)

case("waiting for an event neither reports nor forgets a failure: the next read does, once", function()
  local x, set = gal.ones({ 4, 2 }, { device = "cuda" }), stored(8)
  local loader = set:loader(2, "cuda")
  local batch = core.new(loader.shape, "uint8", "cuda")
  loader:start(core.int64({ 8 }, { 0, 1, 2, 3, 4, 5, 6, 7 }))
  local sentence = fail_later(x)
  for k = 1, 4 do loader:take(batch, k) end
  loader = nil
  check.collect()
  raises(function() x:sum():item() end, sentence, true)
  equal(x:sum():item(), 8)
  equal(batch:to("cpu")[2]:float():mean():item(), 40)
end)

case("a row that scatter adds to has its sums in dy's order: the CPU's bits", function()
  local n, rows, list = 300, 7, {}
  for i = 1, n do list[i] = (i * i) % rows end
  local results = {}
  for i, device in ipairs { "cpu", "cuda" } do
    local dy = gal.randn({ n, 5 }, { rng = gal.rng(2), device = "cpu" }):to(device)
    local y = gal.randn({ rows, 5 }, { rng = gal.rng(3), device = "cpu" }):to(device)
    equal(C.gal_scatter_add_rows(y.h, dy.h, core.int64({ n }, list, device).h), 0)
    results[i] = check.bits(y)
  end
  that(results[1] == results[2], "the bits differ")
end)

case("every precision of a product is had for its gradient, too", function()
  for _, precision in ipairs { C.GAL_IN_F32, C.GAL_IN_TF32, C.GAL_IN_F16, C.GAL_IN_BF16 } do
    for forward, backwards in pairs { conv2d = { "conv2d_backward" },
      linear = { "linear_backward_input", "linear_backward_weight", "matmul" } } do
      local had = C.gal_device_precision("cuda", forward, precision) == 0
      for _, op in ipairs(backwards) do
        equal(C.gal_device_precision("cuda", op, precision) == 0, had, op)
      end
    end
  end
end)

case("a training has the same bits whether the card holds the images, streams them, or may choose", function()
  local set, weights = stored(40), {}
  local theta = gal.randn({ 40, 1 }, { rng = gal.rng(4), device = "cpu" })
  for i, where in ipairs { { resident = true }, { resident = false }, {} } do
    local encoder = nn.module { net = nn.mlp { 108, 8, 4, rng = gal.rng(5) },
      forward = function(self, x, precision) return self.net(x:reshape { -1, 108 }, precision) end }
    local flow = flows.new { theta = 1, context = 0, encoder = encoder, image = { 6, 6, 3 }, hidden = { 8 },
      rng = gal.rng(6) }
    fit { flow = flow, theta = theta, images = set, batch = 8, epochs = 2, progress = false,
      resident = where.resident }
    weights[i] = check.weights(flow)
  end
  that(weights[1] == weights[2] and weights[1] == weights[3], "the weights differ")
end)

case("gal.memory counts a card's bytes, and gives them back", function()
  check.collect()
  local before = gal.memory("cuda").live
  local x = gal.zeros({ 1000 }, { device = "cuda" })
  equal(gal.memory("cuda").live - before, 4096) -- multiples of 256 bytes
  that(gal.memory("cuda").limit <= gal.device_info("cuda").total, "the limit is beyond the card's memory")
  x = nil
  check.collect()
  equal(gal.memory("cuda").live, before)
end)

case("a second card is a device of its own: memory, products, programs, copies between the two", function()
  if not card.is_double then return end
  local there = { device = "cuda:1" }
  local before = gal.memory("cuda").live
  local x = gal.arange(1, 6, there):reshape { 2, 3 }
  equal(gal.memory("cuda").live, before)
  equal(x:device(), "cuda:1")
  equal(x:to("cuda"):t():to "cpu", { { 1, 4 }, { 2, 5 }, { 3, 6 } })
  equal(x:matmul(x:t(), "tf32"):to "cpu", { { 14, 32 }, { 32, 77 } })
  local y = gal.zeros({ 3 }, there)
  local p = gal.program(function() C.gal_affine(y.h, y.h, 1, 1) end, "cuda:1")
  p:replay(4)
  equal(y:totable(), { 5, 5, 5 })
  raises(function() return x + gal.ones({ 2, 3 }) end, "add: a is on cuda:1 but b is on cuda", true)
  local sentence = fail_later(gal.ones({ 4, 2 }, { device = "cuda" }))
  equal(x:sum():item(), 21) -- the failure is the other card's
  raises(function() gal.ones({ 2 }, { device = "cuda" }):sum():item() end, sentence, true)
end)

scratch.remove()
check.finish()
