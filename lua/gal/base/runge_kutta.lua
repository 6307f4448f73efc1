-- runge_kutta: explicit Runge-Kutta methods: the coefficients of each, once, and a step for states of any
-- kind. A method is its tableau (Hairer, Norsett & Wanner 1993, II.1, definition 1.1): stage i is evaluated
-- at t + c_i h and y + h sum_j a_ij k_j, which gives k_i, and a step ends at y + h sum_i b_i k_i.
--
-- Three places step by these tableaux. M.step here serves gal.ode: any velocity, new values at every stage.
-- The op gal_flow_integrate is a kernel for the velocity nets of flows, where the time goes.
-- flow/composed.lua works by tensor ops for other nets; it writes into buffers of its own, so that a step can
-- be recorded as a program, and sums a_ij k_j before it multiplies by h, as the kernel does, so that the two
-- agree to a few last bits. M.step can do neither: a number has no buffer, and a tape keeps every stage.

local M = {}

-- "1/6 1/3 1" as a list of {numerator, denominator}, and as a list of numbers.
local function fractions(text)
  local exact, numbers = {}, {}
  for word in text:gmatch "%S+" do
    local numerator, denominator = word:match "^(-?%d+)/?(%d*)$"
    local p, q = tonumber(numerator), tonumber(denominator) or 1
    exact[#exact + 1], numbers[#numbers + 1] = { p, q }, p / q
  end
  return exact, numbers
end

-- The method of a tableau in fractions: name, stages, and a, b and c as numbers, a[i] with i - 1 entries at
-- most.
local function method(name, tableau)
  local m = { name = name, stages = #tableau.a, a = {}, exact = { a = {} } }
  m.exact.b, m.b = fractions(tableau.b)
  m.exact.c, m.c = fractions(tableau.c)
  for i, row in ipairs(tableau.a) do m.exact.a[i], m.a[i] = fractions(row) end
  return m
end

--- M.euler, M.midpoint: methods of first and second order.
M.euler = method("Euler", { c = "0", a = { "" }, b = "1" })
M.midpoint = method("midpoint", { c = "0 1/2", a = { "", "1/2" }, b = "0 1" })

--- M.rk4: the classical method of fourth order (Hairer, Norsett & Wanner 1993, II.1, table 1.2).
M.rk4 = method("RK4", { c = "0 1/2 1/2 1", a = { "", "1/2", "0 1/2", "0 0 1" }, b = "1/6 1/3 1/3 1/6" })

--- M.dormand_prince: the fifth-order weights of Dormand & Prince (1980; Hairer, Norsett & Wanner 1993, II.5,
-- table 5.2), six stages: the seventh serves their error estimate only.
M.dormand_prince = method("Dormand-Prince 5", {
  c = "0 1/5 3/10 4/5 8/9 1",
  a = {
    "", "1/5", "3/40 9/40", "44/45 -56/15 32/9", "19372/6561 -25360/2187 64448/6561 -212/729",
    "9017/3168 -355/33 46732/5247 49/176 -5103/18656",
  },
  b = "35/384 0 500/1113 125/192 -2187/6784 11/84",
})

-- y + h sum_j weights_j k_j, term by term; weights: fractions, so that h/6 is rounded once.
local function sum(y, h, weights, k, advance)
  for j = 1, #weights do
    local p, q = weights[j][1], weights[j][2]
    if p ~= 0 then y = advance(y, h * p / q, k[j]) end
  end
  return y
end

--- M.step(method, f, t, y, h, advance): y at t + h, one step from y at t. f(t, y) returns dy/dt; advance(y,
-- h, k) returns y + h k for the state's kind.
function M.step(m, f, t, y, h, advance)
  local exact, k = m.exact, {}
  for i = 1, m.stages do
    local c = exact.c[i]
    k[i] = f(t + h * c[1] / c[2], sum(y, h, exact.a[i], k, advance))
  end
  return sum(y, h, exact.b, k, advance)
end

return M
