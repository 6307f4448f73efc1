/* memory.c: every byte that tensors take is counted here, on all devices together, and kept below the soft
 * limit; and blocks of device memory, from free lists by size. Used from the one thread that runs Lua. */
#define _GNU_SOURCE
#include "core.h"
#include <stdlib.h>
#include <unistd.h>

/* ---- accounting ---- */
static gal_memory_info counts;
static int64_t allocated_since_collection;

void gal_memory_count(int64_t live, int64_t reserved)
{
    counts.live += live;
    counts.reserved += reserved;
    if (counts.live > counts.peak)
        counts.peak = counts.live;
}

void gal_memory_count_handles(int64_t handles)
{
    counts.tensors += handles;
}

static int64_t soft_limit(void)
{
    if (counts.limit == 0) /* three quarters of the machine's memory, until it is set */
        counts.limit = (int64_t)(0.75 * (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGE_SIZE));
    return counts.limit;
}

void gal_memory(gal_memory_info *info)
{
    soft_limit();
    *info = counts;
}

void gal_memory_set_limit(int64_t bytes)
{
    counts.limit = bytes;
}

int64_t gal_memory_allocated(int reset)
{
    int64_t bytes = allocated_since_collection;
    if (reset)
        allocated_since_collection = 0;
    return bytes;
}

/* ---- free lists: four sizes to each power of two, so that at most a fifth of a block is wasted ---- */
#define CLASSES 128
#define CACHED_BLOCK (64 << 20) /* larger blocks go straight back to the system */
typedef struct free_block {
    struct free_block *next;
    void *memory;
} free_block;
typedef struct pool {
    const gal_backend *backend;
    free_block *lists[CLASSES];
} pool;
static pool pools[2]; /* one for each backend */

static pool *pool_of(const gal_backend *backend)
{
    pool *p = pools[0].backend == NULL || pools[0].backend == backend ? &pools[0] : &pools[1];
    p->backend = backend;
    return p;
}

static int class_of(size_t bytes, size_t *capacity)
{
    int class = 0;
    size_t power = 256;
    while (power < bytes) {
        for (int quarter = 1; quarter <= 4; quarter++)
            if (power + power / 4 * quarter >= bytes) {
                *capacity = power + power / 4 * quarter;
                return class + quarter;
            }
        power *= 2;
        class += 4;
    }
    *capacity = power;
    return class;
}

static int cacheable(size_t bytes)
{
#ifdef __SANITIZE_ADDRESS__
    (void)bytes; /* a reused block would hide a use after free */
    return 0;
#else
    return bytes <= CACHED_BLOCK;
#endif
}

/* From the free list of its class, or new. */
static gal_status any_block(void **memory, const gal_backend *backend, size_t bytes)
{
    size_t capacity;
    int class = class_of(bytes, &capacity);
    if (!cacheable(bytes))
        capacity = bytes;
    free_block **list = &pool_of(backend)->lists[class];
    if (cacheable(bytes) && *list) {
        free_block *block = *list;
        *list = block->next;
        *memory = block->memory;
        free(block);
        return GAL_OK;
    }
    gal_status status = backend->allocate(backend, memory, capacity);
    if (status == GAL_OK)
        gal_memory_count(0, (int64_t)capacity);
    return status;
}

gal_status gal_block_take(void **memory, const gal_backend *backend, size_t bytes)
{
    if (counts.live + (int64_t)bytes > soft_limit())
        return gal_fail(GAL_BUDGET, "memory: %zu bytes more would pass the limit of %lld", bytes,
                        (long long)counts.limit);
    gal_status status = any_block(memory, backend, bytes);
    if (status == GAL_OK) {
        gal_memory_count((int64_t)bytes, 0);
        allocated_since_collection += (int64_t)bytes;
    }
    return status;
}

void gal_block_give(void *memory, const gal_backend *backend, size_t bytes)
{
    gal_memory_count(-(int64_t)bytes, 0);
    size_t capacity;
    int class = class_of(bytes, &capacity);
    free_block *block = cacheable(bytes) ? malloc(sizeof *block) : NULL;
    if (!block) {
        if (!cacheable(bytes))
            capacity = bytes;
        backend->release(backend, memory, capacity);
        gal_memory_count(0, -(int64_t)capacity);
        return;
    }
    free_block **list = &pool_of(backend)->lists[class];
    *block = (free_block){*list, memory};
    *list = block;
}

void gal_blocks_trim(void)
{
    for (int i = 0; i < 2; i++)
        for (int class = 0; pools[i].backend && class < CLASSES; class ++)
            while (pools[i].lists[class]) {
                free_block *block = pools[i].lists[class];
                pools[i].lists[class] = block->next;
                size_t capacity = (size_t)256 << (class / 4); /* class_of, backwards */
                capacity += capacity / 4 * (class % 4);
                pools[i].backend->release(pools[i].backend, block->memory, capacity);
                gal_memory_count(0, -(int64_t)capacity);
                free(block);
            }
}
