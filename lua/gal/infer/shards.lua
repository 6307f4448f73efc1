-- infer/shards: a survey's galaxies in K shards, which processes, machines or the elements of a job array
-- work on side by side: shard k/K is a contiguous part of the rows, in a folder of its own,
-- OUT/shards/k-of-K, and goes on by itself where it was stopped. This file says which galaxies a shard has,
-- and checks that all shards together have each galaxy once; infer/folder.lua knows what is in a shard's
-- folder.
local errors = require "gal.base.errors"
local path = require "gal.base.path"
local raise = errors.raise

local shards = {}

--- shards.check(where, value): the shard of the text "k/K" as {k =, of = K}; a table of that form as it is.
-- Raises, naming the argument `shard`, where it is something else, or k is not from 1 to K.
function shards.check(where, value)
  local k, of
  if type(value) == "string" then
    k, of = value:match "^(%d+)/(%d+)$"
    k, of = tonumber(k), tonumber(of)
  elseif type(value) == "table" then
    k, of = value.k, value.of
  end
  local whole = type(k) == "number" and type(of) == "number" and k % 1 == 0 and of % 1 == 0
  if whole and k >= 1 and k <= of and of < 2 ^ 31 then return { k = k, of = of } end
  local found = type(value) == "table" and ("{k = %s, of = %s}"):format(tostring(k), tostring(of))
    or errors.kind(value)
  raise("%s: shard is %s, expected \"k/K\" with k from 1 to K, such as \"2/8\"", where, found)
end

--- shards.text(shard): "k/K".
function shards.text(shard) return ("%d/%d"):format(shard.k, shard.of) end

--- shards.range(where, shard, n): the first and the last of n rows that the shard has. Raises where it has
-- none.
function shards.range(where, shard, n)
  if shard.of > n then
    raise("%s: shard is %s, but there are %d galaxies, expected at most as many shards", where,
      shards.text(shard), n)
  end
  return math.floor((shard.k - 1) * n / shard.of) + 1, math.floor(shard.k * n / shard.of)
end

--- shards.folder(out, shard): the folder of the shard's files: out/shards/k-of-K.
function shards.folder(out, shard) return ("%s/shards/%d-of-%d"):format(out, shard.k, shard.of) end

-- ---- all of them together ----

-- The folders in out/shards and what read(folder) returns for each: a list of {folder, k, of, drawn, busy}.
local function list_of(where, out, read)
  local home, list = out .. "/shards", {}
  for _, place in ipairs(path.kind(home) == "folder" and path.list(home, "") or {}) do
    local found = path.kind(place) == "folder" and read(place)
    if found then
      local shard = shards.check(place, found.shard)
      list[#list + 1] = {
        folder = place, k = shard.k, of = shard.of, drawn = found.drawn, busy = found.busy,
      }
    end
  end
  if #list == 0 then raise("%s: no shards in %s: --shard 1/K, 2/K, … make them", where, home) end
  table.sort(list, function(a, b) return a.k < b.k or a.k == b.k and a.folder < b.folder end)
  return list
end

-- Raises where the shards are of different K, or one is there twice.
local function refuse_twice(where, list)
  for i, shard in ipairs(list) do
    local before = list[i - 1]
    if shard.of ~= list[1].of then
      raise("%s: %s is a part of %d and %s of %d: galaxies would come twice; remove the folders of one kind",
        where, list[1].folder, list[1].of, shard.folder, shard.of)
    end
    if before and before.k == shard.k then
      raise("%s: shard %s came twice, in %s and in %s: remove one of them", where, shards.text(shard),
        before.folder, shard.folder)
    end
  end
end

-- Words about shards that are missing, or have not all of their galaxies yet.
local function lacking(where, list, n)
  local by_number, words = {}, {}
  for _, shard in ipairs(list) do by_number[shard.k] = shard end
  for k = 1, list[1].of do
    local shard = by_number[k] or { k = k, of = list[1].of }
    local first, last = shards.range(where, shard, n)
    local rows = last - first + 1
    shard.first, shard.last = first, last
    if not shard.folder then
      words[#words + 1] = ("%s (galaxies %d to %d) is missing"):format(shards.text(shard), first, last)
    elseif shard.busy or shard.drawn < rows then
      words[#words + 1] = ("%s has %d of its %d galaxies%s"):format(shards.text(shard), shard.drawn, rows,
        shard.busy and " and is still being worked on" or "")
    elseif shard.drawn > rows then
      words[#words + 1] = ("%s has %d galaxies, expected %d"):format(shards.text(shard), shard.drawn, rows)
    end
  end
  return words
end

-- The most shards that a sentence names.
local NAMED = 6

--- shards.gather(where, out, n, read): all shards in out/shards, in order, each {folder, k, of, first, last}:
-- together they have each of n galaxies once. read(folder) looks into a shard's folder: it raises where that
-- was made of something else (another run, table or options), and returns {shard = "k/K", drawn = how many of
-- its galaxies are done, busy = whether somebody works on it}, or nil where nothing is. Raises, naming them,
-- where shards are missing, not finished, there twice, or of different K.
function shards.gather(where, out, n, read)
  local list = list_of(where, out, read)
  refuse_twice(where, list)
  local words = lacking(where, list, n)
  if #words == 0 then return list end
  local more = #words > NAMED and (", and %d more"):format(#words - NAMED) or ""
  local named = table.concat(words, ", ", 1, math.min(NAMED, #words))
  raise("%s: not every galaxy in %s has come yet: shard %s%s. The same command with --shard k/K --resume "
    .. "does the rest", where, out, named, more)
end

return shards
