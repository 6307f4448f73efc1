-- What only a machine with a card can say, as files that later become fixtures of tests without one: the
-- card's attributes and name (driver), cuDNN's device properties as JSON, and which algorithm cuBLASLt takes
-- for the products of W1. Asks the libraries themselves and needs no device of galrun's. What can't be had is
-- one line of the log.
-- usage: galrun cuda/facts.lua FOLDER
local ffi = require "ffi"
local json = require "gal.base.json"
local folder = assert(arg[1], "usage: galrun cuda/facts.lua FOLDER")

local function save(name, text)
  local file = assert(io.open(folder .. "/" .. name, "w"))
  file:write(text, "\n")
  file:close()
  print(("%s: %d bytes"):format(name, #text))
end

local function load(...)
  for _, name in ipairs { ... } do
    local ok, library = pcall(ffi.load, name)
    if ok then return library end
  end
  error(("no %s"):format((...)), 0)
end

local function ok(status, what)
  if status ~= 0 then error(("%s gave status %d"):format(what, tonumber(status)), 0) end
end

-- ---- the driver: CUdevice_attribute by number (cuda.h) ----

ffi.cdef [[
int cuInit(unsigned flags);
int cuDriverGetVersion(int *version);
int cuDeviceGet(int *device, int ordinal);
int cuDeviceGetName(char *name, int length, int device);
int cuDeviceTotalMem_v2(size_t *bytes, int device);
int cuDeviceGetAttribute(int *value, int attribute, int device);
int cuDevicePrimaryCtxRetain(void **context, int device);
int cuCtxSetCurrent(void *context);]]

local function card()
  local cuda = load("libcuda.so.1")
  local one, name, bytes = ffi.new "int[1]", ffi.new "char[128]", ffi.new "size_t[1]"
  ok(cuda.cuInit(0), "cuInit")
  local found = { attributes = {} }
  ok(cuda.cuDriverGetVersion(one), "cuDriverGetVersion")
  found.driver = one[0]
  ok(cuda.cuDeviceGetName(name, 128, 0), "cuDeviceGetName")
  ok(cuda.cuDeviceTotalMem_v2(bytes, 0), "cuDeviceTotalMem")
  found.name, found.bytes = ffi.string(name), tonumber(bytes[0])
  for attribute = 1, 160 do
    if cuda.cuDeviceGetAttribute(one, attribute, 0) == 0 then
      found.attributes[tostring(attribute)] = one[0]
    end
  end
  local context = ffi.new "void *[1]"
  ok(cuda.cuDevicePrimaryCtxRetain(context, 0), "cuDevicePrimaryCtxRetain")
  ok(cuda.cuCtxSetCurrent(context[0]), "cuCtxSetCurrent")
  save("card.json", json.encode(found))
end

-- ---- cuDNN: CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR (cudnn_graph.h) ----

ffi.cdef [[
int cudnnBackendCreateDescriptor(int type, void **descriptor);
int cudnnBackendSetAttribute(void *d, int name, int type, int64_t count, const void *elements);
int cudnnBackendFinalize(void *d);
int cudnnBackendGetAttribute(void *d, int name, int type, int64_t asked, int64_t *count, void *elements);]]
local DEVICEPROP, DEVICE_ID, AS_JSON, INT32, CHAR = 38, 2700, 2702, 23, 24

local function cudnn()
  local dnn = load("libcudnn_graph.so.9", "libcudnn.so.9")
  local d, count, text = ffi.new "void *[1]", ffi.new "int64_t[1]", ffi.new("char[?]", 65536)
  ok(dnn.cudnnBackendCreateDescriptor(DEVICEPROP, d), "cuDNN's descriptor")
  ok(dnn.cudnnBackendSetAttribute(d[0], DEVICE_ID, INT32, 1, ffi.new("int32_t[1]", 0)), "cuDNN's device")
  ok(dnn.cudnnBackendFinalize(d[0]), "cuDNN's properties")
  ok(dnn.cudnnBackendGetAttribute(d[0], AS_JSON, CHAR, 65536, count, text), "cuDNN's JSON")
  save("cudnn_device.json", ffi.string(text))
end

-- ---- cuBLASLt (cublasLt.h) ----

ffi.cdef [[
typedef struct {
  uint64_t algorithm[8]; size_t workspace; int state; float waves; int reserved[4];
} lt_choice;
int cublasLtCreate(void **handle);
size_t cublasLtGetVersion(void);
int cublasLtMatmulDescCreate(void **d, int compute, int scale);
int cublasLtMatmulDescSetAttribute(void *d, int attribute, const void *value, size_t bytes);
int cublasLtMatrixLayoutCreate(void **l, int type, uint64_t rows, uint64_t columns, int64_t lead);
int cublasLtMatmulPreferenceCreate(void **p);
int cublasLtMatmulPreferenceSetAttribute(void *p, int attribute, const void *value, size_t bytes);
int cublasLtMatmulAlgoGetHeuristic(void *handle, void *product, void *a, void *b, void *c, void *d, void *p,
  int asked, lt_choice *choices, int *found);]]
local COMPUTE = { f32 = 68, tf32 = 77, f16 = 74, bf16 = 75 }
local TRANSPOSE_A, TRANSPOSE_B, EPILOGUE, WORKSPACE, BIAS = 3, 4, 7, 1, 4

-- W1's products as cublas.c asks for them, {what, m, n, k, transpose a, transpose b, bias}: y {n, m}
-- row-major is the library's {m, n}.
local W1 = {
  { "forward 11 to 256", 256, 64, 11, 1, 0, true }, { "forward 256 to 256", 256, 64, 256, 1, 0, true },
  { "forward 256 to 5", 5, 64, 256, 1, 0, true }, { "dx 256", 256, 64, 256, 0, 0, false },
  { "dw 256 x 256", 256, 256, 64, 0, 1, false }, { "dw 256 x 11", 11, 256, 64, 0, 1, false },
}

local function choices(lt, handle, compute, what, m, n, k, ta, tb, bias)
  local product, wish, layout = ffi.new "void *[1]", ffi.new "void *[1]", {}
  local function set(attribute, value)
    ok(lt.cublasLtMatmulDescSetAttribute(product[0], attribute, ffi.new("int32_t[1]", value), 4), what)
  end
  ok(lt.cublasLtMatmulDescCreate(product, compute, 0), what)
  set(TRANSPOSE_A, ta)
  set(TRANSPOSE_B, tb)
  if bias then set(EPILOGUE, BIAS) end
  local a, b = ta == 1 and { k, m } or { m, k }, tb == 1 and { n, k } or { k, n }
  for i, size in ipairs { a, b, { m, n } } do
    layout[i] = ffi.new "void *[1]"
    ok(lt.cublasLtMatrixLayoutCreate(layout[i], 0, size[1], size[2], size[1]), what)
  end
  ok(lt.cublasLtMatmulPreferenceCreate(wish), what)
  ok(lt.cublasLtMatmulPreferenceSetAttribute(wish[0], WORKSPACE, ffi.new("uint64_t[1]", 2 ^ 25), 8), what)
  local list, found, told = ffi.new "lt_choice[4]", ffi.new "int[1]", {}
  local status = lt.cublasLtMatmulAlgoGetHeuristic(handle, product[0], layout[1][0], layout[2][0],
    layout[3][0], layout[3][0], wish[0], 4, list, found)
  for i = 0, found[0] - 1 do
    local words = {}
    for w = 0, 7 do words[w + 1] = ("%016x"):format(list[i].algorithm[w]) end
    told[i + 1] = { algorithm = table.concat(words, " "), workspace = tonumber(list[i].workspace),
      waves = tonumber(list[i].waves) }
  end
  return { product = what, m = m, n = n, k = k, status = status, choices = told }
end

local function cublas()
  local lt = load("libcublasLt.so.13")
  local handle, answers = ffi.new "void *[1]", { version = tonumber(lt.cublasLtGetVersion()) }
  ok(lt.cublasLtCreate(handle), "cublasLtCreate")
  for precision, compute in pairs(COMPUTE) do
    answers[precision] = {}
    for i, product in ipairs(W1) do
      answers[precision][i] = choices(lt, handle[0], compute, unpack(product))
    end
  end
  save("cublaslt_w1.json", json.encode(answers))
end

local bad = 0
for _, ask in ipairs { card, cudnn, cublas } do
  local fine, why = pcall(ask)
  if not fine then
    bad = bad + 1
    print("not to be had: " .. tostring(why))
  end
end
os.exit(bad == 0 and 0 or 1)
