/* step.c: AdamW with its average in vectors, element by element the formulas of cpu/step.c. */
#include "cpu/cpu.h"
#include "fast.h"
#include "vec.h"
#include <math.h>

/* Calls body(i, n) for elements i to i + n of the lane's share; n is VL, and less at the end. */
#define EACH_VEC(lane, count, body)               \
    do {                                          \
        int64_t from_, to_;                       \
        gal_share(lane, count, 64, &from_, &to_); \
        for (; from_ + VL <= to_; from_ += VL)    \
            body(from_, VL);                      \
        if (from_ < to_)                          \
            body(from_, to_ - from_);             \
    } while (0)

INLINE vec take(const float *p, int64_t n)
{
    return n == VL ? load(p) : load_some(p, n);
}

INLINE void give(float *p, vec v, int64_t n)
{
    if (n == VL)
        store(p, v);
    else
        store_some(p, v, n);
}

static gal_status adamw(const gal_lane *lane, const void *args)
{
    const gal_step_args *g = args;
    double lr = g->hyper[0], beta1 = g->hyper[1], beta2 = g->hyper[2], t = (double)(*g->step + 1);
    vec m_keep = splat(g->hyper[1]), m_new = splat((float)(1 - beta1)), v_keep = splat(g->hyper[2]),
        v_new = splat((float)(1 - beta2));
    vec rate = splat((float)(lr / (1 - pow(beta1, t)))), scale = splat((float)(1 / sqrt(1 - pow(beta2, t))));
    vec decay = splat((float)(1 - lr * g->hyper[4])), eps = splat(g->hyper[3]),
        weight = splat(gal_cpu_average_weight(g));
#define ADAMW(i, n)                                                                   \
    do {                                                                              \
        vec d = take(g->gradient + (i), n), p = take(g->parameter + (i), n);          \
        vec m = fma_(m_keep, take(g->first + (i), n), m_new * d);                     \
        vec v = fma_(v_keep, take(g->second + (i), n), v_new * (d * d));              \
        p = fma_(-rate * m, reciprocal(fma_(square_root(v), scale, eps)), decay * p); \
        give(g->first + (i), m, n);                                                   \
        give(g->second + (i), v, n);                                                  \
        give(g->parameter + (i), p, n);                                               \
        if (g->average) {                                                             \
            vec mean = take(g->average + (i), n);                                     \
            give(g->average + (i), mean + weight * (p - mean), n);                    \
        }                                                                             \
    } while (0)
    EACH_VEC(lane, g->count, ADAMW);
    return GAL_OK;
}

void FAST(step)(gal_cpu_kernels *table)
{
    table->adamw = adamw;
}
