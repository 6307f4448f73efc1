/* core.h: what the files of the runtime share and Lua does not see, from the bottom up: each file uses those
 * above it here, none below. */
#ifndef GAL_CORE_H
#define GAL_CORE_H
#include "backend.h"

/* ---- error.c ---- */
/* Records the sentence (printf) for gal_error() and returns status: `return gal_fail(GAL_SHAPE, "silu: y is
 * %s, expected ...", ...)`. */
gal_status gal_fail(gal_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* gal_leave_notice with printf's arguments. Only for the thread that issues calls. */
void gal_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "gather_rows: index[3] is 7, expected 0 to 4 for 5 rows", and GAL_VALUE. */
gal_status gal_fault_fail(const gal_fault *fault);

/* ---- device.c ---- */
#define GAL_DEVICES 17 /* the most that can be open at once, the CPU among them */
/* The device of that name, opened where it is not open yet. GAL_DEVICE where it can't be had. */
gal_status gal_backend_find(const gal_backend **out, const char *device);
/* cpu/cpu.c; never NULL. */
const gal_backend *gal_cpu_backend(void);

/* ---- memory.c ---- */
/* Adds to the bytes that tensors of the device take; negative: takes off. */
void gal_memory_count_live(const gal_backend *backend, int64_t bytes);
/* Adds to the number of handles outside arenas. */
void gal_memory_count_handles(int64_t more);
/* GAL_BUDGET where so many bytes more would pass the device's soft limit. */
gal_status gal_memory_room(const gal_backend *backend, size_t bytes);
/* Memory straight from the device, counted as reserved; where there is none, once more after the device's
 * free lists were given back. */
gal_status gal_chunk_take(void **memory, const gal_backend *backend, size_t bytes);
/* Gives it back; bytes as it was taken. */
void gal_chunk_give(void *memory, const gal_backend *backend, size_t bytes);
/* A block of `bytes` on the device, from a free list or new. GAL_BUDGET where it would pass the soft limit.
 */
gal_status gal_block_take(void **memory, const gal_backend *backend, size_t bytes);
/* Gives it back; bytes as it was taken. */
void gal_block_give(void *memory, const gal_backend *backend, size_t bytes);
/* Gives the free lists of all devices back. */
void gal_blocks_trim(void);
/* Counts memory that is no block of tensors' but is held by a handle of Lua's, for gal_memory_allocated. */
void gal_memory_outside(int64_t bytes);
/* What an open file, or a thread, counts for: 64 of them bring Lua to collect. */
#define GAL_HANDLE_BYTES (4 << 20)

/* ---- arena.c ---- */
/* Chunks of device memory handed out from the start, and of host memory for handles. */
typedef struct gal_arena gal_arena;
gal_status gal_arena_new(gal_arena **out);
void gal_arena_free(gal_arena *arena);
/* Between enter and leave tensors are made in the arena. Nests. */
void gal_arena_enter(gal_arena *arena);
void gal_arena_leave(void);
/* The arena in which tensors are made now; NULL where they are owned. */
gal_arena *gal_arena_current(void);
/* Bytes of the arena on a device; backend NULL: of the host, for handles. */
gal_status gal_arena_take(void **out, gal_arena *arena, const gal_backend *backend, size_t bytes);
/* On success the arena owns `what`, and hands it to release when it is rewound past this point. On failure it
 * owns nothing. */
gal_status gal_arena_hold(gal_arena *arena, void *what, void (*release)(void *what));
/* Frees what scopes allocate from, if no scope is open. */
void gal_scope_trim(void);
/* Rounded up to a multiple of the alignment, a power of two, and at least once that. */
size_t gal_aligned(size_t bytes, int64_t alignment);

/* ---- storage.c ---- */
struct gal_storage {
    void *base;
    size_t bytes;
    const gal_backend *backend;
    int64_t references; /* handles and programs that hold it; unused in an arena, which frees it as a whole */
    int32_t in_arena;
};
/* Of `bytes` on the device: in the current arena, else owned with one reference. */
gal_status gal_storage_new(gal_storage **out, const gal_backend *backend, size_t bytes);
/* One reference more, and one less: the last one frees it. In an arena neither does anything. */
void gal_storage_retain(gal_storage *storage);
void gal_storage_release(gal_storage *storage);
/* One reference for a handle that is being made: gal_tensor_free gives it back; for a handle in an arena the
 * arena does, when it is rewound. */
gal_status gal_storage_hold(gal_storage *storage);
/* A zeroed handle, in the current arena or owned. */
gal_status gal_handle_new(gal_tensor **out);
void gal_handle_free(gal_tensor *x);

/* ---- tensor.c ---- */
/* "{64, 256}"; from a ring of eight buffers, so eight of them fit in one sentence. */
const char *gal_shape_text(const gal_tensor *x);
const char *gal_dtype_name(int dtype);
size_t gal_dtype_size(int dtype);
/* Whether x->data is a pointer that the host may use. */
int gal_on_host(const gal_tensor *x);
/* GAL_DEVICE, "op: name is on DEVICE, expected cpu", unless gal_on_host. */
gal_status gal_check_host(const char *op, const char *name, const gal_tensor *x);

/* ---- program.c ---- */
/* Runs an op on the device and, while a program is recorded, appends it with a copy of its arguments. */
gal_status gal_issue(const gal_backend *device, int op, const void *args, size_t size, int64_t work);
/* While recording: the program holds x's storage for as long as it lives. */
gal_status gal_program_hold(const gal_tensor *x);

#endif
