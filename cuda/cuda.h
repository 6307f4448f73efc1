/* cuda.h: what the files of cuda/ share: a card as a device, and the kernels' prototypes. Valid C11 and
 * C++17. */
#ifndef GAL_CUDA_H
#define GAL_CUDA_H
#include "backend.h"
#include <cuda_runtime_api.h>

/* One ordered list of work for a card, with all that its kernels need. */
typedef struct gal_cuda {
    gal_backend backend; /* first: its `self` is this struct */
    int number;
    int64_t processors, shared; /* the card's multiprocessors; bytes of shared memory that a block can have */
    int64_t total;              /* the memory of the card, bytes */
    int capturing;              /* a graph is being made */
    char name[16], card[128];
    cudaStream_t stream; /* everything of the device happens in it */
    cudaMemPool_t pool;
    struct gal_cuda_memory *memory;             /* memory.c */
    struct gal_cuda_products *products;         /* cublas.c */
    struct gal_cuda_convolutions *convolutions; /* cudnn.c */
    struct gal_cuda_fault *fault;               /* in pinned memory: kernels write it, the host reads it */
    struct gal_cuda_pace *pace;                 /* plan.c */
    int plans;                                  /* graphs that exist */
    uint32_t calls;                             /* issued so far: which of two faults was first */
} gal_cuda;

/* The first index out of range that a kernel has found: the one of the earliest call and, in it, the smallest
 * place. lock: held by the thread that writes. */
typedef struct gal_cuda_fault {
    gal_fault fault;
    uint32_t call;
    int32_t found, lock;
} gal_cuda_fault;

#ifdef __cplusplus
extern "C" {
#endif

extern const gal_host *gal_cuda_host;

/* A CUDA status as ours, with a sentence that says what failed. */
gal_status gal_cuda_status(gal_cuda *device, cudaError_t error, const char *what);

/* Issues one op in the device's stream; in a capture it becomes part of the graph. */
typedef gal_status gal_cuda_kernel(gal_cuda *device, const void *args);
#define GAL_CUDA_PROTOTYPE(name, ...) gal_cuda_kernel gal_cuda_##name;
GAL_OPS(GAL_CUDA_PROTOTYPE)

/* ---- memory.c ---- */
gal_status gal_cuda_memory_open(gal_cuda *device);
gal_status gal_cuda_allocate(const gal_backend *device, void **out, size_t bytes);
void gal_cuda_release(const gal_backend *device, void *memory, size_t bytes);
gal_status gal_cuda_allocate_pinned(const gal_backend *device, void **out, size_t bytes);
void gal_cuda_release_pinned(const gal_backend *device, void *memory, size_t bytes);
/* Device memory that one op works in, of undefined contents; good until the next call of this function. Its
 * address stays as long as there are plans, whose graphs name it. Grows only outside of captures. */
gal_status gal_cuda_scratch(gal_cuda *device, void **out, size_t bytes);

/* ---- plan.c ---- */
gal_status gal_cuda_plan_open(gal_cuda *device);
gal_status gal_cuda_issue(const gal_backend *device, const gal_call *call);
gal_status gal_cuda_prepare(const gal_backend *device, void **plan, const gal_call *calls, int64_t count);
gal_status gal_cuda_replay(const gal_backend *device, void *plan, int64_t times);
void gal_cuda_forget(const gal_backend *device, void *plan);
/* After each piece of work of some milliseconds: waits where the host is too far ahead (not in a capture). */
gal_status gal_cuda_keep_pace(gal_cuda *device);
/* The kernel of an op, or NULL. */
gal_cuda_kernel *gal_cuda_kernel_of(int op);
/* The fault that kernels have found since the last report, as its status and sentence, once. */
gal_status gal_cuda_report(gal_cuda *device);

/* ---- cublas.c: products by cuBLASLt ---- */
/* y {m, n} = a b, as gal_matmul_args has it, plus bias {n} or NULL; relu: of each element its positive part.
 * Only where gal_cuda_library_takes(a, b). */
gal_status gal_cuda_library_product(gal_cuda *device, const gal_matmul_args *product, const float *bias,
                                    int relu);
/* Whether cuBLASLt can read both factors where they are: each has neighbours along a row or a column. */
int gal_cuda_library_takes(const gal_matmul_args *product);

#ifdef __cplusplus
}
#endif
#endif
