/* map.c: elementwise ops over any strides: a formula each, and the loop that all of them share. */
#include "activation.h"
#include "walk.h"
#include <math.h>

typedef float formula(float a, float b, float p, float q);

/* y[i] = f(a[i], b[i], p, q) over the lane's share. Inlined into each op, so that f is no call. */
static inline __attribute__((always_inline)) gal_status map(const gal_lane *lane, const gal_map_args *g,
                                                            formula *f)
{
    static const float none = 0;
    gal_walk w;
    for (gal_walk_begin(&w, lane, g->count, g->rank, g->shape); w.n > 0; gal_walk_on(&w)) {
        float *y = g->y + gal_walk_offset(&w, g->ys);
        const float *a = g->a + gal_walk_offset(&w, g->as);
        const float *b = g->b ? g->b + gal_walk_offset(&w, g->bs) : &none;
        int64_t ys = gal_walk_stride(&w, g->ys), as = gal_walk_stride(&w, g->as),
                bs = g->b ? gal_walk_stride(&w, g->bs) : 0;
        for (int64_t i = 0; i < w.n; i++)
            y[i * ys] = f(a[i * as], b[i * bs], g->p, g->q);
    }
    return GAL_OK;
}

#define MAP(name, expression)                                         \
    static inline float name##_of(float a, float b, float p, float q) \
    {                                                                 \
        (void)a, (void)b, (void)p, (void)q;                           \
        return expression;                                            \
    }                                                                 \
    gal_status gal_cpu_##name(const gal_lane *lane, const void *args) \
    {                                                                 \
        return map(lane, args, name##_of);                            \
    }

/* clang-format off */
MAP(add, a + b)
MAP(sub, a - b)
MAP(mul, a * b)
MAP(div, a / b)
MAP(pow, powf(a, b))
MAP(maximum, a > b || a != a ? a : b) /* NaN where either is: a comparison with a NaN b is false */
MAP(minimum, a < b || a != a ? a : b)
MAP(eq, a == b)
MAP(lt, a < b)
MAP(le, a <= b)
MAP(masked, b != 0 ? a : -0.0f)
MAP(affine, p * a + q)
MAP(power, powf(a, p))
MAP(exp, expf(a))
MAP(log, logf(a))
MAP(sqrt, sqrtf(a))
MAP(abs, fabsf(a))
MAP(sin, sinf(a))
MAP(cos, cosf(a))
MAP(sigmoid, gal_sigmoid_of(a))
MAP(tanh, tanhf(a))
MAP(relu, a > 0 || a != a ? a : 0)
MAP(silu, a * gal_sigmoid_of(a))
MAP(gelu, a * gal_normal_cdf(a))
MAP(relu_backward, b > 0 ? a : 0)
MAP(silu_backward, a * gal_silu_slope(b))
MAP(gelu_backward, a * gal_gelu_slope(b))
MAP(tanh_backward, a * (1 - b * b))
MAP(sigmoid_backward, a * b * (1 - b))
/* clang-format on */
