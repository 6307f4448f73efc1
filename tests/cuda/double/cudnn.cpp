/* cudnn.cpp: the calls of cuDNN that need a card. Descriptors, heuristics, engines and plans are the real
 * library's, which makes them for a card that is described to it. On the way they are written down, so that
 * an execution walks the graph that its plan was made for: an interpreter of convolutions, in plain loops,
 * behind the rules of the documentation: names, alignment, workspace, nothing new in a capture. */
#include "double.h"
#if __has_include(<cudnn_version.h>)
#include <cudnn_version.h>
#endif
#if defined CUDNN_VERSION && CUDNN_VERSION >= 91100
#include <algorithm>
#include <cudnn.h>
#include <map>
using namespace twin;

extern "C" void *__real_dlsym(void *handle, const char *name);

/* An H100's properties as cuDNN writes them down; filled in by hand from NVIDIA's data sheet. */
static const char card[] =
    "{\"version\":1,\"deviceName\":\"NVIDIA H100 80GB HBM3\",\"cudaDeviceId\":0,\"deviceId\":0,"
    "\"deviceVer\":900,\"driverVer\":13000,\"maxGridSize\":[2147483647,65535,65535],"
    "\"maxBlockSize\":[1024,1024,64],\"regsPerBlock\":65536,\"multiProcessorCount\":132,"
    "\"smClockRateKHz\":1980000,\"memClockRateKHz\":2619000,\"l2CacheSize\":52428800,\"warpSize\":32,"
    "\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":232448,"
    "\"reservedSharedMemoryPerBlock\":1024,\"maxRegistersPerSM\":65536,\"pciDeviceId\":0,"
    "\"maxCtasPerSM\":32,\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"isTccDriver\":0,"
    "\"supportCoopLaunch\":1,\"totalGlobalMem\":85017755648}";

/* ---- what was written down ---- */

/* A descriptor: its attributes, and the descriptors that are some of them. */
struct Node {
    std::map<int, std::vector<char>> values;
    std::map<int, std::shared_ptr<Node>> parts;
    int type = -1;
    bool tensor_cores = false; /* of a plan: its engine uses them */

    template <class T> T value(int name, size_t i = 0) const
    {
        auto found = values.find(name);
        if (found == values.end() || found->second.size() < (i + 1) * sizeof(T))
            fault("cudnnBackendExecute: a descriptor lacks attribute %d", name);
        return ((const T *)found->second.data())[i];
    }
    const Node &part(int name) const
    {
        auto found = parts.find(name);
        if (found == parts.end())
            fault("cudnnBackendExecute: a descriptor lacks descriptor %d", name);
        return *found->second;
    }
};
static std::map<cudnnBackendDescriptor_t, std::shared_ptr<Node>> nodes;
struct cudnnContext {
    cudaStream_t stream;
};

/* ---- a convolution ---- */

struct Tensor {
    cudnnDataType_t type;
    int64_t n, c, h, w, stride[4], name, alignment;

    Tensor(const Node &d)
        : type(d.value<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE)),
          n(d.value<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS, 0)),
          c(d.value<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS, 1)),
          h(d.value<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS, 2)),
          w(d.value<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS, 3)),
          name(d.value<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID)),
          alignment(d.value<int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT))
    {
        for (int i = 0; i < 4; i++)
            stride[i] = d.value<int64_t>(CUDNN_ATTR_TENSOR_STRIDES, (size_t)i);
        if (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_BFLOAT16)
            fault("cudnnBackendExecute: the double has no data type %d", (int)type);
    }
    size_t size() const
    {
        return type == CUDNN_DATA_FLOAT ? 4 : 2;
    }
    int64_t count() const
    {
        return n * c * h * w;
    }
    /* Element (i, y, x, k), by the strides. */
    int64_t at(int64_t i, int64_t k, int64_t y, int64_t x) const
    {
        return i * stride[0] + k * stride[1] + y * stride[2] + x * stride[3];
    }
};

static float rounded(float x, int bits)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    if (bits == 0 || x != x)
        return x;
    u += (1u << (bits - 1)) - 1 + (u >> bits & 1);
    u &= ~((1u << bits) - 1);
    memcpy(&x, &u, 4);
    return x;
}

struct Convolution {
    cudnnBackendDescriptorType_t type;
    Tensor x, w, z;
    int64_t top, left, down, right; /* padding before; strides */
    int dropped;                    /* bits that the tensor cores drop of a factor in float32 */
    float alpha, beta;
    size_t room;
};

#define ATTRIBUTES(TYPE, NAME, X, W, Z)                                                                     \
    {                                                                                                       \
        CUDNN_BACKEND_OPERATION_CONVOLUTION_##TYPE##_DESCRIPTOR,                                            \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##X, CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##W,   \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##Z,                                                  \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_CONV_DESC,                                            \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_BETA \
    }
static const struct Attributes {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t x, w, z, windows, alpha, beta;
} known[] = {ATTRIBUTES(FORWARD, FORWARD, X, W, Y), ATTRIBUTES(BACKWARD_DATA, BWD_DATA, DX, W, DY),
             ATTRIBUTES(BACKWARD_FILTER, BWD_FILTER, X, DW, DY)};

static Convolution convolution(const Node &plan)
{
    const Node &operation = plan.part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)
                                .part(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH)
                                .part(CUDNN_ATTR_OPERATIONGRAPH_OPS);
    for (const Attributes &a : known) {
        if (operation.type != (int)a.type)
            continue;
        const Node &windows = operation.part(a.windows);
        Tensor x(operation.part(a.x)), w(operation.part(a.w)), z(operation.part(a.z));
        int64_t before[2], after[2], stride[2], filter[2] = {w.h, w.w}, from[2] = {x.h, x.w},
                                                to[2] = {z.h, z.w};
        for (size_t i = 0; i < 2; i++) {
            before[i] = windows.value<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, i);
            after[i] = windows.value<int64_t>(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, i);
            stride[i] = windows.value<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, i);
            if (windows.value<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS, i) != 1 ||
                to[i] != (from[i] + before[i] + after[i] - filter[i]) / stride[i] + 1)
                fault("cudnnBackendExecute: %ld windows over %ld pixels", (long)to[i], (long)from[i]);
        }
        if (windows.value<cudnnConvolutionMode_t>(CUDNN_ATTR_CONVOLUTION_CONV_MODE) !=
                CUDNN_CROSS_CORRELATION ||
            x.c != w.c || z.c != w.n || x.n != z.n || x.type != w.type || x.type != z.type)
            fault("cudnnBackendExecute: tensors that do not fit");
        return {a.type,
                x,
                w,
                z,
                before[0],
                before[1],
                stride[0],
                stride[1],
                plan.tensor_cores && x.type == CUDNN_DATA_FLOAT ? 13 : 0,
                operation.value<float>(a.alpha),
                operation.value<float>(a.beta),
                0};
    }
    fault("cudnnBackendExecute: the double has no operation %d", operation.type);
}

/* A tensor's values in float32, {n, h, w, c}, rounded as a factor is. */
static std::vector<float> read(const Tensor &t, const void *from, int dropped)
{
    std::vector<float> all((size_t)t.count());
    size_t to = 0;
    for (int64_t i = 0; i < t.n; i++)
        for (int64_t y = 0; y < t.h; y++)
            for (int64_t x = 0; x < t.w; x++)
                for (int64_t k = 0; k < t.c; k++) {
                    int64_t at = t.at(i, k, y, x);
                    uint32_t bits = t.size() == 2 ? (uint32_t)((const uint16_t *)from)[at] << 16 : 0;
                    float value = t.size() == 2 ? __uint_as_float(bits) : ((const float *)from)[at];
                    all[to++] = rounded(value, dropped);
                }
    return all;
}

static void write(const Tensor &t, void *to, const std::vector<float> &all)
{
    size_t from = 0;
    for (int64_t i = 0; i < t.n; i++)
        for (int64_t y = 0; y < t.h; y++)
            for (int64_t x = 0; x < t.w; x++)
                for (int64_t k = 0; k < t.c; k++, from++) {
                    int64_t at = t.at(i, k, y, x);
                    if (t.size() == 2)
                        ((uint16_t *)to)[at] = (uint16_t)gal_pack_bf16(all[from], 0);
                    else
                        ((float *)to)[at] = all[from];
                }
    written(to, (size_t)t.count() * t.size());
}

/* weights {out, kh, kw, c} with out last, so that inner loops run over outputs. */
static std::vector<float> outputs_last(const Convolution &v, const std::vector<float> &w)
{
    std::vector<float> all(w.size());
    int64_t taps = v.w.h * v.w.w * v.w.c;
    for (int64_t o = 0; o < v.w.n; o++)
        for (int64_t k = 0; k < taps; k++)
            all[(size_t)(k * v.w.n + o)] = w[(size_t)(o * taps + k)];
    return all;
}

/* The x and z offsets of a pair of pixels that meet under tap (ky, kx), for all of them. */
template <class F> static void each_pair(const Convolution &v, int64_t image, int64_t row, F f)
{
    for (int64_t column = 0; column < v.z.w; column++)
        for (int64_t ky = 0; ky < v.w.h; ky++)
            for (int64_t kx = 0; kx < v.w.w; kx++) {
                int64_t i = row * v.down + ky - v.top, j = column * v.right + kx - v.left;
                if (i >= 0 && i < v.x.h && j >= 0 && j < v.x.w)
                    f(((image * v.x.h + i) * v.x.w + j) * v.x.c,
                      ((image * v.z.h + row) * v.z.w + column) * v.z.c, (ky * v.w.w + kx) * v.w.c);
            }
}

/* y[i] += a[0] x[i] + a[step] x[i + pitch] + ..., one after the other, of i < n and `terms` terms; a piece of
 * y stays in registers. */
static void add(float *__restrict y, int64_t n, const float *__restrict x, int64_t pitch,
                const float *__restrict a, int64_t step, int64_t terms)
{
    enum { PIECE = 32 };
    for (; n >= PIECE; n -= PIECE, y += PIECE, x += PIECE) {
        float sum[PIECE];
        for (int k = 0; k < PIECE; k++)
            sum[k] = y[k];
        for (int64_t t = 0; t < terms; t++)
            for (int k = 0; k < PIECE; k++)
                sum[k] += a[t * step] * x[t * pitch + k];
        for (int k = 0; k < PIECE; k++)
            y[k] = sum[k];
    }
    for (int64_t t = 0; t < terms; t++)
        for (int64_t k = 0; k < n; k++)
            y[k] += a[t * step] * x[t * pitch + k];
}

static void forward(const Convolution &v, const float *x, const std::vector<float> &weights, float *z)
{
    std::vector<float> w = outputs_last(v, weights);
    share(v.z.n * v.z.h, [&](int64_t p) {
        each_pair(v, p / v.z.h, p % v.z.h, [&](int64_t from, int64_t to, int64_t tap) {
            add(z + to, v.z.c, &w[(size_t)(tap * v.z.c)], v.z.c, x + from, 1, v.x.c);
        });
    });
}

static void backward_data(const Convolution &v, float *dx, const std::vector<float> &w, const float *dz)
{
    int64_t taps = v.w.h * v.w.w * v.w.c;
    share(v.z.n, [&](int64_t image) {
        for (int64_t row = 0; row < v.z.h; row++)
            each_pair(v, image, row, [&](int64_t to, int64_t from, int64_t tap) {
                add(dx + to, v.x.c, &w[(size_t)tap], taps, dz + from, 1, v.z.c);
            });
    });
}

/* Each row of an image is a sum of its own, so that float32 keeps its digits. Shared out are the taps. */
static void backward_filter(const Convolution &v, const float *x, std::vector<float> &dw, const float *dz)
{
    int64_t taps = v.w.h * v.w.w;
    share(taps, [&](int64_t tap) {
        int64_t ky = tap / v.w.w, kx = tap % v.w.w, first = 0, end = v.z.w;
        while (first < end && first * v.right + kx - v.left < 0)
            first++;
        while (end > first && (end - 1) * v.right + kx - v.left >= v.x.w)
            end--;
        std::vector<float> row((size_t)v.z.c);
        std::vector<double> sum((size_t)(v.x.c * v.z.c));
        for (int64_t p = 0; p < v.z.n * v.z.h; p++) {
            int64_t i = p % v.z.h * v.down + ky - v.top, j = first * v.right + kx - v.left;
            if (i < 0 || i >= v.x.h)
                continue;
            const float *from = dz + (p * v.z.w + first) * v.z.c;
            const float *at = x + ((p / v.z.h * v.x.h + i) * v.x.w + j) * v.x.c;
            for (int64_t c = 0; c < v.x.c; c++) {
                std::fill(row.begin(), row.end(), 0.0f);
                add(row.data(), v.z.c, from, v.z.c, at + c, v.right * v.x.c, end - first);
                for (int64_t o = 0; o < v.z.c; o++)
                    sum[(size_t)(c * v.z.c + o)] += row[(size_t)o];
            }
        }
        for (int64_t o = 0; o < v.z.c; o++)
            for (int64_t c = 0; c < v.x.c; c++)
                dw[(size_t)((o * taps + tap) * v.x.c + c)] = (float)sum[(size_t)(c * v.z.c + o)];
    });
}

static void run(const Convolution &v, void *x, void *w, void *z)
{
    struct {
        const Tensor &t;
        void *at;
        const char *name;
        bool out;
    } all[3] = {{v.x, x, "x", v.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR},
                {v.w, w, "w", v.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR},
                {v.z, z, "z", v.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR}};
    std::vector<float> data[3];
    for (int i = 0; i < 3; i++) {
        std::string what = std::string("cudnnBackendExecute's ") + all[i].name;
        check_range(all[i].at, (size_t)all[i].t.count() * all[i].t.size(), all[i].out, what.c_str());
        data[i] =
            all[i].out ? std::vector<float>((size_t)all[i].t.count()) : read(all[i].t, all[i].at, v.dropped);
    }
    if (all[0].out)
        backward_data(v, data[0].data(), data[1], data[2].data());
    else if (all[1].out)
        backward_filter(v, data[0].data(), data[1], data[2].data());
    else
        forward(v, data[0].data(), data[1], data[2].data());
    for (int i = 0; i < 3; i++)
        if (all[i].out)
            write(all[i].t, all[i].at, data[i]);
}

/* ---- the calls ---- */

#define CALLS(X)                     \
    X(cudnnBackendCreateDescriptor)  \
    X(cudnnBackendDestroyDescriptor) \
    X(cudnnBackendSetAttribute) X(cudnnBackendGetAttribute) X(cudnnBackendFinalize)
#define REAL(name) static decltype(&name) real_##name;
CALLS(REAL)

static cudnnStatus_t create(cudnnHandle_t *handle)
{
    *handle = new cudnnContext{};
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t set_stream(cudnnHandle_t handle, cudaStream_t stream)
{
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t create_descriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *d)
{
    cudnnStatus_t status = real_cudnnBackendCreateDescriptor(type, d);
    if (status == CUDNN_STATUS_SUCCESS) {
        nodes[*d] = std::make_shared<Node>();
        nodes[*d]->type = type;
    }
    return status;
}

static cudnnStatus_t destroy_descriptor(cudnnBackendDescriptor_t d)
{
    nodes.erase(d);
    return real_cudnnBackendDestroyDescriptor(d);
}

static cudnnStatus_t set_attribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                                   cudnnBackendAttributeType_t type, int64_t count, const void *value)
{
    Node &node = *nodes.at(d);
    size_t size = type == CUDNN_TYPE_INT64 || type == CUDNN_TYPE_VOID_PTR ? 8 : 4;
    if (type == CUDNN_TYPE_HANDLE) /* the card behind the handle */
        return real_cudnnBackendSetAttribute(d, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                                             (int64_t)strlen(card), card);
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
        node.parts[name] = nodes.at(*(const cudnnBackendDescriptor_t *)value);
    else
        node.values[name].assign((const char *)value, (const char *)value + (size_t)count * size);
    return real_cudnnBackendSetAttribute(d, name, type, count, value);
}

static cudnnStatus_t get_attribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                                   cudnnBackendAttributeType_t type, int64_t room, int64_t *count,
                                   void *values)
{
    cudnnStatus_t status = real_cudnnBackendGetAttribute(d, name, type, room, count, values);
    if (status == CUDNN_STATUS_SUCCESS && name == CUDNN_ATTR_ENGINEHEUR_RESULTS)
        for (int64_t i = 0; i < *count; i++)
            nodes.at(((cudnnBackendDescriptor_t *)values)[i])->parts[CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH] =
                nodes.at(d)->parts.at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    return status;
}

/* Whether the plan's engine uses tensor cores. */
static bool tensor_cores(cudnnBackendDescriptor_t plan)
{
    cudnnBackendDescriptor_t configuration, engine;
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t count = 0;
    bool found = false;
    real_cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configuration);
    real_cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine);
    real_cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                  CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &configuration);
    real_cudnnBackendGetAttribute(configuration, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                  1, &count, &engine);
    count = 0;
    if (real_cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                      CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes) != CUDNN_STATUS_SUCCESS)
        fault("cudnnBackendFinalize: a plan without an engine's notes");
    for (int64_t i = 0; i < count; i++) {
        if (notes[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)
            fault("cudnnBackendFinalize: a plan of an engine whose sums have no order");
        found |= notes[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
    }
    real_cudnnBackendDestroyDescriptor(configuration);
    real_cudnnBackendDestroyDescriptor(engine);
    return found;
}

static cudnnStatus_t finalize(cudnnBackendDescriptor_t d)
{
    Node &node = *nodes.at(d);
    if (node.type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR && outside_capture() != cudaSuccess)
        return CUDNN_STATUS_EXECUTION_FAILED; /* plans are made before */
    if (failing("cudnnBackendFinalize"))
        return CUDNN_STATUS_INTERNAL_ERROR;
    cudnnStatus_t status = real_cudnnBackendFinalize(d);
    if (status == CUDNN_STATUS_SUCCESS && node.type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
        int64_t one;
        node.tensor_cores = tensor_cores(d);
        node.values[CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE].resize(8);
        real_cudnnBackendGetAttribute(d, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &one,
                                      node.values[CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE].data());
    }
    return status;
}

/* The address that the pack gives for a tensor. */
static void *address(const Node &pack, const Tensor &t)
{
    for (size_t i = 0; i < pack.values.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).size() / 8; i++)
        if (pack.value<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, i) == t.name) {
            char *at = pack.value<char *>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, i);
            if ((uintptr_t)at % (size_t)t.alignment)
                fault("cudnnBackendExecute: tensor %ld at %p, its plan made for alignment %ld", (long)t.name,
                      (void *)at, (long)t.alignment);
            return at;
        }
    fault("cudnnBackendExecute: no address for tensor %ld", (long)t.name);
}

static cudnnStatus_t execute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                             cudnnBackendDescriptor_t pack_)
{
    if (failing("cudnnBackendExecute"))
        return CUDNN_STATUS_EXECUTION_FAILED;
    const Node &pack = *nodes.at(pack_);
    Convolution v = convolution(*nodes.at(plan));
    if (v.alpha != 1 || v.beta != 0)
        fault("cudnnBackendExecute: the double has alpha 1 and beta 0 only");
    size_t room = (size_t)nodes.at(plan)->value<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
    void *x = address(pack, v.x), *w = address(pack, v.w), *z = address(pack, v.z);
    void *workspace = pack.value<void *>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
    const char *names[3] = {"cudnn_forward", "cudnn_backward_weight", "cudnn_backward_input"};
    cudaError_t error = push(handle->stream,
                             names[v.type == known[2].type   ? 1
                                   : v.type == known[1].type ? 2
                                                             : 0],
                             [=] {
                                 if (room) { /* the library's: nothing may rely on it */
                                     check_range(workspace, room, true, "cudnnBackendExecute's workspace");
                                     memset(workspace, 0xff, room < 4096 ? room : 4096);
                                 }
                                 run(v, x, w, z);
                             });
    return error == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

/* cudnn.c looks its functions up by this (the linker's --wrap): ours where a card would be needed. */
extern "C" void *__wrap_dlsym(void *handle, const char *name)
{
    void *real = failing("dlsym") ? nullptr : __real_dlsym(handle, name);
    std::string asked = name;
#define LOOK_UP(call, ours)                        \
    if (real && asked == #call) {                  \
        real_##call = (decltype(real_##call))real; \
        return (void *)ours;                       \
    }
    LOOK_UP(cudnnBackendCreateDescriptor, create_descriptor)
    LOOK_UP(cudnnBackendDestroyDescriptor, destroy_descriptor)
    LOOK_UP(cudnnBackendSetAttribute, set_attribute)
    LOOK_UP(cudnnBackendGetAttribute, get_attribute)
    LOOK_UP(cudnnBackendFinalize, finalize)
    return !real                            ? real
           : asked == "cudnnCreate"         ? (void *)create
           : asked == "cudnnSetStream"      ? (void *)set_stream
           : asked == "cudnnBackendExecute" ? (void *)execute
                                            : real;
}
#endif
