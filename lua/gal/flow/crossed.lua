-- flow/crossed: the densities of an ensemble's member at the other members' draws, with steps = "auto". The
-- first draws of each, a galaxy's pilots, are solved with the fewest steps and with twice as many; where that
-- settles the galaxy, its other draws are solved once, in a number of steps that follows; where it does not,
-- each draw is solved by itself, as in flow:log_prob, since errors there are of a few draws, which the pilots
-- need not be among: of three untrained nets of weights four times the usual the mixture was up to .02 nats
-- off where the pilots, solved in ever more steps, said 3e-5.
local counts = require "gal.flow.counts"
local density = require "gal.flow.density"
local gal = require "gal"
local solver = require "gal.flow.solver"
local tiles = require "gal.flow.tiles"

local crossed = {}

-- How many pilots of other members a member has of a galaxy at least, whatever number of draws is asked for,
-- so that its steps, and with them the bits of its densities, don't depend on that.
local PILOTS = 32

--- crossed.pilots(members): how many of each member's draws of a galaxy are pilots, the first.
function crossed.pilots(members) return math.ceil(PILOTS / (members - 1)) end

-- The rms of numbers {k, m} over the m, a list {k}.
local function rms(x) return (x * x):mean(2):sqrt():totable() end

-- The draws theta {k, others, m, d} of the galaxies in the list, standardised, and what the member sees of
-- them.
local function shown(job, theta, list)
  local k = theta:size(1)
  local own = counts.some(theta:reshape{ k, theta:count() / k }, list):reshape{ -1, job.flow.d }
  return tiles.standard(job.flow, own), counts.some(job.features, list)
end

-- How many steps each galaxy needs, by its pilots theta {k, others, m, d}, and the error that is to be
-- expected, rms over draws: lists {k}, nil of galaxies that are not settled; then ln q at the pilots, {k,
-- others, m}, per standardised unit.
local function plan(job, theta)
  local k, others, m = unpack(theta.shape)
  local z, features = shown(job, theta)
  local n, steps, errors, fine = solver.first, {}, {}, z:clone()
  local coarse = density.solved(job, z, features, others * m, n)
  fine = density.solved(job, fine, features, others * m, 2 * n)
  for galaxy, difference in ipairs(rms(density.apart(coarse, fine):reshape{ k, others * m })) do
    steps[galaxy], errors[galaxy] = solver.count(difference, n, job.tolerance)
  end
  return steps, errors, (tiles.log_normal(fine.noise) + fine.integral):reshape{ k, others, m }
end

-- ln q at the draws theta {k, others, m, d} of the galaxies in the list, each in steps[galaxy] steps: {#list,
-- others, m}.
local function planned(job, theta, list, steps)
  local _, others, m = unpack(theta.shape)
  local noise, features = shown(job, theta, list)
  local own = {}
  for i, galaxy in ipairs(list) do own[i] = steps[galaxy] end
  local integral, cost = counts.carry(job.flow, noise, features, others * m, own, {
    density = true, backward = true, progress = job.progress,
  })
  job.cost = job.cost + cost
  return (tiles.log_normal(noise) + integral:reshape{ -1 }):reshape{ #list, others, m }
end

-- The same, each draw by itself; then the most steps that one of a galaxy's took and the rms of their errors,
-- lists {#list}.
local function one_by_one(job, theta, list)
  local _, others, m = unpack(theta.shape)
  local z, features = shown(job, theta, list)
  local values, steps, errors = density.points(job, z, features, others * m)
  local shape, host = { #list, others * m }, { device = "cpu" }
  local function tensor(numbers) return gal.tensor(numbers, shape, host) end
  return values:reshape{ #list, others, m }, tensor(steps):max(2):totable(), rms(tensor(errors))
end

--- crossed.log_prob(flow, theta {k, others, m, d}, features, pilots, options): log densities, {k, others, m},
-- in theta's units, at m draws of each of `others` flows, the first of which are pilots; then of each galaxy
-- the most steps and the error to be expected, rms over draws, lists {k}, and rows times evaluations.
-- features {k, width}: what the flow sees of the galaxies. options: tolerance, and progress, which is called
-- with rows done.
function crossed.log_prob(flow, theta, features, pilots, options)
  local job = {
    flow = flow, features = features, steps = "auto", tolerance = options.tolerance, cost = 0,
    progress = options.progress,
  }
  local k, others, m = unpack(theta.shape)
  local steps, errors, values = plan(job, theta:narrow(3, 1, pilots))
  local easy, hard, parts, order = {}, {}, {}, {}
  for galaxy = 1, k do table.insert(steps[galaxy] and easy or hard, galaxy) end
  if #easy > 0 then
    parts[1] = counts.some(values, easy)
    if m > pilots then
      local rest = planned(job, theta:narrow(3, pilots + 1, m - pilots), easy, steps)
      parts[1] = gal.cat({ parts[1], rest }, 3)
    end
  end
  if #hard > 0 then
    job.progress = tiles.part(options.progress, #easy * others * m)
    local found, most, off = one_by_one(job, theta, hard)
    for i, galaxy in ipairs(hard) do steps[galaxy], errors[galaxy] = most[i], off[i] end
    parts[#parts + 1] = found
  end
  for i, galaxy in ipairs(easy) do order[galaxy] = i end
  for i, galaxy in ipairs(hard) do order[galaxy] = #easy + i end
  values = (#parts == 1 and parts[1] or gal.cat(parts, 1):rows(order)):reshape{ -1 }
  local z = tiles.standard(flow, theta:reshape{ -1, flow.d })
  if flow.floor then values = flow.floor:under(values, z) end
  return (values - tiles.log_scale(flow, z)):reshape{ k, others, m }, steps, errors, job.cost
end

return crossed
