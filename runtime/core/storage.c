/* storage.c: the blocks that tensors share and the handles on them: owned and counted, or in the arena that
 * is open (arena.c). Used from the one thread that runs Lua. */
#include "core.h"
#include <stdlib.h>
#include <string.h>

static gal_status in_arena(gal_storage **out, gal_arena *arena, const gal_backend *backend, size_t bytes)
{
    void *memory;
    gal_status status = gal_arena_take((void **)out, arena, NULL, sizeof **out);
    if (status == GAL_OK)
        status = gal_arena_take(&memory, arena, backend, bytes);
    if (status == GAL_OK)
        **out = (gal_storage){memory, bytes, backend, 1, 1};
    return status;
}

gal_status gal_storage_new(gal_storage **out, const gal_backend *backend, size_t bytes)
{
    if (gal_arena_current())
        return in_arena(out, gal_arena_current(), backend, bytes);
    bytes = gal_aligned(bytes, backend->alignment);
    gal_storage *storage = malloc(sizeof *storage);
    if (!storage)
        return gal_fail(GAL_MEMORY, "memory: none left for a tensor");
    void *memory;
    gal_status status = gal_block_take(&memory, backend, bytes);
    if (status != GAL_OK) {
        free(storage);
        return status;
    }
    *storage = (gal_storage){memory, bytes, backend, 1, 0};
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
    gal_block_give(storage->base, storage->backend, storage->bytes);
    free(storage);
}

static void release(void *storage)
{
    gal_storage_release(storage);
}

gal_status gal_storage_hold(gal_storage *storage)
{
    gal_arena *arena = gal_arena_current();
    if (storage->in_arena)
        return GAL_OK;
    gal_status status = arena ? gal_arena_hold(arena, storage, release) : GAL_OK;
    if (status == GAL_OK)
        storage->references++;
    return status;
}

gal_status gal_handle_new(gal_tensor **out)
{
    gal_arena *arena = gal_arena_current();
    if (arena) {
        gal_status status = gal_arena_take((void **)out, arena, NULL, sizeof **out);
        if (status == GAL_OK) {
            memset(*out, 0, sizeof **out);
            (*out)->in_arena = 1;
        }
        return status;
    }
    *out = calloc(1, sizeof **out);
    if (!*out)
        return gal_fail(GAL_MEMORY, "memory: none left for a tensor");
    gal_memory_count_handles(1);
    return GAL_OK;
}

void gal_handle_free(gal_tensor *x)
{
    if (x->in_arena == 1)
        return;
    gal_memory_count_handles(-1);
    free(x);
}

void gal_memory_trim(void)
{
    gal_blocks_trim();
    gal_scope_trim();
}
