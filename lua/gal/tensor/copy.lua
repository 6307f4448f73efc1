-- Copies with their gradients: clone, contiguous, to, float, cat, turned; and writing into tensors in place.
local ffi = require "ffi"
local errors = require "gal.base.errors"
local memory = require "gal.tensor.memory"
local shapes = require "gal.tensor.shapes"
local tape = require "gal.tensor.tape"
local views = require "gal.tensor.views"
local C = ffi.C
local raise, check, kind, integer = errors.raise, errors.check, errors.kind, errors.integer
local live, dense, like, device_of = memory.live, memory.dense, memory.like, memory.device_of

local copy = {}

-- ---- of one tensor ----

local cloned = tape.native("clone", {
  forward = function(x)
    local y = like(x)
    check(C.gal_copy(y.h, x.h))
    return y
  end,
  backward = function(dy) return dy end,
})

--- x:clone() --> a contiguous copy; gradients flow back through it.
function copy.clone(x) return cloned(live(x, "clone", "x")) end

--- x:contiguous() --> x where its elements lie in row-major order, else a copy that does.
function copy.contiguous(x)
  live(x, "contiguous", "x")
  return C.gal_tensor_contiguous(x.h) ~= 0 and x or cloned(x)
end

local function on(x, device)
  local y = memory.create(x.h.dtype, x.h.rank, x.h.shape, device)
  check(C.gal_copy(y.h, dense(x).h))
  return y
end

local moved = tape.native("to", {
  forward = function(x, device) return on(x, device) end,
  backward = function(dy, x) return on(dy, device_of(x)) end,
})

--- x:to(device) --> x on the named device, "cpu" or "cuda": x itself where it is there already, else a copy.
function copy.to(x, device)
  live(x, "to", "x")
  device = errors.device("to", errors.text("to", "device", device, 'a string such as "cpu"'))
  if device == device_of(x) then return x end
  return moved(x, device)
end

--- x:float() --> a float32 copy of a uint8 or int64 tensor; x itself where it is float32.
function copy.float(x)
  live(x, "float", "x")
  if x.h.dtype == C.GAL_F32 then return x end
  local y = memory.create(C.GAL_F32, x.h.rank, x.h.shape, C.gal_tensor_device(x.h))
  check(C.gal_copy(y.h, x.h))
  return y
end

--- turned(x {N, H, H, C}, turn): a copy of images of any type in one of their eight orientations, not taped.
-- turn as images:read has it: 4 mirrors left for right, then the rest is quarter turns anticlockwise.
function copy.turned(x, turn)
  local h = shapes.images("turned", x)
  if h.shape[1] ~= h.shape[2] then
    raise("turned: x is %s, expected square images {N, H, H, C}", shapes.text(x))
  end
  local last, down, right, first = h.shape[1] - 1, h.stride[1], h.stride[2], 0
  if turn >= 4 then first, right = last * right, -right end
  -- Where pixel (0, 0) of the turned image was, and the ways down and right from it.
  local quarter = turn % 4
  if quarter == 1 then
    first, down, right = first + last * right, -right, down
  elseif quarter == 2 then
    first, down, right = first + last * (down + right), -down, -right
  elseif quarter == 3 then
    first, down, right = first + last * down, right, -down
  end
  local strides = shapes.strides(x)
  strides[1], strides[2] = down, right
  return dense(memory.view(x, 4, h.shape, strides, first))
end

-- ---- of several ----

local cat = tape.op("cat", {
  native = true,
  forward = function(list, at)
    local first, sizes, total = list[1], shapes.sizes(list[1]), 0
    for i = 1, #list do total = total + tonumber(list[i].h.shape[at]) end
    sizes[at] = total
    local y, from = memory.shaped(first, first.h.rank, sizes), 1
    for i = 1, #list do
      local length = tonumber(list[i].h.shape[at])
      check(C.gal_copy(views.narrowed(y, at, from, length).h, list[i].h))
      from = from + length
    end
    return y
  end,
  backward = function(dy, list, at)
    local parts, from = {}, 1
    for i = 1, #list do
      local length = tonumber(list[i].h.shape[at])
      parts[i] = tape.tracked(list[i]) and views.narrowed(dy, at, from, length)
      from = from + length
    end
    return parts
  end,
})

-- Raises unless element i of cat's list agrees with the first but for dimension `at`.
local function fits_beside(first, x, i, at)
  local fits = x.h.rank == first.h.rank and x.h.dtype == first.h.dtype
  for k = 0, fits and first.h.rank - 1 or -1 do
    fits = fits and (k == at or x.h.shape[k] == first.h.shape[k])
  end
  if not fits then
    raise("cat: element %d is %s %s, expected %s %s like element 1 but for dimension %d",
      i, memory.dtype(x), shapes.text(x), memory.dtype(first), shapes.text(first), at + 1)
  end
  if device_of(x) ~= device_of(first) then
    raise("cat: element 1 is on %s but element %d is on %s", device_of(first), i, device_of(x))
  end
end

--- gal.cat({x, y, …}[, dim]) --> the tensors side by side along dim (1 by default); their other dimensions,
-- dtypes and devices agree.
function copy.cat(list, dim)
  if type(list) ~= "table" or memory.is_tensor(list) or #list == 0 then
    raise("cat: list is %s, expected a table of tensors", kind(list))
  end
  local own = {} -- the caller may change his list before backward()
  for i = 1, #list do own[i] = live(list[i], "cat", "element " .. i) end
  local at = shapes.dimension(own[1], "cat", dim or 1)
  for i = 2, #own do fits_beside(own[1], own[i], i, at) end
  return cat(own, at)
end

-- ---- in place ----

--- x:copy_(y): writes y's elements, broadcast to x's shape, into x. Returns x. A tensor on the tape raises.
function copy.copy_(x, y)
  live(x, "copy_", "x")
  live(y, "copy_", "y")
  tape.writable(x, "copy_")
  check(C.gal_copy(x.h, y.h))
  return x
end

--- storable(op, x, value): raises unless value is a number that x's type holds: any for float32, an integer
-- in range for the others.
function copy.storable(op, x, value)
  if type(value) ~= "number" then raise("%s: value is %s, expected a number", op, kind(value)) end
  if x.h.dtype == 1 then integer(op, "value", value, 0, 255) end
  if x.h.dtype == 2 then integer(op, "value", value, -2 ^ 53, 2 ^ 53) end
end

--- x:fill_(value): writes value into every element. Returns x. A tensor on the tape raises.
function copy.fill_(x, value)
  live(x, "fill_", "x")
  copy.storable("fill_", x, value)
  tape.writable(x, "fill_")
  check(C.gal_fill(x.h, value))
  return x
end

-- ---- for the library's own state ----

--- assign(y, x): y's elements become x's, broadcast and converted, also where y is on the tape: a backward()
-- that needs the old ones then raises. Returns y.
function copy.assign(y, x)
  local root = y.base or y
  root.version = root.version + 1
  check(C.gal_copy(y.h, x.h))
  return y
end

--- rehome(x, view): x becomes another object over view's storage and keeps its place in lists and on the
-- tape; for optimisers' blocks.
function copy.rehome(x, view)
  x.h, x.base, x.scope = view.h, view.base or view, view.scope
end

--- move(x, device): x's elements move to the device, in place: every list that holds x sees it. Returns x.
function copy.move(x, device)
  device = errors.device("to", errors.text("to", "device", device, 'a string such as "cpu"'))
  if device_of(x) == device then return x end
  local y = memory.create(x.h.dtype, x.h.rank, x.h.shape, device, true)
  check(C.gal_copy(y.h, dense(x).h))
  x.h, x.base, x.scope, x.grad = y.h, false, false, nil
  tape.set_slot(x, nil)
  return x
end

return copy
