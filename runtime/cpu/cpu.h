/* cpu.h: what the files of the CPU backend share. The kernels named gal_cpu_OP, in one file for each family
 * of ops, are the specification, plain C written to be read; fast/ overrides some of them with vector code
 * (fast/fast.h), and lanes.c runs them on threads. */
#ifndef GAL_CPU_H
#define GAL_CPU_H
#include "core/core.h"

/* The specification: gal_cpu_OP for every op. A missing kernel is an error of the linker. */
#define GAL_CPU_DECLARE(name, ...) gal_kernel gal_cpu_##name;
GAL_OPS(GAL_CPU_DECLARE)
#undef GAL_CPU_DECLARE

/* The table with the kernels of one instruction set: "avx512", "avx2" or "plain"; "specification" for the
 * plain C alone; "onednn" for the chosen set with oneDNN's convolutions. NULL where this machine lacks it.
 * For gal_cpu_backend and the tests that compare them. */
const gal_backend *gal_cpu_table(const char *isa);

/* lanes.c: runs calls on threads. */
gal_status gal_cpu_issue(const gal_call *call);
gal_status gal_cpu_prepare(void **plan, const gal_call *calls, int64_t count);
gal_status gal_cpu_replay(void *plan, int64_t times);
void gal_cpu_forget(void *plan);

/* A product sums in chains: an element of it is a chain of multiply-adds over GAL_CHAIN terms of k in
 * ascending order, starting from 0; the next chain's result is added to it, and so on. With accumulate,
 * chains are added to what y held. So the bits of an element depend on its row and column alone, never on
 * tiles, neighbours or lanes; and the error over many rows grows with their number / GAL_CHAIN. Column sums
 * (db) follow the same rule. */
#define GAL_CHAIN 256

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
