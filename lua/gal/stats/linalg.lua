-- Linear algebra of a few dimensions, in double precision and plain Lua: what the density estimators need
-- of a covariance. Products of data belong to the tensors.
-- A vector is {x1, …, xd}, a matrix a table of rows; nothing given is changed.

local errors = require "gal.base.errors"
local raise = errors.raise

local linalg = {}

-- Raises unless a is a matrix of numbers with rows of one length, of at least 1, or of so many columns;
-- returns how many rows and columns it has.
local function sizes(op, name, a, columns)
  errors.list(op, name, a, "a matrix, a list of rows")
  local width = columns or type(a[1]) == "table" and #a[1] or 0
  if #a == 0 then raise("%s: %s has no rows", op, name) end
  for i = 1, #a do
    local row = errors.list(op, ("%s[%d]"):format(name, i), a[i], "a row of numbers")
    if #row ~= width or width == 0 then
      local wanted = columns or width > 0 and width or "at least 1"
      raise("%s: %s[%d] has %d numbers, expected %s", op, name, i, #row, wanted)
    end
    for j = 1, width do
      if type(row[j]) ~= "number" then
        raise("%s: %s[%d][%d] is %s, expected a number", op, name, i, j, errors.kind(row[j]))
      end
    end
  end
  return #a, width
end

-- The same of a square matrix.
local function square(op, name, a)
  return (sizes(op, name, a, type(a) == "table" and #a or nil))
end

--- Mean {d} and covariance {d}{d} of rows {N}{d}. Divides by N - 1; N is at least 2.
function linalg.covariance(rows)
  local n, d = sizes("covariance", "rows", rows)
  if n < 2 then raise("covariance: rows has 1 row, expected at least 2") end
  local mean, covariance = {}, {}
  for i = 1, d do
    local sum = 0
    for k = 1, n do sum = sum + rows[k][i] end
    mean[i] = sum / n
  end
  for i = 1, d do
    covariance[i] = {}
    for j = 1, i do
      local sum = 0
      for k = 1, n do
        local row = rows[k]
        sum = sum + (row[i] - mean[i]) * (row[j] - mean[j])
      end
      covariance[i][j] = sum / (n - 1)
      covariance[j][i] = covariance[i][j]
    end
  end
  return mean, covariance
end

--- Lower triangular L {d}{d} with L L^T = a, zeros above the diagonal. Returns nil and the row where a stops
-- being positive definite: that variable is a combination of those before it.
function linalg.cholesky(a)
  local d, lower = square("cholesky", "a", a), {}
  for i = 1, d do
    lower[i] = {}
    for j = 1, d do lower[i][j] = 0 end
    for j = 1, i do
      local sum = a[i][j]
      for k = 1, j - 1 do sum = sum - lower[i][k] * lower[j][k] end
      if i == j then
        -- Rounding leaves about 1e-16 of the variance where nothing is left of it.
        if not (sum > 1e-12 * a[i][i]) then return nil, i end
        lower[i][i] = math.sqrt(sum)
      else
        lower[i][j] = sum / lower[j][j]
      end
    end
  end
  return lower
end

--- The inverse {d}{d} of a lower triangular matrix.
function linalg.invert_lower(lower)
  local d, inverse = square("invert_lower", "lower", lower), {}
  for i = 1, d do
    inverse[i] = {}
    for j = 1, d do inverse[i][j] = 0 end
    inverse[i][i] = 1 / lower[i][i]
    for j = 1, i - 1 do
      local sum = 0
      for k = j, i - 1 do sum = sum + lower[i][k] * inverse[k][j] end
      inverse[i][j] = -sum / lower[i][i]
    end
  end
  return inverse
end

--- The inverse of a symmetric positive definite matrix, or nil and the row as from cholesky.
function linalg.invert(a)
  local lower, row = linalg.cholesky(a)
  if not lower then return nil, row end
  local inverse = linalg.invert_lower(lower)
  return linalg.product(linalg.transpose(inverse), inverse)
end

--- ln det of a, from its Cholesky factor.
function linalg.log_determinant(lower)
  local sum = 0
  for i = 1, square("log_determinant", "lower", lower) do sum = sum + 2 * math.log(lower[i][i]) end
  return sum
end

--- a {m}{n} turned into {n}{m}.
function linalg.transpose(a)
  local t, rows, columns = {}, sizes("transpose", "a", a)
  for j = 1, columns do
    t[j] = {}
    for i = 1, rows do t[j][i] = a[i][j] end
  end
  return t
end

--- a {m}{k} times b {k}{n}.
function linalg.product(a, b)
  local y, inner, columns = {}, sizes("product", "b", b)
  for i = 1, sizes("product", "a", a, inner) do
    y[i] = {}
    for j = 1, columns do
      local sum = 0
      for k = 1, inner do sum = sum + a[i][k] * b[k][j] end
      y[i][j] = sum
    end
  end
  return y
end

--- a {m}{k} times x {k}.
function linalg.apply(a, x)
  sizes("apply", "x", { x })
  local y = {}
  for i = 1, sizes("apply", "a", a, #x) do
    local sum = 0
    for k = 1, #x do sum = sum + a[i][k] * x[k] end
    y[i] = sum
  end
  return y
end

-- The rows of a {k}{d}, each less its parts along those before it, and of length 1 (Gram & Schmidt); a row of
-- which nothing is left becomes an axis.
local function orthonormal(a)
  for i, row in ipairs(a) do
    for _ = 1, 2 do
      for j = 1, i - 1 do
        local along = 0
        for c = 1, #row do along = along + row[c] * a[j][c] end
        for c = 1, #row do row[c] = row[c] - along * a[j][c] end
      end
    end
    local length = 0
    for c = 1, #row do length = length + row[c] ^ 2 end
    for c = 1, #row do row[c] = length > 0 and row[c] / math.sqrt(length) or (c == i and 1 or 0) end
  end
  return a
end

-- linalg.apply without its checks.
local function image_of(a, x)
  local y = {}
  for i, row in ipairs(a) do
    local sum = 0
    for j = 1, #x do sum = sum + row[j] * x[j] end
    y[i] = sum
  end
  return y
end

--- linalg.leading(a, k): the k largest eigenvalues of a symmetric matrix {d}{d} without negative ones, and
-- their eigenvectors {k}{d}, by orthogonal iteration (Golub & Van Loan 2013, 7.3.2): 200 steps, so that
-- directions whose eigenvalues are within a few percent are found as a plane.
function linalg.leading(a, k)
  local d, vectors, values = square("leading", "a", a), {}, {}
  if type(k) ~= "number" or k % 1 ~= 0 or k < 1 or k > d then
    raise("leading: k is %s, expected a whole number from 1 to %d", errors.kind(k), d)
  end
  for i = 1, k do
    vectors[i] = {}
    for j = 1, d do vectors[i][j] = math.sin(i * j + i) end
  end
  vectors = orthonormal(vectors)
  for _ = 1, 200 do
    for i = 1, k do vectors[i] = image_of(a, vectors[i]) end
    vectors = orthonormal(vectors)
  end
  for i, vector in ipairs(vectors) do
    local image, sum = image_of(a, vector), 0
    for j = 1, d do sum = sum + vector[j] * image[j] end
    values[i] = sum
  end
  return values, vectors
end

return linalg
