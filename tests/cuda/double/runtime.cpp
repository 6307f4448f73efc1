/* runtime.cpp: streams, events, graphs, copies and launches. Work waits in its stream until somebody waits
 * for it, as late as may be, so that a missing synchronisation shows (GAL_DOUBLE_EAGER=1: it is done at
 * once). GAL_DOUBLE_FAIL=NAME:N makes the N-th call of a function fail. */
#include "double.h"
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <set>

struct Work {
    std::function<void()> run;
    const char *name;
    bool opens;
};
struct CUgraph_st {
    std::vector<Work> nodes;
    bool broken = false;
};
struct CUgraphExec_st {
    std::vector<Work> nodes;
};
struct CUstream_st {
    std::deque<Work> queue;
    CUgraph_st *capture = nullptr;
    uint64_t issued = 0, done = 0;
};
struct CUevent_st {
    CUstream_st *stream = nullptr;
    uint64_t position = 0;
};

namespace twin
{
enum { MOST = 16384 }; /* calls in a queue that nobody waits for: a card's queue is bounded too */
static std::set<CUstream_st *> streams;
static cudaError_t last;
static int captures;
static std::map<const void *, int> most_shared; /* what cudaFuncSetAttribute allowed a kernel, bytes */
static std::string node_names;                  /* of the graph that was made last */
static size_t node_count;

cudaError_t status(cudaError_t error)
{
    return error == cudaSuccess ? error : last = error;
}

bool failing(const char *name)
{
    static const char *plan = getenv("GAL_DOUBLE_FAIL");
    static int left = plan && strchr(plan, ':') ? atoi(strchr(plan, ':') + 1) : 0;
    size_t length = strlen(name);
    return plan && !strncmp(plan, name, length) && plan[length] == ':' && --left == 0;
}

/* What must not be called while a stream is captured: it breaks the capture. */
cudaError_t outside_capture()
{
    if (!captures)
        return cudaSuccess;
    for (auto s : streams)
        if (s->capture)
            s->capture->broken = true;
    return status(cudaErrorStreamCaptureUnsupported);
}

static void drain(CUstream_st *s, uint64_t to = UINT64_MAX)
{
    std::unique_ptr<Window> open;
    while (!s->queue.empty() && s->done < to) {
        Work w = std::move(s->queue.front());
        s->queue.pop_front();
        if (!w.opens && !open)
            open = std::make_unique<Window>();
        w.run();
        s->done++;
    }
}

void wait_for_all()
{
    for (auto s : streams)
        drain(s);
}

cudaError_t push(cudaStream_t s, const char *name, std::function<void()> work, bool opens)
{
    static const bool eager = getenv("GAL_DOUBLE_EAGER") != nullptr;
    if (!streams.count(s))
        fault("%s: in no stream that exists (the default stream can't be captured)", name);
    if (s->capture) {
        s->capture->nodes.push_back({std::move(work), name, opens});
        return cudaSuccess;
    }
    s->queue.push_back({std::move(work), name, opens});
    s->issued++;
    if (eager || s->queue.size() > MOST)
        drain(s);
    return cudaSuccess;
}

cudaError_t launch(const cudaLaunchConfig_t &c, const void *kernel, std::shared_ptr<void> arguments,
                   size_t bytes, Caller *call)
{
    const char *name = next_kernel ? next_kernel : "a kernel";
    uint64_t threads = (uint64_t)c.blockDim.x * c.blockDim.y * c.blockDim.z;
    bool grid = c.gridDim.x && c.gridDim.y && c.gridDim.z && c.gridDim.x <= 0x7fffffff &&
                c.gridDim.y <= 65535 && c.gridDim.z <= 65535;
    if (threads == 0 || threads > 1024 || !grid)
        return status(cudaErrorInvalidConfiguration);
    size_t most = most_shared.count(kernel) ? (size_t)most_shared[kernel] : (size_t)SHARED_FIXED;
    if (c.dynamicSmemBytes > most || failing("launch"))
        return status(cudaErrorInvalidValue);
    return push(c.stream, name, [=] { run_grid(c, name, kernel, arguments.get(), bytes, call); });
}
static bool kind_fits(const void *to, const void *from, cudaMemcpyKind kind)
{
    bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    return on_device(to) == to_device && on_device(from) == from_device;
}
} // namespace twin

using namespace twin;
extern "C" {
/* ---- devices ---- */
cudaError_t cudaGetDeviceCount(int *count)
{
    const char *devices = getenv("GAL_DOUBLE_DEVICES");
    *count = devices ? atoi(devices) : 2;
    return *count > 0 ? cudaSuccess : status(*count ? cudaErrorInsufficientDriver : cudaErrorNoDevice);
}

cudaError_t cudaDriverGetVersion(int *version)
{
    int count;
    *version = cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver ? 0 : CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int)
{
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int)
{
    *p = cudaDeviceProp();
    snprintf(p->name, sizeof p->name, "a double of a card");
    p->major = 9, p->minor = 0, p->multiProcessorCount = 4;
    p->sharedMemPerBlockOptin = SHARED_BYTES;
    size_t available;
    return cudaMemGetInfo(&available, &p->totalGlobalMem);
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *pool, int)
{
    *pool = nullptr;
    return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void *)
{
    return cudaSuccess;
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t)
{
    return outside_capture();
}

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute, int value)
{
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value > SHARED_BYTES)
        return status(cudaErrorInvalidValue);
    most_shared[kernel] = value;
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t error = last;
    last = cudaSuccess;
    return error;
}

const char *cudaGetErrorName(cudaError_t error)
{
    switch (error) {
#define NAME(name) \
    case name:     \
        return #name;
        NAME(cudaSuccess)
        NAME(cudaErrorMemoryAllocation)
        NAME(cudaErrorInvalidValue)
        NAME(cudaErrorInvalidConfiguration)
        NAME(cudaErrorNoDevice)
        NAME(cudaErrorInsufficientDriver)
        NAME(cudaErrorStreamCaptureUnsupported)
        NAME(cudaErrorStreamCaptureInvalidated)
#undef NAME
    default:
        return "an error";
    }
}

const char *cudaGetErrorString(cudaError_t error)
{
    return cudaGetErrorName(error);
}

/* ---- copies ---- */
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t s)
{
    if (!kind_fits(to, from, kind) || failing("cudaMemcpyAsync"))
        return status(cudaErrorInvalidValue);
    bool pageable_to = !on_device(to) && !pinned(to, bytes),
         pageable_from = !on_device(from) && !pinned(from, bytes);
    if ((pageable_to || pageable_from) && s->capture)
        return outside_capture();
    if (pageable_from) { /* staged before the call returns */
        auto stage = std::make_shared<std::vector<char>>((const char *)from, (const char *)from + bytes);
        return push(
            s, "copy", [=] { move(to, stage->data(), bytes); }, true);
    }
    cudaError_t error = push(
        s, "copy", [=] { move(to, from, bytes); }, true);
    if (pageable_to) /* returns when the bytes are there */
        drain(s);
    return error;
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t s)
{
    return push(s, "set", [=] {
        Window open;
        check_range(p, bytes, true, "set");
        written(p, bytes);
        std::memset(p, value, bytes);
    });
}

/* ---- streams and events ---- */
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    streams.insert(*s = new CUstream_st);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    if (s->capture)
        return outside_capture();
    drain(s);
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned)
{
    *event = new CUevent_st;
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t s)
{
    if (s->capture)
        return outside_capture();
    event->stream = s;
    event->position = s->issued;
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    cudaError_t error = outside_capture();
    if (error == cudaSuccess && event->stream)
        drain(event->stream, event->position);
    return error;
}

/* ---- graphs ---- */
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode)
{
    if (s->capture)
        return status(cudaErrorIllegalState);
    s->capture = new CUgraph_st;
    captures++;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *graph)
{
    CUgraph_st *g = s->capture;
    *graph = nullptr;
    if (!g)
        return status(cudaErrorIllegalState);
    s->capture = nullptr;
    captures--;
    if (g->broken || failing("cudaStreamEndCapture")) {
        delete g;
        return status(cudaErrorStreamCaptureInvalidated);
    }
    *graph = g;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
    *exec = new CUgraphExec_st{graph->nodes};
    node_count = graph->nodes.size();
    node_names.clear();
    for (auto &node : graph->nodes)
        node_names += std::string(node.name) + " ";
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t s)
{
    cudaError_t error = failing("cudaGraphLaunch") ? status(cudaErrorInvalidValue) : cudaSuccess;
    for (size_t i = 0; i < exec->nodes.size() && error == cudaSuccess; i++)
        error = push(s, exec->nodes[i].name, exec->nodes[i].run, exec->nodes[i].opens);
    return error;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    delete exec;
    return cudaSuccess;
}

/* For tests: how many nodes the graph has that was made last, and their names. */
__attribute__((visibility("default"))) size_t gal_double_nodes(const char **names)
{
    *names = node_names.c_str();
    return node_count;
}
}
