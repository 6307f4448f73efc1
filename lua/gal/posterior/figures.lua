-- posterior/figures: pictures of posteriors: specifications for plot.figure, which the prompt shows by
-- itself.
local draws = require "gal.posterior.draws"
local errors = require "gal.base.errors"
local plot = require "gal.plot"
local galaxies = require "gal.posterior.galaxies"
local show = require "gal.plot.show"
local raise = errors.raise

local figures = {}

local DRAWS = 10000 -- of each posterior: contours of fewer are rough
local SETS = 6      -- the colours of plot.corner

--- figures.marked(spec, name): the specification as what the prompt draws into NAME.png and shows.
function figures.marked(spec, name)
  name = name:gsub("[^%w%.%-]+", "_")
  return show.figure and show.figure(spec, name) or spec
end

-- Draws {n, d} for a figure, and their weights, a list, or nil.
local function set_of(p, n)
  if not p.effective then return draws.of(p, n):select(1, 1):contiguous() end
  local w, list = draws.column(p, 1, 1).weights, {}
  for r = 1, p.n do list[r] = w[r - 1] end
  return draws.of(p):select(1, 1):contiguous(), list
end

-- How a posterior is called beside others: by its galaxy, by its run, and by what was done to it.
local function titles_of(list)
  local titles, ids, runs = {}, false, false
  for _, p in ipairs(list) do
    ids, runs = ids or p.id ~= list[1].id, runs or p.run ~= list[1].run
  end
  for k, p in ipairs(list) do
    local words = {}
    if ids then words[1] = p.id end
    if runs then words[#words + 1] = p.run:label() end
    if p.what or #words == 0 then words[#words + 1] = p.what or "posterior" end
    titles[k] = table.concat(words, ", ")
  end
  return titles
end

-- The posteriors that a corner plot is of: p and those of the option `with`, one or a list.
local function sets_of(p, with)
  local list = { p }
  if type(with) ~= "nil" then
    errors.list("corner", "with", with, "a posterior, or a list of them")
    for i, other in ipairs(getmetatable(with) == getmetatable(p) and { with } or with) do
      if getmetatable(other) ~= getmetatable(p) then
        raise("corner: with[%d] is %s, expected a posterior", i, errors.kind(other))
      end
      list[i + 1] = other
    end
  end
  return list
end

--- figures.of_sets(list, options, name): the corner plot of several posteriors of the same properties;
-- options as Posterior:corner has them.
function figures.of_sets(list, options, name)
  local o, sets, weights, weighted = {}, {}, {}, false
  if type(options) ~= "nil" then errors.list("corner", "options", options, "a table of options") end
  for key, value in pairs(options or {}) do o[key] = value end
  local path = o.path
  if type(path) ~= "nil" then errors.text("corner", "path", path, "the path of a figure") end
  local n = errors.integer("corner", "n", o.n or DRAWS, 1, 1e7)
  o.with, o.path, o.n = nil, nil, nil
  if #list > SETS then raise("corner: there are %d posteriors, expected at most %d", #list, SETS) end
  local theta, alike = table.concat(list[1].names, ", "), true
  for k, p in ipairs(list) do
    if table.concat(p.names, ", ") ~= theta then
      raise("corner: %s's posterior is of %s, expected %s", p.id, table.concat(p.names, ", "), theta)
    end
    local w
    sets[k], w = set_of(p, n)
    weights[k], weighted = w, weighted or w ~= nil
    alike = alike and p.id == list[1].id
  end
  o.names, o.weights = o.names or list[1].names, weighted and weights or nil
  if o.truths == nil and alike then o.truths = list[1].truth end
  if o.legend == nil and #list > 1 then o.legend = titles_of(list) end
  if o.prior == true then o.prior = list[1].run:training().theta end
  if o.prior == false then o.prior = nil end
  local spec = plot.corner(sets, o)
  if not path then return figures.marked(spec, name or "corner-" .. list[1].id) end
  return plot.figure(path, spec)
end

--- figures.corner(p, options): see Posterior:corner.
function figures.corner(p, options)
  if type(options) ~= "nil" then errors.list("corner", "options", options, "a table of options") end
  return figures.of_sets(sets_of(p, (options or {}).with), options)
end

local SHOWN = 30 -- cutouts beside each other, at most

--- figures.cutouts(part): the images of a part's galaxies, at most 30, side by side. Raises where there are
-- none.
function figures.cutouts(part)
  local few = #part.ids > SHOWN and part:thin(SHOWN) or part
  local images = galaxies.cutout(few)
  if not images then
    raise("cutout: there is no picture of %s: the run sees no images, and none lies in cutouts/ beside %s",
      few.ids[1], part.path or "its rows")
  end
  local panels = {}
  for k, id in ipairs(few.ids) do
    panels[k] = plot.panel{ plot.picture(images:select(1, k):contiguous()), title = id }
  end
  local columns = math.min(5, #panels)
  local side = #panels == 1 and 60 or math.min(174, 36 * columns)
  return figures.marked({
    panels = panels, columns = columns, size = { side, side * math.ceil(#panels / columns) / columns * 1.1 },
  }, "cutout-" .. few.ids[1])
end

--- figures.cutout(p): see Posterior:cutout.
function figures.cutout(p) return figures.cutouts(p.part) end

return figures
