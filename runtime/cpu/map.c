/* map.c: elementwise ops over any strides. The formulas, one line each; the walk below is shared by all. */
#include "cpu.h"
#include "activation.h"
#include <math.h>
#include <string.h>

typedef float formula(float a, float b, float p, float q);

/* y[i] = f(a[i], b[i], p, q) over the lane's share of the flat order. Inlined into each op, so that f is no
 * call. */
static inline __attribute__((always_inline)) gal_status map(const gal_lane *lane, const gal_map_args *g,
                                                            formula *f)
{
    static const float none = 0;
    int64_t from, to, at[GAL_RANK] = {0}, rest;
    gal_share(lane, g->count, 64, &from, &to);
    if (from >= to)
        return GAL_OK;
    int last = g->rank - 1;
    rest = from;
    for (int d = last; d >= 0; d--) {
        at[d] = rest % g->shape[d];
        rest /= g->shape[d];
    }
    while (from < to) {
        float *y = g->y;
        const float *a = g->a, *b = g->b ? g->b : &none;
        for (int d = 0; d < g->rank; d++) {
            y += at[d] * g->ys[d];
            a += at[d] * g->as[d];
            b += g->b ? at[d] * g->bs[d] : 0;
        }
        int64_t run = g->rank ? g->shape[last] - at[last] : 1;
        run = run < to - from ? run : to - from;
        int64_t ys = g->rank ? g->ys[last] : 1, as = g->rank ? g->as[last] : 1,
                bs = g->rank && g->b ? g->bs[last] : 0;
        for (int64_t i = 0; i < run; i++)
            y[i * ys] = f(a[i * as], b[i * bs], g->p, g->q);
        from += run;
        for (int d = last; d >= 0; d--) {
            at[d] += d == last ? run : 1;
            if (at[d] < g->shape[d])
                break;
            at[d] = 0;
        }
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
