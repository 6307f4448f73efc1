/* plan.c: ops by number, recorded programs as CUDA graphs, and the faults that kernels find. */
#include "cuda.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- ops ---- */

/* The ops that have a kernel here. */
/* clang-format off */
#define GAL_CUDA_OPS(X) \
    X(affine) X(power) X(copy) X(fill) X(arange) \
    X(gather_rows) X(scatter_add_rows) X(next_rows) X(gather_images) \
    X(sum) X(mean) X(max) X(min) X(std) X(argmax) X(argmin) X(cumsum) \
    X(sort) X(argsort) X(quantiles) \
    X(matmul) X(linear) X(linear_backward_input) X(linear_backward_weight) \
    X(uniform) X(normal) X(permutation) X(random_advance) X(dropout) \
    X(conv2d) X(conv2d_backward) X(avg_pool2d) X(avg_pool2d_backward) X(max_pool2d) X(max_pool2d_backward) \
    X(layer_norm) X(layer_norm_backward) X(layer_norm_backward_scale) \
    X(flow_batch) X(mse) X(mse_backward) X(flow_integrate) \
    X(adamw) X(sgd) X(clip) X(sum_squares) X(kde_log_density)
/* clang-format on */

#define ENTRY(name, ...) [GAL_OP_##name] = gal_cuda_##name,
static gal_cuda_kernel *const kernels[GAL_OP_COUNT] = {GAL_UNARY_OPS(ENTRY) GAL_BINARY_OPS(ENTRY)
                                                           GAL_CUDA_OPS(ENTRY)};

gal_cuda_kernel *gal_cuda_kernel_of(int op)
{
    return op >= 0 && op < GAL_OP_COUNT ? kernels[op] : NULL;
}

gal_status gal_cuda_issue(const gal_backend *backend, const gal_call *call)
{
    gal_cuda *device = backend->self;
    cudaSetDevice(device->number);
    device->calls++;
    return kernels[call->op](device, call->args);
}

gal_status gal_cuda_report(gal_cuda *device)
{
    struct gal_cuda_fault *f = device->fault;
    gal_fault fault = f->fault;
    if (!f->found)
        return GAL_OK;
    memset(f, 0, sizeof *f);
    return gal_cuda_host->fault(&fault);
}

/* ---- plans ---- */

/* A recorded list: a graph or, where the capture failed, the list itself. */
typedef struct plan {
    cudaGraphExec_t graph;
    const gal_call *calls;
    int64_t count;
} plan;

/* Makes p's graph; or returns what a graph can't have, and p has none. */
static const char *capture(gal_cuda *device, plan *p)
{
    cudaGraph_t graph = NULL;
    const char *why = NULL;
    if (cudaStreamBeginCapture(device->stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess)
        return "its first call";
    device->capturing = 1;
    for (int64_t i = 0; i < p->count && !why; i++)
        if (gal_cuda_issue(&device->backend, &p->calls[i]) != GAL_OK)
            why = gal_op_name(p->calls[i].op);
    device->capturing = 0;
    if (cudaStreamEndCapture(device->stream, &graph) != cudaSuccess)
        why = why ? why : "one of its calls";
    else if (!why && cudaGraphInstantiate(&p->graph, graph, 0) != cudaSuccess)
        why = "all of them";
    if (graph)
        cudaGraphDestroy(graph);
    return why;
}

gal_status gal_cuda_prepare(const gal_backend *backend, void **out, const gal_call *calls, int64_t count)
{
    gal_cuda *device = backend->self;
    plan *p = malloc(sizeof *p);
    *out = p;
    if (!p)
        return gal_cuda_host->fail(GAL_MEMORY, "program: no memory left");
    *p = (plan){.calls = calls, .count = count};
    cudaSetDevice(device->number);
    const char *why = capture(device, p);
    if (!why) {
        device->plans++;
        return GAL_OK;
    }
    cudaGetLastError(); /* or the next call would report it */
    p->graph = NULL;
    gal_cuda_host->note("%s: the %lld calls of a program are issued one by one: a CUDA graph can't have %s",
                        device->name, (long long)count, why);
    return GAL_OK;
}

void gal_cuda_forget(const gal_backend *backend, void *plan_)
{
    gal_cuda *device = backend->self;
    plan *p = plan_;
    if (p->graph) {
        cudaSetDevice(device->number);
        cudaStreamSynchronize(device->stream);
        cudaGraphExecDestroy(p->graph);
        device->plans--;
    }
    free(p);
}

/* ---- how far the host runs ahead ----
 * Replays are issued in stints; the host waits for the stint before the last one, so that the card always has
 * work and Ctrl-C waits for two stints at most. A stint is made to take a tenth of a second or less. */
struct gal_cuda_pace {
    cudaEvent_t event[2];
    int64_t issued, stint; /* replays in this stint; so many are one */
    int turn;
    double last; /* when the host last waited, seconds */
};
#define STINT_SECONDS 0.05
#define STINT_MOST 1024

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

gal_status gal_cuda_plan_open(gal_cuda *device)
{
    struct gal_cuda_pace *pace = calloc(1, sizeof *pace);
    device->pace = pace;
    if (!pace)
        return gal_cuda_host->fail(GAL_MEMORY, "%s: no memory left on the host", device->name);
    pace->stint = 1;
    gal_status status = GAL_OK;
    for (int i = 0; i < 2 && status == GAL_OK; i++)
        status = gal_cuda_status(device, cudaEventCreateWithFlags(&pace->event[i], cudaEventDisableTiming),
                                 "an event");
    return status;
}

gal_status gal_cuda_keep_pace(gal_cuda *device)
{
    struct gal_cuda_pace *pace = device->pace;
    if (device->capturing || ++pace->issued < pace->stint)
        return GAL_OK;
    gal_status status =
        gal_cuda_status(device, cudaEventRecord(pace->event[pace->turn], device->stream), "an event");
    pace->turn ^= 1;
    if (status == GAL_OK) /* the stint before this one; at first none */
        status = gal_cuda_status(device, cudaEventSynchronize(pace->event[pace->turn]), "a replay");
    double at = seconds(), took = at - pace->last;
    if (took < STINT_SECONDS / 2 && pace->stint < STINT_MOST)
        pace->stint *= 2;
    else if (took > STINT_SECONDS && pace->stint > 1)
        pace->stint /= 2;
    pace->last = at;
    pace->issued = 0;
    return status;
}

gal_status gal_cuda_replay(const gal_backend *backend, void *plan_, int64_t times)
{
    gal_cuda *device = backend->self;
    const plan *p = plan_;
    gal_status status = gal_cuda_report(device);
    cudaSetDevice(device->number);
    for (int64_t i = 0; i < times && status == GAL_OK; i++) {
        if (gal_cuda_host->interrupted())
            return gal_cuda_host->fail(GAL_INTERRUPTED, "interrupted");
        if (p->graph)
            status = gal_cuda_status(device, cudaGraphLaunch(p->graph, device->stream), "a graph's launch");
        for (int64_t k = 0; !p->graph && k < p->count && status == GAL_OK; k++)
            status = gal_cuda_issue(backend, &p->calls[k]);
        if (status == GAL_OK)
            status = gal_cuda_keep_pace(device);
        if (status == GAL_OK)
            status = gal_cuda_report(device);
    }
    return status;
}
