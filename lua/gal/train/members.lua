-- train/members: trains an ensemble's members, flows of one kind on the same rows that differ by their seed.
-- Each is a run of fit in a folder of its own, OUT/member-k, and is stopped and resumed like one; when all
-- are done OUT/ensemble.json names them (flow/members.lua).
local C = require("ffi").C
local arguments = require "gal.base.options"
local errors = require "gal.base.errors"
local files = require "gal.train.files"
local named = require "gal.flow.members"
local path = require "gal.base.path"
local settings = require "gal.train.settings"
local raise = errors.raise

local members = {}

local folder_of = named.folder

--- members.refuse(out, resume, count): raises where the folder `out` can't take the runs of `count` members,
-- or of one flow (1): it holds other files, runs while resume is not true, or runs of the other kind.
function members.refuse(out, resume, count)
  local single = path.kind(out .. "/history.csv") or path.kind(out .. "/flow.safetensors")
  local several = path.kind(folder_of(out, 1)) or path.kind(out .. "/" .. named.FILE)
  if count == 1 and several then
    raise("fit: %s is '%s', which holds an ensemble; %s goes on with it, or name another folder",
      errors.option "out", out, errors.option "ensemble" .. " K")
  elseif count > 1 and single then
    raise("fit: %s is '%s', which holds the run of one flow; an ensemble takes another folder",
      errors.option "out", out)
  end
  if count == 1 or not several then return files.refuse(out, resume) end
  for k = 1, count do files.refuse(folder_of(out, k), resume) end
end

--- members.notes(out, count): files.notes of the run in `out`, or of the first of several members.
function members.notes(out, count)
  return files.notes(count == 1 and out or folder_of(out, 1))
end

-- Leaves a notice of trained members in `out` beyond `count`, which an ensemble of fewer leaves out.
local function tell_left(out, count)
  local left = count
  while path.kind(folder_of(out, left + 1) .. "/flow.safetensors") do left = left + 1 end
  if left == count then return end
  local which = left == count + 1 and folder_of(out, left) .. " stays and is"
    or ("%s to member-%d stay and are"):format(folder_of(out, count + 1), left)
  C.gal_leave_notice(("%s not in this ensemble of %d; %s takes in all"):format(which, count,
    errors.option "ensemble" .. " " .. left))
end

local OPTIONS = { "members", "make", "each" }
for _, name in ipairs(settings.OPTIONS) do
  if name ~= "flow" then OPTIONS[#OPTIONS + 1] = name end
end

-- Adds to flows, by seed, what make(seed) gave, before it is trained. Raises unless it is a flow of its own,
-- of the first one's properties and inputs; where it is none at all fit says so.
local function add_made(flows, seed, flow)
  if getmetatable(flow) ~= require("gal.flow").Flow then return end
  for other, known in pairs(flows) do
    if known == flow then
      raise("ensemble: make gives the same flow for the seeds %d and %d, expected a new one for each", other,
        seed)
    end
    for _, what in ipairs{ "theta", "context" } do
      local a, b = table.concat(known[what], ", "), table.concat(flow[what], ", ")
      if a ~= b then
        raise("ensemble: make(%d) gives a flow whose %s is %s, and make(%d) one whose %s is %s", other, what,
          a, seed, what, b)
      end
    end
  end
  flows[seed] = flow
end

--- train.ensemble{members = K, make = function(seed) return flow end, seed = 0, out =, …}: trains K flows on
-- the same rows, with the seeds seed, seed + 1, …: make(seed) gives a flow with fresh weights, and fit trains
-- it in out/member-k. Member k is the run that fit makes alone with that seed. Other options are train.fit's;
-- resume = true goes on with the member that was stopped, and more members may be asked for. each(k, folder)
-- is called before member k. Returns the ensemble as gal.open(out) does, with `members`, the runs that fit
-- returned. With K = 1 it is fit of make(seed), in `out` itself.
function members.train(given)
  local o = arguments.known("ensemble", given, OPTIONS)
  local count = arguments.integer("ensemble", o, "members", nil, 1, 1024)
  local seed = arguments.integer("ensemble", o, "seed", 0, 0, 2 ^ 53 - 1024)
  if count == nil then raise "ensemble: members is missing, expected an integer of at least 1" end
  errors.callable("ensemble", "make", o.make, "a function of the seed that makes a flow")
  if o.each ~= nil then errors.callable("ensemble", "each", o.each, "a function") end
  local fit = require("gal.train").fit
  local preset, flows = o.preset, {}
  local function options(k, out)
    local own = {}
    for name, value in pairs(o) do own[name] = value end
    own.members, own.make, own.each = nil, nil, nil
    own.seed, own.flow, own.out = seed + k - 1, o.make(seed + k - 1), out
    own.preset = preset
    add_made(flows, own.seed, own.flow)
    return own
  end
  if count == 1 then return fit(options(1, o.out)) end
  errors.text("ensemble", "out", o.out, "the folder for the members' runs")
  members.refuse(o.out, o.resume, count)
  -- Where a resuming call does not say how, new members are trained as the first one was.
  if preset == nil and o.resume then preset = files.preset(folder_of(o.out, 1)) end
  local runs, folders, device = {}, {}, nil
  for k = 1, count do
    folders[k] = folder_of(o.out, k)
    if o.each then o.each(k, folders[k]) end
    runs[k] = fit(options(k, folders[k]))
    if runs[k].stopped == "interrupt" then error(errors.interrupted, 0) end
    device = runs[k].flow:device()
  end
  tell_left(o.out, count)
  named.write(o.out, folders)
  local run = require("gal.run").open(o.out, { device = device })
  run.members = runs
  return run
end

return members
