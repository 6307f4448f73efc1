/* cpu.h: what the files of the CPU backend share. The kernels named gal_cpu_OP, in one file for each family
 * of ops, are the specification, plain C written to be read; fast/ overrides some of them with vector code
 * (fast/fast.h), and lanes.c runs them on threads. */
#ifndef GAL_CPU_H
#define GAL_CPU_H
#include "core/core.h"

/* A lane is one of the threads that run the same kernel side by side: number `index` of `count` does its
 * share and touches no other's. */
typedef struct gal_lane {
    int index, count;
} gal_lane;

/* A kernel runs one op, or one stage of it. args: the op's struct (backend.h). Returns GAL_OK, or a status
 * with the sentence in gal_error(). */
typedef gal_status gal_kernel(const gal_lane *lane, const void *args);

/* The specification: gal_cpu_OP for every op. A kernel that is missing is an error of the linker. */
#define GAL_CPU_DECLARE(name, ...) gal_kernel gal_cpu_##name;
GAL_OPS(GAL_CPU_DECLARE)
#undef GAL_CPU_DECLARE
gal_kernel gal_cpu_conv2d_backward_prepare, gal_cpu_conv2d_backward_finish;
/* What an op moves on (cursor, generator, count of steps), when every lane has read it. */
gal_kernel gal_cpu_flow_batch_finish, gal_cpu_step_finish;

/* 1 - d of an optimiser's average (galrun_ops.h); 0 without one. */
float gal_cpu_average_weight(const gal_step_args *g);

/* The kernels of one instruction set. An op is one kernel by lanes, but for those that have stages: prepare,
 * on the calling thread with threads of its own; the op's kernel, by lanes; finish, by lanes, once all of
 * them are done. A stage that is NULL is left out. */
typedef struct gal_cpu_kernels {
#define GAL_CPU_ENTRY(name, ...) gal_kernel *name;
    GAL_OPS(GAL_CPU_ENTRY)
#undef GAL_CPU_ENTRY
    gal_kernel *conv2d_prepare, *conv2d_backward_prepare, *conv2d_backward_finish;
    gal_kernel *flow_integrate_prepare;
} gal_cpu_kernels;

/* The kernels of an instruction set: "avx512", "avx2", "plain", or "specification" for the plain C alone, or
 * "onednn" for the chosen set with oneDNN's convolutions; isa NULL: those that the CPU device uses. Returns
 * NULL where this machine doesn't have it. For the tests that compare them. */
const gal_cpu_kernels *gal_cpu_table(const char *isa);

/* expand.c: the stages of a call, in order: at most GAL_CPU_STAGES. */
typedef struct gal_cpu_stage {
    gal_kernel *kernel;
    const void *args;
    int64_t work; /* GAL_WHOLE: the kernel brings its own threads and runs on the calling one */
} gal_cpu_stage;
#define GAL_WHOLE (-1)
#define GAL_CPU_STAGES 3
int gal_cpu_expand(gal_cpu_stage *stages, const gal_cpu_kernels *kernels, const gal_call *call);
/* gal_backend's has_precision, of the specification and of every kernel beside it. */
int gal_cpu_has_precision(const gal_backend *device, int op, int precision);

/* lanes.c: how stages meet threads. */
gal_status gal_cpu_run(const gal_cpu_stage *stage);
/* A copy of stages {count}, made ready for replays. */
gal_status gal_cpu_plan(void **plan, const gal_cpu_stage *stages, int64_t count);
gal_status gal_cpu_replay(const gal_backend *device, void *plan, int64_t times);
void gal_cpu_forget(const gal_backend *device, void *plan);

/* A product sums in chains: an element of it is a chain of multiply-adds over GAL_CHAIN terms of k in
 * ascending order, starting from 0; the next chain's result is added to it, and so on. With accumulate,
 * chains are added to what y held. So the bits of an element depend on its row and column alone, never on
 * tiles, neighbours or lanes; and the error over many rows grows with their number / GAL_CHAIN. Column sums
 * (db) follow the same rule. */
#define GAL_CHAIN 256

/* Whether a call of so many multiply-adds is to end because of Ctrl-C. One that takes some tenth of a second
 * looks at it while it works; a training's step is far shorter, and is done whole. */
static inline int gal_stopped(double work)
{
    return work > 2e10 && gal_interrupted();
}
#define GAL_STOP gal_fail(GAL_INTERRUPTED, "interrupted")

/* The lane's part [from, to) of n things, cut at multiples of grain. */
static inline void gal_share(const gal_lane *lane, int64_t n, int64_t grain, int64_t *from, int64_t *to)
{
    int64_t grains = (n + grain - 1) / grain;
    *from = grains * lane->index / lane->count * grain;
    *to = grains * (lane->index + 1) / lane->count * grain;
    *from = *from < n ? *from : n;
    *to = *to < n ? *to : n;
}

#endif
