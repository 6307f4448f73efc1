-- surveys: whether two surveys are alike in what is observed of their galaxies, and in what they differ. A
-- classifier is trained to tell them apart (Lopez-Paz & Oquab 2017); what it can't be: told why. A zero point
-- that is off and another population look the same to it.
local components = require "gal.stats.components"
local errors = require "gal.base.errors"
local gal = require "gal"
local host = require "gal.stats.host"
local linalg = require "gal.stats.linalg"
local logistic = require "gal.stats.logistic"
local options_of = require "gal.base.options"
local rarity = require "gal.stats.rarity"
local raise = errors.raise

local surveys = {}

local RIDGE = 1
local FOLDS = 5

-- ---- telling them apart ----

-- Rows of a and then of b as features {rows, p} of their principal components in deviations, and p.
local function features(a, b)
  local both = gal.cat({ a, b }, 1)
  local mean, directions, _, variances = components.of(both)
  local k, inverse = directions:size(2), {}
  for i = 1, k do inverse[i] = 1 / math.sqrt(variances[i]) end
  local y = (both - mean):matmul(directions) * gal.tensor(inverse, { device = "cpu" })
  return logistic.features(host.read(y), both:size(1), k)
end

-- The area under the curve of hits over false alarms (Hanley & McNeil 1982) of scores with labels 1 and -1:
-- how often a row of label 1 has the higher score, ties half.
local function area(scores, labels)
  local lists = { {}, {} }
  for i, v in ipairs(scores) do table.insert(lists[labels[i] > 0 and 1 or 2], v) end
  if #lists[1] == 0 or #lists[2] == 0 then return 0.5 end
  for _, list in ipairs(lists) do table.sort(list) end
  local up, low, high, sum = lists[1], 1, 1, 0
  for _, v in ipairs(lists[2]) do
    while low <= #up and up[low] < v do low = low + 1 end
    if high < low then high = low end
    while high <= #up and up[high] == v do high = high + 1 end
    sum = sum + (#up - high + 1) + (high - low) / 2
  end
  return sum / (#up * #lists[2])
end

-- The mean area over the folds by weights that `fit(fold)` gives. folds: lists of rows, from 0.
local function cross_validated(x, p, label, folds, fit)
  local sum = 0
  for f, rows in ipairs(folds) do
    local weights, scores, labels = fit(f), {}, {}
    for i, k in ipairs(rows) do scores[i], labels[i] = logistic.score(x, k, p, weights), label[k] end
    sum = sum + area(scores, labels)
  end
  return sum / #folds
end

-- Rows outside of a fold.
local function others(folds, f)
  local rows = {}
  for g, list in ipairs(folds) do
    for _, k in ipairs(g ~= f and list or {}) do rows[#rows + 1] = k end
  end
  return rows
end

-- The first step of Newton's method from weights of 0, as a function of (labels, fold): its matrix does not
-- depend on the labels, so that it costs little to repeat with others.
local function first_step(x, p, folds)
  local inverses = {}
  for f in ipairs(folds) do
    local hessian, flat = {}, host.new(p * p)
    for _, k in ipairs(others(folds, f)) do
      for i = 0, p - 1 do
        for j = 0, i do flat[i * p + j] = flat[i * p + j] + x[k * p + i] * x[k * p + j] / 4 end
      end
    end
    for i = 1, p do
      hessian[i] = {}
      for j = 1, i do hessian[i][j], hessian[j][i] = flat[(i - 1) * p + j - 1], flat[(i - 1) * p + j - 1] end
      hessian[i][i] = hessian[i][i] + RIDGE
    end
    inverses[f] = assert(linalg.invert(hessian))
  end
  return function(label, f)
    local gradient = host.new(p)
    for g, rows in ipairs(folds) do
      for _, k in ipairs(g ~= f and rows or {}) do
        for j = 0, p - 1 do gradient[j] = gradient[j] + label[k] / 2 * x[k * p + j] end
      end
    end
    local step, weights = linalg.apply(inverses[f], host.list(gradient, p)), host.new(p)
    for j = 1, p do weights[j - 1] = step[j] end
    return weights
  end
end

-- How often labels at random give an area as large as these, both by the classifier's first step: p.
local function permutation_p(x, p, label, folds, rng, permutations)
  local step, rows, count = first_step(x, p, folds), #label + 1, 0
  local function reached(labels)
    return cross_validated(x, p, labels, folds, function(f) return step(labels, f) end)
  end
  local found = reached(label)
  for _ = 1, permutations do
    errors.poll()
    local mixed = {}
    for to, from in ipairs(host.shuffled(rows, rng)) do mixed[to - 1] = label[from - 1] end
    if reached(mixed) >= found then count = count + 1 end
  end
  return (1 + count) / (1 + permutations)
end

-- ---- in what they differ ----

-- Median of x {n}, and its standard error by the central half of the values.
local function middle(x)
  local values, n = host.sorted(x)
  local width = host.quantile(values, n, 0.75) - host.quantile(values, n, 0.25)
  -- Of normal values: pi / 2 times the variance of the mean; the central half is 1.349 deviations wide.
  return host.quantile(values, n, 0.5), math.sqrt(math.pi / 2 / n) * width / 1.349
end

-- A magnitude's name without its band: "modelMag_" of modelMag_u, "" of u; nil for others.
local function stem(name) return name:match "^(.*[_%-])%a$" or name:match "^%a$" and "" end

-- What the columns differ in: {name, difference (b - a, of medians), error, z}, the most significant first.
local function differences(a, b, names)
  local list = {}
  local function add(name, x, y)
    local m, e = middle(x)
    local n, f = middle(y)
    local error_ = math.sqrt(e ^ 2 + f ^ 2)
    local z = error_ > 0 and (n - m) / error_ or 0
    list[#list + 1] = { name = name, difference = n - m, error = error_, z = z }
  end
  for i, name in ipairs(names) do
    add(name, a:select(2, i), b:select(2, i))
    for j = i + 1, #names do
      if stem(name) and stem(name) == stem(names[j]) then
        add(name .. " - " .. names[j], a:select(2, i) - a:select(2, j), b:select(2, i) - b:select(2, j))
      end
    end
  end
  table.sort(list, function(p, q)
    if math.abs(p.z) ~= math.abs(q.z) then return math.abs(p.z) > math.abs(q.z) end
    return p.name < q.name
  end)
  return list
end

-- ---- in words ----

local SIGNIFICANT, TOLD = 3, 3 -- standard errors; differences that are named

local function words(found)
  local head = ("AUC %.3f, p = %.3g, of %d and %d galaxies: "):format(found.auc, found.p, found.n, found.m)
  if found.p > 0.01 then return head .. "the two surveys can't be told apart" end
  local named = {}
  for _, d in ipairs(found.differences) do
    if math.abs(d.z) >= SIGNIFICANT and #named < TOLD then
      named[#named + 1] = ("%s by %+.3f (%.0f standard errors)"):format(d.name, d.difference, math.abs(d.z))
    end
  end
  local what = #named > 0 and table.concat(named, ", ") or "in no median, but in widths or relations"
  return head .. "the two surveys differ: " .. what
    .. ". A real difference between the populations looks the same as an error of the photometry"
end

-- What is compared: the context of a survey, or a tensor; with its names.
local function observed(name, x, given)
  if gal.is_tensor(x) then return x, given end
  errors.list("surveys", name, x, "a survey (gal.data) or a tensor {N, d}")
  if not gal.is_tensor(x.context) then
    raise("surveys: %s has no context, expected what was observed of its galaxies", name)
  end
  return x.context, given or type(x.names) == "table" and x.names.context or nil
end

-- Names {d} of the columns.
local function names_of(given, d)
  local names = {}
  if given then errors.list("surveys", "names", given, "a list of names") end
  if given and #given ~= d then raise("surveys: names has %d names, expected %d", #given, d) end
  for i = 1, d do
    names[i] = given and errors.text("surveys", ("names[%d]"):format(i), given[i]) or "column " .. i
  end
  return names
end

--- compare.surveys(a, b[, options]): whether two surveys are alike in what is observed of their galaxies: a
-- and b are surveys (gal.data) or their contexts, tensors {N, d} and {M, d}. Returns {auc, p, n, m,
-- differences, words}. auc: how often a classifier, a logistic regression on the principal components and
-- their products, tells a galaxy of b from one of a that it was not trained on, over 5 folds; .5 where they
-- are alike. p: how often it would be that large for galaxies dealt to a and b at random: exact, by
-- permutations, in which the classifier is the first step of its fit. differences: of each column, and of
-- each pair of magnitudes, such as modelMag_u - modelMag_g, a list of {name, difference (medians, b - a),
-- error, z}, the most significant first. words: a sentence. A zero point that is off and a real difference
-- between the populations look the same. options: names {d}, most (2,000 galaxies of each, evenly chosen),
-- permutations (199), seed (1).
function surveys.surveys(a, b, options)
  local o = options_of.known("surveys", options, { "names", "most", "permutations", "seed" })
  local names
  a, names = observed("a", a, o.names)
  b, names = observed("b", b, names)
  local _, d = host.matrix("surveys", "a", a)
  host.matrix("surveys", "b", b, d)
  if d == 0 then raise "surveys: a has no columns" end
  names = names_of(names, d)
  local most = options_of.integer("surveys", o, "most", 2000, 4 * FOLDS)
  local permutations = options_of.integer("surveys", o, "permutations", 199, 1, 1e6)
  local rng = gal.rng(options_of.integer("surveys", o, "seed", 1, -2 ^ 53, 2 ^ 53))
  a, b = rarity.thin(a:to "cpu", most), rarity.thin(b:to "cpu", most)
  local n, m = a:size(1), b:size(1)
  if math.min(n, m) < 4 * FOLDS then
    raise("surveys: a has %d galaxies and b %d, expected at least %d", n, m, 4 * FOLDS)
  end
  for i, x in ipairs{ a, b } do
    local values, count = host.read(x)
    for k = 0, count - 1 do
      if values[k] - values[k] ~= 0 then
        raise("surveys: %s has no finite number in row %d", i == 1 and "a" or "b", math.floor(k / d) + 1)
      end
    end
  end
  local x, p = features(a, b)
  local folds, label = {}, {}
  for f = 1, FOLDS do folds[f] = {} end
  for place, k in ipairs(host.shuffled(n + m, rng)) do table.insert(folds[place % FOLDS + 1], k - 1) end
  for k = 0, n + m - 1 do label[k] = k < n and -1 or 1 end
  local auc = cross_validated(x, p, label, folds, function(f)
    return logistic.fit(x, p, label, others(folds, f), RIDGE)
  end)
  local found = {
    auc = auc, n = n, m = m, differences = differences(a, b, names),
    p = permutation_p(x, p, label, folds, rng, permutations),
  }
  found.words = words(found)
  return found
end

return surveys
