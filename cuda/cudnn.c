/* cudnn.c: all that calls cuDNN 9: the products of convolutions by its graph interface, each a graph of one
 * operation in NHWC. The library is loaded when the first convolution comes, so that a machine without it has
 * all that needs none. Which engine runs a product is the heuristics' first that is deterministic, is
 * compiled already and rounds no more than the precision allows. */
#include "conv.h"

#if __has_include(<cudnn_version.h>)
#include <cudnn_version.h>
#endif
#if defined CUDNN_VERSION && CUDNN_VERSION >= 91100
#include <cudnn.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* ---- the library ---- */

#define CALLS(X)                     \
    X(cudnnGetVersion)               \
    X(cudnnGetLastErrorString)       \
    X(cudnnGetErrorString)           \
    X(cudnnCreate)                   \
    X(cudnnSetStream)                \
    X(cudnnBackendCreateDescriptor)  \
    X(cudnnBackendDestroyDescriptor) \
    X(cudnnBackendSetAttribute) X(cudnnBackendGetAttribute) X(cudnnBackendFinalize) X(cudnnBackendExecute)
static struct {
#define MEMBER(name) __typeof__(name) *name;
    CALLS(MEMBER)
} library;

enum { OLDEST = 91100 }; /* the first that makes plans from a device's properties alone: 9.11 */

static const char *load(void)
{
    static void *handle;
    if (handle)
        return NULL;
    void *opened = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL);
    if (!opened)
        return "libcudnn.so.9 was not found (LD_LIBRARY_PATH can name its folder)";
#define LOOK_UP(name)                               \
    *(void **)&library.name = dlsym(opened, #name); \
    if (!library.name)                              \
        return "libcudnn.so.9 has no function " #name;
    CALLS(LOOK_UP)
    if (library.cudnnGetVersion() < OLDEST)
        return "libcudnn.so.9 is older than 9.11";
    handle = opened;
    return NULL;
}

struct gal_conv_plan {
    struct gal_conv_plan *next;
    struct key {
        int64_t n, h, w, c, zh, zw, out, kh, kw, stride, top, left;
        int32_t part, precision;
        uint32_t alignment, unused;
    } key;
    cudnnBackendDescriptor_t plan;
    int64_t room; /* bytes that it works in */
};

struct gal_cuda_convolutions {
    cudnnHandle_t handle;
    cudnnBackendDescriptor_t properties; /* the card's */
    struct gal_conv_plan *plans;
};

/* ---- descriptors ---- */

/* Descriptors on the way to one that is kept. After a failure nothing more is called. */
typedef struct maker {
    cudnnStatus_t status;
    const char *failed;
    int count;
    cudnnBackendDescriptor_t made[160];
} maker;

static void check(maker *m, cudnnStatus_t status, const char *what)
{
    if (m->status == CUDNN_STATUS_SUCCESS && status != CUDNN_STATUS_SUCCESS)
        m->status = status, m->failed = what;
}

static cudnnBackendDescriptor_t make(maker *m, cudnnBackendDescriptorType_t type)
{
    cudnnBackendDescriptor_t d = NULL;
    if (m->status == CUDNN_STATUS_SUCCESS)
        check(m, library.cudnnBackendCreateDescriptor(type, &d), "a descriptor");
    if (d)
        m->made[m->count++] = d;
    return d;
}

static void set(maker *m, cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *value)
{
    if (m->status == CUDNN_STATUS_SUCCESS)
        check(m, library.cudnnBackendSetAttribute(d, name, type, count, value), "an attribute");
}

static void finish(maker *m, cudnnBackendDescriptor_t d, const char *what)
{
    if (m->status == CUDNN_STATUS_SUCCESS)
        check(m, library.cudnnBackendFinalize(d), what);
}

/* From here on d is the caller's. */
static void keep(maker *m, cudnnBackendDescriptor_t d)
{
    for (int i = 0; i < m->count; i++)
        if (m->made[i] == d)
            m->made[i] = m->made[--m->count];
}

/* Destroys what was made and not kept, and says what failed. */
static gal_status close_maker(gal_cuda *device, maker *m)
{
    gal_status status = GAL_OK;
    if (m->status != CUDNN_STATUS_SUCCESS) {
        char said[256] = "";
        library.cudnnGetLastErrorString(said, sizeof said);
        status = gal_cuda_host->fail(GAL_DEVICE, "%s: cuDNN: %s failed: %s (%s)", device->name, m->failed,
                                     library.cudnnGetErrorString(m->status), said);
    }
    for (int i = 0; i < m->count; i++)
        library.cudnnBackendDestroyDescriptor(m->made[i]);
    m->count = 0;
    return status;
}

/* ---- opening ---- */

static gal_status open_library(gal_cuda *device)
{
    if (device->convolutions)
        return GAL_OK;
    const char *why = load();
    if (why)
        return gal_cuda_host->fail(GAL_DEVICE,
                                   "%s: convolutions (conv2d, conv2d_backward) need cuDNN 9.11 or later: %s",
                                   device->name, why);
    struct gal_cuda_convolutions *all = calloc(1, sizeof *all);
    if (!all)
        return gal_cuda_host->fail(GAL_MEMORY, "%s: no memory left on the host", device->name);
    maker m = {.status = CUDNN_STATUS_SUCCESS};
    check(&m, library.cudnnCreate(&all->handle), "its opening");
    if (m.status == CUDNN_STATUS_SUCCESS)
        check(&m, library.cudnnSetStream(all->handle, device->stream), "its stream");
    all->properties = make(&m, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    set(&m, all->properties, CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, 1, &all->handle);
    finish(&m, all->properties, "the card's description");
    keep(&m, all->properties);
    gal_status status = close_maker(device, &m);
    if (status == GAL_OK)
        device->convolutions = all;
    else
        free(all);
    return status;
}

/* ---- the graph of a product ---- */

enum { X = 1, W, Z }; /* the tensors' names in a graph */

static cudnnDataType_t type_of(const struct key *k)
{
    return k->precision == GAL_IN_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

/* {n, h, w, c} in memory; cuDNN names the dimensions n, c, h, w. */
static cudnnBackendDescriptor_t tensor(maker *m, const struct key *k, int64_t name, int64_t n, int64_t h,
                                       int64_t w, int64_t c)
{
    cudnnBackendDescriptor_t d = make(m, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    const int64_t shape[4] = {n, c, h, w}, stride[4] = {h * w * c, 1, w * c, c}, alignment = k->alignment;
    const cudnnDataType_t type = type_of(k);
    set(m, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(m, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, shape);
    set(m, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, stride);
    set(m, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &name);
    set(m, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    finish(m, d, "a tensor");
    return d;
}

/* How many zeros lie behind `size` pixels with `before` zeros before them, so that `positions` windows fit:
 * as many as before where that gives the same number of them, which more engines take. */
static int64_t behind(int64_t size, int64_t before, int64_t window, int64_t stride, int64_t positions)
{
    if (size + 2 * before >= window && (size + 2 * before - window) / stride + 1 == positions)
        return before;
    int64_t needed = (positions - 1) * stride + window - size - before;
    return needed > 0 ? needed : 0;
}

static cudnnBackendDescriptor_t windows(maker *m, const struct key *k)
{
    cudnnBackendDescriptor_t d = make(m, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    const int64_t two = 2, ones[2] = {1, 1}, strides[2] = {k->stride, k->stride};
    const int64_t before[2] = {k->top, k->left};
    const int64_t after[2] = {behind(k->h, k->top, k->kh, k->stride, k->zh),
                              behind(k->w, k->left, k->kw, k->stride, k->zw)};
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    set(m, d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &two);
    set(m, d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums);
    set(m, d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(m, d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, before);
    set(m, d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, after);
    set(m, d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, ones);
    set(m, d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides);
    finish(m, d, "a convolution's geometry");
    return d;
}

/* What a part is called: its operation, and that operation's attributes. */
typedef struct operation {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t windows, x, w, z, alpha, beta;
} operation;
#define OPERATION(TYPE, NAME, X, W, Z)                                                                      \
    {                                                                                                       \
        CUDNN_BACKEND_OPERATION_CONVOLUTION_##TYPE##_DESCRIPTOR,                                            \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_CONV_DESC,                                            \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##X, CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##W,   \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##Z, CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_ALPHA, \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_BETA                                                  \
    }
static const operation operations[] = {
    [GAL_CONV_FORWARD] = OPERATION(FORWARD, FORWARD, X, W, Y),
    [GAL_CONV_INPUT] = OPERATION(BACKWARD_DATA, BWD_DATA, DX, W, DY),
    [GAL_CONV_WEIGHT] = OPERATION(BACKWARD_FILTER, BWD_FILTER, X, DW, DY),
};

static cudnnBackendDescriptor_t graph_of(maker *m, const struct key *k)
{
    const operation *o = &operations[k->part];
    const float one = 1, zero = 0;
    cudnnBackendDescriptor_t geometry = windows(m, k), x = tensor(m, k, X, k->n, k->h, k->w, k->c),
                             w = tensor(m, k, W, k->out, k->kh, k->kw, k->c),
                             z = tensor(m, k, Z, k->n, k->zh, k->zw, k->out), d = make(m, o->type),
                             graph = make(m, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(m, d, o->windows, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &geometry);
    set(m, d, o->x, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x);
    set(m, d, o->w, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &w);
    set(m, d, o->z, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &z);
    set(m, d, o->alpha, CUDNN_TYPE_FLOAT, 1, &one);
    set(m, d, o->beta, CUDNN_TYPE_FLOAT, 1, &zero);
    finish(m, d, "an operation");
    set(m, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &d);
    finish(m, graph, "a graph");
    return graph;
}

/* ---- engines ---- */

/* Whether the engine's notes allow it: its sums have one order, it is no kernel that has to be compiled first
 * (seconds for each plan), and it rounds no factor and no sum that the precision does not. Tensor cores in
 * float32 are TF32; Winograd's and Fourier transforms lose digits of float32. */
static int allowed(maker *m, cudnnBackendDescriptor_t engine, const struct key *k)
{
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    cudnnBackendBehaviorNote_t ways[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
    int64_t count = 0, way_count = 0;
    check(m,
          library.cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                           CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count,
                                           notes),
          "an engine's notes");
    check(m,
          library.cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                                           CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, &way_count, ways),
          "an engine's notes");
    for (int64_t i = 0; i < way_count; i++)
        if (ways[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION)
            return 0;
    for (int64_t i = 0; i < count; i++)
        switch (notes[i]) {
        case CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP:
            break;
        case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
            if (k->precision == GAL_IN_F32)
                return 0;
            break;
        default:
            return 0;
        }
    return m->status == CUDNN_STATUS_SUCCESS;
}

enum { MOST = 64 }; /* configurations that are asked for */

/* The plan of the first configuration that is allowed and can be made; NULL where there is none. */
static cudnnBackendDescriptor_t plan_of(maker *m, const struct gal_cuda_convolutions *all,
                                        const struct key *k, cudnnBackendDescriptor_t graph,
                                        cudnnBackendHeurMode_t mode)
{
    cudnnBackendDescriptor_t wish = make(m, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR), found[MOST],
                             engine = make(m, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    int64_t count = 0, one;
    set(m, wish, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph);
    set(m, wish, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    set(m, wish, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &all->properties);
    finish(m, wish, "the heuristics");
    for (int i = 0; i < MOST; i++)
        found[i] = make(m, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (m->status == CUDNN_STATUS_SUCCESS)
        check(m,
              library.cudnnBackendGetAttribute(wish, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                               CUDNN_TYPE_BACKEND_DESCRIPTOR, MOST, &count, found),
              "the heuristics' answer");
    for (int64_t i = 0; i < count && m->status == CUDNN_STATUS_SUCCESS; i++) {
        check(m,
              library.cudnnBackendGetAttribute(found[i], CUDNN_ATTR_ENGINECFG_ENGINE,
                                               CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &one, &engine),
              "an engine");
        if (!allowed(m, engine, k))
            continue;
        cudnnBackendDescriptor_t plan = make(m, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        set(m, plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &found[i]);
        set(m, plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
            &all->properties);
        if (m->status == CUDNN_STATUS_SUCCESS && library.cudnnBackendFinalize(plan) == CUDNN_STATUS_SUCCESS) {
            keep(m, found[i]); /* the plan's: nothing says that it holds it */
            keep(m, plan);
            return plan;
        }
        if (plan)
            library.cudnnBackendDestroyDescriptor(m->made[--m->count]); /* an engine that can't after all */
    }
    return NULL;
}

static gal_status make_plan(gal_cuda *device, struct gal_conv_plan *p)
{
    static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK};
    cudnnBackendDescriptor_t plan = NULL;
    gal_status status = GAL_OK;
    for (int i = 0; i < 2 && !plan && status == GAL_OK; i++) {
        maker m = {.status = CUDNN_STATUS_SUCCESS};
        plan = plan_of(&m, device->convolutions, &p->key, graph_of(&m, &p->key), modes[i]);
        int64_t one;
        if (plan)
            check(&m,
                  library.cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                                   CUDNN_TYPE_INT64, 1, &one, &p->room),
                  "a plan's size");
        status = close_maker(device, &m);
    }
    p->plan = plan;
    if (status == GAL_OK && !plan)
        status = gal_cuda_host->fail(GAL_DEVICE, "%s: cuDNN has no deterministic engine for this convolution",
                                     device->name);
    return status;
}

/* ---- what convolutions call ---- */

gal_status gal_cuda_conv_plan(gal_cuda *device, const gal_conv_plan **out, const gal_conv_args *g,
                              gal_conv_part part, uint32_t alignment)
{
    gal_status status = open_library(device);
    if (status != GAL_OK)
        return status;
    struct gal_cuda_convolutions *all = device->convolutions;
    const struct key key = {g->n,  g->h,      g->w,   g->c,    g->zh,         g->zw,        g->out,    g->kh,
                            g->kw, g->stride, g->top, g->left, (int32_t)part, g->precision, alignment, 0};
    for (struct gal_conv_plan *p = all->plans; p; p = p->next)
        if (!memcmp(&p->key, &key, sizeof key)) {
            *out = p;
            return GAL_OK;
        }
    struct gal_conv_plan *p = calloc(1, sizeof *p);
    if (!p)
        return gal_cuda_host->fail(GAL_MEMORY, "%s: no memory left on the host", device->name);
    p->key = key;
    status = make_plan(device, p);
    if (status != GAL_OK) {
        free(p);
        return status;
    }
    p->next = all->plans;
    *out = all->plans = p;
    return GAL_OK;
}

size_t gal_cuda_conv_room(const gal_conv_plan *plan)
{
    return (size_t)plan->room;
}

gal_status gal_cuda_conv_run(gal_cuda *device, const gal_conv_plan *plan, const void *x, const void *w,
                             const void *z, void *room)
{
    maker m = {.status = CUDNN_STATUS_SUCCESS};
    const int64_t names[3] = {X, W, Z};
    const void *const at[3] = {x, w, z};
    cudnnBackendDescriptor_t pack = make(&m, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set(&m, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3, names);
    set(&m, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, at);
    set(&m, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &room);
    finish(&m, pack, "a convolution's addresses");
    if (m.status == CUDNN_STATUS_SUCCESS)
        check(&m, library.cudnnBackendExecute(device->convolutions->handle, plan->plan, pack),
              "a convolution");
    return close_maker(device, &m);
}

#else /* the toolkit has no cuDNN, or an older one */

gal_status gal_cuda_conv_plan(gal_cuda *device, const gal_conv_plan **out, const gal_conv_args *g,
                              gal_conv_part part, uint32_t alignment)
{
    (void)out, (void)g, (void)part, (void)alignment;
    return gal_cuda_host->fail(GAL_DEVICE,
                               "%s: convolutions (conv2d, conv2d_backward) need cuDNN 9.11 or later: this "
                               "libgalrun_cuda.so was built without its headers",
                               device->name);
}

size_t gal_cuda_conv_room(const gal_conv_plan *plan)
{
    (void)plan;
    return 0;
}

gal_status gal_cuda_conv_run(gal_cuda *device, const gal_conv_plan *plan, const void *x, const void *w,
                             const void *z, void *room)
{
    (void)device, (void)plan, (void)x, (void)w, (void)z, (void)room;
    return GAL_DEVICE;
}
#endif
