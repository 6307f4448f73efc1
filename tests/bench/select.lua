-- What a sample costs: select_sample.lua on a FITS table of spectra joined with one of photometry, by 64-bit
-- ids in opposite orders; and a join by position. Seconds of the wall and of the processor, and the most
-- memory. usage: galrun tests/bench/select.lua [--rows 1000000] [--out FOLDER]
local ffi = require "ffi"
local o = require("gal.cli").options{
  rows = { 1000000, "rows of each of the two tables of 30 columns" },
  out = { "/tmp/galrun-select", "folder for the tables" },
}
local gal = require "gal"
local host = require "gal.host"
local r, N, FIRST = gal.rng(1), o.rows, 1237648720693755918LL
require("gal.base.path").make(o.out)

local function around(mean, std) return gal.randn({ N }, { rng = r }) * std + mean end
local function whole(of)
  local t = require("gal.tensor").new({ N }, "int64")
  local values = ffi.cast("int64_t *", t.h.data)
  for k = 0, N - 1 do values[k] = of(k) end
  return t
end

local spectra = {
  bestObjID = whole(function(k) return FIRST + k end), bptclass = whole(function(k) return k % 3 end),
}
for name, mean in pairs{ lgm_tot_p50 = 10, sfr_tot_p50 = 0, oh_p50 = 9, d4000_n = 1.4, tauv_cont = 1 } do
  spectra[name] = around(mean, 0.1)
end
local photometry = { objID = whole(function(k) return FIRST + (N - 1 - k) end) }
photometry.petroMag_r = around(17.5, 0.5)
for _, band in ipairs{ "u", "g", "r", "i", "z" } do
  photometry["modelMag_" .. band], photometry["extinction_" .. band] = around(17.5, 0.8), around(0.1, 0.01)
end
photometry.ra, photometry.dec = gal.rand({ N }, { rng = r }) * 360, around(0, 20):clamp(-89, 89)
for k = 1, 23 do spectra["more" .. k] = around(0, 1) end
for k = 1, 16 do photometry["more" .. k] = around(0, 1) end
gal.table(spectra):save(o.out .. "/spectra.fits")
local sky = gal.table(photometry):save(o.out .. "/photometry.fits")

local script = io.open(o.out .. "/select.lua", "w")
script:write(([[local C, start = require("ffi").C, require("ffi").C.gal_now()
arg = { [0] = "select_sample.lua", "spectra.fits", "--photometry", "photometry.fits", "--out", "sample" }
dofile "%s/experiments/select_sample.lua"
local peak = tonumber(io.open("/proc/self/status"):read("*a"):match "VmHWM:%%s*(%%d+)") / 2 ^ 20
local text = "select_sample.lua: %%.1f s, %%.1f s of the processor, %%.2f GiB"
print(text:format(C.gal_now() - start, os.clock(), peak))
]]):format(host.root))
script:close()
os.execute(("cd '%s' && '%s' select.lua"):format(o.out, host.executable))

local start, processor = ffi.C.gal_now(), os.clock()
local _, counts = sky:near(sky, { radius = 3, columns = { "more1" } })
print(("t:near: %.1f s, %.1f s of the processor; %s"):format(ffi.C.gal_now() - start, os.clock() - processor,
  tostring(counts)))
