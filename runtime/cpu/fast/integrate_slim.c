/* integrate_slim.c: products of the fused integrator for a slim tile, as for one row and its tangents alone.
 * Columns are broadcast and vectors run over outputs, so that few of a vec's floats are padding. The sums are
 * the chains of integrate_layer.c, so their bits are the same. Most of the time goes into reading the
 * weights. */
#include "integrate.h"
#include "transpose.h"

/* Panels, vecs of outputs, whose sums for so many columns stay in registers. */
#define PANELS(columns) \
    (VL == 16 ? ((columns) == 8 ? 3 : 4) : VL == 8 ? ((columns) == 8 ? 1 : (columns) == 2 ? 4 : 2) : 2)

/* sums {panels, VL columns, VL} += w x over all inputs; w {panels, in, VL}, x {in, VL}. */
INLINE void slim_block(const int columns, const int panels, int64_t in, const float *w, const float *x,
                       vec *sums)
{
    vec sum[8][4];
#pragma GCC unroll 4
    for (int p = 0; p < panels; p++)
#pragma GCC unroll 8
        for (int i = 0; i < columns; i++)
            sum[i][p] = sums[p * VL + i];
    for (int64_t k = 0; k < in; k++, w += VL, x += VL) {
        vec v[4];
#pragma GCC unroll 4
        for (int p = 0; p < panels; p++)
            v[p] = load(w + p * in * VL);
#pragma GCC unroll 8
        for (int i = 0; i < columns; i++) {
            vec value = splat(x[i]);
#pragma GCC unroll 4
            for (int p = 0; p < panels; p++)
                sum[i][p] = fma_(v[p], value, sum[i][p]);
        }
    }
#pragma GCC unroll 4
    for (int p = 0; p < panels; p++)
#pragma GCC unroll 8
        for (int i = 0; i < columns; i++)
            sums[p * VL + i] = sum[i][p];
}

INLINE void slim_columns(const int columns, const integrate_layer *l, const integrate_tile *t,
                         const float *start, const float *x, float *z)
{
    const float *at = start ? start : l->b;
    for (int64_t o = 0; o < l->out;) {
        int64_t left = (l->out - o + VL - 1) / VL;
        int panels = left < PANELS(columns) ? 1 : PANELS(columns);
        vec sums[4 * VL];
        for (int p = 0; p < panels; p++) {
            for (int i = 0; i < VL; i++)
                sums[p * VL + i] = o + p * VL + i < l->out
                                       ? (vec)((ivec)load(at + (o + p * VL + i) * VL) & t->holds)
                                       : splat(0);
            transpose(sums + p * VL);
        }
        if (panels == 1)
            slim_block(columns, 1, l->in, l->w + o * l->in, x, sums);
        else
            slim_block(columns, PANELS(columns), l->in, l->w + o * l->in, x, sums);
        for (int p = 0; p < panels; p++) {
            transpose(sums + p * VL);
            for (int i = 0; i < VL; i++)
                store(z + (o + p * VL + i) * VL, sums[p * VL + i]);
        }
        o += panels * VL;
    }
}

void FAST(integrate_slim)(const integrate_layer *l, const integrate_tile *t, const float *start,
                          const float *x, float *z)
{
    if (t->columns <= 2)
        slim_columns(2, l, t, start, x, z);
    else if (t->columns <= 4)
        slim_columns(4, l, t, start, x, z);
#if VL > 4
    else if (t->columns <= 6)
        slim_columns(6, l, t, start, x, z);
    else
        slim_columns(8, l, t, start, x, z);
#endif
}
