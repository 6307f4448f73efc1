-- Tensors as Lua tables {h = gal_tensor *, scope, node, requires, base, version}, and where their memory
-- lives: making a handle, scopes, staleness, and when Lua has to collect garbage for C's sake.
--   scope     the scope or program in whose arena it lives, false outside; using it after that closed raises
--   node      the op and arguments that made it, where a gradient may flow back (tape.lua); false for leaves
--   requires  a leaf that gradients are wanted of
--   base      the tensor whose storage a view shares, false for tensors of their own
--   version   how often the storage was written in place (kept in base for views)
-- All tensors have one metatable, which tensor/init.lua fills.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local default_device = require("gal.base.device").default
local collect = require "gal.base.collect"
local C = ffi.C
local raise, check = errors.raise, errors.check
local due, again = collect.due, collect.again

require("gal.base.host").shelter()
local M = {}
local Tensor = {}
M.Tensor = Tensor

local current = false -- the innermost scope that is open, as {closed, outer}
local recorded = false -- the scope of the program that is being recorded
local out = ffi.new("gal_tensor *[1]")

local free = C.gal_tensor_free

local function wrap(base)
  local h = out[0]
  local scope = current
  if h.in_arena ~= 1 then
    ffi.gc(h, free)
    scope = base and base.scope
    due()
  end
  return setmetatable({
    h = h, scope = scope, node = false, requires = false, base = base and (base.base or base), version = 0,
  }, Tensor)
end

-- ---- making tensors ----

--- create(dtype, rank, sizes, device[, outside]): a new tensor, contents undefined. dtype a gal_dtype, sizes
-- an int64_t array (tensor/shapes.lua; nil for rank 0), device a name; outside: it outlives every open scope.
function M.create(dtype, rank, sizes, device, outside)
  if outside then C.gal_scope_pause() end
  local status = C.gal_tensor_new(out, device, dtype, rank, sizes)
  if status ~= C.GAL_OK then status = again(status, C.gal_tensor_new, out, device, dtype, rank, sizes) end
  if outside then C.gal_scope_resume() end
  if status ~= C.GAL_OK then check(status) end
  return wrap(false)
end

--- filled(dtype, rank, sizes): a new tensor on the CPU whose memory the caller fills by itself. While a
-- program is recorded it is a constant of the program: no scope and no replay reuses its memory.
function M.filled(dtype, rank, sizes) return M.create(dtype, rank, sizes, "cpu", recorded ~= false) end

--- like(x[, outside]): a new tensor with x's shape, dtype and device, contiguous, contents undefined.
function M.like(x, outside)
  local h = x.h
  return M.create(h.dtype, h.rank, h.shape, C.gal_tensor_device(h), outside)
end

--- shaped(x, rank, sizes): a new tensor of x's dtype and device.
function M.shaped(x, rank, sizes)
  return M.create(x.h.dtype, rank, sizes, C.gal_tensor_device(x.h))
end

--- real_like(x), real_shaped(x, rank, sizes): the same in float32, for ops of float32 only: where x has
-- another dtype, C names x in its sentence.
function M.real_like(x)
  local h = x.h
  return M.create(0, h.rank, h.shape, C.gal_tensor_device(h))
end
function M.real_shaped(x, rank, sizes)
  return M.create(0, rank, sizes, C.gal_tensor_device(x.h))
end

--- view(x, rank, sizes, strides, offset): a view of x's storage; strides and offset in elements.
function M.view(x, rank, sizes, strides, offset)
  local status = C.gal_tensor_view(out, x.h, rank, sizes, strides, offset)
  if status ~= C.GAL_OK then
    status = again(status, C.gal_tensor_view, out, x.h, rank, sizes, strides, offset)
  end
  if status ~= C.GAL_OK then check(status) end
  return wrap(x)
end

--- alias(x): another tensor object over the same elements, not on the tape.
function M.alias(x)
  return M.view(x, x.h.rank, x.h.shape, x.h.stride, 0)
end

--- dense(x): x where it is contiguous, else a contiguous copy; not taped.
function M.dense(x)
  if C.gal_tensor_contiguous(x.h) ~= 0 then return x end
  local y = M.like(x)
  check(C.gal_copy(y.h, x.h))
  return y
end

--- outside(fn, ...): fn's one result; tensors that it makes outlive every open scope. For values that the
-- library keeps from one call to the next.
function M.outside(fn, ...)
  C.gal_scope_pause()
  local ok, result = pcall(fn, ...)
  C.gal_scope_resume()
  if not ok then error(result, 0) end
  return result
end

-- ---- a tensor's type and state ----

local DTYPES = { [0] = "float32", "uint8", "int64", "float64" } -- by gal_dtype

--- dtype(x) --> "float32", "uint8", "int64" or "float64".
function M.dtype(x) return DTYPES[x.h.dtype] end

--- device_of(x) --> the name of the device that holds x.
function M.device_of(x) return ffi.string(C.gal_tensor_device(x.h)) end

--- gal.is_tensor(value): whether value is a tensor.
function M.is_tensor(x)
  return getmetatable(x) == Tensor
end

--- live(x, op, argument): x, if it is a tensor that can be used now; else raises naming the argument.
function M.live(x, op, argument)
  if getmetatable(x) ~= Tensor then
    raise("%s: %s is %s, expected a tensor", op, argument, errors.kind(x))
  end
  local scope = x.scope
  if not scope then return x end
  if scope.closed then
    raise("%s: %s is a stale tensor: the %s it was made in has closed; x:keep() inside moves it out",
      op, argument, scope.program and "recording" or "scope")
  end
  if recorded and scope.recorded ~= recorded then
    -- The program will read this memory at every replay: another program's memory is held, a scope's would
    -- belong to somebody else by then.
    if not scope.program then
      raise("%s: %s was made in a scope outside the program that is recorded, expected it kept: x:keep()",
        op, argument)
    end
    recorded.program.held[scope.program] = true
  end
  return x
end
local live = M.live

--- gal.memory([device]) --> {live, peak, reserved, limit} in bytes of that device, or of the default one, and
-- tensors, how many are outside scopes on all devices. Garbage that Lua has not collected yet counts as live:
-- call collectgarbage() first.
function M.memory(device)
  errors.device("memory", device)
  local info = ffi.new "gal_memory_info"
  check(C.gal_memory(device or default_device(), info))
  return {
    live = tonumber(info.live), peak = tonumber(info.peak), reserved = tonumber(info.reserved),
    limit = tonumber(info.limit), tensors = tonumber(info.tensors),
  }
end

-- ---- scopes ----

--- scope_open(): from here to scope_close(scope) new tensors live in an arena. For loops of the library;
-- users have gal.scope.
function M.scope_open()
  check(C.gal_scope_open())
  local scope = { closed = false, outer = current, recorded = recorded }
  current = scope
  return scope
end

--- scope_close(scope): its tensors are stale from here on. The innermost scope only.
function M.scope_close(scope)
  if scope ~= current then raise("scope_close: another scope is still open inside this one") end
  scope.closed = true
  current = scope.outer
  check(C.gal_scope_close())
end

--- current_scope(): the innermost scope that is open, or false.
function M.current_scope() return current end

--- enter(scope), leave(scope): between them a program is recorded, whose scope this is and in whose arena
-- tensors are made.
function M.enter(scope)
  scope.outer, scope.recorded = current, scope
  current, recorded = scope, scope
end
function M.leave(scope)
  current, recorded = scope.outer, false
end

--- close_until(scope): closes the scopes that an error left open inside this one.
function M.close_until(scope)
  while current and current ~= scope do M.scope_close(current) end
end

local function finish_scope(scope, ok, ...)
  M.close_until(scope)
  M.scope_close(scope)
  if not ok then error((...), 0) end
  for i = 1, select("#", ...) do
    local result = select(i, ...)
    if M.is_tensor(result) and result.scope and result.scope.closed then
      raise("scope: result %d is a tensor that ends with the scope, expected it kept: return y:keep()", i)
    end
  end
  return ...
end

--- gal.scope(fn, ...): calls fn(...) and returns its results. Tensors made meanwhile live in an arena that
-- is released at the end, error or not: no garbage, the same addresses every time. A result that is a
-- tensor made inside must be kept: return y:keep().
function M.scope(fn, ...)
  if type(fn) ~= "function" then raise("scope: fn is %s, expected a function", errors.kind(fn)) end
  local scope = M.scope_open()
  return finish_scope(scope, pcall(fn, ...))
end

--- x:keep() --> a copy of x that outlives every scope, off the tape; x itself where it does so already.
function M.keep(x)
  live(x, "keep", "x")
  if not x.scope then return x end
  local status = C.gal_tensor_keep(out, x.h)
  if status ~= C.GAL_OK then check(again(status, C.gal_tensor_keep, out, x.h)) end
  return wrap(false)
end

return M
