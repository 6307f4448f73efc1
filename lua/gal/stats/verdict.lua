-- verdict: what the exchange test found, in words: a verdict of three grades, what is worst, what the test
-- could not see.
local text = require "gal.base.text"

local verdict = {}

--- Deviations of less than this many of a galaxy's own scatter are called small: .1 posterior deviations of a
-- shift, 8 to 10 % of a width.
verdict.SMALL = 0.1

local NONE, CLOSE, OFF = "no deviation found", "calibrated to within", "not calibrated"

-- Two digits, without a power of ten.
local function digits(v) return (v < 10 and "%.2g" or "%.0f"):format(v) end

-- "18 % too small" of a width of which the truth's spread is `ratio`.
local function too_small(ratio)
  local percent = 100 * math.abs(1 / ratio - 1)
  return ("%s %% too %s"):format(digits(percent), ratio > 1 and "small" or "large")
end

local WORDS = {}

function WORDS.shift(e)
  return ("%s is too %s by %.2g σ"):format(e.of, e.effect > 0 and "low" or "high", math.abs(e.effect))
end
function WORDS.width(e) return ("the width of %s is %s"):format(e.of, too_small(e.effect)) end
function WORDS.skew(e) return ("the posteriors of %s are skewed otherwise than the truth"):format(e.of) end
function WORDS.tails(e)
  return ("the tails of %s are too %s"):format(e.of, e.effect > 0 and "thin" or "thick")
end
function WORDS.correlation(e)
  local sign = e.effect > 0 and "small" or "large"
  return ("the correlation of %s and %s is too %s by %.2g"):format(e.of, e.with, sign, math.abs(e.effect))
end
WORDS["bias with"] = function(e)
  local format = "%s is too %s where %s is high, by %.2g σ for each of its deviations"
  return format:format(e.of, e.effect > 0 and "low" or "high", e.with, math.abs(e.effect))
end
WORDS["width with"] = function(e)
  local format = "the width of %s is %s where %s is a deviation above its mean, and the opposite below"
  return format:format(e.of, too_small(e.effect), e.with)
end

local RANKS = {
  HPD = {
    "the posteriors as a whole are too narrow, or off: truths lie where their density is low",
    "the posteriors as a whole are too wide: truths lie where their density is high",
  },
  ["other run"] = {
    "the other run's density is higher at these draws than at the truths: they miss them on its side",
    "the other run knows what this one doesn't: its density is higher at the truths than at these draws",
  },
  TARP = {
    "truths lie nearer to random points than draws do", "truths lie farther from random points than draws do",
  },
  ["TARP by regression"] = {
    "truths lie nearer to what a regression on the context says than draws do",
    "truths lie farther from what a regression on the context says than draws do",
  },
}

function WORDS.rank(e)
  if e.component == "shift" then return RANKS[e.of][e.effect > 0 and 2 or 1] end
  if e.of == "HPD" and e.component == "width" and e.effect > 0 then
    return "some posteriors are too narrow and others too wide: truths lie at both ends of their densities"
  end
  local of = e.of == "other run" and "density of the other run" or e.of == "HPD" and "density" or "distance"
  return ("the ranks by %s (%s) are not uniform: their %s"):format(of, e.of, e.component)
end

--- verdict.words(entry): what a statistic (stats.effects) says, as a clause.
function verdict.words(entry) return WORDS[entry.kind](entry) end

-- Within what shifts and widths of all properties lie, by the far ends of their intervals: σ and %.
local function within(list)
  local shift, width = 0, 0
  for _, e in ipairs(list) do
    for i = 1, 2 do
      if e.kind == "shift" then shift = math.max(shift, math.abs(e.interval[i])) end
      if e.kind == "width" then width = math.max(width, math.abs(100 * (1 / e.interval[i] - 1))) end
    end
  end
  return shift, width
end

--- verdict.of(found, least, level): the grade and the verdict, a sentence; found: effects.of's, least:
-- effects.least's.
function verdict.of(found, least, level)
  if found.p > level then
    local sentence = "%s; at this N nothing below %.2g σ or %.2g %% would be"
    return NONE, sentence:format(NONE, least.shift, least.width)
  end
  local worst = found.worst
  if worst.amplitude > verdict.SMALL then return OFF, ("%s: %s"):format(OFF, verdict.words(worst)) end
  local shift, width = within(found.list)
  return CLOSE, ("%s %.2g σ and %.2g %%: %s"):format(CLOSE, shift, width, verdict.words(worst))
end

--- verdict.blind(had): sentences on what a test could not see. had: {log_q, context, against, n, untested},
-- what it was given; untested: names of properties.
function verdict.blind(had)
  local list = {}
  local function add(condition, sentence)
    if condition then list[#list + 1] = sentence end
  end
  add(not had.against, "An input that the flow ignores leaves calibrated, wider posteriors; only the "
    .. "density of another run (against) or that input among the contexts shows it.")
  add(not had.context, "No context was given: biases that go with an input are averaged away.")
  add(not had.log_q, "No densities were given: whether posteriors are too narrow as a whole is told by "
    .. "their properties one by one only.")
  local skewed = "A residual that is skewed but has the right mean and width is not found in %d galaxies."
  add(had.n < 5000, skewed:format(had.n))
  for _, name in ipairs(had.untested) do
    add(true, ("%s has the same few values in all galaxies: it is not tested."):format(name))
  end
  add(true, "Everything here is a mean over these galaxies: faults of few of them, and galaxies unlike "
    .. "them, are not seen.")
  return list
end

-- "+0.31 (0.22 to 0.40)" and "-18 % (-21 to -14)": of a property's shift and width.
local function cells(shift, width)
  local function percent(ratio) return 100 * (1 / ratio - 1) end
  local s, w = shift or { effect = 0 / 0, interval = {} }, width or { effect = 0 / 0, interval = {} }
  return {
    shift and ("%+.2f σ (%+.2f to %+.2f)"):format(-s.effect, -s.interval[2], -s.interval[1]) or "",
    width and ("%+.0f %% (%+.0f to %+.0f)"):format(percent(w.effect), percent(w.interval[2]),
      percent(w.interval[1])) or "",
  }
end

local function property_table(c)
  local rows, at = {}, {}
  for _, e in ipairs(c.table) do
    if e.kind == "shift" or e.kind == "width" then
      if not at[e.of] then
        at[e.of] = { name = e.of }
        rows[#rows + 1] = at[e.of]
      end
      at[e.of][e.kind] = e
    end
  end
  for i, row in ipairs(rows) do
    local two = cells(row.shift, row.width)
    rows[i] = { row.name, two[1], two[2] }
  end
  return text.table(rows, { "property", "posteriors lie off by", "and are too wide by" })
end

-- The statistics of the largest |z|, at most `most`.
local function largest_table(c, most)
  local list, rows = {}, {}
  for i, e in ipairs(c.table) do list[i] = e end
  table.sort(list, function(a, b) return math.abs(a.z) > math.abs(b.z) end)
  for i = 1, math.min(most, #list) do
    local e = list[i]
    rows[i] = { e.name, ("%+.1f"):format(e.z), ("%.3f"):format(e.p_alone), ("%.3f"):format(e.p) }
  end
  return text.table(rows, { "largest of the statistics", "z", "p alone", "p of all" })
end

local function add_filled(lines, sentence)
  for _, line in ipairs(text.filled(sentence, 80)) do lines[#lines + 1] = line end
end

--- verdict.describe(c): the text of a test, within 80 columns.
function verdict.describe(c)
  local lines = {}
  add_filled(lines, c.verdict:sub(1, 1):upper() .. c.verdict:sub(2) .. ".")
  add_filled(lines, ("Exchange test of %d galaxies, %d draws each, %d statistics: p = %.3g."):format(c.n,
    c.draws, #c.table, c.p))
  if #c.left_out > 0 then add_filled(lines, ("%d galaxies more are left out."):format(#c.left_out)) end
  if c.warning then add_filled(lines, c.warning) end
  lines[#lines + 1] = "\n" .. property_table(c)
  lines[#lines + 1] = "\n" .. largest_table(c, 5) .. "\n"
  for _, atom in ipairs(c.atoms) do
    local sentence = "%s within %.2g of %.4g: %.1f %% of the truths, %.1f %% of the draws; not tested."
    local truths, draws = 100 * atom.truths, 100 * atom.draws
    add_filled(lines, sentence:format(atom.name, atom.tolerance, atom.value, truths, draws))
  end
  lines[#lines + 1] = "What this can't see:"
  for _, sentence in ipairs(c.blind) do
    for i, line in ipairs(text.filled(sentence, 78)) do
      lines[#lines + 1] = (i == 1 and "- " or "  ") .. line
    end
  end
  return table.concat(lines, "\n")
end

return verdict
