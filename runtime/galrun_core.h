/* galrun_core.h: the core of galrun.h: status codes, memory, devices, tensors and programs. galrun.h has the
 * conventions. */
#ifndef GALRUN_CORE_H
#define GALRUN_CORE_H

#ifdef GAL_CDEF
#define GAL_API
#else
#include <stddef.h>
#include <stdint.h>
#define GAL_API __attribute__((visibility("default")))
#endif

#if defined(__cplusplus) && !defined(GAL_CDEF)
#define GAL_BEGIN extern "C" {
#define GAL_END }
#else
#define GAL_BEGIN
#define GAL_END
#endif

#define GAL_RANK 8 /* the largest number of dimensions */

GAL_BEGIN

typedef enum gal_status {
    GAL_OK = 0,
    GAL_SHAPE,      /* a wrong shape or count */
    GAL_TYPE,       /* a wrong dtype or column type */
    GAL_VALUE,      /* a value out of range, a NaN where none may be */
    GAL_MEMORY,     /* the machine has no memory left */
    GAL_BUDGET,     /* the soft limit is reached: collect garbage and try again */
    GAL_DEVICE,     /* the device can't be had, or tensors are on two */
    GAL_STATE,      /* called at the wrong time */
    GAL_RECORDING,  /* can't be recorded, and a program is being recorded */
    GAL_FILE,       /* a file is missing, malformed or can't be written */
    GAL_INTERRUPTED /* Ctrl-C */
} gal_status;

typedef enum gal_dtype {
    GAL_F32 = 0,
    GAL_U8,
    GAL_I64,
    GAL_F64 /* accumulators inside the runtime; Lua reads it with item() and totable() */
} gal_dtype;

/* The sentence of the last failure in this thread, valid until the next one in it; never NULL. */
GAL_API const char *gal_error(void);
/* The next notice, NULL where there is none: a sentence that tells the user how something is done (that it is
 * slow here, and why). The library never prints. */
GAL_API const char *gal_notice(void);
/* Leaves a notice, unless one with the same text was left before. A process keeps 256 of them; how many more
 * there were is a notice of its own. Beyond 2,047 bytes a sentence ends in dots. */
GAL_API void gal_leave_notice(const char *sentence);
GAL_API const char *gal_version(void);

/* ---- interrupts and time ---- */
/* The host's SIGINT handler sets the flag; long loops poll it. */
GAL_API void gal_interrupt_set(int on);
GAL_API int gal_interrupted(void);
/* Seconds on the monotonic clock. */
GAL_API double gal_now(void);
/* Sleeps; ends early where the flag is set. */
GAL_API void gal_sleep(double seconds);

/* ---- processes ---- */
/* Starts the program words[0], a path, with these words {.., NULL}: *pid. Its input is empty, its output and
 * errors are appended to the file `output`, its process group is its own: Ctrl-C at the terminal does not
 * reach it. more {.., NULL}, or NULL: variables "NAME=value" of its environment beside this process's.
 * folder: where it begins; NULL: where this process is. */
GAL_API gal_status gal_process_start(int64_t *pid, const char *const *words, const char *const *more,
                                     const char *folder, const char *output);
/* Waits at most so many seconds, less where the flag of an interrupt is set, for a process that was started.
 * *state 0: it still runs; 1: it has ended with exit code *code; 2: signal *code has ended it. */
GAL_API gal_status gal_process_wait(int64_t pid, double seconds, int *state, int *code);
/* Sends a process "INT", "TERM", "USR1" or "KILL"; one that has ended is no error. */
GAL_API gal_status gal_process_signal(int64_t pid, const char *name);
GAL_API int64_t gal_process_own(void); /* this process's number */
/* When the process of that number began, in the kernel's ticks; 0 where none lives. Number and beginning name
 * one process of a place. */
GAL_API int64_t gal_process_begun(int64_t pid);
/* Where process numbers count: "host boot namespace": other machines, later boots and other containers have
 * another one. */
GAL_API const char *gal_process_place(void);
/* From here on this process gets that signal when its parent ends; at once where that is no longer the
 * process `parent`. */
GAL_API gal_status gal_process_bind(int64_t parent, const char *name);

/* ---- devices ---- */
/* Makes the named device ("cpu", "cuda") ready. GAL_DEVICE with the reason where it can't be had. */
GAL_API gal_status gal_device_open(const char *name);
/* The device's own name, which its tensors have: "cuda" for "cuda:0". NULL, with gal_device_open's reason,
 * where it can't be had. */
GAL_API const char *gal_device_name(const char *name);
/* 1 where the name is that of a device which some machine may have; opens nothing. */
GAL_API int gal_device_known(const char *name);
/* What there is to know of a device: a sentence about it, bytes of its memory that are free and in all, and
 * how much of a long list to work on at once: rows that are integrated, images that are encoded. No result
 * depends on the last two. */
typedef struct gal_device_info {
    char description[128];
    int64_t free, total, rows, images;
} gal_device_info;
GAL_API gal_status gal_device_about(gal_device_info *out, const char *device);
/* GAL_DEVICE, with what it has, where the device does not multiply in that gal_precision in the op of that
 * name ("linear", "conv2d", "flow_integrate"). */
GAL_API gal_status gal_device_precision(const char *device, const char *op, int precision);
/* Waits until the device has done all that was issued on it, and reports what failed of it. */
GAL_API gal_status gal_device_wait(const char *device);
/* 1 where the host may touch the device's memory, and work is done, or answers Ctrl-C, before its call
 * returns: the CPU. */
GAL_API int gal_device_host_readable(const char *name);
/* How many threads kernels and the host's loops use; n > 0 sets it. At first: the cores that this process may
 * use. */
GAL_API int gal_threads(int n);
/* Which of the CPU's kernels were chosen when the program started: "avx512", "avx2" or "plain". */
GAL_API const char *gal_cpu_isa(void);

/* ---- memory, in bytes, of each device by itself ---- */
typedef struct gal_memory_info {
    int64_t live;     /* in tensors that exist now, the used part of arenas included */
    int64_t peak;     /* the largest that live has been */
    int64_t reserved; /* held from the system: live, free lists and arenas */
    int64_t limit;    /* the soft limit on live: three quarters of the device's memory until it is set */
    int64_t tensors;  /* tensor handles that exist outside arenas, of all devices */
} gal_memory_info;
GAL_API gal_status gal_memory(const char *device, gal_memory_info *info);
GAL_API gal_status gal_memory_set_limit(const char *device, int64_t bytes);
/* Gives the free lists of all devices back to them. */
GAL_API void gal_memory_trim(void);
/* Bytes allocated outside arenas, on all devices and for tables of data, since the last call with reset != 0:
 * tells Lua when to collect. An open file counts as GAL_HANDLE_BYTES. */
GAL_API int64_t gal_memory_allocated(int reset);

/* A scope: tensors made until it closes live in an arena and vanish together; the same sequence of
 * allocations gets the same addresses each time. Scopes nest. While scopes are paused tensors are made
 * outside the arena; pauses nest. */
GAL_API gal_status gal_scope_open(void);
GAL_API gal_status gal_scope_close(void);
GAL_API void gal_scope_pause(void);
GAL_API void gal_scope_resume(void);

/* ---- tensors ---- */
typedef struct gal_storage gal_storage; /* a block of memory on one device; views share it */
typedef struct gal_tensor {
    void *data; /* element {0, 0, ...} on the device */
    gal_storage *storage;
    int32_t dtype, rank;
    int64_t shape[GAL_RANK];
    int64_t stride[GAL_RANK]; /* in elements; 0 along a broadcast dimension */
    /* 1: the handle itself is in an arena, never free it; 2: only the memory that it views is. */
    int32_t in_arena;
} gal_tensor;

/* A new tensor, contiguous, its contents undefined. The caller owns it (gal_tensor_free) unless a scope is
 * open. */
GAL_API gal_status gal_tensor_new(gal_tensor **out, const char *device, int dtype, int rank,
                                  const int64_t *shape);
/* A view of x's storage; offset in elements from x's first element. GAL_SHAPE where it would reach outside
 * the storage. */
GAL_API gal_status gal_tensor_view(gal_tensor **out, const gal_tensor *x, int rank, const int64_t *shape,
                                   const int64_t *stride, int64_t offset);
/* A contiguous copy of x that outlives every scope. */
GAL_API gal_status gal_tensor_keep(gal_tensor **out, const gal_tensor *x);
/* Does nothing to NULL and to handles in an arena. */
GAL_API void gal_tensor_free(gal_tensor *x);
GAL_API const char *gal_tensor_device(const gal_tensor *x);
GAL_API int64_t gal_tensor_count(const gal_tensor *x);
GAL_API int gal_tensor_contiguous(const gal_tensor *x);
/* Copies between x (contiguous or not) and host memory of x's dtype, row-major, exactly count elements; a NaN
 * is read as the plain one, whatever its bits. While a program is being recorded read fails (every replay
 * would reuse the value read now), and what write writes is a constant of the program: every replay writes
 * the same values at the same place in the order. A tensor whose memory the host fills by itself is such a
 * constant where it is made while scopes are paused. */
GAL_API gal_status gal_tensor_read(const gal_tensor *x, void *host, int64_t count);
GAL_API gal_status gal_tensor_write(gal_tensor *y, const void *host, int64_t count);

/* ---- programs: a list of kernel calls, recorded once and replayed by one call ---- */
typedef struct gal_program gal_program;
/* From here on every op runs and is also recorded; tensors are made in the program's own arena and live as
 * long as it does. */
GAL_API gal_status gal_program_begin(gal_program **out, const char *device);
GAL_API gal_status gal_program_end(gal_program *program);
/* Ends a recording that failed, and frees the program. */
GAL_API gal_status gal_program_abandon(gal_program *program);
/* Runs the list `times` times over. GAL_INTERRUPTED between two runs after Ctrl-C. */
GAL_API gal_status gal_program_replay(gal_program *program, int64_t times);
GAL_API void gal_program_free(gal_program *program);
GAL_API int64_t gal_program_length(const gal_program *program);
/* Whether one is being recorded. */
GAL_API int gal_recording(void);

GAL_END

#endif
