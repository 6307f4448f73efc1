-- gal.data, surveys from tables: columns, units, which rows fall out and why, the split that never moves. The
-- tables are written here, so that every number is known.
local check = dofile "lua/lib/check.lua"
local gal = require "gal"
local data = require "gal.data"

local scratch = dofile "lua/lib/scratch.lua"
local made = 0
local function write(text, extension)
  made = made + 1
  return scratch.write(scratch.path("table" .. made .. (extension or ".csv")), text)
end

local MAGS = "modelMag_u,modelMag_g,modelMag_r,modelMag_i,modelMag_z"
local DUST = "extinction_u,extinction_g,extinction_r,extinction_i,extinction_z"
local HEADER = "objID,lgm_tot_p50,sfr_tot_p50,oh_p50,d4000_n,a_v," .. MAGS .. "," .. DUST .. "\n"
local GOOD = "10.1,0.2,8.9,1.3,0.5,19,18,17.5,17.2,17,0.4,0.3,0.2,0.15,0.1"

local function row(id, values) return id .. "," .. (values or GOOD) .. "\n" end

check.case("the five properties and dereddened magnitudes come out, ids to the last digit", function()
  local s = data.open(write(HEADER .. row "1237648702973411443"
    .. row("1237648702973411444", "9,-1,8.5,1.1,0,20,19,18,17,16,0,0,0,0,0")))
  check.near(s.theta, { { 10.1, 0.2, 8.9, 1.3, 0.5 }, { 9, -1, 8.5, 1.1, 0 } }, 1e-6)
  check.near(s.context, { { 18.6, 17.7, 17.3, 17.05, 16.9 }, { 20, 19, 18, 17, 16 } }, 2e-6)
  check.equal(s.ids, { "1237648702973411443", "1237648702973411444" })
  check.equal(s.names.theta, data.theta)
  check.equal(s.rows, { 1, 2 })
end)

check.case("dereddened = false leaves magnitudes as they are, as does a table without extinction", function()
  local s = data.open(write(HEADER .. row "1"), { dereddened = false })
  check.near(s.context, { { 19, 18, 17.5, 17.2, 17 } }, 1e-6)
  check.that(s:describe():find "not corrected for Galactic extinction", "the description says so")
  local bare = data.open(write("objID,oh_p50,modelMag_r\n1,8.9,17.5\n"),
    { theta = { "oh_p50" }, context = { "modelMag_r" } })
  check.near(bare.context, { { 17.5 } }, 1e-6)
  check.that(bare:describe():find "no extinction column", "the description says so")
end)

check.case("rows fall out for -9999, an empty cell, NaN and infinity, each counted once", function()
  local text = HEADER .. row "1" .. row("2", (GOOD:gsub("8.9", "-9999"))) .. row("3", (GOOD:gsub("8.9", "")))
    .. row("4", (GOOD:gsub("8.9,1.3", "nan,-9999")))
    .. row("5", (GOOD:gsub("1.3", "-9999"))) .. row("6", (GOOD:gsub("17.5", "inf")))
      .. row("7", (GOOD:gsub("0.15", "-9999")))
  local s = data.open(write(text))
  check.equal(s.ids, { "1" })
  check.equal(s.dropped, {
    { reason = "without oh_p50", count = 3 }, { reason = "without d4000_n", count = 1 },
    { reason = "without modelMag_r", count = 1 },
    { reason = "without extinction_i", count = 1 },
  })
  check.equal(s:losses(),
    "6 of 7 rows dropped: 3 without oh_p50, 1 without d4000_n, 1 without modelMag_r, 1 without extinction_i"
    .. " (a row counts once, under the first that holds)")
end)

check.case("a constant column and one whose logarithm is meant are told", function()
  local function told(values, name)
    local t = {}
    for k = 1, 40 do t[k] = ("%d,%s,%.3f"):format(k, values(k), 9 + math.sin(k)) end
    local s = data.open(write("objID,flux,mass\n" .. table.concat(t, "\n") .. "\n"), {
      theta = { "mass" }, context = { name or "flux" },
    })
    return s.suspects
  end
  check.equal(told(function() return "3.5" end), { "flux is 3.5 in all 40 galaxies: it tells nothing" })
  local list = told(function(k) return ("%.4g"):format(10 ^ (k / 10)) end)
  check.equal(#list, 1)
  check.that(list[1]:find "^flux is positive and runs from 1.26 to 7.94e%+03: .*log10%(flux%)", list[1])
  check.equal(told(function(k) return ("%.4g"):format(10 ^ (k / 10)) end, "log10(flux)"), {})
  check.equal(#told(function(k) return ("%.4g"):format(10 ^ (k / 20)) end), 1)
  check.equal(told(function(k) return ("%.4g"):format(1 + k) end), {})
  check.equal(told(function(k) return ("%.4g"):format(-math.log(1 - (k - 0.5) / 40)) end), {}) -- exponential
end)

check.case("a value far from all others that occurs several times is reported, and no other", function()
  -- 400 galaxies; a share of them has r = mark, a_v is 0 in half of them, and one galaxy's is odd.
  local function dust(k) return k == 9 and 4 or k % 2 == 0 and 0 or 0.4 + 0.1 * math.sin(2 * k) end
  local function suspects(mark, share, options)
    local lines = {}
    for k = 1, 400 do
      local r = k * share % 1 < share and k > 1 and mark or ("%.3f"):format(17.5 + math.sin(k))
      lines[k] = row(("%d"):format(k), (
        GOOD:gsub("17.5", r):gsub("0.5,19", ("%.5f,19.2"):format(dust(k)))))
    end
    local s, list = data.open(write(HEADER .. table.concat(lines)), options), {}
    for _, sentence in ipairs(s.suspects) do -- the other magnitudes are constants
      if not sentence:find "it tells nothing" then list[#list + 1] = sentence end
    end
    check.equal(#s.suspects - #list, 4)
    s.suspects = list
    return s
  end
  for _, share in ipairs { 0.02, 0.3, 0.7 } do
    for _, mark in ipairs { "99", "-999" } do
      for _, options in ipairs { {}, { missing = "mask" } } do
        local s = suspects(mark, share, options)
        check.equal(#s.suspects, 1, mark .. " in " .. share)
        check.that(s:describe():find("suspicious: modelMag_r is " .. mark:gsub("%-", "%%-")
          .. " in %d+ galaxies, half of the others are within 1[67]"), s:describe())
      end
    end
  end
  check.equal(suspects("20", 0.3).suspects, {})
  check.equal(suspects("-9999", 0.3).suspects, {})
  check.equal(suspects("-9999", 0.3, { missing = "mask" }).suspects, {})
  check.equal(suspects("17.5", 1).suspects, {})
  check.equal(data.open(write(HEADER .. row "1")).suspects, {})
end)

-- The suspects of a survey of n galaxies whose column y is value(k), and what else makeup gives it: theta,
-- context, more columns {name = function(k)}.
local function odd(n, value, makeup)
  makeup = makeup or {}
  local names, columns, lines = { "y", "m" }, { value, function(k) return 17 + math.sin(3 * k) end }, {}
  for name, column in pairs(makeup.columns or {}) do
    names[#names + 1], columns[#columns + 1] = name, column
  end
  for k = 1, n do
    local cells = { ("%d"):format(k) }
    for i, column in ipairs(columns) do
      local cell = column(k)
      cells[i + 1] = type(cell) == "string" and cell or ("%.17g"):format(cell)
    end
    lines[k] = table.concat(cells, ",") .. "\n"
  end
  local path = write("objID," .. table.concat(names, ",") .. "\n" .. table.concat(lines))
  return data.open(path,
    { theta = makeup.theta or { "y" }, context = makeup.context or { "m" }, missing = makeup.missing })
end
local function smooth(k) return 9 + math.sin(k) end
-- The k at which `with` stands instead of smooth's value.
local function some(with) return function(k) return with[k] or smooth(k) end end

check.case("one or two values that alone set a column's scale are told, a faint one is not", function()
  local function told(with) return odd(120, some(with)).suspects[1] or "nothing" end
  check.that(told{ [7] = 1e20 }:find("^suspicious: y is 1e%+20 in one galaxy, half of the others are within "
    .. "8.%d+ to 9.%d+: it alone sets the scale, a deviation of 9.09e%+18, 0.7%d+ without$"),
    told{ [7] = 1e20 })
  check.that(told{ [7] = 99 }:find "^suspicious: y is 99 in one galaxy", "a mark that stands once")
  check.that(told{ [7] = 1e9, [9] = -2e9 }:find(
    "^suspicious: y is as far off as %-2e%+09 in 2 galaxies, .*: they alone set the scale"), "two")
  check.that(told{ [7] = 3.4e38 }:find "it alone sets the scale", "the largest number")
  check.that(told{ [7] = 99, [8] = 99, [9] = -99, [20] = -99 }
    :find "^suspicious: y is as far off as %-99 in 4 galaxies", "marks that stand twice")
  check.equal(told{ [7] = 14 }, "nothing")
  -- A tail has no end that is apart from it, and its values repeat: counts.
  local z = gal.randn({ 2000 }, { rng = gal.rng(6) }):totable()
  check.equal(odd(2000, function(k) return math.ceil(math.exp(1.5 * z[k])) end).suspects, {})
end)

check.case("each of several marks in a column is told with its count", function()
  local marks = {}
  for k = 1, 40 do marks[k] = k <= 20 and 99 or k <= 35 and -99 or 999 end
  local said = odd(100, some(marks)).suspects[1]
  check.that(said:find "^suspicious: y is 99 in 20 galaxies, %-99 in 15, 999 in 5, half", said)
end)

check.case("a property of few values has no density, and that is told by name", function()
  local function steps(count) return function(k) return k % count / 10 end end
  check.equal(odd(96, steps(4)).suspects, { "y has 4 different values among 96 galaxies: it has no density; "
    .. "Delta log p and D_KL mean nothing of it" })
  check.equal(odd(96, smooth, { context = { "grid" }, columns = { grid = steps(4) } }).suspects, {})
  check.equal(odd(96, steps(48)).suspects, {})
end)

check.case("values beyond single precision are told, and are not called missing", function()
  local s = odd(60, function(k) return 10 ^ (37 + k % 5 / 2) end)
  local reason = "with y beyond what single precision holds (3.4e38; take its logarithm, or other units)"
  check.equal(s.dropped, { { reason = reason, count = 12 } })
  check.raises(function() odd(40, function(k) return (1 + k / 40) * 1e-50 end) end,
    "y is below what single precision holds %(1.2e%-38%) in all 40 rows: multiply it by a power of ten")
  local few = odd(60, function(k) return k < 4 and k * 1e-50 or smooth(k) end)
  check.that(few.suspects[1]:find "^y is below what single precision holds %(1.2e%-38%) in 3 of the 60 rows",
    few.suspects[1])
  -- A context column that is masked has gaps, and values that are none.
  s = odd(60, smooth, { context = { "x" }, missing = "mask",
    columns = { x = function(k) return k == 5 and 1e40 or k == 6 and -9999 or k % 7 end } })
  check.equal({ #s.ids, s.names.context }, { 59, { "x", "x_missing" } })
end)

check.case("values that single precision makes few are told, with the offset to subtract", function()
  local function seconds(k) return 1.6e9 + 200 * math.sin(k) end
  local said = odd(120, seconds).suspects[1]
  check.that(said:find "^y has 120 different values in the table and %d in single precision", said)
  check.that(said:find "subtract an offset %(1599990000%)$" or said:find "offset %(1600000000%)$", said)
  said = odd(120, smooth, { context = { "t" }, columns = { t = seconds } }).suspects[1]
  check.that(said:find "^t has 120 ", said)
  local function id(k) return ("12376487029734%05d"):format(k) end
  check.raises(function() odd(50, id) end, "y has 50 different values in the table and 1 in single precision")
  check.equal(odd(120, function(k) return 16777216 + k * 1000 end).suspects, {})
  check.equal(odd(120, function(k) return 59000.123 + k end).suspects, {})
end)

check.case("a property among its own predictors is refused, whatever the case of its letters", function()
  local function refused(theta, context, sentence)
    check.raises(function() odd(5, smooth, { theta = theta, context = context }) end, sentence, true)
  end
  refused({ "y" }, { "m", "Y" }, "Y is among its own predictors: it stands in theta and in context")
  refused({ "y", "Y" }, { "m" }, "theta names Y twice")
  refused({ "y" }, { "m", "M" }, "context names M twice")
end)

check.case("a property that other columns give is told before training, by both names", function()
  local function m(k) return 17 + math.sin(3 * k) end
  local function n(k) return math.cos(5 * k) end
  local function related(value, makeup)
    for _, sentence in ipairs(odd(80, value, makeup).suspects) do
      if sentence:find "^suspicious" then return sentence end
    end
    return "nothing"
  end
  local function double(k) return ("%.3f"):format(2.5 * m(k) - 4) end
  check.equal(related(double),
    "suspicious: y is 2.5 times m less 4 in all of 80 rows: there is nothing to infer of it")
  local function z(k) return -3 * smooth(k) end
  check.that(related(smooth, { theta = { "y", "z" }, columns = { z = z } })
    :find "^suspicious: z is %-3 times y in all", "two properties")
  check.that(related(function(k) return 10 ^ m(k) end):find "^suspicious: y is a function of m in", "10^m")
  check.that(related(function(k) return m(k) - n(k) end, { context = { "m", "n" }, columns = { n = n } })
    :find "^suspicious: y is a combination of m, n in all", "m - n")
  check.equal(related(function(k) return m(k) + 0.05 * math.sin(11 * k) end), "nothing")
  -- Columns that share a mark for missing values are not alike by it.
  local function marked(column) return function(k) return k % 9 == 0 and 99999 or column(k) end end
  local s = odd(80, marked(smooth), { context = { "n", "m" }, columns = { n = marked(n) } })
  check.that(#s.suspects == 2 and s.suspects[2]:find "^suspicious: n is 99999 in 8", s:describe())
end)

check.case("a column of vectors is refused in a sentence wherever one value is expected", function()
  local rows = {}
  for k = 1, 8 do rows[k] = { k, 2 * k } end
  local y, ids = gal.arange(8):totable(), {}
  for k = 1, 8 do ids[k] = { "a" .. k, "b" .. k } end
  local path = write("", ".fits")
  gal.table{ y = y, m = y, pair = rows, extinction_r = rows, modelMag_r = y, who = ids }:save(path)
  for _, case in ipairs{
    { "pair", { theta = { "pair" }, context = { "m" } } },
    { "pair", { theta = { "y" }, context = { "pair" } } },
    { "extinction_r", { theta = { "y" }, context = { "modelMag_r" } } },
  } do
    check.raises(function() data.open(path, case[2]) end,
      (': column "%s" holds 2 numbers a row, expected one'):format(case[1]), true)
  end
  check.raises(function() data.open(path, { theta = { "y" }, context = { "m" }, id = "who" }) end,
    "the column who has 2 values a row, expected an id", true)
  local one = write("", ".fits")
  gal.table{ y = { y }, m = { y } }:save(one)
  check.raises(function() data.open(one, { theta = { "y" }, context = { "m" } }) end,
    "holds 8 numbers a row, expected one: the table has one row, as IDL's mwrfits writes", true)
end)

check.case("what is odd in arrays is told with the file and the column, as in a table", function()
  local theta, x, values = {}, {}, {}
  for k = 1, 60 do
    theta[k] = k <= 12 and 99 or smooth(k)
    x[k] = { math.cos(2 * k), k % 6 == 0 and -9999 or math.sin(5 * k) }
    values[k] = { 1.6e9 + k, math.cos(k) }
  end
  local a, b = scratch.path "theta.npy", scratch.path "x.npy"
  gal.save(a, gal.tensor(theta))
  gal.save(b, gal.tensor(x))
  local s = data.open_arrays{ theta = a, x = b }
  check.that(s.suspects[1]:find("suspicious: " .. a .. " is 99 in 12 rows, half", 1, true), s.suspects[1])
  check.that(s.suspects[2]:find("suspicious: column 2 of " .. b .. " is -9999 in 10 rows, half", 1, true),
    s.suspects[2])
  check.equal(#data.open_arrays{ x = b }.suspects, 1)
  local memory = data.arrays(gal.tensor(theta):reshape{ 60, 1 }, gal.tensor(x), { theta = { "mass" } })
  check.that(memory.suspects[1]:find "mass is 99 in 12 rows", memory.suspects[1])
  check.that(memory.suspects[2]:find "context_2 is %-9999 in 10 rows", memory.suspects[2])
  -- NumPy's float64: the file has the digits, the tensor has not.
  local ffi = require "ffi"
  local header = "{'descr': '<f8', 'fortran_order': False, 'shape': (60, 2), }"
  local flat = ffi.new("double[120]")
  for k = 1, 60 do flat[2 * k - 2], flat[2 * k - 1] = values[k][1], values[k][2] end
  local function doubles()
    return write("\147NUMPY\1\0\118\0" .. header .. (" "):rep(117 - #header) .. "\n"
      .. ffi.string(flat, 960), ".npy")
  end
  local found = data.open_arrays{ x = doubles() }.suspects
  check.that(found[1]:find "^column 1 of .*%.npy has 60 different values in the table and %d in",
    found[1])
  flat[11] = 1e39
  check.raises(function() data.open_arrays{ x = doubles() } end,
    "row 6, column 2 is 1e%+39, beyond what single precision holds %(3.4e38%)", true)
end)

check.case("zero is a value", function()
  local s = data.open(write(HEADER .. row("1", (GOOD:gsub("0.5", "0")))))
  check.equal(s.theta:get(1, 5), 0)
end)

check.case("A_V is 1.086 tauv_cont where the table has no a_v, and stays missing where that is", function()
  local s = data.open(write("objID,tauv_cont,modelMag_r\n1,0.5,17\n2,-9999,17\n"),
    { theta = { "a_v" }, context = { "modelMag_r" } })
  check.near(s.theta, { { 0.543 } }, 1e-6)
  check.equal(s.dropped, { { reason = "without a_v", count = 1 } })
end)

check.case("any columns serve as theta and context, whatever the case of their names", function()
  local s = data.open(write("name,Z,H_Alpha\nECO1,0.02,300\nECO2,0.03,-12.5\n"),
    { theta = { "h_alpha" }, context = { "z" } })
  check.near(s.theta, { { 300 }, { -12.5 } }, 1e-5)
  check.near(s.context, { { 0.02 }, { 0.03 } }, 1e-8)
  check.equal(s.ids, { "ECO1", "ECO2" })
end)

check.case("missing = mask fills context with its column's mean, and drops rows without theta", function()
  local path = write("objID,oh_p50,modelMag_r,modelMag_i,extinction_r\n"
    .. "1,8.9,18.2,17,0.2\n2,8.8,-9999,17,0.2\n3,-9999,17,17,0\n4,8.7,16.5,17,0.5\n")
  local options = { theta = { "oh_p50" }, context = { "modelMag_r", "modelMag_i" }, missing = "mask" }
  local s = data.open(path, options)
  check.equal(s.names.context, { "modelMag_r", "modelMag_i", "modelMag_r_missing" })
  local mean = (18 + 17 + 16) / 3
  check.near(s.context, { { 18, 17, 0 }, { mean, 17, 1 }, { 16, 17, 0 } }, 2e-6)
  check.near(s.fill.modelMag_r, mean, 1e-6)
  check.equal(s.dropped, { { reason = "without oh_p50", count = 1 } })
  -- A flow that was trained so asks for its own columns and its own filling, of any table.
  options.fill = { modelMag_i = 15 }
  local other = data.open(path, options)
  check.equal(other.names.context, { "modelMag_r", "modelMag_i", "modelMag_i_missing" })
  check.equal(#other.ids, 2)
end)

-- The paper's sample: each row breaks one cut only.
local PAPER = "objID,bptclass,petroMag_r,lgm_tot_p50,sfr_tot_p50,oh_p50,d4000_n,a_v," .. MAGS .. ","
  .. DUST .. "\n"
local function galaxy(id, changes)
  local v = { bptclass = 1, petro = 17.7, lgm = 10, sfr = 0, oh = 8.9, dn = 1.3, av = 0.5, u = 19, g = 18,
    r = 17.5, i = 17.2, z = 17 }
  for key, value in pairs(changes or {}) do v[key] = value end
  return table.concat({ id, v.bptclass, v.petro, v.lgm, v.sfr, v.oh, v.dn, v.av, v.u, v.g, v.r, v.i, v.z, 0.4,
    0.3, 0.2, 0.15, 0.1 }, ",") .. "\n"
end

check.case("sample = paper keeps the paper's galaxies, and counts the others by reason", function()
  local text = PAPER .. galaxy(1) .. galaxy(2, { petro = 17.97 }) .. galaxy(3, { av = 0 })
    .. galaxy(4, { bptclass = 4 }) .. galaxy(5, { bptclass = -9999 })
    .. galaxy(6, { r = 16 }) .. galaxy(7, { petro = 17.99 }) .. galaxy(8, { petro = -9999 })
      .. galaxy(9, { lgm = 0 }) .. galaxy(10, { sfr = -10 })
    .. galaxy(11, { oh = -9999 }) .. galaxy(12, { dn = 0.79 }) .. galaxy(13, { av = -0.1 })
      .. galaxy(14, { u = 25 }) .. galaxy(15, { r = -9999 })
  local s = data.open(write(text), { sample = "paper" })
  check.equal(s.ids, { "1", "2", "3" })
  local reasons = {}
  for _, entry in ipairs(s.dropped) do reasons[entry.reason] = entry.count end
  check.equal(reasons, {
    ["with bptclass other than 1"] = 2, ["not fainter than modelMag_r = 16"] = 2,
    ["not brighter than petroMag_r - extinction_r = 17.78"] = 2,
    ["with lgm_tot_p50 not above 0"] = 1, ["with sfr_tot_p50 not above -10"] = 1,
    ["with oh_p50 not above 0"] = 1, ["with d4000_n outside 0.8 to 3"] = 1,
    ["with a_v below 0"] = 1, ["with modelMag_u outside 10 to 25"] = 1,
  })
end)

check.case("the split is 80/10/10, disjoint, and depends on the id alone", function()
  local lines, reversed = {}, {}
  for k = 1, 5000 do lines[k] = ("12376487029%08d,%g,%g\n"):format(k * 7, 8 + k % 100 / 100, 17 + k % 7) end
  for k = 1, 2500 do reversed[k] = lines[5001 - 2 * k] end
  local options = { theta = { "oh_p50" }, context = { "modelMag_r" } }
  local s = data.open(write("objID,oh_p50,modelMag_r\n" .. table.concat(lines)), options)
  local t = data.open(write("objID,oh_p50,modelMag_r\n" .. table.concat(reversed)), options)
  local part, sum = {}, 0
  for name, fraction in pairs{ train = 0.8, valid = 0.1, test = 0.1 } do
    local split = s:split(name)
    sum = sum + #split.ids
    check.near(#split.ids / 5000, fraction, 0.02, name)
    for _, id in ipairs(split.ids) do part[id] = name end
    check.equal(split.theta:size(1), #split.ids)
  end
  check.equal(sum, 5000)
  for _, name in ipairs{ "train", "valid", "test" } do
    for _, id in ipairs(t:split(name).ids) do check.equal(part[id], name, id) end
  end
  local test = s:split "test"
  check.equal(test.theta:get(3, 1), s.theta:get(test.rows[3], 1))
end)

check.case("the split is what it was when the first flows were trained", function()
  check.equal({ data.part "1", data.part "5", data.part "8", data.part "1237648702973411443" },
    { "train", "test", "valid", "train" })
end)

check.case("folds take every n-th galaxy in the file's order", function()
  local s = data.arrays(gal.arange(10):reshape{ 10, 1 }, gal.zeros{ 10, 1 })
  local rest, held = s:fold(1, 5)
  check.equal(held.theta, { { 2 }, { 7 } })
  check.equal(rest.theta, { { 1 }, { 3 }, { 4 }, { 5 }, { 6 }, { 8 }, { 9 }, { 10 } })
  check.equal(held.ids, { "2", "7" })
end)

check.case("a survey may be a folder with catalog.csv", function()
  local folder = scratch.path "folder"
  scratch.run "mkdir folder"
  check.raises(function() data.open(folder) end,
    "no catalogue in the folder .*: expected catalog.fits or catalog.csv", true)
  scratch.write(folder .. "/catalog.csv", HEADER .. row "1")
  check.equal(data.open(folder .. "/").ids, { "1" })
end)

check.case("an id that names two rows is refused, unless all but one of them fell out", function()
  local path = write(HEADER .. row "7" .. row "5" .. row "8" .. row "5" .. row "7"
    .. row("8", (GOOD:gsub("8.9", "-9999"))))
  check.raises(function() data.open(path) end,
    ": objID 5 is in row 2 and in row 4 %(2 rows repeat an id%); expected each galaxy once", true)
  check.equal(data.open(write(HEADER .. row "8" .. row("8", (GOOD:gsub("8.9", "-9999"))))).ids, { "8" })
end)

check.case("equal ids are equal galaxies, but not in mock surveys of different seeds", function()
  local paths = { write(HEADER .. row "1") }
  for _, seed in ipairs{ 5, 6, 6 } do
    paths[#paths + 1] = write("", ".fits")
    require("gal.mock").galaxies{ n = 20 + #paths, seed = seed }:save(paths[#paths])
  end
  local function same(a, b) return data.same_ids(paths[a], paths[b]) end
  check.equal({ same(2, 3), same(3, 2), same(3, 4), same(1, 2), same(2, 1),
    data.same_ids("gone.fits", paths[2]) }, { false, false, true, true, true, true })
end)

-- ---- the parts of data.open ----

local open = require "gal.data.open"

check.case("a row falls out under the first cut that it fails", function()
  local function odd(k) return k % 2 == 0 end
  local function large(k) return k > 4 end
  local rows, dropped = open.rows_of(9, { { "that are odd", odd }, { "of at most 4", large } })
  check.equal(rows, { 6, 8 })
  check.equal(dropped, { { reason = "that are odd", count = 5 }, { reason = "of at most 4", count = 2 } })
  check.equal({ open.rows_of(2, {}) }, { { 1, 2 }, {} })
end)

check.case("a matrix has the columns in order, then a mark for each filled one, and is dereddened", function()
  local a = { name = "a", values = { 1, -9999, 3, 4 } }
  local b = { name = "b", values = { 10, 20, 1 / 0, 40 }, extinction = { 1, 2, 3, 4 } }
  local x, names = open.matrix_of({ a, b }, { 4, 2, 3 }, { b = 7 })
  check.equal(names, { "a", "b", "b_missing" })
  check.equal(x:device(), "cpu")
  check.equal(x, { { 4, 36, 0 }, { 0 / 0, 18, 0 }, { 3, 7, 1 } })
  check.equal({ open.matrix_of({}, { 1 }, {}) }, { nil, {} })
end)

check.case("each galaxy gets its own image, and damaged ones are listed by their ids", function()
  local sets = require "gal.images"
  local pixels = gal.arange(0, 3):reshape{ 4, 1, 1, 1 }
  local found = { images = sets.of(pixels), row = { x = 3, y = 1, z = 4 },
    problem = { w = "w.jpg is empty" } }
  local s = { ids = { "y", "z" } }
  open.attach_images(s, { "x", "w", "y", "z" }, found, { crop = 2 })
  check.equal(s.images:batch(1, 2), { { { { 0 } } }, { { { 3 } } } })
  check.equal(s.damaged, { { id = "w", problem = "w.jpg is empty" } })
  check.equal(s.prepared, { crop = 2, bin = 1, resize = 0 })
end)

check.case("cutouts that several galaxies share are told with their count and whose they are", function()
  local same = require("gal.data.cutouts").same
  local ids, hashes = {}, {}
  for k = 1, 20 do ids[k], hashes[k] = "g" .. k, k <= 12 and "00" or k <= 14 and "01" or ("%x"):format(k) end
  check.equal(same(ids, hashes), {
    "suspicious: 12 of 20 galaxies have the very same cutout (g1, g2, g3, ...)",
    "suspicious: 2 of 20 galaxies have the very same cutout (g13, g14)",
  })
  check.equal(same({ "a", "b" }, { "1", "2" }), {})
  check.equal(same({ "a", "b" }, nil), {})
end)

check.case("what is wrong with a survey is said in one sentence", function()
  check.raises(function() data.open "nowhere/at/all" end,
    "no survey at nowhere/at/all: expected a table", true)
  check.raises(function() data.open(write(HEADER)) end, "the table has no rows", true)
  check.raises(function() data.open(write(HEADER .. row "1"), { theta = { "oh_p5" } }) end, "oh_p5.*oh_p50")
  check.raises(function() data.open(write(HEADER .. row "1" .. row("2", (GOOD:gsub("8.9", "metal"))))) end,
    "oh_p50.*metal.*line 3")
  check.raises(function() data.open(write(HEADER .. row("1", (GOOD:gsub("8.9", "-9999"))))) end,
    "no galaxy is left: 1 of 1 rows dropped: 1 without oh_p50", true)
  check.raises(function() data.open(write(HEADER .. row "1"), { sample = "papre" }) end,
    'sample is "papre", expected "none" or "paper"', true)
  check.raises(function() data.open(write(HEADER .. row "1"), { missing = "fill" }) end,
    'missing is "fill", expected "drop" or "mask"', true)
  check.raises(function() data.open(write(HEADER .. row "1"), { sample = "paper" }) end, "bptclass")
  local function refused(options, sentence)
    check.raises(function() data.open(write(HEADER .. row "1"), options) end, sentence, true)
  end
  refused({ context = { "r", "m\233" } }, "open: context%[2%] is \"m\233\", which is not UTF%-8")
  check.raises(function() data.open(scratch.write(scratch.path "caf\233.csv", HEADER .. row "1")) end,
    "the file's name is not UTF%-8", true)
  local is_utf8 = require("gal.base.text").is_utf8
  check.equal({ is_utf8 "log M⊙ é𝄞", is_utf8 "\195a\169", is_utf8 "\169", is_utf8 "\192\175" },
    { true, false, false, false })
  refused({ contex = { "z" } }, "open: unknown option 'contex', expected 'context'?")
  refused({ images = { crops = 2 } }, "open: unknown option 'crops', expected 'crop'?")
  refused({ images = true }, "open: images is the boolean true, expected a table of options")
  refused({ dereddened = "no" }, 'open: dereddened is the string "no", expected true or false')
  local seen = data.open(write(HEADER .. row "1")):choices()
  check.raises(function() data.reopen(seen, { surve = "x.csv" }) end,
    "reopen: unknown option 'surve', expected 'survey'?", true)
  check.raises(function() data.open_arrays{ y = "x.npy" } end, "open_arrays: unknown option 'y'", true)
  check.raises(function() data.open_arrays() end, "open_arrays: x is nil, expected the path", true)
  check.raises(function() data.arrays(gal.zeros{ 2, 1 }, nil, { thetas = {} }) end,
    "arrays: unknown option 'thetas', expected 'theta'?", true)
  check.raises(function() data.open(write(HEADER .. row "1")):split "tset" end, 'the part is "tset"', true)
end)

scratch.remove()
check.finish()
