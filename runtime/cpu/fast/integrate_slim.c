/* flow_slim.c: products of the fused integrator for a few lanes: one row and its tangents alone. Lanes are
 * broadcast and outputs are the vectors, so that no vector is mostly padding; the sums are the same chains as
 * in flow_layer.c, and so the bits. What is left is reading the weights. */
#include "integrate.h"
#include "transpose.h"

/* Vecs of outputs whose sums stay in registers beside those of `lanes` lanes. */
#define PANELS(lanes) \
    (VL == 16 ? ((lanes) == 8 ? 3 : 4) : VL == 8 ? ((lanes) == 8 ? 1 : (lanes) == 2 ? 4 : 2) : 2)

/* sum {panels, VL} of each lane += w x over all inputs; w {panels, in, VL}, x {in, VL}. */
INLINE void slim_block(const int lanes, const int panels, int64_t in, const float *w, const float *x,
                       vec *sums)
{
    vec sum[8][4];
#pragma GCC unroll 4
    for (int p = 0; p < panels; p++)
#pragma GCC unroll 8
        for (int i = 0; i < lanes; i++)
            sum[i][p] = sums[p * VL + i];
    for (int64_t k = 0; k < in; k++, w += VL, x += VL) {
        vec v[4];
#pragma GCC unroll 4
        for (int p = 0; p < panels; p++)
            v[p] = load(w + p * in * VL);
#pragma GCC unroll 8
        for (int i = 0; i < lanes; i++) {
            vec lane = splat(x[i]);
#pragma GCC unroll 4
            for (int p = 0; p < panels; p++)
                sum[i][p] = fma_(v[p], lane, sum[i][p]);
        }
    }
#pragma GCC unroll 4
    for (int p = 0; p < panels; p++)
#pragma GCC unroll 8
        for (int i = 0; i < lanes; i++)
            sums[p * VL + i] = sum[i][p];
}

INLINE void slim_lanes(const int lanes, const flow_layer *l, const flow_tile *t, const float *start,
                       const float *x, float *z)
{
    const float *at = start ? start : l->b;
    for (int64_t o = 0; o < l->out;) {
        int64_t left = (l->out - o + VL - 1) / VL;
        int panels = left < PANELS(lanes) ? 1 : PANELS(lanes);
        vec sums[4 * VL];
        for (int p = 0; p < panels; p++) {
            for (int i = 0; i < VL; i++)
                sums[p * VL + i] = o + p * VL + i < l->out
                                       ? (vec)((ivec)load(at + (o + p * VL + i) * VL) & t->holds)
                                       : splat(0);
            transpose(sums + p * VL);
        }
        if (panels == 1)
            slim_block(lanes, 1, l->in, l->w + o * l->in, x, sums);
        else
            slim_block(lanes, PANELS(lanes), l->in, l->w + o * l->in, x, sums);
        for (int p = 0; p < panels; p++) {
            transpose(sums + p * VL);
            for (int i = 0; i < VL; i++)
                store(z + (o + p * VL + i) * VL, sums[p * VL + i]);
        }
        o += panels * VL;
    }
}

void FAST(flow_slim)(const flow_layer *l, const flow_tile *t, const float *start, const float *x, float *z)
{
    if (t->lanes <= 2)
        slim_lanes(2, l, t, start, x, z);
    else if (t->lanes <= 4)
        slim_lanes(4, l, t, start, x, z);
#if VL > 4
    else if (t->lanes <= 6)
        slim_lanes(6, l, t, start, x, z);
    else
        slim_lanes(8, l, t, start, x, z);
#endif
}
