/* runtime.h: what the files of the runtime share and Lua does not see. */
#ifndef GAL_RUNTIME_H
#define GAL_RUNTIME_H
#include "backend.h"

/* Records the sentence (printf) for gal_error() and returns status: `return gal_fail(GAL_SHAPE, "silu: y is
 * %s, expected …", …)`. */
gal_status gal_fail(gal_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Leaves a sentence for gal_notice(), once however often it is said. From the thread that issues calls. */
void gal_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "{64, 256}"; from a ring of eight buffers, so eight of them fit in one sentence. */
const char *gal_shape_text(const gal_tensor *x);
const char *gal_dtype_name(int dtype);
size_t gal_dtype_size(int dtype);

/* device.c */
gal_status gal_backend_find(const gal_backend **out, const char *device); /* opens it where needed */
const gal_backend *gal_cpu_backend(void);                                 /* cpu/cpu.c; never NULL */

/* memory.c */
struct gal_storage {
    void *base;
    size_t bytes;
    const gal_backend *backend;
    int64_t references; /* handles and programs that hold it; arena storage is freed by its arena, never by
                           count */
    int32_t in_arena;
};
/* A block of `bytes` on the device: in the current arena, else owned with one reference. */
gal_status gal_storage_new(gal_storage **out, const gal_backend *backend, size_t bytes);
void gal_storage_retain(gal_storage *storage);
/* One reference for a handle that is made now: gal_tensor_free gives it back, or, where the handle is in an
 * arena, the arena's being emptied. */
gal_status gal_storage_hold(gal_storage *storage);
void gal_storage_release(gal_storage *storage);
/* A zeroed handle, in the current arena or owned. */
gal_status gal_handle_new(gal_tensor **out);
void gal_handle_free(gal_tensor *x);

/* Adds to the bytes that tensors take, and to those reserved for them; negative: takes off. */
void gal_memory_count(int64_t live, int64_t reserved);

/* arena.c */
/* Chunks of device memory handed out from the start, and of host memory for handles. */
typedef struct gal_arena gal_arena;
gal_status gal_arena_new(gal_arena **out);
void gal_arena_free(gal_arena *arena);
void gal_arena_enter(gal_arena *arena); /* allocations go there until left; nests */
void gal_arena_leave(void);
gal_arena *gal_arena_current(void); /* NULL: what is made now is owned */
/* Bytes of the arena on a device; backend NULL: of the host, for handles. */
gal_status gal_arena_take(void **out, gal_arena *arena, const gal_backend *backend, size_t bytes);
/* The arena releases the storage, one reference that the caller adds, when it is emptied to before this call;
 * not where this fails. */
gal_status gal_arena_hold(gal_arena *arena, gal_storage *storage);
void gal_scope_trim(void); /* with no scope open, frees what scopes allocate from */
/* Rounded up to whole cache lines, at least one. */
size_t gal_aligned(size_t bytes);

/* program.c */
/* Runs a call on the device now and, while a program is recorded, appends it with a copy of its arguments.
 * op: its name, for sentences. */
gal_status gal_issue_call(const gal_backend *backend, const char *op, gal_kernel *kernel, const void *args,
                          size_t size, int64_t work);
#define gal_issue(backend, op, kernel, args, work) \
    gal_issue_call(backend, op, kernel, args, sizeof *(args), work)
/* While recording: the program holds x's storage for as long as it lives. */
gal_status gal_program_hold(const gal_tensor *x);

#endif
