-- gal.plot and gal.data.picture: the files of figures, and measurements on pictures.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local plot = require "gal.plot"
local cutout = require "gal.data.picture"
local folder = require "gal.base.path"

local scratch = dofile "lua/lib/scratch.lua"
local home = scratch.folder
local function blank(shape) return require "gal.tensor".new(shape, "uint8", "cpu"):fill_(0) end

local function text(name) return scratch.read(scratch.path(name)) end

-- The numbers of block `index` of a figure's data: rows of columns.
local function block(name, index)
  local rows, k = {}, 0
  for part in (text(name) .. "\n\n\n"):gmatch "(.-)\n\n\n" do
    if k == index then
      for line in part:gmatch "[^\n]+" do
        local row = {}
        for word in line:gmatch "%S+" do row[#row + 1] = tonumber(word) end
        rows[#rows + 1] = row
      end
    end
    k = k + 1
  end
  return rows
end

-- Width and height of a PNG, from its header.
local function png_size(name)
  local bytes = text(name)
  check.equal(bytes:sub(1, 8), "\137PNG\r\n\26\n")
  local function integer(at)
    return ((bytes:byte(at) * 256 + bytes:byte(at + 1)) * 256 + bytes:byte(at + 2)) * 256 + bytes:byte(at + 3)
  end
  return integer(17), integer(21)
end

local x, y = {}, {}
local normal = gal.randn({ 2, 4000 }, { rng = gal.rng(5) }):totable()
for i = 1, 4000 do x[i], y[i] = normal[1][i], 0.6 * normal[1][i] + 0.8 * normal[2][i] end

check.case("a figure leaves picture, script and data, and the script draws it again by itself", function()
  local path = plot.figure(home .. "/all.png", { columns = 3, title = "It's all", panels = {
    plot.panel{ plot.points(x, y, { title = "it's", error = y }), x = "x_1", y = "y", xrange = { 3, -3 } },
    plot.panel{ plot.histogram(x, { density = true }), plot.lines({ -1, 0, 1 }, { 0.1, 0 / 0, 0.3 }),
    logy = true, yrange = { 1e-3, 1 } },
    plot.panel{ plot.density(x, y), plot.contours(x, y, { title = "68, 95 %" }),
    plot.rule{ slope = 1, from = -2, to = 2 }, plot.label("here", 0, 1) },
    false,
    plot.panel{ plot.band({ 0, 1 }, { 0, 0 }, { 1, 2 }), plot.histogram(gal.tensor(x), { filled = true }) },
    plot.panel{ plot.picture(blank{ 4, 6, 3 }) },
  } })
  local width, height = png_size "all.png"
  check.equal({ width, height }, { 1260, 750 })
  check.equal(path, home .. "/all.png")
  os.remove(path)
  check.equal((scratch.run "gnuplot all.gp"), 0)
  check.equal({ png_size "all.png" }, { 1260, 750 })
end)

check.case("an axis of one value is as wide as that value can be read on", function()
  for value, range in pairs{ [0.006] = { 0.003, 0.009 }, [-2] = { -2.5, -1.5 }, [0] = { -0.5, 0.5 },
    [4e6] = { 3996000, 4004000 } } do
    plot.figure(home .. "/flat.svg", { panels = { plot.panel{ plot.lines({ 1, 2 }, { value, value }) } } })
    local low, high = text("flat.gp"):match "set yrange %[(%S+):(%S+)%]"
    check.equal({ tonumber(low), tonumber(high) }, range, value)
  end
end)

check.case("a figure that is one picture has that picture's pixels, the right way up", function()
  local pixels = blank{ 50, 50, 3 }
  for row = 1, 50 do
    for col = 1, 50 do pixels:set(row <= 20 and 200 or 10, row, col, col <= 30 and 1 or 2) end
  end
  plot.figure(home .. "/one.png", { panels = { plot.panel{ plot.picture(pixels) } } })
  check.equal({ png_size "one.png" }, { 52, 52 })
  check.equal(cutout.read({ home .. "/one.png" }, 52):select(1, 1):narrow(1, 2, 50):narrow(2, 2, 50), pixels)
end)

check.case("a histogram's density is that of all values, and counts add up to those in range", function()
  local values = { 0, 0.1, 0.2, 0.9, 1, 7 }
  plot.figure(home .. "/h.png", { panels = { plot.panel{
    plot.histogram(values, { bins = 2, range = { 0, 1 } }),
    plot.histogram(values, { bins = 2, range = { 0, 1 }, density = true }),
  } } })
  local counts, density = block("h.dat", 0), block("h.dat", 1)
  check.equal(counts, { { -0.25, 0 }, { 0.25, 3 }, { 0.75, 2 }, { 1.25, 0 } })
  check.near(density[2][2] * 0.5 + density[3][2] * 0.5, 5 / 6, 1e-6)
end)

check.case("contours of a Gaussian hold the shares they are named by", function()
  local a, b, u = {}, {}, gal.randn({ 60000 }, { rng = gal.rng(1) }):totable()
  local v = gal.randn({ 60000 }, { rng = gal.rng(2) }):totable()
  for i = 1, 60000 do a[i], b[i] = u[i], v[i] end
  for _, share in ipairs{ 0.39, 0.68 } do
    plot.figure(home .. "/c.png", { panels = { plot.panel{
      plot.contours(a, b, { levels = { share }, xrange = { -4, 4 }, yrange = { -4, 4 }, bins = 60 }),
    } } })
    local sum, n = 0, 0
    for _, row in ipairs(block("c.dat", 0)) do sum, n = sum + math.sqrt(row[1] ^ 2 + row[2] ^ 2), n + 1 end
    -- the circle with that share (Rayleigh); the smoothing widens it by 1.5 %
    check.near(sum / n, math.sqrt(-2 * math.log(1 - share)), 0.06)
  end
end)

check.case("a wrong argument is one sentence that names it", function()
  check.raises(function() plot.points({ 1, 2 }, { 1 }) end, "points: y has 1 values, x has 2")
  check.raises(function() plot.points({ 1, "2" }, { 1, 2 }) end,
    'points: x%[2%] is the string "2", expected a number')
  check.raises(function() plot.lines({ 1 }, { 1 }, { color = "red" }) end,
    "lines: unknown option 'color', expected 'colour'")
  check.raises(function() plot.contours({ 1 }, { 1 }, { filled = "yes" }) end,
    "contours: filled is the string \"yes\", expected a number from 0 to 1")
  check.raises(function() plot.panel{ 3 } end, "panel: entry 1 is the number 3, expected a layer")
  check.raises(function() plot.panel{ plot.points({ 1 }, { 1 }), xrange = { 1, 1 } } end, "panel: xrange is")
  check.raises(function()
    plot.figure(home .. "/a.jpg", { panels = { plot.panel{ plot.points({ 1 }, { 1 }) } } })
  end, "expected a name that ends in .png, .pdf or .svg")
  check.raises(function() plot.figure(home .. "/a.png", { panels = {} }) end, "figure: panels is")
  check.raises(function() plot.picture(gal.zeros{ 2, 2, 3 }) end, "picture: pixels is a tensor {2, 2, 3}")
  check.equal(folder.kind(home .. "/a.png"), nil)
end)

check.case("without gnuplot, or where it fails, there is no picture and the sentence says why", function()
  scratch.write(home .. "/draw.lua", [[
local plot = require "gal.plot"
plot.figure("none.png", { panels = { plot.panel{ plot.points({ 1 }, { 1 }) } } })
]])
  -- What it says with these folders as the only ones that are searched for programs.
  local function try(path)
    return (select(2, scratch.run(("PATH='%s' %s draw.lua"):format(path, scratch.galrun))))
  end
  local bin = home .. "/bin"
  folder.make(bin)
  scratch.run 'ln -s "$(command -v sh)" bin/sh'
  check.that(try(bin):match "gnuplot is not installed", "the sentence does not say that it is not installed")
  check.equal(folder.kind(home .. "/none.png"), nil)
  check.equal(folder.kind(home .. "/none.gp"), "file")
  folder.write(bin .. "/gnuplot", "#!/bin/sh\necho no ink\nexit 3\n")
  scratch.run "chmod +x bin/gnuplot"
  check.that(try(bin):match "could not draw none.png: no ink", "the sentence does not have gnuplot's words")
  check.equal(folder.kind(home .. "/none.png"), nil)
end)

check.case("labels may begin with any letter, and no label or file's name is run", function()
  local marks = { plot.points({ 32, 126 }, { 0, 9 }) }
  local words = { "''", '"', "`touch run`", "$(touch run)", "@x", "x\\" }
  for c = 32, 126 do
    marks[#marks + 1] = plot.label(string.char(c) .. string.char(c) .. "a", c, c % 10)
    marks[#marks + 1] = plot.label("a" .. string.char(c), c, c % 7)
  end
  for _, text in ipairs(words) do
    marks.x, marks.y, marks.title = text, text .. text, text
    marks[1].title = text
    plot.figure(home .. "/words.png", { title = text, panels = { plot.panel(marks) } })
  end
  for _, name in ipairs{ "<touch run;#", "$x", "|touch run", "-e", "it's", "`touch run`" } do
    local path = home .. "/" .. name .. ".png"
    plot.figure(path, { panels = { plot.panel{ plot.points({ 1, 2 }, { 1, 2 }) } } })
    check.equal(folder.kind(path), "file")
  end
  check.equal(folder.kind(home .. "/run"), nil)
  check.raises(function() plot.panel{ key = "top; system 'x'" } end, "panel: key is .*, expected words")
  check.raises(function() plot.label("a", 1, 1, { align = "left; system 'x'" }) end, "label: align is ")
end)

-- ---- pictures ----

-- An exponential disc of scale h in SkyServer's colours, grey.
local function disc(h, peak)
  local image = blank{ 128, 128, 3 }
  for row = 1, 128 do
    for col = 1, 128 do
      local light = peak * math.exp(-math.sqrt((row - 64.5) ^ 2 + (col - 64.5) ^ 2) / h)
      local value = math.floor(255 / 8 * math.log(8 * light + math.sqrt(64 * light * light + 1)) + 0.5)
      for k = 1, 3 do image:set(value, row, col, k) end
    end
  end
  return image
end

check.case("the Petrosian radii of an exponential disc are 1.67 and 3.82 scale lengths", function()
  -- F(r) = 1 - (1 + r) e^-r; the Petrosian radius solves (F(1.25 R) - F(.8 R)) / (1.25^2 - .8^2) = .2 F(R):
  -- 3.546 (SciPy's brentq); the radii are where F is .5 and .9 of F(7.09).
  for _, h in ipairs{ 5, 7 } do
    local half, ninety = cutout.radii(disc(h, 4))
    check.near(half / h, 1.668, 0.05) -- a quarter of a pixel
    check.near(ninety / h, 3.816, 0.08) -- counts are whole: the outskirts' are 0
  end
end)

check.case("rescaling the whole frame changes nothing, and half of it doubles sizes", function()
  local image = disc(5, 4)
  check.equal(cutout.rescale(image, 128), image)
  local half, ninety = cutout.radii(disc(4, 4))
  local half2, ninety2 = cutout.radii(cutout.rescale(disc(4, 4), 64))
  check.near(half2 / half, 2, 0.06)
  check.near(ninety2 / ninety, 2, 0.06)
end)

check.case("sky level and noise of a picture are what it was made with, without a corner's star", function()
  local image, noise = blank{ 128, 128, 3 }, gal.randn({ 128, 128, 3 }, { rng = gal.rng(3) }):totable()
  for row = 1, 128 do
    for col = 1, 128 do
      for k = 1, 3 do image:set(math.floor(20 * k + 3 * k * noise[row][col][k] + 0.5), row, col, k) end
    end
  end
  for row = 1, 8 do for col = 1, 8 do image:set(255, row, col, 1) end end
  local v = cutout.numbers(image)
  for k = 1, 3 do
    check.near(v.level[k], 20 * k, 1.5 * k)
    check.near(v.noise[k], 3 * k, 0.5 * k)
  end
end)

check.case("labels that run into each other stand on end in their own panel, and no others", function()
  local function panel(labels)
    local ticks = {}
    for k, words in ipairs(labels) do ticks[k] = { k, words } end
    return plot.panel{ plot.points({ 1, 2, 3 }, { 1, 2, 3 }), xticks = ticks, xrange = { 0.5, 3.5 }, x = "a" }
  end
  local long = { "128x128x128", "64x64x64x64", "256x256x256" }
  local function turned(labels, size)
    local panels = { panel{ "x", "y", "z" }, panel(labels), panel{ "a", "b", "c" } }
    plot.figure(scratch.path "turned.png", { panels = panels, columns = 3, size = size })
    local list = {}
    for how in text("turned.gp"):gmatch "set xtics [^\n(]-(n?o?rotate %l+)" do list[#list + 1] = how end
    return list
  end
  check.equal(turned(long, "page"), { "norotate center", "rotate by", "norotate center" })
  check.equal(turned({ "1", "2", "3" }, "page"), { "norotate center", "norotate center", "norotate center" })
end)

check.case("show_survey draws a sheet and a page of a survey, alone and beside other cutouts", function()
  require("gal.mock").make{ out = home .. "/survey", n = 60, seed = 4, progress = false }
  local function shown(words)
    local command = scratch.experiment "show_survey" .. " --survey survey --n 8 --compare 12 " .. words
    return scratch.run(command)
  end
  check.equal((shown "--out alone"), 0)
  check.equal({ png_size "alone/cutouts.png" }, { 8 * 130, 128 + 2 + 24 })
  local code, said = shown "--out beside --real survey/cutouts"
  check.equal(code, 0)
  check.that(said:match "sky noise, red", said)
  check.equal({ png_size "beside/cutouts.png" }, { 8 * 130, 2 * 130 + 24 })
  for _, name in ipairs{
    "alone/survey.gp", "alone/survey.dat", "beside/profiles.png", "beside/survey.png",
  } do
    check.equal(folder.kind(home .. "/" .. name), "file")
  end
  code, said = shown "--out none --real /nowhere"
  check.that(code ~= 0 and said:match "/nowhere has no .jpg files", said)
end)

check.case("numbers of a logarithmic axis are written alike, and thousands have their commas", function()
  local function labels(low, high)
    local list = {}
    for k, tick in ipairs((require("gal.plot.ticks").of(low, high, 80, { points = 8, log = true }))) do
      list[k] = tick[2]
    end
    return list
  end
  check.equal(labels(1e-3, 10), { "10⁻³", "10⁻²", "10⁻¹", "1", "10¹" })
  check.equal(labels(0.01, 100), { "0.01", "0.1", "1", "10", "100" })
  local text = require "gal.base.text"
  check.equal({ text.thousands(999), text.thousands(2215), text.thousands(-1234567) },
    { "999", "2,215", "-1,234,567" })
end)

scratch.remove()
check.finish()
