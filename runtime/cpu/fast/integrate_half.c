/* integrate_half.c: products of bfloat16 for the fused integrator, by AMX tiles or by dot products of pairs
 * (half.h). Compiled for both beyond the instruction set of its folder. */
#include "integrate.h"

#if VL == 16
DOT void FAST(integrate_pairs)(const integrate_tile *t, int vecs, int64_t outs, const float *z, uint16_t *y)
{
    for (int64_t o = 0; o < outs; o += 2, z += 2 * t->ld, y += 2 * t->ld)
        for (int v = 0; v < vecs; v++) {
            vec even = load(z + v * VL), odd = o + 1 < outs ? load(z + t->ld + v * VL) : splat(0);
            _mm512_storeu_si512(y + v * 2 * VL, side_by_side((__m512)even, (__m512)odd));
        }
}

/* z {n, ld} at m vecs = b {n, VL} + w {pairs, OUTS, 2} x {pairs, ld, 2}. */
DOT INLINE void dots(const int n, const int m, int64_t pairs, const uint16_t *w, const uint16_t *x, float *z,
                     int64_t ld, const float *b)
{
    __m512 sum[OUTS][VECS];
#pragma GCC unroll 8
    for (int i = 0; i < n; i++)
#pragma GCC unroll 3
        for (int j = 0; j < m; j++)
            sum[i][j] = _mm512_loadu_ps(b + i * VL);
    for (int64_t k = 0; k < pairs; k++) {
        __m512bh v[VECS];
#pragma GCC unroll 3
        for (int j = 0; j < m; j++)
            v[j] = (__m512bh)_mm512_loadu_si512(x + j * 2 * VL);
#pragma GCC unroll 8
        for (int i = 0; i < n; i++) {
            int32_t pair;
            memcpy(&pair, w + 2 * i, 4);
            __m512bh weight = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 3
            for (int j = 0; j < m; j++)
                sum[i][j] = _mm512_dpbf16_ps(sum[i][j], weight, v[j]);
        }
        x += 2 * ld;
        w += 2 * OUTS;
    }
#pragma GCC unroll 8
    for (int i = 0; i < n; i++)
#pragma GCC unroll 3
        for (int j = 0; j < m; j++)
            _mm512_storeu_ps(z + i * ld + j * VL, sum[i][j]);
}

/* Always OUTS outputs: weights and b are padded, and z has room for them. */
DOT void FAST(integrate_dot)(const integrate_layer *l, const integrate_tile *t, int vecs, int64_t o,
                             const uint16_t *x, float *z)
{
    int64_t pairs = (l->in + 1) / 2;
    const uint16_t *w = l->half + o * 2 * pairs;
    for (int from = 0; from < vecs; from += VECS) {
        const uint16_t *at = x + from * 2 * VL;
        if (vecs - from >= 3)
            dots(OUTS, 3, pairs, w, at, z + from * VL, t->ld, l->b + o * VL);
        else if (vecs - from == 2)
            dots(OUTS, 2, pairs, w, at, z + from * VL, t->ld, l->b + o * VL);
        else
            dots(OUTS, 1, pairs, w, at, z + from * VL, t->ld, l->b + o * VL);
    }
}

/* Tile registers 0 to 2: sums {AMX_OUTS, VL}; 3: weights {AMX_OUTS, AMX_IN}; 4 to 6: columns {AMX_IN / 2, VL,
 * 2}. All are 16 rows of 64 bytes. */
AMX void FAST(integrate_amx)(const integrate_layer *l, const integrate_tile *t, int vecs, int64_t o,
                             const uint16_t *x, float *z)
{
    int64_t blocks = (l->in + AMX_IN - 1) / AMX_IN, ld = t->ld * 4;
    const uint16_t *w = l->half + o * blocks * AMX_IN;
    for (int from = 0; from < vecs; from += VECS) {
        int m = vecs - from < VECS ? vecs - from : VECS;
        const uint16_t *at = x + from * 2 * VL;
        _tile_loadd(0, l->b + o * VL, 64);
        _tile_loadd(1, l->b + o * VL, 64);
        _tile_loadd(2, l->b + o * VL, 64);
        for (int64_t k = 0; k < blocks; k++, at += AMX_IN * t->ld) {
            _tile_loadd(3, w + k * AMX_OUTS * AMX_IN, 64);
            _tile_loadd(4, at, ld);
            _tile_dpbf16ps(0, 3, 4);
            if (m > 1) {
                _tile_loadd(5, at + 2 * VL, ld);
                _tile_dpbf16ps(1, 3, 5);
            }
            if (m > 2) {
                _tile_loadd(6, at + 4 * VL, ld);
                _tile_dpbf16ps(2, 3, 6);
            }
        }
        _tile_stored(0, z + from * VL, ld);
        if (m > 1)
            _tile_stored(1, z + (from + 1) * VL, ld);
        if (m > 2)
            _tile_stored(2, z + (from + 2) * VL, ld);
    }
}

#else

/* No bfloat16 in this instruction set: layers never have `half`, and nothing of this is called. */
void FAST(integrate_pairs)(const integrate_tile *t, int vecs, int64_t outs, const float *z, uint16_t *y)
{
    (void)t, (void)vecs, (void)outs, (void)z, (void)y;
}
void FAST(integrate_dot)(const integrate_layer *l, const integrate_tile *t, int vecs, int64_t o,
                         const uint16_t *x, float *z)
{
    (void)l, (void)t, (void)vecs, (void)o, (void)x, (void)z;
}
void FAST(integrate_amx)(const integrate_layer *l, const integrate_tile *t, int vecs, int64_t o,
                         const uint16_t *x, float *z)
{
    (void)l, (void)t, (void)vecs, (void)o, (void)x, (void)z;
}

#endif
