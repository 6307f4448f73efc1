/* map.c: elementwise ops in vectors along the last dimension, where its elements are contiguous or one
 * element is broadcast. The specification's kernels do other strides. */
#include "cpu/walk.h"
#include "fast.h"
#include "vmath.h"

typedef vec formula(vec a, vec b, vec p, vec q);

INLINE vec take(const float *x, int64_t step, int64_t i, int64_t n)
{
    return step == 0 ? splat(*x) : n == VL ? load(x + i) : load_some(x + i, n);
}

INLINE void run_of(formula *f, float *y, const float *a, const float *b, int64_t as, int64_t bs, int64_t n,
                   vec p, vec q)
{
    int64_t i = 0;
    for (; i + VL <= n; i += VL)
        store(y + i, f(take(a, as, i, VL), take(b, bs, i, VL), p, q));
    if (i < n)
        store_some(y + i, f(take(a, as, i, n - i), take(b, bs, i, n - i), p, q), n - i);
}

INLINE gal_status map(const gal_lane *lane, const gal_map_args *g, formula *f, gal_kernel *plain)
{
    static const float none = 0;
    int last = g->rank - 1;
    int64_t as = g->rank ? g->as[last] : 0, bs = g->rank && g->b ? g->bs[last] : 0;
    if (g->rank && (g->ys[last] != 1 || (as | 1) != 1 || (bs | 1) != 1))
        return plain(lane, g);
    vec p = splat(g->p), q = splat(g->q);
    gal_walk w;
    for (gal_walk_begin(&w, lane, g->count, g->rank, g->shape); w.n > 0; gal_walk_on(&w)) {
        float *y = g->y + gal_walk_offset(&w, g->ys);
        const float *a = g->a + gal_walk_offset(&w, g->as);
        const float *b = g->b ? g->b + gal_walk_offset(&w, g->bs) : &none;
        if (as == 1 && bs == 1)
            run_of(f, y, a, b, 1, 1, w.n, p, q);
        else if (as == 1)
            run_of(f, y, a, b, 1, 0, w.n, p, q);
        else
            run_of(f, y, a, b, as, bs, w.n, p, q);
    }
    return GAL_OK;
}

#define MAP(name, expression)                                            \
    INLINE vec name##_of(vec a, vec b, vec p, vec q)                     \
    {                                                                    \
        (void)a, (void)b, (void)p, (void)q;                              \
        return expression;                                               \
    }                                                                    \
    static gal_status name##_map(const gal_lane *lane, const void *args) \
    {                                                                    \
        return map(lane, args, name##_of, gal_cpu_##name);               \
    }

/* clang-format off */
#define FORMULAS(MAP)                                                   \
    MAP(add, a + b)                                                     \
    MAP(sub, a - b)                                                     \
    MAP(mul, a * b)                                                     \
    MAP(div, a / b)                                                     \
    MAP(affine, p * a + q)                                              \
    MAP(exp, vexp(a))                                                   \
    MAP(log, vlog(a))                                                   \
    MAP(sqrt, square_root(a))                                           \
    MAP(abs, absolute(a))                                               \
    MAP(sigmoid, vsigmoid(a))                                           \
    MAP(tanh, vtanh(a))                                                 \
    MAP(relu, choose(a <= 0, splat(0), a))                              \
    MAP(silu, a * vsigmoid(a))                                          \
    MAP(gelu, a * vnormal_cdf(a))                                       \
    MAP(relu_backward, choose(b > 0, a, splat(0)))                      \
    MAP(silu_backward, a * vsilu_slope(b, vsigmoid(b)))                 \
    MAP(gelu_backward, a * fma_(b, vnormal_density(b), vnormal_cdf(b))) \
    MAP(tanh_backward, a * (1 - b * b))                                 \
    MAP(sigmoid_backward, a * b * (1 - b))
/* clang-format on */
FORMULAS(MAP)

/* y = x^2 is common enough not to go through powf. */
INLINE vec square_of(vec a, vec b, vec p, vec q)
{
    (void)b, (void)p, (void)q;
    return a * a;
}
static gal_status power_map(const gal_lane *lane, const void *args)
{
    const gal_map_args *g = args;
    return g->p == 2 ? map(lane, g, square_of, gal_cpu_power) : gal_cpu_power(lane, args);
}

#define ENTRY(name, expression) table->name = name##_map;
void FAST(map)(gal_cpu_kernels *table)
{
    FORMULAS(ENTRY)
    table->power = power_map;
}
