-- What a catalogue costs: galaxies a second, and the memory of the process at its largest, by the number of
-- galaxies: it grows by what a row of the survey takes (id, magnitudes), not by draws. Each size is a process
-- of its own. Beside it the draws alone.
-- usage: galrun tests/bench/catalogue.lua [--sizes 1000,10000,100000] [--n 1000] [--out runs/bench/catalogue]
local o = require("gal.cli").options{
  { "sizes", { 1000, 10000, 100000 }, "galaxies", type = "integers" },
  { "n", 1000, "draws a galaxy", type = "integer" },
  { "hidden", { 256, 256, 256 }, "widths of the velocity net's layers", type = "integers" },
  { "out", "runs/bench/catalogue", "folder for the surveys and catalogues" },
  { "one", type = "integer", help = "this size alone, in this process" },
}
local data = require "gal.data"
local host = require "gal.host"
local infer = require "gal.infer"
local mock = require "gal.mock"
local path = require "gal.base.path"
local now = require("ffi").C.gal_now

path.make(o.out)
local function place(name) return o.out .. "/" .. name end

-- The largest memory of this process so far, MiB.
local function largest()
  for line in io.lines "/proc/self/status" do
    local kib = line:match "^VmHWM:%s*(%d+)"
    if kib then return kib / 1024 end
  end
  return 0 / 0
end

local function one(size)
  local flow = require("gal.flow").load(place "flow.safetensors")
  local survey = data.open(place(size .. ".fits"), { theta = {} })
  local before = largest()
  local out = place(size .. "-catalogue.fits")
  os.remove(out)
  local found = infer.catalogue(flow, survey, { out = out, n = o.n, progress = false })
  local start, some = now(), survey:thin(1000)
  local function into() end
  flow:sample(some.context, { n = o.n, steps = "auto", told = false, progress = false, into = into })
  local alone = #some.ids / (now() - start)
  local line = "%7d galaxies: %.4g a second (draws alone %.4g), at most %.0f MiB, %.0f with the table open"
  print(line:format(size, size / found.seconds, alone, largest(), before))
end

if o.one then return one(o.one) end
if not path.kind(place "flow.safetensors") then
  local t = mock.galaxies{ n = 20000, seed = 7 }
  t:save(place "training.fits")
  local survey = data.open(place "training.fits")
  require("gal.train").quick(survey:split "train", {
    valid = survey:split "valid", epochs = 8, hidden = o.hidden, batch = 256, lr = 2e-3,
  }).flow:save(place "flow.safetensors")
end
for _, size in ipairs(o.sizes) do
  if not path.kind(place(size .. ".fits")) then
    mock.galaxies{ n = size, seed = 8 }:save(place(size .. ".fits"))
  end
  local command = "'%s' '%s' --one %d --n %d --out '%s'"
  assert(os.execute(command:format(host.executable, arg[0], size, o.n, o.out)) == 0)
end
