-- blocks: what the tests of calibration are given, checked: galaxies with their draws, densities and
-- contexts, all at once or block by block.
local core = require "gal.tensor"
local errors = require "gal.base.errors"
local host = require "gal.stats.host"
local raise = errors.raise

local blocks = {}

--- blocks.LEAST: galaxies that a test is made of, at least.
blocks.LEAST = 100

--- blocks.POINTS: of curves of ranks: the first number that divides L + 1.
blocks.POINTS = { 100, 20 }

--- blocks.draws(where, draws): draws, if ranks among so many fall into the curves' bins evenly; else raises.
function blocks.draws(where, draws)
  local step = blocks.POINTS[#blocks.POINTS]
  if (draws + 1) % step ~= 0 then
    raise("%s: samples has %d draws a galaxy, expected a number one less than a multiple of %d: 199 or 999",
      where, draws, step)
  end
  return draws
end

--- blocks.names(where, name, given, d, word): given, a list of d names; where it is nil, "word 1" and so on.
function blocks.names(where, name, given, d, word)
  if given == nil then
    local list = {}
    for i = 1, d do list[i] = word .. " " .. i end
    return list
  end
  errors.list(where, name, given, "a list of names")
  if #given ~= d then raise("%s: %s has %d names, expected %d", where, name, #given, d) end
  for i = 1, d do errors.text(where, ("%s[%d]"):format(name, i), given[i]) end
  return given
end

--- blocks.sized(where, name, x, …): raises unless x is a float32 tensor of the shape …, or a list of numbers
-- where that is of one dimension; returns the list's numbers.
function blocks.sized(where, name, x, ...)
  local wanted = { ... }
  if #wanted == 1 and not core.is_tensor(x) then
    local values, n = host.numbers(where, name, x)
    if n ~= wanted[1] then raise("%s: %s has %d numbers, expected %d", where, name, n, wanted[1]) end
    return values
  end
  local shape = core.live(x, where, name).shape
  local fits = #shape == #wanted and x.dtype == "float32"
  for i = 1, #wanted do fits = fits and shape[i] == wanted[i] end
  if not fits then
    raise("%s: %s is %s %s, expected {%s} float32", where, name, x.dtype, core.shape_text(x),
      table.concat(wanted, ", "))
  end
end

-- The numbers of x, sized: an array from 0.
local function array(...)
  local values = blocks.sized(...)
  return values or (core.read((select(3, ...))))
end

--- blocks.left_out(where, list, n): the set of the numbers in a list, from 1 to n.
function blocks.left_out(where, list, n)
  local set = {}
  for i, k in ipairs(errors.list(where, "left_out", list or {}, "a list of galaxies' numbers")) do
    set[errors.integer(where, ("left_out[%d]"):format(i), k, 1, n)] = true
  end
  return set
end

-- Densities of the run and of the other one into b.
local function add_densities(where, b, block)
  if (block.log_q == nil) ~= (block.log_q_true == nil) then
    raise("%s: log_q and log_q_true go together, expected both or none", where)
  end
  if block.log_q ~= nil then
    b.log_q = array(where, "log_q", block.log_q, b.n, b.draws)
    b.log_q_true = array(where, "log_q_true", block.log_q_true, b.n)
  end
  if block.against ~= nil then
    errors.list(where, "against", block.against, "a table of log_q and log_q_true")
    if not b.log_q then raise("%s: against needs log_q and log_q_true of the run itself", where) end
    b.other = array(where, "against.log_q", block.against.log_q, b.n, b.draws)
    b.other_true = array(where, "against.log_q_true", block.against.log_q_true, b.n)
  end
end

--- blocks.OPTIONS: what a block may have.
blocks.OPTIONS = {
  "truth", "samples", "log_q", "log_q_true", "context", "against", "references", "left_out",
}

--- blocks.read(where, block): the arrays of a block of galaxies, counting from 0, and their sizes: {n, d,
-- draws, c, truth, samples, skip = the set of galaxies left out, from 1}, and log_q, log_q_true, other,
-- other_true, context, references where it has them.
function blocks.read(where, block)
  local n, d = host.matrix(where, "truth", block.truth)
  local draws = blocks.draws(where, (host.draws(where, "samples", block.samples, n, d)))
  local b = { n = n, d = d, draws = draws, c = 0, skip = blocks.left_out(where, block.left_out, n) }
  b.truth, b.samples = core.read(block.truth), core.read(block.samples)
  add_densities(where, b, block)
  if block.context ~= nil then
    local _, c = host.matrix(where, "context", block.context)
    b.c, b.context = c, array(where, "context", block.context, n, c)
  end
  if block.references ~= nil then b.references = array(where, "references", block.references, n, d) end
  return b
end

--- blocks.kind(b): what a block has, in words by which two are compared.
function blocks.kind(b)
  local function has(v) return v and "with" or "without" end
  return ("%d properties, %d draws, %d contexts, %s log_q, %s against, %s references"):format(b.d, b.draws,
    b.c, has(b.log_q), has(b.other), has(b.references))
end

-- Galaxies first … first + count - 1 of a tensor or a list.
local function cut(x, first, count)
  if core.is_tensor(x) then return x:narrow(1, first, count) end
  if type(x) ~= "table" then return x end
  local list = {}
  for k = 1, count do list[k] = x[first + k - 1] end
  return list
end

--- blocks.cut(whole, first, count): the block of these galaxies of a larger one.
function blocks.cut(whole, first, count)
  local block = { left_out = {} }
  for _, name in ipairs{ "truth", "samples", "log_q", "log_q_true", "context", "references" } do
    block[name] = cut(whole[name], first, count)
  end
  if whole.against then
    block.against = {
      log_q = cut(whole.against.log_q, first, count),
      log_q_true = cut(whole.against.log_q_true, first, count),
    }
  end
  for _, k in ipairs(whole.left_out or {}) do
    if k >= first and k < first + count then table.insert(block.left_out, k - first + 1) end
  end
  return block
end

--- blocks.pick(whole, list): the block of the galaxies of these numbers.
function blocks.pick(whole, list)
  local block = {}
  for _, name in ipairs{ "truth", "samples", "log_q", "log_q_true", "context", "references" } do
    block[name] = whole[name] and host.pick(whole[name], list)
  end
  if whole.against then
    block.against = {
      log_q = host.pick(whole.against.log_q, list), log_q_true = host.pick(whole.against.log_q_true, list),
    }
  end
  return block
end

--- blocks.check(where, whole): raises unless all that a block has is of the same galaxies; their number.
function blocks.check(where, whole)
  local n, d = host.matrix(where, "truth", whole.truth)
  local draws = blocks.draws(where, (host.draws(where, "samples", whole.samples, n, d)))
  local function check(name, x, ...)
    if x ~= nil then blocks.sized(where, name, x, ...) end
  end
  check("log_q_true", whole.log_q_true, n)
  check("log_q", whole.log_q, n, draws)
  check("references", whole.references, n, d)
  if whole.context ~= nil then
    local rows = host.matrix(where, "context", whole.context)
    if rows ~= n then raise("%s: context has %d rows, expected %d as truth has", where, rows, n) end
  end
  if whole.against ~= nil then
    errors.list(where, "against", whole.against, "a table of log_q and log_q_true")
    check("against.log_q_true", whole.against.log_q_true, n)
    blocks.sized(where, "against.log_q", whole.against.log_q, n, draws)
  end
  blocks.left_out(where, whole.left_out, n)
  return n
end

return blocks
