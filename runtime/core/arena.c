/* arena.c: memory for scopes and programs: chunks that are handed out from the start and rewound, so that the
 * same step gets the same addresses; and the stack of scopes. memory.c counts it. Used from the one thread
 * that runs Lua. */
#include "core.h"
#include <stdlib.h>

size_t gal_aligned(size_t bytes, int64_t alignment)
{
    size_t a = (size_t)alignment;
    return ((bytes ? bytes : 1) + a - 1) / a * a;
}

/* ---- chunks ---- */
typedef struct chunk {
    struct chunk *next;
    char *base;
    size_t size, used;
} chunk;
/* A list of chunks in the order in which they fill, from backend, or from malloc (handles). `last` is the one
 * in use; the chunks after it are empty. */
typedef struct bump {
    const gal_backend *backend;
    chunk *first, *last;
} bump;
/* The first of an arena's bumps is of handles, each of the others of a device, in the order in which the
 * arena was first asked for their memory. */
#define HANDLES 0
#define BUMPS (1 + GAL_DEVICES)
/* What the arena hands to release when it is rewound past this hold, which is in the arena itself. The latest
 * comes first. */
typedef struct hold {
    struct hold *next;
    void *what;
    void (*release)(void *what);
} hold;
struct gal_arena {
    bump bumps[BUMPS];
    int count; /* of bumps that are in use, HANDLES included */
    hold *holds;
};
#define CHUNK_SMALLEST (1 << 20)
#define CHUNK_LARGEST (64 << 20) /* unless one tensor needs more */
#define HANDLES_CHUNK (64 << 10)
#define CACHE_LINE 64

static gal_status chunk_new(chunk **out, const gal_backend *backend, size_t size)
{
    chunk *fresh = calloc(1, sizeof *fresh);
    void *memory = NULL;
    gal_status status = GAL_OK;
    if (fresh && backend)
        status = gal_chunk_take(&memory, backend, size);
    else if (fresh)
        memory = aligned_alloc(CACHE_LINE, size);
    if (status != GAL_OK || !memory) {
        free(fresh);
        return status != GAL_OK ? status
                                : gal_fail(GAL_MEMORY, "memory: no %zu bytes left for an arena", size);
    }
    *fresh = (chunk){.base = memory, .size = size};
    *out = fresh;
    return GAL_OK;
}

/* Takes from the chunk in use, or moves on to the next one with room: the choice depends on the sequence of
 * requests alone. */
static gal_status bump_take(void **out, bump *b, size_t bytes)
{
    bytes = gal_aligned(bytes, b->backend ? b->backend->alignment : CACHE_LINE);
    size_t size = b->backend ? CHUNK_SMALLEST : HANDLES_CHUNK;
    gal_status status = b->backend ? gal_memory_room(b->backend, bytes) : GAL_OK;
    if (status != GAL_OK)
        return status;
    while (!b->last || b->last->size - b->last->used < bytes) {
        chunk **next = b->last ? &b->last->next : &b->first;
        if (!*next) {
            if (b->last)
                size = b->last->size < CHUNK_LARGEST / 2 ? 2 * b->last->size : CHUNK_LARGEST;
            status = chunk_new(next, b->backend, size > bytes ? size : bytes);
            if (status == GAL_MEMORY && size > bytes) /* the device may still have what is asked for */
                status = chunk_new(next, b->backend, bytes);
            if (status != GAL_OK)
                return status;
        }
        b->last = *next;
    }
    *out = b->last->base + b->last->used;
    b->last->used += bytes;
    if (b->backend)
        gal_memory_count_live(b->backend, (int64_t)bytes);
    return GAL_OK;
}

/* Empties every chunk after `last`, and `last` down to `used`; last NULL: all of them. */
static void bump_rewind(bump *b, chunk *last, size_t used)
{
    for (chunk *c = last ? last : b->first; c; c = c->next) {
        size_t keep = c == last ? used : 0;
        if (b->backend)
            gal_memory_count_live(b->backend, -(int64_t)(c->used - keep));
        c->used = keep;
    }
    b->last = last;
}

/* Releases what was held after `first`; NULL: all. */
static void holds_release(gal_arena *arena, const hold *first)
{
    for (; arena->holds != first; arena->holds = arena->holds->next)
        arena->holds->release(arena->holds->what);
}

gal_status gal_arena_take(void **out, gal_arena *arena, const gal_backend *backend, size_t bytes)
{
    if (!backend)
        return bump_take(out, &arena->bumps[HANDLES], bytes);
    int i = HANDLES + 1;
    while (i < arena->count && arena->bumps[i].backend != backend)
        i++;
    if (i == arena->count)
        arena->bumps[arena->count++].backend = backend;
    return bump_take(out, &arena->bumps[i], bytes);
}

gal_status gal_arena_hold(gal_arena *arena, void *what, void (*release)(void *what))
{
    hold *h;
    gal_status status = gal_arena_take((void **)&h, arena, NULL, sizeof *h);
    if (status != GAL_OK)
        return status;
    *h = (hold){arena->holds, what, release};
    arena->holds = h;
    return GAL_OK;
}

/* ---- arenas ---- */
gal_status gal_arena_new(gal_arena **out)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return gal_fail(GAL_MEMORY, "memory: none left for an arena");
    (*out)->count = HANDLES + 1;
    return GAL_OK;
}

void gal_arena_free(gal_arena *arena)
{
    if (arena)
        holds_release(arena, NULL);
    for (int i = 0; arena && i < arena->count; i++) {
        bump *b = &arena->bumps[i];
        bump_rewind(b, NULL, 0);
        while (b->first) {
            chunk *c = b->first;
            b->first = c->next;
            if (b->backend)
                gal_chunk_give(c->base, b->backend, c->size);
            else
                free(c->base);
            free(c);
        }
    }
    free(arena);
}

/* ---- scopes ---- */
/* The stack of places where tensors are made: arenas that were entered, scopes (an arena and how far it was
 * used when the scope opened) and pauses (no arena). */
#define PLACES 64
typedef struct place {
    gal_arena *arena; /* NULL: tensors are owned */
    int is_scope;
    chunk *last[BUMPS];
    size_t used[BUMPS];
    hold *holds;
} place;
static place places[PLACES];
static int depth; /* of places */
static gal_arena *scope_arena;

gal_arena *gal_arena_current(void)
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
        return gal_fail(GAL_STATE, "scope: %d are open inside one another, which is the most there can be",
                        depth);
    gal_arena *arena = gal_arena_current(); /* inside a recording: the program's */
    if (!arena) {
        gal_status status = scope_arena ? GAL_OK : gal_arena_new(&scope_arena);
        if (status != GAL_OK)
            return status;
        arena = scope_arena;
    }
    place *p = &places[depth++];
    *p = (place){.arena = arena, .is_scope = 1, .holds = arena->holds};
    for (int i = 0; i < arena->count; i++) {
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
    for (int i = 0; i < p->arena->count; i++) /* one that came since is emptied: its `last` is NULL */
        bump_rewind(&p->arena->bumps[i], p->last[i], p->used[i]);
    return GAL_OK;
}

void gal_scope_pause(void)
{
    gal_arena_enter(NULL);
}

void gal_scope_resume(void)
{
    gal_arena_leave();
}

void gal_scope_trim(void)
{
    for (int i = 0; i < depth; i++)
        if (places[i].is_scope)
            return;
    gal_arena_free(scope_arena);
    scope_arena = NULL;
}
