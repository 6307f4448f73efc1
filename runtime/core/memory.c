/* memory.c: of each device, every byte that tensors take is counted here and kept below the device's soft
 * limit; and blocks of its memory, from free lists by size. Used from the one thread that runs Lua. */
#include "core.h"
#include <stdlib.h>

#define CLASSES 128
typedef struct free_block {
    struct free_block *next;
    void *memory;
} free_block;
/* What is known of one device's memory. */
typedef struct pool {
    const gal_backend *backend; /* NULL: nobody has asked for memory of a device in this place yet */
    gal_memory_info counts;
    free_block *lists[CLASSES];
} pool;
static pool pools[GAL_DEVICES];
static int64_t handles; /* outside arenas, of all devices */
static int64_t allocated_since_collection;

static pool *pool_of(const gal_backend *backend)
{
    pool *p = pools;
    while (p->backend != backend && p->backend) /* device.c opens no more than there are places */
        p++;
    p->backend = backend;
    return p;
}

/* ---- accounting ---- */
static void count(pool *p, int64_t live, int64_t reserved)
{
    p->counts.live += live;
    p->counts.reserved += reserved;
    if (p->counts.live > p->counts.peak)
        p->counts.peak = p->counts.live;
}

void gal_memory_count_live(const gal_backend *backend, int64_t bytes)
{
    count(pool_of(backend), bytes, 0);
}

void gal_memory_count_handles(int64_t more)
{
    handles += more;
}

static int64_t soft_limit(pool *p)
{
    gal_device_info about;
    if (p->counts.limit == 0 && p->backend->about(p->backend, &about) == GAL_OK)
        p->counts.limit = about.total / 4 * 3; /* until it is set */
    return p->counts.limit;
}

/* GAL_BUDGET where so many more live bytes would pass the limit. */
static gal_status within_limit(pool *p, size_t bytes)
{
    return p->counts.live + (int64_t)bytes <= soft_limit(p)
               ? GAL_OK
               : gal_fail(GAL_BUDGET, "memory: %.3g GB more would pass the limit of %.3g GB on %s",
                          (double)bytes / 1e9, (double)p->counts.limit / 1e9, p->backend->name);
}

gal_status gal_memory_room(const gal_backend *backend, size_t bytes)
{
    return within_limit(pool_of(backend), bytes);
}

gal_status gal_memory(const char *device, gal_memory_info *info)
{
    const gal_backend *backend;
    gal_status status = gal_backend_find(&backend, device);
    if (status != GAL_OK)
        return status;
    pool *p = pool_of(backend);
    soft_limit(p);
    *info = p->counts;
    info->tensors = handles;
    return GAL_OK;
}

gal_status gal_memory_set_limit(const char *device, int64_t bytes)
{
    const gal_backend *backend;
    gal_status status = gal_backend_find(&backend, device);
    if (status == GAL_OK)
        pool_of(backend)->counts.limit = bytes;
    return status;
}

void gal_memory_outside(int64_t bytes)
{
    allocated_since_collection += bytes;
}

int64_t gal_memory_allocated(int reset)
{
    int64_t bytes = allocated_since_collection;
    if (reset)
        allocated_since_collection = 0;
    return bytes;
}

/* ---- memory of the device ---- */
/* Gives the free lists of a pool back to its device. */
static void trim(pool *p)
{
    for (int class = 0; class < CLASSES; class ++)
        while (p->lists[class]) {
            free_block *block = p->lists[class];
            p->lists[class] = block->next;
            size_t capacity = (size_t)256 << (class / 4); /* class_of, backwards */
            capacity += capacity / 4 * (class % 4);
            p->backend->release(p->backend, block->memory, capacity);
            count(p, 0, -(int64_t)capacity);
            free(block);
        }
}

void gal_blocks_trim(void)
{
    for (int i = 0; i < GAL_DEVICES && pools[i].backend; i++)
        trim(&pools[i]);
}

gal_status gal_chunk_take(void **memory, const gal_backend *backend, size_t bytes)
{
    pool *p = pool_of(backend);
    gal_status status = backend->allocate(backend, memory, bytes);
    if (status == GAL_MEMORY) { /* what lies in the free lists may be enough */
        trim(p);
        status = backend->allocate(backend, memory, bytes);
    }
    if (status == GAL_OK)
        count(p, 0, (int64_t)bytes);
    return status;
}

void gal_chunk_give(void *memory, const gal_backend *backend, size_t bytes)
{
    backend->release(backend, memory, bytes);
    count(pool_of(backend), 0, -(int64_t)bytes);
}

/* ---- free lists: four sizes to each power of two, so that at most a fifth of a block is wasted ---- */
#define CACHED_BLOCK (64 << 20) /* larger blocks go straight back to the system */

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
static gal_status any_block(void **memory, pool *p, size_t bytes)
{
    size_t capacity;
    int class = class_of(bytes, &capacity);
    if (!cacheable(bytes))
        return gal_chunk_take(memory, p->backend, bytes);
    free_block *block = p->lists[class];
    if (!block)
        return gal_chunk_take(memory, p->backend, capacity);
    p->lists[class] = block->next;
    *memory = block->memory;
    free(block);
    return GAL_OK;
}

gal_status gal_block_take(void **memory, const gal_backend *backend, size_t bytes)
{
    pool *p = pool_of(backend);
    gal_status status = within_limit(p, bytes);
    if (status == GAL_OK)
        status = any_block(memory, p, bytes);
    if (status == GAL_OK) {
        count(p, (int64_t)bytes, 0);
        allocated_since_collection += (int64_t)bytes;
    }
    return status;
}

void gal_block_give(void *memory, const gal_backend *backend, size_t bytes)
{
    pool *p = pool_of(backend);
    count(p, -(int64_t)bytes, 0);
    size_t capacity;
    int class = class_of(bytes, &capacity);
    free_block *block = cacheable(bytes) ? malloc(sizeof *block) : NULL;
    if (!block) {
        gal_chunk_give(memory, backend, cacheable(bytes) ? capacity : bytes);
        return;
    }
    *block = (free_block){p->lists[class], memory};
    p->lists[class] = block;
}
