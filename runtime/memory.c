/* memory.c: where tensors live. Owned blocks come from free lists by size; scopes and programs allocate from arenas, which are bumped and
 * rewound, so that the same step gets the same addresses. Every byte is counted. Used from the one thread that runs Lua. */
#define _GNU_SOURCE
#include "runtime.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALIGNMENT 64 /* a cache line, and one AVX-512 vector */
static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- accounting ---- */
static gal_memory_info counts;
static int64_t allocated_since_collection;

static void add_live(int64_t bytes)
{
    counts.live += bytes;
    if (counts.live > counts.peak)
        counts.peak = counts.live;
}

static int64_t soft_limit(void)
{
    if (counts.limit == 0) /* three quarters of the machine until somebody says otherwise */
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
static pool pools[2]; /* one a backend */

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

static gal_status block_take(void **memory, const gal_backend *backend, size_t bytes)
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
    gal_status status = backend->allocate(memory, capacity);
    if (status == GAL_OK)
        counts.reserved += (int64_t)capacity;
    return status;
}

static void block_give(void *memory, const gal_backend *backend, size_t bytes)
{
    size_t capacity;
    int class = class_of(bytes, &capacity);
    free_block *block = cacheable(bytes) ? malloc(sizeof *block) : NULL;
    if (!block) {
        if (!cacheable(bytes))
            capacity = bytes;
        backend->release(memory, capacity);
        counts.reserved -= (int64_t)capacity;
        return;
    }
    free_block **list = &pool_of(backend)->lists[class];
    *block = (free_block){*list, memory};
    *list = block;
}

/* ---- arenas ---- */
typedef struct chunk {
    struct chunk *next;
    char *base;
    size_t size, used;
} chunk;
/* Chunks in the order in which they fill, from backend, or from malloc (handles). `last` is the one in use; those behind it are empty. */
typedef struct bump {
    const gal_backend *backend;
    chunk *first, *last;
} bump;
enum { HANDLES, DEVICE, OTHER_DEVICE, BUMPS };
/* A storage from outside that a handle in the arena is a view of; in the arena itself, the latest first. */
typedef struct hold {
    struct hold *next;
    gal_storage *storage;
} hold;
struct gal_arena {
    bump bumps[BUMPS];
    hold *holds;
};
#define CHUNK_SMALLEST (1 << 20)
#define CHUNK_LARGEST (64 << 20) /* unless one tensor wants more */
#define HANDLES_CHUNK (64 << 10)

static gal_status chunk_new(chunk **out, const gal_backend *backend, size_t size)
{
    chunk *fresh = calloc(1, sizeof *fresh);
    void *memory = NULL;
    gal_status status = GAL_OK;
    if (fresh && backend)
        status = backend->allocate(&memory, size);
    else if (fresh)
        memory = aligned_alloc(ALIGNMENT, size);
    if (status != GAL_OK || !memory) {
        free(fresh);
        return status != GAL_OK ? status : gal_fail(GAL_MEMORY, "memory: no %zu bytes left for an arena", size);
    }
    if (backend)
        counts.reserved += (int64_t)size;
    *fresh = (chunk){.base = memory, .size = size};
    *out = fresh;
    return GAL_OK;
}

/* Bumps the chunk in use, or moves on to the next one with room: the choice depends on the sequence of requests alone. */
static gal_status bump_take(void **out, bump *b, size_t bytes)
{
    bytes = aligned(bytes ? bytes : 1);
    size_t size = b->backend ? CHUNK_SMALLEST : HANDLES_CHUNK;
    while (!b->last || b->last->size - b->last->used < bytes) {
        chunk **next = b->last ? &b->last->next : &b->first;
        if (!*next) {
            if (b->last)
                size = b->last->size < CHUNK_LARGEST / 2 ? 2 * b->last->size : CHUNK_LARGEST;
            gal_status status = chunk_new(next, b->backend, size > bytes ? size : bytes);
            if (status != GAL_OK)
                return status;
        }
        b->last = *next;
    }
    *out = b->last->base + b->last->used;
    b->last->used += bytes;
    if (b->backend)
        add_live((int64_t)bytes);
    return GAL_OK;
}

/* Empties every chunk behind `last`, and `last` down to `used`; last NULL: all of them. */
static void bump_rewind(bump *b, chunk *last, size_t used)
{
    for (chunk *c = last ? last : b->first; c; c = c->next) {
        size_t keep = c == last ? used : 0;
        if (b->backend)
            counts.live -= (int64_t)(c->used - keep);
        c->used = keep;
    }
    b->last = last;
}

/* Lets go of the storages held after `first` was; NULL: of all. */
static void holds_release(gal_arena *arena, const hold *first)
{
    for (; arena->holds != first; arena->holds = arena->holds->next)
        gal_storage_release(arena->holds->storage);
}

static bump *bump_of(gal_arena *arena, const gal_backend *backend)
{
    bump *b = &arena->bumps[DEVICE];
    if (b->backend && b->backend != backend)
        b = &arena->bumps[OTHER_DEVICE];
    b->backend = backend;
    return b;
}

gal_status gal_arena_new(gal_arena **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? GAL_OK : gal_fail(GAL_MEMORY, "memory: none left for an arena");
}

void gal_arena_free(gal_arena *arena)
{
    if (arena)
        holds_release(arena, NULL);
    for (int i = 0; arena && i < BUMPS; i++) {
        bump *b = &arena->bumps[i];
        bump_rewind(b, NULL, 0);
        while (b->first) {
            chunk *c = b->first;
            b->first = c->next;
            if (b->backend) {
                counts.reserved -= (int64_t)c->size;
                b->backend->release(c->base, c->size);
            } else
                free(c->base);
            free(c);
        }
    }
    free(arena);
}

/* The stack of places where tensors are made: arenas entered, scopes (an arena and how far it was used) and pauses (none). */
#define PLACES 64
typedef struct place {
    gal_arena *arena; /* NULL: owned */
    int is_scope;
    chunk *last[BUMPS];
    size_t used[BUMPS];
    hold *holds;
} place;
static place places[PLACES];
static int depth; /* of places */
static gal_arena *scope_arena;

static gal_arena *current_arena(void)
{
    return depth ? places[depth - 1].arena : NULL;
}

void gal_arena_enter(gal_arena *arena)
{
    places[depth++] = (place){.arena = arena};
}

void gal_arena_leave(void)
{
    depth--;
}

gal_status gal_scope_open(void)
{
    if (depth >= PLACES - 4)
        return gal_fail(GAL_STATE, "scope: %d are open inside one another, which is the most there can be", depth);
    gal_arena *arena = current_arena(); /* inside a recording: the program's, rewound in the replay's own order */
    if (!arena) {
        gal_status status = scope_arena ? GAL_OK : gal_arena_new(&scope_arena);
        if (status != GAL_OK)
            return status;
        arena = scope_arena;
    }
    place *p = &places[depth++];
    *p = (place){.arena = arena, .is_scope = 1, .holds = arena->holds};
    for (int i = 0; i < BUMPS; i++) {
        p->last[i] = arena->bumps[i].last;
        p->used[i] = p->last[i] ? p->last[i]->used : 0;
    }
    return GAL_OK;
}

gal_status gal_scope_close(void)
{
    if (!depth || !places[depth - 1].is_scope)
        return gal_fail(GAL_STATE, "scope: none is open here");
    const place *p = &places[--depth];
    holds_release(p->arena, p->holds);
    for (int i = 0; i < BUMPS; i++)
        bump_rewind(&p->arena->bumps[i], p->last[i], p->used[i]);
    return GAL_OK;
}

int gal_scope_depth(void)
{
    int scopes = 0;
    for (int i = 0; i < depth; i++)
        scopes += places[i].is_scope;
    return scopes;
}

void gal_scope_pause(void)
{
    gal_arena_enter(NULL);
}

void gal_scope_resume(void)
{
    gal_arena_leave();
}

void gal_memory_trim(void)
{
    for (int i = 0; i < 2; i++)
        for (int class = 0; pools[i].backend && class < CLASSES; class ++)
            while (pools[i].lists[class]) {
                free_block *block = pools[i].lists[class];
                pools[i].lists[class] = block->next;
                size_t capacity = (size_t)256 << (class / 4); /* class_of, backwards */
                capacity += capacity / 4 * (class % 4);
                pools[i].backend->release(block->memory, capacity);
                counts.reserved -= (int64_t)capacity;
                free(block);
            }
    if (gal_scope_depth() == 0) {
        gal_arena_free(scope_arena);
        scope_arena = NULL;
    }
}

/* ---- storages and handles ---- */
gal_status gal_storage_new(gal_storage **out, const gal_backend *backend, size_t bytes)
{
    gal_arena *arena = current_arena();
    gal_storage *storage = NULL;
    bytes = aligned(bytes ? bytes : 1);
    if (arena) {
        void *memory;
        gal_status status = bump_take((void **)&storage, &arena->bumps[HANDLES], sizeof *storage);
        if (status == GAL_OK)
            status = bump_take(&memory, bump_of(arena, backend), bytes);
        if (status != GAL_OK)
            return status;
        *storage = (gal_storage){memory, bytes, backend, 1, 1};
    } else {
        if (counts.live + (int64_t)bytes > soft_limit())
            return gal_fail(GAL_BUDGET, "memory: %zu bytes more would pass the limit of %lld", bytes, (long long)counts.limit);
        storage = malloc(sizeof *storage);
        if (!storage)
            return gal_fail(GAL_MEMORY, "memory: none left for a tensor");
        void *memory;
        gal_status status = block_take(&memory, backend, bytes);
        if (status != GAL_OK) {
            free(storage);
            return status;
        }
        *storage = (gal_storage){memory, bytes, backend, 1, 0};
        add_live((int64_t)bytes);
        allocated_since_collection += (int64_t)bytes;
    }
    *out = storage;
    return GAL_OK;
}

void gal_storage_retain(gal_storage *storage)
{
    if (!storage->in_arena)
        storage->references++;
}

void gal_storage_release(gal_storage *storage)
{
    if (storage->in_arena || --storage->references > 0)
        return;
    counts.live -= (int64_t)storage->bytes;
    block_give(storage->base, storage->backend, storage->bytes);
    free(storage);
}

gal_status gal_storage_hold(gal_storage *storage)
{
    gal_arena *arena = current_arena();
    if (storage->in_arena)
        return GAL_OK;
    if (arena) {
        hold *h;
        gal_status status = bump_take((void **)&h, &arena->bumps[HANDLES], sizeof *h);
        if (status != GAL_OK)
            return status;
        *h = (hold){arena->holds, storage};
        arena->holds = h;
    }
    storage->references++;
    return GAL_OK;
}

gal_status gal_handle_new(gal_tensor **out)
{
    gal_arena *arena = current_arena();
    if (arena) {
        gal_status status = bump_take((void **)out, &arena->bumps[HANDLES], sizeof **out);
        if (status == GAL_OK) {
            memset(*out, 0, sizeof **out);
            (*out)->in_arena = 1;
        }
        return status;
    }
    *out = calloc(1, sizeof **out);
    if (!*out)
        return gal_fail(GAL_MEMORY, "memory: none left for a tensor");
    counts.tensors++;
    return GAL_OK;
}

void gal_handle_free(gal_tensor *x)
{
    if (x->in_arena != 1) {
        counts.tensors--;
        free(x);
    }
}
