/* integrate_layer.c: one layer of the velocity net over a tile: products in blocks of OUTS x VECS sums, then
 * the activation of the block while it is in the first-level cache. */
#include "integrate.h"
#include "activate.h"

/* What the sums of a block start from: output i, vec j from at[i * row + j * step + ...], the first `values`
 * vecs; tangents from 0. */
typedef struct beginning {
    const float *at;
    int64_t row, step;
    int values;
    ivec holds; /* -1 at the columns of the first vec that do, the others start from 0 */
} beginning;

/* z {n, ld} at m vecs = beginning + w x: n outputs, w {in, OUTS}. */
INLINE void block(const int n, const int m, int64_t in, const float *w, const float *x, float *z, int64_t ld,
                  const beginning *from)
{
    vec sum[OUTS][VECS];
#pragma GCC unroll 3
    for (int j = 0; j < m; j++)
#pragma GCC unroll 8
        for (int i = 0; i < n; i++)
            sum[i][j] = j < from->values ? load(from->at + i * from->row + j * from->step) : splat(0);
#pragma GCC unroll 8
    for (int i = 0; i < n; i++)
        sum[i][0] = (vec)((ivec)sum[i][0] & from->holds);
    for (int64_t k = 0; k < in; k++) {
        vec v[VECS];
#pragma GCC unroll 3
        for (int j = 0; j < m; j++)
            v[j] = load(x + j * VL);
#pragma GCC unroll 8
        for (int i = 0; i < n; i++) {
            vec weight = splat(w[i]);
#pragma GCC unroll 3
            for (int j = 0; j < m; j++)
                sum[i][j] = fma_(weight, v[j], sum[i][j]);
        }
        x += ld;
        w += OUTS;
    }
#pragma GCC unroll 8
    for (int i = 0; i < n; i++)
#pragma GCC unroll 3
        for (int j = 0; j < m; j++)
            store(z + i * ld + j * VL, sum[i][j]);
}

INLINE void block_of_outs(const int n, int m, int64_t in, const float *w, const float *x, float *z,
                          int64_t ld, const beginning *from)
{
    if (m == 3)
        block(n, 3, in, w, x, z, ld, from);
    else if (m == 2)
        block(n, 2, in, w, x, z, ld, from);
    else
        block(n, 1, in, w, x, z, ld, from);
}

/* Blocks at the edge, of fewer outputs, have code of their own, so that the last layer's few outputs waste no
 * sums. */
static void any_block(int n, int m, int64_t in, const float *w, const float *x, float *z, int64_t ld,
                      const beginning *from)
{
    switch (n) {
    case 1:
        block_of_outs(1, m, in, w, x, z, ld, from);
        break;
    case 2:
        block_of_outs(2, m, in, w, x, z, ld, from);
        break;
    case 3:
        block_of_outs(3, m, in, w, x, z, ld, from);
        break;
#if OUTS == 8
    case 4:
        block_of_outs(4, m, in, w, x, z, ld, from);
        break;
    case 5:
        block_of_outs(5, m, in, w, x, z, ld, from);
        break;
    case 6:
        block_of_outs(6, m, in, w, x, z, ld, from);
        break;
    case 7:
        block_of_outs(7, m, in, w, x, z, ld, from);
        break;
#endif
    default:
        block_of_outs(OUTS, m, in, w, x, z, ld, from);
    }
}

/* How many vecs of `left` to take next: three, or two where three would leave one alone. */
static int group_of(int left)
{
    return left == 4 || left < VECS ? (left < 2 ? left : 2) : VECS;
}

/* z {outs, ld} = outputs [o, o + outs) of w x + start, outs <= OUTS. */
static void product(const integrate_layer *l, const integrate_tile *t, int vecs, int64_t o, int outs,
                    const float *start, const float *x, float *z)
{
    const float *w = l->w + o * l->in;
    for (int at = 0, m; at < vecs; at += m) {
        m = group_of(vecs - at);
        beginning from = {.values = t->values - at, .holds = at ? ~(ivec){0} : t->holds};
        if (start) {
            from.row = t->values * VL, from.step = VL;
            from.at = start + o * from.row + at * VL;
        } else {
            from.row = VL;
            from.at = l->b + o * VL;
        }
        any_block(outs, m, l->in, w, x + at * VL, z + at * VL, t->ld, &from);
    }
}

/* At each column x of the column that holds its row. */
INLINE vec spread(vec x, ivec row_of)
{
    return pick(x, row_of);
}

#if VL == 16
/* x / (1 + e^-x), and the sigmoid, in two thirds of the instructions of vsigmoid: they share the ports with
 * the products. e^-x = 2^u, u = -x log2 e; of the integer part scalef takes care, and 2^r for 0 <= r < 1 is a
 * polynomial of degree 5, fitted here by least squares with Lawson's weights (relative error 7.5e-8). What
 * the rounding of u costs, 2^-24 |u| of e^-x, is below 1e-7 of max(1, |silu|). */
INLINE vec sigmoid_of(vec x)
{
    vec u = at_most(x * -1.44269504f, 126.0f);
    vec r = (vec)_mm512_reduce_ps((__m512)u, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    vec p = splat(1.8775767e-3f);
    p = fma_(p, r, splat(8.9893397e-3f));
    p = fma_(p, r, splat(5.5826318e-2f));
    p = fma_(p, r, splat(2.4015361e-1f));
    p = fma_(p, r, splat(6.9315308e-1f));
    p = fma_(p, r, splat(9.9999994e-1f));
    return reciprocal((vec)_mm512_scalef_ps((__m512)p, (__m512)u) + 1);
}
#else
INLINE vec sigmoid_of(vec x)
{
    return vsigmoid(x);
}
#endif

INLINE vec value_of(const int activation, vec z, vec *slope)
{
    if (activation == GAL_RELU) {
        *slope = choose(z > 0, splat(1), splat(0));
        return at_least(z, 0);
    }
    if (activation != GAL_SILU)
        return activate(activation, z, slope);
    vec s = sigmoid_of(z), y = z * s;
    *slope = fma_(y, 1 - s, s);
    return y;
}

/* tangents: whether there are any. */
INLINE void activate_as(const int activation, const int tangents, const integrate_tile *t, int vecs,
                        int64_t outs, float *z)
{
    vec slope;
    for (int64_t o = 0; o < outs; o++, z += t->ld) {
        if (tangents && t->narrow) {
            vec first = load(z), y = value_of(activation, first, &slope);
            store(z, choose(t->holds, y, first * spread(slope, t->row_of[0])));
            for (int v = 1; v < vecs; v++)
                store(z + v * VL, load(z + v * VL) * spread(slope, t->row_of[v]));
            continue;
        }
        for (int v = 0; v < t->values; v++) {
            store(z + v * VL, value_of(activation, load(z + v * VL), &slope));
            for (int tangent = v + t->values; tangents && tangent < vecs; tangent += t->values)
                store(z + tangent * VL, load(z + tangent * VL) * slope);
        }
    }
}

/* z {outs, ld} = f(z) in place, the first `vecs`; tangents times f'. */
static void activate_tile(int activation, const integrate_tile *t, int vecs, int64_t outs, float *z)
{
    int tangents = t->narrow || vecs > t->values;
    if (activation == GAL_IDENTITY)
        return;
    switch (activation) {
#define TILE_CASE(NAME, name)                             \
    case GAL_##NAME:                                      \
        if (tangents)                                     \
            activate_as(GAL_##NAME, 1, t, vecs, outs, z); \
        else                                              \
            activate_as(GAL_##NAME, 0, t, vecs, outs, z); \
        break;
        GAL_ACTIVATIONS(TILE_CASE)
    }
}

void FAST(integrate_layer)(const integrate_plan *plan, const integrate_layer *l, const integrate_tile *t,
                           int vecs, const float *start, const void *x, void *y, int to_half, float *block)
{
    if (plan->slim) {
        FAST(integrate_slim)(l, t, start, x, y);
        activate_tile(l->activation, t, vecs, l->out, y);
        return;
    }
    int amx = l->half && plan->half == HALF_AMX;
    int64_t step = amx ? AMX_OUTS : OUTS;
    for (int64_t o = 0; o < l->out; o += step) {
        int64_t outs = l->out - o < step ? l->out - o : step;
        float *z = to_half || amx ? block : (float *)y + o * t->ld;
        if (amx)
            FAST(integrate_amx)(l, t, vecs, o, x, z);
        else if (l->half)
            FAST(integrate_dot)(l, t, vecs, o, x, z);
        else
            product(l, t, vecs, o, (int)outs, start, x, z);
        activate_tile(l->activation, t, vecs, outs, z);
        if (to_half)
            FAST(integrate_pairs)(t, vecs, outs, z, (uint16_t *)y + o * t->ld);
        else if (amx)
            memcpy((float *)y + o * t->ld, z, (size_t)(outs * t->ld) * sizeof *z);
    }
    /* An AMX product reads whole blocks of inputs, and 0 times what is left from before may be NaN. */
    int64_t pairs = (l->out + 1) / 2, all = (l->out + AMX_IN - 1) / AMX_IN * AMX_IN / 2;
    if (to_half)
        memset((float *)y + pairs * t->ld, 0, (size_t)((all - pairs) * t->ld) * sizeof(float));
}

void FAST(integrate_trace)(const integrate_layer *l, const integrate_tile *t, const float *x, float *trace)
{
    int64_t tangent = (int64_t)t->values * VL;
    for (int v = 0; v < t->values; v++) {
        vec all = splat(0);
        for (int64_t from = 0; from < l->out; from += OUTS) {
            /* OUTS chains at once, each of one tangent: one alone would wait for every sum. Those behind the
             * last are computed and not used. */
            int64_t outs = l->out - from < OUTS ? l->out - from : OUTS, at[OUTS];
            vec sum[OUTS] = {0};
            const float *w = l->w + from * l->in, *row = x + (1 + from) * tangent + v * VL;
            for (int j = 0; j < OUTS; j++)
                at[j] = (j < outs ? j : outs - 1) * tangent;
            for (int64_t k = 0; k < l->in; k++, row += t->ld)
#pragma GCC unroll 8
                for (int j = 0; j < OUTS; j++)
                    sum[j] = fma_(splat(w[k * OUTS + j]), load(row + at[j]), sum[j]);
            for (int j = 0; j < outs; j++)
                all += sum[j];
        }
        store(trace + v * VL, all);
    }
}
