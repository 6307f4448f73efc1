/* program.c: every op comes through gal_issue, which runs it and, while a program is recorded, appends
 * it to the program's list. A replay runs the list again: no Lua, no allocation, no garbage. */
#include "core.h"
#include <stdlib.h>
#include <string.h>

struct gal_program {
    const gal_backend *backend;
    gal_arena *arena; /* every tensor made while recording */
    gal_call *calls;  /* args of each: a block of its own, freed with the program */
    int64_t count, room;
    gal_storage **held; /* storages from outside that the calls point into */
    int64_t held_count, held_room;
    void *plan;
};
static gal_program *recording; /* the one being recorded, or NULL */

int gal_recording(void)
{
    return recording != NULL;
}

/* Makes room for one more item in a growing array; NULL where no memory is left. */
static void *grown(void *items, int64_t count, int64_t *room, size_t size)
{
    if (count < *room)
        return items;
    int64_t larger = *room ? 2 * *room : 64;
    void *moved = realloc(items, (size_t)larger * size);
    if (moved)
        *room = larger;
    return moved;
}

static gal_status append(gal_program *p, const gal_call *call)
{
    void *copy = malloc(call->size);
    gal_call *calls = grown(p->calls, p->count, &p->room, sizeof *calls);
    if (calls)
        p->calls = calls;
    if (!calls || !copy) {
        free(copy);
        return gal_fail(GAL_MEMORY, "program: no memory left to record an op");
    }
    memcpy(copy, call->args, call->size);
    calls[p->count] = *call;
    calls[p->count++].args = copy;
    return GAL_OK;
}

gal_status gal_issue(const gal_backend *device, int op, const void *args, size_t size, int64_t work)
{
    if (!device->has(device, op))
        return gal_fail(GAL_DEVICE, "%s: device %s has no kernel for it", gal_op_name(op), device->name);
    if (recording && recording->backend != device)
        return gal_fail(GAL_RECORDING, "%s: its tensors are on %s, but the program is being recorded on %s",
                        gal_op_name(op), device->name, recording->backend->name);
    gal_call call = {.op = op, .args = args, .size = size, .work = work};
    gal_status status = device->issue(device, &call);
    return status == GAL_OK && recording ? append(recording, &call) : status;
}

gal_status gal_program_hold(const gal_tensor *x)
{
    gal_program *p = recording;
    if (!p || x->storage->in_arena)
        return GAL_OK;
    for (int64_t i = p->held_count - 1; i >= 0; i--)
        if (p->held[i] == x->storage)
            return GAL_OK;
    gal_storage **held = grown(p->held, p->held_count, &p->held_room, sizeof *held);
    if (!held)
        return gal_fail(GAL_MEMORY, "program: no memory left to record an op");
    p->held = held;
    held[p->held_count++] = x->storage;
    gal_storage_retain(x->storage);
    return GAL_OK;
}

gal_status gal_program_begin(gal_program **out, const char *device)
{
    if (recording)
        return gal_fail(GAL_STATE, "program: one is being recorded already");
    const gal_backend *backend;
    gal_status status = gal_backend_find(&backend, device);
    if (status != GAL_OK)
        return status;
    gal_program *p = calloc(1, sizeof *p);
    if (!p)
        return gal_fail(GAL_MEMORY, "program: no memory left");
    p->backend = backend;
    status = gal_arena_new(&p->arena);
    if (status != GAL_OK) {
        free(p);
        return status;
    }
    gal_arena_enter(p->arena);
    *out = recording = p;
    return GAL_OK;
}

static gal_status stop_recording(gal_program *p, const char *name)
{
    if (recording != p)
        return gal_fail(GAL_STATE, "%s: this program is not the one being recorded", name);
    gal_arena_leave();
    recording = NULL;
    return GAL_OK;
}

gal_status gal_program_end(gal_program *p)
{
    gal_status status = stop_recording(p, "program");
    return status == GAL_OK ? p->backend->prepare(p->backend, &p->plan, p->calls, p->count) : status;
}

gal_status gal_program_abandon(gal_program *p)
{
    gal_status status = stop_recording(p, "program");
    if (status == GAL_OK)
        gal_program_free(p);
    return status;
}

gal_status gal_program_replay(gal_program *p, int64_t times)
{
    if (recording)
        return gal_fail(GAL_STATE, "program: replay while one is being recorded");
    if (!p->plan)
        return gal_fail(GAL_STATE, "program: its recording was never ended");
    return p->backend->replay(p->backend, p->plan, times);
}

void gal_program_free(gal_program *p)
{
    if (!p || p == recording)
        return;
    if (p->plan)
        p->backend->forget(p->backend, p->plan);
    for (int64_t i = 0; i < p->count; i++)
        free((void *)p->calls[i].args);
    for (int64_t i = 0; i < p->held_count; i++)
        gal_storage_release(p->held[i]);
    free(p->calls);
    free(p->held);
    gal_arena_free(p->arena);
    free(p);
}

int64_t gal_program_length(const gal_program *p)
{
    return p->count;
}
