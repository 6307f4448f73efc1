/* memory.c: a card's memory from CUDA's stream-ordered pool: a block that is given back is reused by calls
 * that are issued later, without waiting. And the scratch block that large kernels work in. */
#include "cuda.h"
#include <stdlib.h>

#define LARGEST 4 /* of the blocks that exist, named when there is no memory left */

/* A scratch block, and those that it has taken the place of: graphs may name them. */
typedef struct scratch {
    struct scratch *older;
    void *memory;
    size_t bytes;
} scratch;

/* A block that exists; a heap by `bytes` would be faster, but a few thousand blocks are looked at only when
 * memory has run out. */
typedef struct block {
    struct block *next;
    const void *memory;
    size_t bytes;
} block;

enum { BUCKETS = 1024 };
struct gal_cuda_memory {
    scratch *scratch;
    block *blocks[BUCKETS];
};

static block **bucket_of(struct gal_cuda_memory *m, const void *memory)
{
    return &m->blocks[(uintptr_t)memory / 256 % BUCKETS];
}

static void note(struct gal_cuda_memory *m, const void *memory, size_t bytes)
{
    block *b = malloc(sizeof *b), **bucket = bucket_of(m, memory);
    if (!b)
        return; /* it goes unnamed */
    *b = (block){*bucket, memory, bytes};
    *bucket = b;
}

static void forget(struct gal_cuda_memory *m, const void *memory)
{
    for (block **at = bucket_of(m, memory); *at; at = &(*at)->next)
        if ((*at)->memory == memory) {
            block *found = *at;
            *at = found->next;
            free(found);
            return;
        }
}

/* The largest blocks, largest first. */
static void largest(const struct gal_cuda_memory *m, size_t bytes[LARGEST])
{
    for (int i = 0; i < LARGEST; i++)
        bytes[i] = 0;
    for (int i = 0; i < BUCKETS; i++)
        for (const block *b = m->blocks[i]; b; b = b->next) {
            size_t rest = b->bytes;
            for (int k = 0; k < LARGEST; k++)
                if (rest > bytes[k]) {
                    size_t smaller = bytes[k];
                    bytes[k] = rest;
                    rest = smaller;
                }
        }
}

static gal_status none_left(gal_cuda *device, size_t bytes)
{
    size_t held[LARGEST], available = 0, total = 0;
    largest(device->memory, held);
    cudaMemGetInfo(&available, &total);
    return gal_cuda_host->fail(
        GAL_MEMORY,
        "%s: no memory left for %.1f MiB; the card has %.0f MiB, of which %.0f are free; "
        "the largest blocks in use have %.1f, %.1f, %.1f and %.1f MiB",
        device->name, (double)bytes / 1048576, (double)total / 1048576, (double)available / 1048576,
        (double)held[0] / 1048576, (double)held[1] / 1048576, (double)held[2] / 1048576,
        (double)held[3] / 1048576);
}

/* Twice: the second time after all that was given back has gone to the card. */
static cudaError_t take(gal_cuda *device, void **out, size_t bytes)
{
    cudaError_t error = cudaMallocAsync(out, bytes ? bytes : 1, device->stream);
    if (error != cudaErrorMemoryAllocation)
        return error;
    cudaGetLastError();
    error = cudaStreamSynchronize(device->stream);
    if (error == cudaSuccess)
        error = cudaMemPoolTrimTo(device->pool, 0);
    return error == cudaSuccess ? cudaMallocAsync(out, bytes ? bytes : 1, device->stream) : error;
}

static gal_status allocate(gal_cuda *device, void **out, size_t bytes)
{
    cudaSetDevice(device->number);
    cudaError_t error = take(device, out, bytes);
    if (error == cudaSuccess)
        return GAL_OK;
    *out = NULL;
    if (error != cudaErrorMemoryAllocation)
        return gal_cuda_status(device, error, "cudaMallocAsync");
    cudaGetLastError();
    return none_left(device, bytes);
}

gal_status gal_cuda_allocate(const gal_backend *backend, void **out, size_t bytes)
{
    gal_cuda *device = backend->self;
    gal_status status = allocate(device, out, bytes);
    if (status == GAL_OK)
        note(device->memory, *out, bytes);
    return status;
}

void gal_cuda_release(const gal_backend *backend, void *memory, size_t bytes)
{
    gal_cuda *device = backend->self;
    (void)bytes;
    if (!memory)
        return;
    forget(device->memory, memory);
    cudaSetDevice(device->number);
    cudaFreeAsync(memory, device->stream);
}

gal_status gal_cuda_allocate_pinned(const gal_backend *backend, void **out, size_t bytes)
{
    gal_cuda *device = backend->self;
    cudaSetDevice(device->number);
    cudaError_t error = cudaHostAlloc(out, bytes ? bytes : 1, cudaHostAllocDefault);
    if (error == cudaSuccess)
        return GAL_OK;
    *out = NULL;
    cudaGetLastError();
    return gal_cuda_host->fail(GAL_MEMORY, "%s: no pinned memory left for %zu bytes", device->name, bytes);
}

void gal_cuda_release_pinned(const gal_backend *backend, void *memory, size_t bytes)
{
    gal_cuda *device = backend->self;
    (void)bytes;
    cudaSetDevice(device->number);
    cudaFreeHost(memory);
}

gal_status gal_cuda_memory_open(gal_cuda *device)
{
    uint64_t keep = UINT64_MAX; /* what is given back stays with the process, for its next tensors */
    device->memory = calloc(1, sizeof *device->memory);
    if (!device->memory)
        return gal_cuda_host->fail(GAL_MEMORY, "%s: no memory left on the host", device->name);
    gal_status status = gal_cuda_status(device, cudaDeviceGetDefaultMemPool(&device->pool, device->number),
                                        "cudaDeviceGetDefaultMemPool");
    return status == GAL_OK
               ? gal_cuda_status(
                     device, cudaMemPoolSetAttribute(device->pool, cudaMemPoolAttrReleaseThreshold, &keep),
                     "cudaMemPoolSetAttribute")
               : status;
}

gal_status gal_cuda_scratch(gal_cuda *device, void **out, size_t bytes)
{
    struct gal_cuda_memory *m = device->memory;
    if (!m->scratch || m->scratch->bytes < bytes) {
        scratch *larger = malloc(sizeof *larger);
        size_t twice = m->scratch ? 2 * m->scratch->bytes : (size_t)1 << 20;
        if (!larger)
            return gal_cuda_host->fail(GAL_MEMORY, "%s: no memory left on the host", device->name);
        *larger = (scratch){.older = m->scratch, .bytes = bytes > twice ? bytes : twice};
        gal_status status = allocate(device, &larger->memory, larger->bytes);
        if (status != GAL_OK) {
            free(larger);
            return status;
        }
        m->scratch = larger;
    }
    while (!device->plans && m->scratch->older) {
        scratch *old = m->scratch->older;
        m->scratch->older = old->older;
        cudaFreeAsync(old->memory, device->stream);
        free(old);
    }
    *out = m->scratch->memory;
    return GAL_OK;
}
