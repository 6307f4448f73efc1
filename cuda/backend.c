/* backend.c: libgalrun_cuda.so: a card as a device of galrun's (backend.h). Everything of a device happens in
 * one stream: kernels, copies, the pool's memory and graphs, so that their order is that of the calls. */
#include "cuda.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* The most there can be; rows integrated at once: on tensor cores a round of an H100 takes 50,688, and of
 * five rounds and more little is lost to the last one; images encoded at once. */
enum { CARDS = 15, ROWS = 262144, IMAGES = 256 };

const gal_host *gal_cuda_host;
static gal_cuda cards[CARDS];

gal_status gal_cuda_status(gal_cuda *device, cudaError_t error, const char *what)
{
    if (error == cudaSuccess)
        return GAL_OK;
    cudaGetLastError(); /* or the next call would report it again */
    return gal_cuda_host->fail(error == cudaErrorMemoryAllocation ? GAL_MEMORY : GAL_DEVICE,
                               "%s: %s failed: %s (%s)", device->name, what, cudaGetErrorString(error),
                               cudaGetErrorName(error));
}

static gal_status about(const gal_backend *backend, gal_device_info *out)
{
    gal_cuda *device = backend->self;
    size_t available = 0, total = 0;
    cudaSetDevice(device->number);
    gal_status status = gal_cuda_status(device, cudaMemGetInfo(&available, &total), "cudaMemGetInfo");
    *out = (gal_device_info){
        .free = (int64_t)available, .total = (int64_t)total, .rows = ROWS, .images = IMAGES};
    memcpy(out->description, device->card, sizeof out->description);
    return status;
}

/* ---- copies and waiting ---- */

static gal_status upload(const gal_backend *backend, void *to, const void *host, size_t bytes)
{
    gal_cuda *device = backend->self;
    cudaSetDevice(device->number);
    return bytes ? gal_cuda_status(device,
                                   cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, device->stream),
                                   "an upload")
                 : GAL_OK;
}

static gal_status synchronize(const gal_backend *backend)
{
    gal_cuda *device = backend->self;
    cudaSetDevice(device->number);
    gal_status status = gal_cuda_status(device, cudaStreamSynchronize(device->stream), "what was issued");
    return status == GAL_OK ? gal_cuda_report(device) : status;
}

static gal_status download(const gal_backend *backend, void *host, const void *from, size_t bytes)
{
    gal_cuda *device = backend->self;
    cudaSetDevice(device->number);
    gal_status status =
        bytes ? gal_cuda_status(device,
                                cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, device->stream),
                                "a download")
              : GAL_OK;
    return status == GAL_OK ? synchronize(backend) : status;
}

/* ---- events ---- */

static gal_status event_new(const gal_backend *backend, void **event)
{
    gal_cuda *device = backend->self;
    cudaSetDevice(device->number);
    return gal_cuda_status(device, cudaEventCreateWithFlags((cudaEvent_t *)event, cudaEventDisableTiming),
                           "an event");
}

static void event_free(const gal_backend *backend, void *event)
{
    (void)backend;
    if (event)
        cudaEventDestroy(event);
}

static gal_status event_record(const gal_backend *backend, void *event)
{
    gal_cuda *device = backend->self;
    cudaSetDevice(device->number);
    return gal_cuda_status(device, cudaEventRecord(event, device->stream), "an event");
}

static gal_status event_wait(const gal_backend *backend, void *event)
{
    return gal_cuda_status(backend->self, cudaEventSynchronize(event), "what was issued");
}

/* ---- what the card can do ---- */

static int has(const gal_backend *backend, int op)
{
    (void)backend;
    return gal_cuda_kernel_of(op) != NULL;
}

/* Products and the integrator have all; convolutions keep z and its gradient in the type that they multiply,
 * for which f16 has too small a range. */
static int has_precision(const gal_backend *backend, int op, int precision)
{
    (void)backend;
    int every = op == GAL_OP_flow_integrate || op == GAL_OP_matmul || op == GAL_OP_linear ||
                op == GAL_OP_linear_backward_input || op == GAL_OP_linear_backward_weight;
    int convolution = op == GAL_OP_conv2d || op == GAL_OP_conv2d_backward;
    return precision == GAL_IN_F32 || every || (convolution && precision != GAL_IN_F16);
}

/* A card has the memory, and working it out again costs another product: conv.c says what it holds. */
static int stores_slope(const gal_backend *backend, int64_t out, int64_t kh, int64_t kw, int64_t c)
{
    (void)backend, (void)out, (void)kh, (void)kw, (void)c;
    return 1;
}

/* ---- opening ---- */

static const gal_backend table = {.alignment = 256,
                                  .about = about,
                                  .allocate = gal_cuda_allocate,
                                  .release = gal_cuda_release,
                                  .allocate_pinned = gal_cuda_allocate_pinned,
                                  .release_pinned = gal_cuda_release_pinned,
                                  .upload = upload,
                                  .upload_pinned = upload,
                                  .download = download,
                                  .synchronize = synchronize,
                                  .event_new = event_new,
                                  .event_free = event_free,
                                  .event_record = event_record,
                                  .event_wait = event_wait,
                                  .has = has,
                                  .has_precision = has_precision,
                                  .stores_slope = stores_slope,
                                  .issue = gal_cuda_issue,
                                  .prepare = gal_cuda_prepare,
                                  .replay = gal_cuda_replay,
                                  .forget = gal_cuda_forget};

/* Makes the card ready; what was made of it before a failure stays, and is used when it is tried again. */
static gal_status make(gal_cuda *device)
{
    struct cudaDeviceProp card;
    gal_status status = gal_cuda_status(device, cudaSetDevice(device->number), "cudaSetDevice");
    if (status == GAL_OK)
        status = gal_cuda_status(device, cudaGetDeviceProperties(&card, device->number),
                                 "cudaGetDeviceProperties");
    if (status != GAL_OK)
        return status;
    snprintf(device->card, sizeof device->card, "%.80s, compute capability %d.%d", card.name, card.major,
             card.minor);
    device->processors = card.multiProcessorCount;
    device->shared = (int64_t)card.sharedMemPerBlockOptin;
    device->total = (int64_t)card.totalGlobalMem;
    if (card.major < 8)
        return gal_cuda_host->fail(GAL_DEVICE, "device \"%s\" can't be had: %s, expected 8.0 or more",
                                   device->name, device->card);
    status = gal_cuda_status(device, cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking),
                             "a stream");
    if (status == GAL_OK)
        status = gal_cuda_status(
            device, cudaHostAlloc((void **)&device->fault, sizeof *device->fault, cudaHostAllocMapped),
            "cudaHostAlloc");
    if (status == GAL_OK) {
        memset(device->fault, 0, sizeof *device->fault);
        status = gal_cuda_memory_open(device);
    }
    if (status == GAL_OK)
        status = gal_cuda_plan_open(device);
    return status;
}

/* How many cards there are, or the sentence that says what is missing. */
static gal_status count_cards(int *count, const char *name)
{
    int driver = 0;
    cudaError_t error = cudaGetDeviceCount(count);
    if (error == cudaSuccess && *count > 0)
        return GAL_OK;
    cudaGetLastError();
    cudaDriverGetVersion(&driver);
    if (error == cudaErrorInsufficientDriver && driver == 0)
        return gal_cuda_host->fail(GAL_DEVICE,
                                   "device \"%s\" can't be had: this machine has no NVIDIA driver", name);
    if (error == cudaErrorInsufficientDriver)
        return gal_cuda_host->fail(
            GAL_DEVICE, "device \"%s\" can't be had: the NVIDIA driver has CUDA %d.%d, expected %d.%d", name,
            driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    if (error == cudaErrorNoDevice || error == cudaSuccess)
        return gal_cuda_host->fail(GAL_DEVICE, "device \"%s\" can't be had: this machine has no NVIDIA card",
                                   name);
    return gal_cuda_host->fail(GAL_DEVICE, "device \"%s\" can't be had: %s", name, cudaGetErrorString(error));
}

__attribute__((visibility("default"))) gal_status gal_backend_open(const gal_backend **out, int number,
                                                                   const gal_host *host)
{
    int count = 0;
    char name[16];
    if (host->version != GAL_BACKEND_VERSION)
        return host->fail(GAL_DEVICE,
                          "device \"cuda\" can't be had: libgalrun_cuda.so is of another version of galrun");
    gal_cuda_host = host;
    snprintf(name, sizeof name, number ? "cuda:%d" : "cuda", number);
    gal_status status = count_cards(&count, name);
    if (status != GAL_OK)
        return status;
    count = count < CARDS ? count : CARDS;
    if (number < 0 || number >= count)
        return host->fail(GAL_DEVICE, "device \"%s\" can't be had: this machine has %d of them", name, count);
    gal_cuda *device = &cards[number];
    if (!device->backend.self) {
        device->number = number;
        memcpy(device->name, name, sizeof name);
        device->backend = table;
        device->backend.name = device->name;
        status = make(device);
        if (status != GAL_OK)
            return status;
        device->backend.self = device;
    }
    *out = &device->backend;
    return GAL_OK;
}
