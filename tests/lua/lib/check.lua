-- The test library: named cases, checks that print both values when they fail, and a count at the end.
-- A test file opens with `local check = dofile "lua/lib/check.lua"` (ctest runs it in tests/) and ends with
-- check.finish().
local check = {}

local passed, failed = 0, 0
-- Of a test that runs as two processes (halves.sh), this one's cases: 1, the odd ones, or 0.
local half, seen = tonumber(os.getenv "GALRUN_TEST_HALF" or ""), 0
-- GALRUN_TEST_TIMES=1 prints the seconds of each case.
local times = os.getenv "GALRUN_TEST_TIMES"

-- Numbers with all their digits, strings quoted, tables by content, tensors by shape and (short ones) values.
local function text(value, depth)
  depth = depth or 0
  if type(value) == "number" then return string.format("%.17g", value) end
  if type(value) == "string" then return string.format("%q", value) end
  if type(value) ~= "table" or depth > 4 then return tostring(value) end
  if type(value.totable) == "function" then return text(value:totable(), depth + 1) end
  local parts, count = {}, #value
  for i = 1, math.min(count, 12) do parts[i] = text(value[i], depth + 1) end
  if count > 12 then parts[#parts + 1] = "... " .. count .. " values" end
  for key, item in pairs(value) do
    if type(key) ~= "number" then parts[#parts + 1] = tostring(key) .. " = " .. text(item, depth + 1) end
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end
check.text = text

-- A tensor as a Lua value; anything else as it is.
local function plain(value)
  if type(value) == "table" and type(value.totable) == "function" then return value:totable() end
  return value
end

-- Raised by the checks, so that a case's failure is told from an error inside the code under test.
local function fail(level, format, ...)
  local message = string.format(format, ...)
  local info = debug.getinfo(level + 1, "Sl")
  error({ failure = string.format("%s:%d: %s", info.short_src, info.currentline, message) }, 0)
end

local function same(a, b)
  a, b = plain(a), plain(b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b or (a ~= a and b ~= b) end
  for key, value in pairs(a) do if not same(value, b[key]) then return false end end
  for key in pairs(b) do if a[key] == nil then return false end end
  return true
end

-- The first difference above tol: path, the two values; nil where there is none. A NaN is near a NaN only.
local function apart(a, b, tol, path)
  if type(a) == "number" and type(b) == "number" then
    if a == b or (a ~= a and b ~= b) or math.abs(a - b) <= tol then return nil end
    return path, a, b
  end
  if type(a) ~= "table" or type(b) ~= "table" then
    if a == b then return nil end
    return path, a, b
  end
  if #a ~= #b then return path .. " (length)", #a, #b end
  for i = 1, #a do
    local where, x, y = apart(a[i], b[i], tol, path .. "[" .. i .. "]")
    if where then return where, x, y end
  end
end

--- Runs fn as a test; name is a sentence that can be false. An error in fn fails the test and the file goes
-- on.
function check.case(name, fn)
  seen = seen + 1
  if half and seen % 2 ~= half then return end
  local began = times and require("ffi").C.gal_now()
  local ok, message = xpcall(fn, function(err)
    if type(err) == "table" and err.failure then return err.failure end
    return debug.traceback(tostring(err), 2)
  end)
  if times then io.stderr:write(("%8.2f s  %s\n"):format(require("ffi").C.gal_now() - began, name)) end
  if ok then
    passed = passed + 1
  else
    failed = failed + 1
    io.stderr:write("FAILED: ", name, "\n  ", (tostring(message):gsub("\n", "\n  ")), "\n")
  end
end

--- shared() --> of a test that runs as two processes, which this is, 1 or 0, nil of a whole one; from here on
-- the test itself decides which cases are whose.
function check.shared()
  local own = half
  half = nil
  return own
end

--- Fails unless condition holds; message says what was expected.
function check.that(condition, message)
  if not condition then fail(2, "%s", message or "the condition is false") end
end

--- Fails unless a and b are equal: numbers to the last bit (NaN equals NaN), tables and tensors by content.
function check.equal(a, b, what)
  if not same(a, b) then fail(2, "%s%s, expected %s", what and what .. ": " or "", text(a), text(b)) end
end

--- Fails where |a - b| > tol for any element; a, b are numbers, nested tables or tensors. tol defaults to
-- 1e-6.
function check.near(a, b, tol, what)
  tol = tol or 1e-6
  local where, x, y = apart(plain(a), plain(b), tol, "")
  if where then
    local difference = type(x) == "number" and type(y) == "number"
      and string.format(" (apart by %.3g)", math.abs(x - y)) or ""
    fail(2, "%s%s%s, expected %s within %.3g%s", what and what .. ": " or "",
      where ~= "" and where .. " is " or "", text(x), text(y), tol, difference)
  end
end

--- Fails unless fn raises an error whose text matches pattern (a Lua pattern). where = true: the error must
-- be reported at a line of fn itself, as "file:line: sentence"; where = "name.lua:12": at that place. Returns
-- the message.
function check.raises(fn, pattern, where)
  local ok, err = pcall(fn)
  if ok then fail(2, "no error, expected one matching %q", pattern) end
  local message = tostring(err)
  if pattern and not message:find(pattern) then
    fail(2, "the error is %q, expected one matching %q", message, pattern)
  end
  if where then
    local source, line = message:match("^(.-):(%d+): ")
    if where == true then
      local info = debug.getinfo(fn, "S")
      line = tonumber(line)
      if source ~= info.short_src or line < info.linedefined or line > info.lastlinedefined then
        fail(2, "the error %q is not reported at %s, lines %d to %d", message, info.short_src,
          info.linedefined, info.lastlinedefined)
      end
    elseif not (source and (source .. ":" .. line):sub(-#where) == where) then
      fail(2, "the error %q is not reported at %s", message, where)
    end
  end
  return message
end

--- Collects all garbage, so that gal.memory() counts only the memory that a program still holds. Compiled
-- traces go first: LuaJIT compiles a call into its caller together with the closure that it called, and so
-- keeps alive the tensors that this closure captures.
function check.collect()
  jit.flush()
  collectgarbage()
  collectgarbage() -- the first ran the finalisers, and what those dropped is garbage now
end

--- sized(usual, less): how much of something a test does: usual, and on a device other than the CPU less,
-- whose kernels are the specification and slow (tests/far).
function check.sized(usual, less) return require("gal").device() == "cpu" and usual or less end

--- bits(t): the bytes of a tensor's elements; two tensors with equal bits have equal values to the last bit.
function check.bits(t)
  local core, ffi = require "gal.tensor", require "ffi"
  local size = { float32 = 4, uint8 = 1, int64 = 8 }
  return ffi.string((core.read(t)), core.count(t) * size[t.dtype])
end

--- weights(flow): the bytes of all of a flow's parameters.
function check.weights(flow)
  local parts = {}
  for i, p in ipairs(flow:parameters()) do parts[i] = check.bits(p) end
  return table.concat(parts)
end

--- Prints "N passed, N failed" and ends the process, with 1 where a test failed.
function check.finish()
  io.stdout:write(string.format("%d passed, %d failed\n", passed, failed))
  io.stdout:flush()
  -- the state closed: what is left then is a leak, which AddressSanitizer reports
  os.exit(failed == 0 and 0 or 1, true)
end

return check
