-- What galrun writes, for the other programs to open: open.py reads the committed files with numpy, astropy
-- and safetensors, and tests/lua/files_written.lua shows that galrun still writes the same. As a script
-- (galrun golden/files/write.lua, in tests/) it writes them beside itself; as a module it is a function of
-- the folder to write to.
local gal = require "gal"
local golden = "golden/files/"
local nan = 0 / 0

local function write(folder)
  local ids, bytes = gal.load(golden .. "i8.npy"), gal.load(golden .. "u1.npy")
  local theta = gal.tensor{ { 1, 3, 5 }, { 2, 4, 6 } }
  gal.save(folder .. "galrun.npy", theta:t())
  gal.save(folder .. "galrun.npz", { theta = theta:t(), objID = ids, flag = bytes, scalar = gal.tensor(2.5),
    none = gal.zeros{ 0, 3 }, ["θ"] = gal.tensor{ 0.1 } })
  gal.save(folder .. "galrun.safetensors",
    { theta = theta:t(), objID = ids, flag = bytes, scalar = gal.tensor(2.5) }, { note = 'θ "quoted"\n' })

  -- astropy's table once more, less what is not read.
  local copy = gal.table(golden .. "table.fits")
  for _, name in ipairs{ "wave", "bits", "neighbours" } do copy:drop(name) end
  copy:save(folder .. "copy.fits")

  -- And one made here, with every kind of column. Doubles that are whole, the smallest, one without an exact
  -- decimal; text that CSV has to quote.
  local made = gal.table{ objID = { "1237648704043942146", "007", "" }, z = { 0.1, nan, 5e-324 },
    whole = { -9999, 0, 1e15 }, name = { "NGC 4321", 'a "b", c', "" } }
  made:set("n", ids:narrow(1, 1, 3)):set("flag", gal.load(golden .. "numpy.npz").flag)
  made:save(folder .. "galrun.csv")
  made:set("mag", theta:t()):set("pair", { { 0.1, nan }, { 1, 2 }, { 3, 4 } }):set("letters",
    { { "ab", "" }, { "", "c" }, { "def", "g" } })
  made:save(folder .. "galrun.fits")
end

if ... == nil then write(golden) end
return write
