/* cpu.h: what the files of the CPU backend share. The kernels named gal_cpu_* in map, copy, reduce, rows,
 * matmul, random, flow, step and kde .c are the specification, plain C written to be read; fast/ overrides
 * some of them with vector code (fast/fast.h), lanes.c runs them on threads. */
#ifndef GAL_CPU_H
#define GAL_CPU_H
#include "core/core.h"

/* Every kernel of the table, once. */
#define GAL_CPU_KERNELS(X)                                                                                  \
    X(add)                                                                                                  \
    X(sub)                                                                                                  \
    X(mul)                                                                                                  \
    X(div) X(pow) X(maximum) X(minimum) X(eq) X(lt) X(le) X(affine) X(power) X(exp) X(log) X(sqrt) X(abs)   \
        X(sin) X(cos) X(sigmoid) X(tanh) X(relu) X(silu) X(gelu) X(relu_backward) X(silu_backward)          \
            X(gelu_backward) X(tanh_backward) X(sigmoid_backward) X(copy) X(fill) X(arange) X(gather_rows)  \
                X(scatter_add_rows) X(sum) X(mean) X(max) X(min) X(std) X(sort) X(matmul) X(linear)         \
                    X(linear_backward_input) X(linear_backward_weight) X(uniform) X(normal) X(permutation)  \
                        X(random_advance) X(flow_draw) X(flow_integrate) X(batch_rows) X(mse)               \
                            X(mse_backward) X(count_step) X(adamw) X(sgd) X(average) X(clip) X(sum_squares) \
                                X(accumulate) X(kde_log_density) X(conv2d) X(conv2d_backward_prepare)       \
                                    X(conv2d_backward) X(conv2d_backward_finish) X(avg_pool2d)              \
                                        X(avg_pool2d_backward) X(max_pool2d) X(max_pool2d_backward)         \
                                            X(layer_norm) X(layer_norm_backward)                            \
                                                X(layer_norm_backward_scale) X(dropout)
#define GAL_CPU_DECLARE(name) gal_kernel gal_cpu_##name;
GAL_CPU_KERNELS(GAL_CPU_DECLARE)

/* The table with the kernels of one instruction set: "avx512", "avx2", "plain", or "specification" for the
 * plain C alone, or "onednn" for the chosen set with oneDNN's convolutions. NULL where this machine doesn't
 * have it. For gal_cpu_backend and the tests that compare them. */
const gal_backend *gal_cpu_table(const char *isa);

/* lanes.c: how calls meet threads. */
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
