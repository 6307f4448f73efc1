-- sweep/halving: decides which trial goes on, by asynchronous successive halving (Li et al. 2020, algorithm
-- 2, ASHA): a free worker promotes a trial that is among the best 1/eta of those that have finished its rung,
-- from the highest rung down, and begins a new trial where there is none. Nothing here knows files or
-- processes.
local halving = {}

--- halving.rungs(least, most, eta): the budgets of the rungs, each eta times the one before: whole numbers
-- from about `least`, and not below it, to `most` exactly.
function halving.rungs(least, most, eta)
  local list, b = {}, most
  while b >= least and b >= 1 do
    table.insert(list, 1, math.floor(b + 0.5))
    b = b / eta
  end
  return list
end

-- The trials that have finished a rung, best first: {number, score}. states[k][rung] = {state =, score =}.
local function finished(states, rung)
  local list = {}
  for k, state in ipairs(states) do
    local r = state[rung]
    if r and r.state == "done" then list[#list + 1] = { number = k, score = r.score } end
  end
  table.sort(list, function(a, b)
    if a.score ~= b.score then return a.score > b.score end
    return a.number < b.number
  end)
  return list
end

--- halving.jobs(states, last, eta): the jobs that a free worker may begin, a list of {trial number, rung},
-- the first to begin in front. states {trials}: for each trial a table by rung of {state = "done" or
-- "failed", score} where the rung is over, and of {state = "begun"} where it was begun and is not over. last:
-- the number of the last rung. Where nothing else is left to do and no trial has reached the last rung, the
-- best of the highest one goes on all the same, so that a sweep of few trials has a result.
function halving.jobs(states, last, eta)
  local jobs, has, begun = {}, {}, 0
  local function add(number, rung)
    local key = number .. "." .. rung
    if not has[key] then jobs[#jobs + 1], has[key] = { number, rung }, true end
  end
  for k, state in ipairs(states) do -- cut off: what was paid for comes first
    for rung = last, 1, -1 do
      if state[rung] and state[rung].state == "begun" then
        add(k, rung)
        begun = begun + 1
      end
    end
  end
  local highest
  for rung = last, 1, -1 do
    local list = finished(states, rung)
    if #list > 0 and not highest then highest = { rung, list } end
    for place = 1, rung < last and math.floor(#list / eta) or 0 do
      local k = list[place].number
      if not states[k][rung + 1] then add(k, rung + 1) end
    end
  end
  for k, state in ipairs(states) do
    if not state[1] then add(k, 1) end
  end
  if #jobs == 0 and begun == 0 and highest and highest[1] < last then
    for _, entry in ipairs(highest[2]) do
      if not states[entry.number][highest[1] + 1] then
        add(entry.number, highest[1] + 1)
        break
      end
    end
  end
  return jobs
end

return halving
